/*-------------------------------------------------------------------------
 *
 * src/evidence.c
 *	  The history of one flag: evidence read from the tables by index.
 *
 * Audit entries name features, segments and identities; here the names meet
 * the ids that had them at the instant of the entry.
 *
 * SPI must be connected, with the rights of the owner.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type_d.h"
#include "common/hashfn.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/datum.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"
#include "utils/numeric.h"

#include "src/evidence.h"
#include "src/reading.h"

/*
 * With versions, the states of all scopes are carried from one to the next,
 * so a part of the history can be told differently than all of it where
 * versions overlap: up to this, all of it is read.
 */
#define LONG_VERSIONED 20000

int
fsw_read_run(FswPlanId id, const char *sql, int nargs, const Oid *types, Datum *values)
{
	MemoryContext old = CurrentMemoryContext;
	SPIPlanPtr	plan = fsw_plan_generic(id, sql, nargs, types);

	if (fsw_execute(plan, values, NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the history of a flag");
	/* SPI leaves its own context behind */
	MemoryContextSwitchTo(old);
	return (int) SPI_processed;
}

Datum
fsw_read_column(int row, int number, bool *isnull)
{
	return SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, number, isnull);
}

int64
fsw_read_int64(int row, int number, int64 otherwise)
{
	bool		isnull;
	Datum		value = fsw_read_column(row, number, &isnull);

	return isnull ? otherwise : DatumGetInt64(value);
}

bool
fsw_read_bool(int row, int number)
{
	bool		isnull;
	Datum		value = fsw_read_column(row, number, &isnull);

	return !isnull && DatumGetBool(value);
}

char *
fsw_read_cstring(int row, int number)
{
	bool		isnull;
	Datum		value = fsw_read_column(row, number, &isnull);

	return isnull ? NULL : TextDatumGetCString(value);
}

/* Arrays of the history grow in its memory context. */
static void *
grow(FswHistoryReading *reading, void *array, int *max, size_t size)
{
	int			old = *max;

	*max = Max(16, old * 2);
	if (array == NULL)
		return MemoryContextAllocExtended(reading->mcxt, *max * size,
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
		flag->evidence = grow(reading, flag->evidence, &reading->maxevidence, sizeof(FswEvidence));
	piece = &flag->evidence[flag->nevidence++];
	memset(piece, 0, sizeof(FswEvidence));
	piece->kind = kind;
	piece->scope = scope;
	piece->at = at;
	piece->arrived = arrived;
	piece->state = FSW_NOT_TOLD;
	piece->before = FSW_NOT_TOLD;
	piece->row = -1;
	return piece;
}

int
fsw_read_row(FswHistoryReading *reading, int64 delivery, const char *changed_by, bool has_priority, int64 priority)
{
	FswHistory *history = reading->history;
	FswShownRow *row;

	if (reading->nrows == reading->maxrows)
		history->shown_rows = grow(reading, history->shown_rows, &reading->maxrows,
								   sizeof(FswShownRow));
	row = &history->shown_rows[reading->nrows];
	row->delivery = delivery;
	row->changed_by = changed_by == NULL ? NULL : MemoryContextStrdup(reading->mcxt, changed_by);
	row->has_priority = has_priority;
	row->priority = priority;
	return reading->nrows++;
}

static int
add_scope(FswHistoryReading *reading, FswScopeKind kind)
{
	FswHistory *history = reading->history;
	FswFlag    *flag = &history->flag;

	if (flag->nscopes == reading->maxscopes)
	{
		int			max = reading->maxscopes;

		history->shown_scopes = grow(reading, history->shown_scopes, &max, sizeof(FswShownScope));
		flag->scopes = grow(reading, flag->scopes, &reading->maxscopes, sizeof(FswScope));
	}
	flag->scopes[flag->nscopes].kind = kind;
	flag->scopes[flag->nscopes].ended = FSW_FOREVER;
	return flag->nscopes++;
}

/* Names of the feature and of the environment's project. */
static void
read_names(FswHistoryReading *reading)
{
	static const Oid types[] = {TEXTOID, TEXTOID, TEXTOID};
	Datum		values[3];
	int			n;

	values[0] = reading->source;
	values[1] = CStringGetTextDatum(psprintf(INT64_FORMAT, reading->feature_id));
	values[2] = CStringGetTextDatum(psprintf(INT64_FORMAT, reading->environment_id));
	n = fsw_read_run(FSW_PLAN_READ_NAMES,
			"(SELECT n.kind, pg_catalog.hashtextextended(n.name, 0), n.project_id"
			" FROM flagsmith.name n WHERE n.source = $1 AND n.kind = 'feature' AND n.id = $2"
			" ORDER BY n.since DESC)"
			" UNION ALL SELECT n.kind, NULL, n.project_id"
			" FROM flagsmith.name n WHERE n.source = $1 AND n.kind = 'environment' AND n.id = $3",
			3, types, values);
	reading->feature_hashes = palloc_array(Datum, n);
	for (int i = 0; i < n; i++)
	{
		bool		isnull;
		Datum		hash = fsw_read_column(i, 2, &isnull);

		if (!isnull)
			reading->feature_hashes[reading->nfeature_names++] = hash;
		hash = fsw_read_column(i, 3, &isnull);
		if (!isnull)
		{
			reading->history->has_project = true;
			reading->history->project_id = DatumGetInt64(hash);
		}
	}
	SPI_freetuptable(SPI_tuptable);
}

#define DEFAULTS " AND f.segment_id IS NULL AND f.identity IS NULL"

/* As the predicate of flag_change_late_idx. */
#define LATE " AND (f.deleted OR f.received_at - f.event_at > '1 minute'::interval)"

#define CHANGES \
	"SELECT f.event_at, LEAST(f.received_at, CASE WHEN $6 THEN (SELECT pg_catalog.min(r.first_received_at)" \
	"  FROM flagsmith.delivery_repeat r WHERE r.delivery = f.delivery) END)," \
	" f.deleted, f.origin = 'import', f.delivery, f.changed_by," \
	" f.enabled, f.value, f.variants, f.enabled_before, f.value_before, f.variants_before," \
	" f.segment_id, f.segment_priority, f.identity_kind, f.identity, f.identity_identifier," \
	" f.received_at AS first_received_at" \
	" FROM flagsmith.flag_change f" \
	" WHERE f.source = $1 AND f.environment_id = $2 AND f.feature_id = $3" \
	" AND f.stored_at <= $4 AND NOT f.is_test"

/* The scope of an override, made when it is met for the first time. */
static int
override_scope(FswHistoryReading *reading, int row)
{
	FswHistory *history = reading->history;
	bool		isnull;
	Datum		segment = fsw_read_column(row, 13, &isnull);
	FswShownScope *shown;
	int			scope;

	/* the rows of one scope follow each other, so the last one is likely */
	if (!isnull)
	{
		for (scope = history->flag.nscopes - 1; scope > 0; scope--)
		{
			if (history->flag.scopes[scope].kind == FSW_SCOPE_SEGMENT &&
				history->shown_scopes[scope].segment_id == DatumGetInt64(segment))
				return scope;
		}
		scope = add_scope(reading, FSW_SCOPE_SEGMENT);
		history->shown_scopes[scope].segment_id = DatumGetInt64(segment);
	}
	else
	{
		char	   *kind = fsw_read_cstring(row, 15);
		char	   *identity = fsw_read_cstring(row, 16);
		char	   *identifier = fsw_read_cstring(row, 17);

		for (scope = history->flag.nscopes - 1; scope > 0; scope--)
		{
			shown = &history->shown_scopes[scope];
			if (history->flag.scopes[scope].kind == FSW_SCOPE_IDENTITY &&
				strcmp(shown->identity, identity) == 0 &&
				strcmp(shown->identity_kind, kind == NULL ? "" : kind) == 0)
			{
				/* an import does not give it */
				if (shown->identity_identifier == NULL && identifier != NULL)
					shown->identity_identifier = MemoryContextStrdup(reading->mcxt, identifier);
				return scope;
			}
		}
		scope = add_scope(reading, FSW_SCOPE_IDENTITY);
		shown = &history->shown_scopes[scope];
		shown->identity = MemoryContextStrdup(reading->mcxt, identity);
		shown->identity_kind = MemoryContextStrdup(reading->mcxt, kind == NULL ? "" : kind);
		shown->identity_identifier = identifier == NULL ? NULL :
			MemoryContextStrdup(reading->mcxt, identifier);
	}
	return scope;
}

/* Flag events and imported states. */
static void
read_changes(FswHistoryReading *reading, bool overrides)
{
	static const Oid types[] = {TEXTOID, INT8OID, INT8OID, TIMESTAMPTZOID, BOOLOID, BOOLOID,
	TIMESTAMPTZOID, INT8OID};
	FswFlag    *flag = &reading->history->flag;
	bool		states_only = reading->mode == FSW_READ_STATES;
	Datum		values[8];
	int			n;

	values[0] = reading->source;
	values[1] = Int64GetDatum(reading->environment_id);
	values[2] = Int64GetDatum(reading->feature_id);
	values[3] = TimestampTzGetDatum(reading->known_at);
	values[4] = BoolGetDatum(reading->mode == FSW_READ_ALL);
	values[5] = BoolGetDatum(!states_only);
	if (overrides)
		n = fsw_read_run(FSW_PLAN_READ_OVERRIDES,
				CHANGES " AND (f.segment_id IS NOT NULL OR f.identity IS NOT NULL)"
				" AND ($5 OR f.identity IS NULL)"
				" ORDER BY f.segment_id, pg_catalog.hashtextextended(f.identity, 0)",
				6, types, values);
	else if (reading->near == NULL)
		n = fsw_read_run(FSW_PLAN_READ_DEFAULTS, CHANGES DEFAULTS, 6, types, values);
	else
	{
		/*
		 * What happened around the instant, and what happened long before
		 * but was told around it: schedules, retries and deletions.
		 */
		values[6] = TimestampTzGetDatum(*reading->near);
		values[7] = Int64GetDatum(FSW_WINDOW);
		n = fsw_read_run(FSW_PLAN_READ_DEFAULTS_NEAR,
				"(" CHANGES DEFAULTS " AND f.event_at <= $7"
				" ORDER BY f.event_at DESC, f.received_at DESC LIMIT $8)"
				" UNION (" CHANGES DEFAULTS " AND f.event_at > $7"
				" ORDER BY f.event_at, f.received_at LIMIT $8)"
				" UNION (" CHANGES DEFAULTS LATE " AND f.received_at <= $7"
				" ORDER BY first_received_at DESC LIMIT $8)"
				" UNION (" CHANGES DEFAULTS LATE " AND f.received_at > $7"
				" ORDER BY first_received_at LIMIT $8)",
				8, types, values);
	}

	for (int i = 0; i < n; i++)
	{
		int64		event_at = fsw_read_int64(i, 1, 0);
		int64		received_at = fsw_read_int64(i, 2, 0);
		bool		deleted = fsw_read_bool(i, 3);
		int			scope = overrides ? override_scope(reading, i) : 0;
		FswEvidence *piece;
		bool		isnull;
		bool		value_isnull;
		bool		variants_isnull;
		Datum		enabled;
		Datum		value;
		Datum		variants;
		char	   *changed_by = fsw_read_cstring(i, 6);

		piece = fsw_read_evidence(reading, deleted ? FSW_EV_DELETED :
							 fsw_read_bool(i, 4) ? FSW_EV_IMPORT : FSW_EV_BODY,
							 scope, event_at, received_at);
		(void) fsw_read_column(i, 14, &isnull);
		piece->row = fsw_read_row(reading, fsw_read_int64(i, 5, 0), changed_by, !isnull,
							 fsw_read_int64(i, 14, 0));

		enabled = fsw_read_column(i, 7, &isnull);
		value = fsw_read_column(i, 8, &value_isnull);
		variants = fsw_read_column(i, 9, &variants_isnull);
		variants_isnull = variants_isnull || states_only;
		if (!deleted)
		{
			/* a state without one is a deletion in old releases */
			if (isnull)
				piece->state = FSW_NOT_LIVE;
			else
				piece->state = fsw_intern_state(&reading->states, DatumGetBool(enabled), value, value_isnull,
											variants, variants_isnull);
		}

		enabled = fsw_read_column(i, 10, &isnull);
		value = fsw_read_column(i, 11, &value_isnull);
		variants = fsw_read_column(i, 12, &variants_isnull);
		if (!isnull && !states_only)
			piece->before = fsw_intern_state(&reading->states, DatumGetBool(enabled), value, value_isnull,
										 variants, variants_isnull);
		else
			piece->before = piece->kind == FSW_EV_IMPORT ? FSW_NOT_TOLD : FSW_NOT_LIVE;
		piece->digest = piece->state >= 0 ?
			hash_combine64(flag->states[piece->state].rest, flag->states[piece->state].enabled) : 0;
		if (piece->before >= 0)
			piece->digest = hash_combine64(piece->digest, flag->states[piece->before].rest);

		/* without an audit entry, a deletion is known by its announcement */
		if (deleted && scope == 0)
			flag->gone = Min(flag->gone, received_at);
	}
	SPI_freetuptable(SPI_tuptable);
}

/* What the feature's defaults make of a state that nobody told. */
static void
read_creation(FswHistoryReading *reading)
{
	static const Oid types[] = {TEXTOID, INT8OID, INT8OID, TIMESTAMPTZOID};
	FswFlag    *flag = &reading->history->flag;
	Datum		values[4];
	bool		isnull;
	Datum		initial;
	Datum		value = (Datum) 0;
	int			n;

	values[0] = reading->source;
	values[1] = Int64GetDatum(reading->history->project_id);
	values[2] = Int64GetDatum(reading->feature_id);
	values[3] = TimestampTzGetDatum(reading->known_at);
	n = fsw_read_run(FSW_PLAN_READ_CREATION,
			"SELECT c.feature_created_date, c.feature_default_enabled, c.feature_initial_value,"
			" COALESCE(c.feature_type = 'MULTIVARIATE', false)"
			" FROM (SELECT DISTINCT n.id FROM flagsmith.name n"
			"  WHERE n.source = $1 AND n.kind = 'environment' AND n.project_id = $2) e,"
			" LATERAL (SELECT f.* FROM flagsmith.flag_change f"
			"  WHERE f.source = $1 AND f.environment_id = e.id::bigint AND f.feature_id = $3"
			"  AND f.segment_id IS NULL AND f.identity IS NULL AND NOT f.is_test"
			"  AND f.feature_default_enabled IS NOT NULL"
			"  AND f.stored_at <= $4 ORDER BY f.event_at DESC LIMIT 1) c"
			" ORDER BY c.event_at DESC, c.feature_type LIMIT 1",
			4, types, values);
	if (n > 0)
	{
		Datum		enabled = fsw_read_column(0, 2, &isnull);
		bool		enabled_isnull = isnull;
		bool		multivariate = fsw_read_bool(0, 4);

		reading->feature_born = fsw_read_int64(0, 1, FSW_NEVER);
		initial = fsw_read_column(0, 3, &isnull);
		if (isnull)
			value = DirectFunctionCall1(jsonb_in, CStringGetDatum("null"));
		else
		{
			char	   *word = TextDatumGetCString(initial);
			size_t		digits = strspn(word + (word[0] == '-'), "0123456789");

			/* it is sent as word whatever the type of the value */
			if (strcmp(word, "true") == 0 || strcmp(word, "false") == 0 ||
				(digits > 0 && digits < 10 && word[digits + (word[0] == '-')] == '\0'))
				value = DirectFunctionCall1(jsonb_in, CStringGetDatum(word));
			else
			{
				JsonbValue	string;

				string.type = jbvString;
				string.val.string.val = word;
				string.val.string.len = strlen(word);
				value = JsonbPGetDatum(JsonbValueToJsonb(&string));
			}
		}
		if (!enabled_isnull)
		{
			flag->defaults = fsw_intern_state(&reading->states, DatumGetBool(enabled), value, false,
										  (Datum) 0, true);
			flag->defaults_complete = !multivariate;
		}
	}
	SPI_freetuptable(SPI_tuptable);
}

static int
compare_int64(const void *a, const void *b)
{
	int64		x = *(const int64 *) a;
	int64		y = *(const int64 *) b;

	return x < y ? -1 : x > y;
}

/* The latest news about the project, and when the environment was created. */
static void
read_facts(FswHistoryReading *reading)
{
	static const Oid types[] = {TEXTOID, INT8OID, INT8OID, TIMESTAMPTZOID};
	FswFlag    *flag = &reading->history->flag;
	Datum		values[4];
	int64		environment_born;

	values[0] = reading->source;
	values[1] = Int64GetDatum(reading->history->project_id);
	values[2] = Int64GetDatum(reading->environment_id);
	values[3] = TimestampTzGetDatum(reading->known_at);
	(void) fsw_read_run(FSW_PLAN_READ_FACTS,
			   "SELECT (SELECT a.created_date FROM flagsmith.audit_log a"
			   "  WHERE a.source = $1 AND a.project_id = $2 AND NOT a.is_test AND a.stored_at <= $4"
			   "  ORDER BY a.created_date DESC LIMIT 1),"
			   " (SELECT pg_catalog.min(t.at) FROM flagsmith.touch t"
			   "  WHERE t.source = $1 AND t.environment_id = $3 AND t.kind = 'environment_created'"
			   "  AND t.stored_at <= $4)",
			   4, types, values);
	flag->news = fsw_read_int64(0, 1, FSW_NEVER);
	environment_born = fsw_read_int64(0, 2, FSW_NEVER);
	if (reading->feature_born != FSW_NEVER)
		flag->born = Max(reading->feature_born, environment_born);
	SPI_freetuptable(SPI_tuptable);
}

/* Two states under one time: which is right, the audit entries tell. */
static bool
has_torn_events(const FswFlag *flag)
{
	int64	   *times = palloc_array(int64, flag->nevidence);
	int			ntimes = 0;
	bool		result = false;

	for (int i = 0; i < flag->nevidence; i++)
	{
		if (flag->evidence[i].kind == FSW_EV_BODY && flag->evidence[i].scope == 0)
			times[ntimes++] = flag->evidence[i].at;
	}
	qsort(times, ntimes, sizeof(int64), compare_int64);
	for (int i = 1; i < ntimes; i++)
		result = result || times[i] == times[i - 1];
	pfree(times);
	return result;
}

/* Has the environment default more events than that? */
bool
fsw_history_is_longer(Datum source, int64 environment_id, int64 feature_id, int64 nchanges)
{
	static const Oid types[] = {TEXTOID, INT8OID, INT8OID, INT8OID};
	Datum		values[4];
	int64		n;

	values[0] = source;
	values[1] = Int64GetDatum(environment_id);
	values[2] = Int64GetDatum(feature_id);
	values[3] = Int64GetDatum(nchanges + 1);
	(void) fsw_read_run(FSW_PLAN_COUNT_DEFAULTS,
			   "SELECT pg_catalog.count(*) FROM (SELECT FROM flagsmith.flag_change f"
			   " WHERE f.source = $1 AND f.environment_id = $2 AND f.feature_id = $3"
			   " AND NOT f.is_test" DEFAULTS " LIMIT $4) s",
			   4, types, values);
	n = fsw_read_int64(0, 1, 0);
	SPI_freetuptable(SPI_tuptable);
	return n > nchanges;
}

/*
 * Read and build the history of one flag, all of it or what is around one
 * instant.  The states of the environment default are the same in each mode,
 * so the cheapest leaves out what only makes an answer surer.
 */
FswHistory *
fsw_history_read(MemoryContext mcxt, Datum source, int64 environment_id, int64 feature_id,
				 TimestampTz known_at, FswReadMode mode, const int64 *near)
{
	FswHistoryReading		reading = {0};
	MemoryContext work = AllocSetContextCreate(CurrentMemoryContext, "flag history",
											   ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(work);
	FswHistory *history = MemoryContextAllocZero(mcxt, sizeof(FswHistory));

	reading.history = history;
	reading.mcxt = mcxt;
	reading.states.history = history;
	reading.states.mcxt = mcxt;
	reading.source = source;
	reading.environment_id = environment_id;
	reading.feature_id = feature_id;
	reading.known_at = known_at;
	reading.mode = mode;
	reading.near = near;
	reading.feature_born = FSW_NEVER;
	history->flag.born = FSW_NEVER;
	history->flag.gone = FSW_FOREVER;
	history->flag.news = FSW_NEVER;
	history->flag.defaults = FSW_NOT_TOLD;
	(void) add_scope(&reading, FSW_SCOPE_DEFAULT);

	read_names(&reading);
	read_changes(&reading, false);
	read_creation(&reading);
	if (mode == FSW_READ_STATES)
	{
		fsw_read_touches(&reading);
		fsw_read_versions(&reading);
		if (reading.versioned || has_torn_events(&history->flag))
		{
			MemoryContextSwitchTo(old);
			MemoryContextDelete(work);
			return fsw_history_read(mcxt, source, environment_id, feature_id, known_at,
									FSW_READ_SEGMENTS, near);
		}
	}
	else
	{
		read_changes(&reading, true);
		fsw_read_segments(&reading);
		fsw_read_touches(&reading);
		fsw_read_versions(&reading);
		if (near != NULL && reading.versioned &&
			!fsw_history_is_longer(source, environment_id, feature_id, LONG_VERSIONED))
		{
			MemoryContextSwitchTo(old);
			MemoryContextDelete(work);
			return fsw_history_read(mcxt, source, environment_id, feature_id, known_at,
									mode, NULL);
		}
	}

	/*
	 * A webhook that was registered when the flag had existed for long says
	 * nothing of the time before: then the defaults are a mere deduction.
	 */
	if (!reading.creation_told)
		history->flag.defaults_complete = false;
	read_facts(&reading);

	MemoryContextSwitchTo(mcxt);
	history->timeline = fsw_timeline_build(&history->flag);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(work);
	return history;
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
