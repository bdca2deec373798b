/*-------------------------------------------------------------------------
 *
 * src/read/told.c
 *	  Overrides of which audit entries alone tell, and whom a name means.
 *
 * An override whose events were lost is there all the same: what it was is
 * unknown from its first entry on.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/builtins.h"

#include "src/base/array.h"
#include "src/base/fsw.h"
#include "src/decode/row.h"
#include "src/read/builder.h"

/*
 * The things that a name hash names, each once, by leaps from one to the next:
 * a thing has a row for each hour in which it was seen.  Returns false behind
 * the last.
 */
bool
fsw_next_bearer(FswReader *reader, int64 hash, bool *begun, int64 *from, FswScan **scan)
{
	text	   *source;

	*scan = fsw_scan_of(reader, FSW_INDEX_NAME_HASH);
	fsw_scan_equal(*scan, Int64GetDatum(hash));
	if (*begun)
		fsw_scan_key(*scan, BTGreaterStrategyNumber, Int64GetDatum(*from));
	fsw_scan_begin(*scan, ForwardScanDirection);
	if (!fsw_scan_next(*scan))
		return false;
	*begun = true;
	source = fsw_scan_text(*scan, NAME_source);
	*from = fsw_thing_hash(PointerGetDatum(source), fsw_scan_cstring(*scan, NAME_kind),
						   fsw_scan_cstring(*scan, NAME_id));
	return true;
}

/* Is the name that a scan found one of the source and of the project, where these are known? */
static bool
is_of_project(FswScan *scan, const FswEnvironment *environment, const char *kind)
{
	return fsw_scan_is(scan, NAME_kind, kind) && fsw_scan_same_text(scan, NAME_source, environment->source) &&
		(!environment->has_project ||
		 fsw_scan_int64(scan, NAME_project_id, environment->project_id) == environment->project_id);
}

/* So much before it was heard of, a thing can have been there. */
#define HEARD_LATE INT64CONST(50000)

/* When a thing existed first, as far as it is known; FSW_FOREVER if not. */
static int64
first_existed(FswReader *reader, Datum source, const char *kind, const char *id)
{
	FswScan    *scan = fsw_scan_of(reader, FSW_INDEX_NAME_EXISTED);

	fsw_scan_equal(scan, Int64GetDatum(fsw_thing_hash(source, kind, id)));
	fsw_scan_begin(scan, ForwardScanDirection);
	while (fsw_scan_next(scan))
	{
		if (fsw_name_is_of(scan, source, kind, id))
			return fsw_scan_int64(scan, NAME_existed_at, FSW_FOREVER);
	}
	return FSW_FOREVER;
}

/*
 * The id of what bore a name in a project at an instant: of several, the
 * youngest that was there by then.
 */
bool
fsw_id_of_name(FswReader *reader, Datum source, const char *kind, const text *name, int64 project_id,
			   int64 at, int64 *id)
{
	const FswEnvironment environment = {.source = source,.has_project = true,.project_id = project_id};
	int64		hash = fsw_name_hash(kind, VARDATA_ANY(name), VARSIZE_ANY_EXHDR(name));
	FswScan    *scan;
	bool		begun = false;
	int64		from = 0;
	int			n = 0;
	bool		was_there = false;

	while (fsw_next_bearer(reader, hash, &begun, &from, &scan))
	{
		int64		found;
		bool		there;

		CHECK_FOR_INTERRUPTS();
		if (!is_of_project(scan, &environment, kind) || !fsw_scan_id(scan, NAME_id, &found))
			continue;
		there = first_existed(reader, source, kind, psprintf(INT64_FORMAT, found)) <= fsw_after(at, HEARD_LATE);
		if (n++ == 0 || (there && !was_there) || (there == was_there && found > *id))
		{
			*id = found;
			was_there = there;
		}
	}
	return n > 0;
}

/* Which identities of the source bear the identifier that a question names. */
void
fsw_ask_identity(FswReader *reader, const FswPair *pair, FswAsked *asked, char *identity)
{
	const FswEnvironment environment = {.source = pair->source};
	int64		hash = fsw_hash("identity:", identity, strlen(identity));
	FswScan    *scan;
	bool		begun = false;
	int64		from = 0;
	int			max = 4;

	asked->identity = identity;
	asked->nidentities = 0;
	asked->identities = palloc_array(char *, max);
	while (fsw_next_bearer(reader, hash, &begun, &from, &scan))
	{
		char	   *id;

		CHECK_FOR_INTERRUPTS();
		if (!is_of_project(scan, &environment, "identity"))
			continue;
		id = fsw_scan_cstring(scan, NAME_id);
		if (strchr(id, ':') == NULL)
			continue;
		if (asked->nidentities == max)
		{
			max *= 2;
			asked->identities = repalloc_array(asked->identities, char *, max);
		}
		asked->identities[asked->nidentities++] = id;
	}
}

/* Has a segment any event of an override of the flag? */
static bool
has_override(FswHistoryReading *reading, int64 segment_id)
{
	FswScan    *scan = fsw_scan_of(reading->reader, FSW_INDEX_OVERRIDE);

	fsw_scan_flag(scan, reading->flag_facts);
	fsw_scan_equal(scan, Int64GetDatum(segment_id));
	fsw_scan_begin(scan, ForwardScanDirection);
	while (fsw_scan_next(scan))
	{
		if (fsw_is_known(scan, FLAG_stored_at, reading->flag_facts->environment))
			return true;
	}
	return false;
}

/* Was the segment called so at an instant? */
static bool
is_called(FswHistoryReading *reading, int64 segment_id, int64 hash, int64 at)
{
	FswNames	names;
	const text *name;
	char		id[32];

	snprintf(id, sizeof(id), INT64_FORMAT, segment_id);
	fsw_names_read(reading->reader, reading->flag_facts->environment->source, "segment", id, &names);
	name = names.n == 0 || names.from[0] > at ? NULL : fsw_names_at(&names, at);
	return name != NULL && fsw_hash("segment:", VARDATA_ANY(name), VARSIZE_ANY_EXHDR(name)) == hash;
}

/*
 * Does another segment with an override of the flag bear the name, too, at an
 * instant or, with FSW_NEVER, at any?  What Flagsmith keeps of an edited
 * segment bears its name as well, without an override.
 */
bool
fsw_is_shared_name(FswHistoryReading *reading, int64 segment_id, int64 hash, int64 at)
{
	FswScan    *scan;
	bool		begun = false;
	int64		from = 0;

	while (fsw_next_bearer(reading->reader, hash, &begun, &from, &scan))
	{
		int64		id;

		CHECK_FOR_INTERRUPTS();
		if (is_of_project(scan, reading->flag_facts->environment, "segment") &&
			fsw_scan_id(scan, NAME_id, &id) && id != segment_id && has_override(reading, id) &&
			(at == FSW_NEVER || is_called(reading, id, hash, at)))
			return true;
	}
	return false;
}

/*
 * The first entry that says that an override of this name was made or changed;
 * false if there is none.
 */
static bool
find_entry(FswHistoryReading *reading, int64 feature_name, int64 scope_hash, FswEntry *entry)
{
	FswScan    *scan = fsw_scan_entries(reading->reader, reading->flag_facts, feature_name, false);

	fsw_scan_equal(scan, Int64GetDatum(scope_hash));
	fsw_scan_begin(scan, ForwardScanDirection);
	while (fsw_scan_next(scan))
	{
		CHECK_FOR_INTERRUPTS();
		entry->delivery = fsw_scan_int64(scan, EFFECT_delivery, 0);
		entry->ordinal = fsw_scan_int32(scan, EFFECT_ordinal);
		if (fsw_entry_is_of(scan, reading->flag_facts) &&
			fsw_flag_facts_has(reading->flag_facts, reading->created_at, fsw_scan_int64(scan, EFFECT_occurred_at, 0)) &&
			(fsw_scan_is(scan, EFFECT_kind, "override") || fsw_scan_is(scan, EFFECT_kind, "value") ||
			 fsw_scan_is(scan, EFFECT_kind, "variant")) &&
			fsw_scan_int32(scan, EFFECT_split) == 1 &&
			!fsw_is_ambiguous(reading, entry->delivery, entry->ordinal, 1))
			return true;
	}
	return false;
}

/* The name that an entry tells of an override, NULL if it is of the other kind. */
static char *
read_name(FswReader *reader, const FswEntry *entry, int column)
{
	FswScan    *scan = fsw_scan_row(reader, FSW_INDEX_AUDIT, entry->delivery, entry->ordinal);

	return scan == NULL ? NULL : fsw_scan_cstring(scan, column);
}

/* Make the scope of an override that entries alone tell, where it is none yet. */
static void
make_scope(FswHistoryReading *reading, int64 feature_name, int64 scope_hash)
{
	FswEntry	entry;
	FswScan    *scan;
	bool		begun = false;
	int64		from = 0;
	int64		segment = 0;
	bool		found = false;
	char	   *identifier = NULL;

	if (!find_entry(reading, feature_name, scope_hash, &entry))
		return;
	while (fsw_next_bearer(reading->reader, scope_hash, &begun, &from, &scan))
	{
		int64		id;

		CHECK_FOR_INTERRUPTS();
		if (is_of_project(scan, reading->flag_facts->environment, "identity"))
			identifier = fsw_scan_cstring(scan, NAME_name);
		if (!is_of_project(scan, reading->flag_facts->environment, "segment") || !fsw_scan_id(scan, NAME_id, &id))
			continue;
		/* one with events is meant rather than one without */
		if (has_override(reading, id))
			return;
		/* the first of its name: later ones are its revisions */
		segment = found ? Min(segment, id) : id;
		found = true;
	}
	if (found)
	{
		if (!reading->flag_facts->versioned)
			(void) fsw_segment_scope(reading, segment);
		return;
	}
	if (identifier == NULL)
		identifier = read_name(reading->reader, &entry, AUDIT_identity);
	if (identifier != NULL)
		(void) fsw_nameless_scope(reading, identifier);
}

/* The hashes of the identifiers of the identities that events tell of, in order. */
static int64 *
known_identities(FswHistoryReading *reading, int *n)
{
	const FswHistory *history = reading->history;
	int64	   *hashes = palloc_array(int64, history->flag.nscopes);

	*n = 0;
	for (int scope = 1; scope < history->flag.nscopes; scope++)
	{
		const char *identifier = history->shown_scopes[scope].identity_identifier;

		CHECK_FOR_INTERRUPTS();
		if (history->flag.scopes[scope].kind == FSW_SCOPE_IDENTITY && identifier != NULL)
			hashes[(*n)++] = fsw_hash("identity:", identifier, strlen(identifier));
	}
	qsort(hashes, *n, sizeof(int64), fsw_compare_int64);
	return hashes;
}

/* All overrides of the flag that entries tell. */
static void
make_all(FswHistoryReading *reading, int64 feature_name, const int64 *known, int nknown)
{
	int64		hash = 0;
	bool		begun = false;

	while (fsw_next_told(reading->reader, reading->flag_facts, feature_name, &begun, &hash))
	{
		if (nknown == 0 || bsearch(&hash, known, nknown, sizeof(int64), fsw_compare_int64) == NULL)
			make_scope(reading, feature_name, hash);
	}
}

/* Does an entry of the flag call an identity so?  Then somebody bears it as identifier. */
static bool
is_named(FswHistoryReading *reading, int64 feature_name, int64 scope_hash)
{
	FswScan    *scan = fsw_scan_entries(reading->reader, reading->flag_facts, feature_name, false);

	fsw_scan_equal(scan, Int64GetDatum(scope_hash));
	fsw_scan_begin(scan, ForwardScanDirection);
	while (fsw_scan_next(scan))
	{
		CHECK_FOR_INTERRUPTS();
		if (fsw_scan_int32(scan, EFFECT_split) == 1 && fsw_entry_is_of(scan, reading->flag_facts))
			return true;
	}
	return false;
}

/* Of the overrides asked about, those that entries alone tell. */
static void
make_asked(FswHistoryReading *reading, int64 feature_name, const int64 *known, int nknown)
{
	const FswAsked *asked = reading->asked;
	const FswEnvironment *environment = reading->flag_facts->environment;

	if (asked->identity != NULL)
	{
		int64		hash = fsw_hash("identity:", asked->identity, strlen(asked->identity));

		if (nknown == 0 || bsearch(&hash, known, nknown, sizeof(int64), fsw_compare_int64) == NULL)
			make_scope(reading, feature_name, hash);
		reading->history->named |= asked->nidentities == 0 && is_named(reading, feature_name, hash);
	}
	for (int i = 0; i < asked->nsegments && !reading->flag_facts->versioned; i++)
	{
		FswNames	names;
		char		id[32];

		CHECK_FOR_INTERRUPTS();
		if (has_override(reading, asked->segments[i]))
			continue;
		snprintf(id, sizeof(id), INT64_FORMAT, asked->segments[i]);
		fsw_names_read(reading->reader, environment->source, "segment", id, &names);
		for (int j = 0; j < names.n; j++)
			make_scope(reading, feature_name,
					   fsw_hash("segment:", VARDATA_ANY(names.names[j]), VARSIZE_ANY_EXHDR(names.names[j])));
	}
}

/* Make the scopes of the overrides that entries alone tell. */
void
fsw_read_told_scopes(FswHistoryReading *reading)
{
	const FswFlagFacts *flag_facts = reading->flag_facts;
	const FswAsked *asked = reading->asked;
	int			nknown;
	int64	   *known;

	if (!flag_facts->environment->has_project ||
		(!asked->everything && asked->identity == NULL && asked->nsegments == 0))
		return;
	known = known_identities(reading, &nknown);
	for (int i = 0; i < flag_facts->feature.nnames; i++)
	{
		FswScan    *scan = fsw_scan_entries(reading->reader, flag_facts, flag_facts->feature.names[i], false);

		/* mostly, there are none at all */
		fsw_scan_key_null(scan, false);
		fsw_scan_begin(scan, ForwardScanDirection);
		if (!fsw_scan_next(scan))
			continue;
		if (asked->everything)
			make_all(reading, flag_facts->feature.names[i], known, nknown);
		else
			make_asked(reading, flag_facts->feature.names[i], known, nknown);
	}
	pfree(known);
}
