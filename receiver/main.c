/*-------------------------------------------------------------------------
 *
 * main.c
 *		flagsmith-receiver: its life and death.
 *
 *		HTTP -> http.c -> pool.c -> flagsmith.inbox
 *		                     |  ^
 *		                     v  |
 *		                    spool.c -> drain.c -> flagsmith.inbox
 *
 * The main thread does nothing but watch the clock and wait for signals.
 *
 *-------------------------------------------------------------------------
 */
#include "clock.h"
#include "http.h"
#include "log.h"
#include "metrics.h"
#include "notify.h"
#include "options.h"
#include "pool.h"
#include "session.h"
#include "spool.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define TICK 100				/* ms */
#define STOP_TIMEOUT 20000		/* ms, for all that is being held */

/* Enough descriptors for what was asked for, or fewer connections. */
static void
raise_file_limit(void)
{
	struct rlimit limit;
	rlim_t		wanted = (rlim_t) opt.max_connections + (rlim_t) opt.connections + 32;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted)
		return;
	limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
	if (setrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < wanted)
	{
		opt.max_connections = (int) limit.rlim_cur - opt.connections - 32;
		if (opt.max_connections < 4)
			opt.max_connections = 4;
		log_line(LOG_LEVEL_WARNING, "few_descriptors", "max_connections=%d",
				 opt.max_connections);
	}
}

/* One turn of the clock: deadlines, then up to a tick of waiting. */
static int
tick(const sigset_t *signals)
{
	struct timespec pause = {.tv_nsec = TICK * 1000000L};
	int64_t		now = monotonic_ms();

	http_sweep(now);
	database_expire(now);
	notify_tick(now);
	return sigtimedwait(signals, NULL, &pause);
}

/* --check: what a receiver needs, looked at once.  The exit status. */
static int
check(void)
{
	int			status = session_try();

	if (opt.spool != NULL && faccessat(AT_FDCWD, opt.spool, R_OK | W_OK | X_OK, AT_EACCESS) != 0)
	{
		fprintf(stderr, "flagsmith-receiver: cannot use the spool \"%s\": %s\n",
				opt.spool, strerror(errno));
		status = 1;
	}
	free(opt.prefix);
	return status;
}

/*
 * All threads inherit this; only the main thread takes signals.
 */
static void
take_signals(sigset_t *signals)
{
	sigemptyset(signals);
	sigaddset(signals, SIGTERM);
	sigaddset(signals, SIGINT);
	sigaddset(signals, SIGHUP);
	pthread_sigmask(SIG_BLOCK, signals, NULL);
	signal(SIGPIPE, SIG_IGN);
	/* even where nohup has it ignored: it is blocked, and never ends us */
	signal(SIGHUP, SIG_DFL);
	/* a file that may not grow is an error of write(), not our end */
	signal(SIGXFSZ, SIG_IGN);
}

static bool
start(void)
{
	raise_file_limit();
	if (!spool_start())
		return false;
	database_start();
	if (!http_start())
		return false;

	log_line(LOG_LEVEL_INFO, "started", "version=%s listen=%s spool=%s",
			 RECEIVER_VERSION, opt.listen, opt.spool ? "on" : "off");
	notify_state("READY=1");
	return true;
}

/* Until a signal says stop; which one. */
static int
run(const sigset_t *signals)
{
	int			signal_number = -1;

	while (signal_number != SIGTERM && signal_number != SIGINT)
	{
		signal_number = tick(signals);
		if (signal_number == SIGHUP)
			spool_retry();
	}
	return signal_number;
}

/*
 * Let what has begun come to its end.  Each wait in it is bounded; a second
 * signal cuts them short.
 */
static void
stop(const sigset_t *signals, int signal_number)
{
	int64_t		deadline;

	atomic_store(&stopping, true);
	notify_state("STOPPING=1");
	log_line(LOG_LEVEL_INFO, "stopping", "signal=%d held=%d", signal_number,
			 held_now());
	http_quiesce();
	deadline = monotonic_ms() + STOP_TIMEOUT;
	while (connections_now() > 0 && monotonic_ms() < deadline)
	{
		signal_number = tick(signals);
		if (signal_number == SIGTERM || signal_number == SIGINT)
			break;
	}
	while (held_now() > 0)
	{
		database_expire(INT64_MAX);
		(void) tick(signals);
	}

	http_stop();
	database_stop();
	spool_stop();
	log_flush(INT64_MAX);
	log_line(LOG_LEVEL_INFO, "stopped", "%s", "");
}

int
main(int argc, char **argv)
{
	sigset_t	signals;

	options_parse(argc, argv);
	if (opt.check)
		return check();
	take_signals(&signals);
	if (!start())
		return 1;
	stop(&signals, run(&signals));
	free(opt.prefix);
	return 0;
}
