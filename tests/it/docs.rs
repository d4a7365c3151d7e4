//! What is written for operators is what the program does: settings and their defaults, reasons, and where links lead.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::Command,
};

use session_manager::{
    config::{ClientConfig, Config},
    session::ReasonCode,
};

/// A file of the repository.
fn read(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

/// The variables that the program asks for, but for the system's own.
fn variables() -> BTreeSet<String> {
    let asked = RefCell::new(BTreeSet::new());
    let note = |name: &str| -> Option<OsString> {
        asked.borrow_mut().insert(name.to_owned());
        None
    };
    Config::from_lookup(note).unwrap();
    ClientConfig::from_lookup(note).unwrap();
    let mut asked = asked.into_inner();
    asked.remove("PATH");
    asked
}

/// Everything that the settings come to, when these are set.
fn read_with(set: &[(&str, &str)]) -> Vec<String> {
    let config = Config::from_lookup(|name| {
        let found = set.iter().find(|(key, _)| *key == name);
        found.map(|(_, value)| value.into())
    })
    .unwrap_or_else(|why| panic!("{set:?}: {why}"));
    // Taken apart whole: a new setting is not forgotten here.
    let Config {
        port,
        host,
        tokens_dir,
        data_dir,
        chrome_path,
        chrome_args,
        search_path: _,
        whatsapp_url,
        adapters,
        page_scripts_dir,
        wa_js_path,
        sandbox,
        session_mode,
        default_cliente_id,
        autostart,
        restore_sessions,
        sessions,
        connect_wait,
        idempotency,
        message_retention,
        snapshot_key,
        event_retention,
        received,
        central_hub,
        delivery,
        media,
        evidence_of_chats,
        api_key,
        api_keys_file,
        allow_without_key,
        trusted_proxies,
        cors_origins,
        log_format,
        log_filter,
        slips: _,
        public_url,
    } = config;
    vec![
        format!(
            "{port} {host} {allow_without_key} {trusted_proxies} {cors_origins:?} {public_url:?}"
        ),
        format!("{tokens_dir:?} {data_dir:?} {api_keys_file:?} {api_key:?} {snapshot_key:?}"),
        format!("{chrome_path:?} {chrome_args:?} {page_scripts_dir:?} {wa_js_path:?} {adapters:?}"),
        format!("{whatsapp_url} {sandbox:?} {session_mode:?} {default_cliente_id} {autostart:?}"),
        format!("{restore_sessions} {sessions:?} {connect_wait:?}"),
        format!("{idempotency:?} {message_retention:?} {event_retention:?} {evidence_of_chats}"),
        format!("{central_hub:?}"),
        format!("{delivery:?} {received:?}"),
        format!("{delivery:?} {media:?}"),
        format!("{log_format:?} {log_filter}"),
    ]
}

/// Holds a default, as it is written somewhere, against what the program does without the variable.
fn assert_default(file: &str, name: &str, written: &str) {
    // Read at the program's start, when it may not be installed yet; its place is what counts.
    if name == "WA_JS_PATH" {
        let config = Config::from_lookup(|_| None).unwrap();
        assert_eq!(config.wa_js_path, Path::new(written), "{file}: {name}");
        return;
    }
    // The sandbox's own settings are not looked at without it.
    let base: &[(&str, &str)] = if name.starts_with("SANDBOX_") {
        &[("SANDBOX", "true")]
    } else {
        &[]
    };
    let value = written.replace("DATA_DIR", "data");
    let set = [base, &[(name, &value)]].concat();
    assert_eq!(
        read_with(&set),
        read_with(base),
        "{file}: the default of {name} is not {written}"
    );
}

/// What stands between backticks.
fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// The rows of all tables whose first column is headed `variable`: the names in it, and for each its default as far as it is written out.
fn settings_tables(text: &str) -> BTreeMap<String, Option<String>> {
    let mut settings = BTreeMap::new();
    let mut is_inside = false;
    for line in text.lines() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        if cells.len() < 4 {
            is_inside = false;
        } else if cells[1] == "variable" {
            is_inside = true;
        } else if is_inside && cells[1].starts_with('`') {
            let names = quoted(cells[1]);
            let last = names.last().unwrap();
            let defaults: Vec<&str> = cells[2].split(", ").collect();
            for (at, name) in names.iter().enumerate() {
                // `LAUNCH_`, `SYNC_TIMEOUT_SECONDS`: what they have in common is written once.
                let name = match name.strip_suffix('_') {
                    Some(first) => format!("{first}_{}", last.split_once('_').unwrap().1),
                    None => (*name).to_owned(),
                };
                let written = defaults.get(at).copied().unwrap_or_default();
                let literal = written
                    .strip_prefix('`')
                    .and_then(|rest| rest.strip_suffix('`'));
                let before = settings.insert(name, literal.map(str::to_owned));
                assert!(before.is_none(), "{line}: a setting is there twice");
            }
        }
    }
    settings
}

#[test]
fn each_document_has_every_setting_with_its_true_default() {
    let example = read(".env.example");
    let example: BTreeMap<String, Option<String>> = example
        .lines()
        .filter_map(|line| line.strip_prefix('#')?.split_once('='))
        .filter(|(name, _)| {
            name.chars()
                .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
        })
        .map(|(name, value)| {
            let value = Some(value.to_owned()).filter(|value| !value.is_empty());
            (name.to_owned(), value)
        })
        .collect();
    let documents = [
        (".env.example", example),
        (
            "docs/configuration.md",
            settings_tables(&read("docs/configuration.md")),
        ),
        ("README.md", settings_tables(&read("README.md"))),
    ];
    for (file, settings) in documents {
        let named: BTreeSet<String> = settings.keys().cloned().collect();
        let real = variables();
        let missing: Vec<_> = real.difference(&named).collect();
        let invented: Vec<_> = named.difference(&real).collect();
        assert!(missing.is_empty(), "{file} lacks {missing:?}");
        assert!(
            invented.is_empty(),
            "{file} has {invented:?}, which nothing reads"
        );
        let mut checked = 0;
        for (name, written) in settings {
            if let Some(written) = written {
                assert_default(file, &name, &written);
                checked += 1;
            }
        }
        // Those without one are paths, keys and lists that are empty, and the number of cores.
        assert!(
            checked * 3 > real.len() * 2,
            "{file}: only {checked} defaults are written out"
        );
    }
}

#[test]
fn each_reason_of_the_program_is_explained_and_none_besides() {
    let real: BTreeSet<&str> = ReasonCode::all().map(ReasonCode::as_str).collect();
    let text = read("docs/reasons.md");
    let rows = text.lines().filter(|line| line.starts_with("| `"));
    let explained: BTreeSet<&str> = rows
        .flat_map(|row| quoted(row.split('|').nth(1).unwrap()))
        .collect();
    assert_eq!(real, explained);
}

#[test]
fn the_example_of_a_ci_job_works() {
    let free = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let [api, sandbox] = free.map(|free| free.local_addr().unwrap().port().to_string());
    #[expect(
        clippy::disallowed_methods,
        reason = "the test plays the CI job that runs the example"
    )]
    let mut example =
        Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/ci-example.sh"));
    let ended = example
        .arg(env!("CARGO_BIN_EXE_session-manager"))
        .env("PORT", api)
        .env("SANDBOX_PORT", sandbox)
        .output()
        .unwrap();
    assert!(ended.status.success(), "{ended:?}");
    assert_eq!(ended.stdout, b"one message, as it should be\n");
}

/// The documents for people.
fn documents(root: &Path) -> Vec<PathBuf> {
    let mut found = vec![root.join("README.md"), root.join("CONTRIBUTING.md")];
    for folder in ["docs", "docs/deploy"] {
        let entries = fs::read_dir(root.join(folder)).unwrap();
        let files = entries.map(|entry| entry.unwrap().path());
        found.extend(files.filter(|path| path.extension().is_some_and(|end| end == "md")));
    }
    found
}

/// The name by which a heading is linked to.
fn anchor(heading: &str) -> String {
    let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
    let text: String = heading.trim().to_lowercase().chars().filter(kept).collect();
    text.replace(' ', "-")
}

#[test]
fn each_link_in_the_documents_leads_somewhere() {
    assert_links_lead_somewhere(Path::new(env!("CARGO_MANIFEST_DIR")));
}

/// The same of a package's documents.
pub(crate) fn assert_links_lead_somewhere(root: &Path) {
    let mut checked = 0;
    for document in documents(root) {
        let text = fs::read_to_string(&document).unwrap();
        for (before, rest) in text.match_indices("](").map(|(at, _)| text.split_at(at)) {
            let target = rest[2..].split(')').next().unwrap();
            if target.contains("://") || before.ends_with('\\') {
                continue;
            }
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            let path = match file {
                "" => document.clone(),
                file => document.parent().unwrap().join(file),
            };
            let at = document.display();
            assert!(path.try_exists().unwrap(), "{at}: {target} is not there");
            if !heading.is_empty() {
                let led_to = fs::read_to_string(&path).unwrap();
                let mut headings = led_to.lines().filter(|line| line.starts_with('#'));
                assert!(
                    headings.any(|line| anchor(line.trim_start_matches('#')) == heading),
                    "{at}: {target} has no such heading"
                );
            }
            checked += 1;
        }
    }
    assert!(checked > 40, "only {checked} links were found");
}

#[test]
fn the_index_names_each_document() {
    let index = read("docs/README.md");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for document in documents(root) {
        let name = document.strip_prefix(root).unwrap();
        let link = match name.strip_prefix("docs") {
            Ok(name) => format!("]({}", name.display()),
            Err(_) => format!("](../{}", name.display()),
        };
        let is_itself = name == Path::new("docs/README.md");
        assert!(
            is_itself || index.contains(&link),
            "docs/README.md has no {link}"
        );
    }
}
