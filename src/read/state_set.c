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

#include "src/base/fsw.h"
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
static Jsonb *
canonical_variants(Jsonb *sent)
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

static void *
grow(const FswStateTable *table, void *array, int old, int max, size_t size)
{
	if (array == NULL)
		return MemoryContextAllocExtended(table->mcxt, max * size,
										  MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	array = repalloc_huge(array, max * size);
	memset((char *) array + old * size, 0, (max - old) * size);
	return array;
}

/* The index of a state; equal states have one index. */
int
fsw_intern_state(FswStateTable *table, bool enabled, Datum value, bool value_isnull,
				 Datum variants, bool variants_isnull)
{
	FswHistory *history = table->history;
	FswFlag    *flag = &history->flag;
	Jsonb	   *canonical = variants_isnull ? NULL : canonical_variants(DatumGetJsonbP(variants));
	FswState	state;
	uint64		bucket;

	state.enabled = enabled;
	state.has_variants = canonical != NULL;
	state.value = value_isnull ? 0 : hash_jsonb(value);
	state.rest = hash_combine64(state.value,
								canonical == NULL ? 0 : hash_jsonb(JsonbPGetDatum(canonical)));

	if (flag->nstates * 2 >= table->nbuckets)
	{
		table->nbuckets = Max(64, table->nbuckets * 2);
		table->buckets = palloc0_array(int, table->nbuckets);
		for (int i = 0; i < flag->nstates; i++)
		{
			bucket = flag->states[i].rest & (table->nbuckets - 1);
			while (table->buckets[bucket] != 0)
				bucket = (bucket + 1) & (table->nbuckets - 1);
			table->buckets[bucket] = i + 1;
		}
	}
	bucket = state.rest & (table->nbuckets - 1);
	while (table->buckets[bucket] != 0)
	{
		FswState   *other = &flag->states[table->buckets[bucket] - 1];

		if (other->rest == state.rest && other->enabled == state.enabled)
			return table->buckets[bucket] - 1;
		bucket = (bucket + 1) & (table->nbuckets - 1);
	}

	if (flag->nstates == table->maxstates)
	{
		int			max = Max(16, table->maxstates * 2);

		history->shown_states = grow(table, history->shown_states, table->maxstates, max, sizeof(FswShownState));
		flag->states = grow(table, flag->states, table->maxstates, max, sizeof(FswState));
		table->maxstates = max;
	}
	flag->states[flag->nstates] = state;
	if (!value_isnull || canonical != NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(table->mcxt);

		if (!value_isnull)
			history->shown_states[flag->nstates].value =
				PointerGetDatum(PG_DETOAST_DATUM_COPY(value));
		if (canonical != NULL)
			history->shown_states[flag->nstates].variants =
				datumCopy(JsonbPGetDatum(canonical), false, -1);
		MemoryContextSwitchTo(old);
	}
	table->buckets[bucket] = flag->nstates + 1;
	return flag->nstates++;
}
