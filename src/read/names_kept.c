/*-------------------------------------------------------------------------
 *
 * src/read/names_kept.c
 *	  Names of things that were read before, kept by a reader that stays open.
 *
 * A view calls for each row, and one row after the other is of the same
 * project and environment; what a feature is called is asked again by the view
 * after its flag was read.  All of that is seen by the reader's one snapshot,
 * so what was read once holds as long as the reader is open.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "utils/memutils.h"

#include "src/base/fsw.h"
#include "src/read/read.h"

/* Things are kept in so many places, one in each. */
#define PLACES		64

/* A thing that had more names is read again. */
#define MOST_NAMES	4

typedef struct KeptThing
{
	char	   *block;			/* all that follows is in it; NULL: nothing
								 * here */
	text	   *source;
	char	   *kind;
	char	   *id;
	TimestampTz known_at;
	FswNames	names;
} KeptThing;

typedef struct FswNamesKept
{
	KeptThing	things[PLACES];
} FswNamesKept;

/* Where a thing is kept, if it is. */
static KeptThing *
place_of(FswReader *reader, const char *kind, const char *id)
{
	uint32		hash = hash_combine(hash_bytes((const unsigned char *) kind, strlen(kind)),
									hash_bytes((const unsigned char *) id, strlen(id)));

	if (reader->names == NULL)
		reader->names = MemoryContextAllocZero(reader->mcxt, sizeof(FswNamesKept));
	return &reader->names->things[hash % PLACES];
}

/* Copy bytes to where there is room, which moves behind them. */
static void *
put(char **room, const void *bytes, Size size)
{
	void	   *result = *room;

	memcpy(result, bytes, size);
	*room += MAXALIGN(size);
	return result;
}

/* Copy names into a block of memory that has room for them. */
static void
copy_names(FswNames *to, const FswNames *from, char **room)
{
	*to = *from;
	to->from = put(room, from->from, from->n * sizeof(int64));
	to->names = put(room, from->names, from->n * sizeof(text *));
	for (int i = 0; i < from->n; i++)
		to->names[i] = put(room, from->names[i], VARSIZE_ANY(from->names[i]));
}

static Size
size_of_names(const FswNames *names)
{
	Size		size = MAXALIGN(names->n * sizeof(int64)) + MAXALIGN(names->n * sizeof(text *));

	for (int i = 0; i < names->n; i++)
		size += MAXALIGN(VARSIZE_ANY(names->names[i]));
	return size;
}

/* The names of a thing, in memory of the caller's, if the reader has kept them. */
bool
fsw_names_recall(FswReader *reader, Datum source, const char *kind, const char *id, FswNames *names)
{
	const KeptThing *thing;
	char	   *room;

	if (!reader->keeps_names)
		return false;
	thing = place_of(reader, kind, id);
	if (thing->block == NULL || thing->known_at != reader->known_at || strcmp(thing->id, id) != 0 ||
		strcmp(thing->kind, kind) != 0 || !fsw_same_text(PointerGetDatum(thing->source), source))
		return false;
	if (thing->names.n == 0)
		*names = thing->names;
	else
	{
		room = palloc(size_of_names(&thing->names));
		copy_names(names, &thing->names, &room);
	}
	return true;
}

/* Keep the names of a thing that were read, in the place of what is there. */
void
fsw_names_keep(FswReader *reader, Datum source, const char *kind, const char *id, const FswNames *names)
{
	KeptThing  *thing;
	Size		source_size = VARSIZE_ANY(DatumGetPointer(source));
	char	   *room;

	if (!reader->keeps_names || names->n > MOST_NAMES)
		return;
	thing = place_of(reader, kind, id);
	if (thing->block != NULL)
		pfree(thing->block);
	thing->block = NULL;
	room = MemoryContextAlloc(reader->mcxt, MAXALIGN(source_size) + MAXALIGN(strlen(kind) + 1) +
							  MAXALIGN(strlen(id) + 1) + size_of_names(names));
	thing->block = room;
	thing->source = put(&room, DatumGetPointer(source), source_size);
	thing->kind = put(&room, kind, strlen(kind) + 1);
	thing->id = put(&room, id, strlen(id) + 1);
	thing->known_at = reader->known_at;
	if (names->n == 0)
		thing->names = *names;
	else
		copy_names(&thing->names, names, &room);
}
