/*-------------------------------------------------------------------------
 *
 * src/timeline/act.c
 *	  What happened to a scope that is saved by itself, act by act.
 *
 * The flag events of one time and the audit entries around it are one act;
 * an entry that no event explains is one, too.  Each is weighed by itself and
 * by its neighbours.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/timeline/act.h"

/* Nothing is read for an act that is older than this. */
#define TASK_REACH			INT64CONST(15000000)

/*
 * What takes longer to arrive, and then comes at once after an entry, may have
 * been read in the middle of what that one tells: without a task processor.
 */
#define TASK_USUAL			INT64CONST(5000000)

/* Between asking for a page and its being made. */
#define IMPORT_TAKES		INT64CONST(2000000)

/* Of two readings, the later one can arrive so much before the other. */
#define OVERTAKEN			INT64CONST(2000000)

/* The first entry of a scope that is not earlier than an instant. */
static int
entry_from(const FswScopeEvidence *scope, int64 at)
{
	int			low = 0;
	int			high = scope->nentries;

	while (low < high)
	{
		int			middle = low + (high - low) / 2;

		if (scope->entries[middle]->at < at)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void
doubt(FswAct *act, FswConfidence at_most, FswCause cause)
{
	if (act->confidence > at_most)
	{
		act->confidence = at_most;
		act->cause = cause;
	}
}

/*
 * Of bodies[first .. last), the one that tells the state after the act.
 *
 * Several states under one time are a torn read: a task read between the two
 * saves of a request.  What arrived before the next act began is right, and of
 * that the last reading the most complete one.  Clocks differ: what arrived
 * about then may be the next act's as well.  Nor is the last to arrive the last
 * reading where another came soon before it.  *sure is whether neither is so.
 */
static FswEvidence *
choose_body(const FswScopeEvidence *scope, int first, int last, bool *sure)
{
	FswEvidence *body = scope->bodies[last - 1];
	int			next = entry_from(scope, fsw_after(body->at, FSW_SAME_ACT + 1));
	int64		next_at = next < scope->nentries ? scope->entries[next]->at : FSW_FOREVER;

	if (last < scope->nbodies)
		next_at = Min(next_at, scope->bodies[last]->at);
	*sure = true;
	for (int i = last - 1; i >= first; i--)
	{
		FSW_INTERRUPT();
		if (next_at != FSW_FOREVER && fsw_after(scope->bodies[i]->arrived, FSW_CLOCKS) >= next_at)
			continue;
		body = scope->bodies[i];
		for (int j = i - 1; j >= first && *sure; j--)
			*sure = scope->bodies[j]->state == body->state ||
				fsw_apart(body->arrived, scope->bodies[j]->arrived) > OVERTAKEN;
		return body;
	}
	*sure = false;
	for (int i = last - 1; i >= first; i--)
	{
		FSW_INTERRUPT();
		if (scope->bodies[i]->arrived < next_at)
			return scope->bodies[i];
	}
	return body;
}

/* How sure an act is by its own entries. */
static void
weigh_entries(FswAct *act, const FswScopeEvidence *scope)
{
	int			nvalues = 0;
	int			nparts = 0;		/* saved before its time */
	int64		last_value = FSW_NEVER;
	int64		last_part = FSW_NEVER;

	for (int i = entry_from(scope, fsw_after(act->at, -FSW_SAME_ACT));
		 i < scope->nentries && scope->entries[i]->at <= fsw_after(act->at, FSW_SAME_ACT); i++)
	{
		FswEvidence *entry = scope->entries[i];

		FSW_INTERRUPT();
		if (entry->kind == FSW_EV_REMOVAL || entry->kind == FSW_EV_STATE_DELETED ||
			entry->kind == FSW_EV_DOUBT)
			continue;
		act->first_entry = Min(act->first_entry, entry->at);
		act->exact |= entry->at == act->at;
		act->value_told |= entry->kind == FSW_EV_VALUE;
		act->share_told |= entry->kind == FSW_EV_NEAR;
		if (entry->kind == FSW_EV_VALUE)
		{
			/* one entry can have come by webhook and by import */
			if (entry->at != last_value)
				nvalues++;
			last_value = entry->at;
		}
		if (entry->kind == FSW_EV_VALUE || entry->kind == FSW_EV_NEAR)
		{
			if (entry->at > act->at)
				act->last_part = Max(act->last_part, entry->at);
			else if (entry->at < act->at)
			{
				act->first_part = Min(act->first_part, entry->at);
				nparts += entry->at != last_part;
				last_part = entry->at;
			}
		}
		if (entry->kind == FSW_EV_STATE && entry->at != act->at)
			nvalues = 2;
	}
	act->several |= nparts > 1 || nvalues > 1;
	if (nvalues > 1)
		doubt(act, FSW_REPORTED, FSW_CAUSE_CROWDED);
	if (act->first_entry == FSW_FOREVER)
		doubt(act, FSW_REPORTED, act->cause);
	/* the time of a draft, perhaps: live when it was read, at the latest */
	if (act->by_nobody && !act->exact)
		act->unsure_until = act->arrived;
}

/*
 * Where no entries come, an event that came late can be that of a later save,
 * which left the time as it was, unless it is the announcement of a deletion,
 * which tells nothing of a state before; one by nobody took effect before it was
 * read, and it is not known how long before.
 */
static void
weigh_alone(FswAct *act)
{
	if (act->by_nobody)
	{
		act->first_entry = Min(act->first_entry, fsw_after(act->at, -FSW_LATE_ALONE));
		act->unsure_until = Max(act->unsure_until, fsw_after(act->arrived, FSW_CLOCKS));
	}
	else if (act->before != FSW_NOT_TOLD && fsw_apart(act->arrived, act->at) > TASK_REACH)
		act->unsure_until = Max(act->unsure_until, act->arrived);
}

/* Does an entry tell that a value was saved between two instants? */
static bool
has_value(const FswScopeEvidence *scope, int64 from, int64 to)
{
	for (int i = entry_from(scope, from); i < scope->nentries && scope->entries[i]->at <= to; i++)
	{
		FSW_INTERRUPT();
		if (scope->entries[i]->kind == FSW_EV_VALUE)
			return true;
	}
	return false;
}

/*
 * Have states that bear one time another value, or of the environment default
 * more variants or less, and no entry tells that one was saved, added or removed
 * between their readings?
 */
static bool
is_untold_change(const FswFlag *flag, const FswScopeEvidence *scope, int first, int last)
{
	const FswEvidence *body = scope->bodies[first];
	const FswState *state = &flag->states[Max(body->state, 0)];
	int64		from = fsw_after(body->arrived, -TASK_USUAL);
	int64		to = fsw_after(scope->bodies[last - 1]->arrived, FSW_CLOCKS);
	bool		value = false;
	bool		variants = false;
	int			option;

	for (int i = first + 1; i < last; i++)
	{
		const FswEvidence *other = scope->bodies[i];

		FSW_INTERRUPT();
		if (body->state < 0 || other->state < 0)
			continue;
		value |= flag->states[other->state].value != state->value;
		variants |= flag->states[other->state].nvariants != state->nvariants;
	}
	option = fsw_timeline_first(flag->options, flag->noptions, from);
	return (value && !has_value(scope, Min(from, fsw_after(body->at, -FSW_SAME_ACT)), to)) ||
		(variants && body->scope == 0 && (option == flag->noptions || flag->options[option] > to));
}

/* The act that bodies[first .. last) of one time tell of. */
static FswAct
act_of_bodies(const FswFlag *flag, const FswScopeEvidence *scope, int first, int last)
{
	FswEvidence *body = scope->bodies[first];
	FswAct		act = fsw_act_at(body->at);
	bool		torn = false;
	bool		imported = false;
	bool		sure;

	act.arrived = body->arrived;
	act.confidence = FSW_CONFIRMED;
	act.cause = FSW_CAUSE_EVENT;
	act.told = true;
	act.by_nobody = true;
	for (int i = first; i < last; i++)
	{
		FSW_INTERRUPT();
		act.arrived = Min(act.arrived, scope->bodies[i]->arrived);
		torn = torn || scope->bodies[i]->state != body->state;
		imported = imported || scope->bodies[i]->kind == FSW_EV_IMPORT;
		act.by_nobody = act.by_nobody && scope->bodies[i]->by_nobody;
	}

	body = scope->bodies[last - 1];
	if (torn)
	{
		body = choose_body(scope, first, last, &sure);
		act.confidence = sure && flag->latest_audit_at != FSW_NEVER ? FSW_REPORTED : FSW_INFERRED;
		if (is_untold_change(flag, scope, first, last))
			act.confidence = FSW_INFERRED;
		act.cause = FSW_CAUSE_TORN;
		act.several = true;
	}
	act.state = body->state;
	act.before = body->before;
	act.read = torn ? body->arrived : act.arrived;
	act.evidence = body - flag->evidence;
	if (imported)
		act.cause = FSW_CAUSE_IMPORT;
	else
		weigh_entries(&act, scope);
	if (body->replaced)
		doubt(&act, FSW_INFERRED, FSW_CAUSE_CONTRADICTED);
	/* a draft that got its place by what it knows: it was read late, perhaps */
	if (act.by_nobody && !act.exact && body->guessed && flag->latest_audit_at != FSW_NEVER)
		act.first_entry = Min(act.first_entry, fsw_after(act.at, -FSW_LATE_ALONE));
	act.event = imported || act.cause == FSW_CAUSE_EVENT;
	if (!imported && !flag->versioned && flag->latest_audit_at == FSW_NEVER)
		weigh_alone(&act);
	return act;
}

/* Does a body tell what the audit entry says has changed? */
static bool
entry_is_reported(const FswScopeEvidence *scope, const FswEvidence *entry)
{
	int			low = 0;
	int			high = scope->nbodies;

	while (low < high)
	{
		int			middle = low + (high - low) / 2;

		if (scope->bodies[middle]->at < entry->at)
			low = middle + 1;
		else
			high = middle;
	}
	if (entry->kind == FSW_EV_STATE)
		return low < scope->nbodies && scope->bodies[low]->at == entry->at;
	return (low < scope->nbodies && fsw_apart(scope->bodies[low]->at, entry->at) <= FSW_SAME_ACT) ||
		(low > 0 && fsw_apart(entry->at, scope->bodies[low - 1]->at) <= FSW_SAME_ACT);
}

/* The act that an audit entry alone tells of; false if an event explains it. */
static bool
act_of_entry(const FswFlag *flag, const FswScopeEvidence *scope, const FswEvidence *entry, FswAct *act)
{
	*act = fsw_act_at(entry->at);
	act->first_entry = entry->at;
	act->evidence = entry - flag->evidence;
	if (entry->kind == FSW_EV_REMOVAL || entry->kind == FSW_EV_STATE_DELETED)
	{
		act->state = FSW_NOT_LIVE;
		act->told = true;
		/* an override equal to the default can be made without a word */
		act->confidence = FSW_REPORTED;
		act->cause = entry->kind == FSW_EV_REMOVAL ?
			FSW_CAUSE_OVERRIDE_REMOVED : FSW_CAUSE_STATE_DELETED;
		return true;
	}
	if (entry->kind != FSW_EV_DOUBT && entry_is_reported(scope, entry))
		return false;
	act->state = FSW_NOT_TOLD;
	act->about_part = entry->kind == FSW_EV_VALUE || entry->kind == FSW_EV_NEAR;
	act->cause = FSW_CAUSE_UNTOLD_CHANGE;
	return true;
}

static int
compare_acts(const void *a, const void *b)
{
	const FswAct *x = a;
	const FswAct *y = b;

	FSW_INTERRUPT();
	if (x->at != y->at)
		return x->at < y->at ? -1 : 1;
	if (x->told != y->told)
		return x->told ? -1 : 1;
	/* a body of the instant of a removal is what was there before it */
	if ((x->state == FSW_NOT_LIVE) != (y->state == FSW_NOT_LIVE))
		return x->state == FSW_NOT_LIVE ? 1 : -1;
	return x->evidence < y->evidence ? -1 : x->evidence > y->evidence;
}

/* Was it read after an instant, or perhaps so, as clocks differ? */
static void
doubt_read(FswAct *act, int64 at)
{
	if (act->arrived > at)
		doubt(act, FSW_INFERRED, FSW_CAUSE_TORN);
	else if (fsw_after(act->arrived, FSW_CLOCKS) > at)
		doubt(act, FSW_REPORTED, FSW_CAUSE_TORN);
}

/*
 * From which instant on can a reading of an act have what the next one saved?
 * FSW_FOREVER if it has not.  The later acts follow it in their array.
 *
 * If both have the same, what two events agree on says nothing of the time before
 * an entry between them.  Where the next one was saved in several steps, or was
 * itself read in the middle of a later one, what the first has of it need not be
 * what is told of it; but what the one before had and no entry says was saved is
 * from neither.
 */
static int64
can_have_next_from(const FswState *states, const FswAct *previous, const FswAct *act, int nlater)
{
	const FswAct *next = act + 1;
	bool		same = previous != NULL && previous->told && previous->state >= 0 &&
		states[previous->state].rest == states[act->state].rest && !act->value_told && !act->share_told;

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
		 ((next->several || next->mixed || next > act + 1) && !same) ||
		 (fsw_apart(act->arrived, next->first_part) <= FSW_CLOCKS && fsw_apart(act->arrived, act->at) > TASK_USUAL)))
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
		fsw_apart(act->at, previous->at) < TASK_REACH &&
		(previous->arrived > act->at ? act->last_part != FSW_NEVER :
		 act->value_told && previous->arrived < act->first_entry) &&
		states[previous->state].rest == states[act->state].rest)
		doubt(act, FSW_REPORTED, FSW_CAUSE_TORN);

	/* or it has the next one's already */
	doubt_read(act, can_have_next_from(states, previous, act, nlater));

	/*
	 * The time is a draft's, and no entry says when it took effect; or it is
	 * that of an act before, which changed nothing, and the state was read in
	 * the middle of a later one.  So it was, however soon it came, if it is
	 * another one than before.  The entry of the later one may be missing, too.
	 */
	late = fsw_apart(act->arrived, act->at) > TASK_REACH;
	if (late && !act->exact && !act->value_told && !act->share_told && act->cause != FSW_CAUSE_IMPORT &&
		act->before != FSW_NOT_TOLD && flag->latest_audit_at != FSW_NEVER)
		act->unsure_until = Max(act->unsure_until, act->arrived);
	other = previous != NULL && previous->told && previous->state >= 0 && previous->state != act->state;
	if (!act->exact && !act->value_told && !act->share_told && act->cause != FSW_CAUSE_IMPORT &&
		((late && act->by_nobody && act->first_entry == FSW_FOREVER) ||
		 ((late || other) && next != NULL && flag->latest_audit_at > act->at &&
		  fsw_after(act->arrived, FSW_CLOCKS) >= next->first_entry)))
		doubt(act, FSW_INFERRED, FSW_CAUSE_CONTRADICTED);
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

	for (int i = entry_from(scope, from);
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
	if (was->enabled != is->enabled && (act->value_told || act->share_told) && !act->exact && !act->by_nobody)
		act->unsure_until = Max(act->unsure_until, act->read);

	/*
	 * Where the value was saved, the one before it is that of the last save; if
	 * both have the same, the first was read when that had been saved.
	 */
	if (act->value_told && act->before >= 0 && flag->states[act->before].value != was->value &&
		flag->states[act->before].value != is->value && !flag->states[act->before].no_value)
	{
		if (was->value == is->value && previous->arrived >= act->first_entry)
			doubt(previous, FSW_INFERRED, FSW_CAUSE_TORN);
		doubt(previous, FSW_REPORTED, FSW_CAUSE_CONTRADICTED);
		/* its own is that of a later save, and what it says was there before is what it saved */
		if (has_value(scope, fsw_after(act->at, FSW_SAME_ACT), act->arrived))
			doubt(act, FSW_INFERRED, FSW_CAUSE_TORN);
	}
	shares = has_other_shares(flag, scope, previous, act) ||
		(was->nvariants == is->nvariants && was->shares != is->shares && !act->share_told &&
		 !has_option(flag, previous, act));
	if (!shares && (was->value == is->value || act->value_told))
		return;
	/* what it says the value was before its last save is what it is: an earlier act saved that */
	doubt(previous, was->value != is->value && act->before >= 0 && flag->states[act->before].value == is->value &&
		  !is->no_value ? FSW_INFERRED : FSW_REPORTED, FSW_CAUSE_CONTRADICTED);
	act->first_entry = Min(act->first_entry, fsw_after(act->at, flag->latest_audit_at == FSW_NEVER ? -FSW_TASK_DELAY : -FSW_SAME_ACT));
	act->share_missing = shares;
	if (shares)
		act->unsure_until = Max(act->unsure_until, fsw_after(act->at, FSW_SAME_ACT));
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
		(act->share_told && is->nvariants > 0 && was->nvariants == is->nvariants && was->shares == is->shares);
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

	if (!shown->told && fsw_apart(act->at, shown->at) <= TASK_REACH && is_unsaved(states, act))
		doubt(act, FSW_REPORTED, FSW_CAUSE_TORN);
	while (shown > acts && !shown->told && !shown->share_told)
		shown--;
	if (!act->told || act->cause == FSW_CAUSE_IMPORT || act->state < 0 || !act->share_told ||
		!shown->told || shown->state < 0 || shown->evidence < 0 || states[shown->state].nvariants == 0 ||
		states[shown->state].nvariants != states[act->state].nvariants || states[shown->state].shares != states[act->state].shares)
		return;
	doubt(shown->arrived >= act->first_entry ? shown : act, FSW_REPORTED, FSW_CAUSE_TORN);
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
	doubt(previous, FSW_INFERRED, FSW_CAUSE_VARIANTS);
	act->unsure_until = Max(act->unsure_until, act->read);
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
		doubt(&acts[index], FSW_INFERRED, FSW_CAUSE_TORN);
}

/* Compare each act with its neighbours. */
static void
weigh_acts(const FswFlag *flag, const FswScopeEvidence *scope, FswScopeKind kind, FswAct *acts, int nacts)
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
			weigh_shares(states, acts, i);
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
				doubt(act, FSW_INFERRED, FSW_CAUSE_CONTRADICTED);
			continue;
		}
		if (act->evidence >= 0)
			weigh_reading(flag, act, i > 0 ? &acts[i - 1] : NULL, nacts - i - 1);
		if (act->cause == FSW_CAUSE_IMPORT)
			weigh_import(acts, nacts, i);

		/* An import says that something else was live by then. */
		if (next_told && next->cause == FSW_CAUSE_IMPORT && next->state != act->state &&
			!is_other_by_options(flag, kind, act, next))
			doubt(act, FSW_INFERRED, FSW_CAUSE_CONTRADICTED);

		/*
		 * Of the previous state, only enabled is to be trusted here, and
		 * whether there was one: an override without is a new one, so the one
		 * before it was removed without a word.
		 */
		if (next_told && next->before != FSW_NOT_TOLD &&
			(next->before < 0 ? kind != FSW_SCOPE_DEFAULT :
			 states[next->before].enabled != states[act->state].enabled))
			doubt(act, FSW_INFERRED, FSW_CAUSE_CONTRADICTED);
	}
	if (kind == FSW_SCOPE_DEFAULT && flag->last_edit_unclear && nacts > 0)
		doubt(&acts[nacts - 1], FSW_INFERRED, FSW_CAUSE_CONTRADICTED);
}

/*
 * Entries between two acts that are no part of the first one are of the next
 * one, or of one between that nothing tells.
 */
static void
claim_entries(const FswScopeEvidence *scope, FswAct *acts, int nacts)
{
	for (int i = 0; i + 1 < nacts; i++)
	{
		FswAct	   *next = &acts[i + 1];
		int64		from = fsw_after(Max(acts[i].at, acts[i].last_part), 1);

		for (int j = entry_from(scope, from); j < scope->nentries && scope->entries[j]->at < next->first_entry &&
			 scope->entries[j]->at < next->at; j++)
		{
			FswEvidenceKind kind = scope->entries[j]->kind;

			FSW_INTERRUPT();
			if (kind == FSW_EV_STATE || kind == FSW_EV_VALUE || kind == FSW_EV_NEAR)
				next->first_entry = scope->entries[j]->at;
		}
	}
}

/* All acts of a scope, in order. */
FswAct *
fsw_acts_of(const FswFlag *flag, int index, const FswScopeEvidence *evidence, int *nacts)
{
	FswAct	   *acts = palloc_array(FswAct, evidence->nbodies + evidence->nentries + 1);
	int			n = 0;

	for (int i = 0; i < evidence->nbodies;)
	{
		int			j = i + 1;

		FSW_INTERRUPT();
		while (j < evidence->nbodies && evidence->bodies[j]->at == evidence->bodies[i]->at)
			j++;
		acts[n++] = act_of_bodies(flag, evidence, i, j);
		i = j;
	}
	for (int i = 0; i < evidence->nentries; i++)
	{
		FSW_INTERRUPT();
		if (act_of_entry(flag, evidence, evidence->entries[i], &acts[n]))
			n++;
	}
	qsort(acts, n, sizeof(FswAct), compare_acts);
	n = fsw_start_add(flag, index, acts, n);
	claim_entries(evidence, acts, n);
	weigh_acts(flag, evidence, flag->scopes[index].kind, acts, n);
	*nacts = n;
	return acts;
}
