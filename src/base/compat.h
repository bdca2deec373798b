/*-------------------------------------------------------------------------
 *
 * src/base/compat.h
 *	  What differs between the supported PostgreSQL releases.
 *
 * The only place that looks at PG_VERSION_NUM.  Every shim names the release
 * that made it necessary.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FSW_COMPAT_H
#define FSW_COMPAT_H

#if PG_VERSION_NUM < 150000
#error "flagsmith_webhook needs PostgreSQL 15 or later"
#endif

#include "utils/jsonb.h"

/* 16 moved the accessors of variable-length values out of postgres.h. */
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

/* 16 can report the errors of input functions without raising them. */
#if PG_VERSION_NUM >= 160000
#include "nodes/miscnodes.h"
#define FSW_SOFT_INPUT_ERRORS 1
#endif

/* Before 16 a walker was declared without its parameters, which C23 takes for none. */
#if PG_VERSION_NUM < 160000
#define FSW_WALKER(function) ((bool (*) ()) (void (*) (void)) (function))
#else
#define FSW_WALKER(function) (function)
#endif

/* 18 has pg_noreturn in the place of pg_attribute_noreturn(). */
#if PG_VERSION_NUM < 180000
#define pg_noreturn pg_attribute_noreturn()
#endif

/* 19 says by an attribute that one case goes on in the next. */
#if PG_VERSION_NUM < 190000
#define pg_fallthrough __attribute__((fallthrough))
#endif

/* 18 records the name and version of a module. */
#if PG_VERSION_NUM >= 180000
#define FSW_MODULE_MAGIC PG_MODULE_MAGIC_EXT(.name = "flagsmith_webhook", .version = FSW_VERSION)
#else
#define FSW_MODULE_MAGIC PG_MODULE_MAGIC
#endif

/* 18 wants to know where to count the searches of an index, 19 flags as well. */
#if PG_VERSION_NUM >= 190000
#define fsw_index_beginscan(table, index, snapshot, nkeys) \
	index_beginscan(table, index, snapshot, NULL, nkeys, 0, 0)
#elif PG_VERSION_NUM >= 180000
#define fsw_index_beginscan(table, index, snapshot, nkeys) \
	index_beginscan(table, index, snapshot, NULL, nkeys, 0)
#else
#define fsw_index_beginscan(table, index, snapshot, nkeys) \
	index_beginscan(table, index, snapshot, nkeys, 0)
#endif

/* 18 wants to know which row was inserted already: none. */
#if PG_VERSION_NUM >= 180000
#define fsw_no_conflict(info, slot, estate, met) \
	ExecCheckIndexConstraints(info, slot, estate, met, &(ItemPointerData) {{0, 0}, 0}, NIL)
#else
#define fsw_no_conflict(info, slot, estate, met) \
	ExecCheckIndexConstraints(info, slot, estate, met, NIL)
#endif

/* 16 calls the file of a relation by another name. */
#if PG_VERSION_NUM >= 160000
#define fsw_storage(relation) ((relation)->rd_locator.relNumber)
#else
#define fsw_storage(relation) ((relation)->rd_node.relNode)
#endif

/* 19 wants flags here as well. */
#if PG_VERSION_NUM >= 190000
#define fsw_beginscan_tidrange(table, snapshot, first, last) \
	table_beginscan_tidrange(table, snapshot, first, last, 0)
#else
#define fsw_beginscan_tidrange(table, snapshot, first, last) \
	table_beginscan_tidrange(table, snapshot, first, last)
#endif

/* 19 builds jsonb in a state that has the result, and returns nothing. */
#if PG_VERSION_NUM >= 190000
typedef JsonbInState FswJsonbBuild;
#else
typedef struct FswJsonbBuild
{
	JsonbParseState *state;
	JsonbValue *result;
} FswJsonbBuild;
#endif

static inline JsonbValue *
fsw_jsonb_push(FswJsonbBuild *build, JsonbIteratorToken token, JsonbValue *value)
{
#if PG_VERSION_NUM >= 190000
	pushJsonbValue(build, token, value);
#else
	build->result = pushJsonbValue(&build->state, token, value);
#endif
	return build->result;
}

#endif							/* FSW_COMPAT_H */
