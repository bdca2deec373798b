/*-------------------------------------------------------------------------
 *
 * src/evidence.h
 *	  The history of one flag, read from the tables: interface of evidence.c.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FSW_EVIDENCE_H
#define FSW_EVIDENCE_H

#include "fmgr.h"
#include "utils/timestamp.h"

#include "src/timeline.h"

/* What a state is shown as; both can be NULL pointers. */
typedef struct FswShownState
{
	Datum		value;			/* jsonb */
	Datum		variants;		/* jsonb: percentage by option id */
} FswShownState;

/* Which override a scope is. */
typedef struct FswShownScope
{
	int64		segment_id;
	char	   *identity_kind;
	char	   *identity;
	char	   *identity_identifier;
} FswShownScope;

/* Where a piece of evidence came from. */
typedef struct FswShownRow
{
	int64		delivery;
	char	   *changed_by;
	bool		has_priority;
	int64		priority;
} FswShownRow;

typedef struct FswHistory
{
	FswFlag		flag;
	FswTimeline *timeline;
	bool		has_project;
	int64		project_id;
	FswShownState *shown_states;
	FswShownScope *shown_scopes;
	FswShownRow *shown_rows;
} FswHistory;

/* How much of a history is needed. */
typedef enum FswReadMode
{
	FSW_READ_STATES,			/* of the environment default; no confidence */
	FSW_READ_SEGMENTS,			/* all scopes but identities */
	FSW_READ_ALL
} FswReadMode;

/*
 * Around one instant, this many pieces of evidence to either side are read.
 * At most 5 events of one scope overlap in a busy installation; the rest is
 * for outages, after which everything arrives at once.
 */
#define FSW_WINDOW 64

/* While a history is read: the states it has so far. */
typedef struct FswStateTable
{
	FswHistory *history;
	MemoryContext mcxt;			/* of the history */
	int			maxstates;
	int			nbuckets;		/* a power of two */
	int		   *buckets;		/* index of a state + 1 */
} FswStateTable;

extern int	fsw_intern_state(FswStateTable *table, bool enabled, Datum value,
							 bool value_isnull, Datum variants,
							 bool variants_isnull);

/* An environment and a feature that a pair of names means in [from, to). */
typedef struct FswPair
{
	Datum		source;			/* text */
	bool		has_project;
	int64		project_id;
	int64		environment_id;
	int64		feature_id;
	int64		from;
	int64		to;
	int64		environment_sight;	/* when the names were seen first */
	int64		feature_sight;
} FswPair;

extern int	fsw_resolve(MemoryContext mcxt, const text *environment,
						const text *feature, FswPair **pairs);
extern int	fsw_resolve_at(const FswPair *pairs, int npairs, int64 at, int *found);
extern FswHistory *fsw_history_read(MemoryContext mcxt, Datum source,
									int64 environment_id, int64 feature_id,
									TimestampTz known_at, FswReadMode mode,
									const int64 *near);
extern bool fsw_history_is_longer(Datum source, int64 environment_id,
								  int64 feature_id, int64 nchanges);
extern const FswShownRow *fsw_history_row(const FswHistory *history,
										  const FswPeriod *period);

#endif							/* FSW_EVIDENCE_H */
