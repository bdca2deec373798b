"""The extension in a throwaway database: deliveries in, answers out.  Needs psql alone."""
import atexit
import collections
import datetime
import hashlib
import json
import os
import re
import subprocess

# The names of the doors, in one place: views and columns may be called otherwise in another release.
TIMELINE = ('flag_timeline',)
ACTOR = ('actor',)

HELPERS = '''
CREATE FUNCTION public.ask(door text, environment text, feature text, at timestamptz, segments bigint[], identity text)
    RETURNS json LANGUAGE plpgsql STABLE AS $$
BEGIN
    CASE door
        WHEN 'enabled' THEN RETURN json_build_array(flagsmith.is_feature_enabled(environment, feature, at));
        WHEN 'value' THEN RETURN json_build_array(flagsmith.get_feature_value(environment, feature, at));
        WHEN 'enabled now' THEN RETURN json_build_array(flagsmith.is_feature_enabled(environment, feature));
        WHEN 'state' THEN RETURN (SELECT coalesce(json_agg(s), '[]') FROM flagsmith.feature_state(environment, feature, at, segments, identity) s);
        WHEN 'environment' THEN RETURN (SELECT coalesce(json_agg(s), '[]') FROM flagsmith.environment_state(environment, at) s);
    END CASE;
EXCEPTION WHEN OTHERS THEN
    RETURN json_build_object('error', SQLSTATE, 'message', SQLERRM);
END $$;
'''


def micros(text):
    if text is None:
        return None
    if 'infinity' in str(text):
        return -(1 << 62) if str(text).startswith('-') else 1 << 62
    # older Pythons want no or six digits
    text = re.sub(r'\.(\d+)', lambda digits: '.' + digits.group(1).ljust(6, '0'), text.replace('Z', '+00:00'))
    when = datetime.datetime.fromisoformat(text)
    if when.tzinfo is None:
        when = when.replace(tzinfo=datetime.timezone.utc)
    return (when - datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone.utc)) // datetime.timedelta(microseconds=1)


def timestamp(at):
    return (datetime.datetime(1970, 1, 1) + datetime.timedelta(microseconds=at)).isoformat(' ') + '+00'


def copied(value):
    """A value as a line of COPY has it."""
    if value is None:
        return '\\N'
    for plain, escaped in (('\\', '\\\\'), ('\t', '\\t'), ('\n', '\\n'), ('\r', '\\r')):
        value = str(value).replace(plain, escaped)
    return value


def quoted(value):
    return 'NULL' if value is None else "'" + str(value).replace("'", "''") + "'"


class Product:
    def __init__(self, database='simulate'):
        # several at a time may share a server
        self.database = database = '%s_%d' % (database, os.getpid())
        atexit.register(self.psql, 'DROP DATABASE IF EXISTS %s; DROP DATABASE IF EXISTS %s_empty' % (database, database), 'postgres', True)
        self.psql('DROP DATABASE IF EXISTS %s_empty; CREATE DATABASE %s_empty;' % (database, database), 'postgres', split=True)
        self.psql('CREATE EXTENSION flagsmith_webhook;' + HELPERS, database + '_empty')
        known = self.psql("SELECT relname FROM pg_class WHERE relnamespace = 'flagsmith'::regnamespace;", database + '_empty')
        self.timeline = next(name for name in TIMELINE if name in known)

    def psql(self, sql, database=None, split=False):
        """The lines that a script prints."""
        lines = []
        for part in sql.split(';') if split else [sql]:
            done = subprocess.run(['psql', '-X', '-q', '-A', '-t', '-v', 'ON_ERROR_STOP=1', '-d', database or self.database, '-f', '-'],
                                  input="SET client_min_messages = error; SET timezone = 'UTC'; SET datestyle = 'ISO';\n" + part + ';\n',
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding='utf-8')
            if done.returncode != 0:
                raise RuntimeError(done.stderr)
            lines += done.stdout.split('\n')[:-1]
        return lines

    def load(self, cases):
        """cases: {source: lines of a case}.  A fresh database, each source with webhooks of its own."""
        self.psql('DROP DATABASE IF EXISTS %s; CREATE DATABASE %s TEMPLATE %s_empty STRATEGY file_copy' % ((self.database,) * 3),
                  'postgres', split=True)
        script = []
        rows = []
        for source, lines in cases.items():
            webhooks = {}
            for line in lines:
                webhooks[line['path']] = (line['kind'], line['environment'], line['secret'])
                rows.append('\t'.join((copied(source + ':' + line['path']), copied(line['signature'] or None),
                                       '\\\\x' + line['body'].encode().hex(), timestamp(micros(line['arrived_at'])))))
            for path, (kind, environment, secret) in sorted(webhooks.items()):
                script.append('SELECT flagsmith.add_webhook(%s, %s, source => %s, scope => %s, environment_id => %s,'
                              ' allow_unsigned => %s, max_spool_age => NULL) IS NULL;' %
                              (quoted(source + ':' + path), quoted(secret or None), quoted(source), quoted(kind),
                               environment or 'NULL', 'false' if secret else 'true'))
        script.append('COPY flagsmith.inbox (webhook, signature, body, received_at) FROM STDIN;')
        self.psql('\n'.join(script + rows) + '\n\\.\nANALYZE')

    def by_source(self, sql, sources):
        found = {source: [] for source in sources}
        for line in self.psql(sql):
            row = json.loads(line)
            if row['source'] in found:
                found[row['source']].append(row)
        return found

    def periods(self, sources):
        rows = self.by_source(
            'SELECT row_to_json(t) FROM (SELECT h.*, (extract(epoch FROM lower(h.period)) * 1000000)::bigint AS begin,'
            ' (extract(epoch FROM upper(h.period)) * 1000000)::bigint AS finish FROM flagsmith.%s h) t' % self.timeline, sources)
        for found in rows.values():
            for row in found:
                row['begin'] = -(1 << 62) if row['begin'] is None else row['begin']
                row['finish'] = 1 << 62 if row['finish'] is None else row['finish']
        return rows

    def current(self, sources):
        return self.by_source('SELECT row_to_json(c) FROM flagsmith.current_state c', sources)

    def history(self, sources):
        rows = self.by_source('SELECT row_to_json(h) FROM flagsmith.history h', sources)
        for found in rows.values():
            for row in found:
                row['actor'] = next(row[name] for name in ACTOR if name in row)
                row['micros'] = micros(row['at'])
        return rows

    def deliveries(self, sources):
        """{source: {digest: [id]}}"""
        found = {source: collections.defaultdict(list) for source in sources}
        for row in self.psql("SELECT json_build_object('source', source, 'id', id, 'digest', encode(digest, 'hex'))"
                             ' FROM flagsmith.delivery'):
            row = json.loads(row)
            found[row['source']][row['digest']].append(row['id'])
        return found

    def refused(self):
        return self.psql('SELECT r.webhook, r.reason FROM flagsmith.rejected r') + \
            self.psql('SELECT source, undecoded_reason FROM flagsmith.delivery WHERE undecoded_reason IS NOT NULL')

    def ask(self, questions):
        """questions: (door, environment, feature, at, segments, identity); the answers, in order."""
        if not questions:
            return []
        rows = []
        for number, (door, environment, feature, at, segments, identity) in enumerate(questions):
            rows.append('\t'.join((str(number), door, copied(environment), copied(feature), timestamp(at) if at is not None else '\\N',
                                   '\\N' if segments is None else '{%s}' % ','.join(map(str, segments)), copied(identity))))
        lines = self.psql('CREATE TEMP TABLE question (number int, door text, environment text, feature text, at timestamptz,'
                          ' segments bigint[], identity text);\nCOPY question FROM STDIN;\n' + '\n'.join(rows) + '\n\\.\n'
                          'SELECT coalesce(public.ask(door, environment, feature, at, segments, identity), \'null\')'
                          ' FROM question ORDER BY number')
        # json_agg() puts a line break between rows
        return [json.loads(line) for line in '\n'.join(lines).replace(', \n ', ', ').split('\n')]


def digest(body):
    return hashlib.sha256(body.encode()).hexdigest()
