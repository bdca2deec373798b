/*-------------------------------------------------------------------------
 *
 * src/read/scan.h
 *	  Rows of the extension's own tables, by index: interface of scan.c and
 *	  relation.c.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FSW_SCAN_H
#define FSW_SCAN_H

#include "access/genam.h"
#include "access/skey.h"
#include "access/stratnum.h"
#include "catalog/pg_type_d.h"
#include "executor/tuptable.h"
#include "storage/buf.h"
#include "utils/relcache.h"
#include "utils/snapshot.h"
#include "utils/timestamp.h"

/* The columns that are read of tables which row.h does not list. */
#define FSW_NAME_COLUMNS(X, T) \
	X(T, source, TEXTOID) X(T, kind, TEXTOID) X(T, id, TEXTOID) X(T, name, TEXTOID) \
	X(T, project_id, INT8OID) X(T, seen_at, TIMESTAMPTZOID) X(T, exact, BOOLOID) \
	X(T, existed_at, TIMESTAMPTZOID) X(T, stored_at, TIMESTAMPTZOID)

#define FSW_DELIVERY_READ_COLUMNS(X, T) \
	X(T, id, INT8OID) X(T, webhook, TEXTOID) X(T, received_at, TIMESTAMPTZOID) X(T, digest, BYTEAOID)

#define FSW_REPEAT_COLUMNS(X, T) \
	X(T, delivery, INT8OID) X(T, first_received_at, TIMESTAMPTZOID) X(T, event_type, TEXTOID)

#define FSW_WEBHOOK_COLUMNS(X, T) \
	X(T, name, TEXTOID) X(T, source, TEXTOID) X(T, environment_id, INT8OID) \
	X(T, audit_ids_shared, BOOLOID)

#define FSW_BLOCK_COLUMNS(X, T) \
	X(T, source, TEXTOID) X(T, size, INT8OID) X(T, block, INT8OID) X(T, stored_at, TIMESTAMPTZOID)

#define FSW_PRUNING_COLUMNS(X, T) \
	X(T, id, INT8OID) X(T, what, TEXTOID) X(T, before, TIMESTAMPTZOID) X(T, holes, JSONBOID)

#define FSW_READ_ENUM(T, column, type) T##_##column,
enum
{
	FSW_NAME_COLUMNS(FSW_READ_ENUM, NAME) NAME_COUNT
};
enum
{
	FSW_DELIVERY_READ_COLUMNS(FSW_READ_ENUM, DELIVERY) DELIVERY_COUNT
};
enum
{
	FSW_REPEAT_COLUMNS(FSW_READ_ENUM, REPEAT) REPEAT_COUNT
};
enum
{
	FSW_WEBHOOK_COLUMNS(FSW_READ_ENUM, WEBHOOK) WEBHOOK_COUNT
};
enum
{
	FSW_BLOCK_COLUMNS(FSW_READ_ENUM, BLOCK) BLOCK_COUNT
};
enum
{
	FSW_PRUNING_COLUMNS(FSW_READ_ENUM, PRUNING) PRUNING_COUNT
};

/* Tables that are read; the typed ones first, as in row.h. */
typedef enum FswReadTable
{
	FSW_READ_AUDIT_LOG,
	FSW_READ_FLAG_CHANGE,
	FSW_READ_AUDIT_EFFECT,
	FSW_READ_VERSION_PUBLISHED,
	FSW_READ_NAME,
	FSW_READ_DELIVERY,
	FSW_READ_REPEAT,
	FSW_READ_WEBHOOK,
	FSW_READ_BLOCK,
	FSW_READ_PRUNING
} FswReadTable;

#define FSW_READ_TABLE_COUNT (FSW_READ_PRUNING + 1)

/* Indexes that are read by; their columns are in relation.c. */
typedef enum FswIndex
{
	FSW_INDEX_NAME_HASH,
	FSW_INDEX_NAME_THING,
	FSW_INDEX_NAME_EXISTED,
	FSW_INDEX_NAME_PROJECT,
	FSW_INDEX_DEFAULT,
	FSW_INDEX_DELETED,
	FSW_INDEX_OVERRIDE,
	FSW_INDEX_IMPORTED,
	FSW_INDEX_LATE,
	FSW_INDEX_AHEAD,
	FSW_INDEX_DRAFT,
	FSW_INDEX_FLAG_CHANGE,
	FSW_INDEX_EFFECT_FEATURE,
	FSW_INDEX_EFFECT_LIFE,
	FSW_INDEX_EFFECT_PUBLISHED,
	FSW_INDEX_EFFECT_SEGMENT,
	FSW_INDEX_EFFECT_ENVIRONMENT,
	FSW_INDEX_EFFECT_VERSION,
	FSW_INDEX_EFFECT,
	FSW_INDEX_VERSION_FEATURE,
	FSW_INDEX_AUDIT,
	FSW_INDEX_AUDIT_PROJECT,
	FSW_INDEX_DELIVERY_WEBHOOK,
	FSW_INDEX_REPEAT,
	FSW_INDEX_WEBHOOK,
	FSW_INDEX_AUDIT_ID,
	FSW_INDEX_AUDIT_BLOCK,
	FSW_INDEX_PRUNING,
	FSW_INDEX_PRUNED_HOLES,
	FSW_INDEX_CHANGE_NEAR,
	FSW_INDEX_CHANGE_ARRIVAL,
	FSW_INDEX_CHANGE_DELETED,
	FSW_INDEX_AUDIT_REQUEST,
	FSW_INDEX_VERSION,
	FSW_INDEX_VERSION_UUID,
	FSW_INDEX_VERSION_NEAR,
	FSW_INDEX_DELIVERY
} FswIndex;

#define FSW_INDEX_COUNT (FSW_INDEX_DELIVERY + 1)

/* No index is searched by more columns. */
#define FSW_INDEX_KEYS 7

/* No index has more of them: room for an entry of any. */
#define FSW_ENTRY_COLUMNS INDEX_MAX_KEYS

/* A search in one index; of each index, one at a time. */
typedef struct FswScan
{
	struct FswReader *reader;
	Relation	index;
	IndexScanDesc descs[FSW_INDEX_KEYS + 1];	/* by number of keys */
	IndexScanDesc desc;			/* the one in progress */
	const AttrNumber *attnums;	/* of the table's columns */
	TupleTableSlot *slot;
	Buffer		vmbuffer;
	ScanDirection direction;
	bool		only_index;		/* the row in slot is not read */
	ItemPointerData place;		/* of the row, as the entry has it */
	int			nkeys;
	ScanKeyData keys[FSW_INDEX_KEYS];
	int			index_id;
} FswScan;

/* A row of a typed table, mostly an audit entry; none without delivery. */
typedef struct FswEntry
{
	int64		delivery;
	int			ordinal;
} FswEntry;

/* What audit entries tell of an environment, of which many calls ask. */
typedef struct FswEnvironmentFacts
{
	int64		source_hash;
	int64		environment_id;
	int64		project_id;
	TimestampTz known_at;
	int64		latest_audit_at;	/* latest audit entry of the project */
	int64		created_at;
	FswEntry	creation;		/* the audit entry that told it */
	bool		clone;			/* made as a copy of another environment */
} FswEnvironmentFacts;

#define FSW_FACTS_KEPT 16

/* How far from an instant what was needed of one flag after the other lay. */
typedef struct FswReach
{
	bool		known;
	int64		before;			/* FSW_FOREVER: to the first event */
	int64		after;
	int			worth;			/* of one search for both sides, so far */
	int			pause;			/* flags until it is tried again */
} FswReach;

/* Rows of one table, read again where an entry said that they are. */
typedef struct FswPlaces
{
	Snapshot	snapshot;
	Relation	table;
	const AttrNumber *attnums;
	TupleTableSlot *slot;
	struct TableScanDescData *block;	/* that is read as a whole */
} FswPlaces;

/* Tables and indexes opened while one question is answered. */
typedef struct FswReader
{
	MemoryContext mcxt;
	Snapshot	snapshot;
	TimestampTz known_at;		/* names that were stored later do not count */
	Oid			schema;
	Relation	tables[FSW_READ_TABLE_COUNT];
	FswScan    *scans[FSW_INDEX_COUNT];
	struct FswPieces *pieces;	/* what piece.c has read so far */
	bool		keeps_names;	/* it stays open for many calls */
	struct FswNamesKept *names;
	text	   *webhook;		/* of which the environment was asked last */
	int64		webhook_environment;
	FswReach	reach;			/* of environment defaults */
	int64		behind;			/* how far behind an instant steps look first; 0:
								 * as far as there is any */
	int			nfacts;			/* so many were read, each put in the place of
								 * the oldest */
	FswEnvironmentFacts facts[FSW_FACTS_KEPT];
	bool		looked[FSW_INDEX_COUNT];	/* whether there is anything */
	bool		empty[FSW_INDEX_COUNT];
} FswReader;

/* relation.c */
extern void fsw_relation_init(void);
extern Relation fsw_table_open(const FswReader *reader, FswReadTable id);
extern Relation fsw_table_open_again(FswReadTable id);
extern Relation fsw_index_open(const FswReader *reader, FswIndex id, Relation table);
extern FswReadTable fsw_index_table(FswIndex id);
extern const AttrNumber *fsw_table_attnums(FswReadTable id);

/* scan.c */
extern FswReader *fsw_reader_open(void);
extern void fsw_reader_close(FswReader *reader);

extern FswScan *fsw_scan_of(FswReader *reader, FswIndex index);
extern bool fsw_index_is_empty(FswReader *reader, FswIndex index);
extern void fsw_scan_key(FswScan *scan, StrategyNumber strategy, Datum value);
extern void fsw_scan_key_null(FswScan *scan, bool is_null);
extern void fsw_scan_begin(FswScan *scan, ScanDirection direction);
extern bool fsw_scan_next(FswScan *scan);
extern FswScan *fsw_scan_row(FswReader *reader, FswIndex index, int64 delivery, int32 ordinal);
extern bool fsw_scan_next_entry(FswScan *scan, Datum *values, bool *isnull);
extern void fsw_scan_fetch(FswScan *scan);
extern bool fsw_scan_next_row(FswScan *scan, Datum *values, bool *isnull, ItemPointer row, bool *seen);
extern bool fsw_scan_fetch_row(FswScan *scan, const ItemPointerData *row);

extern Datum fsw_scan_column(FswScan *scan, int column, bool *isnull);
extern int64 fsw_scan_int64(FswScan *scan, int column, int64 otherwise);
extern int	fsw_scan_int32(FswScan *scan, int column);
extern bool fsw_scan_is_null(FswScan *scan, int column);
extern text *fsw_scan_text(FswScan *scan, int column);
extern bool fsw_scan_same_text(FswScan *scan, int column, Datum other);
extern bool fsw_same_text(Datum a, Datum b);
extern bool fsw_scan_bool(FswScan *scan, int column);
extern bool fsw_scan_is(FswScan *scan, int column, const char *word);
extern bool fsw_scan_id(FswScan *scan, int column, int64 *id);
extern char *fsw_scan_cstring(FswScan *scan, int column);

/* place.c */
extern bool fsw_places_open(FswPlaces *places, FswReadTable table, Snapshot snapshot);
extern bool fsw_places_read(FswPlaces *places, const ItemPointerData *place);
extern Datum fsw_places_column(FswPlaces *places, int column, bool *isnull);
extern void fsw_places_begin_block(FswPlaces *places, BlockNumber block);
extern OffsetNumber fsw_places_next(FswPlaces *places);
extern void fsw_places_end_block(FswPlaces *places);
extern void fsw_places_close(FswPlaces *places);

static inline void
fsw_scan_equal(FswScan *scan, Datum value)
{
	fsw_scan_key(scan, BTEqualStrategyNumber, value);
}

#endif							/* FSW_SCAN_H */
