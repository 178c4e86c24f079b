"""How commands print: lines for people, or the same facts as JSON."""

import json
from typing import Any

from django.core.management.base import OutputWrapper
from rest_framework.utils.encoders import JSONEncoder


def tell(out: OutputWrapper, facts: Any, *lines: str, as_json: bool) -> None:
    if as_json:
        out.write(json.dumps(facts, cls=JSONEncoder, indent=2, ensure_ascii=False))
        return
    for line in lines:
        out.write(line)
