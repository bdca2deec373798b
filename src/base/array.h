/*-------------------------------------------------------------------------
 *
 * src/base/array.h
 *	  Arrays that grow.
 *
 *-------------------------------------------------------------------------
 */
#ifndef FSW_ARRAY_H
#define FSW_ARRAY_H

#include "postgres.h"

#include "miscadmin.h"

/* An array with room for one more element behind n; NULL is one of none. */
static inline void *
fsw_grow(void *array, int n, int *max, Size size)
{
	if (n < *max)
		return array;
	if (array == NULL)
	{
		*max = 8;
		return palloc(*max * size);
	}
	if (*max > PG_INT32_MAX / 2)
		elog(ERROR, "array of %d elements cannot grow", n);
	*max *= 2;
	return repalloc_huge(array, *max * size);
}

/* The new last element of an array, to be assigned to. */
#define FSW_PUSH(array, n, max) \
	(*((array) = fsw_grow((array), (n), &(max), sizeof(*(array))), &(array)[(n)++]))

/* For qsort() and bsearch() of numbers. */
static inline int
fsw_compare_int64(const void *a, const void *b)
{
	int64		x = *(const int64 *) a;
	int64		y = *(const int64 *) b;

	CHECK_FOR_INTERRUPTS();
	return x < y ? -1 : x > y;
}

#endif							/* FSW_ARRAY_H */
