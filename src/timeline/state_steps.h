/*-------------------------------------------------------------------------
 *
 * src/timeline/state_steps.h
 *	  The short form of a timeline: interface of state_steps.c.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FSW_STATE_STEPS_H
#define FSW_STATE_STEPS_H

#include "src/timeline/model.h"

/* The steps of an environment default: from an instant on, this state. */
typedef struct FswStateSteps
{
	int			n;
	int			max;
	int64	   *from;
	int		   *state;			/* FSW_NOT_LIVE, FSW_NOT_TOLD, or an index */
} FswStateSteps;

/*
 * What has a say in the steps beside the events themselves.  What costs a
 * search is asked for only where it matters.
 */
typedef struct FswStepsFacts
{
	bool		torn;			/* one time has two states */
	bool		from_start;		/* the first of all events are among the steps */
	int			first_before;	/* enabled before the events of the first
								 * time: 0, 1, -1 if not told, 2 if they do
								 * not agree */
	int64		created_at;		/* as FswFlag */
	int64		deleted_at;
	int			default_enabled;	/* by the feature's defaults: 0, 1, -1 if
									 * not told */
	int			nremovals;		/* of the state in this environment */
	const int64 *removals;
	void	   *source;

	/*
	 * is there an entry about the environment default in a range? whole: of
	 * the state itself, not of its value or a percentage alone
	 */
	bool		(*has_entries) (void *source, int64 from, int64 to, bool whole);
	/* when was the environment deleted? */
	int64		(*environment_end) (void *source);
	/* was the flag made as a copy? */
	bool		(*is_copy) (void *source);
	/* the state that the defaults make */
	int			(*defaults) (void *source);
} FswStepsFacts;

extern void fsw_steps_add(FswStateSteps *steps, int64 from, int state);
extern bool fsw_steps_build(FswStateSteps *steps, const FswStepsFacts *facts);
extern int	fsw_steps_at(const FswStateSteps *steps, int64 at);

#endif							/* FSW_STATE_STEPS_H */
