//! What a report can list: fields of the record, fields of the record that a reference names, and what
//! its rows have besides.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use smol_str::SmolStr;

use super::{Report, Rows};
use crate::expr::{Beside, ColumnType, Columns, Expression, ExpressionError};
use crate::reason::{Reason, ReasonCode, quoted};
use crate::schema::{FieldSchema, FieldType, ObjectSchema};
use crate::state::{ConnectionStatus, ShareStatus};
use crate::{FieldName, ObjectName};

/// The objects of an org.
type Objects = BTreeMap<ObjectName, Arc<ObjectSchema>>;

/// What a report can list besides fields: its type, and for which rows.
pub const COLUMNS: &[(&str, FieldType, &[Rows])] = {
    use FieldType::{DateTime, Integer, Text};
    use Rows::{Connections, Records, Shares, Updates};
    const RECORD: &[Rows] = &[Records, Shares, Updates, Connections];
    const SHARE: &[Rows] = &[Shares];
    const CONNECTION: &[Rows] = &[Shares, Updates, Connections];
    const UPDATE: &[Rows] = &[Updates];
    &[
        ("record.id", Text, RECORD),
        ("record.owner", Text, RECORD),
        ("record.created", DateTime, RECORD),
        ("record.modified", DateTime, RECORD),
        ("record.modified_by", Text, RECORD),
        ("share.id", Text, SHARE),
        ("share.status", Text, SHARE),
        ("share.direction", Text, SHARE),
        ("share.actor", Text, SHARE),
        ("share.offered", DateTime, SHARE),
        ("share.updated", DateTime, SHARE),
        ("connection.id", Text, CONNECTION),
        ("connection.partner", Text, CONNECTION),
        ("connection.label", Text, CONNECTION),
        ("connection.status", Text, CONNECTION),
        ("connection.owner", Text, CONNECTION),
        ("connection.partner_owner", Text, CONNECTION),
        ("connection.since", DateTime, CONNECTION),
        ("connection.contact", Text, CONNECTION),
        ("connection.contact_email", Text, CONNECTION),
        // Whether the record is that of the invitation, or only has the name.
        ("connection.matched_by", Text, &[Connections]),
        ("update.seq", Integer, UPDATE),
        ("update.time", DateTime, UPDATE),
        ("update.field", Text, UPDATE),
        // Values of fields of any type; a filter reads them as texts.
        ("update.old", Text, UPDATE),
        ("update.new", Text, UPDATE),
        ("update.actor", Text, UPDATE),
    ]
};

/// A field of the record that a reference names, as `AccountId.Name`: the reference, and the field.
#[must_use]
pub fn parent_column(column: &str) -> Option<(FieldName, FieldName)> {
    if COLUMNS.iter().any(|(name, ..)| *name == column) {
        return None;
    }
    let (reference, field) = column.split_once('.')?;
    Some((reference.parse().ok()?, field.parse().ok()?))
}

/// The columns of a report, as its filter reads them.
struct OfReport<'a> {
    report: &'a Report,
    object: &'a ObjectSchema,
    objects: &'a Objects,
}

impl Columns for OfReport<'_> {
    fn column(&self, name: &str) -> Result<ColumnType, String> {
        self.report.column(self.object, self.objects, name).map_err(|reason| reason.message)
    }
}

/// The values of a column that never has others.
fn values(column: &str, object: &ObjectSchema) -> Vec<SmolStr> {
    match column {
        "share.status" => ShareStatus::ALL.iter().map(|status| status.label().into()).collect(),
        "share.direction" => vec!["sent".into(), "received".into()],
        "connection.status" => ConnectionStatus::ALL.iter().map(|status| status.as_str().into()).collect(),
        "connection.matched_by" => vec!["invitation".into(), "name".into()],
        "update.field" => object.fields.iter().map(|field| field.name.as_str().into()).collect(),
        _ => Vec::new(),
    }
}

impl Report {
    /// What a column that has a point in its name holds.
    fn column(&self, object: &ObjectSchema, objects: &Objects, name: &str) -> Result<ColumnType, Reason> {
        let refuse = |text: String| Err(Reason::new(ReasonCode::UnknownField, text));
        if let Some((_, field_type, rows)) = COLUMNS.iter().find(|(known, ..)| *known == name) {
            if !rows.contains(&self.rows) {
                return refuse(format!("{name} is no column of a report with a row for {}", self.rows));
            }
            return Ok(ColumnType { field_type: *field_type, values: values(name, object) });
        }
        let reference = name.split_once('.').and_then(|(reference, _)| object.field(reference));
        let Some(reference) = reference.filter(|field| field.field_type == FieldType::Reference) else {
            let known: Vec<&str> = COLUMNS.iter().map(|(name, ..)| *name).collect();
            let text =
                "name a field, a field of the record that a reference names, as AccountId.Name, or one of";
            return refuse(format!("{} is no column: {text} {}", quoted(name), known.join(", ")));
        };
        let field = parent_field(reference, objects, name)?;
        let is_listed = field.field_type.is_picklist() && field.restricted;
        let values = field.values.iter().filter(|_| is_listed).map(|known| known.value.clone()).collect();
        Ok(ColumnType { field_type: field.field_type, values })
    }

    /// Whether the report can have this column.
    pub(super) fn check_column(
        &self,
        object: &ObjectSchema,
        objects: &Objects,
        column: &str,
    ) -> Result<(), Reason> {
        if column.contains('.') {
            return self.column(object, objects, column).map(drop);
        }
        let unknown = |_| Reason::new(ReasonCode::UnknownField, format!("{} is no column", quoted(column)));
        object.require(&column.parse::<FieldName>().map_err(unknown)?).map(drop)
    }

    /// The filter, checked against what the rows have.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn filter(
        &self,
        object: &ObjectSchema,
        objects: &Objects,
    ) -> Option<Result<Expression, ExpressionError>> {
        let columns = OfReport { report: self, object, objects };
        self.filter.as_ref().map(|text| Expression::of_row(text, object, &columns))
    }

    /// The objects of the references whose fields it lists or filters by: whoever runs it has to read them.
    #[must_use]
    pub fn parents(&self, objects: &Objects) -> BTreeSet<ObjectName> {
        let Some(object) = objects.get(&self.object) else { return BTreeSet::new() };
        let filter = self.filter(object, objects).and_then(Result::ok);
        let filtered = filter.iter().flat_map(Expression::beside).filter_map(|beside| match beside {
            Beside::Column(name) => Some(name.as_str()),
            _ => None,
        });
        let named = self.needed().into_iter().chain(filtered).filter_map(parent_column);
        named.filter_map(|(reference, _)| object.field(reference.as_str())?.references.clone()).collect()
    }
}

/// The field of the object that a reference names.
fn parent_field<'o>(
    reference: &FieldSchema,
    objects: &'o Objects,
    column: &str,
) -> Result<&'o FieldSchema, Reason> {
    let parent = reference.references.as_ref().and_then(|name| objects.get(name));
    let Some(parent) = parent else {
        let text = format!(
            "{column} cannot be listed, for {} may name a record of any object: say references = \"…\" in the \
             file of the object",
            reference.name
        );
        return Err(Reason::new(ReasonCode::UnknownField, text));
    };
    let field = column.split_once('.').map_or("", |(_, field)| field);
    let unknown = |_| Reason::new(ReasonCode::UnknownField, format!("{} is no column", quoted(column)));
    parent.require(&field.parse::<FieldName>().map_err(unknown)?)
}
