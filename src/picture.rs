//! Pictures of 8 bits a colour, read from PNG and written as PNG.
//!
//! Responsible for turning files into pixels and back, within bounds; it knows nothing of codes and pages. Only this module
//! names the crate `png`. The crate `image` can do more, colour profiles for one, and its share of a first build was a
//! minute.

use std::io::Cursor;

use png::{BitDepth, ColorType, Decoder, Encoder, Filter, Transformations};

/// A window is 800 by 600 unless an operator sets another size; the largest screens of today are as large as this. A file of a few
/// bytes can claim any size: a larger picture is refused before memory is allocated for it.
const LARGEST_SIDE: u32 = 4096;

/// Red, green, blue.
pub type Colour = [u8; 3];

/// A picture in colours, without transparency.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    width: u32,
    height: u32,
    /// Row by row.
    pixels: Vec<Colour>,
}

/// Says why there is no picture, or no file of it.
#[derive(Debug, thiserror::Error)]
pub enum PictureError {
    /// The file is not a PNG, or is damaged.
    #[error("the PNG cannot be read: {0}")]
    Unreadable(#[from] png::DecodingError),
    /// It claims to be larger than any screen.
    #[error(
        "the picture is {width} by {height} pixels, and {LARGEST_SIDE} by {LARGEST_SIDE} at most are read"
    )]
    TooLarge {
        /// As its file says.
        width: u32,
        /// As its file says.
        height: u32,
    },
    /// The encoder refused the picture.
    #[error("the PNG cannot be written: {0}")]
    Unwritable(#[from] png::EncodingError),
}

impl Picture {
    /// Reads a PNG of any kind. What is transparent in it keeps its colour and is opaque.
    pub fn of_png(file: &[u8]) -> Result<Self, PictureError> {
        let mut decoder = Decoder::new(Cursor::new(file));
        decoder.set_transformations(Transformations::normalize_to_color8());
        let header = decoder.read_header_info()?;
        let (width, height) = (header.width, header.height);
        if width.max(height) > LARGEST_SIDE {
            return Err(PictureError::TooLarge { width, height });
        }
        let mut reader = decoder.read_info()?;
        let (kind, _) = reader.output_color_type();
        let mut pixels = Vec::with_capacity(width as usize * height as usize);
        let mut bytes = vec![0; reader.output_buffer_size().unwrap_or(0)];
        reader.next_frame(&mut bytes)?;
        match kind {
            ColorType::Rgb => pixels.extend(bytes.as_chunks::<3>().0),
            ColorType::Rgba => {
                let opaque = |[r, g, b, _]: &[u8; 4]| [*r, *g, *b];
                pixels.extend(bytes.as_chunks::<4>().0.iter().map(opaque));
            }
            ColorType::GrayscaleAlpha => {
                pixels.extend(bytes.as_chunks::<2>().0.iter().map(|[grey, _]| [*grey; 3]));
            }
            // A palette is resolved by the reader: it gives colours, never places in the palette.
            ColorType::Grayscale | ColorType::Indexed => {
                pixels.extend(bytes.iter().map(|grey| [*grey; 3]));
            }
        }
        Ok(Self {
            width,
            height,
            pixels,
        })
    }

    /// Writes it as a PNG.
    pub fn png(&self) -> Result<Vec<u8>, PictureError> {
        write(
            ColorType::Rgb,
            self.width,
            self.height,
            self.pixels.as_flattened(),
        )
    }

    /// How many pixels it is wide.
    pub const fn width(&self) -> u32 {
        self.width
    }

    /// How many pixels it is high.
    pub const fn height(&self) -> u32 {
        self.height
    }

    /// All pixels, row by row.
    pub fn pixels(&self) -> &[Colour] {
        &self.pixels
    }

    /// The pixel in a column and a row, both from the top left corner; `None` outside of the picture.
    pub fn pixel(&self, x: u32, y: u32) -> Option<Colour> {
        self.index(x, y).map(|index| self.pixels[index])
    }

    /// Colours a pixel. Nothing happens outside of the picture.
    pub fn paint(&mut self, x: u32, y: u32, colour: Colour) {
        if let Some(index) = self.index(x, y) {
            self.pixels[index] = colour;
        }
    }

    fn index(&self, x: u32, y: u32) -> Option<usize> {
        let is_inside = x < self.width && y < self.height;
        is_inside.then(|| y as usize * self.width as usize + x as usize)
    }

    /// A picture of one colour.
    #[cfg(test)]
    pub(crate) fn filled(width: u32, height: u32, colour: Colour) -> Self {
        Self {
            width,
            height,
            pixels: vec![colour; width as usize * height as usize],
        }
    }
}

/// How bright a colour is to the eye, from 0 to 255: the weights of ITU-R BT.709.
pub fn brightness([red, green, blue]: Colour) -> u8 {
    let sum = 2126 * u32::from(red) + 7152 * u32::from(green) + 722 * u32::from(blue);
    u8::try_from(sum / 10_000).unwrap_or(u8::MAX)
}

/// Writes a square in shades of grey, one byte a pixel, row by row, as a PNG.
pub fn grey_png(width: u32, pixels: &[u8]) -> Result<Vec<u8>, PictureError> {
    write(ColorType::Grayscale, width, width, pixels)
}

fn write(kind: ColorType, width: u32, height: u32, pixels: &[u8]) -> Result<Vec<u8>, PictureError> {
    let mut png = Vec::new();
    let mut encoder = Encoder::new(&mut png, width, height);
    encoder.set_color(kind);
    encoder.set_depth(BitDepth::Eight);
    // Flat areas with sharp edges, codes and pages alike, come out smallest so, and fastest.
    encoder.set_compression(png::Compression::Fast);
    encoder.set_filter(Filter::Adaptive);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(pixels)?;
    writer.finish()?;
    Ok(png)
}

#[cfg(test)]
mod tests {
    use image::{DynamicImage, ImageBuffer, ImageFormat, Luma, LumaA, Rgb, Rgba};

    use super::*;

    /// Each pixel has colours of its own.
    const WIDTH: u32 = 7;
    const HEIGHT: u32 = 5;

    #[expect(clippy::cast_possible_truncation, reason = "below 256")]
    fn colour(x: u32, y: u32) -> Colour {
        [(x * 30) as u8, (y * 50) as u8, (x * y) as u8]
    }

    fn file(picture: impl Into<DynamicImage>) -> Vec<u8> {
        let mut file = Cursor::new(Vec::new());
        picture
            .into()
            .write_to(&mut file, ImageFormat::Png)
            .unwrap();
        file.into_inner()
    }

    /// Where it differs from what it should show.
    fn differs(picture: &Picture, expected: impl Fn(u32, u32) -> Colour) -> Vec<(u32, u32)> {
        assert_eq!((picture.width(), picture.height()), (WIDTH, HEIGHT));
        let places = (0..HEIGHT).flat_map(|y| (0..WIDTH).map(move |x| (x, y)));
        places
            .filter(|(x, y)| picture.pixel(*x, *y) != Some(expected(*x, *y)))
            .collect()
    }

    #[test]
    fn every_kind_of_png_is_read_as_another_library_wrote_it() {
        let rgb = ImageBuffer::from_fn(WIDTH, HEIGHT, |x, y| Rgb(colour(x, y)));
        let rgba = ImageBuffer::from_fn(WIDTH, HEIGHT, |x, y| {
            let [r, g, b] = colour(x, y);
            Rgba([r, g, b, 77])
        });
        let grey = ImageBuffer::from_fn(WIDTH, HEIGHT, |x, y| Luma([colour(x, y)[0]]));
        let grey_alpha = ImageBuffer::from_fn(WIDTH, HEIGHT, |x, y| LumaA([colour(x, y)[0], 9]));
        let deep = ImageBuffer::from_fn(WIDTH, HEIGHT, |x, y| {
            Rgb(colour(x, y).map(|part| u16::from(part) << 8))
        });
        let in_grey = |x, y| [colour(x, y)[0]; 3];
        for (file, expected) in [
            (file(rgb), colour as fn(u32, u32) -> Colour),
            (file(rgba), colour),
            (file(deep), colour),
            (file(grey), in_grey),
            (file(grey_alpha), in_grey),
        ] {
            let picture = Picture::of_png(&file).unwrap();
            assert_eq!(differs(&picture, expected), []);
        }
    }

    #[test]
    fn palettes_and_single_bits_are_read_as_colours() {
        let mut palette = Vec::new();
        let mut encoder = Encoder::new(&mut palette, 4, 1);
        encoder.set_color(ColorType::Indexed);
        encoder.set_depth(BitDepth::Two);
        encoder.set_palette(vec![9, 8, 7, 255, 0, 0, 0, 255, 0]);
        let mut writer = encoder.write_header().unwrap();
        writer.write_image_data(&[0b10_01_00_01]).unwrap();
        writer.finish().unwrap();
        let picture = Picture::of_png(&palette).unwrap();
        let red = [255, 0, 0];
        assert_eq!(picture.pixels(), [[0, 255, 0], red, [9, 8, 7], red]);

        let mut bits = Vec::new();
        let mut encoder = Encoder::new(&mut bits, 3, 1);
        encoder.set_color(ColorType::Grayscale);
        encoder.set_depth(BitDepth::One);
        let mut writer = encoder.write_header().unwrap();
        writer.write_image_data(&[0b1010_0000]).unwrap();
        writer.finish().unwrap();
        let picture = Picture::of_png(&bits).unwrap();
        assert_eq!(picture.pixels(), [[255; 3], [0; 3], [255; 3]]);
    }

    #[test]
    fn what_is_written_is_read_the_same_by_another_library() {
        let mut picture = Picture::filled(WIDTH, HEIGHT, [1, 2, 3]);
        for (x, y) in (0..HEIGHT).flat_map(|y| (0..WIDTH).map(move |x| (x, y))) {
            picture.paint(x, y, colour(x, y));
        }
        let read = image::load_from_memory(&picture.png().unwrap()).unwrap();
        let read = read.as_rgb8().unwrap();
        assert_eq!(read.dimensions(), (WIDTH, HEIGHT));
        assert!(
            read.enumerate_pixels()
                .all(|(x, y, pixel)| pixel.0 == colour(x, y))
        );

        let grey: Vec<u8> = (0..25).map(|n| n * 10).collect();
        let read = image::load_from_memory(&grey_png(5, &grey).unwrap()).unwrap();
        assert_eq!(read.as_luma8().unwrap().as_raw(), &grey);
    }

    #[test]
    fn nothing_is_painted_or_read_outside() {
        let mut picture = Picture::filled(2, 1, [0; 3]);
        for (x, y) in [(2, 0), (0, 1), (u32::MAX, u32::MAX)] {
            picture.paint(x, y, [255; 3]);
            assert_eq!(picture.pixel(x, y), None);
        }
        assert_eq!(picture.pixels(), [[0; 3]; 2]);
    }

    #[test]
    fn brightness_is_that_of_the_eye() {
        let shades = [[0; 3], [255; 3], [255, 0, 0], [0, 255, 0], [0, 0, 255]].map(brightness);
        assert_eq!(shades, [0, 255, 54, 182, 18]);
    }

    #[test]
    fn what_is_no_picture_or_too_large_is_refused() {
        assert!(matches!(
            Picture::of_png(b"no picture"),
            Err(PictureError::Unreadable(_))
        ));
        let whole = file(ImageBuffer::from_pixel(40, 40, Rgb([1_u8, 2, 3])));
        assert!(matches!(
            Picture::of_png(&whole[..whole.len() / 2]),
            Err(PictureError::Unreadable(_))
        ));
        let huge = Picture::filled(LARGEST_SIDE + 1, 1, [0; 3]).png().unwrap();
        assert!(matches!(
            Picture::of_png(&huge),
            Err(PictureError::TooLarge { height: 1, .. })
        ));
    }
}
