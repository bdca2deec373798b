/*-------------------------------------------------------------------------
 *
 * session.c
 *		A connection to the database, and the INSERTs that go through it.
 *
 * Several deliveries travel down one pipeline, each in a transaction of its
 * own with a Sync behind it, so that they are as independent as if sent one
 * by one and cost a fraction of the system calls.
 *
 * A delivery is settled when the ReadyForQuery behind its Sync is here:
 * that, and not the command tag, says that its COMMIT returned.  Whatever was
 * sent and not settled when a connection is lost has an unknown outcome and
 * is simply sent again: the key of the inbox makes the INSERT idempotent, and
 * received_at is the same with every attempt.
 *
 * Behind a pooler (pgbouncer), the next transaction may go to another server
 * connection, and what is set or prepared in one stays there for other
 * clients.  So there nothing outlives a transaction: what a session is set to
 * otherwise is set in each, and the INSERT is prepared without a name each
 * time, which costs the server a quarter more.
 *
 *-------------------------------------------------------------------------
 */
#include "session.h"
#include "clock.h"
#include "fault.h"
#include "log.h"
#include "memory.h"
#include "metrics.h"
#include "options.h"
#include "status.h"

#include <endian.h>
#include <errno.h>
#include <libpq-fe.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TEXTOID 25
#define BYTEAOID 17
#define TIMESTAMPTZOID 1184

#define CONNECT_TIMEOUT 5000	/* ms */
#define BACKOFF_MIN 100			/* ms, between attempts to connect */
#define BACKOFF_MAX 1000
#define DENIED_TIMEOUT 3000		/* ms, with a session that lacks a right */

static const char insert_command[] =
"INSERT INTO flagsmith.inbox (webhook, signature, body, received_at) "
"VALUES ($1, $2, $3, $4) RETURNING delivery_id, outcome, reason";

static const Oid insert_types[] = {TEXTOID, TEXTOID, BYTEAOID, TIMESTAMPTZOID};

/*
 * Inserts nothing, but the server checks the rights to each column first, and
 * that the view is there, takes rows, and may be written to.
 */
#define CHECK_COMMAND \
	"INSERT INTO flagsmith.inbox (webhook, signature, body, received_at) " \
	"SELECT NULL::pg_catalog.text, NULL::pg_catalog.text, NULL::pg_catalog.bytea," \
	" NULL::pg_catalog.timestamptz WHERE false " \
	"RETURNING delivery_id, outcome, reason"

#define BEGIN_COMMAND "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"

struct Session
{
	const char *purpose;
	PGconn	   *conn;
	bool		open;			/* and checked */
	int64_t		denied_at;		/* since when it lacks a right; 0: it does not */
	bool		pooled;			/* there is a pooler between */
	int64_t		retry_at;		/* no attempt to connect before this */
	int64_t		backoff;
};

Session *
session_create(const char *purpose)
{
	Session    *session = xmalloc(sizeof(Session));

	memset(session, 0, sizeof(*session));
	session->purpose = purpose;
	session->backoff = BACKOFF_MIN;
	return session;
}

void
session_close(Session *session)
{
	if (session->conn != NULL)
		PQfinish(session->conn);
	session->conn = NULL;
	session->denied_at = 0;
	if (session->open)
		status_closed();
	session->open = false;
}

void
session_destroy(Session *session)
{
	session_close(session);
	free(session);
}

/* What libpq says, in one quoted line. */
static void
session_message(const Session *session, char *dst, size_t size)
{
	const char *message = session->conn ? PQerrorMessage(session->conn) : "out of memory";
	size_t		len = strlen(message);
	char	   *line = xmalloc(len + 1);

	memcpy(line, message, len + 1);
	while (len > 0 && line[len - 1] == '\n')
		line[--len] = '\0';
	for (char *p = line; *p != '\0'; p++)
		if (*p == '\n' || *p == '\t')
			*p = ' ';
	log_quote(dst, size, len > 0 ? line : "no answer in time");
	free(line);
}

/*
 * The connection is gone under an INSERT: `delivery` is the first unsettled,
 * NULL in a trial, which is not to begin an outage.
 */
static void
session_lost(Session *session, const Delivery *delivery, int64_t sent)
{
	char		message[512];

	session_message(session, message, sizeof(message));
	count_event(EVENT_DATABASE_LOST, 1);
	session_close(session);
	if (delivery != NULL)
		status_failed(delivery, sent, message);
}

/* Wait for the socket, at most until the deadline; false when that passed. */
static bool
socket_wait(PGconn *conn, short wanted, int64_t deadline)
{
	struct pollfd pfd = {.fd = PQsocket(conn),.events = wanted};

	for (;;)
	{
		int64_t		left = deadline - monotonic_ms();
		int			rc;

		if (left <= 0 || pfd.fd < 0)
			return false;
		rc = poll(&pfd, 1, (int) left);
		if (rc > 0)
			return true;
		if (rc < 0 && errno != EINTR)
			return false;
	}
}

/* Is the server's process the one that answered when we connected? */
static bool
session_find_pooler(Session *session)
{
	PGresult   *result = PQexec(session->conn, "SELECT pg_catalog.pg_backend_pid()");
	bool		ok = PQresultStatus(result) == PGRES_TUPLES_OK;

	if (ok)
		session->pooled = atoi(PQgetvalue(result, 0, 0)) != PQbackendPID(session->conn);
	PQclear(result);
	return ok;
}

/*
 * What a connection must be set to, whatever the role's or the database's
 * defaults are: an answer of 200 promises a durable commit, and READ
 * COMMITTED is what lets a duplicate find the row that won.  The server gives
 * up a little later than we do, so that nothing lingers after we went away.
 */
static bool
session_set(PGconn *conn)
{
	char		settings[512];
	PGresult   *result;
	bool		ok;

	snprintf(settings, sizeof(settings),
			 "SET default_transaction_isolation = 'read committed';"
			 "SET default_transaction_read_only = off;"
			 "SET statement_timeout = %lld;"
			 "SET idle_in_transaction_session_timeout = '10s';"
			 "SELECT pg_catalog.set_config('synchronous_commit', 'on', false)"
			 " WHERE pg_catalog.current_setting('synchronous_commit') = 'off'",
			 (long long) opt.hold + 1000);
	result = PQexec(conn, settings);
	ok = PQresultStatus(result) == PGRES_TUPLES_OK;
	PQclear(result);
	return ok;
}

static bool
session_prepare(PGconn *conn)
{
	PGresult   *result = PQprepare(conn, "insert", insert_command, 4, insert_types);
	bool		ok = PQresultStatus(result) == PGRES_COMMAND_OK;

	PQclear(result);
	return ok;
}

/* Connect, within CONNECT_TIMEOUT. */
static bool
session_connect(Session *session)
{
	const char *keywords[] = {"dbname", "client_encoding",
	"fallback_application_name", NULL};
	const char *values[] = {opt.conninfo, "UTF8", "flagsmith-receiver", NULL};
	PostgresPollingStatusType state = PGRES_POLLING_WRITING;
	int64_t		deadline = monotonic_ms() + CONNECT_TIMEOUT;

	session->conn = PQconnectStartParams(keywords, values, 1);
	if (session->conn == NULL || PQstatus(session->conn) == CONNECTION_BAD)
		return false;
	while (state == PGRES_POLLING_READING || state == PGRES_POLLING_WRITING)
	{
		if (!socket_wait(session->conn,
						 state == PGRES_POLLING_READING ? POLLIN : POLLOUT,
						 deadline))
			return false;
		state = PQconnectPoll(session->conn);
	}
	return state == PGRES_POLLING_OK;
}

/*
 * Whether this session may insert.  To be connected says little: the role may
 * be another than the one that was meant, without a right to the inbox, the
 * database one without the extension, or the server a standby.
 */
static bool
session_check(const Session *session)
{
	PGresult   *result = PQexec(session->conn, session->pooled ?
								BEGIN_COMMAND ";" CHECK_COMMAND "; COMMIT" : CHECK_COMMAND);
	bool		ok = PQresultStatus(result) ==
		(session->pooled ? PGRES_COMMAND_OK : PGRES_TUPLES_OK);

	PQclear(result);
	return ok;
}

/* Once nothing is to be waited for any more. */
static bool
session_pipeline(PGconn *conn)
{
	return PQsetnonblocking(conn, 1) == 0 && PQenterPipelineMode(conn) == 1;
}

/*
 * Connect, set, check and prepare.  TROUBLE_NONE, or at what it failed; the
 * connection is still there then, for its message.
 */
static Trouble
session_begin(Session *session)
{
	if (!session_connect(session))
		return TROUBLE_CONNECT;
	if (session_find_pooler(session) &&
		(session->pooled || session_set(session->conn)) &&
		session_check(session) &&
		(session->pooled || session_prepare(session->conn)) &&
		session_pipeline(session->conn))
		return TROUBLE_NONE;
	return PQstatus(session->conn) == CONNECTION_BAD ? TROUBLE_CONNECT : TROUBLE_CHECK;
}

/*
 * Make sure that there is a connection.  One attempt, and none before the
 * backoff of the last failure has passed.
 */
bool
session_open(Session *session)
{
	char		message[512];
	Trouble		failed;

	if (session->conn != NULL)
		return true;
	if (monotonic_ms() < session->retry_at)
		return false;

	failed = session_begin(session);
	if (failed == TROUBLE_NONE)
	{
		session->backoff = BACKOFF_MIN;
		session->retry_at = 0;
		session->open = true;
		count_event(EVENT_DATABASE_CONNECT, 1);
		log_line(LOG_LEVEL_DEBUG, "database_connected", "connection=%s",
				 session->purpose);
		status_opened();
		return true;
	}

	session_message(session, message, sizeof(message));
	session_close(session);
	status_not_opened(failed, message);
	session->retry_at = monotonic_ms() + session->backoff;
	session->backoff = session->backoff * 2 > BACKOFF_MAX ?
		BACKOFF_MAX : session->backoff * 2;
	return false;
}

/*
 * Close a session that the server has ended while nobody used it, so that an
 * outage is noticed before a request is.
 */
void
session_look(Session *session)
{
	struct pollfd pfd = {.events = POLLIN};

	if (session->conn == NULL)
		return;
	pfd.fd = PQsocket(session->conn);
	if (poll(&pfd, 1, 0) <= 0)
		return;
	if (PQconsumeInput(session->conn) == 0 ||
		PQstatus(session->conn) == CONNECTION_BAD)
	{
		count_event(EVENT_DATABASE_LOST, 1);
		session_close(session);
	}
}

/*
 * What --check does: one session, opened and checked.  The exit status, with
 * a message about it.
 */
int
session_try(void)
{
	Session    *session = session_create("check");
	Trouble		failed = session_begin(session);

	if (failed == TROUBLE_NONE)
		printf("flagsmith-receiver: role \"%s\" can insert into flagsmith.inbox "
			   "of database \"%s\"\n", PQuser(session->conn), PQdb(session->conn));
	else
	{
		const char *message = session->conn ? PQerrorMessage(session->conn) : "";

		fprintf(stderr, "flagsmith-receiver: %s: %s",
				failed == TROUBLE_CONNECT ? "could not connect to the database" :
				"connected to the database, but cannot insert into flagsmith.inbox",
				message[0] ? message : "no answer in time\n");
	}
	session_destroy(session);
	return failed == TROUBLE_NONE ? 0 : 1;
}

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
	return send_command(conn, BEGIN_COMMAND) &&
		send_command(conn, timeout) &&
		send_command(conn, "SET LOCAL idle_in_transaction_session_timeout = '10s'") &&
		send_command(conn, "SELECT pg_catalog.set_config('synchronous_commit', 'on', true)"
					 " WHERE pg_catalog.current_setting('synchronous_commit') = 'off'");
}

/*
 * Send one delivery.  A trial is undone: the second Sync stands behind the
 * INSERT because, where that fails, everything up to the next Sync is skipped,
 * and the ROLLBACK must not be; nor the COMMIT where we began the transaction
 * ourselves, which ends a failed one as well.
 */
static bool
send_delivery(const Session *session, const Delivery *delivery, bool trial)
{
	PGconn	   *conn = session->conn;
	int64_t		received_at = (int64_t) htobe64((uint64_t) delivery->received_at);
	const char *values[4] = {delivery->webhook, delivery->signature,
	delivery->body ? delivery->body : "", (const char *) &received_at};
	int			lengths[4] = {(int) strlen(delivery->webhook),
		delivery->signature ? (int) strlen(delivery->signature) : 0,
	(int) delivery->body_len, (int) sizeof(received_at)};
	static const int formats[4] = {1, 1, 1, 1};

	if (session->pooled ? !send_begin(conn) : trial && !send_command(conn, "BEGIN"))
		return false;
	if ((session->pooled ?
		 PQsendQueryParams(conn, insert_command, 4, insert_types, values, lengths, formats, 0) :
		 PQsendQueryPrepared(conn, "insert", 4, values, lengths, formats, 0)) != 1 ||
		PQpipelineSync(conn) != 1)
		return false;
	return (!trial && !session->pooled) ||
		(send_command(conn, trial ? "ROLLBACK" : "COMMIT") && PQpipelineSync(conn) == 1);
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
		if (!socket_wait(conn, unsent ? POLLIN | POLLOUT : POLLIN, deadline) ||
			PQconsumeInput(conn) == 0)
			return NULL;
	}
	*lost = false;
	return PQgetResult(conn);
}

static void
read_row(PGresult *result, Verdict *verdict)
{
	const char *outcome;

	if (PQntuples(result) != 1 || PQnfields(result) != 3)
	{
		/* The view does not do what it should: the operator's to mend. */
		strcpy(verdict->sqlstate, "XX000");
		return;
	}
	snprintf(verdict->delivery_id, sizeof(verdict->delivery_id), "%s",
			 PQgetvalue(result, 0, 0));
	outcome = PQgetvalue(result, 0, 1);
	if (!PQgetisnull(result, 0, 2))
		snprintf(verdict->reason, sizeof(verdict->reason), "%.5s",
				 PQgetvalue(result, 0, 2));

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
					read_row(result, verdict);
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
 * Insert some deliveries, each in its own transaction; in a trial each of
 * these is rolled back.  True when all of them are settled; otherwise the
 * connection is gone, and the verdicts say which ones were settled before.
 */
bool
session_insert(Session *session, const Delivery *const *deliveries, int count,
			   Verdict *verdicts, int64_t deadline, bool trial)
{
	struct timespec sent_exactly;
	int64_t		sent = monotonic_ms();
	bool		broken = false;

	memset(verdicts, 0, sizeof(Verdict) * (size_t) count);

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

		/*
		 * A statement that this connection can no longer run: start again
		 * with a new one (the extension was replaced, or a pooler gave us
		 * another server connection).
		 */
		if (strcmp(verdict->sqlstate, "0A000") == 0 ||
			strcmp(verdict->sqlstate, "26000") == 0 ||
			session_is_denied(session, verdict))
			broken = true;
	}
	if (!trial)
		fault_point("after_commit");
	if (broken)
		session_close(session);
	return true;
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
