/*-------------------------------------------------------------------------
 *
 * src/decode/audit_log.c
 *	  AUDIT_LOG_CREATED and entries of the REST API: an audit entry, and what its
 *	  message says was changed.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/builtins.h"

#include "src/base/fsw.h"
#include "src/decode/field.h"
#include "src/decode/message.h"

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

		/*
		 * related_object_id means something else for each type:
		 * docs/flagsmith.md
		 */
		if (!audit->nulls[AUDIT_related_object_id])
		{
			if (fsw_column_is(audit, AUDIT_related_object_type, "FEATURE") ||
				(fsw_column_is(audit, AUDIT_related_object_type, "FEATURE_STATE") &&
				 log->effect == FSW_EFFECT_VARIANT))
				fsw_row_set(row, EFFECT_feature_id, audit->values[AUDIT_related_object_id]);
			else if (fsw_column_is(audit, AUDIT_related_object_type, "SEGMENT"))
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
	if (fsw_column_is(row, AUDIT_related_object_type, "FEATURE") ||
		(fsw_column_is(row, AUDIT_related_object_type, "FEATURE_STATE") &&
		 log->effect == FSW_EFFECT_VARIANT))
	{
		kind = "feature";
		name = log->agreed.feature;
	}
	else if (fsw_column_is(row, AUDIT_related_object_type, "SEGMENT"))
	{
		kind = "segment";
		name = log->agreed.segment;
	}
	else if (fsw_column_is(row, AUDIT_related_object_type, "ENVIRONMENT"))
	{
		kind = "environment";
		name = log->agreed.environment;
	}
	if (kind == NULL || name == NULL)
		return;
	added = fsw_add_name(event, kind,
						 psprintf(INT64_FORMAT, DatumGetInt64(row->values[AUDIT_related_object_id])),
						 CStringGetTextDatum(name), row, AUDIT_project_id);
	added->exact = !fsw_column_is(row, AUDIT_related_object_type, "FEATURE") &&
		!fsw_column_is(row, AUDIT_related_object_type, "FEATURE_STATE") && added->has_existed;
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
	FswExtra	extra = {NULL, 0, 0};
	char	   *reason;
	char	   *message;
	FswLog	   *log;

	reason = fsw_decode_object(data, audit_fields, path, row, &extra);
	if (reason != NULL)
		return reason;
	if (outer != NULL)
		fsw_extra_add(&extra, "envelope", outer);
	fsw_row_set_extra(row, AUDIT_extra, &extra);
	fsw_row_set_cstring(row, AUDIT_origin, event->origin);
	fsw_row_set(row, AUDIT_is_test,
				BoolGetDatum(row->nulls[AUDIT_audit_id] &&
							 fsw_column_is(row, AUDIT_project, "Test Project") &&
							 fsw_column_is_one(row, AUDIT_project_id) &&
							 fsw_column_is_one(row, AUDIT_environment_id) &&
							 fsw_column_is_one(row, AUDIT_author_id) &&
							 fsw_column_is_one(row, AUDIT_related_object_id)));

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
		fsw_add_row_name(event, "project", row, AUDIT_project_id, AUDIT_project, AUDIT_project_id);
		fsw_add_row_name(event, "environment", row, AUDIT_environment_id, AUDIT_environment, AUDIT_project_id);
		add_message_names(event, row, log);
	}
	return NULL;
}
