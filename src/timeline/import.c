/*-------------------------------------------------------------------------
 *
 * src/timeline/import.c
 *	  What an imported state does not tell by itself.
 *
 * The page of a project's features has no variants of any state, and an import
 * has the time at which its page was asked for, by another clock than that of
 * the sender.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/timeline/model.h"

/* The page of the states themselves is fetched so long after that of the features. */
#define SAME_IMPORT		INT64CONST(10000000)

/* How many pieces before or behind are looked at. */
#define LOOK			256

/* Does a piece tell the variants of a scope? */
static bool
tells_variants(const FswEvidence *piece, int scope)
{
	return (piece->kind == FSW_EV_BODY || piece->kind == FSW_EV_IMPORT) && piece->scope == scope &&
		piece->state >= 0 && !piece->variants_untold;
}

/* Is the rest of the import, with the same state but for variants, a little behind? */
static bool
take_rest(FswFlag *flag, FswEvidence *import)
{
	const FswEvidence *end = flag->evidence + flag->nevidence;
	const FswState *state = &flag->states[import->state];

	for (const FswEvidence *piece = import + 1;
		 piece < end && piece <= import + LOOK && fsw_apart(piece->at, import->at) <= SAME_IMPORT; piece++)
	{
		FSW_INTERRUPT();
		if (!tells_variants(piece, import->scope))
			continue;
		if (piece->kind != FSW_EV_IMPORT || !fsw_same_but_variants(&flag->states[piece->state], state))
			return false;
		import->state = piece->state;
		return true;
	}
	return false;
}

/* Take the variants that were told last. */
static bool
take_last(FswFlag *flag, FswEvidence *import)
{
	for (const FswEvidence *piece = import - 1; piece >= flag->evidence && piece >= import - LOOK; piece--)
	{
		FSW_INTERRUPT();
		if (!tells_variants(piece, import->scope))
			continue;
		if (flag->combine == NULL || flag->states[piece->state].nvariants == 0)
			return false;
		import->state = flag->combine(flag, import->state, piece->state);
		return true;
	}
	return false;
}

/*
 * fsw_imports_set() - complete imported states, of evidence in order of time.
 * Returns whether there are any that fsw_imports_lower() has to look at.
 */
bool
fsw_imports_set(FswFlag *flag)
{
	bool		any = false;

	for (int i = 0; i < flag->nevidence; i++)
	{
		FswEvidence *piece = &flag->evidence[i];

		FSW_INTERRUPT();
		if (piece->kind != FSW_EV_IMPORT)
			continue;
		if (piece->variants_untold && piece->state >= 0 && take_rest(flag, piece))
			piece->variants_untold = false;
		else if (piece->variants_untold && piece->state >= 0)
		{
			/* near an instant, the rest or what was told last may not be read */
			flag->early = true;
			piece->variants_untold = !take_last(flag, piece);
		}
		any |= piece->variants_untold || piece->at < flag->created_at;
	}
	return any;
}

/*
 * What rests on an import whose variants nobody told is a guess in these, and
 * what was imported before it was made was made by then: clocks differ.
 */
void
fsw_imports_lower(const FswFlag *flag, FswTimeline *timeline)
{
	int			n;
	FswPeriod  *old = fsw_timeline_take(timeline, 0, &n);

	for (int i = 0; i < n; i++)
	{
		const FswPeriod *period = &old[i];
		const FswEvidence *import = period->evidence >= 0 && flag->evidence[period->evidence].kind == FSW_EV_IMPORT ?
			&flag->evidence[period->evidence] : NULL;
		FswPeriod	guess = *period;

		FSW_INTERRUPT();
		guess.confidence = FSW_INFERRED;
		guess.cause = import != NULL && import->variants_untold ? FSW_CAUSE_VARIANTS : FSW_CAUSE_TORN;
		fsw_timeline_put(timeline, period, FSW_NEVER, import != NULL && import->variants_untold ? FSW_FOREVER : flag->created_at,
						 import != NULL && period->confidence > FSW_INFERRED ? &guess : NULL);
	}
	pfree(old);
}
