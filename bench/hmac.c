/*
 * bench/hmac.c
 *	  CPU of one HMAC-SHA256 with bare OpenSSL and a kept keyed context, in ns.
 *
 * hmac COUNT LENGTH ROUNDS: COUNT bodies of LENGTH bytes, each signed ROUNDS
 * times, in the order and in the places that a scan finds them in: in shared
 * memory, in pages of 8 kB which are filled from their ends.  One after the
 * other in a process's own memory, the processor reads ahead, and the same
 * takes a fifth less.
 */
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define PAGE 8192
#define TUPLE_HEADER 96			/* with the signature */

int
main(int argc, char **argv)
{
	static const char secret[] = "my shared secret";
	static char digest[] = "SHA256";
	size_t		count,
				length,
				per_page,
				size,
				rounds;
	unsigned char *pages;
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
	if (length == 0 || length + TUPLE_HEADER > PAGE)
		return 2;
	per_page = PAGE / (length + TUPLE_HEADER);
	size = (count / per_page + 1) * PAGE;
	pages = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (pages == MAP_FAILED)
		return 1;
	memset(pages, 'x', size);

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
			const unsigned char *end = pages + (i / per_page + 1) * PAGE - i % per_page * (length + TUPLE_HEADER);

			if (EVP_MAC_init(ctx, NULL, 0, NULL) != 1 ||
				EVP_MAC_update(ctx, end - length, length) != 1 ||
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
