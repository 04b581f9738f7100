import threading

import grpc
import numpy as np
import pytest
import tritonclient.grpc as triton
from fakes import until
from google.protobuf.descriptor_pool import DescriptorPool
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase
from serving import expected, network_file, on_loop, pictures, running
from tritonclient.grpc import service_pb2, service_pb2_grpc
from tritonclient.utils import InferenceServerException

MODEL = "two_face_model"


@pytest.fixture
def client(server):
    with triton.InferenceServerClient(server.grpc) as client:
        yield client


@pytest.fixture
def stub(server):
    with grpc.insecure_channel(server.grpc) as channel:
        yield service_pb2_grpc.GRPCInferenceServiceStub(channel)


def tensors(**arrays):
    made = []
    for name, array in arrays.items():
        datatype = "UINT8" if array.dtype == np.uint8 else "FP32"
        made.append(triton.InferInput(name, array.shape, datatype).set_data_from_numpy(array))
    return made


def test_tritonclient(client):
    image, reference = pictures(3)
    outputs = [triton.InferRequestedOutput(name) for name in ("generated", "weight")]
    answer = client.infer(MODEL, tensors(image=image, reference=reference), outputs=outputs, request_id="one")
    np.testing.assert_array_equal(answer.as_numpy("generated"), expected(image, reference))
    assert answer.as_numpy("weight").shape == (3, 1, 32, 32)
    said = answer.get_response()
    assert (said.id, said.model_name, said.model_version) == ("one", MODEL, "1")
    assert len(client.infer(MODEL, tensors(image=image)).get_response().outputs) == 7


def test_bytes_in_bytes_out(client):
    image, reference = ((array * 255).astype(np.uint8) for array in pictures())
    mask = np.zeros((1, 1, 128, 128), np.uint8)
    mask[:, :, 60:70] = 255
    picture = client.infer(MODEL, tensors(image=image, mask=mask, reference=reference)).as_numpy("generated")
    assert picture.dtype == np.uint8
    np.testing.assert_array_equal(picture, np.where(mask, reference, image))


def request(**changes):
    """A ModelInferRequest with typed contents, which tritonclient does not send."""
    image = changes.pop("image", pictures()[0])
    field = "uint_contents" if image.dtype == np.uint8 else "fp32_contents"
    datatype = "UINT8" if image.dtype == np.uint8 else "FP32"
    tensor = {"name": "image", "shape": image.shape, "datatype": datatype, "contents": {field: image.ravel().tolist()}}
    return service_pb2.ModelInferRequest(model_name=MODEL, inputs=[{**tensor, **changes}])


def test_typed_contents(stub):
    image, _ = pictures()
    for given in (image, (image * 255).astype(np.uint8)):
        reply = stub.ModelInfer(request(image=given))
        raw = dict(zip((o.name for o in reply.outputs), reply.raw_output_contents, strict=True))
        assert raw["generated"] == given.tobytes()  # black stays black without a reference


def test_what_the_server_says_of_itself(client):
    assert client.is_server_live() and client.is_server_ready()
    assert client.is_model_ready(MODEL) and client.is_model_ready(MODEL, "1")
    assert client.get_server_metadata().name == "twoface"
    said = client.get_model_metadata(MODEL, "1")
    assert list(said.inputs[0].shape) == [-1, 3, 128, 128] and list(said.versions) == ["1"]
    config = client.get_model_config(MODEL).config
    assert config.max_batch_size == 16 and config.input[2].optional
    assert [output.name for output in config.output][:2] == ["generated", "fill"]


def test_health_service_and_reflection(server):
    with grpc.insecure_channel(server.grpc) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        assert health.Check(health_pb2.HealthCheckRequest()).status == health_pb2.HealthCheckResponse.SERVING
        with pytest.raises(grpc.RpcError) as error:
            health.Check(health_pb2.HealthCheckRequest(service="other"))
        assert error.value.code() == grpc.StatusCode.NOT_FOUND
        pool = DescriptorPool(ProtoReflectionDescriptorDatabase(channel))
        service = pool.FindServiceByName("inference.GRPCInferenceService")
        assert "ModelInfer" in service.methods_by_name


def test_health_may_be_watched(tmp_path):
    said = []

    def listen(watch):
        said.extend(answer.status for answer in watch)

    with running(network_file(tmp_path)) as server, grpc.insecure_channel(server.grpc) as channel:
        health = health_pb2_grpc.HealthStub(channel)
        other = health.Watch(health_pb2.HealthCheckRequest(service="other"))
        assert next(other).status == health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
        other.cancel()
        watch = health.Watch(health_pb2.HealthCheckRequest())
        listener = threading.Thread(target=listen, args=[watch])
        listener.start()
        until(lambda: said)
        engine = server.config.app.state.engine
        on_loop(server, setattr, engine, "_healthy", False)
        until(lambda: len(said) == 2)
        on_loop(server, setattr, engine, "_healthy", True)
        until(lambda: len(said) == 3)
        server.should_exit = True  # which an open stream must not hold up
        listener.join(60)
        server.thread.join(60)
        assert not server.thread.is_alive()
    status = health_pb2.HealthCheckResponse
    assert said == [status.SERVING, status.NOT_SERVING, status.SERVING, status.NOT_SERVING]


def test_statistics_and_index(client):
    before = client.get_inference_statistics(MODEL).model_stats[0]
    client.infer(MODEL, tensors(image=pictures(3)[0]))
    after = client.get_inference_statistics(MODEL, "1").model_stats[0]
    assert after.inference_count == before.inference_count + 3
    assert after.inference_stats.compute_infer.ns > before.inference_stats.compute_infer.ns
    (model,) = client.get_model_repository_index().models
    assert (model.name, model.version, model.state) == (MODEL, "1", "READY")


@pytest.mark.parametrize("arguments", [("other",), (MODEL, "9")])
def test_an_unknown_model_or_version_is_not_found(client, arguments):
    asked = (client.get_model_metadata, client.get_model_config, client.is_model_ready, client.get_inference_statistics)
    for ask in asked:
        with pytest.raises(InferenceServerException, match="no "):
            ask(*arguments)


IMAGE = pictures()[0]


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (service_pb2.ModelInferRequest(model_name=MODEL), "no input image"),
        (request(name="picture"), "unknown input"),
        (request(datatype="BYTES"), "FP32 or UINT8"),
        (request(datatype="UINT8"), "0 numbers in uint_contents"),
        (request(shape=[1, 3, 128]), "must have the shape"),
        (request(shape=[]), "must have the shape"),
        (request(shape=[2, 3, 128, 128]), "its shape makes"),
        (request(shape=[2**62, 3, 128, 128]), "must have the shape"),
        (request(shape=[1] * 10000), "must have the shape"),
        (request(contents={}), "0 numbers"),
        (request(contents={"fp32_contents": [0.5]}), "1 numbers"),
        (request(image=IMAGE * np.nan), "NaN"),
        (request(image=IMAGE + 1), "outside"),
        (request(image=np.full((1, 3, 128, 128), 0.5, np.float32)), "no hole"),
        (request(parameters={"shared_memory_region": {"string_param": "x"}}), "not offered"),
    ],
    ids=range(15),
)
def test_a_bad_message_is_an_invalid_argument(stub, message, text):
    with pytest.raises(grpc.RpcError) as error:
        stub.ModelInfer(message)
    assert error.value.code() == grpc.StatusCode.INVALID_ARGUMENT and text in error.value.details()


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ([b"1234"], "its shape and datatype make"),
        ([IMAGE.tobytes()[:-4]], "its shape and datatype make"),
        ([IMAGE.tobytes()] * 2, "one for each"),
    ],
)
def test_raw_bytes_that_do_not_fit_are_an_invalid_argument(stub, raw, text):
    message = request(contents={})
    message.raw_input_contents.extend(raw)
    with pytest.raises(grpc.RpcError) as error:
        stub.ModelInfer(message)
    assert error.value.code() == grpc.StatusCode.INVALID_ARGUMENT and text in error.value.details()


def test_many_inputs_are_not_all_looked_at(stub):
    message = request()
    message.inputs.extend([message.inputs[0]] * 3 + [service_pb2.ModelInferRequest.InferInputTensor()] * 10000)
    with pytest.raises(grpc.RpcError) as error:
        stub.ModelInfer(message)
    assert error.value.code() == grpc.StatusCode.INVALID_ARGUMENT


def test_a_message_over_the_limit_is_refused_and_the_server_lives(server, stub, client):
    message = request(contents={})
    message.raw_input_contents.append(bytes(20_000_000))
    with pytest.raises(grpc.RpcError) as error:
        stub.ModelInfer(message)
    assert error.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert client.is_server_ready()


def test_a_message_cut_short_is_an_error_and_the_server_lives(server, client):
    whole = request().SerializeToString()
    with grpc.insecure_channel(server.grpc) as channel:
        call = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
        for broken in (whole[:-10], whole[:7], b"\xff" * 40):
            with pytest.raises(grpc.RpcError) as error:
                call(broken)
            assert error.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert client.is_server_ready()


def test_the_port_is_not_shared(server, tmp_path):
    with pytest.raises(Exception, match="cannot listen"), running(network_file(tmp_path), grpc_port=server.grpc_port):
        pass
