/*-------------------------------------------------------------------------
 *
 * src/answer/lookup_block.c
 *	  Values of the rows of whole blocks, in the cache of the scalar lookups.
 *
 * Rows that stand together are of many flags, and to come to one of them costs
 * as much as to read several that lie beside it: most of it is waiting for
 * memory.  So a block that is asked for again and again is read as a whole, the
 * rows of the same environment in it.  Before, what was spent on single rows is
 * about what that costs, so that it is never much more than was needed.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/tableam.h"
#include "access/xact.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "src/answer/lookup.h"
#include "src/base/fsw.h"
#include "src/decode/row.h"

/* All of a block costs about as much as so many rows by themselves. */
#define BLOCK_WORTH 4

/* No block has more rows, as far as places of rows are packed. */
#define MAX_ROWS (1 << VALUE_OFFSET_BITS)

/* Where a block is among those known, or would be. */
static ValueBlock *
find_block(const KeptValues *kept, BlockNumber number)
{
	uint32		i = number;

	while (kept->blocks[i & (kept->maxblocks - 1)].nasked != 0 &&
		   kept->blocks[i & (kept->maxblocks - 1)].block != number)
		i++;
	return &kept->blocks[i & (kept->maxblocks - 1)];
}

/* Room for one more block; false where there is none. */
static bool
make_room(Cache *cache)
{
	KeptValues *kept = &cache->kept;
	KeptValues	old = *kept;
	Size		size = Max(64, old.maxblocks * 2) * sizeof(ValueBlock);

	if (!fsw_values_have_room(cache, size))
		return false;
	kept->maxblocks = Max(64, old.maxblocks * 2);
	kept->blocks = MemoryContextAllocExtended(cache->entries_mcxt, size, MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	kept->size += size - old.maxblocks * sizeof(ValueBlock);
	for (uint32 i = 0; i < old.maxblocks; i++)
	{
		if (old.blocks[i].nasked != 0)
			*find_block(kept, old.blocks[i].block) = old.blocks[i];
	}
	if (old.blocks != NULL)
		pfree(old.blocks);
	return true;
}

/*
 * fsw_value_block() - what is known of a block with rows of an entry, which is
 * asked for once more; NULL where nothing can be.
 */
ValueBlock *
fsw_value_block(Cache *cache, const Meaning *meaning, BlockNumber number)
{
	KeptValues *kept = &cache->kept;
	ValueBlock *block = kept->nblocks > 0 ? find_block(kept, number) : NULL;

	if (kept->nblocks == 0)
		kept->storage = meaning->storage;
	if (kept->storage != meaning->storage)
		return NULL;
	if (block == NULL || block->nasked == 0)
	{
		if (kept->nblocks * 2 >= kept->maxblocks && !make_room(cache))
			return NULL;
		block = find_block(kept, number);
		block->block = number;
		kept->nblocks++;
	}
	if (block->nasked <= BLOCK_WORTH)
		block->nasked++;
	return block;
}

/* The value of a row in it, as it stands at a step; 0 where it is not known. */
uint32
fsw_block_value(const ValueBlock *block, OffsetNumber offset)
{
	uint16		value = offset <= block->nvalues ? block->values[offset - 1] : ROW_NOT_READ;

	return value == ROW_NOT_READ ? 0 : value == ROW_NULL ? VALUE_NULL : VALUE_KEPT | (value - 1);
}

static bool
is_of_environment(const Meaning *meaning, int64 id)
{
	for (int i = 0; i < meaning->npairs; i++)
	{
		if (meaning->pairs[i].environment_id == id)
			return true;
	}
	return false;
}

/* The value of the row that was read, as a block has it. */
static uint16
read_row(Cache *cache, const Meaning *meaning, FswPlaces *places)
{
	bool		isnull;
	Datum		value = fsw_places_column(places, FLAG_environment_id, &isnull);
	uint32		number;

	if (isnull || !is_of_environment(meaning, DatumGetInt64(value)))
		return ROW_NOT_READ;
	value = fsw_places_column(places, FLAG_value, &isnull);
	if (isnull)
		return ROW_NULL;
	if (VARATT_IS_COMPRESSED(DatumGetPointer(value)) || VARATT_IS_EXTERNAL(DatumGetPointer(value)))
		return ROW_NOT_READ;
	number = fsw_keep_value(cache, value);
	if (number == 0 || (number & ~VALUE_KEPT) + 1 >= ROW_NULL)
		return ROW_NOT_READ;
	return (number & ~VALUE_KEPT) + 1;
}

/*
 * fsw_block_read() - read all of a block, if it is worth it by now: once.  A
 * serializable transaction must not look at rows that nobody asked for.
 */
void
fsw_block_read(Cache *cache, const Meaning *meaning, FswPlaces *places, ValueBlock *block)
{
	uint16		values[MAX_ROWS] = {ROW_NOT_READ};
	OffsetNumber offset;
	int			n = 0;

	if (block->nasked != BLOCK_WORTH || IsolationIsSerializable() ||
		places->table->rd_tableam->scan_set_tidrange == NULL)
		return;
	fsw_places_begin_block(places, block->block);
	while ((offset = fsw_places_next(places)) != InvalidOffsetNumber)
	{
		if (offset > MAX_ROWS)
			continue;
		values[offset - 1] = read_row(cache, meaning, places);
		n = offset;
	}
	fsw_places_end_block(places);
	if (n == 0 || !fsw_values_have_room(cache, n * sizeof(uint16)))
		return;
	block->values = memcpy(fsw_values_alloc(cache, n * sizeof(uint16)), values, n * sizeof(uint16));
	block->nvalues = n;
}
