/*-------------------------------------------------------------------------
 *
 * variants.c
 *	  States as they are written, with the variants of others.
 *
 *-------------------------------------------------------------------------
 */
#include "t/unit/evidence.h"

/* As src/read/state_set.c has it: a state with the variants of another, or without any. */
int
story_combine(FswFlag *flag, int state, int variants)
{
	Story	   *story = flag->combine_with;
	const char *word = story->states[state];
	const char *end = strchr(word, '/');
	const char *more = variants < 0 ? NULL : strchr(story->states[variants], '/');
	size_t		len = end == NULL ? strlen(word) : (size_t) (end - word);
	size_t		more_len = more == NULL ? 0 : strlen(more);
	char	   *both = palloc0(len + more_len + 1);
	int			found;

	memcpy(both, word, len);
	memcpy(both + len, more == NULL ? "" : more, more_len);
	found = story_find_state(story, both);
	/* without room for it, what is written means nothing any more */
	return found < 0 ? state : found;
}

/* The variant of a state, as it is written, that is the next one in the order of their names; NULL for none. */
static const char *
next_variant(const char *state, const char *after, size_t *len)
{
	const char *variants = strchr(state, '/');
	const char *next = NULL;

	for (const char *p = variants; p != NULL; p = strchr(p + 1, ','))
	{
		size_t		n = strcspn(p + 1, ",");

		if ((after != NULL && strncmp(p + 1, after, n + 1) <= 0) || (next != NULL && strncmp(p + 1, next, n) >= 0))
			continue;
		next = p + 1;
		*len = n;
	}
	return next;
}

/* The same option in a state; NULL where it has none. */
static const char *
find_variant(const char *state, const char *variant, size_t *len)
{
	size_t		option = strcspn(variant, ",:");
	const char *variants = strchr(state, '/');

	for (const char *p = variants; p != NULL; p = strchr(p + 1, ','))
	{
		*len = strcspn(p + 1, ",");
		if (strcspn(p + 1, ",:") == option && strncmp(p + 1, variant, option) == 0)
			return p + 1;
	}
	return NULL;
}

/* As src/read/state_set.c has it: a state with the variants of another, each with its own percentage or that of a third. */
int
story_adopt(FswFlag *flag, int state, int variants, int added)
{
	Story	   *story = flag->combine_with;
	const char *word = story->states[state];
	const char *others = added < 0 ? "" : story->states[added];
	char	   *both = palloc0(strlen(word) + strlen(others) + strlen(story->states[variants]) + 2);
	char		separator = '/';
	size_t		len;
	int			found;

	memcpy(both, word, strcspn(word, "/"));
	for (const char *p = next_variant(story->states[variants], NULL, &len); p != NULL;
		 p = next_variant(story->states[variants], p, &len))
	{
		const char *variant = find_variant(word, p, &len);

		if (variant == NULL)
			variant = find_variant(others, p, &len);
		if (variant == NULL)
			continue;
		strncat(both, &separator, 1);
		strncat(both, variant, len);
		separator = ',';
	}
	found = story_find_state(story, both);
	return found < 0 ? state : found;
}

/* As src/read/seen.c has it, but all that were read. */
int
story_see(FswFlag *flag, int64 from, int64 to, const FswSeen **seen)
{
	Story	   *story = flag->see_with;
	int			n = 0;

	for (int i = 0; i < story->nseen; i++)
	{
		if (story->seen_from[i] > from && story->seen_to[i] <= to)
			story->between[n++] = story->seen[i];
	}
	*seen = story->between;
	return n;
}
