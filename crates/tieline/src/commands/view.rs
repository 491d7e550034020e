//! `tieline view`: saved lists of records, and saved views of the inbox (S2S-46).

use clap::{Args, Subcommand};
use serde_json::{Value as Json, json};
use tieline_core::{FieldName, GroupName, ObjectName, RoleName, UserName, ViewName};

use super::share::more;
use super::{body, list, saved};
use crate::client::path;
use crate::error::Result;
use crate::output::{Column, Output, plain, text, with};
use crate::session::Session;

/// Save lists of records and of offers, and see what they choose.
#[derive(Debug, Subcommand)]
pub(crate) enum View {
    /// List the views
    List(List),
    /// Show how a view is defined
    Show(One),
    /// Show what a view chooses
    Open(Open),
    /// Count what a view chooses
    Count(One),
    /// Define a view
    Set(Set),
    /// Remove a view
    Remove(One),
}

/// List views.
#[derive(Debug, Args)]
pub(crate) struct List {
    /// Views of the inbox, that show something to you
    #[arg(long)]
    inbox: bool,
    /// With --inbox, all of them
    #[arg(long, requires = "inbox")]
    all: bool,
}

/// A view.
#[derive(Debug, Args)]
pub(crate) struct One {
    /// The view
    view: ViewName,
    /// A view of the inbox
    #[arg(long)]
    inbox: bool,
}

/// Show what a view chooses.
#[derive(Debug, Args)]
pub(crate) struct Open {
    #[command(flatten)]
    one: One,
    /// At most so many
    #[arg(long, default_value_t = 100)]
    limit: usize,
    /// Go on where an earlier list ended
    #[arg(long)]
    cursor: Option<String>,
}

/// Define a view. It is for everybody if no user, group or role is named.
#[derive(Debug, Args)]
pub(crate) struct Set {
    /// The view
    view: ViewName,
    /// A view of the inbox: its fields are those of this org, ConnectionName and SentDate
    #[arg(long)]
    inbox: bool,
    /// The object
    #[arg(long, value_name = "OBJECT")]
    object: ObjectName,
    /// A condition in CEL, as 'Rating == "Hot" && State == "CA"'
    #[arg(long, value_name = "CEL")]
    filter: Option<String>,
    /// A field to show; may be repeated, or list several with commas
    #[arg(long = "column", value_name = "FIELD", value_delimiter = ',')]
    columns: Vec<FieldName>,
    /// The field to sort by
    #[arg(long, value_name = "FIELD")]
    sort: Option<FieldName>,
    /// Sort from the greatest to the least
    #[arg(long, requires = "sort")]
    descending: bool,
    /// Only records that whoever looks owns
    #[arg(long, conflicts_with = "inbox")]
    mine: bool,
    /// What people see
    #[arg(long)]
    label: Option<String>,
    /// A user who may use it; may be repeated, or list several with commas
    #[arg(long = "user", value_name = "USER", value_delimiter = ',')]
    users: Vec<UserName>,
    /// A group whose users may use it; may be repeated, or list several with commas
    #[arg(long = "group", value_name = "GROUP", value_delimiter = ',')]
    groups: Vec<GroupName>,
    /// A role whose users may use it; may be repeated, or list several with commas
    #[arg(long = "role", value_name = "ROLE", value_delimiter = ',')]
    roles: Vec<RoleName>,
}

const LIST: &[Column] = &[
    text("VIEW", "/name"),
    text("LABEL", "/view/label"),
    text("OBJECT", "/view/object"),
    text("FILTER", "/view/filter"),
    with("FOR", "/view/audience", audience),
];

const FACTS: &[Column] = &[
    text("View", "/name"),
    text("Label", "/view/label"),
    text("Object", "/view/object"),
    text("Filter", "/view/filter"),
    text("Only one's own", "/view/mine"),
    text("Columns", "/view/columns"),
    text("Sorted by", "/view/sort/field"),
    text("Descending", "/view/sort/descending"),
    with("For", "/view/audience", audience),
];

/// Who may use a view, in one line.
fn audience(audience: &Json) -> String {
    let named = ["users", "groups", "roles"].into_iter().filter_map(|kind| {
        let names = plain(audience.get(kind)?);
        (!names.is_empty()).then(|| format!("{kind} {names}"))
    });
    let named = named.collect::<Vec<_>>().join("; ");
    if named.is_empty() { "everybody".to_owned() } else { named }
}

const fn noun(inbox: bool) -> &'static str {
    if inbox { "inbox-views" } else { "views" }
}

impl View {
    pub(crate) fn run(self, session: &Session) -> Result<()> {
        let client = session.client()?;
        match self {
            Self::List(List { inbox, all }) => {
                let query = [("all", all.then(|| "true".to_owned()))];
                let answer = client.get(&path([noun(inbox)]), if inbox { &query } else { &[] })?;
                session.output.show(&answer, |output| output.list(LIST, list(&answer, "views")))
            }
            Self::Show(One { view, inbox }) => {
                let answer = client.get(&path([noun(inbox), view.as_str()]), &[])?;
                session.output.show(&answer, |output| output.facts(FACTS, &answer))
            }
            Self::Open(Open { one: One { view, inbox }, limit, cursor }) => {
                open(session, &view, inbox, limit, cursor)
            }
            Self::Count(One { view, inbox }) => {
                let answer = client.get(&path([noun(inbox), view.as_str(), "count"]), &[])?;
                session.output.show(&answer, |output| {
                    let complete = answer.get("complete").and_then(Json::as_bool) != Some(false);
                    let count = answer.get("count").map(plain).unwrap_or_default();
                    output.line(&if complete { count } else { format!("{count} or more") })
                })
            }
            Self::Set(set) => set.run(session),
            Self::Remove(One { view, inbox }) => {
                let answer = client.delete(&path([noun(inbox), view.as_str()]))?;
                saved(session, &answer, &format!("The view {view} was removed"))
            }
        }
    }
}

impl Set {
    fn run(self, session: &Session) -> Result<()> {
        let sort = self.sort.map(|field| json!({ "field": field, "descending": self.descending }));
        let body = body([
            ("label", json!(self.label)),
            ("object", json!(self.object)),
            ("filter", json!(self.filter)),
            ("mine", if self.inbox { Json::Null } else { json!(self.mine) }),
            ("columns", json!(self.columns)),
            ("sort", json!(sort)),
            ("audience", json!({ "users": self.users, "groups": self.groups, "roles": self.roles })),
        ]);
        let answer = session.client()?.put(&path([noun(self.inbox), self.view.as_str()]), &body)?;
        saved(session, &answer, &format!("The view {} was saved", self.view))?;
        list(&answer, "warnings").iter().for_each(|warning| session.output.warn(&plain(warning)));
        Ok(())
    }
}

/// Shows what a view chooses.
pub(crate) fn open(
    session: &Session,
    view: &ViewName,
    inbox: bool,
    limit: usize,
    cursor: Option<String>,
) -> Result<()> {
    let query = [("limit", Some(limit.to_string())), ("cursor", cursor)];
    let what = if inbox { "offers" } else { "records" };
    let answer = session.client()?.get(&path([noun(inbox), view.as_str(), what]), &query)?;
    session.output.show(&answer, |output| table(output, &answer, inbox))
}

fn table(output: &Output, answer: &Json, inbox: bool) -> Result<()> {
    let columns = list(answer, "columns");
    let rows = list(answer, "rows");
    if rows.is_empty() {
        output.status("Nothing to show");
    } else {
        let (first, id) = if inbox { ("SHARE", "/offer/share") } else { ("RECORD", "/id") };
        let names = columns.iter().filter_map(Json::as_str);
        let headings: Vec<&str> = [first].into_iter().chain(names.clone()).collect();
        let rows = rows.iter().map(|row| {
            let cell = |pointer: &str| row.pointer(pointer).map(plain).unwrap_or_default();
            let values = names.clone().map(|name| cell(&format!("/values/{name}")));
            [cell(id)].into_iter().chain(values).collect()
        });
        output.named(&headings, rows)?;
    }
    more(output, answer);
    Ok(())
}
