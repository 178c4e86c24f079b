local s = import 'lib/seamless.libsonnet';

s.dashboard(
  'seamless-backfill-health',
  'Seamless: backfill health',
  'Whether backfills move on: leases, stale claims, completion, recovery.',
  [
    s.row(5, [
      s.stat('Active Leases', 'Shards that somebody runs right now.', s.query('sum(backfill_shards{state="leased"})')),
      s.stat(
        'Stuck leases', 'Expired leases that nobody reaped. Must be 0.',
        s.query('max(backfill_stuck_leases)'), 'short', [[null, 'green'], [1, 'red']]
      ),
      s.stat('Jobs in progress', 'Active backfill jobs.', s.query('max(backfill_jobs_in_progress)')),
      s.stat(
        'Oldest pending shard', 'How long the oldest due shard has waited.',
        s.query('max(backfill_oldest_pending_seconds)'), 's', [[null, 'green'], [60, 'orange'], [600, 'red']]
      ),
      s.stat(
        'Coordinator mode', '2 full, 1 degraded (Redis away), 0 local (database away).',
        s.query('max(lease_coordinator_mode{mode="full"} * 2 or lease_coordinator_mode{mode="degraded"})'),
        'short', [[null, 'red'], [1, 'orange'], [2, 'green']]
      ),
    ]),
    s.row(9, [
      s.timeseries(
        'Completion Ratio by Lease', 'Committed of expected bars of each job.',
        [s.query('backfill_completion_ratio{node_id=~"$node_id"}', '{{node_id}} {{interval}} {{lease_key}}')],
        'percentunit', max=1
      ),
      s.timeseries(
        'Shards by state', 'Unfinished shards.',
        [s.query('sum by (state) (backfill_shards)', '{{state}}')]
      ),
    ]),
    s.row(9, [
      s.timeseries(
        'Failures and retries', 'Per minute.',
        [
          s.query('sum(rate(backfill_failure_total{node_id=~"$node_id"}[$__rate_interval])) * 60 or vector(0)', 'failed for good'),
          s.query('sum(rate(backfill_retry_total{node_id=~"$node_id"}[$__rate_interval])) * 60 or vector(0)', 'retried'),
        ]
      ),
      s.timeseries(
        'Stale claims', 'Leases whose holder went silent, and results that the fence refused, per minute.',
        [
          s.query('sum(rate(backfill_lease_expired_total[$__rate_interval])) * 60 or vector(0)', 'expired'),
          s.query('sum(rate(backfill_fence_rejected_total[$__rate_interval])) * 60', 'refused by the fence'),
        ]
      ),
    ]),
    s.row(9, [
      s.timeseries(
        'Takeover of expired leases', 'From expiry to takeover.',
        [s.query(s.quantile(q, 'backfill_lease_takeover_seconds'), 'p%d' % (q * 100)) for q in [0.5, 0.95]],
        's'
      ),
      s.timeseries(
        'Late renewals', 'How much later than planned a lease was renewed.',
        [s.query(s.quantile(0.95, 'backfill_renewal_late_seconds'), 'p95')],
        's'
      ),
      s.timeseries(
        'Broker', 'Messages, by what they wait for; shards that the reconciler put on the queue again, per minute.',
        [
          s.query('sum by (state) (seamless_celery_messages)', '{{state}}'),
          s.query('sum(rate(backfill_reconcile_requeued_total[$__rate_interval])) * 60', 'requeued'),
        ]
      ),
    ]),
    s.row(9, [
      s.timeseries(
        'Gap repair', 'From the request of a backfill job to its last committed shard.',
        [s.query(s.quantile(q, 'gap_repair_latency_ms', where='node_id=~"$node_id"'), 'p%d' % (q * 100)) for q in [0.5, 0.95]],
        'ms', [[null, 'green'], [600000, 'red']]
      ),
      s.timeseries(
        'Newest backfilled bar', 'Its age: how far behind the present backfills have come.',
        [s.query('time() - max by (node_id) (backfill_last_timestamp{node_id=~"$node_id"})', '{{node_id}}')],
        's'
      ),
      s.timeseries(
        'Rate limits', 'Shards that may begin at once, and claims per minute that had to wait.',
        [
          s.query('min by (limiter) (seamless_rl_tokens_available)', '{{limiter}}'),
          s.query('sum by (limiter) (rate(seamless_rl_dropped_total[$__rate_interval])) * 60 or vector(0)', '{{limiter}} put off'),
        ]
      ),
    ]),
    s.row(8, [
      s.table(
        'Recent Coordinator Updates', 'Jobs that are active or ended within the hour.',
        s.query('backfill_completion_ratio{node_id=~"$node_id"}'), 'percentunit'
      ),
    ]),
  ],
  [s.variable('node_id', 'backfill_completion_ratio', 'node_id')],
)
