/*-------------------------------------------------------------------------
 *
 * src/ingest/rejected.c
 *	  The ring of rejected deliveries, and the way back out of it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/detoast.h"
#include "catalog/pg_type_d.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "src/base/fsw.h"
#include "src/decode/row.h"
#include "src/ingest/ingest.h"

/* A signature that is kept with a rejected delivery is cut to this. */
#define MAX_KEPT_SIGNATURE 256

/* Bodies above this are not kept with a rejected delivery. */
#define MAX_KEPT_BODY 65536

/*
 * Keep a refused delivery in the webhook's ring, if there is a slot for it:
 * a free one, one that was readmitted or one older than a day at once; else
 * the oldest, at most once a second.  What was well-formed is never pushed
 * out by a signature that is missing or malformed.  Writers do not wait for
 * each other: who does not get the lock does not keep the body.
 */
void
fsw_keep_rejected(const Request *request, TimestampTz received_at, TimestampTz now,
			  bool well_formed)
{
	static const Oid types[] = {TEXTOID, TEXTOID, TEXTOID, BYTEAOID,
	TIMESTAMPTZOID, TIMESTAMPTZOID, BOOLOID};
	Datum		values[7];
	char		nulls[8] = "       ";

	values[0] = PointerGetDatum(request->webhook);
	values[1] = CStringGetTextDatum(request->reason);
	if (request->signature == NULL)
		nulls[2] = 'n';
	else
		values[2] = DirectFunctionCall2(text_left, PointerGetDatum(request->signature),
										Int32GetDatum(MAX_KEPT_SIGNATURE));
	if (toast_raw_datum_size(request->body) - VARHDRSZ > MAX_KEPT_BODY)
		nulls[3] = 'n';
	else
		values[3] = request->body;
	values[4] = TimestampTzGetDatum(received_at);
	values[5] = TimestampTzGetDatum(now);
	values[6] = BoolGetDatum(well_formed);

	fsw_execute(fsw_plan(FSW_PLAN_REJECTED,
							  "WITH locked AS MATERIALIZED ("
							  " SELECT pg_try_advisory_xact_lock(hashtextextended('flagsmith.rejected ' || $1, 0)) AS ok),"
							  " ring AS ("
							  " SELECT s.slot, r.rejected_at,"
							  " CASE WHEN r.slot IS NULL OR r.readmitted_at IS NOT NULL"
							  " OR r.rejected_at < $6 - interval '1 day' THEN 0"
							  " WHEN r.reason LIKE '28W02 %' OR r.reason LIKE '28W03 %' THEN 1 ELSE 2 END AS rank,"
							  " max(r.rejected_at) OVER () AS newest"
							  " FROM generate_series(0, 63) AS s (slot)"
							  " LEFT JOIN flagsmith.rejected r ON r.webhook = $1 AND r.slot = s.slot),"
							  " victim AS ("
							  " SELECT slot FROM ring WHERE (SELECT ok FROM locked)"
							  " AND (rank = 0 OR ((rank = 1 OR $7) AND newest <= $6 - interval '1 second'))"
							  " ORDER BY rank, rejected_at, slot LIMIT 1)"
							  " INSERT INTO flagsmith.rejected AS kept"
							  " (webhook, slot, reason, signature, body, received_at, rejected_at)"
							  " SELECT $1, slot, $2, $3, $4, $5, $6 FROM victim"
							  " ON CONFLICT (webhook, slot) DO UPDATE SET reason = excluded.reason,"
							  " signature = excluded.signature, body = excluded.body,"
							  " received_at = excluded.received_at, rejected_at = excluded.rejected_at,"
							  " readmitted_at = NULL"
	/* Of another writer since the snapshot: the same rule once more. */
							  " WHERE kept.readmitted_at IS NOT NULL"
							  " OR kept.rejected_at < $6 - interval '1 day'"
							  " OR (kept.rejected_at <= $6 - interval '1 second'"
							  " AND ($7 OR kept.reason LIKE '28W02 %' OR kept.reason LIKE '28W03 %'))",
							  7, types),
					 values, nulls, false, 0);
}

PG_FUNCTION_INFO_V1(fsw_readmit);

/*
 * readmit(webhook text) returns bigint - verify what the ring holds again, and
 * take in what a secret added since then signs, with its arrival times.
 *
 * Raises 42704 and 55000 as the inbox does.
 */
Datum
fsw_readmit(PG_FUNCTION_ARGS)
{
	static const Oid ring_types[] = {TEXTOID};
	static const Oid mark_types[] = {TEXTOID, INT2OID};
	text	   *webhook = PG_GETARG_TEXT_PP(0);
	Datum		ring_args[] = {PointerGetDatum(webhook)};
	InboxState *state = fsw_inbox_state(fcinfo);
	SPITupleTable *ring;
	int64		readmitted = 0;

	SPI_connect();
	fsw_execute(fsw_plan(FSW_PLAN_RING,
							  "SELECT slot, signature, body, received_at FROM flagsmith.rejected"
							  " WHERE webhook = $1 AND readmitted_at IS NULL AND body IS NOT NULL"
							  " ORDER BY received_at FOR UPDATE",
							  1, ring_types),
					 ring_args, NULL, false, 0);
	ring = SPI_tuptable;

	/* An empty ring, too, must tell that there is no such webhook. */
	(void) fsw_find_webhook(state, webhook);
	for (uint64 i = 0; i < ring->numvals; i++)
	{
		HeapTuple	tuple = ring->vals[i];
		TupleDesc	desc = ring->tupdesc;
		Request		request = {0};
		MemoryContext old;
		bool		isnull;
		Datum		slot = SPI_getbinval(tuple, desc, 1, &isnull);
		Datum		signature = SPI_getbinval(tuple, desc, 2, &isnull);

		MemoryContextReset(state->delivery_mcxt);
		old = MemoryContextSwitchTo(state->delivery_mcxt);
		request.webhook = webhook;
		request.signature = isnull ? NULL : DatumGetTextPP(signature);
		request.body = SPI_getbinval(tuple, desc, 3, &isnull);
		request.has_claim = true;
		request.claimed_at = DatumGetTimestampTz(SPI_getbinval(tuple, desc, 4, &isnull));
		request.readmit = true;
		fsw_admit(state, &request);
		if (strcmp(request.outcome, "rejected") != 0)
		{
			Datum		mark_args[] = {PointerGetDatum(webhook), slot};

			fsw_execute(fsw_plan(FSW_PLAN_READMITTED,
									  "UPDATE flagsmith.rejected SET readmitted_at = clock_timestamp()"
									  " WHERE webhook = $1 AND slot = $2",
									  2, mark_types),
							 mark_args, NULL, false, 0);
			readmitted++;
		}
		MemoryContextSwitchTo(old);
		CHECK_FOR_INTERRUPTS();
	}
	SPI_finish();
	PG_RETURN_INT64(readmitted);
}
