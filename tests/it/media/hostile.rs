//! Addresses and files that mean no good, and those that a caller has just written wrong. Nothing of them is sent.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use axum::{
    Router,
    body::Body,
    http::{StatusCode, header},
    routing::get,
};
use base64::Engine as _;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

use super::{BASE64_STANDARD, PNG};
use crate::support::Service;

/// A web server that answers as no good one does.
pub(crate) struct Site {
    address: String,
    _server: AbortOnDropHandle<()>,
}

impl Site {
    /// Also gives this file as a good one does: as `/lista.pdf`, and moved; and once only, as `/signed.pdf`.
    pub(crate) async fn serve(pdf: Vec<u8>) -> Self {
        let redirect =
            |to: &'static str| get(async move || (StatusCode::FOUND, [(header::LOCATION, to)]));
        let typed = |kind: &'static str, encoding: &'static str| {
            get(async move || {
                (
                    [
                        (header::CONTENT_TYPE, kind),
                        (header::CONTENT_ENCODING, encoding),
                    ],
                    "x".repeat(100),
                )
            })
        };
        let endless = get(async || {
            let parts = futures_util::stream::repeat_with(|| {
                Ok::<_, std::io::Error>(vec![0_u8; 64 * 1024])
            });
            (
                [(header::CONTENT_TYPE, "application/octet-stream")],
                Body::from_stream(parts),
            )
        });
        let (is_expired, signed) = (Arc::new(AtomicBool::new(false)), pdf.clone());
        let signed = get(async move || {
            if is_expired.swap(true, Ordering::Relaxed) {
                return Err(StatusCode::FORBIDDEN);
            }
            Ok(([(header::CONTENT_TYPE, "application/pdf")], signed))
        });
        let router = Router::new()
            .route("/signed.pdf", signed)
            .route(
                "/lista.pdf",
                get(async move || ([(header::CONTENT_TYPE, "application/pdf")], pdf)),
            )
            .route("/moved", redirect("/lista.pdf"))
            .route("/loop", redirect("/loop"))
            .route("/to-a-file", redirect("file:///etc/passwd"))
            .route("/endless", endless)
            .route("/packed", typed("image/png", "gzip"))
            .route("/page", typed("text/html; charset=utf-8", "identity"))
            .route("/no.png", typed("image/png", "identity"));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self {
            address,
            _server: AbortOnDropHandle::new(server),
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

async fn refused(service: &Service, media: Value, status: u16, code: &str, says: &str) {
    let refused = service.send_media(media.clone()).await;
    assert_eq!(
        (refused.status, &refused.json()["code"]),
        (status, &json!(code)),
        "{media}: {}",
        refused.text()
    );
    assert!(refused.text().contains(says), "{media}: {}", refused.text());
}

#[tokio::test]
async fn an_address_that_means_no_good_is_refused_by_name_and_nothing_is_sent() {
    let (service, account) =
        Service::linked(&[("MEDIA_ALLOW_PRIVATE", "true"), ("MEDIA_MAX_MB", "1")]).await;
    let site = Site::serve(Vec::new()).await;
    for (path, status, code, says) in [
        ("/endless", 413, "MEDIA_TOO_LARGE", "1 MB"),
        ("/packed", 400, "MEDIA_UNREACHABLE", "Content-Encoding"),
        ("/page", 400, "INVALID_CONTENT", "web page"),
        ("/loop", 400, "MEDIA_UNREACHABLE", "redirects"),
        ("/to-a-file", 400, "MEDIA_UNREACHABLE", "302"),
        ("/nothing", 400, "MEDIA_UNREACHABLE", "404"),
        ("/lista.pdf", 400, "INVALID_CONTENT", "empty"),
    ] {
        refused(
            &service,
            json!({ "url": site.url(path) }),
            status,
            code,
            says,
        )
        .await;
    }
    let wrong = json!({ "url": site.url("/no.png"), "kind": "image" });
    refused(
        &service,
        wrong,
        400,
        "INVALID_CONTENT",
        "said to be image/png",
    )
    .await;
    for url in [
        "file:///etc/passwd",
        "ftp://example.com/x",
        "http://a:b@example.com/x",
    ] {
        refused(
            &service,
            json!({ "url": url }),
            400,
            "MEDIA_UNREACHABLE",
            "http://",
        )
        .await;
    }
    assert_eq!(service.taken(&account).await.len(), 0);
    // What has broken off is not left on the disk.
    let outgoing = walk(&service.home().data());
    assert!(
        outgoing
            .iter()
            .all(|file| file.extension().is_none_or(|kind| kind != "part")),
        "{outgoing:?}"
    );
    service.stop();
}

fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            // A profile of Chrome is its own.
            if entry.file_name() != "profiles" {
                found.extend(walk(&entry.path()));
            }
        } else {
            found.push(entry.path());
        }
    }
    found
}

#[tokio::test]
async fn an_address_of_this_machine_or_of_a_private_network_is_refused_unless_it_is_allowed() {
    let (service, account) = Service::linked(&[]).await;
    let site = Site::serve(b"%PDF-1.7".to_vec()).await;
    let port = site.address.rsplit(':').next().unwrap();
    for url in [
        site.url("/lista.pdf"),
        format!("http://localhost:{port}/lista.pdf"),
        format!("http://[::ffff:127.0.0.1]:{port}/lista.pdf"),
        "http://169.254.169.254/latest/meta-data/".to_owned(),
        "http://10.0.0.1/x".to_owned(),
        "http://0.0.0.0/x".to_owned(),
    ] {
        refused(
            &service,
            json!({ "url": url }),
            400,
            "MEDIA_UNREACHABLE",
            "MEDIA_ALLOW_PRIVATE",
        )
        .await;
    }
    assert_eq!(service.taken(&account).await.len(), 0);
    service.stop();
}

#[tokio::test]
async fn a_file_that_whatsapp_does_not_take_so_is_refused_before_anything_is_handed_over() {
    let (service, account) = Service::linked(&[]).await;
    let svg = BASE64_STANDARD
        .encode("<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>");
    for (media, says) in [
        (json!({ "data": svg, "kind": "document" }), "SVG"),
        (json!({ "data": "%%%" }), "base64"),
        (json!({ "data": "" }), "empty"),
        (json!({ "data": PNG, "kind": "voice" }), "Opus"),
        (json!({ "data": PNG, "kind": "sticker" }), "WebP"),
        (
            json!({ "data": PNG, "kind": "sticker", "caption": "x" }),
            "caption",
        ),
        (
            json!({ "data": PNG, "kind": "document", "view_once": true }),
            "view_once",
        ),
        (
            json!({ "data": PNG, "kind": "gif" }),
            "kind must be one of image",
        ),
        (json!({ "data": PNG, "id": "fil_x" }), "one of"),
        (
            json!({ "id": "med_4f1c0b7f7b0d4c63a1b8f0d6f3f5c9aa" }),
            "that of a file that a message has brought",
        ),
        (json!({ "mimetype": "image/png" }), "one of"),
        (json!({ "data": PNG, "mimetype": "image" }), "mimetype"),
        (json!({ "data": PNG, "captoin": "x" }), "captoin"),
    ] {
        refused(&service, media, 400, "INVALID_CONTENT", says).await;
    }
    let two = json!({ "cliente_id": 51, "to": "5491150002222", "message": "x", "media": { "data": PNG } });
    let two = service.post("/send", &two).await;
    two.assert_refused(400, "INVALID_CONTENT");
    assert_eq!(service.taken(&account).await.len(), 0);
    service.stop();
}
