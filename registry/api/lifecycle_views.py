"""Subjects, proposals and versions over HTTP."""

import json
from typing import Any

from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from registry.api import inputs, representations
from registry.api.governing import GovernanceView, body_of, selected
from registry.api.pages import page_of
from registry.models import Proposal, SchemaVersion, Subject
from registry.request_context import actor_of
from registry.services import impact, proposals, replays, subjects, versions, waivers
from registry.services.open_proposals import proposal_numbered
from registry.services.visibility import require_visible, visible
from registry.sunsets import sunset_headers

CREATED, ACCEPTED = 201, 202


class Subjects(GovernanceView):
    def get(self, request: Request) -> Response:
        wanted = selected(request, inputs.SubjectListing, team="owner_team__name")
        found = Subject.objects.filter(**wanted).select_related("owner_team")
        found = visible(actor_of(request), found.prefetch_related("approval_teams__team"))
        page, following = page_of(request, found, key="name", descending=False)
        shown = [representations.subject_json(one) for one in page]
        return Response({"subjects": shown, "next": following})

    def post(self, request: Request) -> Response:
        fields = body_of(request, inputs.NewSubject)
        subject = subjects.create_subject(actor=actor_of(request), now=timezone.now(), **fields)
        return Response(representations.subject_json(subject), status=CREATED)


class SubjectDetail(GovernanceView):
    def get(self, request: Request, subject: str) -> Response:
        found = subjects.subject_named(subject)
        states = found.versions.order_by("number").values("number", "state", "sunset_at")
        return Response(representations.subject_json(found) | {"versions": list(states)})

    def patch(self, request: Request, subject: str) -> Response:
        changed = subjects.change_subject(
            actor=actor_of(request),
            name=subject,
            now=timezone.now(),
            **body_of(request, inputs.SubjectChange),
        )
        return Response(representations.subject_json(changed))


class Versions(GovernanceView):
    def get(self, request: Request, subject: str, number: int) -> Response:
        return _version(versions.version_numbered(subject, number))


class DeprecateVersion(GovernanceView):
    def post(self, request: Request, subject: str, number: int) -> Response:
        version = versions.deprecate_version(
            actor=actor_of(request),
            subject=subject,
            number=number,
            now=timezone.now(),
            **body_of(request, inputs.Deprecation),
        )
        return _version(version)


class RetireVersion(GovernanceView):
    def post(self, request: Request, subject: str, number: int) -> Response:
        version = versions.retire_version(
            actor=actor_of(request),
            subject=subject,
            number=number,
            now=timezone.now(),
            **body_of(request, inputs.Reason),
        )
        return _version(version)


class SubjectProposals(GovernanceView):
    def post(self, request: Request, subject: str) -> Response:
        outcome = proposals.propose_schema(
            actor=actor_of(request), subject=subject, now=timezone.now(), **_proposed(request)
        )
        if outcome.proposal is None:
            assert outcome.version is not None
            return Response(representations.version_json(outcome.version))
        return Response(representations.proposal_json(outcome.proposal), status=CREATED)


class Proposals(GovernanceView):
    """The newest first."""

    def get(self, request: Request) -> Response:
        wanted = selected(
            request,
            inputs.ProposalListing,
            subject="subject__name",
            state="state",
            author="author__username",
        )
        found = Proposal.objects.filter(**wanted).select_related("subject", "author")
        page, following = page_of(request, visible(actor_of(request), found))
        shown = [representations.proposal_line(one) for one in page]
        return Response({"proposals": shown, "next": following})


class ProposalDetail(GovernanceView):
    def get(self, request: Request, proposal_id: int) -> Response:
        return _proposal(proposal_id)

    def patch(self, request: Request, proposal_id: int) -> Response:
        proposals.edit_proposal(
            actor=actor_of(request),
            proposal_id=proposal_id,
            now=timezone.now(),
            **_proposed(request),
        )
        return _proposal(proposal_id)


class SubmitProposal(GovernanceView):
    def post(self, request: Request, proposal_id: int) -> Response:
        proposals.submit_proposal(
            actor=actor_of(request), proposal_id=proposal_id, now=timezone.now()
        )
        return _proposal(proposal_id)


class RecheckProposal(GovernanceView):
    def post(self, request: Request, proposal_id: int) -> Response:
        proposals.recheck_proposal(
            actor=actor_of(request), proposal_id=proposal_id, now=timezone.now()
        )
        return _proposal(proposal_id)


class ApproveProposal(GovernanceView):
    def post(self, request: Request, proposal_id: int) -> Response:
        version = proposals.approve_proposal(
            actor=actor_of(request),
            proposal_id=proposal_id,
            now=timezone.now(),
            **body_of(request, inputs.Review),
        )
        shown = None if version is None else representations.version_json(version)
        return Response({"version": shown})


class ApproveTogether(GovernanceView):
    """Several proposals at once: what comes of them is one release of each bundle."""

    def post(self, request: Request) -> Response:
        fields, actor = body_of(request, inputs.JointReview), actor_of(request)
        wanted = fields.pop("proposals")
        require_visible(actor, Proposal, wanted)
        versions = proposals.approve_proposals(
            actor=actor,
            proposal_ids=wanted,
            now=timezone.now(),
            **fields,
        )
        made = [representations.version_json(version) for version in versions if version]
        return Response({"versions": made})


class RejectProposal(GovernanceView):
    def post(self, request: Request, proposal_id: int) -> Response:
        fields = body_of(request, inputs.Rejection)
        proposals.reject_proposal(
            actor=actor_of(request),
            proposal_id=proposal_id,
            now=timezone.now(),
            comment=fields["reason"],
            team=fields["team"],
        )
        return _proposal(proposal_id)


class WithdrawProposal(GovernanceView):
    def post(self, request: Request, proposal_id: int) -> Response:
        proposals.withdraw_proposal(
            actor=actor_of(request),
            proposal_id=proposal_id,
            now=timezone.now(),
            **body_of(request, inputs.OptionalReason),
        )
        return _proposal(proposal_id)


class ProposalDiff(GovernanceView):
    def get(self, request: Request, proposal_id: int) -> Response:
        return Response(representations.diff_json(proposal_numbered(proposal_id)))


class ProposalImpact(GovernanceView):
    def get(self, request: Request, proposal_id: int) -> Response:
        found = impact.impact_of(proposal_numbered(proposal_id), now=timezone.now())
        return Response(found.to_dict())


class ProposalReplay(GovernanceView):
    """The newest replay's report; POST starts one, which workers run."""

    def get(self, request: Request, proposal_id: int) -> Response:
        run = replays.replay_numbered(proposal_numbered(proposal_id))
        return Response(replays.report_of(run))

    def post(self, request: Request, proposal_id: int) -> Response:
        fields = body_of(request, inputs.NewReplay)
        wait = fields.pop("wait")
        run = replays.start_replay(
            actor=actor_of(request), proposal_id=proposal_id, now=timezone.now(), **fields
        )
        for _progress in replays.run_replays(clock=timezone.now, seconds=wait, run_id=run.pk):
            pass
        return Response(replays.report_of(run), status=ACCEPTED)


class CancelReplay(GovernanceView):
    def post(self, request: Request, proposal_id: int) -> Response:
        run = replays.cancel_replay(
            actor=actor_of(request),
            proposal_id=proposal_id,
            now=timezone.now(),
            **body_of(request, inputs.OptionalReason),
        )
        return Response(replays.report_of(run))


class ProposalWaivers(GovernanceView):
    def get(self, request: Request, proposal_id: int) -> Response:
        found = proposal_numbered(proposal_id).waivers.select_related(
            "requested_by", "granted_by", "proposal"
        )
        now = timezone.now()
        return Response(
            {"waivers": [representations.waiver_json(w, now) for w in found.order_by("pk")]}
        )

    def post(self, request: Request, proposal_id: int) -> Response:
        now = timezone.now()
        waiver = waivers.request_waiver(
            actor=actor_of(request),
            proposal_id=proposal_id,
            now=now,
            **body_of(request, inputs.NewWaiver),
        )
        return Response(representations.waiver_json(waiver, now), status=CREATED)


class GrantWaiver(GovernanceView):
    def post(self, request: Request, waiver_id: int) -> Response:
        now = timezone.now()
        waiver = waivers.grant_waiver(
            actor=actor_of(request),
            waiver_id=waiver_id,
            now=now,
            **body_of(request, inputs.Comment),
        )
        return Response(representations.waiver_json(waiver, now))


class EndWaiver(GovernanceView):
    def post(self, request: Request, waiver_id: int) -> Response:
        now = timezone.now()
        waiver = waivers.end_waiver(
            actor=actor_of(request), waiver_id=waiver_id, now=now, **body_of(request, inputs.Reason)
        )
        return Response(representations.waiver_json(waiver, now))


def _proposed(request: Request) -> dict[str, Any]:
    fields = body_of(request, inputs.NewProposal)
    schema = fields.pop("schema")
    return fields | {"document": schema if isinstance(schema, str) else json.dumps(schema)}


def _proposal(proposal_id: int) -> Response:
    return Response(representations.proposal_json(proposal_numbered(proposal_id)))


def _version(version: SchemaVersion) -> Response:
    headers = {"ETag": f'"{version.content.fingerprint}"'}
    headers |= sunset_headers(version.deprecated_at, version.sunset_at)
    return Response(representations.version_json(version), headers=headers)
