"""What a canary needs before it may become strict, by name."""

from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

from registry.actors import Actor
from registry.errors import InvalidInput, NotFound
from registry.models import GatePolicy, Role
from registry.names import NAME_RULE, is_name
from registry.services.access import require_any_team
from registry.services.actions import audited_action

_COUNTS = ("minimum_reads", "minimum_rows")
_SHARES = ("maximum_violation_rate", "maximum_unchecked_share", "minimum_node_coverage")


def gate_policy_named(name: str) -> GatePolicy:
    try:
        return GatePolicy.objects.get(name=name)
    except GatePolicy.DoesNotExist:
        raise NotFound(f"There is no gate policy {name!r}.") from None


def save_gate_policy(
    *,
    actor: Actor,
    name: str,
    now: datetime,
    observation: timedelta = timedelta(hours=48),
    minimum_reads: int = 100,
    minimum_rows: int = 0,
    maximum_violation_rate: Decimal | str = Decimal(0),
    maximum_unchecked_share: Decimal | str = Decimal("0.05"),
    minimum_node_coverage: Decimal | str = Decimal(1),
    required_approvals: int = 2,
    promotes_itself: bool = False,
    description: str = "",
) -> GatePolicy:
    """Saving again replaces it, also for canaries that run: the audit log keeps both."""
    with audited_action(
        "gate_policy.save", actor=actor, object_type="gate_policy", object_id=name, now=now
    ) as entry:
        require_any_team(actor, Role.OPERATOR)
        if not is_name(name):
            raise InvalidInput(f"{name!r} is not a gate policy's name: {NAME_RULE}.")
        fields: dict[str, Any] = {
            "description": description,
            "observation": observation,
            "minimum_reads": minimum_reads,
            "minimum_rows": minimum_rows,
            "maximum_violation_rate": _share("maximum_violation_rate", maximum_violation_rate),
            "maximum_unchecked_share": _share("maximum_unchecked_share", maximum_unchecked_share),
            "minimum_node_coverage": _share("minimum_node_coverage", minimum_node_coverage),
            "required_approvals": required_approvals,
            "promotes_itself": promotes_itself,
        }
        if observation < timedelta(0) or min(minimum_reads, minimum_rows) < 0:
            raise InvalidInput("A gate's observation time, reads and rows are 0 or more.")
        if not 1 <= required_approvals <= 10:
            raise InvalidInput("A gate needs 1 to 10 approvals.")
        existing = GatePolicy.objects.filter(name=name).first()
        entry.before = None if existing is None else gate_policy_facts(existing)
        policy = GatePolicy.objects.update_or_create(name=name, defaults=fields)[0]
        policy.refresh_from_db()
        entry.after = gate_policy_facts(policy)
        return policy


def gate_policy_facts(policy: GatePolicy) -> dict[str, Any]:
    return {
        "description": policy.description,
        "observation": policy.observation.total_seconds(),
        **{name: getattr(policy, name) for name in _COUNTS},
        **{name: f"{getattr(policy, name).normalize():f}" for name in _SHARES},
        "required_approvals": policy.required_approvals,
        "promotes_itself": policy.promotes_itself,
    }


def _share(name: str, value: Decimal | str) -> Decimal:
    try:
        share = Decimal(value)
    except InvalidOperation:
        raise InvalidInput(f"{name} is a number from 0 to 1, not {value!r}.") from None
    if not share.is_finite() or not 0 <= share <= 1 or share != round(share, 6):
        raise InvalidInput(f"{name} is from 0 to 1 with at most six decimals, not {value}.")
    return share
