/*-------------------------------------------------------------------------
 *
 * src/timeline/version_never.c
 *	  Which versions were announced and never live.
 *
 * Such a version sends its events and its list as others do; only what comes
 * after it knows nothing of it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/timeline/version.h"

/* Of a scope of which the version in question tells nothing. */
#define UNTOLD				PG_INT32_MIN

/*
 * Are two states the same but for variants, one of which was added or removed
 * after an instant, and before what arrived at another was built, perhaps?
 */
bool
fsw_version_differ_by_option(const FswFlag *flag, int a, int b, int64 after, int64 arrived)
{
	int			option;

	if (a < 0 || b < 0 || !fsw_same_but_variants(&flag->states[a], &flag->states[b]))
		return false;
	option = fsw_timeline_first(flag->options, flag->noptions, after);
	return option < flag->noptions && flag->options[option] <= fsw_after(arrived, FSW_CLOCKS);
}

/*
 * Are two states of the environment default the same but for variants, which
 * no event tells to have been added or removed?
 */
static bool
has_other_options(const FswFlag *flag, int was, int is)
{
	/* where no entries come, none tells of an option */
	return was >= 0 && is >= 0 && (flag->noptions > 0 || flag->latest_audit_at == FSW_NEVER) &&
		flag->states[was].nvariants != flag->states[is].nvariants &&
		fsw_same_but_variants(&flag->states[was], &flag->states[is]);
}

/* Was something else carried than an event says was there before? */
bool
fsw_version_misfits(const FswFlag *flag, int was, const FswEvidence *event)
{
	return was != FSW_NOT_SEEN && !fsw_is_lost(was) && event->before != FSW_NOT_TOLD &&
		was != event->before && !fsw_version_differ_by_option(flag, was, event->before, event->at, event->arrived) &&
		(event->scope != 0 || !has_other_options(flag, was, event->before));
}

/*
 * Is an event's previous state another one than what was held?  It was read
 * when the event was built, with the variants that there were by then.
 */
bool
fsw_version_is_unfit(FswVersions *set, const FswEvidence *event, int was, const FswStretch *held)
{
	const FswFlag *flag = set->flag;
	const FswState *states = flag->states;

	if (event->before == FSW_NOT_TOLD || was == FSW_NOT_TOLD || fsw_is_lost(was) || was == event->before)
		return false;
	if (was < 0 || event->before < 0 || held == NULL || !fsw_same_but_variants(&states[was], &states[event->before]))
		return true;
	/* by what is near an instant, the state may have begun at another one */
	set->depends |= flag->near;
	return !fsw_version_differ_by_option(flag, was, event->before, held->from, event->arrived);
}

/*
 * Has the list before a version what an event of it says was there before, for no
 * other override?  Then the event follows that, although what was held is another
 * state: nobody told of that one, or its event was lost.
 */
static bool
is_listed_before(const FswVersions *set, int index, const int *before, const FswEvidence *event)
{
	const FswEvidence *list = NULL;
	int			n = 0;

	for (int i = index - 1; i >= 0 && list == NULL; i--)
		list = set->versions[i].list != NULL && set->versions[i].list->nlist > 0 ? set->versions[i].list : NULL;
	if (list == NULL || event->before < 0)
		return false;
	for (int i = 1; i < list->nlist; i++)
		n += list->list[i] == event->before;
	for (int i = 0; i < set->nused && n > 0; i++)
		n -= set->used[i] != 0 && set->used[i] != event->scope && before[set->used[i]] == event->before;
	return n > 0;
}

/* Of the scopes that a version tells of, what it tells, or what was held before it. */
static void
begin_told(const FswVersions *set, int index, const int *before, int *states)
{
	const FswVersion *version = &set->versions[index];

	for (int i = 0; i < set->flag->nscopes; i++)
		states[i] = UNTOLD;
	if (version->list != NULL && version->list->nlist > 0)
		states[0] = before != NULL ? before[0] : version->list->list[0];
	for (int i = 0; i < version->nevents; i++)
	{
		const FswEvidence *event = &set->flag->evidence[version->events[i]];

		FSW_INTERRUPT();
		states[event->scope] = before == NULL ? event->state : before[event->scope];
		if (before == NULL || event->scope == 0 || states[event->scope] == event->before)
			continue;
		if (is_listed_before(set, index, before, event))
			states[event->scope] = UNTOLD;
		else if (states[event->scope] == FSW_NOT_SEEN)
			states[event->scope] = FSW_NOT_LIVE;
	}
}

/* Does a list show another environment default than what was thought to be live, if anything was? */
bool
fsw_version_other_default(const FswFlag *flag, int was, int is)
{
	return was != FSW_NOT_SEEN && was != is && !has_other_options(flag, was, is);
}

/* Weigh the states that a list does not have; they are taken to be as it says. */
static int
count_unlisted(const FswVersions *set, int *states, const FswEvidence *list)
{
	int			n = 0;

	if (states[0] != UNTOLD && states[0] != FSW_NOT_SEEN)
	{
		n += fsw_version_other_default(set->flag, states[0], list->list[0]) ? FSW_MISFIT : 0;
		states[0] = list->list[0];
	}
	for (int i = 0; i < set->nused; i++)
	{
		int			scope = set->used[i];

		FSW_INTERRUPT();
		/* what went with its segment is in no list */
		if (scope == 0 || states[scope] < 0 || fsw_version_lists(list, states[scope]) ||
			set->flag->scopes[scope].ended <= list->arrived)
			continue;
		n++;
		states[scope] = UNTOLD;
	}
	return n;
}

/*
 * How much do the versions from first to before end contradict what is held
 * of some scopes: by an event with another previous state, or by a list
 * without the state?
 */
static int
count_contradictions(const FswVersions *set, int *states, int first, int end)
{
	int			n = 0;

	for (int i = first; i < end; i++)
	{
		const FswVersion *version = &set->versions[i];

		for (int j = 0; j < version->nevents; j++)
		{
			const FswEvidence *event = &set->flag->evidence[version->events[j]];

			FSW_INTERRUPT();
			if (states[event->scope] == UNTOLD)
				continue;
			n += fsw_version_misfits(set->flag, states[event->scope], event) ? FSW_MISFIT : 0;
			states[event->scope] = event->state;
		}
		if (version->list != NULL && version->list->nlist > 0)
			n += count_unlisted(set, states, version->list);
	}
	return n;
}

/*
 * How much do the next versions contradict what one tells, by themselves?
 * What was held before it has no say.
 */
int
fsw_version_contradictions(const FswVersions *set, int index)
{
	int		   *states = palloc_array(int, set->flag->nscopes);
	int			n;

	begin_told(set, index, NULL, states);
	n = count_contradictions(set, states, index + 1, Min(set->nversions, index + 1 + FSW_WITNESSES));
	pfree(states);
	return n;
}

/* Does a version say, by an event at least, that it follows another one, and by none that it does not? */
static bool
follows_alone(const FswVersions *set, int index, const FswVersion *before)
{
	const FswVersion *version = &set->versions[index];
	bool		follows = false;

	for (int i = 0; i < version->nevents; i++)
	{
		const FswEvidence *event = &set->flag->evidence[version->events[i]];

		for (int j = 0; j < before->nevents; j++)
		{
			const FswEvidence *other = &set->flag->evidence[before->events[j]];

			FSW_INTERRUPT();
			if (other->scope != event->scope)
				continue;
			if (event->before < 0 || event->before != other->state)
				return false;
			follows = true;
		}
	}
	return follows && !version->imported;
}

/*
 * Does a list behind a version have an override that it brought, as no other one
 * and nothing before it did?  Then it was live.
 */
static bool
is_listed_after(const FswVersions *set, int index, const int *before)
{
	const FswVersion *version = &set->versions[index];

	for (int i = 0; i < version->nevents; i++)
	{
		const FswEvidence *event = &set->flag->evidence[version->events[i]];
		bool		known = event->scope == 0 || event->state < 0;

		for (int j = 0; j < set->nused && !known; j++)
			known = set->used[j] != 0 && before[set->used[j]] == event->state;
		for (int j = index + 1; j < Min(set->nversions, index + 1 + FSW_WITNESSES) && !known; j++)
		{
			const FswVersion *later = &set->versions[j];

			FSW_INTERRUPT();
			for (int k = 0; k < later->nevents; k++)
				known |= set->flag->evidence[later->events[k]].state == event->state;
			if (!known && later->list != NULL && fsw_version_lists(later->list, event->state))
				return true;
		}
	}
	return false;
}

/*
 * How many versions, from one on, were announced and never live?  Then what comes
 * after them does not know them; but the second may follow the first, where both
 * were given an instant of effect in the past.  That the first one's own previous
 * state does not fit is not enough: a version before it can have been lost.  Only
 * scopes of which it tells count: that a list shows other overrides than were
 * thought to be live says nothing of this version.  Before is what was held when it
 * was published.
 */
int
fsw_version_never(const FswVersions *set, int index, const int *before)
{
	int			end = Min(set->nversions, index + 1 + FSW_WITNESSES);
	int		   *states;
	int			after;
	int			n = 0;

	if (set->versions[index].nevents == 0 || set->versions[index].imported)
		return 0;
	after = fsw_version_contradictions(set, index);
	if (after == 0 || is_listed_after(set, index, before))
		return 0;
	states = palloc_array(int, set->flag->nscopes);
	begin_told(set, index, before, states);
	if (count_contradictions(set, states, index, index + 1) > 0)
	{
		begin_told(set, index, before, states);
		if (count_contradictions(set, states, index + 1, end) < after)
			n = 1;
		/* a list that lacks an override alone may come of its removal, which sends nothing */
		else if (after >= FSW_MISFIT && index + 2 < end && follows_alone(set, index + 1, &set->versions[index]))
		{
			begin_told(set, index, before, states);
			n = count_contradictions(set, states, index + 2, end) == 0 ? 2 : 0;
		}
	}
	pfree(states);
	return n;
}

/*
 * Is an entry all that came of a version until a deletion told of it, and does what
 * comes after it know what was held before it instead?  Then it was a draft still:
 * it had an instant of effect to come when the feature was deleted.
 */
bool
fsw_version_is_draft(const FswVersions *set, int index, const int *before)
{
	const FswVersion *version = &set->versions[index];
	int			end = Min(set->nversions, index + 1 + FSW_WITNESSES);
	int		   *states;
	int			after;
	bool		result;

	if (version->deleted < 0 || version->nevents > 0 || version->list != NULL)
		return false;
	states = palloc_array(int, set->flag->nscopes);
	begin_told(set, index, NULL, states);
	states[0] = set->flag->evidence[version->deleted].before;
	after = count_contradictions(set, states, index + 1, end);
	begin_told(set, index, NULL, states);
	states[0] = before[0];
	result = after > count_contradictions(set, states, index + 1, end);
	pfree(states);
	return result;
}

/* Leave versions out: they come behind all others. */
void
fsw_version_drop(FswVersions *set, int index, int n)
{
	for (int i = 0; i < n; i++)
	{
		fsw_version_move(set->versions, index, set->nversions - 1);
		set->nversions--;
		set->ndropped++;
	}
}

/*
 * Leave out what was never live, unless it is all that tells of the
 * environment default: then it is the best estimate that there is.
 */
void
fsw_version_drop_never(FswVersions *set)
{
	const FswFlag *flag = set->flag;
	bool		told = set->seed[0] != FSW_NOT_SEEN || (flag->defaults >= 0 && flag->latest_audit_at != FSW_NEVER);

	for (int i = 0; i < set->nversions && !told; i++)
	{
		const FswVersion *version = &set->versions[i];

		FSW_INTERRUPT();
		told = !version->never && (version->deleted >= 0 ||
								   (version->list != NULL && version->list->nlist > 0));
		for (int j = 0; j < version->nevents && !version->never; j++)
			told |= flag->evidence[version->events[j]].scope == 0;
	}
	for (int i = set->nversions - 1; i >= 0 && told; i--)
	{
		if (set->versions[i].never)
			fsw_version_drop(set, i, 1);
	}
}

/* From when on two lists behind an instant say what was live then. */
static int64
told_twice(const FswVersions *set, int64 at)
{
	int			n = 0;

	for (int i = 0; i < set->nversions; i++)
	{
		FSW_INTERRUPT();
		if (set->versions[i].live > at && set->versions[i].list != NULL && ++n == 2)
			return set->versions[i].latest;
	}
	return FSW_FOREVER;
}

/* The period with which a state ends that is held. */
static const FswPeriod *
last_of(const FswTimeline *timeline, const FswPeriod *held)
{
	const FswPeriod *end = timeline->periods + timeline->nperiods;

	while (held + 1 < end && held[1].state == held->state)
		held++;
	return held;
}

/*
 * A version that was left out may have been live from then on, and the next one
 * not: all is a guess until an instant, or until two lists tell what was live.
 */
static void
doubt_until(const FswVersions *set, FswTimeline *timeline, const FswVersion *version, int64 to)
{
	fsw_timeline_lower(timeline, 0, version->live, Min(to, told_twice(set, version->live)), FSW_INFERRED, FSW_CAUSE_CONTRADICTED);
}

/*
 * An override of which a version that was left out tells first may have been live
 * since that one: until something else tells of it, it is not surely absent.
 */
void
fsw_version_write_dropped(const FswVersions *set, FswTimeline *timeline, int scope, int64 to)
{
	int64		from = to;
	int64		told;

	for (int i = set->nversions; i < set->nversions + set->ndropped && scope > 0; i++)
	{
		const FswVersion *version = &set->versions[i];

		FSW_INTERRUPT();
		if (fsw_version_event(set->flag, version, scope) != NULL)
			from = Min(from, version->live);
	}
	if (from == to)
		return;
	told = Min(told_twice(set, from), to);
	fsw_timeline_add(timeline, scope, from, told, FSW_NOT_LIVE, FSW_INFERRED, FSW_CAUSE_CONTRADICTED, -1);
	fsw_timeline_add(timeline, scope, told, to, FSW_NOT_LIVE, FSW_REPORTED, FSW_CAUSE_CONTRADICTED, -1);
}

/* Does the list of a version lack an override that is held when it was told of, and of which it tells nothing else? */
static bool
lacks_held(const FswVersions *set, const FswTimeline *timeline, int scope, const FswVersion *version)
{
	const FswPeriod *held = fsw_timeline_at(timeline, scope, version->latest);

	return version->list != NULL && held != NULL && held->state >= 0 && !fsw_version_lists(version->list, held->state) &&
		fsw_version_event(set->flag, version, scope) == NULL;
}

/* Was a state held up to some period, or told by another one that was left out, whichever variants there were? */
static bool
was_told(const FswVersions *set, const FswTimeline *timeline, const FswPeriod *held, int state)
{
	const FswState *states = set->flag->states;
	int			scope = held->scope;

	for (const FswPeriod *period = timeline->periods; period <= held; period++)
	{
		FSW_INTERRUPT();
		if (period->state >= 0 && fsw_same_but_variants(&states[period->state], &states[state]))
			return true;
	}
	for (int i = set->nversions; i < set->nversions + set->ndropped; i++)
	{
		const FswEvidence *event = fsw_version_event(set->flag, &set->versions[i], scope);

		if (event != NULL && event->state >= 0 && fsw_same_but_variants(&states[event->state], &states[state]))
			return true;
	}
	return false;
}

/*
 * One that was left out follows what was held of a scope, but fits less well in
 * another: then it may have been live, and the next one not.  One that was taken
 * for a draft may have gone live at any later instant, and lack any override.  One
 * that follows the next state may have been live, if that one had an instant of
 * effect in the past; so may one that follows what nobody told, as what has such an
 * instant follows what was live then.  And one whose list lacks an override that is
 * held when it was told of may have removed that.
 */
void
fsw_version_doubt_dropped(FswVersions *set, FswTimeline *timeline, int scope)
{
	for (int i = set->nversions; i < set->nversions + set->ndropped; i++)
	{
		const FswVersion *version = &set->versions[i];
		const FswPeriod *held = fsw_timeline_at(timeline, scope, version->live);
		const FswPeriod *last = held != NULL ? last_of(timeline, held) : NULL;

		if (version->deleted >= 0)
			fsw_timeline_lower(timeline, 0, version->live, FSW_FOREVER, FSW_REPORTED, FSW_CAUSE_CONTRADICTED);
		else if (scope > 0 && lacks_held(set, timeline, scope, version))
			fsw_timeline_lower(timeline, 0, version->live, told_twice(set, version->latest), FSW_REPORTED, FSW_CAUSE_CONTRADICTED);
		if (held == NULL)
			continue;
		for (int j = 0; j < version->nevents; j++)
		{
			const FswEvidence *event = &set->flag->evidence[version->events[j]];

			FSW_INTERRUPT();
			if (event->scope != scope)
				continue;
			if (held->state == event->before && event->state != event->before)
				doubt_until(set, timeline, version, last->to);
			else if (event->before >= 0 && last + 1 < timeline->periods + timeline->nperiods && last[1].state == event->before)
				doubt_until(set, timeline, version, FSW_FOREVER);
			else if (event->before >= 0 && !was_told(set, timeline, held, event->before))
			{
				/* by what is near an instant, it may have been told before */
				set->depends |= set->flag->near;
				fsw_timeline_lower(timeline, 0, version->live, told_twice(set, version->live), FSW_REPORTED, FSW_CAUSE_CONTRADICTED);
			}
		}
	}
}
