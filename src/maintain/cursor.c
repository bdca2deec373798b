/*-------------------------------------------------------------------------
 *
 * src/maintain/cursor.c
 *	  A cursor over rows in the order of a key, for tables of any size.
 *
 * Everything here expects a connected SPI and the owner's rights.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type_d.h"
#include "utils/memutils.h"

#include "src/base/fsw.h"
#include "src/maintain/cursor.h"

/* Rows that a cursor fetches at a time. */
#define FETCH_COUNT 500

void
fsw_cursor_open(FswCursor *cursor, const char *sql, Datum *range)
{
	static Oid	types[] = {INT8OID, INT8OID};
	SPIPlanPtr	plan = SPI_prepare_cursor(sql, 2, types, CURSOR_OPT_NO_SCROLL | CURSOR_OPT_FAST_PLAN);

	if (plan == NULL)
		elog(ERROR, "SPI_prepare_cursor returned %s", SPI_result_code_string(SPI_result));
	cursor->portal = SPI_cursor_open(NULL, plan, range, NULL, true);
	SPI_freeplan(plan);
	cursor->mcxt = AllocSetContextCreate(CurrentMemoryContext, "flagsmith_webhook cursor",
										 ALLOCSET_DEFAULT_SIZES);
}

/* Step to the next row; false at the end. */
bool
fsw_cursor_next(FswCursor *cursor)
{
	MemoryContext old;
	TupleDesc	desc;

	if (cursor->done)
		return false;
	if (cursor->next == cursor->size)
	{
		if (cursor->batch != NULL)
			SPI_freetuptable(cursor->batch);
		SPI_cursor_fetch(cursor->portal, true, FETCH_COUNT);
		cursor->batch = SPI_tuptable;
		cursor->size = SPI_processed;
		cursor->next = 0;
		if (cursor->size == 0)
		{
			cursor->done = true;
			return false;
		}
	}
	MemoryContextReset(cursor->mcxt);
	old = MemoryContextSwitchTo(cursor->mcxt);
	desc = cursor->batch->tupdesc;
	cursor->values = palloc(desc->natts * sizeof(Datum));
	cursor->nulls = palloc(desc->natts * sizeof(bool));
	heap_deform_tuple(cursor->batch->vals[cursor->next++], desc, cursor->values, cursor->nulls);
	MemoryContextSwitchTo(old);
	return true;
}

void
fsw_cursor_close(FswCursor *cursor)
{
	SPI_cursor_close(cursor->portal);
	MemoryContextDelete(cursor->mcxt);
}
