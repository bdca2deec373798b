/*-------------------------------------------------------------------------
 *
 * src/answer/lookup.c
 *	  is_feature_enabled() and get_feature_value(), with their cache.
 *
 * A pair of names has one timeline of what the environment default was, all
 * confidences alike; a call is a search in it.  The timelines are kept at the
 * call site, within work_mem x hash_mem_multiplier, for as long as what is visible cannot have changed: while
 * the active snapshot is equal by value, and no transaction or subtransaction
 * ended.  A STABLE function's call site outlives its statement in plpgsql and
 * in triggers, so the snapshot alone would not do.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "src/base/fsw.h"
#include "src/read/read.h"

PG_FUNCTION_INFO_V1(fsw_is_feature_enabled);
PG_FUNCTION_INFO_V1(fsw_get_feature_value);

/*
 * What one pair of names means.  While it has been looked up a few times
 * only, what is around the instant is read anew each time, a probe; after
 * that, all of its history is kept as steps.
 *
 * A row of its own flag makes the processor wait for memory at each place it
 * has not seen for long, so there are few: the names stand behind the entry,
 * and a step is one number, its instant and in the last two bits a StepState.
 */
typedef struct Entry
{
	struct Entry *next;			/* with the same bucket */
	uint32		hash;
	int			environment_length;
	int			feature_length;
	bool		whole;
	bool		refused;		/* whole, for want of memory */
	int			last;			/* the step that the last call found */
	int			nsteps;
	int64	   *steps;
	int32	   *value_index;	/* by step, only if values are asked for */
	Datum	   *values;			/* by that; NULL pointers are SQL NULL */
	int64		lookups;
	int			npairs;			/* what the names mean, until it is whole */
	FswPair    *pairs;
	FswLife   **lives;
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
 * Reading all of a history is tried at the 2nd, 8th, 32nd ... lookup, with a
 * limit that grows as they do: what is read in vain, or for no further lookup,
 * then costs no more than a few times what was spent on probes before.
 */
#define PROBE_WORTH 512

typedef struct Cache
{
	MemoryContext entries_mcxt;
	MemoryContext probe_mcxt;
	bool		values;			/* get_feature_value(), not is_feature_enabled() */
	int64		nheld;			/* steps in all entries */
	int64		nrefused;		/* probes of entries that were refused */
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

/* Is what the cache holds what a new look would show? */
static bool
cache_is_valid(const Cache *cache, const SnapshotData *snapshot)
{
	return cache->filled &&
		cache->counter == fsw_xact_counter() &&
		cache->xmin == snapshot->xmin &&
		cache->xmax == snapshot->xmax &&
		cache->curcid == snapshot->curcid &&
		cache->xcnt == snapshot->xcnt &&
		cache->subxcnt == snapshot->subxcnt &&
		cache->suboverflowed == snapshot->suboverflowed &&
		cache->during_recovery == snapshot->takenDuringRecovery &&
		(snapshot->xcnt == 0 ||
		 memcmp(cache->xids, snapshot->xip, snapshot->xcnt * sizeof(TransactionId)) == 0) &&
		(snapshot->subxcnt == 0 ||
		 memcmp(cache->xids + snapshot->xcnt, snapshot->subxip,
				snapshot->subxcnt * sizeof(TransactionId)) == 0);
}

static void
cache_forget(Cache *cache)
{
	MemoryContextReset(cache->entries_mcxt);
	memset(cache->buckets, 0, sizeof(cache->buckets));
	cache->recent = NULL;
	cache->nheld = 0;
	cache->nrefused = 0;
}

static void
cache_reset(Cache *cache, const SnapshotData *snapshot)
{
	int			nxids = snapshot->xcnt + snapshot->subxcnt;

	cache->filled = false;
	cache_forget(cache);
	if (nxids > cache->maxxids)
	{
		cache->xids = repalloc(cache->xids, nxids * sizeof(TransactionId));
		cache->maxxids = nxids;
	}
	cache->counter = fsw_xact_counter();
	cache->xmin = snapshot->xmin;
	cache->xmax = snapshot->xmax;
	cache->curcid = snapshot->curcid;
	cache->xcnt = snapshot->xcnt;
	cache->subxcnt = snapshot->subxcnt;
	cache->suboverflowed = snapshot->suboverflowed;
	cache->during_recovery = snapshot->takenDuringRecovery;
	/* where there are none, the pointer may be NULL, which memcpy() must not get */
	if (snapshot->xcnt > 0)
		memcpy(cache->xids, snapshot->xip, snapshot->xcnt * sizeof(TransactionId));
	if (snapshot->subxcnt > 0)
		memcpy(cache->xids + snapshot->xcnt, snapshot->subxip,
			   snapshot->subxcnt * sizeof(TransactionId));
	cache->filled = true;
}

static Cache *
cache_create(FmgrInfo *flinfo, bool values)
{
	Cache	   *cache = MemoryContextAllocZero(flinfo->fn_mcxt, sizeof(Cache));

	/* nothing in it is freed by itself, and its size is to be told closely */
	cache->entries_mcxt = GenerationContextCreate(flinfo->fn_mcxt, "flag timelines",
												  0, 8 * 1024, 64 * 1024);
	cache->probe_mcxt = AllocSetContextCreate(flinfo->fn_mcxt, "flag lookup",
											  ALLOCSET_DEFAULT_SIZES);
	cache->values = values;
	cache->maxxids = 16;
	cache->xids = MemoryContextAlloc(flinfo->fn_mcxt, cache->maxxids * sizeof(TransactionId));
	flinfo->fn_extra = cache;
	return cache;
}

static int
compare_int64(const void *a, const void *b)
{
	int64		x = *(const int64 *) a;
	int64		y = *(const int64 *) b;

	CHECK_FOR_INTERRUPTS();
	return x < y ? -1 : x > y;
}

static void *
copy_array(const void *array, Size size)
{
	return size == 0 ? NULL : memcpy(palloc(size), array, size);
}

/* A copy of what is to know of a flag before any state. */
static FswLife *
copy_life(const FswLife *life, const FswPair *pair)
{
	FswLife    *copy = copy_array(life, sizeof(FswLife));

	copy->environment = fsw_environment(pair, DT_NOEND);
	copy->feature = pair->feature;
	copy->updates = copy_array(life->updates, life->nupdates * sizeof(FswUpdate));
	copy->removals = copy_array(life->removals, life->nremovals * sizeof(int64));
	copy->webhooks = copy_array(life->webhooks, life->nwebhooks * sizeof(text *));
	for (int i = 0; i < life->nwebhooks; i++)
	{
		if (life->webhooks[i] != NULL)
			copy->webhooks[i] = copy_array(life->webhooks[i], VARSIZE_ANY(life->webhooks[i]));
	}
	return copy;
}

/*
 * The meanings of an entry's names, with what is to know before any state.
 * Only that is kept of what is read to find it.
 */
static void
read_meanings(const Cache *cache, Entry *entry, FswReader *reader, const text *environment,
			  const text *feature)
{
	MemoryContext caller = CurrentMemoryContext;
	FswPair    *pairs;
	int			npairs = fsw_resolve(reader, environment, feature, &pairs);
	FswLife   **lives = palloc_array(FswLife *, npairs + 1);

	for (int i = 0; i < npairs; i++)
		lives[i] = fsw_life_read(reader, fsw_environment(&pairs[i], DT_NOEND), &pairs[i].feature);

	MemoryContextSwitchTo(cache->entries_mcxt);
	entry->npairs = npairs;
	entry->pairs = copy_array(pairs, npairs * sizeof(FswPair));
	entry->lives = copy_array(lives, npairs * sizeof(FswLife *));
	for (int i = 0; i < npairs; i++)
	{
		FswPair    *pair = &entry->pairs[i];

		pair->source = datumCopy(pair->source, false, -1);
		pair->feature.names = copy_array(pair->feature.names, pair->feature.nnames * sizeof(int64));
		entry->lives[i] = copy_life(lives[i], pair);
	}
	MemoryContextSwitchTo(caller);
}

/*
 * Which of the pairs the names mean at an instant, and its state, by the
 * steps of each; -1 for no state.  Where they mean flags of several projects,
 * those that are gone do not count.
 */
static int
find_pair(const Entry *entry, FswSteps *const *steps, int64 at, int *found, int *state)
{
	int			nfound = fsw_resolve_at(entry->pairs, entry->npairs, at, found);
	int			nlive = 0;
	int			result = -1;

	for (int i = 0; i < nfound; i++)
	{
		int			then = steps[found[i]] == NULL ? FSW_NOT_SEEN : fsw_steps_at(steps[found[i]], at);

		if (then == FSW_NOT_SEEN || then == FSW_NOT_LIVE)
			continue;
		nlive++;
		*state = then;
		result = found[i];
	}
	return nlive == 1 && *state >= 0 ? result : -1;
}

static inline int64
pack_step(int64 at, int bits)
{
	return Max(-FAR_AWAY, Min(FAR_AWAY, at)) * 4 + bits;
}

/* Put an instant in its place among n sorted ones. */
static void
add_bound(int64 *bounds, int n, int64 at)
{
	int			place = n;

	while (place > 0 && bounds[place - 1] > at)
		place--;
	memmove(bounds + place + 1, bounds + place, (n - place) * sizeof(int64));
	bounds[place] = at;
}

/* Put the steps of all that the names ever meant together to one. */
static void
keep_steps(Cache *cache, Entry *entry, FswSteps **steps)
{
	MemoryContext work = CurrentMemoryContext;
	int			npairs = entry->npairs;
	int		   *found = palloc_array(int, npairs + 1);
	int		   *first_state = palloc_array(int, npairs + 1);
	int64	   *bounds;
	int64	   *kept;
	int32	   *index;
	int			nbounds = 0;
	int			n = 0;

	first_state[0] = 0;
	for (int i = 0; i < npairs; i++)
	{
		nbounds += steps[i]->n + FSW_PAIR_BOUNDS;
		first_state[i + 1] = first_state[i] + steps[i]->nstates;
	}
	bounds = MemoryContextAllocHuge(work, Max(nbounds, 1) * sizeof(int64));
	nbounds = 0;
	for (int i = 0; i < npairs; i++)
	{
		memcpy(bounds + nbounds, steps[i]->from, steps[i]->n * sizeof(int64));
		nbounds += steps[i]->n;
	}
	if (npairs > 1)
		qsort(bounds, nbounds, sizeof(int64), compare_int64);
	for (int i = 0; i < npairs; i++)
	{
		int64		changes[FSW_PAIR_BOUNDS];

		CHECK_FOR_INTERRUPTS();
		fsw_pair_bounds(&entry->pairs[i], changes);
		for (int j = 0; j < FSW_PAIR_BOUNDS; j++)
			add_bound(bounds, nbounds++, changes[j]);
	}
	/* there are never more steps than bounds looked at */
	kept = bounds;
	index = cache->values ? MemoryContextAllocHuge(work, Max(nbounds, 1) * sizeof(int32)) : NULL;
	for (int i = 0; i < nbounds; i++)
	{
		int64		at = bounds[i];
		int			state = FSW_NOT_SEEN;
		int			pair = find_pair(entry, steps, at, found, &state);
		StepState	then = pair < 0 ? STEP_NONE :
			steps[pair]->states[state].enabled ? STEP_ENABLED : STEP_DISABLED;
		int			value = pair < 0 ? -1 : first_state[pair] + state;

		CHECK_FOR_INTERRUPTS();
		if (n > 0 && STEP_STATE(kept[n - 1]) == then && (index == NULL || index[n - 1] == value))
			continue;
		/* far away, instants become one: the last counts */
		if (n > 0 && kept[n - 1] >> 2 == pack_step(at, STEP_NONE) >> 2)
			n--;
		kept[n] = pack_step(at, then);
		if (index != NULL)
			index[n] = value;
		n++;
	}

	MemoryContextSwitchTo(cache->entries_mcxt);
	entry->nsteps = n;
	entry->steps = MemoryContextAllocHuge(cache->entries_mcxt, Max(n, 1) * sizeof(int64));
	memcpy(entry->steps, kept, n * sizeof(int64));
	if (cache->values)
	{
		entry->value_index = MemoryContextAllocHuge(cache->entries_mcxt, Max(n, 1) * sizeof(int32));
		memcpy(entry->value_index, index, n * sizeof(int32));
		entry->values = palloc0_array(Datum, first_state[npairs] + 1);
		for (int i = 0; i < npairs; i++)
		{
			for (int j = 0; j < steps[i]->nstates; j++)
			{
				Datum		value = steps[i]->shown[j].value;

				CHECK_FOR_INTERRUPTS();
				if (DatumGetPointer(value) != NULL)
					entry->values[first_state[i] + j] = datumCopy(value, false, -1);
			}
		}
	}
	MemoryContextSwitchTo(work);
	entry->whole = true;
	cache->nheld += n;
}

/* Read the whole histories of an entry and keep them, if there is room. */
static void
read_whole(Cache *cache, Entry *entry, FswReader *reader)
{
	FswSteps  **steps = palloc_array(FswSteps *, entry->npairs + 1);
	/* the rest is for names, which come first */
	Size		allowed = get_hash_memory_limit() / 4 * 3;
	Size		used = MemoryContextMemAllocated(cache->entries_mcxt, false);
	FswStepsLimit limit = {.changes = entry->lookups * PROBE_WORTH};

	limit.memory = used >= allowed ? 0 : allowed - used;
	for (int i = 0; i < entry->npairs; i++)
	{
		/* for one instant, too, all of it would be read */
		if (entry->lives[i]->versioned)
			limit.changes = Max(limit.changes, FSW_LONG_VERSIONED);
		steps[i] = fsw_steps_read(reader, entry->lives[i], cache->values, NULL, &limit);
		entry->refused = limit.no_memory;
		if (steps[i] == NULL)
			return;
	}
	keep_steps(cache, entry, steps);
}

/* The state at an instant, by reading what is around it. */
static bool
probe(Cache *cache, const Entry *entry, FswReader *reader, int64 at, bool *enabled, Datum *value)
{
	int		   *found = palloc_array(int, entry->npairs + 1);
	FswSteps  **steps = palloc0_array(FswSteps *, entry->npairs + 1);
	int			nfound = fsw_resolve_at(entry->pairs, entry->npairs, at, found);
	int			state = -1;
	int			pair;

	for (int i = 0; i < nfound; i++)
		steps[found[i]] = fsw_steps_read(reader, entry->lives[found[i]], cache->values, &at, NULL);
	pair = find_pair(entry, steps, at, found, &state);
	if (pair < 0)
		return false;
	*enabled = steps[pair]->states[state].enabled;
	*value = cache->values ? steps[pair]->shown[state].value : (Datum) 0;
	return true;
}

static inline bool
entry_is_of(const Entry *entry, const text *environment, const text *feature)
{
	return entry->feature_length == (int) VARSIZE_ANY_EXHDR(feature) &&
		entry->environment_length == (int) VARSIZE_ANY_EXHDR(environment) &&
		memcmp(entry->names + entry->environment_length, VARDATA_ANY(feature),
			   entry->feature_length) == 0 &&
		memcmp(entry->names, VARDATA_ANY(environment), entry->environment_length) == 0;
}

static Entry *
make_entry(Cache *cache, const text *environment, const text *feature, uint32 hash)
{
	int			environment_length = VARSIZE_ANY_EXHDR(environment);
	int			feature_length = VARSIZE_ANY_EXHDR(feature);
	Entry	   *entry;

	/*
	 * Where the histories kept leave no room for others that are asked for as
	 * often, it is time for these.
	 */
	if (MemoryContextMemAllocated(cache->entries_mcxt, false) > get_hash_memory_limit() ||
		cache->nrefused > cache->nheld)
		cache_forget(cache);

	entry = MemoryContextAllocZero(cache->entries_mcxt,
								   offsetof(Entry, names) + environment_length + feature_length);
	entry->hash = hash;
	entry->environment_length = environment_length;
	entry->feature_length = feature_length;
	memcpy(entry->names, VARDATA_ANY(environment), environment_length);
	memcpy(entry->names + environment_length, VARDATA_ANY(feature), feature_length);
	entry->next = cache->buckets[hash % NUM_BUCKETS];
	cache->buckets[hash % NUM_BUCKETS] = entry;
	return entry;
}

static Entry *
find_entry(Cache *cache, const text *environment, const text *feature)
{
	Snapshot	snapshot = GetActiveSnapshot();
	Entry	   *entry;
	uint32		hash;

	if (!cache_is_valid(cache, snapshot))
		cache_reset(cache, snapshot);

	entry = cache->recent;
	if (entry != NULL && entry_is_of(entry, environment, feature))
		return entry;

	hash = hash_combine(hash_bytes((unsigned char *) VARDATA_ANY(environment),
								   VARSIZE_ANY_EXHDR(environment)),
						hash_bytes((unsigned char *) VARDATA_ANY(feature),
								   VARSIZE_ANY_EXHDR(feature)));
	for (entry = cache->buckets[hash % NUM_BUCKETS]; entry != NULL; entry = entry->next)
	{
		if (entry->hash == hash && entry_is_of(entry, environment, feature))
			break;
	}
	if (entry == NULL)
		entry = make_entry(cache, environment, feature, hash);
	cache->recent = entry;
	return entry;
}

/*
 * The last of n sorted instants, at least one, that is not later than at; -1
 * if all are.  Changes are often spread evenly enough to guess the place.
 */
static inline int
find_instant(const int64 *from, int n, int64 at)
{
	int			low;			/* from[low] <= at */
	int			high;			/* at < from[high], or n */
	int			reach = 8;

	if (at < from[0])
		return -1;
	if (at >= from[n - 1])
		return n - 1;
	low = (int) (((double) at - (double) from[0]) / ((double) from[n - 1] - (double) from[0]) * (n - 1));
	low = Max(0, Min(low, n - 2));
	if (from[low] <= at)
	{
		for (high = low + reach; high < n && from[high] <= at; high += reach)
		{
			low = high;
			reach *= 2;
		}
		high = Min(high, n);
	}
	else
	{
		high = low;
		for (low = high - reach; low > 0 && from[low] > at; low -= reach)
		{
			high = low;
			reach *= 2;
		}
		low = Max(low, 0);
	}
	while (high - low > 1)
	{
		int			middle = low + (high - low) / 2;

		if (from[middle] <= at)
			low = middle;
		else
			high = middle;
	}
	return low;
}

/* The step that holds at an instant, -1 for none. */
static inline int
kept_step(Entry *entry, int64 at)
{
	int64		key = pack_step(at, 3);

	if (entry->nsteps == 0)
		return -1;
	/* instants are often near each other */
	if (entry->steps[entry->last] <= key &&
		(entry->last + 1 == entry->nsteps || key < entry->steps[entry->last + 1]))
		return entry->last;
	return find_instant(entry->steps, entry->nsteps, key);
}

/* Look up what is not kept as steps yet; false for no state. */
static bool
look_up(Cache *cache, Entry *entry, const text *environment, const text *feature, int64 at,
		bool *enabled, Datum *value)
{
	MemoryContext caller = CurrentMemoryContext;
	FswReader  *reader;
	bool		found = false;

	MemoryContextSwitchTo(cache->probe_mcxt);
	reader = fsw_reader_open();
	if (entry->lookups++ == 0)
	{
		bool		versioned = false;

		read_meanings(cache, entry, reader, environment, feature);
		for (int i = 0; i < entry->npairs; i++)
			versioned = versioned || entry->lives[i]->versioned;
		if (versioned)
			read_whole(cache, entry, reader);
	}
	/* at 2, 8, 32 ... */
	else if ((entry->lookups & (entry->lookups - 1)) == 0 &&
			 (entry->lookups & INT64CONST(0x2AAAAAAAAAAAAAAA)) != 0)
		read_whole(cache, entry, reader);
	if (!entry->whole)
	{
		cache->nrefused += entry->refused;
		found = probe(cache, entry, reader, at, enabled, value);
	}
	fsw_reader_close(reader);
	MemoryContextSwitchTo(caller);
	if (found && DatumGetPointer(*value) != NULL)
		*value = datumCopy(*value, false, -1);
	MemoryContextReset(cache->probe_mcxt);
	return found;
}

/* The state of a call's arguments; false for none. */
static bool
find_state(FunctionCallInfo fcinfo, bool values, bool *enabled, Datum *value)
{
	Cache	   *cache = fcinfo->flinfo->fn_extra;
	text	   *environment = PG_GETARG_TEXT_PP(0);
	text	   *feature = PG_GETARG_TEXT_PP(1);
	int64		at = PG_NARGS() < 3 ? DT_NOEND : PG_GETARG_TIMESTAMPTZ(2);
	Entry	   *entry;
	StepState	then;
	int			step;

	if (cache == NULL)
		cache = cache_create(fcinfo->flinfo, values);
	entry = find_entry(cache, environment, feature);
	if (!entry->whole)
	{
		bool		found = look_up(cache, entry, environment, feature, at, enabled, value);

		if (!entry->whole)
			return found;
	}
	step = kept_step(entry, at);
	if (step < 0)
		return false;
	entry->last = step;
	then = STEP_STATE(entry->steps[step]);
	if (then == STEP_NONE)
		return false;
	*enabled = then == STEP_ENABLED;
	*value = (Datum) 0;
	if (values && DatumGetPointer(entry->values[entry->value_index[step]]) != NULL)
	{
		/* the next call can throw away what is kept */
		*value = datumCopy(entry->values[entry->value_index[step]], false, -1);
	}
	return true;
}

/* is_feature_enabled(environment text, feature text [, at timestamptz]) */
Datum
fsw_is_feature_enabled(PG_FUNCTION_ARGS)
{
	bool		enabled;
	Datum		value;

	if (!find_state(fcinfo, false, &enabled, &value))
		PG_RETURN_NULL();
	PG_RETURN_BOOL(enabled);
}

/* get_feature_value(environment text, feature text [, at timestamptz]) */
Datum
fsw_get_feature_value(PG_FUNCTION_ARGS)
{
	bool		enabled;
	Datum		value;

	if (!find_state(fcinfo, true, &enabled, &value) || DatumGetPointer(value) == NULL)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(value);
}
