"""Commands act as the person whose token they hold, and as nobody else."""

from datetime import timedelta

import pytest
from django.core.management.base import CommandError
from django.utils import timezone

from registry.errors import Conflict
from registry.management.acting import acting_person, refusals_as_command_errors
from registry.models import AccessToken, AuditEvent
from registry.services import tokens
from tests.cast import SYSTEM, Cast, consumer, token


def personal_token(cast: Cast, name: str = "olive", *scopes: str) -> str:
    made = tokens.issue_personal_token(
        actor=SYSTEM,
        user=cast.user(name),
        scopes=scopes or ("govern",),
        lifetime=timedelta(days=1),
        now=timezone.now(),
    )
    return made.secret


def refusal(monkeypatch: pytest.MonkeyPatch, secret: str) -> tuple[int, str]:
    monkeypatch.setenv("SEAMLESS_TOKEN", secret)
    with pytest.raises(CommandError) as refused:
        acting_person()
    return refused.value.returncode, str(refused.value)


def test_a_personal_token_says_who_acts(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEAMLESS_TOKEN", personal_token(cast))
    actor = acting_person()
    assert (actor.kind, actor.id, actor.name) == ("user", cast.olive.id, "olive")
    assert (actor.source, len(actor.request_id)) == ("cli", 32)


def test_without_a_token_the_command_says_what_to_set(
    db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, text = refusal(monkeypatch, "")
    assert code == 2
    assert "Set SEAMLESS_TOKEN to your personal access token" in text


def test_an_unknown_token_is_refused(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    code, text = refusal(monkeypatch, "smls_nonsense")
    assert code == 1
    assert "not known here" in text


def test_a_revoked_token_is_refused_and_recorded(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = personal_token(cast)
    AccessToken.objects.update(revoked_at=timezone.now())
    code, text = refusal(monkeypatch, secret)
    assert code == 1
    assert "was revoked" in text
    event = AuditEvent.objects.get(action="token.use")
    assert (event.actor_name, event.outcome, event.source) == ("olive", "denied", "cli")


def test_a_consumers_token_governs_nothing(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = token(cast, consumer(cast), scopes=("govern",), now=timezone.now())
    code, text = refusal(monkeypatch, secret)
    assert code == 1
    assert "a consumer's token" in text


def test_a_token_without_the_scope_governs_nothing(
    cast: Cast, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, text = refusal(monkeypatch, personal_token(cast, "olive", "metrics"))
    assert code == 1
    assert "lacks the scope 'govern'" in text


def test_a_services_refusal_ends_the_command_with_its_code_and_sentence() -> None:
    with (
        pytest.raises(CommandError, match=r"^conflict: it is taken$") as refused,
        refusals_as_command_errors(),
    ):
        raise Conflict("it is taken")
    assert refused.value.returncode == 1
