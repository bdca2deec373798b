/*-------------------------------------------------------------------------
 *
 * src/read/audit.c
 *	  Audit entries and published versions as evidence about one flag.
 *
 * See builder.c, which reads the rest.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"

#include "src/base/fsw.h"
#include "src/decode/row.h"
#include "src/read/builder.h"

/*
 * A delivery is tried so long after what it tells, at most: that of an entry that
 * was fetched would have come by then.
 */
#define LAST_TRY	INT64CONST(50000000)

/* A name of a scope, as audit effects have its hash. */
static void
add_scope_name(FswHistoryReading *reading, int scope, int *max, int64 since, const char *prefix,
			   const char *name, size_t length)
{
	FswNameSince *added;

	if (reading->nscope_names[scope] == *max)
	{
		*max = Max(2, *max * 2);
		reading->scope_names[scope] = reading->scope_names[scope] == NULL ?
			palloc_array(FswNameSince, *max) :
			repalloc_array(reading->scope_names[scope], FswNameSince, *max);
	}
	added = &reading->scope_names[scope][reading->nscope_names[scope]++];
	added->since = since;
	added->hash = fsw_hash(prefix, name, length);
	added->shared = false;
}

/* Is it the segment that an experiment made for itself?  Nothing tells of what it does. */
static bool
is_of_experiment(const text *name)
{
	char	   *word = text_to_cstring(name);
	size_t		digits = 0;

	if (strncmp(word, "experiment-", strlen("experiment-")) == 0)
	{
		word += strlen("experiment-");
		digits = strspn(word, "0123456789");
	}
	return digits > 0 && strcmp(word + digits, "-rollout") == 0;
}

/* When a segment was deleted. */
static void
read_segment_end(FswHistoryReading *reading, int scope)
{
	const FswEnvironment *environment = reading->flag_facts->environment;
	int64		segment_id = reading->history->shown_scopes[scope].segment_id;
	FswScan    *scan;

	if (fsw_index_is_empty(reading->reader, FSW_INDEX_EFFECT_SEGMENT))
		return;
	scan = fsw_scan_of(reading->reader, FSW_INDEX_EFFECT_SEGMENT);
	fsw_scan_equal(scan, environment->source);
	fsw_scan_equal(scan, Int64GetDatum(segment_id));
	fsw_scan_begin(scan, ForwardScanDirection);
	while (fsw_scan_next(scan))
	{
		if (!fsw_is_known(scan, EFFECT_stored_at, environment))
			continue;
		reading->history->flag.scopes[scope].ended = fsw_scan_int64(scan, EFFECT_occurred_at, FSW_FOREVER);
		break;
	}
}

/* The names of a segment. */
static void
read_segment(FswHistoryReading *reading, int scope)
{
	const FswEnvironment *environment = reading->flag_facts->environment;
	int64		segment_id = reading->history->shown_scopes[scope].segment_id;
	FswNames	names;
	int			max = 0;
	char		id[32];

	snprintf(id, sizeof(id), INT64_FORMAT, segment_id);
	fsw_names_read(reading->reader, environment->source, "segment", id, &names);
	for (int i = 0; i < names.n; i++)
	{
		add_scope_name(reading, scope, &max, names.from[i], "segment:",
					   VARDATA_ANY(names.names[i]), VARSIZE_ANY_EXHDR(names.names[i]));
		reading->history->flag.scopes[scope].silent |= is_of_experiment(names.names[i]);
	}
	for (int i = 0; i < names.n; i++)
		reading->scope_names[scope][i].shared =
			fsw_is_shared_name(reading, segment_id, reading->scope_names[scope][i].hash, FSW_NEVER);
}

/* By which names audit entries mean the overrides. */
void
fsw_read_scope_names(FswHistoryReading *reading)
{
	FswHistory *history = reading->history;
	FswFlag    *flag = &history->flag;

	reading->scope_names = palloc0_array(FswNameSince *, flag->nscopes);
	reading->nscope_names = palloc0_array(int, flag->nscopes);
	for (int scope = 1; scope < flag->nscopes; scope++)
	{
		const char *identifier = history->shown_scopes[scope].identity_identifier;
		int			max = 0;

		CHECK_FOR_INTERRUPTS();
		if (flag->scopes[scope].kind == FSW_SCOPE_SEGMENT)
			read_segment_end(reading, scope);
		/* near an instant of versions, entries of segments are not read */
		if (flag->scopes[scope].kind == FSW_SCOPE_SEGMENT && flag->near && reading->asked->nsegments == 0)
			continue;
		if (flag->scopes[scope].kind == FSW_SCOPE_SEGMENT)
			read_segment(reading, scope);
		else if (identifier != NULL)
			add_scope_name(reading, scope, &max, FSW_NEVER, "identity:", identifier, strlen(identifier));
		flag->scopes[scope].unnamed = reading->nscope_names[scope] == 0;
	}
}

/* Had the scope's segment or identity this name then, and did it ever share it? */
static bool
scope_is_named(const FswHistoryReading *reading, int scope, int64 hash, int64 at, bool *shared)
{
	const FswNameSince *names = reading->scope_names[scope];
	int			i;

	if (reading->nscope_names[scope] == 0)
		return false;
	for (i = reading->nscope_names[scope] - 1; i > 0; i--)
	{
		if (names[i].since <= at)
			break;
	}
	*shared = names[i].shared;
	return names[i].hash == hash;
}

/* Is anything of the project called so? */
static bool
is_name_in_project(FswHistoryReading *reading, int64 hash)
{
	const FswEnvironment *environment = reading->flag_facts->environment;
	FswScan    *scan = fsw_scan_of(reading->reader, FSW_INDEX_NAME_HASH);

	fsw_scan_equal(scan, Int64GetDatum(hash));
	fsw_scan_begin(scan, ForwardScanDirection);
	while (fsw_scan_next(scan))
	{
		if (fsw_scan_int64(scan, NAME_project_id, -1) == environment->project_id &&
			fsw_scan_same_text(scan, NAME_source, environment->source))
			return true;
	}
	return false;
}

/* Do a feature and an override of these names exist in the project? */
static bool
names_exist(FswHistoryReading *reading, int64 feature_hash, bool has_scope, int64 scope_hash)
{
	return is_name_in_project(reading, feature_hash) &&
		(!has_scope || is_name_in_project(reading, scope_hash));
}

/* Can the message be split in another way that names something known? */
bool
fsw_is_ambiguous(FswHistoryReading *reading, int64 delivery, int ordinal, int split)
{
	FswScan    *scan = fsw_scan_of(reading->reader, FSW_INDEX_EFFECT);

	fsw_scan_equal(scan, Int64GetDatum(delivery));
	fsw_scan_equal(scan, Int32GetDatum(ordinal));
	fsw_scan_begin(scan, ForwardScanDirection);
	while (fsw_scan_next(scan))
	{
		if (fsw_scan_int32(scan, EFFECT_split) != split && !fsw_scan_is_null(scan, EFFECT_feature_hash) &&
			names_exist(reading, fsw_scan_int64(scan, EFFECT_feature_hash, 0),
						!fsw_scan_is_null(scan, EFFECT_scope_hash),
						fsw_scan_int64(scan, EFFECT_scope_hash, 0)))
			return true;
	}
	return false;
}

/* Did a change request or a schedule take effect then? */
static bool
is_of_request(FswHistoryReading *reading, FswScan *scan)
{
	FswEntry	entry = fsw_entry_of(scan);

	return fsw_entry_has_action(reading->reader, &entry, "committed") ||
		fsw_entry_has_action(reading->reader, &entry, "went live");
}

/* Was the entry fetched, and did not come by itself? */
static bool
is_fetched(FswHistoryReading *reading, const FswEntry *entry)
{
	FswScan    *scan = fsw_scan_row(reading->reader, FSW_INDEX_AUDIT, entry->delivery, entry->ordinal);

	return scan != NULL && !fsw_scan_is(scan, AUDIT_origin, "webhook");
}

/* An entry about a version. */
static void
read_version(FswHistoryReading *reading, FswScan *scan, int64 at, int64 arrived)
{
	text	   *uuid = fsw_scan_text(scan, EFFECT_version);
	int64		delivery = fsw_scan_int64(scan, EFFECT_delivery, 0);
	const FswEntry entry = fsw_entry_of(scan);
	FswEvidence *piece;

	/* how late it came says whether the version was scheduled */
	if (arrived > fsw_after(at, LAST_TRY) && is_fetched(reading, &entry))
		arrived = fsw_after(at, LAST_TRY);
	piece = fsw_read_evidence(reading, FSW_EV_VERSION, 0, at, arrived);
	piece->version = uuid == NULL ? 0 : DatumGetUInt64(fsw_text_hash(uuid));
	piece->row = fsw_read_row(reading, delivery, NULL, false, 0);
}

/* What an entry says about a state, false if nothing. */
static bool
state_effect(FswHistoryReading *reading, FswScan *scan, FswEvidenceKind *what)
{
	if (fsw_scan_is(scan, EFFECT_kind, "state") || fsw_scan_is(scan, EFFECT_kind, "override"))
		*what = FSW_EV_STATE;
	else if (fsw_scan_is(scan, EFFECT_kind, "value"))
		*what = FSW_EV_VALUE;
	else if (fsw_scan_is(scan, EFFECT_kind, "variant") || fsw_scan_is(scan, EFFECT_kind, "feature_created"))
		*what = FSW_EV_NEAR;
	else if (fsw_scan_is(scan, EFFECT_kind, "feature_deleted"))
		*what = FSW_EV_STATE_DELETED;
	else if (fsw_scan_is(scan, EFFECT_kind, "removal"))
		*what = fsw_is_ambiguous(reading, fsw_scan_int64(scan, EFFECT_delivery, 0),
								 fsw_scan_int32(scan, EFFECT_ordinal), fsw_scan_int32(scan, EFFECT_split)) ?
			FSW_EV_DOUBT : FSW_EV_REMOVAL;
	else
		return false;
	return true;
}

/* An entry about a state of the environment default. */
static void
read_default_entry(FswHistoryReading *reading, FswScan *scan, FswEvidenceKind what, int64 at, int64 arrived)
{
	FswEvidence *piece;
	int			row;

	if (what == FSW_EV_REMOVAL || what == FSW_EV_DOUBT || fsw_scan_is(scan, EFFECT_kind, "override"))
		return;
	if (what == FSW_EV_STATE && reading->flag_facts->drafts && is_of_request(reading, scan))
		what = FSW_EV_REQUEST;
	row = fsw_read_row(reading, fsw_scan_int64(scan, EFFECT_delivery, 0), NULL, false, 0);
	piece = fsw_read_evidence(reading, what, 0, at, arrived);
	piece->row = row;
	piece->creation = fsw_scan_is(scan, EFFECT_kind, "feature_created");
}

/*
 * Can the entry of a version, which a task writes, be of one that was published
 * before the flag was gone?
 */
static bool
was_published_in_life(const FswHistoryReading *reading, int64 at)
{
	const FswFlagFacts *flag_facts = reading->flag_facts;

	return fsw_flag_facts_has(flag_facts, reading->created_at, at) ||
		(at >= flag_facts->deleted_at && fsw_apart(at, flag_facts->deleted_at) <= FSW_LATE_ALONE);
}

/* An audit entry, or one way to split it, as evidence. */
void
fsw_read_entry_effect(FswHistoryReading *reading, FswScan *scan)
{
	FswFlag    *flag = &reading->history->flag;
	const FswShownScope *shown = reading->history->shown_scopes;
	bool		project_level = fsw_scan_is_null(scan, EFFECT_environment_id);
	int64		at = fsw_scan_int64(scan, EFFECT_occurred_at, 0);
	int64		arrived;
	int64		delivery = fsw_scan_int64(scan, EFFECT_delivery, 0);
	int64		scope_hash;
	FswEvidenceKind what;
	int			row;

	if (!fsw_entry_is_of(scan, reading->flag_facts))
		return;
	arrived = fsw_entry_arrival(reading->reader, scan);
	if (fsw_is_read_already(reading, scan, arrived))
		return;
	if (fsw_scan_is(scan, EFFECT_kind, "version"))
	{
		if (!project_level && was_published_in_life(reading, at))
			read_version(reading, scan, at, arrived);
		return;
	}
	if (!fsw_flag_facts_has(reading->flag_facts, reading->created_at, at))
		return;
	if (project_level && !fsw_scan_is(scan, EFFECT_kind, "removal"))
		return;

	if (!state_effect(reading, scan, &what))
		return;
	/* what ended before the flag was made is one of its name before it */
	if ((what == FSW_EV_REMOVAL || what == FSW_EV_DOUBT || what == FSW_EV_STATE_DELETED) &&
		at < reading->flag_facts->created)
		return;
	if (fsw_scan_is_null(scan, EFFECT_scope_hash))
	{
		read_default_entry(reading, scan, what, at, arrived);
		return;
	}
	scope_hash = fsw_scan_int64(scan, EFFECT_scope_hash, 0);
	row = fsw_read_row(reading, delivery, NULL, false, 0);
	for (int scope = 1; scope < flag->nscopes; scope++)
	{
		bool		shared;

		CHECK_FOR_INTERRUPTS();
		if (!scope_is_named(reading, scope, scope_hash, at, &shared))
			continue;
		/* of two segments of one name, it is not said which */
		shared = shared && what == FSW_EV_REMOVAL &&
			fsw_is_shared_name(reading, shown[scope].segment_id, scope_hash, at);
		fsw_read_evidence(reading, shared ? FSW_EV_DOUBT : what, scope, at, arrived)->row = row;
	}
}

/* Which entries: those of an environment or of the project, about a scope. */
typedef struct Entries
{
	int64		name;			/* of the feature, hashed */
	bool		of_versions;	/* those alone; else all but those */
	bool		of_project;
	bool		of_default;
	bool		of_scope;		/* neither: of all overrides */
	int64		scope_hash;
} Entries;

static FswScan *
scan_entries(FswHistoryReading *reading, const Entries *entries)
{
	FswScan    *scan;

	if (entries->of_versions)
		return fsw_scan_versions(reading->reader, reading->flag_facts, entries->name);
	scan = fsw_scan_entries(reading->reader, reading->flag_facts, entries->name, entries->of_project);
	if (entries->of_scope)
		fsw_scan_equal(scan, Int64GetDatum(entries->scope_hash));
	else
		fsw_scan_key_null(scan, entries->of_default);
	return scan;
}

/* The entries of a range, in one direction; at most limit. Returns how many. */
static int
read_range(FswHistoryReading *reading, const Entries *entries, int64 from, int64 to,
		   ScanDirection direction, int limit)
{
	FswScan    *scan = scan_entries(reading, entries);
	int			n = 0;

	if (from != FSW_NEVER)
		fsw_scan_key(scan, BTGreaterEqualStrategyNumber, TimestampTzGetDatum(from));
	if (to != FSW_FOREVER)
		fsw_scan_key(scan, BTLessEqualStrategyNumber, TimestampTzGetDatum(to));
	fsw_scan_begin(scan, direction);
	while (n < limit && fsw_scan_next(scan))
	{
		if (!fsw_is_known(scan, EFFECT_stored_at, reading->flag_facts->environment))
			continue;
		fsw_read_entry_effect(reading, scan);
		n++;
	}
	return n;
}

/*
 * The entries of a range around the instant: those within, or where these are
 * many, the nearest ones.
 */
static void
read_entries_near(FswHistoryReading *reading, const Entries *entries, int64 from, int64 to)
{
	FswFlag    *flag = &reading->history->flag;
	int			nevidence = flag->nevidence;

	from = fsw_after(from, -FSW_SAME_ACT);
	to = fsw_after(to, FSW_SAME_ACT);
	if (read_range(reading, entries, from, to, ForwardScanDirection, 2 * FSW_WINDOW) < 2 * FSW_WINDOW)
		return;
	flag->nevidence = nevidence;
	reading->nsame = 0;
	(void) read_range(reading, entries, from, *reading->near, BackwardScanDirection, FSW_WINDOW);
	if (fsw_after(*reading->near, 1) != FSW_FOREVER)
		(void) read_range(reading, entries, fsw_after(*reading->near, 1), to, ForwardScanDirection, FSW_WINDOW);
}

/* The entries about a scope, or about all overrides where scope is negative. */
static void
read_entries(FswHistoryReading *reading, Entries *entries, int scope)
{
	const FswFlagFacts *flag_facts = reading->flag_facts;
	FswRange	range;

	entries->of_default = scope == 0;
	entries->of_scope = scope > 0;
	if (reading->near == NULL)
	{
		(void) read_range(reading, entries, FSW_NEVER, FSW_FOREVER, ForwardScanDirection, PG_INT32_MAX);
		return;
	}

	range = reading->ranges[scope];
	/* a torn read is judged by the next entry, however late */
	if (range.torn || flag_facts->versioned)
		range.to = FSW_FOREVER;
	if (flag_facts->versioned)
		range.from = FSW_NEVER;
	if (scope == 0)
		read_entries_near(reading, entries, range.from, range.to);
	for (int i = 0; scope > 0 && i < reading->nscope_names[scope]; i++)
	{
		entries->scope_hash = reading->scope_names[scope][i].hash;
		read_entries_near(reading, entries, range.from, range.to);
	}
}

/*
 * What audit entries say may have changed.  Entries of a flag of the same
 * name, deleted before or created after, are left out by their ids and, where
 * they give none, by their time.
 */
void
fsw_read_entries(FswHistoryReading *reading)
{
	const FswFlagFacts *flag_facts = reading->flag_facts;
	FswFlag    *flag = &reading->history->flag;

	for (int i = 0; i < flag_facts->noptions; i++)
	{
		const FswOption *option = &flag_facts->options[i];

		CHECK_FOR_INTERRUPTS();
		if (!fsw_flag_facts_has(flag_facts, reading->created_at, option->at))
			continue;
		fsw_read_evidence(reading, FSW_EV_OPTION, 0, option->at, option->arrived)->step =
			fsw_entry_has_action(reading->reader, &option->entry, "created") ? 1 : -1;
		flag->defaults_complete = false;
	}
	flag->creation_told = flag_facts->created != FSW_NEVER;

	if (!flag_facts->environment->has_project)
		return;
	for (int i = 0; i < flag_facts->feature.nnames; i++)
	{
		Entries		entries = {.name = flag_facts->feature.names[i]};

		if (!flag->near)
			read_entries(reading, &entries, 0);
		entries.of_versions = true;
		if (!flag->near && flag_facts->versioned)
			read_entries(reading, &entries, 0);
		entries.of_versions = false;
		if (flag->nscopes == 1)
			continue;
		for (int of_project = 0; of_project < 2; of_project++)
		{
			entries.of_project = of_project;
			if (reading->near == NULL)
				read_entries(reading, &entries, -1);
			for (int scope = 1; reading->near != NULL && scope < flag->nscopes; scope++)
			{
				if (!flag->near || flag->scopes[scope].kind == FSW_SCOPE_IDENTITY)
					read_entries(reading, &entries, scope);
			}
		}
	}
}

/* The states of a version's list, in its order. */
static int
read_list(FswHistoryReading *reading, Jsonb *list, int **states)
{
	JsonbIterator *iterator;
	JsonbIteratorToken token;
	JsonbValue	element;
	int			n = 0;
	int			place = 0;

	if (!JB_ROOT_IS_ARRAY(list))
		return 0;
	*states = palloc_array(int, Max(1, JB_ROOT_COUNT(list)));
	iterator = JsonbIteratorInit(&list->root);
	while ((token = JsonbIteratorNext(&iterator, &element, true)) != WJB_DONE)
	{
		int			state;

		CHECK_FOR_INTERRUPTS();
		if (token != WJB_ELEM || element.type != jbvBinary ||
			!JsonContainerIsObject(element.val.binary.data))
			continue;
		state = fsw_intern_listed(&reading->states, place++, element.val.binary.data, element.val.binary.len);
		if (state != FSW_NOT_TOLD)
			(*states)[n++] = state;
		if (n > 0 && reading->default_alone)
			break;
	}
	return n;
}

/* The list in the row of a scan, false if it is none of this flag's. */
bool
fsw_read_list(FswHistoryReading *reading, FswScan *scan)
{
	FswEvidence *piece;
	int64		delivery = fsw_scan_int64(scan, VERSION_delivery, 0);
	int64		arrived;
	int			index;
	int		   *states = NULL;
	int			nstates = 0;
	text	   *uuid;
	bool		isnull;
	Datum		value;

	if (!fsw_is_known(scan, VERSION_stored_at, reading->flag_facts->environment) ||
		!fsw_list_is_of(reading->reader, scan, reading->flag_facts->environment))
		return false;
	arrived = fsw_first_arrival(reading->reader, delivery, fsw_scan_int64(scan, VERSION_received_at, 0));
	piece = fsw_read_evidence(reading, FSW_EV_LIST, 0, arrived, arrived);
	index = reading->history->flag.nevidence - 1;
	uuid = fsw_scan_text(scan, VERSION_uuid);
	piece->version = uuid == NULL ? 0 : DatumGetUInt64(fsw_text_hash(uuid));
	piece->digest = piece->version;
	piece->person = fsw_read_person(fsw_scan_text(scan, VERSION_published_by_email));
	piece->row = fsw_read_row(reading, delivery, NULL, false, 0);
	/* without a webhook, it was read from Flagsmith's database */
	piece->punctual = fsw_scan_is_null(scan, VERSION_webhook);
	value = fsw_scan_column(scan, VERSION_states, &isnull);
	if (!isnull)
		nstates = read_list(reading, DatumGetJsonbP(value), &states);
	piece = &reading->history->flag.evidence[index];
	piece->list = states;
	piece->nlist = nstates;
	return true;
}

/* The lists that a scan finds; at most limit of them. */
static void
read_lists(FswHistoryReading *reading, FswScan *scan, ScanDirection direction, int limit)
{
	int			n = 0;

	fsw_scan_begin(scan, direction);
	while (n < limit && fsw_scan_next(scan))
		n += fsw_read_list(reading, scan);
}

/*
 * The lists of published versions: all, or of each webhook those around the
 * instant.
 */
void
fsw_read_versions(FswHistoryReading *reading)
{
	const FswFlagFacts *flag_facts = reading->flag_facts;
	FswScan    *scan;

	if (reading->near == NULL)
	{
		scan = fsw_scan_lists(reading->reader, flag_facts);
		read_lists(reading, scan, ForwardScanDirection, PG_INT32_MAX);
		return;
	}
	for (int i = 0; i < flag_facts->nwebhooks; i++)
	{
		for (int before = 0; before < 2; before++)
		{
			scan = fsw_scan_lists_by(reading->reader, flag_facts, flag_facts->webhooks[i]);
			fsw_scan_key(scan, before ? BTLessEqualStrategyNumber : BTGreaterStrategyNumber,
						 TimestampTzGetDatum(*reading->near));
			read_lists(reading, scan, before ? BackwardScanDirection : ForwardScanDirection, FSW_WINDOW);
		}
	}
}
