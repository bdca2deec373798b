/*-------------------------------------------------------------------------
 *
 * src/answer/lookup_cache.c
 *	  What fills the cache of the scalar lookups: the meanings of two names, and
 *	  their histories as steps; until these are kept, what is around the instant.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/memutils.h"

#include "src/answer/lookup.h"
#include "src/answer/unknown.h"
#include "src/base/array.h"
#include "src/base/fsw.h"

/*
 * Reading all of a history is tried at the 2nd, 8th, 32nd ... lookup, with a
 * limit that grows as they do: what is read in vain, or for no further lookup,
 * then costs no more than a few times what was spent on probes before.
 */
#define PROBE_WORTH 512

/* The same of versions, of which all evidence is read, and little for one instant. */
#define VERSIONS_WORTH 16

static void *
copy_array(const void *array, Size size)
{
	return size == 0 ? NULL : memcpy(palloc(size), array, size);
}

/* A copy of what is to know of a flag before any state. */
static FswFlagFacts *
copy_flag_facts(const FswFlagFacts *flag_facts, const FswPair *pair, TimestampTz known_at)
{
	FswFlagFacts *copy = copy_array(flag_facts, sizeof(FswFlagFacts));

	copy->environment = fsw_environment(pair, known_at);
	copy->feature = pair->feature;
	copy->options = copy_array(flag_facts->options, flag_facts->noptions * sizeof(FswOption));
	copy->removals = copy_array(flag_facts->removals, flag_facts->nremovals * sizeof(int64));
	copy->webhooks = copy_array(flag_facts->webhooks, flag_facts->nwebhooks * sizeof(text *));
	for (int i = 0; i < flag_facts->nwebhooks; i++)
	{
		if (flag_facts->webhooks[i] != NULL)
			copy->webhooks[i] = copy_array(flag_facts->webhooks[i], VARSIZE_ANY(flag_facts->webhooks[i]));
	}
	return copy;
}

/* What the two texts ask for. */
static FswQuestion
question_of(const text *environment, const text *feature)
{
	FswQuestion question = {.environment = environment,.feature = feature};
	const char *at = VARDATA_ANY(environment);
	int			length = VARSIZE_ANY_EXHDR(environment);

	if (length == 0 || *at != '\0')
		return question;
	question.environment = question.feature = NULL;
	question.has_feature = true;
	memcpy(&question.environment_id, at + 1, sizeof(int64));
	memcpy(&question.feature_id, (char *) VARDATA_ANY(feature) + 1, sizeof(int64));
	if (at[ID_KEY_LENGTH])
		question.source = cstring_to_text_with_len(at + ID_KEY_LENGTH + 1, length - ID_KEY_LENGTH - 1);
	return question;
}

/*
 * The meanings of an entry's names, with what is to know before any state.
 * Only that is kept of what is read to find it.
 */
static void
read_meanings(Cache *cache, Meaning *meaning, FswReader *reader, const text *environment,
			  const text *feature)
{
	MemoryContext caller = CurrentMemoryContext;
	FswQuestion question = question_of(environment, feature);
	FswPair    *pairs;
	int			npairs = fsw_question_pairs(reader, &question, &pairs);
	FswFlagFacts **flag_facts = palloc_array(FswFlagFacts *, npairs + 1);

	if (npairs == 0 && !cache->told)
	{
		cache->told = true;
		fsw_tell_unknown(reader, &question);
	}

	for (int i = 0; i < npairs; i++)
		flag_facts[i] = fsw_flag_facts_read(reader, fsw_environment(&pairs[i], cache->known_at), &pairs[i].feature);

	MemoryContextSwitchTo(cache->entries_mcxt);
	meaning->npairs = npairs;
	meaning->pairs = copy_array(pairs, npairs * sizeof(FswPair));
	meaning->flag_facts = copy_array(flag_facts, npairs * sizeof(FswFlagFacts *));
	for (int i = 0; i < npairs; i++)
	{
		FswPair    *pair = &meaning->pairs[i];

		pair->source = datumCopy(pair->source, false, -1);
		pair->feature.names = copy_array(pair->feature.names, pair->feature.nnames * sizeof(int64));
		meaning->flag_facts[i] = copy_flag_facts(flag_facts[i], pair, cache->known_at);
	}
	MemoryContextSwitchTo(caller);
}

/*
 * Which of the pairs that the names mean at an instant has a state, by those
 * of all pairs then; -1 for none.  Where they mean flags of several projects,
 * those that are gone do not count.
 */
static int
choose_pair(const int *found, int nfound, const int *states)
{
	int			nlive = 0;
	int			result = -1;

	for (int i = 0; i < nfound; i++)
	{
		if (states[found[i]] == FSW_NOT_SEEN || states[found[i]] == FSW_NOT_LIVE)
			continue;
		nlive++;
		result = found[i];
	}
	return nlive == 1 && states[result] >= 0 ? result : -1;
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

/* The way through the steps of all pairs, from each instant to a later one. */
typedef struct Walk
{
	const Meaning *meaning;
	FswSteps *const *steps;
	int		   *next;			/* by pair: its first step that is later */
	int		   *states;			/* by pair */
	int			nfound;			/* pairs that the names mean */
	int		   *found;
	int			nchanges;		/* when that can change, in order */
	int64	   *changes;
	int			next_change;
} Walk;

static void
begin_walk(Walk *walk, const Meaning *meaning, FswSteps *const *steps)
{
	walk->meaning = meaning;
	walk->steps = steps;
	walk->next = palloc0_array(int, meaning->npairs + 1);
	walk->states = palloc_array(int, meaning->npairs + 1);
	walk->found = palloc_array(int, meaning->npairs + 1);
	walk->nfound = 0;
	walk->changes = palloc_array(int64, meaning->npairs * FSW_PAIR_BOUNDS + 1);
	walk->nchanges = meaning->npairs * FSW_PAIR_BOUNDS;
	walk->next_change = 0;
	for (int i = 0; i < meaning->npairs; i++)
	{
		fsw_pair_bounds(&meaning->pairs[i], walk->changes + i * FSW_PAIR_BOUNDS);
		walk->states[i] = FSW_NOT_SEEN;
	}
	qsort(walk->changes, walk->nchanges, sizeof(int64), fsw_compare_int64);
}

/* The pair with a state at an instant, or -1. */
static int
walk_to(Walk *walk, int64 at)
{
	bool		changes = walk->next_change == 0;

	for (; walk->next_change < walk->nchanges && walk->changes[walk->next_change] <= at; walk->next_change++)
		changes = true;
	if (changes)
		walk->nfound = fsw_resolve_at(walk->meaning->pairs, walk->meaning->npairs, at, walk->found);
	for (int i = 0; i < walk->meaning->npairs; i++)
	{
		const FswStateSteps *steps = &walk->steps[i]->steps;

		for (; walk->next[i] < steps->n && steps->from[walk->next[i]] <= at; walk->next[i]++)
			walk->states[i] = steps->state[walk->next[i]];
	}
	return choose_pair(walk->found, walk->nfound, walk->states);
}

/*
 * All instants at which an answer can change, in order: where a step of a pair
 * begins, and where the names begin or end to mean it.
 */
static int64 *
find_bounds(const Meaning *meaning, FswSteps *const *steps, int *n)
{
	int64	   *bounds;
	int			size = 0;

	for (int i = 0; i < meaning->npairs; i++)
		size += steps[i]->steps.n + FSW_PAIR_BOUNDS;
	bounds = MemoryContextAllocHuge(CurrentMemoryContext, Max(size, 1) * sizeof(int64));
	*n = 0;
	for (int i = 0; i < meaning->npairs; i++)
	{
		const FswStateSteps *add = &steps[i]->steps;

		memcpy(bounds + *n, add->from, add->n * sizeof(int64));
		*n += add->n;
	}
	if (meaning->npairs > 1)
		qsort(bounds, *n, sizeof(int64), fsw_compare_int64);
	for (int i = 0; i < meaning->npairs; i++)
	{
		int64		changes[FSW_PAIR_BOUNDS];

		CHECK_FOR_INTERRUPTS();
		fsw_pair_bounds(&meaning->pairs[i], changes);
		for (int j = 0; j < FSW_PAIR_BOUNDS; j++)
			add_bound(bounds, (*n)++, changes[j]);
	}
	return bounds;
}

/* Where the value of a state is. */
static uint32
place_of(Cache *cache, const Meaning *meaning, const FswSteps *steps, int state)
{
	if (state >= FSW_STATE_ROW)
		return steps->storage != meaning->storage ? 0 :
			fsw_pack_place(meaning, &steps->rows[state - FSW_STATE_ROW].place);
	return fsw_keep_value(cache, steps->shown[state].value);
}

/*
 * Make of bounds what is kept: in their place the steps, and in values, unless
 * it is NULL, where the value of each is.  There are never more steps than
 * bounds looked at.  Returns how many.
 */
static int
make_steps(Cache *cache, const Meaning *meaning, FswSteps *const *steps, int64 *bounds, int nbounds, uint32 *values)
{
	Walk		walk;
	int64	   *kept = bounds;
	int			n = 0;
	int			last_pair = -1;
	int			last_state = FSW_NOT_SEEN;

	begin_walk(&walk, meaning, steps);
	for (int i = 0; i < nbounds; i++)
	{
		int64		at = bounds[i];
		int			pair = walk_to(&walk, at);
		int			state = pair < 0 ? FSW_NOT_SEEN : walk.states[pair];
		StepState	then = pair < 0 ? STEP_NONE :
			fsw_step_enabled(steps[pair], state) ? STEP_ENABLED : STEP_DISABLED;

		CHECK_FOR_INTERRUPTS();
		if (n > 0 && STEP_STATE(kept[n - 1]) == then &&
			(values == NULL || pair < 0 || (pair == last_pair && state == last_state)))
			continue;
		last_pair = pair;
		last_state = state;
		/* far away, instants become one: the last counts */
		if (n > 0 && kept[n - 1] >> 2 == pack_step(at, STEP_NONE) >> 2)
			n--;
		kept[n] = pack_step(at, then);
		if (values != NULL)
			values[n] = pair < 0 ? VALUE_NULL : place_of(cache, meaning, steps[pair], state);
		n++;
	}
	return n;
}

/* In which file and from which block on the rows with the values are. */
static void
find_rows(Meaning *meaning, FswSteps *const *steps)
{
	meaning->first_block = MaxBlockNumber;
	for (int i = 0; i < meaning->npairs; i++)
	{
		meaning->storage = steps[i]->storage;
		for (int j = 0; j < steps[i]->nrows; j++)
			meaning->first_block = Min(meaning->first_block, ItemPointerGetBlockNumber(&steps[i]->rows[j].place));
	}
}

/* Put the steps of all that the names ever meant together to one. */
static void
keep_steps(Cache *cache, Entry *entry, FswSteps **steps)
{
	Meaning    *meaning = entry->meaning;
	int			nbounds;
	int64	   *bounds = find_bounds(meaning, steps, &nbounds);
	uint32	   *values = NULL;
	int			n;

	if (cache->values)
	{
		values = MemoryContextAllocHuge(CurrentMemoryContext, Max(nbounds, 1) * sizeof(uint32));
		find_rows(meaning, steps);
	}
	n = make_steps(cache, meaning, steps, bounds, nbounds, values);

	entry->steps = MemoryContextAllocHuge(cache->entries_mcxt, Max(n, 1) * STEP_SIZE(cache->values));
	entry->nsteps = n;
	for (int i = 0; i < n; i++)
	{
		memcpy(entry->steps + i * STEP_SIZE(cache->values), &bounds[i], sizeof(int64));
		if (cache->values)
			set_step_value(entry, i, values[i]);
	}
	if (n > 0)
	{
		entry->first = bounds[0];
		entry->density = n == 1 ? 0 : (n - 1) / ((double) bounds[n - 1] - (double) bounds[0]);
	}
	entry->whole = true;
	cache->nheld += n;
}

/*
 * How much of a history may be read, of lookups so far and what memory there
 * is.  What is read in vain for want of it may cost as much as what is kept;
 * once it did, and little room is left, only short ones are read.
 */
static FswStepsLimit
limit_of(const Cache *cache, const Meaning *meaning, const FswFlagFacts *flag_facts)
{
	/* the rest is for values, and for names, which come first */
	Size		allowed = get_hash_memory_limit() / 8 * 7 + cache->kept.size;
	Size		used = MemoryContextMemAllocated(cache->entries_mcxt, false);
	FswStepsLimit limit = {0};

	limit.memory = used >= allowed ? 0 : allowed - used;
	limit.changes = meaning->lookups * (flag_facts->versioned ? VERSIONS_WORTH : PROBE_WORTH);
	if (limit.changes > PROBE_WORTH && cache->nvain > cache->nheld && used > allowed / 2)
	{
		limit.changes = PROBE_WORTH;
		limit.no_memory = true;
	}
	/* for another instant, too, all of it would be read */
	if (meaning->all_read)
		limit.changes = Max(limit.changes, FSW_LONG_VERSIONED);
	return limit;
}

/* Read the whole histories of an entry and keep them, if there is room. */
static void
read_whole(Cache *cache, Entry *entry, FswReader *reader)
{
	Meaning    *meaning = entry->meaning;
	FswSteps  **steps = palloc_array(FswSteps *, meaning->npairs + 1);

	for (int i = 0; i < meaning->npairs; i++)
	{
		FswStepsLimit limit = limit_of(cache, meaning, meaning->flag_facts[i]);

		/* again, it would be in vain */
		if (limit.memory <= meaning->not_enough || limit.changes < meaning->at_least)
		{
			meaning->refused = limit.no_memory || limit.memory <= meaning->not_enough;
			return;
		}
		steps[i] = fsw_steps_read(reader, meaning->flag_facts[i], cache->values, NULL, &limit);
		if (steps[i] != NULL)
			continue;
		meaning->refused = limit.no_memory;
		meaning->at_least = limit.nread;
		if (limit.nread <= limit.changes)
		{
			meaning->not_enough = limit.memory;
			cache->nvain += limit.nread;
		}
		return;
	}
	keep_steps(cache, entry, steps);
}

/* The state at an instant, by reading what is around it. */
bool
fsw_lookup_probe(Cache *cache, Entry *entry, FswReader *reader, int64 at, bool *enabled, Datum *value)
{
	Meaning    *meaning = entry->meaning;
	int		   *found = palloc_array(int, meaning->npairs + 1);
	int		   *states = palloc_array(int, meaning->npairs + 1);
	FswSteps  **steps = palloc_array(FswSteps *, meaning->npairs + 1);
	int			nfound = fsw_resolve_at(meaning->pairs, meaning->npairs, at, found);
	int			pair;

	reader->behind = meaning->behind;
	for (int i = 0; i < nfound; i++)
	{
		FswSteps   *read = fsw_steps_read(reader, meaning->flag_facts[found[i]], cache->values, &at, NULL);

		meaning->all_read = meaning->all_read || read->whole;
		steps[found[i]] = read;
		states[found[i]] = fsw_steps_at(&read->steps, at);
	}
	meaning->behind = reader->behind;
	pair = choose_pair(found, nfound, states);
	if (pair < 0)
		return false;
	*enabled = steps[pair]->states[states[pair]].enabled;
	*value = cache->values ? steps[pair]->shown[states[pair]].value : (Datum) 0;
	return true;
}

/* fsw_look_up() - look up what is not kept as steps yet; false for no state. */
bool
fsw_look_up(Cache *cache, Entry *entry, const text *environment, const text *feature, int64 at,
			bool *enabled, Datum *value)
{
	MemoryContext caller = CurrentMemoryContext;
	Meaning    *meaning = entry->meaning;
	FswReader  *reader;
	bool		found = false;

	MemoryContextSwitchTo(cache->probe_mcxt);
	reader = fsw_reader_open();
	reader->known_at = cache->known_at;
	reader->looked[FSW_INDEX_AHEAD] = cache->looked;
	reader->empty[FSW_INDEX_AHEAD] = cache->none_ahead;
	if (meaning->lookups++ == 0)
		read_meanings(cache, meaning, reader, environment, feature);
	/* at 2, 8, 32 ... */
	else if (meaning->all_read || ((meaning->lookups & (meaning->lookups - 1)) == 0 &&
								 (meaning->lookups & INT64CONST(0x2AAAAAAAAAAAAAAA)) != 0))
		read_whole(cache, entry, reader);
	if (!entry->whole)
	{
		cache->nrefused += meaning->refused;
		found = fsw_lookup_probe(cache, entry, reader, at, enabled, value);
	}
	cache->looked = reader->looked[FSW_INDEX_AHEAD];
	cache->none_ahead = reader->empty[FSW_INDEX_AHEAD];
	fsw_reader_close(reader);
	MemoryContextSwitchTo(caller);
	if (found && DatumGetPointer(*value) != NULL)
		*value = datumCopy(*value, false, -1);
	MemoryContextReset(cache->probe_mcxt);
	return found;
}
