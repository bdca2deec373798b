/*-------------------------------------------------------------------------
 *
 * metrics.h
 *		What is counted.
 *
 *-------------------------------------------------------------------------
 */
#ifndef RECEIVER_METRICS_H
#define RECEIVER_METRICS_H

#include "answer.h"

#include <stdint.h>
#include <stdio.h>

typedef enum Event
{
	EVENT_SPOOL_WRITTEN,
	EVENT_SPOOL_DRAINED,
	EVENT_SPOOL_REJECTED,		/* kept on disk, with the reason for it */
	EVENT_SPOOL_NO_WEBHOOK,
	EVENT_SPOOL_ERROR,
	EVENT_SPOOL_FULL,
	EVENT_SPOOL_FAILED,
	EVENT_SPOOL_TORN,
	EVENT_SPOOL_DAMAGED,
	EVENT_DATABASE_CONNECT,
	EVENT_DATABASE_LOST,
	EVENT_DATABASE_RETRY,
	EVENT_BATCH_COMMITTED,
	EVENT_BATCH_UNDONE,
	EVENT_COUNT
} Event;

extern void count_answer(Answer answer);
extern void count_event(Event event, uint64_t by);
extern void count_latency(int64_t microseconds);
extern void gauge_connections(int by);
extern int	connections_now(void);
extern void gauge_held(int by);
extern int	held_now(void);
extern void metrics_write(FILE *out);

#endif							/* RECEIVER_METRICS_H */
