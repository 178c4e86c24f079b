"""Nodes and the SLA policies they are read under."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from unfold.decorators import display
from unfold.enums import ActionVariant
from unfold.forms import BaseDialogForm
from unfold.widgets import (
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from registry.admin.access import may_read_audit, roles_of
from registry.admin.decisions import decision
from registry.admin.panels import Panel, pretty_json
from registry.admin.readonly import ReadOnlyAdmin
from registry.errors import SeamlessError
from registry.models import Node, Role, SLAPolicyDocument
from registry.request_context import actor_of
from registry.services import nodes


class NewNodeForm(BaseDialogForm):
    """What `manage.py node add` asks for."""

    node_id = forms.CharField(max_length=300, widget=UnfoldAdminTextInputWidget)
    subject = forms.CharField(max_length=200, widget=UnfoldAdminTextInputWidget)
    interval = forms.IntegerField(
        min_value=1, widget=UnfoldAdminIntegerFieldWidget, help_text="Seconds between bars."
    )
    anchor = forms.IntegerField(initial=0, required=False, widget=UnfoldAdminIntegerFieldWidget)
    calendar = forms.CharField(
        max_length=20, required=False, widget=UnfoldAdminTextInputWidget, help_text="XNYS …"
    )
    store = forms.JSONField(
        initial={"type": "parquet"}, widget=UnfoldAdminTextareaWidget, help_text="As JSON."
    )
    series = forms.JSONField(
        required=False,
        widget=UnfoldAdminTextareaWidget,
        help_text='As JSON: [{"key": {"symbol": "AAPL"}, "since": null}], or empty.',
    )
    source = forms.JSONField(required=False, widget=UnfoldAdminTextareaWidget)
    live = forms.JSONField(
        required=False,
        widget=UnfoldAdminTextareaWidget,
        help_text='As JSON: {"type": "redis", "stream": "bars", "time": "ts"}, or empty.',
    )
    sla = forms.CharField(max_length=50, required=False, widget=UnfoldAdminTextInputWidget)
    description = forms.CharField(required=False, widget=UnfoldAdminTextInputWidget)

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        for name, kind in (("store", dict), ("source", dict), ("live", dict), ("series", list)):
            value = cleaned.get(name)
            if value is not None and not isinstance(value, kind):
                said = "an object" if kind is dict else "a list"
                self.add_error(name, f"This is JSON, but not {said}.")
        return cleaned

    def as_fields(self) -> dict[str, Any]:
        """The arguments of the service; what was left empty takes its default."""
        known = {name: value for name, value in self.cleaned_data.items() if name in self.fields}
        known.pop("_form_submitted", None)
        filled = {name: value for name, value in known.items() if value not in (None, "")}
        return {"source": {}, "anchor": 0} | filled


@admin.register(Node)
class NodeAdmin(ReadOnlyAdmin):
    """Store and source settings are for those who run or audit the node, as in the audit log."""

    list_display = ("named", "subject", "interval", "calendar", "n_series", "sla")
    list_filter = ("sla", "calendar")
    list_select_related = ("subject", "sla")
    search_fields = ("node_id", "description", "subject__name")
    ordering = ("node_id",)
    fields = ("node_id", "subject", "description", "interval", "anchor", "calendar", "sla")
    actions_list = ("register",)

    def has_register_permission(self, request: HttpRequest) -> bool:
        return Role.OWNER in roles_of(request)

    @decision(
        "Add a node",
        "One governed data set. Without series it expects those that its store holds now.",
        NewNodeForm,
        submit="Add",
        icon="add",
        variant=ActionVariant.PRIMARY,
        permission="register",
    )
    def register(self, request: HttpRequest, form: NewNodeForm) -> HttpResponse:
        try:
            node = nodes.register_node(
                actor=actor_of(request), now=timezone.now(), **form.as_fields()
            )
        except SeamlessError as refusal:
            messages.error(request, f"{refusal.title}: {refusal.detail}")
            address = reverse("admin:registry_node_changelist")
        else:
            messages.success(request, f"{node.node_id} is registered.")
            address = reverse("admin:registry_node_change", args=[node.pk])
        if "HX-Request" in request.headers:
            return HttpResponse(headers={"HX-Redirect": address})
        return HttpResponseRedirect(address)

    @display(description="Node", header=True, ordering="node_id")
    def named(self, node: Node) -> Sequence[str]:
        return node.node_id, node.description

    @display(description="Series")
    def n_series(self, node: Node) -> int:
        return len(node.series)

    def panels(self, request: HttpRequest, obj: Node) -> Sequence[Panel]:
        series = Panel(title="Expected series", code=pretty_json(obj.series))
        if not may_read_audit(request):
            return (series,)
        return (
            series,
            Panel(title="Store", code=pretty_json(obj.store)),
            Panel(title="Source", code=pretty_json(obj.source)),
            Panel(title="Live feed", code=pretty_json(obj.live)),
        )


@admin.register(SLAPolicyDocument)
class SLAPolicyAdmin(ReadOnlyAdmin):
    list_display = ("name",)
    search_fields = ("name",)
    ordering = ("name",)
    fields = ("name",)

    def panels(self, request: HttpRequest, obj: SLAPolicyDocument) -> Sequence[Panel]:
        return (Panel(title="Policy", code=pretty_json(obj.document)),)
