/*-------------------------------------------------------------------------
 *
 * listen.c
 *		The socket that requests come in through.
 *
 *-------------------------------------------------------------------------
 */
#include "listen.h"
#include "log.h"
#include "options.h"

#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Listen on HOST:PORT, [HOST]:PORT or PORT; -1: failed, and said so. */
int
listener_open(void)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM,.ai_flags = AI_PASSIVE};
	struct addrinfo *found = NULL;
	char	   *address = strdup(opt.listen);
	char	   *host = address;
	char	   *port = address ? strrchr(address, ':') : NULL;
	int			listener = -1;
	int			rc;
	int			one = 1;

	if (address == NULL)
		return -1;
	if (port == NULL)
	{
		port = address;
		host = (char *) "127.0.0.1";
	}
	else
	{
		*port++ = '\0';
		if (host[0] == '[' && strlen(host) > 1 && host[strlen(host) - 1] == ']')
		{
			host[strlen(host) - 1] = '\0';
			host++;
		}
	}
	/* getaddrinfo() would take a number that is too large, cut to 16 bits */
	rc = strspn(port, "0123456789") == strlen(port) &&
		(strlen(port) > 5 || atoi(port) > 65535 || atoi(port) < 1) ?
		EAI_SERVICE : getaddrinfo(host[0] ? host : NULL, port, &hints, &found);
	if (rc != 0)
	{
		log_line(LOG_LEVEL_ERROR, "listen_failed", "address=%s message=\"%s\"",
				 opt.listen, gai_strerror(rc));
		free(address);
		return -1;
	}
	listener = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (listener < 0 ||
		setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) != 0 ||
		bind(listener, found->ai_addr, found->ai_addrlen) != 0 ||
		listen(listener, 1024) != 0)
	{
		log_line(LOG_LEVEL_ERROR, "listen_failed", "address=%s message=\"%s\"",
				 opt.listen, strerror(errno));
		if (listener >= 0)
			close(listener);
		rc = -1;
	}
	freeaddrinfo(found);
	free(address);
	return rc == 0 ? listener : -1;
}
