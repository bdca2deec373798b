/*-------------------------------------------------------------------------
 *
 * src/timeline/seen.c
 *	  Variants that other environments show.
 *
 * An entry that a variant was added or removed is about the feature, and says
 * neither which nor its percentage.  What any environment shows between two such
 * entries, all have; and what was added has the same percentage in all
 * environment defaults until somebody saves it there.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/timeline/model.h"

/* A state that was read, and which entries it may have seen. */
typedef struct Held
{
	int			scope;
	int			state;
	int			begin;			/* behind the last one that it has, at the
								 * least, */
	int			end;			/* and at the most */
} Held;

static const FswShare *
find_share(const FswState *state, uint64 option)
{
	for (int i = 0; i < state->nvariants; i++)
	{
		FSW_INTERRUPT();
		if (state->each[i].option == option)
			return &state->each[i];
	}
	return NULL;
}

/* How many variants has a state that another one lacks? */
static int
count_more(const FswState *state, const FswState *other)
{
	int			n = 0;

	for (int i = 0; i < state->nvariants; i++)
		n += find_share(other, state->each[i].option) == NULL;
	return n;
}

static bool
is_same_variants(const FswState *a, const FswState *b)
{
	return a->nvariants == b->nvariants && count_more(a, b) == 0;
}

/*
 * Do the entries from one to another tell of what differs, and of nothing
 * else but what came and went meanwhile?  Else one of them is missing.
 */
static bool
is_explained(const FswFlag *flag, const Held *held, int from, int to, const FswState *seen)
{
	const FswState *state = &flag->states[held->state];
	int			added = -count_more(seen, state);
	int			removed = -count_more(state, seen);

	for (int i = from; i < to; i++)
	{
		FSW_INTERRUPT();
		if (!fsw_variants_is_another(flag, i))
			continue;
		added += flag->option_steps[i] > 0;
		removed += flag->option_steps[i] < 0;
	}
	/* an override has only what was given to it */
	return removed >= 0 && (held->scope > 0 || added == removed);
}

static bool
fits(const FswFlag *flag, const Held *held, int stretch, const FswState *seen)
{
	for (int i = held->begin; i <= Min(held->end, stretch); i++)
	{
		if (is_explained(flag, held, i, stretch, seen))
			return true;
	}
	return false;
}

/* The percentage that a variant was added with, where a reading tells it. */
static const FswShare *
share_as_added(const FswFlag *flag, const Held *held, const FswSeen *seen, uint64 option)
{
	const FswShare *before;

	/* what is made as a copy has percentages that somebody saved */
	if (seen->before < 0 || held->begin == flag->noptions || seen->heard > flag->options[held->begin])
		return NULL;
	before = find_share(&flag->states[seen->before], option);
	if (seen->versioned)
		return before;
	return before == NULL ? find_share(&flag->states[seen->state], option) : NULL;
}

/* Does a reading tell them of all that a state has and another one lacks? */
static bool
tells_added(const FswFlag *flag, const Held *held, const FswSeen *seen, const FswState *variants)
{
	const FswState *state = &flag->states[held->state];

	for (int i = 0; i < variants->nvariants; i++)
	{
		if (find_share(state, variants->each[i].option) == NULL &&
			share_as_added(flag, held, seen, variants->each[i].option) == NULL)
			return false;
	}
	return true;
}

/* Do two readings tell the same of them, as far as both tell anything? */
static bool
is_same_added(const FswFlag *flag, const Held *held, const FswSeen *a, const FswSeen *b, const FswState *variants)
{
	const FswState *state = &flag->states[held->state];

	for (int i = 0; i < variants->nvariants; i++)
	{
		uint64		option = variants->each[i].option;
		const FswShare *x = share_as_added(flag, held, a, option);
		const FswShare *y = share_as_added(flag, held, b, option);

		if (find_share(state, option) == NULL && x != NULL && y != NULL && x->percentage != y->percentage)
			return false;
	}
	return true;
}

/*
 * The variants that all have in a stretch between two entries, as the first of
 * the readings shows them; NULL if that is not known, not all that was read
 * agrees, or an entry is missing.
 */
static const FswState *
variants_in(const FswFlag *flag, const Held *held, int stretch, const FswSeen *seen, int n)
{
	const FswState *variants = n > 0 ? &flag->states[seen[0].state] : NULL;

	if (variants == NULL || !fits(flag, held, stretch, variants))
		return NULL;
	for (int i = 1; i < n; i++)
	{
		FSW_INTERRUPT();
		if (!is_same_variants(variants, &flag->states[seen[i].state]))
			return NULL;
	}
	return variants;
}

/* What became of the state by then, with these; FSW_NOT_TOLD where not all percentages are known. */
static int
state_with(FswFlag *flag, const Held *held, const FswState *variants, const FswSeen *seen, int n)
{
	const FswSeen *added = NULL;

	if (held->scope > 0)
		return flag->adopt(flag, held->state, seen[0].state, FSW_NOT_LIVE);
	for (int i = 0; i < n && added == NULL; i++)
	{
		if (tells_added(flag, held, &seen[i], variants))
			added = &seen[i];
	}
	if (added == NULL)
		return FSW_NOT_TOLD;
	for (int i = 0; i < n; i++)
	{
		if (!is_same_added(flag, held, added, &seen[i], variants))
			return FSW_NOT_TOLD;
	}
	return flag->adopt(flag, held->state, seen[0].state, added->versioned ? added->before : added->state);
}

/* Is the state that was read a guess because of the variants in some part of [from, to), or the later one? */
static bool
has_guess(const FswTimeline *timeline, int first, int64 from, int64 to, const FswReading *reading)
{
	for (int i = first; i < timeline->nperiods; i++)
	{
		const FswPeriod *period = &timeline->periods[i];

		FSW_INTERRUPT();
		if (period->from < to && period->to > from &&
			(fsw_variants_is_guess(period, &reading->held) || fsw_variants_is_guess(period, &reading->later)))
			return true;
	}
	return false;
}

/* What the guesses in a stretch were; the state that became of the one that was read. */
static void
tell_stretch(FswFlag *flag, FswTimeline *timeline, int first, const FswReading *reading, Held *held, int stretch, int64 to)
{
	int64		from = flag->options[stretch - 1];
	const FswSeen *seen;
	/* of entries after its end none is read */
	int			n = flag->see(flag, from, Min(to, flag->deleted_at), &seen);
	const FswState *variants = variants_in(flag, held, stretch, seen, n);
	int			told = FSW_NOT_TOLD;

	if (variants != NULL && reading->later.state >= 0 && is_same_variants(variants, &flag->states[reading->later.state]))
		fsw_variants_tell(timeline, first, from, to, &reading->later, reading->later, FSW_REPORTED);
	if (variants != NULL)
		told = state_with(flag, held, variants, seen, n);
	if (told >= 0)
	{
		/* what comes after it is told from there, or guessed */
		held->state = told;
		held->begin = held->end = stretch;
	}
	/* what was read only within it does not say what was before that */
	if (held->state != reading->held.state || told >= 0)
		fsw_variants_tell(timeline, first, Max(from, reading->until), to, &reading->held,
						  (FswToldState) {held->state, -1}, told >= 0 ? FSW_REPORTED : FSW_INFERRED);
}

/*
 * fsw_seen_tell() - what became of a state that was read, and what of another
 * that a later event says was there before it: of the periods from index first
 * on, those in which it is a guess because of the variants.  Of what is before
 * the first entry after the reading nothing is told: where that is a guess, an
 * entry is missing, or it is not known which ones it has seen.
 */
void
fsw_seen_tell(FswFlag *flag, FswTimeline *timeline, int first, const FswReading *reading)
{
	Held		held = {.state = reading->held.state};

	if (flag->see == NULL || first == timeline->nperiods)
		return;
	held.scope = timeline->periods[first].scope;
	held.begin = fsw_timeline_first(flag->options, flag->noptions, fsw_after(reading->from, 1));
	held.end = fsw_timeline_first(flag->options, flag->noptions, fsw_after(reading->until, 1));
	for (int i = held.begin + 1; i <= flag->noptions; i++)
	{
		int64		from = flag->options[i - 1];
		int64		to = i < flag->noptions ? flag->options[i] : FSW_FOREVER;

		FSW_INTERRUPT();
		if (from >= timeline->periods[timeline->nperiods - 1].to)
			return;
		if (from < to && has_guess(timeline, first, from, to, reading))
			tell_stretch(flag, timeline, first, reading, &held, i, to);
	}
}

/* Is the state of a period perhaps told so? */
bool
fsw_seen_is_told(const FswPeriod *period)
{
	return period->cause == FSW_CAUSE_VARIANTS && period->confidence == FSW_REPORTED;
}
