/*-------------------------------------------------------------------------
 *
 * answer.c
 *		What requests are answered.
 *
 *-------------------------------------------------------------------------
 */
#include "answer.h"

#include <stddef.h>

static const struct
{
	int			status;			/* 0: no answer was given */
	const char *word;
}			answer_table[ANSWER_COUNT] =

{
	[ANSWER_NONE] = {0, "none"},
	[ANSWER_STORED] = {200, "stored"},
	[ANSWER_DUPLICATE] = {200, "duplicate"},
	[ANSWER_UNDECODED] = {200, "undecoded"},
	[ANSWER_SPOOLED] = {200, "spooled"},
	[ANSWER_REJECTED] = {401, "rejected"},
	[ANSWER_REJECTED_SIZE] = {413, "rejected"},
	[ANSWER_NO_WEBHOOK] = {404, "no_webhook"},
	[ANSWER_NOT_FOUND] = {404, "not_found"},
	[ANSWER_METHOD] = {405, "method"},
	[ANSWER_MALFORMED] = {400, "malformed"},
	[ANSWER_TIMEOUT] = {408, "timeout"},
	[ANSWER_NO_LENGTH] = {411, "no_length"},
	[ANSWER_CODING] = {501, "coding"},
	[ANSWER_TOO_LARGE] = {413, "too_large"},
	[ANSWER_HEAD_TOO_LARGE] = {431, "head_too_large"},
	[ANSWER_CLOSED] = {0, "closed"},
	[ANSWER_STATUS] = {200, "status"},
	[ANSWER_UNREADY] = {503, "unready"},
};

int
answer_status(Answer answer)
{
	return answer_table[answer].status;
}

const char *
answer_word(Answer answer)
{
	return answer_table[answer].word;
}

/* A line that begins with the word and says more; NULL where the word says it all. */
const char *
answer_text(Answer answer)
{
	switch (answer)
	{
		case ANSWER_REJECTED:
			return "rejected: flagsmith.rejected in the database says why\n";
		case ANSWER_NO_WEBHOOK:
			return "no_webhook: no webhook of this name is registered and enabled\n";
		case ANSWER_NOT_FOUND:
			return "not_found: the path does not begin with the receiver's --prefix, or ends there\n";
		default:
			return NULL;
	}
}
