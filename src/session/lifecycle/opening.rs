//! From asking for a Chrome to having one, or knowing why there is none.

use std::{sync::Arc, time::Duration};

use tokio::{sync::mpsc, time::sleep};
use tokio_util::sync::CancellationToken;

use super::{
    Actor,
    admission::Stage,
    capacity::{Starting, Turn},
    hibernation::on_late_wake,
    mailbox::{Heard, Mail},
    options::ActorOptions,
};
use crate::{
    session::{
        Phase, Reason, ReasonCode, SessionState, StartLimits,
        command::{Command, LifeCommand, answer},
        publisher::Publisher,
        run_end::End,
        state::Event,
    },
    whatsapp::{Driver, Fact, OpenError},
};

/// A start that is past the limit of LAUNCH ends and says what Chrome said; looking for Chrome and closing it come
/// on top, 20 s and 8.5 s at most. One that is still not back then is called off.
const LAUNCH_GRACE: Duration = Duration::from_secs(30);

/// A start that ended before there was a page.
#[derive(Debug)]
pub(super) struct NotOpened {
    pub(super) end: End,
    /// The last lines that Chrome printed.
    pub(super) chrome_output: Vec<String>,
}

impl From<End> for NotOpened {
    fn from(end: End) -> Self {
        Self {
            end,
            chrome_output: Vec::new(),
        }
    }
}

impl<D: Driver> Actor<D> {
    /// Waits for its turn and starts Chrome.
    pub(super) async fn opening(
        &mut self,
        facts: mpsc::Sender<Fact>,
        starting: Starting,
    ) -> Result<(D, Turn), NotOpened> {
        let call_off = self.options.stop.child_token();
        let late = CancellationToken::new();
        let opening = start::<D>(
            &self.options,
            &self.publisher,
            facts,
            starting,
            &call_off,
            &late,
        );
        tokio::pin!(opening);

        let mut asked_to_end = None;
        let opened = loop {
            let is_waking = self.publisher.state() == SessionState::Hibernating;
            let stage = if asked_to_end.is_some() {
                Stage::CalledOff
            } else {
                Stage::Opening
            };
            let wake_by = self.mail.wake_by();
            let heard = self
                .mail
                .wait(&mut self.intake, stage, &mut opening, wake_by);
            let mail = match heard.await {
                Heard::StageWork(opened) => break opened,
                Heard::Mail(mail) => mail,
                Heard::Deadline => {
                    on_late_wake(&self.publisher, false);
                    let why = self.publisher.not_ready();
                    self.mail.refuse_waiting(&mut self.intake, &why);
                    continue;
                }
                // The start itself hears it, and ends.
                Heard::Stop => continue,
            };
            match mail {
                Mail::Command(Command::Life(LifeCommand::Connect { phone, reply, .. })) => {
                    self.phone = phone.or(self.phone.take());
                    answer(reply, Ok(is_waking));
                }
                Mail::Command(Command::Life(LifeCommand::Disconnect {
                    logout: false,
                    reply,
                })) => {
                    // Nor does it take sends any more.
                    self.publisher
                        .apply(&Event::Unready, Some(End::requested().reason));
                    call_off.cancel();
                    asked_to_end = Some(reply);
                }
                // Refused or kept in this stage, or about a Chrome that is gone.
                Mail::Command(
                    Command::Life(
                        LifeCommand::Disconnect { logout: true, .. } | LifeCommand::Forget { .. },
                    )
                    | Command::Page(_),
                )
                | Mail::DealtWith
                | Mail::Closed => {}
            }
        };
        let why = match (opened, asked_to_end) {
            (Ok(opened), None) => return Ok(opened),
            (Ok((driver, _turn)), Some(asked)) => {
                // It came up in the moment in which it was called off.
                self.mail.during(&mut self.intake, driver.close()).await;
                return Err(End::disconnect(asked).into());
            }
            (Err(_), Some(asked)) => return Err(End::disconnect(asked).into()),
            (Err(why), None) => why,
        };
        Err(NotOpened {
            end: End::of(why_not(
                &why,
                late.is_cancelled(),
                self.options.shared.config.limits,
            )),
            chrome_output: why.chrome_output(),
        })
    }
}

/// Chrome, once its turn has come. What takes too long is called off, and is then `late`.
async fn start<D: Driver>(
    options: &ActorOptions<D>,
    publisher: &Publisher,
    facts: mpsc::Sender<Fact>,
    starting: Starting,
    call_off: &CancellationToken,
    late: &CancellationToken,
) -> Result<(D, Turn), OpenError> {
    let permit = tokio::select! {
        biased;
        () = call_off.cancelled() => return Err(OpenError::Cancelled),
        permit = Arc::clone(&options.shared.starts).acquire_owned() => permit.map_err(|_closed| OpenError::Cancelled)?,
    };
    let turn = starting.take_turn(permit);
    let limit = options.shared.config.limits.launch;
    publisher.reach(Some((Phase::Launch, Some(limit))));
    let opening = D::open(&options.page, &options.profile, facts, call_off.clone());
    tokio::pin!(opening);
    let driver = tokio::select! {
        opened = &mut opening => opened?,
        () = sleep(limit + LAUNCH_GRACE) => {
            late.cancel();
            call_off.cancel();
            opening.await?
        }
    };
    Ok((driver, turn))
}

/// Why there is no Chrome; `is_late`: the start was called off because it took too long.
fn why_not(why: &OpenError, is_late: bool, limits: StartLimits) -> Reason {
    match why {
        OpenError::Cancelled if is_late => limits.passed(Phase::Launch),
        OpenError::Cancelled => End::stopping().reason,
        OpenError::Scripts(why) => Reason::new(ReasonCode::ScriptsUnreadable, why.as_str()),
        OpenError::Setup(why) => Reason::new(
            ReasonCode::ChromeFailed,
            format!("Chrome came up but could not be set up: {why}; POST /connect tries again"),
        ),
        OpenError::Browser(why) => Reason::from_browser(why),
    }
}
