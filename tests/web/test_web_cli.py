import asyncio
import os
import re
import signal
import subprocess
import sys
from functools import partial

import httpx
import pytest

from twoface.cli import main
from twoface.serving.server import stop_on_signals
from twoface.web.server import Server
from twoface.web.settings import Settings

WEB = [sys.executable, "-c", "import sys; from twoface.cli import main; sys.exit(main())", "web"]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--host", "0.0.0.0"], 2, "give --auth FILE"),
        (["--tls-cert", "cert.pem"], 2, "--tls-key"),
        (["--auth", "nothing.txt"], 2, "cannot read the passwords in nothing.txt: No such file"),
        (["--auth", "short.txt"], 2, "short.txt must hold passwords of at least 16 letters, one a line"),
        (["--backend", "ftp://there"], 2, "is not a backend"),
        (["--backend", "http://there:1", "--backend-key", "nothing.txt"], 2, "nothing.txt"),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_line(tmp_path, monkeypatch, capsys, arguments, code, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "short.txt").write_text("secret\n")
    assert main(["web", "--port", "0", *arguments]) == code
    error = capsys.readouterr().err
    assert error.startswith("twoface: ") and error.count("\n") == 1 and words in error


def test_a_taken_port_is_one_line(server, capsys):
    assert main(["web", "--port", str(server.base_url.port)]) == 1
    assert "cannot listen on 127.0.0.1 port" in capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_says_where_it_is_and_stops_when_told(number):
    with subprocess.Popen([*WEB, "--port", "0"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        url = re.search(r"http://127\.0\.0\.1:\d+/", process.stdout.readline()).group()
        assert "<title>Two-Face</title>" in httpx.get(url).text
        process.send_signal(number)
        _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")


def test_told_to_stop_while_the_workers_start_it_never_answers():
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    server = Server(Settings(port=0), setup=partial(partial, str))
    stop_on_signals(server)
    try:
        os.kill(os.getpid(), signal.SIGINT)
        asyncio.run(asyncio.wait_for(server.serve(lambda url: pytest.fail("it answers")), 60))
    finally:
        signal.signal(signal.SIGINT, before[0])
        signal.signal(signal.SIGTERM, before[1])
