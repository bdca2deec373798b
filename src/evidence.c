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
#include "src/flagsmith_webhook.h"

/* A flag is named in an entry up to this long before or after it existed. */
#define LIFE_SPREAD INT64CONST(1000000)

typedef struct NameSince
{
	int64		since;
	int64		hash;
} NameSince;

/* What is needed only while reading. */
typedef struct Reading
{
	FswHistory *history;
	MemoryContext mcxt;
	Datum		source;
	int64		environment_id;
	int64		feature_id;
	TimestampTz known_at;
	int			maxevidence;
	int			maxscopes;
	int			nrows;
	int			maxrows;
	FswStateTable states;
	NameSince **segment_names;	/* by scope, NULL unless a segment */
	int		   *nsegment_names;
	int64	   *identity_hashes;	/* by scope */
	int			nfeature_names;
	Datum	   *feature_hashes;
	int64		feature_born;
	bool		creation_told;	/* by an audit entry */
} Reading;

static int
run(FswPlanId id, const char *sql, int nargs, const Oid *types, Datum *values)
{
	MemoryContext old = CurrentMemoryContext;
	SPIPlanPtr	plan = fsw_plan(id, sql, nargs, types);

	if (SPI_execute_plan(plan, values, NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read the history of a flag");
	/* SPI leaves its own context behind */
	MemoryContextSwitchTo(old);
	return (int) SPI_processed;
}

static Datum
column(int row, int number, bool *isnull)
{
	return SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, number, isnull);
}

static int64
column_int64(int row, int number, int64 otherwise)
{
	bool		isnull;
	Datum		value = column(row, number, &isnull);

	return isnull ? otherwise : DatumGetInt64(value);
}

static bool
column_bool(int row, int number)
{
	bool		isnull;
	Datum		value = column(row, number, &isnull);

	return !isnull && DatumGetBool(value);
}

static char *
column_cstring(int row, int number)
{
	bool		isnull;
	Datum		value = column(row, number, &isnull);

	return isnull ? NULL : TextDatumGetCString(value);
}

/* Arrays of the history grow in its memory context. */
static void *
grow(Reading *reading, void *array, int *max, size_t size)
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

static FswEvidence *
add_evidence(Reading *reading, FswEvidenceKind kind, int scope, int64 at, int64 arrived)
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

static int
add_row(Reading *reading, int64 delivery, const char *changed_by, bool has_priority, int64 priority)
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
add_scope(Reading *reading, FswScopeKind kind)
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
read_names(Reading *reading)
{
	static const Oid types[] = {TEXTOID, TEXTOID, TEXTOID};
	Datum		values[3];
	int			n;

	values[0] = reading->source;
	values[1] = CStringGetTextDatum(psprintf(INT64_FORMAT, reading->feature_id));
	values[2] = CStringGetTextDatum(psprintf(INT64_FORMAT, reading->environment_id));
	n = run(FSW_PLAN_READ_NAMES,
			"SELECT n.kind, pg_catalog.hashtextextended(n.name, 0), n.project_id"
			" FROM flagsmith.name n WHERE n.source = $1 AND n.kind = 'feature' AND n.id = $2"
			" UNION ALL SELECT n.kind, NULL, n.project_id"
			" FROM flagsmith.name n WHERE n.source = $1 AND n.kind = 'environment' AND n.id = $3",
			3, types, values);
	reading->feature_hashes = palloc_array(Datum, n);
	for (int i = 0; i < n; i++)
	{
		bool		isnull;
		Datum		hash = column(i, 2, &isnull);

		if (!isnull)
			reading->feature_hashes[reading->nfeature_names++] = hash;
		hash = column(i, 3, &isnull);
		if (!isnull)
		{
			reading->history->has_project = true;
			reading->history->project_id = DatumGetInt64(hash);
		}
	}
	SPI_freetuptable(SPI_tuptable);
}

#define CHANGE_COLUMNS \
	"SELECT f.event_at, LEAST(f.received_at, (SELECT pg_catalog.min(r.first_received_at)" \
	"  FROM flagsmith.delivery_repeat r WHERE r.delivery = f.delivery))," \
	" f.deleted, f.origin = 'import', f.delivery, f.changed_by," \
	" f.enabled, f.value, f.variants, f.enabled_before, f.value_before, f.variants_before," \
	" f.segment_id, f.segment_priority, f.identity_kind, f.identity, f.identity_identifier" \
	" FROM flagsmith.flag_change f" \
	" WHERE f.source = $1 AND f.environment_id = $2 AND f.feature_id = $3" \
	" AND f.stored_at <= $4 AND NOT f.is_test"

/* The scope of an override, made when it is met for the first time. */
static int
override_scope(Reading *reading, int row)
{
	FswHistory *history = reading->history;
	bool		isnull;
	Datum		segment = column(row, 13, &isnull);
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
		char	   *kind = column_cstring(row, 15);
		char	   *identity = column_cstring(row, 16);
		char	   *identifier = column_cstring(row, 17);

		for (scope = history->flag.nscopes - 1; scope > 0; scope--)
		{
			shown = &history->shown_scopes[scope];
			if (history->flag.scopes[scope].kind == FSW_SCOPE_IDENTITY &&
				strcmp(shown->identity, identity) == 0 &&
				strcmp(shown->identity_kind, kind == NULL ? "" : kind) == 0)
				return scope;
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
read_changes(Reading *reading, bool overrides, bool identities)
{
	static const Oid types[] = {TEXTOID, INT8OID, INT8OID, TIMESTAMPTZOID, BOOLOID};
	FswFlag    *flag = &reading->history->flag;
	Datum		values[5];
	int			n;

	values[0] = reading->source;
	values[1] = Int64GetDatum(reading->environment_id);
	values[2] = Int64GetDatum(reading->feature_id);
	values[3] = TimestampTzGetDatum(reading->known_at);
	values[4] = BoolGetDatum(identities);
	if (overrides)
		n = run(FSW_PLAN_READ_OVERRIDES,
				CHANGE_COLUMNS " AND (f.segment_id IS NOT NULL OR f.identity IS NOT NULL)"
				" AND ($5 OR f.identity IS NULL)"
				" ORDER BY f.segment_id, pg_catalog.hashtextextended(f.identity, 0)",
				5, types, values);
	else
		n = run(FSW_PLAN_READ_DEFAULTS,
				CHANGE_COLUMNS " AND f.segment_id IS NULL AND f.identity IS NULL",
				4, types, values);

	for (int i = 0; i < n; i++)
	{
		int64		event_at = column_int64(i, 1, 0);
		int64		received_at = column_int64(i, 2, 0);
		bool		deleted = column_bool(i, 3);
		int			scope = overrides ? override_scope(reading, i) : 0;
		FswEvidence *piece;
		bool		isnull;
		bool		value_isnull;
		bool		variants_isnull;
		Datum		enabled;
		Datum		value;
		Datum		variants;
		char	   *changed_by = column_cstring(i, 6);

		piece = add_evidence(reading, deleted ? FSW_EV_DELETED :
							 column_bool(i, 4) ? FSW_EV_IMPORT : FSW_EV_BODY,
							 scope, event_at, received_at);
		(void) column(i, 14, &isnull);
		piece->row = add_row(reading, column_int64(i, 5, 0), changed_by, !isnull,
							 column_int64(i, 14, 0));

		enabled = column(i, 7, &isnull);
		value = column(i, 8, &value_isnull);
		variants = column(i, 9, &variants_isnull);
		if (!deleted)
		{
			/* a state without one is a deletion in old releases */
			if (isnull)
				piece->state = FSW_NOT_LIVE;
			else
				piece->state = fsw_intern_state(&reading->states, DatumGetBool(enabled), value, value_isnull,
											variants, variants_isnull);
		}

		enabled = column(i, 10, &isnull);
		value = column(i, 11, &value_isnull);
		variants = column(i, 12, &variants_isnull);
		if (!isnull)
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
read_creation(Reading *reading)
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
	n = run(FSW_PLAN_READ_CREATION,
			"SELECT c.feature_created_date, c.feature_default_enabled, c.feature_initial_value,"
			" COALESCE(c.feature_type = 'MULTIVARIATE', false)"
			" FROM (SELECT DISTINCT n.id FROM flagsmith.name n"
			"  WHERE n.source = $1 AND n.kind = 'environment' AND n.project_id = $2) e,"
			" LATERAL (SELECT f.* FROM flagsmith.flag_change f"
			"  WHERE f.source = $1 AND f.environment_id = e.id::bigint AND f.feature_id = $3"
			"  AND f.segment_id IS NULL AND f.identity IS NULL AND NOT f.is_test"
			"  AND f.stored_at <= $4 ORDER BY f.event_at DESC LIMIT 1) c"
			" ORDER BY c.event_at DESC, c.feature_type LIMIT 1",
			4, types, values);
	if (n > 0)
	{
		Datum		enabled = column(0, 2, &isnull);
		bool		enabled_isnull = isnull;
		bool		multivariate = column_bool(0, 4);

		reading->feature_born = column_int64(0, 1, FSW_NEVER);
		initial = column(0, 3, &isnull);
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
compare_since(const void *a, const void *b)
{
	const NameSince *x = a;
	const NameSince *y = b;

	if (x->since != y->since)
		return x->since < y->since ? -1 : 1;
	return x->hash < y->hash ? -1 : x->hash > y->hash;
}

/* Names and ends of the segments that override the flag. */
static void
read_segments(Reading *reading)
{
	static const Oid types[] = {TEXTOID, TEXTARRAYOID, INT8ARRAYOID, TIMESTAMPTZOID};
	FswHistory *history = reading->history;
	FswFlag    *flag = &history->flag;
	Datum	   *texts = palloc_array(Datum, flag->nscopes);
	Datum	   *ids = palloc_array(Datum, flag->nscopes);
	Datum		values[4];
	int			nsegments = 0;
	int			n;

	reading->segment_names = palloc0_array(NameSince *, flag->nscopes);
	reading->nsegment_names = palloc0_array(int, flag->nscopes);
	reading->identity_hashes = palloc0_array(int64, flag->nscopes);
	for (int i = 1; i < flag->nscopes; i++)
	{
		const FswShownScope *shown = &history->shown_scopes[i];

		if (flag->scopes[i].kind == FSW_SCOPE_SEGMENT)
		{
			ids[nsegments] = Int64GetDatum(shown->segment_id);
			texts[nsegments++] = CStringGetTextDatum(psprintf(INT64_FORMAT, shown->segment_id));
		}
		else if (shown->identity_identifier != NULL)
		{
			char	   *text = psprintf("identity:%s", shown->identity_identifier);

			reading->identity_hashes[i] =
				DatumGetInt64(hash_any_extended((unsigned char *) text, strlen(text), 0));
		}
	}
	if (nsegments == 0)
		return;

	values[0] = reading->source;
	values[1] = PointerGetDatum(construct_array(texts, nsegments, TEXTOID, -1, false, TYPALIGN_INT));
	values[2] = PointerGetDatum(construct_array(ids, nsegments, INT8OID, 8, FLOAT8PASSBYVAL,
												TYPALIGN_DOUBLE));
	values[3] = TimestampTzGetDatum(reading->known_at);
	n = run(FSW_PLAN_READ_SEGMENTS,
			"SELECT n.id::bigint, n.since, pg_catalog.hashtextextended('segment:' || n.name, 0)"
			" FROM flagsmith.name n WHERE n.source = $1 AND n.kind = 'segment' AND n.id = ANY ($2)"
			" UNION ALL SELECT t.segment_id, t.at, NULL"
			" FROM flagsmith.touch t WHERE t.source = $1 AND t.segment_id = ANY ($3)"
			" AND t.kind = 'segment_deleted' AND t.stored_at <= $4",
			4, types, values);
	for (int scope = 1; scope < flag->nscopes; scope++)
	{
		if (flag->scopes[scope].kind != FSW_SCOPE_SEGMENT)
			continue;
		reading->segment_names[scope] = palloc_array(NameSince, n);
		for (int i = 0; i < n; i++)
		{
			bool		isnull;
			Datum		hash;

			if (column_int64(i, 1, 0) != history->shown_scopes[scope].segment_id)
				continue;
			hash = column(i, 3, &isnull);
			if (isnull)
				flag->scopes[scope].ended = Min(flag->scopes[scope].ended, column_int64(i, 2, 0));
			else
			{
				NameSince  *name = &reading->segment_names[scope][reading->nsegment_names[scope]++];

				name->since = column_int64(i, 2, 0);
				name->hash = DatumGetInt64(hash);
			}
		}
		qsort(reading->segment_names[scope], reading->nsegment_names[scope], sizeof(NameSince),
			  compare_since);
	}
	SPI_freetuptable(SPI_tuptable);
}

/* Had the scope's segment or identity this name then? */
static bool
scope_is_named(const Reading *reading, int scope, int64 hash, int64 at)
{
	const NameSince *names = reading->segment_names[scope];
	int			i;

	if (reading->history->flag.scopes[scope].kind == FSW_SCOPE_IDENTITY)
		return reading->identity_hashes[scope] == hash;
	if (reading->nsegment_names[scope] == 0)
		return false;
	for (i = reading->nsegment_names[scope] - 1; i > 0; i--)
	{
		if (names[i].since <= at)
			break;
	}
	return names[i].hash == hash;
}

/*
 * What audit entries say may have changed.  Entries of a flag of the same
 * name, deleted before or created after, are left out by their ids and, where
 * they give none, by their time.
 */
static void
read_touches(Reading *reading)
{
	static const Oid types[] = {TEXTOID, INT8OID, INT8ARRAYOID, INT8OID, TIMESTAMPTZOID};
	FswFlag    *flag = &reading->history->flag;
	Datum		values[5];
	int64		born = reading->feature_born;
	int64		gone = FSW_FOREVER;
	int			n;

	if (reading->nfeature_names == 0 || !reading->history->has_project)
		return;
	values[0] = reading->source;
	values[1] = Int64GetDatum(reading->history->project_id);
	values[2] = PointerGetDatum(construct_array(reading->feature_hashes, reading->nfeature_names,
												INT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
	values[3] = Int64GetDatum(reading->environment_id);
	values[4] = TimestampTzGetDatum(reading->known_at);
	n = run(FSW_PLAN_READ_TOUCHES,
			"SELECT t.kind, t.environment_id IS NULL, t.feature_id, t.scope_hash,"
			" pg_catalog.hashtextextended(t.version, 0), t.at, t.received_at, t.delivery,"
			" t.kind = 'removal' AND EXISTS (SELECT FROM flagsmith.touch o, flagsmith.name n"
			"  WHERE o.delivery = t.delivery AND o.ordinal = t.ordinal AND o.split <> t.split"
			"  AND n.kind = 'feature' AND pg_catalog.hashtextextended(n.name, 0) = o.feature_hash"
			"  AND n.source = t.source AND n.project_id = t.project_id"
			"  AND (o.scope_hash IS NULL OR EXISTS (SELECT FROM flagsmith.name s"
			"   WHERE s.source = t.source AND (s.project_id = t.project_id AND s.kind = 'segment' AND"
			"   pg_catalog.hashtextextended('segment:' || s.name, 0) = o.scope_hash OR"
			"   s.kind = 'identity' AND pg_catalog.hashtextextended('identity:' || s.name, 0) = o.scope_hash))))"
			" FROM flagsmith.touch t WHERE t.source = $1 AND t.project_id = $2"
			" AND t.feature_hash = ANY ($3)"
			" AND (t.environment_id = $4 OR t.environment_id IS NULL) AND t.stored_at <= $5"
			" ORDER BY t.at",
			5, types, values);

	/* The feature's own life first. */
	for (int i = 0; i < n; i++)
	{
		char	   *kind = column_cstring(i, 1);

		if (!column_bool(i, 2) || column_int64(i, 3, reading->feature_id) != reading->feature_id)
			continue;
		if (strcmp(kind, "feature_created") == 0)
		{
			born = column_int64(i, 6, 0);
			reading->creation_told = true;
		}
		else if (strcmp(kind, "feature_deleted") == 0)
			gone = Min(gone, column_int64(i, 6, 0));
	}
	reading->feature_born = born;
	if (gone != FSW_FOREVER)
	{
		flag->gone = gone;
		flag->gone_exactly = true;
	}

	for (int i = 0; i < n; i++)
	{
		char	   *kind = column_cstring(i, 1);
		bool		project_level = column_bool(i, 2);
		int64		feature_id = column_int64(i, 3, reading->feature_id);
		int64		at = column_int64(i, 6, 0);
		int64		arrived = column_int64(i, 7, 0);
		bool		ambiguous = column_bool(i, 9);
		FswEvidenceKind what;
		bool		scope_isnull;
		Datum		scope_hash = column(i, 4, &scope_isnull);
		int			row;

		if (feature_id != reading->feature_id)
			continue;
		if ((born != FSW_NEVER && at < born - LIFE_SPREAD) ||
			(flag->gone != FSW_FOREVER && at > flag->gone + LIFE_SPREAD))
			continue;

		if (strcmp(kind, "version") == 0)
		{
			FswEvidence *piece = add_evidence(reading, FSW_EV_VERSION, 0, at, arrived);

			piece->version = (uint64) column_int64(i, 5, 0);
			piece->row = add_row(reading, column_int64(i, 8, 0), NULL, false, 0);
			continue;
		}
		if (strcmp(kind, "variant") == 0 && project_level)
		{
			add_evidence(reading, FSW_EV_OPTION, 0, at, arrived);
			flag->defaults_complete = false;
			continue;
		}
		if (strcmp(kind, "feature_updated") == 0)
		{
			add_evidence(reading, FSW_EV_UPDATED, 0, at, arrived);
			continue;
		}
		if (project_level && strcmp(kind, "removal") != 0)
			continue;

		if (strcmp(kind, "state") == 0 || strcmp(kind, "override") == 0)
			what = FSW_EV_STATE;
		else if (strcmp(kind, "value") == 0)
			what = FSW_EV_VALUE;
		else if (strcmp(kind, "variant") == 0 || strcmp(kind, "feature_created") == 0)
			what = FSW_EV_NEAR;
		else if (strcmp(kind, "feature_deleted") == 0)
			what = FSW_EV_STATE_DELETED;
		else if (strcmp(kind, "removal") == 0)
			what = ambiguous ? FSW_EV_DOUBT : FSW_EV_REMOVAL;
		else
			continue;

		row = add_row(reading, column_int64(i, 8, 0), NULL, false, 0);
		if (scope_isnull)
		{
			if (what != FSW_EV_REMOVAL && what != FSW_EV_DOUBT && strcmp(kind, "override") != 0)
				add_evidence(reading, what, 0, at, arrived)->row = row;
			continue;
		}
		for (int scope = 1; scope < flag->nscopes; scope++)
		{
			if (scope_is_named(reading, scope, DatumGetInt64(scope_hash), at))
				add_evidence(reading, what, scope, at, arrived)->row = row;
		}
	}
	SPI_freetuptable(SPI_tuptable);
}

/*
 * The lists of published versions.  Their environment is that of the webhook,
 * else that of the audit entry with the same uuid, else the only one that the
 * webhook brings flag events of.
 */
static void
read_versions(Reading *reading)
{
	static const Oid types[] = {TEXTOID, INT8OID, INT8OID, TIMESTAMPTZOID};
	Datum		values[4];
	int			n;

	values[0] = reading->source;
	values[1] = Int64GetDatum(reading->feature_id);
	values[2] = Int64GetDatum(reading->environment_id);
	values[3] = TimestampTzGetDatum(reading->known_at);
	n = run(FSW_PLAN_READ_VERSIONS,
			"SELECT pg_catalog.hashtextextended(v.uuid, 0),"
			" LEAST(v.received_at, (SELECT pg_catalog.min(r.first_received_at)"
			"  FROM flagsmith.delivery_repeat r WHERE r.delivery = v.delivery)),"
			" v.states, v.delivery FROM flagsmith.version_published v"
			" WHERE v.source = $1 AND v.feature_id = $2 AND v.stored_at <= $4"
			" AND COALESCE((SELECT w.environment_id FROM flagsmith.webhook w WHERE w.name = v.webhook),"
			"  (SELECT pg_catalog.min(t.environment_id) FROM flagsmith.touch t"
			"   WHERE pg_catalog.hashtextextended(t.version, 0) = pg_catalog.hashtextextended(v.uuid, 0)"
			"   AND t.version IS NOT NULL AND t.version = v.uuid AND t.source = $1),"
			"  (SELECT CASE WHEN pg_catalog.min(s.e) = pg_catalog.max(s.e) THEN pg_catalog.min(s.e) END"
			"   FROM (SELECT f.environment_id AS e FROM flagsmith.delivery d, flagsmith.flag_change f"
			"    WHERE d.webhook = v.webhook AND f.delivery = d.id AND f.environment_id IS NOT NULL"
			"    ORDER BY d.received_at DESC LIMIT 64) s)) = $3",
			4, types, values);
	for (int i = 0; i < n; i++)
	{
		bool		isnull;
		Datum		states = column(i, 3, &isnull);
		int64		arrived = column_int64(i, 2, 0);
		FswEvidence *piece = add_evidence(reading, FSW_EV_LIST, 0, arrived, arrived);
		JsonbIterator *iterator;
		JsonbIteratorToken token;
		JsonbValue	element;
		Jsonb	   *list;
		int			index = reading->history->flag.nevidence - 1;
		int		   *ids;
		int			nids = 0;

		piece->version = (uint64) column_int64(i, 1, 0);
		piece->digest = piece->version;
		piece->row = add_row(reading, column_int64(i, 4, 0), NULL, false, 0);
		if (isnull)
			continue;
		list = DatumGetJsonbP(states);
		if (!JB_ROOT_IS_ARRAY(list))
			continue;
		ids = MemoryContextAlloc(reading->mcxt, Max(1, JB_ROOT_COUNT(list)) * sizeof(int));
		iterator = JsonbIteratorInit(&list->root);
		while ((token = JsonbIteratorNext(&iterator, &element, true)) != WJB_DONE)
		{
			JsonbContainer *object;
			JsonbValue *enabled;
			JsonbValue *value;
			JsonbValue *variants;

			if (token != WJB_ELEM || element.type != jbvBinary ||
				!JsonContainerIsObject(element.val.binary.data))
				continue;
			object = element.val.binary.data;
			enabled = getKeyJsonValueFromContainer(object, "enabled", 7, NULL);
			value = getKeyJsonValueFromContainer(object, "value", 5, NULL);
			variants = getKeyJsonValueFromContainer(object, "multivariate_feature_state_values",
													strlen("multivariate_feature_state_values"),
													NULL);
			if (enabled == NULL || enabled->type != jbvBool)
				continue;
			ids[nids++] = fsw_intern_state(&reading->states, enabled->val.boolean,
									   value == NULL ? (Datum) 0 : JsonbPGetDatum(JsonbValueToJsonb(value)),
									   value == NULL,
									   variants == NULL ? (Datum) 0 : JsonbPGetDatum(JsonbValueToJsonb(variants)),
									   variants == NULL);
		}
		piece = &reading->history->flag.evidence[index];
		piece->list = ids;
		piece->nlist = nids;
	}
	SPI_freetuptable(SPI_tuptable);
}

/* The latest news about the project, and when the environment was created. */
static void
read_facts(Reading *reading)
{
	static const Oid types[] = {TEXTOID, INT8OID, INT8OID, TIMESTAMPTZOID};
	FswFlag    *flag = &reading->history->flag;
	Datum		values[4];
	int64		environment_born;

	values[0] = reading->source;
	values[1] = Int64GetDatum(reading->history->project_id);
	values[2] = Int64GetDatum(reading->environment_id);
	values[3] = TimestampTzGetDatum(reading->known_at);
	(void) run(FSW_PLAN_READ_FACTS,
			   "SELECT (SELECT a.created_date FROM flagsmith.audit_log a"
			   "  WHERE a.source = $1 AND a.project_id = $2 AND NOT a.is_test AND a.stored_at <= $4"
			   "  ORDER BY a.created_date DESC LIMIT 1),"
			   " (SELECT pg_catalog.min(t.at) FROM flagsmith.touch t"
			   "  WHERE t.source = $1 AND t.environment_id = $3 AND t.kind = 'environment_created'"
			   "  AND t.stored_at <= $4)",
			   4, types, values);
	flag->news = column_int64(0, 1, FSW_NEVER);
	environment_born = column_int64(0, 2, FSW_NEVER);
	if (reading->feature_born != FSW_NEVER)
		flag->born = Max(reading->feature_born, environment_born);
	SPI_freetuptable(SPI_tuptable);
}

/*
 * Read and build the history of one flag.  With identities false, those
 * scopes are left out, which changes nothing for the others.
 */
FswHistory *
fsw_history_read(MemoryContext mcxt, Datum source, int64 environment_id, int64 feature_id,
				 TimestampTz known_at, bool identities)
{
	Reading		reading = {0};
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
	reading.feature_born = FSW_NEVER;
	history->flag.born = FSW_NEVER;
	history->flag.gone = FSW_FOREVER;
	history->flag.news = FSW_NEVER;
	history->flag.defaults = FSW_NOT_TOLD;
	(void) add_scope(&reading, FSW_SCOPE_DEFAULT);

	read_names(&reading);
	read_changes(&reading, false, identities);
	read_changes(&reading, true, identities);
	read_creation(&reading);
	read_segments(&reading);
	read_touches(&reading);

	/*
	 * A webhook that was registered when the flag had existed for long says
	 * nothing of the time before: then the defaults are a mere deduction.
	 */
	if (!reading.creation_told)
		reading.history->flag.defaults_complete = false;
	read_versions(&reading);
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
