/*-------------------------------------------------------------------------
 *
 * segment.h
 *		The state of the spool and its files, which segment.c, drain.c (the
 *		drainer) and spool.c (its life, the writer) share.
 *
 *-------------------------------------------------------------------------
 */
#ifndef RECEIVER_SEGMENT_H
#define RECEIVER_SEGMENT_H

#include "record.h"
#include "request.h"

#include <pthread.h>

#define NAME_SIZE 64
#define SPOOL_BATCH 32			/* records that are inserted at once */
#define KEPT_PAUSE_MIN 1000		/* ms, between two trials of what is kept */

/* Why the database did not take a record. */
typedef enum Refusal
{
	REFUSED_SIGNATURE, REFUSED_WEBHOOK, REFUSED_ERROR, REFUSED_COUNT
} Refusal;

/*
 * A file of records.  The writer makes `size` and `pending` grow, under the
 * lock; all else is the drainer's once the threads run.
 */
typedef struct Segment
{
	struct Segment *next;
	uint64_t	number;
	char		name[NAME_SIZE];
	bool		kept;			/* refused before, and tried again */
	off_t		size;			/* known to be on disk */
	uint64_t	pending;		/* records that are not done with */
	off_t		drained;		/* done with up to here */
	unsigned char tag[RECORD_TAG_SIZE]; /* of its records, as far as known */
	bool		damaged;		/* set aside when done with */
	uint64_t	inserted;		/* since it was begun with */
	off_t	   *left;			/* where the refused records are */
	size_t		left_count;
	uint64_t	refused[REFUSED_COUNT];
	char		refused_webhook[128];	/* quoted: that of the first one */
	int			width;			/* how many records to try at once */
	int			failures;		/* of the next record, in a row */
	int64_t		first_failure;	/* monotonic ms */
	char	   *unknown;		/* a webhook that was not there, this time */
	int64_t		due;			/* of kept ones: when to try them */
	int64_t		pause;			/* and how long to wait after that */
} Segment;

typedef struct Spool
{
	pthread_mutex_t lock;
	pthread_cond_t to_write;
	pthread_cond_t to_drain;
	int			dir;			/* the directory */
	unsigned char tag[RECORD_TAG_SIZE]; /* of the records that are written */
	int			fd;				/* of the segment being written, or -1 */
	Segment    *first;			/* to be drained, the oldest first */
	Segment    *last;
	Segment    *kept;			/* refused before, to be tried again */
	Segment    *current;		/* the one being written, or NULL */
	uint64_t	next_number;
	bool		writing;		/* current and fd are the writer's */
	bool		broken;			/* the last write failed */
	bool		retry;			/* look at everything that is kept now */
	Request    *waiting;
	Request   **waiting_tail;
	uint64_t	records;		/* to be drained */
	uint64_t	bytes;			/* of the files of all three kinds */
	uint64_t	kept_records;
	uint64_t	kept_bytes;
	uint64_t	damaged_bytes;
	int64_t		oldest;			/* received_at of the first record, or 0 */
	int64_t		paused_until;	/* after trouble with the database */
	bool		stop;
	pthread_t	writer;
	pthread_t	drainer;
} Spool;

extern Spool spool;

extern Segment *segment_create(uint64_t number, const char *name);
extern void segment_free(Segment *segment);
extern void segment_end(void);
extern int	segment_open(const char *name, off_t *size);
extern ReadResult segment_find(int fd, Segment *segment, off_t size, off_t offset,
							   Record *record);
extern void segment_leave(Segment *segment, const Record *record, Refusal why);
extern bool segment_move(char *name, uint64_t number, const char *suffix);
extern bool segment_copy_left(int fd, const Segment *segment, char *name, off_t *size);
extern bool segments_load(void);
extern uint64_t segments_damaged_bytes(void);

#endif							/* RECEIVER_SEGMENT_H */
