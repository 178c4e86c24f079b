local s = import 'lib/seamless.libsonnet';

s.dashboard(
  'seamless-schema-governance',
  'Seamless: schema governance',
  'Rollouts and their gates, what schema versions refuse, and the audit log.',
  [
    s.row(5, [
      s.stat('Strict rollouts', 'Releases that block.', s.query('max(seamless_rollouts{mode="strict"})')),
      s.stat('Canary rollouts', 'Releases that are watched.', s.query('max(seamless_rollouts{mode="canary"})')),
      s.stat('Proposals in review', 'Waiting for people.', s.query('max(seamless_proposals{state="in_review"})')),
      s.stat(
        'Open incidents', 'Opened by a strict refusal or a person.',
        s.query('max(seamless_incidents_open)'), 'short', [[null, 'green'], [1, 'orange']]
      ),
      s.stat(
        'Audit seal lag', 'Age of the oldest record without a seal.',
        s.query('max(seamless_audit_seal_lag_seconds)'), 's', [[null, 'green'], [5, 'orange'], [60, 'red']]
      ),
    ]),
    s.row(9, [
      s.timeseries(
        'Schema violations', 'Checked responses that a version refused, per minute.',
        [
          s.query(
            'sum by (subject, mode) (rate(seamless_schema_validation_failures_total[$__rate_interval])) * 60',
            '{{subject}} {{mode}}'
          ),
        ]
      ),
      s.timeseries(
        'Unchecked canary reads', 'Share of the reads of a canary rollout whose check was shed.',
        [s.query('seamless_canary_unchecked_ratio', '{{consumer}} {{bundle}}')], 'percentunit', max=1
      ),
    ]),
    s.row(9, [
      s.table(
        'Gates', '1 where a gate of a canary rollout is open.',
        s.query('seamless_gate_open'), 'short', 'consumer'
      ),
      s.timeseries(
        'Audit log', 'Sealed records, and records that wait.',
        [
          s.query('max(seamless_audit_sealed_records)', 'sealed'),
          s.query('max(seamless_audit_pending_records)', 'pending'),
        ]
      ),
    ]),
    s.row(9, [
      s.timeseries(
        'HTTP answers', 'Per second, by status.',
        [s.query('sum by (status) (rate(seamless_http_requests_total[$__rate_interval]))', '{{status}}')], 'reqps'
      ),
      s.timeseries(
        'HTTP latency', 'p95 by view.',
        [s.query(s.quantile(0.95, 'seamless_http_request_seconds', ['view']), '{{view}}')], 's'
      ),
    ]),
  ],
)
