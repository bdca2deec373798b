/*-------------------------------------------------------------------------
 *
 * src/read/history.h
 *	  The lines of the view history: interface of neighbour.c, piece.c,
 *	  explained.c, commit.c and history.c.
 *
 * A piece is an audit entry, a flag event or a version list, by the row that it
 * is in.  Each piece belongs to one line, and each line has one piece whose row
 * is the candidate for it in the view.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FSW_READ_HISTORY_H
#define FSW_READ_HISTORY_H

#include "src/read/read.h"
#include "src/timeline/history.h"

/* The pieces of each kind that one decision looks at, to either side. */
#define FSW_NEIGHBOURS 64

/* So much earlier than its stored copy, a body can have come and still be found by its arrival. */
#define FSW_EARLIER_ARRIVAL INT64CONST(180000000)

/* One way to read the message of an audit entry. */
typedef struct FswReadEffect
{
	FswAbout	about;
	bool		has_feature;
	int64		feature_hash;
	bool		has_scope;
	int64		scope_hash;
	bool		has_feature_id;
	int64		feature_id;
	bool		has_environment;
	int64		environment_id;
	int64		at;
	int			split;
} FswReadEffect;

/* An audit entry; texts are NULL where it has none. */
typedef struct FswPieceEntry
{
	FswEntry	row;
	int64		at;
	text	   *source;
	bool		has_audit_id;
	int64		audit_id;
	bool		imported;
	bool		by_system;
	bool		is_version;
	bool		is_commit;		/* says that a change request was committed */
	bool		took_effect;	/* the system did what a change request says */
	text	   *uuid;			/* of the version */
	text	   *author;
	bool		has_project;
	int64		project_id;
	bool		has_environment;
	int64		environment_id;
	text	   *project;
	text	   *action;
	text	   *object;
	text	   *feature;
	text	   *segment;
	text	   *identity;
	text	   *change_request;
	text	   *log;
	bool		has_related;
	int64		related_id;
	text	   *related_type;
	bool		system_known;	/* by_system is told */
	int			ncopies;		/* other rows of the same entry */
	FswEntry   *copies;
	bool		has_effect;
	FswReadEffect effect;		/* in the reading that is meant */
	bool		ambiguous;		/* so that columns lack names */
	bool		readable_otherwise; /* its names can be read in another way */
	bool		misread;		/* what else is known tells that its names
								 * are others than its columns have: */
	const text *true_feature;
	const text *true_segment;
	const text *true_identity;
	const uint8 *digest;		/* of the delivery, once asked for */
	int			nsave;			/* the entries of its save, once asked for */
	struct FswPieceEntry **save;
} FswPieceEntry;

/* A flag event; a deletion if deleted. */
typedef struct FswPieceEvent
{
	FswEntry	row;
	ItemPointerData place;		/* where the row is */
	text	   *source;
	bool		deleted;
	int64		at;				/* as the view has it: of a deletion, and of a
								 * body dated ahead, its arrival */
	int64		event_at;
	int64		received_at;
	int64		arrived;
	bool		has_environment;
	int64		environment_id;
	bool		has_feature;
	int64		feature_id;
	text	   *feature;
	int64		feature_hash;
	bool		has_segment;
	int64		segment_id;
	text	   *identity;
	bool		has_scope;
	int64		scope_hash;
	text	   *changed_by;
	bool		has_state;
	bool		enabled;
	const uint8 *digest;		/* as of an entry */
	bool		is_asked;		/* the entry of a deletion is known, NULL if
								 * none explains it */
	FswPieceEntry *entry;
	FswPieceEntry *by[FSW_EXPLAINS_REQUEST + 1];	/* what explains an event in
													 * each way, */
	int64		tried[FSW_EXPLAINS_REQUEST + 1];	/* and where it is NULL, up to
													 * which distance none does */
} FswPieceEvent;

/* A list of the states of a version. */
typedef struct FswPieceList
{
	FswEntry	row;
	text	   *source;
	int64		at;				/* as the view has it */
	int64		received_at;
	int64		arrived;
	text	   *uuid;
	bool		has_feature;
	int64		feature_id;
	text	   *feature;
	text	   *publisher;
	bool		has_states;
	Datum		states;			/* jsonb */
	bool		is_asked;		/* the entry is known, NULL if none came */
	FswPieceEntry *entry;
} FswPieceList;

typedef enum FswPieceKind
{
	FSW_PIECE_ENTRY,
	FSW_PIECE_REQUEST,			/* of the system: others say by whom, or of
								 * what */
	FSW_PIECE_EVENT,
	FSW_PIECE_DELETION,
	FSW_PIECE_LIST
} FswPieceKind;

/* The pieces of one act, each kind in its order. */
typedef struct FswLine
{
	FswPieceKind kind;			/* of the piece that stands for it */
	FswEntry	row;
	int			nentries;
	FswPieceEntry **entries;
	int			ncommits;
	FswPieceEntry **commits;
	int			nevents;
	FswPieceEvent **events;		/* deletions, too */
	int			nlists;
	FswPieceList **lists;
} FswLine;

/* A search among the neighbours of a piece: the first columns of an index, and the time behind them. */
typedef struct FswSearch
{
	FswIndex	index;
	int			at_column;
	const text *source;			/* where the index has none; else NULL */
	int			source_column;
	int			nkeys;
	Datum		keys[FSW_INDEX_KEYS];
	bool		nulls[FSW_INDEX_KEYS];
} FswSearch;

typedef void (*FswVisit) (FswScan *scan, void *argument);

/* Rows that a search found, in any order. */
typedef struct FswFound
{
	int			n;
	int			max;
	FswEntry   *rows;
} FswFound;

/* What was read while one line is decided; each piece is read once. */
typedef struct FswPieces
{
	int			nentries;
	int			maxentries;
	FswEntry   *entry_rows;
	FswPieceEntry **entries;	/* NULL: the row is none that counts */
	int			nevents;
	int			maxevents;
	FswEntry   *event_rows;
	FswPieceEvent **events;
	int			nlists;
	int			maxlists;
	FswEntry   *list_rows;
	FswPieceList **lists;
} FswPieces;

/* Does an event name nobody, as that of a change request does? */
static inline bool
fsw_names_nobody(const text *changed_by)
{
	return changed_by == NULL || VARSIZE_ANY_EXHDR(changed_by) == 0;
}

/* When a body came first, as far back as the searches for what was stored of it reach. */
static inline int64
fsw_came_at(int64 arrived, int64 received_at)
{
	return Max(arrived, fsw_after(received_at, -FSW_EARLIER_ARRIVAL));
}

/* piece.c */
extern FswPieceEntry *fsw_piece_entry(FswReader *reader, FswEntry row);
extern FswPieceEvent *fsw_piece_event(FswReader *reader, FswEntry row);
extern FswScan *fsw_piece_row(FswReader *reader, const FswPieceEvent *event);
extern FswPieceList *fsw_piece_list(FswReader *reader, FswEntry row);
extern int64 fsw_piece_list_environment(FswReader *reader, const FswPieceList *list);
extern Jsonb *fsw_piece_value(FswReader *reader, const FswPieceEvent *event);
extern Jsonb *fsw_piece_variants(FswReader *reader, const FswPieceEvent *event);
extern bool fsw_piece_same_value(FswReader *reader, const FswPieceEvent *a, const FswPieceEvent *b);
extern bool fsw_piece_same_variants(FswReader *reader, const FswPieceEvent *a, const FswPieceEvent *b);
extern const uint8 *fsw_piece_digest(FswReader *reader, int64 delivery);
extern int	fsw_compare_entries(FswReader *reader, FswPieceEntry *a, FswPieceEntry *b);
extern int	fsw_compare_events(FswReader *reader, FswPieceEvent *a, FswPieceEvent *b);
extern bool fsw_same_row(FswEntry a, FswEntry b);
extern bool fsw_same_or_null(const text *a, const text *b);
extern bool fsw_same_actor(const FswPieceEntry *entry, const text *changed_by);
extern FswReadEffect fsw_read_effect(FswScan *scan);

/* save.c */
extern void fsw_sort_entries(FswReader *reader, FswPieceEntry **entries, int n);
extern FswPieceEntry **fsw_entries_of_save(FswReader *reader, FswPieceEntry *entry, int *nentries);

/* neighbour.c */
extern void fsw_search_key(FswSearch *search, Datum value, bool isnull);
extern FswSearch fsw_search_events(FswIndex index, int at_column, const text *source, int64 feature_hash,
								   bool has_environment, int64 environment_id);
extern FswSearch fsw_search_lists(const text *source, int64 feature_id);
extern FswSearch fsw_search_effects(const text *source, int64 feature_hash, bool has_environment,
									int64 environment_id, bool has_scope, int64 scope_hash);
extern FswSearch fsw_search_versions(const text *source, int64 feature_hash, int64 environment_id);
extern FswSearch fsw_search_requests(const FswPieceEntry *entry);
extern FswScan *fsw_search_begin(FswReader *reader, const FswSearch *search, int64 from, int64 to,
								 ScanDirection direction);
extern bool fsw_search_next(FswScan *scan, const FswSearch *search);
extern void fsw_search_around(FswReader *reader, const FswSearch *search, int64 from, int64 anchor,
							  int64 to, FswVisit visit, void *argument, int *n);
extern bool fsw_search_reaches(FswReader *reader, const FswSearch *search, int64 a, int64 b);
extern void fsw_find_row(FswScan *scan, void *found);

/* explained.c */
extern void fsw_find_lists(FswReader *reader, const text *uuid, FswFound *found);
extern bool fsw_list_has_state(FswReader *reader, const FswPieceList *list, const FswPieceEvent *event);
extern void fsw_find_events(FswReader *reader, const FswPieceEntry *entry, FswFound *found);
extern FswPieceEntry *fsw_entry_of_event(FswReader *reader, FswPieceEvent *event);
extern FswPieceEntry *fsw_entry_of_deletion(FswReader *reader, FswPieceEvent *event);
extern FswPieceEntry *fsw_entry_of_list(FswReader *reader, FswPieceList *list);

/* commit.c */
extern FswPieceEntry *fsw_entry_of_commit(FswReader *reader, FswPieceEntry *commit);

/* history.c */
extern FswLine *fsw_line_read(FswReader *reader, FswPieceKind kind, FswEntry row, int64 at);
extern void fsw_request_told(FswReader *reader, FswEntry row, const text **person, const text **feature);

#endif							/* FSW_READ_HISTORY_H */
