/*-------------------------------------------------------------------------
 *
 * src/read/resolve.c
 *	  Which environment and which feature a pair of names means.
 *
 * An environment is named by its name, by project/environment, or by
 * source/project/environment, compared as they stand, since every name may
 * contain "/".  Names change; at an instant, a name means what was called so
 * then, and before its first sight what it was called at first.  Within one
 * project the youngest of several wins, since flags are deleted and created
 * again under the same name.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "utils/builtins.h"
#include "utils/datum.h"

#include "src/base/fsw.h"
#include "src/read/read.h"

/* Something that has names: an environment, a feature or a project. */
typedef struct Thing
{
	Datum		source;			/* text */
	int64		id;
	bool		has_project;
	int64		project_id;
	int			nperiods;		/* by time, from the beginning to the end */
	int64	   *since;
	text	  **names;
	FswFeature	feature;		/* if it is one */
} Thing;

static int64
period_from(const Thing *thing, int i)
{
	return i == 0 ? DT_NOBEGIN : thing->since[i];
}

static int64
period_to(const Thing *thing, int i)
{
	return i + 1 < thing->nperiods ? thing->since[i + 1] : DT_NOEND;
}

static inline bool
same_text(const text *a, const text *b)
{
	size_t		length = VARSIZE_ANY_EXHDR(a);

	return length == VARSIZE_ANY_EXHDR(b) && memcmp(VARDATA_ANY(a), VARDATA_ANY(b), length) == 0;
}

/* Are two texts that need no detoasting the same? */
bool
fsw_same_text(Datum a, Datum b)
{
	return same_text((text *) DatumGetPointer(a), (text *) DatumGetPointer(b));
}

/* Begin to search what was ever called so. */
FswScan *
fsw_scan_name(FswReader *reader, const char *kind, const char *name, int length)
{
	FswScan    *scan = fsw_scan_of(reader, FSW_INDEX_NAME_HASH);

	fsw_scan_equal(scan, hash_any_extended((const unsigned char *) name, length, 0));
	fsw_scan_equal(scan, CStringGetTextDatum(kind));
	fsw_scan_begin(scan, ForwardScanDirection);
	return scan;
}

/*
 * Begin to search the names of something, by time.  What is found may be of
 * another source: fsw_name_is_of() tells.
 */
FswScan *
fsw_scan_names_of(FswReader *reader, const char *kind, int64 id)
{
	FswScan    *scan = fsw_scan_of(reader, FSW_INDEX_NAME_THING);
	char		thing[64];
	int			length = snprintf(thing, sizeof(thing), "%s:" INT64_FORMAT, kind, id);

	fsw_scan_equal(scan, hash_any_extended((unsigned char *) thing, length, 0));
	fsw_scan_begin(scan, ForwardScanDirection);
	return scan;
}

/* Is the name that a scan found one of this thing? */
bool
fsw_name_is_of(FswScan *scan, Datum source, const char *kind, int64 id)
{
	bool		isnull;
	int64		found;

	return fsw_same_text(fsw_scan_column(scan, NAME_source, &isnull), source) &&
		fsw_scan_is(scan, NAME_kind, kind) && fsw_scan_id(scan, NAME_id, &found) && found == id;
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
	fsw_scan_begin(scan, ForwardScanDirection);
	return scan;
}

/*
 * All names that something ever had.  Not every delivery that has a name says
 * of which project the thing is.
 */
static void
read_names(FswReader *reader, const char *kind, Thing *thing)
{
	FswScan    *scan = fsw_scan_names_of(reader, kind, thing->id);
	int			max = 4;

	thing->since = palloc_array(int64, max);
	thing->names = palloc_array(text *, max);
	while (fsw_scan_next(scan))
	{
		bool		isnull;
		int64		project_id;

		if (!fsw_name_is_of(scan, thing->source, kind, thing->id))
			continue;
		if (thing->nperiods == max)
		{
			max *= 2;
			thing->since = repalloc_array(thing->since, int64, max);
			thing->names = repalloc_array(thing->names, text *, max);
		}
		thing->since[thing->nperiods] = fsw_scan_int64(scan, NAME_since, 0);
		thing->names[thing->nperiods++] =
			DatumGetTextPCopy(fsw_scan_column(scan, NAME_name, &isnull));
		project_id = DatumGetInt64(fsw_scan_column(scan, NAME_project_id, &isnull));
		if (!isnull)
		{
			thing->project_id = thing->has_project ? Max(thing->project_id, project_id) : project_id;
			thing->has_project = true;
		}
	}
}

/* The hashes of a feature's names, as in touch.feature_hash. */
static void
hash_names(Thing *thing)
{
	FswFeature *feature = &thing->feature;

	feature->id = thing->id;
	feature->names = palloc_array(int64, Max(thing->nperiods, 1));
	for (int i = 0; i < thing->nperiods; i++)
	{
		int64		hash = DatumGetInt64(hash_any_extended((unsigned char *) VARDATA_ANY(thing->names[i]),
														   VARSIZE_ANY_EXHDR(thing->names[i]), 0));
		bool		found = false;

		for (int j = 0; j < feature->nnames && !found; j++)
			found = feature->names[j] == hash;
		if (!found)
			feature->names[feature->nnames++] = hash;
	}
}

/*
 * Everything of a kind that was ever called so, with all its names.  Where
 * others are given, only what can be of the same project as one of them.
 */
static int
find_things(FswReader *reader, const char *kind, const char *name, int length,
			const Thing *others, int nothers, Thing **things)
{
	FswScan    *scan = fsw_scan_name(reader, kind, name, length);
	int			max = 4;
	int			n = 0;

	*things = palloc_array(Thing, max);
	while (fsw_scan_next(scan))
	{
		bool		has_project;
		bool		isnull;
		int64		project_id = DatumGetInt64(fsw_scan_column(scan, NAME_project_id, &isnull));
		Datum		source;
		int64		id;
		bool		wanted = others == NULL;
		bool		found = false;

		has_project = !isnull;
		source = fsw_scan_column(scan, NAME_source, &isnull);
		for (int i = 0; i < nothers && !wanted; i++)
			wanted = fsw_same_text(others[i].source, source) &&
				(!has_project || !others[i].has_project || others[i].project_id == project_id);
		if (!wanted || !fsw_scan_id(scan, NAME_id, &id))
			continue;
		for (int i = 0; i < n && !found; i++)
			found = (*things)[i].id == id && fsw_same_text((*things)[i].source, source);
		if (found)
			continue;
		if (n == max)
		{
			max *= 2;
			*things = repalloc_array(*things, Thing, max);
		}
		memset(&(*things)[n], 0, sizeof(Thing));
		(*things)[n].source = datumCopy(source, false, -1);
		(*things)[n++].id = id;
	}
	for (int i = 0; i < n; i++)
		read_names(reader, kind, &(*things)[i]);
	return n;
}

/* Is the text what the parts, with slashes between them, make? */
static bool
is_path(const text *path, const text *const *parts, int nparts)
{
	const char *at = VARDATA_ANY(path);
	const char *end = at + VARSIZE_ANY_EXHDR(path);

	for (int i = 0; i < nparts; i++)
	{
		int			length = VARSIZE_ANY_EXHDR(parts[i]);

		if (i > 0 && (at == end || *at++ != '/'))
			return false;
		if (end - at < length || memcmp(at, VARDATA_ANY(parts[i]), length) != 0)
			return false;
		at += length;
	}
	return at == end;
}

typedef struct PairList
{
	int			n;
	int			max;
	FswPair    *pairs;
} PairList;

/* The names of an environment mean it in [from, to): with each feature then. */
static void
add_pairs(PairList *list, const Thing *environment, int64 from, int64 to,
		  const text *name, const Thing *features, int nfeatures)
{
	FswPair		pair = {0};

	pair.source = environment->source;
	pair.has_project = environment->has_project;
	pair.project_id = environment->project_id;
	pair.environment_id = environment->id;
	pair.environment_sight = environment->since[0];
	pair.feature_sight = environment->since[0];
	for (int i = 0; i < Max(nfeatures, 1); i++)
	{
		const Thing *feature = nfeatures > 0 ? &features[i] : NULL;

		if (feature != NULL && (feature->has_project != environment->has_project ||
								feature->project_id != environment->project_id ||
								!fsw_same_text(feature->source, environment->source)))
			continue;
		for (int j = 0; j < (feature == NULL ? 1 : feature->nperiods); j++)
		{
			pair.from = from;
			pair.to = to;
			if (feature != NULL)
			{
				if (!same_text(feature->names[j], name))
					continue;
				pair.feature = feature->feature;
				pair.feature_sight = feature->since[0];
				pair.from = Max(from, period_from(feature, j));
				pair.to = Min(to, period_to(feature, j));
			}
			if (pair.from >= pair.to)
				continue;
			if (list->n == list->max)
			{
				list->max = Max(4, list->max * 2);
				list->pairs = list->pairs == NULL ? palloc_array(FswPair, list->max) :
					repalloc_array(list->pairs, FswPair, list->max);
			}
			list->pairs[list->n++] = pair;
		}
	}
}

/*
 * All pairs that two names ever meant.  Without a feature, the environments
 * alone, with 0 as feature.
 */
int
fsw_resolve(FswReader *reader, const text *environment, const text *feature, FswPair **pairs)
{
	const char *name = VARDATA_ANY(environment);
	int			length = VARSIZE_ANY_EXHDR(environment);
	PairList	list = {0};
	Thing	   *features = NULL;
	int			nfeatures = 0;

	if (feature != NULL)
	{
		nfeatures = find_things(reader, "feature", VARDATA_ANY(feature), VARSIZE_ANY_EXHDR(feature),
								NULL, 0, &features);
		if (nfeatures == 0)
			return 0;
		for (int i = 0; i < nfeatures; i++)
			hash_names(&features[i]);
	}

	/* The environment's own name can be any tail behind a slash. */
	for (int tail = 0; tail <= length; tail++)
	{
		Thing	   *environments;
		int			n;

		if (tail > 0 && name[tail - 1] != '/')
			continue;
		n = find_things(reader, "environment", name + tail, length - tail, features, nfeatures,
						&environments);
		for (int i = 0; i < n; i++)
		{
			const Thing *thing = &environments[i];
			Thing		project = {0};

			if (tail > 0 && thing->has_project)
			{
				project.source = thing->source;
				project.id = thing->project_id;
				read_names(reader, "project", &project);
			}
			for (int j = 0; j < thing->nperiods; j++)
			{
				int64		from = period_from(thing, j);
				int64		to = period_to(thing, j);
				const text *parts[3] = {(text *) DatumGetPointer(thing->source), NULL, thing->names[j]};

				if ((int) VARSIZE_ANY_EXHDR(thing->names[j]) != length - tail)
					continue;
				if (tail == 0 && is_path(environment, parts + 2, 1))
					add_pairs(&list, thing, from, to, feature, features, nfeatures);
				for (int k = 0; k < project.nperiods; k++)
				{
					parts[1] = project.names[k];
					if (is_path(environment, parts + 1, 2) || is_path(environment, parts, 3))
						add_pairs(&list, thing, Max(from, period_from(&project, k)),
								  Min(to, period_to(&project, k)), feature, features, nfeatures);
				}
			}
		}
	}
	*pairs = list.pairs;
	return list.n;
}

/* The pair of an environment and a feature by their ids, for all time. */
FswPair *
fsw_resolve_ids(FswReader *reader, Datum source, int64 environment_id, int64 feature_id)
{
	FswPair    *pair = palloc0_object(FswPair);
	Thing		environment = {.source = source, .id = environment_id};
	Thing		feature = {.source = source, .id = feature_id};

	read_names(reader, "environment", &environment);
	read_names(reader, "feature", &feature);
	hash_names(&feature);
	pair->source = source;
	pair->has_project = environment.has_project;
	pair->project_id = environment.project_id;
	pair->environment_id = environment_id;
	pair->feature = feature.feature;
	pair->from = DT_NOBEGIN;
	pair->to = DT_NOEND;
	return pair;
}

/* One name of one feature. */
typedef struct NameRow
{
	int64		id;
	int64		since;
	text	   *name;
	bool		has_project;
} NameRow;

static int
compare_name_rows(const void *a, const void *b)
{
	const NameRow *x = a;
	const NameRow *y = b;

	if (x->id != y->id)
		return x->id < y->id ? -1 : 1;
	return x->since < y->since ? -1 : x->since > y->since;
}

/* The names of all features of a project, or of those of which none is told. */
static NameRow *
read_feature_names(FswReader *reader, const FswPair *environment, bool with_project,
				   NameRow *rows, int *n, int *max)
{
	FswScan    *scan = fsw_scan_names_in(reader, "feature", environment->source, with_project,
										 environment->project_id);

	while (fsw_scan_next(scan))
	{
		bool		isnull;
		NameRow		row;

		if (!fsw_scan_id(scan, NAME_id, &row.id))
			continue;
		row.since = fsw_scan_int64(scan, NAME_since, 0);
		row.name = DatumGetTextPCopy(fsw_scan_column(scan, NAME_name, &isnull));
		row.has_project = with_project;
		if (*n == *max)
		{
			*max *= 2;
			rows = repalloc_huge(rows, *max * sizeof(NameRow));
		}
		rows[(*n)++] = row;
	}
	return rows;
}

/*
 * The features of an environment's project, by the names that they had at an
 * instant, else first.
 */
int
fsw_resolve_features(FswReader *reader, const FswPair *environment, int64 at, FswFeature **features)
{
	int			max = 256;
	int			nrows = 0;
	int			n = 0;
	int			next;
	NameRow    *rows = palloc_array(NameRow, max);

	if (environment->has_project)
		rows = read_feature_names(reader, environment, true, rows, &nrows, &max);
	rows = read_feature_names(reader, environment, false, rows, &nrows, &max);
	qsort(rows, nrows, sizeof(NameRow), compare_name_rows);

	*features = palloc_array(FswFeature, Max(nrows, 1));
	for (int i = 0; i < nrows; i = next)
	{
		Thing		thing = {.source = environment->source, .id = rows[i].id};
		text	   *name = rows[i].name;

		for (next = i; next < nrows && rows[next].id == rows[i].id; next++)
			thing.has_project = thing.has_project || rows[next].has_project;
		thing.nperiods = next - i;
		thing.names = palloc_array(text *, thing.nperiods);
		for (int j = i; j < next; j++)
		{
			thing.names[j - i] = rows[j].name;
			if (rows[j].since <= at)
				name = rows[j].name;
		}
		if (!environment->has_project)
		{
			/* another row may say of which project it is */
			Thing		whole = {.source = environment->source, .id = rows[i].id};

			read_names(reader, "feature", &whole);
			thing.has_project = whole.has_project;
		}
		if (thing.has_project != environment->has_project)
			continue;
		hash_names(&thing);
		thing.feature.name = text_to_cstring(name);
		(*features)[n++] = thing.feature;
	}
	return n;
}

/* Is a better than b at an instant?  The youngest that was seen by then. */
static int
compare_sight(int64 a, int64 b, int64 at)
{
	if ((a <= at) != (b <= at))
		return a <= at ? 1 : -1;
	if (a == b)
		return 0;
	return (a > b) == (a <= at) ? 1 : -1;
}

/*
 * Which pairs the names mean at an instant, at most one for each project;
 * found has room for npairs.
 */
int
fsw_resolve_at(const FswPair *pairs, int npairs, int64 at, int *found)
{
	int			nfound = 0;

	for (int i = 0; i < npairs; i++)
	{
		const FswPair *pair = &pairs[i];
		int			j;

		if (pair->from > at || (pair->to <= at && pair->to != FSW_FOREVER))
			continue;
		for (j = 0; j < nfound; j++)
		{
			const FswPair *other = &pairs[found[j]];
			int			better;

			if (pair->has_project != other->has_project ||
				pair->project_id != other->project_id ||
				!fsw_same_text(pair->source, other->source))
				continue;
			better = compare_sight(pair->environment_sight, other->environment_sight, at);
			if (better == 0)
				better = (pair->environment_id > other->environment_id) -
					(pair->environment_id < other->environment_id);
			if (better == 0)
				better = compare_sight(pair->feature_sight, other->feature_sight, at);
			if (better == 0)
				better = (pair->feature.id > other->feature.id) -
					(pair->feature.id < other->feature.id);
			if (better > 0)
				found[j] = i;
			break;
		}
		if (j == nfound)
			found[nfound++] = i;
	}
	return nfound;
}
