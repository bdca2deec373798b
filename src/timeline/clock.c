/*-------------------------------------------------------------------------
 *
 * src/timeline/clock.c
 *	  By how much the clock of a receiver was behind that of the sender.
 *
 * Nothing arrives before it is told: where a piece seems to, the clock of the
 * receiver was behind by as much, and by as long as that piece was on its way.
 * One piece alone can have a wrong time: what no other one says counts for ten
 * seconds at most.  It counts for the hour that the pieces are in and the hours
 * beside it, since clocks are set right at some time.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/timeline/model.h"

#define HOUR				INT64CONST(3600000000)

/* So much may be what a single piece says. */
#define SAID_BY_ONE			INT64CONST(10000000)

/* So long can that piece have been on its way. */
#define ON_ITS_WAY			INT64CONST(500000)

/* How much the clock was behind in an hour. */
typedef struct Behind
{
	int64		hour;
	int64		by;
} Behind;

static int64
hour_of(const FswEvidence *piece)
{
	return piece->at / HOUR - (piece->at % HOUR < 0);
}

/* How much earlier a piece arrived than it was told, if it did. */
static int64
early_by(const FswEvidence *piece)
{
	return piece->kind == FSW_EV_LIST ? 0 : Max(fsw_apart(piece->at, piece->arrived), 0);
}

/* The hours in which the clock was behind, of evidence in order of time. */
static Behind *
gather_hours(FswFlag *flag, int *n)
{
	Behind	   *behind = NULL;
	int64		most = 0;
	int64		second = 0;

	*n = 0;
	for (int i = 0; i < flag->nevidence; i++)
	{
		int64		early = early_by(&flag->evidence[i]);
		int64		hour = hour_of(&flag->evidence[i]);

		FSW_INTERRUPT();
		second = Max(second, Min(early, most));
		most = Max(early, most);
		flag->early |= early > 0;
		if (i + 1 < flag->nevidence && hour_of(&flag->evidence[i + 1]) == hour)
			continue;
		if (most > 0)
		{
			if (behind == NULL)
				behind = palloc_array(Behind, flag->nevidence);
			behind[*n].hour = hour;
			behind[(*n)++].by = fsw_after(Min(most, second + SAID_BY_ONE), ON_ITS_WAY);
		}
		most = second = 0;
	}
	return behind;
}

/*
 * Set the times of arrival, of evidence in order of time, which it is not
 * always afterwards.  It is marked if anything in it came too early, since near
 * an instant less of that is read.
 */
void
fsw_clock_set(FswFlag *flag)
{
	int			n;
	int			first = 0;
	Behind	   *behind = gather_hours(flag, &n);

	for (int i = 0; i < flag->nevidence && n > 0; i++)
	{
		FswEvidence *piece = &flag->evidence[i];
		int64		hour = hour_of(piece);
		int64		by = 0;

		FSW_INTERRUPT();
		while (first < n && behind[first].hour < hour - 1)
			first++;
		for (int j = first; j < n && behind[j].hour <= hour + 1; j++)
			by = Max(by, behind[j].by);
		piece->arrived = fsw_after(piece->arrived, by);
		/* which has no other time */
		if (piece->kind == FSW_EV_LIST)
			piece->at = piece->arrived;
	}
	if (behind != NULL)
		pfree(behind);
}
