/*-------------------------------------------------------------------------
 *
 * src/timeline/version_gone.c
 *	  Overrides that are gone, where a list has a state that no override has.
 *
 * Which override that state is of, nobody told: the event that brought it was
 * lost, or never sent.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/timeline/version.h"

/*
 * An override that a list lacked is in a later one again, although no event
 * brought it back: it was not removed, or another one came that nothing told of.
 */
static void
doubt_returned(const FswVersion *version, FswTimeline *timeline, const FswPeriod *gone)
{
	int			first;
	int			end;

	first = end = gone - timeline->periods;
	while (first > 0 && timeline->periods[first - 1].state == FSW_NOT_LIVE)
		first--;
	while (end < timeline->nperiods && timeline->periods[end].state == FSW_NOT_LIVE)
		end++;
	if (first > 0 && timeline->periods[first - 1].state >= 0 &&
		fsw_version_lists(version->list, timeline->periods[first - 1].state))
		fsw_timeline_lower(timeline, 0, timeline->periods[first].from, timeline->periods[end - 1].to,
						   FSW_INFERRED, FSW_CAUSE_CONTRADICTED);
}

/*
 * The state can be that of any override that was removed before.  So from its
 * version on, none is confirmed to be gone, up to the next list that has no such
 * state.
 */
static void
doubt_absent(FswTimeline *timeline, int64 from, int64 to)
{
	const FswPeriod *begin = fsw_timeline_at(timeline, timeline->periods[0].scope, from);

	for (int i = begin != NULL ? begin - timeline->periods : 0; i < timeline->nperiods && timeline->periods[i].from < to; i++)
	{
		const FswPeriod *period = &timeline->periods[i];

		FSW_INTERRUPT();
		if (period->confidence == FSW_CONFIRMED && period->cause == FSW_CAUSE_OVERRIDE_REMOVED)
			fsw_timeline_lower(timeline, i, Max(period->from, from), Min(period->to, to), FSW_REPORTED, period->cause);
	}
}

/* Lower what is said of an override that is gone, by each list that has such a state. */
void
fsw_version_doubt_gone(const FswVersions *set, FswTimeline *timeline)
{
	int64		extra = FSW_FOREVER;	/* since when lists have one */

	if (timeline->nperiods == 0 || timeline->periods[0].scope == 0)
		return;
	for (int i = 0; i < set->nversions; i++)
	{
		const FswVersion *version = &set->versions[i];
		int			scope = timeline->periods[0].scope;
		const FswPeriod *gone = version->extra ? fsw_timeline_at(timeline, scope, version->live) : NULL;

		FSW_INTERRUPT();
		if (version->extra)
			extra = Min(extra, version->earliest);
		else if (version->list != NULL && extra != FSW_FOREVER)
		{
			doubt_absent(timeline, extra, version->latest);
			extra = FSW_FOREVER;
		}
		if (gone != NULL && gone->state == FSW_NOT_LIVE && set->flag->scopes[scope].ended > version->live)
			doubt_returned(version, timeline, gone);
	}
	if (extra != FSW_FOREVER)
		doubt_absent(timeline, extra, FSW_FOREVER);
}
