//! How the demo shows what happens: timelines drawn live on a terminal, plain lines elsewhere.

use std::fmt::Write as _;
use std::io;

use domain::Status;

use super::script::{LENGTH, PLANS};
use super::story::{Happening, Seen};
use crate::output;
use crate::output::style::{BLUE, BOLD, DIM, GREEN, MAGENTA, RED, RESET, YELLOW};

/// How many of the last happenings are shown below the timelines.
const RECENT: usize = 8;
const NAME: usize = 16;
const STATUS: usize = 13;

/// Shows what happens.
#[derive(Debug)]
pub(crate) struct View {
    /// Redraws in place; otherwise one line per happening.
    live: bool,
    drawn: usize,
    recent: Vec<Happening>,
}

impl View {
    /// A view of the standard output.
    pub(crate) fn new() -> Self {
        Self { live: output::is_watched(), drawn: 0, recent: Vec::new() }
    }

    /// Tells one happening.
    pub(crate) fn tell(&mut self, happening: Happening) -> io::Result<()> {
        if self.live {
            self.recent.push(happening);
            if self.recent.len() > RECENT {
                self.recent.remove(0);
            }
            return Ok(());
        }
        output::line(&line(&happening))
    }

    /// Draws everything as it is so many seconds after the beginning; only on a terminal.
    pub(crate) fn draw(&mut self, seen: &Seen, now: f64) -> io::Result<()> {
        if !self.live {
            return Ok(());
        }
        let width = terminal_size::terminal_size().map_or(100, |(width, _)| usize::from(width.0)).clamp(60, 140);
        let lines = self.lines(seen, now, width);
        let mut out = String::new();
        if self.drawn > 0 {
            let _ = write!(out, "\x1b[{}A", self.drawn);
        }
        for line in &lines {
            let _ = writeln!(out, "\x1b[2K{line}");
        }
        self.drawn = lines.len();
        output::print(&out)
    }

    fn lines(&self, seen: &Seen, now: f64, width: usize) -> Vec<String> {
        let cells = width - NAME - STATUS - 3;
        let mut lines = vec![axis(cells, now)];
        for (plan, story) in PLANS.iter().zip(&seen.stories) {
            let status = story.status();
            let shown = status.map_or("", Status::as_str);
            let bar = bar(cells, now, |from, to| {
                let mark = story.marks.iter().find(|(at, _)| (from..to).contains(at)).map(|(_, mark)| *mark);
                (story.status_at(to), story.status_at(from) != story.status_at(to), mark)
            });
            let colour = status.map_or("", colour);
            lines.push(format!("{:<NAME$} {bar} {colour}{shown:<STATUS$}{RESET}", plan.name));
        }
        lines.push(String::new());
        for place in 0..RECENT {
            let text = self.recent.get(place).map(line).unwrap_or_default();
            lines.push(text.chars().take(width - 1).collect());
        }
        lines
    }
}

fn line(Happening { at, campaign, text }: &Happening) -> String {
    format!("{at:>7.3} s  {:<NAME$} {text}", PLANS[*campaign].name)
}

fn colour(status: Status) -> &'static str {
    match status {
        Status::Created => DIM,
        Status::Running => GREEN,
        Status::Closed => YELLOW,
        Status::RewardClaim => MAGENTA,
        Status::Expired => BLUE,
        Status::Cancelled => RED,
    }
}

/// The seconds above the timelines.
fn axis(cells: usize, now: f64) -> String {
    let mut marks = vec![' '; cells];
    for second in (0..).step_by(2).take_while(|second| f64::from(*second) < LENGTH) {
        let place = place_of(f64::from(second), cells);
        for (at, digit) in second.to_string().chars().enumerate() {
            if let Some(mark) = marks.get_mut(place + at) {
                *mark = digit;
            }
        }
    }
    let marks: String = marks.into_iter().collect();
    format!("{:<NAME$} {DIM}{marks}{RESET} {BOLD}{:>5.1} s{RESET}", "", now.max(0.0))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "places on a line of at most 140 characters"
)]
fn place_of(seconds: f64, cells: usize) -> usize {
    (seconds.max(0.0) / LENGTH * cells as f64) as usize
}

/// A timeline of `cells` characters up to `now`. `cell` tells of a stretch of time: the status at its end, whether it
/// was entered within, and a mark.
fn bar(cells: usize, now: f64, cell: impl Fn(f64, f64) -> (Option<Status>, bool, Option<char>)) -> String {
    #[expect(clippy::cast_precision_loss, reason = "at most 140 cells")]
    let second_of = |place: usize| place as f64 / cells as f64 * LENGTH;
    let mut out = String::new();
    for place in 0..cells {
        let (from, to) = (second_of(place), second_of(place + 1));
        let (status, entered, mark) = if from > now { (None, false, None) } else { cell(from, to.min(now)) };
        match (status, mark) {
            (_, Some(mark)) => {
                let _ = write!(out, "{BOLD}{mark}{RESET}");
            }
            (None, _) => out.push(' '),
            (Some(status), _) => {
                let sign = match status {
                    Status::Created => '·',
                    Status::Running => '━',
                    Status::Closed => '─',
                    Status::RewardClaim => '═',
                    Status::Expired if entered => '■',
                    Status::Cancelled if entered => '✖',
                    Status::Expired | Status::Cancelled => ' ',
                };
                let _ = write!(out, "{}{sign}{RESET}", colour(status));
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(text: &str) -> String {
        text.split('\x1b').map(|part| part.split_once('m').map_or(part, |(_, rest)| rest)).collect()
    }

    #[test]
    fn a_timeline_shows_statuses_up_to_now_and_marks() {
        let text = bar(22, 7.5, |_, to| {
            let status = if to < 2.5 { Status::Created } else { Status::Running };
            (Some(status), false, (to > 5.5 && to < 6.5).then_some('◆'))
        });
        assert_eq!(plain(&text), "··━━━◆━━              ");
    }

    #[test]
    fn the_end_of_a_campaign_is_one_sign() {
        let text = bar(22, 30.0, |from, to| {
            let at = |seconds: f64| if seconds <= 3.0 { Status::Running } else { Status::Expired };
            (Some(at(to)), at(from) != at(to), None)
        });
        assert_eq!(plain(&text), "━━━■                  ");
    }
}
