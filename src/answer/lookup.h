/*-------------------------------------------------------------------------
 *
 * src/answer/lookup.h
 *	  The cache of the scalar lookups: lookup.c searches in it, lookup_cache.c
 *	  fills it, lookup_value.c has the values.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FSW_LOOKUP_H
#define FSW_LOOKUP_H

#include "src/read/read.h"

/* What a pair of names means, and how its history is read. */
typedef struct Meaning
{
	int64		lookups;		/* until it is whole */
	bool		refused;		/* whole, for want of memory */
	Size		not_enough;		/* memory, as was found out */
	int64		at_least;		/* so many changes there are */
	bool		all_read;		/* all had to be read for one instant */
	int64		behind;			/* how far behind an instant probes look first */
	BlockNumber first_block;	/* of the rows that have the values */
	Oid			storage;		/* their table's file */
	int			npairs;
	FswPair    *pairs;
	FswFlagFacts **flag_facts;
} Meaning;

/*
 * One pair of names.  While it has been looked up a few times only, what is
 * around the instant is read anew each time, a probe; after that, all of its
 * history is kept as steps.
 *
 * A row of its own flag makes the processor wait for memory at each place it
 * has not seen for long, so there are few: the names stand behind the entry,
 * which has the first step too, and what a call does not need is
 * elsewhere.  A step is one number, its instant and in the last two bits a
 * StepState; where values are asked for, where its value is stands behind it.
 */
typedef struct Entry
{
	struct Entry *next;			/* with the same bucket */
	uint32		hash;
	int			environment_length;
	int			feature_length;
	bool		whole;
	int			found;			/* the step that the last call found */
	int			nsteps;
	char	   *steps;
	int64		first;			/* steps[0] */
	double		density;		/* steps by time, were they spread evenly */
	Meaning    *meaning;
	char		names[FLEXIBLE_ARRAY_MEMBER];	/* environment, feature */
} Entry;

typedef enum StepState
{
	STEP_NONE,					/* no state, or unclear */
	STEP_DISABLED,
	STEP_ENABLED
} StepState;

#define STEP_STATE(step)	((StepState) ((step) & 3))

/* What lies further from 2000, 36,000 years, is one instant to the steps. */
#define FAR_AWAY			(INT64CONST(1) << 60)

#define NUM_BUCKETS 1024

/*
 * Where the value of a step is: the number of one of the values that are kept,
 * or the place of the row that tells it, which is read when it is asked for; 0
 * where it has to be looked for.  The place of a row is how many blocks it is
 * behind the entry's first, and its number in the block.
 */
#define VALUE_KEPT		UINT32_C(0x80000000)
#define VALUE_NULL		UINT32_C(0xFFFFFFFF)
#define VALUE_OFFSET_BITS	9
#define VALUE_MAX_BLOCKS	(VALUE_KEPT >> VALUE_OFFSET_BITS)

/* How far it is from one step to the next. */
#define STEP_SIZE(with_value) (sizeof(int64) + ((with_value) ? sizeof(uint32) : 0))

static inline int64
step_at(const Entry *entry, int i, bool with_value)
{
	int64		step;

	memcpy(&step, entry->steps + i * STEP_SIZE(with_value), sizeof(step));
	return step;
}

static inline uint32
step_value(const Entry *entry, int i)
{
	uint32		value;

	memcpy(&value, entry->steps + i * STEP_SIZE(true) + sizeof(int64), sizeof(value));
	return value;
}

static inline void
set_step_value(Entry *entry, int i, uint32 value)
{
	memcpy(entry->steps + i * STEP_SIZE(true) + sizeof(int64), &value, sizeof(value));
}

/*
 * What is known of one block of rows with values.  Where it is asked for a few
 * times, all of its rows are read at once.
 */
typedef struct ValueBlock
{
	BlockNumber block;
	uint16		nasked;			/* 0 where this is none */
	uint16		nvalues;
	uint16	   *values;			/* by row: number of a kept value + 1, or one
								 * of these */
} ValueBlock;

#define ROW_NOT_READ	0
#define ROW_NULL		PG_UINT16_MAX

/* The values that are kept, each once, whichever flags had it. */
typedef struct KeptValues
{
	uint32		n;
	uint32		max;
	Datum	   *values;
	uint32	   *hashes;
	uint32		nbuckets;		/* a power of two */
	uint32	   *buckets;		/* number of a value + 1 */
	uint32		nblocks;
	uint32		maxblocks;		/* a power of two */
	ValueBlock *blocks;			/* by the last bits of their numbers */
	Oid			storage;		/* the file that they are of */
	char	   *free;			/* memory for small pieces */
	Size		nfree;
	Size		size;			/* of all this */
} KeptValues;

/*
 * Ids in place of names, as two texts that no names can be: the first begins
 * with a zero byte.
 */
#define ID_KEY_LENGTH ((int) (1 + sizeof(int64)))

typedef struct Cache
{
	MemoryContext entries_mcxt;
	MemoryContext probe_mcxt;
	bool		values;			/* get_feature_value(), not
								 * is_feature_enabled() */
	bool		fixed;			/* each call has the same names */
	bool		told;			/* that a name is not known */
	TimestampTz known_at;		/* what was stored later does not count */
	bool		looked;			/* whether any time is not to be believed */
	bool		none_ahead;		/* there is none */
	KeptValues	kept;
	int64		nheld;			/* steps in all entries */
	int64		nrefused;		/* probes of entries that were refused */
	int64		nvain;			/* changes read before there was no memory */
	bool		filled;
	uint64		counter;		/* fsw_xact_counter() */
	TransactionId xmin;
	TransactionId xmax;
	CommandId	curcid;
	uint32		xcnt;
	int32		subxcnt;
	bool		suboverflowed;
	bool		during_recovery;
	int			maxxids;
	TransactionId *xids;		/* of transactions, then of subtransactions */
	Entry	   *recent;
	Entry	   *buckets[NUM_BUCKETS];
} Cache;

static inline int64
pack_step(int64 at, int bits)
{
	return Max(-FAR_AWAY, Min(FAR_AWAY, at)) * 4 + bits;
}

/* lookup_cache.c */
extern bool fsw_look_up(Cache *cache, Entry *entry, const text *environment, const text *feature,
						int64 at, bool *enabled, Datum *value);
extern bool fsw_lookup_probe(Cache *cache, Entry *entry, FswReader *reader, int64 at, bool *enabled, Datum *value);

/* lookup_value.c */
extern bool fsw_values_have_room(const Cache *cache, Size size);
extern void *fsw_values_alloc(Cache *cache, Size size);
extern uint32 fsw_keep_value(Cache *cache, Datum value);
extern uint32 fsw_pack_place(const Meaning *meaning, const ItemPointerData *place);
extern Datum fsw_read_value(Cache *cache, Entry *entry, int step, int64 at);

/* lookup_block.c */
extern ValueBlock *fsw_value_block(Cache *cache, const Meaning *meaning, BlockNumber number);
extern uint32 fsw_block_value(const ValueBlock *block, OffsetNumber offset);
extern void fsw_block_read(Cache *cache, const Meaning *meaning, FswPlaces *places, ValueBlock *block);

#endif							/* FSW_LOOKUP_H */
