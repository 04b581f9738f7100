"""Real servers of `tests/service/serving.py`, and an HTTP server that says what it is told."""

import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "service"))
from serving import network_file, running  # noqa: E402


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    with running(network_file(tmp_path_factory.mktemp("served")), photo_workers=0) as server:
        yield server


@pytest.fixture
def scripted():
    """scripted((status, headers, body), ...): a server that answers so, the last again and again; `asked` counts."""
    servers = []

    def start(*answers):
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                server.asked += 1
                self.rfile.read(int(self.headers.get("content-length", 0)))
                status, headers, body = answers[min(server.asked, len(answers)) - 1]
                self.send_response(status)
                for name, value in {"content-length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            do_POST = do_GET

            def log_message(self, *_):
                """Silence."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.asked, server.url = 0, f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()
