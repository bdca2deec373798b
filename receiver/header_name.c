/*-------------------------------------------------------------------------
 *
 * header_name.c
 *		Names of headers.
 *
 *-------------------------------------------------------------------------
 */
#include "header_name.h"

#include <string.h>
#include <strings.h>

/* What may be the name of a header, or a method. */
bool
is_token(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++)
	{
		unsigned char c = (unsigned char) s[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			  (c >= '0' && c <= '9') || memchr("!#$%&'*+-.^_`|~", c, 15) != NULL))
			return false;
	}
	return len > 0;
}

/* Whether a header's value may be logged: a name, and of no secret. */
bool
header_may_be_logged(const char *name)
{
	static const char *const secret[] = {
		SIGNATURE_HEADER, "Authorization", "Proxy-Authorization", "Cookie"
	};

	for (size_t i = 0; i < sizeof(secret) / sizeof(secret[0]); i++)
		if (strcasecmp(name, secret[i]) == 0)
			return false;
	return is_token(name, strlen(name));
}
