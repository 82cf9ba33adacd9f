"""`tensorflow-metadata` reads the artifacts of a run, and Python computes again what is in them."""

import pathlib
import tempfile

from project import Checks, Project
from tfx_examples import check_examples
from tfx_schema import check_schema
from tfx_statistics import check_statistics


def main():
    project, checks = Project(__doc__), Checks()
    with tempfile.TemporaryDirectory(prefix="natureddit-tfx-") as scratch:
        for check in [check_examples, check_schema, check_statistics]:
            check(project, checks, pathlib.Path(scratch))
    checks.end()


if __name__ == "__main__":
    main()
