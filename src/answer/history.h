/*-------------------------------------------------------------------------
 *
 * src/answer/history.h
 *	  What history.c and history_state.c share.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FSW_ANSWER_HISTORY_H
#define FSW_ANSWER_HISTORY_H

#include "src/base/fsw.h"
#include "src/read/read.h"

extern void fsw_push_bool(FswJsonbBuild *build, const char *key, bool value);
extern void fsw_push_jsonb(FswJsonbBuild *build, const char *key, Datum value);
extern Datum fsw_variants_of(FswScan *scan, int column);

#endif							/* FSW_ANSWER_HISTORY_H */
