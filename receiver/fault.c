/*-------------------------------------------------------------------------
 *
 * fault.c
 *		Places at which the tests let the process die.
 *
 *-------------------------------------------------------------------------
 */
#include "fault.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#ifdef RECEIVER_FAULT_POINTS
void
fault_point(const char *name)
{
	const char *wanted = getenv("RECEIVER_FAULT");

	if (wanted != NULL && strcmp(wanted, name) == 0)
		raise(SIGKILL);
}
#endif
