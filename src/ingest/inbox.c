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

#include "access/htup_details.h"
#include "catalog/namespace.h"
#include "commands/trigger.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "src/base/fsw.h"
#include "src/decode/row.h"
#include "src/ingest/ingest.h"

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

char *
fsw_sqlstate_reason(int sqlerrcode, const char *text)
{
	return psprintf("%s %s", unpack_sql_state(sqlerrcode), text);
}

static void
reject(Request *request, const Webhook *webhook, TimestampTz received_at, TimestampTz now)
{
	request->outcome = "rejected";
	if (!request->readmit)
		fsw_keep_rejected(request, webhook, received_at, now);
}

/*
 * One request from its bytes to its outcome.  SPI must be connected, with the
 * owner's rights; allocates in the current memory context.
 */
void
fsw_admit(InboxState *state, Request *request)
{
	Webhook    *webhook;
	TimestampTz now;
	FswDelivery delivery = {0};
	FswEvent   *event;
	bytea	   *body = NULL;
	int64		secret_id;

	webhook = fsw_find_webhook(state, request->webhook);
	now = fsw_storing_time();
	delivery.webhook = request->webhook;
	delivery.source = webhook->source;
	delivery.received_at = fsw_arrival(request, webhook, now);
	delivery.stored_at = now;

	if (!fsw_verify(request, webhook, delivery.received_at, &body, &secret_id))
	{
		reject(request, webhook, delivery.received_at, now);
		return;
	}

	event = fsw_body_decode((const uint8 *) VARDATA_ANY(body), VARSIZE_ANY_EXHDR(body), false);
	if (!fsw_may_speak(request, webhook, event))
	{
		reject(request, webhook, delivery.received_at, now);
		return;
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
		if (event->unrecognized || event->by_shape)
			fsw_warn_unrecognized(fsw_shown_type(event->event_type), delivery.id, event->by_shape);
		if (webhook->notify)
			fsw_notify_changes(event, webhook->source);
	}
	request->has_id = true;
	request->delivery_id = delivery.id;
}

InboxState *
fsw_inbox_state(FunctionCallInfo fcinfo)
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
	Datum	   *values;
	bool	   *nulls;
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
	if (desc->natts < INBOX_COUNT)
		elog(ERROR, "view \"flagsmith.inbox\" has %d columns, expected %d", desc->natts, INBOX_COUNT);

	/* As many as the view has: a later version may have more of them. */
	values = palloc_array(Datum, desc->natts);
	nulls = palloc_array(bool, desc->natts);
	heap_deform_tuple(trigdata->tg_trigtuple, desc, values, nulls);
	if (nulls[INBOX_webhook] || nulls[INBOX_body])
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("webhook name and body must not be null"),
				 errhidestmt(true)));

	fsw_refuse_on_subscriber();
	state = fsw_inbox_state(fcinfo);
	caller = MemoryContextSwitchTo(state->delivery_mcxt);
	request.webhook = DatumGetTextPP(values[INBOX_webhook]);
	request.signature = nulls[INBOX_signature] ? NULL : DatumGetTextPP(values[INBOX_signature]);
	request.body = values[INBOX_body];
	request.has_claim = !nulls[INBOX_received_at];
	if (request.has_claim)
		request.claimed_at = DatumGetTimestampTz(values[INBOX_received_at]);

	SPI_connect();
	MemoryContextSwitchTo(state->delivery_mcxt);
	fsw_admit(state, &request);
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
