"""`s3://bucket/prefix`: an object for each checkpoint, locked so that nobody deletes it early."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Self

from vaultdb.audit.chain import Record
from vaultdb.errors import ConfigurationError
from vaultdb.jobs.audit.sinks.address import SinkAddress
from vaultdb.jobs.audit.sinks.notes import as_lines, place_of

RETAIN_DAYS: Final = 365.0
"""Days for which an object is locked, unless the URL says otherwise."""

_MODES: Final = ("COMPLIANCE", "GOVERNANCE", "NONE")


class S3Sink:
    """Puts objects whose names sort by epoch and size; credentials are those of boto3.

    Args:
        client: of boto3, for S3.
        bucket: with object lock, unless `mode` is NONE.
        prefix: of the names, without a slash at its ends.
        mode: COMPLIANCE, which not even the account's owner can undo, GOVERNANCE, or NONE.
        retain_days: how long an object is locked.

    """

    def __init__(
        self,
        client: Any,
        bucket: str,
        prefix: str,
        *,
        mode: str = "COMPLIANCE",
        retain_days: float = RETAIN_DAYS,
    ) -> None:
        self._client = client
        self._bucket = bucket
        self._prefix = f"{prefix}/" if prefix else ""
        self._mode = mode
        self._retain = timedelta(days=retain_days)

    @classmethod
    def of(cls, address: SinkAddress) -> Self:
        """Prepare writing to a bucket; nothing is sent yet.

        Raises:
            ConfigurationError: boto3 is missing, or the URL is wrong.

        """
        mode = (address.take("mode") or "COMPLIANCE").upper()
        if mode not in _MODES or not address.url.netloc:
            raise ConfigurationError(
                f"{address.name}: write s3://bucket/prefix#mode=… with one of {', '.join(_MODES)}"
            )
        client = _client(address)
        return cls(
            client,
            address.url.netloc,
            address.url.path.strip("/"),
            mode=mode,
            retain_days=address.take_number("retain-days", RETAIN_DAYS),
        )

    def checkpoint(self, note: str) -> None:
        """Put a signed note.

        Raises:
            OSError: the bucket did not take it.

        """
        self._put(self._name(*place_of(note)), note)

    def records(self, records: Sequence[Record]) -> None:
        """Put a batch of records as JSON lines, under a name that its content gives.

        Raises:
            OSError: the bucket did not take it.

        """
        lines = as_lines(records)
        name = hashlib.sha256(lines.encode()).hexdigest()
        self._put(f"{self._prefix}records/{records[0].at[:10]}/{name}.jsonl", lines)

    def kept(self, place: tuple[int, int]) -> Iterator[str]:
        """Return the notes from a place on, newest first; one listing, of what is newer only."""
        with _os_errors():
            pages = self._client.get_paginator("list_objects_v2").paginate(
                Bucket=self._bucket,
                Prefix=f"{self._prefix}checkpoints/",
                StartAfter=self._name(place[0], max(place[1] - 1, 0)),
            )
            names = [item["Key"] for page in pages for item in page.get("Contents", ())]
            for name in reversed(names):
                answer = self._client.get_object(Bucket=self._bucket, Key=name)
                yield answer["Body"].read().decode(errors="replace")

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _name(self, epoch: int, size: int) -> str:
        return f"{self._prefix}checkpoints/{epoch:06d}-{size:019d}.txt"

    def _put(self, name: str, text: str) -> None:
        lock: dict[str, Any] = {}
        if self._mode != "NONE":
            until = datetime.now(UTC) + self._retain
            lock = {"ObjectLockMode": self._mode, "ObjectLockRetainUntilDate": until}
        with _os_errors():
            self._client.put_object(
                Bucket=self._bucket,
                Key=name,
                Body=text.encode(),
                ContentType="text/plain; charset=utf-8",
                ChecksumAlgorithm="SHA256",  # a bucket with object lock asks for one
                **lock,
            )


class _os_errors:  # noqa: N801  # reads as a statement
    """Turn what boto3 raises into an OSError, with nothing of the request in its text."""

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        """Translate."""
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415  # optional

        if isinstance(error, ClientError):
            code = error.response.get("Error", {}).get("Code", "an error")
            raise OSError(f"the bucket answered {code}") from None
        if isinstance(error, BotoCoreError):
            raise OSError(f"the bucket cannot be reached ({type(error).__name__})") from None


def _client(address: SinkAddress) -> Any:
    try:
        import boto3  # noqa: PLC0415  # optional
        from botocore.config import Config  # noqa: PLC0415
    except ImportError:
        raise ConfigurationError(
            f"{address.name} needs boto3; install vaultdb-sqlalchemy[s3]"
        ) from None
    endpoint = address.take("endpoint")
    ca = address.take("ca")
    if endpoint is not None and not endpoint.startswith("https://"):
        raise ConfigurationError(f"{address.name}: endpoint must be an https:// address")
    config = Config(
        connect_timeout=5,
        read_timeout=10,
        retries={"total_max_attempts": 2},
        s3={"addressing_style": address.take("addressing") or "auto"},
    )
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name=address.take("region"),
        verify=ca if ca is not None else True,
        config=config,
    )
