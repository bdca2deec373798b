/*-------------------------------------------------------------------------
 *
 * src/ingest/webhook.c
 *	  A webhook with its keyed secrets, as a statement sees it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_am_d.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type_d.h"
#include "storage/bufmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#include "src/base/array.h"
#include "src/base/fsw.h"
#include "src/decode/row.h"
#include "src/ingest/ingest.h"

void
fsw_raise_no_webhook(const text *name)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("webhook \"%s\" does not exist", text_to_cstring(name)),
			 errhint("Register it with flagsmith.add_webhook()."),
			 errhidestmt(true)));
}

#define WEBHOOK_COLUMNS(X, T) \
	X(T, name, TEXTOID) X(T, source, TEXTOID) X(T, enabled, BOOLOID) X(T, allow_unsigned, BOOLOID) \
	X(T, notify, BOOLOID) X(T, rejected_limit, INT8OID) X(T, max_spool_age, INTERVALOID) \
	X(T, environment_id, INT8OID) X(T, created_at, TIMESTAMPTZOID) X(T, removed_at, TIMESTAMPTZOID)

#define SECRET_COLUMNS(X, T) \
	X(T, id, INT8OID) X(T, webhook, TEXTOID) X(T, secret, TEXTOID) X(T, valid_from, TIMESTAMPTZOID) \
	X(T, valid_until, TIMESTAMPTZOID) X(T, created_at, TIMESTAMPTZOID) X(T, ended_at, TIMESTAMPTZOID)

#define READ_ENUM(T, column, type) T##_##column,
#define READ_NAME(T, column, type) #column,
#define READ_TYPE(T, column, type) type,
enum
{
	WEBHOOK_COLUMNS(READ_ENUM, HOOK) HOOK_COUNT
};
enum
{
	SECRET_COLUMNS(READ_ENUM, SECRET) SECRET_COUNT
};
static const char *const webhook_columns[] = {WEBHOOK_COLUMNS(READ_NAME, HOOK)};
static const Oid webhook_types[] = {WEBHOOK_COLUMNS(READ_TYPE, HOOK)};
static const char *const secret_columns[] = {SECRET_COLUMNS(READ_NAME, SECRET)};
static const Oid secret_types[] = {SECRET_COLUMNS(READ_TYPE, SECRET)};

/* The columns of one row, in the order of its list. */
typedef struct Row
{
	Datum		values[Max((int) HOOK_COUNT, (int) SECRET_COUNT)];
	bool		nulls[Max((int) HOOK_COUNT, (int) SECRET_COUNT)];
} Row;

/* A table of a few pages, read from one end to the other. */
typedef struct SmallTable
{
	Relation	rel;
	SysScanDesc scan;
	int			ncolumns;
	AttrNumber	attnums[Max((int) HOOK_COUNT, (int) SECRET_COUNT)];
} SmallTable;

/* A table of more pages is read by a statement, which has an index. */
#define SMALL_TABLE 8

static bool
is_name(Datum value, const text *name)
{
	const text *other = (text *) DatumGetPointer(value);

	return VARSIZE_ANY_EXHDR(other) == VARSIZE_ANY_EXHDR(name) &&
		memcmp(VARDATA_ANY(other), VARDATA_ANY(name), VARSIZE_ANY_EXHDR(name)) == 0;
}

static AttrNumber
find_column(TupleDesc desc, const char *name, Oid type)
{
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(desc, i);

		if (!attribute->attisdropped && strcmp(NameStr(attribute->attname), name) == 0)
			return attribute->atttypid == type && attribute->attgenerated == '\0' ?
				attribute->attnum : InvalidAttrNumber;
	}
	return InvalidAttrNumber;
}

/*
 * Begin to read a table under the active snapshot; false where it is not small
 * or not as it was made.
 */
static bool
begin_small_table(SmallTable *table, const char *name, const char *const *columns, const Oid *types, int ncolumns)
{
	Oid			relid = get_relname_relid(name, get_namespace_oid("flagsmith", false));

	table->rel = OidIsValid(relid) ? try_relation_open(relid, AccessShareLock) : NULL;
	if (table->rel == NULL)
		return false;
	table->ncolumns = ncolumns;
	for (int i = 0; i < ncolumns; i++)
	{
		table->attnums[i] = find_column(RelationGetDescr(table->rel), columns[i], types[i]);
		if (table->attnums[i] == InvalidAttrNumber)
			ncolumns = 0;
	}
	if (ncolumns > 0 && table->rel->rd_rel->relkind == RELKIND_RELATION &&
		table->rel->rd_rel->relam == HEAP_TABLE_AM_OID && !table->rel->rd_rel->relrowsecurity &&
		!fsw_is_distributed(relid) && RelationGetNumberOfBlocks(table->rel) <= SMALL_TABLE)
	{
		table->scan = systable_beginscan(table->rel, InvalidOid, false, GetActiveSnapshot(), 0, NULL);
		return true;
	}
	relation_close(table->rel, NoLock);
	return false;
}

static void
end_small_table(SmallTable *table)
{
	systable_endscan(table->scan);
	relation_close(table->rel, NoLock);
}

static bool
next_small_row(SmallTable *table, Row *row)
{
	HeapTuple	tuple = systable_getnext(table->scan);

	for (int i = 0; tuple != NULL && i < table->ncolumns; i++)
		row->values[i] = heap_getattr(tuple, table->attnums[i], RelationGetDescr(table->rel), &row->nulls[i]);
	return tuple != NULL;
}

/* A webhook of a row, without its secrets. */
static Webhook *
make_webhook(MemoryContext mcxt, const text *name, const Row *row)
{
	MemoryContext old = MemoryContextSwitchTo(mcxt);
	Webhook    *webhook = palloc0(sizeof(Webhook));

	webhook->mcxt = mcxt;
	webhook->name = text_to_cstring(name);
	webhook->source = DatumGetTextPCopy(row->values[HOOK_source]);
	webhook->enabled = DatumGetBool(row->values[HOOK_enabled]);
	webhook->allow_unsigned = DatumGetBool(row->values[HOOK_allow_unsigned]);
	webhook->notify = DatumGetBool(row->values[HOOK_notify]);
	webhook->rejected_limit = DatumGetInt64(row->values[HOOK_rejected_limit]);
	if (!row->nulls[HOOK_max_spool_age])
	{
		webhook->max_spool_age = palloc(sizeof(Interval));
		*webhook->max_spool_age = *DatumGetIntervalP(row->values[HOOK_max_spool_age]);
	}
	webhook->has_environment = !row->nulls[HOOK_environment_id];
	webhook->environment_id = webhook->has_environment ? DatumGetInt64(row->values[HOOK_environment_id]) : 0;
	MemoryContextSwitchTo(old);
	return webhook;
}

/*
 * Key a secret of a webhook that was registered at that time.  The newest
 * stands first.
 */
static void
key_secret(Webhook *webhook, const Row *row, TimestampTz registered_at)
{
	MemoryContext old;
	text	   *plain;
	Secret		secret;
	int			place = webhook->nsecrets;

	/* one that was ended, or that belongs to an earlier registration, is none */
	if (row->nulls[SECRET_id] || row->nulls[SECRET_secret] || row->nulls[SECRET_created_at] ||
		!row->nulls[SECRET_ended_at] || DatumGetTimestampTz(row->values[SECRET_created_at]) < registered_at)
		return;
	plain = DatumGetTextPCopy(row->values[SECRET_secret]);
	if (VARSIZE_ANY_EXHDR(plain) == 0)
		return;

	secret.id = DatumGetInt64(row->values[SECRET_id]);
	secret.valid_from = row->nulls[SECRET_valid_from] ? DT_NOBEGIN : DatumGetTimestampTz(row->values[SECRET_valid_from]);
	secret.valid_until = row->nulls[SECRET_valid_until] ? DT_NOEND : DatumGetTimestampTz(row->values[SECRET_valid_until]);
	secret.key = fsw_key_create(webhook->mcxt, VARDATA_ANY(plain), VARSIZE_ANY_EXHDR(plain));
	explicit_bzero(VARDATA_ANY(plain), VARSIZE_ANY_EXHDR(plain));

	old = MemoryContextSwitchTo(webhook->mcxt);
	FSW_PUSH(webhook->secrets, webhook->nsecrets, webhook->max_secrets) = secret;
	MemoryContextSwitchTo(old);
	for (; place > 0 && webhook->secrets[place - 1].id < secret.id; place--)
		webhook->secrets[place] = webhook->secrets[place - 1];
	webhook->secrets[place] = secret;
}

/*
 * Read a webhook under the active snapshot, both tables from end to end, which
 * costs a tenth of a statement; *possible says whether that could be.
 */
static Webhook *
read_small(MemoryContext mcxt, text *name, bool *possible)
{
	SmallTable	table;
	Row			row;
	Webhook    *webhook = NULL;
	TimestampTz registered_at = 0;

	*possible = begin_small_table(&table, "webhook", webhook_columns, webhook_types, HOOK_COUNT);
	if (!*possible)
		return NULL;
	while (webhook == NULL && next_small_row(&table, &row))
	{
		if (!row.nulls[HOOK_removed_at] || !is_name(row.values[HOOK_name], name))
			continue;
		webhook = make_webhook(mcxt, name, &row);
		registered_at = DatumGetTimestampTz(row.values[HOOK_created_at]);
	}
	end_small_table(&table);
	if (webhook == NULL)
		return NULL;

	*possible = begin_small_table(&table, "webhook_secret", secret_columns, secret_types, SECRET_COUNT);
	if (!*possible)
		return NULL;
	while (next_small_row(&table, &row))
	{
		if (!row.nulls[SECRET_webhook] && is_name(row.values[SECRET_webhook], name))
			key_secret(webhook, &row, registered_at);
	}
	end_small_table(&table);
	return webhook;
}

/* A row of what a statement returned, from its first column on. */
static void
get_row(Row *row, uint64 number, int first, int count)
{
	for (int i = 0; i < count; i++)
		row->values[i] = SPI_getbinval(SPI_tuptable->vals[number], SPI_tuptable->tupdesc, first + i, &row->nulls[i]);
}

/* The same by a statement; NULL if there is none of that name. */
static Webhook *
read_by_statement(MemoryContext mcxt, text *name)
{
	static const Oid types[] = {TEXTOID};
	Datum		args[] = {PointerGetDatum(name)};
	Webhook    *webhook = NULL;
	Row			row;
	TimestampTz registered_at = 0;

	fsw_execute(fsw_plan(FSW_PLAN_WEBHOOK,
						 "SELECT w.name, w.source, w.enabled, w.allow_unsigned, w.notify, w.rejected_limit, w.max_spool_age,"
						 " w.environment_id, w.created_at, w.removed_at,"
						 " s.id, s.webhook, s.secret, s.valid_from, s.valid_until, s.created_at, s.ended_at"
						 " FROM flagsmith.webhook w LEFT JOIN flagsmith.webhook_secret s ON s.webhook = w.name"
						 " WHERE w.name = $1 AND w.removed_at IS NULL",
						 1, types),
				args, NULL, false, 0);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		if (webhook == NULL)
		{
			get_row(&row, i, 1, HOOK_COUNT);
			webhook = make_webhook(mcxt, name, &row);
			registered_at = DatumGetTimestampTz(row.values[HOOK_created_at]);
		}
		/* of a webhook without a secret, the only row has none */
		get_row(&row, i, HOOK_COUNT + 1, SECRET_COUNT);
		key_secret(webhook, &row, registered_at);
		/* what the statement returned is our own copy */
		if (!row.nulls[SECRET_secret])
			explicit_bzero(VARDATA_ANY(DatumGetPointer(row.values[SECRET_secret])),
						   VARSIZE_ANY_EXHDR(DatumGetPointer(row.values[SECRET_secret])));
	}
	SPI_freetuptable(SPI_tuptable);
	return webhook;
}

/*
 * Read a webhook and key its secrets, whatever was committed up to now.
 * Raises 42704 if there is none of that name.  SPI must be connected, with the
 * owner's rights.
 */
static Webhook *
read_webhook(MemoryContext mcxt, text *name)
{
	Webhook    *webhook;
	bool		possible;

	CommandCounterIncrement();
	PushActiveSnapshot(GetTransactionSnapshot());
	webhook = read_small(mcxt, name, &possible);
	PopActiveSnapshot();
	if (!possible)
	{
		MemoryContextReset(mcxt);
		webhook = read_by_statement(mcxt, name);
	}
	if (webhook == NULL)
		fsw_raise_no_webhook(name);
	return webhook;
}

/* The webhook of a request, from what the call site keeps if that still holds. */
Webhook *
fsw_find_webhook(InboxState *state, text *name)
{
	Webhook    *webhook = state->webhook;
	CommandId	curcid = GetActiveSnapshot()->curcid;

	if (webhook == NULL || webhook->counter != fsw_xact_counter() ||
		webhook->curcid != curcid ||
		strlen(webhook->name) != VARSIZE_ANY_EXHDR(name) ||
		memcmp(webhook->name, VARDATA_ANY(name), VARSIZE_ANY_EXHDR(name)) != 0)
	{
		state->webhook = NULL;
		MemoryContextReset(state->webhook_mcxt);
		webhook = read_webhook(state->webhook_mcxt, name);
		webhook->counter = fsw_xact_counter();
		webhook->curcid = curcid;
		state->webhook = webhook;
	}
	if (!webhook->enabled)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("webhook \"%s\" is disabled", webhook->name),
				 errhidestmt(true)));
	return webhook;
}
