/*-------------------------------------------------------------------------
 *
 * src/answer/override.c
 *	  Which of several overrides a user was given, and how sure that is.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"

#include "src/answer/override.h"
#include "src/base/array.h"
#include "src/base/fsw.h"

/* An override that a question is about, and what it was then. */
typedef struct Candidate
{
	const FswPeriod *period;
	int			rank;			/* identities before segments */
	int64		priority;
	int64		told;			/* when the priority was, */
	int64		shown;			/* and when what tells it arrived */
} Candidate;

static int
compare_candidates(const void *a, const void *b)
{
	const Candidate *x = a;
	const Candidate *y = b;

	if (x->rank != y->rank)
		return x->rank < y->rank ? -1 : 1;
	if (x->priority != y->priority)
		return x->priority < y->priority ? -1 : 1;
	/* a new override takes the place of the one that had it */
	if (x->told != y->told)
		return x->told > y->told ? -1 : 1;
	return x->period->scope < y->period->scope ? -1 : x->period->scope > y->period->scope;
}

/*
 * Is it the identity asked about?  The argument is its identifier, and its key
 * only where nobody bears that as identifier, as far as events of the source and
 * entries of the flag tell.
 */
static bool
is_asked_identity(const FswHistory *history, const FswShownScope *shown, const FswAsked *asked)
{
	if (shown->identity_identifier != NULL && strcmp(shown->identity_identifier, asked->identity) == 0)
		return true;
	for (int i = 0; i < asked->nidentities; i++)
	{
		const char *key = strchr(asked->identities[i], ':') + 1;

		if (strcmp(shown->identity, key) == 0 &&
			strncmp(shown->identity_kind, asked->identities[i], key - 1 - asked->identities[i]) == 0)
			return true;
	}
	return asked->nidentities == 0 && !history->named && strcmp(shown->identity, asked->identity) == 0;
}

/* Of two identities that bore one identifier, is the first the younger? */
bool
fsw_is_younger(const FswShownScope *a, const FswShownScope *b)
{
	if (strlen(a->identity) != strlen(b->identity))
		return strlen(a->identity) > strlen(b->identity);
	return strcmp(a->identity, b->identity) > 0;
}

/* Is the scope one of the identity or of the segments asked about? */
static bool
is_asked(const FswHistory *history, int scope, const FswAsked *asked)
{
	const FswShownScope *shown = &history->shown_scopes[scope];

	if (history->flag.scopes[scope].kind == FSW_SCOPE_IDENTITY)
		return asked->identity != NULL && is_asked_identity(history, shown, asked);
	return fsw_is_about_segment(asked, shown->segment_id);
}

/*
 * The priority of an override at an instant, and when it was told: by what told
 * its state, or where that came only later, by what came last before.
 */
static void
tell_priority(const FswHistory *history, int64 at, Candidate *candidate)
{
	const FswPeriod *period = candidate->period;
	const FswShownRow *row = fsw_history_row(history, period);
	int			i = period->evidence;

	candidate->told = i < 0 ? FSW_NEVER : history->flag.evidence[i].at;
	candidate->shown = i < 0 ? FSW_NEVER : history->flag.evidence[i].arrived;
	for (; i >= 0 && candidate->told > at; i--)
	{
		const FswEvidence *piece = &history->flag.evidence[i];

		CHECK_FOR_INTERRUPTS();
		if (piece->scope != period->scope || piece->at > at || piece->row < 0 ||
			(piece->kind != FSW_EV_BODY && piece->kind != FSW_EV_IMPORT) ||
			!history->shown_rows[piece->row].has_priority)
			continue;
		candidate->told = piece->at;
		candidate->shown = piece->arrived;
		row = &history->shown_rows[piece->row];
	}
	candidate->priority = row != NULL && row->has_priority ? row->priority : PG_INT64_MAX;
}

/* Were the overrides of states that are saved one by one put in another order within (after, at]? */
static bool
is_moved(const FswFlag *flag, int64 after, int64 at)
{
	for (int i = 0; i < flag->nmoves; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (flag->moves[i] > after && flag->moves[i] <= at)
			return true;
	}
	return false;
}

/* Was an override put before others, or were they moved, within (after, at]? */
static bool
is_reordered(const FswHistory *history, int64 after, int64 at, int64 priority)
{
	const FswFlag *flag = &history->flag;
	const FswTimeline *timeline = history->timeline;
	int			first = fsw_timeline_first(timeline->reorders, timeline->nreorders, fsw_after(after, 1));

	if (first < timeline->nreorders && timeline->reorders[first] <= at)
		return true;
	for (int i = 0; i < flag->nevidence; i++)
	{
		const FswEvidence *piece = &flag->evidence[i];

		CHECK_FOR_INTERRUPTS();
		if (piece->kind == FSW_EV_BODY && flag->scopes[piece->scope].kind == FSW_SCOPE_SEGMENT &&
			piece->before == FSW_NOT_LIVE && piece->at > after && piece->at <= at &&
			piece->row >= 0 && history->shown_rows[piece->row].has_priority &&
			history->shown_rows[piece->row].priority <= priority)
			return true;
	}
	return false;
}

/*
 * Was the priority of one override changed across that of another, since this
 * was told, up to an instant?  Then the other one moved without a word.
 */
static bool
has_passed(const FswHistory *history, const Candidate *one, const Candidate *other, int64 at)
{
	int64		least = PG_INT64_MAX;
	int64		most = PG_INT64_MIN;

	for (int i = 0; i < history->flag.nevidence; i++)
	{
		const FswEvidence *piece = &history->flag.evidence[i];
		int64		priority;

		CHECK_FOR_INTERRUPTS();
		if (piece->kind != FSW_EV_BODY || piece->scope != one->period->scope || piece->at > at ||
			piece->row < 0 || !history->shown_rows[piece->row].has_priority)
			continue;
		priority = history->shown_rows[piece->row].priority;
		/* of those before, the last counts, and a new one begins anew */
		if (piece->at <= other->told || piece->before == FSW_NOT_LIVE)
			least = most = priority;
		least = Min(least, priority);
		most = Max(most, priority);
	}
	return least < most && other->priority >= least && other->priority <= most;
}

/*
 * How sure is it which of several segment overrides wins?  An entry may say
 * that they were put in another order, but not in which.  With versions, a
 * new override moves those behind it without a word, which leaves those told
 * of together in their order, and so does a version that changes nothing but
 * the order, or the priority of one that was there.
 */
static FswConfidence
confidence_of_order(const FswHistory *history, const Candidate *candidates, int n, int64 at)
{
	int			nlive = 0;
	const Candidate *best = NULL;
	bool		passed = false;
	bool		equal = false;
	int64		earliest = FSW_FOREVER;
	int64		latest = FSW_NEVER;
	int64		shown = FSW_NEVER;
	int64		priority = 0;

	for (int i = 0; i < n; i++)
	{
		if (candidates[i].rank == 0 || candidates[i].period->state < 0)
			continue;
		/* the candidates are in the order of their priorities */
		equal |= nlive++ > 0 && candidates[i].priority == priority && priority != PG_INT64_MAX;
		if (best == NULL)
			best = &candidates[i];
		else if (history->flag.versioned && !passed)
			passed = has_passed(history, best, &candidates[i], at) || has_passed(history, &candidates[i], best, at);
		earliest = Min(earliest, candidates[i].told);
		latest = Max(latest, candidates[i].told);
		shown = Max(shown, candidates[i].shown);
		priority = Max(priority, candidates[i].priority);
	}
	/* an event that was read after they were put in another order has the priority since then */
	if (nlive >= 2 && is_moved(&history->flag, earliest, Max(at, fsw_after(shown, FSW_CLOCKS))))
		return FSW_INFERRED;
	/* saved one by one no two have one: the removal of another, of which no entry came, moved one of them */
	if (nlive < 2 || !history->flag.versioned)
		return equal ? FSW_INFERRED : FSW_CONFIRMED;
	/* those that a list alone tells of have none */
	if (priority == PG_INT64_MAX || passed)
		return FSW_INFERRED;
	if (is_reordered(history, earliest == latest ? at : earliest, at, priority) ||
		(history->timeline->nreorders > 0 &&
		 fsw_timeline_first(history->timeline->reorders, history->timeline->nreorders, fsw_after(latest, 1)) <
		 fsw_timeline_first(history->timeline->reorders, history->timeline->nreorders, fsw_after(at, 1))))
		return FSW_INFERRED;
	return FSW_CONFIRMED;
}

/*
 * How sure is it that no override was there of which nothing told?
 */
static FswConfidence
absence_at(const FswHistory *history, int64 at)
{
	if (!history->flag.versioned)
		return history->flag.absence;
	return Min(history->flag.absence, fsw_timeline_absence(history->timeline, at));
}

/*
 * How sure is it that an identity had no override of which nothing told?  One
 * that a page of states told by its key alone can be its own.
 */
static FswConfidence
stranger_at(const FswHistory *history, int64 at)
{
	return history->nameless != FSW_FOREVER && history->nameless <= at ? FSW_INFERRED : FSW_REPORTED;
}

/*
 * The overrides asked about that are known at an instant, best first.  Returns
 * whether each of those asked about is known.
 */
static bool
find_candidates(const FswHistory *history, const FswAsked *asked, int64 at, Candidate *candidates, int *n)
{
	int			nwanted = asked->nsegments + (asked->identity != NULL ? 1 : 0);
	int			identity = -1;

	*n = 0;
	for (int scope = 1; scope < history->flag.nscopes; scope++)
	{
		const FswPeriod *override;
		Candidate  *candidate = &candidates[*n];

		CHECK_FOR_INTERRUPTS();
		if (!is_asked(history, scope, asked))
			continue;
		override = fsw_timeline_at(history->timeline, scope, at);
		if (override == NULL)
			continue;
		if (history->flag.scopes[scope].kind == FSW_SCOPE_IDENTITY)
		{
			if (identity >= 0)
			{
				if (!fsw_is_younger(&history->shown_scopes[scope],
								&history->shown_scopes[candidates[identity].period->scope]))
					continue;
				candidate = &candidates[identity];
			}
			else
				identity = (*n)++;
			candidate->rank = 0;
		}
		else
		{
			candidate->rank = 1;
			(*n)++;
		}
		candidate->period = override;
		tell_priority(history, at, candidate);
		/* one that is absent had to be looked at before any other */
		if (override->state < 0)
			candidate->priority = -1;
	}
	nwanted -= *n;
	qsort(candidates, *n, sizeof(Candidate), compare_candidates);
	return nwanted <= 0;
}

/*
 * The period that counts of those asked about: an override's, else that of the
 * default.  No answer is surer than what had to be looked at before; nor than
 * that an override nobody told is not there.
 */
const FswPeriod *
fsw_choose_override(const FswHistory *history, const FswAsked *asked, int64 at, const FswPeriod *otherwise,
					FswConfidence *lowest)
{
	Candidate  *candidates = palloc_array(Candidate, history->flag.nscopes);
	int			n;
	bool		all = find_candidates(history, asked, at, candidates, &n);

	for (int i = 0; i < n; i++)
	{
		/* that of the identity needs no other */
		if (!all && candidates[i].rank > 0)
			*lowest = Min(*lowest, absence_at(history, at));
		*lowest = Min(*lowest, candidates[i].period->confidence);
		if (candidates[i].period->state >= 0)
		{
			if (candidates[i].rank > 0 && asked->identity != NULL && candidates[0].rank > 0)
				*lowest = Min(*lowest, stranger_at(history, at));
			if (candidates[i].rank > 0)
				*lowest = Min(*lowest, confidence_of_order(history, candidates, n, at));
			return candidates[i].period;
		}
	}
	if (!all)
		*lowest = Min(*lowest, absence_at(history, at));
	if (asked->identity != NULL && (n == 0 || candidates[0].rank > 0))
		*lowest = Min(*lowest, stranger_at(history, at));
	return otherwise;
}
