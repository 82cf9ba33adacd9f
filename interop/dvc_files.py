"""What is written in a repository: `.dvc` files, lists of folders, `.gitignore`, links; and what `status` tells."""

import hashlib
import io
import json
import os
import re

from dvc_tools import local_remote, objects, objects_of, pointers, present, tree, write
from ruamel.yaml import YAML

# A folder whose names sort differently by code point, by locale and by folder.
FOLDER = {
    "data/imgs/a.jpg": "hello",
    "data/imgs/a-b.jpg": "dash",
    "data/imgs/a/b.jpg": "in a folder",
    "data/imgs/Z.jpg": "world",
    "data/imgs/sub-x": "x",
    "data/imgs/sub/c.jpg": "hello",
    "data/imgs/sub/.hidden/d": "d",
    "data/imgs/.hid": "hi",
    "data/imgs/run.sh": "#!/bin/sh\n",
    "data/imgs/crlf.txt": "l1\r\nl2\r\n",
    "data/imgs/empty": "",
    'data/imgs/Ünï/é "q".jpg': "up",
    "data/imgs/back\\slash": "b",
    "data/imgs/tab\tt": "t",
    "data/imgs/e\u0301": "two code points",
    "data/imgs/\xe9": "one code point",
    "data/imgs/\U0001f98a.jpg": "beyond the Basic Multilingual Plane",
    "data/imgs/\uff5e.jpg": "before it by code point, after it by UTF-16",
    "data/imgs/\x7f": "delete",
    "data/imgs/\u2028": "line separator",
    "data/x.csv": "a,b\n1,2\n",
    "data/run.csv": "a,b\n1,3\n",
    "data/crlf.csv": "a,b\r\n1,3\r\n",
    "data/none.csv": "",
}
EXECUTABLE = {"data/imgs/run.sh", "data/run.csv"}
TARGETS = ["data/imgs", "data/x.csv", "data/run.csv", "data/crlf.csv", "data/none.csv"]
# Names that YAML has to quote, or not although they look like it, and that .gitignore has to escape.
NAMES = (
    "a: b|123|true|null|~|1.5|1e3|0x1f|2022-05-01|x #y|@at|- z|tab\tt|'q'|\"dq\"|back\\slash| lead|trail |yes|off|=|<<"
    "|a,b|{x}|[y]|%p|`t`|&a|*s|!t|pipe>g|>g|?q|? k|:c|-|---|#h|key:|star*|br[1]|q?|-x|1_000|0o17|017|1:30|No|y|n|Null"
    "|TRUE|it's|a\"b|trail\\|a  b|{|}|]|[|,|a]|a}|é \"q\".jpg"
    "|ünï|\U0001f98a|\xa0nbsp|\u200b|\ufeffbom|\x01ctl|\x7fdel"
    "|a long name with spaces that goes well beyond the eighty columns where a writer breaks its lines.bin"
    "|alongnamewithoutspacesthatgoeswellbeyondtheeightycolumnswhereawriterwouldbreakitslinesifitcould.bin"
    "|eighty columns would end within this name, just at a place that  has two spaces, or  more"
).split("|")


def same_files(bench):
    """The same folder and files, added, added again, changed and added again."""
    ours, theirs = pair(bench, "same", FOLDER, EXECUTABLE)
    (ours / "data/imgs/hollow/inner").mkdir(parents=True)
    (theirs / "data/imgs/hollow/inner").mkdir(parents=True)
    both(bench, ours, theirs, "add", *TARGETS)
    same_repos(bench, "added", ours, theirs)
    cross_status(bench, "added", ours, theirs)
    before = pointers(ours)
    bench.ok(bench.ours, ours, "add", *TARGETS)
    bench.same("added again with nothing changed", pointers(ours), before)

    for repo in (ours, theirs):
        write(repo, {"data/imgs/new.jpg": "new", "data/imgs/sub/c.jpg": "changed", "data/x.csv": "a,b\n"})
        (repo / "data/imgs/a.jpg").unlink()
        (repo / "data/run.csv").chmod(0o644)
    both(bench, ours, theirs, "add", *TARGETS)
    same_repos(bench, "added after a change", ours, theirs)
    bench.clean("ours after a change", ours, bench.theirs)
    bench.clean("theirs after a change", theirs, bench.ours)
    data_status = [json.loads(bench.ok(bench.theirs, repo, "data", "status", "--json").out) for repo in (ours, theirs)]
    bench.checks.equal("data status of ours", data_status[0], data_status[1])


def hard_names(bench):
    """Names that YAML must quote and .gitignore must escape."""
    files = {f"names/{name}": f"of {name}" for name in NAMES}
    ours, theirs = pair(bench, "names", files)
    both(bench, ours, theirs, "add", *files)
    same_repos(bench, "names", ours, theirs)
    bench.clean("names, theirs", theirs, bench.ours)
    bench.report(ours, "add", *files)


def from_below(bench):
    """Targets that are given from another folder, with a slash behind them, or as absolute paths; and folders that
    hold nothing or something in a tracked folder."""
    files = {"data/ds/a": "a", "data/ds/sub/b": "b", "data/one": "1", "data/two": "2"}
    ours, theirs = pair(bench, "below", files)
    for repo in (ours, theirs):
        (repo / "data/hollow").mkdir()
        (repo / "empty").mkdir()
    both(bench, ours / "data", theirs / "data", "add", "ds/", "./one", "../empty", "hollow")
    bench.ok(bench.ours, ours / "empty", "add", ours / "data/two")
    bench.ok(bench.theirs, theirs / "empty", "add", theirs / "data/two")
    same_repos(bench, "from below", ours, theirs)
    for repo in (ours, theirs):
        write(repo, {"data/ds/n": "n", "data/ds/m": "m", "data/ds/a": "changed"})
    both(bench, ours, theirs, "add", "data/ds/n")
    same_repos(bench, "one file of a tracked folder", ours, theirs)
    bench.changed("one file of a tracked folder", ours)


def gitignore_upkeep(bench):
    """What is ignored already, and a .gitignore whose last line has no end."""
    files = {"data/.gitignore": "*.log\n/other", "data/x.log": "x", "data/a.csv": "a", "top.bin": "t"}
    ours, theirs = pair(bench, "gitignore", files)
    both(bench, ours, theirs, "add", "data/a.csv", "data/x.log", "top.bin")
    same_repos(bench, "gitignore", ours, theirs)


def refusals(bench):
    """What the real tool refuses, ours refuses, and neither leaves a trace."""
    files = {"data/ds/a": "a", "scm.txt": "s", "z.log": "z", ".gitignore": "*.log.dvc\n"}
    repo = bench.repo("refusals/ours")
    write(repo, files)
    (bench.root / "refusals/outside.txt").write_text("o")
    bench.git(repo, "add", "scm.txt", ".gitignore")
    bench.git(repo, "commit", "-qm", "scm")
    bench.ok(bench.ours, repo, "add", "data/ds")
    for target in ("nosuch", "data", "data/ds.dvc", "../outside.txt", "scm.txt", "z.log", "."):
        bench.refused(bench.ours, repo, "add", target)
        bench.refused(bench.theirs, repo, "add", target)


def changes_are_seen(bench):
    """A change, an added and a removed file, by both tools."""
    repo = bench.repo("changes")
    write(repo, {"ds/a": "a", "ds/b": "b", "one": "1"})
    bench.ok(bench.ours, repo, "add", "ds", "one")
    bench.clean("nothing changed", repo)
    bench.report(repo, "status")

    def change(what, undo, **files):
        write(repo, {name.replace("_", "/"): data for name, data in files.items()})
        bench.changed(what, repo)
        undo()
        bench.clean(f"{what}, taken back", repo, bench.ours)

    change("a changed file", lambda: write(repo, {"ds/a": "a"}), ds_a="c")
    change("an added file", (repo / "ds/new").unlink, ds_new="n")
    change("a changed single file", lambda: write(repo, {"one": "1"}), one="2")
    (repo / "ds/b").unlink()
    change("a removed file", lambda: write(repo, {"ds/b": "b"}))
    (repo / "one").unlink()
    change("a removed single file", lambda: write(repo, {"one": "1"}))
    (repo / "ds/b").rename(repo / "ds/c")
    change("a renamed file", lambda: (repo / "ds/c").rename(repo / "ds/b"))


COMMENTED = """\
# What this is.
desc: photos of the week   # behind it
meta:
  source: reddit
  list: [1, two, three]
outs:
# Before the entry.
- path: ds   # the folder
  md5: 00000000000000000000000000000000.dir
  size: 1
  nfiles: 1
  hash: md5
  desc: an entry
  labels:
  - nature
  - '42'
  type: images
  meta: {a: b}
# At the end.
"""
# What a person may write, and the real tool writes in another way: ours may leave it as it is.
BY_HAND = {
    "quotes": COMMENTED.replace("'42'", '"42"').replace("photos of the week", "'photos of the week'"),
    "indented": COMMENTED.replace("  - nature\n  - '42'", "      - nature\n      - '42'"),
    "not-frozen": COMMENTED.replace("outs:", "frozen: false\nouts:"),
    "blank-lines": "outs:\n    - md5: 00000000000000000000000000000000.dir\n      path: ds\n      hash: md5\n\n\n",
}


def comments_stay(bench):
    """Comments, descriptions and metadata of a `.dvc` file that is written anew."""
    as_written = {
        "comments": COMMENTED,
        "more-keys": COMMENTED.replace("  type:", "  remote: origin\n  persist: true\n  type:"),
        "wdir": "wdir: sub\nouts:\n- md5: 00000000000000000000000000000000.dir\n  path: ds\n",
    }
    for name, text in (as_written | BY_HAND).items():
        below = "sub/ds" if name == "wdir" else "ds"
        ours, theirs = pair(bench, name, {"ds.dvc": text, ".gitignore": "/ds\n", f"{below}/a": "a", f"{below}/b": "b"})
        both(bench, ours, theirs, "add", below)
        if name in as_written:
            bench.same(f"{name}: the .dvc file", pointers(ours), pointers(theirs))
        else:
            bench.same(f"{name}: what the .dvc file says", said(ours / "ds.dvc"), said(theirs / "ds.dvc"))


def said(pointer):
    """What a `.dvc` file says, and its comments."""
    text = pointer.read_text()
    values = YAML(typ="safe").load(io.StringIO(text))
    if not values.get("frozen"):
        values.pop("frozen", None)
    return values | {"comments": re.findall(r"#.*", text)}


def legacy(bench):
    """A repository of DVC 2 is pulled, added again, changed, upgraded and pushed."""
    ours, theirs = legacy_pair(bench)
    both(bench, ours, theirs, "pull")
    bench.same("legacy: pulled", tree(ours / "data"), tree(theirs / "data"))
    bench.same("legacy: cache", objects_of(ours), objects_of(theirs))
    before = pointers(ours)
    bench.clean("legacy: pulled", ours)
    both(bench, ours, theirs, "add", "data/x.csv", "data/ds")
    bench.same("legacy: added unchanged", pointers(ours), before)
    bench.same("legacy: cache after adding unchanged", objects_of(ours), objects_of(theirs))
    for repo in (ours, theirs):
        write(repo, {"data/ds/b.jpg": "more", "data/x.csv": "a,b\r\n1,3\r\n"})
    both(bench, ours, theirs, "add", "data/ds", "data/x.csv")
    bench.same("legacy: upgraded", pointers(ours), pointers(theirs))
    # The real tool leaves the new list in the old place too, where nothing looks for it.
    bench.same("legacy: cache of the upgraded", *[newest(objects_of(repo)) for repo in (ours, theirs)])
    both(bench, ours, theirs, "push")
    remotes = [present(objects(repo.parent / "remote")) for repo in (ours, theirs)]
    bench.same("legacy: remote after the push", *remotes)
    bench.clean("legacy: upgraded", ours)
    bench.clean("legacy: upgraded by theirs", theirs, bench.ours)


def newest(found):
    """Those in the layout of DVC 3."""
    return {name: value for name, value in found.items() if name.startswith("files/")}


def legacy_pair(bench):
    """As captured of DVC 2: no `hash`, objects beside each other, line ends of text not told apart."""
    texts = {"a.jpg": "world", "notes.txt": "l1\r\nl2\r\n", "bin": b"\x00\r\n\x00"}
    listing, stored = [], {}
    for name, text in sorted(texts.items()):
        data = text if isinstance(text, bytes) else text.encode()
        hashed = data if b"\0" in data else data.replace(b"\r\n", b"\n")
        digest = hashlib.md5(hashed).hexdigest()
        listing.append({"md5": digest, "relpath": name})
        stored[digest] = data
    data = json.dumps(listing, sort_keys=True).encode()
    folder = hashlib.md5(data).hexdigest() + ".dir"
    table = hashlib.md5(b"a,b\n1,2\n").hexdigest()
    stored |= {folder: data, table: b"a,b\r\n1,2\r\n"}
    size = sum(len(text) for text in texts.values())
    repos = []
    for side in ("ours", "theirs"):
        repo = bench.repo(f"legacy/{side}/repo")
        write(
            repo,
            {
                "data/x.csv.dvc": f"outs:\n- md5: {table}\n  size: 10\n  isexec: true\n  path: x.csv\n",
                "data/ds.dvc": f"outs:\n- md5: {folder}\n  size: {size}\n  nfiles: {len(texts)}\n  path: ds\n",
                "data/.gitignore": "/x.csv\n/ds\n",
            },
        )
        write(repo.parent / "remote", {f"{name[:2]}/{name[2:]}": data for name, data in stored.items()})
        bench.commit(repo)
        repos.append(repo)
    return repos


IGNORED = """\
# A comment.
*.tmp
!keep.tmp
build/
/ds/rooted.txt
ds/**/deep/x?
sub/*.log
\\#hash
\\!bang
[ab]1
sp ace
"""


def dvcignore(bench):
    """Patterns, what they let through again, folders only, and what lies in a folder's own .dvcignore."""
    names = (
        "a.tmp|keep.tmp|build/x|sub/build|rooted.txt|sub/rooted.txt|sub/deep/x1|sub/deep/x22|sub/a.log|sub/sub/a.log"
        "|#hash|!bang|a1|b1|c1|sp ace|other|.git/config|sub/.dvc/x|nested.bin|plain.bin|.gitignore"
    ).split("|")
    files = {f"ds/{name}": name for name in names if not name.startswith(".git/")}
    files |= {".dvcignore": IGNORED, "one.tmp": "1", "top/.dvcignore": "*.bin\n!ok.bin\n"}
    files |= {"top/ds/x.bin": "x", "top/ds/ok.bin": "ok", "top/ds/y": "y"}
    ours, theirs = pair(bench, "dvcignore", files)
    both(bench, ours, theirs, "add", "ds", "top/ds")
    same_repos(bench, "dvcignore", ours, theirs)
    for repo in (ours, theirs):
        write(repo, {"ds/b.tmp": "not looked at"})
    bench.clean("an ignored file was added", ours)
    for tool, repo in ((bench.ours, ours), (bench.theirs, theirs)):
        bench.refused(tool, repo, "add", "one.tmp")
        write(repo, {"within/.dvcignore": "*.x\n", "within/a": "a"})
        bench.refused(tool, repo, "add", "within")


def autostage(bench):
    """With `core.autostage`, what `add` writes is staged."""
    files = {"data/ds/a": "a", "data/x.csv": "x", "unrelated.txt": "u"}
    ours, theirs = pair(bench, "autostage", files, config=local_remote("    autostage = true\n"))
    both(bench, ours, theirs, "add", "data/ds", "data/x.csv")
    for words in (["status", "--porcelain"], ["ls-files", "--stage"]):
        bench.checks.equal(f"git {words[0]}", bench.git(ours, *words), bench.git(theirs, *words))
    for repo in (ours, theirs):
        bench.git(repo, "commit", "-qm", "more")
        write(repo, {"data/ds/b": "b"})
    both(bench, ours, theirs, "add", "data/ds")
    found, expected = [bench.git(repo, "status", "--porcelain") for repo in (ours, theirs)]
    bench.checks.equal("git status after a change", found, expected)


def symbolic_links(bench):
    """Links in a folder that is added are followed."""
    ours, theirs = pair(bench, "symbolic", {"ds/a": "a", "elsewhere/b": "b", "ds/sub/c": "c"})
    for repo in (ours, theirs):
        (repo / "ds/to-a").symlink_to("a")
        (repo / "ds/to-b").symlink_to("../elsewhere/b")
    both(bench, ours, theirs, "add", "ds")
    same_repos(bench, "symbolic links", ours, theirs)


def cache_links(bench):
    """`cache.type`: the same kind of links, with the same permissions."""
    files = {"ds/a": "a", "ds/sub/b": "b" * 5000, "ds/empty": "", "one": "1", "run": "r"}
    for kind in ("hardlink", "symlink", "copy", "reflink,hardlink,copy"):
        config = local_remote() + f"[cache]\n    type = {kind}\n"
        ours, theirs = pair(bench, f"links-{kind}", files, {"run"}, config)
        both(bench, ours, theirs, "add", "ds", "one", "run")
        bench.same(f"{kind}: added", links(ours, is_exact=False), links(theirs, is_exact=False))
        if kind == "copy":
            continue
        both(bench, ours, theirs, "push")
        pulled = []
        for tool, repo in ((bench.ours, ours), (bench.theirs, theirs)):
            bench.commit(repo)
            clone = bench.clone(repo, repo.with_name("clone").relative_to(bench.root))
            bench.ok(tool, clone, "pull")
            pulled.append(clone)
        bench.same(f"{kind}: pulled", *map(links, pulled))
        bench.same(f"{kind}: cache", *map(objects_of, pulled))
        bench.clean(f"{kind}: pulled by ours", pulled[0])


def links(repo, is_exact=True):
    """How each tracked file is tied to its object, and its permissions, or only whether its owner may run it: the
    real tool takes that from the group and all others when it adds a file."""
    cached = {path.stat().st_ino for path in (repo / ".dvc/cache").rglob("*") if path.is_file()}
    found = {}
    for path in [repo / "one", repo / "run", *(repo / "ds").rglob("*")]:
        if path.is_dir():
            continue
        kind = "symlink" if path.is_symlink() else "hardlink" if path.stat().st_ino in cached else "copy"
        mode = path.stat().st_mode
        found[path.relative_to(repo).as_posix()] = (kind, oct(mode if is_exact else mode & 0o300), path.read_bytes())
        if kind == "symlink":
            target = os.path.relpath(os.path.realpath(path), os.path.realpath(repo))
            found[path.relative_to(repo).as_posix()] += (os.path.isabs(os.readlink(path)), target)
    return found


def garbage(bench):
    """`gc` removes the same objects, whatever is to be kept."""
    base = bench.repo("gc/base/repo")
    for number, where in enumerate(["first", "tagged", "branch", "workspace"]):
        write(base, {"ds/all": "in all", "ds/of": where, "one": where * 2})
        bench.ok(bench.ours, base, "add", "ds", "one")
        bench.ok(bench.ours, base, "push")
        if where == "branch":
            bench.git(base, "checkout", "-q", "-b", "side")
        if where != "workspace":
            bench.commit(base, where)
        if where == "tagged":
            bench.git(base, "tag", "v1")
        if where == "branch":
            bench.git(base, "checkout", "-q", "main")
    bench.refused(bench.ours, base, "gc")
    bench.refused(bench.theirs, base, "gc")
    everything = objects_of(base)
    bench.report(base, "gc", "--workspace", "--dry-run")
    bench.same("gc --dry-run", objects_of(base), everything)
    for words in (["-w"], ["-w", "-a"], ["-w", "-T"], ["-w", "-A", "-c"], ["-w", "-c"]):
        long = {"-w": "--workspace", "-a": "--all-branches", "-T": "--all-tags", "-A": "--all-commits", "-c": "--cloud"}
        name = "gc/" + "".join(words).replace("-", "")
        ours, theirs = [bench.copy(base.parent, f"{name}-{side}") / "repo" for side in ("ours", "theirs")]
        bench.ok(bench.ours, ours, "gc", *[long[word] for word in words], "--force")
        bench.ok(bench.theirs, theirs, "gc", *words, "-f")
        bench.same(f"gc {' '.join(words)}: cache", objects_of(ours), objects_of(theirs))
        remotes = [objects(repo.parent / "remote") for repo in (ours, theirs)]
        bench.same(f"gc {' '.join(words)}: remote", *remotes)
        removed = len(everything) - len(objects_of(theirs))
        bench.checks.true(f"gc {' '.join(words)} removes some", removed > 0 or "-A" in words)
    bench.clean("gc", ours)


def pair(bench, name, files, executable=(), config=""):
    """Two repositories with the same files, one for each tool; each has a remote of its own beside it."""
    repos = []
    for side in ("ours", "theirs"):
        repo = bench.repo(f"{name}/{side}/repo", config)
        write(repo, files, executable)
        repos.append(repo)
    return repos


def both(bench, ours, theirs, *words):
    bench.ok(bench.ours, ours, *words)
    bench.ok(bench.theirs, theirs, *words)


def same_repos(bench, what, ours, theirs):
    bench.same(f"{what}: .dvc files and .gitignore", pointers(ours), pointers(theirs))
    bench.same(f"{what}: cache", objects_of(ours), objects_of(theirs))
    bench.same(f"{what}: files", *[{k: v for k, v in tree(r).items() if k[:5] != ".dvc/"} for r in (ours, theirs)])


def cross_status(bench, what, ours, theirs):
    bench.clean(f"{what} by ours", ours)
    bench.clean(f"{what} by theirs", theirs, bench.ours)


CASES = [
    same_files,
    hard_names,
    from_below,
    gitignore_upkeep,
    refusals,
    changes_are_seen,
    comments_stay,
    legacy,
    dvcignore,
    autostage,
    symbolic_links,
    cache_links,
    garbage,
]
