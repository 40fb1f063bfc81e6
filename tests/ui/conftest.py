"""The pages as processes of their own over a published home, and a real browser that looks at them."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import pytest
from playwright.sync_api import Browser, Error, Page, sync_playwright

from api_home import published_home
from page_processes import PATIENCE, free_port, pages_over, started

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(autouse=True)
def own_main() -> Iterator[None]:
    """Streamlit puts its script in the place of `__main__`, and processes that are spawned later would run that."""
    before = sys.modules["__main__"]
    yield
    sys.modules["__main__"] = before


@pytest.fixture(scope="session")
def home(published_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the published home, in which the service keeps its own stores."""
    folder = tmp_path_factory.mktemp("pages") / "home"
    shutil.copytree(published_home, folder)
    return folder


@pytest.fixture(scope="session")
def service(home: Path) -> Iterator[str]:
    """The address of `foreproof serve` over the home."""
    base = f"http://127.0.0.1:{(port := free_port())}"
    words = ("serve", str(home), "--port", str(port))
    with started(words, f"{base}/api/v1/health/ready", home.parent / "serve.log"):
        yield base


@pytest.fixture(scope="session")
def site(service: str, home: Path) -> Iterator[str]:
    """The address of `foreproof ui` over that service."""
    with pages_over(service, home.parent / "ui.log") as base:
        yield base


@pytest.fixture(scope="session")
def browser(require_server: Callable[[str, str], NoReturn]) -> Iterator[Browser]:
    """A headless Chromium: CHROMIUM names it, else it lies where Debian puts it."""
    program = os.environ.get("CHROMIUM") or "/usr/bin/chromium"
    if not Path(program).is_file():
        require_server("Chromium", f"no {program}; apt-get install chromium, or set CHROMIUM")
    with sync_playwright() as playwright:
        try:
            found = playwright.chromium.launch(executable_path=program, args=FLAGS)
        except Error as error:
            require_server("Chromium", str(error).splitlines()[0])
        yield found
        found.close()


@pytest.fixture
def tab(browser: Browser) -> Iterator[Page]:
    """A fresh page of the browser; no host but this machine may be asked for anything."""
    asked: list[str] = []
    with browser.new_context(viewport={"width": 1400, "height": 1000}) as context:
        page = context.new_page()
        page.set_default_timeout(PATIENCE * 1000)
        page.on("request", lambda request: asked.append(request.url))
        yield page
    elsewhere = [url for url in asked if not url.startswith(("http://127.0.0.1:", "data:", "blob:"))]
    assert elsewhere == []


__all__ = ["browser", "home", "published_home", "service", "site", "tab"]
