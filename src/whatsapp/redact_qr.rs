//! Codes in a picture, found as a phone would find them and painted over.
//!
//! Knows nothing of pages: a code that no adapter knows of is covered too.

use rqrr::PreparedImage;

use crate::picture::{Colour, Picture, PictureError, brightness};

/// Pixels around a code that are painted too: the corners are found to within a square of the code.
const MARGIN: i32 = 12;

/// What codes are painted with: neither of their colours.
const PAINT: Colour = [128, 128, 128];

/// A picture in which no code can be read.
#[derive(Debug)]
pub(super) struct Covered {
    pub(super) png: Vec<u8>,
    /// How many codes were painted over.
    pub(super) codes: usize,
}

/// Paints over each code in a PNG. Takes some ten milliseconds of computing.
pub(super) fn redact_codes(png: &[u8]) -> Result<Covered, PictureError> {
    let mut picture = Picture::of_png(png)?;
    let (width, height) = (picture.width(), picture.height());
    let pixels = picture.pixels();
    let mut prepared =
        PreparedImage::prepare_from_greyscale(width as usize, height as usize, |x, y| {
            brightness(pixels[y * width as usize + x])
        });
    let codes: Vec<_> = prepared
        .detect_grids()
        .into_iter()
        .map(|grid| grid.bounds)
        .collect();
    if codes.is_empty() {
        return Ok(Covered {
            png: png.to_vec(),
            codes: 0,
        });
    }
    for corners in &codes {
        let range = |places: [i32; 4], end: u32| {
            let least = places.into_iter().min().unwrap_or(0).saturating_sub(MARGIN);
            let most = places.into_iter().max().unwrap_or(0).saturating_add(MARGIN);
            let within = |place: i32| u32::try_from(place).unwrap_or(0).min(end);
            within(least)..within(most)
        };
        for y in range(corners.map(|corner| corner.y), height) {
            for x in range(corners.map(|corner| corner.x), width) {
                picture.paint(x, y, PAINT);
            }
        }
    }
    Ok(Covered {
        png: picture.png()?,
        codes: codes.len(),
    })
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use image::{ImageFormat, Rgb};

    use super::*;

    fn codes_in(png: &[u8]) -> usize {
        let grey = image::load_from_memory(png).unwrap().to_luma8();
        rqrr::PreparedImage::prepare(grey).detect_grids().len()
    }

    #[test]
    fn a_code_is_painted_over_and_the_rest_of_the_picture_stays() {
        let code = crate::qr::QrPicture::of("2@a,b,c,d,1")
            .unwrap()
            .png()
            .unwrap();
        let code = image::load_from_memory(&code).unwrap().to_rgb8();
        let mut page = image::RgbImage::from_pixel(900, 700, Rgb([250, 240, 230]));
        image::imageops::overlay(&mut page, &code, 300, 120);
        let mut png = Cursor::new(Vec::new());
        page.write_to(&mut png, ImageFormat::Png).unwrap();
        let png = png.into_inner();
        assert_eq!(codes_in(&png), 1);

        let covered = redact_codes(&png).unwrap();
        assert_eq!((covered.codes, codes_in(&covered.png)), (1, 0));
        let after = image::load_from_memory(&covered.png).unwrap().to_rgb8();
        assert_eq!(after.dimensions(), page.dimensions());
        assert_eq!(after.get_pixel(10, 10), page.get_pixel(10, 10));
    }

    #[test]
    fn a_picture_without_a_code_is_left_as_it_is() {
        let mut png = Cursor::new(Vec::new());
        image::RgbImage::new(80, 60)
            .write_to(&mut png, ImageFormat::Png)
            .unwrap();
        let png = png.into_inner();
        assert_eq!(redact_codes(&png).unwrap().png, png);
        assert!(redact_codes(b"no picture").is_err());
    }
}
