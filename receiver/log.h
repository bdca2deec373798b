/*-------------------------------------------------------------------------
 *
 * log.h
 *		One line per happening.
 *
 *-------------------------------------------------------------------------
 */
#ifndef RECEIVER_LOG_H
#define RECEIVER_LOG_H

#include "request.h"

#include <stddef.h>
#include <stdint.h>

enum
{
	LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG
};

extern int	log_level;

extern void log_line(int level, const char *event, const char *format,...)
			__attribute__((format(printf, 3, 4)));
extern void log_delivery(const Request *request, Answer answer);
extern void log_timeout(const char *client);
extern void log_flush(int64_t now);
extern void log_quote(char *dst, size_t size, const char *src);

#endif							/* RECEIVER_LOG_H */
