/*-------------------------------------------------------------------------
 *
 * insert.h
 *		Deliveries through a session into the inbox.
 *
 *-------------------------------------------------------------------------
 */
#ifndef RECEIVER_INSERT_H
#define RECEIVER_INSERT_H

#include "session.h"

#define INSERT_TOGETHER_MAX 64	/* in one transaction */

typedef enum InsertMode
{
	INSERT_TOGETHER,			/* in one transaction, where that can be */
	INSERT_IN_ORDER,			/* one by one */
	INSERT_TRIAL				/* one by one, and rolled back */
} InsertMode;

extern bool session_insert(Session *session, const Delivery *const *deliveries,
						   int count, Verdict *verdicts, int64_t deadline,
						   InsertMode mode);
extern bool sqlstate_is_transient(const char *sqlstate);

#endif							/* RECEIVER_INSERT_H */
