/*-------------------------------------------------------------------------
 *
 * database.c
 *		The pool of connections that inserts deliveries into flagsmith.inbox.
 *
 * A worker thread owns one connection and takes as many waiting requests as
 * are its share.  They travel down one pipeline, each in a transaction of its
 * own with a Sync behind it, so that they are as independent as if sent one
 * by one and cost a fraction of the system calls.
 *
 * A request is settled when the ReadyForQuery behind its Sync is here:
 * that, and not the command tag, says that its COMMIT returned.  Whatever was
 * sent and not settled when a connection is lost has an unknown outcome and
 * is simply sent again: the key of the inbox makes the INSERT idempotent, and
 * received_at is the same with every attempt.
 *
 *-------------------------------------------------------------------------
 */
#include "receiver.h"

#include <endian.h>
#include <errno.h>
#include <libpq-fe.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define TEXTOID 25
#define BYTEAOID 17
#define TIMESTAMPTZOID 1184

#define PIPELINE_DEPTH 32
#define PIPELINE_BYTES (8 * 1024 * 1024)
#define CONNECT_TIMEOUT 5000	/* ms */
#define BACKOFF_MIN 100			/* ms, between attempts to connect */
#define BACKOFF_MAX 1000
#define RETRY_MIN 20			/* ms, before a request is tried again */
#define RETRY_MAX 1000

static const char insert_command[] =
"INSERT INTO flagsmith.inbox (webhook, signature, body, received_at) "
"VALUES ($1, $2, $3, $4) RETURNING delivery_id, outcome, reason";

struct Session
{
	const char *purpose;
	PGconn	   *conn;
	int64_t		retry_at;		/* no attempt to connect before this */
	int64_t		backoff;
};

/* Requests that wait for a worker. */
static struct
{
	pthread_mutex_t lock;
	pthread_cond_t wake;
	Request    *head;
	Request   **tail;
	size_t		ready;
	Request    *delayed;		/* not to be tried before their not_before */
	bool		stop;
}			queue = {.lock = PTHREAD_MUTEX_INITIALIZER};

static pthread_t *workers;
static int	worker_count;

/*
 * When the database was last found out of order without having done anything
 * since, in monotonic milliseconds; 0 while all is well.
 */
static atomic_int_fast64_t down_since;

static void
database_worked(void)
{
	if (atomic_exchange(&down_since, 0) != 0)
		log_line(LOG_LEVEL_INFO, "database_up", "%s", "");
}

static void
database_failed(void)
{
	int_fast64_t expected = 0;

	atomic_compare_exchange_strong(&down_since, &expected, monotonic_ms());
}

bool
database_is_up(void)
{
	return atomic_load(&down_since) == 0;
}

Session *
session_create(const char *purpose)
{
	Session    *session = xmalloc(sizeof(Session));

	memset(session, 0, sizeof(*session));
	session->purpose = purpose;
	session->backoff = BACKOFF_MIN;
	return session;
}

static void
session_close(Session *session)
{
	if (session->conn != NULL)
		PQfinish(session->conn);
	session->conn = NULL;
}

void
session_destroy(Session *session)
{
	session_close(session);
	free(session);
}

static void
session_lost(Session *session, const char *what)
{
	char		message[512];

	log_quote(message, sizeof(message), PQerrorMessage(session->conn));
	if (strcmp(message, "\"\"") == 0)
		strcpy(message, "\"no answer in time\"");
	log_line(LOG_LEVEL_WARNING, "database_lost", "connection=%s during=%s message=%s",
			 session->purpose, what, message);
	count_event(EVENT_DATABASE_LOST, 1);
	session_close(session);
	database_failed();
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

/*
 * What a connection must be set to, whatever the role's or the database's
 * defaults are: an answer of 200 promises a durable commit, and READ
 * COMMITTED is what lets a duplicate find the row that won.  The server gives
 * up a little later than we do, so that nothing lingers after we went away.
 */
static bool
session_prepare(PGconn *conn)
{
	static const Oid types[] = {TEXTOID, TEXTOID, BYTEAOID, TIMESTAMPTZOID};
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
	if (!ok)
		return false;

	result = PQprepare(conn, "insert", insert_command, 4, types);
	ok = PQresultStatus(result) == PGRES_COMMAND_OK;
	PQclear(result);
	return ok && PQsetnonblocking(conn, 1) == 0 && PQenterPipelineMode(conn) == 1;
}

/*
 * Make sure that there is a connection.  One attempt, and none before the
 * backoff of the last failure has passed.
 */
bool
session_open(Session *session)
{
	const char *keywords[] = {"dbname", "client_encoding",
	"fallback_application_name", NULL};
	const char *values[] = {opt.conninfo, "UTF8", "flagsmith-receiver", NULL};
	PostgresPollingStatusType status = PGRES_POLLING_WRITING;
	int64_t		deadline;

	if (session->conn != NULL)
		return true;
	if (monotonic_ms() < session->retry_at)
		return false;

	deadline = monotonic_ms() + CONNECT_TIMEOUT;
	session->conn = PQconnectStartParams(keywords, values, 1);
	if (session->conn != NULL && PQstatus(session->conn) != CONNECTION_BAD)
	{
		while (status == PGRES_POLLING_READING || status == PGRES_POLLING_WRITING)
		{
			if (!socket_wait(session->conn,
							 status == PGRES_POLLING_READING ? POLLIN : POLLOUT,
							 deadline))
				break;
			status = PQconnectPoll(session->conn);
		}
	}

	if (session->conn != NULL && status == PGRES_POLLING_OK &&
		session_prepare(session->conn))
	{
		session->backoff = BACKOFF_MIN;
		session->retry_at = 0;
		count_event(EVENT_DATABASE_CONNECT, 1);
		log_line(LOG_LEVEL_DEBUG, "database_connected", "connection=%s",
				 session->purpose);
		database_worked();
		return true;
	}

	/* Say so once for each step of the backoff, not ten times a second. */
	if (session->backoff < BACKOFF_MAX)
	{
		char		message[512];

		log_quote(message, sizeof(message),
				  session->conn ? PQerrorMessage(session->conn) : "out of memory");
		log_line(LOG_LEVEL_WARNING, "database_unavailable",
				 "connection=%s message=%s", session->purpose, message);
	}
	session_close(session);
	database_failed();
	session->retry_at = monotonic_ms() + session->backoff;
	session->backoff = session->backoff * 2 > BACKOFF_MAX ?
		BACKOFF_MAX : session->backoff * 2;
	return false;
}

static bool
send_delivery(PGconn *conn, const Delivery *delivery)
{
	int64_t		received_at = (int64_t) htobe64((uint64_t) delivery->received_at);
	const char *values[4] = {delivery->webhook, delivery->signature,
	delivery->body ? delivery->body : "", (const char *) &received_at};
	int			lengths[4] = {(int) strlen(delivery->webhook),
		delivery->signature ? (int) strlen(delivery->signature) : 0,
	(int) delivery->body_len, (int) sizeof(received_at)};
	static const int formats[4] = {1, 1, 1, 1};

	return PQsendQueryPrepared(conn, "insert", 4, values, lengths, formats, 0) == 1 &&
		PQpipelineSync(conn) == 1;
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
 * Insert some deliveries, each in its own transaction.  True when all of them
 * are settled; otherwise the connection is gone, and the verdicts say which
 * ones were settled before that.
 */
bool
session_insert(Session *session, const Delivery *const *deliveries, int count,
			   Verdict *verdicts, int64_t deadline)
{
	PGconn	   *conn = session->conn;
	struct timespec sent;
	bool		broken = false;

	memset(verdicts, 0, sizeof(Verdict) * (size_t) count);

	fault_point("before_insert");
	clock_gettime(CLOCK_MONOTONIC, &sent);
	for (int i = 0; i < count; i++)
	{
		if (!send_delivery(conn, deliveries[i]))
		{
			session_lost(session, "send");
			return false;
		}
	}

	for (int i = 0; i < count; i++)
	{
		Verdict    *verdict = &verdicts[i];
		bool		synced = false;

		while (!synced)
		{
			bool		lost;
			PGresult   *result = next_result(session, deadline, &lost);

			if (lost)
			{
				session_lost(session, "insert");
				return false;
			}
			/* NULL only says that one command's results are complete. */
			if (result == NULL)
			{
				if (PQstatus(conn) == CONNECTION_BAD)
				{
					session_lost(session, "insert");
					return false;
				}
				continue;
			}
			switch (PQresultStatus(result))
			{
				case PGRES_TUPLES_OK:
					read_row(result, verdict);
					break;
				case PGRES_PIPELINE_SYNC:
					synced = true;
					break;
				default:
					/* also what a COMMIT says behind a good INSERT */
					read_error(result, verdict);
					break;
			}
			PQclear(result);
			if (PQstatus(conn) == CONNECTION_BAD)
			{
				session_lost(session, "insert");
				return false;
			}
		}

		if (verdict->answer == ANSWER_NONE && verdict->sqlstate[0] == '\0')
			strcpy(verdict->sqlstate, "XX000");
		verdict->settled = true;

		if (verdict->answer != ANSWER_NONE)
		{
			struct timespec now;

			clock_gettime(CLOCK_MONOTONIC, &now);
			count_latency((now.tv_sec - sent.tv_sec) * 1000000 +
						  (now.tv_nsec - sent.tv_nsec) / 1000);
			database_worked();
		}

		/*
		 * A statement that this connection can no longer run: start again
		 * with a new one (the extension was replaced, or a pooler gave us
		 * another server connection).
		 */
		if (strcmp(verdict->sqlstate, "0A000") == 0 ||
			strcmp(verdict->sqlstate, "26000") == 0)
			broken = true;
	}
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

/*
 * The queue
 */

static void
queue_append(Request *request)
{
	request->next = NULL;
	*queue.tail = request;
	queue.tail = &request->next;
	queue.ready++;
}

static void
queue_wake_due(int64_t now)
{
	Request   **link = &queue.delayed;

	while (*link != NULL)
	{
		Request    *request = *link;

		if (request->not_before <= now)
		{
			*link = request->next;
			queue_append(request);
		}
		else
			link = &request->next;
	}
}

/*
 * The database is not going to answer this one in time.  The pause after an
 * error of the server's own does not shorten what the caller is promised.
 */
static void
give_up(Request *request)
{
	if (opt.spool != NULL)
		spool_submit(request);
	else
		http_answer(request, ANSWER_CLOSED);
}

/* Take a request over from libmicrohttpd's thread. */
void
database_submit(Request *request)
{
	int64_t		now = monotonic_ms();
	int64_t		down = atomic_load(&down_since);

	request->held_since = now;
	request->deadline = now + opt.hold;

	/*
	 * With a spool there is no use in holding everyone up once the database
	 * has been away for as long as we would hold one request: a sender's
	 * other deliveries wait behind this one.
	 */
	if (opt.spool != NULL && down != 0 &&
		(now - down >= opt.hold || atomic_load(&stopping)))
	{
		spool_submit(request);
		return;
	}

	pthread_mutex_lock(&queue.lock);
	queue_append(request);
	pthread_cond_signal(&queue.wake);
	pthread_mutex_unlock(&queue.lock);
}

/* Try again what was not settled, or let it go when its time is over. */
static void
retry(Request *request, bool connection_lost)
{
	int64_t		now = monotonic_ms();
	int64_t		pause = 0;

	request->attempts++;
	if (now >= request->deadline)
	{
		give_up(request);
		return;
	}
	count_event(EVENT_DATABASE_RETRY, 1);
	if (!connection_lost)
	{
		pause = RETRY_MIN;
		for (int i = 1; i < request->attempts && pause < RETRY_MAX; i++)
			pause *= 2;
	}

	pthread_mutex_lock(&queue.lock);
	if (pause == 0)
	{
		/* in front: it has waited longer than those that came since */
		request->next = queue.head;
		if (queue.head == NULL)
			queue.tail = &request->next;
		queue.head = request;
		queue.ready++;
	}
	else
	{
		request->not_before = now + pause;
		request->next = queue.delayed;
		queue.delayed = request;
	}
	pthread_cond_signal(&queue.wake);
	pthread_mutex_unlock(&queue.lock);
}

/*
 * Wait up to `wait` ms for requests and take this worker's share of them.
 * Returns how many; -1 when the pool is being stopped and nothing is left.
 */
static int
take_batch(Request **batch, int64_t wait)
{
	int			count = 0;
	size_t		bytes = 0;
	size_t		share;

	pthread_mutex_lock(&queue.lock);
	queue_wake_due(monotonic_ms());
	if (queue.ready == 0 && !queue.stop)
	{
		struct timespec until;

		if (queue.delayed != NULL && wait > RETRY_MIN)
			wait = RETRY_MIN;
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_nsec += (wait % 1000) * 1000000;
		until.tv_sec += wait / 1000 + until.tv_nsec / 1000000000;
		until.tv_nsec %= 1000000000;
		pthread_cond_timedwait(&queue.wake, &queue.lock, &until);
		queue_wake_due(monotonic_ms());
	}
	if (queue.ready == 0 && queue.stop)
		count = -1;

	share = (queue.ready + (size_t) worker_count - 1) / (size_t) worker_count;
	if (share > PIPELINE_DEPTH)
		share = PIPELINE_DEPTH;
	while (count >= 0 && (size_t) count < share && queue.head != NULL &&
		   (count == 0 ||
			bytes + queue.head->delivery.body_len <= PIPELINE_BYTES))
	{
		Request    *request = queue.head;

		queue.head = request->next;
		if (queue.head == NULL)
			queue.tail = &queue.head;
		queue.ready--;
		bytes += request->delivery.body_len;
		batch[count++] = request;
	}
	pthread_mutex_unlock(&queue.lock);
	return count;
}

static void
settle(Request *request, const Verdict *verdict)
{
	request->verdict = *verdict;
	if (verdict->answer != ANSWER_NONE)
	{
		request->attempts++;
		http_answer(request, verdict->answer);
		return;
	}
	database_failed();
	if (request->attempts == 0)
		log_line(LOG_LEVEL_WARNING, "database_error", "sqlstate=%s",
				 verdict->sqlstate);
	retry(request, false);
}

static void *
worker_main(void *arg)
{
	Session    *session = arg;
	Request    *batch[PIPELINE_DEPTH];
	const Delivery *deliveries[PIPELINE_DEPTH];
	Verdict		verdicts[PIPELINE_DEPTH];

	for (;;)
	{
		int64_t		deadline = INT64_MAX;
		int			count;

		if (!session_open(session))
		{
			struct timespec pause = {.tv_nsec = 20 * 1000000};

			pthread_mutex_lock(&queue.lock);
			count = queue.stop ? -1 : 0;
			pthread_mutex_unlock(&queue.lock);
			if (count < 0)
				break;
			nanosleep(&pause, NULL);
			continue;
		}

		count = take_batch(batch, 1000);
		if (count < 0)
			break;
		if (count == 0)
			continue;
		for (int i = 0; i < count; i++)
		{
			deliveries[i] = &batch[i]->delivery;
			if (batch[i]->deadline < deadline)
				deadline = batch[i]->deadline;
		}

		/* Answer what is settled even where the rest of the batch is not. */
		session_insert(session, deliveries, count, verdicts, deadline);
		for (int i = 0; i < count; i++)
			if (verdicts[i].settled)
				settle(batch[i], &verdicts[i]);
		for (int i = count - 1; i >= 0; i--)
			if (!verdicts[i].settled)
				retry(batch[i], true);
	}
	session_destroy(session);
	return NULL;
}

/*
 * Called every now and then by the main thread: requests whose time is over
 * while no worker could take them.
 */
void
database_expire(int64_t now)
{
	Request    *expired = NULL;
	Request   **list[2] = {&queue.head, &queue.delayed};
	bool		at_once;

	/* Told to stop, nobody waits for a database that is away. */
	at_once = atomic_load(&stopping) && opt.spool != NULL && !database_is_up();

	pthread_mutex_lock(&queue.lock);
	for (int i = 0; i < 2; i++)
	{
		Request   **link = list[i];

		while (*link != NULL)
		{
			Request    *request = *link;

			if (request->deadline <= now || at_once)
			{
				*link = request->next;
				if (i == 0)
					queue.ready--;
				request->next = expired;
				expired = request;
			}
			else
				link = &request->next;
		}
		if (i == 0)
			queue.tail = link;
	}
	pthread_mutex_unlock(&queue.lock);

	while (expired != NULL)
	{
		Request    *request = expired;

		expired = request->next;
		give_up(request);
	}
}

void
database_start(void)
{
	pthread_condattr_t attr;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&queue.wake, &attr);
	pthread_condattr_destroy(&attr);
	queue.tail = &queue.head;

	/* not known to work before it did */
	database_failed();

	worker_count = opt.connections;
	workers = xmalloc(sizeof(pthread_t) * (size_t) worker_count);
	for (int i = 0; i < worker_count; i++)
	{
		if (pthread_create(&workers[i], NULL, worker_main,
						   session_create("worker")) != 0)
		{
			log_line(LOG_LEVEL_ERROR, "thread_failed", "purpose=database");
			exit(1);
		}
	}
}

/* Nothing may be submitted any more. */
void
database_stop(void)
{
	pthread_mutex_lock(&queue.lock);
	queue.stop = true;
	pthread_cond_broadcast(&queue.wake);
	pthread_mutex_unlock(&queue.lock);
	for (int i = 0; i < worker_count; i++)
		pthread_join(workers[i], NULL);
	free(workers);
}
