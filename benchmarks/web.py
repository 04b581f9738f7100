"""The web application from the browser's side: first load, faces framed, fill on screen; and the server's memory.

    python benchmarks/web.py [--photo FILE] [--reference FILE] [--rounds 7] [--fills 500]

Starts a `twoface web` and a Chromium (Debian's, else Playwright's own) on this machine and prints a Markdown table of
medians. The photo is scaled to 12 megapixels; a fill takes the reference as it is, under the hole `eyes`. Memory is
that of the server's processes together after a tenth of --fills and after all, each fill followed by its patch.
"""

import argparse
import base64
import contextlib
import io
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import httpx
from PIL import Image
from playwright.sync_api import sync_playwright

from twoface.core.images import read_photo

SAMPLES = Path(__file__).parent.parent / "samples"
PIXELS = 12_000_000
FRAMED = ".photo-card .found"  # the page says so when it has drawn the frames
# What the page does after a fill: ask, fetch the patch, draw it over the photo, wait until it is on screen.
SHOW_FILL = """async (request) => {
  const start = performance.now(), headers = {"X-Two-Face": "1", "Content-Type": "application/json"};
  const made = await (await fetch("/api/fill", {method: "POST", headers, body: JSON.stringify(request)})).json();
  const patch = await createImageBitmap(await (await fetch(`/api/fills/${made.id}/patch`)).blob());
  window.sheet ??= Object.assign(document.createElement("canvas"), {width: 4000, height: 4000});
  document.body.append(window.sheet);
  window.sheet.getContext("2d").drawImage(patch, made.patch.x, made.patch.y);
  await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  return performance.now() - start;
}"""


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photo", type=Path, default=SAMPLES / "photo.jpg")
    parser.add_argument("--reference", type=Path, default=SAMPLES / "reference.jpg")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--fills", type=int, default=500)
    options = parser.parse_args()

    photo, reference = scaled(options.photo), options.reference.read_bytes()
    print("| what | measured |\n|---|---|")
    with serving() as (url, process), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        with contextlib.closing(browser.new_page(viewport={"width": 1280, "height": 800})) as page:
            size, ready = first_load(page, url)
            row("first load", f"{size / 1e3:.0f} KB, ready after {ready:.0f} ms")
            row("faces of 12 MP framed after the file is chosen", ms(faces_framed(page, url, photo, options.rounds)))
            row("fill on screen, with a reference", ms(fill_shown(page, [photo, reference], options.rounds)))
            row("fill on screen, without", ms(fill_shown(page, [photo], options.rounds)))
        few, many = memory(url, process.pid, [photo, reference], options.fills)
        row(
            f"memory after {options.fills // 10} and {options.fills} fills",
            f"{few / 1e6:.0f} and {many / 1e6:.0f} MB ({many / few - 1:+.1%})",
        )
    row("decoding the photo, which the cache spares each look and fill", ms(decoding(photo, options.rounds)))


def row(what, measured):
    print(f"| {what} | {measured} |", flush=True)


def ms(seconds):
    return f"{median(seconds) * 1e3:.0f} ms ({min(seconds) * 1e3:.0f} to {max(seconds) * 1e3:.0f})"


def scaled(path):
    """The photo as JPEG bytes of about 12 megapixels."""
    image = Image.open(path).convert("RGB")
    factor = (PIXELS / (image.width * image.height)) ** 0.5
    buffer = io.BytesIO()
    size = round(image.width * factor), round(image.height * factor)
    image.resize(size, Image.Resampling.LANCZOS).save(buffer, "JPEG", quality=92)
    return buffer.getvalue()


@contextlib.contextmanager
def serving():
    """-> the URL of a new server, and its process."""
    command = [sys.executable, "-c", "from twoface.cli import main; main()", "web", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield re.search(r"http\S+", process.stdout.readline()).group(), process
        finally:
            process.terminate()


def first_load(page, url):
    """-> bytes that came over the wire, ms until the page is drawn and answers."""
    wire = page.context.new_cdp_session(page)
    wire.send("Network.enable")
    sizes = []
    wire.on("Network.loadingFinished", lambda event: sizes.append(event["encodedDataLength"]))
    start = time.perf_counter()
    page.goto(url)
    page.wait_for_selector("#step h1, #step h2")
    ready = time.perf_counter() - start
    page.wait_for_load_state("networkidle")
    return sum(sizes), ready * 1e3


def faces_framed(page, url, photo, rounds):
    seconds = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "photo.jpg"
        path.write_bytes(photo)
        for _ in range(rounds):
            page.evaluate(
                "async () => (await indexedDB.databases()).forEach(({name}) => indexedDB.deleteDatabase(name))"
            )
            page.goto(url)
            with page.expect_file_chooser() as chooser:
                page.locator(".drop button").first.click()
            start = time.perf_counter()
            chooser.value.set_files(path)
            page.wait_for_selector(FRAMED)
            seconds.append(time.perf_counter() - start)
    return seconds


def fill_shown(page, files, rounds):
    """Seconds from asking for a fill to its patch drawn in a canvas of the browser; the first warms up."""
    cookies = {cookie["name"]: cookie["value"] for cookie in page.context.cookies()}
    with client(page.url, cookies) as http:
        request = fill_request(http, files)
    return [page.evaluate(SHOW_FILL, request) / 1e3 for _ in range(rounds + 1)][1:]


def client(url, cookies=None):
    return httpx.Client(base_url=httpx.URL(url).join("/"), headers={"X-Two-Face": "1"}, cookies=cookies, timeout=60)


def fill_request(http, files):
    """Upload the files, the photo first -> what the page sends for a fill of the eyes."""
    sent = [http.post("api/photos", content=data).raise_for_status().json() for data in files]
    photo, *references = [{"photo": each["id"], "frame": each["faces"][0]["frame"]} for each in sent]
    answer = http.get(f"api/photos/{photo['photo']}/holes/eyes", params=photo["frame"]).raise_for_status()
    return photo | {"mask": base64.b64encode(answer.content).decode(), "references": references}


def memory(url, pid, files, fills):
    """-> bytes of the server's processes after a tenth of the fills and after all."""
    sizes = []
    with client(url) as http:
        http.get("")
        request = fill_request(http, files)
        for count in range(1, fills + 1):
            made = http.post("api/fill", json=request).raise_for_status().json()
            http.get(f"api/fills/{made['id']}/patch").raise_for_status()
            if count in (fills // 10, fills):
                sizes.append(sum(resident(each) for each in family(pid)))
    return sizes


def family(pid):
    """A process and its children, as Linux tells."""
    children = [child for file in Path(f"/proc/{pid}/task").glob("*/children") for child in file.read_text().split()]
    return [pid, *(each for child in children for each in family(int(child)))]


def resident(pid):
    return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text()).group(1)) * 1024


def decoding(photo, rounds):
    seconds = []
    for _ in range(rounds):
        start = time.perf_counter()
        read_photo(photo)
        seconds.append(time.perf_counter() - start)
    return seconds


if __name__ == "__main__":
    main()
