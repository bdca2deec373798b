/*-------------------------------------------------------------------------
 *
 * src/evidence/proof.c
 *	  That a delivery is in the tree, and that one tree begins another.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type_d.h"
#include "funcapi.h"
#include "utils/array.h"

#include "src/evidence/evidence.h"

static bytea *
make_bytea(const void *bytes, int len)
{
	bytea	   *result = palloc(VARHDRSZ + len);

	SET_VARSIZE(result, VARHDRSZ + len);
	memcpy(VARDATA(result), bytes, len);
	return result;
}

static Datum
proof_array(const TreeProof *proof)
{
	Datum		hashes[PROOF_MAX];

	for (int i = 0; i < proof->count; i++)
		hashes[i] = PointerGetDatum(make_bytea(&proof->hashes[i], sizeof(TreeHash)));
	return PointerGetDatum(construct_array(hashes, proof->count, BYTEAOID, -1,
										   false, TYPALIGN_INT));
}

/* A size of the tree that a caller gave, or that of the newest seal. */
static int64
given_size(FunctionCallInfo fcinfo, int argument, int64 sealed)
{
	int64		size = PG_ARGISNULL(argument) ? sealed : PG_GETARG_INT64(argument);

	if (size < 0 || size > sealed)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("there is no tree of %lld leaves", (long long) size),
				 errdetail("%lld are sealed.", (long long) sealed)));
	return size;
}

PG_FUNCTION_INFO_V1(fsw_consistency_proof);

/*
 * consistency_proof(from_size bigint, to_size bigint) returns bytea[] - that
 * the tree of from_size leaves is the beginning of that of to_size, as RFC
 * 9162, section 2.1.4, has it.  Raises 22004 for a NULL from_size and 22023 for
 * a size that was not reached.
 */
Datum
fsw_consistency_proof(PG_FUNCTION_ARGS)
{
	MemoryContext caller = CurrentMemoryContext;
	TreeProof  *proof = palloc(sizeof(TreeProof));
	Tree		tree = {fsw_tiles_read, fsw_tiles_open()};
	Seal		seal;
	int64		from;
	int64		to;

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("from_size must not be null")));
	SPI_connect();
	fsw_seal_last(&seal, true);
	to = given_size(fcinfo, 1, seal.size);
	from = given_size(fcinfo, 0, to);
	MemoryContextSwitchTo(caller);
	fsw_tree_consistency(&tree, from, to, proof);
	SPI_finish();
	PG_RETURN_DATUM(proof_array(proof));
}

/* The leaf of a delivery, or -1. */
static int64
find_leaf(int64 delivery, TreeHash *hash)
{
	static const Oid types[] = {INT8OID};
	Datum		id = Int64GetDatum(delivery);
	int64		leaf = -1;
	Tile	   *tile = palloc(sizeof(Tile));
	SPITupleTable *candidates;
	uint64		count;
	bool		isnull;

	fsw_execute(fsw_plan(FSW_PLAN_TILE_OF_DELIVERY,
						 "SELECT tile FROM flagsmith.tree_tile WHERE deliveries @> $1 ORDER BY tile",
						 1, types),
				&id, NULL, true, 0);
	candidates = SPI_tuptable;
	count = SPI_processed;
	for (uint64 i = 0; i < count && leaf < 0; i++)
	{
		int64		number = DatumGetInt64(SPI_getbinval(candidates->vals[i], candidates->tupdesc, 1, &isnull));

		if (!fsw_tile_find(true, 0, number, tile))
			fsw_tree_damaged(0, number);
		for (int j = 0; j < tile->count && leaf < 0; j++)
		{
			if (tile->refs[j].kind != LEAF_DELIVERY || tile->refs[j].id != delivery)
				continue;
			leaf = (number << TILE_BITS) + j;
			*hash = tile->hashes[j];
		}
	}
	SPI_freetuptable(candidates);
	return leaf;
}

/*
 * The bytes of the leaf of a delivery, which must be what was sealed; in a
 * context that outlives SPI's, to which each of its calls switches.
 */
static bytea *
leaf_bytes(MemoryContext mcxt, int64 delivery, const TreeHash *sealed)
{
	static const Oid types[] = {INT8OID};
	Datum		id = Int64GetDatum(delivery);
	StringInfoData leaf;
	FswCursor	rows;
	TreeHash	hash = {0};

	initStringInfo(&leaf);
	fsw_cursor_open(&rows, fsw_leaf_query(LEAF_DELIVERY, "", "id = $1"), 1, types, &id, true);
	if (fsw_cursor_next(&rows))
	{
		fsw_leaf_encode(LEAF_DELIVERY, rows.values, rows.nulls, &leaf);
		fsw_tree_leaf((const uint8 *) leaf.data, leaf.len, &hash);
	}
	fsw_cursor_close(&rows);
	if (memcmp(&hash, sealed, sizeof(hash)) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("delivery %lld is not as it was sealed", (long long) delivery),
				 errhint("flagsmith.verify_seals() tells what else differs.")));
	MemoryContextSwitchTo(mcxt);
	return make_bytea(leaf.data, leaf.len);
}

PG_FUNCTION_INFO_V1(fsw_inclusion_proof);

/*
 * inclusion_proof(delivery bigint, size bigint, OUT leaf_index bigint, OUT
 * tree_size bigint, OUT leaf bytea, OUT hashes bytea[]) - that a delivery is in
 * the tree of a size.  Raises 22004 for a NULL delivery, 42704 for one that is
 * not sealed, 22023 for a size that was not reached or does not include it,
 * XX001 where its row is not what was sealed.
 */
Datum
fsw_inclusion_proof(PG_FUNCTION_ARGS)
{
	MemoryContext caller = CurrentMemoryContext;
	TreeProof  *proof = palloc(sizeof(TreeProof));
	Tree		tree = {fsw_tiles_read, fsw_tiles_open()};
	TupleDesc	desc;
	Datum		values[4];
	bool		nulls[4] = {0};
	Seal		seal;
	TreeHash	sealed;
	int64		leaf;
	int64		size;
	bytea	   *bytes;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE || desc->natts != lengthof(values))
		elog(ERROR, "return type must be a row type of %d columns", (int) lengthof(values));
	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("delivery must not be null")));
	SPI_connect();
	fsw_seal_last(&seal, true);
	size = given_size(fcinfo, 1, seal.size);
	leaf = find_leaf(PG_GETARG_INT64(0), &sealed);
	if (leaf < 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("delivery %lld is not sealed", (long long) PG_GETARG_INT64(0)),
				 errhint("flagsmith.seal() seals what was committed.")));
	if (leaf >= size)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("delivery %lld is not in the tree of %lld leaves", (long long) PG_GETARG_INT64(0), (long long) size),
				 errdetail("It is leaf %lld.", (long long) leaf)));
	bytes = leaf_bytes(caller, PG_GETARG_INT64(0), &sealed);
	fsw_tree_inclusion(&tree, leaf, size, proof);
	SPI_finish();

	values[0] = Int64GetDatum(leaf);
	values[1] = Int64GetDatum(size);
	values[2] = PointerGetDatum(bytes);
	values[3] = proof_array(proof);
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls));
}
