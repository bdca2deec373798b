/*-------------------------------------------------------------------------
 *
 * src/timeline/cause.c
 *	  What confidences and causes are called.
 *
 * docs/causes.md says what each means.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/timeline/model.h"

const char *const fsw_confidence_names[] = {
	[FSW_UNKNOWN] = "unknown",
	[FSW_INFERRED] = "inferred",
	[FSW_REPORTED] = "reported",
	[FSW_CONFIRMED] = "confirmed"
};

const char *const fsw_cause_names[] = {
	[FSW_CAUSE_EVENT] = "flag_event",
	[FSW_CAUSE_IMPORT] = "import",
	[FSW_CAUSE_DEFAULTS] = "feature_defaults",
	[FSW_CAUSE_PREVIOUS_STATE] = "previous_state",
	[FSW_CAUSE_VERSION_LIST] = "version_list",
	[FSW_CAUSE_OVERRIDE_REMOVED] = "override_removed",
	[FSW_CAUSE_SEGMENT_DELETED] = "segment_deleted",
	[FSW_CAUSE_FEATURE_DELETED] = "feature_deleted",
	[FSW_CAUSE_STATE_DELETED] = "state_deleted",
	[FSW_CAUSE_UNTOLD_CHANGE] = "change_without_event",
	[FSW_CAUSE_UNTOLD_VERSION] = "version_without_event",
	[FSW_CAUSE_UNTOLD_START] = "no_evidence_yet",
	[FSW_CAUSE_VARIANTS] = "variants_changed",
	[FSW_CAUSE_CONTRADICTED] = "contradicted",
	[FSW_CAUSE_TORN] = "torn_read",
	[FSW_CAUSE_CROWDED] = "several_changes",
	[FSW_CAUSE_AMBIGUOUS_LIST] = "ambiguous_version_list",
	[FSW_CAUSE_PUBLISHING] = "version_publishing",
	[FSW_CAUSE_EXPERIMENT] = "experiment_rollout",
	[FSW_CAUSE_DELETING] = "feature_deleting",
	[FSW_CAUSE_MISSING_ENTRIES] = "audit_entries_missing",
	[FSW_CAUSE_ENVIRONMENT_DELETED] = "environment_deleted"
};
