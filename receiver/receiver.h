/*-------------------------------------------------------------------------
 *
 * receiver.h
 *		Internal interface of flagsmith-receiver.
 *
 * One request is owned by one thread at a time: libmicrohttpd's while it is
 * read and answered, a database worker's or the spool writer's while it is
 * held.  It changes hands through database_submit(), spool_submit() and
 * its own done(), and whoever has passed it on does not touch it again.
 *
 *-------------------------------------------------------------------------
 */
#ifndef RECEIVER_H
#define RECEIVER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifndef RECEIVER_VERSION
#define RECEIVER_VERSION "unversioned"
#endif

/*
 * What a request can end as.  The order is that of answer_table in
 * metrics.c, which has the HTTP status and the word for logs and metrics.
 */
typedef enum Answer
{
	ANSWER_NONE,				/* not decided yet */
	ANSWER_STORED,
	ANSWER_DUPLICATE,
	ANSWER_UNDECODED,
	ANSWER_SPOOLED,
	ANSWER_REJECTED,			/* the inbox refused the signature */
	ANSWER_REJECTED_SIZE,		/* the inbox refused the size */
	ANSWER_NO_WEBHOOK,			/* unknown or disabled */
	ANSWER_NOT_FOUND,			/* a path outside the prefix */
	ANSWER_METHOD,
	ANSWER_MALFORMED,
	ANSWER_TIMEOUT,
	ANSWER_NO_LENGTH,
	ANSWER_CODING,				/* a transfer coding other than chunked */
	ANSWER_TOO_LARGE,
	ANSWER_HEAD_TOO_LARGE,
	ANSWER_CLOSED,				/* connection closed without an answer */
	ANSWER_STATUS,				/* healthz, readyz, metrics */
	ANSWER_UNREADY,				/* readyz: 503 */
	ANSWER_COUNT
} Answer;

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
	size_t		content_length; /* if chunked, the most that is taken */
	bool		has_body;
	bool		chunked;
	bool		status_page;
	bool		malformed;		/* the request line is */
	bool		answered;		/* counted and logged */
	bool		expect;			/* sent Expect: answer before the body comes */
	Answer		answer;

	/* Takes it back, once, from any thread, with what it is answered. */
	void		(*done) (struct Request *request, Answer answer);
	Verdict		verdict;
	int			attempts;
	int64_t		held_since;		/* monotonic milliseconds */
	int64_t		deadline;		/* stop trying the database then */
	int64_t		not_before;		/* next attempt, after an error */
} Request;

typedef struct Options
{
	const char *listen;
	char	   *prefix;			/* begins and ends with a slash */
	const char *client_header;	/* that a proxy says the address in, or NULL */
	const char *conninfo;
	int			connections;
	const char *spool;			/* directory, NULL: none */
	uint64_t	spool_limit;
	uint64_t	max_body;
	uint64_t	max_memory;
	int			max_connections;
	int			max_per_address;
	int64_t		head_timeout;	/* milliseconds, as those below */
	int64_t		request_timeout;
	int64_t		hold;
	int			log_level;
	bool		check;			/* only see whether the database would do */
} Options;

extern Options opt;

/* main.c */
extern int64_t monotonic_ms(void);
extern int64_t received_now(void);
extern void *xmalloc(size_t size);
extern atomic_bool stopping;

/* notify.c */
extern void notify_state(const char *state);
extern void notify_tick(int64_t now);

/* http.c */
extern bool http_start(void);
extern void http_sweep(int64_t now);
extern void http_quiesce(void);
extern void http_stop(void);

/* listen.c */
extern int	listener_open(void);

/* head.c */
extern Answer head_check(Request *request, const char *path, const char *method,
						 const char *version);
extern bool head_may_be_logged(const char *name);

/* refuse.c */
struct sockaddr;

extern void refuse_early(int fd, Answer answer, bool body);
extern Answer length_refused(struct MHD_Connection *connection);
extern void address_text(const struct sockaddr *address, char *dst, size_t size);

/* status.c */

/* At what the database failed. */
typedef enum Trouble
{
	TROUBLE_NONE, TROUBLE_CONNECT, TROUBLE_CHECK, TROUBLE_INSERT
} Trouble;

extern void status_start(void);
extern void status_opened(void);
extern void status_closed(void);
extern void status_not_opened(Trouble what, const char *cause);
extern void status_failed(const Delivery *delivery, int64_t sent, const char *cause);
extern void status_settled(Answer answer);
extern Delivery *status_witness(void);
extern void status_witness_tried(Delivery *witness, bool settled);
extern bool status_proved_since(int64_t since);
extern int64_t database_down_since(void);
extern bool database_is_up(void);
extern bool receiver_is_ready(void);
extern void status_stop(void);

/* session.c */
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

/* pool.c */
extern void database_start(void);
extern void database_submit(Request *request);
extern void database_expire(int64_t now);
extern void database_stop(void);

/* record.c */
#define RECORD_MAGIC "FWR2"
#define RECORD_HEADER_SIZE 40
#define RECORD_TAG_SIZE 8

typedef struct Record
{
	Delivery	delivery;
	char	   *parts;			/* webhook, signature and body, each with NUL */
	off_t		offset;
	off_t		end;
	bool		has_tag;
	unsigned char tag[RECORD_TAG_SIZE];
} Record;

typedef enum ReadResult
{
	RECORD_READ, RECORD_END, RECORD_TORN, RECORD_DAMAGED, RECORD_FAILED
} ReadResult;

extern void record_init(const unsigned char *tag);
extern size_t record_size(const Delivery *delivery);
extern bool record_write(int fd, const Delivery *delivery);
extern bool record_bytes(int fd, void *dst, size_t len, off_t offset);
extern ReadResult record_read(int fd, off_t offset, off_t size, Record *record);
extern ReadResult record_find(int fd, off_t offset, off_t size, unsigned char *tag,
							  Record *record, ReadResult *at_offset);

/* spool.c */
typedef struct SpoolState
{
	bool		enabled;
	bool		room;
	uint64_t	records;
	uint64_t	bytes;			/* of all its files */
	uint64_t	kept_records;	/* refused by the database, tried again */
	uint64_t	kept_bytes;
	uint64_t	damaged_bytes;	/* set aside, since they can't be read */
	double		age;			/* seconds since the oldest one arrived */
} SpoolState;

extern bool spool_start(void);
extern void spool_submit(Request *request);
extern void spool_retry(void);
extern void spool_stop(void);
extern SpoolState spool_state(void);

/* metrics.c */
typedef enum Event
{
	EVENT_SPOOL_WRITTEN,
	EVENT_SPOOL_DRAINED,
	EVENT_SPOOL_REJECTED,		/* kept on disk, with the reason for it */
	EVENT_SPOOL_NO_WEBHOOK,
	EVENT_SPOOL_ERROR,
	EVENT_SPOOL_FULL,
	EVENT_SPOOL_FAILED,
	EVENT_SPOOL_TORN,
	EVENT_SPOOL_DAMAGED,
	EVENT_DATABASE_CONNECT,
	EVENT_DATABASE_LOST,
	EVENT_DATABASE_RETRY,
	EVENT_COUNT
} Event;

extern int	answer_status(Answer answer);
extern const char *answer_word(Answer answer);
extern void count_answer(Answer answer);
extern void count_event(Event event, uint64_t by);
extern void count_latency(int64_t microseconds);
extern void gauge_connections(int by);
extern int	connections_now(void);
extern void gauge_held(int by);
extern int	held_now(void);
extern char *metrics_render(size_t *len);

/* log.c */
enum
{
	LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG
};

extern void log_line(int level, const char *event, const char *format,...)
			__attribute__((format(printf, 3, 4)));
extern void log_delivery(const Request *request, Answer answer);
extern void log_timeout(const char *client);
extern void log_flush(int64_t now);
extern void log_quote(char *dst, size_t size, const char *src);

/*
 * Fault points exist in the build that the tests use and nowhere else: there
 * the environment names the one at which the process kills itself.
 */
#ifdef RECEIVER_FAULT_POINTS
extern void fault_point(const char *name);
#else
#define fault_point(name) ((void) 0)
#endif

#endif							/* RECEIVER_H */
