/*-------------------------------------------------------------------------
 *
 * src/decode/page.c
 *	  Pages of the REST API as typed rows: the audit log, and the states of an
 *	  environment (docs/flagsmith.md).
 *
 * Only what an import function stored is decoded here, never what a webhook
 * brought.  A page of the audit log is stored as it was received.  Pages of
 * states name neither their environment nor its project nor the instant, and
 * segments only by the ids of rows; import.c wraps them, verbatim, together
 * with all that:
 *
 *	  {"flagsmith_import": "feature_states", "at": ...,
 *	   "environment": {"id": ..., "name": ...},
 *	   "project": {"id": ..., "name": ...},
 *	   "pages": [...], "segments": [...]}
 *
 * so that their typed rows, too, are a function of the bytes alone.
 *
 * What was read from Flagsmith's own database says so: a page of the audit
 * log, and one event in the shape of a webhook's,
 *
 *	  {"flagsmith_import": "database", "results": [...]}
 *	  {"flagsmith_import": "database", "event_type": ..., "data": {...}}
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/builtins.h"

#include "src/base/fsw.h"
#include "src/decode/field.h"
#include "src/decode/row.h"

/* ---- one state, raw model fields or beside its feature ---- */

static const FswField page_project_fields[] = {
	{"id", FIELD_BIGINT, true, FLAG_project_id, NULL},
	{"name", FIELD_TEXT, false, FLAG_project, NULL},
	FIELD_END
};

static const FswField page_environment_fields[] = {
	{"id", FIELD_BIGINT, true, FLAG_environment_id, NULL},
	{"name", FIELD_TEXT, false, FLAG_environment, NULL},
	FIELD_END
};

static const FswField wrapper_fields[] = {
	{"flagsmith_import", FIELD_TEXT, true, FLAG_origin, NULL},
	{"at", FIELD_TIME, true, FLAG_event_at, NULL},
	{"environment", FIELD_OBJECT, true, 0, page_environment_fields},
	{"project", FIELD_OBJECT, false, 0, page_project_fields},
	FIELD_END
};

static const FswField page_feature_fields[] = {
	{"id", FIELD_BIGINT, true, FLAG_feature_id, NULL},
	{"name", FIELD_TEXT, false, FLAG_feature, NULL},
	{"type", FIELD_TEXT, false, FLAG_feature_type, NULL},
	{"created_date", FIELD_TIME, false, FLAG_feature_created_date, NULL},
	{"description", FIELD_TEXT, false, FLAG_feature_description, NULL},
	{"default_enabled", FIELD_BOOL, false, FLAG_feature_default_enabled, NULL},
	{"initial_value", FIELD_TEXT, false, FLAG_feature_initial_value, NULL},
	{"environment_feature_state", FIELD_DROP, false, 0, NULL},
	FIELD_END
};

static const FswField state_fields[] = {
	{"feature", FIELD_REFERENCE, false, 0, page_feature_fields},
	{"identity", FIELD_IDENTITY, false, FLAG_identity, NULL},
	{"enabled", FIELD_BOOL, true, FLAG_enabled, NULL},
	{"environment", FIELD_REFERENCE, true, 0, page_environment_fields},
	{"feature_state_value", FIELD_DROP, false, 0, NULL},
	{"multivariate_feature_state_values", FIELD_DROP, false, 0, NULL},
	FIELD_END
};

/* Of a row of the feature-segments endpoint. */
static const FswField segment_fields[] = {
	{"id", FIELD_BIGINT, true, FLAG_segment_id, NULL},
	{"name", FIELD_TEXT, false, FLAG_segment, NULL},
	FIELD_END
};

static const FswField feature_segment_fields[] = {
	{"id", FIELD_DROP, true, 0, NULL},
	{"segment", FIELD_REFERENCE, true, 0, segment_fields},
	{"segment_name", FIELD_TEXT, false, FLAG_segment, NULL},
	{"priority", FIELD_BIGINT, false, FLAG_segment_priority, NULL},
	FIELD_END
};

/* What the rows of one import share. */
typedef struct StatesPage
{
	FswEvent   *event;
	FswRow	   *wrapper;		/* at, environment and project */
	List	   *segments;		/* of JsonbContainer, the feature-segments
								 * rows */
	int			nrows;
} StatesPage;

/* What a page has: an array of items, an object with "results", or one item. */
typedef char *(*ItemFunction) (JsonbContainer *item, const FswPath *path, void *arg);

static char *
for_each_item(JsonbValue *value, const FswPath *path, ItemFunction function, void *arg)
{
	JsonbContainer *object = fsw_json_object(value);
	JsonbIterator *it;
	JsonbIteratorToken token;
	JsonbValue	item;
	int			n = 0;

	if (object != NULL)
	{
		JsonbValue *results = fsw_json_key(object, "results");
		FswPath		here = {path, "results"};

		if (results == NULL)
			return function(object, path, arg);
		return for_each_item(results, &here, function, arg);
	}
	if (value->type != jbvBinary || !JsonContainerIsArray(value->val.binary.data) ||
		JsonContainerIsScalar(value->val.binary.data))
		return fsw_invalid_payload(path, "be an array or an object");

	it = JsonbIteratorInit(value->val.binary.data);
	(void) JsonbIteratorNext(&it, &item, true); /* WJB_BEGIN_ARRAY */
	while ((token = JsonbIteratorNext(&it, &item, true)) == WJB_ELEM)
	{
		FswPath		here = {path, psprintf("%d", n++)};
		char	   *reason = for_each_item(&item, &here, function, arg);

		CHECK_FOR_INTERRUPTS();
		if (reason != NULL)
			return reason;
	}
	return NULL;
}

static char *
collect_segment(JsonbContainer *item, const FswPath *path, void *arg)
{
	StatesPage *page = arg;

	(void) path;
	page->segments = lappend(page->segments, item);
	return NULL;
}

/* The segment of an override, by the id of its feature-segment row. */
static char *
set_segment(StatesPage *page, FswRow *row, JsonbValue *id, const FswPath *path)
{
	ListCell   *lc;
	FswExtra	unused = {NULL, 0, 0};

	if (fsw_json_object(id) != NULL)
		return fsw_decode_object(fsw_json_object(id), feature_segment_fields, path, row, &unused);
	foreach(lc, page->segments)
	{
		JsonbContainer *segment = lfirst(lc);
		JsonbValue *key = fsw_json_key(segment, "id");

		if (key != NULL && fsw_json_equal(key, id))
		{
			FswPath		here = {NULL, "segments"};

			return fsw_decode_object(segment, feature_segment_fields, &here, row, &unused);
		}
	}
	return fsw_invalid_payload(path, "be in a page of feature segments");
}

/*
 * The value of a state: an object with one column for each type, whose other
 * keys go to extra, or any other value as it is.
 */
static char *
set_value(FswRow *row, JsonbValue *value, const FswPath *path, FswExtra *extra)
{
	static const struct
	{
		const char *type;
		const char *key;
	}			types[] = {{"unicode", "string_value"}, {"int", "integer_value"}, {"bool", "boolean_value"}};
	static const FswField value_fields[] = {
		{"type", FIELD_DROP, true, 0, NULL},
		{"string_value", FIELD_DROP, false, 0, NULL},
		{"integer_value", FIELD_DROP, false, 0, NULL},
		{"boolean_value", FIELD_DROP, false, 0, NULL},
		FIELD_END
	};
	JsonbContainer *object = fsw_json_object(value);
	FswPath		type_path = {path, "type"};
	JsonbValue *type = fsw_json_key(object, "type");

	if (type == NULL)
	{
		fsw_row_set(row, FLAG_value, JsonbPGetDatum(JsonbValueToJsonb(value)));
		return NULL;
	}
	for (int i = 0; fsw_json_is_string(type) && i < (int) lengthof(types); i++)
	{
		if (strlen(types[i].type) == (size_t) type->val.string.len &&
			memcmp(types[i].type, type->val.string.val, type->val.string.len) == 0)
		{
			FswExtra	rest = {NULL, 0, 0};
			char	   *reason = fsw_decode_object(object, value_fields, path, NULL, &rest);
			JsonbValue *typed = fsw_json_key(object, types[i].key);
			JsonbValue	null = {.type = jbvNull};

			if (reason != NULL)
				return reason;
			fsw_row_set(row, FLAG_value,
						JsonbPGetDatum(JsonbValueToJsonb(typed != NULL ? typed : &null)));
			fsw_extra_add(extra, "feature_state_value", &rest);
			return NULL;
		}
	}
	return fsw_invalid_payload(&type_path, "be \"unicode\", \"int\" or \"bool\"");
}

/*
 * The variants as webhooks send them: the REST API gives the option as a bare
 * id, which becomes the id of an object.
 */
static char *
set_variants(FswRow *row, JsonbValue *variants, const FswPath *path)
{
	FswJsonbBuild parse = {0};
	JsonbIterator *it;
	JsonbValue	value;
	JsonbValue *result;
	JsonbIteratorToken token;
	bool		is_option = false;

	if (variants->type != jbvBinary || !JsonContainerIsArray(variants->val.binary.data))
		return fsw_invalid_payload(path, "be an array");
	it = JsonbIteratorInit(variants->val.binary.data);
	(void) JsonbIteratorNext(&it, &value, true);
	(void) fsw_jsonb_push(&parse, WJB_BEGIN_ARRAY, NULL);
	while (JsonbIteratorNext(&it, &value, true) == WJB_ELEM)
	{
		JsonbContainer *variant = fsw_json_object(&value);
		JsonbIterator *inner;

		CHECK_FOR_INTERRUPTS();
		if (variant == NULL)
			return fsw_invalid_payload(path, "be an array of objects");
		inner = JsonbIteratorInit(variant);
		(void) JsonbIteratorNext(&inner, &value, true);
		(void) fsw_jsonb_push(&parse, WJB_BEGIN_OBJECT, NULL);
		while ((token = JsonbIteratorNext(&inner, &value, true)) == WJB_KEY || token == WJB_VALUE)
		{
			if (token == WJB_KEY)
				is_option = value.val.string.len == 27 &&
					memcmp(value.val.string.val, "multivariate_feature_option", 27) == 0;
			if (token == WJB_VALUE && is_option && value.type == jbvNumeric)
			{
				JsonbValue	key = {.type = jbvString};

				key.val.string.val = pstrdup("id");
				key.val.string.len = 2;
				(void) fsw_jsonb_push(&parse, WJB_BEGIN_OBJECT, NULL);
				(void) fsw_jsonb_push(&parse, WJB_KEY, &key);
				(void) fsw_jsonb_push(&parse, WJB_VALUE, &value);
				(void) fsw_jsonb_push(&parse, WJB_END_OBJECT, NULL);
			}
			else
				(void) fsw_jsonb_push(&parse, token, &value);
		}
		(void) fsw_jsonb_push(&parse, WJB_END_OBJECT, NULL);
	}
	result = fsw_jsonb_push(&parse, WJB_END_ARRAY, NULL);
	fsw_row_set(row, FLAG_variants, JsonbPGetDatum(JsonbValueToJsonb(result)));
	return NULL;
}

static void
copy_column(FswRow *row, const FswRow *from, int column)
{
	row->values[column] = from->values[column];
	row->nulls[column] = from->nulls[column];
}

/* What a state is: value, variants and the segment it is for. */
static char *
set_state(StatesPage *page, FswRow *row, JsonbContainer *state, const FswPath *path, FswExtra *extra)
{
	FswPath		value_path = {path, "feature_state_value"};
	FswPath		variants_path = {path, "multivariate_feature_state_values"};
	FswPath		segment_path = {path, "feature_segment"};
	JsonbValue *value = fsw_json_key(state, "feature_state_value");
	char	   *reason;

	/* null is the value of a flag that has none, as in a webhook's body */
	if (value == NULL)
		return fsw_invalid_payload(&value_path, NULL);
	reason = set_value(row, value, &value_path, extra);
	value = fsw_json_key(state, "multivariate_feature_state_values");
	if (reason == NULL && value != NULL)
		reason = set_variants(row, value, &variants_path);
	value = fsw_json_key(state, "feature_segment");
	if (reason == NULL && value != NULL && !fsw_json_is_null(value))
		reason = set_segment(page, row, value, &segment_path);
	return reason;
}

/* One item of a page of states; of a page of features, the feature with its state. */
static char *
decode_state(JsonbContainer *item, const FswPath *path, void *arg)
{
	StatesPage *page = arg;
	FswRow	   *row = fsw_row_create(FSW_TABLE_FLAG_CHANGE, page->nrows + 1);
	JsonbContainer *state = item;
	FswExtra	extra = {NULL, 0, 0};
	FswExtra	feature_extra = {NULL, 0, 0};
	FswPath		environment_path = {path, "environment"};
	FswPath		feature_path = {path, "feature"};
	JsonbValue *nested = fsw_json_key(item, "environment_feature_state");
	char	   *reason;

	if (nested != NULL)
	{
		/* A feature without a state in this environment. */
		if (fsw_json_is_null(nested))
			return NULL;
		state = fsw_json_object(nested);
		if (state == NULL)
			return fsw_invalid_payload(path, "have an object as \"environment_feature_state\"");
		reason = fsw_decode_object(item, page_feature_fields, path, row, &feature_extra);
		if (reason != NULL)
			return reason;
	}
	reason = fsw_decode_object(state, state_fields, path, row, &extra);
	if (reason != NULL)
		return reason;
	if (row->nulls[FLAG_feature_id])
		return fsw_invalid_payload(&feature_path, NULL);
	if (DatumGetInt64(row->values[FLAG_environment_id]) !=
		DatumGetInt64(page->wrapper->values[FLAG_environment_id]))
		return fsw_invalid_payload(&environment_path, "be the environment that the page is imported for");

	reason = set_state(page, row, state, path, &extra);
	if (reason != NULL)
		return reason;

	copy_column(row, page->wrapper, FLAG_event_at);
	copy_column(row, page->wrapper, FLAG_environment);
	copy_column(row, page->wrapper, FLAG_project_id);
	copy_column(row, page->wrapper, FLAG_project);
	fsw_row_set_cstring(row, FLAG_origin, page->event->origin);
	fsw_row_set(row, FLAG_is_test, BoolGetDatum(false));
	fsw_row_set(row, FLAG_deleted, BoolGetDatum(false));
	if (state != item)
	{
		fsw_extra_add(&feature_extra, "environment_feature_state", &extra);
		extra = feature_extra;
	}
	fsw_row_set_extra(row, FLAG_extra, &extra);
	page->event->rows = lappend(page->event->rows, row);
	page->nrows++;
	fsw_add_flag_names(page->event, row);
	return NULL;
}

static char *
decode_states(FswEvent *event, JsonbContainer *root)
{
	StatesPage	page = {event, fsw_row_create(FSW_TABLE_FLAG_CHANGE, 0), NIL, 0};
	FswExtra	unused = {NULL, 0, 0};
	FswPath		at_path = {NULL, "at"};
	FswPath		pages_path = {NULL, "pages"};
	FswPath		segments_path = {NULL, "segments"};
	JsonbValue *pages = fsw_json_key(root, "pages");
	JsonbValue *segments = fsw_json_key(root, "segments");
	char	   *reason = fsw_decode_object(root, wrapper_fields, NULL, page.wrapper, &unused);

	if (reason != NULL)
		return reason;
	if (page.wrapper->nulls[FLAG_event_at])
		return fsw_invalid_payload(&at_path, "be a time");
	event->has_time = true;
	event->event_at = DatumGetTimestampTz(page.wrapper->values[FLAG_event_at]);
	if (pages == NULL)
		return fsw_invalid_payload(&pages_path, NULL);
	if (segments != NULL)
		reason = for_each_item(segments, &segments_path, collect_segment, &page);
	if (reason == NULL)
		reason = for_each_item(pages, &pages_path, decode_state, &page);
	return reason;
}

/* ---- the audit log ---- */

typedef struct AuditPage
{
	FswEvent   *event;
	int			nrows;
} AuditPage;

static char *
decode_entry(JsonbContainer *item, const FswPath *path, void *arg)
{
	AuditPage  *page = arg;

	return fsw_decode_audit(page->event, item, path, ++page->nrows, NULL);
}

static char *
first_environment(JsonbContainer *item, const FswPath *path, void *arg)
{
	static const FswField fields[] = {
		{"environment", FIELD_REFERENCE, true, 0, page_environment_fields},
		FIELD_END
	};
	FswRow	   *row = arg;
	JsonbContainer *state = fsw_json_object(fsw_json_key(item, "environment_feature_state"));
	FswExtra	unused = {NULL, 0, 0};

	if (row->nulls[FLAG_environment_id])
		(void) fsw_decode_object(state != NULL ? state : item, fields, path, row, &unused);
	return NULL;
}

/*
 * fsw_page_environment() - the id of the environment that the first state of
 * a page belongs to, or 0 if there is none: many environments are called
 * "Production".
 */
int64
fsw_page_environment(Jsonb *page)
{
	FswRow	   *row = fsw_row_create(FSW_TABLE_FLAG_CHANGE, 0);
	FswPath		path = {NULL, "page"};
	JsonbValue	value = {.type = jbvBinary};

	value.val.binary.data = &page->root;
	value.val.binary.len = VARSIZE_ANY_EXHDR(page);
	(void) for_each_item(&value, &path, first_environment, row);
	return row->nulls[FLAG_environment_id] ? 0 : DatumGetInt64(row->values[FLAG_environment_id]);
}

/* Was it read from Flagsmith's own database? */
static bool
is_of_database(JsonbContainer *root)
{
	JsonbValue *kind = fsw_json_key(root, "flagsmith_import");

	return fsw_json_is_string(kind) && kind->val.string.len == (int) strlen(FSW_ORIGIN_DATABASE) &&
		memcmp(kind->val.string.val, FSW_ORIGIN_DATABASE, strlen(FSW_ORIGIN_DATABASE)) == 0;
}

/*
 * fsw_decode_page() - an imported page into the rows of an event.  Returns
 * NULL, or why not.
 */
char *
fsw_decode_page(FswEvent *event, JsonbContainer *root)
{
	JsonbValue *results = fsw_json_key(root, "results");
	FswPath		results_path = {NULL, "results"};
	AuditPage	page = {event, 0};

	if (fsw_json_key(root, "flagsmith_import") != NULL)
	{
		if (!is_of_database(root))
		{
			event->event_type = pstrdup(FSW_STATES_PAGE);
			return decode_states(event, root);
		}
		event->origin = FSW_ORIGIN_DATABASE;
		if (results == NULL)
			return fsw_decode_past(event, root);
	}

	/* Its content alone makes a page of the audit log what it is. */
	event->event_type = pstrdup(FSW_AUDIT_PAGE);
	event->has_time = true;
	event->event_at = (UNIX_EPOCH_JDATE - POSTGRES_EPOCH_JDATE) * USECS_PER_DAY;
	if (results != NULL)
		return for_each_item(results, &results_path, decode_entry, &page);
	if (fsw_json_key(root, "log") != NULL && fsw_json_key(root, "created_date") != NULL)
		return decode_entry(root, NULL, &page);
	return fsw_invalid_payload(&results_path, NULL);
}
