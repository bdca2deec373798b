/*-------------------------------------------------------------------------
 *
 * mhd.h
 *		libmicrohttpd, and what its versions do differently.
 *
 *-------------------------------------------------------------------------
 */
#ifndef RECEIVER_MHD_H
#define RECEIVER_MHD_H

#include <microhttpd.h>

/*
 * Before 0.9.77 it puts up with more than it should, and answers twice where
 * it finds fault with a whole head.
 */
#if MHD_VERSION < 0x00097701
#define MHD_IS_LENIENT
#endif

#endif							/* RECEIVER_MHD_H */
