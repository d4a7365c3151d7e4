//! The service of a test that is ended from outside ends with it: a runner ends tests that take too long, and signals the group of
//! the test's process, which its service is not in.

use std::{
    fs,
    io::{self, BufRead as _, BufReader, Read as _},
    process::{Child, Command, Stdio},
};

use crate::support::{Service, chrome::eventually};

/// What the test to be killed says once its service runs.
const RUNS: &str = "the service runs as process ";

/// The name by which the test runner finds that test.
const VICTIM: &str = "orphans::a_service_that_waits_to_be_orphaned";

#[tokio::test]
async fn the_service_of_a_test_that_is_killed_ends_with_it() {
    let mut victim = victim();
    let said = BufReader::new(victim.stdout.take().unwrap());
    let pid = said.lines().find_map(|line| {
        let line = line.unwrap();
        let (_, pid) = line.split_once(RUNS)?;
        Some(pid.to_owned())
    });
    let command_line = format!("/proc/{}/cmdline", pid.unwrap());
    // A process that has ended and has not been reaped has none.
    let is_there = || fs::read(&command_line).is_ok_and(|line| !line.is_empty());
    assert!(is_there());
    victim.kill().unwrap();
    victim.wait().unwrap();
    eventually("its service is gone", || !is_there()).await;
}

#[tokio::test]
#[ignore = "the test above starts it, and kills it"]
async fn a_service_that_waits_to_be_orphaned() {
    let service = Service::with(&[]).await;
    println!("\n{RUNS}{}", service.pid());
    // Until the process that started it ends, if it was not killed before.
    io::stdin().read_to_end(&mut Vec::new()).unwrap();
}

fn victim() -> Child {
    #[expect(
        clippy::disallowed_methods,
        reason = "a test that is killed has to be a process of its own"
    )]
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args([VICTIM, "--exact", "--ignored", "--nocapture"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}
