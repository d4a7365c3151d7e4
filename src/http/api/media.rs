//! Files that are to be sent: `POST /media`, which brings one before its send, and what a send says of its own.
//!
//! Responsible for: streaming a file from a caller, or from the web, to disk. What may be sent as what is [`media::kind`](crate::media::kind)'s
//! part. Nothing here keeps a file in memory, but for one that stands in the body of a send.

use std::time::Duration;

use axum::{
    body::{Body, Bytes},
    extract::{DefaultBodyLimit, FromRequest as _, Multipart, Request, State, multipart::Field},
    http::{HeaderMap, StatusCode, Uri, header},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use futures_util::StreamExt as _;
use tokio::time::timeout;

use super::send_content::check_medium_kind;
use crate::{
    extras::Medium,
    http::{
        guard::purpose,
        state::AppState,
        wire::{
            body::LARGEST_INLINE,
            contract::{FileBytes, MediaBrought},
            error::ApiError,
            extract::Json,
            parameters::NameOfFile,
            requests::MediaField,
        },
    },
    media::{
        Incoming, Kept, MediaError,
        kind::{self, is_mimetype},
        name,
    },
};

/// A caller that sends nothing for so long must not hold a connection for ever.
const PART_TIMEOUT: Duration = Duration::from_secs(30);

/// What a document is called, in the query.
const FILENAME: &str = "filename";

/// The fields of a form: more than these is no upload of one file.
const MOST_FIELDS: usize = 8;

/// The longest of its texts.
const LONGEST_FIELD: usize = 1000;

/// Brings a file that is to be sent: the body is the file itself, or a form with the field `file`. The answer has the id that
/// `/send` takes as `media.id`. The file is kept for a day, and for longer while a send needs it.
#[utoipa::path(post, path = "/media", tag = "messages", params(NameOfFile), request_body(content = inline(FileBytes), content_type = "application/octet-stream",
    description = "The file. A form (multipart/form-data) that has it as `file` is taken as well; generators of clients know one type for a body"), responses(
    (status = 201, description = "It is on disk", body = MediaBrought, content_type = "application/json"),
))]
pub(in crate::http) async fn bring(
    State(app): State<AppState>,
    mut request: Request,
) -> Result<(StatusCode, Json<MediaBrought>), ApiError> {
    purpose::check_parameters(request.uri().query(), &[FILENAME])?;
    // Its size is counted as it comes.
    DefaultBodyLimit::disable().apply(&mut request);
    let named = named_type(request.headers());
    let given = if named.as_deref().is_some_and(is_form) {
        of_form(&app, request).await?
    } else {
        let filename = name_in(request.uri()).and_then(|name| name::harmless(&name));
        Given {
            file: of_body(&app, request.into_body()).await?,
            mimetype: named.filter(|named| is_mimetype(named) && !is_curls_own(named)),
            filename,
        }
    };
    let (head, bytes) = (given.file.head(), given.file.bytes());
    let (mimetype, filename) = (given.mimetype.as_deref(), given.filename.as_deref());
    let judged = kind::judge(None, mimetype, filename, head, bytes);
    let judged = judged.map_err(invalid)?;
    let kept = given.keep().await?;
    let id = app.media.name(kept.clone()).await.map_err(refused)?;
    let brought = MediaBrought::of(id, kept, judged.kind, judged.mimetype);
    Ok((StatusCode::CREATED, Json(brought)))
}

/// The medium of a send, on disk.
pub(super) async fn of_send(app: &AppState, given: MediaField) -> Result<Medium, ApiError> {
    let MediaField {
        url,
        data,
        id,
        mimetype,
        kind,
        filename,
        caption,
        view_once,
    } = given;
    let file = match (url, data, id) {
        (Some(url), _, _) => Source::New(of_web(app, &url).await?.into()),
        (None, Some(data), _) => Source::New(of_data(app, &data).await?.into()),
        (None, None, Some(id)) => {
            let found = app.media.find(&id).await.map_err(refused)?;
            Source::Kept(found.ok_or(ApiError::UnknownMedia)?)
        }
        // It was looked at when the request was read.
        (None, None, None) => return Err(invalid("give one of url, data and id".to_owned())),
    };
    let (known, called, head, bytes) = match &file {
        Source::New(given) => (
            &given.mimetype,
            given.filename.as_deref(),
            given.file.head().to_vec(),
            given.file.bytes(),
        ),
        Source::Kept(kept) => (
            &kept.mimetype,
            kept.filename.as_deref(),
            kept.head(),
            kept.bytes,
        ),
    };
    let named = mimetype.or_else(|| known.clone());
    let called = filename.as_deref().or(called);
    let judged = kind::judge(kind, named.as_deref(), called, &head, bytes);
    let judged = judged.map_err(invalid)?;
    let is_view_once = view_once == Some(true);
    check_medium_kind(Some(judged.kind), caption.is_some(), is_view_once)?;
    let kept = match file {
        Source::New(given) => given.keep().await?,
        Source::Kept(kept) => kept,
    };
    app.media.mark_used(&kept.sha256).await.map_err(refused)?;
    let filename = filename.as_deref().or(kept.filename.as_deref());
    let filename = kind::filename(judged.kind, &judged.mimetype, filename);
    Ok(Medium {
        sha256: kept.sha256,
        bytes: kept.bytes,
        kind: judged.kind,
        mimetype: judged.mimetype,
        filename: filename.map(Into::into),
        caption: caption.map(Into::into),
        view_once: is_view_once,
    })
}

/// A file that has just come whole, with what its giver says of it. What is refused from here on is removed, and never gets the name of its
/// hash, which another one may have.
struct Given {
    file: Incoming,
    mimetype: Option<String>,
    filename: Option<String>,
}

impl Given {
    async fn keep(self) -> Result<Kept, ApiError> {
        let kept = self.file.finish().await.map_err(refused)?;
        Ok(kept.named(self.mimetype, self.filename))
    }
}

/// Where the file of a send is.
enum Source {
    New(Box<Given>),
    Kept(Kept),
}

async fn of_data(app: &AppState, data: &str) -> Result<Given, ApiError> {
    // As in a data URL, which browsers make of a file.
    let (_, data) = data.split_once(";base64,").unwrap_or(("", data));
    if LARGEST_INLINE.div_ceil(3) * 4 < data.len() {
        let most = LARGEST_INLINE / 1024 / 1024;
        return Err(ApiError::MediaTooLarge(format!(
            "data has more than {most} MiB: bring the file with POST /media, and give its id"
        )));
    }
    let bytes = BASE64_STANDARD.decode(data);
    let bytes = bytes.map_err(|_| invalid("data is not base64".to_owned()))?;
    let mut file = app.media.begin().await.map_err(refused)?;
    file.write(&bytes).await.map_err(refused)?;
    Ok(Given {
        file: file.whole().map_err(refused)?,
        mimetype: None,
        filename: None,
    })
}

async fn of_web(app: &AppState, url: &str) -> Result<Given, ApiError> {
    let mut download = app.downloader.begin(url).await?;
    let is_page = |named: &String| named.starts_with("text/html");
    if download.mimetype.as_ref().is_some_and(is_page) {
        // A page that asks for a log-in, or says that nothing is there: no caller means it.
        let why = "the url answers with a web page (text/html) and not with a file";
        return Err(invalid(why.to_owned()));
    }
    let largest = app.media.largest();
    if download.length.is_some_and(|promised| largest < promised) {
        return Err(refused(MediaError::TooLarge(largest)));
    }
    let mut incoming = app.media.begin().await.map_err(refused)?;
    while let Some(part) = download.next().await? {
        incoming.write(&part).await.map_err(refused)?;
    }
    Ok(Given {
        file: incoming.whole().map_err(refused)?,
        mimetype: download.mimetype.filter(|named| is_mimetype(named)),
        filename: download.filename,
    })
}

async fn of_body(app: &AppState, body: Body) -> Result<Incoming, ApiError> {
    let mut incoming = app.media.begin().await.map_err(refused)?;
    let mut parts = body.into_data_stream();
    loop {
        let part = timeout(PART_TIMEOUT, parts.next()).await;
        let Some(part) = part.map_err(|_| ApiError::TooSlow)? else {
            break;
        };
        let part = part.map_err(|_| broke_off())?;
        incoming.write(&part).await.map_err(refused)?;
    }
    incoming.whole().map_err(refused)
}

async fn of_form(app: &AppState, request: Request) -> Result<Given, ApiError> {
    let form = Multipart::from_request(request, &()).await;
    let mut form = form.map_err(|why| invalid(why.body_text()))?;
    let (mut file, mut mimetype, mut filename) = (None, None, None);
    for _ in 0..MOST_FIELDS {
        let field = timeout(PART_TIMEOUT, form.next_field()).await;
        let field = field.map_err(|_| ApiError::TooSlow)?;
        let Some(mut field) = field.map_err(|_| broke_off())? else {
            break;
        };
        match field.name().unwrap_or_default() {
            "file" if file.is_some() => {
                return Err(invalid(
                    "the form has the field file twice: bring each file with a request of its own"
                        .to_owned(),
                ));
            }
            "file" => {
                mimetype = mimetype.or(field.content_type().map(str::to_owned));
                filename = filename.or(field.file_name().map(str::to_owned));
                let mut incoming = app.media.begin().await.map_err(refused)?;
                while let Some(part) = next_part(&mut field).await? {
                    incoming.write(&part).await.map_err(refused)?;
                }
                file = Some(incoming.whole().map_err(refused)?);
            }
            name @ ("mimetype" | "filename") => {
                let is_mimetype = name == "mimetype";
                let mut text = Vec::new();
                while let Some(part) = next_part(&mut field).await? {
                    text.extend_from_slice(&part);
                    if LONGEST_FIELD < text.len() {
                        return Err(invalid("a text of the form is too long".to_owned()));
                    }
                }
                let text = String::from_utf8_lossy(&text).into_owned();
                *(if is_mimetype {
                    &mut mimetype
                } else {
                    &mut filename
                }) = Some(text);
            }
            _ => {
                return Err(invalid(
                    "the form takes the fields file, mimetype and filename".to_owned(),
                ));
            }
        }
    }
    Ok(Given {
        file: file.ok_or_else(|| invalid("the form has no field file".to_owned()))?,
        mimetype: mimetype.filter(|named| is_mimetype(named)),
        filename: filename.and_then(|name: String| name::harmless(&name)),
    })
}

async fn next_part(field: &mut Field<'_>) -> Result<Option<Bytes>, ApiError> {
    let part = timeout(PART_TIMEOUT, field.chunk()).await;
    part.map_err(|_| ApiError::TooSlow)?
        .map_err(|_| broke_off())
}

fn invalid(why: String) -> ApiError {
    let field = "media";
    ApiError::InvalidContent { field, why }
}

fn broke_off() -> ApiError {
    invalid("the file broke off: send it again".to_owned())
}

fn refused(why: MediaError) -> ApiError {
    match why {
        MediaError::TooLarge(_) => ApiError::MediaTooLarge(why.to_string()),
        MediaError::Empty => invalid(why.to_string()),
        MediaError::Storage(_) => ApiError::MediaUnavailable(why),
    }
}

fn named_type(headers: &HeaderMap) -> Option<String> {
    let named = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    Some(named.trim().to_owned()).filter(|named| !named.is_empty())
}

fn is_form(named: &str) -> bool {
    named
        .to_ascii_lowercase()
        .starts_with("multipart/form-data")
}

/// The content type that curl gives to a body without one of its own.
fn is_curls_own(named: &str) -> bool {
    named.eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

fn name_in(uri: &Uri) -> Option<String> {
    let query = uri.query().unwrap_or_default();
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    let (_, name) = pairs.find(|(key, _)| key == FILENAME)?;
    Some(name.into_owned())
}
