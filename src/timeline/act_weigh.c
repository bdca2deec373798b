/*-------------------------------------------------------------------------
 *
 * src/timeline/act_weigh.c
 *	  How sure each act of a scope is beside its neighbours.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/timeline/act.h"

/* Between asking for a page and its being made. */
#define IMPORT_TAKES		INT64CONST(2000000)

/* So long after a save its task begins, where there is a task processor (docs/flagsmith.md). */
#define TASK_BEGINS			INT64CONST(1000000)

/* Was it read after an instant, or perhaps so, as clocks differ? */
static void
doubt_read(FswAct *act, int64 at)
{
	if (act->arrived > at)
		fsw_act_doubt(act, FSW_INFERRED, FSW_CAUSE_TORN);
	else if (fsw_after(act->arrived, FSW_CLOCKS) > at)
		fsw_act_doubt(act, FSW_REPORTED, FSW_CAUSE_TORN);
}

/*
 * From which instant on can a reading of an act have what the next one saved?
 * FSW_FOREVER if it has not.  The later acts follow it in their array.
 *
 * If both have the same, or the value alone that an entry says was saved between
 * them, what two events agree on says nothing of the time before that.  Where the
 * next one was saved in several steps, or was itself read in the middle of a later
 * one, what the first has of it need not be what is told of it; but what the one
 * before had and no entry says was saved is from neither.
 */
static int64
can_have_next_from(const FswState *states, const FswAct *previous, const FswAct *act, int nlater)
{
	const FswAct *next = act + 1;
	bool		same = previous != NULL && previous->told && previous->state >= 0 &&
		states[previous->state].rest == states[act->state].rest && !act->value_told && act->nshares == 0;

	if (act->evidence < 0)
		return FSW_FOREVER;
	/* what no event tells may have saved some of it, and no entry beside an event says which */
	while (nlater > 0 && !next->told && !next->about_part)
	{
		FSW_INTERRUPT();
		next++;
		nlater--;
	}
	if (nlater == 0)
		return FSW_FOREVER;
	if (!next->told)
		return next->at;
	if (next->state >= 0 && next->first_part != FSW_FOREVER &&
		(states[next->state].rest == states[act->state].rest ||
		 (next->value_told && states[next->state].value == states[act->state].value) ||
		 ((next->several || next->mixed || next > act + 1) && !same) ||
		 (fsw_apart(act->arrived, next->first_part) <= FSW_CLOCKS && fsw_apart(act->arrived, act->at) > FSW_TASK_USUAL)))
		return next->first_part;
	return FSW_FOREVER;
}

/* Which acts were read, perhaps, in the middle of the next one?  That depends on what comes after them. */
static void
find_mixed(const FswState *states, FswAct *acts, int nacts)
{
	for (int i = nacts - 1; i >= 0; i--)
	{
		FSW_INTERRUPT();
		if (acts[i].told && acts[i].state >= 0)
			acts[i].mixed = fsw_after(acts[i].arrived, FSW_CLOCKS) >
				can_have_next_from(states, i > 0 ? &acts[i - 1] : NULL, &acts[i], nacts - i - 1);
	}
}

/* Was the state read in the middle of its own act, or of the next one? */
static void
weigh_reading(const FswFlag *flag, FswAct *act, const FswAct *previous, int nlater)
{
	const FswState *states = flag->states;
	const FswAct *next = nlater > 0 ? act + 1 : NULL;
	bool		late;
	bool		other;

	/* the value is still the old one, although an entry says it changed */
	if (previous != NULL && previous->told && previous->state >= 0 &&
		fsw_apart(act->at, previous->at) < FSW_TASK_REACH &&
		(previous->arrived > act->at ? act->last_part != FSW_NEVER :
		 act->value_told && previous->arrived < act->first_entry) &&
		states[previous->state].rest == states[act->state].rest)
		fsw_act_doubt(act, FSW_REPORTED, FSW_CAUSE_TORN);

	/* its own task begins later: it was read before all of it was saved, perhaps, by that of an earlier act */
	if (act->last_part != FSW_NEVER && fsw_apart(act->arrived, act->at) < TASK_BEGINS)
		fsw_act_doubt(act, FSW_REPORTED, FSW_CAUSE_TORN);

	/* or it has the next one's already */
	doubt_read(act, can_have_next_from(states, previous, act, nlater));

	/*
	 * The time is a draft's, and no entry says when it took effect; or it is
	 * that of an act before, which changed nothing, and the state was read in
	 * the middle of a later one.  So it was, however soon it came, if it is
	 * another one than before.  The entry of the later one may be missing, too.
	 */
	late = fsw_apart(act->arrived, act->at) > FSW_TASK_REACH;
	if (late && !act->exact && !act->value_told && act->nshares == 0 && act->cause != FSW_CAUSE_IMPORT &&
		act->before != FSW_NOT_TOLD && flag->latest_audit_at != FSW_NEVER)
		act->unsure_until = Max(act->unsure_until, act->arrived);
	other = previous != NULL && previous->told && previous->state >= 0 && previous->state != act->state;
	if (!act->exact && !act->value_told && act->nshares == 0 && act->cause != FSW_CAUSE_IMPORT &&
		((late && act->by_nobody && act->first_entry == FSW_FOREVER) ||
		 ((late || other) && next != NULL && flag->latest_audit_at > act->at &&
		  fsw_after(act->arrived, FSW_CLOCKS) >= next->first_entry)))
		fsw_act_doubt(act, FSW_INFERRED, FSW_CAUSE_CONTRADICTED);
}

/* Does an entry tell that a variant was added or removed after an act, and before a later one was read? */
static bool
has_option(const FswFlag *flag, const FswAct *act, const FswAct *later)
{
	int			option = fsw_timeline_first(flag->options, flag->noptions, act->at);

	return option < flag->noptions && flag->options[option] <= fsw_after(later->read, FSW_CLOCKS);
}

/*
 * Have more percentages changed from an act to the next than entries tell of?
 * Each is saved by itself, and has one.
 */
static bool
has_other_shares(const FswFlag *flag, const FswScopeEvidence *scope, const FswAct *previous, const FswAct *act)
{
	int			nchanged = fsw_shares_changed(&flag->states[previous->state], &flag->states[act->state]);
	int64		from = Min(fsw_after(previous->at, FSW_SAME_ACT), fsw_after(act->at, -FSW_SAME_ACT));
	int64		last = FSW_NEVER;

	for (int i = fsw_act_entry_from(scope, from);
		 nchanged > 0 && i < scope->nentries && scope->entries[i]->at <= fsw_after(act->at, FSW_SAME_ACT); i++)
	{
		FSW_INTERRUPT();
		/* one entry can have come by webhook and by import */
		nchanged -= scope->entries[i]->kind == FSW_EV_NEAR && scope->entries[i]->at != last;
		last = scope->entries[i]->at;
	}
	return nchanged > 0;
}

/*
 * Has something changed that no entry tells of, although each save has one?
 * Then one is missing, with the act it was of, perhaps; at the least it is not
 * known when this act's own value or percentages were saved.
 */
static void
weigh_untold(const FswFlag *flag, const FswScopeEvidence *scope, FswAct *previous, FswAct *act)
{
	const FswState *was;
	const FswState *is;
	bool		shares;

	if (!act->told || act->evidence < 0 || act->cause == FSW_CAUSE_IMPORT || act->state < 0 ||
		!previous->told || previous->state < 0 || (act->by_nobody && act->exact))
		return;
	was = &flag->states[previous->state];
	is = &flag->states[act->state];
	/* what turned it on or off has no entry beside that of its value: an import did, before it was read */
	if (was->enabled != is->enabled && (act->value_told || act->nshares > 0) && !act->exact && !act->by_nobody)
		act->unsure_until = Max(act->unsure_until, act->read);

	/* a deletion has what was there when it was made: not what was saved, if that is what was held before */
	if (act->value_told && act->before == FSW_NOT_TOLD && was->value == is->value)
		fsw_act_doubt(act, FSW_INFERRED, FSW_CAUSE_TORN);

	/*
	 * Where the value was saved, the one before it is that of the last save; if
	 * both have the same, the first was read when that had been saved.
	 */
	if (act->value_told && act->before >= 0 && flag->states[act->before].value != was->value &&
		flag->states[act->before].value != is->value && !flag->states[act->before].no_value)
	{
		if (was->value == is->value && previous->arrived >= act->first_entry)
			fsw_act_doubt(previous, FSW_INFERRED, FSW_CAUSE_TORN);
		fsw_act_doubt(previous, FSW_REPORTED, FSW_CAUSE_CONTRADICTED);
		/* its own is that of a later save, and what it says was there before is what it saved */
		if (fsw_act_has_value(scope, fsw_after(act->at, FSW_SAME_ACT), act->arrived))
			fsw_act_doubt(act, FSW_INFERRED, FSW_CAUSE_TORN);
	}
	shares = has_other_shares(flag, scope, previous, act) ||
		(was->nvariants == is->nvariants && was->shares != is->shares && act->nshares == 0 &&
		 !has_option(flag, previous, act));
	if (!shares && (was->value == is->value || act->value_told))
		return;
	/* what it says the value was before its last save is what it is: an earlier act saved that */
	fsw_act_doubt(previous, was->value != is->value && act->before >= 0 && flag->states[act->before].value == is->value &&
		  !is->no_value ? FSW_INFERRED : FSW_REPORTED, FSW_CAUSE_CONTRADICTED);
	act->first_entry = Min(act->first_entry, fsw_after(act->at, flag->latest_audit_at == FSW_NEVER ? -FSW_TASK_DELAY : -FSW_SAME_ACT));
	act->share_missing = shares;
	if (shares)
		act->unsure_until = Max(act->unsure_until, fsw_after(act->at, FSW_SAME_ACT));
}

/*
 * Does an entry say that a default was turned on or off, and the event that it is as it
 * was?  Then an import, which nothing tells, changed it back before it was read, perhaps.
 */
static void
weigh_unchanged(const FswState *states, FswAct *act)
{
	if (act->evidence >= 0 && act->cause != FSW_CAUSE_IMPORT && act->switched && !act->by_nobody && act->before >= 0 &&
		states[act->before].enabled == states[act->state].enabled)
		act->unsure_until = Max(act->unsure_until, act->read);
}

/*
 * Does an entry say that a value or a percentage was saved, but an event has it as
 * it says it was before?  Then it was read before that, perhaps.
 */
static bool
is_unsaved(const FswState *states, const FswAct *act)
{
	const FswState *was;
	const FswState *is;

	if (!act->told || act->cause == FSW_CAUSE_IMPORT || act->state < 0 || act->before < 0)
		return false;
	was = &states[act->before];
	is = &states[act->state];
	return (act->value_told && was->value == is->value) ||
		(act->nshares > 0 && is->nvariants > 0 && was->nvariants == is->nvariants && was->shares == is->shares);
}

/*
 * Does an entry tell of a percentage, but none is another than was read last?
 * Each that is saved is: the one that was read later shows it, or neither does.
 * Of a save that was not read, the event's own previous state is all that tells.
 */
static void
weigh_shares(const FswState *states, FswAct *acts, int index)
{
	FswAct	   *act = &acts[index];
	FswAct	   *shown = act - 1;

	if (!shown->told && fsw_apart(act->at, shown->at) <= FSW_TASK_REACH && is_unsaved(states, act))
		fsw_act_doubt(act, FSW_REPORTED, FSW_CAUSE_TORN);
	while (shown > acts && !shown->told && shown->nshares == 0)
		shown--;
	if (!act->told || act->cause == FSW_CAUSE_IMPORT || act->state < 0 || act->nshares == 0 ||
		!shown->told || shown->state < 0 || shown->evidence < 0 || states[shown->state].nvariants == 0 ||
		states[shown->state].nvariants != states[act->state].nvariants || states[shown->state].shares != states[act->state].shares)
		return;
	fsw_act_doubt(shown->arrived >= act->first_entry ? shown : act, FSW_REPORTED, FSW_CAUSE_TORN);
}

/*
 * Has an import other variants alone than what was held, and may an option
 * that was added or removed since be why?  Then the state held up to there.  An
 * override gets no variant that is added.
 */
static bool
is_other_by_options(const FswFlag *flag, FswScopeKind kind, const FswAct *act, const FswAct *import)
{
	const int64 *times = kind == FSW_SCOPE_DEFAULT ? flag->options : flag->removed;
	int			n = kind == FSW_SCOPE_DEFAULT ? flag->noptions : flag->nremoved;
	int			first = fsw_timeline_first(times, n, act->at);

	return fsw_same_but_variants(&flag->states[act->state], &flag->states[import->state]) &&
		first < n && times[first] <= import->at;
}

/*
 * Has the environment default other variants than before, and not all entries
 * tell which were added or removed?  That was at some instant up to when the later
 * state was read.
 */
static void
weigh_untold_options(const FswFlag *flag, FswAct *previous, FswAct *act)
{
	if (!act->told || act->evidence < 0 || act->state < 0 || !previous->told || previous->evidence < 0 ||
		previous->state < 0 || flag->states[previous->state].nvariants == flag->states[act->state].nvariants ||
		(has_option(flag, previous, act) &&
		 !fsw_variants_miscounted(flag, act->at, fsw_after(act->read, FSW_CLOCKS), flag->states[act->state].nvariants)))
		return;
	fsw_act_doubt(previous, FSW_INFERRED, FSW_CAUSE_VARIANTS);
	act->unsure_until = Max(act->unsure_until, act->read);
}

/*
 * Between two events are acts that none tells, which saved no value: then the second has
 * in its previous state the value that the first one's act saved.  If the first has
 * another one, and its value was saved after its time, it was read before that.
 */
static void
weigh_value_before(const FswState *states, FswAct *acts, int index)
{
	const FswAct *act = &acts[index];
	FswAct	   *shown = &acts[index - 1];

	if (!act->told || act->cause == FSW_CAUSE_IMPORT || act->state < 0 || !act->value_told || act->before < 0 ||
		states[act->before].no_value || states[act->before].value == states[act->state].value)
		return;
	while (shown > acts && !shown->told && !shown->about_part)
		shown--;
	if (shown->told && shown->state >= 0 && shown->evidence >= 0 && shown < &acts[index - 1] && shown->last_part != FSW_NEVER &&
		states[act->before].value != states[shown->state].value && states[act->state].value != states[shown->state].value)
		fsw_act_doubt(shown, FSW_REPORTED, FSW_CAUSE_CONTRADICTED);
}

/*
 * Were more percentages saved than there are variants in what was read?  Then one was
 * there which an entry tells to have been removed before that was.
 */
static void
weigh_removed(const FswFlag *flag, FswAct *act)
{
	int			removed = fsw_timeline_first(flag->removed, flag->nremoved, act->at);

	if (act->nshares > flag->states[act->state].nvariants && removed < flag->nremoved &&
		flag->removed[removed] <= fsw_after(act->read, FSW_CLOCKS))
		fsw_act_doubt(act, FSW_INFERRED, FSW_CAUSE_VARIANTS);
}

/*
 * A page has the time at which it was asked for, by another clock: where an act
 * begins so soon after it, the import may be of what that made.
 */
static void
weigh_import(FswAct *acts, int nacts, int index)
{
	int64		until = fsw_after(acts[index].at, IMPORT_TAKES);
	int			next = index + 1;

	while (next < nacts && acts[next].told && acts[next].cause == FSW_CAUSE_IMPORT && acts[next].at <= until)
		next++;
	if (next < nacts && Min(acts[next].at, acts[next].first_entry) <= until)
		fsw_act_doubt(&acts[index], FSW_INFERRED, FSW_CAUSE_TORN);
}

/* Compare each act with its neighbours. */
void
fsw_acts_weigh(const FswFlag *flag, const FswScopeEvidence *scope, FswScopeKind kind, FswAct *acts, int nacts)
{
	const FswState *states = flag->states;

	find_mixed(states, acts, nacts);
	for (int i = 0; i < nacts; i++)
	{
		FswAct	   *act = &acts[i];
		FswAct	   *next = i + 1 < nacts ? &acts[i + 1] : NULL;
		bool		next_told = next != NULL && next->told && next->state >= 0;

		FSW_INTERRUPT();
		if (i > 0)
		{
			weigh_shares(states, acts, i);
			weigh_value_before(states, acts, i);
		}
		if (next != NULL)
			weigh_untold(flag, scope, act, next);
		if (next != NULL && kind == FSW_SCOPE_DEFAULT)
			weigh_untold_options(flag, act, next);
		if (!act->told)
			continue;
		if (act->state < 0)
		{
			/* created again without a word: the next event knows it */
			if (next_told && next->before >= 0)
				fsw_act_doubt(act, FSW_INFERRED, FSW_CAUSE_CONTRADICTED);
			continue;
		}
		weigh_removed(flag, act);
		if (act->evidence >= 0)
			weigh_reading(flag, act, i > 0 ? &acts[i - 1] : NULL, nacts - i - 1);
		if (kind == FSW_SCOPE_DEFAULT)
			weigh_unchanged(states, act);
		if (act->cause == FSW_CAUSE_IMPORT)
			weigh_import(acts, nacts, i);

		/* An import says that something else was live by then. */
		if (next_told && next->cause == FSW_CAUSE_IMPORT && next->state != act->state &&
			!is_other_by_options(flag, kind, act, next))
			fsw_act_doubt(act, FSW_INFERRED, FSW_CAUSE_CONTRADICTED);

		/*
		 * Of the previous state, only enabled is to be trusted here, and
		 * whether there was one: an override without is a new one, so the one
		 * before it was removed without a word.
		 */
		if (next_told && next->before != FSW_NOT_TOLD &&
			(next->before < 0 ? kind != FSW_SCOPE_DEFAULT :
			 states[next->before].enabled != states[act->state].enabled))
			fsw_act_doubt(act, FSW_INFERRED, FSW_CAUSE_CONTRADICTED);
	}
	if (kind == FSW_SCOPE_DEFAULT && flag->last_edit_unclear && nacts > 0)
		fsw_act_doubt(&acts[nacts - 1], FSW_INFERRED, FSW_CAUSE_CONTRADICTED);
}
