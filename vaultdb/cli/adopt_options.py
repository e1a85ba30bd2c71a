"""Options that several commands of `vaultdb adopt` have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vaultdb.jobs.adopt.foreign.formats import Format
from vaultdb.jobs.adopt.foreign.padding import Padding

TableName = Annotated[
    str, typer.Argument(metavar="TABLE", help="Table, with its schema when it has one.")
]
ColumnName = Annotated[
    str, typer.Argument(metavar="COLUMN", help="Encrypted column, or the one that it replaces.")
]
From = Annotated[
    Format | None,
    typer.Option("--from", help="What another package encrypted the old column with."),
]
PaddingOption = Annotated[
    Padding, typer.Option("--padding", help="Of sqlalchemy-utils-aes: as the column had it.")
]
KeyFile = Annotated[
    Path | None, typer.Option("--key-file", metavar="FILE", help="File with the old key.")
]
KeyVault = Annotated[
    str | None,
    typer.Option("--key-vault", metavar="PATH#FIELD", help="Where Vault has the old key."),
]
Key = Annotated[str | None, typer.Option("--key", hidden=True)]
"""Refused: the list of processes shows arguments to everybody on the machine."""
Tenant = Annotated[
    str | None,
    typer.Option("--tenant", help="Whose rows are that do not say so; default: the setting's."),
]
Workers = Annotated[int, typer.Option("--workers", min=1, help="How many work at once.")]
MaxLag = Annotated[
    float | None,
    typer.Option("--max-lag", metavar="SECONDS", help="Wait while a replica is further behind."),
]
MaxRows = Annotated[
    float | None, typer.Option("--max-rows-per-second", help="Work no faster than this.")
]
PlanOnly = Annotated[bool, typer.Option("--plan", help="Show the plan and stop.")]
