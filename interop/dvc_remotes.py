"""Pushing and pulling over every kind of remote, in both directions."""

import base64
import http.server
import logging
import threading
import urllib.request
import xml.etree.ElementTree

from dvc_tools import local_remote, objects, objects_of, pointers, tree, write
from local_server import LocalServer
from moto.server import ThreadedMotoServer

FILES = {
    "data/imgs/a.jpg": "hello",
    'data/imgs/Ünï/é "q".jpg': "up",
    "data/imgs/sub/c.jpg": "hello",
    "data/imgs/empty": "",
    "data/imgs/.hid": "hi",
    "data/imgs/crlf.txt": "l1\r\nl2\r\n",
    "data/imgs/large.bin": bytes(range(256)) * 8192,
    "data/x.csv": "a,b\n1,2\n",
    "data/run.csv": "a,b\n1,3\n",
}
EXECUTABLE = {"data/imgs/sub/c.jpg", "data/run.csv"}
TARGETS = ["data/imgs", "data/x.csv", "data/run.csv"]
USER, PASSWORD, TOKEN = "somebody", "pass:word", "token-of-somebody"
BUCKET = "bucket"


def local_folder(bench):
    """A folder: the same objects, the same files, and nothing to do the second time."""
    ours, theirs = there_and_back(bench, "local")
    bench.same("local: remotes", *[objects(side / "remote") for side in (ours, theirs)])
    repo, clone = ours / "repo", theirs / "clone"
    bench.report(repo, "push")
    bench.report(clone, "pull")
    bench.report(clone, "fetch")
    bench.report(clone, "checkout")
    # One target alone, by its data and by its .dvc file.
    for name in ("data/imgs", "data/x.csv.dvc"):
        alone = bench.clone(theirs / "repo", f"local/alone-{len(name)}")
        (alone / ".dvc/config").write_text(local_remote().replace("../../remote", "../../theirs/remote"))
        bench.ok(bench.ours, alone, "pull", name, "--jobs", "2")
        found = FILES.keys() & tree(alone)
        expected = {path for path in FILES if path.startswith(name.removesuffix(".dvc"))}
        bench.checks.equal(f"pull {name}", found, expected)


def versions(bench):
    """`checkout` after another commit was checked out, and what is not saved is not lost."""
    repos = []
    for tool in (bench.ours, bench.theirs):
        repo = bench.repo(f"versions/{tool.name}/repo")
        for version in ({"ds/a": "a", "ds/sub/gone": "g", "one": "1"}, {"ds/a": "changed", "ds/new": "n", "one": "2"}):
            write(repo, version)
            if "ds/new" in version:
                (repo / "ds/sub/gone").unlink()
            bench.ok(bench.ours, repo, "add", "ds", "one")
            bench.commit(repo)
        bench.git(repo, "checkout", "-q", "HEAD~1")
        bench.ok(tool, repo, "checkout")
        repos.append(repo)
    bench.same("versions: the first", *[work(repo) for repo in repos])
    bench.clean("versions: the first", repos[0])
    for tool, repo in zip((bench.ours, bench.theirs), repos):
        write(repo, {"ds/a": "not saved", "ds/more": "not saved either"})
        unsaved = work(repo)
        bench.git(repo, "checkout", "-q", "main")
        bench.refused(tool, repo, "checkout")
        bench.same(f"versions: what {tool.name} was not told to overwrite", kept(work(repo)), kept(unsaved))
        bench.ok(tool, repo, "checkout", "--force")
    bench.same("versions: forced", *[work(repo) for repo in repos])


def kept(files):
    return {name: files.get(name) for name in ("ds/a", "ds/more")}


def nothing_there(bench):
    """An object that no one has; no remote; a remote of a kind or name that does not exist."""
    ours, theirs = [pushed(bench, f"nothing/{tool.name}", tool) for tool in (bench.ours, bench.theirs)]
    for tool, side in ((bench.ours, ours), (bench.theirs, theirs)):
        lost = next(path for path in (side / "remote").rglob("*") if path.is_file() and path.stat().st_size == 5)
        lost.unlink()
        clone = bench.clone(side / "repo", f"nothing/{tool.name}/clone")
        result = tool.run(clone, "pull")
        bench.checks.equal(f"`{result.what}` without an object: exit code", result.code, 1)
        name = lost.parent.name + lost.name
        bench.checks.true(f"`{result.what}` names {name}: {result.text}", name in result.text or "a.jpg" in result.text)
        present = work(clone)
        bench.checks.true("a file without an object is not there", "data/imgs/a.jpg" not in present)
    repo = ours / "repo"
    bench.refused(bench.ours, repo, "push", "--remote", "nosuch")
    for url, words in {"ftp://host/x": "ftp", "gs://bucket": "gs", "": "remote"}.items():
        (repo / ".dvc/config").write_text(f"[core]\n    remote = r\n['remote \"r\"']\n    url = {url}\n" if url else "")
        result = bench.refused(bench.ours, repo, "push")
        bench.checks.true(f"push to {url!r} names what is wrong: {result.err}", words in result.err)


def over_http(bench):
    """HTTP with basic authentication, by POST and by PUT, and with a header of one's own."""
    with HttpStore(f"Basic {base64.b64encode(f'{USER}:{PASSWORD}'.encode()).decode()}") as store:
        secrets = f"['remote \"origin\"']\n    auth = basic\n    user = {USER}\n    password = {PASSWORD}\n"
        config = config_of(store)
        there_and_back(bench, "http", config, secrets, store)
        put = config + "    method = PUT\n"
        store.log.clear()
        pushed(bench, "http-put", bench.ours, put % "put", secrets)
        bench.checks.true("`method = PUT` puts", {"PUT"} <= {method for method, _ in store.log})
        bench.checks.true("`method = PUT` posts nothing", "POST" not in {method for method, _ in store.log})
        wrong_password(bench, config % "http-theirs", secrets.replace(PASSWORD, "wrong"))
    with HttpStore(TOKEN, "X-Token") as store:
        secrets = "['remote \"origin\"']\n    auth = custom\n    custom_auth_header = X-Token\n"
        secrets += f"    password = {TOKEN}\n"
        there_and_back(bench, "http-token", config_of(store), secrets, store)


def config_of(store):
    """With a place for the folder in it."""
    return f"[core]\n    remote = origin\n['remote \"origin\"']\n    url = {store.url}/%s\n"


def wrong_password(bench, config, secrets):
    """A server that says no is told apart from one that has nothing."""
    clone = bench.clone(bench.root / "http/theirs/repo", "http/wrong")
    (clone / ".dvc/config").write_text(config)
    (clone / ".dvc/config.local").write_text(secrets)
    for command in ("pull", "fetch", "push"):
        result = bench.ours.run(clone, command)
        if command == "push" and result.code == 0:
            continue  # Without an object there is nothing to ask for.
        bench.checks.equal(f"wrong password: `{command}`: exit code", result.code, 1)
        told = any(word in result.err.lower() for word in ("401", "403", "auth", "password", "unauthori"))
        bench.checks.true(f"wrong password: `{command}` tells so: {result.err}", told)
        shown = "wrong" in result.text.replace("http/wrong", "")
        bench.checks.true(f"wrong password: `{command}` does not show it", not shown)


def over_s3(bench):
    """S3, at an endpoint of one's own."""
    # Its server tells of every request.
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        store = S3Store("http://{}:{}".format(*server.get_host_and_port()))
        config = (
            f"[core]\n    remote = origin\n['remote \"origin\"']\n    url = s3://{BUCKET}/%s\n"
            f"    endpointurl = {store.url}\n"
        )
        there_and_back(bench, "s3", config, "", store)
    finally:
        server.stop()


def there_and_back(bench, name, config="", secrets="", store=None):
    """Each tool pushes, the other pulls; both remotes hold the same in the end. The folders of the two sides."""
    sides = []
    for tool, other in ((bench.ours, bench.theirs), (bench.theirs, bench.ours)):
        place = f"{name}-{tool.name}"
        side = pushed(bench, f"{name}/{tool.name}", tool, config and config % place, secrets)
        clone = bench.clone(side / "repo", f"{name}/{tool.name}/clone")
        bench.ok(other, clone, "pull")
        bench.same(f"{name}: pushed by {tool.name}, pulled by {other.name}", contents(clone), contents(side / "repo"))
        bench.same(f"{name}: the caches", hashes(clone), hashes(side / "repo"))
        bench.clean(f"{name}: pulled by {other.name}", clone, tool)
        result = bench.ok(bench.ours, clone, "status", "--cloud", "--quiet")
        bench.checks.equal(f"{name}: status --cloud --quiet is quiet", result.out, "")
        sides.append(side)
    if store:
        ours, theirs = [store.stored(f"{name}-{tool.name}") for tool in (bench.ours, bench.theirs)]
        bench.same(f"{name}: remotes", ours, theirs)
        bench.checks.equal(f"{name}: objects in the remote", len(ours), len(hashes(sides[0] / "repo")))
    bench.same(f"{name}: .dvc files", *[dvc_files(side / "repo") for side in sides])
    return sides


def pushed(bench, name, tool, config="", secrets=""):
    """A folder with a repository that was pushed, and committed."""
    repo = bench.repo(f"{name}/repo", config)
    if secrets:
        (repo / ".dvc/config.local").write_text(secrets)
    write(repo, FILES, EXECUTABLE)
    bench.ok(tool, repo, "add", *TARGETS)
    bench.ok(tool, repo, "push")
    bench.commit(repo)
    return repo.parent


def dvc_files(repo):
    return {name: data for name, data in pointers(repo).items() if name != ".dvc/config"}


def contents(repo):
    """Tracked files with what is in them; whether they may be run only where a `.dvc` file says so."""
    found = work(repo)
    return {name: (may_run and name == "data/run.csv", data) for name, (may_run, data) in found.items()}


def work(repo):
    return {name: value for name, value in tree(repo).items() if not name.startswith(".dvc/")}


def hashes(repo):
    return {name: "present" for name in objects_of(repo)}


class HttpStore(LocalServer):
    """An HTTP server that stores what it is sent; only for those who tell it the secret with the first request."""

    def __init__(self, secret="", header="Authorization"):
        self.secret = secret
        self.header = header
        self.files = {}
        self.log = []
        # Cleared, it keeps those waiting who send something; `waiting` tells that somebody does.
        self.open = threading.Event()
        self.open.set()
        self.waiting = threading.Event()
        super().__init__(type("Handler", (StoreHandler,), {"store": self}))

    def __exit__(self, *_):
        self.open.set()
        super().__exit__()

    def stored(self, place):
        start = f"/{place}/"
        return {name.removeprefix(start): data for name, data in self.files.items() if name.startswith(start)}


class StoreHandler(http.server.BaseHTTPRequestHandler):
    """What an HttpStore answers."""

    protocol_version = "HTTP/1.1"
    store = None

    def do_GET(self):
        self.answer_with(self.path in self.store.files)

    do_HEAD = do_GET

    def do_POST(self):
        body = self.body()
        if not self.allowed():
            return
        self.store.waiting.set()
        self.store.open.wait(60)
        self.store.files[self.path] = body
        self.send(200, b"")

    do_PUT = do_POST

    def answer_with(self, found):
        if not self.allowed():
            return
        self.send(200, self.store.files[self.path]) if found else self.send(404, b"not here")

    def allowed(self):
        self.store.log.append((self.command, self.path))
        if self.headers.get(self.store.header, "") == self.store.secret:
            return True
        self.send(401, b"who are you?", {"WWW-Authenticate": 'Basic realm="store"'})
        return False

    def send(self, status, body, headers=None):
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def body(self):
        if "chunked" not in self.headers.get("Transfer-Encoding", "").lower():
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = b""
        while size := int(self.rfile.readline().split(b";")[0], 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return body

    def log_message(self, *_):
        pass


class S3Store:
    """A bucket of moto's."""

    def __init__(self, url):
        self.url = url
        urllib.request.urlopen(urllib.request.Request(f"{url}/{BUCKET}", method="PUT")).close()

    def stored(self, place):
        """ETags by the names of the objects."""
        with urllib.request.urlopen(f"{self.url}/{BUCKET}?list-type=2&prefix={place}/") as answer:
            listing = xml.etree.ElementTree.parse(answer)
        name = "{http://s3.amazonaws.com/doc/2006-03-01/}"
        found = {}
        for entry in listing.iter(f"{name}Contents"):
            key = entry.findtext(f"{name}Key").removeprefix(f"{place}/")
            found[key] = (entry.findtext(f"{name}Size"), entry.findtext(f"{name}ETag"))
        return found


CASES = [local_folder, versions, nothing_there, over_http, over_s3]
