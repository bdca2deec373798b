/*-------------------------------------------------------------------------
 *
 * src/read/reach.c
 *	  The entries of a scope on both sides of an instant, by one search.
 *
 * Of the events around an instant few are needed, but a search reads all of a
 * page of the index that are on its side, and there are two sides.  Where the
 * flags of an environment are read one after the other, what was needed of
 * those before tells how far to either side to look: one search then reads a
 * few entries on both.  What lies further is searched as ever, so the guess
 * changes no answer.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/base/fsw.h"
#include "src/read/builder.h"

/* Where the entries of the indexes have event_at; received_at is behind it. */
#define DEFAULT_EVENT_AT	3
#define OVERRIDE_EVENT_AT	5

/* One search for both sides is given up for a while where it is worth so little. */
#define LEAST_WORTH		(-8)
#define MOST_WORTH		8
#define PAUSE			64

/* The time that an entry tells; false if that is not believed. */
static bool
is_believed(const FswBeside *beside, const Datum *values, const bool *nulls, int64 *at)
{
	int			event_at = beside->override == NULL ? DEFAULT_EVENT_AT : OVERRIDE_EVENT_AT;

	*at = nulls[event_at] ? 0 : DatumGetTimestampTz(values[event_at]);
	return nulls[event_at + 1] || !fsw_is_ahead(*at, DatumGetTimestampTz(values[event_at + 1]));
}

/* Read what is between two instants; false if that is too much. */
static bool
read_between(FswBeside *beside)
{
	FswEntryNear entry;
	Datum		values[FSW_ENTRY_COLUMNS];
	bool		nulls[FSW_ENTRY_COLUMNS];

	beside->scan = fsw_scan_scope(beside->reading, beside->override);
	if (beside->from != FSW_NEVER)
		fsw_scan_key(beside->scan, BTGreaterEqualStrategyNumber, TimestampTzGetDatum(beside->from));
	if (beside->to != FSW_FOREVER)
		fsw_scan_key(beside->scan, BTLessEqualStrategyNumber, TimestampTzGetDatum(beside->to));
	fsw_scan_begin(beside->scan, ForwardScanDirection);
	while (fsw_scan_next_row(beside->scan, values, nulls, &entry.row, &entry.seen))
	{
		if (!is_believed(beside, values, nulls, &entry.at))
			continue;
		if (beside->n == FSW_ENTRIES_NEAR)
			return false;
		if (entry.at <= *beside->reading->near)
			beside->nbefore++;
		beside->entries[beside->n++] = entry;
	}
	return true;
}

/* Begin to read the entries around the instant; few if not many are wanted. */
void
fsw_beside_begin(FswBeside *beside, FswHistoryReading *reading, const FswOverride *override, bool few)
{
	FswReach   *reach = &reading->reader->reach;

	beside->reading = reading;
	beside->override = override;
	beside->anchor = *reading->near != FSW_FOREVER ? *reading->near :
		reading->flag_facts->environment->latest_audit_at;
	beside->learn = few && override == NULL && beside->anchor != FSW_NEVER && beside->anchor != FSW_FOREVER;
	beside->at_once = false;
	beside->n = beside->nbefore = beside->nsearches = 0;
	if (beside->learn && reach->known && reach->pause == 0)
	{
		beside->from = reach->before == FSW_FOREVER ? FSW_NEVER : fsw_after(beside->anchor, -reach->before);
		beside->to = *reading->near == FSW_FOREVER || reach->after == FSW_FOREVER ? FSW_FOREVER :
			fsw_after(beside->anchor, reach->after);
		beside->at_once = read_between(beside);
		if (!beside->at_once)
		{
			beside->n = beside->nbefore = 0;
			reach->worth -= 2;
			reach->before = reach->after = 0;
		}
	}
	if (beside->learn && reach->pause > 0)
		reach->pause--;
}

/* Walk to one side, from the instant on. */
void
fsw_beside_turn(FswBeside *beside, bool before)
{
	beside->before = before;
	beside->next = before ? beside->nbefore - 1 : beside->nbefore;
	beside->searching = false;
}

/* Begin to search what the walk did not find among what was read at once. */
static void
search_further(FswBeside *beside)
{
	StrategyNumber strategy = beside->before ? BTLessEqualStrategyNumber : BTGreaterStrategyNumber;
	int64		at = *beside->reading->near;

	if (beside->at_once && beside->before)
	{
		strategy = BTLessStrategyNumber;
		at = beside->from;
	}
	else if (beside->at_once)
		at = beside->to;
	beside->scan = fsw_scan_scope(beside->reading, beside->override);
	fsw_scan_key(beside->scan, strategy, TimestampTzGetDatum(at));
	fsw_scan_begin(beside->scan, beside->before ? BackwardScanDirection : ForwardScanDirection);
	beside->searching = true;
	beside->nsearches++;
}

/* The next entry among what was read at once whose row is seen. */
static bool
next_at_once(FswBeside *beside)
{
	while (beside->before ? beside->next >= 0 : beside->next < beside->n)
	{
		FswEntryNear *entry = &beside->entries[beside->next];

		beside->next += beside->before ? -1 : 1;
		beside->fetched = !entry->seen;
		if (entry->seen || fsw_scan_fetch_row(beside->scan, &entry->row))
		{
			beside->entry = entry;
			return true;
		}
	}
	return false;
}

/* The next entry of the walk, of an event whose time is believed; its time in *at. */
bool
fsw_beside_next(FswBeside *beside, int64 *at)
{
	Datum		values[FSW_ENTRY_COLUMNS];
	bool		nulls[FSW_ENTRY_COLUMNS];

	if (!beside->searching)
	{
		if (next_at_once(beside))
		{
			*at = beside->entry->at;
			return true;
		}
		if (beside->at_once && (beside->before ? beside->from == FSW_NEVER : beside->to == FSW_FOREVER))
			return false;
		search_further(beside);
	}
	do
	{
		if (!fsw_scan_next_entry(beside->scan, values, nulls))
			return false;
	} while (!is_believed(beside, values, nulls, at));
	return true;
}

/* Read the row of the entry that was found; it is in the scan then. */
void
fsw_beside_fetch(FswBeside *beside)
{
	if (beside->searching)
		fsw_scan_fetch(beside->scan);
	else if (!beside->fetched && !fsw_scan_fetch_row(beside->scan, &beside->entry->row))
		elog(ERROR, "could not find the row of an entry of index \"%s\"",
			 RelationGetRelationName(beside->scan->index));
}

/* So far the walk was needed: to an instant, or whole, to its end. */
void
fsw_beside_reached(FswBeside *beside, int64 at, bool whole)
{
	FswReach   *reach = &beside->reading->reader->reach;
	int64	   *known = beside->before ? &reach->before : &reach->after;
	int64		needed = beside->before ? fsw_apart(beside->anchor, at) : fsw_apart(at, beside->anchor);
	int64		wanted = whole || needed >= FSW_FOREVER / 2 ? FSW_FOREVER : Max(needed, 0) * 2;

	if (!beside->learn)
		return;
	if (wanted > *known)
		*known = wanted;
	else if (*known != FSW_FOREVER)
		*known -= (*known - wanted) / 16;
}

/* Was it worth it? */
void
fsw_beside_end(FswBeside *beside)
{
	FswReach   *reach = &beside->reading->reader->reach;
	int			nsides = *beside->reading->near == FSW_FOREVER ? 1 : 2;

	if (!beside->learn)
		return;
	reach->known = true;
	if (beside->at_once && beside->nsearches == 0)
		reach->worth = Min(reach->worth + 1, MOST_WORTH);
	else if (beside->at_once && beside->nsearches == nsides)
		reach->worth -= 2;
	if (reach->worth > LEAST_WORTH)
		return;
	reach->worth = 0;
	reach->pause = PAUSE;
}
