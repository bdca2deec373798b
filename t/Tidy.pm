# A failed test leaves its logs and its servers' data in tmp_check, to be looked at, and nothing under the temporary
# directory.  PostgreSQL::Test::Utils sets $File::Temp::KEEP_ALL where a test failed, and so would leave the directory of
# the sockets and every other one of tempdir_short().  PG_TEST_NOCLEAN keeps all of it as before.
package Tidy;

use strict;
use warnings;

use File::Temp;

sub TIESCALAR { return bless({}, $_[0]); }
sub FETCH { return 0; }
sub STORE { return; }

tie $File::Temp::KEEP_ALL, 'Tidy';

1;
