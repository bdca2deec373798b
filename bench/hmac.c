/*
 * bench/hmac.c
 *	  CPU of one HMAC-SHA256 with bare OpenSSL and a kept keyed context, in ns.
 *
 * hmac COUNT LENGTH ROUNDS: COUNT bodies of LENGTH bytes, each signed ROUNDS
 * times, in the order of a scan, so that the caches are as warm as a query's.
 */
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

int
main(int argc, char **argv)
{
	static const char secret[] = "my shared secret";
	static char digest[] = "SHA256";
	size_t		count,
				length,
				rounds;
	unsigned char *bodies;
	unsigned char mac[32];
	unsigned	sum = 0;
	struct timespec from,
				to;
	OSSL_PARAM	params[2];
	EVP_MAC_CTX *ctx;
	size_t		maclen;

	if (argc != 4)
		return 2;
	count = strtoul(argv[1], NULL, 10);
	length = strtoul(argv[2], NULL, 10);
	rounds = strtoul(argv[3], NULL, 10);
	bodies = malloc(count * length);
	if (bodies == NULL)
		return 1;
	memset(bodies, 'x', count * length);

	params[0] = OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0);
	params[1] = OSSL_PARAM_construct_end();
	ctx = EVP_MAC_CTX_new(EVP_MAC_fetch(NULL, "HMAC", NULL));
	if (ctx == NULL ||
		EVP_MAC_init(ctx, (const unsigned char *) secret, sizeof(secret) - 1, params) != 1)
		return 1;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
	for (size_t round = 0; round < rounds; round++)
	{
		for (size_t i = 0; i < count; i++)
		{
			if (EVP_MAC_init(ctx, NULL, 0, NULL) != 1 ||
				EVP_MAC_update(ctx, bodies + i * length, length) != 1 ||
				EVP_MAC_final(ctx, mac, &maclen, sizeof(mac)) != 1)
				return 1;
			sum += mac[0];
		}
	}
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);
	fprintf(stderr, "%u\n", sum);
	printf("%.0f\n", ((to.tv_sec - from.tv_sec) * 1e9 + (to.tv_nsec - from.tv_nsec)) /
		   ((double) count * rounds));
	return 0;
}
