/*-------------------------------------------------------------------------
 *
 * src/timeline/naming.h
 *	  When a thing bore which name: interface of naming.c.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FSW_NAMING_H
#define FSW_NAMING_H

#include "postgres.h"

/* A time at which a thing was seen under a name; microseconds. */
typedef struct FswSighting
{
	int64		at;
	bool		exact;			/* an audit entry about the thing itself */
} FswSighting;

/*
 * The next sighting of one of the names behind an instant; false if there is
 * none.  Names have indexes, in an order that does not depend on ids.
 */
typedef bool (*FswNextSighting) (void *source, int name, int64 after, FswSighting *next);

/* From an instant on, a name. */
typedef struct FswNaming
{
	int64		from;
	int			name;
} FswNaming;

extern FswNaming *fsw_naming_build(int nnames, FswNextSighting next_sighting, void *source, int *n);

#endif							/* FSW_NAMING_H */
