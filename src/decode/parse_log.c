/*-------------------------------------------------------------------------
 *
 * src/decode/parse_log.c
 *	  parse_log(): the decoder of audit messages for anyone who has one.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"

#include "src/base/fsw.h"
#include "src/decode/message.h"

/*
 * The splits as jsonb: an array of objects with the names each split has.
 */
static Jsonb *
splits_to_jsonb(const FswLog *log)
{
	FswJsonbBuild state = {0};
	JsonbValue *array;

	fsw_jsonb_push(&state, WJB_BEGIN_ARRAY, NULL);
	for (int i = 0; i < log->nsplits; i++)
	{
		JsonbValue	value;

		fsw_jsonb_push(&state, WJB_BEGIN_OBJECT, NULL);
		for (int f = 0; f < FSW_LOG_KEPT_FIELDS; f++)
		{
			char	   *name = FSW_SPLIT_FIELD(&log->splits[i], f);

			if (name == NULL)
				continue;
			value.type = jbvString;
			value.val.string.val = unconstify(char *, fsw_log_fields[f].key);
			value.val.string.len = strlen(fsw_log_fields[f].key);
			fsw_jsonb_push(&state, WJB_KEY, &value);
			value.val.string.val = name;
			value.val.string.len = strlen(name);
			fsw_jsonb_push(&state, WJB_VALUE, &value);
		}
		if (log->splits[i].weak)
		{
			value.type = jbvString;
			value.val.string.val = "weak";
			value.val.string.len = 4;
			fsw_jsonb_push(&state, WJB_KEY, &value);
			value.type = jbvBool;
			value.val.boolean = true;
			fsw_jsonb_push(&state, WJB_VALUE, &value);
		}
		fsw_jsonb_push(&state, WJB_END_OBJECT, NULL);
	}
	array = fsw_jsonb_push(&state, WJB_END_ARRAY, NULL);
	return JsonbValueToJsonb(array);
}

PG_FUNCTION_INFO_V1(fsw_parse_log_sql);

/*
 * flagsmith.parse_log(log text, related_object_type text)
 *
 * Never raises because of what the message says.
 */
Datum
fsw_parse_log_sql(PG_FUNCTION_ARGS)
{
	TupleDesc	tupdesc;
	Datum		values[12];
	bool		nulls[12];
	int			n = 0;

	if (get_call_result_type(fcinfo, NULL, &tupdesc) != TYPEFUNC_COMPOSITE)
		elog(ERROR, "return type must be a row type");
	if (tupdesc->natts != (int) lengthof(values))
		elog(ERROR, "unexpected number of result columns: %d", tupdesc->natts);
	memset(nulls, true, sizeof(nulls));

	if (!PG_ARGISNULL(0))
	{
		text	   *message = PG_GETARG_TEXT_PP(0);
		char	   *type = NULL;
		FswLog	   *log;
		const char *words[10];

		if (!PG_ARGISNULL(1))
			type = text_to_cstring(PG_GETARG_TEXT_PP(1));
		log = fsw_parse_log(VARDATA_ANY(message), VARSIZE_ANY_EXHDR(message),
							type);

		words[n++] = log->action;
		words[n++] = log->object;
		for (int f = 0; f < FSW_LOG_KEPT_FIELDS; f++)
			words[n++] = FSW_SPLIT_FIELD(&log->agreed, f);
		words[n++] = fsw_effect_kind_name(log->effect);
		for (int i = 0; i < n; i++)
		{
			nulls[i] = words[i] == NULL;
			if (!nulls[i])
				values[i] = CStringGetTextDatum(words[i]);
		}

		nulls[n] = false;
		values[n++] = BoolGetDatum(log->ambiguous);
		nulls[n] = log->nsplits == 0;
		if (!nulls[n])
			values[n] = JsonbPGetDatum(splits_to_jsonb(log));
	}

	tupdesc = BlessTupleDesc(tupdesc);
	PG_RETURN_DATUM(HeapTupleGetDatum(heap_form_tuple(tupdesc, values, nulls)));
}
