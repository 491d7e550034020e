//! The broker in a network namespace of its own, each org over a wire into it: partitions that no kernel at the
//! ends can see, and packets that are lost, late, doubled, damaged and out of order.

use std::time::{Duration, Instant};

use tieline_tests::loaded::{Loaded, Weight};
use tieline_tests::pair::{Pair, broker_for, until_ready};
use tieline_tests::process::OrgProcess;
use tieline_tests::wire::{Net, Weather};

/// How soon both are connected again after the network is: as over a proxy, and once more, since a kernel that
/// was not heard waits longer each time before it sends again.
const RECONNECTED_WITHIN: Duration = Duration::from_secs(60);

/// A pair whose orgs reach the broker over a wire each: acme over the first one, globex over the second.
fn over_wires(seed: u64) -> Option<(Pair, Net)> {
    let net = Net::with_wires(2, seed)?;
    let (a, b) = (OrgProcess::make("acme"), OrgProcess::make("globex"));
    let mut broker = broker_for([&a.home, &b.home]);
    let urls = net.house(&mut broker);
    broker.restart().unwrap();
    Some((Pair::over(broker, a, b, [&urls[0], &urls[1]]), net))
}

#[test]
fn partitions_between_network_namespaces_cost_nothing() {
    let Some((pair, net)) = over_wires(1) else { return };
    let loaded = Loaded::on(pair, Weight::default());
    let (good, silent) = (Weather::GOOD, Weather::SILENT);
    let cut: [(&str, &dyn Fn()); 6] = [
        ("one org is alone, and nobody is told", &|| net.weather(0, silent, silent)),
        ("what the other says does not arrive", &|| net.weather(1, silent, good)),
        ("the other hears nothing", &|| net.weather(1, good, silent)),
        ("one org has no link", &|| net.link(0, false)),
        ("nobody reaches the broker, one of them for want of a link", &|| {
            net.weather(0, silent, silent);
            net.link(1, false);
        }),
        ("the links flap", &|| {
            for _ in 0..4 {
                net.link(0, false);
                net.link(1, false);
                loaded.wait_for(1);
                net.link(0, true);
                net.link(1, true);
                loaded.wait_for(1);
            }
        }),
    ];
    for (what, cut) in cut {
        loaded.wait_for(2);
        let lost = net.done().lost;
        cut();
        // Both take what people write all the while. Whoever hears nothing notices by its silence alone.
        loaded.wait_for(4);
        if what.starts_with("one org is alone") {
            loaded
                .pair
                .a
                .api
                .until_answer("silence named", "/readyz", |answer| answer.as_ref().err().map(drop));
            assert!(net.done().lost > lost, "no packet was lost, so nothing was tried");
        }
        net.heal(0);
        net.heal(1);
        let healed = Instant::now();
        until_ready(&loaded.pair.a.api);
        until_ready(&loaded.pair.b.api);
        eprintln!("{what}: ready {:?} after it was over", healed.elapsed());
        assert!(healed.elapsed() < RECONNECTED_WITHIN, "{what}: {:?} after it was over", healed.elapsed());
    }
    loaded.finish();
}

#[test]
fn packets_that_are_lost_doubled_damaged_and_out_of_order_cost_nothing() {
    let Some((pair, net)) = over_wires(2) else { return };
    let loaded = Loaded::on(pair, Weight { pad: 500 });
    let before = net.done();
    for _ in 0..3 {
        net.weather(0, Weather::BAD, Weather::BAD);
        net.weather(1, Weather::BAD, Weather::BAD);
        loaded.wait_for(5);
        // A change of each side comes through while it lasts.
        loaded.pair.until_told();
        // And over a slow link, where too much is lost as well.
        let slow = Weather { rate: Some(64 << 10), ..Weather::GOOD };
        net.weather(0, slow, slow);
        loaded.wait_for(5);
    }
    let done = net.done();
    eprintln!("{done:?}");
    for (what, count) in [
        ("lost", done.lost - before.lost),
        ("doubled", done.doubled - before.doubled),
        ("damaged", done.damaged - before.damaged),
        ("late", done.late - before.late),
    ] {
        assert!(count > 10, "only {count} packets were {what}: nothing was tried");
    }
    net.heal(0);
    net.heal(1);
    loaded.finish();
}
