"""OpenTelemetry traces, if the settings name a collector: one span a request, and whatever a job calls a span."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from foreproof.errors import MissingExtra

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider


class Tracing:
    """Spans that go to a collector (OTLP over HTTP) in batches; one that does not answer stops no call."""

    def __init__(self, endpoint: str, *, service: str = "foreproof") -> None:
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
        except ModuleNotFoundError as error:
            raise MissingExtra(
                "FOREPROOF_OTEL", found=f"no module {error.name}", fix="pip install 'foreproof[otel]'"
            ) from None
        address = endpoint.rstrip("/")
        address = address if address.endswith("/v1/traces") else f"{address}/v1/traces"
        self._provider: TracerProvider = TracerProvider(resource=Resource.create({"service.name": service}))
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=address, timeout=5)))
        self._tracer = self._provider.get_tracer("foreproof")

    @contextmanager
    def span(self, name: str, *, parent: Mapping[str, str] | None = None, **said: Any) -> Iterator[Any]:
        """A span around a block. parent: headers with a `traceparent`; said: its attributes."""
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        context = TraceContextTextMapPropagator().extract(dict(parent)) if parent else None
        with self._tracer.start_as_current_span(name, context=context, attributes=said) as span:
            yield span

    def close(self) -> None:
        """Send what is waiting, and stop."""
        self._provider.shutdown()


def tenant_hash(tenant: str) -> str:
    """A tenant in a trace: the same for the same one, and no name."""
    return hashlib.sha256(b"foreproof tenant\0" + tenant.encode()).hexdigest()[:16]


__all__ = ["Tracing", "tenant_hash"]
