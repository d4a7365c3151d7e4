//! Mouse and keyboard: input that the page takes for a person's, because Chrome itself vouches for it.
//!
//! Knows no page; the page's scripts say where to click.

use std::time::Duration;

use chromiumoxide::{
    Command, Page,
    cdp::browser_protocol::input::{
        DispatchKeyEventParams, DispatchKeyEventType, DispatchMouseEventParams,
        DispatchMouseEventType, InsertTextParams, MouseButton,
    },
};
use serde::Deserialize;
use tokio::time::timeout;

/// Chrome answers when the page has handled the event: milliseconds, and seconds on a page busy with its own start-up.
const INPUT_TIMEOUT: Duration = Duration::from_secs(15);

/// CDP's bit for a held Shift.
const SHIFT: i64 = 8;

/// A place in the window, in CSS pixels.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct Point {
    x: f64,
    y: f64,
}

/// Clicks with the left button.
pub(super) async fn click(page: &Page, at: Point) -> Result<(), String> {
    for kind in [
        DispatchMouseEventType::MousePressed,
        DispatchMouseEventType::MouseReleased,
    ] {
        let event = DispatchMouseEventParams {
            button: Some(MouseButton::Left),
            click_count: Some(1),
            ..DispatchMouseEventParams::new(kind, at.x, at.y)
        };
        dispatch(page, event).await?;
    }
    Ok(())
}

/// Types a text into what has the focus: each line as an input method does, and Shift and Enter between lines.
///
/// Enter alone would send. A line break inside an inserted text is up to the editor; Shift and Enter is the key that people
/// press for one. Neither could be tried on the real page, whose editor may also turn "- " or ":)" into something else:
/// the caller reads back what stands there before it sends.
pub(super) async fn type_text(page: &Page, text: &str) -> Result<(), String> {
    for (at, line) in text.split('\n').enumerate() {
        if at > 0 {
            press(page, &Key::LINE_BREAK).await?;
        }
        if !line.is_empty() {
            dispatch(page, InsertTextParams::new(line)).await?;
        }
    }
    Ok(())
}

/// Presses Enter.
pub(super) async fn enter(page: &Page) -> Result<(), String> {
    press(page, &Key::ENTER).await
}

/// Selects all that stands in what has the focus: what is typed next takes its place.
pub(super) async fn select_all(page: &Page) -> Result<(), String> {
    press(page, &Key::SELECT_ALL).await
}

/// Selects all that stands in what has the focus, and deletes it.
pub(super) async fn erase(page: &Page) -> Result<(), String> {
    select_all(page).await?;
    press(page, &Key::BACKSPACE).await
}

/// A key, in the form that CDP wants.
struct Key {
    name: &'static str,
    code: &'static str,
    number: i64,
    modifiers: i64,
    /// What it types.
    text: Option<&'static str>,
    /// The editing command that Chrome would find in the platform's own table; a Chrome without a screen has none.
    command: Option<&'static str>,
}

impl Key {
    const LINE_BREAK: Self = Self {
        name: "Enter",
        code: "Enter",
        number: 13,
        modifiers: SHIFT,
        text: Some("\r"),
        command: None,
    };
    const ENTER: Self = Self {
        modifiers: 0,
        ..Self::LINE_BREAK
    };
    const SELECT_ALL: Self = Self {
        name: "a",
        code: "KeyA",
        number: 65,
        modifiers: 2,
        text: None,
        command: Some("selectAll"),
    };
    const BACKSPACE: Self = Self {
        name: "Backspace",
        code: "Backspace",
        number: 8,
        modifiers: 0,
        text: None,
        command: None,
    };
}

async fn press(page: &Page, key: &Key) -> Result<(), String> {
    let down = if key.text.is_some() {
        DispatchKeyEventType::KeyDown
    } else {
        DispatchKeyEventType::RawKeyDown
    };
    for kind in [down, DispatchKeyEventType::KeyUp] {
        let is_down = kind != DispatchKeyEventType::KeyUp;
        let event = DispatchKeyEventParams {
            key: Some(key.name.to_owned()),
            code: Some(key.code.to_owned()),
            windows_virtual_key_code: Some(key.number),
            modifiers: Some(key.modifiers),
            text: key.text.filter(|_| is_down).map(str::to_owned),
            commands: key
                .command
                .filter(|_| is_down)
                .map(|command| vec![command.to_owned()]),
            ..DispatchKeyEventParams::new(kind)
        };
        dispatch(page, event).await?;
    }
    Ok(())
}

async fn dispatch<C: Command>(page: &Page, event: C) -> Result<(), String> {
    let dispatched = timeout(INPUT_TIMEOUT, page.execute(event)).await;
    dispatched
        .map_err(|_| {
            format!(
                "Chrome did not take the input within {} s",
                INPUT_TIMEOUT.as_secs()
            )
        })?
        .map_err(|why| why.to_string())?;
    Ok(())
}
