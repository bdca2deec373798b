/*-------------------------------------------------------------------------
 *
 * src/base/signature.c
 *	  X-Flagsmith-Signature: hexadecimal HMAC-SHA256 of the exact body bytes,
 *	  keyed with the UTF-8 bytes of the webhook's secret (docs/flagsmith.md).
 *
 * The functions that SQL calls; what they compute is in hmac.c.  Every key is
 * tried before the answer is given, and digests are compared in constant time
 * as 32 decoded bytes.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "src/base/fsw.h"

/* How many keyed contexts one call site of verify_signature() keeps. */
#define KEYS_KEPT 8

/* What a call site keeps in fn_extra. */
typedef struct FswKeyCache
{
	int			nkeys;
	int			next;			/* the slot to reuse when all are taken */
	MemoryContext contexts[KEYS_KEPT];
	FswKey	   *keys[KEYS_KEPT];
} FswKeyCache;

/*
 * The value of a hexadecimal digit plus one, 0 for any other byte.  A table,
 * because the digits of a digest are random: branches on them were an eighth
 * of the time of a verification.
 */
static const uint8 hex_digits[256] = {
	['0'] = 1,['1'] = 2,['2'] = 3,['3'] = 4,['4'] = 5,
	['5'] = 6,['6'] = 7,['7'] = 8,['8'] = 9,['9'] = 10,
	['a'] = 11,['b'] = 12,['c'] = 13,['d'] = 14,['e'] = 15,['f'] = 16,
	['A'] = 11,['B'] = 12,['C'] = 13,['D'] = 14,['E'] = 15,['F'] = 16,
};

/*
 * fsw_signature_parse() - 64 hexadecimal digits of either case into 32 bytes.
 * Anything else, a prefix or white space included, is false.
 */
bool
fsw_signature_parse(const char *hex, size_t len, uint8 *mac)
{
	if (len != 2 * FSW_DIGEST_LENGTH)
		return false;
	for (int i = 0; i < FSW_DIGEST_LENGTH; i++)
	{
		uint8		high = hex_digits[(uint8) hex[2 * i]];
		uint8		low = hex_digits[(uint8) hex[2 * i + 1]];

		if (high == 0 || low == 0)
			return false;
		mac[i] = (uint8) ((high - 1) << 4 | (low - 1));
	}
	return true;
}

/*
 * The keyed context of a secret, kept by the call site: a query over many
 * bodies keys HMAC once.  Each key has a memory context of its own, so that
 * the oldest can be cleansed when there are more than KEYS_KEPT.
 */
static FswKey *
cached_key(FunctionCallInfo fcinfo, const char *secret, size_t len)
{
	FswKeyCache *cache = fcinfo->flinfo->fn_extra;
	int			slot;

	if (cache == NULL)
	{
		cache = MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt, sizeof(FswKeyCache));
		fcinfo->flinfo->fn_extra = cache;
	}
	for (int i = 0; i < cache->nkeys; i++)
	{
		FswKey	   *key = cache->keys[i];

		if (key != NULL && fsw_key_is(key, secret, len))
			return key;
	}

	if (cache->nkeys < KEYS_KEPT)
	{
		slot = cache->nkeys;
		cache->contexts[slot] = AllocSetContextCreate(fcinfo->flinfo->fn_mcxt,
													  "flagsmith_webhook key",
													  ALLOCSET_SMALL_SIZES);
		cache->nkeys++;
	}
	else
	{
		slot = cache->next;
		cache->next = (cache->next + 1) % KEYS_KEPT;
		cache->keys[slot] = NULL;
		MemoryContextReset(cache->contexts[slot]);
	}
	cache->keys[slot] = fsw_key_create(cache->contexts[slot], secret, len);
	return cache->keys[slot];
}

PG_FUNCTION_INFO_V1(fsw_sign);

/*
 * sign(body bytea, secret text) returns text - what Flagsmith puts into
 * X-Flagsmith-Signature: 64 lower-case hexadecimal digits.
 *
 * Raises 22004 for a NULL argument and 22023 for an empty secret, with which
 * Flagsmith does not sign.
 */
Datum
fsw_sign(PG_FUNCTION_ARGS)
{
	static const char digits[] = "0123456789abcdef";
	bytea	   *body;
	text	   *secret;
	uint8		mac[FSW_DIGEST_LENGTH];
	char		hex[2 * FSW_DIGEST_LENGTH];

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("webhook body and secret must not be null")));
	body = PG_GETARG_BYTEA_PP(0);
	secret = PG_GETARG_TEXT_PP(1);
	if (VARSIZE_ANY_EXHDR(secret) == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("webhook secret must not be empty")));

	fsw_key_sign(cached_key(fcinfo, VARDATA_ANY(secret), VARSIZE_ANY_EXHDR(secret)),
				 (const uint8 *) VARDATA_ANY(body), VARSIZE_ANY_EXHDR(body), mac);
	for (int i = 0; i < FSW_DIGEST_LENGTH; i++)
	{
		hex[2 * i] = digits[mac[i] >> 4];
		hex[2 * i + 1] = digits[mac[i] & 0xf];
	}
	PG_RETURN_TEXT_P(cstring_to_text_with_len(hex, sizeof(hex)));
}

PG_FUNCTION_INFO_V1(fsw_verify_signature);

/*
 * verify_signature(body bytea, signature text, VARIADIC secrets text[])
 * returns boolean - whether one of the secrets made the signature.
 *
 * Never NULL and raises for no input: a missing, empty, cut, prefixed or
 * otherwise malformed signature is false, and so is an empty secret.
 */
Datum
fsw_verify_signature(PG_FUNCTION_ARGS)
{
	bytea	   *body;
	text	   *signature;
	uint8		expected[FSW_DIGEST_LENGTH];
	ArrayType  *secrets;
	Datum	   *elems;
	bool	   *nulls;
	int			nelems;
	bool		verified = false;

	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(2))
		PG_RETURN_BOOL(false);
	signature = PG_GETARG_TEXT_PP(1);
	if (!fsw_signature_parse(VARDATA_ANY(signature), VARSIZE_ANY_EXHDR(signature), expected))
		PG_RETURN_BOOL(false);

	body = PG_GETARG_BYTEA_PP(0);
	secrets = PG_GETARG_ARRAYTYPE_P(2);
	deconstruct_array(secrets, TEXTOID, -1, false, TYPALIGN_INT, &elems, &nulls, &nelems);
	for (int i = 0; i < nelems; i++)
	{
		uint8		mac[FSW_DIGEST_LENGTH];
		text	   *secret;

		if (nulls[i])
			continue;
		secret = DatumGetTextPP(elems[i]);
		if (VARSIZE_ANY_EXHDR(secret) == 0)
			continue;
		fsw_key_sign(cached_key(fcinfo, VARDATA_ANY(secret), VARSIZE_ANY_EXHDR(secret)),
					 (const uint8 *) VARDATA_ANY(body), VARSIZE_ANY_EXHDR(body), mac);
		verified |= fsw_digest_equal(mac, expected);
		explicit_bzero(mac, sizeof(mac));
	}
	PG_RETURN_BOOL(verified);
}
