//! Sharing and accepting by people.

use crate::command::{Refusal, Reply, SharingCommand};
use crate::decide::draft::Draft;
use crate::decide::{account, approval, convert, owner, share};

pub(super) fn decide(draft: &mut Draft<'_>, command: &SharingCommand) -> Result<Reply, Refusal> {
    match command {
        SharingCommand::Forward { record, connection, how } => {
            share::forward_by_hand(draft, *record, *connection, *how)
        }
        SharingCommand::Accept { connection, share, owner, record_type } => {
            share::accept(draft, *connection, *share, owner.as_ref(), record_type.clone())
        }
        SharingCommand::SetAccountRule { connection, object, rule } => {
            account::set(draft, *connection, object, rule.as_ref())
        }
        SharingCommand::SetOwnerMap { connection, owners } => owner::set(draft, *connection, owners),
        SharingCommand::SetConversionMap { map } => convert::set(draft, map),
        SharingCommand::Convert { lead, conversion } => convert::convert(draft, *lead, conversion),
        SharingCommand::Approve { record, field } => approval::approve(draft, *record, field),
        SharingCommand::Reject { record, field } => approval::reject(draft, *record, field),
    }
}
