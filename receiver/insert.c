/*-------------------------------------------------------------------------
 *
 * insert.c
 *		Deliveries through a session into the inbox.
 *
 * What waits together goes in together: one INSERT of several rows, so that
 * they cost one statement, one commit, one flush of the server's log and one
 * answer to read.  One of them can fail (an unknown webhook is enough), which
 * undoes them all: then each is sent again in a transaction of its own, so that no delivery is lost or refused for what
 * another one is.  After that, twice as many batches as the last time go one
 * by one, so that who sends what fails does not make all others pay double.
 *
 * Two sessions that insert the same bodies at once wait for each other's key.
 * Within a transaction bodies go in by their bytes, so that they always do so
 * in the same order and no deadlock comes of it.
 *
 * One by one they travel down one pipeline, each with a Sync of its own, as
 * independent as if sent alone.
 *
 * A delivery is settled when the ReadyForQuery behind its Sync is here:
 * that, and not the command tag, says that its COMMIT returned.  Whatever was
 * sent and not settled when a connection is lost has an unknown outcome and
 * is simply sent again: the key of the inbox makes the INSERT idempotent, and
 * received_at is the same with every attempt.
 *
 *-------------------------------------------------------------------------
 */
#include "insert.h"
#include "clock.h"
#include "fault.h"
#include "metrics.h"
#include "options.h"
#include "status.h"

#include <endian.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define DENIED_TIMEOUT 3000		/* ms, with a session that lacks a right */
#define SLOW_AFTER 5			/* ms */
#define TOGETHER_BODY (64 * 1024)	/* a larger one does not keep others waiting */
#define APART_MAX 1024			/* batches */

static bool
send_command(PGconn *conn, const char *command)
{
	return PQsendQueryParams(conn, command, 0, NULL, NULL, NULL, NULL, 0) == 1;
}

/* What session_set() does for a session, for one transaction. */
static bool
send_begin(PGconn *conn)
{
	char		timeout[64];

	snprintf(timeout, sizeof(timeout), "SET LOCAL statement_timeout = %lld",
			 (long long) opt.hold + 1000);
	return send_command(conn, SESSION_BEGIN) &&
		send_command(conn, timeout) &&
		send_command(conn, "SET LOCAL idle_in_transaction_session_timeout = '10s'") &&
		send_command(conn, "SELECT pg_catalog.set_config('synchronous_commit', 'on', true)"
					 " WHERE pg_catalog.current_setting('synchronous_commit') = 'off'");
}

/* Send the INSERT of one delivery, and nothing that ends its transaction. */
static bool
send_insert(const Session *session, const Delivery *delivery)
{
	PGconn	   *conn = session->conn;
	int64_t		received_at = (int64_t) htobe64((uint64_t) delivery->received_at);
	const char *values[SESSION_INSERT_PARAMS] = {delivery->webhook, delivery->signature,
	delivery->body ? delivery->body : "", (const char *) &received_at};
	int			lengths[SESSION_INSERT_PARAMS] = {(int) strlen(delivery->webhook),
		delivery->signature ? (int) strlen(delivery->signature) : 0,
	(int) delivery->body_len, (int) sizeof(received_at)};
	static const int formats[SESSION_INSERT_PARAMS] = {1, 1, 1, 1};

	return (session->pooled ?
			PQsendQueryParams(conn, session_insert_command, SESSION_INSERT_PARAMS, session_insert_types,
							  values, lengths, formats, 0) :
			PQsendQueryPrepared(conn, SESSION_INSERT, SESSION_INSERT_PARAMS, values, lengths, formats, 0)) == 1;
}

/*
 * Send one delivery in a transaction of its own.  A trial is undone: the
 * second Sync stands behind the INSERT because, where that fails, everything
 * up to the next Sync is skipped, and the ROLLBACK must not be; nor the COMMIT
 * where we began the transaction ourselves, which ends a failed one as well.
 */
static bool
send_delivery(const Session *session, const Delivery *delivery, bool trial)
{
	PGconn	   *conn = session->conn;

	if (session->pooled ? !send_begin(conn) : trial && !send_command(conn, "BEGIN"))
		return false;
	if (!send_insert(session, delivery) || PQpipelineSync(conn) != 1)
		return false;
	return (!trial && !session->pooled) ||
		(send_command(conn, trial ? "ROLLBACK" : "COMMIT") && PQpipelineSync(conn) == 1);
}

/*
 * Wait for an answer, and tell once that it takes long.  False when the
 * deadline passed.
 */
static bool
wait_for_answer(Session *session, short wanted, int64_t deadline)
{
	if (session->slow != NULL && session->slow_at < deadline)
	{
		if (session_wait(session->conn, wanted, session->slow_at))
			return true;
		session->slow_at = INT64_MAX;
		session->slow();
	}
	return session_wait(session->conn, wanted, deadline);
}

/* The next result, or NULL with *lost set when there will be none in time. */
static PGresult *
next_result(Session *session, int64_t deadline, bool *lost)
{
	PGconn	   *conn = session->conn;

	*lost = true;
	for (;;)
	{
		int			unsent = PQflush(conn);

		if (unsent < 0)
			return NULL;
		if (!PQisBusy(conn))
			break;
		if (!wait_for_answer(session, unsent ? POLLIN | POLLOUT : POLLIN, deadline) ||
			PQconsumeInput(conn) == 0)
			return NULL;
	}
	*lost = false;
	return PQgetResult(conn);
}

/* Read one of the rows that belong to `rows` deliveries. */
static void
read_row(PGresult *result, int rows, int row, Verdict *verdict)
{
	const char *outcome;

	if (PQntuples(result) != rows || PQnfields(result) != 3)
	{
		/* The view does not do what it should: the operator's to mend. */
		strcpy(verdict->sqlstate, "XX000");
		return;
	}
	snprintf(verdict->delivery_id, sizeof(verdict->delivery_id), "%s",
			 PQgetvalue(result, row, 0));
	outcome = PQgetvalue(result, row, 1);
	if (!PQgetisnull(result, row, 2))
		snprintf(verdict->reason, sizeof(verdict->reason), "%.5s",
				 PQgetvalue(result, row, 2));

	if (strcmp(outcome, "rejected") == 0)
		verdict->answer = strcmp(verdict->reason, "54000") == 0 ?
			ANSWER_REJECTED_SIZE : ANSWER_REJECTED;
	else if (strcmp(outcome, "duplicate") == 0)
		verdict->answer = ANSWER_DUPLICATE;
	else if (strcmp(outcome, "undecoded") == 0)
		verdict->answer = ANSWER_UNDECODED;
	else
		verdict->answer = ANSWER_STORED;
}

static void
read_error(PGresult *result, Verdict *verdict)
{
	const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);

	verdict->answer = ANSWER_NONE;
	verdict->delivery_id[0] = '\0';
	snprintf(verdict->sqlstate, sizeof(verdict->sqlstate), "%s",
			 sqlstate ? sqlstate : "08006");

	/*
	 * The inbox says 42704 and 55000 about the webhook in the path.  The
	 * server has other uses for both codes (a view whose trigger was
	 * disabled, for one), and those must not cost a delivery.
	 */
	if ((strcmp(verdict->sqlstate, "42704") == 0 ||
		 strcmp(verdict->sqlstate, "55000") == 0) &&
		message != NULL && strncmp(message, "webhook ", 8) == 0)
		verdict->answer = ANSWER_NO_WEBHOOK;
}

/*
 * Read what belongs to one delivery, up to the given number of Syncs.  False
 * when the connection ended, or time did, before.
 */
static bool
read_verdict(Session *session, Verdict *verdict, int syncs, int64_t deadline)
{
	while (syncs > 0)
	{
		bool		lost;
		PGresult   *result = next_result(session, deadline, &lost);

		/* NULL only says that one command's results are complete. */
		if (lost || (result == NULL && PQstatus(session->conn) == CONNECTION_BAD))
			return false;
		switch (PQresultStatus(result))
		{
			case PGRES_TUPLES_OK:
				/* one column is what a setting was set to */
				if (PQnfields(result) != 1)
					read_row(result, 1, 0, verdict);
				break;
			case PGRES_PIPELINE_SYNC:
				syncs--;
				break;
			case PGRES_COMMAND_OK:
			case PGRES_PIPELINE_ABORTED:
				break;
			default:
				/* also what a COMMIT says behind a good INSERT */
				if (result != NULL)
					read_error(result, verdict);
				break;
		}
		PQclear(result);
		if (PQstatus(session->conn) == CONNECTION_BAD)
			return false;
	}
	if (verdict->answer == ANSWER_NONE && verdict->sqlstate[0] == '\0')
		strcpy(verdict->sqlstate, "XX000");
	return true;
}

/* One delivery (NULL: of a trial) was settled: what that says of the database. */
static void
note_verdict(const Delivery *delivery, const Verdict *verdict, int64_t sent,
			 const struct timespec *sent_exactly)
{
	struct timespec now;

	if (verdict->answer == ANSWER_NONE)
	{
		char		cause[32];

		snprintf(cause, sizeof(cause), "sqlstate=%s", verdict->sqlstate);
		if (delivery != NULL)
			status_failed(delivery, sent, cause);
		return;
	}
	clock_gettime(CLOCK_MONOTONIC, &now);
	count_latency((now.tv_sec - sent_exactly->tv_sec) * 1000000 +
				  (now.tv_nsec - sent_exactly->tv_nsec) / 1000);
	status_settled(verdict->answer);
}

/*
 * Has it lacked a right for some time?  A role that was dropped and made anew
 * has what is granted to it now, and a session of the old one never will.
 */
static bool
session_is_denied(Session *session, const Verdict *verdict)
{
	if (strcmp(verdict->sqlstate, "42501") != 0)
		session->denied_at = 0;
	else if (session->denied_at == 0)
		session->denied_at = monotonic_ms();
	return session->denied_at != 0 &&
		monotonic_ms() - session->denied_at >= DENIED_TIMEOUT;
}

/*
 * A statement that this connection can no longer run: start again with a new
 * one (the extension was replaced, or a pooler gave us another server
 * connection).
 */
static bool
session_is_broken(Session *session, const Verdict *verdict)
{
	return strcmp(verdict->sqlstate, "0A000") == 0 || strcmp(verdict->sqlstate, "26000") == 0 ||
		session_is_denied(session, verdict);
}

/*
 * Insert some deliveries, each in its own transaction; in a trial each of
 * these is rolled back.  True when all of them are settled; otherwise the
 * connection is gone, and the verdicts say which ones were settled before.
 */
static bool
insert_apart(Session *session, const Delivery *const *deliveries, int count,
			 Verdict *verdicts, int64_t deadline, bool trial)
{
	struct timespec sent_exactly;
	int64_t		sent = monotonic_ms();
	bool		broken = false;

	fault_point("before_insert");
	clock_gettime(CLOCK_MONOTONIC, &sent_exactly);
	for (int i = 0; i < count; i++)
	{
		if (!send_delivery(session, deliveries[i], trial))
		{
			session_lost(session, trial ? NULL : deliveries[0], sent);
			return false;
		}
	}

	for (int i = 0; i < count; i++)
	{
		Verdict    *verdict = &verdicts[i];

		if (!read_verdict(session, verdict, trial || session->pooled ? 2 : 1, deadline))
		{
			session_lost(session, trial ? NULL : deliveries[i], sent);
			return false;
		}
		verdict->settled = true;
		note_verdict(trial ? NULL : deliveries[i], verdict, sent, &sent_exactly);
		if (session_is_broken(session, verdict))
			broken = true;
	}
	if (!trial)
		fault_point("after_commit");
	if (broken)
		session_close(session);
	return true;
}

/* One of a batch, and where it stands in that. */
typedef struct Member
{
	const Delivery *delivery;
	int			place;
} Member;

/* By the bytes of the body: any order will do that is the same in all sessions. */
static int
compare_members(const void *a, const void *b)
{
	const Member *left = a;
	const Member *right = b;
	size_t		left_len = left->delivery->body_len;
	size_t		right_len = right->delivery->body_len;

	if (left_len != right_len)
		return left_len < right_len ? -1 : 1;
	return left_len == 0 ? 0 : memcmp(left->delivery->body, right->delivery->body, left_len);
}

/* The same order as in the statement's parameters. */
typedef enum Column
{
	COLUMN_WEBHOOK, COLUMN_SIGNATURE, COLUMN_BODY, COLUMN_RECEIVED_AT
} Column;

/* What a delivery has in a column; NULL: nothing. */
static const char *
column_value(const Delivery *delivery, Column column, size_t *len, int64_t *room)
{
	switch (column)
	{
		case COLUMN_WEBHOOK:
			*len = strlen(delivery->webhook);
			return delivery->webhook;
		case COLUMN_SIGNATURE:
			*len = delivery->signature ? strlen(delivery->signature) : 0;
			return delivery->signature;
		case COLUMN_BODY:
			*len = delivery->body_len;
			return delivery->body ? delivery->body : "";
		case COLUMN_RECEIVED_AT:
			break;
	}
	*room = (int64_t) htobe64((uint64_t) delivery->received_at);
	*len = sizeof(*room);
	return (const char *) room;
}

static char *
put_int32(char *dst, int32_t value)
{
	uint32_t	sent = htobe32((uint32_t) value);

	memcpy(dst, &sent, sizeof(sent));
	return dst + sizeof(sent);
}

/* One column of a batch as array_recv() reads it; returns its end. */
static char *
put_column(char *dst, const Member *members, int count, Column column)
{
	dst = put_int32(dst, 1);	/* dimensions */
	dst = put_int32(dst, column == COLUMN_SIGNATURE);	/* may have NULLs */
	dst = put_int32(dst, (int32_t) session_insert_types[column]);
	dst = put_int32(dst, count);
	dst = put_int32(dst, 1);	/* its lower bound */
	for (int i = 0; i < count; i++)
	{
		int64_t		room;
		size_t		len;
		const char *value = column_value(members[i].delivery, column, &len, &room);

		dst = put_int32(dst, value ? (int32_t) len : -1);
		if (value != NULL)
		{
			memcpy(dst, value, len);
			dst += len;
		}
	}
	return dst;
}

/* Send one INSERT of a batch, and nothing that ends its transaction. */
static bool
send_members(const Session *session, const Member *members, int count)
{
	static const int formats[SESSION_INSERT_PARAMS] = {1, 1, 1, 1};
	const char *values[SESSION_INSERT_PARAMS];
	int			lengths[SESSION_INSERT_PARAMS];
	size_t		size = SESSION_INSERT_PARAMS * 5 * sizeof(int32_t);
	char	   *parameters;
	char	   *end;
	bool		sent;

	for (int i = 0; i < count; i++)
		for (int column = 0; column < SESSION_INSERT_PARAMS; column++)
		{
			int64_t		room;
			size_t		len;

			(void) column_value(members[i].delivery, column, &len, &room);
			size += sizeof(int32_t) + len;
		}
	parameters = end = malloc(size);
	if (parameters == NULL)
		return false;
	for (int column = 0; column < SESSION_INSERT_PARAMS; column++)
	{
		values[column] = end;
		end = put_column(end, members, count, column);
		lengths[column] = (int) (end - values[column]);
	}
	sent = PQsendQueryPrepared(session->conn, SESSION_INSERT_MANY, SESSION_INSERT_PARAMS,
							   values, lengths, formats, 0) == 1;
	free(parameters);
	return sent;
}

/* Whether a batch is to be tried in one transaction. */
static bool
may_go_together(Session *session, const Delivery *const *deliveries, int count)
{
	if (session->pooled || count < 2 || count > INSERT_TOGETHER_MAX)
		return false;
	for (int i = 0; i < count; i++)
	{
		if (deliveries[i]->body_len > TOGETHER_BODY)
			return false;
	}
	if (session->apart == 0)
		return true;
	session->apart--;
	return false;
}

/*
 * Read what a batch came to, up to its Sync.  *undone: one of them failed, or
 * their COMMIT did, and none is in.  False when the connection ended, or time
 * did, before.
 */
static bool
read_together(Session *session, const Member *members, int count, Verdict *verdicts,
			  int64_t deadline, bool *undone)
{
	for (;;)
	{
		bool		lost;
		PGresult   *result = next_result(session, deadline, &lost);
		ExecStatusType status = PQresultStatus(result);

		if (lost || (result == NULL && PQstatus(session->conn) == CONNECTION_BAD))
			return false;
		if (status == PGRES_TUPLES_OK)
		{
			for (int i = 0; i < count; i++)
				read_row(result, count, i, &verdicts[members[i].place]);
		}
		else if (result != NULL && status != PGRES_PIPELINE_SYNC)
			*undone = true;
		PQclear(result);
		if (PQstatus(session->conn) == CONNECTION_BAD)
			return false;
		if (status == PGRES_PIPELINE_SYNC)
			break;
	}
	for (int i = 0; i < count; i++)
	{
		if (verdicts[i].answer == ANSWER_NONE)
			*undone = true;
	}
	return true;
}

/*
 * Insert a batch in one transaction.  False when the connection is gone, and
 * nothing is settled; *undone as above.
 */
static bool
insert_together(Session *session, const Delivery *const *deliveries, int count,
				Verdict *verdicts, int64_t deadline, bool *undone)
{
	Member		members[INSERT_TOGETHER_MAX];
	struct timespec sent_exactly;
	int64_t		sent = monotonic_ms();
	bool		ok;

	for (int i = 0; i < count; i++)
		members[i] = (Member)
	{
		deliveries[i], i
	};
	qsort(members, (size_t) count, sizeof(Member), compare_members);

	fault_point("before_insert");
	clock_gettime(CLOCK_MONOTONIC, &sent_exactly);
	ok = send_members(session, members, count) && PQpipelineSync(session->conn) == 1 &&
		read_together(session, members, count, verdicts, deadline, undone);
	if (!ok)
	{
		memset(verdicts, 0, sizeof(Verdict) * (size_t) count);
		session_lost(session, deliveries[0], sent);
		return false;
	}
	if (*undone)
	{
		memset(verdicts, 0, sizeof(Verdict) * (size_t) count);
		return true;
	}
	for (int i = 0; i < count; i++)
	{
		verdicts[i].settled = true;
		note_verdict(deliveries[i], &verdicts[i], sent, &sent_exactly);
	}
	session->denied_at = 0;
	fault_point("after_commit");
	return true;
}

/*
 * Insert some deliveries.  True when all of them are settled; otherwise the
 * connection is gone, and the verdicts say which ones were settled before.
 */
bool
session_insert(Session *session, const Delivery *const *deliveries, int count,
			   Verdict *verdicts, int64_t deadline, InsertMode mode)
{
	bool		undone = false;

	memset(verdicts, 0, sizeof(Verdict) * (size_t) count);
	session->slow_at = monotonic_ms() + SLOW_AFTER;
	if (mode == INSERT_TOGETHER && may_go_together(session, deliveries, count))
	{
		if (!insert_together(session, deliveries, count, verdicts, deadline, &undone))
			return false;
		count_event(undone ? EVENT_BATCH_UNDONE : EVENT_BATCH_COMMITTED, 1);
		if (!undone)
		{
			session->apart_next = 0;
			return true;
		}
		session->apart_next = session->apart_next == 0 ? 1 : session->apart_next * 2;
		if (session->apart_next > APART_MAX)
			session->apart_next = APART_MAX;
		session->apart = session->apart_next;
	}
	return insert_apart(session, deliveries, count, verdicts, deadline, mode == INSERT_TRIAL);
}

/*
 * Errors that say nothing about the delivery: the server is not there, or
 * not yet set up.  Everything else that is no verdict may lie in the one
 * delivery, so the spool does not wait for it forever.
 */
bool
sqlstate_is_transient(const char *sqlstate)
{
	static const char *const classes[] = {
		"08", "25", "28", "3D", "3F", "40", "42", "53", "55", "57", "58"
	};

	for (size_t i = 0; i < sizeof(classes) / sizeof(classes[0]); i++)
		if (strncmp(sqlstate, classes[i], 2) == 0)
			return true;
	return strcmp(sqlstate, "0A000") == 0 || strcmp(sqlstate, "26000") == 0;
}
