"""Calls `natureddit serve` the way clients of TorchServe do: `requests`, multipart, a self-signed certificate; and reads the
traces that it sends as a collector of OpenTelemetry's does."""

import base64
import concurrent.futures
import http.server
import json
import warnings

import requests
import urllib3
from google.protobuf import json_format
from google.protobuf.unknown_fields import UnknownFieldSet
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2
from opentelemetry.proto.trace.v1 import trace_pb2

from local_server import LocalServer
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
    check_traces(checks, project)
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


class Collector(LocalServer):
    """Takes what is posted to it while the `with` block runs."""

    def __init__(self):
        self.requests = requests_got = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                requests_got.append((self.path, dict(self.headers.items()), body))
                answer = trace_service_pb2.ExportTraceServiceResponse().SerializeToString()
                self.send_response(200)
                self.send_header("content-type", "application/x-protobuf")
                self.send_header("content-length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                pass

        super().__init__(Handler)


TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


def check_traces(checks, project):
    """The spans of a few requests, read with OpenTelemetry's own messages."""
    post = project.posts()[0]
    with Collector() as collector:
        settings = f'[serve.traces]\nendpoint = "{collector.url}"\nservice_name = "a-b"\n'
        settings += '[serve.management]\naddress = ""\n[serve.metrics]\naddress = ""\n'
        environment = {"OTEL_EXPORTER_OTLP_HEADERS": "authorization=Bearer%20hidden-1"}
        with Server(project, settings, environment=environment) as server:
            client = Client(server.url)
            headers = {"traceparent": f"00-{TRACE}-{CALLER}-01", "authorization": "Bearer hidden-2"}
            parts = {"text": (None, post["title"]), "image": ("photo", project.photo(post).read_bytes())}
            traced = client.call("POST", f"/predictions/{MODEL}?a=hidden-3", files=parts, headers=headers)
            checks.equal("a request with a trace: status", traced.status_code, 200)
            client.call("GET", "/ping")
            untraced = {"traceparent": f"00-{TRACE}-{CALLER}-00"}
            client.call("GET", "/ping", headers=untraced)
    # The server has ended, and has sent what there was.
    for path, headers, body in collector.requests:
        checks.equal("traces: path", path, "/v1/traces")
        given = {name.lower(): value for name, value in headers.items()}
        checks.equal("traces: type", given.get("content-type"), "application/x-protobuf")
        checks.equal("traces: what the collector is shown", given.get("authorization"), "Bearer hidden-1")
        checks.true("traces: nothing that is secret", b"hidden" not in body)
    messages = [trace_service_pb2.ExportTraceServiceRequest.FromString(body) for _, _, body in collector.requests]
    checks.true("traces: every field is known", not any(has_unknown_fields(message) for message in messages))
    resources = [resource for message in messages for resource in message.resource_spans]
    for resource in resources:
        checks.equal("traces: service.name", attributes(resource.resource).get("service.name"), "a-b")
    spans = [span for resource in resources for scope in resource.scope_spans for span in scope.spans]
    requests_seen = [span for span in spans if span.kind == trace_pb2.Span.SPAN_KIND_SERVER]
    names = sorted(span.name for span in requests_seen)
    checks.equal("traces: requests", names, ["GET /ping", "POST /predictions/{model}"])
    if names:
        check_spans(checks, spans, max(requests_seen, key=lambda span: span.name), traced)


def check_spans(checks, spans, of_request, answer):
    checks.equal("span: trace", of_request.trace_id.hex(), TRACE)
    checks.equal("span: parent", of_request.parent_span_id.hex(), CALLER)
    found = attributes(of_request)
    expected = {
        "http.request.method": "POST",
        "http.route": "/predictions/{model}",
        "http.response.status_code": 200,
        "http.response.header.x-request-id": [answer.headers["x-request-id"]],
        "url.path": f"/predictions/{MODEL}",
        "url.scheme": "https",
        "server.address": "127.0.0.1",
        "network.protocol.version": "1.1",
        "natureddit.model.name": MODEL,
    }
    for key, value in expected.items():
        checks.equal(f"span: {key}", found.get(key), value)
    stages = [span for span in spans if span.parent_span_id == of_request.span_id]
    names = ["read_body", "await_thread", "prepare", "queue", "encode", "postprocess"]
    checks.equal("stages", [span.name for span in stages], names)
    for span in stages:
        checks.equal(f"{span.name}: trace", span.trace_id, of_request.trace_id)
        times = [of_request.start_time_unix_nano, span.start_time_unix_nano, span.end_time_unix_nano]
        checks.true(f"{span.name}: within the request", times == sorted(times) and times[2] <= of_request.end_time_unix_nano)
    checks.equal("ids are distinct", len({span.span_id for span in spans}), len(spans))


def attributes(of):
    """By key; a list as a list."""
    pairs = [json_format.MessageToDict(attribute) for attribute in of.attributes]
    return {pair["key"]: plain(pair["value"]) for pair in pairs}


def plain(value):
    (kind, value) = next(iter(value.items()))
    if kind == "arrayValue":
        return [plain(element) for element in value["values"]]
    # The JSON form of 64 bits is a text.
    return int(value) if kind == "intValue" else value


def has_unknown_fields(message):
    if len(UnknownFieldSet(message)):
        return True
    for field, value in message.ListFields():
        if field.message_type is not None:
            for part in value if isinstance(value, list) or hasattr(value, "append") else [value]:
                if has_unknown_fields(part):
                    return True
    return False


if __name__ == "__main__":
    main()
