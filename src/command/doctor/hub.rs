//! The backend Central Hub: whether it takes the login that is set.

use super::report::{Check, Finding};
use crate::{
    config::Config,
    delivery::{HubAccess, try_login},
    masked::Credential,
};

const NAME: &str = "central-hub";

/// Nothing where no hub is meant.
pub(super) async fn examine(config: &Config) -> Vec<Check> {
    let hub = &config.central_hub;
    let missing = hub.missing();
    let (Some(base), Some(user), Some(pass)) = (&hub.base_url, &hub.user, &hub.pass) else {
        if missing.len() == 3 {
            return Vec::new();
        }
        let found = format!("the bridge is off: {} not set", missing.join(", "));
        let remedy = "set what is missing, or take the others out of .env (docs/bridge.md)";
        return vec![(NAME, Finding::warn(found, remedy))];
    };
    let access = HubAccess {
        base: base.clone(),
        user: user.clone(),
        pass: Credential::from(pass.reveal()),
        internal_token: None,
    };
    let finding = match try_login(access).await {
        Ok(()) => Finding::ok("the hub takes CENTRAL_HUB_USER and CENTRAL_HUB_PASS"),
        // The service runs, and messages wait for the hub.
        Err(why) => Finding::warn(
            why,
            "look at the hub and at CENTRAL_HUB_*: what is to be reported to it waits until it answers",
        ),
    };
    vec![(NAME, finding)]
}
