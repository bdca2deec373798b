/*-------------------------------------------------------------------------
 *
 * src/decode/message_template.c
 *	  The sentences of the audit log.
 *
 * To teach message.c a new sentence, add a row here and a line to
 * sql/message.sql.  A placeholder is a name in braces, one of those in
 * fields[] of message.c; {} is one whose text is not kept.  Two placeholders
 * never stand side by side.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/decode/message.h"

/* related_object_type as a set; the bits follow fsw_log_type_names[] */
#define OF_FEATURE					(1 << 0)
#define OF_FEATURE_STATE			(1 << 1)
#define OF_SEGMENT					(1 << 2)
#define OF_ENVIRONMENT				(1 << 3)
#define OF_CHANGE_REQUEST			(1 << 4)
#define OF_EDGE_IDENTITY			(1 << 5)
#define OF_IMPORT_REQUEST			(1 << 6)
#define OF_EF_VERSION				(1 << 7)
#define OF_FEATURE_HEALTH			(1 << 8)
#define OF_RELEASE_PIPELINE			(1 << 9)
#define OF_WAREHOUSE_CONNECTION		(1 << 10)
#define OF_EXPERIMENT				(1 << 11)
#define OF_METRIC					(1 << 12)

/* entries of release pipelines whose type is not documented */
#define OF_PIPELINE_ACT \
	(OF_RELEASE_PIPELINE | OF_FEATURE | OF_FEATURE_STATE)

const char *const fsw_log_type_names[] = {
	"FEATURE", "FEATURE_STATE", "SEGMENT", "ENVIRONMENT", "CHANGE_REQUEST",
	"EDGE_IDENTITY", "IMPORT_REQUEST", "EF_VERSION", "FEATURE_HEALTH",
	"RELEASE_PIPELINE", "WAREHOUSE_CONNECTION", "EXPERIMENT", "METRIC"
};

const int	fsw_log_type_count = lengthof(fsw_log_type_names);

/*
 * Every sentence of every release.  Where one sentence is logged under several
 * types, the type tells what was acted upon.
 *
 * "set" is said where Flagsmith uses one sentence for creating and updating.
 * An entry of a change request or a release pipeline touches state: it tells
 * neither whether an override is meant nor of whom.
 */
const FswLogTemplate fsw_log_templates[] = {
	/* features; with an environment, their states in it */
	{"New Flag / Remote Config created: {feature}",
	OF_FEATURE, "created", "feature", FSW_EFFECT_FEATURE_CREATED},
	{"New Flag / Remote Config created: {feature}",
	OF_FEATURE_STATE, "created", "feature state", FSW_EFFECT_FEATURE_CREATED},
	{"Flag / Remote Config updated: {feature}",
	OF_FEATURE, "updated", "feature", FSW_EFFECT_NONE},
	{"Flag / Remote Config Deleted: {feature}",
	OF_FEATURE, "deleted", "feature", FSW_EFFECT_FEATURE_DELETED},
	{"Flag / Remote Config Deleted: {feature}",
	OF_FEATURE_STATE, "deleted", "feature state", FSW_EFFECT_FEATURE_DELETED},

	/* the oldest releases: without a name, and with a typing error */
	{"New Flag / Remote Config created",
	OF_FEATURE, "created", "feature", FSW_EFFECT_FEATURE_CREATED},
	{"Flag / Remove Config updated",
	OF_FEATURE, "updated", "feature", FSW_EFFECT_NONE},
	{"Flag / Remove Config updated: {feature}",
	OF_FEATURE, "updated", "feature", FSW_EFFECT_NONE},

	/* states of an environment */
	{"Flag state updated for feature: {feature}",
	OF_FEATURE_STATE, "updated", "feature state", FSW_EFFECT_STATE},
	{"Flag state / Remote Config value updated for feature: {feature}",
	OF_FEATURE_STATE, "updated", "feature state", FSW_EFFECT_STATE},
	{"Remote config value updated for feature: {feature}",
	OF_FEATURE_STATE, "updated", "feature value", FSW_EFFECT_VALUE},

	/* variants and their percentages */
	{"Multivariate value changed for feature '{feature}'.",
	OF_FEATURE_STATE, "updated", "variant", FSW_EFFECT_VARIANT},
	{"Multivariate value changed for feature '{feature}' and identity '{identity}'.",
	OF_FEATURE_STATE, "updated", "variant", FSW_EFFECT_VARIANT},
	{"Multivariate value changed for feature '{feature}' and segment '{segment}'.",
	OF_FEATURE_STATE, "updated", "variant", FSW_EFFECT_VARIANT},
	{"Multivariate option added to feature '{feature}'.",
	OF_FEATURE, "created", "variant", FSW_EFFECT_VARIANT},
	{"Multivariate option removed from feature '{feature}'.",
	OF_FEATURE, "deleted", "variant", FSW_EFFECT_VARIANT},

	/* overrides */
	{"Flag state / Remote config value updated for feature '{feature}' and identity '{identity}'",
	OF_FEATURE_STATE, "set", "identity override", FSW_EFFECT_OVERRIDE},
	{"Flag state / Remote config value updated for feature '{feature}' and segment '{segment}'",
	OF_FEATURE_STATE, "set", "segment override", FSW_EFFECT_OVERRIDE},
	{"Flag state / Remote config value deleted for feature '{feature}' and identity '{identity}'",
	OF_FEATURE_STATE, "deleted", "identity override", FSW_EFFECT_REMOVAL},
	{"Flag state / Remote config value deleted for feature '{feature}' and segment '{segment}'",
	OF_FEATURE, "deleted", "segment override", FSW_EFFECT_REMOVAL},
	{"Flag state / Remote config value deleted for feature '{feature}' and segment '{segment}'",
	OF_FEATURE_STATE | FSW_LOG_OLD, "deleted", "segment override", FSW_EFFECT_REMOVAL},
	{"Remote config value updated for identity override on feature '{feature}' and identity '{identity}'.",
	OF_FEATURE_STATE, "updated", "identity override", FSW_EFFECT_VALUE},
	{"Remote config updated for segment override on feature '{feature}' and segment '{segment}'.",
	OF_FEATURE_STATE, "updated", "segment override", FSW_EFFECT_VALUE},
	{"Segment overrides re-ordered for feature '{feature}'.",
	OF_FEATURE, "reordered", "segment override", FSW_EFFECT_REORDERED},
	{"Feature override created for feature '{feature}' and identity '{identity}'",
	OF_EDGE_IDENTITY, "created", "identity override", FSW_EFFECT_OVERRIDE},
	{"Feature override updated for feature '{feature}' and identity '{identity}'",
	OF_EDGE_IDENTITY, "updated", "identity override", FSW_EFFECT_OVERRIDE},
	{"Feature override deleted for feature '{feature}' and identity '{identity}'",
	OF_EDGE_IDENTITY, "deleted", "identity override", FSW_EFFECT_REMOVAL},

	/* to 2.41: overrides of a feature, of which segments it is not said */
	{"Segment rules updated for flag: {feature}",
	OF_FEATURE, "updated", "segment override", FSW_EFFECT_OVERRIDE},
	{"Segment rules updated for flag: {feature} in environment: {environment}",
	OF_FEATURE, "updated", "segment override", FSW_EFFECT_OVERRIDE},

	/* defined since 2.42, used by no release so far */
	{"Identity override created for feature '{feature}' and identity '{identity}'",
	OF_FEATURE_STATE, "created", "identity override", FSW_EFFECT_OVERRIDE},
	{"Segment override created for feature '{feature}' and segment '{segment}'",
	OF_FEATURE_STATE, "created", "segment override", FSW_EFFECT_OVERRIDE},

	/* schedules */
	{"Flag state / Remote Config value update scheduled for {time} for feature: {feature}",
	OF_FEATURE_STATE, "scheduled", "feature state", FSW_EFFECT_SCHEDULED},
	{"Identity override scheduled for {time} for feature '{feature}' and identity '{identity}'",
	OF_FEATURE_STATE, "scheduled", "identity override", FSW_EFFECT_SCHEDULED},
	{"Segment override scheduled for {time} for feature '{feature}' and segment '{segment}'",
	OF_FEATURE_STATE, "scheduled", "segment override", FSW_EFFECT_SCHEDULED},
	{"Flag state for feature '{feature}' scheduled for update by Change Request '{change_request}' at {time}.",
	OF_FEATURE_STATE, "rescheduled", "feature state", FSW_EFFECT_SCHEDULED},

	/* change requests */
	{"Flag state / Remote config updated for feature: {feature} by Change Request: {change_request}",
	OF_FEATURE_STATE, "committed", "feature state", FSW_EFFECT_STATE},
	{"Scheduled change to Flag state / Remote config value went live for feature: {feature} by Change Request: {change_request}",
	OF_FEATURE_STATE, "went live", "feature state", FSW_EFFECT_STATE},
	{"Change Request: {change_request} created",
	OF_CHANGE_REQUEST, "created", "change request", FSW_EFFECT_NONE},
	{"Change Request: {change_request} approved",
	OF_CHANGE_REQUEST, "approved", "change request", FSW_EFFECT_NONE},
	{"Change Request: {change_request} committed",
	OF_CHANGE_REQUEST, "committed", "change request", FSW_EFFECT_NONE},
	{"Change Request: {change_request} deleted",
	OF_CHANGE_REQUEST, "deleted", "change request", FSW_EFFECT_NONE},

	/* versions */
	{"New version published for feature: {feature}",
	OF_EF_VERSION, "published", "version", FSW_EFFECT_VERSION},

	/* segments */
	{"New Segment created: {segment}",
	OF_SEGMENT, "created", "segment", FSW_EFFECT_NONE},
	{"New Segment created: {segment} (via {} cohort sync)",
	OF_SEGMENT, "created", "segment", FSW_EFFECT_NONE},
	{"Segment updated: {segment}",
	OF_SEGMENT, "updated", "segment", FSW_EFFECT_NONE},
	{"Segment deleted: {segment}",
	OF_SEGMENT, "deleted", "segment", FSW_EFFECT_SEGMENT_DELETED},

	/* 2.42 to 2.190: how an edit of a segment's rules was told */
	{"Condition added to segment '{segment}'.",
	OF_SEGMENT, "updated", "segment", FSW_EFFECT_NONE},
	{"Condition updated on segment '{segment}'.",
	OF_SEGMENT, "updated", "segment", FSW_EFFECT_NONE},
	{"Condition removed from segment '{segment}'.",
	OF_SEGMENT, "updated", "segment", FSW_EFFECT_NONE},

	/* environments */
	{"New Environment created: {environment}",
	OF_ENVIRONMENT, "created", "environment", FSW_EFFECT_ENVIRONMENT_CREATED},
	{"Environment updated: {environment}",
	OF_ENVIRONMENT, "updated", "environment", FSW_EFFECT_NONE},

	/* imports */
	{"New LaunchDarkly import requested",
	OF_IMPORT_REQUEST, "requested", "import", FSW_EFFECT_NONE},
	{"LaunchDarkly import completed successfully",
	OF_IMPORT_REQUEST, "completed", "import", FSW_EFFECT_NONE},
	{"LaunchDarkly import failed",
	OF_IMPORT_REQUEST, "failed", "import", FSW_EFFECT_NONE},
	{"LaunchDarkly import failed with error: {}",
	OF_IMPORT_REQUEST, "failed", "import", FSW_EFFECT_NONE},
	{"LaunchDarkly import failed with errors:{}",
	OF_IMPORT_REQUEST, "failed", "import", FSW_EFFECT_NONE},

	/* health of features: environment, provider and reason are optional */
	{"Health provider {name} set up for project {}.",
	OF_FEATURE_HEALTH, "created", "health provider", FSW_EFFECT_NONE},
	{"Health provider {name} removed from project {}.",
	OF_FEATURE_HEALTH, "deleted", "health provider", FSW_EFFECT_NONE},
#define HEALTH(status, tail, action) \
	{"Health status changed to " status " for feature {feature}" tail, \
	OF_FEATURE_HEALTH, action, "feature health", FSW_EFFECT_NONE}
#define HEALTH_TAILS(where) \
	HEALTH("HEALTHY", where, "marked healthy"), \
	HEALTH("HEALTHY", where "\n\nProvided by {name}", "marked healthy"), \
	HEALTH("HEALTHY", where "\n\nReason:\n{}", "marked healthy"), \
	HEALTH("HEALTHY", where "\n\nProvided by {name}\n\nReason:\n{}", "marked healthy"), \
	HEALTH("UNHEALTHY", where, "marked unhealthy"), \
	HEALTH("UNHEALTHY", where "\n\nProvided by {name}", "marked unhealthy"), \
	HEALTH("UNHEALTHY", where "\n\nReason:\n{}", "marked unhealthy"), \
	HEALTH("UNHEALTHY", where "\n\nProvided by {name}\n\nReason:\n{}", "marked unhealthy")
	HEALTH_TAILS("."),
	HEALTH_TAILS(" in environment {environment}."),

	/* release pipelines */
	{"Release Pipeline: {name} created",
	OF_RELEASE_PIPELINE, "created", "release pipeline", FSW_EFFECT_NONE},
	{"Release Pipeline: {name} cloned",
	OF_RELEASE_PIPELINE, "cloned", "release pipeline", FSW_EFFECT_NONE},
	{"Release Pipeline: {name} updated",
	OF_RELEASE_PIPELINE, "updated", "release pipeline", FSW_EFFECT_NONE},
	{"Release Pipeline: {name} published",
	OF_RELEASE_PIPELINE, "published", "release pipeline", FSW_EFFECT_NONE},
	{"Release Pipeline: {name} Converted to Draft",
	OF_RELEASE_PIPELINE, "converted to draft", "release pipeline", FSW_EFFECT_NONE},
	{"Release Pipeline: {name} deleted",
	OF_RELEASE_PIPELINE, "deleted", "release pipeline", FSW_EFFECT_NONE},
	{"Feature: {feature} added to Release Pipeline: {name}",
	OF_PIPELINE_ACT, "added", "release pipeline", FSW_EFFECT_NONE},
	{"Feature: {feature} removed from Release Pipeline: {name}",
	OF_PIPELINE_ACT, "removed", "release pipeline", FSW_EFFECT_NONE},
	{"Flag state / Remote config updated for feature: {feature} by Release pipeline: {name} (stage: {})",
	OF_PIPELINE_ACT, "updated", "feature state", FSW_EFFECT_STATE},
	{"Phased rollout created for feature: {feature} by release pipeline: {name} (stage: {})",
	OF_PIPELINE_ACT, "created", "phased rollout", FSW_EFFECT_NONE},
	{"Phased rollout split changed from '{}%' to '{}%' for feature '{feature}' by release pipeline '{name}' (stage: '{}')",
	OF_PIPELINE_ACT, "updated", "phased rollout", FSW_EFFECT_NONE},

	/* warehouses, experiments and metrics */
	{"Warehouse connection created for environment {environment}",
	OF_WAREHOUSE_CONNECTION, "created", "warehouse connection", FSW_EFFECT_NONE},
	{"Warehouse connection updated for environment {environment}",
	OF_WAREHOUSE_CONNECTION, "updated", "warehouse connection", FSW_EFFECT_NONE},
	{"Warehouse connection deleted for environment {environment}",
	OF_WAREHOUSE_CONNECTION, "deleted", "warehouse connection", FSW_EFFECT_NONE},
	{"Experiment '{name}' created for environment {environment}",
	OF_EXPERIMENT, "created", "experiment", FSW_EFFECT_NONE},
	{"Experiment '{name}' updated for environment {environment}",
	OF_EXPERIMENT, "updated", "experiment", FSW_EFFECT_NONE},
	{"Experiment '{name}' deleted for environment {environment}",
	OF_EXPERIMENT, "deleted", "experiment", FSW_EFFECT_NONE},
	{"Experiment '{name}' running for environment {environment}",
	OF_EXPERIMENT, "running", "experiment", FSW_EFFECT_NONE},
	{"Experiment '{name}' paused for environment {environment}",
	OF_EXPERIMENT, "paused", "experiment", FSW_EFFECT_NONE},
	{"Experiment '{name}' completed for environment {environment}",
	OF_EXPERIMENT, "completed", "experiment", FSW_EFFECT_NONE},
	{"Experiment '{name}' rollout set to {}% of {}",
	OF_EXPERIMENT, "rolled out", "experiment", FSW_EFFECT_NONE},
	{"Metric '{name}' created",
	OF_METRIC, "created", "metric", FSW_EFFECT_NONE},
	{"Metric '{name}' updated",
	OF_METRIC, "updated", "metric", FSW_EFFECT_NONE},
	{"Metric '{name}' deleted",
	OF_METRIC, "deleted", "metric", FSW_EFFECT_NONE}
};

const int	fsw_log_template_count = lengthof(fsw_log_templates);
