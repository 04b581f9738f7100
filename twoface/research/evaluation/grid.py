"""A picture of many pictures: one row for each pair, a labelled column for each kind."""

from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from twoface.core.arrays import Picture

SCALE = 2
GAP = 4  # px between cells
HEADER = 28  # px for the labels


def draw_grid(rows: Sequence[Mapping[str, Picture]], scale: int = SCALE) -> Picture:
    """rows: [{label: uint8 (H, W, 3)}], all with the same labels and sizes -> uint8 RGB, `scale` times as large."""
    labels = list(rows[0])
    height, width = (scale * side for side in rows[0][labels[0]].shape[:2])
    sheet = Image.new("RGB", ((width + GAP) * len(labels) + GAP, (height + GAP) * len(rows) + HEADER + GAP), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(16)
    for x, label in enumerate(labels):
        left = GAP + x * (width + GAP)
        draw.text((left + width / 2, HEADER / 2), label, "black", font, anchor="mm")
        for y, row in enumerate(rows):
            cell = Image.fromarray(np.ascontiguousarray(row[label])).resize((width, height), Image.Resampling.BICUBIC)
            sheet.paste(cell, (left, HEADER + y * (height + GAP)))
    return np.asarray(sheet)
