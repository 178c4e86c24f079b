// What our dashboards are made of. A dashboard is a list of rows; a row is a list of panels that
// share its width of 24 and its height, so that nobody counts grid positions by hand.
//
// Every panel asks the data source variable, and every query of a node the variable `node_id`.
{
  local datasource = { type: 'prometheus', uid: '${datasource}' },

  // --- queries ------------------------------------------------------------------------------

  query(expr, legend='', instant=false):: {
    datasource: datasource,
    expr: expr,
    legendFormat: legend,
    [if instant then 'instant']: true,
    [if instant then 'format']: 'table',
    [if !instant then 'range']: true,
  },

  // The q-quantile of a histogram, by some of its labels.
  quantile(q, histogram, by=[], where='', window='$__rate_interval')::
    'histogram_quantile(%s, sum by (%s) (rate(%s_bucket{%s}[%s])))' % [
      std.toString(q),
      std.join(', ', ['le'] + by),
      histogram,
      where,
      window,
    ],

  // --- panels -------------------------------------------------------------------------------

  local panel(type, title, description, queries, unit, overrides) = {
    type: type,
    title: title,
    description: description,
    datasource: datasource,
    targets: [
      queries[i] { refId: std.char(std.codepoint('A') + i) }
      for i in std.range(0, std.length(queries) - 1)
    ],
    fieldConfig: { defaults: { unit: unit, min: 0 } + overrides, overrides: [] },
    options: {},
  },

  local steps(thresholds) = {
    thresholds: {
      mode: 'absolute',
      steps: [{ color: t[1], value: t[0] } for t in thresholds],
    },
  },

  // `thresholds`: pairs of a lower bound (null for the first) and a colour.
  timeseries(title, description, queries, unit='short', thresholds=[], max=null)::
    panel(
      'timeseries', title, description, queries, unit,
      (if max == null then {} else { max: max }) +
      (if thresholds == [] then {} else steps(thresholds) { custom: { thresholdsStyle: { mode: 'line' } } })
    ) {
      options: {
        legend: { displayMode: 'table', placement: 'bottom', calcs: ['lastNotNull', 'max'] },
        tooltip: { mode: 'multi', sort: 'desc' },
      },
    },

  stat(title, description, query, unit='short', thresholds=[[null, 'green']])::
    panel('stat', title, description, [query], unit, steps(thresholds)) {
      options: {
        reduceOptions: { calcs: ['lastNotNull'] },
        colorMode: 'value',
        graphMode: 'area',
      },
    },

  table(title, description, query, unit='short', sort='Value')::
    panel('table', title, description, [query { instant: true, format: 'table' }], unit, {}) {
      options: { sortBy: [{ displayName: sort, desc: true }] },
      transformations: [{ id: 'organize', options: { excludeByName: { Time: true, instance: true, job: true } } }],
    },

  // --- a dashboard --------------------------------------------------------------------------

  row(height, panels):: { height: height, panels: panels },

  local placed(row, y) = [
    local share = std.floor(24 / std.length(row.panels));
    local last = i == std.length(row.panels) - 1;
    row.panels[i] {
      gridPos: {
        x: i * share,
        y: y,
        w: if last then 24 - i * share else share,
        h: row.height,
      },
    }
    for i in std.range(0, std.length(row.panels) - 1)
  ],

  local stacked(rows, y=0) =
    if rows == [] then [] else placed(rows[0], y) + stacked(rows[1:], y + rows[0].height),

  local labelValues(metric, label) = 'label_values(%s, %s)' % [metric, label],

  variable(name, metric, label):: {
    name: name,
    label: name,
    type: 'query',
    datasource: datasource,
    definition: labelValues(metric, label),
    query: { query: labelValues(metric, label), refId: name },
    refresh: 2,
    includeAll: true,
    allValue: '.*',
    multi: true,
    current: { text: 'All', value: '$__all' },
    sort: 1,
  },

  dashboard(uid, title, description, rows, variables=[]):: {
    uid: uid,
    title: title,
    description: description,
    tags: ['seamless'],
    schemaVersion: 39,
    version: 1,
    editable: true,
    graphTooltip: 1,
    refresh: '30s',
    timezone: 'utc',
    time: { from: 'now-6h', to: 'now' },
    annotations: { list: [] },
    links: [{ type: 'dashboards', tags: ['seamless'], title: 'Seamless', asDropdown: true }],
    templating: {
      list: [
        { name: 'datasource', label: 'Data source', type: 'datasource', query: 'prometheus', current: {} },
      ] + variables,
    },
    local panels = stacked(rows),
    panels: [panels[i] { id: i + 1 } for i in std.range(0, std.length(panels) - 1)],
  },
}
