"""Gives a model archive to the real TorchServe and compares its labels with those of `natureddit predict`. On demand: it needs
Java and PyTorch."""

import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

import requests

from project import MODEL, Checks, Project

POSTS = 24
START_SECONDS_MAX = 180
STOP_SECONDS_MAX = 30
# Pillow and we round differently: below it two classes are as good as equal.
MARGIN_MIN = 4e-2


def main():
    if shutil.which("java") is None:
        sys.exit("error: TorchServe needs Java\nhint: install Java 11 or newer, such as openjdk-17-jre-headless")
    project = Project(__doc__)
    checks = Checks()
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        store = scratch / "store"
        store.mkdir()
        project.run_json("model", "archive", "--out", str(store / f"{MODEL}.mar"))
        with TorchServe(scratch) as server:
            compare(project, checks, server)
    checks.end()


def compare(project, checks, server):
    decided = 0
    for post in project.posts()[:POSTS]:
        photo = project.photo(post)
        for title, image in [(post["title"], photo), (post["title"], None), (None, photo)]:
            words = (["--text", title] if title else []) + (["--image", str(image)] if image else [])
            ours = project.run_json("predict", *words)
            first, second = sorted(ours["probabilities"].values(), reverse=True)[:2]
            answer = server.predict(title, image)
            what = f"{post['id']} {'title ' if title else ''}{'photo' if image else ''}"
            checks.equal(f"{what}: status", answer.status_code, 200)
            if first - second > MARGIN_MIN:
                decided += 1
                checks.equal(f"{what}: label", answer.text, ours["label"])
    checks.true(f"{decided} posts are decided", decided > POSTS)
    checks.equal("nothing: status", server.predict(None, None).status_code, 400)
    answer = server.session.get(f"{server.url(8081)}/models/{MODEL}", timeout=60)
    checks.equal("described", answer.json()[0]["modelName"], MODEL)


class TorchServe:
    """A real one with one worker, in a folder of its own, on free ports, while the `with` block runs."""

    def __init__(self, folder):
        self.folder = folder
        self.ports = {name: free_port() for name in (8080, 8081, 8082, 7070, 7071)}
        self.session = requests.Session()
        self.session.trust_env = False
        settings = [f"{name}_address={self.url(port)}" for name, port in ADDRESSES.items()]
        settings += [f"grpc_inference_port={self.ports[7070]}", f"grpc_management_port={self.ports[7071]}"]
        settings += ["default_workers_per_model=1", "disable_token_authorization=true", "install_py_dep_per_model=false"]
        (folder / "config.properties").write_text("\n".join(settings) + "\n")

    def url(self, usual_port):
        return f"http://127.0.0.1:{self.ports[usual_port]}"

    def __enter__(self):
        program = pathlib.Path(sys.executable).with_name("torchserve")
        command = [program, "--start", "--foreground", "--ncs", "--model-store", "store", "--models", f"{MODEL}={MODEL}.mar"]
        # Its launcher looks for python and Java in the path.
        environment = {**os.environ, "PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}"}
        self.log = open(self.folder / "torchserve.log", "wb")
        self.process = subprocess.Popen(
            [*command, "--ts-config", "config.properties"],
            cwd=self.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=self.log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        deadline = time.monotonic() + START_SECONDS_MAX
        while not self.answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.__exit__()
                sys.exit(f"error: TorchServe does not answer\n{self.log_end()}")
            time.sleep(0.5)
        return self

    def answers(self):
        """Whether the worker has loaded the model."""
        try:
            return self.predict("a red fox", None).status_code == 200
        except requests.ConnectionError:
            return False

    def predict(self, title, photo):
        parts = {}
        if title is not None:
            parts["text"] = (None, title.encode())
        if photo is not None:
            parts["image"] = (photo.name, photo.read_bytes())
        # A form needs a part.
        parts = parts or {"other": (None, b"x")}
        return self.session.post(f"{self.url(8080)}/predictions/{MODEL}", files=parts, timeout=120)

    def log_end(self):
        return (self.folder / "torchserve.log").read_text(errors="replace")[-4000:]

    def __exit__(self, *_):
        # The launcher, Java and the workers are one group, which nobody else is in.
        try:
            os.killpg(self.process.pid, signal.SIGTERM)
            self.process.wait(timeout=STOP_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        except ProcessLookupError:
            pass
        self.log.close()


ADDRESSES = {"inference": 8080, "management": 8081, "metrics": 8082}


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


if __name__ == "__main__":
    main()
