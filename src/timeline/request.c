/*-------------------------------------------------------------------------
 *
 * src/timeline/request.c
 *	  When the drafts of change requests and schedules took effect.
 *
 * What is saved state by state, and not published in versions.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/timeline/act.h"

/* What arrives so long after its time may be a draft, whatever happened at that time. */
#define DRAFT_DELAY			INT64CONST(3000000)

/* So many that wait at once are put in order by what each of them follows. */
#define CHAIN				64

/* Is an entry nearer to an event with another time than to this one?  The evidence is in order of time. */
static bool
is_of_other(const FswFlag *flag, const FswEvidence *entry, const FswEvidence *body)
{
	const FswEvidence *end = flag->evidence + flag->nevidence;
	int64		apart = fsw_between(entry->at, body->at);

	for (int step = -1; step <= 1; step += 2)
	{
		for (const FswEvidence *piece = entry + step;
			 piece >= flag->evidence && piece < end && fsw_between(piece->at, entry->at) < apart; piece += step)
		{
			FSW_INTERRUPT();
			if (piece->kind == FSW_EV_BODY && piece->scope == body->scope)
				return true;
		}
	}
	return false;
}

/*
 * Does an event bear the time of a draft?  It names nobody, and no entry tells that
 * its state, its value or a percentage was saved then, unless it arrived so much
 * later that this says nothing.
 */
static bool
is_draft(const FswFlag *flag, const FswEvidence *body)
{
	if (body->kind != FSW_EV_BODY || !body->by_nobody)
		return false;
	if (fsw_apart(body->arrived, body->at) > DRAFT_DELAY)
		return true;
	for (int step = -1; step <= 1; step += 2)
	{
		for (const FswEvidence *piece = body + step;
			 piece >= flag->evidence && piece < flag->evidence + flag->nevidence && fsw_between(piece->at, body->at) <= FSW_SAME_ACT;
			 piece += step)
		{
			FSW_INTERRUPT();
			if (piece->scope == body->scope && !is_of_other(flag, piece, body) &&
				(piece->kind == FSW_EV_STATE || piece->kind == FSW_EV_VALUE || piece->kind == FSW_EV_NEAR))
				return false;
		}
	}
	return true;
}

/* The first of each draft to arrive, in order of time; and the entries that one took effect. */
static FswEvidence **
gather_requests(FswFlag *flag, FswEvidenceKind kind, int *n)
{
	FswEvidence **pieces = palloc_array(FswEvidence *, flag->nevidence);

	*n = 0;
	for (int i = 0; i < flag->nevidence; i++)
	{
		FswEvidence *piece = &flag->evidence[i];
		bool		again = false;

		FSW_INTERRUPT();
		if (kind == FSW_EV_BODY ? !is_draft(flag, piece) : piece->kind != kind)
			continue;
		/* evidence is in order of time, and of arrival where that is the same */
		for (int j = *n - 1; j >= 0 && pieces[j]->at == piece->at && !again; j--)
			again = pieces[j]->scope == piece->scope;
		if (!again)
			pieces[(*n)++] = piece;
	}
	return pieces;
}

/* Did a draft's event arrive after an entry, and so perhaps because of it? */
static bool
came_after(const FswEvidence *draft, const FswEvidence *entry)
{
	return draft != NULL && fsw_after(draft->arrived, FSW_CLOCKS) >= entry->at;
}

/* Can this draft have taken effect at this entry? */
static bool
can_be_of(const FswEvidence *draft, const FswEvidence *entry)
{
	return came_after(draft, entry) && draft->scope == entry->scope && draft->at < entry->at;
}

/* Take the first to arrive of the drafts left that can be of an entry; NULL if none can. */
static FswEvidence *
take_draft(const FswEvidence *entry, FswEvidence **drafts, int ndrafts)
{
	FswEvidence *taken;
	int			best = -1;

	for (int i = 0; i < ndrafts; i++)
	{
		FSW_INTERRUPT();
		if (can_be_of(drafts[i], entry) && (best < 0 || drafts[i]->arrived < drafts[best]->arrived))
			best = i;
	}
	if (best < 0)
		return NULL;
	taken = drafts[best];
	drafts[best] = NULL;
	return taken;
}

/* Does a draft say that what another one brought was there before it, but for variants that came or went? */
static bool
knows(const FswFlag *flag, const FswEvidence *draft, const FswEvidence *other)
{
	const FswState *was;
	const FswState *is;

	if (draft->before < 0 || other->state < 0)
		return false;
	was = &flag->states[draft->before];
	is = &flag->states[other->state];
	return fsw_same_but_variants(was, is) && (was->nvariants != is->nvariants || was->shares == is->shares);
}

/* Does a draft know another one, and not the other way round? */
static bool
follows(const FswFlag *flag, const FswEvidence *draft, const FswEvidence *other)
{
	return knows(flag, draft, other) && !knows(flag, other, draft);
}

/* Can each of two assigned drafts have taken effect at the other's entry? */
static bool
may_change_places(FswEvidence **entries, FswEvidence **assigned, int i, int j)
{
	return can_be_of(assigned[j], entries[i]) && can_be_of(assigned[i], entries[j]);
}

static void
change_places(FswEvidence **assigned, int i, int j)
{
	FswEvidence *draft = assigned[i];

	assigned[i] = assigned[j];
	assigned[j] = draft;
}

/*
 * Give each entry a draft, the latest first: the first to arrive of those that
 * are left, or that of a later entry for which another one is left.  What
 * arrives first was the first, as far as nothing else is known.
 */
static void
assign_drafts(FswEvidence **entries, int nentries, FswEvidence **drafts, int ndrafts, FswEvidence **assigned)
{
	for (int i = nentries - 1; i >= 0; i--)
	{
		assigned[i] = take_draft(entries[i], drafts, ndrafts);
		for (int j = i + 1; j < nentries && assigned[i] == NULL; j++)
		{
			FswEvidence *other;

			FSW_INTERRUPT();
			if (!can_be_of(assigned[j], entries[i]))
				continue;
			other = take_draft(entries[j], drafts, ndrafts);
			if (other == NULL)
				continue;
			assigned[i] = assigned[j];
			assigned[j] = other;
		}
		for (int j = i + 1; j < nentries && came_after(assigned[i], entries[j]); j++)
		{
			FSW_INTERRUPT();
			if (may_change_places(entries, assigned, i, j) && assigned[j]->arrived < assigned[i]->arrived)
				change_places(assigned, i, j);
		}
	}
}

/* Could the draft of an entry, if it has one, have taken effect at the next entry? */
static bool
may_move_on(FswEvidence **entries, FswEvidence **assigned, int i)
{
	return assigned[i] == NULL || can_be_of(assigned[i], entries[i + 1]);
}

/* Give an entry the draft of a later one, and all from it on move on by one. */
static void
move_before(FswEvidence **assigned, int i, int j)
{
	FswEvidence *draft = assigned[j];

	memmove(&assigned[i + 1], &assigned[i], (j - i) * sizeof(FswEvidence *));
	assigned[i] = draft;
}

/*
 * Of drafts that arrived after the entries of both, the one that the other follows
 * was the first; those between move on, or the two change places.  Each pass puts at
 * least one in its place, unless they follow each other in a circle.
 */
static void
order_assigned(const FswFlag *flag, FswEvidence **entries, int nentries, FswEvidence **assigned)
{
	bool		changed = true;

	for (int passes = 0; passes < CHAIN && changed; passes++)
	{
		changed = false;
		for (int i = 0; i < nentries; i++)
		{
			bool		moves = assigned[i] != NULL;

			/* entries are in order of time: none that comes later can be of it either */
			for (int j = i + 1; j < nentries && j <= i + CHAIN && (moves || came_after(assigned[i], entries[j])); j++)
			{
				FSW_INTERRUPT();
				moves = moves && may_move_on(entries, assigned, j - 1);
				if (assigned[i] == NULL || assigned[j] == NULL || !follows(flag, assigned[i], assigned[j]))
					continue;
				if (moves && can_be_of(assigned[j], entries[i]))
					move_before(assigned, i, j);
				else if (may_change_places(entries, assigned, i, j))
					change_places(assigned, i, j);
				else
					continue;
				changed = true;
			}
		}
	}
}

/*
 * Where no draft follows another one, be it by those between, which of them was the first is
 * a guess.  So it is where they follow each other in a circle.
 */
static void
doubt_order(const FswFlag *flag, FswEvidence **entries, int nentries, FswEvidence **assigned)
{
	bool	   *known = palloc_array(bool, nentries + 1);

	for (int i = 0; i < nentries; i++)
	{
		bool		moves = assigned[i] != NULL;

		for (int j = i; j < nentries && (moves || came_after(assigned[i], entries[j])); j++)
		{
			known[j] = j == i;
			for (int k = Max(i, j - CHAIN); k < j && !known[j] && assigned[j] != NULL; k++)
			{
				FSW_INTERRUPT();
				known[j] = known[k] && follows(flag, assigned[j], assigned[k]);
			}
			moves = moves && (j == i || may_move_on(entries, assigned, j - 1));
			if (assigned[j] == NULL || (known[j] && (j == i || !knows(flag, assigned[i], assigned[j]))))
				continue;
			if (may_change_places(entries, assigned, i, j))
				assigned[i]->guessed = assigned[j]->guessed = true;
			for (int k = i; moves && k <= j && can_be_of(assigned[j], entries[i]); k++)
			{
				FSW_INTERRUPT();
				if (assigned[k] != NULL)
					assigned[k]->guessed = true;
			}
		}
	}
	pfree(known);
}

/* Where another entry is left without a draft soon before or after its own, a draft may as well be of that one. */
static void
doubt_assigned(FswEvidence **entries, int nentries, FswEvidence **assigned)
{
	for (int i = 0; i < nentries; i++)
	{
		for (int j = 0; j < nentries && assigned[i] == NULL; j++)
		{
			int64		first = Min(entries[i]->at, entries[j]->at);
			int64		last = Max(entries[i]->at, entries[j]->at);

			FSW_INTERRUPT();
			if (can_be_of(assigned[j], entries[i]) && fsw_apart(last, first) <= FSW_LATE_ALONE)
				assigned[j]->guessed = true;
		}
	}
}

/* A draft, and what says the same again, took effect at an instant, which an entry tells or not. */
static void
place_draft(FswFlag *flag, const FswEvidence *draft, int64 at, bool told)
{
	int64		saved = draft->at;
	int			scope = draft->scope;

	for (int i = 0; i < flag->nevidence; i++)
	{
		FswEvidence *piece = &flag->evidence[i];

		FSW_INTERRUPT();
		if (piece->kind != FSW_EV_BODY || piece->scope != scope || piece->at != saved || !piece->by_nobody)
			continue;
		piece->at = at;
		piece->requested = told;
		piece->guessed |= draft->guessed;
	}
}

/*
 * A draft of which no entry says when it took effect did so before its event
 * arrived.  Of what was told last by then, its previous state may say that it was
 * there before it; else that may have been replaced, unless it knows the draft.
 */
static void
place_untold(FswFlag *flag, FswEvidence *draft)
{
	FswEvidence *last = NULL;

	/* in order of time, but for drafts that got their place */
	for (FswEvidence *piece = draft + 1; piece < flag->evidence + flag->nevidence; piece++)
	{
		FSW_INTERRUPT();
		if (piece->at > draft->arrived && !piece->by_nobody)
			break;
		if (piece->kind == FSW_EV_BODY && piece->scope == draft->scope && piece->at > draft->at &&
			piece->at <= draft->arrived && (last == NULL || piece->at >= last->at))
			last = piece;
	}
	if (last == NULL)
		return;
	last->guessed = true;
	if (flag->versioned || follows(flag, last, draft))
		return;
	if (!follows(flag, draft, last))
	{
		last->replaced = true;
		return;
	}
	draft->guessed = true;
	place_draft(flag, draft, Max(fsw_after(last->at, 1), fsw_after(draft->arrived, -FSW_TASK_DELAY)), false);
}

/*
 * Where no entries come, a draft was live when its event was read, and not long
 * before that.  What bears its time once more tells the same, or was read in the
 * middle of a later save.
 */
static void
place_by_arrival(FswFlag *flag)
{
	int64		saved = FSW_NEVER;
	int64		placed = FSW_NEVER;

	for (int i = 0; i < flag->nevidence; i++)
	{
		FswEvidence *piece = &flag->evidence[i];

		FSW_INTERRUPT();
		if (piece->scope != 0 || !is_draft(flag, piece))
			continue;
		/* evidence is in order of time, and of arrival where that is the same */
		if (piece->at != saved)
			placed = Max(piece->at, fsw_after(piece->arrived, -FSW_TASK_DELAY));
		saved = piece->at;
		piece->at = placed;
	}
}

/*
 * The event of a change request or a schedule bears the time of its draft.  It
 * took effect at the entry that says so.  The evidence is in order of time
 * before, and no longer after it.
 */
void
fsw_requests_place(FswFlag *flag)
{
	int			nentries;
	int			ndrafts;
	FswEvidence **entries = gather_requests(flag, FSW_EV_REQUEST, &nentries);

	if (nentries > 0 || (flag->latest_audit_at != FSW_NEVER && !flag->versioned))
	{
		FswEvidence **drafts = gather_requests(flag, FSW_EV_BODY, &ndrafts);
		FswEvidence **assigned = palloc_array(FswEvidence *, nentries + 1);

		assign_drafts(entries, nentries, drafts, ndrafts, assigned);
		order_assigned(flag, entries, nentries, assigned);
		doubt_order(flag, entries, nentries, assigned);
		doubt_assigned(entries, nentries, assigned);
		for (int i = 0; i < nentries; i++)
		{
			if (assigned[i] != NULL)
				place_draft(flag, assigned[i], entries[i]->at, true);
		}
		for (int i = 0; i < ndrafts; i++)
		{
			if (drafts[i] != NULL)
				place_untold(flag, drafts[i]);
		}
		pfree(drafts);
		pfree(assigned);
	}
	else if (flag->latest_audit_at == FSW_NEVER && !flag->versioned)
		place_by_arrival(flag);
	for (int i = 0; i < flag->nevidence; i++)
	{
		FSW_INTERRUPT();
		if (flag->evidence[i].kind == FSW_EV_REQUEST)
			flag->evidence[i].kind = FSW_EV_STATE;
	}
	pfree(entries);
}
