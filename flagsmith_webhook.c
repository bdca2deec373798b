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
 *											src/ingest/verify.c, src/base/hmac.c
 *	3. UTF-8 -> jsonb -> event and time		src/decode/json.c, body.c, then
 *											the file of the event
 *	4. the key (source, event_at, digest) decides: new, or a duplicate
 *											src/ingest/delivery.c
 *	5. delivery and typed rows are stored	src/ingest/row_store.c, direct.c
 *	6. notification, where asked for		src/ingest/notify.c
 *
 * Answers go the other way.  src/answer/ has the functions.  src/read/ turns names
 * into ids, finds when a flag existed, and reads what is known of it, by index
 * alone (scan.c), all of it or what is near an instant.  src/timeline/, pure
 * functions over that evidence, makes periods of it, and says which pieces are
 * one act of the view history.
 *
 * A room uses only the rooms before it:
 *
 *	src/base/		plans, rights, guards, copies of the history, progress, OpenSSL
 *	src/decode/		pure: the bytes of a body to rows
 *	src/timeline/	pure: arrays of evidence to periods, names and acts
 *	src/read/		tables to arrays of evidence, and to lines of history
 *	src/ingest/		deliveries and pages into the tables
 *	src/answer/		the functions that answer, and draw
 *	src/maintain/	rebuilding and pruning
 *	src/evidence/	what was sealed, and that it is still so
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

/*
 * flagsmith_webhook.unknown_name: what the scalar lookups do besides returning
 * NULL where a name or an id is not known.
 */
int			fsw_unknown_name = FSW_UNKNOWN_NAME_NOTICE;

/*
 * flagsmith_webhook.progress_interval, in milliseconds: how often a long call
 * tells how far it is; 0 with every step, -1 never.
 */
int			fsw_progress_interval = 10 * 1000;

/*
 * flagsmith_webhook.secret: what verify_delivery() verifies with instead of
 * the secret that is kept.  A setting, since a parameter of a statement is
 * shown by logs; it is in no list of settings, and in no file.
 */
char	   *fsw_secret = NULL;

static const struct config_enum_entry unknown_name_options[] = {
	{"notice", FSW_UNKNOWN_NAME_NOTICE, false},
	{"ignore", FSW_UNKNOWN_NAME_IGNORE, false},
	{"error", FSW_UNKNOWN_NAME_ERROR, false},
	{NULL, 0, false}
};

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
	DefineCustomEnumVariable("flagsmith_webhook.unknown_name",
							 "Sets what scalar lookups do with an environment or a feature that is not known.",
							 "They return NULL, with a notice once for each call and snapshot, or without; or raise an error.",
							 &fsw_unknown_name,
							 FSW_UNKNOWN_NAME_NOTICE,
							 unknown_name_options,
							 PGC_USERSET,
							 0,
							 NULL, NULL, NULL);
	DefineCustomIntVariable("flagsmith_webhook.progress_interval",
							"Sets how often rebuilding, pruning, importing, readmitting, sealing and verifying tell how far they are.",
							"By a notice and in pg_stat_activity: 0 tells at every step, -1 never.",
							&fsw_progress_interval,
							10 * 1000,
							-1,
							INT_MAX,
							PGC_USERSET,
							GUC_UNIT_MS,
							NULL, NULL, NULL);
	DefineCustomStringVariable("flagsmith_webhook.secret",
							   "Sets the secret that verify_delivery() verifies with.",
							   "Empty: the one that verified the delivery when it came.",
							   &fsw_secret,
							   "",
							   PGC_USERSET,
							   GUC_NO_SHOW_ALL | GUC_NOT_IN_SAMPLE | GUC_DISALLOW_IN_FILE,
							   NULL, NULL, NULL);
	MarkGUCPrefixReserved("flagsmith_webhook");

	fsw_xact_init();
}
