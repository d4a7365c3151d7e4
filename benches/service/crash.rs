//! Are messages lost or doubled, in either direction, while services and Chromes are killed? `--kills N --seed S --sessions K
//! --log FILE`; `--others-ms N`: how long others wait between two messages of a chat, at most.

use std::time::Duration;

use super::{
    argument,
    support::crash::{BUSY, Plan, TALKATIVE, run},
};

const KILLS: u32 = 30;
const SESSIONS: u64 = 3;

/// Answers whether all went well.
pub(super) async fn bench() -> bool {
    let number = |name| argument(name).map(|given| given.parse::<u64>().expect(name));
    let milliseconds = |given: String| Duration::from_millis(given.parse().expect("--others-ms"));
    let plan = Plan {
        seed: number("--seed").unwrap_or_else(|| u64::from(rand::random::<u32>())),
        kills: number("--kills").map_or(KILLS, |kills| u32::try_from(kills).expect("--kills")),
        sessions: number("--sessions").unwrap_or(SESSIONS),
        is_attended: false,
        pause: BUSY,
        has_media: true,
        others: Some(argument("--others-ms").map_or(TALKATIVE, milliseconds)),
        log: argument("--log").map(Into::into),
    };
    println!("{plan:?}");
    let report = run(plan).await;
    println!("{report}");
    report.is_clean()
}
