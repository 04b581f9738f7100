"""The samples with something in the way, and the page's before and after: drawn over photo.jpg, filled by our network.

    python samples/make.py

Writes sunglasses.jpg and scratch.jpg beside itself, and before.webp and after.webp into the page's img/.
"""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from twoface.core.inpainter import Inpainter

HERE = Path(__file__).parent
PAGE = HERE.parent / "twoface" / "web" / "static" / "img"
FINE = 4  # drawn so many times larger, for smooth edges
FACE = (146, 20, 306, 180)  # of photo.jpg: what the page shows of it
LENSES = ((183, 92, 219, 110), (229, 92, 265, 110))
BRIDGE, TEMPLES = [(218, 99), (224, 96), (230, 99)], ([(184, 98), (178, 97)], [(264, 98), (271, 97)])


def main() -> None:
    photo = Image.open(HERE / "photo.jpg").convert("RGB")
    worn = sunglasses(photo)
    worn.save(HERE / "sunglasses.jpg", quality=90)
    scratch(photo).save(HERE / "scratch.jpg", quality=90)
    mask = np.array(lenses(photo.size, grow=4)) >= 128
    filled = Inpainter.load().fill(np.array(worn), mask=mask, reference=HERE / "reference.jpg")
    print(filled.identity)
    for name, picture in (("before", worn), ("after", Image.fromarray(filled.photo.pixels))):
        picture.crop(FACE).resize((336, 336), Image.Resampling.LANCZOS).save(PAGE / f"{name}.webp", quality=80)


def sunglasses(photo: Image.Image) -> Image.Image:
    """Dark lenses with a soft light on them, a bridge and temples."""
    size = (FINE * photo.width, FINE * photo.height)
    frame = Image.new("L", size)
    draw = ImageDraw.Draw(frame)
    for bar in (BRIDGE, *TEMPLES):
        draw.line(_fine(bar), 255, 3 * FINE, joint="curve")
    frame = frame.resize(photo.size, Image.Resampling.LANCZOS)
    rows = np.linspace(70, 18, photo.height)[:, None, None]
    glass = Image.fromarray(np.broadcast_to(rows * (0.9, 0.95, 1.1), (photo.height, photo.width, 3)).astype(np.uint8))
    worn = Image.composite(Image.new("RGB", photo.size, (22, 20, 20)), photo, frame)
    worn = Image.composite(Image.new("RGB", photo.size, (22, 20, 20)), worn, lenses(photo.size, grow=1.5))
    return Image.composite(glass, worn, lenses(photo.size, grow=0))


def lenses(size: tuple[int, int], grow: float) -> Image.Image:
    """The lenses, `grow` pixels larger all around, with more than 2 the bridge and the temples too -> mask."""
    mask = Image.new("L", (FINE * size[0], FINE * size[1]))
    draw = ImageDraw.Draw(mask)
    for x0, y0, x1, y1 in LENSES:
        box = _fine([(x0 - grow, y0 - grow), (x1 + grow, y1 + grow)])
        draw.rounded_rectangle(box, (8 + grow) * FINE, 255)
    if grow > 2:
        for bar in (BRIDGE, *TEMPLES):
            draw.line(_fine(bar), 255, round((3 + 2 * grow) * FINE), joint="curve")
    return mask.resize(size, Image.Resampling.LANCZOS)


def scratch(photo: Image.Image) -> Image.Image:
    """A white scratch across nose and mouth, and a brown stain on the cheek."""
    size = (FINE * photo.width, FINE * photo.height)
    line = Image.new("L", size)
    rng = np.random.default_rng(4)
    along = np.linspace(0, 1, 40)
    bend = np.cumsum(rng.normal(0, 0.8, len(along)))
    places = list(zip(252 - 46 * along + bend, 84 + 88 * along, strict=True))
    widths = rng.uniform(1.6, 3.6, len(places) - 1)
    for start, end, width in zip(places, places[1:], widths, strict=False):
        ImageDraw.Draw(line).line(_fine([start, end]), 255, round(width * FINE))
    stain = Image.new("L", size)
    for _ in range(14):
        x, y, reach = rng.normal(196, 5), rng.normal(126, 4), rng.uniform(3, 7)
        ImageDraw.Draw(stain).ellipse(_fine([(x - reach, y - reach), (x + reach, y + reach)]), 225)
    stain = stain.filter(ImageFilter.GaussianBlur(1.2 * FINE)).resize(photo.size, Image.Resampling.LANCZOS)
    stained = Image.composite(Image.new("RGB", photo.size, (96, 62, 34)), photo, stain)
    line = line.filter(ImageFilter.GaussianBlur(0.4 * FINE)).resize(photo.size, Image.Resampling.LANCZOS)
    return Image.composite(Image.new("RGB", photo.size, (236, 232, 224)), stained, line)


def _fine(places: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    return [(FINE * x, FINE * y) for x, y in places]


if __name__ == "__main__":
    main()
