//! Saved views: which records or offers, what of them, in which order, and for whom.
//!
//! A list view chooses records of one object; an inbox view chooses offers that would become records
//! of one object (S2S-46). Both are whole definitions. Whoever opens a view sees what they may see: a
//! view grants nothing.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::expr::Expression;
use crate::limits::{LABEL_CHARS_MAX, VIEW_COLUMNS_MAX};
use crate::reason::{Reason, ReasonCode};
use crate::schema::{FieldSchema, FieldType, ObjectSchema};
use crate::value::Value;
use crate::vecmap::VecMap;
use crate::{FieldName, GroupName, ObjectName, RoleName, Timestamp, UserName, ViewName};

/// The column of an inbox view that names the connection.
pub const CONNECTION_COLUMN: &str = "ConnectionName";
/// The column of an inbox view that says when the record was offered.
pub const SENT_COLUMN: &str = "SentDate";

/// Who may use something: everybody, or those who are named here.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Audience {
    /// Users.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub users: BTreeSet<UserName>,
    /// Groups.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub groups: BTreeSet<GroupName>,
    /// Roles.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub roles: BTreeSet<RoleName>,
}

impl Audience {
    /// Whether it is everybody.
    #[must_use]
    pub fn is_everybody(&self) -> bool {
        self.users.is_empty() && self.groups.is_empty() && self.roles.is_empty()
    }

    /// Whether it is this user and nobody else.
    #[must_use]
    pub fn is_only(&self, user: &UserName) -> bool {
        self.groups.is_empty() && self.roles.is_empty() && self.users.iter().eq([user])
    }
}

/// The order in which a view shows what it chose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sort {
    /// By the values of this field.
    pub field: FieldName,
    /// From the greatest to the least.
    #[serde(default)]
    pub descending: bool,
}

/// A list view: records of one object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordView {
    /// Its name.
    pub name: ViewName,
    /// What people see.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub label: String,
    /// The object.
    pub object: ObjectName,
    /// A condition that the records fulfil; without one, all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
    /// Only records that whoever looks owns.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub mine: bool,
    /// The fields that are shown, in their order; without any, the field that names the record.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<FieldName>,
    /// The order; without it, that of the ids.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sort: Option<Sort>,
    /// Who may use it.
    #[serde(default)]
    pub audience: Audience,
}

/// An inbox view: offers that would become records of one object (S2S-46).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InboxView {
    /// Its name.
    pub name: ViewName,
    /// What people see.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub label: String,
    /// The object of this org that the records would be of.
    pub object: ObjectName,
    /// A condition on the connection's name, the sent date, and the fields of the offer as they would be
    /// here; without one, every offer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
    /// What is shown; without any, the connection, the date and the view fields of the object.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<FieldName>,
    /// The order; without it, that of connections and shares.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sort: Option<Sort>,
    /// Who may use it.
    #[serde(default)]
    pub audience: Audience,
}

/// A view that was checked against its object and is ready to look at records or offers.
#[derive(Debug)]
pub struct OpenView {
    filter: Option<Expression>,
    sort: Option<Sort>,
    /// The fields that are shown.
    pub columns: Vec<FieldName>,
}

impl OpenView {
    fn new(
        object: &ObjectSchema,
        filter: Option<&str>,
        columns: Vec<FieldName>,
        sort: Option<&Sort>,
    ) -> Result<Self, Vec<Reason>> {
        let mut reasons: Vec<Reason> = Vec::new();
        if columns.len() > VIEW_COLUMNS_MAX {
            let text = format!("a view shows at most {VIEW_COLUMNS_MAX} columns; leave some out");
            reasons.push(Reason::new(ReasonCode::LimitReached, text));
        }
        let mut seen = BTreeSet::new();
        for column in &columns {
            if let Err(reason) = object.require(column) {
                reasons.push(reason);
            } else if !seen.insert(column) {
                let text = format!("the column {column} stands twice; name it once");
                reasons.push(Reason::new(ReasonCode::Duplicate, text).on_field(column));
            }
        }
        reasons.extend(sort.and_then(|sort| object.require(&sort.field).err()));
        let filter = filter.map(|text| Expression::condition(text, object)).transpose();
        match filter {
            Ok(filter) if reasons.is_empty() => Ok(Self { filter, sort: sort.cloned(), columns }),
            Ok(_) => Err(reasons),
            Err(error) => {
                let text = format!("the filter is not valid: {error}");
                reasons.push(Reason::new(ReasonCode::BadExpression, text));
                Err(reasons)
            }
        }
    }

    /// Whether something with these values belongs to the view. A filter that cannot be evaluated for
    /// it chooses it not.
    pub fn matches<'v>(&self, lookup: impl Fn(&FieldName) -> Option<&'v Value>, now: Timestamp) -> bool {
        self.filter.as_ref().is_none_or(|filter| filter.holds(lookup, now).unwrap_or(false))
    }

    /// The fields that it chooses by, and is sorted by.
    pub(crate) fn chooses_by(&self) -> BTreeSet<&FieldName> {
        let filtered = self.filter.as_ref().map(Expression::fields).unwrap_or_default();
        filtered.iter().chain(self.sorted_by()).collect()
    }

    /// The same, and those that it shows.
    pub(crate) fn reads(&self) -> BTreeSet<&FieldName> {
        let mut fields = self.chooses_by();
        fields.extend(&self.columns);
        fields
    }

    /// The field that it is sorted by.
    #[must_use]
    pub fn sorted_by(&self) -> Option<&FieldName> {
        self.sort.as_ref().map(|sort| &sort.field)
    }

    /// How two values of the sorted field are ordered; what is empty comes last.
    #[must_use]
    pub fn order(&self, a: &Value, b: &Value) -> Ordering {
        match (a.is_null(), b.is_null()) {
            (true, true) => return Ordering::Equal,
            (true, false) => return Ordering::Greater,
            (false, true) => return Ordering::Less,
            (false, false) => {}
        }
        let order = compare(a, b);
        if self.sort.as_ref().is_some_and(|sort| sort.descending) { order.reverse() } else { order }
    }
}

fn check_label(label: &str) -> Option<Reason> {
    let bad = label.chars().count() > LABEL_CHARS_MAX || label.contains(char::is_control);
    bad.then(|| {
        let text = format!("a label has at most {LABEL_CHARS_MAX} characters, and no control characters");
        Reason::new(ReasonCode::TooLong, text)
    })
}

impl RecordView {
    /// Makes the view ready, or says why it does not fit its object.
    ///
    /// # Errors
    /// Every reason against it.
    pub fn open(&self, object: &ObjectSchema) -> Result<OpenView, Vec<Reason>> {
        if let Some(reason) = check_label(&self.label) {
            return Err(vec![reason]);
        }
        let columns =
            if self.columns.is_empty() { vec![object.name_field.clone()] } else { self.columns.clone() };
        OpenView::new(object, self.filter.as_deref(), columns, self.sort.as_ref())
    }
}

impl InboxView {
    /// Makes the view ready, or says why it does not fit the object.
    ///
    /// # Errors
    /// Every reason against it.
    pub fn open(&self, object: &ObjectSchema) -> Result<OpenView, Vec<Reason>> {
        if let Some(reason) = check_label(&self.label) {
            return Err(vec![reason]);
        }
        let object = offered_object(object);
        let columns = if self.columns.is_empty() { default_columns(&object) } else { self.columns.clone() };
        OpenView::new(&object, self.filter.as_deref(), columns, self.sort.as_ref())
    }
}

/// The object as an offer shows it: with the name of the connection and the sent date.
fn offered_object(object: &ObjectSchema) -> ObjectSchema {
    let mut object = object.clone();
    let added = [(CONNECTION_COLUMN, FieldType::Text), (SENT_COLUMN, FieldType::DateTime)];
    for (name, field_type) in added.map(|(name, field_type)| (column(name), field_type)) {
        object.fields.retain(|field| field.name != name);
        object.fields.push(FieldSchema::new(name, field_type));
    }
    object.sort();
    object
}

fn default_columns(object: &ObjectSchema) -> Vec<FieldName> {
    let own = [CONNECTION_COLUMN, SENT_COLUMN].map(column);
    own.into_iter().chain(object.view_fields.iter().cloned()).take(VIEW_COLUMNS_MAX).collect()
}

/// One of the two columns that no object has.
fn column(name: &str) -> FieldName {
    // Both names are constants, and a test opens a view with them.
    #[expect(clippy::unwrap_used)]
    name.parse().unwrap()
}

/// The values that an offer has in an inbox view: the connection, the date, and what was offered, by the
/// names of this org.
#[must_use]
pub fn offer_values(
    connection: &str,
    sent: Timestamp,
    mapped: VecMap<FieldName, Value>,
) -> VecMap<FieldName, Value> {
    let mut values = mapped;
    values.insert(column(CONNECTION_COLUMN), Value::text(connection));
    values.insert(column(SENT_COLUMN), Value::DateTime(sent));
    values
}

/// The order of two values of one field.
fn compare(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::Text(a), Value::Text(b)) => a.to_lowercase().cmp(&b.to_lowercase()).then_with(|| a.cmp(b)),
        (Value::Picklist(a), Value::Picklist(b)) => a.cmp(b),
        (Value::MultiPicklist(a), Value::MultiPicklist(b)) => a.cmp(b),
        (Value::Boolean(a), Value::Boolean(b)) => a.cmp(b),
        (Value::Integer(a), Value::Integer(b)) => a.cmp(b),
        (Value::Decimal(a), Value::Decimal(b)) => a.cmp(b),
        (Value::Date(a), Value::Date(b)) => a.cmp(b),
        (Value::DateTime(a), Value::DateTime(b)) => a.cmp(b),
        (Value::Reference(a), Value::Reference(b)) => a.cmp(b),
        _ => Ordering::Equal,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::standard_objects;

    fn lead() -> ObjectSchema {
        standard_objects().into_iter().find(|object| object.name.as_str() == "Lead").unwrap()
    }

    fn inbox_view(filter: &str) -> InboxView {
        InboxView {
            name: "hot".parse().unwrap(),
            label: String::new(),
            object: "Lead".parse().unwrap(),
            filter: Some(filter.to_owned()),
            columns: Vec::new(),
            sort: Some(Sort { field: column(SENT_COLUMN), descending: true }),
            audience: Audience::default(),
        }
    }

    #[test]
    fn an_inbox_view_reads_connection_date_and_fields() {
        let filter = r#"ConnectionName == "globex" && Rating == "Hot" && SentDate > timestamp("2020-01-01T00:00:00Z")"#;
        let view = inbox_view(filter).open(&lead()).unwrap();
        assert_eq!(view.columns[..2], [CONNECTION_COLUMN, SENT_COLUMN].map(column));
        let now = Timestamp(1_700_000_000_000_000);
        let offered = |partner: &str, rating: &str| {
            let mapped = [("Rating".parse().unwrap(), Value::picklist(rating.into()))].into_iter().collect();
            let values = offer_values(partner, now, mapped);
            view.matches(|name| values.get(name), now)
        };
        assert_eq!(
            [offered("globex", "Hot"), offered("globex", "Cold"), offered("x", "Hot")],
            [true, false, false]
        );
    }

    #[test]
    fn what_does_not_fit_the_object_is_named() {
        let mut view = inbox_view("Status == 7");
        view.columns = vec!["Stauts".parse().unwrap(), "Rating".parse().unwrap(), "Rating".parse().unwrap()];
        let codes: Vec<ReasonCode> = view.open(&lead()).unwrap_err().iter().map(|r| r.code).collect();
        assert_eq!(codes, [ReasonCode::UnknownField, ReasonCode::Duplicate, ReasonCode::BadExpression]);
    }

    #[test]
    fn what_is_empty_comes_last_in_both_orders() {
        for descending in [false, true] {
            let mut view = inbox_view("true");
            view.sort = Some(Sort { field: "Company".parse().unwrap(), descending });
            let view = view.open(&lead()).unwrap();
            assert_eq!(view.order(&Value::Null, &Value::text("a")), Ordering::Greater);
            let expected = if descending { Ordering::Greater } else { Ordering::Less };
            assert_eq!(view.order(&Value::text("a"), &Value::text("B")), expected);
        }
    }
}
