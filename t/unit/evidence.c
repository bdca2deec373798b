/*-------------------------------------------------------------------------
 *
 * evidence.c
 *	  Evidence about a flag as text, and the periods that are made of it.
 *
 * Any bytes are evidence of something: a piece that means nothing is left out,
 * and so is what there is no room for, so that this is a fuzz target's reader
 * as well.
 *
 *-------------------------------------------------------------------------
 */
#include "t/unit/evidence.h"

#include <ctype.h>

#undef fprintf

#define MAX_WORDS	(MAX_LISTED + 5)
#define SECOND		INT64CONST(1000000)

/* One piece of the text, as words, while it is taken from left to right. */
typedef struct Piece
{
	Story	   *story;
	int			nwords;
	char	   *words[MAX_WORDS];
	int			next;
	bool		wrong;
	uint64		digest;			/* of its text */
} Piece;

static uint64
hash_bytes(uint64 hash, const char *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		hash = (hash ^ (unsigned char) bytes[i]) * UINT64CONST(0x100000001b3);
	return hash;
}

/* ---- words ---- */

static const char *
take(Piece *piece)
{
	if (piece->next < piece->nwords)
		return piece->words[piece->next++];
	piece->wrong = true;
	return "";
}

/* Is the next word this one?  Then it is taken. */
static bool
take_word(Piece *piece, const char *word)
{
	if (piece->next == piece->nwords || strcmp(piece->words[piece->next], word) != 0)
		return false;
	piece->next++;
	return true;
}

/* Seconds, with up to six digits behind the point. */
static int64
read_seconds(Piece *piece, const char **p)
{
	bool		negative = **p == '-';
	int64		whole = 0;
	int64		part = 0;
	int			digits = 0;

	*p += negative;
	if (!isdigit((unsigned char) **p))
		piece->wrong = true;
	for (; isdigit((unsigned char) **p) && digits < 9; digits++)
		whole = whole * 10 + *(*p)++ - '0';
	if (**p == '.' && isdigit((unsigned char) (*p)[1]))
	{
		++*p;
		for (digits = 0; digits < 6; digits++)
			part = part * 10 + (isdigit((unsigned char) **p) ? *(*p)++ - '0' : 0);
	}
	return (negative ? -1 : 1) * (whole * SECOND + part);
}

static int64
take_time(Piece *piece)
{
	const char *p = take(piece);
	int64		at = read_seconds(piece, &p);

	piece->wrong |= *p != '\0';
	return at;
}

/* FROM..TO, or one instant alone, which is both.  Clocks differ: an arrival can seem to be earlier. */
static int64
take_times(Piece *piece, int64 *to)
{
	const char *p = take(piece);
	int64		from = read_seconds(piece, &p);

	*to = from;
	if (p[0] == '.' && p[1] == '.')
	{
		p += 2;
		*to = read_seconds(piece, &p);
	}
	piece->wrong |= *p != '\0';
	return from;
}

/* VARIANT,VARIANT: each is an option, and behind a colon its percentage. */
static const FswShare *
read_shares(const char *variants, int n)
{
	const uint64 seed = UINT64CONST(0xcbf29ce484222325);
	FswShare   *shares = palloc_array(FswShare, n);

	for (int i = 0; i < n; i++, variants++)
	{
		const char *end = variants + strcspn(variants, ",");
		const char *option = variants + strcspn(variants, ",:");

		shares[i].option = hash_bytes(seed, variants, option - variants);
		shares[i].percentage = hash_bytes(seed, option, end - option);
		variants = end;
	}
	fsw_shares_sort(shares, n);
	return shares;
}

/* The index of a state as it is written; FSW_NOT_TOLD where that can't be read. */
int
story_find_state(Story *story, const char *word)
{
	FswFlag    *flag = &story->flag;
	FswState	state = {0};
	const char *rest;
	const char *variants;
	const uint64 seed = UINT64CONST(0xcbf29ce484222325);

	for (int i = 0; i < flag->nstates; i++)
	{
		if (strcmp(word, story->states[i]) == 0)
			return i;
	}
	state.enabled = strncmp(word, "on", 2) == 0;
	rest = word + (state.enabled ? 2 : 3);
	if (flag->nstates == story->maxstates)
		story->full = true;
	if ((!state.enabled && strncmp(word, "off", 3) != 0) || strchr("=/", *rest) == NULL ||
		flag->nstates == story->maxstates)
		return FSW_NOT_TOLD;
	variants = strchr(rest, '/');
	state.has_variants = variants != NULL;
	for (const char *p = variants; p != NULL; p = strchr(p + 1, ','))
		state.nvariants++;
	state.each = variants == NULL ? NULL : read_shares(variants + 1, state.nvariants);
	state.value = hash_bytes(seed, rest, variants == NULL ? strlen(rest) : (size_t) (variants - rest));
	state.rest = hash_bytes(seed, rest, strlen(rest));
	state.shares = variants == NULL ? 0 : hash_bytes(seed, variants, strlen(variants));
	state.content = hash_bytes(seed, word, strlen(word));
	story->states[flag->nstates] = pnstrdup(word, strlen(word));
	flag->states[flag->nstates] = state;
	return flag->nstates++;
}

/* on or off, with =VALUE and /VARIANT,VARIANT; - for none, ? for not told. */
static int
take_state(Piece *piece)
{
	const char *word = take(piece);
	int			state;

	if (strcmp(word, "-") == 0 || strcmp(word, "?") == 0)
		return *word == '-' ? FSW_NOT_LIVE : FSW_NOT_TOLD;
	state = story_find_state(piece->story, word);
	piece->wrong |= state < 0;
	return state;
}

/* default, s and a digit for a segment's override, i and a digit for an identity's. */
static int
take_scope(Piece *piece)
{
	const char *word = take(piece);
	Story	   *story = piece->story;

	for (int i = 0; i < story->flag.nscopes; i++)
	{
		if (strcmp(word, story->scopes[i]) == 0)
			return i;
	}
	piece->wrong = true;
	return 0;
}

/* ---- pieces ---- */

/* What evidence about one scope is called. */
static const struct
{
	const char *word;
	FswEvidenceKind kind;
}			entry_words[] = {
	{"state", FSW_EV_STATE},
	{"value", FSW_EV_VALUE},
	{"part", FSW_EV_NEAR},
	{"made", FSW_EV_NEAR},
	{"doubt", FSW_EV_DOUBT},
	{"request", FSW_EV_REQUEST},
	{"removal", FSW_EV_REMOVAL},
	{"state_deleted", FSW_EV_STATE_DELETED}
};

static FswEvidence *
add_evidence(Piece *piece, FswEvidenceKind kind)
{
	static FswEvidence ignored;
	FswFlag    *flag = &piece->story->flag;
	FswEvidence *evidence = &ignored;

	if (flag->nevidence < MAX_EVIDENCE)
		evidence = &flag->evidence[flag->nevidence];
	else
		piece->wrong = piece->story->full = true;
	memset(evidence, 0, sizeof(FswEvidence));
	evidence->kind = kind;
	evidence->state = FSW_NOT_TOLD;
	evidence->before = FSW_NOT_TOLD;
	evidence->digest = piece->digest;
	evidence->row = flag->nevidence;
	return evidence;
}

/* by NAME: who saved or published it. */
static uint64
take_person(Piece *piece)
{
	const char *name;

	if (!take_word(piece, "by"))
		return 0;
	name = take(piece);
	return hash_bytes(0, name, strlen(name));
}

/* What stands behind a scope and its times in an event or an import. */
static void
read_state(Piece *piece, FswEvidence *evidence)
{
	if (evidence->kind != FSW_EV_DELETED)
		evidence->state = take_state(piece);
	if (evidence->state == FSW_NOT_TOLD && evidence->kind != FSW_EV_DELETED)
		piece->wrong = true;
	if (take_word(piece, "was"))
		evidence->before = take_state(piece);
	evidence->person = take_person(piece);
	evidence->by_nobody = take_word(piece, "nobody");
	evidence->guessed = take_word(piece, "guessed");
	evidence->variants_untold = take_word(piece, "partly") && evidence->kind == FSW_EV_IMPORT;
}

static bool
read_entry(Piece *piece, const char *word)
{
	FswEvidence *evidence;

	for (size_t i = 0; i < lengthof(entry_words); i++)
	{
		if (strcmp(word, entry_words[i].word) != 0)
			continue;
		evidence = add_evidence(piece, entry_words[i].kind);
		evidence->scope = take_scope(piece);
		evidence->at = take_times(piece, &evidence->arrived);
		evidence->creation = word[0] == 'm';
		/* the environment default has no name and cannot be removed */
		piece->wrong |= evidence->scope == 0 && (evidence->kind == FSW_EV_DOUBT || evidence->kind == FSW_EV_REMOVAL);
		return true;
	}
	return false;
}

static void
read_list(Piece *piece, FswEvidence *evidence)
{
	const char *uuid = take(piece);

	evidence->version = hash_bytes(0, uuid, strlen(uuid));
	evidence->at = take_times(piece, &evidence->arrived);
	if (evidence->kind == FSW_EV_VERSION)
		return;
	/* a list tells no time of its own */
	evidence->at = evidence->arrived;
	evidence->person = take_person(piece);
	evidence->list = palloc_array(int, MAX_LISTED);
	while (piece->next < piece->nwords && evidence->nlist < MAX_LISTED)
	{
		int			state = take_state(piece);

		piece->wrong |= state < 0;
		evidence->list[evidence->nlist++] = state;
	}
}

static bool
read_evidence(Piece *piece, const char *word)
{
	bool		imported = strcmp(word, "import") == 0;
	bool		deleted = strcmp(word, "deleted") == 0;
	FswEvidence *evidence;

	if (imported || deleted || strcmp(word, "body") == 0)
	{
		evidence = add_evidence(piece, imported ? FSW_EV_IMPORT : deleted ? FSW_EV_DELETED : FSW_EV_BODY);
		evidence->scope = take_scope(piece);
		evidence->at = take_times(piece, &evidence->arrived);
		read_state(piece, evidence);
	}
	else if (strcmp(word, "version") == 0 || strcmp(word, "list") == 0)
		read_list(piece, add_evidence(piece, *word == 'v' ? FSW_EV_VERSION : FSW_EV_LIST));
	else if (strcmp(word, "option") == 0)
	{
		evidence = add_evidence(piece, FSW_EV_OPTION);
		evidence->at = take_times(piece, &evidence->arrived);
		evidence->step = take_word(piece, "added") ? 1 : take_word(piece, "removed") ? -1 : 0;
	}
	else
		return read_entry(piece, word);
	return true;
}

/* The variants that an event of some environment shows. */
static void
read_seen(Piece *piece)
{
	Story	   *story = piece->story;
	int64		to;
	int64		from = take_times(piece, &to);
	FswSeen		seen = {.heard = FSW_NEVER,.before = FSW_NOT_TOLD};

	seen.state = take_state(piece);
	if (take_word(piece, "was"))
		seen.before = take_state(piece);
	seen.versioned = take_word(piece, "versioned");
	if (take_word(piece, "heard"))
		seen.heard = take_time(piece);
	piece->wrong |= seen.state < 0 || seen.before == FSW_NOT_LIVE;
	if (piece->wrong || story->nseen == MAX_SEEN)
		return;
	story->seen_from[story->nseen] = from;
	story->seen_to[story->nseen] = to;
	story->seen[story->nseen++] = seen;
}

/* What is known of the flag beside the evidence; false if it is no such word. */
static bool
read_fact(Piece *piece, const char *word)
{
	Story	   *story = piece->story;
	FswFlag    *flag = &story->flag;

	if (strcmp(word, "born") == 0)
		flag->created_at = take_time(piece);
	else if (strcmp(word, "gone") == 0)
	{
		flag->deleted_at = take_time(piece);
		flag->deleted_exactly = take_word(piece, "exactly");
		flag->deleted_with = take_word(piece, "environment") ? FSW_CAUSE_ENVIRONMENT_DELETED :
			FSW_CAUSE_FEATURE_DELETED;
	}
	else if (strcmp(word, "news") == 0)
		flag->latest_audit_at = take_time(piece);
	else if (strcmp(word, "defaults") == 0)
	{
		flag->defaults = take_state(piece);
		piece->wrong |= flag->defaults < 0;
		flag->defaults_complete = take_word(piece, "complete");
		flag->start_untold = take_word(piece, "untold");
	}
	else if (strcmp(word, "versioned") == 0)
		flag->versioned = true;
	else if (strcmp(word, "clone") == 0)
		flag->clone = true;
	else if (strcmp(word, "options_told") == 0)
		flag->creation_told = true;
	else if (strcmp(word, "seen") == 0)
		read_seen(piece);
	else if (strcmp(word, "hole") == 0)
	{
		FswHole		hole;

		hole.from = take_times(piece, &hole.until);
		piece->wrong |= hole.until < hole.from;
		if (story->nholes < MAX_HOLES && !piece->wrong)
			story->holes[story->nholes++] = hole;
	}
	else
		return false;
	return true;
}

static bool
is_fact(const char *word)
{
	Story		nothing = {0};
	FswState	states[1];
	Piece		piece = {.story = &nothing};

	nothing.flag.states = states;
	return read_fact(&piece, word);
}

/* scope NAME, then what is known of it. */
static void
read_scope(Piece *piece)
{
	const char *name = take(piece);
	FswFlag    *flag = &piece->story->flag;
	FswScope   *scope = &flag->scopes[flag->nscopes];

	if (strchr("si", *name) == NULL || !isdigit((unsigned char) name[0 + (*name != '\0')]) || name[2] != '\0' ||
		flag->nscopes == MAX_SCOPES)
	{
		piece->wrong = true;
		return;
	}
	for (int i = 0; i < flag->nscopes; i++)
	{
		if (strcmp(name, piece->story->scopes[i]) == 0)
			piece->wrong = true;
	}
	if (piece->wrong)
		return;
	memset(scope, 0, sizeof(FswScope));
	scope->kind = *name == 's' ? FSW_SCOPE_SEGMENT : FSW_SCOPE_IDENTITY;
	scope->ended = take_word(piece, "ended") ? take_time(piece) : FSW_FOREVER;
	scope->silent = take_word(piece, "silent");
	scope->unnamed = take_word(piece, "unnamed");
	strcpy(piece->story->scopes[flag->nscopes++], name);
}

/* ---- the text ---- */

/* Cut a piece into words; false if there are none, or too many. */
static bool
cut(Piece *piece, char *text, size_t len)
{
	piece->nwords = 0;
	piece->next = 0;
	piece->wrong = false;
	piece->digest = hash_bytes(UINT64CONST(0xcbf29ce484222325), text, len);
	for (char *p = text; p < text + len;)
	{
		char	   *end;

		if (*p == ' ' || *p == '\0')
		{
			*p++ = '\0';
			continue;
		}
		for (end = p; end < text + len && *end != ' ' && *end != '\0'; end++)
			;
		if (piece->nwords == MAX_WORDS)
			return false;
		piece->words[piece->nwords++] = p;
		p = end;
	}
	text[len] = '\0';
	return piece->nwords > 0;
}

/* What is read first: what a piece can mean depends on the scopes. */
typedef enum Pass
{
	PASS_SCOPES,
	PASS_FACTS,
	PASS_EVIDENCE
} Pass;

/* One piece, if it is of that pass; in the last one, what is of none is told. */
static void
read_piece(Story *story, char *text, Pass pass)
{
	Piece		piece = {.story = story};
	FswFlag    *flag = &story->flag;
	size_t		len = strlen(text);
	char	   *copy = pnstrdup(text, len);
	const char *word;

	if (!cut(&piece, text, len))
		return;
	word = take(&piece);
	if (pass == PASS_SCOPES)
	{
		if (strcmp(word, "scope") != 0)
			return;
		read_scope(&piece);
	}
	else if (pass == PASS_FACTS)
	{
		if (!read_fact(&piece, word))
			return;
	}
	else if (read_evidence(&piece, word))
		flag->nevidence += !piece.wrong;
	else if (!is_fact(word) && strcmp(word, "scope") != 0)
		piece.wrong = true;
	else
		return;
	if ((piece.wrong || piece.next < piece.nwords) && story->unread == NULL)
		story->unread = copy;
}

/* The pieces of a text, in an order. */
static void
read_pieces(Story *story, const char *text, size_t len, Order order, Pass pass)
{
	char	   *copy = pnstrdup(text, len);
	char	   *pieces[4 * MAX_EVIDENCE];
	int			n = 0;

	for (char *p = copy; p != NULL && n < (int) lengthof(pieces); n++)
	{
		pieces[n] = p;
		p = strchr(p, ';');
		if (p != NULL)
			*p++ = '\0';
	}
	for (int i = 0; i < n; i++)
		read_piece(story, pieces[order == BACKWARDS ? n - 1 - i :
								 order == AS_WRITTEN || order == BEHIND_MANY ? i : i < n / 2 ? 2 * i + 1 : 2 * (i - n / 2)], pass);
}

/* The latest entry of the project is one of those that there are, at least. */
static void
find_news(FswFlag *flag)
{
	for (int i = 0; i < flag->nevidence; i++)
	{
		const FswEvidence *piece = &flag->evidence[i];

		if (piece->kind >= FSW_EV_STATE && piece->kind != FSW_EV_LIST)
			flag->latest_audit_at = Max(flag->latest_audit_at, piece->at);
	}
}

Story *
story_read(const char *text, size_t len, Order order)
{
	Story	   *story = palloc0(sizeof(Story));
	FswFlag    *flag = &story->flag;

	flag->states = palloc0_array(FswState, MANY_STATES + MAX_STATES);
	story->maxstates = MAX_STATES;
	for (; order == BEHIND_MANY && flag->nstates < MANY_STATES; flag->nstates++, story->maxstates++)
		story->states[flag->nstates] = "";
	flag->combine = story_combine;
	flag->adopt = story_adopt;
	flag->combine_with = story;
	flag->see = story_see;
	flag->see_with = story;
	flag->scopes = palloc0_array(FswScope, MAX_SCOPES);
	flag->evidence = palloc_array(FswEvidence, MAX_EVIDENCE);
	flag->created_at = FSW_NEVER;
	flag->deleted_at = FSW_FOREVER;
	flag->deleted_with = FSW_CAUSE_FEATURE_DELETED;
	flag->latest_audit_at = FSW_NEVER;
	flag->defaults = FSW_NOT_TOLD;
	flag->nscopes = 1;
	flag->scopes[0].ended = FSW_FOREVER;
	strcpy(story->scopes[0], "default");
	read_pieces(story, text, len, AS_WRITTEN, PASS_SCOPES);
	read_pieces(story, text, len, AS_WRITTEN, PASS_FACTS);
	read_pieces(story, text, len, order, PASS_EVIDENCE);
	for (int i = 0; i < flag->nscopes; i++)
		flag->scopes[i].created_at = flag->created_at;
	find_news(flag);
	return story;
}

static void
write_time(FILE *out, int64 at)
{
	int64		part = at % SECOND;

	if (at == FSW_NEVER || at == FSW_FOREVER)
		return;
	if (part == 0)
		fprintf(out, "%lld", (long long) (at / SECOND));
	else
	{
		char		digits[8];
		int			len = 6;

		snprintf(digits, sizeof(digits), "%06d", (int) (part < 0 ? -part : part));
		while (digits[len - 1] == '0')
			len--;
		fprintf(out, "%s%lld.%.*s", at < 0 ? "-" : "", (long long) (at < 0 ? -(at / SECOND) : at / SECOND),
				len, digits);
	}
}

static char *
finish(FILE *out, char **buffer, size_t *len)
{
	char	   *copy;

	fclose(out);
	copy = pnstrdup(*buffer, *len);
	free(*buffer);
	return copy;
}

/* [SCOPE] FROM..TO STATE CONFIDENCE CAUSE; … */
char *
story_write(const Story *story, const FswTimeline *timeline)
{
	char	   *buffer;
	size_t		len;
	FILE	   *out = open_memstream(&buffer, &len);

	for (int i = 0; i < timeline->nperiods; i++)
	{
		const FswPeriod *period = &timeline->periods[i];

		fputs(i > 0 ? "; " : "", out);
		if (i == 0 || period->scope != timeline->periods[i - 1].scope)
			fprintf(out, "%s ", story->scopes[period->scope]);
		write_time(out, period->from);
		fputs("..", out);
		write_time(out, period->to);
		fprintf(out, " %s %s %s", period->state == FSW_NOT_LIVE ? "-" : period->state < 0 ? "?" :
				story->states[period->state],
				fsw_confidence_names[period->confidence], fsw_cause_names[period->cause]);
	}
	return finish(out, &buffer, &len);
}

/* How sure it is that there is no override but those told, and of their order. */
char *
story_write_others(const FswTimeline *timeline)
{
	char	   *buffer;
	size_t		len;
	FILE	   *out = open_memstream(&buffer, &len);
	const FswTimeline *others = timeline->others;

	for (int i = 0; others != NULL && i < others->nperiods; i++)
	{
		fputs(i > 0 ? "; " : "", out);
		write_time(out, others->periods[i].from);
		fputs("..", out);
		write_time(out, others->periods[i].to);
		fprintf(out, " %s", fsw_confidence_names[others->periods[i].confidence]);
	}
	for (int i = 0; i < timeline->nreorders; i++)
	{
		fputs("; order ", out);
		write_time(out, timeline->reorders[i]);
	}
	return finish(out, &buffer, &len);
}
