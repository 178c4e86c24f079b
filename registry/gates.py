"""What a canary must have shown before its release may become strict: a pure judgement."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class GateRules:
    observation: timedelta
    minimum_reads: int
    maximum_violations: int
    required_approvals: int


@dataclass(frozen=True, slots=True)
class Observed:
    started_at: datetime
    reads: int
    violations: int
    approvals: int


@dataclass(frozen=True, slots=True)
class Gate:
    """One condition: what is needed, what was observed, whether that is enough."""

    name: str
    needed: str
    observed: str
    ok: bool
    opens_at: datetime | None = None


def judge_gates(rules: GateRules, observed: Observed, now: datetime) -> tuple[Gate, ...]:
    """Every gate of the policy, in a fixed order; the canary may be promoted iff all are ok."""
    age = now - observed.started_at
    return (
        Gate(
            name="observation",
            needed=f"at least {rules.observation}",
            observed=str(timedelta(seconds=int(age.total_seconds()))),
            ok=age >= rules.observation,
            opens_at=observed.started_at + rules.observation,
        ),
        Gate(
            name="reads",
            needed=f"at least {rules.minimum_reads}",
            observed=str(observed.reads),
            ok=observed.reads >= rules.minimum_reads,
        ),
        Gate(
            name="violations",
            needed=f"at most {rules.maximum_violations}",
            observed=str(observed.violations),
            ok=observed.violations <= rules.maximum_violations,
        ),
        Gate(
            name="approvals",
            needed=f"{rules.required_approvals} distinct people",
            observed=str(observed.approvals),
            ok=observed.approvals >= rules.required_approvals,
        ),
    )


def all_open(gates: Sequence[Gate]) -> bool:
    return all(gate.ok for gate in gates)
