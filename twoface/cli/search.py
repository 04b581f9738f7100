"""`twoface index ...`: a function for each command and, below, its options. What one needs is imported inside it."""

from __future__ import annotations

import json
import os
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from twoface.cli.options import Add, Command, Commands, command, number, require
from twoface.core.errors import InputError

if TYPE_CHECKING:
    from twoface.search.index import Summary
    from twoface.search.people import People
    from twoface.search.rows import FaceRow
    from twoface.search.store import Store

EXAMPLES = """examples:
  twoface index build photos/ --index my-photos
  twoface index update --index my-photos
  twoface index search me.jpg --hole eyes --index my-photos --html found.html
  twoface fill me.jpg --hole eyes --reference-from my-photos -o filled.jpg
  twoface index forget "photos/old.jpg" --index my-photos
  twoface index people --index my-photos --html people.html
  twoface index people --index my-photos --name 3 Anna --merge Anna 7 --split photos/other.jpg "photos/two.jpg#1"

An index holds, for every face, where it is and embeddings: numbers by which the person can be recognised. That is
biometric data: keep it as you keep the photos. It holds no pictures. WHO is a person's name or number; FACE is a photo,
or PHOTO#N for the face N of it, the largest 0. INDEX is a directory, or the address of a
PostgreSQL server with pgvector, postgresql://USER@HOST/DATABASE. Stopped or killed? Run the same command again."""


NEEDED = ("lancedb", "lance", "jinja2", "filelock")  # the extra `search`


def build(args: Namespace) -> int:
    from twoface.search.index import build

    return _told(build(args.folders, args.index, args.people, args.workers, anew=args.anew))


def add(args: Namespace) -> int:
    from twoface.search.index import build
    from twoface.search.store import open_store

    open_store(args.index)  # there is one
    return _told(build(args.folders, args.index, args.people, args.workers))


def update(args: Namespace) -> int:
    from twoface.search.index import update

    return _told(update(args.index, args.workers, really=args.really))


def remove(args: Namespace) -> int:
    from twoface.search.index import remove

    return _told(remove(args.paths, args.index))


def forget(args: Namespace) -> int:
    from twoface.search.index import forget

    return _told(forget(args.what, args.index))


def stats(args: Namespace) -> int:
    from twoface.search.index import settle
    from twoface.search.store import open_store

    store = open_store(args.index)
    record, counts = settle(store), store.counts()
    unreadable = [row for row in store.photos().values() if row.error]
    print(f"{counts['photos']} photos, {counts['faces']} faces, {counts['bytes'] / 1e6:.1f} MB")
    for folder in record.folders:
        print(f"folder     {folder}")
    for row in unreadable:
        print(f"unreadable {row.path}: {row.error}")
    return 0


def verify(args: Namespace) -> int:
    from twoface.search.index import verify

    problems = verify(args.index)
    print("\n".join(problems) or "everything is there and whole")
    return 1 if problems else 0


def search(args: Namespace) -> int:
    from twoface.core.files import check_output
    from twoface.core.frame import Frame
    from twoface.core.images import read_mask, read_photo
    from twoface.core.parts import parse_hole
    from twoface.search.collection import Collection
    from twoface.search.page import write_page
    from twoface.search.rank import VERDICTS

    for path in (args.html, args.report):
        if path:
            check_output(path, args.force)
    photo = read_photo(args.photo)
    answer = Collection.open(args.index, args.model).references(
        photo,
        Frame.parse(args.face) if args.face else None,
        read_mask(args.mask, photo.size, orientation=photo.orientation) if args.mask else None,
        args.k,
        hole=parse_hole(args.hole) if args.hole else None,
    )
    print(f"{VERDICTS[answer.verdict]}; {answer.faces} faces searched in {answer.seconds['total']:.2f} s")
    if answer.person:
        print(f"person {answer.person} of the index")
    print("probability  similarity  in index  quality = visible pose expression sharp size  photo")
    for found in answer.candidates:
        parts = " ".join(f"{value:.2f}" for value in found.parts.values())
        print(f"{found.probability:11.3f}  {found.similarity:10.3f}  {found.first_similarity:8.3f}", end="  ")
        who = f", person {found.person}" if found.person else ""
        print(f"{found.quality:7.2f}   {parts}  {found.path} ({VERDICTS[found.verdict]}{who})")
    if args.report:
        _write(args.report, json.dumps(answer.report(), indent=1) + "\n", args.force)
    if args.html:
        write_page(answer, args.photo, args.html, args.force)
    return 0


def people(args: Namespace) -> int:
    """Group the faces, do what is asked in the order name, merge, move, split, and say who is there."""
    from twoface.core.files import check_output
    from twoface.search.index import check_space
    from twoface.search.people import People, clear
    from twoface.search.record import read_record
    from twoface.search.store import open_store

    if args.html:
        check_output(args.html, args.force)
    store = open_store(args.index)
    with store.writing():
        if args.clear:
            clear(store)
            print("nobody is grouped or named any more")
            return 0
        check_space(read_record(store))
        found = People.read(store) or People()
        found.bring_up(store)
        _decide(args, store, found)
        found.write(store)
    if args.html:
        from twoface.search.page import write_people_page

        write_people_page(found, store, args.html, args.force)
    _list_people(found, len(store), args.show)
    return 0


def _decide(args: Namespace, store: Store, people: People) -> None:
    for who, name in args.name or ():
        people.name(who, name)
    for who in args.merge or ():
        if len(who) < 2:
            raise InputError("--merge takes two or more people", code="bad_request")
        people.merge(*who)
    for who, *faces in args.move or ():
        if not faces:
            raise InputError("--move takes a person and one or more faces", code="bad_request")
        people.move(_placed(store, faces), who)
    for faces in args.split or ():
        print(f"person {people.move(_placed(store, faces)).label} is new")


def _placed(store: Store, faces: Iterable[str]) -> dict[FaceRow, int]:
    """PATH or PATH#N each -> as `People.move` takes them."""
    from twoface.search.people import place

    rows: dict[FaceRow, int] = {}
    for text in faces:
        path, mark, number = text.rpartition("#")
        numbered = mark and number.isdigit()
        rows |= place(store, os.path.abspath(path if numbered else text), int(number) if numbered else 0)
    return rows


def _list_people(people: People, faces: int, show: str | None) -> None:
    if show:
        for path, face in sorted(people.find(show).faces):
            print(f"{path}#{face}" if face else path)
        return
    for person in sorted(people.people.values(), key=lambda one: -len(one.faces)):
        print(f"{person.number:6d} {len(person.faces):6d} faces  {person.name}".rstrip())
    grouped = sum(len(person.faces) for person in people.people.values())
    print(f"{len(people.people)} people with {grouped} faces; {faces - grouped} faces are alone")


def _write(path: Path, text: str, force: bool) -> None:
    from twoface.core.files import write_aside

    write_aside(path, text.encode(), force)


def _told(summary: Summary) -> int:
    """Print what was done -> exit code: 1 when photos could not be read."""
    for path, error in summary.errors.items():
        print(f"twoface: {path}: {error}", file=sys.stderr)
    for path in summary.copies:
        print(f"{path}: left out, a copy of a forgotten photo")
    for path in summary.alike:
        print(f"{path}: stays, and shows very likely the same person")
    rate = f", {summary.photos / summary.seconds:.1f} photos/s" if summary.photos else ""
    print(f"{summary.photos} photos looked at, {summary.faces} faces, {summary.removed} removed{rate}")
    return 1 if summary.errors else 0


# Options.


def add_commands(commands: Commands) -> None:
    index = commands.add_parser("index", help="find references in folders of photos", epilog=EXAMPLES)
    index = index.add_subparsers(metavar="COMMAND", required=True)

    def make(name: str, run: Callable[[Namespace], int], summary: str) -> Command:
        def checked(args: Namespace) -> int:
            require("search", *NEEDED)
            return run(args)

        add, parser = command(index, name, checked, summary, EXAMPLES)
        add("--index", metavar="INDEX", required=True, help="its directory, or a server's address")
        return add, parser

    for name, run, summary in (
        ("build", build, "index folders of photos, or go on with it"),
        ("add", add, "index more folders"),
    ):
        option, _ = make(name, run, summary)
        option("folders", metavar="FOLDER", nargs="+", type=Path, help="looked through with all folders below")
        option("--people", action="store_true", help="each photo's folder is named after the person in it")
        _workers(option)
        if name == "build":
            option("--anew", action="store_true", help="of a damaged index: look at all its photos again")
    option, _ = make("update", update, "look through its folders again: new, changed and vanished photos")
    option("--really", action="store_true", help="remove also the photos of folders that are gone or far emptier")
    _workers(option)
    option, _ = make("remove", remove, "take photos or folders out of it")
    option("paths", metavar="PATH", nargs="+", type=Path, help="a photo, or a folder with all below")
    option, _ = make("forget", forget, "remove a photo or a person for good, and leave them out from now on")
    option("what", metavar="PATH|IDENTITY", help="a photo, or the name of a person's folder")
    make("stats", stats, "say what is in it")
    make("verify", verify, "read and check everything in it")
    _people_options(make("people", people, "group faces into people, and name, merge and split them")[0])
    _search_options(*make("search", search, "find references for a photo"))


def _workers(option: Add) -> None:
    option("--workers", metavar="N", type=number(int, 1), default=2, help="processes (default 2), about 0.5 GB each")


def _people_options(option: Add) -> None:
    several = {"action": "append", "nargs": "+"}
    option("--name", metavar=("WHO", "NAME"), action="append", nargs=2, help="name a person; '' takes the name away")
    option("--merge", metavar="WHO", **several, help="these are one person, the first")
    option("--move", metavar=("WHO", "FACE"), **several, help="these faces are this person's")
    option("--split", metavar="FACE", **several, help="these faces are a person of their own")
    option("--show", metavar="WHO", help="list the faces of a person")
    option("--html", metavar="FILE.html", type=Path, help="write a page with the faces of all people")
    option("--clear", action="store_true", help="remove all groups and names for good")
    option("--force", action="store_true", help="overwrite what is there")


def _search_options(option: Add, parser: ArgumentParser) -> None:
    option("photo", metavar="PHOTO", type=Path, help="with the face to find, or to fill")
    hole = parser.add_mutually_exclusive_group()
    hole.add_argument("--mask", metavar="MASK", type=Path, help="a picture of PHOTO's size, white where it is covered")
    hole.add_argument("--hole", metavar="HOLE", help="what is covered, as of `twoface fill` (default: nothing)")
    option("--face", metavar="X0,Y0,X1,Y1[,DEGREES]", help="the face as a square (default: found by itself)")
    option("-k", metavar="K", type=number(int, 1, 50), default=10, help="how many to show (default 10, at most 50)")
    option("--html", metavar="FILE.html", type=Path, help="write a page with the faces")
    option("--report", metavar="FILE.json", type=Path, help="write all figures")
    option("--model", metavar="FILE.onnx", type=Path, help="another network than the one that ships")
    option("--force", action="store_true", help="overwrite what is there")
