/*-------------------------------------------------------------------------
 *
 * src/read/relation.c
 *	  The tables and indexes that are read, opened and checked.
 *
 * What is read directly has to be what the code was written for: a table that
 * the owner put in the place of another, or an index on other columns, would
 * be read beyond its tuples.  So before the first use in a session, and again
 * after the server says that something about it changed, each is compared
 * with its definition in here: a table must be a member of the extension with
 * the columns and types known, an index one that CREATE INDEX would make from
 * the text below, which schema/index.sql makes it from.  Of an index the name
 * is only where to look first.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/relation.h"
#include "access/transam.h"
#include "catalog/dependency.h"
#include "catalog/namespace.h"
#include "catalog/pg_am_d.h"
#include "catalog/pg_class.h"
#include "catalog/pg_collation_d.h"
#include "commands/extension.h"
#include "nodes/makefuncs.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "optimizer/prep.h"
#include "parser/parse_clause.h"
#include "parser/parse_collate.h"
#include "parser/parse_expr.h"
#include "parser/parse_relation.h"
#include "parser/parser.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/typcache.h"

#include "src/base/fsw.h"
#include "src/decode/row.h"
#include "src/read/scan.h"

/* How often an index is looked up where others swap it meanwhile. */
#define INDEX_TRIES 3

#define READ_NAME(T, column, type) #column,
#define READ_TYPE(T, column, type) type,
static const char *const name_columns[] = {FSW_NAME_COLUMNS(READ_NAME, NAME)};
static const Oid name_types[] = {FSW_NAME_COLUMNS(READ_TYPE, NAME)};
static const char *const delivery_columns[] = {FSW_DELIVERY_READ_COLUMNS(READ_NAME, DELIVERY)};
static const Oid delivery_types[] = {FSW_DELIVERY_READ_COLUMNS(READ_TYPE, DELIVERY)};
static const char *const repeat_columns[] = {FSW_REPEAT_COLUMNS(READ_NAME, REPEAT)};
static const Oid repeat_types[] = {FSW_REPEAT_COLUMNS(READ_TYPE, REPEAT)};
static const char *const webhook_columns[] = {FSW_WEBHOOK_COLUMNS(READ_NAME, WEBHOOK)};
static const Oid webhook_types[] = {FSW_WEBHOOK_COLUMNS(READ_TYPE, WEBHOOK)};

static const char *const block_columns[] = {FSW_BLOCK_COLUMNS(READ_NAME, BLOCK)};
static const Oid block_types[] = {FSW_BLOCK_COLUMNS(READ_TYPE, BLOCK)};
static const char *const pruning_columns[] = {FSW_PRUNING_COLUMNS(READ_NAME, PRUNING)};
static const Oid pruning_types[] = {FSW_PRUNING_COLUMNS(READ_TYPE, PRUNING)};

typedef struct ReadTable
{
	const char *name;
	int			ncolumns;
	const char *const *columns; /* NULL: those of fsw_tables */
	const Oid  *types;
} ReadTable;

static const ReadTable read_tables[FSW_READ_TABLE_COUNT] = {
	[FSW_READ_AUDIT_LOG] = {"audit_log", AUDIT_COUNT, NULL, NULL},
	[FSW_READ_FLAG_CHANGE] = {"flag_change", FLAG_COUNT, NULL, NULL},
	[FSW_READ_AUDIT_EFFECT] = {"audit_effect", EFFECT_COUNT, NULL, NULL},
	[FSW_READ_VERSION_PUBLISHED] = {"version_published", VERSION_COUNT, NULL, NULL},
	[FSW_READ_NAME] = {"name", NAME_COUNT, name_columns, name_types},
	[FSW_READ_DELIVERY] = {"delivery", DELIVERY_COUNT, delivery_columns, delivery_types},
	[FSW_READ_REPEAT] = {"delivery_repeat", REPEAT_COUNT, repeat_columns, repeat_types},
	[FSW_READ_WEBHOOK] = {"webhook", WEBHOOK_COUNT, webhook_columns, webhook_types},
	[FSW_READ_BLOCK] = {"audit_id_block", BLOCK_COUNT, block_columns, block_types},
	[FSW_READ_PRUNING] = {"pruning", PRUNING_COUNT, pruning_columns, pruning_types}
};

typedef struct ReadIndex
{
	const char *name;
	FswReadTable table;
	const char *keys;			/* as in CREATE INDEX */
	const char *included;		/* or NULL */
	const char *condition;		/* or NULL */
} ReadIndex;

PG_FUNCTION_INFO_V1(fsw_index_statements);

/* Nothing in these texts may depend on search_path. */
#define HASH(text) "pg_catalog.hashtextextended(" text ", 0)"
#define JOINED(a, b) a " OPERATOR(pg_catalog.||) " b
#define NAME_HASH "flagsmith._hash(" JOINED(JOINED("kind", "':'"), "name") ")"
#define THING_HASH "flagsmith._hash(" JOINED(JOINED(JOINED(JOINED("source", "'/'"), "kind"), "':'"), "id") ")"
#define FLAG_KEYS "feature_id, environment_id, " HASH("source")
#define NAMED_FLAG_KEYS "flagsmith._hash(" JOINED("'feature:'", "COALESCE(feature, '')") "), environment_id"
#define OF_DEFAULT "segment_id IS NULL AND identity IS NULL"

/*
 * Fixed widths come first, and a hash for the source, of which there are few:
 * a search compares these several times faster than texts.
 */
static const ReadIndex read_indexes[FSW_INDEX_COUNT] = {
	/*
	 * a thing is found by its name, and a name by the thing, from one
	 * sighting to the next
	 */
	[FSW_INDEX_NAME_HASH] = {"name_name_idx", FSW_READ_NAME, NAME_HASH ", " THING_HASH ", seen_at", NULL, NULL},
	[FSW_INDEX_NAME_THING] = {"name_thing_idx", FSW_READ_NAME, THING_HASH ", " NAME_HASH ", seen_at", NULL, NULL},
	[FSW_INDEX_NAME_EXISTED] = {"name_existed_idx", FSW_READ_NAME, THING_HASH ", existed_at", NULL,
	"existed_at IS NOT NULL"},
	[FSW_INDEX_NAME_PROJECT] = {"name_project_idx", FSW_READ_NAME, "project_id, kind, source, id", NULL, NULL},

	/*
	 * The evidence of one scope near an instant.  The environment default is
	 * the hot one: its index has all that tells whether a feature was
	 * enabled, so that a join over millions of rows does not read the table.
	 */
	[FSW_INDEX_DEFAULT] = {"flag_change_default_idx", FSW_READ_FLAG_CHANGE,
	FLAG_KEYS ", event_at, received_at", "enabled", OF_DEFAULT " AND NOT deleted AND NOT is_test"},
	[FSW_INDEX_DELETED] = {"flag_change_deletion_idx", FSW_READ_FLAG_CHANGE,
	FLAG_KEYS ", received_at", NULL, OF_DEFAULT " AND deleted AND NOT is_test"},
	[FSW_INDEX_OVERRIDE] = {"flag_change_override_idx", FSW_READ_FLAG_CHANGE,
		FLAG_KEYS ", segment_id, " HASH("identity") ", event_at, received_at", NULL,
	"(segment_id IS NOT NULL OR identity IS NOT NULL) AND NOT is_test"},

	/* states of identities that pages of the REST API told, by their key alone */
	[FSW_INDEX_IMPORTED] = {"flag_change_imported_idx", FSW_READ_FLAG_CHANGE,
		FLAG_KEYS ", " HASH("identity") ", event_at", NULL,
	"identity IS NOT NULL AND origin OPERATOR(pg_catalog.=) 'import' AND identity_identifier IS NULL AND NOT is_test"},

	/*
	 * retries and schedules come late, and deletions have the time of the
	 * last edit
	 */
	[FSW_INDEX_LATE] = {"flag_change_late_idx", FSW_READ_FLAG_CHANGE, FLAG_KEYS ", received_at", NULL,
		"identity IS NULL AND pg_catalog.isfinite(event_at) AND pg_catalog.isfinite(received_at)"
		" AND received_at OPERATOR(pg_catalog.-) event_at OPERATOR(pg_catalog.>) '1 minute'::pg_catalog.interval"
	" AND NOT deleted AND NOT is_test"},
	/* a time after the arrival is not believed, so these are found by arrival */
	[FSW_INDEX_AHEAD] = {"flag_change_ahead_idx", FSW_READ_FLAG_CHANGE,
		FLAG_KEYS ", segment_id, " HASH("identity") ", received_at", NULL,
		"pg_catalog.isfinite(event_at) AND pg_catalog.isfinite(received_at)"
		" AND event_at OPERATOR(pg_catalog.-) received_at OPERATOR(pg_catalog.>) '5 minutes'::pg_catalog.interval"
	" AND NOT is_test"},

	/*
	 * of change requests and schedules: without an author, at the time of the
	 * draft, which can have been live at once
	 */
	[FSW_INDEX_DRAFT] = {"flag_change_draft_idx", FSW_READ_FLAG_CHANGE, FLAG_KEYS ", received_at", NULL,
		OF_DEFAULT " AND changed_by OPERATOR(pg_catalog.=) ''"
	" AND NOT deleted AND NOT is_test"},
	[FSW_INDEX_FLAG_CHANGE] = {"flag_change_pkey", FSW_READ_FLAG_CHANGE, "delivery, ordinal", NULL, NULL},

	/*
	 * what was saved by itself; versions have the next, so that after
	 * thousands of them one search says that nothing was
	 */
	[FSW_INDEX_EFFECT_FEATURE] = {"audit_effect_feature_hash_idx", FSW_READ_AUDIT_EFFECT,
		"feature_hash, environment_id, " HASH("source") ", scope_hash, occurred_at", NULL,
	"kind OPERATOR(pg_catalog.<>) 'version'"},

	/*
	 * when the feature came and went, what changed for all environments; and
	 * apart from that, whether and when it has versions: the server reads all
	 * rows of a page that match before the first is returned
	 */
	[FSW_INDEX_EFFECT_LIFE] = {"audit_effect_life_idx", FSW_READ_AUDIT_EFFECT,
		"feature_hash, " HASH("source") ", kind, environment_id, occurred_at", NULL,
		"kind OPERATOR(pg_catalog.=) ANY (ARRAY['feature_created', 'feature_deleted', 'reordered'])"
	" OR (environment_id IS NULL AND kind OPERATOR(pg_catalog.=) 'variant')"},
	[FSW_INDEX_EFFECT_PUBLISHED] = {"audit_effect_published_idx", FSW_READ_AUDIT_EFFECT,
		"environment_id, " HASH("source") ", feature_hash, occurred_at", NULL,
	"kind OPERATOR(pg_catalog.=) 'version'"},
	[FSW_INDEX_EFFECT_SEGMENT] = {"audit_effect_segment_idx", FSW_READ_AUDIT_EFFECT, "source, segment_id, occurred_at", NULL,
	"kind OPERATOR(pg_catalog.=) 'segment_deleted'"},
	[FSW_INDEX_EFFECT_ENVIRONMENT] = {"audit_effect_environment_idx", FSW_READ_AUDIT_EFFECT, "source, environment_id, kind, occurred_at", NULL,
	"kind OPERATOR(pg_catalog.=) ANY (ARRAY['environment_created', 'feature_deleted']) AND environment_id IS NOT NULL"},
	[FSW_INDEX_EFFECT_VERSION] = {"audit_effect_version_idx", FSW_READ_AUDIT_EFFECT, HASH("version"), NULL, "version IS NOT NULL"},
	[FSW_INDEX_EFFECT] = {"audit_effect_pkey", FSW_READ_AUDIT_EFFECT, "delivery, ordinal, split", NULL, NULL},
	[FSW_INDEX_VERSION_FEATURE] = {"version_published_feature_idx", FSW_READ_VERSION_PUBLISHED,
	"feature_id, " HASH("source") ", " HASH("webhook") ", received_at", NULL, NULL},
	[FSW_INDEX_AUDIT] = {"audit_log_pkey", FSW_READ_AUDIT_LOG, "delivery, ordinal", NULL, NULL},
	[FSW_INDEX_AUDIT_PROJECT] = {"audit_log_project_idx", FSW_READ_AUDIT_LOG,
	"source, project_id, created_date", NULL, "NOT is_test"},
	[FSW_INDEX_DELIVERY_WEBHOOK] = {"delivery_webhook_idx", FSW_READ_DELIVERY, "webhook, received_at", NULL, NULL},
	[FSW_INDEX_REPEAT] = {"delivery_repeat_key", FSW_READ_REPEAT, "delivery, webhook", NULL, NULL},
	[FSW_INDEX_WEBHOOK] = {"webhook_pkey", FSW_READ_WEBHOOK, "name", NULL, NULL},
	[FSW_INDEX_AUDIT_ID] = {"audit_log_audit_id_idx", FSW_READ_AUDIT_LOG, "source, audit_id, created_date", NULL, NULL},
	[FSW_INDEX_AUDIT_BLOCK] = {"audit_id_block_pkey", FSW_READ_BLOCK, "source, size, block", NULL, NULL},
	[FSW_INDEX_PRUNING] = {"pruning_pkey", FSW_READ_PRUNING, "id", NULL, NULL},
	[FSW_INDEX_PRUNED_HOLES] = {"pruning_holes_idx", FSW_READ_PRUNING, "id", NULL, "holes IS NOT NULL"},

	/*
	 * what lies near an instant and concerns one flag, by the name that audit
	 * entries have: for history
	 */
	[FSW_INDEX_CHANGE_NEAR] = {"flag_change_near_idx", FSW_READ_FLAG_CHANGE, NAMED_FLAG_KEYS ", event_at", NULL,
	"NOT deleted AND NOT is_test"},
	[FSW_INDEX_CHANGE_ARRIVAL] = {"flag_change_arrival_idx", FSW_READ_FLAG_CHANGE, NAMED_FLAG_KEYS ", received_at", NULL,
		"pg_catalog.isfinite(event_at) AND pg_catalog.isfinite(received_at)"
		" AND received_at OPERATOR(pg_catalog.-) event_at OPERATOR(pg_catalog.>) '2 seconds'::pg_catalog.interval"
	" AND NOT deleted AND NOT is_test"},
	[FSW_INDEX_CHANGE_DELETED] = {"flag_change_deleted_flag_idx", FSW_READ_FLAG_CHANGE, NAMED_FLAG_KEYS ", received_at", NULL,
	"deleted AND NOT is_test"},
	[FSW_INDEX_AUDIT_REQUEST] = {"audit_log_request_idx", FSW_READ_AUDIT_LOG, "source, environment_id, created_date", NULL,
	"related_object_type OPERATOR(pg_catalog.=) ANY (ARRAY['CHANGE_REQUEST', 'EF_VERSION']) OR is_system_event"},
	[FSW_INDEX_VERSION] = {"version_published_pkey", FSW_READ_VERSION_PUBLISHED, "delivery, ordinal", NULL, NULL},
	[FSW_INDEX_VERSION_UUID] = {"version_published_uuid_idx", FSW_READ_VERSION_PUBLISHED, HASH("uuid"), NULL, NULL},
	[FSW_INDEX_VERSION_NEAR] = {"version_published_near_idx", FSW_READ_VERSION_PUBLISHED, "feature_id, received_at", NULL, NULL},
	[FSW_INDEX_DELIVERY] = {"delivery_pkey", FSW_READ_DELIVERY, "id", NULL, NULL}
};

/* What has been checked, until the server says that it changed. */
static struct
{
	Oid			relid;			/* InvalidOid: not checked */
	AttrNumber	attnums[Max(AUDIT_COUNT, FLAG_COUNT)];
}			known_tables[FSW_READ_TABLE_COUNT];
static Oid	known_indexes[FSW_INDEX_COUNT];
static uint64 changes = 0;

/* A relation changed, or with InvalidOid any may have. */
static void
forget_known(Datum arg, Oid relid)
{
	(void) arg;
	for (int i = 0; i < FSW_READ_TABLE_COUNT; i++)
	{
		if (known_tables[i].relid == InvalidOid || (OidIsValid(relid) && known_tables[i].relid != relid))
			continue;
		known_tables[i].relid = InvalidOid;
		changes++;
		for (int j = 0; j < FSW_INDEX_COUNT; j++)
		{
			if (read_indexes[j].table == (FswReadTable) i)
				known_indexes[j] = InvalidOid;
		}
	}
	for (int i = 0; i < FSW_INDEX_COUNT; i++)
	{
		if (!OidIsValid(relid) || known_indexes[i] == relid)
			known_indexes[i] = InvalidOid;
	}
	changes++;
}

/* Called before anything is opened. */
void
fsw_relation_init(void)
{
	static bool registered = false;

	if (registered)
		return;
	CacheRegisterRelcacheCallback(forget_known, (Datum) 0);
	registered = true;
}

/* Where the columns of an open table are, in the order of its list. */
const AttrNumber *
fsw_table_attnums(FswReadTable id)
{
	return known_tables[id].attnums;
}

/* ---- tables ---- */

static AttrNumber
find_column(TupleDesc desc, const char *name, Oid type)
{
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(desc, i);

		if (!attribute->attisdropped && strcmp(NameStr(attribute->attname), name) == 0)
			return attribute->atttypid == type && attribute->attgenerated == '\0' &&
				(type != TEXTOID || attribute->attcollation == DEFAULT_COLLATION_OID) ?
				attribute->attnum : InvalidAttrNumber;
	}
	return InvalidAttrNumber;
}

/* Is it the very table?  Else why not.  Fills in where its columns are. */
static char *
check_table(Relation relation, FswReadTable id)
{
	const ReadTable *table = &read_tables[id];
	const char *const *columns = table->columns != NULL ? table->columns : fsw_tables[id].columns;
	const Oid  *types = table->types != NULL ? table->types : fsw_tables[id].types;

	if (relation->rd_rel->relkind != RELKIND_RELATION || relation->rd_rel->relam != HEAP_TABLE_AM_OID)
		return psprintf("It is not a plain table.");
	if (getExtensionOfObject(RelationRelationId, RelationGetRelid(relation)) !=
		get_extension_oid("flagsmith_webhook", false))
		return psprintf("It is not a member of extension flagsmith_webhook.");
	if (fsw_is_distributed(RelationGetRelid(relation)))
		return psprintf(FSW_DISTRIBUTED);
	for (int i = 0; i < table->ncolumns; i++)
	{
		known_tables[id].attnums[i] = find_column(RelationGetDescr(relation), columns[i], types[i]);
		if (known_tables[id].attnums[i] == InvalidAttrNumber)
			return psprintf("It has no column \"%s\" of the expected type.", columns[i]);
	}
	return NULL;
}

Relation
fsw_table_open(const FswReader *reader, FswReadTable id)
{
	const char *name = read_tables[id].name;

	for (int i = 0; i < INDEX_TRIES; i++)
	{
		Oid			relid = OidIsValid(known_tables[id].relid) ? known_tables[id].relid :
			get_relname_relid(name, reader->schema);
		Relation	relation;
		uint64		before;
		char	   *fault;

		if (!OidIsValid(relid))
			break;
		relation = try_relation_open(relid, AccessShareLock);
		if (relation != NULL && known_tables[id].relid == relid)
			return relation;
		if (relation == NULL || get_relname_relid(name, reader->schema) != relid)
		{
			/* renamed or dropped while we waited for it */
			if (relation != NULL)
				relation_close(relation, AccessShareLock);
			AcceptInvalidationMessages();
			continue;
		}
		before = changes;
		fault = check_table(relation, id);
		if (fault != NULL)
			fsw_raise_not_ours(name, fault);
		if (changes == before)
			known_tables[id].relid = relid;
		return relation;
	}
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_TABLE),
			 errmsg("table \"flagsmith.%s\" does not exist", name),
			 errhint("Undo what was done to it: it belongs to extension flagsmith_webhook.")));
}

/*
 * The same again in a transaction that has the lock since it opened it, for
 * the price of a look at the server's cache; NULL where it is to be opened
 * and checked.
 */
Relation
fsw_table_open_again(FswReadTable id)
{
	return OidIsValid(known_tables[id].relid) ? relation_open(known_tables[id].relid, NoLock) : NULL;
}

/* ---- indexes ---- */

/* An index as CREATE INDEX would make it from its text. */
typedef struct Definition
{
	List	   *keys;			/* of Expr */
	List	   *included;		/* of Var */
	List	   *condition;		/* of Expr, all of which must hold */
} Definition;

static List *
read_expressions(ParseState *pstate, List *targets)
{
	List	   *result = NIL;
	ListCell   *lc;

	foreach(lc, targets)
	{
		Node	   *expr = transformExpr(pstate, lfirst_node(ResTarget, lc)->val, EXPR_KIND_INDEX_EXPRESSION);

		assign_expr_collations(pstate, expr);
		result = lappend(result, eval_const_expressions(NULL, expr));
	}
	return result;
}

static Definition
read_definition(const ReadIndex *index, Relation table)
{
	ParseState *pstate = make_parsestate(NULL);
	Definition	definition = {0};
	StringInfoData sql;
	SelectStmt *select;
	Node	   *condition;

	addNSItemToQuery(pstate, addRangeTableEntryForRelation(pstate, table, AccessShareLock, NULL, false, true),
					 false, true, true);
	initStringInfo(&sql);
	appendStringInfo(&sql, "SELECT %s", index->keys);
	if (index->condition != NULL)
		appendStringInfo(&sql, " WHERE %s", index->condition);
	select = castNode(SelectStmt, linitial_node(RawStmt, raw_parser(sql.data, RAW_PARSE_DEFAULT))->stmt);
	definition.keys = read_expressions(pstate, select->targetList);
	condition = transformWhereClause(pstate, select->whereClause, EXPR_KIND_INDEX_PREDICATE, "WHERE");
	if (condition != NULL)
	{
		assign_expr_collations(pstate, condition);
		condition = (Node *) canonicalize_qual((Expr *) eval_const_expressions(NULL, condition), false);
		definition.condition = make_ands_implicit((Expr *) condition);
	}
	if (index->included != NULL)
	{
		resetStringInfo(&sql);
		appendStringInfo(&sql, "SELECT %s", index->included);
		select = castNode(SelectStmt, linitial_node(RawStmt, raw_parser(sql.data, RAW_PARSE_DEFAULT))->stmt);
		definition.included = read_expressions(pstate, select->targetList);
	}
	free_parsestate(pstate);
	return definition;
}

/* Is a key of the index this expression, in the order of its type? */
static bool
key_is(Relation index, int key, Node *expr, List **expressions)
{
	AttrNumber	attnum = index->rd_index->indkey.values[key];
	/* of its default operator class, which the server keeps by type */
	const TypeCacheEntry *type = lookup_type_cache(exprType(expr), TYPECACHE_BTREE_OPFAMILY);

	if (IsA(expr, Var))
	{
		if (attnum != ((Var *) expr)->varattno)
			return false;
	}
	else
	{
		if (attnum != 0 || *expressions == NIL || !equal(expr, linitial(*expressions)))
			return false;
		*expressions = list_delete_first(*expressions);
	}
	return OidIsValid(type->btree_opf) &&
		index->rd_opfamily[key] == type->btree_opf &&
		index->rd_opcintype[key] == type->btree_opintype &&
		index->rd_indcollation[key] == exprCollation(expr) &&
		index->rd_indoption[key] == 0;
}

/* Is it the index that is needed?  Else why not. */
static const char *
check_index(Relation index, Relation table, const Definition *definition)
{
	Form_pg_index form = index->rd_index;
	int			nkeys = list_length(definition->keys);
	List	   *expressions;
	ListCell   *lc;
	int			i = 0;

	if (index->rd_rel->relkind != RELKIND_INDEX || index->rd_rel->relam != BTREE_AM_OID)
		return "it is not a B-tree index";
	if (form->indrelid != RelationGetRelid(table))
		return "it is on another table";
	if (form->indnkeyatts != nkeys || form->indnatts < nkeys + list_length(definition->included))
		return "it has other columns";
	expressions = RelationGetIndexExpressions(index);
	foreach(lc, definition->keys)
	{
		if (!key_is(index, i++, lfirst(lc), &expressions))
			return "it has other columns";
	}
	foreach(lc, definition->included)
	{
		if (form->indkey.values[i++] != lfirst_node(Var, lc)->varattno)
			return "it has other columns";
	}
	if (!equal(definition->condition, RelationGetIndexPredicate(index)))
		return "it has another condition";
	if (!form->indisvalid || !form->indisready || !form->indislive)
		return "it is not valid";
	return NULL;
}

/*
 * Does the index have all rows that this transaction sees?  As the planner
 * asks it: one that was made after our snapshot may lack some.
 */
static bool
is_complete(Relation index)
{
	return !index->rd_index->indcheckxmin ||
		TransactionIdPrecedes(HeapTupleHeaderGetXmin(index->rd_indextuple->t_data), TransactionXmin);
}

/* Open an index if it is the one needed; else say why it is not. */
static Relation
try_index(Oid relid, Relation table, const Definition *definition, const char **fault)
{
	Relation	index = try_relation_open(relid, AccessShareLock);

	if (index == NULL)
	{
		*fault = "it was dropped";
		return NULL;
	}
	/* of what is no index, nothing else may be looked at */
	*fault = index->rd_rel->relkind == RELKIND_INDEX ?
		check_index(index, table, definition) : "it is not a B-tree index";
	if (*fault == NULL && !is_complete(index))
		*fault = "it was made after this transaction began";
	if (*fault == NULL)
		return index;
	relation_close(index, AccessShareLock);
	return NULL;
}

/* The statement that makes the index. */
static char *
index_statement(const ReadIndex *index)
{
	StringInfoData sql;

	initStringInfo(&sql);
	appendStringInfo(&sql, "CREATE INDEX %s ON flagsmith.%s (%s)", index->name, read_tables[index->table].name, index->keys);
	if (index->included != NULL)
		appendStringInfo(&sql, " INCLUDE (%s)", index->included);
	if (index->condition != NULL)
		appendStringInfo(&sql, " WHERE %s", index->condition);
	return sql.data;
}

static void
raise_no_index(const ReadIndex *wanted, const char *fault)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("table \"flagsmith.%s\" has no index to search it by", read_tables[wanted->table].name),
			 errdetail("Index \"%s\" cannot be used: %s.", wanted->name, fault),
			 strcmp(fault, "it was made after this transaction began") == 0 ?
			 errhint("Begin a new transaction.") :
			 strcmp(fault, "it is not valid") == 0 ?
			 errhint("Run: REINDEX INDEX flagsmith.%s;", wanted->name) :
			 errhint("Any index like this one will do: %s;", index_statement(wanted))));
}

/*
 * Find the index, by its name or else by what it is: one that was built anew
 * under another name does as well.  REINDEX CONCURRENTLY swaps the names, so
 * what was found can be the old one by the time that it is locked.
 */
static Relation
find_index(const FswReader *reader, const ReadIndex *wanted, Relation table)
{
	Definition	definition = read_definition(wanted, table);
	const char *fault = "it does not exist";
	const char *other;
	ListCell   *lc;

	for (int i = 0; i < INDEX_TRIES; i++)
	{
		Oid			relid = get_relname_relid(wanted->name, reader->schema);
		Relation	index;

		if (!OidIsValid(relid))
			break;
		index = try_index(relid, table, &definition, &fault);
		if (index != NULL)
			return index;
		AcceptInvalidationMessages();
	}
	foreach(lc, RelationGetIndexList(table))
	{
		Relation	index = try_index(lfirst_oid(lc), table, &definition, &other);

		if (index != NULL)
			return index;
	}
	raise_no_index(wanted, fault);
	return NULL;
}

/* Open an index; its table is open. */
Relation
fsw_index_open(const FswReader *reader, FswIndex id, Relation table)
{
	const ReadIndex *wanted = &read_indexes[id];
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext work;
	Relation	index;
	uint64		before;

	if (OidIsValid(known_indexes[id]))
	{
		Oid			relid = known_indexes[id];

		index = try_relation_open(relid, AccessShareLock);
		if (index != NULL && known_indexes[id] == relid && is_complete(index))
			return index;
		if (index != NULL)
			relation_close(index, AccessShareLock);
	}

	work = AllocSetContextCreate(CurrentMemoryContext, "flagsmith_webhook index check", ALLOCSET_SMALL_SIZES);
	MemoryContextSwitchTo(work);
	before = changes;
	index = find_index(reader, wanted, table);
	known_indexes[id] = changes == before ? RelationGetRelid(index) : InvalidOid;
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(work);
	return index;
}

/* The table of an index. */
FswReadTable
fsw_index_table(FswIndex id)
{
	return read_indexes[id].table;
}

/* Is it called as the server calls those that come with a table's keys? */
static bool
is_of_key(const char *name)
{
	const char *last = strrchr(name, '_');

	return strcmp(last, "_pkey") == 0 || strcmp(last, "_key") == 0;
}

/*
 * _index_statements() - what makes the indexes, but for those of keys.
 */
Datum
fsw_index_statements(PG_FUNCTION_ARGS)
{
	Datum		statements[FSW_INDEX_COUNT];
	int			n = 0;

	(void) fcinfo;
	for (int i = 0; i < FSW_INDEX_COUNT; i++)
	{
		if (!is_of_key(read_indexes[i].name))
			statements[n++] = CStringGetTextDatum(index_statement(&read_indexes[i]));
	}
	PG_RETURN_ARRAYTYPE_P(construct_array(statements, n, TEXTOID, -1, false, TYPALIGN_INT));
}
