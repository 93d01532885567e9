"""`python -m clients`: runs the matrix, writes its page, fails where an outcome is unexpected."""

import argparse
import sys
import time
from pathlib import Path

from clients.matrix import MEMBERS, ROOT, run_all
from clients.table import page

PAGE = ROOT / "docs" / "clients.md"


def main() -> int:
    """Return the exit status: 1 if any outcome is not as expected."""
    parser = argparse.ArgumentParser(prog="python -m clients", description=__doc__)
    parser.add_argument("modules", nargs="*", help="only these; the page is then left as it is")
    parser.add_argument("--environments", type=Path, default=ROOT / ".venv-clients")
    parser.add_argument("--log", type=Path, default=Path("/dev/null"), help="of the server")
    arguments = parser.parse_args()
    unknown = set(arguments.modules) - {member.module for member in MEMBERS}
    if unknown:
        parser.error(f"no such client: {', '.join(sorted(unknown))}")
    began = time.monotonic()
    outcomes = run_all(arguments.environments, arguments.modules, arguments.log)
    wrong = [outcome for outcome in outcomes if not outcome.expected]
    for outcome in wrong:
        why = outcome.error or f"passes now, although: {outcome.fault}"
        print(f"{outcome.client}, {outcome.scenario}: {why}")
    if not arguments.modules and not wrong:
        PAGE.write_text(page(outcomes))
    clients = {outcome.client for outcome in outcomes}
    print(f"{len(outcomes)} pairs of {len(clients)} clients, {time.monotonic() - began:.0f} s")
    print(f"{len(outcomes) - len(wrong)} passed, {len(wrong)} failed")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
