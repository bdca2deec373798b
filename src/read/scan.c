/*-------------------------------------------------------------------------
 *
 * src/read/scan.c
 *	  Rows of the extension's own tables, by index.
 *
 * A question about one flag reads a few rows here and there.  Each through a
 * statement of its own would cost several times what the descent of the
 * B-tree does, so the indexes are searched directly, as the server searches
 * its catalogs, under the active snapshot.  No name is looked up in
 * search_path and no privilege is needed but that of calling the function.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/relation.h"
#include "access/relscan.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/visibilitymap.h"
#include "catalog/namespace.h"
#include "catalog/pg_type_d.h"
#include "executor/tuptable.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "storage/predicate.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

#include "src/base/fsw.h"
#include "src/decode/row.h"
#include "src/read/scan.h"

FswReader *
fsw_reader_open(void)
{
	FswReader  *reader = palloc0_object(FswReader);

	fsw_relation_init();
	reader->mcxt = CurrentMemoryContext;
	reader->snapshot = GetActiveSnapshot();
	reader->schema = get_namespace_oid("flagsmith", false);
	reader->known_at = DT_NOEND;
	fsw_copy_check(reader->snapshot);
	return reader;
}

/* Locks stay until the end of the transaction, as those of a SELECT do. */
void
fsw_reader_close(FswReader *reader)
{
	for (int i = 0; i < FSW_INDEX_COUNT; i++)
	{
		FswScan    *scan = reader->scans[i];

		if (scan == NULL)
			continue;
		for (int n = 0; n <= FSW_INDEX_KEYS; n++)
		{
			if (scan->descs[n] != NULL)
				index_endscan(scan->descs[n]);
		}
		if (BufferIsValid(scan->vmbuffer))
			ReleaseBuffer(scan->vmbuffer);
		ExecDropSingleTupleTableSlot(scan->slot);
		index_close(scan->index, NoLock);
		pfree(scan);
	}
	for (int i = 0; i < FSW_READ_TABLE_COUNT; i++)
	{
		if (reader->tables[i] != NULL)
			table_close(reader->tables[i], NoLock);
	}
	pfree(reader);
}

static Relation
open_table(FswReader *reader, FswReadTable id)
{
	if (reader->tables[id] == NULL)
		reader->tables[id] = fsw_table_open(reader, id);
	return reader->tables[id];
}

/* The search of an index, to be given its keys, in the order of its columns. */
FswScan *
fsw_scan_of(FswReader *reader, FswIndex index)
{
	FswScan    *scan = reader->scans[index];

	if (scan == NULL)
	{
		MemoryContext caller = MemoryContextSwitchTo(reader->mcxt);
		FswReadTable table = fsw_index_table(index);
		Relation	relation = open_table(reader, table);

		scan = palloc0_object(FswScan);
		scan->reader = reader;
		scan->index_id = index;
		scan->index = fsw_index_open(reader, index, relation);
		scan->attnums = fsw_table_attnums(table);
		scan->slot = table_slot_create(relation, NULL);
		scan->vmbuffer = InvalidBuffer;
		reader->scans[index] = scan;
		MemoryContextSwitchTo(caller);
	}
	scan->nkeys = 0;
	return scan;
}

/*
 * Has an index no row at all that the snapshot sees?  Of what is rare this is
 * asked once for all flags, instead of searching it for each.
 */
bool
fsw_index_is_empty(FswReader *reader, FswIndex index)
{
	if (!reader->looked[index])
	{
		FswScan    *scan = fsw_scan_of(reader, index);

		fsw_scan_begin(scan, ForwardScanDirection);
		reader->empty[index] = !fsw_scan_next(scan);
		reader->looked[index] = true;
	}
	return reader->empty[index];
}

/* The comparison of a column with a value, by the type of the column. */
static RegProcedure
comparison(Oid type, StrategyNumber strategy)
{
	static const struct
	{
		Oid			type;
		RegProcedure procedures[BTMaxStrategyNumber + 1];
	}			known[] =
	{
		{INT8OID, {0, F_INT8LT, F_INT8LE, F_INT8EQ, F_INT8GE, F_INT8GT}},
		{TIMESTAMPTZOID, {0, F_TIMESTAMPTZ_LT, F_TIMESTAMPTZ_LE, F_TIMESTAMPTZ_EQ,
		F_TIMESTAMPTZ_GE, F_TIMESTAMPTZ_GT}},
		{TEXTOID, {0, F_TEXT_LT, F_TEXT_LE, F_TEXTEQ, F_TEXT_GE, F_TEXT_GT}},
		{INT4OID, {0, F_INT4LT, F_INT4LE, F_INT4EQ, F_INT4GE, F_INT4GT}}
	};

	for (int i = 0; i < (int) lengthof(known); i++)
	{
		if (known[i].type == type)
			return known[i].procedures[strategy];
	}
	elog(ERROR, "no comparison for type %u", type);
}

/* Is the index read by fsw_scan_next_entry()? */
static bool
has_entries(FswIndex index)
{
	return index == FSW_INDEX_DEFAULT || index == FSW_INDEX_OVERRIDE;
}

static ScanKey
next_key(FswScan *scan)
{
	Assert(scan->nkeys < FSW_INDEX_KEYS);
	return &scan->keys[scan->nkeys++];
}

/*
 * The next column of the index compares with the value so.  A comparison
 * other than equal is given last; both ends of a range may be.
 */
void
fsw_scan_key(FswScan *scan, StrategyNumber strategy, Datum value)
{
	ScanKey		previous = scan->nkeys > 0 ? &scan->keys[scan->nkeys - 1] : NULL;
	AttrNumber	attno = previous == NULL ? 1 :
		previous->sk_strategy == BTEqualStrategyNumber || (previous->sk_flags & SK_SEARCHNULL) ?
		previous->sk_attno + 1 : previous->sk_attno;
	Oid			type = TupleDescAttr(RelationGetDescr(scan->index), attno - 1)->atttypid;

	ScanKeyEntryInitialize(next_key(scan), 0, attno, strategy, InvalidOid,
						   scan->index->rd_indcollation[attno - 1],
						   comparison(type, strategy), value);
}

/* The next column of the index is NULL, or is not. */
void
fsw_scan_key_null(FswScan *scan, bool is_null)
{
	AttrNumber	attno = scan->nkeys == 0 ? 1 : scan->keys[scan->nkeys - 1].sk_attno + 1;

	ScanKeyEntryInitialize(next_key(scan),
						   SK_ISNULL | (is_null ? SK_SEARCHNULL : SK_SEARCHNOTNULL),
						   attno, InvalidStrategy, InvalidOid, InvalidOid, InvalidOid, (Datum) 0);
}

void
fsw_scan_begin(FswScan *scan, ScanDirection direction)
{
	FswReader  *reader = scan->reader;
	IndexScanDesc desc = scan->descs[scan->nkeys];
	MemoryContext caller = MemoryContextSwitchTo(reader->mcxt);

	if (desc == NULL)
	{
		desc = fsw_index_beginscan(reader->tables[fsw_index_table(scan->index_id)], scan->index,
								   reader->snapshot, scan->nkeys);
		desc->xs_want_itup = has_entries(scan->index_id);
		scan->descs[scan->nkeys] = desc;
	}
	index_rescan(desc, scan->keys, scan->nkeys, NULL, 0);
	MemoryContextSwitchTo(caller);
	scan->desc = desc;
	scan->direction = direction;
}

/* Was a name known then?  Of other rows whoever reads them asks. */
static bool
is_known(FswScan *scan)
{
	return scan->reader->known_at == DT_NOEND || fsw_index_table(scan->index_id) != FSW_READ_NAME ||
		fsw_scan_int64(scan, NAME_stored_at, DT_NOEND) <= scan->reader->known_at;
}

/* The next row that the snapshot sees. */
bool
fsw_scan_next(FswScan *scan)
{
	/* what the index keeps for itself lives as long as the search */
	MemoryContext caller = MemoryContextSwitchTo(scan->reader->mcxt);
	bool		found;

	CHECK_FOR_INTERRUPTS();
	scan->only_index = false;
	do
		found = index_getnext_slot(scan->desc, scan->direction, scan->slot);
	while (found && !is_known(scan));
	MemoryContextSwitchTo(caller);
	return found;
}

/* The row of a typed table by its key, found; NULL if it is not there. */
FswScan *
fsw_scan_row(FswReader *reader, FswIndex index, int64 delivery, int32 ordinal)
{
	FswScan    *scan = fsw_scan_of(reader, index);

	fsw_scan_equal(scan, Int64GetDatum(delivery));
	fsw_scan_equal(scan, Int32GetDatum(ordinal));
	fsw_scan_begin(scan, ForwardScanDirection);
	return fsw_scan_next(scan) ? scan : NULL;
}

/* The next entry, and whether the visibility map says that all see its row. */
static ItemPointer
next_entry(FswScan *scan, Datum *values, bool *isnull)
{
	IndexScanDesc desc = scan->desc;
	ItemPointer tid = index_getnext_tid(desc, scan->direction);
	BlockNumber block;

	Assert(has_entries(scan->index_id));
	CHECK_FOR_INTERRUPTS();
	if (tid == NULL)
		return NULL;
	scan->place = *tid;
	block = ItemPointerGetBlockNumber(tid);
	scan->only_index = VM_ALL_VISIBLE(desc->heapRelation, block, &scan->vmbuffer);
	if (scan->only_index)
		PredicateLockPage(desc->heapRelation, block, scan->reader->snapshot);
	if (desc->xs_itup == NULL)
		elog(ERROR, "index \"%s\" returned a row without its entry", RelationGetRelationName(scan->index));
	index_deform_tuple(desc->xs_itup, desc->xs_itupdesc, values, isnull);
	return tid;
}

/*
 * The next entry whose row the snapshot sees, by the index alone where the
 * visibility map says that all see the row.  Of the row's other columns
 * nothing is known before fsw_scan_fetch().  Only for indexes of states.
 */
bool
fsw_scan_next_entry(FswScan *scan, Datum *values, bool *isnull)
{
	MemoryContext caller = MemoryContextSwitchTo(scan->reader->mcxt);
	ItemPointer tid;

	do
		tid = next_entry(scan, values, isnull);
	while (tid != NULL && !scan->only_index && !index_fetch_heap(scan->desc, scan->slot));
	MemoryContextSwitchTo(caller);
	return tid != NULL;
}

/*
 * The next entry, whoever sees its row: where *seen is false, that has still
 * to be asked, by fsw_scan_fetch_row().
 */
bool
fsw_scan_next_row(FswScan *scan, Datum *values, bool *isnull, ItemPointer row, bool *seen)
{
	MemoryContext caller = MemoryContextSwitchTo(scan->reader->mcxt);
	ItemPointer tid = next_entry(scan, values, isnull);

	MemoryContextSwitchTo(caller);
	if (tid == NULL)
		return false;
	*row = *tid;
	*seen = scan->only_index;
	return true;
}

/*
 * Read the row that an entry is of; false if the snapshot does not see it.
 * The search that found the entry is over.
 */
bool
fsw_scan_fetch_row(FswScan *scan, const ItemPointerData *row)
{
	IndexScanDesc desc = scan->desc;
	bool		found;

	desc->xs_heaptid = *row;
	desc->xs_heap_continue = false;
	found = index_fetch_heap(desc, scan->slot);
	/* that would be said of the entry where the search stands */
	desc->kill_prior_tuple = false;
	scan->only_index = false;
	return found;
}

/* Read the row of the entry that fsw_scan_next_entry() found. */
void
fsw_scan_fetch(FswScan *scan)
{
	if (!scan->only_index)
		return;
	if (!index_fetch_heap(scan->desc, scan->slot))
		elog(ERROR, "could not find the row of an entry of index \"%s\"",
			 RelationGetRelationName(scan->index));
	scan->only_index = false;
}

Datum
fsw_scan_column(FswScan *scan, int column, bool *isnull)
{
	return slot_getattr(scan->slot, scan->attnums[column], isnull);
}

/*
 * The column, a bigint or a timestamptz.  Where these are passed by reference,
 * the value of a NULL must not be looked at.
 */
int64
fsw_scan_int64(FswScan *scan, int column, int64 otherwise)
{
	bool		isnull;
	Datum		value = fsw_scan_column(scan, column, &isnull);

	return isnull ? otherwise : DatumGetInt64(value);
}

/* The column, an integer that is never NULL. */
int
fsw_scan_int32(FswScan *scan, int column)
{
	bool		isnull;
	Datum		value = fsw_scan_column(scan, column, &isnull);

	return isnull ? 0 : DatumGetInt32(value);
}

bool
fsw_scan_is_null(FswScan *scan, int column)
{
	bool		isnull;

	(void) fsw_scan_column(scan, column, &isnull);
	return isnull;
}

/* The column, a text, not compressed and in memory; or NULL. */
text *
fsw_scan_text(FswScan *scan, int column)
{
	bool		isnull;
	Datum		value = fsw_scan_column(scan, column, &isnull);

	return isnull ? NULL : DatumGetTextPP(value);
}

/* Is the column, a text, the same as another that is not compressed? */
bool
fsw_scan_same_text(FswScan *scan, int column, Datum other)
{
	text	   *value = fsw_scan_text(scan, column);

	return value != NULL && fsw_same_text(PointerGetDatum(value), other);
}

/* Are two texts, neither of them compressed, the same? */
bool
fsw_same_text(Datum a, Datum b)
{
	const text *x = (text *) DatumGetPointer(a);
	const text *y = (text *) DatumGetPointer(b);

	return VARSIZE_ANY_EXHDR(x) == VARSIZE_ANY_EXHDR(y) &&
		memcmp(VARDATA_ANY(x), VARDATA_ANY(y), VARSIZE_ANY_EXHDR(x)) == 0;
}

bool
fsw_scan_bool(FswScan *scan, int column)
{
	bool		isnull;
	Datum		value = fsw_scan_column(scan, column, &isnull);

	return !isnull && DatumGetBool(value);
}

/* Is the column, a text, this word? */
bool
fsw_scan_is(FswScan *scan, int column, const char *word)
{
	text	   *content = fsw_scan_text(scan, column);

	return content != NULL && VARSIZE_ANY_EXHDR(content) == strlen(word) &&
		memcmp(VARDATA_ANY(content), word, VARSIZE_ANY_EXHDR(content)) == 0;
}

/* The column, a text, as an id; false if it is none. */
bool
fsw_scan_id(FswScan *scan, int column, int64 *id)
{
	text	   *content = fsw_scan_text(scan, column);
	const char *digits;
	int			length;

	if (content == NULL)
		return false;
	digits = VARDATA_ANY(content);
	length = VARSIZE_ANY_EXHDR(content);
	if (length < 1 || length > 18)
		return false;
	*id = 0;
	for (int i = 0; i < length; i++)
	{
		if (digits[i] < '0' || digits[i] > '9')
			return false;
		*id = *id * 10 + (digits[i] - '0');
	}
	return true;
}

char *
fsw_scan_cstring(FswScan *scan, int column)
{
	bool		isnull;
	Datum		value = fsw_scan_column(scan, column, &isnull);

	return isnull ? NULL : TextDatumGetCString(value);
}
