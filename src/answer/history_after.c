/*-------------------------------------------------------------------------
 *
 * src/answer/history_after.c
 *	  The state after an act of history, where its flag event was read later
 *	  than what followed.
 *
 * A flag event shows what was there when a task of the sender read it.  By
 * then another save of the scope can have followed, or an option of the
 * feature: then the event may tell of that, and the timeline is asked instead.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"

#include "src/answer/history.h"
#include "src/decode/row.h"

/* The event of a version comes this long after its entry, unless it was scheduled. */
#define SCHEDULED INT64CONST(5000000)

/*
 * Does an event bear the time of a draft, and no entry says when that took
 * effect?  It names nobody.
 */
static bool
is_draft(const FswLine *line, const FswPieceEvent *event)
{
	return line->nentries == 0 && line->nlists == 0 && !event->deleted &&
		fsw_names_nobody(event->changed_by);
}

/*
 * When an event of a line took effect: of such a draft, as the timeline has it, not long
 * before it came, and of one that was read again in the middle of a save, with that.
 */
int64
fsw_history_effect(const FswLine *line, const FswPieceEvent *event)
{
	if (event->deleted)
		return event->arrived;
	if (event->by[FSW_EXPLAINS_READING] != NULL)
		return event->by[FSW_EXPLAINS_READING]->at;
	return is_draft(line, event) ? Max(event->at, fsw_after(event->arrived, -FSW_TASK_DELAY)) : event->at;
}

/* The last instant of an act: of a draft, that of its entries. */
static int64
end_of(const FswLine *line, const FswPieceEvent *event)
{
	int64		end = line->nentries > 0 && line->entries[0]->by_system ? FSW_NEVER : event->at;

	for (int i = 0; i < line->nentries; i++)
		end = Max(end, line->entries[i]->at);
	return end;
}

/* Does an effect that a search found tell of a save of a state? */
static bool
is_save(const FswReadEffect *effect)
{
	return effect->about == FSW_ABOUT_STATE || effect->about == FSW_ABOUT_VALUE || effect->about == FSW_ABOUT_VARIANT;
}

/* What the first entry that tells of another save of the scope in a time is about; FSW_ABOUT_OTHER if none does. */
static FswAbout
saved_by_entry(FswReader *reader, const FswPieceEvent *event, int64 from, int64 to)
{
	FswSearch	search = fsw_search_effects(event->source, event->feature_hash, true, event->environment_id,
											event->has_scope, event->scope_hash);
	FswScan    *scan = fsw_search_begin(reader, &search, from, to, ForwardScanDirection);

	while (fsw_scan_next(scan))
	{
		FswReadEffect effect = fsw_read_effect(scan);

		CHECK_FOR_INTERRUPTS();
		if (is_save(&effect))
			return effect.about;
	}
	return FSW_ABOUT_OTHER;
}

/*
 * The first other flag event of the scope that has a time of its own in there, and
 * of several of one time what came first; NULL if there is none.
 */
static FswPieceEvent *
event_in(FswReader *reader, const FswPieceEvent *event, int64 from, int64 to)
{
	FswSearch	search = fsw_search_events(FSW_INDEX_CHANGE_NEAR, FLAG_event_at, event->source, event->feature_hash, true,
										   event->environment_id);
	FswScan    *scan = fsw_search_begin(reader, &search, from, to, ForwardScanDirection);
	FswFound	found = {0};
	FswPieceEvent *first = NULL;

	while (found.n <= FSW_NEIGHBOURS && fsw_search_next(scan, &search))
		fsw_find_row(scan, &found);
	for (int i = 0; i < found.n; i++)
	{
		FswPieceEvent *other = fsw_piece_event(reader, found.rows[i]);

		if (other == NULL || other->deleted || !other->has_state || other->has_segment != event->has_segment ||
			other->segment_id != event->segment_id || !fsw_same_or_null(other->identity, event->identity) ||
			!fsw_same_or_null(other->source, event->source))
			continue;
		/* they are found in the order of their times */
		if (first != NULL && other->event_at != first->event_at)
			break;
		if (first == NULL || other->arrived < first->arrived ||
			(other->arrived == first->arrived && fsw_compare_events(reader, other, first) < 0))
			first = other;
	}
	return first;
}

/* Do two events differ in what an entry is about? */
static bool
is_other_part(FswReader *reader, const FswPieceEvent *a, const FswPieceEvent *b, FswAbout about)
{
	if (about == FSW_ABOUT_STATE)
		return a->enabled != b->enabled;
	return about == FSW_ABOUT_VALUE ? !fsw_piece_same_value(reader, a, b) : !fsw_piece_same_variants(reader, a, b);
}

/*
 * Was an event read before the next save, as entries in a time tell?  It is not
 * known, but that it was where what that save changed first is otherwise in the
 * next event.
 */
static bool
may_show_next(FswReader *reader, const FswPieceEvent *event, int64 from, int64 to)
{
	FswAbout	about = saved_by_entry(reader, event, from, to);
	const FswPieceEvent *next = about == FSW_ABOUT_OTHER ? NULL : event_in(reader, event, from, to);

	return about != FSW_ABOUT_OTHER && (next == NULL || !is_other_part(reader, event, next, about));
}

/*
 * Was an option added with the feature, whose line is given: soon behind it, and
 * by whoever made it?  Of an entry that came twice the row that is shown says so.
 */
static bool
is_made_with(FswReader *reader, const FswLine *making, FswEntry row, int64 at, int64 from)
{
	const FswPieceEntry *entry;

	if (at >= fsw_after(from, FSW_MAKING_TOLD))
		return false;
	entry = fsw_piece_entry(reader, row);
	return entry == NULL || (fsw_entry_has_action(reader, &row, "created") &&
							 (making->nentries == 0 || fsw_same_or_null(entry->author, making->entries[0]->author)));
}

/*
 * Does an entry tell of an option of the feature that was added or removed in a
 * time, and not with the feature, of the line of whose making this is asked?
 */
static bool
is_option_told(FswReader *reader, const FswPieceEvent *event, const FswLine *making, int64 from, int64 to)
{
	FswSearch	search = fsw_search_effects(event->source, event->feature_hash, false, 0, false, 0);
	FswScan    *scan = fsw_search_begin(reader, &search, from, to, ForwardScanDirection);

	while (fsw_scan_next(scan))
	{
		FswReadEffect effect = fsw_read_effect(scan);

		CHECK_FOR_INTERRUPTS();
		if (effect.about == FSW_ABOUT_VARIANT &&
			!(effect.has_feature_id && event->has_feature && effect.feature_id != event->feature_id) &&
			!(making != NULL && is_made_with(reader, making, fsw_entry_of(scan), effect.at, from)))
			return true;
	}
	return false;
}

/* The same, but most features have no options at all: which of them is remembered. */
static bool
may_have_options(FswKept *kept, const FswPieceEvent *event, const FswLine *making, int64 from, int64 to)
{
	uint64		key = hash_combine64((uint64) event->feature_hash ^ (uint64) event->feature_id,
									 (uint64) DatumGetInt64(fsw_text_hash(event->source)));
	uint64	   *place = &kept->optionless[key % FSW_KEPT_OPTIONLESS];

	if (key != 0 && *place == key)
		return false;
	if (is_option_told(kept->reader, event, NULL, FSW_NEVER, FSW_FOREVER))
		return is_option_told(kept->reader, event, making, from, to);
	*place = key;
	return false;
}

/*
 * What of the state that an event shows may have come after the act?  One that
 * comes late, near the time of another save, may have been sent by that: a
 * save of the value alone sends the time of the state before.  What a version
 * has is its own but for variants, and read when it goes live.
 */
static FswAfterDoubt
doubt_of(FswKept *kept, const FswLine *line, const FswPieceEvent *event, bool of_version, bool of_making, int64 end)
{
	FswReader  *reader = kept->reader;
	int64		from = fsw_after(end, 1);
	int64		to = event->arrived;
	bool		late = fsw_apart(to, end) > FSW_TASK_DELAY;

	if (!event->has_environment || to <= end || is_draft(line, event))
		return FSW_AFTER_SURE;
	if (of_version && fsw_apart(to, end) > SCHEDULED)
		return FSW_AFTER_SURE;
	if (!of_version)
	{
		if (may_show_next(reader, event, from, fsw_after(to, late ? FSW_CLOCKS : 0)) ||
			(late && line->nentries == 0 &&
			 event_in(reader, event, Max(from, fsw_after(to, -FSW_CLOCKS)), fsw_after(to, FSW_CLOCKS)) != NULL))
			return FSW_AFTER_STATE;
		if (line->nentries == 0 && event_in(reader, event, from, to) != NULL)
			return FSW_AFTER_PERHAPS;
	}
	return may_have_options(kept, event, of_making ? line : NULL, from, to) ? FSW_AFTER_VARIANTS : FSW_AFTER_SURE;
}

/* A value in the memory of the caller. */
static Datum
copied(Datum value, MemoryContext caller)
{
	MemoryContext work = MemoryContextSwitchTo(caller);
	Datum		copy = DatumGetPointer(value) == NULL ? (Datum) 0 : PointerGetDatum(DatumGetJsonbPCopy(value));

	MemoryContextSwitchTo(work);
	return copy;
}

/*
 * fsw_history_after() - what of an event's state may be of later than its act,
 * and what the timeline has instead, where it has anything that is at least
 * reported.
 */
FswAfter
fsw_history_after(FswKept *kept, const FswLine *line, const FswPieceEvent *event, bool of_version, bool of_making)
{
	int64		end = end_of(line, event);
	FswAfter	after = {.doubt = doubt_of(kept, line, event, of_version, of_making, end)};
	FswLineScope scope = {.has_segment = event->has_segment,.segment_id = event->segment_id};
	MemoryContext caller;

	if (after.doubt == FSW_AFTER_SURE || !event->has_feature)
		return after;
	scope.identity = event->identity == NULL ? NULL : text_to_cstring(event->identity);
	caller = MemoryContextSwitchTo(fsw_kept_work(kept));
	after.known = fsw_history_state(kept, PointerGetDatum(event->source), event->environment_id, event->feature_id,
									&scope, end, &after.state);
	if (after.known)
	{
		after.state.value = copied(after.state.value, caller);
		after.state.variants = copied(after.state.variants, caller);
	}
	MemoryContextSwitchTo(caller);
	return after;
}
