/*-------------------------------------------------------------------------
 *
 * drain.h
 *		The thread that empties the spool.
 *
 *-------------------------------------------------------------------------
 */
#ifndef RECEIVER_DRAIN_H
#define RECEIVER_DRAIN_H

extern void *drain_main(void *arg);

#endif							/* RECEIVER_DRAIN_H */
