/*-------------------------------------------------------------------------
 *
 * src/decode/body.c
 *	  From the bytes of a body to typed rows: which event it is and its own
 *	  time.  Each event has a file of its own for the rest.
 *
 * The decoder raises nothing for what a body says.  Everything it allocates is
 * in the current memory context.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/base/fsw.h"
#include "src/decode/field.h"
#include "src/decode/row.h"

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

static char *
decode_flag_updated(FswEvent *event, JsonbContainer *data, const FswPath *path, FswExtra *outer)
{
	return fsw_decode_flag(event, data, path, false, outer);
}

static char *
decode_flag_deleted(FswEvent *event, JsonbContainer *data, const FswPath *path, FswExtra *outer)
{
	return fsw_decode_flag(event, data, path, true, outer);
}

static char *
decode_audit_created(FswEvent *event, JsonbContainer *data, const FswPath *path, FswExtra *outer)
{
	return fsw_decode_audit(event, data, path, 1, outer);
}

/* What an event_type is decoded by: its data, within an envelope. */
static const struct
{
	const char *event_type;
	char	   *(*decode) (FswEvent *event, JsonbContainer *data, const FswPath *path, FswExtra *outer);
}			event_types[] = {
	{"FLAG_UPDATED", decode_flag_updated},
	{"FLAG_DELETED", decode_flag_deleted},
	{"AUDIT_LOG_CREATED", decode_audit_created},
	{"NEW_VERSION_PUBLISHED", fsw_decode_version}
};

/*
 * A type that we do not know, with a new_state that has a state's shape: what
 * it tells is evidence, if of a kind that we have to guess.  The origin says
 * so.  What has another shape is left for a later version.
 */
static void
decode_unknown(FswEvent *event, JsonbContainer *data, const FswPath *path, FswExtra *outer)
{
	event->unrecognized = fsw_json_object(fsw_json_key(data, "new_state")) == NULL ||
		fsw_decode_flag(event, data, path, false, outer) != NULL;
	if (event->unrecognized)
	{
		event->rows = NIL;
		event->names = NIL;
		return;
	}
	event->by_shape = true;
	fsw_row_set_cstring(linitial(event->rows), FLAG_origin, "unknown_event");
}

static void
decode_enveloped(FswEvent *event, JsonbContainer *root, JsonbContainer *data)
{
	FswPath		path = {NULL, "data"};
	FswExtra	outer = {NULL, 0, 0};
	int			type = 0;

	while (type < (int) lengthof(event_types) &&
		   strcmp(event->event_type, event_types[type].event_type) != 0)
		type++;
	if (type == (int) lengthof(event_types))
	{
		envelope_extra(root, &outer);
		decode_unknown(event, data, &path, &outer);
		return;
	}
	if (data == NULL)
	{
		event->reason = fsw_invalid_payload(&path, fsw_json_key(root, "data") ? "be an object" : NULL);
		return;
	}
	envelope_extra(root, &outer);
	event->reason = event_types[type].decode(event, data, &path, &outer);
}

/*
 * A body without an event_type: the bare audit entry of the old documentation
 * and of browsers, or what an integration sends, which is kept as it is.
 */
static void
decode_bare(FswEvent *event, JsonbContainer *root)
{
	FswPath		path = {NULL, "event_type"};

	if (fsw_json_key(root, "log") != NULL && fsw_json_key(root, "created_date") != NULL)
	{
		event->event_type = pstrdup("AUDIT_LOG_CREATED");
		event->reason = fsw_decode_audit(event, root, NULL, 1, NULL);
	}
	else if (fsw_json_key(root, "flags") != NULL && fsw_json_key(root, "identity") != NULL &&
			 fsw_json_key(root, "traits") != NULL && fsw_json_key(root, "segments") != NULL)
		event->event_type = pstrdup("identity");
	else if (fsw_json_key(root, "meta") != NULL && fsw_json_key(root, "data") != NULL)
		event->event_type = pstrdup("sentry");
	else
		event->reason = fsw_invalid_payload(&path, NULL);
}

/*
 * fsw_decode_past() - an event that was read from Flagsmith's own database,
 * in the shape that a webhook would have brought it in.  Returns NULL, or why
 * it is not decoded.
 */
char *
fsw_decode_past(FswEvent *event, JsonbContainer *root)
{
	JsonbValue *type = fsw_json_key(root, "event_type");
	JsonbContainer *data = fsw_json_object(fsw_json_key(root, "data"));
	FswPath		type_path = {NULL, "event_type"};
	FswPath		path = {NULL, "data"};
	FswExtra	outer = {NULL, 0, 0};

	event->event_type = fsw_json_is_string(type) ?
		pnstrdup(type->val.string.val, type->val.string.len) : pstrdup("");
	find_event_time(event, root, data);
	if (data == NULL)
		return fsw_invalid_payload(&path, "be an object");
	if (!event->has_time)
		return fsw_invalid_payload(&path, "have a time");
	if (strcmp(event->event_type, "FLAG_UPDATED") == 0)
		return decode_flag_updated(event, data, &path, &outer);
	if (strcmp(event->event_type, "NEW_VERSION_PUBLISHED") == 0)
		return fsw_decode_version(event, data, &path, &outer);
	return fsw_invalid_payload(&type_path, "be \"FLAG_UPDATED\" or \"NEW_VERSION_PUBLISHED\"");
}

/* A body that a webhook brought. */
static void
decode_webhook(FswEvent *event, JsonbContainer *root)
{
	JsonbValue *type = fsw_json_key(root, "event_type");
	JsonbContainer *data = fsw_json_object(fsw_json_key(root, "data"));
	FswPath		path = {NULL, "event_type"};

	if (fsw_json_is_string(type))
		event->event_type = pnstrdup(type->val.string.val, type->val.string.len);
	find_event_time(event, root, data);

	if (fsw_json_is_string(type))
		decode_enveloped(event, root, data);
	else if (type != NULL)
		event->reason = fsw_invalid_payload(&path, "be a string");
	else
		decode_bare(event, root);
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

	event->is_import = is_import;
	event->origin = is_import ? FSW_ORIGIN_IMPORT : "webhook";
	if (!JsonContainerIsObject(root))
		event->reason = psprintf("%s webhook payload is not a JSON object",
								 unpack_sql_state(ERRCODE_FSW_INVALID_PAYLOAD));
	else if (is_import)
		event->reason = fsw_decode_page(event, root);
	else
		decode_webhook(event, root);

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
