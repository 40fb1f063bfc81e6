"""The pytest plugin: fixtures `assert_causal` and `assert_causal_split`, and the option `foreproof_cutoffs`.

It is loaded with every run of pytest, so it imports nothing heavy before a fixture is asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

OPTION = "foreproof_cutoffs"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option to pytest.ini, pyproject.toml, tox.ini."""
    words = "cutoffs of the fixture assert_causal, such as 2024-03-31 2024-06-30; without any, some are chosen"
    parser.addini(OPTION, words, type="args", default=[])


@pytest.fixture
def assert_causal(pytestconfig: pytest.Config) -> Callable[..., None]:
    """`foreproof.testing.assert_causal` at the cutoffs of the option; `cutoffs=` of a call comes first."""
    from foreproof.testing import assert_causal as plain

    found: list[Any] = [int(text) if text.lstrip("-").isdigit() else text for text in pytestconfig.getini(OPTION)]
    return partial(plain, cutoffs=found) if found else plain


@pytest.fixture
def assert_causal_split() -> Callable[..., None]:
    """`foreproof.testing.assert_causal_split`."""
    from foreproof.testing import assert_causal_split as plain

    return plain


__all__ = ["OPTION", "assert_causal", "assert_causal_split", "pytest_addoption"]
