/*-------------------------------------------------------------------------
 *
 * src/read/read.h
 *	  Names, facts and the history of one flag, read from the tables: interface
 *	  of this room but for what scan.h and history.h have.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FSW_READ_H
#define FSW_READ_H

#include "fmgr.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

#include "src/base/array.h"
#include "src/read/scan.h"
#include "src/timeline/model.h"
#include "src/timeline/state_steps.h"

/* What a state is shown as; both can be NULL pointers. */
typedef struct FswShownState
{
	Datum		value;			/* jsonb */
	Datum		variants;		/* jsonb: percentage by option id */
} FswShownState;

/* Which override a scope is. */
typedef struct FswShownScope
{
	int64		segment_id;
	char	   *identity_kind;
	char	   *identity;
	char	   *identity_identifier;
} FswShownScope;

/* Where a piece of evidence came from. */
typedef struct FswShownRow
{
	int64		delivery;
	char	   *changed_by;
	bool		has_priority;
	int64		priority;
} FswShownRow;

typedef struct FswHistory
{
	FswFlag		flag;
	FswTimeline *timeline;
	FswShownState *shown_states;
	FswShownScope *shown_scopes;
	FswShownRow *shown_rows;
	bool		whole;			/* all of it was read */
	int64		nameless;		/* since then an identity has an override, and
								 * nobody told what it is called */
	bool		named;			/* an entry of the flag calls an identity what
								 * is asked for */
} FswHistory;

/* An environment of which flags are read, and what is the same for all. */
typedef struct FswEnvironment
{
	Datum		source;			/* text */
	int64		source_hash;
	int64		environment_id;
	bool		has_project;
	int64		project_id;
	TimestampTz known_at;		/* what was stored later does not count */
	bool		has_facts;		/* the rest is read when it is needed */
	int64		latest_audit_at;	/* latest audit entry of the project */
	int64		created_at;
	FswEntry	creation;		/* the audit entry that told it */
	bool		clone;			/* made as a copy of another environment */
	int64		heard_from;		/* its first name; FSW_FOREVER: it has none */
	bool		was_asked;		/* by a flag, whether there are versions */
	bool		knows_versions; /* from the second on */
	bool		has_versions;
	bool		has_end;		/* gone is read */
	int64		deleted_at;		/* deleted; FSW_FOREVER */
	int			nsiblings;		/* environments of the project, once read */
	int64	   *siblings;
	bool		has_holes;		/* in the audit ids, between two instants */
	int64		holes_from;
	int64		holes_until;
	int			nholes;
	FswHole    *holes;
} FswEnvironment;

/* A feature, with the hashes of all names that it ever had. */
typedef struct FswFeature
{
	int64		id;
	char	   *name;			/* of the instant asked about */
	int			nnames;
	int64	   *names;
} FswFeature;

/* An audit entry says that a variant was added or removed. */
typedef struct FswOption
{
	int64		at;
	int64		arrived;
	FswEntry	entry;
} FswOption;

/* Whether a flag's states count at all, whatever they are. */
typedef struct FswFlagFacts
{
	FswEnvironment *environment;
	FswFeature	feature;
	bool		versioned;		/* published in versions */
	int			nwebhooks;		/* that brought lists of versions */
	text	  **webhooks;		/* NULL: without one */
	int64		created;		/* as an audit entry tells; FSW_NEVER */
	FswEntry	creation;
	int64		deleted_at;		/* the feature was deleted; FSW_FOREVER */
	bool		deleted_exactly;	/* an audit entry tells gone */
	FswCause	deleted_with;	/* the feature, or the environment */
	bool		deleted;		/* there are announcements of the deletion */
	bool		drafts;			/* saved one by one, and some events bear the
								 * time of a draft */
	int			nremovals;		/* deleted in this environment, by time */
	int64	   *removals;
	int			noptions;		/* of the feature in all environments */
	FswOption  *options;
} FswFlagFacts;

/* What the feature's defaults make of a state that nobody told. */
typedef struct FswCreation
{
	int64		created;		/* as its flag events say; FSW_NEVER */
	bool		has_defaults;
	bool		enabled;
	Datum		value;			/* jsonb */
	bool		multivariate;
	bool		guessed;		/* from the list of a version */
	bool		told;			/* an audit entry shows that they were used */
} FswCreation;

/* The overrides that a question is about; those of versions always are. */
typedef struct FswAsked
{
	bool		everything;
	bool		state_alone;	/* whatever its confidence */
	int			nsegments;
	const int64 *segments;		/* each once, in order */
	const char *identity;		/* identifier, else key, or NULL */
	int			nidentities;	/* "kind:key" of those that bear it */
	char	  **identities;
} FswAsked;

/* Is a user asked about, who may have been given an override? */
static inline bool
fsw_is_about_overrides(const FswAsked *asked)
{
	return asked->nsegments > 0 || asked->identity != NULL;
}

/* Is it about this segment? */
static inline bool
fsw_is_about_segment(const FswAsked *asked, int64 segment_id)
{
	return asked->nsegments > 0 &&
		bsearch(&segment_id, asked->segments, asked->nsegments, sizeof(int64), fsw_compare_int64) != NULL;
}

/*
 * Around one instant, this many pieces of evidence to either side are read at
 * most.  At most 5 events of one scope overlap in a busy installation; the
 * rest is for outages, after which everything arrives at once.
 */
#define FSW_WINDOW 64

/*
 * A body that is dated so long after its arrival has a wrong time: it is
 * taken as of its arrival.  As the index FSW_INDEX_AHEAD has it.
 */
#define FSW_AHEAD (5 * INT64CONST(60000000))

static inline bool
fsw_is_ahead(int64 event_at, int64 received_at)
{
	return !TIMESTAMP_NOT_FINITE(event_at) && !TIMESTAMP_NOT_FINITE(received_at) &&
		fsw_apart(event_at, received_at) > FSW_AHEAD;
}

/* A state in a list of a version, which the next lists have in the same bytes. */
typedef struct FswListed
{
	uint64		hash;
	char	   *bytes;			/* NULL: nothing here */
	int			length;
	int			state;			/* FSW_NOT_TOLD: it is none */
} FswListed;

/* While a history is read: the states it has so far. */
typedef struct FswStateTable
{
	FswHistory *history;
	MemoryContext mcxt;			/* of the history */
	int			maxstates;
	int			nbuckets;		/* a power of two */
	int		   *buckets;		/* index of a state + 1 */
	uint64	   *hashes;			/* by state: of its value, equal for equal
								 * ones */
	int			nlisted;
	int			maxlisted;		/* a power of two */
	FswListed  *listed;			/* by hash */
	int			nlast;			/* of the list that was read last, */
	int			maxlast;
	FswListed  *last;			/* by their places there */
} FswStateTable;

extern bool fsw_is_json_null(Jsonb *value);
extern Jsonb *fsw_shown_variants(Jsonb *sent);
extern Datum fsw_no_variants(void);
extern int	fsw_intern_state(FswStateTable *table, bool enabled, Datum value,
							 bool value_isnull, Datum variants,
							 bool variants_isnull);
extern int	fsw_intern_told(FswStateTable *table, FswScan *scan, int otherwise);
extern int	fsw_intern_previous(FswStateTable *table, FswScan *scan, int otherwise);
extern int	fsw_intern_listed(FswStateTable *table, int place, JsonbContainer *object, int length);
extern int	fsw_combine_state(FswFlag *flag, int state, int variants);
extern int	fsw_adopt_state(FswFlag *flag, int state, int variants, int added);

/* What a project, an environment, a segment or a feature was called, by time. */
typedef struct FswNames
{
	int			n;
	int64	   *from;			/* of the first: when the thing existed */
	text	  **names;
	bool		has_project;
	int64		project_id;
	int64		seen_from;		/* the first sighting, under any name */
	int64		seen_last;		/* the latest sighting that is told apart */
} FswNames;

/* A stretch of time; to is exclusive, FSW_FOREVER has no end. */
typedef struct FswSpan
{
	int64		from;
	int64		to;
} FswSpan;

/* An environment and a feature that bore a pair of names at some time. */
typedef struct FswPair
{
	Datum		source;			/* text */
	bool		has_project;
	int64		project_id;
	int64		environment_id;
	FswFeature	feature;		/* 0 where an environment alone is meant */
	FswSpan		project_named;	/* when each bore its name */
	FswSpan		environment_named;
	FswSpan		feature_named;
	int64		environment_existed;	/* FSW_FOREVER: never heard of */
	int64		environment_seen;	/* first, under any name */
	int64		feature_existed;
	FswSpan		evidence;		/* of the project, as far as names and entries tell */
} FswPair;

/* Instants at which what names mean can change, of one pair. */
#define FSW_PAIR_BOUNDS 10

/*
 * A state whose value is not read: where the row of its event is.  Such ones
 * are numbered from FSW_STATE_ROW on.
 */
typedef struct FswStateRow
{
	ItemPointerData place;
	bool		enabled;
} FswStateRow;

#define FSW_STATE_ROW	(1 << 30)

/* The steps of an environment default, and its states. */
typedef struct FswSteps
{
	FswStateSteps steps;
	int			nrows;
	FswStateRow *rows;
	Oid			storage;		/* the table's, when the rows were found */
	int			nstates;
	FswState   *states;
	FswShownState *shown;		/* by state; not read for enabled alone */
	bool		whole;			/* all of a history was read for them */
} FswSteps;

static inline bool
fsw_step_enabled(const FswSteps *steps, int state)
{
	return state >= FSW_STATE_ROW ? steps->rows[state - FSW_STATE_ROW].enabled : steps->states[state].enabled;
}

/* How much of a history may be read for its steps. */
typedef struct FswStepsLimit
{
	int64		changes;
	Size		memory;			/* bytes, while reading and of the result */
	bool		no_memory;		/* set where that was the reason to stop */
	int64		nread;			/* where it stopped */
} FswStepsLimit;

/*
 * With versions, the states of all scopes are carried from one to the next,
 * so a part of the history can be told differently than all of it where
 * versions overlap: up to this, all of it is read for any instant for which
 * near_versions.c did not find enough.
 */
#define FSW_LONG_VERSIONED 2000

/* names.c */
extern FswScan *fsw_scan_name(FswReader *reader, const char *kind, const char *name, int length);
extern int64 fsw_name_hash(const char *kind, const char *name, size_t length);
extern Datum fsw_text_hash(const text *content);
extern int64 fsw_thing_hash(Datum source, const char *kind, const char *id);
extern bool fsw_name_is_of(FswScan *scan, Datum source, const char *kind, const char *id);
extern void fsw_names_read(FswReader *reader, Datum source, const char *kind, const char *id,
						   FswNames *names);
extern const text *fsw_names_at(const FswNames *names, int64 at);
extern bool fsw_has_one_name(FswReader *reader, Datum source, const char *kind, const char *id);
extern int64 fsw_unseen_from(int64 last);
extern FswScan *fsw_scan_names_in(FswReader *reader, const char *kind, Datum source,
								  bool has_project, int64 project_id);
extern int	fsw_resolve(FswReader *reader, const text *environment,
						const text *feature, FswPair **pairs);
extern int	fsw_resolve_at(const FswPair *pairs, int npairs, int64 at, int *found);
extern void fsw_pair_bounds(const FswPair *pair, int64 *bounds);
extern FswPair *fsw_resolve_environment(FswReader *reader, Datum source, int64 environment_id);
extern FswFeature fsw_resolve_feature(FswReader *reader, Datum source, int64 feature_id);
extern FswPair *fsw_resolve_known_ids(FswReader *reader, Datum source, int64 environment_id,
									  const int64 *feature_id);
extern text *fsw_only_source(FswReader *reader);
extern int	fsw_resolve_features(FswReader *reader, const FswPair *environment,
								 int64 at, FswFeature **features);

/* names_kept.c */
extern bool fsw_names_recall(FswReader *reader, Datum source, const char *kind, const char *id, FswNames *names);
extern void fsw_names_keep(FswReader *reader, Datum source, const char *kind, const char *id, const FswNames *names);

/* holes.c */
extern void fsw_holes_read(FswReader *reader, FswEnvironment *environment, int64 from,
						   int64 until);

/* environment.c */
extern FswEnvironment *fsw_environment(const FswPair *pair, TimestampTz known_at);
extern int64 fsw_environment_end(FswReader *reader, FswEnvironment *environment);
extern void fsw_environment_facts(FswReader *reader, FswEnvironment *environment);
extern int64 fsw_latest_entry(FswReader *reader, Datum source, int64 project_id, TimestampTz known_at);
extern void fsw_environment_siblings(FswReader *reader, FswEnvironment *environment);

/* flag_facts.c */
extern FswEntry fsw_entry_of(FswScan *scan);
extern bool fsw_is_same_entry(FswReader *reader, FswEntry a, FswEntry b);
extern int	fsw_entry_setting(FswReader *reader, const FswEntry *entry,
							  const char *object, const char *key);
extern bool fsw_entry_has_action(FswReader *reader, const FswEntry *entry, const char *action);
extern bool fsw_flag_facts_is_copy(FswReader *reader, const FswFlagFacts *flag_facts, int64 created);
extern FswFlagFacts *fsw_flag_facts_read(FswReader *reader, FswEnvironment *environment,
										 const FswFeature *feature);
extern FswCreation fsw_creation_read(FswReader *reader, const FswFlagFacts *flag_facts);
extern bool fsw_flag_facts_has(const FswFlagFacts *flag_facts, int64 created, int64 at);
extern int64 fsw_flag_created_at(FswReader *reader, const FswFlagFacts *flag_facts, int64 created);
extern bool fsw_is_known(FswScan *scan, int column, const FswEnvironment *environment);
extern int64 fsw_first_arrivals(FswReader *reader, int64 delivery, int64 received_at,
								const char *event_type, int64 *understood);
extern int64 fsw_first_arrival(FswReader *reader, int64 delivery, int64 received_at);
extern int64 fsw_entry_arrival(FswReader *reader, FswScan *scan);
extern void fsw_scan_flag(FswScan *scan, const FswFlagFacts *flag_facts);
extern FswScan *fsw_scan_entries(FswReader *reader, const FswFlagFacts *flag_facts, int64 name,
								 bool of_project);
extern bool fsw_next_told(FswReader *reader, const FswFlagFacts *flag_facts, int64 name, bool *begun, int64 *hash);
extern FswScan *fsw_scan_versions(FswReader *reader, const FswFlagFacts *flag_facts, int64 name);
extern bool fsw_entry_is_of(FswScan *scan, const FswFlagFacts *flag_facts);

/* lists.c */
extern FswScan *fsw_scan_lists(FswReader *reader, const FswFlagFacts *flag_facts);
extern FswScan *fsw_scan_lists_by(FswReader *reader, const FswFlagFacts *flag_facts, const text *webhook);
extern int64 fsw_list_environment(FswReader *reader, FswScan *lists, Datum source);
extern bool fsw_list_is_of(FswReader *reader, FswScan *lists, const FswEnvironment *environment);
extern void fsw_flag_webhooks_read(FswReader *reader, FswFlagFacts *flag_facts);
extern bool fsw_flag_has_own_webhook(FswReader *reader, const FswFlagFacts *flag_facts);
extern bool fsw_flag_has_lists(FswReader *reader, const FswFlagFacts *flag_facts);
extern void fsw_creation_guess(FswReader *reader, const FswFlagFacts *flag_facts, FswCreation *creation);

/* single_save.c */
extern bool fsw_is_saved_singly(FswReader *reader, const FswFlagFacts *flag_facts, int64 created_at, int64 from,
								int64 removed_before);

/* initial_value.c */
extern Datum fsw_initial_value(Datum initial);

/* builder.c */
extern FswHistory *fsw_history_read(FswReader *reader, const FswFlagFacts *flag_facts,
									const FswAsked *asked, const int64 *near);
extern const FswShownRow *fsw_history_row(const FswHistory *history,
										  const FswPeriod *period);

/* told.c */
extern bool fsw_id_of_name(FswReader *reader, Datum source, const char *kind, const text *name,
						   int64 project_id, int64 at, int64 *id);
extern bool fsw_next_bearer(FswReader *reader, int64 hash, bool *begun, int64 *from, FswScan **scan);
extern void fsw_ask_identity(FswReader *reader, const FswPair *pair, FswAsked *asked,
							 char *identity);

/* steps.c */
extern FswSteps *fsw_steps_read(FswReader *reader, const FswFlagFacts *flag_facts, bool values,
								const int64 *near, FswStepsLimit *limit);

#endif							/* FSW_READ_H */
