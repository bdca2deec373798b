/*-------------------------------------------------------------------------
 *
 * src/ingest/inbox.c
 *	  One delivery from the inbox into history: verify, decode, store.
 *
 * Source, size and signature can refuse a delivery; content cannot, because
 * Flagsmith never sends it again.  An error is raised only for the caller's
 * own mistakes (a webhook that does not exist or is disabled, a missing body)
 * and for the server's; everything a sender can cause is an outcome.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/detoast.h"
#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "catalog/pg_type_d.h"
#include "commands/async.h"
#include "commands/trigger.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "src/base/fsw.h"
#include "src/decode/row.h"

/* Columns of the view flagsmith.inbox. */
enum
{
	INBOX_webhook,
	INBOX_signature,
	INBOX_body,
	INBOX_received_at,
	INBOX_delivery_id,
	INBOX_outcome,
	INBOX_reason,
	INBOX_COUNT
};

/* A signature that is kept with a rejected delivery is cut to this. */
#define MAX_KEPT_SIGNATURE 256

/* Bodies above this are not kept with a rejected delivery. */
#define MAX_KEPT_BODY 65536

/* Event types that this session has already warned about. */
#define MAX_WARNED_TYPES 32

/* Bytes of an unrecognized event type that a message shows. */
#define MAX_SHOWN_TYPE 100

typedef struct Secret
{
	int64		id;
	TimestampTz valid_from;
	TimestampTz valid_until;
	FswKey	   *key;
} Secret;

/*
 * A webhook with its keyed secrets.  Kept by the call site, which lives as
 * long as a statement, so that a load of many rows reads it once; valid only
 * while the snapshot and the clock of transactions are the ones it was read
 * under.
 */
typedef struct Webhook
{
	MemoryContext mcxt;
	uint64		counter;
	CommandId	curcid;
	char	   *name;
	text	   *source;
	bool		enabled;
	bool		allow_unsigned;
	bool		notify;
	bool		keep_rejected;
	Interval   *max_spool_age;	/* NULL: take what is claimed */
	int			nsecrets;
	Secret	   *secrets;
} Webhook;

/* What the call site of the trigger keeps. */
typedef struct InboxState
{
	MemoryContext webhook_mcxt;
	MemoryContext delivery_mcxt;
	Webhook    *webhook;
} InboxState;

/* One request as it came, and what becomes of it. */
typedef struct Request
{
	text	   *webhook;
	text	   *signature;		/* NULL if missing */
	Datum		body;			/* toasted or not */
	bool		has_claim;
	TimestampTz claimed_at;
	bool		readmit;		/* from the ring: dated by us, never rejected anew */

	const char *outcome;
	char	   *reason;
	bool		has_id;
	int64		delivery_id;
} Request;

static char *
sqlstate_reason(int sqlerrcode, const char *text)
{
	return psprintf("%s %s", unpack_sql_state(sqlerrcode), text);
}

/* ---- webhook and secrets ---- */

/*
 * Read a webhook and key its secrets.  Raises 42704 if there is none of that
 * name.  SPI must be connected, with the owner's rights.
 */
static Webhook *
read_webhook(MemoryContext mcxt, text *name)
{
	static const Oid types[] = {TEXTOID};
	Datum		args[] = {PointerGetDatum(name)};
	Webhook    *webhook;
	MemoryContext old;
	HeapTuple	tuple;
	TupleDesc	desc;
	bool		isnull;
	Datum		value;

	fsw_execute(fsw_plan(FSW_PLAN_WEBHOOK,
							  "SELECT source, enabled, allow_unsigned, notify, keep_rejected, max_spool_age"
							  " FROM flagsmith.webhook WHERE name = $1",
							  1, types),
					 args, NULL, false, 0);
	if (SPI_processed != 1)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("webhook \"%s\" does not exist", text_to_cstring(name)),
				 errhint("Register it with flagsmith.add_webhook()."),
				 errhidestmt(true)));

	old = MemoryContextSwitchTo(mcxt);
	webhook = palloc0(sizeof(Webhook));
	webhook->mcxt = mcxt;
	webhook->name = text_to_cstring(name);
	tuple = SPI_tuptable->vals[0];
	desc = SPI_tuptable->tupdesc;
	webhook->source = DatumGetTextPCopy(SPI_getbinval(tuple, desc, 1, &isnull));
	webhook->enabled = DatumGetBool(SPI_getbinval(tuple, desc, 2, &isnull));
	webhook->allow_unsigned = DatumGetBool(SPI_getbinval(tuple, desc, 3, &isnull));
	webhook->notify = DatumGetBool(SPI_getbinval(tuple, desc, 4, &isnull));
	webhook->keep_rejected = DatumGetBool(SPI_getbinval(tuple, desc, 5, &isnull));
	value = SPI_getbinval(tuple, desc, 6, &isnull);
	if (!isnull)
	{
		webhook->max_spool_age = palloc(sizeof(Interval));
		*webhook->max_spool_age = *DatumGetIntervalP(value);
	}
	MemoryContextSwitchTo(old);
	SPI_freetuptable(SPI_tuptable);

	fsw_execute(fsw_plan(FSW_PLAN_SECRETS,
							  "SELECT id, coalesce(valid_from, '-infinity'), coalesce(valid_until, 'infinity'), secret"
							  " FROM flagsmith.webhook_secret"
							  " WHERE webhook = $1 AND secret <> '' AND id IS NOT NULL ORDER BY id DESC",
							  1, types),
					 args, NULL, false, 0);
	webhook->secrets = MemoryContextAllocZero(mcxt, (SPI_processed + 1) * sizeof(Secret));
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		Secret	   *secret = &webhook->secrets[i];
		text	   *plain;

		tuple = SPI_tuptable->vals[i];
		desc = SPI_tuptable->tupdesc;
		secret->id = DatumGetInt64(SPI_getbinval(tuple, desc, 1, &isnull));
		secret->valid_from = DatumGetTimestampTz(SPI_getbinval(tuple, desc, 2, &isnull));
		secret->valid_until = DatumGetTimestampTz(SPI_getbinval(tuple, desc, 3, &isnull));
		plain = DatumGetTextPP(SPI_getbinval(tuple, desc, 4, &isnull));
		secret->key = fsw_key_create(mcxt, VARDATA_ANY(plain), VARSIZE_ANY_EXHDR(plain));
		explicit_bzero(VARDATA_ANY(plain), VARSIZE_ANY_EXHDR(plain));
		webhook->nsecrets++;
	}
	SPI_freetuptable(SPI_tuptable);
	return webhook;
}

/* The webhook of a request, from what the call site keeps if that still holds. */
static Webhook *
find_webhook(InboxState *state, text *name)
{
	Webhook    *webhook = state->webhook;
	CommandId	curcid = GetActiveSnapshot()->curcid;

	if (webhook == NULL || webhook->counter != fsw_xact_counter() ||
		webhook->curcid != curcid ||
		strlen(webhook->name) != VARSIZE_ANY_EXHDR(name) ||
		memcmp(webhook->name, VARDATA_ANY(name), VARSIZE_ANY_EXHDR(name)) != 0)
	{
		state->webhook = NULL;
		MemoryContextReset(state->webhook_mcxt);
		webhook = read_webhook(state->webhook_mcxt, name);
		webhook->counter = fsw_xact_counter();
		webhook->curcid = curcid;
		state->webhook = webhook;
	}
	if (!webhook->enabled)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("webhook \"%s\" is disabled", webhook->name),
				 errhidestmt(true)));
	return webhook;
}

/*
 * When the request arrived: as claimed, but not in the future and not longer
 * ago than the webhook allows.
 */
static TimestampTz
arrival(const Request *request, const Webhook *webhook, TimestampTz now)
{
	TimestampTz oldest;

	if (!request->has_claim || TIMESTAMP_NOT_FINITE(request->claimed_at))
		return now;
	if (request->readmit || webhook->max_spool_age == NULL)
		return request->claimed_at;
	oldest = DatumGetTimestampTz(DirectFunctionCall2(timestamptz_mi_interval,
													 TimestampTzGetDatum(now),
													 IntervalPGetDatum(webhook->max_spool_age)));
	return Min(Max(request->claimed_at, oldest), now);
}

/* ---- the ring of rejected deliveries ---- */

/*
 * Keep a refused delivery in the webhook's ring, if there is a slot for it:
 * a free one, one that was readmitted or one older than a day at once; else
 * the oldest, at most once a second.  What was well-formed is never pushed
 * out by a signature that is missing or malformed.  Writers do not wait for
 * each other: who does not get the lock does not keep the body.
 */
static void
keep_rejected(const Request *request, TimestampTz received_at, TimestampTz now,
			  bool well_formed)
{
	static const Oid types[] = {TEXTOID, TEXTOID, TEXTOID, BYTEAOID,
	TIMESTAMPTZOID, TIMESTAMPTZOID, BOOLOID};
	Datum		values[7];
	char		nulls[8] = "       ";

	values[0] = PointerGetDatum(request->webhook);
	values[1] = CStringGetTextDatum(request->reason);
	if (request->signature == NULL)
		nulls[2] = 'n';
	else
		values[2] = DirectFunctionCall2(text_left, PointerGetDatum(request->signature),
										Int32GetDatum(MAX_KEPT_SIGNATURE));
	if (toast_raw_datum_size(request->body) - VARHDRSZ > MAX_KEPT_BODY)
		nulls[3] = 'n';
	else
		values[3] = request->body;
	values[4] = TimestampTzGetDatum(received_at);
	values[5] = TimestampTzGetDatum(now);
	values[6] = BoolGetDatum(well_formed);

	fsw_execute(fsw_plan(FSW_PLAN_REJECTED,
							  "WITH locked AS MATERIALIZED ("
							  " SELECT pg_try_advisory_xact_lock(hashtextextended('flagsmith.rejected ' || $1, 0)) AS ok),"
							  " ring AS ("
							  " SELECT s.slot, r.rejected_at,"
							  " CASE WHEN r.slot IS NULL OR r.readmitted_at IS NOT NULL"
							  " OR r.rejected_at < $6 - interval '1 day' THEN 0"
							  " WHEN r.reason LIKE '28W02 %' OR r.reason LIKE '28W03 %' THEN 1 ELSE 2 END AS rank,"
							  " max(r.rejected_at) OVER () AS newest"
							  " FROM generate_series(0, 63) AS s (slot)"
							  " LEFT JOIN flagsmith.rejected r ON r.webhook = $1 AND r.slot = s.slot),"
							  " victim AS ("
							  " SELECT slot FROM ring WHERE (SELECT ok FROM locked)"
							  " AND (rank = 0 OR ((rank = 1 OR $7) AND newest <= $6 - interval '1 second'))"
							  " ORDER BY rank, rejected_at, slot LIMIT 1)"
							  " INSERT INTO flagsmith.rejected AS kept"
							  " (webhook, slot, reason, signature, body, received_at, rejected_at)"
							  " SELECT $1, slot, $2, $3, $4, $5, $6 FROM victim"
							  " ON CONFLICT (webhook, slot) DO UPDATE SET reason = excluded.reason,"
							  " signature = excluded.signature, body = excluded.body,"
							  " received_at = excluded.received_at, rejected_at = excluded.rejected_at,"
							  " readmitted_at = NULL"
	/* Of another writer since the snapshot: the same rule once more. */
							  " WHERE kept.readmitted_at IS NOT NULL"
							  " OR kept.rejected_at < $6 - interval '1 day'"
							  " OR (kept.rejected_at <= $6 - interval '1 second'"
							  " AND ($7 OR kept.reason LIKE '28W02 %' OR kept.reason LIKE '28W03 %'))",
							  7, types),
					 values, nulls, false, 0);
}

/* ---- verifying ---- */

/*
 * Size and signature.  Returns whether the delivery is authentic; else
 * request->reason says why not, and *well_formed whether its signature could
 * have been one.  *secret_id is 0 where nothing had to be verified.
 */
static bool
verify(Request *request, const Webhook *webhook, TimestampTz received_at, bytea **body,
	   int64 *secret_id, bool *well_formed)
{
	uint8		expected[FSW_DIGEST_LENGTH];
	Size		size = toast_raw_datum_size(request->body) - VARHDRSZ;

	*secret_id = 0;
	*well_formed = false;
	if (size > (Size) fsw_max_body_size)
	{
		request->reason = sqlstate_reason(ERRCODE_PROGRAM_LIMIT_EXCEEDED,
										  psprintf("webhook body is too large: %zu bytes, at most %d are accepted",
												   size, fsw_max_body_size));
		return false;
	}
	*body = DatumGetByteaPP(request->body);

	if (request->signature == NULL || VARSIZE_ANY_EXHDR(request->signature) == 0)
	{
		if (webhook->allow_unsigned)
			return true;
		request->reason = sqlstate_reason(ERRCODE_FSW_SIGNATURE_MISSING,
										  "webhook signature is missing");
		return false;
	}
	if (!fsw_signature_parse(VARDATA_ANY(request->signature),
							 VARSIZE_ANY_EXHDR(request->signature), expected))
	{
		request->reason = sqlstate_reason(ERRCODE_FSW_SIGNATURE_MALFORMED,
										  "webhook signature is not 64 hexadecimal digits");
		return false;
	}

	/* Every live secret is tried, whichever matches. */
	*well_formed = true;
	for (int i = 0; i < webhook->nsecrets; i++)
	{
		const Secret *secret = &webhook->secrets[i];
		uint8		mac[FSW_DIGEST_LENGTH];

		if (received_at < secret->valid_from || received_at >= secret->valid_until)
			continue;
		fsw_key_sign(secret->key, (const uint8 *) VARDATA_ANY(*body),
					 VARSIZE_ANY_EXHDR(*body), mac);
		if (fsw_digest_equal(mac, expected))
			*secret_id = secret->id;
		explicit_bzero(mac, sizeof(mac));
	}
	if (*secret_id == 0)
	{
		request->reason = sqlstate_reason(ERRCODE_FSW_SIGNATURE_MISMATCH,
										  "webhook signature does not match the request body");
		return false;
	}
	return true;
}

/* ---- storing ---- */

/* An event type that we do not know as messages show it: a sender's text, of any length. */
static char *
shown_type(const char *event_type)
{
	int			len = strlen(event_type);

	if (len <= MAX_SHOWN_TYPE)
		return pstrdup(event_type);
	return psprintf("%.*s...", pg_mbcliplen(event_type, len, MAX_SHOWN_TYPE), event_type);
}

static void
warn_unrecognized(const char *event_type, int64 delivery_id)
{
	static char *warned[MAX_WARNED_TYPES];
	static int	nwarned = 0;

	for (int i = 0; i < nwarned; i++)
	{
		if (strcmp(warned[i], event_type) == 0)
			return;
	}
	if (nwarned == MAX_WARNED_TYPES)
		return;
	warned[nwarned++] = MemoryContextStrdup(TopMemoryContext, event_type);
	ereport(WARNING,
			(errcode(ERRCODE_FSW_WARNING_UNRECOGNIZED_EVENT),
			 errmsg("unrecognized webhook event type \"%s\"", event_type),
			 errdetail("Delivery %lld is stored, but no typed rows were written.",
					   (long long) delivery_id),
			 errhidestmt(true)));
}

/* Announce each flag that the event changed; the server folds repeats. */
static void
notify_changes(const FswEvent *event, text *source)
{
	ListCell   *lc;

	foreach(lc, event->rows)
	{
		const FswRow *row = lfirst(lc);
		StringInfoData payload;

		if (row->table != &fsw_tables[FSW_TABLE_FLAG_CHANGE] ||
			row->nulls[FLAG_environment_id] || row->nulls[FLAG_feature_id])
			continue;
		initStringInfo(&payload);
		appendStringInfoString(&payload, "{\"source\": ");
		escape_json(&payload, text_to_cstring(source));
		appendStringInfo(&payload, ", \"environment\": " INT64_FORMAT ", \"feature\": " INT64_FORMAT "}",
						 DatumGetInt64(row->values[FLAG_environment_id]),
						 DatumGetInt64(row->values[FLAG_feature_id]));
		Async_Notify("flagsmith_flag", payload.data);
		pfree(payload.data);
	}
}

/* Count one more arrival of a body that is stored already. */
static void
count_repeat(int64 delivery_id, text *webhook, TimestampTz received_at)
{
	static const Oid types[] = {INT8OID, TEXTOID, TIMESTAMPTZOID};
	Datum		values[] = {Int64GetDatum(delivery_id), PointerGetDatum(webhook),
	TimestampTzGetDatum(received_at)};
	char		nulls[4] = "   ";

	if (webhook == NULL)
		nulls[1] = 'n';
	fsw_execute_on_history(fsw_plan(FSW_PLAN_REPEAT,
									"INSERT INTO flagsmith.delivery_repeat AS r"
									" (delivery, webhook, count, first_received_at, last_received_at)"
									" VALUES ($1, $2, 1, $3, $3)"
									" ON CONFLICT (delivery, webhook) DO UPDATE SET count = r.count + 1,"
									" first_received_at = least(r.first_received_at, excluded.first_received_at),"
									" last_received_at = greatest(r.last_received_at, excluded.last_received_at)",
									3, types),
						   values, nulls);
}

/*
 * fsw_undecoded_reason() - what a delivery says about itself where an event
 * gives no typed rows; NULL if it gives them.
 */
char *
fsw_undecoded_reason(const FswEvent *event)
{
	if (event->unrecognized)
		return sqlstate_reason(ERRCODE_FSW_WARNING_UNRECOGNIZED_EVENT,
							   psprintf("unrecognized webhook event type \"%s\"",
										shown_type(event->event_type)));
	return event->reason;
}

/*
 * fsw_store_delivery() - the delivery and its typed rows, or one more arrival
 * of a body that is there already.
 *
 * Returns whether it is new.  delivery->id is set in either case.
 */
bool
fsw_store_delivery(FswDelivery *delivery, FswEvent *event, bytea *body, text *signature,
				   int64 secret_id)
{
	static const Oid insert_types[] = {TEXTOID, TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID,
		TEXTOID, INT8OID, TEXTOID, TIMESTAMPTZOID, BYTEAOID, BYTEAOID, TEXTOID};
	static const Oid find_types[] = {TEXTOID, TIMESTAMPTZOID, BYTEAOID};
	bytea	   *digest = palloc(VARHDRSZ + FSW_DIGEST_LENGTH);
	Datum		values[11];
	char		nulls[12] = "           ";
	char	   *reason = fsw_undecoded_reason(event);
	TimestampTz first;
	bool		isnull;

	SET_VARSIZE(digest, VARHDRSZ + FSW_DIGEST_LENGTH);
	fsw_sha256((const uint8 *) VARDATA_ANY(body), VARSIZE_ANY_EXHDR(body), (uint8 *) VARDATA(digest));

	values[0] = PointerGetDatum(delivery->webhook);
	nulls[0] = delivery->webhook == NULL ? 'n' : ' ';
	values[1] = PointerGetDatum(delivery->source);
	values[2] = TimestampTzGetDatum(delivery->received_at);
	values[3] = TimestampTzGetDatum(delivery->stored_at);
	values[4] = PointerGetDatum(signature);
	nulls[4] = signature == NULL ? 'n' : ' ';
	values[5] = Int64GetDatum(secret_id);
	nulls[5] = secret_id == 0 ? 'n' : ' ';
	if (event->event_type == NULL)
		nulls[6] = 'n';
	else
		values[6] = CStringGetTextDatum(event->event_type);
	values[7] = TimestampTzGetDatum(delivery->event_at);
	values[8] = PointerGetDatum(digest);
	values[9] = PointerGetDatum(body);
	if (reason == NULL)
		nulls[10] = 'n';
	else
		values[10] = CStringGetTextDatum(reason);

	fsw_execute(fsw_plan(FSW_PLAN_DELIVERY_INSERT,
							  "INSERT INTO flagsmith.delivery (webhook, source, received_at, stored_at,"
							  " signature, secret_id, event_type, event_at, digest, body, undecoded_reason)"
							  " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"
							  " ON CONFLICT ON CONSTRAINT delivery_event_key DO NOTHING RETURNING id",
							  11, insert_types),
					 values, nulls, false, 0);
	if (SPI_processed == 1)
	{
		delivery->id = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0],
												   SPI_tuptable->tupdesc, 1, &isnull));
		SPI_freetuptable(SPI_tuptable);
		fsw_store_rows(event, delivery);
		return true;
	}
	SPI_freetuptable(SPI_tuptable);

	/* The winner may have committed just now: SPI takes a fresh snapshot. */
	{
		Datum		key[] = {values[1], values[7], values[8]};

		fsw_execute(fsw_plan(FSW_PLAN_DELIVERY_FIND,
								  "SELECT id, received_at FROM flagsmith.delivery"
								  " WHERE source = $1 AND event_at = $2 AND digest = $3",
								  3, find_types),
						 key, NULL, false, 0);
	}
	if (SPI_processed != 1)
		elog(ERROR, "could not find the delivery that an insertion met");
	delivery->id = DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0],
											   SPI_tuptable->tupdesc, 1, &isnull));
	first = DatumGetTimestampTz(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2, &isnull));
	SPI_freetuptable(SPI_tuptable);
	/* it was built earlier than was known: so are its names */
	if (delivery->received_at < first)
		fsw_store_names(event, delivery);
	count_repeat(delivery->id, delivery->webhook, delivery->received_at);
	return false;
}

/*
 * One request from its bytes to its outcome.  SPI must be connected, with the
 * owner's rights; allocates in the current memory context.
 */
static void
admit(InboxState *state, Request *request)
{
	Webhook    *webhook = find_webhook(state, request->webhook);
	TimestampTz now = GetCurrentTimestamp();
	FswDelivery delivery = {0};
	FswEvent   *event;
	Jsonb	   *jsonb;
	bytea	   *body = NULL;
	int64		secret_id;
	bool		well_formed;
	char	   *reason = NULL;

	delivery.webhook = request->webhook;
	delivery.source = webhook->source;
	delivery.received_at = arrival(request, webhook, now);
	delivery.stored_at = now;

	if (!verify(request, webhook, delivery.received_at, &body, &secret_id, &well_formed))
	{
		request->outcome = "rejected";
		if (webhook->keep_rejected && !request->readmit)
			keep_rejected(request, delivery.received_at, now, well_formed);
		return;
	}

	jsonb = fsw_json_parse((const uint8 *) VARDATA_ANY(body), VARSIZE_ANY_EXHDR(body), &reason);
	if (jsonb != NULL)
		event = fsw_event_decode(jsonb, false);
	else
	{
		event = palloc0(sizeof(FswEvent));
		event->reason = reason;
	}

	/*
	 * Without a time of its own the key takes the arrival as claimed: a retry
	 * by the receiver meets itself, and true repeats stay apart.
	 */
	if (event->has_time)
		delivery.event_at = event->event_at;
	else if (request->has_claim && !TIMESTAMP_NOT_FINITE(request->claimed_at))
		delivery.event_at = request->claimed_at;
	else
		delivery.event_at = delivery.received_at;

	if (!fsw_store_delivery(&delivery, event, body,
							request->signature != NULL &&
							VARSIZE_ANY_EXHDR(request->signature) > 0 ? request->signature : NULL,
							secret_id))
		request->outcome = "duplicate";
	else if (event->reason != NULL)
	{
		request->outcome = "undecoded";
		request->reason = event->reason;
	}
	else
	{
		request->outcome = "stored";
		if (event->unrecognized)
			warn_unrecognized(shown_type(event->event_type), delivery.id);
		if (webhook->notify)
			notify_changes(event, webhook->source);
	}
	request->has_id = true;
	request->delivery_id = delivery.id;
}

static InboxState *
inbox_state(FunctionCallInfo fcinfo)
{
	InboxState *state = fcinfo->flinfo->fn_extra;

	if (state == NULL)
	{
		state = MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt, sizeof(InboxState));
		state->webhook_mcxt = AllocSetContextCreate(fcinfo->flinfo->fn_mcxt,
													"flagsmith_webhook webhook",
													ALLOCSET_SMALL_SIZES);
		state->delivery_mcxt = AllocSetContextCreate(fcinfo->flinfo->fn_mcxt,
													 "flagsmith_webhook delivery",
													 ALLOCSET_DEFAULT_SIZES);
		fcinfo->flinfo->fn_extra = state;
	}
	MemoryContextReset(state->delivery_mcxt);
	return state;
}

PG_FUNCTION_INFO_V1(fsw_inbox_insert);

/*
 * fsw_inbox_insert() - INSTEAD OF INSERT on the view flagsmith.inbox.
 *
 * Takes webhook, signature, body and received_at of the new row and returns
 * it with delivery_id, outcome and reason.  Raises 42704 and 55000 for a
 * webhook that does not exist or is disabled, and 22004 for a NULL webhook or
 * body.
 */
Datum
fsw_inbox_insert(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;
	TupleDesc	desc;
	Datum		values[INBOX_COUNT];
	bool		nulls[INBOX_COUNT];
	InboxState *state;
	Request		request = {0};
	MemoryContext caller;
	HeapTuple	result;

	if (!CALLED_AS_TRIGGER(fcinfo) ||
		!TRIGGER_FIRED_INSTEAD(trigdata->tg_event) ||
		!TRIGGER_FIRED_BY_INSERT(trigdata->tg_event) ||
		RelationGetRelid(trigdata->tg_relation) !=
		get_relname_relid("inbox", get_namespace_oid("flagsmith", false)))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" must be fired INSTEAD OF INSERT on \"%s\"",
						"flagsmith._inbox_insert", "flagsmith.inbox")));

	desc = RelationGetDescr(trigdata->tg_relation);
	heap_deform_tuple(trigdata->tg_trigtuple, desc, values, nulls);
	if (nulls[INBOX_webhook] || nulls[INBOX_body])
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("webhook name and body must not be null"),
				 errhidestmt(true)));

	state = inbox_state(fcinfo);
	caller = MemoryContextSwitchTo(state->delivery_mcxt);
	request.webhook = DatumGetTextPP(values[INBOX_webhook]);
	request.signature = nulls[INBOX_signature] ? NULL : DatumGetTextPP(values[INBOX_signature]);
	request.body = values[INBOX_body];
	request.has_claim = !nulls[INBOX_received_at];
	if (request.has_claim)
		request.claimed_at = DatumGetTimestampTz(values[INBOX_received_at]);

	SPI_connect();
	MemoryContextSwitchTo(state->delivery_mcxt);
	admit(state, &request);
	SPI_finish();

	MemoryContextSwitchTo(caller);
	nulls[INBOX_delivery_id] = !request.has_id;
	values[INBOX_delivery_id] = Int64GetDatum(request.delivery_id);
	nulls[INBOX_outcome] = false;
	values[INBOX_outcome] = CStringGetTextDatum(request.outcome);
	nulls[INBOX_reason] = request.reason == NULL;
	if (request.reason != NULL)
		values[INBOX_reason] = CStringGetTextDatum(request.reason);
	result = heap_form_tuple(desc, values, nulls);
	return PointerGetDatum(result);
}

PG_FUNCTION_INFO_V1(fsw_readmit);

/*
 * readmit(webhook text) returns bigint - verify what the ring holds again, and
 * take in what a secret added since then signs, with its arrival times.
 *
 * Raises 42704 and 55000 as the inbox does.
 */
Datum
fsw_readmit(PG_FUNCTION_ARGS)
{
	static const Oid ring_types[] = {TEXTOID};
	static const Oid mark_types[] = {TEXTOID, INT2OID};
	text	   *webhook = PG_GETARG_TEXT_PP(0);
	Datum		ring_args[] = {PointerGetDatum(webhook)};
	InboxState *state = inbox_state(fcinfo);
	SPITupleTable *ring;
	int64		readmitted = 0;

	SPI_connect();
	fsw_execute(fsw_plan(FSW_PLAN_RING,
							  "SELECT slot, signature, body, received_at FROM flagsmith.rejected"
							  " WHERE webhook = $1 AND readmitted_at IS NULL AND body IS NOT NULL"
							  " ORDER BY received_at FOR UPDATE",
							  1, ring_types),
					 ring_args, NULL, false, 0);
	ring = SPI_tuptable;

	/* An empty ring, too, must tell that there is no such webhook. */
	(void) find_webhook(state, webhook);
	for (uint64 i = 0; i < ring->numvals; i++)
	{
		HeapTuple	tuple = ring->vals[i];
		TupleDesc	desc = ring->tupdesc;
		Request		request = {0};
		MemoryContext old;
		bool		isnull;
		Datum		slot = SPI_getbinval(tuple, desc, 1, &isnull);
		Datum		signature = SPI_getbinval(tuple, desc, 2, &isnull);

		MemoryContextReset(state->delivery_mcxt);
		old = MemoryContextSwitchTo(state->delivery_mcxt);
		request.webhook = webhook;
		request.signature = isnull ? NULL : DatumGetTextPP(signature);
		request.body = SPI_getbinval(tuple, desc, 3, &isnull);
		request.has_claim = true;
		request.claimed_at = DatumGetTimestampTz(SPI_getbinval(tuple, desc, 4, &isnull));
		request.readmit = true;
		admit(state, &request);
		if (strcmp(request.outcome, "rejected") != 0)
		{
			Datum		mark_args[] = {PointerGetDatum(webhook), slot};

			fsw_execute(fsw_plan(FSW_PLAN_READMITTED,
									  "UPDATE flagsmith.rejected SET readmitted_at = clock_timestamp()"
									  " WHERE webhook = $1 AND slot = $2",
									  2, mark_types),
							 mark_args, NULL, false, 0);
			readmitted++;
		}
		MemoryContextSwitchTo(old);
		CHECK_FOR_INTERRUPTS();
	}
	SPI_finish();
	PG_RETURN_INT64(readmitted);
}

PG_FUNCTION_INFO_V1(fsw_reprocess);

/*
 * reprocess() returns bigint - decode again what could not be decoded when it
 * came, as a newer version of this extension may be able to.
 */
Datum
fsw_reprocess(PG_FUNCTION_ARGS)
{
	static const Oid mark_types[] = {INT8OID, TEXTOID};
	InboxState *state = inbox_state(fcinfo);
	Portal		portal;
	int64		decoded = 0;

	SPI_connect();
	portal = SPI_cursor_open(NULL,
							 fsw_plan(FSW_PLAN_UNDECODED,
									  "SELECT id, webhook, source, received_at, stored_at, event_at, body"
									  " FROM flagsmith.delivery"
									  " WHERE undecoded_reason IS NOT NULL AND body IS NOT NULL ORDER BY id",
									  0, NULL),
							 NULL, NULL, true);
	for (;;)
	{
		FswDelivery delivery;
		FswEvent   *event;
		HeapTuple	tuple;
		TupleDesc	desc;
		MemoryContext old;
		bool		isnull;
		bool		no_webhook;
		bytea	   *body;
		Jsonb	   *jsonb;
		char	   *reason;

		SPI_cursor_fetch(portal, true, 1);
		if (SPI_processed == 0)
			break;
		tuple = SPI_tuptable->vals[0];
		desc = SPI_tuptable->tupdesc;
		MemoryContextReset(state->delivery_mcxt);
		old = MemoryContextSwitchTo(state->delivery_mcxt);
		delivery.id = DatumGetInt64(SPI_getbinval(tuple, desc, 1, &isnull));
		delivery.webhook = (text *) DatumGetPointer(SPI_getbinval(tuple, desc, 2, &no_webhook));
		if (no_webhook)
			delivery.webhook = NULL;
		delivery.source = DatumGetTextPP(SPI_getbinval(tuple, desc, 3, &isnull));
		delivery.received_at = DatumGetTimestampTz(SPI_getbinval(tuple, desc, 4, &isnull));
		delivery.stored_at = DatumGetTimestampTz(SPI_getbinval(tuple, desc, 5, &isnull));
		delivery.event_at = DatumGetTimestampTz(SPI_getbinval(tuple, desc, 6, &isnull));
		body = DatumGetByteaPP(SPI_getbinval(tuple, desc, 7, &isnull));

		jsonb = fsw_json_parse((const uint8 *) VARDATA_ANY(body), VARSIZE_ANY_EXHDR(body), &reason);
		event = jsonb == NULL ? NULL : fsw_event_decode(jsonb, no_webhook);
		if (event != NULL && event->reason == NULL && !event->unrecognized)
		{
			Datum		values[] = {Int64GetDatum(delivery.id),
			event->event_type ? CStringGetTextDatum(event->event_type) : (Datum) 0};

			fsw_store_rows(event, &delivery);
			fsw_execute_on_history(fsw_plan(FSW_PLAN_DECODED,
											"UPDATE flagsmith.delivery SET undecoded_reason = NULL,"
											" event_type = coalesce($2, event_type) WHERE id = $1",
											2, mark_types),
								   values, event->event_type ? "  " : " n");
			decoded++;
		}
		MemoryContextSwitchTo(old);
		SPI_freetuptable(SPI_tuptable);
		CHECK_FOR_INTERRUPTS();
	}
	SPI_cursor_close(portal);
	SPI_finish();
	PG_RETURN_INT64(decoded);
}
