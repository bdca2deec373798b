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

/* 16 moved the accessors of variable-length values out of postgres.h. */
#if PG_VERSION_NUM >= 160000
#include "varatt.h"
#endif

/* 16 can report the errors of input functions without raising them. */
#if PG_VERSION_NUM >= 160000
#include "nodes/miscnodes.h"
#define FSW_SOFT_INPUT_ERRORS 1
#endif

/* 18 has pg_noreturn in the place of pg_attribute_noreturn(). */
#if PG_VERSION_NUM < 180000
#define pg_noreturn pg_attribute_noreturn()
#endif

/* 18 records the name and version of a module. */
#if PG_VERSION_NUM >= 180000
#define FSW_MODULE_MAGIC PG_MODULE_MAGIC_EXT(.name = "flagsmith_webhook", .version = FSW_VERSION)
#else
#define FSW_MODULE_MAGIC PG_MODULE_MAGIC
#endif

/* 18 wants to know where to count the searches of an index. */
#if PG_VERSION_NUM >= 180000
#define fsw_index_beginscan(table, index, snapshot, nkeys) \
	index_beginscan(table, index, snapshot, NULL, nkeys, 0)
#else
#define fsw_index_beginscan(table, index, snapshot, nkeys) \
	index_beginscan(table, index, snapshot, nkeys, 0)
#endif

#endif							/* FSW_COMPAT_H */
