"""The forms of dialogs. What is left empty stays as it is, or takes its default."""

from typing import Any

from django import forms
from unfold.forms import BaseDialogForm
from unfold.widgets import (
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from registry.admin.decisions import ReasonForm
from registry.models import Compatibility


def text(*, required: bool = True, help_text: str = "") -> forms.CharField:
    return forms.CharField(
        max_length=300, required=required, widget=UnfoldAdminTextInputWidget, help_text=help_text
    )


def number(*, required: bool = True, help_text: str = "") -> forms.IntegerField:
    return forms.IntegerField(
        min_value=0, required=required, widget=UnfoldAdminIntegerFieldWidget, help_text=help_text
    )


def names(*, required: bool = True) -> forms.CharField:
    return text(required=required, help_text="Names, with commas between them.")


class GivenForm(BaseDialogForm):
    """Knows which of its own fields were filled in."""

    def given(self) -> dict[str, Any]:
        own = [name for name in self.fields if not name.startswith("_")]
        filled = {name: self.cleaned_data.get(name) for name in own}
        return {name: value for name, value in filled.items() if value not in (None, "")}


class NewSubjectForm(GivenForm):
    name = text()
    owner_team = text()
    compatibility = forms.ChoiceField(
        choices=Compatibility.choices,
        initial=Compatibility.BACKWARD,
        widget=UnfoldAdminSelectWidget,
    )
    description = text(required=False)


class SubjectForm(GivenForm, ReasonForm):
    description = text(required=False)
    contact = text(required=False)
    compatibility = forms.ChoiceField(
        choices=[("", "as it is"), *Compatibility.choices],
        required=False,
        widget=UnfoldAdminSelectWidget,
    )
    required_approvals = number(required=False)


class DeprecationForm(ReasonForm):
    days = number(help_text="The sunset is so many days from now.")


class SchemaForm(GivenForm):
    schema = forms.CharField(
        widget=UnfoldAdminTextareaWidget, max_length=1_000_000, help_text="JSON Schema, as text."
    )
    reason = text(required=False, help_text="Why the schema changes.")


class NewProposalForm(SchemaForm):
    subject = text()


class EndedWaiverForm(ReasonForm):
    waiver = number(help_text="The number of the waiver, as the page shows it.")


class NewConsumerForm(GivenForm):
    name = text()
    owner_team = text()
    description = text(required=False)


class BundleNameForm(BaseDialogForm):
    bundle = text()


class EndedSubscriptionForm(ReasonForm):
    bundle = text()


class NodeIdForm(BaseDialogForm):
    node = text()


class EndedGrantForm(ReasonForm):
    node = text()


class NewBundleForm(GivenForm):
    name = text()
    owner_team = text()
    gate_policy = text()
    subjects = names()
    description = text(required=False)


class BundleForm(GivenForm):
    add = names(required=False)
    remove = names(required=False)
    gate_policy = text(required=False)
    description = text(required=False)


class NewIncidentForm(ReasonForm):
    consumer = text()
    bundle = text()


def listed(value: str) -> list[str]:
    return [name.strip() for name in value.split(",") if name.strip()]
