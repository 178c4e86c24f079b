"""What a command says: a sentence for people, or with `--json` the facts for programs."""

import json
from argparse import ArgumentParser
from collections.abc import Mapping, Sequence
from typing import Any

from django.core.management.base import OutputWrapper
from django.core.serializers.json import DjangoJSONEncoder


def add_json_option(*parsers: ArgumentParser) -> None:
    for parser in parsers:
        parser.add_argument("--json", action="store_true", help="print JSON")


def tell(out: OutputWrapper, options: Mapping[str, Any], facts: Any, *lines: str) -> None:
    if options.get("json"):
        text = json.dumps(facts, indent=2, ensure_ascii=False, cls=DjangoJSONEncoder)
        out.write(text)
        return
    for line in lines:
        out.write(line)


def table(rows: Sequence[Sequence[object]]) -> list[str]:
    """Lines with their columns under each other."""
    texts = [[str(cell) for cell in row] for row in rows]
    widths = [max(len(row[n]) for row in texts) for n in range(len(texts[0]))] if texts else []
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in texts
    ]
