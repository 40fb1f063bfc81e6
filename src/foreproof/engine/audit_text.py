"""The report of an audit in words, as text and as one page of HTML; a pure function of the audit."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any, Protocol

from foreproof.core.trial import Verdict

_SHOWN = 8
_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b1f24}"
    "table{border-collapse:collapse;width:100%;margin:1rem 0}td,th{border-bottom:1px solid #d0d7de;padding:.4rem .6rem;"
    "text-align:left;vertical-align:top}.passed{color:#116329}.failed{color:#a40e26}.not{color:#7d4e00}"
    "h1.failed,h1.passed{margin-bottom:.2rem}"
    "@media(prefers-color-scheme:dark){body{background:#0d1117;color:#e6edf3}td,th{border-color:#30363d}"
    ".passed{color:#56d364}.failed{color:#ff7b72}.not{color:#e3b341}}"
)


class Told(Protocol):
    """One feature that looked ahead."""

    @property
    def feature(self) -> str:
        """Its name."""
        ...

    @property
    def words(self) -> str:
        """What it knew, in one sentence."""
        ...


class Report(Protocol):
    """What there is to tell."""

    @property
    def ok(self) -> bool:
        """Whether all checks passed."""
        ...

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """One a check."""
        ...

    @property
    def found(self) -> Sequence[Any]:
        """Features that looked ahead (`Told`)."""
        ...

    @property
    def rows(self) -> int:
        """Rows compared."""
        ...

    @property
    def features(self) -> tuple[str, ...]:
        """Names of the features."""
        ...

    @property
    def cutoffs(self) -> tuple[str, ...]:
        """Cutoffs in words."""
        ...


def audit_text(report: Report) -> str:
    """The report as lines: the head, what looked ahead, one line a check."""
    lines = [_head(report), _scope(report)]
    lines += [f"  {one.words}" for one in report.found]
    lines += [
        f"  {verdict.name}: {verdict.outcome}. {verdict.words} [{_control(verdict)}]" for verdict in report.verdicts
    ]
    return "\n".join(lines)


def audit_html(report: Report) -> str:
    """The report as a page without scripts or links: it can be mailed, or kept as an artefact of a build."""
    found = "".join(
        f"<tr><td><b>{escape(one.feature)}</b></td><td>{escape(one.words)}</td></tr>" for one in report.found
    )
    looked = f"<h2>What looked ahead</h2><table><tbody>{found}</tbody></table>" if found else ""
    rows = "".join(
        f'<tr><td>{escape(v.name)}</td><td class="{v.outcome.split()[0]}">{escape(v.outcome)}</td>'
        f"<td>{escape(v.words)}</td><td>{escape(_control(v))}</td></tr>"
        for v in report.verdicts
    )
    head = "<th>check</th><th>verdict</th><th>what was found</th><th>planted fault</th>"
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Audit</title>'
        f'<meta name="viewport" content="width=device-width,initial-scale=1"><style>{_STYLE}</style></head><body>'
        f'<h1 class="{"passed" if report.ok else "failed"}">{escape(_head(report))}</h1><p>{escape(_scope(report))}</p>{looked}'
        f"<h2>Checks</h2><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></body></html>\n"
    )


def _head(report: Report) -> str:
    if report.ok:
        return "audit passed: nothing looked ahead, and every planted fault was caught"
    failed = [verdict.name for verdict in report.verdicts if verdict.outcome == "failed"]
    if failed:
        return f"audit FAILED: {', '.join(failed)}"
    return f"audit proved nothing: {', '.join(v.name for v in report.verdicts if v.outcome != 'passed')}"


def _scope(report: Report) -> str:
    shown, more = report.features[:_SHOWN], len(report.features) - _SHOWN
    names = ", ".join(shown) + (f" and {more} more" if more > 0 else "")
    where = f"at {len(report.cutoffs)} cutoffs: {', '.join(report.cutoffs)}"
    return f"{len(report.features)} features ({names}) in {report.rows} rows {where}"


def _control(verdict: Verdict) -> str:
    return f"{verdict.control}: {'caught' if verdict.control_caught else 'NOT caught'}"


__all__ = ["Report", "Told", "audit_html", "audit_text"]
