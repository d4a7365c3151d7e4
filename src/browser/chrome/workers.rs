//! Service workers given the page's client hints before their first line runs.
//!
//! No override of the page reaches them: headless-shell calls itself `HeadlessChrome` there. chromiumoxide has no way
//! to speak to them either. So the relay lets this part attach to Chrome a second time, over the same pipe, and hands it all
//! that is said there; chromiumoxide hears nothing of it. (The user agent itself needs no help: the command line's reaches
//! them.)
//!
//! Only decides what to send; the relay sends it.

use std::{borrow::Cow, collections::HashSet};

use chromiumoxide::{
    Method as _,
    cdp::{
        browser_protocol::{
            emulation::SetUserAgentOverrideParams,
            target::{FilterEntry, SetAutoAttachParams, TargetFilter},
        },
        js_protocol::runtime::RunIfWaitingForDebuggerParams,
    },
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::browser::{
    ChromeVersion,
    chrome::user_agent,
    processes::pipe::{Envelope, Pipe, call},
};

const SERVICE_WORKER: &str = "service_worker";

/// What the first commands are numbered. Each session counts for itself, and on that of Chrome itself chromiumoxide begins
/// only after these have been answered.
const ATTACH: i64 = 1;
const LISTEN: i64 = 2;

/// The target that a message is for.
#[derive(Deserialize)]
struct Heading<'a> {
    #[serde(borrow, default, rename = "sessionId")]
    session: Option<Cow<'a, str>>,
}

/// Sees every service worker of this Chrome before it starts.
#[derive(Debug)]
pub(in crate::browser) struct ServiceWorkers {
    /// The session on which they are reported.
    reports: String,
    /// The sessions of those that are there.
    attached: HashSet<String>,
    hints: Value,
    calls: i64,
}

impl ServiceWorkers {
    /// Asks Chrome to report them; from here on they wait for what [`ServiceWorkers::take`] answers.
    ///
    /// The commands that are to be sent at once come with it.
    pub(in crate::browser) async fn listen(
        pipe: &mut Pipe,
        version: &ChromeVersion,
    ) -> Result<(Self, Vec<String>), String> {
        let attached = pipe
            .ask(
                ATTACH,
                None,
                "Target.attachToBrowserTarget",
                &json!({}),
                drop,
            )
            .await?;
        let reports = attached["sessionId"]
            .as_str()
            .ok_or("Chrome names no session")?
            .to_owned();
        let mut workers = Self {
            reports: reports.clone(),
            attached: HashSet::new(),
            hints: to_value(&user_agent::with_client_hints(version))?,
            calls: LISTEN,
        };
        let only_them = FilterEntry::builder().r#type(SERVICE_WORKER).build();
        let attach = SetAutoAttachParams {
            flatten: Some(true),
            filter: Some(TargetFilter::new([only_them])),
            ..SetAutoAttachParams::new(true, true)
        };
        let method = attach.identifier();
        // A profile that was used before may have one running already.
        let mut commands = Vec::new();
        pipe.ask(
            LISTEN,
            Some(&reports),
            &method,
            &to_value(&attach)?,
            |report| commands.extend(workers.on(&report).unwrap_or_default()),
        )
        .await?;
        Ok((workers, commands))
    }

    /// Takes a message that is about them and answers with what to send; `None` for all others.
    pub(in crate::browser) fn take(&mut self, message: &[u8]) -> Option<Vec<String>> {
        // Nearly all messages are for chromiumoxide: of them only the target is read.
        let Heading { session } = serde_json::from_slice(message).ok()?;
        if !self.is_ours(&session?) {
            return None;
        }
        self.on(&serde_json::from_slice(message).ok()?)
    }

    fn is_ours(&self, session: &str) -> bool {
        session == self.reports || self.attached.contains(session)
    }

    fn on(&mut self, said: &Envelope) -> Option<Vec<String>> {
        let session = said.session.as_deref()?;
        if self.attached.contains(session) {
            if !said.error.is_null() {
                tracing::debug!(error = %said.error, "a service worker was not given its client hints");
            }
            return Some(Vec::new());
        }
        if session != self.reports {
            return None;
        }
        let worker = said.params["sessionId"].as_str().map(str::to_owned);
        Some(match (said.method.as_deref(), worker) {
            (Some("Target.attachedToTarget"), Some(worker)) => self.set_client_hints(worker),
            (Some("Target.detachedFromTarget"), Some(worker)) => {
                self.attached.remove(&worker);
                Vec::new()
            }
            _ => Vec::new(),
        })
    }

    /// Its client hints, then its start.
    fn set_client_hints(&mut self, worker: String) -> Vec<String> {
        let calls = &mut self.calls;
        let mut say = |method: &str, params: &Value| {
            *calls += 1;
            call(*calls, Some(&worker), method, params)
        };
        let commands = vec![
            say(SetUserAgentOverrideParams::IDENTIFIER, &self.hints),
            say(RunIfWaitingForDebuggerParams::IDENTIFIER, &json!({})),
        ];
        self.attached.insert(worker);
        commands
    }
}

fn to_value(params: &impl serde::Serialize) -> Result<Value, String> {
    serde_json::to_value(params).map_err(|why| why.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workers() -> ServiceWorkers {
        ServiceWorkers {
            reports: "R".to_owned(),
            attached: HashSet::new(),
            hints: json!({ "userAgent": "Agent" }),
            calls: LISTEN,
        }
    }

    fn report(method: &str, worker: &str) -> Vec<u8> {
        json!({ "method": method, "params": { "sessionId": worker }, "sessionId": "R" })
            .to_string()
            .into_bytes()
    }

    #[test]
    fn a_worker_gets_its_hints_and_then_runs() {
        let mut workers = workers();
        let commands = workers
            .take(&report("Target.attachedToTarget", "W"))
            .unwrap();
        let commands: Vec<Value> = commands
            .iter()
            .map(|command| serde_json::from_str(command).unwrap())
            .collect();
        assert_eq!(commands[0]["method"], "Emulation.setUserAgentOverride");
        assert_eq!(commands[0]["params"]["userAgent"], "Agent");
        assert_eq!(commands[1]["method"], "Runtime.runIfWaitingForDebugger");
        assert!(commands.iter().all(|command| command["sessionId"] == "W"));
        assert_ne!(commands[0]["id"], commands[1]["id"]);
    }

    #[test]
    fn what_is_about_a_worker_is_taken_and_nothing_else() {
        let mut workers = workers();
        let answer = br#"{"id":3,"result":{},"sessionId":"W"}"#;
        assert_eq!(workers.take(answer), None);
        workers.take(&report("Target.attachedToTarget", "W"));
        assert_eq!(workers.take(answer), Some(Vec::new()));
        // A page may write the names of sessions into its messages.
        for other in [
            r#"{"id":3,"result":{"sessionId":"W"}}"#,
            r#"{"id":3,"result":{"value":"\"sessionId\":\"R\""},"sessionId":"P"}"#,
            r#"{"method":"Target.attachedToTarget","params":{"sessionId":"R"}}"#,
            "no JSON",
        ] {
            assert_eq!(workers.take(other.as_bytes()), None, "{other}");
        }
        workers.take(&report("Target.detachedFromTarget", "W"));
        assert_eq!(workers.take(answer), None);
    }
}
