"""What a canary must have shown before its release may become strict: a pure judgement."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

CLEAN_HOURS = timedelta(hours=24)
"""An incident that was not seen again for so long is over."""

_NAMED_NODES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class GateRules:
    """Rates and shares run from 0 to 1."""

    observation: timedelta
    minimum_reads: int
    minimum_rows: int
    maximum_violation_rate: Decimal
    maximum_unchecked_share: Decimal
    minimum_node_coverage: Decimal
    required_approvals: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """Only reads whose check is recorded count as reads; shed ones are `unchecked`.

    `usual_nodes` are those the consumer reads as a rule, `seen_nodes` those the canary has judged;
    `incidents` are the moments at which the open ones were last seen.
    """

    started_at: datetime
    reads: int
    rows: int
    violations: int
    unchecked: int
    usual_nodes: frozenset[str]
    seen_nodes: frozenset[str]
    incidents: Sequence[datetime]
    approvals: int


@dataclass(frozen=True, slots=True)
class Gate:
    """One condition: what is needed, what was observed, whether that is enough.

    `opens_at`: when it opens by itself, where time alone opens it.
    """

    name: str
    needed: str
    observed: str
    ok: bool
    opens_at: datetime | None = None


def judge_gates(rules: GateRules, observed: Observed, now: datetime) -> tuple[Gate, ...]:
    """Every gate of the policy, in a fixed order; the canary may be promoted iff all are ok."""
    return (
        _observation(rules, observed, now),
        _at_least("reads", rules.minimum_reads, observed.reads),
        _at_least("rows", rules.minimum_rows, observed.rows),
        _violations(rules, observed),
        _unchecked(rules, observed),
        _nodes(rules, observed),
        _incidents(observed, now),
        Gate(
            name="approvals",
            needed=f"{rules.required_approvals} distinct people",
            observed=str(observed.approvals),
            ok=observed.approvals >= rules.required_approvals,
        ),
    )


def all_open(gates: Sequence[Gate]) -> bool:
    return all(gate.ok for gate in gates)


def _observation(rules: GateRules, observed: Observed, now: datetime) -> Gate:
    age = now - observed.started_at
    return Gate(
        name="observation",
        needed=f"at least {rules.observation}",
        observed=str(timedelta(seconds=int(age.total_seconds()))),
        ok=age >= rules.observation,
        opens_at=observed.started_at + rules.observation,
    )


def _at_least(name: str, needed: int, seen: int) -> Gate:
    return Gate(name=name, needed=f"at least {needed}", observed=str(seen), ok=seen >= needed)


def _violations(rules: GateRules, observed: Observed) -> Gate:
    rate = rules.maximum_violation_rate
    return Gate(
        name="violations",
        needed="none" if rate == 0 else f"at most {_percent(rate)} of the rows",
        observed=f"{observed.violations} in {observed.rows} rows",
        ok=observed.violations <= rate * observed.rows,
    )


def _unchecked(rules: GateRules, observed: Observed) -> Gate:
    mirrored = observed.reads + observed.unchecked
    return Gate(
        name="unchecked",
        needed=f"at most {_percent(rules.maximum_unchecked_share)} of the reads",
        observed=f"{observed.unchecked} of {mirrored}",
        ok=observed.unchecked <= rules.maximum_unchecked_share * mirrored,
    )


def _nodes(rules: GateRules, observed: Observed) -> Gate:
    usual = observed.usual_nodes
    unseen = sorted(usual - observed.seen_nodes)
    seen = len(usual) - len(unseen)
    named = ", ".join(unseen[:_NAMED_NODES]) + (" …" if len(unseen) > _NAMED_NODES else "")
    return Gate(
        name="nodes",
        needed=f"{_percent(rules.minimum_node_coverage)} of the nodes usually read",
        observed=f"{seen} of {len(usual)}" + (f"; not yet {named}" if unseen else ""),
        ok=seen >= rules.minimum_node_coverage * len(usual),
    )


def _incidents(observed: Observed, now: datetime) -> Gate:
    open_until = [seen + CLEAN_HOURS for seen in observed.incidents if seen + CLEAN_HOURS > now]
    return Gate(
        name="incidents",
        needed="none open",
        observed=f"{len(open_until)} open",
        ok=not open_until,
        opens_at=max(open_until, default=None),
    )


def _percent(share: Decimal) -> str:
    return f"{(share * 100).normalize():f}%"
