/*-------------------------------------------------------------------------
 *
 * src/timeline/near_cut.c
 *	  Of what was read around an instant, a stretch between two quiet times.
 *
 * See near.c for what its versions tell, and version_match.c for why quiet
 * times part what belongs together.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/timeline/version.h"

/* Nor in need. */
#define APART		(FSW_ENTRY_DELAY + 2 * FSW_CLOCKS)

/* From when to when a piece of evidence may matter to others. */
typedef struct Span
{
	int64		from;
	int64		to;
	int			piece;			/* index */
} Span;

/* The piece of the other kind with the uuid of one, -1 for none. */
int
fsw_near_other(const FswFlag *flag, int index)
{
	FswEvidenceKind kind = flag->evidence[index].kind == FSW_EV_LIST ? FSW_EV_VERSION : FSW_EV_LIST;

	for (int i = 0; i < flag->nevidence; i++)
	{
		FSW_INTERRUPT();
		if (flag->evidence[i].kind == kind && flag->evidence[i].version == flag->evidence[index].version)
			return i;
	}
	return -1;
}

static int
compare_spans(const void *a, const void *b)
{
	const Span *x = a;
	const Span *y = b;

	FSW_INTERRUPT();
	return x->from < y->from ? -1 : x->from > y->from;
}

/* What is read, by when it begins to matter; and whether an entry came alone. */
static Span *
find_spans(const FswFlag *flag, FswNear *near, int *n)
{
	Span	   *spans = palloc_array(Span, flag->nevidence + 1);

	*n = 0;
	for (int i = 0; i < flag->nevidence; i++)
	{
		const FswEvidence *piece = &flag->evidence[i];
		Span	   *span = &spans[*n];

		FSW_INTERRUPT();
		span->piece = i;
		span->from = span->to = piece->at;
		if (piece->kind == FSW_EV_BODY || piece->kind == FSW_EV_IMPORT)
		{
			span->from = Min(piece->at, piece->arrived);
			span->to = Max(piece->at, piece->arrived);
		}
		else if (piece->kind == FSW_EV_LIST || piece->kind == FSW_EV_VERSION)
		{
			int			other = fsw_near_other(flag, i);

			if (other >= 0)
			{
				span->from = Min(piece->at, flag->evidence[other].at);
				span->to = Max(piece->at, flag->evidence[other].at);
			}
			else if (piece->kind == FSW_EV_VERSION)
				near->awaits |= fsw_apart(piece->arrived, piece->at) <= FSW_TOLD_LATE;
			/* an entry that came behind its list, which is not in the stretch */
			if (piece->kind == FSW_EV_VERSION && other >= 0 &&
				flag->evidence[other].at <= near->lists_from)
				continue;
		}
		(*n)++;
	}
	qsort(spans, *n, sizeof(Span), compare_spans);
	return spans;
}

/*
 * Where the stretch that is read begins, at the span of the result, and from
 * when on it is certain which events are whose.  Returns n for nowhere.
 */
static int
cut_before(const Span *spans, int n, FswNear *near)
{
	int64		quiet = near->read_from;
	int			first = n;

	near->exact_from = FSW_FOREVER;
	for (int i = 0; i < n; i++)
	{
		int64		apart = fsw_apart(spans[i].from, quiet);

		FSW_INTERRUPT();
		if (apart >= FSW_QUIET && first == n)
		{
			first = i;
			near->first = spans[i].from;
		}
		if (apart >= APART || (apart >= FSW_QUIET && fsw_apart(spans[i].from, near->first) >= FSW_MATCH_REACH))
		{
			near->exact_from = spans[i].from;
			break;
		}
		quiet = Max(quiet, spans[i].to);
	}
	return first;
}

/* The same of where it ends, before the span of the result; -1 for nowhere. */
static int
cut_behind(const Span *spans, int n, int first, FswNear *near)
{
	int64		quiet = near->first;
	int64	   *ends = palloc_array(int64, n + 1);
	int			end = -1;

	near->last = near->exact_to = FSW_FOREVER;
	if (near->read_to == FSW_FOREVER)
		return n;
	for (int i = first; i <= n; i++)
	{
		FSW_INTERRUPT();
		ends[i] = quiet;
		if (fsw_apart(i < n ? Min(spans[i].from, near->read_to) : near->read_to, quiet) >= FSW_QUIET)
		{
			end = i;
			near->last = quiet;
		}
		if (i < n)
			quiet = Max(quiet, spans[i].to);
	}
	near->exact_to = FSW_NEVER;
	for (int i = end; i > first && near->exact_to == FSW_NEVER; i--)
	{
		int64		apart = fsw_apart(i < n ? Min(spans[i].from, near->read_to) : near->read_to, ends[i]);

		FSW_INTERRUPT();
		if (apart >= APART || (apart >= FSW_QUIET && fsw_apart(near->last, ends[i]) >= FSW_MATCH_REACH))
			near->exact_to = ends[i];
	}
	pfree(ends);
	return end;
}

/*
 * fsw_near_cut() - take of what is read the longest stretch between two quiet times.  Returns
 * false if there is none around the instant.
 */
bool
fsw_near_cut(FswFlag *flag, FswNear *near)
{
	int			n;
	Span	   *spans = find_spans(flag, near, &n);
	FswEvidence *kept = palloc_array(FswEvidence, n + 1);
	int			first = cut_before(spans, n, near);
	int			end;

	if (first == n || near->first >= near->at)
		return false;
	end = cut_behind(spans, n, first, near);
	if (end < 0 || near->last <= near->at)
		return false;
	for (int i = first; i < end; i++)
		kept[i - first] = flag->evidence[spans[i].piece];
	flag->nevidence = end - first;
	memcpy(flag->evidence, kept, flag->nevidence * sizeof(FswEvidence));
	return true;
}
