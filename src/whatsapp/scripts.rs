//! The page's scripts: built in, or replaced by a folder of the operator's.

use std::{
    io,
    path::{Path, PathBuf},
};

use chromiumoxide::{Page, cdp::js_protocol::runtime::CompileScriptParams};

use super::AdapterName;

const BRIDGE: &str = include_str!("page/bridge.js");
const WHATSAPP: &str = include_str!("page/whatsapp.js");
const PASSKEY: &str = include_str!("page/passkey.js");
const HEARING: &str = include_str!("page/hearing.js");
const CONTENT: &str = include_str!("page/content.js");
const MEDIA_IN: &str = include_str!("page/media_in.js");
const READING: &str = include_str!("page/reading.js");
const MEDIA: &str = include_str!("page/media.js");
const AFTER: &str = include_str!("page/after.js");
const MODULES: &str = include_str!("page/modules.js");
const WA_JS: &str = include_str!("page/wa_js.js");
const DOM: &str = include_str!("page/dom.js");

/// The names by which an operator may replace them.
const FILES: [&str; 12] = [
    "bridge.js",
    "whatsapp.js",
    "passkey.js",
    "hearing.js",
    "content.js",
    "media_in.js",
    "reading.js",
    "media.js",
    "after.js",
    "modules.js",
    "wa_js.js",
    "dom.js",
];

/// The name of the CDP binding by which the page speaks.
pub(super) const BINDING: &str = "__sessionManagerFact";
/// The name of the function by which the page is spoken to.
pub(super) const ENTRY: &str = "__sessionManager";

/// Where scripts come from.
#[derive(Clone, Debug, Default)]
pub struct PageScripts {
    overrides: Option<PathBuf>,
}

/// A script of the operator's that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("PAGE_SCRIPTS_DIR: {} cannot be read: {source}", path.display())]
pub struct ScriptError {
    path: PathBuf,
    source: io::Error,
}

impl PageScripts {
    /// Built-in scripts, each replaced by the file of its name in `overrides`, if there is one.
    pub const fn new(overrides: Option<PathBuf>) -> Self {
        Self { overrides }
    }

    /// Which of them an operator has replaced.
    pub fn replaced(&self) -> Vec<&'static str> {
        let is_there = |name: &&'static str| {
            let file = self.overrides.as_deref().map(|folder| folder.join(name));
            file.is_some_and(|file| file.is_file())
        };
        FILES.into_iter().filter(is_there).collect()
    }

    /// The one script that every new document runs first. Read again each time, so that a corrected file serves the next
    /// start of a session.
    pub(super) fn document_start(
        &self,
        adapters: &[AdapterName],
    ) -> Result<DocumentStart, ScriptError> {
        let mut own = Vec::new();
        let adapters = adapters
            .iter()
            .map(|name| {
                let (file, built_in) = adapter(*name);
                let script = self.script(file, built_in, &mut own)?;
                Ok(format!("{:?}: {script}", name.as_str()))
            })
            .collect::<Result<Vec<_>, ScriptError>>()?
            .join(",\n");
        let bridge = self.script("bridge.js", BRIDGE, &mut own)?;
        let shared = self.script("whatsapp.js", WHATSAPP, &mut own)?;
        let passkey = self.script("passkey.js", PASSKEY, &mut own)?;
        let hearing = self.script("hearing.js", HEARING, &mut own)?;
        let content = self.script("content.js", CONTENT, &mut own)?;
        let media = self.script("media.js", MEDIA, &mut own)?;
        let after = self.script("after.js", AFTER, &mut own)?;
        let reading = self.script("reading.js", READING, &mut own)?;
        let media_in = self.script("media_in.js", MEDIA_IN, &mut own)?;
        let source = format!(
            "({bridge})({BINDING:?}, {ENTRY:?}, {{ {adapters} }}, {shared}, {passkey}, {hearing}, {content}, {media}, {after}, {reading}, {media_in});"
        );
        Ok(DocumentStart { source, own })
    }

    /// The script: an expression, with its comments. One of the operator's is noted in `own`.
    fn script(
        &self,
        file: &str,
        built_in: &str,
        own: &mut Vec<(PathBuf, String)>,
    ) -> Result<String, ScriptError> {
        let Some(path) = self
            .overrides
            .as_deref()
            .map(|folder: &Path| folder.join(file))
        else {
            return Ok(built_in.to_owned());
        };
        match std::fs::read_to_string(&path) {
            Ok(script) => {
                tracing::info!(
                    file,
                    "page script {file} is replaced by the one in PAGE_SCRIPTS_DIR"
                );
                own.push((path, script.clone()));
                Ok(script)
            }
            Err(why) if why.kind() == io::ErrorKind::NotFound => Ok(built_in.to_owned()),
            Err(source) => Err(ScriptError { path, source }),
        }
    }
}

/// An adapter's script: its file, and the built-in text.
const fn adapter(name: AdapterName) -> (&'static str, &'static str) {
    match name {
        AdapterName::Modules => ("modules.js", MODULES),
        AdapterName::WaJs => ("wa_js.js", WA_JS),
        AdapterName::Dom => ("dom.js", DOM),
    }
}

/// What every new document runs first.
#[derive(Debug)]
pub(super) struct DocumentStart {
    pub(super) source: String,
    /// The operator's own parts of it, by their files.
    own: Vec<(PathBuf, String)>,
}

impl DocumentStart {
    /// Sees that Chrome can read the operator's own parts. A mistake in one would silence all adapters at once, and none
    /// could report it: so it is reported with its file and line.
    pub(super) async fn check(&self, page: &Page) -> Result<(), String> {
        for (path, source) in &self.own {
            let path = path.display().to_string();
            let params = CompileScriptParams::new(source.as_str(), path.as_str(), false);
            let compiled = page.execute(params).await.map_err(|why| why.to_string())?;
            if let Some(error) = &compiled.result.exception_details {
                let told = error
                    .exception
                    .as_ref()
                    .and_then(|told| told.description.as_deref());
                let told = told.unwrap_or(&error.text);
                let what = told.lines().next().unwrap_or_default();
                let line = error.line_number + 1;
                return Err(format!("PAGE_SCRIPTS_DIR: {path}, line {line}: {what}"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_in_the_folder_replaces_the_built_in_one() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("dom.js"), "(() => 'mended')").unwrap();
        let script = PageScripts::new(Some(folder.path().to_owned()))
            .document_start(&AdapterName::ALL)
            .unwrap()
            .source;
        assert!(script.contains("mended") && script.contains("WAWebSocketModel"));
    }

    #[test]
    fn a_script_that_cannot_be_read_is_an_error_that_names_it() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("modules.js")).unwrap();
        let why = PageScripts::new(Some(folder.path().to_owned()))
            .document_start(&AdapterName::ALL)
            .unwrap_err()
            .to_string();
        assert!(
            why.contains("PAGE_SCRIPTS_DIR") && why.contains("modules.js"),
            "{why}"
        );
    }
}
