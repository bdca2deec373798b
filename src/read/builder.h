/*-------------------------------------------------------------------------
 *
 * src/read/builder.h
 *	  What the files that read a history share meanwhile.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FSW_BUILDER_H
#define FSW_BUILDER_H

#include "src/base/fsw.h"
#include "src/read/read.h"

typedef struct FswNameSince
{
	int64		since;
	int64		hash;
	bool		shared;			/* another override of the flag bore it, too */
} FswNameSince;

/* What has been read of a scope: its events from the first to the last time. */
typedef struct FswRange
{
	int64		from;			/* FSW_NEVER: from the first */
	int64		to;				/* FSW_FOREVER: to the last */
	bool		torn;			/* two states under one time */
} FswRange;

/* Which of the overrides in an index: a segment's, or an identity's. */
typedef struct FswOverride
{
	bool		is_segment;
	int64		segment_id;
	int64		identity;		/* hash */
} FswOverride;

/* An effect of an audit entry that was read, and from where on there is what it told. */
typedef struct FswEffectRead
{
	FswEntry	row;
	int			split;
	int64		at;
	int64		arrived;
	int			first;
} FswEffectRead;

/* A state of an identity that a page of states told, by its key alone. */
typedef struct FswImported
{
	int			scope;
	int64		state_id;
} FswImported;

/* What was read of the feature's variants between two instants. */
typedef struct FswSeenBetween
{
	int64		from;
	int64		to;
	int			n;
	int			max;
	FswSeen    *seen;
} FswSeenBetween;

/* What is needed only while reading. */
typedef struct FswHistoryReading
{
	FswReader  *reader;
	const FswFlagFacts *flag_facts;
	const FswAsked *asked;
	const int64 *near;			/* NULL: all of the history */
	FswHistory *history;
	int			maxevidence;
	int			maxscopes;
	int			nrows;
	int			maxrows;
	FswStateTable states;
	FswRange   *ranges;			/* by scope */
	int			nbuckets;		/* a power of two */
	int		   *buckets;		/* of the overrides' keys: a scope, or 0 */
	uint64	   *scope_keys;		/* by scope */
	FswNameSince **scope_names; /* by scope: hashes, as in
								 * audit_effect.scope_hash */
	int		   *nscope_names;
	int64		created_at;		/* of the feature, as far as it was read */
	int64		first;			/* near an instant of versions: all from here
								 * is read */
	bool		default_alone;	/* of lists, not the states of overrides */
	int			noverrides;		/* to be read near the instant */
	FswOverride *overrides;
	int			nsame;			/* effects read last, all of one time */
	int			maxsame;
	FswEffectRead *same;
	int			nimported;
	int			maximported;
	FswImported *imported;
	int			nseen;			/* stretches whose variants were read */
	int			maxseen;
	FswSeenBetween *seen;
} FswHistoryReading;

/* An entry of an index of states that was read at once with others. */
typedef struct FswEntryNear
{
	int64		at;
	bool		ahead;			/* its time is not believed */
	bool		seen;			/* its row is known to be seen */
	ItemPointerData row;
} FswEntryNear;

/* So many are, at most. */
#define FSW_ENTRIES_NEAR 32

/* The entries of a scope on both sides of an instant, and a walk over them. */
typedef struct FswBeside
{
	FswHistoryReading *reading;
	const FswOverride *override;
	FswScan    *scan;
	int64		anchor;			/* what the reach is told from */
	bool		learn;			/* of the reach */
	int			nsearches;		/* on one side, after one on both */
	bool		at_once;		/* entries has what is from one instant up to
								 * another */
	int64		from;
	int64		to;
	int			n;
	int			nbefore;		/* of these, those not after the instant */
	FswEntryNear entries[FSW_ENTRIES_NEAR];
	bool		before;			/* the walk goes that way */
	int			next;			/* of the entries */
	bool		searching;		/* behind them */
	FswEntryNear *entry;		/* the last that was found among the entries */
	bool		fetched;		/* and its row is read */
} FswBeside;

/* builder.c */
extern FswEvidence *fsw_read_evidence(FswHistoryReading *reading, FswEvidenceKind kind,
									  int scope, int64 at, int64 arrived);
extern uint64 fsw_read_person(const text *name);
extern int	fsw_read_row(FswHistoryReading *reading, int64 delivery, const char *changed_by,
						 bool has_priority, int64 priority);

extern void fsw_history_begin(FswHistoryReading *reading, FswReader *reader, const FswFlagFacts *flag_facts,
							  const FswAsked *asked, const int64 *near);
extern FswHistory *fsw_history_build(FswHistoryReading *reading);
extern void fsw_read_change(FswHistoryReading *reading, FswScan *scan, int scope);

/* scope.c */
extern int	fsw_add_scope(FswHistoryReading *reading, FswScopeKind kind, uint64 key);
extern int	fsw_segment_scope(FswHistoryReading *reading, int64 segment_id);
extern int	fsw_nameless_scope(FswHistoryReading *reading, const char *identifier);
extern int	fsw_override_scope(FswHistoryReading *reading, FswScan *scan);

/* around.c */
extern FswScan *fsw_scan_scope(FswHistoryReading *reading, const FswOverride *override);
extern FswOverride *fsw_find_overrides(FswHistoryReading *reading, int *n);
extern int64 fsw_hash_of_identity(FswScan *scan);
extern void fsw_read_around(FswHistoryReading *reading);

/* reach.c */
extern void fsw_beside_begin(FswBeside *beside, FswHistoryReading *reading, const FswOverride *override, bool few);
extern void fsw_beside_turn(FswBeside *beside, bool before);
extern bool fsw_beside_next(FswBeside *beside, int64 *at);
extern void fsw_beside_fetch(FswBeside *beside);
extern void fsw_beside_reached(FswBeside *beside, int64 at, bool whole);
extern void fsw_beside_end(FswBeside *beside);

/* told.c */
extern void fsw_read_told_scopes(FswHistoryReading *reading);
extern bool fsw_is_shared_name(FswHistoryReading *reading, int64 segment_id, int64 hash, int64 at);

/* audit.c */
extern bool fsw_is_ambiguous(FswHistoryReading *reading, int64 delivery, int ordinal, int split);
extern void fsw_read_scope_names(FswHistoryReading *reading);
extern void fsw_read_entries(FswHistoryReading *reading);
extern void fsw_read_versions(FswHistoryReading *reading);
extern void fsw_read_entry_effect(FswHistoryReading *reading, FswScan *scan);
extern bool fsw_read_list(FswHistoryReading *reading, FswScan *scan);

/* identifier.c */
extern void fsw_read_imported(FswHistoryReading *reading, FswScan *scan, int scope);
extern void fsw_read_identifiers(FswHistoryReading *reading);
extern int	fsw_find_imported_identity(FswHistoryReading *reading, int64 **hashes);

/* same.c */
extern bool fsw_is_read_already(FswHistoryReading *reading, FswScan *scan, int64 arrived);

/* seen.c */
extern int	fsw_see_variants(FswFlag *flag, int64 from, int64 to, const FswSeen **seen);

/* near_versions.c */
extern FswHistory *fsw_near_read(FswReader *reader, const FswFlagFacts *flag_facts, const FswAsked *asked,
								 int64 at);

#endif							/* FSW_BUILDER_H */
