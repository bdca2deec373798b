/*-------------------------------------------------------------------------
 *
 * options.h
 *		What was asked for on the command line.
 *
 *-------------------------------------------------------------------------
 */
#ifndef RECEIVER_OPTIONS_H
#define RECEIVER_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#ifndef RECEIVER_VERSION
#define RECEIVER_VERSION "unversioned"
#endif

typedef struct Options
{
	const char *listen;
	char	   *prefix;			/* begins and ends with a slash */
	const char *client_header;	/* that a proxy says the address in, or NULL */
	const char *conninfo;
	int			connections;
	const char *spool;			/* directory, NULL: none */
	uint64_t	spool_limit;
	uint64_t	max_body;
	uint64_t	max_memory;
	int			max_connections;
	int			max_per_address;
	int64_t		head_timeout;	/* milliseconds, as those below */
	int64_t		request_timeout;
	int64_t		hold;
	bool		check;			/* only see whether the database would do */
} Options;

extern Options opt;

extern void options_parse(int argc, char **argv);

#endif							/* RECEIVER_OPTIONS_H */
