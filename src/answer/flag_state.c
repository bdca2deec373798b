/*-------------------------------------------------------------------------
 *
 * src/answer/flag_state.c
 *	  The functions that return rows: feature_state(), environment_state(), and
 *	  the periods behind the views.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type_d.h"
#include "executor/executor.h"
#include "funcapi.h"
#include "lib/qunique.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/tuplestore.h"

#include "src/answer/kept.h"
#include "src/answer/override.h"
#include "src/answer/unknown.h"
#include "src/base/array.h"
#include "src/base/fsw.h"
#include "src/read/read.h"

PG_FUNCTION_INFO_V1(fsw_flag_periods);
PG_FUNCTION_INFO_V1(fsw_flag_now);
PG_FUNCTION_INFO_V1(fsw_feature_state);
PG_FUNCTION_INFO_V1(fsw_feature_state_by_id);
PG_FUNCTION_INFO_V1(fsw_environment_state);
PG_FUNCTION_INFO_V1(fsw_environment_state_by_id);
PG_FUNCTION_INFO_V1(fsw_environment_flags);

/*
 * A row in the making: by position, NULL unless put.  The columns are those of
 * the function as it is declared now, which another version may have done than
 * the one whose library this session has: further ones are NULL.
 */
typedef struct Output
{
	ReturnSetInfo *rsinfo;
	TupleDesc	desc;
	Datum	   *values;
	bool	   *nulls;
	int			n;
	Oid			confidence;		/* the type, once it was put */
	Datum		confidences[FSW_CONFIRMED + 1]; /* its values; 0 for not yet */
} Output;

static Output
output_begin(FunctionCallInfo fcinfo)
{
	Output		output = {0};

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	output.rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	output.desc = output.rsinfo->setDesc;
	output.values = palloc0_array(Datum, output.desc->natts);
	output.nulls = palloc_array(bool, output.desc->natts);
	memset(output.nulls, true, output.desc->natts * sizeof(bool));
	return output;
}

static void
raise_other_columns(int column)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("the function does not return what the library of this session makes"),
			 errdetail("Column %d is missing or of another type.", column),
			 errhint("After an update of the extension, reconnect.")));
}

static void
put(Output *output, Oid type, Datum value, bool isnull)
{
	if (output->n >= output->desc->natts || TupleDescAttr(output->desc, output->n)->atttypid != type)
		raise_other_columns(output->n + 1);
	output->values[output->n] = value;
	output->nulls[output->n++] = isnull;
}

static void
put_int64(Output *output, int64 value, bool isnull)
{
	put(output, INT8OID, isnull ? (Datum) 0 : Int64GetDatum(value), isnull);
}

static void
put_text(Output *output, const char *text_or_null)
{
	put(output, TEXTOID, text_or_null == NULL ? (Datum) 0 : CStringGetTextDatum(text_or_null),
		text_or_null == NULL);
}

/* The bounds of timelines are those of timestamptz; an open end is NULL. */
static void
put_time(Output *output, int64 at)
{
	put(output, TIMESTAMPTZOID, TimestampTzGetDatum(at), at == FSW_FOREVER);
}

static void
put_confidence(Output *output, FswConfidence confidence)
{
	Oid			type = output->n < output->desc->natts ? TupleDescAttr(output->desc, output->n)->atttypid : InvalidOid;

	/* that it is one and its values are asked once for all rows */
	if (type != output->confidence || !OidIsValid(type))
	{
		if (!OidIsValid(type) || !type_is_enum(type))
			raise_other_columns(output->n + 1);
		output->confidence = type;
		memset(output->confidences, 0, sizeof(output->confidences));
	}
	if (output->confidences[confidence] == (Datum) 0)
		output->confidences[confidence] = DirectFunctionCall2(enum_in, CStringGetDatum(fsw_confidence_names[confidence]),
															  ObjectIdGetDatum(type));
	put(output, type, output->confidences[confidence], false);
}

/* enabled, value, variants */
static void
put_state(Output *output, const FswHistory *history, int state)
{
	if (state < 0)
	{
		put(output, BOOLOID, (Datum) 0, true);
		put(output, JSONBOID, (Datum) 0, true);
		put(output, JSONBOID, (Datum) 0, true);
		return;
	}
	put(output, BOOLOID, BoolGetDatum(history->flag.states[state].enabled), false);
	put(output, JSONBOID, history->shown_states[state].value,
		DatumGetPointer(history->shown_states[state].value) == NULL);
	if (DatumGetPointer(history->shown_states[state].variants) != NULL)
		put(output, JSONBOID, history->shown_states[state].variants, false);
	else
		put(output, JSONBOID, fsw_no_variants(), false);
}

static void
write_row(Output *output)
{
	tuplestore_putvalues(output->rsinfo->setResult, output->desc, output->values, output->nulls);
	output->n = 0;
}

/* Since when, and until when, is the state of a period unchanged? */
static void
find_run(const FswTimeline *timeline, const FswPeriod *period, int64 *since, int64 *until)
{
	const FswPeriod *first = period;
	const FswPeriod *last = period;
	const FswPeriod *end = timeline->periods + timeline->nperiods;

	while (first > timeline->periods && first[-1].scope == period->scope &&
		   first[-1].state == period->state)
		first--;
	while (last + 1 < end && last[1].scope == period->scope && last[1].state == period->state)
		last++;
	*since = first->from;
	*until = last->to;
}

static void
put_since(Output *output, const FswHistory *history, const FswPeriod *period, FswConfidence confidence)
{
	const FswShownRow *row = fsw_history_row(history, period);
	int64		since;
	int64		until;

	find_run(history->timeline, period, &since, &until);
	put_time(output, since);
	put_text(output, row == NULL ? NULL : row->changed_by);
	put_text(output, fsw_cause_names[period->cause]);
	put_time(output, until);
	put_confidence(output, confidence);
	put_int64(output, row == NULL ? 0 : row->delivery, row == NULL);
}

/* A row of a period, from an instant on. */
static void
write_period(Output *output, const FswHistory *history, const FswPeriod *period, int64 from)
{
	const FswShownScope *scope = &history->shown_scopes[period->scope];
	const FswShownRow *row = fsw_history_row(history, period);
	FswScopeKind kind = history->flag.scopes[period->scope].kind;

	put_int64(output, scope->segment_id, kind != FSW_SCOPE_SEGMENT);
	put_int64(output, row != NULL ? row->priority : 0,
			  kind != FSW_SCOPE_SEGMENT || period->state < 0 || row == NULL || !row->has_priority);
	put_text(output, kind == FSW_SCOPE_IDENTITY ? scope->identity_kind : NULL);
	put_text(output, kind == FSW_SCOPE_IDENTITY ? scope->identity : NULL);
	put_text(output, kind == FSW_SCOPE_IDENTITY ? scope->identity_identifier : NULL);
	put_time(output, from);
	put_time(output, period->to);
	put_state(output, history, period->state);
	put_confidence(output, period->confidence);
	put_text(output, fsw_cause_names[period->cause]);
	put_text(output, row == NULL ? NULL : row->changed_by);
	put_int64(output, row == NULL ? 0 : row->delivery, row == NULL);
	put(output, BOOLOID, BoolGetDatum(period->state == FSW_NOT_LIVE), false);
	write_row(output);
}

/* The history of the flag that the first three arguments name, all of it or near an instant. */
static FswHistory *
read_flag(FswKept *kept, FunctionCallInfo fcinfo, const int64 *near)
{
	FswAsked	asked = {.everything = true};
	const FswPair *pair;
	FswEnvironment *environment = fsw_kept_environment(kept, PointerGetDatum(PG_GETARG_TEXT_PP(0)), PG_GETARG_INT64(1),
													   &pair);
	FswFeature	feature = fsw_resolve_feature(kept->reader, pair->source, PG_GETARG_INT64(2));

	return fsw_history_read(kept->reader, fsw_flag_facts_read(kept->reader, environment, &feature), &asked, near);
}

/*
 * _flag_periods(source, environment_id, feature_id, known_at): all periods of
 * all scopes of one flag.
 */
Datum
fsw_flag_periods(PG_FUNCTION_ARGS)
{
	Output		output = output_begin(fcinfo);
	FswKept    *kept;
	FswHistory *history;
	MemoryContext caller;

	for (int i = 0; i < 3; i++)
	{
		if (PG_ARGISNULL(i))
			return (Datum) 0;
	}

	kept = fsw_kept_begin(fcinfo, PG_ARGISNULL(3) ? DT_NOEND : PG_GETARG_TIMESTAMPTZ(3));
	caller = MemoryContextSwitchTo(kept->work);
	history = read_flag(kept, fcinfo, NULL);
	for (int i = 0; i < history->timeline->nperiods; i++)
	{
		CHECK_FOR_INTERRUPTS();
		write_period(&output, history, &history->timeline->periods[i], history->timeline->periods[i].from);
	}
	MemoryContextSwitchTo(caller);
	fsw_kept_end(fcinfo, kept);
	return (Datum) 0;
}

/*
 * _flag_now(source, environment_id, feature_id): of each scope of one flag the
 * last period, from when on its state is the same.
 */
Datum
fsw_flag_now(PG_FUNCTION_ARGS)
{
	Output		output = output_begin(fcinfo);
	const int64 now = FSW_FOREVER;
	FswKept    *kept;
	FswHistory *history;
	MemoryContext caller;

	for (int i = 0; i < 3; i++)
	{
		if (PG_ARGISNULL(i))
			return (Datum) 0;
	}

	kept = fsw_kept_begin(fcinfo, DT_NOEND);
	caller = MemoryContextSwitchTo(kept->work);
	history = read_flag(kept, fcinfo, &now);
	for (int i = 0; i < history->timeline->nperiods; i++)
	{
		const FswPeriod *period = &history->timeline->periods[i];
		int64		since;
		int64		until;

		CHECK_FOR_INTERRUPTS();
		if (i + 1 < history->timeline->nperiods && period[1].scope == period->scope)
			continue;
		find_run(history->timeline, period, &since, &until);
		write_period(&output, history, period, since);
	}
	MemoryContextSwitchTo(caller);
	fsw_kept_end(fcinfo, kept);
	return (Datum) 0;
}

/* The segments of an array, each once and in order; without NULLs. */
static void
ask_segments(FswAsked *asked, ArrayType *array)
{
	Datum	   *elements;
	bool	   *nulls;
	int			n;
	int64	   *segments;

	deconstruct_array(array, INT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE, &elements, &nulls, &n);
	segments = palloc_array(int64, n);
	for (int i = 0; i < n; i++)
	{
		if (!nulls[i])
			segments[asked->nsegments++] = DatumGetInt64(elements[i]);
	}
	qsort(segments, asked->nsegments, sizeof(int64), fsw_compare_int64);
	asked->nsegments = qunique(segments, asked->nsegments, sizeof(int64), fsw_compare_int64);
	asked->segments = segments;
}

/*
 * What a question means, or an ERROR that says what of it is not known.  What
 * was not known then but is now means nothing, and is no mistake.
 */
static int
resolve_known(FswReader *reader, const FswQuestion *question, FswPair **pairs)
{
	TimestampTz known_at = reader->known_at;
	int			npairs = fsw_question_pairs(reader, question, pairs);

	if (npairs > 0)
		return npairs;
	reader->known_at = DT_NOEND;
	if (known_at == DT_NOEND || fsw_question_pairs(reader, question, pairs) == 0)
		fsw_raise_unknown(reader, question);
	reader->known_at = known_at;
	return 0;
}

/*
 * Read what is known of the flag that a question means at an instant.  Where
 * it means several, those that are gone do not count, and more than one that
 * is not is an ERROR.  NULL where it means none then; *pair is the meaning.
 */
static FswHistory *
read_meant(FswReader *reader, const FswQuestion *question, int64 at,
		   FswAsked *asked, char *identity, const FswPair **pair)
{
	FswPair    *pairs;
	int			npairs = resolve_known(reader, question, &pairs);
	int		   *found = palloc_array(int, npairs);
	int			nfound = fsw_resolve_at(pairs, npairs, at, found);
	FswHistory *result = NULL;
	int			nlive = 0;

	for (int i = 0; i < nfound; i++)
	{
		const FswPair *meant = &pairs[found[i]];
		FswFlagFacts *flag_facts = fsw_flag_facts_read(reader, fsw_environment(meant, reader->known_at), &meant->feature);
		FswHistory *one;
		const FswPeriod *period;

		if (identity != NULL)
			fsw_ask_identity(reader, meant, asked, identity);
		one = fsw_history_read(reader, flag_facts, asked, &at);
		period = fsw_timeline_at(one->timeline, 0, at);
		if (period != NULL && period->state != FSW_NOT_LIVE)
			found[nlive++] = found[i];
		else if (result != NULL)
			continue;
		result = one;
		*pair = meant;
	}
	if (nlive > 1)
		fsw_raise_ambiguous(reader, question, pairs, found, nlive, at);
	return result;
}

/*
 * What a user in these segments, or of this identity, was given, and how sure
 * that is: no surer than any scope that had to be looked at on the way.
 */
static void
write_answer(Output *output, FswReader *reader, FunctionCallInfo fcinfo, const FswQuestion *question)
{
	FswAsked	asked = {0};
	FswHistory *history;
	const FswPair *pair = NULL;
	const FswPeriod *period;
	char	   *identity = NULL;
	FswConfidence lowest = FSW_CONFIRMED;
	FswScopeKind kind;
	int64		at = PG_GETARG_TIMESTAMPTZ(2);

	if (!PG_ARGISNULL(3))
		ask_segments(&asked, PG_GETARG_ARRAYTYPE_P(3));
	if (!PG_ARGISNULL(4))
		identity = text_to_cstring(PG_GETARG_TEXT_PP(4));
	history = read_meant(reader, question, at, &asked, identity, &pair);
	if (history == NULL)
		return;
	period = fsw_choose_override(history, &asked, at, fsw_timeline_at(history->timeline, 0, at), &lowest);
	if (period == NULL)
		return;

	kind = history->flag.scopes[period->scope].kind;
	put(output, TEXTOID, pair->source, false);
	put_int64(output, pair->environment_id, false);
	put_int64(output, pair->feature.id, false);
	put_state(output, history, period->state);
	put_text(output, kind == FSW_SCOPE_IDENTITY ? "identity" :
			 kind == FSW_SCOPE_SEGMENT ? "segment" : "environment");
	put_int64(output, history->shown_scopes[period->scope].segment_id, kind != FSW_SCOPE_SEGMENT);
	put_since(output, history, period, Min(lowest, period->confidence));
	write_row(output);
}

static Datum
feature_state(FunctionCallInfo fcinfo, const FswQuestion *question)
{
	Output		output = output_begin(fcinfo);
	FswKept    *kept;
	MemoryContext caller;

	if (PG_ARGISNULL(2))
		return (Datum) 0;
	kept = fsw_kept_begin(fcinfo, PG_ARGISNULL(5) ? DT_NOEND : PG_GETARG_TIMESTAMPTZ(5));
	caller = MemoryContextSwitchTo(kept->work);
	write_answer(&output, kept->reader, fcinfo, question);
	MemoryContextSwitchTo(caller);
	fsw_kept_end(fcinfo, kept);
	return (Datum) 0;
}

/* A name or an id that is NULL means nothing, as one that nothing ever bore. */
static void
raise_null(FunctionCallInfo fcinfo, bool with_feature)
{
	if (PG_ARGISNULL(0))
		fsw_raise_null("environment");
	if (with_feature && PG_ARGISNULL(1))
		fsw_raise_null("feature");
}

/* feature_state(environment text, feature text, at, segments, identity, known_at) */
Datum
fsw_feature_state(PG_FUNCTION_ARGS)
{
	FswQuestion question = {0};

	raise_null(fcinfo, true);
	question.environment = PG_GETARG_TEXT_PP(0);
	question.feature = PG_GETARG_TEXT_PP(1);
	return feature_state(fcinfo, &question);
}

/* feature_state(environment_id bigint, feature_id bigint, at, segments, identity, known_at, source) */
Datum
fsw_feature_state_by_id(PG_FUNCTION_ARGS)
{
	FswQuestion question = {.has_feature = true};

	raise_null(fcinfo, true);
	question.environment_id = PG_GETARG_INT64(0);
	question.feature_id = PG_GETARG_INT64(1);
	if (!PG_ARGISNULL(6))
		question.source = PG_GETARG_TEXT_PP(6);
	return feature_state(fcinfo, &question);
}

/* A row for each feature that was live at an instant. */
static void
write_features(Output *output, FswReader *reader, const FswPair *pair, TimestampTz at)
{
	FswEnvironment *environment = fsw_environment(pair, reader->known_at);
	FswAsked	asked = {0};
	FswFeature *features;
	int			nfeatures = fsw_resolve_features(reader, pair, at, &features);
	MemoryContext work = AllocSetContextCreate(CurrentMemoryContext, "environment state",
											   ALLOCSET_DEFAULT_SIZES);
	MemoryContext caller = MemoryContextSwitchTo(work);

	for (int i = 0; i < nfeatures; i++)
	{
		const FswFeature *feature = &features[i];
		FswHistory *history;
		const FswPeriod *period;

		CHECK_FOR_INTERRUPTS();
		history = fsw_history_read(reader, fsw_flag_facts_read(reader, environment, feature), &asked, &at);
		period = fsw_timeline_at(history->timeline, 0, at);
		if (period != NULL && period->state != FSW_NOT_LIVE)
		{
			put_text(output, feature->name);
			put_int64(output, feature->id, false);
			put_state(output, history, period->state);
			put_since(output, history, period, period->confidence);
			write_row(output);
		}
		MemoryContextReset(work);
	}
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(work);
}

/* Every feature of an environment that was live. */
static Datum
environment_state(FunctionCallInfo fcinfo, const FswQuestion *question)
{
	Output		output = output_begin(fcinfo);
	FswReader  *reader;
	FswPair    *pairs;
	TimestampTz at;
	int		   *found;
	int			npairs;
	int			nfound;

	if (PG_ARGISNULL(1))
		return (Datum) 0;
	at = PG_GETARG_TIMESTAMPTZ(1);

	reader = fsw_reader_open();
	if (!PG_ARGISNULL(2))
		reader->known_at = PG_GETARG_TIMESTAMPTZ(2);
	npairs = resolve_known(reader, question, &pairs);
	found = palloc_array(int, npairs);
	nfound = fsw_resolve_at(pairs, npairs, at, found);
	if (nfound > 1)
		fsw_raise_ambiguous(reader, question, pairs, found, nfound, at);
	if (nfound == 1)
		write_features(&output, reader, &pairs[found[0]], at);
	fsw_reader_close(reader);
	return (Datum) 0;
}

/* environment_state(environment text, at, known_at) */
Datum
fsw_environment_state(PG_FUNCTION_ARGS)
{
	FswQuestion question = {0};

	raise_null(fcinfo, false);
	question.environment = PG_GETARG_TEXT_PP(0);
	return environment_state(fcinfo, &question);
}

/* environment_state(environment_id bigint, at, known_at, source) */
Datum
fsw_environment_state_by_id(PG_FUNCTION_ARGS)
{
	FswQuestion question = {0};

	raise_null(fcinfo, false);
	question.environment_id = PG_GETARG_INT64(0);
	if (!PG_ARGISNULL(3))
		question.source = PG_GETARG_TEXT_PP(3);
	return environment_state(fcinfo, &question);
}

/*
 * _environment_flags(source, environment_id): how many flags it has after all
 * evidence, and whether any of them was ever published in versions.
 */
Datum
fsw_environment_flags(PG_FUNCTION_ARGS)
{
	Output		output = output_begin(fcinfo);
	FswReader  *reader;
	FswPair    *pair;
	FswEnvironment *environment;
	FswFeature *features;
	FswAsked	asked = {0};
	bool		versioned = false;
	int64		nflags = 0;
	int64		at = DT_NOEND;
	int			nfeatures = 0;
	MemoryContext work;
	MemoryContext caller;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		return (Datum) 0;
	reader = fsw_reader_open();
	pair = fsw_resolve_known_ids(reader, PointerGetDatum(PG_GETARG_TEXT_PP(0)), PG_GETARG_INT64(1), NULL);
	environment = pair == NULL ? NULL : fsw_environment(pair, DT_NOEND);
	if (pair != NULL)
		nfeatures = fsw_resolve_features(reader, pair, at, &features);
	work = AllocSetContextCreate(CurrentMemoryContext, "environment flags", ALLOCSET_DEFAULT_SIZES);
	caller = MemoryContextSwitchTo(work);
	for (int i = 0; i < nfeatures; i++)
	{
		FswFlagFacts *flag_facts = fsw_flag_facts_read(reader, environment, &features[i]);
		FswHistory *history = fsw_history_read(reader, flag_facts, &asked, &at);
		const FswPeriod *period = fsw_timeline_at(history->timeline, 0, at);

		CHECK_FOR_INTERRUPTS();
		versioned |= flag_facts->versioned;
		nflags += period != NULL && period->state != FSW_NOT_LIVE;
		MemoryContextReset(work);
	}
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(work);
	fsw_reader_close(reader);
	put(&output, BOOLOID, BoolGetDatum(versioned), false);
	put_int64(&output, nflags, false);
	write_row(&output);
	return (Datum) 0;
}
