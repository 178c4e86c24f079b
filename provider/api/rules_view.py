"""The quality rules of a node over HTTP."""

from django.utils import timezone
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from provider.quality_rules import documents_of, set_quality_rules
from registry.api.governing import GovernanceView, body_of
from registry.models import Node
from registry.request_context import actor_of
from registry.services.nodes import node_named
from registry.services.visibility import require_visible


class NewRules(serializers.Serializer):
    rules = serializers.ListField(child=serializers.DictField(), allow_empty=True)


class Rules(GovernanceView):
    """Whoever sees the node sees them; its owners replace them."""

    def get(self, request: Request, node_id: str) -> Response:
        require_visible(actor_of(request), Node, [node_id])
        return Response({"rules": documents_of(node_named(node_id))})

    def post(self, request: Request, node_id: str) -> Response:
        require_visible(actor_of(request), Node, [node_id])
        saved = set_quality_rules(
            actor=actor_of(request),
            node_id=node_id,
            now=timezone.now(),
            **body_of(request, NewRules),
        )
        return Response({"rules": saved.rules})
