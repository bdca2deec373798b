/*-------------------------------------------------------------------------
 *
 * tree.c
 *	  Test of src/evidence/tree.c: roots and proofs of RFC 6962 and RFC 9162.
 *
 * Each root and proof is also computed by the recursive definitions of the
 * RFC, and verified by its algorithms, for sizes up to 700 leaves: beyond
 * two tiles.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/evidence/tree.h"
#include "t/unit/shim.h"
#include "t/unit/unit.h"

#define LEAVES 700

/* All levels of a tree that is kept in memory. */
static TreeHash kept[3][LEAVES];
static int	nkept = 0;

static void
read_kept(void *arg, int level, int64 entry, int count, TreeHash *hashes)
{
	(void) arg;
	/* one tile, and only what is complete */
	if (level > 2 || count < 1 || count > 128 || entry % count != 0 ||
		((entry + count) << (8 * level)) > nkept)
		abort();
	memcpy(hashes, &kept[level][entry], count * sizeof(TreeHash));
}

static const Tree tree = {read_kept, NULL};

static void
keep_leaf(const TreeHash *leaf)
{
	kept[0][nkept++] = *leaf;
	for (int level = 1; level < 3 && nkept % (1 << (8 * level)) == 0; level++)
	{
		int			entry = (nkept >> (8 * level)) - 1;

		fsw_tree_over(&kept[level - 1][entry << 8], TILE_WIDTH, &kept[level][entry]);
	}
}

/* MTH of RFC 9162, section 2.1.1. */
static TreeHash
defined_root(int first, int n)
{
	TreeHash	left;
	TreeHash	right;
	int			k = 1;

	if (n == 0)
	{
		fsw_sha256((const uint8 *) "", 0, left.bytes);
		return left;
	}
	if (n == 1)
		return kept[0][first];
	while (2 * k < n)
		k *= 2;
	left = defined_root(first, k);
	right = defined_root(first + k, n - k);
	fsw_tree_node(&left, &right, &left);
	return left;
}

static bool
same(TreeHash a, TreeHash b)
{
	return memcmp(&a, &b, sizeof(a)) == 0;
}

/* Section 2.1.3.2. */
static bool
included(int leaf, int size, const TreeProof *proof, TreeHash root)
{
	int			fn = leaf;
	int			sn = size - 1;
	TreeHash	r = kept[0][leaf];

	for (int i = 0; i < proof->count; i++)
	{
		if (sn == 0)
			return false;
		if ((fn & 1) || fn == sn)
		{
			fsw_tree_node(&proof->hashes[i], &r, &r);
			while (!(fn & 1) && fn != 0)
			{
				fn >>= 1;
				sn >>= 1;
			}
		}
		else
			fsw_tree_node(&r, &proof->hashes[i], &r);
		fn >>= 1;
		sn >>= 1;
	}
	return sn == 0 && same(r, root);
}

/* Section 2.1.4.2, for sizes that differ and are not 0. */
static bool
consistent(int from, int to, const TreeProof *proof, TreeHash first, TreeHash second)
{
	int			fn = from - 1;
	int			sn = to - 1;
	int			i = 0;
	TreeHash	fr;
	TreeHash	sr;

	if (proof->count == 0)
		return false;
	fr = (from & (from - 1)) == 0 ? first : proof->hashes[i++];
	for (; fn & 1; fn >>= 1)
		sn >>= 1;
	sr = fr;
	for (; i < proof->count; i++)
	{
		if (sn == 0)
			return false;
		if ((fn & 1) || fn == sn)
		{
			fsw_tree_node(&proof->hashes[i], &fr, &fr);
			fsw_tree_node(&proof->hashes[i], &sr, &sr);
			while (!(fn & 1) && fn != 0)
			{
				fn >>= 1;
				sn >>= 1;
			}
		}
		else
			fsw_tree_node(&sr, &proof->hashes[i], &sr);
		fn >>= 1;
		sn >>= 1;
	}
	return sn == 0 && same(fr, first) && same(sr, second);
}

static void
check_size(int size, const TreeHash *roots)
{
	TreeProof	proof;
	TreeEdge	edge;
	TreeHash	root;

	fsw_tree_root(&tree, size, &root);
	if (!same(root, roots[size]))
		abort();
	fsw_edge_open(&tree, size, &edge);
	fsw_edge_root(&edge, &root);
	if (!same(root, roots[size]))
		abort();
	for (int other = 0; other < size; other += 1 + (size > 40 ? other % 7 : 0))
	{
		fsw_tree_inclusion(&tree, other, size, &proof);
		if (!included(other, size, &proof, roots[size]))
			abort();
		fsw_tree_consistency(&tree, other, size, &proof);
		if (other == 0 ? proof.count != 0 : !consistent(other, size, &proof, roots[other], roots[size]))
			abort();
	}
}

/* The small sizes, those around a full tile, and some others. */
static bool
is_tried(int size)
{
	return size <= 40 || size % 41 == 0 || (size + 1) % 256 <= 2 || size == LEAVES;
}

static const char *
check_sizes(void)
{
	static TreeHash roots[LEAVES + 1];
	TreeEdge	edge = {0};

	nkept = 0;
	for (int i = 0; i < LEAVES; i++)
	{
		TreeHash	leaf;

		fsw_tree_leaf((uint8 *) &i, sizeof(i), &leaf);
		keep_leaf(&leaf);
		fsw_edge_append(&edge, &leaf);
		fsw_edge_root(&edge, &roots[i + 1]);
	}
	roots[0] = defined_root(0, 0);
	for (int size = 0; size <= LEAVES; size++)
	{
		if (is_tried(size) && !same(defined_root(0, size), roots[size]))
			return "a root is wrong";
	}
	for (int size = 0; size <= LEAVES; size++)
	{
		if (is_tried(size))
			check_size(size, roots);
	}
	return "right";
}

static void
print_hash(const TreeHash *hash, char *hex)
{
	for (int i = 0; i < FSW_DIGEST_LENGTH; i++)
		sprintf(hex + 2 * i, "%02x", hash->bytes[i]);
}

static int
parse_leaves(const char *list)
{
	nkept = 0;
	while (*list != '\0')
	{
		uint8		data[64];
		size_t		len = 0;
		TreeHash	leaf;

		for (; *list != ',' && *list != '\0'; list += 2)
			data[len++] = (uint8) strtol((char[]) {list[0], list[1], '\0'}, NULL, 16);
		if (*list == ',')
			list++;
		fsw_tree_leaf(data, len, &leaf);
		keep_leaf(&leaf);
	}
	return nkept;
}

/*
 * fields: name; what (root, inclusion I, consistency I, sizes); leaves in
 * hexadecimal, a comma behind each; the hashes that it must give
 */
void
unit_case(const Field *fields, int nfields)
{
	TreeProof	proof = {0};
	char		got[2 * FSW_DIGEST_LENGTH * 8 + 16] = "";
	const char *what = nfields == 4 ? fields[1].data : "";
	int			size = nfields == 4 ? parse_leaves(fields[2].data) : 0;

	if (strcmp(what, "sizes") == 0)
		snprintf(got, sizeof(got), "%s", check_sizes());
	else if (strcmp(what, "root") == 0)
	{
		proof.count = 1;
		fsw_tree_root(&tree, size, &proof.hashes[0]);
	}
	else if (strncmp(what, "inclusion ", 10) == 0)
		fsw_tree_inclusion(&tree, atoi(what + 10), size, &proof);
	else if (strncmp(what, "consistency ", 12) == 0)
		fsw_tree_consistency(&tree, atoi(what + 12), size, &proof);
	for (int i = 0; i < proof.count && i < 8; i++)
	{
		if (i > 0)
			strcat(got, ",");
		print_hash(&proof.hashes[i], got + strlen(got));
	}
	unit_is(got, nfields == 4 ? fields[3].data : "four fields", fields[0].data);
}

/* The bytes are leaves of a byte each: any size, and a proof for some leaf of it. */
void
unit_check(const uint8_t *data, size_t size)
{
	TreeHash	roots[2];
	TreeProof	proof;
	int			n = (int) Min(size, LEAVES);

	nkept = 0;
	for (int i = 0; i < n; i++)
	{
		TreeHash	leaf;

		fsw_tree_leaf(&data[i], 1, &leaf);
		keep_leaf(&leaf);
	}
	fsw_tree_root(&tree, n, &roots[1]);
	if (!same(roots[1], defined_root(0, n)))
		abort();
	if (n < 2)
		return;
	fsw_tree_inclusion(&tree, data[0] % n, n, &proof);
	if (!included(data[0] % n, n, &proof, roots[1]))
		abort();
	fsw_tree_consistency(&tree, 1 + data[1] % (n - 1), n, &proof);
	roots[0] = defined_root(0, 1 + data[1] % (n - 1));
	if (!consistent(1 + data[1] % (n - 1), n, &proof, roots[0], roots[1]))
		abort();
}
