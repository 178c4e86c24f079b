"""Bundles as a file: what is exported is in sync, what is planned is exactly what is done."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry.bundle_files import (
    WantedBundle,
    WrongBundleFile,
    format_bundle_file,
    parse_bundle_file,
)
from registry.errors import NotAllowed, NotFound
from registry.models import AuditEvent, Bundle, Release, Rollout
from registry.services import consumers, releases
from registry.services.bundle_plans import (
    PlanChanged,
    apply_bundles,
    export_bundles,
    plan_bundles,
)
from tests.cast import NOW, Cast, approved, consumer, subject, with_property

NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True)
WANTED = st.builds(
    WantedBundle,
    name=NAMES,
    owner_team=NAMES,
    gate_policy=NAMES,
    subjects=st.lists(NAMES, min_size=1, max_size=4, unique=True).map(sorted).map(tuple),
    description=st.none() | st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=30),
    subscribers=st.none() | st.lists(NAMES, max_size=3, unique=True).map(sorted).map(tuple),
)

FILE = """
seamless: 1
bundles:
  market:
    owner_team: market-data
    gate_policy: demo
    description: Bars
    subjects: [market.ohlc, market.trades]
    subscribers: [pricing]
"""


@pytest.fixture
def market(cast: Cast) -> Cast:
    for name in ("market.ohlc", "market.trades"):
        subject(cast, name)
        approved(cast, name=name)
    consumer(cast)
    return cast


@given(bundles=st.lists(WANTED, max_size=4, unique_by=lambda bundle: bundle.name))
def test_a_file_says_again_what_was_written_into_it(bundles: list[WantedBundle]) -> None:
    text = format_bundle_file(bundles)
    assert parse_bundle_file(text) == tuple(sorted(bundles, key=lambda bundle: bundle.name))
    assert format_bundle_file(parse_bundle_file(text)) == text


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "two keys"),
        ("[", "no YAML"),
        ("seamless: 2\nbundles: {}", "format"),
        ("seamless: 1\nbundles: []", "by name"),
        (FILE.replace("market-data", "{a: b}"), "owner_team is a text"),
        (FILE.replace("    gate_policy: demo\n", ""), "gate_policy is missing"),
        (FILE.replace("description", "descripton"), "descripton is unknown"),
        (FILE.replace("[market.ohlc, market.trades]", "[]"), "subjects is empty"),
        (FILE.replace("market.trades", "market.ohlc"), "twice"),
        (FILE.replace("[pricing]", "pricing"), "list of names"),
        (FILE.replace("    description: Bars", "    gate_policy: house"), "twice"),
        ("a: &a [x]\nb: *a", "aliases"),
        ("!!python/object/apply:os.system ['true']", "no YAML"),
        ("[" * 5_000, "no YAML"),
    ],
)
def test_a_wrong_file_is_refused_with_its_place(text: str, says: str) -> None:
    with pytest.raises(WrongBundleFile, match=says):
        parse_bundle_file(text)


def test_the_plan_is_exactly_what_is_done(market: Cast) -> None:
    wanted = parse_bundle_file(FILE)
    plan = plan_bundles(wanted)
    assert [step.action for step in plan.steps] == [
        "create",
        "change_description",
        "change_members",
        "release",
        "subscribe",
    ]
    assert not Bundle.objects.exists()
    with pytest.raises(NotAllowed):  # olive administers no consumers
        apply_bundles(actor=market.olive, wanted=wanted, plan=plan.digest, now=NOW)
    assert not Bundle.objects.exists()
    alone = [replace(wanted[0], subscribers=None)]
    plan = plan_bundles(alone)
    done = apply_bundles(actor=market.olive, wanted=alone, plan=plan.digest, now=NOW)
    assert done == plan
    release = Release.objects.get()
    assert plan.steps[-1].facts["fingerprint"] == release.fingerprint
    assert (release.number, plan_bundles(alone).steps) == (1, ())
    [step] = plan_bundles(wanted).steps
    assert (step.action, step.facts) == ("subscribe", {"consumer": "pricing"})
    joined = plan_bundles(wanted)
    apply_bundles(actor=market.carl, wanted=wanted, plan=joined.digest, now=NOW)
    assert Rollout.objects.get().mode == "canary"
    assert AuditEvent.objects.filter(action="bundle.apply", outcome="ok").count() == 2


def test_what_is_exported_needs_no_step_and_drift_shows_both_sides(market: Cast) -> None:
    releases.create_bundle(
        actor=market.olive,
        name="market",
        owner_team="market-data",
        subjects=["market.ohlc"],
        gate_policy="demo",
        now=NOW,
    )
    file = export_bundles(market.olive)
    assert plan_bundles(parse_bundle_file(format_bundle_file(file))).steps == ()
    releases.change_bundle(
        actor=market.olive, name="market", gate_policy="house", add=["market.trades"], now=NOW
    )
    policy, members, *_ = plan_bundles(file).steps
    assert policy.facts == {"before": "house", "after": "demo"}
    assert members.facts == {"add": [], "remove": ["market.trades"]}


def test_a_release_that_goes_back_is_planned_as_the_one_there_is(market: Cast) -> None:
    wanted = list(parse_bundle_file(FILE))
    wanted[0] = replace(wanted[0], subscribers=None)
    apply_bundles(actor=market.olive, wanted=wanted, plan=plan_bundles(wanted).digest, now=NOW)
    consumers.subscribe(actor=market.carl, consumer="pricing", bundle="market", now=NOW)
    fewer = [replace(wanted[0], subjects=("market.ohlc",))]
    apply_bundles(actor=market.olive, wanted=fewer, plan=plan_bundles(fewer).digest, now=NOW)
    plan = plan_bundles(wanted)
    assert plan.steps[-1].facts | {"members": 0, "fingerprint": 0} == {
        "release": 1,
        "fingerprint": 0,
        "members": 0,
        "offered_to": ["pricing"],
    }
    apply_bundles(actor=market.olive, wanted=wanted, plan=plan.digest, now=NOW)
    assert Rollout.objects.get(ended_at=None).release.number == 1
    assert Release.objects.count() == 2


def test_a_plan_that_no_longer_holds_does_nothing(market: Cast) -> None:
    wanted = [replace(parse_bundle_file(FILE)[0], subscribers=None)]
    plan = plan_bundles(wanted)
    approved(market, with_property("vwap", {"type": ["number", "null"]}))
    with pytest.raises(PlanChanged):
        apply_bundles(actor=market.olive, wanted=wanted, plan=plan.digest, now=NOW)
    assert not Bundle.objects.exists()
    assert AuditEvent.objects.latest("pk").outcome == "refused"


@pytest.mark.parametrize("field", ["owner_team", "gate_policy", "subjects", "subscribers"])
def test_names_that_do_not_exist_are_refused_in_the_plan(market: Cast, field: str) -> None:
    wrong: Any = "nowhere" if field in ("owner_team", "gate_policy") else ("nowhere",)
    with pytest.raises(NotFound, match="nowhere"):
        plan_bundles([replace(parse_bundle_file(FILE)[0], **{field: wrong})])


def test_a_bundle_is_exported_by_name(market: Cast) -> None:
    with pytest.raises(NotFound, match="nowhere"):
        export_bundles(market.olive, ["nowhere"])
