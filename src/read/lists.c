/*-------------------------------------------------------------------------
 *
 * src/read/lists.c
 *	  Of which environment the list of a version is, and who brought lists of a
 *	  flag.
 *
 * A list does not say it, so it is what the webhook is set to, else what the
 * audit entry of the version has, else what else the webhook brings.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_collation_d.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

#include "src/base/fsw.h"
#include "src/decode/row.h"
#include "src/read/read.h"

/* Was a row stored by the instant that is asked about? */
static bool
is_stored_by_then(const FswReader *reader, FswScan *scan, int column)
{
	return reader->known_at == DT_NOEND || fsw_scan_int64(scan, column, DT_NOEND) <= reader->known_at;
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

			if (id < 0 || !is_stored_by_then(reader, changes, FLAG_stored_at))
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

	fsw_scan_equal(scan, fsw_text_hash(uuid));
	fsw_scan_begin(scan, ForwardScanDirection);
	while (fsw_scan_next(scan))
	{
		int64		id = fsw_scan_int64(scan, EFFECT_environment_id, -1);

		if (id < 0 || !is_stored_by_then(reader, scan, EFFECT_stored_at) ||
			!fsw_scan_same_text(scan, EFFECT_source, source) ||
			!fsw_scan_same_text(scan, EFFECT_version, PointerGetDatum(uuid)))
			continue;
		result = result < 0 ? id : Min(result, id);
	}
	return result;
}

/* The environment that a webhook is set to be of, or -1.  Mostly one list after the other is of the same. */
static int64
environment_of_webhook(FswReader *reader, Datum webhook)
{
	FswScan    *scan;

	if (reader->webhook != NULL && fsw_same_text(webhook, PointerGetDatum(reader->webhook)))
		return reader->webhook_environment;
	scan = fsw_scan_of(reader, FSW_INDEX_WEBHOOK);
	fsw_scan_equal(scan, webhook);
	fsw_scan_begin(scan, ForwardScanDirection);
	reader->webhook_environment = fsw_scan_next(scan) ? fsw_scan_int64(scan, WEBHOOK_environment_id, -1) : -1;
	if (reader->webhook != NULL)
		pfree(reader->webhook);
	reader->webhook = (text *) MemoryContextAlloc(reader->mcxt, VARSIZE_ANY(DatumGetPointer(webhook)));
	memcpy(reader->webhook, DatumGetPointer(webhook), VARSIZE_ANY(DatumGetPointer(webhook)));
	return reader->webhook_environment;
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
		id = environment_of_webhook(reader, PointerGetDatum(webhook));
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
FswScan *
fsw_scan_lists(FswReader *reader, const FswFlagFacts *flag_facts)
{
	FswScan    *scan = fsw_scan_of(reader, FSW_INDEX_VERSION_FEATURE);

	fsw_scan_equal(scan, Int64GetDatum(flag_facts->feature.id));
	fsw_scan_equal(scan, Int64GetDatum(flag_facts->environment->source_hash));
	return scan;
}

/* Those that a webhook brought, or with NULL those without one. */
FswScan *
fsw_scan_lists_by(FswReader *reader, const FswFlagFacts *flag_facts, const text *webhook)
{
	FswScan    *scan = fsw_scan_lists(reader, flag_facts);

	if (webhook == NULL)
		fsw_scan_key_null(scan, true);
	else
		fsw_scan_equal(scan, fsw_text_hash(webhook));
	return scan;
}

/* The webhooks that brought lists of versions of the feature; NULL for none. */
void
fsw_flag_webhooks_read(FswReader *reader, FswFlagFacts *flag_facts)
{
	bool		isnull = false;
	int			max = 0;

	while (!isnull && !fsw_index_is_empty(reader, FSW_INDEX_VERSION_FEATURE))
	{
		FswScan    *scan = fsw_scan_lists(reader, flag_facts);
		Datum		webhook;

		if (flag_facts->nwebhooks > 0)
			fsw_scan_key(scan, BTGreaterStrategyNumber, fsw_text_hash(flag_facts->webhooks[flag_facts->nwebhooks - 1]));
		fsw_scan_begin(scan, ForwardScanDirection);
		if (!fsw_scan_next(scan))
		{
			/* a comparison does not find those without a webhook */
			if (flag_facts->nwebhooks == 0)
				return;
			scan = fsw_scan_lists_by(reader, flag_facts, NULL);
			fsw_scan_begin(scan, ForwardScanDirection);
			if (!fsw_scan_next(scan))
				return;
		}
		webhook = fsw_scan_column(scan, VERSION_webhook, &isnull);
		if (flag_facts->nwebhooks == max)
		{
			max = Max(4, max * 2);
			flag_facts->webhooks = flag_facts->webhooks == NULL ? palloc_array(text *, max) :
				repalloc_array(flag_facts->webhooks, text *, max);
		}
		flag_facts->webhooks[flag_facts->nwebhooks++] = isnull ? NULL : DatumGetTextPCopy(webhook);
	}
}

/*
 * Did a webhook that is set to be of the flag's environment bring any list of
 * it?  Then no other evidence of versions has to be looked for, but to know
 * what was known at an instant.
 */
bool
fsw_flag_has_own_webhook(FswReader *reader, const FswFlagFacts *flag_facts)
{
	for (int i = 0; i < flag_facts->nwebhooks && flag_facts->environment->known_at == DT_NOEND; i++)
	{
		if (flag_facts->webhooks[i] != NULL &&
			environment_of_webhook(reader, PointerGetDatum(flag_facts->webhooks[i])) == flag_facts->environment->environment_id)
			return true;
	}
	return false;
}

/* Is any list of the flag's environment among the latest of each webhook? */
bool
fsw_flag_has_lists(FswReader *reader, const FswFlagFacts *flag_facts)
{
	for (int i = 0; i < flag_facts->nwebhooks; i++)
	{
		int64		id = flag_facts->webhooks[i] == NULL ? -1 :
			environment_of_webhook(reader, PointerGetDatum(flag_facts->webhooks[i]));
		FswScan    *scan;

		/* then all of its lists are of that one */
		if (id >= 0 && id != flag_facts->environment->environment_id)
			continue;
		scan = fsw_scan_lists_by(reader, flag_facts, flag_facts->webhooks[i]);
		fsw_scan_begin(scan, BackwardScanDirection);
		for (int n = 0; n < FSW_WINDOW && fsw_scan_next(scan);)
		{
			if (!fsw_is_known(scan, VERSION_stored_at, flag_facts->environment))
				continue;
			if (fsw_list_is_of(reader, scan, flag_facts->environment))
				return true;
			n++;
		}
	}
	return false;
}

/* The environment default that a list tells, which is the first of its states. */
static bool
read_default(FswScan *lists, FswCreation *creation)
{
	bool		isnull;
	Datum		states = fsw_scan_column(lists, VERSION_states, &isnull);
	JsonbValue *first = isnull || !JB_ROOT_IS_ARRAY(DatumGetJsonbP(states)) ? NULL :
		getIthJsonbValueFromContainer(&DatumGetJsonbP(states)->root, 0);
	JsonbValue *enabled;
	JsonbValue *value;

	if (first == NULL || first->type != jbvBinary || !JsonContainerIsObject(first->val.binary.data))
		return false;
	enabled = getKeyJsonValueFromContainer(first->val.binary.data, "enabled", 7, NULL);
	value = getKeyJsonValueFromContainer(first->val.binary.data, "value", 5, NULL);
	if (enabled == NULL || enabled->type != jbvBool || value == NULL)
		return false;
	creation->enabled = enabled->val.boolean;
	creation->value = JsonbPGetDatum(JsonbValueToJsonb(value));
	return true;
}

/* Is a list, by its arrival and else by its uuid, the earlier one of two? */
static bool
is_earlier(int64 arrived, text *uuid, int64 other_arrived, text *other_uuid)
{
	if (arrived != other_arrived)
		return arrived < other_arrived;
	return uuid != NULL && other_uuid != NULL &&
		DatumGetBool(DirectFunctionCall2Coll(text_lt, C_COLLATION_OID, PointerGetDatum(uuid), PointerGetDatum(other_uuid)));
}

/*
 * Guess what the feature was made with, of which no event tells.  Then no
 * environment default was changed either, and the first list of a version,
 * of whichever environment, has what all were made with.
 */
void
fsw_creation_guess(FswReader *reader, const FswFlagFacts *flag_facts, FswCreation *creation)
{
	int64		earliest = FSW_FOREVER;
	text	   *earliest_uuid = NULL;

	for (int i = 0; i < flag_facts->nwebhooks; i++)
	{
		FswScan    *scan = fsw_scan_lists_by(reader, flag_facts, flag_facts->webhooks[i]);

		fsw_scan_begin(scan, ForwardScanDirection);
		for (int n = 0; n < FSW_WINDOW && fsw_scan_next(scan); n++)
		{
			int64		arrived = fsw_first_arrival(reader, fsw_scan_int64(scan, VERSION_delivery, 0),
													fsw_scan_int64(scan, VERSION_received_at, FSW_FOREVER));
			text	   *uuid = fsw_scan_text(scan, VERSION_uuid);

			if (!fsw_is_known(scan, VERSION_stored_at, flag_facts->environment) ||
				!is_earlier(arrived, uuid, earliest, earliest_uuid) || !read_default(scan, creation))
				continue;
			creation->has_defaults = creation->guessed = true;
			earliest = arrived;
			earliest_uuid = uuid == NULL ? NULL : DatumGetTextPCopy(PointerGetDatum(uuid));
		}
	}
}
