/*-------------------------------------------------------------------------
 *
 * memory.h
 *		Memory that is there, or the process is not.
 *
 *-------------------------------------------------------------------------
 */
#ifndef RECEIVER_MEMORY_H
#define RECEIVER_MEMORY_H

#include <stddef.h>

extern void *xmalloc(size_t size);

#endif							/* RECEIVER_MEMORY_H */
