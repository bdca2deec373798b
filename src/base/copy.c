/*-------------------------------------------------------------------------
 *
 * src/base/copy.c
 *	  Does this database hold all of the history, and is it its own?
 *
 * A subscriber has a copy that logical replication keeps.  While the first
 * copy of a table is under way, or a table was left out, there is less in it
 * than the publisher has, and an answer from it would look like one from all:
 * zero rows, or a flag that was never changed.  So every answer first asks
 * pg_subscription_rel.  A copy that became complete after the snapshot was
 * taken is not seen by that snapshot, whatever the catalog says by then.
 *
 * Citus leaves the table that it distributes in its place, an empty shell or
 * an old copy that direct reads would take for the history.
 *
 * What the catalogs said is kept until the server says that they changed, so
 * that an answer costs a look at a flag.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/transam.h"
#include "catalog/namespace.h"
#include "catalog/pg_namespace_d.h"
#include "catalog/pg_subscription_rel.h"
#include "catalog/pg_type_d.h"
#include "utils/catcache.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

#include "src/base/fsw.h"

/* The tables that answers are read from. */
static const char *const tables[] = {
	"audit_effect", "audit_id_block", "audit_log", "delivery", "delivery_repeat", "flag_change",
	"name", "pruning", "version_published", "webhook"
};

/* A table may be in several subscriptions. */
#define MAX_COMPLETED 32

static struct
{
	bool		known;			/* the rest is what the catalogs say */
	Oid			relids[lengthof(tables)];
	int			nsubscribed;	/* tables that are in a subscription */
	const char *missing;		/* a table that is in none */
	const char *incomplete;		/* a table whose first copy is not complete */
	int			ncompleted;		/* transactions that completed copies */
	TransactionId completed[MAX_COMPLETED];
}			copy;
static uint64 changes = 0;		/* that the server told of */

static void
forget_subscriptions(Datum arg, int cacheid, uint32 hashvalue)
{
	(void) arg;
	(void) cacheid;
	(void) hashvalue;
	copy.known = false;
	changes++;
}

/* A table may be another than before; with InvalidOid any may. */
static void
forget_tables(Datum arg, Oid relid)
{
	(void) arg;
	for (int i = 0; i < (int) lengthof(tables); i++)
	{
		if (!OidIsValid(relid) || copy.relids[i] == relid)
		{
			copy.known = false;
			changes++;
		}
	}
}

/* What one subscription says of a table. */
static void
read_entry(HeapTuple tuple, const char *name)
{
	Form_pg_subscription_rel entry = (Form_pg_subscription_rel) GETSTRUCT(tuple);
	TransactionId xid = HeapTupleHeaderGetXmin(tuple->t_data);

	if (entry->srsubstate != SUBREL_STATE_READY)
		copy.incomplete = name;
	else if (!TransactionIdIsNormal(xid))
		return;
	else if (copy.ncompleted < MAX_COMPLETED)
		copy.completed[copy.ncompleted++] = xid;
	else
		copy.incomplete = name;
}

static void
read_subscriptions(void)
{
	Oid			schema = get_namespace_oid("flagsmith", false);
	uint64		before = changes;

	copy.nsubscribed = copy.ncompleted = 0;
	copy.missing = copy.incomplete = NULL;
	for (int i = 0; i < (int) lengthof(tables); i++)
	{
		CatCList   *list;

		copy.relids[i] = get_relname_relid(tables[i], schema);
		if (!OidIsValid(copy.relids[i]))
			continue;
		list = SearchSysCacheList1(SUBSCRIPTIONRELMAP, ObjectIdGetDatum(copy.relids[i]));
		for (int j = 0; j < list->n_members; j++)
			read_entry(&list->members[j]->tuple, tables[i]);
		if (list->n_members > 0)
			copy.nsubscribed++;
		else
			copy.missing = tables[i];
		ReleaseSysCacheList(list);
	}
	copy.known = changes == before;
}

/* What the catalogs say now: another session's change need not have been noticed. */
static void
refresh(void)
{
	static bool registered = false;

	if (!registered)
	{
		CacheRegisterSyscacheCallback(SUBSCRIPTIONRELMAP, forget_subscriptions, (Datum) 0);
		CacheRegisterRelcacheCallback(forget_tables, (Datum) 0);
		registered = true;
	}
	AcceptInvalidationMessages();
	/* what is read can change while it is */
	for (int i = 0; i < 3 && !copy.known; i++)
		read_subscriptions();
}

pg_noreturn static void
raise_incomplete(const char *detail, const char *name, const char *hint)
{
	copy.known = false;
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("this copy of the flag history is not complete"),
			 errdetail_internal(detail, name),
			 errhint("%s", hint)));
}

/*
 * fsw_copy_check() - raise 55000 where the tables hold less than the history
 * as far as it was replicated.
 */
void
fsw_copy_check(Snapshot snapshot)
{
	refresh();
	if (copy.nsubscribed == 0)
		return;
	if (copy.incomplete != NULL)
		raise_incomplete("The first copy of table \"flagsmith.%s\" is not finished.", copy.incomplete,
						 "Wait until flagsmith.subscription_health says that it is.");
	if (copy.missing != NULL)
		raise_incomplete("Table \"flagsmith.%s\" is in no subscription, while others are.", copy.missing,
						 "Run flagsmith.check_publication() on the publisher, and here ALTER SUBSCRIPTION ... REFRESH PUBLICATION.");
	for (int i = 0; i < copy.ncompleted; i++)
	{
		TransactionId xid = copy.completed[i];

		if (XidInMVCCSnapshot(xid, snapshot))
			raise_incomplete("Its first copy was finished after this %s began.", "transaction",
							 "Begin a new transaction.");
		/* long before it can be taken for one of the future */
		if (snapshot->xmin - xid > PG_INT32_MAX / 2)
			copy.completed[i--] = copy.completed[--copy.ncompleted];
	}
}

/* fsw_is_subscriber() - does logical replication write the history here? */
bool
fsw_is_subscriber(void)
{
	refresh();
	return copy.nsubscribed > 0;
}

/*
 * fsw_refuse_on_subscriber() - raise 55000 on a subscriber: a row of our own
 * would meet the publisher's, and then nothing more arrives.
 */
void
fsw_refuse_on_subscriber(void)
{
	if (fsw_is_subscriber())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot change the flag history of a subscriber"),
				 errdetail("Logical replication brings it from another database."),
				 errhint("Do it there; flagsmith.promote_subscriber() makes this database one that takes deliveries."),
				 errhidestmt(true)));
}

/*
 * fsw_is_distributed() - did Citus move the rows of a table to shards?  Of its
 * catalog only the first column is looked at.
 */
bool
fsw_is_distributed(Oid relid)
{
	Oid			catalog = get_relname_relid("pg_dist_partition", PG_CATALOG_NAMESPACE);
	Relation	relation;
	ScanKeyData key;
	SysScanDesc scan;
	bool		found = false;

	if (!OidIsValid(catalog) || !OidIsValid(relid))
		return false;
	relation = table_open(catalog, AccessShareLock);
	if (RelationGetDescr(relation)->natts > 0 &&
		TupleDescAttr(RelationGetDescr(relation), 0)->atttypid == REGCLASSOID)
	{
		ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(relid));
		scan = systable_beginscan(relation, InvalidOid, false, NULL, 1, &key);
		found = HeapTupleIsValid(systable_getnext(scan));
		systable_endscan(scan);
	}
	table_close(relation, AccessShareLock);
	return found;
}

/* fsw_raise_not_ours() - a table is not what it was made as; fault says why. */
void
fsw_raise_not_ours(const char *table, const char *fault)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("table \"flagsmith.%s\" is not the one that the extension made", table),
			 errdetail_internal("%s", fault),
			 errhint("Undo what was done to it.  After an update of the extension, reconnect.")));
}

PG_FUNCTION_INFO_V1(fsw_whole);

/*
 * _whole() returns boolean - true, or 55000 where a table does not hold the
 * history: for views that read tables, which would just show fewer rows.
 */
Datum
fsw_whole(PG_FUNCTION_ARGS)
{
	Oid			schema = get_namespace_oid("flagsmith", false);

	(void) fcinfo;
	fsw_copy_check(GetActiveSnapshot());
	for (int i = 0; i < (int) lengthof(tables); i++)
	{
		if (fsw_is_distributed(get_relname_relid(tables[i], schema)))
			fsw_raise_not_ours(tables[i], FSW_DISTRIBUTED);
	}
	PG_RETURN_BOOL(true);
}

PG_FUNCTION_INFO_V1(fsw_is_subscriber_here);

/* _is_subscriber() returns boolean - for what SQL functions leave out there */
Datum
fsw_is_subscriber_here(PG_FUNCTION_ARGS)
{
	(void) fcinfo;
	PG_RETURN_BOOL(fsw_is_subscriber());
}

PG_FUNCTION_INFO_V1(fsw_refuse_here);

/* _refuse_on_subscriber() returns void - for what SQL functions change */
Datum
fsw_refuse_here(PG_FUNCTION_ARGS)
{
	(void) fcinfo;
	fsw_refuse_on_subscriber();
	PG_RETURN_VOID();
}
