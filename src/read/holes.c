/*-------------------------------------------------------------------------
 *
 * src/read/holes.c
 *	  Audit entries that never came, near what is confirmed because none did.
 *
 * The ids of the entries are walked from the later end of the time that
 * matters to the earlier one, by index.  A stretch without a hole is passed
 * at once: blocks of ids that are complete are marked in audit_id_block, and
 * what is not marked is looked at, so that the marks change no answer.  Which
 * holes count is told in the same way as by the view missing_audit_entry.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"
#include "utils/numeric.h"
#include "utils/timestamp.h"

#include "src/base/fsw.h"
#include "src/decode/row.h"
#include "src/read/read.h"

/* So many ids on either side of a hole tell whether it is one. */
#define BESIDE			64
#define LEAST_IDS		4

/*
 * So many other holes may be among them: as many as are left where one entry in
 * five is lost.  As in missing_audit_entry.
 */
#define OTHERS(ids)		((ids) / 4 + 2)

/*
 * Entries are made by tasks, so that ids and times may be in another order
 * within so long; microseconds.
 */
#define SHUFFLED		INT64CONST(60000000)

/*
 * By so much a missing entry can be earlier, or later, than the two entries on
 * either side: at most 2.8 and 3.8 s in two captured runs.
 */
#define EARLIER			INT64CONST(3000000)
#define LATER			INT64CONST(4000000)

/*
 * An id is given when the task of an entry runs, which is some seconds after the
 * change, but at once for a version's.  So a missing entry may be of so long
 * before the arrival of those beside it, or of any time up to it; or of twice
 * as long before as these had to wait.  As in missing_audit_entry.
 */
#define USUAL_DELAY		INT64CONST(3000000)
#define LONGEST_DELAY	INT64CONST(86400000000)

/* What is imported so long before the first entry was imported when the webhook was made, perhaps. */
#define BEGUN			INT64CONST(10000000)

/* Rows and marks that are looked at for one answer, at most. */
#define MAX_STEPS		65536

/* The blocks that are marked, from the largest; as in row_store.c. */
#define SMALL_BLOCK		INT64CONST(64)
static const int64 block_sizes[] = {262144, 4096, SMALL_BLOCK};

/* Ids that follow each other. */
typedef struct Run
{
	int64		low;
	int64		high;
} Run;

/* What the rows of one id tell. */
typedef struct EntryOf
{
	int64		first_at;
	int64		last_at;
	int64		arrived;		/* first, in any way */
	int64		told_at;		/* first by webhook */
	int			nimports;
	int64		imports[8];		/* pages that have it */
} EntryOf;

typedef struct Walk
{
	FswReader  *reader;
	const FswEnvironment *environment;
	int64		from;			/* what is earlier does not matter */
	int			nearlier;		/* ids that are */
	int			nsteps;
	int			nruns;
	int			maxruns;
	Run		   *runs;			/* from the latest */
} Walk;

static void
add_run(Walk *walk, int64 low, int64 high)
{
	if (walk->nruns > 0 && walk->runs[walk->nruns - 1].low == high + 1)
	{
		walk->runs[walk->nruns - 1].low = low;
		return;
	}
	if (walk->nruns == walk->maxruns)
	{
		walk->maxruns = Max(16, walk->maxruns * 2);
		walk->runs = walk->runs == NULL ? palloc_array(Run, walk->maxruns) :
			repalloc_array(walk->runs, Run, walk->maxruns);
	}
	walk->runs[walk->nruns].low = low;
	walk->runs[walk->nruns++].high = high;
}

static FswScan *
scan_ids(const Walk *walk, StrategyNumber strategy, int64 id)
{
	FswScan    *scan = fsw_scan_of(walk->reader, FSW_INDEX_AUDIT_ID);

	fsw_scan_equal(scan, walk->environment->source);
	fsw_scan_key(scan, strategy, Int64GetDatum(id));
	return scan;
}

/* The rows of one id; false if there are none. */
static bool
read_entry(const Walk *walk, int64 id, EntryOf *entry)
{
	FswScan    *scan = scan_ids(walk, BTEqualStrategyNumber, id);
	bool		found = false;

	memset(entry, 0, sizeof(EntryOf));
	entry->first_at = entry->arrived = entry->told_at = FSW_FOREVER;
	entry->last_at = FSW_NEVER;
	fsw_scan_begin(scan, ForwardScanDirection);
	while (fsw_scan_next(scan))
	{
		int64		at = fsw_scan_int64(scan, AUDIT_created_date, 0);
		int64		arrived;

		if (!fsw_is_known(scan, AUDIT_stored_at, walk->environment))
			continue;
		/* a body that came again may have been stored before the one that came first */
		arrived = fsw_first_arrival(walk->reader, fsw_scan_int64(scan, AUDIT_delivery, 0),
									fsw_scan_int64(scan, AUDIT_received_at, 0));
		found = true;
		entry->first_at = Min(entry->first_at, at);
		entry->last_at = Max(entry->last_at, at);
		entry->arrived = Min(entry->arrived, arrived);
		if (fsw_scan_is(scan, AUDIT_origin, "webhook"))
			entry->told_at = Min(entry->told_at, arrived);
		else if (entry->nimports < (int) lengthof(entry->imports))
			entry->imports[entry->nimports++] = fsw_scan_int64(scan, AUDIT_delivery, 0);
	}
	return found;
}

/* Does one imported page have both? */
static bool
share_import(const EntryOf *a, const EntryOf *b)
{
	for (int i = 0; i < a->nimports; i++)
	{
		for (int j = 0; j < b->nimports; j++)
		{
			if (a->imports[i] == b->imports[j])
				return true;
		}
	}
	return false;
}

/* Is the block of ids that has one in it marked as complete? */
static bool
is_marked(Walk *walk, int64 size, int64 id)
{
	FswScan    *scan = fsw_scan_of(walk->reader, FSW_INDEX_AUDIT_BLOCK);

	walk->nsteps++;
	fsw_scan_equal(scan, walk->environment->source);
	fsw_scan_equal(scan, Int64GetDatum(size));
	fsw_scan_equal(scan, Int64GetDatum(id / size));
	fsw_scan_begin(scan, ForwardScanDirection);
	return fsw_scan_next(scan) && fsw_is_known(scan, BLOCK_stored_at, walk->environment);
}

/* How many ids that end with one are known at once to be there; 0 if a row has to be read. */
static int64
marked_block(Walk *walk, int64 last, bool first)
{
	for (int i = 0; i < (int) lengthof(block_sizes) && last > 0; i++)
	{
		if ((last + 1) % block_sizes[i] == 0 && is_marked(walk, block_sizes[i], last))
			return block_sizes[i];
	}
	/* only the first can be in the middle of a complete block */
	if (first && last > 0 && last < PG_INT64_MAX - 1 && is_marked(walk, SMALL_BLOCK, last))
		return last % SMALL_BLOCK + 1;
	return 0;
}

/* Where to begin: far enough behind an instant to judge a hole before it. */
static int64
find_start(Walk *walk, int64 until)
{
	FswScan    *scan;
	int64		id = PG_INT64_MAX - 1;
	int64		start;
	int64		next;
	int64		n = 0;			/* ids between */

	if (until == FSW_FOREVER || !walk->environment->has_project)
		return id;
	scan = fsw_scan_of(walk->reader, FSW_INDEX_AUDIT_PROJECT);
	fsw_scan_equal(scan, walk->environment->source);
	fsw_scan_equal(scan, Int64GetDatum(walk->environment->project_id));
	fsw_scan_key(scan, BTGreaterStrategyNumber, TimestampTzGetDatum(until));
	fsw_scan_begin(scan, ForwardScanDirection);
	while (id == PG_INT64_MAX - 1 && fsw_scan_next(scan))
		id = fsw_scan_int64(scan, AUDIT_audit_id, PG_INT64_MAX - 1);
	if (id == PG_INT64_MAX - 1)
		return id;

	start = next = id;
	while (n <= BESIDE + 2 && next > 0 && is_marked(walk, SMALL_BLOCK, next))
	{
		int64		last = Min(next | (SMALL_BLOCK - 1), start + (BESIDE + 3 - n));

		n += last - start;
		start = last;
		next = last + 1;
	}
	if (n > BESIDE + 2)
		return start;
	scan = scan_ids(walk, BTGreaterEqualStrategyNumber, start);
	fsw_scan_begin(scan, ForwardScanDirection);
	while (n <= BESIDE + 2 && fsw_scan_next(scan))
	{
		if (fsw_scan_int64(scan, AUDIT_audit_id, 0) > start)
			n++;
		start = fsw_scan_int64(scan, AUDIT_audit_id, 0);
	}
	return start;
}

/* Find the runs of ids, down to so many that are too early to matter. */
static void
walk_ids(Walk *walk, int64 last)
{
	FswScan    *scan = NULL;
	bool		first = true;

	while (walk->nearlier <= BESIDE + 2 && walk->nsteps < MAX_STEPS)
	{
		int64		size = marked_block(walk, last, first);
		int64		id;
		EntryOf		entry;

		first = false;
		if (size > 0)
		{
			add_run(walk, last + 1 - size, last);
			last -= size;
			if (walk->from != FSW_NEVER && read_entry(walk, last + 1, &entry) && entry.last_at < walk->from)
				walk->nearlier += (int) Min(size, BESIDE);
			scan = NULL;
			continue;
		}
		if (scan == NULL)
		{
			scan = scan_ids(walk, BTLessEqualStrategyNumber, last);
			fsw_scan_begin(scan, BackwardScanDirection);
		}
		do
		{
			if (!fsw_scan_next(scan))
				return;
			walk->nsteps++;
			id = fsw_scan_int64(scan, AUDIT_audit_id, 0);
		} while (id > last || !fsw_is_known(scan, AUDIT_stored_at, walk->environment));
		add_run(walk, id, id);
		if (fsw_scan_int64(scan, AUDIT_created_date, 0) < walk->from)
			walk->nearlier++;
		last = id - 1;
	}
}

/* Do the ids beside the hole behind a run, the later one, follow each other? */
static bool
is_hole(const Walk *walk, int later)
{
	int64		ids = 0;
	int			others = 0;

	for (int down = 0; down < 2; down++)
	{
		int			step = down ? 1 : -1;
		int64		left = BESIDE;

		for (int i = later + down; i >= 0 && i < walk->nruns && left > 0; i += step)
		{
			int64		n = Min(left, walk->runs[i].high - walk->runs[i].low + 1);

			others += i != later + down;
			ids += n;
			left -= n;
		}
	}
	return ids >= LEAST_IDS && others <= OTHERS(ids);
}

/* Until when entries that arrived may have been pruned. */
static int64
pruned_before(FswReader *reader)
{
	FswScan    *scan = fsw_scan_of(reader, FSW_INDEX_PRUNING);
	int64		result = FSW_NEVER;

	fsw_scan_begin(scan, BackwardScanDirection);
	while (fsw_scan_next(scan))
	{
		if (fsw_scan_is(scan, PRUNING_what, "history"))
			result = Max(result, fsw_scan_int64(scan, PRUNING_before, FSW_NEVER));
	}
	return result;
}

/* The id before, or behind, one next to a hole: its own neighbour on that side. */
static bool
next_id(const Walk *walk, int run, int64 id, int step, int64 *result)
{
	if (walk->runs[run].low != walk->runs[run].high)
	{
		*result = id + step;
		return true;
	}
	run -= step;
	if (run < 0 || run >= walk->nruns)
		return false;
	*result = step > 0 ? walk->runs[run].low : walk->runs[run].high;
	return true;
}

/* Entries are made by several tasks at once, which do not take their ids in the order of their times. */
static void
widen(FswHole *hole)
{
	hole->from = fsw_after(hole->from, -EARLIER);
	hole->until = fsw_after(hole->until, LATER);
}

/* What bounds the hole behind a run; false where it is none after all. */
static bool
read_hole(const Walk *walk, int later, int64 pruned, FswHole *hole)
{
	int64		ids[4];
	int			nids = 2;
	int64		told = FSW_FOREVER;
	int64		told_until = FSW_NEVER;
	int64		late = 0;
	EntryOf		entries[4];

	ids[0] = walk->runs[later + 1].high;
	ids[1] = walk->runs[later].low;
	if (next_id(walk, later + 1, ids[0], -1, &ids[nids]))
		nids++;
	if (next_id(walk, later, ids[1], 1, &ids[nids]))
		nids++;
	hole->from = FSW_FOREVER;
	hole->until = FSW_NEVER;
	for (int i = 0; i < nids; i++)
	{
		int64		delay;

		/* pruned since it was marked */
		if (!read_entry(walk, ids[i], &entries[i]))
			continue;
		hole->from = Min(hole->from, entries[i].first_at);
		hole->until = Max(hole->until, entries[i].last_at);
		if (entries[i].told_at == FSW_FOREVER)
			continue;
		delay = fsw_apart(entries[i].told_at, entries[i].first_at);
		told = Min(told, entries[i].told_at);
		if (delay <= LONGEST_DELAY)
			told_until = Max(told_until, entries[i].told_at);
		late = Max(late, delay);
	}
	widen(hole);
	if (told != FSW_FOREVER)
		hole->from = Min(hole->from, fsw_after(told, -Max(2 * Min(late, LONGEST_DELAY), USUAL_DELAY)));
	hole->until = Max(hole->until, told_until);
	if (Min(entries[0].arrived, entries[0].first_at) < pruned)
		return false;
	return !share_import(&entries[0], &entries[1]);
}

/* Did all entries of a hole come since its neighbours were pruned? */
static bool
is_filled(const Walk *walk, int64 first, int64 last)
{
	FswScan    *scan = scan_ids(walk, BTGreaterEqualStrategyNumber, first);
	EntryOf		below;
	EntryOf		above;
	int64		next = first;

	fsw_scan_begin(scan, ForwardScanDirection);
	while (next <= last && fsw_scan_next(scan))
	{
		int64		id = fsw_scan_int64(scan, AUDIT_audit_id, 0);

		if (!fsw_is_known(scan, AUDIT_stored_at, walk->environment))
			continue;
		if (id > next)
			break;
		next = id + 1;
	}
	if (next > last)
		return true;
	return read_entry(walk, first - 1, &below) && read_entry(walk, last + 1, &above) &&
		share_import(&below, &above);
}

static JsonbValue *
field_of(JsonbContainer *hole, const char *name)
{
	return getKeyJsonValueFromContainer(hole, name, strlen(name), NULL);
}

static int64
number_of(JsonbContainer *hole, const char *name)
{
	JsonbValue *value = field_of(hole, name);

	return value == NULL || value->type != jbvNumeric ? 0 :
		DatumGetInt64(DirectFunctionCall1(numeric_int8, NumericGetDatum(value->val.numeric)));
}

static int64
instant_of(JsonbContainer *hole, const char *name, int64 otherwise)
{
	JsonbValue *value = field_of(hole, name);

	return value == NULL || value->type != jbvString ? otherwise :
		DatumGetTimestampTz(DirectFunctionCall3(timestamptz_in,
												CStringGetDatum(pnstrdup(value->val.string.val, value->val.string.len)),
												ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1)));
}

/* A hole whose neighbours were pruned, if it is of the environment's source and matters. */
static bool
read_pruned_hole(const Walk *walk, JsonbContainer *object, FswHole *hole)
{
	JsonbValue *source = field_of(object, "source");
	text	   *mine = DatumGetTextPP(walk->environment->source);

	if (source == NULL || source->type != jbvString || source->val.string.len != (int) VARSIZE_ANY_EXHDR(mine) ||
		memcmp(source->val.string.val, VARDATA_ANY(mine), source->val.string.len) != 0)
		return false;
	hole->from = instant_of(object, "earliest", FSW_NEVER);
	hole->until = instant_of(object, "latest", FSW_FOREVER);
	if (hole->from != FSW_NEVER)
		widen(hole);
	return hole->until >= walk->from &&
		!is_filled(walk, number_of(object, "first_audit_id"), number_of(object, "last_audit_id"));
}

/* The holes of which prune_history() removed the neighbours. */
static void
read_pruned_holes(const Walk *walk, FswEnvironment *environment)
{
	FswScan    *scan = fsw_scan_of(walk->reader, FSW_INDEX_PRUNED_HOLES);
	Jsonb	  **pages = NULL;
	int			npages = 0;
	int			n = 0;

	fsw_scan_begin(scan, ForwardScanDirection);
	while (fsw_scan_next(scan))
	{
		bool		isnull;
		Datum		holes = fsw_scan_column(scan, PRUNING_holes, &isnull);

		if (isnull)
			continue;
		pages = pages == NULL ? palloc(sizeof(Jsonb *)) : repalloc(pages, (npages + 1) * sizeof(Jsonb *));
		pages[npages++] = DatumGetJsonbPCopy(holes);
		n += JB_ROOT_COUNT(pages[npages - 1]);
	}
	if (n == 0)
		return;
	environment->holes = MemoryContextAlloc(GetMemoryChunkContext(environment), (n + walk->nruns + 1) * sizeof(FswHole));
	for (int i = 0; i < npages; i++)
	{
		JsonbIterator *iterator = JsonbIteratorInit(&pages[i]->root);
		JsonbIteratorToken token;
		JsonbValue	element;

		while ((token = JsonbIteratorNext(&iterator, &element, true)) != WJB_DONE)
		{
			CHECK_FOR_INTERRUPTS();
			if (token == WJB_ELEM && element.type == jbvBinary && JsonContainerIsObject(element.val.binary.data))
				environment->nholes += read_pruned_hole(walk, element.val.binary.data,
														&environment->holes[environment->nholes]);
		}
	}
}

/* Does a webhook say that the ids are shared with other organisations? */
static bool
are_shared(FswReader *reader, Datum source)
{
	FswScan    *scan = fsw_scan_of(reader, FSW_INDEX_WEBHOOK);

	fsw_scan_begin(scan, ForwardScanDirection);
	while (fsw_scan_next(scan))
	{
		if (fsw_scan_bool(scan, WEBHOOK_audit_ids_shared) &&
			fsw_scan_same_text(scan, WEBHOOK_source, source))
			return true;
	}
	return false;
}

/*
 * Before the first entry that is known, nothing tells that there was none: an
 * import may have been made before the webhook was.  False if that cannot matter.
 */
static bool
read_start(const Walk *walk, FswHole *hole)
{
	FswScan    *scan = scan_ids(walk, BTGreaterEqualStrategyNumber, 1);
	int64		first = 0;
	EntryOf		entry;

	fsw_scan_begin(scan, ForwardScanDirection);
	while (first == 0 && fsw_scan_next(scan))
	{
		if (fsw_is_known(scan, AUDIT_stored_at, walk->environment))
			first = fsw_scan_int64(scan, AUDIT_audit_id, 0);
	}
	if (first <= 1 || !read_entry(walk, first, &entry))
		return false;
	hole->from = FSW_NEVER;
	hole->until = fsw_after(entry.first_at, -BEGUN);
	return hole->until >= walk->from && Min(entry.arrived, entry.first_at) >= pruned_before(walk->reader);
}

/*
 * Read the holes that can matter to what is between two instants into the
 * environment, where they stay for its other flags.
 */
void
fsw_holes_read(FswReader *reader, FswEnvironment *environment, int64 from, int64 until)
{
	Walk		walk = {.reader = reader,.environment = environment};
	FswHole		start;
	int64		pruned = FSW_NEVER;
	bool		known = false;	/* what was pruned */

	if (environment->has_holes && environment->holes_from <= from && environment->holes_until == until)
		return;
	environment->has_holes = true;
	environment->holes_from = from;
	environment->holes_until = until;
	environment->nholes = 0;
	environment->holes = NULL;
	walk.from = fsw_after(from, -SHUFFLED);
	if (!are_shared(reader, environment->source))
	{
		walk_ids(&walk, find_start(&walk, fsw_after(until, SHUFFLED)));
		read_pruned_holes(&walk, environment);
	}
	for (int i = 0; i + 1 < walk.nruns; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (!is_hole(&walk, i))
			continue;
		if (environment->holes == NULL)
			environment->holes = MemoryContextAlloc(GetMemoryChunkContext(environment),
													(walk.nruns + 1) * sizeof(FswHole));
		if (!known)
			pruned = pruned_before(reader);
		known = true;
		environment->nholes += read_hole(&walk, i, pruned, &environment->holes[environment->nholes]);
	}
	if (!read_start(&walk, &start))
		return;
	if (environment->holes == NULL)
		environment->holes = MemoryContextAlloc(GetMemoryChunkContext(environment), sizeof(FswHole));
	environment->holes[environment->nholes++] = start;
}
