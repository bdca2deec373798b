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

/*
 * Begin to read such rows; false where something about their table changed
 * since they were found.
 */
bool
fsw_places_open(FswPlaces *places, FswReadTable table, Snapshot snapshot)
{
	places->table = fsw_table_open_again(table);
	if (places->table == NULL)
		return false;
	places->snapshot = snapshot;
	places->attnums = fsw_table_attnums(table);
	places->slot = table_slot_create(places->table, NULL);
	return true;
}

/*
 * Read the row at a place; false if the snapshot sees none there, as where it
 * is another version of the one that the entry found.
 */
bool
fsw_places_read(FswPlaces *places, const ItemPointerData *place)
{
	ItemPointerData tid = *place;

	return table_tuple_fetch_row_version(places->table, &tid, places->snapshot, places->slot);
}

/* A column of the row that was read last, not to be used after the next is. */
Datum
fsw_places_column(FswPlaces *places, int column, bool *isnull)
{
	return slot_getattr(places->slot, places->attnums[column], isnull);
}

/* Begin to read all rows of one block. */
void
fsw_places_begin_block(FswPlaces *places, BlockNumber block)
{
	ItemPointerData first;
	ItemPointerData last;

	ItemPointerSet(&first, block, FirstOffsetNumber);
	ItemPointerSet(&last, block, MaxOffsetNumber);
	places->block = fsw_beginscan_tidrange(places->table, places->snapshot, &first, &last);
}

/* The next of them that the snapshot sees: its number in the block; 0 at the end. */
OffsetNumber
fsw_places_next(FswPlaces *places)
{
	if (!table_scan_getnextslot_tidrange(places->block, ForwardScanDirection, places->slot))
		return InvalidOffsetNumber;
	return ItemPointerGetOffsetNumber(&places->slot->tts_tid);
}

void
fsw_places_end_block(FswPlaces *places)
{
	ExecClearTuple(places->slot);
	table_endscan(places->block);
}

void
fsw_places_close(FswPlaces *places)
{
	ExecDropSingleTupleTableSlot(places->slot);
	relation_close(places->table, NoLock);
}
