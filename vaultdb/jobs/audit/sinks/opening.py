"""From the URLs of the configuration to sinks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.metadata import entry_points

from vaultdb.audit.sink import ENTRY_POINTS, Sink
from vaultdb.errors import ConfigurationError
from vaultdb.jobs.audit.export_otel import OtelSink
from vaultdb.jobs.audit.sinks.address import SinkAddress
from vaultdb.jobs.audit.sinks.file import FileSink
from vaultdb.jobs.audit.sinks.s3 import S3Sink
from vaultdb.jobs.audit.sinks.syslog import SCHEMES, SyslogSink
from vaultdb.jobs.audit.sinks.webhook import WebhookSink

_OWN: Mapping[str, Callable[[SinkAddress], Sink]] = {
    "file": FileSink.of,
    "otel": OtelSink.of,
    "https": WebhookSink.of,
    "s3": S3Sink.of,
    **dict.fromkeys(SCHEMES, SyslogSink.of),
}


def open_sink(text: str) -> tuple[SinkAddress, Sink]:
    """Open the sink of a URL; return what is left of the URL beside it.

    Raises:
        ConfigurationError: there is no such sink, or it cannot be opened as the URL says.

    """
    address = SinkAddress.parse(text)
    make = _OWN.get(address.url.scheme)
    return address, make(address) if make else _from_entry_point(address, text)


def _from_entry_point(address: SinkAddress, text: str) -> Sink:
    scheme = address.url.scheme
    found = list(entry_points(group=ENTRY_POINTS, name=scheme))
    if len(found) != 1:
        known = ", ".join(sorted({*_OWN, *entry_points(group=ENTRY_POINTS).names}))
        problem = "several packages provide" if found else "no package provides"
        plain = "; checkpoints travel over https only" if scheme == "http" else ""
        raise ConfigurationError(
            f"{address.name}: {problem} a sink for {scheme}://; known are {known}{plain}"
        )
    sink = found[0].load()(text)
    address.options.clear()  # it has read them by itself
    if not isinstance(sink, Sink):
        raise ConfigurationError(f"{found[0].value} does not make a vaultdb.audit.Sink")
    return sink
