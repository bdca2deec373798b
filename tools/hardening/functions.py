"""Hostile arguments to every function of the schema, in a server whose extension has the sanitizers in it."""
import json
import os
import re

import psycopg2

from common import SECRET, Clock, Report, Server, TOP, sample_bodies, sign

# Statements in one round trip.  Each is a subtransaction of one transaction that is rolled back.
BATCH = 50
TIMEOUT = '10s'
# What the inbox is to the fuzzer: a function that is called by INSERT.
INBOX = 'INSERT INTO flagsmith.inbox (webhook, signature, body, received_at) VALUES ({}) RETURNING outcome'

TRY = """
CREATE FUNCTION public.try_all(statements text[], OUT number int, OUT state text, OUT message text, OUT took float) RETURNS SETOF record
LANGUAGE plpgsql AS $$
DECLARE
    started timestamptz;
BEGIN
    FOR i IN 1 .. cardinality(statements) LOOP
        number := i;
        started := clock_timestamp();
        state := NULL;
        message := NULL;
        BEGIN
            EXECUTE statements[i];
        EXCEPTION WHEN OTHERS THEN
            GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT;
        END;
        took := extract(epoch FROM clock_timestamp() - started);
        RETURN NEXT;
    END LOOP;
END
$$;
"""


def literal(text):
    return "E'" + text.replace('\\', '\\\\').replace("'", "\\'") + "'"


def as_bytea(body):
    return "'\\x" + body.hex() + "'::bytea"


class Values:
    """SQL expressions for each type: ordinary ones that lead deep into a function, and hostile ones."""

    HOSTILE = ['', ' ', "'", '\\', '%s%n', '\n', '/', 'fuzz', '\U0001f600']
    TEXT = ['', ' ', 'fuzz', 'strict', 'off', 'no such webhook', 'environment', 'organisation', 'default', 'FEATURE_STATE',
            'EF_VERSION', 'Shop/Production', '/', '//', 'a/b/c', "'", '"', '%s%n%x', '$1', '\\', '\u00e9\u4e2d\U0001f600',
            '\u202e', '\x01\x1f\x7f', '\n', 'NaN', 'null', '-1', '9' * 100, '{', '[]', 'x' * 64, 'f' * 64, '0' * 63,
            'New version published for feature: f', "Multivariate value changed for feature 'a' and segment 'b' and segment 'c'."]
    NUMBERS = ['0', '1', '-1', '2', '32767', '-32768', '2147483647', '(-2147483648)']
    BIG = ['4294967296', '9223372036854775807', '(-9223372036854775808)']
    TIMES = ['infinity', '-infinity', '294276-12-31 23:59:59.999999+00', '4714-11-24 00:00:00+00 BC', '1970-01-01 00:00:00+00',
             '2000-01-01 00:00:00+00', '1999-12-31 23:59:59.999999+00', '2026-11-24 06:40:00+00', '2026-11-24 06:45:00.123456+00',
             '2106-02-07 06:28:16+00', 'now']
    INTERVALS = ['0', '1 microsecond', '-1 microsecond', '1 day', '1 month', '-1 month', '178000000 years', '-178000000 years',
                 '200000 years', '2147483647 days', '1 year -365 days', '9223372036854775807 microseconds']
    JSON = ['null', 'true', '1', '-0', '1e400', '1e-400', '"x"', '""', '[]', '{}', '[[]]', '{"data": {}}', '{"data": []}',
            '{"data": null, "event_type": null}', '{"event_type": "FLAG_UPDATED", "data": {"new_state": []}}',
            '{"count": 1e20, "results": [null, 1, [], {}], "next": 0, "previous": {}}', '{"results": {}, "next": null}',
            '[{"id": 9223372036854775808}]', '{"": {"": {"": ""}}}']
    ARRAYS = {
        'bigint[]': ["'{}'", "'{NULL}'", "'{1,NULL,1}'", "'{{1,2},{3,4}}'", "'[5:6]={1,2}'", "'[-2147483648:-2147483647]={1,2}'",
                     "'{9223372036854775807,-9223372036854775808}'", 'array_fill(7::bigint, ARRAY[10000])',
                     'ARRAY(SELECT generate_series(1, 300)::bigint)', "'{{{}}}'", 'array_fill(NULL::bigint, ARRAY[3, 3])'],
        'text[]': ["'{}'", "'{NULL}'", "'{a,NULL,a}'", "'{{a,b},{c,d}}'", "'[5:6]={a,b}'", "'{\"\"}'",
                   "array_fill('x'::text, ARRAY[500])", "array_fill(NULL::text, ARRAY[3, 3])", "ARRAY['" + SECRET + "']"],
    }

    def __init__(self, cursor, random_source):
        self.random = random_source
        self.bodies = sample_bodies(8192)
        self.pages = self.read_pages()
        self.text = [literal(text) for text in self.TEXT]
        for query in ("SELECT DISTINCT project || '/' || environment FROM flagsmith.flag_change WHERE project IS NOT NULL LIMIT 20",
                      'SELECT DISTINCT feature FROM flagsmith.flag_change WHERE feature IS NOT NULL LIMIT 30',
                      'SELECT DISTINCT identity_identifier FROM flagsmith.flag_change WHERE identity_identifier IS NOT NULL LIMIT 10',
                      'SELECT DISTINCT log FROM flagsmith.audit_log WHERE length(log) < 200 LIMIT 60'):
            cursor.execute(query)
            self.text += [literal(row[0]) for row in cursor.fetchall()]
        cursor.execute('SELECT environment_id, feature_id, segment_id, delivery FROM flagsmith.flag_change')
        self.ids = sorted({str(n) for row in cursor.fetchall() for n in row if n is not None})

    @staticmethod
    def read_pages():
        """Pages of the REST API, made of what the audit entries say."""
        entries = [json.loads(body)['data'] for body in sample_bodies() if b'AUDIT_LOG_CREATED' in body][:5]
        return [json.dumps({'count': len(entries), 'next': None, 'previous': None, 'results': entries})]

    def damaged(self, body):
        body = bytearray(body)
        for _ in range(self.random.randrange(1, 4)):
            at = self.random.randrange(len(body))
            kind = self.random.randrange(3)
            if kind == 0:
                body[at] ^= 1 << self.random.randrange(8)
            elif kind == 1:
                del body[at:at + self.random.randrange(1, 20)]
            else:
                body[at:at] = self.random.choice((b'{', b'[', b'"', b'null', b'-', b'1e9', b'\\u0000', b'\\ud800', b'9' * 400))
            if not body:
                return b''
        return bytes(body)

    def of_text(self):
        kind = self.random.randrange(200)
        if kind == 0:
            return f"repeat('x', {self.random.choice((255, 8000, 300000, 3000000))})"
        if kind < 10:
            return literal(self.random.choice(self.pages))
        if kind < 20:
            return literal(self.damaged(self.random.choice(self.bodies)).decode('utf-8', 'replace').replace('\0', ' '))
        if kind < 30:
            return literal(sign(self.random.choice(self.bodies)))
        return literal(self.random.choice(self.HOSTILE)) if kind < 80 else self.random.choice(self.text)

    def of_number(self, big):
        return self.random.choice(self.NUMBERS + (self.BIG + self.ids if big else []))

    def of_bytea(self):
        kind = self.random.randrange(100)
        if kind == 0:
            return self.random.choice(("''::bytea", "'\\x00'::bytea", "'\\xff'::bytea", "convert_to(repeat('[', 600), 'UTF8')",
                                       "convert_to(repeat('[1,', 300) || '1' || repeat(']', 300), 'UTF8')",
                                       "convert_to('[' || repeat('{},', 20000) || '1]', 'UTF8')",
                                       "convert_to(repeat('x', 4194305), 'UTF8')"))
        body = self.random.choice(self.bodies)
        return as_bytea(body if kind < 40 else self.damaged(body))

    def of_jsonb(self):
        kind = self.random.randrange(6)
        if kind == 0:
            depth = self.random.choice((1, 10, 100, 100, 100, 3000))
            return f"(repeat('[', {depth}) || repeat(']', {depth}))::jsonb"
        if kind == 1:
            return f"jsonb_build_object('data', {self.of_jsonb()}, 'event_type', 'FLAG_UPDATED')"
        if kind == 2:
            return literal(self.random.choice(self.JSON)) + '::jsonb'
        value = json.loads(self.random.choice(self.bodies))
        for _ in range(self.random.randrange(3)):
            self.replace_leaf(value)
        return literal(json.dumps(value).replace('\\u0000', '')) + '::jsonb'

    def replace_leaf(self, value):
        """Put something else in the place of any part of it."""
        while isinstance(value, (dict, list)) and value:
            key = self.random.choice(list(value)) if isinstance(value, dict) else self.random.randrange(len(value))
            if not isinstance(value[key], (dict, list)) or not value[key] or self.random.randrange(4) == 0:
                value[key] = json.loads(self.random.choice([text for text in self.JSON if text != '-0']))
                return
            value = value[key]

    def of(self, kind):
        if self.random.randrange(12) == 0:
            return 'NULL::' + kind
        if kind == 'text':
            return self.of_text() + '::text'
        if kind in ('bigint', 'integer', 'smallint'):
            return self.of_number(kind == 'bigint') + '::' + kind
        if kind == 'boolean':
            return self.random.choice(('true', 'false'))
        if kind == 'timestamp with time zone':
            return literal(self.random.choice(self.TIMES)) + '::timestamptz'
        if kind == 'interval':
            return literal(self.random.choice(self.INTERVALS)) + '::interval'
        if kind == 'bytea':
            return self.of_bytea()
        if kind == 'jsonb':
            return self.of_jsonb()
        if kind in self.ARRAYS:
            return f'({self.random.choice(self.ARRAYS[kind])})::{kind}'
        if kind == 'regrole':
            return self.random.choice(("'postgres'::regrole", "'reader'::regrole", '0::oid::regrole', '4294967295::oid::regrole'))
        if kind == 'flagsmith.rejected':
            return self.random.choice(('(SELECT r FROM flagsmith.rejected AS r LIMIT 1)',
                                       f'json_populate_record(NULL::flagsmith.rejected, {literal(json.dumps({"webhook": "fuzz"}))})'))
        return 'NULL::' + kind


class Functions:
    """The functions of the schema with the types of their arguments, from the catalog."""

    def __init__(self, cursor):
        cursor.execute("""
            SELECT p.oid::regproc::text, p.provariadic <> 0, p.proretset OR p.prorettype = 'record'::regtype, p.pronargdefaults,
                array(SELECT format_type(t, NULL) FROM unnest(p.proargtypes) WITH ORDINALITY AS a (t, n) ORDER BY n)
            FROM pg_proc AS p
            WHERE p.pronamespace = 'flagsmith'::regnamespace AND p.prokind = 'f' AND p.prorettype <> 'trigger'::regtype
            ORDER BY p.oid""")
        self.functions = cursor.fetchall() + [('inbox', None, None, None, None)]
        # What earlier statements of a batch stored, the views must be able to show.
        cursor.execute("SELECT oid::regclass::text FROM pg_class WHERE relnamespace = 'flagsmith'::regnamespace "
                       "AND relkind = 'v' AND relname <> 'inbox'")
        self.views = [name for name, in cursor.fetchall()]
        self.functions += [(name, None, None, None, None) for name in self.views]
        self.seconds = [0.0] * len(self.functions)
        self.calls = [0] * len(self.functions)

    def choose(self, random_source):
        """Any function, but one that takes long less often: each has about the same time, and all are called."""
        weights = [1 / (0.0002 + seconds / max(calls, 1)) for seconds, calls in zip(self.seconds, self.calls)]
        return random_source.choices(range(len(self.functions)), weights)[0]

    def took(self, choice, seconds):
        self.calls[choice] += 1
        self.seconds[choice] += seconds

    def statement(self, choice, values, random_source):
        name, variadic, rows, defaults, types = self.functions[choice]
        if name in self.views:
            return f'SELECT sum(length(v::text)) FROM {name} AS v'
        if types is None:
            return self.inbox(values, random_source)
        # Arguments with defaults may be left out, from the last one on.
        left_out = random_source.randrange(defaults + 1) if random_source.randrange(3) == 0 else 0
        arguments = [values.of(kind) for kind in types[:len(types) - left_out]]
        if variadic and arguments:
            arguments[-1] = 'VARIADIC ' + arguments[-1]
        call = f'{name}({", ".join(arguments)})'
        return f'SELECT * FROM {call}' if rows else f'SELECT {call}'

    @staticmethod
    def inbox(values, random_source):
        body = values.of('bytea')
        signature = values.of('text')
        webhook = random_source.choice(("'fuzz'", "'fuzz'", "'strict'", "'no such webhook'", values.of('text')))
        if random_source.randrange(2):
            raw = random_source.choice(values.bodies)
            body, signature, webhook = as_bytea(raw), literal(sign(raw)), "'strict'"
        elif random_source.randrange(4):
            signature = 'NULL'
        return INBOX.format(', '.join((webhook, signature, body, values.of('timestamp with time zone'))))


def fill(cursor):
    """A database with something in it, or most calls would find nothing."""
    cursor.execute('CREATE EXTENSION flagsmith_webhook')
    cursor.execute(TRY)
    cursor.execute('CREATE ROLE reader')
    cursor.execute("SELECT flagsmith.add_webhook('fuzz', allow_unsigned => true, max_spool_age => NULL)")
    cursor.execute('SELECT flagsmith.add_webhook(%s, %s, notify => true)', ('strict', SECRET))
    cursor.execute("SELECT flagsmith.add_webhook('off', allow_unsigned => true); SELECT flagsmith.disable_webhook('off')")
    for body in sample_bodies(100000):
        cursor.execute('INSERT INTO flagsmith.inbox (webhook, body) VALUES (%s, %s)', ('fuzz', body))
    cursor.execute("INSERT INTO flagsmith.inbox (webhook, signature, body) VALUES ('strict', repeat('0', 64), 'refused')")


def connect(server, database):
    connection = server.connect_patiently(database)
    cursor = connection.cursor()
    cursor.execute(f"SET statement_timeout = '{TIMEOUT}'; SET client_min_messages = error; SET TimeZone = 'UTC'")
    return connection, cursor


def shorten(statement):
    return re.sub(r"(\\x[0-9a-f]{80})[0-9a-f]+", r'\1...', statement)[:700]


def check(statement, state, message, report):
    """What a caller may see is an error with a code of its own; internal ones are findings, and any of a view."""
    if state in ('XX000', 'XX001', 'XX002', '57014', '53200') or statement.startswith('SELECT sum(length(v::text))'):
        text = f'{state} {message}: {shorten(statement)}'
        key = re.sub(r'[0-9]+', '0', message)
        if key not in report.seen:
            report.seen.add(key)
            report.finding(text)


def alone(server, database, statements, report):
    """A batch that ended the server or took too long: which statement was it?"""
    before = len(report.findings) + len(report.seen)
    for statement in statements:
        connection, cursor = connect(server, database)
        try:
            cursor.execute('BEGIN')
            cursor.execute(statement)
        except psycopg2.Error as error:
            if connection.closed or error.pgcode is None:
                report.finding('the server went away: ' + shorten(statement))
            else:
                check(statement, error.pgcode, error.diag.message_primary or '', report)
        finally:
            connection.close()
    if len(report.findings) + len(report.seen) == before:
        report.finding('a batch ended or took too long, but none of its statements does so alone: ' +
                       '; '.join(shorten(statement) for statement in statements))


def within_limits(server, database, statements):
    """Whether each statement of a batch that timed out ends in time alone."""
    connection, cursor = connect(server, database)
    for statement in statements:
        try:
            cursor.execute('BEGIN')
            cursor.execute(statement)
        except psycopg2.Error as error:
            if connection.closed or error.pgcode == '57014':
                connection.close()
                return False
        cursor.execute('ROLLBACK')
    connection.close()
    return True


def run(options, seconds, random_source):
    report = Report('functions')
    report.seen = set()
    server = Server(options.sanitized_bin or options.bin, 'functions', options.preload, options.setting)
    clock = Clock(seconds)
    count = refused = 0
    try:
        server.start()
        connection, cursor = connect(server, 'postgres')
        cursor.execute('SET statement_timeout = 0')
        fill(cursor)
        values = Values(cursor, random_source)
        functions = Functions(cursor)
        connection.close()
        connection, cursor = connect(server, 'postgres')
        while clock.more() and len(report.findings) < 50:
            choices = [functions.choose(random_source) for _ in range(BATCH)]
            statements = [functions.statement(choice, values, random_source) for choice in choices]
            try:
                cursor.execute('BEGIN')
                cursor.execute('SELECT * FROM public.try_all(%s)', (statements,))
                results = cursor.fetchall()
                cursor.execute('ROLLBACK')
            except psycopg2.Error as error:
                slow = error.pgcode == '57014'
                connection.close()
                # Many statements that take a second each are no finding: one that takes ten is.
                if not slow or not within_limits(server, 'postgres', statements):
                    alone(server, 'postgres', statements, report)
                connection, cursor = connect(server, 'postgres')
                continue
            count += len(results)
            for number, state, message, took in results:
                functions.took(choices[number - 1], took)
                if state is not None:
                    refused += 1
                    check(statements[number - 1], state, message or '', report)
        connection.close()
        if options.verbose:
            for (name, *_), calls, took in zip(functions.functions, functions.calls, functions.seconds):
                print(f'  {calls:8} calls, {1000 * took / max(calls, 1):9.3f} ms each: {name}')
        for found in server.reports():
            report.finding(found)
    finally:
        server.remove()
    report.ran = (f'{count} calls of {len(functions.functions) - 1 - len(functions.views)} functions, the inbox and {len(functions.views)} views with hostile arguments, {refused} of them '
                  f'refused with an error, {"under ASan and UBSan" if options.preload else "without sanitizers"}')
    return report
