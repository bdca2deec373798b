/*-------------------------------------------------------------------------
 *
 * src/ingest/rejected.c
 *	  The ring of rejected deliveries, and the counts that outlive it.
 *
 * What is refused is kept up to a number of bytes for each webhook, so that a
 * secret added too late still finds it.  Nobody waits here: a row that another
 * session holds is passed over, be it a counter or what could give way, and a
 * counter row is added where all are held.  So no open transaction stops the
 * ring, and what it does not keep is at least counted.
 *
 * The bytes kept are the sum of what the counters say, which each writer moves
 * together with the rows.  Sessions do not see each other's open transactions,
 * so they can exceed the limit by what these hold; the sum is compared with
 * the rows at most once a second while the ring is full, since an owner may
 * have deleted some by hand.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/detoast.h"
#include "catalog/pg_type_d.h"
#include "miscadmin.h"
#include "storage/itemptr.h"
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

/* What a row counts at least: it takes room without a body, too. */
#define MIN_KEPT_BYTES 1024

/* When a row may go: at once if it was readmitted, else after a day. */
#define ROW_AGE \
	"(CASE WHEN r.readmitted_at IS NULL THEN r.rejected_at ELSE '-infinity'::pg_catalog.timestamptz END)"

/*
 * The counter row that this transaction moved last.  In a load of many rows
 * each update leaves a dead version behind, and an index search would walk all
 * of them again for every row.
 */
typedef struct CounterPlace
{
	uint64		counter;		/* 0: none */
	char		code[6];
	const char *outcome;
	char	   *webhook;
	ItemPointerData tid;
} CounterPlace;

/* The bytes that a webhook's ring holds, as this transaction knows them. */
typedef struct RingBytes
{
	uint64		counter;
	char	   *webhook;
	TimestampTz read_at;
	int64		bytes;
} RingBytes;

static CounterPlace places[16];
static RingBytes ring;

static bool
same_name(const char *a, const text *b)
{
	return a != NULL && strlen(a) == VARSIZE_ANY_EXHDR(b) &&
		memcmp(a, VARDATA_ANY(b), VARSIZE_ANY_EXHDR(b)) == 0;
}

static char *
remember_name(char *before, const text *name)
{
	char	   *result = MemoryContextAlloc(TopMemoryContext, VARSIZE_ANY_EXHDR(name) + 1);

	memcpy(result, VARDATA_ANY(name), VARSIZE_ANY_EXHDR(name));
	result[VARSIZE_ANY_EXHDR(name)] = '\0';
	if (before != NULL)
		pfree(before);
	return result;
}

/* ---- counting ---- */

static CounterPlace *
counter_place(const char *code, const char *outcome)
{
	uint32		hash = 0;

	for (const char *p = code; *p != '\0'; p++)
		hash = hash * 31 + (unsigned char) *p;
	for (const char *p = outcome; *p != '\0'; p++)
		hash = hash * 31 + (unsigned char) *p;
	return &places[hash % lengthof(places)];
}

/*
 * Count in the row that this transaction counted in before; false where that is
 * not there any more, as behind a CLUSTER.
 */
static bool
count_again(const CounterPlace *place, const Datum *counted)
{
	static const Oid types[] = {TEXTOID, TEXTOID, TEXTOID, INT8OID, INT8OID, TIMESTAMPTZOID, TIDOID};
	Datum		values[7];

	memcpy(values, counted, 6 * sizeof(Datum));
	values[6] = PointerGetDatum(&place->tid);
	fsw_execute(fsw_plan(FSW_PLAN_COUNT_REJECTED_AGAIN,
						 "UPDATE flagsmith.rejected_count AS c SET count = c.count + $4,"
						 " bytes = c.bytes + $5, last_at = greatest(c.last_at, $6)"
						 " WHERE c.ctid = $7 AND c.webhook = $1 AND c.reason = $2 AND c.outcome = $3"
						 " RETURNING c.ctid",
						 7, types),
				values, NULL, false, 0);
	if (SPI_processed == 1)
		return true;
	SPI_freetuptable(SPI_tuptable);
	return false;
}

/*
 * fsw_count_rejected() - add to what is counted of a webhook, a reason and
 * what became of it: kept, not kept, overwritten, cleared or readmitted.
 *
 * code is the SQLSTATE of the reason, bytes what the ring gained or lost.
 */
void
fsw_count_rejected(text *webhook, const char *code, const char *outcome, int64 count,
				   int64 bytes, TimestampTz now)
{
	static const Oid types[] = {TEXTOID, TEXTOID, TEXTOID, INT8OID, INT8OID, TIMESTAMPTZOID};
	CounterPlace *place = counter_place(code, outcome);
	Datum		values[] = {PointerGetDatum(webhook), CStringGetTextDatum(code),
		CStringGetTextDatum(outcome), Int64GetDatum(count), Int64GetDatum(bytes),
	TimestampTzGetDatum(now)};
	bool		isnull;

	if (place->counter != fsw_xact_counter() || strcmp(place->outcome, outcome) != 0 ||
		strcmp(place->code, code) != 0 || !same_name(place->webhook, webhook) ||
		!count_again(place, values))
		fsw_execute(fsw_plan(FSW_PLAN_COUNT_REJECTED,
							 "WITH free AS MATERIALIZED ("
							 " SELECT c.id FROM flagsmith.rejected_count c"
							 " WHERE c.webhook = $1 AND c.reason = $2 AND c.outcome = $3"
							 " LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED),"
							 " moved AS ("
							 " UPDATE flagsmith.rejected_count AS c SET count = c.count + $4,"
							 " bytes = c.bytes + $5, last_at = greatest(c.last_at, $6)"
							 " FROM free WHERE c.id = free.id RETURNING c.ctid),"
							 " added AS ("
							 " INSERT INTO flagsmith.rejected_count AS c"
							 " (webhook, reason, outcome, count, bytes, first_at, last_at)"
							 " SELECT $1, $2, $3, $4, $5, $6, $6 WHERE NOT EXISTS (SELECT FROM free)"
							 " RETURNING c.ctid)"
							 " SELECT ctid FROM moved UNION ALL SELECT ctid FROM added",
							 6, types),
					values, NULL, false, 0);
	if (SPI_processed != 1)
		elog(ERROR, "could not count a rejected delivery");

	place->counter = 0;
	place->webhook = remember_name(place->webhook, webhook);
	strlcpy(place->code, code, sizeof(place->code));
	place->outcome = outcome;
	place->tid = *(ItemPointer) DatumGetPointer(SPI_getbinval(SPI_tuptable->vals[0],
															  SPI_tuptable->tupdesc, 1, &isnull));
	place->counter = fsw_xact_counter();
	SPI_freetuptable(SPI_tuptable);

	if (ring.counter == fsw_xact_counter() && same_name(ring.webhook, webhook))
		ring.bytes += bytes;
}

/* ---- how full it is ---- */

static int64
read_bytes(text *webhook, TimestampTz now)
{
	static const Oid types[] = {TEXTOID};
	Datum		args[] = {PointerGetDatum(webhook)};
	bool		isnull;

	fsw_execute(fsw_plan(FSW_PLAN_RING_BYTES,
						 "SELECT coalesce(sum(c.bytes), 0)::pg_catalog.int8 FROM flagsmith.rejected_count c"
						 " WHERE c.webhook = $1",
						 1, types),
				args, NULL, false, 0);
	ring.counter = 0;
	ring.webhook = remember_name(ring.webhook, webhook);
	ring.bytes = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	ring.read_at = now;
	ring.counter = fsw_xact_counter();
	SPI_freetuptable(SPI_tuptable);
	return ring.bytes;
}

/* The sum of the counters; within one transaction it is read once a second. */
static int64
kept_bytes(text *webhook, TimestampTz now)
{
	if (ring.counter == fsw_xact_counter() && same_name(ring.webhook, webhook) &&
		now >= ring.read_at && now - ring.read_at < USECS_PER_SEC)
		return ring.bytes;
	return read_bytes(webhook, now);
}

/*
 * Compare the sum with the rows and set it right, if nobody did within the
 * last second.  The second statement's snapshot is younger than the lock that
 * the first one took, so that two sessions never correct the same difference.
 */
static int64
recount(text *webhook, TimestampTz now)
{
	static const Oid turn_types[] = {TEXTOID, TIMESTAMPTZOID};
	static const Oid types[] = {TEXTOID, INT8OID};
	Datum		turn_args[] = {PointerGetDatum(webhook), TimestampTzGetDatum(now)};
	Datum		args[2];
	bool		isnull;

	fsw_execute(fsw_plan(FSW_PLAN_RECOUNT_TURN,
						 "WITH mark AS MATERIALIZED ("
						 " SELECT c.id, c.last_at FROM flagsmith.rejected_count c"
						 " WHERE c.webhook = $1 AND c.reason = '' AND c.outcome = 'recounted'"
						 " ORDER BY c.id LIMIT 1),"
						 " free AS MATERIALIZED ("
						 " SELECT c.id FROM flagsmith.rejected_count c"
						 " WHERE c.id = (SELECT mark.id FROM mark) AND c.last_at < $2 - interval '1 second'"
						 " FOR NO KEY UPDATE SKIP LOCKED),"
						 " taken AS ("
						 " UPDATE flagsmith.rejected_count AS c SET count = c.count + 1, last_at = $2"
						 " FROM free WHERE c.id = free.id RETURNING c.id),"
						 " added AS ("
						 " INSERT INTO flagsmith.rejected_count AS c"
						 " (webhook, reason, outcome, count, bytes, first_at, last_at)"
						 " SELECT $1, '', 'recounted', 1, 0, $2, $2 WHERE NOT EXISTS (SELECT FROM mark)"
						 " RETURNING c.id)"
						 " SELECT id FROM taken UNION ALL SELECT id FROM added",
						 2, turn_types),
				turn_args, NULL, false, 0);
	if (SPI_processed != 1)
		return kept_bytes(webhook, now);
	args[0] = turn_args[0];
	args[1] = Int64GetDatum(DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0],
														SPI_tuptable->tupdesc, 1, &isnull)));
	fsw_execute(fsw_plan(FSW_PLAN_RECOUNT,
						 "UPDATE flagsmith.rejected_count AS c SET bytes = c.bytes"
						 " + (SELECT coalesce(sum(r.bytes), 0) FROM flagsmith.rejected r WHERE r.webhook = $1)"
						 " - (SELECT coalesce(sum(o.bytes), 0) FROM flagsmith.rejected_count o WHERE o.webhook = $1)"
						 " WHERE c.id = $2",
						 2, types),
				args, NULL, false, 0);
	return read_bytes(webhook, now);
}

/* ---- making room ---- */

/* The end of a statement that removes the rows of "gone", for count_removed(). */
#define REMOVE_GONE \
	" removed AS (" \
	" DELETE FROM flagsmith.rejected r USING gone WHERE r.id = gone.id" \
	" RETURNING r.reason, r.bytes, r.readmitted_at IS NOT NULL AS readmitted)" \
	" SELECT pg_catalog.left(reason, 5), readmitted, count(*), sum(bytes)" \
	" FROM removed GROUP BY 1, 2"

/* Count what a statement has removed from the ring, and return its bytes. */
static int64
count_removed(text *webhook, TimestampTz now)
{
	SPITupleTable *removed = SPI_tuptable;
	int64		total = 0;

	for (uint64 i = 0; i < removed->numvals; i++)
	{
		HeapTuple	tuple = removed->vals[i];
		TupleDesc	desc = removed->tupdesc;
		bool		isnull;
		char	   *code = SPI_getvalue(tuple, desc, 1);
		bool		readmitted = DatumGetBool(SPI_getbinval(tuple, desc, 2, &isnull));
		int64		count = DatumGetInt64(SPI_getbinval(tuple, desc, 3, &isnull));
		int64		bytes = DatumGetInt64(SPI_getbinval(tuple, desc, 4, &isnull));

		fsw_count_rejected(webhook, code, readmitted ? "cleared" : "overwritten", count, -bytes, now);
		total += bytes;
	}
	SPI_freetuptable(removed);
	return total;
}

/*
 * Remove what was readmitted, many rows at a time since nobody misses them,
 * then of those older than a day as many as it takes.
 */
static int64
clear_rows(text *webhook, int64 needed, TimestampTz now)
{
	static const Oid done_types[] = {TEXTOID};
	static const Oid old_types[] = {TEXTOID, TIMESTAMPTZOID};
	Datum		args[] = {PointerGetDatum(webhook), TimestampTzGetDatum(now)};
	int64		freed;

	fsw_execute(fsw_plan(FSW_PLAN_RING_CLEAR,
						 "WITH gone AS MATERIALIZED ("
						 " SELECT r.id FROM flagsmith.rejected r"
						 " WHERE r.webhook = $1 AND " ROW_AGE " = '-infinity'"
						 " LIMIT 1000 FOR UPDATE SKIP LOCKED),"
						 REMOVE_GONE,
						 1, done_types),
				args, NULL, false, 0);
	freed = count_removed(webhook, now);
	while (freed < needed)
	{
		int64		bytes;

		fsw_execute(fsw_plan(FSW_PLAN_RING_CLEAR_OLD,
							 "WITH gone AS MATERIALIZED ("
							 " SELECT r.id FROM flagsmith.rejected r"
							 " WHERE r.webhook = $1 AND " ROW_AGE " > '-infinity'"
							 " AND " ROW_AGE " < $2 - interval '1 day'"
							 " ORDER BY " ROW_AGE " LIMIT 1 FOR UPDATE SKIP LOCKED),"
							 REMOVE_GONE,
							 2, old_types),
					args, NULL, false, 0);
		bytes = count_removed(webhook, now);
		if (bytes == 0)
			break;
		freed += bytes;
		CHECK_FOR_INTERRUPTS();
	}
	return freed;
}

/* Was anything kept within the last second? */
static bool
kept_just_now(text *webhook, TimestampTz now)
{
	static const Oid types[] = {TEXTOID, TIMESTAMPTZOID};
	Datum		args[] = {PointerGetDatum(webhook), TimestampTzGetDatum(now)};

	fsw_execute(fsw_plan(FSW_PLAN_RING_NEWEST,
						 "SELECT FROM flagsmith.rejected r"
						 " WHERE r.webhook = $1 AND " ROW_AGE " > $2 - interval '1 second' LIMIT 1",
						 2, types),
				args, NULL, false, 1);
	SPI_freetuptable(SPI_tuptable);
	return SPI_processed > 0;
}

/*
 * Remove one row of no higher rank whose going frees so many bytes: of the
 * lowest rank, there the largest, there the oldest.  One must be enough, so
 * that a large forgery does not push out many small deliveries.
 */
static int64
replace_row(text *webhook, int rank, int64 needed, TimestampTz now)
{
	static const Oid types[] = {TEXTOID, INT2OID, INT8OID};

	if (kept_just_now(webhook, now))
		return 0;
	for (int lower = 0; lower <= rank; lower++)
	{
		Datum		args[] = {PointerGetDatum(webhook), Int16GetDatum(lower), Int64GetDatum(needed)};
		int64		bytes;

		fsw_execute(fsw_plan(FSW_PLAN_RING_REPLACE,
							 "WITH gone AS MATERIALIZED ("
							 " SELECT r.id FROM flagsmith.rejected r"
							 " WHERE r.webhook = $1 AND r.rank = $2 AND r.bytes >= $3 AND r.readmitted_at IS NULL"
							 " ORDER BY r.bytes DESC, r.id LIMIT 1 FOR UPDATE SKIP LOCKED),"
							 REMOVE_GONE,
							 3, types),
					args, NULL, false, 0);
		bytes = count_removed(webhook, now);
		if (bytes > 0)
			return bytes;
	}
	return 0;
}

/* ---- keeping ---- */

/*
 * How much a refused delivery is worth keeping, as the column rank has it: 2
 * for one that is authentic and speaks for another environment, 1 for one
 * that another secret may verify, 0 for what nothing can.
 */
static int
worth(const Request *request, const char *code)
{
	bool		has_signature = request->signature != NULL &&
		VARSIZE_ANY_EXHDR(request->signature) > 0;

	if (strcmp(code, "28W01") == 0)
		return 1;
	if (strcmp(code, "28W04") == 0)
		return has_signature ? 2 : 0;
	return 0;
}

static void
insert_row(const Request *request, TimestampTz received_at, TimestampTz now)
{
	static const Oid types[] = {TEXTOID, TEXTOID, TEXTOID, BYTEAOID,
	TIMESTAMPTZOID, TIMESTAMPTZOID};
	Datum		values[6];
	char		nulls[7] = "      ";

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
	fsw_execute(fsw_plan(FSW_PLAN_REJECTED,
						 "INSERT INTO flagsmith.rejected (webhook, reason, signature, body, received_at, rejected_at)"
						 " VALUES ($1, $2, $3, $4, $5, $6)",
						 6, types),
				values, nulls, false, 0);
}

/*
 * fsw_keep_rejected() - keep a refused delivery if there is room or if
 * something may give way to it, and count it in either case.
 */
void
fsw_keep_rejected(const Request *request, const Webhook *webhook, TimestampTz received_at,
				  TimestampTz now)
{
	int64		limit = webhook->rejected_limit;
	Size		size = toast_raw_datum_size(request->body) - VARHDRSZ;
	int64		bytes = size > MAX_KEPT_BODY ? MIN_KEPT_BYTES : Max((int64) size, MIN_KEPT_BYTES);
	text	   *name = request->webhook;
	char		code[6];
	bool		keep = false;

	strlcpy(code, request->reason, sizeof(code));
	if (bytes <= limit)
	{
		int64		needed = kept_bytes(name, now) + bytes - limit;

		if (needed > 0)
			needed -= clear_rows(name, needed, now);
		if (needed > 0)
			needed = recount(name, now) + bytes - limit;
		if (needed > 0)
			needed -= replace_row(name, worth(request, code), needed, now);
		keep = needed <= 0;
	}
	if (keep)
		insert_row(request, received_at, now);
	fsw_count_rejected(name, code, keep ? "kept" : "not kept", 1, keep ? bytes : 0, now);
}
