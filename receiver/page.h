/*-------------------------------------------------------------------------
 *
 * page.h
 *		The pages that tell about the receiver itself.
 *
 *-------------------------------------------------------------------------
 */
#ifndef RECEIVER_PAGE_H
#define RECEIVER_PAGE_H

#include <stdbool.h>
#include <stddef.h>

extern bool receiver_is_ready(void);
extern char *metrics_render(size_t *len);

#endif							/* RECEIVER_PAGE_H */
