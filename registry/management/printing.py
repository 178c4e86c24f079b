"""How commands print: lines for people, or the same facts as JSON."""

import json
from argparse import ArgumentParser
from collections.abc import Sequence
from typing import Any

from django.core.management.base import OutputWrapper
from rest_framework.utils.encoders import JSONEncoder


def tell(out: OutputWrapper, facts: Any, *lines: str, as_json: bool) -> None:
    if as_json:
        out.write(json.dumps(facts, cls=JSONEncoder, indent=2, ensure_ascii=False))
        return
    for line in lines:
        out.write(line)


def add_json_option(*parsers: ArgumentParser) -> None:
    for parser in parsers:
        parser.add_argument("--json", action="store_true", help="print JSON")


def table(rows: Sequence[Sequence[object]]) -> list[str]:
    """Lines with their columns under each other."""
    texts = [[str(cell) for cell in row] for row in rows]
    widths = [max(len(row[n]) for row in texts) for n in range(len(texts[0]))] if texts else []
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in texts
    ]
