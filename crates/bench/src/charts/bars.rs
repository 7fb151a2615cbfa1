//! Bars from left to right, one below the other, each with its value.

use anyhow::Result;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::canvas::{self, WIDTH, failed, picture};
use crate::report::show;

/// What to draw.
pub(super) struct Bars {
    pub(super) title: String,
    /// What is told, and in what.
    pub(super) unit: &'static str,
    pub(super) rows: Vec<Bar>,
}

/// A bar from zero to its value.
pub(super) struct Bar {
    pub(super) label: String,
    pub(super) value: f64,
    pub(super) colour: RGBColor,
}

const EACH: i32 = 34;
const THICK: i32 = 22;
const LABELS: i32 = 300;
/// For the value behind the longest bar.
const VALUES: i32 = 90;
const FOOT: i32 = 34;

impl Bars {
    /// As SVG.
    pub(super) fn draw(&self) -> Result<String> {
        let bottom = EACH * i32::try_from(self.rows.len())?;
        let longest = self.rows.iter().map(|bar| bar.value).fold(0.0, f64::max);
        let room = f64::from(i32::try_from(WIDTH)? - LABELS - VALUES);
        picture(u32::try_from(bottom + FOOT)?, &self.title, |area| {
            for (top, bar) in (0..).step_by(usize::try_from(EACH)?).zip(&self.rows) {
                let middle = top + EACH / 2;
                #[expect(clippy::cast_possible_truncation, reason = "at most the width of the picture")]
                let end = LABELS + (room * bar.value / longest).round() as i32;
                let shape = [(LABELS, middle - THICK / 2), (end.max(LABELS + 1), middle + THICK / 2)];
                area.draw(&Rectangle::new(shape, bar.colour.filled())).map_err(failed)?;
                canvas::write(area, &bar.label, (LABELS - 10, middle), 14, Pos::new(HPos::Right, VPos::Center))?;
                canvas::write(area, &show(bar.value), (end + 8, middle), 14, Pos::new(HPos::Left, VPos::Center))?;
            }
            let axis = vec![(LABELS, 0), (LABELS, bottom)];
            area.draw(&PathElement::new(axis, canvas::INK.stroke_width(1))).map_err(failed)?;
            canvas::write(area, self.unit, (LABELS, bottom + 8), 14, Pos::new(HPos::Left, VPos::Top))
        })
    }
}
