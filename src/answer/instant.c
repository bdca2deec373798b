/*-------------------------------------------------------------------------
 *
 * src/answer/instant.c
 *	  What a door says to a timestamp without time zone.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/base/fsw.h"

PG_FUNCTION_INFO_V1(fsw_instant_without_zone);

/*
 * Stands beside each function with an argument "at", for one of the wrong
 * type.  The server would convert it by the session's TimeZone, and the answer
 * would be that of another hour for somebody else.
 */
Datum
fsw_instant_without_zone(PG_FUNCTION_ARGS)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATATYPE_MISMATCH),
			 errmsg("an instant must have a time zone"),
			 errdetail("The argument \"at\" is a timestamp without time zone, which is another instant in each zone."),
			 errhint("Say which zone it was written in: ... AT TIME ZONE 'Europe/Berlin'.")));
	PG_RETURN_NULL();
}
