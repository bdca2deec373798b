/*-------------------------------------------------------------------------
 *
 * src/timeline/naming.c
 *	  When a thing bore which name, from the times at which it was seen.
 *
 * An entry about the thing itself tells exactly from when on it is called so.
 * Entries can be lost, and the rename of a project is announced by nothing:
 * then bodies tell, which show the names of when they were built.  A body can
 * be on its way while a rename happens, so a name that was borne before counts
 * again only when it is still seen some time after it was replaced.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/timeline/model.h"
#include "src/timeline/naming.h"

/* No body is on its way for longer, but after an outage. */
#define NAME_DELAY INT64CONST(600000000)

/* Is a before b?  An exact one of the same time is. */
static bool
is_before(const FswSighting *a, const FswSighting *b)
{
	if (a->at != b->at)
		return a->at < b->at;
	return a->exact && !b->exact;
}

/*
 * The next sighting of a name that tells when it began.  A body that was seen a
 * moment before the entry that tells exactly was built after that: the clocks of
 * sender and receiver differ.
 */
static bool
next_beginning(FswNextSighting next_sighting, void *source, int name, int64 after, FswSighting *next)
{
	FswSighting later;
	int64		until;

	if (!next_sighting(source, name, after, next))
		return false;
	until = fsw_after(next->at, FSW_CLOCKS);
	later = *next;
	while (!later.exact && next_sighting(source, name, later.at, &later) && later.at <= until)
	{
		if (later.exact)
			*next = later;
	}
	return true;
}

/*
 * The names of a thing by time, from its first sighting on.  Each name is
 * looked for behind the present one only, so a thing that keeps its name costs
 * one look however often it was seen.
 */
FswNaming *
fsw_naming_build(int nnames, FswNextSighting next_sighting, void *source, int *n)
{
	int			max = Max(nnames, 4);
	FswNaming  *namings = palloc_array(FswNaming, max);
	FswSighting *next = palloc_array(FswSighting, Max(nnames, 1));
	bool	   *left = palloc_array(bool, Max(nnames, 1));
	bool	   *borne = palloc0_array(bool, Max(nnames, 1));

	*n = 0;
	for (int i = 0; i < nnames; i++)
		left[i] = next_beginning(next_sighting, source, i, FSW_NEVER, &next[i]);
	for (;;)
	{
		FswNaming  *present = *n > 0 ? &namings[*n - 1] : NULL;
		int			found = -1;

		for (int i = 0; i < nnames; i++)
		{
			if (left[i] && (present == NULL || present->name != i) &&
				(found < 0 || is_before(&next[i], &next[found])))
				found = i;
		}
		if (found < 0)
			break;
		if (present != NULL && !next[found].exact && borne[found] &&
			next[found].at - present->from < NAME_DELAY)
		{
			left[found] = next_beginning(next_sighting, source, found, next[found].at, &next[found]);
			continue;
		}
		if (*n == max)
		{
			max *= 2;
			namings = repalloc_array(namings, FswNaming, max);
		}
		namings[*n].from = next[found].at;
		namings[*n].name = found;
		(*n)++;
		borne[found] = true;
		/* what was seen of the others by now tells nothing new */
		for (int i = 0; i < nnames; i++)
		{
			if (left[i] && i != found && next[i].at <= next[found].at)
				left[i] = next_beginning(next_sighting, source, i, next[found].at, &next[i]);
		}
	}
	pfree(next);
	pfree(left);
	pfree(borne);
	return namings;
}
