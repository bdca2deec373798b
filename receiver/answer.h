/*-------------------------------------------------------------------------
 *
 * answer.h
 *		What requests are answered.
 *
 *-------------------------------------------------------------------------
 */
#ifndef RECEIVER_ANSWER_H
#define RECEIVER_ANSWER_H

/*
 * What a request can end as.  The order is that of answer_table in
 * answer.c, which has the HTTP status and the word for logs and metrics.
 */
typedef enum Answer
{
	ANSWER_NONE,				/* not decided yet */
	ANSWER_STORED,
	ANSWER_DUPLICATE,
	ANSWER_UNDECODED,
	ANSWER_SPOOLED,
	ANSWER_REJECTED,			/* the inbox refused the signature */
	ANSWER_REJECTED_SIZE,		/* the inbox refused the size */
	ANSWER_NO_WEBHOOK,			/* unknown or disabled */
	ANSWER_NOT_FOUND,			/* a path outside the prefix */
	ANSWER_METHOD,
	ANSWER_MALFORMED,
	ANSWER_TIMEOUT,
	ANSWER_NO_LENGTH,
	ANSWER_CODING,				/* a transfer coding other than chunked */
	ANSWER_TOO_LARGE,
	ANSWER_HEAD_TOO_LARGE,
	ANSWER_CLOSED,				/* connection closed without an answer */
	ANSWER_STATUS,				/* healthz, readyz, metrics */
	ANSWER_UNREADY,				/* readyz: 503 */
	ANSWER_COUNT
} Answer;

extern int	answer_status(Answer answer);
extern const char *answer_word(Answer answer);
extern const char *answer_text(Answer answer);

#endif							/* RECEIVER_ANSWER_H */
