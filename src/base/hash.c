/*-------------------------------------------------------------------------
 *
 * src/base/hash.c
 *	  The hash of every stored column and index that stands for a text.
 *
 * SipHash-2-4 over the UTF-8 bytes, with the key 00 01 .. 0f of the test
 * vectors in Aumasson and Bernstein, "SipHash: a fast short-input PRF".  It is
 * defined by bytes: a dump or a subscription may cross from one encoding, byte
 * order or word length to another, and the hashes still mean the same names.
 * The server's own hash functions promise none of that.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "mb/pg_wchar.h"

#include "src/base/fsw.h"

#define KEY_LOW		UINT64CONST(0x0706050403020100)
#define KEY_HIGH	UINT64CONST(0x0f0e0d0c0b0a0908)

typedef struct SipState
{
	uint64		a;
	uint64		b;
	uint64		c;
	uint64		d;
} SipState;

static inline uint64
rotate(uint64 word, int bits)
{
	return (word << bits) | (word >> (64 - bits));
}

static inline void
sip_rounds(SipState *s, int rounds)
{
	while (rounds-- > 0)
	{
		s->a += s->b;
		s->c += s->d;
		s->b = rotate(s->b, 13) ^ s->a;
		s->d = rotate(s->d, 16) ^ s->c;
		s->a = rotate(s->a, 32);
		s->c += s->b;
		s->a += s->d;
		s->b = rotate(s->b, 17) ^ s->c;
		s->d = rotate(s->d, 21) ^ s->a;
		s->c = rotate(s->c, 32);
	}
}

static inline void
sip_word(SipState *s, uint64 word)
{
	s->d ^= word;
	sip_rounds(s, 2);
	s->a ^= word;
}

/* SipHash-2-4 of some bytes. */
uint64
fsw_siphash(const uint8 *bytes, size_t length)
{
	SipState	s = {
		KEY_LOW ^ UINT64CONST(0x736f6d6570736575),
		KEY_HIGH ^ UINT64CONST(0x646f72616e646f6d),
		KEY_LOW ^ UINT64CONST(0x6c7967656e657261),
		KEY_HIGH ^ UINT64CONST(0x7465646279746573)
	};
	uint64		word = 0;

	for (size_t i = 0; i < length; i++)
	{
		word |= (uint64) bytes[i] << (i % 8 * 8);
		if (i % 8 == 7)
		{
			sip_word(&s, word);
			word = 0;
		}
	}
	sip_word(&s, word | (uint64) (length & 0xff) << 56);
	s.c ^= 0xff;
	sip_rounds(&s, 4);
	return s.a ^ s.b ^ s.c ^ s.d;
}

/*
 * The hash of a text in the database's encoding, behind a prefix in ASCII:
 * "feature:checkout".  What cannot be converted to UTF-8, in a database
 * without an encoding, is hashed as it stands.
 */
int64
fsw_hash(const char *prefix, const char *text, size_t length)
{
	size_t		head = strlen(prefix);
	char	   *whole = palloc(head + length + 1);
	char	   *utf8;
	int64		result;

	memcpy(whole, prefix, head);
	memcpy(whole + head, text, length);
	whole[head + length] = '\0';
	utf8 = pg_server_to_any(whole, head + length, PG_UTF8);
	result = (int64) fsw_siphash((const uint8 *) utf8,
								 utf8 == whole ? head + length : strlen(utf8));
	if (utf8 != whole)
		pfree(utf8);
	pfree(whole);
	return result;
}

PG_FUNCTION_INFO_V1(fsw_hash_text);

/*
 * _hash(text) - the hash that stored columns have, of a kind, a colon and a
 * name.
 */
Datum
fsw_hash_text(PG_FUNCTION_ARGS)
{
	text	   *argument = PG_GETARG_TEXT_PP(0);

	PG_RETURN_INT64(fsw_hash("", VARDATA_ANY(argument), VARSIZE_ANY_EXHDR(argument)));
}
