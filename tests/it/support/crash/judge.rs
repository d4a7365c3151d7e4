//! Whether everything was heard: what WhatsApp's server has of the accounts, against what the log of events says and what a
//! receiver of webhooks was given. Pure: lists in, lists out.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
    time::Duration,
};

/// So many of a kind are shown. One fault of the service may touch thousands of messages.
const MOST_SHOWN: usize = 20;

/// Who wrote a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Author {
    /// Another person.
    Other,
    /// The owner of the account, by hand on the phone.
    Owner,
    /// The service, for a client of its API.
    Service,
}

impl Author {
    /// The type of its event, and the source that this has.
    const fn said(self) -> (&'static str, Option<&'static str>) {
        match self {
            Self::Other => ("message", None),
            Self::Owner => ("message.own", Some("phone")),
            Self::Service => ("message.own", Some("api")),
        }
    }
}

/// A message that WhatsApp's server has. Those of one chat are in the order in which they were written.
#[derive(Clone, Debug)]
pub(super) struct Written {
    pub(super) session: u64,
    pub(super) chat: String,
    pub(super) author: Author,
    /// Its own id at WhatsApp.
    pub(super) key: String,
    pub(super) text: String,
}

/// An event about a new message, as `GET /events` has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Logged {
    pub(super) id: String,
    pub(super) session: u64,
    pub(super) kind: String,
    pub(super) source: Option<String>,
    pub(super) key: String,
    pub(super) text: Option<String>,
    pub(super) is_late: bool,
}

/// An event that the receiver has taken. What comes twice is there twice.
#[derive(Clone, Debug)]
pub(super) struct Taken {
    /// Its `webhook-id`.
    pub(super) id: String,
    pub(super) session: u64,
    pub(super) key: String,
}

/// What there is to judge.
#[derive(Debug, Default)]
pub(super) struct Heard {
    pub(super) written: Vec<Written>,
    /// The log, read from its beginning when all is over.
    pub(super) log: Vec<Logged>,
    /// The same, as a reader got it that followed by its cursor while everything broke.
    pub(super) followed: Vec<Logged>,
    /// In the order in which it came.
    pub(super) taken: Vec<Taken>,
    /// The most that was outstanding when nothing was broken any more, and how long it took until nothing was.
    pub(super) gathered: usize,
    pub(super) drained_in: Option<Duration>,
}

/// The figures. All was heard when nothing is in the lists.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    by_others: usize,
    by_hand: usize,
    by_service: usize,
    late: usize,
    deliveries: usize,
    /// Events that were delivered more than once, as they may.
    repeated: usize,
    gathered: usize,
    drained_in: Option<Duration>,
    lost: Vec<String>,
    doubled: Vec<String>,
    invented: Vec<String>,
    changed: Vec<String>,
    disordered: Vec<String>,
    undelivered: Vec<String>,
    renamed: Vec<String>,
    overtaken: Vec<String>,
    misread: Vec<String>,
}

/// What one message is found by.
type Name<'a> = (u64, &'a str);

impl Heard {
    /// Messages that have no event in what a follower got, or whose event the receiver has not got.
    pub(super) fn outstanding(&self) -> usize {
        let taken: BTreeSet<Name<'_>> = self.taken.iter().map(Taken::name).collect();
        let followed: BTreeSet<Name<'_>> = self.followed.iter().map(Logged::name).collect();
        let is_there = |name: &Name<'_>| taken.contains(name) && followed.contains(name);
        let names = self.written.iter().map(Written::name);
        names.filter(|name| !is_there(name)).count()
    }

    pub(super) fn judge(&self) -> Verdict {
        let count = |author| {
            let by = self.written.iter().filter(|one| one.author == author);
            by.count()
        };
        let mut verdict = Verdict {
            by_others: count(Author::Other),
            by_hand: count(Author::Owner),
            by_service: count(Author::Service),
            late: self.log.iter().filter(|event| event.is_late).count(),
            deliveries: self.taken.len(),
            gathered: self.gathered,
            drained_in: self.drained_in,
            ..Verdict::default()
        };
        let mut events: HashMap<Name<'_>, Vec<&Logged>> = HashMap::new();
        for event in &self.log {
            events.entry(event.name()).or_default().push(event);
        }
        verdict.look_at_the_log(&self.written, &events);
        verdict.look_at_the_receiver(&self.written, &events, &self.taken);
        let in_log = first_places(self.log.iter().map(Logged::name));
        verdict.disordered = out_of_order(&self.written, &in_log);
        let at_receiver = first_places(self.taken.iter().map(Taken::name));
        verdict.overtaken = out_of_order(&self.written, &at_receiver);
        verdict.misread = differences(&self.log, &self.followed);
        verdict
    }
}

impl Verdict {
    fn look_at_the_log(&mut self, written: &[Written], events: &HashMap<Name<'_>, Vec<&Logged>>) {
        for message in written {
            match events.get(&message.name()).map(Vec::as_slice) {
                None | Some([]) => self.lost.push(message.to_string()),
                Some([event]) => {
                    if let Some(how) = message.differs_from(event) {
                        self.changed.push(format!("{message}: {how}"));
                    }
                }
                Some(several) => {
                    let ids: Vec<_> = several.iter().map(|event| event.id.as_str()).collect();
                    self.doubled.push(format!("{message} ({})", ids.join(" ")));
                }
            }
        }
        let known: BTreeSet<Name<'_>> = written.iter().map(Written::name).collect();
        let mut invented: Vec<_> = events
            .keys()
            .filter(|name| !known.contains(*name))
            .collect();
        invented.sort_unstable();
        let shown = invented
            .iter()
            .map(|(session, key)| format!("{key} of session {session}"));
        self.invented = shown.collect();
    }

    fn look_at_the_receiver(
        &mut self,
        written: &[Written],
        events: &HashMap<Name<'_>, Vec<&Logged>>,
        taken: &[Taken],
    ) {
        let mut arrivals: HashMap<Name<'_>, BTreeMap<&str, usize>> = HashMap::new();
        for event in taken {
            let of_message = arrivals.entry(event.name()).or_default();
            *of_message.entry(event.id.as_str()).or_default() += 1;
        }
        for message in written {
            // What is not in the log cannot be delivered, and is counted as lost.
            let Some(logged) = events.get(&message.name()) else {
                continue;
            };
            let Some(came) = arrivals.get(&message.name()) else {
                self.undelivered.push(message.to_string());
                continue;
            };
            let is_its_own = |id: &&str| logged.iter().any(|event| event.id == **id);
            if came.len() > 1 || !came.keys().all(is_its_own) {
                let ids: Vec<_> = came.keys().copied().collect();
                self.renamed.push(format!("{message} ({})", ids.join(" ")));
            }
            self.repeated += usize::from(came.values().any(|times| *times > 1));
        }
    }

    /// Whether each message was heard and delivered as it should be.
    pub(crate) fn is_clean(&self) -> bool {
        self.faults().all(|(_, messages)| messages.is_empty())
            // A run in which nothing came proves nothing.
            && self.by_others > 0
            && self.by_hand > 0
    }

    fn faults(&self) -> impl Iterator<Item = (&'static str, &Vec<String>)> {
        [
            ("lost", &self.lost),
            ("doubled in the log", &self.doubled),
            ("never written, in the log", &self.invented),
            ("changed", &self.changed),
            ("out of order in the log", &self.disordered),
            ("never delivered", &self.undelivered),
            ("under another webhook-id", &self.renamed),
            ("delivered out of order", &self.overtaken),
            ("misread by a follower", &self.misread),
        ]
        .into_iter()
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, count) in [
            ("written by others", self.by_others),
            ("written by hand", self.by_hand),
            ("sent by the service", self.by_service),
            ("late", self.late),
            ("deliveries taken", self.deliveries),
            ("delivered repeatedly", self.repeated),
            ("outstanding at the end", self.gathered),
        ] {
            writeln!(f, "{name:26} {count}")?;
        }
        if let Some(time) = self.drained_in {
            writeln!(
                f,
                "{:26} {:.0}",
                "seconds until none was",
                time.as_secs_f64()
            )?;
        }
        for (fault, messages) in self.faults() {
            let shown: Vec<_> = messages
                .iter()
                .take(MOST_SHOWN)
                .map(String::as_str)
                .collect();
            let more = if messages.len() > MOST_SHOWN {
                ", …"
            } else {
                ""
            };
            writeln!(
                f,
                "{fault:26} {} {}{more}",
                messages.len(),
                shown.join(", ")
            )?;
        }
        Ok(())
    }
}

impl Written {
    fn name(&self) -> Name<'_> {
        (self.session, &self.key)
    }

    /// In what its event says something else.
    fn differs_from(&self, event: &Logged) -> Option<String> {
        let said = (event.kind.as_str(), event.source.as_deref());
        if said != self.author.said() {
            return Some(format!("{said:?}"));
        }
        let is_another = event.text.as_ref().is_some_and(|text| *text != self.text);
        is_another.then(|| "another text".to_owned())
    }
}

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.text, self.key)
    }
}

impl Logged {
    fn name(&self) -> Name<'_> {
        (self.session, &self.key)
    }
}

impl Taken {
    fn name(&self) -> Name<'_> {
        (self.session, &self.key)
    }
}

fn first_places<'a>(names: impl Iterator<Item = Name<'a>>) -> HashMap<Name<'a>, usize> {
    let mut places = HashMap::new();
    for (at, name) in names.enumerate() {
        places.entry(name).or_insert(at);
    }
    places
}

/// Messages that are there before one that was written before them in their chat. What the service sends is in the log once it is
/// acknowledged, and acknowledgements may overtake each other: its order is judged by what WhatsApp's server took.
fn out_of_order(written: &[Written], places: &HashMap<Name<'_>, usize>) -> Vec<String> {
    let mut newest: HashMap<(u64, &str), (usize, &Written)> = HashMap::new();
    let mut found = Vec::new();
    for message in written.iter().filter(|one| one.author != Author::Service) {
        let Some(at) = places.get(&message.name()) else {
            continue;
        };
        let chat = (message.session, message.chat.as_str());
        let (before, overtaker) = *newest.entry(chat).or_insert((*at, message));
        if *at < before {
            found.push(format!("{message} before {overtaker}"));
        } else {
            newest.insert(chat, (*at, message));
        }
    }
    found
}

/// What a follower has not got as the log has it: each event once, in the order of the log.
fn differences(log: &[Logged], followed: &[Logged]) -> Vec<String> {
    if log == followed {
        return Vec::new();
    }
    let ids = |events: &[Logged]| {
        let mut times = BTreeMap::<String, usize>::new();
        for event in events {
            *times.entry(event.id.clone()).or_default() += 1;
        }
        times
    };
    let (in_log, got) = (ids(log), ids(followed));
    let missed = in_log.keys().filter(|id| !got.contains_key(*id));
    let twice = got.iter().filter(|(_, times)| **times > 1);
    let other = got.keys().filter(|id| !in_log.contains_key(*id));
    let mut found: Vec<_> = missed
        .map(|id| format!("{id} missed"))
        .chain(twice.map(|(id, times)| format!("{id} ×{times}")))
        .chain(other.map(|id| format!("{id} is not in the log any more")))
        .collect();
    if found.is_empty() {
        found.push("the order, or what an event says".to_owned());
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three messages of one chat, of which the owner has written the second by hand, and one that the service sent; all of it heard
    /// and delivered.
    fn heard() -> Heard {
        let written: Vec<_> = [
            (Author::Other, "A"),
            (Author::Owner, "B"),
            (Author::Other, "C"),
            (Author::Service, "D"),
        ]
        .into_iter()
        .map(|(author, key)| Written {
            session: 1,
            chat: "ana".to_owned(),
            author,
            key: key.to_owned(),
            text: format!("text {key}"),
        })
        .collect();
        let log: Vec<_> = written
            .iter()
            .map(|message| Logged {
                id: format!("evt_{}", message.key),
                session: 1,
                kind: message.author.said().0.to_owned(),
                source: message.author.said().1.map(str::to_owned),
                key: message.key.clone(),
                text: Some(message.text.clone()),
                is_late: message.key == "C",
            })
            .collect();
        let taken = log.iter().map(|event| Taken {
            id: event.id.clone(),
            session: 1,
            key: event.key.clone(),
        });
        Heard {
            taken: taken.collect(),
            followed: log.clone(),
            written,
            log,
            ..Heard::default()
        }
    }

    /// The faults that are found once this was done to it.
    #[track_caller]
    fn finds(change: impl FnOnce(&mut Heard)) -> Vec<(&'static str, Vec<String>)> {
        let mut heard = heard();
        change(&mut heard);
        let verdict = heard.judge();
        assert!(!verdict.is_clean(), "{verdict}");
        let found = verdict
            .faults()
            .filter(|(_, messages)| !messages.is_empty());
        found
            .map(|(fault, messages)| (fault, messages.clone()))
            .collect()
    }

    #[test]
    fn what_is_heard_and_delivered_in_order_is_clean_and_may_come_late_or_repeatedly() {
        let mut heard = heard();
        let again = heard.taken[1].clone();
        heard.taken.push(again);
        let verdict = heard.judge();
        assert!(verdict.is_clean(), "{verdict}");
        assert_eq!(
            (verdict.late, verdict.repeated, verdict.deliveries),
            (1, 1, 5)
        );
        assert_eq!(
            (verdict.by_others, verdict.by_hand, verdict.by_service),
            (2, 1, 1)
        );
        assert_eq!(heard.outstanding(), 0);
    }

    #[test]
    fn a_run_in_which_nothing_came_is_not_clean() {
        assert!(!Heard::default().judge().is_clean());
    }

    #[test]
    fn a_message_that_the_log_does_not_have_is_lost() {
        let found = finds(|heard| {
            for log in [&mut heard.log, &mut heard.followed] {
                log.remove(0);
            }
            heard.taken.remove(0);
            assert_eq!(heard.outstanding(), 1);
        });
        assert_eq!(found, [("lost", vec!["text A (A)".to_owned()])]);
    }

    #[test]
    fn a_message_of_another_session_with_the_same_key_does_not_stand_in_for_it() {
        let found = finds(|heard| {
            for log in [&mut heard.log, &mut heard.followed] {
                log[0].session = 2;
            }
        });
        let faults: Vec<_> = found.iter().map(|(fault, _)| *fault).collect();
        assert_eq!(faults, ["lost", "never written, in the log"]);
    }

    #[test]
    fn two_events_of_one_message_are_doubled_although_each_was_delivered() {
        let found = finds(|heard| {
            let again = Logged {
                id: "evt_again".to_owned(),
                ..heard.log[0].clone()
            };
            heard.log.push(again.clone());
            heard.followed.push(again);
            heard.taken.push(Taken {
                id: "evt_again".to_owned(),
                ..heard.taken[0].clone()
            });
        });
        let doubled = vec!["text A (A) (evt_A evt_again)".to_owned()];
        assert_eq!(
            found,
            [
                ("doubled in the log", doubled.clone()),
                ("under another webhook-id", doubled)
            ]
        );
    }

    #[test]
    fn an_event_that_says_something_else_is_changed() {
        let found = finds(|heard| {
            for log in [&mut heard.log, &mut heard.followed] {
                log[1].source = Some("api".to_owned());
                log[2].text = Some("text".to_owned());
            }
        });
        let changed = [
            "text B (B): (\"message.own\", Some(\"api\"))",
            "text C (C): another text",
        ];
        assert_eq!(found, [("changed", changed.map(str::to_owned).to_vec())]);
    }

    #[test]
    fn a_later_message_of_the_chat_that_is_there_first_is_out_of_order() {
        let found = finds(|heard| {
            heard.log.swap(0, 2);
            heard.followed.swap(0, 2);
        });
        let overtaken = [
            "text B (B) before text A (A)",
            "text C (C) before text A (A)",
        ];
        assert_eq!(
            found,
            [(
                "out of order in the log",
                overtaken.map(str::to_owned).to_vec()
            )]
        );
    }

    #[test]
    fn chats_and_what_the_service_sends_have_no_order_with_each_other() {
        let mut heard = heard();
        heard.written[2].chat = "eva".to_owned();
        heard.log.reverse();
        heard.log.swap(2, 3);
        heard.followed.clone_from(&heard.log);
        let verdict = heard.judge();
        assert!(verdict.is_clean(), "{verdict}");
    }

    #[test]
    fn what_arrives_first_counts_for_the_order_of_deliveries() {
        let found = finds(|heard| {
            let first = heard.taken.remove(0);
            heard.taken.insert(1, first);
        });
        let overtaken = vec!["text B (B) before text A (A)".to_owned()];
        assert_eq!(found, [("delivered out of order", overtaken)]);
    }

    #[test]
    fn what_the_log_has_and_the_receiver_does_not_is_undelivered() {
        let found = finds(|heard| {
            heard.taken.pop();
            assert_eq!(heard.outstanding(), 1);
        });
        assert_eq!(found, [("never delivered", vec!["text D (D)".to_owned()])]);
    }

    #[test]
    fn a_follower_gets_each_event_once_and_in_the_order_of_the_log() {
        let misread = |change: fn(&mut Vec<Logged>)| finds(|heard| change(&mut heard.followed));
        for (change, what) in [
            (
                (|log| drop(log.remove(1))) as fn(&mut Vec<Logged>),
                "evt_B missed",
            ),
            (|log| log.push(log[0].clone()), "evt_A ×2"),
            (|log| log.swap(0, 1), "the order, or what an event says"),
        ] {
            assert_eq!(
                misread(change),
                [("misread by a follower", vec![what.to_owned()])]
            );
        }
    }
}
