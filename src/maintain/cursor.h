/*-------------------------------------------------------------------------
 *
 * src/maintain/cursor.h
 *	  A cursor over rows in the order of a key.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FSW_CURSOR_H
#define FSW_CURSOR_H

#include "executor/spi.h"

/* A cursor over rows in the order of a key, and the row it stands on. */
typedef struct FswCursor
{
	Portal		portal;
	SPITupleTable *batch;
	uint64		size;
	uint64		next;
	MemoryContext mcxt;			/* what the current row was deformed into */
	Datum	   *values;
	bool	   *nulls;
	bool		done;
} FswCursor;

extern void fsw_cursor_open(FswCursor *cursor, const char *sql, int nargs, const Oid *types, Datum *values,
							bool read_only);
extern bool fsw_cursor_next(FswCursor *cursor);
extern void fsw_cursor_close(FswCursor *cursor);

#endif							/* FSW_CURSOR_H */
