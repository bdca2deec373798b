/*-------------------------------------------------------------------------
 *
 * src/read/builder.c
 *	  The history of one flag: evidence read from the tables by index.
 *
 * Flag events and imported states are read here, audit entries and version
 * lists in audit.c.  Of an instant, only what can tell of it is read: the
 * events around it, to the next other state on either side, and the entries
 * between these.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "src/base/fsw.h"
#include "src/decode/row.h"
#include "src/read/builder.h"
#include "src/read/read.h"

/* So many segments are searched one by one. */
#define FEW_SEGMENTS	4

/* Where the entries of the indexes have event_at. */
#define DEFAULT_EVENT_AT	3
#define OVERRIDE_EVENT_AT	5

static void *
grow(void *array, int *max, size_t size)
{
	int			old = *max;

	*max = Max(16, old * 2);
	if (array == NULL)
		return MemoryContextAllocExtended(CurrentMemoryContext, *max * size,
										  MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	array = repalloc_huge(array, *max * size);
	memset((char *) array + old * size, 0, (*max - old) * size);
	return array;
}

FswEvidence *
fsw_read_evidence(FswHistoryReading *reading, FswEvidenceKind kind, int scope, int64 at, int64 arrived)
{
	FswFlag    *flag = &reading->history->flag;
	FswEvidence *piece;

	if (flag->nevidence == reading->maxevidence)
		flag->evidence = grow(flag->evidence, &reading->maxevidence, sizeof(FswEvidence));
	piece = &flag->evidence[flag->nevidence++];
	piece->kind = kind;
	piece->scope = scope;
	piece->at = at;
	piece->arrived = arrived;
	piece->digest = 0;
	piece->version = 0;
	piece->state = FSW_NOT_TOLD;
	piece->before = FSW_NOT_TOLD;
	piece->nlist = 0;
	piece->list = NULL;
	piece->step = 0;
	piece->by_nobody = false;
	piece->row = -1;
	piece->guessed = false;
	piece->settled = false;
	return piece;
}

int
fsw_read_row(FswHistoryReading *reading, int64 delivery, const char *changed_by, bool has_priority, int64 priority)
{
	FswHistory *history = reading->history;
	FswShownRow *row;

	if (reading->nrows == reading->maxrows)
		history->shown_rows = grow(history->shown_rows, &reading->maxrows, sizeof(FswShownRow));
	row = &history->shown_rows[reading->nrows];
	row->delivery = delivery;
	row->changed_by = unconstify(char *, changed_by);
	row->has_priority = has_priority;
	row->priority = priority;
	return reading->nrows++;
}

static int
add_scope(FswHistoryReading *reading, FswScopeKind kind, uint64 key)
{
	FswHistory *history = reading->history;
	FswFlag    *flag = &history->flag;

	if (flag->nscopes == reading->maxscopes)
	{
		int			max = reading->maxscopes;

		history->shown_scopes = grow(history->shown_scopes, &max, sizeof(FswShownScope));
		max = reading->maxscopes;
		reading->ranges = grow(reading->ranges, &max, sizeof(FswRange));
		max = reading->maxscopes;
		reading->scope_keys = grow(reading->scope_keys, &max, sizeof(uint64));
		flag->scopes = grow(flag->scopes, &reading->maxscopes, sizeof(FswScope));
	}
	flag->scopes[flag->nscopes].kind = kind;
	flag->scopes[flag->nscopes].created_at = FSW_NEVER;
	flag->scopes[flag->nscopes].ended = FSW_FOREVER;
	reading->ranges[flag->nscopes].from = FSW_NEVER;
	reading->ranges[flag->nscopes].to = FSW_FOREVER;
	reading->ranges[flag->nscopes].torn = false;
	reading->scope_keys[flag->nscopes] = key;
	return flag->nscopes++;
}

/* Where the scope of a key is in the buckets, or has to be put. */
static int *
scope_bucket(FswHistoryReading *reading, uint64 key, int scope)
{
	uint64		mask = reading->nbuckets - 1;
	uint64		bucket = hash_combine64(key, 0) & mask;

	/* from the given scope on, which has the same key */
	while (reading->buckets[bucket] != 0 &&
		   (reading->scope_keys[reading->buckets[bucket]] != key || reading->buckets[bucket] <= scope))
		bucket = (bucket + 1) & mask;
	return &reading->buckets[bucket];
}

/* Make room for one more scope of an override. */
static void
grow_buckets(FswHistoryReading *reading)
{
	int			nscopes = reading->history->flag.nscopes;

	if (nscopes * 2 < reading->nbuckets)
		return;
	reading->nbuckets = Max(64, reading->nbuckets * 2);
	reading->buckets = MemoryContextAllocExtended(CurrentMemoryContext, reading->nbuckets * sizeof(int),
												  MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	for (int scope = 1; scope < nscopes; scope++)
	{
		if (reading->scope_keys[scope] != 0)
			*scope_bucket(reading, reading->scope_keys[scope], nscopes) = scope;
	}
}

/* The scope of a segment's override, made when it is met for the first time. */
int
fsw_segment_scope(FswHistoryReading *reading, int64 segment_id)
{
	uint64		key = hash_combine64((uint64) segment_id, FSW_SCOPE_SEGMENT);
	int			scope = 0;
	int		   *bucket;

	grow_buckets(reading);
	for (;;)
	{
		bucket = scope_bucket(reading, key, scope);
		scope = *bucket;
		if (scope == 0)
			break;
		if (reading->history->flag.scopes[scope].kind == FSW_SCOPE_SEGMENT &&
			reading->history->shown_scopes[scope].segment_id == segment_id)
			return scope;
	}
	scope = add_scope(reading, FSW_SCOPE_SEGMENT, key);
	reading->history->shown_scopes[scope].segment_id = segment_id;
	*bucket = scope;
	return scope;
}

static int
identity_scope(FswHistoryReading *reading, FswScan *scan)
{
	text	   *identity = fsw_scan_text(scan, FLAG_identity);
	char	   *kind = fsw_scan_cstring(scan, FLAG_identity_kind);
	FswShownScope *shown;
	uint64		key;
	int			scope = 0;
	int		   *bucket;

	if (identity == NULL)
		identity = cstring_to_text("");
	if (kind == NULL)
		kind = "";
	key = DatumGetUInt64(hash_any_extended((unsigned char *) VARDATA_ANY(identity),
										   VARSIZE_ANY_EXHDR(identity), FSW_SCOPE_IDENTITY));
	for (;;)
	{
		bucket = scope_bucket(reading, key, scope);
		scope = *bucket;
		if (scope == 0)
			break;
		shown = &reading->history->shown_scopes[scope];
		if (reading->history->flag.scopes[scope].kind == FSW_SCOPE_IDENTITY &&
			fsw_scan_is(scan, FLAG_identity, shown->identity) &&
			strcmp(shown->identity_kind, kind) == 0)
		{
			/* an import does not give it */
			if (shown->identity_identifier == NULL)
				shown->identity_identifier = fsw_scan_cstring(scan, FLAG_identity_identifier);
			return scope;
		}
	}
	scope = add_scope(reading, FSW_SCOPE_IDENTITY, key);
	shown = &reading->history->shown_scopes[scope];
	shown->identity = text_to_cstring(identity);
	shown->identity_kind = kind;
	shown->identity_identifier = fsw_scan_cstring(scan, FLAG_identity_identifier);
	*bucket = scope;
	return scope;
}

/*
 * The scope of an identity that no event ever showed.  Its key is not known;
 * what stands in for it keeps it apart from the environment default.
 */
int
fsw_nameless_scope(FswHistoryReading *reading, const char *identifier)
{
	int			scope = add_scope(reading, FSW_SCOPE_IDENTITY, 0);

	reading->history->shown_scopes[scope].identity_kind = "identifier";
	reading->history->shown_scopes[scope].identity = pstrdup(identifier);
	reading->history->shown_scopes[scope].identity_identifier = pstrdup(identifier);
	return scope;
}

/* The scope of an override, made when it is met for the first time. */
int
fsw_override_scope(FswHistoryReading *reading, FswScan *scan)
{
	grow_buckets(reading);
	if (!fsw_scan_is_null(scan, FLAG_segment_id))
		return fsw_segment_scope(reading, fsw_scan_int64(scan, FLAG_segment_id, 0));
	return identity_scope(reading, scan);
}

/* The state in three columns of a flag event. */
static int
read_state(FswHistoryReading *reading, FswScan *scan, int enabled_column, int value_column,
		   int variants_column, int otherwise)
{
	bool		isnull;
	bool		value_isnull;
	bool		variants_isnull;
	Datum		enabled = fsw_scan_column(scan, enabled_column, &isnull);
	Datum		value;
	Datum		variants;

	if (isnull)
		return otherwise;
	value = fsw_scan_column(scan, value_column, &value_isnull);
	variants = fsw_scan_column(scan, variants_column, &variants_isnull);
	return fsw_intern_state(&reading->states, DatumGetBool(enabled), value, value_isnull,
							variants, variants_isnull);
}

/* A flag event or an imported state as evidence about its scope. */
void
fsw_read_change(FswHistoryReading *reading, FswScan *scan, int scope)
{
	FswFlag    *flag = &reading->history->flag;
	bool		deleted = fsw_scan_bool(scan, FLAG_deleted);
	bool		imported = fsw_scan_is(scan, FLAG_origin, "import");
	int64		delivery = fsw_scan_int64(scan, FLAG_delivery, 0);
	int64		at = fsw_scan_int64(scan, FLAG_event_at, 0);
	int64		received_at = fsw_scan_int64(scan, FLAG_received_at, 0);
	int64		arrived = fsw_first_arrival(reading->reader, delivery, received_at);
	FswEvidence *piece;

	if (reading->created_at == FSW_NEVER)
		reading->created_at = fsw_scan_int64(scan, FLAG_feature_created_date, FSW_NEVER);
	piece = fsw_read_evidence(reading,
							  deleted ? FSW_EV_DELETED : imported ? FSW_EV_IMPORT : FSW_EV_BODY, scope,
							  fsw_is_ahead(at, received_at) ? arrived : at, arrived);
	piece->by_nobody = !imported && fsw_scan_is(scan, FLAG_changed_by, "");
	piece->row = fsw_read_row(reading, delivery, fsw_scan_cstring(scan, FLAG_changed_by),
							  !fsw_scan_is_null(scan, FLAG_segment_priority),
							  fsw_scan_int64(scan, FLAG_segment_priority, 0));
	piece->guessed = fsw_scan_is(scan, FLAG_origin, "unknown_event");
	/* a state without one is a deletion in old releases */
	if (!deleted)
		piece->state = read_state(reading, scan, FLAG_enabled, FLAG_value, FLAG_variants, FSW_NOT_LIVE);
	piece->before = read_state(reading, scan, FLAG_enabled_before, FLAG_value_before,
							   FLAG_variants_before, imported ? FSW_NOT_TOLD : FSW_NOT_LIVE);
	if (piece->state >= 0)
		piece->digest = hash_combine64(flag->states[piece->state].content, flag->states[piece->state].enabled);
	if (piece->before >= 0)
		piece->digest = hash_combine64(piece->digest, flag->states[piece->before].content);
}

/* Read the rows of a scan from its begin on: of one scope, or of overrides. */
static int
read_changes(FswHistoryReading *reading, FswScan *scan, ScanDirection direction, bool overrides,
			 int limit)
{
	int			n = 0;

	fsw_scan_begin(scan, direction);
	while (n < limit && fsw_scan_next(scan))
	{
		if (!fsw_is_known(scan, FLAG_stored_at, reading->flag_facts->environment))
			continue;
		fsw_read_change(reading, scan, overrides ? fsw_override_scope(reading, scan) : 0);
		n++;
	}
	return n;
}

/* The deletions of the environment default: few, and far from their time. */
static void
read_deletions(FswHistoryReading *reading)
{
	FswScan    *scan = fsw_scan_of(reading->reader, FSW_INDEX_DELETED);

	fsw_scan_flag(scan, reading->flag_facts);
	(void) read_changes(reading, scan, ForwardScanDirection, false,
						reading->near == NULL ? PG_INT32_MAX : FSW_WINDOW);
}

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

static FswScan *
scan_scope(FswHistoryReading *reading, const FswOverride *override)
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

/*
 * The events of a scope around an instant, in one direction: at least so
 * many, and up to a time with one state that is another than the nearest.
 * The neighbours of an act are all that its confidence depends on; more are
 * read only to know since when and until when the state is the same.
 */
static void
read_near(FswHistoryReading *reading, const FswOverride *override, bool before, int least,
		  Nearest *nearest)
{
	FswScan    *scan = scan_scope(reading, override);
	FswFlag    *flag = &reading->history->flag;
	int			event_at = override == NULL ? DEFAULT_EVENT_AT : OVERRIDE_EVENT_AT;
	int			received_at = event_at + 1;
	bool		first = nearest->n == 0;
	int			n = 0;			/* events */
	int			ntimes = 0;
	int			scope = 0;
	int64		last_at = 0;
	int			last_state = FSW_NOT_SEEN;
	bool		torn = false;	/* the time last seen */
	bool		whole = true;
	Datum		values[FSW_ENTRY_COLUMNS];
	bool		nulls[FSW_ENTRY_COLUMNS];

	fsw_scan_key(scan, before ? BTLessEqualStrategyNumber : BTGreaterStrategyNumber,
				 TimestampTzGetDatum(*reading->near));
	fsw_scan_begin(scan, before ? BackwardScanDirection : ForwardScanDirection);
	while (fsw_scan_next_entry(scan, values, nulls))
	{
		int64		at = nulls[event_at] ? 0 : DatumGetTimestampTz(values[event_at]);
		const FswEvidence *piece;

		if (!nulls[received_at] && fsw_is_ahead(at, DatumGetTimestampTz(values[received_at])))
			continue;
		if (n > 0 && at != last_at)
		{
			if (++ntimes >= FSW_WINDOW ||
				(n >= least && !torn && last_state != FSW_NOT_SEEN && !is_nearest(nearest, last_state)))
			{
				whole = false;
				break;
			}
			first = first && last_state == FSW_NOT_SEEN;
			torn = false;
			last_state = FSW_NOT_SEEN;
		}
		fsw_scan_fetch(scan);
		if (!fsw_is_known(scan, FLAG_stored_at, reading->flag_facts->environment))
			continue;
		if (override != NULL)
			scope = fsw_override_scope(reading, scan);
		fsw_read_change(reading, scan, scope);
		last_at = at;
		n++;
		piece = &flag->evidence[flag->nevidence - 1];
		if (piece->kind == FSW_EV_DELETED)
			continue;
		if (last_state != FSW_NOT_SEEN && piece->state != last_state)
		{
			torn = true;
			reading->ranges[scope].torn = true;
		}
		last_state = piece->state;
		if (first && !is_nearest(nearest, piece->state) &&
			nearest->n++ < (int) lengthof(nearest->states))
			nearest->states[nearest->n - 1] = piece->state;
	}
	if (whole || n == 0)
		return;
	if (before)
		reading->ranges[scope].from = last_at;
	else
		reading->ranges[scope].to = last_at;
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

/* All overrides, or those of segments alone. */
static void
read_overrides(FswHistoryReading *reading, bool identities)
{
	FswScan    *scan = fsw_scan_of(reading->reader, FSW_INDEX_OVERRIDE);

	fsw_scan_flag(scan, reading->flag_facts);
	if (!identities)
		fsw_scan_key_null(scan, false);
	(void) read_changes(reading, scan, ForwardScanDirection, true, PG_INT32_MAX);
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
int64 *
fsw_find_segments(FswHistoryReading *reading, int *n)
{
	int			max = 0;
	int64	   *segments = NULL;
	int64		from;
	int64		segment;

	*n = 0;
	while (next_segment(reading, *n > 0 ? &from : NULL, &segment))
	{
		if (*n == max)
			segments = grow(segments, &max, sizeof(int64));
		segments[(*n)++] = segment;
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
		if (*n == max)
			segments = grow(segments, &max, sizeof(int64));
		segments[(*n)++] = segment;
		i++;
	}
	return segments;
}

/* The events of one scope around the instant. */
static void
read_scope(FswHistoryReading *reading, const FswOverride *override, int least)
{
	Nearest		nearest = {0};

	read_near(reading, override, true, least, &nearest);
	if (*reading->near != FSW_FOREVER)
		read_near(reading, override, false, least, &nearest);
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
static int64
hash_of_identity(FswScan *scan)
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
	override->identity = hash_of_identity(scan);
	return true;
}

/* All overrides that the flag ever had; NULL where these are many. */
static FswOverride *
find_overrides(FswHistoryReading *reading, int *n)
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
static void
read_around(FswHistoryReading *reading)
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
		segments = fsw_find_segments(reading, &nsegments);
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

/* Has the environment default more events than that? */
static bool
is_longer(FswReader *reader, const FswFlagFacts *flag_facts, int limit)
{
	FswScan    *scan = fsw_scan_of(reader, FSW_INDEX_DEFAULT);
	Datum		values[FSW_ENTRY_COLUMNS];
	bool		nulls[FSW_ENTRY_COLUMNS];
	int			n = 0;

	fsw_scan_flag(scan, flag_facts);
	fsw_scan_begin(scan, ForwardScanDirection);
	while (n <= limit && fsw_scan_next_entry(scan, values, nulls))
		n++;
	return n > limit;
}

/* What was there before the first event. */
static void
read_start(FswHistoryReading *reading)
{
	const FswFlagFacts *flag_facts = reading->flag_facts;
	FswFlag    *flag = &reading->history->flag;
	FswCreation creation = fsw_creation_read(reading->reader, flag_facts);

	reading->created_at = flag_facts->created != FSW_NEVER ? flag_facts->created : creation.created;
	flag->created_at = fsw_flag_created_at(reading->reader, flag_facts, reading->created_at);
	for (int i = 0; i < flag->nscopes; i++)
		flag->scopes[i].created_at = reading->ranges[i].from == FSW_NEVER ? flag->created_at : FSW_NEVER;
	if (creation.has_defaults)
		flag->defaults = fsw_intern_state(&reading->states, creation.enabled, creation.value, false,
										  (Datum) 0, true);

	/*
	 * A webhook that was registered when the flag had existed for long says
	 * nothing of the time before: then the defaults are a mere deduction.
	 */
	flag->defaults_complete = creation.has_defaults && creation.told && !creation.multivariate;

	/* what was made after the environment went is not in it */
	if (flag->created_at != FSW_NEVER && flag->created_at >= fsw_environment_end(reading->reader, flag_facts->environment))
	{
		flag->deleted_at = Min(flag->deleted_at, flag->created_at);
		flag->deleted_exactly = true;
		flag->deleted_with = FSW_CAUSE_ENVIRONMENT_DELETED;
	}
}

/*
 * Audit entries that are missing take the proof from what is confirmed
 * because none came.  Of one instant, only those can matter that were made
 * since the last event of a scope.
 */
static void
lower_holes(const FswHistoryReading *reading)
{
	FswHistory *history = reading->history;
	const FswFlag *flag = &history->flag;
	int64		until = reading->near == NULL ? FSW_FOREVER : *reading->near;
	int64		from = FSW_FOREVER;
	FswEnvironment *environment = reading->flag_facts->environment;

	for (int i = 0; i < history->timeline->nperiods; i++)
	{
		const FswPeriod *period = &history->timeline->periods[i];
		int64		last = FSW_NEVER;

		CHECK_FOR_INTERRUPTS();
		if (period->confidence < FSW_CONFIRMED ||
			(reading->near != NULL && (period->from > until || (period->to <= until && period->to != FSW_FOREVER))))
			continue;
		for (int j = 0; j < flag->nevidence && reading->near != NULL; j++)
		{
			const FswEvidence *piece = &flag->evidence[j];

			if (piece->scope == period->scope && piece->at <= until &&
				(piece->kind == FSW_EV_BODY || piece->kind == FSW_EV_IMPORT))
				last = Max(last, piece->at);
		}
		/* with versions, a list tells all there is anew */
		if (flag->scopes[period->scope].kind != FSW_SCOPE_IDENTITY)
			last = Max(last, reading->first);
		from = Min(from, last);
	}
	if (from == FSW_FOREVER)
		return;
	fsw_holes_read(reading->reader, environment, from, until);
	fsw_holes_lower(flag, history->timeline, environment->nholes, environment->holes);
}

/* Begin to read a history: what is known before any of its states. */
void
fsw_history_begin(FswHistoryReading *reading, FswReader *reader, const FswFlagFacts *flag_facts,
				  const FswAsked *asked, const int64 *near)
{
	FswHistory *history = palloc0_object(FswHistory);
	FswFlag    *flag = &history->flag;

	memset(reading, 0, sizeof(FswHistoryReading));
	reading->reader = reader;
	reading->flag_facts = flag_facts;
	reading->asked = asked;
	reading->near = near;
	reading->history = history;
	reading->states.history = history;
	reading->states.mcxt = CurrentMemoryContext;
	reading->created_at = FSW_NEVER;
	reading->first = FSW_NEVER;
	(void) add_scope(reading, FSW_SCOPE_DEFAULT, 0);
	fsw_environment_facts(reader, flag_facts->environment);
	flag->versioned = flag_facts->versioned;
	flag->deleted_at = flag_facts->deleted_at;
	flag->deleted_exactly = flag_facts->deleted_exactly;
	flag->deleted_with = flag_facts->deleted_with;
	flag->latest_audit_at = flag_facts->environment->latest_audit_at;
	flag->created_at = FSW_NEVER;
	flag->defaults = FSW_NOT_TOLD;
}

/* Read the flag events of a history that is not read near an instant of versions. */
static void
read_events(FswHistoryReading *reading)
{
	const FswFlagFacts *flag_facts = reading->flag_facts;
	const FswAsked *asked = reading->asked;

	if (flag_facts->versioned)
		read_deletions(reading);
	if (reading->near != NULL)
		read_around(reading);
	else
	{
		FswScan    *scan = scan_scope(reading, NULL);

		(void) read_changes(reading, scan, ForwardScanDirection, false, PG_INT32_MAX);
		if (asked->everything || flag_facts->versioned || asked->nsegments > 0 || asked->identity != NULL)
			read_overrides(reading, asked->everything || asked->identity != NULL);
	}

	/* the last edit, where all events up to it are read */
	if (!flag_facts->versioned && flag_facts->deleted && reading->ranges[0].to == FSW_FOREVER)
		read_deletions(reading);
}

/* Build the history of which the flag events are read. */
FswHistory *
fsw_history_build(FswHistoryReading *reading)
{
	FswHistory *history = reading->history;
	FswFlag    *flag = &history->flag;
	const FswFlagFacts *flag_facts = reading->flag_facts;
	bool		from_start = false;

	/* what was there before the first event, where that can matter */
	for (int i = 0; i < flag->nscopes; i++)
		from_start = from_start || reading->ranges[i].from == FSW_NEVER;
	if (from_start || flag_facts->versioned)
		read_start(reading);
	else if (flag_facts->created != FSW_NEVER)
		reading->created_at = flag_facts->created;
	flag->clone = fsw_flag_facts_is_copy(reading->reader, flag_facts, reading->created_at);
	flag->absence = flag->clone ? FSW_INFERRED : flag_facts->versioned ? FSW_CONFIRMED : FSW_REPORTED;

	fsw_read_told_scopes(reading);
	fsw_read_scope_names(reading);
	fsw_read_entries(reading);
	if (flag_facts->versioned && !flag->near)
		fsw_read_versions(reading);
	flag->combine = fsw_combine_state;
	flag->combine_with = &reading->states;
	history->timeline = fsw_timeline_build(flag);
	history->whole = reading->near == NULL;
	if (!reading->asked->state_alone)
		lower_holes(reading);
	return history;
}

/*
 * Read and build the history of one flag, all of it or what is around one
 * instant.
 */
FswHistory *
fsw_history_read(FswReader *reader, const FswFlagFacts *flag_facts, const FswAsked *asked, const int64 *near)
{
	FswHistoryReading reading = {.reader = reader,.flag_facts = flag_facts};
	FswHistory *history = NULL;
	FswOverride *overrides = NULL;
	int			noverrides = 0;

	/*
	 * of a few overrides each can be read by itself, but for those of
	 * versions
	 */
	if (near != NULL && asked->everything)
	{
		overrides = find_overrides(&reading, &noverrides);
		if (overrides == NULL || (flag_facts->versioned && noverrides > 0))
			near = NULL;
	}
	if (near != NULL && flag_facts->versioned)
		history = fsw_near_read(reader, flag_facts, asked, *near);
	if (history != NULL)
		return history;
	if (near != NULL && (flag_facts->versioned || flag_facts->drafts || flag_facts->deleted) && !is_longer(reader, flag_facts, FSW_LONG_VERSIONED))
		near = NULL;
	fsw_history_begin(&reading, reader, flag_facts, asked, near);
	reading.overrides = overrides;
	reading.noverrides = near == NULL ? 0 : noverrides;
	read_events(&reading);
	return fsw_history_build(&reading);
}

/* Where the state of a period came from, NULL if from no delivery. */
const FswShownRow *
fsw_history_row(const FswHistory *history, const FswPeriod *period)
{
	int			row;

	if (period->evidence < 0)
		return NULL;
	row = history->flag.evidence[period->evidence].row;
	return row < 0 ? NULL : &history->shown_rows[row];
}
