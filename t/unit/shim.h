/*-------------------------------------------------------------------------
 *
 * shim.h
 *	  What the tests of t/unit use to run sources of the module without a
 *	  server.  shim.c has the few functions of the server that these sources
 *	  call: memory, errors, and a jsonb_in() that takes everything.
 *
 *-------------------------------------------------------------------------
 */
#ifndef SHIM_H
#define SHIM_H

#include <stddef.h>

/* The SQLSTATE that jsonb_in() shall fail with next, 0 for none. */
extern int	shim_jsonb_error;

/* Free all that was allocated since the last call; returns how many bytes. */
extern size_t shim_reset(void);

#endif							/* SHIM_H */
