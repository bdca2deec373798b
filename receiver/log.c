/*-------------------------------------------------------------------------
 *
 * log.c
 *		One line per happening on standard error, as key=value pairs.
 *
 * Neither a body nor a header's value is ever written, at any level, but for
 * the header that was asked for.  What a sender chose (that, and the name of a
 * webhook) is quoted, escaped and cut.  Lines that a sender can cause at will
 * are limited in number, by a bucket that holds a hundred and fills slowly.
 *
 *-------------------------------------------------------------------------
 */
#include "log.h"
#include "answer.h"
#include "clock.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LINE_SIZE 1024
#define DEBUG_LINES_PER_SECOND 50

/*
 * Refusals: as many at once, and so many in the long run.  A day of nothing
 * but forgeries writes about 100 MB.
 */
#define REFUSAL_BURST 100
#define REFUSAL_INTERVAL 200	/* ms for each line */
#define SUMMARY_INTERVAL 10000	/* ms between two words on what is not written */

/* How much is written. */
int			log_level = LOG_LEVEL_INFO;

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

	if (level > log_level)
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

/* What senders can cause: guarded by the lock. */
static pthread_mutex_t limit_lock = PTHREAD_MUTEX_INITIALIZER;
static int64_t debug_window;
static unsigned debug_lines;
static int64_t full_at[LOG_LEVEL_DEBUG];	/* when the bucket is full again */
static unsigned unwritten;
static int64_t summary_at;

/* Whether one more line may be written. */
static bool
take_line(int level, int64_t now)
{
	bool		taken;

	pthread_mutex_lock(&limit_lock);
	if (level == LOG_LEVEL_DEBUG)
	{
		if (now - debug_window >= 1000)
		{
			debug_window = now;
			debug_lines = 0;
		}
		taken = debug_lines++ < DEBUG_LINES_PER_SECOND;
	}
	else
	{
		/* one for each level, so that forgeries do not hide an outage */
		if (full_at[level] < now)
			full_at[level] = now;
		taken = full_at[level] - now <= (REFUSAL_BURST - 1) * REFUSAL_INTERVAL;
		if (taken)
			full_at[level] += REFUSAL_INTERVAL;
	}
	if (!taken && unwritten++ == 0)
		summary_at = now + SUMMARY_INTERVAL;
	pthread_mutex_unlock(&limit_lock);
	return taken;
}

/* Called every now and then: say how much was not written. */
void
log_flush(int64_t now)
{
	unsigned	count = 0;

	pthread_mutex_lock(&limit_lock);
	if (unwritten > 0 && (now >= summary_at || now == INT64_MAX))
	{
		count = unwritten;
		unwritten = 0;
	}
	pthread_mutex_unlock(&limit_lock);
	if (count > 0)
		log_line(LOG_LEVEL_WARNING, "lines_suppressed", "count=%u", count);
}

/* A request that took too long; it may be in any state, so no more is said. */
void
log_timeout(const char *client)
{
	if (LOG_LEVEL_INFO <= log_level && take_line(LOG_LEVEL_INFO, monotonic_ms()))
		log_line(LOG_LEVEL_INFO, "delivery", "client=%s status=%d outcome=%s", client,
				 answer_status(ANSWER_TIMEOUT), answer_word(ANSWER_TIMEOUT));
}

static int
answer_level(Answer answer)
{
	switch (answer)
	{
		case ANSWER_STORED:
		case ANSWER_DUPLICATE:
		case ANSWER_STATUS:
			return LOG_LEVEL_DEBUG;
		case ANSWER_SPOOLED:
		case ANSWER_CLOSED:
			return LOG_LEVEL_WARNING;
		default:
			return LOG_LEVEL_INFO;
	}
}

/*
 * The line about one answered delivery.  Accepted ones are written at level
 * debug only: with the row in the database there is nothing to find out.
 */
void
log_delivery(const Request *request, Answer answer)
{
	char		name[128];
	char		forwarded[4 * FORWARDED_LIMIT + 16];
	int64_t		now = monotonic_ms();
	int			level = answer_level(answer);

	if (level > log_level || !take_line(level, now))
		return;
	log_quote(name, sizeof(name), request->webhook != NULL ? request->webhook : "");
	if (request->forwarded != NULL)
		log_quote(forwarded, sizeof(forwarded), request->forwarded);
	log_line(level, "delivery",
			 "webhook=%s status=%d outcome=%s reason=%s delivery_id=%s bytes=%zu "
			 "held_ms=%lld attempts=%d client=%s%s%s",
			 name, answer_status(answer), answer_word(answer),
			 request->verdict.reason[0] ? request->verdict.reason :
			 request->verdict.sqlstate[0] ? request->verdict.sqlstate : "-",
			 request->verdict.delivery_id[0] ? request->verdict.delivery_id : "-",
			 request->delivery.body_len,
			 (long long) (request->held_since ? now - request->held_since : 0),
			 request->attempts, request->client,
			 request->forwarded != NULL ? " forwarded=" : "",
			 request->forwarded != NULL ? forwarded : "");
}
