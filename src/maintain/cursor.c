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
#include "miscadmin.h"
#include "utils/memutils.h"

#include "src/base/fsw.h"
#include "src/maintain/cursor.h"

/* Rows that a cursor fetches at a time. */
#define FETCH_COUNT 500

void
fsw_cursor_open(FswCursor *cursor, const char *sql, int nargs, const Oid *types, Datum *values, bool read_only)
{
	SPIPlanPtr	plan = SPI_prepare_cursor(sql, nargs, unconstify(Oid *, types),
										  CURSOR_OPT_NO_SCROLL | CURSOR_OPT_FAST_PLAN);

	if (plan == NULL)
		elog(ERROR, "SPI_prepare_cursor returned %s", SPI_result_code_string(SPI_result));
	memset(cursor, 0, sizeof(*cursor));
	cursor->portal = SPI_cursor_open(NULL, plan, values, NULL, read_only);
	SPI_freeplan(plan);
	cursor->mcxt = AllocSetContextCreate(CurrentMemoryContext, "flagsmith_webhook cursor",
										 ALLOCSET_DEFAULT_SIZES);
}

/* Step to the next row; its values last until the step after.  False at the end. */
bool
fsw_cursor_next(FswCursor *cursor)
{
	MemoryContext caller = CurrentMemoryContext;
	TupleDesc	desc;

	if (cursor->done)
		return false;
	if (cursor->next == cursor->size)
	{
		CHECK_FOR_INTERRUPTS();
		if (cursor->batch != NULL)
			SPI_freetuptable(cursor->batch);
		SPI_cursor_fetch(cursor->portal, true, FETCH_COUNT);
		MemoryContextSwitchTo(caller);
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
	MemoryContextSwitchTo(cursor->mcxt);
	desc = cursor->batch->tupdesc;
	cursor->values = palloc(desc->natts * sizeof(Datum));
	cursor->nulls = palloc(desc->natts * sizeof(bool));
	heap_deform_tuple(cursor->batch->vals[cursor->next++], desc, cursor->values, cursor->nulls);
	MemoryContextSwitchTo(caller);
	return true;
}

void
fsw_cursor_close(FswCursor *cursor)
{
	SPI_cursor_close(cursor->portal);
	MemoryContextDelete(cursor->mcxt);
}
