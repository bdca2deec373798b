/*-------------------------------------------------------------------------
 *
 * session.c
 *		A connection to the database: opening and checking it.
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
#include "log.h"
#include "memory.h"
#include "metrics.h"
#include "options.h"
#include "status.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXTOID 25
#define BYTEAOID 17
#define TIMESTAMPTZOID 1184
#define TEXTARRAYOID 1009
#define BYTEAARRAYOID 1001
#define TIMESTAMPTZARRAYOID 1185

#define CONNECT_TIMEOUT 5000	/* ms */
#define BACKOFF_MIN 100			/* ms, between attempts to connect */
#define BACKOFF_MAX 1000

const char	session_insert_command[] =
"INSERT INTO flagsmith.inbox (webhook, signature, body, received_at) "
"VALUES ($1, $2, $3, $4) RETURNING delivery_id, outcome, reason";

const Oid	session_insert_types[SESSION_INSERT_PARAMS] = {TEXTOID, TEXTOID, BYTEAOID, TIMESTAMPTZOID};

/* The same for several, in the order of the arrays. */
#define INSERT_MANY_COMMAND \
	"INSERT INTO flagsmith.inbox (webhook, signature, body, received_at) " \
	"SELECT d.webhook, d.signature, d.body, d.received_at" \
	" FROM unnest($1, $2, $3, $4) AS d (webhook, signature, body, received_at) " \
	"RETURNING delivery_id, outcome, reason"

static const Oid insert_many_types[SESSION_INSERT_PARAMS] = {TEXTARRAYOID, TEXTARRAYOID, BYTEAARRAYOID, TIMESTAMPTZARRAYOID};

/*
 * Inserts nothing, but the server checks the rights to each column first, and
 * that the view is there, takes rows, and may be written to.
 */
#define CHECK_COMMAND \
	"INSERT INTO flagsmith.inbox (webhook, signature, body, received_at) " \
	"SELECT NULL::pg_catalog.text, NULL::pg_catalog.text, NULL::pg_catalog.bytea," \
	" NULL::pg_catalog.timestamptz WHERE false " \
	"RETURNING delivery_id, outcome, reason"

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
void
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
bool
session_wait(PGconn *conn, short wanted, int64_t deadline)
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
session_prepare(PGconn *conn, const char *name, const char *command, const Oid *types)
{
	PGresult   *result = PQprepare(conn, name, command, SESSION_INSERT_PARAMS, types);
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
		if (!session_wait(session->conn,
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
								SESSION_BEGIN ";" CHECK_COMMAND "; COMMIT" : CHECK_COMMAND);
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
		(session->pooled ||
		 (session_prepare(session->conn, SESSION_INSERT, session_insert_command, session_insert_types) &&
		  session_prepare(session->conn, SESSION_INSERT_MANY, INSERT_MANY_COMMAND, insert_many_types))) &&
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
