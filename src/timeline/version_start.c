/*-------------------------------------------------------------------------
 *
 * src/timeline/version_start.c
 *	  What the environment default was before the first version.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/timeline/version.h"

/* One piece of evidence says what it was. */
static void
tell_start(FswStart *start, int state, int evidence, FswCause cause)
{
	if (start->state != FSW_NOT_TOLD)
	{
		start->agreed &= state == start->state;
		return;
	}
	start->state = state;
	start->evidence = evidence;
	start->cause = cause;
	start->confidence = FSW_REPORTED;
}

/* The previous state of the first event, and what the lists before it say. */
static void
start_from_versions(const FswVersions *set, FswStart *start)
{
	const FswFlag *flag = set->flag;

	for (int i = 0; i < set->nversions; i++)
	{
		const FswVersion *version = &set->versions[i];
		bool		last = version->deleted >= 0;

		FSW_INTERRUPT();
		for (int j = 0; j < version->nevents; j++)
		{
			const FswEvidence *event = &flag->evidence[version->events[j]];

			if (event->scope != 0)
				continue;
			last = true;
			if (event->before >= 0)
				tell_start(start, event->before, version->events[j], FSW_CAUSE_PREVIOUS_STATE);
		}
		if (last)
			return;
		if (version->list != NULL && version->list->nlist > 0)
			tell_start(start, version->list->list[0], version->list_index, FSW_CAUSE_VERSION_LIST);
	}
}

/* The state of a version that a deletion told of. */
static void
start_from_deletion(const FswVersions *set, FswStart *start)
{
	const FswFlag *flag = set->flag;

	for (int i = 0; i < flag->nevidence && start->state == FSW_NOT_TOLD; i++)
	{
		const FswEvidence *piece = &flag->evidence[i];

		FSW_INTERRUPT();
		if (set->nversions > 0 && piece->at >= set->versions[0].live)
			return;
		if (piece->kind == FSW_EV_DELETED && piece->scope == 0 && piece->before >= 0 && !fsw_version_of_deletion(set, piece))
			tell_start(start, piece->before, i, FSW_CAUSE_PREVIOUS_STATE);
	}
}

/* Was a version published before another one was told of, and told of by then itself, unless either was late? */
static bool
told_before(const FswVersion *version, const FswVersion *other, bool late)
{
	return version->time < other->latest &&
		(late || version->latest < other->latest || fsw_apart(version->latest, version->time) > FSW_GOES_LATER);
}

/*
 * Does the first version that tells of the environment default seem to have been
 * scheduled, or late, and restore what one brought that was published before it was told
 * of?  Each of the two chains with the other, so that either can have been live
 * first, and only the first one tells what was there before.  One that was told of some
 * seconds late was so, too, if the other was told of before it, or as late.  But what
 * stands before one that was published earlier does so by what chains.
 */
static bool
is_unclear(const FswVersions *set)
{
	int			first = 0;
	const FswVersion *version;
	const FswEvidence *event = NULL;
	bool		late;

	while (first < set->nversions && (event = fsw_version_event(set->flag, &set->versions[first], 0)) == NULL)
		first++;
	if (event == NULL)
		return false;
	version = &set->versions[first];
	late = version->scheduled || fsw_version_is_late(version);
	if (!late && fsw_apart(version->latest, version->time) <= FSW_GOES_LATER)
		return false;
	for (int i = first + 1; i < set->nversions && i <= first + FSW_VERSION_REACH; i++)
	{
		const FswEvidence *other = fsw_version_event(set->flag, &set->versions[i], 0);

		FSW_INTERRUPT();
		if (other != NULL && told_before(&set->versions[i], version, late) &&
			(!version->moved || set->versions[i].time > version->time) &&
			other->state == event->before && other->before != event->before)
			return true;
	}
	return false;
}

/*
 * Is what the first event says was there before it that of an earlier version which was
 * announced and never live?  Then it follows that one, and may be such, too.
 */
static bool
follows_dropped(const FswVersions *set, int state)
{
	for (int i = set->nversions; i < set->nversions + set->ndropped; i++)
	{
		const FswEvidence *event = fsw_version_event(set->flag, &set->versions[i], 0);

		FSW_INTERRUPT();
		if (event != NULL && event->state == state && set->versions[i].live < set->versions[0].live)
			return true;
	}
	return false;
}

/*
 * Does a version that was left out, but published before the first one was told of, say
 * that something else was there before?
 */
static bool
is_denied(const FswVersions *set, int state)
{
	for (int i = set->nversions; set->nversions > 0 && i < set->nversions + set->ndropped; i++)
	{
		const FswEvidence *event = fsw_version_event(set->flag, &set->versions[i], 0);

		FSW_INTERRUPT();
		if (event != NULL && event->before >= 0 && event->before != state && set->versions[i].time < set->versions[0].latest)
			return true;
	}
	return false;
}

/*
 * What the environment default was before the first version that was told: as
 * the versions say, or a deletion, or the feature's defaults.
 */
FswStart
fsw_version_start(const FswVersions *set)
{
	const FswFlag *flag = set->flag;
	const FswState *states = flag->states;
	FswStart	start = {FSW_NOT_TOLD, -1, true, FSW_UNKNOWN, FSW_CAUSE_UNTOLD_START};

	start_from_versions(set, &start);
	start_from_deletion(set, &start);
	if (start.state == FSW_NOT_TOLD && flag->defaults >= 0)
	{
		start.state = flag->defaults;
		start.cause = FSW_CAUSE_DEFAULTS;
		start.confidence = flag->defaults_complete ? FSW_REPORTED : FSW_INFERRED;
	}
	else if (!start.agreed || is_unclear(set) || is_denied(set, start.state))
	{
		start.confidence = FSW_INFERRED;
		start.cause = FSW_CAUSE_CONTRADICTED;
	}
	else if (start.state >= 0 && flag->defaults >= 0 && flag->latest_audit_at != FSW_NEVER &&
			 flag->created_at != FSW_NEVER && !flag->start_untold &&
			 fsw_same_but_variants(&states[flag->defaults], &states[start.state]) && !follows_dropped(set, start.state))
		start.confidence = FSW_CONFIRMED;
	return start;
}
