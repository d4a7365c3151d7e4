//! How a number is written: the grammar. It knows no country.

use super::InvalidRecipient as Invalid;

/// The servers of chats with people, behind the `@` of a chat id.
const PEOPLE: [&str; 2] = ["c.us", "s.whatsapp.net"];

/// The servers of other chats.
const GROUPS: [&str; 3] = ["g.us", "broadcast", "newsletter"];

/// A device's number is small: four linked devices, counted on as they come and go.
const LONGEST_DEVICE: usize = 3;

/// What is understood as the end of a number and the begin of something behind it.
const EXTENSIONS: [&str; 8] = ["ext", "int", "x", "anexo", "ramal", "poste", "p", "w"];

/// An extension follows a whole number; `abc` follows nothing.
const DIGITS_BEFORE_EXTENSION: usize = 6;

/// Marks that change the order of what is seen: of each digit (U+202E), or of the groups of digits (U+202B, U+2067).
const REVERSING: [char; 3] = ['\u{202e}', '\u{202b}', '\u{2067}'];

/// A number as it was written.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Written {
    /// Its digits, without `00` in front.
    pub(super) digits: String,
    /// Whether `+` or `00` says that it begins with a country code.
    pub(super) is_international: bool,
    /// How many digits each of its groups has, in order.
    pub(super) groups: Vec<usize>,
    /// How many digits stand before the first `.`.
    pub(super) before_dot: Option<usize>,
    /// The same, where that `.` is all that separates anything.
    pub(super) before_only_dot: Option<usize>,
    /// How many digits stand before a last one that stands alone, behind a blank.
    pub(super) before_lone_digit: Option<usize>,
    /// How many digits stand before each `/`.
    pub(super) before_slashes: Vec<usize>,
    /// A `0` that stands alone in parentheses.
    pub(super) has_zero_in_parentheses: bool,
}

/// What the reader has seen of the text.
#[derive(Default)]
struct Reader {
    written: Written,
    /// Digits of the group that is being read.
    group: String,
    /// How many digits stand before the last group, where only blanks separate it from them.
    before_group: Option<usize>,
    /// `-`, `.` or `/` that waits for the group behind it.
    pending: Option<char>,
    has_plus: bool,
    is_open: bool,
    /// Whether anything has been read between the parentheses.
    is_filled: bool,
    separators: usize,
    dots: usize,
}

impl Written {
    pub(super) fn read(raw: &str) -> Result<Self, Invalid> {
        if raw.contains(REVERSING) {
            return Err(Invalid::Reversed);
        }
        let text: String = raw
            .chars()
            .filter(|c| !is_invisible(*c))
            .map(plain)
            .collect();
        let number = number_of(text.trim())?;
        let mut reader = Reader::default();
        for (at, c) in number.char_indices() {
            reader.take(c, &number[at..])?;
        }
        reader.finish()
    }
}

/// The number in a chat id, or all of a text that is none.
fn number_of(text: &str) -> Result<&str, Invalid> {
    let Some((user, server)) = text.split_once('@') else {
        return Ok(text);
    };
    let is_one_of = |servers: &[&str]| servers.iter().any(|one| server.eq_ignore_ascii_case(one));
    if is_one_of(&GROUPS) {
        return Err(Invalid::NotAPerson);
    }
    if server.eq_ignore_ascii_case("lid") {
        return Err(Invalid::HiddenId);
    }
    if !is_one_of(&PEOPLE) {
        return Err(Invalid::UnknownAddress);
    }
    // Dropped and never glued on: 5491158254201:12@s.whatsapp.net is the device 12 of 5491158254201.
    let Some((number, device)) = user.split_once(':') else {
        return Ok(user);
    };
    let is_device = (1..=LONGEST_DEVICE).contains(&device.len())
        && device.bytes().all(|byte| byte.is_ascii_digit());
    if is_device {
        Ok(number)
    } else {
        Err(Invalid::InvalidDevice)
    }
}

/// Marks that come along when a number is copied from a web page, WhatsApp or Excel. None changes a digit or their order.
fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}' | '\u{202c}' | '\u{202d}' | '\u{2060}'..='\u{2064}'
            | '\u{2066}' | '\u{2068}' | '\u{2069}' | '\u{feff}'
    )
}

/// The ASCII character that a character of another script or width stands for; each digit stands for exactly one.
fn plain(c: char) -> char {
    let digit_after = |zero: u32| char::from_digit(u32::from(c) - zero, 10).unwrap_or(c);
    match c {
        '\u{660}'..='\u{669}' => digit_after(0x660),
        '\u{6f0}'..='\u{6f9}' => digit_after(0x6f0),
        '\u{966}'..='\u{96f}' => digit_after(0x966),
        // Full-width forms lie in the order of ASCII.
        '\u{ff01}'..='\u{ff5e}' => {
            char::from_u32(u32::from(c) - 0xff01 + u32::from('!')).unwrap_or(c)
        }
        // What word processors make of a hyphen.
        '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{fe58}' | '\u{fe63}' => '-',
        _ => c,
    }
}

/// A blank that stays in the line: what separates lines or columns separates numbers.
fn is_blank(c: char) -> bool {
    c.is_whitespace() && !c.is_control() && !matches!(c, '\u{2028}' | '\u{2029}')
}

impl Reader {
    /// Takes the next character; `rest` begins with it.
    fn take(&mut self, c: char, rest: &str) -> Result<(), Invalid> {
        match c {
            '0'..='9' => self.digit(c),
            '+' => {
                if self.has_plus || !self.written.digits.is_empty() || self.pending.is_some() {
                    return Err(Invalid::MisplacedPlus);
                }
                self.has_plus = true;
            }
            '-' | '.' | '/' => {
                self.end_group();
                let has_begun =
                    !self.written.digits.is_empty() && (!self.is_open || self.is_filled);
                if self.pending.is_some() || !has_begun {
                    return Err(Invalid::StraySeparator);
                }
                self.pending = Some(c);
            }
            '(' => {
                self.end_group();
                if self.is_open {
                    return Err(Invalid::Parentheses);
                }
                (self.is_open, self.is_filled) = (true, false);
                self.separators += 1;
            }
            ')' => {
                let zero_alone = self.group == "0" && self.is_open;
                self.end_group();
                if !self.is_open || !self.is_filled {
                    return Err(Invalid::Parentheses);
                }
                if self.pending.is_some() {
                    return Err(Invalid::StraySeparator);
                }
                self.is_open = false;
                self.written.has_zero_in_parentheses |= zero_alone;
            }
            _ if is_blank(c) => {
                self.end_group();
                self.separators += 1;
            }
            _ => return Err(self.foreign(c, rest)),
        }
        Ok(())
    }

    fn digit(&mut self, c: char) {
        let before = self.written.digits.len();
        if self.group.is_empty() {
            self.before_group = self.pending.is_none().then_some(before);
        }
        match self.pending.take() {
            Some('.') => {
                self.dots += 1;
                self.written.before_dot.get_or_insert(before);
            }
            Some('/') => {
                self.separators += 1;
                self.written.before_slashes.push(before);
            }
            Some(_) => self.separators += 1,
            None => {}
        }
        self.is_filled = true;
        self.group.push(c);
        self.written.digits.push(c);
    }

    fn end_group(&mut self) {
        if !self.group.is_empty() {
            self.written.groups.push(self.group.len());
            self.group.clear();
        }
    }

    fn finish(mut self) -> Result<Written, Invalid> {
        self.end_group();
        let is_lone = self.written.groups.last() == Some(&1);
        if self.is_open {
            return Err(Invalid::Parentheses);
        }
        if self.pending.is_some() {
            return Err(Invalid::StraySeparator);
        }
        let mut written = self.written;
        written.before_lone_digit = self.before_group.filter(|_| is_lone);
        if written.digits.is_empty() {
            return Err(if self.has_plus {
                Invalid::MisplacedPlus
            } else {
                Invalid::Empty
            });
        }
        if self.has_plus {
            written.is_international = true;
            if written.digits.starts_with('0') {
                return Err(Invalid::TooManyZeros);
            }
        } else if written.digits.starts_with("00") && written.groups[0] >= "00".len() {
            written.is_international = true;
            written.digits.drain(..2);
            written.before_dot = written.before_dot.map(|before| before - 2);
            written.before_lone_digit = written.before_lone_digit.map(|before| before - 2);
            for before in &mut written.before_slashes {
                *before -= 2;
            }
            if written.digits.is_empty() || written.digits.starts_with('0') {
                return Err(Invalid::TooManyZeros);
            }
        } else if written.digits.starts_with('0') {
            return Err(Invalid::NoCountryCode);
        }
        let has_only_a_dot = self.dots == 1 && self.separators == 0;
        written.before_only_dot = written.before_dot.filter(|_| has_only_a_dot);
        Ok(written)
    }

    /// What a character that cannot stand in a number says of the text around it.
    fn foreign(&self, c: char, rest: &str) -> Invalid {
        let rest = rest.to_lowercase();
        let seen = self.written.digits.len();
        let has_digits_behind = rest.chars().skip(1).any(|c| c.is_ascii_digit());
        let is_exponent = |text: &str| {
            let sign_or_digit = text.strip_prefix('e').and_then(|text| text.chars().next());
            sign_or_digit.is_some_and(|c| c == '+' || c == '-' || c.is_ascii_digit())
        };
        let opens_link = ["tel:", "sms:", "http", "wa.me", "whatsapp:", "api.whatsapp"];
        if seen == 0 && opens_link.iter().any(|open| rest.starts_with(open)) {
            return Invalid::Link;
        }
        if seen > 0 && is_exponent(&rest) {
            return Invalid::Decimal;
        }
        if c == ',' && rest.find('e').is_some_and(|at| is_exponent(&rest[at..])) {
            return Invalid::Decimal;
        }
        let word = rest.trim_start_matches([';', ',', '#', ' ']);
        let is_extension = EXTENSIONS.iter().any(|name| word.starts_with(name)) || c == '#';
        if seen >= DIGITS_BEFORE_EXTENSION && is_extension && has_digits_behind {
            return Invalid::Extension;
        }
        let separates = matches!(c, ',' | ';' | '|' | '&') || c.is_control() || c.is_whitespace();
        if separates && seen > 0 && has_digits_behind {
            return Invalid::MoreThanOne;
        }
        Invalid::Foreign(c)
    }
}
