//! Which session has a page of which account: two profiles may be copies of one, and their sessions take the account from
//! each other.
//!
//! Responsible for the names only: who takes the account back, and how often, [`deadlines`](super::deadlines) decides.

use std::{collections::BTreeMap, sync::Arc};

use parking_lot::Mutex;

use crate::{masked::Number, session::ClienteId};

/// The accounts of the sessions whose page is open. A clone is the same table.
#[derive(Clone, Debug, Default)]
pub(in crate::session) struct Accounts(Arc<Mutex<BTreeMap<ClienteId, Number>>>);

impl Accounts {
    /// The place of a session whose page opens.
    pub(in crate::session) fn hold(&self, id: &ClienteId) -> HeldAccount {
        HeldAccount {
            id: id.clone(),
            accounts: self.clone(),
        }
    }
}

/// What one session has, as long as its page is open.
#[derive(Debug)]
pub(in crate::session) struct HeldAccount {
    id: ClienteId,
    accounts: Accounts,
}

impl HeldAccount {
    /// The page is linked to this account, or to none.
    pub(in crate::session) fn set(&self, account: Option<Number>) {
        let mut accounts = self.accounts.0.lock();
        match account {
            Some(account) => accounts.insert(self.id.clone(), account),
            None => accounts.remove(&self.id),
        };
    }

    /// Another session with a page of the same account.
    pub(in crate::session) fn other_session(&self) -> Option<ClienteId> {
        let accounts = self.accounts.0.lock();
        let own = accounts.get(&self.id)?;
        let mut others = accounts.iter().filter(|(id, _)| **id != self.id);
        let (id, _) = others.find(|(_, account)| *account == own)?;
        Some(id.clone())
    }
}

impl Drop for HeldAccount {
    fn drop(&mut self) {
        self.accounts.0.lock().remove(&self.id);
    }
}
