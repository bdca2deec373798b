/*-------------------------------------------------------------------------
 *
 * src/read/same.c
 *	  Audit entries that were delivered and imported as well: each is one.
 *
 * Rows of one source with one id and one time are one entry.  Options are
 * counted, and two values at one time mean two acts: so an entry that counted
 * twice would bring doubt for nothing.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/base/array.h"
#include "src/base/fsw.h"
#include "src/decode/row.h"
#include "src/read/builder.h"
#include "src/read/history.h"

/* The id of an entry, false if it has none. */
static bool
read_audit_id(FswReader *reader, FswEntry entry, int64 *audit_id)
{
	FswScan    *scan = fsw_scan_row(reader, FSW_INDEX_AUDIT, entry.delivery, entry.ordinal);

	if (scan == NULL || fsw_scan_is_null(scan, AUDIT_audit_id))
		return false;
	*audit_id = fsw_scan_int64(scan, AUDIT_audit_id, 0);
	return true;
}

/* Are two rows of one time and one source the same entry? */
bool
fsw_is_same_entry(FswReader *reader, FswEntry a, FswEntry b)
{
	int64		id;
	int64		other;

	return !fsw_same_row(a, b) && read_audit_id(reader, a, &id) && read_audit_id(reader, b, &other) && id == other;
}

/*
 * Was the effect that a scan found read already, of another row?  Then what
 * it told has the earlier arrival, and the row that brought it first.  Rows of
 * one time come one after the other, so that only the last ones are looked at.
 */
bool
fsw_is_read_already(FswHistoryReading *reading, FswScan *scan, int64 arrived)
{
	FswFlag    *flag = &reading->history->flag;
	int64		at = fsw_scan_int64(scan, EFFECT_occurred_at, 0);
	FswEffectRead effect = {.row = fsw_entry_of(scan),.split = fsw_scan_int32(scan, EFFECT_split),.at = at,.arrived = arrived,
		.first = flag->nevidence
	};

	if (reading->nsame > 0 && reading->same[0].at != at)
		reading->nsame = 0;
	for (int i = 0; i < reading->nsame; i++)
	{
		FswEffectRead *other = &reading->same[i];
		int			end = i + 1 < reading->nsame ? reading->same[i + 1].first : flag->nevidence;

		if (other->split != effect.split || !fsw_is_same_entry(reading->reader, other->row, effect.row))
			continue;
		for (int j = other->first; j < end && arrived < other->arrived; j++)
		{
			flag->evidence[j].arrived = arrived;
			if (flag->evidence[j].row >= 0)
				reading->history->shown_rows[flag->evidence[j].row].delivery = effect.row.delivery;
		}
		other->arrived = Min(other->arrived, arrived);
		return true;
	}
	FSW_PUSH(reading->same, reading->nsame, reading->maxsame) = effect;
	return false;
}
