/*-------------------------------------------------------------------------
 *
 * src/timeline/holes.c
 *	  What the evidence does not bear, whoever built the timeline from it.
 *
 * The last steps over the periods of all scopes: they only ever lower their
 * confidence.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/timeline/model.h"
#include "src/timeline/pure.h"

/* Is it known for ever?  What was deleted does not come back under its id. */
static bool
is_final(const FswPeriod *period)
{
	return period->cause == FSW_CAUSE_FEATURE_DELETED || period->cause == FSW_CAUSE_SEGMENT_DELETED;
}

/*
 * Does a period rest on what cannot be judged?  An event of a type that is not
 * known may mean something else than what its state looks like.  Entries tell
 * of an override by the name of its segment or identity, and pages of states
 * have ids alone: that no entry came about it proves nothing until something
 * has told the name.  A version's list names nothing and is complete.
 */
static bool
is_guess(const FswFlag *flag, const FswPeriod *period)
{
	const FswScope *scope = &flag->scopes[period->scope];

	if (period->evidence >= 0 && flag->evidence[period->evidence].guessed)
		return true;
	/* of an experiment, from the switch to versions on, of which nothing tells */
	if (scope->silent && !is_final(period))
		return true;
	return scope->unnamed && (!flag->versioned || scope->kind == FSW_SCOPE_IDENTITY) && !is_final(period);
}

/* Lower what of a timeline is confirmed within a stretch; the rest of it stays. */
static void
lower_within(FswTimeline *timeline, const FswPeriod *period, int64 from, int64 to, FswCause cause)
{
	int64		a = Max(from, period->from);
	int64		b = Min(to, period->to);

	if (period->confidence <= FSW_REPORTED || a >= b)
		a = b = period->to;
	fsw_timeline_add(timeline, period->scope, period->from, a, period->state,
					 period->confidence, period->cause, period->evidence);
	fsw_timeline_add(timeline, period->scope, a, b, period->state,
					 FSW_REPORTED, cause, period->evidence);
	fsw_timeline_add(timeline, period->scope, b, period->to, period->state,
					 period->confidence, period->cause, period->evidence);
}

/* Nothing that rests on a guess is confirmed. */
void
fsw_guessed_lower(const FswFlag *flag, FswTimeline *timeline)
{
	FswPeriod  *old;
	int			first = 0;
	int			n;

	/* mostly nothing does */
	while (first < timeline->nperiods &&
		   (timeline->periods[first].confidence <= FSW_REPORTED || !is_guess(flag, &timeline->periods[first])))
	{
		FSW_INTERRUPT();
		first++;
	}
	if (first == timeline->nperiods)
		return;
	old = fsw_timeline_take(timeline, first, &n);
	for (int i = 0; i < n; i++)
	{
		const FswPeriod *period = &old[i];
		bool		guess = is_guess(flag, period);

		FSW_INTERRUPT();
		lower_within(timeline, period, guess ? period->from : period->to, period->to, period->cause);
	}
	pfree(old);
}

/*
 * Was a variant added or removed when an event was read, perhaps?  Which of them
 * it has is told by all entries about variants together, from the creation on.
 */
bool
fsw_holes_count(const FswFlag *flag, const FswEvidence *piece)
{
	int			option = piece->kind != FSW_EV_BODY ? flag->noptions :
		fsw_timeline_first(flag->options, flag->noptions, piece->at);

	return option < flag->noptions && flag->options[option] <= fsw_after(piece->arrived, 2 * FSW_CLOCKS);
}

static bool
counts_variants(const FswFlag *flag, const FswHole *hole, const FswEvidence *piece)
{
	return hole->until >= flag->created_at && fsw_holes_count(flag, piece);
}

/*
 * Until when an entry that is missing can matter to each scope: the next
 * body, import or list of versions behind the hole tells the state anew.
 * Which overrides there are at all is told by lists alone: the last of the
 * ends.
 */
static void
find_ends(const FswFlag *flag, const FswHole *hole, int64 *ends)
{
	int64		list = FSW_FOREVER;

	for (int scope = 0; scope < flag->nscopes; scope++)
		ends[scope] = FSW_FOREVER;
	for (int i = 0; i < flag->nevidence; i++)
	{
		const FswEvidence *piece = &flag->evidence[i];

		FSW_INTERRUPT();
		if ((piece->kind == FSW_EV_BODY || piece->kind == FSW_EV_IMPORT) && piece->at > hole->until &&
			!counts_variants(flag, hole, piece))
			ends[piece->scope] = Min(ends[piece->scope], piece->at);
		if (piece->kind == FSW_EV_LIST && piece->arrived > hole->until)
			list = Min(list, piece->arrived);
	}
	for (int scope = 0; scope < flag->nscopes; scope++)
	{
		if (flag->scopes[scope].kind != FSW_SCOPE_IDENTITY)
			ends[scope] = Min(ends[scope], list);
	}
	ends[flag->nscopes] = list;
}

/*
 * Is it from after the hole that the variants of a period are known, by a
 * previous state or by the first list there is?  What was told before it, or
 * what the flag was made as, has no say in them.
 */
static bool
is_told_behind(const FswFlag *flag, const FswPeriod *period, const FswHole *hole)
{
	return (period->cause == FSW_CAUSE_PREVIOUS_STATE || period->cause == FSW_CAUSE_VERSION_LIST) &&
		period->evidence >= 0 && period->state >= 0 &&
		flag->states[period->state].nvariants > 0 && flag->evidence[period->evidence].at > hole->from;
}

/*
 * Was what began before the hole read only after that had begun?  Then it may
 * be what the save was of which the entry is missing.  A version has its own state.
 */
static bool
is_read_behind(const FswFlag *flag, const FswPeriod *period, const FswHole *hole)
{
	const FswEvidence *piece = period->evidence >= 0 ? &flag->evidence[period->evidence] : NULL;

	return piece != NULL && piece->kind == FSW_EV_BODY && period->cause == FSW_CAUSE_EVENT &&
		piece->at <= hole->from && piece->arrived > hole->from &&
		!(flag->versioned && flag->scopes[period->scope].kind != FSW_SCOPE_IDENTITY);
}

/* Up to when what an event tells of the variants is not told anew, by what counts none. */
static int64
counted_until(const FswFlag *flag, const FswHole *hole, const FswEvidence *event)
{
	int64		until = FSW_FOREVER;

	for (int i = 0; i < flag->nevidence; i++)
	{
		const FswEvidence *piece = &flag->evidence[i];

		FSW_INTERRUPT();
		if ((piece->kind == FSW_EV_BODY || piece->kind == FSW_EV_IMPORT) && piece->scope == event->scope &&
			piece->at > event->at && !counts_variants(flag, hole, piece))
			until = Min(until, piece->at);
		if (piece->kind == FSW_EV_LIST && piece->arrived > event->at && flag->scopes[event->scope].kind != FSW_SCOPE_IDENTITY)
			until = Min(until, piece->arrived);
	}
	return until;
}

/*
 * Which variants an event has is told by all entries since the creation, where
 * one came or went when it was read: so a hole takes the proof from it however
 * long ago it is.
 */
static void
lower_counted(const FswFlag *flag, FswTimeline *timeline, const FswHole *hole)
{
	for (int i = 0; i < flag->nevidence; i++)
	{
		const FswEvidence *event = &flag->evidence[i];
		FswPeriod  *old;
		int64		until;
		int			n;

		FSW_INTERRUPT();
		if (event->at <= hole->until || !counts_variants(flag, hole, event))
			continue;
		until = counted_until(flag, hole, event);
		old = fsw_timeline_take(timeline, 0, &n);
		for (int j = 0; j < n; j++)
			lower_within(timeline, &old[j], event->at,
						 old[j].scope == event->scope && !is_final(&old[j]) ? until : FSW_NEVER, FSW_CAUSE_MISSING_ENTRIES);
		pfree(old);
	}
}

/* Lower what one hole takes the proof from. */
static void
lower_hole(const FswFlag *flag, FswTimeline *timeline, const FswHole *hole, int64 *ends)
{
	int			n;
	FswPeriod  *old = fsw_timeline_take(timeline, 0, &n);

	find_ends(flag, hole, ends);
	for (int i = 0; i < n; i++)
	{
		const FswPeriod *period = &old[i];
		bool		behind = is_told_behind(flag, period, hole) || is_read_behind(flag, period, hole);

		FSW_INTERRUPT();
		lower_within(timeline, period, is_final(period) ? period->to : behind ? period->from : hole->from,
					 ends[period->scope], FSW_CAUSE_MISSING_ENTRIES);
	}
	pfree(old);
	lower_counted(flag, timeline, hole);
	if (timeline->others == NULL)
		return;
	old = fsw_timeline_take(timeline->others, 0, &n);
	for (int i = 0; i < n; i++)
		lower_within(timeline->others, &old[i], hole->from, ends[flag->nscopes], FSW_CAUSE_MISSING_ENTRIES);
	pfree(old);
}

/*
 * fsw_holes_lower() - that no entry came proves nothing where entries are
 * missing: what is confirmed is reported from the hole's beginning to the
 * scope's next news.  What ended before the feature was made, as an entry tells,
 * does not matter to it.
 */
void
fsw_holes_lower(const FswFlag *flag, FswTimeline *timeline, int64 made, int nholes, const FswHole *holes)
{
	int64	   *ends = palloc_array(int64, flag->nscopes + 1);

	for (int i = 0; i < nholes; i++)
	{
		if (holes[i].until >= made)
			lower_hole(flag, timeline, &holes[i], ends);
	}
	pfree(ends);
}
