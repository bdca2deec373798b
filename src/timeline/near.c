/*-------------------------------------------------------------------------
 *
 * src/timeline/near.c
 *	  Is what the versions near an instant tell what all of them would?
 *
 * The states of versions are carried from one to the next, so an answer could
 * depend on anything before.  A list begins anew: it tells all states of its
 * version.  Which events are whose is decided by what is near in time
 * (version_match.c), so that is exact but for the margins of what was read.
 * The order of versions and which of them were live are those of the whole
 * history, too, where versions do not overlap, none was scheduled, each list
 * shows what the one before it did but for its own events, and the next few
 * versions know each of them: then what was held of overrides, which is not
 * known here, has no say (version_order.c).  Where anything else is among
 * them, the answer here is no, and more has to be read.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/timeline/version.h"

/* What an option added so long after an event can have had a say in it. */
#define READ_LATE		INT64CONST(2000000)

/* So far before what tells of it a version may begin. */
#define SPREAD			(5 * FSW_CLOCKS)

/* Is it among the versions that are what they would be if all were read? */
static bool
is_exact(const FswVersion *version, const FswNear *near)
{
	return version->earliest >= fsw_after(near->exact_from, -SPREAD) &&
		(near->exact_to == FSW_FOREVER || version->latest <= fsw_after(near->exact_to, SPREAD));
}

static bool
is_settled(const FswFlag *flag, const FswVersion *version)
{
	return version->nevents > 0 && flag->evidence[version->events[0]].settled;
}

/* Take a state out of the rest of a list; false if it is not there.  They are in order, so it is mostly the last. */
static bool
take(int *states, int *n, int state)
{
	for (int i = *n - 1; i >= 0; i--)
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
	for (int i = list->nlist - 1; i > 0 && result; i--)
	{
		FSW_INTERRUPT();
		result = take(rest, &n, list->list[i]);
	}
	pfree(rest);
	return result && (n == 0 || version->nevents == 0);
}

/* Would another place be tried for the version, or has it to be shared with the next? */
static bool
is_disputed(const FswVersions *set, int index)
{
	const FswVersion *version = &set->versions[index];

	return version->moved || version->scheduled || version->never ||
		(index + 1 < set->nversions && version->latest > version[1].live);
}

/* Does the version tell all states, and stand where it would if more were read? */
static bool
is_placed(const FswVersions *set, int index, const FswNear *near)
{
	const FswVersion *version = &set->versions[index];

	return is_exact(version, near) && !is_settled(set->flag, version) && !version->imported &&
		version->list != NULL && version->list->nlist > 0 && !is_disputed(set, index);
}

/* From when on a version may be put, if what was held of overrides asks for it. */
static int64
reach_of(const FswVersion *version)
{
	if (version->has_events)
		return Min(version->time, version->live);
	return fsw_after(version->entry != FSW_NEVER ? version->entry : version->list_arrived, -FSW_ENTRY_DELAY);
}

/* Versions in a row of which each list follows from the one before. */
typedef struct Chain
{
	int			anchor;			/* where it begins anew */
	int			last;
	int64		end;			/* so far it is certain that they were live */
} Chain;

/* Was the previous state of an event told by the event of the scope before it, from the anchor on? */
static bool
continues(const FswFlag *flag, const FswVersions *set, int anchor, int index, const FswEvidence *event)
{
	for (int i = index - 1; i >= anchor; i--)
	{
		const FswEvidence *before = fsw_version_event(flag, &set->versions[i], event->scope);

		FSW_INTERRUPT();
		if (before != NULL)
			return before->state == event->before;
	}
	return false;
}

/*
 * Does the version fit, whatever was held of overrides before the anchor?
 * Where an event of one does not, the version is suspect, and its list says
 * nothing of the environment default.
 */
static bool
is_beyond_doubt(const FswFlag *flag, const FswVersions *set, int anchor, int index)
{
	const FswVersion *version = &set->versions[index];

	for (int i = 0; i < version->nevents; i++)
	{
		const FswEvidence *event = &flag->evidence[version->events[i]];

		FSW_INTERRUPT();
		if (event->scope != 0 && !continues(flag, set, anchor, index, event))
			return false;
	}
	return true;
}

static bool
has_default(const FswFlag *flag, const FswVersion *version)
{
	return fsw_version_event(flag, version, 0) != NULL;
}

/*
 * How many of the versions behind one in a chain have a say in whether it was
 * live.  One that fits with what was held before is, and a list tells anew what
 * the environment default is, unless the next one alone follows it; but an
 * override, which it does not name, may be denied by several.
 */
static int
count_witnesses(const FswFlag *flag, const FswVersions *set, const Chain *chain, int index)
{
	const FswVersion *version = &set->versions[index];

	if (index > chain->anchor)
		return is_beyond_doubt(flag, set, chain->anchor, index) ? 0 : FSW_WITNESSES;
	return version->nevents > has_default(flag, version) ? FSW_WITNESSES : 2;
}

/* Up to when what the chain tells holds: no version that is not in it can be put before that. */
static int64
find_end(const FswFlag *flag, const FswVersions *set, const Chain *chain, const FswNear *near)
{
	bool		whole = near->exact_to == FSW_FOREVER && chain->last + 1 == set->nversions;
	int64		end = near->exact_to;

	for (int i = chain->anchor; i <= chain->last; i++)
	{
		int			witnesses = count_witnesses(flag, set, chain, i);

		FSW_INTERRUPT();
		if ((chain->last - i < witnesses && !whole) ||
			(witnesses > 0 && fsw_version_contradictions(set, i) > 0))
			return i == chain->anchor ? FSW_NEVER : set->versions[i].live;
	}
	for (int i = chain->last + 1; i < set->nversions; i++)
	{
		FSW_INTERRUPT();
		if (!is_settled(set->flag, &set->versions[i]))
			end = Min(end, reach_of(&set->versions[i]));
	}
	return end;
}

/*
 * Is no event and no version in the stretch left over, and nothing put
 * together that is not near?  Then none of them can be given to others for one
 * beyond it, but where both of its ends are within reach of one event.
 */
static bool
is_complete(const FswFlag *flag, const FswVersions *set, const FswNear *near)
{
	if (near->last != FSW_FOREVER && fsw_apart(near->last, near->first) < FSW_MATCH_REACH)
		return false;
	for (int i = 0; i < set->nversions + set->ndropped; i++)
	{
		const FswVersion *version = &set->versions[i];

		FSW_INTERRUPT();
		if (!version->imported && !is_settled(flag, version) &&
			(version->far || !version->has_events || (version->entry == FSW_NEVER && version->list == NULL)))
			return false;
	}
	return true;
}

/*
 * The chain around the instant.  It begins at a list before which nothing is
 * told that could have been live later.
 */
static bool
find_chain(const FswFlag *flag, const FswVersions *set, const FswNear *near, Chain *chain)
{
	int			at = -1;
	int64		latest = FSW_NEVER;

	while (at + 1 < set->nversions && set->versions[at + 1].live < near->at)
		at++;
	if (at < 0 || !is_placed(set, at, near))
		return false;
	chain->anchor = chain->last = at;
	while (chain->anchor > 0 && is_placed(set, chain->anchor - 1, near) &&
		   follows(flag, &set->versions[chain->anchor], &set->versions[chain->anchor - 1]))
		chain->anchor--;
	while (chain->last + 1 < set->nversions && is_placed(set, chain->last + 1, near) &&
		   follows(flag, &set->versions[chain->last + 1], &set->versions[chain->last]))
		chain->last++;
	for (int i = 0; i < chain->anchor; i++)
		latest = Max(latest, set->versions[i].latest);
	while (chain->anchor < at && latest > set->versions[chain->anchor].earliest)
		latest = Max(latest, set->versions[chain->anchor++].latest);
	/* where what was before it is in doubt, it is for the time by which clocks differ longer */
	if (latest > set->versions[chain->anchor].earliest ||
		fsw_after(set->versions[chain->anchor].latest, FSW_CLOCKS) >= near->at)
		return false;
	chain->end = find_end(flag, set, chain, near);
	for (int i = set->nversions; i < set->nversions + set->ndropped; i++)
	{
		FSW_INTERRUPT();
		if (set->versions[i].latest >= set->versions[chain->anchor].earliest)
			chain->end = Min(chain->end, set->versions[i].earliest);
	}
	return near->at < chain->end;
}

/*
 * Is the first version of all known, with its events and its list, and fits
 * them?  Nothing was held before it, so that its list is beyond doubt.
 */
static bool
begins_well(const FswFlag *flag, const FswVersions *set, const FswNear *near)
{
	const FswVersion *first = &set->versions[0];

	return near->begun && first->has_events && !is_settled(flag, first) && first->list != NULL && first->fits &&
		first->earliest < near->first && (set->nversions == 1 || first[1].earliest >= fsw_after(near->first, -SPREAD));
}

/* Does a version from one up to before another say that what was held then was live, by a list beyond doubt alone? */
static bool
is_agreed(const FswFlag *flag, const FswVersions *set, int anchor, int from, int end)
{
	for (int i = from; i < end; i++)
	{
		FSW_INTERRUPT();
		if (!has_default(flag, &set->versions[i]) && is_beyond_doubt(flag, set, anchor, i))
			return true;
	}
	return false;
}

/*
 * Is it known that what an event of the environment default follows did fit?
 * Of what is before the anchor, and of that itself, it is not.
 */
static bool
follows_well(const FswFlag *flag, const FswVersions *set, int anchor, int index)
{
	int			before = index - 1;

	while (before > anchor && !has_default(flag, &set->versions[before]))
		before--;
	return before > anchor || (before == anchor && is_agreed(flag, set, anchor, anchor, index));
}

/*
 * Is what the environment default was at the instant told twice, whatever was
 * held of overrides: by a list beyond doubt, or by the next event of it?  That
 * is no second piece of evidence for an event that does not fit, and its own
 * list is none for one that follows such.
 */
static bool
is_seconded(const FswFlag *flag, const FswVersions *set, const Chain *chain, const FswNear *near)
{
	int			first = chain->anchor;
	bool		told;

	for (int i = chain->anchor; i <= chain->last && set->versions[i].live <= near->at; i++)
	{
		if (has_default(flag, &set->versions[i]))
			first = i;
	}
	told = has_default(flag, &set->versions[first]);
	for (int i = first; i <= chain->last; i++)
	{
		FSW_INTERRUPT();
		if (i > first && has_default(flag, &set->versions[i]))
			return !told || first > chain->anchor;
		if (is_beyond_doubt(flag, set, chain->anchor, i) &&
			(i > first || !told || follows_well(flag, set, chain->anchor, first)))
			return true;
	}
	if (near->until)
		return !told || first > chain->anchor;
	return first == chain->anchor && !told && begins_well(flag, set, near);
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
	/* near its event, it is another one */
	if (fsw_seen_is_told(first))
		return false;
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

	if (end == FSW_FOREVER || last->to < end)
		return true;
	if (fsw_seen_is_told(last) || (next != NULL && next->scope == last->scope && fsw_seen_is_told(next)))
		return false;
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

/* Is a version told by a FLAG_DELETED?  That one can be found for it anywhere behind it. */
static bool
tells_deletion(const FswVersions *set)
{
	for (int i = 0; i < set->nversions + set->ndropped; i++)
	{
		FSW_INTERRUPT();
		if (set->versions[i].deleted >= 0)
			return true;
	}
	return false;
}

/*
 * fsw_near_tells_absence() - is how sure it is that no override was there at
 * the instant what it would be if all evidence were read?  Of a flag of which
 * none was ever told, and where fsw_near_is_sure().
 *
 * Then nothing is held but the default, and each list says by itself whether
 * it has others.  That of the version before the instant counts, and where it
 * has none, that of the next one, which may have been made before the instant.
 * A hole in the audit ids takes the proof up to the next list that came, so one
 * has to be read that came before the instant.
 */
bool
fsw_near_tells_absence(const FswFlag *flag, const FswTimeline *timeline, const FswNear *near)
{
	const FswVersions *set = timeline->versions;
	Chain		chain;
	bool		listed = false;
	int			at;

	for (int i = 0; i < flag->nevidence && !listed; i++)
	{
		FSW_INTERRUPT();
		listed = flag->evidence[i].kind == FSW_EV_LIST && flag->evidence[i].arrived <= near->at;
	}
	if (flag->nscopes > 1 || !listed || !find_chain(flag, set, near, &chain))
		return false;
	at = chain.anchor;
	while (at + 1 < set->nversions && set->versions[at + 1].live < near->at)
		at++;
	if (at == chain.last)
		return near->exact_to == FSW_FOREVER && at + 1 == set->nversions;
	if (set->versions[at + 1].live >= chain.end)
		return false;
	for (int i = at + 2; i < set->nversions; i++)
	{
		FSW_INTERRUPT();
		if (set->versions[i].earliest <= near->at)
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
	Chain		chain;

	near->since = near->until = false;
	near->first_version = set->nversions > 0 ? set->versions[0].earliest : FSW_NEVER;
	if (is_complete(flag, set, near))
	{
		near->exact_from = near->first;
		near->exact_to = near->last;
	}
	if (period == NULL || set->depends || tells_deletion(set))
		return false;
	if (!find_chain(flag, set, near, &chain))
		return false;
	/* behind the last list it matters what waits to go live */
	if (near->awaits && near->at >= set->versions[chain.last].earliest)
		return false;
	near->begin = near->end = period - timeline->periods;
	while (near->begin > 0 && timeline->periods[near->begin - 1].scope == scope &&
		   timeline->periods[near->begin - 1].state == period->state)
		near->begin--;
	while (near->end + 1 < timeline->nperiods && timeline->periods[near->end + 1].scope == scope &&
		   timeline->periods[near->end + 1].state == period->state)
		near->end++;
	return has_begin(flag, timeline, &set->versions[chain.anchor], near) &&
		has_end(flag, timeline, chain.end, near) &&
		is_seconded(flag, set, &chain, near) &&
		is_clear(set, chain.anchor, timeline->periods[near->begin].from, timeline->periods[near->end].to);
}
