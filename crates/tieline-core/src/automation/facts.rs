//! What criteria see of a record: its fields, what they were, and facts that are no fields.

use crate::FieldName;
use crate::Timestamp;
use crate::expr::{Beside, Expression, Fact};
use crate::reason::Reason;
use crate::state::{Record, ShareRole, ShareStatus, State};
use crate::value::Value;
use crate::vecmap::VecMap;
use crate::{Owner, UserName};

/// Facts about a record that are no fields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    owner: Value,
    sent_to: Value,
    received_from: Value,
    last_modified_by: Value,
    by_connection_user: Value,
    is_new: Value,
}

impl Facts {
    /// The facts about a record as it is.
    #[must_use]
    pub fn of(state: &State, record: &Record, is_new: bool) -> Self {
        let names = |role: ShareRole| {
            let shares = state.shares_of(record);
            let accepted = shares.filter(move |(_, share)| {
                share.role == role && share.status == ShareStatus::Active && share.record.is_some()
            });
            let names: Vec<&str> = accepted.map(|(connection, _)| connection.display_name()).collect();
            names.join(", ")
        };
        Self {
            sent_to: Value::text(&names(ShareRole::Origin)),
            received_from: Value::text(&names(ShareRole::Copy)),
            ..Self::about(&record.owner, &record.modified_by, "", is_new)
        }
    }

    /// The facts about a record that is about to come to be: from whom, if from a partner.
    #[must_use]
    pub fn about(owner: &Owner, by: &UserName, received_from: &str, is_new: bool) -> Self {
        Self {
            owner: Value::text(&owner.to_string()),
            sent_to: Value::Null,
            received_from: Value::text(received_from),
            last_modified_by: Value::text(by.as_str()),
            by_connection_user: Value::Boolean(by.is_connection_user()),
            is_new: Value::Boolean(is_new),
        }
    }

    const fn get(&self, fact: Fact) -> &Value {
        match fact {
            Fact::Owner => &self.owner,
            Fact::SentTo => &self.sent_to,
            Fact::ReceivedFrom => &self.received_from,
            Fact::LastModifiedBy => &self.last_modified_by,
            Fact::ByConnectionUser => &self.by_connection_user,
            Fact::IsNew => &self.is_new,
        }
    }
}

/// What the fields of a record were.
#[derive(Debug, Clone, Copy)]
pub enum Was<'a> {
    /// What they are: nothing has changed.
    Same,
    /// Nothing: the record is new.
    Nothing,
    /// These were something else; null if they had no value.
    Other(&'a VecMap<FieldName, Value>),
}

/// The condition of a rule, ready to be asked.
#[derive(Debug)]
pub struct Criteria(Result<Option<Expression>, String>);

impl Criteria {
    /// The condition of this text; one that is empty holds for every record. One that does not compile
    /// (a rule of another version, or of an object that has changed since) says so each time.
    #[must_use]
    pub fn compile(text: &str, object: &crate::schema::ObjectSchema) -> Self {
        if text.trim().is_empty() {
            return Self(Ok(None));
        }
        Self(Expression::criterion(text, object).map(Some).map_err(|error| error.to_string()))
    }

    /// Whether they hold.
    ///
    /// # Errors
    /// The condition does not compile, or cannot be evaluated.
    pub fn hold<'a>(
        &self,
        lookup: impl Fn(&FieldName) -> Option<&'a Value>,
        was: Was<'a>,
        facts: &'a Facts,
        now: Timestamp,
    ) -> Result<bool, Reason> {
        match &self.0 {
            Ok(None) => Ok(true),
            Ok(Some(expression)) => {
                expression.holds_beside(&lookup, |beside| beside_of(beside, &lookup, was, facts), now)
            }
            Err(error) => Err(Reason::new(crate::reason::ReasonCode::RuleFailed, error)),
        }
    }
}

/// What stands beside the fields.
pub(crate) fn beside_of<'a>(
    beside: &Beside,
    lookup: &impl Fn(&FieldName) -> Option<&'a Value>,
    was: Was<'a>,
    facts: &'a Facts,
) -> Option<&'a Value> {
    match (beside, was) {
        (Beside::Fact(fact), _) => Some(facts.get(*fact)),
        // Rules have no rows.
        (Beside::Column(_), _) => None,
        (Beside::Old(_), Was::Nothing) => None,
        (Beside::Old(field), Was::Same) => lookup(field),
        (Beside::Old(field), Was::Other(old)) => old.get(field).or_else(|| lookup(field)),
    }
}
