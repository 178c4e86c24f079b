"""Two releases of a bundle side by side: what joined, what left, what changed and how."""

from dataclasses import asdict, dataclass
from typing import Any

from registry.diff import diff
from registry.models import Release, SchemaVersion


@dataclass(frozen=True, slots=True)
class ChangedMember:
    subject: str
    before: int
    after: int
    changes: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class ReleaseComparison:
    """`added` and `removed` are subjects with their version; `changes` are those of the schemas."""

    added: dict[str, int]
    removed: dict[str, int]
    changed: list[ChangedMember]

    @property
    def is_equal(self) -> bool:
        return not (self.added or self.removed or self.changed)


def compare_releases(before: Release, after: Release) -> ReleaseComparison:
    old, new = _members(before), _members(after)
    changed = [
        ChangedMember(
            subject=name,
            before=old[name].number,
            after=new[name].number,
            changes=[
                asdict(one) for one in diff(old[name].content.document, new[name].content.document)
            ],
        )
        for name in sorted(old.keys() & new.keys())
        if old[name].pk != new[name].pk
    ]
    return ReleaseComparison(
        added={name: new[name].number for name in sorted(new.keys() - old.keys())},
        removed={name: old[name].number for name in sorted(old.keys() - new.keys())},
        changed=changed,
    )


def _members(release: Release) -> dict[str, SchemaVersion]:
    members = release.members.select_related("subject", "version__content")
    return {member.subject.name: member.version for member in members}
