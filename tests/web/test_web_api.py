import base64
import io

import cv2
import numpy as np
import pillow_heif
import pytest
from fakes import MEAN_MESH, textured
from PIL import Image
from studios import FACE, GROUP
from web_server import FRAME, fill, fill_request, good, mask_text, photo_bytes, problem, upload

import twoface
from twoface.core.colour import of_cicp
from twoface.core.frame import Frame
from twoface.core.images import Photo, encode_photo
from twoface.core.metadata import GENERATED
from twoface.core.parts import HOLES, named_hole


def opened(answer, kind):
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == f"image/{kind}"
    return Image.open(io.BytesIO(answer.content))


def test_the_status_tells_limits_and_samples(client):
    status = client.get("api/status").json()
    assert status["version"] == twoface.__version__ and status["ready"] is True and status["backend"] is None
    assert status["limits"]["min_face"] == 50 and status["limits"]["bytes"] == 40_000_000
    for sample in status["samples"]:
        for part in ("photo", "reference"):
            assert opened(client.get(f"samples/{sample[part]}"), "jpeg").width > 100


def test_an_upload_is_decoded_and_its_faces_are_found(client):
    photo = upload(client, photo_bytes(400, 320, format="JPEG"), name="a photo.jpg")
    assert (photo["width"], photo["height"], photo["format"]) == (400, 320, "JPEG")
    assert photo["name"] == "a photo.jpg" and photo["megapixels"] == 0.1
    (face,) = photo["faces"]
    assert face["frame"] == pytest.approx(FRAME)
    assert len(face["box"]) == 4 and face["score"] == 1


def test_an_upload_is_turned_upright(client):
    picture = Image.fromarray(textured(100, 200))
    exif = picture.getexif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", exif=exif)
    photo = upload(client, buffer.getvalue())
    assert (photo["width"], photo["height"]) == (100, 200)


def test_heic_has_a_preview_for_browsers_that_cannot_show_it(client):
    buffer = io.BytesIO()
    pillow_heif.from_pillow(Image.fromarray(textured(320, 400))).save(buffer, quality=90)
    photo = upload(client, buffer.getvalue(), "phone.heic")
    assert photo["format"] == "HEIF"
    assert opened(client.get(f"api/photos/{photo['id']}/preview?side=200"), "jpeg").size == (200, 160)
    assert opened(client.get(f"api/photos/{photo['id']}/preview"), "jpeg").size == (400, 320)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\photos\\me.jpg", "me.jpg"),
        ("<img src=x>.png", "<img src=x>.png"),  # JSON; the page never makes HTML of it
        ("a\r\nb\0.jpg", "ab.jpg"),
        ("x" * 500 + ".jpg", "x" * 116 + ".jpg"),
        ("..", "photo"),
        ("", "photo"),
    ],
)
def test_a_name_is_only_a_name(client, given, kept):
    assert upload(client, name=given)["name"] == kept


def test_the_crop_is_the_frame_turned_upright(client):
    pixels = textured(320, 400)
    photo = upload(client)
    straight = FRAME | {"angle": 0, "side": 128, "x": 164, "y": 164}
    crop = opened(client.get(f"api/photos/{photo['id']}/crop", params=straight | {"size": 128}), "png")
    assert np.array_equal(np.asarray(crop), pixels[100:228, 100:228])
    assert opened(client.get(f"api/photos/{photo['id']}/crop", params=FRAME), "webp").size == (512, 512)


def test_turning_a_frame_clockwise_turns_its_crop_back(client):
    marked = np.full((320, 400, 3), 90, np.uint8)
    cv2.circle(marked, (200, 100), 10, (255, 0, 0), -1)  # above the centre
    photo = upload(client, cv2.imencode(".png", marked[..., ::-1])[1].tobytes())
    frame = {"x": 200, "y": 160, "side": 200, "angle": 90, "size": 200}
    crop = np.asarray(opened(client.get(f"api/photos/{photo['id']}/crop", params=frame), "webp").convert("RGB"))
    assert crop[100, 40, 0] > 200 and crop[100, 40, 1] < 60  # left of the centre


@pytest.mark.parametrize("name", HOLES)
def test_presets_are_masks_of_the_frame(client, name):
    photo = upload(client)
    mask = opened(client.get(f"api/photos/{photo['id']}/holes/{name}", params=FRAME | {"size": 256}), "png")
    mask = np.asarray(mask)
    assert mask.shape == (256, 256) and set(np.unique(mask)) == {0, 255}
    small = cv2.resize(mask, (128, 128), interpolation=cv2.INTER_AREA) >= 128
    assert (small ^ named_hole(name, MEAN_MESH)).sum() < 0.15 * small.sum() + 20


def test_masks_may_be_drawn_over_more_than_the_frame(client):
    pixels = textured(320, 400)
    pixels[130:170, 120:200] = (0, 255, 0)  # what the stand-in sees in front of a face
    photo = upload(client, encode_photo(Photo(pixels), "PNG"))
    frame = {"x": 160, "y": 160, "side": 128, "angle": 0}
    for place, read in (("holes/eyes", lambda answer: answer.content), ("holes/center", lambda answer: answer.content),
                        ("cover", lambda answer: base64.b64decode(answer.json()["mask"]))):  # fmt: skip
        address = f"api/photos/{photo['id']}/{place}"
        own, wide = (
            np.asarray(Image.open(io.BytesIO(read(client.get(address, params=frame | more)))))
            for more in ({"size": 128}, {"size": 256, "wider": 2})
        )
        assert (wide[64:192, 64:192] != own).mean() < 0.01 and own.any()
    drawn = np.zeros((256, 256), np.uint8)
    drawn[160:180, 60:130] = 255  # in the photo: 92..162 across, of which the frame begins at 96, and 192..212 down
    mask = base64.b64encode(cv2.imencode(".png", drawn)[1].tobytes()).decode()
    wanted = {"photo": photo["id"], "frame": frame, "mask": mask, "wider": 2}
    patch = client.post("api/fill", json=wanted).json()["patch"]
    assert abs(patch["x"] - 90) <= 1 and abs(patch["x"] + patch["width"] - 164) <= 1
    assert abs(patch["y"] - 190) <= 1 and abs(patch["y"] + patch["height"] - 214) <= 1
    assert client.post("api/fill", json=wanted | {"wider": 9}).status_code == 400


def test_what_is_in_front_of_the_face_is_offered_as_a_mask(client):
    pixels = textured(320, 400)
    pixels[130:170, 120:200] = (0, 255, 0)  # what the stand-in sees in front of a face
    photo = upload(client, encode_photo(Photo(pixels), "PNG"))
    straight = FRAME | {"angle": 0, "side": 256, "x": 160, "y": 160}
    found = client.get(f"api/photos/{photo['id']}/cover", params=straight | {"size": 256}).json()
    assert (found["code"], found["goes_on"]) == ("something", False) and 0 < found["share"] < 0.1
    mask = np.asarray(Image.open(io.BytesIO(base64.b64decode(found["mask"]))))
    assert mask.shape == (256, 256) and set(np.unique(mask)) == {0, 255}
    assert (mask[98:138, 88:168] == 255).all() and (mask == 255).sum() < 50 * 92
    bare = upload(client)
    problem(client.get(f"api/photos/{bare['id']}/cover", params=FRAME), 422, "nothing_found")


def test_a_fill_with_a_reference(client):
    photo, reference = upload(client), upload(client, photo_bytes(seed=0), "other.png")
    made = fill(client, photo, [reference])
    assert made["reference_used"] == 0
    assert made["verdict"]["word"] == "very_likely"
    assert made["outlook"] == {"word": "fair", "reasons": ["hidden"]}
    assert made["identity"]["same_person"] is True and made["identity"]["similarity_visible_reference"] > 0.9
    assert made["warnings"] == [] and made["seconds"]["total"] > 0
    for name in ("masked", "filled", "reference"):
        assert opened(client.get(f"api/fills/{made['id']}/crop/{name}"), "png").size == (128, 128)


def test_the_most_alike_reference_is_used(client):
    photo = upload(client)
    others = [upload(client, photo_bytes(seed=seed)) for seed in (1, 0, 2)]
    assert fill(client, photo, others)["reference_used"] == 1


def test_of_a_group_the_face_most_like_the_photos_is_taken(client):
    photo, group = textured(320, 400), textured(320, GROUP, 3)
    group[60:200, 320:460] = Frame.of(FACE).crop(photo, 140)
    taken = upload(client, encode_photo(Photo(group), "PNG"), "group.png")
    assert len(taken["faces"]) == 2
    references = [{"photo": taken["id"], "frame": None}]
    wanted = fill_request(upload(client, encode_photo(Photo(photo), "PNG"))) | {"references": references}
    made = good(client.post("api/fill", json=wanted))
    (face,) = made["reference_faces"]
    assert (face["found"], face["taken"], face["close"]) == (2, 2, False) and made["warnings"] == []
    assert face["frame"] == pytest.approx({"x": 390, "y": 130, "side": 140, "angle": 0}, abs=0.2)


def test_the_photo_itself_is_no_reference_unless_it_is_asked_for(client):
    photo, other = upload(client), upload(client, photo_bytes(seed=2))
    wanted = fill_request(photo, [photo], same_photo=False)
    problem(client.post("api/fill", json=wanted), 422, "same_photo")
    assert fill(client, photo, [photo], same_photo=True)["reference_used"] == 0
    made = fill(client, photo, [photo, other], same_photo=False)
    assert made["reference_used"] == 1 and "same_photo" in [warning["code"] for warning in made["warnings"]]


def test_a_stranger_is_warned_of(client):
    made = fill(client, upload(client), [upload(client, photo_bytes(seed=3))])
    assert made["identity"]["same_person"] is False and made["verdict"]["tone"] == "warn"
    assert [warning["code"] for warning in made["warnings"]] == ["two_people"]


def test_a_fill_without_a_reference(client):
    made = fill(client, upload(client))
    assert made["identity"] is None and made["reference_used"] is None
    problem(client.get(f"api/fills/{made['id']}/crop/reference"), 404, "fill_gone")


def test_a_small_face_is_warned_of(client):
    frame = FRAME | {"side": 90}
    assert [w["code"] for w in fill(client, upload(client), frame=frame)["warnings"]] == ["small_face"]


def test_the_patch_is_what_changed_in_the_finished_photo(client):
    photo, before = upload(client), textured(320, 400)
    made = fill(client, photo, [upload(client, photo_bytes(seed=1))])
    patch = np.asarray(opened(client.get(f"api/fills/{made['id']}/patch"), "png"))
    after = np.asarray(opened(client.get(f"api/fills/{made['id']}/photo"), "png"))
    place = made["patch"]
    x, y = slice(place["x"], place["x"] + place["width"]), slice(place["y"], place["y"] + place["height"])
    assert np.array_equal(after[y, x], patch)
    assert not np.array_equal(before[y, x], patch)
    rest = np.ones(before.shape[:2], bool)
    rest[y, x] = False
    assert np.array_equal(after[rest], before[rest])


@pytest.mark.parametrize(("format", "suffix"), [("png", "png"), ("jpeg", "jpg"), ("webp", "webp"), ("tiff", "tif")])
def test_the_download_keeps_metadata_and_says_that_it_was_generated(client, format, suffix):
    exif = Image.Exif()
    exif[0x010F] = "A camera"
    photo = upload(client, photo_bytes(exif=exif.tobytes().removeprefix(b"Exif\0\0")), 'ünï;"c.png')
    answer = client.get(f"api/fills/{fill(client, photo)['id']}/photo?format={format}&quality=80")
    assert opened(answer, format).getexif()[0x010F] == "A camera"
    assert GENERATED.encode() in answer.content
    named = answer.headers["content-disposition"]
    assert named == f"attachment; filename=\"filled.{suffix}\"; filename*=UTF-8''%C3%BCn%C3%AF%3B%22c-filled.{suffix}"


def test_the_download_says_where_it_was_taken_only_if_it_may(client):
    exif = Image.Exif()
    exif[0x8825] = {1: "N", 2: (41.0, 23.0, 7.5)}
    photo = upload(client, photo_bytes(exif=exif.tobytes().removeprefix(b"Exif\0\0")))
    address = f"api/fills/{fill(client, photo)['id']}/photo"
    assert photo["location"] is True and upload(client)["location"] is False
    kept, left_out = (opened(client.get(f"{address}?location={told}"), "png").getexif() for told in (True, False))
    assert kept.get_ifd(0x8825)[1] == "N" and not left_out.get_ifd(0x8825)


def test_a_filled_photo_can_be_filled_again(client):
    made = fill(client, upload(client, name="me.jpg"))
    before = opened(client.get(f"api/fills/{made['id']}/photo"), "png")
    again = client.post(f"api/fills/{made['id']}/photo").json()
    assert again["name"] == "me.jpg" and len(again["faces"]) == 1
    other = np.zeros((64, 64), np.uint8)
    other[50:60, 20:40] = 255
    after = opened(client.get(f"api/fills/{fill(client, again, mask=mask_text(other))['id']}/photo"), "png")
    x0, y0 = made["patch"]["x"], made["patch"]["y"]
    near = x0 + 20, y0 + 20, x0 + 60, y0 + 60  # of the first hole
    assert np.array_equal(before.crop(near), after.crop(near)) and not np.array_equal(before, after)


def test_a_wide_photo_is_shown_in_srgb_and_downloaded_as_its_own(client):
    icc = of_cicp(12, 13).icc
    buffer = io.BytesIO()
    pixels = np.dstack([textured(320, 400), np.full((320, 400), 200, np.uint8)])
    Image.fromarray(pixels).save(buffer, "PNG", icc_profile=icc)
    made = fill(client, photo := upload(client, buffer.getvalue()))
    patch = opened(client.get(f"api/fills/{made['id']}/patch"), "png")
    assert patch.mode == "RGBA" and "icc_profile" not in patch.info and np.array(patch)[..., 3].max() == 200
    assert "icc_profile" not in opened(client.get(f"api/photos/{photo['id']}/preview"), "jpeg").info
    answer = opened(client.get(f"api/fills/{made['id']}/photo?format=tiff"), "tiff")
    after, x, y = np.array(answer), made["patch"]["x"], made["patch"]["y"]
    assert answer.info["icc_profile"] == icc and np.array_equal(after[:y], pixels[:y])
    there = after[y : y + made["patch"]["height"], x : x + made["patch"]["width"]]
    assert np.array_equal(there[..., 3], np.array(patch)[..., 3])


def test_what_cannot_be_kept_is_told(client):
    buffer = io.BytesIO()
    first, second = (Image.fromarray(textured(320, 400, seed)) for seed in (0, 1))
    first.save(buffer, "WEBP", save_all=True, append_images=[second])
    assert fill(client, upload(client, buffer.getvalue()))["warnings"][0]["code"] == "frames"


def test_what_is_deleted_is_gone(client):
    photo = upload(client)
    made = fill(client, photo)
    assert client.delete(f"api/photos/{photo['id']}").status_code == 204
    problem(client.get(f"api/photos/{photo['id']}/preview"), 404, "photo_gone")
    problem(client.get(f"api/fills/{made['id']}/patch"), 404, "fill_gone")
    problem(client.post("api/fill", json=fill_request(photo)), 404, "photo_gone")
    assert client.delete(f"api/photos/{photo['id']}").status_code == 204


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "not_a_picture"),
        (b"hello", "not_a_picture"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not_a_picture"),
        (photo_bytes()[:2000], "damaged"),
        (photo_bytes(format="JPEG")[:3000], "damaged"),
    ],
)
def test_what_is_no_picture_is_refused(client, data, code):
    problem(client.post("api/photos", content=data), 422, code)


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"mask": mask_text(np.zeros((64, 64), np.uint8))}, 422, "mask_empty"),
        ({"mask": mask_text(np.full((64, 32), 255, np.uint8))}, 422, "not_square"),
        ({"mask": mask_text(np.full((1040, 1040), 255, np.uint8))}, 413, "too_many_pixels"),
        ({"mask": "?"}, 400, "bad_request"),
        ({"mask": "aGVsbG8="}, 422, "not_a_picture"),
        ({"mask": None}, 400, "bad_request"),
        ({"frame": FRAME | {"x": -20}}, 422, "frame_outside"),
        ({"frame": FRAME | {"side": 5000}}, 422, "frame_outside"),
        ({"frame": FRAME | {"x": 1e300}}, 400, "bad_request"),
        ({"frame": FRAME | {"angle": 361}}, 400, "bad_request"),
        ({"frame": FRAME | {"x": "left"}}, 400, "bad_request"),
        ({"frame": FRAME | {"more": 1}}, 400, "bad_request"),
        ({"references": [{"photo": "0" * 32, "frame": FRAME}]}, 404, "photo_gone"),
        ({"references": [{"photo": "0" * 32, "frame": FRAME}] * 9}, 400, "bad_request"),
        ({"photo": "../../etc/passwd"}, 400, "bad_request"),
    ],
)
def test_a_fill_that_cannot_be_is_refused(client, changes, status, code):
    problem(client.post("api/fill", json=fill_request(upload(client)) | changes), status, code)


def test_a_face_that_is_too_small_is_refused_with_the_figures(client):
    small = FRAME | {"side": 49.9}
    photo = upload(client)
    error = problem(client.post("api/fill", json=fill_request(photo, frame=small)), 422, "face_too_small")
    assert (error["side"], error["min"]) == (49, 50)
    problem(client.get(f"api/photos/{photo['id']}/crop", params=small), 422, "face_too_small")


@pytest.mark.parametrize(
    "address",
    [
        "api/photos/0/crop",
        "api/photos/0/crop?x=nan&y=1&side=100",
        "api/photos/0/preview?side=9999999",
        "api/photos/%2e%2e%2f/preview",
        "api/photos/0/holes/everything?x=1&y=1&side=100",
        "api/photos/0/holes/eyes?x=1&y=1&side=100&size=100000",
        "api/fills/0/photo?format=bmp",
        "api/fills/0/crop/everything",
    ],
)
def test_addresses_that_cannot_be_are_refused(client, address):
    assert client.get(address).status_code in (400, 404)
    assert client.get(address).json()["error"]["code"] in ("bad_request", "not_found")


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"[" * 100_000, b'{"photo": 1}', b"\xff\xfe"])
def test_a_body_that_is_not_a_fill_is_refused(client, body):
    answer = client.post("api/fill", content=body, headers={"Content-Type": "application/json"})
    problem(answer, 400, "bad_request")


def test_unknown_addresses_and_methods(client):
    problem(client.get("api/nothing"), 404, "not_found")
    problem(client.get("nothing.html"), 404, "not_found")
    problem(client.put("api/photos"), 405, "bad_request")
    assert client.get("samples/../app.py").status_code == 404
    assert client.get("samples/%2e%2e/app.py").status_code == 404
