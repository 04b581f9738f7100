"""`twoface fill` on files as phones, scanners and editors write them, made from a sample with their tools.

    apt-get install imagemagick libimage-exiftool-perl libheif-examples libavif-bin libtiff-tools webp ghostscript \\
        libjpeg-turbo-progs gimp
    python benchmarks/files.py FOLDER [--only NAME]

Makes each file of files.toml in FOLDER, fills the eyes of its face, and has ImageMagick and exiftool compare it with
the result. Prints a Markdown table: what the file was and became (kind, mode, bits), the largest and mean difference of
known pixels (of 65535; a JPEG is encoded anew), metadata lost or changed, and what was said.
"""

import argparse
import io
import json
import os
import subprocess
import sys
import time
import tomllib
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import numpy as np

from twoface.cli import main as twoface

SAMPLES = Path(__file__).parent.parent / "samples"
ICC = "/usr/share/color/icc/ghostscript"
FILES = tomllib.loads((Path(__file__).parent / "files.toml").read_text())
# What says how a file is stored, not what it shows or tells.
STRUCTURE = """
    SourceFile ExifTool File: System: JFIF:JFIFVersion Composite: Strip Tile RowsPer PlanarConf Compression
    Predictor BitsPer SamplesPer Thumbnail ExifByteOrder PNG:Filter PNG:Interlace Interop: SubfileType
    JFIF:ResolutionUnit ImageWidth ImageHeight Photometric FillOrder Orientation QuickTime: Meta: RIFF:
    XMPToolkit IFD1: PageNumber ColorTransform InkSet WhitePoint RedX RedY GreenX GreenY BlueX BlueY
    PNG:ModifyDate PNG:Datecreate PNG:Datemodify GIF: Preview JPEGTables SampleFormat BackgroundColor
    ExifImage PNG:BitDepth PNG:ColorType PNG:Palette
""".lower().split()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", choices=FILES, action="append")
    options = parser.parse_args()
    options.folder.mkdir(exist_ok=True)
    head = ("file", "was", "became", "known pixels differ by", "metadata lost or changed", "said")
    print(f"| {' | '.join(head)} |\n{'|---' * len(head)}|")
    for name in options.only or FILES:
        print(f"| {' | '.join(row(options.folder, name))} |", flush=True)


def row(folder, name):
    make(folder, name, FILES[name].get("commands"))
    given, out = folder / name, folder / f"{name}-filled.{FILES[name]['out']}"
    code, words, seconds = fill(given, out)
    if code:
        return name, kind(given), f"refused: {words}", "", "", f"{seconds:.1f} s"
    before, after = pixels(given), pixels(out)
    x0, y0, x1, y1 = json.loads(out.with_suffix(".json").read_text())["changed"]
    known = np.ones(before.shape[:2], bool)
    known[y0:y1, x0:x1] = False
    differ = "other size" if before.shape != after.shape else f"{np.abs(before - after)[known].max()}"
    mean = "" if differ in ("0", "other size") else f" (mean {np.abs(before - after)[known].mean():.0f})"
    return name, kind(given), kind(out), differ + mean, changes(tags(given), tags(out)), words


def make(folder, name, commands):
    (folder / name).unlink(missing_ok=True)
    if commands is None:
        deep = "(gimp-image-convert-precision image PRECISION-U16-GAMMA)" if "16" in name else ""
        script = (
            f'(let* ((image (car (gimp-file-load RUN-NONINTERACTIVE "{SAMPLES / "photo.jpg"}" "")))'
            f" (drawable (car (gimp-image-get-active-layer image)))) {deep}"
            f' (gimp-file-save RUN-NONINTERACTIVE image drawable "{folder / name}" "{name}"))'
        )
        run("gimp-console", "-i", "-d", "-f", "-b", script, "-b", "(gimp-quit 0)")
    else:
        known = {"S": str(SAMPLES / "photo.jpg"), "I": ICC}
        subprocess.run(["sh", "-euc", commands], cwd=folder, check=True, capture_output=True, env=os.environ | known)


def fill(given, out):
    """-> exit code, what was said, seconds."""
    command = ["fill", str(given), "--reference", str(SAMPLES / "reference.jpg"), "--hole", "eyes", "-o", str(out)]
    command += ["--force", "--report", str(out.with_suffix(".json"))]
    said, start = io.StringIO(), time.perf_counter()
    with redirect_stderr(io.TextIOWrapper(io.BytesIO())) as errors, redirect_stdout(io.TextIOWrapper(io.BytesIO())):
        try:
            code = twoface(command)
        except SystemExit as end:
            code = end.code
        errors.flush()
        said = errors.buffer.getvalue().decode()
    lines = [line.removeprefix("twoface: ").removeprefix("warning: ") for line in said.splitlines()]
    return code, "; ".join(lines).replace(f"{given.parent}/", ""), time.perf_counter() - start


def kind(path):
    shown = run("identify", "-format", "%m %[channels] %z bits\n", f"{path}[0]")
    return shown.decode().strip()


def pixels(path):
    """As ImageMagick reads a file, turned by its EXIF and laid on white, in sRGB -> int (H, W, 3) of 16 bits.

    HEIC and AVIF are decoded by their libraries' own programs: ImageMagick takes coarse colours from them.
    """
    if decoder := {".heic": "heif-convert", ".avif": "avifdec"}.get(path.suffix):
        run(decoder, str(path), str(path.with_suffix(".decoded.png")))
        path = path.with_suffix(".decoded.png")
    read = ["convert", f"{path}[0]", "-auto-orient", "-background", "white", "-alpha", "off"]
    width, height = run(*read, "-format", "%w %h", "info:").split()
    data = run(*read, "-colorspace", "sRGB", "-depth", "16", "-endian", "LSB", "RGB:-")
    return np.frombuffer(data, "<u2").reshape(int(height), int(width), 3).astype(int)


def tags(path):
    (found,) = json.loads(run("exiftool", "-j", "-G1", "-a", "-n", str(path)))
    told = {name: value for name, value in found.items() if not any(word in name.lower() for word in STRUCTURE)}
    return {name.rpartition(":")[2]: str(value) for name, value in told.items()}


def changes(before, after):
    gone = [name for name in before if name not in after]
    changed = [name for name in before if name in after and before[name] != after[name]]
    return "; ".join([*gone, *(f"{name} changed" for name in changed)]) or "none"


def run(*command):
    return subprocess.run(command, check=True, capture_output=True).stdout


if __name__ == "__main__":
    sys.exit(main())
