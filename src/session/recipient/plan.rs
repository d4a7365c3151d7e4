//! Whether there can be such a number: country codes and lengths, as the library has them.
//!
//! Phones are asked for by length and not by pattern: numbering plans open new ranges every month, and a number that the library
//! is merely unsure of is WhatsApp's to judge. What no country can have is refused before WhatsApp is asked, because an account
//! that asks for impossible numbers gets restricted.
//!
//! A number whose country code is missing begins with digits that are another country's code. So where nothing says that it is
//! international, neither `+` nor that its digits stand together as programs write them, it must lie in a range in use.

use phonenumber::{
    Metadata, Type,
    metadata::{DATABASE, Database, Descriptor},
};

use super::{FEWEST_DIGITS, InvalidRecipient as Invalid, MOST_DIGITS, writing::Written};

/// Country codes have one to three digits, and none begins with another.
const LONGEST_CODE: usize = 3;

/// The longest area code has five digits (Germany, without its 0), so what has more is not one.
const LONGEST_AREA_CODE: usize = 5;

/// The kinds of number that a phone has. One of such a length may be in a range that is too new for the library.
const PHONES: [Type; 4] = [
    Type::FixedLine,
    Type::Mobile,
    Type::PersonalNumber,
    Type::Voip,
];

/// The other kinds; not those that cannot be reached from abroad. Their lengths are of all sorts, so that by length alone numbers
/// without their country code would pass as such: they must match the pattern.
const SERVICES: [Type; 7] = [
    Type::TollFree,
    Type::PremiumRate,
    Type::SharedCost,
    Type::Pager,
    Type::Uan,
    Type::Voicemail,
    Type::StandardRate,
];

/// `5 491 158 254 201`: digits that a program has cut by thousands, from behind.
const THOUSANDS: usize = 3;

/// `(203) 234-5678`: how numbers are written inside the countries of code 1, and in Mexico.
const WRITTEN_IN_NORTH_AMERICA: [usize; 3] = [3, 3, 4];

/// Numbers in the countries of code 1 and in Argentina, without their country code.
const NATIONAL_DIGITS: usize = 10;

const ARGENTINA: u16 = 54;
const BRAZIL: u16 = 55;
const MEXICO: u16 = 52;
const NORTH_AMERICA: u16 = 1;

/// Has the library read its tables now.
pub(super) fn read() {
    let _read: &Database = &DATABASE;
}

/// A number whose country code is known.
struct Number<'a> {
    code: u16,
    national: &'a str,
    /// The countries that share the code.
    countries: Vec<&'static Metadata>,
}

/// Refuses what cannot be one person's number.
pub(super) fn check(written: &Written) -> Result<(), Invalid> {
    let digits = written.digits.as_str();
    // Asked before the length: of these the sentence about the spreadsheet, or about two numbers, helps more.
    let is_whole = |before: usize| is_whole(&digits[..before]);
    if written.before_dot.is_some_and(is_whole) {
        return Err(Invalid::Decimal);
    }
    if written.before_slashes.iter().copied().any(is_whole) {
        return Err(Invalid::MoreThanOne);
    }
    // `+49 151 12345678 5`: people end no number so.
    if written.before_lone_digit.is_some_and(is_whole) {
        return Err(Invalid::Extension);
    }
    if digits.len() > MOST_DIGITS {
        return Err(Invalid::TooLong(digits.len()));
    }
    let number = Number::of(digits).ok_or(Invalid::UnknownCountry)?;
    if written.has_zero_in_parentheses || !number.may_begin_so() {
        return Err(Invalid::TrunkZero(number.code));
    }
    // `54.91158254201` separates a country code; `5.491158254201` is a number that something has divided.
    let code_length = digits.len() - number.national.len();
    let splits_a_number = |before: usize| before != code_length;
    if written.before_only_dot.is_some_and(splits_a_number) && !written.is_international {
        return Err(Invalid::Decimal);
    }
    // `8 (495) 123-45-67`: people do not cut a country code in two, and 8 is what Russia dials before an area code.
    let is_cut = written
        .groups
        .first()
        .is_some_and(|first| *first < code_length);
    if is_cut && !written.is_international && !is_in_thousands(&written.groups) {
        return Err(Invalid::AreaCodeFirst);
    }
    let is_north_american =
        written.groups == WRITTEN_IN_NORTH_AMERICA && code_length != LONGEST_CODE;
    if is_north_american && !written.is_international {
        return Err(Invalid::AreaCodeFirst);
    }
    if digits.len() < FEWEST_DIGITS {
        return Err(Invalid::TooShort(digits.len()));
    }
    if !number.is_possible() {
        // `11 5825-4201`, `1558254201`: ten digits of Buenos Aires, as they are dialled there. No country of code 1 has them.
        let lacks_its_code = number.code == NORTH_AMERICA && digits.len() == NATIONAL_DIGITS;
        if lacks_its_code && !written.is_international {
            return Err(Invalid::AreaCodeFirst);
        }
        return Err(number.wrong_length());
    }
    // `(617) 555-1234` has lost its country code, and 61 is Australia's; `(549) 11 …` has not. Nor has `1 555 …`: a lone 1 and ten
    // digits are dialled in the countries of code 1 only.
    let is_with_lone_1 = number.code == NORTH_AMERICA && written.groups.first() == Some(&1);
    let may_lack_its_code =
        written.groups.len() > 1 && !written.is_international && !is_with_lone_1;
    if may_lack_its_code && !number.is_assigned() {
        return Err(Invalid::AreaCodeFirst);
    }
    Ok(())
}

/// What two writings of one line have in common, where a country has two. To compare only: it is no number to send to.
pub(super) fn line(digits: &str) -> String {
    let Some(Number { code, national, .. }) = Number::of(digits) else {
        return digits.to_owned();
    };
    let without = |range: std::ops::Range<usize>| {
        let mut shorter = national.to_owned();
        shorter.drain(range);
        format!("{code}{shorter}")
    };
    match code {
        ARGENTINA if national.len() == 11 && national.starts_with('9') => without(0..1),
        ARGENTINA => match Number::of(digits).and_then(|number| number.area_code_before_15()) {
            Some(length) => without(length..length + 2),
            None => digits.to_owned(),
        },
        // Two digits of area code, then the ninth of the number.
        BRAZIL if national.len() == 11 && national[2..].starts_with('9') => without(2..3),
        MEXICO if national.len() == 11 && national.starts_with('1') => without(0..1),
        _ => digits.to_owned(),
    }
}

/// Whether these digits could be a number by themselves, with more than an area code: then what a `.` or `/` separates from
/// them is a decimal part, or the other end of a second number.
fn is_whole(digits: &str) -> bool {
    Number::of(digits)
        .is_some_and(|number| number.national.len() > LONGEST_AREA_CODE && number.is_possible())
}

fn is_in_thousands(groups: &[usize]) -> bool {
    groups.iter().skip(1).all(|length| *length == THOUSANDS)
}

impl<'a> Number<'a> {
    fn of(digits: &'a str) -> Option<Self> {
        (1..=LONGEST_CODE.min(digits.len())).find_map(|length| {
            let code: u16 = digits[..length].parse().ok()?;
            Some(Self {
                code,
                national: &digits[length..],
                countries: DATABASE.by_code(&code)?,
            })
        })
    }

    /// A `0` behind the country code belongs to the number in Italy and a few other countries, and nowhere else.
    fn may_begin_so(&self) -> bool {
        let begins_so = |country: &&Metadata| {
            let pattern = country.descriptors().general().national_number();
            let found = pattern.find(self.national);
            found.is_some_and(|found| found.start() == 0)
        };
        !self.national.starts_with('0') || self.countries.iter().any(begins_so)
    }

    fn is_possible(&self) -> bool {
        let lengths = self.lengths(&PHONES);
        lengths.contains(&self.national.len()) || self.is_service() || self.is_written_as_of_old()
    }

    /// What the library knows of some kinds of number, in each of the countries.
    fn kinds(&self, kinds: &'static [Type]) -> impl Iterator<Item = &'static Descriptor> {
        let of_country = move |country: &'static Metadata| {
            let known = country.descriptors();
            kinds.iter().filter_map(move |kind| known.get(*kind))
        };
        self.countries.iter().copied().flat_map(of_country)
    }

    /// How many digits there may be behind the country code, each once and in order.
    fn lengths(&self, kinds: &'static [Type]) -> Vec<usize> {
        let mut lengths: Vec<usize> = self
            .kinds(kinds)
            .flat_map(Descriptor::possible_length)
            .map(|length| usize::from(*length))
            .collect();
        lengths.sort_unstable();
        lengths.dedup();
        lengths
    }

    /// Two ways of writing that are longer than the plan, are in every address book, and that WhatsApp itself understands or
    /// answers with (docs/messages.md, "Numbers").
    fn is_written_as_of_old(&self) -> bool {
        match self.code {
            // +52 1 55 …: the 1 of mobile numbers, which was dropped in 2019 and still stands in WhatsApp's own ids.
            MEXICO => self.national.len() == 11 && self.national.starts_with('1'),
            // +54 11 15 …: the 15 between area code and number, which is the 9 in front of them for callers from abroad.
            ARGENTINA => self.area_code_before_15().is_some(),
            _ => false,
        }
    }

    /// The length of an Argentine area code that has a 15 behind it, as mobile numbers are dialled inside the country.
    fn area_code_before_15(&self) -> Option<usize> {
        const WITH_15: usize = 12;
        let inside = |country: &&Metadata| {
            let inside = country.national_prefix_for_parsing()?;
            let found = inside.captures(self.national)?;
            let begins_so = found.get(0).is_some_and(|all| all.start() == 0);
            let area_code = found.get(1)?;
            begins_so.then_some(area_code.end())
        };
        let is_so_long = self.national.len() == WITH_15;
        self.countries
            .iter()
            .find_map(inside)
            .filter(|_| is_so_long)
    }

    /// Whether it is a toll-free number or the like, from its first digit to its last.
    fn is_service(&self) -> bool {
        let is_whole = |kind: &Descriptor| {
            let found = kind.national_number().find(self.national);
            kind.is_match(self.national)
                && found.is_some_and(|found| found.end() == self.national.len())
        };
        self.kinds(&SERVICES).any(is_whole)
    }

    /// Whether the number lies in a range that is in use.
    fn is_assigned(&self) -> bool {
        let is_phone = |national: &str| self.kinds(&PHONES).any(|kind| kind.is_match(national));
        // Brazil's mobile numbers without their ninth digit, as WhatsApp has the older ones.
        let (is_of_brazil, national) = (self.code == BRAZIL, self.national);
        let with_ninth = || is_phone(&format!("{}9{}", &national[..2], &national[2..]));
        is_phone(national)
            || self.is_service()
            || self.is_written_as_of_old()
            || (is_of_brazil && national.len() == 10 && with_ninth())
    }

    fn wrong_length(&self) -> Invalid {
        let phones = self.lengths(&PHONES);
        // Some codes have no phones, such as 800.
        let lengths = if phones.is_empty() {
            self.lengths(&SERVICES)
        } else {
            phones
        };
        let lengths: Vec<String> = lengths.iter().map(usize::to_string).collect();
        Invalid::WrongLength {
            code: self.code,
            found: self.national.len(),
            possible: lengths.join(", "),
        }
    }
}
