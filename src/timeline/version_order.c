/*-------------------------------------------------------------------------
 *
 * src/timeline/version_order.c
 *	  Deliveries put together to versions, and versions into their order.
 *
 * See version.c for what a version is told by.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/timeline/version.h"

/* An audit entry is written by a task, this long after its version at most. */
#define ENTRY_DELAY			INT64CONST(900000000)

/* Clocks of two saves of one request. */
#define ENTRY_EARLY			INT64CONST(50000)

/* How far before its entry, or its list, a version without events can lie. */
#define ENTRY_SPREAD		INT64CONST(3000000)
#define LIST_SPREAD			INT64CONST(5000000)

/* The best guess within that. */
#define ENTRY_USUAL			INT64CONST(300000)
#define LIST_USUAL			INT64CONST(1000000)

/* How many versions an event may be compared with, to find its own. */
#define REACH				64

static int
compare_int(const void *a, const void *b)
{
	int			x = *(const int *) a;
	int			y = *(const int *) b;

	FSW_INTERRUPT();
	return x < y ? -1 : x > y;
}

static int
compare_by_time(const void *a, const void *b)
{
	const FswVersion *x = a;
	const FswVersion *y = b;
	int64		p = x->entry != FSW_NEVER ? x->entry : x->list_arrived;
	int64		q = y->entry != FSW_NEVER ? y->entry : y->list_arrived;

	FSW_INTERRUPT();
	if (p != q)
		return p < q ? -1 : 1;
	if (x->list_arrived != y->list_arrived)
		return x->list_arrived < y->list_arrived ? -1 : 1;
	return x->list_index < y->list_index ? -1 : x->list_index > y->list_index;
}

static int
compare_by_live(const void *a, const void *b)
{
	const FswVersion *x = a;
	const FswVersion *y = b;

	FSW_INTERRUPT();
	if (x->live != y->live)
		return x->live < y->live ? -1 : 1;
	if (x->latest != y->latest)
		return x->latest < y->latest ? -1 : 1;
	if (x->entry != y->entry)
		return x->entry < y->entry ? -1 : 1;
	return x->list_index < y->list_index ? -1 : x->list_index > y->list_index;
}

/* Can these events be of the version with this list? */
static bool
list_has_events(const FswFlag *flag, const FswEvidence *list, const int *events,
				int nevents)
{
	int		   *states = palloc_array(int, nevents);
	int		   *listed = palloc_array(int, list->nlist);
	bool		result = true;
	int			j = 0;

	for (int i = 0; i < nevents; i++)
	{
		const FswEvidence *event = &flag->evidence[events[i]];

		FSW_INTERRUPT();
		if (event->scope == 0 && list->nlist > 0 && list->list[0] != event->state)
			result = false;
		states[i] = event->state;
	}
	memcpy(listed, list->list, list->nlist * sizeof(int));
	qsort(states, nevents, sizeof(int), compare_int);
	qsort(listed, list->nlist, sizeof(int), compare_int);
	for (int i = 0; i < nevents && result; i++, j++)
	{
		while (j < list->nlist && listed[j] < states[i])
			j++;
		if (j >= list->nlist || listed[j] != states[i])
			result = false;
	}
	pfree(states);
	pfree(listed);
	return result;
}

/*
 * Put entries, lists and events together.  An entry and a list have the
 * version's uuid; events have only a time, which is not later than the entry
 * and the arrival of the list, and states that the list must contain.
 */
void
fsw_version_collect(FswVersions *set)
{
	FswFlag    *flag = set->flag;
	FswVersion    *versions = palloc0_array(FswVersion, flag->nevidence);
	uint64	   *uuids = palloc_array(uint64, flag->nevidence);
	int			n = 0;
	int			nlinked;
	int			start = 0;
	int			i;

	/* by time, so that the few versions of one uuid are near each other */
	for (i = 0; i < flag->nevidence; i++)
	{
		FswEvidence *piece = &flag->evidence[i];
		FswVersion    *version = NULL;

		FSW_INTERRUPT();
		if (piece->kind != FSW_EV_VERSION && piece->kind != FSW_EV_LIST)
			continue;
		for (int j = n - 1; j >= 0 && j >= n - REACH; j--)
		{
			if (uuids[j] == piece->version)
			{
				version = &versions[j];
				break;
			}
		}
		if (version == NULL)
		{
			uuids[n] = piece->version;
			version = &versions[n++];
			version->entry = FSW_NEVER;
			version->list_arrived = FSW_NEVER;
			version->list_index = -1;
		}
		if (piece->kind == FSW_EV_VERSION)
			version->entry = piece->at;
		else if (version->list == NULL || piece->arrived < version->list_arrived)
		{
			version->list_arrived = piece->arrived;
			version->list = piece;
			version->list_index = i;
		}
	}
	qsort(versions, n, sizeof(FswVersion), compare_by_time);
	nlinked = n;

	for (i = 0; i < flag->nevidence;)
	{
		int64		time = flag->evidence[i].at;
		int		   *events;
		int			nevents = 0;
		int			j;
		int			tried = 0;
		FswVersion    *found = NULL;

		for (j = i; j < flag->nevidence && flag->evidence[j].at == time; j++)
			FSW_INTERRUPT();	/* all of one time */
		events = palloc_array(int, j - i);
		for (int k = i; k < j; k++)
		{
			FswEvidence *piece = &flag->evidence[k];
			bool		first = true;

			FSW_INTERRUPT();
			if ((piece->kind != FSW_EV_BODY && piece->kind != FSW_EV_IMPORT) ||
				flag->scopes[piece->scope].kind == FSW_SCOPE_IDENTITY)
				continue;
			for (int l = 0; l < nevents; l++)
				first = first && flag->evidence[events[l]].scope != piece->scope;
			if (first)
				events[nevents++] = k;
		}
		i = j;
		if (nevents == 0)
		{
			pfree(events);
			continue;
		}

		while (start < nlinked &&
			   Max(versions[start].entry, versions[start].list_arrived) < fsw_after(time, -ENTRY_EARLY))
			start++;
		for (j = start; j < nlinked && tried < REACH; j++)
		{
			FswVersion    *version = &versions[j];

			FSW_INTERRUPT();
			if (version->has_events)
				continue;
			tried++;
			if (version->entry != FSW_NEVER &&
				(version->entry < fsw_after(time, -ENTRY_EARLY) || fsw_apart(version->entry, time) > ENTRY_DELAY))
				continue;
			if (version->list_arrived != FSW_NEVER && version->list_arrived < time)
				continue;
			if (version->list != NULL && !list_has_events(flag, version->list, events, nevents))
				continue;
			found = version;
			break;
		}
		if (found == NULL)
		{
			found = &versions[n++];
			found->entry = FSW_NEVER;
			found->list_arrived = FSW_NEVER;
			found->list_index = -1;
		}
		found->has_events = true;
		found->time = time;
		found->events = events;
		found->nevents = nevents;
	}

	for (i = 0; i < n; i++)
	{
		FswVersion    *version = &versions[i];

		FSW_INTERRUPT();
		if (version->has_events)
		{
			version->earliest = version->time;
			version->live = version->time;
			version->latest = version->list != NULL ? version->list_arrived : FSW_FOREVER;
			for (int j = 0; j < version->nevents; j++)
				version->latest = Min(version->latest,
									  flag->evidence[version->events[j]].arrived);
		}
		else if (version->entry != FSW_NEVER)
		{
			version->earliest = fsw_after(version->entry, -ENTRY_SPREAD);
			version->live = fsw_after(version->entry, -ENTRY_USUAL);
			version->latest = Max(version->entry, version->list_arrived);
			if (version->list != NULL && version->list_arrived < version->entry)
			{
				version->live = Min(version->live, fsw_after(version->list_arrived, -ENTRY_USUAL));
				version->latest = version->list_arrived;
			}
		}
		else
		{
			version->earliest = fsw_after(version->list_arrived, -LIST_SPREAD);
			version->live = fsw_after(version->list_arrived, -LIST_USUAL);
			version->latest = version->list_arrived;
		}
	}
	qsort(versions, n, sizeof(FswVersion), compare_by_live);
	pfree(uuids);
	set->versions = versions;
	set->nversions = n;
}

static int
compare_held(const void *a, const void *b)
{
	const FswHeld *x = a;
	const FswHeld *y = b;

	FSW_INTERRUPT();
	if (x->state != y->state)
		return x->state < y->state ? -1 : 1;
	return x->scope < y->scope ? -1 : x->scope > y->scope;
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
	int		   *listed = palloc_array(int, list->nlist);
	int			nlisted = list->nlist - 1;
	int			nheld = 0;
	int			j = 0;

	*extra = 0;
	*nlost = 0;
	for (int i = 0; i < set->nused; i++)
	{
		int			scope = set->used[i];

		FSW_INTERRUPT();
		if (scope == 0)
			continue;
		if (current[scope] == FSW_LOST)
			(*nlost)++;
		else if (current[scope] >= 0)
		{
			held[nheld].state = current[scope];
			held[nheld].scope = scope;
			nheld++;
		}
	}
	qsort(held, nheld, sizeof(FswHeld), compare_held);
	memcpy(listed, list->list + 1, nlisted * sizeof(int));
	qsort(listed, nlisted, sizeof(int), compare_int);

	for (int i = 0; i < nheld;)
	{
		int			state = held[i].state;
		int			same = 0;
		int			have = 0;
		FswVerdict		verdict;

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
	pfree(listed);
	return nheld;
}

/*
 * Carry the states over one version and count what does not fit: an event
 * whose previous state is not what was carried, a listed state that nobody
 * has, an override that is not listed.
 */
static int
try_version(const FswVersions *set, int *current, const FswVersion *version)
{
	const FswFlag *flag = set->flag;
	int			misfits = 0;

	for (int i = 0; i < version->nevents; i++)
	{
		const FswEvidence *event = &flag->evidence[version->events[i]];
		int			was = current[event->scope];

		FSW_INTERRUPT();
		if (was == FSW_NOT_SEEN && event->scope != 0)
			was = FSW_NOT_LIVE;
		if (was != FSW_NOT_SEEN && was != FSW_LOST && event->before != FSW_NOT_TOLD &&
			was != event->before)
			misfits++;
		current[event->scope] = event->state;
	}
	if (version->list != NULL && version->list->nlist > 0)
	{
		FswHeld	   *held = palloc_array(FswHeld, set->nused);
		FswVerdict    *verdicts = palloc_array(FswVerdict, set->nused);
		int			extra;
		int			nlost;
		int			nheld;
		int			i;

		if (current[0] != FSW_NOT_SEEN && current[0] != version->list->list[0])
			misfits++;
		current[0] = version->list->list[0];
		nheld = fsw_version_compare(set, current, version->list, held, verdicts,
								  &extra, &nlost);
		for (i = 0; i < nheld; i++)
		{
			FSW_INTERRUPT();
			if (verdicts[i] == FSW_LISTED)
				continue;
			misfits++;
			current[held[i].scope] = verdicts[i] == FSW_NOT_LISTED ? FSW_NOT_LIVE : FSW_LOST;
		}
		if (nlost == 0)
			misfits += extra;
		pfree(held);
		pfree(verdicts);
	}
	return misfits;
}

/*
 * Put the versions in the order in which they went live.  The time of a
 * version is when it was published; one that was scheduled goes live later,
 * at the latest when it is told of.  So each version may be moved behind
 * those published before it was told of, if that leaves fewer misfits.
 */
void
fsw_version_order(FswVersions *set)
{
	int			nscopes = set->flag->nscopes;
	int		   *current = palloc_array(int, nscopes);
	int		   *trial = palloc_array(int, nscopes);
	int			i;

	for (i = 0; i < nscopes; i++)
		current[i] = FSW_NOT_SEEN;
	for (i = 0; i < set->nversions;)
	{
		FswVersion    *versions = set->versions;
		FswVersion		version = versions[i];
		int			last = i;

		FSW_INTERRUPT();
		while (last + 1 < set->nversions && last - i < REACH &&
			   versions[last + 1].live < version.latest)
			last++;
		if (last > i && version.has_events && !version.moved)
		{
			int			end = Min(set->nversions, last + 4);
			int			best = i;
			int			fewest = PG_INT32_MAX;

			for (int k = i; k <= last; k++)
			{
				int			misfits = 0;

				memcpy(trial, current, nscopes * sizeof(int));
				for (int j = i + 1; j <= k; j++)
					misfits += try_version(set, trial, &versions[j]);
				misfits += try_version(set, trial, &version);
				for (int j = k + 1; j < end; j++)
					misfits += try_version(set, trial, &versions[j]);
				if (misfits < fewest)
				{
					fewest = misfits;
					best = k;
				}
			}
			if (best > i)
			{
				memmove(&versions[i], &versions[i + 1], (best - i) * sizeof(FswVersion));
				version.earliest = versions[best - 1].live;
				version.live = Max(version.latest, fsw_after(versions[best - 1].live, 1));
				if (best + 1 < set->nversions && version.live >= versions[best + 1].live)
					version.live = Max(version.earliest, fsw_after(versions[best + 1].live, -1));
				version.moved = true;
				versions[best] = version;
				continue;
			}
		}
		(void) try_version(set, current, &versions[i]);
		i++;
	}
	pfree(current);
	pfree(trial);
}
