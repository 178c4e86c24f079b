"""The file that says what the bundles should be: kept in Git, planned and applied.

    seamless: 1
    bundles:
      market:
        owner_team: market-data
        gate_policy: house
        description: Daily bars and trades
        subjects: [market.ohlc, market.trades]
        subscribers: [pricing]

`description` may be left out, which leaves it as it is; so may `subscribers`. Bundles that the file
does not name are left alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from registry.errors import InvalidInput

FORMAT = 1
SIZE_LIMIT = 1_048_576
_NEEDED = {"owner_team", "gate_policy", "subjects"}
_KNOWN = _NEEDED | {"description", "subscribers"}


class WrongBundleFile(InvalidInput):
    code = "wrong_bundle_file"
    title = "Wrong bundle file"


@dataclass(frozen=True, slots=True)
class WantedBundle:
    """None: as it is."""

    name: str
    owner_team: str
    gate_policy: str
    subjects: tuple[str, ...]
    description: str | None = None
    subscribers: tuple[str, ...] | None = None


def parse_bundle_file(text: str) -> tuple[WantedBundle, ...]:
    """The bundles of a file, by name. Raises WrongBundleFile, which says what stands where."""
    if len(text) > SIZE_LIMIT:
        raise WrongBundleFile(f"A bundle file has at most {SIZE_LIMIT} characters.")
    try:
        document = yaml.load(text, _Loader)
    except (yaml.YAMLError, RecursionError) as error:
        raise WrongBundleFile(f"This is no YAML: {' '.join(str(error).split())[:300]}") from None
    if not isinstance(document, dict) or set(document) != {"seamless", "bundles"}:
        raise WrongBundleFile("A bundle file has the two keys `seamless` and `bundles`.")
    if document["seamless"] != FORMAT or isinstance(document["seamless"], bool):
        raise WrongBundleFile(f"`seamless` is the format, {FORMAT}, not {document['seamless']!r}.")
    bundles = document["bundles"]
    if not isinstance(bundles, dict):
        raise WrongBundleFile("`bundles` holds one entry a bundle, by name.")
    return tuple(_bundle(name, bundles[name]) for name in sorted(bundles, key=str))


def format_bundle_file(bundles: Sequence[WantedBundle]) -> str:
    """The same bundles, the same text."""
    wanted: dict[str, Any] = {}
    for bundle in sorted(bundles, key=lambda one: one.name):
        entry: dict[str, Any] = {
            "owner_team": bundle.owner_team,
            "gate_policy": bundle.gate_policy,
            "subjects": sorted(bundle.subjects),
        }
        if bundle.description is not None:
            entry["description"] = bundle.description
        if bundle.subscribers is not None:
            entry["subscribers"] = sorted(bundle.subscribers)
        wanted[bundle.name] = entry
    text: str = yaml.safe_dump(
        {"seamless": FORMAT, "bundles": wanted}, sort_keys=False, allow_unicode=True
    )
    return text


def _bundle(name: Any, entry: Any) -> WantedBundle:
    where = f"bundles.{name}"
    if not isinstance(name, str) or not isinstance(entry, Mapping):
        raise WrongBundleFile(f"{where}: a bundle is a name with its settings.")
    if unknown := sorted(str(key) for key in entry if key not in _KNOWN):
        raise WrongBundleFile(f"{where}.{unknown[0]} is unknown; use {', '.join(sorted(_KNOWN))}.")
    if missing := sorted(_NEEDED - set(entry)):
        raise WrongBundleFile(f"{where}.{missing[0]} is missing.")
    if not (subjects := _names(f"{where}.subjects", entry["subjects"])):
        raise WrongBundleFile(f"{where}.subjects is empty; a bundle holds at least one.")
    return WantedBundle(
        name=name,
        owner_team=_text(f"{where}.owner_team", entry["owner_team"]),
        gate_policy=_text(f"{where}.gate_policy", entry["gate_policy"]),
        subjects=subjects,
        description=(
            _text(f"{where}.description", entry["description"]) if "description" in entry else None
        ),
        subscribers=(
            _names(f"{where}.subscribers", entry["subscribers"]) if "subscribers" in entry else None
        ),
    )


def _text(where: str, value: Any) -> str:
    if not isinstance(value, str):
        raise WrongBundleFile(f"{where} is a text, not {value!r:.60}; quote it.")
    return value


def _names(where: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise WrongBundleFile(f"{where} is a list of names.")
    names = [_text(where, item) for item in value]
    if len(set(names)) != len(names):
        raise WrongBundleFile(f"{where} names something twice.")
    return tuple(sorted(names))


class _Loader(yaml.SafeLoader):
    """Refuses what YAML takes silently: a key twice, and aliases (which can grow without end)."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.constructor.ConstructorError(None, None, "aliases are not taken here")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(
                    None, None, f"{key!r} stands here twice", node.start_mark
                )
        found: dict[Any, Any] = super().construct_mapping(node, deep)
        return found
