"""The copilot's part of `faults.py`: altered explanations are caught, true ones are not, and a model that errs is not heard.

`rows(quick)` gives flat rows; `python benchmarks/_copilot_faults.py [--quick] [--json FILE]` prints them by themselves.

True explanations: what the deterministic writer says of real runs (the shipped CO2 series, a shop of five items with orders, a
shop of accounts x groups with its list: each made here, from data to decision) and of generated runs of many scales. Each of
1,000 is altered in one number, sign, date or name, so that its meaning changes (1.0 to 1.00 is no alteration), and verified by
its text and its cited facts alone: how it was written is unknown to `verify`. `false_alarm_rate` is that of the 1,000 before.
`violations` of a mode of the fake model: answers that are neither refused nor exactly what the facts say. `--quick`: generated
runs only, and 200 explanations.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import asdict
from importlib import resources
from pathlib import Path

import numpy as np

from common import Check, Row, part

TESTS = Path(__file__).resolve().parent.parent / "tests"
sys.path[:0] = [str(TESTS), str(TESTS / "e2e")]

import altered_texts  # noqa: E402
import fact_tables  # noqa: E402
import fake_llm  # noqa: E402
from foreproof.adapters.llm import ChatModel, ModelTerms  # noqa: E402
from foreproof.explain import writer  # noqa: E402
from foreproof.explain.claims import Answer, check, render, verify  # noqa: E402
from foreproof.explain.copilot import Exchange, explain_with  # noqa: E402
from foreproof.explain.facts import Facts  # noqa: E402

Explanation = tuple[Facts, Answer]
Texts = list[tuple[str, tuple[str, ...]]]
QUESTIONS = ("", "what is the expected total?", "how much should I order?", "does it rise or fall?")


def rows(quick: bool) -> list[dict[str, object]]:
    """What was caught, what was rejected, and what each mode of a model came to."""
    wanted = 200 if quick else 1_000
    made = explanations(wanted, quick=quick)
    return [asdict(row) for row in [*altered(made), *modes(1 if quick else 10)]]


def explanations(wanted: int, *, quick: bool) -> list[Explanation]:
    """True explanations: all of the real runs, filled up with generated ones; one that has nothing to alter is left out."""
    found = [] if quick else [one for facts in real() for one in said_of(facts) if _alterable(*one)]
    print(f"{len(found)} explanations of real runs", file=sys.stderr)
    seed = 0
    while len(found) < wanted:
        seed += 1
        names = tuple(f"{word} {seed}" for word in ("item", "Pale Ale", "85123A", "rise & fall"))
        for facts in (fact_tables.facts(seed, names), fact_tables.pair_ledger(seed)):
            some = [one for one in said_of(facts) if _alterable(*one)]
            found += [some[i] for i in np.random.default_rng(seed).permutation(len(some))[:12]]
    return found[:wanted]


def said_of(facts: Facts) -> Iterator[Explanation]:
    """The summary, each subject's explanation, and each fact by itself."""
    yield facts, writer.summarize(facts)
    for subject in facts.subjects:
        yield facts, writer.explain(facts, subject)
    for fact in facts.items:
        yield facts, Answer((writer.say(fact),))


def real() -> Iterator[Facts]:
    """The facts of three runs that are made now."""
    os.environ.setdefault("FOREPROOF_WORKERS", "1")
    import project as forecast_shop
    import shop as pair_shop

    from foreproof.app.commands import new_forecast
    from foreproof.app.copilot import ledger_of
    from foreproof.app.progress import Silent
    from foreproof.app.project import open_project
    from foreproof.app.runner import execute

    co2 = resources.files("foreproof.app").joinpath("templates/co2.csv").read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        (data := Path(folder) / "co2.csv").write_text(co2, encoding="utf-8")
        with redirect_stdout(sys.stderr):
            new_forecast(Path(folder) / "co2", data)
        forecast_shop.make(Path(folder) / "orders")
        pair_shop.given(Path(folder) / "pairs")
        for name in ("co2", "orders", "pairs"):
            project = open_project(Path(folder) / name)
            outcome = execute(project, progress=Silent())
            if outcome.error is not None:
                raise outcome.error
            yield ledger_of(project, subject=None)


def altered(made: list[Explanation]) -> Iterator[Row]:
    """Rates of caught alterations, by kind and in all, and of rejected true ones."""
    rng = np.random.default_rng(20_241)
    kinds = list(altered_texts.KINDS)
    caught: dict[str, list[bool]] = {kind: [] for kind in kinds}
    rejected, spent = 0, 0.0
    for place, (facts, answer) in enumerate(made):
        rejected += bool(check(answer, facts)) or bool(
            _faults([(render(s, facts).text, s.facts) for s in answer.sentences], facts)
        )
        for kind in (*kinds[place % len(kinds) :], *kinds[: place % len(kinds)]):
            other = _altered(kind, facts, answer, rng)
            if other is not None:
                begun = time.process_time()
                caught[kind].append(bool(_faults(other, facts)))
                spent += time.process_time() - begun
                break
    total = [one for found in caught.values() for one in found]
    for kind, found in caught.items():
        yield Row("faults", f"copilot_{kind}", "foreproof", "detection_rate", _share(found), "share", len(found))
    yield Row("faults", "copilot_altered", "foreproof", "detection_rate", _share(total), "share", len(total))
    yield Row("faults", "copilot_true", "foreproof", "false_alarm_rate", rejected / len(made), "share", len(made))
    yield Row("faults", "copilot_altered", "foreproof", "cpu_seconds", spent, "s", len(total))


def _alterable(facts: Facts, answer: Answer) -> bool:
    rng = np.random.default_rng(0)
    return any(_altered(kind, facts, answer, rng) is not None for kind in altered_texts.KINDS)


def _altered(
    kind: str, facts: Facts, answer: Answer, rng: np.random.Generator
) -> list[tuple[str, tuple[str, ...]]] | None:
    """The explanation with one sentence altered, None where it holds nothing of the kind."""
    texts = [(render(one, facts).text, one.facts) for one in answer.sentences]
    for place in rng.permutation(len(texts)):
        text, ids = texts[place]
        other = altered_texts.KINDS[kind](text, facts, rng)
        if other is not None and other != text:
            return [*texts[:place], (other, ids), *texts[place + 1 :]]
    return None


def _faults(texts: Texts, facts: Facts) -> list[str]:
    return [fault for text, ids in texts for fault in verify(text, facts.cited(ids), names=facts.names)]


def _share(found: list[bool]) -> float:
    return sum(found) / len(found) if found else float("nan")


def modes(seeds: int) -> Iterator[Row]:
    """How many answers were neither refused nor what the facts say, by what the model does."""
    for mode in fake_llm.MODES:
        wrong, asked = 0, 0
        with fake_llm.serving(mode) as fake:
            patience = 0.5 if mode in ("time-out", "drip") else 20.0
            terms = ModelTerms(url=fake.url, model="fake", timeout=patience, retries=0)
            talker = ChatModel(terms, key="k", sleep=lambda _: None)
            for seed in range(seeds if patience > 1.0 else min(seeds, 3)):
                for question in QUESTIONS:
                    facts = fact_tables.facts(seed)
                    wrong += not _right(explain_with(facts, "item 0", question, talker), facts, question)
                    asked += 1
        case = f"copilot_model_{mode.replace(' ', '_').replace('-', '_')}"
        yield Row("faults", case, "foreproof", "violations", wrong, "answers", asked)


def _right(said: Exchange, facts: Facts, question: str) -> bool:
    """Refused, word for word what the writer says, or what the fake's right answer renders to."""
    if said.writer == "refused":
        return not said.facts
    if said.writer == "writer":
        return said.sentences == explain_with(facts, "item 0", question).sentences
    return all(render(writer.say(fact), facts).text.split(" is ")[-1] in said.text for fact in said.facts)


CHECKS = (
    Check("copilot_altered", "detection_rate", low=0.995),
    Check("copilot_true", "false_alarm_rate", high=0.0),
    *(
        Check(f"copilot_model_{mode.replace(' ', '_').replace('-', '_')}", "violations", high=0.0)
        for mode in fake_llm.MODES
    ),
)
"""What the issue expects of the copilot; `faults.py` may add it to its own."""


if __name__ == "__main__":
    raise SystemExit(part(__doc__ or "", rows, lambda _: CHECKS))
