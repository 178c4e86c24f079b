"""Governance over HTTP. Each view translates in, calls one service, translates out."""

from datetime import timedelta
from typing import Any

from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from registry.api import inputs, representations
from registry.api.governing import PAGE, GovernanceView, body_of
from registry.api.receipts import AuditedView
from registry.errors import NotFound
from registry.models import Consumer, Diagnostic, Release, Rollout
from registry.permissions import MayGovern, MayRead
from registry.request_context import actor_of
from registry.services import consumers, nodes, releases, rollouts, tokens
from registry.services.resolution import readable_node, readable_nodes

CREATED = 201


class Bundles(GovernanceView):
    def post(self, request: Request) -> Response:
        fields = body_of(request, inputs.NewBundle)
        bundle = releases.create_bundle(actor=actor_of(request), now=timezone.now(), **fields)
        return Response(representations.bundle_json(bundle), status=CREATED)


class BundleDetail(GovernanceView):
    def get(self, request: Request, name: str) -> Response:
        return Response(representations.bundle_json(releases.bundle_named(name)))


class ReleaseDetail(GovernanceView):
    def get(self, request: Request, name: str, number: int) -> Response:
        release = (
            Release.objects.select_related("bundle").filter(bundle__name=name, number=number)
        ).first()
        if release is None:
            raise NotFound(f"There is no release {number} of {name!r}.")
        answer = Response(representations.release_json(release))
        answer["ETag"] = f'"{release.fingerprint}"'
        return answer


class Consumers(GovernanceView):
    def post(self, request: Request) -> Response:
        fields = body_of(request, inputs.NewConsumer)
        consumer = consumers.create_consumer(actor=actor_of(request), now=timezone.now(), **fields)
        return Response({"name": consumer.name}, status=CREATED)


class ConsumerTokens(GovernanceView):
    def post(self, request: Request, name: str) -> Response:
        fields = body_of(request, inputs.NewToken)
        token = tokens.issue_consumer_token(
            actor=actor_of(request),
            consumer=consumers.consumer_named(name),
            scopes=fields["scopes"],
            lifetime=timedelta(days=fields["days"]),
            label=fields["label"],
            now=timezone.now(),
        )
        answer = Response({"prefix": token.prefix, "token": token.secret}, status=CREATED)
        answer["Cache-Control"] = "no-store"
        return answer


class RevokeToken(GovernanceView):
    def post(self, request: Request, prefix: str) -> Response:
        tokens.revoke_token(
            actor=actor_of(request),
            prefix=prefix,
            now=timezone.now(),
            **body_of(request, inputs.Reason),
        )
        return Response({"prefix": prefix, "revoked": True})


class Subscriptions(GovernanceView):
    def post(self, request: Request, name: str) -> Response:
        now = timezone.now()
        rollout = consumers.subscribe(
            actor=actor_of(request),
            consumer=name,
            now=now,
            **body_of(request, inputs.NewSubscription),
        )
        shown = None if rollout is None else representations.rollout_json(rollout, now)
        return Response({"rollout": shown}, status=CREATED)


class Grants(GovernanceView):
    def post(self, request: Request, name: str) -> Response:
        node_id = body_of(request, inputs.NewGrant)["node"]
        consumers.grant_node(
            actor=actor_of(request), consumer=name, node_id=node_id, now=timezone.now()
        )
        return Response({"consumer": name, "node": node_id}, status=CREATED)


class RolloutDetail(GovernanceView):
    def get(self, request: Request, rollout_id: int) -> Response:
        return _rollout(rollout_id)


class ApprovePromotion(GovernanceView):
    def post(self, request: Request, rollout_id: int) -> Response:
        rollouts.approve_promotion(
            actor=actor_of(request),
            rollout_id=rollout_id,
            now=timezone.now(),
            **body_of(request, inputs.Comment),
        )
        return _rollout(rollout_id)


class PromoteRollout(GovernanceView):
    def post(self, request: Request, rollout_id: int) -> Response:
        strict = rollouts.promote_rollout(
            actor=actor_of(request), rollout_id=rollout_id, now=timezone.now()
        )
        return _rollout(strict.pk)


class RollBackRollout(GovernanceView):
    def post(self, request: Request, rollout_id: int) -> Response:
        restored = rollouts.roll_back_rollout(
            actor=actor_of(request),
            rollout_id=rollout_id,
            now=timezone.now(),
            **body_of(request, inputs.Reason),
        )
        return _rollout(restored.pk)


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


def _rollout(rollout_id: int) -> Response:
    rollout = (
        Rollout.objects.select_related("consumer", "bundle__gate_policy", "release")
        .filter(pk=rollout_id)
        .first()
    )
    if rollout is None:
        raise NotFound(f"There is no rollout {rollout_id}.")
    return Response(representations.rollout_json(rollout, timezone.now()))
