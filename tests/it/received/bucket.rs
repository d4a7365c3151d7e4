//! Files in a bucket, which a real server of S3 keeps (moto).

use std::{
    fs::{self, File},
    path::Path,
    time::{Duration, Instant},
};

use serde_json::Value;
use tokio::time::sleep;

use super::{bytes, folder};
use crate::support::{
    Service,
    chrome::{Folder, PATIENCE, Started, eventually},
};

const SECRET: &str = "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY";

/// The server, with one bucket.
struct Bucket {
    _server: Started,
    _folder: Folder,
    url: String,
}

impl Bucket {
    async fn start() -> Self {
        let folder = Folder::new();
        let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/bin/moto_server");
        // The system chooses a port that is free, and the server says which.
        let arguments = ["-H", "127.0.0.1", "-p", "0"];
        let said = folder.path().join("said");
        let errors = File::create(&said).unwrap().into();
        let server = Started::program_with(&tools, &arguments, folder.path(), errors);
        let mut url = None;
        eventually("the server of S3 listens", || {
            url = url_in(&fs::read_to_string(&said).unwrap());
            url.is_some()
        })
        .await;
        let url = url.unwrap();
        let made = reqwest::Client::new()
            .put(format!("{url}/bucket"))
            .send()
            .await;
        assert!(made.unwrap().status().is_success());
        Self {
            _server: server,
            _folder: folder,
            url,
        }
    }

    fn settings(&self) -> [(&'static str, &str); 4] {
        [
            ("MEDIA_STORE", "s3://bucket/whatsapp/files"),
            ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", SECRET),
            ("AWS_ENDPOINT_URL", &self.url),
        ]
    }

    /// The names of what is there.
    async fn names(&self) -> Vec<String> {
        let list = format!("{}/bucket?list-type=2", self.url);
        let list = reqwest::get(list).await.unwrap().text().await.unwrap();
        let keys = list.split("<Key>").skip(1);
        keys.map(|rest| rest.split("</Key>").next().unwrap().to_owned())
            .collect()
    }
}

/// Where the server says that it listens, once it has said all of it.
fn url_in(said: &str) -> Option<String> {
    let (_, rest) = said.split_once("Running on ")?;
    let (url, _) = rest.split_once('\n')?;
    Some(url.trim().to_owned())
}

fn id(media: &Value) -> &str {
    media["id"].as_str().unwrap()
}

#[tokio::test]
async fn files_are_kept_in_a_bucket_and_given_from_there_whole_and_in_part() {
    let bucket = Bucket::start().await;
    let (service, account) = Service::linked(&bucket.settings()).await;
    // More than two parts of an upload, and less than one.
    let (large, small) = (bytes(1, 12_000_001), bytes(2, 700));
    let media = service
        .hears_file(&account, "document", "application/pdf", &large)
        .await;
    service.gives(&media, &large).await;
    let note = service
        .hears_file(&account, "voice", "audio/ogg; codecs=opus", &small)
        .await;
    service.gives(&note, &small).await;
    let mut wanted: Vec<_> = [&media, &note]
        .into_iter()
        .flat_map(|media| ["", ".json"].map(|end| format!("whatsapp/files/{}{end}", id(media))))
        .collect();
    wanted.sort();
    assert_eq!(bucket.names().await, wanted);
    assert!(!folder(service.home()).try_exists().unwrap());

    // No page is asked any more.
    service.disconnect(51).await;
    service.gives(&media, &large).await;
    let part = service
        .request(reqwest::Method::GET, media["url"].as_str().unwrap())
        .header("range", "bytes=5242879-5242882");
    let part = part.send().await.unwrap();
    assert_eq!(part.status(), 206);
    assert_eq!(part.bytes().await.unwrap(), large[5_242_879..=5_242_882]);
    assert!(!service.log().contains(SECRET));
    service.stop();
}

#[tokio::test]
async fn a_bucket_that_is_away_is_told_and_the_file_comes_once_it_is_back() {
    let bucket = Bucket::start().await;
    let mut settings = bucket.settings();
    settings[0].1 = "s3://absent/files";
    let (service, account) = Service::linked(&settings).await;
    let bytes = bytes(1, 700);
    let media = service
        .hears_file(&account, "image", "image/jpeg", &bytes)
        .await;
    let refused = service.file(&media).await;
    refused.assert_refused(503, "FILE_UNAVAILABLE");
    // What the bucket says is for the log.
    for word in ["127.0.0.1", "NoSuchBucket", "absent"] {
        assert!(!refused.text().contains(word), "{}", refused.text());
    }
    eventually("the log says why", || {
        service.log().contains("NoSuchBucket")
    })
    .await;
    let made = reqwest::Client::new()
        .put(format!("{}/absent", bucket.url))
        .send()
        .await;
    assert!(made.unwrap().status().is_success());
    service.gives(&media, &bytes).await;
    assert!(!service.log().contains(SECRET));
    service.stop();
}

#[tokio::test]
async fn a_file_that_came_while_the_bucket_was_away_is_fetched_once_it_is_back() {
    let bucket = Bucket::start().await;
    let mut settings = bucket.settings().to_vec();
    settings[0].1 = "s3://absent/files";
    settings.push(("MEDIA_DOWNLOAD", "always"));
    let (service, account) = Service::linked(&settings).await;
    let media = service
        .hears_file(&account, "image", "image/jpeg", &bytes(1, 700))
        .await;
    service.logs("files of messages cannot be kept").await;
    let refused = service.file(&media).await;
    refused.assert_refused(503, "FILE_UNAVAILABLE");
    // Not even a kill loses it.
    let home = service.kill();
    let made = reqwest::Client::new()
        .put(format!("{}/absent", bucket.url))
        .send()
        .await;
    assert!(made.unwrap().status().is_success());
    let service = Service::start_in(home, |env| {
        for (name, value) in &settings {
            env.insert(*name, (*value).into());
        }
    })
    .await;
    let list = format!("{}/absent?list-type=2", bucket.url);
    let note = format!("<Key>files/{}.json</Key>", id(&media));
    let until = Instant::now() + PATIENCE;
    loop {
        let list = reqwest::get(&list).await.unwrap().text().await.unwrap();
        if list.contains(&note) {
            break;
        }
        assert!(Instant::now() < until, "the file is not fetched: {list}");
        sleep(Duration::from_millis(50)).await;
    }
    service.stop();
}
