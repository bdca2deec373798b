/*-------------------------------------------------------------------------
 *
 * src/timeline/pure.h
 *	  All that the timeline wants of the server it runs in.
 *
 * Compiled with FSW_PURE, outside of a server, nobody can interrupt.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FSW_PURE_H
#define FSW_PURE_H

#ifdef FSW_PURE
#define FSW_INTERRUPT() ((void) 0)
#else
#include "miscadmin.h"

/* In every loop, and every comparison of a sort, over what can be long. */
#define FSW_INTERRUPT() CHECK_FOR_INTERRUPTS()
#endif

#endif							/* FSW_PURE_H */
