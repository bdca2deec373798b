/*-------------------------------------------------------------------------
 *
 * src/answer/history.h
 *	  What history.c, history_act.c, history_after.c, history_shown.c and
 *	  history_state.c share.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FSW_ANSWER_HISTORY_H
#define FSW_ANSWER_HISTORY_H

#include "src/answer/kept.h"
#include "src/base/fsw.h"
#include "src/read/history.h"

/* The event that tells of a flag's making can have a time so long after it; microseconds. */
#define FSW_MAKING_TOLD INT64CONST(2000000)

/* The scope of a line: the default, a segment's override, or an identity's. */
typedef struct FswLineScope
{
	bool		has_segment;
	int64		segment_id;
	char	   *identity;
} FswLineScope;

/* A state that the timeline has for a line; the value is jsonb, or 0 if there is none, as variants are. */
typedef struct FswLineState
{
	bool		enabled;
	Datum		value;
	Datum		variants;
} FswLineState;

/* What of the state that the event of a line shows may be of later than its act. */
typedef enum FswAfterDoubt
{
	FSW_AFTER_SURE,				/* nothing */
	FSW_AFTER_PERHAPS,			/* all of it, but nothing says that it is */
	FSW_AFTER_VARIANTS,
	FSW_AFTER_STATE				/* all of it */
} FswAfterDoubt;

/* And what the timeline has for the end of the act. */
typedef struct FswAfter
{
	FswAfterDoubt doubt;
	bool		known;
	FswLineState state;
} FswAfter;

/* history_act.c */
extern text *fsw_history_log(const FswLine *line);
extern Datum fsw_history_deliveries(FswReader *reader, const FswLine *line, const text *source, text **act);

/* history_after.c */
extern int64 fsw_history_effect(const FswLine *line, const FswPieceEvent *event);
extern FswAfter fsw_history_after(FswKept *kept, const FswLine *line, const FswPieceEvent *event, bool of_version,
								  bool of_making);

/* history_shown.c */
extern FswPieceEvent *fsw_history_shown(FswReader *reader, const FswLine *line);

/* history_state.c */
extern bool fsw_history_state(FswKept *kept, Datum source, int64 environment_id, int64 feature_id,
							  const FswLineScope *scope, int64 at, FswLineState *state);
extern void fsw_push_bool(FswJsonbBuild *build, const char *key, bool value);
extern void fsw_push_jsonb(FswJsonbBuild *build, const char *key, Datum value);
extern Datum fsw_variants_of(FswScan *scan, int column);

#endif							/* FSW_ANSWER_HISTORY_H */
