"""Consumers and their tokens."""

from collections.abc import Collection, Sequence
from datetime import datetime

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.utils.safestring import SafeString
from unfold.decorators import display
from unfold.enums import ActionVariant

from registry.admin.access import TOKEN_KEEPERS
from registry.admin.decisions import DecisionAdmin, ReasonForm, decision
from registry.admin.forms import (
    BundleNameForm,
    EndedGrantForm,
    EndedSubscriptionForm,
    NewConsumerForm,
    NodeIdForm,
)
from registry.admin.panels import STATE_COLOURS, Panel, label, link, moment
from registry.models import AccessToken, Consumer, Role
from registry.services import consumers, tokens
from registry.services.resolution import BoundVersion, readable_governed


@admin.register(Consumer)
class ConsumerAdmin(DecisionAdmin):
    list_display = ("named", "owner_team", "active")
    list_filter = (("owner_team", admin.RelatedOnlyFieldListFilter), "active")
    list_select_related = ("owner_team",)
    search_fields = ("name", "description")
    ordering = ("name",)
    actions_list = ("make_consumer",)
    actions_detail = ("subscribe", "unsubscribe", "grant", "revoke_grant", "switch")

    def offered(self, obj: Consumer) -> Collection[str]:
        return self.actions_detail

    @decision(
        "Add a consumer",
        "A program or team that reads, kept by a team of yours.",
        NewConsumerForm,
        submit="Add",
        icon="add",
    )
    def make_consumer(self, request: HttpRequest, form: NewConsumerForm) -> HttpResponse:
        return self.make(
            request,
            lambda actor, now: consumers.create_consumer(actor=actor, now=now, **form.given()),
            lambda consumer: f"{consumer.name} is there.",
        )

    @decision(
        "Switch off or on",
        "Switched off, its tokens are refused from now on.",
        ReasonForm,
        submit="Switch",
        icon="power_settings_new",
        variant=ActionVariant.DANGER,
    )
    def switch(self, request: HttpRequest, form: ReasonForm, object_id: str) -> HttpResponse:
        obj = self.object_or_404(request, object_id)
        given = form.cleaned_data
        return self.decide(
            request,
            obj,
            lambda actor, now: consumers.switch_consumer(
                actor=actor,
                consumer=obj.name,
                active=not obj.active,
                reason=given["reason"],
                now=now,
            ),
            lambda one: f"{one} is switched {'on' if one.active else 'off'}.",
        )

    @decision(
        "Subscribe",
        "It reads the bundle from now on; the newest release starts as a canary.",
        BundleNameForm,
        icon="link",
    )
    def subscribe(self, request: HttpRequest, form: BundleNameForm, object_id: str) -> HttpResponse:
        obj = self.object_or_404(request, object_id)
        given = form.cleaned_data
        return self.decide(
            request,
            obj,
            lambda actor, now: consumers.subscribe(
                actor=actor, consumer=obj.name, bundle=given["bundle"], now=now
            ),
            lambda _: f"{obj} reads {given['bundle']}.",
        )

    @decision(
        "End a subscription",
        "It can no longer read through the bundle, at once.",
        EndedSubscriptionForm,
        submit="End it",
        icon="link_off",
        variant=ActionVariant.DANGER,
    )
    def unsubscribe(
        self, request: HttpRequest, form: EndedSubscriptionForm, object_id: str
    ) -> HttpResponse:
        obj = self.object_or_404(request, object_id)
        given = form.cleaned_data
        return self.decide(
            request,
            obj,
            lambda actor, now: consumers.unsubscribe(
                actor=actor,
                consumer=obj.name,
                bundle=given["bundle"],
                reason=given["reason"],
                now=now,
            ),
            lambda _: f"{obj} reads {given['bundle']} no more.",
        )

    @decision(
        "Grant a node",
        "It may read this one node, outside any bundle, ungoverned.",
        NodeIdForm,
        submit="Grant",
        icon="add_link",
    )
    def grant(self, request: HttpRequest, form: NodeIdForm, object_id: str) -> HttpResponse:
        obj = self.object_or_404(request, object_id)
        given = form.cleaned_data
        return self.decide(
            request,
            obj,
            lambda actor, now: consumers.grant_node(
                actor=actor, consumer=obj.name, node_id=given["node"], now=now
            ),
            lambda _: f"{obj} may read {given['node']}.",
        )

    @decision(
        "Take a node back",
        "What was granted by name is so no more.",
        EndedGrantForm,
        submit="Take it back",
        icon="link_off",
        variant=ActionVariant.DANGER,
    )
    def revoke_grant(
        self, request: HttpRequest, form: EndedGrantForm, object_id: str
    ) -> HttpResponse:
        obj = self.object_or_404(request, object_id)
        given = form.cleaned_data
        return self.decide(
            request,
            obj,
            lambda actor, now: consumers.revoke_grant(
                actor=actor,
                consumer=obj.name,
                node_id=given["node"],
                reason=given["reason"],
                now=now,
            ),
            lambda _: f"{obj} may read {given['node']} no more by name.",
        )

    @display(description="Consumer", header=True, ordering="name")
    def named(self, consumer: Consumer) -> Sequence[str]:
        return consumer.name, consumer.description

    def panels(self, request: HttpRequest, obj: Consumer) -> Sequence[Panel]:
        return (_subscriptions(obj), _live_rollouts(obj), _nodes(obj), _grants(obj))


@admin.register(AccessToken)
class AccessTokenAdmin(DecisionAdmin):
    """The tokens one may revoke; of the secret only the prefix is known here."""

    viewers = TOKEN_KEEPERS
    list_display = ("about", "holder", "state", "created", "expires")
    list_select_related = ("user", "consumer", "created_by")
    search_fields = ("prefix", "label", "consumer__name", "user__username")
    ordering = ("-pk",)
    fields = (
        "prefix",
        "label",
        "user",
        "consumer",
        "scopes",
        "created_by",
        "created_at",
        "expires_at",
        "revoked_at",
    )
    actions_detail = ("revoke",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[AccessToken]:
        """One's own, and those of the consumers that one's teams administer."""
        mine = request.user.pk
        found: QuerySet[AccessToken] = super().get_queryset(request)
        administered = Consumer.objects.filter(
            owner_team__memberships__user=mine,
            owner_team__memberships__role=Role.CONSUMER_ADMIN,
        )
        return found.defer("digest").filter(Q(user=mine) | Q(consumer__in=administered))

    @display(description="Token", header=True, ordering="prefix")
    def about(self, token: AccessToken) -> Sequence[str]:
        return f"{token.prefix}…", token.label

    @display(description="Holder", header=True)
    def holder(self, token: AccessToken) -> Sequence[str]:
        return str(token.user or token.consumer), ", ".join(token.scopes)

    @display(description="State", label=STATE_COLOURS)
    def state(self, token: AccessToken) -> str:
        return _state(token, timezone.now())

    @display(description="Created", header=True, ordering="created_at")
    def created(self, token: AccessToken) -> Sequence[str]:
        return moment(token.created_at), f"by {token.created_by}"

    @display(description="Expires", ordering="expires_at")
    def expires(self, token: AccessToken) -> str:
        return moment(token.expires_at)

    def offered(self, obj: AccessToken) -> Collection[str]:
        return ("revoke",) if obj.revoked_at is None else ()

    @decision(
        "Revoke this token",
        "Whoever uses it is refused from now on. It cannot be taken back.",
        ReasonForm,
        submit="Revoke",
        icon="block",
        variant=ActionVariant.DANGER,
        button="Revoke",
    )
    def revoke(self, request: HttpRequest, form: ReasonForm, object_id: str) -> HttpResponse:
        token = self.object_or_404(request, object_id)
        return self.decide(
            request,
            token,
            lambda actor, now: tokens.revoke_token(
                actor=actor, prefix=token.prefix, now=now, reason=form.cleaned_data["reason"]
            ),
            lambda _: f"The token {token.prefix}… is revoked.",
        )


def _state(token: AccessToken, now: datetime) -> str:
    if token.revoked_at is not None:
        return "revoked"
    return "expired" if token.expires_at <= now else "active"


def _subscriptions(consumer: Consumer) -> Panel:
    held = consumer.subscriptions.select_related("bundle").order_by("bundle__name")
    return Panel(
        title="Subscriptions",
        headers=("Bundle", "Since"),
        rows=[(link(s.bundle), moment(s.created_at)) for s in held],
    )


def _live_rollouts(consumer: Consumer) -> Panel:
    live = consumer.rollouts.filter(ended_at__isnull=True).select_related(
        "consumer", "release__bundle"
    )
    return Panel(
        title="Live rollouts",
        headers=("Rollout", "Mode", "Since"),
        rows=[
            (link(r), label(r.mode), moment(r.started_at))
            for r in live.order_by("bundle__name", "mode")
        ],
    )


def _nodes(consumer: Consumer) -> Panel:
    """Every node it may read; what no rollout governs says so."""
    return Panel(
        title="Nodes it reads",
        headers=("Node", "Strict", "Canary", "State"),
        rows=[
            (link(one.node), _judge(one.strict), _judge(one.canary), _governance(one.governed))
            for one in readable_governed(consumer)
        ],
    )


def _judge(bound: BoundVersion | None) -> str:
    return "" if bound is None else f"{bound.subject} version {bound.number}"


def _governance(governed: bool) -> SafeString:
    return label("governed" if governed else "ungoverned")


def _grants(consumer: Consumer) -> Panel:
    grants = consumer.grants.select_related("node").order_by("node__node_id")
    return Panel(
        title="Nodes granted by name",
        headers=("Node", "Since"),
        rows=[(link(g.node), moment(g.created_at)) for g in grants],
    )
