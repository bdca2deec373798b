/*-------------------------------------------------------------------------
 *
 * src/ingest/import.c
 *	  Back-fill: pages of the REST API, and events that were read from
 *	  Flagsmith's own database, into history.
 *
 * A page is a delivery without a webhook, its text the body, so that there is
 * one path from bytes to typed rows.  Unlike the inbox, these functions refuse
 * what they cannot decode: whoever calls them still has the page.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type_d.h"
#include "funcapi.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/json.h"
#include "utils/timestamp.h"

#include "src/base/fsw.h"
#include "src/decode/row.h"

/* As the constraint of flagsmith.webhook has it. */
#define MAX_SOURCE 255

/* A text of the database as jsonb; raises what the parser has against it. */
static Jsonb *
parse_page(const text *page)
{
	char	   *reason;
	char	   *utf8 = pg_server_to_any(VARDATA_ANY(page), VARSIZE_ANY_EXHDR(page), PG_UTF8);
	size_t		len = utf8 == VARDATA_ANY(page) ? VARSIZE_ANY_EXHDR(page) : strlen(utf8);
	Jsonb	   *result = fsw_json_parse((const uint8 *) utf8, len, &reason);

	if (result == NULL)
		fsw_raise_reason(reason, psprintf("The page has %zu bytes.", len));
	return result;
}

/* (delivery_id, outcome, entries) */
static Datum
import_result(FunctionCallInfo fcinfo, int64 delivery_id, bool stored, int64 entries)
{
	TupleDesc	desc;
	Datum	   *values;
	bool	   *nulls;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	if (desc->natts < 3)
		elog(ERROR, "return type has %d columns, expected 3", desc->natts);

	/* As many as the function has: a later version may return more of them. */
	values = palloc0_array(Datum, desc->natts);
	nulls = palloc_array(bool, desc->natts);
	for (int i = 0; i < desc->natts; i++)
		nulls[i] = i >= 3;
	values[0] = Int64GetDatum(delivery_id);
	values[1] = CStringGetTextDatum(stored ? "stored" : "duplicate");
	values[2] = Int64GetDatum(entries);
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), values, nulls));
}

static bool
is_page(const FswEvent *event)
{
	return strcmp(event->event_type, FSW_AUDIT_PAGE) == 0 ||
		strcmp(event->event_type, FSW_STATES_PAGE) == 0;
}

/*
 * Store a page and return (delivery_id, outcome, entries).  source and
 * received_at are what the typed rows take from the delivery; expected is a
 * kind of page, or NULL for an event.
 */
static Datum
import_page(FunctionCallInfo fcinfo, const char *page, size_t len, text *source,
			TimestampTz received_at, const char *expected)
{
	FswDelivery delivery = {0};
	FswEvent   *event;
	char	   *utf8 = pg_server_to_any(page, len, PG_UTF8);
	bytea	   *body;
	int64		entries = 0;
	bool		stored;
	ListCell   *lc;

	fsw_refuse_on_subscriber();
	if (utf8 != page)
		len = strlen(utf8);
	body = palloc(VARHDRSZ + len);
	SET_VARSIZE(body, VARHDRSZ + len);
	memcpy(VARDATA(body), utf8, len);

	event = fsw_body_decode((const uint8 *) utf8, len, true);
	if (expected == NULL && event->origin != NULL && strcmp(event->origin, FSW_ORIGIN_DATABASE) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_FSW_INVALID_PAYLOAD),
				 errmsg("event was not read from Flagsmith's database"),
				 errhint("One that was has \"flagsmith_import\": \"database\"."),
				 errhidestmt(true)));
	if (event->reason != NULL)
		fsw_raise_reason(event->reason, psprintf("The page has %zu bytes.", len));
	if (expected == NULL ? is_page(event) : strcmp(event->event_type, expected) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_FSW_INVALID_PAYLOAD),
				 expected == NULL ? errmsg("event is a page") : errmsg("page is not one of the audit log"),
				 errhidestmt(true)));

	delivery.source = source;
	delivery.received_at = received_at;
	delivery.stored_at = fsw_storing_time();
	delivery.event_at = event->event_at;
	SPI_connect();
	stored = fsw_store_delivery(&delivery, event, body, NULL, 0);
	SPI_finish();

	foreach(lc, event->rows)
	{
		const FswRow *row = lfirst(lc);

		if (row->table != &fsw_tables[FSW_TABLE_AUDIT_EFFECT])
			entries++;
	}
	return import_result(fcinfo, delivery.id, stored, entries);
}

static void
require_arguments(FunctionCallInfo fcinfo, int count, const char *names)
{
	for (int i = 0; i < count; i++)
	{
		if (PG_ARGISNULL(i))
			ereport(ERROR,
					(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
					 errmsg("%s must not be null", names),
					 errhidestmt(true)));
	}
}

static void
check_source(const text *source)
{
	if (VARSIZE_ANY_EXHDR(source) == 0 || VARSIZE_ANY_EXHDR(source) > MAX_SOURCE)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("source must have 1 to %d bytes", MAX_SOURCE),
				 errhidestmt(true)));
}

PG_FUNCTION_INFO_V1(fsw_import_audit_log);

/*
 * import_audit_log(page text, source text) - a page of the REST audit API, or
 * one entry of it with its details.
 *
 * Raises 22004 for a NULL, 22023 for a source that no webhook could have, 22W01
 * or the parser's code for what is no such page.
 */
Datum
fsw_import_audit_log(PG_FUNCTION_ARGS)
{
	text	   *page;

	require_arguments(fcinfo, 2, "page and source");
	page = PG_GETARG_TEXT_PP(0);
	check_source(PG_GETARG_TEXT_PP(1));
	return import_page(fcinfo, VARDATA_ANY(page), VARSIZE_ANY_EXHDR(page),
					   PG_GETARG_TEXT_PP(1), GetCurrentTimestamp(), FSW_AUDIT_PAGE);
}

static void
check_instant(TimestampTz at)
{
	if (TIMESTAMP_NOT_FINITE(at) || at > GetCurrentTimestamp())
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("at must be an instant in the past"),
				 errhidestmt(true)));
}

PG_FUNCTION_INFO_V1(fsw_import_event);

/*
 * import_event(event text, at timestamptz, source text) - an event that was
 * read from Flagsmith's own database, as a webhook would have brought it at
 * that instant.
 *
 * Raises 22004 for a NULL, 22023 for an instant that is not in the past and for
 * a source that no webhook could have, 22W01 or the parser's code for what is
 * no such event.
 */
Datum
fsw_import_event(PG_FUNCTION_ARGS)
{
	text	   *event;

	require_arguments(fcinfo, 3, "event, at and source");
	event = PG_GETARG_TEXT_PP(0);
	check_instant(PG_GETARG_TIMESTAMPTZ(1));
	check_source(PG_GETARG_TEXT_PP(2));
	return import_page(fcinfo, VARDATA_ANY(event), VARSIZE_ANY_EXHDR(event),
					   PG_GETARG_TEXT_PP(2), PG_GETARG_TIMESTAMPTZ(1), NULL);
}

/* An environment as a page is wrapped with it. */
typedef struct Environment
{
	text	   *source;
	char	   *id;
	char	   *name;
	char	   *project_id;		/* NULL where no delivery told it */
	char	   *project;
} Environment;

/*
 * The environment that a caller means, by its newest name.  page_environment
 * decides between several of one name.
 */
static Environment
find_environment(text *argument, int64 page_environment)
{
	static const Oid types[] = {TEXTOID, TEXTOID};
	Datum		args[] = {PointerGetDatum(argument),
	page_environment == 0 ? (Datum) 0 : CStringGetTextDatum(psprintf(INT64_FORMAT, page_environment))};
	MemoryContext caller = CurrentMemoryContext;
	Environment result;
	MemoryContext old;
	HeapTuple	tuple;
	TupleDesc	desc;
	bool		isnull;

	SPI_connect();
	fsw_execute(fsw_plan(FSW_PLAN_ENVIRONMENT,
						 "SELECT e.source, e.id, e.name, e.project_id, p.name"
						 " FROM (SELECT n.source, n.id, max(n.project_id)::pg_catalog.text AS project_id,"
						 "  flagsmith._name(n.source, 'environment', n.id) AS name"
						 "  FROM flagsmith.name n WHERE n.kind = 'environment'"
						 "  GROUP BY n.source, n.id OFFSET 0) e"
						 " CROSS JOIN LATERAL (SELECT flagsmith._name(e.source, 'project', e.project_id) AS name) p"
						 " WHERE $1 IN (e.name, p.name || '/' || e.name, e.source || '/' || p.name || '/' || e.name)"
						 " ORDER BY e.id IS NOT DISTINCT FROM $2 DESC",
						 2, types),
				args, page_environment == 0 ? " n" : "  ", true, 0);
	if (SPI_processed == 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("environment \"%s\" is not known", text_to_cstring(argument)),
				 errhint("Import the audit log first, or let a webhook bring a body that names it."),
				 errhidestmt(true)));
	tuple = SPI_tuptable->vals[0];
	desc = SPI_tuptable->tupdesc;
	old = MemoryContextSwitchTo(caller);
	result.source = DatumGetTextPCopy(SPI_getbinval(tuple, desc, 1, &isnull));
	result.id = SPI_getvalue(tuple, desc, 2);
	result.name = SPI_getvalue(tuple, desc, 3);
	result.project_id = SPI_getvalue(tuple, desc, 4);
	result.project = SPI_getvalue(tuple, desc, 5);
	MemoryContextSwitchTo(old);
	if (SPI_processed > 1 &&
		(page_environment == 0 || strcmp(result.id, psprintf(INT64_FORMAT, page_environment)) != 0 ||
		 strcmp(SPI_getvalue(SPI_tuptable->vals[1], desc, 2), result.id) == 0))
		ereport(ERROR,
				(errcode(ERRCODE_AMBIGUOUS_PARAMETER),
				 errmsg("environment \"%s\" is ambiguous", text_to_cstring(argument)),
				 errhint("Write \"project/environment\" or \"source/project/environment\"."),
				 errhidestmt(true)));
	SPI_finish();
	return result;
}

/*
 * The environment that the arguments after the first four describe, as the
 * REST API gave it: nothing need be known of it.
 */
static Environment
given_environment(FunctionCallInfo fcinfo)
{
	Environment result;

	if (PG_ARGISNULL(5) || PG_ARGISNULL(6))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("project_id and project must not be null beside environment_id"),
				 errhidestmt(true)));
	if (PG_ARGISNULL(7))
		result.source = cstring_to_text("default");
	else
		result.source = PG_GETARG_TEXT_PP(7);
	check_source(result.source);
	result.id = psprintf(INT64_FORMAT, PG_GETARG_INT64(4));
	result.name = text_to_cstring(PG_GETARG_TEXT_PP(1));
	result.project_id = psprintf(INT64_FORMAT, PG_GETARG_INT64(5));
	result.project = text_to_cstring(PG_GETARG_TEXT_PP(6));
	return result;
}

PG_FUNCTION_INFO_V1(fsw_import_feature_states);

/*
 * import_feature_states(page text, environment text, at timestamptz,
 * segments text, environment_id, project_id, project, source) - what was live
 * in an environment at an instant.
 *
 * The page is stored verbatim within the wrapper that src/decode/page.c describes.
 * Raises 22004 for a NULL, 22023 for an instant that is not in the past and for
 * a source that no webhook could have, 42704 and 42P08 for an environment that
 * is not known or is several, 22W01 or the parser's code for what is no page of
 * its states.
 */
Datum
fsw_import_feature_states(PG_FUNCTION_ARGS)
{
	text	   *page;
	Jsonb	   *parsed;
	TimestampTz at;
	Environment environment;
	StringInfoData body;
	char		time[MAXDATELEN + 1];
	int			utc = 0;

	require_arguments(fcinfo, 3, "page, environment and at");
	page = PG_GETARG_TEXT_PP(0);
	at = PG_GETARG_TIMESTAMPTZ(2);
	check_instant(at);

	/*
	 * Each text must be JSON by itself, or the wrapper could be something
	 * else.
	 */
	parsed = parse_page(page);
	environment = PG_ARGISNULL(4) ?
		find_environment(PG_GETARG_TEXT_PP(1), fsw_page_environment(parsed)) :
		given_environment(fcinfo);

	initStringInfo(&body);
	JsonEncodeDateTime(time, TimestampTzGetDatum(at), TIMESTAMPTZOID, &utc);
	appendStringInfo(&body, "{\"flagsmith_import\": \"feature_states\", \"at\": \"%s\", \"environment\": {\"id\": %s, \"name\": ",
					 time, environment.id);
	escape_json(&body, environment.name);
	appendStringInfoChar(&body, '}');
	if (environment.project_id != NULL)
	{
		appendStringInfo(&body, ", \"project\": {\"id\": %s, \"name\": ", environment.project_id);
		if (environment.project != NULL)
			escape_json(&body, environment.project);
		else
			appendStringInfoString(&body, "null");
		appendStringInfoChar(&body, '}');
	}
	appendStringInfoString(&body, ", \"pages\": [");
	appendBinaryStringInfo(&body, VARDATA_ANY(page), VARSIZE_ANY_EXHDR(page));
	appendStringInfoChar(&body, ']');
	if (!PG_ARGISNULL(3))
	{
		text	   *segments = PG_GETARG_TEXT_PP(3);

		pfree(parse_page(segments));
		appendStringInfoString(&body, ", \"segments\": [");
		appendBinaryStringInfo(&body, VARDATA_ANY(segments), VARSIZE_ANY_EXHDR(segments));
		appendStringInfoChar(&body, ']');
	}
	appendStringInfoChar(&body, '}');
	return import_page(fcinfo, body.data, body.len, environment.source, at, FSW_STATES_PAGE);
}
