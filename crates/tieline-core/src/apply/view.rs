//! Folds what happens to saved views.

use crate::event::{InboxViewRemoved, InboxViewSet, RecordViewRemoved, RecordViewSet};
use crate::state::State;

pub(super) fn set(state: &mut State, event: &RecordViewSet) {
    state.views.records.insert(event.view.name.clone(), event.view.clone());
}

pub(super) fn removed(state: &mut State, event: &RecordViewRemoved) {
    state.views.records.remove(&event.view);
}

pub(super) fn inbox_set(state: &mut State, event: &InboxViewSet) {
    state.views.inbox.insert(event.view.name.clone(), event.view.clone());
}

pub(super) fn inbox_removed(state: &mut State, event: &InboxViewRemoved) {
    state.views.inbox.remove(&event.view);
}
