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

/*
 * An event of a type that is not known may mean something else than what its
 * state looks like.
 */
void
fsw_guessed_lower(const FswFlag *flag, FswTimeline *timeline)
{
	for (int i = 0; i < timeline->nperiods; i++)
	{
		FswPeriod  *period = &timeline->periods[i];

		FSW_INTERRUPT();
		if (period->evidence >= 0 && flag->evidence[period->evidence].guessed &&
			period->confidence > FSW_REPORTED)
			period->confidence = FSW_REPORTED;
	}
}

/* Is it known for ever?  What was deleted does not come back under its id. */
static bool
is_final(const FswPeriod *period)
{
	return period->cause == FSW_CAUSE_FEATURE_DELETED || period->cause == FSW_CAUSE_SEGMENT_DELETED;
}

/*
 * Until when an entry that is missing can matter to each scope: the next
 * body, import or list of versions behind the hole tells the state anew.
 */
static void
find_ends(const FswFlag *flag, const FswHole *hole, int64 *ends)
{
	for (int scope = 0; scope < flag->nscopes; scope++)
		ends[scope] = FSW_FOREVER;
	for (int i = 0; i < flag->nevidence; i++)
	{
		const FswEvidence *piece = &flag->evidence[i];

		FSW_INTERRUPT();
		if ((piece->kind == FSW_EV_BODY || piece->kind == FSW_EV_IMPORT) && piece->at > hole->until)
			ends[piece->scope] = Min(ends[piece->scope], piece->at);
		if (piece->kind != FSW_EV_LIST || piece->arrived <= hole->until)
			continue;
		for (int scope = 0; scope < flag->nscopes; scope++)
		{
			if (flag->scopes[scope].kind != FSW_SCOPE_IDENTITY)
				ends[scope] = Min(ends[scope], piece->arrived);
		}
	}
}

/* Lower what one hole takes the proof from. */
static void
lower_hole(const FswFlag *flag, FswTimeline *timeline, const FswHole *hole, int64 *ends)
{
	FswTimeline lowered = {0};

	find_ends(flag, hole, ends);
	for (int i = 0; i < timeline->nperiods; i++)
	{
		const FswPeriod *period = &timeline->periods[i];
		int64		a = Max(hole->from, period->from);
		int64		b = Min(ends[period->scope], period->to);

		FSW_INTERRUPT();
		if (period->confidence <= FSW_REPORTED || is_final(period) || a >= b)
			a = b = period->to;
		fsw_timeline_add(&lowered, period->scope, period->from, a, period->state,
						 period->confidence, period->cause, period->evidence);
		fsw_timeline_add(&lowered, period->scope, a, b, period->state,
						 FSW_REPORTED, FSW_CAUSE_MISSING_ENTRIES, period->evidence);
		fsw_timeline_add(&lowered, period->scope, b, period->to, period->state,
						 period->confidence, period->cause, period->evidence);
	}
	*timeline = lowered;
}

/*
 * fsw_holes_lower() - that no entry came proves nothing where entries are
 * missing: what is confirmed is reported from the hole's beginning to the
 * scope's next news.
 */
void
fsw_holes_lower(const FswFlag *flag, FswTimeline *timeline, int nholes, const FswHole *holes)
{
	int64	   *ends = palloc_array(int64, flag->nscopes);

	for (int i = 0; i < nholes; i++)
		lower_hole(flag, timeline, &holes[i], ends);
	pfree(ends);
}
