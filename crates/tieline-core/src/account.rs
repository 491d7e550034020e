//! The account of a contact or opportunity that is accepted: matched or made (S2S-49).
//!
//! A contact carries name and billing address of its account as fields of its own, of the kind `parent`:
//! they are published like any other and keep nothing themselves. The receiver's rule says into which
//! fields of its own accounts they go, and by which of them an account is known.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::limits::ACCOUNT_KEYS_MAX;
use crate::reason::{Reason, ReasonCode};
use crate::schema::{FieldKind, FieldSchema, ObjectSchema};
use crate::state::{Record, State};
use crate::value::{Value, cast};
use crate::vecmap::VecMap;
use crate::{FieldName, ObjectName, RecordId};

/// The object that is matched or made.
pub const ACCOUNT: &str = "Account";
/// The field by which an accepted record names its account.
const REFERENCE: &str = "AccountId";
/// The field by which accounts are found fast.
const NAME: &str = "Name";

const fn yes() -> bool {
    true
}

/// How the account of an accepted record is found or made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountRule {
    /// Fields of this org's accounts, and the partner's fields that they come from.
    pub fields: BTreeMap<FieldName, FieldName>,
    /// The fields of an account, among those, that have to be the same: case, spaces and punctuation do
    /// not count. One that came without a value does not count either.
    pub match_on: Vec<FieldName>,
    /// Whether an account is made if none matches.
    #[serde(default = "yes")]
    pub create: bool,
}

/// What would become of the account of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccountPlan {
    /// One is here already; there may be more that match.
    Match {
        /// The oldest.
        account: RecordId,
        /// How many match.
        found: usize,
    },
    /// None matches: one is made with these values.
    Create(VecMap<FieldName, Value>),
    /// None matches, and none is made.
    Leave,
    /// What came names no account.
    Unnamed,
}

fn name(text: &str) -> FieldName {
    // The names are constants of this file, and a test accepts a contact with them.
    #[expect(clippy::unwrap_used)]
    text.parse().unwrap()
}

/// The field by which an accepted record names its account, if its object has it.
#[must_use]
pub fn reference(object: &ObjectSchema) -> Option<FieldName> {
    object.field(REFERENCE).map(|field| field.name.clone())
}

/// A text as it is compared: letters and digits alone, in lower case.
#[must_use]
pub fn normal(value: &Value) -> String {
    let text = match value {
        Value::Text(text) | Value::Picklist(text) => text.as_str(),
        Value::Null => return String::new(),
        other => return other.to_json().to_string(),
    };
    text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// The name of an account as it is compared; nothing for what is no account, or has no name.
pub(crate) fn account_key(record: &Record) -> Option<String> {
    if record.deleted || record.object.as_str() != ACCOUNT {
        return None;
    }
    Some(normal(record.fields.get(NAME).map(|field| &field.value)?)).filter(|key| !key.is_empty())
}

impl AccountRule {
    /// Whether the rule can be saved for this org's accounts.
    ///
    /// # Errors
    /// Every reason against it.
    pub fn check(&self, account: &ObjectSchema) -> Result<(), Vec<Reason>> {
        let mut reasons = Vec::new();
        for field in self.fields.keys() {
            match account.require(field) {
                Ok(known) if known.kind == FieldKind::Data && known.updatable => {}
                Ok(_) => {
                    let text = format!("{}.{field} is set by the system: leave it out", account.name);
                    reasons.push(Reason::new(ReasonCode::NotUpdatable, text).on_field(field));
                }
                Err(reason) => reasons.push(reason),
            }
        }
        let unknown = self.match_on.iter().find(|field| !self.fields.contains_key(*field));
        if let Some(field) = unknown {
            let text = format!("accounts are matched by {field}, which comes from no field of the partner");
            reasons.push(Reason::new(ReasonCode::UnknownField, text).on_field(field));
        }
        if self.match_on.is_empty() || self.match_on.len() > ACCOUNT_KEYS_MAX {
            let text = format!("accounts are matched by 1 to {ACCOUNT_KEYS_MAX} fields; name them");
            reasons.push(Reason::new(ReasonCode::LimitReached, text));
        }
        if reasons.is_empty() { Ok(()) } else { Err(reasons) }
    }

    /// The values of an account, from what came by the partner's names.
    fn values(
        &self,
        account: &ObjectSchema,
        came: impl Fn(&FieldName) -> Option<Value>,
    ) -> VecMap<FieldName, Value> {
        let value = |(local, remote): (&FieldName, &FieldName)| {
            let field = account.field(local)?;
            let value = cast(&came(remote)?, field).ok()?;
            (!value.is_blank() && value.check(field).is_ok()).then(|| (local.clone(), value))
        };
        self.fields.iter().filter_map(value).collect()
    }

    /// What becomes of the account, from what came by the partner's names.
    #[must_use]
    pub fn plan(&self, state: &State, came: impl Fn(&FieldName) -> Option<Value>) -> AccountPlan {
        let Some(account) = state.objects.get(ACCOUNT) else { return AccountPlan::Unnamed };
        let values = self.values(account, came);
        if values.get(&account.name_field).is_none() {
            return AccountPlan::Unnamed;
        }
        let keys: Vec<(&FieldName, String)> = self
            .match_on
            .iter()
            .filter_map(|field| Some((field, normal(values.get(field)?))))
            .filter(|(_, key)| !key.is_empty())
            .collect();
        let same = |record: &Record| keys.iter().all(|(field, key)| normal(record.value(field)) == *key);
        let by_name = keys.iter().find(|(field, _)| field.as_str() == NAME).map(|(_, key)| key.as_str());
        let mut found: Vec<(crate::Timestamp, RecordId)> = match by_name {
            _ if keys.is_empty() => Vec::new(),
            Some(key) => {
                let named = state.accounts_named(key).filter(|(_, record)| same(record));
                named.map(|(id, record)| (record.created, id)).collect()
            }
            None => {
                let all = state.records_of(&account.name, None).filter(|(_, record)| same(record));
                all.map(|(id, record)| (record.created, id)).collect()
            }
        };
        found.sort_unstable();
        match found.first() {
            Some((_, oldest)) => AccountPlan::Match { account: *oldest, found: found.len() },
            None if self.create => AccountPlan::Create(values),
            None => AccountPlan::Leave,
        }
    }
}

impl Default for AccountRule {
    /// Name and billing address, as contacts and opportunities carry them, matched by name.
    fn default() -> Self {
        let fields = ["Name", "BillingCity", "BillingState", "BillingCountry"];
        Self {
            fields: fields.map(|field| (name(field), name(&format!("{ACCOUNT}{field}")))).into(),
            match_on: vec![name(NAME)],
            create: true,
        }
    }
}

/// The field of the record that a reference names: `AccountId.Name`.
pub(crate) fn parent_path(field: &FieldSchema) -> Option<(FieldName, FieldName)> {
    let (reference, field) = field.parent.as_ref()?.split_once('.')?;
    Some((reference.parse().ok()?, field.parse().ok()?))
}

/// The fields of an object that are those of the record that a reference names, with their values and
/// when they were written: empty since the reference is, or names a record that has none.
pub(crate) fn parent_fields<'a>(
    state: &'a State,
    object: &ObjectName,
    record: &'a Record,
) -> impl Iterator<Item = (&'a FieldName, Value, crate::Stamp)> {
    let fields = state.object(object).map_or(&[][..], |object| object.fields.as_slice());
    fields.iter().filter(|field| field.kind == FieldKind::Parent).filter_map(move |field| {
        let (reference, source) = parent_path(field)?;
        let referred = record.fields.get(&reference)?;
        let written = match referred.value {
            Value::Reference(parent) => state.record(parent)?.fields.get(&source),
            // That it is empty for want of its target says nothing about it.
            _ if record.links.contains_key(&reference) => return None,
            _ => None,
        };
        let (value, stamp) = match written {
            Some(written) => (written.value.clone(), referred.stamp.max(written.stamp)),
            None => (Value::Null, referred.stamp),
        };
        Some((&field.name, value, stamp))
    })
}
