//! What an expression reads besides the fields of its record: what the fields were, facts about the
//! record that are no fields, and columns of a row of a report.

use smol_str::SmolStr;

use crate::FieldName;
use crate::schema::FieldType;

use super::node::Type;

/// What an expression may read besides the fields.
#[derive(Clone, Copy)]
pub(super) enum Scope<'o> {
    /// Nothing.
    Record,
    /// What the record was before a change, and facts.
    Change,
    /// Columns of a row.
    Row(&'o dyn Columns),
}

/// The columns of a row that are no fields of its record.
pub trait Columns {
    /// What a column holds.
    ///
    /// # Errors
    /// One sentence: why there is none of this name.
    fn column(&self, name: &str) -> Result<ColumnType, String>;
}

/// What a column holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnType {
    /// The type of its values.
    pub field_type: FieldType,
    /// Its values, if it never has others.
    pub values: Vec<SmolStr>,
}

/// Something that is no field of the record as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Beside {
    /// The value of a field before the change; null if the record is new.
    Old(FieldName),
    /// A fact about the record.
    Fact(Fact),
    /// A column of the row, as `share.status`.
    Column(SmolStr),
}

/// A fact about a record that is no field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fact {
    /// Who owns it: the name of a user, or `queue:` and the name of a queue.
    Owner,
    /// The partners that have accepted it, joined by a comma and a blank; empty for none (S2S-70).
    SentTo,
    /// The partner that it came from, empty if it is of this org (S2S-70).
    ReceivedFrom,
    /// In whose name it was last changed.
    LastModifiedBy,
    /// Whether that was the Connection User.
    ByConnectionUser,
    /// Whether it was created by this change.
    IsNew,
}

impl Fact {
    /// Every fact, by the name that expressions know it by.
    pub const ALL: &'static [(&'static str, Self)] = &[
        ("by_connection_user", Self::ByConnectionUser),
        ("is_new", Self::IsNew),
        ("last_modified_by", Self::LastModifiedBy),
        ("owner", Self::Owner),
        ("received_from", Self::ReceivedFrom),
        ("sent_to", Self::SentTo),
    ];

    /// The fact of this name.
    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, fact)| *fact)
    }

    pub(super) const fn kind(self) -> Type {
        match self {
            Self::Owner | Self::SentTo | Self::ReceivedFrom | Self::LastModifiedBy => Type::Text,
            Self::ByConnectionUser | Self::IsNew => Type::Boolean,
        }
    }
}
