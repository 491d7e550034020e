//! Who gets a record as the assignment rule of its object says (S2S-47, S2S-75).

use crate::automation::{Facts, RuleKind, Was};
use crate::decide::automation::assign::check_owner;
use crate::decide::automation::run::failed;
use crate::decide::draft::Draft;
use crate::reason::{Reason, ReasonCode};
use crate::value::Value;
use crate::{FieldName, ObjectName, Owner, RecordId};

/// The owner whom the first entry names whose criteria hold; nothing if there is no rule, or none holds.
/// An entry that cannot be asked, or whose owner can be given nothing, is passed over, and told as a
/// failure of the rule.
pub(in crate::decide) fn owner_for<'a>(
    draft: &mut Draft<'_>,
    object: &ObjectName,
    record: Option<RecordId>,
    lookup: impl Fn(&FieldName) -> Option<&'a Value>,
    was: Was<'a>,
    facts: &'a Facts,
) -> Option<Owner> {
    let rules = draft.state.automation.rules_of(object)?;
    for (criteria, owner) in &rules.assignment {
        let holds = criteria.hold(&lookup, was, facts, draft.now).and_then(|holds| {
            let given = if holds { check_owner(draft.state, object, owner) } else { Ok(()) };
            given.map(|()| holds).map_err(|refusal| Reason::new(ReasonCode::BadRule, refusal.message))
        });
        match holds {
            Ok(true) => return Some(owner.clone()),
            Ok(false) => {}
            Err(reason) => failed(draft, RuleKind::Assignment, object.as_str(), record, vec![reason]),
        }
    }
    None
}
