/*-------------------------------------------------------------------------
 *
 * clock.c
 *		What time it is, and whether the end has come.
 *
 *-------------------------------------------------------------------------
 */
#include "clock.h"

#include <time.h>

#define EPOCH_2000 INT64_C(946684800)

/* Set once, when the receiver was told to stop. */
atomic_bool stopping;

int64_t
monotonic_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t) ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Now, as PostgreSQL sends a timestamptz. */
int64_t
received_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return ((int64_t) ts.tv_sec - EPOCH_2000) * 1000000 + ts.tv_nsec / 1000;
}
