import json

import cv2
import numpy as np
import pytest
from fakes import MEAN_MESH, FakeDetector, FakeMesher, placed_face, textured

from twoface.core.affine import apply, invert
from twoface.core.errors import InputError
from twoface.core.frame import Frame
from twoface.core.parts import named_hole
from twoface.research.evaluation.panel import SHOWN, draw_tasks, make_fills, read_tasks, task_mask

FRAME = Frame.of_transform(np.array([[0.8, 0.1, 2.0], [-0.1, 0.8, 14.0]]))  # turned a little, 159 pixels wide
SIZE = 180


@pytest.fixture
def detector():
    return FakeDetector(placed_face(FRAME))


@pytest.fixture
def photos(tmp_path):
    """Six people with two photos each, and one with a single photo."""
    for person in range(7):
        folder = tmp_path / "photos" / f"p{person}"
        folder.mkdir(parents=True)
        for number in range(2 if person < 6 else 1):
            picture = textured(SIZE, SIZE, seed=10 * person + number)
            cv2.imwrite(str(folder / f"{number}.png"), picture)
    return tmp_path / "photos"


def outline(box):
    """A box of the crop frame as a polygon of the photo."""
    x0, y0, x1, y1 = box
    return apply(invert(FRAME.transform()), [(x0, y0), (x1, y0), (x1, y1), (x0, y1)]).round(1).tolist()


@pytest.fixture
def marked(tmp_path):
    """p0 wears glasses, p1 has a stick of which the frame holds next to nothing, p2 something without a reference."""

    def write(**more):
        covered = [
            {
                "photo": "p0/0.png",
                "reference": "p0/1.png",
                "covers": [{"kind": "glasses", "polygon": outline((30, 50, 98, 70))}],
            },
            {
                "photo": "p1/0.png",
                "reference": "p1/1.png",
                "covers": [{"kind": "stick", "polygon": outline((122, 60, 160, 80))}],
            },
            {
                "photo": "p2/0.png",
                "reference": None,
                "covers": [{"kind": "cup", "polygon": outline((40, 80, 90, 110))}],
            },
        ]
        path = tmp_path / "marked.json"
        path.write_text(json.dumps({"covered": covered} | more))
        return path

    return write


def test_every_hole_in_turn_and_the_same_by_the_seed(photos, detector):
    tasks = draw_tasks(photos, count=12, detector=detector, mesher=FakeMesher())
    assert [task["hole"] for task in tasks] == ["eyes", "mouth", "nose", "lower", "center", "strokes"] * 2
    assert len({task["photo"][:2] for task in tasks[:6]}) == 6  # everyone once before anyone twice
    for task in tasks:
        assert task["photo"] != task["reference"] and task["photo"][:2] == task["reference"][:2] != "p6"
    assert tasks == draw_tasks(photos, count=12, detector=detector, mesher=FakeMesher())
    assert tasks[:6] == draw_tasks(photos, count=6, detector=detector, mesher=FakeMesher())
    assert tasks != draw_tasks(photos, count=12, seed=1, detector=detector, mesher=FakeMesher())


def test_a_hole_lies_on_the_face_in_the_photo(photos, detector):
    task = draw_tasks(photos, count=1, detector=detector, mesher=FakeMesher())[0]
    mask = task_mask(task, (SIZE, SIZE, 3))
    back = cv2.warpAffine(mask.view(np.uint8), FRAME.transform(), (128, 128), flags=cv2.INTER_NEAREST).astype(bool)
    eyes = named_hole("eyes", MEAN_MESH)
    assert np.count_nonzero(back & eyes) / np.count_nonzero(back | eyes) > 0.9


def test_real_things_are_filled_whole(photos, detector, marked):
    path = marked()
    tasks = draw_tasks(photos, path, 4, detector=detector, mesher=FakeMesher())
    assert [task["hole"] for task in tasks] == ["eyes", "mouth", "nose", "covered"]
    assert (tasks[3]["photo"], tasks[3]["reference"]) == ("p0/0.png", "p0/1.png")
    mask = task_mask(tasks[3], (SIZE, SIZE, 3))
    given = task_mask({"polygons": [outline((30, 50, 98, 70))]}, (SIZE, SIZE, 3))
    assert mask[given].mean() > 0.99 and given.sum() < mask.sum() < 1.5 * given.sum()
    square = tasks[3]["view"][2] - tasks[3]["view"][0]
    assert square == pytest.approx(1.75 * FRAME.side, rel=0.01)
    with pytest.raises(InputError, match="too few photos for 8 fills: ask for 7"):  # the other two cannot be used
        draw_tasks(photos, path, 8, detector=detector, mesher=FakeMesher())


def test_a_real_thing_is_filled_beside_the_frame_too(photos, detector, marked):
    path = marked()
    told = json.loads(path.read_text())
    told["covered"][0]["covers"] = [{"kind": "hand", "polygon": outline((60, 80, 136, 110))}]
    path.write_text(json.dumps(told))
    task = draw_tasks(photos, path, 4, detector=detector, mesher=FakeMesher())[3]
    mask = task_mask(task, (SIZE, SIZE, 3))
    assert mask[task_mask({"polygons": [outline((129, 80, 136, 110))]}, (SIZE, SIZE, 3))].mean() > 0.99


def test_what_lies_beside_the_face_is_no_hole(photos, detector, marked):
    def with_beside(count):
        path = marked()
        told = json.loads(path.read_text())
        beside = {"kind": "hand", "polygon": outline((40, 80, 90, 110)), "beside": True}
        told["covered"][0]["covers"].append(beside)
        told["covered"].append({"photo": "p3/0.png", "reference": "p3/1.png", "covers": [beside]})
        path.write_text(json.dumps(told))
        return draw_tasks(photos, path, count, detector=detector, mesher=FakeMesher())

    only_glasses = draw_tasks(photos, marked(), 4, detector=detector, mesher=FakeMesher())[3]
    assert with_beside(4)[3]["polygons"] == only_glasses["polygons"]
    with pytest.raises(InputError, match="too few photos for 8 fills: ask for 7"):  # p3 has no hole to be filled
        with_beside(8)


def test_covered_photos_are_no_drawn_ones_and_a_list_of_clean_ones_is_kept_to(photos, detector, marked):
    tasks = draw_tasks(photos, marked(), 7, detector=detector, mesher=FakeMesher())
    assert all(task["photo"][:2] in ("p3", "p4", "p5") for task in tasks if task["hole"] != "covered")
    tasks = draw_tasks(
        photos, marked(clean=["p4/0.png", "p4/1.png", "p5/0.png"]), 7, detector=detector, mesher=FakeMesher()
    )
    assert all(task["photo"][:2] == "p4" for task in tasks if task["hole"] != "covered")


def test_small_faces_and_photos_without_one_are_passed_over(photos):
    for detector in (FakeDetector(), FakeDetector(placed_face(Frame(60, 60, FRAME.side / 3)))):
        with pytest.raises(InputError, match="ask for 0"):
            draw_tasks(photos, count=1, detector=detector, mesher=FakeMesher())


def test_fills_go_through_the_product_and_show_the_same_square(photos, detector, inpainter, model_file, tmp_path):
    tasks = draw_tasks(photos, count=2, detector=detector, mesher=FakeMesher())
    product = inpainter(*detector.faces, offset=0.3)
    out = make_fills(tmp_path / "fills", photos, tasks, model_file, product, progress=False)
    known = read_tasks(out)
    assert known["tasks"] == tasks and known["model"]["file"] == model_file.name and len(known["model"]["sha256"]) == 64
    for number in range(2):
        fill, photo = (cv2.imread(str(out / f"{number:02}-{kind}.png")) for kind in ("fill", "photo"))
        assert fill.shape == photo.shape == (SHOWN, SHOWN, 3)
        changed = (fill != photo).any(2)
        assert 0.02 < changed.mean() < 0.3  # the hole and its feather, and nothing else
    with pytest.raises(InputError, match="exists"):
        make_fills(out, photos, tasks, model_file, product, progress=False)


def test_a_photo_that_cannot_be_filled_is_named(photos, detector, inpainter, model_file, tmp_path):
    tasks = draw_tasks(photos, count=1, detector=detector, mesher=FakeMesher())
    with pytest.raises(InputError, match=r"task 0 \(eyes of p.*no face was found"):
        make_fills(tmp_path / "fills", photos, tasks, model_file, inpainter(), progress=False)


def test_what_is_no_folder_of_fills(tmp_path):
    with pytest.raises(InputError, match="cannot be read as JSON"):
        read_tasks(tmp_path)
    (tmp_path / "tasks.json").write_text("{}")
    with pytest.raises(InputError, match="has no tasks"):
        read_tasks(tmp_path)
    (tmp_path / "tasks.json").write_text("[]")
    with pytest.raises(InputError, match="no JSON object"):
        read_tasks(tmp_path)
