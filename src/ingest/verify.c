/*-------------------------------------------------------------------------
 *
 * src/ingest/verify.c
 *	  May a request enter history: when it came, its size, its signature.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/detoast.h"
#include "common/int.h"
#include "utils/timestamp.h"

#include "src/base/fsw.h"
#include "src/decode/row.h"
#include "src/ingest/ingest.h"

/* No spool is older, as the constraint of flagsmith.webhook has it. */
#define MAX_SPOOL_USECS (INT64CONST(100) * 366 * USECS_PER_DAY)

/*
 * The length of max_spool_age, with months of 30 days as comparisons of
 * intervals have them.  Not by the server's subtraction, which raises for an
 * interval whose parts are out of range although they cancel out.
 */
static int64
spool_usecs(const Interval *age)
{
	int64		days = (int64) age->month * DAYS_PER_MONTH + age->day;
	int64		usecs;

	if (pg_mul_s64_overflow(days, USECS_PER_DAY, &usecs) ||
		pg_add_s64_overflow(usecs, age->time, &usecs) ||
		usecs > MAX_SPOOL_USECS)
		return days < 0 ? 0 : MAX_SPOOL_USECS;
	return Max(usecs, 0);
}

/*
 * When the request arrived: as claimed, but not in the future and not longer
 * ago than the webhook allows.
 */
TimestampTz
fsw_arrival(const Request *request, const Webhook *webhook, TimestampTz now)
{
	TimestampTz oldest;

	if (!request->has_claim || TIMESTAMP_NOT_FINITE(request->claimed_at))
		return now;
	if (request->readmit || webhook->max_spool_age == NULL)
		return Min(request->claimed_at, now);
	oldest = now - spool_usecs(webhook->max_spool_age);
	return Min(Max(request->claimed_at, oldest), now);
}

/*
 * Size and signature.  Returns whether the delivery is authentic; else
 * request->reason says why not.  *secret_id is 0 where nothing had to be verified.
 */
bool
fsw_verify(Request *request, const Webhook *webhook, TimestampTz received_at, bytea **body,
		   int64 *secret_id)
{
	uint8		expected[FSW_DIGEST_LENGTH];
	Size		size = toast_raw_datum_size(request->body) - VARHDRSZ;

	*secret_id = 0;
	if (size > (Size) fsw_max_body_size)
	{
		request->reason = fsw_sqlstate_reason(ERRCODE_PROGRAM_LIMIT_EXCEEDED,
											  psprintf("webhook body is too large: %zu bytes, at most %d are accepted",
													   size, fsw_max_body_size));
		return false;
	}
	*body = DatumGetByteaPP(request->body);

	if (request->signature == NULL || VARSIZE_ANY_EXHDR(request->signature) == 0)
	{
		if (webhook->allow_unsigned)
			return true;
		request->reason = fsw_sqlstate_reason(ERRCODE_FSW_SIGNATURE_MISSING,
											  "webhook signature is missing");
		return false;
	}
	if (!fsw_signature_parse(VARDATA_ANY(request->signature),
							 VARSIZE_ANY_EXHDR(request->signature), expected))
	{
		request->reason = fsw_sqlstate_reason(ERRCODE_FSW_SIGNATURE_MALFORMED,
											  "webhook signature is not 64 hexadecimal digits");
		return false;
	}

	/* Every live secret is tried, whichever matches. */
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
		request->reason = fsw_sqlstate_reason(ERRCODE_FSW_SIGNATURE_MISMATCH,
											  "webhook signature does not match the request body");
		return false;
	}
	return true;
}

/*
 * Is a row about another environment than this one?  A version list names
 * none; a test request, which has no meaning, passes.  An audit entry without
 * an environment is about a whole project, and so about others as well.
 */
static bool
row_is_foreign(const FswRow *row, int64 environment_id)
{
	if (row->table == &fsw_tables[FSW_TABLE_FLAG_CHANGE])
		return !DatumGetBool(row->values[FLAG_is_test]) && !row->nulls[FLAG_environment_id] &&
			DatumGetInt64(row->values[FLAG_environment_id]) != environment_id;
	if (row->table == &fsw_tables[FSW_TABLE_AUDIT_LOG])
		return !DatumGetBool(row->values[AUDIT_is_test]) &&
			(row->nulls[AUDIT_environment_id] ||
			 DatumGetInt64(row->values[AUDIT_environment_id]) != environment_id);
	return false;
}

/* fsw_event_is_foreign() - whether an event is about another environment than this one. */
bool
fsw_event_is_foreign(const FswEvent *event, int64 environment_id)
{
	ListCell   *lc;

	foreach(lc, event->rows)
	{
		if (row_is_foreign(lfirst(lc), environment_id))
			return true;
	}
	return false;
}

char *
fsw_other_environment_reason(void)
{
	return fsw_sqlstate_reason(ERRCODE_FSW_OTHER_ENVIRONMENT,
							   "webhook is registered for another environment");
}

/*
 * fsw_may_speak() - a webhook that was registered for one environment brings
 * nothing about another.  Returns false with request->reason set.
 *
 * Refused, not stored without rows: that would take the key from the
 * organisation webhook's body, which has the same bytes.
 */
bool
fsw_may_speak(Request *request, const Webhook *webhook, const FswEvent *event)
{
	if (!webhook->has_environment || !fsw_event_is_foreign(event, webhook->environment_id))
		return true;
	request->reason = fsw_other_environment_reason();
	return false;
}
