//! A code as lines of text.
//!
//! A cell of a terminal is twice as tall as wide, so half blocks make square modules. Sextants (Unicode 13) put six modules
//! into a cell, somewhat taller than wide: readers take them, and a login code then fits a window of 24 lines.

use qrcode::{Color, QrCode};

/// Modules of white that readers want around a code.
pub const QUIET_ZONE: usize = 4;

/// How modules are packed into characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blocks {
    /// Two in one: every terminal and font has them.
    Half,
    /// Six in one: terminals since about 2021 have them.
    Sextants,
}

/// Which modules the characters are drawn for; the others are blanks, and show the background.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ink {
    /// The dark ones, for a light background.
    Dark,
    /// The light ones, for a dark background.
    Light,
}

impl Blocks {
    /// Modules in one character: across, and down.
    const fn packed(self) -> (usize, usize) {
        match self {
            Self::Half => (1, 2),
            Self::Sextants => (2, 3),
        }
    }

    /// Columns and lines that a square of this many modules takes, the quiet zone among them.
    pub const fn size(self, modules: usize) -> (usize, usize) {
        let (across, down) = self.packed();
        (modules.div_ceil(across), modules.div_ceil(down))
    }

    /// The character for a pattern: bit 0 is the module at the top left, then to the right, then downwards.
    fn character(self, pattern: u32) -> char {
        match (self, pattern) {
            (_, 0) => ' ',
            (Self::Half, 0b01) => '▀',
            (Self::Half, 0b10) => '▄',
            (Self::Half, _) | (Self::Sextants, 0b11_11_11) => '█',
            (Self::Sextants, 0b01_01_01) => '▌',
            (Self::Sextants, 0b10_10_10) => '▐',
            (Self::Sextants, _) => {
                // Blank, both halves and the full block have characters of their own and are left out of the row.
                let left_out =
                    1 + u32::from(pattern > 0b01_01_01) + u32::from(pattern > 0b10_10_10);
                char::from_u32(0x1FB00 + pattern - left_out).unwrap_or(' ')
            }
        }
    }
}

/// The lines of a code with a quiet zone of `quiet` modules.
pub(super) fn lines(code: &QrCode, blocks: Blocks, ink: Ink, quiet: usize) -> Vec<String> {
    let width = code.width();
    let is_dark = |x: usize, y: usize| {
        let inside = |at: usize| at.checked_sub(quiet).filter(|at| *at < width);
        matches!((inside(x), inside(y)), (Some(x), Some(y)) if code[(x, y)] == Color::Dark)
    };
    let (across, down) = blocks.packed();
    let (columns, rows) = blocks.size(width + 2 * quiet);
    let character = |column: usize, row: usize| {
        let modules = (0..down).flat_map(|y| (0..across).map(move |x| (x, y)));
        let drawn = modules
            .map(|(x, y)| is_dark(column * across + x, row * down + y) == (ink == Ink::Dark));
        let pattern = drawn
            .enumerate()
            .map(|(bit, drawn)| u32::from(drawn) << bit);
        blocks.character(pattern.sum())
    };
    (0..rows)
        .map(|row| (0..columns).map(|column| character(column, row)).collect())
        .collect()
}

#[cfg(test)]
mod tests {
    use image::Luma;

    use super::*;
    use crate::qr::{
        QrPicture,
        tests::{login_code, read},
    };

    /// What a terminal shows, whose cells are 6 pixels wide and 12 high; `true` where a character is drawn.
    fn pixels(lines: &[String], blocks: Blocks) -> Vec<Vec<bool>> {
        let (across, down) = blocks.packed();
        let pattern = |drawn: char| {
            (0..1_u32 << (across * down))
                .find(|pattern| blocks.character(*pattern) == drawn)
                .unwrap()
        };
        let is_drawn = |x: usize, y: usize| {
            let drawn = lines[y / 12].chars().nth(x / 6).unwrap();
            let (x, y) = (x % 6 * across / 6, y % 12 * down / 12);
            pattern(drawn) >> (y * across + x) & 1 == 1
        };
        let (width, height) = (lines[0].chars().count() * 6, lines.len() * 12);
        (0..height)
            .map(|y| (0..width).map(|x| is_drawn(x, y)).collect())
            .collect()
    }

    #[test]
    fn a_reader_gets_the_text_from_either_kind_of_blocks_in_either_ink() {
        let text = login_code();
        for blocks in [Blocks::Half, Blocks::Sextants] {
            for ink in [Ink::Dark, Ink::Light] {
                let lines = QrPicture::of(&text).unwrap().lines(blocks, ink, 2);
                let shown = pixels(&lines, blocks);
                let [width, height] =
                    [shown[0].len(), shown.len()].map(|size| u32::try_from(size).unwrap());
                let picture = image::GrayImage::from_fn(width, height, |x, y| {
                    let is_dark = shown[y as usize][x as usize] == (ink == Ink::Dark);
                    Luma([if is_dark { 0 } else { 255 }])
                });
                assert_eq!(read(picture), text, "{blocks:?} {ink:?}");
            }
        }
    }

    #[test]
    fn each_pattern_has_a_character_of_its_own() {
        let sextants: std::collections::BTreeSet<char> = (0..64)
            .map(|pattern| Blocks::Sextants.character(pattern))
            .collect();
        assert_eq!(sextants.len(), 64);
        assert_eq!(Blocks::Sextants.character(1), '\u{1FB00}');
        assert_eq!(Blocks::Sextants.character(62), '\u{1FB3B}');
    }

    #[test]
    fn a_login_code_fits_a_window_of_80_by_24_in_sextants_and_33_lines_in_half_blocks() {
        let modules = QrPicture::of(&login_code()).unwrap().modules();
        assert_eq!(modules, 57, "version 10: 231 to 271 characters");
        assert_eq!(Blocks::Sextants.size(modules + 2 * 2), (31, 21));
        assert_eq!(Blocks::Half.size(modules + 2 * QUIET_ZONE), (65, 33));
    }
}
