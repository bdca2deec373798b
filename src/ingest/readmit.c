/*-------------------------------------------------------------------------
 *
 * src/ingest/readmit.c
 *	  The way back: rejected deliveries that can be verified now.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type_d.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "src/base/fsw.h"
#include "src/decode/row.h"
#include "src/ingest/ingest.h"

/* Ids fetched at a time; the bodies are read one by one. */
#define IDS_FETCHED 256

/*
 * Take one row in, if it verifies now.  What is refused for another reason
 * than it was says so from now on.  Returns whether it came in; a row that
 * another session took in or removed meanwhile does not.
 */
static bool
readmit_row(InboxState *state, text *webhook, Datum id)
{
	static const Oid types[] = {INT8OID};
	static const Oid mark_types[] = {INT8OID, TEXTOID};
	Request		request = {0};
	SPITupleTable *row;
	HeapTuple	tuple;
	TupleDesc	desc;
	char	   *reason;
	char		code[6];
	bool		isnull;
	Datum		value;

	fsw_execute(fsw_plan(FSW_PLAN_RING_ROW,
						 "SELECT reason, signature, body, received_at FROM flagsmith.rejected"
						 " WHERE id = $1 AND readmitted_at IS NULL FOR UPDATE",
						 1, types),
				&id, NULL, false, 0);
	row = SPI_tuptable;
	if (SPI_processed != 1)
	{
		SPI_freetuptable(row);
		return false;
	}
	tuple = row->vals[0];
	desc = row->tupdesc;
	reason = SPI_getvalue(tuple, desc, 1);
	strlcpy(code, reason, sizeof(code));
	value = SPI_getbinval(tuple, desc, 2, &isnull);
	request.webhook = webhook;
	request.signature = isnull ? NULL : DatumGetTextPP(value);
	request.body = SPI_getbinval(tuple, desc, 3, &isnull);
	request.has_claim = true;
	request.claimed_at = DatumGetTimestampTz(SPI_getbinval(tuple, desc, 4, &isnull));
	request.readmit = true;
	fsw_admit(state, &request);

	if (strcmp(request.outcome, "rejected") != 0)
	{
		fsw_execute(fsw_plan(FSW_PLAN_READMITTED,
							 "UPDATE flagsmith.rejected SET readmitted_at = clock_timestamp() WHERE id = $1",
							 1, types),
					&id, NULL, false, 0);
		fsw_count_rejected(webhook, code, "readmitted", 1, 0, GetCurrentTimestamp());
	}
	else if (strcmp(request.reason, reason) != 0)
	{
		Datum		args[] = {id, CStringGetTextDatum(request.reason)};

		fsw_execute(fsw_plan(FSW_PLAN_RING_REASON,
							 "UPDATE flagsmith.rejected SET reason = $2 WHERE id = $1",
							 2, mark_types),
					args, NULL, false, 0);
	}
	SPI_freetuptable(row);
	return strcmp(request.outcome, "rejected") != 0;
}

PG_FUNCTION_INFO_V1(fsw_readmit);

/*
 * readmit(webhook text) returns bigint - verify what the ring holds again, in
 * the order of arrival, and take in what can be verified now, with its arrival
 * times.
 *
 * Raises 42704 and 55000 as the inbox does.
 */
Datum
fsw_readmit(PG_FUNCTION_ARGS)
{
	static const Oid types[] = {TEXTOID};
	text	   *webhook = PG_GETARG_TEXT_PP(0);
	Datum		args[] = {PointerGetDatum(webhook)};
	InboxState *state = fsw_inbox_state(fcinfo);
	Portal		portal;
	FswProgress progress;
	int64		verified = 0;
	int64		readmitted = 0;

	fsw_refuse_on_subscriber();
	SPI_connect();
	fsw_progress_begin(&progress, "readmit", NULL);

	/* An empty ring, too, must tell that there is no such webhook. */
	(void) fsw_find_webhook(state, webhook);
	portal = SPI_cursor_open(NULL,
							 fsw_plan(FSW_PLAN_RING,
									  "SELECT id FROM flagsmith.rejected"
									  " WHERE webhook = $1 AND readmitted_at IS NULL AND body IS NOT NULL"
									  " ORDER BY received_at, id",
									  1, types),
							 args, NULL, false);
	for (;;)
	{
		SPITupleTable *ids;

		SPI_cursor_fetch(portal, true, IDS_FETCHED);
		ids = SPI_tuptable;
		if (SPI_processed == 0)
			break;
		for (uint64 i = 0; i < ids->numvals; i++)
		{
			bool		isnull;
			Datum		id = Int64GetDatum(DatumGetInt64(SPI_getbinval(ids->vals[i], ids->tupdesc,
																	   1, &isnull)));
			MemoryContext old;

			MemoryContextReset(state->delivery_mcxt);
			old = MemoryContextSwitchTo(state->delivery_mcxt);
			if (readmit_row(state, webhook, id))
				readmitted++;
			verified++;
			if (fsw_progress_is_due(&progress))
				fsw_progress_tell(&progress, psprintf("verified %lld deliveries, took in %lld",
													  (long long) verified, (long long) readmitted));
			MemoryContextSwitchTo(old);
			CHECK_FOR_INTERRUPTS();
		}
		SPI_freetuptable(ids);
	}
	SPI_cursor_close(portal);
	fsw_progress_end(&progress);
	SPI_finish();
	PG_RETURN_INT64(readmitted);
}
