/*-------------------------------------------------------------------------
 *
 * src/timeline/version_earlier.c
 *	  Versions put before others that were told of before them.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/timeline/version_order.h"

/*
 * Entries of versions are written in the order in which these were published,
 * unless they lie nearer than this: a queue that stood still is worked off in
 * any order.
 */
#define IN_ORDER			INT64CONST(60000000)

/* Few lists come later than this. */
#define SELDOM_LATE			INT64CONST(30000000)

/*
 * Is by their entries known that a version was live after another?  Where
 * that was told of at once the queue did not stand still, so what was published
 * before it has its entry soon as well.
 */
static bool
is_later(const FswVersion *version, const FswVersion *before)
{
	bool		at_once = before->has_events && fsw_apart(before->entry, before->time) <= FSW_AT_ONCE &&
		fsw_apart(before->shown, before->time) <= FSW_AT_ONCE;

	return version->entry != FSW_NEVER && before->entry != FSW_NEVER &&
		(version->has_events || !before->scheduled || before->live <= version->entry) &&
		fsw_apart(version->entry, before->entry) > (at_once ? FSW_AT_ONCE : IN_ORDER);
}

/* Has a version an event that knows what was there before it? */
static bool
knows_before(const FswFlag *flag, const FswVersion *version)
{
	for (int i = 0; i < version->nevents; i++)
	{
		if (flag->evidence[version->events[i]].before >= 0)
			return true;
	}
	return false;
}

/*
 * How many overrides of the states that were tried does the list of a version lack?
 * Sets whether it has one that none of them has.
 */
static int
count_lacking(FswVersionSearch *search, const FswVersion *version, bool *untold)
{
	const FswVersions *set = search->set;
	FswHeld    *held = palloc_array(FswHeld, set->nused);
	FswVerdict *verdicts = palloc_array(FswVerdict, set->nused);
	int			extra;
	int			nlost;
	int			nheld = fsw_version_compare(set, search->trial, version->list, held, verdicts, &extra, &nlost);
	int			lacking = 0;

	for (int i = 0; i < nheld; i++)
		lacking += verdicts[i] != FSW_LISTED;
	*untold = extra > nlost;
	pfree(held);
	pfree(verdicts);
	return lacking;
}

/*
 * How much misfits of the versions from first to before end, with the one that is
 * looked for a place at index?  If it may lack overrides there, that it does says
 * nothing.  A list alone, without an entry, comes seldom so late that it is behind
 * what was published half a minute after it: one other override has to speak for it.
 */
static int
try_place(FswVersionSearch *search, int first, int end, int index, bool may_lack)
{
	const FswVersion *version = &search->set->versions[index];
	int			misfits = fsw_version_try_range(search, first, end);
	int			lacking;
	bool		knows;
	bool		untold;

	if (!may_lack)
		return misfits;
	(void) fsw_version_try_range(search, first, index);
	knows = fsw_version_try_events(search->set, search->trial, version) == 0 && knows_before(search->set->flag, version);
	(void) fsw_version_find(search->set, search->trial, version->list);
	lacking = count_lacking(search, version, &untold);
	/* several would all have been brought after it was drafted; and if what its events know fits here, that has a say */
	if (version->has_events)
		return knows ? misfits : misfits - Min(lacking, 1);
	if (version->entry == FSW_NEVER && index + 1 < end && fsw_apart(version->list_arrived, version[1].live) > SELDOM_LATE)
		misfits++;
	return misfits - lacking;
}

/*
 * Was a version scheduled, as its events and its list, which came together and long
 * after its entry, say?  It lacks what others brought since it was drafted.
 */
static bool
was_drafted(const FswVersion *version)
{
	return version->has_events && version->scheduled && version->list != NULL && version->list->nlist > 0 &&
		fsw_between(version->list_arrived, version->latest) <= FSW_AT_ONCE;
}

/*
 * Would a version, at its place, change what no event tells?  That an override
 * is missing from its list is no such change: a removal sends none, and what
 * was scheduled restores what was there when it was drafted.  But where the
 * list alone came late, or events that know nothing of what was before them,
 * the version may be from before the override: then *missing is set, and
 * others have to speak for that.
 */
static bool
changes_untold(FswVersionSearch *search, int index, bool *missing)
{
	const FswVersions *set = search->set;
	const FswVersion *version = &set->versions[index];
	int		   *current = search->trial;
	bool		untold;

	*missing = false;
	if (version->has_events && !knows_before(set->flag, version))
		return fsw_version_try_range(search, index, index + 1) > 0;
	memcpy(current, fsw_version_states_before(search, index), search->nscopes * sizeof(int));
	if (version->has_events)
		return fsw_version_try_events(set, current, version) > 0;
	if (fsw_version_other_default(set->flag, current[0], version->list->list[0]))
		return true;
	*missing = count_lacking(search, version, &untold) > 0 && !untold;
	return *missing || untold;
}

/*
 * A list that came late and would change what no event tells stands earlier:
 * a version that changes a state sends one.  So does a version that seems to
 * have been scheduled but was only told of late, if what follows its time
 * knows it, or what comes after it does not.  Returns its new place.
 */
int
fsw_version_try_earlier(FswVersionSearch *search, int index)
{
	FswVersions *set = search->set;
	FswVersion *versions = set->versions;
	int			end = Min(set->nversions, index + 4);
	int			fewest;
	int			best = index;
	int			first = index;
	bool		may_lack;
	bool		missing;
	bool		untold = changes_untold(search, index, &missing);
	int64		least = versions[index].has_events || versions[index].deleted >= 0 ? versions[index].time :
		fsw_after(versions[index].entry != FSW_NEVER ? versions[index].entry : versions[index].list_arrived,
				  -FSW_ENTRY_DELAY);

	if (!untold && !versions[index].has_events)
		return index;
	while (first > 0 && first > index - FSW_VERSION_BACK && !versions[first - 1].imported && versions[first - 1].live > least &&
		   !is_later(&versions[index], &versions[first - 1]))
		first--;
	may_lack = missing || was_drafted(&versions[index]);
	fewest = try_place(search, first, end, index, may_lack);
	if (!untold && fewest == 0)
		return index;
	for (int i = index; i > first; i--)
	{
		int			misfits;

		fsw_version_move(versions, i, i - 1);
		misfits = try_place(search, first, end, i - 1, may_lack);
		/* of two places the one where it changes nothing, over what was published at most moments before its list came */
		if (misfits < fewest ||
			(misfits == fewest && i == index && !missing && !versions[i - 1].has_events && versions[i].has_events &&
			 fsw_apart(versions[i - 1].list_arrived, versions[i].time) <= FSW_AT_ONCE &&
			 fsw_version_try_range(search, first, i) == fsw_version_try_range(search, first, i - 1)))
		{
			fewest = misfits;
			best = i - 1;
		}
	}
	fsw_version_move(versions, first, best);
	if (best < index && versions[best].has_events)
		fsw_version_time_earlier(set, best);
	else if (best < index)
	{
		versions[best].recalled = missing || versions[best].entry == FSW_NEVER || fsw_version_have_untold(search, best, best + 1);
		fsw_version_time_list(set, best);
	}
	return best;
}
