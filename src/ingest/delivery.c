/*-------------------------------------------------------------------------
 *
 * src/ingest/delivery.c
 *	  One verified body into its table: stored once, or counted once more.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type_d.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "src/base/fsw.h"
#include "src/ingest/direct.h"
#include "src/ingest/ingest.h"

/* One cell of an INSERT; NULL where there is no such text. */
static void
set_text(Datum *value, char *isnull, const char *text_or_null)
{
	if (text_or_null == NULL)
		*isnull = 'n';
	else
		*value = CStringGetTextDatum(text_or_null);
}

/*
 * fsw_storing_time() - the clock, for stored_at of a delivery that is about to
 * be stored.
 */
TimestampTz
fsw_storing_time(void)
{
	fsw_xact_assign_id();
	return GetCurrentTimestamp();
}

/* Count one more arrival of a body that is stored already. */
static void
count_repeat(const FswDelivery *delivery, const FswEvent *event)
{
	static const Oid types[] = {INT8OID, TEXTOID, TIMESTAMPTZOID, TEXTOID};
	Datum		values[] = {Int64GetDatum(delivery->id), PointerGetDatum(delivery->webhook),
	TimestampTzGetDatum(delivery->received_at), (Datum) 0};
	char		nulls[5] = "    ";
	int64		repeat = 0;
	bool		is_before = false;
	bool		isnull;

	if (delivery->webhook == NULL)
		nulls[1] = 'n';
	set_text(&values[3], &nulls[3], event->event_type);
	fsw_execute_on_history(fsw_plan(FSW_PLAN_REPEAT,
									"INSERT INTO flagsmith.delivery_repeat AS r"
									" (delivery, webhook, count, first_received_at, last_received_at, event_type, arrived_at)"
									" VALUES ($1, $2, 1, $3, $3, $4, $3)"
									" ON CONFLICT (delivery, webhook) DO UPDATE SET count = r.count + 1,"
									" first_received_at = least(r.first_received_at, excluded.first_received_at),"
									" last_received_at = greatest(r.last_received_at, excluded.last_received_at)"
									" RETURNING id, first_received_at = $3 AND arrived_at IS DISTINCT FROM $3",
									4, types),
						   values, nulls);
	if (SPI_processed == 1)
	{
		HeapTuple	tuple = SPI_tuptable->vals[0];

		repeat = DatumGetInt64(SPI_getbinval(tuple, SPI_tuptable->tupdesc, 1, &isnull));
		is_before = DatumGetBool(SPI_getbinval(tuple, SPI_tuptable->tupdesc, 2, &isnull));
	}
	SPI_freetuptable(SPI_tuptable);
	if (is_before)
		fsw_record_arrival(delivery->webhook, repeat, delivery->received_at);
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

/* Insert a delivery by a statement, where that has to be; returns whether it did. */
static bool
insert_by_statement(FswDelivery *delivery, Datum *values, const bool *nulls)
{
	static const Oid types[] = {TEXTOID, TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID,
	TEXTOID, INT8OID, TEXTOID, TIMESTAMPTZOID, BYTEAOID, BYTEAOID, TEXTOID};
	char		spi_nulls[STORED_COUNT];
	bool		isnull;
	bool		inserted;

	for (int i = 0; i < STORED_COUNT; i++)
		spi_nulls[i] = nulls[i] ? 'n' : ' ';
	fsw_execute(fsw_generic_plan(FSW_PLAN_DELIVERY_INSERT,
								 "INSERT INTO flagsmith.delivery (webhook, source, received_at, stored_at,"
								 " signature, secret_id, event_type, event_at, digest, body, undecoded_reason)"
								 " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"
								 " ON CONFLICT ON CONSTRAINT delivery_event_key DO NOTHING RETURNING id",
								 STORED_COUNT, types),
				values, spi_nulls, false, 0);
	inserted = SPI_processed == 1;
	if (inserted)
		delivery->id = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0],
												   SPI_tuptable->tupdesc, 1, &isnull));
	SPI_freetuptable(SPI_tuptable);
	return inserted;
}

/*
 * Insert a delivery and set its id; false where one of its key is there.
 */
static bool
insert_delivery(FswDelivery *delivery, const FswEvent *event, bytea *body, bytea *digest,
				text *signature, int64 secret_id)
{
	char	   *undecoded = fsw_undecoded_reason(event);
	Datum		values[STORED_COUNT] = {0};
	bool		nulls[STORED_COUNT] = {0};
	FswDirectResult result;

	values[STORED_webhook] = PointerGetDatum(delivery->webhook);
	nulls[STORED_webhook] = delivery->webhook == NULL;
	values[STORED_source] = PointerGetDatum(delivery->source);
	values[STORED_received_at] = TimestampTzGetDatum(delivery->received_at);
	values[STORED_stored_at] = TimestampTzGetDatum(delivery->stored_at);
	values[STORED_signature] = PointerGetDatum(signature);
	nulls[STORED_signature] = signature == NULL;
	values[STORED_secret_id] = Int64GetDatum(secret_id);
	nulls[STORED_secret_id] = secret_id == 0;
	nulls[STORED_event_type] = event->event_type == NULL;
	if (event->event_type != NULL)
		values[STORED_event_type] = CStringGetTextDatum(event->event_type);
	values[STORED_event_at] = TimestampTzGetDatum(delivery->event_at);
	values[STORED_digest] = PointerGetDatum(digest);
	values[STORED_body] = fsw_compressed(PointerGetDatum(body));
	nulls[STORED_undecoded_reason] = undecoded == NULL;
	if (undecoded != NULL)
		values[STORED_undecoded_reason] = CStringGetTextDatum(undecoded);

	result = fsw_insert_delivery_direct(values, nulls, &delivery->id);
	return result == FSW_DIRECT_IMPOSSIBLE ?
		insert_by_statement(delivery, values, nulls) : result == FSW_DIRECT_INSERTED;
}

/*
 * Find the delivery that an insertion met, set its id, and return when it
 * arrived.  It may have been committed just now: SPI takes a fresh snapshot.
 */
static TimestampTz
find_delivery(FswDelivery *delivery, bytea *digest)
{
	static const Oid types[] = {TEXTOID, TIMESTAMPTZOID, BYTEAOID};
	Datum		key[] = {PointerGetDatum(delivery->source), TimestampTzGetDatum(delivery->event_at),
	PointerGetDatum(digest)};
	TimestampTz first;
	bool		isnull;

	fsw_execute(fsw_plan(FSW_PLAN_DELIVERY_FIND,
						 "SELECT id, received_at FROM flagsmith.delivery"
						 " WHERE source = $1 AND event_at = $2 AND digest = $3",
						 3, types),
				key, NULL, false, 0);
	if (SPI_processed != 1)
		elog(ERROR, "could not find the delivery that an insertion met");
	delivery->id = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0],
											   SPI_tuptable->tupdesc, 1, &isnull));
	first = DatumGetTimestampTz(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2, &isnull));
	SPI_freetuptable(SPI_tuptable);
	return first;
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
	bytea	   *digest = palloc(VARHDRSZ + FSW_DIGEST_LENGTH);

	SET_VARSIZE(digest, VARHDRSZ + FSW_DIGEST_LENGTH);
	fsw_sha256((const uint8 *) VARDATA_ANY(body), VARSIZE_ANY_EXHDR(body), (uint8 *) VARDATA(digest));
	if (insert_delivery(delivery, event, body, digest, signature, secret_id))
	{
		fsw_store_rows(event, delivery);
		return true;
	}
	/* it was built earlier than was known: so are its names */
	if (delivery->received_at < find_delivery(delivery, digest))
		fsw_store_names(event, delivery);
	count_repeat(delivery, event);
	return false;
}
