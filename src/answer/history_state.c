/*-------------------------------------------------------------------------
 *
 * src/answer/history_state.c
 *	  The state before a line of history, and the line in one sentence.
 *
 * Apart from the line itself, so that who does not ask for them does not wait
 * for them: both are functions of columns that the line has.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type_d.h"
#include "mb/pg_wchar.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

#include "src/answer/history.h"
#include "src/answer/kept.h"
#include "src/answer/override.h"

PG_FUNCTION_INFO_V1(fsw_history_before);
PG_FUNCTION_INFO_V1(fsw_history_summary);

static void
push_key(FswJsonbBuild *build, const char *key)
{
	JsonbValue	name;

	name.type = jbvString;
	name.val.string.val = unconstify(char *, key);
	name.val.string.len = strlen(key);
	fsw_jsonb_push(build, WJB_KEY, &name);
}

void
fsw_push_bool(FswJsonbBuild *build, const char *key, bool value)
{
	JsonbValue	scalar;

	scalar.type = jbvBool;
	scalar.val.boolean = value;
	push_key(build, key);
	fsw_jsonb_push(build, WJB_VALUE, &scalar);
}

/* The value is any jsonb. */
void
fsw_push_jsonb(FswJsonbBuild *build, const char *key, Datum value)
{
	Jsonb	   *content = DatumGetJsonbPCopy(value);
	JsonbValue	pushed;

	push_key(build, key);
	if (!JB_ROOT_IS_SCALAR(content))
		JsonbToJsonbValue(content, &pushed);
	else if (!JsonbExtractScalar(&content->root, &pushed))
		elog(ERROR, "could not read a scalar");
	fsw_jsonb_push(build, WJB_VALUE, &pushed);
}

/* The percentages in a column of a flag event, by option id. */
Datum
fsw_variants_of(FswScan *scan, int column)
{
	bool		isnull;
	Datum		sent = fsw_scan_column(scan, column, &isnull);
	Jsonb	   *shown = isnull ? NULL : fsw_shown_variants(DatumGetJsonbP(sent));

	return shown != NULL ? JsonbPGetDatum(shown) : fsw_no_variants();
}

/* ---- before ---- */

/* Is it the scope that the line is about? */
static bool
is_scope(const FswHistory *history, int index, const FswLineScope *scope)
{
	const FswShownScope *shown = &history->shown_scopes[index];

	if (scope->identity != NULL)
		return history->flag.scopes[index].kind == FSW_SCOPE_IDENTITY && shown->identity_identifier != NULL &&
			strcmp(shown->identity_identifier, scope->identity) == 0;
	if (scope->has_segment)
		return history->flag.scopes[index].kind == FSW_SCOPE_SEGMENT && shown->segment_id == scope->segment_id;
	return index == 0;
}

/* The period of the scope at an instant: of identities that bear one identifier, that of the youngest. */
static const FswPeriod *
period_of(const FswHistory *history, const FswLineScope *scope, int64 at)
{
	const FswPeriod *best = NULL;

	for (int i = 0; i < history->flag.nscopes; i++)
	{
		const FswPeriod *period = is_scope(history, i, scope) ? fsw_timeline_at(history->timeline, i, at) : NULL;

		CHECK_FOR_INTERRUPTS();
		if (period != NULL && (best == NULL || fsw_is_younger(&history->shown_scopes[i], &history->shown_scopes[best->scope])))
			best = period;
	}
	return best;
}

/* Is this but what the flag was made with, at the time of its making, which has nothing before it? */
static bool
is_of_making(const FswHistory *history, const FswPeriod *period, int64 at)
{
	return period->cause == FSW_CAUSE_DEFAULTS && fsw_apart(at, history->flag.created_at) <= FSW_MAKING_TOLD;
}

/* Does one of the act's own deliveries tell the state, as if it had been there before?  One that has the time of a draft. */
static bool
is_of_act(const FswShownRow *row, ArrayType *act)
{
	Datum	   *elements;
	bool	   *nulls;
	int			n;

	if (row == NULL || act == NULL)
		return false;
	deconstruct_array(act, INT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE, &elements, &nulls, &n);
	for (int i = 0; i < n; i++)
	{
		if (!nulls[i] && DatumGetInt64(elements[i]) == row->delivery)
			return true;
	}
	return false;
}

/*
 * The period of a scope at an instant, NULL where none with a state is known.
 * A line does not say how sure it is, so what is merely deduced is not told.
 */
static const FswPeriod *
known_period(FswKept *kept, Datum source, int64 environment_id, int64 feature_id, const FswLineScope *scope, int64 at,
			 FswHistory **history)
{
	FswReader  *reader = kept->reader;
	const FswPair *pair;
	FswEnvironment *environment = fsw_kept_environment(kept, source, environment_id, &pair);
	FswFeature	feature = fsw_resolve_feature(reader, source, feature_id);
	FswAsked	asked = {.state_alone = true};
	const FswPeriod *period;
	int64		segment_id = scope->segment_id;

	if (scope->has_segment)
	{
		asked.nsegments = 1;
		asked.segments = &segment_id;
	}
	if (scope->identity != NULL)
		fsw_ask_identity(reader, pair, &asked, scope->identity);
	*history = fsw_history_read(reader, fsw_flag_facts_read(reader, environment, &feature), &asked, &at);
	period = period_of(*history, scope, at);
	return period == NULL || period->state < 0 || period->confidence < FSW_REPORTED ? NULL : period;
}

static FswLineState
state_of(const FswHistory *history, const FswPeriod *period)
{
	const FswShownState *shown = &history->shown_states[period->state];
	FswLineState state = {
		.enabled = history->flag.states[period->state].enabled,
		.value = shown->value,
		.variants = DatumGetPointer(shown->variants) != NULL ? shown->variants : fsw_no_variants()
	};

	return state;
}

/*
 * Is an act of a younger identity than the one that bore the identifier before
 * it?  That was deleted, and its override with it, though nothing says when.
 */
static bool
is_of_younger(const FswHistory *history, const FswPeriod *period, ArrayType *act)
{
	const FswShownScope *shown = &history->shown_scopes[period->scope];

	if (history->flag.scopes[period->scope].kind != FSW_SCOPE_IDENTITY || shown->identity == NULL)
		return false;
	for (int i = 0; i < history->flag.nevidence; i++)
	{
		const FswEvidence *piece = &history->flag.evidence[i];
		const FswShownScope *other = piece->scope < 0 ? NULL : &history->shown_scopes[piece->scope];

		CHECK_FOR_INTERRUPTS();
		if (other != NULL && piece->row >= 0 && piece->scope != period->scope && other->identity != NULL &&
			other->identity_identifier != NULL && shown->identity_identifier != NULL &&
			strcmp(other->identity_identifier, shown->identity_identifier) == 0 && fsw_is_younger(other, shown) &&
			is_of_act(&history->shown_rows[piece->row], act))
			return true;
	}
	return false;
}

/* What the timeline has for a scope at an instant; false where nothing is known. */
bool
fsw_history_state(FswKept *kept, Datum source, int64 environment_id, int64 feature_id, const FswLineScope *scope,
				  int64 at, FswLineState *state)
{
	FswHistory *history;
	const FswPeriod *period = known_period(kept, source, environment_id, feature_id, scope, at, &history);

	if (period == NULL)
		return false;
	*state = state_of(history, period);
	return true;
}

/* The state of a scope before an act as an object, NULL where none is known. */
static Jsonb *
state_before(FswKept *kept, Datum source, int64 environment_id, int64 feature_id, const FswLineScope *scope, int64 at,
			 ArrayType *act)
{
	FswHistory *history;
	const FswPeriod *period = known_period(kept, source, environment_id, feature_id, scope, at, &history);
	FswJsonbBuild build = {0};
	FswLineState state;

	if (period == NULL || is_of_making(history, period, at) || is_of_act(fsw_history_row(history, period), act) ||
		is_of_younger(history, period, act))
		return NULL;
	state = state_of(history, period);
	fsw_jsonb_push(&build, WJB_BEGIN_OBJECT, NULL);
	fsw_push_bool(&build, "enabled", state.enabled);
	if (DatumGetPointer(state.value) != NULL)
		fsw_push_jsonb(&build, "value", state.value);
	fsw_push_jsonb(&build, "variants", state.variants);
	fsw_jsonb_push(&build, WJB_END_OBJECT, NULL);
	return JsonbValueToJsonb(build.result);
}

/*
 * _history_before(source, environment_id, feature_id, segment, segment_id,
 * identity_identifier, at, act, told) - what was there before an act, as an object;
 * told where the line knows it by itself, else of the timeline at an instant.
 */
Datum
fsw_history_before(PG_FUNCTION_ARGS)
{
	FswLineScope scope = {0};
	FswKept		own;
	FswKept    *kept;
	Jsonb	   *state;
	MemoryContext caller;

	if (!PG_ARGISNULL(8))
		return DirectFunctionCall1(jsonb_in, CStringGetDatum(text_to_cstring(PG_GETARG_TEXT_PP(8))));
	/* an override of a segment that nothing tells the id of */
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(2) || PG_ARGISNULL(6) ||
		(!PG_ARGISNULL(3) && PG_ARGISNULL(4)))
		PG_RETURN_NULL();
	scope.has_segment = !PG_ARGISNULL(4);
	scope.segment_id = scope.has_segment ? PG_GETARG_INT64(4) : 0;
	scope.identity = PG_ARGISNULL(5) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(5));
	kept = fsw_kept_borrow(&own);
	caller = MemoryContextSwitchTo(fsw_kept_work(kept));
	state = state_before(kept, PointerGetDatum(PG_GETARG_TEXT_PP(0)), PG_GETARG_INT64(1), PG_GETARG_INT64(2),
						 &scope, PG_GETARG_TIMESTAMPTZ(6), PG_ARGISNULL(7) ? NULL : PG_GETARG_ARRAYTYPE_P(7));
	MemoryContextSwitchTo(caller);
	if (state != NULL)
		state = DatumGetJsonbPCopy(JsonbPGetDatum(state));
	fsw_kept_return(kept, &own);
	if (state == NULL)
		PG_RETURN_NULL();
	PG_RETURN_JSONB_P(state);
}

/* ---- the sentence ---- */

/* Longer names and values are cut in a sentence. */
#define SHOWN_LENGTH 60

/* The arguments of _history_summary(), in their order. */
enum
{
	SAID_actor,
	SAID_actor_type,
	SAID_action,
	SAID_object,
	SAID_environment,
	SAID_feature,
	SAID_segment,
	SAID_identity,
	SAID_change_request,
	SAID_enabled,
	SAID_value,
	SAID_before,
	SAID_log
};

/* A word of the sentence, on one line and not too long. */
static void
append_words(StringInfo sentence, const char *words)
{
	size_t		length = pg_mbcharcliplen(words, strlen(words), SHOWN_LENGTH);

	for (size_t i = 0; i < length; i++)
		appendStringInfoChar(sentence, (unsigned char) words[i] < ' ' ? ' ' : words[i]);
	if (words[length] != '\0')
		appendStringInfoString(sentence, "...");
}

/* A word behind another that tells what it is, if there is one. */
static void
append_argument(StringInfo sentence, const char *prefix, FunctionCallInfo fcinfo, int argument)
{
	if (PG_ARGISNULL(argument))
		return;
	appendStringInfoString(sentence, prefix);
	append_words(sentence, text_to_cstring(PG_GETARG_TEXT_PP(argument)));
}

static void
append_actor(StringInfo sentence, FunctionCallInfo fcinfo)
{
	const char *type = PG_ARGISNULL(SAID_actor_type) ? "unknown" : text_to_cstring(PG_GETARG_TEXT_PP(SAID_actor_type));

	if (!PG_ARGISNULL(SAID_actor))
		append_argument(sentence, "", fcinfo, SAID_actor);
	else
		appendStringInfoString(sentence, strcmp(type, "system") == 0 ? "Flagsmith" :
							   strcmp(type, "api key") == 0 ? "an API key" : "somebody");
}

/* A member of the state before, NULL if it has none. */
static Jsonb *
member_before(FunctionCallInfo fcinfo, const char *name)
{
	JsonbValue *found;

	if (PG_ARGISNULL(SAID_before) || !JB_ROOT_IS_OBJECT(PG_GETARG_JSONB_P(SAID_before)))
		return NULL;
	found = getKeyJsonValueFromContainer(&PG_GETARG_JSONB_P(SAID_before)->root, name, strlen(name), NULL);
	return found == NULL ? NULL : JsonbValueToJsonb(found);
}

static char *
jsonb_words(Jsonb *value)
{
	return JsonbToCString(NULL, &value->root, VARSIZE(value));
}

static bool
is_said(FunctionCallInfo fcinfo, int argument, const char *word)
{
	return !PG_ARGISNULL(argument) && strcmp(text_to_cstring(PG_GETARG_TEXT_PP(argument)), word) == 0;
}

/* What became of the state; false where nothing tells. */
static bool
append_change(StringInfo sentence, FunctionCallInfo fcinfo)
{
	Jsonb	   *enabled_before = member_before(fcinfo, "enabled");
	Jsonb	   *value_before = member_before(fcinfo, "value");
	char	   *value = PG_ARGISNULL(SAID_value) ? NULL : jsonb_words(PG_GETARG_JSONB_P(SAID_value));
	bool		enabled;
	bool		created = is_said(fcinfo, SAID_action, "created");
	bool		turned;
	bool		same_value;

	if (PG_ARGISNULL(SAID_enabled) || PG_ARGISNULL(SAID_feature))
		return false;
	enabled = PG_GETARG_BOOL(SAID_enabled);
	turned = enabled_before != NULL && (strcmp(jsonb_words(enabled_before), "true") == 0) != enabled;
	same_value = value == NULL || (value_before != NULL && strcmp(jsonb_words(value_before), value) == 0);
	if (created || turned || enabled_before == NULL || same_value)
	{
		appendStringInfoString(sentence, created ? " created " : turned ? " turned " : enabled_before == NULL ? " set " : " saved ");
		append_argument(sentence, "", fcinfo, SAID_feature);
		appendStringInfoString(sentence, created ? "," : "");
		appendStringInfoString(sentence, created || turned || enabled_before == NULL ? (enabled ? " on" : " off") : "");
		if (!same_value && strcmp(value, "null") != 0)
			append_words(sentence, psprintf(" with %s", value));
		return true;
	}
	append_argument(sentence, " set ", fcinfo, SAID_feature);
	append_words(sentence, psprintf(" to %s", value));
	if (value_before != NULL)
		append_words(sentence, psprintf(", before %s", jsonb_words(value_before)));
	return true;
}

/* What was done to what, as the message says. */
static void
append_action(StringInfo sentence, FunctionCallInfo fcinfo)
{
	if (PG_ARGISNULL(SAID_action) || PG_ARGISNULL(SAID_object))
	{
		append_argument(sentence, ": ", fcinfo, SAID_log);
		return;
	}
	if (is_said(fcinfo, SAID_action, "went live"))
	{
		append_argument(sentence, " let a scheduled change of ", fcinfo, SAID_feature);
		appendStringInfoString(sentence, " go live");
		return;
	}
	append_argument(sentence, " ", fcinfo, SAID_action);
	append_argument(sentence, " ", fcinfo, SAID_object);
	append_argument(sentence, " of ", fcinfo, SAID_feature);
}

/*
 * _history_summary(...) - a line of history in one sentence, of the columns
 * that it has.
 */
Datum
fsw_history_summary(PG_FUNCTION_ARGS)
{
	StringInfoData sentence;

	initStringInfo(&sentence);
	append_actor(&sentence, fcinfo);
	if (!append_change(&sentence, fcinfo))
		append_action(&sentence, fcinfo);
	append_argument(&sentence, " for segment ", fcinfo, SAID_segment);
	append_argument(&sentence, " for identity ", fcinfo, SAID_identity);
	append_argument(&sentence, " in ", fcinfo, SAID_environment);
	append_argument(&sentence, ", by change request ", fcinfo, SAID_change_request);
	PG_RETURN_TEXT_P(cstring_to_text_with_len(sentence.data, sentence.len));
}
