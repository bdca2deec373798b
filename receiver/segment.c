/*-------------------------------------------------------------------------
 *
 * segment.c
 *		The files of the spool.  Each begins with 16 hexadecimal digits; its
 *		suffix says what it is:
 *
 *		.spool		records that wait for the database
 *		.kept		records that the database refused, to be tried again
 *		.aside		the same, as version 1.0 called a single one
 *		.damaged	what could not be read, for somebody to look at
 *		.tmp		not finished; whatever is in it is elsewhere, too
 *
 * A file changes its kind by being renamed, and no rename replaces a file of
 * another origin.
 *
 *-------------------------------------------------------------------------
 */
#include "segment.h"
#include "log.h"
#include "memory.h"
#include "metrics.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAMES_TRIED 10000

Spool		spool = {.lock = PTHREAD_MUTEX_INITIALIZER,.dir = -1,.fd = -1};

Segment *
segment_create(uint64_t number, const char *name)
{
	Segment    *segment = xmalloc(sizeof(Segment));

	memset(segment, 0, sizeof(*segment));
	segment->number = number;
	segment->width = SPOOL_BATCH;
	segment->pause = KEPT_PAUSE_MIN;
	memcpy(segment->tag, spool.tag, RECORD_TAG_SIZE);
	snprintf(segment->name, sizeof(segment->name), "%s", name);
	return segment;
}

void
segment_free(Segment *segment)
{
	free(segment->left);
	free(segment->unknown);
	free(segment);
}

/* Nothing more is written to the current segment; the caller holds the lock. */
void
segment_end(void)
{
	if (spool.fd >= 0)
		close(spool.fd);
	spool.fd = -1;
	spool.current = NULL;
}

/*
 * Open a file for reading, if it is one.  A pipe in its place must not hang
 * us, a link not lead elsewhere; errno is EINVAL for what is no plain file.
 */
int
segment_open(const char *name, off_t *size)
{
	struct stat st;
	int			fd = openat(spool.dir, name,
							O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_NOCTTY | O_CLOEXEC);

	if (fd < 0)
		return -1;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
	{
		*size = st.st_size;
		return fd;
	}
	close(fd);
	errno = EINVAL;
	return -1;
}

/*
 * Read the next good record at or behind the offset.  Whatever cannot be read
 * marks the segment, and the search goes on behind it.  A torn end was never
 * promised to anyone if a crash tore it, but damage to the last record looks
 * just the same, so that is kept as well.
 */
ReadResult
segment_find(int fd, Segment *segment, off_t size, off_t offset, Record *record)
{
	ReadResult	first;
	ReadResult	found = record_find(fd, offset, size, segment->tag, record, &first);
	bool		damaged;

	if (first != RECORD_TORN && first != RECORD_DAMAGED)
		return found;

	/* a good record behind it: this was no torn end */
	damaged = first == RECORD_DAMAGED || found == RECORD_READ;
	/* once a segment, although it is read twice after a restart */
	if (!segment->damaged)
	{
		count_event(damaged ? EVENT_SPOOL_DAMAGED : EVENT_SPOOL_TORN, 1);
		log_line(damaged ? LOG_LEVEL_ERROR : LOG_LEVEL_WARNING,
				 damaged ? "spool_damaged" : "spool_torn_record",
				 "file=%s offset=%lld", segment->name, (long long) offset);
	}
	segment->damaged = true;
	return found;
}

/* Note a record that is to stay on disk. */
void
segment_leave(Segment *segment, const Record *record, Refusal why)
{
	/* grown by doubling: it is full whenever its length is a power of two */
	if ((segment->left_count & (segment->left_count - 1)) == 0)
	{
		size_t		room = segment->left_count ? segment->left_count * 2 : 1;

		segment->left = realloc(segment->left, room * sizeof(off_t));
		if (segment->left == NULL)
			abort();
	}
	if (segment->left_count == 0)
		log_quote(segment->refused_webhook, sizeof(segment->refused_webhook),
				  record->delivery.webhook);
	segment->left[segment->left_count++] = record->offset;
	segment->refused[why]++;
}

/* renameat() that replaces nothing; EEXIST where it would. */
static bool
rename_new(const char *from, const char *to)
{
	if (renameat2(spool.dir, from, spool.dir, to, RENAME_NOREPLACE) == 0)
		return true;
	if (errno != EINVAL && errno != ENOSYS)
		return false;
	/* a file system that cannot; nobody else makes files here */
	if (faccessat(spool.dir, to, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
	{
		errno = EEXIST;
		return false;
	}
	return renameat(spool.dir, from, spool.dir, to) == 0;
}

/*
 * Give a file the first free name of this number and suffix, and have that on
 * disk.  `name` is changed with it.
 */
bool
segment_move(char *name, uint64_t number, const char *suffix)
{
	char		to[NAME_SIZE];

	for (unsigned i = 0; i < NAMES_TRIED; i++)
	{
		if (i == 0)
			snprintf(to, sizeof(to), "%016llx.%s", (unsigned long long) number, suffix);
		else
			snprintf(to, sizeof(to), "%016llx-%x.%s", (unsigned long long) number, i,
					 suffix);
		if (rename_new(name, to))
		{
			strcpy(name, to);
			/* without this it is there under one name or the other */
			(void) fsync(spool.dir);
			return true;
		}
		if (errno != EEXIST)
			break;
	}
	log_line(LOG_LEVEL_ERROR, "spool_not_renamed", "file=%s suffix=%s error=%d", name,
			 suffix, errno);
	return false;
}

/*
 * Write the records that were left into a temporary file, synced.  `name`
 * becomes its name.
 */
bool
segment_copy_left(int fd, const Segment *segment, char *name, off_t *size)
{
	int			copy;
	bool		ok;

	snprintf(name, NAME_SIZE, "%016llx.tmp", (unsigned long long) segment->number);
	copy = openat(spool.dir, name,
				  O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
	ok = copy >= 0;
	*size = 0;
	for (size_t i = 0; ok && i < segment->left_count; i++)
	{
		Record		record;

		if (record_read(fd, segment->left[i], segment->size, &record) != RECORD_READ)
		{
			ok = false;
			break;
		}
		ok = record_write(copy, &record.delivery);
		*size += (off_t) record_size(&record.delivery);
		free(record.parts);
	}
	ok = ok && fsync(copy) == 0;
	if (copy >= 0)
		ok = close(copy) == 0 && ok;
	if (!ok)
		(void) unlinkat(spool.dir, name, 0);
	return ok;
}

/*
 * Starting
 */

/* Which number and suffix a name has; false if it is none of ours. */
static bool
parse_name(const char *name, uint64_t *number, const char **suffix)
{
	static const char digits[] = "0123456789abcdefABCDEF";
	const char *p = name + 16;

	if (strlen(name) >= NAME_SIZE || strspn(name, digits) != 16)
		return false;
	if (*p == '-')
		p += 1 + strspn(p + 1, digits);
	if (*p != '.')
		return false;
	*number = strtoull(name, NULL, 16);
	*suffix = p + 1;
	return true;
}

static int
compare_names(const void *a, const void *b)
{
	return strcasecmp(*(char *const *) a, *(char *const *) b);
}

/* The names in the directory, in order; for the caller to free. */
static char **
list_names(size_t *count)
{
	char	  **names = NULL;
	struct dirent *entry;
	DIR		   *dir;
	int			fd = openat(spool.dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	*count = 0;
	if (fd < 0 || (dir = fdopendir(fd)) == NULL)
	{
		if (fd >= 0)
			close(fd);
		return NULL;
	}
	names = xmalloc(sizeof(char *));
	while ((entry = readdir(dir)) != NULL)
	{
		names = realloc(names, (*count + 1) * sizeof(char *));
		if (names == NULL || (names[*count] = strdup(entry->d_name)) == NULL)
			abort();
		(*count)++;
	}
	closedir(dir);
	qsort(names, *count, sizeof(char *), compare_names);
	return names;
}

static uint64_t
file_size(const char *name)
{
	struct stat st;

	return fstatat(spool.dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		S_ISREG(st.st_mode) ? (uint64_t) st.st_size : 0;
}

/* What all the files are that were set aside, which anybody may remove. */
uint64_t
segments_damaged_bytes(void)
{
	uint64_t	bytes = 0;
	size_t		count;
	char	  **names = list_names(&count);

	for (size_t i = 0; i < count; i++)
	{
		const char *suffix;
		uint64_t	number;

		if (parse_name(names[i], &number, &suffix) && strcmp(suffix, "damaged") == 0)
			bytes += file_size(names[i]);
		free(names[i]);
	}
	free(names);
	return bytes;
}

/*
 * One file of records.  What can't be opened, or is no file at all, is set
 * aside: it must keep neither us nor the others from going on.
 */
static void
load_segment(const char *name, uint64_t number, bool kept)
{
	Segment    *segment = segment_create(number, name);
	Record		record;
	off_t		offset = 0;
	int			fd = segment_open(name, &segment->size);

	if (fd < 0)
	{
		log_line(LOG_LEVEL_ERROR, "spool_unreadable", "file=%s message=\"%s\"", name,
				 errno == EINVAL || errno == ELOOP || errno == ENXIO ?
				 "is not a plain file" : strerror(errno));
		count_event(EVENT_SPOOL_DAMAGED, 1);
		if (segment_move(segment->name, number, "damaged"))
			spool.damaged_bytes += file_size(segment->name);
		segment_free(segment);
		return;
	}
	segment->kept = kept;
	while (segment_find(fd, segment, segment->size, offset, &record) == RECORD_READ)
	{
		if (!kept && spool.records + segment->pending == 0)
			spool.oldest = record.delivery.received_at;
		segment->pending++;
		offset = record.end;
		free(record.parts);
	}
	close(fd);

	if (kept)
	{
		spool.kept_bytes += (uint64_t) segment->size;
		spool.kept_records += segment->pending;
		segment->next = spool.kept;
		spool.kept = segment;
		return;
	}
	spool.bytes += (uint64_t) segment->size;
	spool.records += segment->pending;
	if (spool.last != NULL)
		spool.last->next = segment;
	else
		spool.first = segment;
	spool.last = segment;
}

/* What an earlier run left behind. */
bool
segments_load(void)
{
	size_t		count;
	char	  **names = list_names(&count);

	if (names == NULL)
		return false;
	for (size_t i = 0; i < count; i++)
	{
		const char *suffix;
		uint64_t	number;

		if (!parse_name(names[i], &number, &suffix))
			continue;
		if (number >= spool.next_number && number < UINT64_MAX)
			spool.next_number = number + 1;
		if (strcmp(suffix, "damaged") == 0)
			spool.damaged_bytes += file_size(names[i]);
		else if (strcmp(suffix, "tmp") == 0)
			(void) unlinkat(spool.dir, names[i], 0);
		else if (strcmp(suffix, "spool") == 0)
			load_segment(names[i], number, false);
		else if (strcmp(suffix, "kept") == 0 || strcmp(suffix, "aside") == 0)
			load_segment(names[i], number, true);
	}
	for (size_t i = 0; i < count; i++)
		free(names[i]);
	free(names);
	spool.bytes += spool.kept_bytes + spool.damaged_bytes;
	if (spool.bytes > 0)
		log_line(LOG_LEVEL_INFO, "spool_found",
				 "records=%llu kept=%llu bytes=%llu damaged_bytes=%llu",
				 (unsigned long long) spool.records,
				 (unsigned long long) spool.kept_records,
				 (unsigned long long) spool.bytes,
				 (unsigned long long) spool.damaged_bytes);
	return true;
}
