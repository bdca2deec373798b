/*-------------------------------------------------------------------------
 *
 * src/answer/unknown.h
 *	  Names and ids that mean nothing, or several things: interface of
 *	  unknown.c.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FSW_UNKNOWN_H
#define FSW_UNKNOWN_H

#include "src/base/fsw.h"
#include "src/read/read.h"

/* What a question is about: names, or ids in place of both. */
typedef struct FswQuestion
{
	const text *environment;	/* NULL: by ids */
	const text *feature;		/* NULL: the environment alone */
	const text *source;			/* of ids; NULL: the only one */
	int64		environment_id;
	int64		feature_id;
	bool		has_feature;	/* of ids */
} FswQuestion;

extern int	fsw_question_pairs(FswReader *reader, const FswQuestion *question, FswPair **pairs);
extern void fsw_tell_unknown(FswReader *reader, const FswQuestion *question);
pg_noreturn extern void fsw_raise_unknown(FswReader *reader, const FswQuestion *question);
pg_noreturn extern void fsw_raise_null(const char *what);
pg_noreturn extern void fsw_raise_ambiguous(FswReader *reader, const FswQuestion *question, const FswPair *pairs,
											const int *found, int nfound, int64 at);

#endif							/* FSW_UNKNOWN_H */
