/*-------------------------------------------------------------------------
 *
 * src/timeline/model.h
 *	  From evidence to a timeline: interface of timeline.c, clock.c,
 *	  import.c, request.c, start.c, variant.c, seen.c, version.c, near.c, holes.c and
 *	  cause.c.
 *
 * Nothing in here reads a table, a clock or a setting: a timeline is a
 * function of the arrays given.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FSW_MODEL_H
#define FSW_MODEL_H

#include "postgres.h"

#include "common/int.h"
#include "datatype/timestamp.h"

#include "src/timeline/pure.h"

/* In place of the index of a state. */
#define FSW_NOT_LIVE	(-1)	/* the scope has no state of its own */
#define FSW_NOT_TOLD	(-2)	/* nobody said which */
#define FSW_NOT_SEEN	(-3)	/* nothing was read so far */

#define FSW_NEVER		PG_INT64_MIN
#define FSW_FOREVER		PG_INT64_MAX

/*
 * An entry is written by a task, this long after a version at most.  Nothing
 * that tells of a version by itself is taken to be later.
 */
#define FSW_ENTRY_DELAY		INT64CONST(900000000)

/* How much the clocks of sender and receiver may differ. */
#define FSW_CLOCKS			INT64CONST(1000000)

/* How far away those are of which another one can need theirs. */
#define FSW_MATCH_REACH		(2 * FSW_ENTRY_DELAY + 2 * FSW_CLOCKS)

/*
 * One request saves the state, its value and its percentages one after the
 * other; each save has an audit entry of its own instant.  Microseconds.
 */
#define FSW_SAME_ACT	INT64CONST(500000)

/* A task that reads a state runs this long after the save that queued it. */
#define FSW_TASK_DELAY		INT64CONST(1000000)

/* Of two readings, the later one can arrive so much before the other. */
#define FSW_OVERTAKEN		INT64CONST(2000000)

/*
 * Where no entries come, what arrives by itself can be told so late: a queue
 * that stood still.
 */
#define FSW_LATE_ALONE	INT64CONST(90000000)

/*
 * The instant so long after another, or before it.  What the server could not
 * show as a timestamptz is no instant any more: before all, or after all.
 */
static inline int64
fsw_after(int64 at, int64 by)
{
	int64		result;

	if (at == FSW_NEVER || at == FSW_FOREVER)
		return at;
	if (pg_add_s64_overflow(at, by, &result) || !IS_VALID_TIMESTAMP(result))
		return by < 0 ? FSW_NEVER : FSW_FOREVER;
	return result;
}

/* How long an instant is after another, which may be longer than can be told. */
static inline int64
fsw_apart(int64 later, int64 earlier)
{
	int64		result;

	if (pg_sub_s64_overflow(later, earlier, &result))
		return later < earlier ? PG_INT64_MIN : PG_INT64_MAX;
	return result;
}

/* How far two instants are from each other, whichever is the later one. */
static inline int64
fsw_between(int64 a, int64 b)
{
	return fsw_apart(Max(a, b), Min(a, b));
}

/* Ordered: what is greater is surer.  The names are those of the SQL enum. */
typedef enum FswConfidence
{
	FSW_UNKNOWN,
	FSW_INFERRED,
	FSW_REPORTED,
	FSW_CONFIRMED
} FswConfidence;

/* What a period rests on, or why it is in doubt. */
typedef enum FswCause
{
	FSW_CAUSE_EVENT,
	FSW_CAUSE_IMPORT,
	FSW_CAUSE_DEFAULTS,
	FSW_CAUSE_PREVIOUS_STATE,
	FSW_CAUSE_VERSION_LIST,
	FSW_CAUSE_OVERRIDE_REMOVED,
	FSW_CAUSE_SEGMENT_DELETED,
	FSW_CAUSE_FEATURE_DELETED,
	FSW_CAUSE_STATE_DELETED,
	FSW_CAUSE_UNTOLD_CHANGE,
	FSW_CAUSE_UNTOLD_VERSION,
	FSW_CAUSE_UNTOLD_START,
	FSW_CAUSE_VARIANTS,
	FSW_CAUSE_CONTRADICTED,
	FSW_CAUSE_TORN,
	FSW_CAUSE_CROWDED,
	FSW_CAUSE_AMBIGUOUS_LIST,
	FSW_CAUSE_PUBLISHING,
	FSW_CAUSE_EXPERIMENT,
	FSW_CAUSE_DELETING,
	FSW_CAUSE_MISSING_ENTRIES,
	FSW_CAUSE_ENVIRONMENT_DELETED
} FswCause;

/* A variant of a state: hashes of the option and of its percentage. */
typedef struct FswShare
{
	uint64		option;
	uint64		percentage;
} FswShare;

/* One distinct state; the caller gives equal states the same index. */
typedef struct FswState
{
	bool		enabled;
	bool		has_variants;
	bool		no_value;		/* null, or not told */
	int			nvariants;
	uint64		value;			/* the same for equal values */
	uint64		rest;			/* the same for equal values and variants */
	uint64		shares;			/* hash of the variants */
	const FswShare *each;		/* these one by one, sorted */
	uint64		content;		/* hash of it all, for ties */
} FswState;

/* Are two states the same, whatever their variants? */
static inline bool
fsw_same_but_variants(const FswState *a, const FswState *b)
{
	return a->enabled == b->enabled && a->value == b->value;
}

typedef enum FswEvidenceKind
{
	FSW_EV_BODY,				/* a flag event with a state */
	FSW_EV_IMPORT,				/* a state read from the REST API */
	FSW_EV_DELETED,				/* FLAG_DELETED; its before is a state once
								 * held */
	FSW_EV_STATE,				/* audit entry with exactly the time that the
								 * body has too */
	FSW_EV_VALUE,				/* audit entry of the value, some ms away */
	FSW_EV_NEAR,				/* the same of a percentage, or a creation */
	FSW_EV_DOUBT,				/* audit entry that may mean this scope */
	FSW_EV_REQUEST,				/* a change request or schedule took effect */
	FSW_EV_REMOVAL,				/* the override was removed */
	FSW_EV_STATE_DELETED,		/* the state in this environment was deleted */
	FSW_EV_OPTION,				/* a variant was added or removed, all scopes */
	FSW_EV_VERSION,				/* a version was published (audit entry) */
	FSW_EV_LIST					/* a version was published, with its states */
} FswEvidenceKind;

/* The person of an event that an API key saved, whatever it is called. */
#define FSW_API_KEY		UINT64CONST(1)

typedef struct FswEvidence
{
	int64		at;				/* the time it tells; of a list, none */
	int64		arrived;		/* earliest arrival */
	uint64		digest;			/* for ties */
	uint64		version;		/* hash of the version's uuid */
	uint64		person;			/* hash of who saved or published it; 0 if
								 * nothing says */
	int			scope;			/* index; of versions and options, unused */
	FswEvidenceKind kind;
	int			state;			/* index of the state it tells */
	int			before;			/* of previous_state; FSW_NOT_LIVE if absent */
	int			nlist;			/* states of a version's list, the default
								 * first */
	int		   *list;
	int			step;			/* of an option: 1 added, -1 removed, 0 */
	bool		creation;		/* of FSW_EV_NEAR: the state was made */
	bool		by_nobody;		/* an event that names no author */
	int			row;			/* for the caller */
	bool		requested;		/* it took effect as a change request, at once */
	bool		guessed;		/* of a type of event that is not known */
	bool		replaced;		/* a draft may have taken effect after it */
	bool		variants_untold;	/* an import without the variants it has */
	bool		punctual;		/* of a list: it arrived when its version went
								 * live, neither earlier nor later */
	bool		settled;		/* what came with it is not read: no part in
								 * any order */
} FswEvidence;

typedef enum FswScopeKind
{
	FSW_SCOPE_DEFAULT,			/* always the scope with index 0 */
	FSW_SCOPE_SEGMENT,
	FSW_SCOPE_IDENTITY
} FswScopeKind;

typedef struct FswScope
{
	FswScopeKind kind;
	int64		created_at;		/* as of the flag, if the evidence about the
								 * scope begins there */
	int64		ended;			/* when its segment was deleted */
	bool		silent;			/* of an experiment: changes without a word */
	bool		unnamed;		/* entries about it can't be told from others */
	bool		unasked;		/* it only tells of others: its own periods are
								 * not wanted */
} FswScope;

/* The variants of the feature, as an event of any of its environments shows them. */
typedef struct FswSeen
{
	int64		heard;			/* since then the environment is heard of */
	int			state;			/* has them */
	int			before;			/* has those of its previous state;
								 * FSW_NOT_TOLD: no percentage is as it was
								 * added, as far as is known */
	bool		versioned;		/* those are, that its previous state has; else
								 * those that it lacks */
} FswSeen;

/* A state, and which piece of evidence told it. */
typedef struct FswToldState
{
	int			state;
	int			evidence;
} FswToldState;

/* A state that was read between two instants. */
typedef struct FswReading
{
	FswToldState held;
	int64		from;
	int64		until;
	FswToldState later;			/* what the next one says was before it;
								 * FSW_NOT_TOLD */
} FswReading;

/* All that is known about one feature in one environment. */
typedef struct FswFlag FswFlag;
struct FswFlag
{
	int64		created_at;		/* feature and environment both exist from
								 * here; FSW_NEVER if not known */
	int64		deleted_at;		/* the feature was deleted; FSW_FOREVER */
	bool		deleted_exactly;	/* an audit entry tells gone to the
									 * microsecond */
	FswCause	deleted_with;	/* the feature or the environment */
	bool		versioned;		/* published in versions */
	bool		near;			/* of its versions, those near an instant, and
								 * of overrides nothing from before them */
	bool		early;			/* something arrived before it was told, or an
								 * import lacks what may not be read */
	int64		latest_audit_at;	/* latest audit entry of the project */
	int			defaults;		/* state that the feature's defaults make */
	bool		defaults_complete;	/* it was made so, and without variants */
	bool		start_untold;	/* no entry tells that it was there from
								 * created_at on, or it is a copy */
	bool		creation_told;	/* every option since can have been told */
	bool		clone;			/* made as a copy of an unknown flag */
	FswConfidence absence;		/* that an override nobody told is not there */
	int			nstates;
	FswState   *states;
	int			nscopes;
	FswScope   *scopes;
	int			nevidence;
	FswEvidence *evidence;
	int			noptions;		/* the builder's: times of FSW_EV_OPTION */
	int64	   *options;
	int		   *option_steps;
	int			nremoved;		/* of these, the times of what was removed: an */
	int64	   *removed;		/* override gets no variant that is added */
	int			nmoves;			/* when the overrides saved one by one were put */
	int64	   *moves;			/* in another order; the next to an instant */
	bool		last_edit_unclear;	/* FLAG_DELETED told others than known */
	/*
	 * the state that is the one but for the other's variants, or without any
	 * for FSW_NOT_LIVE; moves states
	 */
	int			(*combine) (FswFlag *flag, int state, int variants);
	/*
	 * the state with the other's variants alone: with the percentages that it
	 * has itself, else those of a third, else without; moves states
	 */
	int			(*adopt) (FswFlag *flag, int state, int variants, int added);
	void	   *combine_with;	/* the caller's */

	/*
	 * what was read of the feature's variants between two of options, of each
	 * environment the first and the last; moves states; NULL: nothing
	 */
	int			(*see) (FswFlag *flag, int64 from, int64 to, const FswSeen **seen);
	void	   *see_with;
	/* of two rows that nothing else tells apart, which is first; NULL: as read */
	int			(*order) (const FswFlag *flag, int row, int other);
	void	   *order_with;
};

typedef struct FswPeriod
{
	int			scope;
	int64		from;
	int64		to;				/* exclusive */
	int			state;			/* best estimate; FSW_NOT_LIVE, FSW_NOT_TOLD */
	FswConfidence confidence;
	FswCause	cause;
	int			evidence;		/* what told the state; -1 */
} FswPeriod;

/* Audit entries are missing that were made between these instants. */
typedef struct FswHole
{
	int64		from;
	int64		until;
} FswHole;

/* Periods by scope, then by time, without gaps within a scope. */
typedef struct FswTimeline
{
	int			nperiods;
	int			maxperiods;
	FswPeriod  *periods;

	/*
	 * that there is no segment override but those told; NULL: reported at
	 * best
	 */
	struct FswTimeline *others;
	int			nreorders;		/* versions that may have moved priorities */
	int64	   *reorders;
	const struct FswVersions *versions; /* in their order; NULL without */
} FswTimeline;

extern FswTimeline *fsw_timeline_build(FswFlag *flag);
extern FswConfidence fsw_timeline_absence(const FswTimeline *timeline, int64 at);
extern const FswPeriod *fsw_timeline_at(const FswTimeline *timeline, int scope,
										int64 at);

/* What timeline.c and version.c share. */
extern void fsw_timeline_free(FswTimeline *timeline);
extern void fsw_timeline_append(FswTimeline *timeline, const FswTimeline *more);
extern void fsw_timeline_add(FswTimeline *timeline, int scope, int64 from,
							 int64 to, int state, FswConfidence confidence,
							 FswCause cause, int evidence);
extern FswPeriod *fsw_timeline_take(FswTimeline *timeline, int first, int *n);
extern void fsw_timeline_put(FswTimeline *timeline, const FswPeriod *period, int64 from, int64 to,
							 const FswPeriod *changed);
extern void fsw_timeline_lower(FswTimeline *timeline, int first, int64 from,
							   int64 to, FswConfidence at_most, FswCause cause);
extern void fsw_timeline_cut(FswTimeline *timeline, int first, int scope,
							 int64 at, FswConfidence confidence,
							 FswCause cause);
extern void fsw_timeline_end(FswTimeline *timeline, int first, int scope,
							 int64 at, FswConfidence confidence,
							 FswCause cause);
extern FswTimeline *fsw_timeline_before(FswFlag *flag, int scope, int64 until);
extern int	fsw_timeline_first(const int64 *times, int n, int64 at);

/* clock.c */
extern void fsw_clock_set(FswFlag *flag);

/* import.c */
extern bool fsw_imports_set(FswFlag *flag);
extern void fsw_imports_lower(const FswFlag *flag, FswTimeline *timeline);

/* request.c */
extern void fsw_requests_place(FswFlag *flag);

/* variant.c */
extern void fsw_shares_sort(FswShare *shares, int n);
extern bool fsw_variants_is_another(const FswFlag *flag, int option);
extern int	fsw_shares_changed(const FswState *was, const FswState *is);
extern bool fsw_state_follows(const FswState *state, const FswState *before, const FswState *other);
extern int	fsw_variants_count(const FswFlag *flag, int n);
extern bool fsw_variants_miscounted(const FswFlag *flag, int64 read_from, int64 read_until, int nvariants);
extern bool fsw_variants_is_guess(const FswPeriod *period, const FswToldState *guessed);
extern void fsw_variants_tell(FswTimeline *timeline, int first, int64 from, int64 to,
							  const FswToldState *guessed, FswToldState told, FswConfidence confidence);
extern void fsw_variants_tell_none(FswFlag *flag, FswTimeline *timeline, int first, int scope,
								   int64 read_from, int64 read_until, int state, int64 to);

/* seen.c */
extern void fsw_seen_tell(FswFlag *flag, FswTimeline *timeline, int first, const FswReading *reading);
extern bool fsw_seen_is_told(const FswPeriod *period);

/* version.c */
extern void fsw_version_build(FswFlag *flag, FswTimeline *timeline, FswTimeline **per_scope);

/*
 * So long before and after a stretch nothing happened or arrived: no event is
 * put together with what is told beyond that, but in need.
 */
#define FSW_QUIET	INT64CONST(21000000)

/*
 * What was read of versions around an instant.  All evidence from first to
 * last is there, and beside it pieces that are settled.
 */
typedef struct FswNear
{
	int64		at;
	int64		lists_from;		/* lists that arrived since then were read */
	int64		read_from;		/* and all that happened or arrived since then, */
	int64		read_to;		/* up to then; FSW_FOREVER: to the end */
	int64		first;
	int64		last;			/* FSW_FOREVER: to the end */
	int64		exact_from;		/* so far it is certain which events are whose */
	int64		exact_to;
	bool		begun;			/* the first list of all is there */
	bool		awaits;			/* result: of a version an entry alone came, which
								 * may go live yet */
	int64		first_version;	/* result: the earliest instant of the first one
								 * that is read */
	int			at_last;		/* where no later event is: what the last list
								 * of all says */
	bool		since;			/* result: the run began at a settled event, */
	bool		until;			/* ended at one */
	int			begin;			/* result: periods of the run */
	int			end;
} FswNear;

/* near_cut.c */
extern int	fsw_near_other(const FswFlag *flag, int index);
extern bool fsw_near_cut(FswFlag *flag, FswNear *near);

/* near.c */
extern bool fsw_near_is_sure(const FswFlag *flag, const FswTimeline *timeline, int scope,
							 FswNear *near);
extern bool fsw_near_tells_absence(const FswFlag *flag, const FswTimeline *timeline, const FswNear *near);

/* holes.c */
extern void fsw_guessed_lower(const FswFlag *flag, FswTimeline *timeline);
extern bool fsw_holes_count(const FswFlag *flag, const FswEvidence *piece);
extern void fsw_holes_lower(const FswFlag *flag, FswTimeline *timeline, int64 made, int nholes,
							const FswHole *holes);

/* cause.c */
extern const char *const fsw_confidence_names[];
extern const char *const fsw_cause_names[];

#endif							/* FSW_MODEL_H */
