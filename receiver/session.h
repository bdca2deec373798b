/*-------------------------------------------------------------------------
 *
 * session.h
 *		One connection to the database.
 *
 *-------------------------------------------------------------------------
 */
#ifndef RECEIVER_SESSION_H
#define RECEIVER_SESSION_H

#include "request.h"

#include <stdbool.h>
#include <stdint.h>

typedef struct Session Session;

extern Session *session_create(const char *purpose);
extern bool session_open(Session *session);
extern void session_look(Session *session);
extern bool session_insert(Session *session, const Delivery *const *deliveries,
						   int count, Verdict *verdicts, int64_t deadline,
						   bool trial);
extern void session_close(Session *session);
extern void session_destroy(Session *session);
extern int	session_try(void);
extern bool sqlstate_is_transient(const char *sqlstate);

#endif							/* RECEIVER_SESSION_H */
