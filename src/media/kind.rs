//! What may be sent as what.
//!
//! Responsible for telling by a file's first bytes what it is, and for what WhatsApp takes of that: a picture as such, and anything as a
//! document. A file is never converted: what WhatsApp does not take as it is, is refused by name. The lists are those of the page module
//! `WAWebMmsMediaTypes` (docs/whatsapp.md#media).

use super::name;
use crate::extras::MediumKind;

/// What a recipient's phone plays as a voice message.
pub const OPUS: &str = "audio/ogg; codecs=opus";

const SVG: &str = "image/svg+xml";
const OCTETS: &str = "application/octet-stream";

/// Says nothing of a file: the type that curl and the stores of files give to what they do not know. The second one is S3's.
const UNKNOWN: [&str; 2] = [OCTETS, "binary/octet-stream"];

/// WhatsApp's limits, in bytes, of page module `WAWebMediaGatingUtils`. A document's is the service's own, `MEDIA_MAX_MB`.
const MB: u64 = 1024 * 1024;
const MOST_OF_VIDEO: u64 = 64 * MB;
const MOST_OF_OTHERS: u64 = 16 * MB;

/// What a file is by its first bytes. `None`: nothing that is shown or played in a chat.
fn signature(head: &[u8]) -> Option<&'static str> {
    let has = |at: usize, text: &[u8]| head.get(at..at + text.len()) == Some(text);
    if has(0, b"\xff\xd8\xff") {
        return Some("image/jpeg");
    }
    if has(0, b"\x89PNG\r\n\x1a\n") {
        return Some("image/png");
    }
    if has(0, b"RIFF") && has(8, b"WEBP") {
        return Some("image/webp");
    }
    if has(0, b"GIF8") {
        return Some("image/gif");
    }
    if has(0, b"OggS") {
        return Some(if has(28, b"OpusHead") {
            OPUS
        } else {
            "audio/ogg"
        });
    }
    if has(4, b"ftyp") {
        return Some(match head.get(8..11) {
            Some(b"M4A" | b"M4B") => "audio/mp4",
            Some(b"3gp" | b"3g2") => "video/3gpp",
            Some(b"qt ") => "video/quicktime",
            Some(b"hei" | b"mif" | b"avi") => "image/heic",
            Some(_) | None => "video/mp4",
        });
    }
    if has(0, b"#!AMR") {
        return Some("audio/amr");
    }
    if has(0, b"RIFF") && has(8, b"WAVE") {
        return Some("audio/wav");
    }
    if has(0, b"\x1a\x45\xdf\xa3") {
        return Some("video/webm");
    }
    if has(0, b"ID3") {
        return Some("audio/mpeg");
    }
    match head {
        // ADTS: the layer is 0; MPEG audio has another one.
        [0xff, second, ..] if second & 0xf6 == 0xf0 => Some("audio/aac"),
        [0xff, second, ..] if second & 0xe0 == 0xe0 && second & 0x06 != 0 => Some("audio/mpeg"),
        _ if is_svg(head) => Some(SVG),
        _ => None,
    }
}

/// An image that is a program: WhatsApp takes it in no form.
fn is_svg(head: &[u8]) -> bool {
    let text = String::from_utf8_lossy(head).to_ascii_lowercase();
    let text = text.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
    text.starts_with("<svg")
        || ((text.starts_with("<?xml") || text.starts_with("<!")) && text.contains("<svg"))
}

/// A mimetype without its parameters, in small letters.
fn bare(mimetype: &str) -> String {
    let (bare, _) = mimetype.split_once(';').unwrap_or((mimetype, ""));
    bare.trim().to_ascii_lowercase()
}

/// Whether a text is the form of a mimetype.
pub fn is_mimetype(text: &str) -> bool {
    let bare = bare(text);
    let is_token = |part: &str| {
        !part.is_empty()
            && part
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte))
    };
    text.len() <= 255
        && !text.contains(|c: char| c.is_control())
        && bare
            .split_once('/')
            .is_some_and(|(kind, rest)| is_token(kind) && is_token(rest))
}

/// As what a file is sent, and of which type it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// As what.
    pub kind: MediumKind,
    /// In WhatsApp's words.
    pub mimetype: String,
}

/// Decides, or says why it cannot be sent so. `kind`, `mimetype` and `filename` are what the caller has named; a file of the web has its
/// server's word.
pub fn judge(
    kind: Option<MediumKind>,
    mimetype: Option<&str>,
    filename: Option<&str>,
    head: &[u8],
    bytes: u64,
) -> Result<Judged, String> {
    let found = signature(head);
    let named = mimetype.map(bare);
    let named = named.filter(|named| !UNKNOWN.contains(&named.as_str()));
    if found == Some(SVG) || named.as_deref() == Some(SVG) {
        return Err(
            "WhatsApp takes no SVG, also not as a document: send it as a PNG, or in a ZIP"
                .to_owned(),
        );
    }
    let kind = kind.unwrap_or_else(|| guessed(found, named.as_deref()));
    let mimetype = if kind == MediumKind::Document {
        let told = || found.or_else(|| of_document(filename, head));
        named.unwrap_or_else(|| bare(told().unwrap_or(OCTETS)))
    } else {
        let found = found.ok_or_else(|| not_what(kind, named.as_deref()))?;
        taken(kind, found)?.to_owned()
    };
    let most = match kind {
        MediumKind::Document => u64::MAX,
        MediumKind::Video => MOST_OF_VIDEO,
        MediumKind::Image | MediumKind::Audio | MediumKind::Voice | MediumKind::Sticker => {
            MOST_OF_OTHERS
        }
    };
    if most < bytes {
        let name = kind.as_str();
        return Err(format!(
            "it has {bytes} bytes, and WhatsApp takes {most} of the kind {name}: send it as a document"
        ));
    }
    Ok(Judged { kind, mimetype })
}

/// The type of a document whose sender has named none: the recipient's phone chooses by it what opens the file. Many kinds of documents are archives by their
/// bytes, so the ending of its name goes before that.
fn of_document(filename: Option<&str>, head: &[u8]) -> Option<&'static str> {
    if head.starts_with(b"%PDF-") {
        return Some("application/pdf");
    }
    let by_name = filename.and_then(name::mimetype_of);
    by_name.or_else(|| head.starts_with(b"PK\x03\x04").then_some("application/zip"))
}

/// A file becomes a picture, a film or a sound only when its bytes and its type agree, or when no type is named.
fn guessed(found: Option<&'static str>, named: Option<&str>) -> MediumKind {
    let Some(found) = found else {
        return MediumKind::Document;
    };
    let family = |mimetype: &str| mimetype.split('/').next().unwrap_or_default().to_owned();
    let agrees = named.is_none_or(|named| family(named) == family(found));
    let kind = match family(found).as_str() {
        "image" => MediumKind::Image,
        "video" => MediumKind::Video,
        _ => MediumKind::Audio,
    };
    if agrees && taken(kind, found).is_ok() {
        kind
    } else {
        MediumKind::Document
    }
}

/// The type under which WhatsApp takes these bytes as this kind.
fn taken(kind: MediumKind, found: &'static str) -> Result<&'static str, String> {
    let (takes, words): (&[&str], &str) = match kind {
        MediumKind::Image => (
            &["image/jpeg", "image/png", "image/webp"],
            "a picture has to be a JPEG, PNG or WebP",
        ),
        MediumKind::Sticker => (&["image/webp"], "a sticker has to be a WebP"),
        MediumKind::Video => (
            &["video/mp4", "video/3gpp"],
            "a video has to be an MP4 or 3GP",
        ),
        MediumKind::Audio => (
            &[OPUS, "audio/mpeg", "audio/mp4", "audio/aac", "audio/amr"],
            "a sound has to be MP3, M4A, AAC, AMR, or Opus in Ogg",
        ),
        MediumKind::Voice => (&[OPUS], "a voice message has to be Opus in Ogg"),
        MediumKind::Document => return Ok(found),
    };
    if takes.contains(&found) {
        return Ok(found);
    }
    // An MP4 without a film in it says the same of itself.
    if kind == MediumKind::Audio && found == "video/mp4" {
        return Ok("audio/mp4");
    }
    let bare = bare(found);
    Err(format!(
        "the file is {bare} by its first bytes, and {words}: convert it, or send it as a document"
    ))
}

fn not_what(kind: MediumKind, named: Option<&str>) -> String {
    let named = named.map(|named| format!(", although it is said to be {named}"));
    let (kind, named) = (kind.as_str(), named.unwrap_or_default());
    format!(
        "the file is none of the kind {kind} by its first bytes{named}: give the right kind, or send it as a document"
    )
}

/// What a medium is called: a document always has a name, the others need none.
pub fn filename(kind: MediumKind, mimetype: &str, given: Option<&str>) -> Option<String> {
    let given = given.and_then(name::harmless);
    match kind {
        MediumKind::Document => Some(given.unwrap_or_else(|| name::by_mimetype(mimetype))),
        MediumKind::Image
        | MediumKind::Video
        | MediumKind::Audio
        | MediumKind::Voice
        | MediumKind::Sticker => given,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const JPEG: &[u8] = b"\xff\xd8\xff\xe0";
    const PDF: &[u8] = b"%PDF-1.7";
    const WEBP: &[u8] = b"RIFF\0\0\0\0WEBPVP8 ";
    const MP4: &[u8] = b"\0\0\0\x18ftypisom";
    const MP3: &[u8] = b"ID3\x04";
    const WAV: &[u8] = b"RIFF\0\0\0\0WAVEfmt ";
    const HTML: &[u8] = b"<!doctype html><title>Sign in</title>";

    fn opus() -> Vec<u8> {
        [b"OggS".as_slice(), &[0; 24], b"OpusHead"].concat()
    }

    fn kind(
        kind: Option<MediumKind>,
        mimetype: Option<&str>,
        head: &[u8],
    ) -> Result<(MediumKind, String), String> {
        judge(kind, mimetype, None, head, 5).map(|judged| (judged.kind, judged.mimetype))
    }

    #[test]
    fn what_is_left_out_is_guessed_and_no_document_becomes_a_picture_by_accident() {
        use MediumKind::{Audio, Document, Image, Video};
        for (mimetype, head, guessed, as_type) in [
            (None, JPEG, Image, "image/jpeg"),
            (Some("image/png"), JPEG, Image, "image/jpeg"),
            (Some("application/octet-stream"), JPEG, Image, "image/jpeg"),
            (Some("application/octet-stream"), MP4, Video, "video/mp4"),
            (Some("binary/octet-stream"), MP3, Audio, "audio/mpeg"),
            (Some("application/pdf"), JPEG, Document, "application/pdf"),
            (Some("application/pdf"), PDF, Document, "application/pdf"),
            (None, PDF, Document, "application/pdf"),
            (None, b"x", Document, "application/octet-stream"),
            (None, b"PK\x03\x04", Document, "application/zip"),
            (Some("image/jpeg"), PDF, Document, "image/jpeg"),
            (None, WEBP, Image, "image/webp"),
            (None, MP4, Video, "video/mp4"),
            (Some("audio/mpeg"), MP3, Audio, "audio/mpeg"),
            (None, WAV, Document, "audio/wav"),
        ] {
            assert_eq!(
                kind(None, mimetype, head),
                Ok((guessed, as_type.to_owned())),
                "{mimetype:?}"
            );
        }
        assert_eq!(kind(None, None, &opus()), Ok((Audio, OPUS.to_owned())));
    }

    #[test]
    fn a_document_without_a_type_has_that_of_its_bytes_else_that_of_its_ending() {
        const WORD: &str =
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document";
        const ZIP: &[u8] = b"PK\x03\x04\x14";
        for (mimetype, name, head, as_type) in [
            (None, "lista.pdf", PDF, "application/pdf"),
            (None, "lista.docx", PDF, "application/pdf"),
            (None, "lista.DOCX", ZIP, WORD),
            (Some("application/octet-stream"), "lista.docx", ZIP, WORD),
            (
                Some("application/zip"),
                "lista.docx",
                ZIP,
                "application/zip",
            ),
            (None, "lista", ZIP, "application/zip"),
            (None, "lista.csv", b"a;b", "text/csv"),
            (None, "lista.qqq", b"a;b", "application/octet-stream"),
        ] {
            let judged = judge(None, mimetype, Some(name), head, 5).unwrap();
            assert_eq!(
                (judged.kind, judged.mimetype.as_str()),
                (MediumKind::Document, as_type),
                "{name}"
            );
        }
    }

    #[test]
    fn what_whatsapp_does_not_take_as_that_is_refused_by_name() {
        use MediumKind::{Audio, Document, Image, Sticker, Video, Voice};
        assert_eq!(
            kind(Some(Voice), Some("audio/ogg"), &opus()),
            Ok((Voice, OPUS.to_owned()))
        );
        assert_eq!(
            kind(Some(Document), None, JPEG),
            Ok((Document, "image/jpeg".to_owned()))
        );
        for (wanted, head, word) in [
            (Voice, MP3, "Opus in Ogg"),
            (Sticker, JPEG, "WebP"),
            (Image, HTML, "none of the kind image"),
            (Image, b"GIF89a".as_slice(), "JPEG, PNG or WebP"),
            (Video, b"\x1a\x45\xdf\xa3", "MP4"),
            (Audio, WAV, "MP3"),
            (Image, PDF, "as a document"),
        ] {
            let why = kind(Some(wanted), None, head).unwrap_err();
            assert!(why.contains(word), "{why}");
        }
    }

    #[test]
    fn an_svg_is_refused_in_every_form() {
        let svg = b"<?xml version=\"1.0\"?>\n<svg xmlns=\"http://www.w3.org/2000/svg\"><script>alert(1)</script></svg>";
        for wanted in [None, Some(MediumKind::Document), Some(MediumKind::Image)] {
            let why = kind(wanted, None, svg).unwrap_err();
            assert!(why.contains("SVG"), "{why}");
        }
        assert!(kind(None, Some("image/svg+xml"), b"x").is_err());
    }

    #[test]
    fn a_file_is_not_larger_than_whatsapp_takes() {
        let judged = |wanted| judge(Some(wanted), None, None, JPEG, 17 * MB);
        assert!(judged(MediumKind::Image).unwrap_err().contains("document"));
        assert!(judged(MediumKind::Document).is_ok());
    }
}
