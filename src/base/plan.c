/*-------------------------------------------------------------------------
 *
 * src/base/plan.c
 *	  Saved SPI plans, the owner's rights, and the clock of the caches.
 *
 * Every statement that C runs is a constant, fully qualified string with
 * parameters.  A plan is prepared at its first use in a session and kept; it
 * enters the table only once it is complete, so that an error while preparing
 * leaves nothing half made.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "miscadmin.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"

#include "src/base/fsw.h"

static SPIPlanPtr plans[FSW_PLAN_COUNT];
static uint64 xact_counter = 1;
static void (*on_commit) (uint64 counter) = NULL;

static void
count_xact(XactEvent event, void *arg)
{
	(void) arg;
	/* nothing has ended yet */
	if (event == XACT_EVENT_PRE_COMMIT || event == XACT_EVENT_PARALLEL_PRE_COMMIT ||
		event == XACT_EVENT_PRE_PREPARE)
		return;
	if (event == XACT_EVENT_COMMIT && on_commit != NULL)
		on_commit(xact_counter);
	xact_counter++;
}

static void
count_subxact(SubXactEvent event, SubTransactionId my_subid,
			  SubTransactionId parent_subid, void *arg)
{
	(void) my_subid;
	(void) parent_subid;
	(void) arg;
	if (event == SUBXACT_EVENT_COMMIT_SUB || event == SUBXACT_EVENT_ABORT_SUB)
		xact_counter++;
}

/* Called once, when the module is loaded. */
void
fsw_xact_init(void)
{
	RegisterXactCallback(count_xact, NULL);
	RegisterSubXactCallback(count_subxact, NULL);
}

/*
 * A number that grows whenever a transaction or subtransaction ends: what a
 * rolled-back savepoint showed must not be answered afterwards, although the
 * snapshots of before and after can be equal by value.
 */
uint64
fsw_xact_counter(void)
{
	return xact_counter;
}

/*
 * Have a function called with the counter that a transaction ends under, once
 * its commit can be seen by others.  It must not raise.
 */
void
fsw_xact_on_commit(void (*called) (uint64 counter))
{
	on_commit = called;
}

/*
 * The transaction has its id from here on.  It must before a row that it
 * stores is given an id or a time: which ids can still come is known by it,
 * src/evidence/seal.c, and so is which times, mark_position().  Where nothing
 * may be written, the statement that does says so.
 */
void
fsw_xact_assign_id(void)
{
	if (!XactReadOnly)
		(void) GetTopTransactionId();
}

/*
 * Take back what a subtransaction of our own raised, which neither read nor
 * wrote anything.
 */
void
fsw_xact_counter_reset(uint64 counter)
{
	xact_counter = counter;
}

/*
 * Become the owner of the extension's tables for the reads that follow, as
 * the triggers of foreign keys do.  An error in between is undone by the end
 * of the (sub)transaction.
 */
FswOwner
fsw_enter_owner(void)
{
	FswOwner	saved;
	Oid			nspid = get_namespace_oid("flagsmith", false);
	Oid			relid = get_relname_relid("delivery", nspid);
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relid));
	Oid			owner;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for relation \"flagsmith.delivery\"");
	owner = ((Form_pg_class) GETSTRUCT(tuple))->relowner;
	ReleaseSysCache(tuple);

	GetUserIdAndSecContext(&saved.userid, &saved.sec_context);
	SetUserIdAndSecContext(owner,
						   saved.sec_context | SECURITY_LOCAL_USERID_CHANGE |
						   SECURITY_RESTRICTED_OPERATION);
	return saved;
}

/* Become the caller again. */
void
fsw_leave_owner(FswOwner saved)
{
	SetUserIdAndSecContext(saved.userid, saved.sec_context);
}

static SPIPlanPtr
find_plan(FswPlanId id, const char *sql, int nargs, const Oid *argtypes, int options)
{
	MemoryContext caller = CurrentMemoryContext;
	SPIPlanPtr	plan = plans[id];

	if (plan != NULL)
	{
		if (SPI_plan_is_valid(plan))
			return plan;
		plans[id] = NULL;
		SPI_freeplan(plan);
	}

	plan = SPI_prepare_cursor(sql, nargs, unconstify(Oid *, argtypes), options);
	MemoryContextSwitchTo(caller);
	if (plan == NULL)
		elog(ERROR, "SPI_prepare returned %s for \"%s\"",
			 SPI_result_code_string(SPI_result), sql);
	if (SPI_keepplan(plan) != 0)
		elog(ERROR, "SPI_keepplan failed for \"%s\"", sql);
	plans[id] = plan;
	return plan;
}

/*
 * The saved plan of one statement, prepared when there is none or when a
 * change of the schema made it useless.  SPI must be connected.
 */
SPIPlanPtr
fsw_plan(FswPlanId id, const char *sql, int nargs, const Oid *argtypes)
{
	return find_plan(id, sql, nargs, argtypes, 0);
}

/*
 * The same, planned once for any parameters.  A plan of its own for each
 * execution would take apart what is passed compressed.
 */
SPIPlanPtr
fsw_generic_plan(FswPlanId id, const char *sql, int nargs, const Oid *argtypes)
{
	return find_plan(id, sql, nargs, argtypes, CURSOR_OPT_GENERIC_PLAN);
}

/*
 * SPI_execute_plan() that leaves the current memory context alone.  SPI's own
 * call ends in its procedure context, and what is allocated there afterwards
 * is gone at SPI_finish().
 */
int
fsw_execute(SPIPlanPtr plan, Datum *values, const char *nulls, bool read_only, long count)
{
	MemoryContext caller = CurrentMemoryContext;
	int			result = SPI_execute_plan(plan, values, nulls, read_only, count);

	MemoryContextSwitchTo(caller);
	return result;
}
