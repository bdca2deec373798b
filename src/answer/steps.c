/*-------------------------------------------------------------------------
 *
 * src/answer/steps.c
 *	  The states of an environment default alone, for millions of lookups.
 *
 * Of a flag that is saved state by state, the best estimate needs no audit
 * entries: each event's state holds from its time on, until the next one, a
 * removal, or the end of the feature.  That is what timeline.c makes of the
 * same events, with less to read: for enabled alone, the index has it all.
 * Where it is not so simple, the whole timeline is built and its states are
 * taken: with versions, and where one time has two states.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
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
#define EVIDENCE_SIZE	512

/* An act is told by the flag event within this time after it. */
#define TOLD_WITHIN INT64CONST(2000000)

typedef struct StepsReading
{
	FswReader  *reader;
	const FswLife *life;
	bool		values;
	FswSteps   *steps;
	int			maxsteps;
	FswHistory	table;			/* of the distinct states */
	FswStateTable states;
	int			by_enabled[2];	/* without values: the state, or -1 */
	int			first_before;	/* enabled before the first time's events: 0, 1,
								 * -1 if not told, 2 if they do not agree */
	bool		torn;
	bool		ahead;			/* a time is not to be believed */
	int64		nread;
	Size		value_size;		/* of the distinct values */
} StepsReading;

static void
add_step(StepsReading *reading, int64 from, int state)
{
	FswSteps   *steps = reading->steps;

	int			max = reading->maxsteps;

	steps->from = fsw_grow(steps->from, steps->n, &max, sizeof(int64));
	steps->state = fsw_grow(steps->state, steps->n, &reading->maxsteps, sizeof(int));
	steps->from[steps->n] = from;
	steps->state[steps->n++] = state;
}

/* The state of the event that the scan is at. */
static int
entry_state(StepsReading *reading, FswScan *scan, const Datum *values, const bool *nulls)
{
	bool		enabled = DatumGetBool(values[ENTRY_ENABLED]);
	bool		isnull;
	Datum		value;
	int			nstates = reading->table.flag.nstates;
	int			state;

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
	fsw_scan_fetch(scan);
	value = fsw_scan_column(scan, FLAG_value, &isnull);
	state = fsw_intern_state(&reading->states, enabled, value, isnull, (Datum) 0, true);
	if (state == nstates && !isnull)
		reading->value_size += VARSIZE_ANY(DatumGetPointer(reading->table.shown_states[state].value));
	return state;
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
	reading->first_before = again && before != reading->first_before ? 2 : before;
}

/* Is that more than may be read? */
static bool
is_too_much(StepsReading *reading, Size change_size, FswStepsLimit *limit)
{
	/* a value is read, and then kept */
	if (reading->nread * change_size + 2 * reading->value_size > limit->memory)
		limit->no_memory = true;
	return limit->no_memory || reading->nread > limit->changes;
}

/*
 * Read the events from an instant on in one direction: all up to a limit, or
 * where there is none those of the first time alone.  Returns false at the
 * limit.
 */
static bool
read_entries(StepsReading *reading, const int64 *from, ScanDirection direction, FswStepsLimit *limit)
{
	FswScan    *scan = fsw_scan_of(reading->reader, FSW_INDEX_DEFAULT);
	FswSteps   *steps = reading->steps;
	Datum		values[FSW_ENTRY_COLUMNS];
	bool		nulls[FSW_ENTRY_COLUMNS];

	fsw_scan_flag(scan, reading->life);
	if (from != NULL)
		fsw_scan_key(scan, ScanDirectionIsBackward(direction) ?
					 BTLessEqualStrategyNumber : BTGreaterStrategyNumber, TimestampTzGetDatum(*from));
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
			add_step(reading, at, state);
		else if (steps->state[steps->n - 1] != state)
			reading->torn = true;
	}
	return true;
}

/* The same by way of the timeline. */
static FswSteps *
steps_of_history(StepsReading *reading, const int64 *near)
{
	FswAsked	asked = {.state_alone = true};
	FswHistory *history = fsw_history_read(reading->reader, reading->life, &asked, near);

	reading->steps->n = 0;
	for (int i = 0; i < history->timeline->nperiods && history->timeline->periods[i].scope == 0; i++)
	{
		CHECK_FOR_INTERRUPTS();
		add_step(reading, history->timeline->periods[i].from, history->timeline->periods[i].state);
	}
	reading->table = *history;
	return reading->steps;
}

/* Does any audit entry about the environment default lie in a range? */
static bool
has_entries(StepsReading *reading, int64 from, int64 to)
{
	const FswLife *life = reading->life;

	for (int i = 0; i < life->feature.nnames && life->environment->has_project; i++)
	{
		FswScan    *scan = fsw_scan_entries(reading->reader, life, life->feature.names[i], false);

		fsw_scan_key_null(scan, true);
		fsw_scan_key(scan, BTGreaterEqualStrategyNumber, TimestampTzGetDatum(from));
		fsw_scan_key(scan, BTLessEqualStrategyNumber, TimestampTzGetDatum(to));
		fsw_scan_begin(scan, ForwardScanDirection);
		if (fsw_scan_next(scan))
			return true;
	}
	return false;
}

/*
 * What was there before the first event: nothing, or what the feature's
 * defaults make.  Returns false where an audit entry has a say in it.
 */
static bool
add_start(StepsReading *reading)
{
	FswSteps   *steps = reading->steps;
	const FswLife *life = reading->life;
	FswCreation creation = {.created = FSW_NEVER};
	int64		first = FSW_FOREVER;
	int64		born;
	int			state = FSW_NOT_TOLD;

	if (steps->n > 0)
		first = steps->from[0];
	if (life->nremovals > 0)
		first = Min(first, life->removals[0]);
	creation = fsw_creation_read(reading->reader, life);
	born = fsw_life_born(reading->reader, life, life->created != FSW_NEVER ? life->created : creation.created);
	if (born == FSW_NEVER || born >= first)
		return true;
	if (first != FSW_FOREVER && born >= fsw_after(first, -TOLD_WITHIN))
		return !has_entries(reading, fsw_after(born, -TOLD_WITHIN), fsw_after(first, -FSW_SAME_ACT - 1));
	if (born >= life->gone || born >= fsw_environment_end(reading->reader, life->environment))
		return true;
	/* the first event tells another story */
	if (reading->first_before >= 0 &&
		(!creation.has_defaults || creation.enabled != reading->first_before ||
		 fsw_life_is_copy(reading->reader, life, born)))
		return false;
	if (creation.has_defaults)
		state = fsw_intern_state(&reading->states, creation.enabled,
								 reading->values ? creation.value : (Datum) 0, !reading->values,
								 (Datum) 0, true);
	add_step(reading, born, state);
	memmove(steps->from + 1, steps->from, (steps->n - 1) * sizeof(int64));
	memmove(steps->state + 1, steps->state, (steps->n - 1) * sizeof(int));
	steps->from[0] = born;
	steps->state[0] = state;
	return true;
}

/* The state was deleted in this environment, until the next event. */
static void
add_removals(StepsReading *reading)
{
	FswSteps   *steps = reading->steps;

	for (int i = 0; i < reading->life->nremovals; i++)
	{
		int64		at = reading->life->removals[i];
		int			place;

		CHECK_FOR_INTERRUPTS();
		add_step(reading, at, FSW_NOT_LIVE);
		for (place = steps->n - 1; place > 0 && steps->from[place - 1] > at; place--)
		{
			steps->from[place] = steps->from[place - 1];
			steps->state[place] = steps->state[place - 1];
		}
		steps->from[place] = at;
		steps->state[place] = FSW_NOT_LIVE;
	}
}

/* The state of the steps at an instant; FSW_NOT_SEEN before the first. */
int
fsw_steps_at(const FswSteps *steps, int64 at)
{
	int			low = 0;
	int			high = steps->n;

	while (low < high)
	{
		int			middle = low + (high - low) / 2;

		if (steps->from[middle] <= at)
			low = middle + 1;
		else
			high = middle;
	}
	return low == 0 ? FSW_NOT_SEEN : steps->state[low - 1];
}

/* Has the environment default an event whose time is not to be believed? */
static bool
has_ahead(StepsReading *reading)
{
	FswScan    *scan = fsw_scan_of(reading->reader, FSW_INDEX_AHEAD);

	fsw_scan_flag(scan, reading->life);
	fsw_scan_key_null(scan, true);
	fsw_scan_key_null(scan, true);
	fsw_scan_begin(scan, ForwardScanDirection);
	return fsw_scan_next(scan);
}

/*
 * Read the steps around an instant: those that tell the state then.  Returns
 * false where the timeline has to.
 */
static bool
read_steps_near(StepsReading *reading, int64 near)
{
	if (has_ahead(reading))
		return false;
	(void) read_entries(reading, &near, BackwardScanDirection, NULL);
	if (reading->steps->n == 0)
	{
		(void) read_entries(reading, &near, ForwardScanDirection, NULL);
		if (!add_start(reading))
			return false;
	}
	add_removals(reading);
	return !reading->torn && !reading->ahead;
}

/*
 * fsw_steps_read() - the environment default of one flag.
 *
 * Without near all of it, or NULL if that is more than the limit; with near,
 * what tells the state at that instant.  values: the values as well, not only
 * enabled.
 */
FswSteps *
fsw_steps_read(FswReader *reader, const FswLife *life, bool values, const int64 *near,
			   FswStepsLimit *limit)
{
	StepsReading reading = {0};
	FswSteps   *steps = palloc0_object(FswSteps);
	bool		simple = !life->versioned && !life->drafts && !life->deleted;

	reading.reader = reader;
	reading.life = life;
	reading.values = values;
	reading.steps = steps;
	reading.states.history = &reading.table;
	reading.states.mcxt = CurrentMemoryContext;
	reading.by_enabled[false] = -1;
	reading.by_enabled[true] = -1;
	reading.first_before = -1;

	if (near == NULL)
	{
		if (!read_entries(&reading, NULL, ForwardScanDirection, limit))
			return NULL;
		simple = simple && !reading.torn && !reading.ahead && add_start(&reading);
		if (!simple && is_too_much(&reading, EVIDENCE_SIZE, limit))
			return NULL;
		add_removals(&reading);
	}
	else if (simple && life->gone <= *near)
	{
		/* the feature is gone then, if it ever was there */
		int64		before = fsw_after(life->gone, -1);

		simple = read_steps_near(&reading, before);
		if (simple && fsw_steps_at(steps, before) == FSW_NOT_SEEN)
		{
			steps->n = 0;
			simple = read_steps_near(&reading, *near);
		}
	}
	else if (simple)
		simple = read_steps_near(&reading, *near);

	if (!simple)
		(void) steps_of_history(&reading, near);
	else if (life->gone != FSW_FOREVER && steps->n > 0 && steps->from[0] >= life->gone)
		steps->n = 0;
	else if (life->gone != FSW_FOREVER && steps->n > 0)
	{
		while (steps->from[steps->n - 1] >= life->gone)
			steps->n--;
		add_step(&reading, life->gone, FSW_NOT_LIVE);
	}
	steps->nstates = reading.table.flag.nstates;
	steps->states = reading.table.flag.states;
	steps->shown = reading.table.shown_states;
	return steps;
}
