/*-------------------------------------------------------------------------
 *
 * src/maintain/prune.c
 *	  Old bodies and old history removed, and a record of it.
 *
 * What may go is schema/prune.sql's; the statements here only remove it by
 * key, and are constant.  One call removes a bounded
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
								  " (what, before, bodies, audit_log, flag_change, audit_effect, version_published)"
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

/* The rows of one table that may go, to the row itself. */
#define PRUNABLE(table) \
	" USING prunable AS v WHERE v.relation = '" table "'" \
	" AND c.delivery = v.delivery AND c.ordinal = v.ordinal"

PG_FUNCTION_INFO_V1(fsw_prune_history);

/*
 * prune_history(before timestamptz, at_most integer, dry_run boolean) returns
 * bigint - remove typed rows, with the bodies they came from, that say nothing
 * about any instant from "before" on; which those are is schema/prune.sql's.
 * The parts of one statement see one snapshot, so what one of them removes is
 * still there for the choice of the others.
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
	if (!PG_ARGISNULL(2) && PG_GETARG_BOOL(2))
	{
		bool		isnull;

		fsw_execute(fsw_plan(FSW_PLAN_PRUNABLE_HISTORY,
							 "SELECT count(*) FROM flagsmith._prunable_history($1, $2)",
							 2, types),
					values, NULL, false, 0);
		pruned = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));
	}
	else
	{
		fsw_execute_on_history(fsw_plan(FSW_PLAN_PRUNE_HISTORY,
										"WITH prunable AS MATERIALIZED ("
										" SELECT * FROM flagsmith._prunable_history($1, $2)),"
										" changes AS (DELETE FROM flagsmith.flag_change AS c" PRUNABLE("flag_change") " RETURNING 1),"
										" entries AS (DELETE FROM flagsmith.audit_log AS c" PRUNABLE("audit_log") " RETURNING 1),"
										" effects AS (DELETE FROM flagsmith.audit_effect AS c" PRUNABLE("audit_effect")
										"  AND c.split = v.split RETURNING 1),"
										" versions AS (DELETE FROM flagsmith.version_published AS c"
										PRUNABLE("version_published") " RETURNING 1),"
										" bodies AS (UPDATE flagsmith.delivery AS d SET body = NULL"
										"  WHERE d.body IS NOT NULL AND d.id IN (SELECT v.delivery FROM prunable AS v)"
										"  RETURNING d.id)"
										" SELECT (SELECT count(*) FROM bodies), (SELECT count(*) FROM entries),"
										" (SELECT count(*) FROM changes), (SELECT count(*) FROM effects),"
										" (SELECT count(*) FROM versions)",
										2, types),
							   values, NULL);
		pruned = record("history", values[0], PRUNED_COUNTS);
	}
	SPI_finish();
	PG_RETURN_INT64(pruned);
}
