/*-------------------------------------------------------------------------
 *
 * src/timeline/version_list.c
 *	  What a version's list says of the overrides that are known.
 *
 * It has the states of all overrides by segment, and does not say whose they
 * are.  So their order means nothing, and they are sorted when the list is put
 * to its version.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/timeline/version.h"

/* States up to this are counted rather than compared. */
#define MOST_COUNTED	128

static int
compare_held(const FswHeld *x, const FswHeld *y)
{
	FSW_INTERRUPT();
	if (x->state != y->state)
		return x->state < y->state ? -1 : 1;
	return x->scope < y->scope ? -1 : x->scope > y->scope;
}

#define ST_SORT sort_held
#define ST_ELEMENT_TYPE FswHeld
#define ST_COMPARE(a, b) compare_held(a, b)
#define ST_SCOPE static
#define ST_DEFINE
#include "lib/sort_template.h"

/* Where the run of states that never fall ends, which begins at first. */
static int
end_of_run(const int *states, int first, int n)
{
	int			end = first + 1;

	while (end < n && states[end] >= states[end - 1])
		end++;
	return Min(end, n);
}

/* Sort states by how often each is there; false if there are too many different ones. */
static bool
count_states(int *states, int n)
{
	int			counts[MOST_COUNTED] = {0};
	int			most = 0;

	for (int i = 0; i < n; i++)
	{
		if (states[i] < 0 || states[i] >= MOST_COUNTED)
			return false;
		counts[states[i]]++;
		most = Max(most, states[i]);
	}
	for (int state = 0; state <= most; state++)
	{
		for (int i = counts[state]; i > 0; i--)
			*states++ = state;
	}
	return true;
}

/*
 * Sort the states of a list.  Mostly a flag has few different ones.  Else,
 * since they are numbered as they were read, a list is one long run and a few
 * states that came later: runs are merged two by two.
 */
void
fsw_sort_states(int *states, int n)
{
	int		   *from = states;
	int		   *to;
	int		   *spare;
	int			nruns;

	if (end_of_run(states, 0, n) == n || count_states(states, n))
		return;
	to = spare = palloc_array(int, n);
	do
	{
		int		   *merged = to;

		nruns = 0;
		for (int begin = 0; begin < n; nruns++)
		{
			int			middle = end_of_run(from, begin, n);
			int			end = end_of_run(from, middle, n);
			int			i = begin;
			int			j = middle;

			FSW_INTERRUPT();
			while (i < middle && j < end)
				*merged++ = from[i] <= from[j] ? from[i++] : from[j++];
			while (i < middle)
				*merged++ = from[i++];
			while (j < end)
				*merged++ = from[j++];
			begin = end;
		}
		to = from;
		from = merged - n;
	} while (nruns > 1);
	if (from != states)
		memcpy(states, from, n * sizeof(int));
	pfree(spare);
}

/* Does an override have the state, as a list says? */
bool
fsw_version_lists(const FswEvidence *list, int state)
{
	int			low = 1;
	int			high = list->nlist;

	while (low < high)
	{
		int			middle = low + (high - low) / 2;

		if (list->list[middle] < state)
			low = middle + 1;
		else
			high = middle;
	}
	return low < list->nlist && list->list[low] == state;
}

/*
 * Which override is meant by a list was lost: it is known again by a list
 * that shows exactly what all overrides were told last.  Returns whether it
 * does.
 */
bool
fsw_version_find(const FswVersions *set, int *current, const FswEvidence *list)
{
	int		   *told = palloc_array(int, set->nused);
	int			n = 0;
	bool		lost = false;
	bool		found;

	for (int i = 0; i < set->nused; i++)
	{
		int			state = set->used[i] == 0 ? FSW_NOT_LIVE : current[set->used[i]];

		FSW_INTERRUPT();
		lost = lost || fsw_is_lost(state);
		if (state >= 0 || state < FSW_LOST)
			told[n++] = state >= 0 ? state : FSW_LOST - 1 - state;
		else if (state == FSW_LOST)
			n = set->nused;		/* not known at all */
		if (n == set->nused)
			break;
	}
	found = lost && n < set->nused && n == list->nlist - 1;
	if (found)
	{
		fsw_sort_states(told, n);
		found = n == 0 || memcmp(told, list->list + 1, n * sizeof(int)) == 0;
	}
	for (int i = 0; found && i < set->nused; i++)
	{
		int		   *state = &current[set->used[i]];

		if (set->used[i] != 0 && fsw_is_lost(*state))
			*state = FSW_LOST - 1 - *state;
	}
	pfree(told);
	return found;
}

/*
 * The overrides thought to be live, by their states and then by scope.
 * Returns how many; *nlost is the number of those whose state is lost.
 */
static int
gather_held(const FswVersions *set, const int *current, FswHeld *held, int *nlost)
{
	int			places[MOST_COUNTED + 1] = {0};
	int			most = 0;
	int			nheld = 0;

	*nlost = 0;
	for (int i = 0; i < set->nused; i++)
	{
		int			scope = set->used[i];
		int			state = current[scope];

		FSW_INTERRUPT();
		if (scope == 0)
			continue;
		*nlost += fsw_is_lost(state);
		if (state < 0)
			continue;
		held[nheld].state = state;
		held[nheld++].scope = scope;
		most = Max(most, state);
		if (most < MOST_COUNTED)
			places[state + 1]++;
	}
	if (most >= MOST_COUNTED)
	{
		sort_held(held, nheld);
		return nheld;
	}
	for (int state = 0; state < most; state++)
		places[state + 1] += places[state];
	for (int i = 0; i < set->nused; i++)
	{
		int			scope = set->used[i];
		int			state = current[scope];

		if (scope != 0 && state >= 0)
			held[places[state]++] = (FswHeld) {.state = state,.scope = scope};
	}
	return nheld;
}

/*
 * Compare the overrides thought to be live with a version's list.  Returns
 * how many overrides are known; verdicts are in the order of held.  *extra is
 * the number of listed states that no known override has, *nlost the number
 * of overrides whose state is lost.
 */
int
fsw_version_compare(const FswVersions *set, const int *current, const FswEvidence *list,
					FswHeld *held, FswVerdict *verdicts, int *extra, int *nlost)
{
	const int  *listed = list->list + 1;
	int			nlisted = list->nlist - 1;
	int			nheld = gather_held(set, current, held, nlost);
	int			j = 0;

	*extra = 0;
	for (int i = 0; i < nheld;)
	{
		int			state = held[i].state;
		int			same = 0;
		int			have = 0;
		FswVerdict	verdict;

		FSW_INTERRUPT();
		for (; j < nlisted && listed[j] < state; j++)
			(*extra)++;
		while (i + same < nheld && held[i + same].state == state)
			same++;
		while (j + have < nlisted && listed[j + have] == state)
			have++;
		*extra += Max(0, have - same);
		verdict = have >= same ? FSW_LISTED : have == 0 ? FSW_NOT_LISTED : FSW_CANNOT_TELL;
		for (int k = 0; k < same; k++)
			verdicts[i + k] = verdict;
		i += same;
		j += have;
	}
	*extra += nlisted - j;
	return nheld;
}

/*
 * How sure a list makes that there is no override but those told.  Of its
 * states that none of these has, some can be those of overrides that changed.
 */
FswConfidence
fsw_version_absence(const FswVerdict *verdicts, int nheld, int extra, int nlost)
{
	if (extra == 0)
		return FSW_CONFIRMED;
	for (int i = 0; i < nheld; i++)
	{
		if (verdicts[i] != FSW_LISTED)
			nlost++;
	}
	return extra > nlost ? FSW_INFERRED : FSW_REPORTED;
}
