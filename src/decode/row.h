/*-------------------------------------------------------------------------
 *
 * src/decode/row.h
 *	  One decoded body: what the decoders make and row_store.c writes.
 *
 * The columns of a typed table are listed here once, in the order of its
 * INSERT.  A new field is one line here, one in the field list of its event,
 * and its column in schema/.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FSW_ROW_H
#define FSW_ROW_H

#include "catalog/pg_type_d.h"
#include "lib/stringinfo.h"
#include "nodes/pg_list.h"
#include "utils/timestamp.h"

/* What every typed row takes from its delivery; filled in by row_store.c. */
#define FSW_DELIVERY_COLUMNS(X, T) \
	X(T, delivery, INT8OID) \
	X(T, ordinal, INT4OID) \
	X(T, source, TEXTOID) \
	X(T, received_at, TIMESTAMPTZOID) \
	X(T, stored_at, TIMESTAMPTZOID)

#define FSW_AUDIT_LOG_COLUMNS(X, T) \
	FSW_DELIVERY_COLUMNS(X, T) \
	X(T, created_date, TIMESTAMPTZOID) \
	X(T, origin, TEXTOID) \
	X(T, is_test, BOOLOID) \
	X(T, audit_id, INT8OID) \
	X(T, log, TEXTOID) \
	X(T, author_id, INT8OID) \
	X(T, author_email, TEXTOID) \
	X(T, author_first_name, TEXTOID) \
	X(T, author_last_name, TEXTOID) \
	X(T, author_last_login, TIMESTAMPTZOID) \
	X(T, author_uuid, TEXTOID) \
	X(T, organisation_id, INT8OID) \
	X(T, project_id, INT8OID) \
	X(T, project, TEXTOID) \
	X(T, environment_id, INT8OID) \
	X(T, environment, TEXTOID) \
	X(T, use_v2_feature_versioning, BOOLOID) \
	X(T, related_object_id, INT8OID) \
	X(T, related_object_uuid, TEXTOID) \
	X(T, related_object_type, TEXTOID) \
	X(T, is_system_event, BOOLOID) \
	X(T, action, TEXTOID) \
	X(T, object, TEXTOID) \
	X(T, feature, TEXTOID) \
	X(T, segment, TEXTOID) \
	X(T, identity, TEXTOID) \
	X(T, environment_named, TEXTOID) \
	X(T, change_request, TEXTOID) \
	X(T, scheduled_for, TEXTOID) \
	X(T, name, TEXTOID) \
	X(T, ambiguous, BOOLOID) \
	X(T, extra, JSONBOID)

#define FSW_FLAG_CHANGE_COLUMNS(X, T) \
	FSW_DELIVERY_COLUMNS(X, T) \
	X(T, event_at, TIMESTAMPTZOID) \
	X(T, origin, TEXTOID) \
	X(T, is_test, BOOLOID) \
	X(T, deleted, BOOLOID) \
	X(T, changed_by, TEXTOID) \
	X(T, project_id, INT8OID) \
	X(T, project, TEXTOID) \
	X(T, environment_id, INT8OID) \
	X(T, environment, TEXTOID) \
	X(T, feature_id, INT8OID) \
	X(T, feature, TEXTOID) \
	X(T, feature_type, TEXTOID) \
	X(T, feature_created_date, TIMESTAMPTZOID) \
	X(T, feature_description, TEXTOID) \
	X(T, feature_default_enabled, BOOLOID) \
	X(T, feature_initial_value, TEXTOID) \
	X(T, segment_id, INT8OID) \
	X(T, segment, TEXTOID) \
	X(T, segment_description, TEXTOID) \
	X(T, segment_priority, INT8OID) \
	X(T, identity, TEXTOID) \
	X(T, identity_kind, TEXTOID) \
	X(T, identity_identifier, TEXTOID) \
	X(T, enabled, BOOLOID) \
	X(T, value, JSONBOID) \
	X(T, variants, JSONBOID) \
	X(T, enabled_before, BOOLOID) \
	X(T, value_before, JSONBOID) \
	X(T, variants_before, JSONBOID) \
	X(T, extra, JSONBOID)

#define FSW_AUDIT_EFFECT_COLUMNS(X, T) \
	FSW_DELIVERY_COLUMNS(X, T) \
	X(T, occurred_at, TIMESTAMPTZOID) \
	X(T, split, INT4OID) \
	X(T, project_id, INT8OID) \
	X(T, environment_id, INT8OID) \
	X(T, kind, TEXTOID) \
	X(T, feature_id, INT8OID) \
	X(T, feature_hash, INT8OID) \
	X(T, scope_hash, INT8OID) \
	X(T, segment_id, INT8OID) \
	X(T, version, TEXTOID)

#define FSW_VERSION_PUBLISHED_COLUMNS(X, T) \
	FSW_DELIVERY_COLUMNS(X, T) \
	X(T, webhook, TEXTOID) \
	X(T, uuid, TEXTOID) \
	X(T, feature_id, INT8OID) \
	X(T, feature, TEXTOID) \
	X(T, published_by_id, INT8OID) \
	X(T, published_by_email, TEXTOID) \
	X(T, states, JSONBOID) \
	X(T, extra, JSONBOID)

#define FSW_COLUMN_ENUM(T, column, type) T##_##column,
#define FSW_COLUMN_NAME(T, column, type) #column,
#define FSW_COLUMN_TYPE(T, column, type) type,
enum
{
	FSW_AUDIT_LOG_COLUMNS(FSW_COLUMN_ENUM, AUDIT) AUDIT_COUNT
};
enum
{
	FSW_FLAG_CHANGE_COLUMNS(FSW_COLUMN_ENUM, FLAG) FLAG_COUNT
};
enum
{
	FSW_AUDIT_EFFECT_COLUMNS(FSW_COLUMN_ENUM, EFFECT) EFFECT_COUNT
};
enum
{
	FSW_VERSION_PUBLISHED_COLUMNS(FSW_COLUMN_ENUM, VERSION) VERSION_COUNT
};

/*
 * The columns that all tables have at the same places, and the first one
 * behind them: its own time, or the webhook.
 */
enum
{
	ROW_delivery,
	ROW_ordinal,
	ROW_source,
	ROW_received_at,
	ROW_stored_at,
	ROW_own
};

typedef enum FswTableId
{
	FSW_TABLE_AUDIT_LOG,
	FSW_TABLE_FLAG_CHANGE,
	FSW_TABLE_AUDIT_EFFECT,
	FSW_TABLE_VERSION_PUBLISHED
} FswTableId;

#define FSW_TABLE_COUNT 4

typedef struct FswTable
{
	const char *name;
	FswPlanId	plan;
	int			ncolumns;
	const char *const *columns;
	const Oid  *types;
} FswTable;

extern const FswTable fsw_tables[FSW_TABLE_COUNT];
extern void fsw_append_columns(StringInfo sql, const FswTable *table, const char *prefix);

/* One row of a typed table; what comes from the delivery is not yet set. */
typedef struct FswRow
{
	const FswTable *table;
	int			ordinal;
	Datum	   *values;
	bool	   *nulls;
} FswRow;

/*
 * A name seen in a body, of the kinds of flagsmith.name.  A body shows names as
 * of when it was built, close to its arrival; an entry about the thing itself
 * shows one of its own time.
 */
typedef struct FswName
{
	const char *kind;
	const char *id;
	text	   *name;
	bool		has_project;
	int64		project_id;
	bool		exact;			/* seen at seen_at, else when the body came */
	TimestampTz seen_at;
	bool		has_existed;
	TimestampTz existed_at;		/* the thing existed at this instant */
} FswName;

typedef struct FswEvent
{
	char	   *event_type;		/* NULL where the body has none that we know */
	bool		has_time;
	TimestampTz event_at;		/* of the key; valid with has_time */
	char	   *reason;			/* why it is not decoded, or NULL */
	bool		unrecognized;	/* well-formed, of a type we do not know */
	bool		by_shape;		/* of a type we do not know, read by its shape */
	bool		is_import;
	const char *origin;			/* of its rows */
	List	   *rows;			/* of FswRow */
	List	   *names;			/* of FswName */
} FswEvent;

/* body.c */
extern FswEvent *fsw_event_decode(Jsonb *body, bool is_import);
extern FswEvent *fsw_body_decode(const uint8 *bytes, size_t length, bool is_import);

/* decode.c */
pg_noreturn extern void fsw_raise_reason(const char *reason, const char *detail);

/* page.c */
#define FSW_AUDIT_PAGE "audit_log_page"
#define FSW_STATES_PAGE "feature_states_page"
#define FSW_ORIGIN_IMPORT "import"
#define FSW_ORIGIN_DATABASE "database"
extern int64 fsw_page_environment(Jsonb *page);

/* timestamp.c */
extern bool fsw_parse_timestamp(const char *str, size_t len, TimestampTz *result);

/* row_store.c */
typedef struct FswDelivery
{
	int64		id;
	text	   *webhook;		/* NULL for an import */
	text	   *source;
	TimestampTz received_at;
	TimestampTz stored_at;
	TimestampTz event_at;
} FswDelivery;

extern void fsw_store_rows(FswEvent *event, const FswDelivery *delivery);
extern void fsw_store_names(const FswEvent *event, const FswDelivery *delivery);	/* name_store.c */
extern void fsw_complete_row(FswRow *row, const FswDelivery *delivery);
extern Datum fsw_compressed(Datum value);
extern void fsw_insert_row(const FswRow *row);

/* delivery.c */
extern TimestampTz fsw_storing_time(void);
extern bool fsw_store_delivery(FswDelivery *delivery, FswEvent *event, bytea *body,
							   text *signature, int64 secret_id);
extern char *fsw_undecoded_reason(const FswEvent *event);

#endif							/* FSW_ROW_H */
