/*-------------------------------------------------------------------------
 *
 * log.c
 *		One line per happening on standard error, as key=value pairs.
 *
 * Neither a body nor a header's value is ever written, at any level.  What
 * a sender chose (the name of a webhook) is quoted, escaped and cut, and
 * lines that a sender can cause at will are limited in number.
 *
 *-------------------------------------------------------------------------
 */
#include "receiver.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LINE_SIZE 1024
#define DELIVERY_LINES_PER_SECOND 50

static const char *const level_name[] = {"error", "warning", "info", "debug"};

/*
 * Quote src for a log line: printable characters as they are, everything
 * else as \xNN, cut where the buffer is full.
 */
void
log_quote(char *dst, size_t size, const char *src)
{
	size_t		used = 0;

	dst[used++] = '"';
	for (; *src != '\0' && used + 9 < size; src++)
	{
		unsigned char c = (unsigned char) *src;

		if (c == '"' || c == '\\')
			dst[used++] = '\\';
		if (c < 0x20 || c >= 0x7f)
			used += (size_t) snprintf(dst + used, size - used, "\\x%02x", c);
		else
			dst[used++] = (char) c;
	}
	if (*src != '\0')
	{
		memcpy(dst + used, "...", 3);
		used += 3;
	}
	dst[used++] = '"';
	dst[used] = '\0';
}

void
log_line(int level, const char *event, const char *format,...)
{
	char		line[LINE_SIZE];
	struct timespec ts;
	struct tm	tm;
	va_list		args;
	size_t		len;
	int			n;

	if (level > opt.log_level)
		return;

	clock_gettime(CLOCK_REALTIME, &ts);
	gmtime_r(&ts.tv_sec, &tm);
	len = strftime(line, sizeof(line), "ts=%Y-%m-%dT%H:%M:%S", &tm);
	len += (size_t) snprintf(line + len, sizeof(line) - len,
							 ".%03ldZ level=%s event=%s",
							 ts.tv_nsec / 1000000, level_name[level], event);
	if (format[0] != '\0')
	{
		line[len++] = ' ';
		va_start(args, format);
		n = vsnprintf(line + len, sizeof(line) - len - 1, format, args);
		va_end(args);
		if (n > 0)
			len += (size_t) n < sizeof(line) - len - 1 ?
				(size_t) n : sizeof(line) - len - 2;
	}
	if (line[len - 1] == ' ')
		len--;					/* nothing came behind the event */
	line[len++] = '\n';

	/* One write per line, so that the lines of several threads stay whole. */
	if (write(STDERR_FILENO, line, len) < 0)
		return;
}

/*
 * The line about one answered delivery.  Accepted ones are written at level
 * debug only: with the row in the database there is nothing to find out.
 */
void
log_delivery(const Request *request, Answer answer)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static int64_t window = 0;
	static unsigned lines = 0;
	static unsigned unwritten = 0;
	char		name[128];
	unsigned	suppressed = 0;
	int64_t		now;
	int			level;

	switch (answer)
	{
		case ANSWER_STORED:
		case ANSWER_DUPLICATE:
		case ANSWER_STATUS:
			level = LOG_LEVEL_DEBUG;
			break;
		case ANSWER_SPOOLED:
		case ANSWER_CLOSED:
			level = LOG_LEVEL_WARNING;
			break;
		default:
			level = LOG_LEVEL_INFO;
			break;
	}
	if (level > opt.log_level)
		return;

	now = monotonic_ms();
	pthread_mutex_lock(&lock);
	if (now - window >= 1000)
	{
		window = now;
		lines = 0;
		suppressed = unwritten;
		unwritten = 0;
	}
	if (lines++ >= DELIVERY_LINES_PER_SECOND)
	{
		unwritten++;
		pthread_mutex_unlock(&lock);
		return;
	}
	pthread_mutex_unlock(&lock);

	if (suppressed > 0)
		log_line(LOG_LEVEL_WARNING, "lines_suppressed", "count=%u", suppressed);

	if (request->webhook != NULL)
		log_quote(name, sizeof(name), request->webhook);
	else
		strcpy(name, "\"\"");
	log_line(level, "delivery",
			 "webhook=%s status=%d outcome=%s reason=%s delivery_id=%s bytes=%zu "
			 "held_ms=%lld attempts=%d",
			 name, answer_status(answer), answer_word(answer),
			 request->verdict.reason[0] ? request->verdict.reason :
			 request->verdict.sqlstate[0] ? request->verdict.sqlstate : "-",
			 request->verdict.delivery_id[0] ? request->verdict.delivery_id : "-",
			 request->delivery.body_len,
			 (long long) (request->held_since ? now - request->held_since : 0),
			 request->attempts);
}
