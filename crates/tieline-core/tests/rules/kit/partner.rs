//! A partner whose messages are made up by the test, so that a case can say what no engine would.

use tieline_core::command::{Command, Reply};
use tieline_core::content::Content;
use tieline_core::engine::FrameEnd;
use tieline_core::event::Received;
use tieline_core::frame::{Figure, FrameHeader};
use tieline_core::message::{
    AcceptOffer, Catalogue, Change, Envelope, Grant, Message, Offer, Snapshot, Subscription,
    SubscriptionNotice,
};
use tieline_core::publish::catalogue_object;
use tieline_core::value::Value;
use tieline_core::{ConnectionId, Incarnation, OrgName, Position, RecordId, Seq, ShareId, Stamp};

use super::org::header;
use super::{Frame, Org, at, deals_from_offers, fields, name, offer, publish_rule, values};

/// The life of every made-up partner.
const LIFE: Incarnation = Incarnation(77);

/// A made-up partner of an org with deals, which itself has offers.
#[derive(Debug, Clone)]
pub(crate) struct Partner {
    name: OrgName,
    pub(crate) connection: ConnectionId,
    head: Figure,
}

impl Partner {
    /// Connects to `org`; each side then publishes and takes all that has a counterpart.
    pub(crate) fn of(org: &mut Org, partner: &str) -> Self {
        let expires = org.now.plus_us(3_600_000_000);
        let invite = Command::Invite { secret_hash: [2; 32], expires, owner: None, label: String::new() };
        let Reply::Connection(connection) = org.run(invite) else { panic!("an invitation is a connection") };
        let from: OrgName = name(partner);
        org.run(Command::TakeHello {
            connection,
            from: from.clone(),
            accept: true,
            user: name("bob"),
            public_key: [4; 32],
            incarnation: LIFE,
            by: None,
        });
        let mut made = Self { name: from, connection, head: Figure::default() };
        made.agree(org);
        made
    }

    fn agree(&mut self, org: &mut Org) {
        let published = publish_rule(&name("Offer__c"), &["Number", "Phase", "Remark", "Title"]);
        let objects = vec![catalogue_object(&offer(), &published)];
        let taken = Subscription {
            object: name("Deal__c"),
            local: name("Offer__c"),
            fields: fields(&["Count", "Name", "Note", "Stage"]),
            version: 1,
        };
        self.send(org, Catalogue { full: true, objects, removed: Vec::new() });
        self.publish_to(org, &["Count", "Name", "Note", "Stage"]);
        self.subscribe(org);
        self.send(org, SubscriptionNotice { full: true, objects: vec![taken], removed: Vec::new() });
    }

    /// What the org publishes to this partner.
    pub(crate) fn publish_to(&self, org: &mut Org, names: &[&str]) {
        let (connection, object) = (self.connection, name("Deal__c"));
        let rule = Some(publish_rule(&object, names));
        org.run(Command::Publish { connection, object, rule });
    }

    /// The org takes all that this partner publishes.
    pub(crate) fn subscribe(&self, org: &mut Org) {
        let rule = Some(deals_from_offers());
        org.run(Command::Subscribe { connection: self.connection, object: name("Offer__c"), rule });
    }

    /// The frame of these messages, as it follows all others.
    pub(crate) fn frame(&mut self, org: &Org, envelopes: &[Envelope]) -> Frame {
        let mut after = self.head;
        for envelope in envelopes {
            after.position = after.position.next();
            after.chain = after.chain.then(after.position, envelope.seq, envelope.time);
        }
        let header = FrameHeader {
            first: self.head.position.next(),
            count: u32::try_from(envelopes.len()).unwrap(),
            chain_before: self.head.chain,
            chain_after: after.chain,
            ..self.heartbeat(org)
        };
        self.head = after;
        Frame::new(&header, envelopes)
    }

    /// The header of a frame without messages.
    pub(crate) fn heartbeat(&self, org: &Org) -> FrameHeader {
        let own = org.state().org.as_ref().unwrap();
        header(self.connection, (&self.name, LIFE), (&own.name, own.incarnation), org.now)
    }

    /// The org has begun a new life: positions begin anew.
    pub(crate) fn restart(&mut self) {
        self.head = Figure::default();
    }

    /// The position after everything sent so far.
    pub(crate) fn next(&self) -> Position {
        self.head.position.next()
    }

    /// Sends messages in one frame; how each ended.
    pub(crate) fn send_all(&mut self, org: &mut Org, messages: &[Message]) -> Vec<Received> {
        let first = self.next();
        let numbered = messages.iter().zip(first.0..);
        let envelopes: Vec<Envelope> =
            numbered.map(|(message, seq)| Envelope::new(Seq(seq), org.now, message)).collect();
        self.send_envelopes(org, &envelopes)
    }

    pub(crate) fn send_envelopes(&mut self, org: &mut Org, envelopes: &[Envelope]) -> Vec<Received> {
        let frame = self.frame(org, envelopes);
        let (end, ended) = org.take(&frame);
        assert_eq!(end, FrameEnd::Taken(u32::try_from(envelopes.len()).unwrap()));
        ended
    }

    /// Sends one message; how it ended.
    pub(crate) fn send(&mut self, org: &mut Org, message: impl Into<Message>) -> Received {
        self.send_all(org, &[message.into()]).remove(0)
    }

    /// Offers a record, which the org accepts and is granted: the copy that came to be.
    pub(crate) fn give(&mut self, org: &mut Org, share: ShareId, content: Content) -> RecordId {
        self.send(org, offer_of(share, 1));
        org.run(Command::Accept { connection: self.connection, share, owner: None });
        self.send(org, grant_of(share, 1, content)).record.unwrap()
    }

    /// Is offered a record of the org and accepts it.
    pub(crate) fn receive(&mut self, org: &mut Org, record: RecordId) -> ShareId {
        let forward = Command::Forward { record, connection: self.connection };
        let Reply::Share(share) = org.run(forward) else { panic!("an offer is a share") };
        self.send(org, AcceptOffer { share, generation: 1, whole: false });
        share
    }
}

/// The record that a made-up partner offers.
const THEIRS: RecordId = RecordId(4_711);

pub(crate) fn offer_of(share: ShareId, generation: u32) -> Offer {
    let preview = values(&[("Phase", Value::Picklist("one".into()))]);
    Offer { share, generation, object: name("Offer__c"), record: THEIRS, preview, hops: 0, links: Vec::new() }
}

pub(crate) fn grant_of(share: ShareId, generation: u32, content: Content) -> Grant {
    Grant { share, generation, object: name("Offer__c"), record: THEIRS, content }
}

pub(crate) fn change_of(share: ShareId, generation: u32, content: Content) -> Change {
    Change { share, generation, content, hops: 0 }
}

pub(crate) fn snapshot_of(share: ShareId, generation: u32, content: Content) -> Snapshot {
    Snapshot { share, generation, content, recreate: None, unseen_from: None }
}

/// Fields of the partner, all with one stamp.
pub(crate) fn content(given: &[(&str, Value)], stamp: Stamp) -> Content {
    Content::of(values(given), stamp)
}

/// The stamp of a write so many seconds after the beginning.
pub(crate) fn stamp(seconds: i64, org: tieline_core::OrgId) -> Stamp {
    Stamp::new(at(seconds), org)
}
