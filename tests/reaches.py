"""From where each action of a person can be asked for: REST, the shell, the admin pages.

`tests/test_reaches.py` finds the actions in the code and looks behind each face that is named here.
An action that one of the faces does not have says why not.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Not:
    why: str


Rest = tuple[str, str] | Not
"""Method and pattern, as in `tests.mutations.ADDRESSES`."""
Shell = tuple[str, str] | Not
"""Command and sub-command, as in `tests.mutations.COMMANDS`."""
Page = tuple[str, str] | Not
"""Model and button, as in `tests.mutations.DECISIONS`."""

HOST = Not("for whoever runs the host: the shell alone, where the system itself acts")
KEYS = Not("the log's key and its erasures are kept by whoever runs the host")
SECRET = Not("an answer on a page is kept in the session; a secret is shown once, to its caller")
DOCUMENT = Not("a document of many settings: it comes from a file, with its history")
TOGETHER = Not("a page shows one proposal")
WORKERS = Not("workers do it; people ask for what they do")
PLANNED = Not("what it would do is read before it is done: planned in the shell or over REST")
OWN_TOKEN = Not("a token that makes tokens would outlive its revocation")
DOWNLOAD = Not("the shell writes the export itself")
PASSWORD = Not("a session's own page; a token must not change the password")

_SUBJECT, _VERSION = "api/v1/subjects/<str:subject>", "/versions/<int:number>"
_PROPOSAL = "api/v1/proposals/<int:proposal_id>"
_BUNDLE, _CONSUMER = "api/v1/bundles/<str:bundle>", "api/v1/consumers/<str:consumer>"
_ROLLOUT = "api/v1/rollouts/<int:rollout_id>"
_JOB = "api/v1/backfills/<int:job_id>"
_NODE = "api/v1/^nodes/(?P<node_id>.+)"


def _post(pattern: str) -> tuple[str, str]:
    return ("post", pattern)


def _proposal(verb: str, button: str = "") -> tuple[Rest, Shell, Page]:
    button = button or verb.replace("-", "_")
    return _post(f"{_PROPOSAL}/{verb}"), ("proposal", verb), ("registry.Proposal", button)


def _rollout(verb: str) -> tuple[Rest, Shell, Page]:
    page = ("registry.Rollout", verb.replace("-", "_"))
    return _post(f"{_ROLLOUT}/{verb}"), ("rollout", verb), page


def _job(verb: str) -> tuple[Rest, Shell, Page]:
    return _post(f"{_JOB}/{verb}"), ("backfill", verb), ("coordinator.BackfillJob", verb)


def _consumer(path: str, verb: str) -> tuple[Rest, Shell, Page]:
    button = {"unsubscribe": "unsubscribe", "revoke-grant": "revoke_grant"}.get(verb, verb)
    return _post(f"{_CONSUMER}/{path}"), ("consumer", verb), ("registry.Consumer", button)


REGISTRY: dict[str, tuple[Rest, Shell, Page]] = {
    "audit.export_jobs.fetch_export": (
        Not("a GET, for the file of an export: api/v1/audit/exports/<int:export_id>/file"),
        DOWNLOAD,
        Not("the page links to the file over REST"),
    ),
    "audit.export_jobs.run_next_export": (WORKERS, WORKERS, WORKERS),
    "audit.export_links.make_export_link": (
        _post("api/v1/audit/exports/<int:export_id>/links"),
        DOWNLOAD,
        SECRET,
    ),
    "audit.export_links.revoke_export_link": (
        _post("api/v1/audit/exports/<int:export_id>/links/<str:prefix>/revoke"),
        DOWNLOAD,
        Not("who handed a link on has its prefix, and no page lists them"),
    ),
    "audit.export_links.fetch_by_link": (
        Not("a GET, for whoever holds the link: api/v1/audit/links/<str:secret>"),
        DOWNLOAD,
        Not("a link is for those who have no page here"),
    ),
    "audit.export_requests.begin_export": (
        Not("a GET, which streams: api/v1/audit/export"),
        ("audit", "export"),
        Not("a page's answer is a file that is ready: it asks a worker for it"),
    ),
    "audit.export_requests.request_export": (
        _post("api/v1/audit/exports"),
        DOWNLOAD,
        ("registry.AuditEvent", "export"),
    ),
    "audit.removing.drop_payloads": (KEYS, ("audit", "drop-payloads"), KEYS),
    "audit.removing.erase_person": (KEYS, ("audit", "erase"), KEYS),
    "audit.rotating.rotate_key": (KEYS, ("audit", "rotate-key"), KEYS),
    "bundle_plans.apply_bundles": (
        _post("api/v1/bundle-file/apply"),
        ("bundle", "apply"),
        DOCUMENT,
    ),
    "consumers.create_consumer": (
        _post("api/v1/consumers"),
        ("consumer", "create"),
        ("registry.Consumer", "make_consumer"),
    ),
    "consumers.grant_node": _consumer("grants", "grant"),
    "consumers.revoke_grant": _consumer("grants/revoke", "revoke-grant"),
    "consumers.subscribe": _consumer("subscriptions", "subscribe"),
    "consumers.switch_consumer": _consumer("switch", "switch"),
    "consumers.unsubscribe": _consumer("subscriptions/<str:bundle>/end", "unsubscribe"),
    "gate_policies.save_gate_policy": (
        _post("api/v1/gate-policies"),
        ("rollout", "policy"),
        DOCUMENT,
    ),
    "gates.confirm_override": (
        _post("api/v1/overrides/<int:override_id>/confirm"),
        ("rollout", "confirm-override"),
        ("registry.GateOverride", "confirm"),
    ),
    "gates.request_override": (
        _post(f"{_ROLLOUT}/overrides"),
        ("rollout", "override"),
        ("registry.Rollout", "override"),
    ),
    "incidents.close_incident": (
        _post("api/v1/incidents/<int:incident_id>/close"),
        ("rollout", "close-incident"),
        ("registry.Incident", "close"),
    ),
    "incidents.open_incident": (
        _post("api/v1/incidents"),
        ("rollout", "open-incident"),
        ("registry.Incident", "open"),
    ),
    "nodes.change_node": (("patch", f"{_NODE}$"), ("node", "change"), DOCUMENT),
    "nodes.register_node": (
        _post("api/v1/nodes"),
        ("node", "add"),
        ("registry.Node", "register"),
    ),
    "nodes.save_sla_policies": (
        Not("one at a time over REST: save_sla_policy"),
        ("policy", "import"),
        DOCUMENT,
    ),
    "nodes.save_sla_policy": (
        _post("api/v1/sla-policies"),
        Not("a file of one policy: save_sla_policies"),
        DOCUMENT,
    ),
    "people.add_member": (HOST, ("people", "join"), HOST),
    "people.create_person": (HOST, ("people", "add"), HOST),
    "people.create_team": (HOST, ("people", "team"), HOST),
    "proposals.approve_proposal": _proposal("approve"),
    "proposals.approve_proposals": (
        _post("api/v1/proposals/approve"),
        ("proposal", "approve"),
        TOGETHER,
    ),
    "proposals.edit_proposal": (
        ("patch", _PROPOSAL),
        ("proposal", "edit"),
        ("registry.Proposal", "edit"),
    ),
    "proposals.propose_schema": (
        _post(f"{_SUBJECT}/proposals"),
        ("proposal", "create"),
        ("registry.Proposal", "propose"),
    ),
    "proposals.recheck_proposal": _proposal("recheck"),
    "proposals.reject_proposal": _proposal("reject"),
    "proposals.submit_proposal": _proposal("submit"),
    "proposals.withdraw_proposal": _proposal("withdraw"),
    "releases.change_bundle": (
        _post(f"{_BUNDLE}/change"),
        ("bundle", "change"),
        ("registry.Bundle", "alter"),
    ),
    "releases.create_bundle": (
        _post("api/v1/bundles"),
        ("bundle", "create"),
        ("registry.Bundle", "make_bundle"),
    ),
    "releases.cut_release": (
        _post(f"{_BUNDLE}/cut"),
        ("bundle", "cut"),
        ("registry.Bundle", "cut"),
    ),
    "replays.cancel_replay": (
        _post(f"{_PROPOSAL}/replay/cancel"),
        ("proposal", "cancel-replay"),
        ("registry.Proposal", "cancel_replay"),
    ),
    "replays.start_replay": _proposal("replay"),
    "rollouts.approve_promotion": _rollout("approve"),
    "rollouts.demote_rollout": _rollout("demote"),
    "rollouts.promote_ready": (WORKERS, WORKERS, WORKERS),
    "rollouts.promote_rollout": _rollout("promote"),
    "rollouts.ramp_rollout": _rollout("ramp"),
    "rollouts.roll_back_rollout": _rollout("roll-back"),
    "signing_in.change_password": (
        PASSWORD,
        PASSWORD,
        Not("the site's own page: tests/registry/test_signing_in.py"),
    ),
    "subjects.change_subject": (
        ("patch", _SUBJECT),
        ("subject", "change"),
        ("registry.Subject", "alter"),
    ),
    "subjects.create_subject": (
        _post("api/v1/subjects"),
        ("subject", "create"),
        ("registry.Subject", "make_subject"),
    ),
    "tokens.issue_consumer_token": (_post(f"{_CONSUMER}/tokens"), ("consumer", "token"), SECRET),
    "tokens.issue_personal_token": (OWN_TOKEN, ("people", "token"), SECRET),
    "tokens.revoke_token": (
        _post("api/v1/tokens/<str:prefix>/revoke"),
        ("consumer", "revoke-token"),
        ("registry.AccessToken", "revoke"),
    ),
    "versions.deprecate_version": (
        _post(f"{_SUBJECT}{_VERSION}/deprecate"),
        ("subject", "deprecate"),
        ("registry.SchemaVersion", "deprecate"),
    ),
    "versions.retire_version": (
        _post(f"{_SUBJECT}{_VERSION}/retire"),
        ("subject", "retire"),
        ("registry.SchemaVersion", "retire"),
    ),
    "waivers.end_waiver": (
        _post("api/v1/waivers/<int:waiver_id>/end"),
        ("proposal", "end-waiver"),
        ("registry.Proposal", "end_waiver"),
    ),
    "waivers.grant_waiver": (
        _post("api/v1/waivers/<int:waiver_id>/grant"),
        ("proposal", "grant-waiver"),
        ("registry.Proposal", "grant_waiver"),
    ),
    "waivers.request_waiver": (
        _post(f"{_PROPOSAL}/waivers"),
        ("proposal", "waive"),
        ("registry.Proposal", "waive"),
    ),
}
COORDINATOR: dict[str, tuple[Rest, Shell, Page]] = {
    "finishing.cancel_job": _job("cancel"),
    "limits.save_source_limit": (
        _post("api/v1/source-limits"),
        ("backfill", "limit"),
        Not("what is left out is lifted: said in one line in the shell, or over REST"),
    ),
    "planning.run_backfill": (_post("api/v1/backfills"), ("backfill", "run"), PLANNED),
    "quarantine.release_quarantine": (
        _post("api/v1/quarantine/<int:row_id>/release"),
        ("backfill", "quarantine"),
        ("coordinator.Quarantine", "release"),
    ),
    "steering.change_priority": _job("priority"),
    "steering.pause_job": _job("pause"),
    "steering.reprocess_job": _job("reprocess"),
    "steering.resume_job": _job("resume"),
}
REACHES: dict[str, tuple[Rest, Shell, Page]] = {
    **{f"registry.services.{name}": reach for name, reach in REGISTRY.items()},
    **{f"coordinator.services.{name}": reach for name, reach in COORDINATOR.items()},
    "provider.publishing.publish_artifact": (
        _post(f"{_NODE}/artifacts$"),
        ("artifact", "publish"),
        Not("a whole window is read and written while its caller waits"),
    ),
    "provider.quality_rules.set_quality_rules": (
        _post(f"{_NODE}/rules$"),
        ("node", "rules"),
        DOCUMENT,
    ),
}
