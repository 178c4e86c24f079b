"""Governance over HTTP. Each view translates in, calls one service, translates out."""

from typing import Any

from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from registry.api import inputs, representations
from registry.api.governing import GovernanceView, body_of
from registry.api.receipts import AuditedView
from registry.models import Consumer, Diagnostic, Node
from registry.permissions import MayGovern, MayRead
from registry.request_context import actor_of
from registry.services import nodes
from registry.services.resolution import readable_node, readable_nodes
from registry.services.visibility import require_visible, visible

CREATED = 201
NEWEST = 500


class Nodes(AuditedView):
    """Consumers see the nodes they may read, people those of their teams; owners register them."""

    def get_permissions(self) -> list[Any]:
        return [MayGovern() if self.request.method == "POST" else MayRead()]

    def get(self, request: Request) -> Response:
        if isinstance(request.user, Consumer):
            found = readable_nodes(request.user)
        else:
            seen = visible(actor_of(request), Node.objects.select_related("subject"))
            found = list(seen.order_by("node_id"))
        return Response({"nodes": [representations.node_json(node) for node in found]})

    def post(self, request: Request) -> Response:
        fields = body_of(request, inputs.NewNode)
        node = nodes.register_node(actor=actor_of(request), now=timezone.now(), **fields)
        return Response(representations.node_json(node), status=CREATED)


class NodeDetail(AuditedView):
    """For those of `Nodes`; its owners change it."""

    def get_permissions(self) -> list[Any]:
        return [MayGovern() if self.request.method == "PATCH" else MayRead()]

    def get(self, request: Request, node_id: str) -> Response:
        if isinstance(request.user, Consumer):
            node = readable_node(request.user, node_id)
        else:
            require_visible(actor_of(request), Node, [node_id])
            node = nodes.node_named(node_id)
        return Response(representations.node_json(node))

    def patch(self, request: Request, node_id: str) -> Response:
        require_visible(actor_of(request), Node, [node_id])
        changed = nodes.change_node(
            actor=actor_of(request),
            node_id=node_id,
            now=timezone.now(),
            **body_of(request, inputs.NodeChange),
        )
        return Response(representations.node_json(changed))


class SLAPolicies(GovernanceView):
    def get(self, request: Request) -> Response:
        found = {policy.name: policy.document for policy in nodes.sla_policies()}
        return Response({"sla_policies": found})

    def post(self, request: Request) -> Response:
        policy = nodes.save_sla_policy(
            actor=actor_of(request), now=timezone.now(), **body_of(request, inputs.NewSLAPolicy)
        )
        return Response({"name": policy.name, "document": policy.document}, status=CREATED)


class Diagnostics(GovernanceView):
    """What checks have found, newest first; `?node=` and `?consumer=` select."""

    def get(self, request: Request) -> Response:
        diagnostics = Diagnostic.objects.select_related("consumer", "node", "version__subject")
        found = visible(actor_of(request), diagnostics)
        if node := request.query_params.get("node"):
            found = found.filter(node__node_id=node)
        if consumer := request.query_params.get("consumer"):
            found = found.filter(consumer__name=consumer)
        newest = found.order_by("-last_seen_at", "pk")[:NEWEST]
        return Response({"diagnostics": [representations.diagnostic_json(d) for d in newest]})
