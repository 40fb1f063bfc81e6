"""What `foreproof watch` does and prints."""

from __future__ import annotations

from pathlib import Path

from foreproof.app.commands import out, print_frame
from foreproof.app.evaluations import score_outcomes, watch
from foreproof.app.project import open_project


def show_watch(folder: Path) -> int:
    """Score new outcomes, print scores, coverage and calibration over time; 1 where a threshold is left."""
    project = open_project(folder)
    for run, rows in score_outcomes(project).items():
        out.print(f"run {run}: {rows} outcomes scored, kept in the lake as evaluations", markup=False)
    found = watch(project)
    stands = found.standing
    if stands.over_time.height:
        print_frame(stands.over_time, title="by cutoff")
    if stands.calibration.height:
        print_frame(stands.calibration, title=f"calibration over the newest {found.terms.cutoffs} cutoffs")
    alerts = set(stands.alerts)
    for words in found.words:
        out.print(f"{'alert: ' if words in alerts else ''}{words}", markup=False)
    return 1 if alerts else 0


__all__ = ["show_watch"]
