/*-------------------------------------------------------------------------
 *
 * src/ingest/webhook.c
 *	  A webhook with its keyed secrets, as a statement sees it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "src/base/fsw.h"
#include "src/decode/row.h"
#include "src/ingest/ingest.h"

void
fsw_raise_no_webhook(const text *name)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("webhook \"%s\" does not exist", text_to_cstring(name)),
			 errhint("Register it with flagsmith.add_webhook()."),
			 errhidestmt(true)));
}

/* What is read of a webhook, beside each of its secrets. */
enum
{
	READ_source = 1,
	READ_enabled,
	READ_allow_unsigned,
	READ_notify,
	READ_rejected_limit,
	READ_max_spool_age,
	READ_environment_id,
	READ_secret_id,
	READ_valid_from,
	READ_valid_until,
	READ_secret
};

/* Key the secrets of a webhook, one of each row; of one without, the only row has none. */
static void
key_secrets(Webhook *webhook)
{
	webhook->secrets = MemoryContextAllocZero(webhook->mcxt, SPI_processed * sizeof(Secret));
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		Secret	   *secret = &webhook->secrets[webhook->nsecrets];
		HeapTuple	tuple = SPI_tuptable->vals[i];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		bool		isnull;
		text	   *plain;

		secret->id = DatumGetInt64(SPI_getbinval(tuple, desc, READ_secret_id, &isnull));
		if (isnull)
			continue;
		secret->valid_from = DatumGetTimestampTz(SPI_getbinval(tuple, desc, READ_valid_from, &isnull));
		secret->valid_until = DatumGetTimestampTz(SPI_getbinval(tuple, desc, READ_valid_until, &isnull));
		plain = DatumGetTextPP(SPI_getbinval(tuple, desc, READ_secret, &isnull));
		secret->key = fsw_key_create(webhook->mcxt, VARDATA_ANY(plain), VARSIZE_ANY_EXHDR(plain));
		explicit_bzero(VARDATA_ANY(plain), VARSIZE_ANY_EXHDR(plain));
		webhook->nsecrets++;
	}
}

/*
 * Read a webhook and key its secrets.  One that was ended, or that belongs to
 * an earlier registration under the same name, is none of them, whatever
 * arrival a delivery claims.  Raises 42704 if there is none of that name.  SPI
 * must be connected, with the owner's rights.
 */
static Webhook *
read_webhook(MemoryContext mcxt, text *name)
{
	static const Oid types[] = {TEXTOID};
	Datum		args[] = {PointerGetDatum(name)};
	Webhook    *webhook;
	MemoryContext old;
	HeapTuple	tuple;
	TupleDesc	desc;
	bool		isnull;
	Datum		value;

	fsw_execute(fsw_plan(FSW_PLAN_WEBHOOK,
						 "SELECT w.source, w.enabled, w.allow_unsigned, w.notify, w.rejected_limit, w.max_spool_age,"
						 " w.environment_id, s.id, coalesce(s.valid_from, '-infinity'),"
						 " coalesce(s.valid_until, 'infinity'), s.secret"
						 " FROM flagsmith.webhook w LEFT JOIN flagsmith.webhook_secret s ON s.webhook = w.name"
						 " AND s.secret <> '' AND s.ended_at IS NULL AND s.created_at >= w.created_at"
						 " WHERE w.name = $1 AND w.removed_at IS NULL ORDER BY s.id DESC NULLS LAST",
						 1, types),
				args, NULL, false, 0);
	if (SPI_processed == 0)
		fsw_raise_no_webhook(name);

	old = MemoryContextSwitchTo(mcxt);
	webhook = palloc0(sizeof(Webhook));
	webhook->mcxt = mcxt;
	webhook->name = text_to_cstring(name);
	tuple = SPI_tuptable->vals[0];
	desc = SPI_tuptable->tupdesc;
	webhook->source = DatumGetTextPCopy(SPI_getbinval(tuple, desc, READ_source, &isnull));
	webhook->enabled = DatumGetBool(SPI_getbinval(tuple, desc, READ_enabled, &isnull));
	webhook->allow_unsigned = DatumGetBool(SPI_getbinval(tuple, desc, READ_allow_unsigned, &isnull));
	webhook->notify = DatumGetBool(SPI_getbinval(tuple, desc, READ_notify, &isnull));
	webhook->rejected_limit = DatumGetInt64(SPI_getbinval(tuple, desc, READ_rejected_limit, &isnull));
	value = SPI_getbinval(tuple, desc, READ_max_spool_age, &isnull);
	if (!isnull)
	{
		webhook->max_spool_age = palloc(sizeof(Interval));
		*webhook->max_spool_age = *DatumGetIntervalP(value);
	}
	value = SPI_getbinval(tuple, desc, READ_environment_id, &isnull);
	webhook->has_environment = !isnull;
	webhook->environment_id = isnull ? 0 : DatumGetInt64(value);
	MemoryContextSwitchTo(old);
	key_secrets(webhook);
	SPI_freetuptable(SPI_tuptable);
	return webhook;
}

/* The webhook of a request, from what the call site keeps if that still holds. */
Webhook *
fsw_find_webhook(InboxState *state, text *name)
{
	Webhook    *webhook = state->webhook;
	CommandId	curcid = GetActiveSnapshot()->curcid;

	if (webhook == NULL || webhook->counter != fsw_xact_counter() ||
		webhook->curcid != curcid ||
		strlen(webhook->name) != VARSIZE_ANY_EXHDR(name) ||
		memcmp(webhook->name, VARDATA_ANY(name), VARSIZE_ANY_EXHDR(name)) != 0)
	{
		state->webhook = NULL;
		MemoryContextReset(state->webhook_mcxt);
		webhook = read_webhook(state->webhook_mcxt, name);
		webhook->counter = fsw_xact_counter();
		webhook->curcid = curcid;
		state->webhook = webhook;
	}
	if (!webhook->enabled)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("webhook \"%s\" is disabled", webhook->name),
				 errhidestmt(true)));
	return webhook;
}
