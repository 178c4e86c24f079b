"""`manage.py schema`: verdicts, exit codes and JSON for shells and CI."""

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from registry.compatibility import CompatibilityReport, Level
from tests.cast import Cast, approved, subject, with_property

PROJECT = Path(__file__).resolve().parents[2]
BAR: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "Bar",
    "type": "object",
    "properties": {"ts": {"type": "integer"}, "px": {"type": "number"}},
    "required": ["ts", "px"],
    "additionalProperties": False,
    "x-seamless": {"time": "ts", "unit": "s"},
}
STRICTER = BAR | {"properties": BAR["properties"] | {"px": {"type": "number", "minimum": 0}}}
SECRET = BAR | {"x-seamless": {"time": "ts", "unit": "s", "sensitive": ["px"]}}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name, document in (("bar", BAR), ("stricter", STRICTER), ("secret", SECRET)):
        (tmp_path / f"{name}.json").write_text(json.dumps(document))
    return tmp_path


def run(*arguments: str) -> tuple[int, str]:
    """The exit code and what was printed; wrong use and unreadable input are codes too."""
    out = io.StringIO()
    try:
        call_command("schema", *arguments, stdout=out, stderr=out)
    except CommandError as error:
        return error.returncode, str(error)
    except SystemExit as left:
        return int(left.code or 0), out.getvalue()
    return 0, out.getvalue()


def run_json(*arguments: str) -> tuple[int, Any]:
    code, text = run(*arguments, "--json")
    return code, json.loads(text)


def test_check_shows_the_document_that_breaks_and_exits_1(folder: Path) -> None:
    code, told = run("check", "bar.json", "stricter.json")
    assert code == 1
    assert "Valid under bar.json, refused by stricter.json:" in told
    assert "minimum_added at /properties/px/minimum (breaks backward)" in told
    code, report = run_json("check", "bar.json", "stricter.json")
    assert (code, report["verdict"]) == (1, "incompatible")
    assert report["witnesses"][0]["document"]["px"] < 0


@pytest.mark.parametrize(
    ("schemas", "level", "code"),
    [
        (("bar", "bar"), "FULL", 0),
        (("bar", "stricter"), "FORWARD", 0),
        (("bar", "stricter"), "NONE", 0),
        (("stricter", "bar"), "BACKWARD", 0),
        (("bar", "stricter", "stricter"), "BACKWARD", 0),
        (("bar", "stricter", "stricter"), "BACKWARD_TRANSITIVE", 1),
        (("stricter", "bar"), "FULL", 1),
    ],
)
def test_check_exits_by_its_verdict(
    folder: Path, schemas: tuple[str, ...], level: str, code: int
) -> None:
    files = [f"{name}.json" for name in schemas]
    assert run("check", *files, "--level", level)[0] == code


def test_what_is_not_proven_exits_2_with_the_reason(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    undecided = CompatibilityReport(Level.BACKWARD, "not_proven", (), (), ("too much to search",))
    monkeypatch.setattr(
        "registry.management.commands.schema.check_compatibility", lambda *_, **__: undecided
    )
    code, told = run("check", "bar.json", "stricter.json")
    assert (code, "Not proven: too much to search" in told) == (2, True)


def test_validate_names_the_records_of_every_kind_of_file(folder: Path) -> None:
    (folder / "a.csv").write_text("ts,px\n1,1.5\n2,x\n3,-1\n")
    (folder / "a.jsonl").write_text('{"ts":1,"px":1.5}\n{"ts":2,"px":"x"}\n{"ts":3,"px":-1}\n')
    pq.write_table(pa.table({"ts": [1, 2, 3], "px": [1.5, -2.0, -1.0]}), folder / "a.parquet")
    for name, refused in (("a.csv", {2, 3}), ("a.jsonl", {2, 3}), ("a.parquet", {2, 3})):
        code, found = run_json("validate", "stricter.json", name)
        assert (code, found["records"], found["invalid"]) == (1, 3, 2), name
        places = {place["record"] for one in found["failures"] for place in one["places"]}
        assert places == refused, name
    code, told = run("validate", "stricter.json", "a.csv")
    assert (code, 'record 2 /px = "x"' in told, "px: minimum x 1" in told) == (1, True, True)


def test_a_file_that_fits_exits_0(folder: Path) -> None:
    (folder / "a.csv").write_text("ts,px\n1,1.5\n")
    assert run("validate", "bar.json", "a.csv") == (0, "1 records, 0 invalid.\n")


def test_values_of_sensitive_columns_are_not_shown(folder: Path) -> None:
    (folder / "a.csv").write_text("ts,px\n1,hidden\n")
    (folder / "a.jsonl").write_text('{"ts":1,"px":["hidden"]}\n')
    for name in ("a.csv", "a.jsonl"):
        code, told = run("validate", "secret.json", name)
        assert (code, "hidden" in told) == (1, False)
        assert "hidden" not in run("validate", "secret.json", name, "--json")[1]


def test_an_inferred_schema_accepts_its_own_file(folder: Path) -> None:
    (folder / "rows.csv").write_text("ts,symbol,px\n1600000000,A,1.5\n1600000000,B,\n")
    code, told = run("infer", "rows.csv", "--enum", "5")
    schema = json.loads(told)
    assert (code, schema["title"], schema["x-seamless"]["key"]) == (0, "rows", ["symbol"])
    assert schema["properties"]["symbol"] == {"enum": ["A", "B"]}
    (folder / "rows.json").write_text(told)
    assert run("validate", "rows.json", "rows.csv")[0] == 0
    code, told = run("infer", "rows.csv", "--title", "Bars")
    assert json.loads(told)["title"] == "Bars"


def test_lint_tells_advice_and_what_a_proposal_would_be_refused_for(folder: Path) -> None:
    code, told = run_json("lint", "bar.json")
    assert (code, told["problems"]) == (1, [])
    assert {one["code"] for one in told["findings"]} == {"description_missing", "unit_missing"}
    (folder / "array.json").write_text('{"type": "array"}')
    code, told = run("lint", "array.json")
    assert (code, "root_not_object (refused at proposal) at /type" in told) == (1, True)
    described = {"description": "x", "x-unit": "1"}
    whole = (
        BAR | described | {"properties": {k: v | described for k, v in BAR["properties"].items()}}
    )
    whole["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    (folder / "whole.json").write_text(json.dumps(whole))
    assert run("lint", "whole.json") == (0, "0 problems, 0 pieces of advice.\n")


def test_diff_lists_what_is_written_differently(folder: Path) -> None:
    assert run("diff", "bar.json", "bar.json") == (0, "0 differences.\n")
    code, told = run("diff", "bar.json", "stricter.json")
    assert (code, told) == (1, "added /properties/px/minimum: 0\n1 differences.\n")
    code, found = run_json("diff", "stricter.json", "bar.json")
    assert (code, found["changes"][0]["kind"]) == (1, "removed")


def test_fingerprints_do_not_depend_on_the_order_of_keys(folder: Path) -> None:
    backwards = dict(reversed(BAR.items()))
    (folder / "backwards.json").write_text(json.dumps(backwards, indent=4))
    assert run("fingerprint", "bar.json") == run("fingerprint", "backwards.json")
    code, found = run_json("fingerprint", "bar.json")
    assert (code, found["content"]) == (0, found["resolved"])
    assert found["content"].startswith("sha256:")


def test_a_schema_may_come_from_standard_input(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps(STRICTER)))
    assert run("check", "bar.json", "-")[0] == 1


def test_a_registered_version_is_compared_with_a_file(folder: Path, cast: Cast) -> None:
    subject(cast)
    approved(cast)
    (folder / "next.json").write_text(
        json.dumps(with_property("note", {"type": ["string", "null"]}))
    )
    (folder / "using.json").write_text(
        json.dumps({"$ref": "seamless:///subjects/market.ohlc/versions/1", "type": "object"})
    )
    version = "seamless:///subjects/market.ohlc/versions/1"
    assert run("check", version, "next.json")[0] == 0
    code, found = run_json("fingerprint", "using.json")
    assert (code, found["content"] == found["resolved"]) == (0, False)
    assert run_json("diff", version, "next.json")[1]["changes"][0]["new_pointer"] == (
        "/properties/note"
    )
    code, told = run("fingerprint", "seamless:///subjects/market.ohlc/versions/9")
    assert (code, "no version 9 of 'market.ohlc'" in told) == (65, True)


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("check", "bar.json"), 64, "needs an OLD schema and a NEW one"),
        (("check", "bar.json", "bar.json", "--level", "X"), 64, "invalid choice: 'X'"),
        (("polish", "bar.json"), 64, "invalid choice: 'polish'"),
        (("validate", "bar.json"), 64, "FILE"),
        (("check", "gone.json", "bar.json"), 65, "gone.json cannot be read: No such file"),
        (("check", "bad.json", "bar.json"), 65, "bad.json: not JSON"),
        (("check", "twice.json", "bar.json"), 65, "twice.json at /a: "),
        (("check", "list.json", "bar.json"), 65, "is no schema"),
        (("check", "invalid.json", "bar.json"), 65, "/type"),
        (("diff", "binary.json", "bar.json"), 65, "binary.json cannot be read"),
        (("validate", "bar.json", "bar.json"), 65, "is none of .parquet"),
        (("validate", "bar.json", "gone.csv"), 65, "gone.csv"),
        (("infer", "gone.csv"), 65, "gone.csv"),
        (("infer", "list.jsonl"), 65, "is no object"),
        (("fingerprint", "away.json"), 65, "seamless:///subjects/none/versions/1"),
        (("fingerprint", "seamless:///subjects/x"), 65, "is no version"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else str(value)[:20],
)
def test_wrong_use_and_unreadable_input_have_codes_of_their_own(
    folder: Path, db: None, arguments: tuple[str, ...], code: int, says: str
) -> None:
    for name, content in (
        ("bad.json", b"{"),
        ("twice.json", b'{"a":1,"a":2}'),
        ("list.json", b"[]"),
        ("invalid.json", b'{"type": 5}'),
        ("binary.json", b"\xff\xfe"),
        ("list.jsonl", b"[1]"),
        ("away.json", b'{"$ref": "seamless:///subjects/none/versions/1"}'),
    ):
        (folder / name).write_bytes(content)
    found, told = run(*arguments)
    assert (found, says in told) == (code, True), told


def test_a_shell_gets_the_codes_and_no_traceback(folder: Path) -> None:
    for arguments, code in (
        (["check", "bar.json", "stricter.json"], 1),
        (["check", "bar.json", "bar.json", "--level", "X"], 64),
        (["polish"], 64),
        (["lint", "gone.json"], 65),
    ):
        done = subprocess.run(
            [sys.executable, PROJECT / "manage.py", "schema", *arguments],
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.returncode, "Traceback" in done.stderr) == (code, False), done.stderr
