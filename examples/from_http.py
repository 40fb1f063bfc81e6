"""Prices behind an HTTP API: paged JSON, and a server that is busy once."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from foreproof.adapters.sources import Reading, parse_source
from foreproof.core.section import Section

PRICES = [{"item": "tea", "day": f"2024-03-{day:02d}", "price": {"amount": 1.90 + day / 100}} for day in range(1, 26)]
BUSY = [True]


class Api(BaseHTTPRequestHandler):
    """Ten prices a page; the first request finds it busy."""

    def do_GET(self) -> None:
        """Answer one page."""
        page = int(parse_qs(urlsplit(self.path).query)["page"][0])
        busy = BUSY.pop() if BUSY else False
        body = b"busy" if busy else json.dumps({"items": PRICES[10 * (page - 1) : 10 * page]}).encode()
        self.send_response(503 if busy else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing is printed."""


def main() -> None:
    """Serve and read."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Api)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    plan = {
        "http": f"http://127.0.0.1:{server.server_address[1]}/prices",
        "records": "items",
        "paging": {"kind": "page", "size": 10},
    }
    source = parse_source(Section(plan, path="sources.prices"))
    wanted = ("item", "day", "price.amount")
    now = datetime(2024, 4, 1, tzinfo=UTC)
    reading = Reading(Path(), wanted, now, newest=lambda column: None, environ={}, cache=Path("cache"))
    (batch,) = source.batches(reading)
    server.shutdown()
    server.server_close()
    print(batch.frame.tail(3))
    assert batch.frame.height == 25
    assert batch.frame["price.amount"][0] == "1.91"


if __name__ == "__main__":
    main()
