/*-------------------------------------------------------------------------
 *
 * src/maintain/rebuild.c
 *	  Every stored body decoded again and compared with its typed rows.
 *
 * Deliveries and the typed tables are read side by side in the order of their
 * keys, through one cursor each, so that memory stays flat whatever their
 * size.  Columns are compared as Datums; nothing is printed.
 *
 * A typed row of a delivery whose body was pruned is left as it is; names are
 * a hint for reading and not compared, but stored where a body says something
 * for the first time: what could not be decoded when it came is decoded again
 * here, and asked of it is what the inbox asks.  A body that is not the one its digest
 * was made of, forged or rotten, is reported, and its typed rows are left: they
 * may be all that is left of the truth.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type_d.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/tuplestore.h"

#include "src/base/fsw.h"
#include "src/decode/row.h"
#include "src/ingest/ingest.h"
#include "src/maintain/cursor.h"

/* Where a typed row stands: its key within its table. */
typedef struct RowKey
{
	int64		delivery;
	int32		ordinal;
	int32		split;			/* 0 but for audit_effect */
} RowKey;

typedef struct Rebuild
{
	bool		dry_run;
	bool		undecoded_only;
	FswCursor	deliveries;
	FswCursor	rows[FSW_TABLE_COUNT];
	Tuplestorestate *result;
	TupleDesc	desc;
	MemoryContext mcxt;			/* reset for each delivery */
	FswProgress progress;
	int64		last;			/* the last delivery there is */
	int64		compared;
	int64		pruned;
	int64		damaged;
	int64		differences;
} Rebuild;

/* Columns of the delivery cursor. */
enum
{
	BODY_id,
	BODY_webhook,
	BODY_source,
	BODY_received_at,
	BODY_stored_at,
	BODY_event_at,
	BODY_event_type,
	BODY_undecoded_reason,
	BODY_digest,
	BODY_body
};

/* ---- reading ---- */

/* The bodies to decode; $1 and $2 are the range of their ids. */
static const char *
delivery_query(bool undecoded_only)
{
	return psprintf("SELECT id, webhook, source, received_at, stored_at, event_at, event_type, undecoded_reason, digest, body"
					" FROM flagsmith.delivery WHERE id BETWEEN $1 AND $2%s ORDER BY id",
					undecoded_only ? " AND undecoded_reason IS NOT NULL" : "");
}

/*
 * Their typed rows.  Those of undecoded deliveries alone, of which there
 * should be none, are looked up one delivery after the other, so that no
 * estimate makes it a walk through the table.
 */
static const char *
table_query(const FswTable *table, bool undecoded_only)
{
	const char *last = table == &fsw_tables[FSW_TABLE_AUDIT_EFFECT] ? ", split" : "";
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfoString(&sql, "SELECT ");
	fsw_append_columns(&sql, table, "t.");
	if (undecoded_only)
		appendStringInfo(&sql, " FROM (SELECT id FROM flagsmith.delivery WHERE undecoded_reason IS NOT NULL"
						 " AND id BETWEEN $1 AND $2 OFFSET 0) d"
						 " CROSS JOIN LATERAL (SELECT * FROM flagsmith.%s WHERE delivery = d.id OFFSET 0) t",
						 table->name);
	else
		appendStringInfo(&sql, " FROM flagsmith.%s t WHERE delivery BETWEEN $1 AND $2", table->name);
	appendStringInfo(&sql, " ORDER BY delivery, ordinal%s", last);
	return sql.data;
}

/* A delivery itself has a key, too. */
static RowKey
delivery_key(int64 delivery)
{
	RowKey		key = {delivery, 0, 0};

	return key;
}

/* Not behind any row of a delivery, nor before one of an earlier. */
static RowKey
first_key(int64 delivery)
{
	RowKey		key = {delivery, PG_INT32_MIN, PG_INT32_MIN};

	return key;
}

static const RowKey last_key = {PG_INT64_MAX, PG_INT32_MAX, PG_INT32_MAX};

static RowKey
row_key(const FswTable *table, const Datum *values)
{
	RowKey		key;

	key.delivery = DatumGetInt64(values[ROW_delivery]);
	key.ordinal = DatumGetInt32(values[ROW_ordinal]);
	key.split = table == &fsw_tables[FSW_TABLE_AUDIT_EFFECT] ? DatumGetInt32(values[EFFECT_split]) : 0;
	return key;
}

static int
compare_keys(RowKey a, RowKey b)
{
	if (a.delivery != b.delivery)
		return a.delivery < b.delivery ? -1 : 1;
	if (a.ordinal != b.ordinal)
		return a.ordinal < b.ordinal ? -1 : 1;
	return a.split == b.split ? 0 : (a.split < b.split ? -1 : 1);
}

/* ---- comparing ---- */

/*
 * Whether two values of a column are the same.  Of jsonb, documents that
 * print alike are, however they are laid out.
 */
static bool
same_value(Oid type, Datum a, Datum b)
{
	struct varlena *x;
	struct varlena *y;

	if (type == BOOLOID)
		return DatumGetBool(a) == DatumGetBool(b);
	if (type == INT4OID)
		return DatumGetInt32(a) == DatumGetInt32(b);
	if (type == INT8OID || type == TIMESTAMPTZOID)
		return DatumGetInt64(a) == DatumGetInt64(b);

	x = PG_DETOAST_DATUM_PACKED(a);
	y = PG_DETOAST_DATUM_PACKED(b);
	if (VARSIZE_ANY_EXHDR(x) == VARSIZE_ANY_EXHDR(y) &&
		memcmp(VARDATA_ANY(x), VARDATA_ANY(y), VARSIZE_ANY_EXHDR(x)) == 0)
		return true;
	if (type == JSONBOID)
	{
		Jsonb	   *first = DatumGetJsonbP(a);
		Jsonb	   *second = DatumGetJsonbP(b);

		return strcmp(JsonbToCString(NULL, &first->root, VARSIZE(first)),
					  JsonbToCString(NULL, &second->root, VARSIZE(second))) == 0;
	}
	return false;
}

/* One line of the result.  columns is NULL unless the difference is in some. */
static void
report(Rebuild *rebuild, const char *table, RowKey key, const char *difference, Datum columns)
{
	static const Oid types[] = {TEXTOID, INT8OID, INT4OID, INT4OID, TEXTOID, TEXTARRAYOID};
	Datum	   *values = palloc0_array(Datum, Max(rebuild->desc->natts, (int) lengthof(types)));
	bool	   *nulls = palloc0_array(bool, Max(rebuild->desc->natts, (int) lengthof(types)));

	/* a function declared by another version than this library's */
	for (int i = 0; i < (int) lengthof(types); i++)
	{
		if (i >= rebuild->desc->natts || TupleDescAttr(rebuild->desc, i)->atttypid != types[i])
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("the function does not return what the library of this session makes"),
					 errdetail("Column %d is missing or of another type.", i + 1),
					 errhint("After an update of the extension, reconnect.")));
	}
	for (int i = lengthof(types); i < rebuild->desc->natts; i++)
		nulls[i] = true;

	values[0] = CStringGetTextDatum(table);
	values[1] = Int64GetDatum(key.delivery);
	values[2] = Int32GetDatum(key.ordinal);
	nulls[2] = key.ordinal == 0;
	values[3] = Int32GetDatum(key.split);
	nulls[3] = key.split == 0;
	values[4] = CStringGetTextDatum(difference);
	values[5] = columns;
	nulls[5] = columns == (Datum) 0;
	tuplestore_putvalues(rebuild->result, rebuild->desc, values, nulls);
	rebuild->differences++;
}

/* Names of columns, as the last column of the result. */
static Datum
column_names(const char *const *columns, int count)
{
	Datum	   *names = palloc(count * sizeof(Datum));

	for (int i = 0; i < count; i++)
		names[i] = CStringGetTextDatum(columns[i]);
	return PointerGetDatum(construct_array(names, count, TEXTOID, -1, false, TYPALIGN_INT));
}

/* The names of the columns in which a stored row differs, or 0. */
static Datum
different_columns(const FswTable *table, const FswRow *row, const Datum *values, const bool *nulls)
{
	const char **columns = NULL;
	int			count = 0;

	for (int i = 0; i < table->ncolumns; i++)
	{
		if (row->nulls[i] == nulls[i] &&
			(nulls[i] || same_value(table->types[i], row->values[i], values[i])))
			continue;
		if (columns == NULL)
			columns = palloc(table->ncolumns * sizeof(char *));
		columns[count++] = table->columns[i];
	}
	return count == 0 ? (Datum) 0 : column_names(columns, count);
}

static void
delete_row(FswTableId id, RowKey key)
{
	static const char *const statements[FSW_TABLE_COUNT] = {
		[FSW_TABLE_AUDIT_LOG] = "DELETE FROM flagsmith.audit_log WHERE delivery = $1 AND ordinal = $2",
		[FSW_TABLE_FLAG_CHANGE] = "DELETE FROM flagsmith.flag_change WHERE delivery = $1 AND ordinal = $2",
		[FSW_TABLE_AUDIT_EFFECT] = "DELETE FROM flagsmith.audit_effect WHERE delivery = $1 AND ordinal = $2 AND split = $3",
		[FSW_TABLE_VERSION_PUBLISHED] = "DELETE FROM flagsmith.version_published WHERE delivery = $1 AND ordinal = $2",
	};
	static const Oid types[] = {INT8OID, INT4OID, INT4OID};
	Datum		values[] = {Int64GetDatum(key.delivery), Int32GetDatum(key.ordinal), Int32GetDatum(key.split)};

	fsw_execute_on_history(fsw_plan(FSW_PLAN_REBUILD_DELETE + id, statements[id],
									id == FSW_TABLE_AUDIT_EFFECT ? 3 : 2, types),
						   values, NULL);
}

/*
 * Stored rows of one table before a key, or all of a delivery that is left:
 * nothing decodes to them.
 */
static void
remove_rows_before(Rebuild *rebuild, FswTableId id, RowKey key)
{
	const FswTable *table = &fsw_tables[id];
	FswCursor  *cursor = &rebuild->rows[id];

	while (!cursor->done && compare_keys(row_key(table, cursor->values), key) < 0)
	{
		RowKey		extra = row_key(table, cursor->values);

		report(rebuild, table->name, extra, "extra", (Datum) 0);
		if (!rebuild->dry_run)
			delete_row(id, extra);
		(void) fsw_cursor_next(cursor);
	}
}

static void
skip_rows(Rebuild *rebuild, FswTableId id, int64 delivery)
{
	FswCursor  *cursor = &rebuild->rows[id];

	while (!cursor->done && DatumGetInt64(cursor->values[ROW_delivery]) == delivery)
		(void) fsw_cursor_next(cursor);
}

/* One decoded row against the stored one. */
static void
compare_row(Rebuild *rebuild, FswRow *row)
{
	const FswTable *table = row->table;
	FswTableId	id = table - fsw_tables;
	FswCursor  *cursor = &rebuild->rows[id];
	RowKey		key = row_key(table, row->values);
	Datum		columns;

	remove_rows_before(rebuild, id, key);
	if (cursor->done || compare_keys(row_key(table, cursor->values), key) > 0)
	{
		report(rebuild, table->name, key, "missing", (Datum) 0);
		if (!rebuild->dry_run)
			fsw_insert_row(row);
		return;
	}
	columns = different_columns(table, row, cursor->values, cursor->nulls);
	if (columns != (Datum) 0)
	{
		report(rebuild, table->name, key, "different", columns);
		if (!rebuild->dry_run)
		{
			delete_row(id, key);
			fsw_insert_row(row);
		}
	}
	(void) fsw_cursor_next(cursor);
}

/* Whether a column of the delivery that the cursor stands on is not what it should be. */
static bool
delivery_differs(const FswCursor *cursor, int column, Oid type, Datum value, bool isnull)
{
	return isnull != cursor->nulls[column] ||
		(!isnull && !same_value(type, value, cursor->values[column]));
}

/*
 * What the delivery itself says of its event: type, time, and why it is
 * undecoded.  The time is not corrected where that would make its key another
 * delivery's.
 */
static void
compare_delivery(Rebuild *rebuild, int64 id, const FswEvent *event)
{
	static const Oid types[] = {INT8OID, TEXTOID, TEXTOID, TIMESTAMPTZOID};
	FswCursor  *cursor = &rebuild->deliveries;
	const char *reason = fsw_undecoded_reason(event);
	Datum		values[4] = {Int64GetDatum(id)};
	char		nulls[] = "    ";
	const char *columns[3];
	int			count = 0;

	if (event->event_type == NULL)
		nulls[1] = 'n';
	else
		values[1] = CStringGetTextDatum(event->event_type);
	if (reason == NULL)
		nulls[2] = 'n';
	else
		values[2] = CStringGetTextDatum(reason);

	/*
	 * One without a time of its own took that of its arrival, as it was
	 * claimed.
	 */
	values[3] = event->has_time ? TimestampTzGetDatum(event->event_at) : cursor->values[BODY_event_at];

	if (delivery_differs(cursor, BODY_event_at, TIMESTAMPTZOID, values[3], false))
		columns[count++] = "event_at";
	if (delivery_differs(cursor, BODY_event_type, TEXTOID, values[1], nulls[1] == 'n'))
		columns[count++] = "event_type";
	if (delivery_differs(cursor, BODY_undecoded_reason, TEXTOID, values[2], nulls[2] == 'n'))
		columns[count++] = "undecoded_reason";
	if (count == 0)
		return;

	report(rebuild, "delivery", delivery_key(id), "different", column_names(columns, count));
	if (!rebuild->dry_run)
		fsw_execute_on_history(fsw_plan(FSW_PLAN_REBUILD_DELIVERY,
										"UPDATE flagsmith.delivery d SET event_type = $2, undecoded_reason = $3,"
										" event_at = CASE WHEN EXISTS (SELECT FROM flagsmith.delivery k"
										"  WHERE k.source = d.source AND k.event_at = $4 AND k.digest = d.digest)"
										" THEN d.event_at ELSE $4 END"
										" WHERE d.id = $1",
										4, types),
							   values, nulls);
}

/* Every typed row of a delivery against what its body decodes to. */
static void
compare_rows(Rebuild *rebuild, const FswDelivery *delivery, FswEvent *event)
{
	ListCell   *lc;

	/* Rows of one table come in the order of their keys. */
	foreach(lc, event->rows)
	{
		FswRow	   *row = lfirst(lc);

		fsw_complete_row(row, delivery);
		compare_row(rebuild, row);
	}
	for (int id = 0; id < FSW_TABLE_COUNT; id++)
		remove_rows_before(rebuild, id, first_key(delivery->id + 1));
}

/*
 * When the same bytes arrived first, by whichever webhook, and whether none of
 * those that brought them may speak for what they are about.
 */
static TimestampTz
first_arrival(const FswDelivery *delivery, const FswEvent *event, bool *foreign)
{
	static const Oid types[] = {INT8OID, TEXTOID, TIMESTAMPTZOID};
	Datum		values[] = {Int64GetDatum(delivery->id), PointerGetDatum(delivery->webhook),
	TimestampTzGetDatum(delivery->received_at)};
	TimestampTz result = delivery->received_at;

	*foreign = true;
	fsw_execute(fsw_plan(FSW_PLAN_ARRIVALS,
						 "SELECT a.received_at, w.environment_id"
						 " FROM (SELECT $2 AS webhook, $3 AS received_at"
						 "  UNION ALL SELECT r.webhook, r.first_received_at FROM flagsmith.delivery_repeat r"
						 "  WHERE r.delivery = $1) a"
						 " LEFT JOIN flagsmith.webhook w ON w.name = a.webhook",
						 3, types),
				values, delivery->webhook == NULL ? " n " : NULL, true, 0);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple	tuple = SPI_tuptable->vals[i];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		bool		isnull;
		TimestampTz received_at = DatumGetTimestampTz(SPI_getbinval(tuple, desc, 1, &isnull));
		Datum		environment_id = SPI_getbinval(tuple, desc, 2, &isnull);

		result = Min(result, received_at);
		if (isnull || !fsw_event_is_foreign(event, DatumGetInt64(environment_id)))
			*foreign = false;
	}
	SPI_freetuptable(SPI_tuptable);
	return result;
}

/*
 * What is undecoded so far, decoded again as the inbox would take it now: with
 * its names, and with no rows where a webhook was registered for another
 * environment.
 */
static void
take_in(Rebuild *rebuild, const FswDelivery *delivery, FswEvent *event)
{
	FswDelivery earliest = *delivery;
	bool		foreign;

	if (fsw_undecoded_reason(event) != NULL)
		return;
	earliest.received_at = first_arrival(delivery, event, &foreign);
	if (foreign)
	{
		event->rows = NIL;
		event->names = NIL;
		event->reason = fsw_other_environment_reason();
	}
	else if (!rebuild->dry_run)
		fsw_store_names(event, &earliest);
}

/* The body that the cursor stands on, or NULL, counted, where there is no sound one. */
static bytea *
sound_body(Rebuild *rebuild)
{
	static const char *column = "body";
	FswCursor  *cursor = &rebuild->deliveries;
	bytea	   *body;

	if (cursor->nulls[BODY_body])
	{
		rebuild->pruned++;
		return NULL;
	}
	body = DatumGetByteaPP(cursor->values[BODY_body]);
	if (fsw_digest_is_of(DatumGetByteaPP(cursor->values[BODY_digest]), body))
		return body;
	report(rebuild, "delivery", delivery_key(DatumGetInt64(cursor->values[BODY_id])),
		   "damaged", column_names(&column, 1));
	rebuild->damaged++;
	return NULL;
}

/* The delivery that the cursor stands on. */
static void
rebuild_delivery(Rebuild *rebuild)
{
	FswCursor  *cursor = &rebuild->deliveries;
	FswDelivery delivery = {0};
	FswEvent   *event;
	bytea	   *body;

	delivery.id = DatumGetInt64(cursor->values[BODY_id]);
	for (int id = 0; id < FSW_TABLE_COUNT; id++)
		remove_rows_before(rebuild, id, first_key(delivery.id));

	body = sound_body(rebuild);
	if (body == NULL)
	{
		for (int id = 0; id < FSW_TABLE_COUNT; id++)
			skip_rows(rebuild, id, delivery.id);
		return;
	}

	delivery.webhook = cursor->nulls[BODY_webhook] ? NULL : DatumGetTextPP(cursor->values[BODY_webhook]);
	delivery.source = DatumGetTextPP(cursor->values[BODY_source]);
	delivery.received_at = DatumGetTimestampTz(cursor->values[BODY_received_at]);
	delivery.stored_at = DatumGetTimestampTz(cursor->values[BODY_stored_at]);
	delivery.event_at = DatumGetTimestampTz(cursor->values[BODY_event_at]);
	event = fsw_body_decode((const uint8 *) VARDATA_ANY(body), VARSIZE_ANY_EXHDR(body),
							delivery.webhook == NULL);
	if (!cursor->nulls[BODY_undecoded_reason])
		take_in(rebuild, &delivery, event);
	compare_rows(rebuild, &delivery, event);
	compare_delivery(rebuild, delivery.id, event);
	rebuild->compared++;
}

/* The id of the last delivery that is looked at. */
static int64
last_delivery(const Datum *range)
{
	static const Oid types[] = {INT8OID, INT8OID};
	Datum		values[] = {range[0], range[1]};
	int64		last;
	bool		isnull;

	fsw_execute(fsw_plan(FSW_PLAN_REBUILD_LAST,
						 "SELECT coalesce(max(id), 0) FROM flagsmith.delivery WHERE id BETWEEN $1 AND $2",
						 2, types),
				values, NULL, false, 0);
	last = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	SPI_freetuptable(SPI_tuptable);
	return last;
}

static void
report_progress(Rebuild *rebuild, int64 delivery)
{
	fsw_progress_tell(&rebuild->progress,
					  psprintf("compared %lld deliveries, %lld differences; at delivery %lld of %lld",
							   (long long) rebuild->compared, (long long) rebuild->differences,
							   (long long) delivery, (long long) rebuild->last));
}

/* What was left as it is, and why. */
static void
report_left(const Rebuild *rebuild)
{
	if (rebuild->pruned > 0)
		ereport(NOTICE,
				(errmsg_plural("%lld delivery has no body any more: its typed rows were left as they are",
							   "%lld deliveries have no body any more: their typed rows were left as they are",
							   rebuild->pruned, (long long) rebuild->pruned)));
	if (rebuild->damaged > 0)
		ereport(WARNING,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg_plural("%lld delivery has a body that is not the one its digest was made of",
							   "%lld deliveries have bodies that are not those their digests were made of",
							   rebuild->damaged, (long long) rebuild->damaged),
				 errdetail("Typed rows of such deliveries were left as they are.")));
}

PG_FUNCTION_INFO_V1(fsw_rebuild);

/*
 * rebuild(dry_run boolean, first bigint, last bigint, undecoded_only boolean) -
 * one row for each typed row that differs from what its body decodes to;
 * unless dry_run, make them equal.
 */
Datum
fsw_rebuild(PG_FUNCTION_ARGS)
{
	Rebuild		rebuild = {0};
	static const Oid range_types[] = {INT8OID, INT8OID};
	Datum		range[2];
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;

	rebuild.dry_run = !PG_ARGISNULL(0) && PG_GETARG_BOOL(0);
	if (!rebuild.dry_run)
		fsw_refuse_on_subscriber();
	range[0] = PG_ARGISNULL(1) ? Int64GetDatum(PG_INT64_MIN) : PG_GETARG_DATUM(1);
	range[1] = PG_ARGISNULL(2) ? Int64GetDatum(PG_INT64_MAX) : PG_GETARG_DATUM(2);
	rebuild.undecoded_only = PG_NARGS() > 3 && !PG_ARGISNULL(3) && PG_GETARG_BOOL(3);
	InitMaterializedSRF(fcinfo, 0);
	rebuild.result = rsinfo->setResult;
	rebuild.desc = rsinfo->setDesc;

	SPI_connect();
	fsw_progress_begin(&rebuild.progress, "rebuild", NULL);
	rebuild.last = last_delivery(range);
	rebuild.mcxt = AllocSetContextCreate(CurrentMemoryContext, "flagsmith_webhook rebuild",
										 ALLOCSET_DEFAULT_SIZES);
	fsw_cursor_open(&rebuild.deliveries, delivery_query(rebuild.undecoded_only),
					2, range_types, range, true);
	for (int id = 0; id < FSW_TABLE_COUNT; id++)
	{
		fsw_cursor_open(&rebuild.rows[id], table_query(&fsw_tables[id], rebuild.undecoded_only),
						2, range_types, range, true);
		(void) fsw_cursor_next(&rebuild.rows[id]);
	}

	while (fsw_cursor_next(&rebuild.deliveries))
	{
		MemoryContext old = MemoryContextSwitchTo(rebuild.mcxt);

		rebuild_delivery(&rebuild);
		if (fsw_progress_is_due(&rebuild.progress))
			report_progress(&rebuild, DatumGetInt64(rebuild.deliveries.values[BODY_id]));
		MemoryContextSwitchTo(old);
		MemoryContextReset(rebuild.mcxt);
		CHECK_FOR_INTERRUPTS();
	}
	for (int id = 0; id < FSW_TABLE_COUNT; id++)
	{
		remove_rows_before(&rebuild, id, last_key);
		fsw_cursor_close(&rebuild.rows[id]);
	}
	fsw_cursor_close(&rebuild.deliveries);
	fsw_progress_end(&rebuild.progress);
	report_left(&rebuild);
	SPI_finish();
	return (Datum) 0;
}
