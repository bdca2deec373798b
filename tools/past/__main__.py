"""What "flagsmith-backfill database" runs: the time before the first webhook, from the database of a self-hosted Flagsmith.

Reads Flagsmith's tables as of one instant, in one transaction that can only read, and stores through a second connection, the
one that the PG* variables lead to: the audit log, as pages of it; each change of a flag since its creation, as the event that a
webhook would have brought; and what is live where, as pages of states.  What is there already, whoever brought it, is
not sent again, and nothing of an environment from its first webhook on: so the same command goes on where it stopped, and
adds nothing the second time.
"""

import sys
import time

import psycopg

from audit_log import AuditLog
from environment import EnvironmentFill, environments
from flagsmith import Failure, Flagsmith, Names
from history import History
from report import say, shown, to_go


def fill(conninfo, source, organisation):
    flagsmith = Flagsmith(conninfo)
    history = History(source)
    audit_log = AuditLog(flagsmith, history, organisation)
    if not audit_log.projects:
        raise Failure("Flagsmith's database has no project" + ("" if organisation is None else f" of organisation {organisation}"))
    audit_log.fill()
    names = Names(flagsmith)
    listed = environments(flagsmith, audit_log.projects)
    began = time.monotonic()
    for n, environment in enumerate(listed):
        counts = EnvironmentFill(flagsmith, history, environment, names).run()
        say(f"environment {n + 1} of {len(listed)}: {shown(environment.project)}/{shown(environment.name)}: {counts['events']} changes,"
            f" {counts['lists']} versions, {counts['states']} states stored{to_go(n + 1, len(listed), time.monotonic() - began)}")
    say("done")


def main():
    arguments = sys.argv[1:]
    if not 1 <= len(arguments) <= 3 or (len(arguments) == 3 and not arguments[2].isdecimal()):
        print("flagsmith-backfill database CONNINFO [SOURCE [ORGANISATION]]", file=sys.stderr)
        sys.exit(2)
    try:
        fill(arguments[0], arguments[1] if len(arguments) > 1 else "default", int(arguments[2]) if len(arguments) > 2 else None)
    except Failure as failure:
        print(f"backfill: {failure}", file=sys.stderr)
        sys.exit(1)
    except psycopg.Error as error:
        print(f"backfill: {error.diag.message_primary or str(error).strip()}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("backfill: interrupted: the same command goes on where it stopped", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
