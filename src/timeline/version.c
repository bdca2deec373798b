/*-------------------------------------------------------------------------
 *
 * src/timeline/version.c
 *	  The timeline of what is published in versions.
 *
 * With feature versioning, one act publishes a version: the states of the
 * environment default and of all segment overrides at once.  It is told by
 * up to three kinds of delivery, in any order: a flag event for each state
 * that differs from the version before, with a previous state that can be
 * trusted; the list of all states, without naming segments; and an audit
 * entry.  Here they are put together to versions, the versions are put in
 * the order in which they went live, and the state of every scope is carried
 * from each to the next, comparing as it goes (version_list.c).
 * version_gather.c, version_match.c, version_order.c, version_never.c and
 * version_write.c have the steps before and after.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/timeline/version.h"

typedef struct Carry
{
	FswVersions set;
	FswTimeline **before;		/* by scope, up to the switch; NULL for none */
	int		   *current;		/* state of each scope */
	int		   *nstretches;
	int		   *maxstretches;
	FswStretch **stretches;
	bool		suspect;		/* an event of the version does not fit, so
								 * that it may not have been live */
	FswTimeline *others;		/* that there is no override but those told */
	int64		complete;		/* since when no list is missing; FSW_NEVER */
	int			nreorders;
	int64	   *reorders;
} Carry;

static FswStretch *
last_stretch(Carry *carry, int scope)
{
	if (carry->nstretches[scope] == 0)
		return NULL;
	return &carry->stretches[scope][carry->nstretches[scope] - 1];
}

/* The state of a scope is another one from a version on. */
static FswStretch *
begin_stretch(Carry *carry, int scope, int version, int state,
			  FswConfidence confidence, FswCause cause, int evidence)
{
	FswStretch *stretch;

	if (carry->nstretches[scope] == carry->maxstretches[scope])
	{
		int			max = Max(8, carry->maxstretches[scope] * 2);

		if (carry->stretches[scope] == NULL)
			carry->stretches[scope] = palloc_array(FswStretch, max);
		else
			carry->stretches[scope] = repalloc_huge(carry->stretches[scope],
													max * sizeof(FswStretch));
		carry->maxstretches[scope] = max;
	}
	stretch = &carry->stretches[scope][carry->nstretches[scope]++];
	memset(stretch, 0, sizeof(FswStretch));
	stretch->state = state;
	stretch->before = FSW_NOT_SEEN;
	stretch->confidence = confidence;
	stretch->cause = cause;
	stretch->evidence = evidence;
	stretch->last_listed = FSW_NEVER;
	stretch->first_untold = -1;
	stretch->untold_after = -1;
	stretch->silent_after = -1;
	stretch->version = version;
	if (version >= 0)
	{
		stretch->from = carry->set.versions[version].live;
		stretch->earliest = carry->set.versions[version].earliest;
		stretch->latest = carry->set.versions[version].latest;
	}
	return stretch;
}

/*
 * A version's list has the state.  One that may not have been live says no more than
 * that nothing else is told; one that seems to have been scheduled not even that of
 * what was published after it, since its list may as well be late.
 */
static void
agree(const Carry *carry, FswStretch *stretch, int index, bool suspect)
{
	const FswVersion *version = &carry->set.versions[index];
	int			untold = stretch->untold_after;

	if (untold < 0 || !version->scheduled || version->nevents > 0 || carry->set.versions[untold].entry <= version->entry)
		stretch->untold_after = stretch->silent_after = -1;
	if (suspect && stretch->version != index)
		return;
	if (!stretch->listed)
		stretch->first_listed = version->latest;
	stretch->listed = true;
	stretch->awaits = version->awaits;
	stretch->last_listed = Max(stretch->last_listed, version->earliest);
	/* the list of another version is a piece of evidence of its own */
	if (stretch->version != index)
		stretch->suspect = stretch->unfit = false;
}

/* The environment default before the first version that was told. */
static void
begin_initial(Carry *carry)
{
	FswFlag    *flag = carry->set.flag;
	FswStart	start = fsw_version_start(&carry->set);
	FswStretch *stretch;

	stretch = begin_stretch(carry, 0, -1, start.state, start.confidence, start.cause, start.evidence);
	stretch->initial = true;
	stretch->from = flag->created_at;
	if (flag->created_at == FSW_NEVER)
	{
		stretch->from = FSW_FOREVER;
		for (int i = 0; i < carry->set.nversions; i++)
		{
			FSW_INTERRUPT();
			stretch->from = Min(stretch->from, carry->set.versions[i].earliest);
		}
	}
	stretch->earliest = stretch->from;
	stretch->latest = stretch->from;
	carry->current[0] = start.state;
}

/*
 * Where states were saved one by one before the first version, what was held
 * then holds on.  An override may have been there that is not told of; then
 * the first list, which is complete, shows it.
 */
static void
begin_after_switch(Carry *carry)
{
	for (int i = 0; i < carry->set.nused; i++)
	{
		int			scope = carry->set.used[i];
		const FswTimeline *before = carry->before[scope];
		const FswPeriod *period = before->nperiods > 0 ? &before->periods[before->nperiods - 1] : NULL;
		FswStretch *stretch;

		FSW_INTERRUPT();
		if (period == NULL || period->to < carry->set.begin)
			continue;
		stretch = begin_stretch(carry, scope, -1, period->state, Min(period->confidence, FSW_REPORTED),
								period->cause, period->evidence);
		stretch->from = carry->set.begin;
		stretch->earliest = carry->set.begin;
		stretch->latest = carry->set.begin;
	}
}

/* What is held of each scope when the first version comes. */
static void
seed_states(Carry *carry)
{
	for (int i = 0; i < carry->set.nused; i++)
	{
		int			scope = carry->set.used[i];
		const FswTimeline *before = carry->before == NULL ? NULL : carry->before[scope];
		const FswPeriod *period;

		FSW_INTERRUPT();
		if (before == NULL || before->nperiods == 0)
			continue;
		period = &before->periods[before->nperiods - 1];
		if (period->to < carry->set.begin)
			continue;
		if (period->state != FSW_NOT_TOLD && period->confidence > FSW_UNKNOWN)
			carry->set.seed[scope] = period->state;
		else
			carry->set.seed[scope] = scope == 0 ? FSW_NOT_SEEN : FSW_LOST;
	}
	memcpy(carry->current, carry->set.seed, carry->set.flag->nscopes * sizeof(int));
}

/*
 * Does an event follow what a list alone says, and tell what was there before that?
 * Then it may be that of a version that was announced and never live.
 */
static bool
is_announced(const Carry *carry, const FswEvidence *event, const FswStretch *held)
{
	return event->scope == 0 && held->suspect && held->before == FSW_NOT_SEEN &&
		carry->nstretches[0] > 1 && held[-1].state == event->state;
}

/* What the events of a version say. */
static void
carry_events(Carry *carry, int index)
{
	FswFlag    *flag = carry->set.flag;
	FswVersion *version = &carry->set.versions[index];
	int		   *current = carry->current;
	FswStretch *stretch;

	/* a list alone that came late may be that of an earlier version */
	carry->suspect = version->scheduled && version->nevents == 0;
	for (int i = 0; i < version->nevents; i++)
	{
		const FswEvidence *event = &flag->evidence[version->events[i]];
		int			was = current[event->scope];
		bool		misfit;
		bool		follows;
		bool		explained;

		FSW_INTERRUPT();
		stretch = last_stretch(carry, event->scope);
		/* an import that says the same is a second piece of evidence, but of a guess the first */
		if (event->kind == FSW_EV_IMPORT && stretch != NULL && was == event->state && event->state >= 0 &&
			stretch->confidence >= FSW_REPORTED)
		{
			agree(carry, stretch, index, false);
			continue;
		}
		current[event->scope] = event->state;
		if (was == FSW_NOT_SEEN)
			was = event->scope == 0 || flag->near ? event->before : FSW_NOT_LIVE;
		misfit = fsw_version_is_unfit(&carry->set, event, was, stretch);
		follows = stretch != NULL && stretch->unfit && stretch->suspect;
		/* what is between them changed it, although nobody told to what */
		explained = stretch != NULL && stretch->nuntold > 0;
		if (stretch != NULL)
			stretch->unfit |= is_announced(carry, event, stretch);
		stretch = begin_stretch(carry, event->scope, index, event->state,
								FSW_REPORTED, event->kind == FSW_EV_IMPORT ?
								FSW_CAUSE_IMPORT : FSW_CAUSE_EVENT,
								version->events[i]);
		stretch->before = event->before;
		/*
		 * its own list does not say what was before it; and one that follows
		 * another which did not fit may be from before what was live as well
		 */
		stretch->unfit = misfit && !explained;
		stretch->suspect = version->never || version->unsure || misfit || follows;
		carry->suspect |= stretch->suspect;
	}
	for (int i = 0; i < version->nevents && carry->suspect; i++)
	{
		stretch = last_stretch(carry, flag->evidence[version->events[i]].scope);
		stretch->suspect |= stretch->version == index;
	}
	version->fits &= !carry->suspect;
}

/* What a deletion says of a version's environment default, of which no event came. */
static void
carry_deletion(Carry *carry, int index)
{
	const FswVersion *version = &carry->set.versions[index];
	int			was = carry->current[0];
	int			state = carry->set.flag->evidence[version->deleted].before;
	FswStretch *stretch;

	if (state == was)
		return;
	carry->current[0] = state;
	/* without its list, it may have been scheduled and never live */
	stretch = begin_stretch(carry, 0, index, state, version->list != NULL ? FSW_REPORTED : FSW_INFERRED,
							FSW_CAUSE_PREVIOUS_STATE, version->deleted);
	/* what changes it sends an event, and none came */
	stretch->suspect = fsw_version_other_default(carry->set.flag, was, state);
}

/* Did the entry of a version that a deletion dates come so long after it that it may be another one's? */
static bool
is_far_deletion(const FswVersion *version)
{
	return version->entry != FSW_NEVER && fsw_apart(version->entry, version->time) > FSW_CLOCKS;
}

/* A version without a list says nothing of the scopes without an event. */
static void
carry_silence(Carry *carry, int index)
{
	const FswVersion *version = &carry->set.versions[index];

	for (int i = 0; i < carry->set.nused; i++)
	{
		FswStretch *stretch = last_stretch(carry, carry->set.used[i]);

		FSW_INTERRUPT();
		if (stretch == NULL || stretch->version == index || version->imported ||
			(carry->set.used[i] == 0 && version->deleted >= 0 && !is_far_deletion(version)))
			continue;
		if (stretch->nuntold++ == 0)
			stretch->first_untold = index;
		if (stretch->untold_after < 0)
			stretch->untold_after = index;
		if (stretch->silent_after < 0 && version->nevents == 0)
			stretch->silent_after = index;
	}
}

/*
 * An environment default that a list brought without an event can be that of a
 * version from before the one which it contradicts, of which the list came late.
 * So can be that of another list, if its version may be from before that, too: it
 * says no more.
 */
static bool
says_no_more(const Carry *carry, const FswStretch *stretch, const FswVersion *version)
{
	return stretch->suspect && stretch->cause == FSW_CAUSE_VERSION_LIST && carry->nstretches[0] > 1 &&
		fsw_version_may_follow(&carry->set, stretch - 1, version);
}

/* The first state of a list is the environment default. */
static void
carry_listed_default(Carry *carry, int index)
{
	const FswVersion *version = &carry->set.versions[index];
	int			state = version->list->list[0];
	FswStretch *stretch = last_stretch(carry, 0);
	bool		untold = carry->current[0] >= 0 && carry->current[0] != state;

	/* the list was built when a variant had been added since the version's own event: it says the same */
	if (untold && stretch != NULL && stretch->version == index && state >= 0 &&
		carry->set.flag->states[state].nvariants > carry->set.flag->states[carry->current[0]].nvariants &&
		fsw_version_differ_by_option(carry->set.flag, carry->current[0], state, version->live, version->list_arrived))
	{
		agree(carry, stretch, index, carry->suspect);
		return;
	}
	/* it was given an instant of effect in the past, perhaps, and never live */
	if (untold && stretch != NULL && stretch->before == state && stretch->last_listed <= stretch->earliest)
		stretch->undone = true;
	if (stretch == NULL || carry->current[0] != state || stretch->confidence < FSW_REPORTED)
	{
		carry->current[0] = state;
		stretch = begin_stretch(carry, 0, index, state, FSW_REPORTED, FSW_CAUSE_VERSION_LIST,
								version->list_index);
		/* a version that changes it sends an event */
		stretch->suspect = untold;
	}
	agree(carry, stretch, index, carry->suspect || says_no_more(carry, stretch, version));
}

/* What the rest of a list says of one override. */
static void
carry_verdict(Carry *carry, int index, int scope, FswVerdict verdict, int extra, int nlost)
{
	const FswVersion *version = &carry->set.versions[index];
	FswStretch *stretch = last_stretch(carry, scope);
	bool		told_now = stretch->version == index;
	int64		ended = carry->set.flag->scopes[scope].ended;

	/* the list was made when its segment was gone, perhaps */
	if (verdict != FSW_LISTED && ended > version->live && ended <= fsw_after(version->latest, FSW_CLOCKS))
	{
		carry->current[scope] = FSW_NOT_LIVE;
		begin_stretch(carry, scope, index, FSW_NOT_LIVE, FSW_INFERRED, FSW_CAUSE_OVERRIDE_REMOVED,
					  version->list_index);
	}
	else if (verdict == FSW_LISTED)
	{
		if (nlost > 0 || extra > 0)
			stretch->weak = true;
		else
			agree(carry, stretch, index, carry->suspect);
	}
	else if (verdict == FSW_NOT_LISTED && extra <= nlost)
	{
		bool		unplaced = carry->suspect || (!told_now && fsw_version_may_follow(&carry->set, stretch, version));

		/* nor is it known that it is not this one which has a listed state of which no event tells */
		bool		suspect = unplaced || extra > 0;

		/* a body that its own version's list denies is not believed */
		if (told_now)
			carry->nstretches[scope]--;
		carry->current[scope] = FSW_NOT_LIVE;
		stretch = begin_stretch(carry, scope, index, FSW_NOT_LIVE, suspect ? FSW_REPORTED : FSW_CONFIRMED,
								FSW_CAUSE_OVERRIDE_REMOVED, version->list_index);
		stretch->suspect = suspect;
		agree(carry, stretch, index, suspect);
		carry->set.versions[index].unplaced |= unplaced;
	}
	else if (!told_now)
	{
		int			was = carry->current[scope];

		carry->current[scope] = fsw_lose(was);
		begin_stretch(carry, scope, index, was, FSW_UNKNOWN,
					  FSW_CAUSE_AMBIGUOUS_LIST, version->list_index);
	}
}

/*
 * What a version says of overrides of which nothing told: a list shows that
 * there is none, or that there is one, perhaps since the last that did not.
 */
static void
carry_others(Carry *carry, int index, FswConfidence confidence)
{
	const FswVersion *version = &carry->set.versions[index];
	FswTimeline *others = carry->others;
	FswPeriod  *last = others->nperiods > 0 ? &others->periods[others->nperiods - 1] : NULL;
	int64		from = Max(version->earliest, last != NULL ? last->from : FSW_NEVER);

	if (version->imported)
		return;
	if (last != NULL)
		last->to = from;
	if (confidence > FSW_INFERRED)
	{
		/* not before it is told */
		fsw_timeline_add(others, 0, from, version->latest, FSW_NOT_LIVE, FSW_INFERRED,
						 FSW_CAUSE_PUBLISHING, -1);
		from = Max(from, version->latest);
	}
	fsw_timeline_add(others, 0, from, FSW_FOREVER, FSW_NOT_LIVE, confidence,
					 FSW_CAUSE_VERSION_LIST, version->list_index);
	if (confidence == FSW_CONFIRMED)
		carry->complete = from;
	else if (version->list != NULL && confidence == FSW_INFERRED)
		fsw_timeline_lower(others, 0, carry->complete, FSW_FOREVER, FSW_INFERRED, FSW_CAUSE_VERSION_LIST);
}

/*
 * Did the version change nothing that is told?  Then perhaps priorities, or an
 * override of a segment that was gone before anything was sent.
 */
static void
note_reorder(Carry *carry, int index, bool default_told, const FswVerdict *verdicts, int nheld, int extra)
{
	const FswVersion *version = &carry->set.versions[index];

	if (version->nevents > 0 || default_told || extra > 0)
		return;
	for (int i = 0; i < nheld; i++)
	{
		if (verdicts[i] != FSW_LISTED)
			return;
	}
	if (carry->reorders == NULL)
		carry->reorders = palloc_array(int64, carry->set.nversions);
	carry->reorders[carry->nreorders++] = version->live;
}

/*
 * An override whose state was lost in a list is found in a later one: it is
 * told by what told it before.  A version that adds one sends an event: without
 * any, the two lists were made in the other order, perhaps.
 */
static void
carry_found(Carry *carry, int index)
{
	const FswVersion *version = &carry->set.versions[index];
	int		   *before = memcpy(palloc_array(int, carry->set.flag->nscopes), carry->current,
								carry->set.flag->nscopes * sizeof(int));

	if (fsw_version_find(&carry->set, carry->current, version->list))
	{
		for (int i = 0; i < carry->set.nused; i++)
		{
			int			scope = carry->set.used[i];
			int			n = carry->nstretches[scope];
			FswStretch	told;

			FSW_INTERRUPT();
			if (scope == 0 || !fsw_is_lost(before[scope]) || n == 0)
				continue;
			told = carry->stretches[scope][Max(0, n - 2)];
			begin_stretch(carry, scope, index, carry->current[scope], FSW_REPORTED, told.cause,
						  told.evidence)->suspect = carry->suspect || !version->has_events;
		}
	}
	pfree(before);
}

/*
 * Was an override removed by a version that may be from before it, and does a
 * later version, which is not, lack it as well?
 */
static bool
is_gone_since(const Carry *carry, int scope, int index)
{
	const FswStretch *stretch = &carry->stretches[scope][carry->nstretches[scope] - 1];

	return stretch->suspect && stretch->version != index && !carry->suspect && carry->nstretches[scope] > 1 &&
		!fsw_version_may_follow(&carry->set, stretch - 1, &carry->set.versions[index]);
}

/*
 * A list has states that nobody told of: any override that is thought to be
 * gone can have come back, up to a list that has no such.  That also says since
 * when an override is gone for sure which a version from before it removed, perhaps.
 */
static void
carry_gone(Carry *carry, int index)
{
	const FswVersion *version = &carry->set.versions[index];

	for (int i = 0; i < carry->set.nused; i++)
	{
		int			scope = carry->set.used[i];
		FswStretch *stretch = last_stretch(carry, scope);

		FSW_INTERRUPT();
		if (scope == 0 || stretch == NULL || carry->current[scope] != FSW_NOT_LIVE || stretch->state != FSW_NOT_LIVE)
			continue;
		if (version->extra && stretch->untold_after < 0)
			stretch->untold_after = index;
		else if (!version->extra && (stretch->untold_after >= 0 || is_gone_since(carry, scope, index)))
			agree(carry, begin_stretch(carry, scope, index, FSW_NOT_LIVE, FSW_REPORTED, FSW_CAUSE_OVERRIDE_REMOVED,
								version->list_index), index, carry->suspect);
	}
}

/*
 * Did an entry alone come of one of the last versions before another?  It can have
 * been scheduled, and goes live after that.  Not so one that came long after it was
 * written, by an import or since an outage, of which nothing else can come.
 */
static bool
awaits(const FswVersion *version, int index)
{
	for (int i = 1; i <= Min(index, FSW_WITNESSES); i++)
	{
		if (fsw_version_is_silent(version - i) && fsw_apart(version[-i].entry_arrived, version[-i].entry) <= FSW_TOLD_LATE)
			return true;
	}
	return false;
}

/* Carry the states over one version and note what begins, ends or agrees. */
static void
carry_version(Carry *carry, int index)
{
	FswFlag    *flag = carry->set.flag;
	FswVersion *version = &carry->set.versions[index];
	FswHeld    *held;
	FswVerdict *verdicts;
	bool		default_told;
	int			nheld;
	int			extra;
	int			nlost;

	for (int i = 0; i < carry->set.nused; i++)
	{
		int			scope = carry->set.used[i];

		FSW_INTERRUPT();
		if (flag->scopes[scope].ended <= version->live && carry->current[scope] != FSW_NOT_SEEN)
			carry->current[scope] = FSW_NOT_LIVE;
	}
	version->fits = true;
	version->awaits = awaits(version, index);
	carry_events(carry, index);
	if (version->deleted >= 0)
		carry_deletion(carry, index);
	if (version->list == NULL || version->list->nlist == 0)
	{
		carry_silence(carry, index);
		carry_others(carry, index, FSW_INFERRED);
		return;
	}
	default_told = carry->current[0] != version->list->list[0];
	carry_listed_default(carry, index);
	carry_found(carry, index);
	held = palloc_array(FswHeld, carry->set.nused);
	verdicts = palloc_array(FswVerdict, carry->set.nused);
	nheld = fsw_version_compare(&carry->set, carry->current, version->list, held, verdicts, &extra, &nlost);
	version->extra = extra > nlost;
	version->fits &= extra == 0 && nlost == 0 && !default_told;
	for (int i = 0; i < nheld; i++)
	{
		FSW_INTERRUPT();
		version->fits &= verdicts[i] == FSW_LISTED;
		carry_verdict(carry, index, held[i].scope, verdicts[i], extra, nlost);
	}
	carry_gone(carry, index);
	for (int i = 0; i < version->nevents && version->unplaced; i++)
		last_stretch(carry, flag->evidence[version->events[i]].scope)->suspect = true;
	/* what does not fit may be from before what was live; where no override was told, each list says so by itself */
	carry_others(carry, index, Min(fsw_version_absence(verdicts, nheld, extra, nlost),
								   carry->suspect && carry->set.nused > 1 ? FSW_REPORTED : FSW_CONFIRMED));
	note_reorder(carry, index, default_told, verdicts, nheld, extra);
	pfree(held);
	pfree(verdicts);
}

/* What was held before the first version, as far as states were saved one by one. */
static void
read_before(Carry *carry)
{
	FswFlag    *flag = carry->set.flag;

	fsw_version_split(&carry->set);
	if (carry->set.begin != FSW_NEVER)
	{
		carry->before = palloc0_array(FswTimeline *, flag->nscopes);
		for (int i = 0; i < carry->set.nused; i++)
			carry->before[carry->set.used[i]] = fsw_timeline_before(flag, carry->set.used[i],
																	carry->set.begin);
	}
	seed_states(carry);
}

/* The timeline of one scope, from all that was carried. */
static FswTimeline *
write_scope(Carry *carry, int scope)
{
	const FswFlag *flag = carry->set.flag;
	FswTimeline *written = palloc0_object(FswTimeline);
	FswTimeline *timeline;

	fsw_version_write_dropped(&carry->set, written, scope,
							  carry->nstretches[scope] > 0 ? carry->stretches[scope][0].from : FSW_FOREVER);
	for (int i = 0; i < carry->nstretches[scope]; i++)
	{
		FSW_INTERRUPT();
		fsw_version_write(&carry->set, written, scope, &carry->stretches[scope][i],
						  i + 1 < carry->nstretches[scope] ? &carry->stretches[scope][i + 1] : NULL);
	}
	timeline = fsw_version_doubt(&carry->set, written);
	fsw_version_doubt_dropped(&carry->set, timeline, scope);
	fsw_timeline_free(written);
	if (flag->scopes[scope].silent)
		fsw_timeline_lower(timeline, 0, FSW_NEVER, FSW_FOREVER, FSW_REPORTED, FSW_CAUSE_EXPERIMENT);
	if (carry->before != NULL)
	{
		fsw_timeline_append(carry->before[scope], timeline);
		fsw_timeline_free(timeline);
		timeline = carry->before[scope];
	}
	for (int i = 0; i < flag->nevidence; i++)
	{
		const FswEvidence *piece = &flag->evidence[i];

		FSW_INTERRUPT();
		/* the flag is gone with its environment, and its overrides with it */
		if (piece->kind == FSW_EV_STATE_DELETED && (piece->scope == 0 || piece->scope == scope) &&
			piece->at >= carry->set.begin)
			fsw_timeline_cut(timeline, 0, scope, piece->at, FSW_REPORTED, FSW_CAUSE_STATE_DELETED);
	}
	if (flag->scopes[scope].ended < flag->deleted_at)
		fsw_timeline_end(timeline, 0, scope, flag->scopes[scope].ended, FSW_CONFIRMED, FSW_CAUSE_SEGMENT_DELETED);
	return timeline;
}

/*
 * Build the timelines of the environment default and of the segment
 * overrides; those of identities stay NULL.
 */
void
fsw_version_build(FswFlag *flag, FswTimeline *timeline, FswTimeline **per_scope)
{
	Carry		carry = {.others = palloc0_object(FswTimeline),.complete = FSW_NEVER};

	carry.set.flag = flag;
	carry.current = palloc_array(int, flag->nscopes);
	carry.set.seed = palloc_array(int, flag->nscopes);
	carry.set.used = palloc_array(int, flag->nscopes);
	carry.nstretches = palloc0_array(int, flag->nscopes);
	carry.maxstretches = palloc0_array(int, flag->nscopes);
	carry.stretches = palloc0_array(FswStretch *, flag->nscopes);
	for (int i = 0; i < flag->nscopes; i++)
	{
		carry.set.seed[i] = FSW_NOT_SEEN;
		if (flag->scopes[i].kind != FSW_SCOPE_IDENTITY)
			carry.set.used[carry.set.nused++] = i;
	}

	fsw_timeline_add(carry.others, 0, FSW_NEVER, FSW_FOREVER, FSW_NOT_LIVE, FSW_REPORTED,
					 FSW_CAUSE_UNTOLD_START, -1);

	fsw_version_collect(&carry.set);
	read_before(&carry);
	fsw_version_order(&carry.set);
	if (carry.before != NULL)
		begin_after_switch(&carry);
	else
		begin_initial(&carry);
	for (int i = 0; i < carry.set.nversions; i++)
		carry_version(&carry, i);
	for (int i = 0; i < carry.set.nused; i++)
		per_scope[carry.set.used[i]] = flag->scopes[carry.set.used[i]].unasked ? NULL : write_scope(&carry, carry.set.used[i]);
	/* what waited may have made one, and may be told of when that is gone again */
	for (int i = 0; i < carry.nreorders; i++)
		fsw_timeline_lower(carry.others, 0, fsw_after(carry.reorders[i], -FSW_LATE_ALONE), carry.reorders[i], FSW_REPORTED, FSW_CAUSE_PUBLISHING);
	/* a version of which nothing came yet could have made one */
	fsw_timeline_lower(carry.others, 0, flag->latest_audit_at, FSW_FOREVER, FSW_REPORTED, FSW_CAUSE_VERSION_LIST);
	timeline->versions = memcpy(palloc(sizeof(FswVersions)), &carry.set, sizeof(FswVersions));
	timeline->others = carry.others;
	timeline->nreorders = carry.nreorders;
	timeline->reorders = carry.reorders;
}
