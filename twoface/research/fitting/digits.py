"""Makes twoface/weights/digits.safetensors, the classifier by which runs on MNIST are judged, and prints its accuracy.

    python -m twoface.research.fitting.digits MNIST twoface/weights/digits.safetensors

MNIST: the folder of its four files, or a new one to download them into. Trained on the "train" split (54,000 pictures),
seed 0, one thread, in bfloat16; kept in half precision, so that it takes under a megabyte.
"""

import sys

import torch
from safetensors.torch import save
from torch import Tensor, nn

from twoface.core.files import write_aside
from twoface.research.data.mnist import Digits
from twoface.research.models.digits import BATCH, EPOCHS, LR, DigitClassifier, accuracy, train_classifier


def main(data: str, out: str) -> None:
    torch.set_num_threads(1)
    classifier = DigitClassifier()
    classifier.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stubs lack it
    with torch.autocast("cpu", torch.bfloat16, cache_enabled=False):  # else it keeps the first step's weights
        train_classifier(classifier, Digits.load(data, "train"))
    weights = {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in _state(classifier)}
    about = {
        "what": "the digit classifier of twoface.research.models.digits",
        "made by": "twoface/research/fitting/digits.py",
        "data": "MNIST, nine tenths of its 60,000 training pictures",
        "training": f"{EPOCHS} epoch of batches of {BATCH}, Adam, rate {LR} at most, seed 0, bfloat16",
        "torch": torch.__version__,
    }
    write_aside(out, save(weights, about), force=True)
    classifier.load_state_dict(weights)
    print(f"{accuracy(classifier, Digits.load(data, 'test')):.2%} of the test set read right")


def _state(classifier: nn.Module) -> list[tuple[str, Tensor]]:
    return [(name, tensor.contiguous()) for name, tensor in classifier.state_dict().items()]


if __name__ == "__main__":
    main(*sys.argv[1:])
