//! Defaults, and what is said of faults.

use jiff::Timestamp;

use super::*;
use crate::keys::{Key, KeyFile, KeyText, Scope};

fn config(variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
    Config::from_lookup(|name| {
        variables
            .iter()
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value.into())
    })
}

#[test]
fn nothing_set_gives_the_documented_defaults() {
    let config = config(&[]).unwrap();
    assert_eq!(
        (config.port, config.host.to_string().as_str()),
        (3001, "localhost")
    );
    assert_eq!(config.connect_wait, Duration::from_secs(8));
    assert_eq!(config.default_cliente_id.as_str(), "admin");
    assert!(config.sandbox.is_none());
}

#[test]
fn an_empty_variable_is_one_that_is_not_set() {
    assert_eq!(
        config(&[("PORT", ""), ("RUST_LOG", "")]).unwrap().port,
        3001
    );
}

#[test]
fn every_fault_is_reported_at_once_with_its_variable() {
    let faults = config(&[
        ("PORT", "70000"),
        ("HOST", "nowhere"),
        ("SESSION_MODE", "both"),
        ("AUTOSTART", "51,../x"),
        ("MAX_CONCURRENT_STARTS", "0"),
        ("SEND_WAIT_SECONDS", "-1"),
        ("WHATSAPP_URL", "web.whatsapp.com"),
        ("CHROME_ARGS", "--ok nope"),
        ("SANDBOX", "maybe"),
        ("SANDBOX_CODE_SECONDS", "60"),
        ("LOG_FORMAT", "xml"),
        ("WA_JS_PATH", "/nonexistent/wa.js"),
        ("TRUSTED_PROXIES", "11"),
        ("ALLOW_WITHOUT_KEY", "maybe"),
    ])
    .unwrap_err()
    .to_string();
    for name in [
        "PORT",
        "HOST",
        "SESSION_MODE",
        "AUTOSTART",
        "MAX_CONCURRENT_STARTS",
        "SEND_WAIT_SECONDS",
        "WHATSAPP_URL",
        "CHROME_ARGS",
        "SANDBOX:",
        "SANDBOX_CODE_SECONDS",
        "LOG_FORMAT",
        "WA_JS_PATH",
        "TRUSTED_PROXIES",
        "ALLOW_WITHOUT_KEY",
    ] {
        assert!(faults.contains(name), "{name} is missing in:\n{faults}");
    }
    assert_eq!(faults.lines().count(), 14, "{faults}");
    assert!(!faults.contains("  "), "{faults}");
}

#[test]
fn a_broken_env_file_stops_the_service_and_is_not_repeated() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(".env");
    std::fs::write(&file, "API_KEY 's3cret\n").unwrap();
    let faults = Config::load(&file, false).unwrap_err().to_string();
    assert!(
        faults.contains(".env") && !faults.contains("s3cret"),
        "{faults}"
    );
}

#[test]
fn what_is_wrong_with_the_file_is_told_together_with_what_is_wrong_with_its_values() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(".env");
    let text = "MAX_SESSIONS=many\nAPI_KEY 's3cret\nHOST=0.0.0.0\nSEND_WAIT_SECONDS=-1\nSESION_MODE=single\nDB=x\n";
    std::fs::write(&file, text).unwrap();
    let (config, verdict) = Config::inspect(&file, false);
    let faults = verdict.unwrap_err();
    let faults = faults.faults();
    // And not that there is no key: it may be in the line that cannot be read.
    assert_eq!(faults.len(), 3, "{faults:?}");
    assert!(faults[0].contains("line 2: "), "{faults:?}");
    assert_eq!(config.slips.len(), 1, "{:?}", config.slips);
    assert!(config.slips[0].contains("did you mean SESSION_MODE?"));
}

#[test]
fn a_chrome_that_is_not_there_or_is_no_program_stops_the_service() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("chrome");
    std::fs::write(&file, "").unwrap();
    for (path, is_good) in [
        ("/nope", false),
        ("/", false),
        (file.to_str().unwrap(), false),
        ("/bin/sh", true),
    ] {
        let read = config(&[("CHROME_PATH", path)]);
        assert_eq!(read.is_ok(), is_good, "{path}");
        if let Err(faults) = read {
            assert!(faults.to_string().contains("unset it"), "{faults}");
        }
    }
}

#[test]
fn a_key_that_would_not_be_the_one_written_stops_the_service() {
    assert!(
        config(&[("API_KEY", "")])
            .unwrap_err()
            .to_string()
            .contains("API_KEY")
    );
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(".env");
    for (line, is_good) in [
        ("API_KEY=pa$$word", false),
        ("API_KEY=\"pa$word\"", false),
        ("API_KEY='pa$$word'", true),
        ("# API_KEY=$x", true),
    ] {
        std::fs::write(&file, line).unwrap();
        assert_eq!(Config::load(&file, false).is_ok(), is_good, "{line}");
    }
}

#[test]
fn the_sandbox_keeps_its_profiles_apart() {
    let sandboxed = config(&[("SANDBOX", "1"), ("DATA_DIR", "d")]).unwrap();
    assert_eq!(sandboxed.tokens_dir, PathBuf::from("d/sandbox/tokens"));
    let told = config(&[("SANDBOX", "1"), ("TOKENS_DIR", "t")]).unwrap();
    assert_eq!(told.tokens_dir, PathBuf::from("t"));
}

fn served(variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let lookup = |name: &str| {
        let set = variables.iter().find(|(key, _)| *key == name);
        set.map(|(_, value)| Found::given(value.into()))
    };
    let (config, verdict) = Config::gather(lookup, &Dotenv::default(), true);
    verdict.map(|()| config)
}

#[test]
fn a_service_that_others_reach_has_a_key_or_does_not_start() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys.json");
    let (everywhere, path) = (("HOST", "0.0.0.0"), file.to_str().unwrap());
    let no_file = ("API_KEYS_FILE", path);
    for (variables, is_served) in [
        (&[no_file][..], true),
        (&[no_file, ("HOST", "::1")], true),
        (&[no_file, ("HOST", "Localhost")], true),
        (&[no_file, ("HOST", "127.0.0.1")], true),
        (&[no_file, everywhere], false),
        (&[no_file, ("HOST", "::")], false),
        (&[no_file, ("HOST", "192.0.2.1")], false),
        (
            &[no_file, everywhere, ("API_KEY", "s3cret-s3cret-s3")],
            true,
        ),
        (
            &[no_file, everywhere, ("API_KEY", "s3cret-s3cret-s")],
            false,
        ),
        (&[no_file, ("API_KEY", "s3cret")], true),
        (&[no_file, everywhere, ("ALLOW_WITHOUT_KEY", "true")], true),
    ] {
        assert_eq!(served(variables).is_ok(), is_served, "{variables:?}");
        assert!(
            config(variables).is_ok(),
            "what serves nobody reads it all the same"
        );
    }
    let short = [no_file, everywhere, ("API_KEY", "ñandú")];
    for variables in [
        &short[..],
        &[&short[..], &[("ALLOW_WITHOUT_KEY", "1")]].concat(),
    ] {
        let faults = served(variables).unwrap_err().to_string();
        for said in [
            "API_KEY: ",
            "16 characters",
            "openssl rand",
            "key add",
            "HOST=localhost",
        ] {
            assert!(faults.contains(said), "{said} is missing in:\n{faults}");
        }
        assert!(!faults.contains("ñandú"), "{faults}");
        assert!(!faults.contains("  "), "{faults}");
    }
    // Together with all that is wrong besides, and with the way out.
    let faults = served(&[no_file, everywhere, ("PORT", "70000")]);
    let faults = faults.unwrap_err().to_string();
    assert_eq!(faults.lines().count(), 2, "{faults}");
    for said in [
        "HOST: ",
        "0.0.0.0",
        "key add",
        "API_KEY",
        "ALLOW_WITHOUT_KEY",
    ] {
        assert!(faults.contains(said), "{said} is missing in:\n{faults}");
    }

    let key = |name: &str, expires_at| {
        let (text, now) = (KeyText::generate(), Timestamp::UNIX_EPOCH);
        let mut key = Key::new(name.parse().unwrap(), &text, Scope::Read, now);
        key.expires_at = expires_at;
        KeyFile::new(file.clone()).add(key).unwrap();
    };
    key("expired", Some(Timestamp::UNIX_EPOCH));
    assert!(served(&[no_file, everywhere]).is_err());
    assert!(served(&[no_file]).is_ok());
    key("lasting", None);
    assert!(served(&[no_file, everywhere]).is_ok());
    std::fs::write(&file, "{").unwrap();
    for host in ["127.0.0.1", "0.0.0.0"] {
        let faults = served(&[no_file, ("HOST", host), ("API_KEY", "s3cret-s3cret-s3")]);
        assert!(
            faults
                .unwrap_err()
                .to_string()
                .starts_with("API_KEYS_FILE: ")
        );
    }
}

#[test]
fn the_sandbox_is_opened_to_others_only_by_its_own_setting() {
    let host = |variables: &[(&str, &str)]| {
        let with = [&[("SANDBOX", "1")], variables].concat();
        config(&with).unwrap().sandbox.unwrap().host.to_string()
    };
    assert_eq!(host(&[]), "localhost");
    assert_eq!(host(&[("HOST", "::1")]), "::1");
    assert_eq!(host(&[("HOST", "0.0.0.0")]), "localhost");
    assert_eq!(host(&[("SANDBOX_HOST", "0.0.0.0")]), "0.0.0.0");
}

#[test]
fn web_pages_are_all_those_of_this_machine_or_listed() {
    let read = |raw| config(&[("CORS_ORIGINS", raw)]).map(|config| config.cors_origins);
    let only = |local, listed: &[&str]| {
        let listed = listed.iter().map(|origin| (*origin).to_owned()).collect();
        Some(CorsOrigins::Only { local, listed })
    };
    assert_eq!(read("").unwrap(), None);
    assert_eq!(read("*").unwrap(), Some(CorsOrigins::Any));
    assert_eq!(read("local").unwrap(), Some(CorsOrigins::LOCAL));
    let app = "https://app.example";
    assert_eq!(read(app).unwrap(), only(false, &[app]));
    assert_eq!(
        read(" https://app.example ,local").unwrap(),
        only(true, &[app])
    );
    for wrong in ["*,local", "null", ",", "app.example", "localhost"] {
        let faults = read(wrong).unwrap_err().to_string();
        assert!(
            faults.contains("CORS_ORIGINS: must be *"),
            "{wrong}: {faults}"
        );
    }
}

#[test]
fn a_wrong_value_is_not_repeated() {
    assert!(
        !config(&[("CORS_ORIGINS", "s3cret")])
            .unwrap_err()
            .to_string()
            .contains("s3cret")
    );
}

/// What is said of the settings in this `.env`, for each fault.
fn faults_of(text: &str) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(".env");
    std::fs::write(&file, text).unwrap();
    let (_, verdict) = Config::inspect(&file, false);
    verdict.map_or_else(|faults| faults.faults().to_vec(), |()| Vec::new())
}

#[test]
fn switches_for_chrome_need_no_quotes_in_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(".env");
    for value in [
        "--lang=es --disable-gpu",
        "--lang=es --disable-gpu # Spanish",
        "'--lang=es --disable-gpu'",
        "\"--lang=es --disable-gpu\"",
    ] {
        std::fs::write(&file, format!("CHROME_ARGS={value}\n")).unwrap();
        let config = Config::load(&file, false).unwrap();
        assert_eq!(
            config.chrome_args,
            ["--lang=es", "--disable-gpu"],
            "{value}"
        );
    }
    let faults = faults_of("CHROME_ARGS=--user-agent=\"A B\"\n");
    assert!(
        faults[0].contains("blanks") && faults[0].contains("quotes"),
        "{faults:?}"
    );
}

#[test]
fn a_fault_names_the_line_that_the_value_stands_in() {
    let faults = faults_of("# Ours.\nPORT=many\nAPI_KEY=pa$$word\nOTHER=pa$$word\n");
    assert_eq!(faults.len(), 2, "{faults:?}");
    for (fault, start, line) in [
        (&faults[0], "PORT: must be a port", ".env line 2)"),
        (&faults[1], "API_KEY: ", ".env line 3)"),
    ] {
        assert!(fault.starts_with(start) && fault.ends_with(line), "{fault}");
    }
    assert!(!faults[1].contains("word"), "{faults:?}");
}

#[test]
fn quotes_and_remarks_that_came_along_from_a_file_are_a_fault() {
    for (name, value, said) in [
        ("API_KEY", "'s3cret'", "quotes (')"),
        ("API_KEY", "\"s3cret\"", "quotes (\")"),
        ("API_KEY", "`s3cret`", "quotes (`)"),
        ("API_KEY", "'s3cret'\r", "quotes (')"),
        ("API_KEY", "\"s3cret\" # mine", "quotes (\")"),
        ("API_KEY", "s3cret # mine", "remarks"),
        ("API_KEY", "s3\ncret", "line break"),
        ("API_KEY", "\u{201c}s3cret\u{201d}", "typographic"),
        ("CHROME_ARGS", "'--lang=es'", "quotes (')"),
        ("PORT", "\"3005\"", "quotes (\")"),
        ("DATA_DIR", "\"/data\"", "quotes (\")"),
        ("PUBLIC_URL", "https://x.example # ours", "remarks"),
    ] {
        let faults = config(&[(name, value)]).unwrap_err().to_string();
        assert!(faults.starts_with(&format!("{name}: ")), "{faults}");
        assert!(faults.contains(said), "{name}={value}: {faults}");
        assert!(!faults.contains("s3cret"), "{faults}");
    }
    // As Windows and a secret of Kubernetes end them; and what only looks like one.
    for value in ["s3cret\r", "s3cret\n", "it's", "a'b'c", "s3#cret"] {
        let config = config(&[("API_KEY", value)]).unwrap();
        assert_eq!(config.api_key.unwrap().reveal(), value.trim());
    }
}

#[test]
fn what_kubernetes_sets_for_a_service_named_sandbox_is_no_matter_without_one() {
    let set = ("SANDBOX_PORT", "tcp://10.0.0.1:3002");
    assert!(config(&[set]).is_ok());
    assert!(config(&[set, ("SANDBOX", "false")]).is_ok());
    for (faults, name) in [
        (config(&[set, ("SANDBOX", "true")]), "SANDBOX_PORT"),
        (config(&[("PORT", "tcp://10.0.0.1:3001")]), "PORT"),
    ] {
        let faults = faults.unwrap_err().to_string();
        assert!(faults.starts_with(&format!("{name}: ")), "{faults}");
        assert!(faults.contains("enableServiceLinks: false"), "{faults}");
    }
}

#[test]
fn a_path_that_only_a_shell_could_read_is_a_fault() {
    for name in [
        "TOKENS_DIR",
        "DATA_DIR",
        "API_KEYS_FILE",
        "CHROME_PATH",
        "PAGE_SCRIPTS_DIR",
        "WA_JS_PATH",
    ] {
        for value in ["~", "~/data", "$HOME/data", "${HOME}/data"] {
            let faults = config(&[(name, value)]).unwrap_err().to_string();
            assert!(faults.contains("only a shell replaces"), "{faults}");
        }
    }
    let config = config(&[("DATA_DIR", "./~"), ("TOKENS_DIR", "100%/$x")]).unwrap();
    assert_eq!(config.data_dir, PathBuf::from("./~"));
}

#[test]
fn a_key_that_cannot_be_read_is_not_called_absent_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join(".env");
    std::fs::write(&file, "HOST=0.0.0.0\nAPI_KEY=\"open\nDATA_DIR=/nowhere\n").unwrap();
    let faults = Config::load_to_serve(&file, false).unwrap_err();
    let faults = faults.faults();
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert!(faults[0].starts_with("API_KEY: begins with a quote that is not closed"));
}

#[test]
fn central_hub_is_set_by_the_names_of_the_service_before_and_looked_at_only_when_it_is_on() {
    let on = [
        ("CENTRAL_HUB_BASE_URL", "http://hub:3000/"),
        ("CENTRAL_HUB_USER", "listener"),
        ("CENTRAL_HUB_PASS", "s3cret"),
    ];
    let hub = |more: &[(&str, &str)]| {
        let set = [&on[..], more].concat();
        config(&set).map(|config| config.central_hub)
    };
    let usual = hub(&[]).unwrap();
    assert_eq!(usual.base_url.as_deref(), Some("http://hub:3000"));
    assert_eq!((usual.missing(), usual.cliente_id), (vec![], 1));
    assert!(!format!("{usual:?}").contains("s3cret"));
    assert_eq!(hub(&[("CLIENTE_ID", "5")]).unwrap().cliente_id, 5);
    let both = [("CLIENTE_ID", "5"), ("CENTRAL_HUB_CLIENTE_ID", "7")];
    assert_eq!(hub(&both).unwrap().cliente_id, 7);
    let why = hub(&[("CLIENTE_ID", "five")]).unwrap_err().to_string();
    assert!(why.starts_with("CLIENTE_ID: "), "{why}");
    // Another program's variable, where there is no hub.
    let off = config(&[("CLIENTE_ID", "five")]).unwrap().central_hub;
    assert_eq!(off.missing().len(), 3);
}

#[test]
fn files_are_kept_in_a_folder_or_in_a_bucket_with_its_key() {
    let location =
        |variables: &[(&str, &str)]| config(variables).map(|config| config.received.location);
    let usual = location(&[("AWS_ENDPOINT_URL", "of another program")]).unwrap();
    assert!(matches!(usual, Location::Folder(path) if path == Path::new("data/media")));
    let key = [
        ("AWS_ACCESS_KEY_ID", "AKIA"),
        ("AWS_SECRET_ACCESS_KEY", "s3cret"),
    ];
    let store = |value| [&[("MEDIA_STORE", value)], &key[..]].concat();
    let Location::Bucket(bucket) = location(&store("s3://my-bucket/a/b/")).unwrap() else {
        panic!("no bucket");
    };
    assert_eq!(
        (&*bucket.name, &*bucket.prefix, &*bucket.region),
        ("my-bucket", "a/b", "us-east-1")
    );
    assert!(!format!("{bucket:?}").contains("s3cret"));
    for wrong in [
        "s3://",
        "s3://Bucket/a",
        "s3://bucket/a b",
        "gs://bucket/a",
        "s3://bucket//a//b",
        "s3://bucket/a/../b",
        "s3://bucket",
        "s3://bucket/",
    ] {
        let why = location(&store(wrong)).unwrap_err().to_string();
        assert!(
            why.contains("MEDIA_STORE: must be a folder, or a folder in a bucket"),
            "{wrong}: {why}"
        );
    }
    let why = location(&store("s3://bucket")).unwrap_err().to_string();
    assert!(why.contains("the folder is missing"), "{why}");
    let why = location(&[("MEDIA_STORE", "s3://bucket/files")])
        .unwrap_err()
        .to_string();
    assert!(
        why.contains("AWS_ACCESS_KEY_ID: is needed")
            && why.contains("AWS_SECRET_ACCESS_KEY: is needed"),
        "{why}"
    );
}

#[test]
fn a_bucket_that_no_request_can_be_made_for_is_told_by_the_variable_that_is_wrong() {
    let with = |name, value| {
        config(&[
            // The first one counts.
            (name, value),
            ("MEDIA_STORE", "s3://my-bucket/files"),
            ("AWS_ACCESS_KEY_ID", "AKIA"),
            ("AWS_SECRET_ACCESS_KEY", "s3cret"),
        ])
    };
    for (name, value) in [
        ("AWS_REGION", "EU (Frankfurt)"),
        ("AWS_REGION", "eu\u{2011}central-1"),
        ("AWS_REGION", "eu\"central"),
        ("AWS_REGION", "eu/central"),
        ("AWS_ACCESS_KEY_ID", "AKIÁ"),
        ("AWS_ACCESS_KEY_ID", "AK IA"),
        ("AWS_ENDPOINT_URL", "http://min io:9000"),
        ("AWS_ENDPOINT_URL", "http:///"),
        ("AWS_ENDPOINT_URL", "https://:9000"),
        ("AWS_ENDPOINT_URL", "http://miniö:9000"),
        ("AWS_ENDPOINT_URL", "http://minio:90000"),
        ("AWS_ENDPOINT_URL", "http://minio:port"),
        ("AWS_ENDPOINT_URL", "http://user@minio:9000"),
        ("AWS_ENDPOINT_URL", "http://999.1.1.1"),
        ("AWS_ENDPOINT_URL", "http://a.b.c.xn--pokxncvks"),
        ("AWS_ENDPOINT_URL", "http://minio.1"),
        ("AWS_ENDPOINT_URL", "http://[::g]:9000"),
        ("AWS_ENDPOINT_URL", "http://[10.0.0.1]:9000"),
        ("AWS_ENDPOINT_URL", "http://minio:9000?x"),
        ("AWS_ENDPOINT_URL", "http://minio:9000/#x"),
        ("AWS_ENDPOINT_URL", "minio:9000"),
    ] {
        let faults = with(name, value).unwrap_err().to_string();
        assert!(
            faults.starts_with(&format!("{name}: must be ")),
            "{name}={value}: {faults}"
        );
        assert_eq!(faults.lines().count(), 1, "{faults}");
    }
    for (given, kept) in [
        ("http://minio:9000/", "http://minio:9000"),
        ("https://s3.example.com", "https://s3.example.com"),
        ("http://min_io:9000", "http://min_io:9000"),
        ("http://10.0.0.1:9000", "http://10.0.0.1:9000"),
        ("http://[::1]:9000", "http://[::1]:9000"),
        ("https://example.com/s3/", "https://example.com/s3"),
    ] {
        let Location::Bucket(bucket) = with("AWS_ENDPOINT_URL", given).unwrap().received.location
        else {
            panic!("no bucket");
        };
        assert_eq!(bucket.endpoint.as_deref(), Some(kept));
    }
    for region in ["eu-central-1", "auto", "RegionOne", "garage"] {
        assert!(with("AWS_REGION", region).is_ok(), "{region}");
    }
}

#[test]
fn files_that_nobody_asks_for_are_fetched_up_to_a_size() {
    let most =
        |raw| config(&[("MEDIA_DOWNLOAD_MAX_MB", raw)]).map(|set| set.received.download_most);
    assert_eq!(config(&[]).unwrap().received.download_most, 50_000_000);
    assert_eq!(most("1").unwrap(), 1_000_000);
    for wrong in ["0", "2001", "-1", "50MB"] {
        let why = most(wrong).unwrap_err().to_string();
        assert!(why.starts_with("MEDIA_DOWNLOAD_MAX_MB: "), "{wrong}: {why}");
    }
}
