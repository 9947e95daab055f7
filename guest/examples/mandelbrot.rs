//! A picture: the Mandelbrot set as a PNG of 16 colours.
//!
//! Parameters, as arguments or one a line in the input (arguments win): `width`, `height` in pixels, `x`, `y` of the
//! centre, `span` of the picture's width, `iterations`, `palette` (`fire`, `ice` or `grey`).
//!
//! Floats are safe in a task: only sums, products and comparisons occur, which WebAssembly defines to the bit.

use frith_guest::{Failure, Params, Task, limits};
use std::io::Write;
use std::process::ExitCode;
use std::str::FromStr;

/// Colours of a picture; four bits a pixel keep a small one within an inline result.
const COLOURS: u8 = 16;
/// Most pixels: their bytes and the PNG must fit the memory of a task many times over.
const PIXELS_MAX: u32 = 4 << 20;

fn main() -> ExitCode {
    frith_guest::run(mandelbrot)
}

fn mandelbrot(task: &mut Task<'_>) -> Result<(), Failure> {
    let view = View::from_params(task.params()?.or(Params::parse_lines(&task.text(4096)?)?))?;
    let png = encode(&view, &render(&view)).map_err(Failure::program)?;
    if png.len() > limits::RESULT_INLINE_BYTES_MAX {
        task.log(format_args!(
            "{} bytes are more than an inline result; they become content",
            png.len()
        ));
    }
    task.output().write_all(&png)?;
    Ok(())
}

/// What part of the plane to draw, and how.
#[derive(Debug, Clone, PartialEq)]
struct View {
    width: u32,
    height: u32,
    x: f64,
    y: f64,
    span: f64,
    iterations: u32,
    palette: Palette,
}

impl View {
    fn from_params(mut params: Params) -> Result<Self, Failure> {
        let view = Self {
            width: params.take_in("width", 160, 1..=8192)?,
            height: params.take_in("height", 120, 1..=8192)?,
            x: params.take_in("x", -0.65, -4.0..=4.0)?,
            y: params.take_in("y", 0.0, -4.0..=4.0)?,
            span: params.take_in("span", 3.2, 1e-12..=8.0)?,
            iterations: params.take_in("iterations", 250, 1..=100_000)?,
            palette: params.take("palette", Palette::Fire)?,
        };
        params.finish()?;
        if view.width * view.height > PIXELS_MAX {
            return Err(Failure::parameter(
                "width",
                format_args!("times height is more than {PIXELS_MAX} pixels"),
            ));
        }
        Ok(view)
    }
}

/// One colour index a pixel, row by row from the top.
fn render(view: &View) -> Vec<u8> {
    let step = view.span / f64::from(view.width);
    let left = view.x - view.span / 2.0;
    let top = view.y + step * f64::from(view.height) / 2.0;
    let mut pixels = Vec::new();
    for row in 0..view.height {
        // Pixels are sampled at their middles, so that a picture centred on the axis is symmetric.
        let y = top - (f64::from(row) + 0.5) * step;
        for column in 0..view.width {
            let x = left + (f64::from(column) + 0.5) * step;
            pixels.push(colour(escape(x, y, view.iterations)));
        }
    }
    pixels
}

/// After how many steps of z → z² + c the point c = (x, y) leaves the circle of radius 2; `None` if it stays.
fn escape(x: f64, y: f64, iterations: u32) -> Option<u32> {
    // The main cardioid and the largest disc never leave: testing for them saves most of the fuel.
    let (dx, y2) = (x - 0.25, y * y);
    let q = dx * dx + y2;
    if q * (q + dx) <= 0.25 * y2 || (x + 1.0) * (x + 1.0) + y2 <= 0.0625 {
        return None;
    }
    let (mut re, mut im) = (0.0, 0.0);
    for step in 0..iterations {
        let (re2, im2) = (re * re, im * im);
        if re2 + im2 > 4.0 {
            return Some(step);
        }
        im = 2.0 * re * im + y;
        re = re2 - im2 + x;
    }
    None
}

/// Colour 0 is the set. Two bands for every doubling of the step, so that few colours span many steps.
fn colour(escaped: Option<u32>) -> u8 {
    let Some(step) = escaped else { return 0 };
    // A logarithm in integers: the leading bit of the step, and the bit after it.
    let log2 = step.max(1).ilog2();
    let half = ((u64::from(step) * 2) >> log2) & 1;
    let band = u64::from(log2) * 2 + half;
    u8::try_from(band).unwrap_or(COLOURS).clamp(1, COLOURS - 1)
}

/// How colour indices look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Palette {
    Fire,
    Ice,
    Grey,
}

impl Palette {
    /// Red, green and blue of every colour; the set itself is black.
    fn bytes(self) -> Vec<u8> {
        (0..u16::from(COLOURS))
            .flat_map(|index| self.colour(index))
            .collect()
    }

    fn colour(self, index: u16) -> [u8; 3] {
        if index == 0 {
            return [0; 3];
        }
        // From dark outside to light at the edge of the set.
        let light = index * 255 / u16::from(COLOURS - 1);
        let at = |from: u16, gain: u16| {
            u8::try_from((light.saturating_sub(from) * gain).min(255)).unwrap_or(u8::MAX)
        };
        match self {
            Self::Fire => [at(0, 3), at(64, 2), at(150, 2)],
            Self::Ice => [at(150, 2), at(64, 2), at(0, 3)],
            Self::Grey => [at(0, 1); 3],
        }
    }
}

impl FromStr for Palette {
    type Err = &'static str;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "fire" => Ok(Self::Fire),
            "ice" => Ok(Self::Ice),
            "grey" => Ok(Self::Grey),
            _ => Err("palettes are fire, ice and grey"),
        }
    }
}

/// The picture as a PNG with a palette and four bits a pixel.
fn encode(view: &View, pixels: &[u8]) -> Result<Vec<u8>, png::EncodingError> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, view.width, view.height);
    encoder.set_color(png::ColorType::Indexed);
    encoder.set_depth(png::BitDepth::Four);
    encoder.set_palette(view.palette.bytes());
    encoder.set_deflate_compression(png::DeflateCompression::Level(9));
    // Indices are no measure of light, so predicting them from their neighbours only hides repetitions.
    encoder.set_filter(png::Filter::NoFilter);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&pack(view, pixels))?;
    writer.finish()?;
    Ok(bytes)
}

/// Two pixels a byte, the left one in the high half; every row begins a byte.
fn pack(view: &View, pixels: &[u8]) -> Vec<u8> {
    let Ok(width) = usize::try_from(view.width) else {
        return Vec::new();
    };
    pixels
        .chunks(width.max(1))
        .flat_map(|row| {
            row.chunks(2)
                .map(|pair| (pair[0] << 4) | pair.get(1).copied().unwrap_or(0))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use frith_guest::Trial;

    #[test]
    fn the_default_picture_fits_an_inline_result() {
        let trial = Trial::run(mandelbrot, &[], b"");
        assert_eq!(trial.status, 0, "{}", trial.log);
        assert!(
            trial.result.len() <= limits::RESULT_INLINE_BYTES_MAX,
            "{} bytes",
            trial.result.len()
        );
    }

    #[test]
    fn the_png_decodes_to_the_pixels() -> Result<(), Box<dyn std::error::Error>> {
        let view = View::from_params(Params::parse(["width=33", "height=7"])?)?;
        let pixels = render(&view);
        let encoded = encode(&view, &pixels)?;
        let mut reader = png::Decoder::new(std::io::Cursor::new(encoded)).read_info()?;
        let mut decoded = vec![0; reader.output_buffer_size().ok_or("is small")?];
        let shape = reader.next_frame(&mut decoded)?;
        assert_eq!((shape.width, shape.height), (33, 7));
        assert_eq!(decoded[..shape.buffer_size()], pack(&view, &pixels));
        Ok(())
    }

    #[test]
    fn the_set_is_symmetric_and_black_inside() -> Result<(), Failure> {
        let view = View::from_params(Params::default())?;
        let pixels = render(&view);
        let width = usize::try_from(view.width).expect("is small");
        let rows: Vec<&[u8]> = pixels.chunks(width).collect();
        assert!(rows.iter().eq(rows.iter().rev()));
        assert_eq!(escape(0.0, 0.0, 100), None);
        assert_eq!(escape(2.0, 2.0, 100), Some(1));
        assert!(pixels.iter().all(|&pixel| pixel < COLOURS));
        assert!((1..COLOURS).all(|index| pixels.contains(&index)));
        Ok(())
    }

    #[test]
    fn arguments_win_over_the_input() {
        let by_input = Trial::run(mandelbrot, &[], b"width=8\nheight=8\n");
        let by_argument = Trial::run(mandelbrot, &["width=8"], b"width=9\nheight=8\n");
        assert_eq!(by_input, by_argument);
        assert_eq!(by_input.status, 0);
    }

    #[test]
    fn impossible_pictures_are_refused() {
        for arguments in [
            ["width=0", "x=0"],
            ["span=nan", "x=0"],
            ["palette=pink", "x=0"],
            ["width=8192", "height=8192"],
        ] {
            assert_eq!(
                Trial::run(mandelbrot, &arguments, b"").status,
                2,
                "{arguments:?}"
            );
        }
    }
}
