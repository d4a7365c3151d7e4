//! Files in a bucket, which a real server of S3 keeps (moto).

use std::{
    net::{TcpListener, TcpStream},
    path::Path,
};

use serde_json::Value;

use super::{bytes, folder};
use crate::support::{
    Service,
    chrome::{Folder, Started, eventually},
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
        let free = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let folder = Folder::new();
        let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools/bin/moto_server");
        let arguments = ["-H", "127.0.0.1", "-p", &port.to_string()];
        let server = Started::program(&tools, &arguments, folder.path());
        eventually("the server of S3 listens", || {
            TcpStream::connect(("127.0.0.1", port)).is_ok()
        })
        .await;
        let url = format!("http://127.0.0.1:{port}");
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
    settings[0].1 = "s3://absent";
    let (service, account) = Service::linked(&settings).await;
    let bytes = bytes(1, 700);
    let media = service
        .hears_file(&account, "image", "image/jpeg", &bytes)
        .await;
    let refused = service.file(&media).await;
    refused.assert_refused(503, "FILE_UNAVAILABLE");
    let made = reqwest::Client::new()
        .put(format!("{}/absent", bucket.url))
        .send()
        .await;
    assert!(made.unwrap().status().is_success());
    service.gives(&media, &bytes).await;
    assert!(!service.log().contains(SECRET));
    service.stop();
}
