/*-------------------------------------------------------------------------
 *
 * src/read/seen.c
 *	  Which variants a feature had between two instants, as events of all
 *	  environments of the project show it.
 *
 * Read only where the timeline of a flag would have to guess.  All of them have
 * the same variants then, so of each environment the first and the last events
 * are enough; that these agree shows that no entry between them is missing.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"

#include "src/base/array.h"
#include "src/base/fsw.h"
#include "src/decode/row.h"
#include "src/read/builder.h"

/* So long after an entry all environments have what was added; and clocks differ. */
#define READ_EARLY	FSW_SAME_ACT
#define READ_LATE	(2 * FSW_CLOCKS)

/* A version has its entry so soon after its time. */
#define ENTRY_OF_VERSION	INT64CONST(10000000)

/* What is the same for all events of an environment in a stretch. */
typedef struct Place
{
	FswHistoryReading *reading;
	FswSeenBetween *between;
	int64		environment_id;
	int64		heard;			/* FSW_NEVER: not read yet */
	bool		has_version;	/* the entry of a version is there, */
	int64		version;		/* the first at this time */
	bool		knows;			/* these */
} Place;

/* The first entry of a version of the feature in the stretch. */
static void
read_version(Place *place)
{
	const FswFlagFacts *flag_facts = place->reading->flag_facts;

	for (int i = 0; i < flag_facts->feature.nnames && !place->knows; i++)
	{
		FswScan    *scan = fsw_scan_of(place->reading->reader, FSW_INDEX_EFFECT_PUBLISHED);

		fsw_scan_equal(scan, Int64GetDatum(place->environment_id));
		fsw_scan_equal(scan, Int64GetDatum(flag_facts->environment->source_hash));
		fsw_scan_equal(scan, Int64GetDatum(flag_facts->feature.names[i]));
		fsw_scan_key(scan, BTGreaterStrategyNumber, TimestampTzGetDatum(place->between->from));
		fsw_scan_begin(scan, ForwardScanDirection);
		while (fsw_scan_next(scan))
		{
			int64		at = fsw_scan_int64(scan, EFFECT_occurred_at, 0);

			CHECK_FOR_INTERRUPTS();
			if (!fsw_entry_is_of(scan, flag_facts))
				continue;
			place->version = place->has_version ? Min(place->version, at) : at;
			place->has_version = true;
			break;
		}
	}
	place->knows = true;
}

/* Since when is the environment heard of? */
static int64
heard_from(Place *place)
{
	FswNames	names;
	char	   *id;

	if (place->heard == FSW_NEVER)
	{
		id = psprintf(INT64_FORMAT, place->environment_id);
		fsw_names_read(place->reading->reader, place->reading->flag_facts->environment->source, "environment", id, &names);
		place->heard = names.n == 0 ? FSW_FOREVER : names.from[0];
		pfree(id);
	}
	return place->heard;
}

/*
 * Do the variants of an event's previous state say which percentage is as it
 * was added?  Of what is saved by itself they are those of which one was saved
 * before, but not of a change request, which has its own, nor of what is saved
 * after one; of a version all, if no version was told of since.  What the
 * flag's own next event tells of the time before it other rules say.
 */
static bool
tells_added(Place *place, FswScan *scan, int64 at, FswSeen *seen)
{
	if (place->environment_id == place->reading->flag_facts->environment->environment_id ||
		fsw_scan_is_null(scan, FLAG_variants_before) || fsw_scan_is(scan, FLAG_changed_by, "") ||
		!fsw_scan_is(scan, FLAG_origin, "webhook"))
		return false;
	read_version(place);
	seen->versioned = place->has_version;
	return !seen->versioned || (place->version >= at && fsw_apart(place->version, at) <= ENTRY_OF_VERSION);
}

/* The variants in a column of the row that a scan found. */
static int
read_variants(const Place *place, FswScan *scan, int column)
{
	bool		isnull;
	Datum		variants = fsw_scan_column(scan, column, &isnull);

	return fsw_intern_state(&place->reading->states, false, (Datum) 0, true, variants, isnull);
}

/* An event in a scan, if it was read within the stretch for sure. */
static bool
read_event(Place *place, FswScan *scan, bool first)
{
	FswSeenBetween *between = place->between;
	int64		at = fsw_scan_int64(scan, FLAG_event_at, 0);
	int64		received_at = fsw_scan_int64(scan, FLAG_received_at, 0);
	FswSeen		seen = {.before = FSW_NOT_TOLD};

	if (!fsw_is_known(scan, FLAG_stored_at, place->reading->flag_facts->environment) || fsw_is_ahead(at, received_at) ||
		fsw_scan_is_null(scan, FLAG_variants) || fsw_scan_is(scan, FLAG_origin, "unknown_event") ||
		(between->to != FSW_FOREVER &&
		 fsw_after(fsw_first_arrival(place->reading->reader, fsw_scan_int64(scan, FLAG_delivery, 0), received_at),
				   READ_LATE) > between->to))
		return false;
	if (first && tells_added(place, scan, at, &seen))
	{
		seen.before = read_variants(place, scan, FLAG_variants_before);
		seen.heard = heard_from(place);
	}
	seen.state = read_variants(place, scan, FLAG_variants);
	FSW_PUSH(between->seen, between->n, between->max) = seen;
	return true;
}

/* The events of one time, the first or the last in the stretch. */
static bool
read_side(Place *place, bool first)
{
	const FswFlagFacts *flag_facts = place->reading->flag_facts;
	FswSeenBetween *between = place->between;
	FswScan    *scan = fsw_scan_of(place->reading->reader, FSW_INDEX_DEFAULT);
	bool		found = false;
	int64		at = 0;

	fsw_scan_equal(scan, Int64GetDatum(flag_facts->feature.id));
	fsw_scan_equal(scan, Int64GetDatum(place->environment_id));
	fsw_scan_equal(scan, Int64GetDatum(flag_facts->environment->source_hash));
	fsw_scan_key(scan, BTGreaterEqualStrategyNumber, TimestampTzGetDatum(fsw_after(between->from, READ_EARLY)));
	if (between->to != FSW_FOREVER)
		fsw_scan_key(scan, BTLessStrategyNumber, TimestampTzGetDatum(between->to));
	fsw_scan_begin(scan, first ? ForwardScanDirection : BackwardScanDirection);
	for (int n = 0; n < FSW_WINDOW && fsw_scan_next(scan); n++)
	{
		CHECK_FOR_INTERRUPTS();
		if (found && fsw_scan_int64(scan, FLAG_event_at, 0) != at)
			break;
		if (!read_event(place, scan, first))
			continue;
		at = fsw_scan_int64(scan, FLAG_event_at, 0);
		found = true;
	}
	return found;
}

/*
 * fsw_see_variants() - what is seen of the variants from one of the entries that
 * change them up to the next; returns how many readings that are.
 */
int
fsw_see_variants(FswFlag *flag, int64 from, int64 to, const FswSeen **seen)
{
	FswHistoryReading *reading = flag->see_with;
	FswEnvironment *environment = reading->flag_facts->environment;
	FswSeenBetween *between;

	for (int i = 0; i < reading->nseen; i++)
	{
		if (reading->seen[i].from != from || reading->seen[i].to != to)
			continue;
		*seen = reading->seen[i].seen;
		return reading->seen[i].n;
	}
	between = &FSW_PUSH(reading->seen, reading->nseen, reading->maxseen);
	memset(between, 0, sizeof(FswSeenBetween));
	between->from = from;
	between->to = to;
	fsw_environment_siblings(reading->reader, environment);
	for (int i = 0; i < Min(environment->nsiblings, FSW_WINDOW); i++)
	{
		Place		place = {.reading = reading,.between = between,.environment_id = environment->siblings[i],.heard = FSW_NEVER};

		CHECK_FOR_INTERRUPTS();
		if (read_side(&place, true))
			(void) read_side(&place, false);
	}
	*seen = between->seen;
	return between->n;
}
