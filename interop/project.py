"""What the checks share: the project folder, its program, a running server, and counting what differs."""

import argparse
import csv
import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import time

MODEL = "naturedditTI"
START_SECONDS_MAX = 60


class Checks:
    """Counts what was checked and prints what differs; `end` exits with 1 if anything did."""

    def __init__(self):
        self.passed = 0
        self.failed = 0

    def equal(self, what, found, expected):
        self.true(f"{what}: expected {expected!r}, found {found!r}", found == expected)

    def true(self, what, holds):
        if holds:
            self.passed += 1
        else:
            self.failed += 1
            print(f"differs: {what}", file=sys.stderr)

    def end(self):
        print(f"{self.passed} checks hold, {self.failed} do not")
        # A check program that checked nothing has not shown anything.
        sys.exit(1 if self.failed or not self.passed else 0)


class Project:
    """A project folder with a pushed model, and the program that made it."""

    def __init__(self, description):
        parser = argparse.ArgumentParser(description=description)
        parser.add_argument("--project", type=pathlib.Path, required=True, help="a project folder with a pushed model")
        parser.add_argument("--natureddit", type=pathlib.Path, required=True, help="the program")
        arguments = parser.parse_args()
        self.folder = arguments.project
        self.program = arguments.natureddit
        self.posts_csv = self.folder / "data" / "posts.csv"

    def posts(self):
        """The rows of data/posts.csv as Python's own csv module reads them."""
        with open(self.posts_csv, encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file, strict=True))

    def photo(self, post):
        return self.folder / "data" / "images" / post["img_name"]

    def bundle(self):
        """The folder of the highest pushed version."""
        versions = [path for path in (self.folder / "models" / MODEL).iterdir() if path.name.isdigit()]
        return max(versions, key=lambda path: int(path.name))

    def run_json(self, *words):
        """What a command with --json prints."""
        command = [self.program, *words, "--json"]
        printed = subprocess.run(command, cwd=self.folder, check=True, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
        return json.loads(printed.stdout)


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


class Server:
    """`natureddit serve` on a free port while the `with` block runs: as the project says, or with `settings` in the place of
    its natureddit.toml, and `models` in that of its models."""

    def __init__(self, project, settings=None, models=None, environment=None):
        self.project = project
        self.settings = settings
        self.models = models or project.folder / "models"
        self.environment = {**os.environ, **(environment or {})}
        self.port = free_port()
        self.url = f"https://127.0.0.1:{self.port}"

    def command(self):
        if self.settings is None:
            return [self.project.program, "serve", "--address", f"127.0.0.1:{self.port}"]
        self.folder = tempfile.TemporaryDirectory(prefix="natureddit-interop-")
        file = pathlib.Path(self.folder.name) / "natureddit.toml"
        file.write_text(f'[serve]\ninference_address = "127.0.0.1:{self.port}"\n{self.settings}')
        return [self.project.program, "--config", file, "serve", "--model-store", self.models]

    def __enter__(self):
        self.process = subprocess.Popen(
            self.command(),
            cwd=self.project.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + START_SECONDS_MAX
        while not self.listens():
            if self.process.poll() is not None:
                sys.exit(f"error: `natureddit serve` ended with {self.process.returncode}")
            if time.monotonic() > deadline:
                self.process.kill()
                sys.exit(f"error: `natureddit serve` did not listen within {START_SECONDS_MAX} s")
            time.sleep(0.01)
        return self

    def listens(self):
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            return True
        except OSError:
            return False

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if self.settings is not None:
            self.folder.cleanup()
