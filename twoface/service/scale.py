"""The same app on Ray Serve: several replicas on one machine or many, more of them under load, Ray's dashboard.

`twoface serve --replicas` starts a Ray of its own on this machine; deploy/ray/serve.yaml names `app` for a Ray that
runs on many. docs/scaling.md tells both.
"""

import logging
import os
import signal
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

# Read at the import: Ray takes SIGTERM for a crash, and on a busy machine ends its proxy, which needs longer to start.
os.environ.setdefault("RAY_DISABLE_FAILURE_SIGNAL_HANDLER", "1")
os.environ.setdefault("RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S", "60")

import ray
from fastapi import FastAPI
from ray import serve
from tritonclient.grpc import service_pb2, service_pb2_grpc

from twoface.core.errors import InputError, TwoFaceError
from twoface.core.workers import cores_each
from twoface.service.app import build_app
from twoface.service.closing import Closable, Closing, close, has_left, leave
from twoface.service.logs import configure_logs
from twoface.service.oip_grpc import InferenceServicer
from twoface.service.settings import Settings
from twoface.service.tracing import start_tracing
from twoface.serving.connections import bind

NAME = "twoface"
PATHS = ("model", "api_keys")

log = logging.getLogger(__name__)
sys.modules.setdefault("grpc_service_pb2", service_pb2)  # the messages say that they come from there; Ray pickles them


def add_servicer(servicer: Any, server: Any) -> None:
    """What Ray's gRPC proxy calls to learn the methods: named in its `grpc_servicer_functions`."""
    service_pb2_grpc.add_GRPCInferenceServiceServicer_to_server(servicer, server)


class Replica(InferenceServicer):
    """One process with an engine. Ray's proxies hand it HTTP requests for its app, and gRPC messages by method.

    folder: by which it is told of the end, as of `Closing`.
    """

    def __init__(self, settings: Settings, folder: str | None = None) -> None:
        configure_logs()
        start_tracing()
        self.closing = Closing(folder)
        self._built = build_app(settings)
        self._built.add_middleware(Closable, closing=self.closing)
        state = self._built.state
        super().__init__(state.engine, state.metrics, settings, state.keys)

    def __serve_build_asgi_app__(self) -> FastAPI:
        return self._built

    def check_health(self) -> None:
        """What Ray asks now and then: it replaces a replica that raises."""
        self.closing.tell()
        if not self.engine.ready:
            raise TwoFaceError("the network fails, or is stuck: the log says why")


def application(settings: Settings, fewest: int, most: int, folder: str | None = None) -> serve.Application:
    """The app as Ray Serve runs it -> Application. fewest, most: replicas; in between, as many as the load asks for.

    Each takes `settings.threads` cores for itself. It is the replica that says when there is too much, as without Ray.
    """
    deployment = serve.deployment(
        serve.ingress()(Replica),
        name=NAME,
        ray_actor_options={"num_cpus": settings.threads},
        autoscaling_config={
            "min_replicas": fewest,
            "max_replicas": most,
            "target_ongoing_requests": settings.batch_size,
        },
        max_ongoing_requests=settings.concurrency,
        graceful_shutdown_timeout_s=settings.drain,
        health_check_period_s=2,
        logging_config={"enable_access_log": False},  # the app has its own
    )
    return deployment.bind(settings, folder)


def app(options: dict[str, Any]) -> serve.Application:
    """What deploy/ray/serve.yaml names -> Application. options: "replicas", [fewest, most], and fields of `Settings`.

    A cluster can be reached by others, so "api_keys" is needed. Raises InputError.
    """
    options = dict(options)
    fewest, most = options.pop("replicas", (1, 1))
    given: dict[str, Any] = {name: Path(value) if name in PATHS else value for name, value in options.items()}
    return application(Settings(**{"host": "0.0.0.0", "threads": 1, **given}), fewest, most)


def check(settings: Settings) -> None:
    """Raise InputError for what Ray's proxies cannot do as we say, TwoFaceError for a port that is taken."""
    if settings.tls_cert:
        raise InputError("--replicas has no TLS: end it in a proxy in front, which reaches this on 127.0.0.1")
    if 0 in (settings.port, settings.grpc_port):
        raise InputError("--replicas needs a --port and a --grpc-port that are not 0")
    if settings.grpc_port is not None and not settings.api_keys:
        raise InputError("Ray's gRPC port can be reached by others: give --api-key FILE, or --no-grpc")
    bind(settings.host, settings.port).close()
    if settings.grpc_port is not None:
        bind("0.0.0.0", settings.grpc_port).close()


def start_doors(settings: Settings) -> None:
    """Start Ray's proxies."""
    http = {"host": settings.host, "port": settings.port, "request_timeout_s": settings.timeout}
    grpc = {"port": settings.grpc_port, "grpc_servicer_functions": ["twoface.service.scale.add_servicer"]}
    serve.start(http_options=http, grpc_options=None if settings.grpc_port is None else grpc)


def serve_replicas(settings: Settings, fewest: int, most: int) -> None:
    """Run a Ray of our own with that many replicas until SIGTERM or SIGINT; what was accepted is answered.

    Raises as `check`.
    """
    check(settings)
    configure_logs()
    threads = settings.threads or cores_each(most)
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):  # from the start: Ray's processes would outlive one that is cut off
        signal.signal(number, lambda *_: stopped.set())
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(1) as aside:
        try:
            # In the main thread Ray would put a handler of its own in the place of ours.
            aside.submit(ray.init, address="local", dashboard_host="127.0.0.1").result()
            if not stopped.is_set():
                start_doors(settings)
                serve.run(application(replace(settings, threads=threads), fewest, most, folder), name=NAME)
                log.info("serving on %s, HTTP port %s, gRPC port %s", settings.host, settings.port, settings.grpc_port)
                stopped.wait()
                close(folder, _running(), settings.drain)
                _leave_doors(settings.drain)
                log.info("drained")
        finally:
            if ray.is_initialized():
                serve.shutdown()
            ray.shutdown()


def _leave_doors(seconds: float) -> None:
    """Have Ray's proxies close their ports and answer what they have accepted; when they are ended, that is reset."""
    actors = ray.util.list_named_actors(all_namespaces=True)
    proxies = [ray.get_actor(**actor) for actor in actors if actor["name"].startswith("SERVE_PROXY_ACTOR")]
    end = time.monotonic() + seconds
    try:
        ray.get([proxy.__ray_call__.remote(leave, seconds) for proxy in proxies])
        while time.monotonic() < end and not all(ray.get([proxy.__ray_call__.remote(has_left) for proxy in proxies])):
            time.sleep(0.1)
    except ray.exceptions.RayError as error:  # these are no public parts of Ray
        log.warning("Ray's doors could not be closed before its end: %s", error)


def _running() -> int:
    """How many replicas there are."""
    deployments = serve.status().applications[NAME].deployments.values()
    return sum(deployment.replica_states.get("RUNNING", 0) for deployment in deployments)
