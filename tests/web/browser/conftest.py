"""A real browser at a real server: its engine is a stand-in, all the rest is what ships."""

import shutil

import pytest
from seeing import seeing_studio
from visitor import DESKTOP, Visitor
from web_server import running

ARGUMENTS = ["--no-sandbox", "--use-fake-device-for-media-stream"]


@pytest.fixture(scope="module")
def chromium():
    """Debian's Chromium, else Playwright's own. Module-wide: Playwright's loop would be in the way of other tests'."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install playwright")
    with sync_api.sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(
                executable_path=shutil.which("chromium"), args=ARGUMENTS, timeout=120_000
            )
        except sync_api.Error as error:
            pytest.skip(f"no Chromium ({str(error).splitlines()[0]}): apt-get install chromium")
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The address of a server for all tests of a file; a file over 400 kB is too large for it."""
    with running(tmp_path_factory.mktemp("site"), seeing_studio, photo_bytes=400_000) as client:
        yield str(client.base_url)


@pytest.fixture
def visit(chromium, site):
    """Open the page: visit(language="en", url=..., **options of the browser context) -> Visitor.

    Without its service worker, unless asked for: what goes through one cannot be routed.
    At the end it has logged no error, broken no rule of the content security policy, and spoken to nobody else.
    """
    visitors = []

    def open_page(language="en", url=site, **options):
        options = {"viewport": DESKTOP, "service_workers": "block", **options}
        context = chromium.new_context(locale=language, **options)
        visitors.append(Visitor(context, url, language))
        return visitors[-1]

    yield open_page
    for visitor in visitors:
        visitor.context.close()
        assert visitor.troubles == [] and visitor.strangers == []
