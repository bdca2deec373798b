/*-------------------------------------------------------------------------
 *
 * src/timeline/state_steps.c
 *	  The short form of a timeline: the states of an environment default alone.
 *
 * Of a flag that is saved state by state, the best estimate needs no audit
 * entries: each event's state holds from its time on, until the next one, a
 * removal, or the end of the feature.  That is what timeline.c makes of the
 * same events, and t/unit/timeline.c compares them.  What is not so simple is
 * left to it: one time with two states, or an entry between the creation and
 * the first event.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/base/array.h"
#include "src/timeline/act.h"
#include "src/timeline/state_steps.h"

/* The entry of a creation is dated so long before it, at most. */
#define ENTRY_BEFORE	(2 * FSW_TASK_DELAY)

/* A step behind all others, or while they are read from the last, before. */
void
fsw_steps_add(FswStateSteps *steps, int64 from, int state)
{
	int			max = steps->max;

	steps->from = fsw_grow(steps->from, steps->n, &max, sizeof(int64));
	steps->state = fsw_grow(steps->state, steps->n, &steps->max, sizeof(int));
	steps->from[steps->n] = from;
	steps->state[steps->n++] = state;
}

/* A step in its place by time, behind those of the same instant. */
static void
insert_step(FswStateSteps *steps, int64 from, int state)
{
	int			place;

	fsw_steps_add(steps, from, state);
	for (place = steps->n - 1; place > 0 && steps->from[place - 1] > from; place--)
	{
		steps->from[place] = steps->from[place - 1];
		steps->state[place] = steps->state[place - 1];
	}
	steps->from[place] = from;
	steps->state[place] = state;
}

/*
 * Is there an entry before an instant that is not of the event of that instant?
 * Those of its value and percentages lie within half a second of it.
 */
static bool
has_untold(const FswStepsFacts *facts, int64 from, int64 before, bool is_event)
{
	int64		parts_from = is_event ? Max(from, fsw_after(before, -FSW_SAME_ACT)) : before;

	return facts->has_entries(facts->source, from, fsw_after(parts_from, -1), false) ||
		(is_event && facts->has_entries(facts->source, parts_from, fsw_after(before, -1), true));
}

/*
 * What was there before the first event: nothing, or what the feature's
 * defaults make.  Returns false where an audit entry has a say in it.
 */
static bool
add_start(FswStateSteps *steps, const FswStepsFacts *facts)
{
	int64		event = steps->n > 0 ? steps->from[0] : FSW_FOREVER;
	int64		first = event;

	/* what is earlier than the flag is the removal of one that bore its name */
	for (int i = facts->nremovals - 1; i >= 0 && facts->removals[i] >= facts->created_at; i--)
	{
		FSW_INTERRUPT();
		first = Min(first, facts->removals[i]);
	}
	if (facts->created_at == FSW_NEVER || facts->created_at >= first)
		return true;
	/* the first event tells what it was created with */
	if (first != FSW_FOREVER && facts->created_at >= fsw_after(first, -FSW_CREATION_TOLD))
		return !has_untold(facts, fsw_after(facts->created_at, -ENTRY_BEFORE), first, first == event);
	if (facts->created_at >= facts->deleted_at ||
		(steps->n == 0 && facts->created_at >= facts->environment_end(facts->source)))
		return true;
	/* the first event tells another story */
	if (facts->first_before >= 0 &&
		(facts->default_enabled != facts->first_before || facts->is_copy(facts->source)))
		return false;
	/* an entry tells when it was made */
	if (facts->has_entries(facts->source, facts->created_at, fsw_after(facts->created_at, FSW_CREATION_TOLD), false))
		return false;
	insert_step(steps, facts->created_at,
				facts->default_enabled < 0 ? FSW_NOT_TOLD : facts->defaults(facts->source));
	return true;
}

/* The feature is gone; what would begin only then never was. */
static void
end_steps(FswStateSteps *steps, int64 deleted_at)
{
	if (deleted_at == FSW_FOREVER || steps->n == 0)
		return;
	if (steps->from[0] >= deleted_at)
	{
		steps->n = 0;
		return;
	}
	while (steps->from[steps->n - 1] >= deleted_at)
		steps->n--;
	fsw_steps_add(steps, deleted_at, FSW_NOT_LIVE);
}

/*
 * Make steps of the events that were added, by time, one for each: with what
 * was there before, removals and the end.  Returns false where the whole
 * timeline has to tell.
 */
bool
fsw_steps_build(FswStateSteps *steps, const FswStepsFacts *facts)
{
	if (facts->torn || (facts->from_start && !add_start(steps, facts)))
		return false;
	for (int i = 0; i < facts->nremovals; i++)
	{
		FSW_INTERRUPT();
		insert_step(steps, facts->removals[i], FSW_NOT_LIVE);
	}
	end_steps(steps, facts->deleted_at);
	return true;
}

/* The state of the steps at an instant; FSW_NOT_SEEN before the first. */
int
fsw_steps_at(const FswStateSteps *steps, int64 at)
{
	int			low = 0;
	int			high = steps->n;

	while (low < high)
	{
		int			middle = low + (high - low) / 2;

		if (steps->from[middle] <= at)
			low = middle + 1;
		else
			high = middle;
	}
	return low == 0 ? FSW_NOT_SEEN : steps->state[low - 1];
}
