//! Two orgs that share standard objects both ways.

use tieline_core::ConnectionId;
use tieline_core::command::Command;
use tieline_core::mapping::{FieldMapping, SubscribeRule};
use tieline_core::publish::PublishRule;
use tieline_core::schema::{ObjectSchema, standard_objects};

use super::{Org, connect, fields, name, settle_all};

/// An object that every org has from the start.
pub(crate) fn standard(object: &str) -> ObjectSchema {
    standard_objects().into_iter().find(|known| known.name.as_str() == object).unwrap()
}

/// Two orgs, acme and globex, with the standard objects; of those named here each publishes the fields
/// named and takes the same of the other.
pub(crate) fn standard_pair(shared: &[(&str, &[&str])]) -> (Org, Org, ConnectionId) {
    let [mut a, mut b] = ["acme", "globex"].map(|of| {
        let mut org = Org::new(of, standard("Lead"));
        for object in standard_objects() {
            org.run(Command::DefineObject { schema: Box::new(object) });
        }
        org
    });
    let id = connect(&mut a, &mut b);
    for (object, names) in shared {
        for org in [&mut a, &mut b] {
            let rule = PublishRule::new(name(object), fields(names), 0);
            org.run(Command::Publish { connection: id, object: name(object), rule: Some(rule) });
        }
        settle_all(&mut a, &mut b, id);
        for org in [&mut a, &mut b] {
            let rule = SubscribeRule {
                remote: name(object),
                local: name(object),
                auto_accept: false,
                accept_whole: false,
                owner: None,
                fields: names.iter().map(|field| FieldMapping::rename(name(field), name(field))).collect(),
                version: 0,
            };
            org.run(Command::Subscribe { connection: id, object: name(object), rule: Some(rule) });
        }
    }
    settle_all(&mut a, &mut b, id);
    (a, b, id)
}
