import os

import pytest

from twoface.core.errors import InputError
from twoface.core.jobs import COLUMNS, read_jobs

TABLE = 'photo{0}hole{0}reference\r\nZoë.jpg{0}eyes{0}"a.jpg; b.jpg"\r\n'


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("said", [False, True])
def test_csv_as_spreadsheets_write_it(tmp_path, encoding, separator, said):
    text = (f"sep={separator}\r\n" if said else "") + TABLE.format(separator)
    (tmp_path / "jobs.csv").write_bytes(text.encode(encoding))
    (row,) = read_jobs(tmp_path / "jobs.csv")
    assert (row.number, row.photo, row.hole, row.reference) == (1, "Zoë.jpg", "eyes", ("a.jpg", "b.jpg"))
    assert row.mask == row.face == row.out == row.error == ""


def read(tmp_path, text):
    (tmp_path / "jobs.csv").write_text(text)
    return read_jobs(tmp_path / "jobs.csv")


def test_columns_of_any_order_and_case_and_empty_ones(tmp_path):
    rows = read(tmp_path, "\n HOLE ,Photo,,\n\neyes,a.jpg,,\n,,,\nnose,b.jpg\n,c.jpg,,x\neyes,20,20,90,90\n")
    assert [(row.photo, row.hole) for row in rows[:2]] == [("a.jpg", "eyes"), ("b.jpg", "nose")]
    assert "without a name" in rows[2].error and rows[2].photo == "c.jpg"
    assert "in quotes" in rows[3].error


def test_a_single_column(tmp_path):
    assert [row.photo for row in read(tmp_path, "photo\na.jpg\nb;c.jpg\n")] == ["a.jpg", "b;c.jpg"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no jobs"),
        ("photo,hole\n", "no jobs"),
        ("hole,out\na,b\n", "no column photo"),
        ("foto,hole,color\na,,\n", "unknown columns foto, color"),
        ("photo,hole,Photo\na,,\n", "a column twice"),
        ('photo,mask\n"a,b\n', "cannot read"),
        ("PK\3\4 a spreadsheet", "save it as CSV"),
    ],
)
def test_files_that_are_refused(tmp_path, text, message):
    with pytest.raises(InputError, match=message) as error:
        read(tmp_path, text)
    if "column" in message:
        assert ", ".join(COLUMNS) in str(error.value)


def test_text_that_is_none(tmp_path):
    (tmp_path / "jobs.csv").write_bytes(b"\xff\xfephoto\n\x81.jpg\n!")
    with pytest.raises(InputError, match="as text"):
        read_jobs(tmp_path / "jobs.csv")


def test_names_that_are_not_utf_8(tmp_path):
    (tmp_path / os.fsdecode(b"caf\xe9.jpg")).touch()
    (tmp_path / "jobs.csv").write_bytes(b'photo,reference\ncaf\xe9.jpg,"a;\xfc.jpg"\nZo\xeb.jpg,\n\x81.jpg,\n')
    found = read_jobs(tmp_path / "jobs.csv")
    assert [os.fsencode(row.photo) for row in found] == [b"caf\xe9.jpg", "Zoë.jpg".encode(), b"\x81.jpg"]
    assert os.fsencode(found[0].reference[1]) == b"\xfc.jpg"  # as the row's other name


def test_json_lines(tmp_path):
    (tmp_path / "jobs.jsonl").write_text(
        '{"photo": "a;b.jpg ", "reference": "c.jpg", "reference_face": [0, 0, 90, 90]}\n\n'
        '{"photo": "d.jpg", "reference": ["e.jpg", "f.jpg"], "reference_face": [null, [1, 2, 3, 4, 5.5]]}\n'
    )
    first, second = read_jobs(tmp_path / "jobs.jsonl")
    assert first.photo == "a;b.jpg " and first.reference == ("c.jpg",) and first.reference_face == ("0,0,90,90",)
    assert second.number == 2 and second.reference_face == ("", "1,2,3,4,5.5")
