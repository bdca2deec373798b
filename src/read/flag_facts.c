/*-------------------------------------------------------------------------
 *
 * src/read/flag_facts.c
 *	  When a flag existed, and how its states are told at all.
 *
 * Before any state is read: when the feature and the environment came and
 * went, whether the flag is published in versions, and what a state is that
 * was made without an event.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"

#include "src/base/fsw.h"
#include "src/decode/row.h"
#include "src/read/read.h"

/* Deletions of the flags of one environment are told within this time. */
#define DELETION_SPREAD INT64CONST(5000000)
#define ENVIRONMENT_SPREAD INT64CONST(60000000)

/* "Environment updated" so soon after its creation is that of a clone. */
#define CLONE_SPREAD INT64CONST(1000000)

/* A flag is named in an entry up to this long before or after it existed. */
#define LIFE_SPREAD INT64CONST(1000000)

/* Was the row stored by the instant that the question is about? */
bool
fsw_is_known(FswScan *scan, int column, const FswEnvironment *environment)
{
	return environment->known_at == DT_NOEND ||
		fsw_scan_int64(scan, column, DT_NOEND) <= environment->known_at;
}

/* The earliest arrival of a delivery, over all webhooks that brought it. */
int64
fsw_first_arrival(FswReader *reader, int64 delivery, int64 received_at)
{
	FswScan    *scan = fsw_scan_of(reader, FSW_INDEX_REPEAT);

	fsw_scan_equal(scan, Int64GetDatum(delivery));
	fsw_scan_begin(scan, ForwardScanDirection);
	while (fsw_scan_next(scan))
		received_at = Min(received_at, fsw_scan_int64(scan, REPEAT_first_received_at, received_at));
	return received_at;
}

/* The first columns of the indexes of flag_change: which flag. */
void
fsw_scan_flag(FswScan *scan, const FswLife *life)
{
	fsw_scan_equal(scan, Int64GetDatum(life->feature.id));
	fsw_scan_equal(scan, Int64GetDatum(life->environment->environment_id));
	fsw_scan_equal(scan, Int64GetDatum(life->environment->source_hash));
}

/* The audit entry of an effect that a scan found. */
static FswEntry
entry_of(FswScan *scan)
{
	FswEntry	entry;

	entry.delivery = fsw_scan_int64(scan, EFFECT_delivery, 0);
	entry.ordinal = fsw_scan_int32(scan, EFFECT_ordinal);
	return entry;
}

/* Begin to read an audit entry; NULL if there is none. */
static FswScan *
scan_entry(FswReader *reader, const FswEntry *entry)
{
	FswScan    *scan = fsw_scan_of(reader, FSW_INDEX_AUDIT);

	fsw_scan_equal(scan, Int64GetDatum(entry->delivery));
	fsw_scan_equal(scan, Int32GetDatum(entry->ordinal));
	fsw_scan_begin(scan, ForwardScanDirection);
	return entry->delivery != 0 && fsw_scan_next(scan) ? scan : NULL;
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

/*
 * Was the environment made as a copy?  Its creation shows that it is still
 * being made; releases before 2.151 do not say so, but update it at once.
 */
static bool
is_clone(FswReader *reader, const FswEnvironment *environment)
{
	int			creating = fsw_entry_setting(reader, &environment->creation, "environment", "is_creating");
	FswScan    *scan;

	if (creating >= 0 || environment->born == FSW_NEVER)
		return creating > 0;
	scan = fsw_scan_of(reader, FSW_INDEX_AUDIT_PROJECT);
	fsw_scan_equal(scan, environment->source);
	fsw_scan_equal(scan, Int64GetDatum(environment->project_id));
	fsw_scan_key(scan, BTGreaterEqualStrategyNumber, TimestampTzGetDatum(environment->born));
	fsw_scan_key(scan, BTLessEqualStrategyNumber,
				 TimestampTzGetDatum(fsw_after(environment->born, CLONE_SPREAD)));
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
	environment->known_at = known_at;
	return environment;
}

/* Read what is the same for all flags of an environment. */
void
fsw_environment_facts(FswReader *reader, FswEnvironment *environment)
{
	FswScan    *scan;
	char	   *last = NULL;
	int			maxsiblings = 16;

	if (environment->has_facts)
		return;
	environment->has_facts = true;
	environment->news = FSW_NEVER;
	environment->born = FSW_NEVER;
	if (!environment->has_project)
		return;

	scan = fsw_scan_of(reader, FSW_INDEX_AUDIT_PROJECT);
	fsw_scan_equal(scan, environment->source);
	fsw_scan_equal(scan, Int64GetDatum(environment->project_id));
	fsw_scan_begin(scan, BackwardScanDirection);
	while (environment->news == FSW_NEVER && fsw_scan_next(scan))
	{
		if (fsw_is_known(scan, AUDIT_stored_at, environment))
			environment->news = fsw_scan_int64(scan, AUDIT_created_date, FSW_NEVER);
	}

	scan = fsw_scan_of(reader, FSW_INDEX_EFFECT_ENVIRONMENT);
	fsw_scan_equal(scan, environment->source);
	fsw_scan_equal(scan, Int64GetDatum(environment->environment_id));
	fsw_scan_equal(scan, CStringGetTextDatum("environment_created"));
	fsw_scan_begin(scan, ForwardScanDirection);
	while (environment->born == FSW_NEVER && fsw_scan_next(scan))
	{
		if (!fsw_is_known(scan, EFFECT_stored_at, environment))
			continue;
		environment->born = fsw_scan_int64(scan, EFFECT_occurred_at, FSW_NEVER);
		environment->creation = entry_of(scan);
	}
	environment->clone = is_clone(reader, environment);

	/* the facts live as long as the environment */
	environment->siblings = MemoryContextAlloc(GetMemoryChunkContext(environment),
											   maxsiblings * sizeof(int64));
	for (;;)
	{
		int64		id;

		/* by leaps, since an environment is seen each hour */
		scan = fsw_scan_names_in(reader, "environment", environment->source, true, environment->project_id);
		if (last != NULL)
			fsw_scan_key(scan, BTGreaterStrategyNumber, CStringGetTextDatum(last));
		fsw_scan_begin(scan, ForwardScanDirection);
		if (!fsw_scan_next(scan))
			break;
		last = fsw_scan_cstring(scan, NAME_id);
		if (!fsw_scan_id(scan, NAME_id, &id))
			continue;
		if (environment->nsiblings == maxsiblings)
		{
			maxsiblings *= 2;
			environment->siblings = repalloc_array(environment->siblings, int64, maxsiblings);
		}
		environment->siblings[environment->nsiblings++] = id;
	}
}

/* The deletion of a feature, or of its state in an environment, up to an instant. */
static int64
find_deletion(FswReader *reader, const FswEnvironment *environment, int64 name, bool of_project,
			  int64 from, int64 to)
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
			fsw_is_known(scan, EFFECT_stored_at, environment))
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
find_end(FswReader *reader, const FswEnvironment *environment, const char *id, int64 at)
{
	FswNames	names;
	int64		ended = FSW_FOREVER;

	fsw_names_read(reader, environment->source, "feature", id, &names);
	if (names.n == 0 || names.from[0] > at)
		return FSW_NEVER;
	for (int i = 0; i < names.n; i++)
	{
		int64		name = fsw_hash("feature:", VARDATA_ANY(names.names[i]), VARSIZE_ANY_EXHDR(names.names[i]));

		if (find_deletion(reader, environment, name, true, names.from[0],
						  fsw_after(at, DELETION_SPREAD)) != FSW_FOREVER)
			return FSW_NEVER;
		ended = Min(ended, find_deletion(reader, environment, name, false,
										 fsw_after(at, -ENVIRONMENT_SPREAD), at));
	}
	return ended;
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
	int64		at = FSW_NEVER;
	int64		gone = FSW_FOREVER;
	char	   *last = NULL;

	if (environment->has_end)
		return environment->gone;
	environment->has_end = true;
	environment->gone = FSW_FOREVER;
	if (!environment->has_project)
		return FSW_FOREVER;

	scan = fsw_scan_of(reader, FSW_INDEX_EFFECT_ENVIRONMENT);
	fsw_scan_equal(scan, environment->source);
	fsw_scan_equal(scan, Int64GetDatum(environment->environment_id));
	fsw_scan_equal(scan, CStringGetTextDatum("feature_deleted"));
	fsw_scan_begin(scan, BackwardScanDirection);
	while (at == FSW_NEVER && fsw_scan_next(scan))
	{
		if (fsw_is_known(scan, EFFECT_stored_at, environment))
			at = fsw_scan_int64(scan, EFFECT_occurred_at, FSW_NEVER);
	}
	if (at == FSW_NEVER ||
		find_deletion(reader, environment, fsw_scan_int64(scan, EFFECT_feature_hash, 0), true,
					  fsw_after(at, -DELETION_SPREAD), fsw_after(at, DELETION_SPREAD)) != FSW_FOREVER)
		return FSW_FOREVER;

	for (int n = 0; n < FSW_WINDOW;)
	{
		int64		ended;

		scan = fsw_scan_names_in(reader, "feature", environment->source, true, environment->project_id);
		if (last != NULL)
			fsw_scan_key(scan, BTGreaterStrategyNumber, CStringGetTextDatum(last));
		fsw_scan_begin(scan, ForwardScanDirection);
		if (!fsw_scan_next(scan))
			break;
		last = fsw_scan_cstring(scan, NAME_id);
		ended = find_end(reader, environment, last, at);
		if (ended == FSW_FOREVER)
			return FSW_FOREVER;
		if (ended == FSW_NEVER)
			continue;
		gone = Min(gone, ended);
		n++;
	}
	environment->gone = gone;
	return gone;
}

/* The only environment that a webhook brings flag events of, or -1. */
static int64
sole_environment(FswReader *reader, Datum webhook)
{
	FswScan    *deliveries = fsw_scan_of(reader, FSW_INDEX_DELIVERY_WEBHOOK);
	int64		sole = -1;
	int			n = 0;

	fsw_scan_equal(deliveries, webhook);
	fsw_scan_begin(deliveries, BackwardScanDirection);
	while (n < FSW_WINDOW && fsw_scan_next(deliveries))
	{
		FswScan    *changes = fsw_scan_of(reader, FSW_INDEX_FLAG_CHANGE);

		fsw_scan_equal(changes, Int64GetDatum(fsw_scan_int64(deliveries, DELIVERY_id, 0)));
		fsw_scan_begin(changes, ForwardScanDirection);
		while (n < FSW_WINDOW && fsw_scan_next(changes))
		{
			int64		id = fsw_scan_int64(changes, FLAG_environment_id, -1);

			if (id < 0)
				continue;
			if (n++ > 0 && id != sole)
				return -1;
			sole = id;
		}
	}
	return sole;
}

/* The environment that the audit entry of a version names, or -1. */
static int64
environment_of_entry(FswReader *reader, Datum source, const text *uuid)
{
	FswScan    *scan = fsw_scan_of(reader, FSW_INDEX_EFFECT_VERSION);
	int64		result = -1;

	fsw_scan_equal(scan, hash_any_extended((unsigned char *) VARDATA_ANY(uuid),
										   VARSIZE_ANY_EXHDR(uuid), 0));
	fsw_scan_begin(scan, ForwardScanDirection);
	while (fsw_scan_next(scan))
	{
		int64		id = fsw_scan_int64(scan, EFFECT_environment_id, -1);

		if (id < 0 || !fsw_scan_same_text(scan, EFFECT_source, source) ||
			!fsw_scan_same_text(scan, EFFECT_version, PointerGetDatum(uuid)))
			continue;
		result = result < 0 ? id : Min(result, id);
	}
	return result;
}

/*
 * The environment of the list of a version, in the row that a scan of
 * version_published found, or -1.  It is that of the webhook, else that of the
 * audit entry with the same uuid, else the only one that the webhook brings
 * flag events of.
 */
int64
fsw_list_environment(FswReader *reader, FswScan *lists, Datum source)
{
	text	   *webhook = fsw_scan_text(lists, VERSION_webhook);
	text	   *uuid = fsw_scan_text(lists, VERSION_uuid);
	int64		id = -1;

	if (webhook != NULL)
	{
		FswScan    *scan = fsw_scan_of(reader, FSW_INDEX_WEBHOOK);

		fsw_scan_equal(scan, PointerGetDatum(webhook));
		fsw_scan_begin(scan, ForwardScanDirection);
		if (fsw_scan_next(scan))
			id = fsw_scan_int64(scan, WEBHOOK_environment_id, -1);
	}
	if (id < 0 && uuid != NULL)
		id = environment_of_entry(reader, source, uuid);
	if (id < 0 && webhook != NULL)
		id = sole_environment(reader, PointerGetDatum(webhook));
	return id;
}

/* Is the list of a version that a scan found one of this environment? */
bool
fsw_list_is_of(FswReader *reader, FswScan *lists, const FswEnvironment *environment)
{
	return fsw_list_environment(reader, lists, environment->source) == environment->environment_id;
}

/* The first columns of the index: the lists of versions of a feature. */
static FswScan *
scan_lists(FswReader *reader, const FswLife *life)
{
	FswScan    *scan = fsw_scan_of(reader, FSW_INDEX_VERSION_FEATURE);

	fsw_scan_equal(scan, life->environment->source);
	fsw_scan_equal(scan, Int64GetDatum(life->feature.id));
	return scan;
}

/* The webhooks that brought lists of versions of the feature; NULL for none. */
static void
read_webhooks(FswReader *reader, FswLife *life)
{
	bool		isnull = false;
	int			max = 0;

	while (!isnull)
	{
		FswScan    *scan = scan_lists(reader, life);
		Datum		webhook;

		if (life->nwebhooks > 0)
			fsw_scan_key(scan, BTGreaterStrategyNumber,
						 PointerGetDatum(life->webhooks[life->nwebhooks - 1]));
		fsw_scan_begin(scan, ForwardScanDirection);
		if (!fsw_scan_next(scan))
		{
			/* a comparison does not find those without a webhook */
			if (life->nwebhooks == 0)
				return;
			scan = scan_lists(reader, life);
			fsw_scan_key_null(scan, true);
			fsw_scan_begin(scan, ForwardScanDirection);
			if (!fsw_scan_next(scan))
				return;
		}
		webhook = fsw_scan_column(scan, VERSION_webhook, &isnull);
		if (life->nwebhooks == max)
		{
			max = Max(4, max * 2);
			life->webhooks = life->webhooks == NULL ? palloc_array(text *, max) :
				repalloc_array(life->webhooks, text *, max);
		}
		life->webhooks[life->nwebhooks++] = isnull ? NULL : DatumGetTextPCopy(webhook);
	}
}

/* Is any list of the flag's environment among the latest of each webhook? */
static bool
has_lists(FswReader *reader, const FswLife *life)
{
	for (int i = 0; i < life->nwebhooks; i++)
	{
		FswScan    *scan = scan_lists(reader, life);

		if (life->webhooks[i] == NULL)
			fsw_scan_key_null(scan, true);
		else
			fsw_scan_equal(scan, PointerGetDatum(life->webhooks[i]));
		fsw_scan_begin(scan, BackwardScanDirection);
		for (int j = 0; j < FSW_WINDOW && fsw_scan_next(scan); j++)
		{
			if (fsw_is_known(scan, VERSION_stored_at, life->environment) &&
				fsw_list_is_of(reader, scan, life->environment))
				return true;
		}
	}
	return false;
}

/* The first columns of the index: what names the feature. */
static FswScan *
scan_life(FswReader *reader, const FswLife *life, int64 name)
{
	FswScan    *scan = fsw_scan_of(reader, FSW_INDEX_EFFECT_LIFE);

	fsw_scan_equal(scan, Int64GetDatum(name));
	fsw_scan_equal(scan, Int64GetDatum(life->environment->source_hash));
	return scan;
}

/*
 * The first columns of the index: what names the feature in an environment,
 * or in the project as a whole.
 */
FswScan *
fsw_scan_entries(FswReader *reader, const FswLife *life, int64 name, bool of_project)
{
	FswScan    *scan = fsw_scan_of(reader, FSW_INDEX_EFFECT_FEATURE);

	fsw_scan_equal(scan, Int64GetDatum(name));
	if (of_project)
		fsw_scan_key_null(scan, true);
	else
		fsw_scan_equal(scan, Int64GetDatum(life->environment->environment_id));
	fsw_scan_equal(scan, Int64GetDatum(life->environment->source_hash));
	return scan;
}

/*
 * Is the entry that a scan of audit_effect found about the flag?  A feature of
 * another project can have the same name, and one of another time too.
 */
bool
fsw_entry_is_of(FswScan *scan, const FswLife *life)
{
	return fsw_scan_int64(scan, EFFECT_project_id, -1) == life->environment->project_id &&
		fsw_is_known(scan, EFFECT_stored_at, life->environment) &&
		fsw_scan_int64(scan, EFFECT_feature_id, life->feature.id) == life->feature.id;
}

/* Is there an audit entry of a version, within the life of the flag? */
static bool
has_version(FswReader *reader, const FswLife *life, int64 name)
{
	FswScan    *scan = scan_life(reader, life, name);

	fsw_scan_equal(scan, CStringGetTextDatum("version"));
	fsw_scan_equal(scan, Int64GetDatum(life->environment->environment_id));
	if (life->created != FSW_NEVER)
		fsw_scan_key(scan, BTGreaterEqualStrategyNumber, TimestampTzGetDatum(fsw_after(life->created, -LIFE_SPREAD)));
	if (life->gone != FSW_FOREVER)
		fsw_scan_key(scan, BTLessEqualStrategyNumber, TimestampTzGetDatum(fsw_after(life->gone, LIFE_SPREAD)));
	fsw_scan_begin(scan, ForwardScanDirection);
	while (fsw_scan_next(scan))
	{
		if (fsw_entry_is_of(scan, life))
			return true;
	}
	return false;
}

/* What the audit entries say of the feature's life. */
static void
read_entries(FswReader *reader, FswLife *life)
{
	bool		any_version = false;
	int			maxremovals = 0;
	int			maxupdates = 0;

	for (int i = 0; i < life->feature.nnames; i++)
	{
		FswScan    *scan = scan_life(reader, life, life->feature.names[i]);

		/* kinds come in the order of the alphabet */
		fsw_scan_begin(scan, ForwardScanDirection);
		while (fsw_scan_next(scan))
		{
			int64		environment_id = fsw_scan_int64(scan, EFFECT_environment_id, -1);
			int64		at = fsw_scan_int64(scan, EFFECT_occurred_at, 0);

			if (fsw_scan_is(scan, EFFECT_kind, "version"))
			{
				any_version = true;
				break;
			}
			if (!fsw_entry_is_of(scan, life))
				continue;
			if (fsw_scan_is(scan, EFFECT_kind, "feature_created"))
			{
				if (environment_id < 0 && at >= life->created)
				{
					life->created = at;
					life->creation = entry_of(scan);
				}
			}
			else if (!fsw_scan_is(scan, EFFECT_kind, "feature_deleted"))
			{
				FswUpdate  *update;

				if (life->nupdates == maxupdates)
				{
					maxupdates = Max(8, maxupdates * 2);
					life->updates = life->updates == NULL ? palloc_array(FswUpdate, maxupdates) :
						repalloc_array(life->updates, FswUpdate, maxupdates);
				}
				update = &life->updates[life->nupdates++];
				update->at = at;
				update->arrived = fsw_scan_int64(scan, EFFECT_received_at, at);
				update->variants = fsw_scan_is(scan, EFFECT_kind, "variant");
				update->entry = entry_of(scan);
			}
			else if (environment_id < 0)
			{
				life->gone = life->gone_exactly ? Min(life->gone, at) : at;
				life->gone_exactly = true;
			}
			else if (environment_id == life->environment->environment_id)
			{
				if (life->nremovals == maxremovals)
				{
					maxremovals = Max(4, maxremovals * 2);
					life->removals = life->removals == NULL ? palloc_array(int64, maxremovals) :
						repalloc_array(life->removals, int64, maxremovals);
				}
				life->removals[life->nremovals++] = at;
			}
		}
	}

	/* those of another flag of the same name do not count */
	maxremovals = life->nremovals;
	life->nremovals = 0;
	for (int i = 0; i < maxremovals; i++)
	{
		if (fsw_life_has(life, life->created, life->removals[i]))
			life->removals[life->nremovals++] = life->removals[i];
	}
	for (int i = 0; any_version && !life->versioned && i < life->feature.nnames; i++)
		life->versioned = has_version(reader, life, life->feature.names[i]);
}

/*
 * Does an instant lie in the life of a flag, which began at created as far as
 * known?  What is named in an entry outside of it is another flag.
 */
bool
fsw_life_has(const FswLife *life, int64 created, int64 at)
{
	return (created == FSW_NEVER || at >= fsw_after(created, -LIFE_SPREAD)) &&
		(life->gone == FSW_FOREVER || at <= fsw_after(life->gone, LIFE_SPREAD));
}

/* All that lived in an environment ends with it, each flag at its own entry. */
static void
end_with_environment(FswReader *reader, FswLife *life)
{
	int64		last = life->nremovals == 0 ? FSW_NEVER : life->removals[life->nremovals - 1];
	int64		gone;

	if (life->nremovals == 0 || last >= life->gone)
		return;
	gone = fsw_environment_end(reader, life->environment);
	if (gone == FSW_FOREVER || last < gone)
		return;
	life->gone = last;
	life->gone_exactly = true;
	life->gone_with = FSW_CAUSE_ENVIRONMENT_DELETED;
}

/* Has the environment default events that can bear the time of a draft? */
static bool
has_drafts(FswReader *reader, const FswLife *life)
{
	FswScan    *scan = fsw_scan_of(reader, FSW_INDEX_DRAFT);

	fsw_scan_flag(scan, life);
	fsw_scan_begin(scan, ForwardScanDirection);
	while (fsw_scan_next(scan))
	{
		if (fsw_is_known(scan, FLAG_stored_at, life->environment))
			return true;
	}
	return false;
}

/* Was a flag, made at an instant, copied with all else of its environment? */
bool
fsw_life_is_copy(FswReader *reader, const FswLife *life, int64 created)
{
	fsw_environment_facts(reader, life->environment);
	return life->environment->clone &&
		(created == FSW_NEVER || created < life->environment->born);
}

FswLife *
fsw_life_read(FswReader *reader, FswEnvironment *environment, const FswFeature *feature)
{
	FswLife    *life = palloc0_object(FswLife);
	FswScan    *scan;

	life->environment = environment;
	life->feature = *feature;
	life->created = FSW_NEVER;
	life->gone = FSW_FOREVER;
	life->gone_with = FSW_CAUSE_FEATURE_DELETED;

	/* without an audit entry, a deletion is known by its announcement */
	scan = fsw_scan_of(reader, FSW_INDEX_DELETED);
	fsw_scan_flag(scan, life);
	fsw_scan_begin(scan, ForwardScanDirection);
	for (int i = 0; i < FSW_WINDOW && fsw_scan_next(scan); i++)
	{
		if (!fsw_is_known(scan, FLAG_stored_at, environment))
			continue;
		life->deleted = true;
		life->gone = Min(life->gone,
						 fsw_first_arrival(reader, fsw_scan_int64(scan, FLAG_delivery, 0),
										   fsw_scan_int64(scan, FLAG_received_at, 0)));
	}
	if (environment->has_project)
		read_entries(reader, life);
	end_with_environment(reader, life);
	read_webhooks(reader, life);
	if (!life->versioned)
		life->versioned = has_lists(reader, life);
	if (!life->versioned)
		life->drafts = has_drafts(reader, life);
	return life;
}

/* The value that initial_value, a word whatever its type, stands for. */
static Datum
initial_value(Datum initial)
{
	char	   *word = TextDatumGetCString(initial);
	size_t		digits = strspn(word + (word[0] == '-'), "0123456789");
	JsonbValue	string;

	if (strcmp(word, "true") == 0 || strcmp(word, "false") == 0 ||
		(digits > 0 && digits < 10 && word[digits + (word[0] == '-')] == '\0'))
		return DirectFunctionCall1(jsonb_in, CStringGetDatum(word));
	string.type = jbvString;
	string.val.string.val = word;
	string.val.string.len = strlen(word);
	return JsonbPGetDatum(JsonbValueToJsonb(&string));
}

/* Look for the creation in one environment's events, if later than *latest. */
static void
read_creation(FswReader *reader, const FswLife *life, FswIndex index, int64 environment_id,
			  FswCreation *creation, int64 *latest)
{
	FswScan    *scan = fsw_scan_of(reader, index);

	fsw_scan_equal(scan, Int64GetDatum(life->feature.id));
	fsw_scan_equal(scan, Int64GetDatum(environment_id));
	fsw_scan_equal(scan, Int64GetDatum(life->environment->source_hash));
	fsw_scan_begin(scan, BackwardScanDirection);
	/* old releases do not tell the defaults */
	for (int i = 0; i < FSW_WINDOW && fsw_scan_next(scan); i++)
	{
		bool		isnull;
		Datum		enabled = fsw_scan_column(scan, FLAG_feature_default_enabled, &isnull);
		Datum		initial;

		if (isnull || !fsw_is_known(scan, FLAG_stored_at, life->environment))
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
			initial_value(initial);
		return;
	}
}

/* Was the environment heard of by the instant at which the feature was made? */
static bool
was_known(FswReader *reader, const FswEnvironment *environment, int64 created)
{
	FswNames	names;

	fsw_names_read(reader, environment->source, "environment",
				   psprintf(INT64_FORMAT, environment->environment_id), &names);
	return names.n > 0 && names.from[0] <= fsw_after(created, LIFE_SPREAD);
}

/*
 * Whether a state was made from the defaults at all: as the project is set
 * when the feature, or later the environment, is made.
 */
static void
apply_settings(FswReader *reader, const FswLife *life, FswCreation *creation)
{
	const FswEnvironment *environment = life->environment;
	int64		created = life->created != FSW_NEVER ? life->created : creation->created;
	bool		by_environment = environment->born != FSW_NEVER && environment->born > created;
	int			prevented = fsw_entry_setting(reader, by_environment ? &environment->creation : &life->creation,
											  "project", "prevent_flag_defaults");

	creation->told = life->created != FSW_NEVER && prevented >= 0 && !fsw_life_is_copy(reader, life, created) &&
		(environment->born != FSW_NEVER || was_known(reader, environment, created));
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
fsw_creation_read(FswReader *reader, const FswLife *life)
{
	FswEnvironment *environment = life->environment;
	FswCreation creation = {0};
	int64		latest = FSW_NEVER;

	creation.created = FSW_NEVER;
	fsw_environment_facts(reader, environment);
	for (int i = 0; i < environment->nsiblings; i++)
		read_creation(reader, life, FSW_INDEX_DEFAULT, environment->siblings[i], &creation, &latest);
	for (int i = 0; !creation.has_defaults && i < environment->nsiblings; i++)
		read_creation(reader, life, FSW_INDEX_DELETED, environment->siblings[i], &creation, &latest);
	apply_settings(reader, life, &creation);
	return creation;
}

/* From when on both the feature, created then, and the environment exist. */
int64
fsw_life_born(FswReader *reader, const FswLife *life, int64 created)
{
	if (created == FSW_NEVER)
		return FSW_NEVER;
	fsw_environment_facts(reader, life->environment);
	return Max(created, life->environment->born);
}
