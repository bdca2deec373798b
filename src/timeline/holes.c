/*-------------------------------------------------------------------------
 *
 * src/timeline/holes.c
 *	  What the evidence does not bear, whoever built the timeline from it.
 *
 * The last step over the periods of all scopes: it only ever lowers their
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
static void
lower_guessed(const FswFlag *flag, FswTimeline *timeline)
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

/* fsw_holes_lower() - lower what is surer than its evidence allows. */
void
fsw_holes_lower(const FswFlag *flag, FswTimeline *timeline)
{
	lower_guessed(flag, timeline);
}
