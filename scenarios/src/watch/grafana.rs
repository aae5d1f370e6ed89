//! The dashboards for Grafana, over Prometheus. A test runs each query against a real Prometheus.

use serde_json::{Value as Json, json};

use super::dashboard::{DASHBOARDS, Dashboard, Kind, Line, Panel, Series, Unit, Value};

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

/// Both dashboards, as a JSON array.
pub fn grafana_dashboards() -> String {
    let dashboards = DASHBOARDS.iter().map(grafana).collect();
    // A document that was made of values can be written.
    serde_json::to_string_pretty(&Json::Array(dashboards)).unwrap_or_default() + "\n"
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
    fn the_dashboards_are_json_and_name_every_panel() {
        let text = grafana_dashboards();
        assert_eq!(serde_json::from_str::<Vec<Json>>(&text).unwrap().len(), DASHBOARDS.len());
        assert!(
            DASHBOARDS.iter().flat_map(|dashboard| dashboard.panels).all(|panel| text.contains(panel.title))
        );
    }
}
