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
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "src/evidence/evidence.h"

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

static const LeafForm leaf_forms[LEAF_KINDS] = {
	[LEAF_DELIVERY] = {"delivery", "flagsmith.delivery",
		"id, webhook, source, digest, signature, secret_id, event_at, received_at, stored_at",
	lengthof(delivery_fields), delivery_fields},
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

/* ---- values ---- */

static void
append_value(StringInfo leaf, const char *bytes, int len)
{
	char		digits[MAXINT8LEN + 1];

	appendBinaryStringInfo(leaf, digits, pg_lltoa(len, digits));
	appendStringInfoCharMacro(leaf, ':');
	appendBinaryStringInfo(leaf, bytes, len);
}

static void
append_hex(StringInfo leaf, const uint8 *bytes, int len)
{
	static const char digits[] = "0123456789abcdef";
	char		length[MAXINT8LEN + 1];

	appendBinaryStringInfo(leaf, length, pg_lltoa(2 * (int64) len, length));
	appendStringInfoCharMacro(leaf, ':');
	enlargeStringInfo(leaf, 2 * len);
	for (int i = 0; i < len; i++)
	{
		leaf->data[leaf->len++] = digits[bytes[i] >> 4];
		leaf->data[leaf->len++] = digits[bytes[i] & 15];
	}
	leaf->data[leaf->len] = '\0';
}

static void
append_bytes(StringInfo leaf, const LeafField *field, const char *bytes, int len)
{
	if (field->form == FORM_DIGEST)
	{
		uint8		digest[FSW_DIGEST_LENGTH];

		fsw_sha256((const uint8 *) bytes, len, digest);
		append_hex(leaf, digest, sizeof(digest));
	}
	else if (field->type == BYTEAOID)
		append_hex(leaf, (const uint8 *) bytes, len);
	else
		append_value(leaf, bytes, len);
}

/* Text in UTF-8, or bytes. */
static void
append_varlena(StringInfo leaf, const LeafField *field, Datum value)
{
	struct varlena *packed = PG_DETOAST_DATUM_PACKED(value);
	char	   *bytes = VARDATA_ANY(packed);
	int			len = VARSIZE_ANY_EXHDR(packed);
	char	   *utf8 = field->type == TEXTOID ? pg_server_to_any(bytes, len, PG_UTF8) : bytes;

	append_bytes(leaf, field, utf8, utf8 == bytes ? len : (int) strlen(utf8));
	if (utf8 != bytes)
		pfree(utf8);
	if ((Pointer) packed != DatumGetPointer(value))
		pfree(packed);
}

static void
append_instant(StringInfo leaf, TimestampTz at)
{
	char		digits[MAXINT8LEN + 1];

	if (TIMESTAMP_IS_NOBEGIN(at))
		append_value(leaf, "-infinity", 9);
	else if (TIMESTAMP_IS_NOEND(at))
		append_value(leaf, "infinity", 8);
	else
		append_value(leaf, digits,
					 pg_lltoa(at + (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY, digits));
}

static void
append_field(StringInfo leaf, const LeafField *field, Datum value)
{
	char		digits[MAXINT8LEN + 1];

	switch (field->type)
	{
		case INT8OID:
			append_value(leaf, digits, pg_lltoa(DatumGetInt64(value), digits));
			break;
		case TIMESTAMPTZOID:
			append_instant(leaf, DatumGetTimestampTz(value));
			break;
		default:
			append_varlena(leaf, field, value);
	}
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
		else
			append_field(leaf, field, values[i]);
		appendStringInfoCharMacro(leaf, '\n');
	}
}
