/*-------------------------------------------------------------------------
 *
 * src/evidence/verify_pruned.c
 *	  The typed rows of deliveries whose body was pruned.
 *
 * No body tells any more what they must be.  The last pruning that touched a
 * delivery keeps a digest of the rows that it left, and is a leaf itself.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "funcapi.h"
#include "utils/memutils.h"

#include "src/evidence/evidence.h"
#include "src/maintain/canonical.h"

/* The deliveries of one pruning, but for those that a later one touched. */
static void
check_pruning(ReturnSetInfo *rsinfo, IdSet *seen, FswProgress *progress, int64 pruning, Datum ranges,
			  const bytea *digests)
{
	int			count;
	int64	   *deliveries = fsw_expand_ranges(ranges, &count);
	int64	   *last = palloc_extended(Max(count, 1) * sizeof(int64), MCXT_ALLOC_HUGE);
	int		   *places = palloc_extended(Max(count, 1) * sizeof(int), MCXT_ALLOC_HUGE);
	bytea	   *computed;
	int			n = 0;

	if (VARSIZE_ANY_EXHDR(digests) != (Size) count * FSW_DIGEST_LENGTH)
	{
		fsw_report_finding(rsinfo, "changed", "pruning", pruning, -1, "its digests are not those of its deliveries");
		return;
	}
	for (int i = 0; i < count; i++)
	{
		if (!fsw_idset_add(seen, deliveries[i]))
			continue;
		last[n] = deliveries[i];
		places[n++] = i;
	}
	computed = fsw_row_digests(last, n, true, progress);
	for (int i = 0; i < n; i++)
	{
		if (memcmp(VARDATA_ANY(computed) + (Size) i * FSW_DIGEST_LENGTH,
				   VARDATA_ANY(digests) + (Size) places[i] * FSW_DIGEST_LENGTH, FSW_DIGEST_LENGTH) != 0)
			fsw_report_finding(rsinfo, "changed", "delivery", last[i], -1,
							   "its typed rows are not those that were left when it was pruned");
	}
}

PG_FUNCTION_INFO_V1(fsw_verify_pruned);

/* _verify_pruned() - what differs of the typed rows that prunings left. */
Datum
fsw_verify_pruned(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	MemoryContext mcxt;
	IdSet	   *seen;
	FswCursor	prunings;
	FswProgress progress;

	InitMaterializedSRF(fcinfo, 0);
	seen = fsw_idset_create();
	mcxt = AllocSetContextCreate(CurrentMemoryContext, "flagsmith_webhook pruning", ALLOCSET_DEFAULT_SIZES);
	SPI_connect();
	fsw_progress_begin(&progress, "verify_seals", NULL);
	fsw_cursor_open(&prunings, "SELECT id, deliveries, row_digests FROM flagsmith.pruning"
					" WHERE deliveries IS NOT NULL AND row_digests IS NOT NULL ORDER BY id DESC", 0, NULL, NULL, true);
	while (fsw_cursor_next(&prunings))
	{
		MemoryContext old = MemoryContextSwitchTo(mcxt);

		check_pruning(rsinfo, seen, &progress, DatumGetInt64(prunings.values[0]), prunings.values[1],
					  DatumGetByteaPP(prunings.values[2]));
		MemoryContextSwitchTo(old);
		MemoryContextReset(mcxt);
	}
	fsw_cursor_close(&prunings);
	fsw_progress_end(&progress);
	SPI_finish();
	return (Datum) 0;
}
