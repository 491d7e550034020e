//! The rows of a report in order, one by one or in groups. Numbers are exact, as everywhere.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use rust_decimal::Decimal;

use super::{Function, Report};
use crate::value::Value;

/// What a report comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// The names of the columns.
    pub columns: Vec<String>,
    /// The cells of each row.
    pub rows: Vec<Vec<Value>>,
}

/// Values in an order: nothing first, then by what they are.
#[derive(PartialEq, Eq)]
struct Key(Vec<Value>);

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        let pairs = self.0.iter().zip(&other.0);
        pairs.map(|(a, b)| order(a, b)).find(|found| found.is_ne()).unwrap_or(Ordering::Equal)
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

fn number(value: &Value) -> Option<Decimal> {
    match value {
        Value::Integer(integer) => Some(Decimal::from(*integer)),
        Value::Decimal(decimal) => Some(*decimal),
        _ => None,
    }
}

/// How two values of a column stand to each other.
fn order(a: &Value, b: &Value) -> Ordering {
    if let (Some(a), Some(b)) = (number(a), number(b)) {
        return a.cmp(&b);
    }
    match (a, b) {
        (Value::Null, Value::Null) => Ordering::Equal,
        (Value::Null, _) => Ordering::Less,
        (_, Value::Null) => Ordering::Greater,
        (Value::DateTime(a), Value::DateTime(b)) => a.cmp(b),
        (Value::Boolean(a), Value::Boolean(b)) => a.cmp(b),
        // Texts, days and ids are ordered as they are written.
        (a, b) => a.to_json().to_string().cmp(&b.to_json().to_string()),
    }
}

impl Report {
    /// The columns that a row needs, each once.
    #[must_use]
    pub fn needed(&self) -> Vec<&str> {
        let mut needed: Vec<&str> = Vec::new();
        let summed = self.summaries.iter().map(|summary| &summary.column);
        let sorted = self.sort.iter().filter(|_| !self.is_grouped()).map(|order| &order.column);
        for column in self.columns.iter().chain(&self.group_by).chain(summed).chain(sorted) {
            if !needed.contains(&column.as_str()) {
                needed.push(column);
            }
        }
        needed
    }

    /// Whether it has a row for each group.
    #[must_use]
    pub fn is_grouped(&self) -> bool {
        !self.group_by.is_empty() || !self.summaries.is_empty()
    }

    /// The columns of the groups.
    #[must_use]
    pub fn group_columns(&self) -> Vec<String> {
        let summaries =
            self.summaries.iter().map(|summary| format!("{}({})", summary.function, summary.column));
        self.group_by.iter().cloned().chain(["count".to_owned()]).chain(summaries).collect()
    }

    /// Rows with the cells of [`Report::needed`], sorted, and grouped if that is wanted.
    #[must_use]
    pub fn table(&self, rows: Vec<Vec<Value>>) -> Table {
        let needed = self.needed();
        let at = |column: &str| needed.iter().position(|name| *name == column).unwrap_or_default();
        if self.is_grouped() {
            return self.grouped(&rows, &at);
        }
        let keys: Vec<(usize, bool)> =
            self.sort.iter().map(|order| (at(&order.column), order.descending)).collect();
        let mut rows = rows;
        rows.sort_by(|a, b| by_keys(&keys, a, b));
        let shown: Vec<usize> = self.columns.iter().map(|column| at(column)).collect();
        let cell = |row: &Vec<Value>, at: &usize| row.get(*at).cloned().unwrap_or_default();
        let rows = rows.iter().map(|row| shown.iter().map(|at| cell(row, at)).collect()).collect();
        Table { columns: self.columns.clone(), rows }
    }

    fn grouped(&self, rows: &[Vec<Value>], at: &dyn Fn(&str) -> usize) -> Table {
        let by: Vec<usize> = self.group_by.iter().map(|column| at(column)).collect();
        let mut groups: BTreeMap<Key, Vec<&Vec<Value>>> = BTreeMap::new();
        for row in rows {
            let key = by.iter().map(|at| row.get(*at).cloned().unwrap_or_default()).collect();
            groups.entry(Key(key)).or_default().push(row);
        }
        let columns = self.group_columns();
        let rows = groups.into_iter().map(|(Key(mut cells), rows)| {
            cells.push(count(rows.len()));
            for summary in &self.summaries {
                let at = at(&summary.column);
                cells.push(summarised(summary.function, rows.iter().filter_map(|row| row.get(at))));
            }
            cells
        });
        let mut rows: Vec<Vec<Value>> = rows.collect();
        let place = |column: &String| columns.iter().position(|name| name == column);
        let keys: Vec<(usize, bool)> =
            self.sort.iter().filter_map(|order| Some((place(&order.column)?, order.descending))).collect();
        rows.sort_by(|a, b| by_keys(&keys, a, b));
        Table { columns, rows }
    }
}

fn by_keys(keys: &[(usize, bool)], a: &[Value], b: &[Value]) -> Ordering {
    let nothing = Value::Null;
    let compared = keys.iter().map(|(at, descending)| {
        let found = order(a.get(*at).unwrap_or(&nothing), b.get(*at).unwrap_or(&nothing));
        if *descending { found.reverse() } else { found }
    });
    compared.into_iter().find(|found| found.is_ne()).unwrap_or(Ordering::Equal)
}

fn count(count: usize) -> Value {
    Value::Integer(i64::try_from(count).unwrap_or(i64::MAX))
}

/// One value for those of a group; nothing if there is none, or the sum has too many digits.
fn summarised<'a>(function: Function, values: impl Iterator<Item = &'a Value>) -> Value {
    let mut some = values.filter(|value| !value.is_null());
    match function {
        Function::Count => count(some.count()),
        Function::Min => some.min_by(|a, b| order(a, b)).cloned().unwrap_or_default(),
        Function::Max => some.max_by(|a, b| order(a, b)).cloned().unwrap_or_default(),
        Function::Sum => {
            let sum = some.filter_map(number).try_fold(Decimal::ZERO, Decimal::checked_add);
            sum.map_or(Value::Null, |sum| Value::Decimal(sum.normalize()))
        }
        Function::Unknown => some.next().cloned().unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Order, Rows, Summary};
    use super::*;

    fn report() -> Report {
        Report {
            name: "r".parse().unwrap(),
            label: String::new(),
            object: "Opportunity".parse().unwrap(),
            rows: Rows::Records,
            connected: false,
            connection: None,
            filter: None,
            since: None,
            until: None,
            last_days: None,
            columns: vec!["Name".into(), "StageName".into()],
            group_by: Vec::new(),
            summaries: Vec::new(),
            sort: vec![Order { column: "Amount".into(), descending: true }],
        }
    }

    fn rows() -> Vec<Vec<Value>> {
        let row = |name: &str, stage: &str, amount: Option<i64>| {
            let amount = amount.map_or(Value::Null, |cents| Value::Decimal(Decimal::new(cents, 2)));
            vec![Value::text(name), Value::text(stage), amount]
        };
        vec![
            row("a", "Won", Some(999)),
            row("b", "Lost", Some(1_000)),
            row("c", "Won", None),
            row("d", "Won", Some(1)),
        ]
    }

    #[test]
    fn rows_are_sorted_by_columns_that_need_not_be_shown() {
        assert_eq!(report().needed(), ["Name", "StageName", "Amount"]);
        let table = report().table(rows());
        let names: Vec<String> = table.rows.iter().map(|row| row[0].to_json().to_string()).collect();
        assert_eq!(names, ["\"b\"", "\"a\"", "\"d\"", "\"c\""]);
        assert_eq!(table.columns, ["Name", "StageName"]);
        assert!(table.rows.iter().all(|row| row.len() == 2));
    }

    #[test]
    fn groups_have_exact_sums() {
        let summary = |function| Summary { function, column: "Amount".into() };
        let functions = [Function::Sum, Function::Min, Function::Max, Function::Count];
        let grouped = Report {
            group_by: vec!["StageName".into()],
            summaries: functions.map(summary).into(),
            sort: Vec::new(),
            columns: vec!["Name".into()],
            ..report()
        };
        // The cells stand in the order of what is needed.
        assert_eq!(grouped.needed(), ["Name", "StageName", "Amount"]);
        let table = grouped.table(rows());
        assert_eq!(
            table.columns,
            ["StageName", "count", "sum(Amount)", "min(Amount)", "max(Amount)", "count(Amount)"]
        );
        let shown: Vec<String> = table
            .rows
            .iter()
            .map(|row| row.iter().map(|v| v.to_json().to_string()).collect::<Vec<_>>().join(" "))
            .collect();
        assert_eq!(shown, ["\"Lost\" 1 \"10\" \"10\" \"10\" 1", "\"Won\" 3 \"10\" \"0.01\" \"9.99\" 2"]);
    }
}
