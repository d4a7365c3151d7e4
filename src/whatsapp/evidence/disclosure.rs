//! What a page may have on it, and so what of it may be kept. Pure.

use super::{Kept, LeftOut};
use crate::whatsapp::Standing;

/// What a page may have on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Account {
    /// No account was ever linked to this profile.
    NeverLinked,
    /// The login screen.
    Login,
    /// Perhaps chats: the profile was linked once, or the login screen has given way to something.
    PerhapsChats,
    /// An account has been linked since the page was opened.
    Linked,
}

/// See the module.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is seen or not, whatever the others are"
)]
pub(super) struct Disclosure {
    account: Account,
    /// A code to scan is on show.
    has_code: bool,
    /// A code to type, or to compare with the phone's, is on show: no reader finds that one in a picture.
    has_pairing_code: bool,
    /// A phone number was typed into this document.
    has_number: bool,
    keeps_chats: bool,
}

impl Disclosure {
    pub(super) const fn new(was_linked: bool, keeps_chats: bool) -> Self {
        Self {
            account: if was_linked {
                Account::PerhapsChats
            } else {
                Account::NeverLinked
            },
            has_code: false,
            has_pairing_code: false,
            has_number: false,
            keeps_chats,
        }
    }

    /// A phone number is about to be typed.
    pub(super) const fn on_number(&mut self) {
        self.has_number = true;
    }

    /// Another document has begun.
    pub(super) const fn on_document(&mut self) {
        self.has_number = false;
    }

    /// The page stands like this now. Answers whether an account has just been linked.
    pub(super) fn on_standing(&mut self, standing: &Standing) -> bool {
        let before = self.account;
        self.has_code = standing.code.is_some();
        let compared = standing.passkey.as_ref();
        let compared = compared.and_then(|passkey| passkey.code.as_ref());
        self.has_pairing_code = standing.pairing_code.is_some() || compared.is_some();
        self.account = if before == Account::Linked || standing.linked {
            Account::Linked
        } else if standing.login {
            Account::Login
        } else if before == Account::Login {
            Account::PerhapsChats
        } else {
            before
        };
        self.account == Account::Linked && before != Account::Linked
    }

    /// Whether the operator wants chats to be kept too.
    pub(super) const fn keeps_chats(&self) -> bool {
        self.keeps_chats
    }

    pub(super) const fn may_be_shown(&self) -> bool {
        self.keeps_chats || matches!(self.account, Account::NeverLinked | Account::Login)
    }

    /// Why no picture may be taken at all.
    pub(super) const fn left_out(&self) -> Option<LeftOut> {
        if !self.may_be_shown() {
            Some(LeftOut::Chats)
        } else if self.has_number {
            // It may be gone by the time at which the picture is decided on.
            Some(LeftOut::Number)
        } else {
            None
        }
    }

    /// Decides on a picture by what is known after it was taken: the page may have changed meanwhile.
    pub(super) fn censor(&self, png: Vec<u8>, codes: usize) -> Kept<Vec<u8>> {
        if !self.may_be_shown() {
            Err(LeftOut::Chats)
        } else if self.has_pairing_code || (self.has_code && codes == 0) {
            Err(LeftOut::Code)
        } else if self.has_number {
            Err(LeftOut::Number)
        } else {
            Ok(png)
        }
    }
}
