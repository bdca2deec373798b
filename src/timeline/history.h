/*-------------------------------------------------------------------------
 *
 * src/timeline/history.h
 *	  Which audit entries and flag events are one act: interface of history.c.
 *
 * Nothing in here reads a table: what is compared is in the structures.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FSW_TIMELINE_HISTORY_H
#define FSW_TIMELINE_HISTORY_H

#include "src/timeline/model.h"

/* What an audit entry says may have changed, as far as acts tell it apart. */
typedef enum FswAbout
{
	FSW_ABOUT_OTHER,			/* nothing that a flag event tells */
	FSW_ABOUT_STATE,
	FSW_ABOUT_VALUE,
	FSW_ABOUT_VARIANT,
	FSW_ABOUT_CREATION,
	FSW_ABOUT_VERSION,
	FSW_ABOUT_DELETION
} FswAbout;

/* An audit entry, as far as it decides which flag events it explains. */
typedef struct FswEntryFacts
{
	FswAbout	about;
	bool		of_override;	/* it names a segment or an identity */
	bool		by_system;
	int64		at;
} FswEntryFacts;

/* A flag event, likewise. */
typedef struct FswEventFacts
{
	bool		of_segment;
	bool		of_identity;
	int64		at;
	int64		arrived;
} FswEventFacts;

/* How an entry explains an event: the lower the better, and 0 if not. */
typedef enum FswExplains
{
	FSW_EXPLAINS_NOT,
	FSW_EXPLAINS_SAVE,			/* within a second */
	FSW_EXPLAINS_READING,		/* what bears the time of a draft was read once
								 * more, in the middle of a save */
	FSW_EXPLAINS_VERSION,		/* written by a task of its own */
	FSW_EXPLAINS_REQUEST		/* the event bears the time of a draft */
} FswExplains;

/* How far an entry can be from the events it explains; microseconds. */
#define FSW_SAVE_REACH		INT64CONST(1000000)
#define FSW_VERSION_EARLY	INT64CONST(300000)
#define FSW_VERSION_USUAL	INT64CONST(1000000)		/* after the event */
#define FSW_VERSION_LATE	(5 * INT64CONST(60000000))
#define FSW_REQUEST_EARLY	INT64CONST(90000000)	/* before the arrival: a queue can stand still */
#define FSW_REQUEST_LATE	INT64CONST(2000000) /* after it */
#define FSW_DRAFT_AGE		INT64CONST(2000000)
#define FSW_READING_EARLY	INT64CONST(10000000)	/* before the arrival */
#define FSW_READING_LATE	INT64CONST(1000000) /* after it, by another clock */

/* A committed change request is so near to the entry of what it changed. */
#define FSW_COMMIT_EARLY	INT64CONST(2000000)
#define FSW_COMMIT_LATE		INT64CONST(10000000)

/* The entries of a deletion are so near to each other, and to its events. */
#define FSW_DELETION_REACH	INT64CONST(10000000)
#define FSW_DELETION_EARLY	INT64CONST(60000000)	/* before the arrival */
#define FSW_DELETION_LATE	INT64CONST(2000000) /* after it */

/* The entries of one save are within this time. */
#define FSW_SAVE_SPAN		INT64CONST(250000)

/*
 * And each so near to the one before: of 313 captured neighbours in one save
 * the farthest was 174 ms away, of those in two saves a third was farther.
 */
#define FSW_SAVE_GAP		INT64CONST(175000)

/*
 * The event of a value that was saved alone is so near to its entry; and so
 * near to each other are the entries of one save that nothing else is asked.
 */
#define FSW_VALUE_REACH		INT64CONST(50000)
#define FSW_VALUE_NEAR		INT64CONST(30000)

extern FswExplains fsw_explains(const FswEntryFacts *entry, const FswEventFacts *event);
extern int64 fsw_distance(int64 a, int64 b);
extern int	fsw_widest_gap(const int64 *at, int prior, int end);
extern void fsw_save_of(const FswAbout *about, const int64 *at, int n, int of, int *first, int *end);

#endif							/* FSW_TIMELINE_HISTORY_H */
