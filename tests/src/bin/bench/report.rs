//! What was measured: samples per figure, their medians, and the goals that they stand beside.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::json;

use crate::svg;

/// Samples of each figure, in the order in which figures were first seen.
#[derive(Default)]
pub(crate) struct Report {
    samples: BTreeMap<String, Vec<f64>>,
    order: Vec<String>,
    lines: Vec<Line>,
    drawings: BTreeMap<String, Vec<svg::Line>>,
}

struct Line {
    what: String,
    value: f64,
    unit: &'static str,
    ratio: Option<(f64, &'static str)>,
    goal: &'static str,
}

/// The middle of some samples.
#[must_use]
pub(crate) fn median(samples: &[f64]) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    match sorted.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => sorted[n / 2],
        n => f64::midpoint(sorted[n / 2 - 1], sorted[n / 2]),
    }
}

impl Report {
    /// Takes one sample of a figure.
    pub(crate) fn sample(&mut self, figure: &str, value: f64) {
        if !self.samples.contains_key(figure) {
            self.order.push(figure.to_owned());
        }
        self.samples.entry(figure.to_owned()).or_default().push(value);
    }

    /// The median of a figure.
    #[must_use]
    pub(crate) fn median(&self, figure: &str) -> f64 {
        median(self.samples.get(figure).map_or(&[], Vec::as_slice))
    }

    /// Adds a line to the table: a figure, perhaps as a ratio to its baseline, beside its goal.
    pub(crate) fn line(
        &mut self,
        what: &str,
        figure: &str,
        unit: &'static str,
        baseline: Option<(&str, &'static str)>,
        goal: &'static str,
    ) {
        let value = self.median(figure);
        let ratio = baseline.map(|(figure, name)| (value / self.median(figure), name));
        self.lines.push(Line { what: what.to_owned(), value, unit, ratio, goal });
    }

    /// Adds points to a line of a drawing.
    pub(crate) fn curve(&mut self, drawing: &str, line: &str, points: Vec<(f64, f64)>) {
        let lines = self.drawings.entry(drawing.to_owned()).or_default();
        match lines.iter_mut().find(|(name, _)| name == line) {
            Some((_, known)) => known.extend(points),
            None => lines.push((line.to_owned(), points)),
        }
    }

    /// Draws everything into `dir`; the files.
    pub(crate) fn draw(&self, dir: &str) -> Vec<String> {
        let draw = |(title, lines): (&String, &Vec<svg::Line>)| {
            let (x, y) = match title.as_str() {
                "connections" => ("connections", "changes/s"),
                _ => ("percentile", "ms"),
            };
            let path = format!("{dir}/bench-{}.svg", title.replace(' ', "-"));
            std::fs::write(&path, svg::draw(title, x, y, lines)).expect("a drawing");
            path
        };
        self.drawings.iter().map(draw).collect()
    }

    /// The table for people.
    #[must_use]
    pub(crate) fn table(&self) -> String {
        let mut table = String::from("| figure | median | ratio | goal |\n|---|---|---|---|\n");
        for Line { what, value, unit, ratio, goal } in &self.lines {
            let ratio = ratio.map_or_else(String::new, |(ratio, name)| format!("{ratio:.2} × {name}"));
            // Writing to a text cannot fail.
            writeln!(table, "| {what} | {} {unit} | {ratio} | {goal} |", shown(*value)).unwrap();
        }
        table
    }

    /// Everything as JSON.
    #[must_use]
    pub(crate) fn json(&self) -> String {
        let lines: Vec<_> = self
            .lines
            .iter()
            .map(|line| {
                json!({ "figure": line.what, "median": line.value, "unit": line.unit,
                        "ratio": line.ratio.map(|r| r.0), "to": line.ratio.map(|r| r.1), "goal": line.goal })
            })
            .collect();
        let samples: Vec<_> =
            self.order.iter().map(|name| json!({ "figure": name, "samples": self.samples[name] })).collect();
        serde_json::to_string_pretty(&json!({ "lines": lines, "samples": samples })).unwrap()
    }
}

fn shown(value: f64) -> String {
    match value.abs() {
        v if v >= 1_000.0 => format!("{value:.0}"),
        v if v >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}
