/*-------------------------------------------------------------------------
 *
 * src/decode/json.c
 *	  From the bytes of a body to jsonb, without ever raising for what they say.
 *
 * jsonb_in() is PostgreSQL's own parser and decides what is JSON.  Three things
 * it would do with a hostile body are prevented by one linear scan before it:
 * recursion (nesting), numbers of a few bytes that become hundreds of
 * kilobytes when they are printed (exponents), and a tree many times larger
 * than the text (empty containers).  What is left to fail fails softly: with
 * soft errors where the server has them, else in a subtransaction around the
 * parser alone.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/resowner.h"

#include "src/base/fsw.h"

/* Flagsmith's deepest body has 7 levels. */
#define MAX_DEPTH 512

/* A Python float has at most 24 characters; integers of traits may be longer. */
#define MAX_NUMBER_LENGTH 1000
#define MAX_EXPONENT 1000

/*
 * What the parser's tree may weigh, in bytes, estimated from the structure:
 * an object starts with room for pairs, an array with room for elements.
 */
#define MAX_TREE_SIZE (28 * 1024 * 1024)
#define OBJECT_SIZE 400
#define ARRAY_SIZE 200
#define ELEMENT_SIZE 96

/*
 * Why a body cannot be parsed, as stored in undecoded_reason.  The texts of
 * the server's own conditions are fixed here, so that a stored reason depends
 * neither on lc_messages nor on the release.
 */
static char *
reason_for(int sqlerrcode)
{
	const char *text;

	switch (sqlerrcode)
	{
		case ERRCODE_CHARACTER_NOT_IN_REPERTOIRE:
			text = "invalid byte sequence for encoding \"UTF8\"";

			break;
		case ERRCODE_INVALID_TEXT_REPRESENTATION:
			text = "invalid input syntax for type json";

			break;
		case ERRCODE_UNTRANSLATABLE_CHARACTER:
		case ERRCODE_FEATURE_NOT_SUPPORTED:
			text = "unsupported Unicode escape sequence";

			break;
		case ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE:
			text = "number is out of range";

			break;
		case ERRCODE_STATEMENT_TOO_COMPLEX:
			text = psprintf("webhook payload is nested more than %d levels deep", MAX_DEPTH);

			break;
		case ERRCODE_PROGRAM_LIMIT_EXCEEDED:
			text = "webhook payload has too many values";

			break;
		default:
			text = "webhook payload could not be parsed";

			break;
	}
	return psprintf("%s %s", unpack_sql_state(sqlerrcode), text);
}

/*
 * The scan of a number that starts at p: false if it is too long or its
 * exponent too large to be handled cheaply.  *next is the byte after it.
 */
static bool
scan_number(const uint8 *p, const uint8 *end, const uint8 **next)
{
	const uint8 *start = p;
	int			exponent = 0;
	bool		in_exponent = false;

	for (; p < end; p++)
	{
		if (*p >= '0' && *p <= '9')
		{
			if (in_exponent && exponent <= MAX_EXPONENT)
				exponent = exponent * 10 + (*p - '0');
		}
		else if (*p == 'e' || *p == 'E')
			in_exponent = true;
		else if (*p != '.' && *p != '+' && *p != '-')
			break;
	}
	*next = p;
	return p - start <= MAX_NUMBER_LENGTH && exponent <= MAX_EXPONENT;
}

/* The one scan before the parser: 0, or the SQLSTATE of what is too much. */
static int
scan_body(const uint8 *body, size_t len)
{
	const uint8 *p = body;
	const uint8 *end = body + len;
	int			depth = 0;
	size_t		tree = 0;

	while (p < end)
	{
		switch (*p)
		{
			case '"':
				for (p++; p < end && *p != '"'; p++)
				{
					if (*p == '\\' && p + 1 < end)
						p++;
				}
				if (p < end)
					p++;
				break;
			case '{':
			case '[':
				if (++depth > MAX_DEPTH)
					return ERRCODE_STATEMENT_TOO_COMPLEX;
				tree += (*p == '{') ? OBJECT_SIZE : ARRAY_SIZE;
				p++;
				break;
			case '}':
			case ']':
				depth--;
				p++;
				break;
			case ',':
				tree += ELEMENT_SIZE;
				p++;
				break;
			case '-':
			case '0':
			case '1':
			case '2':
			case '3':
			case '4':
			case '5':
			case '6':
			case '7':
			case '8':
			case '9':
				if (!scan_number(p, end, &p))
					return ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE;
				break;
			default:
				p++;
				break;
		}
		if (tree > MAX_TREE_SIZE)
			return ERRCODE_PROGRAM_LIMIT_EXCEEDED;
	}
	return 0;
}

#ifdef FSW_SOFT_INPUT_ERRORS

static Jsonb *
parse_softly(char *text, int *sqlerrcode)
{
	ErrorSaveContext escontext = {.type = T_ErrorSaveContext,.details_wanted = true};
	Datum		result;

	if (!DirectInputFunctionCallSafe(jsonb_in, text, InvalidOid, -1,
									 (Node *) &escontext, &result))
	{
		*sqlerrcode = escontext.error_data->sqlerrcode;
		return NULL;
	}
	return DatumGetJsonbP(result);
}

#else

static Jsonb *
parse_softly(char *text, int *sqlerrcode)
{
	MemoryContext mcxt = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	uint64		counter = fsw_xact_counter();
	Jsonb	   *volatile result = NULL;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(mcxt);
	PG_TRY();
	{
		result = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum(text)));
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		ErrorData  *error;
		int			category;

		MemoryContextSwitchTo(mcxt);
		error = CopyErrorData();
		category = ERRCODE_TO_CATEGORY(error->sqlerrcode);
		RollbackAndReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(mcxt);
		CurrentResourceOwner = owner;

		/* What the text is not to blame for, a cancelled query, goes on. */
		if (category != ERRCODE_TO_CATEGORY(ERRCODE_DATA_EXCEPTION) &&
			category != ERRCODE_TO_CATEGORY(ERRCODE_PROGRAM_LIMIT_EXCEEDED) &&
			category != ERRCODE_TO_CATEGORY(ERRCODE_FEATURE_NOT_SUPPORTED))
			ReThrowError(error);
		FlushErrorState();
		*sqlerrcode = error->sqlerrcode;
		FreeErrorData(error);
	}
	PG_END_TRY();
	MemoryContextSwitchTo(mcxt);
	CurrentResourceOwner = owner;

	/* This subtransaction wrote and read nothing: caches stay as they are. */
	fsw_xact_counter_reset(counter);
	return result;
}

#endif

/*
 * fsw_json_parse() - the body as jsonb, or NULL and why not.
 *
 * *reason is palloc'd: SQLSTATE, blank, text.  Linear in len; allocates in
 * the current memory context, at most about 50 MB for 1 MB.
 */
Jsonb *
fsw_json_parse(const uint8 *body, size_t len, char **reason)
{
	Jsonb	   *result;
	char	   *text;
	int			sqlerrcode;

	if (!pg_verify_mbstr(PG_UTF8, (const char *) body, len, true))
	{
		*reason = reason_for(ERRCODE_CHARACTER_NOT_IN_REPERTOIRE);
		return NULL;
	}
	sqlerrcode = scan_body(body, len);
	if (sqlerrcode != 0)
	{
		*reason = reason_for(sqlerrcode);
		return NULL;
	}

	text = pnstrdup((const char *) body, len);

	/*
	 * Flagsmith sends ASCII, which no conversion changes.  Anything else in a
	 * database of another encoding is left undecoded rather than converted
	 * with a loss.
	 */
	if (GetDatabaseEncoding() != PG_UTF8)
	{
		for (const char *p = text; *p; p++)
		{
			if (IS_HIGHBIT_SET(*p))
			{
				*reason = reason_for(ERRCODE_UNTRANSLATABLE_CHARACTER);
				return NULL;
			}
		}
	}

	result = parse_softly(text, &sqlerrcode);
	pfree(text);
	if (result == NULL)
		*reason = reason_for(sqlerrcode);
	return result;
}
