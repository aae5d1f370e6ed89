//! The dashboards for those who look elsewhere: Grafana, whose queries are run against a real Prometheus in a test, and
//! Datadog and OpenSearch, which no test has met.

use std::fmt::Write as _;

use serde_json::{Value as Json, json};

use super::dashboard::{DASHBOARDS, Dashboard, Kind, Line, Panel, Series, Unit, Value};

/// For whom dashboards are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Product {
    /// Grafana, over Prometheus.
    Grafana,
    /// Datadog, over its OpenMetrics check with the namespace `tuesday`.
    Datadog,
    /// OpenSearch Dashboards, over the metrics that Data Prepper takes from OTLP.
    OpenSearch,
}

/// The window of rates: four looks at the usual interval of 15 s.
const WINDOW: &str = "$__rate_interval";

/// The query of a line in the words of Prometheus, rates being those over `window`.
pub fn promql(value: &Value, window: &str) -> String {
    let grouped = |by: &[&str]| match by {
        [] => String::new(),
        by => format!(" by ({})", by.join(", ")),
    };
    let rate = |series: &Series, ending: &str, by: &[&str]| {
        format!("sum{}(rate({}[{window}]))", grouped(by), selector(series, ending))
    };
    match value {
        Value::Level { of, by } => format!("sum{}({})", grouped(by), selector(of, "")),
        Value::Highest { of, by } => format!("max{}({})", grouped(by), selector(of, "")),
        Value::Rate { of, by } => rate(of, "", by),
        // A part that has never been is no series, and yet it is zero.
        Value::Share { part, whole, by } => {
            let (part, whole) = (rate(part, "", by), rate(whole, "", by));
            format!("({part} or 0 * {whole}) / ({whole} > 0)")
        }
        Value::Quantile { quantile, of, by } => {
            let by: Vec<_> = by.iter().copied().chain(["le"]).collect();
            format!("histogram_quantile({quantile}, {})", rate(of, "_bucket", &by))
        }
    }
}

fn selector(Series { metric, only }: &Series, ending: &str) -> String {
    let only: Vec<_> = only.iter().map(|(label, value)| format!("{label}=\"{value}\"")).collect();
    match only.as_slice() {
        [] => format!("{metric}{ending}"),
        only => format!("{metric}{ending}{{{}}}", only.join(",")),
    }
}

/// Both dashboards for a product, as it imports them.
pub fn export(product: Product) -> String {
    match product {
        Product::Grafana => pretty(&Json::Array(DASHBOARDS.iter().map(grafana).collect())),
        Product::Datadog => pretty(&Json::Array(DASHBOARDS.iter().map(datadog).collect())),
        Product::OpenSearch => {
            let objects = DASHBOARDS.iter().flat_map(open_search);
            objects.map(|object| object.to_string() + "\n").collect()
        }
    }
}

/// One dashboard for Grafana, as `/api/dashboards/db` and the import page take it.
pub fn grafana(dashboard: &Dashboard) -> Json {
    let panels = dashboard.panels.iter().zip(0..).map(|(panel, place): (&Panel, u32)| {
        let targets = panel.lines.iter().zip('A'..).map(|(line, letter)| {
            json!({
                "refId": letter.to_string(),
                "expr": promql(&line.value, WINDOW),
                "legendFormat": legend(line, |label| format!("{{{{{label}}}}}")),
                "datasource": { "type": "prometheus", "uid": "${datasource}" },
            })
        });
        let states = panel.kind == Kind::States;
        let targets: Vec<Json> = if states { state_targets(panel) } else { targets.collect() };
        let unit = match panel.unit {
            Unit::Share => "percentunit",
            Unit::PerSecond => "reqps",
            Unit::Seconds => "s",
            Unit::Count => "short",
        };
        let mut defaults = json!({ "unit": unit, "min": 0 });
        if panel.unit == Unit::Share {
            defaults["max"] = json!(1);
        }
        if states {
            defaults = json!({ "mappings": [{ "type": "value", "options": {
                "0": { "text": "closed", "color": "green" },
                "1": { "text": "half-open", "color": "yellow" },
                "2": { "text": "open", "color": "red" },
            } }] });
        }
        json!({
            "id": place + 1,
            "type": if states { "state-timeline" } else { "timeseries" },
            "title": panel.title,
            "description": panel.about,
            "datasource": { "type": "prometheus", "uid": "${datasource}" },
            "gridPos": { "h": 9, "w": 12, "x": 12 * (place % 2), "y": 9 * (place / 2) },
            "fieldConfig": { "defaults": defaults, "overrides": [] },
            "options": if states { json!({ "mergeValues": true, "showValue": "auto" }) } else { json!({
                "legend": { "displayMode": "table", "placement": "bottom", "calcs": ["lastNotNull", "max"] },
                "tooltip": { "mode": "multi" },
            }) },
            "targets": targets,
        })
    });
    json!({
        "uid": format!("tuesday-{}", dashboard.id),
        "title": format!("Tuesday: {}", dashboard.title),
        "description": dashboard.about,
        "tags": ["tuesday", "gateway"],
        "schemaVersion": 39,
        "editable": true,
        "refresh": "10s",
        "time": { "from": "now-30m", "to": "now" },
        "templating": { "list": [{
            "name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus",
        }] },
        "panels": panels.collect::<Vec<_>>(),
    })
}

/// Grafana's timeline colours one number: 0 closed, 1 half-open, 2 open.
fn state_targets(panel: &Panel) -> Vec<Json> {
    let target = |line: &Line| {
        let Value::Highest { of, .. } = line.value else { return None };
        let state = |state, weight| {
            let only = [("state", state)];
            let labels: Vec<_> = only.iter().map(|(label, value)| format!("{label}=\"{value}\"")).collect();
            format!("{weight} * max by (upstream)({}{{{}}})", of.metric, labels.join(","))
        };
        Some(json!({
            "refId": "A",
            "expr": format!("{} + {}", state("half-open", 1), state("open", 2)),
            "legendFormat": "{{upstream}}",
            "datasource": { "type": "prometheus", "uid": "${datasource}" },
        }))
    };
    panel.lines.iter().filter_map(target).collect()
}

/// The name of a line, `label` standing for the value of each label.
fn legend(line: &Line, label: impl Fn(&str) -> String) -> String {
    let mut parts: Vec<String> = line.value.by().iter().map(|by| label(by)).collect();
    parts.extend((!line.name.is_empty()).then(|| line.name.to_owned()));
    parts.join(" ")
}

/// One dashboard for Datadog (`POST /api/v1/dashboard`), over the metrics as its OpenMetrics check V2 names them: a
/// counter without `_total` and with `.count`, a histogram as a distribution.
fn datadog(dashboard: &Dashboard) -> Json {
    let widgets = dashboard.panels.iter().map(|panel| {
        let requests = panel.lines.iter().map(|line| {
            let (queries, formula) = datadog_queries(line);
            json!({
                "response_format": "timeseries",
                "display_type": if panel.kind == Kind::States { "area" } else { "line" },
                "queries": queries,
                "formulas": [{ "formula": formula, "alias": line.name }],
            })
        });
        json!({ "definition": {
            "type": "timeseries",
            "title": panel.title,
            "requests": requests.collect::<Vec<_>>(),
            "yaxis": { "min": "0" },
        } })
    });
    json!({
        "title": format!("Tuesday: {}", dashboard.title),
        "description": format!("{} Generated, and not tested against Datadog.", dashboard.about),
        "layout_type": "ordered",
        "widgets": widgets.collect::<Vec<_>>(),
    })
}

fn datadog_queries(line: &Line) -> (Json, String) {
    let by = |by: &[&str]| match by {
        [] => String::new(),
        by => format!(" by {{{}}}", by.join(",")),
    };
    let filter = |only: &[(&str, &str)]| match only {
        [] => "*".to_owned(),
        only => only.iter().map(|(label, value)| format!("{label}:{value}")).collect::<Vec<_>>().join(","),
    };
    let counter = |of: &Series, labels: &[&str]| {
        let name = of.metric.strip_suffix("_total").unwrap_or(of.metric);
        format!("sum:tuesday.{name}.count{{{}}}{}.as_rate()", filter(of.only), by(labels))
    };
    let query = |name: &str, query: String| json!({ "data_source": "metrics", "name": name, "query": query });
    match &line.value {
        Value::Level { of, by: labels } => {
            let text = format!("sum:tuesday.{}{{{}}}{}", of.metric, filter(of.only), by(labels));
            (json!([query("a", text)]), "a".to_owned())
        }
        Value::Highest { of, by: labels } => {
            let text = format!("max:tuesday.{}{{{}}}{}", of.metric, filter(of.only), by(labels));
            (json!([query("a", text)]), "a".to_owned())
        }
        Value::Rate { of, by } => (json!([query("a", counter(of, by))]), "a".to_owned()),
        Value::Share { part, whole, by } => (
            json!([query("a", counter(part, by)), query("b", counter(whole, by))]),
            "default_zero(a) / b".to_owned(),
        ),
        Value::Quantile { quantile, of, by: labels } => {
            let text =
                format!("p{}:tuesday.{}{{{}}}{}", quantile * 100.0, of.metric, filter(of.only), by(labels));
            (json!([query("a", text)]), "a".to_owned())
        }
    }
}

/// The saved objects of one dashboard for OpenSearch Dashboards: a visualisation for each panel, and the dashboard.
///
/// They read the index of metrics that Data Prepper fills from OTLP, where a metric has its `name` and `value`, its labels
/// below `metric.attributes`.
fn open_search(dashboard: &Dashboard) -> Vec<Json> {
    const INDEX: &str = "ss4o_metrics-*";
    let id = |place: usize| format!("tuesday-{}-{place}", dashboard.id);
    let mut objects: Vec<Json> = Vec::new();
    for (place, panel) in dashboard.panels.iter().enumerate() {
        let series = panel.lines.iter().enumerate().map(|(number, line)| {
            let (metric, only, aggregation) = match &line.value {
                Value::Level { of, .. } | Value::Highest { of, .. } => (of.metric, of.only, json!([{ "type": "max", "field": "value" }])),
                Value::Rate { of, .. } | Value::Share { part: of, .. } => (
                    of.metric,
                    of.only,
                    json!([{ "id": "m", "type": "max", "field": "value" }, { "type": "positive_rate", "field": "m", "unit": "1s" }]),
                ),
                Value::Quantile { quantile, of, .. } => (
                    of.metric,
                    of.only,
                    json!([{ "type": "percentile", "field": "max", "percentiles": [{ "value": quantile * 100.0 }] }]),
                ),
            };
            let name = ["_total", "_seconds", "_ratio"].iter().fold(metric, |name, end| name.strip_suffix(end).unwrap_or(name));
            let mut query = format!("name:\"{name}\"");
            for (label, value) in only {
                // Writing to a string does not fail.
                let _ = write!(query, " AND metric.attributes.{label}:\"{value}\"");
            }
            let mut series = json!({
                "id": format!("{}-{number}", id(place)),
                "label": line.name,
                "chart_type": "line",
                "metrics": aggregation,
                "split_mode": "filter",
                "filter": { "query": query, "language": "lucene" },
            });
            if let [first, ..] = line.value.by() {
                series["split_mode"] = json!("terms");
                series["terms_field"] = json!(format!("metric.attributes.{first}.keyword"));
            }
            series
        });
        let state = json!({
            "title": format!("Tuesday: {}", panel.title),
            "type": "metrics",
            "aggs": [],
            "params": {
                "type": "timeseries",
                "index_pattern": INDEX,
                "time_field": "time",
                "interval": "auto",
                "series": series.collect::<Vec<_>>(),
            },
        });
        objects.push(json!({
            "type": "visualization",
            "id": id(place),
            "attributes": {
                "title": format!("Tuesday: {}", panel.title),
                "description": panel.about,
                "visState": state.to_string(),
                "uiStateJSON": "{}",
                "version": 1,
                "kibanaSavedObjectMeta": { "searchSourceJSON": "{}" },
            },
            "references": [],
        }));
    }
    let panels = (0..dashboard.panels.len()).map(|place| {
        json!({
            "panelIndex": place.to_string(),
            "panelRefName": format!("panel_{place}"),
            "gridData": { "x": 24 * (place % 2), "y": 15 * (place / 2), "w": 24, "h": 15, "i": place.to_string() },
            "embeddableConfig": {},
        })
    });
    let references = (0..dashboard.panels.len())
        .map(|place| json!({ "type": "visualization", "id": id(place), "name": format!("panel_{place}") }));
    objects.push(json!({
        "type": "dashboard",
        "id": format!("tuesday-{}", dashboard.id),
        "attributes": {
            "title": format!("Tuesday: {}", dashboard.title),
            "description": format!("{} Generated, and not tested against OpenSearch.", dashboard.about),
            "panelsJSON": Json::Array(panels.collect()).to_string(),
            "optionsJSON": "{}",
            "version": 1,
            "timeRestore": false,
            "kibanaSavedObjectMeta": { "searchSourceJSON": "{}" },
        },
        "references": references.collect::<Vec<_>>(),
    }));
    objects
}

fn pretty(document: &Json) -> String {
    // What was made of values is JSON.
    serde_json::to_string_pretty(document).unwrap_or_default() + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_a_query() {
        let of = Series { metric: "decisions_total", only: &[("verdict", "rejected")] };
        let whole = Series { only: &[], ..of };
        let queries = [
            promql(&Value::Level { of: whole, by: &[] }, "1m"),
            promql(&Value::Highest { of, by: &["scope"] }, "1m"),
            promql(&Value::Rate { of, by: &["scope"] }, "1m"),
            promql(&Value::Share { part: of, whole, by: &["scope"] }, "1m"),
            promql(&Value::Quantile { quantile: 0.99, of: whole, by: &["route"] }, "1m"),
        ];
        insta::assert_snapshot!(queries.join("\n"), @r#"
        sum(decisions_total)
        max by (scope)(decisions_total{verdict="rejected"})
        sum by (scope)(rate(decisions_total{verdict="rejected"}[1m]))
        (sum by (scope)(rate(decisions_total{verdict="rejected"}[1m])) or 0 * sum by (scope)(rate(decisions_total[1m]))) / (sum by (scope)(rate(decisions_total[1m])) > 0)
        histogram_quantile(0.99, sum by (route, le)(rate(decisions_total_bucket[1m])))
        "#);
    }

    #[test]
    fn what_is_exported_is_json_and_names_every_panel() {
        let panels = || DASHBOARDS.iter().flat_map(|dashboard| dashboard.panels);
        for product in [Product::Grafana, Product::Datadog, Product::OpenSearch] {
            let text = export(product);
            if product == Product::OpenSearch {
                assert!(text.lines().all(|line| serde_json::from_str::<Json>(line).is_ok()));
                assert_eq!(text.lines().count(), panels().count() + DASHBOARDS.len());
            } else {
                assert_eq!(serde_json::from_str::<Vec<Json>>(&text).unwrap().len(), DASHBOARDS.len());
            }
            assert!(panels().all(|panel| text.contains(panel.title)), "{product:?}");
        }
    }
}
