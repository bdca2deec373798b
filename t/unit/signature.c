/*-------------------------------------------------------------------------
 *
 * signature.c
 *	  Test of fsw_signature_parse(): 64 hexadecimal digits, or nothing.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/base/fsw.h"
#include "t/unit/unit.h"

/* The same another way: the digit's value, or -1. */
static int
digit(uint8 c)
{
	static const char digits[] = "0123456789abcdef0123456789ABCDEF";
	const char *p = c == 0 ? NULL : strchr(digits, c);

	return p == NULL ? -1 : (int) ((p - digits) % 16);
}

/* fields: name, header, the digest in hexadecimal or "-" */
void
unit_case(const Field *fields, int nfields)
{
	uint8		mac[FSW_DIGEST_LENGTH];
	char		got[2 * FSW_DIGEST_LENGTH + 1] = "-";

	if (nfields == 3 && fsw_signature_parse(fields[1].data, fields[1].len, mac))
	{
		for (int i = 0; i < FSW_DIGEST_LENGTH; i++)
		{
			got[2 * i] = "0123456789abcdef"[mac[i] >> 4];
			got[2 * i + 1] = "0123456789abcdef"[mac[i] & 15];
		}
	}
	unit_is(got, nfields == 3 ? fields[2].data : "three fields", fields[0].data);
}

void
unit_check(const uint8_t *data, size_t size)
{
	uint8		mac[FSW_DIGEST_LENGTH];
	bool		right = size == 2 * FSW_DIGEST_LENGTH;

	for (size_t i = 0; right && i < size; i++)
		right = digit(data[i]) >= 0;
	if (fsw_signature_parse((const char *) data, size, mac) != right)
		abort();
	for (int i = 0; right && i < FSW_DIGEST_LENGTH; i++)
	{
		if (mac[i] != digit(data[2 * i]) * 16 + digit(data[2 * i + 1]))
			abort();
	}
}
