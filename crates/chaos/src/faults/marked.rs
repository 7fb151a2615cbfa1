//! The rows that the matrix marks, since every change is held to them: what does so for each, a run of this command
//! (`--correctness`) or a test of the suite.

use std::fmt;

use super::Row;

/// What holds every change to a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cover {
    /// A run of `cargo xtask chaos --correctness`, which `cargo xtask ci` does.
    Run,
    /// A test that asks for the same: its file and its name.
    By(&'static str, &'static str),
}

impl fmt::Display for Cover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Run => f.write_str("a run of `--correctness`"),
            Self::By(file, test) => write!(f, "`{file}`: `{test}`"),
        }
    }
}

/// All marked rows.
const MARKED: &[(u8, Cover)] = &[
    (1, Cover::Run),
    (
        2,
        Cover::By(
            "crates/app/tests/crash_points/commands.rs",
            "a_command_is_there_as_a_whole_or_not_at_all_and_its_repetition_makes_it_one_on_servers",
        ),
    ),
    (3, Cover::Run),
    (
        6,
        Cover::By(
            "crates/app/tests/crash_points/panics.rs",
            "a_loop_that_panics_is_back_within_a_second_and_nothing_is_lost_on_servers",
        ),
    ),
    (
        7,
        Cover::By(
            "crates/app/tests/cluster/rolling.rs",
            "a_rolling_restart_behind_nginx_costs_no_request_and_no_event",
        ),
    ),
    (9, Cover::Run),
    (10, Cover::Run),
    (11, Cover::Run),
    (12, Cover::Run),
    (14, Cover::By("crates/adapters-postgres/src/unit.rs", "an_overlooked_error_is_never_told_as_success")),
    (24, Cover::Run),
    (29, Cover::Run),
    (30, Cover::Run),
    (31, Cover::Run),
    (32, Cover::Run),
    (35, Cover::Run),
    (37, Cover::Run),
    (
        40,
        Cover::By(
            "crates/app/tests/scenarios/overload.rs",
            "beyond_its_capacity_the_service_sheds_new_work_keeps_accepted_work_and_recovers",
        ),
    ),
    (
        41,
        Cover::By(
            "crates/app/tests/cluster/bad_entries.rs",
            "every_bad_entry_is_a_dead_letter_with_its_cause_and_stops_nobody",
        ),
    ),
    (
        44,
        Cover::By(
            "crates/app/tests/scenarios/slow_client.rs",
            "a_client_that_does_not_read_is_closed_with_4008_and_told_where_to_resume",
        ),
    ),
    (
        46,
        Cover::By(
            "crates/app/tests/scenarios/bad_tokens.rs",
            "no_token_and_bad_tokens_are_refused_and_nothing_is_stored",
        ),
    ),
];

/// What holds every change to `row`, if anything has to.
pub(crate) fn cover_of(row: &Row) -> Option<Cover> {
    MARKED.iter().find(|(number, _)| *number == row.number()).map(|(_, cover)| *cover)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::faults::ROWS;

    /// As the matrix has them.
    const OF_THE_MATRIX: &[u8] = &[1, 2, 3, 6, 7, 9, 10, 11, 12, 14, 24, 29, 30, 31, 32, 35, 37, 40, 41, 44, 46];

    fn read(path: &str) -> String {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    fn row(number: u8) -> &'static Row {
        ROWS.iter().find(|row| row.number() == number).expect("a row of the matrix")
    }

    #[test]
    fn every_marked_row_of_the_matrix_has_its_cover_and_no_other_has() {
        let marked: Vec<u8> = MARKED.iter().map(|(number, _)| *number).collect();
        assert_eq!(marked, OF_THE_MATRIX);
    }

    #[test]
    fn what_is_said_to_run_is_a_run_and_what_is_said_to_be_tested_has_that_test() {
        for (number, cover) in MARKED {
            match cover {
                Cover::Run => assert!(matches!(row(*number), Row::Run(_)), "row {number} is no run"),
                Cover::By(file, test) => {
                    let found = read(file).contains(&format!("fn {test}("));
                    assert!(found, "row {number}: there is no test {test} in {file}");
                }
            }
        }
    }

    #[test]
    fn the_document_says_what_holds_every_change_to_each_marked_row() {
        let document = read("docs/RELIABILITY.md");
        let lines = MARKED.iter().map(|(number, cover)| format!("| {number} | {} | {cover} |", row(*number).name()));
        let missing: Vec<_> = lines.filter(|line| !document.lines().any(|told| told == line)).collect();
        assert!(missing.is_empty(), "not in docs/RELIABILITY.md:\n{}", missing.join("\n"));
    }
}
