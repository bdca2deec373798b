/*-------------------------------------------------------------------------
 *
 * src/decode/decode.c
 *	  decode_audit_log() and decode_flag_change(): the decoder of the inbox for
 *	  anyone who has a payload and no table.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "funcapi.h"
#include "utils/builtins.h"

#include "src/base/fsw.h"
#include "src/decode/row.h"

/*
 * fsw_raise_reason() - why something is not decoded, which begins with its
 * SQLSTATE, as an error.
 */
void
fsw_raise_reason(const char *reason, const char *detail)
{
	ereport(ERROR,
			(errcode(MAKE_SQLSTATE(reason[0], reason[1], reason[2], reason[3], reason[4])),
			 errmsg_internal("%s", reason + 6),
			 detail != NULL ? errdetail_internal("%s", detail) : 0,
			 errhidestmt(true)));
}

static void
raise_reason(const char *reason, Jsonb *payload)
{
	int			nkeys = JB_ROOT_COUNT(payload);

	fsw_raise_reason(reason,
					 !JB_ROOT_IS_OBJECT(payload) ? NULL :
					 psprintf(ngettext("The payload is a JSON object with %d key.",
									   "The payload is a JSON object with %d keys.", nkeys),
							  nkeys));
}

/* The first row that a payload gives for a table, as the function's result. */
static Datum
decode_into(FunctionCallInfo fcinfo, FswTableId id, const char *expected)
{
	Jsonb	   *payload = PG_GETARG_JSONB_P(0);
	FswEvent   *event = fsw_event_decode(payload, false);
	FswRow	   *row = NULL;
	TupleDesc	desc;
	Datum	   *values;
	bool	   *nulls;

	if (event->reason != NULL)
		raise_reason(event->reason, payload);
	if (event->rows != NIL)
		row = linitial(event->rows);
	if (row == NULL || row->table != &fsw_tables[id])
		ereport(ERROR,
				(errcode(ERRCODE_FSW_INVALID_PAYLOAD),
				 errmsg("webhook payload is not %s", expected),
				 errhidestmt(true)));

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	BlessTupleDesc(desc);
	values = palloc0(desc->natts * sizeof(Datum));
	nulls = palloc(desc->natts * sizeof(bool));
	for (int i = 0; i < desc->natts; i++)
	{
		const char *name = NameStr(TupleDescAttr(desc, i)->attname);
		int			column = 0;

		while (column < row->table->ncolumns &&
			   strcmp(row->table->columns[column], name) != 0)
			column++;
		if (column == row->table->ncolumns)
			elog(ERROR, "table \"%s\" has no column \"%s\"", row->table->name, name);
		values[i] = row->values[column];
		nulls[i] = row->nulls[column];
	}
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(desc, values, nulls)));
}

PG_FUNCTION_INFO_V1(fsw_decode_audit_log);

/*
 * decode_audit_log(payload jsonb) - an AUDIT_LOG_CREATED payload, or the bare
 * audit entry, as the columns of flagsmith.audit_log.  Raises 22W01.
 */
Datum
fsw_decode_audit_log(PG_FUNCTION_ARGS)
{
	return decode_into(fcinfo, FSW_TABLE_AUDIT_LOG, "an audit log entry");
}

PG_FUNCTION_INFO_V1(fsw_decode_flag_change);

/*
 * decode_flag_change(payload jsonb) - a FLAG_UPDATED or FLAG_DELETED payload
 * as the columns of flagsmith.flag_change.  event_at is NULL where the payload
 * has no time.  Raises 22W01.
 */
Datum
fsw_decode_flag_change(PG_FUNCTION_ARGS)
{
	return decode_into(fcinfo, FSW_TABLE_FLAG_CHANGE, "a flag change");
}
