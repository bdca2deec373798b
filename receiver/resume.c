/*-------------------------------------------------------------------------
 *
 * resume.c
 *		Requests with an answer, on their way back to libmicrohttpd's thread.
 *
 * To wake that thread costs both sides a switch of context, and answers come
 * in batches.  So whoever finds none on the way wakes it, by resuming the
 * first of his; the thread itself resumes those behind that one.  Each counts
 * as held until it is resumed, so that nothing ends before.
 *
 *-------------------------------------------------------------------------
 */
#include "resume.h"
#include "metrics.h"
#include "mhd.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

static struct
{
	pthread_mutex_t lock;
	Request    *first;			/* resumed; still here until the thread has seen it */
	Request    *last;
}			answered = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void
resume_request(struct MHD_Connection *connection)
{
	MHD_resume_connection(connection);
	gauge_held(-1);
}

/* Take requests back, in any thread. */
void
hand_back(Request *requests)
{
	struct MHD_Connection *connection = requests->connection;
	Request    *last = requests;
	bool		wake;

	while (last->next != NULL)
		last = last->next;
	pthread_mutex_lock(&answered.lock);
	wake = answered.first == NULL;
	if (wake)
		answered.first = requests;
	else
		answered.last->next = requests;
	answered.last = last;
	pthread_mutex_unlock(&answered.lock);
	if (wake)
		resume_request(connection);
}

/* Where this is the request that woke the thread, resume those behind it. */
void
resume_others(const Request *request)
{
	Request    *others = NULL;

	pthread_mutex_lock(&answered.lock);
	if (answered.first == request)
	{
		others = request->next;
		answered.first = NULL;
	}
	pthread_mutex_unlock(&answered.lock);
	while (others != NULL)
	{
		Request    *next = others->next;

		resume_request(others->connection);
		others = next;
	}
}
