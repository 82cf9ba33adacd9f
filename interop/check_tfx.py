"""`tensorflow-metadata` reads the artifacts of a run, and Python computes again what is in them."""

import pathlib
import tempfile

from project import Checks, Project
from tfx_statistics import check_statistics


def main():
    project, checks = Project(__doc__), Checks()
    with tempfile.TemporaryDirectory(prefix="natureddit-tfx-") as scratch:
        check_statistics(project, checks, pathlib.Path(scratch))
    checks.end()


if __name__ == "__main__":
    main()
