/*-------------------------------------------------------------------------
 *
 * clock.h
 *		What time it is, and whether the end has come.
 *
 *-------------------------------------------------------------------------
 */
#ifndef RECEIVER_CLOCK_H
#define RECEIVER_CLOCK_H

#include <stdatomic.h>
#include <stdint.h>

extern int64_t monotonic_ms(void);
extern int64_t received_now(void);

extern atomic_bool stopping;

#endif							/* RECEIVER_CLOCK_H */
