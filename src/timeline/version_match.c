/*-------------------------------------------------------------------------
 *
 * src/timeline/version_match.c
 *	  Deliveries put together to versions.
 *
 * An audit entry and a list have the version's uuid.  Events have only a
 * time, which is not later than the entry and the arrival of the list, a person,
 * who published the list as well, and states that the list must contain.  Which
 * events are whose is the best assignment: as many events as possible get a
 * version, each list is near its own, and as little of it as possible is left
 * for others to explain.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/timeline/version_match.h"

/* Clocks of two saves of one request. */
#define ENTRY_EARLY			INT64CONST(50000)

/* Farther away than this, an entry or a list is looked for only in need. */
#define NEAR				INT64CONST(10000000)

/*
 * How many groups in a row may be given others for one that has none: near
 * ones, and far ones.  So what is farther from an instant than twice the delay
 * of an entry has no say in which events are whose, and what is nearer only
 * where an event or a version is left over: near.c relies on it.
 */
#define NEAR_MOVES			FSW_VERSION_REACH
#define FAR_MOVES			1

/* What counts as much as a state of a list that the events do not explain. */
#define UNEXPLAINED			INT64CONST(200000)

/*
 * A list that comes so much later than its events, or earlier, waited in a
 * queue, and how long says nothing: the entry beside it tells.
 */
#define QUEUED				INT64CONST(20000000)

/* So much nearer must a version be of which no list came, in microseconds, than one whose list tells of the events. */
#define UNLISTED			INT64CONST(2000000)

/*
 * A deletion has the time at which the version's state was saved, and an event that
 * at which the version was published: 0.9 s later at most in two captured runs.
 */
#define SAVED_BEFORE		INT64CONST(1000000)

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

/*
 * Can these events be of the version with this list?  Returns how many states
 * of the list they leave for others to explain, or -1.  A list that was made
 * when the feature was gone is empty.
 */
static int
compare_with_list(const FswFlag *flag, const FswEvidence *list, const FswGroup *group)
{
	int		   *states = palloc_array(int, group->nevents);
	int			n = 0;
	int			result = list->nlist - group->nevents;
	int			j = 1;

	for (int i = 0; i < group->nevents; i++)
	{
		const FswEvidence *event = &flag->evidence[group->events[i]];
		int			state = event->kind == FSW_EV_DELETED ? event->before : event->state;

		FSW_INTERRUPT();
		if (event->scope != 0)
			states[n++] = state;
		else if (list->nlist > 0 && list->list[0] != state &&
				 !fsw_version_differ_by_option(flag, list->list[0], state, event->at, list->arrived))
			result = -1;
	}
	if (result >= 0)
		fsw_sort_states(states, n);
	for (int i = 0; i < n && result >= 0; i++)
	{
		while (j < list->nlist && list->list[j] < states[i])
			j++;
		if (j < list->nlist && list->list[j] == states[i])
			j++;
		else
			result = -1;
	}
	pfree(states);
	return list->nlist == 0 ? 0 : result;
}

/* Does the group bring an override? */
static bool
brings_override(const FswFlag *flag, const FswGroup *group)
{
	for (int i = 0; i < group->nevents; i++)
	{
		const FswEvidence *event = &flag->evidence[group->events[i]];

		if (event->kind == FSW_EV_BODY && event->scope != 0 && event->before == FSW_NOT_LIVE)
			return true;
	}
	return false;
}

/*
 * Does the list of a version that was published before another one tell of an
 * override that the group brings?  Then that other one did not bring it.
 */
static bool
is_listed_earlier(const FswMatch *match, const FswGroup *group, const FswVersion *version)
{
	int			end = Min(match->nversions, group->start + FSW_VERSION_REACH);

	if (!brings_override(match->flag, group))
		return false;
	for (int i = group->start; i < end; i++)
	{
		const FswVersion *other = &match->versions[i];

		FSW_INTERRUPT();
		if (other->list != NULL && other->list->nlist > 0 && other->entry != FSW_NEVER && other->entry < version->entry &&
			other->list_arrived >= group->time && compare_with_list(match->flag, other->list, group) >= 0)
			return true;
	}
	return false;
}

/* Do two pieces of evidence name two persons? */
static bool
are_by_two(const FswEvidence *a, const FswEvidence *b)
{
	return a->person != 0 && b->person != 0 && a->person != b->person;
}

/* How far a version is from what its events would want; -1 if it is not theirs. */
static int64
cost_of(const FswMatch *match, const FswGroup *group, const FswVersion *version)
{
	int64		cost = 0;
	int			unexplained;

	if (version->entry != FSW_NEVER)
	{
		if (version->entry < fsw_after(group->time, -ENTRY_EARLY) ||
			fsw_apart(version->entry, group->time) > FSW_ENTRY_DELAY)
			return -1;
		/* the entry has the time of its task, which is queued with those of the events, or before, and soon after what was saved */
		if (!group->imported && fsw_apart(version->entry, group->deleted ? group->time : group->shown) > FSW_LATE_ALONE)
			return -1;
		cost += fsw_apart(version->entry, fsw_after(group->time, -ENTRY_EARLY));
	}
	if (version->list == NULL)
		return cost + (is_listed_earlier(match, group, version) ? NEAR : UNLISTED);
	if (version->list_arrived < fsw_after(group->time, -FSW_CLOCKS))
		return -1;
	unexplained = compare_with_list(match->flag, version->list, group);
	if (unexplained < 0)
		return -1;
	/* an address can have changed meanwhile, which makes it none of the near ones */
	if (are_by_two(version->list, &match->flag->evidence[group->events[0]]))
		cost += 2 * NEAR + 1;
	/* events and list are sent when the version goes live, the entry before */
	if (!group->deleted)
	{
		int64		apart = fsw_between(version->list_arrived, group->shown);

		if (apart > FSW_ENTRY_DELAY)
			return -1;
		cost += version->entry != FSW_NEVER ? Min(apart, QUEUED) / 2 : apart;
	}
	return cost + unexplained * UNEXPLAINED;
}

static void
add_candidate(FswGroup *group, int version, int64 cost)
{
	int			i;

	if (group->ncandidates == group->maxcandidates)
	{
		int			max = Max(4, group->maxcandidates * 2);

		group->candidates = group->candidates == NULL ? palloc_array(int, max) :
			repalloc_array(group->candidates, int, max);
		group->costs = group->costs == NULL ? palloc_array(int64, max) :
			repalloc_array(group->costs, int64, max);
		group->maxcandidates = max;
	}
	for (i = group->ncandidates++; i > 0 && group->costs[i - 1] > cost; i--)
	{
		group->candidates[i] = group->candidates[i - 1];
		group->costs[i] = group->costs[i - 1];
	}
	group->candidates[i] = version;
	group->costs[i] = cost;
}

/* The versions that a group can be: those near, or all in reach. */
static void
find_candidates(FswMatch *match, FswGroup *group, bool far)
{
	int			tried = 0;

	group->ncandidates = 0;
	for (int i = group->start; i < match->nversions && tried < FSW_VERSION_REACH; i++)
	{
		const FswVersion *version = &match->versions[i];
		int64		told = version->entry != FSW_NEVER ? version->entry : version->list_arrived;
		int64		cost;

		FSW_INTERRUPT();
		if (!far && fsw_apart(told, group->time) > NEAR)
			break;
		if (group->deleted && match->owner[i] >= 0 && (far || !match->groups[match->owner[i]].deleted))
			continue;
		tried++;
		cost = cost_of(match, group, version);
		if (cost >= 0 && (far || cost <= 2 * NEAR))
			add_candidate(group, i, cost);
	}
}

static int64
cost_for(const FswGroup *group, int version)
{
	for (int i = 0; i < group->ncandidates; i++)
	{
		if (group->candidates[i] == version)
			return group->costs[i];
	}
	return -1;
}

/* Is what the group has none of its near versions? */
static bool
is_far(const FswMatch *match, const FswGroup *group)
{
	const FswVersion *version = &match->versions[group->version];
	int64		told = version->entry != FSW_NEVER ? version->entry : version->list_arrived;
	int64		cost = cost_for(group, group->version);

	return fsw_apart(told, group->time) > NEAR || cost < 0 || cost > 2 * NEAR;
}

/*
 * Give a group one of its versions, if need be by giving so many groups in a
 * row others.
 */
static bool
assign(FswMatch *match, int index, int by, int moves, bool far)
{
	FswGroup   *group = &match->groups[index];

	if (far)
		find_candidates(match, group, true);
	for (int i = 0; i < group->ncandidates; i++)
	{
		int			version = group->candidates[i];
		int			owner = match->owner[version];

		FSW_INTERRUPT();
		if (match->visited[version] == by)
			continue;
		match->visited[version] = by;
		/* what has a near one leaves it for one that is farther away only to what is nearer to it */
		if (owner >= 0 && (moves == 0 || (far && !is_far(match, &match->groups[owner]) &&
										  group->costs[i] > cost_for(&match->groups[owner], version)) ||
						   !assign(match, owner, by, moves - 1, far)))
			continue;
		match->owner[version] = index;
		group->version = version;
		return true;
	}
	/* what it has is near, and only near ones may be better */
	if (far && group->version >= 0)
		find_candidates(match, group, false);
	return false;
}

/* Can the group have a better version, a free one or by exchange?  Take it. */
static bool
improve(FswMatch *match, int index)
{
	FswGroup   *group = &match->groups[index];

	for (int i = 0; i < group->ncandidates; i++)
	{
		int			version = group->candidates[i];
		int			owner = match->owner[version];
		int			mine = group->version;
		int64		now = cost_for(group, mine);

		FSW_INTERRUPT();
		if (version == mine)
			continue;
		if (owner >= 0)
		{
			FswGroup   *other = &match->groups[owner];
			int64		exchanged = cost_for(other, mine);
			int64		more = exchanged + group->costs[i] - now - cost_for(other, version);

			/* of two that are as near to either, the first one that a deletion tells has the first entry */
			if (exchanged < 0 || more > 0 ||
				(more == 0 && (!group->deleted || !other->deleted || (group->time < other->time) != (version < mine))))
				continue;
			other->version = mine;
		}
		else if (group->costs[i] >= now)
			break;				/* the likeliest come first */
		match->owner[mine] = owner;
		match->owner[version] = index;
		group->version = version;
		return true;
	}
	return false;
}

/* Is a version looked for, for a group of events or of deletions?  Imports come with none, and some deletions have one. */
static bool
takes_part(const FswGroup *group, bool deleted)
{
	return !group->imported && !group->repeats && group->deleted == deleted;
}

/* The near versions that each group can be; of a deletion, those that no event has. */
static void
find_near_candidates(FswMatch *match, bool deleted)
{
	int			start = 0;

	for (int i = 0; i < match->ngroups; i++)
	{
		FswGroup   *group = &match->groups[i];

		FSW_INTERRUPT();
		while (start < match->nversions &&
			   Max(match->versions[start].entry, match->versions[start].list_arrived) <
			   fsw_after(group->time, -FSW_CLOCKS))
			start++;
		group->start = start;
		if (takes_part(group, deleted))
			find_candidates(match, group, false);
	}
}

/*
 * Can a deletion have the version of another one that is much farther from it?
 * Then that one has none, as a draft has none.  Take it.
 */
static bool
take_nearer(FswMatch *match, int index)
{
	FswGroup   *group = &match->groups[index];

	if (!takes_part(group, true))
		return false;
	find_candidates(match, group, false);
	for (int i = 0; i < group->ncandidates; i++)
	{
		int			version = group->candidates[i];
		int			owner = match->owner[version];

		FSW_INTERRUPT();
		if (owner < 0 || !match->groups[owner].deleted ||
			cost_for(&match->groups[owner], version) <= FSW_MUCH_NEARER * group->costs[i])
			continue;
		match->groups[owner].version = -1;
		match->owner[version] = index;
		group->version = version;
		return true;
	}
	return false;
}

/* Can a deletion be that of the version which events tell? */
static bool
is_deletion_of(const FswMatch *match, const FswGroup *deletion, const FswGroup *events)
{
	const FswFlag *flag = match->flag;
	const FswEvidence *deleted = &flag->evidence[deletion->events[0]];
	const FswEvidence *list = events->version >= 0 ? match->versions[events->version].list : NULL;

	if (are_by_two(deleted, &flag->evidence[events->events[0]]) ||
		(list != NULL && compare_with_list(flag, list, deletion) < 0))
		return false;
	for (int i = 0; i < events->nevents; i++)
	{
		const FswEvidence *event = &flag->evidence[events->events[i]];

		FSW_INTERRUPT();
		if (event->scope == 0 && event->state != deleted->before &&
			!fsw_version_differ_by_option(flag, event->state, deleted->before, event->at, deleted->arrived))
			return false;
	}
	return true;
}

/* Find the deletions of versions that events tell: of each, the last that can be. */
static void
find_repeating(FswMatch *match)
{
	for (int i = 0; i < match->ngroups; i++)
	{
		const FswGroup *group = &match->groups[i];

		if (group->deleted || group->ended || group->imported)
			continue;
		for (int j = i - 1; j >= 0 && match->groups[j].time > fsw_after(group->time, -SAVED_BEFORE); j--)
		{
			FswGroup   *deletion = &match->groups[j];

			FSW_INTERRUPT();
			if (!deletion->deleted || deletion->repeats || !is_deletion_of(match, deletion, group))
				continue;
			deletion->repeats = true;
			break;
		}
	}
}

/*
 * Assign the groups of events, in a second turn those of deletions: near ones,
 * then to each group that has none one that is farther away, for which another
 * one may have to give its own.  First come those that have near ones, all of
 * which others have: what is of nobody near can be a save of a state by itself.
 */
static void
assign_groups(FswMatch *match, bool deleted)
{
	int			turn = match->ngroups * 3 * deleted;

	find_near_candidates(match, deleted);
	for (int round = 0; round < 3; round++)
	{
		bool		far = round > 0;

		for (int i = 0; i < match->ngroups; i++)
		{
			FswGroup   *group = &match->groups[i];

			FSW_INTERRUPT();
			if (takes_part(group, deleted) && group->version < 0 && (round != 1 || group->ncandidates > 0))
				(void) assign(match, i, ++turn, far ? FAR_MOVES : NEAR_MOVES, far);
		}
	}
	for (int pass = 0; pass < 4; pass++)
	{
		bool		improved = false;

		for (int i = 0; i < match->ngroups; i++)
		{
			if (match->groups[i].deleted == deleted)
				improved |= match->groups[i].version >= 0 ? improve(match, i) : take_nearer(match, i);
		}
		if (!improved)
			break;
	}
}

/* Put entries, lists and events together to versions, in order of time. */
void
fsw_version_collect(FswVersions *set)
{
	FswMatch	match = {.flag = set->flag};
	FswFlag    *flag = set->flag;
	int			n;

	fsw_match_gather(&match);
	n = match.nversions;
	match.owner = palloc_array(int, n);
	match.visited = palloc0_array(int, n);
	for (int i = 0; i < n; i++)
		match.owner[i] = -1;
	assign_groups(&match, false);
	find_repeating(&match);
	assign_groups(&match, true);
	for (int i = 0; i < match.ngroups; i++)
	{
		FswGroup   *group = &match.groups[i];
		FswVersion *version;

		FSW_INTERRUPT();
		if (group->version < 0 && group->deleted)
			continue;
		version = group->version >= 0 ? &match.versions[group->version] :
			fsw_match_begin(&match.versions[n++]);
		version->far = group->version >= 0 && is_far(&match, group);
		version->time = group->time;
		version->imported = group->imported;
		if (group->deleted)
		{
			version->deleted = group->events[0];
			continue;
		}
		version->has_events = true;
		version->shown = group->shown;
		version->events = group->events;
		version->nevents = group->nevents;
	}
	for (int i = 0; i < n; i++)
	{
		FSW_INTERRUPT();
		fsw_version_time(flag, &match.versions[i]);
	}
	qsort(match.versions, n, sizeof(FswVersion), compare_by_live);
	pfree(match.owner);
	pfree(match.visited);
	pfree(match.groups);
	set->versions = match.versions;
	set->nversions = n;
}
