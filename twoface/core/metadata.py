"""What a photo says about itself: EXIF and XMP, kept through a fill and told that a part was generated."""

import struct
from collections.abc import Iterator
from xml.dom import minidom
from xml.parsers.expat import ExpatError

# IPTC's term for a photo of which a part was made by a trained network.
GENERATED = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"

_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_IPTC = "http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
# Properties that a fill makes untrue: the source type, the orientation (the pixels are upright now), pictures of
# before, and a pointer to a second packet that Pillow does not read; and whatever announces other pictures, videos or
# depths in the file, which are not kept.
_STALE = {
    (_IPTC, "DigitalSourceType"),
    ("http://ns.adobe.com/tiff/1.0/", "Orientation"),
    ("http://ns.adobe.com/xap/1.0/", "Thumbnails"),
    ("http://ns.adobe.com/xmp/note/", "HasExtendedXMP"),
}
_LOST = {
    "http://ns.adobe.com/hdr-gain-map/1.0/",
    "http://ns.apple.com/HDRGainMap/1.0/",
    "http://ns.google.com/photos/1.0/camera/",
    "http://ns.google.com/photos/1.0/container/",
    "http://ns.google.com/photos/1.0/container/item/",
    "http://ns.google.com/photos/1.0/depthmap/",
    "http://ns.google.com/photos/1.0/image/",
    "http://ns.google.com/photos/1.0/audio/",
    "http://ns.google.com/photos/dd/1.0/device/",
}
_EMPTY = f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="{_RDF}"/></x:xmpmeta>'


def mark_generated(xmp: bytes | None = None) -> bytes:
    """An XMP packet that says GENERATED: the given one with the note merged in, or a new one.

    A packet that is not XML cannot be merged and is replaced.
    """
    try:
        document = minidom.parseString(xmp.strip(b"\0 \r\n\t")) if xmp else minidom.parseString(_EMPTY)
    except ExpatError:
        document = minidom.parseString(_EMPTY)
    if not document.getElementsByTagNameNS(_RDF, "RDF"):
        document = minidom.parseString(_EMPTY)
    rdf = document.getElementsByTagNameNS(_RDF, "RDF")[0]
    _remove_stale(rdf)
    note = document.createElementNS(_RDF, "rdf:Description")
    for name, value in (("xmlns:rdf", _RDF), ("xmlns:Iptc4xmpExt", _IPTC), ("rdf:about", "")):
        note.setAttribute(name, value)
    note.setAttributeNS(_IPTC, "Iptc4xmpExt:DigitalSourceType", GENERATED)
    rdf.appendChild(note)
    assert document.documentElement is not None  # it has an RDF
    packet = document.documentElement.toxml()
    begin, end = '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>', '<?xpacket end="w"?>'
    return f"{begin}\n{packet}\n{end}".encode()


def _remove_stale(rdf: minidom.Element) -> None:
    for element in rdf.getElementsByTagName("*"):
        for attribute in list(element.attributes.values()):
            if _is_stale(attribute) or (attribute.prefix == "xmlns" and attribute.value in _LOST):
                element.removeAttributeNode(attribute)
        if _is_stale(element):
            assert element.parentNode is not None  # it lies inside `rdf`
            element.parentNode.removeChild(element)


def _is_stale(node: minidom.Element | minidom.Attr) -> bool:
    return (node.namespaceURI, node.localName) in _STALE or node.namespaceURI in _LOST


def upright_exif(exif: bytes) -> bytes | None:
    """EXIF (TIFF bytes) kept byte for byte but for an Orientation of 1 and a blank thumbnail.

    None when the block cannot be read, since a wrong orientation would turn the picture.
    """
    data = bytearray(exif)
    order = {b"II": "<", b"MM": ">"}.get(bytes(data[:2]))
    if order is None:
        return None
    try:
        (first,) = struct.unpack_from(order + "I", data, 4)
        for tag, entry in _entries(data, order, first):
            if tag == 0x0112:
                struct.pack_into(order + "H", data, entry + 8, 1)
        (count,) = struct.unpack_from(order + "H", data, first)
        link = first + 2 + 12 * count
        (second,) = struct.unpack_from(order + "I", data, link)
        if second:  # the directory of the thumbnail, which shows the photo before the fill
            places = {
                tag: struct.unpack_from(order + "I", data, entry + 8)[0] for tag, entry in _entries(data, order, second)
            }
            start, length = places.get(0x0201, 0), places.get(0x0202, 0)
            length = max(0, min(length, len(data) - start))
            data[start : start + length] = bytes(length)
            struct.pack_into(order + "I", data, link, 0)
    except struct.error:
        return None
    return bytes(data)


def _entries(data: bytearray, order: str, offset: int) -> Iterator[tuple[int, int]]:
    (count,) = struct.unpack_from(order + "H", data, offset)
    for i in range(count):
        entry = offset + 2 + 12 * i
        yield struct.unpack_from(order + "H", data, entry)[0], entry
