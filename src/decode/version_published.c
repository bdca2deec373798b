/*-------------------------------------------------------------------------
 *
 * src/decode/version_published.c
 *	  NEW_VERSION_PUBLISHED: a version of a flag and the list of its states.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/base/fsw.h"
#include "src/decode/field.h"

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

/* fsw_decode_version() - the data of one event.  Returns NULL, or why it is not decoded. */
char *
fsw_decode_version(FswEvent *event, JsonbContainer *data, const FswPath *path, FswExtra *outer)
{
	FswRow	   *row = fsw_row_create(FSW_TABLE_VERSION_PUBLISHED, 1);
	FswExtra	extra = {NULL, 0, 0};
	char	   *reason = fsw_decode_object(data, version_fields, path, row, &extra);

	if (reason != NULL)
		return reason;
	fsw_extra_add(&extra, "envelope", outer);
	fsw_row_set_extra(row, VERSION_extra, &extra);
	event->rows = lappend(event->rows, row);
	fsw_add_row_name(event, "feature", row, VERSION_feature_id, VERSION_feature, -1);
	return NULL;
}
