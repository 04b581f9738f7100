"""The page's words: both languages whole, every key used and there, every error code in words."""

import json
import re
from pathlib import Path

import pytest

import twoface

PACKAGE = Path(twoface.__file__).parent
STATIC = PACKAGE / "web" / "static"
STRINGS = json.loads((STATIC / "strings.json").read_text(encoding="utf-8"))
OURS = [path for kind in ("js", "html") for path in STATIC.rglob(f"*.{kind}") if "vendor" not in path.parts]
SOURCES = {path: path.read_text(encoding="utf-8") for path in OURS}

# Keys that are put together: what stands for {...} in `t(`hole.${name}`)` can be anything that the table has.
BUILT = re.compile(r"""(?:\bt|\bcount|\bhas)\(\s*(?:"([\w.]+)"|`([^`]+)`)""")
CONDITIONAL = re.compile(r"""\bt\([^()`]*\?\s*"([\w.]+)"\s*:\s*"([\w.]+)\"""")
ATTRIBUTE = re.compile(r'data-i18n(?:-label)?="([\w.]+)"')
CODE = re.compile(r"""(?:code=|ApiError\(|problem\(\d+, )"([a-z_]+)\"""")
NOT_SHOWN = {"content_type", "field_twice", "unknown_field"}  # of doors that the page never uses


def wanted():
    """Every key that the page asks for, as (pattern, file)."""
    for path, source in SOURCES.items():
        if path.name == "i18n.js":  # it makes texts of others' keys
            continue
        for plain, built in BUILT.findall(source):
            yield re.escape(plain) if plain else re.sub(r"\\\$\\\{.*?\\\}", r"[\\w.-]+", re.escape(built)), path.name
        for pair in CONDITIONAL.findall(source):
            yield from ((re.escape(key), path.name) for key in pair)
        yield from ((re.escape(key), path.name) for key in ATTRIBUTE.findall(source))
        # Tables of keys: quoted words that are keys as they stand.
        yield from ((re.escape(key), path.name) for key in re.findall(r'"([\w.]+)"', source) if key in STRINGS)


def codes():
    """Every error code that the server or the page itself can give."""
    folders = [PACKAGE, PACKAGE / "web", PACKAGE / "service", PACKAGE / "client"]
    sources = [path.read_text(encoding="utf-8") for folder in folders for path in folder.glob("*.py")]
    return {code for source in [*sources, *SOURCES.values()] for code in CODE.findall(source)} - NOT_SHOWN


@pytest.mark.parametrize("key", STRINGS)
def test_both_languages_have_words_and_the_same_blanks(key):
    words = STRINGS[key]
    assert set(words) == {"en", "es"}
    assert all(text.strip() == text and text for text in words.values())
    blanks = [sorted(re.findall(r"\{\w+\}", text)) for text in words.values()]
    assert blanks[0] == blanks[1]


def test_every_key_that_is_asked_for_is_there():
    lacking = {(pattern, file) for pattern, file in wanted() if not any(matches(pattern, key) for key in STRINGS)}
    assert not lacking


def test_no_words_are_left_over():
    patterns = {pattern for pattern, _ in wanted()}
    assert not [key for key in STRINGS if not any(matches(pattern, key) for pattern in patterns)]


def test_every_error_code_has_words():
    assert len(codes()) > 20
    assert not [code for code in sorted(codes()) if f"error.{code}" not in STRINGS]


def test_no_markup_and_no_inline_style_or_script():
    for path, source in SOURCES.items():
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(", source), path
        assert not re.search(r"\sstyle=|\son\w+=\"|<script>|<style|https?://(?!www\.w3\.org/2000/svg)", source), path


def test_first_load_is_below_300_kb():
    assert sum(path.stat().st_size for path in STATIC.rglob("*") if path.is_file()) < 300_000


def test_vendored_libraries_come_with_their_licence():
    for library in (STATIC / "vendor").iterdir():
        assert (library / "LICENCE").read_text(encoding="utf-8").strip()


def matches(pattern, key):
    """Whether a pattern means a key; `count` adds .one and .many."""
    return re.fullmatch(rf"{pattern}(\.one|\.many)?", key)
