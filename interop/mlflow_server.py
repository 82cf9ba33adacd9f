"""A real MLflow server on a free port, and a proxy before it with a prefix, a log and faults, while a `with` block runs."""

import http.client
import http.server
import os
import pathlib
import socket
import subprocess
import sys
import time
import urllib.request

from local_server import LocalServer

START_SECONDS_MAX = 180


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


class MlflowServer:
    """`mlflow server` with a SQLite store and its artifact proxy, in a folder that outlives it."""

    def __init__(self, folder, app=None):
        self.folder = pathlib.Path(folder)
        self.app = app
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process = None

    def start(self):
        command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self.port)]
        command += ["--backend-store-uri", f"sqlite:///{self.folder / 'mlflow.db'}", "--serve-artifacts"]
        command += ["--artifacts-destination", str(self.folder / "artifacts"), "--workers", "1"]
        environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
        if self.app:
            command += ["--app-name", self.app]
            config = self.folder / "auth.ini"
            config.write_text(
                f"[mlflow]\ndefault_permission = READ\ndatabase_uri = sqlite:///{self.folder / 'auth.db'}\n"
                "admin_username = ann\nadmin_password = hunter2hunter2\n"
                "authorization_function = mlflow.server.auth:authenticate_request_basic_auth\n"
                "grant_default_workspace_access = true\n"
            )
            environment |= {"MLFLOW_AUTH_CONFIG_PATH": str(config), "MLFLOW_FLASK_SERVER_SECRET_KEY": "of this check"}
        self.log = open(self.folder / "server.log", "ab")
        self.process = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, start_new_session=True
        )
        deadline = time.monotonic() + START_SECONDS_MAX
        while not self.is_healthy():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                sys.exit(f"error: mlflow server did not start:\n{(self.folder / 'server.log').read_text()[-2000:]}")
            time.sleep(0.1)
        return self

    def is_healthy(self):
        try:
            with urllib.request.urlopen(f"{self.url}/health", timeout=2) as answer:
                return answer.status == 200
        except OSError:
            return False

    def stop(self):
        """Ends it as `kill -9` does, with the processes it has started: they are a group of their own."""
        if self.process and self.process.poll() is None:
            os.killpg(self.process.pid, 9)
            self.process.wait()
        self.log.close()

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()


class Proxy(LocalServer):
    """Passes requests on to a server, under a prefix; counts them, and calls `fault(number, when)` around each.

    A fault that gives True ends the connection: `when` is "before" the request is passed on, or "after" it was answered.
    """

    def __init__(self, target_port, prefix="", fault=lambda number, when: False):
        self.requests = []
        proxy = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def pass_on(self):
                number = len(proxy.requests)
                proxy.requests.append((self.command, self.path))
                body = self.body()
                if fault(number, "before"):
                    self.close_connection = True
                    return
                if not self.path.startswith(prefix):
                    self.send_error(404)
                    return
                connection = http.client.HTTPConnection("127.0.0.1", target_port, timeout=120)
                skipped = {"host", "transfer-encoding", "content-length", "connection"}
                headers = {key: value for key, value in self.headers.items() if key.lower() not in skipped}
                try:
                    connection.request(self.command, self.path[len(prefix) :], body=body, headers=headers)
                    answer = connection.getresponse()
                    content = answer.read()
                except OSError:
                    self.close_connection = True
                    return
                finally:
                    connection.close()
                if fault(number, "after"):
                    self.close_connection = True
                    return
                self.send_response(answer.status)
                self.send_header("content-type", answer.headers.get("content-type", "text/plain"))
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = pass_on

            def body(self):
                if self.headers.get("transfer-encoding", "").lower() != "chunked":
                    return self.rfile.read(int(self.headers.get("content-length", 0)))
                parts = []
                while size := int(self.rfile.readline().split(b";")[0], 16):
                    parts.append(self.rfile.read(size))
                    self.rfile.readline()
                self.rfile.readline()
                return b"".join(parts)

            def log_message(self, *_):
                pass

        super().__init__(Handler)
        self.url += prefix
