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

#include "catalog/pg_type_d.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "src/base/fsw.h"
#include "src/decode/row.h"

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
	fsw_store_names(event, delivery);
}
