//! Settings that stand on an object and do not fit it: rules, views and reports whose fields have gone or
//! become another type. They are looked at as their object is, or as it would be.

use crate::automation::RuleKind;
use crate::decide::rule_trouble;
use crate::reason::Reason;
use crate::schema::ObjectSchema;
use crate::state::State;

/// A setting that cannot do what it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unfit {
    /// The setting, as `workflow_rules.late`.
    pub item: String,
    /// Why.
    pub reason: Reason,
}

/// The settings that do not fit `object`; those that are switched off are left out.
#[must_use]
pub(super) fn unfit(state: &State, object: &ObjectSchema) -> Vec<Unfit> {
    let mut found = Vec::new();
    let mut note = |item: String, reasons: Vec<Reason>| {
        found.extend(reasons.into_iter().map(|reason| Unfit { item: item.clone(), reason }));
    };
    for kind in RuleKind::ALL {
        let rules = state.automation.rules(*kind);
        for rule in rules.iter().filter(|rule| rule.is_active() && *rule.object() == object.name) {
            note(format!("{}_rules.{}", kind.as_str(), rule.key()), rule_trouble(state, object, rule));
        }
    }
    for view in state.views.records.values().filter(|view| view.object == object.name) {
        note(format!("views.{}", view.name), view.open(object).err().unwrap_or_default());
    }
    for view in state.views.inbox.values().filter(|view| view.object == object.name) {
        note(format!("inbox_views.{}", view.name), view.open(object).err().unwrap_or_default());
    }
    for report in state.reports.values().filter(|report| report.object == object.name) {
        note(format!("reports.{}", report.name), report.check(object, state).err().unwrap_or_default());
    }
    found
}

/// The settings that fit the object as `before` has it, and would not fit `object` among those of `after`.
#[must_use]
pub fn breaks(before: &State, after: &State, object: &ObjectSchema) -> Vec<Unfit> {
    let mut found = unfit(after, object);
    if let Some(known) = before.object(&object.name).filter(|_| !found.is_empty()) {
        let known = unfit(before, known);
        found.retain(|unfit| known.iter().all(|other| other.item != unfit.item));
    }
    found
}
