"""Put the codes of changes into the page on compatibility: `python scripts/refresh_rules.py`."""

import re
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
PAGE = PROJECT / "docs" / "explanation" / "how-compatibility-is-decided.md"


def rules_table() -> str:
    """A row for each code: what it says, with names for what is filled in, and the usual fix."""
    from registry.compatibility.changes.codes import CODES

    rows = ["| code | what it says | usual fix |", "|---|---|---|"]
    for name, code in sorted(CODES.items()):
        says = code.sentence.format(where="*place*", name="*name*", old="*old*", new="*new*")
        rows.append(f"| `{name}` | {_cell(says)} | {_cell(code.fix or '')} |")
    return "\n".join(rows)


def with_rules(page: str) -> str:
    """The page with the table as it is now. Raises ValueError where it has no place for it."""
    block = f"<!-- rules -->\n{rules_table()}\n<!-- /rules -->"
    text, replaced = re.subn(
        r"<!-- rules -->.*?<!-- /rules -->", lambda _: block, page, flags=re.DOTALL
    )
    if not replaced:
        raise ValueError(
            f"{PAGE.name} has no place for the table: <!-- rules --> … <!-- /rules -->"
        )
    return text


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    sys.path.insert(0, str(PROJECT))
    PAGE.write_text(with_rules(PAGE.read_text()))
