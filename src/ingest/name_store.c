/*-------------------------------------------------------------------------
 *
 * src/ingest/name_store.c
 *	  The names that a body shows, as sightings in flagsmith.name.
 *
 * Everything here expects a connected SPI and the owner's rights.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_type_d.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"

#include "src/base/fsw.h"
#include "src/decode/row.h"

/*
 * Ids are integers and UUIDs; a longer one, which only an invented body can
 * have, is left out rather than refused by the index.
 */
#define MAX_NAME_ID 200

/*
 * What a session remembers of sightings that it has seen stored: those of its
 * own (sub)transaction, and those of committed ones, since a row of
 * flagsmith.name is never changed or removed.  Who does so all the same has
 * to disable the guard, truncate the table or drop it, which the server tells
 * every session; then all is forgotten.
 */
#define SIGHTINGS_REMEMBERED 4096
#define PLACES 4				/* of one thing, any of which may have it */
#define COMMITTED UINT64_MAX

typedef struct Sighting
{
	uint64		counter;		/* of its (sub)transaction, or COMMITTED */
	int64		thing;
	int64		name;
	int64		project_id;		/* -1: none */
	TimestampTz from;			/* what is seen in [from, to) adds nothing */
	TimestampTz to;
	TimestampTz existed_at;		/* nor does an existence from then on */
} Sighting;

static Sighting remembered[SIGHTINGS_REMEMBERED];
static Oid	remembered_of = InvalidOid; /* the table; invalid: forget all */

/* The places that were filled under one counter, until it commits. */
static uint16 pending[SIGHTINGS_REMEMBERED];
static int	npending = 0;
static uint64 pending_counter = 0;

/* A transaction committed: what its last stretch saw stored is there for good. */
static void
keep_pending(uint64 counter)
{
	for (int i = 0; counter == pending_counter && i < npending; i++)
	{
		if (remembered[pending[i]].counter == counter)
			remembered[pending[i]].counter = COMMITTED;
	}
	npending = 0;
}

static void
forget_table(Datum arg, Oid relid)
{
	(void) arg;
	if (!OidIsValid(relid) || relid == remembered_of)
		remembered_of = InvalidOid;
}

/*
 * Before anything remembered is used: forget it if it is of another table or
 * of one that was changed.  The lock on flagsmith.delivery, just taken, has
 * let in what the server had to tell.
 */
static void
check_remembered(void)
{
	static bool registered = false;

	if (!registered)
	{
		CacheRegisterRelcacheCallback(forget_table, (Datum) 0);
		fsw_xact_on_commit(keep_pending);
		registered = true;
	}
	if (OidIsValid(remembered_of))
		return;
	memset(remembered, 0, sizeof(remembered));
	npending = 0;
	remembered_of = get_relname_relid("name", get_namespace_oid("flagsmith", false));
}

/* Remember a sighting that this transaction saw stored. */
static void
remember(Sighting *place, const Sighting *sighting)
{
	if (pending_counter != sighting->counter)
	{
		pending_counter = sighting->counter;
		npending = 0;
	}
	if (place->counter != sighting->counter)
		pending[npending++] = place - remembered;
	*place = *sighting;
}

/* The hash of a thing, as the indexes of flagsmith.name have it. */
static int64
thing_hash(const FswName *name, const text *source)
{
	char	   *prefix = psprintf("%s/%s:", text_to_cstring(source), name->kind);
	int64		result = fsw_hash(prefix, name->id, strlen(name->id));

	pfree(prefix);
	return result;
}

/*
 * The stretch around an instant in which one sighting is enough: an hour for
 * what can be renamed, all time for features and identities.
 */
static void
same_sighting(const FswName *name, TimestampTz at, TimestampTz *from, TimestampTz *to)
{
	if (name->exact)
	{
		*from = at;
		*to = at + 1;
	}
	else if (strcmp(name->kind, "feature") == 0 || strcmp(name->kind, "identity") == 0 ||
			 TIMESTAMP_NOT_FINITE(at))
	{
		*from = DT_NOBEGIN;
		*to = DT_NOEND;
	}
	else
	{
		*from = at - ((at % USECS_PER_HOUR) + USECS_PER_HOUR) % USECS_PER_HOUR;
		*to = *from + USECS_PER_HOUR;
	}
}

/* The sighting of one name: what is stored, and what is remembered of it. */
static Sighting
sighting_of(const FswName *name, const FswDelivery *delivery, TimestampTz seen_at)
{
	Sighting	result;

	result.counter = fsw_xact_counter();
	result.thing = thing_hash(name, delivery->source);
	result.name = fsw_hash(psprintf("%s:", name->kind), VARDATA_ANY(name->name),
						   VARSIZE_ANY_EXHDR(name->name));
	result.project_id = name->has_project ? name->project_id : -1;
	same_sighting(name, seen_at, &result.from, &result.to);
	result.existed_at = name->has_existed ? Min(name->existed_at, seen_at) : seen_at;
	return result;
}

/* Whether a sighting at an instant adds nothing to one that is remembered. */
static bool
is_known(const Sighting *seen, const Sighting *sighting, TimestampTz seen_at)
{
	return (seen->counter == sighting->counter || seen->counter == COMMITTED) && seen->thing == sighting->thing &&
		seen->name == sighting->name && seen->project_id == sighting->project_id &&
		seen_at >= seen->from && seen_at < seen->to && sighting->existed_at >= seen->existed_at;
}

/*
 * Insert a sighting, unless it adds nothing: one of the same stretch is there
 * that was not later, and some row tells that the thing existed by then.
 *
 * Rows are never changed and double ones are harmless, so two sessions that do
 * the same at once need not know of each other.
 */
static void
insert_name(const FswName *name, const FswDelivery *delivery, const Sighting *sighting,
			TimestampTz seen_at)
{
	static const Oid types[] = {TEXTOID, TEXTOID, TEXTOID, TEXTOID, INT8OID, TIMESTAMPTZOID,
	BOOLOID, TIMESTAMPTZOID, TIMESTAMPTZOID, INT8OID, INT8OID, TIMESTAMPTZOID};
	Datum		values[12];

	values[0] = PointerGetDatum(delivery->source);
	values[1] = CStringGetTextDatum(name->kind);
	values[2] = CStringGetTextDatum(name->id);
	values[3] = PointerGetDatum(name->name);
	values[4] = Int64GetDatum(sighting->project_id);
	values[5] = TimestampTzGetDatum(seen_at);
	values[6] = BoolGetDatum(name->exact);
	values[7] = TimestampTzGetDatum(sighting->existed_at);
	values[8] = TimestampTzGetDatum(delivery->stored_at);
	values[9] = Int64GetDatum(sighting->thing);
	values[10] = Int64GetDatum(sighting->name);
	values[11] = TimestampTzGetDatum(sighting->from);
	if (fsw_execute(fsw_plan(FSW_PLAN_NAME,
							 "INSERT INTO flagsmith.name"
							 " (source, kind, id, name, project_id, seen_at, exact, existed_at, stored_at)"
							 " SELECT $1, $2, $3, $4, $5, $6, $7, CASE WHEN NOT k.existed THEN $8 END, $9"
							 " FROM (SELECT EXISTS (SELECT FROM flagsmith.name n"
							 "  WHERE flagsmith._hash(n.source || '/' || n.kind || ':' || n.id) = $10"
							 "  AND n.existed_at <= $8 AND n.source = $1 AND n.kind = $2 AND n.id = $3) AS existed,"
							 " EXISTS (SELECT FROM flagsmith.name n"
							 "  WHERE flagsmith._hash(n.source || '/' || n.kind || ':' || n.id) = $10"
							 "  AND flagsmith._hash(n.kind || ':' || n.name) = $11 AND n.seen_at BETWEEN $12 AND $6"
							 "  AND n.source = $1 AND n.kind = $2 AND n.id = $3 AND n.name = $4"
							 "  AND n.project_id IS NOT DISTINCT FROM $5 AND n.exact = $7) AS seen) k"
							 " WHERE NOT (k.existed AND k.seen)",
							 12, types),
					values, name->has_project ? "            " : "    n       ", false, 0) != SPI_OK_INSERT)
		elog(ERROR, "could not store a name");
}

/*
 * Where a thing is remembered, or else may be.  With a single place for each,
 * half of all statements about names were for things that took it from each
 * other in turn.
 */
static Sighting *
place_of(const Sighting *sighting)
{
	Sighting   *places = &remembered[(uint64) sighting->thing % (SIGHTINGS_REMEMBERED / PLACES) * PLACES];
	Sighting   *result = &places[(uint64) sighting->name % PLACES];

	for (int i = 0; i < PLACES; i++)
	{
		if (places[i].counter != 0 && places[i].thing == sighting->thing)
			return &places[i];
		if (places[i].counter == 0)
			result = &places[i];
	}
	return result;
}

/* Store one sighting, unless this session has seen it stored. */
static void
store_name(const FswName *name, const FswDelivery *delivery)
{
	TimestampTz seen_at = name->exact ? name->seen_at : delivery->received_at;
	Sighting	sighting;
	Sighting   *seen;

	if (strlen(name->id) > MAX_NAME_ID)
		return;
	sighting = sighting_of(name, delivery, seen_at);
	seen = place_of(&sighting);
	if (!name->exact && is_known(seen, &sighting, seen_at))
		return;
	insert_name(name, delivery, &sighting, seen_at);
	if (name->exact || !OidIsValid(remembered_of))
		return;
	/* of its stretch, what is seen from now on adds nothing */
	sighting.from = seen_at;
	remember(seen, &sighting);
}

static int
compare_existence(const ListCell *a, const ListCell *b)
{
	const FswName *left = lfirst(a);
	const FswName *right = lfirst(b);

	if (!left->has_existed || !right->has_existed)
		return left->has_existed - right->has_existed;
	return (left->existed_at > right->existed_at) - (left->existed_at < right->existed_at);
}

/*
 * fsw_store_names() - the names that an event shows.  Called again where the
 * same bytes turn out to have arrived earlier elsewhere: then they were built
 * earlier, too.
 *
 * A page of the audit log has the newest entries first, each of which would
 * tell that its environment existed earlier still: the oldest says it for all.
 */
void
fsw_store_names(const FswEvent *event, const FswDelivery *delivery)
{
	List	   *names = event->names;
	ListCell   *lc;

	check_remembered();
	if (event->is_import)
	{
		names = list_copy(names);
		list_sort(names, compare_existence);
	}
	foreach(lc, names)
		store_name(lfirst(lc), delivery);
}
