"""The real `dvc` and `natureddit dvc` take each other's repositories, caches and remotes for their own.

Each case works in folders of its own. NATUREDDIT_INTEROP_KILLS says how often `add`, `push`, `pull` and `checkout` are
ended by `kill -9` (10 times each unless told otherwise)."""

import argparse
import pathlib
import time

import dvc_daily
import dvc_files
import dvc_kills
import dvc_remotes
import dvc_safety
from dvc_tools import Bench
from project import Checks

CASES = [
    *dvc_files.CASES,
    *dvc_remotes.CASES,
    *dvc_safety.CASES,
    *dvc_kills.CASES,
    *dvc_daily.CASES,
]


def main():
    names = [case.__name__ for case in CASES]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--project", type=pathlib.Path, help="not used: every case makes its own repositories")
    parser.add_argument("--natureddit", type=pathlib.Path, required=True, help="the program")
    parser.add_argument("--case", action="append", choices=names, help="only this case; may be given again")
    arguments = parser.parse_args()

    checks = Checks()
    bench = Bench(arguments.natureddit.resolve(), checks)
    try:
        for case in CASES:
            if arguments.case and case.__name__ not in arguments.case:
                continue
            run(case, bench, checks)
    finally:
        bench.remove()
    checks.end()


def run(case, bench, checks):
    """Runs one case; what it stumbles over is a difference of its own, and the next case runs all the same."""
    start, failed = time.monotonic(), checks.failed
    try:
        case(bench)
    except Exception as error:
        checks.true(f"{case.__name__} ends early: {type(error).__name__}: {error}", False)
    differing = checks.failed - failed
    verdict = f"{differing} DIFFER" if differing else "ok"
    print(f"{case.__name__:<24} {time.monotonic() - start:6.1f} s  {verdict}", flush=True)


if __name__ == "__main__":
    main()
