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

/// What a document without a name is called.
pub fn by_mimetype(mimetype: &str) -> String {
    let ending = match mimetype {
        "application/pdf" => "pdf",
        "application/zip" => "zip",
        "text/plain" => "txt",
        "text/csv" => "csv",
        "application/json" => "json",
        "image/jpeg" => "jpg",
        "image/png" => "png",
        "image/webp" => "webp",
        "image/gif" => "gif",
        "audio/mpeg" => "mp3",
        "audio/mp4" => "m4a",
        "video/mp4" => "mp4",
        mimetype if mimetype.starts_with("audio/ogg") => "ogg",
        _ => return "document".to_owned(),
    };
    format!("document.{ending}")
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
