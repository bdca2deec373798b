/*-------------------------------------------------------------------------
 *
 * src/evidence/evidence.h
 *	  What the files of the evidence share, a section for each file.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FSW_EVIDENCE_H
#define FSW_EVIDENCE_H

#include "lib/stringinfo.h"
#include "nodes/execnodes.h"

#include "src/evidence/tree.h"
#include "src/maintain/cursor.h"

/* ---- leaf.c: rows to the bytes of leaves ---- */

/* What becomes a leaf; the numbers stand in tiles and must not change. */
typedef enum LeafKind
{
	LEAF_DELIVERY,
	LEAF_REPEAT,
	LEAF_PRUNING,
	LEAF_EVENT,
	LEAF_KINDS
} LeafKind;

/* The row that a leaf is made of. */
typedef struct LeafRef
{
	LeafKind	kind;
	int64		id;
} LeafRef;

extern const char *fsw_leaf_relation(LeafKind kind);
extern char *fsw_leaf_query(LeafKind kind, const char *more, const char *condition);
extern int	fsw_leaf_fields(LeafKind kind);
extern void fsw_leaf_encode(LeafKind kind, const Datum *values, const bool *nulls, StringInfo leaf);

/* ---- idset.c: many ids ---- */

typedef struct IdSet IdSet;

extern IdSet *fsw_idset_create(void);
extern bool fsw_idset_add(IdSet *set, int64 id);
extern bool fsw_idset_has(IdSet *set, int64 id);

/* ---- tile.c: the tree in its table ---- */

typedef struct Tile
{
	int64		number;
	int			count;
	TreeHash	hashes[TILE_WIDTH];
	LeafRef		refs[TILE_WIDTH];	/* of level 0 */
} Tile;

/* The last tiles of all levels, while leaves are appended. */
typedef struct TileWriter
{
	int64		size;
	Tile		levels[TREE_LEVELS];
} TileWriter;

/* The tiles of all levels that were read last, under the caller's snapshot. */
typedef struct TileReader
{
	Tile		levels[TREE_LEVELS];
} TileReader;

extern void fsw_tiles_begin(TileWriter *writer, int64 size);
extern void fsw_tiles_append(TileWriter *writer, LeafRef ref, const TreeHash *leaf);
extern void fsw_tiles_end(TileWriter *writer, TreeHash *root);
extern TileReader *fsw_tiles_open(void);
extern bool fsw_tiles_look(TileReader *reader, int level, int64 entry, int count, TreeHash *hashes);
extern void fsw_tiles_read(void *arg, int level, int64 entry, int count, TreeHash *hashes);
extern bool fsw_tile_find(bool read_only, int level, int64 number, Tile *tile);
extern int	fsw_refs_decode(const uint8 *bytes, int len, LeafRef *refs);
pg_noreturn extern void fsw_tree_damaged(int level, int64 tile);

/* ---- seal.c: what was sealed so far ---- */

typedef struct Seal
{
	int64		id;				/* 0: nothing was sealed yet */
	int64		size;
	TreeHash	root;
	int64		highest[LEAF_KINDS];	/* ids, for each kind */
	int64		settled[LEAF_KINDS];
} Seal;

extern void fsw_seal_last(Seal *seal, bool read_only);
extern void fsw_seal_ids(Datum array, int64 *ids);
extern void fsw_seal_at(Seal *seal, int64 size, bool read_only);
extern void fsw_sealed_ids(const Seal *last, bool read_only, IdSet **sets);

/* ---- verify.c: what differs from what was sealed ---- */

extern void fsw_report_finding(ReturnSetInfo *rsinfo, const char *finding, const char *relation, int64 id,
							   int64 leaf, const char *detail);

#endif							/* FSW_EVIDENCE_H */
