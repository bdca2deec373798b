/*-------------------------------------------------------------------------
 *
 * src/read/scope.c
 *	  The scopes of a flag while its history is read: the environment default,
 *	  then each override as it is met.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "src/base/array.h"
#include "src/base/fsw.h"
#include "src/decode/row.h"
#include "src/read/builder.h"

/* A scope more, of which nothing is read yet. */
int
fsw_add_scope(FswHistoryReading *reading, FswScopeKind kind, uint64 key)
{
	FswHistory *history = reading->history;
	FswFlag    *flag = &history->flag;

	int			n = flag->nscopes;
	int			max[3] = {reading->maxscopes, reading->maxscopes, reading->maxscopes};

	history->shown_scopes = fsw_grow(history->shown_scopes, n, &max[0], sizeof(FswShownScope));
	reading->ranges = fsw_grow(reading->ranges, n, &max[1], sizeof(FswRange));
	reading->scope_keys = fsw_grow(reading->scope_keys, n, &max[2], sizeof(uint64));
	flag->scopes = fsw_grow(flag->scopes, n, &reading->maxscopes, sizeof(FswScope));
	memset(&history->shown_scopes[n], 0, sizeof(FswShownScope));
	memset(&flag->scopes[n], 0, sizeof(FswScope));
	flag->scopes[n].kind = kind;
	flag->scopes[n].created_at = FSW_NEVER;
	flag->scopes[n].ended = FSW_FOREVER;
	reading->ranges[n].from = FSW_NEVER;
	reading->ranges[n].to = FSW_FOREVER;
	reading->ranges[n].torn = false;
	reading->scope_keys[n] = key;
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
	scope = fsw_add_scope(reading, FSW_SCOPE_SEGMENT, key);
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
	scope = fsw_add_scope(reading, FSW_SCOPE_IDENTITY, key);
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
	int			scope = fsw_add_scope(reading, FSW_SCOPE_IDENTITY, 0);

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
