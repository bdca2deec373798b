/*-------------------------------------------------------------------------
 *
 * src/answer/history_shown.c
 *	  The state of which flag event of an act is shown in its line of history.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/builtins.h"
#include "utils/jsonb.h"

#include "src/answer/history.h"
#include "src/decode/row.h"

/* Does an event of a flag's making show what it was made with?  Another of its time was read after a change. */
static bool
is_as_made(FswReader *reader, const FswPieceEvent *event)
{
	FswScan    *scan = fsw_piece_row(reader, event);
	int64		made = fsw_scan_int64(scan, FLAG_feature_created_date, FSW_NEVER);
	bool		no_value;
	bool		no_initial;
	Datum		value = fsw_scan_column(scan, FLAG_value, &no_value);
	Datum		initial = fsw_scan_column(scan, FLAG_feature_initial_value, &no_initial);

	if (made == FSW_NEVER || event->event_at < made || fsw_apart(event->event_at, made) > FSW_MAKING_TOLD || no_value ||
		fsw_scan_is_null(scan, FLAG_feature_default_enabled) ||
		fsw_scan_bool(scan, FLAG_feature_default_enabled) != fsw_scan_bool(scan, FLAG_enabled))
		return false;
	initial = no_initial ? DirectFunctionCall1(jsonb_in, CStringGetDatum("null")) : fsw_initial_value(initial);
	return DatumGetBool(DirectFunctionCall2(jsonb_eq, value, initial));
}

/*
 * When the next save began after that of a line; FSW_FOREVER if no entry tells
 * of one.  Without entries, what comes much later than the first event may be
 * of another.
 */
static int64
next_save(FswReader *reader, const FswLine *line)
{
	int64		first = FSW_FOREVER;
	const FswPieceEntry *last = line->nentries > 0 ? line->entries[line->nentries - 1] : NULL;
	FswSearch	search;
	FswScan    *scan;

	for (int i = 0; last == NULL && i < line->nevents; i++)
		first = Min(first, line->events[i]->arrived);
	if (last == NULL)
		return fsw_after(first, FSW_SAVE_SPAN);
	if (!last->has_effect || !last->effect.has_feature || !last->has_environment)
		return FSW_FOREVER;
	search = fsw_search_effects(last->source, last->effect.feature_hash, true, last->environment_id,
								last->effect.has_scope, last->effect.scope_hash);
	scan = fsw_search_begin(reader, &search, fsw_after(last->at, 1), FSW_FOREVER, ForwardScanDirection);
	return fsw_scan_next(scan) ? fsw_scan_int64(scan, EFFECT_occurred_at, FSW_FOREVER) : FSW_FOREVER;
}

/*
 * Was an event read after another one of its time, as it says itself?  What came
 * much later may be of another save of what has no time of its own.
 */
static bool
was_read_after(FswReader *reader, const FswPieceEvent *event, const FswPieceEvent *other)
{
	FswHistory	history = {0};
	FswStateTable table = {.history = &history,.mcxt = CurrentMemoryContext};
	int			state;
	int			before;
	int			others;

	if (!event->has_state || !other->has_state || fsw_apart(other->arrived, event->arrived) > FSW_OVERTAKEN)
		return false;
	state = fsw_intern_told(&table, fsw_piece_row(reader, event), FSW_NOT_TOLD);
	before = fsw_intern_previous(&table, fsw_piece_row(reader, event), FSW_NOT_TOLD);
	others = fsw_intern_told(&table, fsw_piece_row(reader, other), FSW_NOT_TOLD);
	return before >= 0 && fsw_state_follows(&history.flag.states[state], &history.flag.states[before],
											&history.flag.states[others]);
}

/* Is the state of one event rather shown than that of another?  Next is when the next save began. */
static bool
is_rather_shown(FswReader *reader, FswPieceEvent *a, FswPieceEvent *b, int64 next)
{
	bool		a_follows;

	if ((a->identity == NULL) != (b->identity == NULL))
		return a->identity == NULL;
	if (a->has_segment != b->has_segment)
		return !a->has_segment;
	if (a->event_at != b->event_at)
		return a->event_at > b->event_at;
	/* what came before that shows nothing of it */
	if ((a->arrived < next) != (b->arrived < next))
		return a->arrived < next;
	if (!a->has_segment && a->identity == NULL)
	{
		bool		as_made = is_as_made(reader, a);

		if (as_made != is_as_made(reader, b))
			return as_made;
	}
	a_follows = was_read_after(reader, a, b);
	if (a_follows != was_read_after(reader, b, a))
		return a_follows;
	if (a->arrived != b->arrived)
		return a->arrived > b->arrived;
	return fsw_compare_events(reader, a, b) > 0;
}

/* The event of a line whose state is shown; NULL if it has none. */
FswPieceEvent *
fsw_history_shown(FswReader *reader, const FswLine *line)
{
	FswPieceEvent *event = NULL;
	int64		next = line->nevents > 1 ? next_save(reader, line) : FSW_FOREVER;

	for (int i = 0; i < line->nevents; i++)
	{
		if (event == NULL || is_rather_shown(reader, line->events[i], event, next))
			event = line->events[i];
	}
	return event;
}
