/*-------------------------------------------------------------------------
 *
 * request.h
 *		A request, from its first line to its answer.
 *
 * One request is owned by one thread at a time: libmicrohttpd's while it is
 * read and answered, a database worker's or the spool writer's while it is
 * held.  It changes hands through database_submit(), spool_submit() and
 * its own done(), and whoever has passed it on does not touch it again.
 *
 *-------------------------------------------------------------------------
 */
#ifndef RECEIVER_REQUEST_H
#define RECEIVER_REQUEST_H

#include "answer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What goes into flagsmith.inbox. */
typedef struct Delivery
{
	const char *webhook;		/* UTF-8, not empty */
	const char *signature;		/* printable ASCII; NULL: no such header */
	const char *body;
	size_t		body_len;
	int64_t		received_at;	/* microseconds since 2000-01-01 00:00 UTC */
} Delivery;

/* What became of one INSERT. */
typedef struct Verdict
{
	bool		settled;		/* the server gave its last word */
	Answer		answer;			/* where settled; ANSWER_NONE: an error */
	char		sqlstate[6];	/* of an error, else empty */
	char		reason[6];		/* code in front of the inbox's reason */
	char		delivery_id[24];
} Verdict;

#define FORWARDED_LIMIT 100		/* bytes of a proxy's header that are logged */

typedef struct Peer Peer;

/* A request between its first line and its answer. */
typedef struct Request
{
	struct Request *next;		/* in the queue that holds it */
	struct MHD_Connection *connection;
	Peer	   *peer;
	enum
	{
		STAGE_HEAD, STAGE_BODY, STAGE_HELD,
		STAGE_DRAIN				/* refused; what still comes is thrown away */
	}			stage;
	const char *client;			/* address, for the log */
	char	   *forwarded;		/* what --client-address-header says, or NULL */
	Delivery	delivery;
	char	   *webhook;
	char	   *signature;
	char	   *body;
	size_t		body_size;		/* allocated */
	uint64_t	content_length; /* if chunked, the most that is taken */
	bool		has_body;
	bool		chunked;
	bool		status_page;
	bool		malformed;		/* the request line is */
	bool		answered;		/* counted and logged */
	bool		expect;			/* sent Expect: answer before the body comes */
	Answer		answer;

	/*
	 * Takes it back, once, from any thread, with what it is answered in
	 * `answer`, and others that are linked to it by `next`.
	 */
	void		(*done) (struct Request *requests);
	Verdict		verdict;
	int			attempts;
	int64_t		held_since;		/* monotonic milliseconds */
	int64_t		deadline;		/* stop trying the database then */
	int64_t		not_before;		/* next attempt, after an error */
} Request;

#endif							/* RECEIVER_REQUEST_H */
