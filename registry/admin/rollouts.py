"""Rollouts with their gates and decisions, and the policies that the gates follow."""

from collections.abc import Collection, Sequence

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from unfold.decorators import action, display
from unfold.enums import ActionVariant
from unfold.forms import BaseDialogForm

from registry.admin.decisions import CommentForm, DecisionAdmin, ReasonForm, dialog
from registry.admin.panels import STATE_COLOURS, Panel, brief, label, moment
from registry.admin.readonly import ReadOnlyAdmin
from registry.models import GatePolicy, Mode, Rollout
from registry.services import rollouts
from registry.services.gates import gates_of

DECISIONS = {Mode.CANARY: ("approve", "promote"), Mode.STRICT: ("roll_back",)}


class LiveFilter(admin.SimpleListFilter):
    title = "life"
    parameter_name = "life"

    def lookups(self, request: HttpRequest, model_admin: object) -> list[tuple[str, str]]:
        return [("live", "Live"), ("ended", "Ended")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Rollout]) -> QuerySet[Rollout]:
        if self.value() is None:
            return queryset
        return queryset.filter(ended_at__isnull=self.value() == "live")


@admin.register(Rollout)
class RolloutAdmin(DecisionAdmin):
    list_display = ("about", "mode_label", "life", "started")
    list_filter = (LiveFilter, "mode", "bundle")
    list_select_related = ("consumer", "release__bundle")
    search_fields = ("consumer__name", "bundle__name", "release__fingerprint")
    ordering = ("-pk",)
    fields = (
        "consumer",
        "bundle",
        "release",
        "mode",
        "started_at",
        "ended_at",
        "promoted_from",
        "restores",
    )
    actions_detail = ("approve", "promote", "roll_back")

    @display(description="Rollout", header=True, ordering="pk")
    def about(self, rollout: Rollout) -> Sequence[str]:
        fingerprint = brief(rollout.release.fingerprint)
        return f"{rollout.release} for {rollout.consumer}", fingerprint

    @display(description="Mode", label=STATE_COLOURS, ordering="mode")
    def mode_label(self, rollout: Rollout) -> str:
        return rollout.mode

    @display(description="Life", label=STATE_COLOURS, ordering="ended_at")
    def life(self, rollout: Rollout) -> str:
        return "live" if rollout.ended_at is None else "ended"

    @display(description="Started", ordering="started_at")
    def started(self, rollout: Rollout) -> str:
        return moment(rollout.started_at)

    def panels(self, request: HttpRequest, obj: Rollout) -> Sequence[Panel]:
        if obj.mode != Mode.CANARY:
            return ()
        gates = (_gates(obj),) if obj.ended_at is None else ()
        return (*gates, _approvals(obj), _tallies(obj))

    def offered(self, obj: Rollout) -> Collection[str]:
        return DECISIONS[Mode(obj.mode)] if obj.ended_at is None else ()

    @action(
        description="Approve promotion",
        icon="check",
        variant=ActionVariant.SUCCESS,
        permissions=["view"],
        dialog=dialog(
            "Approve the promotion",
            "Your word that this release may block this consumer's reads. Cannot be taken back.",
            CommentForm,
            "Approve",
        ),
    )
    def approve(self, request: HttpRequest, form: CommentForm, object_id: str) -> HttpResponse:
        rollout = self.object_or_404(request, object_id)
        return self.decide(
            request,
            rollout,
            lambda actor, now: rollouts.approve_promotion(
                actor=actor, rollout_id=rollout.pk, now=now, comment=form.cleaned_data["comment"]
            ),
            lambda _: "Your approval is recorded.",
        )

    @action(
        description="Promote to strict",
        icon="upgrade",
        variant=ActionVariant.PRIMARY,
        permissions=["view"],
        dialog=dialog(
            "Promote to strict",
            "From now on this release blocks what does not conform. Refused while a gate is "
            "closed.",
            BaseDialogForm,
            "Promote",
        ),
    )
    def promote(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        rollout = self.object_or_404(request, object_id)
        return self.decide(
            request,
            rollout,
            lambda actor, now: rollouts.promote_rollout(
                actor=actor, rollout_id=rollout.pk, now=now
            ),
            lambda strict: f"Strict rollout {strict.pk} has begun.",
        )

    @action(
        description="Roll back",
        icon="history",
        variant=ActionVariant.DANGER,
        permissions=["view"],
        dialog=dialog(
            "Roll back",
            "The strict release before this one is put back at once.",
            ReasonForm,
            "Roll back",
        ),
    )
    def roll_back(self, request: HttpRequest, form: ReasonForm, object_id: str) -> HttpResponse:
        rollout = self.object_or_404(request, object_id)
        return self.decide(
            request,
            rollout,
            lambda actor, now: rollouts.roll_back_rollout(
                actor=actor, rollout_id=rollout.pk, now=now, reason=form.cleaned_data["reason"]
            ),
            lambda restored: f"{restored.release} is strict again, as rollout {restored.pk}.",
        )


@admin.register(GatePolicy)
class GatePolicyAdmin(ReadOnlyAdmin):
    list_display = (
        "named",
        "observation",
        "minimum_reads",
        "maximum_violation_rate",
        "required_approvals",
    )
    search_fields = ("name", "description")
    ordering = ("name",)

    @display(description="Gate policy", header=True, ordering="name")
    def named(self, policy: GatePolicy) -> Sequence[str]:
        return policy.name, policy.description


def _gates(rollout: Rollout) -> Panel:
    return Panel(
        title="Gates",
        headers=("Gate", "Needed", "Observed", "State"),
        rows=[
            (gate.name, gate.needed, gate.observed, label("open" if gate.ok else "closed"))
            for gate in gates_of(rollout, timezone.now())
        ],
    )


def _approvals(rollout: Rollout) -> Panel:
    approvals = rollout.approvals.select_related("approver").order_by("created_at")
    return Panel(
        title="Approvals of the promotion",
        headers=("Person", "Comment", "At"),
        rows=[(str(a.approver), a.comment, moment(a.created_at)) for a in approvals],
    )


def _tallies(rollout: Rollout) -> Panel:
    tallies = rollout.tallies.select_related("node").order_by("node__node_id")
    return Panel(
        title="What the canary has seen",
        headers=("Node", "Reads", "Rows", "Violations", "Unchecked reads"),
        rows=[(str(t.node), t.reads, t.rows, t.violations, t.unchecked) for t in tallies],
    )
