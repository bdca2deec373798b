/*-------------------------------------------------------------------------
 *
 * src/timeline/variant.c
 *	  Variants of which no event of the scope tells, but entries or a later
 *	  event do.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/timeline/model.h"

static int
compare_shares(const void *a, const void *b)
{
	const FswShare *x = a;
	const FswShare *y = b;

	FSW_INTERRUPT();
	return x->option < y->option ? -1 : x->option > y->option;
}

void
fsw_shares_sort(FswShare *shares, int n)
{
	qsort(shares, n, sizeof(FswShare), compare_shares);
}

/* How many variants that two states have in common have another percentage? */
int
fsw_shares_changed(const FswState *was, const FswState *is)
{
	int			n = 0;

	for (int i = 0, j = 0; i < was->nvariants && j < is->nvariants;)
	{
		FSW_INTERRUPT();
		if (was->each[i].option < is->each[j].option)
			i++;
		else if (was->each[i].option > is->each[j].option)
			j++;
		else
			n += was->each[i++].percentage != is->each[j++].percentage;
	}
	return n;
}

/* The percentage of an option in a state; NULL if it has none. */
static const uint64 *
share_of(const FswState *state, uint64 option)
{
	for (int i = 0; i < state->nvariants; i++)
	{
		FSW_INTERRUPT();
		if (state->each[i].option == option)
			return &state->each[i].percentage;
	}
	return NULL;
}

/*
 * Was a state read after another one that bears the same time?  Then what it has
 * otherwise was saved between the readings, and its previous state has of that what
 * the other one shows.
 */
bool
fsw_state_follows(const FswState *state, const FswState *before, const FswState *other)
{
	bool		follows = state->value != other->value;

	if (state->enabled != other->enabled || state->nvariants != other->nvariants ||
		(follows && (before->no_value || before->value != other->value)))
		return false;
	for (int i = 0; i < state->nvariants; i++)
	{
		const uint64 *share;

		if (state->each[i].option != other->each[i].option)
			return false;
		if (state->each[i].percentage == other->each[i].percentage)
			continue;
		share = share_of(before, state->each[i].option);
		if (share == NULL || *share != other->each[i].percentage)
			return false;
		follows = true;
	}
	return follows;
}

/* Is a period a guess because of the variants: of one state, or of any where that is NULL? */
bool
fsw_variants_is_guess(const FswPeriod *period, const FswToldState *guessed)
{
	return period->cause == FSW_CAUSE_VARIANTS && period->confidence == FSW_INFERRED &&
		(guessed == NULL || (period->state == guessed->state && period->evidence == guessed->evidence));
}

/*
 * What was such a guess in [from, to) was another state, and perhaps is none
 * after all: of the periods from index first on, those have it, so sure.  The
 * evidence stays where no other told it (-1).
 */
void
fsw_variants_tell(FswTimeline *timeline, int first, int64 from, int64 to, const FswToldState *guessed,
				  FswToldState told, FswConfidence confidence)
{
	int			n;
	FswPeriod  *old = fsw_timeline_take(timeline, first, &n);

	for (int i = 0; i < n; i++)
	{
		FswPeriod	period = old[i];

		FSW_INTERRUPT();
		period.state = told.state;
		period.confidence = confidence;
		period.evidence = told.evidence >= 0 ? told.evidence : period.evidence;
		fsw_timeline_put(timeline, &old[i], from, to, fsw_variants_is_guess(&old[i], guessed) ? &period : NULL);
	}
	pfree(old);
}

/* The entry is another than the one before: it can have come by webhook and by import. */
bool
fsw_variants_is_another(const FswFlag *flag, int option)
{
	return option == 0 || flag->options[option] != flag->options[option - 1];
}

/* How many variants do the first entries count? */
int
fsw_variants_count(const FswFlag *flag, int n)
{
	int			count = 0;

	for (int i = 0; i < n; i++)
	{
		FSW_INTERRUPT();
		if (fsw_variants_is_another(flag, i))
			count += flag->option_steps[i];
	}
	return count;
}

/*
 * Do entries tell of the creation, and since then of other variants than were read
 * of the environment default between two instants, where none tells of a change?
 */
bool
fsw_variants_miscounted(const FswFlag *flag, int64 read_from, int64 read_until, int nvariants)
{
	int			n = fsw_timeline_first(flag->options, flag->noptions, read_from);

	return flag->creation_told && !flag->start_untold && nvariants != fsw_variants_count(flag, n) &&
		(n == flag->noptions || flag->options[n] > read_until);
}

/*
 * Do the entries count as many variants as were read of a scope between two
 * instants, at any of these?  An override can have less.
 */
static bool
agrees(const FswFlag *flag, int scope, int64 read_from, int64 read_until, int nvariants)
{
	int			count = 0;
	bool		found = false;

	for (int i = 0; i <= flag->noptions; i++)
	{
		int64		from = i > 0 ? flag->options[i - 1] : FSW_NEVER;
		int64		to = i < flag->noptions ? flag->options[i] : FSW_FOREVER;

		FSW_INTERRUPT();
		if (to > read_from && from <= read_until)
			found = found || (scope == 0 ? count == nvariants : count >= nvariants);
		if (i < flag->noptions && fsw_variants_is_another(flag, i))
			count += flag->option_steps[i];
		if (count < 0)
			return false;
	}
	return found;
}

/*
 * Where all entries since the creation were told and count no variant, no
 * state of the feature has any: one that was read before has lost them, and
 * one that was read behind the next such entry has got them since it was saved.
 */
void
fsw_variants_tell_none(FswFlag *flag, FswTimeline *timeline, int first, int scope, int64 read_from,
					   int64 read_until, int state, int64 to)
{
	int			count = 0;

	if (flag->combine == NULL || !flag->creation_told ||
		!agrees(flag, scope, read_from, read_until, flag->states[state].nvariants))
		return;
	for (int i = 0; i <= flag->noptions; i++)
	{
		int64		from = i > 0 ? flag->options[i - 1] : FSW_NEVER;
		int64		until = i < flag->noptions ? flag->options[i] : FSW_FOREVER;

		FSW_INTERRUPT();
		/* from the save to the next entry, whatever was read later; else behind the reading */
		if (from > read_from)
			from = Max(from, read_until);
		until = Min(until, to);
		if (count == 0 && from < until && flag->noptions > 0)
			fsw_variants_tell(timeline, first, from, until, NULL,
							  (FswToldState) {flag->combine(flag, state, FSW_NOT_LIVE), -1}, FSW_REPORTED);
		if (i < flag->noptions && fsw_variants_is_another(flag, i))
			count += flag->option_steps[i];
	}
}
