/*-------------------------------------------------------------------------
 *
 * src/read/neighbour.c
 *	  What lies near an instant: audit entries and flag events of one flag.
 *
 * A decision about a line looks at so many neighbours at most.  What lies
 * between two pieces is counted in the same way from either of them, so that
 * one finds the other whichever is asked.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/builtins.h"

#include "src/base/array.h"
#include "src/base/fsw.h"
#include "src/decode/row.h"
#include "src/read/history.h"

/* The next column of the index is this, or NULL. */
void
fsw_search_key(FswSearch *search, Datum value, bool isnull)
{
	search->keys[search->nkeys] = value;
	search->nulls[search->nkeys++] = isnull;
}

/* Flag events of one flag, in one of the indexes that begin with its name. */
FswSearch
fsw_search_events(FswIndex index, int at_column, const text *source, int64 feature_hash, bool has_environment, int64 environment_id)
{
	FswSearch	search = {.index = index,.at_column = at_column,.source = source,.source_column = FLAG_source};

	fsw_search_key(&search, Int64GetDatum(feature_hash), false);
	fsw_search_key(&search, Int64GetDatum(environment_id), !has_environment);
	return search;
}

/* What audit entries say of one flag and one of its overrides, or of the default, but for versions. */
FswSearch
fsw_search_effects(const text *source, int64 feature_hash, bool has_environment, int64 environment_id,
				   bool has_scope, int64 scope_hash)
{
	FswSearch	search = {.index = FSW_INDEX_EFFECT_FEATURE,.at_column = EFFECT_occurred_at};

	fsw_search_key(&search, Int64GetDatum(feature_hash), false);
	fsw_search_key(&search, Int64GetDatum(environment_id), !has_environment);
	fsw_search_key(&search, fsw_text_hash(source), false);
	fsw_search_key(&search, Int64GetDatum(scope_hash), !has_scope);
	return search;
}

/* The audit entries of versions of one flag. */
FswSearch
fsw_search_versions(const text *source, int64 feature_hash, int64 environment_id)
{
	FswSearch	search = {.index = FSW_INDEX_EFFECT_PUBLISHED,.at_column = EFFECT_occurred_at};

	fsw_search_key(&search, Int64GetDatum(environment_id), false);
	fsw_search_key(&search, fsw_text_hash(source), false);
	fsw_search_key(&search, Int64GetDatum(feature_hash), false);
	return search;
}

/* Version lists of one feature, by their arrival. */
FswSearch
fsw_search_lists(const text *source, int64 feature_id)
{
	FswSearch	search = {
		.index = FSW_INDEX_VERSION_NEAR,
		.at_column = VERSION_received_at,
		.source = source,
		.source_column = VERSION_source
	};

	fsw_search_key(&search, Int64GetDatum(feature_id), false);
	return search;
}

/* Versions, change requests and what the system did in an entry's environment. */
FswSearch
fsw_search_requests(const FswPieceEntry *entry)
{
	FswSearch	search = {.index = FSW_INDEX_AUDIT_REQUEST,.at_column = AUDIT_created_date};

	fsw_search_key(&search, PointerGetDatum(entry->source), false);
	fsw_search_key(&search, Int64GetDatum(entry->environment_id), !entry->has_environment);
	return search;
}

/* Begin to read what is from one time up to another. */
FswScan *
fsw_search_begin(FswReader *reader, const FswSearch *search, int64 from, int64 to, ScanDirection direction)
{
	FswScan    *scan = fsw_scan_of(reader, search->index);

	for (int i = 0; i < search->nkeys; i++)
	{
		if (search->nulls[i])
			fsw_scan_key_null(scan, true);
		else
			fsw_scan_equal(scan, search->keys[i]);
	}
	if (from != FSW_NEVER)
		fsw_scan_key(scan, BTGreaterEqualStrategyNumber, TimestampTzGetDatum(from));
	if (to != FSW_FOREVER)
		fsw_scan_key(scan, BTLessEqualStrategyNumber, TimestampTzGetDatum(to));
	fsw_scan_begin(scan, direction);
	return scan;
}

/* The next row of the source, where the index does not tell sources apart; false behind the last. */
bool
fsw_search_next(FswScan *scan, const FswSearch *search)
{
	while (fsw_scan_next(scan))
	{
		if (search->source == NULL || fsw_scan_same_text(scan, search->source_column, PointerGetDatum(search->source)))
			return true;
	}
	return false;
}

/* The rows on one side of an instant, up to those with too many before them. */
static void
search_side(FswReader *reader, const FswSearch *search, int64 anchor, int64 from, int64 to,
			ScanDirection direction, FswVisit visit, void *argument)
{
	FswScan    *scan;
	int			nearer = 0;
	int			same = 0;		/* under the time last seen */
	int64		last = anchor;

	if (from > to)
		return;
	scan = fsw_search_begin(reader, search, from, to, direction);
	while (fsw_search_next(scan, search))
	{
		int64		at = fsw_scan_int64(scan, search->at_column, 0);

		if (at != last)
		{
			if (last != anchor)
				nearer += same;
			same = 0;
			last = at;
		}
		if (nearer >= FSW_NEIGHBOURS)
			return;
		same++;
		visit(scan, argument);
	}
}

/*
 * The rows around an instant, within a time and up to so many on either side.
 * visit() puts what it wants behind the *n that it has so far, and must not
 * search in the same index.
 */
void
fsw_search_around(FswReader *reader, const FswSearch *search, int64 from, int64 anchor, int64 to,
				  FswVisit visit, void *argument, int *n)
{
	int			before = *n;
	int			rows = 0;
	FswScan    *scan;

	/*
	 * mostly they are few: then all of them are within reach, and one search
	 * is enough
	 */
	scan = fsw_search_begin(reader, search, from, to, ForwardScanDirection);
	while (rows <= FSW_NEIGHBOURS && fsw_search_next(scan, search))
	{
		visit(scan, argument);
		rows++;
	}
	if (rows <= FSW_NEIGHBOURS)
		return;
	*n = before;
	search_side(reader, search, anchor, from, Min(anchor, to), BackwardScanDirection, visit, argument);
	if (anchor < FSW_FOREVER)
		search_side(reader, search, anchor, Max(anchor + 1, from), to, ForwardScanDirection, visit, argument);
}

/* Would the rows of one instant be found around the other? */
bool
fsw_search_reaches(FswReader *reader, const FswSearch *search, int64 a, int64 b)
{
	int64		from = Min(a, b);
	int64		to = Max(a, b);
	FswScan    *scan;
	int			n = 0;

	if (fsw_apart(to, from) < 2)
		return true;
	scan = fsw_search_begin(reader, search, from + 1, to - 1, ForwardScanDirection);
	while (n < FSW_NEIGHBOURS && fsw_search_next(scan, search))
		n++;
	return n < FSW_NEIGHBOURS;
}

/* As a visit: keep which row it is. */
void
fsw_find_row(FswScan *scan, void *found)
{
	FswFound   *kept = found;

	FSW_PUSH(kept->rows, kept->n, kept->max) = fsw_entry_of(scan);
}
