//! From asking for a Chrome to having one, or knowing why there is none.

use std::{sync::Arc, time::Duration};

use tokio::{sync::mpsc, time::sleep};
use tokio_util::sync::CancellationToken;

use super::{Actor, ActorOptions};
use crate::{
    session::{
        DisconnectError, Phase, Reason, ReasonCode,
        capacity::{Starting, Turn},
        end::End,
        handle::{COMMAND_CAPACITY, Command, LifeCommand, answer},
    },
    whatsapp::{Driver, Fact, OpenError},
};

/// A start that is past the limit of LAUNCH ends by itself and says what Chrome said; looking for Chrome and closing it come
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
        let ActorOptions {
            page,
            profile,
            starts,
            limits,
            ..
        } = &self.options;
        let publisher = &self.publisher;
        let late = CancellationToken::new();
        let opening = async {
            let permit = tokio::select! {
                biased;
                () = call_off.cancelled() => return Err(OpenError::Cancelled),
                permit = Arc::clone(starts).acquire_owned() => permit.map_err(|_closed| OpenError::Cancelled)?,
            };
            let turn = starting.take_turn(permit);
            publisher.reach(Some((Phase::Launch, Some(limits.launch))));
            let opening = D::open(page, profile, facts, call_off.clone());
            tokio::pin!(opening);
            let driver = tokio::select! {
                opened = &mut opening => opened?,
                () = sleep(limits.launch + LAUNCH_GRACE) => {
                    late.cancel();
                    call_off.cancel();
                    opening.await?
                }
            };
            Ok((driver, turn))
        };
        tokio::pin!(opening);

        let mut asked_to_end = None;
        let opened = loop {
            tokio::select! {
                opened = &mut opening => break opened,
                Some(command) = self.commands.recv(), if self.postponed.len() < COMMAND_CAPACITY => match command {
                    // Once it is called off, they wait until Chrome is gone.
                    Command::Life(command) if asked_to_end.is_some() => self.postponed.push_back(command),
                    Command::Life(LifeCommand::Connect { phone, reply, .. }) => {
                        self.phone = phone.or(self.phone.take());
                        answer(reply, Ok(false));
                    }
                    Command::Life(LifeCommand::Disconnect { logout: true, reply }) => answer(reply, Err(DisconnectError::NotLinked)),
                    Command::Life(LifeCommand::Disconnect { logout: false, reply }) => {
                        call_off.cancel();
                        asked_to_end = Some(reply);
                    }
                    Command::Page(command) => command.refuse(self.publisher.not_ready()),
                },
            }
        };
        let why = match (opened, asked_to_end) {
            (Ok(opened), None) => return Ok(opened),
            (Ok((driver, _turn)), Some(asked)) => {
                driver.close().await;
                return Err(End::disconnect(asked).into());
            }
            (Err(_), Some(asked)) => return Err(End::disconnect(asked).into()),
            (Err(why), None) => why,
        };
        let reason = match &why {
            OpenError::Cancelled if late.is_cancelled() => limits.passed(Phase::Launch),
            OpenError::Cancelled => return Err(End::stopping().into()),
            OpenError::Scripts(why) => Reason::new(ReasonCode::ScriptsUnreadable, why.as_str()),
            OpenError::Setup(why) => Reason::new(
                ReasonCode::ChromeFailed,
                format!("Chrome came up but could not be set up: {why}; POST /connect tries again"),
            ),
            OpenError::Browser(why) => Reason::from_browser(why),
        };
        Err(NotOpened {
            end: End::of(reason),
            chrome_output: why.chrome_output(),
        })
    }
}
