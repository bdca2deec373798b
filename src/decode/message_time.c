/*-------------------------------------------------------------------------
 *
 * src/decode/message_time.c
 *	  Times as the messages of scheduled changes have them.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/decode/message.h"

/*
 * Read up to maxlen digits.  Returns their number and sets *value.
 */
static int
scan_digits(const char *s, int len, int maxlen, int *value)
{
	int			n = 0;

	*value = 0;
	while (n < len && n < maxlen && s[n] >= '0' && s[n] <= '9')
		*value = *value * 10 + (s[n++] - '0');
	return n;
}

/*
 * Length of the time like "01/03/2026 06:00:00" at the start of s, or 0.
 */
static int
scan_numeric_time(const char *s, int len)
{
	static const char form[] = "dd/dd/dddd dd:dd:dd";
	int			day,
				month,
				hour,
				minute,
				second;

	if (len < (int) sizeof(form) - 1)
		return 0;
	for (int i = 0; i < (int) sizeof(form) - 1; i++)
	{
		if (form[i] == 'd' ? (s[i] < '0' || s[i] > '9') : s[i] != form[i])
			return 0;
	}
	scan_digits(s, 2, 2, &day);
	scan_digits(s + 3, 2, 2, &month);
	scan_digits(s + 11, 2, 2, &hour);
	scan_digits(s + 14, 2, 2, &minute);
	scan_digits(s + 17, 2, 2, &second);
	if (day < 1 || day > 31 || month < 1 || month > 12 ||
		hour > 23 || minute > 59 || second > 59)
		return 0;
	return sizeof(form) - 1;
}

/* The first of some words that s begins with: its length, or 0. */
static int
scan_word(const char *s, int len, const char *const *words, int nwords)
{
	for (int i = 0; i < nwords; i++)
	{
		int			n = strlen(words[i]);

		if (len >= n && memcmp(s, words[i], n) == 0)
			return n;
	}
	return 0;
}

/* Length of the date like "March 1, 2026, " at the start of s, or 0. */
static int
scan_worded_date(const char *s, int len)
{
	static const char *const months[] = {
		"Jan.", "Feb.", "March", "April", "May", "June",
		"July", "Aug.", "Sept.", "Oct.", "Nov.", "Dec."
	};
	int			pos = scan_word(s, len, months, lengthof(months));
	int			n;
	int			value;

	if (pos == 0 || pos >= len || s[pos++] != ' ')
		return 0;
	n = scan_digits(s + pos, len - pos, 2, &value);
	if (n == 0 || s[pos] == '0' || value > 31)
		return 0;
	pos += n;
	if (len - pos < 2 || memcmp(s + pos, ", ", 2) != 0)
		return 0;
	pos += 2;
	n = scan_digits(s + pos, len - pos, 4, &value);
	if (n != 4)
		return 0;
	pos += n;
	return len - pos < 2 || memcmp(s + pos, ", ", 2) != 0 ? 0 : pos + 2;
}

/*
 * Length of the time like "March 1, 2026, 6 a.m.", "Sept. 14, 2026,
 * 1:30 p.m." or "May 5, 2026, noon" at the start of s, or 0.
 */
static int
scan_worded_time(const char *s, int len)
{
	static const char *const words[] = {"noon", "midnight"};
	static const char *const halves[] = {" a.m.", " p.m."};
	int			pos = scan_worded_date(s, len);
	int			n;
	int			value;

	if (pos == 0)
		return 0;
	n = scan_word(s + pos, len - pos, words, lengthof(words));
	if (n > 0)
		return pos + n;

	n = scan_digits(s + pos, len - pos, 2, &value);
	if (n == 0 || s[pos] == '0' || value > 12)
		return 0;
	pos += n;
	if (pos < len && s[pos] == ':')
	{
		pos++;
		n = scan_digits(s + pos, len - pos, 2, &value);
		if (n != 2 || value > 59)
			return 0;
		pos += n;
	}
	n = scan_word(s + pos, len - pos, halves, lengthof(halves));
	return n > 0 ? pos + n : 0;
}

/*
 * fsw_log_time_length() - of the time at the start of s in either form that
 * Flagsmith writes, or 0.
 */
int
fsw_log_time_length(const char *s, int len)
{
	int			n = scan_numeric_time(s, len);

	return n > 0 ? n : scan_worded_time(s, len);
}
