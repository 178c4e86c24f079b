"""Exports of the audit log: asked for in a dialog, their progress, their file until it expires."""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.decorators import display
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from registry.admin.access import AUDITORS
from registry.admin.panels import STATE_COLOURS, Panel, label, moment
from registry.admin.readonly import ReadOnlyAdmin
from registry.audit.events import OUTCOMES
from registry.audit.selection import Selection
from registry.errors import SeamlessError
from registry.models import AuditExport, ExportState
from registry.request_context import actor_of
from registry.services.audit.export_requests import request_export
from registry.services.audit.exporting import FORMATS, Extent

FORMAT_NAMES = {
    "bundle": "Bundle (zip with proofs, keys and a verifier)",
    "jsonl": "JSON Lines (the hashed bytes)",
    "csv": "CSV",
    "parquet": "Parquet",
    "ocsf": "OCSF JSON",
}
REFRESH_SECONDS = 2
UNFINISHED = (ExportState.QUEUED, ExportState.RUNNING)


def _text(what: str) -> forms.CharField:
    return forms.CharField(
        required=False, max_length=511, label=what, widget=UnfoldAdminTextInputWidget
    )


def _time(what: str) -> forms.DateTimeField:
    picker = UnfoldAdminTextInputWidget(attrs={"type": "datetime-local", "step": "1"})
    return forms.DateTimeField(required=False, label=what, widget=picker)


class ExportForm(BaseDialogForm):
    """What `Selection` knows; all of it may stay empty."""

    format = forms.ChoiceField(
        choices=[(name, FORMAT_NAMES[name]) for name in FORMAT_NAMES],
        widget=UnfoldAdminSelectWidget,
    )
    since = _time("From (UTC)")
    until = _time("Before (UTC)")
    actor = _text("Actor")
    action = _text("Action")
    object = _text("Object (type or type:id)")
    outcome = forms.ChoiceField(
        required=False,
        choices=[("", "any"), *((outcome, outcome) for outcome in OUTCOMES)],
        widget=UnfoldAdminSelectWidget,
    )
    consumer = _text("Consumer")
    correlation_id = _text("Correlation id")

    def selection(self) -> Selection:
        known = [field.name for field in fields(Selection) if field.name in self.cleaned_data]
        given = {name: self.cleaned_data[name] for name in known}
        return Selection(**{name: value for name, value in given.items() if value})


def ask_for_export(request: HttpRequest, form: ExportForm) -> HttpResponse:
    """Leave it to a worker and show its page; a refusal is told on the log's page."""
    try:
        export = request_export(
            actor=actor_of(request),
            extent=Extent(form.selection()),
            format=form.cleaned_data["format"],
            now=timezone.now(),
        )
    except SeamlessError as refusal:
        messages.error(request, f"{refusal.title}: {refusal.detail}")
        address = reverse("admin:registry_auditevent_changelist")
    else:
        messages.success(request, "A worker writes the export; this page follows it.")
        address = reverse("admin:registry_auditexport_change", args=[export.pk])
    return HttpResponse(headers={"HX-Redirect": address})


@admin.register(AuditExport)
class AuditExportAdmin(ReadOnlyAdmin):
    viewers = AUDITORS
    list_display = ("what", "state_label", "progress", "requested_by", "asked", "expires", "file")
    list_select_related = ("requested_by",)
    ordering = ("-pk",)
    fields = ("format", "size", "requested_by", "created_at", "finished_at", "attempt")

    @display(description="Export", header=True)
    def what(self, export: AuditExport) -> Sequence[str]:
        return str(export), _filter_of(export)

    @display(description="State", label=STATE_COLOURS)
    def state_label(self, export: AuditExport) -> str:
        return export.state

    @display(description="Progress")
    def progress(self, export: AuditExport) -> SafeString:
        return _progress(export)

    @display(description="Asked for", ordering="created_at")
    def asked(self, export: AuditExport) -> str:
        return moment(export.created_at)

    @display(description="Expires", ordering="expires_at")
    def expires(self, export: AuditExport) -> str:
        return moment(export.expires_at)

    @display(description="File")
    def file(self, export: AuditExport) -> SafeString | str:
        return _file(export)

    def panels(self, request: HttpRequest, obj: AuditExport) -> Sequence[Panel]:
        shown = Panel(
            title="At a glance",
            headers=("State", "Progress", "File", "Expires"),
            rows=[(label(obj.state), _progress(obj), _file(obj), moment(obj.expires_at))],
        )
        asked = Panel(title="What was asked for", note=_filter_of(obj))
        checksum = Panel(title="SHA-256 of the file", code=obj.sha256)
        trouble = Panel(title="Why it failed", note=obj.error)
        return (
            shown,
            asked,
            *([checksum] if obj.sha256 else ()),
            *([trouble] if obj.error else ()),
        )

    def render_change_form(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        answer = super().render_change_form(request, *args, **kwargs)
        export = kwargs.get("obj")
        if export is not None and export.state in UNFINISHED:
            answer["Refresh"] = str(REFRESH_SECONDS)
        return answer


def _filter_of(export: AuditExport) -> str:
    given = export.request["filter"]
    chosen = ", ".join(f"{name} {value}" for name, value in given.items()) or "all records"
    return f"{chosen}; sealed up to {export.size}"


def _progress(export: AuditExport) -> SafeString:
    return format_html(
        '<progress class="seamless-progress" max="100" value="{}"></progress> {}',
        export.percent,
        f"{export.percent} % of {export.total} records",
    )


def _file(export: AuditExport) -> SafeString | str:
    if export.state != ExportState.DONE:
        return ""
    address = f"/api/v1/audit/exports/{export.pk}/file"
    size = f"{export.bytes / 1_000_000:.1f} MB" if export.bytes > 100_000 else f"{export.bytes} B"
    name = f"{FORMATS[export.format].suffix}, {size}"
    return format_html('<a class="text-link" href="{}">{}</a>', address, name)
