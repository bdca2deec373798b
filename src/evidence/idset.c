/*-------------------------------------------------------------------------
 *
 * src/evidence/idset.c
 *	  A set of ids: bits in blocks, since ids come from sequences.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/hsearch.h"

#include "src/evidence/evidence.h"

#define BLOCK_BITS 15

typedef struct IdBlock
{
	int64		number;			/* of the block, the key */
	uint8		bits[1 << (BLOCK_BITS - 3)];
} IdBlock;

struct IdSet
{
	HTAB	   *blocks;
	IdBlock    *last;			/* ids come in order, mostly */
};

IdSet *
fsw_idset_create(void)
{
	IdSet	   *set = palloc0(sizeof(IdSet));
	HASHCTL		control = {0};

	control.keysize = sizeof(int64);
	control.entrysize = sizeof(IdBlock);
	control.hcxt = CurrentMemoryContext;
	set->blocks = hash_create("flagsmith_webhook ids", 64, &control, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	return set;
}

static IdBlock *
find_block(IdSet *set, int64 number, HASHACTION action)
{
	IdBlock    *block = set->last;
	bool		found;

	if (block != NULL && block->number == number)
		return block;
	block = hash_search(set->blocks, &number, action, &found);
	if (block == NULL)
		return NULL;
	if (!found)
		memset(block->bits, 0, sizeof(block->bits));
	set->last = block;
	return block;
}

/* fsw_idset_add() - false where it was there before. */
bool
fsw_idset_add(IdSet *set, int64 id)
{
	IdBlock    *block = find_block(set, id >> BLOCK_BITS, HASH_ENTER);
	int			bit = id & ((1 << BLOCK_BITS) - 1);
	bool		added = (block->bits[bit >> 3] & (1 << (bit & 7))) == 0;

	block->bits[bit >> 3] |= 1 << (bit & 7);
	return added;
}

bool
fsw_idset_has(IdSet *set, int64 id)
{
	IdBlock    *block = find_block(set, id >> BLOCK_BITS, HASH_FIND);
	int			bit = id & ((1 << BLOCK_BITS) - 1);

	return block != NULL && (block->bits[bit >> 3] & (1 << (bit & 7))) != 0;
}
