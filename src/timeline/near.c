/*-------------------------------------------------------------------------
 *
 * src/timeline/near.c
 *	  Is what the versions near an instant tell what all of them would?
 *
 * The states of versions are carried from one to the next, so an answer could
 * depend on anything before.  A list begins anew: it tells all states of its
 * version.  From the first list read on, the order of versions and the events
 * they got are those of the whole history, unless versions overlap, were
 * scheduled, or are told of by a list or an entry alone: these can be moved,
 * or claimed by events far away.  Where anything like that is among them, the
 * answer here is no, and more has to be read.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/timeline/version.h"

/* So many versions behind those in question are looked at. */
#define NEXT			4

/* What an option added so long after an event can have had a say in it. */
#define READ_LATE		INT64CONST(2000000)

/* Is it among the versions of which all evidence is read? */
static bool
is_whole(const FswVersion *version, const FswNear *near)
{
	return version->earliest >= fsw_after(near->first, -FSW_CLOCKS * 5) &&
		(near->last == FSW_FOREVER || version->live <= near->last);
}

static bool
is_settled(const FswFlag *flag, const FswVersion *version)
{
	return version->nevents > 0 && flag->evidence[version->events[0]].settled;
}

/* Take a state out of the rest of a list; false if it is not there. */
static bool
take(int *states, int *n, int state)
{
	for (int i = 0; i < *n; i++)
	{
		if (states[i] == state)
		{
			states[i] = states[--*n];
			return true;
		}
	}
	return false;
}

/*
 * Does the list of a version show what the one before it does but for what its
 * events say, or, without events, less?
 */
static bool
follows(const FswFlag *flag, const FswVersion *version, const FswVersion *before)
{
	const FswEvidence *list = version->list;
	int		   *rest;
	int			n;
	bool		result;

	if (before->list == NULL || before->list->nlist == 0 || list == NULL || list->nlist == 0)
		return false;
	n = before->list->nlist - 1;
	rest = palloc_array(int, n + version->nevents + 1);
	memcpy(rest, before->list->list + 1, n * sizeof(int));
	result = version->nevents > 0 || list->list[0] == before->list->list[0];
	for (int i = 0; i < version->nevents && result; i++)
	{
		const FswEvidence *event = &flag->evidence[version->events[i]];

		FSW_INTERRUPT();
		if (event->scope == 0)
			result = event->before == before->list->list[0];
		else if (event->before != FSW_NOT_LIVE)
			result = take(rest, &n, event->before);
	}
	for (int i = 0; i < version->nevents && result; i++)
	{
		const FswEvidence *event = &flag->evidence[version->events[i]];

		if (event->scope != 0 && event->state >= 0)
			rest[n++] = event->state;
	}
	for (int i = 1; i < list->nlist && result; i++)
	{
		FSW_INTERRUPT();
		result = take(rest, &n, list->list[i]);
	}
	pfree(rest);
	return result && (n == 0 || version->nevents == 0);
}

/* From when on the version can stand in the order, or be of events. */
static int64
reach_of(const FswVersion *version)
{
	if (version->has_events)
		return version->time;
	return fsw_after(version->entry != FSW_NEVER ? version->entry : version->list_arrived, -FSW_ENTRY_DELAY);
}

/* Can events claim the version that are not read, or it others' events? */
static bool
is_claimable(const FswVersion *version, const FswNear *near)
{
	if (version->deleted >= 0)
		return true;
	if (!version->has_events)
		return reach_of(version) < near->first;
	return version->entry == FSW_NEVER && version->list == NULL && near->last != FSW_FOREVER &&
		version->time <= fsw_after(near->last, -FSW_ENTRY_DELAY) &&
		fsw_after(version->shown, FSW_ENTRY_DELAY) > near->last;
}

/* Would another place before be tried for the version, given what was held? */
static bool
is_movable(const FswVersions *set, int index)
{
	const FswVersion *version = &set->versions[index];

	if (version->moved || version->scheduled || version->deleted >= 0)
		return true;
	return !version->has_events && version->list != NULL &&
		(index == 0 || !follows(set->flag, version, version - 1));
}

/* Does its place depend on what overrides were held? */
static bool
is_disputed(const FswVersions *set, int index)
{
	const FswVersion *version = &set->versions[index];

	return is_movable(set, index) || version->never ||
		(index + 1 < set->nversions && version->latest > version[1].live);
}

/* Are all versions behind one where they would be if more were read? */
static bool
is_anchor(const FswFlag *flag, const FswVersions *set, int anchor, const FswNear *near)
{
	const FswVersion *version = &set->versions[anchor];

	if (version->imported || !is_whole(version, near) || version->list == NULL || version->list->nlist == 0 ||
		version->latest >= near->at || is_disputed(set, anchor) || (near->full && !version->fits))
		return false;
	for (int i = 0; i < anchor; i++)
	{
		FSW_INTERRUPT();
		if (set->versions[i].latest > version->earliest)
			return false;
	}
	for (int i = anchor; i < set->nversions; i++)
	{
		FSW_INTERRUPT();
		if (is_settled(flag, &set->versions[i]) || !is_whole(&set->versions[i], near))
			continue;
		if (is_claimable(&set->versions[i], near) ||
			(near->full ? is_movable(set, i) && reach_of(&set->versions[i]) <= version->live :
			 is_disputed(set, i) || (i > anchor && !follows(flag, &set->versions[i], &set->versions[i - 1]))))
			return false;
	}
	return true;
}

/*
 * Does a list behind that of the anchor say the same before the instant?  What
 * overrides were before the anchor is not known where only the default is
 * asked about; if an event of one does not fit, the anchor may not have been
 * live, and its list confirms nothing.
 */
static bool
is_seconded(const FswFlag *flag, const FswVersions *set, int anchor, const FswNear *near)
{
	const FswVersion *version = &set->versions[anchor];
	bool		fits = true;

	for (int i = 0; i < version->nevents && !near->full; i++)
	{
		FSW_INTERRUPT();
		fits &= flag->evidence[version->events[i]].scope == 0;
	}
	return fits || (anchor + 1 < set->nversions && version[1].list != NULL && is_whole(&version[1], near) &&
					!is_settled(flag, &version[1]) && version[1].latest < near->at);
}

/*
 * The version to begin anew at: that of a list which was told before the
 * instant; -1 for none.  Where not all overrides are read, the first one.
 */
static int
find_anchor(const FswFlag *flag, const FswVersions *set, const FswNear *near)
{
	for (int i = 0; i < set->nversions && set->versions[i].live < near->at; i++)
	{
		FSW_INTERRUPT();
		if (is_anchor(flag, set, i, near) && is_seconded(flag, set, i, near))
			return i;
	}
	return -1;
}

/*
 * Up to when no version can be put that is not read, nor any of those there
 * because of them: what fits is tried with the next few.  FSW_NEVER for never.
 */
static int64
find_end(const FswVersions *set, int anchor, const FswNear *near)
{
	int			last = anchor;

	if (near->last == FSW_FOREVER)
		return FSW_FOREVER;
	while (last + 1 < set->nversions && is_whole(&set->versions[last + 1], near))
		last++;
	if (last - NEXT <= anchor && near->full)
		return FSW_NEVER;
	return Min(near->full ? set->versions[last - NEXT].live : FSW_FOREVER,
			   fsw_after(near->last, -FSW_ENTRY_DELAY));
}

/* Is the first event of a run, which is settled, told as it would be among others? */
static bool
begins_surely(const FswFlag *flag, const FswEvidence *event)
{
	int			option = fsw_timeline_first(flag->options, flag->noptions, event->at);

	return event->kind == FSW_EV_BODY &&
		(option >= flag->noptions || flag->options[option] > fsw_after(event->arrived, READ_LATE));
}

/* Where the run of one state begins: with what is read, at a settled event, or with the flag? */
static bool
has_begin(const FswFlag *flag, const FswTimeline *timeline, const FswVersion *anchor, FswNear *near)
{
	const FswPeriod *first = &timeline->periods[near->begin];
	const FswEvidence *told = first->evidence < 0 ? NULL : &flag->evidence[first->evidence];

	if (first->from > anchor->live)
		return true;
	if (told != NULL && told->settled)
	{
		near->since = true;
		return begins_surely(flag, told);
	}
	return near->begun && first->from == flag->created_at;
}

/* The same of its end. */
static bool
has_end(const FswFlag *flag, const FswTimeline *timeline, int64 end, FswNear *near)
{
	const FswPeriod *last = &timeline->periods[near->end];
	const FswPeriod *next = near->end + 1 < timeline->nperiods ? last + 1 : NULL;
	const FswEvidence *told;
	bool		settled = false;

	if (near->last == FSW_FOREVER || last->to <= end)
		return true;
	for (int i = 0; i < flag->nevidence; i++)
	{
		FSW_INTERRUPT();
		settled |= flag->evidence[i].settled && flag->evidence[i].scope == last->scope &&
			flag->evidence[i].at > near->last;
	}

	/*
	 * the last list of all says that it is so, but not in which of them a
	 * variant was
	 */
	if (!settled)
		return (last->to == FSW_FOREVER || last->to == flag->deleted_at) && near->at_last == last->state &&
			fsw_timeline_first(flag->options, flag->noptions, near->first) == flag->noptions;
	if (next == NULL || next->scope != last->scope || next->evidence < 0)
		return false;
	told = &flag->evidence[next->evidence];
	near->until = told->settled && told->at > near->last && told->before == last->state &&
		told->kind == FSW_EV_BODY;
	return near->until;
}

/* Did the versions of a run, and those next to it, go live one after the other? */
static bool
is_clear(const FswVersions *set, int anchor, int64 from, int64 to)
{
	for (int i = anchor; i + 1 < set->nversions; i++)
	{
		const FswVersion *version = &set->versions[i];

		FSW_INTERRUPT();
		if (Max(version[1].live, version->latest) >= from && version->live <= to &&
			(version->moved || version[1].moved || version->latest > version[1].live))
			return false;
	}
	return true;
}

/*
 * fsw_near_is_sure() - is what the timeline tells of a scope at the instant
 * what it would if all evidence were read?  But for the instants of settled
 * events, which need a look of their own.
 */
bool
fsw_near_is_sure(const FswFlag *flag, const FswTimeline *timeline, int scope, FswNear *near)
{
	const FswVersions *set = timeline->versions;
	const FswPeriod *period = fsw_timeline_at(timeline, scope, near->at);
	int			anchor;
	int64		end;

	near->since = near->until = false;
	if (period == NULL || set->ndropped > 0 || set->depends)
		return false;
	anchor = find_anchor(flag, set, near);
	if (anchor < 0)
		return false;
	end = find_end(set, anchor, near);
	if (near->at >= end && end != FSW_FOREVER)
		return false;
	near->begin = near->end = period - timeline->periods;
	while (near->begin > 0 && timeline->periods[near->begin - 1].scope == scope &&
		   timeline->periods[near->begin - 1].state == period->state)
		near->begin--;
	while (near->end + 1 < timeline->nperiods && timeline->periods[near->end + 1].scope == scope &&
		   timeline->periods[near->end + 1].state == period->state)
		near->end++;
	return has_begin(flag, timeline, &set->versions[anchor], near) &&
		has_end(flag, timeline, end, near) &&
		is_clear(set, anchor, timeline->periods[near->begin].from, timeline->periods[near->end].to);
}
