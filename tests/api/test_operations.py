"""Logs, traces, numbers, and an end in good order."""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi import FastAPI

import service_home
from foreproof.adapters.service.audit import read_entries
from foreproof.adapters.service.migrate import open_store
from foreproof.adapters.service.usage import summed
from foreproof.app.api import logs
from foreproof.app.api.operations import stored
from foreproof.app.api.traces import tenant_hash
from foreproof.app.home import open_home


@pytest.fixture
def said() -> Iterator[io.StringIO]:
    handlers, level, passes = list(logs.LOGGER.handlers), logs.LOGGER.level, logs.LOGGER.propagate
    stream = io.StringIO()
    yield stream
    logs.LOGGER.handlers[:] = handlers
    logs.LOGGER.setLevel(level)
    logs.LOGGER.propagate = passes


def test_a_line_of_the_log_says_what_was_done_and_never_with_which_key(tmp_path: Path, said: io.StringIO) -> None:
    app = service_home.opened(service_home.made(tmp_path / "home"))
    _, shown = service_home.key(app, "amber", "admin")
    secret = shown["Authorization"].removeprefix("Bearer ")
    logs.configure("json", stream=said)

    @app.get("/api/v1/runs/{run}/thing")
    async def thing(run: str) -> dict[str, str]:
        logs.say("looked", thing=7)
        raise ValueError(f"it is {secret}")

    with service_home.client(app) as client:
        client.get(f"/api/v1/me?token={secret}", headers=shown | {"X-Request-ID": "r1"})
        client.post("/api/v1/keys", json={"name": "private words", "role": "reader"}, headers=shown)
        client.get("/api/v1/runs/abc/thing", headers=shown | {"X-Request-ID": "r2"})
        client.get("/api/v1/me", headers={"Authorization": "Bearer fp_wrong"})
    lines = [json.loads(line) for line in said.getvalue().splitlines()]
    first = lines[0]
    assert {name: first[name] for name in ("level", "event", "request", "tenant", "route", "status")} == {
        "level": "info", "event": "request", "request": "r1", "tenant": "amber", "route": "/me", "status": 200,
    }  # fmt: skip
    assert first["ms"] > 0 and first["at"].endswith("+00:00")
    looked, failed, last = [line for line in lines if line.get("request") == "r2"]
    assert (looked["event"], looked["thing"]) == ("looked", 7)
    assert (failed["event"], failed["level"], last["run"], last["status"]) == ("failed", "error", "abc", 500)
    assert "ValueError: it is fp_***" in failed["error"]
    refused, ended = lines[-2:]
    assert ended["event"] == "ended"
    assert refused["status"] == 401 and "tenant" not in refused
    text = said.getvalue()
    assert secret not in text and "private words" not in text and "token" not in text


def test_text_is_one_line_an_event_whatever_is_in_it(said: io.StringIO) -> None:
    logs.configure("text", stream=said)
    logs.say("odd", words="two words", forged="x\n2026 error fake a=b", plain="yes")
    (line,) = said.getvalue().splitlines()
    assert line.endswith('info odd words="two words" forged="x\\n2026 error fake a=b" plain=yes')


class Collector:
    """What a collector of traces gets, over real HTTP."""

    def __init__(self) -> None:
        self.got: list[tuple[str, bytes]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.got.append((self.path, body))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                return

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def spans(self) -> list[Any]:
        import gzip

        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

        found = []
        for _, body in self.got:
            plain = gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body
            for resource in ExportTraceServiceRequest.FromString(plain).resource_spans:
                found += [span for scope in resource.scope_spans for span in scope.spans]
        return found


def test_each_request_is_a_span_with_its_route_status_and_a_hash_for_the_tenant(tmp_path: Path) -> None:
    pytest.importorskip("opentelemetry.sdk")
    collector = Collector()
    app = service_home.opened(service_home.made(tmp_path / "home"), {"FOREPROOF_OTEL": collector.address})
    _, shown = service_home.key(app, "amber", "reader")
    trace = "0af7651916cd43dd8448eb211c80319c"
    with service_home.client(app) as client:
        client.get("/api/v1/me", headers=shown | {"traceparent": f"00-{trace}-b7ad6b7169203331-01"})
        client.get("/api/v1/nothing/7", headers=shown)
        with app.state.service.operations.tracing.span("train", job="j1"):
            pass
    collector.server.shutdown()
    collector.server.server_close()
    assert {path for path, _ in collector.got} == {"/v1/traces"}
    spans = {span.name: span for span in collector.spans()}
    assert set(spans) == {"GET /me", "GET unmatched", "train"}
    found = {one.key: one.value.string_value or one.value.int_value for one in spans["GET /me"].attributes}
    assert found["http.route"] == "/me" and found["http.response.status_code"] == 200
    assert found["foreproof.tenant"] == tenant_hash("amber") and "amber" not in str(spans)
    assert spans["GET /me"].trace_id.hex() == trace


def test_without_a_collector_no_trace_library_is_loaded(tmp_path: Path) -> None:
    home = service_home.made(tmp_path / "home")
    program = (
        "import sys; from pathlib import Path; from foreproof.app.api.app import create_app; "
        "from foreproof.app.home import open_home; create_app(open_home(Path(sys.argv[1]), {})); "
        "names = ('opentelemetry.sdk', 'alembic', 'joserfc', 'httpx', 'sklearn', 'lightgbm', 'statsforecast', 'pandas'); "
        "print([name for name in names if name in sys.modules])"
    )
    service_home.opened(home).state.service.store.close()  # the tables are there, as after any first start
    result = subprocess.run([sys.executable, "-c", program, str(home)], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_numbers_say_what_each_tenant_serves_how_old_and_how_long_its_log_is(tmp_path: Path) -> None:
    home = service_home.made(tmp_path / "home")
    (home / "tenants" / "birch" / "birch-sales" / "served" / "current.json").unlink()
    pointer = home / "local-sales" / "served" / "run-local" / "manifest.json"
    pointer.write_text(pointer.read_text().replace("proven", "failed"))
    catalog = home / "tenants" / "amber" / "amber-sales" / ".foreproof"
    catalog.mkdir()
    engine = sa.create_engine(f"sqlite:///{catalog / 'catalog.db'}")
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE log_leaves (position INTEGER)")
        connection.exec_driver_sql("INSERT INTO log_leaves VALUES (0), (1), (2)")
    engine.dispose()
    app: FastAPI = service_home.opened(home)
    with app.state.service.store.writing() as connection:
        connection.exec_driver_sql("DROP TABLE IF EXISTS jobs")
        connection.exec_driver_sql("CREATE TABLE jobs (tenant TEXT, status TEXT)")
        connection.exec_driver_sql("INSERT INTO jobs VALUES ('a', 'done'), ('b', 'done'), ('a', 'running')")
    with service_home.client(app) as client:
        client.get("/api/v1/me"), client.get("/api/v1/nothing/1"), client.get("/api/v1/nothing/2")
        text = client.get("/metrics").text
    lines = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    state = "foreproof_proof_state"
    assert [lines[f'{state}{{project="{t}-sales",tenant="{t}"}}'] for t in ("amber", "local", "birch")] == [
        "1.0",
        "0.0",
        "-1.0",
    ]
    assert float(lines['foreproof_data_age_seconds{project="amber-sales",tenant="amber"}']) > 86_400
    assert lines['foreproof_log_leaves{project="amber-sales",tenant="amber"}'] == "3.0"
    assert (lines['foreproof_jobs{status="done"}'], lines['foreproof_jobs{status="running"}']) == ("2.0", "1.0")
    assert lines['foreproof_requests_total{method="GET",route="unmatched",status="404"}'] == "2.0"
    assert lines['foreproof_request_seconds_count{route="/me"}'] == "1.0"


def test_alert_rules_and_the_page_name_metrics_that_exist(tmp_path: Path) -> None:
    import re

    import yaml

    app = service_home.opened(service_home.made(tmp_path / "home"))
    with service_home.client(app) as client:
        client.get("/api/v1/me")
        known = set(re.findall(r"^# TYPE (foreproof_\w+)", client.get("/metrics").text, re.MULTILINE))
    root = Path(__file__).resolve().parents[2]
    rules = yaml.safe_load((root / "deploy" / "prometheus" / "alerts.yaml").read_text())["groups"][0]["rules"]
    named = {name for rule in rules for name in re.findall(r"foreproof_\w+", rule["expr"])}
    assert {name.removesuffix("_bucket") for name in named} <= known
    page = (root / "docs" / "service.md").read_text()
    assert {name for name in known if not name.endswith("_created") and f"`{name}`" not in page} == set()


def test_what_lies_in_a_tenants_folders_is_its_own(tmp_path: Path) -> None:
    home = service_home.made(tmp_path / "home")
    before = {line.tenant: line.bytes_stored for line in stored(open_home(home, {}))}
    (home / "tenants" / "amber" / "amber-sales" / "data.bin").write_bytes(b"x" * 5000)
    after = {line.tenant: line.bytes_stored for line in stored(open_home(home, {}))}
    assert {tenant: after[tenant] - before[tenant] for tenant in after} == {"local": 0, "amber": 5000, "birch": 0}


def test_usage_is_written_down_by_itself_and_a_fault_does_not_end_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("foreproof.app.api.operations._EVERY", 0.02)
    app = service_home.opened(service_home.made(tmp_path / "home"))
    operations, store = app.state.service.operations, app.state.service.store
    _, shown = service_home.key(app, "amber", "reader")
    failed = threading.Event()

    def fails() -> None:
        failed.set()
        raise RuntimeError

    from datetime import UTC, datetime, timedelta

    start = datetime.now(UTC) - timedelta(hours=2)
    with service_home.client(app) as client:
        with monkeypatch.context() as patch:
            patch.setattr(operations.repeats, "still_here", fails)
            assert failed.wait(10)
        client.get("/api/v1/me", headers=shown)
        for _ in range(200):
            rows = summed(store, tenant="amber", start=start, end=start + timedelta(hours=4))
            if rows:
                break
            time.sleep(0.02)
    assert [row["calls"] for row in rows] == [1]


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_told_to_end_it_finishes_the_call_under_way_and_writes_everything_down(tmp_path: Path) -> None:
    home, port = service_home.made(tmp_path / "home"), free_port()
    env = {name: value for name, value in os.environ.items() if not name.startswith("FOREPROOF_")}
    program = "from foreproof.app.cli import main; main()"
    command = [sys.executable, "-c", program, "serve", str(home), "--port", str(port)]
    process = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        for _ in range(600):
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/health/ready", timeout=5) as answer:
                    assert answer.status == 200
                break
            except OSError:
                time.sleep(0.1)
        body = b'{"name": "slow", "role": "reader"}'
        head = f"POST /api/v1/keys HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        with socket.create_connection(("127.0.0.1", port), timeout=30) as slow:
            slow.sendall(head.encode() + body[:10])
            time.sleep(0.3)
            process.send_signal(signal.SIGTERM)
            time.sleep(0.5)
            assert process.poll() is None, "it waits for the call under way"
            slow.sendall(body[10:])
            assert slow.recv(65536).startswith(b"HTTP/1.1 201")
        _, err = process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()
    assert process.returncode in (0, -signal.SIGTERM), err
    events = [json.loads(line) for line in err.splitlines() if line.startswith("{")]
    assert events[-1]["event"] == "ended"
    assert [line["route"] for line in events if line["event"] == "request" and line["status"] == 201] == ["/keys"]
    from datetime import UTC, datetime, timedelta

    now = datetime.now(UTC)
    store = open_store(f"sqlite:///{home / '.foreproof' / 'service.db'}")
    rows = summed(store, tenant=None, start=now - timedelta(hours=2), end=now + timedelta(hours=1))
    assert {row["name"] for row in rows} >= {"POST /keys", "process"}
    assert read_entries(store, "local", limit=10, offset=0)[0] == 1
    store.close()
