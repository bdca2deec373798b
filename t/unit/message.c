/*-------------------------------------------------------------------------
 *
 * message.c
 *	  Test of the parser of audit log messages.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/base/fsw.h"
#include "src/decode/message.h"
#include "t/unit/shim.h"
#include "t/unit/unit.h"

/* Trying every split by hand is left to short messages. */
#define SHORT_MESSAGE 200
#define MAX_STEPS 20000

static const struct
{
	const char *name;
	size_t		offset;
}			names[] = {
	{"feature", offsetof(FswLogSplit, feature)},
	{"segment", offsetof(FswLogSplit, segment)},
	{"identity", offsetof(FswLogSplit, identity)},
	{"environment", offsetof(FswLogSplit, environment)},
	{"change_request", offsetof(FswLogSplit, change_request)},
	{"name", offsetof(FswLogSplit, name)},
	{"time", offsetof(FswLogSplit, scheduled_for)}
};

#define NAME_OF(split, i) (*(char **) ((char *) (split) + names[i].offset))

/* The number of the placeholder at p, or -1 for one that is not kept. */
static int
placeholder(const char *p)
{
	for (int i = 0; i < (int) lengthof(names); i++)
	{
		size_t		len = strlen(names[i].name);

		if (strncmp(p + 1, names[i].name, len) == 0 && p[len + 1] == '}')
			return i;
	}
	return -1;
}

static void
require(bool condition)
{
	if (!condition)
		abort();
}

/* ---- the table ---- */

static void
append(char *line, size_t size, const char *key, const char *value)
{
	size_t		used = strlen(line);

	snprintf(line + used, size - used, "%s%s=%s", used ? " | " : "", key, value);
}

/*
 * fields: name, related_object_type or "-", message, and what is known of it:
 * action, object and audit effect, then each split
 */
void
unit_case(const Field *fields, int nfields)
{
	char		got[8192] = "";
	FswLog	   *log;

	if (nfields != 4)
	{
		unit_is("", "four fields", fields[0].data);
		return;
	}
	log = fsw_parse_log(fields[2].data, fields[2].len,
						strcmp(fields[1].data, "-") == 0 ? NULL : fields[1].data);
	snprintf(got, sizeof(got), "%s | %s | %s%s", log->action ? log->action : "-",
			 log->object ? log->object : "-",
			 log->effect ? fsw_effect_kind_name(log->effect) : "-",
			 log->ambiguous ? " | ambiguous" : "");
	for (int i = 0; i < log->nsplits; i++)
	{
		append(got, sizeof(got), "split", log->splits[i].weak ? "weak" : "strong");
		for (int n = 0; n < (int) lengthof(names); n++)
		{
			if (NAME_OF(&log->splits[i], n) != NULL)
				append(got, sizeof(got), names[n].name, NAME_OF(&log->splits[i], n));
		}
	}
	unit_is(got, fields[3].data, fields[0].data);
	shim_reset();
}

/* ---- what must hold for any message ---- */

/*
 * Does the template, with the names of the split in it, make the message?
 * What is not kept may be anything.
 */
static bool
makes(const char *template, const FswLogSplit *split, const char *p, const char *end)
{
	while (*template != '\0')
	{
		const char *name;
		size_t		len;
		int			kept;

		if (*template != '{')
		{
			if (p == end || *p++ != *template++)
				return false;
			continue;
		}
		kept = placeholder(template);
		template = strchr(template, '}') + 1;
		if (kept < 0)
		{
			for (; p <= end; p++)
			{
				if (makes(template, split, p, end))
					return true;
			}
			return false;
		}
		name = NAME_OF(split, kept);
		len = name == NULL ? 0 : strlen(name);
		if (name == NULL || (size_t) (end - p) < len || memcmp(p, name, len) != 0)
			return false;
		p += len;
	}
	return p == end;
}

static bool
split_is_possible(const FswLogSplit *split, const char *msg, size_t len)
{
	for (int i = 0; i < fsw_log_template_count; i++)
	{
		if (makes(fsw_log_templates[i].text, split, msg, msg + len))
			return true;
	}
	return false;
}

/* Every way to split a message, tried one after the other. */
typedef struct Trial
{
	const char *end;
	const FswLog *log;
	const char *begin_of[lengthof(names)];
	size_t		len_of[lengthof(names)];
	int			steps;
	int			found;
	bool		all_there;
} Trial;

static void
trial_found(Trial *trial)
{
	bool		there = false;

	trial->found++;
	for (int i = 0; i < trial->log->nsplits && !there; i++)
	{
		there = true;
		for (int n = 0; n < (int) lengthof(names) && there; n++)
		{
			const char *name = NAME_OF(&trial->log->splits[i], n);

			if (name == NULL || trial->begin_of[n] == NULL)
				there = name == trial->begin_of[n];
			else
				there = strlen(name) == trial->len_of[n] &&
					memcmp(name, trial->begin_of[n], trial->len_of[n]) == 0;
		}
	}
	trial->all_there &= there;
}

static void
try_template(Trial *trial, const char *template, const char *p)
{
	const char *after;
	int			kept;

	for (; *template != '\0' && *template != '{'; template++)
	{
		if (p == trial->end || *p++ != *template)
			return;
	}
	if (*template == '\0')
	{
		if (p == trial->end)
			trial_found(trial);
		return;
	}
	kept = placeholder(template);
	after = strchr(template, '}') + 1;
	for (const char *q = p + 1; q <= trial->end && trial->steps++ < MAX_STEPS; q++)
	{
		if (kept >= 0)
		{
			trial->begin_of[kept] = p;
			trial->len_of[kept] = (size_t) (q - p);
		}
		try_template(trial, after, q);
		if (kept >= 0)
			trial->begin_of[kept] = NULL;
	}
}

/* Nothing that fits with names that are not empty is missing. */
static void
check_complete(const FswLog *log, const char *msg, size_t len)
{
	Trial		trial = {.end = msg + len,.log = log,.all_there = true};

	for (int i = 0; i < fsw_log_template_count; i++)
	{
		const char *text = fsw_log_templates[i].text;

		/* what is a time, only the parser knows */
		if (strstr(text, "{time}") == NULL)
			try_template(&trial, text, msg);
		else if (len >= strcspn(text, "{") && memcmp(text, msg, strcspn(text, "{")) == 0)
			return;
	}
	if (trial.steps < MAX_STEPS && trial.found <= FSW_LOG_MAX_SPLITS)
		require(trial.all_there);
}

static void
check_message(const char *msg, size_t len, const char *type)
{
	FswLog	   *log = fsw_parse_log(msg, len, type);

	require(log->nsplits >= 0 && log->nsplits <= FSW_LOG_MAX_SPLITS + 32);
	require(log->nsplits > 0 || (log->action == NULL && !log->ambiguous));
	for (int i = 0; i < log->nsplits; i++)
	{
		require(i == 0 || log->splits[i].weak >= log->splits[i - 1].weak);
		if (len <= 4096)
			require(split_is_possible(&log->splits[i], msg, len));
		for (int n = 0; n < (int) lengthof(names); n++)
			require(NAME_OF(&log->agreed, n) == NULL || log->splits[i].weak ||
					(NAME_OF(&log->splits[i], n) != NULL &&
					 strcmp(NAME_OF(&log->agreed, n), NAME_OF(&log->splits[i], n)) == 0));
	}
	if (type == NULL && len <= SHORT_MESSAGE)
		check_complete(log, msg, len);
	shim_reset();
}

/* A message has no NUL in it.  Its length chooses a type to try as well. */
void
unit_check(const uint8_t *data, size_t size)
{
	const char *msg = (const char *) data;
	size_t		len = strnlen(msg, size);

	check_message(msg, len, NULL);
	check_message(msg, len, fsw_log_type_names[len % fsw_log_type_count]);
}
