//! One event of each kind that is about people, with every field set to something that is not its
//! default.

use tieline_core::TokenId;
use tieline_core::event::{
    Event, GroupRemoved, GroupSet, ObjectRemoved, OrgSettingsSet, RoleRemoved, RoleSet, SharingEnabled,
    TokenCreated, TokenRevoked, UserRemoved, UserSet,
};
use tieline_core::people::{Edition, Group, ObjectRights, OrgSettings, Role};

use super::messages::MOMENT;
use crate::kit::name;

pub(super) fn samples() -> Vec<Event> {
    let rights = ObjectRights { read_only: [name("Note")].into_iter().collect(), ..ObjectRights::all() };
    let role = Role {
        name: name("sales"),
        portal: true,
        manage_connections: true,
        modify_all_data: true,
        objects: [(name("Deal__c"), rights)].into_iter().collect(),
        other_objects: ObjectRights { read: true, ..ObjectRights::default() },
    };
    let group = Group {
        name: name("emea"),
        users: [name("bob")].into_iter().collect(),
        roles: [name("sales")].into_iter().collect(),
    };
    let settings = OrgSettings { edition: Edition::Unlimited, connection_licences: Some(7) };
    vec![
        SharingEnabled { actor: name("ann") }.into(),
        OrgSettingsSet { settings, actor: name("ann") }.into(),
        UserSet {
            user: name("bob"),
            email: Some("bob@example.org".to_owned()),
            role: name("sales"),
            active: true,
            actor: name("ann"),
        }
        .into(),
        RoleSet { role, actor: name("ann") }.into(),
        RoleRemoved { role: name("sales"), actor: name("ann") }.into(),
        GroupSet { group, actor: name("ann") }.into(),
        UserRemoved { user: name("eve"), actor: name("ann") }.into(),
        ObjectRemoved { object: name("Fund__c"), actor: name("ann") }.into(),
        GroupRemoved { group: name("emea"), actor: name("ann") }.into(),
        TokenCreated {
            token: TokenId(5),
            user: name("bob"),
            label: "laptop".to_owned(),
            hash: [7; 32],
            hint: "last".to_owned(),
            expires: Some(MOMENT),
            actor: name("ann"),
        }
        .into(),
        TokenRevoked { token: TokenId(5), user: name("bob"), actor: name("ann") }.into(),
    ]
}
