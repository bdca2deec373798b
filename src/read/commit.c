/*-------------------------------------------------------------------------
 *
 * src/read/commit.c
 *	  Which audit entry a committed change request belongs to.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/read/history.h"

/*
 * Is the entry that of what a change request changed?  That of a version is
 * written by a task, after the request was saved.
 */
static bool
is_of_request(const FswPieceEntry *entry, const FswPieceEntry *commit)
{
	if (!fsw_same_or_null(entry->source, commit->source) || entry->project_id != commit->project_id)
		return false;
	if (entry->is_version && entry->at < fsw_after(commit->at, -FSW_VERSION_EARLY))
		return false;
	return entry->is_version ? fsw_same_or_null(entry->author, commit->author) :
		entry->took_effect && entry->change_request != NULL &&
		fsw_same_or_null(entry->change_request, commit->change_request);
}

/*
 * When a version was published, as far as its entry and its list tell: tasks
 * write and send them, each of which may be late and overtake that of another.
 */
static int64
published_at(FswReader *reader, const FswPieceEntry *entry)
{
	int64		at = entry->at;
	FswFound	found = {0};

	if (entry->uuid == NULL)
		return at;
	fsw_find_lists(reader, entry->uuid, &found);
	for (int i = 0; i < found.n; i++)
	{
		FswPieceList *list = fsw_piece_list(reader, found.rows[i]);

		if (list != NULL && fsw_same_or_null(list->source, entry->source))
			at = Min(at, list->arrived);
	}
	return at;
}

/* The entry that a committed change request would rather belong to than to any other. */
static FswPieceEntry *
nearest_of_commit(FswReader *reader, const FswPieceEntry *commit)
{
	FswSearch	search = fsw_search_requests(commit);
	FswFound	found = {0};
	FswPieceEntry *chosen = NULL;

	if (!commit->is_commit || !commit->has_environment)
		return NULL;
	fsw_search_around(reader, &search, fsw_after(commit->at, -FSW_COMMIT_EARLY), commit->at,
					  fsw_after(commit->at, FSW_COMMIT_LATE), fsw_find_row, &found, &found.n);
	for (int i = 0; i < found.n; i++)
	{
		FswPieceEntry *entry = fsw_piece_entry(reader, found.rows[i]);
		int64		a;
		int64		b;

		if (entry == NULL || !is_of_request(entry, commit) || (chosen != NULL && entry->is_version && !chosen->is_version))
			continue;
		if (chosen == NULL || (chosen->is_version && !entry->is_version))
		{
			chosen = entry;
			continue;
		}
		a = fsw_distance(published_at(reader, entry), commit->at);
		b = fsw_distance(published_at(reader, chosen), commit->at);
		if (a < b || (a == b && fsw_compare_entries(reader, entry, chosen) < 0))
			chosen = entry;
	}
	return chosen;
}

/*
 * The entry that a committed change request belongs to: in v1 that of the
 * flag, which the system writes, with the same title; in v2 that of the
 * version, which the same author publishes.  NULL where it is scheduled for
 * later, or where another one that can only be of that entry is nearer to it.
 */
FswPieceEntry *
fsw_entry_of_commit(FswReader *reader, FswPieceEntry *commit)
{
	FswPieceEntry *entry = nearest_of_commit(reader, commit);
	FswSearch	search;
	FswFound	found = {0};
	int64		at;

	if (entry == NULL)
		return NULL;
	search = fsw_search_requests(entry);
	fsw_search_around(reader, &search, fsw_after(entry->at, -FSW_COMMIT_LATE), entry->at,
					  fsw_after(entry->at, FSW_COMMIT_EARLY), fsw_find_row, &found, &found.n);
	at = published_at(reader, entry);
	for (int i = 0; i < found.n; i++)
	{
		FswPieceEntry *other = fsw_same_row(found.rows[i], commit->row) ? NULL : fsw_piece_entry(reader, found.rows[i]);
		FswPieceEntry *of = other == NULL ? NULL : nearest_of_commit(reader, other);
		int64		a = other == NULL ? 0 : fsw_distance(other->at, at);
		int64		b = fsw_distance(commit->at, at);

		if (of != NULL && fsw_same_row(of->row, entry->row) &&
			(a < b || (a == b && fsw_compare_entries(reader, other, commit) < 0)))
			return NULL;
	}
	return entry;
}
