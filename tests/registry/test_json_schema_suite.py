"""The official test suite against `is_valid`: all answers agree, but for written departures."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from registry.dialects import DIALECTS
from registry.validity import InvalidSchema, is_valid

SUITE = json.loads(
    gzip.decompress((Path(__file__).parent / "json_schema_test_suite/suite.json.gz").read_bytes())
)
DIALECT_OF_DRAFT = {
    "draft4": "http://json-schema.org/draft-04/schema#",
    "draft6": "http://json-schema.org/draft-06/schema#",
    "draft7": "http://json-schema.org/draft-07/schema#",
    "draft2019-09": "https://json-schema.org/draft/2019-09/schema",
    "draft2020-12": "https://json-schema.org/draft/2020-12/schema",
}
HOST = "http://localhost:1234/"

# Which answers differ, and why (the numbers are those of `registry.validity`).
FORMAT_IS_ASSERTED = "6: format is asserted"
OWN_METASCHEMA = "1: only the five published dialects are known"
DEPARTURES: dict[tuple[str, str], str] = {
    ("draft2020-12", "format.json"): FORMAT_IS_ASSERTED,
    ("draft2019-09", "vocabulary.json"): OWN_METASCHEMA,
    ("draft2020-12", "vocabulary.json"): OWN_METASCHEMA,
    ("draft2020-12", "optional/format-assertion.json"): OWN_METASCHEMA,
    ("draft4", "optional/zeroTerminatedFloats.json"): "4: 1.0 is an integer in every dialect",
    ("draft7", "optional/content.json"): "content keywords are annotations, as since 2019-09",
    **{
        (draft, f"optional/format/{name}.json"): "6: not in the list of asserted formats"
        for draft in ("draft7", "draft2019-09", "draft2020-12")
        for name in ("idn-email", "idn-hostname")
    },
    **{
        (draft, "optional/dependencies-compatibility.json"): "`dependencies` ended with draft-07"
        for draft in ("draft2019-09", "draft2020-12")
    },
}
CASES = [(draft, name) for draft in DIALECT_OF_DRAFT for name in SUITE[draft]]


def references_for(draft: str) -> dict[str, Any]:
    """The remotes, each with the dialect it is written for; those with a meta-schema of their own
    are left out."""
    found = {}
    for path, schema in SUITE["remotes"].items():
        written_for = path.split("/")[0] if path.startswith("draft") else draft
        if isinstance(schema, dict):
            schema = {"$schema": DIALECT_OF_DRAFT[written_for], **schema}
            if schema["$schema"].removesuffix("#") not in DIALECTS:
                continue
        found[HOST + path] = schema
    return found


def disagreements(draft: str, name: str) -> list[str]:
    references = references_for(draft)
    found = []
    for group in SUITE[draft][name]:
        schema = group["schema"]
        if isinstance(schema, dict):
            schema = {"$schema": DIALECT_OF_DRAFT[draft], **schema}
        needed = references if HOST in json.dumps(schema) else None
        for test in group["tests"]:
            try:
                answer: object = is_valid(schema, test["data"], references=needed)
            except InvalidSchema as error:
                answer = error
            if answer is not test["valid"]:
                found.append(f"{group['description']} / {test['description']}: {answer}")
    return found


@pytest.mark.parametrize(("draft", "name"), CASES, ids=[f"{d}/{n}" for d, n in CASES])
def test_the_official_suite_agrees_but_for_the_written_departures(draft: str, name: str) -> None:
    found = disagreements(draft, name)
    if (draft, name) in DEPARTURES:
        assert found, "this departure is not needed any more"
    else:
        assert found == []


def test_the_departures_are_few() -> None:
    counted = sum(len(disagreements(draft, name)) for draft, name in DEPARTURES)
    total = sum(len(group["tests"]) for d, n in CASES for group in SUITE[d][n])
    assert total > 7000
    assert counted < total * 0.025
