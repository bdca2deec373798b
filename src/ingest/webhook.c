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

/*
 * Key the secrets of a webhook.  One that was ended, or that belongs to an
 * earlier registration under the same name, is none of them, whatever arrival
 * a delivery claims.
 */
static void
read_secrets(Webhook *webhook, text *name, TimestampTz registered_at)
{
	static const Oid types[] = {TEXTOID, TIMESTAMPTZOID};
	Datum		args[] = {PointerGetDatum(name), TimestampTzGetDatum(registered_at)};

	fsw_execute(fsw_plan(FSW_PLAN_SECRETS,
							  "SELECT id, coalesce(valid_from, '-infinity'), coalesce(valid_until, 'infinity'), secret"
							  " FROM flagsmith.webhook_secret"
							  " WHERE webhook = $1 AND secret <> '' AND id IS NOT NULL"
							  " AND ended_at IS NULL AND created_at >= $2 ORDER BY id DESC",
							  2, types),
					 args, NULL, false, 0);
	webhook->secrets = MemoryContextAllocZero(webhook->mcxt, (SPI_processed + 1) * sizeof(Secret));
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		Secret	   *secret = &webhook->secrets[i];
		HeapTuple	tuple = SPI_tuptable->vals[i];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		bool		isnull;
		text	   *plain;

		secret->id = DatumGetInt64(SPI_getbinval(tuple, desc, 1, &isnull));
		secret->valid_from = DatumGetTimestampTz(SPI_getbinval(tuple, desc, 2, &isnull));
		secret->valid_until = DatumGetTimestampTz(SPI_getbinval(tuple, desc, 3, &isnull));
		plain = DatumGetTextPP(SPI_getbinval(tuple, desc, 4, &isnull));
		secret->key = fsw_key_create(webhook->mcxt, VARDATA_ANY(plain), VARSIZE_ANY_EXHDR(plain));
		explicit_bzero(VARDATA_ANY(plain), VARSIZE_ANY_EXHDR(plain));
		webhook->nsecrets++;
	}
	SPI_freetuptable(SPI_tuptable);
}

/*
 * Read a webhook and key its secrets.  Raises 42704 if there is none of that
 * name.  SPI must be connected, with the owner's rights.
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
	TimestampTz registered_at;

	fsw_execute(fsw_plan(FSW_PLAN_WEBHOOK,
							  "SELECT source, enabled, allow_unsigned, notify, rejected_limit, max_spool_age,"
							  " environment_id, created_at"
							  " FROM flagsmith.webhook WHERE name = $1 AND removed_at IS NULL",
							  1, types),
					 args, NULL, false, 0);
	if (SPI_processed != 1)
		fsw_raise_no_webhook(name);

	old = MemoryContextSwitchTo(mcxt);
	webhook = palloc0(sizeof(Webhook));
	webhook->mcxt = mcxt;
	webhook->name = text_to_cstring(name);
	tuple = SPI_tuptable->vals[0];
	desc = SPI_tuptable->tupdesc;
	webhook->source = DatumGetTextPCopy(SPI_getbinval(tuple, desc, 1, &isnull));
	webhook->enabled = DatumGetBool(SPI_getbinval(tuple, desc, 2, &isnull));
	webhook->allow_unsigned = DatumGetBool(SPI_getbinval(tuple, desc, 3, &isnull));
	webhook->notify = DatumGetBool(SPI_getbinval(tuple, desc, 4, &isnull));
	webhook->rejected_limit = DatumGetInt64(SPI_getbinval(tuple, desc, 5, &isnull));
	value = SPI_getbinval(tuple, desc, 6, &isnull);
	if (!isnull)
	{
		webhook->max_spool_age = palloc(sizeof(Interval));
		*webhook->max_spool_age = *DatumGetIntervalP(value);
	}
	value = SPI_getbinval(tuple, desc, 7, &isnull);
	webhook->has_environment = !isnull;
	webhook->environment_id = isnull ? 0 : DatumGetInt64(value);
	registered_at = DatumGetTimestampTz(SPI_getbinval(tuple, desc, 8, &isnull));
	MemoryContextSwitchTo(old);
	SPI_freetuptable(SPI_tuptable);
	read_secrets(webhook, name, registered_at);
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
