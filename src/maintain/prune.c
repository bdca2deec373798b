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
#include "lib/qunique.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "src/base/array.h"
#include "src/base/fsw.h"
#include "src/decode/row.h"
#include "src/maintain/canonical.h"

/* What of a call goes into flagsmith.pruning, in the order of its columns. */
#define PRUNED_COUNTS (1 + FSW_TABLE_COUNT)

/* How many rows are chosen, or bodies forgotten, between two looks at the clock. */
#define STEP 1000

/* What a call removed, of which deliveries. */
typedef struct Pruned
{
	int64		counts[PRUNED_COUNTS];
	int64	   *deliveries;
	int			ndeliveries;
	int			maxdeliveries;
	int64		looked_at;		/* rows, by the choice of what may go */
	FswProgress progress;
} Pruned;

/* The call of prune_history() whose choice runs, if one does. */
static Pruned *choosing = NULL;

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

/*
 * The holes in audit ids that are known by entries from before an instant, as
 * jsonb, or NULL; only where no call pruned up to it before.  They are missing
 * still when these entries are gone.  What is before the first entry (read_start()
 * in src/read/holes.c) is one of them, without a begin.
 */
static Datum
read_holes(Datum before, bool *isnull)
{
	static const Oid types[] = {TIMESTAMPTZOID};

	fsw_execute(fsw_plan(FSW_PLAN_PRUNED_HOLES,
						 "SELECT CASE WHEN NOT EXISTS ("
						 "  SELECT FROM flagsmith.pruning AS p WHERE p.what = 'history' AND p.before >= $1) THEN ("
						 "  SELECT jsonb_agg(jsonb_build_object('source', m.source, 'project_id', m.project_id,"
						 "    'first_audit_id', m.first_audit_id, 'last_audit_id', m.last_audit_id,"
						 "    'earliest', m.earliest, 'latest', m.latest) ORDER BY m.source, m.first_audit_id)"
						 "  FROM (SELECT source, project_id, first_audit_id, last_audit_id, earliest, latest"
						 "    FROM flagsmith.missing_audit_entry"
						 "    UNION ALL"
						 "    SELECT s.source, NULL, 1, s.lowest - 1, '-infinity', flagsmith._earlier(e.begun, interval '10 seconds')"
						 "    FROM (SELECT source, min(audit_id) AS lowest FROM flagsmith.audit_log WHERE audit_id > 0 GROUP BY source) AS s"
						 "    CROSS JOIN LATERAL (SELECT min(created_date) AS begun FROM flagsmith.audit_log AS a"
						 "      WHERE a.source = s.source AND a.audit_id = s.lowest) AS e"
						 "    WHERE s.lowest > 1) AS m"
						 "  CROSS JOIN LATERAL (SELECT min(least(a.received_at, a.created_date)) AS known FROM flagsmith.audit_log AS a"
						 "    WHERE a.source = m.source AND a.audit_id = CASE WHEN m.earliest = '-infinity' THEN m.last_audit_id + 1"
						 "      ELSE m.first_audit_id - 1 END) AS a"
						 "  WHERE a.known < $1 AND NOT EXISTS ("
						 "    SELECT FROM flagsmith.pruning AS p WHERE p.what = 'history' AND p.before > a.known))"
						 " END",
						 lengthof(types), types),
				&before, NULL, false, 0);
	return SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, isnull);
}

/* The deliveries, each once and in order, as int8[]. */
static Datum
sort_deliveries(Pruned *pruned)
{
	qsort(pruned->deliveries, pruned->ndeliveries, sizeof(int64), fsw_compare_int64);
	pruned->ndeliveries = qunique(pruned->deliveries, pruned->ndeliveries, sizeof(int64), fsw_compare_int64);
	return fsw_int8_array(pruned->deliveries, pruned->ndeliveries);
}

/*
 * A record of what was removed of what; returns how much that was.  What is
 * left of the deliveries is part of it: where there is no body any more,
 * nothing else tells whether the rows are the true ones.
 */
static int64
record(const char *what, Datum before, Pruned *pruned, Datum holes, bool no_holes)
{
	static const Oid types[] = {TEXTOID, TIMESTAMPTZOID, INT8OID, INT8OID, INT8OID, INT8OID, INT8OID, JSONBOID,
	INT8ARRAYOID, BYTEAOID};
	Datum		values[lengthof(types)];
	char		nulls[lengthof(types)];
	int64		rows = 0;

	values[0] = CStringGetTextDatum(what);
	values[1] = before;
	for (int i = 0; i < PRUNED_COUNTS; i++)
	{
		values[2 + i] = Int64GetDatum(pruned->counts[i]);
		if (i > 0)
			rows += pruned->counts[i];
	}
	memset(nulls, ' ', sizeof(nulls));
	values[2 + PRUNED_COUNTS] = holes;
	nulls[2 + PRUNED_COUNTS] = no_holes ? 'n' : ' ';
	if (rows + pruned->counts[0] > 0)
	{
		values[3 + PRUNED_COUNTS] = sort_deliveries(pruned);
		values[4 + PRUNED_COUNTS] = PointerGetDatum(fsw_row_digests(pruned->deliveries, pruned->ndeliveries, false,
																	&pruned->progress));
		fsw_execute(fsw_plan(FSW_PLAN_PRUNE_LOG,
							 "INSERT INTO flagsmith.pruning"
							 " (what, before, bodies, audit_log, flag_change, audit_effect, version_published, holes,"
							 " deliveries, row_digests)"
							 " SELECT $1, $2, $3, $4, $5, $6, $7, $8, range_agg(int8range(v.id, v.id, '[]')), $10"
							 " FROM unnest($9) AS v (id)",
							 lengthof(types), types),
					values, nulls, false, 0);
	}
	/* Of history, the deliveries are counted by their rows. */
	return strcmp(what, "bodies") == 0 ? pruned->counts[0] : rows;
}

/* One bigint of the only row of the last statement. */
static int64
returned(int column)
{
	bool		isnull;

	return DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, column, &isnull));
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
	static const Oid types[] = {TIMESTAMPTZOID, INT4OID, BOOLOID, INT8OID};
	Datum		values[4];
	Pruned		pruned = {0};
	int64		step;
	int64		last = PG_INT64_MIN;

	require_arguments(fcinfo);
	fsw_refuse_on_subscriber();
	values[0] = PG_GETARG_DATUM(0);
	values[2] = BoolGetDatum(!PG_ARGISNULL(2) && PG_GETARG_BOOL(2));
	fsw_xact_assign_id();
	SPI_connect();
	fsw_progress_begin(&pruned.progress, "prune_bodies", NULL);
	do
	{
		CHECK_FOR_INTERRUPTS();
		step = Min(STEP, PG_GETARG_INT32(1) - pruned.counts[0]);
		values[1] = Int32GetDatum((int32) step);
		values[3] = Int64GetDatum(last);
		fsw_execute_on_history(fsw_plan(FSW_PLAN_PRUNE_BODIES,
										"WITH victim AS ("
										" SELECT id FROM flagsmith.delivery"
										" WHERE received_at < $1 AND body IS NOT NULL"
										" AND (undecoded_reason IS NULL OR $3) AND id > $4"
										" ORDER BY id LIMIT $2)"
										" UPDATE flagsmith.delivery AS d SET body = NULL"
										" FROM victim AS v WHERE d.id = v.id RETURNING d.id",
										4, types),
							   values, NULL);
		step = step == (int64) SPI_processed ? step : 0;
		pruned.counts[0] += SPI_processed;
		for (uint64 i = 0; i < SPI_processed; i++)
		{
			bool		isnull;
			int64		id = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &isnull));

			FSW_PUSH(pruned.deliveries, pruned.ndeliveries, pruned.maxdeliveries) = id;
			last = Max(last, id);
		}
		SPI_freetuptable(SPI_tuptable);
		if (fsw_progress_is_due(&pruned.progress))
			fsw_progress_tell(&pruned.progress, psprintf("forgot %lld bodies of at most %d",
														 (long long) pruned.counts[0], PG_GETARG_INT32(1)));
	} while (step > 0 && pruned.counts[0] < PG_GETARG_INT32(1));
	record("bodies", values[0], &pruned, (Datum) 0, true);
	fsw_progress_end(&pruned.progress);
	SPI_finish();
	PG_RETURN_INT64(pruned.counts[0]);
}

#define DELETE_VICTIMS(table, split) \
	"DELETE FROM flagsmith." table " AS c USING unnest($1, $2, $3) AS v (delivery, ordinal, split)" \
	" WHERE c.delivery = v.delivery AND c.ordinal = v.ordinal" split

/* Of each typed table, in whose order flagsmith.pruning counts them, too. */
static const char *const deletions[FSW_TABLE_COUNT] = {
	[FSW_TABLE_AUDIT_LOG] = DELETE_VICTIMS("audit_log", ""),
	[FSW_TABLE_FLAG_CHANGE] = DELETE_VICTIMS("flag_change", ""),
	[FSW_TABLE_AUDIT_EFFECT] = DELETE_VICTIMS("audit_effect", " AND c.split = v.split"),
	[FSW_TABLE_VERSION_PUBLISHED] = DELETE_VICTIMS("version_published", "")
};

/* The rows of one table that may go, by their keys. */
typedef struct Victims
{
	int			n;
	Datum		deliveries[STEP];
	Datum		ordinals[STEP];
	Datum		splits[STEP];
} Victims;

/* Sort the rows of a step by their tables. */
static void
sort_victims(Victims *victims, SPITupleTable *rows)
{
	bool		isnull;

	for (int t = 0; t < FSW_TABLE_COUNT; t++)
		victims[t].n = 0;
	for (uint64 i = 0; i < rows->numvals; i++)
	{
		char	   *table = SPI_getvalue(rows->vals[i], rows->tupdesc, 1);
		Victims    *of;
		int			t = 0;

		while (t < FSW_TABLE_COUNT && strcmp(fsw_tables[t].name, table) != 0)
			t++;
		if (t == FSW_TABLE_COUNT)
			elog(ERROR, "could not prune a row of \"%s\"", table);
		of = &victims[t];
		of->deliveries[of->n] = SPI_getbinval(rows->vals[i], rows->tupdesc, 2, &isnull);
		of->ordinals[of->n] = SPI_getbinval(rows->vals[i], rows->tupdesc, 3, &isnull);
		of->splits[of->n++] = SPI_getbinval(rows->vals[i], rows->tupdesc, 4, &isnull);
	}
}

/* Remove the rows of a step, and the bodies that they came from. */
static void
remove_victims(Victims *victims, Datum deliveries, int64 *counts)
{
	static const Oid types[] = {INT8ARRAYOID, INT4ARRAYOID, INT4ARRAYOID};
	Datum		values[3];

	for (int t = 0; t < FSW_TABLE_COUNT; t++)
	{
		Victims    *of = &victims[t];

		if (of->n == 0)
			continue;
		values[0] = PointerGetDatum(construct_array(of->deliveries, of->n, INT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
		values[1] = PointerGetDatum(construct_array(of->ordinals, of->n, INT4OID, 4, true, TYPALIGN_INT));
		values[2] = PointerGetDatum(construct_array(of->splits, of->n, INT4OID, 4, true, TYPALIGN_INT));
		fsw_execute_on_history(fsw_plan(FSW_PLAN_PRUNE_HISTORY + t, deletions[t], 3, types), values, NULL);
		counts[t + 1] += SPI_processed;
	}
	values[0] = deliveries;
	fsw_execute_on_history(fsw_plan(FSW_PLAN_PRUNE_HISTORY_BODIES,
									"UPDATE flagsmith.delivery SET body = NULL WHERE body IS NOT NULL AND id = ANY ($1)",
									1, types),
						   values, NULL);
	counts[0] += SPI_processed;
}

/* ---- the choice ---- */

static void
tell_progress(Pruned *pruned)
{
	const int64 *counts = pruned->counts;

	if (fsw_progress_is_due(&pruned->progress))
		fsw_progress_tell(&pruned->progress,
						  psprintf("looked at %lld rows, removed %lld", (long long) pruned->looked_at,
								   (long long) (counts[1] + counts[2] + counts[3] + counts[4])));
}

PG_FUNCTION_INFO_V1(fsw_looked_at);

/*
 * _looked_at(delivery bigint) returns bigint - its argument.  The choice calls
 * it for each row that it looks at, since one statement can take minutes before
 * it gives the first.
 */
Datum
fsw_looked_at(PG_FUNCTION_ARGS)
{
	if (choosing != NULL && ++choosing->looked_at % STEP == 0)
		tell_progress(choosing);
	return PG_GETARG_DATUM(0);
}

/* Whether the call ended or failed, its memory is about to go. */
static void
forget_choosing(void *arg)
{
	(void) arg;
	choosing = NULL;
}

static void
begin_choosing(Pruned *pruned, const char *at_first)
{
	MemoryContextCallback *callback = palloc0(sizeof(MemoryContextCallback));

	callback->func = forget_choosing;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, callback);
	choosing = pruned;
	fsw_progress_begin(&pruned->progress, "prune_history", at_first);
}

/*
 * Remove what may go.  The choice is one statement with one snapshot, read
 * through a cursor, so that what one step removes is still there for the
 * choice of the others.
 */
static void
prune_history(Datum *values, const Oid *types, Pruned *pruned)
{
	Victims    *victims = palloc_array(Victims, FSW_TABLE_COUNT);
	MemoryContext step = AllocSetContextCreate(CurrentMemoryContext, "flagsmith_webhook prune",
											   ALLOCSET_DEFAULT_SIZES);
	Portal		portal = SPI_cursor_open(NULL,
										 fsw_plan(FSW_PLAN_PRUNABLE_HISTORY,
												  "SELECT relation, delivery, ordinal, split"
												  " FROM flagsmith._prunable_history($1, $2)",
												  2, types),
										 values, NULL, false);

	for (;;)
	{
		SPITupleTable *rows;
		MemoryContext old;
		int			before = pruned->ndeliveries;

		SPI_cursor_fetch(portal, true, STEP);
		rows = SPI_tuptable;
		if (SPI_processed == 0)
			break;
		for (uint64 i = 0; i < rows->numvals; i++)
		{
			bool		isnull;

			FSW_PUSH(pruned->deliveries, pruned->ndeliveries, pruned->maxdeliveries) =
				DatumGetInt64(SPI_getbinval(rows->vals[i], rows->tupdesc, 2, &isnull));
		}
		old = MemoryContextSwitchTo(step);
		sort_victims(victims, rows);
		remove_victims(victims, fsw_int8_array(pruned->deliveries + before, pruned->ndeliveries - before), pruned->counts);
		tell_progress(pruned);
		MemoryContextSwitchTo(old);
		MemoryContextReset(step);
		SPI_freetuptable(rows);
		CHECK_FOR_INTERRUPTS();
	}
	SPI_cursor_close(portal);
}

PG_FUNCTION_INFO_V1(fsw_prune_history);

/*
 * prune_history(before timestamptz, at_most integer, dry_run boolean) returns
 * bigint - remove typed rows, with the bodies they came from, that say nothing
 * about any instant from "before" on; which those are is schema/prune.sql's.
 */
Datum
fsw_prune_history(PG_FUNCTION_ARGS)
{
	static const Oid types[] = {TIMESTAMPTZOID, INT4OID};
	Datum		values[2];
	Pruned		pruned = {0};
	int64		total;

	require_arguments(fcinfo);
	values[0] = PG_GETARG_DATUM(0);
	values[1] = PG_GETARG_DATUM(1);
	SPI_connect();
	if (!PG_ARGISNULL(2) && PG_GETARG_BOOL(2))
	{
		begin_choosing(&pruned, "counting what to remove");
		fsw_execute(fsw_plan(FSW_PLAN_PRUNABLE_COUNT,
							 "SELECT count(*) FROM flagsmith._prunable_history($1, $2)",
							 2, types),
					values, NULL, false, 0);
		total = returned(1);
	}
	else
	{
		bool		no_holes;
		Datum		holes;

		fsw_refuse_on_subscriber();
		fsw_xact_assign_id();
		begin_choosing(&pruned, "choosing what to remove");
		holes = read_holes(values[0], &no_holes);
		prune_history(values, types, &pruned);
		total = record("history", values[0], &pruned, holes, no_holes);
	}
	fsw_progress_end(&pruned.progress);
	SPI_finish();
	PG_RETURN_INT64(total);
}
