/*-------------------------------------------------------------------------
 *
 * spool.c
 *		Deliveries on disk while the database is away.
 *
 * The spool is a directory of segments, <16 hex digits>.spool, which are only
 * ever appended to and removed whole, the oldest first.  A segment is a row of
 * records (record.c); segment.c has the other files, drain.c the way out.
 *
 * One thread writes: whatever waits is appended in one go, then fsync()ed,
 * then answered.  A write or an fsync() that fails ends its segment, and
 * nobody whose record was in it is told that it was kept.
 *
 * All files count towards the limit, also those with what the database
 * refused and what could not be read: none of it is ever dropped to make
 * room.  Where there is none, a request is not answered 200.
 *
 *-------------------------------------------------------------------------
 */
#include "spool.h"
#include "clock.h"
#include "drain.h"
#include "fault.h"
#include "log.h"
#include "metrics.h"
#include "options.h"
#include "segment.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#define SEGMENT_SIZE (8 * 1024 * 1024)
#define PROBE_PAUSE 1000		/* ms, between two looks for room on the disk */
#define NAMES_TRIED 10000
#define PROBE_NAME "0000000000000000.tmp"

/*
 * The writer
 */

/* Begin a new segment; its name is on disk before anything is in it. */
static bool
segment_begin(void)
{
	char		name[NAME_SIZE];
	Segment    *segment;
	uint64_t	number;
	int			fd = -1;

	for (int i = 0; fd < 0 && i < NAMES_TRIED; i++)
	{
		number = spool.next_number++;
		snprintf(name, sizeof(name), "%016llx.spool", (unsigned long long) number);
		fd = openat(spool.dir, name, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC,
					0600);
		if (fd < 0 && errno != EEXIST)
			return false;
	}
	if (fd < 0)
		return false;
	if (fsync(spool.dir) != 0)
	{
		close(fd);
		unlinkat(spool.dir, name, 0);
		return false;
	}
	segment = segment_create(number, name);
	pthread_mutex_lock(&spool.lock);
	if (spool.last != NULL)
		spool.last->next = segment;
	else
		spool.first = segment;
	spool.last = segment;
	spool.current = segment;
	spool.fd = fd;
	pthread_mutex_unlock(&spool.lock);
	return true;
}

/* What the last write says of the disk; the caller holds the lock. */
static void
disk_works(bool works, int error)
{
	if (works && spool.broken)
		log_line(LOG_LEVEL_INFO, "spool_works", "%s", "");
	else if (!works)
		log_line(spool.broken ? LOG_LEVEL_DEBUG : LOG_LEVEL_ERROR, "spool_failed",
				 "error=%d message=\"%s\"", error, strerror(error));
	spool.broken = !works;
}

/* Append a list of requests to the current segment, and have it on disk. */
static bool
append_group(const Request *group, off_t *size, uint64_t *count)
{
	*size = 0;
	*count = 0;
	if (spool.current == NULL && !segment_begin())
		return false;
	for (const Request *r = group; r != NULL; r = r->next)
	{
		if (!record_write(spool.fd, &r->delivery))
			return false;
		*size += (off_t) record_size(&r->delivery);
		(*count)++;
	}
	return fsync(spool.fd) == 0;
}

/* Give a list of requests back, all with the same answer. */
static void
answer_all(Request *requests, Answer answer, Event event)
{
	uint64_t	count = 0;

	for (Request *request = requests; request != NULL; request = request->next)
	{
		request->answer = answer;
		count++;
	}
	count_event(event, count);
	requests->done(requests);
}

/*
 * Write a list of requests, all of which fit, and answer them.  Nothing of it
 * counts before the fsync() has returned.
 */
static void
write_group(Request *group)
{
	off_t		size;
	uint64_t	count;
	bool		ok = append_group(group, &size, &count);
	int			error = errno;

	/*
	 * Take back what was written where that is possible.  Where it is not,
	 * some of these may be inserted although nobody was told so.
	 */
	if (ok)
		fault_point("after_spool_fsync");
	else if (spool.fd >= 0 && ftruncate(spool.fd, spool.current->size) != 0)
		log_line(LOG_LEVEL_WARNING, "spool_not_truncated", "error=%d", errno);

	pthread_mutex_lock(&spool.lock);
	disk_works(ok, error);
	if (ok)
	{
		if (spool.records == 0)
			spool.oldest = group->delivery.received_at;
		spool.current->size += size;
		spool.current->pending += count;
		spool.records += count;
		spool.bytes += (uint64_t) size;
	}
	if (spool.current != NULL && (!ok || spool.current->size >= SEGMENT_SIZE))
		segment_end();
	spool.writing = false;
	pthread_cond_signal(&spool.to_drain);
	pthread_mutex_unlock(&spool.lock);

	answer_all(group, ok ? ANSWER_SPOOLED : ANSWER_CLOSED,
			   ok ? EVENT_SPOOL_WRITTEN : EVENT_SPOOL_FAILED);
}

/*
 * Whether the disk has room for one large request again, found out without
 * one: nobody may be sending any more, since we say that we are not ready.
 */
static void
probe_disk(void)
{
	int			fd = openat(spool.dir, PROBE_NAME,
							O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	int			error = fd < 0 ? errno :
		posix_fallocate(fd, 0, (off_t) (RECORD_HEADER_SIZE + opt.max_body));

	if (fd >= 0)
	{
		close(fd);
		(void) unlinkat(spool.dir, PROBE_NAME, 0);
	}
	pthread_mutex_lock(&spool.lock);
	disk_works(error == 0, error);
	pthread_mutex_unlock(&spool.lock);
}

/* Wait for requests; false when that took too long. */
static bool
wait_for_requests(void)
{
	struct timespec until;

	if (!spool.broken)
	{
		pthread_cond_wait(&spool.to_write, &spool.lock);
		return true;
	}
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += PROBE_PAUSE / 1000;
	return pthread_cond_timedwait(&spool.to_write, &spool.lock, &until) != ETIMEDOUT;
}

/* All that waits, or NULL to stop; with the size of the files before it. */
static Request *
take_waiting(uint64_t *used)
{
	Request    *group;

	pthread_mutex_lock(&spool.lock);
	while (spool.waiting == NULL && !spool.stop)
	{
		if (wait_for_requests())
			continue;
		pthread_mutex_unlock(&spool.lock);
		probe_disk();
		pthread_mutex_lock(&spool.lock);
	}
	group = spool.waiting;
	spool.waiting = NULL;
	spool.waiting_tail = &spool.waiting;
	*used = spool.bytes;
	spool.writing = group != NULL;
	pthread_mutex_unlock(&spool.lock);
	return group;
}

/* Take out of a list what goes beyond the limit. */
static Request *
take_excess(Request **group, uint64_t used)
{
	Request   **link = group;
	Request    *refused = NULL;

	while (*link != NULL)
	{
		Request    *request = *link;
		size_t		size = record_size(&request->delivery);

		if (used + size > opt.spool_limit)
		{
			*link = request->next;
			request->next = refused;
			refused = request;
			continue;
		}
		used += size;
		link = &request->next;
	}
	return refused;
}

static void *
writer_main(void *arg)
{
	Request    *group;
	uint64_t	used;

	(void) arg;
	while ((group = take_waiting(&used)) != NULL)
	{
		Request    *refused = take_excess(&group, used);

		if (group != NULL)
			write_group(group);
		else
		{
			pthread_mutex_lock(&spool.lock);
			spool.writing = false;
			pthread_cond_signal(&spool.to_drain);
			pthread_mutex_unlock(&spool.lock);
		}
		if (refused != NULL)
			answer_all(refused, ANSWER_CLOSED, EVENT_SPOOL_FULL);
	}
	return NULL;
}

/* Take a request over; it is answered once it is on disk. */
void
spool_submit(Request *request)
{
	pthread_mutex_lock(&spool.lock);
	request->next = NULL;
	*spool.waiting_tail = request;
	spool.waiting_tail = &request->next;
	pthread_cond_signal(&spool.to_write);
	pthread_mutex_unlock(&spool.lock);
}

/* Whether the largest request would find room; the caller holds the lock. */
static bool
has_room(void)
{
	uint64_t	size = RECORD_HEADER_SIZE + opt.max_body;
	struct statvfs disk;

	if (spool.broken || spool.bytes + size > opt.spool_limit)
		return false;
	return fstatvfs(spool.dir, &disk) != 0 ||
		(uint64_t) disk.f_bavail * disk.f_frsize >= size;
}

SpoolState
spool_state(void)
{
	SpoolState	state = {.enabled = opt.spool != NULL};

	if (!state.enabled)
		return state;
	pthread_mutex_lock(&spool.lock);
	state.records = spool.records;
	state.bytes = spool.bytes;
	state.kept_records = spool.kept_records;
	state.kept_bytes = spool.kept_bytes;
	state.damaged_bytes = spool.damaged_bytes;
	state.room = has_room();
	if (spool.records > 0)
		state.age = (double) (received_now() - spool.oldest) / 1e6;
	if (state.age < 0)
		state.age = 0;
	pthread_mutex_unlock(&spool.lock);
	return state;
}

/* Look now at everything that is kept: somebody has mended something. */
void
spool_retry(void)
{
	if (opt.spool == NULL)
		return;
	pthread_mutex_lock(&spool.lock);
	spool.retry = true;
	pthread_cond_signal(&spool.to_drain);
	pthread_mutex_unlock(&spool.lock);
}

/* Open the directory and lock it; the lock is held until the process ends. */
static int
lock_directory(void)
{
	int			lock;

	spool.dir = open(opt.spool, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (spool.dir < 0)
	{
		log_line(LOG_LEVEL_ERROR, "spool_not_opened", "directory=\"%s\" message=\"%s\"",
				 opt.spool, strerror(errno));
		return -1;
	}
	lock = openat(spool.dir, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (lock < 0 || flock(lock, LOCK_EX | LOCK_NB) != 0)
	{
		log_line(LOG_LEVEL_ERROR, "spool_not_locked",
				 "directory=\"%s\" message=\"%s\"", opt.spool,
				 lock >= 0 && errno == EWOULDBLOCK ?
				 "another receiver uses it" : strerror(errno));
		return -1;
	}
	return lock;
}

/*
 * The tag of this spool's records lies in the file of the lock, made at the
 * first start.  Where it cannot be kept, that is no reason not to start: it is
 * only needed where the first record of a file is damaged.
 */
static bool
load_tag(int lock)
{
	static const unsigned char none[RECORD_TAG_SIZE];

	if (pread(lock, spool.tag, RECORD_TAG_SIZE, 0) != RECORD_TAG_SIZE ||
		memcmp(spool.tag, none, RECORD_TAG_SIZE) == 0)
	{
		if (getentropy(spool.tag, RECORD_TAG_SIZE) != 0)
		{
			log_line(LOG_LEVEL_ERROR, "no_random_bytes", "error=%d", errno);
			return false;
		}
		if (pwrite(lock, spool.tag, RECORD_TAG_SIZE, 0) != RECORD_TAG_SIZE ||
			fsync(lock) != 0)
			log_line(LOG_LEVEL_WARNING, "spool_tag_not_kept", "error=%d", errno);
	}
	record_init(spool.tag);
	return true;
}

bool
spool_start(void)
{
	pthread_condattr_t attr;
	int			lock;

	if (opt.spool == NULL)
		return true;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&spool.to_write, &attr);
	pthread_cond_init(&spool.to_drain, &attr);
	pthread_condattr_destroy(&attr);
	spool.waiting_tail = &spool.waiting;

	lock = lock_directory();
	if (lock < 0 || !load_tag(lock))
		return false;
	if (!segments_load())
	{
		log_line(LOG_LEVEL_ERROR, "spool_not_read", "directory=\"%s\" message=\"%s\"",
				 opt.spool, strerror(errno));
		return false;
	}
	if (pthread_create(&spool.writer, NULL, writer_main, NULL) != 0 ||
		pthread_create(&spool.drainer, NULL, drain_main, NULL) != 0)
	{
		log_line(LOG_LEVEL_ERROR, "thread_failed", "purpose=spool");
		return false;
	}
	return true;
}

static void
free_list(Segment *segment)
{
	while (segment != NULL)
	{
		Segment    *next = segment->next;

		segment_free(segment);
		segment = next;
	}
}

/* What is in the spool stays there for the next run. */
void
spool_stop(void)
{
	if (opt.spool == NULL)
		return;
	pthread_mutex_lock(&spool.lock);
	spool.stop = true;
	pthread_cond_broadcast(&spool.to_write);
	pthread_cond_broadcast(&spool.to_drain);
	pthread_mutex_unlock(&spool.lock);
	pthread_join(spool.writer, NULL);
	pthread_join(spool.drainer, NULL);
	pthread_mutex_lock(&spool.lock);
	segment_end();
	free_list(spool.first);
	free_list(spool.kept);
	spool.first = spool.last = spool.kept = NULL;
	pthread_mutex_unlock(&spool.lock);
	close(spool.dir);
}
