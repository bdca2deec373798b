/*-------------------------------------------------------------------------
 *
 * unit.h
 *	  What the tests of t/unit share: TAP, and tables of cases.
 *
 * A file SUBJECT.c is both a test and a fuzz target.  It has
 *
 *	  unit_case()	one line of SUBJECT.tsv, cut at its tabs
 *	  unit_check()	what must hold for any bytes whatever; abort() if not
 *
 * and unit.c makes a TAP test of them, or with -DUNIT_FUZZ a libFuzzer target.
 *
 *-------------------------------------------------------------------------
 */
#ifndef UNIT_H
#define UNIT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A field of a table: bytes, with a NUL behind them that does not count. */
typedef struct Field
{
	char	   *data;
	size_t		len;
} Field;

#define UNIT_MAX_FIELDS 8

extern void unit_case(const Field *fields, int nfields);
extern void unit_check(const uint8_t *data, size_t size);

/* One line of TAP; what was got and expected is shown where they differ. */
extern void unit_is(const char *got, const char *expected, const char *name);

#endif							/* UNIT_H */
