/*-------------------------------------------------------------------------
 *
 * src/ingest/secret.c
 *	  Secrets into their table, without a trace anywhere else.
 *
 * The row is formed and inserted here, not by SQL: a statement with the secret
 * as a parameter would be shown with it by auto_explain, and a failing
 * constraint would print the whole row.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <ctype.h>

#include "access/table.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "commands/sequence.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "src/base/fsw.h"
#include "src/ingest/ingest.h"

/* Columns of flagsmith.webhook_secret. */
enum
{
	SECRET_id,
	SECRET_webhook,
	SECRET_secret,
	SECRET_valid_from,
	SECRET_valid_until,
	SECRET_created_at,
	SECRET_ended_at,
	SECRET_COUNT
};

/* Shorter secrets can be guessed; as many bytes as an MD5 has. */
#define SHORT_SECRET 16

/*
 * Is a secret of the table the one to be added?  Compared here, since as the
 * parameter of a statement it would be shown by auto_explain.
 */
static bool
same_secret(Datum stored, const text *secret)
{
	text	   *plain = DatumGetTextPP(stored);
	bool		same = VARSIZE_ANY_EXHDR(plain) == VARSIZE_ANY_EXHDR(secret) &&
		memcmp(VARDATA_ANY(plain), VARDATA_ANY(secret), VARSIZE_ANY_EXHDR(secret)) == 0;

	explicit_bzero(VARDATA_ANY(plain), VARSIZE_ANY_EXHDR(plain));
	return same;
}

/*
 * Refuse a secret that the webhook has already, since retiring one of the two
 * would end nothing, and one that was retired, since that was done for a
 * reason.  One that ended only with an earlier registration may come back.
 */
static void
refuse_known_secret(text *name, const text *secret, TimestampTz registered_at)
{
	static const Oid types[] = {TEXTOID};
	Datum		args[] = {PointerGetDatum(name)};

	fsw_execute(fsw_plan(FSW_PLAN_KNOWN_SECRETS,
						 "SELECT id, secret, coalesce(valid_until, 'infinity') <= clock_timestamp(),"
						 " ended_at IS NOT NULL, coalesce(created_at, '-infinity')"
						 " FROM flagsmith.webhook_secret"
						 " WHERE webhook OPERATOR(pg_catalog.=) $1 AND id IS NOT NULL AND secret IS NOT NULL"
						 " ORDER BY id DESC",
						 1, types),
				args, NULL, false, 0);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple	tuple = SPI_tuptable->vals[i];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		bool		isnull;
		int64		id = DatumGetInt64(SPI_getbinval(tuple, desc, 1, &isnull));
		bool		retired = DatumGetBool(SPI_getbinval(tuple, desc, 3, &isnull));
		bool		ended = DatumGetBool(SPI_getbinval(tuple, desc, 4, &isnull));
		TimestampTz created_at = DatumGetTimestampTz(SPI_getbinval(tuple, desc, 5, &isnull));

		if (!same_secret(SPI_getbinval(tuple, desc, 2, &isnull), secret))
			continue;
		if (retired)
			ereport(ERROR,
					(errcode(ERRCODE_UNIQUE_VIOLATION),
					 errmsg("this secret of webhook \"%s\" was retired", text_to_cstring(name)),
					 errdetail("It is secret %lld.", (long long) id),
					 ended ? errhint("Choose a new one.") :
					 errhint("Choose a new one. If it was retired by mistake, flagsmith.retire_secret(%lld, 'infinity') takes that back.",
							 (long long) id),
					 errhidestmt(true)));
		if (!ended && created_at >= registered_at)
			ereport(ERROR,
					(errcode(ERRCODE_UNIQUE_VIOLATION),
					 errmsg("webhook \"%s\" has this secret already", text_to_cstring(name)),
					 errdetail("It is secret %lld.", (long long) id),
					 errhint("Its validity can be changed in flagsmith.webhook_secret, by its id."),
					 errhidestmt(true)));
	}
	SPI_freetuptable(SPI_tuptable);
}

/*
 * Make sure that there is such a webhook, locked so that nobody adds the same
 * secret meanwhile, and that the secret is new to it.  Returns when the
 * webhook was registered.
 */
static TimestampTz
check_webhook(text *name, const text *secret)
{
	static const Oid types[] = {TEXTOID};
	Datum		args[] = {PointerGetDatum(name)};
	FswOwner	saved;
	TimestampTz registered_at = 0;
	bool		isnull;

	SPI_connect();
	saved = fsw_enter_owner();
	fsw_execute(fsw_plan(FSW_PLAN_WEBHOOK_EXISTS,
						 "SELECT created_at FROM flagsmith.webhook"
						 " WHERE name OPERATOR(pg_catalog.=) $1 AND removed_at IS NULL FOR NO KEY UPDATE",
						 1, types),
				args, NULL, false, 0);
	if (SPI_processed != 1)
		fsw_raise_no_webhook(name);
	registered_at = DatumGetTimestampTz(SPI_getbinval(SPI_tuptable->vals[0],
													  SPI_tuptable->tupdesc, 1, &isnull));
	refuse_known_secret(name, secret, registered_at);
	fsw_leave_owner(saved);
	SPI_finish();
	return registered_at;
}

/* Whether there is white space at either end, which Flagsmith takes away. */
static bool
has_outer_space(const char *secret, size_t len)
{
	return len > 0 && (isspace((unsigned char) secret[0]) ||
					   isspace((unsigned char) secret[len - 1]));
}

static void
check_secret(const char *secret, size_t len)
{
	size_t		blank = 0;

	while (blank < len && isspace((unsigned char) secret[blank]))
		blank++;
	if (blank == len)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("webhook secret must not be empty"),
				 errdetail("Flagsmith sends no signature when the secret is blank."),
				 errhint("Allow unsigned deliveries with allow_unsigned, where that is what you want."),
				 errhidestmt(true)));
	if (has_outer_space(secret, len))
		ereport(WARNING,
				(errmsg("webhook secret begins or ends with white space"),
				 errdetail("Flagsmith removes it when a secret is saved, so its signatures will not match."),
				 errhidestmt(true)));
	if (len < SHORT_SECRET)
		ereport(WARNING,
				(errmsg("webhook secret is short"),
				 errdetail("It has fewer than %d bytes and could be guessed from a captured request.",
						   SHORT_SECRET),
				 errhidestmt(true)));
}

/*
 * Insert the row as the executor would, but by hand: as the parameter of a
 * statement the secret would be shown.  Whether the caller may is checked
 * before.
 */
static void
insert_secret(Oid relid, const Datum *values, const bool *isnull)
{
	Relation	rel = table_open(relid, RowExclusiveLock);
	EState	   *estate = CreateExecutorState();
	ResultRelInfo *target = makeNode(ResultRelInfo);
	TupleTableSlot *slot;

	InitResultRelInfo(target, rel, 0, NULL, 0);
	ExecOpenIndices(target, false);
	slot = MakeSingleTupleTableSlot(RelationGetDescr(rel), &TTSOpsVirtual);
	ExecClearTuple(slot);
	memcpy(slot->tts_values, values, SECRET_COUNT * sizeof(Datum));
	memcpy(slot->tts_isnull, isnull, SECRET_COUNT * sizeof(bool));
	for (int i = SECRET_COUNT; i < RelationGetNumberOfAttributes(rel); i++)
		slot->tts_isnull[i] = true;
	ExecStoreVirtualTuple(slot);
	PushActiveSnapshot(GetTransactionSnapshot());
	ExecSimpleRelationInsert(target, estate, slot);
	PopActiveSnapshot();
	ExecDropSingleTupleTableSlot(slot);
	ExecCloseIndices(target);
	FreeExecutorState(estate);
	/* kept, as that of a statement: what builds an index beside us waits for it */
	table_close(rel, NoLock);
	CommandCounterIncrement();
}

PG_FUNCTION_INFO_V1(fsw_add_secret);

/*
 * add_secret(webhook text, secret text, valid_from timestamptz, valid_until
 * timestamptz) returns bigint - the id of the new secret, by which everything
 * else names it.
 *
 * Raises 22004 for a NULL argument, 42704 for a webhook that does not exist,
 * 23505 for a secret that the webhook has or had and that was retired, 22023
 * for a blank secret or an empty range of validity, 42501 without the right to
 * insert into the table.
 */
Datum
fsw_add_secret(PG_FUNCTION_ARGS)
{
	Oid			nspid = get_namespace_oid("flagsmith", false);
	Oid			relid = get_relname_relid("webhook_secret", nspid);
	Datum		values[SECRET_COUNT] = {0};
	bool		isnull[SECRET_COUNT] = {0};
	text	   *secret;
	int64		id;
	TimestampTz registered_at;

	for (int i = 0; i < 4; i++)
	{
		if (PG_ARGISNULL(i))
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("webhook, secret and validity must not be null"),
					 errhidestmt(true)));
	}
	if (pg_class_aclcheck(relid, GetUserId(), ACL_INSERT) != ACLCHECK_OK)
		aclcheck_error(ACLCHECK_NO_PRIV, OBJECT_TABLE, "webhook_secret");
	if (PG_GETARG_TIMESTAMPTZ(2) >= PG_GETARG_TIMESTAMPTZ(3))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("webhook secret must be valid for some time"),
				 errdetail("valid_until is not later than valid_from."),
				 errhidestmt(true)));
	secret = PG_GETARG_TEXT_PP(1);
	check_secret(VARDATA_ANY(secret), VARSIZE_ANY_EXHDR(secret));
	registered_at = check_webhook(PG_GETARG_TEXT_PP(0), secret);

	/* As for an identity column, the right to insert includes the sequence. */
	id = nextval_internal(get_relname_relid("webhook_secret_id_seq", nspid), false);

	values[SECRET_id] = Int64GetDatum(id);
	values[SECRET_webhook] = PG_GETARG_DATUM(0);
	values[SECRET_secret] = PointerGetDatum(secret);
	values[SECRET_valid_from] = PG_GETARG_DATUM(2);
	values[SECRET_valid_until] = PG_GETARG_DATUM(3);

	/*
	 * Not earlier than the registration that it belongs to, whatever the
	 * clock does.
	 */
	values[SECRET_created_at] = TimestampTzGetDatum(Max(GetCurrentTimestamp(), registered_at));
	isnull[SECRET_ended_at] = true;
	insert_secret(relid, values, isnull);
	fsw_record_secret_added(PG_GETARG_TEXT_PP(0), id, PG_GETARG_TIMESTAMPTZ(2), PG_GETARG_TIMESTAMPTZ(3));
	PG_RETURN_INT64(id);
}
