"""No secret reaches a log line, by whatever name or text it comes."""

import json
import logging

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from config.logs import logging_config
from config.redaction import REDACTED, clean_text, redact
from registry.tokens import new_token


def written(event: dict, capsys: pytest.CaptureFixture[str]) -> dict:
    """One event through the formatter that every process uses."""
    logging.config.dictConfig(logging_config("INFO"))
    structlog.get_logger("seamless.test").warning("said", **event)
    return json.loads(capsys.readouterr().err.strip().splitlines()[-1])


@pytest.fixture(autouse=True)
def _logging_as_it_was():
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@given(st.text(), st.text())
def test_a_token_is_cut_out_of_any_text(before: str, after: str) -> None:
    token = new_token().secret
    secret = token[len("smls_123456789abc_") :]
    assert secret not in clean_text(f"{before} {token} {after}")


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("Authorization: Bearer abcdefgh12345", f"Authorization: Bearer {REDACTED}"),
        ("Basic dXNlcjpwYXNzd29yZA==", f"Basic {REDACTED}"),
        ("redis://:hunter2@127.0.0.1/0", f"redis://:{REDACTED}@127.0.0.1/0"),
        ("postgresql://app:pa55@db/x down", f"postgresql://app:{REDACTED}@db/x down"),
        ("https://example.org:8443/a", "https://example.org:8443/a"),
        ("node ohlcv:binance:BTC/USDT:1m", "node ohlcv:binance:BTC/USDT:1m"),
    ],
)
def test_credentials_in_texts(text: str, left: str) -> None:
    assert clean_text(text) == left


def test_values_are_redacted_by_their_name_at_any_depth() -> None:
    event = {
        "password": "hunter2",
        "lease_token": "abc",
        "token": "",
        "token_prefix": "a1b2",
        "given": [{"client_secret": "x", "rows": 3}],
        "count": 7,
    }
    assert redact(None, "", event) == {
        "password": REDACTED,
        "lease_token": REDACTED,
        "token": "",
        "token_prefix": "a1b2",
        "given": [{"client_secret": REDACTED, "rows": 3}],
        "count": 7,
    }


def test_the_line_that_is_written_holds_no_secret(capsys: pytest.CaptureFixture[str]) -> None:
    token = new_token().secret
    line = written({"error": f"refused {token}", "password": "hunter2", "rows": 3}, capsys)
    assert token not in json.dumps(line)
    assert (line["password"], line["rows"], line["event"]) == (REDACTED, 3, "said")


def test_nor_does_an_exception_of_it(capsys: pytest.CaptureFixture[str]) -> None:
    logging.config.dictConfig(logging_config("INFO"))
    try:
        raise ConnectionError("redis://:hunter2@127.0.0.1 refused")
    except ConnectionError:
        structlog.get_logger("seamless.test").exception("failed")
    assert "hunter2" not in capsys.readouterr().err
