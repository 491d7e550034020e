//! Which connection a person means, as the core finds it.

use tieline_core::ConnectionId;
use tieline_core::state::{Connection, NotSelected, State};

use super::problem::{ErrorCode, Problem};

/// The connection that `selector` names.
pub(crate) fn connection<'a>(state: &'a State, selector: &str) -> Result<&'a Connection, Problem> {
    state.select(selector).map_err(|error| {
        let code = match error {
            NotSelected::Unknown(_) => ErrorCode::UnknownConnection,
            NotSelected::Ambiguous { .. } => ErrorCode::AmbiguousConnection,
        };
        Problem::new(code, error.to_string())
    })
}

/// What a connection is called, or its id if that says no more.
pub(crate) fn name_of(state: &State, id: ConnectionId) -> String {
    let name = state.connections.get(&id).map(|connection| connection.display_name());
    let named = name.filter(|name| connection(state, name).is_ok_and(|found| found.id == id));
    named.map_or_else(|| id.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use tieline_core::command::{Command, Context, NewToken, Reply};
    use tieline_core::engine::Engine;
    use tieline_core::people::OrgSettings;
    use tieline_core::{Incarnation, Timestamp, UserName};

    use super::*;

    struct Org {
        engine: Engine,
        drawn: u8,
    }

    impl Org {
        fn new() -> Self {
            let mut org = Self { engine: Engine::default(), drawn: 0 };
            org.execute(&Command::CreateOrg {
                name: "acme".parse().unwrap(),
                admin: "ann".parse().unwrap(),
                token: NewToken::of([1; 32]),
                objects: Vec::new(),
                settings: OrgSettings { connection_licences: Some(10), ..OrgSettings::default() },
                sharing: true,
            });
            org
        }

        fn execute(&mut self, command: &Command) -> Reply {
            self.drawn += 1;
            let actor: UserName = "ann".parse().unwrap();
            let context = Context { now: Timestamp(1_000), actor, entropy: [self.drawn; 32] };
            self.engine.execute(command, &context).unwrap().1
        }

        /// A connection with this label, accepted by `partner` if there is one.
        fn connect(&mut self, label: &str, partner: Option<&str>) -> ConnectionId {
            let invite = Command::Invite {
                secret_hash: [2; 32],
                expires: Timestamp(i64::MAX),
                owner: None,
                label: label.to_owned(),
            };
            let Reply::Connection(connection) = self.execute(&invite) else { panic!("no connection") };
            if let Some(partner) = partner {
                self.execute(&Command::TakeHello {
                    connection,
                    from: partner.parse().unwrap(),
                    accept: true,
                    user: "bob".parse().unwrap(),
                    public_key: [3; 32],
                    incarnation: Incarnation(1),
                    by: None,
                });
            }
            connection
        }

        fn found(&self, selector: &str) -> Result<ConnectionId, ErrorCode> {
            connection(self.engine.state(), selector).map(|c| c.id).map_err(|problem| problem.code)
        }
    }

    #[test]
    fn ids_partners_and_labels_name_connections() {
        let mut org = Org::new();
        let first = org.connect("sales", Some("globex"));
        let second = org.connect("supply", None);
        assert_eq!(org.found(&first.to_string()), Ok(first));
        assert_eq!(org.found("globex"), Ok(first));
        assert_eq!(org.found("supply"), Ok(second));
        for nobody in ["", "initech", &ConnectionId(7).to_string()] {
            assert_eq!(org.found(nobody), Err(ErrorCode::UnknownConnection), "{nobody}");
        }
    }

    #[test]
    fn a_name_of_several_means_the_one_that_lives() {
        let mut org = Org::new();
        let first = org.connect("", Some("globex"));
        let second = org.connect("", Some("globex"));
        assert_eq!(org.found("globex"), Err(ErrorCode::AmbiguousConnection));
        let problem = connection(org.engine.state(), "globex").unwrap_err();
        assert!(problem.detail.contains(&format!("{first} (active)")), "{}", problem.detail);
        org.execute(&Command::Deactivate { connection: first, by_partner: false });
        assert_eq!(org.found("globex"), Ok(second));
        org.execute(&Command::Deactivate { connection: second, by_partner: false });
        assert_eq!(org.found("globex"), Err(ErrorCode::AmbiguousConnection));
    }
}
