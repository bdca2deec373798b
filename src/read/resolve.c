/*-------------------------------------------------------------------------
 *
 * src/read/resolve.c
 *	  Which environment and which feature a pair of names means.
 *
 * An environment is named by its name, by project/environment, or by
 * source/project/environment, compared as they stand, since every name may
 * contain "/".  At an instant, a name means what bore it then; if nothing did,
 * what bore it next; if nothing later did, what bore it last.  Of several that
 * bore it then, the one that took it last: flags and environments are deleted,
 * and others are made or called so.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/builtins.h"

#include "src/base/array.h"
#include "src/base/fsw.h"
#include "src/decode/row.h"
#include "src/read/read.h"

/* Something that has names: an environment, a feature or a project. */
typedef struct Thing
{
	Datum		source;			/* text */
	int64		id;
	FswNames	names;
	FswFeature	feature;		/* if it is one */
} Thing;

/* When a thing bore its name with this index. */
static FswSpan
span_of(const Thing *thing, int i)
{
	FswSpan		span = {thing->names.from[i], FSW_FOREVER};

	if (i + 1 < thing->names.n)
		span.to = thing->names.from[i + 1];
	return span;
}

static void
read_names(FswReader *reader, const char *kind, Thing *thing)
{
	char		id[32];

	snprintf(id, sizeof(id), INT64_FORMAT, thing->id);
	fsw_names_read(reader, thing->source, kind, id, &thing->names);
}

/* The hashes of a feature's names, as audit effects have them. */
static void
hash_names(Thing *thing)
{
	FswFeature *feature = &thing->feature;

	feature->id = thing->id;
	feature->names = palloc_array(int64, Max(thing->names.n, 1));
	for (int i = 0; i < thing->names.n; i++)
	{
		const text *name = thing->names.names[i];
		int64		hash = fsw_hash("feature:", VARDATA_ANY(name), VARSIZE_ANY_EXHDR(name));
		bool		found = false;

		CHECK_FOR_INTERRUPTS();
		for (int j = 0; j < feature->nnames && !found; j++)
			found = feature->names[j] == hash;
		if (!found)
			feature->names[feature->nnames++] = hash;
	}
}

/* Rows of one thing that are passed over before it is faster to search on. */
#define ROWS_PASSED 8

/* Add what a row is of, unless it is of another kind or name. */
static void
add_thing(FswScan *scan, const char *kind, const char *name, Thing **things, int *n, int *max)
{
	text	   *source = fsw_scan_text(scan, NAME_source);
	Thing	   *thing;

	*things = fsw_grow(*things, *n, max, sizeof(Thing));
	thing = &(*things)[*n];
	memset(thing, 0, sizeof(Thing));
	if (source == NULL || !fsw_scan_id(scan, NAME_id, &thing->id) ||
		!fsw_scan_is(scan, NAME_kind, kind) || !fsw_scan_is(scan, NAME_name, name))
		return;
	thing->source = PointerGetDatum(DatumGetTextPCopy(PointerGetDatum(source)));
	(*n)++;
}

/*
 * Everything of a kind that was ever called so.  The rows of one thing follow
 * each other; where they are many, the search leaps to the next thing.
 */
static int
find_things(FswReader *reader, const char *kind, const char *name, int length, Thing **things)
{
	char	   *wanted = pnstrdup(name, length);
	int			max = 4;
	int			n = 0;
	int			passed = 0;
	FswScan    *scan = fsw_scan_name(reader, kind, name, length);

	*things = palloc_array(Thing, max);
	while (fsw_scan_next(scan))
	{
		const Thing *last = n > 0 ? &(*things)[n - 1] : NULL;
		char		id[32];

		if (last == NULL || !fsw_scan_same_text(scan, NAME_source, last->source))
			passed = 0;
		else
		{
			snprintf(id, sizeof(id), INT64_FORMAT, last->id);
			passed = fsw_scan_is(scan, NAME_id, id) ? passed + 1 : 0;
		}
		if (passed == 0)
			add_thing(scan, kind, wanted, things, &n, &max);
		else if (passed == ROWS_PASSED)
		{
			scan = fsw_scan_of(reader, FSW_INDEX_NAME_HASH);
			fsw_scan_equal(scan, Int64GetDatum(fsw_name_hash(kind, name, length)));
			fsw_scan_key(scan, BTGreaterStrategyNumber, Int64GetDatum(fsw_thing_hash(last->source, kind, id)));
			fsw_scan_begin(scan, ForwardScanDirection);
		}
	}
	for (int i = 0; i < n; i++)
		read_names(reader, kind, &(*things)[i]);
	return n;
}

/* Can the two be in one project? */
static bool
in_one_project(const Thing *a, const Thing *b)
{
	return a->names.has_project == b->names.has_project &&
		a->names.project_id == b->names.project_id && fsw_same_text(a->source, b->source);
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

static void
add_pair(PairList *list, const FswPair *pair)
{
	FSW_PUSH(list->pairs, list->n, list->max) = *pair;
}

/* An environment that bore its name, with each feature that bore the other. */
static void
add_pairs(PairList *list, FswPair pair, const Thing *environment, const text *name,
		  const Thing *features, int nfeatures)
{
	pair.source = environment->source;
	pair.has_project = environment->names.has_project;
	pair.project_id = environment->names.project_id;
	pair.environment_id = environment->id;
	pair.environment_existed = environment->names.from[0];
	pair.environment_seen = environment->names.seen_from;
	pair.evidence.from = Min(pair.evidence.from, environment->names.from[0]);
	pair.evidence.to = Max(pair.evidence.to, environment->names.seen_last);
	if (name == NULL)
	{
		pair.feature_named.to = FSW_FOREVER;
		pair.feature_named.from = pair.feature_existed = FSW_NEVER;
		add_pair(list, &pair);
	}
	for (int i = 0; i < nfeatures; i++)
	{
		const Thing *feature = &features[i];
		FswPair		both = pair;

		CHECK_FOR_INTERRUPTS();
		if (!in_one_project(feature, environment))
			continue;
		both.feature = feature->feature;
		both.feature_existed = feature->names.from[0];
		both.evidence.from = Min(both.evidence.from, feature->names.from[0]);
		for (int j = 0; j < feature->names.n; j++)
		{
			if (!fsw_same_text(PointerGetDatum(feature->names.names[j]), PointerGetDatum(name)))
				continue;
			both.feature_named = span_of(feature, j);
			add_pair(list, &both);
		}
	}
}

/* The pairs of one environment whose own name is the path's last part. */
static void
add_environment(PairList *list, FswReader *reader, const Thing *environment, const text *path,
				int tail, const text *name, const Thing *features, int nfeatures)
{
	Thing		project = {0};
	FswPair		pair = {0};

	if (environment->names.has_project)
	{
		project.source = environment->source;
		project.id = environment->names.project_id;
		read_names(reader, "project", &project);
	}
	pair.evidence.from = project.names.n > 0 ? project.names.from[0] : FSW_FOREVER;
	pair.evidence.to = project.names.n > 0 ? project.names.seen_last : FSW_NEVER;
	for (int j = 0; j < environment->names.n; j++)
	{
		const text *parts[3] = {(text *) DatumGetPointer(environment->source), NULL, environment->names.names[j]};

		if ((int) VARSIZE_ANY_EXHDR(parts[2]) != (int) VARSIZE_ANY_EXHDR(path) - tail)
			continue;
		pair.environment_named = span_of(environment, j);
		if (tail == 0)
		{
			pair.project_named.from = FSW_NEVER;
			pair.project_named.to = FSW_FOREVER;
			if (is_path(path, parts + 2, 1))
				add_pairs(list, pair, environment, name, features, nfeatures);
			continue;
		}
		for (int k = 0; k < project.names.n; k++)
		{
			parts[1] = project.names.names[k];
			pair.project_named = span_of(&project, k);
			if (is_path(path, parts + 1, 2) || is_path(path, parts, 3))
				add_pairs(list, pair, environment, name, features, nfeatures);
		}
	}
}

/*
 * When the projects' evidence ends: with the hour of the last sighting, as these are told
 * apart by hours.  Where several projects bore the names, that is too little to know
 * whether one ended before another began, and its entries say more.
 */
static void
end_evidence(FswReader *reader, PairList *list)
{
	bool		several = false;

	for (int i = 1; i < list->n && !several; i++)
		several = list->pairs[i].project_id != list->pairs[0].project_id;
	for (int i = 0; i < list->n; i++)
	{
		FswPair    *pair = &list->pairs[i];
		int64		last = pair->evidence.to;
		int64		entry = several && pair->has_project ?
			fsw_latest_entry(reader, pair->source, pair->project_id, reader->known_at) : FSW_NEVER;

		CHECK_FOR_INTERRUPTS();
		pair->evidence.to = fsw_unseen_from(last);
		if (entry != FSW_NEVER)
			pair->evidence.to = Min(pair->evidence.to, fsw_after(Max(entry, last), 1));
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

	*pairs = NULL;
	if (feature != NULL)
	{
		nfeatures = find_things(reader, "feature", VARDATA_ANY(feature), VARSIZE_ANY_EXHDR(feature),
								&features);
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
		n = find_things(reader, "environment", name + tail, length - tail, &environments);
		for (int i = 0; i < n; i++)
		{
			bool		wanted = feature == NULL;

			for (int j = 0; j < nfeatures && !wanted; j++)
				wanted = in_one_project(&features[j], &environments[i]);
			if (wanted)
				add_environment(&list, reader, &environments[i], environment, tail, feature,
								features, nfeatures);
		}
	}
	end_evidence(reader, &list);
	*pairs = list.pairs;
	return list.n;
}

/* Is that another source than the one found before?  Remembers the first. */
static bool
is_second_source(text **only, text *source)
{
	if (source == NULL)
		return false;
	if (*only == NULL)
	{
		*only = DatumGetTextPCopy(PointerGetDatum(source));
		return false;
	}
	return !fsw_same_text(PointerGetDatum(*only), PointerGetDatum(source));
}

/*
 * The source of all that there is: of the webhooks, and of entries that were
 * imported.  Raises an error where there are several; empty if there is none.
 */
text *
fsw_only_source(FswReader *reader)
{
	text	   *only = NULL;
	bool		several = false;
	FswScan    *scan = fsw_scan_of(reader, FSW_INDEX_WEBHOOK);

	fsw_scan_begin(scan, ForwardScanDirection);
	while (!several && fsw_scan_next(scan))
		several = is_second_source(&only, fsw_scan_text(scan, WEBHOOK_source));
	for (int end = 0; end < 2 && !several; end++)
	{
		/* the first and the last in the order of sources */
		scan = fsw_scan_of(reader, FSW_INDEX_AUDIT_PROJECT);
		fsw_scan_begin(scan, end == 0 ? ForwardScanDirection : BackwardScanDirection);
		if (fsw_scan_next(scan))
			several = is_second_source(&only, fsw_scan_text(scan, AUDIT_source));
	}
	if (several)
		ereport(ERROR,
				(errcode(ERRCODE_AMBIGUOUS_PARAMETER),
				 errmsg("there are several sources"),
				 errhint("Say of which one the ids are, with source => '...'.")));
	return only != NULL ? only : cstring_to_text("");
}

/* An environment for all time; the feature of the pair is to be set. */
static FswPair *
pair_of(const Thing *environment)
{
	FswPair    *pair = palloc0_object(FswPair);
	FswSpan		always = {FSW_NEVER, FSW_FOREVER};

	pair->source = environment->source;
	pair->has_project = environment->names.has_project;
	pair->project_id = environment->names.project_id;
	pair->environment_id = environment->id;
	pair->environment_existed = environment->names.n == 0 ? FSW_FOREVER : environment->names.from[0];
	pair->project_named = pair->environment_named = pair->feature_named = pair->evidence = always;
	return pair;
}

/*
 * The pair of an environment and a feature, or an environment alone, by ids;
 * NULL where either was never heard of, or they are of two projects.
 */
FswPair *
fsw_resolve_known_ids(FswReader *reader, Datum source, int64 environment_id, const int64 *feature_id)
{
	Thing		environment = {.source = source,.id = environment_id};
	Thing		feature = {.source = source};
	FswPair    *pair;

	read_names(reader, "environment", &environment);
	if (environment.names.n == 0)
		return NULL;
	if (feature_id != NULL)
	{
		feature.id = *feature_id;
		read_names(reader, "feature", &feature);
		if (feature.names.n == 0 || !in_one_project(&feature, &environment))
			return NULL;
	}
	hash_names(&feature);
	pair = pair_of(&environment);
	pair->feature = feature.feature;
	return pair;
}

/* An environment by its id, for all time; the feature of the pair is to be set. */
FswPair *
fsw_resolve_environment(FswReader *reader, Datum source, int64 environment_id)
{
	Thing		environment = {.source = source,.id = environment_id};

	read_names(reader, "environment", &environment);
	return pair_of(&environment);
}

/* A feature by its id, with all names that it ever had. */
FswFeature
fsw_resolve_feature(FswReader *reader, Datum source, int64 feature_id)
{
	Thing		feature = {.source = source,.id = feature_id};

	read_names(reader, "feature", &feature);
	hash_names(&feature);
	return feature.feature;
}

/* A feature and one of its names, as a sighting of its project tells. */
typedef struct FeatureName
{
	int64		id;
	text	   *name;
} FeatureName;

/* After so many sightings of one feature it is asked whether any has another name. */
#define SIGHTINGS_READ	64

static int
compare_features(const void *a, const void *b)
{
	const FeatureName *x = a;
	const FeatureName *y = b;

	CHECK_FOR_INTERRUPTS();
	return x->id < y->id ? -1 : x->id > y->id;
}

/* Begin to search the features of an environment's project, behind one of them by its id as text unless that is NULL. */
static FswScan *
scan_features(FswReader *reader, const FswPair *environment, const char *last)
{
	FswScan    *scan = fsw_scan_names_in(reader, "feature", environment->source, environment->has_project,
										 environment->project_id);

	if (last != NULL)
		fsw_scan_key(scan, BTGreaterStrategyNumber, CStringGetTextDatum(last));
	fsw_scan_begin(scan, ForwardScanDirection);
	return scan;
}

/*
 * The features of a project, or those of which none is told, each once for
 * each row that gives it another name than the row before.  The rows of one
 * feature follow each other, one for each hour in which it was seen: of one
 * that was never renamed, the search leaps over most of them.
 */
static FeatureName *
find_features(FswReader *reader, const FswPair *environment, int *n)
{
	FswScan    *scan = scan_features(reader, environment, NULL);
	int			max = 256;
	int			nrows = 0;		/* of the feature seen last */
	FeatureName *found = palloc_array(FeatureName, max);

	*n = 0;
	while (fsw_scan_next(scan))
	{
		FeatureName *last = *n > 0 ? &found[*n - 1] : NULL;
		text	   *name = fsw_scan_text(scan, NAME_name);
		int64		id;

		if (name == NULL || !fsw_scan_id(scan, NAME_id, &id))
			continue;
		nrows = last != NULL && last->id == id ? nrows + 1 : 1;
		if (nrows == SIGHTINGS_READ)
		{
			char	   *last_id = fsw_scan_cstring(scan, NAME_id);

			if (fsw_has_one_name(reader, environment->source, "feature", last_id))
			{
				scan = scan_features(reader, environment, last_id);
				continue;
			}
		}
		if (nrows > 1 && fsw_same_text(PointerGetDatum(last->name), PointerGetDatum(name)))
			continue;
		found = fsw_grow(found, *n, &max, sizeof(FeatureName));
		found[*n].id = id;
		found[(*n)++].name = DatumGetTextPCopy(PointerGetDatum(name));
	}
	qsort(found, *n, sizeof(FeatureName), compare_features);
	return found;
}

/*
 * The features of an environment's project, by the names that they had at an
 * instant, else first.  Features are not renamed and do not move, so what the
 * project's own sightings tell is mostly all there is.
 */
int
fsw_resolve_features(FswReader *reader, const FswPair *environment, int64 at, FswFeature **features)
{
	int			nfound;
	FeatureName *found = find_features(reader, environment, &nfound);
	int			n = 0;
	int			next;

	*features = palloc_array(FswFeature, Max(nfound, 1));
	for (int i = 0; i < nfound; i = next)
	{
		Thing		thing = {.source = environment->source,.id = found[i].id};
		bool		renamed = false;

		CHECK_FOR_INTERRUPTS();
		for (next = i + 1; next < nfound && found[next].id == found[i].id; next++)
			renamed = renamed || !fsw_same_text(PointerGetDatum(found[next].name), PointerGetDatum(found[i].name));
		thing.names.n = 1;
		thing.names.names = &found[i].name;
		if (renamed || !environment->has_project)
		{
			/* another row may say of which project it is */
			read_names(reader, "feature", &thing);
			if (thing.names.has_project != environment->has_project ||
				thing.names.project_id != environment->project_id)
				continue;
		}
		hash_names(&thing);
		thing.feature.name = text_to_cstring(thing.names.n == 1 ? thing.names.names[0] :
											 fsw_names_at(&thing.names, at));
		(*features)[n++] = thing.feature;
	}
	return n;
}
