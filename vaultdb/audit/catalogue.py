"""The table of events in `docs/reference/audit-events.md`, made from `vaultdb.audit.kinds`.

`python -m vaultdb.audit.catalogue docs/reference/audit-events.md` writes it; a test compares.
"""

from __future__ import annotations

import sys
from pathlib import Path

from vaultdb.audit.kinds import KINDS

BEGIN = "<!-- made by: python -m vaultdb.audit.catalogue docs/reference/audit-events.md -->"
END = "<!-- end -->"


def catalogue() -> str:
    """Return the table of all kinds in Markdown."""
    rows = ["| no | event | meaning | fields of its own |", "|---|---|---|---|"]
    for kind in KINDS:
        fields = ", ".join(f"`{name}`" for name in kind.fields) or "-"
        rows.append(f"| {kind.number} | `{kind.name}` | {kind.meaning} | {fields} |")
    return "\n".join(rows)


def rewritten(page: str) -> str:
    """Return a page with the table in it replaced."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{catalogue()}\n\n{END}{after}"


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.write_text(rewritten(target.read_text("utf-8")), "utf-8")
