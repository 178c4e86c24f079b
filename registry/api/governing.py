"""What the views of governance share."""

from typing import Any, ClassVar

from django.db.models import Model
from rest_framework.request import Request
from rest_framework.serializers import Serializer

from registry.api.receipts import AuditedView
from registry.errors import InvalidInput
from registry.models import (
    AccessToken,
    Bundle,
    Consumer,
    GateOverride,
    Incident,
    Proposal,
    Rollout,
    Subject,
    Waiver,
)
from registry.permissions import MayGovern
from registry.request_context import actor_of
from registry.services.visibility import require_visible

# What an address names, by the name of the part.
_NAMED: dict[str, type[Model]] = {
    "subject": Subject,
    "proposal_id": Proposal,
    "waiver_id": Waiver,
    "bundle": Bundle,
    "consumer": Consumer,
    "prefix": AccessToken,
    "rollout_id": Rollout,
    "override_id": GateOverride,
    "incident_id": Incident,
}


class GovernanceView(AuditedView):
    """For people: session or personal token, and a role in at least one team.

    What the address names must be there for the caller, before anything else is looked at.
    """

    permission_classes = (MayGovern,)
    unseen: ClassVar[frozenset[str]] = frozenset()
    """Parts of the address that the caller may name without seeing them."""

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        for part, model in _NAMED.items():
            if part in kwargs and part not in self.unseen:
                require_visible(actor_of(request), model, [kwargs[part]])


def body_of(request: Request, form: type[Serializer]) -> dict[str, Any]:
    checked = form(data=request.data)
    checked.is_valid(raise_exception=True)
    return dict(checked.validated_data)


def query_of(request: Request, form: type[Serializer]) -> dict[str, Any]:
    """The checked parameters; one that is repeated or unknown is refused."""
    for name, values in request.query_params.lists():
        if len(values) > 1:
            raise InvalidInput(f"The parameter {name!r} stands there more than once.")
    checked = form(data=request.query_params.dict())
    checked.is_valid(raise_exception=True)
    return dict(checked.validated_data)


def selected(request: Request, form: type[Serializer], **fields: str) -> dict[str, Any]:
    """The filters of a listing as look-ups: `fields` says which parameter is which field."""
    given = query_of(request, form)
    return {field: given[name] for name, field in fields.items() if name in given}
