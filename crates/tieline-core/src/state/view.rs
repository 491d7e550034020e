//! Saved views as the state keeps them, and what they choose.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::command::Refusal;
use crate::schema::FieldKind;
use crate::state::{Connection, Record, Share, ShareRole, State};
use crate::value::Value;
use crate::vecmap::VecMap;
use crate::view::{Audience, InboxView, OpenView, RecordView, offer_values};
use crate::{FieldName, RecordId, Timestamp, UserName, ViewName};

/// The saved views.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Views {
    /// Of records.
    #[serde(default)]
    pub records: BTreeMap<ViewName, RecordView>,
    /// Of offers.
    #[serde(default)]
    pub inbox: BTreeMap<ViewName, InboxView>,
}

impl State {
    /// Whether a user belongs to an audience.
    #[must_use]
    pub fn belongs(&self, user: &UserName, audience: &Audience) -> bool {
        if audience.is_everybody() || audience.users.contains(user) {
            return true;
        }
        let Some(role) = self.users.get(user).map(|user| &user.role) else { return false };
        audience.roles.contains(role)
            || audience
                .groups
                .iter()
                .filter_map(|group| self.groups.get(group))
                .any(|group| group.users.contains(user) || group.roles.contains(role))
    }

    /// A list view that is ready to look at records.
    ///
    /// # Errors
    /// There is none of this name, or it does not fit its object any more.
    pub fn open_view(&self, name: &ViewName) -> Result<(&RecordView, OpenView), Refusal> {
        let view = self.views.records.get(name).ok_or_else(|| unknown_view(name, ""))?;
        let object = crate::decide::known_object(self, &view.object)?;
        Ok((view, view.open(object).map_err(Refusal::record)?))
    }

    /// An inbox view that is ready to look at offers.
    ///
    /// # Errors
    /// There is none of this name, or it does not fit its object any more.
    pub fn open_inbox_view(&self, name: &ViewName) -> Result<(&InboxView, OpenView), Refusal> {
        let view = self.views.inbox.get(name).ok_or_else(|| unknown_view(name, " --inbox"))?;
        let object = crate::decide::known_object(self, &view.object)?;
        Ok((view, view.open(object).map_err(Refusal::record)?))
    }

    /// Whether a record belongs to a view that `user` opened.
    #[must_use]
    pub fn view_matches(
        &self,
        (view, open): (&RecordView, &OpenView),
        record: &Record,
        user: &UserName,
        now: Timestamp,
    ) -> bool {
        record.object == view.object
            && (!view.mine || record.owner == *user)
            && open.matches(|name| record.fields.get(name).map(|field| &field.value), now)
    }

    /// The records that a view chooses for `user`, in the order of their ids, after `after`.
    pub fn view_records<'a>(
        &'a self,
        (view, open): (&'a RecordView, &'a OpenView),
        after: Option<RecordId>,
        user: &'a UserName,
        now: Timestamp,
    ) -> impl Iterator<Item = (RecordId, &'a Record)> {
        let all = self.records_of(&view.object, after);
        all.filter(move |(_, record)| self.view_matches((view, open), record, user, now))
    }

    /// What an offer shows in an inbox view: its preview by the names of this org, the connection and
    /// the date; nothing if its object is not subscribed.
    #[must_use]
    pub fn offer_values(&self, connection: &Connection, share: &Share) -> Option<VecMap<FieldName, Value>> {
        if share.role != ShareRole::Copy {
            return None;
        }
        let rule = connection.subscribe.get(&share.object)?;
        let object = self.object(&rule.local)?;
        let mapped = share.preview.iter().flat_map(|(remote, value)| {
            rule.takes(remote).filter_map(|mapping| {
                let field = object.field(&mapping.local)?;
                Some((mapping.local.clone(), rule.map_value(mapping, value, field).ok()?))
            })
        });
        // Fields of the account are shown as they came: they go into no field of the record itself.
        let carried = share
            .preview
            .iter()
            .filter(|(remote, _)| object.field(*remote).is_some_and(|field| field.kind == FieldKind::Parent));
        let carried = carried.map(|(name, value)| (name.clone(), value.clone()));
        let values = mapped.chain(carried).collect();
        Some(offer_values(connection.display_name(), share.offered, values))
    }

    /// Whether an offer belongs to an inbox view, and what it shows there.
    #[must_use]
    pub fn inbox_view_matches(
        &self,
        (view, open): (&InboxView, &OpenView),
        connection: &Connection,
        share: &Share,
        now: Timestamp,
    ) -> Option<VecMap<FieldName, Value>> {
        let rule = connection.subscribe.get(&share.object).filter(|rule| rule.local == view.object)?;
        let values = self.offer_values(connection, share).filter(|_| rule.local == view.object)?;
        open.matches(|name| values.get(name), now).then_some(values)
    }
}

fn unknown_view(name: &ViewName, option: &str) -> Refusal {
    let text = format!("there is no view {name}: see the views with `tieline view list{option}`");
    Refusal::not_found("unknown_view", text)
}
