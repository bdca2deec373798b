/*-------------------------------------------------------------------------
 *
 * src/evidence/verify.c
 *	  Everything that was sealed computed again from what is there.
 *
 * The tiles are walked in the order of leaves.  Their hashes make the roots of
 * the seals anew; and the row that each leaf was made of is read, in batches in
 * the order of ids, and must make the same leaf.  What is found is a row of
 * the result each, and nothing found raises, so that one fault hides no other.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type_d.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/tuplestore.h"

#include "src/evidence/evidence.h"

/* Leaves whose rows are looked up at a time: 256 tiles. */
#define BATCH_SIZE (256 * TILE_WIDTH)

/* Ids that lie further apart are looked up by queries of their own. */
#define RUN_GAP 1000

/* A leaf whose row is still to be looked up. */
typedef struct Pending
{
	LeafRef		ref;
	int64		leaf;
	TreeHash	hash;
} Pending;

typedef struct Verify
{
	int64		from;			/* leaves to be verified */
	int64		to;
	int64		size;			/* of the whole tree */
	TileReader *tiles;
	ReturnSetInfo *rsinfo;
	TreeEdge	edge;
	bool		edge_whole;		/* no tile was missing */
	FswCursor	seals;
	bool		more_seals;
	int64		last_seal;
	int64		highest[LEAF_KINDS];
	Pending    *pending;
	int			npending;
	MemoryContext mcxt;			/* reset for each batch */
	MemoryContext row_mcxt;
	IdSet	   *pruned;			/* deliveries whose body was pruned */
	bool		subscriber;		/* without signatures and bodies */
	int64		findings;
	FswProgress progress;
} Verify;

/* ---- findings ---- */

/* fsw_report_finding() - a row of verify_seals(); leaf is -1 for none, and detail NULL. */
void
fsw_report_finding(ReturnSetInfo *rsinfo, const char *finding, const char *relation, int64 id, int64 leaf,
				   const char *detail)
{
	Datum		values[5];
	bool		nulls[5] = {0};

	values[0] = CStringGetTextDatum(finding);
	values[1] = CStringGetTextDatum(relation);
	values[2] = Int64GetDatum(id);
	values[3] = Int64GetDatum(leaf);
	nulls[3] = leaf < 0;
	nulls[4] = detail == NULL;
	if (detail != NULL)
		values[4] = CStringGetTextDatum(detail);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

static void
report(Verify *verify, const char *finding, const char *relation, int64 id, int64 leaf, const char *detail)
{
	fsw_report_finding(verify->rsinfo, finding, relation, id, leaf, detail);
	verify->findings++;
}

static void
report_tile(Verify *verify, const char *finding, int level, int64 number, const char *what)
{
	report(verify, finding, "tree_tile", number, -1, psprintf("level %d: %s", level, what));
}

static void
tell_progress(Verify *verify)
{
	if (fsw_progress_is_due(&verify->progress))
		fsw_progress_tell(&verify->progress,
						  psprintf("verified %lld of %lld leaves, %lld findings",
								   (long long) (verify->edge.size - verify->npending - verify->from),
								   (long long) (verify->to - verify->from), (long long) verify->findings));
}

/* ---- rows ---- */

/* By kind and id, equal ones by leaf. */
static int
compare_pending(const void *a, const void *b)
{
	const Pending *x = a;
	const Pending *y = b;

	if (x->ref.kind != y->ref.kind)
		return x->ref.kind < y->ref.kind ? -1 : 1;
	if (x->ref.id != y->ref.id)
		return x->ref.id < y->ref.id ? -1 : 1;
	return x->leaf < y->leaf ? -1 : x->leaf > y->leaf;
}

/* The body of a delivery is the one that its digest was made of, or was pruned. */
static void
check_body(Verify *verify, const Pending *pending, const FswCursor *rows)
{
	int			column = fsw_leaf_fields(LEAF_DELIVERY);

	if (verify->subscriber)
		return;
	if (rows->nulls[column])
	{
		if (fsw_idset_has(verify->pruned, pending->ref.id))
			report(verify, "pruned", "delivery", pending->ref.id, pending->leaf, NULL);
		else
			report(verify, "missing", "delivery", pending->ref.id, pending->leaf,
				   "its body is not there, and no pruning tells of it");
		return;
	}
	if (!fsw_digest_is_of(DatumGetByteaPP(rows->values[3]), DatumGetByteaPP(rows->values[column])))
		report(verify, "changed", "delivery", pending->ref.id, pending->leaf,
			   "its body is not the one of its digest");
}

/* A repeat's first arrival is the one that made its row, or an earlier one that was recorded. */
static void
check_arrival(Verify *verify, const Pending *pending, const FswCursor *rows)
{
	int			column = fsw_leaf_fields(LEAF_REPEAT);

	if (rows->nulls[column] || !DatumGetBool(rows->values[column]))
		report(verify, "changed", "delivery_repeat", pending->ref.id, pending->leaf,
			   "its first arrival is not one that was recorded");
}

/* What else is read of a row of a kind, behind what its leaf is made of. */
static const char *
more_columns(LeafKind kind)
{
	switch (kind)
	{
		case LEAF_DELIVERY:
			return ", body";
		case LEAF_REPEAT:
			return ", first_received_at = least(arrived_at, (SELECT min(e.valid_from) FROM flagsmith.evidence_event e"
				" WHERE e.kind = 'arrival before' AND e.subject = delivery_repeat.id))";
		default:
			return "";
	}
}

/* A row that is there must make the leaf that was sealed. */
static void
check_row(Verify *verify, const Pending *pending, const FswCursor *rows)
{
	MemoryContext old = MemoryContextSwitchTo(verify->row_mcxt);
	LeafKind	kind = pending->ref.kind;
	StringInfoData leaf;
	TreeHash	hash;

	if (!verify->subscriber || kind != LEAF_DELIVERY)
	{
		initStringInfo(&leaf);
		fsw_leaf_encode(kind, rows->values, rows->nulls, &leaf);
		fsw_tree_leaf((uint8 *) leaf.data, leaf.len, &hash);
		if (memcmp(&hash, &pending->hash, sizeof(hash)) != 0)
			report(verify, "changed", fsw_leaf_relation(kind), pending->ref.id, pending->leaf,
				   "its row does not make the leaf that was sealed");
	}
	if (kind == LEAF_DELIVERY)
		check_body(verify, pending, rows);
	else if (kind == LEAF_REPEAT)
		check_arrival(verify, pending, rows);
	MemoryContextSwitchTo(old);
	MemoryContextReset(verify->row_mcxt);
}

/* Leaves of one kind, in the order of ids that lie close together, beside their rows. */
static void
check_run(Verify *verify, const Pending *pending, int count)
{
	static const Oid types[] = {INT8OID, INT8OID};
	Datum		range[] = {Int64GetDatum(pending[0].ref.id), Int64GetDatum(pending[count - 1].ref.id)};
	LeafKind	kind = pending[0].ref.kind;
	FswCursor	rows;
	int			i = 0;

	fsw_cursor_open(&rows, fsw_leaf_query(kind, more_columns(kind), "id BETWEEN $1 AND $2"),
					2, types, range, true);
	while (fsw_cursor_next(&rows))
	{
		int64		id = DatumGetInt64(rows.values[0]);

		for (; i < count && pending[i].ref.id < id; i++)
			report(verify, "missing", fsw_leaf_relation(kind), pending[i].ref.id, pending[i].leaf, NULL);
		for (; i < count && pending[i].ref.id == id; i++)
			check_row(verify, &pending[i], &rows);
	}
	for (; i < count; i++)
		report(verify, "missing", fsw_leaf_relation(kind), pending[i].ref.id, pending[i].leaf, NULL);
	fsw_cursor_close(&rows);
}

static void
check_pending(Verify *verify)
{
	MemoryContext old = MemoryContextSwitchTo(verify->mcxt);
	int			first = 0;

	qsort(verify->pending, verify->npending, sizeof(Pending), compare_pending);
	for (int i = 1; i <= verify->npending; i++)
	{
		const Pending *last = &verify->pending[i - 1];

		if (i < verify->npending && verify->pending[i].ref.kind == last->ref.kind &&
			verify->pending[i].ref.id - last->ref.id <= RUN_GAP)
			continue;
		check_run(verify, &verify->pending[first], i - first);
		first = i;
	}
	verify->npending = 0;
	MemoryContextSwitchTo(old);
	MemoryContextReset(verify->mcxt);
}

/* ---- seals ---- */

/* The seal that the cursor stands on, whose size the edge has reached or passed. */
static void
check_seal(Verify *verify)
{
	const Datum *values = verify->seals.values;
	int64		id = DatumGetInt64(values[0]);
	bytea	   *root = DatumGetByteaPP(values[2]);
	int64		highest[LEAF_KINDS];
	int64		settled[LEAF_KINDS];
	TreeHash	computed;
	bool		ids_right = true;

	for (verify->last_seal++; verify->last_seal < id; verify->last_seal++)
		report(verify, "missing", "seal", verify->last_seal, -1, NULL);
	fsw_edge_root(&verify->edge, &computed);
	if (DatumGetInt64(values[1]) != verify->edge.size ||
		(verify->edge_whole && (VARSIZE_ANY_EXHDR(root) != sizeof(computed) ||
								memcmp(VARDATA_ANY(root), &computed, sizeof(computed)) != 0)))
		report(verify, "changed", "seal", id, -1, "its size and root are not those of the tree");
	fsw_seal_ids(values[3], highest);
	fsw_seal_ids(values[4], settled);
	for (int kind = 0; kind < LEAF_KINDS; kind++)
		ids_right = ids_right && settled[kind] <= highest[kind] &&
			(verify->from > 0 || !verify->edge_whole || highest[kind] == verify->highest[kind]);
	if (!ids_right)
		report(verify, "changed", "seal", id, -1, "its ids are not those of the leaves");
}

static void
check_seals(Verify *verify)
{
	while (verify->more_seals && DatumGetInt64(verify->seals.values[1]) <= verify->edge.size)
	{
		check_seal(verify);
		verify->more_seals = fsw_cursor_next(&verify->seals);
	}
}

static void
open_seals(Verify *verify)
{
	static const Oid types[] = {INT8OID, INT8OID};
	Datum		range[] = {Int64GetDatum(verify->from), Int64GetDatum(verify->to)};

	fsw_cursor_open(&verify->seals, "SELECT id, size, root, highest, settled FROM flagsmith.seal"
					" WHERE size BETWEEN $1 AND $2 ORDER BY id", 2, types, range, true);
	verify->more_seals = fsw_cursor_next(&verify->seals);
	if (verify->from > 0 && verify->more_seals)
		verify->last_seal = DatumGetInt64(verify->seals.values[0]) - 1;
}

/* ---- tiles ---- */

/* How many entries a tile must have in a tree of this size. */
static int
due_entries(int64 size, int level, int64 number)
{
	int64		entries = (size >> (level * TILE_BITS)) - (number << TILE_BITS);

	return Min(entries, TILE_WIDTH);
}

/* A tile that is whole, and under the hash that the next level has of it. */
static bool
check_tile(Verify *verify, int level, int64 number, Tile *tile)
{
	TreeHash	over;
	TreeHash	kept;

	if (!fsw_tile_find(true, level, number, tile) ||
		tile->count != due_entries(verify->size, level, number))
	{
		report_tile(verify, tile->count == 0 ? "missing" : "changed", level, number, "it is not whole");
		return false;
	}
	if (tile->count == TILE_WIDTH)
	{
		fsw_tree_over(tile->hashes, TILE_WIDTH, &over);
		if (!fsw_tiles_look(verify->tiles, level + 1, number, 1, &kept) ||
			memcmp(&over, &kept, sizeof(over)) != 0)
			report_tile(verify, "changed", level, number, "the level above has another hash of it");
	}
	return true;
}

/* The leaves of one tile: the edge grows by them, and their rows are pending. */
static void
take_tile(Verify *verify, int64 number, Tile *tile)
{
	int64		first = number << TILE_BITS;
	int64		end = Min(first + TILE_WIDTH, verify->to);
	bool		whole = check_tile(verify, 0, number, tile);

	verify->edge_whole = verify->edge_whole && whole;
	for (int64 leaf = Max(first, verify->from); leaf < end; leaf++)
	{
		int			i = leaf - first;
		Pending    *pending = &verify->pending[verify->npending];

		/* The sizes of seals are reached all the same. */
		if (i >= tile->count)
			memset(&tile->hashes[i], 0, sizeof(TreeHash));
		fsw_edge_append(&verify->edge, &tile->hashes[i]);
		if (whole)
		{
			pending->ref = tile->refs[i];
			pending->leaf = leaf;
			pending->hash = tile->hashes[i];
			verify->highest[pending->ref.kind] = Max(verify->highest[pending->ref.kind], pending->ref.id);
			verify->npending++;
		}
		check_seals(verify);
	}
}

/* The levels above the leaves: a hash there is one that proofs are made of. */
static void
check_levels(Verify *verify, Tile *tile)
{
	for (int level = 1; level < TREE_LEVELS; level++)
	{
		int			shift = (level + 1) * TILE_BITS;

		if (verify->size >> (level * TILE_BITS) == 0)
			break;
		for (int64 number = verify->from >> shift; number << TILE_BITS < verify->size >> (level * TILE_BITS); number++)
			check_tile(verify, level, number, tile);
	}
}

/* Tiles that no tree of this size has. */
static void
check_surplus(Verify *verify)
{
	static const Oid types[] = {INT8OID};
	Datum		size = Int64GetDatum(verify->size);
	FswCursor	tiles;

	fsw_cursor_open(&tiles, "SELECT level::bigint, tile FROM flagsmith.tree_tile"
					" WHERE level NOT BETWEEN 0 AND 7 OR tile < 0"
					" OR tile >= (($1 >> (8 * least(greatest(level, 0), 7))) + 255) >> 8",
					1, types, &size, true);
	while (fsw_cursor_next(&tiles))
		report_tile(verify, "added", (int) DatumGetInt64(tiles.values[0]), DatumGetInt64(tiles.values[1]),
					"the tree has no such tile");
	fsw_cursor_close(&tiles);
}

/* ---- rows without a leaf ---- */

/*
 * Among ids that are settled every row is sealed: what has no leaf there was
 * put in afterwards.
 */
static void
check_added(Verify *verify)
{
	static const Oid types[] = {INT8OID, INT8OID};
	IdSet	   *sealed[LEAF_KINDS];
	Seal		before;
	Seal		upto;
	int64		looked_at = 0;

	fsw_seal_at(&upto, verify->to, true);
	if (verify->from > 0)
		fsw_seal_at(&before, verify->from, true);
	else
		memset(&before, 0, sizeof(before));
	fsw_sealed_ids(&before, true, sealed);
	for (int kind = 0; kind < LEAF_KINDS; kind++)
	{
		Datum		range[] = {Int64GetDatum(verify->from > 0 ? before.settled[kind] : PG_INT64_MIN),
		Int64GetDatum(upto.settled[kind])};
		FswCursor	rows;

		fsw_cursor_open(&rows, psprintf("SELECT id FROM flagsmith.%s WHERE id > $1 AND id <= $2 ORDER BY id",
										fsw_leaf_relation(kind)),
						2, types, range, true);
		while (fsw_cursor_next(&rows))
		{
			int64		id = DatumGetInt64(rows.values[0]);

			if (++looked_at % TILE_WIDTH == 0 && fsw_progress_is_due(&verify->progress))
				fsw_progress_tell(&verify->progress,
								  psprintf("looked for the leaves of %lld rows, %lld findings",
										   (long long) looked_at, (long long) verify->findings));
			if (!fsw_idset_has(sealed[kind], id))
				report(verify, "added", fsw_leaf_relation(kind), id, -1, "it has no leaf, although all of its time have");
		}
		fsw_cursor_close(&rows);
	}
}

/* ---- the function ---- */

/* Columns of delivery that a publication leaves out are not there to be verified. */
static bool
lacks_deliveries(void)
{
	if (!fsw_is_subscriber())
		return false;
	ereport(NOTICE,
			(errmsg("leaves of deliveries are not computed again"),
			 errdetail("Deliveries come by a subscription here, without the signatures that are part of their leaves.")));
	return true;
}

/* The deliveries whose body was pruned, by whoever did it under a record. */
static IdSet *
read_pruned(void)
{
	IdSet	   *pruned = fsw_idset_create();
	FswCursor	ranges;

	fsw_cursor_open(&ranges, "SELECT lower(r), upper(r) FROM flagsmith.pruning p, unnest(p.deliveries) r",
					0, NULL, NULL, true);
	while (fsw_cursor_next(&ranges))
	{
		for (int64 id = DatumGetInt64(ranges.values[0]); id < DatumGetInt64(ranges.values[1]); id++)
			fsw_idset_add(pruned, id);
	}
	fsw_cursor_close(&ranges);
	return pruned;
}

static void
verify_leaves(Verify *verify)
{
	Tree		tree = {fsw_tiles_read, verify->tiles};
	Tile	   *tile = palloc(sizeof(Tile));

	fsw_edge_open(&tree, verify->from, &verify->edge);
	open_seals(verify);
	check_seals(verify);
	for (int64 number = verify->from >> TILE_BITS; number << TILE_BITS < verify->to; number++)
	{
		if (verify->npending + TILE_WIDTH > BATCH_SIZE)
			check_pending(verify);
		take_tile(verify, number, tile);
		tell_progress(verify);
		CHECK_FOR_INTERRUPTS();
	}
	check_pending(verify);
	/* Seals of another size than any that was reached. */
	for (; verify->more_seals; verify->more_seals = fsw_cursor_next(&verify->seals))
		check_seal(verify);
	fsw_cursor_close(&verify->seals);
	check_levels(verify, tile);
}

PG_FUNCTION_INFO_V1(fsw_verify_seals);

/*
 * _verify_seals(from_size bigint, to_size bigint) - what differs from what was
 * sealed, among the leaves from one size of the tree to another.  Raises 22023
 * for a size that was not reached.
 */
Datum
fsw_verify_seals(PG_FUNCTION_ARGS)
{
	Verify	   *verify = palloc0(sizeof(Verify));
	Seal		last;

	InitMaterializedSRF(fcinfo, 0);
	verify->rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	verify->pending = palloc_array(Pending, BATCH_SIZE);
	verify->tiles = fsw_tiles_open();
	verify->edge_whole = true;
	verify->mcxt = AllocSetContextCreate(CurrentMemoryContext, "flagsmith_webhook verify", ALLOCSET_DEFAULT_SIZES);
	verify->row_mcxt = AllocSetContextCreate(CurrentMemoryContext, "flagsmith_webhook leaf", ALLOCSET_DEFAULT_SIZES);
	SPI_connect();
	fsw_seal_last(&last, true);
	verify->size = last.size;
	verify->from = PG_ARGISNULL(0) ? 0 : PG_GETARG_INT64(0);
	verify->to = PG_ARGISNULL(1) ? last.size : PG_GETARG_INT64(1);
	if (verify->from < 0 || verify->from > verify->to || verify->to > last.size)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("there are no leaves from %lld to %lld", (long long) verify->from, (long long) verify->to),
				 errdetail("%lld are sealed.", (long long) last.size)));
	verify->subscriber = lacks_deliveries();
	verify->pruned = read_pruned();
	fsw_progress_begin(&verify->progress, "verify_seals", NULL);
	verify_leaves(verify);
	check_surplus(verify);
	check_added(verify);
	fsw_progress_end(&verify->progress);
	SPI_finish();
	return (Datum) 0;
}
