/*-------------------------------------------------------------------------
 *
 * src/timeline/version_order.h
 *	  The search for the best order of versions: shared by version_order.c
 *	  and version_earlier.c.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FSW_VERSION_ORDER_H
#define FSW_VERSION_ORDER_H

#include "src/timeline/version.h"

/* What comes so soon did not wait. */
#define FSW_AT_ONCE			INT64CONST(2500000)

/* What the search for the best order works with. */
typedef struct FswVersionSearch
{
	FswVersions *set;
	int			nscopes;
	int		   *current;		/* states before each of the last versions */
	int		   *trial;
	FswVersion *kept;			/* an order to come back to */
} FswVersionSearch;

/* The states before a version, which is at most FSW_VERSION_BACK before the last tried. */
static inline int *
fsw_version_states_before(const FswVersionSearch *search, int version)
{
	return search->current + (size_t) (version % (FSW_VERSION_BACK + 1)) * search->nscopes;
}

extern int	fsw_version_try_range(FswVersionSearch *search, int first, int end);
extern bool fsw_version_have_untold(FswVersionSearch *search, int first, int end);

/* version_earlier.c */
extern int	fsw_version_try_earlier(FswVersionSearch *search, int index);

#endif							/* FSW_VERSION_ORDER_H */
