"""FaceNet's port against OpenCV's reading of the original graph, and that frozen networks stay frozen."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from twoface.core.mtcnn import Mtcnn
from twoface.research.models.facenet import FaceNet
from twoface.research.models.facenet_graph import BatchEmbedder, embedding_view
from twoface.research.models.pretrained import cached, weights
from twoface.research.models.vgg import LAYERS, VGG16

SAMPLES = Path(__file__).parents[3] / "samples"


@pytest.fixture(scope="module")
def facenet():
    return FaceNet(weights("facenet-casia"))


def test_port_agrees_with_the_original_graph(facenet):
    views = []
    for name in ("photo.jpg", "reference.jpg", "stranger.jpg"):
        photo = cv2.imread(str(SAMPLES / name))[:, :, ::-1]
        face = Mtcnn().detect(photo)[0]
        views.append(embedding_view(face.frame.crop(photo)))
    views = np.stack(views)
    original = BatchEmbedder(1).embed(views)
    with torch.no_grad():
        ours = facenet(torch.from_numpy(views).permute(0, 3, 1, 2).float() / 255).numpy()
    assert (1 - (original * ours).sum(1)).max() < 1e-3
    assert ours[0] @ ours[1] > ours[0] @ ours[2] + 0.2  # the same person, and not


def test_facenet_stays_in_eval_and_has_nothing_to_train(facenet):
    parent = torch.nn.ModuleList([facenet]).train()
    assert not any(module.training for module in parent[0].modules())
    assert list(facenet.parameters()) == []


def test_identity_gradient_reaches_the_picture(facenet):
    picture = torch.rand(1, 3, 160, 160, requires_grad=True)
    facenet(picture)[0, 0].backward()
    assert picture.grad.abs().sum() > 0


@pytest.mark.weights
@pytest.mark.skipif(not cached("vgg16-edges").exists(), reason="VGG16's weights are not in the cache folder")
def test_vgg_features():
    vgg = VGG16(weights("vgg16-edges"))
    parent = torch.nn.ModuleList([vgg]).train()
    assert not any(module.training for module in parent[0].modules())
    assert not any(p.requires_grad for p in vgg.parameters())
    picture = torch.rand(1, 3, 64, 64, requires_grad=True)
    features = vgg(picture)
    assert [tuple(f.shape[1:]) for f in features] == [(64, 64, 64), (128, 32, 32), (256, 16, 16)]
    assert LAYERS[9] == "pool3" and vgg(picture, ("pool3", "conv4_3", "pool5"))[2].shape == (1, 512, 2, 2)
    features[2].sum().backward()
    assert picture.grad.abs().sum() > 0
