/*-------------------------------------------------------------------------
 *
 * src/answer/history.h
 *	  What history.c, history_act.c and history_state.c share.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FSW_ANSWER_HISTORY_H
#define FSW_ANSWER_HISTORY_H

#include "src/base/fsw.h"
#include "src/read/history.h"

/* The event that tells of a flag's making can have a time so long after it; microseconds. */
#define FSW_MAKING_TOLD INT64CONST(2000000)

/* history_act.c */
extern text *fsw_history_log(const FswLine *line);
extern Datum fsw_history_deliveries(FswReader *reader, const FswLine *line, const text *source, text **act);

/* history_state.c */
extern void fsw_push_bool(FswJsonbBuild *build, const char *key, bool value);
extern void fsw_push_jsonb(FswJsonbBuild *build, const char *key, Datum value);
extern Datum fsw_variants_of(FswScan *scan, int column);

#endif							/* FSW_ANSWER_HISTORY_H */
