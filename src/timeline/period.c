/*-------------------------------------------------------------------------
 *
 * src/timeline/period.c
 *	  From the acts of a scope to its periods.
 *
 * An act holds until the next one.  What changes without an act of the scope
 * itself, the variants of the feature, is put on top.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/timeline/act.h"

/* A clock of the receiver can be behind, and entries have their own instants. */
#define ARRIVAL_SPREAD		(2 * FSW_TASK_DELAY)

/*
 * An override has those variants alone that were given to it: one that is
 * added to the feature comes to the environment defaults, one that is removed
 * goes from all states.  Unless the override has more than there were before.
 */
static bool
is_about(const FswFlag *flag, int scope, int option, int count, int nvariants)
{
	return scope == 0 || flag->option_steps[option] <= 0 || count < nvariants;
}

/*
 * What may have changed a state after it was read, from the entry begin on.  An
 * override without variants has none to lose.
 */
static void
doubt_later(const FswFlag *flag, FswTimeline *timeline, int first, int scope, int begin,
			int nvariants, int64 to)
{
	if (scope > 0 && begin < flag->noptions && flag->options[begin] < to)
		fsw_timeline_lower(timeline, first, flag->options[begin], to, FSW_REPORTED, FSW_CAUSE_VARIANTS);
	while (begin < flag->noptions && !is_about(flag, scope, begin, nvariants, nvariants))
		begin++;
	if (begin < flag->noptions && flag->options[begin] < to && (scope == 0 || nvariants > 0))
		fsw_timeline_lower(timeline, first, flag->options[begin], to, FSW_INFERRED, FSW_CAUSE_VARIANTS);
}

/*
 * Variants that were added or removed for the whole project change states of
 * the feature, and no event says so.  A state that was told was read at some
 * instant up to its arrival: how many variants it has says between which of
 * these entries, where all since the creation can have been told.  What lies
 * on the other side of an entry is a guess: before one that was seen, and from
 * the first one on that was not.
 */
static void
doubt_options(const FswFlag *flag, FswTimeline *timeline, int first, int scope,
			  const FswAct *act, int state, int nbefore, int64 to)
{
	int64		read_until = act->evidence < 0 ? act->at : fsw_after(act->read, ARRIVAL_SPREAD);
	int			nvariants = flag->states[state].nvariants;
	int			count = 0;
	int			most = 0;		/* ever counted */
	int			seen = -1;		/* behind the last entry that the reading has
								 * seen */
	int			nseen = 0;		/* ways to count so many */
	int			begin = fsw_timeline_first(flag->options, flag->noptions, fsw_after(act->at, 1));
	int			end = fsw_timeline_first(flag->options, flag->noptions, fsw_after(read_until, 1));
	int			last = begin;	/* behind the last entry in the time of the
								 * reading */

	for (int i = 0; i < end; i++)
	{
		bool		about = is_about(flag, scope, i, count, nvariants);

		FSW_INTERRUPT();
		if (i == begin && (scope == 0 ? count == nvariants : count >= nvariants))
		{
			seen = i;
			nseen++;
		}
		if (fsw_variants_is_another(flag, i))
			count += flag->option_steps[i];
		most = Max(most, count);
		if (i < begin || !about)
			continue;
		last = i + 1;
		if (scope == 0 ? count == nvariants : count >= nvariants)
		{
			seen = i + 1;
			nseen++;
		}
	}
	/*
	 * what was held before had more than entries tell of, so one of them is missing; and whether a reading
	 * has seen one that is later than its arrival, as clocks differ, their number does not tell for sure
	 */
	if (!flag->creation_told || nseen != 1 || nbefore > most || (seen > begin && flag->options[seen - 1] > act->read))
		seen = -1;
	/* entries tell of less than was read: when it came is not known, but before an import */
	if (act->evidence >= 0 && act->cause != FSW_CAUSE_IMPORT && count < nvariants && nbefore < nvariants)
		fsw_timeline_lower(timeline, first, act->at, Min(to, read_until), FSW_INFERRED, FSW_CAUSE_VARIANTS);

	if (last > begin && seen != begin)
		fsw_timeline_lower(timeline, first, act->at, Min(to, flag->options[Max(seen, 0) > begin ? seen - 1 : last - 1]),
						   FSW_INFERRED, FSW_CAUSE_VARIANTS);
	doubt_later(flag, timeline, first, scope, Max(begin, seen), nvariants, to);
}

/*
 * Where the next event or import has seen all these changes, none of them is
 * missing and no percentage was saved with it, it tells the variants of the time
 * before it, from the last of them on; a change request, which has percentages of
 * its own, by its previous state.  What comes after that has no say: near an
 * instant it is not read.
 */
static void
tell_variants(FswFlag *flag, FswTimeline *timeline, int first, int scope, const FswAct *act, int state, const FswAct *next)
{
	int			before = fsw_timeline_first(flag->options, flag->noptions, next->at);
	int			told = next->state;

	/* older releases repeat what it is there */
	if (next->told && next->by_nobody && next->event)
		told = next->before == next->state ? FSW_NOT_TOLD : next->before;
	if (flag->combine == NULL || !next->told || told < 0 || next->evidence < 0 || next->nshares > 0 || next->share_missing ||
		!next->event || !flag->states[told].has_variants ||
		before == 0 || flag->options[before - 1] <= act->at ||
		(before < flag->noptions && flag->options[before] <= fsw_after(next->arrived, ARRIVAL_SPREAD)) ||
		(scope == 0 && flag->creation_told && fsw_variants_count(flag, before) != flag->states[told].nvariants))
		return;
	fsw_variants_tell(timeline, first, flag->options[before - 1], next->first_entry, NULL,
					  (FswToldState) {flag->combine(flag, state, told), next->evidence}, FSW_REPORTED);
}

/* From one act to the next: the state held, and who told it. */
static void
write_act(FswFlag *flag, FswTimeline *timeline, int index, const FswAct *act,
		  const FswAct *next, int held, int held_by, int nbefore)
{
	int64		to = next != NULL ? next->at : FSW_FOREVER;
	int			start = timeline->nperiods;
	int64		latest_audit_at = flag->latest_audit_at;

	if (act->at >= to)
		return;

	/*
	 * An identity can vanish, with its overrides, without any event, and an
	 * entry names its identifier, which another one can have had by then.
	 */
	if (flag->scopes[index].kind == FSW_SCOPE_IDENTITY && (next == NULL || !next->told || next->state == FSW_NOT_LIVE))
		latest_audit_at = FSW_NEVER;
	if (act->confidence == FSW_CONFIRMED)
	{
		int64		sure = Min(Max(latest_audit_at, act->at), to);

		fsw_timeline_add(timeline, index, act->at, sure, held, FSW_CONFIRMED,
						 act->cause, held_by);
		fsw_timeline_add(timeline, index, sure, to, held, FSW_REPORTED,
						 act->cause, held_by);
	}
	else
		fsw_timeline_add(timeline, index, act->at, to, held, act->confidence,
						 act->cause, held_by);

	/* while the act itself is being saved, or the next one */
	if (Max(act->last_part, act->unsure_until) > act->at)
		fsw_timeline_lower(timeline, start, act->at, Min(Max(act->last_part, act->unsure_until), to),
						   FSW_INFERRED, FSW_CAUSE_CROWDED);
	if (next != NULL && next->first_entry < to)
		fsw_timeline_lower(timeline, start, next->first_entry, to,
						   FSW_INFERRED, FSW_CAUSE_CROWDED);
	/* what is made is saved before its value, perhaps without an entry */
	if (held == FSW_NOT_LIVE && next != NULL && !next->told && next->about_part)
		fsw_timeline_lower(timeline, start, fsw_after(to, -FSW_SAME_ACT), to,
						   FSW_INFERRED, FSW_CAUSE_CROWDED);
	if (held >= 0)
	{
		int64		read_until = act->evidence < 0 ? act->at : fsw_after(act->read, ARRIVAL_SPREAD);

		doubt_options(flag, timeline, start, index, act, held, nbefore, to);
		fsw_variants_tell_none(flag, timeline, start, index, act->at, read_until, held, to);
		if (next != NULL)
			tell_variants(flag, timeline, start, index, act, held, next);
		/* where the act is a guess itself, more than its variants can be another */
		if (act->confidence > FSW_INFERRED)
			fsw_seen_tell(flag, timeline, start, &(FswReading) {.held = {held, held_by},.from = act->at,
						  .until = read_until,.later = {.state = FSW_NOT_TOLD}});
	}
}

/* The periods of a scope, behind those of others. */
void
fsw_scope_build(FswFlag *flag, int index, const FswScopeEvidence *evidence,
				FswTimeline *timeline)
{
	const FswScope *scope = &flag->scopes[index];
	int			first = timeline->nperiods;
	int			held = FSW_NOT_TOLD;
	int			held_by = -1;
	int			nacts;
	FswAct	   *acts = fsw_acts_of(flag, index, evidence, &nacts);

	for (int i = 0; i < nacts; i++)
	{
		int			nbefore = held >= 0 ? flag->states[held].nvariants : 0;

		FSW_INTERRUPT();
		if (acts[i].told)
		{
			held = acts[i].state;
			held_by = acts[i].evidence;
		}
		write_act(flag, timeline, index, &acts[i], i + 1 < nacts ? &acts[i + 1] : NULL, held, held_by, nbefore);
	}
	pfree(acts);

	if (scope->ended < flag->deleted_at)
		fsw_timeline_end(timeline, first, index, scope->ended, FSW_CONFIRMED,
						 FSW_CAUSE_SEGMENT_DELETED);
}
