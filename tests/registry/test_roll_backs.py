"""What a consumer rolled back stays rolled back until somebody offers it again (decision 0013)."""

import io

import pytest
from django.core.management import call_command

from registry.bundle_files import WantedBundle
from registry.models import AuditEvent, Mode, Rollout
from registry.services import consumers, releases, rollouts
from registry.services.bundle_plans import apply_bundles, export_bundles, plan_bundles
from registry.services.roll_backs import roll_back_of
from tests.cast import NOW, Cast, approved, bundle, consumer, made_strict, subject, with_property
from tests.registry.test_acting import personal_token
from tests.registry.test_rollouts import node, observe

VWAP = with_property("vwap", {"type": ["number", "null"]})
REASON = "vwap is wrong"
WHEN = "2026-03-02T12:00:00Z"


@pytest.fixture
def market(cast: Cast) -> Cast:
    """pricing was strict under release 1, then under release 2, which carl rolled back."""
    subject(cast)
    bundle(cast)
    approved(cast)
    node(cast)
    consumer(cast)
    first = consumers.subscribe(actor=cast.carl, consumer="pricing", bundle="market", now=NOW)
    assert first is not None
    enforce(cast, first)
    approved(cast, VWAP)
    strict = enforce(cast, live(Mode.CANARY))
    rollouts.roll_back_rollout(actor=cast.carl, rollout_id=strict.pk, now=NOW, reason=REASON)
    return cast


def enforce(cast: Cast, canary: Rollout) -> Rollout:
    observe(canary)
    return made_strict(cast, canary)


def live(mode: Mode) -> Rollout:
    return Rollout.objects.get(mode=mode, ended_at=None)


def modes() -> list[tuple[int, str]]:
    found = Rollout.objects.filter(ended_at=None).order_by("mode")
    return [(rollout.release.number, rollout.mode) for rollout in found]


def file_of(cast: Cast) -> tuple[WantedBundle, ...]:
    return export_bundles(cast.olive)


def test_the_plan_of_an_unchanged_file_says_who_rolled_back_and_applying_it_does_nothing(
    market: Cast,
) -> None:
    plan = plan_bundles(file_of(market))
    (step,) = plan.steps
    assert (step.action, step.bundle) == ("rolled_back", "market")
    assert step.facts == {
        "consumer": "pricing",
        "release": 2,
        "at": WHEN,
        "by": "carl",
        "reason": REASON,
    }
    done = apply_bundles(actor=market.olive, wanted=file_of(market), plan=plan.digest, now=NOW)
    assert done == plan
    assert modes() == [(1, "strict")]
    assert AuditEvent.objects.filter(action="bundle.apply").get().after["steps"] == []


def test_again_offers_it_as_a_canary(market: Cast) -> None:
    held, again = (plan_bundles(file_of(market), again=flag) for flag in (False, True))
    assert held.digest != again.digest
    (step,) = again.steps
    assert (step.action, step.facts["offered_to"], step.facts["again"]) == (
        "release",
        ["pricing"],
        ["pricing"],
    )
    apply_bundles(
        actor=market.olive, wanted=file_of(market), plan=again.digest, now=NOW, again=True
    )
    assert modes() == [(2, "canary"), (1, "strict")]
    assert plan_bundles(file_of(market)).steps == ()


def test_a_person_who_cuts_on_demand_offers_it_again(market: Cast) -> None:
    assert releases.cut_release(actor=market.olive, name="market", now=NOW).number == 2
    assert modes() == [(2, "canary"), (1, "strict")]


def test_members_that_come_back_to_it_do_not_offer_it(market: Cast) -> None:
    subject(market, "market.trades")
    approved(market, name="market.trades")
    for change in ({"add": ["market.trades"]}, {"remove": ["market.trades"]}):
        release = releases.change_bundle(actor=market.olive, name="market", now=NOW, **change)
    assert release is not None
    assert release.number == 2
    assert modes() == [(3, "canary"), (1, "strict")]


def test_another_version_is_another_release_and_is_offered(market: Cast) -> None:
    wider = {"properties": VWAP["properties"] | {"bid": {"type": "number"}}}
    approved(market, VWAP | wider)
    assert modes() == [(3, "canary"), (1, "strict")]
    assert [step.action for step in plan_bundles(file_of(market)).steps] == []


def test_a_demotion_a_promotion_and_another_consumer_are_no_roll_back(market: Cast) -> None:
    consumers.create_consumer(actor=market.carl, name="risk", owner_team="trading", now=NOW)
    consumers.subscribe(actor=market.carl, consumer="risk", bundle="market", now=NOW)
    first, second = (releases.release_of("market", number) for number in (1, 2))
    pricing, risk = (consumers.consumer_named(name) for name in ("pricing", "risk"))
    assert roll_back_of(pricing, second) is not None
    assert roll_back_of(pricing, first) is None
    assert roll_back_of(risk, second) is None
    releases.cut_release(actor=market.olive, name="market", now=NOW)
    canary = Rollout.objects.get(consumer=pricing, mode=Mode.CANARY, ended_at=None)
    assert roll_back_of(pricing, second) is None
    strict = enforce(market, canary)
    assert roll_back_of(pricing, first) is None
    rollouts.demote_rollout(actor=market.carl, rollout_id=strict.pk, now=NOW, reason="early")
    assert roll_back_of(pricing, second) is None


def test_the_command_says_it_in_words_and_ends_with_the_exit_code_of_drift(
    market: Cast, monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    monkeypatch.setenv("SEAMLESS_TOKEN", personal_token(market, "olive"))
    file = f"{tmp_path}/bundles.yaml"
    out = io.StringIO()
    call_command("bundle", "export", "market", stdout=out)
    with open(file, "w") as held:
        held.write(out.getvalue())

    def drift(*words: str) -> str:
        told = io.StringIO()
        with pytest.raises(SystemExit) as left:
            call_command("bundle", "plan", file, *words, stdout=told)
        assert left.value.code == 3
        return told.getvalue()

    said = drift()
    assert f"rolled back on {WHEN} by carl: {REASON}" in said
    assert "bundle apply" not in said
    assert "bundle apply FILE --again --plan sha256:" in drift("--again")
