//! What is shown in a terminal: drawn over and over in place, and gone without a trace; or lines, where it is no terminal.
//!
//! A drawing is on the terminal's second screen, so that codes do not stay in the lines that can be scrolled back to.

use std::io::{self, IsTerminal as _, Write as _};

use tokio::signal::unix::{Signal, SignalKind, signal};

/// Second screen, no cursor; and back.
const OPEN: &str = "\x1b[?1049h\x1b[?25l";
const CLOSE: &str = "\x1b[?25h\x1b[?1049l";

/// To the top left; after each line the rest of it is wiped, after the last one the rest of the screen.
const HOME: &str = "\x1b[H";
const WIPE_LINE: &str = "\x1b[K\r\n";
const WIPE_REST: &str = "\x1b[J";

/// A window, in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) columns: usize,
    pub(super) lines: usize,
}

/// The second screen of the terminal. Dropping it gives the first one back.
#[derive(Debug)]
pub(super) struct Screen {
    drawn: String,
}

impl Screen {
    /// Whether there is a terminal to draw on.
    pub(super) fn is_there() -> bool {
        io::stdout().is_terminal()
    }

    pub(super) fn open() -> io::Result<Self> {
        let screen = Self {
            drawn: String::new(),
        };
        put(OPEN)?;
        Ok(screen)
    }

    /// The window as it is now: somebody may have made it larger.
    pub(super) fn size() -> Size {
        let (columns, lines) = match rustix::termios::tcgetwinsize(io::stdout()) {
            Ok(size) if size.ws_col > 0 && size.ws_row > 0 => (size.ws_col, size.ws_row),
            // A terminal that does not tell is taken for the usual one.
            Ok(_) | Err(_) => (80, 24),
        };
        Size {
            columns: columns.into(),
            lines: lines.into(),
        }
    }

    /// Puts these lines in the place of what is shown.
    pub(super) fn draw(&mut self, lines: &[String]) -> io::Result<()> {
        let drawing = format!("{HOME}{}\x1b[K{WIPE_REST}", lines.join(WIPE_LINE));
        if drawing != self.drawn {
            put(&drawing)?;
            self.drawn = drawing;
        }
        Ok(())
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // A terminal that is gone needs nothing back.
        let _gone = put(CLOSE);
    }
}

fn put(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

/// One line of the answer.
pub(super) fn say(line: &str) -> io::Result<()> {
    put(&format!("{line}\n"))
}

/// One line beside the answer: what goes on, what went wrong.
pub(super) fn remark(line: &str) {
    // Who has closed it does not want to know.
    let _closed = writeln!(io::stderr().lock(), "{line}");
}

/// The signals by which a person, or a closing window, ends a command.
#[derive(Debug)]
pub(super) struct Interrupts {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
}

impl Interrupts {
    /// Caught from now on, so that the terminal is given back before the command ends.
    pub(super) fn catch() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// Resolves with the number of the first that comes.
    pub(super) async fn next(&mut self) -> u8 {
        const NUMBERS: [u8; 3] = [2, 15, 1];
        tokio::select! {
            _ = self.interrupt.recv() => NUMBERS[0],
            _ = self.terminate.recv() => NUMBERS[1],
            _ = self.hang_up.recv() => NUMBERS[2],
        }
    }
}
