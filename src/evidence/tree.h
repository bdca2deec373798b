/*-------------------------------------------------------------------------
 *
 * src/evidence/tree.h
 *	  A Merkle tree as RFC 6962 and RFC 9162 have it, whatever keeps it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FSW_TREE_H
#define FSW_TREE_H

#include "postgres.h"

#include "src/base/fsw.h"

/*
 * Hashes are kept in tiles of 256: level 0 has those of the leaves, and each
 * entry of a higher level the hash over one full tile below it.  A tree of
 * 2^62 leaves has eight levels.
 */
#define TILE_BITS 8
#define TILE_WIDTH (1 << TILE_BITS)
#define TREE_LEVELS 8

/* More than the longest proof: one hash or two for each bit of a size. */
#define PROOF_MAX 128

typedef struct TreeHash
{
	uint8		bytes[FSW_DIGEST_LENGTH];
} TreeHash;

typedef struct TreeProof
{
	int			count;
	TreeHash	hashes[PROOF_MAX];
} TreeProof;

/*
 * Where the hashes are: count of them, a power of two up to 128, of one level
 * from an entry on that is a multiple of count.
 */
typedef void (*TreeRead) (void *arg, int level, int64 entry, int count, TreeHash *hashes);

typedef struct Tree
{
	TreeRead	read;
	void	   *arg;
} Tree;

/*
 * A tree that only grows: the hashes of its complete subtrees, the largest
 * first, one for each bit of its size.
 */
typedef struct TreeEdge
{
	int64		size;
	int			count;
	TreeHash	hashes[64];
} TreeEdge;

extern void fsw_tree_leaf(const uint8 *data, size_t len, TreeHash *hash);
extern void fsw_tree_node(const TreeHash *left, const TreeHash *right, TreeHash *hash);
extern void fsw_tree_over(const TreeHash *hashes, int count, TreeHash *hash);
extern void fsw_tree_root(const Tree *tree, int64 size, TreeHash *root);
extern void fsw_tree_inclusion(const Tree *tree, int64 leaf, int64 size, TreeProof *proof);
extern void fsw_tree_consistency(const Tree *tree, int64 from, int64 to, TreeProof *proof);
extern void fsw_edge_open(const Tree *tree, int64 size, TreeEdge *edge);
extern void fsw_edge_append(TreeEdge *edge, const TreeHash *leaf);
extern void fsw_edge_root(const TreeEdge *edge, TreeHash *root);

#endif							/* FSW_TREE_H */
