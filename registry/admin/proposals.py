"""Proposals: what a reviewer must see, and the decisions."""

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta

from django import forms
from django.contrib import admin
from django.http import Http404, HttpRequest, HttpResponse
from django.template.defaultfilters import truncatechars
from unfold.decorators import display
from unfold.enums import ActionVariant
from unfold.forms import BaseDialogForm
from unfold.widgets import (
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextInputWidget,
)

from registry.admin.decisions import CommentForm, ReasonForm, decision
from registry.admin.panels import STATE_COLOURS, Panel, moment, pretty_json
from registry.admin.proposal_drafting import DraftingAdmin
from registry.admin.proposal_evidence import difference, open_waivers, replayed, touched, waived
from registry.admin.proposal_panels import (
    changes_of,
    lint_panel,
    reviews_of,
    summary,
    verdict_of,
    witness_panels,
)
from registry.models import Proposal, ProposalState, ReplayState, SchemaVersion, WaivedRule
from registry.services import proposals, replays, waivers

DECISIONS: Mapping[str, tuple[str, ...]] = {
    ProposalState.DRAFT: (
        "submit",
        "edit",
        "recheck",
        "replay",
        "cancel_replay",
        "waive",
        "withdraw",
    ),
    ProposalState.IN_REVIEW: (
        "approve",
        "reject",
        "edit",
        "recheck",
        "replay",
        "cancel_replay",
        "waive",
        "withdraw",
    ),
}


class ApprovalForm(CommentForm):
    team = forms.CharField(
        required=False,
        max_length=50,
        widget=UnfoldAdminTextInputWidget,
        help_text="For which of your teams you speak, where more than one must approve.",
    )


class ReplayForm(BaseDialogForm):
    days = forms.IntegerField(
        min_value=1,
        max_value=replays.MOST_DAYS,
        initial=replays.DEFAULT_DAYS,
        widget=UnfoldAdminIntegerFieldWidget,
        help_text="How many days of stored rows.",
    )


class WaiverForm(ReasonForm):
    rule = forms.ChoiceField(choices=WaivedRule.choices, widget=UnfoldAdminSelectWidget)
    days = forms.IntegerField(
        min_value=1,
        max_value=waivers.LONGEST.days,
        initial=7,
        widget=UnfoldAdminIntegerFieldWidget,
        help_text="It ends by itself after so many days.",
    )


@admin.register(Proposal)
class ProposalAdmin(DraftingAdmin):
    list_display = ("about", "state_label", "verdict", "author", "created")
    list_filter = ("state", ("subject__owner_team", admin.RelatedOnlyFieldListFilter))
    list_select_related = ("subject", "author")
    search_fields = ("subject__name", "author__username", "reason", "content__fingerprint")
    ordering = ("-pk",)
    fields = ("subject", "fingerprint", "resolved_fingerprint", "created_at", "decided_at")
    readonly_fields = ("fingerprint",)
    actions_detail = (
        "submit",
        "approve",
        "reject",
        "replay",
        "cancel_replay",
        "waive",
        "grant_waiver",
        "end_waiver",
        "edit",
        "recheck",
        "withdraw",
    )

    @display(description="Proposal", header=True, ordering="pk")
    def about(self, proposal: Proposal) -> Sequence[str]:
        return f"{proposal.pk} · {proposal.subject}", truncatechars(proposal.reason, 80)

    @display(description="State", label=STATE_COLOURS, ordering="state")
    def state_label(self, proposal: Proposal) -> tuple[str, str]:
        return proposal.state, proposal.get_state_display()

    @display(description="Compatibility", label=STATE_COLOURS)
    def verdict(self, proposal: Proposal) -> tuple[str, str]:
        verdict = verdict_of(proposal.compatibility_report)
        return verdict, verdict.replace("_", " ")

    @display(description="Created", ordering="created_at")
    def created(self, proposal: Proposal) -> str:
        return moment(proposal.created_at)

    @display(description="Fingerprint")
    def fingerprint(self, proposal: Proposal) -> str:
        return proposal.content.fingerprint

    def panels(self, request: HttpRequest, obj: Proposal) -> Sequence[Panel]:
        report = obj.compatibility_report
        return (
            summary(obj),
            *witness_panels(report),
            changes_of(report),
            difference(obj),
            *touched(obj),
            *replayed(obj),
            *waived(obj),
            reviews_of(obj),
            lint_panel(obj.lint),
            Panel(title="Schema", code=pretty_json(obj.content.document)),
        )

    def offered(self, obj: Proposal) -> Collection[str]:
        decisions = set(DECISIONS.get(obj.state, ()))
        if not decisions:
            return ()
        running = obj.replays.filter(state=ReplayState.RUNNING).exists()
        decisions.discard("replay" if running else "cancel_replay")
        if open_waivers(obj):
            decisions.add("grant_waiver")
        if obj.waivers.filter(ended_at__isnull=True).exists():
            decisions.add("end_waiver")
        return decisions

    @decision(
        "Submit for review",
        "Reviewers are asked to decide. Refused unless the proposal is compatible.",
        BaseDialogForm,
        submit="Submit",
        icon="send",
        variant=ActionVariant.PRIMARY,
    )
    def submit(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        proposal = self.object_or_404(request, object_id)
        return self.decide(
            request,
            proposal,
            lambda actor, now: proposals.submit_proposal(
                actor=actor, proposal_id=proposal.pk, now=now
            ),
            lambda _: f"Proposal {proposal.pk} is in review.",
        )

    @decision(
        "Approve this proposal",
        "The last approval needed makes the next version and offers it to every subscribed "
        "consumer as a canary. It cannot be taken back.",
        ApprovalForm,
        submit="Approve",
        icon="check",
        variant=ActionVariant.SUCCESS,
        button="Approve",
    )
    def approve(self, request: HttpRequest, form: ApprovalForm, object_id: str) -> HttpResponse:
        proposal = self.object_or_404(request, object_id)
        return self.decide(
            request,
            proposal,
            lambda actor, now: proposals.approve_proposal(
                actor=actor,
                proposal_id=proposal.pk,
                now=now,
                comment=form.cleaned_data["comment"],
                team=form.cleaned_data["team"],
            ),
            _approved,
        )

    @decision(
        "Reject this proposal",
        "One rejection ends the proposal. The author reads the reason.",
        ReasonForm,
        submit="Reject",
        icon="close",
        variant=ActionVariant.DANGER,
        button="Reject",
    )
    def reject(self, request: HttpRequest, form: ReasonForm, object_id: str) -> HttpResponse:
        proposal = self.object_or_404(request, object_id)
        return self.decide(
            request,
            proposal,
            lambda actor, now: proposals.reject_proposal(
                actor=actor, proposal_id=proposal.pk, now=now, comment=form.cleaned_data["reason"]
            ),
            lambda _: f"Proposal {proposal.pk} is rejected.",
        )

    @decision(
        "Check this proposal again",
        "Versions and the subject's level may have changed since it was judged.",
        BaseDialogForm,
        submit="Check",
        icon="refresh",
        button="Check again",
    )
    def recheck(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        proposal = self.object_or_404(request, object_id)
        return self.decide(
            request,
            proposal,
            lambda actor, now: proposals.recheck_proposal(
                actor=actor, proposal_id=proposal.pk, now=now
            ),
            lambda judged: f"Proposal {proposal.pk} is {judged.verdict.replace('_', ' ')}.",
        )

    @decision(
        "Replay stored rows",
        "Workers judge the candidate by the stored rows of the subject's nodes.",
        ReplayForm,
        submit="Replay",
        icon="replay",
        button="Replay",
    )
    def replay(self, request: HttpRequest, form: ReplayForm, object_id: str) -> HttpResponse:
        proposal = self.object_or_404(request, object_id)
        return self.decide(
            request,
            proposal,
            lambda actor, now: replays.start_replay(
                actor=actor, proposal_id=proposal.pk, now=now, days=form.cleaned_data["days"]
            ),
            lambda run: f"Replay {run.pk} waits for a worker; load the page again to see it.",
        )

    @decision(
        "Cancel the replay",
        "It stops at its next table.",
        CommentForm,
        submit="Cancel it",
        icon="stop_circle",
    )
    def cancel_replay(
        self, request: HttpRequest, form: CommentForm, object_id: str
    ) -> HttpResponse:
        proposal = self.object_or_404(request, object_id)
        return self.decide(
            request,
            proposal,
            lambda actor, now: replays.cancel_replay(
                actor=actor,
                proposal_id=proposal.pk,
                now=now,
                reason=form.cleaned_data["comment"],
            ),
            lambda run: f"Replay {run.pk} is cancelled.",
        )

    @decision(
        "Suspend a rule for this change",
        "Another person must grant it, and neither of you wrote the proposal. It ends by "
        "itself, at the latest with this content.",
        WaiverForm,
        submit="Ask",
        icon="gavel",
        button="Ask for a waiver",
    )
    def waive(self, request: HttpRequest, form: WaiverForm, object_id: str) -> HttpResponse:
        proposal = self.object_or_404(request, object_id)
        asked = form.cleaned_data
        return self.decide(
            request,
            proposal,
            lambda actor, now: waivers.request_waiver(
                actor=actor,
                proposal_id=proposal.pk,
                rule=asked["rule"],
                reason=asked["reason"],
                expires_at=now + timedelta(days=asked["days"]),
                now=now,
            ),
            lambda waiver: f"Waiver {waiver.pk} waits for another person to grant it.",
        )

    @decision(
        "Grant the waiver",
        "The rule is suspended for this content until the waiver ends. Yours is the second "
        "name on it.",
        CommentForm,
        submit="Grant",
        icon="gavel",
        variant=ActionVariant.WARNING,
    )
    def grant_waiver(self, request: HttpRequest, form: CommentForm, object_id: str) -> HttpResponse:
        proposal = self.object_or_404(request, object_id)
        waiting = open_waivers(proposal)
        if not waiting:
            raise Http404("No waiver waits on this proposal.")
        return self.decide(
            request,
            proposal,
            lambda actor, now: waivers.grant_waiver(
                actor=actor,
                waiver_id=waiting[0].pk,
                now=now,
                comment=form.cleaned_data["comment"],
            ),
            lambda waiver: f"Waiver {waiver.pk} of {waiver.rule} is granted.",
        )

    @decision(
        "Withdraw this proposal",
        "The proposal ends without a decision. A new one can be made at any time.",
        BaseDialogForm,
        submit="Withdraw",
        icon="undo",
        button="Withdraw",
    )
    def withdraw(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        proposal = self.object_or_404(request, object_id)
        return self.decide(
            request,
            proposal,
            lambda actor, now: proposals.withdraw_proposal(
                actor=actor, proposal_id=proposal.pk, now=now
            ),
            lambda _: f"Proposal {proposal.pk} is withdrawn.",
        )


def _approved(version: SchemaVersion | None) -> str:
    if version is None:
        return "Your approval is recorded; the proposal needs more of them."
    return f"{version} is approved and offered to every subscribed consumer as a canary."
