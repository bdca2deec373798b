/*-------------------------------------------------------------------------
 *
 * fault.h
 *		Places at which the tests let the process die.
 *
 *-------------------------------------------------------------------------
 */
#ifndef RECEIVER_FAULT_H
#define RECEIVER_FAULT_H

/*
 * Fault points exist in the build that the tests use and nowhere else: there
 * the environment names the one at which the process kills itself.
 */
#ifdef RECEIVER_FAULT_POINTS
extern void fault_point(const char *name);
#else
#define fault_point(name) ((void) 0)
#endif

#endif							/* RECEIVER_FAULT_H */
