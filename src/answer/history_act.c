/*-------------------------------------------------------------------------
 *
 * src/answer/history_act.c
 *	  What tells of a line of history: its messages, its deliveries, its key.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "lib/qunique.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "src/answer/history.h"
#include "src/base/array.h"

/* A message of the line, and where it stands. */
typedef struct Message
{
	int64		at;
	int64		audit_id;
	text	   *log;
} Message;

static int
compare_messages(const void *a, const void *b)
{
	const Message *x = a;
	const Message *y = b;
	int			length;
	int			order;

	CHECK_FOR_INTERRUPTS();
	if (x->at != y->at)
		return x->at < y->at ? -1 : 1;
	if (x->audit_id != y->audit_id)
		return x->audit_id < y->audit_id ? -1 : 1;
	length = Min(VARSIZE_ANY_EXHDR(x->log), VARSIZE_ANY_EXHDR(y->log));
	order = memcmp(VARDATA_ANY(x->log), VARDATA_ANY(y->log), length);
	return order != 0 ? order : (int) VARSIZE_ANY_EXHDR(x->log) - (int) VARSIZE_ANY_EXHDR(y->log);
}

/* The entries of the line, those of change requests last. */
static const FswPieceEntry *
nth_entry(const FswLine *line, int i)
{
	return i < line->nentries ? line->entries[i] : line->commits[i - line->nentries];
}

/* The messages of the line's entries, one below the other; NULL if there is none. */
text *
fsw_history_log(const FswLine *line)
{
	int			nentries = line->nentries + line->ncommits;
	Message    *messages = palloc_array(Message, nentries + 1);
	StringInfoData all;
	int			n = 0;

	for (int i = 0; i < nentries; i++)
	{
		const FswPieceEntry *entry = nth_entry(line, i);

		if (entry->log == NULL)
			continue;
		messages[n].at = entry->at;
		messages[n].audit_id = entry->audit_id;
		messages[n++].log = entry->log;
	}
	if (n == 0)
		return NULL;
	qsort(messages, n, sizeof(Message), compare_messages);
	initStringInfo(&all);
	for (int i = 0; i < n; i++)
	{
		if (i > 0)
			appendStringInfoChar(&all, '\n');
		appendBinaryStringInfo(&all, VARDATA_ANY(messages[i].log), VARSIZE_ANY_EXHDR(messages[i].log));
	}
	return cstring_to_text_with_len(all.data, all.len);
}

/* The deliveries that tell of the line, and what was stored first of it. */
typedef struct Deliveries
{
	int			n;
	int			max;
	int64	   *ids;
	FswEntry	first;
	const FswPieceEntry *entry; /* which piece that is */
	const FswPieceEvent *event; /* neither: a list */
} Deliveries;

static void
add_delivery(Deliveries *deliveries, FswEntry row, const FswPieceEntry *entry, const FswPieceEvent *event)
{
	FSW_PUSH(deliveries->ids, deliveries->n, deliveries->max) = row.delivery;
	if (deliveries->n > 1 && (row.delivery > deliveries->first.delivery ||
							  (row.delivery == deliveries->first.delivery && row.ordinal >= deliveries->first.ordinal)))
		return;
	deliveries->first = row;
	deliveries->entry = entry;
	deliveries->event = event;
}

/* The deliveries of an entry in all its copies. */
static void
add_entry_deliveries(const FswPieceEntry *entry, Deliveries *deliveries)
{
	add_delivery(deliveries, entry->row, entry, NULL);
	for (int i = 0; i < entry->ncopies; i++)
		add_delivery(deliveries, entry->copies[i], entry, NULL);
}

/* An instant in a key: microseconds as Unix counts them. */
static void
append_instant(StringInfo key, int64 at)
{
	if (!TIMESTAMP_NOT_FINITE(at))
		at += (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY;
	appendStringInfo(key, "/" INT64_FORMAT, at);
}

static void
append_digest(StringInfo key, const uint8 *digest, int64 at)
{
	for (int i = 0; i < 16; i++)
		appendStringInfo(key, "%02x", digest[i]);
	append_instant(key, at);
}

/*
 * The key of the act: which of its pieces was stored first.  Late evidence can
 * join it to another, but cannot be that piece.
 */
static text *
key_of(FswReader *reader, const Deliveries *deliveries, const text *source)
{
	StringInfoData key;

	initStringInfo(&key);
	appendBinaryStringInfo(&key, VARDATA_ANY(source), VARSIZE_ANY_EXHDR(source));
	if (deliveries->entry != NULL)
	{
		appendStringInfoString(&key, "/entry/");
		if (deliveries->entry->has_audit_id)
		{
			appendStringInfo(&key, INT64_FORMAT, deliveries->entry->audit_id);
			append_instant(&key, deliveries->entry->at);
		}
		else
		{
			append_digest(&key, fsw_piece_digest(reader, deliveries->first.delivery), deliveries->entry->at);
			appendStringInfo(&key, "/%d", deliveries->first.ordinal);
		}
	}
	else
	{
		appendStringInfoString(&key, deliveries->event != NULL ? "/event/" : "/list/");
		append_digest(&key, fsw_piece_digest(reader, deliveries->first.delivery),
					  deliveries->event != NULL ? deliveries->event->event_at : 0);
	}
	return cstring_to_text_with_len(key.data, key.len);
}

/* All deliveries that tell of the line, and its key. */
Datum
fsw_history_deliveries(FswReader *reader, const FswLine *line, const text *source, text **act)
{
	Deliveries	deliveries = {0};

	for (int i = 0; i < line->nentries + line->ncommits; i++)
		add_entry_deliveries(nth_entry(line, i), &deliveries);
	for (int i = 0; i < line->nevents; i++)
		add_delivery(&deliveries, line->events[i]->row, NULL, line->events[i]);
	for (int i = 0; i < line->nlists; i++)
		add_delivery(&deliveries, line->lists[i]->row, NULL, NULL);
	*act = key_of(reader, &deliveries, source);

	qsort(deliveries.ids, deliveries.n, sizeof(int64), fsw_compare_int64);
	deliveries.n = qunique(deliveries.ids, deliveries.n, sizeof(int64), fsw_compare_int64);
	return fsw_int8_array(deliveries.ids, deliveries.n);
}
