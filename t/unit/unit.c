/*-------------------------------------------------------------------------
 *
 * unit.c
 *	  Main program of the tests in t/unit.
 *
 *	  test SUBJECT.tsv			TAP: each line of the table, and unit_check()
 *								of each of its fields
 *	  test --seeds DIR SUBJECT.tsv
 *								writes the fields as files, to begin fuzzing with
 *
 * In a table, # begins a comment line, fields are parted by tabs, and in a
 * field \t \n \r \\ and \xHH are as in C, \*N{TEXT} is TEXT N times.
 *
 *-------------------------------------------------------------------------
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "unit.h"

static int	ran = 0;
static int	failed = 0;

static void
die(const char *what, const char *detail)
{
	fprintf(stderr, "%s: %s\n", what, detail);
	exit(2);
}

void
unit_is(const char *got, const char *expected, const char *name)
{
	bool		same = strcmp(got, expected) == 0;

	printf("%sok %d - %s\n", same ? "" : "not ", ++ran, name);
	if (!same)
	{
		printf("#      got: %s\n# expected: %s\n", got, expected);
		failed++;
	}
}

static void
field_add(Field *field, size_t *room, const char *data, size_t len)
{
	if (field->len + len + 1 > *room)
	{
		*room = 2 * (field->len + len + 1);
		field->data = realloc(field->data, *room);
		if (field->data == NULL)
			die("table", "out of memory");
	}
	memcpy(field->data + field->len, data, len);
	field->len += len;
	field->data[field->len] = '\0';
}

/* One field without its escapes, in memory of its own. */
static Field
unescape(const char *p, size_t len)
{
	Field		field = {NULL, 0};
	size_t		room = 0;
	const char *end = p + len;

	field_add(&field, &room, "", 0);
	while (p < end)
	{
		char		c = *p++;

		if (c != '\\' || p == end)
			field_add(&field, &room, &c, 1);
		else if (*p == '*')
		{
			char	   *open;
			unsigned long times = strtoul(p + 1, &open, 10);
			const char *close = memchr(open, '}', (size_t) (end - open));
			Field		text;

			if (*open != '{' || close == NULL)
				die("table: a repetition that does not end", p);
			text = unescape(open + 1, (size_t) (close - open - 1));
			while (times-- > 0)
				field_add(&field, &room, text.data, text.len);
			free(text.data);
			p = close + 1;
		}
		else if (*p == 'x' && end - p >= 3)
		{
			char		digits[3] = {p[1], p[2], '\0'};

			c = (char) strtol(digits, NULL, 16);
			field_add(&field, &room, &c, 1);
			p += 3;
		}
		else
		{
			c = *p++;
			c = (char) (c == 't' ? '\t' : c == 'n' ? '\n' : c == 'r' ? '\r' : c);
			field_add(&field, &room, &c, 1);
		}
	}
	return field;
}

static void
write_seed(const char *directory, const Field *field)
{
	char		name[4096];
	FILE	   *file;

	if (field->len == 0)
		return;
	snprintf(name, sizeof(name), "%s/%d", directory, ++ran);
	file = fopen(name, "wb");
	if (file == NULL || fwrite(field->data, 1, field->len, file) != field->len ||
		fclose(file) != 0)
		die("could not write", name);
}

/*
 * The checks see a copy of exactly the size, so that AddressSanitizer sees a
 * byte that is read behind it.
 */
static void
check_copy(const Field *field)
{
	uint8_t    *copy = malloc(field->len + (field->len == 0));

	if (copy == NULL)
		die("table", "out of memory");
	memcpy(copy, field->data, field->len);
	unit_check(copy, field->len);
	free(copy);
}

static void
run_line(char *line, const char *seeds)
{
	Field		fields[UNIT_MAX_FIELDS];
	int			nfields = 0;

	while (line != NULL)
	{
		char	   *tab = strchr(line, '\t');

		if (nfields == UNIT_MAX_FIELDS)
			die("table: too many fields", line);
		fields[nfields++] = unescape(line, tab ? (size_t) (tab - line) : strlen(line));
		line = tab ? tab + 1 : NULL;
	}
	if (seeds == NULL)
		unit_case(fields, nfields);
	for (int i = 0; i < nfields; i++)
	{
		if (seeds == NULL)
			check_copy(&fields[i]);
		else
			write_seed(seeds, &fields[i]);
		free(fields[i].data);
	}
}

#ifdef UNIT_FUZZ

extern int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	unit_check(data, size);
	return 0;
}

#define main unused_main
extern int	unused_main(int argc, char **argv);
#endif

int
main(int argc, char **argv)
{
	const char *seeds = NULL;
	char	   *line = NULL;
	size_t		room = 0;
	ssize_t		len;
	FILE	   *file;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc == 4 && strcmp(argv[1], "--seeds") == 0)
		seeds = argv[2];
	else if (argc != 2)
		die("usage", "test [--seeds DIR] TABLE");
	file = fopen(argv[argc - 1], "r");
	if (file == NULL)
		die("could not open", argv[argc - 1]);
	while ((len = getline(&line, &room, file)) >= 0)
	{
		if (len > 0 && line[len - 1] == '\n')
			line[--len] = '\0';
		if (len > 0 && line[0] != '#')
			run_line(line, seeds);
	}
	fclose(file);
	free(line);
	if (seeds == NULL)
		printf("1..%d\n", ran);
	return failed > 0 || ran == 0;
}
