"""The tables of docs/formats.md, made anew from what the code does and compared."""

import io
from pathlib import Path

import numpy as np
import pillow_heif
from PIL import Image
from test_formats import ALPHA, DEEP, IRB, PIXELS, cicp, deep_png, deep_tiff, encoded

from twoface.core import colour
from twoface.core.formats import jpeg, png
from twoface.core.images import encode_photo, losses, read_photo
from twoface.core.metadata import GENERATED

PAGE = Path(__file__).parents[2] / "docs" / "formats.md"
FORMATS = ("PNG", "TIFF", "JPEG", "WEBP")
LOSSLESS = ("PNG", "TIFF")
WIDE = colour.of_cicp(12, 4).icc


def heic(bits):
    name, samples = ("RGB", PIXELS) if bits == 8 else ("RGB;16", DEEP)
    buffer = io.BytesIO()
    pillow_heif.from_bytes(name, PIXELS.shape[1::-1], samples.tobytes()).save(buffer, quality=90)
    return buffer.getvalue()


def kinds():
    """What people have -> bytes of a file."""
    image = Image.fromarray(PIXELS)
    return {
        "two tones (1 bit)": encoded(image.convert("1")),
        "grey": encoded(PIXELS[..., 0]),
        "grey, alpha": encoded(np.dstack([PIXELS[..., 0], ALPHA])),
        "grey, 16 bits": deep_png(DEEP[..., 0]),
        "grey, 16 bits, alpha": deep_png(DEEP[..., :2]),
        "palette (GIF, PNG)": encoded(image.quantize(32)),
        "RGB": encoded(PIXELS),
        "RGB, alpha": encoded(np.dstack([PIXELS, ALPHA])),
        "RGB, 16 bits": deep_tiff(DEEP, "RGB"),
        "RGB with a profile": encoded(PIXELS, icc_profile=WIDE),
        "RGB, P3 by cICP or nclx": png.join(encoded(PIXELS), [cicp(12, 13)]),
        "RGB, HDR (PQ, HLG), 16 bits": deep_png(DEEP, cicp(9, 16)),
        "CMYK": encoded(image.convert("CMYK"), "TIFF"),
        "Lab": encoded(Image.new("LAB", (64, 48), (90, 20, 5)), "TIFF"),
        "HEIC": heic(8),
        "HEIC, 10 bits": heic(10),
        "AVIF": encoded(PIXELS, "AVIF"),
        "WebP": encoded(PIXELS, "WEBP"),
        "BMP": encoded(PIXELS, "BMP"),
        "JPEG": encoded(PIXELS, "JPEG"),
    }


def outcome(photo, form):
    """One cell: what a file of a format is when it is read again."""
    after = read_photo(encode_photo(photo, form))
    one, two = photo.original, after.original
    mode = two.mode + ("A" if after.alpha is not None else "")
    words = [f"{mode} {two.depth}"]
    if form in LOSSLESS:
        same = one.samples.shape == two.samples.shape and np.array_equal(one.samples, two.samples)
        words.append("exact" if same else "same colours" if np.array_equal(photo.pixels, after.pixels) else "converted")
    if two.colour.space is not None and not (two.mode == "CMYK" and two.colour.icc is None):
        words.append("tag" if two.colour.chunks else "profile")
    elif one.colour.space is not None and two.mode != "CMYK":
        words.append("now sRGB")
    return ", ".join(words) + (" (said)" if losses(photo, form) or photo.notes else "")


def metadata():
    """What a file says beside its picture -> a photo that says it, and how to see it in another."""
    exif = Image.Exif()
    exif[0x010F] = "A camera"
    options = {"comment": b"words", "dpi": (300, 300), "extra": jpeg.irb_segment(IRB), "exif": exif}
    camera = read_photo(encoded(PIXELS, "JPEG", icc_profile=WIDE, **options))
    texts = read_photo(png.join(encoded(PIXELS), [(b"tEXt", b"Title\0words")]))
    return {
        "EXIF, its thumbnail blank and its orientation 1": (camera, lambda after: b"A camera" in (after.exif or b"")),
        "ICC profile": (camera, lambda after: after.original.colour.icc == WIDE),
        "XMP, and in it that a part was generated": (camera, lambda after: GENERATED.encode() in after.xmp),
        "IPTC (APP13)": (camera, lambda after: after.irb == IRB),
        "comment": (camera, lambda after: after.comment == b"words"),
        "resolution (dpi)": (camera, lambda after: after.dpi is not None),
        "other text chunks of a PNG": (texts, lambda after: bool(after.texts)),
    }


def tables():
    head = ["PNG", "TIFF", "JPEG", "WebP"]
    rows = [["given", *head], ["---"] * 5]
    for name, data in kinds().items():
        photo = read_photo(data)
        rows.append([name, *(outcome(photo, form) for form in FORMATS)])
    said = [["said in the file", *head], ["---"] * 5]
    for name, (photo, has) in metadata().items():
        after = (read_photo(encode_photo(photo, form)) for form in FORMATS)
        said.append([name, *("kept" if has(one) else "left out, said" for one in after)])
    return ["\n".join(f"| {' | '.join(row)} |" for row in table) for table in (rows, said)]


def test_the_tables_of_the_page_are_true():
    page = PAGE.read_text()
    for table in tables():
        assert table in page, f"docs/formats.md should have\n{table}"


def test_what_is_left_out_is_said():
    for photo, has in metadata().values():
        for form in FORMATS:
            assert has(read_photo(encode_photo(photo, form))) or losses(photo, form)
