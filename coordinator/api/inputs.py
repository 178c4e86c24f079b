"""What the write endpoints of backfills accept."""

from typing import Any

from rest_framework import serializers

from coordinator.failure_budget import FailureBudget
from coordinator.instants import read_instant
from coordinator.services.planning import BackfillOrder
from coordinator.services.steering import Again
from registry.errors import InvalidInput

ORDERS = ("oldest", "newest")
_WHATS = [again.value for again in Again]


class NewBackfill(serializers.Serializer):
    """`start` and `end` are epoch seconds or RFC 3339."""

    node = serializers.CharField(max_length=300)
    start = serializers.CharField(max_length=40)
    end = serializers.CharField(max_length=40)
    what = serializers.ChoiceField(_WHATS, default=Again.MISSING.value)
    order = serializers.ChoiceField(ORDERS, default="oldest")
    priority = serializers.IntegerField(default=0)
    failure_budget = serializers.CharField(max_length=10, default="", allow_blank=True)
    plan_hash = serializers.CharField(max_length=71, default="", allow_blank=True)


class Reason(serializers.Serializer):
    reason = serializers.CharField(max_length=2_000, required=False, allow_blank=True, default="")


class NeededReason(serializers.Serializer):
    reason = serializers.CharField(max_length=2_000)


class NewPriority(Reason):
    priority = serializers.IntegerField()


class Reprocess(Reason):
    what = serializers.ChoiceField(_WHATS)
    order = serializers.ChoiceField(ORDERS, default="oldest")


class NewLimit(serializers.Serializer):
    """A limit that is left out is lifted."""

    source = serializers.CharField(max_length=300)  # type: ignore[assignment]
    max_running = serializers.IntegerField(required=False, allow_null=True, default=None)
    per_minute = serializers.FloatField(required=False, allow_null=True, default=None)
    burst = serializers.IntegerField(default=1)


def order_of(fields: dict[str, Any]) -> BackfillOrder:
    """The order that a `NewBackfill` asks for. Raises InvalidInput."""
    return BackfillOrder(
        node_id=fields["node"],
        start=read_instant("start", fields["start"]),
        end=read_instant("end", fields["end"]),
        again=Again(fields["what"]),
        newest_first=fields["order"] == "newest",
        priority=fields["priority"],
        failure_budget=_budget(fields["failure_budget"]),
    )


def _budget(text: str) -> FailureBudget:
    try:
        return FailureBudget.read(text)
    except ValueError as error:
        raise InvalidInput(f"failure_budget: {error}.", parameter="failure_budget") from None
