"""Bytes <-> arrays: file formats, EXIF orientation, colour profiles, the pixel limit.

Reads JPEG, PNG, WebP, HEIC and AVIF; writes JPEG, PNG and WebP.
"""

import functools
import io
import os
import struct
import warnings
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pillow_heif
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from twoface.bands import array_of
from twoface.errors import InputError
from twoface.masks import binarise
from twoface.metadata import mark_generated, upright_exif

# A photo is held in memory several times over (pixels, floats about the hole); 100 MP is beyond today's cameras.
MAX_PIXELS = 100_000_000

_READ = ("JPEG", "PNG", "WEBP", "HEIF", "AVIF")
_WRITE = {".jpg": "JPEG", ".jpeg": "JPEG", ".png": "PNG", ".webp": "WEBP"}
_MAX_SIDE = {"JPEG": 65_500, "PNG": 2**31 - 1, "WEBP": 16_383}
_JPEG_SEGMENT = 65_500  # bytes that EXIF or XMP may take in a JPEG
_EXIF_PREFIX = b"Exif\0\0"
_DAMAGED = (OSError, SyntaxError, ValueError, EOFError, RuntimeError, struct.error, zlib.error)


@dataclass(frozen=True)
class Photo:
    """A decoded photo, upright.

    pixels: uint8 (H, W, 3) RGB, in the colour space of `icc` (None: sRGB).
    alpha: uint8 (H, W) or None.
    icc, exif, xmp: bytes or None; the EXIF as TIFF bytes, its Orientation 1, its thumbnail gone.
    name: of the file, for messages; format: what it was read from, "" when made in memory.
    """

    pixels: np.ndarray
    alpha: np.ndarray | None = None
    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    name: str = "the photo"
    format: str = ""

    @property
    def size(self):
        """(width, height) in pixels."""
        return self.pixels.shape[1], self.pixels.shape[0]


def read_photo(source, max_pixels=MAX_PIXELS, name="the photo"):
    """Decode a photo from a path or from bytes -> Photo.

    name: of what is given as bytes, for messages.
    Grey and CMYK with a profile of their own are converted to sRGB, 16 bits to 8; RGB keeps its pixels and profile.
    Raises InputError when it is missing, not a picture of a known format, damaged, or of more than `max_pixels`.
    """
    image, info, name, form = _decode(source, max_pixels, name)
    exif = info.get("exif")
    exif = upright_exif(exif.removeprefix(_EXIF_PREFIX)) if exif else None
    alpha = None
    if image.has_transparency_data:
        image = image.convert("LA" if image.mode in ("L", "LA", "La", "1") else "RGBA")
        alpha = array_of(image.getchannel("A"))
        image = image.convert(image.mode.removesuffix("A"))
    image, icc = _to_rgb(image, info.get("icc_profile"), name)
    return Photo(array_of(image), alpha, icc, exif, info.get("xmp"), name, form)


def read_mask(source, size, max_pixels=MAX_PIXELS, name="the mask"):
    """Read a hole from a picture of the photo's size -> bool (H, W), True = hole.

    size: (width, height) of the upright photo, None for any. Colours count by their luminance, 128 and above is hole;
    what is transparent counts as black, not hole. name: as of `read_photo`. Raises InputError as that does, and for
    another size.
    """
    image, _, name, _ = _decode(source, max_pixels, name)
    if size is not None and image.size != tuple(size):
        raise InputError(
            f"{name} is {image.width}x{image.height}, the photo {size[0]}x{size[1]}: give a mask of the photo's size"
        )
    if image.mode.startswith("I"):
        return binarise(_eight_bits(image))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "black"), image)
    return binarise(np.array(image.convert("L")))


def output_format(path):
    """JPEG, PNG or WEBP by the file's extension; InputError for any other."""
    suffix = Path(path).suffix.lower()
    if suffix not in _WRITE:
        raise InputError(f"cannot write '{Path(path).name}': name the output .jpg, .png or .webp")
    return _WRITE[suffix]


def encode_photo(photo, format, quality=95, generated=True, effort=4):
    """Encode a Photo with its profile, EXIF and XMP -> bytes.

    format: "PNG" (lossless: the pixels return bit for bit), "JPEG" or "WEBP" (lossy at `quality` 1..100: known pixels
    are those of the photo before encoding, and re-encoded like the rest). JPEG has no transparency: the photo is laid
    on white. generated: say in XMP that a part was made by a network (`twoface.metadata`). effort: 0..9, to make a PNG
    small; more than 4 gains next to nothing.
    Raises InputError when the format cannot hold so large a photo or its metadata.
    """
    if max(photo.size) > _MAX_SIDE[format]:
        raise InputError(f"{format} holds at most {_MAX_SIDE[format]} pixels a side: write .png instead")
    image = Image.fromarray(photo.pixels)
    if photo.alpha is not None:
        image.putalpha(Image.fromarray(photo.alpha))
        if format == "JPEG":
            image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    xmp = mark_generated(photo.xmp) if generated else photo.xmp
    if format == "JPEG" and max(len(photo.exif or b""), len(xmp or b"")) > _JPEG_SEGMENT:
        raise InputError(f"the metadata of {photo.name} is too long for JPEG: write .png or .webp instead")
    options = {
        "JPEG": {"quality": quality, "subsampling": 0, "optimize": True},
        "PNG": {"compress_level": effort},
        "WEBP": {"quality": quality, "exact": True},
    }[format]
    if photo.icc:
        options["icc_profile"] = photo.icc
    if photo.exif:
        options["exif"] = _EXIF_PREFIX + photo.exif
    if xmp and format == "PNG":
        options["pnginfo"] = _png_xmp(xmp)
    elif xmp:
        options["xmp"] = xmp
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def _decode(source, max_pixels, name):
    """-> upright PIL picture (loaded), the file's own info, name (a file's own), format."""
    _register_heif()
    from_bytes = isinstance(source, (bytes, bytearray, memoryview))
    name = name if from_bytes else os.fspath(source)
    try:
        data = io.BytesIO(source if from_bytes else Path(source).read_bytes())
    except FileNotFoundError as error:
        raise InputError(f"{name} does not exist: check the path") from error
    except OSError as error:
        raise InputError(f"cannot read {name}: {error.strerror}") from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # our own limit follows
            image = Image.open(data, formats=_READ)
        if image.width * image.height > max_pixels:
            raise _too_large(name, max_pixels)
        image.load()
        info, form = dict(image.info), image.format  # transposing rewrites the EXIF
        ImageOps.exif_transpose(image, in_place=True)
        return image, info, name, form
    except InputError:
        raise
    except Image.DecompressionBombError as error:
        raise _too_large(name, max_pixels) from error
    except UnidentifiedImageError as error:
        text = f"{name} is not a picture that can be read: give JPEG, PNG, WebP, HEIC or AVIF"
        raise InputError(text, code="not_a_picture") from error
    except _DAMAGED as error:
        text = f"{name} is damaged or truncated ({error}): get a whole copy of the file"
        raise InputError(text, code="damaged") from error


def _too_large(name, max_pixels):
    text = f"{name} has more than {max_pixels / 1e6:g} megapixels: scale it down first"
    return InputError(text, code="too_many_pixels", limit=max_pixels)


def _to_rgb(image, icc, name):
    """-> RGB picture and the profile that its pixels are in."""
    if image.mode.startswith("I"):
        image = Image.fromarray(_eight_bits(image))
    elif image.mode == "1":
        image = image.convert("L")
    space = icc[16:20] if icc else None
    if (image.mode, space) not in (("L", b"GRAY"), ("CMYK", b"CMYK")):
        return image if image.mode == "RGB" else image.convert("RGB"), icc if space == b"RGB " else None
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    try:
        image = ImageCms.profileToProfile(image, ImageCms.ImageCmsProfile(io.BytesIO(icc)), srgb, outputMode="RGB")
    except (ImageCms.PyCMSError, OSError) as error:
        raise InputError(f"the colour profile of {name} is damaged: save it as RGB first", code="damaged") from error
    return image, srgb.tobytes()


def _eight_bits(image):
    """A picture of 16-bit grey (0..65535) -> uint8 (H, W)."""
    return (np.clip(np.array(image).astype(np.int64), 0, 65535) // 257).astype(np.uint8)


def _png_xmp(xmp):
    from PIL.PngImagePlugin import PngInfo

    info = PngInfo()
    info.add_itxt("XML:com.adobe.xmp", xmp.decode("utf-8", "replace"))
    return info


@functools.cache
def _register_heif():
    pillow_heif.register_heif_opener()
