/*-------------------------------------------------------------------------
 *
 * src/read/piece.c
 *	  The pieces of a line of history, read from their rows.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "src/base/array.h"
#include "src/base/fsw.h"
#include "src/decode/message.h"
#include "src/decode/row.h"
#include "src/read/history.h"

bool
fsw_same_row(FswEntry a, FswEntry b)
{
	return a.delivery == b.delivery && a.ordinal == b.ordinal;
}

/* Are two texts the same, or both missing? */
bool
fsw_same_or_null(const text *a, const text *b)
{
	if (a == NULL || b == NULL)
		return a == b;
	return fsw_same_text(PointerGetDatum(a), PointerGetDatum(b));
}

static text *
copy_text(FswScan *scan, int column)
{
	text	   *content = fsw_scan_text(scan, column);

	return content == NULL ? NULL : DatumGetTextPCopy(PointerGetDatum(content));
}

static bool
copy_id(FswScan *scan, int column, int64 *id)
{
	*id = fsw_scan_int64(scan, column, 0);
	return !fsw_scan_is_null(scan, column);
}

/* The digest of a delivery's body, which does not depend on what was stored first. */
const uint8 *
fsw_piece_digest(FswReader *reader, int64 delivery)
{
	FswScan    *scan = fsw_scan_of(reader, FSW_INDEX_DELIVERY);
	uint8	   *digest = palloc0(FSW_DIGEST_LENGTH);
	bool		isnull;
	Datum		value;

	fsw_scan_equal(scan, Int64GetDatum(delivery));
	fsw_scan_begin(scan, ForwardScanDirection);
	if (!fsw_scan_next(scan))
		return digest;
	value = fsw_scan_column(scan, DELIVERY_digest, &isnull);
	if (!isnull)
	{
		bytea	   *content = DatumGetByteaPP(value);

		memcpy(digest, VARDATA_ANY(content), Min(VARSIZE_ANY_EXHDR(content), FSW_DIGEST_LENGTH));
	}
	return digest;
}

/* Of rows that nothing else tells apart. */
static int
compare_rows(FswReader *reader, FswEntry a, const uint8 **a_digest, FswEntry b, const uint8 **b_digest)
{
	int			order;

	if (a.delivery == b.delivery)
		return (a.ordinal > b.ordinal) - (a.ordinal < b.ordinal);
	if (*a_digest == NULL)
		*a_digest = fsw_piece_digest(reader, a.delivery);
	if (*b_digest == NULL)
		*b_digest = fsw_piece_digest(reader, b.delivery);
	order = memcmp(*a_digest, *b_digest, FSW_DIGEST_LENGTH);
	if (order != 0)
		return order;
	/* the same bytes at two times of the key, or without a delivery */
	return a.delivery < b.delivery ? -1 : 1;
}

/* The order of entries: by time, then by id. */
int
fsw_compare_entries(FswReader *reader, FswPieceEntry *a, FswPieceEntry *b)
{
	if (a->at != b->at)
		return a->at < b->at ? -1 : 1;
	if (a->has_audit_id != b->has_audit_id)
		return a->has_audit_id ? -1 : 1;
	if (a->audit_id != b->audit_id)
		return a->audit_id < b->audit_id ? -1 : 1;
	return compare_rows(reader, a->row, &a->digest, b->row, &b->digest);
}

/* The order of flag events: by time, of a deletion by its arrival. */
int
fsw_compare_events(FswReader *reader, FswPieceEvent *a, FswPieceEvent *b)
{
	int64		x = a->deleted ? a->arrived : a->at;
	int64		y = b->deleted ? b->arrived : b->at;

	if (x != y)
		return x < y ? -1 : 1;
	return compare_rows(reader, a->row, &a->digest, b->row, &b->digest);
}

/*
 * Can an entry and a flag event be of the same person?  An API key's entry has
 * no author, the event has the key's name.
 */
bool
fsw_same_actor(const FswPieceEntry *entry, const text *changed_by)
{
	if (entry->author != NULL)
		return changed_by != NULL && fsw_same_text(PointerGetDatum(entry->author), PointerGetDatum(changed_by));
	/* what the system does at a change request's word has no author */
	if (entry->by_system)
		return fsw_names_nobody(changed_by);
	return entry->imported || changed_by == NULL ||
		memchr(VARDATA_ANY(changed_by), '@', VARSIZE_ANY_EXHDR(changed_by)) == NULL;
}

/* ---- audit entries ---- */

static int64
feature_hash(const text *feature)
{
	return feature == NULL ? fsw_hash("feature:", "", 0) :
		fsw_hash("feature:", VARDATA_ANY(feature), VARSIZE_ANY_EXHDR(feature));
}

/* What an effect that a search found says. */
FswReadEffect
fsw_read_effect(FswScan *scan)
{
	static const struct
	{
		const char *kind;
		FswAbout	about;
	}			abouts[] =
	{
		{"state", FSW_ABOUT_STATE}, {"override", FSW_ABOUT_STATE}, {"value", FSW_ABOUT_VALUE},
		{"variant", FSW_ABOUT_VARIANT}, {"feature_created", FSW_ABOUT_CREATION},
		{"version", FSW_ABOUT_VERSION}, {"feature_deleted", FSW_ABOUT_DELETION}
	};
	FswReadEffect effect = {.about = FSW_ABOUT_OTHER};

	for (int i = 0; i < (int) lengthof(abouts); i++)
	{
		if (fsw_scan_is(scan, EFFECT_kind, abouts[i].kind))
			effect.about = abouts[i].about;
	}
	effect.has_feature = copy_id(scan, EFFECT_feature_hash, &effect.feature_hash);
	effect.has_scope = copy_id(scan, EFFECT_scope_hash, &effect.scope_hash);
	effect.has_feature_id = copy_id(scan, EFFECT_feature_id, &effect.feature_id);
	effect.has_environment = copy_id(scan, EFFECT_environment_id, &effect.environment_id);
	effect.at = fsw_scan_int64(scan, EFFECT_occurred_at, 0);
	effect.split = fsw_scan_int32(scan, EFFECT_split);
	return effect;
}

/* How near a flag event bears an entry's reading out; FSW_FOREVER if none does. */
static int64
event_of_reading(FswReader *reader, const FswPieceEntry *entry, const FswReadEffect *effect)
{
	FswSearch	search = fsw_search_events(FSW_INDEX_CHANGE_NEAR, FLAG_event_at, entry->source, effect->feature_hash,
										   effect->has_environment, effect->environment_id);
	FswFound	found = {0};
	int64		nearest = FSW_FOREVER;

	if (!effect->has_feature)
		return FSW_FOREVER;
	fsw_search_around(reader, &search, fsw_after(effect->at, -FSW_SAVE_REACH), effect->at,
					  fsw_after(effect->at, FSW_SAVE_REACH), fsw_find_row, &found, &found.n);
	for (int i = 0; i < found.n; i++)
	{
		FswPieceEvent *event = fsw_piece_event(reader, found.rows[i]);

		if (event != NULL && event->has_scope == effect->has_scope &&
			(!event->has_scope || event->scope_hash == effect->scope_hash) &&
			fsw_same_or_null(event->source, entry->source) && fsw_same_actor(entry, event->changed_by))
			nearest = Min(nearest, fsw_distance(event->at, effect->at));
	}
	return nearest;
}

/* Is a feature of the entry's project known by this name? */
static bool
is_feature_known(FswReader *reader, const FswPieceEntry *entry, const FswReadEffect *effect)
{
	FswScan    *scan = fsw_scan_of(reader, FSW_INDEX_NAME_HASH);

	fsw_scan_equal(scan, Int64GetDatum(effect->feature_hash));
	fsw_scan_begin(scan, ForwardScanDirection);
	while (effect->has_feature && fsw_scan_next(scan))
	{
		if (fsw_scan_is(scan, NAME_kind, "feature") &&
			fsw_scan_int64(scan, NAME_project_id, -1) == entry->project_id &&
			fsw_scan_same_text(scan, NAME_source, PointerGetDatum(entry->source)))
			return true;
	}
	return false;
}

/* Which of several readings has the feature's name whose id the entry gives; NULL if that is not known, or none has. */
static const FswReadEffect *
reading_of_id(FswReader *reader, const FswPieceEntry *entry, const FswReadEffect *effects, int n)
{
	FswNames	names;
	const text *name;

	if (n < 2 || !effects[0].has_feature_id)
		return NULL;
	fsw_names_read(reader, PointerGetDatum(entry->source), "feature", psprintf(INT64_FORMAT, effects[0].feature_id), &names);
	name = names.n == 0 ? NULL : fsw_names_at(&names, entry->at);
	for (int i = 0; name != NULL && i < n; i++)
	{
		if (effects[i].has_feature && effects[i].feature_hash == feature_hash(name))
			return &effects[i];
	}
	return NULL;
}

/* Was a segment or an identity of the source ever called as the reading of an override says? */
static bool
is_scope_known(FswReader *reader, const FswPieceEntry *entry, const FswReadEffect *effect)
{
	FswScan    *scan = fsw_scan_of(reader, FSW_INDEX_NAME_HASH);

	fsw_scan_equal(scan, Int64GetDatum(effect->scope_hash));
	fsw_scan_begin(scan, ForwardScanDirection);
	while (fsw_scan_next(scan))
	{
		if (!fsw_scan_is(scan, NAME_kind, "feature") && fsw_scan_same_text(scan, NAME_source, PointerGetDatum(entry->source)))
			return true;
	}
	return false;
}

/*
 * Of several readings, the only one of which all names are known, else the only
 * one whose feature is; NULL where that decides nothing.
 */
static const FswReadEffect *
reading_of_names(FswReader *reader, const FswPieceEntry *entry, const FswReadEffect *effects, int n)
{
	const FswReadEffect *best = NULL;
	int			most = 0;

	for (int i = 0; n > 1 && i < n; i++)
	{
		int			known = !is_feature_known(reader, entry, &effects[i]) ? 0 :
			!effects[i].has_scope || is_scope_known(reader, entry, &effects[i]) ? 2 : 1;

		CHECK_FOR_INTERRUPTS();
		if (known > most)
			best = &effects[i];
		else if (known == most)
			best = NULL;
		most = Max(most, known);
	}
	return best;
}

static const text *
text_or_null(const char *word)
{
	return word == NULL ? NULL : cstring_to_text(word);
}

/*
 * The names of a reading that is surely meant, where the columns have those of
 * another or none.  The view history finds such rows by just these conditions.
 */
static void
read_names(FswPieceEntry *entry)
{
	char	   *type = entry->related_type == NULL ? NULL : text_to_cstring(entry->related_type);
	const FswLog *log = fsw_parse_log(VARDATA_ANY(entry->log), VARSIZE_ANY_EXHDR(entry->log), type);
	const FswLogSplit *split;

	if (entry->effect.split < 1 || entry->effect.split > log->nsplits)
		return;
	split = &log->splits[entry->effect.split - 1];
	entry->true_feature = text_or_null(split->feature);
	entry->true_segment = text_or_null(split->segment);
	entry->true_identity = text_or_null(split->identity);
	if (entry->change_request == NULL && split->change_request != NULL)
		entry->change_request = cstring_to_text(split->change_request);
	entry->misread = !fsw_same_or_null(entry->true_feature, entry->feature) ||
		!fsw_same_or_null(entry->true_segment, entry->segment) || !fsw_same_or_null(entry->true_identity, entry->identity);
}

/* Of several readings, the one that a flag event of the same second bears out, else that whose feature is known. */
static const FswReadEffect *
likely_reading(FswReader *reader, const FswPieceEntry *entry, const FswReadEffect *effects, int n)
{
	const FswReadEffect *likely = &effects[0];
	int64		best = FSW_FOREVER;
	bool		best_known = false;

	for (int i = 0; i < n; i++)
	{
		int64		away = event_of_reading(reader, entry, &effects[i]);
		bool		known = is_feature_known(reader, entry, &effects[i]);

		if (away < best || (away == best && known && !best_known))
		{
			best = away;
			best_known = known;
			likely = &effects[i];
		}
	}
	return likely;
}

/*
 * What the entry says.  Where its message can be read in several ways: what the
 * id tells that it gives, else of which the names are known, else what is
 * likely, else the first.
 */
static void
read_effects(FswReader *reader, FswPieceEntry *entry)
{
	FswScan    *scan = fsw_scan_of(reader, FSW_INDEX_EFFECT);
	FswReadEffect *effects = NULL;
	const FswReadEffect *surely;
	int			n = 0;
	int			max = 0;

	fsw_scan_equal(scan, Int64GetDatum(entry->row.delivery));
	fsw_scan_equal(scan, Int32GetDatum(entry->row.ordinal));
	fsw_scan_begin(scan, ForwardScanDirection);
	while (fsw_scan_next(scan))
		FSW_PUSH(effects, n, max) = fsw_read_effect(scan);
	if (n == 0)
		return;
	entry->has_effect = true;
	surely = reading_of_id(reader, entry, effects, n);
	/* an id that is not known is of another feature than those that are */
	if (surely == NULL && entry->ambiguous && !effects[0].has_feature_id)
		surely = reading_of_names(reader, entry, effects, n);
	if (surely != NULL)
		entry->effect = *surely;
	else
		entry->effect = n > 1 ? *likely_reading(reader, entry, effects, n) : effects[0];
	if (surely != NULL && entry->log != NULL && entry->readable_otherwise)
		read_names(entry);
}

/*
 * Is the row one of several copies of an entry, and not the one that counts?
 * A webhook's counts before one of the REST API.
 */
static bool
is_copy(FswReader *reader, FswPieceEntry *entry)
{
	FswScan    *scan;
	FswEntry   *likes = NULL;
	int			nlikes = 0;
	int			maxlikes = 0;
	int			max = 0;
	bool		is_second = false;

	if (!entry->has_audit_id)
		return false;
	scan = fsw_scan_of(reader, FSW_INDEX_AUDIT_ID);
	fsw_scan_equal(scan, PointerGetDatum(entry->source));
	fsw_scan_equal(scan, Int64GetDatum(entry->audit_id));
	fsw_scan_equal(scan, TimestampTzGetDatum(entry->at));
	fsw_scan_begin(scan, ForwardScanDirection);
	while (fsw_scan_next(scan))
	{
		FswEntry	row = fsw_entry_of(scan);
		bool		imported = !fsw_scan_is(scan, AUDIT_origin, "webhook");

		if (fsw_same_row(row, entry->row) || fsw_scan_bool(scan, AUDIT_is_test))
			continue;
		FSW_PUSH(entry->copies, entry->ncopies, max) = row;
		is_second = is_second || (!imported && entry->imported);
		if (imported == entry->imported)
			FSW_PUSH(likes, nlikes, maxlikes) = row;
	}
	for (int i = 0; i < nlikes && !is_second; i++)
	{
		const uint8 *other = NULL;

		is_second = compare_rows(reader, likes[i], &other, entry->row, &entry->digest) < 0;
	}
	return is_second;
}

static FswPieceEntry *
read_entry(FswReader *reader, FswEntry row)
{
	FswScan    *scan = fsw_scan_row(reader, FSW_INDEX_AUDIT, row.delivery, row.ordinal);
	FswPieceEntry *entry;
	bool		of_variant;

	if (scan == NULL || fsw_scan_bool(scan, AUDIT_is_test))
		return NULL;
	entry = palloc0_object(FswPieceEntry);
	entry->row = row;
	entry->at = fsw_scan_int64(scan, AUDIT_created_date, 0);
	entry->source = copy_text(scan, AUDIT_source);
	entry->has_audit_id = copy_id(scan, AUDIT_audit_id, &entry->audit_id);
	entry->imported = !fsw_scan_is(scan, AUDIT_origin, "webhook");
	entry->by_system = fsw_scan_bool(scan, AUDIT_is_system_event);
	entry->system_known = !fsw_scan_is_null(scan, AUDIT_is_system_event);
	entry->is_version = fsw_scan_is(scan, AUDIT_related_object_type, "EF_VERSION");
	/* the type as well, since the index of requests has it */
	entry->is_commit = fsw_scan_is(scan, AUDIT_related_object_type, "CHANGE_REQUEST") &&
		fsw_scan_is(scan, AUDIT_object, "change request") && fsw_scan_is(scan, AUDIT_action, "committed");
	entry->took_effect = entry->by_system && fsw_scan_is(scan, AUDIT_object, "feature state") &&
		fsw_scan_is(scan, AUDIT_action, "committed");
	entry->uuid = entry->is_version ? copy_text(scan, AUDIT_related_object_uuid) : NULL;
	entry->author = copy_text(scan, AUDIT_author_email);
	entry->has_project = copy_id(scan, AUDIT_project_id, &entry->project_id);
	entry->project = copy_text(scan, AUDIT_project);
	entry->has_environment = copy_id(scan, AUDIT_environment_id, &entry->environment_id);
	entry->action = copy_text(scan, AUDIT_action);
	entry->object = copy_text(scan, AUDIT_object);
	entry->feature = copy_text(scan, AUDIT_feature);
	entry->segment = copy_text(scan, AUDIT_segment);
	entry->identity = copy_text(scan, AUDIT_identity);
	entry->change_request = copy_text(scan, AUDIT_change_request);
	entry->log = copy_text(scan, AUDIT_log);
	entry->has_related = copy_id(scan, AUDIT_related_object_id, &entry->related_id);
	entry->related_type = copy_text(scan, AUDIT_related_object_type);
	of_variant = fsw_scan_is(scan, AUDIT_object, "variant");
	entry->ambiguous = fsw_scan_bool(scan, AUDIT_ambiguous);
	entry->readable_otherwise = entry->ambiguous ||
		(of_variant && (entry->segment != NULL || entry->identity != NULL));
	if (is_copy(reader, entry))
		return NULL;
	read_effects(reader, entry);
	return entry;
}

static FswPieces *
pieces_of(FswReader *reader)
{
	if (reader->pieces == NULL)
		reader->pieces = palloc0_object(FswPieces);
	return reader->pieces;
}

/* Where a row is among the first, which are most often asked for; -1 if it is not. */
static int
find_read(const FswEntry *rows, int n, FswEntry row)
{
	for (int i = 0; i < Min(n, FSW_NEIGHBOURS); i++)
	{
		if (fsw_same_row(rows[i], row))
			return i;
	}
	return -1;
}

/* An audit entry; NULL if the row is none that counts. */
FswPieceEntry *
fsw_piece_entry(FswReader *reader, FswEntry row)
{
	FswPieces  *pieces = pieces_of(reader);
	int			i = find_read(pieces->entry_rows, pieces->nentries, row);
	int			max = pieces->maxentries;

	CHECK_FOR_INTERRUPTS();
	if (i >= 0)
		return pieces->entries[i];
	i = pieces->nentries;
	pieces->entry_rows = fsw_grow(pieces->entry_rows, i, &max, sizeof(FswEntry));
	pieces->entries = fsw_grow(pieces->entries, i, &pieces->maxentries, sizeof(FswPieceEntry *));
	pieces->nentries++;
	pieces->entry_rows[i] = row;
	/* to decide how it is read, its events are read, but no entry */
	pieces->entries[i] = NULL;
	pieces->entries[i] = read_entry(reader, row);
	return pieces->entries[i];
}

/* ---- flag events ---- */

/* The hash that audit effects have of an event's override. */
static bool
scope_hash(FswScan *scan, int64 *hash)
{
	bool		of_identity = !fsw_scan_is_null(scan, FLAG_identity);
	text	   *name = fsw_scan_text(scan, of_identity ? FLAG_identity_identifier : FLAG_segment);

	*hash = name == NULL ? 0 :
		fsw_hash(of_identity ? "identity:" : "segment:", VARDATA_ANY(name), VARSIZE_ANY_EXHDR(name));
	return name != NULL;
}

static FswPieceEvent *
read_event(FswReader *reader, FswEntry row)
{
	FswScan    *scan = fsw_scan_row(reader, FSW_INDEX_FLAG_CHANGE, row.delivery, row.ordinal);
	FswPieceEvent *event;
	int64		shown;

	if (scan == NULL || fsw_scan_bool(scan, FLAG_is_test) || fsw_scan_is(scan, FLAG_origin, "import"))
		return NULL;
	event = palloc0_object(FswPieceEvent);
	for (int how = 0; how <= FSW_EXPLAINS_REQUEST; how++)
		event->tried[how] = -1;
	event->row = row;
	event->place = scan->slot->tts_tid;
	event->source = copy_text(scan, FLAG_source);
	event->deleted = fsw_scan_bool(scan, FLAG_deleted);
	event->event_at = fsw_scan_int64(scan, FLAG_event_at, 0);
	event->received_at = fsw_scan_int64(scan, FLAG_received_at, 0);
	event->at = fsw_is_ahead(event->event_at, event->received_at) ? event->received_at : event->event_at;
	event->has_environment = copy_id(scan, FLAG_environment_id, &event->environment_id);
	event->has_feature = copy_id(scan, FLAG_feature_id, &event->feature_id);
	event->feature = copy_text(scan, FLAG_feature);
	event->feature_hash = feature_hash(event->feature);
	event->has_segment = copy_id(scan, FLAG_segment_id, &event->segment_id);
	event->identity = copy_text(scan, FLAG_identity);
	event->has_scope = scope_hash(scan, &event->scope_hash);
	event->changed_by = copy_text(scan, FLAG_changed_by);
	event->has_state = !fsw_scan_is_null(scan, FLAG_enabled);
	event->enabled = fsw_scan_bool(scan, FLAG_enabled);
	/* the view has the arrival of those repeats alone that were understood */
	event->arrived = fsw_first_arrivals(reader, row.delivery, event->received_at, "FLAG_DELETED", &shown);
	if (event->deleted)
		event->at = shown;
	return event;
}

/* A flag event; NULL if the row is none, but an imported state or a test. */
FswPieceEvent *
fsw_piece_event(FswReader *reader, FswEntry row)
{
	FswPieces  *pieces = pieces_of(reader);
	int			i = find_read(pieces->event_rows, pieces->nevents, row);
	int			max = pieces->maxevents;

	CHECK_FOR_INTERRUPTS();
	if (i >= 0)
		return pieces->events[i];
	i = pieces->nevents;
	pieces->event_rows = fsw_grow(pieces->event_rows, i, &max, sizeof(FswEntry));
	pieces->events = fsw_grow(pieces->events, i, &pieces->maxevents, sizeof(FswPieceEvent *));
	pieces->nevents++;
	pieces->event_rows[i] = row;
	pieces->events[i] = read_event(reader, row);
	return pieces->events[i];
}

/*
 * The row of a flag event again, which the same snapshot saw before: by its
 * place, without a search.  By its key where a row was updated, against all
 * rules, since then its place alone does not lead to it.
 */
FswScan *
fsw_piece_row(FswReader *reader, const FswPieceEvent *event)
{
	FswScan    *scan = fsw_scan_of(reader, FSW_INDEX_FLAG_CHANGE);

	if (fsw_scan_fetch_row(scan, &event->place))
		return scan;
	scan = fsw_scan_row(reader, FSW_INDEX_FLAG_CHANGE, event->row.delivery, event->row.ordinal);
	if (scan == NULL)
		elog(ERROR, "could not find a row of delivery " INT64_FORMAT, event->row.delivery);
	return scan;
}

/* The value that an event tells, which can be large; NULL if it tells none, or a JSON null. */
Jsonb *
fsw_piece_value(FswReader *reader, const FswPieceEvent *event)
{
	bool		isnull;
	Datum		value = fsw_scan_column(fsw_piece_row(reader, event), FLAG_value, &isnull);
	Jsonb	   *result = isnull ? NULL : DatumGetJsonbPCopy(value);

	return result == NULL || fsw_is_json_null(result) ? NULL : result;
}

/* Its percentages by option; NULL for none. */
Jsonb *
fsw_piece_variants(FswReader *reader, const FswPieceEvent *event)
{
	bool		isnull;
	Datum		sent = fsw_scan_column(fsw_piece_row(reader, event), FLAG_variants, &isnull);

	return isnull ? NULL : fsw_shown_variants(DatumGetJsonbP(sent));
}

/* Have two events one value? */
bool
fsw_piece_same_value(FswReader *reader, const FswPieceEvent *a, const FswPieceEvent *b)
{
	Jsonb	   *x = fsw_piece_value(reader, a);
	Jsonb	   *y = fsw_piece_value(reader, b);

	return x == NULL || y == NULL ? x == y : compareJsonbContainers(&x->root, &y->root) == 0;
}

/* Have they the same percentages?  None at all are those of no option. */
bool
fsw_piece_same_variants(FswReader *reader, const FswPieceEvent *a, const FswPieceEvent *b)
{
	Jsonb	   *x = fsw_piece_variants(reader, a);
	Jsonb	   *y = fsw_piece_variants(reader, b);
	bool		x_none = x == NULL || JB_ROOT_COUNT(x) == 0;
	bool		y_none = y == NULL || JB_ROOT_COUNT(y) == 0;

	return x_none || y_none ? x_none == y_none : compareJsonbContainers(&x->root, &y->root) == 0;
}

/* ---- version lists ---- */

static FswPieceList *
read_list(FswReader *reader, FswEntry row)
{
	FswScan    *scan = fsw_scan_row(reader, FSW_INDEX_VERSION, row.delivery, row.ordinal);
	FswPieceList *list;
	Datum		states;
	bool		isnull;

	if (scan == NULL)
		return NULL;
	list = palloc0_object(FswPieceList);
	list->row = row;
	list->source = copy_text(scan, VERSION_source);
	list->received_at = fsw_scan_int64(scan, VERSION_received_at, 0);
	list->uuid = copy_text(scan, VERSION_uuid);
	list->has_feature = copy_id(scan, VERSION_feature_id, &list->feature_id);
	list->feature = copy_text(scan, VERSION_feature);
	list->publisher = copy_text(scan, VERSION_published_by_email);
	states = fsw_scan_column(scan, VERSION_states, &isnull);
	list->has_states = !isnull;
	list->states = isnull ? (Datum) 0 : PointerGetDatum(DatumGetJsonbPCopy(states));
	list->arrived = fsw_first_arrivals(reader, row.delivery, list->received_at, "NEW_VERSION_PUBLISHED", &list->at);
	return list;
}

/* A version list; NULL if there is none. */
FswPieceList *
fsw_piece_list(FswReader *reader, FswEntry row)
{
	FswPieces  *pieces = pieces_of(reader);
	int			i = find_read(pieces->list_rows, pieces->nlists, row);
	int			max = pieces->maxlists;

	CHECK_FOR_INTERRUPTS();
	if (i >= 0)
		return pieces->lists[i];
	i = pieces->nlists;
	pieces->list_rows = fsw_grow(pieces->list_rows, i, &max, sizeof(FswEntry));
	pieces->lists = fsw_grow(pieces->lists, i, &pieces->maxlists, sizeof(FswPieceList *));
	pieces->nlists++;
	pieces->list_rows[i] = row;
	pieces->lists[i] = read_list(reader, row);
	return pieces->lists[i];
}

/* The environment of a list, or -1. */
int64
fsw_piece_list_environment(FswReader *reader, const FswPieceList *list)
{
	FswScan    *scan = fsw_scan_row(reader, FSW_INDEX_VERSION, list->row.delivery, list->row.ordinal);

	return scan == NULL ? -1 : fsw_list_environment(reader, scan, PointerGetDatum(list->source));
}
