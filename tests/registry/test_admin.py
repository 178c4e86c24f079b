"""The admin pages: who sees them, that nothing is decided but through a service, and how."""

import json
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from coordinator.models import BackfillJob, Quarantine, ServiceLease
from provider.models import StoredReport
from registry.admin.panels import pretty_json
from registry.admin.readonly import ReadOnlyAdmin
from registry.models import (
    AccessToken,
    AuditCheckpoint,
    AuditEvent,
    AuditExport,
    Bundle,
    Consumer,
    Mode,
    Node,
    Proposal,
    RetainedSample,
    Review,
    Rollout,
)
from registry.services import evidence, incidents, people, rollouts
from registry.services.audit import seal
from registry.services.audit.export_jobs import run_next_export
from registry.services.resolution import resolve
from tests.registry.admin_world import SYSTEM, World

pytestmark = pytest.mark.django_db

HTMX = {"HX-Request": "true"}
EXPORT_BUTTON = 'hx-get="/admin/registry/auditevent/export/"'
SUBMITTED = {"_form_submitted": "True"}


@pytest.fixture
def world(settings: Settings, tmp_path: Path) -> World:
    settings.SEAMLESS_CHECKPOINT_DIR = str(tmp_path)
    settings.WHITENOISE_AUTOREFRESH = True  # no look at every static file for every client
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    world = World(timezone.now() - timedelta(hours=1))
    seal(now=world.now)
    return world


def signed_in(world: World, name: str, **options: Any) -> Client:
    client = Client(**options)
    client.force_login(world.users[name])
    return client


def list_url(model: Any) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")


def page_url(obj: Any) -> str:
    meta = obj._meta
    return reverse(f"admin:{meta.app_label}_{meta.model_name}_change", args=[obj.pk])


def decision_url(obj: Any, decision: str) -> str:
    meta = obj._meta
    return reverse(f"admin:{meta.app_label}_{meta.model_name}_{decision}", args=[obj.pk])


def decide(client: Client, obj: Any, decision: str, **fields: str) -> str:
    """Submit the dialog as the browser does; the text of the page one comes back to."""
    answer = client.post(decision_url(obj, decision), SUBMITTED | fields, headers=HTMX)
    assert answer.status_code == 200
    assert answer["HX-Redirect"] == page_url(obj)
    return client.get(page_url(obj)).content.decode()


def buttons(client: Client, obj: Any) -> set[str]:
    page = client.get(page_url(obj)).content.decode()
    names = ("submit", "approve", "reject", "withdraw", "promote", "roll_back", "revoke")
    return {name for name in names if f'hx-get="{page_url(obj)[:-7]}{name}/"' in page}


def registered() -> list[Any]:
    return list(admin.site._registry)


def every_decision(world: World) -> list[tuple[Any, str]]:
    by_object = {
        world.proposal: ("submit", "approve", "reject", "withdraw"),
        Rollout.objects.get(): ("approve", "promote", "roll_back"),
        AccessToken.objects.get(): ("revoke",),
        BackfillJob.objects.get(): (
            "pause",
            "resume",
            "retry",
            "reprocess",
            "priority",
            "cancel",
        ),
        Quarantine.objects.get(): ("release",),
    }
    return [(obj, decision) for obj, decisions in by_object.items() for decision in decisions]


def refusals() -> list[tuple[str, str, str]]:
    """What services were asked in vain: action, outcome, person."""
    asked = AuditEvent.objects.exclude(outcome="ok").exclude(action="request.deny").order_by("pk")
    return list(asked.values_list("action", "outcome", "personal__actor_name"))


# --- who sees what -------------------------------------------------------------------------------


def test_every_page_of_the_site_is_read_only_by_the_one_base_class() -> None:
    strangers = [a for a in admin.site._registry.values() if not isinstance(a, ReadOnlyAdmin)]
    assert strangers == []


def test_groups_are_not_managed_here() -> None:
    assert Group not in admin.site._registry


@pytest.mark.parametrize("superuser", [False, True])
def test_staff_in_no_team_see_nothing(world: World, superuser: bool) -> None:
    User.objects.filter(username="ella").update(is_superuser=superuser)
    client = signed_in(world, "ella")
    for model in registered():
        assert client.get(list_url(model)).status_code == 403, model
    for obj, decision in every_decision(world):
        asked = SUBMITTED | {"reason": "x"}
        assert client.post(decision_url(obj, decision), asked).status_code == 403, decision
        assert client.get(page_url(obj)).status_code == 403
    assert refusals() == []
    denied = AuditEvent.objects.filter(action="request.deny", personal__actor_name="ella")
    assert denied.count() > len(registered())
    front = client.get("/admin/").content.decode()
    assert "You are in no team" in front
    assert list_url(Proposal) not in front


def test_people_without_staff_status_are_sent_to_the_login(world: World) -> None:
    User.objects.filter(username="ada").update(is_staff=False)
    answer = signed_in(world, "ada").get(list_url(Proposal))
    assert answer.status_code == 302
    assert answer["Location"].startswith("/admin/login/")


RESTRICTED = {
    AuditEvent: {"ada", "di", "ed"},
    AuditCheckpoint: {"ada", "di", "ed"},
    AuditExport: {"di"},
    Quarantine: {"ada", "di", "ed"},
    User: {"di", "ed"},
    AccessToken: {"cy", "fay"},
}


@pytest.mark.parametrize("name", ["ada", "bo", "cy", "di", "ed", "fay"])
def test_a_role_opens_its_lists_and_no_others(world: World, name: str) -> None:
    client = signed_in(world, name)
    seen = {model for model in registered() if client.get(list_url(model)).status_code == 200}
    hidden = {model for model, who in RESTRICTED.items() if name not in who}
    assert seen == set(registered()) - hidden
    front = client.get("/admin/").content.decode()
    assert (f'href="{list_url(AuditEvent)}"' in front) == (AuditEvent in seen)


def test_a_membership_that_ends_closes_the_pages_at_once(world: World) -> None:
    client = signed_in(world, "bo")
    assert client.get(list_url(Proposal)).status_code == 200
    world.users["bo"].memberships.all().delete()
    assert client.get(list_url(Proposal)).status_code == 403


def test_tokens_of_other_teams_consumers_are_unknown_here(world: World) -> None:
    token = AccessToken.objects.get()
    stranger = signed_in(world, "fay")
    assert token.prefix not in stranger.get(list_url(AccessToken)).content.decode()
    asked = SUBMITTED | {"reason": "not mine"}
    assert stranger.post(decision_url(token, "revoke"), asked).status_code == 404
    token.refresh_from_db()
    assert token.revoked_at is None
    assert token.prefix in signed_in(world, "cy").get(list_url(AccessToken)).content.decode()


def test_no_page_shows_a_password_or_a_token_digest(world: World) -> None:
    token, person = AccessToken.objects.get(), world.users["ada"]
    lease = ServiceLease.objects.get()
    shown = signed_in(world, "cy").get(page_url(token)).content.decode()
    assert token.digest not in shown
    assert token.prefix in shown
    operator = signed_in(world, "ed")
    for page in (page_url(person), list_url(User), page_url(lease), list_url(ServiceLease)):
        text = operator.get(page).content.decode()
        assert person.password not in text
        assert "md5$" not in text
        assert lease.token_digest not in text


def test_sampled_rows_are_shown_to_nobody(world: World, everything: Client) -> None:
    (sample,) = RetainedSample.objects.all()
    assert "sampled-value" in sample.rows
    for page in (page_url(sample), list_url(RetainedSample)):
        assert "sampled-value" not in everything.get(page).content.decode()


def test_rows_set_aside_are_shown_without_their_sensitive_values(world: World) -> None:
    client = signed_in(world, "ed")
    page = client.get(page_url(Quarantine.objects.get())).content.decode()
    assert "bad-price" in page
    for shown in (page, client.get(list_url(Quarantine)).content.decode()):
        assert "quarantined-value" not in shown


def test_store_settings_are_for_those_who_run_or_audit(world: World) -> None:
    node = Node.objects.get()
    assert "parquet" in signed_in(world, "ed").get(page_url(node)).content.decode()
    assert "parquet" not in signed_in(world, "bo").get(page_url(node)).content.decode()


# --- nothing changes but through a service -------------------------------------------------------


@pytest.fixture
def everything(world: World) -> Client:
    """Signed in with every role, as a superuser: nobody can see or do more."""
    user = world.users["ella"]
    for team in ("market", "research"):
        for role in ("owner", "reviewer", "consumer_admin", "auditor", "operator"):
            people.add_member(actor=SYSTEM, team=team, username="ella", role=role, now=world.now)
    User.objects.filter(pk=user.pk).update(is_superuser=True)
    return signed_in(world, "ella")


def test_nobody_adds_changes_or_deletes_by_form(world: World, everything: Client) -> None:
    for model in registered():
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        obj = model.objects.first()
        assert obj is not None, model
        assert everything.get(reverse(f"{name}_add")).status_code == 403
        assert everything.post(reverse(f"{name}_add"), {}).status_code == 403
        assert everything.post(page_url(obj), {"state": "approved"}).status_code == 403
        assert everything.post(reverse(f"{name}_delete", args=[obj.pk])).status_code == 403
        assert everything.post(
            list_url(model), {"action": "delete_selected", "_selected_action": [obj.pk]}
        ).status_code in (200, 302, 403)
        assert model.objects.filter(pk=obj.pk).exists()


def test_every_list_and_every_page_opens(world: World, everything: Client) -> None:
    for model in registered():
        obj = model.objects.first()
        assert everything.get(list_url(model)).status_code == 200, model
        assert everything.get(list_url(model), {"q": "a"}).status_code == 200, model
        page = everything.get(page_url(obj))
        assert page.status_code == 200, model
        assert b'name="_save"' not in page.content


def test_decisions_are_offered_in_the_states_that_allow_them(world: World) -> None:
    client, proposal = signed_in(world, "ada"), world.proposal
    assert buttons(client, proposal) == {"submit", "withdraw"}
    world.submit(proposal)
    assert buttons(client, proposal) == {"approve", "reject", "withdraw"}
    world.approve(proposal)
    assert buttons(client, proposal) == set()
    ended, canary = Rollout.objects.order_by("pk")
    assert buttons(client, ended) == set()
    assert buttons(client, canary) == {"approve", "promote"}
    token = AccessToken.objects.get()
    assert buttons(signed_in(world, "cy"), token) == {"revoke"}
    AccessToken.objects.update(revoked_at=timezone.now())
    assert buttons(signed_in(world, "cy"), token) == set()


def test_opening_a_dialog_decides_nothing(world: World) -> None:
    dialog = signed_in(world, "ada").get(decision_url(world.proposal, "withdraw"))
    assert b"Withdraw this proposal" in dialog.content
    world.proposal.refresh_from_db()
    assert world.proposal.state == "draft"


def test_a_decision_needs_the_csrf_token(world: World) -> None:
    client = signed_in(world, "ada", enforce_csrf_checks=True)
    assert client.post(decision_url(world.proposal, "withdraw"), SUBMITTED).status_code == 403
    world.proposal.refresh_from_db()
    assert world.proposal.state == "draft"


def test_a_decision_about_nothing_is_not_found(world: World) -> None:
    client = signed_in(world, "ada")
    for nothing in ("999", "x"):
        assert (
            client.post(f"/admin/registry/proposal/{nothing}/submit/", SUBMITTED).status_code == 404
        )


def test_without_htmx_a_decision_redirects(world: World) -> None:
    answer = signed_in(world, "ada").post(decision_url(world.proposal, "submit"), SUBMITTED)
    assert answer.status_code == 302
    assert answer["Location"] == page_url(world.proposal)


# --- the decisions -------------------------------------------------------------------------------


def test_a_proposal_is_submitted_and_withdrawn(world: World) -> None:
    client = signed_in(world, "ada")
    assert "is in review" in decide(client, world.proposal, "submit")
    assert "is withdrawn" in decide(client, world.proposal, "withdraw")
    world.proposal.refresh_from_db()
    assert world.proposal.state == "withdrawn"


def test_approving_ones_own_proposal_shows_why_not_and_is_recorded(world: World) -> None:
    world.submit(world.proposal)
    page = decide(signed_in(world, "ada"), world.proposal, "approve", comment="mine")
    assert "ada wrote proposal" in page
    assert "cannot review it; ask someone else" in page
    world.proposal.refresh_from_db()
    assert world.proposal.state == "in_review"
    assert refusals() == [("proposal.approve", "denied", "ada")]


def test_a_second_persons_approval_makes_the_version(world: World) -> None:
    world.submit(world.proposal)
    page = decide(signed_in(world, "bo"), world.proposal, "approve", comment="fits")
    assert "market.a version 2 is approved" in page
    assert Review.objects.get(proposal=world.proposal).comment == "fits"
    approval = AuditEvent.objects.filter(action="proposal.approve").latest("pk")
    assert (approval.actor_name, approval.reason) == ("bo", "fits")


def test_a_role_that_is_missing_is_named(world: World) -> None:
    page = decide(signed_in(world, "di"), world.proposal, "submit")
    assert "di needs the role owner" in page
    assert refusals() == [("proposal.submit", "denied", "di")]


def test_a_rejection_needs_a_reason(world: World) -> None:
    world.submit(world.proposal)
    client = signed_in(world, "bo")
    answer = client.post(
        decision_url(world.proposal, "reject"), SUBMITTED | {"reason": " "}, headers=HTMX
    )
    assert b"This field is required" in answer.content
    world.proposal.refresh_from_db()
    assert world.proposal.state == "in_review"
    assert "is rejected" in decide(client, world.proposal, "reject", reason="too loose")
    assert Review.objects.get(proposal=world.proposal).comment == "too loose"


def test_a_decision_that_came_too_late_is_told(world: World) -> None:
    world.submit(world.proposal)
    world.approve(world.proposal)
    page = decide(signed_in(world, "ada"), world.proposal, "withdraw")
    assert "cannot become withdrawn" in page
    assert refusals() == [("proposal.withdraw", "refused", "ada")]


def test_a_canary_is_approved_promoted_and_rolled_back(world: World) -> None:
    canary = Rollout.objects.get()
    reviewer, keeper = signed_in(world, "bo"), signed_in(world, "cy")
    assert "may not become strict yet: approvals" in decide(keeper, canary, "promote")
    assert "Your approval is recorded" in decide(reviewer, canary, "approve", comment="clean")
    assert "has begun" in decide(keeper, canary, "promote")
    first = Rollout.objects.get(mode=Mode.STRICT)
    assert buttons(keeper, first) == {"roll_back"}
    answer = keeper.post(decision_url(first, "roll_back"), SUBMITTED, headers=HTMX)
    assert b"This field is required" in answer.content
    page = decide(keeper, first, "roll_back", reason="wrong numbers")
    assert "had no other strict release" in page
    second = _next_strict(world, first)
    page = decide(keeper, second, "roll_back", reason="wrong numbers")
    assert "bundle-a release 1 is strict again" in page


def _next_strict(world: World, strict: Rollout) -> Rollout:
    world.submit(world.proposal)
    world.approve(world.proposal)
    canary = Rollout.objects.get(mode=Mode.CANARY, ended_at__isnull=True)
    consumer, node = canary.consumer, Node.objects.get()
    bound = resolve(consumer, node).canary
    assert bound is not None
    evidence.record_check(
        consumer=consumer,
        node=node,
        version=bound,
        mode=Mode.CANARY,
        rows=1,
        findings=[],
        now=world.now,
    )
    rollouts.approve_promotion(actor=world.actor("bo"), rollout_id=canary.pk, now=world.now)
    return rollouts.promote_rollout(
        actor=world.actor("cy"), rollout_id=canary.pk, now=timezone.now()
    )


def test_a_canary_is_ramped_overridden_and_demoted_by_dialogs(world: World) -> None:
    canary = Rollout.objects.filter(ended_at=None).first()
    assert canary is not None
    cy, bo, fay = (signed_in(world, name) for name in ("cy", "bo", "fay"))
    assert "Gates closed" in decide(cy, canary, "ramp", percent="10")
    assert "waits for another person" in decide(
        bo, canary, "override", reason="the feed stops", hours="2"
    )
    override = canary.overrides.order_by("-pk").first()
    assert override is not None
    assert "Own override" in decide(bo, override, "confirm")
    assert "is confirmed" in decide(fay, override, "confirm")
    assert "10 % of the requests" in decide(cy, canary, "ramp", percent="10")
    decide(cy, canary, "promote")
    strict = Rollout.objects.get(mode=Mode.STRICT, ended_at=None)
    assert "is a canary again" in decide(cy, strict, "demote", reason="too early")


def test_an_incident_is_closed_and_a_release_cut_by_dialogs(world: World) -> None:
    incident = incidents.open_incident(
        actor=world.actor("cy"),
        consumer="consumer-a",
        bundle="bundle-a",
        reason="odd",
        now=world.now,
    )
    assert "is closed" in decide(signed_in(world, "cy"), incident, "close", reason="the clock")
    bundle = Bundle.objects.get(name="bundle-a")
    assert "is 1." in decide(signed_in(world, "ada"), bundle, "cut")
    assert "Not allowed" in decide(signed_in(world, "bo"), bundle, "cut")


def test_a_consumers_page_says_what_governs_each_node(world: World) -> None:
    consumer = Consumer.objects.get(name="consumer-a")
    page = signed_in(world, "cy").get(page_url(consumer)).content.decode()
    assert "Nodes it reads" in page
    assert "market.a version 1" in page


def test_a_token_is_revoked_with_a_reason(world: World) -> None:
    token, client = AccessToken.objects.get(), signed_in(world, "cy")
    answer = client.post(decision_url(token, "revoke"), SUBMITTED, headers=HTMX)
    assert b"This field is required" in answer.content
    assert "is revoked" in decide(client, token, "revoke", reason="left the firm")
    token.refresh_from_db()
    assert token.revoked_at is not None


# --- what the pages say --------------------------------------------------------------------------


def test_a_proposal_shows_its_witness_changes_lint_and_schema(world: World) -> None:
    narrowed = world.propose("market.a", {"type": "number", "minimum": 5}, "narrow it")
    Proposal.objects.filter(pk=narrowed.pk).update(
        compatibility_report=narrowed.compatibility_report
        | {
            "reasons": ["the pattern is too long"],
            "changes": [
                {
                    "code": "minimum_added",
                    "old_pointer": None,
                    "new_pointer": "/properties/price/minimum",
                    "breaks": "backward",
                    "message": "a minimum of 5 is new",
                    "fix": "leave it out",
                }
            ],
        },
        lint=[
            {
                "pointer": "/properties/ts",
                "code": "bare",
                "message": "no description",
                "fix": "add one",
            }
        ],
    )
    page = signed_in(world, "bo").get(page_url(narrowed)).content.decode()
    for part in (
        "incompatible",
        "&quot;price&quot;: " + str(narrowed.compatibility_report["witness"]["document"]["price"]),
        "the pattern is too long",
        "/properties/price/minimum",
        "a minimum of 5 is new",
        "leave it out",
        "no description",
        "&quot;additionalProperties&quot;: false",
    ):
        assert part in page, part


def test_what_a_schema_says_is_escaped_and_nothing_in_it_is_invisible(world: World) -> None:
    sly = {"type": "number", "description": "</pre><script>alert(1)</script>\u202e\u200b"}
    proposal = world.propose("market.a", sly, "<img src=x onerror=alert(1)>")
    page = signed_in(world, "bo").get(page_url(proposal)).content.decode()
    assert "<script>alert(1)" not in page
    assert "<img src=x" not in page
    assert "\\u202e\\u200b" in page
    assert "\u202e" not in page


def test_pretty_json_is_still_the_same_json() -> None:
    value = {"b": ["\u202e", "é", "\n", "\U000e0001"], "a": 1.5}
    assert json.loads(pretty_json(value)) == value
    assert "é" in pretty_json(value)


def test_a_canary_shows_its_gates(world: World) -> None:
    page = signed_in(world, "bo").get(page_url(Rollout.objects.get())).content.decode()
    for part in ("observation", "at least 1", "1 distinct people", ">closed<", ">open<"):
        assert part in page, part


def test_the_audit_list_says_what_is_sealed_where(world: World) -> None:
    sealed = AuditEvent.objects.filter(sealed__isnull=False).count()
    world.submit(world.proposal)
    page = signed_in(world, "di").get(list_url(AuditEvent)).content.decode()
    assert f"record {sealed - 1} in checkpoint {sealed}" in page
    assert page.count("recorded") >= 1
    client = signed_in(world, "di")
    for state, states in (("sealed", {True}), ("recorded", {False})):
        shown = client.get(list_url(AuditEvent), {"seal": state}).context["cl"].result_list
        assert {hasattr(event, "sealed") for event in shown} == states
    recent = client.get(list_url(AuditEvent), {"last": "hour"}).context["cl"].result_list
    assert {event.action for event in recent} == {"person.sign_in"}  # all else is older


def test_the_audit_list_is_searched_by_person_object_and_request(world: World) -> None:
    world.submit(world.proposal)
    client = signed_in(world, "di")
    for text, actions in (
        ("ada", {"proposal.submit", "person.create"}),
        (str(world.proposal.pk), {"proposal.submit"}),
        ("proposal.submit", {"proposal.submit"}),
        ("nobody at all", set()),
    ):
        shown = client.get(list_url(AuditEvent), {"q": text}).context["cl"].result_list
        assert {event.action for event in shown} >= actions
        assert bool(shown) == bool(actions)


def test_a_decision_says_where_its_record_is_sealed(world: World, settings: Settings) -> None:
    world.submit(world.proposal)
    page = decide(signed_in(world, "bo"), world.proposal, "approve")
    size = AuditCheckpoint.objects.latest("size").size
    assert f"is sealed in checkpoint {size}." in page
    settings.SEAMLESS_AUDIT_KEY = "nonsense"
    other = world.propose("market.a", {"type": ["number", "null", "string"]}, "more")
    page = decide(signed_in(world, "ada"), other, "submit")
    assert "is recorded, and not sealed yet." in page


def ask(client: Client, **fields: str) -> Any:
    form = {"format": "jsonl", **fields}
    address = reverse("admin:registry_auditevent_export")
    answer = client.post(address, SUBMITTED | form, headers=HTMX)
    assert answer.status_code == 200
    return answer


def test_an_auditor_exports_and_follows_the_progress(
    world: World, settings: Settings, tmp_path: Path
) -> None:
    settings.SEAMLESS_EXPORT_DIR = tmp_path / "exports"
    client = signed_in(world, "di")
    assert EXPORT_BUTTON in client.get(list_url(AuditEvent)).content.decode()
    answer = ask(client, format="bundle", actor="ada", since="2020-01-01T00:00")
    export = AuditExport.objects.latest("pk")
    assert answer["HX-Redirect"] == page_url(export)
    assert export.request["filter"] == {"actor": "ada", "since": "2020-01-01T00:00:00+00:00"}
    waiting = client.get(page_url(export))
    assert (waiting["Refresh"], "queued" in waiting.content.decode()) == ("2", True)
    while run_next_export(clock=timezone.now):
        pass
    done = client.get(page_url(export))
    assert "Refresh" not in done
    assert f"/api/v1/audit/exports/{export.pk}/file" in done.content.decode()
    assert "100 %" in client.get(list_url(AuditExport)).content.decode()
    file = client.get(f"/api/v1/audit/exports/{export.pk}/file")
    assert b"".join(file.streaming_content)[:2] == b"PK"


def test_the_export_dialog_refuses_what_is_wrong(world: World) -> None:
    client = signed_in(world, "di")
    for wrong in ({"format": "xlsx"}, {"since": "soon"}):
        assert "HX-Redirect" not in ask(client, **wrong)
    assert AuditExport.objects.count() == 1  # the world's own


@pytest.mark.parametrize("name", ["ada", "ed"])
def test_readers_of_the_log_who_are_no_auditors_export_nothing(world: World, name: str) -> None:
    client = signed_in(world, name)
    assert EXPORT_BUTTON not in client.get(list_url(AuditEvent)).content.decode()
    answer = client.post(reverse("admin:registry_auditevent_export"), SUBMITTED, headers=HTMX)
    assert answer.status_code in (302, 403)
    assert AuditExport.objects.count() == 1  # the world's own


def test_the_audit_list_is_filtered_by_outcome(world: World) -> None:
    decide(signed_in(world, "di"), world.proposal, "submit")
    client = signed_in(world, "di")
    shown = client.get(list_url(AuditEvent), {"outcome": "denied"}).context["cl"]
    assert [event.action for event in shown.result_list] == ["proposal.submit"]
    assert [s.parameter_name for s in shown.filter_specs] == ["outcome", "seal", "last"]


def test_long_lists_are_never_counted(world: World, everything: Client) -> None:
    for model in (AuditEvent, StoredReport, BackfillJob):
        with CaptureQueriesContext(
            connection,
        ) as queries:
            everything.get(list_url(model))
        table = model._meta.db_table
        counted = [q["sql"] for q in queries if "COUNT(" in q["sql"] and table in q["sql"]]
        assert counted == []


def _queries(client: Client, url: str) -> int:
    with CaptureQueriesContext(connection) as queries:
        assert client.get(url).status_code == 200
    return len(queries)


def test_no_list_asks_more_of_the_database_for_more_rows(world: World, everything: Client) -> None:
    before = {model: _queries(everything, list_url(model)) for model in registered()}
    for mark in ("b", "c", "d"):
        world.grow(mark)
    after = {model: _queries(everything, list_url(model)) for model in registered()}
    assert after == before


def test_the_dashboard_shows_real_numbers_with_few_queries(
    world: World, everything: Client
) -> None:
    world.submit(world.proposal)
    before = _queries(everything, "/admin/")
    assert before <= 20
    world.grow("b")
    assert _queries(everything, "/admin/") == before
    answer = everything.get("/admin/")
    cards = {card["title"]: card["figure"] for card in answer.context["cards"]}
    assert cards == {
        "Subjects": "2",
        "Live rollouts": "2",
        "Proposals in review": "1",
        "Active backfills": "2",
        "Audit records": str(AuditCheckpoint.objects.get().size),
    }
    assert page_url(world.proposal) in answer.content.decode()


def test_the_dashboards_audit_card_is_for_readers_of_the_log(world: World) -> None:
    seen = SimpleNamespace(
        **{
            name: {c["title"] for c in signed_in(world, name).get("/admin/").context["cards"]}
            for name in ("bo", "di")
        }
    )
    assert "Audit records" not in seen.bo
    assert "Audit records" in seen.di
