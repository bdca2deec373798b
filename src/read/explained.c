/*-------------------------------------------------------------------------
 *
 * src/read/explained.c
 *	  Which audit entry a flag event, a deletion or a version list belongs to.
 *
 * Each of these is a function of the piece, as that of a committed change
 * request in commit.c is.  What belongs to an entry is found by asking them, in
 * history.c.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/numeric.h"

#include "src/base/array.h"
#include "src/base/fsw.h"
#include "src/decode/row.h"
#include "src/read/history.h"

/* An effect that may explain what is asked about, and how far it is from it. */
typedef struct Candidate
{
	FswEntry	row;
	FswReadEffect effect;
	int64		distance;
} Candidate;

typedef struct Candidates
{
	int			n;
	int			max;
	Candidate  *all;
	const FswEventFacts *event;
	FswExplains wanted;
	int64		anchor;
	int64		limit;			/* what is farther does not count */
} Candidates;

/* The first of equals in a list, by a comparison that reads. */
static FswPieceEntry *
first_entry(FswReader *reader, FswPieceEntry *a, FswPieceEntry *b)
{
	return a == NULL || (b != NULL && fsw_compare_entries(reader, b, a) < 0) ? b : a;
}

static int
compare_candidates(const void *a, const void *b)
{
	const Candidate *x = a;
	const Candidate *y = b;

	CHECK_FOR_INTERRUPTS();
	return x->distance < y->distance ? -1 : x->distance > y->distance;
}

/* ---- flag events ---- */

static FswEventFacts
facts_of(const FswPieceEvent *event)
{
	FswEventFacts facts = {
		.of_segment = event->has_segment,
		.of_identity = event->identity != NULL,
		.at = event->at,
		.arrived = fsw_came_at(event->arrived, event->received_at)
	};

	return facts;
}

static FswExplains
how_explains(const FswReadEffect *effect, bool by_system, const FswEventFacts *event)
{
	FswEntryFacts entry = {
		.about = effect->about,
		.of_override = effect->has_scope,
		.by_system = by_system,
		.at = effect->at
	};

	return fsw_explains(&entry, event);
}

/* Is an event that bears the time of a draft looked for around its arrival? */
static bool
is_by_arrival(FswExplains how)
{
	return how == FSW_EXPLAINS_READING || how == FSW_EXPLAINS_REQUEST;
}

/* How far an entry is from an event that it explains in a way. */
static int64
distance_of(int64 entry_at, const FswEventFacts *event, FswExplains how)
{
	if (is_by_arrival(how))
		return fsw_distance(entry_at, event->arrived);
	/* written after what it tells of, unless clocks differ */
	return fsw_distance(entry_at, event->at) +
		(how == FSW_EXPLAINS_VERSION && entry_at < event->at ? FSW_VERSION_USUAL : 0);
}

/* As a visit: an effect that explains the event in the wanted way. */
static void
add_candidate(FswScan *scan, void *argument)
{
	Candidates *candidates = argument;
	FswReadEffect effect = fsw_read_effect(scan);
	Candidate  *added;

	if (how_explains(&effect, candidates->wanted == FSW_EXPLAINS_REQUEST, candidates->event) != candidates->wanted)
		return;
	added = &FSW_PUSH(candidates->all, candidates->n, candidates->max);
	added->row = fsw_entry_of(scan);
	added->effect = effect;
	added->distance = distance_of(effect.at, candidates->event, candidates->wanted);
}

/*
 * Has a listed state another percentage of an option than an event?  Which
 * options there are can have changed when one of the two was read.
 */
static bool
has_other_share(JsonbContainer *listed, Jsonb *told)
{
	JsonbValue *sent = getKeyJsonValueFromContainer(listed, "multivariate_feature_state_values",
													strlen("multivariate_feature_state_values"), NULL);
	Jsonb	   *shares = sent == NULL || sent->type != jbvBinary ? NULL : fsw_shown_variants(JsonbValueToJsonb(sent));
	JsonbIterator *iterator;
	JsonbIteratorToken token;
	JsonbValue	key;
	JsonbValue	share;

	if (shares == NULL || told == NULL)
		return false;
	iterator = JsonbIteratorInit(&shares->root);
	while ((token = JsonbIteratorNext(&iterator, &key, true)) != WJB_DONE)
	{
		JsonbValue *other;

		CHECK_FOR_INTERRUPTS();
		if (token != WJB_KEY)
			continue;
		(void) JsonbIteratorNext(&iterator, &share, true);
		other = getKeyJsonValueFromContainer(&told->root, key.val.string.val, key.val.string.len, NULL);
		if (other != NULL && !DatumGetBool(DirectFunctionCall2(numeric_eq, NumericGetDatum(other->val.numeric),
															   NumericGetDatum(share.val.numeric))))
			return true;
	}
	return false;
}

/* Is the event's state among those of a version's list, of which the environment default is the first? */
bool
fsw_list_has_state(FswReader *reader, const FswPieceList *list, const FswPieceEvent *event)
{
	Jsonb	   *states = list->has_states ? DatumGetJsonbP(list->states) : NULL;
	Jsonb	   *told = fsw_piece_value(reader, event);
	Jsonb	   *variants = fsw_piece_variants(reader, event);
	bool		found = false;
	int			position = 0;
	JsonbIterator *iterator;
	JsonbIteratorToken token;
	JsonbValue	element;

	if (states == NULL || !JB_ROOT_IS_ARRAY(states))
		return false;
	iterator = JsonbIteratorInit(&states->root);
	while (!found && (token = JsonbIteratorNext(&iterator, &element, true)) != WJB_DONE)
	{
		JsonbValue *enabled;
		JsonbValue *value;

		CHECK_FOR_INTERRUPTS();
		if (token != WJB_ELEM || element.type != jbvBinary || !JsonContainerIsObject(element.val.binary.data))
			continue;
		if ((position++ == 0) == event->has_segment)
			continue;
		enabled = getKeyJsonValueFromContainer(element.val.binary.data, "enabled", 7, NULL);
		value = getKeyJsonValueFromContainer(element.val.binary.data, "value", 5, NULL);
		if (enabled == NULL || enabled->type != jbvBool || enabled->val.boolean != event->enabled)
			continue;
		if (value == NULL || value->type == jbvNull || told == NULL)
			found = told == NULL && (value == NULL || value->type == jbvNull);
		else
			found = compareJsonbContainers(&JsonbValueToJsonb(value)->root, &told->root) == 0;
		found = found && !has_other_share(element.val.binary.data, variants);
	}
	return found;
}

/* The rows of the lists of a version. */
void
fsw_find_lists(FswReader *reader, const text *uuid, FswFound *found)
{
	FswScan    *scan = fsw_scan_of(reader, FSW_INDEX_VERSION_UUID);

	fsw_scan_equal(scan, fsw_text_hash(uuid));
	fsw_scan_begin(scan, ForwardScanDirection);
	while (fsw_scan_next(scan))
	{
		if (fsw_scan_same_text(scan, VERSION_uuid, PointerGetDatum(uuid)))
			fsw_find_row(scan, found);
	}
}

/* Does the list of a version, where it came, show that the event is of another? */
static bool
is_of_another_version(FswReader *reader, const FswPieceEntry *entry, const FswPieceEvent *event)
{
	FswFound	found = {0};

	if (entry->uuid == NULL || !event->has_state)
		return false;
	fsw_find_lists(reader, entry->uuid, &found);
	for (int i = 0; i < found.n; i++)
	{
		FswPieceList *list = fsw_piece_list(reader, found.rows[i]);

		if (list != NULL && fsw_same_or_null(list->source, entry->source) && !fsw_list_has_state(reader, list, event))
			return true;
	}
	return false;
}

/* Would the entry, asked in turn, look as far as the event? */
static bool
is_in_reach(FswReader *reader, const FswPieceEntry *entry, const FswPieceEvent *event, FswExplains how)
{
	FswSearch	search;

	if (is_by_arrival(how))
		search = fsw_search_events(FSW_INDEX_CHANGE_ARRIVAL, FLAG_received_at, event->source, event->feature_hash,
								   event->has_environment, event->environment_id);
	else
		search = fsw_search_events(FSW_INDEX_CHANGE_NEAR, FLAG_event_at, event->source, event->feature_hash,
								   event->has_environment, event->environment_id);
	return fsw_search_reaches(reader, &search, entry->at,
							  is_by_arrival(how) ? event->received_at : event->event_at);
}

/* As a visit: the events that name nobody. */
static void
find_by_nobody(FswScan *scan, void *found)
{
	if (fsw_scan_is_null(scan, FLAG_changed_by) || fsw_scan_is(scan, FLAG_changed_by, ""))
		fsw_find_row(scan, found);
}

/* The flag events that an entry may explain. */
void
fsw_find_events(FswReader *reader, const FswPieceEntry *entry, FswFound *found)
{
	const FswReadEffect *effect = &entry->effect;
	bool		is_version = effect->about == FSW_ABOUT_VERSION;
	bool		is_part = effect->about == FSW_ABOUT_VALUE || effect->about == FSW_ABOUT_VARIANT;
	FswSearch	search;

	if (!entry->has_effect || !effect->has_feature || !effect->has_environment ||
		effect->about == FSW_ABOUT_OTHER || effect->about == FSW_ABOUT_DELETION)
		return;
	search = fsw_search_events(FSW_INDEX_CHANGE_NEAR, FLAG_event_at, entry->source, effect->feature_hash, true, effect->environment_id);
	fsw_search_around(reader, &search, fsw_after(entry->at, is_version ? -FSW_VERSION_LATE : -FSW_SAVE_REACH),
					  entry->at, fsw_after(entry->at, is_version ? FSW_VERSION_EARLY : FSW_SAVE_REACH),
					  fsw_find_row, found, &found->n);
	search = fsw_search_events(FSW_INDEX_CHANGE_ARRIVAL, FLAG_received_at, entry->source, effect->feature_hash, true,
							   effect->environment_id);
	if (entry->by_system)
		fsw_search_around(reader, &search, fsw_after(entry->at, -FSW_REQUEST_LATE), entry->at,
						  fsw_after(entry->at, FSW_REQUEST_EARLY + FSW_EARLIER_ARRIVAL), fsw_find_row, found, &found->n);
	else if (is_part && !effect->has_scope)
		fsw_search_around(reader, &search, fsw_after(entry->at, -FSW_READING_LATE), entry->at,
						  fsw_after(entry->at, FSW_READING_EARLY + FSW_EARLIER_ARRIVAL), find_by_nobody, found, &found->n);
}

static FswPieceEntry *entry_up_to(FswReader *reader, FswPieceEvent *event, FswExplains how, int64 limit);

/*
 * Is an entry that of another event, to which it is nearer?
 *
 * The events of one version, and of one change request, have one time: so an
 * entry that takes those of two was given what is of another entry, which is
 * written or sent in another order than what it tells of.  Whoever is nearest
 * to an entry has it, unless a nearer one is its own: so what is asked here is
 * always nearer than what asks.
 */
static bool
is_of_nearer(FswReader *reader, const FswPieceEntry *entry, const FswPieceEvent *event, FswExplains how, int64 distance)
{
	FswFound	found = {0};

	if (how == FSW_EXPLAINS_SAVE || how == FSW_EXPLAINS_READING)
		return false;
	fsw_find_events(reader, entry, &found);
	for (int i = 0; i < found.n; i++)
	{
		FswPieceEvent *other = fsw_piece_event(reader, found.rows[i]);
		FswEventFacts facts;
		FswPieceEntry *of;
		int64		nearer;

		if (other == NULL || other->at == event->at)
			continue;
		facts = facts_of(other);
		nearer = distance_of(entry->at, &facts, how);
		if (nearer >= distance)
			continue;
		of = entry_up_to(reader, other, how, nearer);
		if (of != NULL && fsw_same_row(of->row, entry->row))
			return true;
	}
	return false;
}

/* The nearest candidate that really explains the event. */
static FswPieceEntry *
choose_entry(FswReader *reader, Candidates *candidates, const FswPieceEvent *event)
{
	FswPieceEntry *chosen = NULL;
	int64		distance = 0;

	if (candidates->n > 1)
		qsort(candidates->all, candidates->n, sizeof(Candidate), compare_candidates);
	for (int i = 0; i < candidates->n; i++)
	{
		const Candidate *candidate = &candidates->all[i];
		FswPieceEntry *entry;

		if (candidate->distance > (chosen != NULL ? distance : candidates->limit))
			break;
		entry = fsw_piece_entry(reader, candidate->row);
		if (entry == NULL || entry->effect.split != candidate->effect.split ||
			!fsw_same_or_null(entry->source, event->source) ||
			(candidates->wanted != FSW_EXPLAINS_READING && !fsw_same_actor(entry, event->changed_by)) ||
			how_explains(&entry->effect, entry->by_system, candidates->event) != candidates->wanted ||
			(candidates->wanted == FSW_EXPLAINS_VERSION && is_of_another_version(reader, entry, event)) ||
			!is_in_reach(reader, entry, event, candidates->wanted) ||
			is_of_nearer(reader, entry, event, candidates->wanted, candidate->distance))
			continue;
		chosen = first_entry(reader, chosen, entry);
		distance = candidate->distance;
	}
	return chosen;
}

/* The entry of a flag that explains the event in one way, around an instant. */
static FswPieceEntry *
find_entry(FswReader *reader, const FswPieceEvent *event, const FswEventFacts *facts, FswExplains wanted,
		   int64 from, int64 anchor, int64 to, int64 limit)
{
	Candidates	candidates = {.event = facts,.wanted = wanted,.limit = limit};

	for (int of_override = 0; of_override < 2; of_override++)
	{
		FswSearch	search;

		if (of_override ? (!event->has_scope || wanted != FSW_EXPLAINS_SAVE) : facts->of_identity)
			continue;
		search = wanted == FSW_EXPLAINS_VERSION ?
			fsw_search_versions(event->source, event->feature_hash, event->environment_id) :
			fsw_search_effects(event->source, event->feature_hash, event->has_environment,
							   event->environment_id, of_override, event->scope_hash);
		fsw_search_around(reader, &search, from, anchor, to, add_candidate, &candidates, &candidates.n);
	}
	return choose_entry(reader, &candidates, event);
}

/*
 * Was what a change request left read once more, when a part of it had been saved
 * anew?  Another event of the default, with the same time, came before and has
 * another value, or other percentages.
 */
static bool
is_read_again(FswReader *reader, const FswPieceEvent *event)
{
	FswSearch	search = fsw_search_events(FSW_INDEX_CHANGE_NEAR, FLAG_event_at, event->source, event->feature_hash,
										   event->has_environment, event->environment_id);
	FswFound	found = {0};
	const FswPieceEvent *first = event;

	if (!fsw_names_nobody(event->changed_by) || !event->has_state)
		return false;
	fsw_search_around(reader, &search, event->event_at, event->event_at, event->event_at, fsw_find_row, &found, &found.n);
	for (int i = 0; i < found.n; i++)
	{
		const FswPieceEvent *other = fsw_piece_event(reader, found.rows[i]);

		if (other != NULL && other->arrived < first->arrived && !other->deleted && other->has_state && !other->has_segment &&
			other->identity == NULL && fsw_same_or_null(other->source, event->source))
			first = other;
	}
	return first != event && !(fsw_piece_same_value(reader, first, event) && fsw_piece_same_variants(reader, first, event));
}

static FswPieceEntry *
find_in_way(FswReader *reader, const FswPieceEvent *event, FswExplains how, int64 limit)
{
	FswEventFacts facts = facts_of(event);

	/* a time that is not believed explains nothing */
	if (event->deleted || !event->has_environment || event->at != event->event_at)
		return NULL;
	switch (how)
	{
		case FSW_EXPLAINS_SAVE:
			return find_entry(reader, event, &facts, how, fsw_after(facts.at, -FSW_SAVE_REACH), facts.at,
							  fsw_after(facts.at, FSW_SAVE_REACH), limit);
		case FSW_EXPLAINS_READING:
			return facts.of_identity || facts.of_segment || facts.arrived <= fsw_after(facts.at, FSW_DRAFT_AGE) ||
				!is_read_again(reader, event) ? NULL :
				find_entry(reader, event, &facts, how, fsw_after(facts.arrived, -FSW_READING_EARLY), facts.arrived,
						   fsw_after(facts.arrived, FSW_READING_LATE), limit);
		case FSW_EXPLAINS_VERSION:
			return facts.of_identity ? NULL :
				find_entry(reader, event, &facts, how, fsw_after(facts.at, -FSW_VERSION_EARLY), facts.at,
						   fsw_after(facts.at, FSW_VERSION_LATE), limit);
		case FSW_EXPLAINS_REQUEST:
			return facts.of_identity || facts.of_segment || facts.arrived <= fsw_after(facts.at, FSW_DRAFT_AGE) ? NULL :
				find_entry(reader, event, &facts, how, fsw_after(facts.arrived, -FSW_REQUEST_EARLY), facts.arrived,
						   fsw_after(facts.arrived, FSW_REQUEST_LATE), limit);
		default:
			return NULL;
	}
}

/* The audit entry that explains a flag event in one way and is no farther; NULL if none does. */
static FswPieceEntry *
entry_in_way(FswReader *reader, FswPieceEvent *event, FswExplains how, int64 limit)
{
	if (event->by[how] == NULL && event->tried[how] < limit)
	{
		check_stack_depth();
		event->by[how] = find_in_way(reader, event, how, limit);
		event->tried[how] = limit;
	}
	return event->by[how];
}

/*
 * The audit entry that explains a flag event in the best of the ways up to one, in
 * which it is no farther than the limit; NULL if none does.
 *
 * A draft may have been made about when the flag was saved: where the entry of that
 * save has not the event's very time, that of a change request comes first.
 */
static FswPieceEntry *
entry_up_to(FswReader *reader, FswPieceEvent *event, FswExplains how, int64 limit)
{
	FswPieceEntry *save = entry_in_way(reader, event, FSW_EXPLAINS_SAVE, how == FSW_EXPLAINS_SAVE ? limit : FSW_FOREVER);
	FswPieceEntry *entry = NULL;

	if (save != NULL && save->at == event->at)
		return save;
	for (FswExplains way = save != NULL ? FSW_EXPLAINS_REQUEST : FSW_EXPLAINS_READING; way <= how && entry == NULL; way++)
		entry = entry_in_way(reader, event, way, way < how ? FSW_FOREVER : limit);
	return entry != NULL ? entry : save;
}

/* The audit entry that explains a flag event, in the best way; NULL if none does. */
FswPieceEntry *
fsw_entry_of_event(FswReader *reader, FswPieceEvent *event)
{
	return entry_up_to(reader, event, FSW_EXPLAINS_REQUEST, FSW_FOREVER);
}

/* ---- deletions ---- */

/* As a visit: every effect there is. */
static void
add_deletion(FswScan *scan, void *argument)
{
	Candidates *candidates = argument;
	Candidate  *added;

	added = &FSW_PUSH(candidates->all, candidates->n, candidates->max);
	added->row = fsw_entry_of(scan);
	added->effect = fsw_read_effect(scan);
	added->distance = fsw_distance(added->effect.at, candidates->anchor);
}

/* The entries about deletions of a name, in the project or in an environment, around an instant. */
static void
find_deletions(FswReader *reader, const FswPieceEvent *event, bool of_project, int64 from, int64 anchor, int64 to,
			   Candidates *candidates)
{
	FswSearch	search = {.index = FSW_INDEX_EFFECT_LIFE,.at_column = EFFECT_occurred_at};

	fsw_search_key(&search, Int64GetDatum(event->feature_hash), false);
	fsw_search_key(&search, fsw_text_hash(event->source), false);
	fsw_search_key(&search, CStringGetTextDatum("feature_deleted"), false);
	fsw_search_key(&search, Int64GetDatum(event->environment_id), of_project);
	candidates->anchor = anchor;
	fsw_search_around(reader, &search, from, anchor, to, add_deletion, candidates, &candidates->n);
}

/* The nearest entry about a deletion of this very feature, or of whatever bore the name. */
static FswPieceEntry *
choose_deletion(FswReader *reader, Candidates *candidates, const FswPieceEvent *event, bool by_id)
{
	FswPieceEntry *chosen = NULL;
	int64		distance = 0;

	if (candidates->n > 1)
		qsort(candidates->all, candidates->n, sizeof(Candidate), compare_candidates);
	for (int i = 0; i < candidates->n; i++)
	{
		const Candidate *candidate = &candidates->all[i];
		FswPieceEntry *entry;

		if (chosen != NULL && candidate->distance > distance)
			break;
		if (by_id ? !candidate->effect.has_feature_id || candidate->effect.feature_id != event->feature_id :
			candidate->effect.has_feature_id && candidate->effect.feature_id != event->feature_id)
			continue;
		entry = fsw_piece_entry(reader, candidate->row);
		if (entry == NULL || entry->effect.split != candidate->effect.split ||
			!fsw_same_or_null(entry->source, event->source))
			continue;
		chosen = first_entry(reader, chosen, entry);
		distance = candidate->distance;
	}
	return chosen;
}

/*
 * The entry of a deleted feature has its id; in v1 each environment has an entry too, which
 * is taken first.  Both are written within the request.  The event's own time
 * is that of the last edit, so without an id the arrival counts.
 */
static FswPieceEntry *
entry_of_deletion(FswReader *reader, const FswPieceEvent *event)
{
	Candidates	candidates = {0};
	FswPieceEntry *of_feature = NULL;
	FswPieceEntry *of_flag;
	int64		arrived = facts_of(event).arrived;
	int64		deleted_at = arrived;
	int64		from = fsw_after(arrived, -FSW_DELETION_EARLY);
	int64		to = fsw_after(arrived, FSW_DELETION_LATE);

	if (event->has_feature)
	{
		find_deletions(reader, event, true, FSW_NEVER, arrived, FSW_FOREVER, &candidates);
		of_feature = choose_deletion(reader, &candidates, event, true);
	}
	if (of_feature != NULL)
	{
		deleted_at = of_feature->at;
		from = fsw_after(deleted_at, -FSW_DELETION_REACH);
		to = fsw_after(deleted_at, FSW_DELETION_REACH);
	}
	if (event->has_environment)
	{
		memset(&candidates, 0, sizeof(candidates));
		find_deletions(reader, event, false, from, deleted_at, to, &candidates);
		of_flag = choose_deletion(reader, &candidates, event, false);
		if (of_flag != NULL)
			return of_flag;
	}
	if (of_feature == NULL)
	{
		memset(&candidates, 0, sizeof(candidates));
		find_deletions(reader, event, true, from, deleted_at, to, &candidates);
		of_feature = choose_deletion(reader, &candidates, event, false);
	}
	return of_feature;
}

/* The audit entry that explains a deletion; NULL if none does. */
FswPieceEntry *
fsw_entry_of_deletion(FswReader *reader, FswPieceEvent *event)
{
	if (!event->is_asked)
		event->entry = entry_of_deletion(reader, event);
	event->is_asked = true;
	return event->entry;
}

/* ---- version lists ---- */

static FswPieceEntry *
entry_of_list(FswReader *reader, const FswPieceList *list)
{
	FswFound	found = {0};
	FswPieceEntry *chosen = NULL;
	FswScan    *scan;

	if (list->uuid == NULL)
		return NULL;
	scan = fsw_scan_of(reader, FSW_INDEX_EFFECT_VERSION);
	fsw_scan_equal(scan, fsw_text_hash(list->uuid));
	fsw_scan_begin(scan, ForwardScanDirection);
	while (fsw_scan_next(scan))
	{
		if (fsw_scan_same_text(scan, EFFECT_version, PointerGetDatum(list->uuid)))
			fsw_find_row(scan, &found);
	}
	for (int i = 0; i < found.n; i++)
	{
		FswPieceEntry *entry = fsw_piece_entry(reader, found.rows[i]);

		if (entry != NULL && entry->is_version && fsw_same_or_null(entry->source, list->source))
			chosen = first_entry(reader, chosen, entry);
	}
	return chosen;
}

/* The audit entry of the version that a list is of, by its uuid; NULL if none came. */
FswPieceEntry *
fsw_entry_of_list(FswReader *reader, FswPieceList *list)
{
	if (!list->is_asked)
		list->entry = entry_of_list(reader, list);
	list->is_asked = true;
	return list->entry;
}
