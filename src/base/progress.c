/*-------------------------------------------------------------------------
 *
 * src/base/progress.c
 *	  How far a long call is: a notice for who waits for it, and the text that
 *	  pg_stat_activity shows to everyone else.
 *
 * The text is the statement itself with a comment in front of it, so that it is
 * still true where an error ends the call.  Both say numbers only.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "tcop/tcopprot.h"
#include "utils/backend_status.h"
#include "utils/timestamp.h"

#include "src/base/fsw.h"

/* Set the text of pg_stat_activity, and leave the number of the query as it is. */
static void
show_activity(const char *text)
{
	uint64		query_id = pgstat_get_my_query_id();

	pgstat_report_activity(STATE_RUNNING, text);
	pgstat_report_query_id(query_id, true);
}

/* In pg_stat_activity alone. */
static void
show_progress(FswProgress *progress, const char *text)
{
	char	   *activity;

	if (fsw_progress_interval < 0)
		return;
	activity = psprintf("/* flagsmith.%s: %s */ %s", progress->call, text,
						debug_query_string == NULL ? "" : debug_query_string);
	show_activity(activity);
	pfree(activity);
	progress->shown = true;
}

/* A call begins: what it does at first is shown at once, where it is told. */
void
fsw_progress_begin(FswProgress *progress, const char *call, const char *at_first)
{
	progress->call = call;
	progress->told_at = GetCurrentTimestamp();
	progress->shown = false;
	if (at_first != NULL)
		show_progress(progress, at_first);
}

/* Is it time to tell?  Asked at every step, so it costs a look at the clock. */
bool
fsw_progress_is_due(const FswProgress *progress)
{
	return fsw_progress_interval >= 0 &&
		TimestampDifferenceExceeds(progress->told_at, GetCurrentTimestamp(), fsw_progress_interval);
}

void
fsw_progress_tell(FswProgress *progress, const char *text)
{
	show_progress(progress, text);
	ereport(NOTICE, (errmsg_internal("%s", text)));
	progress->told_at = GetCurrentTimestamp();
}

/* The call is over: the statement, which may go on, has its own text again. */
void
fsw_progress_end(FswProgress *progress)
{
	if (progress->shown)
		show_activity(debug_query_string == NULL ? "" : debug_query_string);
	progress->shown = false;
}
