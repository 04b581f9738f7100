"""Small stand-ins for the networks that only look on."""

import torch


class SmallVGG(torch.nn.Module):
    """Layers of VGG16's shapes and no more: the pooled picture, its colours mixed at random."""

    SHAPES = {"conv3_1": (4, 256), "pool3": (8, 256), "conv4_3": (8, 512), "pool5": (32, 512)}

    def __init__(self):
        super().__init__()
        rng = torch.Generator().manual_seed(0)
        for name, (_, channels) in self.SHAPES.items():
            self.register_buffer(name, torch.randn(channels, 3, 1, 1, generator=rng), persistent=False)

    def forward(self, picture, names=("conv3_1",)):
        f = torch.nn.functional
        return [f.conv2d(f.avg_pool2d(picture, self.SHAPES[name][0]), getattr(self, name)).relu() for name in names]


class SmallFaceNet(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("head", torch.randn(3 * 64, 16, generator=torch.Generator().manual_seed(0)))

    def forward(self, face):
        features = torch.nn.functional.adaptive_avg_pool2d(face, 8).flatten(1) - 0.5
        return torch.nn.functional.normalize(features @ self.head, dim=1)
