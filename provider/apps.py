from django.apps import AppConfig


class ProviderConfig(AppConfig):
    name = "provider"

    def ready(self) -> None:
        from coordinator.ports import set_shard_handler_factory
        from provider.backfill import NodeShardHandler

        set_shard_handler_factory(NodeShardHandler)
