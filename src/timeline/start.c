/*-------------------------------------------------------------------------
 *
 * src/timeline/start.c
 *	  What a scope that is saved by itself was before its first act.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/timeline/act.h"

/* What the environment default was made as. */
static void
default_start(const FswFlag *flag, const FswAct *first, FswAct *start)
{
	if (flag->defaults >= 0)
	{
		start->state = flag->defaults;
		start->confidence = flag->defaults_complete ? FSW_REPORTED : FSW_INFERRED;
		start->cause = FSW_CAUSE_DEFAULTS;
	}
	/* what the first event says was there before is nearer to the truth */
	if (first != NULL && first->told && first->state >= 0 && first->before >= 0 &&
		(flag->clone || flag->defaults < 0 ||
		 flag->states[first->before].enabled != flag->states[flag->defaults].enabled))
	{
		start->state = first->before;
		start->confidence = FSW_INFERRED;
		start->cause = FSW_CAUSE_PREVIOUS_STATE;
	}
}

/* Does the first event tell what the environment default was created with? */
static bool
is_created_as_told(const FswScope *scope, const FswAct *acts, int nacts)
{
	if (nacts > 0 && acts[0].told)
		return scope->created_at >= fsw_after(acts[0].at, -FSW_CREATION_TOLD);
	for (int i = 0; i < nacts && acts[i].at <= scope->created_at; i++)
	{
		FSW_INTERRUPT();
		if (acts[i].told)
			return true;
	}
	return false;
}

/*
 * Does the event of the creation tell something else than what was made?  Then it
 * was read after a change, of which no entry need tell, and the time of that is
 * not known.  A copy can have been made so, but need not.
 */
static void
weigh_creation(const FswFlag *flag, FswAct *acts, int nacts)
{
	for (int i = 0; i < nacts; i++)
	{
		FswAct	   *act = &acts[i];

		FSW_INTERRUPT();
		if (!act->told || act->state < 0)
			continue;
		if (act->evidence >= 0 && flag->defaults >= 0 &&
			!fsw_same_but_variants(&flag->states[act->state], &flag->states[flag->defaults]))
			act->unsure_until = Max(act->unsure_until, act->read);
		return;
	}
}

/*
 * How many of the first acts are the entry that the environment default was
 * made, some milliseconds after its feature, of which no event came: it was
 * changed before the task for that ran.
 */
static int
count_creation(const FswFlag *flag, const FswScope *scope, const FswAct *acts, int nacts)
{
	int			n = 0;

	/* one entry can have come by webhook and by import */
	while (n < nacts && !acts[n].told && flag->evidence[acts[n].evidence].creation && acts[n].at == acts[0].at &&
		   acts[n].at >= scope->created_at && acts[n].at <= fsw_after(scope->created_at, FSW_CREATION_TOLD))
		n++;
	return n;
}

/* What was there before the first act?  Returns how many acts there are now. */
int
fsw_start_add(const FswFlag *flag, int index, FswAct *acts, int nacts)
{
	const FswScope *scope = &flag->scopes[index];
	FswAct		start = fsw_act_at(scope->created_at);
	int			ncreated = 0;

	if (scope->created_at == FSW_NEVER)
		return nacts;
	start.told = true;
	start.state = FSW_NOT_TOLD;
	start.cause = FSW_CAUSE_UNTOLD_START;
	if (scope->kind == FSW_SCOPE_DEFAULT)
	{
		if (is_created_as_told(scope, acts, nacts))
		{
			weigh_creation(flag, acts, nacts);
			return nacts;
		}
		/* it was made later than the flag: its environment was, of which no entry came */
		if (flag->start_untold && nacts > 0 && acts[0].told && acts[0].before == FSW_NOT_LIVE)
			weigh_creation(flag, acts, nacts);
		/* an entry of the creation can be dated a little before it */
		for (int i = 0; i < nacts && acts[i].at < scope->created_at; i++)
			acts[i].at = scope->created_at;
		ncreated = count_creation(flag, scope, acts, nacts);
		default_start(flag, nacts > ncreated ? acts + ncreated : NULL, &start);
		if (ncreated > 0)
			start.at = start.arrived = start.read = acts[0].at;
	}
	else if (nacts > 0 && acts[0].told && acts[0].state >= 0 &&
			 acts[0].before >= 0 && scope->created_at < acts[0].at)
		start.state = FSW_NOT_LIVE; /* the first event says it was there */
	else
		return nacts;
	memmove(acts + 1, acts + ncreated, (nacts - ncreated) * sizeof(FswAct));
	acts[0] = start;
	return nacts + 1 - ncreated;
}
