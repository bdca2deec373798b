/*-------------------------------------------------------------------------
 *
 * src/maintain/row_digest.c
 *	  What the typed rows of deliveries say, as a digest for each delivery.
 *
 * A body is what typed rows can be made of again.  Where it was pruned, the
 * pruning keeps this digest of the rows that stay, so that they can't be
 * changed unseen.  Of a delivery: the SHA-256 of all its rows, by table and
 * key, each as text with a line for every column that is not NULL, so that a
 * later version may add columns.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type_d.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/multirangetypes.h"
#include "utils/rangetypes.h"
#include "utils/typcache.h"

#include "src/base/array.h"
#include "src/base/fsw.h"
#include "src/decode/row.h"
#include "src/maintain/canonical.h"

/* Deliveries whose rows are read at a time. */
#define BATCH_SIZE 5000

/* fsw_expand_ranges() - the ids of an int8multirange, in order. */
int64 *
fsw_expand_ranges(Datum multirange, int *count)
{
	MultirangeType *ranges = DatumGetMultirangeTypeP(multirange);
	TypeCacheEntry *type = lookup_type_cache(MultirangeTypeGetOid(ranges), TYPECACHE_MULTIRANGE_INFO);
	int64		total = 0;
	int64	   *ids;

	for (uint32 i = 0; i < ranges->rangeCount; i++)
	{
		RangeBound	lower;
		RangeBound	upper;

		multirange_get_bounds(type->rngtype, ranges, i, &lower, &upper);
		if (lower.infinite || upper.infinite ||
			DatumGetInt64(upper.val) - DatumGetInt64(lower.val) > PG_INT32_MAX - total)
			ereport(ERROR,
					(errcode(ERRCODE_DATA_CORRUPTED),
					 errmsg("a pruning names more deliveries than there can be")));
		total += DatumGetInt64(upper.val) - DatumGetInt64(lower.val);
	}
	ids = palloc_extended(Max(total, 1) * sizeof(int64), MCXT_ALLOC_HUGE);
	*count = 0;
	for (uint32 i = 0; i < ranges->rangeCount; i++)
	{
		RangeBound	lower;
		RangeBound	upper;

		multirange_get_bounds(type->rngtype, ranges, i, &lower, &upper);
		for (int64 id = DatumGetInt64(lower.val); id < DatumGetInt64(upper.val); id++)
			ids[(*count)++] = id;
	}
	return ids;
}

static void
append_row(StringInfo out, const FswTable *table, HeapTuple tuple, TupleDesc desc)
{
	appendStringInfo(out, "flagsmith_webhook row 1 %s\n", table->name);
	for (int i = 0; i < table->ncolumns; i++)
	{
		bool		isnull;
		Datum		value = heap_getattr(tuple, i + 1, desc, &isnull);

		if (isnull)
			continue;
		appendStringInfo(out, "%s ", table->columns[i]);
		fsw_append_canonical(out, table->types[i], value);
		appendStringInfoChar(out, '\n');
	}
}

static int
find_delivery(const int64 *deliveries, int count, int64 id)
{
	const int64 *found = bsearch(&id, deliveries, count, sizeof(int64), fsw_compare_int64);

	if (found == NULL)
		elog(ERROR, "row of delivery %lld was not asked for", (long long) id);
	return found - deliveries;
}

/* Append what one table has of these deliveries to the text of each. */
static void
read_table(const FswTable *table, const int64 *deliveries, int count, StringInfoData *texts, bool read_only)
{
	static Oid	types[] = {INT8ARRAYOID};
	Datum		ids = fsw_int8_array(deliveries, count);
	StringInfoData sql;
	MemoryContext caller = CurrentMemoryContext;

	initStringInfo(&sql);
	appendStringInfoString(&sql, "SELECT ");
	fsw_append_columns(&sql, table, "");
	appendStringInfo(&sql, " FROM flagsmith.%s WHERE delivery = ANY ($1) ORDER BY delivery, ordinal%s", table->name,
					 table == &fsw_tables[FSW_TABLE_AUDIT_EFFECT] ? ", split" : "");
	if (SPI_execute_with_args(sql.data, 1, types, &ids, NULL, read_only, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read \"%s\"", table->name);
	MemoryContextSwitchTo(caller);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		HeapTuple	tuple = SPI_tuptable->vals[i];
		bool		isnull;
		int64		id = DatumGetInt64(heap_getattr(tuple, ROW_delivery + 1, SPI_tuptable->tupdesc, &isnull));

		append_row(&texts[find_delivery(deliveries, count, id)], table, tuple, SPI_tuptable->tupdesc);
	}
	SPI_freetuptable(SPI_tuptable);
}

static void
digest_batch(const int64 *deliveries, int count, uint8 *digests, bool read_only)
{
	StringInfoData *texts = palloc(count * sizeof(StringInfoData));

	for (int i = 0; i < count; i++)
		initStringInfo(&texts[i]);
	for (int table = 0; table < FSW_TABLE_COUNT; table++)
		read_table(&fsw_tables[table], deliveries, count, texts, read_only);
	for (int i = 0; i < count; i++)
		fsw_sha256((const uint8 *) texts[i].data, texts[i].len, digests + i * FSW_DIGEST_LENGTH);
}

/*
 * fsw_row_digests() - 32 bytes for each of some deliveries in order, for a call
 * that tells how far it is; SPI must be connected.
 */
bytea *
fsw_row_digests(const int64 *deliveries, int count, bool read_only, FswProgress *progress)
{
	bytea	   *result = palloc_extended(VARHDRSZ + (Size) count * FSW_DIGEST_LENGTH, MCXT_ALLOC_HUGE);
	MemoryContext mcxt = AllocSetContextCreate(CurrentMemoryContext, "flagsmith_webhook digests",
											   ALLOCSET_DEFAULT_SIZES);

	SET_VARSIZE(result, VARHDRSZ + (Size) count * FSW_DIGEST_LENGTH);
	for (int first = 0; first < count; first += BATCH_SIZE)
	{
		MemoryContext old = MemoryContextSwitchTo(mcxt);

		CHECK_FOR_INTERRUPTS();
		digest_batch(deliveries + first, Min(BATCH_SIZE, count - first),
					 (uint8 *) VARDATA(result) + (Size) first * FSW_DIGEST_LENGTH, read_only);
		if (fsw_progress_is_due(progress))
			fsw_progress_tell(progress, psprintf("read the rows that %d of %d deliveries keep",
												 Min(first + BATCH_SIZE, count), count));
		MemoryContextSwitchTo(old);
		MemoryContextReset(mcxt);
	}
	MemoryContextDelete(mcxt);
	return result;
}
