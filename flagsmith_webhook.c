/*-------------------------------------------------------------------------
 *
 * flagsmith_webhook.c
 *	  Verified Flagsmith webhooks, append-only flag history, and what was live
 *	  at any instant.
 *
 * One delivery, step by step, and where each step lives:
 *
 *	1. INSERT INTO flagsmith.inbox fires fsw_inbox_insert(): the webhook must
 *	   be registered and enabled			src/ingest/inbox.c
 *	2. size limit, signature over the bytes against every live secret
 *											src/base/hmac.c
 *	3. UTF-8 -> jsonb -> event and time		src/decode/json.c, body.c, then
 *											the file of the event
 *	4. the key (source, event_at, digest) decides: new, or a duplicate
 *											src/ingest/inbox.c
 *	5. delivery and typed rows are stored	src/ingest/row_store.c
 *	6. notification, where asked for		src/ingest/inbox.c
 *
 * Answers go the other way.  src/answer/ has the functions.  src/read/ turns names
 * into ids, finds when a flag existed, and reads what is known of it, by index
 * alone (scan.c).  src/timeline/, a pure function over that evidence, makes
 * periods of it.
 *
 * A room uses only the rooms before it:
 *
 *	src/base/		plans, rights, guards, OpenSSL
 *	src/decode/		pure: the bytes of a body to rows
 *	src/timeline/	pure: arrays of evidence to periods
 *	src/read/		tables to arrays of evidence
 *	src/ingest/		deliveries and pages into the tables
 *	src/answer/		the functions that answer
 *	src/maintain/	rebuilding and pruning
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/guc.h"

#include "src/base/fsw.h"

FSW_MODULE_MAGIC;

/*
 * flagsmith_webhook.max_body_size, in bytes: what a delivery may weigh.  The
 * largest body of a Flagsmith with default limits is about half a megabyte;
 * an installation that raised FEATURE_VALUE_LIMIT can send tens of megabytes.
 * Only a superuser may change it, since it weakens a check.
 */
int			fsw_max_body_size = 4 * 1024 * 1024;

void
_PG_init(void)
{
	DefineCustomIntVariable("flagsmith_webhook.max_body_size",
							"Sets the largest webhook body that is accepted.",
							"Larger deliveries are rejected before their signature is checked.",
							&fsw_max_body_size,
							4 * 1024 * 1024,
							1024,
							256 * 1024 * 1024,
							PGC_SUSET,
							GUC_UNIT_BYTE,
							NULL, NULL, NULL);
	MarkGUCPrefixReserved("flagsmith_webhook");

	fsw_xact_init();
}
