"""The tenants' part of `faults.py`: random calls of one tenant at everything that another one has.

`rows(calls, quick)` gives flat rows; `python benchmarks/_tenant_faults.py [--quick] [--json FILE]` prints them by
themselves.

Two tenants have a project each, with a run that is served, jobs, keys and log leaves. With an admin key of the one,
routes are drawn from the OpenAPI, and every id, name and path of a call from what the other one has, plain or dressed
up (dots, slashes, percent signs). `violations`: an answer with a word that only the other one has and that no call
says; a success with one that the caller never gave as its own; and anything of the other one that is not afterwards
what it was before. `cross_tenant_5xx` counts answers of 500 and above.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from common import Check, Row, part

TESTS = Path(__file__).resolve().parent.parent / "tests"
sys.path.insert(0, str(TESTS / "e2e"))

import project as shop  # noqa: E402
from fastapi.testclient import TestClient  # noqa: E402

from foreproof.adapters.service import jobs  # noqa: E402
from foreproof.adapters.service.keys import create_key  # noqa: E402
from foreproof.adapters.service.migrate import open_store  # noqa: E402
from foreproof.adapters.service.secret import key_secret  # noqa: E402
from foreproof.app.api.app import create_app  # noqa: E402
from foreproof.app.home import Home, open_home  # noqa: E402
from foreproof.app.progress import Silent  # noqa: E402
from foreproof.app.runner import execute  # noqa: E402
from foreproof.app.serving import promote  # noqa: E402

MINE, THEIRS = "mine", "theirs"
HUSH, HIDDEN = "hushhush", "velvet"
"""What the other tenant's project and items are called; what stands in its names that no call ever says."""
CONTROL = 200
"""Calls by the other tenant itself."""
PLAN = shop.PLAN.replace("examples: 4", "examples: 2").replace("origins: 4", "origins: 2")
PLAN = PLAN.replace("models: [seasonal_naive, theta]", "models: [seasonal_naive]")
_SPECIAL = ("/health", "/docs", "/openapi")


@dataclass(frozen=True)
class Theirs:
    """What the other tenant has. hidden: what no call says; names: what calls are made of."""

    hidden: tuple[str, ...]
    names: tuple[str, ...]


def rows(calls: int = 10_000, quick: bool = False) -> list[dict[str, object]]:
    """What leaked over so many calls, and how many failed."""
    total = 500 if quick else calls
    with tempfile.TemporaryDirectory() as folder:
        home, keys, theirs = made(Path(folder))
        before = everything_of(home, THEIRS)
        leaks, failed, statuses = called(home, keys[MINE], theirs, total)
        after = everything_of(home, THEIRS)
        # The same calls by the one whose things they are: what must be found, were it told to somebody else.
        told, _, _ = called(home, keys[THEIRS], theirs, CONTROL)
    for name in sorted(before.keys() | after.keys()):
        if before.get(name) != after.get(name):
            leaks.append(f"{name} of the other tenant is not what it was")
    for leak in leaks[:20]:
        print(f"LEAK {leak}", file=sys.stderr)
    print(f"answers: {dict(sorted(statuses.items()))}", file=sys.stderr)
    found = [
        Row("faults", "cross_tenant", "foreproof", "violations", float(len(leaks)), "count", total),
        Row("faults", "cross_tenant", "control.own_key", "violations", float(len(told)), "count", CONTROL),
        Row("faults", "cross_tenant_5xx", "foreproof", "violations", float(failed), "count", total),
    ]
    return [asdict(row) for row in found]


def made(folder: Path) -> tuple[Home, dict[str, str], Theirs]:
    """A home with two tenants; an admin key of each; and what only the other one has."""
    environment = {**os.environ, "FOREPROOF_RATE": "1e9", "FOREPROOF_BURST": "1e9", "FOREPROOF_WORKERS": "1"}
    environment |= {"FOREPROOF_LOG": "text", "FOREPROOF_KEY_SECRET": "of the benchmark, for nobody else"}
    for tenant, word in ((MINE, "shop"), (THEIRS, HUSH)):
        data = shop.csv(shop.rows(items=3, days=100)).replace("item ", f"{word} ")
        data = data.replace(f"{HUSH} 2", f"{HIDDEN} 2")
        name = "mine" if tenant == MINE else HIDDEN
        plan = PLAN.replace("name: shop", f"name: {name}").replace("seed: 3", f"seed: {len(word)}")
        shop.make(folder / "tenants" / tenant / word, plan=plan, data=data)
    home = open_home(folder, environment)
    store = open_store(home.settings.store)
    now, texts = datetime.now(UTC), dict[str, str]()
    secret = key_secret(home.settings.key_secret, home.inside / "unused")
    for tenant in (MINE, THEIRS):
        word = HIDDEN if tenant == THEIRS else "plain"
        project = home.place(tenant).project()
        run = execute(project, progress=Silent(), until="train").run
        promote(project, run.id, by="run")
        terms = {"tenant": tenant, "name": f"key of {word}", "role": "admin"}
        key, texts[tenant] = create_key(store, secret, terms=terms, now=now)
        job = jobs.Job(jobs.new_id(), tenant, home.place(tenant).name, "load", {}, now.isoformat(), by=key.id)
        jobs.submit(store, job)
        jobs.say(store, tenant, job.id, now, [("log", {"line": f"a word of {word}"})])
    leaves = [hashlib.sha256(leaf).hexdigest() for leaf in project.catalog.leaves()]
    hidden = (HIDDEN, run.plan, project.ledger.checkpoint().splitlines()[2], *run.data.values())
    store.close()
    return home, texts, Theirs(hidden, (HUSH, f"{HUSH} 0", f"{HUSH} 1", run.id, key.id, job.id, *leaves))


def called(home: Home, key: str, theirs: Theirs, total: int) -> tuple[list[str], int, Counter[int]]:
    """Call at random; the leaks, how many answers were of 500 and above, and answers by status."""
    drawn, leaks, failed, statuses = random.Random(11), list[str](), 0, Counter[int]()
    app = create_app(home)
    operations = [
        (method, path, operation)
        for path, methods in app.openapi()["paths"].items()
        for method, operation in methods.items()
        if not any(word in path for word in _SPECIAL)
    ]
    words, said_before = pool(home, theirs), set[str]()
    headers = {"Authorization": f"Bearer {key}"}
    with TestClient(app, raise_server_exceptions=False, headers=headers) as client:
        for _ in range(total):
            method, path, operation = drawn.choice(operations)
            url, query, body = request_of(drawn, path, operation, words)
            asked = {"params": query, **({"json": body} if body is not None else {})}
            answer = client.request(method.upper(), url, **asked)
            statuses[answer.status_code] += 1
            if answer.status_code >= 500 and answer.status_code != 501:
                failed += 1
                print(f"{answer.status_code} {method} {url} {query} {body}: {answer.text[:300]}", file=sys.stderr)
            # What the caller once said in a body or a query may be told back to it: names of its own scenarios, for example.
            said_before |= {name for name in theirs.names if name in json.dumps([query, body])}
            echoes = set(theirs.names) if path.endswith("/audit") or answer.status_code >= 400 else said_before
            leaks += leaked(answer.text, theirs, echoes, f"{answer.status_code} {method} {url} {query}")
    return leaks, failed, statuses


def pool(home: Home, theirs: Theirs) -> list[str]:
    """What the other tenant has, by every name under which one might ask for it."""
    run = theirs.names[3]
    plain = [*theirs.names, THEIRS, "sales", "forecast", "manifest.json", "0", "1", "2"]
    inside = f"tenants/{THEIRS}/{HUSH}"
    dressed = [f"../../{inside}", f"../{HUSH}", f"..%2f{HUSH}", f"{home.folder}/{inside}/foreproof.yaml"]
    dressed += [f"../../../{inside}/runs/{run}/manifest.json", f"{run}/../../{HUSH}"]
    dressed += [f"%2e%2e/%2e%2e/{inside}", f"{HUSH}%00", f"{THEIRS}/{HUSH}"]
    return [*plain, *dressed]


def request_of(
    drawn: random.Random, path: str, operation: dict[str, Any], words: list[str]
) -> tuple[str, dict[str, str], Any]:
    """An address, a query and a body, all made of what the other one has."""
    url, query = path, dict[str, str]()
    for parameter in operation.get("parameters", ()):
        word = drawn.choice(words)
        name = str(parameter["name"])
        if parameter["in"] == "path":
            dressed = drawn.random() < 0.5
            url = url.replace(f"{{{name}}}", quote(word, safe="" if dressed else "/")).replace(f"{{{name}:path}}", word)
        elif parameter["in"] == "query" and (parameter.get("required") or drawn.random() < 0.4):
            query[name] = word if parameter.get("schema", {}).get("type") != "integer" else str(drawn.randrange(4))
    if drawn.random() < 0.3:
        query["project"] = HUSH
    query.pop("format", None)
    body = said(drawn, operation, words) if "requestBody" in operation else None
    return url, query, body


def said(drawn: random.Random, operation: dict[str, Any], words: list[str]) -> Any:
    """A body: an example of the route with its words exchanged, or a few names with words."""
    content = operation["requestBody"].get("content", {}).get("application/json", {})
    example = content.get("example") or next((one.get("value") for one in content.get("examples", {}).values()), None)
    names = (
        "run",
        "name",
        "series",
        "job",
        "account",
        "group",
        "subject",
        "question",
        "kind",
        "rows",
        "items",
        "reason",
    )
    body = example if example is not None else {name: drawn.choice(words) for name in drawn.sample(names, 3)}
    return _exchanged(drawn, body, words)


def _exchanged(drawn: random.Random, value: Any, words: list[str]) -> Any:
    match value:
        case dict():
            return {name: _exchanged(drawn, item, words) for name, item in value.items()}
        case list():
            return [_exchanged(drawn, item, words) for item in value]
        case str() if drawn.random() < 0.6:
            return drawn.choice(words)
        case _:
            return value


def leaked(text: str, theirs: Theirs, echoes: Iterable[str], call: str) -> list[str]:
    """What an answer says of the other tenant. echoes: names that the caller said itself."""
    there = [word for word in theirs.hidden if word in text]
    there += [name for name in theirs.names if name in text and not any(name in echo for echo in echoes)]
    return [f"{call} tells {word[:40]}" for word in there]


def everything_of(home: Home, tenant: str) -> dict[str, str]:
    """Digests of a tenant's files (but for locks and databases), of what its databases hold, and its jobs."""
    root = home.root(tenant)
    files = (path for path in sorted(root.rglob("*")) if path.is_file())
    kept = [path for path in files if ".lock" not in path.name and ".db" not in path.suffix]
    found = {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in kept}
    catalog = home.place(tenant).project().catalog
    found |= {f"leaf {n}": hashlib.sha256(leaf).hexdigest() for n, leaf in enumerate(catalog.leaves())}
    found |= {f"run {one.run_id}": json.dumps(one.manifest, sort_keys=True) for one in catalog.runs()}
    found["checkpoints"] = "".join(catalog.checkpoints())
    catalog.close()
    store = open_store(home.settings.store)
    for job in jobs.page(store, tenant, limit=1000)[0]:
        found[f"job {job.id}"] = job.status
    store.close()
    return found


def checks(found: list[Row]) -> list[Check]:
    """Nothing leaks, nothing breaks."""
    ours = [Check(row.case, row.metric, high=0.0) for row in found if row.who == "foreproof"]
    return [*ours, Check("cross_tenant", "violations", low=1.0, who="control.own_key")]


if __name__ == "__main__":
    raise SystemExit(part(__doc__ or "", rows, checks))
