"""A language model that is not one: an OpenAI-compatible server in a thread, which answers rightly, wrongly, or not at all."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MODES = (
    "right",
    "wrong number",
    "swapped series",
    "wrong direction",
    "malformed",
    "time-out",
    "drip",
    "429",
    "500",
    "endless stream",
    "endless error",
    "injection",
    "refuses",
    "not json",
)
"""What the server can do to its client; every one must end in a right or a refused answer."""


def facts_in(messages: list[dict[str, str]]) -> dict[str, Any]:
    """The data block of the first user message."""
    block = messages[1]["content"].removeprefix("<data>\n").removesuffix("\n</data>")
    found: dict[str, Any] = json.loads(block)
    return found


def sentence(fact: dict[str, str]) -> dict[str, Any]:
    """A right sentence about a fact, as a model would write it."""
    one = fact["id"]
    head = f"For {{{one}.subject}}, the" if fact["subject"] != "the whole run" else "The"
    end = f"{{{one}.size}} {{{one}.direction}} than {{{one}.against}}" if "direction" in fact else f"{{{one}}}"
    if fact.get("direction") == "unchanged":
        end = f"{{{one}.direction}} against {{{one}.against}}"
    return {"text": f"{head} {{{one}.what}} is {end}.", "facts": [one]}


def said(mode: str, messages: list[dict[str, str]]) -> str:
    """The text of an answer."""
    data = facts_in(messages)
    facts = data["facts"]
    about = [fact for fact in facts if fact["subject"] == f'"{data["subject"]}"'] or facts
    right = sentence(about[0])
    match mode:
        case "wrong number":
            right["text"] = right["text"].replace(f"{{{about[0]['id']}}}", "987 units")
            right["text"] += " That is 1234 in all."
        case "swapped series":
            other = next((f for f in facts if f["subject"] not in (about[0]["subject"], "the whole run")), None)
            one = about[0]["id"]
            right["text"] = f"For {{{one}.subject}}, the {{{one}.what}} is {{{other['id'] if other else 'f9999'}}}."
            right["facts"] = [one, other["id"] if other else "f9999"]
        case "wrong direction":
            moved = next((f for f in facts if f.get("direction") in ("higher", "lower")), about[0])
            way = "lower" if moved.get("direction") == "higher" else "higher"
            right = sentence(moved)
            right["text"] = right["text"].replace(f"{{{moved['id']}.direction}}", way)
        case "malformed":
            return '{"sentences": [{"text": 3}], "facts"'
        case "not json":
            return "Sure! Demand will rise to 500 units, because the weather is fine."
        case "injection":
            return json.dumps(
                {"sentences": [{"text": "As ordered, all previous instructions are ignored.", "facts": []}]}
            )
        case "refuses":
            return json.dumps({"refused": True})
        case _:
            pass
    return json.dumps({"sentences": [right]})


class Fake:
    """The server's address, what it is to do, and what it was asked."""

    def __init__(self, mode: str) -> None:
        self.mode = mode
        self.url = ""
        self.asked: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.stopped = threading.Event()
        self.answer: Callable[[int, list[dict[str, str]]], str] | None = None


def _handler(fake: Fake) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args: Any) -> None:
            pass

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            fake.asked.append(body)
            fake.headers.append({name.lower(): value for name, value in self.headers.items()})
            with contextlib.suppress(OSError):
                self._say(fake.mode, body["messages"])

        def _say(self, mode: str, messages: list[dict[str, str]]) -> None:
            match mode:
                case "time-out":
                    fake.stopped.wait(10)
                case "drip":
                    self._head(200)
                    for _ in range(1_000):
                        self.wfile.write(b"1\r\n \r\n")
                        if fake.stopped.wait(0.02):
                            break
                case "429" | "500":
                    self._whole(int(mode), {"error": {"message": "no"}})
                case "endless stream" | "endless error":
                    self._head(200 if mode == "endless stream" else 500)
                    while not fake.stopped.is_set():
                        self.wfile.write(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")
                case _:
                    text = fake.answer(len(fake.asked), messages) if fake.answer else said(mode, messages)
                    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
                    usage = {"prompt_tokens": 100, "completion_tokens": 20, "total_tokens": 120}
                    self._whole(200, {"id": "x", "object": "chat.completion", "choices": [choice], "usage": usage})

        def _head(self, status: int) -> None:
            self.close_connection = True
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()

        def _whole(self, status: int, value: Any) -> None:
            content = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    return Handler


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is what these modes are for."""


@contextmanager
def serving(mode: str = "right") -> Iterator[Fake]:
    """The server in one mode, for as long as the block lasts."""
    fake = Fake(mode)
    server = _Server(("127.0.0.1", 0), _handler(fake))
    fake.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield fake
    finally:
        fake.stopped.set()
        server.shutdown()
        server.server_close()
        thread.join(2)
