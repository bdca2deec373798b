/*-------------------------------------------------------------------------
 *
 * src/answer/steps.c
 *	  The states of an environment default alone, for millions of lookups.
 *
 * state_steps.c makes them, of what is read here: for enabled alone, the index
 * has it all, and of values it is enough to know where they are, since few of a
 * long history may be asked for.  Where it is not so simple, a timeline is built, of all evidence or
 * of what is near the instant, and its states are taken.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"

#include "src/base/array.h"
#include "src/base/fsw.h"
#include "src/decode/row.h"
#include "src/read/read.h"

/* The columns of FSW_INDEX_DEFAULT that are used. */
#define ENTRY_EVENT_AT	3
#define ENTRY_ARRIVED	4
#define ENTRY_ENABLED	5

/* Memory for each change, while it is read and kept; for one with all else. */
#define CHANGE_SIZE		40
#define ROW_SIZE		20
#define EVIDENCE_SIZE	512

typedef struct StepsReading
{
	FswReader  *reader;
	const FswFlagFacts *flag_facts;
	bool		values;
	bool		places;			/* where a value is will do */
	FswSteps   *result;
	FswStateSteps *steps;
	int			maxrows;
	FswStepsFacts facts;
	FswCreation creation;
	int64		created;		/* the feature, as far as known */
	FswHistory	table;			/* of the distinct states */
	FswStateTable states;
	int			by_enabled[2];	/* without values: the state, or -1 */
	bool		ahead;			/* a time is not to be believed */
	int64		nread;
	Size		value_size;		/* of the distinct values */
} StepsReading;

/* The state of the event that the scan is at, with the value in its row. */
static int
read_state(StepsReading *reading, FswScan *scan, bool enabled)
{
	bool		isnull;
	Datum		value;
	int			nstates = reading->table.flag.nstates;
	int			state;

	fsw_scan_fetch(scan);
	value = fsw_scan_column(scan, FLAG_value, &isnull);
	state = fsw_intern_state(&reading->states, enabled, value, isnull, (Datum) 0, true);
	if (state == nstates && !isnull)
		reading->value_size += VARSIZE_ANY(DatumGetPointer(reading->table.shown_states[state].value));
	return state;
}

/* The same, but only where it is. */
static int
add_row(StepsReading *reading, const FswScan *scan, bool enabled)
{
	FswSteps   *result = reading->result;
	FswStateRow *row = &FSW_PUSH(result->rows, result->nrows, reading->maxrows);

	row->place = scan->place;
	row->enabled = enabled;
	return FSW_STATE_ROW + result->nrows - 1;
}

/* The state of the event that the scan is at. */
static int
entry_state(StepsReading *reading, FswScan *scan, const Datum *values, const bool *nulls)
{
	bool		enabled = DatumGetBool(values[ENTRY_ENABLED]);

	/* a state without one is a deletion in old releases */
	if (nulls[ENTRY_ENABLED])
		return FSW_NOT_LIVE;
	if (!reading->values)
	{
		if (reading->by_enabled[enabled] < 0)
			reading->by_enabled[enabled] =
				fsw_intern_state(&reading->states, enabled, (Datum) 0, true, (Datum) 0, true);
		return reading->by_enabled[enabled];
	}
	return reading->places ? add_row(reading, scan, enabled) : read_state(reading, scan, enabled);
}

/* Are the states of two events the same? */
static bool
is_same_state(const StepsReading *reading, int a, int b)
{
	const FswStateRow *rows = reading->result->rows;
	FswPlaces	places;
	Datum		value;
	bool		isnull;
	bool		same = false;

	if (a < FSW_STATE_ROW || b < FSW_STATE_ROW)
		return a == b;
	if (rows[a - FSW_STATE_ROW].enabled != rows[b - FSW_STATE_ROW].enabled)
		return false;
	if (!fsw_places_open(&places, FSW_READ_FLAG_CHANGE, reading->reader->snapshot))
		return false;
	if (fsw_places_read(&places, &rows[a - FSW_STATE_ROW].place))
	{
		Jsonb	   *copy;

		value = fsw_places_column(&places, FLAG_value, &isnull);
		copy = isnull ? NULL : DatumGetJsonbPCopy(value);
		if (fsw_places_read(&places, &rows[b - FSW_STATE_ROW].place))
		{
			value = fsw_places_column(&places, FLAG_value, &isnull);
			same = isnull || copy == NULL ? isnull && copy == NULL :
				DatumGetBool(DirectFunctionCall2(jsonb_eq, JsonbPGetDatum(copy), value));
		}
		if (copy != NULL)
			pfree(copy);
	}
	fsw_places_close(&places);
	return same;
}

/* What an event of the first time says was there before. */
static void
read_before(StepsReading *reading, FswScan *scan, bool again)
{
	bool		isnull;
	Datum		value;
	int			before;

	fsw_scan_fetch(scan);
	value = fsw_scan_column(scan, FLAG_enabled_before, &isnull);
	before = isnull ? -1 : DatumGetBool(value);
	reading->facts.first_before = again && before != reading->facts.first_before ? 2 : before;
}

/* Is that more than may be read? */
static bool
is_too_much(StepsReading *reading, Size change_size, FswStepsLimit *limit)
{
	if (reading->places)
		change_size += ROW_SIZE;
	limit->nread = reading->nread;
	/* a value is read, and then kept */
	if (reading->nread * change_size + 2 * reading->value_size > limit->memory)
	{
		limit->no_memory = true;
		return true;
	}
	return reading->nread > limit->changes;
}

/*
 * Read the events from an instant on in one direction: all up to a limit, or
 * where there is none those of the first time alone, and none before `to`, if
 * that is not NULL.  Returns false at the limit.
 */
static bool
read_entries(StepsReading *reading, const int64 *from, const int64 *to, ScanDirection direction, FswStepsLimit *limit)
{
	FswScan    *scan = fsw_scan_of(reading->reader, FSW_INDEX_DEFAULT);
	FswStateSteps *steps = reading->steps;
	Datum		values[FSW_ENTRY_COLUMNS];
	bool		nulls[FSW_ENTRY_COLUMNS];

	fsw_scan_flag(scan, reading->flag_facts);
	if (from != NULL)
		fsw_scan_key(scan, ScanDirectionIsBackward(direction) ?
					 BTLessEqualStrategyNumber : BTGreaterStrategyNumber, TimestampTzGetDatum(*from));
	if (to != NULL)
		fsw_scan_key(scan, BTGreaterEqualStrategyNumber, TimestampTzGetDatum(*to));
	fsw_scan_begin(scan, direction);
	while (fsw_scan_next_entry(scan, values, nulls))
	{
		int64		at = nulls[ENTRY_EVENT_AT] ? 0 : DatumGetTimestampTz(values[ENTRY_EVENT_AT]);
		bool		same = steps->n > 0 && steps->from[steps->n - 1] == at;
		int			state;

		if (!nulls[ENTRY_ARRIVED] && fsw_is_ahead(at, DatumGetTimestampTz(values[ENTRY_ARRIVED])))
			reading->ahead = true;
		if (limit == NULL && ((steps->n > 0 && !same) || reading->ahead))
			break;
		reading->nread++;
		if (limit != NULL && is_too_much(reading, CHANGE_SIZE, limit))
			return false;
		state = entry_state(reading, scan, values, nulls);
		if ((steps->n == 0 || (steps->n == 1 && same)) && ScanDirectionIsForward(direction))
			read_before(reading, scan, same);
		if (!same)
			fsw_steps_add(steps, at, state);
		else if (!is_same_state(reading, steps->state[steps->n - 1], state))
			reading->facts.torn = true;
	}
	return true;
}

/* The same by way of the timeline; returns whether all of the history was read. */
static bool
steps_of_history(StepsReading *reading, const int64 *near)
{
	FswAsked	asked = {.state_alone = true};
	FswHistory *history = fsw_history_read(reading->reader, reading->flag_facts, &asked, near);

	reading->steps->n = 0;
	for (int i = 0; i < history->timeline->nperiods && history->timeline->periods[i].scope == 0; i++)
	{
		CHECK_FOR_INTERRUPTS();
		fsw_steps_add(reading->steps, history->timeline->periods[i].from, history->timeline->periods[i].state);
	}
	reading->table = *history;
	return history->whole;
}

/*
 * Does any audit entry about the environment default lie in a range?  whole:
 * of the state, not of its value or percentages alone.
 */
static bool
has_entries(void *source, int64 from, int64 to, bool whole)
{
	StepsReading *reading = source;
	const FswFlagFacts *flag_facts = reading->flag_facts;

	for (int i = 0; i < flag_facts->feature.nnames && flag_facts->environment->has_project; i++)
	{
		FswScan    *scan = fsw_scan_entries(reading->reader, flag_facts, flag_facts->feature.names[i], false);

		fsw_scan_key_null(scan, true);
		fsw_scan_key(scan, BTGreaterEqualStrategyNumber, TimestampTzGetDatum(from));
		fsw_scan_key(scan, BTLessEqualStrategyNumber, TimestampTzGetDatum(to));
		fsw_scan_begin(scan, ForwardScanDirection);
		while (fsw_scan_next(scan))
		{
			if (!whole || !(fsw_scan_is(scan, EFFECT_kind, "value") || fsw_scan_is(scan, EFFECT_kind, "variant") ||
							fsw_scan_is(scan, EFFECT_kind, "feature_created")))
				return true;
		}
	}
	return false;
}

static int64
environment_end(void *source)
{
	StepsReading *reading = source;

	return fsw_environment_end(reading->reader, reading->flag_facts->environment);
}

static bool
is_copy(void *source)
{
	StepsReading *reading = source;

	/* of the feature itself: in a copy it was there before the environment */
	return fsw_flag_facts_is_copy(reading->reader, reading->flag_facts, reading->created);
}

/* The state that the feature's defaults make. */
static int
defaults(void *source)
{
	StepsReading *reading = source;

	return fsw_intern_state(&reading->states, reading->creation.enabled,
							reading->values ? reading->creation.value : (Datum) 0, !reading->values,
							(Datum) 0, true);
}

/*
 * Make the steps of the events that were read.  from_start: the first of all
 * are among them.  Returns false where the timeline has to.
 */
static bool
build_steps(StepsReading *reading, bool from_start)
{
	const FswFlagFacts *flag_facts = reading->flag_facts;

	if (reading->ahead)
		return false;
	reading->facts.from_start = from_start;
	if (from_start)
	{
		reading->creation = fsw_creation_read(reading->reader, flag_facts);
		reading->created = flag_facts->created != FSW_NEVER ? flag_facts->created : reading->creation.created;
		reading->facts.created_at = fsw_flag_created_at(reading->reader, flag_facts, reading->created);
		reading->facts.default_enabled = reading->creation.has_defaults ? reading->creation.enabled : -1;
	}
	return fsw_steps_build(reading->steps, &reading->facts);
}

/* Has the environment default an event whose time is not to be believed? */
static bool
has_ahead(StepsReading *reading)
{
	FswScan    *scan;

	if (fsw_index_is_empty(reading->reader, FSW_INDEX_AHEAD))
		return false;
	scan = fsw_scan_of(reading->reader, FSW_INDEX_AHEAD);
	fsw_scan_flag(scan, reading->flag_facts);
	fsw_scan_key_null(scan, true);
	fsw_scan_key_null(scan, true);
	fsw_scan_begin(scan, ForwardScanDirection);
	return fsw_scan_next(scan);
}

/*
 * Read the last events up to an instant, those of one time.  The server looks
 * at all entries of a page that match, and most of a page is events of the same
 * flag.  So the search ends where those before had found an event, and a bit
 * beyond; where it finds none, it is made again without an end.
 */
static void
read_behind(StepsReading *reading, int64 near)
{
	FswReader  *reader = reading->reader;
	FswStateSteps *steps = reading->steps;
	int64		to = fsw_after(near, -reader->behind);

	if (reader->behind > 0 && to != near)
		(void) read_entries(reading, &near, &to, BackwardScanDirection, NULL);
	if (steps->n == 0)
		(void) read_entries(reading, &near, NULL, BackwardScanDirection, NULL);
	if (steps->n == 0 || TIMESTAMP_NOT_FINITE(near) || TIMESTAMP_NOT_FINITE(steps->from[0]))
		return;
	/* of evenly spread ones, one search in a hundred finds none then */
	reader->behind -= reader->behind / 16;
	reader->behind = Max(reader->behind, 2 * Min(fsw_apart(near, steps->from[0]), PG_INT64_MAX / 2));
}

/*
 * Read the steps around an instant: those that tell the state then.  Returns
 * false where the timeline has to.
 */
static bool
read_steps_near(StepsReading *reading, int64 near)
{
	bool		from_start;

	if (has_ahead(reading))
		return false;
	read_behind(reading, near);
	from_start = reading->steps->n == 0;
	if (from_start)
		(void) read_entries(reading, &near, NULL, ForwardScanDirection, NULL);
	return build_steps(reading, from_start);
}

/*
 * Read all events, with the places of their values where that will do; false
 * if it is more than the limit.  simple is whether their steps tell, and what
 * of it is known before.
 */
static bool
read_all_steps(StepsReading *reading, bool *simple, FswStepsLimit *limit)
{
	reading->places = reading->values && *simple;
	if (!read_entries(reading, NULL, NULL, ForwardScanDirection, limit))
		return false;
	reading->result->storage = fsw_storage(reading->reader->tables[FSW_READ_FLAG_CHANGE]);
	if (*simple && build_steps(reading, true))
		return true;
	if (reading->places)
	{
		/* how large the values are counts for what is read now */
		reading->places = false;
		reading->steps->n = 0;
		reading->nread = 0;
		if (!read_entries(reading, NULL, NULL, ForwardScanDirection, limit))
			return false;
	}
	*simple = false;
	return !is_too_much(reading, EVIDENCE_SIZE, limit);
}

/*
 * fsw_steps_read() - the environment default of one flag.
 *
 * Without near all of it, or NULL if that is more than the limit; with near,
 * what tells the state at that instant.  values: the values as well, not only
 * enabled; of all of it, most are told by where they are.
 */
FswSteps *
fsw_steps_read(FswReader *reader, const FswFlagFacts *flag_facts, bool values, const int64 *near,
			   FswStepsLimit *limit)
{
	StepsReading reading = {0};
	FswSteps   *steps = palloc0_object(FswSteps);
	bool		simple = !flag_facts->versioned && !flag_facts->drafts && !flag_facts->deleted &&
		flag_facts->environment->known_at == DT_NOEND;

	reading.reader = reader;
	reading.flag_facts = flag_facts;
	reading.values = values;
	reading.result = steps;
	reading.steps = &steps->steps;
	reading.states.history = &reading.table;
	reading.states.mcxt = CurrentMemoryContext;
	reading.by_enabled[false] = -1;
	reading.by_enabled[true] = -1;
	reading.facts.first_before = -1;
	reading.facts.deleted_at = flag_facts->deleted_at;
	reading.facts.nremovals = flag_facts->nremovals;
	reading.facts.removals = flag_facts->removals;
	reading.facts.source = &reading;
	reading.facts.has_entries = has_entries;
	reading.facts.environment_end = environment_end;
	reading.facts.is_copy = is_copy;
	reading.facts.defaults = defaults;

	if (near == NULL)
	{
		if (!read_all_steps(&reading, &simple, limit))
			return NULL;
	}
	else if (simple && flag_facts->deleted_at <= *near)
	{
		/* the feature is gone then, if it ever was there */
		int64		before = fsw_after(flag_facts->deleted_at, -1);

		simple = read_steps_near(&reading, before);
		if (simple && fsw_steps_at(&steps->steps, before) == FSW_NOT_SEEN)
		{
			steps->steps.n = 0;
			simple = read_steps_near(&reading, *near);
		}
	}
	else if (simple)
		simple = read_steps_near(&reading, *near);

	if (!simple)
		steps->whole = steps_of_history(&reading, near);
	steps->nstates = reading.table.flag.nstates;
	steps->states = reading.table.flag.states;
	steps->shown = reading.table.shown_states;
	return steps;
}
