/*-------------------------------------------------------------------------
 *
 * src/answer/kept.c
 *	  What a function that a statement calls for each of many rows keeps from
 *	  one call to the next.
 *
 * A view asks for each flag, or each line, by itself, and what it takes to
 * open the tables and to read what is the same for all flags of an environment
 * is more than what a flag is read by.  So the reader of the first call stays
 * open until the executor that calls ends, as the searches of its own nodes
 * do, and so does what was read of environments.  All of that is seen by one
 * snapshot; a call with another begins anew.
 *
 * A function that returns no set has no executor to be told by when it ends.
 * It borrows what another of the same statement keeps.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "executor/executor.h"
#include "nodes/execnodes.h"
#include "utils/datum.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "src/answer/kept.h"
#include "src/base/fsw.h"
#include "src/read/history.h"

/* What a call for one flag needs, mostly for the searches of indexes. */
#define CALL_MEMORY		(1024 * 1024)

/* So much is kept of the lines before: the pieces of one act are near each other. */
#define PIECES_MEMORY	(256 * 1024)
#define PIECES_KEPT		(FSW_NEIGHBOURS / 2)

/* An environment is in one of so many places. */
#define PLACES			8

/*
 * What was kept last, to be borrowed.  If a transaction or a subtransaction
 * ended since, it may be gone.
 */
static FswKept *latest = NULL;
static uint64 latest_counter = 0;

/* Close the reader, and forget all that it read. */
static void
forget(FswKept *kept)
{
	if (latest == kept)
		latest = NULL;
	if (kept->reader == NULL)
		return;
	Assert(kept->owner == CurrentResourceOwner);
	fsw_reader_close(kept->reader);
	kept->reader = NULL;
	UnregisterSnapshot(kept->snapshot);
	memset(kept->environments, 0, sizeof(kept->environments));
	memset(kept->optionless, 0, sizeof(kept->optionless));
	kept->pieces = NULL;
	MemoryContextReset(kept->mcxt);
}

/* The executor ends.  After an error it does not come here: then all is released with the transaction. */
static void
forget_at_end(Datum arg)
{
	FswKept    *kept = (FswKept *) DatumGetPointer(arg);

	forget(kept);
	kept->estate = NULL;
}

/* The executor that calls a function, NULL if it is called by none. */
static EState *
caller_of(FunctionCallInfo fcinfo)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;

	return rsinfo == NULL || !IsA(rsinfo, ReturnSetInfo) || rsinfo->econtext == NULL ? NULL :
		rsinfo->econtext->ecxt_estate;
}

static FswKept *
kept_of(FunctionCallInfo fcinfo)
{
	FswKept    *kept = fcinfo->flinfo->fn_extra;

	if (kept != NULL)
		return kept;
	kept = MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt, sizeof(FswKept));
	kept->mcxt = AllocSetContextCreate(fcinfo->flinfo->fn_mcxt, "flag reader", ALLOCSET_DEFAULT_SIZES);

	/*
	 * To get it from the system anew for each call costs as much as what a
	 * flag is read by.
	 */
	kept->work = AllocSetContextCreate(fcinfo->flinfo->fn_mcxt, "flag state", 0, CALL_MEMORY,
									   ALLOCSET_DEFAULT_MAXSIZE);
	fcinfo->flinfo->fn_extra = kept;
	return kept;
}

/* Open a reader, for the calls of an executor if that is not NULL. */
static void
open_reader(FswKept *kept, EState *estate)
{
	MemoryContext caller = MemoryContextSwitchTo(kept->mcxt);

	kept->owner = CurrentResourceOwner;
	kept->snapshot = RegisterSnapshot(GetActiveSnapshot());
	kept->reader = fsw_reader_open();
	kept->reader->keeps_names = estate != NULL;
	if (estate != kept->estate)
	{
		/*
		 * that of the node would not do: a nested loop ends it with each row
		 */
		ExprContext *econtext = CreateExprContext(estate);

		RegisterExprContextCallback(econtext, forget_at_end, PointerGetDatum(kept));
		kept->estate = estate;
	}
	MemoryContextSwitchTo(caller);
}

/* Begin a call: its reader is ready, and its memory is empty. */
FswKept *
fsw_kept_begin(FunctionCallInfo fcinfo, TimestampTz known_at)
{
	FswKept    *kept = kept_of(fcinfo);

	if (kept->reader != NULL && (kept->snapshot != GetActiveSnapshot() || kept->reader->known_at != known_at))
		forget(kept);
	if (kept->reader == NULL)
		open_reader(kept, caller_of(fcinfo));
	else
		fsw_copy_check(kept->snapshot);
	kept->reader->known_at = known_at;
	MemoryContextReset(kept->work);
	latest = kept;
	latest_counter = fsw_xact_counter();
	return kept;
}

/* Where what lines of history are made of is read into. */
MemoryContext
fsw_kept_pieces(FswKept *kept)
{
	const FswPieces *pieces = kept->reader->pieces;

	if (kept->pieces == NULL)
		kept->pieces = AllocSetContextCreate(kept->mcxt, "history pieces", ALLOCSET_DEFAULT_SIZES);
	else if (MemoryContextMemAllocated(kept->pieces, false) > PIECES_MEMORY ||
			 (pieces != NULL && pieces->nentries + pieces->nevents + pieces->nlists > PIECES_KEPT))
	{
		MemoryContextReset(kept->pieces);
		kept->reader->pieces = NULL;
	}
	return kept->pieces;
}

/*
 * The place of an environment: the one that it is kept in, else the first of a
 * few that is free, else the first of them.
 */
static FswKeptEnvironment *
place_of(FswKept *kept, Datum source, int64 environment_id)
{
	uint32		hash = hash_bytes((unsigned char *) &environment_id, sizeof(int64));
	FswKeptEnvironment *place = NULL;

	for (uint32 i = 0; i < PLACES; i++)
	{
		FswKeptEnvironment *here = &kept->environments[(hash + i) % FSW_KEPT_ENVIRONMENTS];

		if (here->mcxt == NULL)
			return here;
		if (here->pair->environment_id == environment_id && fsw_same_text(here->pair->source, source))
			return here;
		if (place == NULL)
			place = here;
	}
	MemoryContextDelete(place->mcxt);
	place->mcxt = NULL;
	return place;
}

/*
 * What is the same for all flags of an environment, and its pair without a
 * feature.  Of many environments some are read again.
 */
FswEnvironment *
fsw_kept_environment(FswKept *kept, Datum source, int64 environment_id, const FswPair **pair)
{
	FswKeptEnvironment *place = place_of(kept, source, environment_id);

	if (place->mcxt == NULL)
	{
		MemoryContext mcxt = AllocSetContextCreate(kept->mcxt, "environment facts", ALLOCSET_SMALL_SIZES);
		MemoryContext caller = MemoryContextSwitchTo(mcxt);

		place->pair = fsw_resolve_environment(kept->reader, datumCopy(source, false, -1), environment_id);
		place->environment = fsw_environment(place->pair, kept->reader->known_at);
		MemoryContextSwitchTo(caller);
		place->mcxt = mcxt;
	}
	*pair = place->pair;
	return place->environment;
}

/* A call ends.  Without an executor, nobody would close the reader later. */
void
fsw_kept_end(FunctionCallInfo fcinfo, FswKept *kept)
{
	if (caller_of(fcinfo) == NULL)
		forget(kept);
}

/*
 * What another function of this statement keeps; else *own, with a reader that
 * is open until it is returned.  Of the pieces of lines nothing may be read.
 */
FswKept *
fsw_kept_borrow(FswKept *own)
{
	if (latest != NULL && latest_counter == fsw_xact_counter() && latest->reader != NULL &&
		latest->owner == CurrentResourceOwner && latest->snapshot == GetActiveSnapshot() &&
		latest->reader->known_at == DT_NOEND)
	{
		fsw_copy_check(latest->snapshot);
		return latest;
	}
	memset(own, 0, sizeof(FswKept));
	own->mcxt = AllocSetContextCreate(CurrentMemoryContext, "flag reader", ALLOCSET_DEFAULT_SIZES);
	open_reader(own, NULL);
	return own;
}

/* Empty memory for what is borrowed: that of the calls of whom it is borrowed from, which need it no more. */
MemoryContext
fsw_kept_work(FswKept *kept)
{
	if (kept->work == NULL)
		return kept->mcxt;
	MemoryContextReset(kept->work);
	return kept->work;
}

void
fsw_kept_return(FswKept *kept, FswKept *own)
{
	if (kept != own)
		return;
	forget(own);
	MemoryContextDelete(own->mcxt);
}
