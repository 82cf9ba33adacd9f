"""The daily update beside the real tool: what it versions is pulled, what others add comes with the next one, and the
repositories of the original system are taken over."""

import contextlib
import hashlib
import json
import re
import threading

from dvc_tools import Tool, local_remote, tree, write

START_SECONDS_MAX = 30


def program(bench):
    """The program itself, not only `natureddit dvc`."""
    return Tool("ours", bench.ours.command[:1], bench.environment)


@contextlib.contextmanager
def sandbox(bench, folder):
    """A simulated Reddit: the settings that lead to it, which it prints itself, and its first day."""
    process = program(bench).start(folder, "sandbox", "--port", "0", "--seed", "12", "--posts", "90")
    # Its end is that of its output.
    watch = threading.Timer(START_SECONDS_MAX, process.kill)
    watch.start()
    try:
        # The last line that it prints is that of this host.
        settings = ""
        while '"www.reddit.com"' not in settings:
            line = process.stdout.readline()
            if not line:
                raise RuntimeError(f"the sandbox did not start: {settings}")
            settings += line
        watch.cancel()
        yield settings[settings.index("[collect]") :]
    finally:
        watch.cancel()
        process.terminate()
        process.communicate()


def daily(bench):
    """The real tool pulls what `daily` pushed, and `daily` takes over what was pushed with the real tool."""
    ours = program(bench)
    folder = bench.folder("daily")
    with sandbox(bench, folder) as settings:
        first, last = re.findall(r'"(\d{4}-\d\d-\d\d)T', settings)[:2]
        bench.checks.true(f"the posts of the sandbox are of two days: {first}, {last}", first < last)
        bench.git(folder, "init", "-q", "--bare", "-b", "main", "origin.git")
        repo = bench.repo("daily/repo")
        write(repo, {"natureddit.toml": settings, ".gitignore": "/data/.lock\n/labels/.lock\n"})
        bench.commit(repo)
        bench.git(repo, "remote", "add", "origin", "../origin.git")
        bench.git(repo, "push", "-q", "-u", "origin", "main")
        done = json.loads(bench.ok(ours, repo, "daily", "--date", first, "--json").out)
        bench.checks.true("posts came", done["tasks"]["merge_datasets"]["posts_new"] > 0)
        bench.clean("after daily", repo)

        clone = bench.clone(folder / "origin.git", "daily/clone")
        bench.ok(bench.theirs, clone, "pull")
        bench.same("daily: pulled by the real tool", data(clone), data(repo))
        # Somebody with the real tool drops a row.
        rows = (clone / "data/posts.csv").read_text().splitlines(keepends=True)
        write(clone, {"data/posts.csv": "".join(rows[:-1])})
        bench.ok(bench.theirs, clone, "add", "data/posts.csv")
        bench.ok(bench.theirs, clone, "push")
        bench.commit(clone)
        bench.git(clone, "push", "-q")

        done = json.loads(bench.ok(ours, repo, "daily", "--date", last, "--json").out)
        bench.checks.true("the other's commit came", done["tasks"]["pull_dataset"]["is_forwarded"])
        bench.checks.true("the dropped row stays away", rows[-1] not in (repo / "data/posts.csv").read_text())
        bench.clean("after the second day", repo)
        bench.git(clone, "pull", "-q")
        bench.ok(bench.theirs, clone, "pull")
        bench.same("daily: pulled again by the real tool", data(clone), data(repo))


def data(repo):
    return {name: value for name, value in tree(repo / "data").items() if not name.startswith((".lock", ".daily/"))}


NAME = "2022-05-01_2022-05-08"
PIXELS = bytes(range(256)) * 30


def original(bench):
    """A repository of the original layout, in the form of DVC 2, is pulled and imported without being changed."""
    ours = program(bench)
    photos = {f"{post}.bmp": bitmap(shade) for shade, post in enumerate(("aa1", "aa2"))}
    header = "author,created_utc,full_link,id,subreddit,title,url,img_name\n"
    rows = [
        f"ann,2022-05-0{day} 10:00:00,https://www.reddit.com/{post},{post},flowers,A rose,https://x.example/{post}.bmp,{post}.bmp\n"
        for day, post in enumerate(("aa1", "aa2"), start=1)
    ]
    table = (header + "".join(rows)).encode()
    listing = [{"md5": hashlib.md5(photo).hexdigest(), "relpath": name} for name, photo in sorted(photos.items())]
    listed = json.dumps(listing, sort_keys=True).encode()
    folder = hashlib.md5(listed).hexdigest() + ".dir"
    stored = {hashlib.md5(photo).hexdigest(): photo for photo in photos.values()}
    stored |= {hashlib.md5(table).hexdigest(): table, folder: listed}
    repo = bench.repo("original/repo", local_remote())
    write(
        repo,
        {
            f"data/{NAME}.csv.dvc": f"outs:\n- md5: {hashlib.md5(table).hexdigest()}\n  size: {len(table)}\n  path: {NAME}.csv\n",
            f"data/{NAME}.dvc": f"outs:\n- md5: {folder}\n  size: 1\n  nfiles: 2\n  path: {NAME}\n",
            "data/.gitignore": f"/{NAME}.csv\n/{NAME}\n",
        },
    )
    write(repo.parent / "remote", {f"{name[:2]}/{name[2:]}": content for name, content in stored.items()})
    bench.commit(repo)
    project = bench.folder("original/project")
    bench.ok(ours, project, "init")
    done = json.loads(bench.ok(ours, project, "dataset", "import", "../repo", "--json").out)
    bench.checks.equal("rows that are new", done["rows_new"], 2)
    bench.ok(ours, project, "dataset", "validate")
    bench.clean("original: after the import", repo)
    bench.checks.equal("original: git sees no change", bench.git(repo, "status", "--porcelain"), "")


def bitmap(shade):
    """A Windows bitmap of 64 by 40 pixels; with a zero byte, so that DVC 2 takes it for no text."""
    pixels = bytes((value + shade * 40) % 256 for value in PIXELS)[: 64 * 40 * 3]
    sizes = (54 + len(pixels)).to_bytes(4, "little")
    header = b"BM" + sizes + bytes(4) + (54).to_bytes(4, "little") + (40).to_bytes(4, "little")
    header += (64).to_bytes(4, "little") + (40).to_bytes(4, "little") + (1).to_bytes(2, "little")
    header += (24).to_bytes(2, "little") + bytes(24)
    return header + pixels


CASES = [daily, original]
