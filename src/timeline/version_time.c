/*-------------------------------------------------------------------------
 *
 * src/timeline/version_time.c
 *	  Between which instants a version went live, by what it is made of.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/timeline/version.h"

/* How far before its entry, or its list, a version without events can lie. */
#define ENTRY_SPREAD		INT64CONST(6000000)
#define LIST_SPREAD			INT64CONST(10000000)

/* The best guess within that. */
#define ENTRY_USUAL			INT64CONST(300000)
#define LIST_USUAL			INT64CONST(1000000)

/* What arrived so long after the entry, which came at once, was scheduled. */
#define SCHEDULED			INT64CONST(10000000)

/* Did an import find, after the time of an event, what that says was there before it? */
static int64
find_import(const FswFlag *flag, const FswEvidence *event, int64 until)
{
	const FswEvidence *end = flag->evidence + flag->nevidence;
	int64		found = FSW_NEVER;

	for (const FswEvidence *piece = event + 1; piece < end && piece->at < until; piece++)
	{
		FSW_INTERRUPT();
		if (piece->kind == FSW_EV_IMPORT && piece->scope == event->scope &&
			piece->state != event->state && piece->state == event->before)
			found = piece->at;
	}
	return found;
}

/* Between which instants a version with events went live. */
static void
time_of_events(FswFlag *flag, FswVersion *version)
{
	version->earliest = version->time;
	version->live = version->time;
	version->latest = version->list != NULL ? Min(version->list_arrived, version->shown) : version->shown;
	version->latest = Max(version->latest, version->time);

	/*
	 * An environment default always has a previous state, unless its version
	 * is from before the first one.
	 */
	for (int i = 0; i < version->nevents; i++)
	{
		const FswEvidence *event = &flag->evidence[version->events[i]];

		if (event->scope == 0 && event->kind == FSW_EV_BODY && event->before == FSW_NOT_LIVE)
			version->never = true;
		if (!version->imported)
			version->earliest = Max(version->earliest, find_import(flag, event, version->latest));
	}
	/* late is not the same as scheduled, unless its entry was written at once, and came */
	if (version->earliest > version->time ||
		(version->entry != FSW_NEVER && fsw_apart(version->latest, version->time) > SCHEDULED &&
		 fsw_apart(version->entry, version->time) <= FSW_TOLD_LATE &&
		 fsw_apart(version->latest, version->entry_arrived) > SCHEDULED))
	{
		version->scheduled = true;
		version->live = version->latest;
		/* or deliveries were late, as that of the entry was */
		version->unsure = version->earliest == version->time && fsw_version_is_late(version);
	}
}

/* Between which instants a version went live. */
void
fsw_version_time(FswFlag *flag, FswVersion *version)
{
	if (version->has_events)
		time_of_events(flag, version);
	else if (version->deleted >= 0)
	{
		version->earliest = version->time;
		version->live = version->time;
		version->latest = version->list != NULL ? version->list_arrived : version->time;
	}
	else if (version->entry != FSW_NEVER)
	{
		version->earliest = fsw_after(version->entry, -ENTRY_SPREAD);
		version->live = fsw_after(version->entry, -ENTRY_USUAL);
		version->latest = Max(version->entry, version->list_arrived);
		if (version->list != NULL && version->list_arrived < version->entry)
		{
			version->earliest = Min(version->earliest, fsw_after(version->list_arrived, -LIST_SPREAD));
			version->live = Min(version->live, fsw_after(version->list_arrived, -ENTRY_USUAL));
			version->latest = version->list_arrived;
		}
		else if (version->list != NULL && fsw_apart(version->list_arrived, version->entry) > SCHEDULED &&
				 fsw_apart(version->list_arrived, version->entry_arrived) > SCHEDULED)
		{
			version->scheduled = true;
			version->live = version->list_arrived;
		}
	}
	else
	{
		version->earliest = fsw_after(version->list_arrived, -LIST_SPREAD);
		version->live = fsw_after(version->list_arrived, -LIST_USUAL);
		version->latest = version->list_arrived;
	}
}

/* When was a version published at the earliest, wherever it stands? */
int64
fsw_version_published_from(FswFlag *flag, const FswVersion *version)
{
	FswVersion	alone = *version;

	if (version->has_events || version->deleted >= 0)
		return version->time;
	fsw_version_time(flag, &alone);
	return alone.earliest;
}

/* Have the lists of two versions one environment default, or has one of them none? */
static bool
share_default(const FswVersion *a, const FswVersion *b)
{
	return a->list == NULL || b->list == NULL || a->list->nlist == 0 || b->list->nlist == 0 ||
		a->list->list[0] == b->list->list[0];
}

/*
 * May an override that a version's list lacks have come only after it?  A
 * version without an exact time may be from before it, one of which a list alone
 * came as long as a queue can stand still.  So may one that was scheduled, if the
 * environment default does not tell which of them came first.  So may any version
 * if the one that brought the override, which no other list knows, was told of
 * later: with an instant of effect, that one was live later.  So may one without
 * events where the other was told of late: the queue stood still; and one that
 * only its entry puts behind the other.
 */
bool
fsw_version_may_follow(const FswVersions *set, const FswStretch *stretch, const FswVersion *version)
{
	int64		from = version->earliest;
	const FswVersion *brought;

	if (stretch->version < 0)
		return false;
	brought = &set->versions[stretch->version];
	if (version->scheduled)
		from = Max(from, fsw_after(version->latest, share_default(brought, version) ? -FSW_LATE_ALONE : -FSW_TOLD_LATE));
	if (!version->has_events && version->deleted < 0 &&
		(version->entry == FSW_NEVER || (brought->has_events && fsw_apart(brought->latest, brought->time) > FSW_TOLD_LATE)))
		from = Min(from, fsw_after(version->list_arrived, -FSW_LATE_ALONE));
	return brought->live > from || (version->in_turn && brought->latest > version->live) ||
		(brought->has_events && brought->latest > version->latest && stretch->last_listed <= brought->earliest);
}
