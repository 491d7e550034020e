//! The bus against a real nats-server: the pinned one, and the oldest that Tieline works with.
//!
//! Every case runs once for each edition (`pinned::…`, `debian::…`); the latter skips, loudly,
//! where that server is not installed. Nothing is timed: each case awaits events, and a deadline
//! only turns a hang into a failure.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a case fails by panicking")]

mod config;
mod faults;
mod frames;
mod handshake;
mod isolation;
mod kit;

/// Makes two tests of each case, one for each edition of the server.
macro_rules! on_each_edition {
    ($($module:ident :: $case:ident,)*) => {
        mod pinned {
            $(#[test] fn $case() { crate::kit::run(tieline_tests::nats::Edition::Pinned, crate::$module::$case); })*
        }
        mod debian {
            $(#[test] fn $case() { crate::kit::run(tieline_tests::nats::Edition::Debian, crate::$module::$case); })*
        }
    };
}

on_each_edition! {
    config::any_org_name_makes_a_valid_configuration,
    config::what_needs_a_later_server_is_asked_for,
    config::the_hub_refuses_a_slip_of_the_pen,
    config::an_old_server_is_reported,
    config::an_org_is_added_by_two_reloads_and_nobody_notices,
    frames::they_arrive_in_order_both_ways,
    frames::a_waiting_reader_gets_a_frame_at_once,
    frames::a_reader_does_not_read_far_ahead,
    frames::a_ring_forgets_its_oldest_frames,
    frames::an_inbox_that_was_changed_is_put_right,
    frames::a_frame_without_an_inbox_is_not_acknowledged,
    frames::heartbeats_arrive_with_the_name_of_their_sender,
    frames::heartbeats_that_nobody_reads_are_dropped,
    frames::what_is_too_large_is_not_sent_nor_taken,
    frames::an_echo_goes_all_the_way_round,
    frames::a_stopped_bus_has_sent_everything,
    faults::a_killed_broker_comes_back,
    faults::a_question_ends_with_the_connection_that_it_was_asked_on,
    faults::a_broker_that_lost_its_disk_gets_new_inboxes,
    faults::an_inbox_deleted_under_its_reader_is_made_again,
    faults::a_consumer_deleted_under_its_reader_is_made_again,
    faults::a_bus_starts_before_its_broker,
    faults::a_frozen_broker_is_left_and_found_again,
    handshake::a_hello_is_answered_across_accounts,
    handshake::a_hello_to_nobody_fails,
    isolation::an_org_writes_only_under_its_own_name,
    isolation::an_org_reads_only_its_own_inbox,
    isolation::replies_of_jetstream_reach_no_other_account,
    isolation::nobody_touches_the_streams_of_another_org,
    isolation::a_message_id_that_was_used_before_suppresses_nothing,
}
