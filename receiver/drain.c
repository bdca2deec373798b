/*-------------------------------------------------------------------------
 *
 * drain.c
 *		The thread that takes records out of the spool and inserts them.
 *
 * Segments are drained in order.  How far it came is not written down: after
 * a crash some records are inserted again, which the inbox recognises.
 *
 * What the database refuses may be somebody's delivery all the same: its
 * webhook is disabled for a while, or the database was restored without its
 * secrets.  The sender was told 200, so it stays on disk.  When a segment is
 * done with, the records that were refused move into a file of their own,
 * which is tried again and again, at growing intervals.  Each of these trials
 * is rolled back, lest it count as one more refusal, and only what would be
 * accepted is inserted.
 *
 * A file is removed, or another put in its place, only after whatever is not
 * in the database is on disk under another name.
 *
 *-------------------------------------------------------------------------
 */
#include "drain.h"
#include "clock.h"
#include "fault.h"
#include "insert.h"
#include "log.h"
#include "metrics.h"
#include "segment.h"
#include "status.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define DRAIN_BYTES (8 * 1024 * 1024)
#define DRAIN_TIMEOUT 10000		/* ms, for one batch */
#define DRAIN_PAUSE 500			/* ms, after a failure */
#define POISON_ATTEMPTS 6		/* before one record is kept back */
#define KEPT_PAUSE_MAX 600000	/* ms, between two trials of what is kept */

/*
 * Inserting
 */

static bool
accepted(const Verdict *verdict)
{
	return verdict->settled &&
		(verdict->answer == ANSWER_STORED || verdict->answer == ANSWER_DUPLICATE ||
		 verdict->answer == ANSWER_UNDECODED);
}

/*
 * Try deliveries that were refused before, in a transaction that is rolled
 * back.  A webhook that was just found to be unknown is not asked for again:
 * each time is an error in the server's log.
 */
static void
try_again(Session *session, Segment *segment, const Delivery *const *deliveries,
		  int count, Verdict *verdicts)
{
	const Delivery *asked[SPOOL_BATCH];
	Verdict		answers[SPOOL_BATCH];
	int			place[SPOOL_BATCH];
	int			n = 0;

	memset(verdicts, 0, sizeof(Verdict) * (size_t) count);
	for (int i = 0; i < count; i++)
	{
		if (segment->unknown != NULL &&
			strcmp(segment->unknown, deliveries[i]->webhook) == 0)
		{
			verdicts[i].settled = true;
			verdicts[i].answer = ANSWER_NO_WEBHOOK;
			continue;
		}
		asked[n] = deliveries[i];
		place[n++] = i;
	}
	if (n == 0)
		return;
	session_insert(session, asked, n, answers, monotonic_ms() + DRAIN_TIMEOUT, INSERT_TRIAL);
	for (int i = 0; i < n; i++)
	{
		verdicts[place[i]] = answers[i];
		if (answers[i].settled && answers[i].answer == ANSWER_NO_WEBHOOK)
		{
			free(segment->unknown);
			segment->unknown = strdup(asked[i]->webhook);
		}
	}
}

/* Insert what was refused before, as far as a trial lets it through. */
static void
insert_again(Session *session, Segment *segment, const Delivery *const *deliveries,
			 int count, Verdict *verdicts)
{
	const Delivery *good[SPOOL_BATCH];
	Verdict		real[SPOOL_BATCH];
	int			place[SPOOL_BATCH];
	int			n = 0;

	try_again(session, segment, deliveries, count, verdicts);
	for (int i = 0; i < count; i++)
	{
		if (!accepted(&verdicts[i]))
			continue;
		good[n] = deliveries[i];
		place[n++] = i;
	}
	if (n == 0)
		return;
	memset(real, 0, sizeof(real));
	if (session_open(session))
		session_insert(session, good, n, real, monotonic_ms() + DRAIN_TIMEOUT, INSERT_IN_ORDER);
	for (int i = 0; i < n; i++)
		verdicts[place[i]] = real[i];
}

/* This record is done with: in the database, or left on disk. */
static void
done_with(Segment *segment, const Record *record)
{
	segment->failures = 0;
	pthread_mutex_lock(&spool.lock);
	segment->drained = record->end;
	segment->pending--;
	if (!segment->kept)
	{
		spool.records--;
		spool.oldest = spool.records > 0 ? record->delivery.received_at : 0;
		if (spool.records == 0)
			log_line(LOG_LEVEL_INFO, "spool_empty", "%s", "");
	}
	pthread_mutex_unlock(&spool.lock);
}

static void
leave(Segment *segment, const Record *record, Refusal why)
{
	static const Event event[REFUSED_COUNT] = {
		[REFUSED_SIGNATURE] = EVENT_SPOOL_REJECTED,
		[REFUSED_WEBHOOK] = EVENT_SPOOL_NO_WEBHOOK,
		[REFUSED_ERROR] = EVENT_SPOOL_ERROR,
	};

	segment_leave(segment, record, why);
	/* once for each delivery, however often it is tried */
	if (!segment->kept)
		count_event(event[why], 1);
	done_with(segment, record);
}

/*
 * The database did not say yes or no.  Try this record alone from now on.  The
 * fault is the record's, and the others need not wait for it, where the error
 * is of a kind that only a delivery causes, or others were inserted meanwhile.
 */
static bool
is_poison(Segment *segment, const Verdict *verdict)
{
	if (segment->failures++ == 0)
		segment->first_failure = monotonic_ms();
	segment->width = 1;
	if (segment->failures < POISON_ATTEMPTS)
		return false;
	return (verdict->settled && !sqlstate_is_transient(verdict->sqlstate)) ||
		status_proved_since(segment->first_failure);
}

/* What became of some records, in order.  False after trouble, to pause. */
static bool
judge(Segment *segment, const Record *records, const Verdict *verdicts, int count)
{
	for (int i = 0; i < count; i++)
	{
		const Verdict *verdict = &verdicts[i];

		if (accepted(verdict))
		{
			segment->inserted++;
			count_event(EVENT_SPOOL_DRAINED, 1);
			done_with(segment, &records[i]);
		}
		else if (verdict->settled && verdict->answer != ANSWER_NONE)
			leave(segment, &records[i], verdict->answer == ANSWER_NO_WEBHOOK ?
				  REFUSED_WEBHOOK : REFUSED_SIGNATURE);
		else if (is_poison(segment, verdict))
			leave(segment, &records[i], REFUSED_ERROR);
		else
			return false;
	}
	segment->width = SPOOL_BATCH;
	return true;
}

/*
 * The rest of a file can't be read: go on with the others, and set it aside.
 * False where that may be for want of memory or descriptors, to wait.
 */
static bool
unreadable(Segment *segment, off_t size)
{
	int			error = errno;

	if (error == ENOMEM || error == EMFILE || error == ENFILE)
		return false;
	log_line(LOG_LEVEL_ERROR, "spool_unreadable", "file=%s offset=%lld message=\"%s\"",
			 segment->name, (long long) segment->drained, strerror(error));
	if (!segment->damaged)
		count_event(EVENT_SPOOL_DAMAGED, 1);
	segment->damaged = true;
	pthread_mutex_lock(&spool.lock);
	segment->drained = size;
	pthread_mutex_unlock(&spool.lock);
	return true;
}

/* Insert the next records of a file.  False after trouble, to pause. */
static bool
drain_batch(Session *session, Segment *segment, int fd, off_t size)
{
	Record		records[SPOOL_BATCH];
	const Delivery *deliveries[SPOOL_BATCH];
	Verdict		verdicts[SPOOL_BATCH];
	ReadResult	result = RECORD_READ;
	off_t		offset = segment->drained;
	size_t		bytes = 0;
	int			count = 0;
	bool		ok = true;

	while (count < segment->width && bytes < DRAIN_BYTES)
	{
		result = segment_find(fd, segment, size, offset, &records[count]);
		if (result != RECORD_READ)
			break;
		offset = records[count].end;
		bytes += records[count].delivery.body_len;
		deliveries[count] = &records[count].delivery;
		count++;
	}

	if (count > 0)
	{
		if (segment->kept)
			insert_again(session, segment, deliveries, count, verdicts);
		else
			session_insert(session, deliveries, count, verdicts,
						   monotonic_ms() + DRAIN_TIMEOUT, INSERT_IN_ORDER);
		ok = judge(segment, records, verdicts, count);
	}
	else if (result == RECORD_FAILED)
		ok = unreadable(segment, size);
	else if (result == RECORD_END)
	{
		/* nothing more in this file: its torn end is done with, too */
		pthread_mutex_lock(&spool.lock);
		segment->drained = size;
		pthread_mutex_unlock(&spool.lock);
	}
	for (int i = 0; i < count; i++)
		free(records[i].parts);
	return ok;
}

/*
 * When a file is done with
 */

static void
log_kept(const Segment *segment, uint64_t records)
{
	log_line(LOG_LEVEL_WARNING, "spool_kept",
			 "file=%s records=%llu rejected=%llu no_webhook=%llu error=%llu webhook=%s",
			 segment->name, (unsigned long long) records,
			 (unsigned long long) segment->refused[REFUSED_SIGNATURE],
			 (unsigned long long) segment->refused[REFUSED_WEBHOOK],
			 (unsigned long long) segment->refused[REFUSED_ERROR],
			 segment->refused_webhook);
}

/* What the next turn begins with; the caller holds the lock. */
static void
begin_again(Segment *segment, uint64_t records, int64_t pause)
{
	segment->drained = 0;
	segment->pending = records;
	segment->inserted = 0;
	segment->left_count = 0;
	memset(segment->refused, 0, sizeof(segment->refused));
	free(segment->unknown);
	segment->unknown = NULL;
	segment->damaged = false;
	segment->failures = 0;
	segment->width = SPOOL_BATCH;
	segment->pause = pause;
	segment->due = monotonic_ms() + pause;
}

/* Set a file aside, with everything that is in it. */
static void
set_aside(Segment *segment)
{
	if (!segment_move(segment->name, segment->number, "damaged"))
		return;
	log_line(LOG_LEVEL_ERROR, "spool_damaged_kept", "file=%s", segment->name);
	pthread_mutex_lock(&spool.lock);
	spool.damaged_bytes += (uint64_t) segment->size;
	spool.bytes += (uint64_t) segment->size;
	pthread_mutex_unlock(&spool.lock);
}

static void
remove_file(const char *name)
{
	if (unlinkat(spool.dir, name, 0) != 0 && errno != ENOENT)
		log_line(LOG_LEVEL_WARNING, "spool_not_removed", "file=%s error=%d", name, errno);
}

/*
 * Put the records that were left of a segment into a file of their own.
 * Where all were, or there is no room for a copy, that is the segment itself:
 * what else is in it will be found to be a duplicate.
 */
static Segment *
keep_left(Segment *segment)
{
	char		name[NAME_SIZE];
	uint64_t	records = segment->left_count;
	off_t		size = segment->size;
	Segment    *kept;
	bool		whole = segment->inserted == 0 && !segment->damaged;

	if (!whole)
	{
		off_t		source_size;
		int			fd = segment_open(segment->name, &source_size);

		whole = fd < 0 || !segment_copy_left(fd, segment, name, &size);
		if (fd >= 0)
			close(fd);
		if (whole)
		{
			records += segment->inserted;
			size = segment->size;
		}
	}
	fault_point("before_spool_kept");
	if (whole)
		strcpy(name, segment->name);
	if (!segment_move(name, segment->number, "kept"))
		return NULL;
	fault_point("after_spool_kept");

	kept = segment_create(segment->number, name);
	kept->kept = true;
	kept->size = size;
	memcpy(kept->refused, segment->refused, sizeof(kept->refused));
	memcpy(kept->refused_webhook, segment->refused_webhook,
		   sizeof(kept->refused_webhook));
	log_kept(kept, records);
	begin_again(kept, records, KEPT_PAUSE_MIN);
	if (whole)
		segment->name[0] = '\0';
	return kept;
}

/* A segment of the list is done with; only this thread takes one off it. */
static void
finish_segment(Segment *segment)
{
	Segment    *kept = NULL;
	bool		lost_name = false;

	if (segment->left_count > 0)
	{
		kept = keep_left(segment);
		/* no way to do it: all of it stays as it is, for the next start */
		lost_name = kept == NULL;
	}

	pthread_mutex_lock(&spool.lock);
	spool.first = segment->next;
	if (spool.first == NULL)
		spool.last = NULL;
	if (!lost_name)
		spool.bytes -= (uint64_t) segment->size;
	/* those that an unreadable part of it took along */
	spool.records -= segment->pending;
	if (spool.records == 0)
		spool.oldest = 0;
	if (kept != NULL)
	{
		spool.bytes += (uint64_t) kept->size;
		spool.kept_bytes += (uint64_t) kept->size;
		spool.kept_records += kept->pending;
		kept->next = spool.kept;
		spool.kept = kept;
	}
	pthread_mutex_unlock(&spool.lock);

	if (lost_name || segment->name[0] == '\0')
		;
	else if (segment->damaged)
		set_aside(segment);
	else
		remove_file(segment->name);
	segment_free(segment);
}

/* Take a file off the list of those that are kept. */
static void
forget_kept(Segment *segment)
{
	pthread_mutex_lock(&spool.lock);
	for (Segment **link = &spool.kept; *link != NULL; link = &(*link)->next)
	{
		if (*link == segment)
		{
			*link = segment->next;
			break;
		}
	}
	pthread_mutex_unlock(&spool.lock);
	segment_free(segment);
}

/*
 * Write a kept file anew, with what is left of it, or, where a part of it
 * could not be read, into another one beside it.
 */
static bool
rewrite_kept(Segment *segment, off_t *size)
{
	char		name[NAME_SIZE];
	off_t		source_size;
	int			fd = segment_open(segment->name, &source_size);
	bool		ok = fd >= 0 && segment_copy_left(fd, segment, name, size);

	if (fd >= 0)
		close(fd);
	if (!ok)
		return false;
	fault_point("before_spool_rewritten");
	if (segment->damaged)
	{
		if (!segment_move(name, segment->number, "kept"))
			return false;
		set_aside(segment);
		strcpy(segment->name, name);
		return true;
	}
	if (renameat(spool.dir, name, spool.dir, segment->name) != 0)
		return false;
	(void) fsync(spool.dir);
	return true;
}

/* All of a kept file was tried. */
static void
finish_kept(Segment *segment)
{
	uint64_t	was_records = segment->pending + segment->inserted + segment->left_count;
	uint64_t	records = segment->left_count;
	off_t		was_size = segment->size;
	off_t		size = 0;
	int64_t		pause = segment->pause * 2;

	if (pause > KEPT_PAUSE_MAX)
		pause = KEPT_PAUSE_MAX;
	if (segment->inserted > 0)
	{
		log_line(LOG_LEVEL_INFO, "spool_kept_inserted", "file=%s inserted=%llu left=%llu",
				 segment->name, (unsigned long long) segment->inserted,
				 (unsigned long long) records);
		pause = KEPT_PAUSE_MIN;
	}

	if (records == 0 && segment->damaged)
		set_aside(segment);
	else if (records == 0)
		remove_file(segment->name);
	else if ((segment->inserted == 0 && !segment->damaged) ||
			 !rewrite_kept(segment, &size))
	{
		/* as it was: what is in the database by now is a duplicate */
		size = was_size;
		records = was_records;
	}

	pthread_mutex_lock(&spool.lock);
	segment->size = size;
	spool.bytes += (uint64_t) size - (uint64_t) was_size;
	spool.kept_bytes += (uint64_t) size - (uint64_t) was_size;
	spool.kept_records += records - was_records;
	begin_again(segment, records, pause);
	pthread_mutex_unlock(&spool.lock);
	if (records == 0)
		forget_kept(segment);
}

/* Somebody removed a file: what was in it is theirs. */
static void
removed(Segment *segment)
{
	log_line(LOG_LEVEL_WARNING, "spool_removed", "file=%s", segment->name);
	segment->damaged = false;
	segment->left_count = 0;
	pthread_mutex_lock(&spool.lock);
	segment->drained = segment->size;
	pthread_mutex_unlock(&spool.lock);
}

/*
 * The thread
 */

/*
 * What to do next, or NULL with the time of the next thing; the caller holds
 * the lock.
 */
static Segment *
choose(int64_t now, int64_t *until)
{
	Segment    *first = spool.first;

	*until = INT64_MAX;
	if (first != NULL)
	{
		if (spool.paused_until > now)
			*until = spool.paused_until;
		else if (first->drained < first->size)
			return first;
		/* what is done with goes, but not under the writer's hands */
		else if (first != spool.current || !spool.writing)
		{
			if (first == spool.current)
				segment_end();
			return first;
		}
	}
	for (Segment *kept = spool.kept; kept != NULL; kept = kept->next)
	{
		if (kept->due <= now)
			return kept;
		if (kept->due < *until)
			*until = kept->due;
	}
	return NULL;
}

/*
 * Wait until something is to be done; NULL: to stop.  A session that nobody
 * needs is closed: its end could not tell us that the server went away.
 */
static Segment *
next_segment(Session *session, off_t *size)
{
	Segment    *segment = NULL;

	pthread_mutex_lock(&spool.lock);
	while (!spool.stop)
	{
		int64_t		until;
		struct timespec at;

		if (spool.retry)
		{
			uint64_t	damaged = segments_damaged_bytes();

			spool.retry = false;
			spool.bytes += damaged - spool.damaged_bytes;
			spool.damaged_bytes = damaged;
			for (Segment *kept = spool.kept; kept != NULL; kept = kept->next)
			{
				kept->due = 0;
				kept->pause = KEPT_PAUSE_MIN;
			}
		}
		segment = choose(monotonic_ms(), &until);
		if (segment != NULL)
		{
			*size = segment->size;
			break;
		}
		if (spool.first == NULL)
			session_close(session);
		if (until == INT64_MAX)
		{
			pthread_cond_wait(&spool.to_drain, &spool.lock);
			continue;
		}
		at.tv_sec = until / 1000;
		at.tv_nsec = (until % 1000) * 1000000;
		pthread_cond_timedwait(&spool.to_drain, &spool.lock, &at);
	}
	if (spool.stop)
		segment = NULL;
	pthread_mutex_unlock(&spool.lock);
	return segment;
}

/* One step with one file.  False after trouble, to pause. */
static bool
drain_some(Session *session, Segment *segment, off_t size)
{
	off_t		real_size;
	bool		ok;
	int			fd = segment_open(segment->name, &real_size);

	if (fd < 0 && errno == ENOENT)
	{
		removed(segment);
		return true;
	}
	if (fd < 0)
		return unreadable(segment, size);
	ok = session_open(session) && drain_batch(session, segment, fd, size);
	close(fd);
	return ok;
}

void *
drain_main(void *arg)
{
	Session    *session = session_create("spool");
	Segment    *segment;
	off_t		size;

	(void) arg;
	while ((segment = next_segment(session, &size)) != NULL)
	{
		if (segment->drained < size)
		{
			if (drain_some(session, segment, size))
				continue;
			pthread_mutex_lock(&spool.lock);
			if (segment->kept)
				segment->due = monotonic_ms() + segment->pause;
			else
				spool.paused_until = monotonic_ms() + DRAIN_PAUSE;
			pthread_mutex_unlock(&spool.lock);
		}
		else if (segment->kept)
			finish_kept(segment);
		else
			finish_segment(segment);
	}
	session_destroy(session);
	return NULL;
}
