/*-------------------------------------------------------------------------
 *
 * src/read/initial_value.c
 *	  The value that a flag is created with.
 *
 * Bodies have it as a word whatever its type; Flagsmith guesses the type when
 * it makes the states, and so does this, by the same rules.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"

#include "src/base/fsw.h"
#include "src/read/read.h"

/*
 * Is the word an integer to Flagsmith, which asks Python's int(): blanks around
 * it, a sign, zeros in front and single underscores between digits are allowed.
 * From 2^31 - 1 on it stays a string.
 */
static bool
is_initial_integer(const char *word, int64 *value)
{
	bool		negative;
	bool		digit = false;

	word += strspn(word, " \t\n\v\f\r");
	negative = *word == '-';
	word += negative || *word == '+';
	*value = 0;
	for (; (*word >= '0' && *word <= '9') || (*word == '_' && digit); word++)
	{
		digit = *word != '_';
		if (digit)
			*value = *value * 10 + *word - '0';
		if (*value >= PG_INT32_MAX)
			return false;
	}
	if (negative)
		*value = -*value;
	return digit && word[strspn(word, " \t\n\v\f\r")] == '\0';
}

/* The value that initial_value, a word whatever its type, stands for. */
Datum
fsw_initial_value(Datum initial)
{
	char	   *word = TextDatumGetCString(initial);
	JsonbValue	value;
	int64		integer;

	if (is_initial_integer(word, &integer))
		return DirectFunctionCall1(jsonb_in, CStringGetDatum(psprintf(INT64_FORMAT, integer)));
	if (strcmp(word, "true") == 0 || strcmp(word, "True") == 0 ||
		strcmp(word, "false") == 0 || strcmp(word, "False") == 0)
	{
		value.type = jbvBool;
		value.val.boolean = word[0] == 't' || word[0] == 'T';
	}
	else
	{
		value.type = jbvString;
		value.val.string.val = word;
		value.val.string.len = strlen(word);
	}
	return JsonbPGetDatum(JsonbValueToJsonb(&value));
}
