"""From a pandas frame to proven forecasts in ten lines; the plan is guessed, and lies in the folder to be mended."""

import tempfile
from math import sin

import pandas as pd

from foreproof.app.frame import project_of
from foreproof.app.progress import Silent
from foreproof.app.runner import execute

ITEMS = ("tea", "oats", "rice", "salt", "milk", "eggs")


def main() -> None:
    """Six items, 28 weeks of days, one week ahead."""
    days = list(enumerate(pd.date_range("2024-01-01", periods=196)))
    rows = [
        (item, day, 40 + n + 9 * day.dayofweek + round(9 * sin((1.7 + i) * n)))
        for i, item in enumerate(ITEMS)
        for n, day in days
    ]
    frame = pd.DataFrame(rows, columns=["item", "day", "units"])
    with tempfile.TemporaryDirectory() as folder:
        outcome = execute(
            project_of(frame, folder, horizon=7, backtest={"origins": 8}, models=["seasonal_naive", "theta"]),
            progress=Silent(),
        )
        forecast = outcome.work.served[outcome.work.cutoff].rows
        print(forecast.filter(forecast["level"].is_null()).pivot("step", index="item", values="value"))
        print({verdict.name: verdict.outcome for verdict in outcome.work.verdicts}, outcome.page.name)


if __name__ == "__main__":
    main()
