"""The doors of `twoface serve` as the benchmarks call them: what is sent, and what must come back.

The picture of a caller is made up from its number; `right` compares an answer with what the network itself makes of it.
"""

import functools
import http.client
import io
import json
import uuid
from pathlib import Path

import cv2
import grpc
import numpy as np
from PIL import Image
from tritonclient.grpc import service_pb2, service_pb2_grpc

from twoface.core.mesh import Mesher
from twoface.core.network import FillModel
from twoface.service.tensors import check, generated, with_registered

SAMPLES = Path(__file__).parent.parent / "samples"
MODEL = "two_face_model"
TOLERANCE = 1.01 / 255


class Pictures:
    """Crops by number, and the right answer to each by the network that is served; `served`: the options for that."""

    def __init__(self, model):
        self.served = ["--model", str(model)] if model else []
        self._network, self._mesher = FillModel(model), Mesher()
        self.crops = functools.cache(self._crops)
        self.answer = functools.cache(self._answer)

    def _crops(self, number):
        rng = np.random.default_rng(number)
        smooth = [cv2.resize(rng.random((8, 8, 3), np.float32), (128, 128)).clip(0, 1) for _ in range(2)]
        image, reference = (np.rint(picture.transpose(2, 0, 1)[None] * 255) / np.float32(255) for picture in smooth)
        image[:, :, 48:80, 48:80] = 0
        return check(image, None, reference, rows=1)

    def _answer(self, number):
        crops = with_registered(self._crops(number), self._mesher, self._network)
        return generated(crops, self._network.run(crops.image, crops.mask, crops.reference, crops.trust)["fill"])

    def right(self, number, picture):
        """Whether a picture, (1, 3, 128, 128), is the answer to that number."""
        return picture.shape == (1, 3, 128, 128) and np.abs(picture - self.answer(number)).max() <= TOLERANCE


class Rest:
    """One caller with a connection of its own; `ask` -> (whether it was answered, the body), and the `status`."""

    method, path, headers = "POST", "", {}

    def __init__(self, server, pictures, number):
        self.pictures, self.number = pictures, number
        self._address, self._key = ("127.0.0.1", server.port), server.headers
        self._connection = None
        self.body = self.make()

    def ask(self):
        """Raises OSError or HTTPException where nobody answers."""
        if self._connection is None:
            self._connection = http.client.HTTPConnection(*self._address, timeout=120)
        try:
            self._connection.request(self.method, self.path, self.body, {**self.headers, **self._key})
            answer = self._connection.getresponse()
            self._length = answer.headers.get("inference-header-content-length")
            self.status = answer.status
            return answer.status == 200, answer.read()
        except (OSError, http.client.HTTPException):
            self.close()
            raise

    def close(self):
        if self._connection:
            self._connection.close()
            self._connection = None


class TfServing(Rest):
    path = f"/v1/models/{MODEL}:predict"

    def make(self):
        return self.make_body(self.pictures.crops(self.number))

    @staticmethod
    def make_body(crops):
        """As the thesis' clients: nested lists of every digit that a value has."""
        nhwc = {"masked_image": crops.image, "reference_image": crops.reference}
        return json.dumps({"inputs": {k: v.transpose(0, 2, 3, 1).tolist() for k, v in nhwc.items()}}).encode()

    def right(self, answer):
        picture = np.array(json.loads(answer)["outputs"], np.float32).transpose(0, 3, 1, 2)
        return self.pictures.right(self.number, picture)


class OipJson(Rest):
    path = f"/v2/models/{MODEL}/infer"

    def make(self):
        crops = self.pictures.crops(self.number)
        inputs = [
            {"name": k, "datatype": "FP32", "shape": v.shape, "data": v.ravel().tolist()}
            for k, v in {"image": crops.image, "reference": crops.reference}.items()
        ]
        return json.dumps({"inputs": inputs, "outputs": [{"name": "generated"}]}).encode()

    def right(self, answer):
        output = json.loads(answer)["outputs"][0]
        return self.pictures.right(self.number, np.array(output["data"], np.float32).reshape(output["shape"]))


class OipBinary(Rest):
    path = f"/v2/models/{MODEL}/infer"

    def make(self):
        crops = self.pictures.crops(self.number)
        arrays = {"image": crops.image, "reference": crops.reference}
        inputs = [
            {"name": k, "datatype": "FP32", "shape": v.shape, "parameters": {"binary_data_size": v.nbytes}}
            for k, v in arrays.items()
        ]
        outputs = [{"name": "generated", "parameters": {"binary_data": True}}]
        head = json.dumps({"inputs": inputs, "outputs": outputs}).encode()
        self.headers = {"inference-header-content-length": str(len(head))}
        return head + b"".join(array.tobytes() for array in arrays.values())

    def right(self, answer):
        picture = np.frombuffer(answer[int(self._length) :], np.float32)
        return picture.size == 3 * 128 * 128 and self.pictures.right(self.number, picture.reshape(1, 3, 128, 128))


class OipGrpc:
    """As `Rest`, over gRPC."""

    def __init__(self, server, pictures, number):
        self.pictures, self.number = pictures, number
        options = [("grpc.use_local_subchannel_pool", 1)]  # a connection for each caller, as for HTTP
        self._channel = grpc.insecure_channel(f"127.0.0.1:{server.grpc_port}", options)
        self._infer = service_pb2_grpc.GRPCInferenceServiceStub(self._channel).ModelInfer
        self._metadata = tuple(server.headers.items())
        crops = pictures.crops(number)
        self._request = service_pb2.ModelInferRequest(model_name=MODEL)
        for name, array in {"image": crops.image, "reference": crops.reference}.items():
            self._request.inputs.add(name=name, datatype="FP32", shape=array.shape)
            self._request.raw_input_contents.append(array.tobytes())
        self._request.outputs.add(name="generated")

    def ask(self):
        try:
            return True, self._infer(self._request, timeout=120, metadata=self._metadata)
        except grpc.RpcError as error:
            return False, error.code().name.encode()

    def right(self, answer):
        picture = np.frombuffer(answer.raw_output_contents[0], np.float32)
        return self.pictures.right(self.number, picture.reshape(answer.outputs[0].shape))

    def close(self):
        self._channel.close()


class Photo(Rest):
    """The sample photo, its eyes filled from the sample reference; every answer must be the same."""

    path = "/v1/fill"
    first = {}  # answers by server

    def make(self):
        limit = uuid.uuid4().hex
        self.headers = {"content-type": f"multipart/form-data; boundary={limit}"}
        files = {"photo": "photo.jpg", "references": "reference.jpg"}
        parts = [
            f'--{limit}\r\nContent-Disposition: form-data; name="{name}"; filename="{file}"\r\n\r\n'.encode()
            + (SAMPLES / file).read_bytes()
            for name, file in files.items()
        ]
        parts.append(f'--{limit}\r\nContent-Disposition: form-data; name="hole"\r\n\r\neyes'.encode())
        return b"\r\n".join([*parts, f"--{limit}--\r\n".encode()])

    def right(self, answer):
        pixels = np.asarray(Image.open(io.BytesIO(answer)))
        return np.array_equal(pixels, self.first.setdefault(self._address, pixels))


DOORS = {
    "v1 JSON (TF Serving)": TfServing,
    "v2 JSON": OipJson,
    "v2 binary REST": OipBinary,
    "v2 gRPC": OipGrpc,
    "photo API": Photo,
}
