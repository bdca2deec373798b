/*-------------------------------------------------------------------------
 *
 * src/read/single_save.c
 *	  Was a state of a flag saved by itself, and not in a version?
 *
 * The entries of such saves say when a flag had no versions yet.  They are few
 * and old, so they are looked for only from an instant on.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"

#include "src/base/fsw.h"
#include "src/decode/row.h"
#include "src/read/read.h"

/* So many overrides are looked at; more are as good as one that was saved. */
#define MANY_OVERRIDES	FSW_WINDOW

/* The entries of the environment default under one name, or those of one override. */
static FswScan *
scan_saves(FswReader *reader, const FswFlagFacts *flag_facts, int64 name, const int64 *scope_hash)
{
	FswScan    *scan = fsw_scan_entries(reader, flag_facts, name, false);

	if (scope_hash != NULL)
		fsw_scan_equal(scan, Int64GetDatum(*scope_hash));
	else
		fsw_scan_key_null(scan, true);
	return scan;
}

/* Is any of these entries, from an instant on, one of a save, or before another one of a removal? */
static bool
has_save(FswScan *scan, const FswFlagFacts *flag_facts, int64 created_at, int64 from, int64 removed_before)
{
	if (from != FSW_NEVER)
		fsw_scan_key(scan, BTGreaterEqualStrategyNumber, TimestampTzGetDatum(from));
	fsw_scan_begin(scan, ForwardScanDirection);
	while (fsw_scan_next(scan))
	{
		CHECK_FOR_INTERRUPTS();
		if ((!fsw_scan_is(scan, EFFECT_kind, "removal") || fsw_scan_int64(scan, EFFECT_occurred_at, 0) < removed_before) &&
			fsw_entry_is_of(scan, flag_facts) &&
			fsw_flag_facts_has(flag_facts, created_at, fsw_scan_int64(scan, EFFECT_occurred_at, 0)))
			return true;
	}
	return false;
}

/* Does any segment bear a name of this hash? */
static bool
is_of_segment(FswReader *reader, int64 hash)
{
	FswScan    *scan = fsw_scan_of(reader, FSW_INDEX_NAME_HASH);

	fsw_scan_equal(scan, Int64GetDatum(hash));
	fsw_scan_begin(scan, ForwardScanDirection);
	while (fsw_scan_next(scan))
	{
		if (fsw_scan_is(scan, NAME_kind, "segment"))
			return true;
	}
	return false;
}

/* The same of the overrides by segments. */
static bool
has_override_save(FswReader *reader, const FswFlagFacts *flag_facts, int64 created_at, int64 name, int64 from,
				  int64 removed_before)
{
	int64		hash = 0;
	bool		begun = false;

	for (int i = 0; i < MANY_OVERRIDES; i++)
	{
		if (!fsw_next_told(reader, flag_facts, name, &begun, &hash))
			return false;
		if (is_of_segment(reader, hash) &&
			has_save(scan_saves(reader, flag_facts, name, &hash), flag_facts, created_at, from, removed_before))
			return true;
	}
	return true;
}

/*
 * fsw_is_saved_singly() - is there an entry, from an instant on, that the
 * default or a segment's override of the flag was saved by itself?  That one was
 * removed says so as well, before the first version, if that is given.
 */
bool
fsw_is_saved_singly(FswReader *reader, const FswFlagFacts *flag_facts, int64 created_at, int64 from,
					int64 removed_before)
{
	for (int i = 0; i < flag_facts->feature.nnames && flag_facts->environment->has_project; i++)
	{
		int64		name = flag_facts->feature.names[i];

		if (has_save(scan_saves(reader, flag_facts, name, NULL), flag_facts, created_at, from, removed_before) ||
			has_override_save(reader, flag_facts, created_at, name, from, removed_before))
			return true;
	}
	return false;
}
