"""What the dialogs about a job ask for."""

from django import forms
from unfold.forms import BaseDialogForm
from unfold.widgets import (
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
)

from coordinator.lease_state import PRIORITIES
from registry.admin.decisions import REASON_LIMIT


class OptionalReasonForm(BaseDialogForm):
    reason = forms.CharField(
        required=False, max_length=REASON_LIMIT, widget=UnfoldAdminTextareaWidget
    )


class ReprocessForm(OptionalReasonForm):
    what = forms.ChoiceField(
        choices=[
            ("failed", "What has failed"),
            ("missing", "What has failed or brought too few rows"),
            ("all", "All"),
            ("stale", "What was done under an older schema version"),
        ],
        widget=UnfoldAdminSelectWidget,
    )
    order = forms.ChoiceField(
        choices=[("oldest", "Oldest first"), ("newest", "Newest first")],
        widget=UnfoldAdminSelectWidget,
    )
    field_order = ("what", "order", "reason")


class PriorityForm(OptionalReasonForm):
    priority = forms.IntegerField(
        min_value=PRIORITIES[0], max_value=PRIORITIES[-1], widget=UnfoldAdminIntegerFieldWidget
    )
    field_order = ("priority", "reason")
