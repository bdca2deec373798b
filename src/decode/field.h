/*-------------------------------------------------------------------------
 *
 * src/decode/field.h
 *	  What the files that decode share: walking a body by lists of fields, a
 *	  section for each file.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FSW_FIELD_H
#define FSW_FIELD_H

#include "src/decode/row.h"

typedef enum FswFieldKind
{
	FIELD_BIGINT,
	FIELD_BOOL,
	FIELD_TEXT,
	FIELD_TIME,					/* text that is kept in extra where it is no
								 * time */
	FIELD_JSON,					/* jsonb of any type, JSON null included */
	FIELD_ARRAY,				/* jsonb array */
	FIELD_IDENTITY,				/* number: core; string: edge */
	FIELD_OBJECT,				/* nested, with fields of its own; may be null */
	FIELD_REFERENCE,			/* an object, or a bare id for its first field */
	FIELD_DROP					/* must not be kept: the client SDK key */
} FswFieldKind;

typedef struct FswField
{
	const char *key;
	FswFieldKind kind;
	bool		required;		/* must be there and not null */
	int			column;
	const struct FswField *fields;	/* of a nested object, ended by a NULL key */
} FswField;

/* Ends a list of fields. */
#define FIELD_END {NULL, FIELD_DROP, false, 0, NULL}

/*
 * Where a decoder is in the body, for the reason of an undecoded one: a chain
 * of keys on the stack.
 */
typedef struct FswPath
{
	const struct FswPath *parent;
	const char *key;
} FswPath;

/* Keys that have no column, collected as an object. */
typedef struct FswExtra
{
	JsonbPair  *pairs;
	int			npairs;
	int			size;
} FswExtra;

/* json_walk.c */
extern bool fsw_json_is_null(const JsonbValue *value);
extern bool fsw_json_is_string(const JsonbValue *value);
extern bool fsw_json_is_array(const JsonbValue *value);
extern bool fsw_json_equal(JsonbValue *a, JsonbValue *b);
extern JsonbContainer *fsw_json_object(const JsonbValue *value);
extern JsonbValue *fsw_json_key(JsonbContainer *object, const char *key);

/* field.c */
extern char *fsw_invalid_payload(const FswPath *path, const char *expected);
extern void fsw_extra_add(FswExtra *extra, const char *name, const FswExtra *nested);
extern void fsw_row_set_extra(FswRow *row, int column, const FswExtra *extra);
extern char *fsw_decode_object(JsonbContainer *object, const FswField *fields,
							   const FswPath *path, FswRow *row, FswExtra *extra);

/* row.c */
extern FswRow *fsw_row_create(FswTableId id, int ordinal);
extern void fsw_row_set(FswRow *row, int column, Datum value);
extern void fsw_row_set_cstring(FswRow *row, int column, const char *value);
extern bool fsw_column_is(const FswRow *row, int column, const char *expected);
extern bool fsw_column_is_one(const FswRow *row, int column);
extern FswName *fsw_add_name(FswEvent *event, const char *kind, const char *id, Datum name,
							 const FswRow *row, int project_column);
extern FswName *fsw_add_row_name(FswEvent *event, const char *kind, const FswRow *row,
								 int id_column, int name_column, int project_column);

/* flag_change.c */
extern char *fsw_decode_flag(FswEvent *event, JsonbContainer *data, const FswPath *path,
							 bool deleted, FswExtra *outer);
extern void fsw_add_flag_names(FswEvent *event, const FswRow *row);

/* audit_log.c */
extern char *fsw_decode_audit(FswEvent *event, JsonbContainer *data, const FswPath *path,
							  int ordinal, FswExtra *outer);

/* version_published.c */
extern char *fsw_decode_version(FswEvent *event, JsonbContainer *data, const FswPath *path,
								FswExtra *outer);

/* page.c */
extern char *fsw_decode_page(FswEvent *event, JsonbContainer *root);
extern char *fsw_decode_past(FswEvent *event, JsonbContainer *root);

#endif							/* FSW_FIELD_H */
