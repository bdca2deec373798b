/*-------------------------------------------------------------------------
 *
 * resume.h
 *		Requests with an answer, on their way back to libmicrohttpd's thread.
 *
 *-------------------------------------------------------------------------
 */
#ifndef RECEIVER_RESUME_H
#define RECEIVER_RESUME_H

#include "request.h"

extern void hand_back(Request *requests);
extern void resume_others(const Request *request);

#endif							/* RECEIVER_RESUME_H */
