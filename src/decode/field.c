/*-------------------------------------------------------------------------
 *
 * src/decode/field.c
 *	  Walking a body by lists of fields: typed values into their columns, the
 *	  keys that nobody listed into "extra".
 *
 * What a body may look like is data: a list of fields for each kind of object,
 * with its type and the column it goes to.  A key that is not listed is kept in
 * "extra" at its place, so that no leaf of a body is lost; a listed key of
 * another type makes the delivery undecoded, with the path of the key in the
 * reason.
 *
 * Knows nothing of events; the file of each event has its lists.  Raises nothing for what a
 * body says.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/numeric.h"

#include "src/base/array.h"
#include "src/base/fsw.h"
#include "src/decode/field.h"
#include "src/decode/row.h"

static Datum
string_datum(const JsonbValue *value)
{
	return PointerGetDatum(cstring_to_text_with_len(value->val.string.val,
													value->val.string.len));
}

static Datum
jsonb_datum(JsonbValue *value)
{
	return JsonbPGetDatum(JsonbValueToJsonb(value));
}

/*
 * An integer as int8; false for a fraction or one out of range.  A number is
 * tested as its text, which is short after the scan of json.c.
 */
static bool
integer_value(const JsonbValue *value, int64 *result)
{
	bool		ok = true;
	char	   *text;
	char	   *end;

	if (value->type != jbvNumeric)
		return false;
	text = DatumGetCString(DirectFunctionCall1(numeric_out,
											   NumericGetDatum(value->val.numeric)));

	errno = 0;
	*result = strtoi64(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0')
		ok = false;
	pfree(text);
	return ok;
}

static char *
path_string(const FswPath *path)
{
	if (path->parent == NULL)
		return pstrdup(path->key);
	return psprintf("%s.%s", path_string(path->parent), path->key);
}

char *
fsw_invalid_payload(const FswPath *path, const char *expected)
{
	char	   *code = pstrdup(unpack_sql_state(ERRCODE_FSW_INVALID_PAYLOAD));

	if (expected == NULL)
		return psprintf("%s webhook payload has no \"%s\"", code, path_string(path));
	return psprintf("%s webhook payload key \"%s\" must %s", code, path_string(path), expected);
}

static void
extra_add(FswExtra *extra, JsonbValue *key, JsonbValue *value)
{
	JsonbPair	pair = {.key = *key,.value = *value,.order = extra->npairs};

	FSW_PUSH(extra->pairs, extra->npairs, extra->size) = pair;
}

/* The collected keys as a value; false if there are none. */
static bool
extra_value(const FswExtra *extra, JsonbValue *value)
{
	if (extra->npairs == 0)
		return false;
	value->type = jbvObject;
	value->val.object.nPairs = extra->npairs;
	value->val.object.pairs = extra->pairs;
	return true;
}

void
fsw_extra_add(FswExtra *extra, const char *name, const FswExtra *nested)
{
	JsonbValue	key;
	JsonbValue	value;

	if (!extra_value(nested, &value))
		return;
	key.type = jbvString;
	key.val.string.val = unconstify(char *, name);
	key.val.string.len = strlen(name);
	extra_add(extra, &key, &value);
}

/* Set the column "extra" of a row. */
void
fsw_row_set_extra(FswRow *row, int column, const FswExtra *extra)
{
	FswJsonbBuild parse = {0};

	if (extra->npairs == 0)
		return;
	(void) fsw_jsonb_push(&parse, WJB_BEGIN_OBJECT, NULL);
	for (int i = 0; i < extra->npairs; i++)
	{
		(void) fsw_jsonb_push(&parse, WJB_KEY, &extra->pairs[i].key);
		(void) fsw_jsonb_push(&parse, WJB_VALUE, &extra->pairs[i].value);
	}
	row->values[column] = jsonb_datum(fsw_jsonb_push(&parse, WJB_END_OBJECT, NULL));
	row->nulls[column] = false;
}

/* Who an identity is, and of which kind: a number or a string say that. */
static char *
decode_identity(JsonbValue *value, const FswField *field, const FswPath *path, FswRow *row)
{
	int64		number;

	if (value->type == jbvString)
	{
		fsw_row_set(row, field->column, string_datum(value));
		fsw_row_set_cstring(row, FLAG_identity_kind, "edge");
	}
	else if (integer_value(value, &number))
	{
		fsw_row_set_cstring(row, field->column, psprintf(INT64_FORMAT, number));
		fsw_row_set_cstring(row, FLAG_identity_kind, "core");
	}
	else
		return fsw_invalid_payload(path, "be an integer or a string");
	return NULL;
}

/*
 * One listed field into its column.  Returns NULL, or why not.  *keep is set
 * where the value has to stay in extra as well.
 */
static char *
decode_field(JsonbValue *value, const FswField *field, const FswPath *path, FswRow *row,
			 bool *keep, FswExtra *nested)
{
	int64		number;
	TimestampTz time;

	if (value->type == jbvNull && field->kind != FIELD_JSON)
		return field->required ? fsw_invalid_payload(path, "not be null") : NULL;

	switch (field->kind)
	{
		case FIELD_BIGINT:
			if (!integer_value(value, &number))
				return fsw_invalid_payload(path, "be an integer");
			fsw_row_set(row, field->column, Int64GetDatum(number));
			break;
		case FIELD_BOOL:
			if (value->type != jbvBool)
				return fsw_invalid_payload(path, "be a boolean");
			fsw_row_set(row, field->column, BoolGetDatum(value->val.boolean));
			break;
		case FIELD_TEXT:
			if (value->type != jbvString)
				return fsw_invalid_payload(path, "be a string");
			fsw_row_set(row, field->column, string_datum(value));
			break;
		case FIELD_TIME:
			if (value->type != jbvString)
				return fsw_invalid_payload(path, "be a string");
			if (fsw_parse_timestamp(value->val.string.val, value->val.string.len, &time))
				fsw_row_set(row, field->column, TimestampTzGetDatum(time));
			else
				*keep = true;
			break;
		case FIELD_JSON:
			fsw_row_set(row, field->column, jsonb_datum(value));
			break;
		case FIELD_ARRAY:
			if (!fsw_json_is_array(value))
				return fsw_invalid_payload(path, "be an array");
			fsw_row_set(row, field->column, jsonb_datum(value));
			break;
		case FIELD_IDENTITY:
			return decode_identity(value, field, path, row);
		case FIELD_REFERENCE:
			if (value->type == jbvNumeric)
				return decode_field(value, &field->fields[0], path, row, keep, nested);
			pg_fallthrough;
		case FIELD_OBJECT:
			if (fsw_json_object(value) == NULL)
				return fsw_invalid_payload(path, "be an object");
			return fsw_decode_object(fsw_json_object(value), field->fields, path, row, nested);
		case FIELD_DROP:
			break;
	}
	return NULL;
}

/*
 * All fields of an object into their columns, all other keys into extra.
 * Returns NULL, or why the body is not decoded.
 */
char *
fsw_decode_object(JsonbContainer *object, const FswField *fields, const FswPath *path,
				  FswRow *row, FswExtra *extra)
{
	JsonbIterator *it = JsonbIteratorInit(object);
	JsonbValue	key;
	JsonbValue	value;
	JsonbIteratorToken token;
	uint64		seen = 0;

	(void) JsonbIteratorNext(&it, &value, true);	/* WJB_BEGIN_OBJECT */
	while ((token = JsonbIteratorNext(&it, &key, true)) == WJB_KEY)
	{
		const FswField *field = fields;
		int			n = 0;

		(void) JsonbIteratorNext(&it, &value, true);
		for (; field->key != NULL; field++, n++)
		{
			if (strlen(field->key) == (size_t) key.val.string.len &&
				memcmp(field->key, key.val.string.val, key.val.string.len) == 0)
				break;
		}
		if (field->key == NULL)
			extra_add(extra, &key, &value);
		else
		{
			FswPath		here = {path, field->key};
			FswExtra	nested = {NULL, 0, 0};
			bool		keep = false;
			char	   *reason;
			JsonbValue	rest;

			seen |= UINT64CONST(1) << n;
			reason = decode_field(&value, field, &here, row, &keep, &nested);
			if (reason != NULL)
				return reason;
			if (keep)
				extra_add(extra, &key, &value);
			else if (extra_value(&nested, &rest))
				extra_add(extra, &key, &rest);
		}
	}
	for (int n = 0; fields[n].key != NULL; n++)
	{
		if (fields[n].required && (seen & (UINT64CONST(1) << n)) == 0)
		{
			FswPath		here = {path, fields[n].key};

			return fsw_invalid_payload(&here, NULL);
		}
	}
	return NULL;
}
