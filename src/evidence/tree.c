/*-------------------------------------------------------------------------
 *
 * src/evidence/tree.c
 *	  Roots and proofs of a Merkle tree: RFC 9162, section 2.1.
 *
 * Pure: where hashes are kept is the caller's.  A subtree that is complete is
 * hashed from at most 128 entries of one tile, so that a proof costs a few
 * hundred hashes whatever the size.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "port/pg_bitutils.h"

#include "src/evidence/tree.h"

/* What stands before the bytes of a leaf and of a node, so that neither passes for the other. */
#define PREFIX_LEAF 0x00
#define PREFIX_NODE 0x01

/* fsw_tree_leaf() - the hash of a leaf. */
void
fsw_tree_leaf(const uint8 *data, size_t len, TreeHash *hash)
{
	fsw_sha256_prefixed(PREFIX_LEAF, data, len, hash->bytes);
}

/* fsw_tree_node() - the hash over two subtrees; the result may be one of them. */
void
fsw_tree_node(const TreeHash *left, const TreeHash *right, TreeHash *hash)
{
	TreeHash	both[2];

	both[0] = *left;
	both[1] = *right;
	fsw_sha256_prefixed(PREFIX_NODE, both[0].bytes, sizeof(both), hash->bytes);
}

/* fsw_tree_over() - the hash over a power of two of hashes, at most a tile. */
void
fsw_tree_over(const TreeHash *hashes, int count, TreeHash *hash)
{
	TreeHash	work[TILE_WIDTH / 2];

	if (count == 1)
	{
		*hash = hashes[0];
		return;
	}
	for (int i = 0; i < count / 2; i++)
		fsw_tree_node(&hashes[2 * i], &hashes[2 * i + 1], &work[i]);
	for (count /= 2; count > 1; count /= 2)
	{
		for (int i = 0; i < count / 2; i++)
			fsw_tree_node(&work[2 * i], &work[2 * i + 1], &work[i]);
	}
	*hash = work[0];
}

/* The largest power of two below a number greater than 1. */
static int64
split(int64 n)
{
	return INT64CONST(1) << pg_leftmost_one_pos64(n - 1);
}

/* The hash of a complete subtree: of 2^height leaves, the first a multiple of that. */
static void
complete_hash(const Tree *tree, int64 first, int height, TreeHash *hash)
{
	TreeHash	hashes[TILE_WIDTH / 2];
	int			level = height / TILE_BITS;
	int			count = 1 << (height % TILE_BITS);

	tree->read(tree->arg, level, first >> (level * TILE_BITS), count, hashes);
	fsw_tree_over(hashes, count, hash);
}

/* The hash of the leaves from first to before end, which begins at a multiple of the next power of two. */
static void
range_hash(const Tree *tree, int64 first, int64 end, TreeHash *hash)
{
	int64		n = end - first;
	TreeHash	right;

	if ((n & (n - 1)) == 0)
	{
		complete_hash(tree, first, pg_leftmost_one_pos64(n), hash);
		return;
	}
	complete_hash(tree, first, pg_leftmost_one_pos64(split(n)), hash);
	range_hash(tree, first + split(n), end, &right);
	fsw_tree_node(hash, &right, hash);
}

/* fsw_tree_root() - the root of the first so many leaves. */
void
fsw_tree_root(const Tree *tree, int64 size, TreeHash *root)
{
	if (size == 0)
		fsw_sha256((const uint8 *) "", 0, root->bytes);
	else
		range_hash(tree, 0, size, root);
}

static void
proof_add(const Tree *tree, int64 first, int64 end, TreeProof *proof)
{
	if (proof->count == PROOF_MAX)
		elog(ERROR, "proof is too long");
	range_hash(tree, first, end, &proof->hashes[proof->count++]);
}

/* The audit path of a leaf, the sibling of the leaf first. */
static void
inclusion(const Tree *tree, int64 leaf, int64 first, int64 end, TreeProof *proof)
{
	int64		middle;

	if (end - first == 1)
		return;
	middle = first + split(end - first);
	if (leaf < middle)
	{
		inclusion(tree, leaf, first, middle, proof);
		proof_add(tree, middle, end, proof);
	}
	else
	{
		inclusion(tree, leaf, middle, end, proof);
		proof_add(tree, first, middle, proof);
	}
}

/* fsw_tree_inclusion() - that a leaf is in the tree of a size greater than it. */
void
fsw_tree_inclusion(const Tree *tree, int64 leaf, int64 size, TreeProof *proof)
{
	proof->count = 0;
	inclusion(tree, leaf, 0, size, proof);
}

/* SUBPROOF of the RFC; known: whoever asks has the hash of the leaves from first to before from. */
static void
consistency(const Tree *tree, int64 from, int64 first, int64 end, bool known, TreeProof *proof)
{
	int64		middle;

	if (from == end)
	{
		if (!known)
			proof_add(tree, first, end, proof);
		return;
	}
	middle = first + split(end - first);
	if (from <= middle)
	{
		consistency(tree, from, first, middle, known, proof);
		proof_add(tree, middle, end, proof);
	}
	else
	{
		consistency(tree, from, middle, end, false, proof);
		proof_add(tree, first, middle, proof);
	}
}

/*
 * fsw_tree_consistency() - that the tree of one size is the beginning of that
 * of another; nothing is to be proved where it is empty or the same.
 */
void
fsw_tree_consistency(const Tree *tree, int64 from, int64 to, TreeProof *proof)
{
	proof->count = 0;
	if (from > 0 && from < to)
		consistency(tree, from, 0, to, true, proof);
}

/* fsw_edge_open() - the right edge of a tree that is kept. */
void
fsw_edge_open(const Tree *tree, int64 size, TreeEdge *edge)
{
	int64		first = 0;

	edge->size = size;
	edge->count = 0;
	while (first < size)
	{
		int			height = pg_leftmost_one_pos64(size - first);

		complete_hash(tree, first, height, &edge->hashes[edge->count++]);
		first += INT64CONST(1) << height;
	}
}

/* fsw_edge_append() - one leaf more. */
void
fsw_edge_append(TreeEdge *edge, const TreeHash *leaf)
{
	edge->hashes[edge->count++] = *leaf;
	for (int64 n = edge->size; n & 1; n >>= 1)
	{
		edge->count--;
		fsw_tree_node(&edge->hashes[edge->count - 1], &edge->hashes[edge->count],
					  &edge->hashes[edge->count - 1]);
	}
	edge->size++;
}

/* fsw_edge_root() - the root of all leaves so far. */
void
fsw_edge_root(const TreeEdge *edge, TreeHash *root)
{
	if (edge->count == 0)
	{
		fsw_sha256((const uint8 *) "", 0, root->bytes);
		return;
	}
	*root = edge->hashes[edge->count - 1];
	for (int i = edge->count - 2; i >= 0; i--)
		fsw_tree_node(&edge->hashes[i], root, root);
}
