/*-------------------------------------------------------------------------
 *
 * src/base/hmac.c
 *	  HMAC-SHA256 and SHA-256: OpenSSL begins and ends in this file.
 *
 * HMAC is computed from its definition (RFC 2104) over two digest contexts,
 * one that has taken in the inner block of the key and one the outer block;
 * each message gets a copy of both.  EVP_MAC is not used: OpenSSL 3.0.0 to
 * 3.0.2 restart a keyed one wrongly (openssl#17811), and copying one costs a
 * quarter of a verification.  Invariants:
 *
 *	- the first key of a process waits for a check against RFC 4231, two
 *	  messages under one key; where it fails, nothing is ever verified;
 *	- every return value of OpenSSL is checked, and a failure raises;
 *	- a keyed context belongs to a memory context, whose reset cleanses and
 *	  frees it, so that no error path leaks a key.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>

#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include "src/base/fsw.h"

/* Longer bodies are hashed in slices, so that a query can be cancelled. */
#define HASH_SLICE (1024 * 1024)

/* What SHA-256 takes in at a time. */
#define BLOCK_LENGTH 64

struct FswKey
{
	EVP_MD_CTX *inner;			/* has the key's inner block */
	EVP_MD_CTX *outer;			/* has its outer block */
	EVP_MD_CTX *work;			/* a copy of one of them, for one message */
	size_t		len;
	char	   *secret;			/* to recognise the key at the next call */
	MemoryContextCallback callback;
};

static void
openssl_failed(const char *what)
{
	ERR_clear_error();
	ereport(ERROR,
			(errcode(ERRCODE_EXTERNAL_ROUTINE_EXCEPTION),
			 errmsg("could not compute a webhook signature"),
			 errdetail("OpenSSL failed to %s.", what)));
}

static EVP_MD *
sha256_method(void)
{
	static EVP_MD *sha256 = NULL;

	if (sha256 == NULL)
	{
		sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
		if (sha256 == NULL)
			openssl_failed("provide SHA-256");
	}
	return sha256;
}

static void
key_free(void *arg)
{
	FswKey	   *key = arg;

	EVP_MD_CTX_free(key->inner);
	EVP_MD_CTX_free(key->outer);
	EVP_MD_CTX_free(key->work);
	if (key->secret != NULL)
		OPENSSL_cleanse(key->secret, key->len);
}

/* Take in the bytes of a secret; false if OpenSSL failed.  Raises nothing. */
static bool
key_init(FswKey *key, EVP_MD *sha256, const char *bytes, size_t len)
{
	unsigned char block[BLOCK_LENGTH] = {0};
	unsigned int hashed;
	bool		ok = true;

	key->inner = EVP_MD_CTX_new();
	key->outer = EVP_MD_CTX_new();
	key->work = EVP_MD_CTX_new();
	if (len > sizeof(block))
		ok = EVP_Digest(bytes, len, block, &hashed, sha256, NULL) == 1;
	else
		memcpy(block, bytes, len);
	for (int i = 0; i < BLOCK_LENGTH; i++)
		block[i] ^= 0x36;
	ok = ok && key->inner != NULL && key->outer != NULL && key->work != NULL &&
		EVP_DigestInit_ex2(key->inner, sha256, NULL) == 1 &&
		EVP_DigestUpdate(key->inner, block, sizeof(block)) == 1;
	for (int i = 0; i < BLOCK_LENGTH; i++)
		block[i] ^= 0x36 ^ 0x5c;
	ok = ok &&
		EVP_DigestInit_ex2(key->outer, sha256, NULL) == 1 &&
		EVP_DigestUpdate(key->outer, block, sizeof(block)) == 1;
	OPENSSL_cleanse(block, sizeof(block));
	return ok;
}

static FswKey *
make_key(MemoryContext mcxt, const char *secret, size_t len)
{
	EVP_MD	   *sha256 = sha256_method();
	FswKey	   *key;
	char	   *utf8;
	size_t		utf8_len;
	bool		ok;

	/* Everything that can raise comes before the OpenSSL objects exist. */
	key = MemoryContextAllocZero(mcxt, sizeof(FswKey));
	key->secret = MemoryContextAlloc(mcxt, len);
	key->len = len;
	memcpy(key->secret, secret, len);
	key->callback.func = key_free;
	key->callback.arg = key;
	MemoryContextRegisterResetCallback(mcxt, &key->callback);

	utf8 = pg_server_to_any(key->secret, len, PG_UTF8);
	utf8_len = (utf8 == key->secret) ? len : strlen(utf8);
	ok = key_init(key, sha256, utf8, utf8_len);
	if (utf8 != key->secret)
	{
		OPENSSL_cleanse(utf8, utf8_len);
		pfree(utf8);
	}
	if (!ok)
		openssl_failed("initialize HMAC-SHA256");
	return key;
}

/*
 * Does this library make the right signatures, also the second one with a
 * key?  Test cases 6 and 7 of RFC 4231, which have one key.  Raised at each
 * try, so that a broken library verifies nothing.
 */
static void
check_library(void)
{
	static const char *const messages[] = {
		"Test Using Larger Than Block-Size Key - Hash Key First",
		("This is a test using a larger than block-size key and a larger than block-size data."
		 " The key needs to be hashed before being used by the HMAC algorithm."),
		"Test Using Larger Than Block-Size Key - Hash Key First",
	};
	static const uint8 expected[][FSW_DIGEST_LENGTH] = {
		{0x60, 0xe4, 0x31, 0x59, 0x1e, 0xe0, 0xb6, 0x7f, 0x0d, 0x8a, 0x26, 0xaa, 0xcb, 0xf5, 0xb7, 0x7f,
		0x8e, 0x0b, 0xc6, 0x21, 0x37, 0x28, 0xc5, 0x14, 0x05, 0x46, 0x04, 0x0f, 0x0e, 0xe3, 0x7f, 0x54},
		{0x9b, 0x09, 0xff, 0xa7, 0x1b, 0x94, 0x2f, 0xcb, 0x27, 0x63, 0x5f, 0xbc, 0xd5, 0xb0, 0xe9, 0x44,
		0xbf, 0xdc, 0x63, 0x64, 0x4f, 0x07, 0x13, 0x93, 0x8a, 0x7f, 0x51, 0x53, 0x5c, 0x3a, 0x35, 0xe2},
	};
	static bool checked = false;
	MemoryContext mcxt;
	FswKey	   *key;
	char		secret[131];
	uint8		mac[FSW_DIGEST_LENGTH];

	if (checked)
		return;
	mcxt = AllocSetContextCreate(CurrentMemoryContext, "flagsmith_webhook check", ALLOCSET_SMALL_SIZES);
	key = MemoryContextAllocZero(mcxt, sizeof(FswKey));
	key->callback.func = key_free;
	key->callback.arg = key;
	MemoryContextRegisterResetCallback(mcxt, &key->callback);
	memset(secret, 0xaa, sizeof(secret));
	if (!key_init(key, sha256_method(), secret, sizeof(secret)))
		openssl_failed("initialize HMAC-SHA256");
	for (int i = 0; i < (int) lengthof(messages); i++)
	{
		fsw_key_sign(key, (const uint8 *) messages[i], strlen(messages[i]), mac);
		if (!fsw_digest_equal(mac, expected[i % lengthof(expected)]))
			ereport(ERROR,
					(errcode(ERRCODE_EXTERNAL_ROUTINE_EXCEPTION),
					 errmsg("could not compute a webhook signature"),
					 errdetail("OpenSSL computes a wrong HMAC-SHA256 of message %d of RFC 4231.", i + 1),
					 errhint("No signature is verified until the server runs with another release of OpenSSL.")));
	}
	MemoryContextDelete(mcxt);
	checked = true;
}

/*
 * fsw_key_create() - a keyed HMAC-SHA256 context that lives as long as mcxt.
 *
 * secret is in the server's encoding, len in bytes and greater than 0.
 */
FswKey *
fsw_key_create(MemoryContext mcxt, const char *secret, size_t len)
{
	check_library();
	return make_key(mcxt, secret, len);
}

/* fsw_key_is() - is it the key of this secret?  In constant time. */
bool
fsw_key_is(const FswKey *key, const char *secret, size_t len)
{
	return key->len == len && CRYPTO_memcmp(key->secret, secret, len) == 0;
}

/* fsw_key_sign() - HMAC-SHA256 of len bytes of body into mac, 32 bytes. */
void
fsw_key_sign(FswKey *key, const uint8 *body, size_t len, uint8 *mac)
{
	unsigned int maclen = 0;

	if (EVP_MD_CTX_copy_ex(key->work, key->inner) != 1)
		openssl_failed("begin HMAC-SHA256");
	while (len > 0)
	{
		size_t		slice = Min(len, HASH_SLICE);

		if (EVP_DigestUpdate(key->work, body, slice) != 1)
			openssl_failed("hash the body");
		body += slice;
		len -= slice;
		CHECK_FOR_INTERRUPTS();
	}
	if (EVP_DigestFinal_ex(key->work, mac, &maclen) != 1 || maclen != FSW_DIGEST_LENGTH ||
		EVP_MD_CTX_copy_ex(key->work, key->outer) != 1 ||
		EVP_DigestUpdate(key->work, mac, FSW_DIGEST_LENGTH) != 1 ||
		EVP_DigestFinal_ex(key->work, mac, &maclen) != 1 || maclen != FSW_DIGEST_LENGTH)
		openssl_failed("finish HMAC-SHA256");
}

/* fsw_digest_equal() - compare two digests of 32 bytes in constant time. */
bool
fsw_digest_equal(const uint8 *a, const uint8 *b)
{
	return CRYPTO_memcmp(a, b, FSW_DIGEST_LENGTH) == 0;
}

/* fsw_sha256() - SHA-256 of len bytes of body into digest, 32 bytes. */
void
fsw_sha256(const uint8 *body, size_t len, uint8 *digest)
{
	unsigned int digest_len = 0;

	if (EVP_Digest(body, len, digest, &digest_len, sha256_method(), NULL) != 1 ||
		digest_len != FSW_DIGEST_LENGTH)
		openssl_failed("compute SHA-256");
}

/* fsw_digest_is_of() - is a digest, as it is stored, that of a body? */
bool
fsw_digest_is_of(const bytea *digest, const bytea *body)
{
	uint8		computed[FSW_DIGEST_LENGTH];

	fsw_sha256((const uint8 *) VARDATA_ANY(body), VARSIZE_ANY_EXHDR(body), computed);
	return VARSIZE_ANY_EXHDR(digest) == sizeof(computed) &&
		memcmp(VARDATA_ANY(digest), computed, sizeof(computed)) == 0;
}

/*
 * fsw_sha256_prefixed() - SHA-256 of one byte and len bytes behind it, as the
 * hashes of a Merkle tree have it.  The context is kept: making one costs as
 * much as hashing.
 */
void
fsw_sha256_prefixed(uint8 prefix, const uint8 *data, size_t len, uint8 *digest)
{
	static EVP_MD_CTX *context = NULL;
	unsigned int digest_len = 0;
	EVP_MD	   *sha256 = sha256_method();

	if (context == NULL)
		context = EVP_MD_CTX_new();
	if (context == NULL ||
		EVP_DigestInit_ex2(context, sha256, NULL) != 1 ||
		EVP_DigestUpdate(context, &prefix, 1) != 1 ||
		EVP_DigestUpdate(context, data, len) != 1 ||
		EVP_DigestFinal_ex(context, digest, &digest_len) != 1 ||
		digest_len != FSW_DIGEST_LENGTH)
		openssl_failed("compute SHA-256");
}
