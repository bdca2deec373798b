/*-------------------------------------------------------------------------
 *
 * src/read/history.c
 *	  The lines of the view history: what belongs to one act.
 *
 * Each rule is a function from a piece to what it belongs to: an event, a
 * deletion and a list to an entry (explained.c), a committed change request to
 * one, too (commit.c), an entry to the first of its save, pieces that no entry
 * explains to the first of their like.  The way back searches as far as the way
 * there and asks the same function, so that no piece is in two lines or in none.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"

#include "src/base/array.h"
#include "src/base/fsw.h"
#include "src/decode/row.h"
#include "src/read/history.h"

/* ---- order ---- */

static int
compare_events(const void *a, const void *b, void *reader)
{
	CHECK_FOR_INTERRUPTS();
	return fsw_compare_events(reader, *(FswPieceEvent *const *) a, *(FswPieceEvent *const *) b);
}

static void
sort_events(FswReader *reader, FswPieceEvent **events, int n)
{
	if (n > 1)
		qsort_arg(events, n, sizeof(FswPieceEvent *), compare_events, reader);
}

static bool
is_found(const FswFound *found, int n, FswEntry row)
{
	for (int i = 0; i < n; i++)
	{
		if (fsw_same_row(found->rows[i], row))
			return true;
	}
	return false;
}

/* ---- what an entry explains ---- */

/* The flag events that an entry explains are added to a line. */
static void
add_events(FswReader *reader, const FswPieceEntry *entry, FswLine *line, int *max)
{
	FswFound	found = {0};

	fsw_find_events(reader, entry, &found);
	for (int i = 0; i < found.n; i++)
	{
		FswPieceEvent *event = is_found(&found, i, found.rows[i]) ? NULL : fsw_piece_event(reader, found.rows[i]);
		FswPieceEntry *explains = event == NULL ? NULL : fsw_entry_of_event(reader, event);

		if (explains != NULL && fsw_same_row(explains->row, entry->row))
			FSW_PUSH(line->events, line->nevents, *max) = event;
	}
}

/* So are the deletions. */
static void
add_deletions(FswReader *reader, const FswPieceEntry *entry, FswLine *line, int *max)
{
	const FswReadEffect *effect = &entry->effect;
	FswFound	found = {0};
	FswSearch	search;
	FswScan    *scan;

	if (!entry->has_effect || !effect->has_feature || effect->about != FSW_ABOUT_DELETION)
		return;
	search = fsw_search_events(FSW_INDEX_CHANGE_DELETED, FLAG_received_at, entry->source, effect->feature_hash, true,
							   effect->environment_id);
	if (!effect->has_environment)
		search.nkeys = 1;
	scan = fsw_search_begin(reader, &search, FSW_NEVER, FSW_FOREVER, ForwardScanDirection);
	while (fsw_search_next(scan, &search))
		fsw_find_row(scan, &found);
	for (int i = 0; i < found.n; i++)
	{
		FswPieceEvent *event = fsw_piece_event(reader, found.rows[i]);
		FswPieceEntry *explains = event == NULL ? NULL : fsw_entry_of_deletion(reader, event);

		if (explains != NULL && fsw_same_row(explains->row, entry->row))
			FSW_PUSH(line->events, line->nevents, *max) = event;
	}
}

/* The change requests that were committed with what an entry tells. */
static void
add_commits(FswReader *reader, const FswPieceEntry *entry, FswLine *line)
{
	FswFound	found = {0};
	FswSearch	search;
	int			max = 0;

	if (!entry->has_environment || !(entry->is_version || entry->took_effect))
		return;
	search = fsw_search_requests(entry);
	fsw_search_around(reader, &search, fsw_after(entry->at, -FSW_COMMIT_LATE), entry->at,
					  fsw_after(entry->at, FSW_COMMIT_EARLY), fsw_find_row, &found, &found.n);
	for (int i = 0; i < found.n; i++)
	{
		FswPieceEntry *commit = fsw_piece_entry(reader, found.rows[i]);
		FswPieceEntry *of = commit == NULL ? NULL : fsw_entry_of_commit(reader, commit);

		if (of != NULL && fsw_same_row(of->row, entry->row))
			FSW_PUSH(line->commits, line->ncommits, max) = commit;
	}
	fsw_sort_entries(reader, line->commits, line->ncommits);
}

/* The lists of the version that an entry tells of. */
static void
add_lists(FswReader *reader, const FswPieceEntry *entry, FswLine *line)
{
	FswFound	found = {0};
	int			max = 0;

	if (entry->uuid == NULL)
		return;
	fsw_find_lists(reader, entry->uuid, &found);
	for (int i = 0; i < found.n; i++)
	{
		FswPieceList *list = fsw_piece_list(reader, found.rows[i]);
		FswPieceEntry *of = list == NULL ? NULL : fsw_entry_of_list(reader, list);

		if (of != NULL && fsw_same_row(of->row, entry->row))
			FSW_PUSH(line->lists, line->nlists, max) = list;
	}
}

/* Who committed what the system did; NULL if nobody is known to. */
static const FswPieceEntry *
person_of(const FswLine *line)
{
	for (int i = 0; i < line->ncommits; i++)
	{
		if (line->commits[i]->author != NULL)
			return line->commits[i];
	}
	return NULL;
}

/* The first event that bears a time of the act itself; NULL if none does. */
static const FswPieceEvent *
own_event(const FswLine *line)
{
	for (int i = 0; i < line->nevents; i++)
	{
		if (line->events[i]->by[FSW_EXPLAINS_READING] == NULL)
			return line->events[i];
	}
	return NULL;
}

/*
 * The line of an act with entries.  Its first entry stands for it, unless that
 * does not say who, or of what, and another piece does: who committed what the
 * system did, or the event of an API key or of an ambiguous message.
 */
static FswLine *
line_of_entry(FswReader *reader, FswPieceEntry *entry)
{
	FswLine    *line = palloc0_object(FswLine);
	const FswPieceEntry *first;
	const FswPieceEvent *own;
	int			max = 0;

	line->entries = fsw_entries_of_save(reader, entry, &line->nentries);
	first = line->entries[0];
	add_commits(reader, first, line);
	for (int i = 0; i < line->nentries; i++)
		add_events(reader, line->entries[i], line, &max);
	sort_events(reader, line->events, line->nevents);
	own = own_event(line);
	line->kind = FSW_PIECE_ENTRY;
	line->row = first->row;
	if (first->by_system && first->author == NULL)
	{
		/*
		 * the event bears the time of a draft, so the entry stands for it all
		 * the same
		 */
		if (person_of(line) != NULL || (line->nevents > 0 && first->feature == NULL) || first->misread)
			line->kind = FSW_PIECE_REQUEST;
	}
	else if (own != NULL && (first->author == NULL || !fsw_same_or_null(first->feature, own->feature)))
	{
		line->kind = FSW_PIECE_EVENT;
		line->row = own->row;
	}
	else if (first->misread)
		line->kind = FSW_PIECE_REQUEST;
	add_deletions(reader, first, line, &max);
	add_lists(reader, first, line);
	return line;
}

/* ---- what no entry explains ---- */

/* As a visit, with a limit. */
static void
find_few(FswScan *scan, void *argument)
{
	FswFound   *found = argument;

	if (found->n <= FSW_NEIGHBOURS)
		fsw_find_row(scan, found);
}

/*
 * The flag events that no entry explains and that are one act with another
 * such: of one version, or torn by the next save.  They are of one flag, by
 * one author, and of one instant.
 */
static FswPieceEvent **
unexplained_events(FswReader *reader, FswPieceEvent *event, int *n)
{
	FswSearch	search = fsw_search_events(FSW_INDEX_CHANGE_NEAR, FLAG_event_at, event->source, event->feature_hash,
										   event->has_environment, event->environment_id);
	FswPieceEvent **events = palloc_array(FswPieceEvent *, FSW_NEIGHBOURS + 1);
	FswFound	found = {0};

	*n = 0;
	events[(*n)++] = event;
	if (event->at != event->event_at)
		return events;
	fsw_search_around(reader, &search, event->at, event->at, event->at, find_few, &found, &found.n);
	for (int i = 0; found.n <= FSW_NEIGHBOURS && i < found.n; i++)
	{
		FswPieceEvent *other = fsw_same_row(found.rows[i], event->row) ? NULL : fsw_piece_event(reader, found.rows[i]);

		if (other != NULL && other->at == other->event_at && fsw_same_or_null(other->source, event->source) &&
			other->has_feature == event->has_feature && other->feature_id == event->feature_id &&
			fsw_same_or_null(other->feature, event->feature) &&
			fsw_same_or_null(other->identity, event->identity) &&
			fsw_same_or_null(other->changed_by, event->changed_by) && fsw_entry_of_event(reader, other) == NULL)
			events[(*n)++] = other;
	}
	sort_events(reader, events, *n);
	return events;
}

/* Can an event be of the version of a list, of which no entry came, by who did it and what it shows? */
static bool
is_of_list(FswReader *reader, FswPieceEvent *event, const FswPieceList *list)
{
	bool		named = event->changed_by != NULL &&
		memchr(VARDATA_ANY(event->changed_by), '@', VARSIZE_ANY_EXHDR(event->changed_by)) != NULL;

	return event->identity == NULL && event->at == event->event_at && event->has_feature &&
		event->feature_id == list->feature_id && fsw_same_or_null(event->source, list->source) &&
		event->has_state && fsw_list_has_state(reader, list, event) &&
		(list->publisher != NULL ? fsw_same_or_null(list->publisher, event->changed_by) : !named);
}

/* Is the list of another version, of which no entry came either, nearer to an event that can be of both? */
static bool
has_nearer_list(FswReader *reader, FswPieceEvent *event, const FswPieceList *list, int64 environment_id)
{
	FswSearch	search = fsw_search_lists(list->source, list->feature_id);
	FswFound	found = {0};
	int64		distance = fsw_distance(event->at, fsw_came_at(list->arrived, list->received_at));

	fsw_search_around(reader, &search, fsw_after(event->at, -distance), event->at,
					  fsw_after(event->at, distance + FSW_EARLIER_ARRIVAL), fsw_find_row, &found, &found.n);
	for (int i = 0; i < found.n; i++)
	{
		FswPieceList *other = fsw_piece_list(reader, found.rows[i]);

		if (other != NULL && fsw_distance(event->at, fsw_came_at(other->arrived, other->received_at)) < distance &&
			!fsw_same_or_null(other->uuid, list->uuid) && is_of_list(reader, event, other) &&
			fsw_entry_of_list(reader, other) == NULL && fsw_piece_list_environment(reader, other) == environment_id)
			return true;
	}
	return false;
}

/*
 * Where the entry of a version is missing: the flag event that its list came
 * with, which has one of its states.
 */
static FswPieceEvent *
event_of_list(FswReader *reader, const FswPieceList *list)
{
	int64		environment_id = fsw_piece_list_environment(reader, list);
	int64		came = fsw_came_at(list->arrived, list->received_at);
	FswPieceEvent *chosen = NULL;
	FswFound	found = {0};
	FswSearch	search;

	if (environment_id < 0 || list->feature == NULL || !list->has_feature)
		return NULL;
	search = fsw_search_events(FSW_INDEX_CHANGE_NEAR, FLAG_event_at, list->source,
							   fsw_name_hash("feature", VARDATA_ANY(list->feature), VARSIZE_ANY_EXHDR(list->feature)),
							   true, environment_id);
	fsw_search_around(reader, &search, fsw_after(came, -FSW_VERSION_LATE), came, fsw_after(came, FSW_SAVE_REACH),
					  fsw_find_row, &found, &found.n);
	search = fsw_search_lists(list->source, list->feature_id);
	for (int i = 0; i < found.n; i++)
	{
		FswPieceEvent *event = fsw_piece_event(reader, found.rows[i]);
		int64		a;
		int64		b;

		if (event == NULL || !is_of_list(reader, event, list) ||
			!fsw_search_reaches(reader, &search, event->event_at, list->received_at) ||
			fsw_entry_of_event(reader, event) != NULL || has_nearer_list(reader, event, list, environment_id))
			continue;
		a = fsw_distance(event->at, came);
		b = chosen == NULL ? 0 : fsw_distance(chosen->at, came);
		if (chosen == NULL || a < b || (a == b && fsw_compare_events(reader, event, chosen) < 0))
			chosen = event;
	}
	return chosen;
}

/* The lists without an audit entry that came with the unexplained events of a line. */
static void
add_lists_of_events(FswReader *reader, FswLine *line)
{
	const FswPieceEvent *event = line->events[0];
	FswSearch	search = fsw_search_lists(event->source, event->feature_id);
	FswFound	found = {0};
	int			max = 0;

	if (!event->has_feature)
		return;
	fsw_search_around(reader, &search, fsw_after(event->event_at, -FSW_SAVE_REACH), event->event_at,
					  fsw_after(event->event_at, FSW_VERSION_LATE + FSW_EARLIER_ARRIVAL), fsw_find_row, &found, &found.n);
	for (int i = 0; i < found.n; i++)
	{
		FswPieceList *list = fsw_piece_list(reader, found.rows[i]);
		FswPieceEvent *of = list == NULL || fsw_entry_of_list(reader, list) != NULL ? NULL : event_of_list(reader, list);

		for (int j = 0; of != NULL && j < line->nevents; j++)
		{
			if (fsw_same_row(line->events[j]->row, of->row))
				FSW_PUSH(line->lists, line->nlists, max) = list;
		}
	}
}

static FswLine *
line_of_events(FswReader *reader, FswPieceEvent *event)
{
	FswLine    *line = palloc0_object(FswLine);

	line->kind = FSW_PIECE_EVENT;
	line->events = unexplained_events(reader, event, &line->nevents);
	line->row = line->events[0]->row;
	add_lists_of_events(reader, line);
	return line;
}

/* Of a deletion, that no entry explains: those of the flag, in the order of their arrival. */
static FswSearch
search_deletions(const FswPieceEvent *event)
{
	return fsw_search_events(FSW_INDEX_CHANGE_DELETED, FLAG_received_at, event->source, event->feature_hash,
							 event->has_environment, event->environment_id);
}

/* The deletion, if no entry explains it and it is of the same flag as another; else NULL. */
static FswPieceEvent *
read_unexplained(FswReader *reader, FswEntry row, const FswPieceEvent *like)
{
	FswPieceEvent *event = fsw_piece_event(reader, row);

	if (event == NULL || !fsw_same_or_null(event->source, like->source) || event->has_feature != like->has_feature ||
		event->feature_id != like->feature_id || !fsw_same_or_null(event->feature, like->feature) ||
		fsw_entry_of_deletion(reader, event) != NULL)
		return NULL;
	return event;
}

/* Does no other unexplained deletion of the flag come before this one, among its neighbours? */
static bool
is_first_deletion(FswReader *reader, FswPieceEvent *event)
{
	FswSearch	search = search_deletions(event);
	FswFound	found = {0};

	fsw_search_around(reader, &search, FSW_NEVER, event->received_at,
					  fsw_after(event->received_at, FSW_EARLIER_ARRIVAL), fsw_find_row, &found, &found.n);
	for (int i = 0; i < found.n; i++)
	{
		FswPieceEvent *other = fsw_same_row(found.rows[i], event->row) ? NULL :
			read_unexplained(reader, found.rows[i], event);

		if (other != NULL && fsw_compare_events(reader, other, event) < 0)
			return false;
	}
	return true;
}

/*
 * Deletions of a flag in one environment that no entry explains are one act:
 * each version of the flag sends one.
 */
static FswLine *
line_of_deletions(FswReader *reader, FswPieceEvent *event)
{
	FswLine    *line;
	FswSearch	search = search_deletions(event);
	FswFound	found = {0};
	FswScan    *scan;
	int			max = 0;

	if (!is_first_deletion(reader, event))
		return NULL;
	line = palloc0_object(FswLine);
	line->kind = FSW_PIECE_DELETION;
	line->row = event->row;
	FSW_PUSH(line->events, line->nevents, max) = event;
	scan = fsw_search_begin(reader, &search, event->arrived, FSW_FOREVER, ForwardScanDirection);
	while (fsw_search_next(scan, &search))
		fsw_find_row(scan, &found);
	for (int i = 0; i < found.n; i++)
	{
		FswPieceEvent *other = fsw_same_row(found.rows[i], event->row) ? NULL :
			read_unexplained(reader, found.rows[i], event);

		if (other == NULL)
			continue;
		if (is_first_deletion(reader, other))
			break;
		FSW_PUSH(line->events, line->nevents, max) = other;
	}
	return line;
}

static FswLine *
line_of_list(FswReader *reader, FswPieceList *list)
{
	FswLine    *line;
	int			max = 0;

	if (fsw_entry_of_list(reader, list) != NULL || event_of_list(reader, list) != NULL)
		return NULL;
	line = palloc0_object(FswLine);
	line->kind = FSW_PIECE_LIST;
	line->row = list->row;
	FSW_PUSH(line->lists, line->nlists, max) = list;
	return line;
}

/* ---- lines ---- */

/*
 * Does an entry stand for the line of an event that it explains?  Its events
 * are of one feature, so that the line need not be read to know.
 */
static bool
gives_way(FswReader *reader, const FswPieceEvent *event, FswPieceEntry *entry)
{
	int			n;
	const FswPieceEntry *first = fsw_entries_of_save(reader, entry, &n)[0];

	return first->author == NULL ? first->by_system : fsw_same_or_null(first->feature, event->feature);
}

static FswLine *
line_of_event(FswReader *reader, FswPieceEvent *event)
{
	FswPieceEntry *entry = fsw_entry_of_event(reader, event);

	if (entry == NULL)
		return line_of_events(reader, event);
	return gives_way(reader, event, entry) ? NULL : line_of_entry(reader, entry);
}

/* Else it is not what stands for its line, so that this need not be read. */
static bool
is_first_of_save(FswReader *reader, FswPieceEntry *entry)
{
	int			n;

	return fsw_same_row(fsw_entries_of_save(reader, entry, &n)[0]->row, entry->row);
}

/*
 * The line that a candidate, at the time that it has in the view, stands for;
 * NULL if another does.
 */
FswLine *
fsw_line_read(FswReader *reader, FswPieceKind kind, FswEntry row, int64 at)
{
	FswLine    *line = NULL;

	if (kind == FSW_PIECE_ENTRY || kind == FSW_PIECE_REQUEST)
	{
		FswPieceEntry *entry = fsw_piece_entry(reader, row);

		if (entry != NULL && is_first_of_save(reader, entry) && fsw_entry_of_commit(reader, entry) == NULL)
			line = line_of_entry(reader, entry);
	}
	else if (kind == FSW_PIECE_LIST)
	{
		FswPieceList *list = fsw_piece_list(reader, row);

		if (list != NULL && list->at == at)
			line = line_of_list(reader, list);
	}
	else
	{
		FswPieceEvent *event = fsw_piece_event(reader, row);

		if (event == NULL || event->deleted != (kind == FSW_PIECE_DELETION) || event->at != at)
			return NULL;
		if (!event->deleted)
			line = line_of_event(reader, event);
		else if (fsw_entry_of_deletion(reader, event) == NULL)
			line = line_of_deletions(reader, event);
	}
	return line != NULL && line->kind == kind && fsw_same_row(line->row, row) ? line : NULL;
}

/*
 * What an entry does not say by itself: of the system's, who committed the
 * change request that it is of; and the feature where its message is ambiguous
 * and its id or a flag event tells it.  Each NULL if nothing does.
 */
void
fsw_request_told(FswReader *reader, FswEntry row, const text **person, const text **feature)
{
	FswPieceEntry *entry = fsw_piece_entry(reader, row);
	FswLine    *line;

	*person = *feature = NULL;
	if (entry == NULL)
		return;
	*person = entry->author;
	*feature = entry->misread ? entry->true_feature : entry->feature;
	if (!entry->by_system)
		return;
	line = line_of_entry(reader, entry);
	*person = person_of(line) != NULL ? person_of(line)->author : NULL;
	if (*feature == NULL && line->nevents > 0)
		*feature = line->events[0]->feature;
}
