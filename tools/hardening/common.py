"""What the parts of tools/harden share: a server of their own, bodies to send, and what they report."""
import glob
import hashlib
import hmac
import json
import os
import random
import re
import shutil
import signal
import subprocess
import tempfile
import time

import psycopg2

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
SECRET = 'a secret for hardening'
SANITIZERS = 'verify_asan_link_order=0:detect_leaks=0:abort_on_error=1'


class Report:
    """What one part ran and what it found; a finding is a line of text."""

    def __init__(self, part):
        self.part = part
        self.ran = ''
        self.lost = None
        self.doubled = None
        self.findings = []

    def finding(self, text):
        self.findings.append(text)
        print(f'FINDING ({self.part}): {text}', flush=True)

    def row(self):
        def number(n):
            return '–' if n is None else str(n)
        return f'| {self.part} | {self.ran} | {number(self.lost)} | {number(self.doubled)} | {len(self.findings)} |'


class Clock:
    """How long a part may go on; at least one round is always run."""

    def __init__(self, seconds):
        self.end = time.monotonic() + seconds
        self.rounds = 0

    def more(self):
        self.rounds += 1
        return self.rounds == 1 or time.monotonic() < self.end


def process_state(pid):
    """As in /proc: R, S, D, T, Z and others; X where there is no such process."""
    try:
        with open(f'/proc/{pid}/stat', encoding='utf-8', errors='replace') as stat:
            return stat.read().rsplit(')', 1)[1].split()[0]
    except OSError:
        return 'X'


class Server:
    """A server that is started, stopped and killed by its processes, without pg_ctl.

    preload is a library for LD_PRELOAD: only the server itself is started with it, since initdb and pg_ctl run
    "postgres -V" and take what a sanitizer prints there for a wrong answer.
    """

    def __init__(self, bindir, name, preload=None, settings=()):
        self.bindir = bindir
        self.preload = preload
        self.dir = tempfile.mkdtemp(prefix='s', dir=os.environ.get('TMPDIR', '/tmp'))
        self.data = self.dir + '/data'
        self.log = f'{self.dir}/{name}.log'
        self.process = None
        subprocess.run([bindir + '/initdb', '-D', self.data, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8',
                        '--no-locale', '--no-sync'], check=True, stdout=subprocess.DEVNULL)
        with open(self.data + '/postgresql.conf', 'a', encoding='utf-8') as conf:
            # What a killed process wrote is in the kernel: only a machine that loses power needs fsync.
            for setting in ("listen_addresses = ''", f"unix_socket_directories = '{self.dir}'", 'fsync = off',
                            "timezone = 'UTC'", 'max_connections = 60', 'log_min_messages = warning',
                            'log_min_error_statement = panic', *settings):
                conf.write(setting + '\n')

    def start(self):
        environment = dict(os.environ, ASAN_OPTIONS=f'{SANITIZERS}:log_path={self.dir}/report',
                           UBSAN_OPTIONS='print_stacktrace=1:halt_on_error=1')
        if self.preload:
            environment['LD_PRELOAD'] = self.preload
        with open(self.log, 'ab') as log:
            self.process = subprocess.Popen([self.bindir + '/postgres', '-D', self.data], env=environment,
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.wait_ready()

    def wait_ready(self, timeout=60):
        end = time.monotonic() + timeout
        while True:
            try:
                self.connect().close()
                return
            except psycopg2.Error:
                if self.process.poll() is not None or time.monotonic() > end:
                    raise RuntimeError('the server did not start:\n' + self.tail()) from None
                time.sleep(0.02)

    def connect(self, database='postgres', user='postgres'):
        connection = psycopg2.connect(host=self.dir, dbname=database, user=user)
        connection.autocommit = True
        return connection

    def connect_patiently(self, database):
        """Also while the server recovers from a crash."""
        while True:
            self.wait_ready()
            try:
                return self.connect(database)
            except psycopg2.Error:
                time.sleep(0.02)

    def tail(self):
        with open(self.log, encoding='utf-8', errors='replace') as log:
            return ''.join(log.readlines()[-30:])

    def children(self):
        """The processes whose parent is the postmaster."""
        found = []
        for path in glob.glob('/proc/[0-9]*/stat'):
            try:
                with open(path, encoding='utf-8', errors='replace') as stat:
                    text = stat.read()
            except OSError:
                continue
            if int(text.rsplit(')', 1)[1].split()[1]) == self.process.pid:
                found.append(int(path.split('/')[2]))
        return found

    def send(self, pids, number):
        for pid in pids:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass

    def kill9(self, backends_first=False):
        """SIGKILL for all of it, as the kernel does when memory runs out."""
        # Stopped first: what it forked behind the list would outlive it, waiting for a lock of the dead.
        self.process.send_signal(signal.SIGSTOP)
        while process_state(self.process.pid) not in 'TtZX':
            time.sleep(0.001)
        children = self.children()
        if backends_first:
            random.shuffle(children)
            self.send(children[:1], signal.SIGKILL)
        self.process.kill()
        self.send(children, signal.SIGKILL)
        self.process.wait()
        # A zombie is gone, too: the init of a container may never collect it.
        while any(process_state(pid) not in 'ZX' for pid in children):
            time.sleep(0.005)

    def stop(self, number=signal.SIGQUIT):
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)
            self.process.wait()

    def reports(self):
        """What sanitizers wrote and what the server's log says of processes that ended badly, each once."""
        found = []
        for path in glob.glob(self.dir + '/report*'):
            with open(path, encoding='utf-8', errors='replace') as report:
                found.append(report.read()[:2000])
        with open(self.log, encoding='utf-8', errors='replace') as log:
            found += [line.strip() for line in log
                      if 'runtime error' in line or 'terminated by signal 6' in line or
                      'terminated by signal 11' in line or 'PANIC' in line or 'TRAP' in line]
        return list({re.sub(r'0x[0-9a-f]+|PID \d+|\d\d:\d\d:[0-9.]+|\[\d+\]|==\d+==', '', text): text for text in found}.values())

    def remove(self):
        self.stop()
        shutil.rmtree(self.dir, ignore_errors=True)


def sign(body):
    return hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()


def sample_bodies(limit=4096):
    """The bodies of t/data that are JSON objects with a time of their own: the same bytes are one event."""
    found = []
    for path in sorted(glob.glob(TOP + '/t/data/captured/*.json') + glob.glob(TOP + '/t/data/payloads/*.json')):
        with open(path, 'rb') as file:
            body = file.read()
        try:
            data = json.loads(body).get('data')
        except (ValueError, AttributeError):
            continue
        if isinstance(data, dict) and (data.get('timestamp') or data.get('created_date')) and \
                body.startswith(b'{') and len(body) <= limit:
            found.append(body)
    return found


class Bodies:
    """Bodies that no two deliveries share: a key of our own in front, which the decoder keeps in no row."""

    def __init__(self, random_source):
        self.random = random_source
        self.samples = sample_bodies()
        self.number = 0

    def next(self):
        self.number += 1
        return b'{"hardening": %d, ' % self.number + self.random.choice(self.samples)[1:].lstrip()
