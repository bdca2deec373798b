/*-------------------------------------------------------------------------
 *
 * src/timeline/act.h
 *	  What timeline.c, act.c, act_weigh.c, start.c and period.c share.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FSW_ACT_H
#define FSW_ACT_H

#include "src/timeline/model.h"

/* Nothing is read for an act that is older than this. */
#define FSW_TASK_REACH		INT64CONST(15000000)

/*
 * What takes longer to arrive, and then comes at once after an entry, may have
 * been read in the middle of what that one tells: without a task processor.
 */
#define FSW_TASK_USUAL		INT64CONST(5000000)

/* An act so soon after the creation tells what was created. */
#define FSW_CREATION_TOLD	(FSW_TASK_DELAY / 2)

/* What begins at an instant: a state told, a change untold, or a removal. */
typedef struct FswAct
{
	int64		at;
	int64		arrived;		/* the first that tells of it, */
	int64		read;			/* and what tells its state */
	int			state;
	int			before;			/* FSW_NOT_TOLD where nothing says */
	FswConfidence confidence;
	FswCause	cause;
	int			evidence;
	bool		told;			/* a state or a removal, not a mere entry */
	bool		event;			/* told by an import or events that agree, whatever
								 * comes next */
	bool		by_nobody;
	int64		first_entry;	/* earliest of its audit entries */
	int64		first_part;		/* earliest entry of the value or a percentage
								 * before it */
	int64		last_part;		/* latest such entry after it, FSW_NEVER */
	bool		about_part;		/* untold, and about such a part */
	int			nshares;		/* entries tell that so many percentages were
								 * saved, */
	bool		value_told;		/* one that the value was, */
	bool		exact;			/* or something at exactly its time */
	bool		switched;		/* that it was turned on or off, at exactly its
								 * time */
	bool		share_missing;	/* a percentage was, and no entry tells of it */
	bool		several;		/* its parts were saved by turns: what was read
								 * between them can be none that is told */
	bool		mixed;			/* it can have been read in the middle of the next */
	int64		unsure_until;	/* it may have taken effect only then */
} FswAct;

typedef struct FswScopeEvidence
{
	int			nbodies;
	int			nentries;
	FswEvidence **bodies;
	FswEvidence **entries;
} FswScopeEvidence;

/* act.c */
extern FswAct *fsw_acts_of(const FswFlag *flag, int index, const FswScopeEvidence *evidence,
						   int *nacts);
extern int	fsw_act_entry_from(const FswScopeEvidence *scope, int64 at);
extern void fsw_act_doubt(FswAct *act, FswConfidence at_most, FswCause cause);
extern bool fsw_act_has_value(const FswScopeEvidence *scope, int64 from, int64 to);

/* act_weigh.c */
extern void fsw_acts_weigh(const FswFlag *flag, const FswScopeEvidence *scope, FswScopeKind kind,
						   FswAct *acts, int nacts);

/* start.c */
extern int	fsw_start_add(const FswFlag *flag, int index, FswAct *acts, int nacts);

/* An act of an instant, of which no entry is known yet. */
static inline FswAct
fsw_act_at(int64 at)
{
	return (FswAct) {.at = at,.arrived = at,.read = at,.before = FSW_NOT_TOLD,.first_entry = FSW_FOREVER,
		.first_part = FSW_FOREVER,.last_part = FSW_NEVER,.unsure_until = FSW_NEVER,.evidence = -1};
}

/* period.c */
extern void fsw_scope_build(FswFlag *flag, int index, const FswScopeEvidence *evidence,
							FswTimeline *timeline);

#endif							/* FSW_ACT_H */
