"""The parts of tools/harden, one after the other: see there."""
import argparse
import importlib
import random
import sys
import time

import common

PARTS = ('crash', 'bodies', 'functions', 'parsers', 'receiver')


def main():
    parser = argparse.ArgumentParser(prog='tools/harden')
    parser.add_argument('--seconds', type=float, default=60, help='for each part')
    parser.add_argument('--seed', type=int, default=None)
    parser.add_argument('--bin', help='programs of a PostgreSQL with the extension')
    parser.add_argument('--sanitized-bin', help='the same with an extension built with the sanitizers')
    parser.add_argument('--preload', help='libasan for that one')
    parser.add_argument('--receiver', help='flagsmith-receiver-check')
    parser.add_argument('--unit', help='directory with fuzz_SUBJECT and test_SUBJECT')
    parser.add_argument('--setting', action='append', default=[], metavar='NAME=VALUE',
                        help='for the servers: with synchronous_commit=off, crash must find something')
    parser.add_argument('--verbose', action='store_true')
    parser.add_argument('--cycles', type=int, default=-1, help='no more crashes than this')
    parser.add_argument('parts', nargs='*', metavar='PART', help=', '.join(PARTS))
    options = parser.parse_args()
    for part in options.parts:
        if part not in PARTS:
            parser.error(f'there is no part "{part}"; there are {", ".join(PARTS)}')
    seed = options.seed if options.seed is not None else random.randrange(1 << 31)
    print(f'seed {seed}', flush=True)

    reports = []
    for part in options.parts or PARTS:
        started = time.monotonic()
        reports.append(importlib.import_module(part).run(options, options.seconds, random.Random(seed)))
        print(f'{part}: {time.monotonic() - started:.0f} s, {len(reports[-1].findings)} findings', flush=True)
    print('\n| part | what was run | lost | doubled | reports |\n|---|---|--:|--:|--:|')
    for report in reports:
        print(report.row())
    print('\nok' if not any(report.findings for report in reports) else '\nFAILED')
    return 1 if any(report.findings for report in reports) else 0


if __name__ == '__main__':
    sys.exit(main())
