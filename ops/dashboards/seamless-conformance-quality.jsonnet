local s = import 'lib/seamless.libsonnet';

local flags = 'seamless_conformance_flag_total{node_id=~"$node_id"}';

s.dashboard(
  'seamless-conformance-quality',
  'Seamless: conformance quality',
  'What the conformance reports flag, by node and kind, and whether it gets better or worse.',
  [
    s.row(5, [
      s.stat(
        'Total Flags (15m)', 'Above 50 SeamlessConformanceFlagSpike fires.',
        s.query('sum(increase(%s[15m]))' % flags), 'short', [[null, 'green'], [25, 'orange'], [50, 'red']]
      ),
      s.stat(
        'Warnings (15m)', 'Warnings of reports.',
        s.query('sum(increase(seamless_conformance_warning_total{node_id=~"$node_id"}[15m]))')
      ),
      s.stat(
        'Lowest coverage', 'Of the last read of each node. The objective is 0.98.',
        s.query('min(coverage_ratio{node_id=~"$node_id"})'), 'percentunit',
        [[null, 'red'], [0.9, 'orange'], [0.98, 'green']]
      ),
      s.stat(
        'Digests that got worse (1h)', 'Reports with more findings per 1,000 bars than the one before.',
        s.query('sum(increase(seamless_conformance_digest_total{node_id=~"$node_id", direction="worse"}[1h]))'),
        'short', [[null, 'green'], [1, 'orange']]
      ),
    ]),
    s.row(9, [
      s.timeseries(
        'Flags by Node', 'Per 5 minutes.',
        [s.query('sum by (node_id) (increase(%s[5m]))' % flags, '{{node_id}}')]
      ),
      s.timeseries(
        'Flags by kind', 'Per 5 minutes.',
        [s.query('sum by (flag_type) (increase(%s[5m]))' % flags, '{{flag_type}}')]
      ),
    ]),
    s.row(9, [
      s.timeseries(
        'Coverage', 'Covered of expected bars of the last read.',
        [s.query('coverage_ratio{node_id=~"$node_id"}', '{{node_id}}')], 'percentunit', max=1
      ),
      s.timeseries(
        'Regression digest', 'Reports per 5 minutes, by how they compare with the one before.',
        [
          s.query(
            'sum by (direction) (increase(seamless_conformance_digest_total{node_id=~"$node_id"}[5m]))',
            '{{direction}}'
          ),
        ]
      ),
    ]),
    s.row(9, [
      s.table(
        'Flag Breakdown', 'Over an hour.',
        s.query('sum by (node_id, flag_type) (increase(%s[1h])) > 0' % flags)
      ),
    ]),
  ],
  [s.variable('node_id', 'seamless_conformance_flag_total', 'node_id')],
)
