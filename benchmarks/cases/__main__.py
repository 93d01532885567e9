"""Start a playground, send every case, and print what was not as it should be."""

import argparse
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx

from benchmarks.cases.case import Case
from benchmarks.cases.reported import reported_cases
from benchmarks.cases.variants import all_variants


@contextmanager
def started_playground() -> Iterator[str]:
    """Yield the URL of one in a process of its own, which lets one other origin in."""
    with tempfile.TemporaryDirectory() as home:
        code = "from playground.cli import main; main()"
        origin = ("--cors-origin", "http://localhost:3000")
        chosen = ("--model", "embedded", "--port", "0", "--home", home)
        command = [sys.executable, "-c", code, *chosen, *origin]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            found = re.search(r"http://\S+", process.stdout.readline())
            assert found is not None, "the playground did not start"
            process.stdout.readline()  # "Ready: …", once the model is loaded
            yield found.group()
            process.terminate()


def problem_of(case: Case, client: httpx.Client) -> str:
    """What is wrong with the reply; empty if nothing is."""
    try:
        got = case.send(client)
    except httpx.HTTPError as error:
        return repr(error)
    if got.status >= 500:
        return f"status {got.status}: {got.error.get('message')}"
    return next((complaint for check in case.checks if (complaint := check(got))), "")


def run(cases: Sequence[Case], client: httpx.Client, title: str) -> bool:
    """Send them and print the table; True if all are as they should be."""
    tried, right = Counter[str](), Counter[str]()
    for case in cases:
        complaint = problem_of(case, client)
        tried[case.kind] += 1
        right[case.kind] += not complaint
        if complaint:
            print(f"{case.kind}: {case.name}: {complaint[:300]}")
    print(f"\n{title}: {tried.total()} tried, {right.total()} as they should be")
    for kind in tried:
        print(f"  {kind:12s} {right[kind]:4d} of {tried[kind]}")
    return tried == right


def main() -> None:
    """Exit with 1 if anything is not as it should be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, help="reports, a JSON file each")
    parser.add_argument("--url", help="of a playground that runs already")
    arguments = parser.parse_args()
    with (
        started_playground() as started,
        httpx.Client(base_url=arguments.url or started, timeout=120) as client,
    ):
        passed = run(list(all_variants(client)), client, "own variants")
        if arguments.folder:
            passed &= run(reported_cases(arguments.folder), client, str(arguments.folder))
    sys.exit(not passed)


if __name__ == "__main__":
    main()
