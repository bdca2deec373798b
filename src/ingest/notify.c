/*-------------------------------------------------------------------------
 *
 * src/ingest/notify.c
 *	  What others are told about a stored delivery: notifications and warnings.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "commands/async.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/memutils.h"

#include "src/base/fsw.h"
#include "src/decode/row.h"
#include "src/ingest/ingest.h"

/* Event types that this session has already warned about. */
#define MAX_WARNED_TYPES 32

/* Bytes of an unrecognized event type that a message shows. */
#define MAX_SHOWN_TYPE 100

/* An event type that we do not know as messages show it: a sender's text, of any length. */
char *
fsw_shown_type(const char *event_type)
{
	int			len = strlen(event_type);

	if (len <= MAX_SHOWN_TYPE)
		return pstrdup(event_type);
	return psprintf("%.*s...", pg_mbcliplen(event_type, len, MAX_SHOWN_TYPE), event_type);
}

void
fsw_warn_unrecognized(const char *event_type, int64 delivery_id, bool by_shape)
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
			 by_shape ?
			 errdetail("Delivery %lld is stored and read by its shape, as a report of a state.",
					   (long long) delivery_id) :
			 errdetail("Delivery %lld is stored, but no typed rows were written.",
					   (long long) delivery_id),
			 errhidestmt(true)));
}

/* Announce each flag that the event changed; the server folds repeats. */
void
fsw_notify_changes(const FswEvent *event, text *source)
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
