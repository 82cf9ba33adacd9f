"""A real MLflow server shows our runs, and the real client loads our model from it; nothing is lost or there twice."""

import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import warnings

import mlflow
import numpy
from mlflow.entities import ViewType

from mlflow_server import MlflowServer, Proxy
from project import MODEL, Checks, Project

TOLERANCE = 1e-5
EXPERIMENT = "natureddit"
# Twice for each of so many requests of a run that is sent, the program is ended, and the connection broken.
STEP_OF_REQUESTS = 3
# Ends the lines of natureddit.toml that are written here.
OF_THIS_CHECK = "# of the check with MLflow"


def main():
    project = Project(__doc__)
    checks = Checks()
    warnings.simplefilter("ignore")
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        with MlflowServer(folder) as server:
            copy = Copy(project, folder / "project")
            client = mlflow.MlflowClient(server.url, server.url)
            mlflow.set_tracking_uri(server.url)
            check_first_run(checks, copy, client, server)
            check_model(checks, copy)
            check_failed_run(checks, copy, client, server)
            check_server_that_stops(checks, copy, client, server)
            check_kills(checks, copy, client, server)
            check_prefix(checks, copy, client, server)
        check_password(checks, copy, folder / "with-password")
    checks.end()


class Copy:
    """A copy of the project, for its runs must be its own."""

    def __init__(self, project, folder):
        self.program = project.program
        self.folder = folder
        shutil.copytree(project.folder, folder, symlinks=True)
        # The runs of the demo were made without a server, and a model that is blessed and pushed is to be made here.
        shutil.rmtree(folder / "pipeline" / "tracking", ignore_errors=True)
        shutil.rmtree(folder / "models", ignore_errors=True)

    def command(self, *words, uri, **environment):
        clean = {key: value for key, value in os.environ.items() if not key.startswith("MLFLOW_")}
        clean |= {"MLFLOW_TRACKING_URI": uri, "MLFLOW_EXPERIMENT_NAME": EXPERIMENT, **environment}
        return {"args": [self.program, *words], "cwd": self.folder, "env": clean, "stdin": subprocess.DEVNULL}

    def run(self, *words, uri, **environment):
        """What a command with --json prints, and its exit code."""
        command = self.command(*words, "--json", uri=uri, **environment)
        done = subprocess.run(**command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            return json.loads(done.stdout), done.returncode
        except json.JSONDecodeError:
            raise SystemExit(f"error: {words}: {done.returncode} {done.stdout[-500:]} {done.stderr[-2000:]}") from None

    def stored(self, identity):
        folder = self.folder / "pipeline" / "tracking" / "runs" / identity
        return json.loads((folder / "run.json").read_text())

    def identities(self):
        runs = self.folder / "pipeline" / "tracking" / "runs"
        return sorted(path.name for path in runs.iterdir() if not path.name.startswith("."))

    def train_again(self, uri, seed):
        """A run with another seed, and with it another model, which is pushed whatever it is worth."""
        settings = self.folder / "natureddit.toml"
        lines = [line for line in settings.read_text().splitlines() if not line.endswith(OF_THIS_CHECK)]
        for table, key in [("[trainer]", f"seed = {seed}"), ("[evaluator]", "champion_loss_max = 1.0")]:
            at = lines.index(table) if table in lines else lines.append(table) or len(lines) - 1
            lines.insert(at + 1, f"{key} {OF_THIS_CHECK}")
        settings.write_text("\n".join(lines) + "\n")
        report, code = self.run("run", uri=uri)
        if code:
            raise SystemExit(f"error: run: {report}")
        return report


def runs_of(client, view=ViewType.ACTIVE_ONLY):
    experiment = client.get_experiment_by_name(EXPERIMENT)
    return client.search_runs([experiment.experiment_id], run_view_type=view, max_results=1000) if experiment else []


def run_of(client, identity):
    """The one run of that id of ours."""
    found = [run for run in runs_of(client) if run.data.tags["natureddit.run_id"] == identity]
    return found[0] if len(found) == 1 else None


def check_whole(checks, copy, client, identity, what):
    """All that is written down here of a run is there, once."""
    run = run_of(client, identity)
    checks.true(f"{what}: there is one run {identity}", run is not None)
    if run is None:
        return None
    stored = copy.stored(identity)
    status = {"finished": "FINISHED", "failed": "FAILED", "killed": "KILLED"}[stored["status"]]
    checks.equal(f"{what}: status", run.info.status, status)
    checks.equal(f"{what}: name", run.info.run_name, stored["name"])
    checks.equal(f"{what}: times", (run.info.start_time, run.info.end_time), (stored["started_ms"], stored["ended_ms"]))
    checks.equal(f"{what}: params", run.data.params, stored["params"])
    missing = {key: value for key, value in stored["tags"].items() if run.data.tags.get(key) != value}
    checks.equal(f"{what}: tags that differ", missing, {})
    histories = {}
    for metric in stored["metrics"]:
        value = (metric["step"], metric["timestamp_ms"], float(metric["value"]))
        histories.setdefault(metric["key"], []).append(value)
    for key, expected in histories.items():
        found = sorted((m.step, m.timestamp, m.value) for m in client.get_metric_history(run.info.run_id, key))
        checks.true(f"{what}: history of {key}", numpy.array_equal(found, sorted(expected), equal_nan=True))
    for name in stored["artifacts"]:
        path = pathlib.Path(client.download_artifacts(run.info.run_id, name))
        kept = copy.folder / "pipeline" / "tracking" / "runs" / identity / "artifacts" / name
        checks.equal(f"{what}: {name}", path.read_bytes(), kept.read_bytes())
    return run


def check_first_run(checks, copy, client, server):
    report = copy.train_again(server.url, 101)
    tracked = report["tracking"]
    checks.equal("run: sent", tracked["sent"]["sent"], [tracked["id"]])
    run = check_whole(checks, copy, client, tracked["id"], "run")
    params = run.data.params
    checks.equal("param opt_lr", float(params["opt_lr"]), 0.0003)
    checks.equal("param batch_size", params["batch_size"], "64")
    checks.equal("params of encoders", (params["image_encoder"], params["text_encoder"]), ("efficientnet_lite0", "all-MiniLM-L6-v2"))
    for key in ["train_loss", "train_accuracy", "validation_loss", "validation_accuracy"]:
        history = client.get_metric_history(run.info.run_id, key)
        checks.equal(f"{key}: epochs", [m.step for m in sorted(history, key=lambda m: m.step)], list(range(1, len(history) + 1)))
        checks.true(f"{key}: of many epochs", len(history) > 5)
        inside = all(run.info.start_time <= m.timestamp <= run.info.end_time for m in history)
        checks.true(f"{key}: times are those of the run", inside)
    evaluation = report["evaluation"]["metrics"]
    for key in ["macro_f1", "accuracy", "ece"]:
        checks.equal(f"eval_{key}", run.data.metrics[f"eval_{key}"], evaluation[key])
    ends = [run.data.metrics[f"eval_macro_f1_interval_{end}"] for end in ["low", "high"]]
    checks.equal("eval_macro_f1_interval", ends, evaluation["macro_f1_interval"])
    checks.true("tag of the examples", len(run.data.tags["natureddit.examples.sha256"]) == 64)
    checks.true("no user is named", not run.info.user_id and "mlflow.user" not in run.data.tags)
    files = {file.path for file in client.list_artifacts(run.info.run_id)}
    checks.true(f"artifacts: {files}", {"evaluation.json", "training.json", "model"} <= files)
    checks.equal("pushed", report["pushed"]["version"], 1)
    version = client.get_model_version_by_alias(MODEL, "champion")
    checks.equal("the champion is of this run", version.run_id, run.info.run_id)
    again, _ = copy.run("run", uri=server.url)
    checks.equal("a run with nothing to do is not tracked", (again["tracking"]["id"], len(runs_of(client))), (None, 1))


def check_model(checks, copy):
    """`mlflow.pyfunc` and `mlflow.onnx` answer as `natureddit predict` does, on the inputs it dumps."""
    images = sorted((copy.folder / "data" / "images").iterdir())
    posts = [("A fox in the snow", images[0]), (None, images[1]), ("Wild flowers by the lake, [OC]", None)]
    model = mlflow.pyfunc.load_model(f"models:/{MODEL}@champion")
    session = open_session(mlflow.onnx.load_model(f"models:/{MODEL}@champion"))
    checks.equal("outputs", [output.name for output in session.get_outputs()], ["probabilities", "class"])
    rows = []
    for text, image in posts:
        inputs_file = copy.folder / "inputs.npz"
        words = ["predict", "--dump-inputs", str(inputs_file)]
        words += (["--text", text] if text else []) + (["--image", str(image)] if image else [])
        answer, code = copy.run(*words, uri="")
        checks.equal(f"predict {text!r} {image}: exit code", code, 0)
        expected = numpy.array(list(answer["probabilities"].values()))
        inputs = dict(numpy.load(inputs_file))
        rows.append((inputs, expected))
        found = model.predict(inputs)
        gap = numpy.abs(found["probabilities"][0] - expected).max()
        checks.true(f"pyfunc: {text!r} {image} differs by {gap}", gap <= TOLERANCE)
        checks.equal(f"pyfunc: class of {text!r} {image}", int(found["class"][0]), int(expected.argmax()))
        gap = numpy.abs(session.run(["probabilities"], inputs)[0][0] - expected).max()
        checks.true(f"onnx: {text!r} {image} differs by {gap}", gap <= TOLERANCE)
    check_batch(checks, model, rows)
    exported = copy.folder / "exported.onnx"
    report, code = copy.run("model", "export", "--version", "1", "--out", str(exported), uri="")
    checks.equal("model export: exit code", code, 0)
    downloaded = pathlib.Path(mlflow.artifacts.download_artifacts(f"models:/{MODEL}@champion/model.onnx"))
    checks.equal("the exported file is the one on the server", exported.read_bytes(), downloaded.read_bytes())
    import onnx

    onnx.checker.check_model(str(exported), full_check=True)
    checks.true("one file under 2 GB", report["bytes"] < 2**31)


def check_batch(checks, model, rows):
    """All posts at once, titles padded to the longest: each is answered as alone."""
    length = max(inputs["input_ids"].shape[1] for inputs, _ in rows)
    pad = lambda array: numpy.pad(array, ((0, 0), (0, length - array.shape[1])))
    batch = {
        "pixels": numpy.concatenate([inputs["pixels"] for inputs, _ in rows]),
        "input_ids": numpy.concatenate([pad(inputs["input_ids"]) for inputs, _ in rows]),
        "attention_mask": numpy.concatenate([pad(inputs["attention_mask"]) for inputs, _ in rows]),
    }
    gap = numpy.abs(model.predict(batch)["probabilities"] - numpy.stack([expected for _, expected in rows])).max()
    checks.true(f"pyfunc: a batch differs by {gap}", gap <= TOLERANCE)


def open_session(model):
    import onnxruntime

    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


def check_failed_run(checks, copy, client, server):
    """A run that fails is there as one."""
    labels = copy.folder / "labels" / "labels.csv"
    content = labels.read_text()
    # Without the rows of a class there is nothing to learn it from.
    labels.write_text("".join(line for line in content.splitlines(keepends=True) if ",flora" not in line))
    report, code = copy.run("run", uri=server.url)
    labels.write_text(content)
    checks.equal("a run without flora fails", code, 1)
    identity = copy.identities()[-1]
    run = check_whole(checks, copy, client, identity, "failed run")
    checks.equal("failed run: status", run and run.info.status, "FAILED")


def check_server_that_stops(checks, copy, client, server):
    """Runs that the server was not there for come to it later, in their order."""
    server.stop()
    reports = [copy.train_again(server.url, seed) for seed in (201, 202)]
    for report in reports:
        checks.true("the server is down, and told to be", bool(report["tracking"]["sent"]["problem"]))
    checks.equal("two runs wait", reports[-1]["tracking"]["sent"]["waiting"], 2)
    server.start()
    report = copy.train_again(server.url, 203)
    identities = [report["tracking"]["id"] for report in [*reports, report]]
    checks.equal("the next run sends all, oldest first", report["tracking"]["sent"]["sent"], identities)
    for identity in identities:
        check_whole(checks, copy, client, identity, "after the server was down")
    check_registry(checks, copy, client)


def check_registry(checks, copy, client):
    """A version for every push, and none twice; the champion is that of the last."""
    pushed = [copy.stored(identity) for identity in copy.identities()]
    pushed = [run for run in pushed if run["model"]]
    versions = client.search_model_versions(f"name='{MODEL}'", max_results=1000)
    ours = {run.info.run_id: run.data.tags["natureddit.run_id"] for run in runs_of(client)}
    found = sorted(ours[version.run_id] for version in versions)
    checks.equal("a version of every pushed model", found, sorted(run["id"] for run in pushed))
    champion = client.get_model_version_by_alias(MODEL, "champion")
    checks.equal("the champion is the last", ours[champion.run_id], pushed[-1]["id"])


def check_kills(checks, copy, client, server):
    """While a run is sent the program is ended, or the connection broken, before or after each of some requests."""
    copy.train_again("", 301)
    with Proxy(server.port) as proxy:
        identity = forget_sending(copy)
        sent, _ = copy.run("tracking", "send", uri=proxy.url)
        checks.equal("sent through the proxy", sent["sent"], [identity])
        total = len(proxy.requests)
    checks.true(f"{total} requests send a run", total > 10)
    points = [(number, when, kill) for number in range(0, total, STEP_OF_REQUESTS) for when in ["before", "after"] for kill in [True, False]]
    count = int(os.environ.get("NATUREDDIT_INTEROP_KILLS", "3"))
    # An odd stride: so many from the first request to the last, of both kinds.
    chosen = points[:: max(1, len(points) // count) | 1]
    for seed, (number, when, kill) in enumerate(chosen, start=1000):
        check_fault(checks, copy, client, server, number, when, kill, seed)
    check_registry(checks, copy, client)
    deleted = [run for run in runs_of(client, ViewType.ALL) if run.info.lifecycle_stage == "deleted"]
    print(f"{len(chosen)} of {len(points)} faults; {len(deleted)} doubles were removed again")


def forget_sending(copy):
    """Puts the last run into the outbox, as if its server had just been named."""
    identity = copy.identities()[-1]
    (copy.folder / "pipeline" / "tracking" / "runs" / identity / "outbox.json").write_text("{}")
    return identity


def check_fault(checks, copy, client, server, number, when, kill, seed):
    copy.train_again("", seed)
    identity = forget_sending(copy)
    state = {"process": None, "done": False}

    def fault(at, moment):
        if (at, moment) != (number, when) or state["done"]:
            return False
        state["done"] = True
        if kill:
            state["process"].kill()
        return True

    with Proxy(server.port, fault=fault) as proxy:
        command = copy.command("tracking", "send", uri=proxy.url)
        state["process"] = subprocess.Popen(**command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        state["process"].wait(timeout=120)
        copy.run("tracking", "send", uri=proxy.url)
    what = f"{'killed' if kill else 'broken'} {when} request {number}"
    checks.true(f"{what}: the fault happened", state["done"])
    check_whole(checks, copy, client, identity, what)


def check_prefix(checks, copy, client, server):
    """A path prefix such as DagsHub's is kept."""
    with Proxy(server.port, prefix="/ann/repo.mlflow") as proxy:
        report = copy.train_again(proxy.url, 401)
        checks.equal("prefix: sent", report["tracking"]["sent"]["sent"], [report["tracking"]["id"]])
        checks.true("prefix: everything went below it", all(path.startswith("/ann/repo.mlflow/") for _, path in proxy.requests))
    check_whole(checks, copy, client, report["tracking"]["id"], "prefix")


def check_password(checks, copy, folder):
    """A server that wants a name and a password gets them from the environment; without them the run waits."""
    folder.mkdir()
    with MlflowServer(folder, app="basic-auth") as server:
        report = copy.train_again(server.url, 501)
        checks.true("without a password: refused", report["tracking"]["sent"]["is_unauthorized"])
        access = {"MLFLOW_TRACKING_USERNAME": "ann", "MLFLOW_TRACKING_PASSWORD": "hunter2hunter2"}
        sent, code = copy.run("tracking", "send", uri=server.url, **access)
        checks.equal("with a password: sent", (sent["sent"], code), ([report["tracking"]["id"]], 0))
        os.environ.update(access)
        mlflow.set_tracking_uri(server.url)
        # Each request costs such a server a second: the histories of all metrics were looked at above.
        run = run_of(mlflow.MlflowClient(server.url, server.url), report["tracking"]["id"])
        stored = copy.stored(report["tracking"]["id"])
        checks.equal("with a password: params", run and run.data.params, stored["params"])
        checks.equal("with a password: metrics", run and set(run.data.metrics), {metric["key"] for metric in stored["metrics"]})
        found = any("hunter2" in path.read_text(errors="replace") for path in (copy.folder / "pipeline" / "tracking").rglob("*.json"))
        checks.true("the password is nowhere in the local store", not found)


if __name__ == "__main__":
    main()
