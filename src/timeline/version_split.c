/*-------------------------------------------------------------------------
 *
 * src/timeline/version_split.c
 *	  Up to when states were saved one by one, and from when on in versions.
 *
 * Versions are switched on once and for all.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "src/timeline/version.h"

/* When the first version was told of, if any was. */
static int64
first_told(const FswFlag *flag)
{
	int64		arrived = FSW_FOREVER;

	for (int i = 0; i < flag->nevidence; i++)
	{
		FSW_INTERRUPT();
		if (flag->evidence[i].kind == FSW_EV_LIST || flag->evidence[i].kind == FSW_EV_VERSION)
			arrived = Min(arrived, flag->evidence[i].arrived);
	}
	return arrived == FSW_FOREVER ? FSW_NEVER : arrived;
}

/*
 * When a state was saved by itself for the last time, with all parts of that
 * act.  Versions are switched on once and for all, so that an event of that
 * time or before it is of none; the entry of a version that sent no event
 * would else draw it over.  Where no entries come, so would the first that
 * was told of a version: an event that came long before was saved by itself.
 */
int64
fsw_version_last_save(const FswFlag *flag)
{
	int64		alone = flag->latest_audit_at == FSW_NEVER && !flag->near ?
		fsw_after(first_told(flag), -FSW_LATE_ALONE) : FSW_NEVER;

	for (int i = flag->nevidence - 1; i >= 0; i--)
	{
		const FswEvidence *piece = &flag->evidence[i];

		FSW_INTERRUPT();
		if (flag->scopes[piece->scope].kind == FSW_SCOPE_IDENTITY)
			continue;
		if (piece->kind == FSW_EV_STATE || piece->kind == FSW_EV_VALUE || piece->kind == FSW_EV_NEAR)
			return fsw_after(piece->at, FSW_SAME_ACT);
		if (piece->kind == FSW_EV_BODY && piece->arrived < alone)
			return piece->at;
	}
	return FSW_NEVER;
}

/* Does the evidence show a state that was saved by itself before an instant? */
static bool
has_single_saves(const FswFlag *flag, int64 until)
{
	for (int i = 0; i < flag->nevidence; i++)
	{
		const FswEvidence *piece = &flag->evidence[i];

		FSW_INTERRUPT();
		if (piece->at >= until)
			return false;
		if (flag->scopes[piece->scope].kind == FSW_SCOPE_IDENTITY)
			continue;
		/* without audit entries, an event without a list says the same */
		if (piece->kind == FSW_EV_STATE || piece->kind == FSW_EV_VALUE || piece->kind == FSW_EV_NEAR ||
			piece->kind == FSW_EV_REMOVAL || (piece->kind == FSW_EV_BODY && flag->latest_audit_at == FSW_NEVER))
			return true;
	}
	return false;
}

/*
 * An environment is without versions up to its first entry or list of one, if
 * anything shows that states were saved one by one before: that part is not
 * judged here.
 */
void
fsw_version_split(FswVersions *set)
{
	int64		first = FSW_FOREVER;
	int			n = 0;

	for (int i = 0; i < set->nversions; i++)
	{
		const FswVersion *version = &set->versions[i];

		FSW_INTERRUPT();
		if (version->entry != FSW_NEVER || version->list_arrived != FSW_NEVER)
			first = Min(first, version->earliest);
	}
	set->begin = FSW_NEVER;
	if (set->flag->near || !has_single_saves(set->flag, first))
		return;
	set->begin = first;
	for (int i = 0; i < set->nversions; i++)
	{
		const FswVersion *version = &set->versions[i];

		FSW_INTERRUPT();
		if (version->earliest >= first)
			set->versions[n++] = *version;
	}
	set->nversions = n;
}
