"""Settings of a language model, read from the environment. Without an address there is none: the copilot then writes by itself.

| variable | default | meaning |
|---|---|---|
| `FOREPROOF_LLM_URL` | none | base of an OpenAI-compatible service, such as `http://127.0.0.1:8080/v1` |
| `FOREPROOF_LLM_MODEL` | none | the model's name there |
| `FOREPROOF_LLM_KEY` | none | its key; read from the environment only, never shown, logged or written |
| `FOREPROOF_LLM_TEMPERATURE` | 0 | 0 to 2 |
| `FOREPROOF_LLM_MAX_TOKENS` | 800 | of one answer |
| `FOREPROOF_LLM_TIMEOUT` | 30 | seconds that one attempt may take |
| `FOREPROOF_LLM_RETRIES` | 2 | further attempts after a time-out, 429 or 5xx |
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from foreproof.adapters.llm import ChatModel, ModelTerms
from foreproof.core.ports import Talker
from foreproof.errors import BadInput

NAMES = (
    "FOREPROOF_LLM_URL",
    "FOREPROOF_LLM_MODEL",
    "FOREPROOF_LLM_KEY",
    "FOREPROOF_LLM_TEMPERATURE",
    "FOREPROOF_LLM_MAX_TOKENS",
    "FOREPROOF_LLM_TIMEOUT",
    "FOREPROOF_LLM_RETRIES",
)


def read_model_terms(environment: Mapping[str, str] | None = None) -> ModelTerms | None:
    """The model that the environment names, None where it names none. Raises BadInput that names the variable."""
    env = os.environ if environment is None else environment
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
        max_tokens=_whole(env, "FOREPROOF_LLM_MAX_TOKENS", 800),
        timeout=_number(env, "FOREPROOF_LLM_TIMEOUT", 30.0),
        retries=_whole(env, "FOREPROOF_LLM_RETRIES", 2),
    )


def talker_of(environment: Mapping[str, str] | None = None) -> Talker | None:
    """The language model of the environment, with its key; None where none is named."""
    env = os.environ if environment is None else environment
    terms = read_model_terms(env)
    return None if terms is None else ChatModel(terms, key=env.get("FOREPROOF_LLM_KEY", ""))


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


__all__ = ["NAMES", "read_model_terms", "talker_of"]
