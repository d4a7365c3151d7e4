//! A text as a QR code: PNG, SVG, half blocks for a terminal, data URL.
//!
//! Responsible for pictures that a phone reads from a screen. It knows nothing of sessions, and never what a text means:
//! any text goes in, and a reader gets exactly that text out.
//!
//! Drawing a login code (240 characters) as a PNG data URL takes 3 ms in a release build, nearly all of it for choosing the
//! mask. A page that polls every 5 s thus costs 0.06% of a core while a code is pending, so nothing is cached.

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use qrcode::{Color, EcLevel, QrCode, render::svg};

use crate::picture::{PictureError, grey_png};

mod terminal;

pub use terminal::{Blocks, Ink, QUIET_ZONE};

/// The least width of a picture. Below some 300 pixels a phone must come uncomfortably close to a desktop screen.
const MIN_WIDTH: u32 = 400;

const WHITE: u8 = 255;
const BLACK: u8 = 0;

/// A text laid out as a QR code, ready to be drawn.
pub struct QrPicture {
    code: QrCode,
}

impl fmt::Debug for QrPicture {
    /// Never the modules: they are the text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QrPicture")
            .field("modules", &self.code.width())
            .finish_non_exhaustive()
    }
}

/// Says why there is no picture.
#[derive(Debug, thiserror::Error)]
pub enum QrError {
    /// A QR code holds 2,953 bytes at most.
    #[error("the text does not fit into a QR code: {0}")]
    TooLong(qrcode::types::QrError),
    /// It cannot be written as a PNG.
    #[error(transparent)]
    Png(#[from] PictureError),
}

impl QrPicture {
    /// Lays out `text`.
    ///
    /// The lowest error correction: a screen does not tear or stain, and fewer modules are larger modules.
    pub fn of(text: &str) -> Result<Self, QrError> {
        let code =
            QrCode::with_error_correction_level(text, EcLevel::L).map_err(QrError::TooLong)?;
        Ok(Self { code })
    }

    /// A PNG, black on white, with the quiet zone around it that readers need.
    pub fn png(&self) -> Result<Vec<u8>, QrError> {
        let modules = self.code.width() + 2 * QUIET_ZONE;
        // Of one code all modules are of one size, in whole pixels.
        let scale = (MIN_WIDTH as usize).div_ceil(modules);
        let width = modules * scale;
        let mut pixels = vec![WHITE; width * width];
        for (row, line) in pixels.chunks_exact_mut(width).enumerate() {
            let inside = |at: usize| {
                let module = (at / scale).checked_sub(QUIET_ZONE);
                module.filter(|module| *module < self.code.width())
            };
            let Some(y) = inside(row) else { continue };
            for (column, pixel) in line.iter_mut().enumerate() {
                if inside(column).is_some_and(|x| self.code[(x, y)] == Color::Dark) {
                    *pixel = BLACK;
                }
            }
        }
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a code has 177 modules at most"
        )]
        Ok(grey_png(width as u32, &pixels)?)
    }

    /// The PNG as a `data:` URL, for the `src` of an `<img>`.
    pub fn data_url(&self) -> Result<String, QrError> {
        Ok(format!(
            "data:image/png;base64,{}",
            STANDARD.encode(self.png()?)
        ))
    }

    /// An SVG document.
    pub fn svg(&self) -> String {
        self.code
            .render::<svg::Color<'_>>()
            .min_dimensions(MIN_WIDTH, MIN_WIDTH)
            .build()
    }

    /// Lines of half blocks, two rows of modules a line.
    ///
    /// A block is drawn where the code is *light*: terminals are mostly dark, and readers want dark on light.
    pub fn ascii(&self) -> String {
        let mut lines = self.lines(Blocks::Half, Ink::Light, QUIET_ZONE).join("\n");
        lines.push('\n');
        lines
    }

    /// Lines of blocks for a terminal, with so many modules of white around the code.
    pub fn lines(&self, blocks: Blocks, ink: Ink, quiet: usize) -> Vec<String> {
        terminal::lines(&self.code, blocks, ink, quiet)
    }

    /// How many modules it is wide, and high, without the white around it.
    pub fn modules(&self) -> usize {
        self.code.width()
    }
}

#[cfg(test)]
mod tests {
    use image::{ImageFormat, Luma};

    use super::*;

    /// As WhatsApp Web shows them since 2026: a URL with five parts, some 240 characters.
    pub(super) fn login_code() -> String {
        let part = |n: usize| "q7Zx+/".repeat(8)[..n].to_owned() + "=";
        format!(
            "https://wa.me/settings/linked_devices#2@{},{},{},{},1",
            "Ab9".repeat(24),
            part(43),
            part(43),
            part(43)
        )
    }

    pub(super) fn read(picture: image::GrayImage) -> String {
        let mut picture = rqrr::PreparedImage::prepare(picture);
        let grids = picture.detect_grids();
        assert_eq!(grids.len(), 1, "one code is in the picture");
        grids[0].decode().unwrap().1
    }

    fn read_png(png: &[u8]) -> String {
        read(
            image::load_from_memory_with_format(png, ImageFormat::Png)
                .unwrap()
                .to_luma8(),
        )
    }

    #[test]
    fn a_reader_gets_exactly_the_text_that_went_in() {
        for text in [
            "1@x".to_owned(),
            "ñandú 🧉, line\nbreak".to_owned(),
            login_code(),
            "x,/@=".repeat(50),
        ] {
            let png = QrPicture::of(&text).unwrap().png().unwrap();
            assert_eq!(read_png(&png), text);
        }
    }

    #[test]
    fn a_picture_is_large_enough_for_a_phone_and_has_its_quiet_zone() {
        let png = QrPicture::of(&login_code()).unwrap().png().unwrap();
        let picture = image::load_from_memory(&png).unwrap().to_luma8();
        assert!(
            (MIN_WIDTH..2 * MIN_WIDTH).contains(&picture.width()),
            "{}",
            picture.width()
        );
        assert_eq!(picture.width(), picture.height());
        // Four modules of white; a module is at least 4 pixels wide here.
        assert!((0..16).all(|n| picture.get_pixel(n, n).0 == [255]));
    }

    #[test]
    fn a_data_url_holds_the_png() {
        let url = QrPicture::of("1@x").unwrap().data_url().unwrap();
        let base64 = url.strip_prefix("data:image/png;base64,").unwrap();
        assert_eq!(read_png(&STANDARD.decode(base64).unwrap()), "1@x");
    }

    #[test]
    fn a_terminal_picture_is_light_where_blocks_are_and_reads_back() {
        let text = login_code();
        let ascii = QrPicture::of(&text).unwrap().ascii();
        let light: Vec<Vec<[bool; 2]>> = ascii
            .lines()
            .map(|line| {
                line.chars()
                    .map(|block| [matches!(block, '█' | '▀'), matches!(block, '█' | '▄')])
                    .collect()
            })
            .collect();
        assert!(
            light[0].iter().all(|halves| halves[0]),
            "the quiet zone is drawn"
        );

        let (width, scale) = (u32::try_from(light[0].len()).unwrap(), 4);
        let picture = image::GrayImage::from_fn(width * scale, width * scale, |x, y| {
            let (x, y) = ((x / scale) as usize, (y / scale) as usize);
            Luma([if light[y / 2][x][y % 2] { 255 } else { 0 }])
        });
        assert_eq!(read(picture), text);
    }

    #[test]
    fn an_svg_is_a_document_of_its_own() {
        let svg = QrPicture::of("1@x").unwrap().svg();
        assert!(
            svg.starts_with("<?xml") && svg.contains("<svg") && svg.trim_end().ends_with("</svg>")
        );
    }

    #[test]
    fn a_text_that_fits_no_code_is_refused() {
        assert!(matches!(
            QrPicture::of(&"x".repeat(3000)),
            Err(QrError::TooLong(_))
        ));
    }
}
