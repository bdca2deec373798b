/*-------------------------------------------------------------------------
 *
 * src/read/identifier.c
 *	  What the identities of imported states are called.
 *
 * Entries tell of an identity by its identifier, and a page of states has its
 * key alone.  An event of it in any flag has both.  Else an entry about the
 * very state does, which it names by the id that the page has, too.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"

#include "src/base/array.h"
#include "src/base/fsw.h"
#include "src/decode/row.h"
#include "src/read/builder.h"

/* The id of an imported state, as Flagsmith has it; false if the page gave none. */
static bool
state_id(FswScan *scan, int64 *id)
{
	bool		isnull;
	Datum		extra = fsw_scan_column(scan, FLAG_extra, &isnull);
	JsonbValue *found;
	char	   *digits;
	char	   *end;

	if (isnull || !JB_ROOT_IS_OBJECT(DatumGetJsonbP(extra)))
		return false;
	found = getKeyJsonValueFromContainer(&DatumGetJsonbP(extra)->root, "id", strlen("id"), NULL);
	if (found == NULL || found->type != jbvNumeric)
		return false;
	digits = DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(found->val.numeric)));
	errno = 0;
	*id = strtoll(digits, &end, 10);
	return errno == 0 && *end == '\0';
}

/* Is the scan at a state of an identity that a page told? */
static bool
is_imported(FswScan *scan)
{
	return fsw_scan_is(scan, FLAG_origin, "import") && fsw_scan_is(scan, FLAG_identity_kind, "core") &&
		fsw_scan_is_null(scan, FLAG_identity_identifier);
}

/* Keep in mind which state of a scope a page told, if it does not say whose. */
void
fsw_read_imported(FswHistoryReading *reading, FswScan *scan, int scope)
{
	FswImported imported = {.scope = scope};

	if (reading->history->flag.scopes[scope].kind == FSW_SCOPE_IDENTITY && is_imported(scan) && state_id(scan, &imported.state_id))
		FSW_PUSH(reading->imported, reading->nimported, reading->maximported) = imported;
}

/* What an entry says of a state of an identity: its id, and whose it is. */
typedef struct StateName
{
	int64		state_id;
	char	   *identifier;
} StateName;

typedef struct StateNames
{
	int			n;
	int			max;
	StateName  *names;
	int			limit;			/* so many entries more are looked at */
} StateNames;

/*
 * Take what the entries about one override say, the latest first; of more than
 * a few, the earlier ones are not looked at.
 */
static void
read_names(FswHistoryReading *reading, int64 feature_name, int64 scope_hash, StateNames *names)
{
	FswScan    *scan = fsw_scan_entries(reading->reader, reading->flag_facts, feature_name, false);

	fsw_scan_equal(scan, Int64GetDatum(scope_hash));
	fsw_scan_begin(scan, BackwardScanDirection);
	for (int n = 0; n < FSW_WINDOW && names->limit > 0 && fsw_scan_next(scan); n++)
	{
		FswEntry	entry = fsw_entry_of(scan);
		StateName	name;
		FswScan    *row;

		CHECK_FOR_INTERRUPTS();
		/* entries about a value or a percentage have the ids of other things */
		if (!fsw_entry_is_of(scan, reading->flag_facts) || fsw_scan_is(scan, EFFECT_kind, "value") ||
			fsw_scan_is(scan, EFFECT_kind, "variant") ||
			!fsw_flag_facts_has(reading->flag_facts, reading->created_at, fsw_scan_int64(scan, EFFECT_occurred_at, 0)))
			continue;
		names->limit--;
		row = fsw_scan_row(reading->reader, FSW_INDEX_AUDIT, entry.delivery, entry.ordinal);
		if (row == NULL || !fsw_scan_is(row, AUDIT_related_object_type, "FEATURE_STATE") ||
			fsw_scan_is_null(row, AUDIT_related_object_id))
			continue;
		name.state_id = fsw_scan_int64(row, AUDIT_related_object_id, 0);
		name.identifier = fsw_scan_cstring(row, AUDIT_identity);
		/* of a message that can be split in several ways, the first one */
		if (name.identifier != NULL && fsw_hash("identity:", name.identifier, strlen(name.identifier)) == scope_hash)
			FSW_PUSH(names->names, names->n, names->max) = name;
	}
}

/* The same of all overrides of the flag. */
static void
read_all_names(FswHistoryReading *reading, int64 feature_name, StateNames *names)
{
	int64		hash = 0;
	bool		begun = false;

	while (names->limit > 0 && fsw_next_told(reading->reader, reading->flag_facts, feature_name, &begun, &hash))
		read_names(reading, feature_name, hash, names);
}

static int
compare_names(const void *a, const void *b)
{
	const StateName *x = a;
	const StateName *y = b;

	return (x->state_id > y->state_id) - (x->state_id < y->state_id);
}

/* What the entries of the flag say, of one override or, where identity is NULL, of all, in the order of states. */
static StateNames
names_of_states(FswHistoryReading *reading, const char *identity, int limit)
{
	const FswFlagFacts *flag_facts = reading->flag_facts;
	StateNames	names = {.limit = limit};

	for (int i = 0; flag_facts->environment->has_project && i < flag_facts->feature.nnames; i++)
	{
		if (identity == NULL)
			read_all_names(reading, flag_facts->feature.names[i], &names);
		else
			read_names(reading, flag_facts->feature.names[i], fsw_hash("identity:", identity, strlen(identity)), &names);
	}
	if (names.n > 1)
		qsort(names.names, names.n, sizeof(StateName), compare_names);
	return names;
}

/* Whose a state is; NULL if no entry tells. */
static char *
name_of_state(const StateNames *names, int64 state_id)
{
	StateName	key = {.state_id = state_id};
	const StateName *found = names->n == 0 ? NULL : bsearch(&key, names->names, names->n, sizeof(StateName), compare_names);

	return found == NULL ? NULL : found->identifier;
}

/* What an event of any flag says that an identity is called; NULL if none told. */
static char *
name_of(FswHistoryReading *reading, const char *kind, const char *identity)
{
	FswNames	names;

	fsw_names_read(reading->reader, reading->flag_facts->environment->source, "identity", psprintf("%s:%s", kind, identity), &names);
	return names.n == 0 ? NULL : text_to_cstring(names.names[names.n - 1]);
}

/*
 * Since when the flag has an override of an identity of which nobody told what
 * it is called: it can be the one that is asked about.  FSW_FOREVER if none, or
 * not up to the instant.  Many are not looked at one by one.
 */
static int64
nameless_since(FswHistoryReading *reading)
{
	FswScan    *scan;
	int64		since = FSW_FOREVER;
	StateNames	names;
	int			n = 0;

	if (fsw_index_is_empty(reading->reader, FSW_INDEX_IMPORTED))
		return FSW_FOREVER;
	names.limit = -1;
	scan = fsw_scan_of(reading->reader, FSW_INDEX_IMPORTED);
	fsw_scan_flag(scan, reading->flag_facts);
	fsw_scan_begin(scan, ForwardScanDirection);
	while (fsw_scan_next(scan) && (since == FSW_FOREVER || reading->near == NULL))
	{
		int64		at = fsw_scan_int64(scan, FLAG_event_at, 0);
		int64		id;

		CHECK_FOR_INTERRUPTS();
		if (!fsw_is_known(scan, FLAG_stored_at, reading->flag_facts->environment) || at >= since ||
			(reading->near != NULL && at > *reading->near))
			continue;
		if (n++ < FSW_WINDOW)
		{
			if (name_of(reading, fsw_scan_cstring(scan, FLAG_identity_kind), fsw_scan_cstring(scan, FLAG_identity)) != NULL)
				continue;
			if (names.limit < 0)
				names = names_of_states(reading, NULL, 2 * FSW_WINDOW);
			if (state_id(scan, &id) && name_of_state(&names, id) != NULL)
				continue;
		}
		since = at;
	}
	return since;
}

/* What the identities of the imported states that are read are called. */
void
fsw_read_identifiers(FswHistoryReading *reading)
{
	const FswAsked *asked = reading->asked;
	StateNames	names;
	bool		nameless = false;

	reading->history->nameless = asked->identity == NULL ? FSW_FOREVER : nameless_since(reading);
	for (int i = 0; i < reading->nimported; i++)
	{
		FswShownScope *shown = &reading->history->shown_scopes[reading->imported[i].scope];

		CHECK_FOR_INTERRUPTS();
		if (shown->identity_identifier == NULL)
			shown->identity_identifier = name_of(reading, shown->identity_kind, shown->identity);
		nameless = nameless || shown->identity_identifier == NULL;
	}
	if (!nameless || (!asked->everything && asked->identity == NULL))
		return;
	names = names_of_states(reading, asked->everything ? NULL : asked->identity, PG_INT32_MAX);
	for (int i = 0; i < reading->nimported; i++)
	{
		FswShownScope *shown = &reading->history->shown_scopes[reading->imported[i].scope];

		CHECK_FOR_INTERRUPTS();
		if (shown->identity_identifier == NULL)
			shown->identity_identifier = name_of_state(&names, reading->imported[i].state_id);
	}
}

/*
 * The identity that is asked about, as far as imported states of the flag are
 * its own by what entries tell: how many, and the hashes of its key if any.  Mostly
 * there are no such entries.
 */
int
fsw_find_imported_identity(FswHistoryReading *reading, int64 **hashes)
{
	StateNames	names;
	int			n = 0;
	int			max = 0;
	int64	   *found = NULL;
	FswScan    *scan;

	if (fsw_index_is_empty(reading->reader, FSW_INDEX_IMPORTED))
		return 0;
	names = names_of_states(reading, reading->asked->identity, FSW_WINDOW);
	if (names.n == 0)
		return 0;
	scan = fsw_scan_of(reading->reader, FSW_INDEX_IMPORTED);
	fsw_scan_flag(scan, reading->flag_facts);
	fsw_scan_begin(scan, ForwardScanDirection);
	while (fsw_scan_next(scan))
	{
		int64		id;

		CHECK_FOR_INTERRUPTS();
		if (state_id(scan, &id) && name_of_state(&names, id) != NULL)
			FSW_PUSH(found, n, max) = fsw_hash_of_identity(scan);
	}
	if (n > 0)
		*hashes = found;
	return n;
}
