/*-------------------------------------------------------------------------
 *
 * json.c
 *	  Test of the limits that fsw_json_parse() sets before the server's parser
 *	  runs, which the shim replaces by one that takes everything.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "mb/pg_wchar.h"

#include "src/base/fsw.h"
#include "t/unit/shim.h"
#include "t/unit/unit.h"

/* The documented limits. */
#define DEPTH 512
#define NUMBER 1000

/* fields: name, body, reason or "-", SQLSTATE that the parser fails with */
void
unit_case(const Field *fields, int nfields)
{
	char	   *reason = NULL;

	if (nfields == 4)
		shim_jsonb_error = MAKE_SQLSTATE(fields[3].data[0], fields[3].data[1],
										 fields[3].data[2], fields[3].data[3], fields[3].data[4]);
	if (nfields < 3)
		unit_is("", "three fields", fields[0].data);
	else if (fsw_json_parse((const uint8 *) fields[1].data, fields[1].len, &reason) != NULL)
		unit_is("-", fields[2].data, fields[0].data);
	else
		unit_is(reason, fields[2].data, fields[0].data);
	shim_jsonb_error = 0;
	shim_reset();
}

/*
 * Whether a token outside of strings is a number beyond the limits, or the
 * nesting is: the same rule as in src/decode/json.c, said in another way.
 */
static bool
beyond_limits(const uint8_t *data, size_t size)
{
	bool		in_string = false;
	int			level = 0;

	for (size_t i = 0; i < size; i++)
	{
		uint8		c = data[i];

		if (in_string)
		{
			if (c == '\\')
				i++;
			else if (c == '"')
				in_string = false;
			continue;
		}
		if (c == '"')
			in_string = true;
		else if (c == '[' || c == '{')
		{
			if (++level > DEPTH)
				return true;
		}
		else if (c == ']' || c == '}')
			level--;
		else if (c == '-' || (c >= '0' && c <= '9'))
		{
			size_t		n = 0;
			double		exponent = 0;
			bool		has_exponent = false;

			for (; i + n < size && data[i + n] != 0 && strchr("0123456789.+-eE", data[i + n]); n++)
			{
				if (data[i + n] == 'e' || data[i + n] == 'E')
					has_exponent = true;
				else if (has_exponent && data[i + n] >= '0')
					exponent = exponent * 10 + (data[i + n] - '0');
			}
			if (n > NUMBER || exponent > 1000)
				return true;
			i += n - 1;
		}
	}
	return false;
}

void
unit_check(const uint8_t *data, size_t size)
{
	char	   *reason = NULL;
	bool		utf8 = pg_encoding_verifymbstr(PG_UTF8, (const char *) data, (int) size) == (int) size;
	bool		accepted = fsw_json_parse(data, size, &reason) != NULL;
	bool		too_many = reason != NULL && strncmp(reason, "54000", 5) == 0;

	/* the third limit, on the tree, needs more than 75 kB of brackets */
	if (too_many ? size < 70000 : accepted != (utf8 && !beyond_limits(data, size)))
		abort();
	if (accepted == (reason != NULL))
		abort();
	if (shim_reset() > size + 2048)
		abort();
}
