//! `listen --save DIR`: the files of messages, each under a name of its own in one folder.
//!
//! Files are fetched beside the listening, a few at a time, so that one that does not come holds up no event. What is passing, such as a
//! service that restarts, is tried again while `listen` runs. What became of a file is a line of its own, behind that of its event.
//!
//! A file is written under another name and renamed once it is whole, so what has its name is complete. It is private, as the messages
//! are.

use std::{
    collections::{BTreeMap, HashMap},
    ffi::OsStr,
    fs::{self, File},
    future::pending,
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use data_encoding::HEXLOWER;
use futures_util::{FutureExt as _, StreamExt as _, future::BoxFuture, stream::FuturesUnordered};
use reqwest::StatusCode;
use serde::Deserialize as _;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::{
    sync::mpsc,
    task::spawn_blocking,
    time::{Instant, sleep_until},
};

use super::{RETRY, head};
use crate::{
    command::{
        client::{Client, ClientError},
        screen::{one_line, remark, say},
    },
    files::{Durability, NewFile, beside, found, make_folder, remove_file},
    heard::{Media, media_path},
    media::name::{by_mimetype, harmless_within},
};

/// A name is made of these, and file systems take 255 bytes, with what a part has more: of the message's own id, of that of the file, and of what its sender calls it.
const LONGEST_KEY: usize = 60;
const ID_LENGTH: usize = 8;
const LONGEST_NAME: usize = 150;

/// A file that is not whole is called as it will be, with so many random bytes in hexadecimal digits, and this.
const PART_ENDING: &str = "listen-part";
const PART_RANDOM: usize = 4;

/// A part that is being written changes within half a minute, or its file is given up.
const PART_IS_LEFT_AFTER: Duration = Duration::from_secs(60 * 60);

/// How much of a file that is there already is in memory at a time.
const PART_BYTES: usize = 64 * 1024;

/// How many files are fetched at a time: the page of a session brings one after the other, and there may be several sessions.
const AT_ONCE: usize = 4;

/// Of one session: the files of a phone that is off must leave room to those of others.
const AT_ONCE_OF_A_SESSION: usize = 2;

/// Files on their way from the events to [`Saver::work`], which takes each one at once.
const HANDED_OVER: usize = 16;

/// The longest time before a file is tried again that the service could not give: each time it is twice the time before.
const LONGEST_PAUSE: Duration = Duration::from_secs(5 * 60);

/// Where files are put.
#[derive(Clone, Debug)]
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

/// What is to be done about a file that was not saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    /// Nothing: it would fail again.
    Tell,
    /// The service is away: no file comes before it is back.
    WaitForService,
    /// Another try, after the time that the service has named.
    TryAgain(Option<Duration>),
}

impl NotSaved {
    fn next(&self) -> Next {
        match self {
            Self::Client(ClientError::NotRunning { .. }) => Next::WaitForService,
            // It may be this file alone that breaks off each time.
            Self::Client(
                ClientError::BrokeOff { .. }
                | ClientError::NotOurs { .. }
                | ClientError::TooSlow { .. },
            ) => Next::TryAgain(None),
            Self::Client(ClientError::Refused {
                status: StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS,
                retry_after,
                ..
            }) => Next::TryAgain(*retry_after),
            Self::Client(
                ClientError::Settings(_)
                | ClientError::InvalidUrl
                | ClientError::Tls
                | ClientError::Setup(_)
                | ClientError::Unauthorized { .. }
                | ClientError::Refused { .. },
            )
            | Self::Disk { .. }
            | Self::OtherBytes => Next::Tell,
        }
    }
}

impl Folder {
    /// The folder, which is made if it is not there. What a `listen` that was killed had begun there goes.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let name_it =
            |why: io::Error| io::Error::new(why.kind(), format!("{}: {why}", path.display()));
        make_folder(path).map_err(name_it)?;
        sweep(path, SystemTime::now()).map_err(name_it)?;
        Ok(Self(path.to_owned()))
    }
}

/// What a file is called until it is whole. Another `listen` may be saving the same one into the same folder: each has a name of its own.
fn part_of(path: &Path) -> PathBuf {
    let word = HEXLOWER.encode(&rand::random::<[u8; PART_RANDOM]>());
    beside(path, &format!("{word}.{PART_ENDING}"))
}

fn is_part(path: &Path) -> bool {
    let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
    let word = name
        .strip_suffix(PART_ENDING)
        .and_then(|name| name.strip_suffix('.'))
        .and_then(|name| name.rsplit_once('.'));
    word.is_some_and(|(_, word)| {
        word.len() == 2 * PART_RANDOM && HEXLOWER.decode(word.as_bytes()).is_ok()
    })
}

/// Removes the parts that are not being written any more.
fn sweep(folder: &Path, now: SystemTime) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if !is_part(&entry.path()) {
            continue;
        }
        // Another one may have removed it meanwhile.
        let Some(about) = found(entry.metadata())? else {
            continue;
        };
        let age = now.duration_since(about.modified()?);
        if about.is_file() && age.is_ok_and(|age| PART_IS_LEFT_AFTER < age) {
            remove_file(&entry.path())?;
        }
    }
    Ok(())
}

/// A file that a message has brought.
#[derive(Debug)]
struct Wanted {
    /// The id of the event.
    event: String,
    session: String,
    /// How the line of the event begins.
    head: String,
    key: String,
    id: String,
    media: Media,
    path: PathBuf,
}

impl Wanted {
    fn of(event: &Value, folder: &Folder) -> Option<Self> {
        let is_message = ["message", "message.own"]
            .iter()
            .any(|kind| event["type"] == *kind);
        let (id, media) = is_message.then(|| file_of(event)).flatten()?;
        let data = &event["data"];
        let path = folder.0.join(name_of(&id, data, &media));
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Some(Self {
            event: text(&event["id"]),
            session: text(&event["session"]),
            head: head(event),
            key: text(&data["key"]),
            id,
            media,
            path,
        })
    }

    /// Saves it, unless it is there.
    async fn save(&self, client: &Client) -> Result<(), NotSaved> {
        let (path, media) = (self.path.clone(), self.media.clone());
        let is_there = spawn_blocking(move || is_there(&path, &media)).await;
        if is_there.unwrap_or(false) {
            return Ok(());
        }
        fetch(&self.id, &self.media, &self.path, client).await
    }

    /// Says what became of it.
    fn tell(&self, saved: Result<(), &str>, is_json: bool) -> io::Result<()> {
        let path = self.path.to_string_lossy();
        let line = if is_json {
            let (field, said) = match saved {
                Ok(()) => ("saved", &*path),
                Err(why) => ("not_saved", why),
            };
            json!({ "event": self.event, field: said }).to_string()
        } else {
            let said = match saved {
                Ok(()) => format!("saved as {path}"),
                Err(why) => format!("not saved: {why}"),
            };
            one_line(&format!("{}{} {said}", self.head, self.key))
        };
        say(&line)
    }
}

/// Where the files of events are handed over to be saved.
#[derive(Debug)]
pub(super) struct Handing {
    folder: Folder,
    wanted: mpsc::Sender<Wanted>,
}

impl Handing {
    /// Has the file saved that an event has brought, if it has brought one. Waits for no file.
    pub(super) async fn hand_over(&self, event: &Value) {
        if let Some(wanted) = Wanted::of(event, &self.folder) {
            // The one who takes it ends with the listening only.
            self.wanted.send(wanted).await.ok();
        }
    }
}

/// A file that is not there yet.
struct Open {
    wanted: Arc<Wanted>,
    /// When it is tried again; `None` while it is on its way.
    due: Option<Instant>,
    pause: Duration,
    /// Why it did not come the last time.
    why: Option<String>,
}

/// Saves files beside the listening.
pub(super) struct Saver<'a> {
    client: &'a Client,
    is_json: bool,
    handed: mpsc::Receiver<Wanted>,
    /// In the order of their events.
    open: BTreeMap<u64, Open>,
    last: u64,
    fetching: FuturesUnordered<BoxFuture<'a, (u64, Result<(), NotSaved>)>>,
    /// The service was away: nothing is asked of it before this.
    away_until: Option<Instant>,
}

impl<'a> Saver<'a> {
    pub(super) fn new(folder: Folder, client: &'a Client, is_json: bool) -> (Self, Handing) {
        let (wanted, handed) = mpsc::channel(HANDED_OVER);
        let saver = Self {
            client,
            is_json,
            handed,
            open: BTreeMap::new(),
            last: 0,
            fetching: FuturesUnordered::new(),
            away_until: None,
        };
        (saver, Handing { folder, wanted })
    }

    /// Goes on until the output cannot be written to.
    pub(super) async fn work(&mut self) -> io::Error {
        loop {
            self.begin(Instant::now());
            let next = self.next_of_all();
            let next_try = async {
                match next {
                    Some((next, _)) => sleep_until(next).await,
                    None => pending().await,
                }
            };
            let told = tokio::select! {
                Some(wanted) = self.handed.recv() => {
                    self.take(wanted);
                    Ok(())
                }
                Some((number, saved)) = self.fetching.next() => self.on_tried(number, saved),
                () = next_try => Ok(()),
            };
            if let Err(why) = told {
                return why;
            }
        }
    }

    /// Says of each file that has not come that it has not.
    pub(super) fn end(mut self) -> io::Result<()> {
        while let Ok(wanted) = self.handed.try_recv() {
            self.take(wanted);
        }
        let over = "listen has ended before it came";
        for open in self.open.values() {
            let why = match &open.why {
                Some(why) => format!("{over}; the last time: {why}"),
                None => over.to_owned(),
            };
            open.wanted.tell(Err(&why), self.is_json)?;
        }
        Ok(())
    }

    fn take(&mut self, wanted: Wanted) {
        self.last += 1;
        let open = Open {
            wanted: Arc::new(wanted),
            due: Some(Instant::now()),
            pause: RETRY,
            why: None,
        };
        self.open.insert(self.last, open);
    }

    /// Begins with what is due, as far as there is room.
    fn begin(&mut self, now: Instant) {
        while let Some((due, number)) = self.next_of_all() {
            let Some(open) = self.open.get_mut(&number) else {
                return;
            };
            if now < due {
                return;
            }
            open.due = None;
            let (wanted, client) = (Arc::clone(&open.wanted), self.client);
            let saving = async move { (number, wanted.save(client).await) };
            self.fetching.push(saving.boxed());
        }
    }

    /// The file that is to be tried next, and when, if there is room for one. Those that wait longest come first: files that are tried
    /// repeatedly would keep back those behind them for ever.
    fn next_of_all(&self) -> Option<(Instant, u64)> {
        if AT_ONCE <= self.fetching.len() {
            return None;
        }
        let mut begun: HashMap<&str, usize> = HashMap::new();
        for open in self.open.values().filter(|open| open.due.is_none()) {
            *begun.entry(&open.wanted.session).or_default() += 1;
        }
        let has_room = |open: &Open| {
            let begun = begun.get(&*open.wanted.session);
            begun.is_none_or(|begun| *begun < AT_ONCE_OF_A_SESSION)
        };
        let waiting = self.open.iter().filter(|(_, open)| has_room(open));
        let dues = waiting.filter_map(|(number, open)| Some((open.due?, *number)));
        let (due, number) = dues.min()?;
        Some((self.away_until.map_or(due, |until| until.max(due)), number))
    }

    fn on_tried(&mut self, number: u64, saved: Result<(), NotSaved>) -> io::Result<()> {
        let now = Instant::now();
        let Some(open) = self.open.get_mut(&number) else {
            return Ok(());
        };
        let why = match saved {
            Ok(()) => {
                let told = open.wanted.tell(Ok(()), self.is_json);
                self.open.remove(&number);
                return told;
            }
            Err(why) => why,
        };
        let words = why.to_string();
        match why.next() {
            Next::Tell => {
                let told = open.wanted.tell(Err(&words), self.is_json);
                self.open.remove(&number);
                return told;
            }
            // The listening says itself that it is away.
            Next::WaitForService => {
                open.due = Some(now);
                self.away_until = Some(now + RETRY);
            }
            Next::TryAgain(named) => {
                if open.why.is_none() {
                    let key = &open.wanted.key;
                    remark(&one_line(&format!(
                        "session-manager: the file of {key} is not saved yet: {words}; trying again"
                    )));
                }
                open.due = Some(now + open.pause.max(named.unwrap_or_default()));
                open.pause = LONGEST_PAUSE.min(open.pause * 2);
            }
        }
        open.why = Some(words);
        Ok(())
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
    let new = NewFile::create(part_of(path)).map_err(disk)?;
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
    let place = path.to_owned();
    // A slow disk holds up no event either.
    let put = spawn_blocking(move || new.put_in_place(&place, Durability::PowerCut)).await;
    put.unwrap_or_else(|why| Err(io::Error::other(why)))
        .map_err(disk)
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
        let part = part_of(Path::new(&long));
        let part = part.as_os_str().len();
        assert!(part <= 255, "{part} bytes");
    }

    /// A file of a session.
    fn wanted(session: &str, number: u64) -> Wanted {
        Wanted {
            event: format!("evt_{number}"),
            session: session.to_owned(),
            head: String::new(),
            key: format!("3A{number}"),
            id: format!("med_{number}"),
            media: Media::default(),
            path: PathBuf::from("x"),
        }
    }

    fn awaits_phone() -> NotSaved {
        NotSaved::Client(ClientError::Refused {
            status: StatusCode::SERVICE_UNAVAILABLE,
            code: "FILE_AWAITS_PHONE".to_owned(),
            message: "later".to_owned(),
            retry_after: Some(Duration::from_secs(15)),
            body: Value::Null,
        })
    }

    /// What is on its way.
    fn begun(saver: &Saver<'_>) -> Vec<u64> {
        let begun = saver.open.iter().filter(|(_, open)| open.due.is_none());
        begun.map(|(number, _)| *number).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn files_that_wait_for_a_phone_keep_back_no_other_and_are_asked_for_ever_more_seldom() {
        let client = Client::without_key("http://127.0.0.1:1").unwrap();
        let folder = Folder(PathBuf::from("x"));
        let (mut saver, _handing) = Saver::new(folder, &client, true);
        for number in 0..7 {
            saver.take(wanted("51", number));
        }
        saver.take(wanted("52", 7));
        // Two of the first session, and the one of the other.
        saver.begin(Instant::now());
        assert_eq!(begun(&saver), [1, 2, 8]);
        saver.on_tried(8, Err(awaits_phone())).unwrap();
        // What is under way is not polled here: it is as if each were refused after a second.
        let mut tried = HashMap::<u64, Vec<Duration>>::new();
        let start = Instant::now();
        saver.fetching.clear();
        for _ in 0..3600 {
            tokio::time::advance(Duration::from_secs(1)).await;
            for number in begun(&saver) {
                saver.on_tried(number, Err(awaits_phone())).unwrap();
            }
            saver.fetching.clear();
            saver.begin(Instant::now());
            for number in begun(&saver) {
                tried.entry(number).or_default().push(start.elapsed());
            }
        }
        assert_eq!(tried.len(), 8, "{tried:?}");
        for tries in tried.values() {
            let pauses: Vec<_> = tries
                .windows(2)
                .map(|two| two[1].abs_diff(two[0]))
                .collect();
            assert!(Duration::from_secs(15) <= pauses[0], "{pauses:?}");
            let last = pauses.last().unwrap();
            assert!(LONGEST_PAUSE <= *last, "{pauses:?}");
        }
        // A new one is tried at once.
        for number in begun(&saver) {
            saver.on_tried(number, Err(awaits_phone())).unwrap();
        }
        saver.fetching.clear();
        saver.take(wanted("51", 9));
        saver.begin(Instant::now());
        assert!(begun(&saver).contains(&9), "{:?}", begun(&saver));
    }

    #[tokio::test(start_paused = true)]
    async fn a_file_that_breaks_off_each_time_is_tried_ever_more_seldom_and_holds_up_no_other() {
        let client = Client::without_key("http://127.0.0.1:1").unwrap();
        let folder = Folder(PathBuf::from("x"));
        let (mut saver, _handing) = Saver::new(folder, &client, true);
        let url = || "http://127.0.0.1:1".to_owned();
        let why = |text: &str| text.to_owned();
        saver.take(wanted("51", 0));
        for (tries, broken) in [
            ClientError::BrokeOff {
                url: url(),
                why: why("reset"),
            },
            ClientError::NotOurs {
                url: url(),
                why: why("502"),
            },
        ]
        .into_iter()
        .enumerate()
        {
            saver.begin(Instant::now());
            saver.fetching.clear();
            saver.on_tried(1, Err(broken.into())).unwrap();
            assert_eq!(saver.away_until, None);
            let pause = saver.open[&1].due.unwrap() - Instant::now();
            assert_eq!(pause, RETRY * 2_u32.pow(u32::try_from(tries).unwrap()));
            tokio::time::advance(pause).await;
        }
        // One that cannot be reached gives no file.
        saver.begin(Instant::now());
        saver.fetching.clear();
        let away = ClientError::NotRunning {
            url: url(),
            why: why("refused"),
        };
        saver.on_tried(1, Err(away.into())).unwrap();
        assert_eq!(saver.away_until, Some(Instant::now() + RETRY));
    }

    #[test]
    fn two_that_save_the_same_file_do_not_write_into_each_others() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("3A5F-4f1c0b7f-lista.pdf");
        let [one, other] = [(); 2].map(|()| NewFile::create(part_of(&path)).unwrap());
        one.file().write_all(b"ho").unwrap();
        other.file().write_all(b"hola").unwrap();
        other.put_in_place(&path, Durability::ServiceEnd).unwrap();
        one.file().write_all(b"la").unwrap();
        one.put_in_place(&path, Durability::ServiceEnd).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"hola");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_a_killed_one_has_left_goes_once_it_is_old_and_nothing_else_does() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let old = SystemTime::now() - PART_IS_LEFT_AFTER - Duration::from_secs(60);
        let left = part_of(&path("left.pdf"));
        let young = part_of(&path("young.pdf"));
        // Of another program, of a person, and a file that is whole.
        let others = [
            "x.part",
            "x.12.listen-part",
            "x.0123456g.listen-part",
            "whole.pdf",
        ];
        for file in others.map(path).iter().chain([&left, &young]) {
            fs::write(file, "half").unwrap();
            if *file != young {
                let file = File::options().write(true).open(file).unwrap();
                file.set_modified(old).unwrap();
            }
        }
        Folder::open(folder.path()).unwrap();
        assert!(!left.is_file());
        assert!(young.is_file() && others.map(path).iter().all(|path| path.is_file()));
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
