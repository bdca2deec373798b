/*-------------------------------------------------------------------------
 *
 * metrics.c
 *		Counters, and their rendering as OpenMetrics text; page.c has the
 *		gauges.
 *
 * Everything is counted with relaxed atomics: a scrape may see one counter
 * a request ahead of another, never a torn one.
 *
 *-------------------------------------------------------------------------
 */
#include "metrics.h"
#include "answer.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

static const struct
{
	const char *family;
	const char *help;
	const char *label;			/* value of the label "result", NULL: none */
}			event_table[EVENT_COUNT] =

{
	[EVENT_SPOOL_WRITTEN] = {"spool_written", "Deliveries written to the spool.", NULL},
	[EVENT_SPOOL_DRAINED] = {"spool_drained", "Deliveries of the spool that are in the database.", NULL},
	[EVENT_SPOOL_REJECTED] = {"spool_refused", "Deliveries of the spool that the database refused; they stay on disk and are tried again.", "rejected"},
	[EVENT_SPOOL_NO_WEBHOOK] = {"spool_refused", NULL, "no_webhook"},
	[EVENT_SPOOL_ERROR] = {"spool_refused", NULL, "error"},
	[EVENT_SPOOL_FULL] = {"spool_failures", "Deliveries that the spool did not take.", "full"},
	[EVENT_SPOOL_FAILED] = {"spool_failures", NULL, "error"},
	[EVENT_SPOOL_TORN] = {"spool_unreadable", "Files of the spool in which something could not be read; they are kept.", "torn"},
	[EVENT_SPOOL_DAMAGED] = {"spool_unreadable", NULL, "damaged"},
	[EVENT_DATABASE_CONNECT] = {"database_connections", "Connections to the database.", "opened"},
	[EVENT_DATABASE_LOST] = {"database_connections", NULL, "lost"},
	[EVENT_DATABASE_RETRY] = {"database_retries", "Inserts that were tried again.", NULL},
	[EVENT_BATCH_COMMITTED] = {"database_batches", "Transactions with several deliveries; those of one that was undone were inserted one by one.", "committed"},
	[EVENT_BATCH_UNDONE] = {"database_batches", NULL, "undone"},
};

/* Upper bounds of the latency histogram in microseconds; the last is +Inf. */
static const int64_t bucket_bound[] = {
	500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 500000,
	1000000, 2500000, 5000000, 10000000
};

#define BUCKETS ((int) (sizeof(bucket_bound) / sizeof(bucket_bound[0])))

static atomic_uint_fast64_t answers[ANSWER_COUNT];
static atomic_uint_fast64_t events[EVENT_COUNT];
static atomic_uint_fast64_t buckets[BUCKETS + 1];
static atomic_uint_fast64_t latency_sum;
static atomic_int connections;
static atomic_int held;

#define add(counter, by) \
	atomic_fetch_add_explicit(&(counter), (by), memory_order_relaxed)
#define get(counter) \
	((unsigned long long) atomic_load_explicit(&(counter), memory_order_relaxed))

void
count_answer(Answer answer)
{
	add(answers[answer], 1);
}

void
count_event(Event event, uint64_t by)
{
	add(events[event], by);
}

void
count_latency(int64_t microseconds)
{
	int			i = 0;

	while (i < BUCKETS && microseconds > bucket_bound[i])
		i++;
	add(buckets[i], 1);
	add(latency_sum, (uint64_t) microseconds);
}

void
gauge_connections(int by)
{
	add(connections, by);
}

int
connections_now(void)
{
	return atomic_load_explicit(&connections, memory_order_relaxed);
}

/* Requests that wait for the database or the disk. */
void
gauge_held(int by)
{
	atomic_fetch_add(&held, by);
}

int
held_now(void)
{
	return atomic_load(&held);
}

static void
write_answers(FILE *out)
{
	fputs("# TYPE flagsmith_receiver_answers counter\n"
		  "# HELP flagsmith_receiver_answers Requests by HTTP status and outcome; "
		  "status \"none\" is a connection closed without an answer.\n", out);
	for (int i = ANSWER_NONE + 1; i < ANSWER_COUNT; i++)
	{
		fputs("flagsmith_receiver_answers_total{status=\"", out);
		if (answer_status(i) == 0)
			fputs("none", out);
		else
			fprintf(out, "%d", answer_status(i));
		fprintf(out, "\",outcome=\"%s\"} %llu\n", answer_word(i),
				get(answers[i]));
	}
}

static void
write_events(FILE *out)
{
	const char *family = "";

	for (int i = 0; i < EVENT_COUNT; i++)
	{
		if (event_table[i].help != NULL)
		{
			family = event_table[i].family;
			fprintf(out, "# TYPE flagsmith_receiver_%s counter\n"
					"# HELP flagsmith_receiver_%s %s\n",
					family, family, event_table[i].help);
		}
		fprintf(out, "flagsmith_receiver_%s_total", family);
		if (event_table[i].label != NULL)
			fprintf(out, "{result=\"%s\"}", event_table[i].label);
		fprintf(out, " %llu\n", get(events[i]));
	}
}

static void
write_latency(FILE *out)
{
	unsigned long long total = 0;

	fputs("# TYPE flagsmith_receiver_database_latency_seconds histogram\n"
		  "# UNIT flagsmith_receiver_database_latency_seconds seconds\n"
		  "# HELP flagsmith_receiver_database_latency_seconds Time from sending "
		  "an INSERT to its commit.\n", out);
	for (int i = 0; i <= BUCKETS; i++)
	{
		total += get(buckets[i]);
		if (i < BUCKETS)
			/* the format wants 1.0 where %g would say 1 */
			fprintf(out, "flagsmith_receiver_database_latency_seconds_bucket"
					"{le=\"%g%s\"} %llu\n", (double) bucket_bound[i] / 1e6,
					bucket_bound[i] % 1000000 == 0 ? ".0" : "", total);
		else
			fprintf(out, "flagsmith_receiver_database_latency_seconds_bucket"
					"{le=\"+Inf\"} %llu\n", total);
	}
	fprintf(out, "flagsmith_receiver_database_latency_seconds_sum %.6f\n"
			"flagsmith_receiver_database_latency_seconds_count %llu\n",
			(double) get(latency_sum) / 1e6, total);
}

/* All counters. */
void
metrics_write(FILE *out)
{
	write_answers(out);
	write_events(out);
	write_latency(out);
}
