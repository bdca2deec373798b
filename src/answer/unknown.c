/*-------------------------------------------------------------------------
 *
 * src/answer/unknown.c
 *	  Names and ids that mean nothing, or several things.
 *
 * What is not known must not look like an answer.  Doors that return rows
 * raise, and help those who may read flagsmith.name anyway with a name that
 * they may have meant.  Scalar functions stand in policies, whose callers may
 * be anybody: they return NULL, with a notice that gives nothing away, or do
 * as flagsmith_webhook.unknown_name says.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/varlena.h"

#include "src/answer/unknown.h"
#include "src/base/fsw.h"

/* How many names, and how many rows of flagsmith.name, a hint may cost. */
#define MAX_NEAR_NAMES	1000
#define MAX_NEAR_ROWS	10000

/* Longer names are not compared, and no more meanings than that are listed. */
#define MAX_NEAR_LENGTH	255
#define MAX_MEANINGS	5

/* The name that is nearest to the one asked for, so far. */
typedef struct Nearest
{
	const char *wanted;
	int			length;
	int			distance;		/* of the nearest, or one more than allowed */
	char	   *name;
	int			nnames;
	int			nrows;
} Nearest;

/* All pairs that the question ever meant. */
int
fsw_question_pairs(FswReader *reader, const FswQuestion *question, FswPair **pairs)
{
	text	   *source;

	if (question->environment != NULL)
		return fsw_resolve(reader, question->environment, question->feature, pairs);
	source = question->source != NULL ? unconstify(text *, question->source) : fsw_only_source(reader);
	*pairs = fsw_resolve_known_ids(reader, PointerGetDatum(source), question->environment_id,
								   question->has_feature ? &question->feature_id : NULL);
	return *pairs == NULL ? 0 : 1;
}

/* The environment of a question alone. */
static FswQuestion
environment_of(const FswQuestion *question)
{
	FswQuestion environment = *question;

	environment.feature = NULL;
	environment.has_feature = false;
	return environment;
}

/* Says which of the two is not known, and returns it as a message shows it. */
static const char *
find_unknown(FswReader *reader, const FswQuestion *question, const char **what, FswPair **environments,
			 int *nenvironments)
{
	FswQuestion alone = environment_of(question);
	bool		is_environment;

	*nenvironments = fsw_question_pairs(reader, &alone, environments);
	is_environment = *nenvironments == 0;
	*what = is_environment ? "environment" : "feature";
	if (question->environment != NULL)
		return psprintf("\"%s\"", text_to_cstring(is_environment ? question->environment : question->feature));
	return psprintf(INT64_FORMAT, is_environment ? question->environment_id : question->feature_id);
}

/* For scalar functions: as the setting says. */
void
fsw_tell_unknown(FswReader *reader, const FswQuestion *question)
{
	FswPair    *environments;
	int			nenvironments;
	const char *what;
	const char *name;

	if (fsw_unknown_name == FSW_UNKNOWN_NAME_IGNORE)
		return;
	name = find_unknown(reader, question, &what, &environments, &nenvironments);
	ereport(fsw_unknown_name == FSW_UNKNOWN_NAME_ERROR ? ERROR : NOTICE,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("%s %s is not known", what, name)));
}

/* May the caller read the names by himself? */
static bool
may_read_names(const FswReader *reader)
{
	return OidIsValid(reader->schema) &&
		pg_class_aclcheck(get_relname_relid("name", reader->schema), GetUserId(), ACL_SELECT) == ACLCHECK_OK;
}

static void
compare_name(Nearest *nearest, const char *name)
{
	int			length = strlen(name);
	int			distance;

	if (length > MAX_NEAR_LENGTH || nearest->distance == 0)
		return;
	if (pg_strcasecmp(name, nearest->wanted) == 0)
	{
		/* written in other letters, which no typing error explains better */
		nearest->distance = 0;
		nearest->name = pstrdup(name);
		return;
	}
	distance = varstr_levenshtein_less_equal(name, length, nearest->wanted, nearest->length, 1, 1, 1,
											 nearest->distance - 1, true);
	if (distance >= nearest->distance || distance > length / 2)
		return;
	nearest->distance = distance;
	nearest->name = pstrdup(name);
}

/* Compare the names of a kind in one project; of environments, with the project's. */
static void
compare_names_in(FswReader *reader, Nearest *nearest, const char *kind, Datum source, bool has_project,
				 int64 project_id, const char *project)
{
	FswScan    *scan = fsw_scan_names_in(reader, kind, source, has_project, project_id);
	char	   *last = NULL;

	fsw_scan_begin(scan, ForwardScanDirection);
	while (nearest->nnames < MAX_NEAR_NAMES && nearest->nrows < MAX_NEAR_ROWS && fsw_scan_next(scan))
	{
		char	   *name = fsw_scan_cstring(scan, NAME_name);

		nearest->nrows++;
		if (name == NULL || (last != NULL && strcmp(name, last) == 0))
			continue;
		last = name;
		nearest->nnames++;
		compare_name(nearest, name);
		if (project != NULL)
			compare_name(nearest, psprintf("%s/%s", project, name));
	}
}

/* Compare the environments of all projects that have names. */
static void
compare_environments(FswReader *reader, Nearest *nearest)
{
	int64		project_id = 0;
	bool		more = false;

	while (nearest->nnames < MAX_NEAR_NAMES && nearest->nrows++ < MAX_NEAR_ROWS)
	{
		FswScan    *scan = fsw_scan_of(reader, FSW_INDEX_NAME_PROJECT);
		FswNames	names;
		Datum		source;
		char		id[32];
		const text *project;

		/* from one project to the next, whatever is named there first */
		if (more)
			fsw_scan_key(scan, BTGreaterStrategyNumber, Int64GetDatum(project_id));
		else
			fsw_scan_key_null(scan, false);
		fsw_scan_begin(scan, ForwardScanDirection);
		if (!fsw_scan_next(scan) || fsw_scan_is_null(scan, NAME_project_id))
			break;
		project_id = fsw_scan_int64(scan, NAME_project_id, 0);
		source = PointerGetDatum(DatumGetTextPCopy(PointerGetDatum(fsw_scan_text(scan, NAME_source))));
		snprintf(id, sizeof(id), INT64_FORMAT, project_id);
		fsw_names_read(reader, source, "project", id, &names);
		project = fsw_names_at(&names, DT_NOEND);
		compare_names_in(reader, nearest, "environment", source, true, project_id,
						 project == NULL ? NULL : text_to_cstring(project));
		more = true;
	}
}

/* The name that may have been meant; NULL if none is near, or the caller may not know. */
static char *
find_nearest(FswReader *reader, const FswQuestion *question, const FswPair *environments, int nenvironments)
{
	Nearest		nearest = {0};
	const text *wanted = nenvironments == 0 ? question->environment : question->feature;

	nearest.wanted = text_to_cstring(wanted);
	nearest.length = strlen(nearest.wanted);
	if (nearest.length == 0 || nearest.length > MAX_NEAR_LENGTH)
		return NULL;
	nearest.distance = nearest.length / 2 + 1;
	if (nenvironments == 0)
		compare_environments(reader, &nearest);
	for (int i = 0; i < nenvironments; i++)
		compare_names_in(reader, &nearest, "feature", environments[i].source, environments[i].has_project,
						 environments[i].project_id, NULL);
	return nearest.name;
}

/* For doors that return rows. */
void
fsw_raise_unknown(FswReader *reader, const FswQuestion *question)
{
	FswPair    *environments;
	int			nenvironments;
	const char *what;
	const char *name = find_unknown(reader, question, &what, &environments, &nenvironments);
	bool		by_name = question->environment != NULL;
	bool		readable = may_read_names(reader);
	char	   *nearest = by_name && readable ?
		find_nearest(reader, question, environments, nenvironments) : NULL;

	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("%s %s is not known", what, name),
			 nearest != NULL ? errhint("Perhaps you meant \"%s\".", nearest) :
			 !readable ? 0 :
			 by_name ? errhint("The names that have been seen are in flagsmith.name; they are compared case-sensitively.") :
			 errhint("The ids that have been seen are in flagsmith.name.")));
}

/*
 * NULL in place of a name or an id, which a door that returns rows is given
 * where the caller's own variable or column has none.
 */
void
fsw_raise_null(const char *what)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("%s NULL is not known", what)));
}

/* One of several meanings, as it would be written so that no other is meant. */
static char *
meaning_of(FswReader *reader, const FswPair *pair, int64 at)
{
	char		id[32];
	FswNames	names;
	const text *project = NULL;
	const text *environment;

	snprintf(id, sizeof(id), INT64_FORMAT, pair->project_id);
	if (pair->has_project)
	{
		fsw_names_read(reader, pair->source, "project", id, &names);
		project = fsw_names_at(&names, at);
	}
	snprintf(id, sizeof(id), INT64_FORMAT, pair->environment_id);
	fsw_names_read(reader, pair->source, "environment", id, &names);
	environment = fsw_names_at(&names, at);
	return psprintf("\"%s/%s/%s\" (environment " INT64_FORMAT ")", TextDatumGetCString(pair->source),
					project == NULL ? "?" : text_to_cstring(project),
					environment == NULL ? "?" : text_to_cstring(environment), pair->environment_id);
}

void
fsw_raise_ambiguous(FswReader *reader, const FswQuestion *question, const FswPair *pairs,
					const int *found, int nfound, int64 at)
{
	StringInfoData meanings;

	initStringInfo(&meanings);
	for (int i = 0; i < nfound && i < MAX_MEANINGS && may_read_names(reader); i++)
		appendStringInfo(&meanings, "%s%s", i > 0 ? ", " : "", meaning_of(reader, &pairs[found[i]], at));
	if (nfound > MAX_MEANINGS && meanings.len > 0)
		appendStringInfoString(&meanings, ", ...");
	ereport(ERROR,
			(errcode(ERRCODE_AMBIGUOUS_PARAMETER),
			 errmsg("environment \"%s\" is ambiguous", text_to_cstring(question->environment)),
			 meanings.len > 0 ? errhint("It could mean %s.  Write the longer name, or give ids.", meanings.data) :
			 errhint("Write \"project/environment\" or \"source/project/environment\", or give ids.")));
}
