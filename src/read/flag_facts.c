/*-------------------------------------------------------------------------
 *
 * src/read/flag_facts.c
 *	  When a flag existed, and how its states are told at all.
 *
 * Before any state is read: when the feature came and went, whether the flag is
 * published in versions, and what a state is that was made without an event.
 * environment.c has what is the same for all flags of an environment.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"

#include "src/base/array.h"
#include "src/base/fsw.h"
#include "src/decode/row.h"
#include "src/read/read.h"

/* A flag is named in an entry up to this long before or after it existed. */
#define LIFE_SPREAD INT64CONST(1000000)

/* Was the row stored by the instant that the question is about? */
bool
fsw_is_known(FswScan *scan, int column, const FswEnvironment *environment)
{
	return environment->known_at == DT_NOEND ||
		fsw_scan_int64(scan, column, DT_NOEND) <= environment->known_at;
}

/*
 * The earliest arrival of a delivery, over all webhooks that brought it; and
 * of those repeats alone that tell its type, which one does that was
 * understood then.
 */
int64
fsw_first_arrivals(FswReader *reader, int64 delivery, int64 received_at, const char *event_type, int64 *understood)
{
	FswScan    *scan;
	int64		first = received_at;

	*understood = received_at;
	if (fsw_index_is_empty(reader, FSW_INDEX_REPEAT))
		return first;
	scan = fsw_scan_of(reader, FSW_INDEX_REPEAT);
	fsw_scan_equal(scan, Int64GetDatum(delivery));
	fsw_scan_begin(scan, ForwardScanDirection);
	while (fsw_scan_next(scan))
	{
		int64		arrived = fsw_scan_int64(scan, REPEAT_first_received_at, received_at);

		first = Min(first, arrived);
		if (event_type != NULL && fsw_scan_is(scan, REPEAT_event_type, event_type))
			*understood = Min(*understood, arrived);
	}
	return first;
}

/* The earliest arrival alone. */
int64
fsw_first_arrival(FswReader *reader, int64 delivery, int64 received_at)
{
	int64		understood;

	return fsw_first_arrivals(reader, delivery, received_at, NULL, &understood);
}

/*
 * When an entry came first.  However soon that seems to be after it was written, it
 * counts to the microsecond: the receiver's clock may be behind.
 */
int64
fsw_entry_arrival(FswReader *reader, FswScan *scan)
{
	return fsw_first_arrival(reader, fsw_scan_int64(scan, EFFECT_delivery, 0), fsw_scan_int64(scan, EFFECT_received_at, 0));
}

/* The first columns of the indexes of flag_change: which flag. */
void
fsw_scan_flag(FswScan *scan, const FswFlagFacts *flag_facts)
{
	fsw_scan_equal(scan, Int64GetDatum(flag_facts->feature.id));
	fsw_scan_equal(scan, Int64GetDatum(flag_facts->environment->environment_id));
	fsw_scan_equal(scan, Int64GetDatum(flag_facts->environment->source_hash));
}

/* The row of a typed table that a scan found; of an effect, that of its audit entry. */
FswEntry
fsw_entry_of(FswScan *scan)
{
	FswEntry	entry;

	entry.delivery = fsw_scan_int64(scan, ROW_delivery, 0);
	entry.ordinal = fsw_scan_int32(scan, ROW_ordinal);
	return entry;
}

/* Begin to read an audit entry; NULL if there is none. */
static FswScan *
scan_entry(FswReader *reader, const FswEntry *entry)
{
	return entry->delivery == 0 ? NULL : fsw_scan_row(reader, FSW_INDEX_AUDIT, entry->delivery, entry->ordinal);
}

/* Is that what the entry's message says was done? */
bool
fsw_entry_has_action(FswReader *reader, const FswEntry *entry, const char *action)
{
	FswScan    *scan = scan_entry(reader, entry);

	return scan != NULL && fsw_scan_is(scan, AUDIT_action, action);
}

/*
 * A setting of the environment or the project that an audit entry shows: 0 or
 * 1, or -1 where it does not.
 */
int
fsw_entry_setting(FswReader *reader, const FswEntry *entry, const char *object, const char *key)
{
	FswScan    *scan = scan_entry(reader, entry);
	bool		isnull = true;
	Datum		extra = scan == NULL ? (Datum) 0 : fsw_scan_column(scan, AUDIT_extra, &isnull);
	JsonbValue *found;

	if (isnull || !JB_ROOT_IS_OBJECT(DatumGetJsonbP(extra)))
		return -1;
	found = getKeyJsonValueFromContainer(&DatumGetJsonbP(extra)->root, object, strlen(object), NULL);
	if (found == NULL || found->type != jbvBinary || !JsonContainerIsObject(found->val.binary.data))
		return -1;
	found = getKeyJsonValueFromContainer(found->val.binary.data, key, strlen(key), NULL);
	return found == NULL || found->type != jbvBool ? -1 : found->val.boolean;
}

/* The first columns of the index: what names the feature. */
static FswScan *
scan_flag_facts(FswReader *reader, const FswFlagFacts *flag_facts, int64 name)
{
	FswScan    *scan = fsw_scan_of(reader, FSW_INDEX_EFFECT_LIFE);

	fsw_scan_equal(scan, Int64GetDatum(name));
	fsw_scan_equal(scan, Int64GetDatum(flag_facts->environment->source_hash));
	return scan;
}

/*
 * The first columns of the index: what names the feature in an environment,
 * or in the project as a whole; but for versions.
 */
FswScan *
fsw_scan_entries(FswReader *reader, const FswFlagFacts *flag_facts, int64 name, bool of_project)
{
	FswScan    *scan = fsw_scan_of(reader, FSW_INDEX_EFFECT_FEATURE);

	fsw_scan_equal(scan, Int64GetDatum(name));
	if (of_project)
		fsw_scan_key_null(scan, true);
	else
		fsw_scan_equal(scan, Int64GetDatum(flag_facts->environment->environment_id));
	fsw_scan_equal(scan, Int64GetDatum(flag_facts->environment->source_hash));
	return scan;
}

/*
 * fsw_next_told() - leap to the next override of the flag that entries under a
 * name tell, by the hash of its scope; false behind the last.  begun is false
 * before the first.
 */
bool
fsw_next_told(FswReader *reader, const FswFlagFacts *flag_facts, int64 name, bool *begun, int64 *hash)
{
	FswScan    *scan = fsw_scan_entries(reader, flag_facts, name, false);

	CHECK_FOR_INTERRUPTS();
	if (*begun)
		fsw_scan_key(scan, BTGreaterStrategyNumber, Int64GetDatum(*hash));
	else
		fsw_scan_key_null(scan, false);
	fsw_scan_begin(scan, ForwardScanDirection);
	if (!fsw_scan_next(scan))
		return false;
	*hash = fsw_scan_int64(scan, EFFECT_scope_hash, 0);
	*begun = true;
	return true;
}

/* The first columns of the index: the entries of versions of an environment. */
static FswScan *
scan_published(FswReader *reader, const FswEnvironment *environment)
{
	FswScan    *scan = fsw_scan_of(reader, FSW_INDEX_EFFECT_PUBLISHED);

	fsw_scan_equal(scan, Int64GetDatum(environment->environment_id));
	fsw_scan_equal(scan, Int64GetDatum(environment->source_hash));
	return scan;
}

/* The first columns of the index: the entries of the flag's versions. */
FswScan *
fsw_scan_versions(FswReader *reader, const FswFlagFacts *flag_facts, int64 name)
{
	FswScan    *scan = scan_published(reader, flag_facts->environment);

	fsw_scan_equal(scan, Int64GetDatum(name));
	return scan;
}

/*
 * Is the entry that a scan of audit_effect found about the flag?  A feature of
 * another project can have the same name, and one of another time too.
 */
bool
fsw_entry_is_of(FswScan *scan, const FswFlagFacts *flag_facts)
{
	return fsw_scan_int64(scan, EFFECT_project_id, -1) == flag_facts->environment->project_id &&
		fsw_is_known(scan, EFFECT_stored_at, flag_facts->environment) &&
		fsw_scan_int64(scan, EFFECT_feature_id, flag_facts->feature.id) == flag_facts->feature.id;
}

/*
 * Can a flag of the environment have an audit entry of a version?  Where many
 * flags ask, that is asked once for all of them.
 */
static bool
may_have_version(FswReader *reader, FswEnvironment *environment)
{
	if (!environment->was_asked)
	{
		environment->was_asked = true;
		return true;
	}
	if (!environment->knows_versions)
	{
		FswScan    *scan = scan_published(reader, environment);

		fsw_scan_begin(scan, ForwardScanDirection);
		environment->has_versions = fsw_scan_next(scan);
		environment->knows_versions = true;
	}
	return environment->has_versions;
}

/* Is there an audit entry of a version, within the life of the flag? */
static bool
has_version(FswReader *reader, const FswFlagFacts *flag_facts, int64 name)
{
	FswScan    *scan = fsw_scan_versions(reader, flag_facts, name);

	if (flag_facts->created != FSW_NEVER)
		fsw_scan_key(scan, BTGreaterEqualStrategyNumber, TimestampTzGetDatum(fsw_after(flag_facts->created, -LIFE_SPREAD)));
	if (flag_facts->deleted_at != FSW_FOREVER)
		fsw_scan_key(scan, BTLessEqualStrategyNumber, TimestampTzGetDatum(fsw_after(flag_facts->deleted_at, LIFE_SPREAD)));
	fsw_scan_begin(scan, ForwardScanDirection);
	while (fsw_scan_next(scan))
	{
		if (fsw_entry_is_of(scan, flag_facts))
			return true;
	}
	return false;
}

/* Room for the arrays of a life, while its entries are read. */
typedef struct LifeReading
{
	FswFlagFacts *flag_facts;
	int			maxremovals;
	int			maxoptions;
} LifeReading;

/* A variant that was added or removed, as an entry tells, once. */
static void
add_option(FswReader *reader, LifeReading *reading, FswScan *scan)
{
	FswFlagFacts *flag_facts = reading->flag_facts;
	FswOption	option = {
		.at = fsw_scan_int64(scan, EFFECT_occurred_at, 0),
		.arrived = fsw_entry_arrival(reader, scan),
		.entry = fsw_entry_of(scan)
	};

	for (int i = flag_facts->noptions - 1; i >= 0 && flag_facts->options[i].at == option.at; i--)
	{
		FswOption  *other = &flag_facts->options[i];

		if (!fsw_is_same_entry(reader, other->entry, option.entry))
			continue;
		if (option.arrived < other->arrived)
			*other = option;
		return;
	}
	FSW_PUSH(flag_facts->options, flag_facts->noptions, reading->maxoptions) = option;
}

/* What one entry says of the feature's life, but for those about versions. */
static void
read_entry(FswReader *reader, LifeReading *reading, FswScan *scan)
{
	FswFlagFacts *flag_facts = reading->flag_facts;
	int64		environment_id = fsw_scan_int64(scan, EFFECT_environment_id, -1);
	int64		at = fsw_scan_int64(scan, EFFECT_occurred_at, 0);

	if (fsw_scan_is(scan, EFFECT_kind, "feature_created"))
	{
		if (environment_id < 0 && at >= flag_facts->created)
		{
			flag_facts->created = at;
			flag_facts->creation = fsw_entry_of(scan);
		}
	}
	else if (!fsw_scan_is(scan, EFFECT_kind, "feature_deleted"))
		add_option(reader, reading, scan);
	else if (environment_id < 0)
	{
		flag_facts->deleted_at = flag_facts->deleted_exactly ? Min(flag_facts->deleted_at, at) : at;
		flag_facts->deleted_exactly = true;
	}
	else if (environment_id == flag_facts->environment->environment_id)
	{
		flag_facts->removals = fsw_grow(flag_facts->removals, flag_facts->nremovals, &reading->maxremovals, sizeof(int64));
		flag_facts->removals[flag_facts->nremovals++] = at;
	}
}

/* Those under one name. */
static void
read_entries_of(FswReader *reader, LifeReading *reading, int64 name)
{
	FswScan    *scan = scan_flag_facts(reader, reading->flag_facts, name);

	fsw_scan_begin(scan, ForwardScanDirection);
	while (fsw_scan_next(scan))
	{
		if (!fsw_scan_is(scan, EFFECT_kind, "reordered") && fsw_entry_is_of(scan, reading->flag_facts))
			read_entry(reader, reading, scan);
	}
}

/* What the audit entries say of the feature's life. */
static void
read_entries(FswReader *reader, FswFlagFacts *flag_facts)
{
	LifeReading reading = {.flag_facts = flag_facts};
	int			nremovals;

	for (int i = 0; i < flag_facts->feature.nnames; i++)
		read_entries_of(reader, &reading, flag_facts->feature.names[i]);

	/* those of another flag of the same name do not count */
	nremovals = flag_facts->nremovals;
	flag_facts->nremovals = 0;
	for (int i = 0; i < nremovals; i++)
	{
		if (flag_facts->removals[i] >= flag_facts->created &&
			fsw_flag_facts_has(flag_facts, flag_facts->created, flag_facts->removals[i]))
			flag_facts->removals[flag_facts->nremovals++] = flag_facts->removals[i];
	}
	if (flag_facts->versioned || !may_have_version(reader, flag_facts->environment))
		return;
	for (int i = 0; !flag_facts->versioned && i < flag_facts->feature.nnames; i++)
		flag_facts->versioned = has_version(reader, flag_facts, flag_facts->feature.names[i]);
}

/*
 * Does an instant lie in the life of a flag, which began at created as far as
 * known?  What is named in an entry outside of it is another flag.
 */
bool
fsw_flag_facts_has(const FswFlagFacts *flag_facts, int64 created, int64 at)
{
	return (created == FSW_NEVER || at >= fsw_after(created, -LIFE_SPREAD)) &&
		(flag_facts->deleted_at == FSW_FOREVER || at <= fsw_after(flag_facts->deleted_at, LIFE_SPREAD));
}

/* All that lived in an environment ends with it, each flag at its own entry. */
static void
end_with_environment(FswReader *reader, FswFlagFacts *flag_facts)
{
	int64		last = flag_facts->nremovals == 0 ? FSW_NEVER : flag_facts->removals[flag_facts->nremovals - 1];
	int64		deleted_at;

	if (flag_facts->nremovals == 0 || last >= flag_facts->deleted_at)
		return;
	deleted_at = fsw_environment_end(reader, flag_facts->environment);
	if (deleted_at == FSW_FOREVER || last < deleted_at)
		return;
	flag_facts->deleted_at = last;
	flag_facts->deleted_exactly = true;
	flag_facts->deleted_with = FSW_CAUSE_ENVIRONMENT_DELETED;
}

/* Has the environment default events that can bear the time of a draft? */
static bool
has_drafts(FswReader *reader, const FswFlagFacts *flag_facts)
{
	FswScan    *scan;

	if (fsw_index_is_empty(reader, FSW_INDEX_DRAFT))
		return false;
	scan = fsw_scan_of(reader, FSW_INDEX_DRAFT);
	fsw_scan_flag(scan, flag_facts);
	fsw_scan_begin(scan, ForwardScanDirection);
	while (fsw_scan_next(scan))
	{
		if (fsw_is_known(scan, FLAG_stored_at, flag_facts->environment))
			return true;
	}
	return false;
}

/* Was a flag, made at an instant, copied with all else of its environment? */
bool
fsw_flag_facts_is_copy(FswReader *reader, const FswFlagFacts *flag_facts, int64 created)
{
	fsw_environment_facts(reader, flag_facts->environment);
	return flag_facts->environment->clone &&
		(created == FSW_NEVER || created < flag_facts->environment->created_at);
}

/*
 * The announcements of the feature's deletion, which each environment sends: the
 * first to arrive of those of this one, and of the first environments that have any.
 */
static void
read_announcements(FswReader *reader, FswFlagFacts *flag_facts, bool own)
{
	const FswEnvironment *environment = flag_facts->environment;
	FswScan    *scan = fsw_scan_of(reader, FSW_INDEX_DELETED);

	if (own)
		fsw_scan_flag(scan, flag_facts);
	else
		fsw_scan_equal(scan, Int64GetDatum(flag_facts->feature.id));
	fsw_scan_begin(scan, ForwardScanDirection);
	for (int n = 0; n < FSW_WINDOW && fsw_scan_next(scan);)
	{
		CHECK_FOR_INTERRUPTS();
		if (!fsw_is_known(scan, FLAG_stored_at, environment) || !fsw_scan_same_text(scan, FLAG_source, environment->source))
			continue;
		n++;
		flag_facts->deleted |= own;
		flag_facts->deleted_at = Min(flag_facts->deleted_at,
									 fsw_first_arrival(reader, fsw_scan_int64(scan, FLAG_delivery, 0),
													   fsw_scan_int64(scan, FLAG_received_at, 0)));
	}
}

FswFlagFacts *
fsw_flag_facts_read(FswReader *reader, FswEnvironment *environment, const FswFeature *feature)
{
	FswFlagFacts *flag_facts = palloc0_object(FswFlagFacts);

	flag_facts->environment = environment;
	flag_facts->feature = *feature;
	flag_facts->created = FSW_NEVER;
	flag_facts->deleted_at = FSW_FOREVER;
	flag_facts->deleted_with = FSW_CAUSE_FEATURE_DELETED;

	/* without an audit entry, a deletion is known by its announcement */
	if (!fsw_index_is_empty(reader, FSW_INDEX_DELETED))
		read_announcements(reader, flag_facts, false);
	if (flag_facts->deleted_at != FSW_FOREVER)
		read_announcements(reader, flag_facts, true);
	fsw_flag_webhooks_read(reader, flag_facts);
	flag_facts->versioned = fsw_flag_has_own_webhook(reader, flag_facts);
	if (environment->has_project)
		read_entries(reader, flag_facts);
	end_with_environment(reader, flag_facts);
	if (!flag_facts->versioned)
		flag_facts->versioned = fsw_flag_has_lists(reader, flag_facts);
	/* it may have been without versions before */
	flag_facts->drafts = has_drafts(reader, flag_facts);
	return flag_facts;
}

/* Look for the creation in one environment's events, if later than *latest. */
static void
read_creation(FswReader *reader, const FswFlagFacts *flag_facts, FswIndex index, int64 environment_id,
			  FswCreation *creation, int64 *latest)
{
	FswScan    *scan = fsw_scan_of(reader, index);

	fsw_scan_equal(scan, Int64GetDatum(flag_facts->feature.id));
	fsw_scan_equal(scan, Int64GetDatum(environment_id));
	fsw_scan_equal(scan, Int64GetDatum(flag_facts->environment->source_hash));
	fsw_scan_begin(scan, BackwardScanDirection);
	/* what came later does not count, or it would hide what was known */
	for (int n = 0; n < FSW_WINDOW && fsw_scan_next(scan);)
	{
		bool		isnull;
		Datum		enabled;
		Datum		initial;

		if (!fsw_is_known(scan, FLAG_stored_at, flag_facts->environment))
			continue;
		n++;
		enabled = fsw_scan_column(scan, FLAG_feature_default_enabled, &isnull);
		/* old releases do not tell the defaults */
		if (isnull)
			continue;
		if (fsw_scan_int64(scan, FLAG_event_at, 0) <= *latest)
			return;
		*latest = fsw_scan_int64(scan, FLAG_event_at, 0);
		creation->created = fsw_scan_int64(scan, FLAG_feature_created_date, FSW_NEVER);
		creation->has_defaults = true;
		creation->enabled = DatumGetBool(enabled);
		creation->multivariate = fsw_scan_is(scan, FLAG_feature_type, "MULTIVARIATE");
		initial = fsw_scan_column(scan, FLAG_feature_initial_value, &isnull);
		creation->value = isnull ? DirectFunctionCall1(jsonb_in, CStringGetDatum("null")) :
			fsw_initial_value(initial);
		return;
	}
}

/*
 * Whether a state was made from the defaults at all: as the project is set
 * when the feature, or later the environment, is made.
 */
static void
apply_settings(FswReader *reader, const FswFlagFacts *flag_facts, FswCreation *creation)
{
	const FswEnvironment *environment = flag_facts->environment;
	int64		created = flag_facts->created != FSW_NEVER ? flag_facts->created : creation->created;
	bool		by_environment = environment->created_at != FSW_NEVER && environment->created_at > created;
	int			prevented = fsw_entry_setting(reader, by_environment ? &environment->creation : &flag_facts->creation,
											  "project", "prevent_flag_defaults");

	creation->told = flag_facts->created != FSW_NEVER && prevented >= 0 && !fsw_flag_facts_is_copy(reader, flag_facts, created) &&
		(environment->created_at != FSW_NEVER ||
		 (environment->heard_from != FSW_FOREVER && environment->heard_from <= fsw_after(created, FSW_SAME_ACT)));
	if (prevented <= 0)
		return;
	creation->enabled = false;
	creation->value = DirectFunctionCall1(jsonb_in, CStringGetDatum("null"));
}

/*
 * What the latest flag event of the feature, in any environment, says of its
 * creation and its defaults.
 */
FswCreation
fsw_creation_read(FswReader *reader, const FswFlagFacts *flag_facts)
{
	FswEnvironment *environment = flag_facts->environment;
	FswCreation creation = {0};
	int64		latest = FSW_NEVER;

	creation.created = FSW_NEVER;
	fsw_environment_facts(reader, environment);
	fsw_environment_siblings(reader, environment);
	for (int i = 0; i < environment->nsiblings; i++)
		read_creation(reader, flag_facts, FSW_INDEX_DEFAULT, environment->siblings[i], &creation, &latest);
	for (int i = 0; !creation.has_defaults && i < environment->nsiblings; i++)
		read_creation(reader, flag_facts, FSW_INDEX_DELETED, environment->siblings[i], &creation, &latest);
	for (int i = 0; !creation.has_defaults && i < environment->nsiblings; i++)
		read_creation(reader, flag_facts, FSW_INDEX_OVERRIDE, environment->siblings[i], &creation, &latest);
	/* versions of its own tell more */
	if (!creation.has_defaults && !flag_facts->versioned)
		fsw_creation_guess(reader, flag_facts, &creation);
	apply_settings(reader, flag_facts, &creation);
	return creation;
}

/* From when on both the feature, created then, and the environment exist. */
int64
fsw_flag_created_at(FswReader *reader, const FswFlagFacts *flag_facts, int64 created)
{
	if (created == FSW_NEVER)
		return FSW_NEVER;
	fsw_environment_facts(reader, flag_facts->environment);
	return Max(created, flag_facts->environment->created_at);
}
