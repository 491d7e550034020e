//! One org with many connections: every change goes to one of the partners.

use std::time::Instant;

use tieline_tests::process::{OrgProcess, connect, cpu_seconds};

use crate::Sizes;
use crate::report::Report;
use crate::world::{BATCH, agree, broker, concluded, create, define_rules, leads, requests, send, wait};

/// Leads that each partner has.
const RECORDS: usize = 200;

struct Partner {
    org: OrgProcess,
    connection: String,
    records: Vec<String>,
}

/// The same changes over 1, 10 and 100 connections.
pub(crate) fn run(report: &mut Report, sizes: &Sizes) {
    for connections in [1, 10, 100].into_iter().filter(|n| *n <= sizes.connections) {
        round(report, connections, sizes);
        let baseline = (connections > 1).then_some(("fan 1", "one connection"));
        let what = format!("changes/s over {connections} connections");
        report.line(&what, &format!("fan {connections}"), "1/s", baseline, "");
        let what = format!("CPU per change over {connections} connections, A + broker + partners");
        report.line(&what, &format!("fan cpu {connections}"), "µs", None, "");
    }
}

fn round(report: &mut Report, connections: usize, sizes: &Sizes) {
    let mut a = OrgProcess::make("acme");
    let mut orgs: Vec<_> = (0..connections).map(|i| OrgProcess::make(&format!("partner-{i}"))).collect();
    let all: Vec<&OrgProcess> = std::iter::once(&a).chain(&orgs).collect();
    let broker = broker(&all);
    a.start(&broker.url());
    orgs.iter_mut().for_each(|org| org.start(&broker.url()));
    let partners: Vec<Partner> = orgs
        .into_iter()
        .map(|org| {
            let connection = connect(&a.api, &org.api);
            define_rules(&org.api, 3);
            agree(&a.api, &org.api, &connection);
            let records = create(&a.api, RECORDS);
            let share =
                serde_json::json!({ "connections": [connection], "object": "Lead", "records": records });
            a.api.must("POST", "/v1/shares", &share);
            wait("all copies", || (leads(&org.api) >= RECORDS).then_some(()));
            Partner { org, connection, records }
        })
        .collect();
    let each = (sizes.changes / connections / BATCH).max(1) * BATCH;
    let of_each: Vec<Vec<Vec<u8>>> = partners.iter().map(|p| requests(&p.records, each, 7)).collect();
    // To all of them in turn.
    let bodies: Vec<Vec<u8>> =
        (0..each / BATCH).flat_map(|i| of_each.iter().map(move |bodies| bodies[i].clone())).collect();
    let targets: Vec<u64> =
        partners.iter().map(|p| concluded(&p.org.api, &p.connection) + each as u64).collect();
    let pids: Vec<u32> = partners.iter().map(|p| p.org.pid()).chain([a.pid(), broker.pid()]).collect();
    let cpu = || pids.iter().map(|pid| cpu_seconds(&pid.to_string())).sum::<f64>();
    let (before, begun) = (cpu(), Instant::now());
    send(&a.api, &bodies);
    for (partner, target) in partners.iter().zip(targets) {
        wait("all changes", || (concluded(&partner.org.api, &partner.connection) >= target).then_some(()));
    }
    let count = (each * connections) as f64;
    let rate = count / begun.elapsed().as_secs_f64();
    report.sample(&format!("fan {connections}"), rate);
    report.sample(&format!("fan cpu {connections}"), (cpu() - before) / count * 1e6);
    report.curve("connections", "changes/s", vec![(connections as f64, rate)]);
}
