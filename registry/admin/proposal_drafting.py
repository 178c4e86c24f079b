"""What the pages of proposals offer beside reviews: drafts, revisions, the end of a waiver."""

from django.http import HttpRequest, HttpResponse

from registry.admin.decisions import DecisionAdmin, decision
from registry.admin.forms import EndedWaiverForm, NewProposalForm, SchemaForm
from registry.errors import Conflict
from registry.models import Proposal
from registry.services import proposals, waivers


class DraftingAdmin(DecisionAdmin):
    actions_list = ("propose",)

    @decision("Propose", "A draft of a subject's next version.", NewProposalForm, icon="add")
    def propose(self, request: HttpRequest, form: NewProposalForm) -> HttpResponse:
        return self.make(
            request,
            lambda actor, now: _proposed(
                proposals.propose_schema(
                    actor=actor,
                    subject=form.cleaned_data["subject"],
                    document=form.cleaned_data["schema"],
                    reason=form.cleaned_data["reason"],
                    now=now,
                )
            ),
            lambda made: f"Proposal {made.pk} is a draft.",
        )

    @decision(
        "Edit",
        "Another revision: a draft again, and every approval so far expires.",
        SchemaForm,
        icon="edit",
    )
    def edit(self, request: HttpRequest, form: SchemaForm, object_id: str) -> HttpResponse:
        obj = self.object_or_404(request, object_id)
        given = form.cleaned_data
        return self.decide(
            request,
            obj,
            lambda actor, now: proposals.edit_proposal(
                actor=actor,
                proposal_id=obj.pk,
                document=given["schema"],
                reason=given["reason"],
                now=now,
            ),
            lambda edited: f"Proposal {edited.pk} is at revision {edited.revision}.",
        )

    @decision(
        "End a waiver",
        "The rule holds again for this change, at once.",
        EndedWaiverForm,
        submit="End it",
        icon="gavel",
    )
    def end_waiver(
        self, request: HttpRequest, form: EndedWaiverForm, object_id: str
    ) -> HttpResponse:
        obj = self.object_or_404(request, object_id)
        given = form.cleaned_data
        return self.decide(
            request,
            obj,
            lambda actor, now: waivers.end_waiver(
                actor=actor, waiver_id=given["waiver"], reason=given["reason"], now=now
            ),
            lambda waiver: f"Waiver {waiver.pk} of {waiver.rule} has ended.",
        )


def _proposed(outcome: proposals.Proposed) -> Proposal:
    if outcome.proposal is None:
        raise Conflict(f"{outcome.version} has this very content already.")
    return outcome.proposal
