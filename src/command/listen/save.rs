//! `listen --save DIR`: the files of messages, each under a name of its own in one folder.
//!
//! A file is written under another name and renamed once it is whole, so what has its name is complete. It is private, as the messages
//! are.

use std::{
    fs::File,
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
};

use data_encoding::HEXLOWER;
use serde::Deserialize as _;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::{
    command::client::{Client, ClientError},
    files::{Durability, NewFile, beside, make_folder},
    heard::{Media, media_path},
    media::name::{by_mimetype, harmless_within},
};

/// A name is made of these, and file systems take 255 bytes: of the message's own id, of that of the file, and of what its sender calls it.
const LONGEST_KEY: usize = 60;
const ID_LENGTH: usize = 8;
const LONGEST_NAME: usize = 150;

/// How much of a file that is there already is in memory at a time.
const PART_BYTES: usize = 64 * 1024;

/// Where files are put.
#[derive(Debug)]
pub(super) struct Folder(PathBuf);

/// Why a file was not saved.
#[derive(Debug, thiserror::Error)]
enum NotSaved {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("{}: {why}", .path.display())]
    Disk { path: PathBuf, why: io::Error },
    #[error("what came is not what the message says: its hash is another one")]
    OtherBytes,
}

impl Folder {
    /// The folder, which is made if it is not there.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        make_folder(path)
            .map_err(|why| io::Error::new(why.kind(), format!("{}: {why}", path.display())))?;
        Ok(Self(path.to_owned()))
    }

    /// Saves the file that a message has brought, if it has brought one, unless it is there. The event says what became of it: where the file
    /// is in `saved`, or why it is not there in `not_saved`.
    pub(super) async fn save(&self, event: &mut Value, client: &Client) {
        let is_message = ["message", "message.own"]
            .iter()
            .any(|kind| event["type"] == *kind);
        let Some((id, media)) = is_message.then(|| file_of(event)).flatten() else {
            return;
        };
        let path = self.0.join(name_of(&id, &event["data"], &media));
        let saved = if is_there(&path, &media) {
            Ok(())
        } else {
            fetch(&id, &media, &path, client).await
        };
        let (field, said) = match saved {
            Ok(()) => ("saved", path.to_string_lossy().into_owned()),
            Err(why) => ("not_saved", why.to_string()),
        };
        event[field] = said.into();
    }
}

/// The file that an event is about, by its id.
fn file_of(event: &Value) -> Option<(String, Media)> {
    let media = Media::deserialize(&event["data"]["media"]).ok()?;
    Some((media.id.clone()?, media))
}

/// What a file is called here: no two are called the same, whatever their senders call them.
fn name_of(id: &str, data: &Value, media: &Media) -> String {
    let text = |name: &str| data[name].as_str().unwrap_or_default();
    let key = harmless_within(text("key"), LONGEST_KEY).unwrap_or_default();
    let id = id.rsplit('_').next().unwrap_or_default();
    let id: String = id.chars().filter(char::is_ascii_alphanumeric).collect();
    let given = media.filename.as_deref();
    let given = given.and_then(|given| harmless_within(given, LONGEST_NAME));
    let name = given.unwrap_or_else(|| {
        let typed = by_mimetype(media.mimetype.as_deref().unwrap_or_default());
        let kind = harmless_within(text("kind"), LONGEST_NAME).unwrap_or_default();
        match typed.rsplit_once('.') {
            Some((_, ending)) => format!("{kind}.{ending}"),
            None => kind,
        }
    });
    format!("{key}-{}-{name}", &id[..id.len().min(ID_LENGTH)])
}

/// Whether the file is there, whole.
fn is_there(path: &Path, media: &Media) -> bool {
    let Ok(file) = File::open(path) else {
        return false;
    };
    let size = file.metadata().map(|file| file.len());
    let is_whole = media
        .bytes
        .is_none_or(|bytes| size.is_ok_and(|size| size == bytes));
    is_whole
        && media
            .sha256
            .as_ref()
            .is_none_or(|wanted| hash_of(file).is_ok_and(|hash| hash == *wanted))
}

fn hash_of(mut file: File) -> io::Result<String> {
    let mut hash = Sha256::new();
    let mut part = vec![0; PART_BYTES];
    loop {
        match file.read(&mut part)? {
            0 => return Ok(HEXLOWER.encode(&hash.finalize())),
            read => hash.update(&part[..read]),
        }
    }
}

async fn fetch(id: &str, media: &Media, path: &Path, client: &Client) -> Result<(), NotSaved> {
    let disk = |why| NotSaved::Disk {
        path: path.to_owned(),
        why,
    };
    let new = NewFile::create(beside(path, "part")).map_err(disk)?;
    let mut hash = Sha256::new();
    let take = |part: &[u8]| {
        hash.update(part);
        new.file().write_all(part).map_err(disk)
    };
    client.fetch(&media_path(id), take).await?;
    let hash = HEXLOWER.encode(&hash.finalize());
    if media.sha256.as_ref().is_some_and(|wanted| *wanted != hash) {
        return Err(NotSaved::OtherBytes);
    }
    new.put_in_place(path, Durability::PowerCut).map_err(disk)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn named(media: &Value, more: &Value) -> String {
        let mut data = json!({"key": "3A5F", "kind": "image", "media": media});
        let fields = more.as_object().unwrap().clone();
        data.as_object_mut().unwrap().extend(fields);
        let (id, media) = file_of(&json!({ "data": data })).unwrap();
        name_of(&id, &data, &media)
    }

    #[test]
    fn a_name_is_harmless_and_of_one_file_only() {
        let id = "med_4f1c0b7f7b0d4c63a1b8f0d6f3f5c9aa";
        for (media, more, name) in [
            (
                json!({"id": id, "filename": "lista de precios.pdf"}),
                json!({}),
                "3A5F-4f1c0b7f-lista de precios.pdf",
            ),
            (
                json!({"id": id, "filename": "../../etc/cron.d/x\u{202e}gpj.exe"}),
                json!({"key": "../../3A5F"}),
                "3A5F-4f1c0b7f-xgpj.exe",
            ),
            (
                json!({"id": id, "mimetype": "image/jpeg"}),
                json!({}),
                "3A5F-4f1c0b7f-image.jpg",
            ),
            (
                json!({"id": id, "mimetype": "audio/ogg; codecs=opus", "filename": "/"}),
                json!({"kind": "voice"}),
                "3A5F-4f1c0b7f-voice.ogg",
            ),
            (json!({"id": id}), json!({}), "3A5F-4f1c0b7f-image"),
        ] {
            assert_eq!(named(&media, &more), name);
        }
        let long = json!({"id": id, "filename": format!("{}.pdf", "ñ".repeat(300))});
        let long = named(&long, &json!({"key": "A".repeat(300)}));
        assert!(
            long.len() < 250 && long.ends_with("ñ.pdf"),
            "{} bytes",
            long.len()
        );
    }

    #[test]
    fn a_file_is_there_only_if_it_is_the_one_that_the_message_says() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        let media = |bytes: u64, sha256: Option<String>| Media {
            bytes: Some(bytes),
            sha256,
            ..Media::default()
        };
        assert!(!is_there(&path, &media(4, None)));
        std::fs::write(&path, "hola").unwrap();
        let hash = hash_of(File::open(&path).unwrap()).unwrap();
        assert!(is_there(&path, &media(4, Some(hash.clone()))));
        assert!(is_there(&path, &Media::default()));
        assert!(!is_there(&path, &media(5, Some(hash))));
        assert!(!is_there(&path, &media(4, Some("0".repeat(64)))));
    }
}
