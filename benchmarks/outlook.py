"""What the words on how real a fill may look are worth: the panel's ratings with and without each reason.

    python benchmarks/outlook.py PHOTOS

PHOTOS are the photos of the panel in benchmarks/panel, whose ratings of the newest network count.
"""

import argparse
import csv
import json
from pathlib import Path

import numpy as np

from twoface.engine import Inpainter
from twoface.evaluation.panel import read_tasks, task_mask
from twoface.images import read_photo
from twoface.outlook import TEXTS

PANEL = Path(__file__).parent / "panel"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    photos = parser.parse_args().photos
    key = json.loads((PANEL / "key.json").read_text())
    tasks, newest = read_tasks(PANEL / "tasks.json")["tasks"], len(key["networks"]) - 1
    with open(PANEL / "ratings.csv", newline="") as file:
        ratings = {row["number"]: float(row["rating"]) for row in csv.DictReader(file)}
    engine, rated = Inpainter.load(), []
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
