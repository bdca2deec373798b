/*-------------------------------------------------------------------------
 *
 * notify.h
 *		What systemd is told.
 *
 *-------------------------------------------------------------------------
 */
#ifndef RECEIVER_NOTIFY_H
#define RECEIVER_NOTIFY_H

#include <stdint.h>

extern void notify_state(const char *state);
extern void notify_tick(int64_t now);

#endif							/* RECEIVER_NOTIFY_H */
