import io
import struct

import numpy as np
import pillow_heif
import pytest
from fakes import textured
from PIL import Image, ImageCms
from PIL.PngImagePlugin import PngInfo

from twoface.core.errors import InputError
from twoface.core.images import Photo, as_photo, encode_photo, losses, output_format, read_mask, read_photo
from twoface.core.metadata import GENERATED, upright_exif

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
PACKET = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" dc:source="a camera"'
    b' xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/></rdf:RDF></x:xmpmeta>'
)


def encoded(picture, form="PNG", **options):
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def packet(xmp):
    info = PngInfo()
    info.add_itxt("XML:com.adobe.xmp", xmp.decode())
    return info


def camera_exif(orientation):
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = orientation, "A camera"
    return exif


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "HEIF", "AVIF"])
def test_reads_every_format(form):
    pillow_heif.register_heif_opener()
    pixels = textured(48, 64)
    photo = read_photo(encoded(pixels, form))
    assert photo.pixels.shape == (48, 64, 3) and photo.format == form and photo.size == (64, 48)
    assert np.abs(photo.pixels.astype(int) - pixels).mean() < 12


@pytest.mark.parametrize("orientation, turn", [(1, 0), (3, 2), (6, 3), (8, 1)])
def test_orientation_is_applied_once(orientation, turn):
    pixels = textured(20, 30)
    photo = read_photo(encoded(pixels, exif=camera_exif(orientation)))
    assert np.array_equal(photo.pixels, np.rot90(pixels, turn))
    again = read_photo(encode_photo(photo, "PNG"))
    assert np.array_equal(again.pixels, photo.pixels)
    assert Image.open(io.BytesIO(encode_photo(photo, "JPEG"))).getexif()[0x010F] == "A camera"


@pytest.mark.parametrize("order", ["<", ">"])
def test_exif_is_kept_byte_for_byte_but_for_orientation_and_thumbnail(order):
    def directory(*entries, link=0):
        body = b"".join(struct.pack(order + "HHI", tag, kind, 1) + value for tag, kind, value in entries)
        return struct.pack(order + "H", len(entries)) + body + struct.pack(order + "I", link)

    def long(value):
        return struct.pack(order + "I", value)

    head = {"<": b"II*\0", ">": b"MM\0*"}[order] + long(8)
    first = directory((0x0112, 3, struct.pack(order + "HH", 6, 0)), link=26)
    second = directory((0x0201, 4, long(56)), (0x0202, 4, long(8)))
    tail = b"OLDPHOTO and a maker's note"
    kept = read_photo(encoded(textured(20, 30), exif=b"Exif\0\0" + head + first + second + tail)).exif
    upright = directory((0x0112, 3, struct.pack(order + "HH", 1, 0)))
    assert kept == head + upright + second + bytes(8) + tail[8:]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_a_picture_of_pillows_is_read_as_its_file_is(mode):
    image = Image.fromarray(textured(20, 30)).convert("I" if mode == "I;16" else mode)
    data = encoded(image.convert(mode), "PNG", icc_profile=SRGB, exif=camera_exif(6))
    photo, same = as_photo(Image.open(io.BytesIO(data))), read_photo(data)
    assert np.array_equal(photo.pixels, same.pixels) and photo.size == (20, 30)
    assert (photo.alpha is None and same.alpha is None) or np.array_equal(photo.alpha, same.alpha)


@pytest.mark.parametrize("mode", ["P", "L", "RGB", "I;16"])
def test_a_transparent_colour_of_pillows(mode):
    image = Image.fromarray(textured(20, 30)).convert("I" if mode == "I;16" else mode).convert(mode)
    colour = image.getpixel((4, 4))
    data = encoded(image, "PNG", transparency=colour)
    photo, same = as_photo(Image.open(io.BytesIO(data))), read_photo(data)
    assert 0 < (photo.alpha == 0).sum() < 600 and np.array_equal(photo.alpha, same.alpha)
    assert np.array_equal(photo.pixels, same.pixels) and photo.original.samples.dtype == same.original.samples.dtype


def test_a_palette_of_pillows_with_alpha():
    image = Image.fromarray(
        np.dstack([textured(20, 30), np.where(np.arange(30) < 9, 0, 255) + np.zeros((20, 30))]).astype(np.uint8)
    )
    photo, same = as_photo(image.quantize()), read_photo(encoded(image.quantize()))
    assert np.array_equal(photo.alpha, same.alpha) and 100 < (photo.alpha < 128).sum() < 260


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_a_transparent_colour_of_another_mode_is_not_one(mode):
    image = Image.fromarray(textured(20, 30)).convert(mode)
    image.info["transparency"] = b"\0" * 9  # as Pillow leaves it where a palette was converted
    photo = as_photo(image)
    assert photo.alpha is None and photo.size == (30, 20)


@pytest.mark.parametrize(
    "mode, given", [("RGB", {"exif": camera_exif(6)}), ("RGB", {"compression": "jpeg"}), ("CMYK", {})]
)
def test_a_tiff_of_pillows(mode, given):
    image = Image.fromarray(textured(20, 30)).convert(mode)
    data = encoded(image, "TIFF", icc_profile=SRGB if mode == "RGB" else None, **given)
    assert np.array_equal(as_photo(Image.open(io.BytesIO(data))).pixels, read_photo(data).pixels)


@pytest.mark.parametrize("damage", ["cut", "closed", "empty"])
def test_a_picture_that_pillow_cannot_read_is_refused(damage):
    image = Image.new("RGB", (0, 5))
    if damage != "empty":
        data = encoded(textured(64, 64), "JPEG")
        image = Image.open(io.BytesIO(data[:900] if damage == "cut" else data))
    if damage == "closed":
        image.close()
    with pytest.raises(InputError, match="the photo is a picture (that Pillow cannot read|of mode RGB and of 0x5)"):
        as_photo(image)


@pytest.mark.parametrize("source", [[1], None, 3, Image.new("HSV", (9, 9))])
def test_what_is_no_picture_is_refused_with_what_is(source):
    with pytest.raises(
        InputError,
        match="the photo (must be a path, bytes|is a picture of mode HSV and of 9x9 pixels: give one of RGB)",
    ):
        as_photo(source)


def test_exif_that_cannot_be_read_is_dropped():
    assert upright_exif(b"nonsense") is None
    assert upright_exif(b"II*\0\x08\0\0\0\xff\xff") is None


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_profile_and_note_are_written(form):
    photo = read_photo(encoded(textured(20, 30), "PNG", icc_profile=SRGB, pnginfo=packet(PACKET)))
    again = read_photo(encode_photo(photo, form))
    assert again.original.colour.icc == SRGB and again.original.colour.space is None
    assert GENERATED.encode() in again.xmp and b"a camera" in again.xmp and b"Orientation" not in again.xmp
    twice = read_photo(encode_photo(again, form))
    assert twice.xmp.count(GENERATED.encode()) == 1
    assert GENERATED.encode() in read_photo(encode_photo(Photo(photo.pixels), form)).xmp
    broken = Photo(photo.pixels, xmp=b"<not xml")
    assert GENERATED.encode() in read_photo(encode_photo(broken, form)).xmp


def test_png_is_exact_with_alpha():
    photo = Photo(textured(20, 30), alpha=textured(20, 30, 1)[..., 0])
    for form in ("PNG", "WEBP"):
        again = read_photo(encode_photo(photo, form))
        assert np.array_equal(again.alpha, photo.alpha)
    assert np.array_equal(read_photo(encode_photo(photo, "PNG")).pixels, photo.pixels)
    flat = read_photo(encode_photo(Photo(photo.pixels, alpha=np.zeros((20, 30), np.uint8)), "JPEG"))
    assert flat.alpha is None and flat.pixels.min() > 250


def test_grey_palette_and_cmyk_are_seen_as_rgb():
    pixels = textured(20, 30)
    grey = pixels[..., 0]
    deep = grey.astype(np.uint16) * 257
    assert np.array_equal(read_photo(encoded(grey)).pixels[..., 1], grey)
    assert np.array_equal(read_photo(encoded(deep)).pixels[..., 2], grey)
    palette = Image.fromarray(pixels).quantize(32)
    assert np.array_equal(read_photo(encoded(palette)).pixels, np.array(palette.convert("RGB")))
    cmyk = read_photo(encoded(Image.fromarray(pixels).convert("CMYK"), "JPEG", quality=95))
    assert np.abs(cmyk.pixels.astype(int) - pixels).mean() < 6 and cmyk.original.colour.icc is None


def test_a_profile_of_another_kind_is_not_kept():
    grey_profile = bytearray(SRGB)
    grey_profile[16:20] = b"CMYK"
    assert read_photo(encoded(textured(20, 30), icc_profile=bytes(grey_profile))).original.colour.icc is None
    assert read_photo(encoded(textured(20, 30), icc_profile=SRGB)).original.colour.icc == SRGB


@pytest.mark.parametrize("keep", [0, 0.1, 0.6])
@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "AVIF"])
def test_truncated(form, keep):
    data = encoded(textured(64, 64), form)
    with pytest.raises(InputError) as error:
        read_photo(data[: int(len(data) * keep)])
    assert "\n" not in str(error.value)


def test_not_a_photo(tmp_path):
    (tmp_path / "a.jpg").write_text("hello")
    for bad, words in ((tmp_path / "a.jpg", "not a picture"), (tmp_path / "b.jpg", "exist"), (tmp_path, "a folder")):
        with pytest.raises(InputError, match=words):
            read_photo(bad)
    with pytest.raises(InputError, match="not a picture"):
        read_photo(encoded(textured(8, 8), "PPM"))


def test_too_many_pixels():
    data = encoded(np.zeros((100, 100), np.uint8))
    assert read_photo(data, max_pixels=10_000).size == (100, 100)
    with pytest.raises(InputError, match="megapixels"):
        read_photo(data, max_pixels=9_999)
    with pytest.raises(InputError, match="megapixels"):
        read_photo(encoded(Image.new("1", (20_000, 10_000))))


def test_mask_threshold_size_and_transparency():
    grey = np.array([[0, 127, 128, 255]], np.uint8)
    assert read_mask(encoded(grey), (4, 1)).tolist() == [[False, False, True, True]]
    assert read_mask(encoded(grey.astype(np.uint16) * 257), (4, 1)).tolist() == [[False, False, True, True]]
    with pytest.raises(InputError, match="2x3.*1x4"):
        read_mask(encoded(np.zeros((3, 2), np.uint8)), (1, 4), orientation=6)
    with pytest.raises(InputError, match="4x1.*1x4"):
        read_mask(encoded(grey), (1, 4))
    clear = np.dstack([grey, grey, grey, np.array([[255, 255, 255, 0]], np.uint8)])
    assert read_mask(encoded(clear), (4, 1)).tolist() == [[False, False, True, False]]


def test_output_formats():
    endings = {"jpg": "JPEG", "JPEG": "JPEG", "png": "PNG", "webp": "WEBP", "tif": "TIFF"}
    assert {ending: output_format(f"a.{ending}") for ending in endings} == endings
    with pytest.raises(InputError):
        output_format("a.heic")
    with pytest.raises(InputError, match="png"):
        encode_photo(Photo(np.zeros((1, 20_000, 3), np.uint8)), "WEBP")


def test_what_is_too_long_for_a_jpeg_is_left_out_and_said():
    photo = Photo(textured(8, 8), xmp=PACKET.replace(b"a camera", b"x" * 70_000), exif=b"II*\0" + b"x" * 70_000)
    assert [text.split()[0] for text in losses(photo, "JPEG")] == ["EXIF", "XMP"] and not losses(photo, "PNG")
    again = read_photo(encode_photo(photo, "JPEG"))
    assert again.exif is None and GENERATED.encode() in again.xmp


def test_a_mask_of_the_unturned_photo_is_turned_likewise():
    mask = np.zeros((20, 30), np.uint8)
    mask[2:5, 10:20] = 255
    assert np.array_equal(read_mask(encoded(mask), (20, 30), orientation=6), np.rot90(mask > 0, -1))
    assert np.array_equal(read_mask(encoded(mask), (30, 20), orientation=6), mask > 0)  # of the upright size already
    assert np.array_equal(read_mask(encoded(mask), (30, 20), invert=True), mask == 0)


def test_samples_that_are_pixels_are_held_once():
    picture = np.zeros((20, 30, 3), np.uint8)
    photo = read_photo(encode_photo(Photo(picture), "PNG"))
    assert photo.original.samples is photo.pixels and photo.nbytes == picture.nbytes
    filled = photo.filled(picture + 1, np.ones((20, 30), bool))
    assert filled.original.samples is filled.pixels and filled.nbytes == picture.nbytes
