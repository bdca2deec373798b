"""Crash cycles: writers at work, the server killed at a random moment, and what they were told compared with what is there."""
import signal
import threading
import time

import psycopg2

from common import SECRET, Bodies, Clock, Report, Server, sign

WRITERS = 8
# A new database after so many cycles, so that checking all of it stays quick.
CYCLES_PER_DATABASE = 25
INSERT = 'INSERT INTO flagsmith.inbox (webhook, signature, body) VALUES (%s, %s, %s) RETURNING outcome, reason'


class Ledger:
    """What was sent to one database, by body, and what was said of it."""

    def __init__(self):
        self.lock = threading.Lock()
        self.acknowledged = set()
        self.unanswered = []
        self.rolled_back = set()
        self.wrong = []
        self.count = 0

    def answered(self, bodies):
        with self.lock:
            self.acknowledged.update(bodies)
            self.count += len(bodies)

    def not_answered(self, bodies):
        with self.lock:
            self.unanswered += bodies


def one_act(cursor, bodies, ledger, random_source, retry):
    """One statement or transaction; True if it was answered."""
    kind = 'single' if retry else random_source.choice(('single', 'single', 'rows', 'transaction', 'rollback', 'refused'))
    batch = retry or [bodies.next() for _ in range(1 if kind in ('single', 'refused') else 3)]
    try:
        if kind == 'refused':
            cursor.execute(INSERT, ('crash', '0' * 64, batch[0]))
            if cursor.fetchone()[0] != 'rejected':
                ledger.wrong.append('a wrong signature was not refused')
            return True
        if kind == 'rows':
            cursor.execute('INSERT INTO flagsmith.inbox (webhook, signature, body) VALUES ' +
                           ', '.join(['(%s, %s, %s)'] * len(batch)) + ' RETURNING outcome, reason',
                           [value for body in batch for value in ('crash', sign(body), body)])
            outcomes = cursor.fetchall()
        else:
            outcomes = []
            if kind != 'single':
                cursor.execute('BEGIN')
            for body in batch:
                cursor.execute(INSERT, ('crash', sign(body), body))
                outcomes += cursor.fetchall()
            if kind != 'single':
                cursor.execute('COMMIT' if kind == 'transaction' else 'ROLLBACK')
    except psycopg2.Error as error:
        # 57: the server is going down; no code at all: it is gone.
        if error.pgcode is not None and error.pgcode[:2] != '57':
            ledger.wrong.append(f'{error.pgcode} {error}')
        if kind == 'rollback':
            ledger.rolled_back.update(batch)
        elif kind != 'refused':
            ledger.not_answered(batch)
        return False
    for outcome, reason in outcomes:
        if outcome not in (('stored', 'duplicate') if retry else ('stored',)):
            ledger.wrong.append(f'outcome {outcome}: {reason}')
    if kind == 'rollback':
        ledger.rolled_back.update(batch)
    else:
        ledger.answered(batch)
    return True


def writer(server, database, bodies, ledger, random_source, again, limit):
    """First what the crash left unanswered, as the sender would, then new bodies until the server is gone."""
    try:
        connection = server.connect(database)
    except psycopg2.Error:
        ledger.not_answered(again)
        return
    cursor = connection.cursor()
    for i, body in enumerate(again):
        if not one_act(cursor, bodies, ledger, random_source, [body]):
            ledger.not_answered(again[i + 1:])
            return
    for _ in range(limit):
        if not one_act(cursor, bodies, ledger, random_source, None):
            return
    connection.close()


class Numbered:
    """One Bodies for several threads."""

    def __init__(self, bodies):
        self.bodies = bodies
        self.lock = threading.Lock()

    def next(self):
        with self.lock:
            return self.bodies.next()


def new_database(server, number):
    database = f'crash{number}'
    connection = server.connect()
    cursor = connection.cursor()
    if number > 0:
        cursor.execute(f'DROP DATABASE crash{number - 1}')
    cursor.execute('CREATE DATABASE ' + database)
    connection.close()
    connection = server.connect(database)
    cursor = connection.cursor()
    # Whatever the writers' setting: what is measured needs a database that outlives the first crash.
    cursor.execute('SET synchronous_commit = on')
    cursor.execute('CREATE EXTENSION flagsmith_webhook; CREATE EXTENSION IF NOT EXISTS amcheck')
    cursor.execute('SELECT flagsmith.add_webhook(%s, %s)', ('crash', SECRET))
    connection.close()
    return database


CHECK_INDEXES = """
SELECT count(*), sum(length(pg_catalog.concat(bt_index_check(c.oid, true))))
FROM pg_class AS c JOIN pg_am AS a ON a.oid = c.relam
WHERE a.amname = 'btree' AND c.relkind = 'i' AND c.oid IN (
    SELECT i.indexrelid FROM pg_index AS i JOIN pg_class AS t ON t.oid = i.indrelid
    WHERE t.relnamespace = 'flagsmith'::regnamespace
        OR t.oid IN (SELECT reltoastrelid FROM pg_class WHERE relnamespace = 'flagsmith'::regnamespace))
"""
CHECK_TABLES = """
SELECT c.relname, v.blkno, v.offnum, v.msg FROM pg_class AS c, verify_heapam(c.oid) AS v
WHERE c.relnamespace = 'flagsmith'::regnamespace AND c.relkind = 'r'
"""


def compare(server, database, ledger, report):
    """After the restart: the ledger and the database.  Returns how many indexes were checked."""
    connection = server.connect(database)
    cursor = connection.cursor()
    cursor.execute('SELECT body, count(*) FROM flagsmith.delivery GROUP BY body')
    stored = {bytes(body): count for body, count in cursor.fetchall()}
    lost = [body for body in ledger.acknowledged if body not in stored]
    doubled = [body for body, count in stored.items() if count > 1]
    known = ledger.acknowledged | set(ledger.unanswered)
    ghosts = [body for body in stored if body not in known]
    report.lost += len(lost)
    report.doubled += len(doubled)
    if lost or doubled or ghosts:
        report.finding(f'{len(lost)} lost, {len(doubled)} doubled, {len(ghosts)} stored although rolled back')
    cursor.execute('SET client_min_messages = error')
    cursor.execute('SELECT * FROM flagsmith.rebuild(dry_run => true) LIMIT 5')
    for row in cursor.fetchall():
        report.finding(f'rebuild() would change {row}')
    indexes = 0
    try:
        cursor.execute(CHECK_INDEXES)
        indexes = cursor.fetchone()[0]
        cursor.execute(CHECK_TABLES)
        for row in cursor.fetchall():
            report.finding(f'damaged table {row}')
    except psycopg2.Error as error:
        report.finding(f'amcheck: {error}')
    connection.close()
    for wrong in ledger.wrong:
        report.finding(wrong)
    ledger.wrong = []
    return indexes


def crash(server, random_source):
    """In one of four ways; the server is up again afterwards."""
    kind = random_source.choice(('all', 'backend first', 'one backend', 'immediate'))
    if kind == 'one backend':
        connection = server.connect()
        cursor = connection.cursor()
        cursor.execute("SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()")
        pids = [row[0] for row in cursor.fetchall()]
        connection.close()
        if pids:
            server.send([random_source.choice(pids)], signal.SIGKILL)
            return kind
        kind = 'all'
    if kind == 'immediate':
        server.stop(signal.SIGQUIT)
    else:
        server.kill9(kind == 'backend first')
    return kind


def run(options, seconds, random_source):
    report = Report('crash')
    report.lost = report.doubled = 0
    server = Server(options.bin, 'crash', settings=('checkpoint_timeout = 30s', 'autovacuum_naptime = 1s',
                                                    'max_wal_size = 256MB', 'shared_buffers = 16MB', *options.setting))
    bodies = Numbered(Bodies(random_source))
    clock = Clock(seconds)
    kinds = {}
    cycles = answered = retried = checked = databases = 0
    try:
        server.start()
        while clock.more() and cycles != options.cycles:
            if cycles % CYCLES_PER_DATABASE == 0:
                database = new_database(server, databases)
                databases += 1
                ledger = Ledger()
            again, ledger.unanswered = ledger.unanswered, []
            retried += len(again)
            threads = [threading.Thread(target=writer, args=(server, database, bodies, ledger, random_source,
                                                             again[n::WRITERS], 200)) for n in range(WRITERS)]
            for thread in threads:
                thread.start()
            # On a busy machine nobody may be connected yet, and a crash that nothing was answered before tells nothing.
            while ledger.count == 0 and any(thread.is_alive() for thread in threads):
                time.sleep(0.005)
            time.sleep(random_source.uniform(0.01, 0.4))
            kind = crash(server, random_source)
            kinds[kind] = kinds.get(kind, 0) + 1
            for thread in threads:
                thread.join()
            if server.process.poll() is not None:
                server.start()
            server.wait_ready()
            checked += compare(server, database, ledger, report)
            answered += ledger.count
            ledger.count = 0
            cycles += 1
        for found in server.reports():
            report.finding(found)
    finally:
        server.remove()
    ways = ', '.join(f'{count} {kind}' for kind, count in sorted(kinds.items()))
    report.ran = (f'{cycles} crashes ({ways}) under {WRITERS} writers: {answered} deliveries answered, {retried} sent again; '
                  f'{checked} times an index checked by amcheck, every table, `rebuild(dry_run)` each time')
    return report
