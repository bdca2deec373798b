/*-------------------------------------------------------------------------
 *
 * head.h
 *		What comes in front of a body.
 *
 *-------------------------------------------------------------------------
 */
#ifndef RECEIVER_HEAD_H
#define RECEIVER_HEAD_H

#include "request.h"

extern Answer head_check(Request *request, const char *path, const char *method,
						 const char *version);

#endif							/* RECEIVER_HEAD_H */
