/*-------------------------------------------------------------------------
 *
 * src/answer/kept.h
 *	  What a function that a statement calls for each of many rows keeps from
 *	  one call to the next: interface of kept.c.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FSW_KEPT_H
#define FSW_KEPT_H

#include "fmgr.h"
#include "utils/timestamp.h"

#include "utils/resowner.h"

#include "src/read/read.h"

/* An environment that a call was about, and its pair without a feature. */
typedef struct FswKeptEnvironment
{
	MemoryContext mcxt;			/* NULL: nothing is kept here */
	FswPair    *pair;
	FswEnvironment *environment;
} FswKeptEnvironment;

#define FSW_KEPT_ENVIRONMENTS 128

/* Features without options that are remembered, by hash. */
#define FSW_KEPT_OPTIONLESS 64

typedef struct FswKept
{
	FswReader  *reader;			/* NULL: none is open */
	MemoryContext mcxt;			/* of the reader and what it read */
	MemoryContext work;			/* of one call */
	Snapshot	snapshot;		/* the reader's, held for it */
	ResourceOwner owner;		/* of what the reader holds */
	struct EState *estate;		/* tells when it ends; NULL: none does */
	MemoryContext pieces;		/* of what lines of history are made of */
	FswKeptEnvironment environments[FSW_KEPT_ENVIRONMENTS];
	uint64		optionless[FSW_KEPT_OPTIONLESS];	/* 0: none */
} FswKept;

extern FswKept *fsw_kept_begin(FunctionCallInfo fcinfo, TimestampTz known_at);
extern FswEnvironment *fsw_kept_environment(FswKept *kept, Datum source, int64 environment_id,
											const FswPair **pair);
extern MemoryContext fsw_kept_pieces(FswKept *kept);
extern void fsw_kept_end(FunctionCallInfo fcinfo, FswKept *kept);
extern FswKept *fsw_kept_borrow(FswKept *own);
extern MemoryContext fsw_kept_work(FswKept *kept);
extern void fsw_kept_return(FswKept *kept, FswKept *own);

#endif							/* FSW_KEPT_H */
