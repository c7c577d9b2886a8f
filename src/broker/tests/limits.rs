//! A scope's limits, with the times handed in.

use std::time::{Duration, Instant};

use super::outcomes::terms;
use crate::{broker::limits::Limiter, names::ScopeName, policy::RunTerms};

fn scope(name: &str) -> ScopeName {
    ScopeName::parse(name).unwrap()
}

fn bounds(runs_per_minute: u32, concurrent_runs: u32) -> RunTerms {
    RunTerms { runs_per_minute, concurrent_runs, ..terms() }
}

#[test]
fn runs_begin_so_often_a_minute_and_the_refusal_says_when_to_come_again() {
    let (limiter, start) = (Limiter::default(), Instant::now());
    let bounds = bounds(3, 9);
    // A row is the moment in milliseconds, and how long it says to wait.
    for (moment, wait) in [
        (0, None),
        (10_000, None),
        (20_000, None),
        (30_000, Some("call again in 31 s")),
        (59_999, Some("call again in 1 s")),
        (60_000, None),
        (60_001, Some("call again in 10 s")),
        (70_000, None),
        (79_999, Some("call again in 1 s")),
        (200_000, None),
    ] {
        let entered = limiter.enter(&scope("dev"), &bounds, start + Duration::from_millis(moment));
        let said = entered.err().map(|refusal| refusal.hint);
        assert_eq!(said.as_deref(), wait, "at {moment} ms");
    }
    // Another scope has its own.
    assert!(limiter.enter(&scope("ops"), &bounds, start).is_ok());
}

#[test]
fn so_many_run_at_once_and_a_place_is_given_back() {
    let (limiter, now) = (Limiter::default(), Instant::now());
    let bounds = bounds(100, 2);
    let enter = |name: &str| limiter.enter(&scope(name), &bounds, now);
    let first = enter("dev").ok().unwrap();
    let _second = enter("dev").ok().unwrap();
    let refusal = enter("dev").err().unwrap();
    assert_eq!(refusal.message, "2 runs of this scope are going on, which is its limit");
    assert!(enter("ops").is_ok());
    drop(first);
    assert!(enter("dev").is_ok());
}

#[test]
fn what_was_refused_is_no_run() {
    let (limiter, now) = (Limiter::default(), Instant::now());
    let bounds = bounds(2, 1);
    let place = limiter.enter(&scope("dev"), &bounds, now).ok().unwrap();
    for _ in 0..10 {
        assert!(limiter.enter(&scope("dev"), &bounds, now).is_err());
    }
    drop(place);
    assert!(limiter.enter(&scope("dev"), &bounds, now).is_ok(), "one of two a minute");
}
