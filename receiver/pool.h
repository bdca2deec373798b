/*-------------------------------------------------------------------------
 *
 * pool.h
 *		The requests that wait for the database.
 *
 *-------------------------------------------------------------------------
 */
#ifndef RECEIVER_POOL_H
#define RECEIVER_POOL_H

#include "request.h"

#include <stdint.h>

extern void database_start(void);
extern void database_submit(Request *request);
extern void database_expire(int64_t now);
extern void database_stop(void);

#endif							/* RECEIVER_POOL_H */
