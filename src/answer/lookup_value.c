/*-------------------------------------------------------------------------
 *
 * src/answer/lookup_value.c
 *	  The values in the cache of the scalar lookups.
 *
 * A history that is kept has of most values only where they are.  What a row
 * asks for is read then, and kept as one of the distinct values of all flags,
 * of which there are mostly few.  Where there is no room it is read each time.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "src/answer/lookup.h"
#include "src/base/fsw.h"
#include "src/decode/row.h"

/* Small pieces are cut from ones of this size. */
#define PIECES_SIZE 8192

/* A copy with a header that can be read as it is. */
static Datum
copy_value(const struct varlena *value, void *copy)
{
	Size		size = VARSIZE_ANY_EXHDR(value);

	SET_VARSIZE(copy, VARHDRSZ + size);
	memcpy(VARDATA(copy), VARDATA_ANY(value), size);
	return PointerGetDatum(copy);
}

/*
 * fsw_values_have_room() - may as much more be kept of values?  They have what
 * the steps, which are worth more, leave, but for a little for further names.
 */
bool
fsw_values_have_room(const Cache *cache, Size size)
{
	return cache->kept.size + size <= get_hash_memory_limit() / 16;
}

/* fsw_values_alloc() - memory for a value or the like, for which there is room. */
void *
fsw_values_alloc(Cache *cache, Size size)
{
	KeptValues *kept = &cache->kept;
	void	   *result;

	size = MAXALIGN(size);
	if (size > PIECES_SIZE / 8)
	{
		kept->size += size;
		return MemoryContextAllocHuge(cache->entries_mcxt, size);
	}
	if (size > kept->nfree)
	{
		kept->free = MemoryContextAlloc(cache->entries_mcxt, PIECES_SIZE);
		kept->nfree = PIECES_SIZE;
		kept->size += PIECES_SIZE;
	}
	result = kept->free;
	kept->free += size;
	kept->nfree -= size;
	return result;
}

/* Room for one more value of a size; false where there is none. */
static bool
make_room(Cache *cache, Size size)
{
	KeptValues *kept = &cache->kept;
	uint32		max = Max(64, kept->max * 2);
	Size		more = (max - kept->max) * (sizeof(Datum) + 3 * sizeof(uint32));
	MemoryContext caller;

	if (kept->n < kept->max)
		return fsw_values_have_room(cache, size);
	if (kept->n >= VALUE_KEPT / 4 || !fsw_values_have_room(cache, size + more))
		return false;
	caller = MemoryContextSwitchTo(cache->entries_mcxt);
	if (kept->max == 0)
	{
		kept->values = palloc_array(Datum, max);
		kept->hashes = palloc_array(uint32, max);
	}
	else
	{
		kept->values = repalloc_huge(kept->values, max * sizeof(Datum));
		kept->hashes = repalloc_huge(kept->hashes, max * sizeof(uint32));
		pfree(kept->buckets);
	}
	kept->max = max;
	kept->nbuckets = 2 * max;
	kept->buckets = palloc_extended(kept->nbuckets * sizeof(uint32), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	kept->size += more;
	for (uint32 i = 0; i < kept->n; i++)
	{
		uint32		bucket = kept->hashes[i] & (kept->nbuckets - 1);

		while (kept->buckets[bucket] != 0)
			bucket = (bucket + 1) & (kept->nbuckets - 1);
		kept->buckets[bucket] = i + 1;
	}
	MemoryContextSwitchTo(caller);
	return true;
}

/*
 * fsw_keep_value() - keep a value, neither compressed nor out of line; 0 for
 * NULL.  Returns what stands for it at a step, 0 where there is no room.
 */
uint32
fsw_keep_value(Cache *cache, Datum value)
{
	KeptValues *kept = &cache->kept;
	const struct varlena *bytes = (const struct varlena *) DatumGetPointer(value);
	Size		size;
	uint32		hash;
	uint32		bucket;

	if (bytes == NULL)
		return VALUE_NULL;
	size = VARSIZE_ANY_EXHDR(bytes);
	hash = hash_bytes((const unsigned char *) VARDATA_ANY(bytes), size);
	for (bucket = hash; kept->n > 0; bucket++)
	{
		uint32		number = kept->buckets[bucket & (kept->nbuckets - 1)];
		const struct varlena *other;

		if (number == 0)
			break;
		other = (const struct varlena *) DatumGetPointer(kept->values[number - 1]);
		if (kept->hashes[number - 1] == hash && VARSIZE_ANY_EXHDR(other) == size &&
			memcmp(VARDATA_ANY(other), VARDATA_ANY(bytes), size) == 0)
			return VALUE_KEPT | (number - 1);
	}

	if (!make_room(cache, MAXALIGN(VARHDRSZ + size)))
		return 0;
	for (bucket = hash & (kept->nbuckets - 1); kept->buckets[bucket] != 0;)
		bucket = (bucket + 1) & (kept->nbuckets - 1);
	kept->values[kept->n] = copy_value(bytes, fsw_values_alloc(cache, VARHDRSZ + size));
	kept->hashes[kept->n] = hash;
	kept->buckets[bucket] = ++kept->n;
	return VALUE_KEPT | (kept->n - 1);
}

/* The place of a row, as it stands at a step; 0 where it is too far away. */
uint32
fsw_pack_place(const Meaning *meaning, const ItemPointerData *place)
{
	BlockNumber block = ItemPointerGetBlockNumber(place) - meaning->first_block;
	OffsetNumber offset = ItemPointerGetOffsetNumber(place);

	return block >= VALUE_MAX_BLOCKS || offset >= 1 << VALUE_OFFSET_BITS ? 0 :
		block << VALUE_OFFSET_BITS | offset;
}

/*
 * A value of a step, which from now on stands there by its number unless that
 * is 0, as a call returns it, in the memory of the caller.
 */
static Datum
keep_and_return(Entry *entry, int step, uint32 number, Datum value, MemoryContext caller)
{
	const struct varlena *bytes = (const struct varlena *) DatumGetPointer(value);

	if (number != 0)
		set_step_value(entry, step, number);
	return bytes == NULL ? value : copy_value(bytes, MemoryContextAlloc(caller, VARHDRSZ + VARSIZE_ANY_EXHDR(bytes)));
}

/*
 * Read the value of a step in its row, or with it those of its block; false if
 * its place is not known.
 */
static bool
read_row(Cache *cache, Entry *entry, int step, MemoryContext caller, Datum *result)
{
	const Meaning *meaning = entry->meaning;
	uint32		packed = step_value(entry, step);
	ValueBlock *block;
	FswPlaces	places;
	ItemPointerData place;
	uint32		number = 0;
	bool		found;

	if (packed == 0)
		return false;
	ItemPointerSet(&place, meaning->first_block + (packed >> VALUE_OFFSET_BITS),
				   packed & ((1 << VALUE_OFFSET_BITS) - 1));
	block = fsw_value_block(cache, meaning, ItemPointerGetBlockNumber(&place));
	if (block != NULL)
		number = fsw_block_value(block, ItemPointerGetOffsetNumber(&place));
	if (number != 0)
	{
		*result = number == VALUE_NULL ? (Datum) 0 : cache->kept.values[number & ~VALUE_KEPT];
		*result = keep_and_return(entry, step, number, *result, caller);
		return true;
	}
	if (!fsw_places_open(&places, FSW_READ_FLAG_CHANGE, GetActiveSnapshot()))
		return false;
	found = fsw_storage(places.table) == meaning->storage;
	if (found && block != NULL)
		fsw_block_read(cache, meaning, &places, block);
	found = found && fsw_places_read(&places, &place);
	if (found)
	{
		bool		isnull;
		Datum		value = fsw_places_column(&places, FLAG_value, &isnull);

		value = isnull ? (Datum) 0 : PointerGetDatum(PG_DETOAST_DATUM_PACKED(value));
		*result = keep_and_return(entry, step, fsw_keep_value(cache, value), value, caller);
	}
	fsw_places_close(&places);
	return found;
}

/*
 * fsw_read_value() - the value of a step that is not kept so far, for an
 * instant at which it holds, in the memory of the caller; 0 for NULL.
 */
Datum
fsw_read_value(Cache *cache, Entry *entry, int step, int64 at)
{
	MemoryContext caller = MemoryContextSwitchTo(cache->probe_mcxt);
	Datum		value = (Datum) 0;

	if (!read_row(cache, entry, step, caller, &value))
	{
		FswReader  *reader = fsw_reader_open();
		bool		enabled;

		reader->known_at = cache->known_at;
		(void) fsw_lookup_probe(cache, entry, reader, at, &enabled, &value);
		value = keep_and_return(entry, step, fsw_keep_value(cache, value), value, caller);
		fsw_reader_close(reader);
	}
	MemoryContextSwitchTo(caller);
	MemoryContextReset(cache->probe_mcxt);
	return value;
}
