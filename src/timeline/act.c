/*-------------------------------------------------------------------------
 *
 * src/timeline/act.c
 *	  What happened to a scope that is saved by itself, act by act.
 *
 * The flag events of one time and the audit entries around it are one act;
 * an entry that no event explains is one, too.  Each is weighed by itself here,
 * and by its neighbours in act_weigh.c.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/timeline/act.h"

/* The first entry of a scope that is not earlier than an instant. */
int
fsw_act_entry_from(const FswScopeEvidence *scope, int64 at)
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

/* An act is no surer than this, for that reason. */
void
fsw_act_doubt(FswAct *act, FswConfidence at_most, FswCause cause)
{
	if (act->confidence > at_most)
	{
		act->confidence = at_most;
		act->cause = cause;
	}
}

/* Does a body's previous state say that it was read after another one of its time? */
static bool
is_later(const FswState *states, const FswEvidence *body, const FswEvidence *other)
{
	return body->state >= 0 && body->before >= 0 && other->state >= 0 &&
		fsw_state_follows(&states[body->state], &states[body->before], &states[other->state]);
}

/*
 * Of bodies[first .. last), the one that tells the state after the act.
 *
 * Several states under one time are a torn read: a task read between the two
 * saves of a request.  What arrived before the next act began is right, and of
 * that the last reading the most complete one.  Clocks differ: what arrived
 * about then may be the next act's as well.  Nor is the last to arrive the last
 * reading where another came soon before it, unless one says that it follows
 * the other, and not each of them, as of a save that was undone.  *sure is
 * whether neither is so.
 */
static FswEvidence *
choose_body(const FswState *states, const FswScopeEvidence *scope, int first, int last, bool *sure)
{
	FswEvidence *body = scope->bodies[last - 1];
	int			next = fsw_act_entry_from(scope, fsw_after(body->at, FSW_SAME_ACT + 1));
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
		for (int j = i - 1; j >= first; j--)
		{
			if (fsw_apart(scope->bodies[i]->arrived, scope->bodies[j]->arrived) <= FSW_OVERTAKEN &&
				is_later(states, scope->bodies[j], body) && !is_later(states, body, scope->bodies[j]))
				body = scope->bodies[j];
		}
		for (int j = i; j >= first && *sure; j--)
			*sure = scope->bodies[j]->state == body->state || is_later(states, body, scope->bodies[j]) ||
				fsw_apart(body->arrived, scope->bodies[j]->arrived) > FSW_OVERTAKEN;
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

/*
 * How sure an act is by its own entries.  A change request takes effect at once, and
 * has one: what says that a value or a percentage was saved is about another act.
 */
static void
weigh_entries(FswAct *act, const FswScopeEvidence *scope, bool requested)
{
	int			nvalues = 0;
	int			nparts = 0;		/* saved before its time */
	int64		last_value = FSW_NEVER;
	int64		last_part = FSW_NEVER;
	int64		last_share = FSW_NEVER;

	for (int i = fsw_act_entry_from(scope, fsw_after(act->at, -FSW_SAME_ACT));
		 i < scope->nentries && scope->entries[i]->at <= fsw_after(act->at, FSW_SAME_ACT); i++)
	{
		FswEvidence *entry = scope->entries[i];

		FSW_INTERRUPT();
		if (entry->kind == FSW_EV_REMOVAL || entry->kind == FSW_EV_STATE_DELETED ||
			entry->kind == FSW_EV_DOUBT || (requested && entry->kind != FSW_EV_STATE))
			continue;
		act->first_entry = Min(act->first_entry, entry->at);
		act->exact |= entry->at == act->at;
		act->switched |= entry->at == act->at && entry->kind == FSW_EV_STATE;
		act->value_told |= entry->kind == FSW_EV_VALUE;
		if (entry->kind == FSW_EV_VALUE)
		{
			/* one entry can have come by webhook and by import */
			if (entry->at != last_value)
				nvalues++;
			last_value = entry->at;
		}
		if (entry->kind == FSW_EV_NEAR)
		{
			act->nshares += entry->at != last_share;
			last_share = entry->at;
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
		fsw_act_doubt(act, FSW_REPORTED, FSW_CAUSE_CROWDED);
	if (act->first_entry == FSW_FOREVER)
		fsw_act_doubt(act, FSW_REPORTED, act->cause);
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
	else if (act->before != FSW_NOT_TOLD && fsw_apart(act->arrived, act->at) > FSW_TASK_REACH)
		act->unsure_until = Max(act->unsure_until, act->arrived);
}

/* Does an entry tell that a value was saved between two instants? */
bool
fsw_act_has_value(const FswScopeEvidence *scope, int64 from, int64 to)
{
	for (int i = fsw_act_entry_from(scope, from); i < scope->nentries && scope->entries[i]->at <= to; i++)
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
	int64		from = fsw_after(body->arrived, -FSW_TASK_USUAL);
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
	return (value && !fsw_act_has_value(scope, Min(from, fsw_after(body->at, -FSW_SAME_ACT)), to)) ||
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
		body = choose_body(flag->states, scope, first, last, &sure);
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
		weigh_entries(&act, scope, body->requested);
	if (body->replaced)
		fsw_act_doubt(&act, FSW_INFERRED, FSW_CAUSE_CONTRADICTED);
	/* a draft that got its place by what it knows: it was read late, perhaps */
	if (act.by_nobody && !act.exact && body->guessed && flag->latest_audit_at != FSW_NEVER)
		act.first_entry = Min(act.first_entry, fsw_after(act.at, -FSW_LATE_ALONE));
	act.event = imported || act.cause == FSW_CAUSE_EVENT;
	if (!imported && !flag->versioned && flag->latest_audit_at == FSW_NEVER)
		weigh_alone(&act);
	return act;
}

/* Does a body tell what the audit entry says has changed?  That of a change request has no other entry than its own. */
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
	for (int i = low; i < scope->nbodies && fsw_apart(scope->bodies[i]->at, entry->at) <= FSW_SAME_ACT; i++)
	{
		FSW_INTERRUPT();
		if (!scope->bodies[i]->requested)
			return true;
	}
	for (int i = low - 1; i >= 0 && fsw_apart(entry->at, scope->bodies[i]->at) <= FSW_SAME_ACT; i--)
	{
		FSW_INTERRUPT();
		if (!scope->bodies[i]->requested)
			return true;
	}
	return false;
}

/*
 * The act that an audit entry alone tells of; false if an event explains it, or it
 * is about the removal of a flag that bore the name before this one.
 */
static bool
act_of_entry(const FswFlag *flag, const FswScopeEvidence *scope, const FswEvidence *entry, FswAct *act)
{
	*act = fsw_act_at(entry->at);
	act->first_entry = entry->at;
	act->evidence = entry - flag->evidence;
	if (entry->kind == FSW_EV_REMOVAL || entry->kind == FSW_EV_STATE_DELETED)
	{
		if (entry->at < flag->created_at && (scope->nbodies == 0 || scope->bodies[0]->at > entry->at))
			return false;
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

		for (int j = fsw_act_entry_from(scope, from); j < scope->nentries && scope->entries[j]->at < next->first_entry &&
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
	fsw_acts_weigh(flag, evidence, flag->scopes[index].kind, acts, n);
	*nacts = n;
	return acts;
}
