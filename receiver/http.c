/*-------------------------------------------------------------------------
 *
 * http.c
 *		HTTP: what is let in, how long it may take, and what it is answered.
 *
 * libmicrohttpd runs one thread on epoll.  A connection that says nothing
 * costs a list entry; a request that waits for the database is suspended, so
 * neither takes anything away from the next one.  The list of connections
 * (struct Peer) carries the absolute deadlines, which http_sweep() enforces
 * from the main thread by shutting the socket down: libmicrohttpd's own
 * timeout starts anew with every byte.
 *
 *-------------------------------------------------------------------------
 */
#include "http.h"
#include "clock.h"
#include "head.h"
#include "listen.h"
#include "log.h"
#include "memory.h"
#include "metrics.h"
#include "mhd.h"
#include "options.h"
#include "page.h"
#include "pool.h"
#include "refuse.h"
#include "resume.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define POOL_SIZE (24 * 1024)	/* libmicrohttpd's buffer, cleared for each request */
#define DISCARD_LIMIT (1024 * 1024)
#define FIRST_BODY_SIZE (64 * 1024)
#define FIRST_CHUNKED_SIZE (4 * 1024)
#define READ_TIMEOUT 8000		/* ms, for the peer to read the answer */
#define ADDRESS_SIZE 64
#define HEADS_TO_LOOK_AT 256	/* for the one that was refused */

/*
 * libmicrohttpd before 0.9.77 answers twice where it finds fault with a whole
 * head.  When told to be strict, it does so for a missing Host, so it is not
 * told, and head.c looks itself.  For a length it cannot be helped, but heard
 * of: on_library_log().
 */
#ifdef MHD_IS_LENIENT
#define MHD_LOGGING MHD_USE_ERROR_LOG
/* it takes a bare LF for the end of a chunk's line, so read nothing behind it */
#define CLOSE_BEHIND_CHUNKS true
#else
#define MHD_LOGGING 0
#define CLOSE_BEHIND_CHUNKS false
#endif

struct Peer
{
	Peer	   *prev;
	Peer	   *next;
	int			fd;
	bool		reused;			/* has had an answer */
	enum
	{
		PEER_HEAD,				/* waiting for a complete head */
		PEER_BODY,
		PEER_HELD,				/* waiting for the database */
		PEER_ANSWER,
		PEER_DRAIN,				/* has the answer, may still be sending */
		PEER_EXPIRED
	}			phase;
	int64_t		since;			/* when this request began */
	Request    *request;		/* the one that is under way */
	char		address[ADDRESS_SIZE];
};

static struct MHD_Daemon *http_daemon;
static int	listener = -1;
static struct MHD_Response *responses[2][ANSWER_COUNT]; /* [1]: and close */
static atomic_uint_fast64_t body_memory;

/*
 * All connections, in the order in which they began to wait for a head.  The
 * lock also keeps a socket from being closed while it is shut down.
 */
static pthread_mutex_t peers_lock = PTHREAD_MUTEX_INITIALIZER;
static Peer *first_peer;
static Peer *last_peer;
static int	peer_count;

static void
peer_unlink(Peer *peer)
{
	if (peer->prev != NULL)
		peer->prev->next = peer->next;
	else
		first_peer = peer->next;
	if (peer->next != NULL)
		peer->next->prev = peer->prev;
	else
		last_peer = peer->prev;
}

static void
peer_append(Peer *peer)
{
	peer->next = NULL;
	peer->prev = last_peer;
	if (last_peer != NULL)
		last_peer->next = peer;
	else
		first_peer = peer;
	last_peer = peer;
}

/*
 * Move to the next phase, unless the connection's time is already over.
 */
static bool
peer_enter(Peer *peer, int phase)
{
	bool		alive;

	pthread_mutex_lock(&peers_lock);
	alive = peer->phase != PEER_EXPIRED;
	if (alive)
	{
		peer->phase = phase;
		if (phase != PEER_BODY && phase != PEER_HELD)
			peer->since = monotonic_ms();
		if (phase == PEER_HEAD)
		{
			peer->reused = true;
			peer_unlink(peer);
			peer_append(peer);
		}
	}
	pthread_mutex_unlock(&peers_lock);
	return alive;
}

/*
 * End a connection; the caller holds the lock.  Only libmicrohttpd's thread
 * may close the socket: it finds it shut down and does so.
 */
static void
peer_expire(Peer *peer, bool say_so)
{
	peer->phase = PEER_EXPIRED;
	if (say_so)
	{
		count_answer(ANSWER_TIMEOUT);
		log_timeout(peer->address);
		refuse_early(peer->fd, ANSWER_TIMEOUT, true);
	}
	(void) shutdown(peer->fd, SHUT_RDWR);
}

/* Called every now and then by the main thread. */
void
http_sweep(int64_t now)
{
	bool		stop = atomic_load(&stopping);

	pthread_mutex_lock(&peers_lock);
	for (Peer *peer = first_peer; peer != NULL; peer = peer->next)
	{
		switch (peer->phase)
		{
			case PEER_HEAD:
				if (now - peer->since >= opt.head_timeout || (stop && peer->reused))
					peer_expire(peer, !peer->reused);
				break;
			case PEER_BODY:
				if (now - peer->since >= opt.request_timeout)
					peer_expire(peer, true);
				break;
			case PEER_ANSWER:
			case PEER_DRAIN:
				if (now - peer->since >= READ_TIMEOUT)
					peer_expire(peer, false);
				break;
			case PEER_HELD:
			case PEER_EXPIRED:
				break;
		}
	}
	pthread_mutex_unlock(&peers_lock);
	log_flush(now);
}

static void
body_free(Request *request)
{
	atomic_fetch_sub(&body_memory, request->body_size);
	free(request->body);
	request->body = NULL;
	request->body_size = 0;
}

static void
request_free(Request *request)
{
	body_free(request);
	free(request->forwarded);
	free(request->webhook);
	free(request->signature);
	free(request);
}

static void
on_connection(void *cls, struct MHD_Connection *connection, void **context,
			  enum MHD_ConnectionNotificationCode code)
{
	Peer	   *peer = *context;

	(void) cls;
	if (code == MHD_CONNECTION_NOTIFY_STARTED)
	{
		const union MHD_ConnectionInfo *info;

		peer = xmalloc(sizeof(Peer));
		memset(peer, 0, sizeof(*peer));
		info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
		peer->fd = info->connect_fd;
		peer->since = monotonic_ms();
		info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
		address_text(info != NULL ? info->client_addr : NULL, peer->address,
					 sizeof(peer->address));
		*context = peer;
		gauge_connections(1);

		pthread_mutex_lock(&peers_lock);
		peer_append(peer);

		/*
		 * When connections run short, the one that has been silent longest
		 * makes room, so that a crowd of idle ones locks nobody out.
		 */
		if (++peer_count > opt.max_connections - opt.max_connections / 4)
		{
			Peer	   *idle = first_peer;

			while (idle != NULL && idle->phase != PEER_HEAD)
				idle = idle->next;
			if (idle != NULL && idle != peer)
				peer_expire(idle, false);
		}
		pthread_mutex_unlock(&peers_lock);
	}
	else if (peer != NULL)
	{
		pthread_mutex_lock(&peers_lock);
		peer_unlink(peer);
		peer_count--;
		pthread_mutex_unlock(&peers_lock);
		gauge_connections(-1);
		if (peer->request != NULL)
			request_free(peer->request);
		free(peer);
		*context = NULL;
	}
}

/* The request line is complete: begin a request. */
static void *
on_request_line(void *cls, const char *uri, struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info;
	Request    *request = calloc(1, sizeof(Request));

	(void) cls;
	if (request == NULL)
		return NULL;
	request->malformed = uri == NULL || strchr(uri, ' ') != NULL;
	info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	request->connection = connection;
	request->peer = info->socket_context;
	request->client = request->peer->address;

	/* libmicrohttpd forgets to report a request that it refused itself */
	if (request->peer->request != NULL)
		request_free(request->peer->request);
	request->peer->request = request;

	/* A used connection may idle before its next request begins. */
	pthread_mutex_lock(&peers_lock);
	if (request->peer->reused && request->peer->phase == PEER_HEAD)
		request->peer->since = monotonic_ms();
	pthread_mutex_unlock(&peers_lock);
	return request;
}

#ifdef MHD_IS_LENIENT
/*
 * libmicrohttpd says that it refuses a length, but not whose, and will then
 * write its answer twice.  So find the connection, answer it and end it before
 * that.  It is nearly always the last one; where it is not among the last few,
 * the answer is left as it is, since heads without end cost nothing to make.
 */
static void
on_library_log(void *cls, const char *format, va_list args)
{
	int			looked = 0;

	(void) cls;
	(void) args;
	if (strstr(format, "Content-Length") == NULL)
		return;
	pthread_mutex_lock(&peers_lock);
	for (Peer *peer = last_peer; peer != NULL && looked < HEADS_TO_LOOK_AT;
		 peer = peer->prev, looked++)
	{
		Answer		answer;

		if (peer->phase != PEER_HEAD || peer->request == NULL ||
			peer->request->stage != STAGE_HEAD)
			continue;
		answer = length_refused(peer->request->connection);
		if (answer == ANSWER_NONE)
			continue;
		count_answer(answer);
		log_delivery(peer->request, answer);
		refuse_early(peer->fd, answer, true);
		peer_expire(peer, false);
	}
	pthread_mutex_unlock(&peers_lock);
}
#endif

/* What libmicrohttpd has refused by itself is logged and counted all the same. */
static void
note_refusal(Request *request, struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_HTTP_STATUS);
	Answer		answer = ANSWER_MALFORMED;

	if (info == NULL)
		return;
	if (info->http_status == 413)
		answer = ANSWER_TOO_LARGE;
	else if (info->http_status == 414 || info->http_status == 431)
		answer = ANSWER_HEAD_TOO_LARGE;
	count_answer(answer);
	log_delivery(request, answer);
}

static void
on_completed(void *cls, struct MHD_Connection *connection, void **context,
			 enum MHD_RequestTerminationCode code)
{
	Request    *request = *context;

	(void) cls;
	(void) code;
	if (request == NULL)
		return;
	/* a sender that went away is not asked for its answer */
	resume_others(request);
	if (peer_enter(request->peer, PEER_HEAD) && !request->answered)
		note_refusal(request, connection);
	request->peer->request = NULL;
	request_free(request);
	*context = NULL;
}

/* Paths are decoded here, once, and not by libmicrohttpd. */
static size_t
keep_escapes(void *cls, struct MHD_Connection *connection, char *s)
{
	(void) cls;
	(void) connection;
	return strlen(s);
}

/*
 * The body
 */

/* Keep a piece of the body; ANSWER_NONE: it is kept. */
static Answer
keep_body(Request *request, const char *data, size_t len)
{
	size_t		needed = request->delivery.body_len + len;

	if (needed > request->content_length)
		return request->chunked ? ANSWER_TOO_LARGE : ANSWER_CLOSED;
	if (needed > request->body_size)
	{
		/* Grow with what has come, not with what was announced. */
		size_t		size = request->body_size * 2 > needed ?
			request->body_size * 2 : needed;
		size_t		first = request->chunked ? FIRST_CHUNKED_SIZE : FIRST_BODY_SIZE;
		uint64_t	limit = opt.max_memory;
		char	   *body;

		if (size < first)
			size = first;
		if (size > request->content_length)
			size = request->content_length;
		/* the last quarter is for small bodies, which most of them are */
		if (size > FIRST_BODY_SIZE)
			limit -= limit / 4;
		if (atomic_fetch_add(&body_memory, size - request->body_size) +
			(size - request->body_size) > limit)
		{
			atomic_fetch_sub(&body_memory, size - request->body_size);
			return ANSWER_CLOSED;
		}
		body = realloc(request->body, size);
		if (body == NULL)
		{
			atomic_fetch_sub(&body_memory, size - request->body_size);
			return ANSWER_CLOSED;
		}
		request->body = body;
		request->body_size = size;
	}
	memcpy(request->body + request->delivery.body_len, data, len);
	request->delivery.body_len = needed;
	request->delivery.body = request->body;
	return ANSWER_NONE;
}

/*
 * Answers
 */

static enum MHD_Result
send_answer(Request *request, Answer answer)
{
	request->answered = true;
	count_answer(answer);
	log_delivery(request, answer);
	if (answer_status(answer) == 0 || !peer_enter(request->peer, PEER_ANSWER))
		return MHD_NO;
	return MHD_queue_response(request->connection,
							  (unsigned int) answer_status(answer),
							  responses[CLOSE_BEHIND_CHUNKS && request->chunked][answer]);
}

/*
 * Refuse a request whose body is not, or not yet, read to its end.  The answer
 * goes past libmicrohttpd, which gives none in the middle of a body and closes
 * over unread data: that resets the connection, and the answer is lost.  What
 * still comes is read and thrown away, for READ_TIMEOUT at most.
 */
static enum MHD_Result
refuse_and_drain(Request *request, Answer answer, const char *method)
{
	if (!peer_enter(request->peer, PEER_DRAIN))
		return MHD_NO;
	request->answered = true;
	count_answer(answer);
	log_delivery(request, answer);
	body_free(request);
	request->stage = STAGE_DRAIN;
	refuse_early(request->peer->fd, answer, strcmp(method, "HEAD") != 0);
	return MHD_YES;
}

/*
 * A request was refused for its head.  Where its body is short and its end is
 * known, it is read first, and the connection can be used on.  A sender that
 * asked before it sends the body is answered at once.
 */
static enum MHD_Result
refuse_head(Request *request, Answer answer, const char *method)
{
	if (request->expect)
		return send_answer(request, answer);
	if (request->has_body &&
		(answer == ANSWER_MALFORMED || answer == ANSWER_CODING ||
		 answer == ANSWER_HEAD_TOO_LARGE || request->chunked ||
		 request->content_length > DISCARD_LIMIT))
		return refuse_and_drain(request, answer, method);
	if (answer == ANSWER_NO_LENGTH || answer == ANSWER_MALFORMED ||
		answer == ANSWER_HEAD_TOO_LARGE)
		return send_answer(request, answer);
	return MHD_YES;
}

static enum MHD_Result
send_status_page(Request *request, const char *path)
{
	if (strcmp(path, "/readyz") == 0)
		request->answer = receiver_is_ready() ? ANSWER_STATUS : ANSWER_UNREADY;
	else if (strcmp(path, "/metrics") == 0)
	{
		struct MHD_Response *response;
		enum MHD_Result result;
		size_t		len;
		char	   *page = metrics_render(&len);

		if (page == NULL || !peer_enter(request->peer, PEER_ANSWER))
		{
			free(page);
			return MHD_NO;
		}
		request->answered = true;
		count_answer(ANSWER_STATUS);
		response = MHD_create_response_from_buffer(len, page, MHD_RESPMEM_MUST_FREE);
		if (response == NULL)
		{
			free(page);
			return MHD_NO;
		}
		(void) MHD_add_response_header(response, "Content-Type",
									   "application/openmetrics-text; version=1.0.0; charset=utf-8");
		result = MHD_queue_response(request->connection, 200, response);
		MHD_destroy_response(response);
		return result;
	}
	else
		request->answer = ANSWER_STATUS;
	return send_answer(request, request->answer);
}

/* A piece of the body, or (data_len 0) its end. */
static enum MHD_Result
on_body(Request *request, const char *path, const char *method, const char *data,
		size_t *data_len)
{
	Answer		answer = ANSWER_NONE;

	if (*data_len > 0)
	{
		if (request->answer == ANSWER_NONE && !request->status_page)
			answer = keep_body(request, data, *data_len);
		if (answer == ANSWER_CLOSED)
			return send_answer(request, request->answer = answer);
		*data_len = 0;
		return answer == ANSWER_NONE ? MHD_YES :
			refuse_and_drain(request, request->answer = answer, method);
	}
	if (request->answer != ANSWER_NONE)
		return send_answer(request, request->answer);
	if (request->status_page)
		return send_status_page(request, path);
	if ((!request->chunked && request->delivery.body_len != request->content_length) ||
		!peer_enter(request->peer, PEER_HELD))
		return MHD_NO;
	request->stage = STAGE_HELD;
	request->done = hand_back;
	gauge_held(1);
	MHD_suspend_connection(request->connection);
	database_submit(request);
	return MHD_YES;
}

static enum MHD_Result
on_request(void *cls, struct MHD_Connection *connection, const char *path,
		   const char *method, const char *version, const char *data,
		   size_t *data_len, void **context)
{
	Request    *request = *context;

	(void) cls;
	(void) connection;
	if (request == NULL)
		return MHD_NO;

	switch (request->stage)
	{
		case STAGE_HEAD:
			request->delivery.received_at = received_now();
			request->stage = STAGE_BODY;
			request->answer = head_check(request, path, method, version);
			if (!peer_enter(request->peer, PEER_BODY))
				return MHD_NO;
			return request->answer == ANSWER_NONE ? MHD_YES :
				refuse_head(request, request->answer, method);

		case STAGE_BODY:
			return on_body(request, path, method, data, data_len);

		case STAGE_HELD:
			if (request->answer == ANSWER_NONE)
				return MHD_YES;
			resume_others(request);
			return send_answer(request, request->answer);

		case STAGE_DRAIN:
			if (*data_len == 0)
				return MHD_NO;
			*data_len = 0;
			return MHD_YES;
	}
	return MHD_NO;
}

/*
 * Starting and stopping
 */

static bool
create_responses(struct MHD_Response **created, bool and_close)
{
	static char bodies[ANSWER_COUNT][24];

	for (int i = ANSWER_NONE + 1; i < ANSWER_COUNT; i++)
	{
		struct MHD_Response *response;
		const char *line = answer_text(i);

		if (answer_status(i) == 0)
			continue;
		snprintf(bodies[i], sizeof(bodies[i]), "%s\n",
				 i == ANSWER_STATUS ? "ok" : answer_word(i));
		if (line == NULL)
			line = bodies[i];
		response = MHD_create_response_from_buffer(strlen(line), (void *) line,
												   MHD_RESPMEM_PERSISTENT);
		if (response == NULL ||
			MHD_add_response_header(response, "Content-Type", "text/plain") != MHD_YES)
			return false;
		if (i == ANSWER_METHOD &&
			MHD_add_response_header(response, "Allow", "POST") != MHD_YES)
			return false;
		if (and_close && MHD_add_response_header(response, "Connection", "close") != MHD_YES)
			return false;
		created[i] = response;
	}
	return true;
}

bool
http_start(void)
{
	listener = listener_open();
	if (listener < 0 || !create_responses(responses[0], false) ||
		!create_responses(responses[1], true))
		return false;
	http_daemon =
		MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_INTERNAL_POLLING_THREAD |
						 MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC | MHD_USE_TURBO | MHD_LOGGING,
						 0, NULL, NULL, on_request, NULL,
						 MHD_OPTION_LISTEN_SOCKET, listener,
						 MHD_OPTION_CONNECTION_LIMIT, (unsigned int) opt.max_connections,
						 MHD_OPTION_PER_IP_CONNECTION_LIMIT,
						 (unsigned int) opt.max_per_address,
						 MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t) POOL_SIZE,
						 MHD_OPTION_NOTIFY_CONNECTION, on_connection, NULL,
						 MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL,
						 MHD_OPTION_URI_LOG_CALLBACK, on_request_line, NULL,
						 MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes, NULL,
#ifdef MHD_IS_LENIENT
						 MHD_OPTION_EXTERNAL_LOGGER, on_library_log, NULL,
#else
						 MHD_OPTION_CLIENT_DISCIPLINE_LVL, 1,
#endif
						 MHD_OPTION_END);
	if (http_daemon == NULL)
	{
		log_line(LOG_LEVEL_ERROR, "http_failed", "message=\"%s\"", strerror(errno));
		return false;
	}
	return true;
}

/* Accept nobody any more. */
void
http_quiesce(void)
{
	int			fd = MHD_quiesce_daemon(http_daemon);

	if (fd != -1)
		(void) shutdown(fd, SHUT_RD);
}

void
http_stop(void)
{
	MHD_stop_daemon(http_daemon);
	close(listener);
	for (int i = 0; i < ANSWER_COUNT; i++)
		for (int j = 0; j < 2; j++)
			if (responses[j][i] != NULL)
				MHD_destroy_response(responses[j][i]);
}
