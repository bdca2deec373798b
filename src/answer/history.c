/*-------------------------------------------------------------------------
 *
 * src/answer/history.c
 *	  The functions behind the view history: what one line says.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/detoast.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/tuplestore.h"

#include "src/answer/history.h"
#include "src/answer/kept.h"
#include "src/base/fsw.h"
#include "src/decode/row.h"
#include "src/read/history.h"

PG_FUNCTION_INFO_V1(fsw_history_line);
PG_FUNCTION_INFO_V1(fsw_history_person);
PG_FUNCTION_INFO_V1(fsw_history_feature);
PG_FUNCTION_INFO_V1(fsw_long);

/* Just before an act, what it changed was still the old. */
#define BEFORE 1

/* The columns of _history_line(), in their order. */
enum
{
	LINE_actor_type,
	LINE_action,
	LINE_object,
	LINE_change_request,
	LINE_source,
	LINE_project_id,
	LINE_project,
	LINE_environment_id,
	LINE_feature_id,
	LINE_segment_id,
	LINE_segment,
	LINE_identity_identifier,
	LINE_enabled,
	LINE_value,
	LINE_variants,
	LINE_log,
	LINE_audit_id,
	LINE_act,
	LINE_delivery_ids,
	LINE_before_at,
	LINE_before_environment_id,
	LINE_before,
	LINE_COUNT
};

/* A line in the making: the pieces, what of them is shown, and the columns so far. */
typedef struct Showing
{
	FswKept    *kept;
	FswReader  *reader;			/* its reader */
	FswLine    *line;
	const FswPieceEntry *entry; /* the first; NULL if there is none */
	const FswPieceEvent *event; /* whose state is shown; likewise */
	const FswPieceList *list;	/* the first */
	bool		of_version;
	Datum		values[LINE_COUNT];
	bool		nulls[LINE_COUNT];
} Showing;

static void
show(Showing *showing, int column, Datum value)
{
	showing->values[column] = value;
	showing->nulls[column] = false;
}

static void
show_text(Showing *showing, int column, const text *value)
{
	if (value != NULL)
		show(showing, column, PointerGetDatum(value));
}

static void
show_words(Showing *showing, int column, const char *words)
{
	show(showing, column, CStringGetTextDatum(words));
}

static bool
is_shown(const Showing *showing, int column)
{
	return !showing->nulls[column];
}

static void
show_id(Showing *showing, int column, bool has_value, int64 value)
{
	if (has_value)
		show(showing, column, Int64GetDatum(value));
}

static bool
is_word(const text *content, const char *word)
{
	return content != NULL && VARSIZE_ANY_EXHDR(content) == strlen(word) &&
		memcmp(VARDATA_ANY(content), word, strlen(word)) == 0;
}

/* A column of the row that a scan found, unless that is NULL or another value is shown already. */
static bool
has_more(const Showing *showing, int column, FswScan *scan, int from, Datum *value)
{
	bool		isnull;

	if (is_shown(showing, column))
		return false;
	*value = fsw_scan_column(scan, from, &isnull);
	return !isnull;
}

/* It is shown as it is. */
static void
show_column(Showing *showing, int column, FswScan *scan, int from)
{
	Datum		value;

	if (has_more(showing, column, scan, from, &value))
		show(showing, column, value);
}

/* A text or jsonb likewise, in memory of its own. */
static void
show_varlena(Showing *showing, int column, FswScan *scan, int from)
{
	Datum		value;

	if (has_more(showing, column, scan, from, &value))
		show(showing, column, PointerGetDatum(PG_DETOAST_DATUM_COPY(value)));
}

/* ---- what is shown ---- */

/* Are the events of one environment? */
static bool
is_of_one_environment(const FswLine *line)
{
	for (int i = 1; i < line->nevents; i++)
	{
		if (line->events[i]->has_environment != line->events[0]->has_environment ||
			line->events[i]->environment_id != line->events[0]->environment_id)
			return false;
	}
	return true;
}

static void
choose_shown(Showing *showing)
{
	FswLine    *line = showing->line;

	showing->event = fsw_history_shown(showing->reader, line);
	showing->entry = line->nentries > 0 ? line->entries[0] : NULL;
	showing->list = line->nlists > 0 ? line->lists[0] : NULL;
	showing->of_version = showing->list != NULL || (showing->entry != NULL && showing->entry->is_version);
}

/* ---- columns ---- */

/* What the first entry says. */
static void
show_entry(Showing *showing)
{
	const FswPieceEntry *entry = showing->entry;

	show_text(showing, LINE_action, entry->action);
	show_text(showing, LINE_object, entry->object);
	show_text(showing, LINE_change_request, entry->change_request);
	show_id(showing, LINE_project_id, entry->has_project, entry->project_id);
	show_text(showing, LINE_project, entry->project);
	show_id(showing, LINE_environment_id, entry->has_environment, entry->environment_id);
	show_id(showing, LINE_audit_id, entry->has_audit_id, entry->audit_id);
	/* of an ambiguous message, what its id tells or the event says counts */
	if (entry->misread)
	{
		show_text(showing, LINE_segment, entry->true_segment);
		show_text(showing, LINE_identity_identifier, entry->true_identity);
		show_id(showing, LINE_feature_id, entry->effect.has_feature_id, entry->effect.feature_id);
	}
	else if (showing->event == NULL || fsw_same_or_null(entry->feature, showing->event->feature))
	{
		show_text(showing, LINE_segment, entry->segment);
		show_text(showing, LINE_identity_identifier, entry->identity);
	}
	if (!is_shown(showing, LINE_feature_id))
		show_id(showing, LINE_feature_id, entry->has_related && is_word(entry->related_type, "FEATURE"), entry->related_id);
	show_id(showing, LINE_segment_id, entry->has_related && is_word(entry->related_type, "SEGMENT"), entry->related_id);
	for (int i = 0; i < showing->line->ncommits; i++)
	{
		if (!is_shown(showing, LINE_change_request))
			show_text(showing, LINE_change_request, showing->line->commits[i]->change_request);
	}
}

/* What the event says whose state is shown. */
static void
show_event(Showing *showing)
{
	const FswPieceEvent *event = showing->event;
	FswScan    *scan = fsw_piece_row(showing->reader, event);

	show_column(showing, LINE_project_id, scan, FLAG_project_id);
	show_varlena(showing, LINE_project, scan, FLAG_project);
	if (showing->entry == NULL)
		show_column(showing, LINE_environment_id, scan, FLAG_environment_id);
	show_column(showing, LINE_feature_id, scan, FLAG_feature_id);
	show_column(showing, LINE_segment_id, scan, FLAG_segment_id);
	show_varlena(showing, LINE_segment, scan, FLAG_segment);
	show_varlena(showing, LINE_identity_identifier, scan, FLAG_identity_identifier);
}

/* Whether a state that the timeline has is, but for variants, the one that is shown. */
static bool
is_shown_but_for_variants(const Showing *showing, const FswLineState *state)
{
	bool		no_value = DatumGetPointer(state->value) == NULL;

	if (DatumGetBool(showing->values[LINE_enabled]) != state->enabled || showing->nulls[LINE_value] != no_value)
		return false;
	return no_value || DatumGetBool(DirectFunctionCall2(jsonb_eq, showing->values[LINE_value], state->value));
}

/* The state after: the event's, unless that may be of later; else the timeline's, as far as it is needed. */
static void
show_after(Showing *showing)
{
	FswScan    *scan;
	FswAfter	after;

	/* the feature as a whole has no state */
	if (!showing->event->has_state || (showing->entry != NULL && !showing->entry->has_environment))
		return;
	after = fsw_history_after(showing->kept, showing->line, showing->event, showing->of_version,
							  showing->entry != NULL && is_word(showing->entry->action, "created"));
	if (after.doubt == FSW_AFTER_STATE && !after.known)
		return;
	if (after.known && after.doubt != FSW_AFTER_VARIANTS)
	{
		show(showing, LINE_enabled, BoolGetDatum(after.state.enabled));
		if (DatumGetPointer(after.state.value) != NULL)
			show(showing, LINE_value, after.state.value);
		show(showing, LINE_variants, after.state.variants);
		return;
	}
	scan = fsw_piece_row(showing->reader, showing->event);
	show_column(showing, LINE_enabled, scan, FLAG_enabled);
	show_varlena(showing, LINE_value, scan, FLAG_value);
	if (!is_shown(showing, LINE_enabled))
		return;
	if (after.doubt != FSW_AFTER_VARIANTS)
		show(showing, LINE_variants, fsw_variants_of(scan, FLAG_variants));
	else if (after.known && is_shown_but_for_variants(showing, &after.state))
		show(showing, LINE_variants, after.state.variants);
}

/* What is done, of lines without an entry that says it. */
static void
show_action(Showing *showing)
{
	const FswPieceEvent *event = showing->event;
	bool		of_default = event != NULL && !event->has_segment && event->identity == NULL;

	if (!is_shown(showing, LINE_action))
	{
		if (event != NULL && event->deleted)
			show_words(showing, LINE_action, "deleted");
		else if (showing->list != NULL)
			show_words(showing, LINE_action, "published");
		else if (event != NULL)
			show_words(showing, LINE_action, of_default ? "updated" : "set");
	}
	if (!is_shown(showing, LINE_object))
	{
		if (showing->list != NULL)
			show_words(showing, LINE_object, "version");
		else if (event != NULL)
			show_words(showing, LINE_object, event->identity != NULL ? "identity override" :
					   event->has_segment ? "segment override" : "feature state");
	}
}

/* Does a flag event's author look like an e-mail address? */
static bool
is_email(const text *name)
{
	const char *start = VARDATA_ANY(name);
	int			length = VARSIZE_ANY_EXHDR(name);
	const char *at = memchr(start, '@', length);

	if (at == NULL || at == start || at == start + length - 1 ||
		memchr(at + 1, '@', start + length - at - 1) != NULL)
		return false;
	for (int i = 0; i < length; i++)
	{
		if (isspace((unsigned char) start[i]))
			return false;
	}
	return true;
}

/* Is an entry without author that of an API key?  Only a request told at once that needs one. */
static bool
is_of_key(const FswPieceEntry *entry)
{
	static const char *const types[] = {"FEATURE", "FEATURE_STATE", "SEGMENT", "ENVIRONMENT", "EF_VERSION", "CHANGE_REQUEST"};

	if (entry->imported || !entry->system_known || entry->by_system)
		return false;
	for (int i = 0; i < (int) lengthof(types); i++)
	{
		if (is_word(entry->related_type, types[i]))
			return true;
	}
	return false;
}

/* Is it known who committed the change request? */
static bool
is_committed(const FswLine *line)
{
	for (int i = 0; i < line->ncommits; i++)
	{
		if (line->commits[i]->author != NULL)
			return true;
	}
	return false;
}

/* Who did it, as far as it is known what that is. */
static const char *
actor_type(Showing *showing)
{
	const FswPieceEntry *entry = showing->entry;
	const FswPieceEvent *event = showing->event;

	if ((entry != NULL && entry->by_system && is_committed(showing->line)) || (entry != NULL && entry->author != NULL) ||
		(showing->line->kind == FSW_PIECE_LIST && showing->list->publisher != NULL))
		return "user";
	if (entry != NULL && entry->by_system)
		return "system";
	/* of a deletion, the event names the last editor */
	if (event != NULL && !event->deleted && event->changed_by != NULL && VARSIZE_ANY_EXHDR(event->changed_by) > 0)
		return is_email(event->changed_by) ? "user" : "api key";
	return entry != NULL && is_of_key(entry) ? "api key" : "unknown";
}

/* ---- ids ---- */

/* The ids that nothing told: of what bore the name then. */
static void
show_ids(Showing *showing)
{
	const FswPieceEntry *entry = showing->entry;
	const FswPieceList *list = showing->list;
	const text *feature = entry == NULL ? NULL : entry->misread ? entry->true_feature : entry->feature;
	int64		at = entry != NULL ? entry->at : showing->event != NULL ? showing->event->at : 0;
	Datum		source = showing->values[LINE_source];
	int64		id;

	if (list != NULL && list->has_feature && !is_shown(showing, LINE_feature_id))
		show(showing, LINE_feature_id, Int64GetDatum(list->feature_id));
	if (entry != NULL && entry->effect.has_feature_id && !is_shown(showing, LINE_feature_id))
		show(showing, LINE_feature_id, Int64GetDatum(entry->effect.feature_id));
	if (entry == NULL && showing->event == NULL)
	{
		FswNames	names;
		char	   *feature_id = psprintf(INT64_FORMAT, list->feature_id);

		id = fsw_piece_list_environment(showing->reader, list);
		if (id >= 0)
			show(showing, LINE_environment_id, Int64GetDatum(id));
		fsw_names_read(showing->reader, source, "feature", feature_id, &names);
		if (list->has_feature && names.has_project)
			show(showing, LINE_project_id, Int64GetDatum(names.project_id));
	}
	if (!is_shown(showing, LINE_project_id))
		return;
	if (!is_shown(showing, LINE_feature_id) && feature != NULL &&
		fsw_id_of_name(showing->reader, source, "feature", feature,
					   DatumGetInt64(showing->values[LINE_project_id]), at, &id))
		show(showing, LINE_feature_id, Int64GetDatum(id));
	if (!is_shown(showing, LINE_segment_id) && is_shown(showing, LINE_segment) &&
		fsw_id_of_name(showing->reader, source, "segment", DatumGetTextPP(showing->values[LINE_segment]),
					   DatumGetInt64(showing->values[LINE_project_id]), at, &id))
		show(showing, LINE_segment_id, Int64GetDatum(id));
}

/* ---- what was there before ---- */

/*
 * Of a version, its event tells the state before, and may be trusted.  Without
 * it an override is new: an object without members.  Not so the default, which
 * is never new; false where the timeline has to know.
 */
static bool
show_told_before(Showing *showing)
{
	FswJsonbBuild build = {0};
	Jsonb	   *state;
	bool		isnull;
	const FswPieceEvent *event = showing->event;
	FswScan    *scan = event == NULL ? NULL : fsw_piece_row(showing->reader, event);
	bool		told = scan != NULL && !fsw_scan_is_null(scan, FLAG_enabled_before);

	if (event != NULL && !told && !event->has_segment && event->identity == NULL)
		return false;
	fsw_jsonb_push(&build, WJB_BEGIN_OBJECT, NULL);
	if (told)
	{
		fsw_push_bool(&build, "enabled", fsw_scan_bool(scan, FLAG_enabled_before));
		if (!fsw_scan_is_null(scan, FLAG_value_before))
			fsw_push_jsonb(&build, "value", fsw_scan_column(scan, FLAG_value_before, &isnull));
		fsw_push_jsonb(&build, "variants", fsw_variants_of(scan, FLAG_variants_before));
	}
	fsw_jsonb_push(&build, WJB_END_OBJECT, NULL);
	state = JsonbValueToJsonb(build.result);
	show(showing, LINE_before, CStringGetTextDatum(JsonbToCString(NULL, &state->root, VARSIZE(state))));
	return true;
}

/* Up to when to look for the state before, or the state itself. */
static void
show_before(Showing *showing)
{
	const FswLine *line = showing->line;
	int64		at = FSW_FOREVER;

	if (showing->of_version && show_told_before(showing))
		return;
	if (showing->entry != NULL)
		at = showing->entry->at;

	/*
	 * the time of a draft, or of the last edit before a deletion, says
	 * nothing
	 */
	for (int i = 0; i < line->nevents && (showing->entry == NULL || !showing->entry->by_system); i++)
		at = Min(at, fsw_history_effect(line, line->events[i]));
	if (at == FSW_FOREVER)
		return;
	show(showing, LINE_before_at, TimestampTzGetDatum(fsw_after(at, -BEFORE)));

	/*
	 * of a feature that was deleted as a whole, what was there is known where
	 * that was one flag
	 */
	if (is_shown(showing, LINE_environment_id))
		show(showing, LINE_before_environment_id, showing->values[LINE_environment_id]);
	else if (showing->event != NULL && is_of_one_environment(line))
		show_id(showing, LINE_before_environment_id, showing->event->has_environment, showing->event->environment_id);
}

/* ---- the functions ---- */

static void
show_line(Showing *showing)
{
	text	   *act;

	memset(showing->nulls, true, sizeof(showing->nulls));
	choose_shown(showing);
	show_text(showing, LINE_source, showing->entry != NULL ? showing->entry->source :
			  showing->event != NULL ? showing->event->source : showing->list->source);
	if (showing->entry != NULL)
		show_entry(showing);
	if (showing->event != NULL)
	{
		show_event(showing);
		show_after(showing);
	}
	show_action(showing);
	show_words(showing, LINE_actor_type, actor_type(showing));
	show_text(showing, LINE_log, fsw_history_log(showing->line));
	show(showing, LINE_delivery_ids,
		 fsw_history_deliveries(showing->reader, showing->line,
								(text *) DatumGetPointer(showing->values[LINE_source]), &act));
	show_text(showing, LINE_act, act);
	show_ids(showing);
	show_before(showing);
}

/* The kinds of candidates, as the view calls them. */
static FswPieceKind
kind_of(const text *word)
{
	static const char *const kinds[] = {
		[FSW_PIECE_ENTRY] = "entry",
		[FSW_PIECE_REQUEST] = "request",
		[FSW_PIECE_EVENT] = "event",
		[FSW_PIECE_DELETION] = "deletion",
		[FSW_PIECE_LIST] = "list"
	};

	for (int i = 0; i < (int) lengthof(kinds); i++)
	{
		if (VARSIZE_ANY_EXHDR(word) == strlen(kinds[i]) && memcmp(VARDATA_ANY(word), kinds[i], strlen(kinds[i])) == 0)
			return i;
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("a line of history cannot be made of \"%s\"", text_to_cstring(word))));
}

/*
 * _history_line(kind, delivery, ordinal, at) - the line that a candidate
 * stands for; no row where another does.
 */
Datum
fsw_history_line(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	Showing		showing = {0};
	FswEntry	row;
	FswPieceKind kind;
	FswKept    *kept;
	MemoryContext caller;

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	if (rsinfo->setDesc->natts != LINE_COUNT)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the function does not return what the library of this session makes"),
				 errhint("After an update of the extension, reconnect.")));
	for (int i = 0; i < 4; i++)
	{
		if (PG_ARGISNULL(i))
			return (Datum) 0;
	}
	kind = kind_of(PG_GETARG_TEXT_PP(0));
	row.delivery = PG_GETARG_INT64(1);
	row.ordinal = PG_GETARG_INT32(2);
	kept = fsw_kept_begin(fcinfo, DT_NOEND);
	showing.kept = kept;
	showing.reader = kept->reader;
	caller = MemoryContextSwitchTo(fsw_kept_pieces(kept));
	showing.line = fsw_line_read(kept->reader, kind, row, PG_GETARG_TIMESTAMPTZ(3));
	if (showing.line != NULL)
	{
		show_line(&showing);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, showing.values, showing.nulls);
	}
	MemoryContextSwitchTo(caller);
	fsw_kept_end(fcinfo, kept);
	return (Datum) 0;
}

/* What an entry of the system does not say by itself. */
static Datum
request_told(FunctionCallInfo fcinfo, bool of_feature)
{
	FswEntry	row = {PG_GETARG_INT64(0), PG_GETARG_INT32(1)};
	FswReader  *reader = fsw_reader_open();
	const text *person;
	const text *feature;
	const text *told;

	fsw_request_told(reader, row, &person, &feature);
	fsw_reader_close(reader);
	told = of_feature ? feature : person;
	if (told == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(told);
}

/*
 * _history_person(delivery, ordinal) - who committed the change request that
 * an audit entry of the system is of; NULL if nobody is known to.
 */
Datum
fsw_history_person(PG_FUNCTION_ARGS)
{
	return request_told(fcinfo, false);
}

/*
 * _history_feature(delivery, ordinal) - the feature that it is about, though
 * its message may be ambiguous.
 */
Datum
fsw_history_feature(PG_FUNCTION_ARGS)
{
	return request_told(fcinfo, true);
}

/* Longer names are left out of indexes by name: rows must be found that have some of them. */
#define LONGEST_NAME 500

/*
 * _long(text, text, text) - 1 where one of the names is too long for an index,
 * else 0.
 */
Datum
fsw_long(PG_FUNCTION_ARGS)
{
	for (int i = 0; i < 3; i++)
	{
		if (!PG_ARGISNULL(i) && toast_raw_datum_size(PG_GETARG_DATUM(i)) - VARHDRSZ > LONGEST_NAME)
			PG_RETURN_INT32(1);
	}
	PG_RETURN_INT32(0);
}
