/*-------------------------------------------------------------------------
 *
 * src/decode/message.c
 *	  What the log text of an audit entry says: action, object and names.
 *
 * An audit entry has no fields for what it is about, only a sentence.  The
 * sentences are known: each is a row in message_template.c, and a message is
 * recognized when one of them fits from its first to its last character.
 *
 * Names stand in a sentence as they are, so a name may contain the very words
 * that separate two names.  We therefore find every way to split the message,
 * over every sentence that fits, and never pick one by guessing:
 *
 *	- Splits with an empty name, or with a time that is none of the formats
 *	  Flagsmith writes, count only where nothing else fits.
 *	- A sentence that fits everything that a longer one fits ("... for
 *	  feature '{feature}'." beside "... for feature '{feature}' and segment
 *	  '{segment}'.") is right only if a name contains the longer one's words.
 *	  Its splits come last and are marked weak.  They do not make the message
 *	  ambiguous, because then every message of the longer sentence would be.
 *	- So do those of a sentence that only releases of long ago logged, where
 *	  one that is still logged fits.
 *	- More than one split that is not weak makes the message ambiguous.
 *
 * The work is linear in the length of the message.  Occurrences of the
 * separators are collected from right to left, and only those from which the
 * rest of the sentence can be completed; every step of the enumeration that
 * follows ends in a split, and the number of splits is bounded.  If there are
 * more, half of them are taken from either end: where one name is full of
 * separators and the others are plain names, the true split is among those.
 *
 * Literals are plain ASCII and no server encoding has ASCII bytes inside a
 * longer character, so splitting never cuts a character.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/memutils.h"

#include "src/base/array.h"
#include "src/base/fsw.h"
#include "src/decode/message.h"

#define EFFECT_NAME(kind, name) [FSW_EFFECT_##kind] = name,

static const char *const effect_kind_names[] = {
	[FSW_EFFECT_NONE] = NULL,
	FSW_EFFECT_KINDS(EFFECT_NAME)
};

const FswLogFieldInfo fsw_log_fields[] = {
	{"feature", "feature", offsetof(FswLogSplit, feature)},
	{"segment", "segment", offsetof(FswLogSplit, segment)},
	{"identity", "identity", offsetof(FswLogSplit, identity)},
	{"environment", "environment", offsetof(FswLogSplit, environment)},
	{"change_request", "change_request", offsetof(FswLogSplit, change_request)},
	{"name", "name", offsetof(FswLogSplit, name)},
	{"time", "scheduled_for", offsetof(FswLogSplit, scheduled_for)},
	{"", NULL, 0}
};

/*
 * The most templates that one message can fit.  Those of the health of a
 * feature, with all their optional tails, come to eight.
 */
#define MAX_MATCHES 16

/*
 * How strictly a message is read; a message is read in the strictest way in
 * which any template fits.
 */
#define ALLOW_EMPTY_NAME	0x01
#define ALLOW_ANY_TIME		0x02
#define NUM_READINGS		4

/* A placeholder and the literal after it, which may be empty at the end. */
typedef struct Gap
{
	FswLogField field;
	const char *literal;
	int			literal_len;

	/*
	 * Where in the message the literal stands such that everything after it
	 * fits, in ascending order.
	 */
	int		   *at;
	int			nat;
} Gap;

/* A template that is being matched. */
typedef struct Match
{
	const FswLogTemplate *template;
	int			prefix_len;
	int			literal_len;	/* of all literals together */
	int			ngaps;
	Gap			gaps[FSW_LOG_MAX_GAPS];
	const char *msg;
	int			len;
	int			reading;
	bool		weak;
} Match;

/* Where the names of a split stand in the message; begin < 0 if absent. */
typedef struct Spans
{
	const Match *match;
	int			begin[FSW_LOG_KEPT_FIELDS];
	int			end[FSW_LOG_KEPT_FIELDS];
} Spans;

/* State of the enumeration of the splits of one match. */
typedef struct Walk
{
	const Match *match;
	bool		backward;
	int			limit;
	int			found;
	int			at[FSW_LOG_MAX_GAPS];
	Spans	   *result;			/* NULL: only count */
} Walk;

/*
 * The name of a kind of audit effect, NULL for none.
 */
const char *
fsw_effect_kind_name(FswEffectKind kind)
{
	return effect_kind_names[kind];
}

/*
 * The set of templates to try for a type: those of a type we know, all for a
 * missing type or one that came with a later release.
 */
static int
object_type_set(const char *name)
{
	if (name != NULL)
	{
		for (int i = 0; i < fsw_log_type_count; i++)
		{
			if (strcmp(name, fsw_log_type_names[i]) == 0)
				return 1 << i;
		}
	}
	return FSW_LOG_OF_ANY;
}

/*
 * Is what fills this gap recognized by its own form, so that where it begins
 * also says where it ends?
 */
static inline bool
gap_is_time(const Match *match, const Gap *gap)
{
	return gap->field == FSW_LOG_TIME && (match->reading & ALLOW_ANY_TIME) == 0;
}

/*
 * Where the time that begins at begin ends, or -1 if there is none.
 */
static int
time_end(const Match *match, int begin)
{
	int			n = fsw_log_time_length(match->msg + begin, match->len - begin);

	return n == 0 ? -1 : begin + n;
}

/* The shortest text that may fill a gap. */
static inline int
gap_min(const Match *match)
{
	return (match->reading & ALLOW_EMPTY_NAME) ? 0 : 1;
}

/*
 * Index of the first entry of gap->at that is not before pos.
 */
static int
first_at(const Gap *gap, int pos)
{
	int			lo = 0;
	int			hi = gap->nat;

	while (lo < hi)
	{
		int			mid = lo + (hi - lo) / 2;

		if (gap->at[mid] < pos)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

/*
 * Can gap number i begin at this position, and everything after it fit?
 */
static bool
gap_fits(const Match *match, int i, int begin)
{
	const Gap  *gap = &match->gaps[i];

	if (gap_is_time(match, gap))
	{
		int			end = time_end(match, begin);
		int			k;

		if (end < 0)
			return false;
		k = first_at(gap, end);
		return k < gap->nat && gap->at[k] == end;
	}
	return gap->nat > 0 && begin + gap_min(match) <= gap->at[gap->nat - 1];
}

/*
 * Give back what match_complete() allocated.
 */
static void
match_free(Match *match)
{
	for (int i = 0; i < match->ngaps; i++)
	{
		if (match->gaps[i].at != NULL)
			pfree(match->gaps[i].at);
	}
}

/*
 * Take the template apart.  Returns false if the message does not even begin
 * like it, which is all that most templates cost.
 */
static bool
match_begin(Match *match, const FswLogTemplate *template, const char *msg, int len,
			int reading)
{
	const char *p = template->text;

	while (*p != '\0' && *p != '{')
	{
		int			i = p - template->text;

		if (i >= len || msg[i] != *p)
			return false;
		p++;
	}

	match->template = template;
	match->prefix_len = p - template->text;
	match->literal_len = match->prefix_len;
	match->ngaps = 0;
	match->msg = msg;
	match->len = len;
	match->reading = reading;
	match->weak = false;

	while (*p != '\0')
	{
		Gap		   *gap = &match->gaps[match->ngaps++];
		const char *close = strchr(p, '}');
		int			field = 0;

		while (strncmp(fsw_log_fields[field].placeholder, p + 1, close - p - 1) != 0 ||
			   fsw_log_fields[field].placeholder[close - p - 1] != '\0')
			field++;
		gap->field = (FswLogField) field;

		p = close + 1;
		gap->literal = p;
		gap->literal_len = strcspn(p, "{");
		gap->at = NULL;
		gap->nat = 0;
		match->literal_len += gap->literal_len;
		p += gap->literal_len;
	}
	return true;
}

/*
 * Find out whether the template fits, and where its literals may stand.
 */
static bool
match_complete(Match *match)
{
	const char *msg = match->msg;
	int			last = match->ngaps - 1;
	Gap		   *gap;
	int			pos;

	if (match->ngaps == 0)
		return match->prefix_len == match->len;

	/* the last literal stands at the end, and nowhere else */
	gap = &match->gaps[last];
	pos = match->len - gap->literal_len;
	if (pos < match->prefix_len ||
		memcmp(msg + pos, gap->literal, gap->literal_len) != 0)
		return false;
	gap->at = palloc(sizeof(int));
	gap->at[0] = pos;
	gap->nat = 1;

	for (int i = last - 1; i >= 0; i--)
	{
		const Gap  *next = &match->gaps[i + 1];
		int			room = 0;
		int			end;

		/* beyond this, no occurrence can be followed by what has to follow */
		end = next->at[next->nat - 1];

		gap = &match->gaps[i];
		pos = match->prefix_len;
		while (end - pos >= gap->literal_len)
		{
			const char *hit = memchr(msg + pos, gap->literal[0],
									 end - pos - gap->literal_len + 1);

			if (hit == NULL)
				break;
			pos = hit - msg;
			if (memcmp(hit, gap->literal, gap->literal_len) == 0)
			{
				CHECK_FOR_INTERRUPTS();
				if (gap_fits(match, i + 1, pos + gap->literal_len))
					FSW_PUSH(gap->at, gap->nat, room) = pos;
			}
			pos++;
		}
		if (gap->nat == 0)
			return false;
	}
	return gap_fits(match, 0, match->prefix_len);
}

/*
 * Does the template fit the message?  If so, match_free() is due.
 */
static bool
match_message(Match *match, const FswLogTemplate *template, const char *msg, int len,
			  int reading)
{
	if (!match_begin(match, template, msg, len, reading))
		return false;
	if (match_complete(match))
		return true;
	match_free(match);
	return false;
}

/*
 * Every split from gap number i on, which begins at this position.
 */
static void
walk_gap(Walk *walk, int i, int begin)
{
	const Match *match = walk->match;
	const Gap  *gap = &match->gaps[i];
	int			first;
	int			last;

	if (i == match->ngaps)
	{
		if (walk->result != NULL)
		{
			Spans	   *spans = &walk->result[walk->found];
			int			pos = match->prefix_len;

			spans->match = match;
			for (int f = 0; f < FSW_LOG_KEPT_FIELDS; f++)
				spans->begin[f] = spans->end[f] = -1;
			for (int g = 0; g < match->ngaps; g++)
			{
				if (match->gaps[g].field < FSW_LOG_KEPT_FIELDS)
				{
					spans->begin[match->gaps[g].field] = pos;
					spans->end[match->gaps[g].field] = walk->at[g];
				}
				pos = walk->at[g] + match->gaps[g].literal_len;
			}
		}
		walk->found++;
		return;
	}

	if (gap_is_time(match, gap))
	{
		walk->at[i] = time_end(match, begin);
		walk_gap(walk, i + 1, walk->at[i] + gap->literal_len);
		return;
	}

	first = first_at(gap, begin + gap_min(match));
	last = gap->nat - 1;
	for (int n = 0; n <= last - first && walk->found < walk->limit; n++)
	{
		CHECK_FOR_INTERRUPTS();
		walk->at[i] = gap->at[walk->backward ? last - n : first + n];
		walk_gap(walk, i + 1, walk->at[i] + gap->literal_len);
	}
}

/*
 * Enumerate the splits of a match in one direction, up to limit.  Returns
 * their number.
 */
static int
walk_match(const Match *match, bool backward, int limit, Spans *result)
{
	Walk		walk;

	if (limit <= 0)
		return 0;
	walk.match = match;
	walk.backward = backward;
	walk.limit = limit;
	walk.found = 0;
	walk.result = result;
	walk_gap(&walk, 0, match->prefix_len);
	return walk.found;
}

/*
 * Does the template of one match fit whatever that of the other fits?  It
 * does if it fits the other's own text, in which placeholders are as good as
 * any name.
 */
static bool
match_covers(const Match *general, const Match *special)
{
	const char *text = special->template->text;
	Match		probe;

	if (general->literal_len >= special->literal_len ||
		!match_message(&probe, general->template, text, strlen(text),
					   ALLOW_ANY_TIME))
		return false;
	match_free(&probe);
	return true;
}

/* Is only the one of two templates of a release of long ago? */
static bool
is_older(const FswLogTemplate *one, const FswLogTemplate *other)
{
	return (one->types & FSW_LOG_OLD) != 0 && (other->types & FSW_LOG_OLD) == 0;
}

/*
 * The templates that fit, the weak ones last, otherwise those with the most
 * literal text first.  Returns their number.
 */
static int
match_templates(const char *msg, int len, int types, int reading,
				Match *matches)
{
	int			n = 0;

	for (int i = 0; i < fsw_log_template_count && n < MAX_MATCHES; i++)
	{
		if ((fsw_log_templates[i].types & types) != 0 &&
			match_message(&matches[n], &fsw_log_templates[i], msg, len, reading))
			n++;
	}

	for (int i = 0; i < n; i++)
	{
		for (int j = 0; j < n && !matches[i].weak; j++)
			matches[i].weak = match_covers(&matches[i], &matches[j]) ||
				is_older(matches[i].template, matches[j].template);
	}

	/* insertion sort: there are few, and it is stable */
	for (int i = 1; i < n; i++)
	{
		Match		match = matches[i];
		int			j = i;

		while (j > 0 &&
			   (matches[j - 1].weak > match.weak ||
				(matches[j - 1].weak == match.weak &&
				 matches[j - 1].literal_len < match.literal_len)))
		{
			matches[j] = matches[j - 1];
			j--;
		}
		matches[j] = match;
	}
	return n;
}

/*
 * The splits of all matches, each once.  Returns their number, and whether
 * there are more that are not weak.
 *
 * Every match gets a part of the limit: one split if it is weak, else two at
 * the least, so that the result may be a little more than a low limit.
 */
static int
collect_splits(const Match *matches, int nmatches, int limit, Spans *result,
			   bool *more)
{
	int			counts[MAX_MATCHES];
	int			total = 0;
	int			nweak = 0;
	int			nresult = 0;
	int			nunique = 0;

	*more = false;
	for (int i = 0; i < nmatches; i++)
	{
		counts[i] = walk_match(&matches[i], false, limit + 1, NULL);
		total += counts[i];
		if (matches[i].weak)
			nweak++;
	}

	for (int i = 0; i < nmatches; i++)
	{
		const Match *match = &matches[i];
		int			share = counts[i];
		int			front;

		if (total > limit)
			share = Min(share, match->weak ? 1 :
						Max((limit - nweak) / (nmatches - nweak), 2));
		if (share < counts[i] && !match->weak)
			*more = true;

		front = share < counts[i] ? (share + 1) / 2 : share;
		nresult += walk_match(match, false, front, result + nresult);
		nresult += walk_match(match, true, share - front, result + nresult);
	}

	/* one that differs only in what is not kept is the same */
	for (int i = 0; i < nresult; i++)
	{
		bool		seen = false;

		for (int j = 0; j < nunique && !seen; j++)
			seen = memcmp(result[i].begin, result[j].begin,
						  sizeof(result[i].begin)) == 0 &&
				memcmp(result[i].end, result[j].end,
					   sizeof(result[i].end)) == 0;
		if (!seen)
			result[nunique++] = result[i];
	}
	return nunique;
}

/* The names of each split, copied.  Returns how many splits are not weak. */
static int
copy_splits(FswLog *result, const char *log, const Spans *spans)
{
	int			nstrong = 0;

	result->splits = palloc0(sizeof(FswLogSplit) * result->nsplits);
	for (int i = 0; i < result->nsplits; i++)
	{
		FswLogSplit *split = &result->splits[i];

		split->weak = spans[i].match->weak;
		if (!split->weak)
			nstrong++;
		for (int f = 0; f < FSW_LOG_KEPT_FIELDS; f++)
		{
			if (spans[i].begin[f] >= 0)
				FSW_SPLIT_FIELD(split, f) = pnstrdup(log + spans[i].begin[f],
													 spans[i].end[f] - spans[i].begin[f]);
		}
	}
	return nstrong;
}

/* What the message says for certain: what all that is not weak agrees on. */
static void
agree(FswLog *result, const FswLogTemplate *first, const Match *matches, int nmatches, int nstrong)
{
	result->action = first->action;
	result->object = first->object;
	result->effect = first->effect;
	result->agreed = result->splits[0];
	for (int i = 1; i < nmatches && !matches[i].weak; i++)
	{
		const FswLogTemplate *other = matches[i].template;

		if (result->action != NULL && strcmp(result->action, other->action) != 0)
			result->action = NULL;
		if (result->object != NULL && strcmp(result->object, other->object) != 0)
			result->object = NULL;
	}
	for (int i = 1; i < nstrong; i++)
	{
		for (int f = 0; f < FSW_LOG_KEPT_FIELDS; f++)
		{
			char	   *mine = FSW_SPLIT_FIELD(&result->agreed, f);
			char	   *other = FSW_SPLIT_FIELD(&result->splits[i], f);

			if (mine != NULL && (other == NULL || strcmp(mine, other) != 0))
				FSW_SPLIT_FIELD(&result->agreed, f) = NULL;
		}
	}
}

/*
 * Parse the message of an audit entry.  related_object_type may be NULL.
 */
FswLog *
fsw_parse_log(const char *log, size_t len, const char *related_object_type)
{
	FswLog	   *result = palloc0(sizeof(FswLog));
	int			types = object_type_set(related_object_type);
	Match		matches[MAX_MATCHES];
	Spans	   *spans;
	int			nmatches = 0;
	int			nstrong;
	int			limit;
	bool		more;

	if (len > MaxAllocSize)
		return result;

	for (int reading = 0; reading < NUM_READINGS && nmatches == 0; reading++)
		nmatches = match_templates(log, (int) len, types, reading, matches);
	if (nmatches == 0)
		return result;

	/*
	 * Each split has copies of its names.  Of a message longer than 64 kB,
	 * which Flagsmith's own limits for names do not allow, we keep fewer.
	 */
	limit = Max(2, Min(FSW_LOG_MAX_SPLITS, 4 * 1024 * 1024 / ((int) len + 1)));
	spans = palloc(sizeof(Spans) * (limit + 2 * MAX_MATCHES));
	result->nsplits = collect_splits(matches, nmatches, limit, spans, &more);
	nstrong = copy_splits(result, log, spans);
	result->ambiguous = nstrong > 1 || more;
	agree(result, spans[0].match->template, matches, nmatches, nstrong);

	for (int i = 0; i < nmatches; i++)
		match_free(&matches[i]);
	pfree(spans);
	return result;
}
