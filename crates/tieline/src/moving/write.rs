//! The TOML file of a translated object, as a person would write it.

use std::collections::BTreeMap;
use std::fmt::Write;

use tieline_core::schema::{FieldSchema, FieldType, ObjectSchema, PicklistValue, RecordType, ValidationRule};
use tieline_core::value::Value;
use tieline_core::{FieldName, ObjectName};

use super::object::{ID_FIELD, RuleFate};

/// Most characters of a line with one picklist value after the other.
const LINE_CHARS: usize = 96;

/// A translated rule, with the formula that it was.
#[derive(Debug)]
pub(super) struct Rule {
    pub(super) rule: ValidationRule,
    pub(super) formula: String,
}

/// What a file says.
#[derive(Debug)]
pub(super) struct File<'d> {
    pub(super) object: &'d ObjectName,
    pub(super) label: Option<&'d str>,
    /// The field by which people tell records apart; an extension keeps that of its object.
    pub(super) name_field: Option<FieldName>,
    /// The standard object that it extends.
    pub(super) base: Option<&'d ObjectSchema>,
    pub(super) fields: &'d BTreeMap<FieldName, FieldSchema>,
    pub(super) record_types: &'d [RecordType],
    pub(super) rules: &'d [Rule],
    /// Fields that are not there, with the reason.
    pub(super) left_out: Vec<String>,
    pub(super) rules_left_out: Vec<&'d RuleFate>,
}

impl File<'_> {
    pub(super) fn to_toml(&self) -> String {
        let mut out = format!("# {}, translated from metadata of Salesforce.\n", self.object);
        if !self.left_out.is_empty() {
            out.push_str("#\n# Left out:\n");
            self.left_out.iter().for_each(|line| comment(&mut out, "  ", line));
        }
        out.push('\n');
        self.head(&mut out);
        let (long, short): (Vec<_>, Vec<_>) = self
            .fields
            .values()
            .map(|field| (field, self.entries(field)))
            .partition(|(field, _)| !field.values.is_empty());
        if !short.is_empty() {
            out.push_str("\n[fields]\n");
        }
        for (field, entries) in short {
            let entries: Vec<String> =
                entries.iter().map(|(key, value)| format!("{key} = {value}")).collect();
            line(&mut out, format_args!("{} = {{ {} }}", field.name, entries.join(", ")));
        }
        for (field, entries) in long {
            line(&mut out, format_args!("\n[fields.{}]", field.name));
            entries.iter().for_each(|(key, value)| line(&mut out, format_args!("{key} = {value}")));
        }
        self.record_types.iter().for_each(|known| write_record_type(&mut out, known));
        self.rules.iter().for_each(|rule| write_rule(&mut out, rule));
        for fate in &self.rules_left_out {
            out.push('\n');
            comment(&mut out, "", &format!("The rule {} was left out: {}", fate.rule, fate.why.join("; ")));
            comment(&mut out, "    ", &fate.formula);
        }
        out
    }

    fn head(&self, out: &mut String) {
        let object = self.object;
        if let Some(base) = self.base {
            line(out, format_args!("extends = \"{object}\""));
            if self.fields.keys().any(|name| name.as_str() == ID_FIELD) {
                let ours = base.view_fields.iter().map(FieldName::as_str);
                let set: Vec<String> = ours.chain([ID_FIELD]).map(|name| format!("\"{name}\"")).collect();
                out.push_str(
                    "\n# An offer shows the id that its record had, by which links are taken over.\n",
                );
                line(out, format_args!("view_fields = [{}]", set.join(", ")));
            }
            return;
        }
        line(out, format_args!("object = \"{object}\""));
        if let Some(label) = self.label {
            line(out, format_args!("label = {}", text(label)));
        }
        let Some(name) = &self.name_field else { return };
        line(out, format_args!("name_field = \"{name}\""));
        let needed = self.fields.values().filter(|field| field.required && field.name != *name);
        let set: Vec<String> = std::iter::once(name)
            .chain(needed.map(|field| &field.name))
            .map(|name| format!("\"{name}\""))
            .collect();
        let set = set.join(", ");
        let has_id = self.fields.keys().any(|name| name.as_str() == ID_FIELD) && name.as_str() != ID_FIELD;
        let id = if has_id { format!(", \"{ID_FIELD}\"") } else { String::new() };
        out.push_str(
            "\n# A copy of a shared record is created with the first; inbox views show the second.\n",
        );
        line(out, format_args!("create_set = [{set}]\nview_fields = [{set}{id}]"));
    }

    /// What is said of a field: for a standard one, only what differs.
    fn entries(&self, field: &FieldSchema) -> Vec<(&'static str, String)> {
        let known = self.base.and_then(|base| base.field(field.name.as_str()));
        let usual = FieldSchema::new(field.name.clone(), field.field_type);
        let base = known.unwrap_or(&usual);
        let mut entries = Vec::new();
        if known.is_none() {
            entries.push(("type", format!("\"{}\"", field.field_type)));
        }
        let mut say = |differs: bool, key, value: String| {
            if differs {
                entries.push((key, value));
            }
        };
        let number = |number: Option<u32>| number.map_or_else(String::new, |number| number.to_string());
        say(field.label != base.label, "label", text(&field.label));
        say(field.length != base.length && field.length.is_some(), "length", number(field.length));
        let digits = |digits: Option<u8>| number(digits.map(u32::from));
        say(
            field.precision != base.precision && field.precision.is_some(),
            "precision",
            digits(field.precision),
        );
        say(field.scale != base.scale && field.scale.is_some(), "scale", digits(field.scale));
        say(field.required != base.required, "required", field.required.to_string());
        say(field.restricted != base.restricted, "restricted", field.restricted.to_string());
        say(field.tracked != base.tracked, "tracked", field.tracked.to_string());
        say(field.external_id != base.external_id, "external_id", field.external_id.to_string());
        if let Some(object) = field.references.as_ref().filter(|_| field.references != base.references) {
            say(true, "references", format!("\"{object}\""));
        }
        if let Some(value) = field.default.as_ref().filter(|_| field.default != base.default) {
            say(true, "default", default(field, value));
        }
        say(field.values != base.values, "values", list(&field.values));
        if let Some(expression) = &field.expression {
            entries.push(("expression", text(expression)));
        }
        entries
    }
}

fn write_record_type(out: &mut String, known: &RecordType) {
    let name = key(&known.name);
    line(out, format_args!("\n[record_types.{name}]"));
    if !known.label.is_empty() {
        line(out, format_args!("label = {}", text(&known.label)));
    }
    if !known.active {
        out.push_str("active = false\n");
    }
    if known.default {
        out.push_str("default = true\n");
    }
    if !known.picklists.is_empty() {
        line(out, format_args!("\n[record_types.{name}.picklists]"));
    }
    for (field, values) in &known.picklists {
        let values: Vec<_> = values.iter().map(|value| PicklistValue::new(value.clone())).collect();
        line(out, format_args!("{field} = {}", list(&values)));
    }
}

fn write_rule(out: &mut String, Rule { rule, formula }: &Rule) {
    line(out, format_args!("\n[rules.{}]", key(&rule.name)));
    comment(out, "", &format!("It was: {formula}"));
    line(out, format_args!("condition = {}\nmessage = {}", text(&rule.condition), text(&rule.message)));
    if let Some(field) = &rule.field {
        line(out, format_args!("field = \"{field}\""));
    }
    if !rule.active {
        out.push_str("active = false\n");
    }
}

/// A comment in as many lines as `text` has. A comment holds no control characters.
fn comment(out: &mut String, indent: &str, text: &str) {
    for part in text.lines() {
        let clean: String = part.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        line(out, format_args!("# {indent}{}", clean.trim_end()));
    }
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a text cannot fail.
    writeln!(out, "{text}").ok();
}

/// A key, in quotes where it needs them.
fn key(name: &str) -> String {
    let is_bare =
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
    if is_bare { name.to_owned() } else { text(name) }
}

/// A text in quotes, in one line.
fn text(text: &str) -> String {
    let mut out = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => out.extend(['\\', character]),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => out.push(c),
        }
    }
    out + "\""
}

fn default(field: &FieldSchema, value: &Value) -> String {
    match field.field_type {
        FieldType::Boolean | FieldType::Integer => value.to_text(),
        _ => text(&value.to_text()),
    }
}

/// The values of a picklist, as many in a line as fit.
fn list(values: &[PicklistValue]) -> String {
    let mut lines = vec![String::from("   ")];
    for value in values {
        let entry = entry(value);
        match lines.last_mut() {
            Some(line) if line.chars().count() + entry.chars().count() + 2 <= LINE_CHARS => {
                line.push(' ');
                line.push_str(&entry);
                line.push(',');
            }
            _ => lines.push(format!("    {entry},")),
        }
    }
    match &lines[..] {
        [only] => format!("[{}]", only.trim().trim_end_matches(',')),
        _ => format!("[\n{}\n]", lines.join("\n")),
    }
}

fn entry(PicklistValue { value, label, active }: &PicklistValue) -> String {
    if label.is_empty() && *active {
        return text(value);
    }
    let label = if label.is_empty() { String::new() } else { format!(", label = {}", text(label)) };
    let active = if *active { "" } else { ", active = false" };
    format!("{{ value = {}{label}{active} }}", text(value))
}
