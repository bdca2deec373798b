/*-------------------------------------------------------------------------
 *
 * spool.h
 *		Deliveries on disk while the database is away.
 *
 *-------------------------------------------------------------------------
 */
#ifndef RECEIVER_SPOOL_H
#define RECEIVER_SPOOL_H

#include "request.h"

#include <stdbool.h>
#include <stdint.h>

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

#endif							/* RECEIVER_SPOOL_H */
