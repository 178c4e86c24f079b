"""The provider of nodes whose bars lie in QuestDB, under the name that the original gave it."""

from typing import ClassVar

from provider.requests import ReadAnswer, ReadRequest
from provider.seamless import SeamlessDataProvider
from registry.errors import Conflict


class NotInQuestDB(Conflict):
    code: ClassVar[str] = "not_in_questdb"
    title: ClassVar[str] = "Not in QuestDB"


class EnhancedQuestDBProvider(SeamlessDataProvider):
    """`SeamlessDataProvider` for nodes of the store type `questdb`, and for no others.

    The conformance pipeline is on, as in every provider; `partial_ok=True` reports instead of
    raising. What the store is, and where, stands in the node's settings.
    """

    def read(self, request: ReadRequest) -> ReadAnswer:
        """Raises NotInQuestDB for a node of another store, and what every read raises."""
        kind = request.node.store.get("type")
        if kind != "questdb":
            raise NotInQuestDB(
                f"The bars of {request.node.node_id} lie in a store of the type {kind!r}; read it"
                " with SeamlessDataProvider."
            )
        return super().read(request)
