/*-------------------------------------------------------------------------
 *
 * src/timeline/timeline.c
 *	  From evidence to a timeline: what was live when, and how sure we are.
 *
 * A flag event shows the state at some instant between its time and its
 * arrival; an audit entry tells the exact instant of an act, but not the new
 * state.  So the events say what, the entries say whether that is all: an
 * entry that no event explains makes what follows unknown, and an event is
 * confirmed where its act has an entry and no further act has.
 *
 * This file builds the scopes that Flagsmith saves one by one: everything in
 * environments without feature versioning, and identity overrides.  What is
 * published in versions is built by version.c.
 *
 * No rule looks further than the neighbouring acts of a scope.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/timeline/model.h"

/* A task that reads a state runs this long after the save that queued it. */
#define TASK_DELAY			INT64CONST(1000000)

/* Nothing is read for an act that is older than this. */
#define TASK_REACH			INT64CONST(15000000)

/* How long around the first FLAG_DELETED the feature may have gone. */
#define DELETION_SPREAD		INT64CONST(5000000)

/* What begins at an instant: a state told, a change untold, or a removal. */
typedef struct Act
{
	int64		at;
	int64		arrived;
	int			state;
	int			before;			/* FSW_NOT_TOLD where nothing says */
	FswConfidence confidence;
	FswCause	cause;
	int			evidence;
	bool		told;			/* a state or a removal, not a mere entry */
	int64		first_entry;	/* earliest of its audit entries */
	int64		first_value;	/* earliest entry of the value before it */
	bool		value_after;	/* an entry of the value after it */
	bool		about_value;	/* untold, and about the value */
} Act;

typedef struct ScopeEvidence
{
	int			nbodies;
	int			nentries;
	FswEvidence **bodies;
	FswEvidence **entries;
} ScopeEvidence;

void
fsw_timeline_add(FswTimeline *timeline, int scope, int64 from, int64 to,
				 int state, FswConfidence confidence, FswCause cause,
				 int evidence)
{
	FswPeriod  *period;

	if (from >= to)
		return;

	if (timeline->nperiods > 0)
	{
		period = &timeline->periods[timeline->nperiods - 1];
		if (period->scope == scope && period->to == from &&
			period->state == state && period->confidence == confidence &&
			period->cause == cause && period->evidence == evidence)
		{
			period->to = to;
			return;
		}
	}

	if (timeline->nperiods == timeline->maxperiods)
	{
		timeline->maxperiods = Max(32, timeline->maxperiods * 2);
		if (timeline->periods == NULL)
			timeline->periods = palloc_array(FswPeriod, timeline->maxperiods);
		else
			timeline->periods = repalloc_huge(timeline->periods,
											  timeline->maxperiods * sizeof(FswPeriod));
	}
	period = &timeline->periods[timeline->nperiods++];
	period->scope = scope;
	period->from = from;
	period->to = to;
	period->state = state;
	period->confidence = confidence;
	period->cause = cause;
	period->evidence = evidence;
}

/*
 * Within [from, to), nothing of the periods from index first on is surer than
 * at_most; what was surer gets the cause.
 */
void
fsw_timeline_lower(FswTimeline *timeline, int first, int64 from, int64 to,
				   FswConfidence at_most, FswCause cause)
{
	int			last = timeline->nperiods;
	int			nhit = 0;
	FswPeriod  *old;

	for (int i = first; i < last; i++)
	{
		FswPeriod  *period = &timeline->periods[i];

		FSW_INTERRUPT();
		if (period->confidence > at_most && period->from < to && period->to > from)
			nhit++;
	}
	if (nhit == 0)
		return;

	old = palloc_array(FswPeriod, last - first);
	memcpy(old, timeline->periods + first, (last - first) * sizeof(FswPeriod));
	timeline->nperiods = first;
	for (int i = 0; i < last - first; i++)
	{
		FswPeriod  *period = &old[i];
		int64		a = Max(from, period->from);
		int64		b = Min(to, period->to);

		FSW_INTERRUPT();
		if (period->confidence <= at_most || a >= b)
		{
			a = period->to;
			b = period->to;
		}
		fsw_timeline_add(timeline, period->scope, period->from, a, period->state,
						 period->confidence, period->cause, period->evidence);
		fsw_timeline_add(timeline, period->scope, a, b, period->state,
						 at_most, cause, period->evidence);
		fsw_timeline_add(timeline, period->scope, b, period->to, period->state,
						 period->confidence, period->cause, period->evidence);
	}
	pfree(old);
}

/* The scope, whose periods begin at index first, ends at an instant. */
void
fsw_timeline_cut(FswTimeline *timeline, int first, int scope, int64 at,
				 FswConfidence confidence, FswCause cause)
{
	if (timeline->nperiods == first || timeline->periods[first].from >= at)
		return;

	while (timeline->periods[timeline->nperiods - 1].from >= at)
		timeline->nperiods--;
	timeline->periods[timeline->nperiods - 1].to = at;
	fsw_timeline_add(timeline, scope, at, FSW_FOREVER, FSW_NOT_LIVE, confidence,
					 cause, -1);
}

/* The period of a scope that holds at an instant, NULL before the first. */
const FswPeriod *
fsw_timeline_at(const FswTimeline *timeline, int scope, int64 at)
{
	int			low = 0;
	int			high = timeline->nperiods;

	while (low < high)
	{
		int			middle = low + (high - low) / 2;
		const FswPeriod *period = &timeline->periods[middle];

		if (period->scope < scope || (period->scope == scope && period->from <= at))
			low = middle + 1;
		else
			high = middle;
	}
	if (low == 0)
		return NULL;
	if (timeline->periods[low - 1].scope != scope)
		return NULL;
	/* the last period has no end, not even infinity */
	if (at >= timeline->periods[low - 1].to && timeline->periods[low - 1].to != FSW_FOREVER)
		return NULL;
	return &timeline->periods[low - 1];
}

/* The first of some times that is not earlier than an instant. */
int
fsw_timeline_first(const int64 *times, int n, int64 at)
{
	int			low = 0;
	int			high = n;

	while (low < high)
	{
		int			middle = low + (high - low) / 2;

		if (times[middle] < at)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* The first entry of a scope that is not earlier than an instant. */
static int
entry_from(const ScopeEvidence *scope, int64 at)
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

/*
 * The act that bodies[first .. last) of one time tell of.
 *
 * Several states under one time are a torn read: a task read between the two
 * saves of a request.  What arrived before the next act began is right;
 * without such a body, the last reading is the most complete one.
 */
static Act
act_of_bodies(const FswFlag *flag, const ScopeEvidence *scope, int first, int last)
{
	FswEvidence *body = scope->bodies[first];
	Act			act = {0};
	bool		torn = false;
	bool		imported = false;
	int			nvalues = 0;
	int64		last_value = FSW_NEVER;
	int			i;

	act.at = body->at;
	act.arrived = body->arrived;
	act.confidence = FSW_CONFIRMED;
	act.cause = FSW_CAUSE_EVENT;
	act.told = true;
	act.first_entry = FSW_FOREVER;
	act.first_value = FSW_FOREVER;
	for (i = first; i < last; i++)
	{
		FSW_INTERRUPT();
		act.arrived = Min(act.arrived, scope->bodies[i]->arrived);
		if (scope->bodies[i]->state != body->state)
			torn = true;
		if (scope->bodies[i]->kind == FSW_EV_IMPORT)
			imported = true;
	}

	body = scope->bodies[last - 1];
	if (torn)
	{
		int			next = entry_from(scope, fsw_after(act.at, FSW_SAME_ACT + 1));
		int64		next_at = next < scope->nentries ? scope->entries[next]->at : FSW_NEVER;

		if (body->arrived > next_at)
		{
			for (i = last - 1; i >= first; i--)
			{
				if (scope->bodies[i]->arrived < next_at)
				{
					body = scope->bodies[i];
					break;
				}
			}
		}
		act.confidence = FSW_REPORTED;
		act.cause = FSW_CAUSE_TORN;
	}
	act.state = body->state;
	act.before = body->before;
	act.evidence = body - flag->evidence;

	if (imported)
	{
		act.cause = FSW_CAUSE_IMPORT;
		return act;
	}

	for (i = entry_from(scope, fsw_after(act.at, -FSW_SAME_ACT));
		 i < scope->nentries && scope->entries[i]->at <= fsw_after(act.at, FSW_SAME_ACT); i++)
	{
		FswEvidence *entry = scope->entries[i];

		FSW_INTERRUPT();
		if (entry->kind == FSW_EV_REMOVAL || entry->kind == FSW_EV_STATE_DELETED)
			continue;
		act.first_entry = Min(act.first_entry, entry->at);
		if (entry->kind == FSW_EV_VALUE)
		{
			/* one entry can have come by webhook and by import */
			if (entry->at != last_value)
				nvalues++;
			last_value = entry->at;
			if (entry->at > act.at)
				act.value_after = true;
			else if (entry->at < act.at)
				act.first_value = Min(act.first_value, entry->at);
		}
		if (entry->kind == FSW_EV_STATE && entry->at != act.at)
			nvalues = 2;
	}
	if (nvalues > 1 && act.confidence > FSW_REPORTED)
	{
		act.confidence = FSW_REPORTED;
		act.cause = FSW_CAUSE_CROWDED;
	}
	if (act.first_entry == FSW_FOREVER && act.confidence > FSW_REPORTED)
		act.confidence = FSW_REPORTED;
	return act;
}

/* Does a body tell what the audit entry says has changed? */
static bool
entry_is_reported(const ScopeEvidence *scope, const FswEvidence *entry)
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

static int
compare_acts(const void *a, const void *b)
{
	const Act  *x = a;
	const Act  *y = b;

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

static void
doubt(Act *act, FswConfidence at_most, FswCause cause)
{
	if (act->confidence > at_most)
	{
		act->confidence = at_most;
		act->cause = cause;
	}
}

/* Compare each act with its neighbours. */
static void
weigh_acts(const FswFlag *flag, FswScopeKind kind, Act *acts, int nacts)
{
	const FswState *states = flag->states;

	for (int i = 0; i < nacts; i++)
	{
		Act		   *act = &acts[i];
		Act		   *previous = i > 0 ? &acts[i - 1] : NULL;
		Act		   *next = i + 1 < nacts ? &acts[i + 1] : NULL;
		bool		next_told = next != NULL && next->told && next->state >= 0;

		FSW_INTERRUPT();
		if (!act->told)
			continue;
		if (act->state == FSW_NOT_LIVE)
		{
			/* created again without a word: the next event knows it */
			if (next_told && next->before >= 0)
				doubt(act, FSW_INFERRED, FSW_CAUSE_CONTRADICTED);
			continue;
		}

		/*
		 * Was it read in the middle of its own act?  Then the value is still
		 * the old one, although an entry says it changed.
		 */
		if (previous != NULL && previous->told && previous->state >= 0 &&
			act->value_after && fsw_apart(act->at, previous->at) < TASK_REACH &&
			previous->arrived > act->at &&
			states[previous->state].rest == states[act->state].rest)
			doubt(act, FSW_REPORTED, FSW_CAUSE_TORN);

		/* Or in the middle of the next one, whose value it has already? */
		if (next_told && next->first_value != FSW_FOREVER &&
			act->arrived > next->first_value &&
			states[next->state].rest == states[act->state].rest)
			doubt(act, FSW_REPORTED, FSW_CAUSE_TORN);
		if (next != NULL && !next->told && next->about_value && act->arrived > next->at)
			doubt(act, FSW_REPORTED, FSW_CAUSE_TORN);

		/* An import says that something else was live by then. */
		if (next_told && next->cause == FSW_CAUSE_IMPORT && next->state != act->state)
			doubt(act, FSW_INFERRED, FSW_CAUSE_CONTRADICTED);

		/*
		 * Of the previous state, only enabled is to be trusted here, and
		 * whether there was one: an override without is a new one, so the
		 * one before it was removed without a word.
		 */
		if (next_told && next->before != FSW_NOT_TOLD &&
			(next->before < 0 ? kind != FSW_SCOPE_DEFAULT :
			 states[next->before].enabled != states[act->state].enabled))
			doubt(act, FSW_INFERRED, FSW_CAUSE_CONTRADICTED);
	}
}

/*
 * Variants that were added or removed for the whole project change every
 * state of the feature, and no event says so: from there on, until the next
 * state is told, the variants are a guess.  An entry that only says that the
 * feature was updated may be all that is left of such an act.
 */
static void
doubt_variants(const int64 *times, int n, FswConfidence at_most, FswCause cause,
			   FswTimeline *timeline, int first, const Act *act, int64 to)
{
	for (int i = fsw_timeline_first(times, n, fsw_after(act->at, -FSW_SAME_ACT)); i < n && times[i] < to; i++)
	{
		FSW_INTERRUPT();
		/* made together with the feature, before the state was read */
		if (act->cause != FSW_CAUSE_DEFAULTS && times[i] <= fsw_after(act->at, TASK_DELAY) &&
			fsw_apart(act->arrived, act->at) >= TASK_DELAY)
			continue;
		fsw_timeline_lower(timeline, first, times[i], to, at_most, cause);
		return;
	}
}

static void
build_scope(FswFlag *flag, int index, const ScopeEvidence *evidence,
			FswTimeline *timeline)
{
	const FswScope *scope = &flag->scopes[index];
	Act		   *acts = palloc_array(Act, evidence->nbodies + evidence->nentries + 1);
	int			nacts = 0;
	int			first = timeline->nperiods;
	int			held = FSW_NOT_TOLD;
	int			held_by = -1;
	int			i;

	for (i = 0; i < evidence->nbodies;)
	{
		int			j = i + 1;

		FSW_INTERRUPT();
		while (j < evidence->nbodies && evidence->bodies[j]->at == evidence->bodies[i]->at)
			j++;
		acts[nacts++] = act_of_bodies(flag, evidence, i, j);
		i = j;
	}
	for (i = 0; i < evidence->nentries; i++)
	{
		FswEvidence *entry = evidence->entries[i];
		Act			act = {0};

		FSW_INTERRUPT();
		act.at = entry->at;
		act.arrived = entry->at;
		act.before = FSW_NOT_TOLD;
		act.first_entry = entry->at;
		act.first_value = FSW_FOREVER;
		act.evidence = entry - flag->evidence;
		if (entry->kind == FSW_EV_REMOVAL || entry->kind == FSW_EV_STATE_DELETED)
		{
			act.state = FSW_NOT_LIVE;
			act.told = true;
			act.confidence = entry->kind == FSW_EV_REMOVAL ? FSW_CONFIRMED : FSW_REPORTED;
			act.cause = entry->kind == FSW_EV_REMOVAL ?
				FSW_CAUSE_OVERRIDE_REMOVED : FSW_CAUSE_STATE_DELETED;
		}
		else if (entry_is_reported(evidence, entry))
			continue;
		else
		{
			act.state = FSW_NOT_TOLD;
			act.about_value = entry->kind == FSW_EV_VALUE;
			act.cause = FSW_CAUSE_UNTOLD_CHANGE;
		}
		acts[nacts++] = act;
	}
	qsort(acts, nacts, sizeof(Act), compare_acts);
	weigh_acts(flag, scope->kind, acts, nacts);

	/* What was there before the first act? */
	if (scope->born != FSW_NEVER)
	{
		Act			start = {0};

		start.at = scope->born;
		start.arrived = scope->born;
		start.before = FSW_NOT_TOLD;
		start.first_entry = FSW_FOREVER;
		start.first_value = FSW_FOREVER;
		start.evidence = -1;
		start.told = true;
		start.state = FSW_NOT_TOLD;
		start.cause = FSW_CAUSE_UNTOLD_START;
		if (scope->kind == FSW_SCOPE_DEFAULT)
		{
			/* the first event tells what it was created with */
			if (nacts == 0 || scope->born < fsw_after(acts[0].at, -2 * TASK_DELAY) ||
				(!acts[0].told && scope->born < acts[0].at))
			{
				if (flag->defaults >= 0)
				{
					start.state = flag->defaults;
					start.confidence = flag->defaults_complete ? FSW_REPORTED : FSW_INFERRED;
					start.cause = FSW_CAUSE_DEFAULTS;
				}
				memmove(acts + 1, acts, nacts * sizeof(Act));
				acts[0] = start;
				nacts++;
			}
		}
		else if (nacts > 0 && acts[0].told && acts[0].state >= 0 &&
				 acts[0].before >= 0 && scope->born < acts[0].at)
		{
			/* an override that the first event says was there already */
			start.state = FSW_NOT_LIVE;
			memmove(acts + 1, acts, nacts * sizeof(Act));
			acts[0] = start;
			nacts++;
		}
	}

	for (i = 0; i < nacts; i++)
	{
		const Act  *act = &acts[i];
		int64		to = i + 1 < nacts ? acts[i + 1].at : FSW_FOREVER;
		int			start = timeline->nperiods;
		int64		news = flag->news;

		FSW_INTERRUPT();
		if (act->told)
		{
			held = act->state;
			held_by = act->evidence;
		}
		if (act->at >= to)
			continue;

		/*
		 * An identity can vanish, with its overrides, without any event, and
		 * an override that is made equal to the environment default comes
		 * without one.
		 */
		if (scope->kind != FSW_SCOPE_DEFAULT && i + 1 == nacts &&
			(act->state < 0 || scope->kind == FSW_SCOPE_IDENTITY))
			news = FSW_NEVER;
		if (act->confidence == FSW_CONFIRMED)
		{
			int64		sure = Min(Max(news, act->at), to);

			fsw_timeline_add(timeline, index, act->at, sure, held, FSW_CONFIRMED,
							 act->cause, held_by);
			fsw_timeline_add(timeline, index, sure, to, held, FSW_REPORTED,
							 act->cause, held_by);
		}
		else
			fsw_timeline_add(timeline, index, act->at, to, held, act->confidence,
							 act->cause, held_by);

		/* while the next act is being saved */
		if (i + 1 < nacts && acts[i + 1].first_entry < to)
			fsw_timeline_lower(timeline, start, acts[i + 1].first_entry, to,
							   FSW_INFERRED, FSW_CAUSE_CROWDED);
		if (held >= 0)
		{
			doubt_variants(flag->options, flag->noptions, FSW_INFERRED, FSW_CAUSE_VARIANTS,
						   timeline, start, act, to);
			doubt_variants(flag->updates, flag->nupdates, FSW_REPORTED,
						   FSW_CAUSE_FEATURE_UPDATED, timeline, start, act, to);
		}
	}
	pfree(acts);

	if (scope->ended < flag->gone)
		fsw_timeline_cut(timeline, first, index, scope->ended, FSW_CONFIRMED,
						 FSW_CAUSE_SEGMENT_DELETED);
}

/* The feature is gone: from one exact instant, or from about then. */
static void
end_scope(const FswFlag *flag, FswTimeline *timeline, int first, int scope)
{
	if (flag->gone == FSW_FOREVER)
		return;
	fsw_timeline_cut(timeline, first, scope, flag->gone,
					 flag->gone_exactly ? FSW_CONFIRMED : FSW_REPORTED,
					 FSW_CAUSE_FEATURE_DELETED);
	if (!flag->gone_exactly)
		fsw_timeline_lower(timeline, first, fsw_after(flag->gone, -DELETION_SPREAD),
						   fsw_after(flag->gone, DELETION_SPREAD), FSW_INFERRED,
						   FSW_CAUSE_DELETING);
}

/* By time, arrival and content, never by the order of insertion. */
static int
compare_evidence(const void *a, const void *b)
{
	const FswEvidence *x = a;
	const FswEvidence *y = b;

	FSW_INTERRUPT();
	if (x->at != y->at)
		return x->at < y->at ? -1 : 1;
	if (x->arrived != y->arrived)
		return x->arrived < y->arrived ? -1 : 1;
	if (x->digest != y->digest)
		return x->digest < y->digest ? -1 : 1;
	if (x->kind != y->kind)
		return x->kind < y->kind ? -1 : 1;
	if (x->scope != y->scope)
		return x->scope < y->scope ? -1 : 1;
	/* the same but for the delivery: as they were read */
	return x->row < y->row ? -1 : x->row > y->row;
}

/*
 * Build the timelines of all scopes of a flag.  The evidence is sorted in
 * place; the periods refer to it by its new positions.
 */
FswTimeline *
fsw_timeline_build(FswFlag *flag)
{
	FswTimeline *timeline = palloc0_object(FswTimeline);
	FswTimeline **versioned = NULL;
	ScopeEvidence *scopes = palloc0_array(ScopeEvidence, flag->nscopes);
	int			i;

	qsort(flag->evidence, flag->nevidence, sizeof(FswEvidence), compare_evidence);

	for (int pass = 0; pass < 2; pass++)
	{
		flag->noptions = 0;
		flag->nupdates = 0;
		for (i = 0; i < flag->nevidence; i++)
		{
			FswEvidence *piece = &flag->evidence[i];
			ScopeEvidence *scope = &scopes[piece->scope];

			FSW_INTERRUPT();
			switch (piece->kind)
			{
				case FSW_EV_BODY:
				case FSW_EV_IMPORT:
					if (pass == 1)
						scope->bodies[scope->nbodies] = piece;
					scope->nbodies++;
					break;
				case FSW_EV_STATE:
				case FSW_EV_VALUE:
				case FSW_EV_NEAR:
				case FSW_EV_DOUBT:
				case FSW_EV_REMOVAL:
				case FSW_EV_STATE_DELETED:
					if (pass == 1)
						scope->entries[scope->nentries] = piece;
					scope->nentries++;
					break;
				case FSW_EV_OPTION:
					if (pass == 1)
						flag->options[flag->noptions] = piece->at;
					flag->noptions++;
					break;
				case FSW_EV_UPDATED:
					if (pass == 1)
						flag->updates[flag->nupdates] = piece->at;
					flag->nupdates++;
					break;
				case FSW_EV_DELETED:
				case FSW_EV_VERSION:
				case FSW_EV_LIST:
					break;
			}
		}
		if (pass == 0)
		{
			flag->options = palloc_array(int64, flag->noptions);
			flag->updates = palloc_array(int64, flag->nupdates);
		}
		for (i = 0; pass == 0 && i < flag->nscopes; i++)
		{
			scopes[i].bodies = palloc_array(FswEvidence *, scopes[i].nbodies);
			scopes[i].entries = palloc_array(FswEvidence *, scopes[i].nentries);
			scopes[i].nbodies = 0;
			scopes[i].nentries = 0;
		}
	}
	if (flag->versioned)
	{
		versioned = palloc0_array(FswTimeline *, flag->nscopes);
		fsw_version_build(flag, versioned);
	}

	for (i = 0; i < flag->nscopes; i++)
	{
		int			first = timeline->nperiods;

		FSW_INTERRUPT();
		if (versioned != NULL && versioned[i] != NULL)
		{
			for (int j = 0; j < versioned[i]->nperiods; j++)
			{
				FswPeriod  *period = &versioned[i]->periods[j];

				FSW_INTERRUPT();
				fsw_timeline_add(timeline, i, period->from, period->to, period->state,
								 period->confidence, period->cause, period->evidence);
			}
		}
		else
			build_scope(flag, i, &scopes[i], timeline);
		end_scope(flag, timeline, first, i);
		pfree(scopes[i].bodies);
		pfree(scopes[i].entries);
	}
	pfree(scopes);
	fsw_guessed_lower(flag, timeline);
	return timeline;
}
