/*-------------------------------------------------------------------------
 *
 * src/timeline/version_match.h
 *	  What is put together to versions: interface of version_gather.c.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FSW_VERSION_MATCH_H
#define FSW_VERSION_MATCH_H

#include "src/timeline/version.h"

/* The events of one time, or a FLAG_DELETED, and the versions they can be. */
typedef struct FswGroup
{
	int64		time;
	int64		shown;			/* earliest arrival */
	bool		imported;
	bool		deleted;
	bool		ended;			/* some deletion has its very time */
	bool		repeats;		/* a deletion of a version that events tell */
	int			nevents;
	int		   *events;			/* indexes of evidence, one for each scope */
	int			version;		/* -1 */
	int			start;			/* the first version that is not too early */
	int			ncandidates;
	int			maxcandidates;
	int		   *candidates;		/* versions, the likeliest first */
	int64	   *costs;
} FswGroup;

typedef struct FswMatch
{
	FswFlag    *flag;
	FswVersion *versions;
	int			nversions;		/* told by an entry or a list */
	int		   *owner;			/* by version: a group, or -1 */
	int		   *visited;		/* by version: the group that looked last */
	int			ngroups;
	FswGroup   *groups;
} FswMatch;

extern FswVersion *fsw_match_begin(FswVersion *version);
extern void fsw_match_gather(FswMatch *match);

#endif							/* FSW_VERSION_MATCH_H */
