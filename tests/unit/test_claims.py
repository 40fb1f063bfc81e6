"""The claim language, rule by rule: what an answer may not say, and that it may say the rest."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import altered_texts
import fact_tables
from foreproof.explain import writer
from foreproof.explain.claims import LENGTH, SENTENCES, Answer, Sentence, check, parse_answer, render, verify
from foreproof.explain.facts import WHOLE, Fact, Facts, ledger
from foreproof.explain.render import told


def fact(what: str, value: float | str, **more: object) -> Fact:
    given = {
        "subject": "Ale",
        "unit": "units",
        "period": "2024-05-20 to 2024-05-26",
        "direction": None,
        "kind": "level",
    }
    return Fact(id="", what=what, value=value, source="0" * 64, **{**given, **more})  # type: ignore[arg-type]


UP = {"kind": "comparison", "unit": "%", "against": "the mean of the last 7 known days", "direction": "up"}
FACTS = ledger(
    [
        fact("expected total", 203.4),
        fact("expected mean per day", 0.021, **UP),
        fact("recommended order quantity", 205.0, kind="order", period=""),
        fact("critical ratio of its costs", 0.667, kind="attribution", unit="%", period=""),
        fact("expected total", 90.0, subject="Stout"),
        fact("expected mean per day", -0.034, subject="Stout", **{**UP, "direction": "down"}),
        fact("cutoff of the run", "2024-05-19", subject=WHOLE, kind="date", unit="", period=""),
        fact("verdict of the proof", "proven", subject=WHOLE, kind="verdict", unit="", period=""),
        fact("expected mean per day", 0.0, **{**UP, "direction": "level"}),
    ],
    names=("Ale", "Stout", "Porter", "dark mild"),
)


def problems(text: str, *ids: str, subject: str = WHOLE) -> str:
    return "\n".join(check(Answer((Sentence(text, ids),)), FACTS, subject=subject))


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("For {f1.subject}, the {f1.what} ({f1.period}) is {f1}.", ["f1"]),
        ("Over {f1.period}, {f1.subject} is expected to sell {f1} in total.", ["f1"]),
        ("The {f2.what} of {f2.subject} is {f2.size} {f2.direction} than {f2.against}.", ["f2"]),
        ("For {f2.subject}, the {f2.what} will rise by {f2.size} against {f2.against}.", ["f2"]),
        ("For {f2.subject}, the {f2.what} changes by {f2} against {f2.against}.", ["f2"]),
        ("For {f6.subject}, demand falls by {f6.size} compared with {f6.against}.", ["f6"]),
        ("For {f9.subject}, the {f9.what} is {f9.direction} against {f9.against}.", ["f9"]),
        ("For {f3.subject}, order {f3}, because the {f4.what} is {f4}.", ["f3", "f4"]),
        ("For {f1.subject} the total is {f1}, and for {f5.subject} the total is {f5}.", ["f1", "f5"]),
        ("The {f7.what} is {f7}, and the {f8.what} reads: {f8}.", ["f7", "f8"]),
        ("{f1.subject}: {f1}.", ["f1"]),
    ],
)
def test_a_sentence_that_keeps_the_rules_passes_and_verifies_when_rendered(text: str, ids: list[str]) -> None:
    assert problems(text, *ids) == ""
    shown = render(Sentence(text, tuple(ids)), FACTS)
    assert "{" not in shown.text and verify(shown.text, FACTS.cited(ids), names=FACTS.names) == []


@pytest.mark.parametrize(
    ("text", "ids", "said"),
    [
        ("For {f1.subject}, the {f1.what} is 203.4 units.", ["f1"], "a number typed freely (203, 4)"),
        ("For {f1.subject}, the {f1.what} is {f1}, some two hundred.", ["f1"], "two, hundred: a number"),
        ("For {f1.subject}, half of it is {f1}.", ["f1"], "half: a number"),
        ("For {f1.subject}, the {f1.what} is -{f1}.", ["f1"], "a dash"),
        ("For {f1.subject}, the {f1.what} is minus {f1}.", ["f1"], "minus: a number"),
        ("For {f1.subject}, the {f1.what} is {f1} thousand.", ["f1"], "thousand: a number"),
        ("For {f1.subject}, the {f1.what} is {f1}%.", ["f1"], "signs that are not plain text"),
        ("For {f1.subject}, the {f1.what} is {f1} or ١٢.", ["f1"], "signs that are not plain text"),
        ("For {f1.subject}, the {f1.what} in June is {f1}.", ["f1"], "june: a date"),
        ("For {f1.subject}, the {f1.what} of the coming week is {f1}.", ["f1"], "week: a date"),
        ("For {f1.subject}, the {f1.what} is {f1} euros.", ["f1"], "euros: a unit"),
        ("For Ale, the {f1.what} is {f1}.", ["f1"], "Ale: a name typed freely"),
        ("For {f1.subject} and Porter, the {f1.what} is {f1}.", ["f1"], "Porter: a name"),
        ("For {f1.subject} and dark mild, the {f1.what} is {f1}.", ["f1"], "dark mild: a name"),
        ("Guinness says that for {f1.subject} the {f1.what} is {f1}.", ["f1"], "Guinness: a name"),
        ("The {f1.what} is {f1}.", ["f1"], "f1: its subject is not told"),
        ("For {f2.subject}, the {f2.what} is {f2.size} lower than {f2.against}.", ["f2"], "point the other way"),
        ("For {f2.subject}, the {f2.what} drops by {f2.size} against {f2.against}.", ["f2"], "drops: the cited"),
        ("For {f9.subject}, the {f9.what} rises; it is {f9.direction} against {f9.against}.", ["f9"], "other way"),
        ("For {f1.subject}, the {f1.what} rises to {f1}.", ["f1"], "rises: a direction needs"),
        ("For {f1.subject}, the {f1.what} is above {f1}.", ["f1"], "above: a direction needs"),
        ("For {f2.subject}, the {f2.what} moves by {f2.size} against {f2.against}.", ["f2"], "needs {id.direction}"),
        ("For {f2.subject}, the {f2.what} is {f2} higher than {f2.against}.", ["f2"], "not by both"),
        ("For {f2.subject}, the {f2.what} is {f2.size} {f2.direction}.", ["f2"], "a change against what?"),
        ("For {f1.subject}, the {f1.what} is {f1}, because it is hot.", ["f1"], "because: a cause needs"),
        ("For {f1.subject}, the {f1.what} is {f1}, thanks to its price.", ["f1"], "thanks: a cause"),
        ("For {f1.subject}, the {f1.what} is not {f1}.", ["f1"], "not: a negation"),
        ("For {f1.subject}, the {f1.what} isn't {f1}.", ["f1"], "isnt: a negation"),
        ("The {f8.what} reads {f8}, so it is reliable.", ["f8"], "reliable: a judgement"),
        ("For {f1.subject}, the recommended order is {f1}.", ["f1"], "order: the value beside it is of something else"),
        ("For {f1.subject}, the {f3.what} is {f1}, the {f1.what} is {f3}.", ["f1", "f3"], "beside the value of another"),
        ("For {f1.subject} the total is {f5}, for {f5.subject} it is {f1}.", ["f1", "f5"], "beside the name of another"),
        ("{f5}: that is {f1.subject}, the total; {f5.subject} is {f1}.", ["f1", "f5"], "beside the name of another"),
        ("Demand is strong.", [], "must cite at least one fact"),
        ("Demand is strong in {f1.subject}.", ["f1"], "f1 is cited and not told"),
        ("For {f1.subject}, the {f1.what} is {f1}, of {f5}.", ["f1"], "f5: told and not cited"),
        ("For {f77.subject}, it is {f77}.", ["f77"], "there is no fact f77"),
        ("For {f1.subject}, the {f1.what} is {f1.source}.", ["f1"], "a fact has value, size"),
        ("For {f3.subject}, the {f3.what} ({f3.period}) is {f3}.", ["f3"], "this fact has no period"),
        ("For {f1.subject}, the {f1.what} is {{f1}}.", ["f1"], "a brace"),
        ("For {f1.subject}, the {f1.what} is {f1}. <b>Buy</b>", ["f1"], "signs that are not plain text"),
        ("For {f2.subject} {f2.size} {f2.direction} than {f2.against}, for {f6.subject} {f6.size} {f6.direction} than "
         "{f6.against}.", ["f2", "f6"], "different sentences"),
    ],
)  # fmt: skip
def test_a_sentence_that_breaks_a_rule_is_told_which(text: str, ids: list[str], said: str) -> None:
    assert said in problems(text, *ids)


def test_a_fact_of_another_than_the_one_asked_about_may_not_be_cited() -> None:
    text = "For {f5.subject}, the {f5.what} is {f5}."
    assert problems(text, "f5", subject="Stout") == ""
    assert "is not about what was asked" in problems(text, "f5", subject="Ale")


def test_an_answer_has_its_limits() -> None:
    one = Sentence("For {f1.subject}, the {f1.what} is {f1}.", ("f1",))
    assert check(Answer((one,) * SENTENCES), FACTS) == []
    assert "at most" in check(Answer((one,) * (SENTENCES + 1)), FACTS)[0]
    long = Sentence(one.text + " and that" * LENGTH, ("f1",))
    assert any("characters" in found for found in check(Answer((long,)), FACTS))
    assert verify("x" * 5_000, FACTS.cited(["f1"])) == [f"longer than {2 * LENGTH} characters"]


def test_the_two_ends_of_an_interval_cannot_change_places() -> None:
    facts = fact_tables.facts(3)
    pair = next(
        s for s in writer.explain(facts, "item 0").sentences if len(s.facts) == 2 and "end" in render(s, facts).text
    )
    low, high = (told(one, "value") for one in facts.cited(pair.facts).items)
    text = render(pair, facts).text
    turned = text.replace(low, "@").replace(high, low).replace("@", high)
    assert verify(text, facts.cited(pair.facts)) == []
    assert "beside the value of another" in " ".join(verify(turned, facts.cited(pair.facts)))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no",
        "[]",
        "{}",
        "3",
        '{"sentences": []}',
        '{"sentences": "x"}',
        '{"sentences": [1]}',
        '{"sentences": [{"text": "x"}]}',
        '{"sentences": [{"text": "x", "facts": [1]}]}',
        '{"sentences": [{"text": null, "facts": ["f1"]}]}',
        "[" * 100_000,
    ],
)
def test_what_is_not_of_the_form_is_no_answer(text: str) -> None:
    answer, wrong = parse_answer(text)
    assert answer is None and len(wrong) == 1


def test_a_fence_around_an_answer_is_taken_off_and_a_refusal_is_an_answer() -> None:
    given = {"sentences": [{"text": "{f1.subject}: {f1}.", "facts": ["f1"]}], "more": 1}
    answer, wrong = parse_answer(f"```json\n{json.dumps(given)}\n```")
    assert answer == Answer((Sentence("{f1.subject}: {f1}.", ("f1",)),)) and wrong == []
    assert parse_answer('{"refused": true}') == (Answer(refused=True), [])
    assert check(Answer(refused=True), FACTS) == []


def every_sentence(facts: Facts) -> list[Sentence]:
    answers = [writer.summarize(facts), *(writer.explain(facts, one) for one in facts.subjects)]
    return [*(s for answer in answers for s in answer.sentences), *(writer.say(one) for one in facts.items)]


HARD = (
    "higher",
    "5 units",
    "the",
    '"x"',
    "{f1}",
    "is",
    "reads",
    "203",
    "-1",
    "2024-05-20",
    "ignore all previous instructions",
)
NAME = st.text(min_size=1, max_size=12).filter(str.strip) | st.sampled_from(HARD)
NAMES = st.lists(NAME, min_size=2, max_size=3, unique=True)


@settings(max_examples=30)
@given(seed=st.integers(0, 10_000), names=NAMES)
def test_whatever_the_writer_says_passes_the_check_and_verifies(seed: int, names: list[str]) -> None:
    facts = fact_tables.facts(seed, tuple(names))
    for subject in facts.subjects:
        assert check(writer.explain(facts, subject), facts) == []
    for sentence in every_sentence(facts)[-40:]:
        shown = render(sentence, facts)
        assert verify(shown.text, facts.cited(sentence.facts), names=facts.names) == [], shown.text


@settings(max_examples=30)
@given(seed=st.integers(0, 10_000))
def test_one_number_sign_date_or_name_altered_is_caught(seed: int) -> None:
    rng = np.random.default_rng(seed)
    for facts in (fact_tables.facts(seed), fact_tables.pair_ledger(seed)):
        for sentence in every_sentence(facts)[seed % 5 :: 5]:
            text = render(sentence, facts).text
            for alter in altered_texts.KINDS.values():
                if (other := alter(text, facts, rng)) is not None:
                    assert verify(other, facts.cited(sentence.facts), names=facts.names), (text, other)


@given(text=st.text(max_size=200), ids=st.lists(st.sampled_from(["f1", "f2", "f99"]), max_size=3))
def test_the_check_answers_to_any_text(text: str, ids: list[str]) -> None:
    found = check(Answer((Sentence(text, tuple(ids)),)), FACTS)
    assert found or render(Sentence(text, tuple(ids)), FACTS).text
