/*-------------------------------------------------------------------------
 *
 * src/answer/lookup.c
 *	  is_feature_enabled(), get_feature_value() and get_feature_value_text(),
 *	  with their cache.
 *
 * A pair of names has one timeline of what the environment default was, all
 * confidences alike; a call is a search in it.  The timelines are kept at the
 * call site, within work_mem x hash_mem_multiplier, for as long as what is
 * visible cannot have changed: while the active snapshot is equal by value, and
 * no transaction or subtransaction ended.  A STABLE function's call site
 * outlives its statement in plpgsql and in triggers, so the snapshot alone
 * would not do.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "miscadmin.h"
#include "nodes/primnodes.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "src/answer/lookup.h"
#include "src/answer/unknown.h"
#include "src/base/fsw.h"

PG_FUNCTION_INFO_V1(fsw_is_feature_enabled);
PG_FUNCTION_INFO_V1(fsw_get_feature_value);
PG_FUNCTION_INFO_V1(fsw_is_feature_enabled_by_id);
PG_FUNCTION_INFO_V1(fsw_get_feature_value_by_id);
PG_FUNCTION_INFO_V1(fsw_get_feature_value_text);
PG_FUNCTION_INFO_V1(fsw_get_feature_value_text_by_id);

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
	memset(&cache->kept, 0, sizeof(cache->kept));
	cache->nheld = 0;
	cache->nrefused = 0;
	cache->nvain = 0;
}

static void
cache_reset(Cache *cache, const SnapshotData *snapshot)
{
	int			nxids = snapshot->xcnt + snapshot->subxcnt;

	cache->filled = false;
	cache->told = false;
	cache->looked = false;
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

	/*
	 * where there are none, the pointer may be NULL, which memcpy() must not
	 * get
	 */
	if (snapshot->xcnt > 0)
		memcpy(cache->xids, snapshot->xip, snapshot->xcnt * sizeof(TransactionId));
	if (snapshot->subxcnt > 0)
		memcpy(cache->xids + snapshot->xcnt, snapshot->subxip,
			   snapshot->subxcnt * sizeof(TransactionId));
	cache->filled = true;
}

/* Whether the first two arguments of a call site are constants. */
static bool
names_are_fixed(FmgrInfo *flinfo)
{
	List	   *args = flinfo->fn_expr != NULL && IsA(flinfo->fn_expr, FuncExpr) ?
		((FuncExpr *) flinfo->fn_expr)->args : NIL;

	return list_length(args) >= 2 && IsA(linitial(args), Const) && IsA(lsecond(args), Const);
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
	cache->fixed = names_are_fixed(flinfo);
	cache->maxxids = 16;
	cache->xids = MemoryContextAlloc(flinfo->fn_mcxt, cache->maxxids * sizeof(TransactionId));
	flinfo->fn_extra = cache;
	return cache;
}

/* The first or the second of two texts that stand for ids. */
static text *
id_key(int64 id, const text *source)
{
	int			length = source == NULL ? 0 : VARSIZE_ANY_EXHDR(source);
	text	   *key = palloc(VARHDRSZ + ID_KEY_LENGTH + 1 + length);
	char	   *at = VARDATA(key);

	SET_VARSIZE(key, VARHDRSZ + ID_KEY_LENGTH + 1 + length);
	*at++ = '\0';
	memcpy(at, &id, sizeof(id));
	at += sizeof(id);
	*at++ = source != NULL;
	if (length > 0)
		memcpy(at, VARDATA_ANY(source), length);
	return key;
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
	entry->meaning = MemoryContextAllocZero(cache->entries_mcxt, sizeof(Meaning));
	entry->hash = hash;
	entry->environment_length = environment_length;
	entry->feature_length = feature_length;
	memcpy(entry->names, VARDATA_ANY(environment), environment_length);
	memcpy(entry->names + environment_length, VARDATA_ANY(feature), feature_length);
	entry->next = cache->buckets[hash % NUM_BUCKETS];
	cache->buckets[hash % NUM_BUCKETS] = entry;
	return entry;
}

/* again: it is that of the last call */
static Entry *
find_entry(Cache *cache, const text *environment, const text *feature, TimestampTz known_at, bool *again)
{
	Snapshot	snapshot = GetActiveSnapshot();
	Entry	   *entry;
	uint32		hash;

	if (!cache_is_valid(cache, snapshot) || cache->known_at != known_at)
		cache_reset(cache, snapshot);
	cache->known_at = known_at;

	entry = cache->recent;
	*again = entry != NULL && entry_is_of(entry, environment, feature);
	if (*again)
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

/* So many steps are looked at without a branch, which would be taken wrongly every other time. */
#define WINDOW 8

/*
 * The last of the steps, at least one, that is not later than at; -1 if all
 * are.  Changes are often spread evenly enough to guess the place.
 */
static inline int
find_step(const Entry *entry, int64 at, bool values)
{
	int			n = entry->nsteps;
	int			low;			/* from[low] <= at */
	int			high;			/* at < from[high], or n */
	int			reach = WINDOW;
	double		guess = ((double) at - (double) entry->first) * entry->density;

	if (at < entry->first)
		return -1;
	low = guess < n - 1 ? (int) guess - WINDOW / 2 + 1 : n - WINDOW;
	low = Max(0, Min(low, n - WINDOW));
	if (step_at(entry, low, values) <= at)
	{
		for (high = low + reach; high < n && step_at(entry, high, values) <= at; high += reach)
		{
			low = high;
			reach *= 2;
		}
		high = Min(high, n);
	}
	else
	{
		high = low;
		for (low = high - reach; low > 0 && step_at(entry, low, values) > at; low -= reach)
		{
			high = low;
			reach *= 2;
		}
		low = Max(low, 0);
	}
	while (high - low > WINDOW)
	{
		int			middle = low + (high - low) / 2;

		if (step_at(entry, middle, values) <= at)
			low = middle;
		else
			high = middle;
	}
	reach = 0;
	if (high - low == WINDOW)
	{
		for (int i = 1; i < WINDOW; i++)
			reach += step_at(entry, low + i, values) <= at;
	}
	else
	{
		for (int i = low + 1; i < high; i++)
			reach += step_at(entry, i, values) <= at;
	}
	return low + reach;
}

/* The step that holds at an instant, -1 for none. */
static inline int
kept_step(const Entry *entry, int64 at, bool again, bool values)
{
	int64		key = pack_step(at, 3);

	if (entry->nsteps == 0)
		return -1;
	/* instants of one flag are often near each other */
	if (again && step_at(entry, entry->found, values) <= key &&
		(entry->found + 1 == entry->nsteps || key < step_at(entry, entry->found + 1, values)))
		return entry->found;
	return find_step(entry, key, values);
}

/* The value of a step, for an instant at which it holds; 0 for none. */
static inline Datum
value_of(Cache *cache, Entry *entry, int step, int64 at)
{
	uint32		place = step_value(entry, step);

	if (place == VALUE_NULL)
		return (Datum) 0;
	/* the next call can throw away what is kept */
	if (place & VALUE_KEPT)
		return datumCopy(cache->kept.values[place & ~VALUE_KEPT], false, -1);
	return fsw_read_value(cache, entry, step, at);
}

/* The state of a flag at an instant by the steps that are kept; false for none. */
static inline bool
find_kept(Cache *cache, Entry *entry, int64 at, bool again, bool values, bool *enabled, Datum *value)
{
	int			step = kept_step(entry, at, again, values);
	StepState	then;

	if (step < 0)
		return false;
	entry->found = step;
	then = STEP_STATE(step_at(entry, step, values));
	if (then == STEP_NONE)
		return false;
	*enabled = then == STEP_ENABLED;
	*value = values ? value_of(cache, entry, step, at) : (Datum) 0;
	return true;
}

/* The state of a flag at an instant; false for none. */
static pg_attribute_always_inline bool
find_state(FunctionCallInfo fcinfo, const text *environment, const text *feature, int64 at,
		   TimestampTz known_at, bool values, bool *enabled, Datum *value)
{
	Cache	   *cache = fcinfo->flinfo->fn_extra;
	Entry	   *entry;
	bool		again;

	if (cache == NULL)
		cache = cache_create(fcinfo->flinfo, values);
	entry = find_entry(cache, environment, feature, known_at, &again);
	if (!entry->whole)
	{
		bool		found = fsw_look_up(cache, entry, environment, feature, at, enabled, value);

		if (!entry->whole)
			return found;
	}
	return find_kept(cache, entry, at, again, values, enabled, value);
}

/* The state that a call by names asks for; known_at alone may be NULL. */
static pg_attribute_always_inline bool
find_by_name(FunctionCallInfo fcinfo, bool values, bool *enabled, Datum *value)
{
	Cache	   *cache = fcinfo->flinfo->fn_extra;
	int64		at;
	TimestampTz known_at;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || (PG_NARGS() > 2 && PG_ARGISNULL(2)))
		return false;
	at = PG_NARGS() < 3 ? DT_NOEND : PG_GETARG_TIMESTAMPTZ(2);
	known_at = PG_NARGS() < 4 || PG_ARGISNULL(3) ? DT_NOEND : PG_GETARG_TIMESTAMPTZ(3);

	/* names that are the same in each call need not be looked at again */
	if (cache != NULL && cache->fixed && cache->recent != NULL && cache->recent->whole &&
		cache->known_at == known_at && cache_is_valid(cache, GetActiveSnapshot()))
		return find_kept(cache, cache->recent, at, true, values, enabled, value);
	return find_state(fcinfo, PG_GETARG_TEXT_PP(0), PG_GETARG_TEXT_PP(1), at, known_at,
					  values, enabled, value);
}

/* The same by ids; source and known_at may be NULL. */
static bool
find_by_id(FunctionCallInfo fcinfo, bool values, bool *enabled, Datum *value)
{
	text	   *environment;
	text	   *feature;
	bool		found;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(2))
		return false;
	environment = id_key(PG_GETARG_INT64(0), PG_ARGISNULL(4) ? NULL : PG_GETARG_TEXT_PP(4));
	feature = id_key(PG_GETARG_INT64(1), NULL);
	found = find_state(fcinfo, environment, feature, PG_GETARG_TIMESTAMPTZ(2),
					   PG_ARGISNULL(3) ? DT_NOEND : PG_GETARG_TIMESTAMPTZ(3), values, enabled, value);
	pfree(environment);
	pfree(feature);
	return found;
}

/* is_feature_enabled(environment text, feature text [, at timestamptz [, known_at timestamptz]]) */
Datum
fsw_is_feature_enabled(PG_FUNCTION_ARGS)
{
	bool		enabled;
	Datum		value;

	if (!find_by_name(fcinfo, false, &enabled, &value))
		PG_RETURN_NULL();
	PG_RETURN_BOOL(enabled);
}

/* is_feature_enabled(environment_id bigint, feature_id bigint, at, known_at, source) */
Datum
fsw_is_feature_enabled_by_id(PG_FUNCTION_ARGS)
{
	bool		enabled;
	Datum		value;

	if (!find_by_id(fcinfo, false, &enabled, &value))
		PG_RETURN_NULL();
	PG_RETURN_BOOL(enabled);
}

/* get_feature_value(environment text, feature text [, at timestamptz [, known_at timestamptz]]) */
Datum
fsw_get_feature_value(PG_FUNCTION_ARGS)
{
	bool		enabled;
	Datum		value;

	if (!find_by_name(fcinfo, true, &enabled, &value) || DatumGetPointer(value) == NULL)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(value);
}

/* get_feature_value(environment_id bigint, feature_id bigint, at, known_at, source) */
Datum
fsw_get_feature_value_by_id(PG_FUNCTION_ARGS)
{
	bool		enabled;
	Datum		value;

	if (!find_by_id(fcinfo, true, &enabled, &value) || DatumGetPointer(value) == NULL)
		PG_RETURN_NULL();
	PG_RETURN_DATUM(value);
}

/* A value as the application sees it: a string without its quotes, and null as NULL. */
static Datum
value_as_text(FunctionCallInfo fcinfo, Datum value)
{
	Jsonb	   *jsonb = DatumGetJsonbP(value);
	JsonbValue	scalar;

	if (!JB_ROOT_IS_SCALAR(jsonb) || !JsonbExtractScalar(&jsonb->root, &scalar))
		PG_RETURN_TEXT_P(cstring_to_text(JsonbToCString(NULL, &jsonb->root, VARSIZE(jsonb))));
	switch (scalar.type)
	{
		case jbvNull:
			PG_RETURN_NULL();
		case jbvString:
			PG_RETURN_TEXT_P(cstring_to_text_with_len(scalar.val.string.val, scalar.val.string.len));
		case jbvBool:
			PG_RETURN_TEXT_P(cstring_to_text(scalar.val.boolean ? "true" : "false"));
		default:
			PG_RETURN_TEXT_P(cstring_to_text(JsonbToCString(NULL, &jsonb->root, VARSIZE(jsonb))));
	}
}

/* get_feature_value_text(environment text, feature text [, at timestamptz [, known_at timestamptz]]) */
Datum
fsw_get_feature_value_text(PG_FUNCTION_ARGS)
{
	bool		enabled;
	Datum		value;

	if (!find_by_name(fcinfo, true, &enabled, &value) || DatumGetPointer(value) == NULL)
		PG_RETURN_NULL();
	return value_as_text(fcinfo, value);
}

/* get_feature_value_text(environment_id bigint, feature_id bigint, at, known_at, source) */
Datum
fsw_get_feature_value_text_by_id(PG_FUNCTION_ARGS)
{
	bool		enabled;
	Datum		value;

	if (!find_by_id(fcinfo, true, &enabled, &value) || DatumGetPointer(value) == NULL)
		PG_RETURN_NULL();
	return value_as_text(fcinfo, value);
}
