//! Two orgs that share one record, all fields both ways.

use tieline_core::command::{Command, Reply};
use tieline_core::state::Conflicts;
use tieline_core::value::Value;
use tieline_core::{ConnectionId, RecordId, ShareId};

use super::{
    Org, connect, deal, deals_from_offers, name, offer, offers_from_deals, publish_rule, settle_all,
};

/// Two orgs that share one deal, all fields both ways.
pub(crate) struct Both {
    pub(crate) acme: Org,
    pub(crate) globex: Org,
    pub(crate) connection: ConnectionId,
    pub(crate) deal: RecordId,
    pub(crate) copy: RecordId,
    pub(crate) share: ShareId,
}

impl Both {
    pub(crate) fn new() -> Self {
        let (mut acme, mut globex) = (Org::new("acme", deal()), Org::new("globex", offer()));
        let connection = connect(&mut acme, &mut globex);
        let publish = |org: &mut Org, object: &str, fields: &[&str]| {
            let rule = Some(publish_rule(&name(object), fields));
            org.run(Command::Publish { connection, object: name(object), rule });
        };
        publish(&mut acme, "Deal__c", &["Count", "Name", "Note", "Stage"]);
        publish(&mut globex, "Offer__c", &["Number", "Phase", "Remark", "Title"]);
        settle_all(&mut acme, &mut globex, connection);
        let rule = Some(deals_from_offers());
        acme.run(Command::Subscribe { connection, object: name("Offer__c"), rule });
        let rule = Some(offers_from_deals());
        globex.run(Command::Subscribe { connection, object: name("Deal__c"), rule });
        settle_all(&mut acme, &mut globex, connection);
        let deal = acme.create("Deal__c", &[("Name", Value::text("a deal"))]);
        let Reply::Share(share) = acme.run(Command::Forward { record: deal, connection }) else {
            panic!("an offer is a share")
        };
        settle_all(&mut acme, &mut globex, connection);
        globex.run(Command::Accept { connection, share, owner: None });
        settle_all(&mut acme, &mut globex, connection);
        let copy = globex.connection(connection).shares[&share].record.unwrap();
        Self { acme, globex, connection, deal, copy, share }
    }

    pub(crate) fn settle(&mut self) {
        settle_all(&mut self.acme, &mut self.globex, self.connection);
    }

    pub(crate) fn counts(&self) -> [Conflicts; 2] {
        let count = |org: &Org, object: &str| {
            org.connection(self.connection).conflicts.get(object).copied().unwrap_or_default()
        };
        [count(&self.acme, "Deal__c"), count(&self.globex, "Offer__c")]
    }
}
