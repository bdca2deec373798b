/*-------------------------------------------------------------------------
 *
 * src/decode/message.h
 *	  What the log text of an audit entry says: interface of message.c, and
 *	  the table it works from.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FSW_MESSAGE_H
#define FSW_MESSAGE_H

/*
 * No message is split in more ways than this.  A message that has this many
 * splits may have more.
 */
#define FSW_LOG_MAX_SPLITS 64

/*
 * What a message says may have changed.  The names are those of
 * audit_effect.kind, whose CHECK lists them as well.
 */
#define FSW_EFFECT_KINDS(X) \
	X(STATE, "state") \
	X(VALUE, "value") \
	X(OVERRIDE, "override") \
	X(REMOVAL, "removal") \
	X(VARIANT, "variant") \
	X(VERSION, "version") \
	X(FEATURE_CREATED, "feature_created") \
	X(FEATURE_DELETED, "feature_deleted") \
	X(ENVIRONMENT_CREATED, "environment_created") \
	X(SEGMENT_DELETED, "segment_deleted") \
	X(SCHEDULED, "scheduled") \
	X(REORDERED, "reordered")

#define FSW_EFFECT_ENUM(kind, name) FSW_EFFECT_##kind,

typedef enum FswEffectKind
{
	FSW_EFFECT_NONE = 0,
	FSW_EFFECT_KINDS(FSW_EFFECT_ENUM)
} FswEffectKind;

/*
 * One way of splitting a message into names.  Each string is palloc'd, or
 * NULL where the message has no such name.
 */
typedef struct FswLogSplit
{
	char	   *feature;
	char	   *segment;
	char	   *identity;
	char	   *environment;
	char	   *change_request;
	char	   *name;			/* of what has no column of its own: a release
								 * pipeline, an experiment, a metric, a health
								 * provider */
	char	   *scheduled_for;	/* as written in the message */
	bool		weak;			/* takes words of a longer template for part
								 * of a name; true only where a name really
								 * contains them */
} FswLogSplit;

typedef struct FswLog
{
	const char *action;			/* NULL: not recognized (or, in an ambiguous
								 * message, not certain) */
	const char *object;
	FswEffectKind effect;
	bool		ambiguous;		/* more than one split is not weak */
	FswLogSplit agreed;			/* what all splits that are not weak agree on;
								 * shares its strings with splits */
	int			nsplits;		/* 0: not recognized */
	FswLogSplit *splits;		/* the weak ones last */
} FswLog;

extern FswLog *fsw_parse_log(const char *log, size_t len,
							 const char *related_object_type);
extern const char *fsw_effect_kind_name(FswEffectKind kind);

/* ---- message.c, for parse_log.c ---- */

/* What may stand between two literals of a template. */
typedef enum FswLogField
{
	FSW_LOG_FEATURE,
	FSW_LOG_SEGMENT,
	FSW_LOG_IDENTITY,
	FSW_LOG_ENVIRONMENT,
	FSW_LOG_CHANGE_REQUEST,
	FSW_LOG_NAME,
	FSW_LOG_TIME,
	FSW_LOG_OTHER				/* present, but not kept */
} FswLogField;

#define FSW_LOG_KEPT_FIELDS FSW_LOG_OTHER

typedef struct FswLogFieldInfo
{
	const char *placeholder;
	const char *key;			/* in the splits of parse_log() */
	size_t		offset;			/* in FswLogSplit */
} FswLogFieldInfo;

extern const FswLogFieldInfo fsw_log_fields[];

#define FSW_SPLIT_FIELD(split, field) \
	(*(char **) ((char *) (split) + fsw_log_fields[field].offset))

/* ---- message_time.c, for message.c alone ---- */

extern int	fsw_log_time_length(const char *s, int len);

/* ---- message_template.c, for message.c alone ---- */

/* The bits of FswLogTemplate.types, in the order of the names below. */
extern const char *const fsw_log_type_names[];
extern const int fsw_log_type_count;

#define FSW_LOG_OF_ANY (~0)

/*
 * Besides the types: only releases of long ago logged it so (2.23 to 2.41),
 * so that a sentence which still is logged is rather meant.
 */
#define FSW_LOG_OLD (1 << 30)

/* The most placeholders in one template. */
#define FSW_LOG_MAX_GAPS 5

typedef struct FswLogTemplate
{
	const char *text;
	int			types;			/* related_object_type of such an entry */
	const char *action;
	const char *object;
	FswEffectKind effect;
} FswLogTemplate;

extern const FswLogTemplate fsw_log_templates[];
extern const int fsw_log_template_count;

#endif							/* FSW_MESSAGE_H */
