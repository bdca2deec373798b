/*-------------------------------------------------------------------------
 *
 * src/read/environment.c
 *	  What is the same for all flags of an environment.
 *
 * When it came and went, whether it was made as a copy, the latest news of its
 * project, and which other environments that has.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "src/base/fsw.h"
#include "src/decode/row.h"
#include "src/read/read.h"

/* Deletions of the flags of one environment are told within this time. */
#define DELETION_SPREAD INT64CONST(5000000)
#define ENVIRONMENT_SPREAD INT64CONST(60000000)

/* In place of the id of a user: any author, and an API key. */
#define ANYONE PG_INT64_MIN
#define NO_USER INT64CONST(-1)

/* "Environment updated" so soon after its creation is that of a clone. */
#define CLONE_SPREAD INT64CONST(1000000)

/*
 * Was the environment made as a copy?  Its creation shows that it is still
 * being made; releases before 2.151 do not say so, but update it at once.
 */
static bool
is_clone(FswReader *reader, const FswEnvironment *environment)
{
	int			creating = fsw_entry_setting(reader, &environment->creation, "environment", "is_creating");
	FswScan    *scan;

	if (creating >= 0 || environment->created_at == FSW_NEVER)
		return creating > 0;
	scan = fsw_scan_of(reader, FSW_INDEX_AUDIT_PROJECT);
	fsw_scan_equal(scan, environment->source);
	fsw_scan_equal(scan, Int64GetDatum(environment->project_id));
	fsw_scan_key(scan, BTGreaterEqualStrategyNumber, TimestampTzGetDatum(environment->created_at));
	fsw_scan_key(scan, BTLessEqualStrategyNumber,
				 TimestampTzGetDatum(fsw_after(environment->created_at, CLONE_SPREAD)));
	fsw_scan_begin(scan, ForwardScanDirection);
	while (fsw_scan_next(scan))
	{
		if (fsw_is_known(scan, AUDIT_stored_at, environment) &&
			fsw_scan_int64(scan, AUDIT_environment_id, -1) == environment->environment_id &&
			fsw_scan_is(scan, AUDIT_object, "environment") && fsw_scan_is(scan, AUDIT_action, "updated"))
			return true;
	}
	return false;
}

FswEnvironment *
fsw_environment(const FswPair *pair, TimestampTz known_at)
{
	FswEnvironment *environment = palloc0_object(FswEnvironment);

	environment->source = pair->source;
	environment->source_hash =
		DatumGetInt64(hash_any_extended((unsigned char *) VARDATA_ANY(DatumGetPointer(pair->source)),
										VARSIZE_ANY_EXHDR(DatumGetPointer(pair->source)), 0));
	environment->environment_id = pair->environment_id;
	environment->has_project = pair->has_project;
	environment->project_id = pair->project_id;
	environment->heard_from = pair->environment_existed;
	environment->known_at = known_at;
	return environment;
}

/* The latest audit entry of a project, of those that were stored by an instant; FSW_NEVER if there is none. */
int64
fsw_latest_entry(FswReader *reader, Datum source, int64 project_id, TimestampTz known_at)
{
	FswScan    *scan = fsw_scan_of(reader, FSW_INDEX_AUDIT_PROJECT);

	fsw_scan_equal(scan, source);
	fsw_scan_equal(scan, Int64GetDatum(project_id));
	fsw_scan_begin(scan, BackwardScanDirection);
	while (fsw_scan_next(scan))
	{
		if (known_at == DT_NOEND || fsw_scan_int64(scan, AUDIT_stored_at, DT_NOEND) <= known_at)
			return fsw_scan_int64(scan, AUDIT_created_date, FSW_NEVER);
	}
	return FSW_NEVER;
}

/* When the environment was made, as the first entry about that tells. */
static void
read_birth(FswReader *reader, FswEnvironment *environment)
{
	FswScan    *scan = fsw_scan_of(reader, FSW_INDEX_EFFECT_ENVIRONMENT);

	fsw_scan_equal(scan, environment->source);
	fsw_scan_equal(scan, Int64GetDatum(environment->environment_id));
	fsw_scan_equal(scan, CStringGetTextDatum("environment_created"));
	fsw_scan_begin(scan, ForwardScanDirection);
	while (environment->created_at == FSW_NEVER && fsw_scan_next(scan))
	{
		if (!fsw_is_known(scan, EFFECT_stored_at, environment))
			continue;
		environment->created_at = fsw_scan_int64(scan, EFFECT_occurred_at, FSW_NEVER);
		environment->creation = fsw_entry_of(scan);
	}
	environment->clone = is_clone(reader, environment);
}

/*
 * The next thing of a kind in the project, by its id as text, and where it was
 * sighted; NULL behind the last.  By leaps, since a thing is seen each hour.
 */
static char *
next_thing(FswReader *reader, const FswEnvironment *environment, const char *kind, const char *last, FswScan **scan)
{
	*scan = fsw_scan_names_in(reader, kind, environment->source, true, environment->project_id);
	if (last != NULL)
		fsw_scan_key(*scan, BTGreaterStrategyNumber, CStringGetTextDatum(last));
	fsw_scan_begin(*scan, ForwardScanDirection);
	return fsw_scan_next(*scan) ? fsw_scan_cstring(*scan, NAME_id) : NULL;
}

/* The environments of the project, which few questions are about. */
void
fsw_environment_siblings(FswReader *reader, FswEnvironment *environment)
{
	FswScan    *scan;
	char	   *last = NULL;
	int			max = 16;

	if (environment->siblings != NULL || !environment->has_project)
		return;
	/* the facts live as long as the environment */
	environment->siblings = MemoryContextAlloc(GetMemoryChunkContext(environment), max * sizeof(int64));
	while ((last = next_thing(reader, environment, "environment", last, &scan)) != NULL)
	{
		int64		id;

		if (!fsw_scan_id(scan, NAME_id, &id))
			continue;
		if (environment->nsiblings == max)
		{
			max *= 2;
			environment->siblings = repalloc_array(environment->siblings, int64, max);
		}
		environment->siblings[environment->nsiblings++] = id;
	}
}

/*
 * What was read of the environment, or of any one of its project, for another
 * call; NULL if nothing is kept of it.
 */
static const FswEnvironmentFacts *
find_facts(const FswReader *reader, const FswEnvironment *environment, bool of_project)
{
	for (int i = 0; i < Min(reader->nfacts, FSW_FACTS_KEPT); i++)
	{
		const FswEnvironmentFacts *facts = &reader->facts[i];

		if ((of_project || facts->environment_id == environment->environment_id) &&
			facts->source_hash == environment->source_hash && facts->project_id == environment->project_id &&
			facts->known_at == environment->known_at)
			return facts;
	}
	return NULL;
}

static void
keep_facts(FswReader *reader, const FswEnvironment *environment)
{
	reader->facts[reader->nfacts++ % FSW_FACTS_KEPT] = (FswEnvironmentFacts)
	{
		.source_hash = environment->source_hash,
			.environment_id = environment->environment_id,
			.project_id = environment->project_id,
			.known_at = environment->known_at,
			.latest_audit_at = environment->latest_audit_at,
			.created_at = environment->created_at,
			.creation = environment->creation,
			.clone = environment->clone
	};
}

/* Read what is the same for all flags of an environment. */
void
fsw_environment_facts(FswReader *reader, FswEnvironment *environment)
{
	const FswEnvironmentFacts *facts;

	if (environment->has_facts)
		return;
	environment->has_facts = true;
	environment->latest_audit_at = FSW_NEVER;
	environment->created_at = FSW_NEVER;
	if (!environment->has_project)
		return;
	facts = find_facts(reader, environment, false);
	if (facts != NULL)
	{
		environment->latest_audit_at = facts->latest_audit_at;
		environment->created_at = facts->created_at;
		environment->creation = facts->creation;
		environment->clone = facts->clone;
		return;
	}
	facts = find_facts(reader, environment, true);
	environment->latest_audit_at = facts != NULL ? facts->latest_audit_at :
		fsw_latest_entry(reader, environment->source, environment->project_id, environment->known_at);
	read_birth(reader, environment);
	keep_facts(reader, environment);
}

/* The id of the user who wrote an entry; NO_USER for an API key. */
static int64
author_of(FswReader *reader, FswScan *effect)
{
	FswScan    *scan = fsw_scan_row(reader, FSW_INDEX_AUDIT, fsw_scan_int64(effect, EFFECT_delivery, 0),
									fsw_scan_int32(effect, EFFECT_ordinal));

	return scan == NULL ? NO_USER : fsw_scan_int64(scan, AUDIT_author_id, NO_USER);
}

/* The deletion of a feature, or of its state in an environment, up to an instant, by an author. */
static int64
find_deletion(FswReader *reader, const FswEnvironment *environment, int64 name, bool of_project,
			  int64 from, int64 to, int64 author)
{
	FswScan    *scan = fsw_scan_of(reader, FSW_INDEX_EFFECT_LIFE);

	fsw_scan_equal(scan, Int64GetDatum(name));
	fsw_scan_equal(scan, Int64GetDatum(environment->source_hash));
	fsw_scan_equal(scan, CStringGetTextDatum("feature_deleted"));
	if (of_project)
		fsw_scan_key_null(scan, true);
	else
		fsw_scan_equal(scan, Int64GetDatum(environment->environment_id));
	if (from != FSW_NEVER)
		fsw_scan_key(scan, BTGreaterEqualStrategyNumber, TimestampTzGetDatum(from));
	if (to != FSW_FOREVER)
		fsw_scan_key(scan, BTLessEqualStrategyNumber, TimestampTzGetDatum(to));
	fsw_scan_begin(scan, BackwardScanDirection);
	while (fsw_scan_next(scan))
	{
		if (fsw_scan_int64(scan, EFFECT_project_id, -1) == environment->project_id &&
			fsw_is_known(scan, EFFECT_stored_at, environment) &&
			(author == ANYONE || author_of(reader, scan) == author))
			return fsw_scan_int64(scan, EFFECT_occurred_at, FSW_FOREVER);
	}
	return FSW_FOREVER;
}

/*
 * What the end of the environment, at about an instant, is for one feature: the
 * instant of its entry; FSW_NEVER if it was not there; FSW_FOREVER if nothing
 * says that it ended.
 */
static int64
find_end(FswReader *reader, const FswEnvironment *environment, const char *id, int64 at, int64 author)
{
	FswNames	names;
	int64		ended = FSW_FOREVER;

	fsw_names_read(reader, environment->source, "feature", id, &names);
	if (names.n == 0 || names.from[0] > at)
		return FSW_NEVER;
	for (int i = 0; i < names.n; i++)
	{
		int64		name = fsw_hash("feature:", VARDATA_ANY(names.names[i]), VARSIZE_ANY_EXHDR(names.names[i]));

		if (find_deletion(reader, environment, name, true, names.from[0], at, ANYONE) != FSW_FOREVER ||
			find_deletion(reader, environment, name, true, at, fsw_after(at, DELETION_SPREAD), author) != FSW_FOREVER)
			return FSW_NEVER;
		ended = Min(ended, find_deletion(reader, environment, name, false,
										 fsw_after(at, -ENVIRONMENT_SPREAD), at, ANYONE));
	}
	return ended;
}

/*
 * When the states that were deleted last in the environment were, and by whom,
 * if one of them was not deleted with its feature, which is one act of one
 * author; FSW_NEVER else.
 */
static int64
last_ended(FswReader *reader, const FswEnvironment *environment, int64 *author)
{
	FswScan    *scan = fsw_scan_of(reader, FSW_INDEX_EFFECT_ENVIRONMENT);
	int64		last = FSW_NEVER;

	fsw_scan_equal(scan, environment->source);
	fsw_scan_equal(scan, Int64GetDatum(environment->environment_id));
	fsw_scan_equal(scan, CStringGetTextDatum("feature_deleted"));
	fsw_scan_begin(scan, BackwardScanDirection);
	while (fsw_scan_next(scan))
	{
		int64		at = fsw_scan_int64(scan, EFFECT_occurred_at, FSW_NEVER);

		CHECK_FOR_INTERRUPTS();
		if (!fsw_is_known(scan, EFFECT_stored_at, environment))
			continue;
		if (last != FSW_NEVER && at != last)
			break;
		last = at;
		*author = author_of(reader, scan);
		if (find_deletion(reader, environment, fsw_scan_int64(scan, EFFECT_feature_hash, 0), true,
						  fsw_after(at, -DELETION_SPREAD), fsw_after(at, DELETION_SPREAD), *author) == FSW_FOREVER)
			return at;
	}
	return FSW_NEVER;
}

/*
 * When the environment was deleted, FSW_FOREVER if it was not.  No entry says
 * so, but each flag that lived in it has one, as if its state had been deleted,
 * and none about the feature itself.  Of many flags, some are enough.
 */
int64
fsw_environment_end(FswReader *reader, FswEnvironment *environment)
{
	FswScan    *scan;
	int64		at;
	int64		author;
	int64		deleted_at = FSW_FOREVER;
	char	   *last = NULL;

	if (environment->has_end)
		return environment->deleted_at;
	environment->has_end = true;
	environment->deleted_at = FSW_FOREVER;
	if (!environment->has_project)
		return FSW_FOREVER;

	at = last_ended(reader, environment, &author);
	if (at == FSW_NEVER)
		return FSW_FOREVER;

	for (int n = 0; n < FSW_WINDOW && (last = next_thing(reader, environment, "feature", last, &scan)) != NULL;)
	{
		int64		ended = find_end(reader, environment, last, at, author);

		if (ended == FSW_FOREVER)
			return FSW_FOREVER;
		if (ended == FSW_NEVER)
			continue;
		deleted_at = Min(deleted_at, ended);
		n++;
	}
	environment->deleted_at = deleted_at;
	return deleted_at;
}
