/*-------------------------------------------------------------------------
 *
 * src/timeline/version_doubt.c
 *	  Where a version that may have been live at another instant takes the
 *	  certainty from what was written.
 *
 * See version_write.c, which writes.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/timeline/version.h"

/* What comes so long after the entry did was hardly late alone. */
#define WAITED				INT64CONST(30000000)

/* A list comes so soon after the events of its version, and an entry is written so soon after it, as a rule. */
#define TOLD_SOON			INT64CONST(3000000)

/* None of which any version tells. */
#define NO_SCOPE			(-1)

/* The period of a scope with a state at an instant; NULL if it has none then. */
static const FswPeriod *
held_at(const FswTimeline *timeline, int64 at)
{
	const FswPeriod *period = fsw_timeline_at(timeline, timeline->periods[0].scope, at);

	return period != NULL && period->state >= 0 ? period : NULL;
}

/* The latest instant of the first list behind a version that is from after an instant, but for those that tell of a scope. */
static int64
next_listed(const FswVersions *set, int index, int64 after, int but_of)
{
	int64		result = FSW_FOREVER;

	for (int i = index + 1; i < set->nversions; i++)
	{
		const FswVersion *version = &set->versions[i];

		FSW_INTERRUPT();
		if (version->list != NULL && version->earliest > after && fsw_version_event(set->flag, version, but_of) == NULL)
			result = Min(result, version->latest);
	}
	return result;
}

/* Is an event that of a version behind one? */
static bool
is_of_later(const FswVersions *set, const FswVersion *version, const FswEvidence *event)
{
	const FswVersion *end = set->versions + set->nversions;

	for (const FswVersion *later = version + 1; later < end && later <= version + FSW_VERSION_REACH; later++)
	{
		FSW_INTERRUPT();
		if (fsw_version_event(set->flag, later, event->scope) == event)
			return true;
	}
	return false;
}

/* Was an override that is there at an instant brought after a version, which does not know it? */
static bool
is_brought_after(const FswVersions *set, const FswTimeline *timeline, const FswVersion *version, int64 at)
{
	const FswPeriod *held = held_at(timeline, at);
	const FswEvidence *brought = held != NULL && held->evidence >= 0 ? &set->flag->evidence[held->evidence] : NULL;

	return brought != NULL && brought->kind == FSW_EV_BODY &&
		(brought->at > version->live || is_of_later(set, version, brought)) &&
		(brought->before == FSW_NOT_LIVE || (version->deleted >= 0 && held_at(timeline, version->live) == NULL)) &&
		(version->list == NULL || !fsw_version_lists(version->list, held->state));
}

/*
 * Was a list of which nothing else came put before the version that brought an
 * override, since one that came soon after it has that again?  These two may have
 * come in the other order: then the override is gone.
 */
static bool
is_swapped(const FswVersions *set, const FswTimeline *timeline, const FswVersion *version, int64 next)
{
	return version->recalled && version->nevents == 0 && version->entry == FSW_NEVER &&
		fsw_apart(next, version->list_arrived) <= FSW_LATE_ALONE && is_brought_after(set, timeline, version, version->list_arrived);
}

/*
 * Of an override that a version lacks which may have been live later than it
 * seems, nothing is confirmed from an instant on: the override may be gone.  A
 * list from after all that told of the version says no, if it has it, and is not
 * of the version that brought it.
 */
static void
doubt_lacking(const FswVersions *set, FswTimeline *timeline, int index, int64 from, int64 told, bool late)
{
	const FswVersion *version = &set->versions[index];
	const FswPeriod *held = held_at(timeline, told);
	const FswPeriod *then;
	int			told_by = held != NULL ? held->evidence : -1;
	int64		to = next_listed(set, index, told, timeline->periods[0].scope);
	int			now;
	bool		another;

	/* no list has what went with its segment */
	then = to != FSW_FOREVER && set->flag->scopes[timeline->periods[0].scope].ended <= to ? NULL : held_at(timeline, to);
	now = then != NULL ? then->evidence : -1;
	another = now != told_by && (late || now < 0 || set->flag->evidence[now].before == FSW_NOT_LIVE);
	/* where the version was told of at once, it has to be gone by then, or another one there; a deletion dates exactly */
	if (another || is_swapped(set, timeline, version, to) || (to == FSW_FOREVER && (late || version->deleted < 0)))
		fsw_timeline_lower(timeline, 0, from, to, FSW_REPORTED, FSW_CAUSE_PUBLISHING);
}

/*
 * A version may be live only after the one that brought an override which it lacks:
 * its list came late, its entry at once, or an entry alone, or a list without
 * events.  What is removed so sends no event.  Not one placed by what chains, unless
 * it came so late that it was scheduled.
 */
static void
doubt_removed(const FswVersions *set, FswTimeline *timeline, int index)
{
	const FswVersion *version = &set->versions[index];
	int64		published = Max(version->entry_arrived, version->has_events || version->deleted >= 0 ? version->time : version->entry);
	bool		silent = fsw_version_is_silent(version);
	int64		told = silent ? fsw_after(version->entry, FSW_LATE_ALONE) : Min(version->list_arrived, version->shown);
	bool		late = silent || version->recalled || fsw_apart(told, published) > FSW_GOES_LATER ||
		(!version->has_events && version->entry != FSW_NEVER && fsw_apart(told, version->entry) > FSW_TOLD_LATE);

	if (version->recalled ||
		(published != FSW_NEVER && !version->imported && (!version->moved || fsw_apart(told, published) > WAITED) &&
		 (silent || (version->list != NULL && (version->nevents == 0 || late))) &&
		 is_brought_after(set, timeline, version, told)))
		doubt_lacking(set, timeline, index, silent ? version->entry : Max(version->earliest, fsw_after(told, -FSW_LATE_ALONE)), told, late);
}

/*
 * A list that came some seconds after the events of its version, of which no entry came,
 * may be that of a later one whose events were lost: what none of the events tells, an
 * override that it lacks included, was perhaps so only since then.
 */
static void
doubt_listed(const FswVersions *set, FswTimeline *timeline, int index)
{
	const FswVersion *version = &set->versions[index];

	if (version->has_events && version->list != NULL && version->entry == FSW_NEVER &&
		version->list_arrived > fsw_after(version->shown, TOLD_SOON) &&
		fsw_version_event(set->flag, version, timeline->periods[0].scope) == NULL)
		fsw_timeline_lower(timeline, 0, version->earliest, version->list_arrived, FSW_REPORTED, FSW_CAUSE_PUBLISHING);
}

/* Has a scope another state when a version had been live at the latest than right before it? */
static bool
is_changed(const FswTimeline *timeline, const FswVersion *version)
{
	const FswPeriod *before = fsw_timeline_at(timeline, timeline->periods[0].scope, fsw_after(version->earliest, -1));
	const FswPeriod *after = fsw_timeline_at(timeline, timeline->periods[0].scope, version->latest);

	return before != NULL && after != NULL && before->state != after->state;
}

/*
 * A list of which nothing else came, where no entries do, may have waited in a queue that
 * stood still: what it changed was so since then, perhaps.
 */
static void
doubt_alone(const FswVersions *set, FswTimeline *timeline, int index)
{
	const FswVersion *version = &set->versions[index];

	if (version->list != NULL && version->nevents == 0 && version->deleted < 0 && version->entry == FSW_NEVER &&
		set->flag->latest_audit_at == FSW_NEVER && is_changed(timeline, version))
		fsw_timeline_lower(timeline, 0, fsw_after(version->list_arrived, -FSW_LATE_ALONE), version->earliest,
						   FSW_REPORTED, FSW_CAUSE_PUBLISHING);
}

/*
 * A list of which no event came, and which came long after its entry, is of a version that was
 * told of late as a whole.  If what it has was there before, by a version of the same minutes
 * whose entry was written late too, it may be what that one changed, and so from before it.
 */
static void
doubt_late(const FswVersions *set, FswTimeline *timeline, int index)
{
	const FswVersion *version = &set->versions[index];

	if (version->list != NULL && version->nevents == 0 && version->deleted < 0 && version->entry != FSW_NEVER &&
		fsw_apart(version->list_arrived, version->entry) > FSW_TOLD_LATE &&
		index > 0 && fsw_version_is_written_late(&version[-1]) &&
		version[-1].live >= fsw_after(version->entry, -FSW_LATE_ALONE) && !is_changed(timeline, version))
		fsw_timeline_lower(timeline, 0, fsw_after(version->entry, -FSW_LATE_ALONE), version->earliest,
						   FSW_REPORTED, FSW_CAUSE_PUBLISHING);
}

/*
 * An override that a list lacked is in a later one again, although no event
 * brought it back: it was not removed, or another one came that nothing told of.
 */
static void
doubt_returned(const FswVersions *set, FswTimeline *timeline, int index)
{
	const FswVersion *version = &set->versions[index];
	int			scope = timeline->periods[0].scope;
	const FswPeriod *gone = version->extra ? fsw_timeline_at(timeline, scope, version->live) : NULL;
	int			first;
	int			end;

	if (gone == NULL || gone->state != FSW_NOT_LIVE || set->flag->scopes[scope].ended <= version->live)
		return;
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
 * Was another version, published later, told of before one was told of: at once, by its entry
 * at least, so that no queue stood still meanwhile, or by a list alone, which does not tell
 * whether one did?
 */
static bool
is_overtaken(const FswVersions *set, const FswVersion *version)
{
	for (int i = 0; i < set->nversions; i++)
	{
		const FswVersion *other = &set->versions[i];
		int64		told = other->entry == FSW_NEVER ? other->latest : Min(other->latest, other->entry_arrived);

		FSW_INTERRUPT();
		if (other->has_events ?
			other->time > version->time && told < version->latest && fsw_apart(told, other->time) <= FSW_TOLD_LATE :
			other->entry == FSW_NEVER && other->earliest > version->time && other->latest < version->latest)
			return true;
	}
	return false;
}

/* Does a version's list lack an override that is held? */
static bool
is_unlisted(const FswVersion *version, const FswPeriod *held)
{
	return held->scope > 0 && held->state >= 0 && version->list != NULL && version->list->nlist > 0 &&
		!fsw_version_lists(version->list, held->state);
}

/* Does the next list behind a version say again what is held of a scope, although no event brought it? */
static bool
is_said_again(const FswVersions *set, int index, int64 after, const FswPeriod *held)
{
	for (int i = index + 1; i < set->nversions; i++)
	{
		const FswVersion *version = &set->versions[i];

		FSW_INTERRUPT();
		if (version->list == NULL || version->list->nlist == 0 || version->earliest <= after)
			continue;
		return fsw_version_event(set->flag, version, held->scope) == NULL &&
			(held->scope == 0 ? version->list->list[0] == held->state : fsw_version_lists(version->list, held->state));
	}
	return false;
}

/* Does anything but an event itself say that what was there before its version is what it says? */
static bool
fits_its_place(const FswVersions *set, const FswTimeline *timeline, int scope, const FswVersion *version, const FswEvidence *event)
{
	const FswPeriod *before = fsw_timeline_at(timeline, scope, fsw_after(version->live, -1));

	return before != NULL && before->state == event->before &&
		(before->evidence != event - set->flag->evidence || (scope == 0 && event->before == set->flag->defaults));
}

/*
 * Was what tells of a version sent only when that went live, perhaps, long after it
 * was published?  Then it follows what is held, if it tells of that, or an import
 * that nothing told of, and not what was there when it was published.
 */
static bool
has_waited(const FswVersions *set, const FswTimeline *timeline, int index, const FswEvidence *event, const FswPeriod *held)
{
	const FswVersion *version = &set->versions[index];
	int64		apart = fsw_apart(version->latest, version->time);

	if (version->entry != FSW_NEVER && fsw_apart(version->entry, version->time) > FSW_TOLD_LATE)
		return fsw_apart(version->latest, Max(version->entry_arrived, version->live)) > WAITED;
	if (event == NULL)
		return apart > WAITED && is_overtaken(set, version);
	if (apart <= FSW_GOES_LATER || !is_overtaken(set, version))
		return false;
	return event->before == held->state ? apart > WAITED || !is_said_again(set, index, version->latest, held) :
		apart > WAITED && !fits_its_place(set, timeline, held->scope, version, event);
}

/* When were those behind a version told of that were published before it was? */
static int64
overlapped_until(const FswVersions *set, int index)
{
	const FswVersion *version = &set->versions[index];
	int64		result = version->latest;

	for (int i = index + 1; i < set->nversions && i <= index + FSW_VERSION_REACH; i++)
	{
		FSW_INTERRUPT();
		if (fsw_version_published_from(set->flag, &set->versions[i]) <= version->latest)
			result = Max(result, set->versions[i].latest);
	}
	return result;
}

/*
 * What came long after its version's entry had come, which a queue that stood still wrote
 * late, was scheduled, perhaps, wherever the version has its place, and so was what came long
 * after its own time and follows what others brought meanwhile, of which was told at once:
 * what else is held then is not confirmed, up to the next list.
 */
static void
doubt_waiting(const FswVersions *set, FswTimeline *timeline, int index)
{
	const FswVersion *version = &set->versions[index];
	int			scope = timeline->periods[0].scope;
	const FswEvidence *event = fsw_version_event(set->flag, version, scope);
	int64		published = version->entry_arrived < version->latest ? version->entry_arrived : FSW_NEVER;
	int64		at[2];

	if (!version->has_events || version->imported || fsw_apart(version->latest, version->time) <= FSW_GOES_LATER)
		return;
	at[0] = version->latest;
	at[1] = overlapped_until(set, index);
	for (int j = 0; j < (at[1] > at[0] ? 2 : 1); j++)
	{
		const FswPeriod *held = fsw_timeline_at(timeline, scope, at[j]);

		FSW_INTERRUPT();
		if (held != NULL && (event != NULL ? held->state != event->state : is_unlisted(version, held)) &&
			has_waited(set, timeline, index, event, held))
			fsw_timeline_lower(timeline, 0, Max(version->time, published),
							   next_listed(set, index, version->latest, NO_SCOPE), FSW_REPORTED, FSW_CAUSE_PUBLISHING);
	}
}

/* Does any version but imports have a list?  Then each that was told of as it should be has one. */
static bool
lists_come(const FswVersions *set)
{
	for (int i = 0; i < set->nversions; i++)
	{
		FSW_INTERRUPT();
		if (set->versions[i].list != NULL)
			return true;
	}
	return false;
}

/* The last version behind one that sent anything; NULL if an import shows that this one is live, or there is none. */
static const FswVersion *
last_sent(const FswVersions *set, int index)
{
	int			state = set->flag->evidence[set->versions[index].deleted].before;
	const FswVersion *last = NULL;

	for (int i = index + 1; i < set->nversions; i++)
	{
		const FswVersion *version = &set->versions[i];
		const FswEvidence *read = version->imported ? fsw_version_event(set->flag, version, 0) : NULL;

		FSW_INTERRUPT();
		if (read != NULL && read->state == state)
			return NULL;
		if (version->nevents > 0 || version->list != NULL)
			last = version;
	}
	return last;
}

/*
 * A version that its entry and a deletion tell of, but no event and no list, was scheduled,
 * or what it sent is lost: it may have gone live at any instant behind the last of which
 * those came.
 */
static void
doubt_unsent(const FswVersions *set, FswTimeline *timeline, int index)
{
	const FswVersion *version = &set->versions[index];
	const FswVersion *last;

	/* an entry that was imported says nothing: what was sent then went nowhere */
	if (version->deleted < 0 || version->nevents > 0 || version->list != NULL ||
		version->entry == FSW_NEVER || fsw_apart(version->entry_arrived, version->entry) > FSW_TOLD_LATE)
		return;
	last = lists_come(set) ? last_sent(set, index) : NULL;
	if (last != NULL)
		fsw_timeline_lower(timeline, 0, last->live, FSW_FOREVER, FSW_REPORTED, FSW_CAUSE_PUBLISHING);
}

/*
 * A version of which an entry alone came before the flag was gone was not told of, since a
 * queue stood still until then: so its entry was written late as well, perhaps.  Or it was
 * scheduled, and went live so shortly before the end that nothing was read of it.
 */
static void
doubt_stalled(const FswVersions *set, FswTimeline *timeline, int index)
{
	const FswVersion *version = &set->versions[index];
	int64		gone = set->flag->deleted_at;

	if (fsw_version_is_silent(version) && version->entry < gone && fsw_apart(gone, version->entry) <= FSW_LATE_ALONE && lists_come(set))
		fsw_timeline_lower(timeline, 0, fsw_after(version->entry, -FSW_LATE_ALONE), gone, FSW_REPORTED, FSW_CAUSE_PUBLISHING);
}

/*
 * Of several deletions that can date a version, one was taken, and another one is a draft's:
 * it may have been live since the first of them.  Entries are written some seconds late, so
 * that within so long the nearer one says nothing.
 */
static void
doubt_dated(const FswVersions *set, FswTimeline *timeline, int index)
{
	const FswVersion *version = &set->versions[index];
	int64		since = index > 0 ? version[-1].live : FSW_NEVER;

	if (version->deleted < 0 || version->nevents > 0 || version->entry == FSW_NEVER)
		return;
	/* in order of time */
	for (int j = version->deleted - 1; j >= 0 && set->flag->evidence[j].at > since; j--)
	{
		const FswEvidence *piece = &set->flag->evidence[j];

		FSW_INTERRUPT();
		if (piece->kind == FSW_EV_DELETED && piece->scope == 0 && !fsw_version_is_of_creation(set->flag, j) &&
			fsw_apart(version->entry, piece->at) < Max(TOLD_SOON, FSW_MUCH_NEARER * fsw_between(version->entry, version->time)))
			fsw_timeline_lower(timeline, 0, piece->at, version->live, FSW_REPORTED, FSW_CAUSE_PUBLISHING);
	}
}

/* Is a version that lacks an override, and told of at about the same time, before the scheduled one that brought it? */
static bool
is_beside(const FswVersions *set, int index, const FswPeriod *held)
{
	const FswVersion *version = &set->versions[index];

	for (int i = index - 1; i >= 0; i--)
	{
		const FswVersion *other = &set->versions[i];

		FSW_INTERRUPT();
		if (is_unlisted(other, held) && other->live > version->time &&
			fsw_after(other->latest, FSW_LATE_ALONE) > version->latest && fsw_version_event(set->flag, other, held->scope) == NULL)
			return true;
	}
	return false;
}

/*
 * When a scheduled version went live is known by what it sent then alone: one that was told
 * of shortly before, and lacks an override that it brought, may have been live only after it,
 * and have removed that, unless the next list has it again.
 */
static void
doubt_scheduled(const FswVersions *set, FswTimeline *timeline, int index)
{
	const FswVersion *version = &set->versions[index];
	int			scope = timeline->periods[0].scope;
	const FswEvidence *event = fsw_version_event(set->flag, version, scope);
	const FswPeriod *held = event != NULL ? held_at(timeline, version->latest) : NULL;

	if (version->scheduled && held != NULL && held->state == event->state && event->before == FSW_NOT_LIVE &&
		is_beside(set, index, held) && !is_said_again(set, index, version->latest, held))
		fsw_timeline_lower(timeline, 0, version->earliest, next_listed(set, index, version->latest, NO_SCOPE),
						   FSW_REPORTED, FSW_CAUSE_PUBLISHING);
}

/*
 * A version that stands behind others, by what chains, although events or a
 * deletion date it before them, may as well have been live since then, or since
 * one delivery late alone.
 */
static void
doubt_delayed(const FswVersions *set, FswTimeline *timeline, int index)
{
	const FswVersion *version = &set->versions[index];
	int64		from = version->deleted >= 0 ? version->time : Max(version->time, fsw_after(version->latest, -FSW_LATE_ALONE));

	if (version->moved && (version->has_events || version->deleted >= 0))
		fsw_timeline_lower(timeline, 0, from, version->earliest, FSW_REPORTED, FSW_CAUSE_PUBLISHING);
}

/* What one version takes from the certainty of a scope. */
static void
doubt_version(const FswVersions *set, FswTimeline *timeline, int index)
{
	FSW_INTERRUPT();
	doubt_waiting(set, timeline, index);
	doubt_listed(set, timeline, index);
	doubt_alone(set, timeline, index);
	doubt_late(set, timeline, index);
	doubt_unsent(set, timeline, index);
	doubt_stalled(set, timeline, index);
	doubt_dated(set, timeline, index);
	doubt_delayed(set, timeline, index);
	if (timeline->periods[0].scope == 0)
		return;
	doubt_scheduled(set, timeline, index);
	doubt_removed(set, timeline, index);
	doubt_returned(set, timeline, index);
}

static int
compare_by_earliest(const void *a, const void *b)
{
	const FswVersion *x = *(FswVersion *const *) a;
	const FswVersion *y = *(FswVersion *const *) b;

	FSW_INTERRUPT();
	if (x->earliest != y->earliest)
		return x->earliest < y->earliest ? -1 : 1;
	return x->latest < y->latest ? -1 : x->latest > y->latest;
}

/*
 * While a version is being published, nothing is certain, and of one whose
 * place was found by what chains, it is a guess.
 */
FswTimeline *
fsw_version_doubt(const FswVersions *set, FswTimeline *timeline)
{
	FswTimeline *result = palloc0_object(FswTimeline);
	FswVersion **versions = palloc_array(FswVersion *, set->nversions);
	int			v = 0;
	int64		busy = FSW_NEVER;	/* until then, by the versions before v */
	int64		moved = FSW_NEVER;	/* and by those that were moved */

	for (int i = 0; i < set->nversions; i++)
		versions[i] = &set->versions[i];
	qsort(versions, set->nversions, sizeof(FswVersion *), compare_by_earliest);

	for (int i = 0; i < timeline->nperiods; i++)
	{
		const FswPeriod *period = &timeline->periods[i];
		int64		at = period->from;

		while (at < period->to)
		{
			int64		to = period->to;
			FswConfidence at_most = FSW_CONFIRMED;

			FSW_INTERRUPT();
			for (; v < set->nversions && versions[v]->earliest <= at; v++)
			{
				busy = Max(busy, versions[v]->latest);
				if (versions[v]->moved)
					moved = Max(moved, versions[v]->latest);
			}
			if (busy > at)
			{
				at_most = moved > at ? FSW_INFERRED : FSW_REPORTED;
				to = Min(to, moved > at ? moved : busy);
			}
			if (v < set->nversions)
				to = Min(to, versions[v]->earliest);
			fsw_timeline_add(result, period->scope, at, to, period->state,
							 Min(period->confidence, at_most),
							 period->confidence > at_most ? FSW_CAUSE_PUBLISHING : period->cause,
							 period->evidence);
			at = to;
		}
	}
	pfree(versions);
	for (int i = 0; i < set->nversions && result->nperiods > 0; i++)
		doubt_version(set, result, i);
	return result;
}
