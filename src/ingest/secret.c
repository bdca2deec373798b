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

/* Columns of flagsmith.webhook_secret. */
enum
{
	SECRET_id,
	SECRET_webhook,
	SECRET_secret,
	SECRET_valid_from,
	SECRET_valid_until,
	SECRET_created_at,
	SECRET_COUNT
};

/* Shorter secrets can be guessed; as many bytes as an MD5 has. */
#define SHORT_SECRET 16

static void
require_webhook(text *name)
{
	static const Oid types[] = {TEXTOID};
	Datum		args[] = {PointerGetDatum(name)};
	FswOwner	saved;
	bool		exists;

	SPI_connect();
	saved = fsw_enter_owner();
	fsw_execute(fsw_plan(FSW_PLAN_WEBHOOK_EXISTS,
							  "SELECT FROM flagsmith.webhook WHERE name OPERATOR(pg_catalog.=) $1",
							  1, types),
					 args, NULL, false, 0);
	exists = SPI_processed == 1;
	fsw_leave_owner(saved);
	SPI_finish();
	if (!exists)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("webhook \"%s\" does not exist", text_to_cstring(name)),
				 errhint("Register it with flagsmith.add_webhook()."),
				 errhidestmt(true)));
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

PG_FUNCTION_INFO_V1(fsw_add_secret);

/*
 * add_secret(webhook text, secret text, valid_from timestamptz, valid_until
 * timestamptz) returns bigint - the id of the new secret, by which everything
 * else names it.
 *
 * Raises 22004 for a NULL argument, 42704 for a webhook that does not exist,
 * 22023 for a blank secret or an empty range of validity, 42501 without the
 * right to insert into the table.
 */
Datum
fsw_add_secret(PG_FUNCTION_ARGS)
{
	Oid			nspid = get_namespace_oid("flagsmith", false);
	Oid			relid = get_relname_relid("webhook_secret", nspid);
	Relation	rel;
	EState	   *estate;
	ResultRelInfo *target;
	TupleTableSlot *slot;
	text	   *secret;
	int64		id;

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
	require_webhook(PG_GETARG_TEXT_PP(0));

	/* As for an identity column, the right to insert includes the sequence. */
	id = nextval_internal(get_relname_relid("webhook_secret_id_seq", nspid), false);

	rel = table_open(relid, RowExclusiveLock);
	estate = CreateExecutorState();
	target = makeNode(ResultRelInfo);
	InitResultRelInfo(target, rel, 0, NULL, 0);
	ExecOpenIndices(target, false);
	slot = MakeSingleTupleTableSlot(RelationGetDescr(rel), &TTSOpsVirtual);
	ExecClearTuple(slot);
	memset(slot->tts_isnull, false, SECRET_COUNT * sizeof(bool));
	slot->tts_values[SECRET_id] = Int64GetDatum(id);
	slot->tts_values[SECRET_webhook] = PG_GETARG_DATUM(0);
	slot->tts_values[SECRET_secret] = PointerGetDatum(secret);
	slot->tts_values[SECRET_valid_from] = PG_GETARG_DATUM(2);
	slot->tts_values[SECRET_valid_until] = PG_GETARG_DATUM(3);
	slot->tts_values[SECRET_created_at] = TimestampTzGetDatum(GetCurrentTransactionStartTimestamp());
	for (int i = SECRET_COUNT; i < RelationGetNumberOfAttributes(rel); i++)
		slot->tts_isnull[i] = true;
	ExecStoreVirtualTuple(slot);
	PushActiveSnapshot(GetTransactionSnapshot());
	ExecSimpleRelationInsert(target, estate, slot);
	PopActiveSnapshot();
	ExecDropSingleTupleTableSlot(slot);
	ExecCloseIndices(target);
	FreeExecutorState(estate);
	table_close(rel, RowExclusiveLock);
	CommandCounterIncrement();
	PG_RETURN_INT64(id);
}
