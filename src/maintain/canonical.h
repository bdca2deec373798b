/*-------------------------------------------------------------------------
 *
 * src/maintain/canonical.h
 *	  Values in a form that is the same on every server, to be hashed.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FSW_CANONICAL_H
#define FSW_CANONICAL_H

#include "lib/stringinfo.h"

#include "src/base/fsw.h"

extern void fsw_append_canonical(StringInfo out, Oid type, Datum value);
extern void fsw_append_digest(StringInfo out, Oid type, Datum value);

/* row_digest.c */
extern bytea *fsw_row_digests(const int64 *deliveries, int count, bool read_only, FswProgress *progress);
extern int64 *fsw_expand_ranges(Datum multirange, int *count);

#endif							/* FSW_CANONICAL_H */
