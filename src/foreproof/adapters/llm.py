"""A language model behind any address that speaks the OpenAI protocol: one question, one answer, within limits.

Time, bytes and tokens are limited here, whatever the server does: one that never ends its answer, or drips it, costs `timeout`
seconds an attempt and at most `_BYTES`.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from foreproof.core.ports import Reply
from foreproof.errors import BadInput, ForeproofError, MissingExtra, SourceError

_AGAIN = frozenset({408, 409, 425, 429, 500, 502, 503, 504})
_BYTES = 1_000_000
_PAUSE, _LONGEST = 0.5, 10.0


@dataclass(frozen=True, slots=True)
class ModelTerms:
    """Which model, and within which limits.

    provider: a word for the record. url: of the protocol's base, such as `http://127.0.0.1:8080/v1`. max_tokens: of an answer.
    timeout: seconds that one attempt may take in all. retries: further attempts after a time-out, 429 or 5xx.
    """

    url: str
    model: str
    provider: str = "openai-compatible"
    temperature: float = 0.0
    max_tokens: int = 1024
    timeout: float = 30.0
    retries: int = 2

    def __post_init__(self) -> None:
        if urlsplit(self.url).scheme not in ("http", "https") or not urlsplit(self.url).hostname:
            raise BadInput("model url", found=repr(self.url), wanted="http:// or https:// and a host")
        if not self.model.strip():
            raise BadInput("model", found="no name", wanted="the name of a model that the address serves")
        limits = (
            ("temperature", self.temperature, 0.0, 2.0),
            ("max_tokens", self.max_tokens, 1, 32_000),
            ("timeout", self.timeout, 0.001, 600.0),
            ("retries", self.retries, 0, 10),
        )
        for name, value, low, high in limits:
            if not low <= value <= high:
                raise BadInput(f"model {name}", found=str(value), wanted=f"{low} to {high}")


@dataclass(frozen=True)
class ChatModel:
    """A `Talker` over HTTP. key: sent to the address and nowhere else, never shown. sleep: how pauses pass."""

    terms: ModelTerms
    key: str = field(repr=False, default="")
    sleep: Callable[[float], None] = field(default=time.sleep, compare=False, repr=False)

    @property
    def model(self) -> str:
        """Provider and model, for the record."""
        return f"{self.terms.provider}/{self.terms.model}"

    def ask(self, messages: Sequence[Mapping[str, str]]) -> Reply:
        """One answer. Raises SourceError where there is none after all attempts, MissingExtra without the library."""
        openai, terms = _library(), self.terms
        # An error's body is never read: it may not end. A redirect would send the question elsewhere.
        client = openai.DefaultHttpxClient(
            event_hooks={"response": [_close_errors]}, follow_redirects=False, timeout=terms.timeout
        )
        with client:
            service = openai.OpenAI(
                base_url=terms.url,
                api_key=self.key or "none",
                max_retries=0,
                timeout=terms.timeout,
                http_client=client,
                default_headers={"Accept-Encoding": "identity"},
            )
            for attempt in range(terms.retries + 1):
                try:
                    return self._within(lambda: self._once(service, messages))
                except _Again as again:
                    if attempt == terms.retries:
                        raise self._error(again.found, "raise FOREPROOF_LLM_TIMEOUT or FOREPROOF_LLM_RETRIES") from None
                    self.sleep(min(max(again.pause, _PAUSE * 2**attempt), _LONGEST))
        raise AssertionError  # the loop returns or raises

    def _within(self, call: Callable[[], Reply]) -> Reply:
        """The call's result within the time of an attempt; a call that is stuck in a read is left behind."""
        done: list[Reply | BaseException] = []

        def run() -> None:
            try:
                done.append(call())
            except BaseException as error:  # handed on below
                done.append(error)

        thread = threading.Thread(target=run, daemon=True, name="foreproof-llm")
        thread.start()
        thread.join(self.terms.timeout)
        if not done:
            raise _Again(f"no answer within {self.terms.timeout:g} s")
        if isinstance(done[0], BaseException):
            raise done[0]
        return done[0]

    def _once(self, service: Any, messages: Sequence[Mapping[str, str]]) -> Reply:
        openai, terms = _library(), self.terms
        given: Any = [dict(message) for message in messages]
        try:
            with service.chat.completions.with_streaming_response.create(
                model=terms.model,
                messages=given,
                temperature=terms.temperature,
                max_tokens=terms.max_tokens,
            ) as response:
                body = self._read(response.iter_bytes())
        except openai.APITimeoutError:
            raise _Again(f"no answer within {terms.timeout:g} s") from None
        except openai.APIStatusError as error:
            raise self._refused(error.status_code, error.response.headers.get("retry-after", "")) from None
        except openai.APIConnectionError as error:
            raise _Again(f"no connection ({type(error.__cause__).__name__})") from None
        except (ForeproofError, _Again):
            raise
        except Exception as error:  # the transport's own, while the body is read
            raise _Again(f"the answer broke off ({type(error).__name__})") from None
        return self._reply(body)

    def _read(self, chunks: Any) -> bytes:
        """The body, as far as time and `_BYTES` allow."""
        end = time.monotonic() + self.terms.timeout
        found = bytearray()
        for chunk in chunks:
            found += chunk
            if len(found) > _BYTES:
                raise self._error(f"an answer of more than {_BYTES} bytes", "choose another model")
            if time.monotonic() > end:
                raise _Again(f"no end of the answer within {self.terms.timeout:g} s")
        return bytes(found)

    def _reply(self, body: bytes) -> Reply:
        try:
            found = json.loads(body)
            text = found["choices"][0]["message"]["content"]
        except (ValueError, LookupError, TypeError, RecursionError):
            raise self._error(
                f"an answer that is not of the protocol: {body[:60]!r}", "check FOREPROOF_LLM_URL"
            ) from None
        if not isinstance(text, str):
            raise self._error("an answer without text", "choose another model")
        usage = found.get("usage")
        usage = usage if isinstance(usage, dict) else {}
        return Reply(text, _count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens")))

    def _refused(self, status: int, after: str) -> Exception:
        if status in _AGAIN:
            return _Again(f"HTTP {status}", float(after) if after.strip().isdigit() else 0.0)
        fix = "check FOREPROOF_LLM_KEY" if status in (401, 403) else "check FOREPROOF_LLM_URL and FOREPROOF_LLM_MODEL"
        return self._error(f"HTTP {status}", fix)

    def _error(self, found: str, fix: str) -> SourceError:
        host = urlsplit(self.terms.url).hostname
        return SourceError(f"model {self.terms.model} at {host}", found=found, wanted="one answer", fix=fix)


class _Again(Exception):
    """An attempt that may be made again after `pause` seconds."""

    def __init__(self, found: str, pause: float = 0.0) -> None:
        self.found, self.pause = found, pause
        super().__init__(found)


def _close_errors(response: Any) -> None:
    if response.status_code >= 300:
        response.close()


def _count(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else 0


def _library() -> Any:
    try:
        import openai
    except ImportError:
        raise MissingExtra("a language model", found="no openai", fix="pip install 'foreproof[serve]'") from None
    return openai


__all__ = ["ChatModel", "ModelTerms"]
