/*-------------------------------------------------------------------------
 *
 * refuse.c
 *		Answers that go straight to the socket, and addresses as text.
 *
 * libmicrohttpd gives an answer in front of a body or behind it, and closes
 * at once where it refuses.  What has to be said in between is written here.
 *
 *-------------------------------------------------------------------------
 */
#include "refuse.h"
#include "mhd.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static const char *
reason_phrase(Answer answer)
{
	switch (answer_status(answer))
	{
		case 404:
			return "Not Found";
		case 405:
			return "Method Not Allowed";
		case 408:
			return "Request Timeout";
		case 411:
			return "Length Required";
		case 413:
			return "Content Too Large";
		case 431:
			return "Request Header Fields Too Large";
		case 501:
			return "Not Implemented";
		default:
			return "Bad Request";
	}
}

/*
 * Write a whole answer and end our direction of the connection.  Nothing else
 * may have been written since the last answer, so that it fits into the
 * socket's buffer.  The caller sees to it that what the peer still sends is
 * read, or ends the connection.
 */
void
refuse_early(int fd, Answer answer, bool body)
{
	char		text[384];
	char		word[32];
	const char *line = answer_text(answer);
	int			len;

	snprintf(word, sizeof(word), "%s\n", answer_word(answer));
	if (line == NULL)
		line = word;

	len = snprintf(text, sizeof(text),
				   "HTTP/1.1 %d %s\r\n"
				   "Content-Type: text/plain\r\n"
				   "%s"
				   "Content-Length: %zu\r\n"
				   "Connection: close\r\n"
				   "\r\n"
				   "%s",
				   answer_status(answer), reason_phrase(answer),
				   answer == ANSWER_METHOD ? "Allow: POST\r\n" : "",
				   strlen(line), body ? line : "");
	(void) send(fd, text, (size_t) len, MSG_DONTWAIT | MSG_NOSIGNAL);
	(void) shutdown(fd, SHUT_WR);
}

/* An address as a log line has it, without the port. */
void
address_text(const struct sockaddr *address, char *dst, size_t size)
{
	const void *number = NULL;
	int			family = address != NULL ? address->sa_family : AF_UNSPEC;

	if (family == AF_INET)
		number = &((const struct sockaddr_in *) address)->sin_addr;
	else if (family == AF_INET6)
	{
		const struct in6_addr *wide = &((const struct sockaddr_in6 *) address)->sin6_addr;

		/* IPv4 that came in through a socket for both */
		if (IN6_IS_ADDR_V4MAPPED(wide))
		{
			family = AF_INET;
			number = &wide->s6_addr[12];
		}
		else
			number = wide;
	}
	if (number == NULL || inet_ntop(family, number, dst, (socklen_t) size) == NULL)
		snprintf(dst, size, "-");
}

/* What a length is answered that is none, of a head as far as it is here. */
Answer
length_refused(struct MHD_Connection *connection)
{
	const char *value;
	size_t		len;

	if (MHD_lookup_connection_value_n(connection, MHD_HEADER_KIND, "Content-Length",
									  14, &value, &len) != MHD_YES)
		return ANSWER_NONE;
	if (len == 0 || strspn(value, "0123456789") != len)
		return ANSWER_MALFORMED;
	errno = 0;
	(void) strtoull(value, NULL, 10);
	return errno != 0 ? ANSWER_TOO_LARGE : ANSWER_NONE;
}
