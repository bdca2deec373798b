/*-------------------------------------------------------------------------
 *
 * src/read/near_versions.c
 *	  A flag with versions around one instant: the lists, events and entries near
 *	  it, and of each state that began or ends far away the one event.
 *
 * A list of a version is complete, so it is a place to begin anew: what is
 * read is a stretch between two quiet times, with a list before the instant.
 * timeline/near.c judges whether more would tell something else; then a longer
 * stretch is tried, and at last all is read.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"

#include "src/base/fsw.h"
#include "src/decode/row.h"
#include "src/read/builder.h"

/* Events that came later than this are found by their arrival. */
#define LATE		INT64CONST(60000000)

/* Lists before and after the instant, for each try; the first has more where they follow each other fast. */
static const struct
{
	int			before;
	int			after;
}			tries[] = {{4, 8}, {16, 16}, {FSW_WINDOW, FSW_WINDOW}};

/*
 * What is read has to reach over more than FSW_MATCH_REACH to say whose an
 * event is that is left over, so that a shorter first try mostly is in vain.
 */
#define REACH_BEFORE	(FSW_MATCH_REACH / 2 + 2 * LATE)
#define REACH_AFTER		(FSW_MATCH_REACH / 2 + 4 * LATE)

/* So many changes under one name in an environment are read at most. */
#define MANY_CHANGES	(16 * FSW_WINDOW)

/* So many before its first list. */
#define FIRST_CHANGES	8

/* How often a run of one state may begin at an event that is looked at by itself. */
#define DEPTH		4

typedef struct Window
{
	FswHistoryReading reading;
	FswFlag    *flag;
	int64		at;
	int			before;			/* lists to read; then how many were */
	int			after;
	bool		stretches;		/* more are read where they are near */
	int64		lists_from;		/* those that arrived between are read */
	int64		lists_to;
	int64		from;			/* and events and entries */
	int64		to;
} Window;

/* The lists that one webhook brought, from an instant on in one direction. */
static FswScan *
scan_lists(const Window *window, int webhook, const int64 *at, bool before)
{
	const FswFlagFacts *flag_facts = window->reading.flag_facts;
	FswScan    *scan = fsw_scan_lists_by(window->reading.reader, flag_facts, flag_facts->webhooks[webhook]);

	if (at != NULL)
		fsw_scan_key(scan, before ? BTLessEqualStrategyNumber : BTGreaterStrategyNumber,
					 TimestampTzGetDatum(*at));
	fsw_scan_begin(scan, before ? BackwardScanDirection : ForwardScanDirection);
	return scan;
}

/* Is a list read though enough are, since it is within reach?  Long after the last one, that is told from there. */
static bool
is_within_reach(const Window *window, FswScan *scan, bool before, int64 first, int n)
{
	int64		at = fsw_scan_int64(scan, VERSION_received_at, 0);

	return window->stretches && n <= FSW_WINDOW &&
		(before ? fsw_apart(first, at) < REACH_BEFORE : fsw_apart(at, window->at) < REACH_AFTER);
}

/* The lists around the instant. */
static void
read_lists(Window *window)
{
	int			nbefore = window->before;
	int			nafter = window->after;

	window->lists_from = FSW_NEVER;
	window->lists_to = FSW_FOREVER;
	for (int i = 0; i < window->reading.flag_facts->nwebhooks * 2; i++)
	{
		bool		before = i % 2 == 0;
		FswScan    *scan = scan_lists(window, i / 2, &window->at, before);
		int			limit = (before ? window->before : window->after) + 1;
		int			n = 0;
		int64		first = window->at;
		int64		last = 0;

		while (fsw_scan_next(scan) && (n < limit || is_within_reach(window, scan, before, first, n)))
		{
			last = fsw_scan_int64(scan, VERSION_received_at, 0);
			first = n == 0 ? last : first;
			n += fsw_read_list(&window->reading, scan);
		}
		if (n < limit)
			continue;
		if (before)
		{
			window->lists_from = Max(window->lists_from, last);
			nbefore = Max(nbefore, n - 1);
		}
		else
		{
			window->lists_to = Min(window->lists_to, last);
			nafter = Max(nafter, n - 1);
		}
	}
	window->before = nbefore;
	window->after = nafter;
}

/* Is the event in the row of a scan one of the flag's, and no identity's? */
static bool
is_of_flag(const Window *window, FswScan *scan)
{
	const FswFlagFacts *flag_facts = window->reading.flag_facts;

	return fsw_scan_int64(scan, FLAG_feature_id, 0) == flag_facts->feature.id &&
		fsw_scan_int64(scan, FLAG_environment_id, -1) == flag_facts->environment->environment_id &&
		fsw_scan_is_null(scan, FLAG_identity) && !fsw_scan_bool(scan, FLAG_deleted) &&
		!fsw_scan_bool(scan, FLAG_is_test) &&
		fsw_scan_same_text(scan, FLAG_source, flag_facts->environment->source) &&
		fsw_is_known(scan, FLAG_stored_at, flag_facts->environment);
}

static void
read_change(Window *window, FswScan *scan)
{
	fsw_read_change(&window->reading, scan, fsw_scan_is_null(scan, FLAG_segment_id) ? 0 :
					fsw_override_scope(&window->reading, scan));
}

/* The events under a name of the feature, by their time; false if too many. */
static bool
read_changes_named(Window *window, int64 name, int most)
{
	FswScan    *scan = fsw_scan_of(window->reading.reader, FSW_INDEX_CHANGE_NEAR);

	fsw_scan_equal(scan, Int64GetDatum(name));
	fsw_scan_equal(scan, Int64GetDatum(window->reading.flag_facts->environment->environment_id));
	fsw_scan_key(scan, BTGreaterEqualStrategyNumber, TimestampTzGetDatum(window->from));
	if (window->to != FSW_FOREVER)
		fsw_scan_key(scan, BTLessEqualStrategyNumber, TimestampTzGetDatum(window->to));
	fsw_scan_begin(scan, ForwardScanDirection);
	for (int n = 0; fsw_scan_next(scan); n++)
	{
		if (n >= most)
			return false;
		if (is_of_flag(window, scan))
			read_change(window, scan);
	}
	return true;
}

/* The events of the default and of segments, and imports, which bear no name. */
static bool
read_changes(Window *window, int most)
{
	const FswFeature *feature = &window->reading.flag_facts->feature;
	int64		nameless = fsw_name_hash("feature", "", 0);

	for (int i = 0; i < feature->nnames; i++)
	{
		if (feature->names[i] != nameless && !read_changes_named(window, feature->names[i], most))
			return false;
	}
	return read_changes_named(window, nameless, most);
}

/* Those that came late, of an earlier time; false where one spans the stretch. */
static bool
read_late(Window *window)
{
	FswScan    *scan = fsw_scan_of(window->reading.reader, FSW_INDEX_LATE);

	fsw_scan_flag(scan, window->reading.flag_facts);
	fsw_scan_key(scan, BTGreaterEqualStrategyNumber, TimestampTzGetDatum(window->from));
	fsw_scan_begin(scan, ForwardScanDirection);
	for (int n = 0; fsw_scan_next(scan); n++)
	{
		int64		received_at = fsw_scan_int64(scan, FLAG_received_at, 0);

		if (n >= FSW_WINDOW)
			return false;
		if (!is_of_flag(window, scan) || fsw_scan_int64(scan, FLAG_event_at, 0) >= window->from)
			continue;
		if (received_at > window->to)
			return false;
		read_change(window, scan);
	}
	return true;
}

/* Has the flag an event that is dated after its arrival? */
static bool
has_ahead(const Window *window)
{
	FswScan    *scan;

	if (fsw_index_is_empty(window->reading.reader, FSW_INDEX_AHEAD))
		return false;
	scan = fsw_scan_of(window->reading.reader, FSW_INDEX_AHEAD);
	fsw_scan_flag(scan, window->reading.flag_facts);
	fsw_scan_begin(scan, ForwardScanDirection);
	return fsw_scan_next(scan);
}

/* The announcements of the deletion; false if too many. */
static bool
read_deletions(Window *window)
{
	FswScan    *scan = fsw_scan_of(window->reading.reader, FSW_INDEX_DELETED);

	fsw_scan_flag(scan, window->reading.flag_facts);
	fsw_scan_begin(scan, ForwardScanDirection);
	for (int n = 0; fsw_scan_next(scan); n++)
	{
		if (n >= FSW_WINDOW)
			return false;
		if (fsw_is_known(scan, FLAG_stored_at, window->reading.flag_facts->environment))
			fsw_read_change(&window->reading, scan, 0);
	}
	return true;
}

/* The entries of versions, by their time. */
static void
read_entries(Window *window)
{
	const FswFlagFacts *flag_facts = window->reading.flag_facts;

	for (int i = 0; i < flag_facts->feature.nnames && flag_facts->environment->has_project; i++)
	{
		FswScan    *scan = fsw_scan_versions(window->reading.reader, flag_facts, flag_facts->feature.names[i]);

		fsw_scan_key(scan, BTGreaterEqualStrategyNumber, TimestampTzGetDatum(window->from));
		if (window->to != FSW_FOREVER)
			fsw_scan_key(scan, BTLessEqualStrategyNumber, TimestampTzGetDatum(window->to));
		fsw_scan_begin(scan, ForwardScanDirection);
		while (fsw_scan_next(scan))
			fsw_read_entry_effect(&window->reading, scan);
	}
}

/* The entry of a list, or the list of an entry, whenever that was. */
static void
read_other(Window *window, int index)
{
	bool		is_list = window->flag->evidence[index].kind == FSW_EV_LIST;
	FswScan    *scan = fsw_scan_of(window->reading.reader, is_list ? FSW_INDEX_EFFECT_VERSION : FSW_INDEX_VERSION_UUID);
	const FswFlagFacts *flag_facts = window->reading.flag_facts;

	fsw_scan_equal(scan, Int64GetDatum((int64) window->flag->evidence[index].version));
	fsw_scan_begin(scan, ForwardScanDirection);
	while (fsw_scan_next(scan))
	{
		if (is_list)
		{
			bool		mine = false;

			for (int i = 0; i < flag_facts->feature.nnames && !mine; i++)
				mine = fsw_scan_int64(scan, EFFECT_feature_hash, 0) == flag_facts->feature.names[i];
			if (mine && fsw_scan_same_text(scan, EFFECT_source, flag_facts->environment->source) &&
				fsw_scan_int64(scan, EFFECT_environment_id, -1) == flag_facts->environment->environment_id)
				fsw_read_entry_effect(&window->reading, scan);
		}
		else if (fsw_scan_int64(scan, VERSION_feature_id, 0) == flag_facts->feature.id &&
				 fsw_scan_same_text(scan, VERSION_source, flag_facts->environment->source))
			(void) fsw_read_list(&window->reading, scan);
	}
}

/* Put entries and lists together, as far as they are not read both. */
static void
read_others(Window *window)
{
	int			n = window->flag->nevidence;

	for (int i = 0; i < n; i++)
	{
		FswEvidenceKind kind = window->flag->evidence[i].kind;

		CHECK_FOR_INTERRUPTS();
		if ((kind == FSW_EV_LIST || kind == FSW_EV_VERSION) && fsw_near_other(window->flag, i) < 0)
			read_other(window, i);
	}
}

/*
 * The events of one time of the environment default, the nearest to an
 * instant, settled; false for none.
 */
static bool
read_settled(Window *window, int64 at, bool before)
{
	FswScan    *scan = fsw_scan_of(window->reading.reader, FSW_INDEX_DEFAULT);
	FswFlag    *flag = window->flag;
	int			first = flag->nevidence;

	fsw_scan_flag(scan, window->reading.flag_facts);
	fsw_scan_key(scan, before ? BTLessStrategyNumber : BTGreaterStrategyNumber, TimestampTzGetDatum(at));
	fsw_scan_begin(scan, before ? BackwardScanDirection : ForwardScanDirection);
	while (fsw_scan_next(scan))
	{
		if (!is_of_flag(window, scan))
			continue;
		if (flag->nevidence > first && fsw_scan_int64(scan, FLAG_event_at, 0) != flag->evidence[first].at)
			break;
		read_change(window, scan);
		flag->evidence[flag->nevidence - 1].settled = true;
	}
	return flag->nevidence > first;
}

/*
 * Of each webhook a few lists, the first or the last of all, as evidence from
 * begin on.  Returns which of these pieces is the earliest or latest.
 */
static int
read_outermost(Window *window, bool last, int few, int begin)
{
	FswFlag    *flag = window->flag;
	int			best = begin;

	for (int i = 0; i < window->reading.flag_facts->nwebhooks; i++)
	{
		FswScan    *scan = scan_lists(window, i, NULL, last);

		for (int n = 0; n < few && fsw_scan_next(scan);)
			n += fsw_read_list(&window->reading, scan);
	}
	for (int i = begin; i < flag->nevidence; i++)
	{
		if (last ? flag->evidence[i].at > flag->evidence[best].at : flag->evidence[i].at < flag->evidence[best].at)
			best = i;
	}
	return best;
}

/*
 * Where the next list came soon after the first one of all: did nothing happen
 * or arrive for a while in between?  Then no event of a later version can be
 * put to the first, nor one of the first to a later version while it has its
 * own.
 */
static bool
is_parted(Window *window, int begin, bool few, int64 next)
{
	FswFlag    *flag = window->flag;
	int			end = flag->nevidence;
	int64		first = flag->evidence[begin].at;
	int64		quiet = first;
	bool		result;

	if (fsw_apart(next, first) >= 2 * LATE)
		return true;
	if (!few)
		return false;
	for (int i = begin + 1; i < end; i++)
		quiet = Max(quiet, flag->evidence[i].arrived);
	window->to = fsw_after(quiet, FSW_QUIET);
	read_entries(window);
	window->from = fsw_after(first, 1);
	result = next > window->to && read_changes(window, FIRST_CHANGES);
	for (int i = end; i < flag->nevidence; i++)
		result = result && flag->evidence[i].kind == FSW_EV_VERSION &&
			flag->evidence[i].version == flag->evidence[begin].version;
	flag->nevidence = end;
	return result;
}

/*
 * The first list of all, and the events up to then, if they are few; false if
 * others came too near to it.
 */
static bool
read_first(Window *window)
{
	FswFlag    *flag = window->flag;
	int			begin = flag->nevidence;
	int			best = read_outermost(window, false, 2, begin);
	int64		next = FSW_FOREVER;
	bool		few;

	if (best == flag->nevidence)
		return false;
	for (int i = begin; i < flag->nevidence; i++)
	{
		if (i != best)
			next = Min(next, flag->evidence[i].at);
	}
	flag->evidence[begin] = flag->evidence[best];
	flag->nevidence = begin + 1;
	window->from = FSW_NEVER;
	window->to = flag->evidence[begin].at;
	few = read_changes(window, FIRST_CHANGES);
	if (!few)
		flag->nevidence = begin + 1;
	return is_parted(window, begin, few, next);
}

/* The state of the default in the last list of all, which is no evidence near the instant. */
static int
find_last(Window *window)
{
	FswFlag    *flag = window->flag;
	int			begin = flag->nevidence;
	int			state = FSW_NOT_TOLD;
	int			best;

	window->reading.default_alone = true;
	best = read_outermost(window, true, 1, begin);
	window->reading.default_alone = false;

	if (best < flag->nevidence && flag->evidence[best].nlist > 0)
		state = flag->evidence[best].list[0];
	flag->nevidence = begin;
	return state;
}

/* What began before the stretch, and ends after it. */
static bool
read_far(Window *window, FswNear *near)
{
	near->begun = false;
	if (!read_settled(window, near->first, true))
	{
		if (!read_first(window))
			return false;
		near->begun = true;
	}
	near->at_last = FSW_NOT_TOLD;
	if (near->last != FSW_FOREVER && !read_settled(window, near->last, false))
		near->at_last = find_last(window);
	return true;
}

static FswHistory *read_exactly(FswReader *reader, const FswFlagFacts *flag_facts, const FswAsked *asked, int64 at,
								int depth);

/* Are states of two histories the same? */
static bool
is_same_state(const FswFlag *a, int x, const FswFlag *b, int y)
{
	if (x < 0 || y < 0)
		return x == y;
	return a->states[x].enabled == b->states[y].enabled && a->states[x].content == b->states[y].content;
}

/*
 * When the run of the state that a settled event told began, by what is near
 * the event.  That has to agree with what is near the instant: the run holds
 * on to it, or where it begins only after it, holds what came before.  False
 * if not.
 */
static bool
find_begin(const Window *window, int evidence, int depth, const FswPeriod *held, int64 *from)
{
	const FswAsked asked = {.state_alone = true};
	const FswHistory *mine = window->reading.history;
	const FswEvidence *event = &mine->flag.evidence[evidence];
	int64		delivery = mine->shown_rows[event->row].delivery;
	FswHistory *history = depth >= DEPTH ? NULL :
		read_exactly(window->reading.reader, window->reading.flag_facts, &asked, event->at, depth + 1);
	const FswPeriod *first;
	const FswPeriod *last;
	const FswPeriod *end;

	if (history == NULL)
		return false;
	first = last = fsw_timeline_at(history->timeline, 0, event->at);
	end = history->timeline->periods + history->timeline->nperiods;
	if (fsw_history_row(history, first) == NULL || fsw_history_row(history, first)->delivery != delivery)
		return false;
	while (first > history->timeline->periods && first[-1].scope == 0 && first[-1].state == first->state)
		first--;
	while (last + 1 < end && last[1].scope == 0 && last[1].state == first->state)
		last++;
	*from = first->from;
	if (event->at <= window->at)
		return last->to > window->at || last->to == FSW_FOREVER;
	return first > history->timeline->periods && first[-1].scope == 0 &&
		is_same_state(&history->flag, first[-1].state, &mine->flag, held->state);
}

/*
 * Was a state saved by itself after what is read?  Then none of it is of a
 * version, since these are switched on once and for all; and what bears the
 * time of a draft is placed by such an entry.
 */
static bool
is_saved_singly(const Window *window, const FswNear *near)
{
	int64		from = near->begun ? FSW_NEVER : near->first;

	for (int i = 0; i < window->flag->nevidence; i++)
	{
		FswEvidenceKind kind = window->flag->evidence[i].kind;

		if (kind == FSW_EV_BODY || kind == FSW_EV_IMPORT)
			from = Min(from, window->flag->evidence[i].at);
	}
	return fsw_is_saved_singly(window->reading.reader, window->reading.flag_facts, window->reading.created_at,
							   fsw_after(from, -FSW_SAME_ACT), near->begun ? near->first_version : FSW_NEVER);
}

/* Did any event ever tell of an override of the flag? */
static bool
has_overrides(FswReader *reader, const FswFlagFacts *flag_facts)
{
	FswScan    *scan = fsw_scan_of(reader, FSW_INDEX_OVERRIDE);

	fsw_scan_flag(scan, flag_facts);
	fsw_scan_begin(scan, ForwardScanDirection);
	return fsw_scan_next(scan);
}

/* Read and build what is near, in one try; NULL where that is not enough. */
static FswHistory *
try_near(Window *window, int depth)
{
	FswNear		near = {.at = window->at};
	FswHistory *history;
	FswPeriod  *periods;
	int64		from;

	window->flag->near = true;
	read_lists(window);
	/* no list before: what is near is the beginning */
	if (window->lists_from == FSW_NEVER)
		return NULL;
	window->from = fsw_after(window->lists_from, -2 * LATE);
	window->to = window->lists_to;
	if (!read_changes(window, MANY_CHANGES) || !read_late(window) ||
		(window->reading.flag_facts->deleted && !read_deletions(window)))
		return NULL;
	read_entries(window);
	read_others(window);
	near.lists_from = window->lists_from;
	near.read_from = Max(window->lists_from, fsw_after(window->from, LATE));
	near.read_to = window->to;
	if (!fsw_near_cut(window->flag, &near) || !read_far(window, &near))
		return NULL;
	window->reading.first = near.first;
	history = fsw_history_build(&window->reading);
	if (!fsw_near_is_sure(&history->flag, history->timeline, 0, &near) || is_saved_singly(window, &near) ||
		(fsw_is_about_overrides(window->reading.asked) && !fsw_near_tells_absence(&history->flag, history->timeline, &near)))
		return NULL;
	periods = history->timeline->periods;
	if (near.since)
	{
		if (!find_begin(window, periods[near.begin].evidence, depth, &periods[near.begin], &from))
			return NULL;
		periods[near.begin].from = from;
	}
	if (near.until)
	{
		if (!find_begin(window, periods[near.end + 1].evidence, depth, &periods[near.end], &from))
			return NULL;
		periods[near.end].to = from;
	}
	return history;
}

static FswHistory *
read_exactly(FswReader *reader, const FswFlagFacts *flag_facts, const FswAsked *asked, int64 at, int depth)
{
	int			before = 0;
	int			after = 0;

	for (int i = 0; i < (int) lengthof(tries); i++)
	{
		Window		window = {.at = at,.before = tries[i].before,.after = tries[i].after};
		FswHistory *history;

		CHECK_FOR_INTERRUPTS();
		if (window.before <= before && window.after <= after)
			continue;
		fsw_history_begin(&window.reading, reader, flag_facts, asked, &window.at);
		window.flag = &window.reading.history->flag;
		if (i == 0 && has_ahead(&window))
			return NULL;
		window.stretches = i == 0;
		history = try_near(&window, depth);
		if (history != NULL)
			return history;
		before = window.before;
		after = window.after;
	}
	return NULL;
}

/* Has anything that is read no end, as if it was told after all else? */
static bool
has_infinite(const FswFlag *flag)
{
	for (int i = 0; i < flag->nevidence; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (flag->evidence[i].at == FSW_FOREVER || flag->evidence[i].arrived == FSW_FOREVER)
			return true;
	}
	return false;
}

/*
 * After all evidence, the answer is that of the last instant of all, unless
 * something is dated at infinity.  All scopes of a flag are known only where
 * there is none but the default.
 */
static FswHistory *
read_last(FswReader *reader, const FswFlagFacts *flag_facts, const FswAsked *asked)
{
	FswHistory *history = read_exactly(reader, flag_facts, asked, END_TIMESTAMP - 1, 0);

	if (history != NULL && (has_infinite(&history->flag) || (asked->everything && history->flag.nscopes > 1)))
		return NULL;
	return history;
}

/*
 * fsw_near_read() - read the history of a flag with versions as far as it
 * tells of one instant; NULL where all of it has to be read: so it is for a
 * user who is in segments, or is known, where the flag has overrides at all,
 * since what a list shows of them depends on all that was told before.
 */
FswHistory *
fsw_near_read(FswReader *reader, const FswFlagFacts *flag_facts, const FswAsked *asked, int64 at)
{
	if (flag_facts->nwebhooks == 0 || flag_facts->nremovals > 0 ||
		(fsw_is_about_overrides(asked) && has_overrides(reader, flag_facts)))
		return NULL;
	return at == FSW_FOREVER ? read_last(reader, flag_facts, asked) : read_exactly(reader, flag_facts, asked, at, 0);
}
