/*-------------------------------------------------------------------------
 *
 * src/base/array.c
 *	  Numbers as an array of SQL.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type_d.h"
#include "utils/array.h"
#include "utils/memutils.h"

#include "src/base/fsw.h"

/* fsw_int8_array() - as an int8[], however many. */
Datum
fsw_int8_array(const int64 *numbers, int n)
{
	Datum	   *elements = palloc_extended(Max(n, 1) * sizeof(Datum), MCXT_ALLOC_HUGE);
	ArrayType  *result;

	for (int i = 0; i < n; i++)
		elements[i] = Int64GetDatum(numbers[i]);
	result = construct_array(elements, n, INT8OID, sizeof(int64), FLOAT8PASSBYVAL, TYPALIGN_DOUBLE);
	pfree(elements);
	return PointerGetDatum(result);
}
