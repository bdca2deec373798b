/*-------------------------------------------------------------------------
 *
 * src/evidence/seal.c
 *	  What was committed since the last seal becomes leaves.
 *
 * Ids are given in one order and committed in another, so that no id says
 * "all up to here are there".  What does: whoever stores a row takes its
 * transaction id first and the id of the row after that.  A seal notes the
 * highest id that it saw and, read after that, the next transaction id: any
 * transaction from that one on gives its rows higher ids.  Once all before it
 * have ended, as the oldest that is running tells a later seal, every row up
 * to the noted id is there or never comes.  The seal that finds this out looks
 * at them all, and from then on these ids are settled: the next seal begins
 * behind them, and a row that appears among them was not put there by the inbox.
 *
 * The order of leaves is that of sealing and means nothing else.  One session
 * seals at a time; readers and the inbox do not wait for it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/transam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/namespace.h"
#include "catalog/pg_type_d.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/array.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "src/evidence/evidence.h"

typedef struct Sealing
{
	Seal		last;
	Seal		seal;
	int64		oldest;			/* transaction that was running at the
								 * beginning */
	int64		appended;
	int64		looked_at;		/* rows */
	FswProgress progress;
	IdSet	   *sealed[LEAF_KINDS]; /* what has a leaf already */
	TileWriter	writer;
} Sealing;

/* ---- the table of seals ---- */

/* fsw_seal_ids() - an id for each kind of leaf, of an array that may have been made for fewer. */
void
fsw_seal_ids(Datum array, int64 *ids)
{
	Datum	   *elements;
	int			count;

	deconstruct_array(DatumGetArrayTypeP(array), INT8OID, sizeof(int64), FLOAT8PASSBYVAL,
					  TYPALIGN_DOUBLE, &elements, NULL, &count);
	for (int kind = 0; kind < LEAF_KINDS; kind++)
		ids[kind] = kind < count ? DatumGetInt64(elements[kind]) : 0;
}

/* The seal that a statement found, or none. */
static void
read_seal(Seal *seal)
{
	TupleDesc	desc = SPI_tuptable->tupdesc;
	bool		isnull;
	bytea	   *root;

	memset(seal, 0, sizeof(*seal));
	fsw_sha256((const uint8 *) "", 0, seal->root.bytes);
	if (SPI_processed == 1)
	{
		HeapTuple	tuple = SPI_tuptable->vals[0];

		seal->id = DatumGetInt64(SPI_getbinval(tuple, desc, 1, &isnull));
		seal->size = DatumGetInt64(SPI_getbinval(tuple, desc, 2, &isnull));
		root = DatumGetByteaPP(SPI_getbinval(tuple, desc, 3, &isnull));
		if (VARSIZE_ANY_EXHDR(root) == sizeof(TreeHash))
			memcpy(&seal->root, VARDATA_ANY(root), sizeof(TreeHash));
		fsw_seal_ids(SPI_getbinval(tuple, desc, 4, &isnull), seal->highest);
		fsw_seal_ids(SPI_getbinval(tuple, desc, 5, &isnull), seal->settled);
	}
	SPI_freetuptable(SPI_tuptable);
}

/* fsw_seal_at() - the newest seal of at most so many leaves; of size 0 where there is none. */
void
fsw_seal_at(Seal *seal, int64 size, bool read_only)
{
	static const Oid types[] = {INT8OID};
	Datum		at_most = Int64GetDatum(size);

	fsw_execute(fsw_plan(FSW_PLAN_SEAL_AT,
						 "SELECT id, size, root, highest, settled FROM flagsmith.seal"
						 " WHERE size <= $1 ORDER BY id DESC LIMIT 1", 1, types),
				&at_most, NULL, read_only, 0);
	read_seal(seal);
}

/* fsw_seal_last() - the newest seal; of size 0 where nothing was sealed. */
void
fsw_seal_last(Seal *seal, bool read_only)
{
	fsw_seal_at(seal, PG_INT64_MAX, read_only);
}

static void
store_seal(const Seal *seal, int64 next_xid)
{
	static const Oid types[] = {INT8OID, INT8OID, BYTEAOID, INT8ARRAYOID, INT8ARRAYOID, INT8OID, INT8OID};
	bytea	   *root = palloc(VARHDRSZ + sizeof(TreeHash));
	Datum		values[lengthof(types)];

	SET_VARSIZE(root, VARHDRSZ + sizeof(TreeHash));
	memcpy(VARDATA(root), &seal->root, sizeof(TreeHash));
	values[0] = Int64GetDatum(seal->id);
	values[1] = Int64GetDatum(seal->size);
	values[2] = PointerGetDatum(root);
	values[3] = fsw_int8_array(seal->highest, LEAF_KINDS);
	values[4] = fsw_int8_array(seal->settled, LEAF_KINDS);
	values[5] = Int64GetDatum(next_xid);
	values[6] = Int64GetDatum((int64) GetSystemIdentifier());
	fsw_execute(fsw_plan(FSW_PLAN_SEAL_STORE,
						 "INSERT INTO flagsmith.seal (id, size, root, highest, settled, next_xid, system_identifier)"
						 " VALUES ($1, $2, $3, $4, $5, $6, $7)",
						 lengthof(types), types),
				values, NULL, false, 0);
}

/* ---- what is sealed already ---- */

/* The size of the tree behind which all ids above the settled ones were sealed. */
static int64
settled_size(const Seal *last, bool read_only)
{
	static const Oid types[] = {INT8ARRAYOID};
	Datum		settled = fsw_int8_array(last->settled, LEAF_KINDS);
	int64		size = 0;
	bool		isnull;

	fsw_execute(fsw_plan(FSW_PLAN_SEAL_SETTLED,
						 "SELECT size FROM flagsmith.seal AS s WHERE NOT EXISTS ("
						 " SELECT FROM unnest(s.highest, $1) AS u (highest, settled) WHERE u.highest > u.settled)"
						 " ORDER BY id DESC LIMIT 1",
						 1, types),
				&settled, NULL, read_only, 0);
	if (SPI_processed == 1)
		size = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	SPI_freetuptable(SPI_tuptable);
	return size;
}

/*
 * fsw_sealed_ids() - the ids behind the settled ones that have a leaf, a set
 * for each kind, from the tiles that they can be in.
 */
void
fsw_sealed_ids(const Seal *last, bool read_only, IdSet **sets)
{
	static const Oid types[] = {INT8OID};
	Datum		first = Int64GetDatum(settled_size(last, read_only) >> TILE_BITS);
	LeafRef    *refs = palloc_array(LeafRef, TILE_WIDTH);
	FswCursor	tiles;

	for (int kind = 0; kind < LEAF_KINDS; kind++)
		sets[kind] = fsw_idset_create();
	fsw_cursor_open(&tiles, "SELECT refs, tile FROM flagsmith.tree_tile WHERE level = 0 AND tile >= $1",
					1, types, &first, read_only);
	while (fsw_cursor_next(&tiles))
	{
		bytea	   *packed = tiles.nulls[0] ? NULL : DatumGetByteaPP(tiles.values[0]);
		int			count = packed == NULL ? -1 :
			fsw_refs_decode((uint8 *) VARDATA_ANY(packed), VARSIZE_ANY_EXHDR(packed), refs);

		if (count < 0 && !read_only)
			fsw_tree_damaged(0, DatumGetInt64(tiles.values[1]));
		for (int i = 0; i < count; i++)
			fsw_idset_add(sets[refs[i].kind], refs[i].id);
	}
	fsw_cursor_close(&tiles);
}

/* ---- sealing ---- */

/* Asked for each row; told with the number of a tile's leaves at the most. */
static void
tell_progress(Sealing *sealing)
{
	if (++sealing->looked_at % TILE_WIDTH == 0 && fsw_progress_is_due(&sealing->progress))
		fsw_progress_tell(&sealing->progress,
						  psprintf("looked at %lld rows, sealed %lld",
								   (long long) sealing->looked_at, (long long) sealing->appended));
}

/* Append the rows of one kind that have no leaf. */
static void
seal_kind(Sealing *sealing, LeafKind kind)
{
	static const Oid types[] = {INT8OID};
	Datum		settled = Int64GetDatum(sealing->last.settled[kind]);
	MemoryContext mcxt = AllocSetContextCreate(CurrentMemoryContext, "flagsmith_webhook leaf",
											   ALLOCSET_DEFAULT_SIZES);
	StringInfoData leaf;
	FswCursor	rows;

	initStringInfo(&leaf);
	fsw_cursor_open(&rows, fsw_leaf_query(kind, "", "id > $1"), 1, types, &settled, false);
	while (fsw_cursor_next(&rows))
	{
		LeafRef		ref = {kind, DatumGetInt64(rows.values[0])};
		MemoryContext old;
		TreeHash	hash;

		tell_progress(sealing);
		sealing->seal.highest[kind] = Max(sealing->seal.highest[kind], ref.id);
		if (fsw_idset_has(sealing->sealed[kind], ref.id))
			continue;
		old = MemoryContextSwitchTo(mcxt);
		fsw_leaf_encode(kind, rows.values, rows.nulls, &leaf);
		fsw_tree_leaf((const uint8 *) leaf.data, leaf.len, &hash);
		fsw_tiles_append(&sealing->writer, ref, &hash);
		MemoryContextSwitchTo(old);
		if (++sealing->appended % TILE_WIDTH == 0)
			MemoryContextReset(mcxt);
	}
	fsw_cursor_close(&rows);
	MemoryContextDelete(mcxt);
}

/* The oldest transaction that is running. */
static void
note_running(Sealing *sealing)
{
	bool		isnull;

	if (SPI_execute("SELECT pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot())::text::bigint", false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the snapshot");
	sealing->oldest = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	SPI_freetuptable(SPI_tuptable);
}

/*
 * Up to which ids every row is there or never comes: what the newest seal saw
 * whose transactions have all ended.  Those of another server, from before a
 * restore, ended there.
 */
static void
settle(Sealing *sealing, int64 next_xid)
{
	static const Oid types[] = {INT8OID, INT8OID};
	Datum		values[] = {Int64GetDatum(sealing->oldest), Int64GetDatum((int64) GetSystemIdentifier())};
	bool		isnull;
	int64		seen[LEAF_KINDS];
	int64		own = (int64) U64FromFullTransactionId(GetTopFullTransactionIdIfAny());

	/* None was running, and only we began one since. */
	if (sealing->oldest == next_xid || (sealing->oldest == own && next_xid == own + 1))
	{
		memcpy(sealing->seal.settled, sealing->seal.highest, sizeof(seen));
		return;
	}
	fsw_execute(fsw_plan(FSW_PLAN_SEAL_BEFORE,
						 "SELECT highest FROM flagsmith.seal"
						 " WHERE next_xid <= $1 OR system_identifier <> $2 ORDER BY id DESC LIMIT 1",
						 2, types),
				values, NULL, false, 0);
	if (SPI_processed == 1)
	{
		fsw_seal_ids(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull), seen);
		for (int kind = 0; kind < LEAF_KINDS; kind++)
			sealing->seal.settled[kind] = Max(sealing->seal.settled[kind], seen[kind]);
	}
	SPI_freetuptable(SPI_tuptable);
}

/* One session at a time, and what it reads is what the one before committed. */
static void
take_turn(void)
{
	if (IsolationUsesXactSnapshot())
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("seal() needs isolation level read committed"),
				 errdetail("The snapshot of this transaction can be older than the last seal.")));
	LockRelationOid(get_relname_relid("seal", get_namespace_oid("flagsmith", false)),
					ShareRowExclusiveLock);
}

PG_FUNCTION_INFO_V1(fsw_seal);

/*
 * seal() returns bigint - append what has no leaf yet, and return how many
 * leaves that made.  Raises 0A000 above READ COMMITTED and XX001 where the
 * right edge of the tree is not whole.
 */
Datum
fsw_seal(PG_FUNCTION_ARGS)
{
	Sealing    *sealing = palloc0(sizeof(Sealing));
	int64		next_xid;

	(void) fcinfo;
	PreventCommandIfReadOnly("seal()");
	fsw_refuse_on_subscriber();
	fsw_progress_begin(&sealing->progress, "seal", "waiting for its turn");
	take_turn();
	fsw_progress_begin(&sealing->progress, "seal", "reading what is sealed");
	SPI_connect();
	fsw_seal_last(&sealing->last, false);
	sealing->seal = sealing->last;
	note_running(sealing);
	fsw_sealed_ids(&sealing->last, false, sealing->sealed);
	fsw_tiles_begin(&sealing->writer, sealing->last.size);
	for (int kind = 0; kind < LEAF_KINDS; kind++)
		seal_kind(sealing, kind);
	next_xid = (int64) U64FromFullTransactionId(ReadNextFullTransactionId());
	settle(sealing, next_xid);
	if (sealing->appended > 0)
		fsw_tiles_end(&sealing->writer, &sealing->seal.root);
	if (sealing->appended > 0 || memcmp(sealing->seal.settled, sealing->last.settled, sizeof(sealing->seal.settled)) != 0)
	{
		sealing->seal.id++;
		sealing->seal.size = sealing->writer.size;
		store_seal(&sealing->seal, next_xid);
	}
	fsw_progress_end(&sealing->progress);
	SPI_finish();
	PG_RETURN_INT64(sealing->appended);
}
