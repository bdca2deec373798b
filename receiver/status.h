/*-------------------------------------------------------------------------
 *
 * status.h
 *		What is known about the database.
 *
 *-------------------------------------------------------------------------
 */
#ifndef RECEIVER_STATUS_H
#define RECEIVER_STATUS_H

#include "request.h"

#include <stdbool.h>
#include <stdint.h>

/* At what the database failed. */
typedef enum Trouble
{
	TROUBLE_NONE, TROUBLE_CONNECT, TROUBLE_CHECK, TROUBLE_INSERT
} Trouble;

extern void status_start(void);
extern void status_opened(void);
extern void status_closed(void);
extern void status_not_opened(Trouble what, const char *cause);
extern void status_failed(const Delivery *delivery, int64_t sent, const char *cause);
extern void status_settled(Answer answer);
extern Delivery *status_witness(void);
extern void status_witness_tried(Delivery *witness, bool settled);
extern bool status_proved_since(int64_t since);
extern bool database_was_checked(void);
extern int64_t database_down_since(void);
extern bool database_is_up(void);
extern void status_stop(void);

#endif							/* RECEIVER_STATUS_H */
