"""What comes out is what went in, but for the hole: modes, depths, colours, metadata; and what cannot be kept."""

import io
import struct
import tracemalloc
import warnings
import zlib

import cv2
import numpy as np
import pillow_heif
import pytest
from fakes import textured
from PIL import Image, ImageCms
from PIL.PngImagePlugin import PngInfo
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from twoface.core import bands, colour
from twoface.core.errors import InputError
from twoface.core.formats import jpeg, png, tiff
from twoface.core.formats.irb import iptc_of
from twoface.core.images import Photo, encode_photo, losses, read_photo
from twoface.core.masks import box_hole

SIZE = (48, 64)
HOLE = box_hole((20, 12, 40, 30), SIZE)
IPTC = b"\x1c\x02\x78\x00\x05words"
IRB = b"8BIM\x04\x04\0\0" + struct.pack(">I", len(IPTC)) + IPTC
THUMBNAIL = b"8BIM\x04\x0c\0\0" + struct.pack(">I", 6) + b"BEFORE"
PIXELS = textured(*SIZE)
DEEP = PIXELS.astype(np.uint16) * 256 + textured(*SIZE, 5)
ALPHA = textured(*SIZE, 7)[..., 0] | 1
ALPHA[0] = 255
DEEP_ALPHA = np.where(ALPHA == 255, 65535, DEEP[..., 1]).astype(np.uint16)


def encoded(picture, form="PNG", **options):
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def deep_png(samples, *chunks):
    return png.join(png.write_deep(samples, 1), chunks)


def deep_tiff(samples, mode):
    return tiff.write(samples, mode, Photo(PIXELS), None, None)


def filled(photo, value=(120, 90, 60)):
    """The photo with its hole in one colour."""
    pixels = photo.pixels.copy()
    pixels[HOLE] = value
    return photo.filled(pixels, HOLE)


def refilled(data, form, value=(120, 90, 60)):
    """A file filled and read again -> Photo before, Photo after."""
    photo = read_photo(data)
    return photo, read_photo(encode_photo(filled(photo, value), form))


def known_are_kept(before, after):
    same = before.original.samples[~HOLE], after.original.samples[~HOLE]
    assert before.original.mode == after.original.mode and same[0].dtype == same[1].dtype
    assert np.array_equal(*same)


# Modes and depths.


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
@pytest.mark.parametrize(
    "data",
    [
        encoded(PIXELS[..., 0]),
        encoded(Image.fromarray(np.dstack([PIXELS[..., 0], ALPHA]))),
        encoded(PIXELS),
        encoded(np.dstack([PIXELS, ALPHA])),
        deep_png(DEEP[..., 0]),
        deep_png(DEEP),
        deep_png(np.dstack([DEEP, DEEP_ALPHA])),
        deep_tiff(DEEP[..., 0], "L"),
        deep_tiff(DEEP, "RGB"),
        deep_tiff(np.dstack([DEEP, DEEP_ALPHA]), "RGB"),
    ],
    ids=["L", "LA", "RGB", "RGBA", "L16", "RGB16", "RGBA16", "tiff-L16", "tiff-RGB16", "tiff-RGBA16"],
)
def test_mode_depth_and_known_pixels_are_kept(data, form):
    before, after = refilled(data, form)
    known_are_kept(before, after)
    assert np.abs(after.pixels[HOLE].astype(int) - ((120, 90, 60) if before.original.mode == "RGB" else 96)).max() <= 1
    assert not losses(before, form)
    if before.original.alpha is not None:
        assert np.array_equal(after.original.alpha[~HOLE], before.original.alpha[~HOLE])
        assert (after.alpha[HOLE] == 255).all()


def test_grey_of_16_bits_with_alpha():
    samples = np.dstack([DEEP[..., 0], DEEP[..., 1]])
    known_are_kept(*refilled(deep_png(samples), "PNG", (90, 90, 90)))
    before, after = refilled(deep_png(samples), "TIFF", (90, 90, 90))
    assert after.original.depth == 16 and np.array_equal(after.original.samples[~HOLE][:, 0], samples[~HOLE][:, 0])


@pytest.mark.parametrize("channels", [1, 3])
def test_16_bits_with_a_transparent_colour(channels):
    samples = DEEP[..., :channels].copy()
    samples[:4] = 1000
    clear = (b"tRNS", struct.pack(f">{channels}H", *[1000] * channels))
    photo = read_photo(deep_png(samples.squeeze(), clear))
    assert (photo.alpha[:4] == 0).all() and (photo.alpha[5:] == 255).all()
    assert np.array_equal(photo.pixels[..., 0], colour.eight_bits(samples[..., 0]))


def test_palette_is_kept_while_it_has_room():
    palette = Image.fromarray(PIXELS).quantize(32)
    before, after = refilled(encoded(palette), "PNG")
    assert after.original.mode == "P" and np.array_equal(after.original.samples[~HOLE], before.original.samples[~HOLE])
    assert (after.pixels[HOLE] == (120, 90, 60)).all()
    full = read_photo(encoded(Image.fromarray(PIXELS).quantize(256)))
    many = filled(full, textured(*SIZE, 3)[HOLE])
    assert "palette" in losses(many, "PNG")[0]
    again = read_photo(encode_photo(many, "PNG"))
    assert again.original.mode == "RGB" and np.array_equal(again.pixels, many.pixels)


MODES = {
    "1": "L", "L": "L", "LA": "L", "P": "P", "I;16": "L", "I": "L", "RGB": "RGB", "RGBA": "RGB", "CMYK": "CMYK",
    "YCbCr": "RGB", "LAB": "RGB",
}  # fmt: skip


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_that_a_file_may_have(mode):
    deep = mode.startswith("I")
    image = Image.fromarray(DEEP[..., 0].astype({"I;16": np.uint16, "I": np.int32}[mode])) if deep else None
    if image is None:
        image = Image.new("LAB", (64, 48), (90, 20, 5)) if mode == "LAB" else Image.fromarray(PIXELS).convert(mode)
    photo = read_photo(encoded(image, "TIFF"))
    assert photo.original.mode == MODES[mode] and photo.original.depth == (16 if deep else 8)
    if mode not in ("LAB", "1"):
        seen = np.abs(photo.pixels.astype(int) - (PIXELS if MODES[mode] != "L" else np.array(photo.pixels)))
        assert np.percentile(seen, 90) < 40
    assert bool(photo.notes) == (mode in ("1", "LAB"))


@pytest.mark.parametrize("mode", ["La", "RGBa", "PA", "HSV"])
def test_modes_of_memory_have_no_file(mode):
    with pytest.raises((OSError, ValueError, KeyError)):
        encoded(Image.new(mode, (8, 8)), "TIFF")
        encoded(Image.new(mode, (8, 8)), "PNG")


def test_samples_of_32_bits_are_refused():
    for samples in (PIXELS[..., 0].astype(np.float32), PIXELS[..., 0].astype(np.int32) * 1000):
        with pytest.raises(InputError, match="32 bits"):
            read_photo(encoded(samples, "TIFF"))


def test_an_erased_hole_is_opaque_when_filled():
    erased = np.where(HOLE, np.uint8(0), np.uint8(255))
    for data in (encoded(np.dstack([PIXELS, erased])), deep_png(np.dstack([DEEP, erased.astype(np.uint16) * 257]))):
        _, after = refilled(data, "PNG", 0)
        assert (after.alpha == 255).all()
    photo = filled(read_photo(encoded(np.dstack([PIXELS, erased]))))
    flat = read_photo(encode_photo(photo, "JPEG"))
    assert np.abs(flat.pixels[HOLE].astype(int) - (120, 90, 60)).mean() < 8  # no white box


# Colours.


def cicp(*numbers):
    return (b"cICP", bytes([*numbers, 0, 1]))


@pytest.mark.parametrize("numbers", [(12, 13), (9, 8), (9, 16), (9, 18)], ids=["P3", "linear", "PQ", "HLG"])
def test_tags_of_colour_are_kept_in_a_png(numbers):
    before, after = refilled(deep_png(DEEP, cicp(*numbers)), "PNG")
    known_are_kept(before, after)
    assert after.original.colour.chunks == before.original.colour.chunks
    assert np.abs(after.pixels[HOLE].astype(int) - (120, 90, 60)).max() <= 1
    assert not np.array_equal(before.pixels, colour.eight_bits(DEEP))  # the network sees sRGB


@pytest.mark.parametrize("form", ["TIFF", "JPEG", "WEBP"])
def test_tags_of_colour_become_a_profile_elsewhere(form):
    before, after = refilled(png.join(encoded(PIXELS), [cicp(12, 13)]), form)
    icc = after.original.colour.icc
    own, srgb = ImageCms.ImageCmsProfile(io.BytesIO(icc)), ImageCms.createProfile("sRGB")
    theirs = ImageCms.profileToProfile(Image.fromarray(after.original.samples), own, srgb)
    assert np.abs(np.array(theirs).astype(int) - after.pixels).max() <= 2
    assert np.abs(after.pixels.astype(int) - before.pixels)[~HOLE].mean() < (1 if form == "TIFF" else 12)
    hdr = read_photo(png.join(encoded(PIXELS), [cicp(9, 16)]))
    assert "HDR" in losses(hdr, form)[0] and not losses(hdr, "PNG")
    assert np.abs(read_photo(encode_photo(hdr, form)).pixels.astype(int) - hdr.pixels).mean() < 12


def test_gamma_and_chromaticities_of_a_png():
    places = struct.pack(">8I", 31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)
    tags = [(b"gAMA", struct.pack(">I", 100_000)), (b"cHRM", places)]
    before, after = refilled(deep_png(DEEP, *tags), "PNG")
    known_are_kept(before, after)
    assert list(after.original.colour.chunks) == tags and before.pixels.mean() > colour.eight_bits(DEEP).mean() + 30
    usual = read_photo(png.join(encoded(PIXELS), [(b"gAMA", struct.pack(">I", 45_455))]))
    assert np.array_equal(usual.pixels, PIXELS)


@pytest.mark.parametrize("form", ["HEIF", "AVIF"])
def test_nclx_of_heic_and_avif(form):
    if form == "AVIF":
        data = bytearray(encoded(PIXELS, "AVIF", quality=95))
        place = data.index(b"nclx")
        data[place + 4 : place + 8] = struct.pack(">HH", 12, 13)
    else:
        heic = pillow_heif.from_bytes("RGB", SIZE[::-1], PIXELS.tobytes())
        buffer = io.BytesIO()
        heic.save(buffer, quality=95, color_primaries=12, transfer_characteristics=13)
        data = buffer.getvalue()
    photo = read_photo(bytes(data))
    after = read_photo(encode_photo(photo, "PNG"))
    assert after.original.colour.chunks == (cicp(12, 13),) and np.array_equal(after.pixels, photo.pixels)
    assert read_photo(encode_photo(photo, "JPEG")).original.colour.icc == photo.original.colour.icc
    assert np.abs(photo.pixels.astype(int) - PIXELS).mean() > 4


def test_heic_of_10_bits():
    heic = pillow_heif.from_bytes("RGB;16", SIZE[::-1], DEEP.tobytes())
    buffer = io.BytesIO()
    heic.save(buffer, quality=-1)
    photo = read_photo(buffer.getvalue())
    assert photo.original.depth == 16 and np.unique(photo.original.samples).size > 256
    known_are_kept(*refilled(buffer.getvalue(), "PNG"))


def test_wide_profiles_are_seen_as_srgb_and_written_in_their_own():
    prophoto = (0.3457, 0.3585, 0.7347, 0.2653, 0.1596, 0.8404, 0.0366, 0.0001)
    icc = colour.of_gamma(1 / 1.8, prophoto).icc
    for data in (encoded(PIXELS, icc_profile=icc), deep_png(DEEP, (b"iCCP", b"x\0\0" + zlib.compress(icc)))):
        before, after = refilled(data, "PNG")
        known_are_kept(before, after)
        assert after.original.colour.icc == icc
        assert np.abs(after.pixels[HOLE].astype(int) - (120, 90, 60)).max() <= 3


def test_a_grey_profile():
    tag = b"curv" + bytes(4) + struct.pack(">IH", 1, round(1.8 * 256))
    icc = bytearray(128) + struct.pack(">I4sII", 1, b"kTRC", 144, len(tag)) + tag
    icc[16:20] = b"GRAY"
    before, after = refilled(encoded(PIXELS[..., 0], icc_profile=bytes(icc)), "PNG", (90, 90, 90))
    known_are_kept(before, after)
    assert np.abs(after.pixels[HOLE].astype(int) - 90).max() <= 1 and after.original.colour.icc == bytes(icc)


@pytest.mark.parametrize("tag", [(b"gAMA", struct.pack(">I", 100_000)), cicp(12, 8), cicp(9, 16)], ids=str)
def test_tags_of_colour_of_grey(tag):
    before, after = refilled(deep_png(DEEP[..., 0], tag), "PNG", (90, 90, 90))
    known_are_kept(before, after)
    assert np.abs(after.pixels[HOLE].astype(int) - 90).max() <= 1 and after.original.colour.chunks == (tag,)
    if tag[1][1] != 16:
        again = read_photo(encode_photo(before, "TIFF"))
        known_are_kept(before, again)
        assert np.abs(again.pixels.astype(int) - before.pixels).max() <= 1


def test_cmyk_is_kept_or_said_to_be_converted():
    cmyk = Image.fromarray(PIXELS).convert("CMYK")
    known_are_kept(*refilled(encoded(cmyk, "TIFF"), "TIFF"))
    data = encoded(cmyk, "JPEG", quality=98, subsampling=0)
    before, after = refilled(data, "JPEG")
    assert after.original.mode == "CMYK" and not losses(before, "JPEG")
    assert np.abs(after.original.samples[:8].astype(int) - before.original.samples[:8]).max() <= 3
    assert np.abs(after.pixels[16:26, 24:36].astype(int) - (120, 90, 60)).mean() < 6
    assert "CMYK" in losses(before, "PNG")[0]
    assert np.array_equal(read_photo(encode_photo(before, "PNG")).pixels, before.pixels)


def test_a_damaged_profile_is_said():
    broken = b"\0" * 16 + b"RGB " + b"\xff" * 200
    assert [note.code for note in read_photo(encoded(PIXELS, icc_profile=broken)).notes] == ["profile"]


# Metadata.


@pytest.mark.parametrize("form", ["JPEG", "PNG", "TIFF"])
def test_iptc_comment_and_dpi_are_kept(form):
    data = encoded(PIXELS, "JPEG", comment=b"a comment", dpi=(300, 300), extra=jpeg.irb_segment(THUMBNAIL + IRB))
    photo = read_photo(data)
    after = read_photo(encode_photo(photo, form))
    assert photo.irb == after.irb == IRB and iptc_of(after.irb) == IPTC
    assert after.dpi == pytest.approx((300, 300), abs=0.02)
    assert after.comment == (None if form == "TIFF" else b"a comment")
    assert ("comment" in "".join(losses(photo, form))) == (form == "TIFF")
    assert "IPTC, the comment, the resolution" in losses(photo, "WEBP")[0]


def test_raw_profiles_of_a_png():
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "A camera"
    info = PngInfo()
    icc = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for name, block in (("exif", exif.tobytes()), ("iptc", IRB), ("icc", icc)):
        info.add_text(f"Raw profile type {name}", f"\n{name}\n{len(block):8}\n{block.hex()}\n", zip=True)
    info.add_text("Title", "a title")
    photo = read_photo(encoded(PIXELS, pnginfo=info))
    assert photo.size == SIZE and photo.irb == IRB and b"A camera" in photo.exif and photo.original.colour.icc
    after = read_photo(encode_photo(photo, "PNG"))
    assert after.exif == photo.exif and after.irb == IRB and after.texts == (("Title", "a title"),)
    assert "text chunks" in losses(photo, "JPEG")[0]


def test_exif_of_a_tiff_goes_both_ways():
    exif = Image.Exif()
    exif[0x010F], exif[0x0112] = "A camera", 6
    assert read_photo(encoded(PIXELS, "TIFF", exif=exif)).size == SIZE
    exif.get_ifd(0x8769)[0x9003] = "2020:01:02 03:04:05"
    block = exif.tobytes().removeprefix(b"Exif\0\0")
    photo = read_photo(tiff.write(PIXELS, "RGB", Photo(PIXELS, exif=block), None, None))
    for form in ("TIFF", "JPEG"):
        again = Image.Exif()
        again.load(read_photo(encode_photo(photo, form)).exif)
        assert again[0x010F] == "A camera" and again.get_ifd(0x8769)[0x9003] == "2020:01:02 03:04:05"


def test_what_announces_a_gain_map_or_a_video_goes_and_is_said():
    xmp = (
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        b'<rdf:Description xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/" hdrgm:Version="1.0"'
        b' xmlns:GCamera="http://ns.google.com/photos/1.0/camera/" GCamera:MotionPhoto="1"'
        b' xmlns:dc="http://purl.org/dc/elements/1.1/" dc:source="a phone"'
        b' xmlns:Container="http://ns.google.com/photos/1.0/container/">'
        b"<Container:Directory><rdf:Seq/></Container:Directory></rdf:Description></rdf:RDF></x:xmpmeta>"
    )
    photo = read_photo(encoded(PIXELS, "JPEG", xmp=xmp) + b"MotionPhoto_Data and a video")
    assert [note.code for note in photo.notes] == ["gain_map", "motion"]
    after = read_photo(encode_photo(photo, "JPEG"))
    assert not after.notes and b"a phone" in after.xmp
    assert not any(word in after.xmp for word in (b"MotionPhoto", b"Directory", b"Version="))


@pytest.mark.parametrize("form", ["GIF", "WEBP", "PNG", "TIFF", "MPO"])
def test_further_pictures_are_said_and_the_first_is_kept(form):
    pictures = [Image.fromarray(PIXELS), Image.fromarray(textured(*SIZE, 1))]
    data = encoded(pictures[0], form, save_all=True, append_images=pictures[1:])
    photo = read_photo(data)
    assert [note.code for note in photo.notes] == ["frames"] and "2 pictures" in photo.notes[0].text
    assert np.abs(photo.pixels.astype(int) - PIXELS).mean() < 12
    assert photo.format == ("JPEG" if form == "MPO" else form)


# Files as they come.


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_adobe_deflate", "packbits"])
def test_tiff_in(compression):
    assert np.array_equal(read_photo(encoded(PIXELS, "TIFF", compression=compression)).pixels, PIXELS)


def test_bmp_in():
    assert np.array_equal(read_photo(encoded(PIXELS, "BMP")).pixels, PIXELS)


@pytest.mark.parametrize("sampling", [0, 1, 2])
def test_a_jpeg_keeps_its_quality(sampling):
    data = encoded(PIXELS, "JPEG", quality=61, subsampling=sampling)
    photo = read_photo(data)
    for quality in (None, 90):
        again = Image.open(io.BytesIO(encode_photo(photo, "JPEG", quality)))
        assert jpeg.sampling_of(again) == sampling
        assert (again.quantization == Image.open(io.BytesIO(data)).quantization) == (quality is None)
    grey = encoded(PIXELS[..., 0], "JPEG", quality=61)
    assert Image.open(io.BytesIO(encode_photo(read_photo(grey), "JPEG"))).mode == "L"


def test_long_chunks_of_a_png_are_read():
    info = PngInfo()
    info.add_text("Comment", "x" * 3_000_000, zip=True)
    long = colour.of_cicp(12, 13).icc + bytes(2_000_000)
    data = encoded(PIXELS, pnginfo=info, icc_profile=long)
    photo = read_photo(data)
    assert len(photo.comment) == 3_000_000 and photo.original.colour.icc == long


@pytest.mark.parametrize("progressive", [False, True])
def test_a_jpeg_that_lacks_its_end_is_read_with_a_warning(progressive):
    pixels = textured(400, 400)
    data = encoded(pixels, "JPEG", quality=90, progressive=progressive)
    photo = read_photo(data[:-2])
    assert [note.code for note in photo.notes] == ["ended"] and not photo.missing.any()
    assert np.array_equal(photo.pixels, read_photo(data).pixels)
    with pytest.raises(InputError, match="damaged"):
        read_photo(data[: len(data) // 3])


def test_a_few_missing_rows_are_known():
    pixels = textured(400, 400)
    exif = Image.Exif()
    exif[0x0112] = 3
    data = encoded(pixels, "JPEG", quality=90, exif=exif)
    photo = read_photo(data[: int(len(data) * 0.97)])
    rows = photo.missing.any(1)
    assert 8 <= rows.sum() <= 40 and rows[: rows.sum()].all()  # turned upside down
    whole = read_photo(data).pixels
    assert np.array_equal(photo.pixels[~photo.missing], whole[~photo.missing])


def test_pillow_says_nothing(recwarn, capfd):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        exif = Image.Exif()
        exif[0x010F] = "A camera"
        read_photo(encoded(PIXELS, "TIFF", exif=exif).replace(b"\x0f\x01", b"\x0f\x01"))
        read_photo(encoded(Image.fromarray(PIXELS).quantize(8), transparency=b"\0\1"))
        read_photo(encoded(PIXELS, "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\xff\xff\0\0\x01\0\0\0"))
    assert not capfd.readouterr().err


def test_opencv_and_pillow_read_what_is_written():
    assert np.array_equal(cv2.imdecode(np.frombuffer(deep_png(DEEP), np.uint8), -1)[..., ::-1], DEEP)
    assert np.array_equal(np.array(Image.open(io.BytesIO(deep_tiff(DEEP[..., 0], "L")))), DEEP[..., 0])


def test_a_photo_that_is_half_transparent_stays_so():
    _, after = refilled(encoded(np.dstack([PIXELS, np.full(SIZE, 150, np.uint8)])), "PNG")
    assert (after.alpha == 150).all()


@pytest.mark.parametrize("order", ["<", ">"])
def test_planes_of_16_bits_that_lie_apart(order):
    tags = ImageFileDirectory_v2({"<": b"II*\0\x08\0\0\0", ">": b"MM\0*\0\0\0\x08"}[order])
    height, width = DEEP.shape[:2]
    tags[256], tags[257], tags[258], tags[259], tags[262] = width, height, (16, 16, 16), 1, 2
    tags[277], tags[278], tags[284] = 3, height, 2
    for tag, values in ((273, [2 * width * height * i for i in range(3)]), (279, [2 * width * height] * 3)):
        tags.tagtype[tag] = 4
        tags[tag] = tuple(values)
    buffer = io.BytesIO()
    tags.save(buffer)
    photo = read_photo(buffer.getvalue() + DEEP.astype(order + "u2").transpose(2, 0, 1).tobytes())
    assert np.abs(photo.pixels.astype(int) - colour.eight_bits(DEEP)).max() <= 1
    assert [note.code for note in photo.notes] == ["depth"]


def test_a_webp_without_loss_stays_so():
    whole = np.dstack([PIXELS, ALPHA])
    packed = {"lossless": True, "exact": True}
    frames = {"save_all": True, "append_images": [Image.fromarray(whole[::-1])]}
    for more in ({"icc_profile": colour.of_cicp(12, 4).icc}, frames):
        data = encoded(whole, "WEBP", **packed, **more)
        before, after = refilled(data, "WEBP")
        assert before.lossless and after.lossless
        known_are_kept(before, after)
        assert not read_photo(encode_photo(before, "WEBP", quality=90)).lossless
    assert not read_photo(encoded(whole, "WEBP")).lossless


def test_memory_that_lacks_is_no_damage(monkeypatch):
    def lacking(*_):
        error = cv2.error("OpenCV(5) Insufficient memory")
        error.code = -4
        raise error

    data = deep_png(DEEP)
    monkeypatch.setattr("twoface.core.formats.read.cv2.imdecode", lacking)
    with pytest.raises(cv2.error):
        read_photo(data)


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_a_large_photo_is_read_and_written_in_bands(monkeypatch, form):
    monkeypatch.setattr(bands, "PIXELS", 20_000)
    samples = np.zeros((900, 1000, 3), np.uint16)
    samples[::7, ::5] = 20_000
    data = encode_photo(read_photo(deep_png(samples)), form)
    tracemalloc.start()
    photo = read_photo(data)
    _, reading = tracemalloc.get_traced_memory()
    pixels = photo.pixels.copy()
    pixels[200:700, 200:700] += 9
    photo = photo.filled(pixels, box_hole((200, 200, 700, 700), pixels.shape))
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.reset_peak()
    encode_photo(photo, form)
    _, writing = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert reading < 2 * samples.nbytes and writing - held < 0.5 * samples.nbytes
