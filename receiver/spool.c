/*-------------------------------------------------------------------------
 *
 * spool.c
 *		Deliveries on disk while the database is away.
 *
 * The spool is a directory of segments, <16 hex digits>.spool, which are only
 * ever appended to and removed whole, the oldest first.  A segment is a row of
 * records (record.c).
 *
 * One thread writes: whatever waits is appended in one go, then fsync()ed,
 * then answered.  A write or an fsync() that fails ends its segment, and
 * nobody whose record was in it is told that it was kept.  So a record that
 * cannot be read is the torn end of a segment, and was never promised to
 * anyone; anything else is damage, and such a segment is kept under another
 * name.
 *
 * Another thread reads the records back in order and inserts them.  What it
 * did is not written down: after a crash it inserts some of them again,
 * which the inbox recognises.
 *
 *-------------------------------------------------------------------------
 */
#include "receiver.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define SEGMENT_SIZE (8 * 1024 * 1024)
#define DRAIN_DEPTH 32
#define DRAIN_BYTES (8 * 1024 * 1024)
#define DRAIN_TIMEOUT 10000		/* ms, for one batch */
#define DRAIN_PAUSE 500			/* ms, after a failure */
#define POISON_ATTEMPTS 6		/* before one record is set aside */

typedef struct Segment
{
	struct Segment *next;
	uint64_t	number;
	off_t		size;			/* known to be on disk */
	off_t		drained;
	bool		damaged;		/* kept under another name when done with */
	bool		torn;
} Segment;

static struct
{
	pthread_mutex_t lock;
	pthread_cond_t to_write;
	pthread_cond_t to_drain;
	int			dir;			/* the directory */
	int			fd;				/* of the segment being written, or -1 */
	Segment    *first;
	Segment    *last;
	Segment    *current;		/* the one being written, or NULL */
	uint64_t	next_number;
	bool		writing;		/* current and fd are the writer's */
	Request    *waiting;
	Request   **waiting_tail;
	uint64_t	records;
	uint64_t	bytes;
	int64_t		oldest;			/* received_at of the first record, or 0 */
	bool		stop;
	pthread_t	writer;
	pthread_t	drainer;
}			spool = {.lock = PTHREAD_MUTEX_INITIALIZER,.dir = -1,.fd = -1};

static void
segment_name(char *name, size_t size, uint64_t number, const char *suffix)
{
	snprintf(name, size, "%016llx.%s", (unsigned long long) number, suffix);
}

/*
 * Read the next good record at or behind the offset.  A torn end is skipped;
 * damage marks the segment, and the search goes on behind it.
 */
static ReadResult
record_find(int fd, Segment *segment, off_t offset, Record *record)
{
	ReadResult	result = record_read(fd, offset, segment->size, record);

	if (result == RECORD_TORN || result == RECORD_DAMAGED)
	{
		bool		damaged = result == RECORD_DAMAGED;
		char		magic[4];
		ReadResult	found = RECORD_END;

		for (off_t at = offset + 1; at < segment->size; at++)
		{
			if (!record_bytes(fd, magic, 4, at))
				break;
			if (memcmp(magic, RECORD_MAGIC, 4) != 0)
				continue;
			found = record_read(fd, at, segment->size, record);
			if (found == RECORD_READ || found == RECORD_FAILED)
				break;
			found = RECORD_END;
		}
		/* a good record behind it: this was no torn end */
		if (found == RECORD_READ)
			damaged = true;
		/* once a segment, although it is read twice after a restart */
		if (!(damaged ? segment->damaged : segment->torn))
		{
			count_event(damaged ? EVENT_SPOOL_DAMAGED : EVENT_SPOOL_TORN, 1);
			log_line(damaged ? LOG_LEVEL_ERROR : LOG_LEVEL_WARNING,
					 damaged ? "spool_damaged" : "spool_torn_record",
					 "segment=%016llx offset=%lld",
					 (unsigned long long) segment->number, (long long) offset);
		}
		if (damaged)
			segment->damaged = true;
		else
			segment->torn = true;
		return found;
	}
	return result;
}

static int
segment_open(const Segment *segment)
{
	char		name[32];

	segment_name(name, sizeof(name), segment->number, "spool");
	return openat(spool.dir, name, O_RDONLY | O_CLOEXEC);
}

static int
compare_numbers(const void *a, const void *b)
{
	uint64_t	x = *(const uint64_t *) a;
	uint64_t	y = *(const uint64_t *) b;

	return x < y ? -1 : x > y;
}

/* Put a segment at the end of the list; the caller holds the lock. */
static Segment *
segment_append(uint64_t number)
{
	Segment    *segment = xmalloc(sizeof(Segment));

	memset(segment, 0, sizeof(*segment));
	segment->number = number;
	if (spool.last != NULL)
		spool.last->next = segment;
	else
		spool.first = segment;
	spool.last = segment;
	return segment;
}

/* What an earlier run left behind. */
static bool
load_segments(void)
{
	DIR		   *dir;
	struct dirent *entry;
	uint64_t   *numbers = NULL;
	size_t		count = 0;
	int			fd = openat(spool.dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || (dir = fdopendir(fd)) == NULL)
		return false;
	while ((entry = readdir(dir)) != NULL)
	{
		unsigned long long number;
		int			end = 0;

		if (sscanf(entry->d_name, "%16llx.spool%n", &number, &end) != 1 ||
			end != 22 || entry->d_name[22] != '\0')
			continue;
		numbers = realloc(numbers, (count + 1) * sizeof(uint64_t));
		if (numbers == NULL)
			abort();
		numbers[count++] = number;
	}
	closedir(dir);
	if (count > 0)
		qsort(numbers, count, sizeof(uint64_t), compare_numbers);

	for (size_t i = 0; i < count; i++)
	{
		Segment    *segment = segment_append(numbers[i]);
		struct stat st;
		Record		record;
		off_t		offset = 0;
		int			segment_fd = segment_open(segment);

		if (segment_fd < 0 || fstat(segment_fd, &st) != 0)
			return false;
		segment->size = st.st_size;
		while (record_find(segment_fd, segment, offset, &record) == RECORD_READ)
		{
			if (spool.records++ == 0)
				spool.oldest = record.delivery.received_at;
			offset = record.end;
			free(record.parts);
		}
		close(segment_fd);
		spool.bytes += (uint64_t) segment->size;
		spool.next_number = numbers[i] + 1;
	}
	free(numbers);
	if (spool.records > 0)
		log_line(LOG_LEVEL_INFO, "spool_found", "records=%llu bytes=%llu",
				 (unsigned long long) spool.records,
				 (unsigned long long) spool.bytes);
	return true;
}

/*
 * The writer
 */

/* Begin a new segment; its name is on disk before anything is in it. */
static bool
segment_begin(void)
{
	char		name[32];
	uint64_t	number = spool.next_number++;
	int			fd;

	segment_name(name, sizeof(name), number, "spool");
	fd = openat(spool.dir, name, O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC,
				0600);
	if (fd < 0)
		return false;
	if (fsync(spool.dir) != 0)
	{
		close(fd);
		unlinkat(spool.dir, name, 0);
		return false;
	}
	pthread_mutex_lock(&spool.lock);
	spool.current = segment_append(number);
	spool.fd = fd;
	pthread_mutex_unlock(&spool.lock);
	return true;
}

/* The caller holds the lock. */
static void
segment_end(void)
{
	if (spool.fd >= 0)
		close(spool.fd);
	spool.fd = -1;
	spool.current = NULL;
}

/*
 * Write a list of requests, all of which fit, and answer them.  Nothing of it
 * counts before the fsync() has returned.
 */
static void
write_group(Request *group)
{
	off_t		size = 0;
	uint64_t	count = 0;
	bool		ok = true;
	Answer		answer;

	if (spool.current == NULL)
		ok = segment_begin();
	for (Request *r = group; ok && r != NULL; r = r->next)
	{
		ok = record_write(spool.fd, &r->delivery);
		size += (off_t) record_size(&r->delivery);
		count++;
	}
	ok = ok && fsync(spool.fd) == 0;

	if (!ok)
	{
		log_line(LOG_LEVEL_ERROR, "spool_failed", "error=%d message=\"%s\"",
				 errno, strerror(errno));
		/*
		 * Take back what was written where that is possible.  Where it is
		 * not, some of these may be inserted although nobody was told so.
		 */
		if (spool.fd >= 0 && ftruncate(spool.fd, spool.current->size) != 0)
			log_line(LOG_LEVEL_WARNING, "spool_not_truncated", "error=%d", errno);
	}
	else
		fault_point("after_spool_fsync");

	pthread_mutex_lock(&spool.lock);
	if (ok)
	{
		if (spool.records == 0)
			spool.oldest = group->delivery.received_at;
		spool.current->size += size;
		spool.records += count;
		spool.bytes += (uint64_t) size;
		pthread_cond_signal(&spool.to_drain);
	}
	if (!ok || spool.current->size >= SEGMENT_SIZE)
		segment_end();
	spool.writing = false;
	pthread_mutex_unlock(&spool.lock);

	answer = ok ? ANSWER_SPOOLED : ANSWER_CLOSED;
	for (Request *r = group, *next; r != NULL; r = next)
	{
		next = r->next;
		count_event(ok ? EVENT_SPOOL_WRITTEN : EVENT_SPOOL_FAILED, 1);
		http_answer(r, answer);
	}
}

static void *
writer_main(void *arg)
{
	(void) arg;
	for (;;)
	{
		Request    *group;
		Request   **link;
		Request    *refused = NULL;
		uint64_t	used;

		pthread_mutex_lock(&spool.lock);
		while (spool.waiting == NULL && !spool.stop)
			pthread_cond_wait(&spool.to_write, &spool.lock);
		if (spool.waiting == NULL)
		{
			pthread_mutex_unlock(&spool.lock);
			return NULL;
		}
		group = spool.waiting;
		spool.waiting = NULL;
		spool.waiting_tail = &spool.waiting;
		used = spool.bytes;
		spool.writing = true;
		pthread_mutex_unlock(&spool.lock);

		link = &group;
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

		if (group != NULL)
			write_group(group);
		else
		{
			pthread_mutex_lock(&spool.lock);
			spool.writing = false;
			pthread_mutex_unlock(&spool.lock);
		}
		while (refused != NULL)
		{
			Request    *request = refused;

			refused = request->next;
			count_event(EVENT_SPOOL_FULL, 1);
			http_answer(request, ANSWER_CLOSED);
		}
	}
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

/*
 * The drainer
 */

/* Keep one record that the database will not have, in a file of its own. */
static bool
set_aside(const Segment *segment, const Record *record, const char *sqlstate)
{
	char		name[64];
	int			fd;
	bool		ok;

	snprintf(name, sizeof(name), "%016llx-%llx.aside",
			 (unsigned long long) segment->number,
			 (unsigned long long) record->offset);
	fd = openat(spool.dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return false;
	ok = record_write(fd, &record->delivery) && fsync(fd) == 0;
	ok = close(fd) == 0 && ok;
	ok = ok && fsync(spool.dir) == 0;
	if (ok)
	{
		count_event(EVENT_SPOOL_SET_ASIDE, 1);
		log_line(LOG_LEVEL_ERROR, "spool_set_aside", "file=%s sqlstate=%s",
				 name, sqlstate);
	}
	return ok;
}

/*
 * Remove the first segment once everything in it is in the database; the
 * caller holds the lock.
 */
static void
retire_first(void)
{
	Segment    *segment = spool.first;
	char		name[32];

	if (segment == spool.current)
		segment_end();
	segment_name(name, sizeof(name), segment->number, "spool");
	if (segment->damaged)
	{
		char		kept[32];

		segment_name(kept, sizeof(kept), segment->number, "damaged");
		if (renameat(spool.dir, name, spool.dir, kept) == 0)
			log_line(LOG_LEVEL_ERROR, "spool_damaged_kept", "file=%s", kept);
	}
	else if (unlinkat(spool.dir, name, 0) != 0)
		log_line(LOG_LEVEL_WARNING, "spool_not_removed", "file=%s error=%d",
				 name, errno);
	spool.bytes -= (uint64_t) segment->size;
	spool.first = segment->next;
	if (spool.first == NULL)
		spool.last = NULL;
	free(segment);
}

static void
drained(Segment *segment, const Record *record, Event event)
{
	count_event(event, 1);
	pthread_mutex_lock(&spool.lock);
	segment->drained = record->end;
	spool.records--;
	spool.oldest = spool.records > 0 ? record->delivery.received_at : 0;
	if (spool.records == 0)
		log_line(LOG_LEVEL_INFO, "spool_empty", "%s", "");
	pthread_mutex_unlock(&spool.lock);
}

/*
 * Insert the next records of a segment.  False after trouble, to pause.
 * `width` is how many records to try at once: one alone after trouble, so
 * that nothing behind a record that fails is inserted over and over.
 */
static bool
drain_batch(Session *session, Segment *segment, int fd, int width,
			int *failures)
{
	Record		records[DRAIN_DEPTH];
	const Delivery *deliveries[DRAIN_DEPTH];
	Verdict		verdicts[DRAIN_DEPTH];
	off_t		offset = segment->drained;
	size_t		bytes = 0;
	int			count = 0;
	bool		ok = true;

	while (count < width && bytes < DRAIN_BYTES)
	{
		ReadResult	result = record_find(fd, segment, offset, &records[count]);

		if (result == RECORD_FAILED)
		{
			log_line(LOG_LEVEL_ERROR, "spool_unreadable", "segment=%016llx error=%d",
					 (unsigned long long) segment->number, errno);
			ok = false;
			break;
		}
		if (result != RECORD_READ)
		{
			/* nothing more in this segment: its torn end is done with too */
			if (count == 0)
			{
				pthread_mutex_lock(&spool.lock);
				segment->drained = segment->size;
				pthread_mutex_unlock(&spool.lock);
			}
			break;
		}
		offset = records[count].end;
		bytes += records[count].delivery.body_len;
		deliveries[count] = &records[count].delivery;
		count++;
	}

	if (ok && count > 0)
	{
		session_insert(session, deliveries, count, verdicts,
					   monotonic_ms() + DRAIN_TIMEOUT, false);
		for (int i = 0; i < count && ok; i++)
		{
			if (verdicts[i].settled && verdicts[i].answer != ANSWER_NONE)
			{
				bool		refused = verdicts[i].answer == ANSWER_NO_WEBHOOK;

				if (refused)
				{
					char		name[128];

					log_quote(name, sizeof(name), records[i].delivery.webhook);
					log_line(LOG_LEVEL_WARNING, "spool_refused", "webhook=%s", name);
				}
				drained(segment, &records[i],
						refused ? EVENT_SPOOL_REFUSED : EVENT_SPOOL_DRAINED);
				*failures = 0;
			}
			else
			{
				ok = false;
				if (verdicts[i].settled)
				{
					log_line(LOG_LEVEL_WARNING, "spool_insert_failed", "sqlstate=%s",
							 verdicts[i].sqlstate);
					if (!sqlstate_is_transient(verdicts[i].sqlstate) &&
						++*failures >= POISON_ATTEMPTS &&
						set_aside(segment, &records[i], verdicts[i].sqlstate))
					{
						drained(segment, &records[i], EVENT_SPOOL_SET_ASIDE);
						*failures = 0;
					}
				}
			}
		}
	}
	for (int i = 0; i < count; i++)
		free(records[i].parts);
	return ok;
}

static void *
drainer_main(void *arg)
{
	Session    *session = session_create("spool");
	int			failures = 0;
	int			width = DRAIN_DEPTH;
	bool		ok = true;

	(void) arg;
	for (;;)
	{
		Segment    *segment = NULL;
		Segment		seen;
		int			fd;

		pthread_mutex_lock(&spool.lock);
		while (!spool.stop && segment == NULL)
		{
			if (!ok)
			{
				struct timespec until;

				clock_gettime(CLOCK_MONOTONIC, &until);
				until.tv_nsec += DRAIN_PAUSE * 1000000L;
				until.tv_sec += until.tv_nsec / 1000000000;
				until.tv_nsec %= 1000000000;
				while (!spool.stop &&
					   pthread_cond_timedwait(&spool.to_drain, &spool.lock,
											  &until) != ETIMEDOUT)
					;
				ok = true;
				continue;
			}

			/* what is done with goes, but not under the writer's hands */
			while (spool.first != NULL && spool.first->drained >= spool.first->size &&
				   !(spool.first == spool.current && spool.writing))
				retire_first();
			segment = spool.first;
			if (segment == NULL || segment->drained >= segment->size)
			{
				segment = NULL;
				pthread_cond_wait(&spool.to_drain, &spool.lock);
			}
		}
		if (segment != NULL)
			seen = *segment;
		pthread_mutex_unlock(&spool.lock);
		if (segment == NULL)
			break;

		/*
		 * Work on a copy: the writer may be making this segment longer, and
		 * only this thread removes one.
		 */
		fd = segment_open(&seen);
		if (fd < 0)
			log_line(LOG_LEVEL_ERROR, "spool_unreadable", "segment=%016llx error=%d",
					 (unsigned long long) seen.number, errno);
		ok = fd >= 0 && session_open(session) &&
			drain_batch(session, &seen, fd, width, &failures);
		if (fd >= 0)
			close(fd);
		width = ok ? DRAIN_DEPTH : 1;

		pthread_mutex_lock(&spool.lock);
		segment->drained = seen.drained;
		segment->damaged = seen.damaged;
		segment->torn = seen.torn;
		pthread_mutex_unlock(&spool.lock);
	}
	session_destroy(session);
	return NULL;
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
	state.room = spool.bytes + RECORD_HEADER_SIZE + opt.max_body <= opt.spool_limit;
	if (spool.records > 0)
		state.age = (double) (received_now() - spool.oldest) / 1e6;
	if (state.age < 0)
		state.age = 0;
	pthread_mutex_unlock(&spool.lock);
	return state;
}

bool
spool_start(void)
{
	pthread_condattr_t attr;
	int			lock;

	if (opt.spool == NULL)
		return true;

	record_init();
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&spool.to_write, NULL);
	pthread_cond_init(&spool.to_drain, &attr);
	pthread_condattr_destroy(&attr);
	spool.waiting_tail = &spool.waiting;

	spool.dir = open(opt.spool, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (spool.dir < 0)
	{
		log_line(LOG_LEVEL_ERROR, "spool_not_opened", "directory=\"%s\" message=\"%s\"",
				 opt.spool, strerror(errno));
		return false;
	}
	/* held, and the file kept, until the process ends */
	lock = openat(spool.dir, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (lock < 0 || flock(lock, LOCK_EX | LOCK_NB) != 0)
	{
		log_line(LOG_LEVEL_ERROR, "spool_not_locked",
				 "directory=\"%s\" message=\"%s\"", opt.spool,
				 lock >= 0 && errno == EWOULDBLOCK ?
				 "another receiver uses it" : strerror(errno));
		return false;
	}
	if (!load_segments())
	{
		log_line(LOG_LEVEL_ERROR, "spool_not_read", "directory=\"%s\" message=\"%s\"",
				 opt.spool, strerror(errno));
		return false;
	}
	if (pthread_create(&spool.writer, NULL, writer_main, NULL) != 0 ||
		pthread_create(&spool.drainer, NULL, drainer_main, NULL) != 0)
	{
		log_line(LOG_LEVEL_ERROR, "thread_failed", "purpose=spool");
		return false;
	}
	return true;
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
	while (spool.first != NULL)
	{
		Segment    *segment = spool.first;

		spool.first = segment->next;
		free(segment);
	}
	spool.last = NULL;
	pthread_mutex_unlock(&spool.lock);
	close(spool.dir);
}
