# flagsmith_webhook: the lists of what it is made of.
#
#   make                 builds the module and the install script
#   make install         installs both
#   make installcheck    runs the regress, isolation and TAP tests against a running server
#   make receiver        builds flagsmith-receiver and what its tests use (libmicrohttpd-dev, libpq-dev)
#   make install-receiver
#   make install-witness the program that watches from elsewhere, with sample units (not enabled)
#   make dist            the zip for PGXN, of what is committed

PG_CONFIG ?= pg_config

EXTENSION = flagsmith_webhook
MODULE_big = flagsmith_webhook
PGFILEDESC = "flagsmith_webhook - verified Flagsmith webhooks and flag history"

OBJS = \
	flagsmith_webhook.o \
	src/base/array.o \
	src/base/copy.o \
	src/base/guard.o \
	src/base/hash.o \
	src/base/hmac.o \
	src/base/plan.o \
	src/base/progress.o \
	src/base/signature.o \
	src/decode/audit_log.o \
	src/decode/body.o \
	src/decode/decode.o \
	src/decode/explain.o \
	src/decode/field.o \
	src/decode/flag_change.o \
	src/decode/json.o \
	src/decode/json_walk.o \
	src/decode/message.o \
	src/decode/message_template.o \
	src/decode/message_time.o \
	src/decode/page.o \
	src/decode/parse_log.o \
	src/decode/row.o \
	src/decode/timestamp.o \
	src/decode/version_published.o \
	src/timeline/act.o \
	src/timeline/act_weigh.o \
	src/timeline/cause.o \
	src/timeline/clock.o \
	src/timeline/history.o \
	src/timeline/holes.o \
	src/timeline/import.o \
	src/timeline/naming.o \
	src/timeline/near.o \
	src/timeline/near_cut.o \
	src/timeline/period.o \
	src/timeline/request.o \
	src/timeline/seen.o \
	src/timeline/start.o \
	src/timeline/state_steps.o \
	src/timeline/timeline.o \
	src/timeline/variant.o \
	src/timeline/version.o \
	src/timeline/version_doubt.o \
	src/timeline/version_earlier.o \
	src/timeline/version_fit.o \
	src/timeline/version_gather.o \
	src/timeline/version_list.o \
	src/timeline/version_match.o \
	src/timeline/version_moved.o \
	src/timeline/version_never.o \
	src/timeline/version_order.o \
	src/timeline/version_split.o \
	src/timeline/version_start.o \
	src/timeline/version_time.o \
	src/timeline/version_write.o \
	src/read/around.o \
	src/read/audit.o \
	src/read/builder.o \
	src/read/commit.o \
	src/read/explained.o \
	src/read/environment.o \
	src/read/flag_facts.o \
	src/read/history.o \
	src/read/holes.o \
	src/read/identifier.o \
	src/read/initial_value.o \
	src/read/lists.o \
	src/read/names.o \
	src/read/names_kept.o \
	src/read/near_versions.o \
	src/read/neighbour.o \
	src/read/pair.o \
	src/read/piece.o \
	src/read/place.o \
	src/read/reach.o \
	src/read/relation.o \
	src/read/resolve.o \
	src/read/same.o \
	src/read/save.o \
	src/read/seen.o \
	src/read/scan.o \
	src/read/scope.o \
	src/read/single_save.o \
	src/read/state_set.o \
	src/read/told.o \
	src/ingest/delivery.o \
	src/ingest/direct.o \
	src/ingest/event.o \
	src/ingest/import.o \
	src/ingest/inbox.o \
	src/ingest/name_store.o \
	src/ingest/notify.o \
	src/ingest/readmit.o \
	src/ingest/rejected.o \
	src/ingest/row_store.o \
	src/ingest/secret.o \
	src/ingest/verify.o \
	src/ingest/webhook.o \
	src/answer/draw.o \
	src/answer/flag_state.o \
	src/answer/history.o \
	src/answer/history_act.o \
	src/answer/history_after.o \
	src/answer/history_shown.o \
	src/answer/history_state.o \
	src/answer/instant.o \
	src/answer/kept.o \
	src/answer/lookup.o \
	src/answer/lookup_block.o \
	src/answer/lookup_cache.o \
	src/answer/lookup_value.o \
	src/answer/name.o \
	src/answer/override.o \
	src/answer/steps.o \
	src/answer/unknown.o \
	src/maintain/canonical.o \
	src/maintain/cursor.o \
	src/maintain/prune.o \
	src/maintain/rebuild.o \
	src/maintain/row_digest.o \
	src/evidence/idset.o \
	src/evidence/leaf.o \
	src/evidence/proof.o \
	src/evidence/seal.o \
	src/evidence/signature.o \
	src/evidence/tile.o \
	src/evidence/tree.o \
	src/evidence/verify.o \
	src/evidence/verify_pruned.o

# The order of the install script is data: a part may use what stands before it.
SCHEMA_PARTS = \
	prologue \
	guard \
	copy \
	hash \
	event \
	webhook \
	delivery \
	audit_log \
	flag_change \
	audit_effect \
	version \
	name \
	signature \
	message \
	payload \
	inbox \
	maintenance \
	index \
	receive \
	explain \
	timeline \
	history \
	prune \
	evidence \
	installation \
	health \
	gap \
	environment \
	draw \
	instant \
	publication \
	subscription \
	privilege \
	finish


REGRESS = \
	default_privilege \
	install \
	sanity \
	signature \
	message \
	payload \
	webhook \
	secret \
	seed \
	undecoded \
	history \
	act \
	spree \
	late_reading \
	apart \
	namesake \
	health \
	rejected \
	rejected_many \
	environment \
	receive \
	storage \
	direct \
	explain \
	text_body \
	guard \
	installation \
	privilege \
	timeline \
	unversioned \
	initial \
	elsewhere \
	version \
	name \
	snapshot \
	value \
	instant \
	relation \
	extreme \
	maintenance \
	import_event \
	evidence \
	gap \
	doubt \
	pruned_hole \
	late_hole \
	late_twice \
	sibling_variants \
	question \
	priority \
	backfilled \
	after \
	nearer_list \
	fold \
	day \
	draw \
	begun \
	bootstrap \
	progress \
	seal \
	seal_change \
	known \
	stored_later \
	kept \
	reach \
	hostile \
	uninstall

ISOLATION = \
	duplicate_race \
	index_swap \
	notification \
	rejected_race \
	seal_race \
	secret_reindex \
	snapshot_race

TAP_TESTS = 1

# The version is written once, in the control file.
EXTVERSION := $(shell sed -n "s/^default_version *= *'\(.*\)'/\1/p" flagsmith_webhook.control 2>/dev/null || true)
ifeq ($(EXTVERSION),)
EXTVERSION := $(shell sed -n "s/^default_version *= *'\(.*\)'/\1/p" $(dir $(lastword $(MAKEFILE_LIST)))flagsmith_webhook.control)
endif

DATA_built = flagsmith_webhook--$(EXTVERSION).sql
DATA = $(wildcard updates/*--*--*.sql) flagsmith_webhook_client.sql
EXTRA_CLEAN = src/*/*.gcda src/*/*.gcno *.gcda *.gcno server_headers.h server_headers.h.gch

# As system headers, the server's own do not drown our code in -Wextra warnings.
PG_CPPFLAGS = -DFSW_VERSION='"$(EXTVERSION)"' -isystem $(shell $(PG_CONFIG) --includedir-server)
override PG_CFLAGS += -Wall -Wextra
SHLIB_LINK += $(shell pkg-config --libs libcrypto 2>/dev/null || echo -lcrypto)

# clang does not know every flag that the server was built with.
ifneq ($(findstring clang,$(CC)),)
override PG_CFLAGS += -Wno-ignored-optimization-argument -Wno-unknown-warning-option
endif

# make PRECOMPILE=1 reads the server's headers once, not once for each file, which is half of compiling.  Only for builds that are
# tried and thrown away: in one, no file misses a header that it forgot.
ifdef PRECOMPILE
precompiled = $(filter-out src/timeline/%,$(OBJS))
endif

ifdef COVERAGE
override PG_CFLAGS += --coverage -O0
SHLIB_LINK += --coverage
endif

# initdb's C locale keeps the expected output the same everywhere.
REGRESS_OPTS = --encoding=UTF8 --no-locale
ISOLATION_OPTS = $(REGRESS_OPTS) --load-extension=flagsmith_webhook

PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

# A banner before each part leads from the line of an error back to its file.
flagsmith_webhook--$(EXTVERSION).sql: $(patsubst %,schema/%.sql,$(SCHEMA_PARTS))
	@for part in $^; do \
		case $$part in *prologue.sql) ;; *) printf '\n-- %s\n\n' "$$part" ;; esac; \
		cat "$$part" || exit 1; \
	done > $@.tmp
	@mv $@.tmp $@

# PGXS tracks no headers unless the server was built to.
$(OBJS): $(wildcard $(srcdir)/src/*/*.h)

# Those that many files use; the timeline uses hardly any and may have names that are the server's as well.
$(precompiled): server_headers.h.gch
$(precompiled): override CPPFLAGS += -include server_headers.h

server_headers.h: Makefile
	printf '#include "%s"\n' postgres.h access/htup_details.h access/relation.h access/xact.h catalog/namespace.h \
		catalog/pg_type_d.h common/hashfn.h executor/executor.h executor/spi.h funcapi.h mb/pg_wchar.h miscadmin.h \
		utils/array.h utils/builtins.h utils/jsonb.h utils/lsyscache.h utils/memutils.h utils/rel.h utils/snapmgr.h \
		utils/timestamp.h > $@

server_headers.h.gch: server_headers.h
	$(CC) $(CFLAGS) $(filter-out -include server_headers.h,$(CPPFLAGS)) -x c-header -o $@ $<

# A build in another directory (VPATH) has none of the folders; a rule would find those of the source and be content.
$(shell mkdir -p $(dir $(OBJS)))

# A program of its own, with a Makefile of its own: PGXS builds a module or a program, not both.
receiver:
	$(MAKE) -C $(srcdir)/receiver all check-build

install-receiver:
	$(MAKE) -C $(srcdir)/receiver install

# PGXN wants a version of three numbers, which META.json has; tools/lint.sh compares them.
DISTVERSION = $(shell sed -n 's/^ *"version": *"\([0-9.]*\)".*/\1/p' META.json | head -n 1)

dist:
	git archive --format=zip --prefix=flagsmith_webhook-$(DISTVERSION)/ -o flagsmith_webhook-$(DISTVERSION).zip HEAD

# It needs nothing of PostgreSQL but libpq, and goes onto another machine.
witness_prefix ?= /usr/local

install-witness:
	install -d '$(DESTDIR)$(witness_prefix)/bin' '$(DESTDIR)$(witness_prefix)/lib/systemd/system' \
		'$(DESTDIR)$(witness_prefix)/share/man/man1'
	install -m 755 $(srcdir)/tools/witness '$(DESTDIR)$(witness_prefix)/bin/flagsmith-witness'
	install -m 644 $(srcdir)/tools/man/flagsmith-witness.1 '$(DESTDIR)$(witness_prefix)/share/man/man1/'
	install -m 644 $(srcdir)/tools/flagsmith-witness.timer '$(DESTDIR)$(witness_prefix)/lib/systemd/system/'
	sed 's|@bindir@|$(witness_prefix)/bin|' $(srcdir)/tools/flagsmith-witness.service.in \
		> '$(DESTDIR)$(witness_prefix)/lib/systemd/system/flagsmith-witness.service'
	chmod 644 '$(DESTDIR)$(witness_prefix)/lib/systemd/system/flagsmith-witness.service'

.PHONY: receiver install-receiver install-witness dist
