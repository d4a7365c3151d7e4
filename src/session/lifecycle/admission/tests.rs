use proptest::prelude::*;
use tokio::sync::oneshot;

use super::*;
use crate::{ledger::NewSend, session::command::AskedBy, whatsapp::ChatAct};

const STAGES: [Stage; 7] = [
    Stage::Idle,
    Stage::Opening,
    Stage::CalledOff,
    Stage::Running,
    Stage::Hibernating,
    Stage::Busy,
    Stage::Stopping,
];

const NAMES: [&str; 12] = [
    "connect",
    "disconnect",
    "logout",
    "forget",
    "send",
    "later",
    "check",
    "typing",
    "evidence",
    "media",
    "dismiss",
    "remove",
];

/// `send`: its caller waits; `later`: it outlives its caller.
fn command(name: &str) -> Command {
    let disconnect = |logout| LifeCommand::Disconnect {
        logout,
        reply: oneshot::channel().0,
    };
    let send = |is_durable| PageCommand::Send {
        new: NewSend {
            is_durable,
            ..crate::ledger::tests::send("3EB0A")
        },
        deadline: None,
        reply: oneshot::channel().0,
    };
    match name {
        "connect" => Command::Life(LifeCommand::Connect {
            phone: None,
            asked_by: AskedBy::Caller,
            reply: oneshot::channel().0,
        }),
        "disconnect" => Command::Life(disconnect(false)),
        "logout" => Command::Life(disconnect(true)),
        "forget" => Command::Life(LifeCommand::Forget {
            reply: oneshot::channel().0,
        }),
        "send" => Command::Page(send(false)),
        "later" => Command::Page(send(true)),
        "check" => Command::Page(PageCommand::Check {
            to: "5491158254201".parse().unwrap(),
            reply: oneshot::channel().0,
        }),
        "typing" => Command::Page(PageCommand::InChat {
            to: "5491158254201".parse().unwrap(),
            act: ChatAct::Typing,
            reply: oneshot::channel().0,
        }),
        "evidence" => Command::Page(PageCommand::Evidence {
            reply: oneshot::channel().0,
        }),
        "media" => Command::Page(PageCommand::Media {
            message: "false_1@c.us_3A".into(),
            most: None,
            sink: tokio::sync::mpsc::channel(1).0,
            reply: oneshot::channel().0,
        }),
        "dismiss" => Command::Page(PageCommand::DismissNotice {
            reply: oneshot::channel().0,
        }),
        "remove" => Command::Page(PageCommand::Remove {
            key: "3EB0A".to_owned(),
        }),
        other => panic!("no command {other}"),
    }
}

fn states() -> [SessionState; 7] {
    let code = SessionState::QrRequired {
        code: None,
        attempts: 0,
        pairing: None,
    };
    [
        SessionState::Init,
        code,
        SessionState::Authenticated,
        SessionState::Ready,
        SessionState::Hibernating,
        SessionState::Disconnected,
        SessionState::Error,
    ]
}

/// Asserts what becomes of the commands in the order of [`NAMES`].
#[track_caller]
fn check(stage: Stage, published: &SessionState, wanted: &str) {
    let becomes = NAMES.map(|name| match admit(stage, published, &command(name)) {
        Admission::Now => "now",
        Admission::OnceFree => "later",
        Admission::OnceAwake => "awake",
        Admission::Refuse(Refusal::NotReady) => "-",
        Admission::Refuse(Refusal::Busy) => "busy",
        Admission::Refuse(Refusal::NotLinked) => "unlinked",
        Admission::Refuse(Refusal::Running) => "running",
        Admission::Refuse(Refusal::ShuttingDown) => "stops",
    });
    assert_eq!(becomes.join(" "), wanted, "{stage:?}, {}", published.name());
}

#[test]
fn each_command_is_done_kept_or_refused_by_stage_and_state() {
    let [init, code, linked, ready, asleep, down, _] = states();
    check(Stage::Idle, &down, "now now now now - - - - - - - now");
    check(
        Stage::Opening,
        &init,
        "now now unlinked running - - - - - - - now",
    );
    check(
        Stage::CalledOff,
        &down,
        "later later later later - - - - - - - now",
    );
    check(
        Stage::Running,
        &init,
        "now now now running - - now now now now now now",
    );
    check(
        Stage::Running,
        &code,
        "now now now running - - now now now now now now",
    );
    check(
        Stage::Running,
        &linked,
        "now now now running - now now now now now now now",
    );
    check(
        Stage::Running,
        &ready,
        "now now now running now now now now now now now now",
    );
    for stage in [Stage::Opening, Stage::Running, Stage::Hibernating] {
        check(
            stage,
            &asleep,
            "now now awake running now now awake awake awake awake - now",
        );
    }
    let busy = "later later later later busy busy busy busy busy busy busy now";
    check(Stage::Busy, &ready, busy);
    let falling_asleep = "later later awake later now now awake awake awake awake - now";
    check(Stage::Busy, &asleep, falling_asleep);
    let stopping = "stops stops stops stops stops stops stops stops stops stops stops now";
    check(Stage::Stopping, &ready, stopping);
}

proptest! {
    #[test]
    fn nothing_is_given_to_a_page_that_is_not_there_and_nothing_waits_for_ever(
        stage in proptest::sample::select(&STAGES[..]),
        state in proptest::sample::select(states().to_vec()),
        name in proptest::sample::select(&NAMES[..]),
    ) {
        let command = command(name);
        let admission = admit(stage, &state, &command);
        let needs_a_page = ["check", "typing", "evidence", "dismiss"].contains(&name);
        if needs_a_page && stage != Stage::Running {
            prop_assert_ne!(admission, Admission::Now);
        }
        // What is kept is given out later, by another stage or another state.
        match admission {
            Admission::OnceFree => {
                prop_assert!(matches!(command, Command::Life(_)));
                prop_assert_eq!(admit(Stage::Idle, &SessionState::Disconnected, &command), Admission::Now);
            }
            Admission::OnceAwake => {
                prop_assert_eq!(&state, &SessionState::Hibernating);
                prop_assert_eq!(admit(Stage::Running, &SessionState::Ready, &command), Admission::Now);
            }
            Admission::Now | Admission::Refuse(_) => {}
        }
        // A session that callers see as READY refuses no send.
        let is_alive = !matches!(stage, Stage::Idle | Stage::CalledOff | Stage::Stopping);
        if state == SessionState::Hibernating && is_alive && ["send", "later"].contains(&name) {
            prop_assert_eq!(admission, Admission::Now);
        }
    }
}
