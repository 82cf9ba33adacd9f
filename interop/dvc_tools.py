"""What the cases of check_dvc.py share: the two tools, repositories, and what is compared of them."""

import hashlib
import json
import os
import pathlib
import re
import shutil
import stat
import subprocess
import sys
import tempfile

RUN_SECONDS_MAX = 120
PREFIX = "natureddit-dvc-"
MEMORY = "/dev/shm"
MEMORY_BYTES = 1_000_000_000
BYTES_SHOWN = 400
KEYS_SHOWN = 4
OBJECT = re.compile(r"(?:files/md5/)?([0-9a-f]{2})/([0-9a-f]{30}(?:\.dir)?)")
IDENTITY = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@b", "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@b"}
KEYS_OF_AWS = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1"}


class Tool:
    """One of the two programs: the words that start it, and its environment."""

    def __init__(self, name, command, environment):
        self.name = name
        self.command = [str(word) for word in command]
        self.environment = environment

    def start(self, folder, *words):
        """Starts it in a session of its own, so that whatever it starts can be ended with it."""
        return subprocess.Popen(
            [*self.command, *map(str, words)],
            cwd=folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, folder, *words):
        """Runs it to its end: the exit code and all it printed."""
        process = self.start(folder, *words)
        try:
            out, err = process.communicate(timeout=RUN_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, 9)
            out, err = process.communicate()
            err += f"\n(ended after {RUN_SECONDS_MAX} s)"
        return Result(f"{self.name} {' '.join(map(str, words))}", process.returncode, out, err)


class Result:
    """How a run ended."""

    def __init__(self, what, code, out, err):
        self.what = what
        self.code = code
        self.out = out
        self.err = err

    @property
    def text(self):
        return self.out + self.err


class Bench:
    """The tools, a folder that is removed in the end, and the repository that all others are copies of."""

    def __init__(self, natureddit, checks):
        self.checks = checks
        self.root = pathlib.Path(tempfile.mkdtemp(prefix=PREFIX))
        # For what is written over and over: a process that is killed leaves the same behind in memory as on a disk.
        is_possible = os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > MEMORY_BYTES
        self.memory = pathlib.Path(tempfile.mkdtemp(prefix=PREFIX, dir=MEMORY)) if is_possible else self.root / "memory"
        binaries = pathlib.Path(sys.executable).parent
        # Nothing of the user's own settings, and no state that outlives this run.
        environment = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL") if name in os.environ}
        environment |= IDENTITY | KEYS_OF_AWS
        environment |= {
            "HOME": str(self.folder("home")),
            "GIT_CONFIG_NOSYSTEM": "1",
            "DVC_NO_ANALYTICS": "1",
            "DVC_GLOBAL_CONFIG_DIR": str(self.folder("global")),
            "DVC_SYSTEM_CONFIG_DIR": str(self.folder("system")),
            "DVC_SITE_CACHE_DIR": str(self.folder("site")),
        }
        self.environment = environment
        self.ours = Tool("ours", [natureddit, "dvc"], environment)
        self.theirs = Tool("theirs", [binaries / "dvc"], environment)
        self.template = self.folder("template")
        self.git(self.template, "init", "-q", "-b", "main")
        self.ok(self.theirs, self.template, "init", "-q")
        self.git(self.template, "commit", "-qm", "init")

    def remove(self):
        # What is in a cache is read-only, but it is the folder that counts.
        for folder in (self.root, self.memory):
            shutil.rmtree(folder, ignore_errors=True)

    def folder(self, name):
        path = self.root / name
        path.mkdir(parents=True)
        return path

    def repo(self, name, config=""):
        """A new repository, with the local remote `remote` beside it unless told otherwise."""
        path = self.root / name
        shutil.copytree(self.template, path, symlinks=True)
        (path / ".dvc" / "config").write_text(config or local_remote())
        return path

    def copy(self, source, name):
        """A second one, from which nothing leads back: no links, the same times."""
        path = self.root / name
        shutil.copytree(source, path, symlinks=True)
        return path

    def git(self, folder, *words):
        done = subprocess.run(
            ["git", *words], cwd=folder, env=self.environment, check=True, stdout=subprocess.PIPE, text=True
        )
        return done.stdout

    def commit(self, folder, message="more"):
        self.git(folder, "add", "-A")
        self.git(folder, "commit", "-qm", message)

    def clone(self, source, name):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        self.git(self.root, "clone", "-q", str(source), str(path))
        secrets = source / ".dvc" / "config.local"
        if secrets.exists():
            shutil.copy2(secrets, path / ".dvc" / "config.local")
        return path

    def ok(self, tool, folder, *words):
        """Runs what must succeed."""
        result = tool.run(folder, *words)
        self.checks.true(f"`{result.what}` exits with 0, not {result.code}:\n{result.text[-600:]}", result.code == 0)
        return result

    def refused(self, tool, folder, *words):
        """Runs what must fail and leave nothing behind."""
        before = pointers(folder) | objects_of(folder)
        result = tool.run(folder, *words)
        self.checks.true(f"`{result.what}` fails", result.code != 0)
        self.checks.true(f"`{result.what}` says why", bool(result.err.strip()))
        self.checks.true(f"`{result.what}` does not panic: {result.err}", "panicked" not in result.err)
        self.same(f"after `{result.what}`", pointers(folder) | objects_of(folder), before)
        return result

    def report(self, folder, *words):
        """What ours prints with `--json`."""
        result = self.ok(self.ours, folder, *words, "--json")
        try:
            return json.loads(result.out)
        except json.JSONDecodeError as error:
            self.checks.true(f"`{result.what}` prints JSON, not {result.out!r}: {error}", False)
            return {}

    def clean(self, what, folder, by=None):
        """No tool sees a change."""
        self.status(what, folder, 0, by)

    def changed(self, what, folder, by=None):
        """Every tool sees a change."""
        self.status(what, folder, 1, by)

    def status(self, what, folder, expected, by=None):
        for tool in [by] if by else [self.ours, self.theirs]:
            result = tool.run(folder, "status", "--quiet")
            self.checks.true(
                f"{what}: `status --quiet` of {tool.name} exits with {expected}, not {result.code}\n{result.err}",
                result.code == expected,
            )

    def same(self, what, found, expected):
        """Compares two mappings, and shows only where they differ."""
        differing = [key for key in sorted(found.keys() | expected.keys()) if found.get(key) != expected.get(key)]
        self.checks.true(f"{what}: {len(differing)} differ\n{shown(differing, found, expected)}", not differing)


def shown(keys, found, expected):
    lines = []
    for key in keys[:KEYS_SHOWN]:
        for side, values in (("ours  ", found), ("theirs", expected)):
            lines.append(f"  {key!r} {side} {str(values.get(key, 'absent'))[:BYTES_SHOWN]}")
    if len(keys) > KEYS_SHOWN:
        lines.append("  ..")
    return "\n".join(lines)


def local_remote(more=""):
    """Settings with the default remote `remote` beside the repository."""
    return f"[core]\n    remote = origin\n{more}['remote \"origin\"']\n    url = ../../remote\n"


def write(folder, files, executable=()):
    """Writes files by their paths; those that are named are made executable."""
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data if isinstance(data, bytes) else data.encode())
        if name in executable:
            path.chmod(0o755)


def files_in(folder):
    """The paths of all files and links below a folder, without git's."""
    for base, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name != ".git"]
        linked = [name for name in folders if os.path.islink(os.path.join(base, name))]
        for name in names + linked:
            yield pathlib.Path(base, name)


def tree(folder):
    """Every file by its path: whether its owner may run it, and what is in it."""
    found = {}
    for path in files_in(folder):
        is_executable = bool(path.stat().st_mode & stat.S_IXUSR)
        found[path.relative_to(folder).as_posix()] = (is_executable, md5(path))
    return found


def pointers(repo):
    """The bytes of what is for git: `.dvc` files, `.gitignore`, settings."""
    found = {}
    for path in files_in(repo):
        name = path.relative_to(repo).as_posix()
        is_pointer = path.suffix == ".dvc" and not name.startswith(".dvc/")
        if is_pointer or path.name in (".gitignore", ".dvcignore") or name == ".dvc/config":
            found[name] = path.read_bytes()
    return found


def objects(store):
    """The objects of a cache or a local remote, by hash: permissions and what is in them. What has no object's name,
    such as what a killed run left half written, is not looked at."""
    found = {}
    for path in files_in(store) if store.is_dir() else []:
        name = path.relative_to(store).as_posix()
        if OBJECT.fullmatch(name):
            mode = oct(stat.S_IMODE(path.stat().st_mode))
            found[name] = (mode, path.read_bytes() if name.endswith(".dir") else md5(path))
    return found


def present(found):
    """The same without the permissions."""
    return {name: data for name, (_, data) in found.items()}


def objects_of(repo):
    return objects(repo / ".dvc" / "cache")


def md5(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()


def broken_objects(store):
    """The names of objects in the layout of DVC 3 whose bytes do not have the hash they are named by."""
    names = []
    for path in files_in(store) if store.is_dir() else []:
        match = OBJECT.fullmatch(path.relative_to(store).as_posix())
        if match and md5(path) != (match[1] + match[2]).removesuffix(".dir"):
            names.append(match[0])
    return names


def object_path(store, name):
    """Where an object of DVC 3 is."""
    return store / "files" / "md5" / name[:2] / name[2:]


def pointed_to(pointer):
    """The object that a `.dvc` file with one output names."""
    return re.search(r"md5: ([0-9a-f]{32}(?:\.dir)?)", pointer.read_text())[1]


def missing_objects(repo, store):
    """What the `.dvc` files of a repository name that a cache or remote does not have; lists of folders included."""
    missing = []
    for path in files_in(repo):
        if path.suffix != ".dvc" or path.relative_to(repo).parts[0] == ".dvc":
            continue
        name = pointed_to(path)
        found = object_path(store, name)
        if not found.exists():
            missing.append(name)
        elif name.endswith(".dir"):
            missing += without_children(found, store)
    return missing


def without_children(listing, store):
    """The files that a list of a folder names and a cache or remote does not have."""
    names = [entry["md5"] for entry in json.loads(listing.read_bytes())]
    return [name for name in names if not object_path(store, name).exists()]
