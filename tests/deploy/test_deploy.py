"""deploy/ without a cluster: against the schemas of Kubernetes, and against the server that it starts."""

import re
from pathlib import Path

import kubernetes_validate
import pytest
import yaml
from google.protobuf import text_format
from tritonclient.grpc import model_config_pb2

import twoface
from twoface.cli import _parser
from twoface.core.network import OUTPUT_SHAPES
from twoface.service.app import OPEN_PATHS, build_app
from twoface.service.oip import INPUTS
from twoface.service.settings import Settings

DEPLOY = Path(__file__).parents[2] / "deploy"
KUBERNETES = [*yaml.safe_load_all((DEPLOY / "kubernetes/twoface.yaml").read_text())]
KSERVE = [*yaml.safe_load_all((DEPLOY / "kserve/twoface.yaml").read_text())]
RUNTIME, INFERENCE = KSERVE
POD = KUBERNETES[0]["spec"]["template"]["spec"]
CONTAINERS = {"kubernetes": POD["containers"][0], "kserve": RUNTIME["spec"]["containers"][0]}
PODS = {"kubernetes": POD, "kserve": RUNTIME["spec"]}


@pytest.mark.parametrize("document", KUBERNETES, ids=lambda document: document["kind"])
def test_kubernetes_takes_it(document):
    kubernetes_validate.validate(document, "1.37", strict=True)


@pytest.mark.parametrize("place", CONTAINERS)
def test_the_command_line_is_one_that_serve_takes(place):
    container = CONTAINERS[place]
    assert container["image"] == f"twoface:{twoface.__version__}"
    options = _parser().parse_args(["serve", *container["args"]])
    assert options.api_keys is not None
    ports = {options.port} | (set() if options.no_grpc else {options.grpc_port})
    assert ports == {port["containerPort"] for port in container["ports"]}
    assert str(options.threads) == container["resources"]["requests"]["cpu"]


@pytest.mark.parametrize("place", CONTAINERS)
def test_what_it_mounts_is_there_and_nothing_else_is_written(place):
    container, pod = CONTAINERS[place], PODS[place]
    options = _parser().parse_args(["serve", *container["args"]])
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert mounts.keys() == {volume["name"] for volume in pod["volumes"]}
    assert str(options.api_keys.parent) == mounts["keys"]
    security = container["securityContext"]
    assert security["readOnlyRootFilesystem"] and not security["allowPrivilegeEscalation"]
    assert pod.get("securityContext", security)["runAsNonRoot"]


@pytest.mark.parametrize("place", CONTAINERS)
def test_probes_ask_what_is_there_and_needs_no_key(place):
    paths = build_app(Settings(photo_workers=0)).openapi()["paths"]
    probes = [value["httpGet"] for name, value in CONTAINERS[place].items() if name.endswith("Probe")]
    assert len(probes) >= 2
    for probe in probes:
        assert probe["path"] in paths and probe["path"].startswith(OPEN_PATHS)
        ports = CONTAINERS[place]["ports"]
        assert probe["port"] in {port.get("name") for port in ports} | {port["containerPort"] for port in ports}


def test_parts_point_at_each_other():
    deployment, service, scaler, budget = KUBERNETES
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    for selector in (deployment["spec"]["selector"], budget["spec"]["selector"]):
        assert selector["matchLabels"].items() <= labels.items()
    assert service["spec"]["selector"].items() <= labels.items()
    names = {port["name"] for port in CONTAINERS["kubernetes"]["ports"]}
    assert {port["targetPort"] for port in service["spec"]["ports"]} == names
    assert scaler["spec"]["scaleTargetRef"]["name"] == deployment["metadata"]["name"]
    assert INFERENCE["spec"]["predictor"]["model"]["runtime"] == RUNTIME["metadata"]["name"]
    formats = [known["name"] for known in RUNTIME["spec"]["supportedModelFormats"]]
    assert INFERENCE["spec"]["predictor"]["model"]["modelFormat"]["name"] in formats


def test_kserve_is_told_of_no_protocol_whose_health_is_another():
    assert RUNTIME["spec"]["protocolVersions"] == ["v2"] == [INFERENCE["spec"]["predictor"]["model"]["protocolVersion"]]


def test_a_pod_has_the_time_to_drain():
    options = _parser().parse_args(["serve", *CONTAINERS["kubernetes"]["args"]])
    pause = CONTAINERS["kubernetes"]["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert POD["terminationGracePeriodSeconds"] > pause + options.drain


def test_the_image_runs_serve_without_root_and_torch():
    lines = (DEPLOY / "Dockerfile").read_text().splitlines()
    assert any(re.fullmatch(r"USER \d+:\d+", line) for line in lines) and "torch" not in "".join(lines)
    command = next(line for line in lines if line.startswith("CMD"))
    _parser().parse_args(["serve", *yaml.safe_load(command.removeprefix("CMD"))])
    wanted = (DEPLOY / "Dockerfile.dockerignore").read_text().split("!")[1:]
    assert "ARG EXTRAS=serve" in lines and any('".[$EXTRAS]"' in line for line in lines)
    copied = next(line for line in lines if line.startswith("COPY pyproject"))
    assert {name.split()[0] for name in wanted} == {*copied.split()[1:-1], "twoface"}


def test_ray_names_what_is_there():
    config = yaml.safe_load((DEPLOY / "ray/serve.yaml").read_text())
    pytest.importorskip("ray", reason="pip install -e .[scale]")
    from ray.serve.schema import ServeDeploySchema

    from twoface.service import scale

    ServeDeploySchema.model_validate(config)
    (application,) = config["applications"]
    assert application["import_path"] == "twoface.service.scale:app"
    assert config["grpc_options"]["grpc_servicer_functions"] == [f"twoface.service.scale.{scale.add_servicer.__name__}"]
    deployment = scale.app(application["args"])
    assert deployment is not None


def test_triton_has_the_networks_tensors():
    text = (DEPLOY / "triton/two_face_model/config.pbtxt").read_text()
    config = text_format.Parse(text, model_config_pb2.ModelConfig())
    assert {tensor.name: tuple(tensor.dims) for tensor in config.input} == INPUTS
    assert {tensor.name: tuple(tensor.dims) for tensor in config.output} == OUTPUT_SHAPES
