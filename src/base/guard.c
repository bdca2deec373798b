/*-------------------------------------------------------------------------
 *
 * src/base/guard.c
 *	  Append-only tables: UPDATE, DELETE and TRUNCATE are refused.
 *
 * The only way around is a static variable that our own functions set for the
 * length of one statement.  A setting would not do: anyone could set it.
 * What no trigger can stop, DDL by the owner, is documented.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "commands/trigger.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "src/base/fsw.h"

static bool history_writable = false;

/*
 * fsw_execute_on_history() - run a saved plan that may change history: the
 * only way around the guards, open for the length of one statement, whether
 * it ends well or not.
 */
void
fsw_execute_on_history(SPIPlanPtr plan, Datum *values, const char *nulls)
{
	bool		before = history_writable;

	history_writable = true;
	PG_TRY();
	{
		int			result = fsw_execute(plan, values, nulls, false, 0);

		if (result < 0)
			elog(ERROR, "SPI_execute_plan returned %s", SPI_result_code_string(result));
	}
	PG_FINALLY();
	{
		history_writable = before;
	}
	PG_END_TRY();
}

PG_FUNCTION_INFO_V1(fsw_guard);

/*
 * fsw_guard() - statement trigger BEFORE UPDATE OR DELETE OR TRUNCATE.
 * Raises 55000 for everyone; MERGE, ON CONFLICT DO UPDATE and the actions of
 * foreign keys fire it as well.
 */
Datum
fsw_guard(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;
	const char *verb;

	if (!CALLED_AS_TRIGGER(fcinfo) ||
		!TRIGGER_FIRED_BEFORE(trigdata->tg_event) ||
		!TRIGGER_FIRED_FOR_STATEMENT(trigdata->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function \"%s\" must be fired BEFORE each statement", "flagsmith._guard")));

	if (history_writable)
		PG_RETURN_POINTER(NULL);

	if (TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event))
		verb = "update";
	else if (TRIGGER_FIRED_BY_DELETE(trigdata->tg_event))
		verb = "delete from";
	else
		verb = "truncate";

	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("cannot %s table \"%s\"", verb,
					RelationGetRelationName(trigdata->tg_relation)),
			 errdetail("The flag history is append-only."),
			 errhint("Old rows are removed with flagsmith.prune_bodies() and flagsmith.prune_history().")));
	PG_RETURN_POINTER(NULL);
}
