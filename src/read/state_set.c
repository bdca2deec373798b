/*-------------------------------------------------------------------------
 *
 * src/read/state_set.c
 *	  The distinct states of a flag: equal states have one index.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "miscadmin.h"
#include "utils/datum.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"
#include "utils/numeric.h"

#include "src/base/array.h"
#include "src/base/fsw.h"
#include "src/decode/row.h"
#include "src/read/read.h"

static uint64
hash_jsonb(Datum value)
{
	return DatumGetUInt64(DirectFunctionCall2(jsonb_hash_extended, value, Int64GetDatum(0)));
}

/*
 * The variants as {"option id": percentage}, NULL for none.  The ids of the
 * rows change with every version, the order means nothing.
 */
Jsonb *
fsw_shown_variants(Jsonb *sent)
{
	FswJsonbBuild state = {0};
	JsonbIterator *iterator;
	JsonbValue	element;
	JsonbIteratorToken token;
	bool		found = false;

	if (!JB_ROOT_IS_ARRAY(sent) || JB_ROOT_COUNT(sent) == 0)
		return NULL;

	fsw_jsonb_push(&state, WJB_BEGIN_OBJECT, NULL);
	iterator = JsonbIteratorInit(&sent->root);
	while ((token = JsonbIteratorNext(&iterator, &element, true)) != WJB_DONE)
	{
		JsonbValue *option;
		JsonbValue *percentage;
		JsonbValue	key;

		CHECK_FOR_INTERRUPTS();
		if (token != WJB_ELEM || element.type != jbvBinary ||
			!JsonContainerIsObject(element.val.binary.data))
			continue;
		option = getKeyJsonValueFromContainer(element.val.binary.data,
											  "multivariate_feature_option",
											  strlen("multivariate_feature_option"), NULL);
		percentage = getKeyJsonValueFromContainer(element.val.binary.data,
												  "percentage_allocation",
												  strlen("percentage_allocation"), NULL);
		if (option != NULL && option->type == jbvBinary &&
			JsonContainerIsObject(option->val.binary.data))
			option = getKeyJsonValueFromContainer(option->val.binary.data, "id", 2, NULL);
		if (option == NULL || option->type != jbvNumeric ||
			percentage == NULL || percentage->type != jbvNumeric)
			continue;
		key.type = jbvString;
		key.val.string.val = DatumGetCString(DirectFunctionCall1(numeric_out,
																 NumericGetDatum(option->val.numeric)));
		key.val.string.len = strlen(key.val.string.val);
		fsw_jsonb_push(&state, WJB_KEY, &key);
		fsw_jsonb_push(&state, WJB_VALUE, percentage);
		found = true;
	}
	return found ? JsonbValueToJsonb(fsw_jsonb_push(&state, WJB_END_OBJECT, NULL)) : NULL;
}

/* A hash of the very bytes, which tells -1 from 1: for what must not depend on luck. */
static uint64
hash_content(Datum value)
{
	const struct varlena *bytes = (const struct varlena *) DatumGetPointer(value);

	return DatumGetUInt64(hash_any_extended((const unsigned char *) VARDATA_ANY(bytes),
											VARSIZE_ANY_EXHDR(bytes), 0));
}

/* Are two values equal, of which each can be none? */
static bool
same_jsonb(Datum a, Datum b)
{
	if (DatumGetPointer(a) == NULL || DatumGetPointer(b) == NULL)
		return DatumGetPointer(a) == DatumGetPointer(b);
	return DatumGetBool(DirectFunctionCall2(jsonb_eq, a, b));
}

/* Is it a JSON null, which is no value? */
bool
fsw_is_json_null(Jsonb *value)
{
	return JB_ROOT_IS_SCALAR(value) && JBE_ISNULL(value->root.children[0]);
}

/* The variants one by one. */
static const FswShare *
read_shares(FswStateTable *table, Jsonb *canonical)
{
	FswShare   *shares = (FswShare *) MemoryContextAlloc(table->mcxt, JB_ROOT_COUNT(canonical) * sizeof(FswShare));
	JsonbIterator *iterator = JsonbIteratorInit(&canonical->root);
	JsonbIteratorToken token;
	JsonbValue	element;
	int			n = 0;

	while ((token = JsonbIteratorNext(&iterator, &element, true)) != WJB_DONE)
	{
		CHECK_FOR_INTERRUPTS();
		if (token == WJB_KEY)
			shares[n].option = DatumGetUInt64(hash_any_extended((const unsigned char *) element.val.string.val,
																element.val.string.len, 0));
		else if (token == WJB_VALUE)
			shares[n++].percentage = DatumGetUInt64(DirectFunctionCall2(hash_numeric_extended,
																		NumericGetDatum(element.val.numeric),
																		Int64GetDatum(0)));
	}
	fsw_shares_sort(shares, n);
	return shares;
}

/* Where to search for the states of a value: all of them are one after the other. */
static int *
find_bucket(FswStateTable *table, uint64 hash)
{
	FswFlag    *flag = &table->history->flag;

	if (flag->nstates * 2 >= table->nbuckets)
	{
		table->nbuckets = Max(64, table->nbuckets * 2);
		table->buckets = palloc0_array(int, table->nbuckets);
		for (int i = 0; i < flag->nstates; i++)
		{
			uint64		bucket = table->hashes[i] & (table->nbuckets - 1);

			while (table->buckets[bucket] != 0)
				bucket = (bucket + 1) & (table->nbuckets - 1);
			table->buckets[bucket] = i + 1;
		}
	}
	return &table->buckets[hash & (table->nbuckets - 1)];
}

static void
make_room(FswStateTable *table)
{
	FswHistory *history = table->history;
	int			n = history->flag.nstates;
	int			max[2] = {table->maxstates, table->maxstates};
	MemoryContext old = MemoryContextSwitchTo(table->mcxt);

	history->shown_states = fsw_grow(history->shown_states, n, &max[0], sizeof(FswShownState));
	history->flag.states = fsw_grow(history->flag.states, n, &max[1], sizeof(FswState));
	table->hashes = fsw_grow(table->hashes, n, &table->maxstates, sizeof(uint64));
	memset(&history->shown_states[n], 0, sizeof(FswShownState));
	MemoryContextSwitchTo(old);
}

/* The index of a state, with its value and variants as they are shown, or 0. */
static int
intern_shown(FswStateTable *table, bool enabled, FswShownState shown)
{
	FswHistory *history = table->history;
	FswFlag    *flag = &history->flag;
	bool		value_isnull = DatumGetPointer(shown.value) == NULL;
	Jsonb	   *canonical = (Jsonb *) DatumGetPointer(shown.variants);
	uint64		hash;
	int		   *bucket;
	FswState	state = {0};

	hash = value_isnull ? 0 : hash_jsonb(shown.value);
	state.enabled = enabled;
	state.has_variants = canonical != NULL;
	state.no_value = value_isnull || fsw_is_json_null(DatumGetJsonbP(shown.value));
	state.nvariants = canonical == NULL ? 0 : JB_ROOT_COUNT(canonical);
	state.value = flag->nstates;
	state.rest = flag->nstates;

	for (bucket = find_bucket(table, hash); *bucket != 0;
		 bucket = bucket + 1 == table->buckets + table->nbuckets ? table->buckets : bucket + 1)
	{
		int			other = *bucket - 1;

		if (table->hashes[other] != hash ||
			!same_jsonb(history->shown_states[other].value, shown.value))
			continue;
		state.value = flag->states[other].value;
		if (!same_jsonb(history->shown_states[other].variants, shown.variants))
			continue;
		state.rest = flag->states[other].rest;
		if (flag->states[other].enabled == enabled)
			return other;
	}

	state.shares = canonical == NULL ? 0 : hash_content(shown.variants);
	state.content = hash_combine64(value_isnull ? 0 : hash_content(shown.value), state.shares);
	state.each = canonical == NULL ? NULL : read_shares(table, canonical);
	make_room(table);
	flag->states[flag->nstates] = state;
	table->hashes[flag->nstates] = hash;
	if (!value_isnull || canonical != NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(table->mcxt);

		if (!value_isnull)
			history->shown_states[flag->nstates].value = datumCopy(shown.value, false, -1);
		if (canonical != NULL)
			history->shown_states[flag->nstates].variants = datumCopy(shown.variants, false, -1);
		MemoryContextSwitchTo(old);
	}
	*bucket = flag->nstates + 1;
	return flag->nstates++;
}

/*
 * The index of a state; equal states have one index.  They are compared, since
 * the hash of a number is that of its opposite: what is told is what counts.
 */
int
fsw_intern_state(FswStateTable *table, bool enabled, Datum value, bool value_isnull,
				 Datum variants, bool variants_isnull)
{
	Jsonb	   *canonical = variants_isnull ? NULL : fsw_shown_variants(DatumGetJsonbP(variants));
	FswShownState shown = {0};

	if (!value_isnull)
		shown.value = PointerGetDatum(PG_DETOAST_DATUM(value));
	if (canonical != NULL)
		shown.variants = JsonbPGetDatum(canonical);
	return intern_shown(table, enabled, shown);
}

/* The index of the state in three columns of a flag event; otherwise where it has none. */
static int
intern_columns(FswStateTable *table, FswScan *scan, int enabled_column, int value_column, int variants_column, int otherwise)
{
	bool		isnull;
	bool		value_isnull;
	bool		variants_isnull;
	Datum		enabled = fsw_scan_column(scan, enabled_column, &isnull);
	Datum		value;
	Datum		variants;

	if (isnull)
		return otherwise;
	value = fsw_scan_column(scan, value_column, &value_isnull);
	variants = fsw_scan_column(scan, variants_column, &variants_isnull);
	return fsw_intern_state(table, DatumGetBool(enabled), value, value_isnull, variants, variants_isnull);
}

/* The state that a flag event tells. */
int
fsw_intern_told(FswStateTable *table, FswScan *scan, int otherwise)
{
	return intern_columns(table, scan, FLAG_enabled, FLAG_value, FLAG_variants, otherwise);
}

/* And what it says was there before. */
int
fsw_intern_previous(FswStateTable *table, FswScan *scan, int otherwise)
{
	return intern_columns(table, scan, FLAG_enabled_before, FLAG_value_before, FLAG_variants_before, otherwise);
}

/* What is shown of a state without percentages: an empty object, as jsonb_in() would make it. */
Datum
fsw_no_variants(void)
{
	static struct
	{
		int32		vl_len_;
		uint32		header;
	}			none;

	SET_VARSIZE(&none, sizeof(none));
	none.header = JB_FOBJECT;
	return PointerGetDatum(&none);
}

/* The state that an object in a list of a version tells, FSW_NOT_TOLD for none. */
static int
intern_object(FswStateTable *table, JsonbContainer *object)
{
	JsonbValue *enabled = getKeyJsonValueFromContainer(object, "enabled", 7, NULL);
	JsonbValue *value = getKeyJsonValueFromContainer(object, "value", 5, NULL);
	JsonbValue *variants = getKeyJsonValueFromContainer(object, "multivariate_feature_state_values",
														strlen("multivariate_feature_state_values"), NULL);

	if (enabled == NULL || enabled->type != jbvBool)
		return FSW_NOT_TOLD;
	return fsw_intern_state(table, enabled->val.boolean,
							value == NULL ? (Datum) 0 : JsonbPGetDatum(JsonbValueToJsonb(value)), value == NULL,
							variants == NULL ? (Datum) 0 : JsonbPGetDatum(JsonbValueToJsonb(variants)), variants == NULL);
}

/* Where the object with these bytes is, or is to be put. */
static FswListed *
find_listed(FswListed *listed, int n, uint64 hash, const char *bytes, int length)
{
	uint64		place = hash & (n - 1);

	while (listed[place].bytes != NULL &&
		   (listed[place].hash != hash || listed[place].length != length ||
			memcmp(listed[place].bytes, bytes, length) != 0))
		place = (place + 1) & (n - 1);
	return &listed[place];
}

static void
grow_listed(FswStateTable *table)
{
	int			n = Max(64, table->maxlisted * 2);
	FswListed  *listed = (FswListed *) MemoryContextAllocZero(table->mcxt, n * sizeof(FswListed));

	for (int i = 0; i < table->maxlisted; i++)
	{
		const FswListed *old = &table->listed[i];

		CHECK_FOR_INTERRUPTS();
		if (old->bytes != NULL)
			*find_listed(listed, n, old->hash, old->bytes, old->length) = *old;
	}
	if (table->listed != NULL)
		pfree(table->listed);
	table->listed = listed;
	table->maxlisted = n;
}

/* A state in a list of a version, by its bytes. */
static const FswListed *
intern_bytes(FswStateTable *table, JsonbContainer *object, int length)
{
	uint64		hash = DatumGetUInt64(hash_any_extended((unsigned char *) object, length, 0));
	FswListed  *listed;

	if (table->nlisted * 2 >= table->maxlisted)
		grow_listed(table);
	listed = find_listed(table->listed, table->maxlisted, hash, (char *) object, length);
	if (listed->bytes != NULL)
		return listed;
	listed->state = intern_object(table, object);
	listed->hash = hash;
	listed->length = length;
	listed->bytes = MemoryContextAlloc(table->mcxt, length);
	memcpy(listed->bytes, object, length);
	table->nlisted++;
	return listed;
}

/*
 * fsw_intern_listed() - the index of the state that an object in a list of a version tells,
 * FSW_NOT_TOLD for none; place is its place in the list.  A list has all states
 * of its version, and the next one mostly the same at the same places but for
 * one: so what has the same bytes is not taken apart again, and what has those
 * of the list before not looked for.
 */
int
fsw_intern_listed(FswStateTable *table, int place, JsonbContainer *object, int length)
{
	const FswListed *listed;
	FswListed  *last = place < table->nlast ? &table->last[place] : NULL;

	if (last != NULL && last->length == length && memcmp(last->bytes, object, length) == 0)
		return last->state;
	listed = intern_bytes(table, object, length);
	if (last == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(table->mcxt);

		last = &FSW_PUSH(table->last, table->nlast, table->maxlast);
		MemoryContextSwitchTo(old);
	}
	*last = *listed;
	return listed->state;
}

/*
 * The index of a state that is the one but for the variants of the other, or
 * without any for FSW_NOT_LIVE.
 */
int
fsw_combine_state(FswFlag *flag, int state, int variants)
{
	FswStateTable *table = flag->combine_with;
	FswShownState shown = table->history->shown_states[state];

	shown.variants = variants < 0 ? (Datum) 0 : table->history->shown_states[variants].variants;
	return intern_shown(table, flag->states[state].enabled, shown);
}

/*
 * The index of a state with the variants of another: of each its own
 * percentage, else that of a third state, which can be FSW_NOT_LIVE; what has
 * neither is left out.
 */
int
fsw_adopt_state(FswFlag *flag, int state, int variants, int added)
{
	FswStateTable *table = flag->combine_with;
	FswShownState *shown = table->history->shown_states;
	FswShownState adopted = shown[state];
	Jsonb	   *own = (Jsonb *) DatumGetPointer(shown[state].variants);
	Jsonb	   *others = added < 0 ? NULL : (Jsonb *) DatumGetPointer(shown[added].variants);
	Jsonb	   *all = (Jsonb *) DatumGetPointer(shown[variants].variants);
	FswJsonbBuild build = {0};
	JsonbIterator *iterator = all == NULL ? NULL : JsonbIteratorInit(&all->root);
	JsonbIteratorToken token;
	JsonbValue	option;
	bool		found = false;

	fsw_jsonb_push(&build, WJB_BEGIN_OBJECT, NULL);
	while (iterator != NULL && (token = JsonbIteratorNext(&iterator, &option, true)) != WJB_DONE)
	{
		JsonbValue *percentage = NULL;

		CHECK_FOR_INTERRUPTS();
		if (token != WJB_KEY)
			continue;
		if (own != NULL)
			percentage = getKeyJsonValueFromContainer(&own->root, option.val.string.val, option.val.string.len, NULL);
		if (percentage == NULL && others != NULL)
			percentage = getKeyJsonValueFromContainer(&others->root, option.val.string.val, option.val.string.len, NULL);
		if (percentage == NULL)
			continue;
		fsw_jsonb_push(&build, WJB_KEY, &option);
		fsw_jsonb_push(&build, WJB_VALUE, percentage);
		found = true;
	}
	adopted.variants = found ? JsonbPGetDatum(JsonbValueToJsonb(fsw_jsonb_push(&build, WJB_END_OBJECT, NULL))) : (Datum) 0;
	return intern_shown(table, flag->states[state].enabled, adopted);
}
