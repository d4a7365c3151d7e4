//! Codes in a picture, found as a phone would find them and painted over.
//!
//! Knows nothing of pages: a code that no adapter knows of is covered too.

use std::io::Cursor;

use image::{ImageError, ImageFormat, ImageReader, Limits, Rgb};
use rqrr::PreparedImage;

/// A window is 800 by 600 unless an operator says otherwise; a screen of today is as large as this.
const LARGEST_SIDE: u32 = 4096;

/// Pixels around a code that are painted too: the corners are found to within a square of the code.
const MARGIN: i32 = 12;

/// What codes are painted with: neither of their colours.
const PAINT: Rgb<u8> = Rgb([128, 128, 128]);

/// A picture in which no code can be read.
#[derive(Debug)]
pub(super) struct Covered {
    pub(super) png: Vec<u8>,
    /// How many codes were painted over.
    pub(super) codes: usize,
}

/// Paints over each code in a PNG. Takes some ten milliseconds of computing.
pub(super) fn cover_codes(png: &[u8]) -> Result<Covered, ImageError> {
    let mut reader = ImageReader::with_format(Cursor::new(png), ImageFormat::Png);
    let mut limits = Limits::default();
    limits.max_image_width = Some(LARGEST_SIDE);
    limits.max_image_height = Some(LARGEST_SIDE);
    reader.limits(limits);
    let picture = reader.decode()?;
    let grey = picture.to_luma8();
    let (width, height) = grey.dimensions();
    let mut prepared =
        PreparedImage::prepare_from_greyscale(width as usize, height as usize, |x, y| {
            #[expect(clippy::cast_possible_truncation, reason = "bounded above")]
            grey.get_pixel(x as u32, y as u32).0[0]
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
    let mut picture = picture.to_rgb8();
    for corners in &codes {
        let range = |places: [i32; 4], end: u32| {
            let least = places.into_iter().min().unwrap_or(0).saturating_sub(MARGIN);
            let most = places.into_iter().max().unwrap_or(0).saturating_add(MARGIN);
            let within = |place: i32| u32::try_from(place).unwrap_or(0).min(end);
            within(least)..within(most)
        };
        for y in range(corners.map(|corner| corner.y), height) {
            for x in range(corners.map(|corner| corner.x), width) {
                picture.put_pixel(x, y, PAINT);
            }
        }
    }
    let mut png = Cursor::new(Vec::new());
    picture.write_to(&mut png, ImageFormat::Png)?;
    Ok(Covered {
        png: png.into_inner(),
        codes: codes.len(),
    })
}

#[cfg(test)]
mod tests {
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

        let covered = cover_codes(&png).unwrap();
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
        assert_eq!(cover_codes(&png).unwrap().png, png);
        assert!(cover_codes(b"no picture").is_err());
    }
}
