"""Decisions as dialogs: each calls exactly one service, whose refusal is shown on the page."""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Any, TypeVar

from django import forms
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from unfold.decorators import action
from unfold.enums import ActionVariant
from unfold.forms import BaseDialogForm
from unfold.widgets import UnfoldAdminTextareaWidget

from registry.actors import Actor
from registry.admin.readonly import ReadOnlyAdmin
from registry.denials import record_denial
from registry.errors import SeamlessError
from registry.request_context import actor_of
from registry.services.audit import wait_until_sealed
from registry.services.audit.receipts import collecting

REASON_LIMIT = 2_000

Service = Callable[[Actor, datetime], Any]
Page = TypeVar("Page", bound=Callable[..., HttpResponse])


class CommentForm(BaseDialogForm):
    comment = forms.CharField(
        required=False, max_length=REASON_LIMIT, widget=UnfoldAdminTextareaWidget
    )


class ReasonForm(BaseDialogForm):
    reason = forms.CharField(max_length=REASON_LIMIT, widget=UnfoldAdminTextareaWidget)


def decision(
    title: str,
    description: str,
    form: type[BaseDialogForm],
    *,
    icon: str,
    variant: ActionVariant = ActionVariant.DEFAULT,
    submit: str = "",
    button: str = "",
    permission: str = "view",
) -> Callable[[Page], Page]:
    """A button of a page that asks for its form in a dialog; the methods of `DecisionAdmin` act.

    `button` and `submit` are what stands on the page and on the dialog, where that is not the
    dialog's title. What one may do is the service's to say: `permission` is to see the button.
    """
    made: Callable[[Page], Page] = action(
        description=button or title,
        icon=icon,
        variant=variant,
        permissions=[permission],
        dialog={  # all four keys, which the oldest supported Unfold needs
            "title": title,
            "description": description,
            "form_class": form,
            "form_submit_text": submit or title,
        },
    )
    return made


class DecisionAdmin(ReadOnlyAdmin):
    """A read-only page whose buttons are decisions, shown in the states that allow them."""

    def offered(self, obj: Any) -> Collection[str]:
        """The names of the decisions that the object's state allows."""
        raise NotImplementedError

    def get_actions_detail(self, request: HttpRequest, object_id: str) -> list[Any]:
        obj = self.get_object(request, object_id)
        offered = () if obj is None else self.offered(obj)
        return [
            action
            for action in super().get_actions_detail(request, object_id)
            if action.path in offered
        ]

    def object_or_404(self, request: HttpRequest, object_id: str) -> Any:
        obj = self.get_object(request, object_id)
        if obj is None:
            said = f"There is no {self.opts.verbose_name} {object_id}."
            if self._exists(object_id):
                record_denial(request, said)
            raise Http404(said)
        return obj

    def _exists(self, object_id: str) -> bool:
        try:
            key = self.opts.pk.to_python(object_id)
        except ValidationError:
            return False
        return bool(self.model._default_manager.filter(pk=key).exists())

    def decide(
        self, request: HttpRequest, obj: Any, service: Service, done: Callable[[Any], str]
    ) -> HttpResponse:
        """Run the service as the signed-in person, say how it went, show the object's page.

        A decision is told with its seal, for which the answer waits (two seconds at most).
        """
        self._carry_out(request, service, done)
        return self._to(request, "change", obj.pk)

    def make(
        self, request: HttpRequest, service: Service, done: Callable[[Any], str]
    ) -> HttpResponse:
        """The same for a button of the list, which makes something new of the page's model."""
        made = self._carry_out(request, service, done)
        if made is None:
            return self._to(request, "changelist")
        return self._to(request, "change", made.pk)

    def _carry_out(self, request: HttpRequest, service: Service, done: Callable[[Any], str]) -> Any:
        """What the service answers; None where it refuses."""
        try:
            with collecting() as recorded:
                result = service(actor_of(request), timezone.now())
        except SeamlessError as refusal:
            messages.error(request, f"{refusal.title}: {refusal.detail}")
            return None
        messages.success(request, f"{done(result)} {_seal_of(recorded)}".strip())
        return result

    def _to(self, request: HttpRequest, page: str, *args: Any) -> HttpResponse:
        name = f"admin:{self.opts.app_label}_{self.opts.model_name}_{page}"
        address = reverse(name, args=args, current_app=self.admin_site.name)
        if "HX-Request" in request.headers:
            return HttpResponse(headers={"HX-Redirect": address})
        return HttpResponseRedirect(address)


def _seal_of(recorded: Sequence[int]) -> str:
    """What the page says about the decision's audit record."""
    if not recorded:
        return ""
    size = wait_until_sealed(recorded[-1])
    if size is None:
        return f"Audit record {recorded[-1]} is recorded, and not sealed yet."
    return f"Audit record {recorded[-1]} is sealed in checkpoint {size}."
