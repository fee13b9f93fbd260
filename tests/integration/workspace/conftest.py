"""One server and one Chromium for all tests of the workspace."""

import pytest
from brain_tumor.server.routes import page as page_routes
from playwright.sync_api import sync_playwright

from tests.helpers.workspace_page import (
    CHROMIUM,
    FLAGS,
    PATIENCE_MS,
    TOKEN,
    VIEWPORT,
    WorkspaceServer,
)


def pytest_collection_modifyitems(items):
    """Skip where there is nothing to look at or nothing to look with."""
    if CHROMIUM is None:
        why = pytest.mark.skip(reason="no Chromium on this machine")
    elif not page_routes.is_built():
        why = pytest.mark.skip(reason="the page is not built (make web)")
    else:
        return
    for item in items:
        if "integration/workspace" in item.nodeid:
            item.add_marker(why)


@pytest.fixture(scope="session")
def browser():
    """One Chromium."""
    with sync_playwright() as driver:
        opened = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """One server, which the tests of its death start again."""
    held = WorkspaceServer(tmp_path_factory.mktemp("workspace"))
    try:
        held.start()
        yield held
    finally:
        held.close()


@pytest.fixture
def open_page(browser, server):
    """Function that opens an address and collects complaints and foreign requests."""
    contexts = []

    def opened(address="", *, knows_token=True, draws_3d=False, **options):
        context = browser.new_context(viewport=VIEWPORT, **options)
        contexts.append(context)
        context.set_default_timeout(PATIENCE_MS)
        if knows_token:
            keep(context, f"sessionStorage.setItem('tumorlens.token', '{TOKEN}')")
        if not draws_3d:  # a ray through each pixel: slow without a graphics card
            keep(context, "localStorage['tumorlens.view'] ??= 'slices'")
        page = context.new_page()
        page.complaints, page.foreign = [], []
        page.on("console", lambda m: note_complaint(page, m))
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        page.on("request", lambda r: note_foreign(page, r.url))
        page.goto(f"{server.url}/{address}")
        return page

    def keep(context, statement):
        context.add_init_script(f"if (location.protocol === 'http:') {statement}")

    def note_foreign(page, url):
        if not url.startswith((f"{server.url}/", "data:", f"blob:{server.url}/")):
            page.foreign.append(url)

    yield opened
    for context in contexts:
        context.close()


def note_complaint(page, message):
    """Keep an error of the page; NiiVue's own of a graphics driver in software is none."""
    if message.type == "error" and "niivue-error" not in message.text:
        page.complaints.append(message.text)
