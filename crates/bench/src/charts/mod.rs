//! Charts for the documents, drawn of whatever was read: a run of few scenarios draws few of them, and leaves the others be.

mod bars;
mod canvas;
mod lines;
mod pictures;

use std::path::Path;

use anyhow::{Context as _, Result};

use crate::report::Report;

/// Draws into `folder` as SVG; tells which.
pub(crate) fn draw(report: &Report, folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    let bars = pictures::burst(report).map(|bars| ("burst.svg", bars.draw()));
    let lines = [
        ("lateness.svg", pictures::lateness(report)),
        ("pending.svg", pictures::pending(report)),
        ("instances.svg", pictures::instances(report)),
        ("fanout.svg", pictures::fanout(report)),
    ];
    let lines = lines.into_iter().filter_map(|(file, lines)| Some((file, lines?.draw())));
    for (file, picture) in bars.into_iter().chain(lines) {
        let path = folder.join(file);
        let picture = picture.with_context(|| format!("{file} cannot be drawn"))?;
        std::fs::write(&path, picture).with_context(|| format!("{} cannot be written", path.display()))?;
        eprintln!("{}: drawn", path.display());
    }
    Ok(())
}
