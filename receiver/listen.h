/*-------------------------------------------------------------------------
 *
 * listen.h
 *		The socket that requests come in through.
 *
 *-------------------------------------------------------------------------
 */
#ifndef RECEIVER_LISTEN_H
#define RECEIVER_LISTEN_H

extern int	listener_open(void);

#endif							/* RECEIVER_LISTEN_H */
