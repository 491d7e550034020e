//! Accepting a contact or opportunity matches its account, or makes it (S2S-49).

use crate::account::{ACCOUNT, AccountPlan, AccountRule, reference};
use crate::command::{Refusal, Reply};
use crate::content::Content;
use crate::decide::compute::compute;
use crate::decide::draft::Draft;
use crate::decide::fields::Incoming;
use crate::decide::record::{self, defaults};
use crate::decide::write::{Candidate, Candidates, Write, record_changed, refusals};
use crate::decide::{rules, share};
use crate::event::{AccountRuleSet, RecordAction};
use crate::reason::Reason;
use crate::value::Value;
use crate::{ConnectionId, FieldName, ObjectName, Owner, RecordId, UserName};

/// Sets how accounts are found for records of a partner's object, or that they are not.
pub(super) fn set(
    draft: &mut Draft<'_>,
    over: ConnectionId,
    remote: &ObjectName,
    rule: Option<&AccountRule>,
) -> Result<Reply, Refusal> {
    let connection = share::active(draft.state, over)?;
    if connection.accounts.get(remote) == rule {
        return Ok(Reply::Unchanged);
    }
    let subscribed = connection.subscribe.get(remote).ok_or_else(|| {
        let text = format!("{remote} is not subscribed: subscribe it first with `tieline subscribe set`");
        Refusal::conflict("not_subscribed", text)
    })?;
    if let Some(rule) = rule {
        let local = record::object(draft.state, &subscribed.local)?;
        if reference(local).is_none() {
            let text = format!("{} names no account: it has no field AccountId", local.name);
            return Err(Refusal::invalid("no_account", text));
        }
        let accounts = draft
            .state
            .objects
            .get(ACCOUNT)
            .ok_or_else(|| Refusal::not_found("unknown_object", "there is no object Account"))?;
        rule.check(accounts).map_err(Refusal::record)?;
    }
    let (object, actor) = (remote.clone(), draft.actor.clone());
    draft.emit(AccountRuleSet { connection: over, object, rule: rule.cloned(), actor });
    rules::tell_subscription(draft, connection, subscribed, rule);
    Ok(Reply::Done)
}

/// The account of a record that is being created.
pub(super) struct Account {
    /// The field that names it.
    pub(super) field: FieldName,
    /// The account.
    id: RecordId,
    /// What it is made with, if it is made.
    made: Option<Candidates>,
}

/// Finds the account of a copy, or prepares it; the reasons for which it cannot be made.
pub(super) fn of_copy(
    draft: &mut Draft<'_>,
    incoming: &Incoming<'_>,
    content: &Content,
    candidates: &Candidates,
) -> Result<Option<Account>, Vec<Reason>> {
    let Some(rule) = incoming.connection.accounts.get(&incoming.share.object) else { return Ok(None) };
    let Some(field) = reference(incoming.object) else { return Ok(None) };
    if candidates.get(&field).is_some_and(|candidate| !candidate.value.is_null()) {
        // The account itself is shared, and linked already.
        return Ok(None);
    }
    match rule.plan(draft.state, |remote| content.values.get(remote).cloned()) {
        AccountPlan::Match { account, .. } => Ok(Some(Account { field, id: account, made: None })),
        AccountPlan::Leave | AccountPlan::Unnamed => Ok(None),
        AccountPlan::Create(values) => {
            let Some(object) = draft.state.objects.get(ACCOUNT) else { return Ok(None) };
            let here = draft.stamp();
            let mut made: Candidates = values
                .iter()
                .map(|(name, value)| (name.clone(), Candidate::local(value.clone(), here)))
                .collect();
            for (name, value) in defaults(object) {
                if !made.contains_key(name) {
                    made.insert(name.clone(), Candidate::local(value.clone(), here));
                }
            }
            let reasons = refusals(draft.state, object, None, &made, draft.now);
            if reasons.is_empty() {
                let id = RecordId(draft.draw());
                Ok(Some(Account { field, id, made: Some(made) }))
            } else {
                Err(reasons.into_iter().map(of_account).collect())
            }
        }
    }
}

/// A reason that is about the account, not about the record that it is for.
fn of_account(reason: Reason) -> Reason {
    Reason { field: None, message: format!("its account: {}", reason.message), ..reason }
}

impl Account {
    /// The value of the field that names it.
    pub(super) const fn value(&self) -> Value {
        Value::Reference(self.id)
    }

    /// Makes the account, if it is made.
    pub(super) fn make(self, draft: &mut Draft<'_>, owner: Owner) {
        let Some(mut made) = self.made else { return };
        let Some(object) = draft.state.objects.get(ACCOUNT) else { return };
        let failed = compute(draft, object, None, &mut made);
        let write = Write {
            id: self.id,
            object: object.name.clone(),
            action: RecordAction::Create,
            actor: UserName::connection_user(),
            owner: Some(owner),
            hops: 0,
        };
        draft.emit(record_changed(None, write, made, Vec::new()));
        failed.note(draft, self.id, &object.name);
    }
}
