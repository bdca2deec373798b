/*-------------------------------------------------------------------------
 *
 * pool.c
 *		The requests that wait for the database, and the threads that insert
 *		them.
 *
 * A worker owns one session and takes several of the requests that wait, which
 * go in together.  While one is at work and its database is quick, what comes
 * waits for it, since a batch costs little more than a single request; others
 * join in when much waits or an answer takes long.  What an INSERT did not
 * settle is tried again until the request's time is over; then the spool has
 * it, or nobody.
 *
 *-------------------------------------------------------------------------
 */
#include "pool.h"
#include "clock.h"
#include "insert.h"
#include "log.h"
#include "memory.h"
#include "metrics.h"
#include "options.h"
#include "spool.h"
#include "status.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#define PIPELINE_DEPTH 64
#define PIPELINE_BYTES (8 * 1024 * 1024)
#define ENOUGH 16				/* for one worker; more call another */
#define RETRY_MIN 20			/* ms, before a request is tried again */
#define RETRY_MAX 1000

/* Requests that wait for a worker. */
static struct
{
	pthread_mutex_t lock;
	pthread_cond_t wake;
	Request    *head;
	Request   **tail;
	size_t		ready;
	Request    *delayed;		/* not to be tried before their not_before */
	int			quick;			/* workers at work that have not been for long */
	bool		stop;
}			queue = {.lock = PTHREAD_MUTEX_INITIALIZER};

static pthread_t *workers;
static int	worker_count;
static _Thread_local bool counted;	/* this worker is one of the quick ones */

static void
queue_append(Request *request)
{
	request->next = NULL;
	*queue.tail = request;
	queue.tail = &request->next;
	queue.ready++;
}

/* Call a worker, if those at work will not get to what waits; under the lock. */
static void
queue_call(void)
{
	if (queue.ready > 0 && queue.ready >= (size_t) (ENOUGH * queue.quick))
		pthread_cond_signal(&queue.wake);
}

/* This worker has what it takes some time to do, or is done with it. */
static void
worker_leaves(void)
{
	pthread_mutex_lock(&queue.lock);
	if (counted)
		queue.quick--;
	counted = false;
	queue_call();
	pthread_mutex_unlock(&queue.lock);
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
	{
		request->answer = ANSWER_CLOSED;
		request->next = NULL;
		request->done(request);
	}
}

/* Take a request over from libmicrohttpd's thread. */
void
database_submit(Request *request)
{
	int64_t		now = monotonic_ms();
	int64_t		down = database_down_since();

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
	queue_call();
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
	if (counted)
		queue.quick--;
	counted = false;
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
	if (share < ENOUGH)
		share = ENOUGH;
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
	if (count > 0)
	{
		counted = true;
		queue.quick++;
	}
	queue_call();
	pthread_mutex_unlock(&queue.lock);
	return count;
}

/* Put a request with an answer at the end of a list, and try others again. */
static void
settle(Request *request, const Verdict *verdict, Request ***tail)
{
	request->verdict = *verdict;
	if (verdict->answer == ANSWER_NONE)
	{
		retry(request, false);
		return;
	}
	request->attempts++;
	request->answer = verdict->answer;
	request->next = NULL;
	**tail = request;
	*tail = &request->next;
}

/*
 * See whether what began an outage would go through by now.  Not only when
 * nobody posts: what others post may all be refused, and prove nothing.
 */
static void
try_witness(Session *session)
{
	Delivery   *witness;
	const Delivery *delivery;
	Verdict		verdict;

	if (!session_open(session) || (witness = status_witness()) == NULL)
		return;
	delivery = witness;
	worker_leaves();
	session_insert(session, &delivery, 1, &verdict, monotonic_ms() + opt.hold, INSERT_TRIAL);
	status_witness_tried(witness, verdict.settled && verdict.answer != ANSWER_NONE);
}

/* Insert a batch and pass each request of it on. */
static void
insert_batch(Session *session, Request **batch, int count)
{
	const Delivery *deliveries[PIPELINE_DEPTH] = {NULL};
	Verdict		verdicts[PIPELINE_DEPTH];
	int64_t		deadline = INT64_MAX;
	Request    *answered = NULL;
	Request   **tail = &answered;

	for (int i = 0; i < count; i++)
	{
		deliveries[i] = &batch[i]->delivery;
		if (batch[i]->deadline < deadline)
			deadline = batch[i]->deadline;
	}

	/* Answer what is settled even where the rest of the batch is not. */
	session_insert(session, deliveries, count, verdicts, deadline, INSERT_TOGETHER);
	for (int i = 0; i < count; i++)
		if (verdicts[i].settled)
			settle(batch[i], &verdicts[i], &tail);
	if (answered != NULL)
		answered->done(answered);
	for (int i = count - 1; i >= 0; i--)
		if (!verdicts[i].settled)
			retry(batch[i], true);
}

static void *
worker_main(void *arg)
{
	Session    *session = arg;
	Request    *batch[PIPELINE_DEPTH];

	session->slow = worker_leaves;
	for (;;)
	{
		int			count;

		/* to connect can take long */
		if (session->conn == NULL)
			worker_leaves();
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
			session_look(session);
		else
			insert_batch(session, batch, count);
		try_witness(session);
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
	queue_call();
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

	status_start();
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
	status_stop();
}
