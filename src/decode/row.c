/*-------------------------------------------------------------------------
 *
 * src/decode/row.c
 *	  Rows of the typed tables while they are made, and the names beside them.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/builtins.h"

#include "src/base/fsw.h"
#include "src/decode/field.h"

static const char *const audit_columns[] = {FSW_AUDIT_LOG_COLUMNS(FSW_COLUMN_NAME, AUDIT)};
static const Oid audit_types[] = {FSW_AUDIT_LOG_COLUMNS(FSW_COLUMN_TYPE, AUDIT)};
static const char *const flag_columns[] = {FSW_FLAG_CHANGE_COLUMNS(FSW_COLUMN_NAME, FLAG)};
static const Oid flag_types[] = {FSW_FLAG_CHANGE_COLUMNS(FSW_COLUMN_TYPE, FLAG)};
static const char *const effect_columns[] = {FSW_AUDIT_EFFECT_COLUMNS(FSW_COLUMN_NAME, EFFECT)};
static const Oid effect_types[] = {FSW_AUDIT_EFFECT_COLUMNS(FSW_COLUMN_TYPE, EFFECT)};
static const char *const version_columns[] = {FSW_VERSION_PUBLISHED_COLUMNS(FSW_COLUMN_NAME, VERSION)};
static const Oid version_types[] = {FSW_VERSION_PUBLISHED_COLUMNS(FSW_COLUMN_TYPE, VERSION)};

const FswTable fsw_tables[FSW_TABLE_COUNT] = {
	[FSW_TABLE_AUDIT_LOG] =
	{"audit_log", FSW_PLAN_AUDIT_LOG, AUDIT_COUNT, audit_columns, audit_types},
	[FSW_TABLE_FLAG_CHANGE] =
	{"flag_change", FSW_PLAN_FLAG_CHANGE, FLAG_COUNT, flag_columns, flag_types},
	[FSW_TABLE_AUDIT_EFFECT] =
	{"audit_effect", FSW_PLAN_AUDIT_EFFECT, EFFECT_COUNT, effect_columns, effect_types},
	[FSW_TABLE_VERSION_PUBLISHED] =
	{"version_published", FSW_PLAN_VERSION, VERSION_COUNT, version_columns, version_types},
};

/* fsw_append_columns() - what a statement reads or writes of a typed table, each name behind a prefix. */
void
fsw_append_columns(StringInfo sql, const FswTable *table, const char *prefix)
{
	for (int i = 0; i < table->ncolumns; i++)
		appendStringInfo(sql, "%s%s%s", i > 0 ? ", " : "", prefix, table->columns[i]);
}

FswRow *
fsw_row_create(FswTableId id, int ordinal)
{
	FswRow	   *row = palloc(sizeof(FswRow));

	row->table = &fsw_tables[id];
	row->ordinal = ordinal;
	row->values = palloc0(row->table->ncolumns * sizeof(Datum));
	row->nulls = palloc(row->table->ncolumns * sizeof(bool));
	memset(row->nulls, true, row->table->ncolumns * sizeof(bool));
	return row;
}

void
fsw_row_set(FswRow *row, int column, Datum value)
{
	row->values[column] = value;
	row->nulls[column] = false;
}

void
fsw_row_set_cstring(FswRow *row, int column, const char *value)
{
	if (value != NULL)
		fsw_row_set(row, column, CStringGetTextDatum(value));
}

/*
 * A name that a body shows; its thing existed at the row's own time.
 * project_column is -1 where the row does not tell the project.
 */
FswName *
fsw_add_name(FswEvent *event, const char *kind, const char *id, Datum name,
			 const FswRow *row, int project_column)
{
	FswName    *result = palloc0(sizeof(FswName));

	result->kind = kind;
	result->id = id;
	result->name = DatumGetTextPP(name);
	if (project_column >= 0 && !row->nulls[project_column])
	{
		result->has_project = true;
		result->project_id = DatumGetInt64(row->values[project_column]);
	}
	if (row->table->types[ROW_own] == TIMESTAMPTZOID && !row->nulls[ROW_own])
	{
		result->has_existed = true;
		result->existed_at = DatumGetTimestampTz(row->values[ROW_own]);
	}
	event->names = lappend(event->names, result);
	return result;
}

/* The name in one column for the id in another, where a row has both; else NULL. */
FswName *
fsw_add_row_name(FswEvent *event, const char *kind, const FswRow *row,
				 int id_column, int name_column, int project_column)
{
	if (row->nulls[id_column] || row->nulls[name_column])
		return NULL;
	return fsw_add_name(event, kind, psprintf(INT64_FORMAT, DatumGetInt64(row->values[id_column])),
						row->values[name_column], row, project_column);
}

bool
fsw_column_is(const FswRow *row, int column, const char *expected)
{
	return !row->nulls[column] &&
		strcmp(TextDatumGetCString(row->values[column]), expected) == 0;
}

bool
fsw_column_is_one(const FswRow *row, int column)
{
	return row->nulls[column] || DatumGetInt64(row->values[column]) == 1;
}
