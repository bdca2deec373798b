/*-------------------------------------------------------------------------
 *
 * src/decode/timestamp.c
 *	  The one form of a time that bodies have.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "pgtime.h"
#include "utils/datetime.h"

#include "src/base/fsw.h"
#include "src/decode/row.h"

static int
two_digits(const char *p)
{
	if (p[0] < '0' || p[0] > '9' || p[1] < '0' || p[1] > '9')
		return -1;
	return (p[0] - '0') * 10 + (p[1] - '0');
}

/* YYYY-MM-DDTHH:MM:SS at the start of str; false where it is no time. */
static bool
parse_date_time(const char *str, struct pg_tm *tm)
{
	int			century = two_digits(str);
	int			year = two_digits(str + 2);

	if (str[4] != '-' || str[7] != '-' || str[10] != 'T' ||
		str[13] != ':' || str[16] != ':' || century < 0 || year < 0)
		return false;
	memset(tm, 0, sizeof(*tm));
	tm->tm_year = century * 100 + year;
	tm->tm_mon = two_digits(str + 5);
	tm->tm_mday = two_digits(str + 8);
	tm->tm_hour = two_digits(str + 11);
	tm->tm_min = two_digits(str + 14);
	tm->tm_sec = two_digits(str + 17);
	return tm->tm_year >= 1 && tm->tm_mon >= 1 && tm->tm_mon <= 12 &&
		tm->tm_mday >= 1 && tm->tm_mday <= day_tab[isleap(tm->tm_year)][tm->tm_mon - 1] &&
		tm->tm_hour >= 0 && tm->tm_hour <= 23 && tm->tm_min >= 0 && tm->tm_min <= 59 &&
		tm->tm_sec >= 0 && tm->tm_sec <= 59;
}

/* Z, +hh:mm or -hh:mm, and nothing behind it, as tm2timestamp() wants it. */
static bool
parse_zone(const char *p, const char *end, int *tz)
{
	int			hours;
	int			minutes;

	*tz = 0;
	if (p == end)
		return false;
	if (*p == 'Z')
		return p + 1 == end;
	if ((*p != '+' && *p != '-') || end - p != 6 || p[3] != ':')
		return false;
	hours = two_digits(p + 1);
	minutes = two_digits(p + 4);
	if (hours < 0 || hours > 15 || minutes < 0 || minutes > 59)
		return false;
	*tz = (hours * 60 + minutes) * 60;
	if (*p == '+')
		*tz = -*tz;
	return true;
}

/*
 * fsw_parse_timestamp() - YYYY-MM-DDTHH:MM:SS[.f{1,6}](Z|+hh:mm|-hh:mm), and
 * nothing else (docs/flagsmith.md).
 *
 * timestamptz_in() would take 'now' and 'infinity' and read the rest by the
 * session's TimeZone and DateStyle.  This rule decides the key of an event:
 * later versions must not change it.
 */
bool
fsw_parse_timestamp(const char *str, size_t len, TimestampTz *result)
{
	struct pg_tm tm;
	fsec_t		fsec = 0;
	const char *p = str + 19;
	const char *end = str + len;
	int			tz;

	if (len < 20 || !parse_date_time(str, &tm))
		return false;
	if (*p == '.')
	{
		int			scale = 100000;

		for (p++; p < end && *p >= '0' && *p <= '9'; p++)
		{
			if (scale == 0)
				return false;
			fsec += (*p - '0') * scale;
			scale /= 10;
		}
		if (p[-1] == '.')
			return false;
	}
	return parse_zone(p, end, &tz) && tm2timestamp(&tm, fsec, &tz, result) == 0;
}
