/*-------------------------------------------------------------------------
 *
 * src/timeline/version.h
 *	  What version.c and version_order.c share.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FSW_VERSION_H
#define FSW_VERSION_H

#include "src/timeline/model.h"

/* Carried between versions, beside what a state can be: told, but does not fit. */
#define FSW_LOST				(-4)

/* One published version, as far as it was told. */
typedef struct FswVersion
{
	bool		has_events;		/* flag events tell its time */
	int64		time;
	int64		entry;			/* time of the audit entry, FSW_NEVER */
	int64		list_arrived;	/* FSW_NEVER */
	const FswEvidence *list;
	int			list_index;
	int			nevents;
	int		   *events;			/* indexes of evidence, one for each scope */
	int64		earliest;		/* it went live in [earliest, latest] */
	int64		latest;
	int64		live;			/* best estimate of when */
	bool		moved;
} FswVersion;

/* All versions of a flag, in the order in which they went live. */
typedef struct FswVersions
{
	FswFlag    *flag;
	int			nversions;
	FswVersion *versions;
	int			nused;			/* scopes that are not identities */
	int		   *used;
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

extern void fsw_version_collect(FswVersions *versions);
extern void fsw_version_order(FswVersions *versions);
extern int	fsw_version_compare(const FswVersions *versions, const int *current,
								const FswEvidence *list, FswHeld *held,
								FswVerdict *verdicts, int *extra, int *nlost);

#endif							/* FSW_VERSION_H */
