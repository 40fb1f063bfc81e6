"""The language model that the settings name, as `app/configuration.py` lists them; without an address there is none."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from foreproof.adapters.llm import ChatModel, ModelTerms
from foreproof.app.configuration import merged
from foreproof.core.ports import Talker
from foreproof.errors import BadInput


def read_model_terms(folder: Path, environment: Mapping[str, str] | None = None) -> ModelTerms | None:
    """The model that the settings of a folder name, None where they name none. Raises BadInput that names the variable."""
    return _terms(merged(folder, os.environ if environment is None else environment))


def talker_of(folder: Path, environment: Mapping[str, str] | None = None) -> Talker | None:
    """That model with its key, which comes from the environment only; None where none is named."""
    env = merged(folder, os.environ if environment is None else environment)
    terms = _terms(env)
    return None if terms is None else ChatModel(terms, key=env.get("FOREPROOF_LLM_KEY", ""))


def _terms(env: Mapping[str, str]) -> ModelTerms | None:
    url, model = env.get("FOREPROOF_LLM_URL", ""), env.get("FOREPROOF_LLM_MODEL", "")
    if not url and not model:
        return None
    if not url or not model:
        lacking = "FOREPROOF_LLM_MODEL" if url else "FOREPROOF_LLM_URL"
        raise BadInput(lacking, found="not set", wanted="both address and model, or neither")
    return ModelTerms(
        url=url,
        model=model,
        temperature=_number(env, "FOREPROOF_LLM_TEMPERATURE", 0.0),
        max_tokens=_whole(env, "FOREPROOF_LLM_MAX_TOKENS", 1024),
        timeout=_number(env, "FOREPROOF_LLM_TIMEOUT", 30.0),
        retries=_whole(env, "FOREPROOF_LLM_RETRIES", 2),
    )


def _number(env: Mapping[str, str], name: str, default: float) -> float:
    text = env.get(name, "")
    try:
        return float(text) if text else default
    except ValueError:
        raise BadInput(name, found=repr(text), wanted="a number") from None


def _whole(env: Mapping[str, str], name: str, default: int) -> int:
    text = env.get(name, "")
    if text and not (text.isascii() and text.isdigit()):
        raise BadInput(name, found=repr(text), wanted="a whole number")
    return int(text) if text else default


__all__ = ["read_model_terms", "talker_of"]
