/*-------------------------------------------------------------------------
 *
 * head.c
 *		What comes in front of a body: which requests are let in.
 *
 * Everything that two readers of one request could understand differently
 * (a length said twice, a folded line, a NUL, chunks and a length) is
 * refused, so that a proxy in front cannot be made to see another request
 * than we do.
 *
 *-------------------------------------------------------------------------
 */
#include "head.h"
#include "header_name.h"
#include "memory.h"
#include "mhd.h"
#include "options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define HEAD_LIMIT (16 * 1024)
#define HEADER_LIMIT 64

typedef struct Head
{
	const char *expected;		/* where the next header has to begin */
	size_t		size;
	int			headers;
	int			lengths;
	int			encodings;
	int			signatures;
	int			hosts;
	bool		expect;			/* the sender waits before it sends the body */
	const char *signature;
	size_t		signature_len;
	const char *length;
	const char *encoding;
	size_t		encoding_len;
	bool		encoding_bare;	/* no blanks were cut off its end */
	const char *forwarded;
	size_t		forwarded_len;
	bool		malformed;
} Head;

/* No control characters; in `ascii` text nothing above ASCII either. */
static bool
is_text(const char *s, size_t len, bool ascii)
{
	for (size_t i = 0; i < len; i++)
	{
		unsigned char c = (unsigned char) s[i];

		if ((c < 0x20 && c != '\t') || c == 0x7f || (ascii && c > 0x7f))
			return false;
	}
	return true;
}

static bool
is_header(const char *name, size_t len, const char *wanted)
{
	return len == strlen(wanted) && strncasecmp(name, wanted, len) == 0;
}

/*
 * libmicrohttpd before 0.9.77 puts up with more than it should: lines folded
 * or ended by a bare LF, NUL bytes, and blanks around a name.  It hands out
 * pointers into the head as it arrived, line ends and separators turned into
 * NULs, so a well-formed head is one where every piece begins right where the
 * one before it ended.  Later versions refuse all that when told to be strict.
 */
static void
check_place(Head *head, const char *name, size_t name_len, const char *value,
			size_t value_len)
{
#ifdef MHD_IS_LENIENT
	const char *p;

	if (head->malformed || name != head->expected || value <= name + name_len ||
		(size_t) (value - name) > HEAD_LIMIT + name_len)
	{
		head->malformed = true;
		return;
	}
	for (p = name + name_len + 1; p < value; p++)
		if (*p != ' ' && *p != '\t')
			head->malformed = true;
	head->expected = value + value_len + 2;
#else
	(void) head;
	(void) name;
	(void) name_len;
	(void) value;
	(void) value_len;
#endif
}

/* Two equal signatures are one that came through a clumsy proxy. */
static void
read_signature(Head *head, const char *value, size_t len)
{
	if (head->signatures > 0 && (len != head->signature_len ||
								 memcmp(value, head->signature, len) != 0))
		head->malformed = true;
	if (!is_text(value, len, true))
		head->malformed = true;
	head->signatures++;
	head->signature = value;
	head->signature_len = len;
}

static void
read_length(Head *head, const char *value, size_t len)
{
	head->lengths++;
	head->length = value;
	if (len == 0)
		head->malformed = true;
	for (size_t i = 0; i < len; i++)
		if (value[i] < '0' || value[i] > '9')
			head->malformed = true;
}

static enum MHD_Result
read_header(void *cls, enum MHD_ValueKind kind, const char *name, size_t name_len,
			const char *value, size_t value_len)
{
	Head	   *head = cls;
	size_t		full_len = value_len;

	(void) kind;
	check_place(head, name, name_len, value, value_len);
	head->headers++;
	head->size += name_len + value_len + 4;
	if (head->headers > HEADER_LIMIT || head->size > HEAD_LIMIT)
		return MHD_NO;

	while (value_len > 0 &&
		   (value[value_len - 1] == ' ' || value[value_len - 1] == '\t'))
		value_len--;
	if (!is_token(name, name_len) || !is_text(value, value_len, false))
		head->malformed = true;

	if (is_header(name, name_len, "Content-Length"))
		read_length(head, value, value_len);
	else if (is_header(name, name_len, "Transfer-Encoding"))
	{
		head->encodings++;
		head->encoding = value;
		head->encoding_len = value_len;
		head->encoding_bare = value_len == full_len;
	}
	else if (is_header(name, name_len, "Expect"))
		head->expect = true;
	else if (is_header(name, name_len, "Host"))
		head->hosts++;
	else if (is_header(name, name_len, SIGNATURE_HEADER))
		read_signature(head, value, value_len);

	/* the last one is what the proxy next to us wrote */
	if (opt.client_header != NULL && is_header(name, name_len, opt.client_header))
	{
		head->forwarded = value;
		head->forwarded_len = value_len;
	}
	return MHD_YES;
}

static bool
is_utf8(const unsigned char *s)
{
	while (*s != '\0')
	{
		uint32_t	c = *s++;
		int			more = c < 0x80 ? 0 : (c & 0xe0) == 0xc0 ? 1 :
			(c & 0xf0) == 0xe0 ? 2 : (c & 0xf8) == 0xf0 ? 3 : -1;
		static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};

		if (more < 0)
			return false;
		if (more > 0)
			c &= 0x3fU >> more;
		for (int i = 0; i < more; i++)
		{
			if ((*s & 0xc0) != 0x80)
				return false;
			c = (c << 6) | (*s++ & 0x3f);
		}
		if (c < least[more] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
			return false;
	}
	return true;
}

/*
 * The name behind the prefix, percent-decoded; NULL when that is no text.  One
 * slash at its end is ignored, since some proxies add one.
 */
static char *
decode_name(const char *path)
{
	const char *end = path + strlen(path);
	char	   *name = xmalloc(strlen(path) + 1);
	char	   *dst = name;

	if (end > path && end[-1] == '/')
		end--;
	while (path < end)
	{
		if (*path != '%')
			*dst = *path++;
		else
		{
			unsigned	value = 0;

			for (int i = 1; i <= 2; i++)
			{
				char		c = path[i];
				int			digit = c >= '0' && c <= '9' ? c - '0' :
					c >= 'a' && c <= 'f' ? c - 'a' + 10 :
					c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;

				if (digit < 0)
				{
					free(name);
					return NULL;
				}
				value = value * 16 + (unsigned) digit;
			}
			if (value == 0)
			{
				free(name);
				return NULL;
			}
			*dst = (char) value;
			path += 3;
		}
		dst++;
	}
	*dst = '\0';
	if (!is_utf8((const unsigned char *) name))
	{
		free(name);
		return NULL;
	}
	return name;
}

/* A copy of len bytes, as a string. */
static char *
copy_text(const char *s, size_t len)
{
	char	   *copy = xmalloc(len + 1);

	memcpy(copy, s, len);
	copy[len] = '\0';
	return copy;
}

/*
 * Whether the head is of a form that everybody reads alike, as far as it is
 * not a matter of single fields.
 */
static bool
is_well_formed(const Head *head, size_t header_size, const char *path,
			   const char *method, const char *version, bool arguments)
{
#ifdef MHD_IS_LENIENT
	/* the empty line, and a method and a path that no NUL cut short */
	if (path != method + strlen(method) + 1)
		return false;
	if (header_size > 0 && head->expected + 2 != method + header_size)
		return false;
	if (path > method && path + strlen(path) < version - 1 && !arguments &&
		path[strlen(path) + 1] != '\0')
		return false;
#else
	(void) header_size;
	(void) arguments;
#endif
	if (head->malformed || !is_token(method, strlen(method)) || path[0] != '/' ||
		!is_text(path, strlen(path), true) || strchr(path, ' ') != NULL)
		return false;
	return strcmp(version, "HTTP/1.1") == 0 ? head->hosts == 1 :
		strcmp(version, "HTTP/1.0") == 0 && head->hosts <= 1;
}

/*
 * How the end of the body is found: RFC 9112, section 6.  Said twice, it is
 * said wrongly; what is not chunked at last has no end.
 */
static Answer
check_framing(Request *request, const Head *head, const char *version)
{
	static const char chunked[] = "chunked";
	const size_t len = sizeof(chunked) - 1;

	request->has_body = head->lengths > 0 || head->encodings > 0;
	if (head->lengths > 1 || head->encodings > 1 ||
		(head->lengths > 0 && head->encodings > 0))
		return ANSWER_MALFORMED;
	if (head->encodings > 0)
	{
		const char *last = head->encoding + head->encoding_len - len;

		request->chunked = true;
		request->content_length = opt.max_body;
		if (strcmp(version, "HTTP/1.1") != 0 || !head->encoding_bare ||
			head->encoding_len < len || strncasecmp(last, chunked, len) != 0)
			return ANSWER_MALFORMED;
		if (head->encoding_len > len)
			return last[-1] == ' ' || last[-1] == '\t' || last[-1] == ',' ?
				ANSWER_CODING : ANSWER_MALFORMED;
	}
	if (head->lengths > 0)
	{
		errno = 0;
		request->content_length = strtoull(head->length, NULL, 10);
		if (errno != 0)
			return ANSWER_TOO_LARGE;
	}
	return ANSWER_NONE;
}

/* Where it is to go: a status page, or a webhook by its name. */
static Answer
check_route(Request *request, const char *path, const char *method)
{
	size_t		prefix_len = strlen(opt.prefix);

	if (strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0)
	{
		if (strcmp(path, "/healthz") != 0 && strcmp(path, "/readyz") != 0 &&
			strcmp(path, "/metrics") != 0)
			return strncmp(path, opt.prefix, prefix_len) == 0 ?
				ANSWER_METHOD : ANSWER_NOT_FOUND;
		request->status_page = true;
		return ANSWER_NONE;
	}
	if (strncmp(path, opt.prefix, prefix_len) != 0)
		return ANSWER_NOT_FOUND;
	if (strcmp(method, "POST") != 0)
		return ANSWER_METHOD;
	path += prefix_len;
	if (path[0] == '\0' || strcmp(path, "/") == 0)
		return ANSWER_NOT_FOUND;
	if (!request->has_body)
		return ANSWER_NO_LENGTH;
	if (request->content_length > opt.max_body)
		return ANSWER_TOO_LARGE;
	request->webhook = decode_name(path);
	request->delivery.webhook = request->webhook;
	return request->webhook != NULL ? ANSWER_NONE : ANSWER_MALFORMED;
}

/*
 * Look at everything in front of the body.  ANSWER_NONE: go on.
 */
Answer
head_check(Request *request, const char *path, const char *method,
		   const char *version)
{
	const union MHD_ConnectionInfo *info;
	size_t		size;
	bool		arguments;
	Head		head = {0};
	Answer		framing;

	head.expected = version + strlen(version) + 2;
	(void) MHD_get_connection_values_n(request->connection, MHD_HEADER_KIND,
									   read_header, &head);
	info = MHD_get_connection_info(request->connection,
								   MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
	size = info != NULL ? info->header_size : 0;
	request->expect = head.expect;
	if (head.forwarded != NULL)
	{
		size_t		cut = head.forwarded_len > FORWARDED_LIMIT ?
			head.forwarded_len - FORWARDED_LIMIT : 0;

		request->forwarded = copy_text(head.forwarded + cut, head.forwarded_len - cut);
	}

	framing = check_framing(request, &head, version);
	if (head.headers > HEADER_LIMIT || head.size > HEAD_LIMIT || size > HEAD_LIMIT)
		return ANSWER_HEAD_TOO_LARGE;
	arguments = MHD_get_connection_values(request->connection, MHD_GET_ARGUMENT_KIND,
										  NULL, NULL) > 0;
	if (request->malformed ||
		!is_well_formed(&head, size, path, method, version, arguments))
		return ANSWER_MALFORMED;
	if (framing != ANSWER_NONE)
		return framing;
	if (head.signatures > 0)
		request->signature = copy_text(head.signature, head.signature_len);
	request->delivery.signature = request->signature;
	return check_route(request, path, method);
}
