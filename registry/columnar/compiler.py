"""From a schema to nodes and checks.

What each keyword becomes stands in `registry.columnar.builders`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from registry.canonical import Path
from registry.columnar.checks import Check, Engine, Node
from registry.columnar.combinators import Refuse
from registry.dialects import Dialect, Schema, embedded_dialect
from registry.pointers import pointer
from registry.references import Place as ReachedPlace
from registry.references import Reached, References, reach


class NotColumnar(Exception):
    """The schema can be judged only row by row, because of one keyword."""

    def __init__(self, at: Path, keyword: str) -> None:
        super().__init__(f"{keyword} at {pointer(at) or 'the root'} is judged row by row")
        self.path = at
        self.keyword = keyword


@dataclass(frozen=True)
class PlanStep:
    """How one keyword is judged; `path` goes through `$ref` where that leads to it."""

    path: Path
    engine: Engine

    @property
    def keyword(self) -> str:
        return str(self.path[-1])

    @property
    def pointer(self) -> str:
        return pointer(self.path)


@dataclass(frozen=True)
class Site:
    """One keyword of one schema object: where that lies, and in which dialect it is written.

    `path` counts from the document or from the last reference that was followed, which `route`
    leads to.
    """

    schema: Mapping[str, Any]
    path: Path
    route: Path
    dialect: Dialect
    keyword: str
    owner: Node
    """The node that the checks of the whole schema object go into."""

    @property
    def value(self) -> Any:
        return self.schema[self.keyword]

    @property
    def here(self) -> Path:
        return (*self.path, self.keyword)


Builder = Callable[["Compiler", Site], Check | list[Check] | None]


@dataclass
class Compiler:
    """Compiles one schema with what it refers to.

    Each target of a reference is compiled once, so that recursion ends; `builders_of` gives the
    builders of a dialect, the keywords they leave out are annotations.
    """

    root: Schema
    dialect: Dialect
    references: References
    builders_of: Mapping[Dialect, Mapping[str, "Builder"]]
    steps: dict[Path, PlanStep] = field(default_factory=dict)
    _targets: dict[int, Node] = field(default_factory=dict)

    def compile(self) -> Node:
        """Raises `NotColumnar`."""
        return self.node(self.root, (), (), self.dialect)

    def node(self, schema: Any, path: Path, route: Path, outer: Dialect) -> Node:
        node = Node()
        self._fill(node, schema, path, route, embedded_dialect(schema, outer))
        return node

    def below(self, site: Site, *tokens: str | int, schema: Any = None) -> Node:
        """The node of a subschema that is found below a keyword, by default its value."""
        found = site.value if schema is None else schema
        return self.node(found, (*site.here, *tokens), site.route, site.dialect)

    def sibling(self, site: Site, keyword: str) -> Node | None:
        """The node of the subschema under another keyword of the same schema object."""
        if keyword not in site.schema:
            return None
        return self.node(site.schema[keyword], (*site.path, keyword), site.route, site.dialect)

    def target(self, site: Site) -> Node:
        """The node that a `$ref` leads to."""
        found = self._reached_from(site.schema)
        node = self._targets.get(id(found.schema))
        if node is None:
            node = self._targets[id(found.schema)] = Node()
            self._fill(node, found.schema, (), (*site.route, *site.here), found.dialect)
        return node

    def _reached_from(self, schema: Mapping[str, Any]) -> ReachedPlace:
        place = self._reached_by_identity[id(schema)]
        edge = next(edge for edge in place.edges if edge.path == ("$ref",))
        return self._reached.places[edge.target]

    @cached_property
    def _reached_by_identity(self) -> dict[int, ReachedPlace]:
        return {id(place.schema): place for place in self._reached.places}

    @cached_property
    def _reached(self) -> Reached:
        return reach(self.root, self.dialect, self.references)

    def _fill(self, node: Node, schema: Any, path: Path, route: Path, dialect: Dialect) -> None:
        if schema is False:
            node.checks.append(Refuse(path=path))
        if isinstance(schema, bool):
            return
        builders = self.builders_of[dialect]
        alone = dialect.reference_hides_siblings and isinstance(schema.get("$ref"), str)
        for keyword in ["$ref"] if alone else schema:
            build = builders.get(keyword)
            site = Site(schema, path, route, dialect, keyword, node)
            built = build(self, site) if build else None
            checks = built if isinstance(built, list) else [built] if built else []
            node.checks.extend(checks)
            branch_of_if = keyword in ("then", "else") and "if" in schema and "if" in builders
            unchecked = Engine.COLUMN if branch_of_if else Engine.ANNOTATION
            self._plan(site, checks[0].engine if checks else unchecked)

    def _plan(self, site: Site, engine: Engine) -> None:
        path = (*site.route, *site.here)
        self.steps[path] = PlanStep(path, engine)
