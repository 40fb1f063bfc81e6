"""The proof page of a run: what was asked, what came of it, what each planted fault showed, and the curves behind it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from foreproof.app import plots, plots_proof
from foreproof.app.proof_words import QUESTIONS, fault_of
from foreproof.app.verdicts import differs, grouped, ran, row_of, summary_words
from foreproof.core.run import Run
from foreproof.core.trial import Verdict

FOLDER = "proof"
_SHOWN = {
    "permutation": ("null", "score"),
    "cliff": ("curves",),
    "shift grid": ("curve", "gains"),
    "stability": ("importance",),
    "safe ablation": ("scores",),
    "adjacency": ("features",),
    "prequential decline": ("curve",),
    "forward month": ("gains",),
    "arrival lag": ("curve",),
    "embargo": ("scores",),
}


def write_proof(run: Run, verdicts: Sequence[Verdict], folder: Path, *, planted: str = "") -> None:
    """`proof/index.html` under a run's folder: one file that loads nothing. Nothing where nothing was proven.

    planted: the leak of the zoo that the plan plants on purpose.
    """
    if not verdicts:
        return
    (folder / FOLDER).mkdir()
    (folder / FOLDER / "index.html").write_text(proof_page(run, verdicts, planted=planted), encoding="utf-8")


def proof_page(run: Run, verdicts: Sequence[Verdict], *, planted: str = "") -> str:
    """The page as text, the same for the same verdicts."""
    from jinja2 import Environment

    text = resources.files("foreproof.app").joinpath("templates/proof.html").read_text(encoding="utf-8")
    groups = grouped(verdicts)
    for group in groups:
        group["rows"] = [{**row, "question": QUESTIONS.get(row["name"], "")} for row in group["rows"]]
    return (
        Environment(autoescape=True)
        .from_string(text)
        .render(
            run=run,
            summary=summary_words(verdicts),
            meaning=meaning(run, verdicts),
            suspect=suspect(verdicts),
            planted=planted,
            tiles=tiles(verdicts),
            failures=failures(verdicts),
            groups=groups,
            charts=list(charts(verdicts)),
            controls=controls(verdicts),
        )
    )


def meaning(run: Run, verdicts: Sequence[Verdict]) -> str:
    """What the outcome means for somebody who would use the numbers."""
    left = [verdict.name for verdict in verdicts if not ran(verdict)]
    match run.status:
        case "proven":
            return "Nothing that was reported used a row from after its cutoff, and no figure is suspiciously good."
        case "failed":
            return "Do not use these numbers: at least one check found what an honest prediction cannot have."
        case "not proven" if left:
            many = "1 check" if len(left) == 1 else f"{len(left)} checks"
            return f"{many} did not run, so this run as a whole proves nothing and is not served."
        case "not proven" if not any(verdict.outcome == "not proven" for verdict in verdicts):
            return "A leak was planted on purpose, and no check saw it: this is served to nobody."
        case "not proven":
            return "No check found a fault, but at least one could not decide, or did not see the fault that was planted for it."
        case _:
            return "The run ended early: what is here was found before it did."


def suspect(verdicts: Sequence[Verdict]) -> str:
    """The feature that most of the failed checks name, and up to when it knew; empty where none names one."""
    named = Counter[str]()
    knew: dict[str, str] = {}
    for verdict in verdicts:
        found = verdict.evidence
        name = found.get("column", found.get("feature"))
        if verdict.outcome == "failed" and isinstance(name, str) and found.get("part", "features") == "features":
            named[name] += 1
            knew |= {name: str(found["knew"])} if "knew" in found else {}
    if not named:
        return ""
    name, count = named.most_common(1)[0]
    words = f"Look at the feature {name} first: {count} of the failed checks name{'s' if count == 1 else ''} it"
    return (
        f"{words}; at cutoff {_cutoff(verdicts, name)} it knew rows up to {knew[name]}."
        if name in knew
        else f"{words}."
    )


def _cutoff(verdicts: Sequence[Verdict], name: str) -> str:
    """The cutoff at which the check that says when a feature knew found it."""
    return next(
        str(v.evidence["cutoff"]) for v in verdicts if "knew" in v.evidence and v.evidence.get("column") == name
    )


def tiles(verdicts: Sequence[Verdict]) -> list[dict[str, str]]:
    """The figures at the head: passed, faults caught, replay inflation, looks."""
    tried = [verdict for verdict in verdicts if verdict.control_caught is not None]
    passed = sum(verdict.outcome == "passed" for verdict in verdicts)
    idle = sum(verdict.outcome == "not applicable" for verdict in verdicts)
    unrun = sum(not ran(verdict) for verdict in verdicts)
    left = [
        f"{many} {words}" for many, words in ((idle, "not applicable to these data"), (unrun, "did not run")) if many
    ]
    note = ", ".join(left) or "each check is a question; all are listed below"
    found = [
        {"label": "Checks passed", "value": f"{passed} of {len(verdicts)}", "note": note},
        {
            "label": "Planted faults caught",
            "value": f"{sum(bool(one.control_caught) for one in tried)} of {len(tried)}",
            "note": "a check that misses its own fault proves nothing",
        },
    ]
    for verdict in verdicts:
        inflation = verdict.evidence.get("inflation")
        if isinstance(inflation, Mapping):
            reach = "" if inflation["low"] is None else f" ({inflation['low']:.4f} to {inflation['high']:.4f})"
            note = f"reported {inflation['metric']} less that of a replay of the log{reach}; 0 is honest"
            found.append({"label": "Replay inflation", "value": f"{inflation['estimate']:.4f}", "note": note})
        if "looks" in verdict.evidence:
            note = "how often these outcomes were judged, this time included"
            found.append({"label": "Looks at this hold-out", "value": str(verdict.evidence["looks"]), "note": note})
    return found


def failures(verdicts: Sequence[Verdict]) -> list[dict[str, Any]]:
    """What failed, each with its question, words, and the evidence as pairs of name and words."""
    return [
        {**row_of(verdict), "question": QUESTIONS.get(verdict.name, ""), "evidence": differs(verdict)}
        for verdict in verdicts
        if verdict.outcome == "failed"
    ]


def controls(verdicts: Sequence[Verdict]) -> list[dict[str, Any]]:
    """The matrix of controls: each check with its planted fault, in words, and whether it caught it."""
    said = {True: "caught", False: "NOT caught", None: "-"}
    rows = []
    for verdict in verdicts:
        row = row_of(verdict)
        why = "the check did not run" if not ran(verdict) else "not tried: the data cannot answer the question"
        words = (fault_of(verdict.name) or verdict.control) if row["caught"] is not None else why
        rows.append({**row, "what": words, "said": said[row["caught"]]})
    return rows


def charts(verdicts: Sequence[Verdict]) -> Iterator[dict[str, str]]:
    """Each chart as `name`, `svg`, `badge`, `outcome`, `caption`, failures first; none of a check that could not judge."""
    held = {verdict.name: verdict for verdict in verdicts}
    failed = {verdict.name for verdict in verdicts if verdict.outcome == "failed"}
    for name, keys in sorted(_SHOWN.items(), key=lambda one: one[0] not in failed):
        verdict = held.get(name)
        if verdict is None or any(key not in verdict.evidence for key in keys):
            continue
        for figure, caption in _DRAWN[name](verdict):
            row = row_of(verdict)
            words = f"{caption} Found: {verdict.words}."
            yield {
                "name": name,
                "svg": plots.svg(figure),
                "caption": words,
                **{k: row[k] for k in ("badge", "outcome")},
            }


Drawn = Iterator[tuple[Any, str]]


def _permutation(verdict: Verdict) -> Drawn:
    found = verdict.evidence
    yield (
        plots_proof.null_histogram(found["null"], found["score"]),
        "Grey: scores after labels were exchanged between whole entities. Blue: the true labels; far to the right is a signal.",
    )


def _cliff(verdict: Verdict) -> Drawn:
    curves = verdict.evidence["curves"]
    lines = {f"shift by {step}": curves[step] for step in sorted(curves, key=int)}
    yield (
        plots_proof.curves(lines, x="age of the rows in steps (below 0: they know the future)", y="score"),
        "Score of rows made so many steps too early, or too late (left of 0, true foresight). Honest knowledge fades from 0 on; "
        "a look-ahead breaks off there.",
    )


def _shift_grid(verdict: Verdict) -> Drawn:
    found = verdict.evidence
    yield (
        plots_proof.curves({"score": found["curve"]}, x="age of the rows in steps", y="score"),
        "Score of older rows, with 95% bands.",
    )
    yield (
        plots_proof.curves(
            {"gain": found["gains"]},
            x="age of the rows in steps",
            y="score less that at the cutoff",
            limit=verdict.limit,
            zero=True,
        ),
        "What older rows gain over those of the cutoff; it fails where a band lies wholly above the limit.",
    )


def _stability(verdict: Verdict) -> Drawn:
    yield (
        plots_proof.early_late(verdict.evidence["importance"]),
        "The ten features that matter most, in the earlier and the later half of the cutoffs; dots should lie together.",
    )


def _ablation(verdict: Verdict) -> Drawn:
    yield (
        plots_proof.side_by_side(verdict.evidence["scores"], y="score"),
        "All features against SAFE, which reads nothing near the cutoff.",
    )


def _adjacency(verdict: Verdict) -> Drawn:
    yield (
        plots_proof.near_the_cutoff(verdict.evidence["features"]),
        "The ten features that bring most. Red, read by nobody knows what, must not carry the score.",
    )


def _prequential(verdict: Verdict) -> Drawn:
    yield (
        plots_proof.curves({"score": verdict.evidence["curve"]}, x="cutoffs after the freeze", y="score"),
        "A probe that learned once and was frozen. It may decline; it cannot get better by itself.",
    )


def _months(verdict: Verdict) -> Drawn:
    yield (
        plots_proof.curves(
            {"gain": verdict.evidence["gains"]},
            x="cutoffs after the first judged",
            y="score less the freeze month's",
            limit=verdict.limit,
            zero=True,
        ),
        "Each later month against the first after the freeze.",
    )


def _arrival(verdict: Verdict) -> Drawn:
    yield (
        plots_proof.curves(
            {"lost": verdict.evidence["curve"]},
            x="steps that rows arrive late",
            y="score lost",
            limit=verdict.limit,
            zero=True,
        ),
        "What the score would lose if the newest rows were not there yet.",
    )


def _embargo(verdict: Verdict) -> Drawn:
    names = {"near": "event soon after the cutoff", "later": "event later"}
    points = [{**row, "x": names.get(str(row["x"]), row["x"])} for row in verdict.evidence["scores"]]
    yield (
        plots_proof.side_by_side(points, y="score"),
        "Events near the cutoff against later ones; near ones that are far easier smell of the day after.",
    )


_DRAWN: Mapping[str, Callable[[Verdict], Drawn]] = {
    "permutation": _permutation,
    "cliff": _cliff,
    "shift grid": _shift_grid,
    "stability": _stability,
    "safe ablation": _ablation,
    "adjacency": _adjacency,
    "prequential decline": _prequential,
    "forward month": _months,
    "arrival lag": _arrival,
    "embargo": _embargo,
}


__all__ = ["FOLDER", "charts", "controls", "failures", "meaning", "proof_page", "suspect", "tiles", "write_proof"]
