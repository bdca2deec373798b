/*-------------------------------------------------------------------------
 *
 * timeline.c
 *	  Test of src/timeline: from evidence to periods, and what must hold of
 *	  the periods of any evidence.
 *
 * timeline.tsv has a small case for each rule, and lines that ask for random
 * evidence, of which the seed is that of FSW_SEED.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/timeline/act.h"
#include "src/timeline/state_steps.h"
#include "t/unit/evidence.h"
#include "t/unit/shim.h"
#include "t/unit/unit.h"

#undef fprintf

/* As src/read/flag_facts.c has it. */
#define LIFE_SPREAD	INT64CONST(1000000)

/* What does not hold of a text's periods, and of which text. */
static const char *broken;

static void
expect(bool holds, const char *what)
{
	if (!holds && broken == NULL)
		broken = what;
}

static FswTimeline *
build(const char *text, size_t len, Order order, Story **story)
{
	*story = story_read(text, len, order);
	return fsw_timeline_build(&(*story)->flag);
}

/* ---- what must hold ---- */

/* Periods by scope and time, without gaps, each another than the one before. */
static void
check_form(const FswFlag *flag, const FswTimeline *timeline)
{
	for (int i = 0; i < timeline->nperiods; i++)
	{
		const FswPeriod *period = &timeline->periods[i];
		const FswPeriod *before = i > 0 ? period - 1 : NULL;

		expect(period->from < period->to, "a period ends after it begins");
		expect(period->scope >= 0 && period->scope < flag->nscopes, "a period has a scope");
		expect(period->state < flag->nstates && period->state >= FSW_NOT_TOLD, "a period has a state");
		expect(period->evidence >= -1 && period->evidence < flag->nevidence, "a period's evidence is there");
		expect(period->confidence < FSW_CONFIRMED || period->state != FSW_NOT_TOLD, "nothing untold is confirmed");
		if (period->cause == FSW_CAUSE_EVENT || period->cause == FSW_CAUSE_IMPORT)
			expect(period->evidence >= 0 && flag->evidence[period->evidence].scope == period->scope &&
				   flag->evidence[period->evidence].state == period->state, "an event is of the state that it is for");
		if (before == NULL || before->scope != period->scope)
		{
			expect(before == NULL || before->scope < period->scope, "scopes are in order");
			continue;
		}
		expect(before->to == period->from, "periods have no gap");
		expect(before->state != period->state || before->confidence != period->confidence ||
			   before->cause != period->cause || before->evidence != period->evidence,
			   "equal periods are one");
	}
	/* what is gone stays gone */
	for (int i = 0; i < timeline->nperiods && flag->deleted_at != FSW_FOREVER; i++)
	{
		const FswPeriod *period = &timeline->periods[i];

		expect(period->from < flag->deleted_at || period->state == FSW_NOT_LIVE, "nothing lives after its end");
	}
}

/* The period of an instant is found, at its bounds and beside them. */
static void
check_search(const FswTimeline *timeline)
{
	for (int i = 0; i < timeline->nperiods; i++)
	{
		const FswPeriod *period = &timeline->periods[i];
		bool		first = i == 0 || period[-1].scope != period->scope;

		expect(fsw_timeline_at(timeline, period->scope, period->from) == period, "the begin is in a period");
		expect(fsw_timeline_at(timeline, period->scope, period->to - 1) == period, "its last instant is, too");
		if (first && period->from != FSW_NEVER)
			expect(fsw_timeline_at(timeline, period->scope, period->from - 1) == NULL,
				   "there is no period before the first");
	}
}

/* Whatever the order in which the evidence was stored, and whatever states are numbered, the answer is the same. */
static void
check_order(const char *text, size_t len, const char *written, const char *others)
{
	for (Order order = BACKWARDS; order <= BEHIND_MANY; order++)
	{
		Story	   *story;
		FswTimeline *timeline = build(text, len, order, &story);

		expect(story->full || strcmp(story_write(story, timeline), written) == 0,
			   "another order of the evidence gives other periods");
		expect(story->full || strcmp(story_write_others(timeline), others) == 0,
			   "another order of the evidence makes an absence otherwise sure");
	}
}

static bool
is_same_period(const FswPeriod *a, const FswPeriod *b)
{
	return a->scope == b->scope && a->from == b->from && a->to == b->to && a->state == b->state &&
		a->confidence == b->confidence && a->cause == b->cause && a->evidence == b->evidence;
}

/* What nobody asks for has no periods, and changes nothing of the rest. */
static void
check_unasked(const char *text, size_t len, const FswFlag *flag, const FswTimeline *all, const char *others)
{
	for (int scope = 1; scope < flag->nscopes; scope++)
	{
		Story	   *story = story_read(text, len, AS_WRITTEN);
		FswTimeline *rest;
		int			n = 0;
		bool		same = true;

		story->flag.scopes[scope].unasked = true;
		rest = fsw_timeline_build(&story->flag);
		for (int i = 0; i < all->nperiods; i++)
		{
			if (all->periods[i].scope == scope)
				continue;
			same = same && n < rest->nperiods && is_same_period(&rest->periods[n], &all->periods[i]);
			n++;
		}
		expect(same && n == rest->nperiods, "without the periods of a scope those of others are the same");
		expect(strcmp(story_write_others(rest), others) == 0, "without the periods of a scope an absence is as sure");
	}
}

/* Missing entries change no state and take nothing but proof. */
static void
check_holes(const char *text, size_t len, const FswTimeline *before)
{
	Story	   *story;
	FswTimeline *after = build(text, len, AS_WRITTEN, &story);

	fsw_holes_lower(&story->flag, after, story->flag.created_at, story->nholes, story->holes);
	check_form(&story->flag, after);
	for (int i = 0; i < after->nperiods; i++)
	{
		const FswPeriod *now = &after->periods[i];

		/* several that became alike are one */
		for (int64 at = now->from; at < now->to;)
		{
			const FswPeriod *was = fsw_timeline_at(before, now->scope, at);

			expect(was != NULL && was->state == now->state, "missing entries change no state");
			expect(was != NULL && now->confidence == (now->cause == FSW_CAUSE_MISSING_ENTRIES ?
													  FSW_REPORTED : was->confidence),
				   "missing entries make confirmed reported, and nothing else");
			at = was == NULL ? now->to : was->to;
		}
	}
}

/* ---- the short form ---- */

static bool
has_entries(void *source, int64 from, int64 to, bool whole)
{
	const FswFlag *flag = source;

	for (int i = 0; i < flag->nevidence; i++)
	{
		const FswEvidence *piece = &flag->evidence[i];

		if (piece->scope == 0 && piece->kind >= FSW_EV_STATE && piece->kind <= FSW_EV_STATE_DELETED &&
			piece->at >= from && piece->at <= to &&
			(!whole || (piece->kind != FSW_EV_VALUE && piece->kind != FSW_EV_NEAR)))
			return true;
	}
	return false;
}

static int64
environment_end(void *source)
{
	(void) source;
	return FSW_FOREVER;
}

static bool
is_copy(void *source)
{
	return ((const FswFlag *) source)->clone;
}

static int
defaults(void *source)
{
	return ((const FswFlag *) source)->defaults;
}

/* What is read of the events: one step for each time, and what the first says of before. */
static void
read_steps(const FswFlag *flag, FswStateSteps *steps, FswStepsFacts *facts)
{
	for (int i = 0; i < flag->nevidence; i++)
	{
		const FswEvidence *piece = &flag->evidence[i];
		bool		same = steps->n > 0 && steps->from[steps->n - 1] == piece->at;
		int			before = piece->before < 0 ? -1 : flag->states[piece->before].enabled;

		if (piece->scope != 0 || (piece->kind != FSW_EV_BODY && piece->kind != FSW_EV_IMPORT))
			continue;
		if (steps->n == 0 || (steps->n == 1 && same))
			facts->first_before = same && before != facts->first_before ? 2 : before;
		if (!same)
			fsw_steps_add(steps, piece->at, piece->state);
		else
			facts->torn |= steps->state[steps->n - 1] != piece->state;
	}
}

/* What a lookup says of a state, but for its variants: nothing where it is not live or not told. */
static int
shown(const FswFlag *flag, int state)
{
	for (int i = 0; i < state; i++)
	{
		if (flag->states[i].enabled == flag->states[state].enabled && flag->states[i].value == flag->states[state].value)
			return i;
	}
	return Max(state, -1);
}

/* The short form says what the long one says, of flags that it is for. */
static void
check_steps(const FswFlag *flag, const FswTimeline *timeline)
{
	FswStateSteps steps = {0};
	FswStepsFacts facts = {0};
	int64	   *removals = palloc_array(int64, flag->nevidence + 1);

	for (int i = 0; i < flag->nevidence; i++)
	{
		/*
		 * an entry so far outside of its life is about another flag of that
		 * name
		 */
		if (flag->versioned || flag->evidence[i].kind == FSW_EV_DELETED ||
			flag->evidence[i].at < fsw_after(flag->created_at, -LIFE_SPREAD) ||
			flag->evidence[i].at > fsw_after(flag->deleted_at, LIFE_SPREAD))
			return;
		if (flag->evidence[i].kind == FSW_EV_STATE_DELETED && flag->evidence[i].scope == 0)
			removals[facts.nremovals++] = flag->evidence[i].at;
	}
	facts.first_before = -1;
	facts.from_start = true;
	facts.created_at = flag->created_at;
	facts.deleted_at = flag->deleted_at;
	facts.default_enabled = flag->defaults < 0 ? -1 : flag->states[flag->defaults].enabled;
	facts.removals = removals;
	facts.source = unconstify(FswFlag *, flag);
	facts.has_entries = has_entries;
	facts.environment_end = environment_end;
	facts.is_copy = is_copy;
	facts.defaults = defaults;
	read_steps(flag, &steps, &facts);
	if (!fsw_steps_build(&steps, &facts))
		return;
	for (int i = 0; i < timeline->nperiods && timeline->periods[i].scope == 0; i++)
	{
		const FswPeriod *period = &timeline->periods[i];

		expect(shown(flag, fsw_steps_at(&steps, period->from)) == shown(flag, period->state) &&
			   shown(flag, fsw_steps_at(&steps, period->to - 1)) == shown(flag, period->state),
			   "the short form has the state of a period");
	}
	for (int i = 0; i < steps.n; i++)
	{
		const FswPeriod *period = fsw_timeline_at(timeline, 0, steps.from[i]);

		expect(shown(flag, fsw_steps_at(&steps, steps.from[i])) == (period == NULL ? -1 : shown(flag, period->state)),
			   "the timeline has the state of a step");
	}
}

/* All of it, of one text; what does not hold, or NULL. */
static const char *
check_text(const char *text, size_t len)
{
	Story	   *story;
	FswTimeline *timeline = build(text, len, AS_WRITTEN, &story);
	bool		requests = false;

	broken = NULL;
	check_form(&story->flag, timeline);
	check_search(timeline);
	check_order(text, len, story_write(story, timeline), story_write_others(timeline));
	check_unasked(text, len, &story->flag, timeline, story_write_others(timeline));
	check_holes(text, len, timeline);
	for (int i = 0; i < story->flag.nevidence; i++)
		requests |= story->flag.evidence[i].by_nobody;
	if (!requests)
		check_steps(&story->flag, timeline);
	return broken;
}

/* ---- random evidence ---- */

static uint64 seed;

static int
random_of(int n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (int) (seed % n);
}

/* Instants that lie near each other now and then: as far apart as rules look. */
static double
random_instant(void)
{
	static const double offsets[] = {0, 0, 0, 0.05, -0.05, 0.3, -0.3, 0.499999, 0.500001, 0.9, -0.9, 2, -2, 9, 15};

	return 100 + 20 * random_of(5) + offsets[random_of(lengthof(offsets))];
}

static void
random_event(FILE *out, const char *kind, const char *const *states, const char *scope)
{
	static const double delays[] = {0.1, 1, 1, 2.9, 14, 60};
	double		at = random_instant();

	fprintf(out, ";%s %s %.6f..%.6f", kind, scope, at, at + delays[random_of(lengthof(delays))]);
	if (kind[0] != 'd')
		fprintf(out, " %s", states[random_of(4)]);
	if (kind[0] != 'i')
		fprintf(out, " was %s", states[random_of(5)]);
	if (kind[0] != 'i' && random_of(3) == 0)
		fprintf(out, " by p%d", random_of(2));
	if (kind[0] == 'b' && random_of(20) == 0)
		fputs(random_of(2) ? " nobody" : " guessed", out);
	if (kind[0] == 'i' && random_of(4) == 0)
		fputs(" partly", out);
}

static void
random_seen(FILE *out)
{
	static const char *const variants[] = {"on/a", "on/a", "on/a,b:2", "on/a,b:3", "on/b:2", "on"};
	double		at = random_instant();

	fprintf(out, ";seen %.6f..%.6f %s", at, at + 0.1, variants[random_of(lengthof(variants))]);
	if (random_of(3))
		fprintf(out, " was %s%s", variants[random_of(lengthof(variants))], random_of(2) ? " versioned" : "");
}

static void
random_piece(FILE *out, bool versioned, bool deletions)
{
	static const char *const states[] = {"on=1", "off=1", "on=2", "on=2/a", "-"};
	static const char *const scopes[] = {"default", "default", "default", "s1", "s2", "i1"};
	static const char *const entries[] = {"state", "state", "value", "part", "doubt", "removal", "state_deleted", "request", "made"};
	const char *scope = scopes[random_of(6)];
	int			what = random_of(12 + 4 * versioned);

	if (what < 5)
		random_event(out, random_of(8) == 0 ? "import" : "body", states, scope);
	else if (what < 9)
		fprintf(out, ";%s %s %.6f", entries[random_of(random_of(3) ? 4 : 9)], scope, random_instant());
	else if (what == 9 && random_of(2))
		fprintf(out, ";option %.6f %s", random_instant(), random_of(2) ? "added" : "removed");
	else if (what == 9)
		random_seen(out);
	else if (what == 10)
		fprintf(out, ";updated %.6f", random_instant());
	else if (what == 11 && deletions)
		random_event(out, "deleted", states, "default");
	else if (what < 14)
	{
		double		at = random_instant();

		fprintf(out, ";version u%d %.6f..%.6f", random_of(6), at, at + random_of(20));
	}
	else
	{
		fprintf(out, ";list u%d %.6f", random_of(6), random_instant());
		if (random_of(3) == 0)
			fprintf(out, " by p%d", random_of(2));
		for (int i = random_of(4); i >= 0; i--)
			fprintf(out, " %s", states[random_of(4)]);
	}
}

/* A text of evidence; the caller frees it. */
static char *
random_text(bool versioned)
{
	char	   *text;
	size_t		len;
	FILE	   *out = open_memstream(&text, &len);
	bool		deletions = random_of(3) == 0;

	fprintf(out, "scope s1%s;scope s2%s;scope i1%s", random_of(8) ? "" : " ended 150", random_of(8) ? "" : " silent",
			random_of(8) ? "" : " unnamed");
	if (random_of(3))
		fprintf(out, ";born %.6f", random_of(2) ? 50 : random_instant());
	if (random_of(4) == 0)
		fprintf(out, ";gone %.6f%s", random_instant() + 40, random_of(2) ? " exactly" : "");
	if (random_of(3))
		fprintf(out, ";defaults %s%s", random_of(2) ? "on=1" : "off=1", random_of(2) ? " complete" : "");
	fprintf(out, "%s%s%s", random_of(4) ? "" : ";clone", random_of(2) ? "" : ";options_told", versioned ? ";versioned" : "");
	if (random_of(2))
	{
		double		at = random_instant();

		fprintf(out, ";hole %.6f..%.6f;news 250", at, at + random_of(30));
	}
	for (int i = random_of(14); i >= 0; i--)
		random_piece(out, versioned, deletions);
	fclose(out);
	return text;
}

/* Leave out of a text what it takes for nothing that the same does not hold. */
static void
shrink(char *text, const char *what)
{
	for (char *p = strchr(text, ';'); p != NULL;)
	{
		char	   *next = strchr(p + 1, ';');
		char	   *tried = pnstrdup(text, p - text + (next == NULL ? 0 : strlen(next)));

		strcpy(tried + (p - text), next == NULL ? "" : next);
		if (check_text(tried, strlen(tried)) == what)
		{
			strcpy(text, tried);
			p = *p == '\0' ? NULL : p;
		}
		else
			p = next;
	}
}

/* So many texts; the first of which not all holds is told, as short as it can be. */
static void
try_random(const char *name, const char *words)
{
	const char *given = getenv("FSW_SEED");
	bool		versioned = strstr(words, "versioned") != NULL;
	char	   *text = NULL;
	const char *what = NULL;

	seed = (given == NULL ? 1 : strtoull(given, NULL, 10)) * UINT64CONST(0x9e3779b97f4a7c15) + 1;
	for (int i = atoi(words); i > 0 && what == NULL; i--)
	{
		free(text);
		text = random_text(versioned);
		what = check_text(text, strlen(text));
		if (what != NULL)
			shrink(text, what);
		shim_reset();
	}
	unit_is(what == NULL ? "" : psprintf("%s: %s", what, text), "", name);
	free(text);
}

void
unit_check(const uint8_t *data, size_t size)
{
	const char *what = check_text((const char *) data, size);

	if (what != NULL)
	{
		fprintf(stderr, "%s: %.*s\n", what, (int) size, (const char *) data);
		abort();
	}
	shim_reset();
}

/*
 * fields: name, evidence, periods, and what is known of other overrides;
 * or name and how many random texts
 */
void
unit_case(const Field *fields, int nfields)
{
	Story	   *story;
	FswTimeline *timeline;

	if (nfields == 2)
	{
		try_random(fields[0].data, fields[1].data);
		return;
	}
	if (nfields < 2)
	{
		unit_is("", "name, evidence and periods", fields[0].data);
		return;
	}
	timeline = build(fields[1].data, fields[1].len, AS_WRITTEN, &story);
	fsw_holes_lower(&story->flag, timeline, story->flag.created_at, story->nholes, story->holes);
	unit_is(story->unread != NULL ? story->unread : story_write(story, timeline), fields[2].data, fields[0].data);
	if (nfields > 3)
		unit_is(story_write_others(timeline), fields[3].data, fields[0].data);
	shim_reset();
}
