import dataclasses
import io

import numpy as np
import pytest
from PIL import Image

from twoface.core.images import Photo, encode_photo, read_photo
from twoface.core.location import has_location, without_location

XMP = b"""<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:exif="http://ns.adobe.com/exif/1.0/" xmlns:xmp="http://ns.adobe.com/xap/1.0/"
 exif:GPSLatitude="41,23.1N" xmp:Rating="5"><exif:GPSLongitude>2,10.4E</exif:GPSLongitude></rdf:Description>
</rdf:RDF></x:xmpmeta>"""


def exif(order="<"):
    block = Image.Exif()
    block.endian = order
    block[0x010F] = "Camera & Sons"
    block[0x8769] = {0x9003: "2020:02:02 02:02:02"}
    block[0x8825] = {1: "N", 2: (41.0, 23.0, 7.5), 3: "E", 4: (2.0, 10.0, 30.25)}
    return block.tobytes().removeprefix(b"Exif\0\0")


@pytest.fixture
def photo():
    return Photo(np.full((8, 8, 3), 90, np.uint8), exif=exif(), xmp=XMP)


@pytest.mark.parametrize("order", ["<", ">"])
def test_the_place_goes_and_the_rest_stays(order):
    photo = Photo(np.full((8, 8, 3), 90, np.uint8), exif=exif(order))
    assert has_location(photo)
    bare = without_location(photo)
    assert not has_location(bare) and len(bare.exif) == len(photo.exif)
    seen = Image.open(io.BytesIO(encode_photo(bare, "JPEG"))).getexif()
    assert seen[0x010F] == "Camera & Sons" and seen.get_ifd(0x8769)[0x9003] == "2020:02:02 02:02:02"
    assert not seen.get_ifd(0x8825)


def test_xmp_too(photo):
    photo = dataclasses.replace(photo, exif=None)
    bare = without_location(photo)
    assert has_location(photo) and not has_location(bare)
    assert b"GPS" not in bare.xmp and b'xmp:Rating="5"' in bare.xmp
    assert read_photo(encode_photo(bare, "PNG")).xmp  # still XML


@pytest.mark.parametrize("block", [None, b"", b"II", b"II*\0\xff\xff\xff\xff", b"nonsense"])
def test_what_has_no_place_or_cannot_be_read_stays(block):
    photo = Photo(np.zeros((4, 4, 3), np.uint8), exif=block)
    assert not has_location(photo) and without_location(photo).exif == block
