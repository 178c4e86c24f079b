"""What decides about a gate: policies, overrides of two people, incidents."""

from collections.abc import Collection, Sequence

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from unfold.decorators import display
from unfold.enums import ActionVariant
from unfold.forms import BaseDialogForm

from registry.admin.decisions import DecisionAdmin, ReasonForm, decision
from registry.admin.forms import NewIncidentForm
from registry.admin.panels import BAD, PLAIN, STATE_COLOURS, moment
from registry.admin.readonly import ReadOnlyAdmin
from registry.models import GateOverride, GatePolicy, Incident
from registry.services import gates, incidents


@admin.register(GateOverride)
class GateOverrideAdmin(DecisionAdmin):
    list_display = ("about", "asked_by", "state", "expires")
    list_select_related = (
        "rollout__consumer",
        "rollout__release__bundle",
        "requested_by",
        "confirmed_by",
    )
    search_fields = ("rollout__consumer__name", "reason")
    ordering = ("-pk",)
    actions_detail = ("confirm",)

    @display(description="Override", header=True, ordering="pk")
    def about(self, override: GateOverride) -> Sequence[str]:
        return str(override.rollout), override.reason

    @display(description="Asked by", ordering="requested_by")
    def asked_by(self, override: GateOverride) -> str:
        return str(override.requested_by)

    @display(description="State", label=STATE_COLOURS)
    def state(self, override: GateOverride) -> str:
        if override.expires_at <= timezone.now():
            return "expired"
        return "active" if override.confirmed_at else "pending"

    @display(description="Expires", ordering="expires_at")
    def expires(self, override: GateOverride) -> str:
        return moment(override.expires_at)

    def offered(self, obj: GateOverride) -> Collection[str]:
        return ("confirm",) if obj.confirmed_at is None else ()

    @decision(
        "Confirm the override",
        "You are the second person: until it expires, the gates of this rollout do not count.",
        BaseDialogForm,
        submit="Confirm",
        icon="check",
        variant=ActionVariant.DANGER,
        button="Confirm",
    )
    def confirm(self, request: HttpRequest, form: BaseDialogForm, object_id: str) -> HttpResponse:
        override = self.object_or_404(request, object_id)
        return self.decide(
            request,
            override,
            lambda actor, now: gates.confirm_override(
                actor=actor, override_id=override.pk, now=now
            ),
            lambda _: "The override is confirmed.",
        )


@admin.register(Incident)
class IncidentAdmin(DecisionAdmin):
    list_display = ("about", "place", "state", "count", "last_seen")
    list_filter = (("bundle", admin.RelatedOnlyFieldListFilter),)
    list_select_related = ("consumer", "bundle", "release__bundle", "node", "opened_by")
    search_fields = ("consumer__name", "bundle__name", "reason")
    ordering = ("-pk",)
    actions_list = ("open",)
    actions_detail = ("close",)

    @decision(
        "Open an incident",
        "While it is open, nothing of the bundle becomes strict for the consumer by the gates.",
        NewIncidentForm,
        submit="Open",
        icon="add",
    )
    def open(self, request: HttpRequest, form: NewIncidentForm) -> HttpResponse:
        return self.make(
            request,
            lambda actor, now: incidents.open_incident(
                actor=actor,
                consumer=form.cleaned_data["consumer"],
                bundle=form.cleaned_data["bundle"],
                reason=form.cleaned_data["reason"],
                now=now,
            ),
            lambda incident: f"Incident {incident.pk} is open.",
        )

    @display(description="Incident", header=True, ordering="pk")
    def about(self, incident: Incident) -> Sequence[str]:
        return f"{incident.consumer} on {incident.bundle}", incident.reason

    @display(description="Where", empty_value="opened by a person")
    def place(self, incident: Incident) -> str | None:
        return None if incident.node is None else f"{incident.node} under {incident.release}"

    @display(description="State", label={"open": BAD, "closed": PLAIN})
    def state(self, incident: Incident) -> str:
        return "open" if incident.closed_at is None else "closed"

    @display(description="Last seen", ordering="last_seen_at")
    def last_seen(self, incident: Incident) -> str:
        return moment(incident.last_seen_at)

    def offered(self, obj: Incident) -> Collection[str]:
        return ("close",) if obj.closed_at is None else ()

    @decision(
        "Close the incident",
        "It no longer keeps a gate closed.",
        ReasonForm,
        submit="Close",
        icon="task_alt",
        variant=ActionVariant.PRIMARY,
        button="Close",
    )
    def close(self, request: HttpRequest, form: ReasonForm, object_id: str) -> HttpResponse:
        incident = self.object_or_404(request, object_id)
        return self.decide(
            request,
            incident,
            lambda actor, now: incidents.close_incident(
                actor=actor, incident_id=incident.pk, reason=form.cleaned_data["reason"], now=now
            ),
            lambda _: "The incident is closed.",
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
