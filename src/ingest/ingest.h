/*-------------------------------------------------------------------------
 *
 * src/ingest/ingest.h
 *	  What the files of the inbox share, a section for each file.
 *
 *-------------------------------------------------------------------------
 */
#ifndef INGEST_H
#define INGEST_H

#include "fmgr.h"
#include "utils/timestamp.h"

#include "src/base/fsw.h"
#include "src/decode/row.h"

typedef struct Secret
{
	int64		id;
	TimestampTz valid_from;
	TimestampTz valid_until;
	FswKey	   *key;
} Secret;

/*
 * A webhook with its keyed secrets.  Kept by the call site, which lives as
 * long as a statement, so that a load of many rows reads it once; valid only
 * while the snapshot and the clock of transactions are the ones it was read
 * under.
 */
typedef struct Webhook
{
	MemoryContext mcxt;
	uint64		counter;
	CommandId	curcid;
	char	   *name;
	text	   *source;
	bool		enabled;
	bool		allow_unsigned;
	bool		notify;
	int64		rejected_limit;
	bool		has_environment;
	int64		environment_id;
	Interval   *max_spool_age;	/* NULL: take what is claimed */
	int			nsecrets;
	int			max_secrets;
	Secret	   *secrets;
} Webhook;

/* What the call site of the trigger keeps. */
typedef struct InboxState
{
	MemoryContext webhook_mcxt;
	MemoryContext delivery_mcxt;
	Webhook    *webhook;
} InboxState;

/* One request as it came, and what becomes of it. */
typedef struct Request
{
	text	   *webhook;
	text	   *signature;		/* NULL if missing */
	Datum		body;			/* toasted or not */
	bool		has_claim;
	TimestampTz claimed_at;
	bool		readmit;		/* from the ring: dated by us, never kept anew */

	const char *outcome;
	char	   *reason;
	bool		has_id;
	int64		delivery_id;
} Request;

/* inbox.c */
extern char *fsw_sqlstate_reason(int sqlerrcode, const char *text);
extern void fsw_admit(InboxState *state, Request *request);
extern InboxState *fsw_inbox_state(FunctionCallInfo fcinfo);

/* event.c */
extern void fsw_record_secret_added(text *webhook, int64 id, TimestampTz valid_from,
									TimestampTz valid_until);
extern void fsw_record_arrival(text *webhook, int64 repeat, TimestampTz arrived_at);

/* webhook.c */
pg_noreturn extern void fsw_raise_no_webhook(const text *name);
extern Webhook *fsw_find_webhook(InboxState *state, text *name);

/* verify.c */
extern TimestampTz fsw_arrival(const Request *request, const Webhook *webhook, TimestampTz now);
extern bool fsw_verify(Request *request, const Webhook *webhook, TimestampTz received_at,
					   bytea **body, int64 *secret_id);
extern bool fsw_event_is_foreign(const FswEvent *event, int64 environment_id);
extern char *fsw_other_environment_reason(void);
extern bool fsw_may_speak(Request *request, const Webhook *webhook, const FswEvent *event);

/* rejected.c */
extern void fsw_keep_rejected(const Request *request, const Webhook *webhook,
							  TimestampTz received_at, TimestampTz now);
extern void fsw_count_rejected(text *webhook, const char *code, const char *outcome, int64 count,
							   int64 bytes, TimestampTz now);

/* notify.c */
extern char *fsw_shown_type(const char *event_type);
extern void fsw_warn_unrecognized(const char *event_type, int64 delivery_id, bool by_shape);
extern void fsw_notify_changes(const FswEvent *event, text *source);

#endif							/* INGEST_H */
