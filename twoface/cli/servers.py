"""Servers on the command line: web, serve. What a command needs is imported inside it."""

import argparse
from dataclasses import replace

from twoface.cli.options import Command, Commands, add_settings, command, number, require, settings_of
from twoface.cli.search import NEEDED as SEARCH
from twoface.service.settings import Settings as ServiceSettings
from twoface.web.settings import Settings as WebSettings


def add_commands(commands: Commands) -> None:
    _web_options(command(commands, "web", web, "fill photos in the browser (needs the extra web)", WEB_EXAMPLES))
    _serve_options(command(commands, "serve", serve, "answer over HTTP and gRPC", SERVE_EXAMPLES))


def web(args: argparse.Namespace) -> int:
    require("web", "fastapi", "uvicorn")
    if args.indexes:
        require("search", *SEARCH)
    from twoface.web.server import serve as run

    run(settings_of(args, WebSettings), args.open)
    return 0


def serve(args: argparse.Namespace) -> int:
    require("serve", "fastapi_offline", "uvicorn", "simdjson", "orjson", "prometheus_client", "grpc", "tritonclient")
    settings = settings_of(args, ServiceSettings)
    if args.no_grpc:
        settings = replace(settings, grpc_port=None)
    if args.index:
        require("search", *SEARCH)
    if args.replicas:
        require("scale", "ray")
        from twoface.service.scale import serve_replicas

        serve_replicas(settings, *args.replicas)
    else:
        from twoface.service.server import serve as run

        run(settings)
    return 0


# Options.

WEB_EXAMPLES = """examples:
  twoface web --open
  twoface web --index my-photos
  twoface web --backend grpc://gpu-machine:8001 --backend-key key.txt
  twoface web --host 0.0.0.0 --auth passwords.txt --tls-cert cert.pem --tls-key key.pem

With --backend only crops of 128x128 pixels leave this machine, and only to that server. Any other address than
127.0.0.1 needs a password, and browsers log in over HTTPS alone: give a certificate, or put a TLS proxy in front."""

SERVE_EXAMPLES = """examples:
  twoface serve
  twoface serve --model versions --host 0.0.0.0 --api-key keys.txt --tls-cert cert.pem --tls-key key.pem
  twoface serve --replicas 1:4 --api-key keys.txt

then, here:
  curl -s http://127.0.0.1:8000/examples/tfserving.json -o body.json
  curl -s --data-binary @body.json http://127.0.0.1:8000/v1/models/two_face_model:predict

HTTP speaks TensorFlow Serving's REST, the Open Inference Protocol and the photo API (http://127.0.0.1:8000/docs),
gRPC the first two. versions/ holds 1/model.onnx, 2/model.onnx, ...: the highest answers, and what is
put there while it runs is taken in. Ctrl-C or SIGTERM: what was accepted is still answered."""


def _web_options(command: Command) -> None:
    add, _ = command
    add("--open", action="store_true", help="open the page in the browser")
    add_settings(add, WebSettings)


def _serve_options(command: Command) -> None:
    add, _ = command
    add_settings(add, ServiceSettings)
    add("--no-grpc", action="store_true", help="HTTP only")
    add("--replicas", metavar="N[:MAX]", type=_replicas, help="number of replicas on Ray Serve (needs the extra scale)")


def _replicas(text: str) -> tuple[int, int]:
    """A count, or a range "1:4" -> (fewest, most)."""
    first, colon, second = text.partition(":")
    count = number(int, 1, 1000)
    fewest, most = count(first), count(second if colon else first)
    if most < fewest:
        raise argparse.ArgumentTypeError(f"{text}: the second number is below the first")
    return fewest, most


_replicas.__name__ = "number of replicas"  # argparse's word for it
