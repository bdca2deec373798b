/*-------------------------------------------------------------------------
 *
 * status.c
 *		What is known about the database.
 *
 * Two things can be wrong, and each ends in its own way.  Nothing can be
 * reached: no session is open, or one may not insert; the next session that
 * passes its check ends that.  Or an INSERT failed: a new connection says
 * nothing about that, since a lock or a missing right of the extension's
 * lets everybody connect.  It ends when an INSERT is settled with a delivery
 * in the history, or when the delivery whose failure began it is settled in
 * any way.  A copy of that one is the witness: the pool tries it again, in a
 * transaction that is rolled back, while nobody else posts.
 *
 * An outage is two lines in the log, one when it begins and one when it
 * ends; what happens in between is told at level debug.
 *
 *-------------------------------------------------------------------------
 */
#include "status.h"
#include "clock.h"
#include "log.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define WITNESS_PAUSE 500		/* ms, between two trials of the witness */

static struct
{
	pthread_mutex_t lock;
	bool		checked;		/* some session passed its check, or inserted */
	bool		unreachable;
	bool		failing;
	int			sessions;		/* that are open */
	int64_t		down_since;		/* monotonic ms, 0: all is well */
	int64_t		last_proof;		/* when an INSERT was last settled */
	Trouble		told;			/* what the log was told last */
	uint64_t	failures;		/* since the outage began */
	Delivery   *witness;
	int64_t		witness_at;		/* not to be tried before */
}			status = {.lock = PTHREAD_MUTEX_INITIALIZER};

static const char *const trouble_word[] = {
	[TROUBLE_NONE] = "none",
	[TROUBLE_CONNECT] = "connect",
	[TROUBLE_CHECK] = "check",
	[TROUBLE_INSERT] = "insert",
};

/* Not known to work before it did. */
void
status_start(void)
{
	status.unreachable = true;
	status.down_since = monotonic_ms();
}

/* A delivery in one piece of memory; NULL when there is none to be had. */
static Delivery *
copy_delivery(const Delivery *delivery)
{
	size_t		name = strlen(delivery->webhook) + 1;
	size_t		signature = delivery->signature ? strlen(delivery->signature) + 1 : 0;
	Delivery   *copy = malloc(sizeof(Delivery) + name + signature + delivery->body_len);
	char	   *p;

	if (copy == NULL)
		return NULL;
	*copy = *delivery;
	p = (char *) (copy + 1);
	copy->webhook = memcpy(p, delivery->webhook, name);
	p += name;
	if (delivery->signature != NULL)
		copy->signature = memcpy(p, delivery->signature, signature);
	p += signature;
	if (delivery->body_len > 0)
		copy->body = memcpy(p, delivery->body, delivery->body_len);
	return copy;
}

/*
 * The caller holds the lock.  A receiver that never could insert says so at
 * every level, and once more where the trouble turns out to be another one:
 * behind a server that starts may stand a right that is missing.
 */
static void
trouble(Trouble what, const char *cause)
{
	bool		began = status.down_since == 0;

	if (began)
	{
		status.down_since = monotonic_ms();
		status.told = TROUBLE_NONE;
		status.failures = 0;
	}
	status.failures++;
	if (status.told == TROUBLE_NONE || (!status.checked && status.told != what))
	{
		status.told = what;
		log_line(status.checked ? LOG_LEVEL_WARNING : LOG_LEVEL_ERROR,
				 "database_down", "during=%s cause=%s", trouble_word[what], cause);
	}
	else
		log_line(LOG_LEVEL_DEBUG, "database_failed", "during=%s cause=%s",
				 trouble_word[what], cause);
}

/* The caller holds the lock. */
static void
well_again(void)
{
	if (status.unreachable || status.failing || status.down_since == 0)
		return;
	log_line(LOG_LEVEL_INFO, "database_up", "after_ms=%lld failures=%llu",
			 (long long) (monotonic_ms() - status.down_since),
			 (unsigned long long) status.failures);
	status.down_since = 0;
	free(status.witness);
	status.witness = NULL;
}

/* A session was opened and may insert. */
void
status_opened(void)
{
	pthread_mutex_lock(&status.lock);
	status.sessions++;
	status.checked = true;
	status.unreachable = false;
	well_again();
	pthread_mutex_unlock(&status.lock);
}

void
status_closed(void)
{
	pthread_mutex_lock(&status.lock);
	status.sessions--;
	pthread_mutex_unlock(&status.lock);
}

/*
 * No session could be opened.  Where others are open it may be a limit on
 * their number: whether those work is for their INSERTs to say.
 */
void
status_not_opened(Trouble what, const char *cause)
{
	pthread_mutex_lock(&status.lock);
	if (status.sessions == 0)
	{
		status.unreachable = true;
		trouble(what, cause);
	}
	else
		log_line(LOG_LEVEL_DEBUG, "database_failed", "during=%s cause=%s",
				 trouble_word[what], cause);
	pthread_mutex_unlock(&status.lock);
}

/*
 * An INSERT failed that was sent at this time.  If another one was settled
 * since then, the fault may be this delivery's alone.
 */
void
status_failed(const Delivery *delivery, int64_t sent, const char *cause)
{
	pthread_mutex_lock(&status.lock);
	if (status.last_proof >= sent)
		log_line(LOG_LEVEL_DEBUG, "database_failed", "during=insert cause=%s", cause);
	else
	{
		if (!status.failing)
		{
			status.failing = true;
			free(status.witness);
			status.witness = copy_delivery(delivery);
			status.witness_at = monotonic_ms() + WITNESS_PAUSE;
		}
		trouble(TROUBLE_INSERT, cause);
	}
	pthread_mutex_unlock(&status.lock);
}

/*
 * An INSERT was settled.  What is refused never came as far as the history,
 * and anybody can send it, so it proves nothing.
 */
void
status_settled(Answer answer)
{
	if (answer != ANSWER_STORED && answer != ANSWER_DUPLICATE &&
		answer != ANSWER_UNDECODED)
		return;
	pthread_mutex_lock(&status.lock);
	status.checked = true;
	status.unreachable = false;
	status.failing = false;
	status.last_proof = monotonic_ms();
	well_again();
	pthread_mutex_unlock(&status.lock);
}

/* The witness, now the caller's; NULL if there is none, or not yet. */
Delivery *
status_witness(void)
{
	Delivery   *witness = NULL;

	pthread_mutex_lock(&status.lock);
	if (status.failing && monotonic_ms() >= status.witness_at)
	{
		witness = status.witness;
		status.witness = NULL;
	}
	pthread_mutex_unlock(&status.lock);
	return witness;
}

/* Give it back, with what became of it. */
void
status_witness_tried(Delivery *witness, bool settled)
{
	pthread_mutex_lock(&status.lock);
	if (settled)
	{
		/* unless it was another outage's that has begun since */
		if (status.witness == NULL)
			status.failing = false;
		well_again();
	}
	else if (status.failing && status.witness == NULL)
	{
		status.witness = witness;
		status.witness_at = monotonic_ms() + WITNESS_PAUSE;
		witness = NULL;
	}
	pthread_mutex_unlock(&status.lock);
	free(witness);
}

/* Whether an INSERT was settled since then. */
bool
status_proved_since(int64_t since)
{
	bool		proved;

	pthread_mutex_lock(&status.lock);
	proved = status.last_proof > since;
	pthread_mutex_unlock(&status.lock);
	return proved;
}

/* Since when the database has been away, in monotonic ms; 0: it is there. */
int64_t
database_down_since(void)
{
	int64_t		since;

	pthread_mutex_lock(&status.lock);
	since = status.down_since;
	pthread_mutex_unlock(&status.lock);
	return since;
}

bool
database_is_up(void)
{
	return database_down_since() == 0;
}

/* Whether the database ever took an INSERT, or a check. */
bool
database_was_checked(void)
{
	bool		checked;

	pthread_mutex_lock(&status.lock);
	checked = status.checked;
	pthread_mutex_unlock(&status.lock);
	return checked;
}

void
status_stop(void)
{
	free(status.witness);
	status.witness = NULL;
}
