"""Who acts: the subject of every service call and of every audit record."""

from dataclasses import dataclass
from typing import Literal

ActorKind = Literal["user", "consumer", "system", "unknown"]


@dataclass(frozen=True, slots=True)
class Actor:
    """A person, a program or the system itself, with where its request came from.

    `unknown` is a stranger: a caller whose credentials are nobody's.

    `id` is the primary key of the user or consumer as text (the component's name for the system);
    `name` is what people read. The three request fields join an audit record to its log lines.
    `roles` (`auditor:risk`: a role in a team) are filled in when the record is written.
    """

    kind: ActorKind
    id: str
    name: str
    request_id: str = ""
    correlation_id: str = ""
    source: str = ""
    roles: tuple[str, ...] = ()

    @classmethod
    def system(cls, component: str) -> "Actor":
        return cls(kind="system", id=component, name=component)
