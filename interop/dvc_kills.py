"""`kill -9` at any moment of `add`, `push`, `pull` and `checkout`: a second run ends where an undisturbed one does."""

import os
import random
import shutil
import time

from dvc_remotes import work
from dvc_tools import (
    RUN_SECONDS_MAX,
    broken_objects,
    local_remote,
    missing_objects,
    objects,
    objects_of,
    pointers,
    without_children,
)

KILLS = int(os.environ.get("NATUREDDIT_INTEROP_KILLS", "10"))
# Enough that a run takes its time, small enough that it can be copied often.
SMALL_FILES, SMALL_BYTES = 300, 20_000
LARGE_FILES, LARGE_BYTES = 2, 1_000_000
# Part of the kills must meet a run before its end, else nothing is shown.
SHARE_THAT_HITS = 0.3


class Killed:
    """A scenario: the state it starts from, and what is run."""

    def __init__(self, bench, words, start):
        self.bench = bench
        self.words = words
        self.start = start
        self.name = words[0]
        self.random = random.Random(f"kill {self.name}")

    def run(self, check):
        """Kills at one moment after the other; `check` is given the repository right after the kill."""
        bench = self.bench
        expected, seconds = self.undisturbed()
        hits = 0
        for number in range(KILLS):
            folder = bench.copy(self.start, bench.memory / f"kill-{self.name}-{number}")
            repo = folder / "repo"
            delay = self.random.uniform(0, seconds)
            what = f"{self.name} killed after {delay * 1000:.1f} ms of {seconds * 1000:.0f}"
            hits += self.kill(repo, delay)
            check(what, folder)
            bench.ok(bench.ours, repo, *self.words)
            bench.same(f"{what}, run again", state(folder), expected)
            cloud = ["--cloud"] if self.name == "push" else []
            result = bench.theirs.run(repo, "status", "--quiet", *cloud)
            bench.checks.equal(f"{what}: status of theirs", result.code, 0)
            shutil.rmtree(folder)
        bench.checks.true(f"{self.name}: {hits} of {KILLS} kills met a run", hits >= KILLS * SHARE_THAT_HITS)

    def undisturbed(self):
        """Where it ends, and the shorter of two times."""
        seconds = []
        for number in range(2):
            folder = self.bench.copy(self.start, self.bench.memory / f"undisturbed-{self.name}-{number}")
            begin = time.monotonic()
            self.bench.ok(self.bench.ours, folder / "repo", *self.words)
            seconds.append(time.monotonic() - begin)
            expected = state(folder)
            shutil.rmtree(folder)
        return expected, min(seconds)

    def kill(self, repo, delay):
        """Whether it still ran."""
        process = self.bench.ours.start(repo, *self.words)
        time.sleep(delay)
        runs = process.poll() is None
        if runs:
            os.killpg(process.pid, 9)
        process.communicate(timeout=RUN_SECONDS_MAX)
        return runs


def killed_add(bench):
    """A folder that was added before and has changed."""
    start = started(bench, "kill-add-start")
    repo = start / "repo"
    fill(repo / "ds", "before", SMALL_FILES // 5)
    bench.ok(bench.ours, repo, "add", "ds")
    bench.commit(repo)
    fill(repo / "ds", "after", SMALL_FILES)
    (repo / "ds/before-0").unlink()

    def check(what, folder):
        cache = folder / "repo/.dvc/cache"
        bench.checks.equal(f"{what}: a `.dvc` file names what is missing", missing_objects(folder / "repo", cache), [])
        bench.checks.equal(f"{what}: broken objects", broken_objects(cache), [])

    Killed(bench, ["add", "ds"], start).run(check)


def killed_push(bench):
    start = added(bench, "kill-push-start")

    def check(what, folder):
        remote = folder / "remote"
        bench.checks.equal(f"{what}: broken objects in the remote", broken_objects(remote), [])
        lists = [path for path in remote.rglob("*.dir") if len(path.name) == 34]
        missing = [name for path in lists for name in without_children(path, remote)]
        bench.checks.equal(f"{what}: a list is in the remote before what it names", missing, [])

    Killed(bench, ["push"], start).run(check)


def killed_pull(bench):
    source = added(bench, "kill-pull-source")
    bench.ok(bench.ours, source / "repo", "push")
    start = bench.memory / "kill-pull-start"
    bench.clone(source / "repo", start / "repo")
    (source / "remote").rename(start / "remote")
    expected = work(source / "repo")

    def check(what, folder):
        cache = folder / "repo/.dvc/cache"
        bench.checks.equal(f"{what}: broken objects in the cache", broken_objects(cache), [])
        found = {name: data for name, data in work(folder / "repo").items() if name in expected}
        bench.same(f"{what}: half a file in the work tree", found, {name: expected[name] for name in found})

    Killed(bench, ["pull"], start).run(check)


def killed_checkout(bench):
    """What `pull` does last, alone: else few kills would meet it."""
    start = added(bench, "kill-checkout-start")
    expected = work(start / "repo")
    shutil.rmtree(start / "repo/ds")

    def check(what, folder):
        found = {name: data for name, data in work(folder / "repo").items() if name in expected}
        bench.same(f"{what}: half a file in the work tree", found, {name: expected[name] for name in found})

    Killed(bench, ["checkout"], start).run(check)


def started(bench, name):
    start = bench.memory / name
    bench.repo(start / "repo", local_remote())
    return start


def added(bench, name):
    start = started(bench, name)
    fill(start / "repo/ds", "file", SMALL_FILES)
    bench.ok(bench.ours, start / "repo", "add", "ds")
    bench.commit(start / "repo")
    return start


def fill(folder, prefix, count):
    """Files of random bytes, the same in every run."""
    generator = random.Random(prefix)
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        (folder / f"{prefix}-{number}").write_bytes(generator.randbytes(SMALL_BYTES))
    for number in range(LARGE_FILES):
        (folder / f"{prefix}-large-{number}").write_bytes(generator.randbytes(LARGE_BYTES))


def state(folder):
    """All that counts of a scenario: pointers, work tree, cache and remote."""
    repo = folder / "repo"
    cached = {f"cache {name}": value for name, value in objects_of(repo).items()}
    remote = {f"remote {name}": value for name, value in objects(folder / "remote").items()}
    return pointers(repo) | work(repo) | cached | remote


CASES = [killed_add, killed_push, killed_pull, killed_checkout]
