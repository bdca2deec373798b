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

#include "src/answer/lookup.h"
#include "src/base/fsw.h"
#include "src/decode/row.h"

/* A copy with a header that can be read as it is. */
static Datum
copy_value(const struct varlena *value)
{
	Size		size = VARSIZE_ANY_EXHDR(value);
	struct varlena *copy = palloc(VARHDRSZ + size);

	SET_VARSIZE(copy, VARHDRSZ + size);
	memcpy(VARDATA(copy), VARDATA_ANY(value), size);
	return PointerGetDatum(copy);
}

/* May as much more be kept of values?  The steps are worth more than these. */
static bool
has_room(const Cache *cache, Size size)
{
	Size		limit = get_hash_memory_limit();

	return cache->kept.size + size <= limit / 4 &&
		MemoryContextMemAllocated(cache->entries_mcxt, false) + size <= limit / 8 * 7;
}

/* Room for one more value; false where there is none. */
static bool
make_room(Cache *cache, Size size)
{
	KeptValues *kept = &cache->kept;
	uint32		max = Max(64, kept->max * 2);
	Size		more = kept->n < kept->max ? 0 : max * (sizeof(Datum) + 3 * sizeof(uint32));

	if (kept->n >= VALUE_KEPT / 4 || !has_room(cache, size + more))
		return false;
	kept->size += size;
	if (more == 0)
		return true;
	kept->size += kept->max == 0 ? more : more / 2;
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
	kept->buckets = MemoryContextAllocExtended(CurrentMemoryContext, kept->nbuckets * sizeof(uint32),
											   MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	for (uint32 i = 0; i < kept->n; i++)
	{
		uint32		bucket = kept->hashes[i] & (kept->nbuckets - 1);

		while (kept->buckets[bucket] != 0)
			bucket = (bucket + 1) & (kept->nbuckets - 1);
		kept->buckets[bucket] = i + 1;
	}
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
	MemoryContext caller;
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

	caller = MemoryContextSwitchTo(cache->entries_mcxt);
	if (!make_room(cache, size + VARHDRSZ + MAXIMUM_ALIGNOF))
	{
		MemoryContextSwitchTo(caller);
		return 0;
	}
	for (bucket = hash & (kept->nbuckets - 1); kept->buckets[bucket] != 0;)
		bucket = (bucket + 1) & (kept->nbuckets - 1);
	kept->values[kept->n] = copy_value(bytes);
	kept->hashes[kept->n] = hash;
	kept->buckets[bucket] = ++kept->n;
	MemoryContextSwitchTo(caller);
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

/* Read the value in the row of a step; false if its place is not known. */
static bool
read_row(FswPlaces *places, const Meaning *meaning, uint32 value, Datum *read)
{
	ItemPointerData place;
	bool		isnull;

	if (value == 0 || fsw_storage(places->table) != meaning->storage)
		return false;
	ItemPointerSet(&place, meaning->first_block + (value >> VALUE_OFFSET_BITS),
				   value & ((1 << VALUE_OFFSET_BITS) - 1));
	if (!fsw_places_read(places, &place, FLAG_value, read, &isnull))
		return false;
	if (isnull)
		*read = (Datum) 0;
	else
		*read = PointerGetDatum(PG_DETOAST_DATUM_PACKED(*read));
	return true;
}

/*
 * fsw_read_value() - the value of a step that is not kept so far, for an
 * instant at which it holds, in the memory of the caller; 0 for NULL.
 */
Datum
fsw_read_value(Cache *cache, Entry *entry, int step, int64 at)
{
	MemoryContext caller = MemoryContextSwitchTo(cache->probe_mcxt);
	FswReader  *reader = fsw_reader_open();
	FswPlaces	places;
	Datum		value = (Datum) 0;
	uint32		number;
	bool		enabled;

	reader->known_at = cache->known_at;
	fsw_places_open(&places, reader, FSW_READ_FLAG_CHANGE);
	if (!read_row(&places, entry->meaning, step_value(entry, step), &value))
		(void) fsw_lookup_probe(cache, entry, reader, at, &enabled, &value);
	number = fsw_keep_value(cache, value);
	if (number != 0)
		set_step_value(entry, step, number);
	MemoryContextSwitchTo(caller);
	if (DatumGetPointer(value) != NULL)
		value = copy_value((struct varlena *) DatumGetPointer(value));
	fsw_places_close(&places);
	fsw_reader_close(reader);
	MemoryContextReset(cache->probe_mcxt);
	return value;
}
