/*-------------------------------------------------------------------------
 *
 * src/touch.c
 *	  Audit entries and published versions as evidence about one flag.
 *
 * See evidence.c, which reads the rest.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type_d.h"
#include "common/hashfn.h"
#include "utils/array.h"
#include "utils/builtins.h"

#include "src/reading.h"

/* A flag is named in an entry up to this long before or after it existed. */
#define LIFE_SPREAD INT64CONST(1000000)

static int
compare_since(const void *a, const void *b)
{
	const FswNameSince *x = a;
	const FswNameSince *y = b;

	if (x->since != y->since)
		return x->since < y->since ? -1 : 1;
	return x->hash < y->hash ? -1 : x->hash > y->hash;
}

/* Names and ends of the segments that override the flag. */
void
fsw_read_segments(FswHistoryReading *reading)
{
	static const Oid types[] = {TEXTOID, TEXTARRAYOID, INT8ARRAYOID, TIMESTAMPTZOID};
	FswHistory *history = reading->history;
	FswFlag    *flag = &history->flag;
	Datum	   *texts = palloc_array(Datum, flag->nscopes);
	Datum	   *ids = palloc_array(Datum, flag->nscopes);
	Datum		values[4];
	int			nsegments = 0;
	int			n;

	reading->segment_names = palloc0_array(FswNameSince *, flag->nscopes);
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
	n = fsw_read_run(FSW_PLAN_READ_SEGMENTS,
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
		reading->segment_names[scope] = palloc_array(FswNameSince, n);
		for (int i = 0; i < n; i++)
		{
			bool		isnull;
			Datum		hash;

			if (fsw_read_int64(i, 1, 0) != history->shown_scopes[scope].segment_id)
				continue;
			hash = fsw_read_column(i, 3, &isnull);
			if (isnull)
				flag->scopes[scope].ended = Min(flag->scopes[scope].ended, fsw_read_int64(i, 2, 0));
			else
			{
				FswNameSince  *name = &reading->segment_names[scope][reading->nsegment_names[scope]++];

				name->since = fsw_read_int64(i, 2, 0);
				name->hash = DatumGetInt64(hash);
			}
		}
		qsort(reading->segment_names[scope], reading->nsegment_names[scope], sizeof(FswNameSince),
			  compare_since);
	}
	SPI_freetuptable(SPI_tuptable);
}

/* Had the scope's segment or identity this name then? */
static bool
scope_is_named(const FswHistoryReading *reading, int scope, int64 hash, int64 at)
{
	const FswNameSince *names = reading->segment_names[scope];
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

#define TOUCHES_NAMED(match) \
	"SELECT t.kind, t.environment_id IS NULL, t.feature_id, t.scope_hash," \
	" pg_catalog.hashtextextended(t.version, 0), t.at, t.received_at, t.delivery," \
	" t.kind = 'removal' AND EXISTS (SELECT FROM flagsmith.touch o, flagsmith.name n" \
	"  WHERE o.delivery = t.delivery AND o.ordinal = t.ordinal AND o.split <> t.split" \
	"  AND n.kind = 'feature' AND pg_catalog.hashtextextended(n.name, 0) = o.feature_hash" \
	"  AND n.source = t.source AND n.project_id = t.project_id" \
	"  AND (o.scope_hash IS NULL OR EXISTS (SELECT FROM flagsmith.name s" \
	"   WHERE s.source = t.source AND (s.project_id = t.project_id AND s.kind = 'segment' AND" \
	"   pg_catalog.hashtextextended('segment:' || s.name, 0) = o.scope_hash OR" \
	"   s.kind = 'identity' AND pg_catalog.hashtextextended('identity:' || s.name, 0) = o.scope_hash))))" \
	" FROM flagsmith.touch t WHERE t.source = $1 AND t.project_id = $2" \
	" AND t.feature_hash = " match \
	" AND (t.environment_id = $4 OR t.environment_id IS NULL) AND t.stored_at <= $5"

#define TOUCHES TOUCHES_NAMED("ANY ($3)")
#define DEFAULT_TOUCHES " AND t.scope_hash IS NULL"

/* Around an instant, one name alone keeps to the order of the index. */
#define NEAR_TOUCHES TOUCHES_NAMED("($3)[1]") DEFAULT_TOUCHES

/* The creation and the end of the feature, which may be far from an instant. */
#define LIFE_TOUCHES \
	"SELECT t.kind, true, t.feature_id, t.scope_hash, NULL::bigint, t.at, t.received_at, t.delivery, false" \
	" FROM flagsmith.touch t WHERE t.source = $1 AND t.feature_id = $9 AND t.environment_id IS NULL" \
	" AND t.kind IN ('feature_created', 'feature_deleted') AND t.stored_at <= $5"

/*
 * What audit entries say may have changed.  Entries of a flag of the same
 * name, deleted before or created after, are left out by their ids and, where
 * they give none, by their time.
 */
void
fsw_read_touches(FswHistoryReading *reading)
{
	static const Oid types[] = {TEXTOID, INT8OID, INT8ARRAYOID, INT8OID, TIMESTAMPTZOID,
	TIMESTAMPTZOID, INT8OID, BOOLOID, INT8OID};
	FswFlag    *flag = &reading->history->flag;
	Datum		values[9];
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
	values[7] = BoolGetDatum(flag->nscopes > 1);
	values[8] = Int64GetDatum(reading->feature_id);
	values[5] = TimestampTzGetDatum(reading->near == NULL ? 0 : *reading->near);
	values[6] = Int64GetDatum(FSW_WINDOW);
	if (reading->near != NULL)
		n = fsw_read_run(FSW_PLAN_READ_TOUCHES_NEAR,
				"(" NEAR_TOUCHES " AND t.at <= $6 ORDER BY t.scope_hash DESC, t.at DESC LIMIT $7)"
				" UNION (" NEAR_TOUCHES " AND t.at > $6 ORDER BY t.scope_hash, t.at LIMIT $7)"
				" UNION (" LIFE_TOUCHES ")"
				" UNION (" TOUCHES " AND t.scope_hash IS NOT NULL AND $8)"
				" ORDER BY 6", 9, types, values);
	else if (reading->mode == FSW_READ_STATES)
		n = fsw_read_run(FSW_PLAN_READ_LIFE,
				TOUCHES DEFAULT_TOUCHES " AND t.kind IN ('version', 'feature_created', 'feature_deleted', 'variant')"
				" ORDER BY t.at", 5, types, values);
	else
		n = fsw_read_run(FSW_PLAN_READ_TOUCHES, TOUCHES " ORDER BY t.at", 5, types, values);

	/* The feature's own life first. */
	for (int i = 0; i < n; i++)
	{
		char	   *kind = fsw_read_cstring(i, 1);

		if (!fsw_read_bool(i, 2) || fsw_read_int64(i, 3, reading->feature_id) != reading->feature_id)
			continue;
		if (strcmp(kind, "feature_created") == 0)
		{
			born = fsw_read_int64(i, 6, 0);
			reading->creation_told = true;
		}
		else if (strcmp(kind, "feature_deleted") == 0)
			gone = Min(gone, fsw_read_int64(i, 6, 0));
	}
	reading->feature_born = born;
	if (gone != FSW_FOREVER)
	{
		flag->gone = gone;
		flag->gone_exactly = true;
	}

	for (int i = 0; i < n; i++)
	{
		char	   *kind = fsw_read_cstring(i, 1);
		bool		project_level = fsw_read_bool(i, 2);
		int64		feature_id = fsw_read_int64(i, 3, reading->feature_id);
		int64		at = fsw_read_int64(i, 6, 0);
		int64		arrived = fsw_read_int64(i, 7, 0);
		bool		ambiguous = fsw_read_bool(i, 9);
		FswEvidenceKind what;
		bool		scope_isnull;
		Datum		scope_hash = fsw_read_column(i, 4, &scope_isnull);
		int			row;

		if (feature_id != reading->feature_id)
			continue;
		if ((born != FSW_NEVER && at < born - LIFE_SPREAD) ||
			(flag->gone != FSW_FOREVER && at > flag->gone + LIFE_SPREAD))
			continue;

		if (strcmp(kind, "version") == 0)
		{
			FswEvidence *piece = fsw_read_evidence(reading, FSW_EV_VERSION, 0, at, arrived);

			piece->version = (uint64) fsw_read_int64(i, 5, 0);
			piece->row = fsw_read_row(reading, fsw_read_int64(i, 8, 0), NULL, false, 0);
			reading->versioned = true;
			continue;
		}
		if (strcmp(kind, "variant") == 0 && project_level)
		{
			fsw_read_evidence(reading, FSW_EV_OPTION, 0, at, arrived);
			flag->defaults_complete = false;
			continue;
		}
		if (strcmp(kind, "feature_updated") == 0)
		{
			fsw_read_evidence(reading, FSW_EV_UPDATED, 0, at, arrived);
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

		row = fsw_read_row(reading, fsw_read_int64(i, 8, 0), NULL, false, 0);
		if (scope_isnull)
		{
			if (what != FSW_EV_REMOVAL && what != FSW_EV_DOUBT && strcmp(kind, "override") != 0)
				fsw_read_evidence(reading, what, 0, at, arrived)->row = row;
			continue;
		}
		for (int scope = 1; scope < flag->nscopes; scope++)
		{
			if (scope_is_named(reading, scope, DatumGetInt64(scope_hash), at))
				fsw_read_evidence(reading, what, scope, at, arrived)->row = row;
		}
	}
	SPI_freetuptable(SPI_tuptable);
}

#define VERSIONS \
	"SELECT pg_catalog.hashtextextended(v.uuid, 0)," \
	" LEAST(v.received_at, (SELECT pg_catalog.min(r.first_received_at)" \
	"  FROM flagsmith.delivery_repeat r WHERE r.delivery = v.delivery))," \
	" v.states, v.delivery FROM flagsmith.version_published v" \
	" WHERE v.source = $1 AND v.feature_id = $2 AND v.stored_at <= $4" \
	" AND COALESCE((SELECT w.environment_id FROM flagsmith.webhook w WHERE w.name = v.webhook)," \
	"  (SELECT pg_catalog.min(t.environment_id) FROM flagsmith.touch t" \
	"   WHERE pg_catalog.hashtextextended(t.version, 0) = pg_catalog.hashtextextended(v.uuid, 0)" \
	"   AND t.version IS NOT NULL AND t.version = v.uuid AND t.source = $1)," \
	"  (SELECT CASE WHEN pg_catalog.min(s.e) = pg_catalog.max(s.e) THEN pg_catalog.min(s.e) END" \
	"   FROM (SELECT f.environment_id AS e FROM flagsmith.delivery d, flagsmith.flag_change f" \
	"    WHERE d.webhook = v.webhook AND f.delivery = d.id AND f.environment_id IS NOT NULL" \
	"    ORDER BY d.received_at DESC LIMIT 64) s)) = $3"

/*
 * The lists of published versions.  Their environment is that of the webhook,
 * else that of the audit entry with the same uuid, else the only one that the
 * webhook brings flag events of.
 */
void
fsw_read_versions(FswHistoryReading *reading)
{
	static const Oid types[] = {TEXTOID, INT8OID, INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID,
	INT8OID};
	Datum		values[6];
	int			n;

	values[0] = reading->source;
	values[1] = Int64GetDatum(reading->feature_id);
	values[2] = Int64GetDatum(reading->environment_id);
	values[3] = TimestampTzGetDatum(reading->known_at);
	if (reading->near == NULL)
		n = fsw_read_run(FSW_PLAN_READ_VERSIONS, VERSIONS, 4, types, values);
	else
	{
		values[4] = TimestampTzGetDatum(*reading->near);
		values[5] = Int64GetDatum(FSW_WINDOW);
		n = fsw_read_run(FSW_PLAN_READ_VERSIONS_NEAR,
				"(" VERSIONS " AND v.received_at <= $5 ORDER BY v.received_at DESC LIMIT $6)"
				" UNION ALL (" VERSIONS " AND v.received_at > $5 ORDER BY v.received_at LIMIT $6)",
				6, types, values);
	}
	reading->versioned = reading->versioned || n > 0;
	for (int i = 0; i < n; i++)
	{
		bool		isnull;
		Datum		states = fsw_read_column(i, 3, &isnull);
		int64		arrived = fsw_read_int64(i, 2, 0);
		FswEvidence *piece = fsw_read_evidence(reading, FSW_EV_LIST, 0, arrived, arrived);
		JsonbIterator *iterator;
		JsonbIteratorToken token;
		JsonbValue	element;
		Jsonb	   *list;
		int			index = reading->history->flag.nevidence - 1;
		int		   *ids;
		int			nids = 0;

		piece->version = (uint64) fsw_read_int64(i, 1, 0);
		piece->digest = piece->version;
		piece->row = fsw_read_row(reading, fsw_read_int64(i, 4, 0), NULL, false, 0);
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
