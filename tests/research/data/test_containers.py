import shutil
import tarfile
import zipfile

import cv2
import numpy as np
import pytest

from twoface.core.errors import InputError
from twoface.research.data.containers import entries, names, read_index, split_of
from twoface.research.data.portraits import Portraits

PEOPLE = ("train/ann", "train/bob", "val/cy", "val/dee")


@pytest.fixture
def folder(tmp_path):
    """SPLIT/IDENTITY/N.png, two pictures of each, and what does not belong."""
    root = tmp_path / "faces"
    for person, name in enumerate(PEOPLE):
        (root / name).mkdir(parents=True)
        for number in range(2):
            small = np.random.default_rng((person, number)).integers(0, 256, (5, 5, 3), np.uint8)
            cv2.imwrite(str(root / name / f"{number}.png"), cv2.resize(small, (160, 160)))
    (root / "readme.txt").write_text("dear")
    (root / "train" / "ann" / "._0.png").write_text("a mac was here")
    return root


def packed(folder, kind):
    """The same as one file, everything below a folder as such files have it."""
    if kind == "zip":
        return shutil.make_archive(str(folder), "zip", folder.parent, folder.name)
    return shutil.make_archive(str(folder), {"tar": "tar", "tar.gz": "gztar"}[kind], folder.parent, folder.name)


@pytest.mark.parametrize("kind", ["tar", "tar.gz", "zip"])
def test_the_same_faces_from_a_folder_and_from_a_file(folder, tmp_path, kind):
    archive = packed(folder, kind)
    before = sorted(tmp_path.rglob("*"))
    for split, people in (("train", ["ann", "bob"]), ("val", ["cy", "dee"])):
        plain, read = Portraits.load(folder, split), Portraits.load(archive, split)
        assert plain.names == read.names == people and len(plain) == 4
        assert np.array_equal(plain.crops, read.crops) and np.array_equal(plain.identity, read.identity)
        assert set(read.source) == {"faces"}
    assert sorted(tmp_path.rglob("*")) == before  # nothing was unpacked


@pytest.mark.parametrize("kind", ["folder", "tar", "zip"])
def test_an_index_beside_loose_pictures(folder, kind):
    rows = ["split,shard,path,identity,source", "val,,train/ann/0.png,ann,lfw", "val,,train/ann/1.png,ann,lfw"]
    if kind != "folder":
        rows = [row.replace("train/ann", "faces/train/ann") for row in rows]
    data = folder if kind == "folder" else packed(folder, kind)
    text = "\n".join(rows) + "\n"
    if kind == "folder":
        (folder / "index.csv").write_text(text)
    elif kind == "zip":
        with zipfile.ZipFile(data, "a") as archive:
            archive.writestr("index.csv", text)
    else:
        (folder.parent / "index.csv").write_text(text)
        with tarfile.open(data, "a") as archive:
            archive.add(folder.parent / "index.csv", "index.csv")
    portraits = Portraits.load(data, "val")
    assert portraits.names == ["ann"] and len(portraits) == 2 and set(portraits.source) == {"lfw"}
    with pytest.raises(InputError, match="no split 'train'"):
        Portraits.load(data, "train")


def test_the_cache_knows_one_file_from_another(folder, tmp_path):
    cache = tmp_path / "cache"
    first = Portraits.load(packed(folder, "zip"), "val", cache).crops
    assert np.array_equal(first, Portraits.load(folder, "val", cache).crops)
    cv2.imwrite(str(folder / "val" / "cy" / "0.png"), np.zeros((160, 160, 3), np.uint8))
    assert not Portraits.load(folder, "val", cache).crops[0].any()
    assert not np.array_equal(first, Portraits.load(packed(folder, "zip"), "val", cache).crops)


def test_without_splits_the_name_decides(tmp_path):
    for i in range(200):
        (tmp_path / "lfw" / f"p{i}").mkdir(parents=True)
        (tmp_path / "lfw" / f"p{i}" / "0.jpg").touch()
    rows = read_index(tmp_path / "lfw")
    assert {row["identity"]: row["split"] for row in rows} == {f"p{i}": split_of(f"p{i}", 0, 0.05) for i in range(200)}
    assert {row["split"] for row in rows} == {"train", "val"}


def test_entries_and_names_agree(folder):
    for data in (folder, *map(lambda kind: folder.parent / packed(folder, kind), ("tar", "zip"))):
        assert sorted(dict(entries(data))) == sorted(names(data)) and len(names(data)) == 10
        chosen = names(data)[:2]
        assert [name for name, _ in entries(data, set(chosen))] == chosen


def test_errors(folder, tmp_path):
    (tmp_path / "letter.txt").write_text("dear")
    (tmp_path / "empty").mkdir()
    for data, message in (
        (tmp_path / "none", "none not found"),
        (tmp_path / "letter.txt", "letter.txt not found: give a folder, a tar or a zip"),
        (tmp_path / "empty", "neither index.csv nor pictures"),
    ):
        with pytest.raises(InputError, match=message):
            Portraits.load(data, "train")
    archive = packed(folder, "tar")
    with open(archive, "rb+") as file:
        file.truncate(30_000)
    with pytest.raises(InputError, match="is damaged"):
        list(entries(tmp_path / "faces.tar"))
    cv2.imwrite(str(folder / "train" / "bob" / "1.png"), np.zeros((50, 60, 3), np.uint8))
    with pytest.raises(InputError, match="train/bob/1.png is not a 160x160 picture"):
        Portraits.load(folder, "train")
