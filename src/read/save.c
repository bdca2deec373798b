/*-------------------------------------------------------------------------
 *
 * src/read/save.c
 *	  The audit entries of one save.
 *
 * One request saves a state, its value and its percentages one after the
 * other, and each save has an entry.  Which of those near each other are of
 * one, src/timeline/history.c says, and where it leaves that open a flag event
 * may tell.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"

#include "src/base/array.h"
#include "src/base/fsw.h"
#include "src/decode/row.h"
#include "src/read/history.h"

static int
compare_entries(const void *a, const void *b, void *reader)
{
	CHECK_FOR_INTERRUPTS();
	return fsw_compare_entries(reader, *(FswPieceEntry *const *) a, *(FswPieceEntry *const *) b);
}

void
fsw_sort_entries(FswReader *reader, FswPieceEntry **entries, int n)
{
	if (n > 1)
		qsort_arg(entries, n, sizeof(FswPieceEntry *), compare_entries, reader);
}

/* Is the entry about what one save consists of?  An option that was added or removed, which is of no environment, is not. */
static bool
is_saved(const FswPieceEntry *entry)
{
	return entry->has_effect && entry->effect.has_feature && entry->change_request == NULL &&
		(entry->effect.about == FSW_ABOUT_STATE || entry->effect.about == FSW_ABOUT_VALUE ||
		 (entry->effect.about == FSW_ABOUT_VARIANT && entry->effect.has_environment));
}

/* Another row about the same flag and override, as an effect tells it. */
typedef struct Neighbour
{
	FswEntry	row;
	int			split;
	int64		at;
} Neighbour;

/* As a neighbour, the effect that a search found. */
static Neighbour
neighbour_of(FswScan *scan)
{
	Neighbour	found;

	found.row = fsw_entry_of(scan);
	found.split = fsw_scan_int32(scan, EFFECT_split);
	found.at = fsw_scan_int64(scan, EFFECT_occurred_at, 0);
	return found;
}

/* The rows within the time of a save after an entry, then those before it, each so near to the next that they may be one. */
static Neighbour *
find_run(FswReader *reader, const FswPieceEntry *entry, int *nafter, int *n)
{
	const FswReadEffect *effect = &entry->effect;
	FswSearch	search = fsw_search_effects(entry->source, effect->feature_hash, effect->has_environment,
											effect->environment_id, effect->has_scope, effect->scope_hash);
	FswScan    *scan = fsw_search_begin(reader, &search, fsw_after(entry->at, -FSW_SAVE_SPAN),
										fsw_after(entry->at, FSW_SAVE_SPAN), ForwardScanDirection);
	Neighbour  *run = NULL;
	int			max = 0;
	int64		last = entry->at;
	bool		any_before = false;

	*n = 0;
	while (fsw_scan_next(scan))
	{
		Neighbour	found = neighbour_of(scan);

		if (found.at < entry->at)
			any_before = true;
		else if (!fsw_same_row(found.row, entry->row))
			FSW_PUSH(run, *n, max) = found;
	}
	*nafter = *n;
	if (!any_before)
		return run;
	scan = fsw_search_begin(reader, &search, fsw_after(entry->at, -FSW_NEIGHBOURS * FSW_SAVE_SPAN),
							fsw_after(entry->at, -1), BackwardScanDirection);
	while (fsw_scan_next(scan))
	{
		Neighbour	found = neighbour_of(scan);

		if (fsw_apart(last, found.at) > FSW_SAVE_SPAN)
			break;
		last = found.at;
		FSW_PUSH(run, *n, max) = found;
	}
	return run;
}

/* The entry of a neighbour, if it can be of one save with another; else NULL. */
static FswPieceEntry *
read_saved(FswReader *reader, const Neighbour *neighbour, const FswPieceEntry *like)
{
	FswPieceEntry *entry = fsw_piece_entry(reader, neighbour->row);

	if (entry == NULL || !is_saved(entry) || entry->effect.split != neighbour->split ||
		!fsw_same_or_null(entry->source, like->source) || !fsw_same_or_null(entry->author, like->author) ||
		entry->by_system != like->by_system)
		return NULL;
	return entry;
}

/*
 * The run of entries that an entry is in, from its beginning: each within the
 * time of a save of the one before.  NULL where too many are before it.
 */
static FswPieceEntry **
read_run(FswReader *reader, FswPieceEntry *entry, int *n)
{
	int			nafter;
	int			nrun;
	Neighbour  *run = find_run(reader, entry, &nafter, &nrun);
	FswPieceEntry **entries = palloc_array(FswPieceEntry *, nrun + 1);
	int64		since = entry->at;

	*n = 0;
	entries[(*n)++] = entry;
	for (int i = nafter; i < nrun; i++)
	{
		FswPieceEntry *other = read_saved(reader, &run[i], entry);

		if (other == NULL)
			continue;
		if (fsw_apart(since, other->at) > FSW_SAVE_SPAN)
			break;
		since = other->at;
		entries[(*n)++] = other;
		if (*n > FSW_NEIGHBOURS)
			return NULL;
	}
	for (int i = 0; i < nafter; i++)
	{
		FswPieceEntry *other = read_saved(reader, &run[i], entry);

		if (other != NULL)
			entries[(*n)++] = other;
	}
	fsw_sort_entries(reader, entries, *n);
	return entries;
}

/* The only entry about the state, or about the value, from first up to before end; -1 if there is none. */
static int
entry_about(const FswAbout *about, int first, int end, FswAbout what)
{
	for (int i = first; i < end; i++)
	{
		if (about[i] == what)
			return i;
	}
	return -1;
}

/* Has the event the very time of an entry about a state? */
static bool
has_own_entry(const FswPieceEvent *event, const FswAbout *about, const int64 *at, int n)
{
	for (int i = 0; i < n; i++)
	{
		if (about[i] == FSW_ABOUT_STATE && at[i] == event->event_at)
			return true;
	}
	return false;
}

/*
 * Was the value of a save that seems to have a state as well saved by itself?
 * An event has the very time of the entry about the state that was saved with
 * it.  One that is as near to the entry of a value as that of a value alone,
 * and of the time of no state, tells of another save than the state's.
 */
static bool
is_value_apart(FswReader *reader, const FswPieceEntry *value, const FswAbout *about, const int64 *at, int n)
{
	FswSearch	search = fsw_search_events(FSW_INDEX_CHANGE_NEAR, FLAG_event_at, value->source, value->effect.feature_hash,
										   value->effect.has_environment, value->effect.environment_id);
	FswFound	found = {0};

	fsw_search_around(reader, &search, fsw_after(value->at, -FSW_VALUE_REACH), value->at,
					  fsw_after(value->at, FSW_VALUE_REACH), fsw_find_row, &found, &found.n);
	for (int i = 0; i < found.n; i++)
	{
		const FswPieceEvent *event = fsw_piece_event(reader, found.rows[i]);

		if (event != NULL && fsw_same_or_null(event->source, value->source) && event->has_scope == value->effect.has_scope &&
			(!event->has_scope || event->scope_hash == value->effect.scope_hash) &&
			fsw_same_actor(value, event->changed_by) && !has_own_entry(event, about, at, n))
			return true;
	}
	return false;
}

/* Part a save whose value was saved by itself, and keep that one which has an entry. */
static void
part_value(FswReader *reader, FswPieceEntry **run, const FswAbout *about, const int64 *at, int n, int of, int *first, int *end)
{
	int			state = entry_about(about, *first, *end, FSW_ABOUT_STATE);
	int			value = entry_about(about, *first, *end, FSW_ABOUT_VALUE);
	int			begin;

	/* mostly, they are a few milliseconds apart */
	if (state < 0 || value < 0 || fsw_distance(at[state], at[value]) < FSW_VALUE_NEAR ||
		!is_value_apart(reader, run[value], about, at, n))
		return;
	begin = fsw_widest_gap(at, Min(state, value), Max(state, value));
	if (of < begin)
		*end = begin;
	else
		*first = begin;
}

/*
 * The entries of the save that an entry is in, in their order.  Of a longer
 * run than any person makes, what comes after its beginning stands alone.
 */
static FswPieceEntry **
entries_of_save(FswReader *reader, FswPieceEntry *entry, int *nentries)
{
	FswPieceEntry **alone = palloc_object(FswPieceEntry *);
	FswPieceEntry **run;
	FswAbout   *about;
	int64	   *at;
	int			n;
	int			of = 0;
	int			first;
	int			end;

	*alone = entry;
	*nentries = 1;
	if (!is_saved(entry) || (run = read_run(reader, entry, &n)) == NULL)
		return alone;
	if (n > FSW_NEIGHBOURS)
	{
		int64		cut = run[FSW_NEIGHBOURS]->at;

		if (entry->at >= cut)
			return alone;
		while (run[n - 1]->at >= cut)
			n--;
	}
	about = palloc_array(FswAbout, n);
	at = palloc_array(int64, n);
	for (int i = 0; i < n; i++)
	{
		about[i] = run[i]->effect.about;
		at[i] = run[i]->at;
		if (run[i] == entry)
			of = i;
	}
	fsw_save_of(about, at, n, of, &first, &end);
	if (end - first > 1)
		part_value(reader, run, about, at, n, of, &first, &end);
	*nentries = end - first;
	return run + first;
}

/* The same, found once: the event that an entry explains asks for them as well as the entry itself. */
FswPieceEntry **
fsw_entries_of_save(FswReader *reader, FswPieceEntry *entry, int *nentries)
{
	if (entry->save == NULL)
		entry->save = entries_of_save(reader, entry, &entry->nsave);
	*nentries = entry->nsave;
	return entry->save;
}
