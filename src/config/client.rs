//! What a command in a terminal needs to reach the service: where it listens, and its key.
//!
//! Read from the same variables and the same `.env` as the service reads, and no others: a fault in a setting of the service alone
//! must not keep a person from asking for its state.

use std::{ffi::OsString, fs, net::SocketAddr, path::Path};

use startup::{
    Dotenv, Found, ListenHost, Secret, Settings, SettingsError as ConfigError, parse, variable,
};

/// How a service is reached.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    /// Where the service listens, as `HOST` and `PORT` say; loopback when it listens everywhere.
    pub url: String,
    /// The key, and where it was found.
    pub key: Option<(Secret, KeySource)>,
}

/// Where a key came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// The file that the caller named.
    File,
    /// `SESSION_MANAGER_KEY`.
    OwnVariable,
    /// `API_KEY`, the service's own.
    ServiceVariable,
}

impl ClientConfig {
    /// Reads the process environment and the file `dotenv`, which may be absent. A key in `key_file` goes before both.
    pub fn load(dotenv: &Path, key_file: Option<&Path>) -> Result<Self, ConfigError> {
        let file = Dotenv::read(dotenv);
        let config = Self::read(|name| variable(name, &file), file.faults())?;
        let Some(key_file) = key_file else {
            return Ok(config);
        };
        let key = fs::read_to_string(key_file).map_err(|why| why.to_string());
        let key = key.and_then(|key| match key.trim() {
            "" => Err("it holds no key".to_owned()),
            key => Ok(Secret::new(key.to_owned())),
        });
        let fault = |why| ConfigError::of(format!("--key-file {}: {why}", key_file.display()));
        let key = key.map_err(fault)?;
        Ok(Self {
            key: Some((key, KeySource::File)),
            ..config
        })
    }

    /// Reads through `lookup`, which answers a variable's value.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<OsString>) -> Result<Self, ConfigError> {
        Self::read(|name| lookup(name).map(Found::given), &[])
    }

    /// `faults` are known already.
    fn read(
        lookup: impl Fn(&str) -> Option<Found>,
        faults: &[String],
    ) -> Result<Self, ConfigError> {
        let mut settings = Settings::new(lookup);
        settings.complain_of(faults);
        let host = settings.parsed("HOST", ListenHost::Localhost, parse::listen_host);
        let port = settings.parsed("PORT", 3001, parse::port);
        let own = settings.secret("SESSION_MANAGER_KEY");
        let service = settings.secret("API_KEY");
        settings.verdict()?;
        Ok(Self {
            url: format!("http://{}", SocketAddr::new(host.reached_at(), port)),
            key: own
                .map(|key| (key, KeySource::OwnVariable))
                .or_else(|| service.map(|key| (key, KeySource::ServiceVariable))),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<ClientConfig, ConfigError> {
        ClientConfig::from_lookup(|name| {
            let set = variables.iter().find(|(key, _)| *key == name);
            set.map(|(_, value)| value.into())
        })
    }

    #[test]
    fn a_service_that_listens_everywhere_is_reached_over_loopback() {
        for (host, url) in [
            ("", "http://127.0.0.1:3001"),
            ("0.0.0.0", "http://127.0.0.1:3001"),
            ("::", "http://[::1]:3001"),
            ("192.0.2.7", "http://192.0.2.7:3001"),
        ] {
            assert_eq!(read(&[("HOST", host)]).unwrap().url, url);
        }
    }

    #[test]
    fn a_key_of_the_callers_own_goes_before_the_services() {
        let both = read(&[("API_KEY", "a"), ("SESSION_MANAGER_KEY", "b")]).unwrap();
        let (key, source) = both.key.unwrap();
        assert_eq!((key.reveal(), source), ("b", KeySource::OwnVariable));
        assert!(read(&[]).unwrap().key.is_none());
    }

    #[test]
    fn a_fault_in_what_only_the_service_uses_does_not_matter() {
        assert!(read(&[("MAX_SESSIONS", "many")]).is_ok());
        assert!(read(&[("PORT", "many")]).is_err());
    }

    #[test]
    fn a_key_file_holds_a_key_and_goes_before_all() {
        let folder = tempfile::tempdir().unwrap();
        let (nothing, file) = (folder.path().join(".env"), folder.path().join("key"));
        fs::write(&file, "s3cret\n").unwrap();
        let config = ClientConfig::load(&nothing, Some(&file)).unwrap();
        let (key, source) = config.key.unwrap();
        assert_eq!((key.reveal(), source), ("s3cret", KeySource::File));
        fs::write(&file, "\n").unwrap();
        for missing in [file, folder.path().join("none")] {
            let why = ClientConfig::load(&nothing, Some(&missing)).unwrap_err();
            assert!(why.to_string().contains("--key-file"), "{why}");
        }
    }
}
