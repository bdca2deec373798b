/*-------------------------------------------------------------------------
 *
 * src/decode/field.c
 *	  Walking a body by lists of fields: typed values into their columns, the
 *	  keys that nobody listed into "extra".
 *
 * Knows nothing of events; body.c has the lists.  Raises nothing for what a
 * body says.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/numeric.h"

#include "src/base/fsw.h"
#include "src/decode/field.h"
#include "src/decode/row.h"

/* The container of an object or array, or NULL. */
static JsonbContainer *
container(const JsonbValue *value)
{
	return value != NULL && value->type == jbvBinary ? value->val.binary.data : NULL;
}

JsonbContainer *
fsw_json_object(const JsonbValue *value)
{
	JsonbContainer *c = container(value);

	return c != NULL && JsonContainerIsObject(c) ? c : NULL;
}

/* The value of a key, or NULL. */
JsonbValue *
fsw_json_key(JsonbContainer *object, const char *key)
{
	if (object == NULL)
		return NULL;
	return getKeyJsonValueFromContainer(object, key, strlen(key), NULL);
}

bool
fsw_json_is_null(const JsonbValue *value)
{
	return value == NULL || value->type == jbvNull;
}

bool
fsw_json_is_string(const JsonbValue *value)
{
	return value != NULL && value->type == jbvString;
}

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

/* Whether two values are the same to the last leaf. */
bool
fsw_json_equal(JsonbValue *a, JsonbValue *b)
{
	if (a->type != b->type)
		return false;
	switch (a->type)
	{
		case jbvNull:
			return true;
		case jbvString:
			return a->val.string.len == b->val.string.len &&
				memcmp(a->val.string.val, b->val.string.val, a->val.string.len) == 0;
		case jbvNumeric:
			return DatumGetBool(DirectFunctionCall2(numeric_eq,
													NumericGetDatum(a->val.numeric),
													NumericGetDatum(b->val.numeric)));
		case jbvBool:
			return a->val.boolean == b->val.boolean;
		case jbvBinary:
			return compareJsonbContainers(a->val.binary.data, b->val.binary.data) == 0;
		default:
			elog(ERROR, "unexpected jsonb value type %d", (int) a->type);
	}
	return false;
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

static int
two_digits(const char *p)
{
	if (p[0] < '0' || p[0] > '9' || p[1] < '0' || p[1] > '9')
		return -1;
	return (p[0] - '0') * 10 + (p[1] - '0');
}

/*
 * fsw_parse_timestamp() - YYYY-MM-DDTHH:MM:SS[.f{1,6}](Z|+hh:mm|-hh:mm), and
 * nothing else (FLAGSMITH.md 2.7).
 *
 * timestamptz_in() would take 'now' and 'infinity' and read the rest by the
 * session's TimeZone and DateStyle.  This rule decides the key of an event:
 * later versions must not change it.
 */
bool
fsw_parse_timestamp(const char *str, size_t len, TimestampTz *result)
{
	struct pg_tm tm;
	fsec_t		fsec = 0;
	int			century,
				year;
	const char *p = str + 19;
	const char *end = str + len;
	int			tz = 0;

	if (len < 20 || str[4] != '-' || str[7] != '-' || str[10] != 'T' ||
		str[13] != ':' || str[16] != ':')
		return false;
	memset(&tm, 0, sizeof(tm));
	century = two_digits(str);
	year = two_digits(str + 2);
	tm.tm_mon = two_digits(str + 5);
	tm.tm_mday = two_digits(str + 8);
	tm.tm_hour = two_digits(str + 11);
	tm.tm_min = two_digits(str + 14);
	tm.tm_sec = two_digits(str + 17);
	if (century < 0 || year < 0)
		return false;
	tm.tm_year = century * 100 + year;
	if (tm.tm_year < 1 || tm.tm_mon < 1 || tm.tm_mon > 12 ||
		tm.tm_mday < 1 || tm.tm_mday > day_tab[isleap(tm.tm_year)][tm.tm_mon - 1] ||
		tm.tm_hour < 0 || tm.tm_hour > 23 || tm.tm_min < 0 || tm.tm_min > 59 ||
		tm.tm_sec < 0 || tm.tm_sec > 59)
		return false;

	if (*p == '.')
	{
		int			scale = 100000;

		for (p++; p < end && *p >= '0' && *p <= '9'; p++)
		{
			if (scale == 0)
				return false;
			fsec += (*p - '0') * scale;
			scale /= 10;
		}
		if (p[-1] == '.')
			return false;
	}
	if (p == end)
		return false;
	if (*p == 'Z')
	{
		if (p + 1 != end)
			return false;
	}
	else if ((*p == '+' || *p == '-') && end - p == 6 && p[3] == ':')
	{
		int			hours = two_digits(p + 1);
		int			minutes = two_digits(p + 4);

		if (hours < 0 || hours > 15 || minutes < 0 || minutes > 59)
			return false;
		tz = (hours * 60 + minutes) * 60;
		if (*p == '+')
			tz = -tz;
	}
	else
		return false;
	return tm2timestamp(&tm, fsec, &tz, result) == 0;
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
	if (extra->npairs == extra->size)
	{
		extra->size = Max(8, extra->size * 2);
		if (extra->pairs == NULL)
			extra->pairs = palloc(extra->size * sizeof(JsonbPair));
		else
			extra->pairs = repalloc(extra->pairs, extra->size * sizeof(JsonbPair));
	}
	extra->pairs[extra->npairs].key = *key;
	extra->pairs[extra->npairs].value = *value;
	extra->pairs[extra->npairs].order = extra->npairs;
	extra->npairs++;
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

FswRow *
fsw_row_create(FswTableId id, int ordinal)
{
	FswRow	   *row = palloc(sizeof(FswRow));

	row->table = &fsw_tables[id];
	row->ordinal = ordinal;
	row->values = palloc0(row->table->ncolumns * sizeof(Datum));
	row->nulls = palloc(row->table->ncolumns * sizeof(bool));
	memset(row->nulls, true, row->table->ncolumns * sizeof(bool));
	return row;
}

void
fsw_row_set(FswRow *row, int column, Datum value)
{
	row->values[column] = value;
	row->nulls[column] = false;
}

void
fsw_row_set_cstring(FswRow *row, int column, const char *value)
{
	if (value != NULL)
		fsw_row_set(row, column, CStringGetTextDatum(value));
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

	if (value->type == jbvNull && field->kind != FIELD_SCALAR)
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
		case FIELD_SCALAR:
			if (value->type == jbvBinary)
				return fsw_invalid_payload(path, "be a scalar");
			fsw_row_set(row, field->column, jsonb_datum(value));
			break;
		case FIELD_ARRAY:
			if (container(value) == NULL || !JsonContainerIsArray(container(value)))
				return fsw_invalid_payload(path, "be an array");
			fsw_row_set(row, field->column, jsonb_datum(value));
			break;
		case FIELD_IDENTITY:
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
			break;
		case FIELD_REFERENCE:
			if (value->type == jbvNumeric)
			{
				if (!integer_value(value, &number))
					return fsw_invalid_payload(path, "be an integer");
				fsw_row_set(row, field->fields[0].column, Int64GetDatum(number));
				break;
			}
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
			FswExtra		nested = {NULL, 0, 0};
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
