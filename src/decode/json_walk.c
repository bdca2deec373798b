/*-------------------------------------------------------------------------
 *
 * src/decode/json_walk.c
 *	  Looking into jsonb: keys of an object, kinds of values.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/fmgrprotos.h"

#include "src/base/fsw.h"
#include "src/decode/field.h"

/* The container of an object or array, or NULL. */
static JsonbContainer *
container(const JsonbValue *value)
{
	return value != NULL && value->type == jbvBinary ? value->val.binary.data : NULL;
}

JsonbContainer *
fsw_json_object(const JsonbValue *value)
{
	JsonbContainer *c = container(value);

	return c != NULL && JsonContainerIsObject(c) ? c : NULL;
}

/* The value of a key, or NULL. */
JsonbValue *
fsw_json_key(JsonbContainer *object, const char *key)
{
	if (object == NULL)
		return NULL;
	return getKeyJsonValueFromContainer(object, key, strlen(key), NULL);
}

bool
fsw_json_is_null(const JsonbValue *value)
{
	return value == NULL || value->type == jbvNull;
}

bool
fsw_json_is_string(const JsonbValue *value)
{
	return value != NULL && value->type == jbvString;
}

bool
fsw_json_is_array(const JsonbValue *value)
{
	JsonbContainer *c = container(value);

	return c != NULL && JsonContainerIsArray(c);
}

/* Whether two values are the same to the last leaf. */
bool
fsw_json_equal(JsonbValue *a, JsonbValue *b)
{
	if (a->type != b->type)
		return false;
	switch (a->type)
	{
		case jbvNull:
			return true;
		case jbvString:
			return a->val.string.len == b->val.string.len &&
				memcmp(a->val.string.val, b->val.string.val, a->val.string.len) == 0;
		case jbvNumeric:
			return DatumGetBool(DirectFunctionCall2(numeric_eq,
													NumericGetDatum(a->val.numeric),
													NumericGetDatum(b->val.numeric)));
		case jbvBool:
			return a->val.boolean == b->val.boolean;
		case jbvBinary:
			return compareJsonbContainers(a->val.binary.data, b->val.binary.data) == 0;
		default:
			elog(ERROR, "unexpected jsonb value type %d", (int) a->type);
	}
	return false;
}
