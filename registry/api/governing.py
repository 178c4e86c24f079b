"""What the views of governance share."""

from typing import Any

from rest_framework.request import Request
from rest_framework.serializers import Serializer

from registry.api.receipts import AuditedView
from registry.permissions import MayGovern

PAGE = 500


class GovernanceView(AuditedView):
    """For people: session or personal token, and a role in at least one team."""

    permission_classes = (MayGovern,)


def body_of(request: Request, form: type[Serializer]) -> dict[str, Any]:
    checked = form(data=request.data)
    checked.is_valid(raise_exception=True)
    return dict(checked.validated_data)
