/*-------------------------------------------------------------------------
 *
 * src/read/pair.c
 *	  Which of several pairs of an environment and a feature names mean at an
 *	  instant.
 *
 * See resolve.c, which finds them.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"

#include "src/read/read.h"

/* Which of then, next and last it is that a name was borne at an instant. */
static int
level_of(const FswSpan *span, int64 at)
{
	if (span->from > at)
		return 1;
	return span->to <= at && span->to != FSW_FOREVER ? 2 : 0;
}

/* Positive if a was borne then rather than b: then, else next, else last. */
static int
compare_spans(const FswSpan *a, const FswSpan *b, int64 at)
{
	int			level = level_of(a, at);

	if (level != level_of(b, at))
		return level < level_of(b, at) ? 1 : -1;
	if (level == 1 && a->from != b->from)
		return a->from < b->from ? 1 : -1;
	if (level == 2 && a->to != b->to)
		return a->to > b->to ? 1 : -1;
	return 0;
}

/* Of two with the same name: the one that existed then, the youngest first. */
static int
compare_existence(int64 a, int64 b, int64 at)
{
	if ((a <= at) != (b <= at))
		return a <= at ? 1 : -1;
	if (a == b)
		return 0;
	return (a > b) == (a <= at) ? 1 : -1;
}

/*
 * Had nobody seen the environment yet, which existed already for longer than
 * news of it take?  Then what it was called is a guess.
 */
static bool
is_unseen(const FswPair *pair, int64 at)
{
	return at < pair->environment_seen && fsw_apart(pair->environment_seen, pair->environment_existed) > FSW_LATE_ALONE;
}

/* When the environment took its name: of the first one, when it was seen under it, by then. */
static int64
taken_at(const FswPair *pair, int64 at)
{
	bool		first = pair->environment_named.from == pair->environment_existed && pair->environment_seen <= at;

	return Max(pair->environment_named.from, first ? pair->environment_seen : FSW_NEVER);
}

/* Of two pairs of one project: positive if the names rather mean a. */
static int
compare_pairs(const FswPair *a, const FswPair *b, int64 at)
{
	int			better = compare_spans(&a->project_named, &b->project_named, at);

	if (better == 0)
		better = compare_spans(&a->environment_named, &b->environment_named, at);
	if (better == 0)
		better = is_unseen(b, at) - is_unseen(a, at);
	/* a project has no two of one name: who took it later found it free */
	if (better == 0 && level_of(&a->environment_named, at) == 0)
		better = (taken_at(a, at) > taken_at(b, at)) - (taken_at(a, at) < taken_at(b, at));
	if (better == 0)
		better = compare_existence(a->environment_existed, b->environment_existed, at);
	if (better == 0)
		better = (a->environment_id > b->environment_id) - (a->environment_id < b->environment_id);
	if (better == 0)
		better = compare_spans(&a->feature_named, &b->feature_named, at);
	if (better == 0)
		better = compare_existence(a->feature_existed, b->feature_existed, at);
	if (better == 0)
		better = (a->feature.id > b->feature.id) - (a->feature.id < b->feature.id);
	return better;
}

static int
pair_level(const FswPair *pair, int64 at)
{
	return Max(level_of(&pair->project_named, at),
			   Max(level_of(&pair->environment_named, at), level_of(&pair->feature_named, at)));
}

/*
 * Does a's project give way to b's, which bears the name by then?  Projects are
 * deleted without a word, so one of which all evidence ends before that of its
 * namesake begins is gone, whatever else the names meant in it.
 */
static bool
gives_way(const FswPair *a, const FswPair *b, int64 at)
{
	return fsw_same_text(a->source, b->source) && a->evidence.to <= b->evidence.from &&
		b->evidence.from <= at && level_of(&b->project_named, at) <= level_of(&a->project_named, at);
}

/*
 * Which pairs the names mean at an instant, at most one for each project;
 * found has room for npairs.
 */
int
fsw_resolve_at(const FswPair *pairs, int npairs, int64 at, int *found)
{
	int			nfound = 0;
	int			nkept = 0;
	int			least = 2;
	bool	   *deleted_at;

	for (int i = 0; i < npairs; i++)
	{
		const FswPair *pair = &pairs[i];
		int			j;

		CHECK_FOR_INTERRUPTS();
		for (j = 0; j < nfound; j++)
		{
			const FswPair *other = &pairs[found[j]];

			if (pair->has_project != other->has_project ||
				pair->project_id != other->project_id ||
				!fsw_same_text(pair->source, other->source))
				continue;
			if (compare_pairs(pair, other, at) > 0)
				found[j] = i;
			break;
		}
		if (j == nfound)
			found[nfound++] = i;
	}

	deleted_at = palloc0_array(bool, nfound);
	for (int i = 0; i < nfound; i++)
	{
		for (int j = 0; j < nfound && !deleted_at[i]; j++)
			deleted_at[i] = gives_way(&pairs[found[i]], &pairs[found[j]], at);
	}
	for (int i = 0; i < nfound; i++)
	{
		if (!deleted_at[i])
			found[nkept++] = found[i];
	}
	pfree(deleted_at);

	/* of several projects that are left, those in which the names were borne then */
	nfound = nkept;
	nkept = 0;
	for (int i = 0; i < nfound; i++)
		least = Min(least, pair_level(&pairs[found[i]], at));
	for (int i = 0; i < nfound; i++)
	{
		if (pair_level(&pairs[found[i]], at) == least)
			found[nkept++] = found[i];
	}
	return nkept;
}

/* The instants at which the meaning of names can change, as far as one pair goes. */
void
fsw_pair_bounds(const FswPair *pair, int64 *bounds)
{
	bounds[0] = pair->project_named.from;
	bounds[1] = pair->project_named.to;
	bounds[2] = pair->environment_named.from;
	bounds[3] = pair->environment_named.to;
	bounds[4] = pair->feature_named.from;
	bounds[5] = pair->feature_named.to;
	bounds[6] = pair->environment_existed;
	bounds[7] = pair->feature_existed;
	bounds[8] = pair->evidence.from;
	bounds[9] = pair->environment_seen;
}
