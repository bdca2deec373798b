/*-------------------------------------------------------------------------
 *
 * memory.c
 *		Memory that is there, or the process is not.
 *
 *-------------------------------------------------------------------------
 */
#include "memory.h"

#include "log.h"

#include <stdlib.h>

void *
xmalloc(size_t size)
{
	void	   *p = malloc(size);

	if (p == NULL)
	{
		/*
		 * Only small things are allocated here.  Dying closes connections
		 * without an answer, which is what makes a sender try again.
		 */
		log_line(LOG_LEVEL_ERROR, "out_of_memory", "%s", "");
		abort();
	}
	return p;
}
