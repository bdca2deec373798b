/*-------------------------------------------------------------------------
 *
 * src/timeline/version.h
 *	  What the files about versions share.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FSW_VERSION_H
#define FSW_VERSION_H

#include "src/timeline/model.h"

/* How many versions an event may be compared with, to find its own. */
#define FSW_VERSION_REACH	64

/* How many versions a list that came late may be put before. */
#define FSW_VERSION_BACK	16

/*
 * So much counts what contradicts: an event whose previous state is not what
 * was carried, a listed state that nobody has.  An override that is not listed
 * counts one, since it may have been removed.
 */
#define FSW_MISFIT			2

/* A version is told of so long after it went live, unless deliveries came late. */
#define FSW_TOLD_LATE		INT64CONST(10000000)

/* What is sent when a version goes live came so long after its entry: perhaps it was scheduled. */
#define FSW_GOES_LATER		INT64CONST(5000000)

/*
 * Of two versions that deletions date, one of which may be a draft, an entry or a
 * list is of the nearer one if the other is so many times as far.
 */
#define FSW_MUCH_NEARER		4

/* How many versions behind one say whether it was live. */
#define FSW_WITNESSES		3

/*
 * Carried between versions, beside what a state can be: told, but does not
 * fit.  What is less is the same of a state that was told last.
 */
#define FSW_LOST				(-4)

static inline int
fsw_lose(int state)
{
	return state >= 0 ? FSW_LOST - 1 - state : FSW_LOST;
}

static inline bool
fsw_is_lost(int state)
{
	return state <= FSW_LOST;
}

/* One published version, as far as it was told. */
typedef struct FswVersion
{
	bool		has_events;		/* flag events tell its time */
	bool		imported;		/* no version, but states read from the API */
	bool		never;			/* announced, but never live */
	bool		scheduled;		/* told of late, though its entry came at once */
	bool		moved;
	bool		far;			/* its events found nothing that is nearer */
	bool		unplaced;		/* it may be from before what its list lacks */
	bool		in_turn;		/* it would fit before the one in front of it, but
								 * their entries say no */
	bool		recalled;		/* it was put there, but may have been live since
								 * its list came */
	bool		unsure;			/* moved only since what a list lacks can have
								 * been from before it, or behind a list of
								 * which the events are lost */
	bool		fits;			/* it says what was carried, and what its
								 * events changed */
	bool		extra;			/* its list has a state that no override has */
	bool		awaits;			/* it is behind one of which an entry alone came,
								 * and that may go live yet */
	int64		time;
	int64		entry;			/* time of the audit entry, FSW_NEVER */
	int64		entry_arrived;
	int64		list_arrived;	/* FSW_NEVER */
	int64		shown;			/* earliest arrival of its events */
	const FswEvidence *list;
	int			list_index;
	int			nevents;
	int		   *events;			/* indexes of evidence, one for each scope */
	int64		earliest;		/* it went live in [earliest, latest] */
	int64		latest;
	int64		live;			/* best estimate of when */
	int			deleted;		/* evidence of FLAG_DELETED that tells its
								 * environment default; -1 */
} FswVersion;

/* Is an entry all that tells of it? */
static inline bool
fsw_version_is_silent(const FswVersion *version)
{
	return version->list == NULL && version->nevents == 0 && !version->imported && version->deleted < 0;
}

/* Was its entry written long after the time of its events? */
static inline bool
fsw_version_is_written_late(const FswVersion *version)
{
	return version->has_events && version->entry != FSW_NEVER && fsw_apart(version->entry, version->time) > FSW_TOLD_LATE;
}

/* Was its entry written when it was published, as it seems, but delivered late?  Then so was the rest, perhaps. */
static inline bool
fsw_version_is_late(const FswVersion *version)
{
	return version->has_events && version->entry != FSW_NEVER &&
		fsw_apart(version->entry_arrived, version->entry) > FSW_TOLD_LATE;
}

/* All versions of a flag, in the order in which they went live. */
typedef struct FswVersions
{
	FswFlag    *flag;
	int			nversions;
	FswVersion *versions;
	int			nused;			/* scopes that are not identities */
	int		   *used;
	int		   *seed;			/* state of each scope before the first */
	int64		begin;			/* saved state by state before; FSW_NEVER */
	int			ndropped;		/* behind these, those that were never live */
	bool		depends;		/* on when a state began that is read near an
								 * instant */
} FswVersions;

/* What a version's list says about a segment override. */
typedef enum FswVerdict
{
	FSW_LISTED,
	FSW_NOT_LISTED,
	FSW_CANNOT_TELL
} FswVerdict;

/* An override, sorted by its state, and a state of the list. */
typedef struct FswHeld
{
	int			state;
	int			scope;
} FswHeld;

/* A stretch in which the state of a scope did not change, as far as told. */
typedef struct FswStretch
{
	int64		from;
	int64		earliest;
	int64		latest;
	int			state;
	int			before;			/* FSW_NOT_SEEN where no event began it */
	FswConfidence confidence;
	FswCause	cause;
	int			evidence;
	bool		initial;
	int			version;		/* index of the version that began it; -1 */
	bool		weak;			/* a list agrees, but not with everything */
	bool		suspect;		/* its event's previous state does not fit, or
								 * that of the one it follows did not */
	bool		unfit;			/* its own did not */
	bool		undone;			/* without an event, a list has what was there
								 * before it */
	bool		listed;			/* a list agrees */
	bool		awaits;			/* so does the last of these lists' versions */
	int64		first_listed;	/* latest instant of the first such version */
	int64		last_listed;	/* earliest instant of the last such version */
	int			nuntold;		/* versions that say nothing about the scope */
	int			first_untold;	/* index of the first and of the first after */
	int			untold_after;	/* the last list: versions with events */
	int			silent_after;	/* the same: versions without any */
} FswStretch;

/* What was told of the environment default before the first event about it. */
typedef struct FswStart
{
	int			state;
	int			evidence;
	bool		agreed;			/* all that told says the same */
	FswConfidence confidence;
	FswCause	cause;
} FswStart;

extern void fsw_version_write(const FswVersions *set, FswTimeline *timeline, int scope,
							  const FswStretch *stretch, const FswStretch *next);
extern FswTimeline *fsw_version_doubt(const FswVersions *set, FswTimeline *timeline);

extern void fsw_version_time(FswFlag *flag, FswVersion *version);
extern int64 fsw_version_published_from(FswFlag *flag, const FswVersion *version);
extern bool fsw_version_may_follow(const FswVersions *set, const FswStretch *stretch,
								   const FswVersion *version);
extern void fsw_version_collect(FswVersions *versions);
extern int	fsw_version_try_events(const FswVersions *set, int *current, const FswVersion *version);
extern bool fsw_version_is_of_creation(const FswFlag *flag, int index);
extern bool fsw_version_of_deletion(const FswVersions *set, const FswEvidence *deletion);
extern const FswEvidence *fsw_version_event(const FswFlag *flag, const FswVersion *version, int scope);
extern bool fsw_version_share_scope(const FswFlag *flag, const FswVersion *a, const FswVersion *b);
extern int	fsw_version_try(const FswVersions *set, int *current, const FswVersion *version);
extern bool fsw_version_untold(const FswVersions *set, int *current, const FswVersion *version);
extern void fsw_version_order(FswVersions *versions);
extern void fsw_version_move(FswVersion *versions, int from, int to);

/* version_moved.c */
extern void fsw_version_time_by_arrival(FswVersions *set, int first, int last);
extern void fsw_version_time_later(FswVersions *set, int index);
extern void fsw_version_time_earlier(FswVersions *set, int index);
extern void fsw_version_time_chain(FswVersions *set);
extern void fsw_version_time_list(FswVersions *set, int index);

/* version_split.c */
extern int64 fsw_version_last_save(const FswFlag *flag);
extern void fsw_version_split(FswVersions *versions);

/* version_start.c */
extern FswStart fsw_version_start(const FswVersions *set);

/* version_never.c */
extern bool fsw_version_differ_by_option(const FswFlag *flag, int a, int b, int64 after, int64 arrived);
extern bool fsw_version_is_unfit(FswVersions *set, const FswEvidence *event, int was, const FswStretch *held);
extern bool fsw_version_misfits(const FswFlag *flag, int was, const FswEvidence *event);
extern bool fsw_version_other_default(const FswFlag *flag, int was, int is);
extern int	fsw_version_contradictions(const FswVersions *versions, int index);
extern int	fsw_version_never(const FswVersions *versions, int index, const int *before);
extern bool fsw_version_is_draft(const FswVersions *versions, int index, const int *before);
extern void fsw_version_drop(FswVersions *versions, int index, int n);
extern void fsw_version_drop_never(FswVersions *versions);
extern void fsw_version_write_dropped(const FswVersions *set, FswTimeline *timeline, int scope, int64 to);
extern void fsw_version_doubt_dropped(FswVersions *set, FswTimeline *timeline, int scope);

/* version_list.c */
extern void fsw_sort_states(int *states, int n);
extern bool fsw_version_lists(const FswEvidence *list, int state);
extern bool fsw_version_find(const FswVersions *versions, int *current, const FswEvidence *list);
extern int	fsw_version_compare(const FswVersions *versions, const int *current,
								const FswEvidence *list, FswHeld *held,
								FswVerdict *verdicts, int *extra, int *nlost);
extern FswConfidence fsw_version_absence(const FswVerdict *verdicts, int nheld, int extra, int nlost);

#endif							/* FSW_VERSION_H */
