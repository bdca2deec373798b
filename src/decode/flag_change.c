/*-------------------------------------------------------------------------
 *
 * src/decode/flag_change.c
 *	  FLAG_UPDATED and FLAG_DELETED: one state of a flag, and the one before.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/builtins.h"

#include "src/base/fsw.h"
#include "src/decode/field.h"

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
	{"feature_state_value", FIELD_JSON, false, FLAG_value##suffix, NULL}, \
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

/*
 * Edge events of 2.29.2 to 2.49.2 had arguments in the wrong places: "enabled"
 * held the identity's id, "feature_state_value" the identifier and "identity"
 * whether the flag is on (docs/flagsmith.md).  Put them where they belong; what
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

/*
 * The feature's name.  The body says when the feature was made as well: where
 * no entry came, only that tells one from another of its name before it.
 */
static void
add_feature_name(FswEvent *event, const FswRow *row)
{
	FswName    *name = fsw_add_row_name(event, "feature", row, FLAG_feature_id, FLAG_feature, FLAG_project_id);
	TimestampTz created;

	if (name == NULL || row->nulls[FLAG_feature_created_date])
		return;
	created = DatumGetTimestampTz(row->values[FLAG_feature_created_date]);
	name->existed_at = name->has_existed ? Min(name->existed_at, created) : created;
	name->has_existed = true;
}

/* The names that a state tells. */
void
fsw_add_flag_names(FswEvent *event, const FswRow *row)
{
	fsw_add_row_name(event, "project", row, FLAG_project_id, FLAG_project, FLAG_project_id);
	fsw_add_row_name(event, "environment", row, FLAG_environment_id, FLAG_environment, FLAG_project_id);
	add_feature_name(event, row);
	fsw_add_row_name(event, "segment", row, FLAG_segment_id, FLAG_segment, FLAG_project_id);
	if (!row->nulls[FLAG_identity] && !row->nulls[FLAG_identity_identifier])
		fsw_add_name(event, "identity",
					 psprintf("%s:%s", TextDatumGetCString(row->values[FLAG_identity_kind]),
							  TextDatumGetCString(row->values[FLAG_identity])),
					 row->values[FLAG_identity_identifier], row, FLAG_project_id);
}

/* Keys of the data beside the two states, which have columns and extras of their own. */
static void
drop_states(FswExtra *extra)
{
	int			kept = 0;

	for (int i = 0; i < extra->npairs; i++)
	{
		JsonbValue *key = &extra->pairs[i].key;

		if (!(key->val.string.len == 9 && memcmp(key->val.string.val, "new_state", 9) == 0) &&
			!(key->val.string.len == 14 && memcmp(key->val.string.val, "previous_state", 14) == 0))
			extra->pairs[kept++] = extra->pairs[i];
	}
	extra->npairs = kept;
}

/* The states of an event, and where they stand in the body. */
typedef struct States
{
	FswPath		new_path;
	FswPath		previous_path;
	JsonbContainer *new_state;	/* NULL: null */
	JsonbContainer *previous_state; /* NULL: null or absent */
} States;

/* Returns NULL, or why there are none. */
static char *
find_states(States *states, JsonbContainer *data, const FswPath *path)
{
	JsonbValue *new_value = fsw_json_key(data, "new_state");
	JsonbValue *previous_value = fsw_json_key(data, "previous_state");

	states->new_path = (FswPath)
	{
		path, "new_state"
	};
	states->previous_path = (FswPath)
	{
		path, "previous_state"
	};
	states->new_state = fsw_json_object(new_value);
	states->previous_state = fsw_json_object(previous_value);
	if (new_value == NULL)
		return fsw_invalid_payload(&states->new_path, NULL);
	if (states->new_state == NULL && !fsw_json_is_null(new_value))
		return fsw_invalid_payload(&states->new_path, "be an object or null");
	if (states->previous_state == NULL && !fsw_json_is_null(previous_value))
		return fsw_invalid_payload(&states->previous_path, "be an object");
	return NULL;
}

/* The states into their columns.  Returns NULL, or why they are not decoded. */
static char *
decode_states(const States *states, FswRow *row, FswExtra *extra)
{
	JsonbContainer *new_state = NULL;
	FswExtra	new_extra = {NULL, 0, 0};
	FswExtra	previous_extra = {NULL, 0, 0};
	char	   *reason = NULL;

	if (states->new_state != NULL)
	{
		new_state = swap_legacy_edge(states->new_state);
		reason = fsw_decode_object(new_state, new_state_fields, &states->new_path, row, &new_extra);
	}
	if (reason == NULL && states->previous_state != NULL)
	{
		reason = fsw_decode_object(swap_legacy_edge(states->previous_state),
								   new_state != NULL ? previous_state_fields : deleted_state_fields,
								   &states->previous_path, row, &previous_extra);
		if (new_state != NULL)
			extra_differences(&previous_extra, new_state);
	}
	fsw_extra_add(extra, "new_state", &new_extra);
	fsw_extra_add(extra, "previous_state", &previous_extra);
	return reason;
}

/* Whether the ids and names are those of the test request that Flagsmith sends. */
static bool
is_test_flag(const FswRow *row)
{
	return fsw_column_is(row, FLAG_project, "Test Project") &&
		fsw_column_is_one(row, FLAG_project_id) &&
		fsw_column_is_one(row, FLAG_environment_id) &&
		fsw_column_is_one(row, FLAG_feature_id) &&
		fsw_column_is_one(row, FLAG_segment_id) &&
		(row->nulls[FLAG_identity] || fsw_column_is(row, FLAG_identity, "1"));
}

/* fsw_decode_flag() - the data of one event.  Returns NULL, or why it is not decoded. */
char *
fsw_decode_flag(FswEvent *event, JsonbContainer *data, const FswPath *path, bool deleted, FswExtra *outer)
{
	FswRow	   *row = fsw_row_create(FSW_TABLE_FLAG_CHANGE, 1);
	States		states;
	FswExtra	extra = {NULL, 0, 0};
	char	   *reason = find_states(&states, data, path);

	if (reason != NULL)
		return reason;
	reason = fsw_decode_object(data, flag_data_fields, path, row, &extra);
	if (reason != NULL)
		return reason;
	drop_states(&extra);
	reason = decode_states(&states, row, &extra);
	if (reason != NULL)
		return reason;
	fsw_extra_add(&extra, "envelope", outer);
	fsw_row_set_extra(row, FLAG_extra, &extra);

	fsw_row_set(row, FLAG_deleted, BoolGetDatum(deleted));
	fsw_row_set_cstring(row, FLAG_origin, event->origin);
	fsw_row_set(row, FLAG_is_test, BoolGetDatum(is_test_flag(row)));
	event->rows = lappend(event->rows, row);

	if (!DatumGetBool(row->values[FLAG_is_test]))
		fsw_add_flag_names(event, row);
	return NULL;
}
