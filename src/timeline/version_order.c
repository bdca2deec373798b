/*-------------------------------------------------------------------------
 *
 * src/timeline/version_order.c
 *	  Versions put into the order in which they went live.
 *
 * See version.c for what a version is told by, version_match.c for how
 * deliveries are put together to versions, and version_earlier.c for what is
 * put before others that were told of before it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/timeline/version_order.h"

/* Entries that are so far apart are in the order of what was published, if no queue stood still. */
#define IN_TURN				INT64CONST(500000)

/* How much misfits of the versions from first to before end, in their order? */
int
fsw_version_try_range(FswVersionSearch *search, int first, int end)
{
	int			misfits = 0;

	memcpy(search->trial, fsw_version_states_before(search, first), search->nscopes * sizeof(int));
	for (int i = first; i < end; i++)
		misfits += fsw_version_try(search->set, search->trial, &search->set->versions[i]);
	return misfits;
}

/* Put a version at another place in the order; those between make room. */
void
fsw_version_move(FswVersion *versions, int from, int to)
{
	FswVersion	version = versions[from];

	if (to > from)
		memmove(&versions[from], &versions[from + 1], (to - from) * sizeof(FswVersion));
	else
		memmove(&versions[to + 1], &versions[to], (from - to) * sizeof(FswVersion));
	versions[to] = version;
}

static int
compare_by_latest(const void *a, const void *b)
{
	const FswVersion *x = a;
	const FswVersion *y = b;

	FSW_INTERRUPT();
	if (x->latest != y->latest)
		return x->latest < y->latest ? -1 : 1;
	return x->live < y->live ? -1 : x->live > y->live;
}

/*
 * Was it only told of late?  The entry of a version that was scheduled comes at
 * once; where it is late as well, the queue stood still, and the time is right,
 * unless the rest came long after that.
 */
static bool
is_told_late(const FswVersion *version)
{
	return fsw_version_is_written_late(version) && fsw_apart(version->latest, version->entry_arrived) <= FSW_TOLD_LATE;
}

/*
 * Several that were scheduled go live in the order in which they are told of.
 * Is that order better than as they are, and no worse than with one of them
 * moved alone?
 */
static bool
try_arrival(FswVersionSearch *search, int first, int last, int unmoved, int fewest)
{
	FswVersions *set = search->set;
	FswVersion *versions = set->versions;
	int			n = last - first + 1;
	int			misfits;

	for (int i = first; i <= last; i++)
	{
		if (unmoved == 0 || versions[i].moved || versions[i].imported || is_told_late(&versions[i]))
			return false;
	}
	memcpy(search->kept, &versions[first], n * sizeof(FswVersion));
	qsort(&versions[first], n, sizeof(FswVersion), compare_by_latest);
	misfits = fsw_version_try_range(search, first, Min(set->nversions, last + 4));
	if (misfits < Min(unmoved, fewest + 1))
	{
		fsw_version_time_by_arrival(set, first, last);
		/* all that speaks for it is an override that another one lacks, which may as well have removed it */
		for (int i = first; i <= last && unmoved - misfits < FSW_MISFIT; i++)
			versions[i].unsure |= versions[i].has_events;
		return true;
	}
	memcpy(&versions[first], search->kept, n * sizeof(FswVersion));
	return false;
}

/* Was a version told of at once, and each of those behind it after it, as their entries say? */
static bool
told_in_order(const FswVersions *set, int first, int last)
{
	const FswVersion *version = &set->versions[first];

	if (version->entry == FSW_NEVER || fsw_apart(version->entry, version->time) > FSW_AT_ONCE)
		return false;
	for (int i = first + 1; i <= last; i++)
	{
		if (set->versions[i].entry == FSW_NEVER || fsw_apart(set->versions[i].entry, version->entry) < IN_TURN)
			return false;
	}
	return last > first;
}

/*
 * Behind which of those before whose end it was told does a version fit best?
 * Sets how much misfits where it is, and there.
 */
static int
find_later(FswVersionSearch *search, int first, int last, int *unmoved, int *fewest)
{
	FswVersions *set = search->set;
	int			end = Min(set->nversions, last + 4);
	int			best = first;
	int			own = 0;

	*unmoved = *fewest = fsw_version_try_range(search, first, end);
	if (*fewest == 0)
		return first;
	for (int i = first; i < last; i++)
	{
		int			misfits;
		int			here;

		fsw_version_move(set->versions, i, i + 1);
		misfits = fsw_version_try_range(search, first, end);
		if (misfits > *fewest || (misfits == *fewest && own == 0))
			continue;
		here = fsw_version_try_range(search, first, i + 2) - fsw_version_try_range(search, first, i + 1);
		/* of two places where as much misfits the one where it does not do so itself */
		if (misfits == *fewest && here > 0)
			continue;
		*fewest = misfits;
		best = i + 1;
		own = here;
	}
	fsw_version_move(set->versions, last, first);
	/* that one lacks an override says less than the order of what was told at once, but it may be from before it */
	if (*unmoved - *fewest < FSW_MISFIT && told_in_order(set, first, best))
	{
		for (int i = first + 1; i <= best; i++)
			set->versions[i].in_turn = true;
		*fewest = *unmoved;
		return first;
	}
	return best;
}

/* Has one of some versions, at its place, a list with a state that no override has? */
bool
fsw_version_have_untold(FswVersionSearch *search, int first, int end)
{
	bool		untold = false;

	memcpy(search->trial, fsw_version_states_before(search, first), search->nscopes * sizeof(int));
	for (int i = first; i < end; i++)
		untold |= fsw_version_untold(search->set, search->trial, &search->set->versions[i]);
	return untold;
}

/* Move a version behind others that were published after it, where it fits better by so much. */
static void
move_later(FswVersionSearch *search, int first, int best, int better)
{
	FswVersions *set = search->set;

	fsw_version_move(set->versions, first, best);
	fsw_version_time_later(set, best);
	/* the other may as well have removed an override, which sends nothing, or its events are lost */
	set->versions[best].unsure = better < FSW_MISFIT || fsw_version_have_untold(search, first, best);
}

/*
 * What does not fit between its neighbours may follow the next one, although
 * that was published after it: as near to each other as clocks differ, or with
 * an instant of effect that was given.  The next one may seem to have been
 * scheduled only since it was told of late.
 */
static bool
try_exchange(FswVersionSearch *search, int index)
{
	FswVersions *set = search->set;
	FswVersion *version = &set->versions[index];
	FswVersion *next = &version[1];
	int			end = Min(set->nversions, index + 4);
	int			unmoved;

	if (index + 1 >= set->nversions || !version->has_events || !next->has_events || version->imported || next->imported ||
		(next->scheduled ? next->time : next->live) > fsw_after(version->latest, FSW_CLOCKS))
		return false;
	unmoved = fsw_version_try_range(search, index, end);
	fsw_version_move(set->versions, index, index + 1);
	if (fsw_version_try_range(search, index, index + 2) < FSW_MISFIT && fsw_version_try_range(search, index, end) < unmoved)
	{
		next = version;
		if (next->scheduled && next->live > set->versions[index + 1].latest)
		{
			next->live = index > 0 ? Max(next->time, fsw_after(next[-1].live, 1)) : next->time;
			next->earliest = next->time;
			next->moved = true;
		}
		fsw_version_time_later(set, index + 1);
		return true;
	}
	fsw_version_move(set->versions, index, index + 1);
	return false;
}

/*
 * What was told of late, by its entry as well, can have been scheduled all the
 * same, if what chains says so.
 */
static bool
try_scheduled(FswVersionSearch *search, int index)
{
	FswVersions *set = search->set;
	int			last = index;
	int			best;
	int			unmoved;
	int			fewest;

	if (!is_told_late(&set->versions[index]) || set->versions[index].moved)
		return false;
	while (last + 1 < set->nversions && last - index < FSW_VERSION_BACK && set->versions[last + 1].live < set->versions[index].latest)
		last++;
	best = find_later(search, index, last, &unmoved, &fewest);
	if (best > index)
		move_later(search, index, best, unmoved - fewest);
	return best > index;
}

/*
 * Versions that seem never to have been live may have been live before the one that
 * they stand behind, if they were published before that was told of: they seem to have
 * been scheduled since they were told of late, and it was.  All has to fit then.
 */
static bool
try_before(FswVersionSearch *search, int index, int n)
{
	FswVersions *set = search->set;
	FswVersion *versions = set->versions;
	int			first = index - 1;

	if (index == 0)
		return false;
	for (int i = first; i < index + n; i++)
	{
		if (!versions[i].has_events || versions[i].imported || versions[i].moved || versions[i].time >= versions[first].latest)
			return false;
	}
	fsw_version_move(versions, first, first + n);
	if (fsw_version_try_range(search, first, Min(set->nversions, index + n + 4)) >= FSW_MISFIT)
	{
		fsw_version_move(versions, first + n, first);
		return false;
	}
	for (int i = first; i < first + n; i++)
	{
		versions[i].live = Max(versions[i].time, i > 0 ? fsw_after(versions[i - 1].live, 1) : FSW_NEVER);
		versions[i].earliest = versions[i].live;
		versions[i].moved = true;
	}
	fsw_version_time_later(set, first + n);
	return true;
}

/*
 * Or some versions may have been live after others that they stand before, of which
 * each was published before they were told of: all has to fit then, too.
 */
static bool
try_behind(FswVersionSearch *search, int index, int n)
{
	FswVersions *set = search->set;
	FswVersion *versions = set->versions;
	int64		told = FSW_FOREVER;
	int			passed = 0;
	bool		fits = false;

	for (int i = index; i < index + n; i++)
	{
		if (!versions[i].has_events || versions[i].imported || versions[i].moved)
			return false;
		told = Min(told, versions[i].latest);
	}
	while (!fits && passed < FSW_VERSION_BACK && index + n + passed < set->nversions && versions[index + n + passed].live < told)
	{
		fsw_version_move(versions, index + n + passed, index + passed);
		passed++;
		fits = fsw_version_try_range(search, index, Min(set->nversions, index + n + passed + 3)) < FSW_MISFIT;
	}
	if (!fits)
	{
		for (int i = passed - 1; i >= 0; i--)
			fsw_version_move(versions, index + i, index + n + i);
		return false;
	}
	/* none of them is bounded by where the next one stood */
	for (int i = index + passed; i < index + passed + n; i++)
		versions[i].live = versions[i].latest;
	for (int i = index + passed; i < index + passed + n; i++)
		fsw_version_time_later(set, i);
	return true;
}

/*
 * Is a version, which can have been scheduled, contradicted by what comes after
 * it, where nothing is known of the environment default before it?  Then its
 * own previous state agrees with all and everything, and is not said to be never
 * live; but it may be that of one that was published meanwhile.  So may
 * a previous state with which the flag was not made.
 */
static bool
is_first_contradicted(FswVersionSearch *search, int index)
{
	const FswVersions *set = search->set;
	const FswVersion *version = &set->versions[index];

	/* of one whose entry came late as well, an override that is not listed is not enough */
	if (!version->has_events || (!version->scheduled && !is_told_late(version)) || version->moved ||
		fsw_version_states_before(search, index)[0] != FSW_NOT_SEEN)
		return false;
	memcpy(search->trial, fsw_version_states_before(search, index), search->nscopes * sizeof(int));
	return fsw_version_contradictions(set, index) >= (version->scheduled ? 1 : FSW_MISFIT) ||
		fsw_version_try_events(set, search->trial, version) >= FSW_MISFIT;
}

/* Carry the states over a version, to before the next. */
static void
step_over(FswVersionSearch *search, int index)
{
	memcpy(search->trial, fsw_version_states_before(search, index), search->nscopes * sizeof(int));
	(void) fsw_version_try(search->set, search->trial, &search->set->versions[index]);
	memcpy(fsw_version_states_before(search, index + 1), search->trial, search->nscopes * sizeof(int));
}

/*
 * What does not fit may follow one that was published before it and seems to have
 * been scheduled, but was only told of late: all from the first on has to fit then.
 */
static bool
fetch_earlier(FswVersionSearch *search, int first, int index)
{
	FswVersions *set = search->set;
	int			end = Min(set->nversions, index + 1 + FSW_VERSION_BACK);

	for (int i = index + 1; i < end && set->versions[index].has_events; i++)
	{
		const FswVersion *late = &set->versions[i];

		if (!late->has_events || !late->scheduled || late->moved || late->time >= set->versions[index].live)
			continue;
		fsw_version_move(set->versions, i, index);
		if (fsw_version_try_range(search, first, Min(set->nversions, i + 4)) < FSW_MISFIT)
		{
			fsw_version_time_earlier(set, index);
			return true;
		}
		fsw_version_move(set->versions, index, i);
	}
	return false;
}

/*
 * A list alone, of which only about is known when it was published, may stand before
 * others that are behind a version.  Where does one of up to last fit best?  Returns
 * how much misfits then.
 */
static int
find_list(FswVersionSearch *search, int first, int last, int *from, int *place)
{
	FswVersions *set = search->set;
	FswVersion *versions = set->versions;
	int			fewest = PG_INT16_MAX;

	for (int i = first + 2; i <= last; i++)
	{
		int			to = i;

		if (versions[i].has_events || versions[i].deleted >= 0 || versions[i].moved || versions[i].list == NULL || versions[i].list->nlist == 0)
			continue;
		while (to > first + 1 && i - to < FSW_VERSION_BACK && !versions[to - 1].imported &&
			   versions[to - 1].live > versions[to].earliest)
		{
			int			misfits;

			FSW_INTERRUPT();
			fsw_version_move(versions, to, to - 1);
			to--;
			misfits = fsw_version_try_range(search, first, Min(set->nversions, last + 4));
			if (misfits >= fewest)
				continue;
			fewest = misfits;
			*from = i;
			*place = to;
		}
		fsw_version_move(versions, to, i);
	}
	return fewest;
}

/*
 * Those that were published after a version and before it was told of may have
 * been live before it: in the order of arrival, or it alone behind some of them,
 * or it follows one that comes later.
 */
static bool
place_later(FswVersionSearch *search, int index)
{
	FswVersions *set = search->set;
	FswVersion *version = &set->versions[index];
	int			last = index;
	int			best = index;
	int			unmoved = 0;
	int			fewest = PG_INT16_MAX;
	int			alone = PG_INT16_MAX;
	int			from = 0;
	int			place = 0;
	int			reach = index;

	while (last + 1 < set->nversions && last - index < FSW_VERSION_REACH &&
		   set->versions[last + 1].live < version->latest)
		last++;
	if (version->moved || (!version->has_events && version->list == NULL))
		return false;
	/* one that was scheduled may follow another such, which was told of after it */
	if (last == index)
		return version->has_events && version->scheduled &&
			fsw_version_try_range(search, index, Min(set->nversions, index + 4)) >= FSW_MISFIT && fetch_earlier(search, index, index);
	if (!is_told_late(version))
	{
		best = find_later(search, index, last, &unmoved, &fewest);
		reach = last;
	}
	for (int i = index; i <= reach && fewest >= FSW_MISFIT; i++)
	{
		if (fetch_earlier(search, index, i))
			return true;
	}
	if (version->has_events && fewest >= FSW_MISFIT)
		alone = find_list(search, index, reach, &from, &place);
	if (version->has_events && try_arrival(search, index, last, unmoved, Min(fewest, alone)))
		return true;
	if (alone < fewest && unmoved - alone >= FSW_MISFIT)
	{
		fsw_version_move(set->versions, from, place);
		set->versions[place].recalled = set->versions[place].entry == FSW_NEVER;
		fsw_version_time_list(set, place);
		return true;
	}
	if (best > index)
		move_later(search, index, best, unmoved - fewest);
	return best > index;
}

/*
 * So many versions seem never to have been live, as what comes after them contradicts
 * them.  But would the next one be such, if this was live?  Then that one was not.
 */
static void
drop_never(FswVersionSearch *search, int index, int n)
{
	FswVersions *set = search->set;
	int			next = 0;

	step_over(search, index);
	if (index + 1 < set->nversions)
		next = fsw_version_never(set, index + 1, fsw_version_states_before(search, index + 1));
	if (next > 0)
		fsw_version_drop(set, index + 1, next);
	else
		fsw_version_drop(set, index, n);
}

/* Try other places for a version.  Returns the first that has to be tried anew. */
static int
place_version(FswVersionSearch *search, int index)
{
	const FswVersion *version = &search->set->versions[index];

	if (fsw_version_is_draft(search->set, index, fsw_version_states_before(search, index)))
	{
		fsw_version_drop(search->set, index, 1);
		return index;
	}
	if (place_later(search, index))
		return index;
	if (!version->moved && (version->has_events ? version->scheduled :
							version->list != NULL && version->list->nlist > 0))
	{
		int			place = fsw_version_try_earlier(search, index);

		if (place < index)
			return place;
	}
	step_over(search, index);
	return index + 1;
}

/*
 * Put the versions in the order in which they went live.  The time of a
 * version is when it was published; one that was scheduled goes live later,
 * at the latest when it is told of.  So what chains is tried: the order of
 * arrival, each version behind those published before it was told of, a list
 * that came late before those it does not know of.  Only when all have their
 * place it is asked which of them were never live.
 */
void
fsw_version_order(FswVersions *set)
{
	FswVersionSearch search = {.set = set,.nscopes = set->flag->nscopes};

	fsw_version_drop_never(set);
	search.current = palloc_array(int, (size_t) (FSW_VERSION_BACK + 1) * search.nscopes);
	search.trial = palloc_array(int, search.nscopes);
	search.kept = palloc_array(FswVersion, FSW_VERSION_REACH + 1);
	memcpy(search.current, set->seed, search.nscopes * sizeof(int));
	for (int i = 0; i < set->nversions;)
	{
		FSW_INTERRUPT();
		i = place_version(&search, i);
	}
	memcpy(search.current, set->seed, search.nscopes * sizeof(int));
	for (int i = 0; i < set->nversions;)
	{
		int			never = fsw_version_never(set, i, fsw_version_states_before(&search, i));

		FSW_INTERRUPT();
		if (never > 0 && try_before(&search, i, never))
			i--;
		else if (never > 0 && try_behind(&search, i, never))
			continue;
		else if (never > 0 && !try_exchange(&search, i) && !try_scheduled(&search, i))
			drop_never(&search, i, never);
		else if (is_first_contradicted(&search, i) &&
				 (try_exchange(&search, i) || try_scheduled(&search, i)))
			continue;
		/* what a queue told late, and not in its place, which nothing contradicts */
		else if (never == 0 && is_told_late(&set->versions[i]) && fsw_version_try_range(&search, i, i + 1) >= FSW_MISFIT &&
				 try_behind(&search, i, 1))
			continue;
		else
			step_over(&search, i++);
	}
	fsw_version_time_chain(set);
	pfree(search.current);
	pfree(search.trial);
	pfree(search.kept);
}
