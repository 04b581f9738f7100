"""The downloader against a server on this machine that can break off, refuse ranges, or give something else."""

import hashlib
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from twoface.core.errors import TwoFaceError, Unavailable
from twoface.research.data import download as module
from twoface.research.data.download import download

CONTENT = bytes(range(256)) * 4096  # 1 MiB
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    """Gives CONTENT below every path; `cut`: the bytes after which each transfer breaks off, one by one."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.cut, self.ranges, self.asked, self.content = [], True, [], CONTENT

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_port}/weights.bin"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        server, header = self.server, self.headers["Range"]
        server.asked.append(header)
        start = int(header[len("bytes=") : -1]) if header and server.ranges else 0
        if start >= len(server.content):
            return self.send_error(416)
        body = server.content[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: server.cut.pop(0)] if server.cut else body)

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with Server() as server:
        threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
        yield server
        server.shutdown()


def test_a_whole_file(server, tmp_path):
    assert download([server.url], tmp_path / "new" / "w.bin", SHA256[:8]).read_bytes() == CONTENT
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["w.bin"]
    download(["http://127.0.0.1:1/none"], tmp_path / "new" / "w.bin", SHA256)  # it is there: nobody is asked


@pytest.mark.parametrize("ranges", [True, False])
def test_a_broken_transfer_goes_on_by_itself(server, tmp_path, ranges):
    server.cut, server.ranges = [300_000], ranges
    assert download([server.url], tmp_path / "w.bin", SHA256).read_bytes() == CONTENT
    assert server.asked == [None, "bytes=300000-"]


def test_a_later_call_goes_on_where_the_first_stopped(server, tmp_path):
    server.cut = [100_000] * module.TRIES
    with pytest.raises(Unavailable, match=r"cut off after 300000 of 1048576 bytes.*kept in .*w.bin.part"):
        download([server.url], tmp_path / "w.bin", SHA256)
    assert not (tmp_path / "w.bin").exists()
    assert download([server.url], tmp_path / "w.bin", SHA256).read_bytes() == CONTENT
    assert server.asked[-1] == "bytes=300000-"


def test_a_part_that_is_whole_already(server, tmp_path):
    (tmp_path / "w.bin.part").write_bytes(CONTENT)
    assert download([server.url], tmp_path / "w.bin", SHA256).read_bytes() == CONTENT


def test_another_file_is_not_kept(server, tmp_path):
    server.content = CONTENT[:-1] + b"x"
    with pytest.raises(TwoFaceError, match="gave another file"):
        download([server.url], tmp_path / "w.bin", SHA256)
    assert list(tmp_path.iterdir()) == []


def test_the_next_address_is_tried(server, tmp_path):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        nobody = f"http://127.0.0.1:{closed.getsockname()[1]}/w.bin"
        assert download([nobody, server.url], tmp_path / "w.bin", SHA256).read_bytes() == CONTENT
        with pytest.raises(Unavailable, match="w2.bin could not be downloaded .*refused.*with a network$"):
            download([nobody], tmp_path / "w2.bin", SHA256)
