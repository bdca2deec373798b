/*-------------------------------------------------------------------------
 *
 * src/maintain/prune.c
 *	  Old bodies and old history removed, and a record of it.
 *
 * Together with the repeats of the inbox and rebuild(), the only statements
 * that change history; all of them are constant.  One call removes a bounded
 * number of rows, so that whoever prunes much calls again, a transaction at a
 * time, and a cancelled call loses nothing but itself.
 *
 * The row of a delivery always stays: its key is what makes a body that is
 * sent again, or replayed, a duplicate.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type_d.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "src/base/fsw.h"
#include "src/decode/row.h"

/* What of a call goes into flagsmith.pruning, in the order of its columns. */
#define PRUNED_COUNTS 5

static void
require_arguments(FunctionCallInfo fcinfo)
{
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("before and at_most must not be null")));
	if (PG_GETARG_INT32(1) < 1)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("at_most must be greater than zero")));
}

/* The only row of the last statement: how much it removed of what. */
static int64
record(const char *what, Datum before, int returned)
{
	static const Oid types[] = {TEXTOID, TIMESTAMPTZOID, INT8OID, INT8OID, INT8OID, INT8OID, INT8OID};
	Datum		values[2 + PRUNED_COUNTS];
	HeapTuple	tuple = SPI_tuptable->vals[0];
	TupleDesc	desc = SPI_tuptable->tupdesc;
	int64		total = 0;
	bool		isnull;

	values[0] = CStringGetTextDatum(what);
	values[1] = before;
	for (int i = 0; i < PRUNED_COUNTS; i++)
	{
		int64		count = i < returned ? DatumGetInt64(SPI_getbinval(tuple, desc, i + 1, &isnull)) : 0;

		values[2 + i] = Int64GetDatum(count);
		/* Of history, the deliveries are counted by their rows. */
		if (i > 0 || returned == 1)
			total += count;
	}
	SPI_freetuptable(SPI_tuptable);
	if (total > 0)
		fsw_execute(fsw_plan(FSW_PLAN_PRUNE_LOG,
								  "INSERT INTO flagsmith.pruning"
								  " (what, before, bodies, audit_log, flag_change, touch, version_published)"
								  " VALUES ($1, $2, $3, $4, $5, $6, $7)",
								  lengthof(types), types),
						 values, NULL, false, 0);
	return total;
}

PG_FUNCTION_INFO_V1(fsw_prune_bodies);

/*
 * prune_bodies(before timestamptz, at_most integer, undecoded boolean) returns
 * bigint - forget the bodies of deliveries that arrived before an instant;
 * typed rows stay.  Of a body that could not be decoded nothing else is left,
 * so it is kept unless asked for.
 */
Datum
fsw_prune_bodies(PG_FUNCTION_ARGS)
{
	static const Oid types[] = {TIMESTAMPTZOID, INT4OID, BOOLOID};
	Datum		values[3];
	int64		pruned;

	require_arguments(fcinfo);
	values[0] = PG_GETARG_DATUM(0);
	values[1] = PG_GETARG_DATUM(1);
	values[2] = BoolGetDatum(!PG_ARGISNULL(2) && PG_GETARG_BOOL(2));
	SPI_connect();
	fsw_execute_on_history(fsw_plan(FSW_PLAN_PRUNE_BODIES,
									"WITH victim AS ("
									" SELECT id FROM flagsmith.delivery"
									" WHERE received_at < $1 AND body IS NOT NULL"
									" AND (undecoded_reason IS NULL OR $3)"
									" ORDER BY id LIMIT $2),"
									" pruned AS ("
									" UPDATE flagsmith.delivery AS d SET body = NULL"
									" FROM victim AS v WHERE d.id = v.id RETURNING d.id)"
									" SELECT count(*) FROM pruned",
									3, types),
						   values, NULL);
	pruned = record("bodies", values[0], 1);
	SPI_finish();
	PG_RETURN_INT64(pruned);
}

/* The changes of the flag of another row, by the leading columns of the indexes. */
#define CHANGES_OF(other) \
	" FROM flagsmith.flag_change AS l WHERE l.feature_id = " other ".feature_id" \
	" AND l.environment_id = " other ".environment_id AND l.source = " other ".source" \
	" AND hashtextextended(l.source, 0) = hashtextextended(" other ".source, 0)" \
	" AND NOT l.is_test"
#define DEFAULTS_OF(other) \
	CHANGES_OF(other) " AND l.segment_id IS NULL AND l.identity IS NULL AND NOT l.deleted"

/*
 * Of flags that are published in versions, what stays as a whole.  There the
 * states are carried from version to version by bodies, lists and entries
 * together, so none of them goes without the others: from the last 64 changes
 * of the environment default on, further than any of them looks back, and
 * from the first override by segment on.
 */
#define KEPT \
	" versioned AS MATERIALIZED (" \
	" SELECT p.source, p.feature_id FROM flagsmith.version_published AS p WHERE p.feature_id IS NOT NULL" \
	" UNION SELECT t.source, n.id::bigint" \
	"  FROM (SELECT DISTINCT source, feature_hash FROM flagsmith.touch WHERE kind = 'version') AS t" \
	"  JOIN flagsmith.name AS n ON n.source = t.source AND n.kind = 'feature'" \
	"   AND flagsmith._hash('feature:' || n.name) = t.feature_hash AND n.id ~ '^[0-9]{1,18}$')," \
	" kept AS MATERIALIZED (" \
	" SELECT s.*, min(s.since) OVER (PARTITION BY s.source, s.feature_id) AS since_anywhere" \
	" FROM (SELECT f.source, f.environment_id, f.feature_id," \
	"   LEAST(COALESCE((SELECT l.event_at" DEFAULTS_OF("f") " AND l.event_at < $1 AND l.received_at < $1" \
	"     ORDER BY l.event_at DESC OFFSET 63 LIMIT 1), '-infinity')," \
	"    (SELECT min(l.event_at)" CHANGES_OF("f") " AND l.segment_id IS NOT NULL))" \
	"   - interval '1 hour' AS since" \
	"  FROM flagsmith._flag AS f JOIN versioned USING (source, feature_id)" \
	"  WHERE EXISTS (SELECT" CHANGES_OF("f") ")) AS s)," \
	" named AS MATERIALIZED (" \
	" SELECT v.source, flagsmith._hash('feature:' || n.name) AS feature_hash, k.environment_id, min(k.since) AS since" \
	" FROM versioned AS v" \
	" JOIN flagsmith.name AS n ON n.source = v.source AND n.kind = 'feature' AND n.id = v.feature_id::text" \
	" LEFT JOIN kept AS k ON k.source = v.source AND k.feature_id = v.feature_id" \
	" GROUP BY 1, 2, 3),"

/* Another change tells what is live at any instant that is still asked about. */
#define SUPERSEDES \
	" AND l.event_at > f.event_at + interval '1 minute' AND l.event_at < $1" \
	" AND l.received_at >= f.received_at AND l.received_at < $1"

/*
 * A deletion is never superseded: imports and late bodies tell of the time
 * before it.  Nor is the last to tell of a feature's defaults, or of how an
 * identity is called, by those that do not.
 */
#define DEFAULT_IS_SUPERSEDED \
	" NOT f.deleted AND EXISTS (SELECT" DEFAULTS_OF("f") SUPERSEDES \
	"  AND (l.feature_default_enabled IS NOT NULL OR f.feature_default_enabled IS NULL))"
#define OVERRIDE_IS_SUPERSEDED \
	" NOT f.deleted AND EXISTS (SELECT" CHANGES_OF("f") SUPERSEDES " AND NOT l.deleted" \
	"  AND (l.segment_id IS NOT NULL OR l.identity IS NOT NULL)" \
	"  AND l.segment_id IS NOT DISTINCT FROM f.segment_id" \
	"  AND l.identity IS NOT DISTINCT FROM f.identity" \
	"  AND l.identity_kind IS NOT DISTINCT FROM f.identity_kind" \
	"  AND (l.identity_identifier IS NOT NULL OR f.identity_identifier IS NULL))"
#define CHANGES \
	" changes AS (" \
	" DELETE FROM flagsmith.flag_change AS c" \
	" USING ((SELECT f.delivery, f.ordinal FROM flagsmith.flag_change AS f" \
	"   WHERE f.event_at < $1 AND f.received_at < $1 AND (f.is_test OR" \
	"   (f.identity IS NOT NULL" \
	"    OR (f.source, f.feature_id) NOT IN (SELECT v.source, v.feature_id FROM versioned AS v))" \
	"   AND CASE WHEN f.segment_id IS NULL AND f.identity IS NULL THEN" DEFAULT_IS_SUPERSEDED \
	"    ELSE" OVERRIDE_IS_SUPERSEDED " END)" \
	"   ORDER BY f.event_at LIMIT $2)" \
	"  UNION ALL (SELECT f.delivery, f.ordinal FROM kept AS k, flagsmith.flag_change AS f" \
	"   WHERE f.feature_id = k.feature_id AND f.environment_id = k.environment_id AND f.source = k.source" \
	"   AND hashtextextended(f.source, 0) = hashtextextended(k.source, 0) AND NOT f.is_test" \
	"   AND f.segment_id IS NULL AND f.identity IS NULL" \
	"   AND f.event_at < k.since AND f.received_at < k.since AND" DEFAULT_IS_SUPERSEDED \
	"   LIMIT $2) LIMIT $2) AS v" \
	" WHERE c.delivery = v.delivery AND c.ordinal = v.ordinal RETURNING c.delivery),"

/* The latest entry says until when nothing else happened. */
#define ENTRIES \
	" newest AS MATERIALIZED (" \
	" SELECT source, COALESCE(project_id, -1) AS project_id, COALESCE(environment_id, -1) AS environment_id," \
	"  max(created_date) AS created_date" \
	" FROM flagsmith.audit_log WHERE NOT is_test AND created_date < $1 AND received_at < $1 GROUP BY 1, 2, 3)," \
	" entries AS (" \
	" DELETE FROM flagsmith.audit_log AS c" \
	" USING (SELECT a.delivery, a.ordinal FROM flagsmith.audit_log AS a" \
	"  LEFT JOIN newest AS n ON n.source = a.source AND n.project_id = COALESCE(a.project_id, -1)" \
	"   AND n.environment_id = COALESCE(a.environment_id, -1)" \
	"  WHERE a.created_date < $1 AND a.received_at < $1 AND (a.is_test OR a.created_date < n.created_date)" \
	"  ORDER BY a.created_date LIMIT $2) AS v" \
	" WHERE c.delivery = v.delivery AND c.ordinal = v.ordinal RETURNING c.delivery),"

/*
 * What begins or ends something stays, and so does what changes the variants
 * of versions.  A later touch of one name tells of the same segment only where
 * no segment was ever renamed to or from it.  The entry of a version says of
 * which environment its list is.  The last one stays, so that the flag is still
 * known to have versions.
 */
#define TOUCHES \
	" renamed AS MATERIALIZED (" \
	" SELECT DISTINCT n.source, flagsmith._hash('segment:' || n.name) AS scope_hash" \
	" FROM flagsmith.name AS n WHERE n.kind = 'segment' AND EXISTS (SELECT FROM flagsmith.name AS o" \
	"  WHERE o.source = n.source AND o.kind = 'segment' AND o.id = n.id AND o.name <> n.name))," \
	" touches AS (" \
	" DELETE FROM flagsmith.touch AS c" \
	" USING ((SELECT t.delivery, t.ordinal, t.split FROM flagsmith.touch AS t" \
	"   WHERE t.at < $1 AND t.received_at < $1" \
	"   AND (t.kind IN ('state', 'value', 'override', 'scheduled')" \
	"    OR (t.kind IN ('variant', 'feature_updated') AND (t.environment_id IS NOT NULL" \
	"     OR (t.source, t.feature_hash) NOT IN (SELECT n.source, n.feature_hash FROM named AS n))))" \
	"   AND EXISTS (" \
	"    SELECT FROM flagsmith.touch AS l WHERE l.feature_hash = t.feature_hash" \
	"    AND l.environment_id IS NOT DISTINCT FROM t.environment_id" \
	"    AND l.source = t.source AND hashtextextended(l.source, 0) = hashtextextended(t.source, 0)" \
	"    AND l.project_id = t.project_id AND l.kind = t.kind" \
	"    AND l.feature_id IS NOT DISTINCT FROM t.feature_id" \
	"    AND l.scope_hash IS NOT DISTINCT FROM t.scope_hash" \
	"    AND l.segment_id IS NOT DISTINCT FROM t.segment_id" \
	"    AND l.at > t.at + interval '1 minute' AND l.at < $1" \
	"    AND l.received_at >= t.received_at AND l.received_at < $1)" \
	"   AND (t.scope_hash IS NULL OR" \
	"    (t.source, t.scope_hash) NOT IN (SELECT r.source, r.scope_hash FROM renamed AS r))" \
	"   ORDER BY t.delivery LIMIT $2)" \
	"  UNION ALL (SELECT t.delivery, t.ordinal, t.split FROM named AS n, flagsmith.touch AS t" \
	"   WHERE t.feature_hash = n.feature_hash AND t.environment_id = n.environment_id AND t.source = n.source" \
	"   AND hashtextextended(t.source, 0) = hashtextextended(n.source, 0) AND t.kind = 'version'" \
	"   AND t.at < n.since AND t.received_at < $1" \
	"   AND EXISTS (SELECT FROM flagsmith.touch AS l WHERE l.feature_hash = t.feature_hash" \
	"    AND hashtextextended(l.source, 0) = hashtextextended(t.source, 0) AND l.source = t.source" \
	"    AND l.kind = 'version' AND l.environment_id = t.environment_id" \
	"    AND l.feature_id IS NOT DISTINCT FROM t.feature_id" \
	"    AND l.at > t.at + interval '1 minute' AND l.at < $1 AND l.received_at < $1)" \
	"   AND NOT EXISTS (SELECT FROM flagsmith.version_published AS p" \
	"    WHERE hashtextextended(p.uuid, 0) = hashtextextended(t.version, 0) AND p.uuid = t.version" \
	"    AND p.source = t.source AND p.received_at >= n.since)" \
	"   LIMIT $2) LIMIT $2) AS v" \
	" WHERE c.delivery = v.delivery AND c.ordinal = v.ordinal AND c.split = v.split" \
	" RETURNING c.delivery),"

/* Where the environment of a list is not known, it can be that of any. */
#define VERSIONS \
	" versions AS (" \
	" DELETE FROM flagsmith.version_published AS c" \
	" USING (SELECT p.delivery, p.ordinal FROM kept AS k" \
	"  JOIN flagsmith.version_published AS p ON p.source = k.source AND p.feature_id = k.feature_id" \
	"   AND p.received_at < k.since" \
	"  CROSS JOIN LATERAL (SELECT COALESCE((SELECT w.environment_id FROM flagsmith.webhook AS w" \
	"    WHERE w.name = p.webhook)," \
	"   (SELECT min(t.environment_id) FROM flagsmith.touch AS t" \
	"    WHERE hashtextextended(t.version, 0) = hashtextextended(p.uuid, 0)" \
	"    AND t.version IS NOT NULL AND t.version = p.uuid" \
	"    AND t.source = p.source)) AS environment_id OFFSET 0) AS e" \
	"  WHERE CASE WHEN e.environment_id IS NULL THEN p.received_at < k.since_anywhere" \
	"   ELSE k.environment_id = e.environment_id END" \
	"  AND EXISTS (SELECT FROM flagsmith.version_published AS l" \
	"   WHERE l.source = p.source AND l.feature_id = p.feature_id" \
	"   AND l.webhook IS NOT DISTINCT FROM p.webhook" \
	"   AND l.received_at > p.received_at + interval '1 minute' AND l.received_at < $1 OFFSET 1)" \
	"  LIMIT $2) AS v" \
	" WHERE c.delivery = v.delivery AND c.ordinal = v.ordinal RETURNING c.delivery),"

PG_FUNCTION_INFO_V1(fsw_prune_history);

/*
 * prune_history(before timestamptz, at_most integer) returns bigint - remove
 * typed rows, with the bodies they came from, that say nothing about any
 * instant from "before" on.
 *
 * A row goes if it arrived before that and another one that did supersedes
 * it: of the same scope, later by its own time and no earlier by arrival.
 * Everything within a minute of the last one stays, since bodies of one act
 * come in a burst and explain each other.  In doubt, a row stays.
 */
Datum
fsw_prune_history(PG_FUNCTION_ARGS)
{
	static const Oid types[] = {TIMESTAMPTZOID, INT4OID};
	Datum		values[2];
	int64		pruned;

	require_arguments(fcinfo);
	values[0] = PG_GETARG_DATUM(0);
	values[1] = PG_GETARG_DATUM(1);
	SPI_connect();
	fsw_execute_on_history(fsw_plan(FSW_PLAN_PRUNE_HISTORY,
									"WITH" KEPT CHANGES ENTRIES TOUCHES VERSIONS
									" bodies AS ("
									" UPDATE flagsmith.delivery AS d SET body = NULL WHERE d.body IS NOT NULL AND d.id IN ("
									"  SELECT delivery FROM changes UNION SELECT delivery FROM entries"
									"  UNION SELECT delivery FROM touches UNION SELECT delivery FROM versions)"
									" RETURNING d.id)"
									" SELECT (SELECT count(*) FROM bodies), (SELECT count(*) FROM entries),"
									" (SELECT count(*) FROM changes), (SELECT count(*) FROM touches),"
									" (SELECT count(*) FROM versions)",
									2, types),
						   values, NULL);
	pruned = record("history", values[0], PRUNED_COUNTS);
	SPI_finish();
	PG_RETURN_INT64(pruned);
}
