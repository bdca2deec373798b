"""Damaged bodies: tools/mutate against a server whose extension has the sanitizers in it."""
import os
import re
import subprocess

from common import TOP, Clock, Report, Server

# mutate fails where a batch takes a second; the sanitizers make everything several times slower.
BATCH = 20


def run(options, seconds, random_source):
    report = Report('bodies')
    report.lost = 0
    server = Server(options.sanitized_bin or options.bin, 'bodies', options.preload, options.setting)
    clock = Clock(seconds)
    sent = stored = undecoded = 0
    try:
        server.start()
        environment = dict(os.environ, PGHOST=server.dir, PGUSER='postgres', PGDATABASE='postgres',
                           PATH=server.bindir + ':' + os.environ['PATH'])
        while clock.more() and len(report.findings) < 10:
            count = 1000 if seconds < 30 else 10000
            mutate = subprocess.run([TOP + '/tools/mutate', '--count', str(count), '--batch', str(BATCH),
                                     '--seed', str(random_source.randrange(1 << 31))],
                                    env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
            summary = re.search(r'^(\d+) sent .*?: (\d+) stored \((\d+) of them undecoded\), (\d+) repeats, (\d+) rejected',
                                mutate.stdout, re.MULTILINE)
            if summary:
                numbers = [int(number) for number in summary.groups()]
                sent, stored, undecoded = sent + numbers[0], stored + numbers[1], undecoded + numbers[2]
                report.lost += max(0, numbers[0] - numbers[1] - numbers[3] - numbers[4])
            if mutate.returncode != 0:
                report.finding('tools/mutate: ' + mutate.stdout[-1500:])
            server.wait_ready()
        for found in server.reports():
            report.finding(found)
    finally:
        server.remove()
    report.ran = (f'{sent} damaged bodies, rightly signed: {stored} stored, {undecoded} of them undecoded, '
                  f'{"under ASan and UBSan" if options.preload else "without sanitizers"}')
    return report
