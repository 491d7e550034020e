//! What can be asked of an org, and what is answered.
//!
//! A command carries everything that is not in the state: the time, the randomness, the actor. What
//! belongs to one noun and came later is an enum of its own in a file of its own.

mod automation;
mod config;
mod effect;
mod handover;
mod inquiry;
mod invitation;
mod notice;
mod pause;
mod profile;
mod refusal;
mod report;
mod sharing;
mod template;
mod view;

use serde::{Deserialize, Serialize};

use crate::job::JobKind;
use crate::mapping::SubscribeRule;
use crate::message::EndReason;
use crate::people::{Group, OrgSettings, Role};
use crate::publish::PublishRule;
use crate::schema::ObjectSchema;
use crate::state::OwnKey;
use crate::value::Value;
use crate::vecmap::VecMap;
use crate::{
    AssignTo, ConnectionId, FieldName, GroupName, Incarnation, JobId, ObjectName, OrgName, Position,
    RecordId, RequestKey, RoleName, ShareId, Timestamp, TokenId, UserName,
};

pub use automation::AutomationCommand;
pub use config::ConfigCommand;
pub use effect::EffectCommand;
pub use handover::Handover;
pub use inquiry::InquiryCommand;
pub use invitation::InvitationCommand;
pub use notice::NoticeCommand;
pub use pause::Pause;
pub use profile::ProfileCommand;
pub use refusal::{Refusal, RefusalKind};
pub use report::ReportChange;
pub use sharing::{Conversion, SharingCommand};
pub use template::TemplateCommand;
pub use view::ViewCommand;

/// When a command is decided, for whom, and with which randomness.
#[derive(Debug, Clone)]
pub struct Context {
    /// The wall clock; it never runs backwards within one life of a daemon.
    pub now: Timestamp,
    /// Who asks.
    pub actor: UserName,
    /// 256 bits that nobody can guess; ids are drawn from them.
    pub entropy: [u8; 32],
}

/// An API token as the org keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewToken {
    /// The hash of the token.
    pub hash: [u8; 32],
    /// Its last characters, to know it by.
    pub hint: String,
    /// What it is for.
    pub label: String,
    /// When it ends; nothing means never.
    pub expires: Option<Timestamp>,
}

impl NewToken {
    /// A token of which no more is known than its hash, and which does not end.
    #[must_use]
    pub const fn of(hash: [u8; 32]) -> Self {
        Self { hash, hint: String::new(), label: String::new(), expires: None }
    }
}

/// One thing asked of an org.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Makes the org; the first command of every log.
    CreateOrg {
        /// Its name.
        name: OrgName,
        /// Its first administrator.
        admin: UserName,
        /// That administrator's token.
        token: NewToken,
        /// The objects that it begins with.
        objects: Vec<ObjectSchema>,
        /// Its edition and licences.
        settings: OrgSettings,
        /// Whether sharing is enabled from the beginning (S2S-01).
        sharing: bool,
    },
    /// Enables sharing, for good (S2S-01).
    EnableSharing,
    /// Sets edition and licences of the org (S2S-04, S2S-05).
    SetOrg {
        /// What is to hold.
        settings: OrgSettings,
    },
    /// Adds a user.
    AddUser {
        /// The login name.
        user: UserName,
        /// The e-mail address.
        email: Option<String>,
        /// What the user may do.
        role: RoleName,
    },
    /// Changes a user; what is not named stays.
    ChangeUser {
        /// The login name.
        user: UserName,
        /// The e-mail address; an empty one is none.
        email: Option<String>,
        /// What the user may do.
        role: Option<RoleName>,
        /// Whether the user may do anything at all.
        active: Option<bool>,
    },
    /// Removes a user on whom nothing stands.
    RemoveUser {
        /// The login name.
        user: UserName,
    },
    /// Defines a role, or changes it.
    SetRole {
        /// The whole definition.
        role: Box<Role>,
    },
    /// Removes a role that nobody has.
    RemoveRole {
        /// The role.
        role: RoleName,
    },
    /// Defines a group, or changes it.
    SetGroup {
        /// The whole definition.
        group: Group,
    },
    /// Removes a group.
    RemoveGroup {
        /// The group.
        group: GroupName,
    },
    /// Issues an API token to a user.
    IssueToken {
        /// To whom.
        user: UserName,
        /// The token.
        token: NewToken,
    },
    /// Revokes an API token.
    RevokeToken {
        /// Whose it is.
        user: UserName,
        /// The token.
        token: TokenId,
    },
    /// Begins a new life of the log after a restore.
    StartIncarnation {
        /// What the restore was found by.
        cause: crate::event::IncarnationCause,
        /// The connection whose partner showed it.
        connection: Option<ConnectionId>,
        /// An incarnation that the new one must exceed: what a partner knew of us.
        above: Incarnation,
    },
    /// Defines an object, or changes it.
    DefineObject {
        /// The whole definition; its version is set here.
        schema: Box<ObjectSchema>,
    },
    /// Removes an object on which nothing stands.
    RemoveObject {
        /// The object.
        object: ObjectName,
    },

    /// Reports (S2S-72).
    Report(ReportChange),

    /// Makes an invitation (S2S-06).
    Invite {
        /// The hash of the one-time secret.
        secret_hash: [u8; 32],
        /// When it ends.
        expires: Timestamp,
        /// Who manages the connection; the actor if nobody is named.
        owner: Option<UserName>,
        /// What the connection is called here.
        label: String,
    },
    /// Takes an invitation back.
    Revoke {
        /// The connection.
        connection: ConnectionId,
    },
    /// Answers another org's invitation (S2S-10).
    Answer {
        /// The connection, from the URL.
        connection: ConnectionId,
        /// The inviting org, from the URL.
        inviter: OrgName,
        /// Its public key, from the URL.
        public_key: [u8; 32],
        /// The hash of the secret in the URL.
        secret_hash: [u8; 32],
        /// When the invitation ends, from the URL.
        expires: Timestamp,
        /// The answer.
        accept: bool,
        /// Who manages the connection; the actor if nobody is named.
        owner: Option<UserName>,
        /// What the connection is called here.
        label: String,
    },
    /// The answer of an invited org came to the inviter.
    TakeHello {
        /// The connection.
        connection: ConnectionId,
        /// The org that the broker says it came from.
        from: OrgName,
        /// Its answer.
        accept: bool,
        /// Who answered there.
        user: UserName,
        /// Its public key.
        public_key: [u8; 32],
        /// The life of its log.
        incarnation: Incarnation,
        /// Who answered, if it is not the one who manages the connection there.
        by: Option<UserName>,
    },
    /// The inviter confirmed our answer, by its reply or by an authentic frame.
    TakeWelcome {
        /// The connection.
        connection: ConnectionId,
        /// The life of the inviter's log.
        incarnation: Incarnation,
        /// Who manages the connection there.
        owner: Option<UserName>,
    },
    /// The inviter refused our answer.
    TakeRefusal {
        /// The connection.
        connection: ConnectionId,
        /// The code of the refusal.
        code: String,
    },
    /// Ends a connection (S2S-12); nobody is the actor if the partner did.
    Deactivate {
        /// The connection.
        connection: ConnectionId,
        /// Whether the partner's header told it.
        by_partner: bool,
    },
    /// Lets a suspended connection go on.
    Resume {
        /// The connection.
        connection: ConnectionId,
    },
    /// An authentic header named a greater incarnation of the partner.
    TakeIncarnation {
        /// The connection.
        connection: ConnectionId,
        /// The new one.
        incarnation: Incarnation,
    },
    /// The partner durably has our positions up to here.
    NoteReceipt {
        /// The connection.
        connection: ConnectionId,
        /// The position.
        position: Position,
    },
    /// Compares all shares with the partner and repairs what drifted.
    Reconcile {
        /// The connection.
        connection: ConnectionId,
    },

    /// Announces a new key of this org to the partner. Its secret has to be on disk.
    AnnounceKey {
        /// The connection.
        connection: ConnectionId,
        /// The key; its number is above those of all keys of this connection that were ever on disk.
        key: OwnKey,
    },
    /// The partner, in its present life, has sealed for a newer key of this org.
    ConfirmKey {
        /// The connection.
        connection: ConnectionId,
        /// The key.
        key: OwnKey,
    },

    /// Pauses (OPS-15).
    Pause(Pause),
    /// Who owns what (OPS-19).
    Handover(Handover),

    /// Sets what is published of an object, or that nothing is (S2S-20).
    Publish {
        /// The connection.
        connection: ConnectionId,
        /// The object.
        object: ObjectName,
        /// The rule; its version is set here.
        rule: Option<PublishRule>,
    },
    /// Sets what is taken of a partner's object, or that nothing is (S2S-21).
    Subscribe {
        /// The connection.
        connection: ConnectionId,
        /// The partner's object.
        object: ObjectName,
        /// The rule; its version is set here.
        rule: Option<SubscribeRule>,
    },

    /// Creates a record.
    CreateRecord {
        /// Its object.
        object: ObjectName,
        /// Its fields.
        values: VecMap<FieldName, Value>,
        /// To whom it is given; to the actor if nobody is named.
        owner: Option<AssignTo>,
    },
    /// Writes fields of a record.
    UpdateRecord {
        /// The record.
        record: RecordId,
        /// The fields.
        values: VecMap<FieldName, Value>,
    },
    /// Deletes a record here.
    DeleteRecord {
        /// The record.
        record: RecordId,
    },
    /// Tries the pending values of a record, or the creation of a granted one, again.
    Retry {
        /// The connection.
        connection: ConnectionId,
        /// The share.
        share: ShareId,
    },

    /// Offers a record to a connection (S2S-41).
    Forward {
        /// The record.
        record: RecordId,
        /// The connection.
        connection: ConnectionId,
    },
    /// Ends the sharing of a record with a connection.
    EndShare {
        /// The record.
        record: RecordId,
        /// The connection.
        connection: ConnectionId,
        /// Why.
        reason: EndReason,
    },
    /// Accepts an offer (S2S-47).
    Accept {
        /// The connection.
        connection: ConnectionId,
        /// The share.
        share: ShareId,
        /// To whom the record is given; to the actor if nobody is named, or no rule names anybody.
        owner: Option<AssignTo>,
    },
    /// Accepts an offer into a record that is here already: it becomes the copy.
    Adopt {
        /// The connection.
        connection: ConnectionId,
        /// The share.
        share: ShareId,
        /// The record, of the object that the partner's becomes here.
        record: RecordId,
    },
    /// Declines an offer, or gives a grant back whose record cannot be created.
    Decline {
        /// The connection.
        connection: ConnectionId,
        /// The share.
        share: ShareId,
    },

    /// Queues, and who owns a record.
    Automation(AutomationCommand),
    /// Sets the configuration as a whole.
    Config(ConfigCommand),
    /// What the org tells of itself.
    Profile(ProfileCommand),
    /// Connection templates.
    Template(TemplateCommand),

    /// Begins wide work.
    StartJob {
        /// What is to be done.
        kind: JobKind,
    },
    /// Does the next slice of a job.
    AdvanceJob {
        /// The job.
        job: JobId,
        /// At most so many items.
        allowance: usize,
    },
    /// Tries a held message whose time has come.
    TryHeld {
        /// The connection.
        connection: ConnectionId,
        /// The message.
        position: Position,
    },

    /// Saved views.
    View(ViewCommand),
    /// Sharing and accepting by people.
    Sharing(SharingCommand),

    /// Something about what has to be done outside.
    Effect(EffectCommand),
    /// Something about invitations by mail, and those that wait for a decision.
    Invitation(InvitationCommand),
    /// Something about questions to contacts whether a connection is possible.
    Inquiry(InquiryCommand),
    /// Something about what users are told.
    Notice(NoticeCommand),
}

/// A command of a request that may be sent again: it is done once for its user, key and item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Once {
    /// What the client calls the request.
    pub key: RequestKey,
    /// A hash of what was asked for: the same key for something else is refused.
    pub fingerprint: [u8; 16],
    /// Which command of the request it is.
    pub item: u32,
}

/// What a command answers. In the log, too, if the request had a key: names here are for good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// It is done.
    Done,
    /// Nothing had to change.
    Unchanged,
    /// A record was created.
    Record(RecordId),
    /// A record was offered, accepted or ended over this share.
    Share(ShareId),
    /// A connection was made.
    Connection(ConnectionId),
    /// Wide work began.
    Job(JobId),
    /// A lead was converted.
    Converted {
        /// The account.
        account: RecordId,
        /// The contact.
        contact: RecordId,
        /// The opportunity, if there is one.
        opportunity: Option<RecordId>,
    },
    /// A token was issued.
    Token(TokenId),
    /// Records have another owner.
    HandedOver {
        /// How many.
        records: u64,
        /// After which id to go on; nothing if these were the last.
        next: Option<RecordId>,
    },
    /// What the hello is answered with.
    Welcome {
        /// Who manages the connection here.
        owner: UserName,
    },
}
