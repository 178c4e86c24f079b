"""What is hashed of an audit record: the same bytes for ever, whatever a caller sent."""

import hashlib
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.actors import Actor
from registry.audit.events import (
    NAME_LIMIT,
    OUTCOMES,
    Event,
    commitment,
    leaf_hash,
    sealable,
)
from registry.canonical import NotCanonical

AT = datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)
OWNER = Actor("user", "7", "Ada", request_id="r1", correlation_id="c1", source="192.0.2.1")

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


def event(**changes: object) -> Event:
    given_ = {"at": AT, "actor": OWNER, "action": "proposal.approve", "object_type": "proposal"}
    return Event(**{**given_, "object_id": "12", **changes})  # type: ignore[arg-type]


def payload_of(sent: Event) -> dict[str, Any]:
    return dict(json.loads(sealable(sent).payload))


def personal_of(sent: Event) -> dict[str, Any]:
    return dict(json.loads(sealable(sent).personal))


def test_the_bytes_of_a_record_never_change() -> None:
    """A golden value: whoever changes it must give the new layout a new format number."""
    acted = replace(OWNER, roles=("reviewer:risk", "owner:desk"))
    sent = event(actor=acted, after={"state": "approved"}, reason="É")
    sealed = sealable(sent, salt=bytes(16))
    personal = (
        '{"actor":{"id":"7","name":"Ada"},"salt":"00000000000000000000000000000000",'
        '"source":"192.0.2.1"}'
    )
    assert sealed.personal.decode() == personal
    committed = hashlib.sha256(b"seamless-audit-personal/1\n" + personal.encode()).hexdigest()
    assert commitment(sealed.personal) == committed
    assert sealed.payload.decode() == (
        '{"action":"proposal.approve","actor":{"kind":"user","roles":["owner:desk",'
        '"reviewer:risk"]},"after":{"state":"approved"},"at":"2026-01-02T03:04:05.000006Z",'
        '"before":null,"correlation_id":"c1","object":{"id":"12","type":"proposal"},'
        f'"outcome":"ok","personal":"{committed}","reason":"É","request_id":"r1"}}'
    )
    assert leaf_hash(sealed.payload) == hashlib.sha256(b"\x00\x02" + sealed.payload).digest()
    assert leaf_hash(sealed.payload, payload_format=1) != leaf_hash(sealed.payload)


def test_who_a_user_record_is_about_is_personal_too() -> None:
    sent = event(object_type="user", object_id="ada")
    assert payload_of(sent)["object"] == {"id": None, "type": "user"}
    assert personal_of(sent)["object"] == "ada"


def test_the_same_moment_in_another_zone_has_the_same_bytes() -> None:
    elsewhere = AT.astimezone(timezone(timedelta(hours=9)))
    salt = bytes(16)
    assert sealable(event(at=elsewhere), salt=salt) == sealable(event(), salt=salt)


@given(st.text(), json_values)
def test_whatever_text_a_caller_sends_can_be_recorded(text: str, value: object) -> None:
    actor = Actor("user", text, text, request_id=text, correlation_id=text, source=text)
    sent = event(actor=actor, object_id=text, reason=text, before=value, after={text: value})
    recorded = sealable(sent).payload.decode()
    assert "\\u0000" not in recorded.replace("\\\\", "")
    assert len(json.loads(recorded)["object"]["id"]) <= NAME_LIMIT


@pytest.mark.parametrize("unstorable", ["\x00", chr(0xD800), chr(0xDFFF)])
def test_what_no_database_stores_is_recorded_as_the_replacement_character(unstorable: str) -> None:
    sent = event(object_id=f"a{unstorable}b", before=[{f"k{unstorable}": f"v{unstorable}"}])
    payload = payload_of(sent)
    assert payload["object"]["id"] == "a\ufffdb"
    assert payload["before"] == [{"k\ufffd": "v\ufffd"}]


def test_a_long_name_is_cut_visibly_and_a_reason_is_kept_whole() -> None:
    payload = payload_of(event(object_id="x" * 300, reason="y" * 3000))
    assert payload["object"]["id"] == "x" * 254 + "…"
    assert payload["reason"] == "y" * 3000
    assert payload_of(event(object_id="x" * 255))["object"]["id"] == "x" * 255


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_every_outcome_is_recorded(outcome: str) -> None:
    assert payload_of(event(outcome=outcome))["outcome"] == outcome


@pytest.mark.parametrize(
    "wrong",
    [
        {"at": AT.replace(tzinfo=None)},
        {"outcome": "perhaps"},
        {"action": ""},
        {"object_type": ""},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_a_record_that_says_too_little_is_a_programming_error(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="audit record"):
        event(**wrong)


@pytest.mark.parametrize("value", [float("nan"), 2**53, object(), b"bytes"])
def test_what_json_cannot_say_is_refused(value: object) -> None:
    with pytest.raises(NotCanonical):
        sealable(event(after={"value": value}))
