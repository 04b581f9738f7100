"""The README's pictures of the web application, made with the sample photos: a real server, a real browser.

python docs/screenshots.py [--out docs/images]
"""

import argparse
import asyncio
import io
import shutil
import threading
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from twoface.web.server import Server
from twoface.web.settings import Settings

WIDTH = 1000  # pixels of a picture in the README


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "images")
    options = parser.parse_args()
    options.out.mkdir(exist_ok=True)

    server, up = Server(Settings(port=0)), threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(lambda url: up.set())))
    thread.start()
    up.wait()
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
            walk(browser.new_page(locale="en", viewport={"width": 1240, "height": 860}), server.url, options.out)
    finally:
        server.should_exit = True
        thread.join()


def walk(page, url, out):
    def next_step(name, title):
        page.get_by_role("button", name=name, exact=True).click()
        page.get_by_role("heading", level=1, name=title).wait_for()

    page.goto(url)
    page.get_by_role("button", name="Sunglasses").click()
    page.locator(".found").nth(1).wait_for()
    shoot(page, out / "web-1-photos.webp")
    next_step("Next: the face", "Check the face")
    page.wait_for_timeout(500)  # the picture is drawn
    shoot(page, out / "web-2-face.webp")
    next_step("Next: what to fill", "Mark what to fill")
    page.get_by_role("button", name="Mark what is in front of the face", exact=True).click()
    page.locator(".need:empty").wait_for(state="attached")
    page.wait_for_timeout(500)
    shoot(page, out / "web-3-hole.webp")
    next_step("Fill it", "Your photo, filled")
    page.get_by_alt_text("The filled face").wait_for()
    page.locator(".tile img").nth(1).wait_for()  # made ahead
    page.wait_for_timeout(500)
    shoot(page, out / "web-4-result.webp")


def shoot(page, path):
    picture = Image.open(io.BytesIO(page.screenshot()))
    size = WIDTH, round(picture.height * WIDTH / picture.width)
    picture.resize(size, Image.Resampling.LANCZOS).save(path, quality=82)
    print(f"{path} {path.stat().st_size / 1e3:.0f} kB")


if __name__ == "__main__":
    main()
