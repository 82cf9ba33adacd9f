"""TensorFlow Data Validation reads the artifacts of a run, and finds in the same tables what natureddit finds."""

import os
import pathlib
import tempfile

# Before it is imported: it is talkative.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from project import Checks, Project
from tfdv_statistics import check_statistics
from tfdv_validation import check_validation


def main():
    project, checks = Project(__doc__), Checks()
    with tempfile.TemporaryDirectory(prefix="natureddit-tfdv-") as scratch:
        for check in [check_statistics, check_validation]:
            check(project, checks, pathlib.Path(scratch))
    checks.end()


if __name__ == "__main__":
    main()
