"""A PostgreSQL server of one check: made in a folder of its own, on a free port of this machine, and gone with the check."""

import os
import pathlib
import pwd
import shutil
import socket
import subprocess


def binaries():
    """The folder of `initdb`, which Debian keeps out of PATH; `None` where PostgreSQL is not installed."""
    found = shutil.which("initdb")
    if found:
        return pathlib.Path(found).resolve().parent
    folders = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return folders[-1].parent if folders else None


def is_here():
    return binaries() is not None and shutil.which("pg_dump") is not None and user() is not False


def user():
    """Who runs the server: PostgreSQL refuses root. `None`: who runs the check; `False`: nobody can."""
    if os.geteuid() != 0:
        return None
    for name in ["postgres", "nobody"]:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    return False


class Server:
    def __init__(self, scratch):
        self.folder = pathlib.Path(scratch) / "postgres"
        self.binaries = binaries()
        self.user = user()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]

    def command(self, name, *arguments):
        extra = {}
        if self.user:
            extra = {"user": self.user.pw_uid, "group": self.user.pw_gid, "extra_groups": []}
        command = [self.binaries / name, *arguments]
        environment = {**os.environ, "LC_ALL": "C", "HOME": str(self.folder)}
        log = open(self.folder / "log", "a", encoding="utf-8")
        return subprocess.run(command, cwd=self.folder, env=environment, stdout=log, stderr=log, check=True, **extra)

    def __enter__(self):
        self.folder.mkdir()
        if self.user:
            os.chown(self.folder, self.user.pw_uid, self.user.pw_gid)
            # The folders above belong to who runs the check.
            for parent in [self.folder.parent]:
                parent.chmod(0o755)
        data = self.folder / "data"
        self.command("initdb", "--pgdata", data, "--auth", "trust", "--username", "ml", "--no-sync")
        options = f"-p {self.port} -k {self.folder} -c listen_addresses=127.0.0.1 -c fsync=off"
        self.command("pg_ctl", "--pgdata", data, "--options", options, "--log", self.folder / "server.log", "-w", "start")
        return self

    def __exit__(self, *_):
        self.command("pg_ctl", "--pgdata", self.folder / "data", "-m", "immediate", "-w", "stop")

    def create(self, database):
        self.command("createdb", "--host", "127.0.0.1", "--port", str(self.port), "--username", "ml", database)

    def url(self, database):
        return f"postgresql://ml@127.0.0.1:{self.port}/{database}"

    def client_config(self, config, database):
        """How ml-metadata is told where the store is."""
        config.postgresql.host = "127.0.0.1"
        config.postgresql.port = str(self.port)
        config.postgresql.user = "ml"
        # Not asked for, but the client wants one, and puts it into its own text of words.
        config.postgresql.password = "none"
        config.postgresql.dbname = database
        return config

    def schema(self, database):
        """What pg_dump says of the tables, without the two lines that differ with every dump."""
        command = ["pg_dump", "--schema-only", "--no-owner", "--no-privileges", "--host", "127.0.0.1"]
        command += ["--port", str(self.port), "--username", "ml", database]
        dump = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        return [line for line in dump.splitlines() if not line.startswith(("\\restrict", "\\unrestrict"))]
