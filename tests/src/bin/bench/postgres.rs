//! The other baseline: logical replication of PostgreSQL, two clusters on unix sockets, a column list
//! and a row filter, one row in each transaction, everything durable on both sides.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use crate::Sizes;
use crate::pipe::{RECORDS, throughput};
use crate::report::Report;
use crate::world::{Pair, wait};

/// Clients at once: single-row transactions share the flushes of the log only if there are many.
const CLIENTS: usize = 32;
/// As whom the servers run if this runs as root, which they refuse.
const SERVER_USER: &str = "postgres";
const TABLE: &str = "create table lead (id int primary key, status text, city text, description text, \
                     website text, employees int, secret text)";
const CHANGE: &str = "\\set id random(1, 1000)\n\\set n random(1, 1000000000)\n\
     update lead set status = case when :n % 2 = 0 then 'Open' else 'Working' end, city = 'City ' || :n, \
     description = repeat(md5(:n::text), 8) where id = :id;\n";

/// Rounds of both, on the same machine.
pub(crate) fn run(report: &mut Report, sizes: &Sizes) {
    let Some(programs) = Programs::find() else {
        eprintln!(
            "SKIPPED: PostgreSQL was NOT MEASURED, because initdb, postgres, psql and pgbench are not all here; \
             install postgresql (apt-get install postgresql) and run this again"
        );
        return;
    };
    let pair = Pair::new(3, RECORDS);
    let (source, target) = (programs.start("source"), programs.start("target"));
    let dir = source.dir.path();
    for (cluster, rows) in [(&source, RECORDS), (&target, 0)] {
        cluster.sql(TABLE);
        cluster.sql(&format!(
            "insert into lead select i, 'Open', '', '', '', 1, 's' from generate_series(1, {rows}) i"
        ));
    }
    source.sql("create publication p for table lead (id, status, city, description) where (id > 0)");
    let to = format!("host={} user={SERVER_USER} dbname=postgres", dir.display());
    target.sql(&format!("create subscription s connection '{to}' publication p"));
    wait("the first copy", || (target.sql("select count(*) from lead") == RECORDS.to_string()).then_some(()));
    std::fs::write(dir.join("change.sql"), CHANGE).expect("a script");
    for round in 0..sizes.rounds {
        throughput(report, &pair, sizes.changes, round, " (beside PostgreSQL)");
        let begun = Instant::now();
        source.change(sizes.changes / CLIENTS);
        let end = format!("done {round}");
        source.sql(&format!("update lead set city = '{end}' where id = 1"));
        wait("the last change", || (target.sql("select city from lead where id = 1") == end).then_some(()));
        report.sample("postgres", sizes.changes as f64 / begun.elapsed().as_secs_f64());
    }
    // A process is counted once it has ended and was waited for.
    let before = ended_children_cpu();
    drop((target, source));
    let changes = (sizes.rounds * sizes.changes) as f64;
    report.sample("postgres cpu", (ended_children_cpu() - before) / changes * 1e6);
    let postgres = Some(("postgres", "PostgreSQL"));
    report.line(
        "changes/s, beside PostgreSQL",
        "changes/s (beside PostgreSQL)",
        "1/s",
        postgres,
        "8 × PostgreSQL",
    );
    report.line("PostgreSQL logical replication, single rows", "postgres", "1/s", None, "");
    report.line("CPU per change of both PostgreSQL servers", "postgres cpu", "µs", None, "");
}

struct Programs {
    dir: PathBuf,
}

impl Programs {
    fn find() -> Option<Self> {
        let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
        let path = std::env::var_os("PATH").unwrap_or_default();
        let dirs = versions.map(|version| version.path().join("bin")).chain(std::env::split_paths(&path));
        let all = |dir: &PathBuf| {
            ["initdb", "postgres", "psql", "pgbench"].iter().all(|name| dir.join(name).is_file())
        };
        dirs.into_iter().find(all).map(|dir| Self { dir })
    }

    /// A program, as a user as whom it runs.
    fn command(&self, name: &str) -> Command {
        let program = self.dir.join(name);
        if !is_root() {
            return Command::new(program);
        }
        let mut command = Command::new("setpriv");
        command.args(["--reuid", SERVER_USER, "--regid", SERVER_USER, "--clear-groups"]).arg(program);
        command
    }

    fn start(&self, name: &str) -> Cluster {
        let dir = tempfile::Builder::new().prefix(name).tempdir().expect("a directory");
        if is_root() {
            must(Command::new("chown").arg(SERVER_USER).arg(dir.path()));
        }
        let data = dir.path().join("data");
        must(self.command("initdb").args(["-A", "trust", "-U", SERVER_USER, "-D"]).arg(&data));
        let settings =
            "listen_addresses = ''\nwal_level = logical\nmax_connections = 60\nshared_buffers = 128MB\n";
        let settings = format!("{settings}unix_socket_directories = '{}'\n", dir.path().display());
        let config = data.join("postgresql.conf");
        let known = std::fs::read_to_string(&config).expect("a configuration");
        std::fs::write(&config, known + &settings).expect("a configuration");
        let log = std::fs::File::create(dir.path().join("log")).expect("a log");
        let server = self.command("postgres").arg("-D").arg(&data).stdout(Stdio::null()).stderr(log).spawn();
        let cluster =
            Cluster { server: server.expect("a server"), programs: Self { dir: self.dir.clone() }, dir };
        wait("PostgreSQL", || cluster.psql("select 1").status.success().then_some(()));
        cluster
    }
}

struct Cluster {
    server: Child,
    programs: Programs,
    dir: tempfile::TempDir,
}

impl Cluster {
    fn connected(&self, name: &str) -> Command {
        let mut command = self.programs.command(name);
        command.arg("-h").arg(self.dir.path()).args(["-U", SERVER_USER]);
        command
    }

    fn psql(&self, sql: &str) -> std::process::Output {
        let mut command = self.connected("psql");
        command.args(["-d", "postgres", "-X", "-q", "-A", "-t", "-c", sql]).output().expect("psql")
    }

    /// What a statement answers.
    fn sql(&self, sql: &str) -> String {
        let output = self.psql(sql);
        assert!(output.status.success(), "{sql}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Makes so many changes with each client.
    fn change(&self, each: usize) {
        let script: &Path = &self.dir.path().join("change.sql");
        let (clients, each) = (CLIENTS.to_string(), each.to_string());
        let mut pgbench = self.connected("pgbench");
        pgbench.args(["-n", "-j", "2", "-c", &clients, "-t", &each, "-M", "prepared", "-f"]).arg(script);
        must(pgbench.arg("postgres"));
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // A fast shutdown, which waits for nobody.
        Command::new("kill").args(["-INT", &self.server.id().to_string()]).status().expect("a signal");
        self.server.wait().expect("an end");
    }
}

fn must(command: &mut Command) {
    let output = command.output().expect("a program");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|of| std::os::unix::fs::MetadataExt::uid(&of) == 0)
}

/// CPU seconds of all children of this process that have ended, and of theirs.
fn ended_children_cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("a status");
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    fields[13..15].iter().map(|ticks| ticks.parse::<f64>().unwrap_or_default()).sum::<f64>() / 100.0
}
