"""What the words on how real a fill may look are worth: the panel's ratings with and without each reason.

    python benchmarks/outlook.py PHOTOS [--panel benchmarks/panel] [--model FILE]

PHOTOS are the photos of a panel, whose ratings of the last of its networks count. The limits were chosen on
benchmarks/panel; benchmarks/panel_holes, rated later, is a test of them.
"""

import argparse
import csv
import json
from pathlib import Path

import numpy as np

from twoface.core.images import read_photo
from twoface.core.inpainter import Inpainter
from twoface.core.outlook import TEXTS
from twoface.research.evaluation.panel import read_tasks, task_mask


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--panel", type=Path, default=Path(__file__).parent / "panel")
    parser.add_argument("--model", type=Path)
    options = parser.parse_args()
    photos, panel = options.photos, options.panel
    key = json.loads((panel / "key.json").read_text())
    tasks, newest = read_tasks(panel / "tasks.json")["tasks"], len(key["networks"]) - 1
    with open(panel / "ratings.csv", newline="") as file:
        ratings = {row["number"]: float(row["rating"]) for row in csv.DictReader(file)}
    engine, rated = Inpainter.load(options.model), []
    for number, entry in key["entries"].items():
        if entry["model"] == newest and number in ratings:
            task = tasks[entry["task"]]
            photo = read_photo(photos / task["photo"])
            filled = engine.fill(photo, mask=task_mask(task, photo.pixels.shape), reference=photos / task["reference"])
            rated.append((ratings[number], filled.outlook.reasons))
    values = np.array([rating for rating, _ in rated])
    print(f"{len(rated)} fills, mean {values.mean():.2f}\n| reason | with | without |\n|---|---|---|")
    for reason in TEXTS:
        has = np.array([reason in reasons for _, reasons in rated])
        if has.any():
            print(f"| {reason} | {_told(values[has])} | {_told(values[~has])} |")
    counts = np.array([len(reasons) for _, reasons in rated])
    print("| reasons | rated |\n|---|---|")
    for name, there in (("none", counts == 0), ("one", counts == 1), ("more", counts > 1)):
        print(f"| {name} | {_told(values[there])} |")


def _told(values):
    return f"{values.mean():.2f} ({len(values)}; {np.mean(values <= 2):.0%} are 1 or 2)" if len(values) else "none"


if __name__ == "__main__":
    main()
