//! Which room of a module may use which, held by reading the sources.
//!
//! A room is a folder of a module; the files beside `mod.rs` are its vocabulary, the lowest room. A room uses itself and the
//! rooms below it. `mod.rs` stands above them all; so do `http/routes.rs`, which declares every route, and `http/state.rs`, which
//! holds a part of every room. Each room may use them. A type or function that `mod.rs` re-exports counts as a use of the room that
//! it comes from. Tests may use everything.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// The rooms of `session`, from the highest to the lowest.
const SESSION: &[&str] = &[
    "fleet",
    "lifecycle",
    "listening",
    "reading",
    "sending",
    "keeping",
    "linking",
];

/// The rooms of `http`, from the highest to the lowest.
const HTTP: &[&str] = &["openapi", "api", "page", "serve", "guard", "wire"];

/// The rooms of `browser`, from the highest to the lowest.
const BROWSER: &[&str] = &["chrome", "snapshot", "profile", "processes", "measure"];

#[test]
fn no_room_of_browser_uses_one_above_it() {
    assert_eq!(
        uses_of_higher_rooms("browser", &["mod.rs"], BROWSER),
        [""; 0]
    );
}

#[test]
fn no_room_of_http_uses_one_above_it() {
    assert_eq!(
        uses_of_higher_rooms("http", &["mod.rs", "routes.rs", "state.rs"], HTTP),
        [""; 0]
    );
}

#[test]
fn no_room_of_session_uses_one_above_it() {
    assert_eq!(
        uses_of_higher_rooms("session", &["mod.rs"], SESSION),
        [""; 0]
    );
}

/// Each use of a room that stands higher than the file that uses it, as `file:line: name`. The files `above` all rooms may
/// use each of them.
fn uses_of_higher_rooms(module: &str, above: &[&str], rooms: &[&str]) -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("src")
        .join(module);
    let place = |name: &str| rooms.iter().position(|room| *room == name);
    let face = fs::read_to_string(folder.join("mod.rs")).unwrap();
    let mut origins = BTreeMap::new();
    // `pub use` or `pub(crate) use`; a `use` of the module itself begins its line.
    for (_, exported) in face.split(';').filter_map(|text| text.rsplit_once(" use ")) {
        let Some(room) = names(exported).next().and_then(place) else {
            continue;
        };
        let paths = exported.split(|c: char| c.is_whitespace() || "{},".contains(c));
        let exports = paths.filter_map(|path| path.rsplit("::").next());
        origins.extend(
            exports
                .filter(|name| !name.is_empty())
                .map(|name| (name, room)),
        );
    }
    let mut found = Vec::new();
    for path in sources(&folder) {
        let file = path.strip_prefix(&folder).unwrap();
        if above.iter().any(|name| file == Path::new(name)) {
            continue;
        }
        let own = file
            .iter()
            .next()
            .and_then(|first| place(first.to_str()?))
            .unwrap_or(rooms.len());
        let text = fs::read_to_string(&path).unwrap();
        let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
        let (mut is_foreign, mut is_import) = (false, false);
        for (line, code) in (1..).zip(code.lines()) {
            let code = code.split("//").next().unwrap();
            // Another crate may have a module of the same name.
            is_foreign |= code.starts_with("use ")
                && !code.starts_with("use crate")
                && !code.starts_with("use super");
            is_import |= code.starts_with("use ");
            let (is_skipped, imports) = (is_foreign, is_import);
            is_foreign &= !code.contains(';');
            is_import &= !code.contains(';');
            if is_skipped {
                continue;
            }
            let as_path = |name: &&str| code.contains(&format!("{name}::"));
            // A function's name may also be that of a variable or of a method.
            let is_export = |name: &&str| {
                imports
                    || name.starts_with(char::is_uppercase)
                    || code.contains(&format!("::{name}"))
            };
            let used = names(code).filter(|name| {
                let room = origins
                    .get(name)
                    .copied()
                    .filter(|_| is_export(name))
                    .or_else(|| place(name).filter(|_| as_path(name)));
                room.is_some_and(|room| room < own)
            });
            found
                .extend(used.map(|name| format!("src/{module}/{}:{line}: {name}", file.display())));
        }
    }
    found
}

fn names(code: &str) -> impl Iterator<Item = &str> {
    let words = code.split(|c: char| !c.is_alphanumeric() && c != '_');
    words.filter(|word| !word.is_empty())
}

/// All sources of the rooms, without tests.
fn sources(root: &Path) -> Vec<PathBuf> {
    let (mut files, mut folders) = (Vec::new(), vec![root.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.file_stem().and_then(|name| name.to_str()) {
                Some("tests") => {}
                _ if path.is_dir() => folders.push(path),
                _ if path.extension().is_some_and(|kind| kind == "rs") => files.push(path),
                _ => {}
            }
        }
    }
    files
}
