/*-------------------------------------------------------------------------
 *
 * src/timeline/version_moved.c
 *	  Between which instants versions went live that have their places by what
 *	  chains.
 *
 * See version_order.c, which finds that place.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/timeline/version.h"

/*
 * Of the versions that one was put behind, how many have events by which they were
 * published after it?  Not counted are those that were put behind such a one, too.
 */
static int
count_later(const FswVersions *set, int index, int64 latest)
{
	int			n = 0;

	for (int i = Max(0, index - FSW_VERSION_BACK); i < index; i++)
	{
		const FswVersion *before = &set->versions[i];

		if (!before->has_events || before->imported || before->time <= latest)
			continue;
		latest = before->time;
		n++;
	}
	return n;
}

/*
 * Was a version scheduled, which follows what was published after it?  If it was
 * told of at once, the other one was given an instant of effect before it; if it
 * was told of late as a whole, by its entry as well, so may a single one have
 * been.  Without an entry nothing says which, unless it is later than deliveries
 * are.
 */
static bool
is_live_later(const FswVersions *set, int index, int64 published)
{
	const FswVersion *version = &set->versions[index];
	int64		late = fsw_apart(version->latest, published);

	if (late <= FSW_TOLD_LATE)
		return false;
	if (version->entry == FSW_NEVER)
		return late > FSW_LATE_ALONE || count_later(set, index, published) > 1;
	return fsw_apart(version->latest, version->entry_arrived) > FSW_TOLD_LATE || count_later(set, index, published) != 1;
}

/*
 * A version got its place by what chains, which says nothing of those that
 * tell of other scopes: it may have been live before them.  So may one that
 * was not scheduled.
 */
static void
begin_where_chained(FswVersions *set, int index)
{
	FswVersion *version = &set->versions[index];
	int64		from = fsw_version_published_from(set->flag, version);
	int			before = index - 1;

	while (before >= 0 && before > index - FSW_VERSION_BACK && set->versions[before].live > from &&
		   !fsw_version_share_scope(set->flag, version, &set->versions[before]))
		before--;
	if (before >= 0 && set->versions[before].live > from && is_live_later(set, index, from))
		version->earliest = Min(version->earliest, set->versions[before].live);
	else
		version->earliest = Min(version->earliest, from);
}

/*
 * Versions in the order of their arrival went live when, within what is known?
 * One that arrived after others of those behind them may have to be moved further.
 */
void
fsw_version_time_by_arrival(FswVersions *set, int first, int last)
{
	FswVersion *versions = set->versions;
	int64		least = first > 0 ? versions[first - 1].live : FSW_NEVER;
	int64		next = last + 1 < set->nversions ? versions[last + 1].live : FSW_FOREVER;

	for (int i = first; i <= last; i++)
	{
		FswVersion *version = &versions[i];

		version->moved = i == first || version->latest <= next;
		version->scheduled |= version->live < least;
		version->earliest = Max(version->earliest, least);
		least = Max(version->scheduled ? version->earliest : version->live, least);
	}
	for (int i = last; i >= first; i--)
	{
		FswVersion *version = &versions[i];

		if (version->scheduled)
			version->live = Max(version->earliest, Min(version->latest, fsw_after(next, -1)));
		next = version->live;
	}
	for (int i = first; i <= last; i++)
		begin_where_chained(set, i);
}

/* A version was moved behind others: it went live after them, by what chains. */
void
fsw_version_time_later(FswVersions *set, int index)
{
	FswVersion *version = &set->versions[index];

	version->earliest = version[-1].live;
	version->live = Max(version->latest, fsw_after(version[-1].live, 1));
	if (index + 1 < set->nversions && version->live >= version[1].live)
		version->live = Max(version->earliest, fsw_after(version[1].live, -1));
	version->moved = true;
	begin_where_chained(set, index);
}

/*
 * A list alone got a place before another version: it went live before that,
 * and not long before its entry.
 */
void
fsw_version_time_list(FswVersions *set, int index)
{
	FswVersion *version = &set->versions[index];
	int64		least = index > 0 ? set->versions[index - 1].live : FSW_NEVER;

	version->latest = version[1].live;
	version->live = fsw_after(version->latest, -1);
	version->earliest = fsw_after(version->live, -FSW_TOLD_LATE);
	if (version->entry != FSW_NEVER)
		version->earliest = Min(version->earliest, fsw_after(version->entry, -FSW_TOLD_LATE));
	version->earliest = Min(Max(least, version->earliest), version->live);
	version->moved = true;
}

/* A version was moved before others: it went live at its time, as far as that is between these. */
void
fsw_version_time_earlier(FswVersions *set, int index)
{
	FswVersion *version = &set->versions[index];

	version->live = Max(version->time, index > 0 ? fsw_after(version[-1].live, 1) : FSW_NEVER);
	version->live = Min(version->live, fsw_after(version[1].live, -1));
	version->moved = true;
}

/* Where many go live at one instant, none is before those that it follows. */
void
fsw_version_time_chain(FswVersions *set)
{
	int64		least = set->begin;

	for (int i = 0; i < set->nversions; i++)
	{
		FswVersion *version = &set->versions[i];

		FSW_INTERRUPT();
		/* what is known by its arrival alone: clocks differ */
		if (version->moved || version->scheduled || !version->has_events ||
			fsw_apart(version->latest, version->time) > 2 * FSW_CLOCKS)
			version->latest = fsw_after(version->latest, FSW_CLOCKS);
		version->live = Max(version->live, least);
		/* its entry came late as well, so that it may have been live since it was published */
		if (fsw_version_is_late(version))
			version->earliest = Min(version->earliest, version->time);
		version->earliest = Max(Min(version->earliest, version->live), set->begin);
		version->latest = Max(version->latest, version->live);
		least = version->live;
	}
}
