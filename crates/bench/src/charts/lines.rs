//! Lines over named steps, in one panel or several side by side.

use anyhow::Result;
use plotters::coord::ranged1d::{AsRangedCoord, ValueFormatter};
use plotters::prelude::*;

use super::canvas::{Area, FAINT, INK, failed, legend, letters, picture};
use crate::report::show;

/// What to draw.
pub(super) struct Lines {
    pub(super) title: String,
    /// What the steps are.
    pub(super) steps_are: &'static str,
    pub(super) steps: Vec<String>,
    /// Each with a line of what is told in it, and in what.
    pub(super) panels: Vec<Panel>,
}

/// A height for each step, of each line.
pub(super) struct Panel {
    pub(super) unit: String,
    pub(super) logarithmic: bool,
    pub(super) lines: Vec<Line>,
}

/// A line through the steps at which there is something.
pub(super) struct Line {
    pub(super) label: String,
    pub(super) colour: RGBColor,
    pub(super) values: Vec<Option<f64>>,
}

const HEIGHT: u32 = 380;

impl Lines {
    /// As SVG.
    pub(super) fn draw(&self) -> Result<String> {
        picture(HEIGHT, &self.title, |area| {
            let mut entries: Vec<(&str, RGBColor)> = Vec::new();
            for line in self.panels.iter().flat_map(|panel| &panel.lines) {
                if entries.iter().all(|(label, _)| *label != line.label) {
                    entries.push((&line.label, line.colour));
                }
            }
            let below = if entries.len() > 1 { legend(area, &entries)? } else { area.clone() };
            for (panel, area) in self.panels.iter().zip(below.split_evenly((1, self.panels.len()))) {
                self.panel(panel, &area)?;
            }
            Ok(())
        })
    }

    fn panel(&self, panel: &Panel, area: &Area<'_>) -> Result<()> {
        let values = || panel.lines.iter().flat_map(|line| line.values.iter().flatten().copied());
        let highest = values().fold(0.0, f64::max);
        if panel.logarithmic {
            let lowest = values().fold(f64::INFINITY, f64::min).max(0.001);
            let decades = 10_f64.powf(lowest.log10().floor())..10_f64.powf(highest.log10().ceil());
            self.plot(panel, area, decades.log_scale())
        } else {
            self.plot(panel, area, 0.0..highest * 1.1)
        }
    }

    fn plot<Y>(&self, panel: &Panel, area: &Area<'_>, heights: Y) -> Result<()>
    where
        Y: AsRangedCoord<Value = f64>,
        Y::CoordDescType: ValueFormatter<f64>,
    {
        #[expect(clippy::cast_precision_loss, reason = "a handful of steps")]
        let right = self.steps.len() as f64 - 0.5;
        let mut chart = ChartBuilder::on(area)
            .margin_left(16)
            .margin_right(24)
            .margin_top(12)
            .margin_bottom(6)
            .x_label_area_size(52)
            .y_label_area_size(84)
            .build_cartesian_2d(-0.5..right, heights)
            .map_err(failed)?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .bold_line_style(FAINT)
            .light_line_style(WHITE)
            .axis_style(INK)
            .x_labels(self.steps.len() * 2)
            .x_label_formatter(&|at| self.step(*at))
            .y_label_formatter(&|height| axis(*height))
            .label_style(letters(14))
            .axis_desc_style(letters(14))
            .x_desc(self.steps_are)
            .y_desc(panel.unit.as_str())
            .draw()
            .map_err(failed)?;
        for line in &panel.lines {
            let points: Vec<(f64, f64)> =
                (0_u32..).zip(&line.values).filter_map(|(at, value)| Some((f64::from(at), (*value)?))).collect();
            chart.draw_series(LineSeries::new(points.iter().copied(), line.colour.stroke_width(2))).map_err(failed)?;
            chart
                .draw_series(points.iter().map(|point| Circle::new(*point, 4, line.colour.filled())))
                .map_err(failed)?;
        }
        Ok(())
    }

    /// What a place on the axis is called: only whole ones are.
    fn step(&self, at: f64) -> String {
        let near = |number: &usize| f64::from(u32::try_from(*number).unwrap_or(u32::MAX)) - at;
        let found = (0..self.steps.len()).find(|number| near(number).abs() < 0.01);
        found.map(|number| self.steps[number].clone()).unwrap_or_default()
    }
}

/// Round figures without what `show` adds to them.
fn axis(height: f64) -> String {
    let text = if height > 0.0 && height < 0.1 { height.to_string() } else { show(height) };
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}
