//! Daemons that are killed or stopped while they are written to: what was acknowledged is there, at
//! both orgs, once.

pub(crate) use tieline_tests::loaded::Loaded;
use tieline_tests::sim::Rng;

#[test]
fn daemons_that_are_killed_again_and_again_lose_nothing_and_repeat_nothing() {
    let mut loaded = Loaded::start();
    let url = loaded.pair.url();
    let mut rng = Rng::new(0x7e1e);
    for kill in 0..12 {
        // The moment is counted in rounds of the side that lives on: it falls anywhere within a
        // round of the side that dies.
        let (dies, lives) = if kill % 2 == 0 {
            (&mut loaded.pair.a, &loaded.at_b)
        } else {
            (&mut loaded.pair.b, &loaded.at_a)
        };
        lives.wait_for(1 + rng.below(12));
        dies.kill9();
        lives.wait_for(rng.below(8));
        dies.start(&url);
    }
    loaded.at_a.wait_for(3);
    loaded.at_b.wait_for(3);
    loaded.finish();
}

#[test]
fn a_daemon_that_is_stopped_under_load_ends_well_and_keeps_what_it_acknowledged() {
    let mut loaded = Loaded::start();
    let url = loaded.pair.url();
    for _ in 0..2 {
        loaded.at_a.wait_for(5);
        // It asserts that the daemon ends with exit code 0.
        loaded.pair.a.stop();
        loaded.at_b.wait_for(5);
        loaded.pair.b.stop();
        loaded.pair.a.start(&url);
        loaded.pair.b.start(&url);
    }
    loaded.at_a.wait_for(3);
    loaded.finish();
}
