/*-------------------------------------------------------------------------
 *
 * refuse.h
 *		Answers that go straight to the socket, and addresses as text.
 *
 *-------------------------------------------------------------------------
 */
#ifndef RECEIVER_REFUSE_H
#define RECEIVER_REFUSE_H

#include "answer.h"

#include <stdbool.h>
#include <stddef.h>

struct MHD_Connection;
struct sockaddr;

extern void refuse_early(int fd, Answer answer, bool body);
extern Answer length_refused(struct MHD_Connection *connection);
extern void address_text(const struct sockaddr *address, char *dst, size_t size);

#endif							/* RECEIVER_REFUSE_H */
