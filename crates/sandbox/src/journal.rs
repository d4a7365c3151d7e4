//! What outlives a restart: an append-only file, one JSON record a line.
//!
//! Responsible for: the records, writing one before it counts, reading them back. Not
//! responsible for: what they mean together (`server`).
//!
//! Invariant: nothing is acknowledged before its record has been written. A line that a crash
//! cut short was never acknowledged, so it is dropped at the next start.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use serde::{Deserialize, Deserializer, Serialize};

use super::{
    after::Change,
    extras::Extras,
    number::Number,
    ratchets::Envelope,
    stanza::{Chat, Group, Stanza},
};

const FILE_NAME: &str = "journal.jsonl";

/// A device that a phone linked.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Device {
    /// Names the device on the server.
    pub(super) id: String,
    /// What the page proves itself with.
    pub(super) secret: String,
    /// Whose device it is.
    pub(super) account: Number,
    /// When it was linked, ISO-8601.
    pub(super) linked_at: String,
}

/// A message that the server took from an account's device.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Message {
    /// The id that the page gave it: `3EB0…`.
    pub(super) id: String,
    /// Who sent it.
    pub(super) account: Number,
    #[serde(flatten)]
    pub(super) recipient: Recipient,
    /// The text, exactly; empty where it is none.
    pub(super) body: String,
    #[serde(flatten)]
    pub(super) extras: Extras,
    /// When the server took it, ISO-8601 with milliseconds.
    pub(super) at: String,
    /// How often a device sent it again under the same id.
    #[serde(default)]
    pub(super) resent: u32,
    /// Sender and chat were addressed in different ways (number and LID): real recipients then
    /// see an unknown sender.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) mixed_addressing: bool,
    /// Whether the recipient has seen it, on each of their devices, and not only a device received it. Follows from the
    /// envelopes of all messages.
    #[serde(default = "seen")]
    pub(super) seen_by_recipient: bool,
    /// The same of the phone of the account itself.
    #[serde(default = "seen")]
    pub(super) seen_by_own_phone: bool,
}

const fn seen() -> bool {
    true
}

/// Whom a message of a page is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Recipient {
    #[serde(rename = "to")]
    Person(Number),
    /// A group, by its id.
    #[serde(rename = "group")]
    Group(String),
}

impl Recipient {
    /// The chat with them.
    pub(super) fn chat(&self) -> Chat {
        match self {
            Self::Person(number) => Chat::Person(number.clone()),
            Self::Group(id) => Chat::Group(id.clone()),
        }
    }

    pub(super) fn is_person(&self, number: &Number) -> bool {
        matches!(self, Self::Person(person) if person == number)
    }
}

/// A message to an account, as journals had it before there were other things than texts.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Incoming {
    pub(super) id: String,
    pub(super) account: Number,
    pub(super) from: Number,
    pub(super) body: String,
    pub(super) at: String,
}

/// One line of the journal.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "snake_case")]
pub(super) enum Record {
    Linked {
        device: Device,
    },
    Unlinked {
        device: String,
    },
    Taken {
        message: Message,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        envelopes: Vec<Envelope>,
    },
    Resent {
        account: Number,
        id: String,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        envelopes: Vec<Envelope>,
    },
    /// Read only: of older journals.
    Received {
        message: Incoming,
    },
    Brought {
        stanza: Stanza,
    },
    Changed {
        change: Change,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        envelopes: Vec<Envelope>,
    },
    Seen {
        account: Number,
        chat: Chat,
        at: String,
    },
    Grouped {
        group: Group,
    },
    History {
        account: Number,
        stanzas: Vec<Stanza>,
    },
    Delivered {
        device: String,
        #[serde(alias = "id", deserialize_with = "one_or_many")]
        ids: Vec<String>,
    },
}

/// Older journals have one id in a record.
fn one_or_many<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Ids {
        One(String),
        Many(Vec<String>),
    }
    Ok(match Ids::deserialize(deserializer)? {
        Ids::One(id) => vec![id],
        Ids::Many(ids) => ids,
    })
}

/// The open file.
#[derive(Debug)]
pub(super) struct Journal {
    file: File,
    length: u64,
}

impl Journal {
    /// Opens the journal in `folder`, which is made if need be, and gives back all its records.
    pub(super) fn open(folder: &Path) -> io::Result<(Self, Vec<Record>)> {
        std::fs::create_dir_all(folder)?;
        let path = folder.join(FILE_NAME);
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o600)
            .open(path)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let whole = bytes
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |end| end + 1);
        bytes.truncate(whole);
        file.set_len(whole as u64)?;
        let lines = bytes
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty());
        let records = lines
            .map(serde_json::from_slice)
            .collect::<Result<_, _>>()?;
        Ok((
            Self {
                file,
                length: whole as u64,
            },
            records,
        ))
    }

    /// Writes records, all or none; when this returns, a crash of the process cannot lose them.
    pub(super) fn append(&mut self, records: &[Record]) -> io::Result<()> {
        let mut lines = Vec::new();
        for record in records {
            serde_json::to_writer(&mut lines, record)?;
            lines.push(b'\n');
        }
        if let Err(why) = self.file.write_all(&lines) {
            // Half a record would spoil the next one; if this fails too, that one is refused.
            self.file.set_len(self.length)?;
            return Err(why);
        }
        self.length += lines.len() as u64;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_a_crash_cut_short_is_dropped_and_the_rest_stays() {
        let folder = tempfile::tempdir().unwrap();
        let (mut journal, _) = Journal::open(folder.path()).unwrap();
        journal
            .append(&[Record::Unlinked {
                device: "a".to_owned(),
            }])
            .unwrap();
        journal.file.write_all(b"{\"record\":\"unli").unwrap();
        let (mut journal, records) = Journal::open(folder.path()).unwrap();
        assert_eq!(records.len(), 1);
        journal
            .append(&[Record::Unlinked {
                device: "b".to_owned(),
            }])
            .unwrap();
        assert_eq!(Journal::open(folder.path()).unwrap().1.len(), 2);
    }

    #[test]
    fn a_journal_of_an_older_sandbox_is_read() {
        let line = r#"{"record":"delivered","device":"a","id":"3A00"}"#;
        let Record::Delivered { ids, .. } = serde_json::from_str(line).unwrap() else {
            panic!("read as another record");
        };
        assert_eq!(ids, ["3A00"]);
    }
}
