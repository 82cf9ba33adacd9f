"""What must not happen: broken objects in the work tree, two runs at once, a change that is overlooked."""

import fcntl
import hashlib
import json
import os
import time

from dvc_remotes import HttpStore, config_of, work
from dvc_tools import RUN_SECONDS_MAX, broken_objects, object_path, objects_of, pointed_to, pointers, write
from zc.lockfile import LockFile

FILES = {"ds/a.jpg": "the bytes of a", "ds/sub/b.jpg": "the bytes of b", "one.csv": "a,b\n"}
BROKEN = b"THE BYTES OF A"
OBJECT_OF_A = "8482679f0c1692aec58ceefee6ca6d42"
HOSTILE_PATHS = ["../../out", "/{outside}/out", "a/../../../out", "link/out", "..", "", "a//b", "./.git/x"]
# How long ours is given to come upon the lock, and to do what it must not.
LOCK_SECONDS = 1


def same_tick(bench):
    """A file that is rewritten with as many bytes, at a moment that the file system does not tell from the first."""
    repo = bench.repo("tick")
    write(repo, {"ds/a": "a", "ds/b": "b"})
    # Not before the moment at which it is read: such a time proves nothing.
    moment = time.time_ns() + 60_000_000_000
    os.utime(repo / "ds/a", ns=(moment, moment))
    bench.ok(bench.ours, repo, "add", "ds")
    bench.clean("same tick: nothing changed", repo, bench.ours)
    write(repo, {"ds/a": "z"})
    os.utime(repo / "ds/a", ns=(moment, moment))
    bench.changed("same tick: rewritten", repo, bench.ours)
    before = pointed_to(repo / "ds.dvc")
    bench.ok(bench.ours, repo, "add", "ds")
    bench.checks.true("same tick: added anew", pointed_to(repo / "ds.dvc") != before)


def broken_cache(bench):
    """An object of the cache with other bytes than its name says."""
    repo = added(bench, "broken-cache")
    path = object_path(repo / ".dvc/cache", OBJECT_OF_A)
    overwrite(path, BROKEN)
    (repo / "ds/a.jpg").unlink()
    result = bench.ours.run(repo, "checkout", "--force")
    named_and_kept_out(bench, "a broken object in the cache", result, repo)
    bench.checks.true("no broken object keeps its name", not broken_objects(repo / ".dvc/cache"))
    overwrite(path, FILES["ds/a.jpg"].encode())
    bench.ok(bench.ours, repo, "checkout", "--force")
    bench.checks.true("repaired", (repo / "ds/a.jpg").read_text() == FILES["ds/a.jpg"])
    bench.clean("repaired", repo)
    # Pushed it must not be either.
    overwrite(path, BROKEN)
    bench.ours.run(repo, "push")
    bench.checks.equal("a broken object is not pushed", broken_objects(repo.parent / "remote"), [])


def broken_remote(bench):
    """An object and a list of a folder in the remote with other bytes than their names say."""
    repo = added(bench, "broken-remote")
    bench.ok(bench.ours, repo, "push")
    bench.commit(repo)
    remote = repo.parent / "remote"
    listing = pointed_to(repo / "ds.dvc")
    for name in (OBJECT_OF_A, listing):
        path = object_path(remote, name)
        good = path.read_bytes()
        other = good.replace(b"sub/b.jpg", b"../../out") if name == listing else BROKEN
        overwrite(path, other)
        clone = bench.clone(repo, f"broken-remote/{name[:4]}/clone")
        # The remote is beside the first repository.
        config = (clone / ".dvc/config").read_text().replace("../../remote", "../../../remote")
        (clone / ".dvc/config").write_text(config)
        result = bench.ours.run(clone, "pull")
        what = f"a broken {'list' if name == listing else 'object'} in the remote"
        named_and_kept_out(bench, what, result, clone, name)
        bench.checks.equal(f"{what} is not in the cache", broken_objects(clone / ".dvc/cache"), [])
        bench.checks.true("nothing is written beside the repository", not (clone.parent / "out").exists())
        overwrite(path, good)
        bench.ok(bench.ours, clone, "pull")
        bench.same(f"{what}, repaired", work(clone), work(repo))
        bench.clean(f"{what}, repaired", clone)


def hostile_lists(bench):
    """A list of a folder whose hash is right and whose paths lead elsewhere writes nothing outside its folder."""
    for number, path in enumerate(HOSTILE_PATHS):
        repo = bench.repo(f"hostile/{number}/repo")
        outside = bench.folder(f"hostile/{number}/outside")
        data = json.dumps([{"md5": OBJECT_OF_A, "relpath": path.format(outside=outside)}]).encode()
        name = hashlib.md5(data).hexdigest() + ".dir"
        write(repo, {"ds.dvc": f"outs:\n- md5: {name}\n  hash: md5\n  path: ds\n"})
        overwrite(object_path(repo.parent / "remote", name), data)
        overwrite(object_path(repo.parent / "remote", OBJECT_OF_A), FILES["ds/a.jpg"].encode())
        if path.startswith("link"):
            (repo / "ds").mkdir()
            (repo / "ds/link").symlink_to(outside)
        result = bench.ours.run(repo, "pull")
        bench.checks.true(f"a list with {path!r} does not panic: {result.err}", "panicked" not in result.err)
        if path not in ("a//b", "./.git/x", "link/out"):
            bench.checks.equal(f"a list with {path!r}: exit code", result.code, 1)
        found = [path for path in repo.parent.rglob("out") if "ds" not in path.relative_to(repo.parent).parts]
        bench.checks.equal(f"a list with {path!r} writes outside", found, [])


def named_and_kept_out(bench, what, result, repo, name=OBJECT_OF_A):
    bench.checks.equal(f"{what}: exit code", result.code, 1)
    is_named = name.removesuffix(".dir") in result.text or f"{name[:2]}/{name[2:]}" in result.text
    bench.checks.true(f"{what} is named: {result.text}", is_named or "a.jpg" in result.text)
    written = [path for path in repo.glob("ds/**/*") if path.is_file() and path.read_bytes() == BROKEN]
    bench.checks.equal(f"{what} is not in the work tree", written, [])


def their_lock(bench):
    """While a real `dvc` holds its lock, ours waits or fails, and changes nothing."""
    repo = added(bench, "their-lock")
    write(repo, {"ds/new": "n"})
    before = pointers(repo) | objects_of(repo)
    for words in (["add", "ds"], ["push"], ["checkout", "--force"], ["gc", "--workspace", "--force"]):
        lock = LockFile(str(repo / ".dvc/tmp/lock"))
        process = bench.ours.start(repo, *words)
        try:
            ended = ends_within(process, LOCK_SECONDS)
            bench.same(f"`{words[0]}` while locked", pointers(repo) | objects_of(repo), before)
            pushed = [path for path in (repo.parent / "remote").rglob("*") if path.is_file()]
            bench.checks.equal(f"`{words[0]}` while locked pushes nothing", pushed, [])
        finally:
            lock.close()
        out, err = process.communicate(timeout=RUN_SECONDS_MAX)
        if ended:
            bench.checks.equal(f"`{words[0]}` while locked: exit code", process.returncode, 1)
            bench.checks.true(f"`{words[0]}` while locked names the lock: {err}", "lock" in err.lower())
            break  # It does not wait: the others share what waits or not.
        bench.checks.true(f"`{words[0]}` after the lock: {out}{err}", process.returncode == 0)
        before = pointers(repo) | objects_of(repo)
        for path in (repo.parent / "remote").rglob("*"):
            if path.is_file():
                path.unlink()
    bench.ok(bench.ours, repo, "add", "ds")
    busy_paths(bench, repo)


def busy_paths(bench, repo):
    """`dvc repro` lets go of the lock while a stage runs, and leaves a note of the paths it is at."""
    note = repo / ".dvc/tmp/rwlock"
    blocked = {str(repo.resolve() / "ds"): {"pid": os.getpid(), "cmd": "dvc repro"}}
    write(repo, {"ds/newer": "n"})
    note.write_text(json.dumps({"write": blocked, "read": {}}))
    bench.refused(bench.theirs, repo, "add", "ds")
    bench.refused(bench.ours, repo, "add", "ds")
    # No process has this number: what left the note was killed.
    blocked[str(repo.resolve() / "ds")]["pid"] = 2**22 + 1
    note.write_text(json.dumps({"write": blocked, "read": {}}))
    bench.ok(bench.ours, repo, "add", "ds")
    bench.clean("after a note that a killed process left", repo)


def our_lock(bench):
    """While ours pushes, a real `dvc` finds the repository locked; afterwards all is as if it had not tried."""
    with HttpStore() as store:
        repo = bench.repo("our-lock/repo", config_of(store) % "x")
        write(repo, FILES)
        bench.ok(bench.ours, repo, "add", "ds", "one.csv")
        before = pointers(repo)
        store.open.clear()
        process = bench.ours.start(repo, "push")
        bench.checks.true("ours sends an object", store.waiting.wait(30))
        with open(repo / ".dvc/tmp/lock", "ab") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                bench.checks.true("ours holds `.dvc/tmp/lock` while it pushes", False)
            except BlockingIOError:
                bench.checks.true("ours holds `.dvc/tmp/lock` while it pushes", True)
        write(repo, {"ds/new": "n"})
        result = bench.theirs.run(repo, "add", "ds")
        bench.checks.true(f"theirs finds it locked: {result.text}", result.code != 0 and "lock" in result.err)
        store.open.set()
        out, err = process.communicate(timeout=RUN_SECONDS_MAX)
        bench.checks.true(f"ours ends well: {out}{err}", process.returncode == 0)
        bench.same("what theirs was kept from", pointers(repo), before)
        (repo / "ds/new").unlink()
        bench.clean("after both", repo)


def ends_within(process, seconds):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if process.poll() is not None:
            return True
        time.sleep(0.02)
    return False


def added(bench, name):
    repo = bench.repo(f"{name}/repo")
    write(repo, FILES)
    bench.ok(bench.ours, repo, "add", "ds", "one.csv")
    return repo


def overwrite(path, data):
    """Objects are read-only."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        path.chmod(0o644)
    path.write_bytes(data)
    path.chmod(0o444)


CASES = [same_tick, broken_cache, broken_remote, hostile_lists, their_lock, our_lock]
