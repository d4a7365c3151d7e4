//! What a session whose page is open does when it is asked for something.
//!
//! A send goes to [`Sending`](crate::session::sending::Sending); what the page answers comes back to [`running`](super).

use futures_util::FutureExt as _;
use tokio::time::Instant;

use super::{Answer, LogoutReply, Serving, winding_down::logged_out};
use crate::{
    session::{
        DisconnectError, Evidence,
        command::{Command, LifeCommand, PageCommand, answer},
        linking::pairing::Request,
        run_end::End,
    },
    whatsapp::Driver,
};

impl<D: Driver> Serving<'_, D> {
    pub(super) fn on_command(&mut self, command: Command) -> Option<End> {
        let state = self.publisher.state();
        match command {
            Command::Life(LifeCommand::Connect { phone, reply, .. }) => {
                self.idle_clock.on_asked();
                if let Some(phone) = phone.filter(|_| !self.page.standing().linked) {
                    self.pairing.want(phone);
                    self.publisher.explain_pairing(None);
                }
                answer(reply, Ok(state.takes_sends()));
            }
            Command::Life(LifeCommand::Disconnect {
                logout: false,
                reply,
            }) => return Some(End::disconnect(reply)),
            Command::Life(LifeCommand::Disconnect {
                logout: true,
                reply,
            }) => return self.log_out(reply),
            // Refused while a page is open.
            Command::Life(LifeCommand::Forget { .. }) => {}
            Command::Page(command) => {
                self.on_page_command(command);
                return self.relieve(Instant::now());
            }
        }
        None
    }

    fn on_page_command(&mut self, command: PageCommand) {
        match command {
            // The mailbox has given both to the intake.
            PageCommand::Send { .. } | PageCommand::Remove { .. } => {}
            PageCommand::Check { to, reply } => self.sending.check(to, reply),
            PageCommand::Measured { chrome_pid, memory } => {
                self.publisher.tell_memory(chrome_pid, memory);
                self.budget.on_sample(memory.mb, Instant::now());
            }
            PageCommand::Evidence { reply } => {
                self.lookers.push(reply);
                // Whoever asks while the page is being looked at gets what that one look sees.
                if self.lookers.len() == 1 {
                    let known = Evidence::of(&self.publisher.snapshot());
                    let taking = self.options.evidence.clone().take_now(self.driver, known);
                    let take = async move { Answer::LookedAt(Box::new(taking.await)) };
                    self.calls.push(take.boxed());
                }
            }
        }
    }

    /// Unlinks the device, beside everything else. A page that asks for a scan has nothing to unlink.
    fn log_out(&mut self, reply: LogoutReply) -> Option<End> {
        let standing = self.page.standing();
        if standing.login {
            return Some(logged_out(vec![reply]));
        }
        if !standing.linked {
            answer(reply, Err(DisconnectError::NotLinked));
            return None;
        }
        self.logouts.push(reply);
        if self.logouts.len() == 1 {
            let driver = self.driver;
            let log_out = async move { Answer::LoggedOut(driver.log_out().await) };
            self.calls.push(log_out.boxed());
        }
        None
    }

    /// Asks the page for a code that links by phone number, when one is due.
    pub(super) fn begin_pairing(&mut self) {
        let Some(Request { phone, is_renewal }) = self.pairing.begin(Instant::now()) else {
            return;
        };
        tracing::info!(
            renewal = is_renewal,
            "asking for a code that links phone {phone}"
        );
        let driver = self.driver;
        let ask = async move {
            let asked = driver.request_pairing_code(phone.digits(), is_renewal);
            Answer::Pairing(asked.await)
        };
        self.calls.push(ask.boxed());
    }
}
