/*-------------------------------------------------------------------------
 *
 * src/maintain/canonical.c
 *	  Values in a form that is the same on every server, to be hashed.
 *
 * A value stands behind its length in bytes and a colon, so that no value can
 * pass for two: text in UTF-8, numbers in decimal, instants as microseconds
 * since 1970, bytes in hexadecimal.  What was hashed once must come out the
 * same for ever: docs/evidence.md.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type_d.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

#include "src/maintain/canonical.h"

static void
append_plain(StringInfo out, const char *bytes, int len)
{
	char		digits[MAXINT8LEN + 1];

	appendBinaryStringInfo(out, digits, pg_lltoa(len, digits));
	appendStringInfoCharMacro(out, ':');
	appendBinaryStringInfo(out, bytes, len);
}

static void
append_hex(StringInfo out, const uint8 *bytes, int len)
{
	static const char digits[] = "0123456789abcdef";
	char		length[MAXINT8LEN + 1];

	appendBinaryStringInfo(out, length, pg_lltoa(2 * (int64) len, length));
	appendStringInfoCharMacro(out, ':');
	enlargeStringInfo(out, 2 * len);
	for (int i = 0; i < len; i++)
	{
		out->data[out->len++] = digits[bytes[i] >> 4];
		out->data[out->len++] = digits[bytes[i] & 15];
	}
	out->data[out->len] = '\0';
}

static void
append_number(StringInfo out, int64 number)
{
	char		digits[MAXINT8LEN + 1];

	append_plain(out, digits, pg_lltoa(number, digits));
}

static void
append_instant(StringInfo out, TimestampTz at)
{
	if (TIMESTAMP_IS_NOBEGIN(at))
		append_plain(out, "-infinity", 9);
	else if (TIMESTAMP_IS_NOEND(at))
		append_plain(out, "infinity", 8);
	else
		append_number(out, at + (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY);
}

/* The bytes of a text, in UTF-8, or of a bytea, as they are or as their SHA-256. */
static void
append_varlena(StringInfo out, Oid type, Datum value, bool hashed)
{
	struct varlena *packed = PG_DETOAST_DATUM_PACKED(value);
	char	   *bytes = VARDATA_ANY(packed);
	int			len = VARSIZE_ANY_EXHDR(packed);
	char	   *utf8 = type == BYTEAOID ? bytes : pg_server_to_any(bytes, len, PG_UTF8);
	uint8		digest[FSW_DIGEST_LENGTH];

	if (utf8 != bytes)
		len = strlen(utf8);
	if (hashed)
	{
		fsw_sha256((const uint8 *) utf8, len, digest);
		append_hex(out, digest, sizeof(digest));
	}
	else if (type == BYTEAOID)
		append_hex(out, (const uint8 *) utf8, len);
	else
		append_plain(out, utf8, len);
	if (utf8 != bytes)
		pfree(utf8);
	if ((Pointer) packed != DatumGetPointer(value))
		pfree(packed);
}

/* fsw_append_digest() - a text or bytes as the hexadecimal digits of their SHA-256. */
void
fsw_append_digest(StringInfo out, Oid type, Datum value)
{
	append_varlena(out, type, value, true);
}

/* fsw_append_canonical() - a value of one of the types that our tables have. */
void
fsw_append_canonical(StringInfo out, Oid type, Datum value)
{
	switch (type)
	{
		case INT8OID:
			append_number(out, DatumGetInt64(value));
			break;
		case INT4OID:
			append_number(out, DatumGetInt32(value));
			break;
		case BOOLOID:
			append_plain(out, DatumGetBool(value) ? "t" : "f", 1);
			break;
		case TIMESTAMPTZOID:
			append_instant(out, DatumGetTimestampTz(value));
			break;
		case JSONBOID:
			{
				Jsonb	   *document = DatumGetJsonbP(value);
				char	   *printed = JsonbToCString(NULL, &document->root, VARSIZE(document));

				append_varlena(out, TEXTOID, PointerGetDatum(cstring_to_text(printed)), false);
				break;
			}
		case TEXTOID:
		case BYTEAOID:
			append_varlena(out, type, value, false);
			break;
		default:
			elog(ERROR, "type %u has no canonical form", type);
	}
}
