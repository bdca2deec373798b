/*-------------------------------------------------------------------------
 *
 * page.c
 *		The pages that tell about the receiver itself.
 *
 *-------------------------------------------------------------------------
 */
#include "page.h"
#include "clock.h"
#include "metrics.h"
#include "spool.h"
#include "status.h"

#include <stdio.h>
#include <stdlib.h>

/* Whether a request could be answered 200 now. */
bool
receiver_is_ready(void)
{
	return !atomic_load(&stopping) && database_was_checked() &&
		(database_is_up() || spool_state().room);
}

/* The lines in front of a gauge; its unit, if it has one, ends its name. */
static void
gauge_head(FILE *out, const char *name, const char *unit, const char *help)
{
	fprintf(out, "# TYPE flagsmith_receiver_%s gauge\n", name);
	if (unit != NULL)
		fprintf(out, "# UNIT flagsmith_receiver_%s %s\n", name, unit);
	fprintf(out, "# HELP flagsmith_receiver_%s %s\n", name, help);
}

static void
gauge(FILE *out, const char *name, const char *unit, const char *help, uint64_t value)
{
	gauge_head(out, name, unit, help);
	fprintf(out, "flagsmith_receiver_%s %llu\n", name, (unsigned long long) value);
}

static void
write_gauges(FILE *out)
{
	SpoolState	spool = spool_state();

	gauge(out, "database_up", NULL, "Whether the database takes deliveries.",
		  database_is_up());
	gauge(out, "ready", NULL, "What /readyz says: whether a delivery could be taken.",
		  receiver_is_ready());
	gauge(out, "open_connections", NULL, "Open HTTP connections.",
		  (uint64_t) connections_now());
	gauge(out, "held_requests", NULL,
		  "Requests that wait for the database or the spool.", (uint64_t) held_now());
	gauge(out, "spool_records", NULL,
		  "Deliveries in the spool that wait for the database.", spool.records);
	gauge(out, "spool_bytes", "bytes",
		  "Size of all files of the spool, to which its limit applies.", spool.bytes);
	gauge(out, "spool_kept_records", NULL,
		  "Deliveries on disk that the database refused, to be tried again.",
		  spool.kept_records);
	gauge(out, "spool_kept_bytes", "bytes", "Size of the files with these.",
		  spool.kept_bytes);
	gauge(out, "spool_damaged_bytes", "bytes",
		  "Size of the files that were set aside.", spool.damaged_bytes);
	gauge_head(out, "spool_age_seconds", "seconds",
			   "Age of the oldest delivery in the spool.");
	fprintf(out, "flagsmith_receiver_spool_age_seconds %.3f\n", spool.age);
}

/* The whole page, for the caller to free; NULL when out of memory. */
char *
metrics_render(size_t *len)
{
	char	   *page = NULL;
	FILE	   *out = open_memstream(&page, len);

	if (out == NULL)
		return NULL;
	metrics_write(out);
	write_gauges(out);
	fputs("# EOF\n", out);
	if (fclose(out) != 0)
	{
		free(page);
		return NULL;
	}
	return page;
}
