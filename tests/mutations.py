"""Everything that changes something, and how its audit record is shown: one line for each.

`tests/test_audit_complete.py` compares these tables with the addresses, admin pages and management
commands that exist, so a new one fails until it has its line here:

- `Exercised`: the test sends the request (or runs the command) and checks the record in full.
- `Shown("tests/…/test_x.py::test_y")`: that test does it and looks at its record.
- `Unrecorded("why")`: it changes nothing that needs a record.
- `SameAs(address)`: it calls the service of that address, and nothing else.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from coordinator.models import BackfillJob
from coordinator.services.finishing import cancel_job
from registry.models import AccessToken, AuditExport, CanaryTally, Incident, Node, Rollout, Waiver
from registry.services import incidents, replays, rollouts, subjects, versions, waivers
from tests.registry.admin_world import World, schema


@dataclass(frozen=True)
class Exercised:
    """A POST by `who` (with a personal token) to `path`, and the record that it must leave.

    `path`, `body`, `object_id` may be functions of the world. `before` and `after` say whether the
    record states them, `reason` is the text that it must hold.
    """

    who: str
    path: Any
    action: str
    object_type: str
    object_id: Any
    body: Any = field(default_factory=dict)
    prepare: Callable[[World], None] = lambda _: None
    before: bool = False
    after: bool = False
    reason: str = ""
    scope: str = "govern"


@dataclass(frozen=True)
class Shown:
    test: str


@dataclass(frozen=True)
class Unrecorded:
    why: str


@dataclass(frozen=True)
class SameAs:
    address: tuple[str, str]


Cover = Exercised | Shown | Unrecorded | SameAs


def rollout_id() -> int:
    return Rollout.objects.filter(ended_at=None).latest("pk").pk


def approved_by_bo(world: World) -> None:
    rollouts.approve_promotion(actor=world.actor("bo"), rollout_id=rollout_id(), now=world.now)


def promoted(world: World) -> None:
    approved_by_bo(world)
    rollouts.promote_rollout(actor=world.actor("cy"), rollout_id=rollout_id(), now=world.now)


def promoted_twice(world: World) -> None:
    promoted(world)
    world.submit(world.proposal)
    world.approve(world.proposal)
    CanaryTally.objects.create(rollout_id=rollout_id(), node=Node.objects.get(), reads=1, rows=1)
    promoted(world)


def submitted(world: World) -> None:
    world.submit(world.proposal)


def with_a_successor(world: World) -> None:
    submitted(world)
    world.approve(world.proposal)


def past_its_sunset(world: World) -> None:
    """A version of a subject that nothing is bound to, deprecated until half an hour ago."""
    ada, earlier = world.actor("ada"), world.now + timedelta(minutes=30)
    subjects.create_subject(actor=ada, name="market.z", owner_team="market", now=world.now)
    only = world.propose("market.z", {"type": "number"}, "first")
    world.submit(only)
    world.approve(only)
    versions.deprecate_version(
        actor=ada, subject="market.z", number=1, sunset_at=earlier, reason="x", now=world.now
    )


def an_incident(world: World) -> None:
    incidents.open_incident(
        actor=world.actor("cy"),
        consumer="consumer-a",
        bundle="bundle-a",
        reason="odd",
        now=world.now,
    )


def replaying(world: World) -> None:
    replays.start_replay(actor=world.actor("ada"), proposal_id=world.proposal.pk, now=world.now)


def a_waiver(world: World) -> None:
    waivers.request_waiver(
        actor=world.actor("bo"),
        proposal_id=world.proposal.pk,
        rule="compatibility",
        reason="one exception",
        expires_at=world.now + timedelta(days=2),
        now=world.now,
    )


def cancelled(world: World) -> None:
    cancel_job(actor=world.actor("ed"), job_id=int(job_id(world)), now=world.now, reason="x")


def incident_id(_: World) -> str:
    return str(Incident.objects.latest("pk").pk)


def export_id(_: World) -> str:
    return str(AuditExport.objects.get().pk)


def waiver_id(_: World) -> str:
    return str(Waiver.objects.get().pk)


def job_id(_: World) -> str:
    return str(BackfillJob.objects.get().pk)


def proposal_path(verb: str) -> Callable[[World], str]:
    return lambda world: f"api/v1/proposals/{world.proposal.pk}/{verb}"


def proposal_id(world: World) -> str:
    return str(world.proposal.pk)


def rollout_path(verb: str) -> Callable[[World], str]:
    return lambda _: f"api/v1/rollouts/{rollout_id()}/{verb}"


def newest_rollout(_: World) -> str:
    return str(rollout_id())


def token_prefix(_: World) -> str:
    return AccessToken.objects.filter(consumer__isnull=False).get().prefix


LEASES = Shown(
    "tests/coordinator/test_lease_service.py"
    "::test_every_step_is_audited_and_a_refused_one_changes_nothing"
)
STEERING = Shown(
    "tests/coordinator/test_backfill_api.py::test_a_job_is_paused_resumed_moved_and_cancelled"
)
MATRIX = Shown(
    "tests/registry/test_permission_matrix.py"
    "::test_a_service_lets_those_of_the_table_act_and_denies_all_others"
)
OVERRIDES = Shown(
    "tests/registry/test_rollout_ways.py"
    "::test_two_people_open_the_gates_for_a_while_and_the_log_names_them"
)
BUNDLE_FILE = Shown("tests/registry/test_bundle_plans.py::test_the_plan_is_exactly_what_is_done")
PEOPLE = Shown(
    "tests/registry/test_people_command.py::test_what_is_done_to_people_is_recorded_in_full"
)
NODE_CHANGE = Shown(
    "tests/provider/test_node_command.py::test_each_change_of_a_node_is_recorded_with_its_person"
)
CONSUMER_A = "api/v1/consumers/consumer-a"
RELEASE = Shown(
    "tests/coordinator/test_quarantine.py"
    "::test_a_release_does_the_shard_again_and_marks_all_its_rows"
)

PUBLISHED = Shown(
    "tests/provider/test_artifacts.py::test_operators_publish_and_the_record_says_what"
)

# (method, pattern) -> cover. Every non-safe method of every view.
ADDRESSES: dict[tuple[str, str], Cover] = {
    ("post", "api/v1/subjects"): Exercised(
        "ada",
        "api/v1/subjects",
        "subject.create",
        "subject",
        "market.new",
        body={"name": "market.new", "owner_team": "market"},
        after=True,
    ),
    ("post", "api/v1/subjects/<str:subject>/proposals"): Exercised(
        "ada",
        "api/v1/subjects/market.a/proposals",
        "proposal.create",
        "subject",
        "market.a",
        body={"schema": schema({"type": ["number", "string"]}), "reason": "because it must"},
        after=True,
        reason="because it must",
    ),
    ("post", "api/v1/proposals/<int:proposal_id>/submit"): Exercised(
        "ada", proposal_path("submit"), "proposal.submit", "proposal", proposal_id, after=True
    ),
    ("post", "api/v1/proposals/<int:proposal_id>/approve"): Exercised(
        "bo",
        proposal_path("approve"),
        "proposal.approve",
        "proposal",
        proposal_id,
        body={"comment": "well done"},
        prepare=submitted,
        after=True,
        reason="well done",
    ),
    ("post", "api/v1/proposals/<int:proposal_id>/reject"): Exercised(
        "bo",
        proposal_path("reject"),
        "proposal.reject",
        "proposal",
        proposal_id,
        body={"reason": "not yet"},
        prepare=submitted,
        reason="not yet",
    ),
    ("post", "api/v1/proposals/<int:proposal_id>/withdraw"): Exercised(
        "ada", proposal_path("withdraw"), "proposal.withdraw", "proposal", proposal_id
    ),
    ("post", "api/v1/bundles"): Exercised(
        "ada",
        "api/v1/bundles",
        "bundle.create",
        "bundle",
        "more",
        body={
            "name": "more",
            "owner_team": "market",
            "subjects": ["market.a"],
            "gate_policy": "quick",
        },
        after=True,
    ),
    ("post", "api/v1/consumers"): Exercised(
        "cy",
        "api/v1/consumers",
        "consumer.create",
        "consumer",
        "risk",
        body={"name": "risk", "owner_team": "research"},
        after=True,
    ),
    ("post", "api/v1/consumers/<str:consumer>/tokens"): Exercised(
        "cy",
        "api/v1/consumers/consumer-a/tokens",
        "token.issue",
        "consumer",
        "consumer-a",
        body={"scopes": ["read"]},
        after=True,
    ),
    ("post", "api/v1/consumers/<str:consumer>/subscriptions"): Exercised(
        "cy",
        "api/v1/consumers/consumer-a/subscriptions",
        "consumer.subscribe",
        "consumer",
        "consumer-a",
        body={"bundle": "bundle-b"},
        prepare=lambda world: world.grow("b"),
        after=True,
    ),
    ("post", "api/v1/consumers/<str:consumer>/grants"): Exercised(
        "ada",
        "api/v1/consumers/consumer-a/grants",
        "consumer.grant",
        "consumer",
        "consumer-a",
        body={"node": "node:b"},
        prepare=lambda world: world.grow("b"),
        after=True,
    ),
    ("post", "api/v1/tokens/<str:prefix>/revoke"): Exercised(
        "cy",
        lambda world: f"api/v1/tokens/{token_prefix(world)}/revoke",
        "token.revoke",
        "token",
        token_prefix,
        body={"reason": "laptop lost"},
        reason="laptop lost",
    ),
    ("post", "api/v1/rollouts/<int:rollout_id>/approve"): Exercised(
        "bo",
        rollout_path("approve"),
        "rollout.approve",
        "rollout",
        newest_rollout,
        body={"comment": "looks good"},
        reason="looks good",
    ),
    ("post", "api/v1/rollouts/<int:rollout_id>/promote"): Exercised(
        "cy",
        rollout_path("promote"),
        "rollout.promote",
        "rollout",
        newest_rollout,
        prepare=approved_by_bo,
        before=True,
        after=True,
    ),
    ("post", "api/v1/rollouts/<int:rollout_id>/roll-back"): Exercised(
        "cy",
        rollout_path("roll-back"),
        "rollout.roll_back",
        "rollout",
        newest_rollout,
        body={"reason": "prices went wrong"},
        prepare=promoted_twice,
        before=True,
        after=True,
        reason="prices went wrong",
    ),
    ("post", "api/v1/rollouts/<int:rollout_id>/demote"): Shown(
        "tests/registry/test_rollout_ways.py"
        "::test_a_first_strict_release_is_demoted_to_nothing_strict_and_the_log_says_so"
    ),
    ("post", "api/v1/rollouts/<int:rollout_id>/ramp"): Exercised(
        "cy",
        rollout_path("ramp"),
        "rollout.ramp",
        "rollout",
        newest_rollout,
        body={"percent": 10},
        prepare=approved_by_bo,
        before=True,
        after=True,
    ),
    ("post", "api/v1/rollouts/<int:rollout_id>/overrides"): OVERRIDES,
    ("post", "api/v1/overrides/<int:override_id>/confirm"): OVERRIDES,
    ("post", "api/v1/incidents"): Exercised(
        "cy",
        "api/v1/incidents",
        "incident.open",
        "consumer",
        "consumer-a",
        body={"consumer": "consumer-a", "bundle": "bundle-a", "reason": "odd prices"},
        after=True,
        reason="odd prices",
    ),
    ("post", "api/v1/incidents/<int:incident_id>/close"): Exercised(
        "cy",
        lambda world: f"api/v1/incidents/{incident_id(world)}/close",
        "incident.close",
        "incident",
        incident_id,
        body={"reason": "the source was right"},
        prepare=an_incident,
        reason="the source was right",
    ),
    ("post", "api/v1/gate-policies"): MATRIX,
    ("post", "api/v1/bundle-file/plan"): Unrecorded("compares, and changes nothing"),
    ("post", "api/v1/bundle-file/apply"): BUNDLE_FILE,
    ("post", "api/v1/bundles/<str:bundle>/change"): Exercised(
        "ada",
        "api/v1/bundles/bundle-a/change",
        "bundle.change",
        "bundle",
        "bundle-a",
        body={"description": "bars of one minute"},
        before=True,
        after=True,
    ),
    ("post", "api/v1/bundles/<str:bundle>/cut"): Exercised(
        "ada", "api/v1/bundles/bundle-a/cut", "bundle.cut", "bundle", "bundle-a", after=True
    ),
    ("post", "api/v1/consumers/<str:consumer>/grants/revoke"): Exercised(
        "ada",
        f"{CONSUMER_A}/grants/revoke",
        "consumer.revoke_grant",
        "consumer",
        "consumer-a",
        body={"node": "node:a", "reason": "no longer read"},
        before=True,
        reason="no longer read",
    ),
    ("post", "api/v1/consumers/<str:consumer>/subscriptions/<str:bundle>/end"): Exercised(
        "cy",
        f"{CONSUMER_A}/subscriptions/bundle-a/end",
        "consumer.unsubscribe",
        "consumer",
        "consumer-a",
        body={"reason": "moved on"},
        before=True,
        reason="moved on",
    ),
    ("post", "api/v1/consumers/<str:consumer>/switch"): Exercised(
        "cy",
        f"{CONSUMER_A}/switch",
        "consumer.switch",
        "consumer",
        "consumer-a",
        body={"active": False, "reason": "retired"},
        before=True,
        after=True,
        reason="retired",
    ),
    ("post", "api/v1/nodes"): Exercised(
        "ada",
        "api/v1/nodes",
        "node.register",
        "node",
        "node:new",
        body={
            "node_id": "node:new",
            "subject": "market.a",
            "interval": 60,
            "series": [{"key": {}, "since": None}],
            "store": {"type": "parquet"},
            "source": {},
        },
        after=True,
    ),
    ("patch", r"api/v1/^nodes/(?P<node_id>.+)$"): Exercised(
        "ada",
        "api/v1/nodes/node:a",
        "node.change",
        "node",
        "node:a",
        body={"description": "Bars of A"},
        before=True,
        after=True,
    ),
    ("post", r"api/v1/^nodes/(?P<node_id>.+)/rules$"): Exercised(
        "ada",
        "api/v1/nodes/node:a/rules",
        "node.quality_rules",
        "node",
        "node:a",
        body={"rules": []},
        before=True,
        after=True,
    ),
    ("post", "api/v1/sla-policies"): Exercised(
        "ed",
        "api/v1/sla-policies",
        "sla_policy.save",
        "sla_policy",
        "slow",
        body={"name": "slow", "document": {}},
        after=True,
    ),
    ("patch", "api/v1/subjects/<str:subject>"): Shown(
        "tests/registry/test_lifecycle.py"
        "::test_a_change_of_a_subject_is_recorded_before_and_after_with_its_reason"
    ),
    ("post", "api/v1/subjects/<str:subject>/versions/<int:number>/deprecate"): Exercised(
        "ada",
        "api/v1/subjects/market.a/versions/1/deprecate",
        "version.deprecate",
        "version",
        "market.a/1",
        body={"sunset_at": "2099-01-01T00:00:00Z", "reason": "use the next"},
        prepare=with_a_successor,
        before=True,
        after=True,
        reason="use the next",
    ),
    ("post", "api/v1/subjects/<str:subject>/versions/<int:number>/retire"): Exercised(
        "ada",
        "api/v1/subjects/market.z/versions/1/retire",
        "version.retire",
        "version",
        "market.z/1",
        body={"reason": "nobody reads it"},
        prepare=past_its_sunset,
        before=True,
        after=True,
        reason="nobody reads it",
    ),
    ("patch", "api/v1/proposals/<int:proposal_id>"): Exercised(
        "ada",
        lambda world: f"api/v1/proposals/{world.proposal.pk}",
        "proposal.edit",
        "proposal",
        proposal_id,
        body={"schema": schema({"type": ["number", "string"]}), "reason": "texts too"},
        before=True,
        after=True,
        reason="texts too",
    ),
    ("post", "api/v1/proposals/<int:proposal_id>/recheck"): Exercised(
        "ada",
        proposal_path("recheck"),
        "proposal.recheck",
        "proposal",
        proposal_id,
        before=True,
        after=True,
    ),
    ("post", "api/v1/proposals/approve"): Exercised(
        "bo",
        "api/v1/proposals/approve",
        "proposal.approve_together",
        "proposal",
        proposal_id,
        body=lambda world: {"proposals": [world.proposal.pk], "comment": "all of it"},
        prepare=submitted,
        after=True,
        reason="all of it",
    ),
    ("post", "api/v1/proposals/<int:proposal_id>/replay"): Exercised(
        "ada", proposal_path("replay"), "replay.start", "proposal", proposal_id, after=True
    ),
    ("post", "api/v1/proposals/<int:proposal_id>/replay/cancel"): Exercised(
        "ada",
        proposal_path("replay/cancel"),
        "replay.cancel",
        "proposal",
        proposal_id,
        body={"reason": "takes too long"},
        prepare=replaying,
        after=True,
        reason="takes too long",
    ),
    ("post", "api/v1/proposals/<int:proposal_id>/waivers"): Exercised(
        "bo",
        proposal_path("waivers"),
        "waiver.request",
        "proposal",
        proposal_id,
        body=lambda world: {
            "rule": "compatibility",
            "reason": "one exception",
            "expires_at": f"{world.now + timedelta(days=2):%Y-%m-%dT%H:%M:%SZ}",
        },
        after=True,
        reason="one exception",
    ),
    ("post", "api/v1/waivers/<int:waiver_id>/grant"): Exercised(
        "fay",
        lambda world: f"api/v1/waivers/{waiver_id(world)}/grant",
        "waiver.grant",
        "waiver",
        waiver_id,
        body={"comment": "agreed"},
        prepare=a_waiver,
        after=True,
        reason="agreed",
    ),
    ("post", "api/v1/waivers/<int:waiver_id>/end"): Exercised(
        "bo",
        lambda world: f"api/v1/waivers/{waiver_id(world)}/end",
        "waiver.end",
        "waiver",
        waiver_id,
        body={"reason": "not needed"},
        prepare=a_waiver,
        before=True,
        reason="not needed",
    ),
    ("post", "api/v1/audit/exports"): Shown(
        "tests/registry/test_audit_api.py::test_a_long_export_is_a_job"
    ),
    ("post", "api/v1/audit/exports/<int:export_id>/links"): Exercised(
        "di",
        lambda world: f"api/v1/audit/exports/{export_id(world)}/links",
        "audit.export.link",
        "audit_export",
        export_id,
        after=True,
    ),
    ("post", "api/v1/audit/exports/<int:export_id>/links/<str:prefix>/revoke"): Shown(
        "tests/registry/test_audit_links.py::test_a_revoked_link_opens_nothing_from_then_on"
    ),
    ("post", "api/v1/backfills"): Exercised(
        "ed",
        "api/v1/backfills",
        "backfill.order",
        "node",
        "node:a",
        body={"node": "node:a", "start": "600", "end": "1200"},
        after=True,
    ),
    ("post", "api/v1/backfills/<int:job_id>/pause"): STEERING,
    ("post", "api/v1/backfills/<int:job_id>/resume"): STEERING,
    ("post", "api/v1/backfills/<int:job_id>/cancel"): STEERING,
    ("post", "api/v1/backfills/<int:job_id>/priority"): STEERING,
    ("post", "api/v1/backfills/<int:job_id>/retry"): Exercised(
        "ed",
        lambda world: f"api/v1/backfills/{job_id(world)}/retry",
        "backfill.job.reprocess",
        "backfill_job",
        job_id,
        body={"reason": "the source is back"},
        prepare=cancelled,
        before=True,
        after=True,
        reason="the source is back",
    ),
    ("post", "api/v1/backfills/<int:job_id>/reprocess"): Exercised(
        "ed",
        lambda world: f"api/v1/backfills/{job_id(world)}/reprocess",
        "backfill.job.reprocess",
        "backfill_job",
        job_id,
        body={"what": "all", "reason": "corrected bars"},
        prepare=cancelled,
        before=True,
        after=True,
        reason="corrected bars",
    ),
    ("post", "api/v1/source-limits"): Exercised(
        "ed",
        "api/v1/source-limits",
        "backfill.limit",
        "source",
        "a",
        body={"source": "a", "max_running": 3},
        before=True,
        after=True,
    ),
    ("post", "api/v1/quarantine/<int:row_id>/release"): RELEASE,
    ("post", "api/v1/^nodes/(?P<node_id>.+)/artifacts$"): PUBLISHED,
    ("post", "v1/leases/claim"): LEASES,
    ("post", "v1/leases/complete"): LEASES,
    ("post", "v1/leases/renew"): Unrecorded("a heartbeat decides nothing"),
    ("post", "v1/leases/fail"): LEASES,
}

# model -> the decisions on its admin page. Pages without any neither add, change nor delete.
DECISIONS: dict[str, set[str]] = {
    "coordinator.BackfillJob": {"cancel", "pause", "priority", "reprocess", "resume", "retry"},
    "coordinator.Quarantine": {"release"},
    "registry.AccessToken": {"revoke"},
    "registry.AuditEvent": {"export"},
    "registry.Bundle": {"alter", "cut", "make_bundle"},
    "registry.Consumer": {
        *("make_consumer", "switch", "subscribe", "unsubscribe", "grant", "revoke_grant"),
    },
    "registry.GateOverride": {"confirm"},
    "registry.Incident": {"close", "open"},
    "registry.Node": {"register"},
    "registry.Proposal": {
        *("submit", "recheck", "approve", "reject", "withdraw"),
        *("replay", "cancel_replay", "waive", "grant_waiver", "end_waiver"),
        *("propose", "edit"),
    },
    "registry.SchemaVersion": {"deprecate", "retire"},
    "registry.Subject": {"alter", "make_subject"},
    "registry.Rollout": {"approve", "demote", "override", "promote", "ramp", "roll_back"},
}

READS = Unrecorded("reads")
_SUBJECT = "api/v1/subjects/<str:subject>"
_PROPOSAL = "api/v1/proposals/<int:proposal_id>"
_BACKFILL = "api/v1/backfills/<int:job_id>"
_BUNDLE = "api/v1/bundles/<str:bundle>"
_CONSUMER = "api/v1/consumers/<str:consumer>"
_ROLLOUT = "api/v1/rollouts/<int:rollout_id>"


def _posts(prefix: str, *verbs: str) -> dict[str, Cover]:
    """Sub-commands that are called like the last part of an address."""
    return {verb: SameAs(("post", f"{prefix}/{verb}")) for verb in verbs}


# command -> sub-command -> cover; "" for a command without sub-commands.
COMMANDS: dict[str, dict[str, Cover]] = {
    "audit": {
        "seal": Unrecorded("what it makes is signed: a checkpoint"),
        "reconcile": Shown(
            "tests/registry/test_safety_net.py::test_a_change_past_the_services_is_reported_once"
        ),
        "export": Shown("tests/registry/test_audit_command.py::test_only_auditors_export"),
        "verify": Unrecorded("reads a file"),
        "keys": Unrecorded("reads public keys"),
        "rotate-key": Shown(
            "tests/registry/test_audit_keys.py"
            "::test_a_rotation_is_a_record_signed_by_the_key_before"
        ),
        "erase": Shown(
            "tests/registry/test_audit_removals.py"
            "::test_an_erasure_names_the_records_it_emptied_and_not_the_person"
        ),
        "drop-payloads": Shown(
            "tests/registry/test_audit_removals.py"
            "::test_many_records_are_emptied_in_portions_each_with_its_record"
        ),
    },
    "people": {
        "team": Shown("tests/registry/test_people_command.py::test_a_team_is_made_and_recorded"),
        "add": PEOPLE,
        "join": PEOPLE,
        "token": Shown(
            "tests/registry/test_people_command.py::test_a_token_is_printed_once_and_recorded"
        ),
    },
    "evidence": dict.fromkeys(("diagnostics", "usage"), READS),
    "proposal": {
        **dict.fromkeys(("list", "show", "diff", "impact", "report"), READS),
        **_posts(_PROPOSAL, "submit", "recheck", "approve", "reject", "withdraw", "replay"),
        "create": SameAs(("post", f"{_SUBJECT}/proposals")),
        "edit": SameAs(("patch", _PROPOSAL)),
        "cancel-replay": SameAs(("post", f"{_PROPOSAL}/replay/cancel")),
        "waive": SameAs(("post", f"{_PROPOSAL}/waivers")),
        "grant-waiver": SameAs(("post", "api/v1/waivers/<int:waiver_id>/grant")),
        "end-waiver": SameAs(("post", "api/v1/waivers/<int:waiver_id>/end")),
    },
    "subject": {
        **dict.fromkeys(("list", "show"), READS),
        **_posts(f"{_SUBJECT}/versions/<int:number>", "deprecate", "retire"),
        "create": SameAs(("post", "api/v1/subjects")),
        "change": SameAs(("patch", _SUBJECT)),
    },
    "schema": dict.fromkeys(
        ("check", "validate", "infer", "lint", "diff", "fingerprint"), Unrecorded("reads files")
    ),
    "node": {
        **dict.fromkeys(("show", "doctor"), READS),
        "add": SameAs(("post", "api/v1/nodes")),
        "change": SameAs(("patch", r"api/v1/^nodes/(?P<node_id>.+)$")),
        "rules": SameAs(("post", r"api/v1/^nodes/(?P<node_id>.+)/rules$")),
    },
    "artifact": {
        **dict.fromkeys(("list", "show", "verify"), READS),
        "publish": PUBLISHED,
    },
    "bundle": {
        **dict.fromkeys(("show", "compare", "export", "plan"), READS),
        **_posts(_BUNDLE, "change", "cut"),
        "create": SameAs(("post", "api/v1/bundles")),
        "apply": SameAs(("post", "api/v1/bundle-file/apply")),
    },
    "consumer": {
        **dict.fromkeys(("list", "show"), READS),
        **_posts(_CONSUMER, "switch"),
        "create": SameAs(("post", "api/v1/consumers")),
        "token": SameAs(("post", f"{_CONSUMER}/tokens")),
        "revoke-token": SameAs(("post", "api/v1/tokens/<str:prefix>/revoke")),
        "subscribe": SameAs(("post", f"{_CONSUMER}/subscriptions")),
        "unsubscribe": SameAs(("post", f"{_CONSUMER}/subscriptions/<str:bundle>/end")),
        "grant": SameAs(("post", f"{_CONSUMER}/grants")),
        "revoke-grant": SameAs(("post", f"{_CONSUMER}/grants/revoke")),
    },
    "rollout": {
        **dict.fromkeys(("list", "show", "incidents"), READS),
        **_posts(_ROLLOUT, "approve", "promote", "ramp", "roll-back", "demote"),
        "override": SameAs(("post", f"{_ROLLOUT}/overrides")),
        "confirm-override": SameAs(("post", "api/v1/overrides/<int:override_id>/confirm")),
        "open-incident": SameAs(("post", "api/v1/incidents")),
        "close-incident": SameAs(("post", "api/v1/incidents/<int:incident_id>/close")),
        "policy": SameAs(("post", "api/v1/gate-policies")),
    },
    "policy": {
        **dict.fromkeys(("list", "show"), READS),
        "import": Shown(
            "tests/registry/test_policy_command.py::test_who_may_not_is_refused_and_recorded"
        ),
    },
    "live": {
        "feed": Shown(
            "tests/provider/test_live_feeding.py::test_what_has_settled_is_stored_by_an_ordinary_shard"
        ),
    },
    "lease": {
        "list": READS,
        "recover": SameAs(("post", "v1/leases/fail")),
    },
    "health_check": {"": READS},
    "backfill": {
        **dict.fromkeys(("plan", "list", "show", "watch", "report"), READS),
        **_posts(_BACKFILL, "pause", "resume", "cancel", "retry", "reprocess", "priority"),
        "run": SameAs(("post", "api/v1/backfills")),
        "quarantine": SameAs(("post", "api/v1/quarantine/<int:row_id>/release")),
        "limit": SameAs(("post", "api/v1/source-limits")),
    },
    "doctor": {"": READS},
    "inject": {"": Unrecorded("writes synthetic metrics to a file of its own")},
}
