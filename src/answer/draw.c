/*-------------------------------------------------------------------------
 *
 * src/answer/draw.c
 *	  What timeline() and timeline_svg() need besides SQL: which flags a
 *	  question is about, and names that do no harm where they are shown.
 *
 * Names and values are the sender's text.  On a terminal a control character
 * can move the cursor or rewrite a line, and a mark of direction can turn the
 * reading of a line around; in a picture an unescaped "<" is markup.  So no
 * text gets into a drawing but through fsw_cell() or fsw_xml().
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "funcapi.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

#include "src/answer/unknown.h"
#include "src/base/fsw.h"
#include "src/read/read.h"

PG_FUNCTION_INFO_V1(fsw_drawn_flags);
PG_FUNCTION_INFO_V1(fsw_cell);
PG_FUNCTION_INFO_V1(fsw_columns);
PG_FUNCTION_INFO_V1(fsw_xml);
PG_FUNCTION_INFO_V1(fsw_shades);

/* More marks above one character than this are no language. */
#define MAX_COMBINING	4

typedef struct CharRange
{
	pg_wchar	first;
	pg_wchar	last;
} CharRange;

/* What is not shown as it is: controls, directions, invisible ones, tags. */
static const CharRange unsafe[] = {
	{0x0000, 0x001f}, {0x007f, 0x009f}, {0x00ad, 0x00ad}, {0x061c, 0x061c}, {0x180e, 0x180e},
	{0x200b, 0x200f}, {0x2028, 0x202e}, {0x2060, 0x206f}, {0xfeff, 0xfeff}, {0xfff9, 0xfffb},
	{0xfffe, 0xffff}, {0xe0000, 0xe007f}
};

static bool
is_unsafe(const char *at)
{
	pg_wchar	c = (unsigned char) *at;

	if (GetDatabaseEncoding() == PG_UTF8)
		c = utf8_to_unicode((const unsigned char *) at);
	else if (IS_HIGHBIT_SET(*at))
		return false;
	for (int i = 0; i < (int) lengthof(unsafe); i++)
	{
		if (c >= unsafe[i].first && c <= unsafe[i].last)
			return true;
	}
	return false;
}

/* What stands for a character that is not shown. */
static const char *
stand_in(void)
{
	return GetDatabaseEncoding() == PG_UTF8 ? "\xef\xbf\xbd" : "?";
}

static const char *
cut_mark(void)
{
	return GetDatabaseEncoding() == PG_UTF8 ? "\xe2\x80\xa6" : "~";
}

/*
 * Append a text, as it may be shown, as far as it fits into a number of
 * columns; -1: all of it.  Returns how many columns it took.
 */
static int
append_shown(StringInfo to, const text *from, int columns)
{
	const char *at = VARDATA_ANY(from);
	const char *end = at + VARSIZE_ANY_EXHDR(from);
	int			taken = 0;
	int			combining = 0;
	int			cut_length = 0; /* of what fits before a cut mark */
	int			cut_taken = 0;

	while (at < end)
	{
		int			length = Min(pg_encoding_mblen(GetDatabaseEncoding(), at), (int) (end - at));
		bool		replaced = is_unsafe(at);
		int			width = replaced ? 1 : Max(pg_dsplen(at), 0);

		combining = width == 0 ? combining + 1 : 0;
		if (columns >= 0 && taken + width > columns)
		{
			/* a mark says that there is more */
			to->len = cut_length;
			to->data[to->len] = '\0';
			if (columns == 0)
				return 0;
			appendStringInfoString(to, cut_mark());
			return cut_taken + 1;
		}
		if (replaced)
			appendStringInfoString(to, stand_in());
		else if (combining <= MAX_COMBINING)
			appendBinaryStringInfo(to, at, length);
		taken += width;
		if (taken < columns)
		{
			cut_length = to->len;
			cut_taken = taken;
		}
		at += length;
	}
	return taken;
}

/*
 * _cell(text, columns): as it may be shown on a terminal, cut and padded to so
 * many columns; negative: only cut.
 */
Datum
fsw_cell(PG_FUNCTION_ARGS)
{
	StringInfoData cell;
	int			columns = PG_ARGISNULL(1) ? 0 : PG_GETARG_INT32(1);
	int			taken = 0;

	columns = Max(-1000, Min(1000, columns));
	initStringInfo(&cell);
	if (!PG_ARGISNULL(0))
		taken = append_shown(&cell, PG_GETARG_TEXT_PP(0), abs(columns));
	if (columns > taken)
		appendStringInfoSpaces(&cell, columns - taken);
	PG_RETURN_TEXT_P(cstring_to_text_with_len(cell.data, cell.len));
}

/* _columns(text): how many columns it takes on a terminal. */
Datum
fsw_columns(PG_FUNCTION_ARGS)
{
	StringInfoData shown;

	initStringInfo(&shown);
	PG_RETURN_INT32(append_shown(&shown, PG_GETARG_TEXT_PP(0), -1));
}

/*
 * _shades(): on, on with another value, off, and on and off that are inferred,
 * one character each; of those that every encoding has, where it is not UTF8.
 */
Datum
fsw_shades(PG_FUNCTION_ARGS)
{
	(void) fcinfo;
	PG_RETURN_TEXT_P(cstring_to_text(GetDatabaseEncoding() == PG_UTF8 ?
									 "\xe2\x96\x88\xe2\x96\x93\xe2\x96\x91\xe2\x96\x92\xc2\xb7" : "#@-+."));
}

/* _xml(text): as it may stand in an element or an attribute. */
Datum
fsw_xml(PG_FUNCTION_ARGS)
{
	StringInfoData shown;
	StringInfoData xml;

	initStringInfo(&shown);
	initStringInfo(&xml);
	append_shown(&shown, PG_GETARG_TEXT_PP(0), -1);
	for (const char *at = shown.data; *at != '\0'; at++)
	{
		switch (*at)
		{
			case '&':
				appendStringInfoString(&xml, "&amp;");
				break;
			case '<':
				appendStringInfoString(&xml, "&lt;");
				break;
			case '>':
				appendStringInfoString(&xml, "&gt;");
				break;
			case '"':
				appendStringInfoString(&xml, "&quot;");
				break;
			case '\'':
				appendStringInfoString(&xml, "&#39;");
				break;
			default:
				appendStringInfoChar(&xml, *at);
		}
	}
	PG_RETURN_TEXT_P(cstring_to_text_with_len(xml.data, xml.len));
}

/* The question of the first five arguments; by ids where no environment is named. */
static FswQuestion
asked_question(FunctionCallInfo fcinfo)
{
	FswQuestion question = {0};

	if (!PG_ARGISNULL(0))
	{
		question.environment = PG_GETARG_TEXT_PP(0);
		if (!PG_ARGISNULL(1))
			question.feature = PG_GETARG_TEXT_PP(1);
		return question;
	}
	if (PG_ARGISNULL(2))
		fsw_raise_null("environment");
	question.environment_id = PG_GETARG_INT64(2);
	question.has_feature = !PG_ARGISNULL(3);
	if (question.has_feature)
		question.feature_id = PG_GETARG_INT64(3);
	if (!PG_ARGISNULL(4))
		question.source = PG_GETARG_TEXT_PP(4);
	return question;
}

/* Was the same feature written before? */
static bool
is_again(const FswPair *pairs, int i)
{
	for (int j = 0; j < i; j++)
	{
		if (pairs[j].environment_id == pairs[i].environment_id && pairs[j].feature.id == pairs[i].feature.id &&
			fsw_same_text(pairs[j].source, pairs[i].source))
			return true;
	}
	return false;
}

/*
 * _drawn_flags(environment, feature, environment_id, feature_id, source, at):
 * the environment that is meant at an instant, with every feature that ever
 * bore the name in it, since one that was made anew has another id; NULL where
 * no feature is asked for.
 */
Datum
fsw_drawn_flags(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo;
	FswQuestion question = asked_question(fcinfo);
	FswReader  *reader = fsw_reader_open();
	FswPair    *pairs;
	int			npairs = fsw_question_pairs(reader, &question, &pairs);
	int			nfound;
	int		   *found;
	const FswPair *meant;
	int64		at = PG_ARGISNULL(5) ? DT_NOEND : PG_GETARG_TIMESTAMPTZ(5);
	bool		with_feature = question.feature != NULL || question.has_feature;

	InitMaterializedSRF(fcinfo, 0);
	rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	if (npairs == 0)
		fsw_raise_unknown(reader, &question);
	found = palloc_array(int, npairs);
	nfound = fsw_resolve_at(pairs, npairs, at, found);
	meant = &pairs[found[0]];
	for (int i = 1; i < nfound; i++)
	{
		if (pairs[found[i]].environment_id != meant->environment_id ||
			!fsw_same_text(pairs[found[i]].source, meant->source))
			fsw_raise_ambiguous(reader, &question, pairs, found, nfound, at);
	}
	fsw_reader_close(reader);

	for (int i = 0; i < npairs; i++)
	{
		Datum		values[3];
		bool		nulls[3] = {false, false, !with_feature};

		if (pairs[i].environment_id != meant->environment_id ||
			!fsw_same_text(pairs[i].source, meant->source) || is_again(pairs, i))
			continue;
		values[0] = meant->source;
		values[1] = Int64GetDatum(meant->environment_id);
		values[2] = Int64GetDatum(pairs[i].feature.id);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}
