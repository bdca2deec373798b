/*-------------------------------------------------------------------------
 *
 * notify.c
 *		What systemd is told, where it asked to be told.
 *
 * The protocol is one datagram for each word, so no library is needed for it.
 * No word is waited for: the queue of the socket may be full, and whoever
 * reads it slow, while the main thread has deadlines to watch.  What could not
 * be said is said at a later turn of the clock.
 *
 *-------------------------------------------------------------------------
 */
#include "notify.h"
#include "clock.h"
#include "log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static const char *unsaid;		/* what systemd does not know yet, or NULL */
static int64_t alive_at;		/* when it last heard that we live */

/* Say something; false: not now. */
static bool
say(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	size_t		len = path ? strlen(path) : 0;
	bool		said = true;
	int			fd;

	if (len == 0 || len >= sizeof(address.sun_path) ||
		(path[0] != '/' && path[0] != '@'))
		return true;
	memcpy(address.sun_path, path, len);
	if (path[0] == '@')
		address.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return true;
	if (sendto(fd, state, strlen(state), MSG_NOSIGNAL | MSG_DONTWAIT,
			   (struct sockaddr *) &address,
			   (socklen_t) (offsetof(struct sockaddr_un, sun_path) + len)) < 0)
	{
		said = errno != EAGAIN && errno != ENOBUFS;
		if (said)
			log_line(LOG_LEVEL_WARNING, "notify_failed", "error=%d", errno);
	}
	close(fd);
	return said;
}

/* Tell systemd a state; the text must stay. */
void
notify_state(const char *state)
{
	unsaid = say(state) ? NULL : state;
}

/* One turn of the clock: what was not said yet, or that we live. */
void
notify_tick(int64_t now)
{
	const char *usec = getenv("WATCHDOG_USEC");
	int64_t		interval = usec != NULL ? strtoll(usec, NULL, 10) / 3000 : 0;

	if (unsaid != NULL)
		notify_state(unsaid);
	else if (interval > 0 && now - alive_at >= interval && !atomic_load(&stopping) &&
			 say("WATCHDOG=1"))
		alive_at = now;
}
