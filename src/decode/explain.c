/*-------------------------------------------------------------------------
 *
 * src/decode/explain.c
 *	  A JSON body written again in the forms that it may have had when it was
 *	  signed, for explain_signature().
 *
 * Never on the way of a delivery: a signature is verified over the bytes that
 * came.  Here they are known not to verify, and the question is what somebody
 * in between did to them.  Numbers are kept as they are written, except where
 * a form is about what JavaScript makes of them.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "common/shortest_dec.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "src/base/array.h"
#include "src/base/fsw.h"

#define DEPTH_LIMIT 512

typedef enum Numbers
{
	NUMBERS_AS_WRITTEN,
	NUMBERS_PYTHON,				/* percentages as Python's floats: 50.0 */
	NUMBERS_JAVASCRIPT			/* all of them as JavaScript prints them: 50 */
} Numbers;

typedef struct Form
{
	bool		sorted;			/* keys by code point, as Flagsmith has them */
	bool		ascii;			/* escapes as Python writes them */
	int			indent;			/* 0: none */
	const char *comma;
	const char *colon;
	Numbers		numbers;
	bool		raw;			/* a string's content, without any escape */
} Form;

typedef struct Reader
{
	const char *at;
	const char *end;
	const Form *form;
	int			depth;
	bool		percentage;		/* the value that follows is one */
} Reader;

/* One member of an object, as text that is ready to be put out. */
typedef struct Member
{
	char	   *name;			/* without escapes, to sort by */
	char	   *text;
} Member;

static bool write_value(Reader *r, StringInfo out);

static void
skip_blanks(Reader *r)
{
	while (r->at < r->end &&
		   (*r->at == ' ' || *r->at == '\t' || *r->at == '\r' || *r->at == '\n'))
		r->at++;
}

static int
hex4(Reader *r)
{
	int			value = 0;

	if (r->end - r->at < 4)
		return -1;
	for (int i = 0; i < 4; i++)
	{
		char		c = *r->at++;
		int			digit = (c >= '0' && c <= '9') ? c - '0' :
			(c >= 'a' && c <= 'f') ? c - 'a' + 10 :
			(c >= 'A' && c <= 'F') ? c - 'A' + 10 : -1;

		if (digit < 0)
			return -1;
		value = value * 16 + digit;
	}
	return value;
}

/* Write one code point, or a surrogate, as the form has it. */
static void
write_character(StringInfo out, const Form *form, uint32 c)
{
	static const char control[] = "\bb\ff\nn\rr\tt";

	if (form->raw && !(c >= 0xd800 && c <= 0xdfff))
	{
		unsigned char utf8[8];

		unicode_to_utf8(c, utf8);
		appendBinaryStringInfo(out, (char *) utf8, pg_utf_mblen(utf8));
		return;
	}
	if (c == '"' || c == '\\')
	{
		appendStringInfoChar(out, '\\');
		appendStringInfoChar(out, (char) c);
		return;
	}
	for (int i = 0; c < 0x20 && control[i] != '\0'; i += 2)
	{
		if ((uint32) control[i] == c)
		{
			appendStringInfoChar(out, '\\');
			appendStringInfoChar(out, control[i + 1]);
			return;
		}
	}
	if (c >= 0x10000 && form->ascii)
		appendStringInfo(out, "\\u%04x\\u%04x", 0xd800 + ((c - 0x10000) >> 10),
						 0xdc00 + ((c - 0x10000) & 0x3ff));
	else if (c < 0x20 || (c >= 0x7f && form->ascii) || (c >= 0xd800 && c <= 0xdfff))
		appendStringInfo(out, "\\u%04x", c);
	else
	{
		unsigned char utf8[8];

		unicode_to_utf8(c, utf8);
		appendBinaryStringInfo(out, (char *) utf8, pg_utf_mblen(utf8));
	}
}

/* What an escape says, from its backslash on. */
static bool
read_escape(Reader *r, uint32 *code)
{
	static const char from[] = "\"\\/bfnrt";
	static const char to[] = "\"\\/\b\f\n\r\t";
	unsigned char c;
	int			first;

	if (r->end - r->at < 2)
		return false;
	c = (unsigned char) r->at[1];
	r->at += 2;
	if (c != 'u')
	{
		if (c == '\0' || strchr(from, c) == NULL)
			return false;
		*code = (uint32) (unsigned char) to[strchr(from, c) - from];
		return true;
	}
	first = hex4(r);
	if (first < 0)
		return false;
	*code = (uint32) first;
	if (first >= 0xd800 && first <= 0xdbff && r->end - r->at >= 6 &&
		r->at[0] == '\\' && r->at[1] == 'u')
	{
		const char *back = r->at;
		int			second;

		r->at += 2;
		second = hex4(r);
		if (second >= 0xdc00 && second <= 0xdfff)
			*code = 0x10000 + ((*code - 0xd800) << 10) + ((uint32) second - 0xdc00);
		else
			r->at = back;
	}
	return true;
}

/*
 * A string, and in *name (where wanted) what it says, for sorting.
 */
static bool
write_string(Reader *r, StringInfo out, StringInfo name)
{
	const Form	spelled = {.ascii = false,.raw = r->form->raw};

	r->at++;
	appendStringInfoChar(out, '"');
	while (r->at < r->end && *r->at != '"')
	{
		unsigned char c = (unsigned char) *r->at;
		uint32		code;

		if (c < 0x20)
			return false;
		if (c == '\\')
		{
			if (!read_escape(r, &code))
				return false;
		}
		else
		{
			int			len = pg_utf_mblen((const unsigned char *) r->at);

			if (r->end - r->at < len || !pg_utf8_islegal((const unsigned char *) r->at, len))
				return false;
			code = utf8_to_unicode((const unsigned char *) r->at);
			r->at += len;
		}
		write_character(out, r->form, code);
		if (name != NULL)
			write_character(name, &spelled, code);
	}
	if (r->at >= r->end)
		return false;
	r->at++;
	appendStringInfoChar(out, '"');
	return true;
}

static void
new_line(const Reader *r, StringInfo out, int depth)
{
	if (r->form->indent == 0)
		return;
	appendStringInfoChar(out, '\n');
	appendStringInfoSpaces(out, depth * r->form->indent);
}

static int
compare_members(const void *a, const void *b)
{
	/* UTF-8 sorts by code point */
	return strcmp(((const Member *) a)->name, ((const Member *) b)->name);
}

/* One member of an object, or element of an array, up to what ends it. */
static bool
read_member(Reader *r, bool object, Member *member)
{
	StringInfoData text;
	StringInfoData name;

	initStringInfo(&text);
	initStringInfo(&name);
	skip_blanks(r);
	if (object)
	{
		if (r->at >= r->end || *r->at != '"' || !write_string(r, &text, &name))
			return false;
		skip_blanks(r);
		if (r->at >= r->end || *r->at++ != ':')
			return false;
		appendStringInfoString(&text, r->form->colon);
		r->percentage = strcmp(name.data, "percentage_allocation") == 0;
	}
	if (!write_value(r, &text))
		return false;
	member->name = name.data;
	member->text = text.data;

	skip_blanks(r);
	return r->at < r->end;
}

/* An object or an array, from its bracket on. */
static bool
write_container(Reader *r, StringInfo out, bool object)
{
	char		closing = object ? '}' : ']';
	Member	   *members = NULL;
	int			count = 0;
	int			room = 0;

	appendStringInfoChar(out, *r->at++);
	skip_blanks(r);
	if (r->at < r->end && *r->at == closing)
	{
		appendStringInfoChar(out, *r->at++);
		return true;
	}
	for (;;)
	{
		Member		member;

		CHECK_FOR_INTERRUPTS();
		if (!read_member(r, object, &member))
			return false;
		FSW_PUSH(members, count, room) = member;
		if (*r->at == closing)
			break;
		if (*r->at++ != ',')
			return false;
	}
	r->at++;

	if (object && r->form->sorted)
		qsort(members, count, sizeof(Member), compare_members);
	for (int i = 0; i < count; i++)
	{
		if (i > 0)
			appendStringInfoString(out, r->form->comma);
		new_line(r, out, r->depth);
		appendStringInfoString(out, members[i].text);
		pfree(members[i].name);
		pfree(members[i].text);
	}
	new_line(r, out, r->depth - 1);
	appendStringInfoChar(out, closing);
	pfree(members);
	return true;
}

/*
 * A number as Python or JavaScript prints it: the shortest digits that give
 * the same double, and a rule each for where they begin to use an exponent.
 */
static void
write_double(StringInfo out, double value, bool python)
{
	char		shortest[DOUBLE_SHORTEST_DECIMAL_LEN];
	char		digits[DOUBLE_SHORTEST_DECIMAL_LEN];
	int			ndigits = 0;
	int			point = -1;		/* digits in front of the decimal point */
	int			exponent = 0;
	int			leading = 0;
	const char *p = shortest;

	double_to_shortest_decimal_buf(value, shortest);
	if (*p == '-')
		p++;
	for (; *p != '\0' && *p != 'e'; p++)
	{
		if (*p == '.')
			point = ndigits;
		else
			digits[ndigits++] = *p;
	}
	if (point < 0)
		point = ndigits;
	if (*p == 'e')
		exponent = atoi(p + 1);
	while (leading < ndigits - 1 && digits[leading] == '0')
		leading++;
	while (ndigits > leading + 1 && digits[ndigits - 1] == '0')
		ndigits--;
	point += exponent - leading;
	ndigits -= leading;
	if (value == 0)
		point = 1;

	if (value < 0 || (python && signbit(value)))
		appendStringInfoChar(out, '-');
	if (point > (python ? 16 : 21) || point <= (python ? -4 : -6))
	{
		appendStringInfoChar(out, digits[leading]);
		if (ndigits > 1)
			appendStringInfo(out, ".%.*s", ndigits - 1, digits + leading + 1);
		appendStringInfo(out, python ? "e%c%02d" : "e%c%d", point > 0 ? '+' : '-', abs(point - 1));
	}
	else if (point <= 0)
		appendStringInfo(out, "0.%.*s%.*s", -point, "00000000", ndigits, digits + leading);
	else
	{
		for (int i = 0; i < Max(ndigits, point); i++)
		{
			if (i == point)
				appendStringInfoChar(out, '.');
			appendStringInfoChar(out, i < ndigits ? digits[leading + i] : '0');
		}
		if (python && ndigits <= point)
			appendStringInfoString(out, ".0");
	}
}

/* A number or a word, from its first to behind its last byte. */
static void
write_word(const Reader *r, StringInfo out, const char *word, int len, bool percentage)
{
	char	   *copy = pnstrdup(word, len);
	char	   *end;
	double		value;

	if (r->form->numbers == NUMBERS_AS_WRITTEN ||
		(r->form->numbers == NUMBERS_PYTHON && !percentage) ||
		!(*word == '-' || (*word >= '0' && *word <= '9')))
	{
		appendBinaryStringInfo(out, word, len);
		pfree(copy);
		return;
	}
	value = strtod(copy, &end);
	if (*end != '\0' || isinf(value) || isnan(value))
		appendBinaryStringInfo(out, word, len);
	else
		write_double(out, value, r->form->numbers == NUMBERS_PYTHON);
	pfree(copy);
}

static bool
write_value(Reader *r, StringInfo out)
{
	const char *begin;
	bool		ok;
	bool		percentage = r->percentage;

	r->percentage = false;
	skip_blanks(r);
	if (r->at >= r->end)
		return false;
	if (*r->at == '"')
		return write_string(r, out, NULL);
	if (*r->at == '{' || *r->at == '[')
	{
		if (++r->depth > DEPTH_LIMIT)
			return false;
		ok = write_container(r, out, *r->at == '{');
		r->depth--;
		return ok;
	}

	/* a number or a word, as it stands; it need not be one that JSON knows */
	for (begin = r->at; r->at < r->end && strchr(",]} \t\r\n", *r->at) == NULL; r->at++)
	{
		if (!((*r->at >= '0' && *r->at <= '9') || (*r->at >= 'a' && *r->at <= 'z') ||
			  (*r->at >= 'A' && *r->at <= 'Z') || strchr("+-.", *r->at) != NULL))
			return false;
	}
	write_word(r, out, begin, (int) (r->at - begin), percentage);
	return r->at > begin;
}

static bytea *
bytes_of(const StringInfo text)
{
	bytea	   *result = palloc(VARHDRSZ + text->len);

	SET_VARSIZE(result, VARHDRSZ + text->len);
	memcpy(VARDATA(result), text->data, text->len);
	return result;
}

/*
 * The body with every backslash doubled, as it was before the escapes of a
 * bytea literal halved them, or the other way round.  NULL without one.
 */
static bytea *
change_backslashes(const bytea *body, bool twice)
{
	const char *at = VARDATA_ANY(body);
	const char *end = at + VARSIZE_ANY_EXHDR(body);
	StringInfoData out;

	if (memchr(at, '\\', end - at) == NULL)
		return NULL;
	initStringInfo(&out);
	for (; at < end; at++)
	{
		appendStringInfoCharMacro(&out, *at);
		if (*at != '\\')
			continue;
		if (twice)
			appendStringInfoCharMacro(&out, '\\');
		else if (at + 1 < end && at[1] == '\\')
			at++;
	}
	return bytes_of(&out);
}

/*
 * _json_form(body bytea, form text) returns bytea
 */
PG_FUNCTION_INFO_V1(fsw_json_form);

Datum
fsw_json_form(PG_FUNCTION_ARGS)
{
	static const struct
	{
		const char *name;
		Form		form;
	}			forms[] = {
		{"flagsmith", {true, true, 0, ", ", ": ", NUMBERS_AS_WRITTEN, false}},
		{"sorted", {true, true, 0, ",", ":", NUMBERS_AS_WRITTEN, false}},
		{"spaced", {false, false, 0, ", ", ": ", NUMBERS_AS_WRITTEN, false}},
		{"compact", {false, false, 0, ",", ":", NUMBERS_AS_WRITTEN, false}},
		{"indent 2", {false, false, 2, ",", ": ", NUMBERS_AS_WRITTEN, false}},
		{"indent 4", {false, false, 4, ",", ": ", NUMBERS_AS_WRITTEN, false}},
		{"python numbers", {true, true, 0, ", ", ": ", NUMBERS_PYTHON, false}},
		{"javascript", {false, false, 0, ",", ":", NUMBERS_JAVASCRIPT, false}},
		{"unwrapped", {.raw = true}}
	};
	bytea	   *body = PG_GETARG_BYTEA_PP(0);
	char	   *name = text_to_cstring(PG_GETARG_TEXT_PP(1));
	Reader		r = {.at = VARDATA_ANY(body),.end = VARDATA_ANY(body) + VARSIZE_ANY_EXHDR(body)};
	StringInfoData out;
	StringInfoData content;

	if (strcmp(name, "doubled") == 0 || strcmp(name, "halved") == 0)
	{
		bytea	   *result = change_backslashes(body, name[0] == 'd');

		if (result == NULL)
			PG_RETURN_NULL();
		PG_RETURN_BYTEA_P(result);
	}
	for (size_t i = 0; i < lengthof(forms); i++)
		if (strcmp(forms[i].name, name) == 0)
			r.form = &forms[i].form;
	if (r.form == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("unrecognized form of JSON: \"%s\"", name)));

	/* a byte order mark is no part of the text */
	if (r.end - r.at >= 3 && memcmp(r.at, "\xef\xbb\xbf", 3) == 0)
		r.at += 3;
	initStringInfo(&out);
	initStringInfo(&content);
	skip_blanks(&r);
	if (r.form->raw && (r.at == r.end || *r.at != '"'))
		PG_RETURN_NULL();
	if (!(r.form->raw ? write_string(&r, &out, &content) : write_value(&r, &out)))
		PG_RETURN_NULL();
	skip_blanks(&r);
	if (r.at != r.end)
		PG_RETURN_NULL();
	PG_RETURN_BYTEA_P(bytes_of(r.form->raw ? &content : &out));
}
