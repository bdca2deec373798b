/*-------------------------------------------------------------------------
 *
 * flagsmith_webhook.c
 *	  Verified Flagsmith webhooks, append-only flag history, and what was live
 *	  at any instant.
 *
 * One delivery, step by step, and where each step lives:
 *
 *	1. INSERT INTO flagsmith.inbox fires	src/inbox.c (schema/inbox.sql)
 *	   fsw_inbox_insert(): the webhook must be registered and enabled
 *	2. size limit, signature over the		src/signature.c
 *	   bytes against every live secret
 *	3. UTF-8 -> jsonb -> event and time		src/json.c, src/payload.c over
 *											src/field.c; log messages in
 *											src/message.c
 *	4. the key (source, event_at, digest)	src/inbox.c
 *	   decides: new, or a duplicate
 *	5. delivery and typed rows are stored	src/store.c, plans in src/plan.c
 *	6. notification, where asked for		src/inbox.c
 *
 * Answers go the other way: src/lookup.c and src/state.c are the doors,
 * src/resolve.c turns names into ids, src/life.c finds when a flag existed and
 * how it is told, src/evidence.c and src/touch.c read what is known of it, all
 * by way of src/scan.c, and src/timeline.c with src/version.c, a pure function
 * over that evidence, makes periods of it; src/steps.c is the short way to the
 * mere states.  Pages of the REST API come in
 * through src/import.c and src/page.c; src/rebuild.c and src/prune.c look
 * after what is stored.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "utils/guc.h"

#include "src/flagsmith_webhook.h"

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
