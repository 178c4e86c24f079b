"""Governance over HTTP. Each view translates in, calls one service, translates out."""

from typing import Any

from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from registry.api import inputs, representations
from registry.api.governing import PAGE, GovernanceView, body_of
from registry.api.receipts import AuditedView
from registry.errors import NotFound
from registry.models import Consumer, Diagnostic
from registry.permissions import MayGovern, MayRead
from registry.request_context import actor_of
from registry.services import nodes
from registry.services.resolution import readable_node, readable_nodes

CREATED = 201


class Nodes(AuditedView):
    """Consumers see the nodes they may read; people register them."""

    def get_permissions(self) -> list[Any]:
        return [MayGovern() if self.request.method == "POST" else MayRead()]

    def get(self, request: Request) -> Response:
        if not isinstance(request.user, Consumer):
            raise NotFound("Nodes are listed for consumers; use a consumer's token.")
        found = readable_nodes(request.user)
        return Response({"nodes": [representations.node_json(node) for node in found]})

    def post(self, request: Request) -> Response:
        fields = body_of(request, inputs.NewNode)
        node = nodes.register_node(actor=actor_of(request), now=timezone.now(), **fields)
        return Response(representations.node_json(node), status=CREATED)


class NodeDetail(APIView):
    permission_classes = (MayRead,)

    def get(self, request: Request, node_id: str) -> Response:
        if not isinstance(request.user, Consumer):
            raise NotFound(f"There is no node {node_id!r} that you may read.")
        return Response(representations.node_json(readable_node(request.user, node_id)))


class Diagnostics(GovernanceView):
    """What checks have found, newest first; `?node=` and `?consumer=` select."""

    def get(self, request: Request) -> Response:
        found = Diagnostic.objects.select_related("consumer", "node", "version__subject")
        if node := request.query_params.get("node"):
            found = found.filter(node__node_id=node)
        if consumer := request.query_params.get("consumer"):
            found = found.filter(consumer__name=consumer)
        newest = found.order_by("-last_seen_at", "pk")[:PAGE]
        return Response({"diagnostics": [representations.diagnostic_json(d) for d in newest]})
