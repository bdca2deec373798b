/*-------------------------------------------------------------------------
 *
 * src/evidence/tile.c
 *	  The tree in its table: flagsmith.tree_tile, one row for each tile.
 *
 * A row of level 0 has the hashes of 256 leaves and, packed, which rows these
 * were made of; one of a higher level has hashes over full tiles.  Only full
 * tiles are hashed over, so that no row but the last of each level is ever
 * written again.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type_d.h"

#include "src/evidence/evidence.h"

/* What a row of a tile takes at most: the kind and a difference of ids, seven bits a byte. */
#define REF_MAX_LENGTH 10

/* How many bits of it are the kind; a number of kinds that fits must stay. */
#define KIND_BITS 3

/* fsw_tree_damaged() - a tile is not there, or not as it was written. */
void
fsw_tree_damaged(int level, int64 tile)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("the evidence tree is damaged"),
			 errdetail("Tile %lld of level %d is missing or not whole.", (long long) tile, level),
			 errhint("Compare with a backup: what a witness signed tells which of the two is right.")));
}

/* ---- which rows the leaves of a tile were made of ---- */

static int
put_number(uint8 *bytes, uint64 number)
{
	int			len = 0;

	while (number >= 0x80)
	{
		bytes[len++] = (uint8) (number | 0x80);
		number >>= 7;
	}
	bytes[len++] = (uint8) number;
	return len;
}

/* Ids as differences from the last of the kind in the tile, those below 0 as odd numbers; true ids have 59 bits. */
static bytea *
refs_encode(const LeafRef *refs, int count)
{
	bytea	   *packed = palloc(VARHDRSZ + count * REF_MAX_LENGTH);
	uint8	   *bytes = (uint8 *) VARDATA(packed);
	int64		last[1 << KIND_BITS] = {0};
	int			len = 0;

	for (int i = 0; i < count; i++)
	{
		int64		difference = refs[i].id - last[refs[i].kind];
		uint64		folded = difference < 0 ? ((uint64) -(difference + 1) << 1) | 1 : (uint64) difference << 1;

		if (folded >> (63 - KIND_BITS) != 0)
			ereport(ERROR,
					(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
					 errmsg("id %lld is too large to be sealed", (long long) refs[i].id)));
		len += put_number(bytes + len, folded << KIND_BITS | refs[i].kind);
		last[refs[i].kind] = refs[i].id;
	}
	SET_VARSIZE(packed, VARHDRSZ + len);
	return packed;
}

/* fsw_refs_decode() - how many there are, or -1 for what was never written. */
int
fsw_refs_decode(const uint8 *bytes, int len, LeafRef *refs)
{
	int64		last[1 << KIND_BITS] = {0};
	int			count = 0;
	int			i = 0;

	while (i < len)
	{
		uint64		number = 0;
		int			shift = 0;

		if (count == TILE_WIDTH)
			return -1;
		do
		{
			if (i == len || shift > 63)
				return -1;
			number |= (uint64) (bytes[i] & 0x7f) << shift;
			shift += 7;
		} while (bytes[i++] & 0x80);
		refs[count].kind = number & ((1 << KIND_BITS) - 1);
		number >>= KIND_BITS;
		last[refs[count].kind] += number & 1 ? -(int64) (number >> 1) - 1 : (int64) (number >> 1);
		if (refs[count].kind >= LEAF_KINDS)
			return -1;
		refs[count].id = last[refs[count].kind];
		count++;
	}
	return count;
}

/* ---- reading ---- */

/*
 * fsw_tile_find() - a tile as it is stored, under the caller's snapshot or a
 * fresh one; false where it is missing or not whole.
 */
bool
fsw_tile_find(bool read_only, int level, int64 number, Tile *tile)
{
	static const Oid types[] = {INT2OID, INT8OID};
	Datum		key[] = {Int16GetDatum(level), Int64GetDatum(number)};
	bytea	   *hashes;
	bool		isnull;
	Datum		value;
	bool		whole = false;

	fsw_execute(fsw_plan(FSW_PLAN_TILE,
						 "SELECT hashes, refs FROM flagsmith.tree_tile WHERE level = $1 AND tile = $2",
						 2, types),
				key, NULL, read_only, 0);
	tile->number = number;
	tile->count = 0;
	if (SPI_processed == 1)
	{
		hashes = DatumGetByteaPP(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
		tile->count = Min(VARSIZE_ANY_EXHDR(hashes) / sizeof(TreeHash), TILE_WIDTH);
		memcpy(tile->hashes, VARDATA_ANY(hashes), tile->count * sizeof(TreeHash));
		whole = VARSIZE_ANY_EXHDR(hashes) == tile->count * sizeof(TreeHash) && tile->count > 0;
		value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2, &isnull);
		if (level == 0 && whole)
		{
			bytea	   *refs = isnull ? NULL : DatumGetByteaPP(value);

			whole = refs != NULL && tile->count ==
				fsw_refs_decode((uint8 *) VARDATA_ANY(refs), VARSIZE_ANY_EXHDR(refs), tile->refs);
		}
	}
	SPI_freetuptable(SPI_tuptable);
	return whole;
}

/* fsw_tiles_open() - to read tiles, of which none was read yet. */
TileReader *
fsw_tiles_open(void)
{
	TileReader *reader = palloc0(sizeof(TileReader));

	for (int level = 0; level < TREE_LEVELS; level++)
		reader->levels[level].number = -1;
	return reader;
}

/* fsw_tiles_look() - entries of a level, where they are there and whole. */
bool
fsw_tiles_look(TileReader *reader, int level, int64 entry, int count, TreeHash *hashes)
{
	Tile	   *tile = &reader->levels[level];
	int64		number = entry >> TILE_BITS;
	int			first = entry & (TILE_WIDTH - 1);

	if (tile->number != number && !fsw_tile_find(true, level, number, tile))
	{
		tile->number = -1;
		return false;
	}
	if (first + count > tile->count)
		return false;
	memcpy(hashes, &tile->hashes[first], count * sizeof(TreeHash));
	return true;
}

/* fsw_tiles_read() - a TreeRead of a TileReader. */
void
fsw_tiles_read(void *arg, int level, int64 entry, int count, TreeHash *hashes)
{
	if (!fsw_tiles_look(arg, level, entry, count, hashes))
		fsw_tree_damaged(level, entry >> TILE_BITS);
}

/* ---- writing ---- */

/* The ids of deliveries in a tile, from the least to the greatest. */
static bool
delivery_range(const Tile *tile, int64 *least, int64 *greatest)
{
	bool		found = false;

	for (int i = 0; i < tile->count; i++)
	{
		if (tile->refs[i].kind != LEAF_DELIVERY)
			continue;
		*least = found ? Min(*least, tile->refs[i].id) : tile->refs[i].id;
		*greatest = found ? Max(*greatest, tile->refs[i].id) : tile->refs[i].id;
		found = true;
	}
	return found;
}

static void
store_tile(int level, const Tile *tile)
{
	static const Oid types[] = {INT2OID, INT8OID, BYTEAOID, BYTEAOID, INT8OID, INT8OID};
	int			size = tile->count * sizeof(TreeHash);
	bytea	   *hashes = palloc(VARHDRSZ + size);
	Datum		values[lengthof(types)];
	char		nulls[] = "      ";
	int64		least = 0;
	int64		greatest = 0;

	SET_VARSIZE(hashes, VARHDRSZ + size);
	memcpy(VARDATA(hashes), tile->hashes, size);
	values[0] = Int16GetDatum(level);
	values[1] = Int64GetDatum(tile->number);
	values[2] = PointerGetDatum(hashes);
	if (level == 0)
		values[3] = PointerGetDatum(refs_encode(tile->refs, tile->count));
	else
		nulls[3] = 'n';
	if (level != 0 || !delivery_range(tile, &least, &greatest))
		nulls[4] = nulls[5] = 'n';
	values[4] = Int64GetDatum(least);
	values[5] = Int64GetDatum(greatest);
	fsw_execute_on_history(fsw_plan(FSW_PLAN_TILE_STORE,
									"INSERT INTO flagsmith.tree_tile AS t (level, tile, hashes, refs, deliveries)"
									" VALUES ($1, $2, $3, $4, CASE WHEN $5 IS NOT NULL THEN int8range($5, $6, '[]') END)"
									" ON CONFLICT (level, tile) DO UPDATE SET hashes = excluded.hashes,"
									" refs = excluded.refs, deliveries = excluded.deliveries",
									lengthof(types), types),
						   values, nulls);
	pfree(hashes);
	if (level == 0)
		pfree(DatumGetPointer(values[3]));
}

/* fsw_tiles_begin() - go on behind the leaves that are there. */
void
fsw_tiles_begin(TileWriter *writer, int64 size)
{
	writer->size = size;
	for (int level = 0; level < TREE_LEVELS; level++)
	{
		int64		entries = size >> (level * TILE_BITS);
		Tile	   *tile = &writer->levels[level];
		int			count = entries & (TILE_WIDTH - 1);

		tile->number = entries >> TILE_BITS;
		tile->count = 0;
		if (count == 0)
			continue;
		if (!fsw_tile_find(false, level, tile->number, tile) || tile->count != count)
			fsw_tree_damaged(level, entries >> TILE_BITS);
	}
}

/* An entry of a level; a tile that is full with it is stored, and makes one of the next level. */
static void
append_entry(TileWriter *writer, int level, const TreeHash *hash)
{
	Tile	   *tile = &writer->levels[level];
	TreeHash	over;

	tile->hashes[tile->count++] = *hash;
	if (tile->count < TILE_WIDTH)
		return;
	store_tile(level, tile);
	fsw_tree_over(tile->hashes, TILE_WIDTH, &over);
	tile->number++;
	tile->count = 0;
	append_entry(writer, level + 1, &over);
}

/* fsw_tiles_append() - one leaf more, and what it is made of. */
void
fsw_tiles_append(TileWriter *writer, LeafRef ref, const TreeHash *leaf)
{
	Tile	   *tile = &writer->levels[0];

	tile->refs[tile->count] = ref;
	append_entry(writer, 0, leaf);
	writer->size++;
}

/* A TreeRead of a TileWriter: the right edge is all that a root needs. */
static void
read_edge(void *arg, int level, int64 entry, int count, TreeHash *hashes)
{
	const Tile *tile = &((TileWriter *) arg)->levels[level];

	if (entry >> TILE_BITS != tile->number || (entry & (TILE_WIDTH - 1)) + count > tile->count)
		elog(ERROR, "entry %lld of level %d is not at the edge", (long long) entry, level);
	memcpy(hashes, &tile->hashes[entry & (TILE_WIDTH - 1)], count * sizeof(TreeHash));
}

/* fsw_tiles_end() - store what is not full, and give the root. */
void
fsw_tiles_end(TileWriter *writer, TreeHash *root)
{
	Tree		tree = {read_edge, writer};

	for (int level = 0; level < TREE_LEVELS; level++)
	{
		if (writer->levels[level].count > 0)
			store_tile(level, &writer->levels[level]);
	}
	fsw_tree_root(&tree, writer->size, root);
}
