//! What all charts have in common: white ground, so that they can be read in dark viewers, too; letters; colours that also
//! people who do not tell red from green can tell apart; a title; a legend.

use anyhow::{Result, anyhow};
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

pub(super) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

pub(super) const WIDTH: u32 = 880;
pub(super) const FONT: &str = "Helvetica, Arial, sans-serif";
pub(super) const INK: RGBColor = RGBColor(40, 40, 40);
pub(super) const FAINT: RGBColor = RGBColor(225, 225, 225);

/// Ours are blue, baselines grey, peers warm.
pub(super) const SERVICE: RGBColor = RGBColor(0, 114, 178);
pub(super) const SERVICE_LIGHT: RGBColor = RGBColor(86, 180, 233);
pub(super) const SERVICE_GREEN: RGBColor = RGBColor(0, 158, 115);
pub(super) const BASELINE: RGBColor = RGBColor(140, 140, 140);
pub(super) const PEERS: [RGBColor; 2] = [RGBColor(213, 94, 0), RGBColor(230, 159, 0)];

const TITLE_HEIGHT: u32 = 44;
const LEGEND_LINE: i32 = 22;
const MARGIN: i32 = 16;

/// A picture with a title; `draw` gets what is below it.
pub(super) fn picture(height: u32, title: &str, draw: impl FnOnce(&Area<'_>) -> Result<()>) -> Result<String> {
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, (WIDTH, height + TITLE_HEIGHT)).into_drawing_area();
        root.fill(&WHITE).map_err(failed)?;
        let (top, below) = root.split_vertically(TITLE_HEIGHT);
        write(&top, title, (MARGIN, 14), 20, Pos::new(HPos::Left, VPos::Top))?;
        draw(&below)?;
        root.present().map_err(failed)?;
    }
    Ok(svg)
}

/// The area below the legend, which is written at its top, in as many lines as it takes.
pub(super) fn legend<'a>(area: &Area<'a>, entries: &[(&str, RGBColor)]) -> Result<Area<'a>> {
    let (mut x, mut y) = (MARGIN, LEGEND_LINE / 2);
    let mut placed = Vec::new();
    for (text, colour) in entries {
        // No font is at hand to measure with; this is what letters of this size take at most.
        let width = 36 + 7 * i32::try_from(text.chars().count())?;
        if x > MARGIN && x + width > i32::try_from(WIDTH)? {
            (x, y) = (MARGIN, y + LEGEND_LINE);
        }
        placed.push((*text, *colour, x, y));
        x += width;
    }
    let (top, below) = area.split_vertically(y + LEGEND_LINE);
    for (text, colour, x, y) in placed {
        top.draw(&Rectangle::new([(x, y - 5), (x + 14, y + 5)], colour.filled())).map_err(failed)?;
        write(&top, text, (x + 20, y), 14, Pos::new(HPos::Left, VPos::Center))?;
    }
    Ok(below)
}

pub(super) fn write(area: &Area<'_>, text: &str, at: (i32, i32), size: i32, anchor: Pos) -> Result<()> {
    area.draw(&Text::new(text, at, letters(size).pos(anchor))).map_err(failed)
}

pub(super) fn letters(size: i32) -> TextStyle<'static> {
    (FONT, size).into_font().color(&INK)
}

/// plotters' errors borrow what they were about.
pub(super) fn failed(error: impl std::fmt::Display) -> anyhow::Error {
    anyhow!("{error}")
}
