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
#include "receiver.h"

#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define POOL_SIZE (32 * 1024)	/* libmicrohttpd's buffer, for each connection */
#define DISCARD_LIMIT (1024 * 1024)
#define FIRST_BODY_SIZE (64 * 1024)
#define READ_TIMEOUT 8000		/* ms, for the peer to read the answer */

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
		PEER_EXPIRED
	}			phase;
	int64_t		since;			/* when this request began */
	Request    *request;		/* the one that is under way */
};

static struct MHD_Daemon *http_daemon;
static int	listener = -1;
static struct MHD_Response *responses[ANSWER_COUNT];
static atomic_size_t held;
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
		if (phase == PEER_ANSWER || phase == PEER_HEAD)
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
	static const char timeout_answer[] =
	"HTTP/1.1 408 Request Timeout\r\n"
	"Content-Type: text/plain\r\n"
	"Content-Length: 8\r\n"
	"Connection: close\r\n"
	"\r\n"
	"timeout\n";

	peer->phase = PEER_EXPIRED;
	if (say_so)
	{
		count_answer(ANSWER_TIMEOUT);
		(void) send(peer->fd, timeout_answer, sizeof(timeout_answer) - 1,
					MSG_DONTWAIT | MSG_NOSIGNAL);
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
				if (now - peer->since >= READ_TIMEOUT)
					peer_expire(peer, false);
				break;
			case PEER_HELD:
			case PEER_EXPIRED:
				break;
		}
	}
	pthread_mutex_unlock(&peers_lock);
}

static void
request_free(Request *request)
{
	if (request->body != NULL)
	{
		atomic_fetch_sub(&body_memory, request->body_size);
		free(request->body);
	}
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
	(void) uri;
	if (request == NULL)
		return NULL;
	info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	request->connection = connection;
	request->peer = info->socket_context;

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

static void
on_completed(void *cls, struct MHD_Connection *connection, void **context,
			 enum MHD_RequestTerminationCode code)
{
	Request    *request = *context;

	(void) cls;
	(void) connection;
	(void) code;
	if (request == NULL)
		return;
	(void) peer_enter(request->peer, PEER_HEAD);
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

/* Keep a piece of the body; false when there is no memory for it. */
static bool
keep_body(Request *request, const char *data, size_t len)
{
	size_t		needed = request->delivery.body_len + len;

	if (needed > request->content_length)
		return false;
	if (needed > request->body_size)
	{
		/* Grow with what has come, not with what was announced. */
		size_t		size = request->body_size * 2 > needed ?
			request->body_size * 2 : needed;
		uint64_t	limit = opt.max_memory;
		char	   *body;

		if (size < FIRST_BODY_SIZE)
			size = FIRST_BODY_SIZE;
		if (size > request->content_length)
			size = request->content_length;
		/* the last quarter is for small bodies, which most of them are */
		if (size > FIRST_BODY_SIZE)
			limit -= limit / 4;
		if (atomic_fetch_add(&body_memory, size - request->body_size) +
			(size - request->body_size) > limit)
		{
			atomic_fetch_sub(&body_memory, size - request->body_size);
			return false;
		}
		body = realloc(request->body, size);
		if (body == NULL)
		{
			atomic_fetch_sub(&body_memory, size - request->body_size);
			return false;
		}
		request->body = body;
		request->body_size = size;
	}
	memcpy(request->body + request->delivery.body_len, data, len);
	request->delivery.body_len = needed;
	request->delivery.body = request->body;
	return true;
}

/*
 * Answers
 */

static enum MHD_Result
send_answer(Request *request, Answer answer)
{
	count_answer(answer);
	log_delivery(request, answer);
	if (answer_status(answer) == 0 || !peer_enter(request->peer, PEER_ANSWER))
		return MHD_NO;
	return MHD_queue_response(request->connection,
							  (unsigned int) answer_status(answer),
							  responses[answer]);
}

static enum MHD_Result
send_status_page(Request *request, const char *path)
{
	if (strcmp(path, "/readyz") == 0)
	{
		SpoolState	spool = spool_state();

		request->answer = !atomic_load(&stopping) &&
			(database_is_up() || (spool.enabled && spool.room)) ?
			ANSWER_STATUS : ANSWER_UNREADY;
	}
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

/*
 * Give a request back to libmicrohttpd's thread with its answer decided.  Any
 * thread may call this, once, and must not touch the request afterwards.
 */
void
http_answer(Request *request, Answer answer)
{
	struct MHD_Connection *connection = request->connection;

	request->answer = answer;
	atomic_fetch_sub(&held, 1);
	MHD_resume_connection(connection);
}

size_t
http_held(void)
{
	return atomic_load(&held);
}

static enum MHD_Result
on_request(void *cls, struct MHD_Connection *connection, const char *path,
		   const char *method, const char *version, const char *data,
		   size_t *data_len, void **context)
{
	Request    *request = *context;

	(void) cls;
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

			/*
			 * What is refused is answered at once only where there is too
			 * much to read: a connection closed over unread data is reset,
			 * and the answer is lost with it.
			 */
			if (request->answer != ANSWER_NONE &&
				(request->answer == ANSWER_NO_LENGTH ||
				 request->answer == ANSWER_MALFORMED ||
				 request->answer == ANSWER_HEAD_TOO_LARGE || request->expect ||
				 request->content_length > DISCARD_LIMIT))
				return send_answer(request, request->answer);
			return MHD_YES;

		case STAGE_BODY:
			if (*data_len > 0)
			{
				if (request->answer == ANSWER_NONE && !request->status_page &&
					!keep_body(request, data, *data_len))
				{
					request->answer = ANSWER_CLOSED;
					return send_answer(request, ANSWER_CLOSED);
				}
				*data_len = 0;
				return MHD_YES;
			}
			if (request->answer != ANSWER_NONE)
				return send_answer(request, request->answer);
			if (request->status_page)
				return send_status_page(request, path);
			if (request->delivery.body_len != request->content_length ||
				!peer_enter(request->peer, PEER_HELD))
				return MHD_NO;
			request->stage = STAGE_HELD;
			atomic_fetch_add(&held, 1);
			MHD_suspend_connection(connection);
			database_submit(request);
			return MHD_YES;

		case STAGE_HELD:
			if (request->answer == ANSWER_NONE)
				return MHD_YES;
			return send_answer(request, request->answer);
	}
	return MHD_NO;
}

/*
 * Starting and stopping
 */

/* The address to listen on: HOST:PORT, [HOST]:PORT or PORT. */
static bool
open_listener(void)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM,.ai_flags = AI_PASSIVE};
	struct addrinfo *found = NULL;
	char	   *address = strdup(opt.listen);
	char	   *host = address;
	char	   *port = address ? strrchr(address, ':') : NULL;
	int			rc;
	int			one = 1;

	if (address == NULL)
		return false;
	if (port == NULL)
	{
		port = address;
		host = (char *) "127.0.0.1";
	}
	else
	{
		*port++ = '\0';
		if (host[0] == '[' && strlen(host) > 1 && host[strlen(host) - 1] == ']')
		{
			host[strlen(host) - 1] = '\0';
			host++;
		}
	}
	/* getaddrinfo() would take a number that is too large, cut to 16 bits */
	rc = strspn(port, "0123456789") == strlen(port) &&
		(strlen(port) > 5 || atoi(port) > 65535 || atoi(port) < 1) ?
		EAI_SERVICE : getaddrinfo(host[0] ? host : NULL, port, &hints, &found);
	if (rc != 0)
	{
		log_line(LOG_LEVEL_ERROR, "listen_failed", "address=%s message=\"%s\"",
				 opt.listen, gai_strerror(rc));
		free(address);
		return false;
	}
	listener = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (listener < 0 ||
		setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) != 0 ||
		bind(listener, found->ai_addr, found->ai_addrlen) != 0 ||
		listen(listener, 1024) != 0)
	{
		log_line(LOG_LEVEL_ERROR, "listen_failed", "address=%s message=\"%s\"",
				 opt.listen, strerror(errno));
		rc = -1;
	}
	freeaddrinfo(found);
	free(address);
	return rc == 0;
}

static bool
create_responses(void)
{
	static char bodies[ANSWER_COUNT][24];

	for (int i = ANSWER_NONE + 1; i < ANSWER_COUNT; i++)
	{
		struct MHD_Response *response;

		if (answer_status(i) == 0)
			continue;
		snprintf(bodies[i], sizeof(bodies[i]), "%s\n",
				 i == ANSWER_STATUS ? "ok" : answer_word(i));
		response = MHD_create_response_from_buffer(strlen(bodies[i]), bodies[i],
												   MHD_RESPMEM_PERSISTENT);
		if (response == NULL ||
			MHD_add_response_header(response, "Content-Type", "text/plain") != MHD_YES)
			return false;
		if (i == ANSWER_METHOD &&
			MHD_add_response_header(response, "Allow", "POST") != MHD_YES)
			return false;
		responses[i] = response;
	}
	return true;
}

bool
http_start(void)
{
	if (!open_listener() || !create_responses())
		return false;
	http_daemon =
		MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_INTERNAL_POLLING_THREAD |
						 MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ITC | MHD_USE_TURBO,
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
#if MHD_VERSION < 0x00097701
						 MHD_OPTION_STRICT_FOR_CLIENT, 1,
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
		if (responses[i] != NULL)
			MHD_destroy_response(responses[i]);
}
