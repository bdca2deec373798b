/*-------------------------------------------------------------------------
 *
 * src/timeline/version_gather.c
 *	  The pieces that versions are put together from.
 *
 * The entry and the list of one uuid are a version.  The events of one time are
 * of one, too; which, version_match.c says.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/timeline/version_match.h"

/* A flag is made, and its first version, within this. */
#define CREATION			INT64CONST(1000000)

static int
compare_by_time(const void *a, const void *b)
{
	const FswVersion *x = a;
	const FswVersion *y = b;
	int64		p = x->entry != FSW_NEVER ? x->entry : x->list_arrived;
	int64		q = y->entry != FSW_NEVER ? y->entry : y->list_arrived;

	FSW_INTERRUPT();
	if (p != q)
		return p < q ? -1 : 1;
	if (x->list_arrived != y->list_arrived)
		return x->list_arrived < y->list_arrived ? -1 : 1;
	return x->list_index < y->list_index ? -1 : x->list_index > y->list_index;
}

/* A version of which nothing is known yet. */
FswVersion *
fsw_match_begin(FswVersion *version)
{
	version->entry = FSW_NEVER;
	version->entry_arrived = FSW_NEVER;
	version->list_arrived = FSW_NEVER;
	version->list_index = -1;
	version->shown = FSW_FOREVER;
	version->deleted = -1;
	return version;
}

/* Put entries and lists of one uuid together. */
static void
gather_versions(FswMatch *match)
{
	FswFlag    *flag = match->flag;
	uint64	   *uuids = palloc_array(uint64, flag->nevidence);
	int			n = 0;

	for (int i = 0; i < flag->nevidence; i++)
	{
		FswEvidence *piece = &flag->evidence[i];
		FswVersion *version = NULL;

		FSW_INTERRUPT();
		if (piece->kind != FSW_EV_VERSION && piece->kind != FSW_EV_LIST)
			continue;
		/* by time, so that the few of one uuid are near each other */
		for (int j = n - 1; j >= 0 && j >= n - FSW_VERSION_REACH; j--)
		{
			if (uuids[j] == piece->version)
			{
				version = &match->versions[j];
				break;
			}
		}
		if (version == NULL)
		{
			uuids[n] = piece->version;
			version = fsw_match_begin(&match->versions[n++]);
		}
		if (piece->kind == FSW_EV_VERSION)
		{
			version->entry_arrived = version->entry == FSW_NEVER ? piece->arrived :
				Min(version->entry_arrived, piece->arrived);
			version->entry = piece->at;
		}
		else if (version->list == NULL || piece->arrived < version->list_arrived)
		{
			version->list_arrived = piece->arrived;
			version->list = piece;
			version->list_index = i;
		}
	}
	for (int i = 0; i < n; i++)
	{
		FswVersion *version = &match->versions[i];

		FSW_INTERRUPT();
		if (version->list == NULL)
			continue;
		/* they are compared again and again: but for the first, the environment default, in any order */
		if (version->list->nlist > 0)
			fsw_sort_states(version->list->list + 1, version->list->nlist - 1);
		/* an imported entry came long after it was made, but such a list says when the version went live */
		if (version->list->punctual)
			version->entry_arrived = version->entry;
	}
	qsort(match->versions, n, sizeof(FswVersion), compare_by_time);
	match->nversions = n;
	pfree(uuids);
}

/* Is a deletion that of what the flag was made with: the first one, soon after it was made? */
bool
fsw_version_is_of_creation(const FswFlag *flag, int index)
{
	const FswEvidence *piece = &flag->evidence[index];

	if (flag->created_at == FSW_NEVER || piece->at > fsw_after(flag->created_at, CREATION))
		return false;
	for (int i = index - 1; i >= 0; i--)
	{
		const FswEvidence *other = &flag->evidence[i];

		FSW_INTERRUPT();
		if (other->kind == FSW_EV_DELETED && other->scope == 0 && other->at < piece->at)
			return false;
	}
	return true;
}

/* The events of one time, evidence[first .. last), as far as they are any. */
static void
gather_events(FswMatch *match, int first, int last)
{
	FswFlag    *flag = match->flag;
	FswGroup   *group = &match->groups[match->ngroups];

	memset(group, 0, sizeof(FswGroup));
	group->time = flag->evidence[first].at;
	group->shown = FSW_FOREVER;
	group->version = -1;
	group->events = palloc_array(int, last - first);
	for (int i = first; i < last; i++)
	{
		FswEvidence *piece = &flag->evidence[i];
		bool		known = false;

		FSW_INTERRUPT();
		group->ended |= piece->kind == FSW_EV_DELETED && piece->scope == 0;
		if ((piece->kind != FSW_EV_BODY && piece->kind != FSW_EV_IMPORT) ||
			flag->scopes[piece->scope].kind == FSW_SCOPE_IDENTITY)
			continue;
		for (int j = 0; j < group->nevents && !known; j++)
			known = flag->evidence[group->events[j]].scope == piece->scope;
		if (known)
			continue;
		group->events[group->nevents++] = i;
		group->shown = Min(group->shown, piece->arrived);
		group->imported |= piece->kind == FSW_EV_IMPORT || piece->settled;
	}
	/* a deletion tells the default of a version of which nothing else does */
	for (int i = first; i < last && group->nevents == 0; i++)
	{
		FswEvidence *piece = &flag->evidence[i];

		if (piece->kind != FSW_EV_DELETED || piece->scope != 0 || piece->before < 0 || fsw_version_is_of_creation(flag, i))
			continue;
		group->events[group->nevents++] = i;
		group->deleted = true;
	}
	if (group->nevents > 0)
		match->ngroups++;
	else
		pfree(group->events);
}

/* Gather what tells of versions: no event from before the last save of a state by itself does. */
void
fsw_match_gather(FswMatch *match)
{
	FswFlag    *flag = match->flag;
	int64		saved = fsw_version_last_save(flag);

	match->versions = palloc0_array(FswVersion, flag->nevidence);
	match->groups = palloc_array(FswGroup, flag->nevidence);
	gather_versions(match);
	for (int i = 0, j; i < flag->nevidence; i = j)
	{
		for (j = i; j < flag->nevidence && flag->evidence[j].at == flag->evidence[i].at; j++)
			FSW_INTERRUPT();
		if (flag->evidence[i].at > saved)
			gather_events(match, i, j);
	}
}
