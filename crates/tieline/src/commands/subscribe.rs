//! `tieline subscribe`: what is taken from a partner, and as what (S2S-21 to S2S-30).

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::{Map, Value as Json, json};
use tieline_core::schema::{FieldType, compatible};
use tieline_core::{FieldName, ObjectName, Owner};

use super::{list, saved};
use crate::client::{Client, path};
use crate::commands::object::Schema;
use crate::error::{CliError, Result};
use crate::output::{Column, plain, text, time, with};
use crate::session::Session;

mod rule;

use rule::{Assignment, FieldPair, Picklist, Policy, Rule};

/// Choose what is taken from a partner, and as what.
#[derive(Debug, Subcommand)]
pub(crate) enum Subscribe {
    /// Take an object of a partner; what was taken before and is not named is not taken any more
    Set(Box<Set>),
    /// List what is taken
    List(One),
    /// Take nothing of an object any more
    Remove(Remove),
    /// Say who owns here what the partner's users own there
    Owners(Owners),
    /// Match or make the account of each contact or opportunity that is accepted
    Account(Account),
    /// Show what each object of a partner may be mapped to
    Suggest(One),
    /// Show which field types convert into which
    Types,
}

/// Take an object of a partner.
#[derive(Debug, Args)]
pub(crate) struct Set {
    /// Id, partner or label of the connection
    connection: String,
    /// The partner's object
    object: ObjectName,
    /// The object here, if it has another name
    #[arg(long, value_name = "OBJECT")]
    local: Option<ObjectName>,
    /// A field of the partner and the field here, as Region=Territory__c; the same name may stand alone
    #[arg(long = "field", value_name = "REMOTE=LOCAL", value_delimiter = ',', required_unless_present_any = ["all", "constants", "computed", "file"])]
    fields: Vec<FieldPair>,
    /// Besides --field, every published field that is here under the same name
    #[arg(long)]
    all: bool,
    /// What a partner's picklist values are here, as Rating:Hot=Urgent,Cold=Later
    #[arg(long = "picklist", value_name = "FIELD:VALUE=VALUE,…")]
    picklists: Vec<Picklist>,
    /// What becomes of other values: keep, reject or default=VALUE; FIELD: before it for one field
    #[arg(long, value_name = "[FIELD:]POLICY")]
    unmapped: Vec<Policy>,
    /// A field here that has the same value in every copy
    #[arg(long = "constant", value_name = "LOCAL=VALUE")]
    constants: Vec<Assignment>,
    /// A field here that is computed from the partner's fields, as 'Total__c=Price * Quantity'
    #[arg(long = "computed", value_name = "LOCAL=EXPRESSION")]
    computed: Vec<Assignment>,
    /// What a field here becomes where the partner has no value
    #[arg(long = "default", value_name = "LOCAL=VALUE")]
    defaults: Vec<Assignment>,
    /// A field here whose incoming values a person approves
    #[arg(long = "approval", value_name = "LOCAL", value_delimiter = ',')]
    approvals: Vec<FieldName>,
    /// The same, and a value that waits is a task for the owner of the record, too
    #[arg(long = "approval-task", value_name = "LOCAL", value_delimiter = ',')]
    approval_tasks: Vec<FieldName>,
    /// Accept what is offered without a person
    #[arg(long)]
    auto_accept: bool,
    /// Create copies with all fields at once, so that rules see them together
    #[arg(long)]
    whole: bool,
    /// Who owns what is accepted automatically: a user, or queue:NAME
    #[arg(long, value_name = "OWNER")]
    owner: Option<Owner>,
    /// The whole rule as TOML, with the keys of the API
    #[arg(long, value_name = "FILE", conflicts_with_all = [
        "local", "fields", "all", "picklists", "unmapped", "constants", "computed", "defaults", "approvals", "approval_tasks", "auto_accept", "whole", "owner",
    ])]
    file: Option<PathBuf>,
}

/// A connection.
#[derive(Debug, Args)]
pub(crate) struct One {
    /// Id, partner or label of the connection
    connection: String,
}

/// Take nothing of an object.
#[derive(Debug, Args)]
pub(crate) struct Remove {
    /// Id, partner or label of the connection
    connection: String,
    /// The partner's object
    object: ObjectName,
}

/// Match or make accounts. Without options it shows what is set; a new rule matches by name, and makes
/// accounts with name and billing city, state and country.
#[derive(Debug, Args)]
pub(crate) struct Account {
    /// Id, partner or label of the connection
    connection: String,
    /// The partner's object
    object: ObjectName,
    /// The fields of an account that have to be the same; may be repeated, or list several with commas
    #[arg(long = "match", value_name = "FIELD", value_delimiter = ',')]
    match_on: Vec<FieldName>,
    /// A field of the partner and the field of the account that it goes into; may be repeated
    #[arg(long = "field", value_name = "REMOTE=LOCAL", value_delimiter = ',')]
    fields: Vec<FieldPair>,
    /// Match with the usual fields, by name
    #[arg(long)]
    usual: bool,
    /// Make no account if none matches
    #[arg(long)]
    match_only: bool,
    /// Leave accounts alone
    #[arg(long, conflicts_with_all = ["match_on", "fields", "usual", "match_only"])]
    off: bool,
}

const ACCOUNT: &[Column] =
    &[text("Fields", "/fields"), text("Matched by", "/match_on"), text("Made if none matches", "/create")];

impl Account {
    fn run(self, session: &Session, client: &Client) -> Result<()> {
        let Self { connection, object, match_on, fields, usual, match_only, off } = self;
        let route = path(["connections", &connection, "subscribe", object.as_str(), "account"]);
        if off {
            let answer = client.delete(&route)?;
            return saved(session, &answer, &format!("Accounts of {object} are left alone"));
        }
        if match_on.is_empty() && fields.is_empty() && !usual && !match_only {
            let answer = client.get(&route, &[])?;
            return session.output.show(&answer, |output| output.facts(ACCOUNT, &answer));
        }
        let pairs: Map<String, Json> =
            fields.iter().map(|pair| (pair.local.to_string(), json!(pair.remote))).collect();
        let body = super::body([
            ("fields", if pairs.is_empty() { Json::Null } else { pairs.into() }),
            ("match_on", if match_on.is_empty() { Json::Null } else { json!(match_on) }),
            ("create", json!(!match_only)),
        ]);
        let answer = client.put(&route, &body)?;
        saved(session, &answer, &format!("Accounts of {object} are matched or made"))
    }
}

/// Say who owns here what the partner's users own. Without options it shows what is set, and who is not
/// mapped. It takes effect if the partner publishes owners.
#[derive(Debug, Args)]
pub(crate) struct Owners {
    /// Id, partner or label of the connection
    connection: String,
    /// The partner's user or queue:NAME, and the user or queue:NAME here; may be repeated
    #[arg(long = "map", value_name = "THEIRS=OURS", value_delimiter = ',')]
    map: Vec<String>,
    /// One that is mapped no more; may be repeated
    #[arg(long = "unmap", value_name = "THEIRS", value_delimiter = ',')]
    unmap: Vec<String>,
    /// Who has what everybody else owns there
    #[arg(long, value_name = "OWNER")]
    default: Option<Owner>,
    /// What everybody else owns there goes to whom it would go anyway
    #[arg(long, conflicts_with = "default")]
    no_default: bool,
    /// Give the copies that are here to whom the table names now; it goes on as a job
    #[arg(long)]
    apply: bool,
    /// Take no notice of the partner's owners
    #[arg(long, conflicts_with_all = ["map", "unmap", "default", "no_default", "apply"])]
    off: bool,
}

const UNMAPPED: &[Column] = &[text("NOT MAPPED", "/owner"), text("TIMES", "/count"), time("LAST", "/last")];

impl Owners {
    fn run(self, session: &Session, client: &Client) -> Result<()> {
        let Self { connection, map, unmap, default, no_default, apply, off } = self;
        let route = path(["connections", &connection, "owners"]);
        if off {
            let answer = client.delete(&route)?;
            return saved(session, &answer, &format!("The owners at {connection} are not looked at"));
        }
        let apply_now = || {
            let answer = client.post(&path(["connections", &connection, "owners", "apply"]), &json!({}))?;
            super::share::results::<String>(session, &answer, "", &[])
        };
        let known = client.get(&route, &[])?;
        if map.is_empty() && unmap.is_empty() && default.is_none() && !no_default {
            if apply {
                return apply_now();
            }
            return session.output.show(&known, |output| {
                let pairs = known.get("users").and_then(Json::as_object).into_iter().flatten();
                output.grid(
                    &["THERE", "HERE"],
                    pairs.map(|(theirs, ours)| vec![theirs.clone(), plain(ours)]),
                )?;
                if let Some(default) = known.get("default").and_then(Json::as_str) {
                    output.line(&format!("Everybody else: {default}"))?;
                }
                match list(&known, "unmapped") {
                    [] => Ok(()),
                    unmapped => output.table(UNMAPPED, unmapped),
                }
            });
        }
        let mut users = known.get("users").and_then(Json::as_object).cloned().unwrap_or_default();
        for pair in map {
            let Some((theirs, ours)) = pair.split_once('=') else {
                let text = format!("{pair} is no pair: write THEIRS=OURS, as bob=ann");
                return Err(CliError::usage(text));
            };
            users.insert(theirs.to_owned(), ours.into());
        }
        unmap.iter().for_each(|theirs| drop(users.remove(theirs)));
        let before = known.get("default").cloned().unwrap_or_default();
        let default = if no_default { Json::Null } else { default.map_or(before, |default| json!(default)) };
        let answer = client.put(&route, &json!({ "users": users, "default": default }))?;
        if apply {
            return apply_now();
        }
        saved(session, &answer, &format!("Owners at {connection} are mapped"))
    }
}

const COLUMNS: &[Column] = &[
    text("OBJECT", "/remote"),
    text("AS", "/local"),
    text("AUTO-ACCEPT", "/auto_accept"),
    text("WHOLE", "/accept_whole"),
    with("FIELDS", "/fields", mappings),
];

const SUGGESTIONS: &[Column] =
    &[text("OBJECT", "/remote"), text("MAPPED TO", "/mapped"), with("MAY BECOME", "/candidates", candidates)];

/// Objects with the number of fields in common: `Fund__c (12), Note__c (1)`.
fn candidates(candidates: &Json) -> String {
    let shown = |candidate: &Json| {
        let local = candidate.get("local").and_then(Json::as_str).unwrap_or_default();
        format!("{local} ({})", list(candidate, "fields").len())
    };
    candidates.as_array().into_iter().flatten().map(shown).collect::<Vec<_>>().join(", ")
}

/// Every type with the types that it converts into.
fn types(session: &Session) -> Result<()> {
    let rows = FieldType::ALL.iter().map(|from| {
        let fits = |to: &&FieldType| compatible(*from, **to).is_ok();
        let into: Vec<&str> = FieldType::ALL.iter().filter(fits).map(|to| to.as_str()).collect();
        json!({ "from": from.as_str(), "into": into })
    });
    let answer = json!({ "types": rows.collect::<Vec<_>>() });
    let columns = [text("FROM", "/from"), text("INTO", "/into")];
    session.output.show(&answer, |output| output.table(&columns, list(&answer, "types")))
}

impl Subscribe {
    pub(crate) fn run(self, session: &Session) -> Result<()> {
        if matches!(self, Self::Types) {
            return types(session);
        }
        let client = session.client()?;
        match self {
            Self::Types => types(session),
            Self::Suggest(One { connection }) => {
                let answer = client.get(&path(["connections", &connection, "suggestions"]), &[])?;
                session.output.show(&answer, |output| output.table(SUGGESTIONS, list(&answer, "suggestions")))
            }
            Self::Set(set) => set.run(session, &client),
            Self::Account(account) => account.run(session, &client),
            Self::Owners(owners) => owners.run(session, &client),
            Self::List(One { connection }) => {
                let answer = client.get(&path(["connections", &connection, "subscribe"]), &[])?;
                session.output.show(&answer, |output| output.table(COLUMNS, list(&answer, "subscribe")))
            }
            Self::Remove(Remove { connection, object }) => {
                let answer =
                    client.delete(&path(["connections", &connection, "subscribe", object.as_str()]))?;
                saved(session, &answer, &format!("Nothing of {object} is taken from {connection} any more"))
            }
        }
    }
}

impl Set {
    fn run(self, session: &Session, client: &Client) -> Result<()> {
        let (connection, object) = (self.connection.clone(), self.object.clone());
        let rule = match &self.file {
            Some(file) => read_rule(file)?,
            None => self.rule(client)?,
        };
        let answer = client.put(&path(["connections", &connection, "subscribe", object.as_str()]), &rule)?;
        if !session.output.is_json() {
            let message = |warning: &Json| warning.get("message").map(plain).unwrap_or_default();
            list(&answer, "warnings").iter().for_each(|warning| session.output.warn(&message(warning)));
        }
        saved(session, &answer, &format!("What is taken of {object} from {connection} is set"))
    }

    fn rule(self, client: &Client) -> Result<Json> {
        let local = self.local.unwrap_or_else(|| self.object.clone());
        let schema = Schema::fetch(client, local.as_str())?;
        let mut rule = Rule::new(self.fields);
        if self.all {
            rule.add_same(&published(client, &self.connection, &self.object)?, &schema);
        }
        rule.constants(self.constants, &schema)?;
        rule.computed(self.computed);
        rule.defaults(self.defaults, &schema)?;
        rule.picklists(self.picklists)?;
        rule.unmapped(self.unmapped)?;
        rule.approvals("--approval", &self.approvals, &["approval"])?;
        rule.approvals("--approval-task", &self.approval_tasks, &["approval", "approval_task"])?;
        Ok(super::body([
            ("local", json!(local)),
            ("auto_accept", json!(self.auto_accept)),
            ("accept_whole", json!(self.whole)),
            ("owner", json!(self.owner)),
            ("fields", rule.into_json()),
        ]))
    }
}

/// The fields that the partner publishes of an object.
fn published(client: &Client, connection: &str, object: &ObjectName) -> Result<Vec<FieldName>> {
    let answer = client.get(&path(["connections", connection]), &[])?;
    let named = |entry: &&Json| entry.get("object").and_then(Json::as_str) == Some(object.as_str());
    let Some(entry) = list(&answer, "catalogue").iter().find(named) else {
        return Err(CliError::refused(format!("The partner of {connection} publishes nothing of {object}"))
            .hint(format!("See what it publishes with tieline connection show {connection}")));
    };
    let names = list(entry, "fields").iter().filter_map(|field| field.get("name")?.as_str()?.parse().ok());
    Ok(names.collect())
}

/// A rule from a file, with the keys of the API.
fn read_rule(file: &std::path::Path) -> Result<Json> {
    let name = file.display().to_string();
    let text = std::fs::read_to_string(file).map_err(|error| crate::import::unreadable(&name, &error))?;
    let rule: toml::Value = toml::from_str(&text)
        .map_err(|error| CliError::refused(format!("{name} is not TOML")).caused_by(&error))?;
    Ok(json_of(rule))
}

/// TOML as JSON: dates become texts.
fn json_of(value: toml::Value) -> Json {
    match value {
        toml::Value::Datetime(moment) => moment.to_string().into(),
        toml::Value::Array(items) => items.into_iter().map(json_of).collect(),
        toml::Value::Table(table) => {
            table.into_iter().map(|(key, v)| (key, json_of(v))).collect::<Map<_, _>>().into()
        }
        toml::Value::String(text) => text.into(),
        toml::Value::Integer(number) => number.into(),
        toml::Value::Float(number) => number.into(),
        toml::Value::Boolean(truth) => truth.into(),
    }
}

/// The mappings of a rule in one line: `Company=Account__c, Rating[2], Source:="Partner"`.
pub(crate) fn mappings(fields: &Json) -> String {
    let shown = |field: &Json| {
        let text = |key: &str| field.get(key).and_then(Json::as_str).unwrap_or_default();
        let (local, from) = (text("local"), text("from"));
        let values = field.pointer("/picklist/values").and_then(Json::as_object).map_or(0, Map::len);
        let table = if values > 0 { format!("[{values}]") } else { String::new() };
        if let Some(text) = field.get("expression").and_then(Json::as_str) {
            return format!("{local}={{{text}}}");
        }
        match field.get("constant") {
            Some(constant) if !constant.is_null() => format!("{local}:={constant}"),
            _ if from == local => format!("{local}{table}"),
            _ => format!("{from}={local}{table}"),
        }
    };
    fields.as_array().into_iter().flatten().map(shown).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mappings_fit_a_line() {
        let fields = json!([
            {"local": "Name", "from": "Name"},
            {"local": "Account__c", "from": "Company", "constant": null},
            {"local": "Priority", "from": "Rating", "picklist": {"values": {"Hot": "Urgent", "Cold": "Later"}}},
            {"local": "Source", "constant": "Partner"},
        ]);
        assert_eq!(mappings(&fields), r#"Name, Company=Account__c, Rating=Priority[2], Source:="Partner""#);
    }

    #[test]
    fn toml_is_json() {
        let toml = "local = \"Lead\"\n[[fields]]\nlocal = \"A\"\nconstant = 1979-05-27\n[[fields]]\nlocal = \"B\"\nconstant = 1.5\n";
        assert_eq!(
            json_of(toml::from_str(toml).unwrap()),
            json!({"local": "Lead", "fields": [{"local": "A", "constant": "1979-05-27"}, {"local": "B", "constant": 1.5}]})
        );
    }
}
