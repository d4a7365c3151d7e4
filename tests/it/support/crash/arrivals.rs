//! Whether everything arrived that was accepted: what clients were promised against what WhatsApp's server took. Pure: lists in,
//! lists out.

use std::collections::BTreeMap;

use serde_json::Value;

/// A file, as a client sent it or as the recipient's phone has found it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Medium {
    pub(super) kind: String,
    pub(super) bytes: u64,
    /// In hexadecimal digits; else why the phone cannot open it.
    pub(super) sha256: String,
}

/// A message that WhatsApp's server has taken, as the recipient's phone shows it.
#[derive(Clone, Debug)]
pub(super) struct Arrived {
    /// Its own id at WhatsApp: by it the log is searched for what became of it.
    pub(super) id: String,
    /// The text of it, or the one below its medium: no two messages have the same.
    pub(super) text: String,
    pub(super) medium: Option<Medium>,
    /// A page has handed it to the server more than once under one id, of which it keeps one.
    pub(super) is_resent: bool,
}

impl Arrived {
    /// An entry of `GET /phone/messages`.
    pub(super) fn of(message: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let media = &message["media"];
        let medium = media.is_object().then(|| Medium {
            kind: text(&media["kind"]),
            bytes: media["bytes"].as_u64().unwrap(),
            sha256: text(media.get("problem").unwrap_or(&media["sha256"])),
        });
        Self {
            id: text(&message["id"]),
            text: text(if medium.is_some() {
                &media["caption"]
            } else {
                &message["body"]
            }),
            medium,
            is_resent: message["resent"].as_u64() > Some(0),
        }
    }
}

/// What a client has sent to its chat.
#[derive(Clone, Debug, Default)]
pub(super) struct Promised {
    /// The texts, in the order in which they were accepted.
    pub(super) accepted: Vec<String>,
    /// What some of them stand below.
    pub(super) media: BTreeMap<String, Medium>,
    /// Messages whose end is unknown.
    pub(super) unknown: Vec<String>,
    /// Under way.
    pub(super) open: Vec<String>,
}

/// What all chats came to. A run is good when nothing is in the lists.
#[derive(Debug, Default)]
pub(super) struct Arrivals {
    pub(super) sends: usize,
    pub(super) media: usize,
    pub(super) media_bytes: u64,
    pub(super) resent: usize,
    pub(super) lost: Vec<String>,
    pub(super) doubled: Vec<String>,
    /// They arrived with another file, with one that cannot be opened, or with none.
    pub(super) changed: Vec<String>,
    pub(super) disordered: Vec<String>,
    pub(super) unknown: Vec<String>,
    pub(super) unfinished: Vec<String>,
}

impl Arrivals {
    /// Adds a chat. `arrived` is what the server has of it, in its order.
    pub(super) fn count(&mut self, chat: Promised, arrived: &[Arrived], is_finished: bool) {
        let accepted = &chat.accepted;
        self.sends += accepted.len();
        self.resent += arrived.iter().filter(|one| one.is_resent).count();
        let media = accepted.iter().filter_map(|text| chat.media.get(text));
        for medium in media {
            self.media += 1;
            self.media_bytes += medium.bytes;
        }
        let mut places = BTreeMap::<&str, Vec<usize>>::new();
        for (at, message) in arrived.iter().enumerate() {
            places.entry(&message.text).or_default().push(at);
        }
        for (text, places) in &places {
            let ids: Vec<_> = places.iter().map(|at| arrived[*at].id.as_str()).collect();
            if places.len() > 1 {
                let ids = ids.join(" ");
                self.doubled
                    .push(format!("{text} ×{} ({ids})", places.len()));
            }
            let expected = chat.media.get(*text);
            for (at, id) in places.iter().zip(&ids) {
                let found = arrived[*at].medium.as_ref();
                if found != expected {
                    self.changed
                        .push(format!("{text} ({id}): {found:?} and not {expected:?}"));
                }
            }
        }
        let is_lost = |text: &&String| !places.contains_key(text.as_str());
        let is_certain = |text: &&String| !chat.unknown.contains(*text);
        // One that is not finished may still arrive.
        let is_closed = |text: &&String| !chat.open.contains(*text);
        let lost = accepted.iter().filter(is_certain).filter(is_lost);
        self.lost.extend(lost.filter(is_closed).cloned());
        let first = accepted
            .iter()
            .filter_map(|text| Some((*places.get(text.as_str())?.first()?, text)));
        let first: Vec<_> = first.collect();
        for pair in first.windows(2) {
            if let [(before, overtaken), (after, text)] = pair
                && after < before
            {
                let (id, other) = (&arrived[*after].id, &arrived[*before].id);
                self.disordered
                    .push(format!("{text} ({id}) before {overtaken} ({other})"));
            }
        }
        self.unknown.extend(chat.unknown);
        if !is_finished {
            self.unfinished.extend(chat.open);
        }
    }

    pub(super) fn faults(&self) -> impl Iterator<Item = (&'static str, &Vec<String>)> {
        [
            ("lost", &self.lost),
            ("doubled", &self.doubled),
            ("other than it was sent", &self.changed),
            ("out of order", &self.disordered),
            ("unknown", &self.unknown),
            ("unfinished", &self.unfinished),
        ]
        .into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn medium(sha256: &str) -> Medium {
        Medium {
            kind: "document".to_owned(),
            bytes: 48_211,
            sha256: sha256.to_owned(),
        }
    }

    /// A text, a medium and a text, promised and arrived.
    fn chat() -> (Promised, Vec<Arrived>) {
        let accepted = ["one", "two", "three"].map(str::to_owned).to_vec();
        let media = BTreeMap::from([("two".to_owned(), medium("9f86"))]);
        let arrived = accepted.iter().map(|text| Arrived {
            id: format!("3EB0{text}"),
            text: text.clone(),
            medium: media.get(text).cloned(),
            is_resent: false,
        });
        let arrived = arrived.collect();
        let promised = Promised {
            accepted,
            media,
            ..Promised::default()
        };
        (promised, arrived)
    }

    /// What is found once this was done to it.
    fn finds(
        change: impl FnOnce(&mut Promised, &mut Vec<Arrived>),
    ) -> Vec<(&'static str, Vec<String>)> {
        let (mut promised, mut arrived) = chat();
        change(&mut promised, &mut arrived);
        let mut arrivals = Arrivals::default();
        arrivals.count(promised, &arrived, true);
        let found = arrivals.faults().filter(|(_, which)| !which.is_empty());
        found.map(|(fault, which)| (fault, which.clone())).collect()
    }

    fn found(fault: &'static str, which: &str) -> Vec<(&'static str, Vec<String>)> {
        vec![(fault, vec![which.to_owned()])]
    }

    #[test]
    fn what_arrives_once_in_order_and_as_it_was_is_no_fault() {
        assert_eq!(finds(|_, arrived| arrived[1].is_resent = true), []);
        let (promised, arrived) = chat();
        let mut arrivals = Arrivals::default();
        arrivals.count(promised, &arrived, true);
        assert_eq!(
            (arrivals.sends, arrivals.media, arrivals.media_bytes),
            (3, 1, 48_211)
        );
    }

    #[test]
    fn a_medium_that_is_missing_is_lost_unless_nobody_knows_or_it_is_under_way() {
        let missing = |arrived: &mut Vec<Arrived>| drop(arrived.remove(1));
        assert_eq!(finds(|_, arrived| missing(arrived)), found("lost", "two"));
        let unknown = finds(|promised, arrived| {
            missing(arrived);
            promised.unknown.push("two".to_owned());
        });
        assert_eq!(unknown, found("unknown", "two"));
        let under_way = finds(|promised, arrived| {
            missing(arrived);
            promised.open.push("two".to_owned());
        });
        assert_eq!(under_way, []);
    }

    #[test]
    fn what_is_under_way_at_the_end_is_unfinished_when_nobody_waits_for_it_any_more() {
        let (mut promised, arrived) = chat();
        promised.open.push("two".to_owned());
        let mut arrivals = Arrivals::default();
        arrivals.count(promised, &arrived, false);
        assert_eq!(arrivals.unfinished, ["two"]);
    }

    #[test]
    fn a_medium_that_arrives_twice_is_doubled() {
        let doubled = finds(|_, arrived| {
            let again = Arrived {
                id: "3EB0again".to_owned(),
                ..arrived[1].clone()
            };
            arrived.push(again);
        });
        assert_eq!(doubled, found("doubled", "two ×2 (3EB0two 3EB0again)"));
    }

    #[test]
    fn another_file_another_kind_of_it_or_none_is_another_message() {
        type Change = fn(&mut Arrived);
        let changes: [Change; 4] = [
            |message| message.medium = Some(medium("0000")),
            |message| message.medium = None,
            |message| message.medium.as_mut().unwrap().kind = "image".to_owned(),
            |message| message.medium.as_mut().unwrap().bytes = 1,
        ];
        for change in changes {
            let found = finds(|_, arrived| change(&mut arrived[1]));
            let faults: Vec<_> = found.iter().map(|(fault, _)| *fault).collect();
            assert_eq!(faults, ["other than it was sent"], "{found:?}");
            assert!(found[0].1[0].starts_with("two (3EB0two): "), "{found:?}");
        }
        let on_a_text = finds(|_, arrived| arrived[0].medium = Some(medium("9f86")));
        assert_eq!(on_a_text[0].0, "other than it was sent");
    }

    #[test]
    fn a_medium_that_is_overtaken_by_a_later_message_is_out_of_order() {
        let overtaken = finds(|_, arrived| arrived.swap(1, 2));
        assert_eq!(
            overtaken,
            found("out of order", "three (3EB0three) before two (3EB0two)")
        );
    }

    #[test]
    fn a_medium_is_known_by_the_text_below_it_and_what_cannot_be_opened_says_why() {
        // Benches have this module, and no tests in it.
        use serde_json::json;

        let entry = json!({ "id": "3EB0A", "to": "549", "body": "", "resent": 1, "media": {
            "kind": "document", "bytes": 48_211, "sha256": "9f86", "caption": "two",
        }});
        let arrived = Arrived::of(&entry);
        assert_eq!(
            (&*arrived.text, arrived.medium, arrived.is_resent),
            ("two", Some(medium("9f86")), true)
        );
        let mut locked = entry;
        locked["media"]["sha256"] = Value::Null;
        locked["media"]["problem"] = json!("the key does not open the file");
        let locked = Arrived::of(&locked).medium.unwrap();
        assert_eq!(locked.sha256, "the key does not open the file");
    }
}
