"""Has schemathesis send `natureddit serve` what it makes of its OpenAPI documents, good and bad, and compare what is answered
with what they say."""

import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import warnings

import requests
import urllib3

from project import MODEL, Checks, Project, Server, free_port

# Of each operation; the same ones with every run.
EXAMPLES = 10
PROGRAM = pathlib.Path(sys.executable).parent / "st"
SECONDS_MAX = 120
# That a photo is base64 of a JPEG no document can say: what is made up is refused. Titles are asked with apart.
NOT_OF_PHOTOS = ["--exclude-checks", "positive_data_acceptance"]


def main():
    project = Project(__doc__)
    # What `verify=False` does is known; the certificate is the server's own.
    warnings.simplefilter("ignore", urllib3.exceptions.InsecureRequestWarning)
    checks = Checks()
    with tempfile.TemporaryDirectory(prefix="natureddit-interop-") as folder:
        folder = pathlib.Path(folder)
        # What is changed here is nobody's.
        models = folder / "models"
        shutil.copytree(project.folder / "models", models)
        port = free_port()
        settings = f'[serve.management]\naddress = "127.0.0.1:{port}"\ndir = "keys"\n[serve.metrics]\naddress = ""\n'
        with Server(project, settings, models) as server:
            version = project.bundle().name
            of_model = described(server.url, f"/predictions/{MODEL}")
            name(of_model, {"version": [version, "99999"]})
            check(checks, folder, "one model", server.url, of_model, NOT_OF_PHOTOS)
            check(checks, folder, "titles", server.url, titles(of_model), ["--mode", "positive"])
            check(checks, folder, "the server", server.url, of_no_model(described(server.url, "/")), NOT_OF_PHOTOS)
            # There since the server has answered.
            keys = json.loads((pathlib.Path(server.folder.name) / "keys" / "keys.json").read_text())
            authorization = f"Bearer {keys['management']['key']}"
            management = f"https://127.0.0.1:{port}"
            of_management = described(management, "/", {"authorization": authorization})
            name(of_management, {"model": [MODEL, "none"], "version": [version, "99999"]})
            shown = ["--header", f"Authorization: {authorization}", *NOT_OF_PHOTOS]
            check(checks, folder, "management", management, keeping(of_management), shown)
            answer = session().get(f"{server.url}/ping", timeout=60)
            checks.equal("after all of it: /ping", answer.json(), {"status": "Healthy"})
    checks.end()


def session():
    made = requests.Session()
    made.verify = False
    # Else REQUESTS_CA_BUNDLE in the environment would turn verification on again, and a proxy be asked.
    made.trust_env = False
    return made


def described(url, path, headers=None):
    answer = session().request("OPTIONS", url + path, headers=headers, timeout=60)
    answer.raise_for_status()
    return answer.json()


def operations(document):
    return [operation for methods in document["paths"].values() for operation in methods.values()]


def name(document, values):
    """Says what parameters of a path are: of made-up names there is no model."""
    for operation in operations(document):
        for parameter in operation["parameters"]:
            if parameter["in"] == "path" and parameter["name"] in values:
                parameter["schema"] = {"type": "string", "enum": values[parameter["name"]]}


def titles(document):
    """The same of posts without a photo: each of them is answered with a prediction."""
    document = json.loads(json.dumps(document))
    title = document["components"]["schemas"]["Post"]["anyOf"][0]["properties"]["text"]
    post = {"type": "object", "required": ["text"], "properties": {"text": title}}
    document["components"]["schemas"]["Post"] = post
    # Names of further fields may hold what no header of a part can.
    form = {"schema": {**post, "additionalProperties": False}}
    kept = {"application/json", "text/plain", "multipart/form-data", "application/x-www-form-urlencoded"}
    for operation in operations(document):
        content = operation.get("requestBody", {}).get("content", {})
        for kind in list(content):
            if kind not in kept:
                del content[kind]
            elif "form" in kind:
                content[kind] = form
    # That a tensor has as many elements as its shape says no document can say either.
    document["paths"] = {path: methods for path, methods in document["paths"].items() if not path.endswith("/infer")}
    return document


def of_no_model(document):
    """The same without what a model's own document says."""
    document["paths"] = {path: methods for path, methods in document["paths"].items() if "{model}" not in path}
    return document


def keeping(document):
    """The same without unregistering the one model there is."""
    for operation in operations(document):
        if operation["operationId"].startswith("unregister_model"):
            parameters = json.loads(json.dumps(operation["parameters"]))
            for parameter in parameters:
                if parameter["name"] == "model":
                    parameter["schema"]["enum"] = ["none"]
            operation["parameters"] = parameters
    return document


def check(checks, folder, what, url, document, options):
    file = folder / "openapi.json"
    file.write_text(json.dumps(document))
    command = [PROGRAM, "run", file, "--url", url, "--tls-verify", "false", "--max-examples", str(EXAMPLES)]
    # Without a seed: it is the same run each time.
    command += ["--generation-deterministic", "--no-shrink", "--phases", "coverage,fuzzing"]
    command += ["--continue-on-failure", "--warnings", "off", "--no-color", *options]
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=SECONDS_MAX)
    cases = re.search(r"^  (\d+) generated", ran.stdout, re.MULTILINE)
    count = int(cases.group(1)) if cases else 0
    print(f"{what}: {len(operations(document))} operations, {count} requests")
    if ran.returncode != 0:
        print(ran.stdout, ran.stderr, sep="\n", file=sys.stderr)
    checks.equal(f"{what}: exit code of schemathesis", ran.returncode, 0)
    checks.true(f"{what}: {count} requests were sent, at least one for each operation", count >= len(operations(document)))


if __name__ == "__main__":
    main()
