//! The list is kept in `schemas/`, names keep their rules, and Prometheus's own tool accepts it.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::{Command, Stdio};

use super::*;
use crate::drift::assert_current;

/// One sample of every metric, with values that need escaping.
fn exposition() -> String {
    let metrics = Metrics::new().unwrap();
    for metric in Metric::ALL {
        let values = vec!["a\"b\\c\nd"; metric.labels().len()];
        match metric.kind() {
            Kind::Counter => metrics.counter(*metric, &values).increment(3),
            Kind::Gauge => metrics.gauge(*metric, &values).set(1.5),
            Kind::Histogram => metrics.histogram(*metric, &values).record(0.004),
        }
    }
    metrics.upkeep();
    metrics.render()
}

#[test]
fn the_list_is_current() {
    assert_current("metrics.json", &catalogue());
}

#[test]
fn names_say_what_they_are() {
    let names: BTreeSet<&str> = Metric::ALL.iter().map(|metric| metric.name()).collect();
    assert_eq!(names.len(), Metric::ALL.len());
    for metric in Metric::ALL {
        let name = metric.name();
        assert!(name.starts_with("tieline_"), "{name}");
        assert_eq!(name.ends_with("_total"), metric.kind() == Kind::Counter, "{name}");
        for unit in ["seconds", "bytes"] {
            let says = name.trim_end_matches("_total").ends_with(unit);
            assert_eq!(says, metric.unit() == unit, "{name} is in {}", metric.unit());
        }
        assert_eq!(metric.buckets().is_empty(), metric.kind() != Kind::Histogram, "{name}");
        assert!(metric.buckets().windows(2).all(|pair| pair[0] < pair[1]), "{name}");
        assert!(metric.help().ends_with('.'), "{name}");
    }
}

#[test]
fn every_metric_is_described_and_exposed_with_its_type() {
    let text = exposition();
    for metric in Metric::ALL {
        let kind = match metric.kind() {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let name = metric.name();
        assert!(text.contains(&format!("# HELP {name} {}\n", metric.help())), "{name} in\n{text}");
        assert!(text.contains(&format!("# TYPE {name} {kind}\n")), "{name} in\n{text}");
    }
    let bucket =
        r#"tieline_propagation_lag_seconds_bucket{connection="a\"b\\c\nd",object="a\"b\\c\nd",le="0.005"} 1"#;
    assert!(text.contains(bucket), "{text}");
}

#[test]
fn two_orgs_in_one_process_do_not_mix() {
    let (one, other) = (Metrics::new().unwrap(), Metrics::new().unwrap());
    one.counter(Metric::LogEvents, &[]).increment(7);
    assert!(one.render().contains("tieline_log_events_total 7"));
    assert!(!other.render().contains("tieline_log_events_total 7"));
}

#[test]
fn promtool_accepts_the_exposition() {
    let child = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut child) = child else {
        eprintln!("SKIPPED: promtool is not installed, the exposition was not checked by it");
        return;
    };
    child.stdin.take().unwrap().write_all(exposition().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "promtool refuses the exposition: {said}");
}
