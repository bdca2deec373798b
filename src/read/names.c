/*-------------------------------------------------------------------------
 *
 * src/read/names.c
 *	  What a thing was called at which time, from flagsmith.name.
 *
 * Most things have a row or two, which are read at once.  A thing that was seen
 * each hour for a year has thousands of rows and mostly one name, too: its names
 * are found one by one, by hash, and of each only the sightings that can change
 * the answer are read.  src/timeline/naming.c decides.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "src/base/array.h"
#include "src/base/fsw.h"
#include "src/decode/row.h"
#include "src/read/read.h"
#include "src/timeline/naming.h"

/* Up to so many rows of a thing are read at once. */
#define FEW_ROWS 8

/* One row of a thing. */
typedef struct NameRow
{
	int			name;			/* index */
	FswSighting seen;
} NameRow;

/* One of the names of a thing. */
typedef struct NameOf
{
	text	   *name;
	int64		hash;
	int			place;			/* among those read at once */
} NameOf;

/* What is needed while the names of one thing are read. */
typedef struct NameReading
{
	FswReader  *reader;
	Datum		source;
	const char *kind;
	const char *id;
	int64		thing;
	int			n;
	int			max;
	NameOf	   *names;
	int64		existed;
	bool		few;			/* rows has all there is */
	int			nrows;
	NameRow		rows[FEW_ROWS];
} NameReading;

/* The hash of a name, as indexes and audit effects have it. */
int64
fsw_name_hash(const char *kind, const char *name, size_t length)
{
	char		prefix[32];

	snprintf(prefix, sizeof(prefix), "%s:", kind);
	return fsw_hash(prefix, name, length);
}

/* A text as hashtextextended() hashes it, which indexes have in its place. */
Datum
fsw_text_hash(const text *content)
{
	return hash_any_extended((const unsigned char *) VARDATA_ANY(content), VARSIZE_ANY_EXHDR(content), 0);
}

/* The hash of a thing, as the indexes of flagsmith.name have it. */
int64
fsw_thing_hash(Datum source, const char *kind, const char *id)
{
	text	   *name = (text *) DatumGetPointer(source);
	char	   *prefix = psprintf("%.*s/%s:", (int) VARSIZE_ANY_EXHDR(name), VARDATA_ANY(name), kind);
	int64		result = fsw_hash(prefix, id, strlen(id));

	pfree(prefix);
	return result;
}

/* Begin to search what was ever called so. */
FswScan *
fsw_scan_name(FswReader *reader, const char *kind, const char *name, int length)
{
	FswScan    *scan = fsw_scan_of(reader, FSW_INDEX_NAME_HASH);

	fsw_scan_equal(scan, Int64GetDatum(fsw_name_hash(kind, name, length)));
	fsw_scan_begin(scan, ForwardScanDirection);
	return scan;
}

/* Begin to search the names of a kind in a project, or in none that is told. */
FswScan *
fsw_scan_names_in(FswReader *reader, const char *kind, Datum source, bool has_project, int64 project_id)
{
	FswScan    *scan = fsw_scan_of(reader, FSW_INDEX_NAME_PROJECT);

	if (has_project)
		fsw_scan_equal(scan, Int64GetDatum(project_id));
	else
		fsw_scan_key_null(scan, true);
	fsw_scan_equal(scan, CStringGetTextDatum(kind));
	fsw_scan_equal(scan, source);
	return scan;
}

/* Is the name that a scan found one of this thing? */
bool
fsw_name_is_of(FswScan *scan, Datum source, const char *kind, const char *id)
{
	return fsw_scan_same_text(scan, NAME_source, source) &&
		fsw_scan_is(scan, NAME_kind, kind) && fsw_scan_is(scan, NAME_id, id);
}

static bool
is_of(const NameReading *reading, FswScan *scan)
{
	return fsw_name_is_of(scan, reading->source, reading->kind, reading->id);
}

/* The first columns of the index: the thing and, unless 0, one of its names. */
static FswScan *
scan_thing(const NameReading *reading, const NameOf *name)
{
	FswScan    *scan = fsw_scan_of(reading->reader, FSW_INDEX_NAME_THING);

	fsw_scan_equal(scan, Int64GetDatum(reading->thing));
	if (name != NULL)
		fsw_scan_equal(scan, Int64GetDatum(name->hash));
	return scan;
}

static NameOf *
add_name(NameReading *reading, text *name)
{
	NameOf	   *added;

	added = &FSW_PUSH(reading->names, reading->n, reading->max);
	added->name = DatumGetTextPCopy(PointerGetDatum(name));
	return added;
}

/* Find the different names of the thing, by leaps from one to the next. */
static void
find_names(NameReading *reading)
{
	for (;;)
	{
		FswScan    *scan = scan_thing(reading, NULL);
		text	   *found;
		NameOf	   *name;

		if (reading->n > 0)
			fsw_scan_key(scan, BTGreaterStrategyNumber,
						 Int64GetDatum(reading->names[reading->n - 1].hash));
		fsw_scan_begin(scan, ForwardScanDirection);
		do
		{
			if (!fsw_scan_next(scan))
				return;
			found = fsw_scan_text(scan, NAME_name);
		} while (found == NULL || !is_of(reading, scan));
		name = add_name(reading, found);
		name->hash = fsw_name_hash(reading->kind, VARDATA_ANY(name->name), VARSIZE_ANY_EXHDR(name->name));
	}
}

/* The beginning of the hour: of other sightings than exact ones, its first counts. */
static int64
hour_of(int64 at)
{
	if (TIMESTAMP_NOT_FINITE(at))
		return at;
	return at - ((at % USECS_PER_HOUR) + USECS_PER_HOUR) % USECS_PER_HOUR;
}

/* From when on there is no sighting, if the last that is told apart is this: of an hour, only the first is. */
int64
fsw_unseen_from(int64 last)
{
	return fsw_after(hour_of(last), USECS_PER_HOUR);
}

/* Was the name seen in the same hour before? */
static bool
is_first_of_hour(const NameReading *reading, const NameOf *name, int64 at)
{
	FswScan    *scan = scan_thing(reading, name);

	fsw_scan_key(scan, BTGreaterEqualStrategyNumber, TimestampTzGetDatum(hour_of(at)));
	fsw_scan_key(scan, BTLessStrategyNumber, TimestampTzGetDatum(at));
	fsw_scan_begin(scan, ForwardScanDirection);
	while (fsw_scan_next(scan))
	{
		if (is_of(reading, scan) && !fsw_scan_bool(scan, NAME_exact))
			return false;
	}
	return true;
}

/* The next sighting of a name that counts, for naming.c. */
static bool
next_sighting(void *source, int index, int64 after, FswSighting *next)
{
	const NameReading *reading = source;
	const NameOf *name = &reading->names[index];
	int64		passed = FSW_NEVER; /* the hour whose first sighting is known */

	for (;;)
	{
		FswScan    *scan = scan_thing(reading, name);
		bool		again = false;

		if (after != FSW_NEVER)
			fsw_scan_key(scan, BTGreaterStrategyNumber, TimestampTzGetDatum(after));
		fsw_scan_begin(scan, ForwardScanDirection);
		while (!again && fsw_scan_next(scan))
		{
			if (!is_of(reading, scan))
				continue;
			next->at = fsw_scan_int64(scan, NAME_seen_at, 0);
			next->exact = fsw_scan_bool(scan, NAME_exact);
			if (next->exact)
				return true;
			if (hour_of(next->at) == passed)
				continue;
			/* the search ends here: there is one search in an index at a time */
			if (is_first_of_hour(reading, name, next->at))
				return true;
			passed = hour_of(next->at);
			after = next->at;
			again = true;
		}
		if (!again)
			return false;
	}
}

/* What a row says of the project: the latest counts; of one instant, the greater. */
static void
tell_project(FswScan *scan, FswNames *names, int64 *told_at)
{
	int64		at = fsw_scan_int64(scan, NAME_seen_at, 0);
	int64		project_id = fsw_scan_int64(scan, NAME_project_id, 0);

	names->seen_last = Max(names->seen_last, at);
	if (fsw_scan_is_null(scan, NAME_project_id))
		return;
	if (!names->has_project || at > *told_at || (at == *told_at && project_id > names->project_id))
	{
		names->has_project = true;
		names->project_id = project_id;
		*told_at = at;
	}
}

/* The project, and when the thing was seen last, from the end of each name's rows. */
static void
read_project(const NameReading *reading, FswNames *names)
{
	int64		told_at = FSW_NEVER;

	for (int i = 0; i < reading->n; i++)
	{
		FswScan    *scan = scan_thing(reading, &reading->names[i]);

		fsw_scan_begin(scan, BackwardScanDirection);
		while (fsw_scan_next(scan))
		{
			if (!is_of(reading, scan))
				continue;
			tell_project(scan, names, &told_at);
			if (!fsw_scan_is_null(scan, NAME_project_id))
				break;
		}
	}
}

/*
 * Has the thing no other name than the first of its rows, as is most likely of
 * many?  Rows are in the order of names, so the last one tells.
 */
static bool
read_single(NameReading *reading, FswNames *names)
{
	FswScan    *scan = scan_thing(reading, NULL);
	int64		told_at = FSW_NEVER;

	fsw_scan_begin(scan, BackwardScanDirection);
	while (fsw_scan_next(scan))
	{
		text	   *found = fsw_scan_text(scan, NAME_name);

		if (found == NULL || !is_of(reading, scan))
			continue;
		if (!fsw_same_text(PointerGetDatum(found), PointerGetDatum(reading->names[0].name)))
			return false;
		tell_project(scan, names, &told_at);
		if (names->has_project)
			break;
	}
	reading->n = 1;
	return true;
}

/* The name in the first or the last row of the thing, in the order of names; NULL if it has none. */
static text *
outermost_name(const NameReading *reading, ScanDirection direction)
{
	FswScan    *scan = scan_thing(reading, NULL);

	fsw_scan_begin(scan, direction);
	while (fsw_scan_next(scan))
	{
		text	   *found = fsw_scan_text(scan, NAME_name);

		if (found != NULL && is_of(reading, scan))
			return DatumGetTextPCopy(PointerGetDatum(found));
	}
	return NULL;
}

/* Was the thing never seen under another name than one? */
bool
fsw_has_one_name(FswReader *reader, Datum source, const char *kind, const char *id)
{
	NameReading reading = {.reader = reader,.source = source,.kind = kind,.id = id};
	text	   *first;
	text	   *last;

	reading.thing = fsw_thing_hash(source, kind, id);
	first = outermost_name(&reading, ForwardScanDirection);
	last = outermost_name(&reading, BackwardScanDirection);
	return first != NULL && last != NULL && fsw_same_text(PointerGetDatum(first), PointerGetDatum(last));
}

/* Read all rows of the thing, if they are few. */
static bool
read_few(NameReading *reading, FswNames *names)
{
	FswScan    *scan = scan_thing(reading, NULL);
	int64		told_at = FSW_NEVER;

	fsw_scan_begin(scan, ForwardScanDirection);
	while (fsw_scan_next(scan))
	{
		text	   *found = fsw_scan_text(scan, NAME_name);
		NameRow    *row;

		if (found == NULL || !is_of(reading, scan))
			continue;
		if (reading->nrows == FEW_ROWS)
			return false;
		/* rows of one name follow each other, by time */
		if (reading->n == 0 || !fsw_same_text(PointerGetDatum(reading->names[reading->n - 1].name),
											  PointerGetDatum(found)))
		{
			NameOf	   *name = add_name(reading, found);

			name->place = reading->n - 1;
		}
		row = &reading->rows[reading->nrows++];
		row->name = reading->n - 1;
		row->seen.at = fsw_scan_int64(scan, NAME_seen_at, 0);
		row->seen.exact = fsw_scan_bool(scan, NAME_exact);
		reading->existed = Min(reading->existed, fsw_scan_int64(scan, NAME_existed_at, FSW_FOREVER));
		tell_project(scan, names, &told_at);
	}
	return true;
}

/* The next sighting of a name that counts, of those read at once. */
static bool
next_of_few(void *source, int index, int64 after, FswSighting *next)
{
	const NameReading *reading = source;
	int64		passed = FSW_NEVER;

	for (int i = 0; i < reading->nrows; i++)
	{
		const FswSighting *seen = &reading->rows[i].seen;

		if (reading->rows[i].name != reading->names[index].place)
			continue;
		if (seen->at > after && (seen->exact || hour_of(seen->at) != passed))
		{
			*next = *seen;
			return true;
		}
		if (!seen->exact)
			passed = hour_of(seen->at);
	}
	return false;
}

/* The earliest instant at which the thing is known to have existed. */
static int64
read_existed(const NameReading *reading)
{
	FswScan    *scan = fsw_scan_of(reading->reader, FSW_INDEX_NAME_EXISTED);

	fsw_scan_equal(scan, Int64GetDatum(reading->thing));
	fsw_scan_begin(scan, ForwardScanDirection);
	while (fsw_scan_next(scan))
	{
		if (is_of(reading, scan))
			return fsw_scan_int64(scan, NAME_existed_at, FSW_FOREVER);
	}
	return FSW_FOREVER;
}

static int
compare_names(const void *a, const void *b)
{
	const text *x = ((const NameOf *) a)->name;
	const text *y = ((const NameOf *) b)->name;
	int			x_length = VARSIZE_ANY_EXHDR(x);
	int			y_length = VARSIZE_ANY_EXHDR(y);
	int			order = memcmp(VARDATA_ANY(x), VARDATA_ANY(y), Min(x_length, y_length));

	return order != 0 ? order : (x_length > y_length) - (x_length < y_length);
}

static void
read_names(FswReader *reader, Datum source, const char *kind, const char *id, FswNames *names)
{
	NameReading reading = {.reader = reader,.source = source,.kind = kind,.id = id,.existed = FSW_FOREVER};
	FswNaming  *namings;

	reading.thing = fsw_thing_hash(source, kind, id);
	reading.max = 4;
	reading.names = palloc_array(NameOf, reading.max);
	memset(names, 0, sizeof(FswNames));
	names->seen_last = FSW_NEVER;
	reading.few = read_few(&reading, names);
	if (!reading.few)
	{
		memset(names, 0, sizeof(FswNames));
		names->seen_last = FSW_NEVER;
		if (!read_single(&reading, names))
		{
			memset(names, 0, sizeof(FswNames));
			names->seen_last = FSW_NEVER;
			reading.n = 0;
			find_names(&reading);
			read_project(&reading, names);
		}
		reading.existed = read_existed(&reading);
	}
	if (reading.n == 0)
		return;

	/* in an order that no insertion decides */
	qsort(reading.names, reading.n, sizeof(NameOf), compare_names);
	if (reading.n == 1)
	{
		namings = palloc0_object(FswNaming);
		namings->from = reading.existed;
		names->n = 1;
		/* rows of one name follow each other, by time */
		names->seen_from = reading.rows[0].seen.at;
	}
	else
	{
		namings = fsw_naming_build(reading.n, reading.few ? next_of_few : next_sighting, &reading, &names->n);
		names->seen_from = namings[0].from;
	}
	namings[0].from = Min(namings[0].from, reading.existed);

	names->from = palloc_array(int64, names->n);
	names->names = palloc_array(text *, names->n);
	for (int i = 0; i < names->n; i++)
	{
		names->from[i] = namings[i].from;
		names->names[i] = reading.names[namings[i].name].name;
	}
	pfree(namings);
	pfree(reading.names);
}

/* All names of a thing by time; none if nothing is known of it. */
void
fsw_names_read(FswReader *reader, Datum source, const char *kind, const char *id, FswNames *names)
{
	if (fsw_names_recall(reader, source, kind, id, names))
		return;
	read_names(reader, source, kind, id, names);
	fsw_names_keep(reader, source, kind, id, names);
}

/* What the thing was called at an instant, else at first; NULL if never. */
const text *
fsw_names_at(const FswNames *names, int64 at)
{
	int			i = names->n - 1;

	if (i < 0)
		return NULL;
	while (i > 0 && names->from[i] > at)
		i--;
	return names->names[i];
}
