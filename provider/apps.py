from django.apps import AppConfig


class ProviderConfig(AppConfig):
    name = "provider"

    def ready(self) -> None:
        from coordinator.origins import Origin
        from coordinator.ports import set_gap_finder, set_shard_handler_factory
        from provider.backfill import NodeShardHandler
        from provider.examining import discover_series
        from provider.live import set_live_tail_factory
        from provider.live.feed import node_tail
        from provider.live.shards import LiveShardHandler
        from provider.node_settings import check_settings
        from provider.replay_rows import StoredBars
        from provider.stored_gaps import stored_gaps
        from registry.node_settings import set_node_settings_check, set_series_discovery
        from registry.replay import set_stored_rows

        set_shard_handler_factory(NodeShardHandler)
        set_shard_handler_factory(LiveShardHandler, Origin.LIVE)
        set_gap_finder(stored_gaps)
        set_live_tail_factory(node_tail)
        set_node_settings_check(check_settings)
        set_stored_rows(StoredBars())
        set_series_discovery(discover_series)
