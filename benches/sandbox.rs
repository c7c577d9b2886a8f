//! What the sandbox costs: `/bin/true`, started bare, by a run without a sandbox, by a run in one, and by other
//! programs that contain (bubblewrap and nono, where they are installed), in turns within one run.
//!
//! `cargo bench --bench sandbox`

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "a benchmark starts programs and prints"
)]

use std::{
    path::PathBuf,
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use authy_mcp::testing::{
    names::RunId,
    policy::{CwdTerm, HomeMode, Network, SandboxMode, SandboxTerms},
    redact::NeedleSet,
    run::{self, Launch, Materials, Sandbox, Spares, Start, Supervisors, Unseen},
    sandbox::SandboxPlan,
    supervise::Nursery,
};
use tokio_util::sync::CancellationToken;

/// Rounds; the medians are shown.
const ROUNDS: usize = 60;
const PAUSE: Duration = Duration::from_millis(15);
const TRUE: &str = "/bin/true";

/// What bubblewrap is asked for: the same view, and every namespace.
const BWRAP: &[&str] = &[
    "--ro-bind",
    "/usr",
    "/usr",
    "--symlink",
    "usr/bin",
    "/bin",
    "--symlink",
    "usr/lib",
    "/lib",
    "--symlink",
    "usr/lib64",
    "/lib64",
    "--ro-bind",
    "/etc",
    "/etc",
    "--proc",
    "/proc",
    "--dev",
    "/dev",
    "--tmpfs",
    "/tmp",
    "--unshare-all",
    "--die-with-parent",
    TRUE,
];

/// One way of starting a program.
type Way<'a> = (&'a str, Box<dyn Fn() + 'a>);

fn main() {
    // Before there is a second thread.
    let nursery = Nursery::fork().expect("one thread");
    let runtime = tokio::runtime::Runtime::new().expect("threads");
    let machine = authy_mcp::testing::supervise::machine(env!("CARGO_BIN_EXE_authy-mcp").as_ref());
    let contained = |network| {
        let terms = SandboxTerms { network, ..SandboxTerms::default() };
        SandboxPlan::make(&terms, &machine).expect("this machine can contain")
    };
    let binary = || env!("CARGO_BIN_EXE_authy-mcp").into();
    let ahead = Supervisors::new(binary(), None, Some(nursery), Spares::Kept, None);
    let fresh = Supervisors::new(binary(), None, None, Spares::None, None);
    let by_run = |plan: SandboxPlan, supervisors: &Arc<Supervisors>| {
        let (runtime, supervisors) = (&runtime, Arc::clone(supervisors));
        move || runtime.block_on(once(plan.clone(), &supervisors))
    };
    let off = SandboxTerms { mode: SandboxMode::Off, ..SandboxTerms::default() };
    let off = SandboxPlan::make(&off, &machine).expect("nothing is asked for");
    println!("the sandbox here: {}", contained(Network::None));
    let mut ways: Vec<Way<'_>> = vec![
        ("bare spawn", Box::new(|| spawn(Command::new(TRUE)))),
        ("authy-mcp, no sandbox", Box::new(by_run(off, &ahead))),
        ("authy-mcp, network none", Box::new(by_run(contained(Network::None), &ahead))),
        ("authy-mcp, network open", Box::new(by_run(contained(Network::Open), &ahead))),
        ("the same, started for it", Box::new(by_run(contained(Network::None), &fresh))),
    ];
    let others: [(&str, &str, &[&str]); 3] = [
        ("bwrap --unshare-all", "bwrap", BWRAP),
        ("nono wrap", "nono", &["wrap", "--silent", "--allow-cwd", "--", TRUE]),
        ("nono run", "nono", &["run", "--silent", "--allow-cwd", "--", TRUE]),
    ];
    for (name, program, arguments) in others {
        let command = move || {
            let mut command = Command::new(program);
            command.args(arguments).current_dir("/usr");
            command
        };
        match command().stdin(Stdio::null()).output() {
            Ok(done) if done.status.success() => ways.push((name, Box::new(move || spawn(command())))),
            Ok(done) => println!("{name}: left out, it ended with {}", done.status),
            Err(error) => println!("{name}: left out ({error})"),
        }
    }
    measure(&ways);
}

fn measure(ways: &[Way<'_>]) {
    let mut times = vec![Vec::new(); ways.len()];
    for _ in 0..ROUNDS {
        for ((_, way), times) in ways.iter().zip(&mut times) {
            let begun = Instant::now();
            way();
            times.push(begun.elapsed());
            // An agent thinks between two calls: what is made ready for the next has the time to be.
            std::thread::sleep(PAUSE);
        }
    }
    let medians: Vec<Duration> = times.into_iter().map(median).collect();
    println!("{:<28}{:>12}{:>16}{:>20}", "", "median", "over bare", "over no sandbox");
    for ((name, _), median) in ways.iter().zip(&medians) {
        let over = |base: Duration| format!("{:+.2} ms", (median.as_secs_f64() - base.as_secs_f64()) * 1e3);
        println!(
            "{name:<28}{:>12}{:>16}{:>20}",
            format!("{:.2} ms", median.as_secs_f64() * 1e3),
            over(medians[0]),
            over(medians[1])
        );
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn spawn(mut command: Command) {
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    assert!(status.expect("it starts").success());
}

async fn once(plan: SandboxPlan, supervisors: &Arc<Supervisors>) {
    let start = Start {
        run_id: RunId::random(),
        supervisors: Arc::clone(supervisors),
        program: TRUE.into(),
        pin: None,
        argv: vec!["true".to_owned()],
        path: Vec::new(),
        home: HomeMode::Private,
        user_home: PathBuf::from("/nonexistent"),
        cwd: CwdTerm::Private,
        stdin: None,
        timeout: Duration::from_secs(60),
        grace: Duration::from_secs(1),
        output_limit: 1024,
    };
    let unseen = Unseen {
        hidden: Vec::new(),
        settings: Vec::new(),
        covered: Vec::new(),
        closed: Vec::new(),
        never: Vec::new(),
        control: Default::default(),
    };
    let sandbox = Sandbox::new(plan, SandboxTerms::default(), unseen);
    let launch = Launch::new(sandbox, Vec::new(), start, Materials::default());
    let done = run::execute(launch, NeedleSet::empty(), None, CancellationToken::new(), None).await;
    let done = done.expect("it starts");
    assert_eq!(done.ended.ending, run::RunOutcome::Exited(0), "{done:?}");
}
