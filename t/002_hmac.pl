# A library that computes HMAC wrongly must verify nothing.  Not a regress test: the server has to be started with a library
# of ours in front of OpenSSL's.  OpenSSL 3.0.0 to 3.0.2 restart a keyed HMAC wrongly, so that the second message has a wrong
# one (openssl#17811); here the first copies of a digest are right, and from some call on they are not.
use strict;
use warnings;

use FindBin;
use lib $FindBin::Bin;
use FswTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $dir = PostgreSQL::Test::Utils::tempdir();
my $cc = $ENV{CC} // 'cc';
my $shim = "$dir/wrong.so";

append_to_file("$dir/wrong.c", <<'EOC');
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>

int			EVP_DigestUpdate(void *ctx, const void *data, size_t len);

/* From the call that FSW_TEST_WRONG counts on, a copy has one byte more. */
int
EVP_MD_CTX_copy_ex(void *out, const void *in)
{
	static int	calls = 0;
	int			(*real) (void *, const void *) = (int (*) (void *, const void *)) dlsym(RTLD_NEXT, "EVP_MD_CTX_copy_ex");
	const char *from = getenv("FSW_TEST_WRONG");
	int			result = real(out, in);

	if (from != NULL && ++calls >= atoi(from))
		return EVP_DigestUpdate(out, "x", 1);
	return result;
}
EOC
plan skip_all => 'no C compiler that makes a shared library'
  if system("$cc -shared -fPIC -o $shim $dir/wrong.c -ldl -lcrypto >$dir/cc.log 2>&1") != 0;

my $node = start_node('hmac');
my $good = sign('body', 'a secret');
is($node->safe_psql('postgres', "SELECT flagsmith.verify_signature('body', '$good', 'a secret')"), 't', 'a right library verifies');

# The two copies of the first message; of the second; those of the third, which is the first one again.
for my $call (1, 3, 5)
{
	local $ENV{LD_PRELOAD} = $shim;
	local $ENV{FSW_TEST_WRONG} = $call;
	$node->restart;
	my $message = ($call + 1) / 2;
	for my $query (
		"SELECT flagsmith.verify_signature('body', '$good', 'a secret')",
		"SELECT flagsmith.sign('body', 'a secret')")
	{
		my ($rc, $out, $err) = $node->psql('postgres', "\\set VERBOSITY verbose\n$query;\n$query;\n", on_error_stop => 0);
		my @errors = $err =~ /^.*ERROR:  38000: could not compute a webhook signature$/mg;
		is($out, '', "wrong from copy $call on: no answer");
		is(scalar @errors, 2, 'an error at the first call and at the next');
		like($err, qr/^DETAIL:  OpenSSL computes a wrong HMAC-SHA256 of message $message of RFC 4231\.$/m, 'which says why');
	}
}
$node->restart;
is($node->safe_psql('postgres', "SELECT flagsmith.verify_signature('body', '$good', 'a secret')"), 't', 'and again verifies');
$node->stop;

done_testing();
