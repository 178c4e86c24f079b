"""Consumers: what they read, with which tokens."""

from datetime import timedelta

from django.utils import timezone
from rest_framework.request import Request
from rest_framework.response import Response

from registry.api import inputs, representations
from registry.api.governing import GovernanceView, body_of, selected
from registry.api.pages import page_of
from registry.api.views import CREATED
from registry.models import Consumer
from registry.request_context import actor_of
from registry.services import consumers, tokens
from registry.services.visibility import visible


class Consumers(GovernanceView):
    def get(self, request: Request) -> Response:
        wanted = selected(
            request,
            inputs.ConsumerListing,
            team="owner_team__name",
            bundle="subscriptions__bundle__name",
            active="active",
        )
        found = Consumer.objects.filter(**wanted).select_related("owner_team")
        found = visible(actor_of(request), found)
        page, following = page_of(request, found, key="name", descending=False)
        shown = [representations.consumer_json(one) for one in page]
        return Response({"consumers": shown, "next": following})

    def post(self, request: Request) -> Response:
        fields = body_of(request, inputs.NewConsumer)
        consumer = consumers.create_consumer(actor=actor_of(request), now=timezone.now(), **fields)
        return Response(representations.consumer_json(consumer), status=CREATED)


class ConsumerDetail(GovernanceView):
    """Its subscriptions, live rollouts, and each node it may read with what governs it, if any."""

    def get(self, request: Request, consumer: str) -> Response:
        shown = representations.consumer_detail_json(consumers.consumer_named(consumer))
        return Response(shown)


class SwitchConsumer(GovernanceView):
    def post(self, request: Request, consumer: str) -> Response:
        switched = consumers.switch_consumer(
            actor=actor_of(request),
            consumer=consumer,
            now=timezone.now(),
            **body_of(request, inputs.Switch),
        )
        return Response(representations.consumer_json(switched))


class ConsumerTokens(GovernanceView):
    def post(self, request: Request, consumer: str) -> Response:
        fields = body_of(request, inputs.NewToken)
        token = tokens.issue_consumer_token(
            actor=actor_of(request),
            consumer=consumers.consumer_named(consumer),
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
    def post(self, request: Request, consumer: str) -> Response:
        now = timezone.now()
        rollout = consumers.subscribe(
            actor=actor_of(request),
            consumer=consumer,
            now=now,
            **body_of(request, inputs.NewSubscription),
        )
        shown = None if rollout is None else representations.rollout_json(rollout, now)
        return Response({"rollout": shown}, status=CREATED)


class EndSubscription(GovernanceView):
    def post(self, request: Request, consumer: str, bundle: str) -> Response:
        consumers.unsubscribe(
            actor=actor_of(request),
            consumer=consumer,
            bundle=bundle,
            now=timezone.now(),
            **body_of(request, inputs.Reason),
        )
        return Response({"consumer": consumer, "bundle": bundle, "subscribed": False})


class Grants(GovernanceView):
    """The node's owners let another team's consumer read it; the service refuses anyone else."""

    unseen = frozenset({"consumer"})

    def post(self, request: Request, consumer: str) -> Response:
        node_id = body_of(request, inputs.NewGrant)["node"]
        consumers.grant_node(
            actor=actor_of(request), consumer=consumer, node_id=node_id, now=timezone.now()
        )
        return Response({"consumer": consumer, "node": node_id}, status=CREATED)


class RevokeGrant(GovernanceView):
    unseen = frozenset({"consumer"})

    def post(self, request: Request, consumer: str) -> Response:
        fields = body_of(request, inputs.EndedGrant)
        consumers.revoke_grant(
            actor=actor_of(request),
            consumer=consumer,
            node_id=fields["node"],
            reason=fields["reason"],
            now=timezone.now(),
        )
        return Response({"consumer": consumer, "node": fields["node"], "granted": False})
