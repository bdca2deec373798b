/*-------------------------------------------------------------------------
 *
 * src/decode/body.c
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

#include "utils/builtins.h"

#include "src/base/fsw.h"
#include "src/decode/field.h"
#include "src/decode/message.h"
#include "src/decode/row.h"

/* ---- FLAG_UPDATED and FLAG_DELETED: F 2.1.2 ---- */

static const FswField flag_project_fields[] = {
	{"id", FIELD_BIGINT, true, FLAG_project_id, NULL},
	{"name", FIELD_TEXT, false, FLAG_project, NULL},
	FIELD_END
};

static const FswField flag_feature_fields[] = {
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

static const FswField flag_environment_fields[] = {
	{"id", FIELD_BIGINT, true, FLAG_environment_id, NULL},
	{"name", FIELD_TEXT, false, FLAG_environment, NULL},
	FIELD_END
};

static const FswField flag_segment_fields[] = {
	{"id", FIELD_BIGINT, true, FLAG_segment_id, NULL},
	{"name", FIELD_TEXT, false, FLAG_segment, NULL},
	{"description", FIELD_TEXT, false, FLAG_segment_description, NULL},
	FIELD_END
};

static const FswField flag_feature_segment_fields[] = {
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

static const FswField new_state_fields[] = {
	FLAG_SCOPE_FIELDS,
	FLAG_STATE_FIELDS(),
	FIELD_END
};

/* previous_state beside a new_state: its scope is compared, not decoded. */
static const FswField previous_state_fields[] = {
	FLAG_STATE_FIELDS(_before),
	FIELD_END
};

/* previous_state alone, in a deletion. */
static const FswField deleted_state_fields[] = {
	FLAG_SCOPE_FIELDS,
	FLAG_STATE_FIELDS(_before),
	FIELD_END
};

static const FswField flag_data_fields[] = {
	{"changed_by", FIELD_TEXT, false, FLAG_changed_by, NULL},
	{"timestamp", FIELD_TIME, false, FLAG_event_at, NULL},
	FIELD_END
};

/* ---- AUDIT_LOG_CREATED: F 2.3 ---- */

static const FswField author_fields[] = {
	{"id", FIELD_BIGINT, false, AUDIT_author_id, NULL},
	{"email", FIELD_TEXT, false, AUDIT_author_email, NULL},
	{"first_name", FIELD_TEXT, false, AUDIT_author_first_name, NULL},
	{"last_name", FIELD_TEXT, false, AUDIT_author_last_name, NULL},
	{"last_login", FIELD_TIME, false, AUDIT_author_last_login, NULL},
	{"uuid", FIELD_TEXT, false, AUDIT_author_uuid, NULL},
	FIELD_END
};

static const FswField audit_project_fields[] = {
	{"id", FIELD_BIGINT, true, AUDIT_project_id, NULL},
	{"name", FIELD_TEXT, false, AUDIT_project, NULL},
	{"organisation", FIELD_BIGINT, false, AUDIT_organisation_id, NULL},
	FIELD_END
};

static const FswField audit_environment_fields[] = {
	{"id", FIELD_BIGINT, true, AUDIT_environment_id, NULL},
	{"name", FIELD_TEXT, false, AUDIT_environment, NULL},
	{"use_v2_feature_versioning", FIELD_BOOL, false, AUDIT_use_v2_feature_versioning, NULL},
	{"api_key", FIELD_DROP, false, 0, NULL},
	FIELD_END
};

static const FswField audit_fields[] = {
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

static const FswField version_feature_fields[] = {
	{"id", FIELD_BIGINT, true, VERSION_feature_id, NULL},
	{"name", FIELD_TEXT, false, VERSION_feature, NULL},
	FIELD_END
};

static const FswField publisher_fields[] = {
	{"id", FIELD_BIGINT, false, VERSION_published_by_id, NULL},
	{"email", FIELD_TEXT, false, VERSION_published_by_email, NULL},
	FIELD_END
};

static const FswField version_fields[] = {
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
static const char *const effect_columns[] = {FSW_AUDIT_EFFECT_COLUMNS(FSW_COLUMN_NAME, EFFECT)};
static const Oid effect_types[] = {FSW_AUDIT_EFFECT_COLUMNS(FSW_COLUMN_TYPE, EFFECT)};
static const char *const version_columns[] = {FSW_VERSION_PUBLISHED_COLUMNS(FSW_COLUMN_NAME, VERSION)};
static const Oid version_types[] = {FSW_VERSION_PUBLISHED_COLUMNS(FSW_COLUMN_TYPE, VERSION)};

const FswTable fsw_tables[FSW_TABLE_COUNT] = {
	[FSW_TABLE_AUDIT_LOG] =
	{"audit_log", FSW_PLAN_AUDIT_LOG, AUDIT_COUNT, audit_columns, audit_types},
	[FSW_TABLE_FLAG_CHANGE] =
	{"flag_change", FSW_PLAN_FLAG_CHANGE, FLAG_COUNT, flag_columns, flag_types},
	[FSW_TABLE_AUDIT_EFFECT] =
	{"audit_effect", FSW_PLAN_AUDIT_EFFECT, EFFECT_COUNT, effect_columns, effect_types},
	[FSW_TABLE_VERSION_PUBLISHED] =
	{"version_published", FSW_PLAN_VERSION, VERSION_COUNT, version_columns, version_types},
};

/* ---- names ---- */

/*
 * A name that a body shows; its thing existed at the row's own time.
 * project_column is -1 where the row does not tell the project.
 */
static FswName *
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
		result->has_existed = true;
		result->existed_at = DatumGetTimestampTz(row->values[ROW_own]);
	}
	event->names = lappend(event->names, result);
	return result;
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
	JsonbValue *enabled = fsw_json_key(state, "enabled");
	JsonbValue *identity = fsw_json_key(state, "identity");
	FswJsonbBuild parse = {0};
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
	(void) fsw_jsonb_push(&parse, WJB_BEGIN_OBJECT, NULL);
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
			(void) fsw_jsonb_push(&parse, WJB_KEY, &value);
		}
		else if (strcmp(replaced, "enabled") == 0)
			(void) fsw_jsonb_push(&parse, WJB_VALUE, identity);
		else if (strcmp(replaced, "identity") == 0)
			(void) fsw_jsonb_push(&parse, WJB_VALUE, enabled);
		else
			(void) fsw_jsonb_push(&parse, WJB_VALUE, &value);
	}
	swapped = fsw_jsonb_push(&parse, WJB_END_OBJECT, NULL);
	return &JsonbValueToJsonb(swapped)->root;
}

/* Keep of previous_state only what differs from the same key of new_state. */
static void
extra_differences(FswExtra *extra, JsonbContainer *new_state)
{
	int			kept = 0;

	for (int i = 0; i < extra->npairs; i++)
	{
		JsonbPair  *pair = &extra->pairs[i];
		JsonbValue *other = getKeyJsonValueFromContainer(new_state,
														 pair->key.val.string.val,
														 pair->key.val.string.len,
														 NULL);

		if (other == NULL || !fsw_json_equal(other, &pair->value))
			extra->pairs[kept++] = *pair;
	}
	extra->npairs = kept;
}

/* The names that a state tells. */
void
fsw_add_flag_names(FswEvent *event, const FswRow *row)
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

static char *
decode_flag(FswEvent *event, JsonbContainer *data, const FswPath *path, bool deleted, FswExtra *outer)
{
	FswRow	   *row = fsw_row_create(FSW_TABLE_FLAG_CHANGE, 1);
	FswPath		new_path = {path, "new_state"};
	FswPath		previous_path = {path, "previous_state"};
	JsonbValue *new_value = fsw_json_key(data, "new_state");
	JsonbValue *previous_value = fsw_json_key(data, "previous_state");
	JsonbContainer *new_state = fsw_json_object(new_value);
	JsonbContainer *previous_state = fsw_json_object(previous_value);
	FswExtra		extra = {NULL, 0, 0};
	FswExtra		new_extra = {NULL, 0, 0};
	FswExtra		previous_extra = {NULL, 0, 0};
	int			kept = 0;
	char	   *reason;

	if (new_value == NULL)
		return fsw_invalid_payload(&new_path, NULL);
	if (new_state == NULL && !fsw_json_is_null(new_value))
		return fsw_invalid_payload(&new_path, "be an object or null");
	if (previous_state == NULL && !fsw_json_is_null(previous_value))
		return fsw_invalid_payload(&previous_path, "be an object");

	reason = fsw_decode_object(data, flag_data_fields, path, row, &extra);
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
		reason = fsw_decode_object(new_state, new_state_fields, &new_path, row, &new_extra);
	}
	if (reason == NULL && previous_state != NULL)
	{
		previous_state = swap_legacy_edge(previous_state);
		if (new_state != NULL)
		{
			reason = fsw_decode_object(previous_state, previous_state_fields, &previous_path,
								   row, &previous_extra);
			extra_differences(&previous_extra, new_state);
		}
		else
			reason = fsw_decode_object(previous_state, deleted_state_fields, &previous_path,
								   row, &previous_extra);
	}
	if (reason != NULL)
		return reason;

	fsw_extra_add(&extra, "new_state", &new_extra);
	fsw_extra_add(&extra, "previous_state", &previous_extra);
	fsw_extra_add(&extra, "envelope", outer);
	fsw_row_set_extra(row, FLAG_extra, &extra);

	fsw_row_set(row, FLAG_deleted, BoolGetDatum(deleted));
	fsw_row_set_cstring(row, FLAG_origin, "webhook");
	fsw_row_set(row, FLAG_is_test,
			BoolGetDatum(column_is(row, FLAG_project, "Test Project") &&
						 column_is_one(row, FLAG_project_id) &&
						 column_is_one(row, FLAG_environment_id) &&
						 column_is_one(row, FLAG_feature_id) &&
						 column_is_one(row, FLAG_segment_id) &&
						 (row->nulls[FLAG_identity] || column_is(row, FLAG_identity, "1"))));
	event->rows = lappend(event->rows, row);

	if (!DatumGetBool(row->values[FLAG_is_test]))
		fsw_add_flag_names(event, row);
	return NULL;
}

/* ---- AUDIT_LOG_CREATED ---- */

static Datum
name_hash(const char *prefix, const char *name)
{
	return Int64GetDatum(fsw_hash(prefix, name, strlen(name)));
}

/* One audit effect for each way to split the message. */
static void
add_effects(FswEvent *event, const FswRow *audit, const FswLog *log)
{
	for (int i = 0; i < log->nsplits; i++)
	{
		const FswLogSplit *split = &log->splits[i];
		FswRow	   *row = fsw_row_create(FSW_TABLE_AUDIT_EFFECT, audit->ordinal);

		if (!audit->nulls[AUDIT_created_date])
			fsw_row_set(row, EFFECT_occurred_at, audit->values[AUDIT_created_date]);
		fsw_row_set(row, EFFECT_split, Int32GetDatum(i + 1));
		row->values[EFFECT_project_id] = audit->values[AUDIT_project_id];
		row->nulls[EFFECT_project_id] = audit->nulls[AUDIT_project_id];
		row->values[EFFECT_environment_id] = audit->values[AUDIT_environment_id];
		row->nulls[EFFECT_environment_id] = audit->nulls[AUDIT_environment_id];
		fsw_row_set_cstring(row, EFFECT_kind, fsw_effect_kind_name(log->effect));
		if (split->feature != NULL)
			fsw_row_set(row, EFFECT_feature_hash, name_hash("feature:", split->feature));
		if (split->segment != NULL)
			fsw_row_set(row, EFFECT_scope_hash, name_hash("segment:", split->segment));
		else if (split->identity != NULL)
			fsw_row_set(row, EFFECT_scope_hash, name_hash("identity:", split->identity));

		/* related_object_id means something else for each type: F 2.3 */
		if (!audit->nulls[AUDIT_related_object_id])
		{
			if (column_is(audit, AUDIT_related_object_type, "FEATURE") ||
				(column_is(audit, AUDIT_related_object_type, "FEATURE_STATE") &&
				 log->effect == FSW_EFFECT_VARIANT))
				fsw_row_set(row, EFFECT_feature_id, audit->values[AUDIT_related_object_id]);
			else if (column_is(audit, AUDIT_related_object_type, "SEGMENT"))
				fsw_row_set(row, EFFECT_segment_id, audit->values[AUDIT_related_object_id]);
		}
		if (log->effect == FSW_EFFECT_VERSION && !audit->nulls[AUDIT_related_object_uuid])
			fsw_row_set(row, EFFECT_version, audit->values[AUDIT_related_object_uuid]);
		event->rows = lappend(event->rows, row);
	}
}

/* Names that only the message tells, beside the id that the entry gives. */
static void
add_message_names(FswEvent *event, const FswRow *row, const FswLog *log)
{
	const char *kind = NULL;
	const char *name = NULL;
	FswName    *added;

	/*
	 * Not from a message that can be split in a second way, however unlikely:
	 * the name of a flag called "a' and segment 'b" would become "a".
	 */
	if (row->nulls[AUDIT_related_object_id] || log->nsplits != 1)
		return;
	if (column_is(row, AUDIT_related_object_type, "FEATURE") ||
		(column_is(row, AUDIT_related_object_type, "FEATURE_STATE") &&
		 log->effect == FSW_EFFECT_VARIANT))
	{
		kind = "feature";
		name = log->agreed.feature;
	}
	else if (column_is(row, AUDIT_related_object_type, "SEGMENT"))
	{
		kind = "segment";
		name = log->agreed.segment;
	}
	else if (column_is(row, AUDIT_related_object_type, "ENVIRONMENT"))
	{
		kind = "environment";
		name = log->agreed.environment;
	}
	if (kind == NULL || name == NULL)
		return;
	added = add_name(event, kind,
					 psprintf(INT64_FORMAT, DatumGetInt64(row->values[AUDIT_related_object_id])),
					 CStringGetTextDatum(name), row, AUDIT_project_id);
	added->exact = !column_is(row, AUDIT_related_object_type, "FEATURE") &&
		!column_is(row, AUDIT_related_object_type, "FEATURE_STATE") && added->has_existed;
	added->seen_at = added->existed_at;
}

/*
 * One entry, as a webhook or the REST API gives it.  Returns NULL, or why it
 * is not decoded.
 */
char *
fsw_decode_audit(FswEvent *event, JsonbContainer *data, const FswPath *path, int ordinal, FswExtra *outer)
{
	FswRow	   *row = fsw_row_create(FSW_TABLE_AUDIT_LOG, ordinal);
	FswExtra		extra = {NULL, 0, 0};
	char	   *reason;
	char	   *message;
	FswLog	   *log;

	reason = fsw_decode_object(data, audit_fields, path, row, &extra);
	if (reason != NULL)
		return reason;
	if (outer != NULL)
		fsw_extra_add(&extra, "envelope", outer);
	fsw_row_set_extra(row, AUDIT_extra, &extra);
	fsw_row_set_cstring(row, AUDIT_origin, event->is_import ? "import" : "webhook");
	fsw_row_set(row, AUDIT_is_test,
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
	fsw_row_set_cstring(row, AUDIT_action, log->action);
	fsw_row_set_cstring(row, AUDIT_object, log->object);
	fsw_row_set_cstring(row, AUDIT_feature, log->agreed.feature);
	fsw_row_set_cstring(row, AUDIT_segment, log->agreed.segment);
	fsw_row_set_cstring(row, AUDIT_identity, log->agreed.identity);
	fsw_row_set_cstring(row, AUDIT_environment_named, log->agreed.environment);
	fsw_row_set_cstring(row, AUDIT_change_request, log->agreed.change_request);
	fsw_row_set_cstring(row, AUDIT_scheduled_for, log->agreed.scheduled_for);
	fsw_row_set_cstring(row, AUDIT_name, log->agreed.name);
	fsw_row_set(row, AUDIT_ambiguous, BoolGetDatum(log->ambiguous));
	event->rows = lappend(event->rows, row);

	if (!DatumGetBool(row->values[AUDIT_is_test]))
	{
		if (log->effect != FSW_EFFECT_NONE)
			add_effects(event, row, log);
		add_row_name(event, "project", row, AUDIT_project_id, AUDIT_project, AUDIT_project_id);
		add_row_name(event, "environment", row, AUDIT_environment_id, AUDIT_environment, AUDIT_project_id);
		add_message_names(event, row, log);
	}
	return NULL;
}

/* ---- NEW_VERSION_PUBLISHED ---- */

static char *
decode_version(FswEvent *event, JsonbContainer *data, const FswPath *path, FswExtra *outer)
{
	FswRow	   *row = fsw_row_create(FSW_TABLE_VERSION_PUBLISHED, 1);
	FswExtra		extra = {NULL, 0, 0};
	char	   *reason = fsw_decode_object(data, version_fields, path, row, &extra);

	if (reason != NULL)
		return reason;
	fsw_extra_add(&extra, "envelope", outer);
	fsw_row_set_extra(row, VERSION_extra, &extra);
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
	JsonbValue *time = fsw_json_key(data, "timestamp");

	if (!fsw_json_is_string(time))
		time = fsw_json_key(data, "created_date");
	if (!fsw_json_is_string(time) && data == NULL)
		time = fsw_json_key(root, "created_date");
	if (fsw_json_is_string(time))
		event->has_time = fsw_parse_timestamp(time->val.string.val, time->val.string.len,
											  &event->event_at);
	else if (event->event_type != NULL &&
			 strcmp(event->event_type, "NEW_VERSION_PUBLISHED") == 0 &&
			 fsw_json_is_string(fsw_json_key(data, "uuid")))
	{
		event->has_time = true;
		event->event_at = (UNIX_EPOCH_JDATE - POSTGRES_EPOCH_JDATE) * USECS_PER_DAY;
	}
}

/* Keys of the envelope other than event_type and data, for extra. */
static void
envelope_extra(JsonbContainer *root, FswExtra *extra)
{
	static const FswField envelope_fields[] = {
		{"event_type", FIELD_DROP, false, 0, NULL},
		{"data", FIELD_DROP, false, 0, NULL},
		FIELD_END
	};

	(void) fsw_decode_object(root, envelope_fields, NULL, NULL, extra);
}

static void
decode_enveloped(FswEvent *event, JsonbContainer *root, JsonbContainer *data)
{
	FswPath		path = {NULL, "data"};
	FswExtra		outer = {NULL, 0, 0};
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
		event->reason = fsw_invalid_payload(&path, fsw_json_key(root, "data") ? "be an object" : NULL);
		return;
	}
	envelope_extra(root, &outer);
	if (audit)
		event->reason = fsw_decode_audit(event, data, &path, 1, &outer);
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
 * complete but for what row_store.c adds from the delivery.
 */
FswEvent *
fsw_event_decode(Jsonb *body, bool is_import)
{
	FswEvent   *event = palloc0(sizeof(FswEvent));
	JsonbContainer *root = &body->root;
	JsonbContainer *data;
	JsonbValue *type;
	FswPath		event_type_path = {NULL, "event_type"};

	event->is_import = is_import;
	if (!JsonContainerIsObject(root))
	{
		event->reason = psprintf("%s webhook payload is not a JSON object",
								 unpack_sql_state(ERRCODE_FSW_INVALID_PAYLOAD));
		return event;
	}

	if (is_import)
	{
		event->reason = fsw_decode_page(event, root);
		if (event->reason != NULL)
		{
			event->rows = NIL;
			event->names = NIL;
		}
		return event;
	}

	type = fsw_json_key(root, "event_type");
	data = fsw_json_object(fsw_json_key(root, "data"));
	if (fsw_json_is_string(type))
		event->event_type = pnstrdup(type->val.string.val, type->val.string.len);
	find_event_time(event, root, data);

	if (fsw_json_is_string(type))
		decode_enveloped(event, root, data);
	else if (type != NULL)
		event->reason = fsw_invalid_payload(&event_type_path, "be a string");
	else if (fsw_json_key(root, "log") != NULL && fsw_json_key(root, "created_date") != NULL)
	{
		/* The bare audit entry of the old documentation and of browsers. */
		event->event_type = pstrdup("AUDIT_LOG_CREATED");
		event->reason = fsw_decode_audit(event, root, NULL, 1, NULL);
	}
	else if (fsw_json_key(root, "flags") != NULL && fsw_json_key(root, "identity") != NULL &&
			 fsw_json_key(root, "traits") != NULL && fsw_json_key(root, "segments") != NULL)
		event->event_type = pstrdup("identity");
	else if (fsw_json_key(root, "meta") != NULL && fsw_json_key(root, "data") != NULL)
		event->event_type = pstrdup("sentry");
	else
		event->reason = fsw_invalid_payload(&event_type_path, NULL);

	if (event->reason != NULL)
	{
		event->rows = NIL;
		event->names = NIL;
	}
	return event;
}

/*
 * fsw_body_decode() - what the bytes of a body say, or why they say nothing.
 */
FswEvent *
fsw_body_decode(const uint8 *bytes, size_t length, bool is_import)
{
	char	   *reason = NULL;
	Jsonb	   *jsonb = fsw_json_parse(bytes, length, &reason);
	FswEvent   *event;

	if (jsonb != NULL)
		return fsw_event_decode(jsonb, is_import);
	event = palloc0(sizeof(FswEvent));
	event->is_import = is_import;
	event->reason = reason;
	return event;
}
