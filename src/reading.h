/*-------------------------------------------------------------------------
 *
 * src/reading.h
 *	  What evidence.c and touch.c share while they read a history.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FSW_READING_H
#define FSW_READING_H

#include "src/evidence.h"
#include "src/flagsmith_webhook.h"

typedef struct FswNameSince
{
	int64		since;
	int64		hash;
} FswNameSince;

/* What is needed only while reading. */
typedef struct FswHistoryReading
{
	FswHistory *history;
	MemoryContext mcxt;
	Datum		source;
	int64		environment_id;
	int64		feature_id;
	TimestampTz known_at;
	FswReadMode mode;
	const int64 *near;			/* NULL: all of the history */
	bool		versioned;
	int			maxevidence;
	int			maxscopes;
	int			nrows;
	int			maxrows;
	FswStateTable states;
	FswNameSince **segment_names;	/* by scope, NULL unless a segment */
	int		   *nsegment_names;
	int64	   *identity_hashes;	/* by scope */
	int			nfeature_names;
	Datum	   *feature_hashes;
	int64		feature_born;
	bool		creation_told;	/* by an audit entry */
} FswHistoryReading;

/* evidence.c: statements, columns of their rows, and what is made of them */
extern int	fsw_read_run(FswPlanId id, const char *sql, int nargs, const Oid *types,
						 Datum *values);
extern Datum fsw_read_column(int row, int number, bool *isnull);
extern int64 fsw_read_int64(int row, int number, int64 otherwise);
extern bool fsw_read_bool(int row, int number);
extern char *fsw_read_cstring(int row, int number);
extern FswEvidence *fsw_read_evidence(FswHistoryReading *reading, FswEvidenceKind kind,
									  int scope, int64 at, int64 arrived);
extern int	fsw_read_row(FswHistoryReading *reading, int64 delivery, const char *changed_by,
						 bool has_priority, int64 priority);

/* touch.c */
extern void fsw_read_segments(FswHistoryReading *reading);
extern void fsw_read_touches(FswHistoryReading *reading);
extern void fsw_read_versions(FswHistoryReading *reading);

#endif							/* FSW_READING_H */
