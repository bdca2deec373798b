/*-------------------------------------------------------------------------
 *
 * http.h
 *		HTTP.
 *
 *-------------------------------------------------------------------------
 */
#ifndef RECEIVER_HTTP_H
#define RECEIVER_HTTP_H

#include <stdbool.h>
#include <stdint.h>

extern bool http_start(void);
extern void http_sweep(int64_t now);
extern void http_quiesce(void);
extern void http_stop(void);

#endif							/* RECEIVER_HTTP_H */
