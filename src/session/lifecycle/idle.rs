//! A session that does not run: what it does when it is asked for something, or when its own time has come.
//!
//! Whether and when it starts again without a request, [`restart`](super::restart) knows.

use std::{convert::Infallible, future::pending};

use tokio::time::Instant;

use super::{
    Actor,
    admission::Stage,
    capacity::Admitted,
    healing::Rung,
    mailbox::{Heard, Mail},
};
use crate::{
    session::{
        DisconnectError, DisconnectOutcome,
        command::{AskedBy, Command, LifeCommand, answer},
        run_end::End,
        state::Event,
    },
    whatsapp::Driver,
};

impl<D: Driver> Actor<D> {
    /// Nothing runs. Returns when a start was asked for, `None` when the service stops.
    pub(super) async fn idle(&mut self) -> Option<Admitted> {
        loop {
            let retry_at = self.retry.map(|retry| retry.at);
            let deadline = retry_at.into_iter().chain(self.forget_at).min();
            let heard = self.mail.wait(
                &mut self.intake,
                Stage::Idle,
                pending::<Infallible>(),
                deadline,
            );
            let command = match heard.await {
                Heard::Stop | Heard::Mail(Mail::Closed) => return None,
                Heard::Mail(Mail::Command(command)) => command,
                Heard::Mail(Mail::DealtWith) => continue,
                Heard::Deadline if retry_at == deadline => {
                    if let Some(admitted) = self.start_again().await {
                        return Some(admitted);
                    }
                    continue;
                }
                Heard::Deadline => {
                    self.forget_failed_newcomer().await;
                    continue;
                }
                Heard::StageWork(never) => match never {},
            };
            match command {
                Command::Life(LifeCommand::Connect {
                    phone,
                    asked_by,
                    reply,
                }) => {
                    if let Some(retry) = self.retry.take_if(|retry| retry.rung == Rung::ProfileCopy)
                    {
                        // The start that was planned happens now, with the restoring that belongs to it.
                        self.restore_copy(retry).await;
                        self.mail.requeue_first(LifeCommand::Connect {
                            phone,
                            asked_by,
                            reply,
                        });
                        continue;
                    }
                    if asked_by == AskedBy::Restore && !self.options.desired.is_up().await {
                        // The desired state is `down`: do not restore it.
                        answer(reply, Ok(false));
                        continue;
                    }
                    let admitted = match self.options.shared.capacity.admit() {
                        Ok(admitted) => admitted,
                        Err(full) => {
                            tracing::debug!("not started: {full}");
                            answer(reply, Err(full.into()));
                            continue;
                        }
                    };
                    // Before the first await from here on.
                    if !self.stays_known() {
                        return None;
                    }
                    self.forget_at = None;
                    self.options.desired.on_connect().await;
                    let is_healing = self.retry.take().is_some();
                    if asked_by == AskedBy::Caller && !is_healing {
                        self.healing.on_asked();
                    }
                    self.phone = phone;
                    self.publisher.apply(&Event::Started, None);
                    answer(reply, Ok(false));
                    return Some(admitted);
                }
                Command::Life(LifeCommand::Disconnect { logout, reply }) => {
                    answer(reply, self.disconnect_idle(logout).await);
                }
                Command::Life(LifeCommand::Forget { reply }) => {
                    let forgotten = self.forget().await;
                    answer(reply, forgotten);
                }
                // Refused, or about a Chrome that is gone.
                Command::Page(_) => {}
            }
        }
    }

    async fn disconnect_idle(
        &mut self,
        logout: bool,
    ) -> Result<DisconnectOutcome, DisconnectError> {
        // A profile that cannot be looked at counts as one that may be linked.
        let has_profile = tokio::fs::try_exists(&self.options.profile)
            .await
            .unwrap_or(true);
        let is_missing = self.options.desired.linked_at().await.is_some()
            && self.options.safekeeping.is_missing().await;
        if logout && has_profile && !is_missing {
            Err(DisconnectError::NotLinked)
        } else {
            let End { reason, .. } = End::requested();
            self.options.desired.on_end(reason.code).await;
            if logout {
                // There is no profile to unlink by: only the desired state is given up.
                self.options.desired.forget().await;
            }
            self.healing.after(reason.code, false, Instant::now());
            if self.retry.take().is_none() {
                return Ok(DisconnectOutcome::NoActiveSession);
            }
            // It was about to start again, and is not any more.
            self.publisher.amend(|snapshot| {
                snapshot.reason = Some(reason);
                snapshot.retry_at = None;
                true
            });
            Ok(DisconnectOutcome::Disconnected)
        }
    }
}
