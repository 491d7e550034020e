//! The command line: nouns, then verbs.
//!
//! Here stands what every command has in common: the options that name the daemon, and the list of
//! nouns. The verbs of a noun stand in its file under `commands`.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use tieline_core::RequestKey;

use crate::commands;
use crate::error::EXIT_CODES;

/// Keeps records of several orgs in step over agreed connections.
#[derive(Debug, Parser)]
#[command(name = "tieline", version, max_term_width = 100, after_help = EXIT_CODES, propagate_version = true)]
#[command(subcommand_required = true, arg_required_else_help = true, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Options of every command.
#[derive(Debug, Clone, Args)]
pub(crate) struct Global {
    /// Data directory of the org: its configuration names the daemon, its admin.token is used
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        env = "TIELINE_DATA",
        hide_env_values = true,
        help_heading = "Which org"
    )]
    pub(crate) data: Option<PathBuf>,
    /// Address of the daemon, instead of the one in the data directory
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "TIELINE_API",
        hide_env_values = true,
        help_heading = "Which org"
    )]
    pub(crate) api: Option<String>,
    /// File with the API token, instead of admin.token; TIELINE_TOKEN holds a token itself
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "TIELINE_TOKEN_FILE",
        hide_env_values = true,
        help_heading = "Which org"
    )]
    pub(crate) token_file: Option<PathBuf>,
    /// File with the authorities that vouch for a daemon at https://, instead of those of the system
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "TIELINE_CA_FILE",
        hide_env_values = true,
        help_heading = "Which org"
    )]
    pub(crate) ca_file: Option<PathBuf>,
    /// Name this change, so that it is done once however often the command is run in a day
    #[arg(long, global = true, value_name = "KEY", help_heading = "Writing")]
    pub(crate) idempotency_key: Option<RequestKey>,
    /// Print the answer of the daemon as JSON
    #[arg(long, global = true, help_heading = "Output")]
    pub(crate) json: bool,
    /// Print results and errors only; of a list, the ids or names alone
    #[arg(long, short, global = true, help_heading = "Output")]
    pub(crate) quiet: bool,
}

/// The nouns.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a new org: data directory, keys, configuration, administrator
    Init(commands::init::Init),
    /// Run the daemon of an org until SIGTERM or Ctrl-C
    Serve(commands::serve::Serve),
    /// Show how the org is: connections, lag, broker, log
    Status(commands::status::Status),
    /// Invite partners, answer invitations, see and end connections
    #[command(subcommand)]
    Connection(commands::connection::Connection),
    /// Find partners: ask contacts whether they can connect, record the answers
    #[command(subcommand)]
    Finder(commands::finder::Finder),
    /// See and define what invitations say
    #[command(subcommand)]
    Mail(commands::mail::Mail),
    /// Choose what a partner gets
    #[command(subcommand)]
    Publish(commands::publish::Publish),
    /// Choose what is taken from a partner, and as what
    #[command(subcommand)]
    Subscribe(commands::subscribe::Subscribe),
    /// See and define objects: fields, picklists, validation rules
    #[command(subcommand)]
    Object(commands::object::Object),
    /// Read, write, import and export records
    #[command(subcommand)]
    Record(commands::record::Record),
    /// See, define and remove queues: where records wait to be taken up
    #[command(subcommand)]
    Queue(commands::queue::Queue),
    /// See, define and try rules that offer records to partners by criteria
    #[command(subcommand)]
    SharingRule(commands::rule::Sharing),
    /// See, define and try rules that say who owns a record
    #[command(subcommand)]
    AssignmentRule(commands::rule::Rule),
    /// See, define and try rules that act when a record changes, here or at a partner
    #[command(subcommand)]
    Workflow(commands::rule::Workflow),
    /// See, define and try rules for records that nobody changes for a while
    #[command(subcommand)]
    Escalation(commands::rule::Rule),
    /// Offer records to partners, and stop sharing them
    #[command(subcommand)]
    Share(commands::share::Share),
    /// See and answer what partners offer
    #[command(subcommand)]
    Inbox(commands::inbox::Inbox),
    /// See, approve and refuse values of partners that wait for a person
    #[command(subcommand)]
    Approval(commands::approval::Approval),
    /// Save lists of records and of offers, and see what they choose
    #[command(subcommand)]
    View(commands::view::View),
    /// See, define and run reports
    #[command(subcommand)]
    Report(commands::report::Report),
    /// Compare what a partner sent, by the mappings of now, with the records of now
    Replay(commands::replay::Replay),
    /// Say why an event or a record is as it is
    #[command(subcommand)]
    Explain(commands::explain::Explain),
    /// Follow what happens to the records of the org
    #[command(subcommand)]
    Changes(commands::changes::Changes),
    /// See wide work that goes on in slices
    #[command(subcommand)]
    Job(commands::job::Job),
    /// See what was refused, here and at partners
    #[command(subcommand)]
    Failure(commands::failure::Failure),
    /// See what a person has to look at
    #[command(subcommand)]
    Alarm(commands::alarm::Alarm),
    /// See what you are told, and set how you are told
    #[command(subcommand)]
    Notice(commands::notice::Notice),
    /// Make, see, rotate and remove the secrets that sign webhooks
    #[command(subcommand)]
    WebhookSecret(commands::webhook_secret::WebhookSecret),
    /// See mails and webhooks that wait, failed or were sent
    #[command(subcommand)]
    Effect(commands::effect::Effect),
    /// Read, follow, verify, export and import the log
    #[command(subcommand)]
    Log(commands::log::Log),
    /// Move in from Salesforce
    #[command(subcommand)]
    Salesforce(commands::salesforce::Salesforce),
    /// See and change the org: edition, sharing, connection licences
    #[command(subcommand)]
    Org(commands::org::Org),
    /// See, add and change users
    #[command(subcommand)]
    User(commands::user::User),
    /// See, define and remove roles: what people may do
    #[command(subcommand)]
    Role(commands::role::Role),
    /// See, define and remove groups of users
    #[command(subcommand)]
    Group(commands::group::Group),
    /// Make, see and revoke API tokens
    #[command(subcommand)]
    Token(commands::token::Token),
    /// Save the settings of a connection as a template, and apply it to others
    #[command(subcommand)]
    Template(commands::template::Template),
    /// Tell what will go wrong with the present rules, mappings and catalogues
    Check(commands::check::Check),
    /// Show what files of settings would change
    Plan(commands::files::PlanFiles),
    /// Make the configuration what files say
    Apply(commands::files::ApplyFiles),
    /// Write what an org has as files
    #[command(subcommand)]
    Export(commands::files::Export),
    /// Try things out in an org beside this one
    #[command(subcommand)]
    Sandbox(commands::sandbox::Sandbox),
    /// Begin with an org of your own, because you were invited
    #[command(subcommand)]
    Trial(commands::trial::Trial),
    /// Write the configuration of the broker
    #[command(subcommand)]
    Broker(commands::broker::Broker),
    /// Check and show the configuration
    #[command(subcommand)]
    Config(commands::config::Config),
    /// Take a backup of the org, while its daemon runs or without it
    Backup(commands::backup::Backup),
    /// Make the data directory of an org from a backup
    Restore(commands::backup::Restore),
    /// Write a manual page for each command
    Man(commands::man::Man),
    /// Print the completions for a shell
    Completions(commands::completions::Completions),
}

#[cfg(test)]
mod pages;

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    /// Each line is a command line and whether it parses: the forms that the documents show.
    #[test]
    fn command_lines() {
        // Records and shares have ids of 26 letters and digits, here written as 01 and 02.
        let id =
            |line: &str| line.replace(" 01", &format!(" {:0>26}", 4)).replace(" 02", &format!(" {:0>26}", 8));
        let good = [
            "init --org acme --data d",
            "init --org acme --data d --admin ann --broker broker.example:4222 --listen 127.0.0.1:7400",
            "serve --data d",
            "serve --config d/tieline.toml",
            "status --json",
            "connection invite --label Globex --expires 2d --owner ann",
            "connection inspect tieline://x",
            "connection accept tieline://x --owner ann --label Acme",
            "connection decline -",
            "connection list",
            "connection list --status pending --side inviter --owner ann --search initech",
            "connection invite --contact 01 --account 02 --owner ann --mail branded --template standard --expires 7d",
            "connection invite --contact 01 --contact 02 --save",
            "connection invite --contacts MailingCity=='Oslo' --preview",
            "connection send 01",
            "connection amend 01",
            "connection amend 01 --contact 02 --label Globex --mail branded --template '' --owner ann --expires 7d",
            "connection discard 01",
            "connection later tieline://x",
            "connection contacts --search initech",
            "connection accept 01",
            "mail list",
            "mail show invitation",
            "mail set branded --subject hi --text t.txt --html t.html",
            "mail preview branded --contact 01",
            "mail remove branded",
            "finder ask --contact 01 --preview",
            "finder list --answer yes",
            "finder answer 01 yes --org globex --listed --note fine",
            "finder directory",
            "connection show globex --json",
            "connection deactivate globex --yes",
            "publish set globex Lead --field FirstName --field LastName",
            "publish set globex Lead --all",
            "publish list globex",
            "publish remove globex Lead",
            "subscribe set acme Lead --field Company=Account__c --picklist Rating:Hot=Urgent,Cold=Later --unmapped reject",
            "subscribe set acme Lead --all --local Prospect__c --auto-accept --whole --owner ann",
            "subscribe set acme Lead --constant LeadSource=Partner --unmapped Rating:default=Warm",
            "subscribe set acme Lead --file mapping.toml",
            "subscribe remove acme Lead",
            "subscribe account acme Contact --match Name,BillingCity --field AccountName=Name",
            "subscribe account acme Contact --usual --match-only",
            "subscribe account acme Contact --off",
            "inbox accept acme 01 --preview",
            "object list",
            "object show Lead",
            "object apply lead.toml",
            "record create Lead LastName=Ng Company=Initech",
            "record create Lead --file lead.json",
            "record get Lead 01",
            "record get Lead 01 --history",
            "record history Lead 01 --field Status --csv",
            "record history Lead 01 --conflicts --all",
            "connection audit globex --action failures --since 2026-01-31 --all --csv",
            "connection set globex --owner bob",
            "user hand-over bob --to ann --connections --shared-records",
            "connection pause globex",
            "connection unpause globex --object Lead",
            "explain event 12",
            "replay globex --dry-run --from 1 --object Lead",
            "explain record Lead 01",
            "explain message globex 12 --sent",
            "explain share globex 01",
            "connection show globex --at 12",
            "connection set globex --label Sales",
            "share list globex --at 2026-01-31",
            "export config --at 12",
            "object remove Fund__c",
            "user remove eve",
            "webhook-secret create hooks",
            "webhook-secret rotate hooks",
            "webhook-secret list",
            "webhook-secret remove hooks",
            "record get Lead 01 --at 12",
            "record get Lead 01 --at 2026-01-31T09:30:00Z",
            "report list",
            "report set hot-leads hot.toml",
            "report run lead-history --since 2026-01-31 --csv",
            "changes list --after 12 --object Lead --wait 5",
            "changes follow --after 12 --retry 30 --json",
            "record update Lead 01 Rating= IsActive:=true",
            "record delete Lead 01",
            "record delete Lead 01 --idempotency-key k-1",
            "record list Lead --where Status=New --limit 10 --fields LastName,Company",
            "record import Lead leads.csv --errors refused.csv --map Surname=LastName --ignore-unknown",
            "record import --plan data-plan.json",
            "record import Contact c.csv --upsert Code__c --map AccountId=Account.Code__c",
            "record export Lead --format json",
            "record assign Lead 01 --owner queue:emea",
            "record assign Lead 01 02 --rules",
            "record create Lead LastName=Ng --owner queue:emea",
            "record create Lead LastName=Ng --assign",
            "record list Lead --owner queue:emea",
            "sharing-rule set --file hot.toml",
            "sharing-rule try hot",
            "sharing-rule apply hot",
            "assignment-rule set --file -",
            "assignment-rule show Lead",
            "workflow list",
            "workflow failures",
            "escalation remove Case",
            "inbox accept acme 01 --assign",
            "inbox accept acme 01 --owner queue:emea",
            "queue list",
            "queue set emea --object Lead,Case --user bob --group sales --role standard --connection globex",
            "queue share emea --to globex",
            "queue remove emea",
            "share forward Lead 01 02 --to globex --to initech",
            "share forward Lead --all --to globex",
            "share stop 01 --to globex",
            "share list globex --status active",
            "share retry globex 01",
            "inbox list --connection acme --object Lead",
            "inbox accept acme 01 02 --owner ann",
            "inbox accept acme --all --object Lead",
            "inbox decline acme 01",
            "inbox accept acme 01 02 --record-type Partner --wait 10",
            "inbox list --view hot",
            "record list Lead --view hot --limit 5",
            "share forward Lead --view hot --to globex",
            "view set hot --object Lead --filter Rating==1 --column LastName,Rating --sort LastName --mine --user ann",
            "view set hot --inbox --object Lead --group emea --role sales",
            "view list --inbox --all",
            "view open hot --inbox --limit 5",
            "view count hot",
            "share forward Lead 01 --to globex --to initech --acceptors all --tasks open --new-tasks",
            "record tasks Lead 01",
            "record convert 01",
            "record convert 01 --account 02 --opportunity Deal --with Amount=1000 --owner ann --share-back",
            "approval list --mine",
            "approval approve 01 City",
            "approval reject 01 City",
            "view remove hot --inbox",
            "job list",
            "failure list --connection acme",
            "alarm list",
            "effect list --status failed",
            "effect retry 01",
            "notice list --unread",
            "notice read 01 02",
            "notice read --all",
            "notice settings --user bob",
            "notice set --user bob --mail false --digest 5 --mute alarm,update_failed",
            "notice set --webhook https://acme.example/hook --secret hooks",
            "notice reset bob",
            "log show --from 1 --limit 5 --connection acme",
            "log tail --from 12",
            "log verify --data d",
            "log export org.log --data d",
            "log import org.log --data d",
            "backup b --with-keys",
            "restore b --data d --keys k",
            "salesforce translate force-app describe/Lead.json --out objects",
            "salesforce link Lead links.csv --offer globex",
            "salesforce link Lead links.csv --accept acme --key Old_Id__c",
            "inbox accept acme 01 --into 02",
            "init --org acme --data d --edition trial --connection-licences 5 --without-sharing",
            "org show",
            "org set --edition unlimited --connection-licences 10",
            "org set --company Acme",
            "org enable --yes",
            "user list",
            "user add bob --email bob@example.org --role sales",
            "user set bob --active false",
            "role set sales --portal false --manage-connections true --object Lead=read,edit --other-objects none",
            "role set sales --read-only Lead.Status --writable Lead.Rating",
            "role remove sales",
            "group set emea --user ann,bob --role sales",
            "token create ann",
            "token create bob --label laptop --expires 90d",
            "token list bob",
            "token revoke bob 01",
            "broker config --org-keys a/keys --org-keys b/keys --listen 127.0.0.1:4222 --store-dir s",
            "template save partners --from globex",
            "template apply partners initech",
            "connection invite --template partners",
            "connection accept tieline://x --template partners",
            "check",
            "check globex",
            "sandbox create d --records 100 --name try",
            "sandbox refresh d --records all --without-config --yes",
            "sandbox remove d --yes",
            "trial start --data d --url tieline://x --org initech",
            "trial start --data d --url - --org initech --admin ann --decide-later --serve",
            "plan config",
            "apply config extra.toml --prune --skip-missing --yes",
            "apply config --based-on 00",
            "export config",
            "export config d --replace",
            "config check",
            "man d",
            "completions bash",
        ];
        for line in good {
            let parsed = Cli::try_parse_from(["tieline"].into_iter().chain(id(line).split(' ')));
            assert!(parsed.is_ok(), "{line}: {}", parsed.err().map(|e| e.to_string()).unwrap_or_default());
        }
        let bad = [
            "",
            "frobnicate",
            "init --data d",
            "init --org Acme --data d",
            "init --org acme --data d --broker broker",
            "serve --config a --data b --what",
            "connection invite --expires 10",
            "connection invite --expires 31d",
            "connection accept",
            "publish set globex Lead",
            "publish set globex Lead --all --field LastName",
            "subscribe set acme Lead",
            "subscribe set acme Lead --field Company=a=b",
            "subscribe set acme Lead --all --file mapping.toml",
            "subscribe set acme Lead --all --unmapped perhaps",
            "record create Lead",
            "record create Lead LastName",
            "record import Lead",
            "record import Lead leads.csv --plan plan.json",
            "record export Lead --format xml",
            "share forward Lead --to globex",
            "share forward Lead 01 --all --to globex",
            "share forward Lead 01",
            "salesforce translate force-app",
            "salesforce link Lead links.csv",
            "salesforce link Lead links.csv --offer globex --accept globex",
            "inbox accept acme --all --into 02",
            "inbox accept acme",
            "inbox accept acme 01 --all",
            "inbox accept acme --all --owner ann --assign",
            "record get Lead one",
            "record assign Lead 01",
            "record assign Lead 01 --owner bob --rules",
            "record create Lead LastName=Ng --owner bob --assign",
            "record create Lead LastName=Ng --owner queue:Emea",
            "queue set emea",
            "workflow set hot",
            "escalation apply Case",
            "inbox accept acme 01 --owner bob --assign",
            "broker config --listen 127.0.0.1:4222 --store-dir s",
            "backup",
            "org set",
            "org set --edition gold",
            "user set bob",
            "role set sales --object Lead=write",
            "role set sales --read-only Status",
            "token create bob --expires 20y",
            "sandbox create d --records some",
            "trial start --org initech",
            "plan",
            "apply config --based-on 00 --force",
            "export config --replace",
            "completions klingon",
            "notice set",
            "connection invite --save",
            "connection invite --contact 01 --contacts true",
            "finder answer 01 perhaps",
            "finder answer 01 yes --listed",
            "mail set branded --subject hi",
            "notice read",
            "notice read 01 --all",
        ];
        for line in bad {
            let words = id(line);
            let parsed = Cli::try_parse_from(["tieline"].into_iter().chain(words.split_whitespace()));
            assert!(parsed.is_err(), "{line} parses");
        }
    }
}
