/*-------------------------------------------------------------------------
 *
 * src/read/place.c
 *	  Rows read again, where an entry of an index said that they are.
 *
 * A place is good for whoever sees the same as the search that found it, under
 * a lock of the same transaction: what such a snapshot sees no vacuum takes
 * away, so that nothing else can be there.  What makes a table anew, as
 * CLUSTER does, gives it another file: fsw_storage() tells.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/tableam.h"
#include "executor/tuptable.h"
#include "utils/rel.h"

#include "src/base/fsw.h"
#include "src/read/scan.h"

void
fsw_places_open(FswPlaces *places, const FswReader *reader, FswReadTable table)
{
	places->snapshot = reader->snapshot;
	places->table = fsw_table_open(reader, table);
	places->attnums = fsw_table_attnums(table);
	places->fetch = fsw_index_fetch_begin(places->table);
	places->slot = table_slot_create(places->table, NULL);
}

/*
 * A column of the row at a place, not to be used after the next is read; false
 * if the snapshot sees none there.
 */
bool
fsw_places_read(FswPlaces *places, const ItemPointerData *place, int column, Datum *value, bool *isnull)
{
	ItemPointerData tid = *place;
	bool		again = false;

	if (!table_index_fetch_tuple(places->fetch, &tid, places->snapshot, places->slot, &again, NULL))
		return false;
	*value = slot_getattr(places->slot, places->attnums[column], isnull);
	return true;
}

void
fsw_places_close(FswPlaces *places)
{
	table_index_fetch_end(places->fetch);
	ExecDropSingleTupleTableSlot(places->slot);
	relation_close(places->table, NoLock);
}
