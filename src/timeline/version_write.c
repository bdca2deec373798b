/*-------------------------------------------------------------------------
 *
 * src/timeline/version_write.c
 *	  What was carried from version to version, as periods of a scope.
 *
 * See version.c, which carries.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/timeline/version.h"

/* What takes longer to arrive was late, or scheduled: nobody can tell. */
#define PROMPT				INT64CONST(2500000)

/* So many versions after one are looked at that may have been published before it. */
#define SPREE				8

/* How a stretch is written: to where, and what the next event says of it. */
typedef struct Writing
{
	FswFlag    *flag;
	const FswVersion *versions;
	FswTimeline *timeline;
	int			first;			/* index of its first period */
	int			scope;
	const FswStretch *stretch;
	const FswStretch *next;		/* NULL for none */
	int64		to;
	bool		chained;		/* the next event's previous state is this one */
	const int64 *options;		/* changes of the variants that are about the
								 * scope, */
	int			nalloptions;
	int			option;			/* the first of them in it, */
	int			noptions;		/* and how many there are */
} Writing;

static void
write_period(const Writing *writing, int64 from, int64 to, int state, FswConfidence confidence,
			 FswCause cause, int evidence)
{
	fsw_timeline_add(writing->timeline, writing->scope, from, to, state, confidence, cause, evidence);
}

/* While its version is being published.  Returns when that is over, at the latest to before an instant. */
static int64
write_publishing(const Writing *writing, int64 stop)
{
	const FswStretch *stretch = writing->stretch;
	bool		prompt = fsw_apart(stretch->latest, stretch->earliest) <= PROMPT && stretch->state != FSW_NOT_LIVE;
	int64		at = Min(Max(stretch->latest, stretch->from), stop);

	if (stretch->version < 0)
		return stretch->from;
	/* scheduled ones and removals have no instant of their own */
	write_period(writing, stretch->from, at, stretch->state,
				 Min(prompt && stretch->earliest == stretch->from ? FSW_REPORTED : FSW_INFERRED, stretch->confidence),
				 FSW_CAUSE_PUBLISHING, stretch->evidence);
	return at;
}

/* The next event's previous state is another one: what changed it, and when? */
static void
write_broken(const Writing *writing)
{
	const FswStretch *stretch = writing->stretch;
	const FswStretch *next = writing->next;
	int			option = fsw_timeline_first(writing->options, writing->nalloptions,
											fsw_after(stretch->latest, 1));
	int			noptions = Max(0, writing->option + writing->noptions - option);
	int			nchanges = stretch->nuntold + noptions;
	int64		from = stretch->from;
	int64		to = writing->to;
	int64		changed = FSW_FOREVER;
	int			after = next->before >= 0 ? next->before : stretch->state;
	bool		one = nchanges == 1 && next->before >= 0;

	if (nchanges == 0)
	{
		write_period(writing, from, to, stretch->state, FSW_INFERRED, FSW_CAUSE_CONTRADICTED,
					 stretch->evidence);
		return;
	}
	if (stretch->nuntold > 0)
		changed = writing->versions[stretch->first_untold].live;
	if (noptions > 0)
		changed = Min(changed, writing->options[option]);
	changed = Min(Max(changed, from), to);
	from = write_publishing(writing, changed);
	write_period(writing, from, changed, stretch->state, Min(FSW_REPORTED, stretch->confidence),
				 stretch->cause, stretch->evidence);
	write_period(writing, changed, to, after, one ? FSW_REPORTED : FSW_UNKNOWN,
				 one ? FSW_CAUSE_PREVIOUS_STATE : FSW_CAUSE_UNTOLD_VERSION,
				 next->before >= 0 ? next->evidence : stretch->evidence);
	if (stretch->nuntold > 0)
		fsw_timeline_lower(writing->timeline, writing->first, writing->versions[stretch->first_untold].earliest,
						   changed, FSW_INFERRED, FSW_CAUSE_PUBLISHING);
}

/*
 * Is what was there before the first version told twice?  The feature's defaults do not
 * say which percentages there were: a version of which an entry alone came may have
 * changed them, and one of which nothing came leaves no hole where no entry follows.
 */
static bool
starts_surely(const Writing *writing)
{
	const FswStretch *stretch = writing->stretch;

	return stretch->confidence == FSW_CONFIRMED &&
		(stretch->state < 0 || writing->flag->states[stretch->state].nvariants == 0 ||
		 (stretch->nuntold == 0 && writing->flag->latest_audit_at >= writing->to));
}

/*
 * Up to when two pieces of evidence agree: the event that began it, and the
 * next event's previous state or a version's list.  Between the last list and
 * the latest news, the absence of further versions counts as well.
 */
static int64
sure_until(const Writing *writing)
{
	const FswStretch *stretch = writing->stretch;
	int64		sure = writing->to;
	bool		guessed = stretch->initial && !starts_surely(writing);

	/*
	 * two that follow each other can both be from before what was live, and that
	 * an override is gone does not tell since when
	 */
	if (writing->chained && !stretch->unfit && (!stretch->suspect || stretch->state != FSW_NOT_LIVE) && !guessed)
		return sure;
	if (stretch->suspect || (!stretch->listed && (stretch->confidence < FSW_CONFIRMED || guessed)))
		return FSW_NEVER;
	if (!writing->chained && stretch->untold_after >= 0)
		sure = Min(Max(writing->versions[stretch->untold_after].earliest, stretch->from), sure);
	if (stretch->awaits)
		return Min(writing->to, stretch->last_listed);
	return Max(Min(sure, writing->flag->latest_audit_at), Min(writing->to, stretch->last_listed));
}

/* Was the flag made as something else than what is told of its beginning? */
static bool
contradicts_defaults(const Writing *writing)
{
	const FswFlag *flag = writing->flag;

	return flag->defaults >= 0 && !flag->clone && writing->stretch->state >= 0 &&
		!fsw_same_but_variants(&flag->states[writing->stretch->state], &flag->states[flag->defaults]);
}

/*
 * Was the version that brought an override perhaps told of late, and not live
 * only then?  Then one without a list that went live meanwhile, and seems to be
 * before it, may have been after it.
 */
static bool
may_precede_untold(const Writing *writing)
{
	const FswStretch *stretch = writing->stretch;
	const FswVersion *version = stretch->version >= 0 ? &writing->versions[stretch->version] : NULL;

	if (version == NULL || !version->scheduled || !version->has_events || stretch->listed)
		return false;
	for (int i = stretch->version - 1; i >= 0 && writing->versions[i].live > version->time; i--)
	{
		FSW_INTERRUPT();
		if (writing->versions[i].list == NULL && !writing->versions[i].imported)
			return true;
	}
	return false;
}

/* A state that nothing contradicts, up to a version that nobody told anything of. */
static void
write_held(const Writing *writing)
{
	const FswStretch *stretch = writing->stretch;
	int			state = stretch->state;
	int64		to = writing->to;
	int64		stop = to;		/* unknown from here */
	int64		sure = sure_until(writing);
	int64		at = stretch->from;

	if (!writing->chained && stretch->silent_after >= 0)
		stop = Min(Max(writing->versions[stretch->silent_after].earliest, at), to);
	if (stretch->confidence < FSW_REPORTED || (stretch->initial && !stretch->listed && contradicts_defaults(writing)))
		write_period(writing, at, stop, state, Min(stretch->confidence, FSW_INFERRED), stretch->cause,
					 stretch->evidence);
	else
	{
		at = write_publishing(writing, stop);
		/* one piece of evidence does not tell what was before it */
		if (stretch->initial && stretch->confidence < FSW_CONFIRMED && stretch->listed)
		{
			at = Min(Max(stretch->first_listed, at), stop);
			write_period(writing, stretch->from, at, state,
						 contradicts_defaults(writing) ? FSW_INFERRED : FSW_REPORTED,
						 contradicts_defaults(writing) ? FSW_CAUSE_CONTRADICTED : stretch->cause,
						 stretch->evidence);
		}
		sure = Min(sure, stop);
		if (sure > at)
		{
			write_period(writing, at, sure, state, stretch->weak ? FSW_REPORTED : FSW_CONFIRMED,
						 stretch->cause, stretch->evidence);
			at = sure;
		}
		write_period(writing, at, stop, state, FSW_REPORTED, stretch->cause, stretch->evidence);
	}
	write_period(writing, stop, to, state, FSW_UNKNOWN, FSW_CAUSE_UNTOLD_VERSION, stretch->evidence);

	/* an override is removed without an event, and only a list shows it */
	if (!writing->chained && writing->scope != 0 && stretch->state >= 0 && may_precede_untold(writing))
		fsw_timeline_lower(writing->timeline, writing->first, stretch->from, to, FSW_INFERRED, FSW_CAUSE_UNTOLD_VERSION);
	if (!writing->chained && writing->scope != 0 && stretch->untold_after >= 0)
		fsw_timeline_lower(writing->timeline, writing->first,
						   writing->versions[stretch->untold_after].earliest, to,
						   FSW_INFERRED, FSW_CAUSE_UNTOLD_VERSION);
}

/*
 * From when on is known which variants there were?  From the first list that agrees,
 * unless that may have been made before one was added which it does not have: then
 * from a list that comes later.
 */
static int64
variants_listed(const FswFlag *flag, const FswStretch *stretch)
{
	int			option = fsw_timeline_first(flag->options, flag->noptions, stretch->first_listed);
	int64		made = option > 0 ? fsw_after(flag->options[option - 1], FSW_LATE_ALONE) : FSW_NEVER;
	int64		later = stretch->last_listed > made ? stretch->last_listed : FSW_FOREVER;

	if (!stretch->listed)
		return FSW_FOREVER;
	if (stretch->first_listed > made || fsw_variants_count(flag, option) <= flag->states[stretch->state].nvariants)
		return stretch->first_listed;
	return later;
}

/*
 * What was there before the first version is told by its event, with the
 * variants that there were when that was built.  If one was added or removed
 * after its time, or if entries do not tell of as many, nobody knows which
 * were there before, up to the first list that has the same.
 */
static void
lower_start(const Writing *writing)
{
	const FswStretch *stretch = writing->stretch;
	const FswFlag *flag = writing->flag;
	int64		read_until = fsw_after(flag->evidence[stretch->evidence].arrived, FSW_CLOCKS);
	int			nvariants = flag->states[stretch->state].nvariants;
	int			before = writing->option + writing->noptions;
	int			count = fsw_variants_count(flag, before);

	if ((before < flag->noptions && flag->options[before] <= read_until) ||
		count > nvariants || (nvariants > 0 && (!flag->creation_told || count != nvariants)))
		fsw_timeline_lower(writing->timeline, writing->first, stretch->from,
						   Min(writing->to, variants_listed(flag, stretch)), FSW_INFERRED, FSW_CAUSE_VARIANTS);
}

/* Can what the next event says of the time before it have been read after one more change of the variants? */
static bool
is_next_read_later(const Writing *writing)
{
	int			option = writing->option + writing->noptions;

	return option < writing->nalloptions && writing->next->evidence >= 0 &&
		writing->options[option] <= fsw_after(writing->flag->evidence[writing->next->evidence].arrived, FSW_CLOCKS);
}

/*
 * Were variants added after the state of a stretch was read?  If the
 * same state is told again behind that, nothing tells when they went.
 */
static bool
has_more_since(const Writing *writing)
{
	const FswFlag *flag = writing->flag;
	int64		read_until = fsw_after(writing->stretch->latest, FSW_CLOCKS);
	int			begin = Max(writing->option, fsw_timeline_first(flag->options, flag->noptions, fsw_after(read_until, 1)));
	int			end = writing->option + writing->noptions;

	/* what was there before the first version is told by that alone */
	return writing->scope == 0 && !writing->stretch->initial && begin < end &&
		fsw_variants_count(flag, end) > fsw_variants_count(flag, begin);
}

/*
 * From the first of some changes of the variants in a stretch on, nothing is
 * surer than at_most, up to where what is told has seen the last of them.
 */
static void
lower_from(const Writing *writing, int64 first, int64 last, int64 to, FswConfidence at_most)
{
	const FswStretch *stretch = writing->stretch;
	bool		listed = stretch->last_listed > last;

	/* perhaps it was read only after that; clocks differ */
	if (stretch->initial || first <= fsw_after(stretch->latest, FSW_CLOCKS))
		first = stretch->from;
	if (listed || (writing->chained && !is_next_read_later(writing)))
	{
		if (!has_more_since(writing))
			to = Min(to, last);
		else if (listed)
			to = Min(to, stretch->last_listed);
	}
	fsw_timeline_lower(writing->timeline, writing->first, first, to, at_most, FSW_CAUSE_VARIANTS);
}

/*
 * A version that was perhaps live before it was told of may have been read
 * before a change of the variants, where nothing after it says the same, or
 * only after one more change.
 */
static bool
is_read_before(const Writing *writing)
{
	const FswStretch *stretch = writing->stretch;
	int64		from = stretch->earliest;
	int			option;

	if (stretch->version < 0 || stretch->state < 0 || (writing->chained && writing->noptions == 0) || stretch->last_listed > stretch->latest)
		return false;
	if (writing->versions[stretch->version].has_events)
		from = Min(from, writing->versions[stretch->version].time);
	option = fsw_timeline_first(writing->options, writing->nalloptions, fsw_after(from, 1));
	return (writing->scope == 0 || writing->flag->states[stretch->state].nvariants > 0) &&
		option < writing->nalloptions && writing->options[option] <= stretch->from;
}

/*
 * What other environments show of the variants, unless the state was read when
 * the next event was built.
 */
static void
tell_seen(const Writing *writing)
{
	const FswStretch *stretch = writing->stretch;
	FswReading	reading = {
		.held = {stretch->state, stretch->evidence},
		.from = Min(stretch->earliest, stretch->from),
		.until = fsw_after(stretch->latest, FSW_CLOCKS),
		.later = {.state = FSW_NOT_TOLD}
	};

	if ((stretch->initial && stretch->evidence >= 0) || stretch->confidence <= FSW_INFERRED)
		return;
	if (writing->next != NULL && writing->next->before >= 0)
		reading.later = (FswToldState) {writing->next->before, writing->next->evidence};
	fsw_seen_tell(writing->flag, writing->timeline, writing->first, &reading);
}

/*
 * Variants that are added change every environment default, those that are
 * removed every state, and no event says so.  A state that was read after such
 * an entry says nothing of the time before it, and one that was read before it
 * nothing of the time after.
 */
static void
lower_variants(const Writing *writing)
{
	const FswStretch *stretch = writing->stretch;
	FswFlag    *flag = writing->flag;
	int			option = fsw_timeline_first(flag->options, flag->noptions, fsw_after(stretch->latest, 1));

	if (stretch->initial && stretch->state >= 0 && stretch->evidence >= 0)
		lower_start(writing);
	else if (is_read_before(writing))
		fsw_timeline_lower(writing->timeline, writing->first, stretch->from,
						   writing->chained ? writing->options[writing->option + writing->noptions - 1] : writing->to,
						   FSW_INFERRED, FSW_CAUSE_VARIANTS);
	/* an override has those alone that were given to it */
	if (writing->scope > 0 && stretch->state >= 0 && option < flag->noptions && flag->options[option] < writing->to)
		lower_from(writing, flag->options[option],
				   flag->options[fsw_timeline_first(flag->options, flag->noptions, writing->to) - 1], writing->to, FSW_REPORTED);
	if (writing->noptions > 0 && stretch->state >= 0)
	{
		/* one without any has none to lose after it was read */
		bool		none = writing->scope > 0 && flag->states[stretch->state].nvariants == 0;

		lower_from(writing, writing->options[writing->option], writing->options[writing->option + writing->noptions - 1],
				   none ? Min(writing->to, stretch->latest) : writing->to, FSW_INFERRED);
		fsw_variants_tell_none(flag, writing->timeline, writing->first, writing->scope, stretch->from,
							   stretch->latest, stretch->state, writing->to);
	}
	if (stretch->state >= 0)
		tell_seen(writing);
}

/*
 * May the next version be from before one of which an entry alone came, by an instant
 * of effect in the past?  Where lists come, that one has lost its own and would be rare;
 * where none do, all removals of overrides are told so.
 */
static bool
is_next_unlisted(const Writing *writing)
{
	const FswStretch *next = writing->next;

	return writing->chained && next->version >= 0 && writing->versions[next->version].list == NULL;
}

/*
 * An override that a version of which an entry alone came may have removed is
 * not sure from then on at which that can have been live: where the queue stood
 * still, its entry was written late.  So it was where the flag was gone by then,
 * and no event tells of the environment default that it changed.
 */
static void
lower_late_silent(const Writing *writing, const FswVersion *version)
{
	int64		from = Max(fsw_after(version->entry, -FSW_LATE_ALONE), writing->stretch->last_listed);

	if ((writing->scope != 0 || version->entry > writing->flag->deleted_at) &&
		writing->stretch->state >= 0 && (!writing->chained || is_next_unlisted(writing)))
		fsw_timeline_lower(writing->timeline, writing->first, from, version->earliest, FSW_REPORTED, FSW_CAUSE_PUBLISHING);
}

/*
 * What one version changed, of which an entry alone came, another such can
 * have changed back: nothing is sure from the first of them on up to what is
 * told next, since they may have been scheduled.  Of one alone, the next version
 * tells what was there before it, where lists come.
 */
static void
lower_silent(const Writing *writing, const FswVersions *set)
{
	int			end = writing->next != NULL && writing->next->version >= 0 ? writing->next->version : set->nversions;
	int			first = -1;
	int			n = 0;

	for (int i = writing->stretch->version + 1; i <= end; i++)
	{
		const FswVersion *version = i < set->nversions ? &set->versions[i] : NULL;

		FSW_INTERRUPT();
		if (version != NULL && i < end && fsw_version_is_silent(version))
		{
			lower_late_silent(writing, version);
			if (n++ == 0)
				first = i;
		}
		else if (i == end || version->list != NULL || version->imported)
		{
			if (n > 1 || (n == 1 && i == end && is_next_unlisted(writing)))
				fsw_timeline_lower(writing->timeline, writing->first, set->versions[first].earliest,
								   i < end ? Min(version->live, writing->to) : writing->to,
								   n > 1 ? FSW_INFERRED : FSW_REPORTED, FSW_CAUSE_UNTOLD_VERSION);
			n = 0;
		}
	}
	/* an entry that was written late can be of a version that was live before the next one */
	for (int i = end + 1; i < set->nversions && fsw_after(set->versions[i].earliest, -FSW_LATE_ALONE) < writing->to; i++)
	{
		FSW_INTERRUPT();
		if (fsw_version_is_silent(&set->versions[i]))
			lower_late_silent(writing, &set->versions[i]);
	}
}

/*
 * What an import shows, or the list of a version of which events came, but none of
 * the environment default, is another state than the one before it, of which no
 * version told: it changed at some instant since the last that agrees.
 */
static void
lower_before_untold(const Writing *writing, const FswVersions *set)
{
	const FswStretch *stretch = writing->stretch;
	const FswStretch *next = writing->next;
	const FswState *states = set->flag->states;
	bool		imported;

	if (next == NULL || next->version < 0 || next->state == stretch->state)
		return;
	imported = set->versions[next->version].imported;
	if (!imported && (writing->scope != 0 || next->before != FSW_NOT_SEEN || set->versions[next->version].nevents == 0 ||
					  !fsw_version_other_default(set->flag, stretch->state, next->state)))
		return;
	/* or its variants did, as entries tell */
	if (writing->noptions > 0 && stretch->state >= 0 && next->state >= 0 &&
		fsw_same_but_variants(&states[stretch->state], &states[next->state]))
		return;
	fsw_timeline_lower(writing->timeline, writing->first, Max(stretch->latest, stretch->last_listed), writing->to,
					   imported ? FSW_INFERRED : FSW_REPORTED, FSW_CAUSE_CONTRADICTED);
}

/*
 * When was an override that is gone since a version there for sure?  That it was
 * removed is told by a list alone, and by an entry that has the time of the task
 * that wrote it: both are late where the queue stood still.  What follows the
 * version may have been told of later than it was published, as well.
 */
static int64
surely_there(const FswVersions *set, int index)
{
	int64		told = FSW_FOREVER;

	for (int i = index; i < set->nversions && i <= index + SPREE; i++)
	{
		const FswVersion *version = &set->versions[i];

		if (version->has_events || version->list == NULL || version->deleted >= 0)
			continue;
		told = Min(told, version->list_arrived);
		if (version->entry != FSW_NEVER)
			told = Min(told, version->entry);
	}
	return fsw_after(told, -FSW_LATE_ALONE);
}

/* What ends a stretch may have been live earlier than thought. */
static void
lower_before_end(const Writing *writing, const FswVersions *set)
{
	const FswStretch *next = writing->next;
	int64		earliest = next->earliest;
	int64		there = FSW_FOREVER;

	if (next->version >= 0 && next->state == FSW_NOT_LIVE)
		there = surely_there(set, next->version);
	if (set->flag->latest_audit_at == FSW_NEVER && there != FSW_FOREVER && !set->versions[next->version].has_events)
		earliest = Min(earliest, there);
	else if (there < Min(earliest, writing->to))
		fsw_timeline_lower(writing->timeline, writing->first, there, writing->to, FSW_REPORTED, FSW_CAUSE_PUBLISHING);
	if (earliest < writing->to)
		fsw_timeline_lower(writing->timeline, writing->first, earliest, writing->to, FSW_INFERRED,
						   FSW_CAUSE_PUBLISHING);
}

/*
 * An override that went with its segment may have been gone before that, by a version
 * behind it of which a list tells that lacks it.
 */
static void
lower_before_deletion(const Writing *writing, const FswVersions *set)
{
	int64		ended = writing->flag->scopes[writing->scope].ended;
	int			index = writing->stretch->version + 1;
	int64		there;

	while (index < set->nversions && set->versions[index].live < ended)
		index++;
	there = surely_there(set, index);
	if (there < ended)
		fsw_timeline_lower(writing->timeline, writing->first, Max(there, writing->stretch->last_listed), ended,
						   FSW_REPORTED, FSW_CAUSE_PUBLISHING);
}

/* Write one stretch, up to where the next begins. */
void
fsw_version_write(const FswVersions *set, FswTimeline *timeline, int scope,
				  const FswStretch *stretch, const FswStretch *next)
{
	FswFlag    *flag = set->flag;
	Writing		writing = {.flag = flag,.versions = set->versions,.timeline = timeline,
	.first = timeline->nperiods,.scope = scope,.stretch = stretch,.next = next};
	bool		told;
	bool		agrees;

	writing.to = next != NULL ? next->from : FSW_FOREVER;
	if (stretch->from >= writing.to)
		return;

	told = next != NULL && next->before != FSW_NOT_SEEN && next->before != FSW_NOT_TOLD;
	agrees = told && next->before == stretch->state && stretch->confidence > FSW_UNKNOWN;
	/* where another event of its version does not fit, that may have been live before what is held */
	writing.chained = agrees && !next->suspect;
	writing.options = scope == 0 ? flag->options : flag->removed;
	writing.nalloptions = scope == 0 ? flag->noptions : flag->nremoved;
	writing.option = fsw_timeline_first(writing.options, writing.nalloptions, fsw_after(stretch->from, 1));
	while (writing.option + writing.noptions < writing.nalloptions &&
		   writing.options[writing.option + writing.noptions] < writing.to)
	{
		FSW_INTERRUPT();
		writing.noptions++;
	}

	/* the next event may tell that an ambiguous state was still held */
	if (stretch->confidence == FSW_UNKNOWN)
		write_period(&writing, stretch->from, writing.to, stretch->state,
					 told && stretch->state >= 0 && next->before == stretch->state ?
					 FSW_REPORTED : FSW_UNKNOWN, stretch->cause, stretch->evidence);
	else if (told && !agrees)
		write_broken(&writing);
	else
		write_held(&writing);
	if (stretch->undone)
		fsw_timeline_lower(timeline, writing.first, stretch->from, writing.to, FSW_INFERRED, FSW_CAUSE_CONTRADICTED);
	lower_variants(&writing);
	lower_silent(&writing, set);
	lower_before_untold(&writing, set);

	if (next != NULL && (!stretch->suspect || stretch->state != FSW_NOT_LIVE || next->state != FSW_NOT_LIVE))
		lower_before_end(&writing, set);
	else if (next == NULL && stretch->state >= 0 && flag->scopes[scope].ended < FSW_FOREVER)
		lower_before_deletion(&writing, set);
}
