/*-------------------------------------------------------------------------
 *
 * shim.c
 *	  The functions of the server that the tested sources call.
 *
 * Each palloc() is a malloc() of its own, so that AddressSanitizer sees a
 * byte too far, which inside a server's memory context it does not.  What a
 * test does not expect to be called ends the process.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

#include "src/base/fsw.h"
#include "t/unit/shim.h"

#undef snprintf
#undef vsnprintf
#undef fprintf

int			shim_jsonb_error = 0;

MemoryContext CurrentMemoryContext = NULL;
ResourceOwner CurrentResourceOwner = NULL;
sigjmp_buf *PG_exception_stack = NULL;
ErrorContextCallback *error_context_stack = NULL;
volatile sig_atomic_t InterruptPending = false;

static void
unexpected(const char *what)
{
	fprintf(stderr, "shim: %s\n", what);
	abort();
}

/* ---- memory: a list of all that is allocated ---- */

typedef struct Chunk
{
	struct Chunk *next;
	struct Chunk *previous;
	size_t		size;
	size_t		unused;			/* keeps what follows aligned to 16 */
} Chunk;

static Chunk head = {&head, &head, 0, 0};
static size_t allocated = 0;

static void *
chunk_new(size_t size, bool zero)
{
	Chunk	   *chunk = malloc(sizeof(Chunk) + size);

	if (chunk == NULL)
		unexpected("out of memory");
	chunk->size = size;
	chunk->next = head.next;
	chunk->previous = &head;
	head.next->previous = chunk;
	head.next = chunk;
	allocated += size;
	if (zero)
		memset(chunk + 1, 0, size);
	return chunk + 1;
}

size_t
shim_reset(void)
{
	size_t		sum = allocated;

	while (head.next != &head)
		pfree(head.next + 1);
	allocated = 0;
	return sum;
}

void *
palloc(Size size)
{
	if (!AllocSizeIsValid(size))
		unexpected("palloc() of more than 1 GB");
	return chunk_new(size, false);
}

void *
palloc0(Size size)
{
	if (!AllocSizeIsValid(size))
		unexpected("palloc0() of more than 1 GB");
	return chunk_new(size, true);
}

void
pfree(void *pointer)
{
	Chunk	   *chunk = (Chunk *) pointer - 1;

	chunk->next->previous = chunk->previous;
	chunk->previous->next = chunk->next;
	free(chunk);
}

void *
repalloc_huge(void *pointer, Size size)
{
	Chunk	   *old = (Chunk *) pointer - 1;
	void	   *result = chunk_new(size, false);

	memcpy(result, pointer, Min(old->size, size));
	pfree(pointer);
	return result;
}

void *
repalloc(void *pointer, Size size)
{
	if (!AllocSizeIsValid(size))
		unexpected("repalloc() of more than 1 GB");
	return repalloc_huge(pointer, size);
}

/* palloc_array() and its like call these in recent releases. */
extern void *palloc_mul(Size s1, Size s2);
extern void *palloc0_mul(Size s1, Size s2);
extern void *repalloc_mul(void *pointer, Size s1, Size s2);

static Size
product(Size s1, Size s2)
{
	Size		size;

	if (__builtin_mul_overflow(s1, s2, &size))
		unexpected("an array of more than there is memory");
	return size;
}

void *
palloc_mul(Size s1, Size s2)
{
	return palloc(product(s1, s2));
}

void *
palloc0_mul(Size s1, Size s2)
{
	return palloc0(product(s1, s2));
}

void *
repalloc_mul(void *pointer, Size s1, Size s2)
{
	return repalloc(pointer, product(s1, s2));
}

char *
pnstrdup(const char *in, Size len)
{
	char	   *result;

	len = strnlen(in, len);
	result = palloc(len + 1);
	memcpy(result, in, len);
	result[len] = '\0';
	return result;
}

char *
psprintf(const char *format,...)
{
	char		text[1024];
	va_list		args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	return pnstrdup(text, sizeof(text));
}

/* ---- errors: none is expected but those of jsonb_in() ---- */

static ErrorData error;

bool
errstart(int elevel, const char *domain)
{
	(void) domain;
	memset(&error, 0, sizeof(error));
	error.elevel = elevel;
	return true;
}

bool
errstart_cold(int elevel, const char *domain)
{
	return errstart(elevel, domain);
}

int
errcode(int sqlerrcode)
{
	error.sqlerrcode = sqlerrcode;
	return 0;
}

int
errmsg(const char *format,...)
{
	(void) format;
	return 0;
}

int
errmsg_internal(const char *format,...)
{
	(void) format;
	return 0;
}

int
errdetail(const char *format,...)
{
	(void) format;
	return 0;
}

void
errfinish(const char *filename, int lineno, const char *funcname)
{
	(void) filename;
	(void) lineno;
	if (error.elevel < ERROR)
		return;
	if (PG_exception_stack == NULL)
		unexpected(funcname);
	siglongjmp(*PG_exception_stack, 1);
}

ErrorData *
CopyErrorData(void)
{
	ErrorData  *copy = palloc(sizeof(ErrorData));

	*copy = error;
	return copy;
}

void
FreeErrorData(ErrorData *edata)
{
	pfree(edata);
}

void
FlushErrorState(void)
{
}

void
ReThrowError(ErrorData *edata)
{
	error = *edata;
	errfinish(NULL, 0, "ReThrowError");
	abort();
}

void
pg_re_throw(void)
{
	errfinish(NULL, 0, "pg_re_throw");
	abort();
}

char *
unpack_sql_state(int sql_state)
{
	static char text[6];

	for (int i = 0; i < 5; i++, sql_state >>= 6)
		text[i] = PGUNSIXBIT(sql_state);
	return text;
}

void
ProcessInterrupts(void)
{
	unexpected("interrupted");
}

/* ---- transactions: only counted ---- */

static int	depth = 0;

void
BeginInternalSubTransaction(const char *name)
{
	(void) name;
	depth++;
}

void
ReleaseCurrentSubTransaction(void)
{
	if (depth-- != 1)
		unexpected("a subtransaction too many");
}

void
RollbackAndReleaseCurrentSubTransaction(void)
{
	if (depth-- != 1)
		unexpected("a subtransaction too many");
}

uint64
fsw_xact_counter(void)
{
	return 0;
}

void
fsw_xact_counter_reset(uint64 counter)
{
	(void) counter;
}

/* ---- encodings ---- */

int
GetDatabaseEncoding(void)
{
	return PG_UTF8;
}

bool
pg_verify_mbstr(int encoding, const char *mbstr, int len, bool noError)
{
	if (!noError)
		unexpected("pg_verify_mbstr() that may raise");
	return pg_encoding_verifymbstr(encoding, mbstr, len) == len;
}

char *
pg_server_to_any(const char *s, int len, int encoding)
{
	(void) len;
	(void) encoding;
	return (char *) s;
}

/* ---- jsonb: what is parsed is not looked at ---- */

Datum
jsonb_in(PG_FUNCTION_ARGS)
{
	static Jsonb empty;

	(void) fcinfo;
	SET_VARSIZE(&empty, sizeof(empty));
	if (shim_jsonb_error != 0)
		ereport(ERROR, (errcode(shim_jsonb_error), errmsg_internal("as asked")));
	return PointerGetDatum(&empty);
}

#ifdef FSW_SOFT_INPUT_ERRORS

bool
DirectInputFunctionCallSafe(PGFunction func, char *str, Oid typioparam, int32 typmod,
							struct Node *escontext, Datum *result)
{
	ErrorSaveContext *context = (ErrorSaveContext *) escontext;

	(void) typioparam;
	(void) typmod;
	if (shim_jsonb_error != 0)
	{
		context->error_occurred = true;
		context->error_data = palloc0(sizeof(ErrorData));
		context->error_data->sqlerrcode = shim_jsonb_error;
		return false;
	}
	*result = DirectFunctionCall1Coll(func, InvalidOid, CStringGetDatum(str));
	return true;
}

#endif

Datum
DirectFunctionCall1Coll(PGFunction func, Oid collation, Datum arg1)
{
	LOCAL_FCINFO(fcinfo, 1);

	InitFunctionCallInfoData(*fcinfo, NULL, 1, collation, NULL, NULL);
	fcinfo->args[0].value = arg1;
	fcinfo->args[0].isnull = false;
	return (*func) (fcinfo);
}

struct varlena *
pg_detoast_datum(struct varlena *datum)
{
	return datum;
}
