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
 * from each to the next, comparing as it goes.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/timeline/version.h"

/* What takes longer to arrive was late, or scheduled: nobody can tell. */
#define PROMPT				INT64CONST(2500000)

/* A variant made this soon after the feature was made together with it. */
#define CREATION			INT64CONST(2000000)

/* A stretch in which the state of a scope did not change, as far as told. */
typedef struct Stretch
{
	int64		from;
	int64		earliest;
	int64		latest;
	int			state;
	int			before;			/* FSW_NOT_SEEN where no event began it */
	FswConfidence confidence;
	FswCause	cause;
	int			evidence;
	bool		initial;
	int			version;		/* index of the version that began it; -1 */
	bool		weak;			/* a list agrees, but not with everything */
	bool		listed;			/* a list agrees */
	int64		last_listed;	/* earliest instant of the last such version */
	int			nuntold;		/* versions that say nothing about the scope */
	int			first_untold;	/* index of the first and of the first after */
	int			untold_after;	/* the last list: versions with events */
	int			silent_after;	/* the same: versions without any */
} Stretch;

typedef struct Carry
{
	FswVersions set;
	int		   *current;		/* state of each scope */
	int		   *nstretches;
	int		   *maxstretches;
	Stretch   **stretches;
} Carry;

static Stretch *
last_stretch(Carry *carry, int scope)
{
	if (carry->nstretches[scope] == 0)
		return NULL;
	return &carry->stretches[scope][carry->nstretches[scope] - 1];
}

/* The state of a scope is another one from a version on. */
static Stretch *
begin_stretch(Carry *carry, int scope, int version, int state,
			  FswConfidence confidence, FswCause cause, int evidence)
{
	Stretch    *stretch;

	if (carry->nstretches[scope] == carry->maxstretches[scope])
	{
		int			max = Max(8, carry->maxstretches[scope] * 2);

		if (carry->stretches[scope] == NULL)
			carry->stretches[scope] = palloc_array(Stretch, max);
		else
			carry->stretches[scope] = repalloc_huge(carry->stretches[scope],
													max * sizeof(Stretch));
		carry->maxstretches[scope] = max;
	}
	stretch = &carry->stretches[scope][carry->nstretches[scope]++];
	memset(stretch, 0, sizeof(Stretch));
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

static void
agree(Stretch *stretch, const FswVersion *version)
{
	stretch->listed = true;
	stretch->last_listed = Max(stretch->last_listed, version->earliest);
	stretch->untold_after = -1;
	stretch->silent_after = -1;
}

/*
 * What the environment default was before the first version that was told:
 * the previous state of the first event, what the lists before it say, the
 * state of a version that a deletion told of, or the feature's defaults.
 */
static void
begin_initial(Carry *carry)
{
	FswFlag    *flag = carry->set.flag;
	int			state = FSW_NOT_TOLD;
	int			evidence = -1;
	bool		agreed = true;
	bool		from_defaults = false;
	FswConfidence confidence = FSW_UNKNOWN;
	FswCause	cause = FSW_CAUSE_UNTOLD_START;
	Stretch    *stretch;

	for (int i = 0; i < carry->set.nversions; i++)
	{
		const FswVersion *version = &carry->set.versions[i];
		int			told = FSW_NOT_SEEN;
		int			by = -1;
		bool		last = false;

		FSW_INTERRUPT();
		for (int j = 0; j < version->nevents; j++)
		{
			const FswEvidence *event = &flag->evidence[version->events[j]];

			if (event->scope == 0)
			{
				last = true;
				if (event->before >= 0)
				{
					told = event->before;
					by = version->events[j];
				}
			}
		}
		if (!last && version->list != NULL && version->list->nlist > 0)
		{
			told = version->list->list[0];
			by = version->list_index;
		}
		if (told != FSW_NOT_SEEN)
		{
			if (state == FSW_NOT_TOLD)
			{
				state = told;
				evidence = by;
				cause = last ? FSW_CAUSE_PREVIOUS_STATE : FSW_CAUSE_VERSION_LIST;
				confidence = FSW_REPORTED;
			}
			else if (told != state)
				agreed = false;
		}
		if (last)
			break;
	}
	if (state == FSW_NOT_TOLD)
	{
		for (int i = 0; i < flag->nevidence; i++)
		{
			const FswEvidence *piece = &flag->evidence[i];

			FSW_INTERRUPT();
			if (carry->set.nversions > 0 && piece->at >= carry->set.versions[0].live)
				break;
			if (piece->kind == FSW_EV_DELETED && piece->scope == 0 && piece->before >= 0)
			{
				state = piece->before;
				evidence = i;
				cause = FSW_CAUSE_PREVIOUS_STATE;
				confidence = FSW_REPORTED;
				break;
			}
		}
	}
	if (state == FSW_NOT_TOLD && flag->defaults >= 0)
	{
		state = flag->defaults;
		cause = FSW_CAUSE_DEFAULTS;
		confidence = flag->defaults_complete ? FSW_REPORTED : FSW_INFERRED;
		from_defaults = true;
	}
	if (state >= 0 && !from_defaults)
	{
		const FswState *states = flag->states;

		if (!agreed)
		{
			confidence = FSW_INFERRED;
			cause = FSW_CAUSE_CONTRADICTED;
		}
		else if (flag->defaults >= 0 && flag->news != FSW_NEVER && flag->born != FSW_NEVER &&
				 states[flag->defaults].enabled == states[state].enabled &&
				 states[flag->defaults].value == states[state].value)
			confidence = FSW_CONFIRMED;
	}

	stretch = begin_stretch(carry, 0, -1, state, confidence, cause, evidence);
	stretch->initial = true;
	stretch->from = flag->born;
	if (flag->born == FSW_NEVER)
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
	carry->current[0] = state;
}

/* Carry the states over one version and note what begins, ends or agrees. */
static void
carry_version(Carry *carry, int index)
{
	FswFlag    *flag = carry->set.flag;
	const FswVersion *version = &carry->set.versions[index];
	int		   *current = carry->current;
	FswHeld	   *held;
	FswVerdict    *verdicts;
	int			nheld;
	int			extra;
	int			nlost;
	int			i;

	for (i = 0; i < carry->set.nused; i++)
	{
		int			scope = carry->set.used[i];

		FSW_INTERRUPT();
		if (flag->scopes[scope].ended <= version->live && current[scope] != FSW_NOT_SEEN)
			current[scope] = FSW_NOT_LIVE;
	}
	for (i = 0; i < version->nevents; i++)
	{
		const FswEvidence *event = &flag->evidence[version->events[i]];
		Stretch    *stretch = last_stretch(carry, event->scope);

		FSW_INTERRUPT();
		/* an import that says the same is a second piece of evidence */
		if (event->kind == FSW_EV_IMPORT && stretch != NULL &&
			current[event->scope] == event->state && event->state >= 0)
		{
			agree(stretch, version);
			continue;
		}
		current[event->scope] = event->state;
		stretch = begin_stretch(carry, event->scope, index, event->state,
								FSW_REPORTED, event->kind == FSW_EV_IMPORT ?
								FSW_CAUSE_IMPORT : FSW_CAUSE_EVENT,
								version->events[i]);
		stretch->before = event->before;
	}

	if (version->list == NULL || version->list->nlist == 0)
	{
		for (i = 0; i < carry->set.nused; i++)
		{
			Stretch    *stretch = last_stretch(carry, carry->set.used[i]);

			FSW_INTERRUPT();
			if (stretch == NULL || stretch->version == index)
				continue;
			if (stretch->nuntold++ == 0)
				stretch->first_untold = index;
			if (stretch->untold_after < 0)
				stretch->untold_after = index;
			if (stretch->silent_after < 0 && version->nevents == 0)
				stretch->silent_after = index;
		}
		return;
	}

	if (current[0] != version->list->list[0])
	{
		current[0] = version->list->list[0];
		agree(begin_stretch(carry, 0, index, current[0], FSW_REPORTED,
							FSW_CAUSE_VERSION_LIST, version->list_index), version);
	}
	else
		agree(last_stretch(carry, 0), version);

	held = palloc_array(FswHeld, carry->set.nused);
	verdicts = palloc_array(FswVerdict, carry->set.nused);
	nheld = fsw_version_compare(&carry->set, current, version->list, held, verdicts,
							  &extra, &nlost);
	for (i = 0; i < nheld; i++)
	{
		int			scope = held[i].scope;
		Stretch    *stretch = last_stretch(carry, scope);
		bool		told_now = stretch->version == index;

		FSW_INTERRUPT();
		if (verdicts[i] == FSW_LISTED)
		{
			if (nlost == 0 && extra == 0)
				agree(stretch, version);
			else
				stretch->weak = true;
		}
		else if (verdicts[i] == FSW_NOT_LISTED && extra <= nlost)
		{
			/* a body that its own version's list denies is not believed */
			if (told_now)
				carry->nstretches[scope]--;
			current[scope] = FSW_NOT_LIVE;
			agree(begin_stretch(carry, scope, index, FSW_NOT_LIVE, FSW_CONFIRMED,
								FSW_CAUSE_OVERRIDE_REMOVED, version->list_index),
				  version);
		}
		else if (!told_now)
		{
			int			was = current[scope];

			current[scope] = FSW_LOST;
			begin_stretch(carry, scope, index, was, FSW_UNKNOWN,
						  FSW_CAUSE_AMBIGUOUS_LIST, version->list_index);
		}
	}
	pfree(held);
	pfree(verdicts);
}

/*
 * Write one stretch, up to where the next begins.
 *
 * Two pieces of evidence make it confirmed: the event that began it, and the
 * next event's previous state or a version's list.  Between the last list
 * and the latest news, the absence of further versions counts as well.
 */
static void
write_stretch(const Carry *carry, FswTimeline *timeline, int scope,
			  const Stretch *stretch, const Stretch *next)
{
	const FswFlag *flag = carry->set.flag;
	int			first = timeline->nperiods;
	int64		from = stretch->from;
	int64		to = next != NULL ? next->from : FSW_FOREVER;
	int			state = stretch->state;
	bool		chained = false;
	bool		broken = false;
	int			option;
	int			update;
	int			noptions = 0;

	if (from >= to)
		return;

	if (next != NULL && next->before != FSW_NOT_SEEN && next->before != FSW_NOT_TOLD &&
		stretch->confidence > FSW_UNKNOWN)
	{
		chained = next->before == state;
		broken = !chained;
	}

	/* changes of the variants since the state was read */
	option = fsw_timeline_first(flag->options, flag->noptions,
								stretch->initial ? fsw_after(from, CREATION + 1) : fsw_after(stretch->latest, 1));
	update = fsw_timeline_first(flag->updates, flag->nupdates,
								stretch->initial ? fsw_after(from, CREATION + 1) : fsw_after(stretch->latest, 1));
	while (option + noptions < flag->noptions && flag->options[option + noptions] < to)
	{
		FSW_INTERRUPT();
		noptions++;
	}

	if (stretch->confidence == FSW_UNKNOWN)
	{
		/* the next event may tell that the state was still held */
		bool		held = state >= 0 && next != NULL && next->before == state;

		fsw_timeline_add(timeline, scope, from, to, state,
						 held ? FSW_REPORTED : FSW_UNKNOWN,
						 stretch->cause, stretch->evidence);
	}
	else if (broken)
	{
		int			nchanges = stretch->nuntold + noptions;
		int64		changed = FSW_FOREVER;
		int			after = next->before >= 0 ? next->before : state;

		if (stretch->nuntold > 0)
			changed = carry->set.versions[stretch->first_untold].live;
		if (noptions > 0)
			changed = Min(changed, flag->options[option]);
		changed = Min(Max(changed, from), to);
		if (nchanges == 1 && next->before >= 0)
		{
			fsw_timeline_add(timeline, scope, from, changed, state, FSW_REPORTED,
							 stretch->cause, stretch->evidence);
			fsw_timeline_add(timeline, scope, changed, to, after, FSW_REPORTED,
							 FSW_CAUSE_PREVIOUS_STATE, next->evidence);
		}
		else if (nchanges > 0)
		{
			fsw_timeline_add(timeline, scope, from, changed, state, FSW_REPORTED,
							 stretch->cause, stretch->evidence);
			fsw_timeline_add(timeline, scope, changed, to, after, FSW_UNKNOWN,
							 FSW_CAUSE_UNTOLD_VERSION,
							 next->before >= 0 ? next->evidence : stretch->evidence);
		}
		else
			fsw_timeline_add(timeline, scope, from, to, state, FSW_INFERRED,
							 FSW_CAUSE_CONTRADICTED, stretch->evidence);
	}
	else
	{
		int64		stop = to;	/* unknown from here */
		int64		sure = FSW_NEVER;	/* confirmed up to here */
		int64		at = from;

		if (!chained && stretch->silent_after >= 0)
			stop = carry->set.versions[stretch->silent_after].earliest;
		if (!chained && stretch->untold_after >= 0)
			sure = carry->set.versions[stretch->untold_after].earliest;
		else
			sure = FSW_FOREVER;
		stop = Min(Max(stop, from), to);
		sure = Min(Max(sure, from), to);

		if (chained && (!stretch->initial || stretch->confidence == FSW_CONFIRMED))
			sure = to;
		else if (stretch->listed || stretch->confidence == FSW_CONFIRMED)
			sure = Max(Min(sure, flag->news), Min(to, stretch->last_listed));
		else
			sure = FSW_NEVER;

		if (stretch->confidence < FSW_REPORTED)
			fsw_timeline_add(timeline, scope, from, stop, state, stretch->confidence,
							 stretch->cause, stretch->evidence);
		else
		{
			FswConfidence surest = stretch->weak ? FSW_REPORTED : FSW_CONFIRMED;

			if (stretch->version >= 0)
			{
				bool		prompt = fsw_apart(stretch->latest, stretch->earliest) <= PROMPT &&
					state != FSW_NOT_LIVE;

				/* scheduled ones and removals have no instant of their own */
				at = Min(Max(stretch->latest, from), stop);
				fsw_timeline_add(timeline, scope, from, at, state,
								 prompt && stretch->earliest == from ?
								 FSW_REPORTED : FSW_INFERRED,
								 FSW_CAUSE_PUBLISHING, stretch->evidence);
			}
			sure = Min(sure, stop);
			if (sure > at)
			{
				fsw_timeline_add(timeline, scope, at, sure, state, surest,
								 stretch->cause, stretch->evidence);
				at = sure;
			}
			fsw_timeline_add(timeline, scope, at, stop, state, FSW_REPORTED,
							 stretch->cause, stretch->evidence);
		}
		fsw_timeline_add(timeline, scope, stop, to, state, FSW_UNKNOWN,
						 FSW_CAUSE_UNTOLD_VERSION, stretch->evidence);

		if (noptions > 0 && state >= 0)
		{
			if (!chained)
				fsw_timeline_lower(timeline, first, flag->options[option], to,
								   FSW_INFERRED, FSW_CAUSE_VARIANTS);
			else if (stretch->initial)
				fsw_timeline_lower(timeline, first, from,
								   flag->options[option + noptions - 1],
								   FSW_INFERRED, FSW_CAUSE_VARIANTS);
		}
	}

	/* all that is left of a change of the variants, perhaps */
	if (!chained && state >= 0 && update < flag->nupdates && flag->updates[update] < to)
		fsw_timeline_lower(timeline, first, flag->updates[update], to, FSW_REPORTED,
						   FSW_CAUSE_FEATURE_UPDATED);

	/* the next one may have begun earlier than thought */
	if (next != NULL && next->earliest < to)
		fsw_timeline_lower(timeline, first, next->earliest, to, FSW_INFERRED,
						   FSW_CAUSE_PUBLISHING);
}

static int
compare_by_earliest(const void *a, const void *b)
{
	const FswVersion *x = *(FswVersion *const *) a;
	const FswVersion *y = *(FswVersion *const *) b;

	FSW_INTERRUPT();
	if (x->earliest != y->earliest)
		return x->earliest < y->earliest ? -1 : 1;
	return x->latest < y->latest ? -1 : x->latest > y->latest;
}

/* While a version is being published, nothing is certain. */
static FswTimeline *
doubt_publishing(const Carry *carry, FswTimeline *timeline)
{
	FswTimeline *result = palloc0_object(FswTimeline);
	FswVersion **versions = palloc_array(FswVersion *, carry->set.nversions);
	int			v = 0;
	int64		busy = FSW_NEVER;	/* until then, by the versions before v */

	for (int i = 0; i < carry->set.nversions; i++)
		versions[i] = &carry->set.versions[i];
	qsort(versions, carry->set.nversions, sizeof(FswVersion *), compare_by_earliest);

	for (int i = 0; i < timeline->nperiods; i++)
	{
		const FswPeriod *period = &timeline->periods[i];
		int64		at = period->from;

		while (at < period->to)
		{
			int64		to;
			bool		publishing;

			FSW_INTERRUPT();
			for (; v < carry->set.nversions && versions[v]->earliest <= at; v++)
				busy = Max(busy, versions[v]->latest);
			publishing = busy > at;
			to = publishing ? busy : period->to;
			if (v < carry->set.nversions)
				to = Min(to, versions[v]->earliest);
			to = Min(to, period->to);
			if (publishing && period->confidence == FSW_CONFIRMED)
				fsw_timeline_add(result, period->scope, at, to, period->state,
								 FSW_REPORTED, FSW_CAUSE_PUBLISHING, period->evidence);
			else
				fsw_timeline_add(result, period->scope, at, to, period->state,
								 period->confidence, period->cause, period->evidence);
			at = to;
		}
	}
	pfree(versions);
	return result;
}

/*
 * Build the timelines of the environment default and of the segment
 * overrides; those of identities stay NULL.
 */
void
fsw_version_build(FswFlag *flag, FswTimeline **per_scope)
{
	Carry		carry = {0};
	int			i;

	carry.set.flag = flag;
	carry.current = palloc_array(int, flag->nscopes);
	carry.set.used = palloc_array(int, flag->nscopes);
	carry.nstretches = palloc0_array(int, flag->nscopes);
	carry.maxstretches = palloc0_array(int, flag->nscopes);
	carry.stretches = palloc0_array(Stretch *, flag->nscopes);
	for (i = 0; i < flag->nscopes; i++)
	{
		carry.current[i] = FSW_NOT_SEEN;
		if (flag->scopes[i].kind != FSW_SCOPE_IDENTITY)
			carry.set.used[carry.set.nused++] = i;
	}

	fsw_version_collect(&carry.set);
	fsw_version_order(&carry.set);
	begin_initial(&carry);
	for (i = 0; i < carry.set.nversions; i++)
		carry_version(&carry, i);

	for (i = 0; i < carry.set.nused; i++)
	{
		int			scope = carry.set.used[i];
		FswTimeline *timeline = palloc0_object(FswTimeline);

		for (int j = 0; j < carry.nstretches[scope]; j++)
		{
			FSW_INTERRUPT();
			write_stretch(&carry, timeline, scope, &carry.stretches[scope][j],
						  j + 1 < carry.nstretches[scope] ?
						  &carry.stretches[scope][j + 1] : NULL);
		}

		timeline = doubt_publishing(&carry, timeline);

		for (int j = 0; j < flag->nevidence; j++)
		{
			FSW_INTERRUPT();
			if (flag->evidence[j].kind == FSW_EV_STATE_DELETED &&
				flag->evidence[j].scope == scope)
				fsw_timeline_cut(timeline, 0, scope, flag->evidence[j].at,
								 FSW_REPORTED, FSW_CAUSE_STATE_DELETED);
		}
		if (flag->scopes[scope].ended < flag->gone)
			fsw_timeline_cut(timeline, 0, scope, flag->scopes[scope].ended,
							 FSW_CONFIRMED, FSW_CAUSE_SEGMENT_DELETED);
		per_scope[scope] = timeline;
	}
}
