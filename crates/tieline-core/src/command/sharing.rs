//! Sharing and accepting by people: what came after the first commands.

use smol_str::SmolStr;

use crate::account::AccountRule;
use crate::conversion::ConversionMap;
use crate::owner_map::OwnerMap;
use crate::sharing::Forwarding;
use crate::value::Value;
use crate::vecmap::VecMap;
use crate::{AssignTo, ConnectionId, FieldName, ObjectName, RecordId, ShareId, UserName};

/// What a lead becomes (S2S-56).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Conversion {
    /// The account that it joins; without one, an account is created.
    pub account: Option<RecordId>,
    /// The contact that it is; without one, a contact is created.
    pub contact: Option<RecordId>,
    /// The fields of an opportunity, if one is to be created.
    pub opportunity: Option<VecMap<FieldName, Value>>,
    /// Who owns what is created; without one, the owner of the lead.
    pub owner: Option<UserName>,
}

/// What can be asked about sharing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SharingCommand {
    /// Offers a record to a connection, with one acceptor or several, and with its tasks (S2S-41,
    /// S2S-44, S2S-45).
    Forward {
        /// The record.
        record: RecordId,
        /// The connection.
        connection: ConnectionId,
        /// How.
        how: Forwarding,
    },
    /// Accepts an offer (S2S-47).
    Accept {
        /// The connection.
        connection: ConnectionId,
        /// The share.
        share: ShareId,
        /// To whom the record is given; to the actor if nobody is named, or no rule names anybody.
        owner: Option<AssignTo>,
        /// The type of the record, where it is chosen.
        record_type: Option<SmolStr>,
    },
    /// Sets how the account of an accepted record is found or made, or that it is not (S2S-49).
    SetAccountRule {
        /// The connection.
        connection: ConnectionId,
        /// The partner's object.
        object: ObjectName,
        /// The rule.
        rule: Option<AccountRule>,
    },
    /// Sets who owns here what a partner's users own (OPS-19).
    SetOwnerMap {
        /// The connection.
        connection: ConnectionId,
        /// The whole table.
        owners: OwnerMap,
    },
    /// Sets which fields of a lead become which of what it becomes (S2S-56).
    SetConversionMap {
        /// All of it.
        map: ConversionMap,
    },
    /// Makes an account, a contact and, if asked for, an opportunity of a lead (S2S-56).
    Convert {
        /// The lead.
        lead: RecordId,
        /// What it becomes.
        conversion: Box<Conversion>,
    },
    /// Writes a value of a partner that waits for approval (S2S-58).
    Approve {
        /// The record.
        record: RecordId,
        /// The field.
        field: FieldName,
    },
    /// Refuses a value of a partner that waits for approval (S2S-58).
    Reject {
        /// The record.
        record: RecordId,
        /// The field.
        field: FieldName,
    },
}
