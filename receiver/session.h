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

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

#define SESSION_BEGIN "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"
#define SESSION_INSERT_PARAMS 4

/* Its fields are for session.c and insert.c. */
typedef struct Session
{
	const char *purpose;
	PGconn	   *conn;
	bool		open;			/* and checked */
	int64_t		denied_at;		/* since when it lacks a right; 0: it does not */
	bool		pooled;			/* there is a pooler between */
	int64_t		retry_at;		/* no attempt to connect before this */
	int64_t		backoff;
	unsigned int apart;			/* batches that go in one by one from here on */
	unsigned int apart_next;	/* so many when one in common fails again */
	int64_t		slow_at;		/* when its INSERT counts as slow */
	void		(*slow) (void);	/* called then, once; NULL: nobody is told */
} Session;

/* The statements that a session has prepared, where no pooler is between. */
#define SESSION_INSERT "insert"
#define SESSION_INSERT_MANY "insert_many"

extern const char session_insert_command[];
extern const Oid session_insert_types[SESSION_INSERT_PARAMS];

extern Session *session_create(const char *purpose);
extern bool session_open(Session *session);
extern void session_look(Session *session);
extern bool session_wait(PGconn *conn, short wanted, int64_t deadline);
extern void session_lost(Session *session, const Delivery *delivery, int64_t sent);
extern void session_close(Session *session);
extern void session_destroy(Session *session);
extern int	session_try(void);

#endif							/* RECEIVER_SESSION_H */
