/*-------------------------------------------------------------------------
 *
 * src/resolve.c
 *	  Which environment and which feature a pair of names means.
 *
 * An environment is named by its name, by project/environment, or by
 * source/project/environment, compared as they stand, since every name may
 * contain "/".  Names change; at an instant, a name means what was called so
 * then, and before its first sight what it was called at first.  Within one
 * project the youngest of several wins, since flags are deleted and created
 * again under the same name.
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

#include "src/evidence.h"
#include "src/flagsmith_webhook.h"

/*
 * The periods of the names of everything of one kind that a condition meets.
 * Not every delivery that has a name says of which project it is.
 */
#define NAME_PERIODS(kind, condition) \
	"SELECT n.source, n.id::bigint AS id, n.name," \
	" pg_catalog.max(n.project_id) OVER (PARTITION BY n.source, n.id) AS project_id," \
	" pg_catalog.min(n.since) OVER (PARTITION BY n.source, n.id) AS sight," \
	" CASE WHEN pg_catalog.row_number() OVER w = 1 THEN '-infinity' ELSE n.since END AS lo," \
	" COALESCE(pg_catalog.lead(n.since) OVER w, 'infinity') AS hi" \
	" FROM flagsmith.name n WHERE n.kind = '" kind "' AND n.id ~ '^[0-9]{1,18}$' AND " condition \
	" WINDOW w AS (PARTITION BY n.source, n.id ORDER BY n.since)"

#define ENVIRONMENTS \
	"WITH e AS (" NAME_PERIODS("environment", \
		"(n.source, n.id) IN (SELECT c.source, c.id FROM flagsmith.name c" \
		" WHERE c.kind = 'environment' AND pg_catalog.hashtextextended(c.name, 0) = ANY ($2))") \
	"), p AS (" NAME_PERIODS("project", \
		"(n.source, n.id) IN (SELECT e.source, e.project_id::text FROM e)") \
	"), environment AS (SELECT e.source, e.project_id, e.id, e.sight," \
	" GREATEST(e.lo, p.lo) AS lo, LEAST(e.hi, p.hi) AS hi" \
	" FROM e LEFT JOIN p ON p.source = e.source AND p.id = e.project_id AND p.lo < e.hi AND e.lo < p.hi" \
	" WHERE $1 = e.name OR $1 = p.name || '/' || e.name" \
	" OR $1 = e.source || '/' || p.name || '/' || e.name)"

/*
 * All pairs that two names ever meant.  Without a feature, the environments
 * alone, with 0 as feature.
 */
int
fsw_resolve(MemoryContext mcxt, const text *environment, const text *feature, FswPair **pairs)
{
	static const Oid types[] = {TEXTOID, INT8ARRAYOID, TEXTOID};
	const char *name = VARDATA_ANY(environment);
	int			length = VARSIZE_ANY_EXHDR(environment);
	Datum	   *hashes = palloc_array(Datum, length + 1);
	int			nhashes = 0;
	MemoryContext old = CurrentMemoryContext;
	SPIPlanPtr	plan;
	Datum		values[3];
	int			n;

	/* The environment's own name can be any tail behind a slash. */
	for (int i = 0; i <= length; i++)
	{
		if (i == 0 || name[i - 1] == '/')
			hashes[nhashes++] = hash_any_extended((const unsigned char *) name + i, length - i, 0);
	}
	values[0] = PointerGetDatum(environment);
	values[1] = PointerGetDatum(construct_array(hashes, nhashes, INT8OID, 8, FLOAT8PASSBYVAL,
												TYPALIGN_DOUBLE));
	values[2] = PointerGetDatum(feature);
	if (feature != NULL)
		plan = fsw_plan_generic(FSW_PLAN_RESOLVE,
								ENVIRONMENTS ", f AS ("
						NAME_PERIODS("feature",
									 "(n.source, n.id) IN (SELECT c.source, c.id FROM flagsmith.name c"
									 " WHERE c.kind = 'feature'"
									 " AND pg_catalog.hashtextextended(c.name, 0) = pg_catalog.hashtextextended($3, 0))")
						") SELECT v.source, v.project_id, v.id, f.id, GREATEST(v.lo, f.lo), LEAST(v.hi, f.hi),"
						" v.sight, f.sight FROM environment v JOIN f ON f.source = v.source"
						" AND f.project_id IS NOT DISTINCT FROM v.project_id"
						" AND f.lo < v.hi AND v.lo < f.hi WHERE f.name = $3"
						" ORDER BY 1, 2, 3, 4, 5",
						3, types);
	else
		plan = fsw_plan_generic(FSW_PLAN_RESOLVE_ENVIRONMENT,
								ENVIRONMENTS " SELECT v.source, v.project_id, v.id, 0::bigint, v.lo, v.hi,"
						" v.sight, v.sight FROM environment v ORDER BY 1, 2, 3, 5",
						2, types);
	if (fsw_execute(plan, values, NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not look up names");
	n = (int) SPI_processed;

	MemoryContextSwitchTo(mcxt);
	*pairs = palloc0_array(FswPair, Max(n, 1));
	for (int i = 0; i < n; i++)
	{
		HeapTuple	tuple = SPI_tuptable->vals[i];
		TupleDesc	desc = SPI_tuptable->tupdesc;
		FswPair    *pair = &(*pairs)[i];
		bool		isnull;

		pair->source = datumCopy(SPI_getbinval(tuple, desc, 1, &isnull), false, -1);
		pair->project_id = DatumGetInt64(SPI_getbinval(tuple, desc, 2, &isnull));
		pair->has_project = !isnull;
		pair->environment_id = DatumGetInt64(SPI_getbinval(tuple, desc, 3, &isnull));
		pair->feature_id = DatumGetInt64(SPI_getbinval(tuple, desc, 4, &isnull));
		pair->from = DatumGetTimestampTz(SPI_getbinval(tuple, desc, 5, &isnull));
		pair->to = DatumGetTimestampTz(SPI_getbinval(tuple, desc, 6, &isnull));
		pair->environment_sight = DatumGetTimestampTz(SPI_getbinval(tuple, desc, 7, &isnull));
		pair->feature_sight = DatumGetTimestampTz(SPI_getbinval(tuple, desc, 8, &isnull));
	}
	SPI_freetuptable(SPI_tuptable);
	MemoryContextSwitchTo(old);
	pfree(hashes);
	return n;
}

/* Is a better than b at an instant?  The youngest that was seen by then. */
static int
compare_sight(int64 a, int64 b, int64 at)
{
	if ((a <= at) != (b <= at))
		return a <= at ? 1 : -1;
	if (a == b)
		return 0;
	return (a > b) == (a <= at) ? 1 : -1;
}

/*
 * Which pairs the names mean at an instant, at most one for each project;
 * found has room for npairs.
 */
int
fsw_resolve_at(const FswPair *pairs, int npairs, int64 at, int *found)
{
	int			nfound = 0;

	for (int i = 0; i < npairs; i++)
	{
		const FswPair *pair = &pairs[i];
		int			j;

		if (pair->from > at || (pair->to <= at && pair->to != FSW_FOREVER))
			continue;
		for (j = 0; j < nfound; j++)
		{
			const FswPair *other = &pairs[found[j]];
			int			better;

			if (pair->has_project != other->has_project ||
				pair->project_id != other->project_id ||
				!datumIsEqual(pair->source, other->source, false, -1))
				continue;
			better = compare_sight(pair->environment_sight, other->environment_sight, at);
			if (better == 0)
				better = (pair->environment_id > other->environment_id) -
					(pair->environment_id < other->environment_id);
			if (better == 0)
				better = compare_sight(pair->feature_sight, other->feature_sight, at);
			if (better == 0)
				better = (pair->feature_id > other->feature_id) -
					(pair->feature_id < other->feature_id);
			if (better > 0)
				found[j] = i;
			break;
		}
		if (j == nfound)
			found[nfound++] = i;
	}
	return nfound;
}
