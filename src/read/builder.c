/*-------------------------------------------------------------------------
 *
 * src/read/builder.c
 *	  The history of one flag: evidence read from the tables by index.
 *
 * Flag events and imported states are read here, audit entries and version
 * lists in audit.c.  Of an instant, only what can tell of it is read: the
 * events around it (around.c), and the entries between these.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "src/base/array.h"
#include "src/base/fsw.h"
#include "src/decode/row.h"
#include "src/read/builder.h"
#include "src/read/history.h"
#include "src/read/read.h"

/* A piece of evidence more, of which all else is to be said. */
FswEvidence *
fsw_read_evidence(FswHistoryReading *reading, FswEvidenceKind kind, int scope, int64 at, int64 arrived)
{
	FswFlag    *flag = &reading->history->flag;
	FswEvidence *piece = &FSW_PUSH(flag->evidence, flag->nevidence, reading->maxevidence);

	memset(piece, 0, sizeof(FswEvidence));
	piece->kind = kind;
	piece->scope = scope;
	piece->at = at;
	piece->arrived = arrived;
	piece->state = FSW_NOT_TOLD;
	piece->before = FSW_NOT_TOLD;
	piece->row = -1;
	return piece;
}

/* Where evidence came from; returns its index. */
int
fsw_read_row(FswHistoryReading *reading, int64 delivery, const char *changed_by, bool has_priority, int64 priority)
{
	FswHistory *history = reading->history;
	FswShownRow *row = &FSW_PUSH(history->shown_rows, reading->nrows, reading->maxrows);

	row->delivery = delivery;
	row->changed_by = unconstify(char *, changed_by);
	row->has_priority = has_priority;
	row->priority = priority;
	return reading->nrows - 1;
}

/*
 * Who a body names, as far as versions are told apart by it: a person by an e-mail
 * address, or an API key, whatever that is called.  A list has no name for a key.
 */
uint64
fsw_read_person(const text *name)
{
	if (name == NULL || VARSIZE_ANY_EXHDR(name) == 0)
		return 0;
	if (memchr(VARDATA_ANY(name), '@', VARSIZE_ANY_EXHDR(name)) == NULL)
		return FSW_API_KEY;
	return DatumGetUInt64(fsw_text_hash(name));
}

/* A flag event or an imported state as evidence about its scope. */
void
fsw_read_change(FswHistoryReading *reading, FswScan *scan, int scope)
{
	FswFlag    *flag = &reading->history->flag;
	bool		deleted = fsw_scan_bool(scan, FLAG_deleted);
	bool		imported = fsw_scan_is(scan, FLAG_origin, "import");
	int64		delivery = fsw_scan_int64(scan, FLAG_delivery, 0);
	int64		at = fsw_scan_int64(scan, FLAG_event_at, 0);
	int64		received_at = fsw_scan_int64(scan, FLAG_received_at, 0);
	int64		arrived = fsw_first_arrival(reading->reader, delivery, received_at);
	FswEvidence *piece;

	if (reading->created_at == FSW_NEVER)
		reading->created_at = fsw_scan_int64(scan, FLAG_feature_created_date, FSW_NEVER);
	piece = fsw_read_evidence(reading,
							  deleted ? FSW_EV_DELETED : imported ? FSW_EV_IMPORT : FSW_EV_BODY, scope,
							  fsw_is_ahead(at, received_at) ? arrived : at, arrived);
	piece->person = imported ? 0 : fsw_read_person(fsw_scan_text(scan, FLAG_changed_by));
	piece->by_nobody = !imported && fsw_scan_is(scan, FLAG_changed_by, "");
	piece->row = fsw_read_row(reading, delivery, fsw_scan_cstring(scan, FLAG_changed_by),
							  !fsw_scan_is_null(scan, FLAG_segment_priority),
							  fsw_scan_int64(scan, FLAG_segment_priority, 0));
	piece->guessed = fsw_scan_is(scan, FLAG_origin, "unknown_event");
	piece->variants_untold = imported && fsw_scan_is_null(scan, FLAG_variants) && fsw_scan_is(scan, FLAG_feature_type, "MULTIVARIATE");
	/* a state without one is a deletion in old releases */
	if (!deleted)
		piece->state = fsw_intern_told(&reading->states, scan, FSW_NOT_LIVE);
	piece->before = fsw_intern_previous(&reading->states, scan, imported ? FSW_NOT_TOLD : FSW_NOT_LIVE);
	if (piece->state >= 0)
		piece->digest = hash_combine64(flag->states[piece->state].content, flag->states[piece->state].enabled);
	if (piece->before >= 0)
		piece->digest = hash_combine64(piece->digest, flag->states[piece->before].content);
	if (imported)
		fsw_read_imported(reading, scan, scope);
}

/* Read the rows of a scan from its begin on: of one scope, or of overrides. */
static int
read_changes(FswHistoryReading *reading, FswScan *scan, ScanDirection direction, bool overrides,
			 int limit)
{
	int			n = 0;

	fsw_scan_begin(scan, direction);
	while (n < limit && fsw_scan_next(scan))
	{
		if (!fsw_is_known(scan, FLAG_stored_at, reading->flag_facts->environment))
			continue;
		fsw_read_change(reading, scan, overrides ? fsw_override_scope(reading, scan) : 0);
		n++;
	}
	return n;
}

/* The deletions of the environment default: few, and far from their time. */
static void
read_deletions(FswHistoryReading *reading)
{
	FswScan    *scan = fsw_scan_of(reading->reader, FSW_INDEX_DELETED);

	fsw_scan_flag(scan, reading->flag_facts);
	(void) read_changes(reading, scan, ForwardScanDirection, false,
						reading->near == NULL ? PG_INT32_MAX : FSW_WINDOW);
}

/* All overrides, or those of segments alone. */
static void
read_overrides(FswHistoryReading *reading, bool identities)
{
	FswScan    *scan = fsw_scan_of(reading->reader, FSW_INDEX_OVERRIDE);

	fsw_scan_flag(scan, reading->flag_facts);
	if (!identities)
		fsw_scan_key_null(scan, false);
	(void) read_changes(reading, scan, ForwardScanDirection, true, PG_INT32_MAX);
}

/* Has the environment default more events than that? */
static bool
is_longer(FswReader *reader, const FswFlagFacts *flag_facts, int limit)
{
	FswScan    *scan = fsw_scan_of(reader, FSW_INDEX_DEFAULT);
	Datum		values[FSW_ENTRY_COLUMNS];
	bool		nulls[FSW_ENTRY_COLUMNS];
	int			n = 0;

	fsw_scan_flag(scan, flag_facts);
	fsw_scan_begin(scan, ForwardScanDirection);
	while (n <= limit && fsw_scan_next_entry(scan, values, nulls))
		n++;
	return n > limit;
}

/* Did an event or an import of the flag itself come? */
static bool
is_told(const FswFlag *flag)
{
	for (int i = 0; i < flag->nevidence; i++)
	{
		if (flag->evidence[i].kind == FSW_EV_BODY || flag->evidence[i].kind == FSW_EV_IMPORT)
			return true;
	}
	return false;
}

/* What was there before the first event. */
static void
read_start(FswHistoryReading *reading)
{
	const FswFlagFacts *flag_facts = reading->flag_facts;
	FswFlag    *flag = &reading->history->flag;
	FswCreation creation = fsw_creation_read(reading->reader, flag_facts);

	reading->created_at = flag_facts->created != FSW_NEVER ? flag_facts->created : creation.created;
	flag->created_at = fsw_flag_created_at(reading->reader, flag_facts, reading->created_at);
	for (int i = 0; i < flag->nscopes; i++)
		flag->scopes[i].created_at = reading->ranges[i].from == FSW_NEVER ? flag->created_at : FSW_NEVER;
	if (creation.has_defaults)
		flag->defaults = fsw_intern_state(&reading->states, creation.enabled, creation.value, false,
										  (Datum) 0, true);

	/*
	 * A webhook that was registered when the flag had existed for long says
	 * nothing of the time before: then the defaults are a mere deduction.
	 */
	flag->start_untold = !creation.told;
	flag->defaults_complete = creation.has_defaults && creation.told && !creation.multivariate && !creation.guessed;

	/* what was made after the environment went is not in it, unless an event says that it never went */
	if (flag->created_at != FSW_NEVER && !is_told(flag) && flag->created_at >= fsw_environment_end(reading->reader, flag_facts->environment))
	{
		flag->deleted_at = Min(flag->deleted_at, flag->created_at);
		flag->deleted_exactly = true;
		flag->deleted_with = FSW_CAUSE_ENVIRONMENT_DELETED;
	}
}

/* When the last list came up to an instant that is read; FSW_FOREVER if none did. */
static int64
last_list(const FswFlag *flag, int64 until)
{
	int64		last = FSW_NEVER;

	for (int i = 0; i < flag->nevidence; i++)
	{
		const FswEvidence *piece = &flag->evidence[i];

		CHECK_FOR_INTERRUPTS();
		if (piece->kind == FSW_EV_LIST && piece->arrived <= until)
			last = Max(last, piece->arrived);
	}
	return last == FSW_NEVER ? FSW_FOREVER : last;
}

/*
 * Audit entries that are missing take the proof from what is confirmed
 * because none came.  Of one instant, only those can matter that were made
 * since the last event of a scope.
 */
static void
lower_holes(const FswHistoryReading *reading)
{
	FswHistory *history = reading->history;
	const FswFlag *flag = &history->flag;
	int64		until = reading->near == NULL ? FSW_FOREVER : *reading->near;
	int64		from = FSW_FOREVER;
	FswEnvironment *environment = reading->flag_facts->environment;

	for (int i = 0; i < history->timeline->nperiods; i++)
	{
		const FswPeriod *period = &history->timeline->periods[i];
		int64		last = FSW_NEVER;

		CHECK_FOR_INTERRUPTS();
		if (period->confidence < FSW_CONFIRMED ||
			(reading->near != NULL && (period->from > until || (period->to <= until && period->to != FSW_FOREVER))))
			continue;
		for (int j = 0; j < flag->nevidence && reading->near != NULL; j++)
		{
			const FswEvidence *piece = &flag->evidence[j];

			if (piece->scope == period->scope && piece->at <= until &&
				(piece->kind == FSW_EV_BODY || piece->kind == FSW_EV_IMPORT))
				last = Max(last, piece->at);
			/* from it a hole takes the proof since the creation */
			if (piece->scope == period->scope && piece->at <= until && fsw_holes_count(flag, piece))
			{
				if (flag->created_at == FSW_NEVER)
					history->flag.created_at = fsw_flag_created_at(reading->reader, reading->flag_facts, reading->created_at);
				from = Min(from, flag->created_at);
			}
		}
		/* with versions, a list tells all there is anew */
		if (flag->scopes[period->scope].kind != FSW_SCOPE_IDENTITY)
			last = Max(last, reading->first);
		from = Min(from, last);
	}
	if (from == FSW_FOREVER)
		return;
	/* that there is no other override, a list alone tells */
	if (reading->near != NULL && fsw_is_about_overrides(reading->asked))
		from = Min(from, last_list(flag, until));
	fsw_holes_read(reading->reader, environment, from, until);
	fsw_holes_lower(flag, history->timeline, reading->flag_facts->created, environment->nholes, environment->holes);
}

/* Begin to read a history: what is known before any of its states. */
void
fsw_history_begin(FswHistoryReading *reading, FswReader *reader, const FswFlagFacts *flag_facts,
				  const FswAsked *asked, const int64 *near)
{
	FswHistory *history = palloc0_object(FswHistory);
	FswFlag    *flag = &history->flag;

	memset(reading, 0, sizeof(FswHistoryReading));
	reading->reader = reader;
	reading->flag_facts = flag_facts;
	reading->asked = asked;
	reading->near = near;
	reading->history = history;
	reading->states.history = history;
	reading->states.mcxt = CurrentMemoryContext;
	reading->created_at = FSW_NEVER;
	reading->first = FSW_NEVER;
	(void) fsw_add_scope(reading, FSW_SCOPE_DEFAULT, 0);
	fsw_environment_facts(reader, flag_facts->environment);
	flag->versioned = flag_facts->versioned;
	flag->deleted_at = flag_facts->deleted_at;
	flag->deleted_exactly = flag_facts->deleted_exactly;
	flag->deleted_with = flag_facts->deleted_with;
	flag->latest_audit_at = flag_facts->environment->latest_audit_at;
	flag->created_at = FSW_NEVER;
	flag->defaults = FSW_NOT_TOLD;
}

/* Read the flag events of a history that is not read near an instant of versions. */
static void
read_events(FswHistoryReading *reading)
{
	const FswFlagFacts *flag_facts = reading->flag_facts;
	const FswAsked *asked = reading->asked;

	if (flag_facts->versioned)
		read_deletions(reading);
	if (reading->near != NULL)
		fsw_read_around(reading);
	else
	{
		FswScan    *scan = fsw_scan_scope(reading, NULL);

		(void) read_changes(reading, scan, ForwardScanDirection, false, PG_INT32_MAX);
		if (asked->everything || flag_facts->versioned || fsw_is_about_overrides(asked))
			read_overrides(reading, asked->everything || asked->identity != NULL);
	}

	/* the last edit, where all events up to it are read */
	if (!flag_facts->versioned && flag_facts->deleted && reading->ranges[0].to == FSW_FOREVER)
		read_deletions(reading);
}

/* Of two deliveries that tell the same of the same instant, which is first does not depend on what was stored first. */
static int
order_rows(const FswFlag *flag, int row, int other)
{
	FswHistoryReading *reading = flag->order_with;
	const FswShownRow *rows = reading->history->shown_rows;

	if (rows[row].delivery == rows[other].delivery)
		return row < other ? -1 : 1;
	return memcmp(fsw_piece_digest(reading->reader, rows[row].delivery),
				  fsw_piece_digest(reading->reader, rows[other].delivery), FSW_DIGEST_LENGTH);
}

/* When overrides by segment of a feature of that name were put in another order; near an instant, the next to one side of it. */
static void
read_moves_of(FswHistoryReading *reading, int64 name, ScanDirection direction, int *max)
{
	const FswFlagFacts *flag_facts = reading->flag_facts;
	FswFlag    *flag = &reading->history->flag;
	FswScan    *scan = fsw_scan_of(reading->reader, FSW_INDEX_EFFECT_LIFE);
	bool		bounded = reading->near != NULL && *reading->near != FSW_FOREVER;

	if (!bounded && ScanDirectionIsForward(direction))
		return;
	fsw_scan_equal(scan, Int64GetDatum(name));
	fsw_scan_equal(scan, Int64GetDatum(flag_facts->environment->source_hash));
	fsw_scan_equal(scan, CStringGetTextDatum("reordered"));
	fsw_scan_equal(scan, Int64GetDatum(flag_facts->environment->environment_id));
	if (bounded)
		fsw_scan_key(scan, ScanDirectionIsForward(direction) ? BTGreaterStrategyNumber : BTLessEqualStrategyNumber,
					 TimestampTzGetDatum(*reading->near));
	fsw_scan_begin(scan, direction);
	while (fsw_scan_next(scan))
	{
		CHECK_FOR_INTERRUPTS();
		if (!fsw_entry_is_of(scan, flag_facts))
			continue;
		FSW_PUSH(flag->moves, flag->nmoves, *max) = fsw_scan_int64(scan, EFFECT_occurred_at, 0);
		if (reading->near != NULL)
			break;
	}
}

/*
 * When overrides by segment were put in another order.  Of that behind an instant
 * the next is read as well, since what was told before it may have been read after it.
 */
static void
read_moves(FswHistoryReading *reading)
{
	const FswFeature *feature = &reading->flag_facts->feature;
	int			max = 0;

	for (int i = 0; i < feature->nnames; i++)
	{
		read_moves_of(reading, feature->names[i], BackwardScanDirection, &max);
		read_moves_of(reading, feature->names[i], ForwardScanDirection, &max);
	}
}

/* Of segments nobody asks for, what was held of them is needed, but no periods. */
static void
leave_out_unasked(FswHistoryReading *reading)
{
	const FswAsked *asked = reading->asked;
	FswHistory *history = reading->history;

	if (asked->everything)
		return;
	for (int i = 1; i < history->flag.nscopes; i++)
		history->flag.scopes[i].unasked = history->flag.scopes[i].kind == FSW_SCOPE_SEGMENT &&
			!fsw_is_about_segment(asked, history->shown_scopes[i].segment_id);
}

/* Build the history of which the flag events are read. */
FswHistory *
fsw_history_build(FswHistoryReading *reading)
{
	FswHistory *history = reading->history;
	FswFlag    *flag = &history->flag;
	const FswFlagFacts *flag_facts = reading->flag_facts;
	bool		from_start = false;

	/* what was there before the first event, where that can matter */
	for (int i = 0; i < flag->nscopes; i++)
		from_start = from_start || reading->ranges[i].from == FSW_NEVER;
	if (from_start || flag_facts->versioned)
		read_start(reading);
	else if (flag_facts->created != FSW_NEVER)
		reading->created_at = flag_facts->created;
	flag->clone = fsw_flag_facts_is_copy(reading->reader, flag_facts, reading->created_at);
	flag->absence = flag->clone ? FSW_INFERRED : flag_facts->versioned ? FSW_CONFIRMED : FSW_REPORTED;

	fsw_read_identifiers(reading);
	fsw_read_told_scopes(reading);
	fsw_read_scope_names(reading);
	fsw_read_entries(reading);
	if (flag_facts->versioned && !flag->near)
		fsw_read_versions(reading);
	if (reading->asked->nsegments > 1)
		read_moves(reading);
	leave_out_unasked(reading);
	flag->combine = fsw_combine_state;
	flag->combine_with = &reading->states;
	flag->adopt = fsw_adopt_state;
	flag->see = reading->asked->state_alone ? NULL : fsw_see_variants;
	flag->see_with = reading;
	flag->order = order_rows;
	flag->order_with = reading;
	history->timeline = fsw_timeline_build(flag);
	history->whole = reading->near == NULL;
	if (!reading->asked->state_alone)
		lower_holes(reading);
	return history;
}

/*
 * Read and build the history of one flag, all of it or what is around one
 * instant.
 */
FswHistory *
fsw_history_read(FswReader *reader, const FswFlagFacts *flag_facts, const FswAsked *asked, const int64 *near)
{
	FswHistoryReading reading = {.reader = reader,.flag_facts = flag_facts};
	FswHistory *history = NULL;
	FswOverride *overrides = NULL;
	int			noverrides = 0;

	/*
	 * of a few overrides each can be read by itself, but for those of
	 * versions
	 */
	if (near != NULL && asked->everything)
	{
		overrides = fsw_find_overrides(&reading, &noverrides);
		if (overrides == NULL || (flag_facts->versioned && noverrides > 0))
			near = NULL;
	}
	if (near != NULL && flag_facts->versioned)
		history = fsw_near_read(reader, flag_facts, asked, *near);
	if (history != NULL && !history->flag.early)
		return history;
	if (near != NULL && (flag_facts->versioned || flag_facts->drafts || flag_facts->deleted) && !is_longer(reader, flag_facts, FSW_LONG_VERSIONED))
		near = NULL;
	fsw_history_begin(&reading, reader, flag_facts, asked, near);
	reading.overrides = overrides;
	reading.noverrides = near == NULL ? 0 : noverrides;
	read_events(&reading);
	history = fsw_history_build(&reading);
	/* by how much a clock was behind, what was not read can say, too */
	return near != NULL && history->flag.early ? fsw_history_read(reader, flag_facts, asked, NULL) : history;
}

/* Where the state of a period came from, NULL if from no delivery. */
const FswShownRow *
fsw_history_row(const FswHistory *history, const FswPeriod *period)
{
	int			row;

	if (period->evidence < 0)
		return NULL;
	row = history->flag.evidence[period->evidence].row;
	return row < 0 ? NULL : &history->shown_rows[row];
}
