use std::time::Duration;

use proptest::prelude::*;
use tokio::{sync::oneshot, time::Instant};

use super::*;
use crate::{ledger::NewSend, session::command::Origin};

const STAGES: [Stage; 7] = [
    Stage::Idle,
    Stage::Opening,
    Stage::CalledOff,
    Stage::Running,
    Stage::Hibernating,
    Stage::Closing,
    Stage::Stopping,
];

const NAMES: [&str; 9] = [
    "connect",
    "disconnect",
    "logout",
    "forget",
    "send",
    "later",
    "check",
    "evidence",
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
            key: "3EB0A".to_owned(),
            session: "51".to_owned(),
            cliente_id: "51".to_owned(),
            account: None,
            to: "5491158254201".into(),
            body: "hola".into(),
            is_durable,
            idempotency: None,
            accept_by: Instant::now() + Duration::from_secs(60),
        },
        deadline: None,
        reply: oneshot::channel().0,
    };
    match name {
        "connect" => Command::Life(LifeCommand::Connect {
            phone: None,
            origin: Origin::Caller,
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
        "evidence" => Command::Page(PageCommand::Evidence {
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

/// Each row: the stage, the state, and what becomes of the commands in the order of [`NAMES`].
#[test]
fn each_command_is_done_kept_or_refused_by_stage_and_state() {
    use Refusal::{Closing, NotLinked, NotReady, Running, ShuttingDown};
    let no = Admission::Refuse;
    let (now, later, awake) = (
        Admission::Now,
        Admission::AfterClosing,
        Admission::OnceAwake,
    );
    let [init, code, linked, ready, asleep, down, _] = states();
    let stopping = [no(ShuttingDown); 8];
    let idle = [
        now,
        now,
        now,
        now,
        no(NotReady),
        no(NotReady),
        no(NotReady),
        no(NotReady),
    ];
    let opening = [
        now,
        now,
        no(NotLinked),
        no(Running),
        no(NotReady),
        no(NotReady),
        no(NotReady),
        no(NotReady),
    ];
    let called_off = [
        later,
        later,
        later,
        later,
        no(NotReady),
        no(NotReady),
        no(NotReady),
        no(NotReady),
    ];
    let closing = [
        later,
        later,
        later,
        later,
        no(Closing),
        no(Closing),
        no(Closing),
        no(Closing),
    ];
    let falling_asleep = [later, later, awake, later, now, now, awake, awake];
    let waking = [now, now, awake, no(Running), now, now, awake, awake];
    let no_account = [
        now,
        now,
        now,
        no(Running),
        no(NotReady),
        no(NotReady),
        now,
        now,
    ];
    let syncing = [now, now, now, no(Running), no(NotReady), now, now, now];
    let can_send = [now, now, now, no(Running), now, now, now, now];
    let rows = [
        (Stage::Idle, &down, idle),
        (Stage::Opening, &init, opening),
        (Stage::Opening, &asleep, waking),
        (Stage::CalledOff, &down, called_off),
        (Stage::Running, &init, no_account),
        (Stage::Running, &code, no_account),
        (Stage::Running, &linked, syncing),
        (Stage::Running, &ready, can_send),
        (Stage::Running, &asleep, waking),
        (Stage::Hibernating, &asleep, waking),
        (Stage::Closing, &ready, closing),
        (Stage::Closing, &asleep, falling_asleep),
        (Stage::Stopping, &ready, stopping),
    ];
    for (stage, state, wanted) in rows {
        for (name, wanted) in NAMES.iter().zip(wanted) {
            let admission = admit(stage, state, &command(name));
            assert_eq!(admission, wanted, "{name}, {stage:?}, {}", state.name());
        }
    }
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
        let needs_a_page = ["check", "evidence"].contains(&name);
        if needs_a_page && stage != Stage::Running {
            prop_assert_ne!(admission, Admission::Now);
        }
        // What is kept is given out later, by another stage or another state.
        match admission {
            Admission::AfterClosing => {
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
