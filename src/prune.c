/*-------------------------------------------------------------------------
 *
 * src/prune.c
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

#include "src/flagsmith_webhook.h"
#include "src/event.h"

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

PG_FUNCTION_INFO_V1(fsw_prune_history);

/*
 * prune_history(before timestamptz, at_most integer) returns bigint - remove
 * typed rows, with the bodies they came from, that say nothing about any
 * instant from "before" on.
 *
 * A row goes if it arrived before that and another one that did supersedes
 * it: of the same scope, later by its own time and no earlier by arrival.
 * Everything within a minute of the last one stays, since bodies of one act
 * come in a burst and explain each other.  Of the audit log the last entry of
 * each environment stays, which tells whether it uses versions; of versions
 * the last two of each feature, which are compared.
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
									"WITH changes AS ("
									" DELETE FROM flagsmith.flag_change AS c"
									" USING (SELECT f.delivery, f.ordinal FROM flagsmith.flag_change AS f"
									"  WHERE f.event_at < $1 AND f.received_at < $1 AND (f.is_test OR"
									"  CASE WHEN f.segment_id IS NULL AND f.identity IS NULL THEN"
									"   EXISTS (SELECT FROM flagsmith.flag_change AS l"
									"    WHERE l.source = f.source AND l.environment_id = f.environment_id"
									"    AND l.feature_id = f.feature_id"
									"    AND l.segment_id IS NULL AND l.identity IS NULL AND NOT l.is_test"
									"    AND l.event_at > f.event_at + interval '1 minute' AND l.event_at < $1"
									"    AND l.received_at >= f.received_at AND l.received_at < $1)"
									"  ELSE"
									"   EXISTS (SELECT FROM flagsmith.flag_change AS l"
									"    WHERE l.source = f.source AND l.environment_id = f.environment_id"
									"    AND l.feature_id = f.feature_id"
									"    AND (l.segment_id IS NOT NULL OR l.identity IS NOT NULL) AND NOT l.is_test"
									"    AND l.segment_id IS NOT DISTINCT FROM f.segment_id"
									"    AND l.identity IS NOT DISTINCT FROM f.identity"
									"    AND l.identity_kind IS NOT DISTINCT FROM f.identity_kind"
									"    AND l.event_at > f.event_at + interval '1 minute' AND l.event_at < $1"
									"    AND l.received_at >= f.received_at AND l.received_at < $1)"
									"  END)"
									"  ORDER BY f.event_at LIMIT $2) AS v"
									" WHERE c.delivery = v.delivery AND c.ordinal = v.ordinal RETURNING c.delivery),"
									" newest AS MATERIALIZED ("
									" SELECT source, environment_id, max(created_date) AS created_date"
									" FROM flagsmith.audit_log WHERE environment_id IS NOT NULL"
									" AND created_date < $1 AND received_at < $1 GROUP BY source, environment_id),"
									" entries AS ("
									" DELETE FROM flagsmith.audit_log AS c"
									" USING (SELECT a.delivery, a.ordinal FROM flagsmith.audit_log AS a"
									"  LEFT JOIN newest AS n USING (source, environment_id)"
									"  WHERE a.created_date < $1 AND a.received_at < $1"
									"  AND (n.created_date IS NULL OR a.created_date < n.created_date)"
									"  ORDER BY a.created_date LIMIT $2) AS v"
									" WHERE c.delivery = v.delivery AND c.ordinal = v.ordinal RETURNING c.delivery),"
									" touches AS ("
									" DELETE FROM flagsmith.touch AS c"
									" USING (SELECT t.delivery, t.ordinal, t.split FROM flagsmith.touch AS t"
									"  WHERE t.at < $1 AND t.received_at < $1 AND EXISTS ("
									"   SELECT FROM flagsmith.touch AS l WHERE l.source = t.source"
									"   AND l.project_id = t.project_id AND l.feature_hash = t.feature_hash"
									"   AND l.kind = t.kind"
									"   AND l.environment_id IS NOT DISTINCT FROM t.environment_id"
									"   AND l.feature_id IS NOT DISTINCT FROM t.feature_id"
									"   AND l.scope_hash IS NOT DISTINCT FROM t.scope_hash"
									"   AND l.segment_id IS NOT DISTINCT FROM t.segment_id"
									"   AND l.at > t.at + interval '1 minute' AND l.at < $1"
									"   AND l.received_at >= t.received_at AND l.received_at < $1)"
									"  ORDER BY t.delivery LIMIT $2) AS v"
									" WHERE c.delivery = v.delivery AND c.ordinal = v.ordinal AND c.split = v.split"
									" RETURNING c.delivery),"
									" versions AS ("
									" DELETE FROM flagsmith.version_published AS c"
									" USING (SELECT p.delivery, p.ordinal FROM flagsmith.version_published AS p"
									"  WHERE p.received_at < $1 AND EXISTS ("
									"   SELECT FROM flagsmith.version_published AS l"
									"   WHERE l.source = p.source AND l.feature_id = p.feature_id"
									"   AND l.webhook IS NOT DISTINCT FROM p.webhook"
									"   AND l.received_at > p.received_at + interval '1 minute' AND l.received_at < $1"
									"   OFFSET 1)"
									"  ORDER BY p.received_at LIMIT $2) AS v"
									" WHERE c.delivery = v.delivery AND c.ordinal = v.ordinal RETURNING c.delivery),"
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
