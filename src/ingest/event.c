/*-------------------------------------------------------------------------
 *
 * src/ingest/event.c
 *	  What happens to secrets and arrivals, for the evidence.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type_d.h"

#include "src/ingest/ingest.h"

/*
 * fsw_record_secret_added() - that a webhook has a secret more; never the
 * secret.  With the owner's rights: whoever may add one may not write here.
 * Where events come by logical replication, none is made: its id would be one
 * of the publisher's.
 */
void
fsw_record_secret_added(text *webhook, int64 id, TimestampTz valid_from, TimestampTz valid_until)
{
	static const Oid types[] = {TEXTOID, INT8OID, TIMESTAMPTZOID, TIMESTAMPTZOID};
	Datum		values[] = {PointerGetDatum(webhook), Int64GetDatum(id), TimestampTzGetDatum(valid_from),
	TimestampTzGetDatum(valid_until)};
	FswOwner	saved;

	if (fsw_is_subscriber())
		return;
	fsw_xact_assign_id();
	SPI_connect();
	saved = fsw_enter_owner();
	fsw_execute(fsw_plan(FSW_PLAN_EVENT_SECRET,
						 "INSERT INTO flagsmith.evidence_event (kind, webhook, subject, valid_from, valid_until)"
						 " VALUES ('secret added', $1, $2, $3, $4)",
						 lengthof(types), types),
				values, NULL, false, 0);
	fsw_leave_owner(saved);
	SPI_finish();
}

/* fsw_record_arrival() - that a repeat arrived before any that was known. */
void
fsw_record_arrival(text *webhook, int64 repeat, TimestampTz arrived_at)
{
	static const Oid types[] = {TEXTOID, INT8OID, TIMESTAMPTZOID};
	Datum		values[] = {PointerGetDatum(webhook), Int64GetDatum(repeat), TimestampTzGetDatum(arrived_at)};
	char		nulls[] = "   ";

	if (webhook == NULL)
		nulls[0] = 'n';
	fsw_execute(fsw_plan(FSW_PLAN_EVENT_ARRIVAL,
						 "INSERT INTO flagsmith.evidence_event (kind, webhook, subject, valid_from)"
						 " SELECT 'arrival before', $1, $2, $3 WHERE NOT EXISTS (SELECT FROM flagsmith.evidence_event e"
						 " WHERE e.kind = 'arrival before' AND e.subject = $2 AND e.valid_from = $3)",
						 lengthof(types), types),
				values, nulls, false, 0);
}
