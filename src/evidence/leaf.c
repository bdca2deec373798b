/*-------------------------------------------------------------------------
 *
 * src/evidence/leaf.c
 *	  One row to the bytes of its leaf: docs/evidence.md, byte by byte.
 *
 * A leaf is text, a line for its version and kind and one for each field:
 *
 *		flagsmith_webhook leaf 1 delivery
 *		id 2:42
 *		webhook 4:shop
 *		secret_id -
 *
 * A value stands behind its length in bytes, so that no value can pass for two
 * fields, and is written the same on every server: text in UTF-8, instants as
 * microseconds since 1970.  What a leaf once was made of must be made of the
 * same row for ever: another form is another version, beside this one.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type_d.h"

#include "src/evidence/evidence.h"
#include "src/maintain/canonical.h"

/* How a value is written: as it is, or as the SHA-256 of its bytes. */
typedef enum FieldForm
{
	FORM_PLAIN,
	FORM_DIGEST
} FieldForm;

typedef struct LeafField
{
	const char *name;
	Oid			type;
	FieldForm	form;
} LeafField;

typedef struct LeafForm
{
	const char *name;			/* of the kind, in the first line */
	const char *relation;
	const char *columns;		/* of the query, one for each field */
	int			nfields;
	const LeafField *fields;
} LeafForm;

static const LeafField delivery_fields[] = {
	{"id", INT8OID, FORM_PLAIN},
	{"webhook", TEXTOID, FORM_PLAIN},
	{"source", TEXTOID, FORM_PLAIN},
	{"digest", BYTEAOID, FORM_PLAIN},
	{"signature", TEXTOID, FORM_DIGEST},
	{"secret_id", INT8OID, FORM_PLAIN},
	{"event_at", TIMESTAMPTZOID, FORM_PLAIN},
	{"received_at", TIMESTAMPTZOID, FORM_PLAIN},
	{"stored_at", TIMESTAMPTZOID, FORM_PLAIN},
};

static const LeafField repeat_fields[] = {
	{"id", INT8OID, FORM_PLAIN},
	{"delivery", INT8OID, FORM_PLAIN},
	{"webhook", TEXTOID, FORM_PLAIN},
	{"arrived_at", TIMESTAMPTZOID, FORM_PLAIN},
	{"event_type", TEXTOID, FORM_PLAIN},
};

static const LeafField pruning_fields[] = {
	{"id", INT8OID, FORM_PLAIN},
	{"what", TEXTOID, FORM_PLAIN},
	{"before", TIMESTAMPTZOID, FORM_PLAIN},
	{"pruned_at", TIMESTAMPTZOID, FORM_PLAIN},
	{"pruned_by", TEXTOID, FORM_PLAIN},
	{"bodies", INT8OID, FORM_PLAIN},
	{"audit_log", INT8OID, FORM_PLAIN},
	{"flag_change", INT8OID, FORM_PLAIN},
	{"audit_effect", INT8OID, FORM_PLAIN},
	{"version_published", INT8OID, FORM_PLAIN},
	{"holes", TEXTOID, FORM_DIGEST},
	{"deliveries", TEXTOID, FORM_DIGEST},
	{"row_digests", BYTEAOID, FORM_DIGEST},
};

static const LeafField event_fields[] = {
	{"id", INT8OID, FORM_PLAIN},
	{"kind", TEXTOID, FORM_PLAIN},
	{"happened_at", TIMESTAMPTZOID, FORM_PLAIN},
	{"made_by", TEXTOID, FORM_PLAIN},
	{"webhook", TEXTOID, FORM_PLAIN},
	{"subject", INT8OID, FORM_PLAIN},
	{"valid_from", TIMESTAMPTZOID, FORM_PLAIN},
	{"valid_until", TIMESTAMPTZOID, FORM_PLAIN},
	{"detail", TEXTOID, FORM_PLAIN},
};

static const LeafForm leaf_forms[LEAF_KINDS] = {
	[LEAF_DELIVERY] = {"delivery", "flagsmith.delivery",
		"id, webhook, source, digest, signature, secret_id, event_at, received_at, stored_at",
	lengthof(delivery_fields), delivery_fields},
	[LEAF_REPEAT] = {"repeat", "flagsmith.delivery_repeat",
		"id, delivery, webhook, arrived_at, event_type",
	lengthof(repeat_fields), repeat_fields},
	[LEAF_PRUNING] = {"pruning", "flagsmith.pruning",
		"id, what, before, pruned_at, pruned_by, bodies, audit_log, flag_change, audit_effect, version_published,"
		" holes::text, deliveries::text, row_digests",
	lengthof(pruning_fields), pruning_fields},
	[LEAF_EVENT] = {"event", "flagsmith.evidence_event",
		"id, kind, happened_at, made_by, webhook, subject, valid_from, valid_until, detail",
	lengthof(event_fields), event_fields},
};

/*
 * fsw_leaf_query() - the rows of a kind with all that their leaves are made of,
 * the id first, and more behind that.
 */
char *
fsw_leaf_query(LeafKind kind, const char *more, const char *condition)
{
	return psprintf("SELECT %s%s FROM %s WHERE %s ORDER BY id",
					leaf_forms[kind].columns, more, leaf_forms[kind].relation, condition);
}

/* fsw_leaf_fields() - how many columns the leaf is made of. */
int
fsw_leaf_fields(LeafKind kind)
{
	return leaf_forms[kind].nfields;
}

/* fsw_leaf_relation() - the name of the table, without its schema. */
const char *
fsw_leaf_relation(LeafKind kind)
{
	return leaf_forms[kind].relation + strlen("flagsmith.");
}

/* fsw_leaf_encode() - a row of fsw_leaf_query() to the bytes of its leaf. */
void
fsw_leaf_encode(LeafKind kind, const Datum *values, const bool *nulls, StringInfo leaf)
{
	const LeafForm *form = &leaf_forms[kind];

	resetStringInfo(leaf);
	appendStringInfoString(leaf, "flagsmith_webhook leaf 1 ");
	appendStringInfoString(leaf, form->name);
	appendStringInfoCharMacro(leaf, '\n');
	for (int i = 0; i < form->nfields; i++)
	{
		const LeafField *field = &form->fields[i];

		appendStringInfoString(leaf, field->name);
		appendStringInfoCharMacro(leaf, ' ');
		if (nulls[i])
			appendStringInfoCharMacro(leaf, '-');
		else if (field->form == FORM_DIGEST)
			fsw_append_digest(leaf, field->type, values[i]);
		else
			fsw_append_canonical(leaf, field->type, values[i]);
		appendStringInfoCharMacro(leaf, '\n');
	}
}
