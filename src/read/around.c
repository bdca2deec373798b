/*-------------------------------------------------------------------------
 *
 * src/read/around.c
 *	  The flag events around one instant: of each scope that is asked about, to
 *	  the next other state on either side.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "utils/memutils.h"

#include "src/base/array.h"
#include "src/base/fsw.h"
#include "src/decode/row.h"
#include "src/read/builder.h"

/* So many segments are searched one by one. */
#define FEW_SEGMENTS	4

/* The flag and the scope, as an index of all scopes has them. */
static void
scan_scope_keys(FswHistoryReading *reading, FswScan *scan, const FswOverride *override)
{
	fsw_scan_flag(scan, reading->flag_facts);
	if (override != NULL && override->is_segment)
		fsw_scan_equal(scan, Int64GetDatum(override->segment_id));
	else
		fsw_scan_key_null(scan, true);
	if (override != NULL && !override->is_segment)
		fsw_scan_equal(scan, Int64GetDatum(override->identity));
	else
		fsw_scan_key_null(scan, true);
}

/* Begin a search for the events of a scope: NULL for the environment default. */
FswScan *
fsw_scan_scope(FswHistoryReading *reading, const FswOverride *override)
{
	FswScan    *scan = fsw_scan_of(reading->reader,
								   override == NULL ? FSW_INDEX_DEFAULT : FSW_INDEX_OVERRIDE);

	if (override == NULL)
		fsw_scan_flag(scan, reading->flag_facts);
	else
		scan_scope_keys(reading, scan, override);
	return scan;
}

/*
 * The states under the time nearest to an instant, one unless it was torn.
 * More than there is room for are as good as all.
 */
typedef struct Nearest
{
	int			n;
	int			states[4];
} Nearest;

static bool
is_nearest(const Nearest *nearest, int state)
{
	if (nearest->n > (int) lengthof(nearest->states))
		return true;
	for (int i = 0; i < nearest->n; i++)
	{
		if (nearest->states[i] == state)
			return true;
	}
	return false;
}

/* A walk over the events of a scope, by their times. */
typedef struct Walk
{
	Nearest    *nearest;
	bool		first;			/* the nearest time is not behind yet */
	int			n;				/* events */
	int			ntimes;
	bool		before;			/* the walk goes back in time */
	int64		at;				/* the time last seen, */
	int64		read_until;		/* until when its states were read, perhaps, */
	int			state;			/* its state, */
	bool		torn;			/* and whether it has another */
} Walk;

/*
 * Is enough read where a time begins: events, and one state that is another than
 * the nearest?  What was read in the middle of the next act is no other state for
 * sure, so that one counts as well.
 */
static bool
is_enough(Walk *walk, int64 at, int least)
{
	if (walk->n == 0 || at == walk->at)
		return false;
	if (++walk->ntimes >= FSW_WINDOW ||
		(walk->n >= least && !walk->torn && walk->state != FSW_NOT_SEEN && !is_nearest(walk->nearest, walk->state) &&
		 (walk->before || walk->read_until < fsw_after(at, -FSW_SAME_ACT))))
		return true;
	walk->first = walk->first && walk->state == FSW_NOT_SEEN;
	walk->torn = false;
	walk->state = FSW_NOT_SEEN;
	walk->read_until = FSW_NEVER;
	return false;
}

/* An event more of the time last seen; returns whether that has two states. */
static bool
add_event(Walk *walk, const FswEvidence *piece)
{
	Nearest    *nearest = walk->nearest;

	if (piece->kind == FSW_EV_DELETED)
		return walk->torn;
	walk->torn = walk->torn || (walk->state != FSW_NOT_SEEN && piece->state != walk->state);
	walk->state = piece->state;
	walk->read_until = Max(walk->read_until, fsw_after(piece->arrived, FSW_CLOCKS));
	if (walk->first && !is_nearest(nearest, piece->state) && nearest->n++ < (int) lengthof(nearest->states))
		nearest->states[nearest->n - 1] = piece->state;
	return walk->torn;
}

/*
 * The events of a scope around an instant, in one direction: at least so
 * many, and up to a time with one state that is another than the nearest.
 * The neighbours of an act are all that its confidence depends on, and of those
 * after it as many as may each have been read in the middle of the next one; more
 * are read only to know since when and until when the state is the same.
 */
static void
read_near(FswBeside *beside, bool before, int least, Nearest *nearest)
{
	FswHistoryReading *reading = beside->reading;
	FswFlag    *flag = &reading->history->flag;
	Walk		walk = {.nearest = nearest,.first = nearest->n == 0,.state = FSW_NOT_SEEN,.before = before,.read_until = FSW_NEVER};
	int			scope = 0;
	bool		whole = true;
	int64		at = *reading->near;

	fsw_beside_turn(beside, before);
	while (fsw_beside_next(beside, &at))
	{
		if (is_enough(&walk, at, least))
		{
			whole = false;
			break;
		}
		fsw_beside_fetch(beside);
		if (!fsw_is_known(beside->scan, FLAG_stored_at, reading->flag_facts->environment))
			continue;
		if (beside->override != NULL)
			scope = fsw_override_scope(reading, beside->scan);
		fsw_read_change(reading, beside->scan, scope);
		walk.at = at;
		walk.n++;
		if (add_event(&walk, &flag->evidence[flag->nevidence - 1]))
			reading->ranges[scope].torn = true;
	}
	fsw_beside_reached(beside, at, whole);
	if (whole || walk.n == 0)
		return;
	if (before)
		reading->ranges[scope].from = walk.at;
	else
		reading->ranges[scope].to = Max(walk.at, walk.read_until);
}

/* Around an instant: what came much later than the time it tells, too. */
static void
read_late(FswHistoryReading *reading)
{
	FswRange   *range = &reading->ranges[0];

	for (int before = 0; before < 2; before++)
	{
		FswScan    *scan = fsw_scan_of(reading->reader, FSW_INDEX_LATE);
		int			n = 0;

		fsw_scan_flag(scan, reading->flag_facts);
		fsw_scan_key(scan, before ? BTLessEqualStrategyNumber : BTGreaterStrategyNumber,
					 TimestampTzGetDatum(*reading->near));
		fsw_scan_begin(scan, before ? BackwardScanDirection : ForwardScanDirection);
		while (n < FSW_WINDOW && fsw_scan_next(scan))
		{
			int64		at = fsw_scan_int64(scan, FLAG_event_at, 0);

			if ((at >= range->from && at <= range->to) || !fsw_scan_is_null(scan, FLAG_segment_id) ||
				!fsw_is_known(scan, FLAG_stored_at, reading->flag_facts->environment))
				continue;
			fsw_read_change(reading, scan, 0);
			n++;
		}
	}
}

/* Around an instant: the events of a scope whose time is not believed. */
static void
read_ahead(FswHistoryReading *reading, const FswOverride *override)
{
	if (fsw_index_is_empty(reading->reader, FSW_INDEX_AHEAD))
		return;
	for (int before = 0; before < 2; before++)
	{
		FswScan    *scan = fsw_scan_of(reading->reader, FSW_INDEX_AHEAD);
		int			n = 0;

		scan_scope_keys(reading, scan, override);
		fsw_scan_key(scan, before ? BTLessEqualStrategyNumber : BTGreaterStrategyNumber,
					 TimestampTzGetDatum(*reading->near));
		fsw_scan_begin(scan, before ? BackwardScanDirection : ForwardScanDirection);
		while (n < FSW_WINDOW && fsw_scan_next(scan))
		{
			int			scope = override == NULL ? 0 : fsw_override_scope(reading, scan);
			int64		at = fsw_scan_int64(scan, FLAG_received_at, 0);

			/* deletions of the default are read by themselves */
			if ((scope == 0 && fsw_scan_bool(scan, FLAG_deleted)) ||
				at < reading->ranges[scope].from || at > reading->ranges[scope].to ||
				!fsw_is_known(scan, FLAG_stored_at, reading->flag_facts->environment))
				continue;
			fsw_read_change(reading, scan, scope);
			n++;
		}
	}
}

/* The first segment from one on that ever had an override of the flag. */
static bool
next_segment(FswHistoryReading *reading, const int64 *from, int64 *segment)
{
	FswScan    *scan = fsw_scan_of(reading->reader, FSW_INDEX_OVERRIDE);

	fsw_scan_flag(scan, reading->flag_facts);
	if (from != NULL)
		fsw_scan_key(scan, BTGreaterEqualStrategyNumber, Int64GetDatum(*from));
	else
		fsw_scan_key_null(scan, false);
	fsw_scan_begin(scan, ForwardScanDirection);
	if (!fsw_scan_next(scan))
		return false;
	*segment = fsw_scan_int64(scan, FLAG_segment_id, 0);
	return true;
}

/* The segments that ever had an override of the flag. */
static int64 *
find_segments(FswHistoryReading *reading, int *n)
{
	int			max = 0;
	int64	   *segments = NULL;
	int64		from;
	int64		segment;

	*n = 0;
	while (next_segment(reading, *n > 0 ? &from : NULL, &segment))
	{
		FSW_PUSH(segments, *n, max) = segment;
		if (segment == PG_INT64_MAX)
			break;
		from = segment + 1;
	}
	return segments;
}

/*
 * Those of the segments asked about that ever had one.  Of many, most have
 * none, and a search for each would take longer than one from each that has
 * to the next.
 */
static int64 *
find_asked_segments(FswHistoryReading *reading, int *n)
{
	const FswAsked *asked = reading->asked;
	int			max = 0;
	int64	   *segments = NULL;
	int			i = 0;

	*n = 0;
	while (i < asked->nsegments)
	{
		int64		segment;
		int			low = i;
		int			high = asked->nsegments;

		if (!next_segment(reading, &asked->segments[i], &segment))
			break;
		/* the first asked about that is not before it */
		while (low < high)
		{
			int			middle = low + (high - low) / 2;

			if (asked->segments[middle] < segment)
				low = middle + 1;
			else
				high = middle;
		}
		i = low;
		if (i == asked->nsegments || asked->segments[i] != segment)
			continue;
		FSW_PUSH(segments, *n, max) = segment;
		i++;
	}
	return segments;
}

/* The events of one scope around the instant. */
static void
read_scope(FswHistoryReading *reading, const FswOverride *override, int least)
{
	Nearest		nearest = {0};
	FswBeside	beside;

	fsw_beside_begin(&beside, reading, override, least == 1);
	read_near(&beside, true, least, &nearest);
	if (*reading->near != FSW_FOREVER)
		read_near(&beside, false, least, &nearest);
	fsw_beside_end(&beside);
	read_ahead(reading, override);
}

/* The overrides of the identities that are asked about. */
static void
read_identity_near(FswHistoryReading *reading)
{
	const FswAsked *asked = reading->asked;
	FswOverride override = {0};
	int			n = asked->nidentities;
	int64	   *hashes = palloc_array(int64, n + 1);

	for (int i = 0; i < n; i++)
	{
		char	   *key = strchr(asked->identities[i], ':') + 1;

		hashes[i] = DatumGetInt64(hash_any_extended((unsigned char *) key, strlen(key), 0));
	}
	if (n == 0)
		n = fsw_find_imported_identity(reading, &hashes);
	if (n == 0)
		hashes[n++] = DatumGetInt64(hash_any_extended((const unsigned char *) asked->identity,
													  strlen(asked->identity), 0));
	for (int i = 0; i < n; i++)
	{
		bool		found = false;

		for (int j = 0; j < i && !found; j++)
			found = hashes[j] == hashes[i];
		override.identity = hashes[i];
		if (!found)
			read_scope(reading, &override, 1);
	}
}

/* The hash of the identity in the row of a scan, as the index has it. */
int64
fsw_hash_of_identity(FswScan *scan)
{
	const text *identity = fsw_scan_text(scan, FLAG_identity);

	return DatumGetInt64(hash_any_extended((const unsigned char *) VARDATA_ANY(identity),
										   VARSIZE_ANY_EXHDR(identity), 0));
}

/* The next override that the flag ever had, by segment and then by identity. */
static bool
next_override(FswHistoryReading *reading, FswOverride *override, bool begun)
{
	FswScan    *scan;
	int64		from = override->segment_id + 1;

	if ((!begun || (override->is_segment && override->segment_id < PG_INT64_MAX)) &&
		next_segment(reading, begun ? &from : NULL, &override->segment_id))
	{
		override->is_segment = true;
		return true;
	}
	scan = fsw_scan_of(reading->reader, FSW_INDEX_OVERRIDE);
	fsw_scan_flag(scan, reading->flag_facts);
	fsw_scan_key_null(scan, true);
	if (begun && !override->is_segment)
		fsw_scan_key(scan, BTGreaterStrategyNumber, Int64GetDatum(override->identity));
	else
		fsw_scan_key_null(scan, false);
	fsw_scan_begin(scan, ForwardScanDirection);
	if (!fsw_scan_next(scan))
		return false;
	override->is_segment = false;
	override->identity = fsw_hash_of_identity(scan);
	return true;
}

/* All overrides that the flag ever had; NULL where these are many. */
FswOverride *
fsw_find_overrides(FswHistoryReading *reading, int *n)
{
	FswOverride *overrides = palloc_array(FswOverride, FSW_WINDOW);
	FswOverride override = {0};

	for (*n = 0; next_override(reading, &override, *n > 0); (*n)++)
	{
		if (*n == FSW_WINDOW)
			return NULL;
		overrides[*n] = override;
	}
	return overrides;
}

/* What is around the instant, of the scopes that are asked about. */
void
fsw_read_around(FswHistoryReading *reading)
{
	const FswAsked *asked = reading->asked;
	bool		versioned = reading->flag_facts->versioned;
	int			nsegments = asked->nsegments;
	const int64 *segments = asked->segments;
	int			least = versioned || reading->flag_facts->drafts ? FSW_WINDOW : 1;

	read_scope(reading, NULL, least);
	if (versioned || reading->flag_facts->drafts)
		read_late(reading);
	if (versioned)
	{
		segments = find_segments(reading, &nsegments);
	}
	else if (nsegments > FEW_SEGMENTS)
		segments = find_asked_segments(reading, &nsegments);
	for (int i = 0; i < nsegments; i++)
	{
		FswOverride override = {.is_segment = true,.segment_id = segments[i]};

		read_scope(reading, &override, least);
	}
	if (asked->identity != NULL)
		read_identity_near(reading);
	for (int i = 0; i < reading->noverrides; i++)
		read_scope(reading, &reading->overrides[i], least);
}
