"""Holes with the shape of a part of the face against the boxes that they were: a blind panel of both.

    python benchmarks/holes.py PHOTOS OUT [--before old.onnx] [--after new.onnx] [--seed 11]

Draws a panel's tasks (`twoface.research.evaluation.panel`), fills each twice, eyes, mouth, nose and lower face once as
a box and once by the mesh, and mixes the fills: rate OUT/sheet-NN.png, then `twoface evaluate --panel-score
OUT/ratings.csv`. In decibels: `twoface evaluate --hole eyes`, and `--hole 26,42,102,70`, the box.
"""

import argparse
import json
from pathlib import Path

import cv2
import numpy as np

from twoface.core.affine import apply, invert
from twoface.core.files import write_aside
from twoface.core.frame import Frame
from twoface.research.evaluation.panel import TASKS, draw_tasks, make_fills
from twoface.research.evaluation.rating import mix

BOXES = {"eyes": (26, 42, 102, 70), "nose": (49, 59, 79, 87), "mouth": (42, 84, 86, 106), "lower": (19, 70, 109, 124)}
ROOM = 1.2  # as of the panel: the square shown, in sides of the crop frame


def boxed(task):
    """The task with the box, in crop pixels, that its hole was."""
    if task["hole"] not in BOXES:
        return task
    view = Frame.of(task["view"])
    frame = Frame(view.x, view.y, view.side / ROOM, view.angle)
    x0, y0, x1, y1 = BOXES[task["hole"]]
    corners = apply(invert(frame.transform()), [(x0, y0), (x1, y0), (x1, y1), (x0, y1)])
    return task | {"polygons": [np.round(corners, 1).tolist()]}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--before", type=Path)
    parser.add_argument("--after", type=Path)
    parser.add_argument("--seed", type=int, default=11)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    marked = Path(__file__).parent / "occluders.json"
    tasks = draw_tasks(options.photos, marked, seed=options.seed)
    folders = [options.out / "boxes", options.out / "parts"]
    make_fills(folders[0], options.photos, [boxed(task) for task in tasks], options.before, force=True)
    make_fills(folders[1], options.photos, tasks, options.after, force=True)
    about = json.loads((folders[0] / TASKS).read_text()) | {"tasks": tasks}  # the panel joins the two by them
    write_aside(folders[0] / TASKS, (json.dumps(about, indent=1) + "\n").encode(), force=True)
    print(mix(options.out, folders, options.seed, force=True))


if __name__ == "__main__":
    main()
