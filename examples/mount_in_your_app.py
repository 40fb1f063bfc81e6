"""Order quantities inside a web application of one's own: the API is mounted under a path, and answers beside other routes."""

from __future__ import annotations

import tempfile
from pathlib import Path

from fastapi import FastAPI
from fastapi.testclient import TestClient

from foreproof.app.api.app import create_app
from foreproof.app.home import open_home

ITEMS = [
    {"id": "milk", "quantiles": {"0.1": 10, "0.5": 20, "0.9": 40}, "short": 3, "over": 1, "on_hand": 5, "pack": 6},
    {"id": "oats", "quantiles": {"0.1": 4, "0.5": 6, "0.9": 11}, "price": 2.5, "cost": 1.5, "salvage": 0.5},
]


def main() -> None:
    """One application with a route of its own and the decisions of this library; no project is needed for them."""
    app = FastAPI()

    @app.get("/hello")
    async def hello() -> dict[str, str]:
        return {"hello": "from your own application"}

    with tempfile.TemporaryDirectory() as folder:
        home = open_home(Path(folder), projects=False)
        # A home with published runs goes without `only` and `projects`: then every route is there.
        app.mount("/foreproof", create_app(home, only=["decisions"]))
        with TestClient(app) as client:
            print(client.get("/hello").json()["hello"])
            answer = client.post("/foreproof/api/v1/decisions/recommend_qty", json={"items": ITEMS})
            for item in answer.json()["items"]:
                print(f"{item['id']}: order {item['quantity']:g}. {item['because']}")


if __name__ == "__main__":
    main()
