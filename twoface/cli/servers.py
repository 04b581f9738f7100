"""Servers on the command line: web, serve. What a command needs is imported inside it."""

import argparse
from pathlib import Path

from twoface.cli.options import Command, Commands, command, number, require
from twoface.cli.search import NEEDED as SEARCH


def add_commands(commands: Commands) -> None:
    _web_options(command(commands, "web", web, "fill photos in the browser (needs the extra web)", WEB_EXAMPLES))
    _serve_options(command(commands, "serve", serve, "answer over HTTP and gRPC", SERVE_EXAMPLES))


def web(args: argparse.Namespace) -> int:
    require("web", "fastapi", "uvicorn")
    if args.index:
        require("search", *SEARCH)
    from twoface.web.server import serve as run
    from twoface.web.settings import Settings

    settings = Settings(
        host=args.host,
        port=args.port,
        auth=args.auth,
        tls_cert=args.tls_cert,
        tls_key=args.tls_key,
        backend=args.backend,
        backend_key=args.backend_key,
        proxies=(*Settings.proxies, *args.proxy),
        indexes=tuple(args.index),
        workers=args.workers,
    )
    run(settings, args.open)
    return 0


def serve(args: argparse.Namespace) -> int:
    require("serve", "fastapi_offline", "uvicorn", "simdjson", "orjson", "prometheus_client", "grpc", "tritonclient")
    from twoface.service.settings import Settings

    settings = Settings(
        model=args.model,
        host=args.host,
        port=args.port,
        grpc_port=None if args.no_grpc else args.grpc_port,
        api_keys=args.api_key,
        tls_cert=args.tls_cert,
        tls_key=args.tls_key,
        cors=tuple(args.cors),
        device=args.device,
        threads=args.threads,
        batch_size=args.batch_size,
        batch_wait=args.batch_wait_ms / 1000,
        queue=args.queue,
        rows=args.rows,
        timeout=args.timeout,
        drain=args.drain,
        photo_workers=args.photo_workers,
        index=args.index,
    )
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
    add("--host", metavar="ADDRESS", default="127.0.0.1", help="default 127.0.0.1; any other needs --auth")
    add("--port", metavar="N", type=number(int, 0, 65535), default=8000, help="default 8000; 0: any free")
    add("--auth", metavar="FILE", type=Path, help="require a password of this file: one a line, 16 letters or more")
    add("--tls-cert", metavar="FILE.pem", type=Path, help="certificate chain, for HTTPS")
    add("--tls-key", metavar="FILE.pem", type=Path, help="its private key")
    add(
        "--backend", metavar="URL", help="a `twoface serve` that fills: http://, https://, grpc:// or grpcs://HOST:PORT"
    )
    add("--backend-key", metavar="FILE", type=Path, help="a file with its API key")
    add("--proxy", metavar="ADDRESS", action="append", default=[],
        help="trust X-Forwarded-For from this reverse proxy (127.0.0.1 and ::1 are trusted)")  # fmt: skip
    add("--index", metavar="INDEX", action="append", default=[],
        help="search references in this face index (see `twoface index`); repeat for more")  # fmt: skip
    add("--workers", metavar="N", type=number(int, 1), default=1,
        help="processes (default 1), about 1 GB each, 1.4 with an index")  # fmt: skip


def _serve_options(command: Command) -> None:
    add, parser = command
    add("--model", metavar="PATH", type=Path, help="an ONNX file, or a folder of versions (default: what ships)")
    add("--host", metavar="ADDRESS", default="127.0.0.1", help="default 127.0.0.1; any other needs --api-key")
    add("--port", metavar="N", type=number(int, 0, 65535), default=8000, help="HTTP port (default 8000; 0: any free)")
    add("--grpc-port", metavar="N", type=number(int, 0, 65535), default=8001, help="gRPC port (default 8001)")
    add("--no-grpc", action="store_true", help="HTTP only")
    add("--api-key", metavar="FILE", type=Path, help="keys, one a line, read again when the file changes")
    add("--tls-cert", metavar="FILE.pem", type=Path, help="certificate chain, for HTTPS and gRPC")
    add("--tls-key", metavar="FILE.pem", type=Path, help="its private key")
    cors = "allow browser requests from this origin (default none)"
    add("--cors", metavar="ORIGIN", action="append", default=[], help=cors)
    add("--device", choices=("cpu", "cuda"), default="cpu", help="device of the network (default cpu)")
    add("--threads", metavar="N", type=number(int, 1), help="number of CPU threads (default: all cores)")
    add("--batch-size", metavar="N", type=number(int, 1), default=4, help="largest batch, in crops (default 4)")
    wait = "how long a crop waits for its batch to fill (default 0: batch what is queued)"
    add("--batch-wait-ms", metavar="MS", type=number(float, 0), default=0, help=wait)
    add("--queue", metavar="N", type=number(int, 1), default=64, help="queue length, in crops (default 64)")
    add("--rows", metavar="N", type=number(int, 1, 256), default=16, help="most crops in one request (default 16)")
    add("--timeout", metavar="S", type=number(float, 0.001), default=60, help="time limit of a request (default 60)")
    drain = "time to finish running requests at shutdown (default 30)"
    add("--drain", metavar="S", type=number(float, 0), default=30, help=drain)
    add("--photo-workers", metavar="N", type=number(int, 0), default=1,
        help="processes of the photo API (default 1), about 0.5 GB each")  # fmt: skip
    add("--index", metavar="INDEX", help="a face index (see `twoface index`): adds POST /v1/references")
    add("--replicas", metavar="N[:MAX]", type=_replicas, help="number of replicas on Ray Serve (needs the extra scale)")


def _replicas(text: str) -> tuple[int, int]:
    """A count, or a range "1:4" -> (fewest, most)."""
    first, colon, second = text.partition(":")
    count = number(int, 1, 1000)
    fewest, most = count(first), count(second if colon else first)
    if most < fewest:
        raise argparse.ArgumentTypeError(f"{text}: the second number is below the first")
    return fewest, most
