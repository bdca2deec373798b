/*-------------------------------------------------------------------------
 *
 * src/ingest/row_store.c
 *	  The rows of a decoded event into the typed tables, the names into theirs.
 *
 * Used by the inbox, reprocess() and the imports alike.  Everything here
 * expects a connected SPI and the owner's rights.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type_d.h"
#include "common/hashfn.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "src/base/fsw.h"
#include "src/decode/row.h"

/*
 * Ids are integers and UUIDs; a longer one, which only an invented body can
 * have, is left out rather than refused by the index.
 */
#define MAX_NAME_ID 200

/* What a session remembers of names that it has seen stored. */
#define NAMES_REMEMBERED 1024

typedef struct SeenName
{
	uint64		counter;		/* valid within one (sub)transaction only */
	uint64		thing;			/* hash of source, kind and id */
	uint64		name;			/* hash of the name it had last */
	TimestampTz since;
	TimestampTz until;
} SeenName;

static SeenName seen_names[NAMES_REMEMBERED];

/* fsw_complete_row() - fill in what a row takes from its delivery. */
void
fsw_complete_row(FswRow *row, const FswDelivery *delivery)
{
	const FswTable *table = row->table;

	row->values[ROW_delivery] = Int64GetDatum(delivery->id);
	row->values[ROW_ordinal] = Int32GetDatum(row->ordinal);
	row->values[ROW_source] = PointerGetDatum(delivery->source);
	row->values[ROW_received_at] = TimestampTzGetDatum(delivery->received_at);
	row->values[ROW_stored_at] = TimestampTzGetDatum(delivery->stored_at);
	memset(row->nulls, false, ROW_own * sizeof(bool));

	if (table == &fsw_tables[FSW_TABLE_VERSION_PUBLISHED])
	{
		row->nulls[ROW_own] = delivery->webhook == NULL;
		row->values[ROW_own] = PointerGetDatum(delivery->webhook);
	}
	else if (row->nulls[ROW_own])
	{
		row->nulls[ROW_own] = false;
		row->values[ROW_own] = TimestampTzGetDatum(delivery->received_at);
	}
}

/* fsw_insert_row() - one complete row into its table. */
void
fsw_insert_row(const FswRow *row)
{
	const FswTable *table = row->table;
	static char *statements[FSW_TABLE_COUNT];
	char	  **statement = &statements[table - fsw_tables];
	char	   *spi_nulls = palloc(table->ncolumns);

	if (*statement == NULL)
	{
		StringInfoData sql;

		initStringInfo(&sql);
		appendStringInfo(&sql, "INSERT INTO flagsmith.%s (", table->name);
		for (int i = 0; i < table->ncolumns; i++)
			appendStringInfo(&sql, "%s%s", i > 0 ? ", " : "", table->columns[i]);
		appendStringInfoString(&sql, ") VALUES (");
		for (int i = 0; i < table->ncolumns; i++)
			appendStringInfo(&sql, "%s$%d", i > 0 ? ", " : "", i + 1);
		appendStringInfoChar(&sql, ')');
		*statement = MemoryContextStrdup(TopMemoryContext, sql.data);
		pfree(sql.data);
	}
	for (int i = 0; i < table->ncolumns; i++)
		spi_nulls[i] = row->nulls[i] ? 'n' : ' ';
	if (fsw_execute(fsw_plan(table->plan, *statement, table->ncolumns, table->types),
						 row->values, spi_nulls, false, 0) != SPI_OK_INSERT)
		elog(ERROR, "could not insert into \"%s\"", table->name);
	pfree(spi_nulls);
}

static uint64
thing_hash(const FswName *name, const text *source)
{
	uint64		hash = 0;

	hash = DatumGetUInt64(hash_any_extended((const unsigned char *) VARDATA_ANY(source),
											VARSIZE_ANY_EXHDR(source), hash));
	hash = DatumGetUInt64(hash_any_extended((const unsigned char *) name->kind,
											strlen(name->kind), hash));
	return DatumGetUInt64(hash_any_extended((const unsigned char *) name->id,
											strlen(name->id), hash));
}

/*
 * Store a name where the newest one before its instant differs.
 *
 * A load of many deliveries names the same few things: within one transaction
 * the stretch of time over which the last name of a thing was found to hold is
 * remembered, and nothing is read again.  Only the last: a name that is given
 * and then taken back ends the stretch of the one before it.  Another session's rename in that stretch can be
 * missed; names are a hint for reading.
 */
static void
store_name(const FswName *name, const FswDelivery *delivery)
{
	static const Oid types[] = {TEXTOID, TEXTOID, TEXTOID, TIMESTAMPTZOID, TEXTOID, INT8OID};
	TimestampTz since = name->has_since ? name->since : delivery->received_at;
	uint64		thing = thing_hash(name, delivery->source);
	uint64		hash = DatumGetUInt64(hash_any_extended((const unsigned char *) VARDATA_ANY(name->name),
														VARSIZE_ANY_EXHDR(name->name), 0));
	SeenName   *seen = &seen_names[thing % NAMES_REMEMBERED];
	uint64		counter = fsw_xact_counter();
	Datum		values[6];
	char		nulls[7] = "      ";
	bool		isnull;
	Datum		value;

	if (strlen(name->id) > MAX_NAME_ID)
		return;
	if (seen->counter == counter && seen->thing == thing && seen->name == hash &&
		since >= seen->since && since < seen->until)
		return;

	values[0] = PointerGetDatum(delivery->source);
	values[1] = CStringGetTextDatum(name->kind);
	values[2] = CStringGetTextDatum(name->id);
	values[3] = TimestampTzGetDatum(since);
	values[4] = PointerGetDatum(name->name);
	values[5] = Int64GetDatum(name->project_id);
	if (!name->has_project)
		nulls[5] = 'n';
	if (fsw_execute(fsw_plan(FSW_PLAN_NAME,
								  "WITH before AS ("
								  " SELECT n.name, n.since FROM flagsmith.name n"
								  " WHERE n.source = $1 AND n.kind = $2 AND n.id = $3 AND n.since <= $4"
								  " ORDER BY n.since DESC LIMIT 1),"
								  " stored AS ("
								  " INSERT INTO flagsmith.name (source, kind, id, since, name, project_id)"
								  " SELECT $1, $2, $3, $4, $5, $6"
								  " WHERE (SELECT b.name FROM before b) IS DISTINCT FROM $5"
								  " ON CONFLICT DO NOTHING)"
								  " SELECT CASE WHEN (SELECT b.name FROM before b) = $5"
								  " THEN (SELECT b.since FROM before b) ELSE $4 END,"
								  " (SELECT n.since FROM flagsmith.name n"
								  " WHERE n.source = $1 AND n.kind = $2 AND n.id = $3 AND n.since > $4"
								  " ORDER BY n.since LIMIT 1)",
								  6, types),
						 values, nulls, false, 0) != SPI_OK_SELECT || SPI_processed != 1)
		elog(ERROR, "could not store a name");

	seen->counter = counter;
	seen->thing = thing;
	seen->name = hash;
	value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull);
	seen->since = DatumGetTimestampTz(value);
	value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2, &isnull);
	seen->until = isnull ? DT_NOEND : DatumGetTimestampTz(value);
	SPI_freetuptable(SPI_tuptable);
}

/* fsw_store_rows() - write everything that an event says. */
void
fsw_store_rows(FswEvent *event, const FswDelivery *delivery)
{
	ListCell   *lc;

	foreach(lc, event->rows)
	{
		FswRow	   *row = lfirst(lc);

		fsw_complete_row(row, delivery);
		fsw_insert_row(row);
	}
	foreach(lc, event->names)
		store_name(lfirst(lc), delivery);
}
