/*-------------------------------------------------------------------------
 *
 * evidence.h
 *	  Evidence about a flag as text, and the periods that are made of it.
 *
 * timeline.tsv says how both are written.
 *
 *-------------------------------------------------------------------------
 */
#ifndef EVIDENCE_H
#define EVIDENCE_H

#include "postgres.h"

#include "src/timeline/model.h"

#define MAX_EVIDENCE	128
#define MAX_SCOPES		10
#define MAX_STATES		64
#define MANY_STATES		128
#define MAX_LISTED		16
#define MAX_HOLES		8
#define MAX_SEEN		8

/* In which order the pieces come into the arrays. */
typedef enum Order
{
	AS_WRITTEN,
	BACKWARDS,
	ODD_FIRST,
	BEHIND_MANY					/* as written, behind MANY_STATES others */
} Order;

/* A flag, and what its parts are called in the text. */
typedef struct Story
{
	FswFlag		flag;
	char		scopes[MAX_SCOPES][8];
	char	   *states[MANY_STATES + MAX_STATES];
	int			maxstates;
	int			nholes;
	FswHole		holes[MAX_HOLES];
	int			nseen;			/* variants that events of any environment show, */
	FswSeen		seen[MAX_SEEN];
	int64		seen_from[MAX_SEEN];	/* read from then */
	int64		seen_to[MAX_SEEN];	/* to then */
	FswSeen		between[MAX_SEEN];	/* those that were asked for last */
	char	   *unread;			/* the first piece that means nothing; NULL */
	bool		full;			/* there was no room for a piece */
} Story;

extern Story *story_read(const char *text, size_t len, Order order);
extern int	story_find_state(Story *story, const char *word);
extern char *story_write(const Story *story, const FswTimeline *timeline);
extern char *story_write_others(const FswTimeline *timeline);

/* variants.c */
extern int	story_combine(FswFlag *flag, int state, int variants);
extern int	story_adopt(FswFlag *flag, int state, int variants, int added);
extern int	story_see(FswFlag *flag, int64 from, int64 to, const FswSeen **seen);

#endif							/* EVIDENCE_H */
