"""Calls `natureddit serve` the way clients of TorchServe do: `requests`, multipart, a self-signed certificate."""

import base64
import concurrent.futures
import json
import warnings

import requests
import urllib3

from project import MODEL, Checks, Project, Server

POSTS = 12
CLIENTS = 8
REQUESTS = 64


def main():
    project = Project(__doc__)
    # What `verify=False` does is known; the certificate is the server's own.
    warnings.simplefilter("ignore", urllib3.exceptions.InsecureRequestWarning)
    checks = Checks()
    with Server(project) as server:
        client = Client(server.url)
        check_ping(checks, client)
        check_predictions(checks, client, project)
        check_errors(checks, client, project)
        check_many_clients(checks, client, project)
    checks.end()


class Client:
    """A session, as one keeps for many requests."""

    def __init__(self, url):
        self.url = url
        self.session = requests.Session()
        self.session.verify = False
        # Else REQUESTS_CA_BUNDLE in the environment would turn verification on again, and a proxy be asked.
        self.session.trust_env = False

    def call(self, method, path, **more):
        return self.session.request(method, self.url + path, timeout=60, **more)

    def predict(self, text=None, image=None, path=f"/predictions/{MODEL}", accept=None):
        parts = {}
        if text is not None:
            parts["text"] = (None, text.encode())
        if image is not None:
            parts["image"] = ("photo", image)
        headers = {"Accept": accept} if accept else {}
        return self.call("POST", path, files=parts, headers=headers)


def check_ping(checks, client):
    answer = client.call("GET", "/ping")
    checks.equal("/ping: status", answer.status_code, 200)
    checks.equal("/ping: body", answer.json(), {"status": "Healthy"})


def check_predictions(checks, client, project):
    version = project.bundle().name
    classes = json.loads((project.bundle() / "manifest.json").read_text())["classes"]
    ids = set()
    for post in project.posts()[:POSTS]:
        title, photo = post["title"], project.photo(post).read_bytes()
        for text, image in [(title, photo), (title, None), (None, photo)]:
            what = f"{post['id']} ({'text' if text else ''} {'image' if image else ''})"
            plain = client.predict(text, image)
            checks.equal(f"{what}: status", plain.status_code, 200)
            checks.true(f"{what}: the plain answer {plain.text!r} is a class alone", plain.text in classes)
            answer = client.predict(text, image, accept="application/json")
            checks.equal(f"{what}: content type", answer.headers["Content-Type"], "application/json")
            body = answer.json()
            probabilities = body["probabilities"]
            checks.equal(f"{what}: classes", list(probabilities), classes)
            checks.true(f"{what}: {probabilities} sums to 1", abs(sum(probabilities.values()) - 1) < 1e-5)
            checks.equal(f"{what}: label", body["label"], max(probabilities, key=probabilities.get))
            checks.equal(f"{what}: both answers", plain.text, body["label"])
            checks.equal(f"{what}: version", str(body["version"]), version)
            ids.add(body["prediction_id"])
        named = client.predict(title, photo, path=f"/predictions/{MODEL}/{version}")
        checks.equal(f"{post['id']}: by version", named.text, client.predict(title, photo).text)
    checks.equal("prediction ids are distinct", len(ids), 3 * len(project.posts()[:POSTS]))
    # TorchServe's own examples send text as a form field beside the file, and the bare image as the body.
    form = client.call("POST", f"/predictions/{MODEL}", data={"text": title}, files={"image": photo})
    checks.equal("text as a form field: status", form.status_code, 200)
    bare = client.call("PUT", f"/predictions/{MODEL}", data=photo)
    checks.equal("the bare image: answer", bare.text, client.predict(None, photo).text)
    for what, body in bodies(title, photo).items():
        checks.equal(f"{what}: answer", client.call("POST", f"/predictions/{MODEL}", **body).text, form.text)


def bodies(title, photo):
    """A post in the other forms that are read."""
    coded = base64.b64encode(photo).decode()
    return {
        "a form": {"data": {"text": title, "image": coded}},
        "a form with the file": {"data": {"text": title, "image": photo}},
        "JSON": {"json": {"text": title, "image": coded}},
        "JSON with b64": {"json": {"text": title, "image": {"b64": coded}}},
    }


def check_errors(checks, client, project):
    """Every error is JSON with code, type and message; the types are named as TorchServe names its exceptions."""
    photo = project.photo(project.posts()[0]).read_bytes()
    predictions = f"/predictions/{MODEL}"
    form = {"data": "a=b", "headers": {"Content-Type": "application/x-www-form-urlencoded"}}
    xml = {"data": "<text/>", "headers": {"Content-Type": "application/xml"}}
    cases = [
        ("no model of that name", client.predict("a", path="/predictions/none"), 404, "ModelNotFoundException"),
        ("no such version", client.predict("a", path=predictions + "/99999"), 404, "ModelVersionNotFoundException"),
        ("no such path", client.call("GET", "/nothing"), 404, "ResourceNotFoundException"),
        ("wrong method", client.call("DELETE", predictions), 405, "MethodNotAllowedException"),
        ("no parts of ours", client.call("POST", predictions, files={"x": (None, "y")}), 400, "BadRequestException"),
        ("an empty text alone", client.predict(text=" "), 400, "BadRequestException"),
        ("HTML as image", client.predict(image=b"<!doctype html><html>"), 400, "BadRequestException"),
        ("an image of 0 bytes", client.predict(image=b""), 400, "BadRequestException"),
        ("half an image", client.predict("a", photo[: len(photo) // 2]), 400, "BadRequestException"),
        ("a text that is no UTF-8", not_utf8(client), 400, "BadRequestException"),
        ("a form without ours", client.call("POST", predictions, **form), 400, "BadRequestException"),
        ("another body", client.call("POST", predictions, **xml), 415, "UnsupportedMediaTypeException"),
        ("a body of 64 MB", client.predict("a", bytes(64_000_000)), 413, "RequestEntityTooLargeException"),
    ]
    for what, answer, status, kind in cases:
        checks.equal(f"{what}: status", answer.status_code, status)
        try:
            body = answer.json()
        except requests.exceptions.JSONDecodeError:
            body = {}
        checks.equal(f"{what}: code", body.get("code"), status)
        checks.equal(f"{what}: type", body.get("type"), kind)
        checks.true(f"{what}: a message says what was wrong", bool(body.get("message")))
    checks.equal("after the errors: status", client.predict("a fox", photo).status_code, 200)


def not_utf8(client):
    return client.call("POST", f"/predictions/{MODEL}", files={"text": (None, b"caf\xe9")})


def check_many_clients(checks, client, project):
    """Requests that share a batch answer as they do alone."""
    inputs = [(post["title"], project.photo(post).read_bytes()) for post in project.posts()[:POSTS]]
    alone = [client.predict(*given, accept="application/json").json() for given in inputs]

    def ask(number):
        answer = Client(client.url).predict(*inputs[number % len(inputs)], accept="application/json")
        return number % len(inputs), answer

    with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
        for number, answer in pool.map(ask, range(REQUESTS)):
            checks.equal(f"together, {number}: status", answer.status_code, 200)
            expected, found = alone[number]["probabilities"], answer.json()["probabilities"]
            apart = max(abs(expected[name] - found[name]) for name in expected)
            checks.true(f"together, {number}: {apart} from the answer alone", apart < 1e-4)


if __name__ == "__main__":
    main()
