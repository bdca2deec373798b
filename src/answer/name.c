/*-------------------------------------------------------------------------
 *
 * src/answer/name.c
 *	  What a thing was called, for the views.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "src/answer/kept.h"
#include "src/base/fsw.h"
#include "src/read/read.h"

PG_FUNCTION_INFO_V1(fsw_name);

/*
 * _name(source text, kind text, id text, at timestamptz) returns text - what a
 * project, an environment, a feature or a segment was called at an instant,
 * else at first.  NULL if it was never heard of.
 */
Datum
fsw_name(PG_FUNCTION_ARGS)
{
	FswKept		own;
	FswKept    *kept = fsw_kept_borrow(&own);
	FswNames	names;
	const text *name;

	fsw_names_read(kept->reader, PointerGetDatum(PG_GETARG_TEXT_PP(0)), text_to_cstring(PG_GETARG_TEXT_PP(1)),
				   text_to_cstring(PG_GETARG_TEXT_PP(2)), &names);
	fsw_kept_return(kept, &own);
	name = fsw_names_at(&names, PG_GETARG_TIMESTAMPTZ(3));
	if (name == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(name);
}
