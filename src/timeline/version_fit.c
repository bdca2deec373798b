/*-------------------------------------------------------------------------
 *
 * src/timeline/version_fit.c
 *	  How well a version fits what was held before it.
 *
 * See version_order.c, which looks for the order in which most fits.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/timeline/version.h"

/* Does an event say that another state was there before the first version than the flag was made with? */
static bool
contradicts_start(const FswVersions *set, const FswEvidence *event)
{
	const FswFlag *flag = set->flag;

	return !flag->near && event->scope == 0 && event->before >= 0 && flag->defaults >= 0 && !flag->start_untold &&
		flag->created_at != FSW_NEVER && flag->latest_audit_at != FSW_NEVER && set->begin == FSW_NEVER &&
		!fsw_same_but_variants(&flag->states[event->before], &flag->states[flag->defaults]);
}

/* Count what does not fit of a version's events, and carry their states. */
int
fsw_version_try_events(const FswVersions *set, int *current, const FswVersion *version)
{
	const FswFlag *flag = set->flag;
	int			misfits = 0;

	for (int i = 0; i < version->nevents; i++)
	{
		const FswEvidence *event = &flag->evidence[version->events[i]];
		int			was = current[event->scope];

		FSW_INTERRUPT();
		if (was == FSW_NOT_SEEN && event->scope != 0)
			was = FSW_NOT_LIVE;
		misfits += (was == FSW_NOT_SEEN ? contradicts_start(set, event) : fsw_version_misfits(flag, was, event)) ?
			FSW_MISFIT : 0;
		current[event->scope] = event->state;
	}
	if (version->deleted >= 0)
	{
		int			state = flag->evidence[version->deleted].before;

		/*
		 * what was listed and changes it sent an event as well, but for a draft's, which is told by the deletion
		 * alone, and where the feature was gone when its list was made
		 */
		if (version->list != NULL && version->list->nlist > 0 && fsw_version_other_default(flag, current[0], state))
			misfits += FSW_MISFIT;
		current[0] = state;
	}
	return misfits;
}

/*
 * Carry the states over one version and count what does not fit: an event
 * whose previous state is not what was carried, a listed state that nobody
 * has, an override that is not listed.
 */
int
fsw_version_try(const FswVersions *set, int *current, const FswVersion *version)
{
	int			misfits = fsw_version_try_events(set, current, version);
	FswHeld    *held;
	FswVerdict *verdicts;
	int			extra;
	int			nlost;
	int			nheld;

	if (version->list == NULL || version->list->nlist == 0)
		return misfits;
	held = palloc_array(FswHeld, set->nused);
	verdicts = palloc_array(FswVerdict, set->nused);
	if (fsw_version_other_default(set->flag, current[0], version->list->list[0]))
		misfits += FSW_MISFIT;
	current[0] = version->list->list[0];
	(void) fsw_version_find(set, current, version->list);
	nheld = fsw_version_compare(set, current, version->list, held, verdicts, &extra, &nlost);
	for (int i = 0; i < nheld; i++)
	{
		FSW_INTERRUPT();
		if (verdicts[i] == FSW_LISTED)
			continue;
		misfits++;
		current[held[i].scope] = verdicts[i] == FSW_NOT_LISTED ? FSW_NOT_LIVE : fsw_lose(held[i].state);
	}
	if (nlost == 0)
		misfits += extra * FSW_MISFIT;
	pfree(held);
	pfree(verdicts);
	return misfits;
}

/* Has the list of a version a state that no override has?  Carries the states over it. */
bool
fsw_version_untold(const FswVersions *set, int *current, const FswVersion *version)
{
	FswHeld    *held = palloc_array(FswHeld, set->nused);
	FswVerdict *verdicts = palloc_array(FswVerdict, set->nused);
	int			extra = 0;
	int			nlost = 0;

	(void) fsw_version_try_events(set, current, version);
	if (version->list != NULL && version->list->nlist > 0)
		(void) fsw_version_compare(set, current, version->list, held, verdicts, &extra, &nlost);
	(void) fsw_version_try(set, current, version);
	pfree(held);
	pfree(verdicts);
	return extra > nlost;
}

/* Does a flag event tell of the version that a deletion tells of?  Then it has its place. */
bool
fsw_version_of_deletion(const FswVersions *set, const FswEvidence *deletion)
{
	for (int i = 0; i < set->nversions; i++)
	{
		FSW_INTERRUPT();
		if (set->versions[i].has_events && set->versions[i].time == deletion->at)
			return true;
	}
	return false;
}

/* What a version's event says of a scope; NULL for none. */
const FswEvidence *
fsw_version_event(const FswFlag *flag, const FswVersion *version, int scope)
{
	for (int i = 0; i < version->nevents; i++)
	{
		const FswEvidence *event = &flag->evidence[version->events[i]];

		FSW_INTERRUPT();
		if (event->scope == scope)
			return event;
	}
	return NULL;
}

/* Do two versions tell of one scope, or has one of them a list, which tells of all? */
bool
fsw_version_share_scope(const FswFlag *flag, const FswVersion *a, const FswVersion *b)
{
	if (a->list != NULL || b->list != NULL || !a->has_events || !b->has_events)
		return true;
	for (int i = 0; i < a->nevents; i++)
	{
		if (fsw_version_event(flag, b, flag->evidence[a->events[i]].scope) != NULL)
			return true;
	}
	return false;
}
