"""Rollouts with their gates and decisions."""

from collections.abc import Collection, Sequence
from datetime import timedelta

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from unfold.decorators import display
from unfold.enums import ActionVariant
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminIntegerFieldWidget

from registry.admin.decisions import CommentForm, DecisionAdmin, ReasonForm, decision
from registry.admin.panels import STATE_COLOURS, Panel, brief, label, link, moment
from registry.models import Mode, Rollout
from registry.services import gates, rollouts

DECISIONS = {
    Mode.CANARY: ("approve", "promote", "ramp", "override"),
    Mode.STRICT: ("roll_back", "demote"),
}


class RampForm(BaseDialogForm):
    percent = forms.IntegerField(min_value=0, max_value=99, widget=UnfoldAdminIntegerFieldWidget)


class OverrideForm(ReasonForm):
    hours = forms.IntegerField(
        min_value=1, max_value=168, initial=24, widget=UnfoldAdminIntegerFieldWidget
    )


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
    list_display = ("about", "mode_label", "ramped", "life", "started")
    list_filter = (LiveFilter, "mode", ("bundle", admin.RelatedOnlyFieldListFilter))
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
        "ramp_percent",
        "promoted_from",
        "restores",
    )
    actions_detail = ("approve", "promote", "ramp", "override", "roll_back", "demote")

    @display(description="Rollout", header=True, ordering="pk")
    def about(self, rollout: Rollout) -> Sequence[str]:
        fingerprint = brief(rollout.release.fingerprint)
        return f"{rollout.release} for {rollout.consumer}", fingerprint

    @display(description="Mode", label=STATE_COLOURS, ordering="mode")
    def mode_label(self, rollout: Rollout) -> str:
        return rollout.mode

    @display(description="Ramp", ordering="ramp_percent", empty_value="")
    def ramped(self, rollout: Rollout) -> str | None:
        return f"{rollout.ramp_percent} %" if rollout.ramp_percent else None

    @display(description="Life", label=STATE_COLOURS, ordering="ended_at")
    def life(self, rollout: Rollout) -> str:
        return "live" if rollout.ended_at is None else "ended"

    @display(description="Started", ordering="started_at")
    def started(self, rollout: Rollout) -> str:
        return moment(rollout.started_at)

    def panels(self, request: HttpRequest, obj: Rollout) -> Sequence[Panel]:
        if obj.mode != Mode.CANARY:
            return ()
        live = (_gates(obj),) if obj.ended_at is None else ()
        return (*live, _approvals(obj), _overrides(obj), _tallies(obj))

    def offered(self, obj: Rollout) -> Collection[str]:
        return DECISIONS[Mode(obj.mode)] if obj.ended_at is None else ()

    @decision(
        "Approve the promotion",
        "Your word that this release may block this consumer's reads. Cannot be taken back.",
        CommentForm,
        submit="Approve",
        icon="check",
        variant=ActionVariant.SUCCESS,
        button="Approve promotion",
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

    @decision(
        "Promote to strict",
        "From now on this release blocks what does not conform. Refused while a gate is closed.",
        BaseDialogForm,
        submit="Promote",
        icon="upgrade",
        variant=ActionVariant.PRIMARY,
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

    @decision(
        "Roll back",
        "The strict release before this one is put back at once.",
        ReasonForm,
        icon="history",
        variant=ActionVariant.DANGER,
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

    @decision(
        "Judge a share as strict",
        "That share of this consumer's requests is blocked by this release; the rest stays "
        "under the strict release before it. More than now is refused while a gate is closed.",
        RampForm,
        submit="Ramp",
        icon="trending_up",
        variant=ActionVariant.PRIMARY,
        button="Ramp",
    )
    def ramp(self, request: HttpRequest, form: RampForm, object_id: str) -> HttpResponse:
        rollout = self.object_or_404(request, object_id)
        return self.decide(
            request,
            rollout,
            lambda actor, now: rollouts.ramp_rollout(
                actor=actor, rollout_id=rollout.pk, percent=form.cleaned_data["percent"], now=now
            ),
            lambda canary: f"It judges {canary.ramp_percent} % of the requests as strict.",
        )

    @decision(
        "Override the gates",
        "The gates do not count for so many hours, once another person has confirmed it.",
        OverrideForm,
        submit="Ask for it",
        icon="lock_open",
        variant=ActionVariant.DANGER,
    )
    def override(self, request: HttpRequest, form: OverrideForm, object_id: str) -> HttpResponse:
        rollout = self.object_or_404(request, object_id)
        return self.decide(
            request,
            rollout,
            lambda actor, now: gates.request_override(
                actor=actor,
                rollout_id=rollout.pk,
                reason=form.cleaned_data["reason"],
                expires_at=now + timedelta(hours=form.cleaned_data["hours"]),
                now=now,
            ),
            lambda override: f"Override {override.pk} waits for another person.",
        )

    @decision(
        "Demote to canary",
        "This release is mirrored again; the strict release before it, if any, is put back.",
        ReasonForm,
        submit="Demote",
        icon="undo",
        variant=ActionVariant.DANGER,
    )
    def demote(self, request: HttpRequest, form: ReasonForm, object_id: str) -> HttpResponse:
        rollout = self.object_or_404(request, object_id)
        return self.decide(
            request,
            rollout,
            lambda actor, now: rollouts.demote_rollout(
                actor=actor, rollout_id=rollout.pk, now=now, reason=form.cleaned_data["reason"]
            ),
            lambda canary: f"{canary.release} is a canary again, as rollout {canary.pk}.",
        )


def _gates(rollout: Rollout) -> Panel:
    return Panel(
        title="Gates",
        headers=("Gate", "Needed", "Observed", "State"),
        rows=[
            (gate.name, gate.needed, gate.observed, label("open" if gate.ok else "closed"))
            for gate in gates.gates_of(rollout, timezone.now())
        ],
    )


def _approvals(rollout: Rollout) -> Panel:
    approvals = rollout.approvals.select_related("approver").order_by("created_at")
    return Panel(
        title="Approvals of the promotion",
        headers=("Person", "Comment", "At"),
        rows=[(str(a.approver), a.comment, moment(a.created_at)) for a in approvals],
    )


def _overrides(rollout: Rollout) -> Panel:
    asked = rollout.overrides.select_related("requested_by", "confirmed_by").order_by("-pk")
    return Panel(
        title="Overrides of the gates",
        headers=("Asked by", "Confirmed by", "Reason", "Expires"),
        rows=[
            (
                link(o, str(o.requested_by)),
                str(o.confirmed_by or ""),
                o.reason,
                moment(o.expires_at),
            )
            for o in asked
        ],
    )


def _tallies(rollout: Rollout) -> Panel:
    tallies = rollout.tallies.select_related("node").order_by("node__node_id")
    return Panel(
        title="What the canary has seen",
        headers=("Node", "Reads", "Rows", "Violations", "Unchecked reads"),
        rows=[(str(t.node), t.reads, t.rows, t.violations, t.unchecked) for t in tallies],
    )
