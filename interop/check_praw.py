"""PRAW, the client that most people use for Reddit, takes `natureddit sandbox` for Reddit."""

import json
import math
import subprocess
import time
import urllib.request

import praw
import prawcore
from prawcore import exceptions

from project import Checks, Project

POSTS = 1300
LISTING_MAX = 1000
PAGE_MAX = 100
ALL = "wildlifephotography+flowers+EarthPorn+NatureIsFuckingLit"
# The app that the simulator knows; the secret opens nothing else.
CLIENT_ID = "sandbox-client-id"
CLIENT_SECRET = "sandbox-client-secret"
USER_AGENT = "linux:org.natureddit.interop:v1 (by /u/nobody)"


def main():
    project = Project(__doc__)
    checks = Checks()
    with Sandbox(project) as sandbox, Waits(sandbox) as waits:
        check_listing(checks, sandbox)
        check_info(checks, sandbox)
        check_gallery(checks, sandbox)
        check_tokens(checks, sandbox)
        check_limits(checks, sandbox, waits)
        check_errors(checks, sandbox)
    checks.end()


class Sandbox:
    """`natureddit sandbox` on a free port while the `with` block runs."""

    def __init__(self, project):
        self.project = project

    def __enter__(self):
        command = [self.project.program, "sandbox", "--port", "0", "--seed", "7", "--posts", str(POSTS), "--json"]
        self.process = subprocess.Popen(
            command, cwd=self.project.folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
        )
        printed = ""
        for line in self.process.stdout:
            printed += line
            try:
                self.url = json.loads(printed)["url"]
                break
            except json.JSONDecodeError:
                continue
        else:
            raise SystemExit(f"error: `natureddit sandbox` ended with {self.process.wait()}")
        self.truth = self.ask("/_sim/truth.json")
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(timeout=30)

    def ask(self, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(urllib.request.Request(self.url + path, data=data), timeout=60) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def plan(self, path, action, nth=1, times=1):
        self.ask("/_sim/script", {"faults": [{"path_contains": path, "nth": nth, "times": times, "do": action}]})

    def requests(self):
        """What was asked for since this was called last."""
        log = self.ask("/_sim/log")
        fresh = [entry for entry in log if entry["number"] > getattr(self, "seen", 0)]
        self.seen = log[-1]["number"] if log else 0
        return fresh

    def reddit(self, secret=CLIENT_SECRET):
        return praw.Reddit(
            client_id=CLIENT_ID,
            client_secret=secret,
            user_agent=USER_AGENT,
            oauth_url=self.url,
            reddit_url=self.url,
            check_for_updates=False,
        )

    def listed(self):
        """The names of all posts that a listing has, newest first."""
        return [post["id"] for post in reversed(self.truth["posts"]) if post["is_listed"]]


class Waits:
    """Puts the simulator's time in the place of waiting: nobody sleeps, and every wait is kept."""

    def __init__(self, sandbox):
        self.sandbox = sandbox
        self.seconds = []

    def __enter__(self):
        self.sleep, time.sleep = time.sleep, self.wait
        return self

    def __exit__(self, *_):
        time.sleep = self.sleep

    def wait(self, seconds):
        self.seconds.append(seconds)
        self.sandbox.ask(f"/_sim/clock?advance={math.ceil(seconds)}")


def check_listing(checks, sandbox):
    reddit = sandbox.reddit()
    checks.true("an app without a user only reads", reddit.read_only)
    sandbox.requests()
    posts = list(reddit.subreddit(ALL).new(limit=None))
    found = [post.id for post in posts]
    checks.equal("/new: as many as the cap", len(found), LISTING_MAX)
    checks.equal("/new: the newest, in their order", found, sandbox.listed()[:LISTING_MAX])
    requests = sandbox.requests()
    checks.equal("/new: one token", [r["method"] for r in requests].count("POST"), 1)
    checks.equal("/new: pages", len(requests) - 1, LISTING_MAX // PAGE_MAX)
    checks.true("/new: PRAW asks for more than a page holds", "limit=1024" in requests[1]["path"])
    checks.true("the user agent arrives", all(r["user_agent"].startswith(USER_AGENT) for r in requests))

    truth = {post["id"]: post for post in sandbox.truth["posts"]}
    for post in posts:
        expected = truth[post.id]
        checks.equal(f"{post.id}: title", post.title, expected["title"])
        checks.equal(f"{post.id}: created_utc", post.created_utc, expected["created_utc"])
        checks.equal(f"{post.id}: subreddit", post.subreddit.display_name, expected["subreddit"])
        checks.true(f"{post.id}: permalink", f"/comments/{post.id}/" in post.permalink)
    # What PRAW does not find in a post it fetches the whole post for.
    checks.equal("no post was asked for by itself", len(sandbox.requests()), 0)

    one = [post.id for post in reddit.subreddit("flowers").new(limit=150)]
    expected = [name for name in sandbox.listed() if truth[name]["subreddit"] == "flowers"]
    checks.equal("/r/flowers/new", one, expected[:150])


def check_info(checks, sandbox):
    reddit = sandbox.reddit()
    names = [f"t3_{post['id']}" for post in sandbox.truth["posts"]][:250]
    asked = names[200:] + ["t3_zzzzzz"] + names[:200]
    list(reddit.subreddit("flowers").new(limit=1))
    sandbox.requests()
    found = [post.fullname for post in reddit.info(fullnames=asked)]
    checks.equal("info: the order asked for, without what is unknown", found, [n for n in asked if n in names])
    checks.equal("info: 100 names a request", len(sandbox.requests()), math.ceil(len(asked) / PAGE_MAX))


def check_gallery(checks, sandbox):
    reddit = sandbox.reddit()
    gallery = next(post for post in sandbox.truth["posts"] if post.get("photos", 0) > 1)
    for post in [
        reddit.submission(gallery["id"]),
        reddit.submission(url=f"https://www.reddit.com/gallery/{gallery['id']}"),
    ]:
        checks.true("gallery: is_gallery", post.is_gallery)
        media = [post.media_metadata[item["media_id"]] for item in post.gallery_data["items"]]
        valid = [one for one in media if one["status"] == "valid"]
        checks.equal("gallery: photos", len(valid), gallery["photos"])
        for one in valid:
            checks.true("gallery: a signed address", one["s"]["u"].startswith("https://preview.redd.it/"))
            checks.true("gallery: not escaped", "&amp;" not in one["s"]["u"] and "&s=" in one["s"]["u"])
            checks.equal("gallery: kind", (one["e"], one["m"]), ("Image", "image/jpg"))
        checks.equal("gallery: no comments", len(post.comments), 0)


def check_tokens(checks, sandbox):
    reddit = sandbox.reddit()
    sandbox.requests()
    sandbox.plan("/new", "revoke", nth=4)
    found = [post.id for post in reddit.subreddit(ALL).new(limit=None)]
    checks.equal("401 in the middle: nothing is lost", found, sandbox.listed()[:LISTING_MAX])
    statuses = [r["status"] for r in sandbox.requests() if r["method"] == "GET"]
    checks.equal("401 in the middle: asked again", statuses.count(401), 1)

    sandbox.ask("/_sim/clock?advance=90000")
    checks.equal("a token that ended", len(list(reddit.subreddit("flowers").new(limit=3))), 3)
    checks.equal("scopes", reddit.auth.scopes(), {"*"})
    installed = sandbox.reddit(secret=None)
    checks.equal("an installed app", len(list(installed.subreddit("flowers").new(limit=3))), 3)
    try:
        list(sandbox.reddit(secret="wrong").subreddit("flowers").new(limit=3))
        checks.true("a wrong secret is refused", False)
    except exceptions.ResponseException as error:
        checks.equal("a wrong secret", error.response.status_code, 401)


def check_limits(checks, sandbox, waits):
    reddit = sandbox.reddit()
    new = reddit.subreddit("flowers").new
    list(new(limit=1))
    limits = reddit.auth.limits
    checks.equal("used and remaining", limits["used"] + limits["remaining"], 1000)

    headers = {
        "content-type": "application/json; charset=UTF-8",
        "x-ratelimit-used": "1000",
        "x-ratelimit-remaining": "0.0",
        "x-ratelimit-reset": "42",
    }
    empty = {"kind": "Listing", "data": {"after": None, "dist": 0, "children": []}}
    sandbox.plan("/new", {"answer": {"code": 200, "headers": headers, "body": json.dumps(empty)}})
    checks.equal("an empty listing", list(new(limit=1)), [])
    waits.seconds.clear()
    checks.equal("after it", len(list(new(limit=1))), 1)
    checks.true(f"waits until the reset: {waits.seconds}", any(40 < wait <= 42 for wait in waits.seconds))


def check_errors(checks, sandbox):
    reddit = sandbox.reddit()
    list(reddit.subreddit("flowers").new(limit=1))

    def error(what, expected, count, subreddit="flowers"):
        sandbox.requests()
        try:
            found = list(reddit.subreddit(subreddit).new(limit=1))
            checks.equal(what, found, expected)
        except prawcore.PrawcoreException as error:
            checks.equal(what, type(error).__name__, expected)
        checks.equal(f"{what}: requests", len(sandbox.requests()), count)

    error("a private subreddit", "Forbidden", 1, "private_club")
    error("a banned subreddit", "NotFound", 1, "banned_club")
    error("no such subreddit", "Redirect", 1, "nosuchsubreddit")
    for name, action in {
        "429 as a page": {"too_many_page": {"retry_after": 4}},
        "429 as JSON": "too_many_json",
        "429 with headers only": {"too_many_headers": {"reset": 42}},
    }.items():
        sandbox.plan("/new", action)
        error(name, "TooManyRequests", 1)
    for status in [500, 502, 503, 504, 520, 522]:
        sandbox.plan("/new", {"status": {"code": status}}, times=3)
        error(f"{status} three times", "ServerError", 3)
    sandbox.plan("/new", {"status": {"code": 451}})
    error("451", "UnavailableForLegalReasons", 1)
    sandbox.plan("/new", "malformed_json")
    error("JSON without its end", "BadJSON", 1)
    sandbox.plan("/new", "html")
    error("a web page", "BadJSON", 1)
    sandbox.plan("/new", "empty")
    error("no byte", [], 1)
    for action in ["reset", "truncated"]:
        sandbox.plan("/new", action, times=3)
        error(action, "RequestException", 3)
    sandbox.plan("/new", {"status": {"code": 503}}, times=2)
    checks.equal("503 twice", len(list(reddit.subreddit("flowers").new(limit=1))), 1)


if __name__ == "__main__":
    main()
