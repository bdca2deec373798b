/*-------------------------------------------------------------------------
 *
 * src/payload.c
 *	  From a parsed body to typed rows: which event it is, its own time, and
 *	  each field in its column.
 *
 * What a body may look like is data: a list of fields for each kind of object,
 * with the type that Flagsmith's dossier gives and the column it goes to
 * (FLAGSMITH.md 2.1 to 2.4).  A key that is not listed is kept in "extra" at
 * its place, so that no leaf of a body is lost; a listed key of another type
 * makes the delivery undecoded, with the path of the key in the reason.
 *
 * The decoder raises nothing for what a body says.  Everything it allocates is
 * in the current memory context.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/numeric.h"

#include "src/flagsmith_webhook.h"
#include "src/event.h"
#include "src/message.h"

typedef enum FieldKind
{
	FIELD_BIGINT,
	FIELD_BOOL,
	FIELD_TEXT,
	FIELD_TIME,					/* text that is kept in extra where it is no time */
	FIELD_SCALAR,				/* jsonb of any scalar type, JSON null included */
	FIELD_ARRAY,				/* jsonb array */
	FIELD_IDENTITY,				/* number: core; string: edge */
	FIELD_OBJECT,				/* nested, with fields of its own; may be null */
	FIELD_REFERENCE,			/* an object, or a bare id for its first field */
	FIELD_DROP					/* must not be kept: the client SDK key */
} FieldKind;

typedef struct Field
{
	const char *key;
	FieldKind	kind;
	bool		required;		/* must be there and not null */
	int			column;
	const struct Field *fields; /* of a nested object, ended by a NULL key */
} Field;

#define FIELD_END {NULL, FIELD_DROP, false, 0, NULL}

/* ---- FLAG_UPDATED and FLAG_DELETED: F 2.1.2 ---- */

static const Field flag_project_fields[] = {
	{"id", FIELD_BIGINT, true, FLAG_project_id, NULL},
	{"name", FIELD_TEXT, false, FLAG_project, NULL},
	FIELD_END
};

static const Field flag_feature_fields[] = {
	{"id", FIELD_BIGINT, true, FLAG_feature_id, NULL},
	{"name", FIELD_TEXT, true, FLAG_feature, NULL},
	{"type", FIELD_TEXT, false, FLAG_feature_type, NULL},
	{"created_date", FIELD_TIME, false, FLAG_feature_created_date, NULL},
	{"description", FIELD_TEXT, false, FLAG_feature_description, NULL},
	{"default_enabled", FIELD_BOOL, false, FLAG_feature_default_enabled, NULL},
	{"initial_value", FIELD_TEXT, false, FLAG_feature_initial_value, NULL},
	{"project", FIELD_REFERENCE, false, 0, flag_project_fields},
	FIELD_END
};

static const Field flag_environment_fields[] = {
	{"id", FIELD_BIGINT, true, FLAG_environment_id, NULL},
	{"name", FIELD_TEXT, false, FLAG_environment, NULL},
	FIELD_END
};

static const Field flag_segment_fields[] = {
	{"id", FIELD_BIGINT, true, FLAG_segment_id, NULL},
	{"name", FIELD_TEXT, false, FLAG_segment, NULL},
	{"description", FIELD_TEXT, false, FLAG_segment_description, NULL},
	FIELD_END
};

static const Field flag_feature_segment_fields[] = {
	{"segment", FIELD_REFERENCE, true, 0, flag_segment_fields},
	{"priority", FIELD_BIGINT, false, FLAG_segment_priority, NULL},
	FIELD_END
};

/* What says which state it is ... */
#define FLAG_SCOPE_FIELDS \
	{"feature", FIELD_OBJECT, true, 0, flag_feature_fields}, \
	{"environment", FIELD_REFERENCE, true, 0, flag_environment_fields}, \
	{"feature_segment", FIELD_OBJECT, false, 0, flag_feature_segment_fields}, \
	{"identity", FIELD_IDENTITY, false, FLAG_identity, NULL}, \
	{"identity_identifier", FIELD_TEXT, false, FLAG_identity_identifier, NULL}

/* ... and the state itself, in one set of columns or the other. */
#define FLAG_STATE_FIELDS(suffix) \
	{"enabled", FIELD_BOOL, true, FLAG_enabled##suffix, NULL}, \
	{"feature_state_value", FIELD_SCALAR, false, FLAG_value##suffix, NULL}, \
	{"multivariate_feature_state_values", FIELD_ARRAY, false, FLAG_variants##suffix, NULL}

static const Field new_state_fields[] = {
	FLAG_SCOPE_FIELDS,
	FLAG_STATE_FIELDS(),
	FIELD_END
};

/* previous_state beside a new_state: its scope is compared, not decoded. */
static const Field previous_state_fields[] = {
	FLAG_STATE_FIELDS(_before),
	FIELD_END
};

/* previous_state alone, in a deletion. */
static const Field deleted_state_fields[] = {
	FLAG_SCOPE_FIELDS,
	FLAG_STATE_FIELDS(_before),
	FIELD_END
};

static const Field flag_data_fields[] = {
	{"changed_by", FIELD_TEXT, false, FLAG_changed_by, NULL},
	{"timestamp", FIELD_TIME, false, FLAG_event_at, NULL},
	FIELD_END
};

/* ---- AUDIT_LOG_CREATED: F 2.3 ---- */

static const Field author_fields[] = {
	{"id", FIELD_BIGINT, false, AUDIT_author_id, NULL},
	{"email", FIELD_TEXT, false, AUDIT_author_email, NULL},
	{"first_name", FIELD_TEXT, false, AUDIT_author_first_name, NULL},
	{"last_name", FIELD_TEXT, false, AUDIT_author_last_name, NULL},
	{"last_login", FIELD_TIME, false, AUDIT_author_last_login, NULL},
	{"uuid", FIELD_TEXT, false, AUDIT_author_uuid, NULL},
	FIELD_END
};

static const Field audit_project_fields[] = {
	{"id", FIELD_BIGINT, true, AUDIT_project_id, NULL},
	{"name", FIELD_TEXT, false, AUDIT_project, NULL},
	{"organisation", FIELD_BIGINT, false, AUDIT_organisation_id, NULL},
	FIELD_END
};

static const Field audit_environment_fields[] = {
	{"id", FIELD_BIGINT, true, AUDIT_environment_id, NULL},
	{"name", FIELD_TEXT, false, AUDIT_environment, NULL},
	{"use_v2_feature_versioning", FIELD_BOOL, false, AUDIT_use_v2_feature_versioning, NULL},
	{"api_key", FIELD_DROP, false, 0, NULL},
	FIELD_END
};

static const Field audit_fields[] = {
	{"id", FIELD_BIGINT, false, AUDIT_audit_id, NULL},
	{"created_date", FIELD_TIME, true, AUDIT_created_date, NULL},
	{"log", FIELD_TEXT, true, AUDIT_log, NULL},
	{"author", FIELD_OBJECT, false, 0, author_fields},
	{"project", FIELD_REFERENCE, false, 0, audit_project_fields},
	{"environment", FIELD_REFERENCE, false, 0, audit_environment_fields},
	{"related_object_id", FIELD_BIGINT, false, AUDIT_related_object_id, NULL},
	{"related_object_uuid", FIELD_TEXT, false, AUDIT_related_object_uuid, NULL},
	{"related_object_type", FIELD_TEXT, false, AUDIT_related_object_type, NULL},
	{"is_system_event", FIELD_BOOL, false, AUDIT_is_system_event, NULL},
	FIELD_END
};

/* ---- NEW_VERSION_PUBLISHED: F 2.4 ---- */

static const Field version_feature_fields[] = {
	{"id", FIELD_BIGINT, true, VERSION_feature_id, NULL},
	{"name", FIELD_TEXT, false, VERSION_feature, NULL},
	FIELD_END
};

static const Field publisher_fields[] = {
	{"id", FIELD_BIGINT, false, VERSION_published_by_id, NULL},
	{"email", FIELD_TEXT, false, VERSION_published_by_email, NULL},
	FIELD_END
};

static const Field version_fields[] = {
	{"uuid", FIELD_TEXT, true, VERSION_uuid, NULL},
	{"feature", FIELD_OBJECT, true, 0, version_feature_fields},
	{"published_by", FIELD_OBJECT, false, 0, publisher_fields},
	{"feature_states", FIELD_ARRAY, true, VERSION_states, NULL},
	FIELD_END
};

/* ---- tables ---- */

#define FSW_COLUMN_NAME(T, column, type) #column,
#define FSW_COLUMN_TYPE(T, column, type) type,

static const char *const audit_columns[] = {FSW_AUDIT_LOG_COLUMNS(FSW_COLUMN_NAME, AUDIT)};
static const Oid audit_types[] = {FSW_AUDIT_LOG_COLUMNS(FSW_COLUMN_TYPE, AUDIT)};
static const char *const flag_columns[] = {FSW_FLAG_CHANGE_COLUMNS(FSW_COLUMN_NAME, FLAG)};
static const Oid flag_types[] = {FSW_FLAG_CHANGE_COLUMNS(FSW_COLUMN_TYPE, FLAG)};
static const char *const touch_columns[] = {FSW_TOUCH_COLUMNS(FSW_COLUMN_NAME, TOUCH)};
static const Oid touch_types[] = {FSW_TOUCH_COLUMNS(FSW_COLUMN_TYPE, TOUCH)};
static const char *const version_columns[] = {FSW_VERSION_PUBLISHED_COLUMNS(FSW_COLUMN_NAME, VERSION)};
static const Oid version_types[] = {FSW_VERSION_PUBLISHED_COLUMNS(FSW_COLUMN_TYPE, VERSION)};

const FswTable fsw_tables[FSW_TABLE_COUNT] = {
	[FSW_TABLE_AUDIT_LOG] =
	{"audit_log", FSW_PLAN_AUDIT_LOG, AUDIT_COUNT, audit_columns, audit_types},
	[FSW_TABLE_FLAG_CHANGE] =
	{"flag_change", FSW_PLAN_FLAG_CHANGE, FLAG_COUNT, flag_columns, flag_types},
	[FSW_TABLE_TOUCH] =
	{"touch", FSW_PLAN_TOUCH, TOUCH_COUNT, touch_columns, touch_types},
	[FSW_TABLE_VERSION_PUBLISHED] =
	{"version_published", FSW_PLAN_VERSION, VERSION_COUNT, version_columns, version_types},
};

/* ---- walking jsonb ---- */

/* The container of an object or array, or NULL. */
static JsonbContainer *
container(const JsonbValue *value)
{
	return value != NULL && value->type == jbvBinary ? value->val.binary.data : NULL;
}

static JsonbContainer *
object_container(const JsonbValue *value)
{
	JsonbContainer *c = container(value);

	return c != NULL && JsonContainerIsObject(c) ? c : NULL;
}

/* The value of a key, or NULL. */
static JsonbValue *
get_key(JsonbContainer *object, const char *key)
{
	if (object == NULL)
		return NULL;
	return getKeyJsonValueFromContainer(object, key, strlen(key), NULL);
}

static bool
is_null(const JsonbValue *value)
{
	return value == NULL || value->type == jbvNull;
}

static bool
is_string(const JsonbValue *value)
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
static bool
values_equal(JsonbValue *a, JsonbValue *b)
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

/* ---- decoding objects by their fields ---- */

/*
 * Where a decoder is in the body, for the reason of an undecoded one: a chain
 * of keys on the stack.
 */
typedef struct Path
{
	const struct Path *parent;
	const char *key;
} Path;

static char *
path_string(const Path *path)
{
	if (path->parent == NULL)
		return pstrdup(path->key);
	return psprintf("%s.%s", path_string(path->parent), path->key);
}

static char *
invalid_payload(const Path *path, const char *expected)
{
	char	   *code = pstrdup(unpack_sql_state(ERRCODE_FSW_INVALID_PAYLOAD));

	if (expected == NULL)
		return psprintf("%s webhook payload has no \"%s\"", code, path_string(path));
	return psprintf("%s webhook payload key \"%s\" must be %s", code, path_string(path), expected);
}

/* Keys that have no column, collected as an object. */
typedef struct Extra
{
	JsonbPair  *pairs;
	int			npairs;
	int			size;
} Extra;

static void
extra_add(Extra *extra, JsonbValue *key, JsonbValue *value)
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
extra_value(const Extra *extra, JsonbValue *value)
{
	if (extra->npairs == 0)
		return false;
	value->type = jbvObject;
	value->val.object.nPairs = extra->npairs;
	value->val.object.pairs = extra->pairs;
	return true;
}

static void
extra_add_named(Extra *extra, const char *name, const Extra *nested)
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
static void
row_set_extra(FswRow *row, int column, const Extra *extra)
{
	JsonbParseState *parse = NULL;

	if (extra->npairs == 0)
		return;
	(void) pushJsonbValue(&parse, WJB_BEGIN_OBJECT, NULL);
	for (int i = 0; i < extra->npairs; i++)
	{
		(void) pushJsonbValue(&parse, WJB_KEY, &extra->pairs[i].key);
		(void) pushJsonbValue(&parse, WJB_VALUE, &extra->pairs[i].value);
	}
	row->values[column] = jsonb_datum(pushJsonbValue(&parse, WJB_END_OBJECT, NULL));
	row->nulls[column] = false;
}

static FswRow *
row_create(FswTableId id, int ordinal)
{
	FswRow	   *row = palloc(sizeof(FswRow));

	row->table = &fsw_tables[id];
	row->ordinal = ordinal;
	row->values = palloc0(row->table->ncolumns * sizeof(Datum));
	row->nulls = palloc(row->table->ncolumns * sizeof(bool));
	memset(row->nulls, true, row->table->ncolumns * sizeof(bool));
	return row;
}

static void
row_set(FswRow *row, int column, Datum value)
{
	row->values[column] = value;
	row->nulls[column] = false;
}

static void
row_set_cstring(FswRow *row, int column, const char *value)
{
	if (value != NULL)
		row_set(row, column, CStringGetTextDatum(value));
}

static char *decode_object(JsonbContainer *object, const Field *fields, const Path *path,
						   FswRow *row, Extra *extra);

/*
 * One listed field into its column.  Returns NULL, or why not.  *keep is set
 * where the value has to stay in extra as well.
 */
static char *
decode_field(JsonbValue *value, const Field *field, const Path *path, FswRow *row,
			 bool *keep, Extra *nested)
{
	int64		number;
	TimestampTz time;

	if (value->type == jbvNull && field->kind != FIELD_SCALAR)
		return field->required ? invalid_payload(path, "not null") : NULL;

	switch (field->kind)
	{
		case FIELD_BIGINT:
			if (!integer_value(value, &number))
				return invalid_payload(path, "an integer");
			row_set(row, field->column, Int64GetDatum(number));
			break;
		case FIELD_BOOL:
			if (value->type != jbvBool)
				return invalid_payload(path, "a boolean");
			row_set(row, field->column, BoolGetDatum(value->val.boolean));
			break;
		case FIELD_TEXT:
			if (value->type != jbvString)
				return invalid_payload(path, "a string");
			row_set(row, field->column, string_datum(value));
			break;
		case FIELD_TIME:
			if (value->type != jbvString)
				return invalid_payload(path, "a string");
			if (fsw_parse_timestamp(value->val.string.val, value->val.string.len, &time))
				row_set(row, field->column, TimestampTzGetDatum(time));
			else
				*keep = true;
			break;
		case FIELD_SCALAR:
			if (value->type == jbvBinary)
				return invalid_payload(path, "a scalar");
			row_set(row, field->column, jsonb_datum(value));
			break;
		case FIELD_ARRAY:
			if (container(value) == NULL || !JsonContainerIsArray(container(value)))
				return invalid_payload(path, "an array");
			row_set(row, field->column, jsonb_datum(value));
			break;
		case FIELD_IDENTITY:
			if (value->type == jbvString)
			{
				row_set(row, field->column, string_datum(value));
				row_set_cstring(row, FLAG_identity_kind, "edge");
			}
			else if (integer_value(value, &number))
			{
				row_set_cstring(row, field->column, psprintf(INT64_FORMAT, number));
				row_set_cstring(row, FLAG_identity_kind, "core");
			}
			else
				return invalid_payload(path, "an integer or a string");
			break;
		case FIELD_REFERENCE:
			if (value->type == jbvNumeric)
			{
				if (!integer_value(value, &number))
					return invalid_payload(path, "an integer");
				row_set(row, field->fields[0].column, Int64GetDatum(number));
				break;
			}
			/* FALLTHROUGH */
		case FIELD_OBJECT:
			if (object_container(value) == NULL)
				return invalid_payload(path, "an object");
			return decode_object(object_container(value), field->fields, path, row, nested);
		case FIELD_DROP:
			break;
	}
	return NULL;
}

/*
 * All fields of an object into their columns, all other keys into extra.
 * Returns NULL, or why the body is not decoded.
 */
static char *
decode_object(JsonbContainer *object, const Field *fields, const Path *path,
			  FswRow *row, Extra *extra)
{
	JsonbIterator *it = JsonbIteratorInit(object);
	JsonbValue	key;
	JsonbValue	value;
	JsonbIteratorToken token;
	uint64		seen = 0;

	(void) JsonbIteratorNext(&it, &value, true);	/* WJB_BEGIN_OBJECT */
	while ((token = JsonbIteratorNext(&it, &key, true)) == WJB_KEY)
	{
		const Field *field = fields;
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
			Path		here = {path, field->key};
			Extra		nested = {NULL, 0, 0};
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
			Path		here = {path, fields[n].key};

			return invalid_payload(&here, NULL);
		}
	}
	return NULL;
}

/* ---- names ---- */

/*
 * A name that was used at the row's own time, or when the body arrived where
 * it has none.  project_column is -1 where the row does not tell the project.
 */
static void
add_name(FswEvent *event, const char *kind, const char *id, Datum name,
		 const FswRow *row, int project_column)
{
	FswName    *result = palloc0(sizeof(FswName));

	result->kind = kind;
	result->id = id;
	result->name = DatumGetTextPP(name);
	if (project_column >= 0 && !row->nulls[project_column])
	{
		result->has_project = true;
		result->project_id = DatumGetInt64(row->values[project_column]);
	}
	if (row->table->types[ROW_own] == TIMESTAMPTZOID && !row->nulls[ROW_own])
	{
		result->has_since = true;
		result->since = DatumGetTimestampTz(row->values[ROW_own]);
	}
	event->names = lappend(event->names, result);
}

/* The name in one column for the id in another, where a row has both. */
static void
add_row_name(FswEvent *event, const char *kind, const FswRow *row,
			 int id_column, int name_column, int project_column)
{
	if (!row->nulls[id_column] && !row->nulls[name_column])
		add_name(event, kind, psprintf(INT64_FORMAT, DatumGetInt64(row->values[id_column])),
				 row->values[name_column], row, project_column);
}

static bool
column_is(const FswRow *row, int column, const char *expected)
{
	return !row->nulls[column] &&
		strcmp(TextDatumGetCString(row->values[column]), expected) == 0;
}

static bool
column_is_one(const FswRow *row, int column)
{
	return row->nulls[column] || DatumGetInt64(row->values[column]) == 1;
}

/* ---- FLAG_UPDATED, FLAG_DELETED ---- */

/*
 * Edge events of 2.29.2 to 2.49.2 had arguments in the wrong places: "enabled"
 * held the identity's id, "feature_state_value" the identifier and "identity"
 * whether the flag is on (FLAGSMITH.md 7).  Put them where they belong; what
 * the value was is not known.
 */
static JsonbContainer *
swap_legacy_edge(JsonbContainer *state)
{
	JsonbValue *enabled = get_key(state, "enabled");
	JsonbValue *identity = get_key(state, "identity");
	JsonbParseState *parse = NULL;
	JsonbIterator *it;
	JsonbIteratorToken token;
	JsonbValue	value;
	JsonbValue *swapped;
	char	   *replaced = NULL;

	if (enabled == NULL || identity == NULL || identity->type != jbvBool ||
		(enabled->type != jbvString && enabled->type != jbvNumeric))
		return state;

	it = JsonbIteratorInit(state);
	(void) JsonbIteratorNext(&it, &value, true);
	(void) pushJsonbValue(&parse, WJB_BEGIN_OBJECT, NULL);
	while ((token = JsonbIteratorNext(&it, &value, true)) == WJB_KEY ||
		   token == WJB_VALUE)
	{
		if (token == WJB_KEY)
		{
			replaced = pnstrdup(value.val.string.val, value.val.string.len);
			if (strcmp(replaced, "feature_state_value") == 0)
			{
				value.val.string.val = pstrdup("identity_identifier");
				value.val.string.len = strlen("identity_identifier");
			}
			else if (strcmp(replaced, "identity_identifier") == 0)
			{
				(void) JsonbIteratorNext(&it, &value, true);
				continue;
			}
			(void) pushJsonbValue(&parse, WJB_KEY, &value);
		}
		else if (strcmp(replaced, "enabled") == 0)
			(void) pushJsonbValue(&parse, WJB_VALUE, identity);
		else if (strcmp(replaced, "identity") == 0)
			(void) pushJsonbValue(&parse, WJB_VALUE, enabled);
		else
			(void) pushJsonbValue(&parse, WJB_VALUE, &value);
	}
	swapped = pushJsonbValue(&parse, WJB_END_OBJECT, NULL);
	return &JsonbValueToJsonb(swapped)->root;
}

/* Keep of previous_state only what differs from the same key of new_state. */
static void
extra_differences(Extra *extra, JsonbContainer *new_state)
{
	int			kept = 0;

	for (int i = 0; i < extra->npairs; i++)
	{
		JsonbPair  *pair = &extra->pairs[i];
		JsonbValue *other = getKeyJsonValueFromContainer(new_state,
														 pair->key.val.string.val,
														 pair->key.val.string.len,
														 NULL);

		if (other == NULL || !values_equal(other, &pair->value))
			extra->pairs[kept++] = *pair;
	}
	extra->npairs = kept;
}

static char *
decode_flag(FswEvent *event, JsonbContainer *data, const Path *path, bool deleted, Extra *outer)
{
	FswRow	   *row = row_create(FSW_TABLE_FLAG_CHANGE, 1);
	Path		new_path = {path, "new_state"};
	Path		previous_path = {path, "previous_state"};
	JsonbValue *new_value = get_key(data, "new_state");
	JsonbValue *previous_value = get_key(data, "previous_state");
	JsonbContainer *new_state = object_container(new_value);
	JsonbContainer *previous_state = object_container(previous_value);
	Extra		extra = {NULL, 0, 0};
	Extra		new_extra = {NULL, 0, 0};
	Extra		previous_extra = {NULL, 0, 0};
	int			kept = 0;
	char	   *reason;

	if (new_value == NULL)
		return invalid_payload(&new_path, NULL);
	if (new_state == NULL && !is_null(new_value))
		return invalid_payload(&new_path, "an object or null");
	if (previous_state == NULL && !is_null(previous_value))
		return invalid_payload(&previous_path, "an object");

	reason = decode_object(data, flag_data_fields, path, row, &extra);
	if (reason != NULL)
		return reason;
	for (int i = 0; i < extra.npairs; i++)
	{
		JsonbValue *key = &extra.pairs[i].key;

		if (!(key->val.string.len == 9 && memcmp(key->val.string.val, "new_state", 9) == 0) &&
			!(key->val.string.len == 14 && memcmp(key->val.string.val, "previous_state", 14) == 0))
			extra.pairs[kept++] = extra.pairs[i];
	}
	extra.npairs = kept;

	if (new_state != NULL)
	{
		new_state = swap_legacy_edge(new_state);
		reason = decode_object(new_state, new_state_fields, &new_path, row, &new_extra);
	}
	if (reason == NULL && previous_state != NULL)
	{
		previous_state = swap_legacy_edge(previous_state);
		if (new_state != NULL)
		{
			reason = decode_object(previous_state, previous_state_fields, &previous_path,
								   row, &previous_extra);
			extra_differences(&previous_extra, new_state);
		}
		else
			reason = decode_object(previous_state, deleted_state_fields, &previous_path,
								   row, &previous_extra);
	}
	if (reason != NULL)
		return reason;

	extra_add_named(&extra, "new_state", &new_extra);
	extra_add_named(&extra, "previous_state", &previous_extra);
	extra_add_named(&extra, "envelope", outer);
	row_set_extra(row, FLAG_extra, &extra);

	row_set(row, FLAG_deleted, BoolGetDatum(deleted));
	row_set_cstring(row, FLAG_origin, "webhook");
	row_set(row, FLAG_is_test,
			BoolGetDatum(column_is(row, FLAG_project, "Test Project") &&
						 column_is_one(row, FLAG_project_id) &&
						 column_is_one(row, FLAG_environment_id) &&
						 column_is_one(row, FLAG_feature_id) &&
						 column_is_one(row, FLAG_segment_id) &&
						 (row->nulls[FLAG_identity] || column_is(row, FLAG_identity, "1"))));
	event->rows = lappend(event->rows, row);

	if (!DatumGetBool(row->values[FLAG_is_test]))
	{
		add_row_name(event, "project", row, FLAG_project_id, FLAG_project, FLAG_project_id);
		add_row_name(event, "environment", row, FLAG_environment_id, FLAG_environment, FLAG_project_id);
		add_row_name(event, "feature", row, FLAG_feature_id, FLAG_feature, FLAG_project_id);
		add_row_name(event, "segment", row, FLAG_segment_id, FLAG_segment, FLAG_project_id);
		if (!row->nulls[FLAG_identity] && !row->nulls[FLAG_identity_identifier])
			add_name(event, "identity",
					 psprintf("%s:%s", TextDatumGetCString(row->values[FLAG_identity_kind]),
							  TextDatumGetCString(row->values[FLAG_identity])),
					 row->values[FLAG_identity_identifier], row, FLAG_project_id);
	}
	return NULL;
}

/* ---- AUDIT_LOG_CREATED ---- */

static Datum
name_hash(const char *prefix, const char *name)
{
	char	   *text = psprintf("%s%s", prefix, name);

	return hash_any_extended((const unsigned char *) text, strlen(text), 0);
}

/* One touch for each way to split the message. */
static void
add_touches(FswEvent *event, const FswRow *audit, const FswLog *log)
{
	for (int i = 0; i < log->nsplits; i++)
	{
		const FswLogSplit *split = &log->splits[i];
		FswRow	   *row = row_create(FSW_TABLE_TOUCH, audit->ordinal);

		if (!audit->nulls[AUDIT_created_date])
			row_set(row, TOUCH_at, audit->values[AUDIT_created_date]);
		row_set(row, TOUCH_split, Int32GetDatum(i + 1));
		row->values[TOUCH_project_id] = audit->values[AUDIT_project_id];
		row->nulls[TOUCH_project_id] = audit->nulls[AUDIT_project_id];
		row->values[TOUCH_environment_id] = audit->values[AUDIT_environment_id];
		row->nulls[TOUCH_environment_id] = audit->nulls[AUDIT_environment_id];
		row_set_cstring(row, TOUCH_kind, fsw_touch_kind_name(log->touch));
		if (split->feature != NULL)
			row_set(row, TOUCH_feature_hash, name_hash("", split->feature));
		if (split->segment != NULL)
			row_set(row, TOUCH_scope_hash, name_hash("segment:", split->segment));
		else if (split->identity != NULL)
			row_set(row, TOUCH_scope_hash, name_hash("identity:", split->identity));

		/* related_object_id means something else for each type: F 2.3 */
		if (!audit->nulls[AUDIT_related_object_id])
		{
			if (column_is(audit, AUDIT_related_object_type, "FEATURE") ||
				(column_is(audit, AUDIT_related_object_type, "FEATURE_STATE") &&
				 log->touch == FSW_TOUCH_VARIANT))
				row_set(row, TOUCH_feature_id, audit->values[AUDIT_related_object_id]);
			else if (column_is(audit, AUDIT_related_object_type, "SEGMENT"))
				row_set(row, TOUCH_segment_id, audit->values[AUDIT_related_object_id]);
		}
		if (log->touch == FSW_TOUCH_VERSION && !audit->nulls[AUDIT_related_object_uuid])
			row_set(row, TOUCH_version, audit->values[AUDIT_related_object_uuid]);
		event->rows = lappend(event->rows, row);
	}
}

/* Names that only the message tells, beside the id that the entry gives. */
static void
add_message_names(FswEvent *event, const FswRow *row, const FswLog *log)
{
	const char *kind = NULL;
	const char *name = NULL;

	/*
	 * Not from a message that can be split in a second way, however unlikely:
	 * the name of a flag called "a' and segment 'b" would become "a".
	 */
	if (row->nulls[AUDIT_related_object_id] || log->nsplits != 1)
		return;
	if (column_is(row, AUDIT_related_object_type, "FEATURE") ||
		(column_is(row, AUDIT_related_object_type, "FEATURE_STATE") &&
		 log->touch == FSW_TOUCH_VARIANT))
	{
		kind = "feature";
		name = log->agreed.feature;
	}
	else if (column_is(row, AUDIT_related_object_type, "SEGMENT"))
	{
		kind = "segment";
		name = log->agreed.segment;
	}
	if (kind != NULL && name != NULL)
		add_name(event, kind,
				 psprintf(INT64_FORMAT, DatumGetInt64(row->values[AUDIT_related_object_id])),
				 CStringGetTextDatum(name), row, AUDIT_project_id);
}

static char *
decode_audit(FswEvent *event, JsonbContainer *data, const Path *path, int ordinal, Extra *outer)
{
	FswRow	   *row = row_create(FSW_TABLE_AUDIT_LOG, ordinal);
	Extra		extra = {NULL, 0, 0};
	char	   *reason;
	char	   *message;
	FswLog	   *log;

	reason = decode_object(data, audit_fields, path, row, &extra);
	if (reason != NULL)
		return reason;
	if (outer != NULL)
		extra_add_named(&extra, "envelope", outer);
	row_set_extra(row, AUDIT_extra, &extra);
	row_set_cstring(row, AUDIT_origin, event->is_import ? "import" : "webhook");
	row_set(row, AUDIT_is_test,
			BoolGetDatum(row->nulls[AUDIT_audit_id] &&
						 column_is(row, AUDIT_project, "Test Project") &&
						 column_is_one(row, AUDIT_project_id) &&
						 column_is_one(row, AUDIT_environment_id) &&
						 column_is_one(row, AUDIT_author_id) &&
						 column_is_one(row, AUDIT_related_object_id)));

	message = TextDatumGetCString(row->values[AUDIT_log]);
	log = fsw_parse_log(message, strlen(message),
						row->nulls[AUDIT_related_object_type] ? NULL :
						TextDatumGetCString(row->values[AUDIT_related_object_type]));
	row_set_cstring(row, AUDIT_action, log->action);
	row_set_cstring(row, AUDIT_object, log->object);
	row_set_cstring(row, AUDIT_feature, log->agreed.feature);
	row_set_cstring(row, AUDIT_segment, log->agreed.segment);
	row_set_cstring(row, AUDIT_identity, log->agreed.identity);
	row_set_cstring(row, AUDIT_environment_named, log->agreed.environment);
	row_set_cstring(row, AUDIT_change_request, log->agreed.change_request);
	row_set_cstring(row, AUDIT_scheduled_for, log->agreed.scheduled_for);
	row_set_cstring(row, AUDIT_name, log->agreed.name);
	row_set(row, AUDIT_ambiguous, BoolGetDatum(log->ambiguous));
	event->rows = lappend(event->rows, row);

	if (!DatumGetBool(row->values[AUDIT_is_test]))
	{
		if (log->touch != FSW_TOUCH_NONE)
			add_touches(event, row, log);
		add_row_name(event, "project", row, AUDIT_project_id, AUDIT_project, AUDIT_project_id);
		add_row_name(event, "environment", row, AUDIT_environment_id, AUDIT_environment, AUDIT_project_id);
		add_message_names(event, row, log);
	}
	return NULL;
}

/* ---- NEW_VERSION_PUBLISHED ---- */

static char *
decode_version(FswEvent *event, JsonbContainer *data, const Path *path, Extra *outer)
{
	FswRow	   *row = row_create(FSW_TABLE_VERSION_PUBLISHED, 1);
	Extra		extra = {NULL, 0, 0};
	char	   *reason = decode_object(data, version_fields, path, row, &extra);

	if (reason != NULL)
		return reason;
	extra_add_named(&extra, "envelope", outer);
	row_set_extra(row, VERSION_extra, &extra);
	event->rows = lappend(event->rows, row);
	add_row_name(event, "feature", row, VERSION_feature_id, VERSION_feature, -1);
	return NULL;
}

/* ---- which event ---- */

/*
 * The body's own time, the first part of the key of an event.  Read before
 * anything else and by this rule for ever: data.timestamp; created_date of an
 * audit entry, enveloped or bare; the epoch where the body's uuid makes its
 * bytes unique.
 */
static void
find_event_time(FswEvent *event, JsonbContainer *root, JsonbContainer *data)
{
	JsonbValue *time = get_key(data, "timestamp");

	if (!is_string(time))
		time = get_key(data, "created_date");
	if (!is_string(time) && data == NULL)
		time = get_key(root, "created_date");
	if (is_string(time))
		event->has_time = fsw_parse_timestamp(time->val.string.val, time->val.string.len,
											  &event->event_at);
	else if (event->event_type != NULL &&
			 strcmp(event->event_type, "NEW_VERSION_PUBLISHED") == 0 &&
			 is_string(get_key(data, "uuid")))
	{
		event->has_time = true;
		event->event_at = (UNIX_EPOCH_JDATE - POSTGRES_EPOCH_JDATE) * USECS_PER_DAY;
	}
}

/* Keys of the envelope other than event_type and data, for extra. */
static void
envelope_extra(JsonbContainer *root, Extra *extra)
{
	static const Field envelope_fields[] = {
		{"event_type", FIELD_DROP, false, 0, NULL},
		{"data", FIELD_DROP, false, 0, NULL},
		FIELD_END
	};

	(void) decode_object(root, envelope_fields, NULL, NULL, extra);
}

static void
decode_enveloped(FswEvent *event, JsonbContainer *root, JsonbContainer *data)
{
	Path		path = {NULL, "data"};
	Extra		outer = {NULL, 0, 0};
	bool		updated = strcmp(event->event_type, "FLAG_UPDATED") == 0;
	bool		deleted = strcmp(event->event_type, "FLAG_DELETED") == 0;
	bool		audit = strcmp(event->event_type, "AUDIT_LOG_CREATED") == 0;
	bool		version = strcmp(event->event_type, "NEW_VERSION_PUBLISHED") == 0;

	if (!updated && !deleted && !audit && !version)
	{
		event->unrecognized = true;
		return;
	}
	if (data == NULL)
	{
		event->reason = invalid_payload(&path, get_key(root, "data") ? "an object" : NULL);
		return;
	}
	envelope_extra(root, &outer);
	if (audit)
		event->reason = decode_audit(event, data, &path, 1, &outer);
	else if (version)
		event->reason = decode_version(event, data, &path, &outer);
	else
		event->reason = decode_flag(event, data, &path, deleted, &outer);
}

/*
 * fsw_event_decode() - what a parsed body says.
 *
 * is_import: a page stored by one of the import functions, never by a
 * webhook.  Either reason is set and there are no rows, or the rows are
 * complete but for what store.c adds from the delivery.
 */
FswEvent *
fsw_event_decode(Jsonb *body, bool is_import)
{
	FswEvent   *event = palloc0(sizeof(FswEvent));
	JsonbContainer *root = &body->root;
	JsonbContainer *data;
	JsonbValue *type;
	Path		event_type_path = {NULL, "event_type"};

	event->is_import = is_import;
	if (!JsonContainerIsObject(root))
	{
		event->reason = psprintf("%s webhook payload is not a JSON object",
								 unpack_sql_state(ERRCODE_FSW_INVALID_PAYLOAD));
		return event;
	}

	type = get_key(root, "event_type");
	data = object_container(get_key(root, "data"));
	if (is_string(type))
		event->event_type = pnstrdup(type->val.string.val, type->val.string.len);
	find_event_time(event, root, data);

	if (is_string(type))
		decode_enveloped(event, root, data);
	else if (type != NULL)
		event->reason = invalid_payload(&event_type_path, "a string");
	else if (get_key(root, "log") != NULL && get_key(root, "created_date") != NULL)
	{
		/* The bare audit entry of the old documentation and of browsers. */
		event->event_type = pstrdup("AUDIT_LOG_CREATED");
		event->reason = decode_audit(event, root, NULL, 1, NULL);
	}
	else if (get_key(root, "flags") != NULL && get_key(root, "identity") != NULL &&
			 get_key(root, "traits") != NULL && get_key(root, "segments") != NULL)
		event->event_type = pstrdup("identity");
	else if (get_key(root, "meta") != NULL && get_key(root, "data") != NULL)
		event->event_type = pstrdup("sentry");
	else
		event->reason = invalid_payload(&event_type_path, NULL);

	if (event->reason != NULL)
	{
		event->rows = NIL;
		event->names = NIL;
	}
	return event;
}
