//! From a run that may start to its outcome on record, with a runner that starts nothing.

use std::{io, sync::Arc, time::Duration};

use super::{
    Bench,
    admission::{VALUE, bench, check},
    outcomes::output,
};
use crate::{
    broker::{
        api::RunResult,
        refusal::Code,
        surroundings::{Ready, Running},
    },
    policy::Limit,
    redact::NeedleSet,
    run::{Ended, RunError, RunOutcome, RunOutput, Stream},
};

/// The value that a secret is rotated to.
const ROTATED: &str = "Jd8w-Zk3mQ-7Rt2x-Vn5Lc";

/// Drives a run by this runner: what is told of it, how it ended, and the outcome that is on record.
async fn driven(
    bench: &Bench,
    runner: impl FnOnce(Ready) -> Running<RunOutput>,
) -> (Result<(RunResult, RunOutcome), Code>, String) {
    let credential = bench.of("ann", "dev", |_| ());
    let admitted = bench.ask(&credential, check()).await.ok().expect("it may start");
    let driven = bench.broker.drive(admitted, runner).await;
    let done = driven.map(|driven| (driven.told, driven.ended.ending));
    let done = done.map_err(|refused| refused.body.code);
    (done, bench.on_record().pop().expect("it is on record"))
}

fn wrote(text: &str, took: Duration) -> RunOutput {
    let ran = output(RunOutcome::Exited(0), 0);
    let stdout = Stream { text: NeedleSet::empty().text(text), truncated: false };
    RunOutput { stdout, ended: Ended { duration: took, ..ran.ended }, ..ran }
}

/// A row is what becomes of a run, what whoever asked is told, and what is on record.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn whatever_becomes_of_a_run_is_on_record() {
    let bench = bench();
    let too_many_files = || io::Error::from_raw_os_error(24);
    let rows = [
        (Ok(RunOutcome::Exited(3)), Ok(RunOutcome::Exited(3)), "exited"),
        (Ok(RunOutcome::Signaled(9)), Ok(RunOutcome::Signaled(9)), "signaled"),
        (Ok(RunOutcome::TimedOut), Ok(RunOutcome::TimedOut), "timed_out"),
        (Ok(RunOutcome::Cancelled), Ok(RunOutcome::Cancelled), "cancelled"),
        (
            Ok(RunOutcome::ResourceLimit(Limit::Disk)),
            Ok(RunOutcome::ResourceLimit(Limit::Disk)),
            "resource_limit",
        ),
        (Err(RunError::ProgramNotFound), Err(Code::ProgramNotFound), "failed_to_start"),
        (Err(RunError::ProgramChanged), Err(Code::ProgramChanged), "failed_to_start"),
        (Err(RunError::Cwd), Err(Code::CwdNotAllowed), "failed_to_start"),
        (Err(RunError::io("start", too_many_files())), Err(Code::Busy), "failed_to_start"),
    ];
    for (becomes, told, on_record) in rows {
        let (done, record) = driven(&bench, |ready| {
            assert!(ready.launch.gives_values());
            assert_eq!(ready.launch.contained_by().to_string(), "off");
            Box::pin(async move { becomes.map(|ending| output(ending, 0)) })
        })
        .await;
        assert_eq!(done.map(|(_, ending)| ending), told);
        assert_eq!(record, format!("outcome dev {on_record}"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_run_that_lost_its_right_is_told_apart_from_one_that_was_cancelled() {
    let bench = bench();
    let broker = Arc::clone(&bench.broker);
    let (done, record) = driven(&bench, |ready| {
        Box::pin(async move {
            broker.revoke_runs();
            ready.over.cancelled().await;
            Ok(output(RunOutcome::Cancelled, 0))
        })
    })
    .await;
    assert_eq!((done.unwrap().1, &*record), (RunOutcome::Revoked, "outcome dev revoked"));
    // One that ended by itself meanwhile did so.
    let broker = Arc::clone(&bench.broker);
    let (done, record) = driven(&bench, |_| {
        broker.revoke_runs();
        Box::pin(async { Ok(output(RunOutcome::Exited(0), 0)) })
    })
    .await;
    assert_eq!((done.unwrap().1, &*record), (RunOutcome::Exited(0), "outcome dev exited"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_is_returned_is_masked_once_more_and_counted() {
    let bench = bench();
    let (done, _) =
        driven(&bench, |_| Box::pin(async { Ok(wrote(&format!("<{VALUE}>"), Duration::ZERO)) })).await;
    let (told, _) = done.unwrap();
    assert_eq!(told.stdout, "<[redacted:app/key]>");
    assert_eq!(told.redactions, Some(1));
}

/// A program may have the new value from elsewhere.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_secret_that_is_rotated_while_a_run_goes_on_is_masked_in_what_it_wrote() {
    let bench = bench();
    let (done, _) = driven(&bench, |_| {
        bench.secrets(&[("app/key", ROTATED)]);
        Box::pin(async { Ok(wrote(&format!("{VALUE} {ROTATED}"), Duration::from_secs(2))) })
    })
    .await;
    let (told, _) = done.unwrap();
    assert_eq!(told.stdout, "[redacted:app/key] [redacted:app/key]");
    assert_eq!(told.redactions, Some(2));
}
