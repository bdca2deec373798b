/*-------------------------------------------------------------------------
 *
 * src/timeline/history.c
 *	  Which audit entries and flag events are one act.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/timeline/history.h"

/* How far two instants are from each other. */
int64
fsw_distance(int64 a, int64 b)
{
	return a > b ? fsw_apart(a, b) : fsw_apart(b, a);
}

/*
 * Can the entry explain the event, of the same flag, environment and override?
 *
 * An entry of v1 has the very time of the event or one some milliseconds
 * away.  That of a version is written by a task of its own, after a hang of
 * the task processor minutes later.  One of a change request that goes live
 * is near the arrival, since the event carries the time of the draft; so is one
 * of a save in the middle of which what the change request left was read again.
 */
FswExplains
fsw_explains(const FswEntryFacts *entry, const FswEventFacts *event)
{
	bool		of_default = !event->of_segment && !event->of_identity;
	bool		is_draft = event->at != FSW_NEVER && event->arrived != FSW_FOREVER &&
		event->arrived > fsw_after(event->at, FSW_DRAFT_AGE);

	if (entry->about == FSW_ABOUT_OTHER || entry->about == FSW_ABOUT_DELETION)
		return FSW_EXPLAINS_NOT;
	if (entry->about == FSW_ABOUT_VERSION)
		return !event->of_identity && entry->at >= fsw_after(event->at, -FSW_VERSION_EARLY) &&
			entry->at <= fsw_after(event->at, FSW_VERSION_LATE) ? FSW_EXPLAINS_VERSION : FSW_EXPLAINS_NOT;

	/*
	 * a percentage of a segment's override is told as that of the default; the
	 * time of a draft says nothing of when a change request took effect
	 */
	if (!(entry->by_system && is_draft) && fsw_distance(entry->at, event->at) <= FSW_SAVE_REACH &&
		(entry->of_override || of_default || (entry->about == FSW_ABOUT_VARIANT && !event->of_identity)))
		return FSW_EXPLAINS_SAVE;
	if (entry->by_system && !entry->of_override && of_default && entry->about != FSW_ABOUT_CREATION && is_draft &&
		entry->at >= fsw_after(event->arrived, -FSW_REQUEST_EARLY) &&
		entry->at <= fsw_after(event->arrived, FSW_REQUEST_LATE))
		return FSW_EXPLAINS_REQUEST;

	/* the value and each percentage is saved before the state, whose time is still that of the draft */
	if ((entry->about == FSW_ABOUT_VALUE || entry->about == FSW_ABOUT_VARIANT) && !entry->by_system &&
		!entry->of_override && of_default && is_draft && entry->at > fsw_after(event->at, FSW_SAVE_REACH) &&
		entry->at >= fsw_after(event->arrived, -FSW_READING_EARLY) &&
		entry->at <= fsw_after(event->arrived, FSW_READING_LATE))
		return FSW_EXPLAINS_READING;
	return FSW_EXPLAINS_NOT;
}

/* Behind the entry prior up to before end, where the time from one entry to the next is the longest. */
int
fsw_widest_gap(const int64 *at, int prior, int end)
{
	int			widest = prior + 1;

	for (int i = prior + 2; i <= end; i++)
	{
		FSW_INTERRUPT();
		if (fsw_apart(at[i], at[i - 1]) > fsw_apart(at[widest], at[widest - 1]))
			widest = i;
	}
	return widest;
}

/*
 * Of entries in their order, about one flag, override and author, those that
 * are of one save with one of them: first up to before end.
 *
 * A save has at most one entry about the state and one about the value; those
 * about percentages do not say of which option.  From the first entry on, a
 * save takes what it can, so that each of its entries finds the same one.  Of
 * two entries of a kind, what lies between is of the nearer one: the second
 * save begins behind the longest time without an entry.
 */
void
fsw_save_of(const FswAbout *about, const int64 *at, int n, int of, int *first, int *end)
{
	int			state = -1;		/* the entry of the save about it */
	int			value = -1;

	*first = 0;
	for (int i = 0; i < n; i++)
	{
		int			begin = -1;

		FSW_INTERRUPT();
		if (fsw_apart(at[i], at[*first]) > FSW_SAVE_SPAN || (i > *first && fsw_apart(at[i], at[i - 1]) > FSW_SAVE_GAP))
			begin = i;
		else if (about[i] == FSW_ABOUT_STATE && state >= *first)
			begin = fsw_widest_gap(at, state, i);
		else if (about[i] == FSW_ABOUT_VALUE && value >= *first)
			begin = fsw_widest_gap(at, value, i);
		if (begin >= 0 && of < begin)
		{
			*end = begin;
			return;
		}
		if (begin >= 0)
			*first = begin;
		if (about[i] == FSW_ABOUT_STATE)
			state = i;
		if (about[i] == FSW_ABOUT_VALUE)
			value = i;
	}
	*end = n;
}
