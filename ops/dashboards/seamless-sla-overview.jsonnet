local s = import 'lib/seamless.libsonnet';

local total = 'node_id=~"$node_id", phase="total"';
local budget(window) = 'clamp_min(1 - seamless:sla_errors:ratio_rate%s / 0.01, 0)' % window;

s.dashboard(
  'seamless-sla-overview',
  'Seamless: SLA overview',
  'How long reads take, by phase and node, and what is left of the error budget.',
  [
    s.row(5, [
      s.stat(
        'Current Total p95', 'Over 5 minutes. The objective is 1.5 s.',
        s.query(s.quantile(0.95, 'seamless_sla_deadline_seconds', [], total, '5m')),
        's', [[null, 'green'], [1.5, 'orange'], [240, 'red']]
      ),
      s.stat(
        'Current Total p99', 'Over 5 minutes. Above 240 s SeamlessSla99thDegraded fires.',
        s.query('max(seamless_sla_total_p99_seconds)'),
        's', [[null, 'green'], [60, 'orange'], [240, 'red']]
      ),
      s.stat(
        'Error budget left', 'Of the share of reads (1 %) that may end later than 240 s, over 3 days.',
        s.query(budget('3d')),
        'percentunit', [[null, 'red'], [0.25, 'orange'], [0.5, 'green']]
      ),
      s.stat(
        'Reads per second', 'Governed reads that ended, refusals included.',
        s.query('sum(rate(seamless_sla_deadline_seconds_count{%s}[5m]))' % total),
        'reqps'
      ),
    ]),
    s.row(9, [
      s.timeseries(
        '99th Percentile Deadline (Total)', 'By node.',
        [s.query(s.quantile(0.99, 'seamless_sla_deadline_seconds', ['node_id'], total), '{{node_id}}')],
        's', [[null, 'transparent'], [240, 'red']]
      ),
      s.timeseries(
        'Total: p50, p95, p99', 'Over all chosen nodes.',
        [
          s.query(s.quantile(q, 'seamless_sla_deadline_seconds', [], total), 'p%d' % (q * 100))
          for q in [0.5, 0.95, 0.99]
        ],
        's'
      ),
    ]),
    s.row(9, [
      s.timeseries(
        'Phase Breakdown', 'p95 of each phase.',
        [
          s.query(
            s.quantile(0.95, 'seamless_sla_deadline_seconds', ['phase'], 'node_id=~"$node_id"'),
            '{{phase}}'
          ),
        ],
        's'
      ),
      s.timeseries(
        'Violations by phase', 'Reads over a budget, per minute.',
        [
          s.query(
            'sum by (phase) (rate(seamless_sla_violation_total{node_id=~"$node_id"}[$__rate_interval])) * 60 or vector(0)',
            '{{phase}}'
          ),
        ]
      ),
    ]),
    s.row(9, [
      s.timeseries(
        'Burn rate of the error budget', 'Above 14.4 over 1 h, or 6 over 6 h, somebody is called.',
        [
          s.query('seamless:sla_errors:ratio_rate%s / 0.01' % window, window)
          for window in ['5m', '1h', '6h']
        ],
        'short', [[null, 'transparent'], [6, 'orange'], [14.4, 'red']]
      ),
      s.table(
        'Slowest nodes', 'p95 of the total over an hour.',
        s.query('topk(20, %s)' % s.quantile(0.95, 'seamless_sla_deadline_seconds', ['node_id'], total, '1h')),
        's'
      ),
    ]),
  ],
  [s.variable('node_id', 'seamless_sla_deadline_seconds_count', 'node_id')],
)
