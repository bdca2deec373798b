/*-------------------------------------------------------------------------
 *
 * src/base/fsw.h
 *	  What the C files of the module share, a section for each file.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FSW_H
#define FSW_H

#include "postgres.h"

#include "datatype/timestamp.h"
#include "executor/spi.h"
#include "fmgr.h"
#include "utils/jsonb.h"
#include "utils/snapshot.h"

#include "src/base/compat.h"

/*
 * SQLSTATEs of our own, as subclasses of standard classes: a caller can tell
 * "reject" from "retry" by the class alone.
 */
#define ERRCODE_FSW_SIGNATURE_MISMATCH		MAKE_SQLSTATE('2', '8', 'W', '0', '1')
#define ERRCODE_FSW_SIGNATURE_MISSING		MAKE_SQLSTATE('2', '8', 'W', '0', '2')
#define ERRCODE_FSW_SIGNATURE_MALFORMED		MAKE_SQLSTATE('2', '8', 'W', '0', '3')
#define ERRCODE_FSW_OTHER_ENVIRONMENT		MAKE_SQLSTATE('2', '8', 'W', '0', '4')
#define ERRCODE_FSW_INVALID_PAYLOAD			MAKE_SQLSTATE('2', '2', 'W', '0', '1')
#define ERRCODE_FSW_WARNING_UNRECOGNIZED_EVENT	MAKE_SQLSTATE('0', '1', 'W', '0', '1')

/* ---- flagsmith_webhook.c ---- */

extern PGDLLEXPORT void _PG_init(void);
extern int	fsw_max_body_size;
extern char *fsw_secret;

/* What scalar functions do where a name or an id is not known. */
typedef enum FswUnknownName
{
	FSW_UNKNOWN_NAME_NOTICE,
	FSW_UNKNOWN_NAME_IGNORE,
	FSW_UNKNOWN_NAME_ERROR
} FswUnknownName;

extern int	fsw_unknown_name;
extern int	fsw_progress_interval;

/* ---- array.c: numbers as an array of SQL ---- */

extern Datum fsw_int8_array(const int64 *numbers, int n);

/* ---- guard.c: append-only tables, and the one way around ---- */

extern void fsw_execute_on_history(SPIPlanPtr plan, Datum *values, const char *nulls);

/* ---- copy.c: is the history all here, and this database's own to change? ---- */

#define FSW_DISTRIBUTED "It was distributed: its rows are on other nodes, and what is here may be none or old."

extern void fsw_copy_check(Snapshot snapshot);
extern bool fsw_is_subscriber(void);
extern void fsw_refuse_on_subscriber(void);
extern bool fsw_is_distributed(Oid relid);
pg_noreturn extern void fsw_raise_not_ours(const char *table, const char *fault);

/* ---- plan.c: saved SPI plans, the owner's rights, the cache clock ---- */

typedef enum FswPlanId
{
	FSW_PLAN_WEBHOOK,
	FSW_PLAN_WEBHOOK_EXISTS,
	FSW_PLAN_KNOWN_SECRETS,
	FSW_PLAN_DELIVERY_INSERT,
	FSW_PLAN_DELIVERY_FIND,
	FSW_PLAN_REPEAT,
	FSW_PLAN_EVENT_SECRET,
	FSW_PLAN_EVENT_ARRIVAL,
	FSW_PLAN_AUDIT_LOG,
	FSW_PLAN_FLAG_CHANGE,
	FSW_PLAN_AUDIT_EFFECT,
	FSW_PLAN_VERSION,
	FSW_PLAN_NAME,
	FSW_PLAN_BLOCK,
	FSW_PLAN_BLOCK_OF_BLOCKS,
	FSW_PLAN_REJECTED,
	FSW_PLAN_COUNT_REJECTED,
	FSW_PLAN_COUNT_REJECTED_AGAIN,
	FSW_PLAN_RECOUNT_TURN,
	FSW_PLAN_RECOUNT,
	FSW_PLAN_RING,
	FSW_PLAN_RING_BYTES,
	FSW_PLAN_RING_CLEAR,
	FSW_PLAN_RING_CLEAR_OLD,
	FSW_PLAN_RING_NEWEST,
	FSW_PLAN_RING_REPLACE,
	FSW_PLAN_RING_ROW,
	FSW_PLAN_RING_REASON,
	FSW_PLAN_READMITTED,
	FSW_PLAN_ARRIVALS,
	FSW_PLAN_ENVIRONMENT,
	FSW_PLAN_REBUILD_DELETE,	/* one for each typed table */
	FSW_PLAN_REBUILD_DELETE_LAST = FSW_PLAN_REBUILD_DELETE + 3,
	FSW_PLAN_REBUILD_DELIVERY,
	FSW_PLAN_REBUILD_LAST,
	FSW_PLAN_PRUNE_BODIES,
	FSW_PLAN_PRUNE_HISTORY,		/* one for each typed table */
	FSW_PLAN_PRUNE_HISTORY_LAST = FSW_PLAN_PRUNE_HISTORY + 3,
	FSW_PLAN_PRUNE_HISTORY_BODIES,
	FSW_PLAN_PRUNABLE_HISTORY,
	FSW_PLAN_PRUNABLE_COUNT,
	FSW_PLAN_PRUNE_LOG,
	FSW_PLAN_PRUNED_HOLES,
	FSW_PLAN_TILE,
	FSW_PLAN_TILE_STORE,
	FSW_PLAN_TILE_OF_DELIVERY,
	FSW_PLAN_SEAL_AT,
	FSW_PLAN_SEAL_SETTLED,
	FSW_PLAN_SEAL_BEFORE,
	FSW_PLAN_SEAL_STORE,
	FSW_PLAN_KEPT_SECRET,
	FSW_PLAN_VERIFY_DELIVERY,
	FSW_PLAN_COUNT
} FswPlanId;

/* The caller's identity, given back by fsw_leave_owner(). */
typedef struct FswOwner
{
	Oid			userid;
	int			sec_context;
} FswOwner;

extern void fsw_xact_init(void);
extern uint64 fsw_xact_counter(void);
extern void fsw_xact_counter_reset(uint64 counter);
extern void fsw_xact_on_commit(void (*called) (uint64 counter));
extern void fsw_xact_assign_id(void);
extern FswOwner fsw_enter_owner(void);
extern void fsw_leave_owner(FswOwner saved);
extern int	fsw_execute(SPIPlanPtr plan, Datum *values, const char *nulls, bool read_only,
						long count);
extern SPIPlanPtr fsw_plan(FswPlanId id, const char *sql, int nargs, const Oid *argtypes);
extern SPIPlanPtr fsw_generic_plan(FswPlanId id, const char *sql, int nargs, const Oid *argtypes);

/* ---- progress.c: how far a long call is ---- */

typedef struct FswProgress
{
	const char *call;			/* the function, without its schema */
	TimestampTz told_at;
	bool		shown;			/* in pg_stat_activity */
} FswProgress;

extern void fsw_progress_begin(FswProgress *progress, const char *call, const char *at_first);
extern bool fsw_progress_is_due(const FswProgress *progress);
extern void fsw_progress_tell(FswProgress *progress, const char *text);
extern void fsw_progress_end(FswProgress *progress);

/* ---- hmac.c: HMAC-SHA256 over the bytes received (the only OpenSSL) ---- */

#define FSW_DIGEST_LENGTH 32

typedef struct FswKey FswKey;

extern FswKey *fsw_key_create(MemoryContext mcxt, const char *secret, size_t len);
extern void fsw_key_sign(FswKey *key, const uint8 *body, size_t len, uint8 *mac);
extern bool fsw_key_is(const FswKey *key, const char *secret, size_t len);
extern bool fsw_digest_equal(const uint8 *a, const uint8 *b);
extern void fsw_sha256(const uint8 *body, size_t len, uint8 *digest);
extern bool fsw_digest_is_of(const bytea *digest, const bytea *body);
extern void fsw_sha256_prefixed(uint8 prefix, const uint8 *data, size_t len, uint8 *digest);

/* ---- hash.c: what stands for a text in stored columns and indexes ---- */

extern uint64 fsw_siphash(const uint8 *bytes, size_t length);
extern int64 fsw_hash(const char *prefix, const char *text, size_t length);

/* ---- signature.c: the header's digits ---- */

extern bool fsw_signature_parse(const char *hex, size_t len, uint8 *mac);

/* ---- json.c: bytes to jsonb, softly ---- */

extern Jsonb *fsw_json_parse(const uint8 *body, size_t len, char **reason);

#endif							/* FSW_H */
