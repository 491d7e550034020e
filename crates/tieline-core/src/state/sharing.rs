//! What is looked up about sharing: the tasks of a record, and what waits for approval.

use std::collections::BTreeSet;

use crate::RecordId;
use crate::account::account_key;
use crate::event::PendingValue;
use crate::sharing::{is_task, parents_of};
use crate::state::{Record, State};

/// Whether a value waits for a person.
fn waits(pending: &PendingValue) -> bool {
    pending.approval && !pending.rejected
}

impl State {
    /// The tasks of a record, after `after`, in the order of their ids.
    pub fn tasks_of(&self, record: RecordId, after: Option<RecordId>) -> impl Iterator<Item = RecordId> + '_ {
        use std::ops::Bound::{Excluded, Unbounded};
        let start = after.map_or(Unbounded, Excluded);
        self.tasks.get(&record).into_iter().flat_map(move |tasks| tasks.range((start, Unbounded))).copied()
    }

    /// The records with values that wait for approval, after `after`, in the order of their ids.
    pub fn approvals(&self, after: Option<RecordId>) -> impl Iterator<Item = (RecordId, &Record)> {
        use std::ops::Bound::{Excluded, Unbounded};
        let start = after.map_or(Unbounded, Excluded);
        self.approvals.range((start, Unbounded)).filter_map(|id| Some((*id, self.record(*id)?)))
    }

    /// How many values wait for approval.
    #[must_use]
    pub fn approvals_waiting(&self) -> usize {
        self.approvals(None).map(|(_, record)| record.pending.values().filter(|p| waits(p)).count()).sum()
    }

    /// The accounts of a name, as names are compared.
    pub fn accounts_named(&self, key: &str) -> impl Iterator<Item = (RecordId, &Record)> {
        self.accounts.get(key).into_iter().flatten().filter_map(|id| Some((*id, self.record(*id)?)))
    }

    /// Notes the name of an account.
    pub(crate) fn index_account(&mut self, id: RecordId, before: Option<String>, after: Option<String>) {
        if before == after {
            return;
        }
        if let Some(key) = before
            && let Some(ids) = self.accounts.get_mut(&key)
        {
            ids.remove(&id);
            if ids.is_empty() {
                self.accounts.remove(&key);
            }
        }
        if let Some(key) = after {
            self.accounts.entry(key).or_default().insert(id);
        }
    }

    /// Notes what a task belongs to.
    pub(crate) fn index_task(
        &mut self,
        task: RecordId,
        before: [Option<RecordId>; 2],
        after: [Option<RecordId>; 2],
    ) {
        for parent in before.into_iter().flatten() {
            if let Some(tasks) = self.tasks.get_mut(&parent) {
                tasks.remove(&task);
                if tasks.is_empty() {
                    self.tasks.remove(&parent);
                }
            }
        }
        for parent in after.into_iter().flatten() {
            self.tasks.entry(parent).or_default().insert(task);
        }
    }

    /// Notes whether something of a record waits for approval.
    pub(crate) fn index_approval(&mut self, id: RecordId, waits: bool) {
        if waits {
            self.approvals.insert(id);
        } else if !self.approvals.is_empty() {
            self.approvals.remove(&id);
        }
    }

    /// Rebuilds what is derived.
    pub(super) fn derive_sharing(&mut self) {
        self.tasks.clear();
        self.approvals.clear();
        self.accounts.clear();
        for (id, record) in &self.records {
            if let Some(key) = account_key(record) {
                self.accounts.entry(key).or_default().insert(*id);
            }
        }
        let tasks: Vec<_> = self
            .records
            .iter()
            .filter(|(_, record)| !record.deleted && is_task(&record.object))
            .map(|(id, record)| (*id, parents_of(record)))
            .collect();
        for (task, parents) in tasks {
            self.index_task(task, [None, None], parents);
        }
        let waiting = self.records.iter().filter(|(_, record)| record.waits_for_approval());
        self.approvals = waiting.map(|(id, _)| *id).collect::<BTreeSet<_>>().into();
    }
}

impl Record {
    /// Whether a value of a partner waits for a person.
    #[must_use]
    pub fn waits_for_approval(&self) -> bool {
        !self.deleted && self.pending.values().any(waits)
    }
}
