/*-------------------------------------------------------------------------
 *
 * options.c
 *		What was asked for on the command line.
 *
 *-------------------------------------------------------------------------
 */
#include "options.h"
#include "header_name.h"
#include "log.h"
#include "memory.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

Options		opt = {
	.listen = "127.0.0.1:8480",
	.conninfo = "",
	.connections = 4,
	.spool_limit = UINT64_C(1024) * 1024 * 1024,
	.max_body = 4 * 1024 * 1024,
	.max_memory = 256 * 1024 * 1024,
	.max_connections = 4096,
	.head_timeout = 5000,
	.request_timeout = 8000,
	.hold = 8000
};

static const char help[] =
"flagsmith-receiver stores what Flagsmith posts to a webhook in PostgreSQL.\n"
"\n"
"Usage:\n"
"  flagsmith-receiver [OPTION]...\n"
"\n"
"It answers POST <prefix><webhook> with 200 once the delivery is committed to\n"
"flagsmith.inbox, or is safe in the spool.\n"
"\n"
"HTTP:\n"
"  -l, --listen=[HOST:]PORT     address to listen on (127.0.0.1:8480)\n"
"  -p, --prefix=PATH            what comes before the webhook's name (/)\n"
"      --client-address-header=NAME\n"
"                               header in which a proxy says whom it speaks for;\n"
"                               for the log only (none)\n"
"      --max-body=SIZE          largest body (4MB)\n"
"      --max-connections=N      open connections (4096)\n"
"      --max-per-address=N      of these, from one address (0: no limit)\n"
"      --max-memory=SIZE        for bodies being received or held (256MB)\n"
"      --head-timeout=SECONDS   until a request's head is complete (5)\n"
"      --request-timeout=SECONDS\n"
"                               until the whole request is here (8)\n"
"\n"
"Database:\n"
"  -d, --dbname=CONNINFO        connection string or URI; what it leaves out is\n"
"                               taken from the environment, as psql does\n"
"  -c, --connections=N          connections to the database (4)\n"
"      --hold=SECONDS           how long to try before the delivery is spooled,\n"
"                               or the connection closed without an answer (8)\n"
"\n"
"Spool:\n"
"  -s, --spool=DIRECTORY        where to keep deliveries while the database is\n"
"                               away (none)\n"
"      --spool-limit=SIZE       of all its files (1GB)\n"
"\n"
"Other:\n"
"      --log-level=LEVEL        error, warning, info or debug (info)\n"
"      --check                  see whether a delivery could be inserted and\n"
"                               spooled, say what is missing, and exit\n"
"  -V, --version                print the version and exit\n"
"  -h, --help                   print this and exit\n"
"\n"
"A SIZE is a number with an optional kB, MB or GB.  flagsmith-receiver(8) has the\n"
"rest.\n";

static void
usage_error(const char *what, const char *value)
{
	fprintf(stderr, "flagsmith-receiver: invalid value for %s: \"%s\"\n"
			"Try \"flagsmith-receiver --help\" for more information.\n", what, value);
	exit(2);
}

static uint64_t
parse_size(const char *name, const char *value)
{
	static const struct
	{
		const char *unit;
		uint64_t	factor;
	}			units[] = {
		{"", 1}, {"B", 1}, {"kB", 1 << 10}, {"MB", 1 << 20}, {"GB", 1 << 30}
	};
	char	   *end;
	unsigned long long number;

	errno = 0;
	number = strtoull(value, &end, 10);
	if (end != value && value[0] != '-' && errno == 0 && number < UINT64_C(1) << 33)
		for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++)
			if (strcmp(end, units[i].unit) == 0)
				return number * units[i].factor;
	usage_error(name, value);
	return 0;
}

static int64_t
parse_number(const char *name, const char *value, int64_t least, int64_t most)
{
	char	   *end;
	long long	number;

	errno = 0;
	number = strtoll(value, &end, 10);
	if (end == value || *end != '\0' || errno != 0 || number < least || number > most)
		usage_error(name, value);
	return number;
}

/* Seconds, fractions allowed, as milliseconds. */
static int64_t
parse_seconds(const char *name, const char *value)
{
	char	   *end;
	double		number = strtod(value, &end);

	if (end == value || *end != '\0' || !(number >= 0.05 && number <= 3600))
		usage_error(name, value);
	return (int64_t) (number * 1000);
}

enum
{
	OPT_MAX_BODY = 256, OPT_MAX_CONNECTIONS, OPT_MAX_PER_ADDRESS, OPT_MAX_MEMORY,
	OPT_HEAD_TIMEOUT, OPT_REQUEST_TIMEOUT, OPT_HOLD, OPT_SPOOL_LIMIT,
	OPT_LOG_LEVEL, OPT_CLIENT_HEADER, OPT_CHECK
};

static const struct option options[] = {
	{"listen", required_argument, NULL, 'l'},
	{"prefix", required_argument, NULL, 'p'},
	{"dbname", required_argument, NULL, 'd'},
	{"connections", required_argument, NULL, 'c'},
	{"spool", required_argument, NULL, 's'},
	{"client-address-header", required_argument, NULL, OPT_CLIENT_HEADER},
	{"max-body", required_argument, NULL, OPT_MAX_BODY},
	{"max-connections", required_argument, NULL, OPT_MAX_CONNECTIONS},
	{"max-per-address", required_argument, NULL, OPT_MAX_PER_ADDRESS},
	{"max-memory", required_argument, NULL, OPT_MAX_MEMORY},
	{"head-timeout", required_argument, NULL, OPT_HEAD_TIMEOUT},
	{"request-timeout", required_argument, NULL, OPT_REQUEST_TIMEOUT},
	{"hold", required_argument, NULL, OPT_HOLD},
	{"spool-limit", required_argument, NULL, OPT_SPOOL_LIMIT},
	{"log-level", required_argument, NULL, OPT_LOG_LEVEL},
	{"check", no_argument, NULL, OPT_CHECK},
	{"version", no_argument, NULL, 'V'},
	{"help", no_argument, NULL, 'h'},
	{NULL, 0, NULL, 0}
};

/* With one slash at either end. */
static void
set_prefix(const char *prefix)
{
	size_t		len = strlen(prefix);

	free(opt.prefix);
	opt.prefix = xmalloc(len + 3);
	if (len == 0)
		strcpy(opt.prefix, "/");
	else
		sprintf(opt.prefix, "%s%s%s", prefix[0] == '/' ? "" : "/", prefix,
				prefix[len - 1] == '/' ? "" : "/");
}

/* What concerns requests; false: it is no such option. */
static bool
set_http_option(int c, const char *value)
{
	switch (c)
	{
		case 'l':
			opt.listen = value;
			return true;
		case 'p':
			set_prefix(value);
			return true;
		case OPT_CLIENT_HEADER:
			if (!header_may_be_logged(value))
				usage_error("--client-address-header", value);
			opt.client_header = value;
			return true;
		case OPT_MAX_BODY:
			opt.max_body = parse_size("--max-body", value);
			if (opt.max_body > 512 * 1024 * 1024)
				usage_error("--max-body", value);
			return true;
		case OPT_MAX_CONNECTIONS:
			opt.max_connections =
				(int) parse_number("--max-connections", value, 4, 100000);
			return true;
		case OPT_MAX_PER_ADDRESS:
			opt.max_per_address =
				(int) parse_number("--max-per-address", value, 0, 100000);
			return true;
		case OPT_MAX_MEMORY:
			opt.max_memory = parse_size("--max-memory", value);
			return true;
		case OPT_HEAD_TIMEOUT:
			opt.head_timeout = parse_seconds("--head-timeout", value);
			return true;
		case OPT_REQUEST_TIMEOUT:
			opt.request_timeout = parse_seconds("--request-timeout", value);
			return true;
		default:
			return false;
	}
}

/* What concerns the database and the spool. */
static bool
set_storage_option(int c, const char *value)
{
	switch (c)
	{
		case 'd':
			opt.conninfo = value;
			return true;
		case 'c':
			opt.connections = (int) parse_number("--connections", value, 1, 64);
			return true;
		case OPT_HOLD:
			opt.hold = parse_seconds("--hold", value);
			return true;
		case 's':
			opt.spool = value;
			return true;
		case OPT_SPOOL_LIMIT:
			opt.spool_limit = parse_size("--spool-limit", value);
			return true;
		default:
			return false;
	}
}

static void
set_log_level(const char *value)
{
	static const char *const levels[] = {"error", "warning", "info", "debug"};

	for (int i = 0; i < 4; i++)
	{
		if (strcmp(value, levels[i]) == 0)
		{
			log_level = i;
			return;
		}
	}
	usage_error("--log-level", value);
}

static void
set_other_option(int c, const char *value)
{
	switch (c)
	{
		case OPT_LOG_LEVEL:
			set_log_level(value);
			break;
		case OPT_CHECK:
			opt.check = true;
			break;
		case 'V':
			printf("flagsmith-receiver %s\n", RECEIVER_VERSION);
			exit(0);
		case 'h':
			fputs(help, stdout);
			exit(0);
		default:
			fputs("Try \"flagsmith-receiver --help\" for more information.\n", stderr);
			exit(2);
	}
}

/* Read the command line; what is wrong with it ends the process. */
void
options_parse(int argc, char **argv)
{
	int			c;

	set_prefix("/");
	while ((c = getopt_long(argc, argv, "l:p:d:c:s:Vh", options, NULL)) != -1)
		if (!set_http_option(c, optarg) && !set_storage_option(c, optarg))
			set_other_option(c, optarg);
	if (optind < argc)
	{
		fprintf(stderr, "flagsmith-receiver: too many arguments, the first is \"%s\"\n",
				argv[optind]);
		exit(2);
	}
}
