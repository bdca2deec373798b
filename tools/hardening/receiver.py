"""The receiver while its database misbehaves: what was answered 200 is in the database once, or still in the spool."""
import http.client
import os
import re
import signal
import socket
import subprocess
import tempfile
import threading
import time

from common import SECRET, Bodies, Clock, Report, Server, sign

CLIENTS = 6
# Client and receiver are given this long to come to rest once all is well again.
REST = 90


def free_port():
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]


class Receiver:
    def __init__(self, program, server, directory, with_spool):
        self.program = program
        self.server = server
        self.directory = directory
        self.port = free_port()
        self.log = directory + '/receiver.log'
        self.options = ['--hold', '1']
        self.spool = directory + '/spool'
        os.mkdir(self.spool)
        if with_spool:
            self.options += ['--spool', self.spool]
        self.process = None

    def start(self):
        environment = dict(os.environ, PGHOST=self.server.dir, PGUSER='receiver', PGDATABASE='postgres',
                           ASAN_OPTIONS='abort_on_error=1:detect_leaks=1')
        with open(self.log, 'ab') as log:
            self.process = subprocess.Popen([self.program, '--listen', f'127.0.0.1:{self.port}', *self.options],
                                            env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def kill9(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)

    def request(self, method, path, body=None, headers=None):
        connection = http.client.HTTPConnection('127.0.0.1', self.port, timeout=12)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        except (OSError, http.client.HTTPException):
            return None, ''
        finally:
            connection.close()

    def post(self, body):
        return self.request('POST', '/harden', body, {'X-Flagsmith-Signature': sign(body), 'Content-Type': 'application/json'})[0]

    def spooled(self):
        page = self.request('GET', '/metrics')[1]
        found = re.search(r'^flagsmith_receiver_spool_records (\d+)', page, re.MULTILINE)
        return int(found.group(1)) if found else None

    def kept(self):
        """Numbers of the bodies in whatever files the spool has, set aside or not."""
        found = set()
        for name in os.listdir(self.spool):
            with open(self.spool + '/' + name, 'rb') as file:
                found.update(int(number) for number in re.findall(rb'\{"hardening": (\d+),', file.read()))
        return found

    def log_tail(self):
        with open(self.log, encoding='utf-8', errors='replace') as log:
            return ''.join(log.readlines()[-20:])

    def reports(self):
        with open(self.log, encoding='utf-8', errors='replace') as log:
            return [line.strip() for line in log if re.search('runtime error|AddressSanitizer|LeakSanitizer', line)]


class Client(threading.Thread):
    """Posts one body after the other, each until it is answered, as often as Flagsmith at its most patient."""

    def __init__(self, receiver, bodies, lock):
        super().__init__()
        self.receiver = receiver
        self.bodies = bodies
        self.lock = lock
        self.acknowledged = []
        self.given_up = 0
        self.posts = 0
        self.other = []
        self.leave = False

    def run(self):
        while not self.leave:
            with self.lock:
                body = self.bodies.next()
                number = self.bodies.number
            for _ in range(3):
                status = self.receiver.post(body)
                self.posts += 1
                if status == 200:
                    self.acknowledged.append(number)
                    break
                if status is not None:
                    self.other.append(status)
                    break
                time.sleep(0.05)
            else:
                self.given_up += 1
            time.sleep(0.002)


def receivers_backends(server):
    connection = server.connect_patiently('postgres')
    cursor = connection.cursor()
    cursor.execute("SELECT pid FROM pg_stat_activity WHERE usename = 'receiver'")
    pids = [row[0] for row in cursor.fetchall()]
    connection.close()
    return pids


def with_sql(server, seconds, before, after=None):
    """Some statements, a while, and what takes them back."""
    connection = server.connect_patiently('postgres')
    cursor = connection.cursor()
    cursor.execute(before)
    time.sleep(seconds)
    cursor.execute(after or 'ROLLBACK')
    connection.close()


def misbehave(kind, server, receiver, random_source):
    seconds = random_source.uniform(0.1, 2.5)
    if kind == 'stopped':
        server.stop(signal.SIGINT)
        time.sleep(seconds)
        server.start()
    elif kind == 'killed':
        server.kill9()
        server.start()
    elif kind == 'frozen':
        pids = receivers_backends(server)
        server.send(pids, signal.SIGSTOP)
        time.sleep(seconds)
        server.send(pids, signal.SIGCONT)
    elif kind == 'disconnected':
        with_sql(server, 0, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'receiver'", 'SELECT 1')
    elif kind == 'revoked':
        with_sql(server, seconds, 'REVOKE INSERT ON flagsmith.inbox FROM receiver; REVOKE USAGE ON SCHEMA flagsmith FROM receiver',
                 "SELECT flagsmith.grant_receiver('receiver')")
    elif kind == 'locked':
        with_sql(server, seconds, 'BEGIN; LOCK TABLE flagsmith.delivery IN ACCESS EXCLUSIVE MODE')
    elif kind == 'read only':
        with_sql(server, seconds, 'ALTER ROLE receiver SET default_transaction_read_only = on; '
                 "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'receiver'",
                 'ALTER ROLE receiver RESET default_transaction_read_only; '
                 "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'receiver'")
    elif kind == 'receiver killed':
        receiver.kill9()
        receiver.start()


KINDS = ('stopped', 'killed', 'frozen', 'disconnected', 'revoked', 'locked', 'read only', 'receiver killed')


def compare(server, receiver, acknowledged, report):
    connection = server.connect_patiently('postgres')
    cursor = connection.cursor()
    cursor.execute(r"""SELECT substring(convert_from(body, 'UTF8') FROM '^\{"hardening": (\d+),')::int, count(*)
        FROM flagsmith.delivery GROUP BY 1""")
    stored = dict(cursor.fetchall())
    kept = receiver.kept()
    lost = [number for number in acknowledged if number not in stored and number not in kept]
    doubled = [number for number, count in stored.items() if count > 1]
    report.lost += len(lost)
    report.doubled += len(doubled)
    if lost or doubled:
        report.finding(f'answered 200 and lost: {len(lost)}, doubled: {len(doubled)}; '
                       f'log: {receiver.log_tail()}')
    cursor.execute('SET client_min_messages = error')
    cursor.execute('SELECT * FROM flagsmith.rebuild(dry_run => true) LIMIT 5')
    for row in cursor.fetchall():
        report.finding(f'rebuild() would change {row}')
    connection.close()
    return len([number for number in acknowledged if number not in stored])


def one_run(options, seconds, random_source, with_spool, report, sums):
    server = Server(options.bin, 'receiver', settings=options.setting)
    directory = tempfile.mkdtemp(prefix='receiver_', dir=server.dir)
    receiver = Receiver(options.receiver, server, directory, with_spool)
    bodies = Bodies(random_source)
    lock = threading.Lock()
    clock = Clock(seconds)
    try:
        server.start()
        connection = server.connect()
        cursor = connection.cursor()
        cursor.execute("CREATE EXTENSION flagsmith_webhook; CREATE ROLE receiver LOGIN; SELECT flagsmith.grant_receiver('receiver')")
        cursor.execute('SELECT flagsmith.add_webhook(%s, %s)', ('harden', SECRET))
        connection.close()
        receiver.start()
        clients = [Client(receiver, bodies, lock) for _ in range(CLIENTS)]
        for client in clients:
            client.start()
        kinds = []
        while clock.more():
            kinds = kinds or random_source.sample(KINDS, len(KINDS))
            kind = kinds.pop()
            misbehave(kind, server, receiver, random_source)
            sums['kinds'][kind] = sums['kinds'].get(kind, 0) + 1
            time.sleep(random_source.uniform(0.1, 0.6))
        # however little time there was: once all is well again, everyone is answered
        before = [len(client.acknowledged) for client in clients]
        end = time.monotonic() + REST
        while time.monotonic() < end and any(len(client.acknowledged) == n for client, n in zip(clients, before)):
            time.sleep(0.05)
        unanswered = sum(len(client.acknowledged) == n for client, n in zip(clients, before))
        if unanswered:
            report.finding(f'{unanswered} clients were not answered 200 within {REST} s after all was well again; '
                           f'log: {receiver.log_tail()}')
        for client in clients:
            client.leave = True
        for client in clients:
            client.join()
        end = time.monotonic() + REST
        while with_spool and receiver.spooled() != 0 and time.monotonic() < end:
            time.sleep(0.1)
        if with_spool and receiver.spooled() != 0:
            report.finding(f'{receiver.spooled()} records are still in the spool {REST} s after all was well again')
        acknowledged = [number for client in clients for number in client.acknowledged]
        sums['kept'] += compare(server, receiver, acknowledged, report)
        sums['acknowledged'] += len(acknowledged)
        sums['posts'] += sum(client.posts for client in clients)
        sums['given up'] += sum(client.given_up for client in clients)
        for status in {status for client in clients for status in client.other}:
            report.finding(f'an authentic delivery was answered {status}')
        if receiver.stop() != 0:
            report.finding('the receiver did not stop cleanly')
        for found in receiver.reports() + server.reports():
            report.finding(found)
    finally:
        if receiver.process is not None and receiver.process.poll() is None:
            receiver.kill9()
        server.remove()


def run(options, seconds, random_source):
    report = Report('receiver')
    if not options.receiver:
        report.ran = 'nothing: no flagsmith-receiver-check'
        return report
    report.lost = report.doubled = 0
    sums = {'kinds': {}, 'acknowledged': 0, 'posts': 0, 'given up': 0, 'kept': 0}
    for with_spool in (True, False):
        one_run(options, seconds / 2, random_source, with_spool, report, sums)
    kinds = ', '.join(f'{count} × {kind}' for kind, count in sorted(sums['kinds'].items()))
    report.ran = (f'{sums["posts"]} posts of {CLIENTS} clients, {sums["acknowledged"]} answered 200, {sums["given up"]} given up, '
                  f'{sums["kept"]} of those answered kept in files at the end; {kinds}')
    return report
