/*-------------------------------------------------------------------------
 *
 * src/lookup.c
 *	  is_feature_enabled() and get_feature_value(), with their cache.
 *
 * A pair of names has one timeline of what the environment default was, all
 * confidences alike; a call is a binary search in it.  The timelines are kept
 * at the call site for as long as what is visible cannot have changed: while
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
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "src/evidence.h"
#include "src/flagsmith_webhook.h"

PG_FUNCTION_INFO_V1(fsw_is_feature_enabled);
PG_FUNCTION_INFO_V1(fsw_get_feature_value);

/* From an instant on, the names mean this. */
typedef struct Step
{
	int64		from;
	int			state;			/* index of values; -1: no state, or unclear */
} Step;

/* The timeline of one pair of names. */
typedef struct Entry
{
	struct Entry *next;			/* with the same bucket */
	uint32		hash;
	text	   *environment;
	text	   *feature;
	int			nsteps;
	Step	   *steps;
	int			last;			/* where the last call found its instant */
	int			probes;			/* of a long history: lookups so far; else -1 */
	bool	   *enabled;		/* by state */
	Datum	   *values;			/* by state; NULL pointers are SQL NULL */
} Entry;

#define NUM_BUCKETS 1024

/*
 * A lookup that reads what is around its instant alone, a probe, takes about
 * as long as reading so many changes of the whole history.  So a history is
 * read as a whole once it is no longer than the probes it has cost so far.
 */
#define PROBE_WORTH 512

/* Memory for each change while a history is read, generously. */
#define CHANGE_SIZE 512

typedef struct Cache
{
	MemoryContext entries_mcxt;
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

/*
 * Read as the owner, with names of pg_catalog only: what a caller put into
 * search_path must not run with the owner's rights.
 */
FswReading
fsw_begin_reading(void)
{
	/* the rest keeps each of our statements to a scan of an index */
	static const char *const settings[][2] = {
		{"search_path", "pg_catalog, pg_temp"},
		{"enable_seqscan", "off"},
		{"enable_bitmapscan", "off"},
		{"max_parallel_workers_per_gather", "0"},
		{"jit", "off"}
	};
	FswReading	reading;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	reading.owner = fsw_enter_owner();
	reading.guc_nest_level = NewGUCNestLevel();
	for (int i = 0; i < (int) lengthof(settings); i++)
		(void) set_config_option(settings[i][0], settings[i][1], PGC_USERSET, PGC_S_SESSION,
								 GUC_ACTION_SAVE, true, 0, false);
	return reading;
}

void
fsw_end_reading(FswReading reading)
{
	AtEOXact_GUC(true, reading.guc_nest_level);
	fsw_leave_owner(reading.owner);
	SPI_finish();
}

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
cache_reset(Cache *cache, const SnapshotData *snapshot)
{
	int			nxids = snapshot->xcnt + snapshot->subxcnt;

	cache->filled = false;
	MemoryContextReset(cache->entries_mcxt);
	memset(cache->buckets, 0, sizeof(cache->buckets));
	cache->recent = NULL;
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
	memcpy(cache->xids, snapshot->xip, snapshot->xcnt * sizeof(TransactionId));
	memcpy(cache->xids + snapshot->xcnt, snapshot->subxip,
		   snapshot->subxcnt * sizeof(TransactionId));
	cache->filled = true;
}

static Cache *
cache_create(FmgrInfo *flinfo)
{
	Cache	   *cache = MemoryContextAllocZero(flinfo->fn_mcxt, sizeof(Cache));

	cache->entries_mcxt = AllocSetContextCreate(flinfo->fn_mcxt, "flag timelines",
												ALLOCSET_DEFAULT_SIZES);
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

	return x < y ? -1 : x > y;
}

/*
 * Put the timelines of all that the names ever meant together to one.  Where
 * they mean flags of several projects, those that are gone do not count.
 */
static void
fill_entry(Entry *entry, const FswPair *pairs, FswHistory **histories, int npairs)
{
	int		   *found = palloc_array(int, Max(npairs, 1));
	int64	   *bounds;
	int			nbounds = 0;
	int			maxbounds = 0;
	int			nstates = 0;
	int		   *first_state = palloc_array(int, Max(npairs, 1));

	for (int i = 0; i < npairs; i++)
	{
		maxbounds += histories[i]->timeline->nperiods + 4;
		first_state[i] = nstates;
		nstates += histories[i]->flag.nstates;
	}
	bounds = palloc_array(int64, Max(maxbounds, 1));
	for (int i = 0; i < npairs; i++)
	{
		const FswTimeline *timeline = histories[i]->timeline;

		bounds[nbounds++] = pairs[i].from;
		bounds[nbounds++] = pairs[i].to;
		bounds[nbounds++] = pairs[i].environment_sight;
		bounds[nbounds++] = pairs[i].feature_sight;
		for (int j = 0; j < timeline->nperiods && timeline->periods[j].scope == 0; j++)
			bounds[nbounds++] = timeline->periods[j].from;
	}
	qsort(bounds, nbounds, sizeof(int64), compare_int64);

	entry->steps = palloc_array(Step, Max(nbounds, 1));
	entry->enabled = palloc_array(bool, Max(nstates, 1));
	entry->values = palloc_array(Datum, Max(nstates, 1));
	for (int i = 0; i < npairs; i++)
	{
		for (int j = 0; j < histories[i]->flag.nstates; j++)
		{
			Datum		value = histories[i]->shown_states[j].value;

			entry->enabled[first_state[i] + j] = histories[i]->flag.states[j].enabled;
			entry->values[first_state[i] + j] =
				DatumGetPointer(value) == NULL ? (Datum) 0 : datumCopy(value, false, -1);
		}
	}

	for (int i = 0; i < nbounds; i++)
	{
		int			nfound;
		int			nlive = 0;
		int			state = -1;

		if (i > 0 && bounds[i] == bounds[i - 1])
			continue;
		nfound = fsw_resolve_at(pairs, npairs, bounds[i], found);
		for (int j = 0; j < nfound; j++)
		{
			const FswPeriod *period = fsw_timeline_at(histories[found[j]]->timeline, 0, bounds[i]);

			if (period != NULL && period->state != FSW_NOT_LIVE)
			{
				nlive++;
				state = period->state < 0 ? -1 : first_state[found[j]] + period->state;
			}
		}
		if (nlive != 1)
			state = -1;
		if (entry->nsteps > 0 && entry->steps[entry->nsteps - 1].state == state)
			continue;
		entry->steps[entry->nsteps].from = bounds[i];
		entry->steps[entry->nsteps++].state = state;
	}
	pfree(bounds);
	pfree(found);
	pfree(first_state);
}

/* Is any history of the names longer than that? */
static bool
is_longer(const FswPair *pairs, int npairs, int64 nchanges)
{
	for (int i = 0; i < npairs; i++)
	{
		if (fsw_history_is_longer(pairs[i].source, pairs[i].environment_id,
								  pairs[i].feature_id, nchanges))
			return true;
	}
	return false;
}

/*
 * Read the histories of an entry and fill it: what is around an instant, or,
 * where near is NULL, all of them if none has more than limit changes.
 * Longer ones are left for later, and probes is no longer negative.
 */
static void
read_entry(Entry *entry, MemoryContext mcxt, const int64 *near, int64 limit)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext work = AllocSetContextCreate(CurrentMemoryContext, "flag lookup",
											   ALLOCSET_DEFAULT_SIZES);
	FswReading	reading = fsw_begin_reading();
	FswPair    *pairs;
	FswHistory **histories;
	int			npairs;

	MemoryContextSwitchTo(work);
	npairs = fsw_resolve(work, entry->environment, entry->feature, &pairs);
	limit = Min(limit, (int64) (get_hash_memory_limit() / CHANGE_SIZE));
	if (near == NULL && is_longer(pairs, npairs, limit))
		entry->probes = Max(entry->probes, 0);
	else
	{
		histories = palloc_array(FswHistory *, Max(npairs, 1));
		for (int i = 0; i < npairs; i++)
			histories[i] = fsw_history_read(work, pairs[i].source, pairs[i].environment_id,
											pairs[i].feature_id, DT_NOEND, FSW_READ_STATES, near);
		MemoryContextSwitchTo(mcxt);
		fill_entry(entry, pairs, histories, npairs);
		entry->probes = -1;
	}
	fsw_end_reading(reading);
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(work);
}

static Entry *
make_entry(Cache *cache, const text *environment, const text *feature, uint32 hash)
{
	MemoryContext caller;
	Entry	   *entry;

	if (MemoryContextMemAllocated(cache->entries_mcxt, true) > get_hash_memory_limit())
	{
		MemoryContextReset(cache->entries_mcxt);
		memset(cache->buckets, 0, sizeof(cache->buckets));
		cache->recent = NULL;
	}

	caller = MemoryContextSwitchTo(cache->entries_mcxt);
	entry = palloc0_object(Entry);
	entry->hash = hash;
	entry->probes = -1;
	entry->environment = (text *) DatumGetPointer(datumCopy(PointerGetDatum(environment), false, -1));
	entry->feature = (text *) DatumGetPointer(datumCopy(PointerGetDatum(feature), false, -1));
	MemoryContextSwitchTo(caller);
	read_entry(entry, cache->entries_mcxt, NULL, PROBE_WORTH);
	entry->next = cache->buckets[hash % NUM_BUCKETS];
	cache->buckets[hash % NUM_BUCKETS] = entry;
	return entry;
}

static inline bool
same_text(const text *a, const text *b)
{
	size_t		length = VARSIZE_ANY_EXHDR(a);

	return length == VARSIZE_ANY_EXHDR(b) && memcmp(VARDATA_ANY(a), VARDATA_ANY(b), length) == 0;
}

static Entry *
find_entry(FunctionCallInfo fcinfo)
{
	text	   *environment = PG_GETARG_TEXT_PP(0);
	text	   *feature = PG_GETARG_TEXT_PP(1);
	Cache	   *cache = fcinfo->flinfo->fn_extra;
	Snapshot	snapshot = GetActiveSnapshot();
	Entry	   *entry;
	uint32		hash;

	if (cache == NULL)
		cache = cache_create(fcinfo->flinfo);
	if (!cache_is_valid(cache, snapshot))
		cache_reset(cache, snapshot);

	entry = cache->recent;
	if (entry != NULL && same_text(entry->feature, feature) &&
		same_text(entry->environment, environment))
		return entry;

	hash = hash_combine(hash_bytes((unsigned char *) VARDATA_ANY(environment),
								   VARSIZE_ANY_EXHDR(environment)),
						hash_bytes((unsigned char *) VARDATA_ANY(feature),
								   VARSIZE_ANY_EXHDR(feature)));
	for (entry = cache->buckets[hash % NUM_BUCKETS]; entry != NULL; entry = entry->next)
	{
		if (entry->hash == hash && same_text(entry->feature, feature) &&
			same_text(entry->environment, environment))
			break;
	}
	if (entry == NULL)
		entry = make_entry(cache, environment, feature, hash);
	cache->recent = entry;
	return entry;
}

/* The state at an instant, or after all evidence; -1 for none. */
static int
find_state(FunctionCallInfo fcinfo, Entry **entry_found)
{
	Entry	   *entry = find_entry(fcinfo);
	int			low = 0;
	int			high = entry->nsteps;
	int64		at = PG_NARGS() < 3 ? DT_NOEND : PG_GETARG_TIMESTAMPTZ(2);

	if (entry->probes >= 0)
	{
		Cache	   *cache = fcinfo->flinfo->fn_extra;

		/* counting, too, costs something: at 2, 4, 8, ... probes */
		entry->probes++;
		if (entry->probes > 1 && (entry->probes & (entry->probes - 1)) == 0)
			read_entry(entry, cache->entries_mcxt, NULL, (int64) entry->probes * PROBE_WORTH);
		if (entry->probes >= 0)
		{
			Entry	   *probe = palloc0_object(Entry);

			probe->environment = entry->environment;
			probe->feature = entry->feature;
			read_entry(probe, CurrentMemoryContext, &at, 0);
			entry = probe;
		}
		high = entry->nsteps;
	}

	*entry_found = entry;
	if (entry->nsteps == 0)
		return -1;
	if (PG_NARGS() < 3)
		return entry->steps[entry->nsteps - 1].state;

	/* instants are often near each other */
	if (entry->steps[entry->last].from <= at &&
		(entry->last + 1 == entry->nsteps || at < entry->steps[entry->last + 1].from))
		return entry->steps[entry->last].state;
	while (low < high)
	{
		int			middle = low + (high - low) / 2;

		if (entry->steps[middle].from <= at)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == 0)
		return -1;
	entry->last = low - 1;
	return entry->steps[low - 1].state;
}

/* is_feature_enabled(environment text, feature text [, at timestamptz]) */
Datum
fsw_is_feature_enabled(PG_FUNCTION_ARGS)
{
	Entry	   *entry;
	int			state = find_state(fcinfo, &entry);

	if (state < 0)
		PG_RETURN_NULL();
	PG_RETURN_BOOL(entry->enabled[state]);
}

/* get_feature_value(environment text, feature text [, at timestamptz]) */
Datum
fsw_get_feature_value(PG_FUNCTION_ARGS)
{
	Entry	   *entry;
	int			state = find_state(fcinfo, &entry);

	if (state < 0 || DatumGetPointer(entry->values[state]) == NULL)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(entry->values[state]);
}
