/*-------------------------------------------------------------------------
 *
 * src/ingest/row_store.c
 *	  The rows of a decoded event into the typed tables.
 *
 * Used by the inbox, the imports and rebuild() alike.  Everything here
 * expects a connected SPI and the owner's rights.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/toast_compression.h"
#include "access/toast_internals.h"
#include "access/xact.h"
#include "catalog/pg_type_d.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include "src/base/fsw.h"
#include "src/ingest/direct.h"

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

/* Less than this many bytes are stored as they are. */
#define COMPRESS_FROM 256

/*
 * fsw_compressed() - a bytea or jsonb as it is stored.  The server compresses
 * only rows of more than 2 kB, which most are not, although what they hold
 * is JSON and half of it air; so it is done here, where LZ4, which costs next
 * to nothing, is built in.  It is the server's own form: whoever reads the
 * column sees no difference.
 */
Datum
fsw_compressed(Datum value)
{
#ifdef USE_LZ4
	if (!VARATT_IS_EXTENDED(DatumGetPointer(value)) &&
		VARSIZE(DatumGetPointer(value)) >= COMPRESS_FROM)
	{
		Datum		compressed = toast_compress_datum(value, TOAST_LZ4_COMPRESSION);

		if (DatumGetPointer(compressed) != NULL)
			return compressed;
	}
#endif
	return value;
}

/* One complete row by a statement, where the table is not as it was made. */
static void
insert_by_statement(const FswTable *table, Datum *values, const bool *nulls)
{
	static char *statements[FSW_TABLE_COUNT];
	char	  **statement = &statements[table - fsw_tables];
	char	   *spi_nulls = palloc(table->ncolumns);

	if (*statement == NULL)
	{
		StringInfoData sql;

		initStringInfo(&sql);
		appendStringInfo(&sql, "INSERT INTO flagsmith.%s (", table->name);
		fsw_append_columns(&sql, table, "");
		appendStringInfoString(&sql, ") VALUES (");
		for (int i = 0; i < table->ncolumns; i++)
			appendStringInfo(&sql, "%s$%d", i > 0 ? ", " : "", i + 1);
		appendStringInfoChar(&sql, ')');
		*statement = MemoryContextStrdup(TopMemoryContext, sql.data);
		pfree(sql.data);
	}
	for (int i = 0; i < table->ncolumns; i++)
		spi_nulls[i] = nulls[i] ? 'n' : ' ';
	if (fsw_execute(fsw_generic_plan(table->plan, *statement, table->ncolumns, table->types),
					values, spi_nulls, false, 0) != SPI_OK_INSERT)
		elog(ERROR, "could not insert into \"%s\"", table->name);
	pfree(spi_nulls);
}

/* fsw_insert_row() - one complete row into its table. */
void
fsw_insert_row(const FswRow *row)
{
	const FswTable *table = row->table;
	Datum	   *stored = palloc_array(Datum, table->ncolumns);

	for (int i = 0; i < table->ncolumns; i++)
		stored[i] = table->types[i] == JSONBOID && !row->nulls[i] ?
			fsw_compressed(row->values[i]) : row->values[i];
	if (!fsw_insert_direct(table, stored, row->nulls))
		insert_by_statement(table, stored, row->nulls);
	pfree(stored);
}

/* Mark a block of ids, or of such blocks, if it is complete. */
static void
mark_block(Datum source, int64 size, int64 block)
{
	static const Oid types[] = {TEXTOID, INT8OID, INT8OID};
	Datum		values[] = {source, Int64GetDatum(size), Int64GetDatum(block)};
	bool		of_ids = size == 64;

	if (block < 0)
		return;
	fsw_execute(of_ids ?
				fsw_plan(FSW_PLAN_BLOCK,
						 "INSERT INTO flagsmith.audit_id_block (source, size, block, stored_at)"
						 " SELECT $1, $2, $3, clock_timestamp() WHERE (SELECT count(DISTINCT audit_id)"
						 " FROM flagsmith.audit_log WHERE source = $1 AND audit_id >= $3 * $2 AND audit_id < $3 * $2 + $2) = $2"
						 " ON CONFLICT DO NOTHING", 3, types) :
				fsw_plan(FSW_PLAN_BLOCK_OF_BLOCKS,
						 "INSERT INTO flagsmith.audit_id_block (source, size, block, stored_at)"
						 " SELECT $1, $2, $3, clock_timestamp() WHERE (SELECT count(*)"
						 " FROM flagsmith.audit_id_block WHERE source = $1 AND size = $2 / 64"
						 " AND block >= $3 * 64 AND block < $3 * 64 + 64) = 64"
						 " ON CONFLICT DO NOTHING", 3, types),
				values, NULL, false, 0);
}

/*
 * An audit entry was stored: at each 64th, mark the block before the one that
 * it is in, by when that has settled, and larger ones a little later.
 */
static void
mark_blocks(const FswRow *row)
{
	int64		id;

	if (row->table != &fsw_tables[FSW_TABLE_AUDIT_LOG] || row->nulls[AUDIT_audit_id])
		return;
	id = DatumGetInt64(row->values[AUDIT_audit_id]);
	if (id < 0 || id % 64 != 63)
		return;
	mark_block(row->values[ROW_source], 64, id / 64 - 1);
	if (id % 4096 == 127)
		mark_block(row->values[ROW_source], 4096, id / 4096 - 1);
	if (id % 262144 == 191)
		mark_block(row->values[ROW_source], 262144, id / 262144 - 1);
}

/*
 * fsw_store_rows() - write everything that an event says.  A page of many
 * entries can take long.
 */
void
fsw_store_rows(FswEvent *event, const FswDelivery *delivery)
{
	FswProgress progress;
	ListCell   *lc;

	if (event->is_import)
		fsw_progress_begin(&progress, "import", NULL);
	foreach(lc, event->rows)
	{
		FswRow	   *row = lfirst(lc);

		CHECK_FOR_INTERRUPTS();
		fsw_complete_row(row, delivery);
		fsw_insert_row(row);
		mark_blocks(row);
		if (event->is_import && fsw_progress_is_due(&progress))
			fsw_progress_tell(&progress, psprintf("stored %d of %d rows",
												  foreach_current_index(lc) + 1, list_length(event->rows)));
	}
	fsw_store_names(event, delivery);
	/* seen by what comes behind, as behind a statement */
	CommandCounterIncrement();
	if (event->is_import)
		fsw_progress_end(&progress);
}
