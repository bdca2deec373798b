/*-------------------------------------------------------------------------
 *
 * src/ingest/direct.c
 *	  Rows into the extension's own tables without a statement.
 *
 * A statement begins by building what it needs to know of each index: its
 * expressions and its condition, copied, planned and compiled.  With fifteen
 * of them on a table that costs more than the entries themselves, and is the
 * same each time.  Here it is kept for the session, until the server says that
 * the table or an index changed, and rows go in as COPY puts them there.
 *
 * This is for tables as the install script made them.  Where an owner added
 * what an INSERT would have to obey (a trigger, a column, a policy, an index
 * that is not a B-tree), nothing is done here and the caller runs a statement.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/relation.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "catalog/index.h"
#include "catalog/namespace.h"
#include "catalog/pg_am_d.h"
#include "catalog/pg_class.h"
#include "catalog/pg_constraint.h"
#include "catalog/pg_language_d.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type_d.h"
#include "commands/sequence.h"
#include "executor/executor.h"
#include "miscadmin.h"
#include "nodes/nodeFuncs.h"
#include "rewrite/rewriteHandler.h"
#include "storage/lmgr.h"
#include "utils/acl.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/syscache.h"

#include "src/base/fsw.h"
#include "src/ingest/direct.h"

/* How often a table is looked at anew where others change it meanwhile. */
#define TARGET_TRIES 3

/* The typed tables, and behind them the deliveries. */
#define TARGET_DELIVERY FSW_TABLE_COUNT
#define TARGET_COUNT (TARGET_DELIVERY + 1)

typedef struct TargetIndex
{
	Oid			relid;
	bool		ready;			/* takes entries: one that is being built may not yet */
	bool		unique;
	IndexInfo  *info;
	ExprState  *condition;		/* of a partial index, or NULL */
} TargetIndex;

/* A table that rows go into, as far as it is known. */
typedef struct Target
{
	Oid			relid;			/* invalid: not known */
	bool		plain;			/* as it was made, so that nothing is missed */
	bool		domains;		/* something of it casts to a domain */
	MemoryContext mcxt;
	EState	   *estate;
	ResultRelInfo *info;
	TupleTableSlot *slot;
	AttrNumber *attnums;		/* of the columns in the caller's order */
	int			nindexes;
	TargetIndex *indexes;		/* of the deliveries: their key first */
	AttrNumber	id_attnum;		/* of the deliveries */
	Oid			sequence;
	uint64		used;			/* the (sub)transaction that a row went in under */
	SubTransactionId busy;		/* the one in which it is being used, or invalid */
} Target;

static Target targets[TARGET_COUNT];
static uint64 changes = 0;		/* grows with everything that is forgotten */

static const char *const stored_columns[] = {FSW_DELIVERY_STORED_COLUMNS(FSW_COLUMN_NAME, STORED)};
static const Oid stored_types[] = {FSW_DELIVERY_STORED_COLUMNS(FSW_COLUMN_TYPE, STORED)};

/* ---- what is known, and until when ---- */

static bool
target_has(const Target *target, Oid relid)
{
	if (!OidIsValid(relid) || target->relid == relid)
		return true;
	for (int i = 0; i < target->nindexes; i++)
	{
		if (target->indexes[i].relid == relid)
			return true;
	}
	return false;
}

/* A relation changed; invalid: any may have. */
static void
forget_relation(Datum arg, Oid relid)
{
	(void) arg;
	for (int i = 0; i < TARGET_COUNT; i++)
	{
		if (target_has(&targets[i], relid))
			targets[i].relid = InvalidOid;
	}
	changes++;
}

/* A function changed: indexes and constraints call some. */
static void
forget_function(Datum arg, int cacheid, uint32 hashvalue)
{
	(void) cacheid;
	(void) hashvalue;
	forget_relation(arg, InvalidOid);
}

/* A type or a constraint changed, as with every table that is made: some domain may have. */
static void
forget_domains(Datum arg, int cacheid, uint32 hashvalue)
{
	(void) arg;
	(void) cacheid;
	(void) hashvalue;
	for (int i = 0; i < TARGET_COUNT; i++)
	{
		if (targets[i].domains)
			targets[i].relid = InvalidOid;
	}
	changes++;
}

/* What was being used in a subtransaction from that one on is not any more. */
static void
end_use(SubTransactionId from)
{
	for (int i = 0; i < TARGET_COUNT; i++)
	{
		if (targets[i].busy >= from)
			targets[i].busy = InvalidSubTransactionId;
	}
}

static void
end_use_with_xact(XactEvent event, void *arg)
{
	(void) arg;
	if (event == XACT_EVENT_ABORT || event == XACT_EVENT_PARALLEL_ABORT)
		end_use(TopSubTransactionId);
}

static void
end_use_with_subxact(SubXactEvent event, SubTransactionId my_subid, SubTransactionId parent_subid, void *arg)
{
	(void) parent_subid;
	(void) arg;
	if (event == SUBXACT_EVENT_ABORT_SUB)
		end_use(my_subid);
}

static const char *
target_name(int id)
{
	return id == TARGET_DELIVERY ? "delivery" : fsw_tables[id].name;
}

/* Find our columns; false where there is none, one of another type, or one that is not ours. */
static bool
find_columns(Target *target, int id, TupleDesc desc)
{
	const char *const *columns = id == TARGET_DELIVERY ? stored_columns : fsw_tables[id].columns;
	const Oid  *types = id == TARGET_DELIVERY ? stored_types : fsw_tables[id].types;
	int			count = id == TARGET_DELIVERY ? STORED_COUNT : fsw_tables[id].ncolumns;
	int			found = 0;

	target->attnums = MemoryContextAlloc(target->mcxt, count * sizeof(AttrNumber));
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(desc, i);
		int			column = 0;

		if (attribute->attisdropped)
			continue;
		if (id == TARGET_DELIVERY && strcmp(NameStr(attribute->attname), "id") == 0 &&
			attribute->atttypid == INT8OID)
		{
			target->id_attnum = attribute->attnum;
			continue;
		}
		while (column < count && strcmp(columns[column], NameStr(attribute->attname)) != 0)
			column++;
		if (column == count || types[column] != attribute->atttypid || attribute->attgenerated != '\0')
			return false;
		target->attnums[column] = attribute->attnum;
		found++;
	}
	return found == count;
}

/* Would an INSERT into the table do nothing but insert? */
static bool
is_plain(Relation rel)
{
	TriggerDesc *triggers = rel->trigdesc;

	return rel->rd_rel->relkind == RELKIND_RELATION && rel->rd_rel->relam == HEAP_TABLE_AM_OID &&
		!rel->rd_rel->relispartition && !rel->rd_rel->relrowsecurity && rel->rd_rules == NULL &&
		(triggers == NULL ||
		 (!triggers->trig_insert_before_row && !triggers->trig_insert_after_row &&
		  !triggers->trig_insert_before_statement && !triggers->trig_insert_after_statement &&
		  !triggers->trig_insert_instead_row && !triggers->trig_insert_new_table)) &&
		pg_class_aclcheck(RelationGetRelid(rel), GetUserId(), ACL_INSERT) == ACLCHECK_OK &&
		!fsw_is_distributed(RelationGetRelid(rel));
}

static bool
has_domain(Node *node, void *context)
{
	if (node == NULL)
		return false;
	return IsA(node, CoerceToDomain) || expression_tree_walker(node, FSW_WALKER(has_domain), context);
}

/* Is a function written in SQL?  Then it may cast to a domain. */
static bool
is_sql(Oid function, void *context)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	bool		sql = HeapTupleIsValid(tuple) && ((Form_pg_proc) GETSTRUCT(tuple))->prolang == SQLlanguageId;

	(void) context;
	if (HeapTupleIsValid(tuple))
		ReleaseSysCache(tuple);
	return sql;
}

static bool
may_have_domain(Node *node, void *context)
{
	if (node == NULL)
		return false;
	return IsA(node, CoerceToDomain) || check_functions_in_node(node, is_sql, context) ||
		expression_tree_walker(node, FSW_WALKER(may_have_domain), context);
}

/*
 * Does a constraint cast to a domain, or call what may?  What a domain asks for
 * can change; where that is nothing yet, a planned expression has no cast any more.
 */
static bool
constraints_have_domain(const TupleConstr *constraints)
{
	for (int i = 0; constraints != NULL && i < constraints->num_check; i++)
	{
		if (may_have_domain(stringToNode(constraints->check[i].ccbin), NULL))
			return true;
	}
	return false;
}

/* Keep what an entry of an index is made of; false where it is of another kind than ours. */
static bool
keep_index(Target *target, TargetIndex *kept, Oid relid)
{
	Relation	index = index_open(relid, RowExclusiveLock);
	bool		usable = index->rd_rel->relam == BTREE_AM_OID && index->rd_index->indimmediate &&
		!index->rd_index->indisexclusion;

	kept->relid = relid;
	kept->ready = index->rd_index->indisready;
	kept->unique = index->rd_index->indisunique;
	kept->info = BuildIndexInfo(index);
	target->domains |= has_domain((Node *) kept->info->ii_Expressions, NULL) ||
		has_domain((Node *) kept->info->ii_Predicate, NULL);
	if (kept->info->ii_Predicate != NIL)
		kept->condition = ExecPrepareQual(kept->info->ii_Predicate, target->estate);
	index_close(index, RowExclusiveLock);
	return usable;
}

/*
 * Keep all indexes; false where one is of another kind.  One that is being
 * built is among them: that it takes entries from then on is told of it, not of
 * its table.  The key of the deliveries comes first.
 */
static bool
keep_indexes(Target *target, Relation rel, Oid key)
{
	List	   *relids = RelationGetIndexList(rel);
	bool		has_key = !OidIsValid(key);
	ListCell   *lc;

	target->indexes = palloc0(Max(list_length(relids), 1) * sizeof(TargetIndex));
	foreach(lc, relids)
	{
		TargetIndex *place = &target->indexes[target->nindexes];

		if (!keep_index(target, place, lfirst_oid(lc)))
			return false;
		target->nindexes++;
		if (place->relid == key)
		{
			TargetIndex first = target->indexes[0];

			if (!place->unique || place->condition != NULL || !place->ready)
				return false;
			target->indexes[0] = *place;
			if (target->nindexes > 1)
				*place = first;
			has_key = true;
		}
	}
	return has_key;
}

/* The key of the deliveries, and where their ids come from; false where that is not as it was made. */
static bool
keep_delivery(Target *target, Relation rel, Oid *key)
{
	Oid			constraint = get_relation_constraint_oid(RelationGetRelid(rel), "delivery_event_key", true);
	Node	   *id_default = target->id_attnum > 0 ? build_column_default(rel, target->id_attnum) : NULL;

	if (!OidIsValid(constraint) || id_default == NULL || !IsA(id_default, NextValueExpr))
		return false;
	*key = get_constraint_index(constraint);
	target->sequence = castNode(NextValueExpr, id_default)->seqid;
	return OidIsValid(*key);
}

/* Find out all about a table that is open. */
static bool
learn(Target *target, int id, Relation rel)
{
	Oid			key = InvalidOid;

	if (!is_plain(rel) || !find_columns(target, id, RelationGetDescr(rel)) ||
		(id == TARGET_DELIVERY && !keep_delivery(target, rel, &key)))
		return false;
	target->estate = CreateExecutorState();
	target->info = makeNode(ResultRelInfo);
	InitResultRelInfo(target->info, rel, 0, NULL, 0);
	target->domains = constraints_have_domain(RelationGetDescr(rel)->constr);
	if (!keep_indexes(target, rel, key))
		return false;
	target->slot = MakeSingleTupleTableSlot(CreateTupleDescCopyConstr(RelationGetDescr(rel)), &TTSOpsVirtual);
	return true;
}

/* The same into a context of its own, in the place of what was known. */
static void
learn_anew(Target *target, int id, Relation rel)
{
	MemoryContext old;

	if (target->mcxt != NULL)
		MemoryContextDelete(target->mcxt);
	memset(target, 0, sizeof(*target));
	target->busy = GetCurrentSubTransactionId();
	target->mcxt = AllocSetContextCreate(TopMemoryContext, "flagsmith_webhook table", ALLOCSET_SMALL_SIZES);
	old = MemoryContextSwitchTo(target->mcxt);
	target->plain = learn(target, id, rel);
	MemoryContextSwitchTo(old);
	target->busy = InvalidSubTransactionId;
}

static void
begin_watching(void)
{
	static bool registered = false;

	if (registered)
		return;
	CacheRegisterRelcacheCallback(forget_relation, (Datum) 0);
	CacheRegisterSyscacheCallback(PROCOID, forget_function, (Datum) 0);
	CacheRegisterSyscacheCallback(TYPEOID, forget_domains, (Datum) 0);
	CacheRegisterSyscacheCallback(CONSTROID, forget_domains, (Datum) 0);
	RegisterXactCallback(end_use_with_xact, NULL);
	RegisterSubXactCallback(end_use_with_subxact, NULL);
	registered = true;
}

/*
 * Open a table to insert into it, or NULL where a statement has to do it, as
 * where what is evaluated for one row inserts another.
 */
static Relation
open_target(int id)
{
	Target	   *target = &targets[id];

	begin_watching();
	if (target->busy != InvalidSubTransactionId)
		return NULL;
	for (int i = 0; i < TARGET_TRIES; i++)
	{
		Oid			relid = OidIsValid(target->relid) ? target->relid :
			get_relname_relid(target_name(id), get_namespace_oid("flagsmith", false));
		Relation	rel = OidIsValid(relid) ? try_relation_open(relid, RowExclusiveLock) : NULL;
		uint64		before = changes;

		if (rel == NULL)
		{
			target->relid = InvalidOid;
			continue;
		}
		if (target->relid != relid)
		{
			learn_anew(target, id, rel);
			if (changes == before)
				target->relid = relid;
		}
		if (target->relid == relid && target->plain)
		{
			target->busy = GetCurrentSubTransactionId();
			return rel;
		}
		relation_close(rel, NoLock);
		if (target->relid == relid)
			return NULL;
	}
	return NULL;
}

static void
close_target(Target *target, Relation rel)
{
	target->busy = InvalidSubTransactionId;
	table_close(rel, NoLock);
}

/* ---- inserting ---- */

/* The row in the slot, with its constraints checked. */
static void
fill_slot(Target *target, int count, const Datum *values, const bool *nulls, int64 id, Relation rel)
{
	TupleTableSlot *slot = target->slot;

	PreventCommandIfReadOnly("INSERT");
	PreventCommandIfParallelMode("INSERT");
	ExecClearTuple(slot);
	memset(slot->tts_isnull, true, slot->tts_tupleDescriptor->natts * sizeof(bool));
	for (int i = 0; i < count; i++)
	{
		slot->tts_values[target->attnums[i] - 1] = values[i];
		slot->tts_isnull[target->attnums[i] - 1] = nulls[i];
	}
	if (target->id_attnum > 0)
	{
		slot->tts_values[target->id_attnum - 1] = Int64GetDatum(id);
		slot->tts_isnull[target->id_attnum - 1] = false;
	}
	ExecStoreVirtualTuple(slot);
	slot->tts_tableOid = RelationGetRelid(rel);
	target->info->ri_RelationDesc = rel;
	ResetPerTupleExprContext(target->estate);
	GetPerTupleExprContext(target->estate)->ecxt_scantuple = slot;
	if (RelationGetDescr(rel)->constr != NULL)
		ExecConstraints(target->info, slot, target->estate);
}

/* An entry for the row in the slot; whether it is surely the only one of its key. */
static bool
insert_entry(Target *target, Relation rel, Relation index, const TargetIndex *kept, IndexUniqueCheck check)
{
	Datum		values[INDEX_MAX_KEYS];
	bool		isnull[INDEX_MAX_KEYS];
	MemoryContext old = MemoryContextSwitchTo(GetPerTupleMemoryContext(target->estate));
	bool		result;

	FormIndexDatum(kept->info, target->slot, target->estate, values, isnull);
	result = index_insert(index, values, isnull, &target->slot->tts_tid, rel, check, false, kept->info);
	MemoryContextSwitchTo(old);
	return result;
}

/*
 * Entries in the indexes from this one on.  The locks on them end at once, as
 * those of a statement do, since a transaction can hold but a few cheaply;
 * where a second row goes in under one, they are kept for the rows to come.
 */
static void
insert_entries(Target *target, Relation rel, int first)
{
	LOCKMODE	let_go = target->used == fsw_xact_counter() ? NoLock : RowExclusiveLock;

	target->used = fsw_xact_counter();
	for (int i = first; i < target->nindexes; i++)
	{
		const TargetIndex *kept = &target->indexes[i];
		Relation	index;

		if (!kept->ready ||
			(kept->condition != NULL &&
			 !ExecQual(kept->condition, GetPerTupleExprContext(target->estate))))
			continue;
		index = index_open(kept->relid, RowExclusiveLock);
		(void) insert_entry(target, rel, index, kept, kept->unique ? UNIQUE_CHECK_YES : UNIQUE_CHECK_NO);
		index_close(index, let_go);
	}
}

/*
 * fsw_insert_direct() - one complete row into a typed table; false where
 * nothing was done, since it takes a statement.
 */
bool
fsw_insert_direct(const FswTable *table, const Datum *values, const bool *nulls)
{
	Target	   *target = &targets[table - fsw_tables];
	Relation	rel = open_target(table - fsw_tables);

	if (rel == NULL)
		return false;
	fill_slot(target, table->ncolumns, values, nulls, 0, rel);
	table_tuple_insert(rel, target->slot, GetCurrentCommandId(true), 0, NULL);
	insert_entries(target, rel, 0);
	close_target(target, rel);
	return true;
}

/*
 * The delivery in the slot, unless one of its key is there or comes in
 * between: as ON CONFLICT DO NOTHING does it.
 */
static bool
insert_speculatively(Target *target, Relation rel)
{
	const TargetIndex *kept = &target->indexes[0];
	Relation	index = index_open(kept->relid, RowExclusiveLock);
	IndexInfo  *info = kept->info;
	TransactionId xid = GetCurrentTransactionId();
	ItemPointerData met;
	bool		alone = false;

	if (info->ii_UniqueOps == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(target->mcxt);

		BuildSpeculativeIndexInfo(index, info);
		MemoryContextSwitchTo(old);
	}
	target->info->ri_NumIndices = 1;
	target->info->ri_IndexRelationDescs = &index;
	target->info->ri_IndexRelationInfo = &info;
	while (!alone && fsw_no_conflict(target->info, target->slot, target->estate, &met))
	{
		uint32		token = SpeculativeInsertionLockAcquire(xid);

		CHECK_FOR_INTERRUPTS();
		table_tuple_insert_speculative(rel, target->slot, GetCurrentCommandId(true), 0, NULL, token);
		alone = insert_entry(target, rel, index, kept, UNIQUE_CHECK_PARTIAL);
		if (alone)
			insert_entries(target, rel, 1);
		table_tuple_complete_speculative(rel, target->slot, token, alone);
		SpeculativeInsertionLockRelease(xid);
	}
	target->info->ri_NumIndices = 0;
	index_close(index, RowExclusiveLock);
	return alone;
}

/*
 * fsw_insert_delivery_direct() - a delivery without its id, which is given to
 * it.  Under a snapshot of the transaction, the statement has to say whether
 * that sees what it met.
 */
FswDirectResult
fsw_insert_delivery_direct(const Datum *values, const bool *nulls, int64 *id)
{
	Target	   *target = &targets[TARGET_DELIVERY];
	Relation	rel = IsolationUsesXactSnapshot() ? NULL : open_target(TARGET_DELIVERY);
	bool		inserted;

	if (rel == NULL)
		return FSW_DIRECT_IMPOSSIBLE;
	PreventCommandIfReadOnly("INSERT");
	*id = nextval_internal(target->sequence, false);
	fill_slot(target, STORED_COUNT, values, nulls, *id, rel);
	inserted = insert_speculatively(target, rel);
	close_target(target, rel);
	return inserted ? FSW_DIRECT_INSERTED : FSW_DIRECT_CONFLICT;
}
