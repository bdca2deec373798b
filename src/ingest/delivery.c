/*-------------------------------------------------------------------------
 *
 * src/ingest/delivery.c
 *	  One verified body into its table: stored once, or counted once more.
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

/* Count one more arrival of a body that is stored already. */
static void
count_repeat(int64 delivery_id, text *webhook, TimestampTz received_at)
{
	static const Oid types[] = {INT8OID, TEXTOID, TIMESTAMPTZOID};
	Datum		values[] = {Int64GetDatum(delivery_id), PointerGetDatum(webhook),
	TimestampTzGetDatum(received_at)};
	char		nulls[4] = "   ";

	if (webhook == NULL)
		nulls[1] = 'n';
	fsw_execute_on_history(fsw_plan(FSW_PLAN_REPEAT,
									"INSERT INTO flagsmith.delivery_repeat AS r"
									" (delivery, webhook, count, first_received_at, last_received_at)"
									" VALUES ($1, $2, 1, $3, $3)"
									" ON CONFLICT (delivery, webhook) DO UPDATE SET count = r.count + 1,"
									" first_received_at = least(r.first_received_at, excluded.first_received_at),"
									" last_received_at = greatest(r.last_received_at, excluded.last_received_at)",
									3, types),
						   values, nulls);
}

/*
 * fsw_undecoded_reason() - what a delivery says about itself where an event
 * gives no typed rows; NULL if it gives them.
 */
char *
fsw_undecoded_reason(const FswEvent *event)
{
	if (event->unrecognized)
		return fsw_sqlstate_reason(ERRCODE_FSW_WARNING_UNRECOGNIZED_EVENT,
							   psprintf("unrecognized webhook event type \"%s\"",
										fsw_shown_type(event->event_type)));
	return event->reason;
}

/*
 * fsw_store_delivery() - the delivery and its typed rows, or one more arrival
 * of a body that is there already.
 *
 * Returns whether it is new.  delivery->id is set in either case.
 */
bool
fsw_store_delivery(FswDelivery *delivery, FswEvent *event, bytea *body, text *signature,
				   int64 secret_id)
{
	static const Oid insert_types[] = {TEXTOID, TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID,
		TEXTOID, INT8OID, TEXTOID, TIMESTAMPTZOID, BYTEAOID, BYTEAOID, TEXTOID};
	static const Oid find_types[] = {TEXTOID, TIMESTAMPTZOID, BYTEAOID};
	bytea	   *digest = palloc(VARHDRSZ + FSW_DIGEST_LENGTH);
	Datum		values[11];
	char		nulls[12] = "           ";
	char	   *reason = fsw_undecoded_reason(event);
	TimestampTz first;
	bool		isnull;

	SET_VARSIZE(digest, VARHDRSZ + FSW_DIGEST_LENGTH);
	fsw_sha256((const uint8 *) VARDATA_ANY(body), VARSIZE_ANY_EXHDR(body), (uint8 *) VARDATA(digest));

	values[0] = PointerGetDatum(delivery->webhook);
	nulls[0] = delivery->webhook == NULL ? 'n' : ' ';
	values[1] = PointerGetDatum(delivery->source);
	values[2] = TimestampTzGetDatum(delivery->received_at);
	values[3] = TimestampTzGetDatum(delivery->stored_at);
	values[4] = PointerGetDatum(signature);
	nulls[4] = signature == NULL ? 'n' : ' ';
	values[5] = Int64GetDatum(secret_id);
	nulls[5] = secret_id == 0 ? 'n' : ' ';
	if (event->event_type == NULL)
		nulls[6] = 'n';
	else
		values[6] = CStringGetTextDatum(event->event_type);
	values[7] = TimestampTzGetDatum(delivery->event_at);
	values[8] = PointerGetDatum(digest);
	values[9] = PointerGetDatum(body);
	if (reason == NULL)
		nulls[10] = 'n';
	else
		values[10] = CStringGetTextDatum(reason);

	fsw_execute(fsw_plan(FSW_PLAN_DELIVERY_INSERT,
							  "INSERT INTO flagsmith.delivery (webhook, source, received_at, stored_at,"
							  " signature, secret_id, event_type, event_at, digest, body, undecoded_reason)"
							  " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"
							  " ON CONFLICT ON CONSTRAINT delivery_event_key DO NOTHING RETURNING id",
							  11, insert_types),
					 values, nulls, false, 0);
	if (SPI_processed == 1)
	{
		delivery->id = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0],
												   SPI_tuptable->tupdesc, 1, &isnull));
		SPI_freetuptable(SPI_tuptable);
		fsw_store_rows(event, delivery);
		return true;
	}
	SPI_freetuptable(SPI_tuptable);

	/* The winner may have committed just now: SPI takes a fresh snapshot. */
	{
		Datum		key[] = {values[1], values[7], values[8]};

		fsw_execute(fsw_plan(FSW_PLAN_DELIVERY_FIND,
								  "SELECT id, received_at FROM flagsmith.delivery"
								  " WHERE source = $1 AND event_at = $2 AND digest = $3",
								  3, find_types),
						 key, NULL, false, 0);
	}
	if (SPI_processed != 1)
		elog(ERROR, "could not find the delivery that an insertion met");
	delivery->id = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0],
											   SPI_tuptable->tupdesc, 1, &isnull));
	first = DatumGetTimestampTz(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2, &isnull));
	SPI_freetuptable(SPI_tuptable);
	/* it was built earlier than was known: so are its names */
	if (delivery->received_at < first)
		fsw_store_names(event, delivery);
	count_repeat(delivery->id, delivery->webhook, delivery->received_at);
	return false;
}

PG_FUNCTION_INFO_V1(fsw_reprocess);

/*
 * reprocess() returns bigint - decode again what could not be decoded when it
 * came, as a newer version of this extension may be able to.
 */
Datum
fsw_reprocess(PG_FUNCTION_ARGS)
{
	static const Oid mark_types[] = {INT8OID, TEXTOID};
	InboxState *state = fsw_inbox_state(fcinfo);
	Portal		portal;
	int64		decoded = 0;

	SPI_connect();
	portal = SPI_cursor_open(NULL,
							 fsw_plan(FSW_PLAN_UNDECODED,
									  "SELECT id, webhook, source, received_at, stored_at, event_at, body"
									  " FROM flagsmith.delivery"
									  " WHERE undecoded_reason IS NOT NULL AND body IS NOT NULL ORDER BY id",
									  0, NULL),
							 NULL, NULL, true);
	for (;;)
	{
		FswDelivery delivery;
		FswEvent   *event;
		HeapTuple	tuple;
		TupleDesc	desc;
		MemoryContext old;
		bool		isnull;
		bool		no_webhook;
		bytea	   *body;

		SPI_cursor_fetch(portal, true, 1);
		if (SPI_processed == 0)
			break;
		tuple = SPI_tuptable->vals[0];
		desc = SPI_tuptable->tupdesc;
		MemoryContextReset(state->delivery_mcxt);
		old = MemoryContextSwitchTo(state->delivery_mcxt);
		delivery.id = DatumGetInt64(SPI_getbinval(tuple, desc, 1, &isnull));
		delivery.webhook = (text *) DatumGetPointer(SPI_getbinval(tuple, desc, 2, &no_webhook));
		if (no_webhook)
			delivery.webhook = NULL;
		delivery.source = DatumGetTextPP(SPI_getbinval(tuple, desc, 3, &isnull));
		delivery.received_at = DatumGetTimestampTz(SPI_getbinval(tuple, desc, 4, &isnull));
		delivery.stored_at = DatumGetTimestampTz(SPI_getbinval(tuple, desc, 5, &isnull));
		delivery.event_at = DatumGetTimestampTz(SPI_getbinval(tuple, desc, 6, &isnull));
		body = DatumGetByteaPP(SPI_getbinval(tuple, desc, 7, &isnull));

		event = fsw_body_decode((const uint8 *) VARDATA_ANY(body), VARSIZE_ANY_EXHDR(body), no_webhook);
		if (event->reason == NULL && !event->unrecognized)
		{
			Datum		values[] = {Int64GetDatum(delivery.id),
			event->event_type ? CStringGetTextDatum(event->event_type) : (Datum) 0};

			fsw_store_rows(event, &delivery);
			fsw_execute_on_history(fsw_plan(FSW_PLAN_DECODED,
											"UPDATE flagsmith.delivery SET undecoded_reason = NULL,"
											" event_type = coalesce($2, event_type) WHERE id = $1",
											2, mark_types),
								   values, event->event_type ? "  " : " n");
			decoded++;
		}
		MemoryContextSwitchTo(old);
		SPI_freetuptable(SPI_tuptable);
		CHECK_FOR_INTERRUPTS();
	}
	SPI_cursor_close(portal);
	SPI_finish();
	PG_RETURN_INT64(decoded);
}
