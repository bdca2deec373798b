/*-------------------------------------------------------------------------
 *
 * src/evidence/signature.c
 *	  Flagsmith's own signature of a delivery, verified again years later.
 *
 * A leaf says what was stored; this says who made it, as far as nobody else
 * had the secret.  Which is the one that verified the delivery when it came,
 * or one that was typed in: by a setting, since a parameter is shown by logs.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "catalog/pg_type_d.h"
#include "funcapi.h"
#include "utils/builtins.h"

#include "src/evidence/evidence.h"

/* Columns of the result. */
enum
{
	VERIFIED,
	VERIFIED_secret_id,
	VERIFIED_reason,
	VERIFIED_COUNT
};

typedef struct Verdict
{
	Datum		values[VERIFIED_COUNT];
	bool		nulls[VERIFIED_COUNT];
	const char *reason;			/* NULL for none */
} Verdict;

/* Why it is not verified; known: that it is wrong, else that it cannot be told. */
static void
not_verified(Verdict *verdict, bool known, const char *reason)
{
	verdict->nulls[VERIFIED] = !known;
	verdict->values[VERIFIED] = BoolGetDatum(false);
	verdict->reason = reason;
}

/* The key of the secret that was typed in, or of the one that is kept; NULL where there is none. */
static FswKey *
find_key(Verdict *verdict, int64 secret_id)
{
	static const Oid types[] = {INT8OID};
	Datum		id = Int64GetDatum(secret_id);
	FswKey	   *key = NULL;
	bool		isnull;

	if (fsw_secret[0] != '\0')
		return fsw_key_create(CurrentMemoryContext, fsw_secret, strlen(fsw_secret));
	fsw_execute(fsw_plan(FSW_PLAN_KEPT_SECRET,
						 "SELECT secret FROM flagsmith.webhook_secret WHERE id = $1 AND secret <> ''", 1, types),
				&id, NULL, true, 0);
	if (SPI_processed == 1)
	{
		text	   *plain = DatumGetTextPP(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &isnull));

		key = fsw_key_create(CurrentMemoryContext, VARDATA_ANY(plain), VARSIZE_ANY_EXHDR(plain));
		explicit_bzero(VARDATA_ANY(plain), VARSIZE_ANY_EXHDR(plain));
		verdict->nulls[VERIFIED_secret_id] = false;
		verdict->values[VERIFIED_secret_id] = id;
	}
	SPI_freetuptable(SPI_tuptable);
	return key;
}

static void
verify_signature(Verdict *verdict, text *signature, bytea *body, int64 secret_id)
{
	uint8		expected[FSW_DIGEST_LENGTH];
	uint8		mac[FSW_DIGEST_LENGTH];
	FswKey	   *key;

	if (!fsw_signature_parse(VARDATA_ANY(signature), VARSIZE_ANY_EXHDR(signature), expected))
	{
		not_verified(verdict, true, "its signature is not 64 hexadecimal digits");
		return;
	}
	key = find_key(verdict, secret_id);
	if (key == NULL)
	{
		not_verified(verdict, false, "the secret that verified it is not kept");
		return;
	}
	fsw_key_sign(key, (uint8 *) VARDATA_ANY(body), VARSIZE_ANY_EXHDR(body), mac);
	if (fsw_digest_equal(mac, expected))
	{
		verdict->nulls[VERIFIED] = false;
		verdict->values[VERIFIED] = BoolGetDatum(true);
	}
	else
		not_verified(verdict, true, "its signature is not one of its body with this secret");
	explicit_bzero(mac, sizeof(mac));
}

/* The row that was found: signature, secret_id, body, digest. */
static void
verify_row(Verdict *verdict, HeapTuple tuple, TupleDesc desc)
{
	bool		unsigned_delivery;
	bool		no_body;
	bool		isnull;
	Datum		signature = SPI_getbinval(tuple, desc, 1, &unsigned_delivery);
	Datum		secret_id = SPI_getbinval(tuple, desc, 2, &isnull);
	Datum		value = SPI_getbinval(tuple, desc, 3, &no_body);
	bytea	   *stored = DatumGetByteaPP(SPI_getbinval(tuple, desc, 4, &isnull));
	bytea	   *body;

	if (no_body)
	{
		not_verified(verdict, false, "its body is not there any more");
		return;
	}
	body = DatumGetByteaPP(value);
	if (!fsw_digest_is_of(stored, body))
		not_verified(verdict, true, "its body is not the one of its digest");
	else if (unsigned_delivery)
		not_verified(verdict, false, "it was not signed");
	else
		verify_signature(verdict, DatumGetTextPP(signature), body, DatumGetInt64(secret_id));
}

PG_FUNCTION_INFO_V1(fsw_verify_delivery);

/*
 * verify_delivery(id bigint, OUT verified boolean, OUT secret_id bigint, OUT
 * reason text) - NULL where it cannot be told.  Raises 42704 where there is no
 * such delivery.
 */
Datum
fsw_verify_delivery(PG_FUNCTION_ARGS)
{
	static const Oid types[] = {INT8OID};
	Datum		id = PG_GETARG_DATUM(0);
	Verdict		verdict = {{0}, {true, true, true}, NULL};
	TupleDesc	desc;
	SPITupleTable *found;

	if (get_call_result_type(fcinfo, NULL, &desc) != TYPEFUNC_COMPOSITE || desc->natts != VERIFIED_COUNT)
		elog(ERROR, "return type must be a row type of %d columns", VERIFIED_COUNT);
	SPI_connect();
	fsw_execute(fsw_plan(FSW_PLAN_VERIFY_DELIVERY,
						 "SELECT signature, secret_id, body, digest FROM flagsmith.delivery WHERE id = $1", 1, types),
				&id, NULL, true, 0);
	if (SPI_processed != 1)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("delivery %lld does not exist", (long long) DatumGetInt64(id))));
	found = SPI_tuptable;
	verify_row(&verdict, found->vals[0], found->tupdesc);
	SPI_finish();
	verdict.nulls[VERIFIED_reason] = verdict.reason == NULL;
	if (verdict.reason != NULL)
		verdict.values[VERIFIED_reason] = CStringGetTextDatum(verdict.reason);
	return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(desc), verdict.values, verdict.nulls));
}
