//! What a document is called: a name that others have chosen, made harmless.

/// File systems take 255 bytes, and a phone adds some of its own.
const LONGEST_BYTES: usize = 200;

/// What of a given name is kept: its last part, without what a file system, a terminal or a reader could be misled by. `None`: nothing.
pub fn harmless(given: &str) -> Option<String> {
    harmless_within(given, LONGEST_BYTES)
}

/// The same, `longest` bytes of it at most.
pub fn harmless_within(given: &str, longest: usize) -> Option<String> {
    let last = given.rsplit(['/', '\\']).next().unwrap_or_default();
    let kept = last.chars().filter(|letter| {
        !letter.is_control() && !is_invisible(*letter) && !"<>:\"|?*".contains(*letter)
    });
    let kept: String = kept.collect();
    // A leading dot hides a file, and dots alone are folders; Windows drops dots and blanks at the end.
    let kept = kept
        .trim()
        .trim_start_matches('.')
        .trim_end_matches(['.', ' ']);
    let kept = shortened(kept, longest);
    (!kept.is_empty()).then_some(kept)
}

/// The endings of names and the types that they stand for, as IANA has them. Of two endings of a type the first is the usual one.
const ENDINGS: [(&str, &str); 39] = [
    ("pdf", "application/pdf"),
    ("zip", "application/zip"),
    ("txt", "text/plain"),
    ("csv", "text/csv"),
    ("json", "application/json"),
    ("xml", "application/xml"),
    ("html", "text/html"),
    ("htm", "text/html"),
    ("rtf", "application/rtf"),
    ("doc", "application/msword"),
    (
        "docx",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ),
    ("xls", "application/vnd.ms-excel"),
    (
        "xlsx",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ),
    ("ppt", "application/vnd.ms-powerpoint"),
    (
        "pptx",
        "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    ),
    ("odt", "application/vnd.oasis.opendocument.text"),
    ("ods", "application/vnd.oasis.opendocument.spreadsheet"),
    ("odp", "application/vnd.oasis.opendocument.presentation"),
    ("epub", "application/epub+zip"),
    ("7z", "application/x-7z-compressed"),
    ("rar", "application/vnd.rar"),
    ("gz", "application/gzip"),
    ("apk", "application/vnd.android.package-archive"),
    ("ics", "text/calendar"),
    ("vcf", "text/vcard"),
    ("jpg", "image/jpeg"),
    ("jpeg", "image/jpeg"),
    ("png", "image/png"),
    ("webp", "image/webp"),
    ("gif", "image/gif"),
    ("heic", "image/heic"),
    ("mp3", "audio/mpeg"),
    ("m4a", "audio/mp4"),
    ("aac", "audio/aac"),
    ("amr", "audio/amr"),
    ("ogg", "audio/ogg"),
    ("mp4", "video/mp4"),
    ("3gp", "video/3gpp"),
    ("mov", "video/quicktime"),
];

/// What a document without a name is called.
pub fn by_mimetype(mimetype: &str) -> String {
    ending_of(mimetype).map_or_else(
        || "document".to_owned(),
        |ending| format!("document.{ending}"),
    )
}

/// How the name of a file of this type ends.
pub fn ending_of(mimetype: &str) -> Option<&'static str> {
    let bare = mimetype.split(';').next().unwrap_or_default().trim();
    let mut endings = ENDINGS.iter();
    let found = endings.find(|(_, typed)| typed.eq_ignore_ascii_case(bare));
    found.map(|(ending, _)| *ending)
}

/// The type that the ending of a name stands for.
pub fn mimetype_of(name: &str) -> Option<&'static str> {
    let (_, given) = name.rsplit_once('.')?;
    let mut endings = ENDINGS.iter();
    let found = endings.find(|(ending, _)| ending.eq_ignore_ascii_case(given));
    found.map(|(_, typed)| *typed)
}

/// Marks that turn the order of letters, begin a line or cannot be seen: `gpj.exe` shown as `exe.jpg`.
const fn is_invisible(letter: char) -> bool {
    matches!(
        letter,
        '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
    )
}

/// Its begin and its ending, where it is too long.
fn shortened(name: &str, longest: usize) -> String {
    if name.len() <= longest {
        return name.to_owned();
    }
    let ending = name.rfind('.').map_or("", |at| &name[at..]);
    let ending = if ending.len() <= 16 { ending } else { "" };
    let mut end = longest - ending.len();
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{ending}", &name[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_keeps_nothing_that_leads_elsewhere_or_hides_something() {
        for (given, kept) in [
            ("lista de precios.pdf", Some("lista de precios.pdf")),
            ("../../etc/passwd", Some("passwd")),
            ("..\\..\\windows\\system32\\x.dll", Some("x.dll")),
            ("a\u{0}b\r\n\u{1b}[31mc.txt", Some("ab[31mc.txt")),
            ("foto\u{202e}gpj.exe", Some("fotogpj.exe")),
            (".htaccess", Some("htaccess")),
            ("..", None),
            ("/", None),
            ("  ", None),
            ("con: \"x\"|?*.pdf", Some("con x.pdf")),
            ("ñandú 🎉.png", Some("ñandú 🎉.png")),
        ] {
            assert_eq!(harmless(given).as_deref(), kept, "{given:?}");
        }
    }

    #[test]
    fn a_long_name_keeps_its_ending() {
        let kept = harmless(&format!("{}.pdf", "ñ".repeat(300))).unwrap();
        assert!(
            kept.len() <= LONGEST_BYTES && kept.ends_with("ñ.pdf"),
            "{kept}"
        );
    }
}
