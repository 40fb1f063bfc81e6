"""The log over HTTP is the log, and its proofs hold for who checks them alone."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

from fastapi.testclient import TestClient

from foreproof.core.merkle import verify_consistency, verify_inclusion

API = "/api/v1"


def test_leaves_checkpoint_and_proofs_hold(client: TestClient, own_home: Path) -> None:
    head = client.get(f"{API}/log/checkpoint").json()
    found = client.get(f"{API}/log/leaves").json()
    assert (found["total"], head["size"]) == (3, 3)
    assert f"\n{head['size']}\n" in head["text"]
    run = json.loads((own_home / "forecast" / "served" / "current.json").read_text())["run"]
    exported = (own_home / "forecast" / "runs" / run / "leaves.jsonl").read_text().splitlines()
    assert [one["text"] for one in found["items"]][: len(exported)] == exported
    for one in found["items"]:
        assert one["hash"] == sha256(b"\0" + one["text"].encode()).hexdigest()
        proof = client.get(f"{API}/log/inclusion", params={"leaf": one["index"]}).json()
        path = [bytes.fromhex(node) for node in proof["path"]]
        assert proof["root"] == head["root"]
        assert verify_inclusion(
            bytes.fromhex(one["hash"]), one["index"], size=proof["size"], path=path, root=bytes.fromhex(head["root"])
        )
    for old in (1, 2, 3):
        proof = client.get(f"{API}/log/consistency", params={"old": old}).json()
        assert verify_consistency(
            old,
            proof["new"],
            old_root=bytes.fromhex(proof["old_root"]),
            new_root=bytes.fromhex(proof["new_root"]),
            path=[bytes.fromhex(node) for node in proof["path"]],
        )


def test_a_part_of_the_leaves_and_what_is_not_there(client: TestClient) -> None:
    part = client.get(f"{API}/log/leaves", params={"start": 1, "stop": 2}).json()
    assert [one["index"] for one in part["items"]] == [1]
    assert client.get(f"{API}/log/leaves", params={"start": 9}).json()["items"] == []
    for path in ("inclusion?leaf=3", "inclusion?leaf=0&size=9", "consistency?old=9", "consistency?old=2&new=1"):
        assert client.get(f"{API}/log/{path}").status_code == 404
    for path in ("inclusion", "inclusion?leaf=x", "leaves?start=-1"):
        assert client.get(f"{API}/log/{path}").status_code == 422
