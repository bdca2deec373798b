/*-------------------------------------------------------------------------
 *
 * naming.c
 *	  Test of fsw_naming_build(): from sightings to when a thing bore which name.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <ctype.h>

#include "src/timeline/model.h"
#include "src/timeline/naming.h"
#include "t/unit/shim.h"
#include "t/unit/unit.h"

#undef fprintf

#define MAX_SIGHTINGS	200
#define NAMES			26
#define SECOND			INT64CONST(1000000)

/* Sightings by name, each in any order. */
typedef struct Seen
{
	int			looks;
	int			n;
	struct
	{
		int			name;
		FswSighting sighting;
	}			all[MAX_SIGHTINGS];
} Seen;

/*
 * One letter and a second for each: a small letter in a body, a capital one in
 * an entry about the thing itself.
 */
static void
read_sightings(Seen *seen, const char *p, const char *end)
{
	while (p < end && seen->n < MAX_SIGHTINGS)
	{
		char		letter = *p++;
		int64		at = 0;

		if (!isalpha((unsigned char) letter) || (letter & 0x80))
			continue;
		for (; p < end && isdigit((unsigned char) *p) && at < 100000; p++)
			at = at * 10 + *p - '0';
		seen->all[seen->n].name = tolower((unsigned char) letter) - 'a';
		seen->all[seen->n].sighting.at = at * SECOND;
		seen->all[seen->n++].sighting.exact = isupper((unsigned char) letter);
	}
}

static bool
is_before(const FswSighting *a, const FswSighting *b)
{
	return a->at != b->at ? a->at < b->at : a->exact && !b->exact;
}

static bool
next_sighting(void *source, int name, int64 after, FswSighting *next)
{
	Seen	   *seen = source;
	const FswSighting *found = NULL;

	seen->looks++;
	for (int i = 0; i < seen->n; i++)
	{
		const FswSighting *sighting = &seen->all[i].sighting;

		if (seen->all[i].name == name && sighting->at > after && (found == NULL || is_before(sighting, found)))
			found = sighting;
	}
	if (found != NULL)
		*next = *found;
	return found != NULL;
}

/* fields: name, sightings, names by time */
void
unit_case(const Field *fields, int nfields)
{
	Seen	   *seen = palloc0_object(Seen);
	FswNaming  *namings;
	char	   *got;
	size_t		len;
	FILE	   *out = open_memstream(&got, &len);
	int			n;

	read_sightings(seen, fields[1].data, fields[1].data + fields[1].len);
	namings = fsw_naming_build(NAMES, next_sighting, seen, &n);
	for (int i = 0; i < n; i++)
		fprintf(out, "%s%c%lld", i > 0 ? " " : "", 'a' + namings[i].name, (long long) (namings[i].from / SECOND));
	fclose(out);
	unit_is(got, nfields == 3 ? fields[2].data : "three fields", fields[0].data);
	free(got);
	shim_reset();
}

/* Is a body seen up to a second before an entry that tells the same name exactly? */
static bool
is_early(const Seen *seen, int body)
{
	const FswSighting *sighting = &seen->all[body].sighting;

	for (int i = 0; i < seen->n && !sighting->exact; i++)
	{
		const FswSighting *entry = &seen->all[i].sighting;

		if (seen->all[i].name == seen->all[body].name && entry->exact && entry->at > sighting->at &&
			entry->at - sighting->at <= SECOND)
			return true;
	}
	return false;
}

/*
 * The same by its definition: sighting after sighting, in order, but for those
 * that an entry soon after dates exactly.  A name that was borne before counts
 * again only ten minutes after it was replaced.
 */
static int
name_plainly(const Seen *seen, FswNaming *namings)
{
	bool		borne[NAMES] = {false};
	bool		used[MAX_SIGHTINGS] = {false};
	int			n = 0;

	for (int turn = 0; turn < seen->n; turn++)
	{
		int			i = -1;

		for (int j = 0; j < seen->n; j++)
		{
			if (!used[j] && (i < 0 || is_before(&seen->all[j].sighting, &seen->all[i].sighting) ||
							 (!is_before(&seen->all[i].sighting, &seen->all[j].sighting) &&
							  seen->all[j].name < seen->all[i].name)))
				i = j;
		}
		used[i] = true;
		if (is_early(seen, i))
			continue;
		/* of one instant, the first in the order counts */
		if (n > 0 && (namings[n - 1].name == seen->all[i].name ||
					  seen->all[i].sighting.at == namings[n - 1].from ||
					  (borne[seen->all[i].name] && !seen->all[i].sighting.exact &&
					   seen->all[i].sighting.at - namings[n - 1].from < 600 * SECOND)))
			continue;
		namings[n].from = seen->all[i].sighting.at;
		namings[n++].name = seen->all[i].name;
		borne[seen->all[i].name] = true;
	}
	return n;
}

void
unit_check(const uint8_t *data, size_t size)
{
	Seen	   *seen = palloc0_object(Seen);
	FswNaming  *plain = palloc_array(FswNaming, MAX_SIGHTINGS);
	FswNaming  *namings;
	int			n;

	read_sightings(seen, (const char *) data, (const char *) data + size);
	namings = fsw_naming_build(NAMES, next_sighting, seen, &n);
	if (n != name_plainly(seen, plain))
		abort();
	for (int i = 0; i < n; i++)
	{
		if (namings[i].from != plain[i].from || namings[i].name != plain[i].name)
			abort();
	}
	shim_reset();
}
