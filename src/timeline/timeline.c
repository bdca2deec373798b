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
 * The scopes that Flagsmith saves one by one, everything in environments
 * without feature versioning and identity overrides, are built by act.c and
 * period.c.  What is published in versions is built by version.c.
 *
 * No rule looks further than the neighbouring acts of a scope.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/timeline/act.h"
#include "src/timeline/model.h"

/* How long around the first FLAG_DELETED the feature may have gone. */
#define DELETION_SPREAD		INT64CONST(5000000)

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

/* Append the periods of a scope. */
void
fsw_timeline_append(FswTimeline *timeline, const FswTimeline *more)
{
	for (int i = 0; i < more->nperiods; i++)
	{
		const FswPeriod *period = &more->periods[i];

		FSW_INTERRUPT();
		fsw_timeline_add(timeline, period->scope, period->from, period->to, period->state,
						 period->confidence, period->cause, period->evidence);
	}
}

/* Nothing of it is kept: of many overrides, the memory of each is that of the next. */
void
fsw_timeline_free(FswTimeline *timeline)
{
	if (timeline->periods != NULL)
		pfree(timeline->periods);
	pfree(timeline);
}

/* Take the periods from index first on out, to put them back one by one. */
FswPeriod *
fsw_timeline_take(FswTimeline *timeline, int first, int *n)
{
	FswPeriod  *taken = palloc_array(FswPeriod, timeline->nperiods - first + 1);

	*n = timeline->nperiods - first;
	if (*n > 0)
		memcpy(taken, timeline->periods + first, *n * sizeof(FswPeriod));
	timeline->nperiods = first;
	return taken;
}

/* Put a period back, within [from, to) as changed says; NULL: as it was. */
void
fsw_timeline_put(FswTimeline *timeline, const FswPeriod *period, int64 from, int64 to,
				 const FswPeriod *changed)
{
	int64		a = Max(from, period->from);
	int64		b = Min(to, period->to);

	if (changed == NULL || a >= b)
		a = b = period->to;
	fsw_timeline_add(timeline, period->scope, period->from, a, period->state,
					 period->confidence, period->cause, period->evidence);
	if (changed != NULL)
		fsw_timeline_add(timeline, changed->scope, a, b, changed->state,
						 changed->confidence, changed->cause, changed->evidence);
	fsw_timeline_add(timeline, period->scope, b, period->to, period->state,
					 period->confidence, period->cause, period->evidence);
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

	old = fsw_timeline_take(timeline, first, &last);
	for (int i = 0; i < last; i++)
	{
		FswPeriod	lowered = old[i];

		FSW_INTERRUPT();
		lowered.confidence = at_most;
		lowered.cause = cause;
		fsw_timeline_put(timeline, &old[i], from, to, old[i].confidence > at_most ? &lowered : NULL);
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

/*
 * The same of what cannot live after that instant at all: where it would begin
 * only then, there is no period of it.
 */
void
fsw_timeline_end(FswTimeline *timeline, int first, int scope, int64 at,
				 FswConfidence confidence, FswCause cause)
{
	if (timeline->nperiods > first && timeline->periods[first].from >= at)
		timeline->nperiods = first;
	else
		fsw_timeline_cut(timeline, first, scope, at, confidence, cause);
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

/*
 * How sure is it that no segment had an override of which nothing told?  One
 * that is equal to the environment default comes without a word, unless the
 * lists of versions show all.
 */
FswConfidence
fsw_timeline_absence(const FswTimeline *timeline, int64 at)
{
	const FswPeriod *period;

	if (timeline->others == NULL)
		return FSW_REPORTED;
	period = fsw_timeline_at(timeline->others, 0, at);
	return period == NULL ? FSW_REPORTED : period->confidence;
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

/*
 * The timeline of a scope up to an instant, as far as states were saved one by
 * one before it: what happened after it changes nothing.
 */
FswTimeline *
fsw_timeline_before(FswFlag *flag, int scope, int64 until)
{
	FswTimeline *timeline = palloc0_object(FswTimeline);
	FswScopeEvidence evidence = {0};
	FswPeriod  *last;

	evidence.bodies = palloc_array(FswEvidence *, flag->nevidence);
	evidence.entries = palloc_array(FswEvidence *, flag->nevidence);
	for (int i = 0; i < flag->nevidence && flag->evidence[i].at < until; i++)
	{
		FswEvidence *piece = &flag->evidence[i];

		FSW_INTERRUPT();
		if (piece->scope != scope)
			continue;
		if (piece->kind == FSW_EV_BODY || piece->kind == FSW_EV_IMPORT)
			evidence.bodies[evidence.nbodies++] = piece;
		else if (piece->kind >= FSW_EV_STATE && piece->kind <= FSW_EV_STATE_DELETED)
			evidence.entries[evidence.nentries++] = piece;
	}
	fsw_scope_build(flag, scope, &evidence, timeline);
	while (timeline->nperiods > 0 && timeline->periods[timeline->nperiods - 1].from >= until)
		timeline->nperiods--;
	if (timeline->nperiods > 0)
	{
		last = &timeline->periods[timeline->nperiods - 1];
		last->to = Min(last->to, until);
	}
	pfree(evidence.bodies);
	pfree(evidence.entries);
	return timeline;
}

/* The feature or the environment is gone: from one exact instant, or from about then. */
static void
end_scope(const FswFlag *flag, FswTimeline *timeline, int first, int scope)
{
	bool		environment = flag->deleted_with == FSW_CAUSE_ENVIRONMENT_DELETED;
	int64		before = flag->latest_audit_at == FSW_NEVER ? FSW_LATE_ALONE : DELETION_SPREAD;

	if (flag->deleted_at == FSW_FOREVER)
		return;
	fsw_timeline_end(timeline, first, scope, flag->deleted_at,
					 flag->deleted_exactly && !environment ? FSW_CONFIRMED : FSW_REPORTED,
					 flag->deleted_with);
	if (!flag->deleted_exactly)
		fsw_timeline_lower(timeline, first, fsw_after(flag->deleted_at, -before),
						   fsw_after(flag->deleted_at, DELETION_SPREAD), FSW_INFERRED,
						   FSW_CAUSE_DELETING);
}

/* By time, arrival and content, never by the order of insertion. */
static int
compare_evidence(const void *a, const void *b, void *argument)
{
	const FswEvidence *x = a;
	const FswEvidence *y = b;
	const FswFlag *flag = argument;

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
	/* the same but for the delivery */
	if (flag->order != NULL && x->row != y->row && x->row >= 0 && y->row >= 0)
		return flag->order(flag, x->row, y->row);
	return x->row < y->row ? -1 : x->row > y->row;
}

/* Did an event of the same time tell the state, too? */
static bool
is_known_edit(const FswFlag *flag, int index)
{
	const FswEvidence *deletion = &flag->evidence[index];
	int			i = index;

	while (i > 0 && flag->evidence[i - 1].at == deletion->at)
	{
		FSW_INTERRUPT();
		i--;
	}
	for (; i < flag->nevidence && flag->evidence[i].at == deletion->at; i++)
	{
		FSW_INTERRUPT();
		if (flag->evidence[i].kind == FSW_EV_BODY && flag->evidence[i].scope == 0 &&
			flag->evidence[i].state == deletion->before)
			return true;
	}
	return false;
}

/*
 * Is the last that was told of the environment default an import, which is later
 * than all edits that the deletion told of, and the same as one of them?
 */
static bool
is_read_after_edits(const FswFlag *flag)
{
	const FswEvidence *last = NULL;
	bool		same = false;

	for (int i = flag->nevidence - 1; i >= 0; i--)
	{
		const FswEvidence *piece = &flag->evidence[i];

		FSW_INTERRUPT();
		if (piece->scope != 0)
			continue;
		if (piece->kind == FSW_EV_DELETED && piece->before >= 0)
		{
			if (last == NULL)
				return false;
			same |= piece->before == last->state;
		}
		else if (last == NULL && (piece->kind == FSW_EV_BODY || piece->kind == FSW_EV_IMPORT))
			last = piece;
	}
	return same && last->kind == FSW_EV_IMPORT;
}

/*
 * The announcements of a deletion tell the last edit of the environment
 * default, and the edits of drafts that never were live.  A single one is an
 * event of that edit; of several, which is which can only be told by an event
 * that came before.
 */
static void
take_deletions(FswFlag *flag)
{
	int			last = -1;
	bool		several = false;
	bool		known = false;

	for (int i = 0; i < flag->nevidence; i++)
	{
		FswEvidence *piece = &flag->evidence[i];

		FSW_INTERRUPT();
		if (piece->kind != FSW_EV_DELETED || piece->scope != 0 || piece->before < 0)
			continue;
		several = several || (last >= 0 && (flag->evidence[last].at != piece->at ||
											flag->evidence[last].before != piece->before));
		last = i;
		known = known || is_known_edit(flag, i);
	}
	flag->last_edit_unclear = several && !known && !is_read_after_edits(flag);
	if (last < 0 || several || known)
		return;
	flag->evidence[last].kind = FSW_EV_BODY;
	flag->evidence[last].state = flag->evidence[last].before;
	flag->evidence[last].before = FSW_NOT_TOLD;
}

/* Hand each piece of evidence to its scope, or only count them. */
static void
deal_evidence(FswFlag *flag, FswScopeEvidence *scopes, bool only_count)
{
	flag->noptions = 0;
	flag->nremoved = 0;
	for (int i = 0; i < flag->nevidence; i++)
	{
		FswEvidence *piece = &flag->evidence[i];
		FswScopeEvidence *scope = &scopes[piece->scope];

		FSW_INTERRUPT();
		switch (piece->kind)
		{
			case FSW_EV_BODY:
			case FSW_EV_IMPORT:
				if (!only_count)
					scope->bodies[scope->nbodies] = piece;
				scope->nbodies++;
				break;
			case FSW_EV_STATE:
			case FSW_EV_VALUE:
			case FSW_EV_NEAR:
			case FSW_EV_DOUBT:
			case FSW_EV_REMOVAL:
			case FSW_EV_STATE_DELETED:
			case FSW_EV_REQUEST:
				if (!only_count)
					scope->entries[scope->nentries] = piece;
				scope->nentries++;
				break;
			case FSW_EV_OPTION:
				if (!only_count)
				{
					flag->options[flag->noptions] = piece->at;
					flag->option_steps[flag->noptions] = piece->step;
					if (piece->step <= 0)
						flag->removed[flag->nremoved] = piece->at;
				}
				flag->noptions++;
				flag->nremoved += piece->step <= 0;
				break;
			case FSW_EV_DELETED:
			case FSW_EV_VERSION:
			case FSW_EV_LIST:
				break;
		}
	}
}

/* The evidence of each scope. */
static FswScopeEvidence *
sort_by_scope(FswFlag *flag)
{
	FswScopeEvidence *scopes = palloc0_array(FswScopeEvidence, flag->nscopes);

	deal_evidence(flag, scopes, true);
	flag->options = palloc_array(int64, flag->noptions);
	flag->option_steps = palloc_array(int, flag->noptions);
	flag->removed = palloc_array(int64, flag->nremoved);
	for (int i = 0; i < flag->nscopes; i++)
	{
		scopes[i].bodies = palloc_array(FswEvidence *, scopes[i].nbodies);
		scopes[i].entries = palloc_array(FswEvidence *, scopes[i].nentries);
		scopes[i].nbodies = 0;
		scopes[i].nentries = 0;
	}
	deal_evidence(flag, scopes, false);
	return scopes;
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
	FswScopeEvidence *scopes;
	bool		imports;

	qsort_arg(flag->evidence, flag->nevidence, sizeof(FswEvidence), compare_evidence, flag);
	fsw_clock_set(flag);
	if (flag->early)
		qsort_arg(flag->evidence, flag->nevidence, sizeof(FswEvidence), compare_evidence, flag);
	imports = fsw_imports_set(flag);
	fsw_requests_place(flag);
	qsort_arg(flag->evidence, flag->nevidence, sizeof(FswEvidence), compare_evidence, flag);
	if (!flag->versioned)
		take_deletions(flag);
	scopes = sort_by_scope(flag);
	if (flag->versioned)
	{
		versioned = palloc0_array(FswTimeline *, flag->nscopes);
		fsw_version_build(flag, timeline, versioned);
	}

	for (int i = 0; i < flag->nscopes; i++)
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
			fsw_timeline_free(versioned[i]);
		}
		else if (!flag->scopes[i].unasked)
			fsw_scope_build(flag, i, &scopes[i], timeline);
		if (!flag->scopes[i].unasked)
			end_scope(flag, timeline, first, i);
		pfree(scopes[i].bodies);
		pfree(scopes[i].entries);
	}
	pfree(scopes);
	fsw_guessed_lower(flag, timeline);
	if (imports && timeline->nperiods > 0)
		fsw_imports_lower(flag, timeline);
	return timeline;
}
