//! The command line as a user meets it: help, exit codes, messages. What the service does is tested elsewhere.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};

const SECRET: &str = "a secret of more than thirty-two bytes";

/// The program with nothing of the developer's environment.
fn lifecycle(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lifecycle"));
    command.args(arguments).env_clear().env("COLUMNS", "100").stdin(Stdio::null());
    command
}

fn run(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    lifecycle(arguments).envs(variables.iter().copied()).output().expect("the program runs")
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Checks that `arguments` end with `code` and say `message`.
fn refused(arguments: &[&str], variables: &[(&str, &str)], code: i32, message: &str) {
    let output = run(arguments, variables);
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
    assert!(said.contains(message), "{arguments:?}: {message:?} is missing in {said}");
    assert!(!said.contains('\x1b'), "colours without a terminal: {said:?}");
}

#[test]
fn the_help_of_every_command_is_as_reviewed() {
    let commands: [&[&str]; 19] = [
        &[],
        &["serve"],
        &["demo"],
        &["token"],
        &["migrate"],
        &["migrate", "up"],
        &["migrate", "down"],
        &["migrate", "status"],
        &["verify"],
        &["audit"],
        &["audit", "verify"],
        &["replay"],
        &["dlq"],
        &["dlq", "list"],
        &["dlq", "show"],
        &["dlq", "replay"],
        &["dlq", "discard"],
        &["config"],
        &["completions"],
    ];
    let mut all = String::new();
    for command in commands {
        let arguments: Vec<&str> = command.iter().copied().chain(["--help"]).collect();
        let output = run(&arguments, &[]);
        assert!(output.status.success(), "{arguments:?}");
        let _ = writeln!(all, "$ lifecycle {}\n{}", arguments.join(" "), stdout(&output));
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/help.txt");
    if std::env::var_os("LIFECYCLE_BLESS").is_some() {
        std::fs::write(&file, &all).expect("written");
    }
    let reviewed = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(all == reviewed, "review with: LIFECYCLE_BLESS=1 cargo test -p lifecycle --test cli && git diff\n{all}");
}

#[test]
fn wrong_usage_ends_with_2_and_says_what_is_wrong() {
    refused(&["fly"], &[], 2, "unrecognized subcommand 'fly'");
    refused(&["dlq", "show", "1"], &[], 2, "invalid value '1' for '<ID>'");
    refused(&["dlq", "replay"], &[], 2, "<ID|--all>");
    refused(
        &["token", "--tenant", "_service"],
        &[("LIFECYCLE_AUTH__HS256_SECRET", SECRET)],
        2,
        "no token is of the tenant _service",
    );
    refused(&["token", "--tenant", "a/b"], &[], 2, "must not contain '/'");
    refused(&["token", "--ttl", "soon"], &[], 2, "is not a duration");
    refused(&["audit", "verify", "--expect", "7"], &[], 2, "a head is POSITION:HASH");
}

#[test]
fn a_wrong_setting_ends_with_2_and_names_key_and_source() {
    refused(&["serve"], &[("LIFECYCLE_HTTP__LISEN", "x")], 2, "did you mean http.listen?");
    refused(&["serve"], &[("LIFECYCLE_TIMERS__BATCH", "0")], 2, "(from variable LIFECYCLE_TIMERS__BATCH)");
    refused(&["serve", "--listen", "here"], &[], 2, "(from flag --listen)");
    refused(&["serve", "--config", "/nowhere.toml"], &[], 2, "cannot read the file /nowhere.toml");
    refused(&["config"], &[("LIFECYCLE_CONFIG", "/nowhere.toml")], 2, "cannot read the file /nowhere.toml");
    let open = [("LIFECYCLE_AUTH__MODE", "off"), ("LIFECYCLE_HTTP__LISTEN", "0.0.0.0:0")];
    refused(&["serve"], &open, 2, "only while http.listen is a loopback address");
}

#[test]
fn the_documented_sample_is_accepted_as_it_is() {
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/lifecycle.example.toml");
    let with_sample = run(&["config", "--config", &sample.display().to_string()], &[]);
    assert!(with_sample.status.success(), "{}", stderr(&with_sample));
    assert_eq!(stdout(&with_sample), stdout(&run(&["config"], &[])));
}

#[test]
fn settings_are_printed_with_secrets_masked() {
    for arguments in [&["config"] as &[&str], &["config", "--output", "json"], &["config", "--sources"]] {
        let output = run(arguments, &[("LIFECYCLE_AUTH__HS256_SECRET", SECRET)]);
        assert!(output.status.success(), "{}", stderr(&output));
        let text = stdout(&output);
        assert!(text.contains("********") && !text.contains(SECRET), "{text}");
    }
}

#[test]
fn commands_on_stored_data_do_not_make_a_store_for_a_mistyped_path() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("typo");
    let data = path.display().to_string();
    for command in
        [&["verify"] as &[&str], &["audit", "verify"], &["replay"], &["dlq", "list"], &["dlq", "replay", "--all"]]
    {
        let arguments: Vec<&str> = command.iter().copied().chain(["--data", &data]).collect();
        refused(&arguments, &[], 2, "does not exist");
    }
    assert!(!path.exists());
}

#[test]
fn a_token_is_three_parts_and_its_key_is_private() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let output = run(&["token", "--data", &data.display().to_string(), "--role", "viewer", "--owner", "anna"], &[]);
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(stdout(&output).trim_end().split('.').count(), 3);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = std::fs::metadata(data.join("auth.key")).expect("the key is kept").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

#[test]
fn no_token_can_be_made_where_only_a_public_key_is_known() {
    refused(&["token"], &[("LIFECYCLE_AUTH__PUBLIC_KEY_FILE", "key.pem")], 2, "only whoever has the private key");
}

#[test]
fn a_closed_pipe_is_no_error() {
    for arguments in [&["config", "--reference"] as &[&str], &["openapi"], &["asyncapi"], &["completions", "bash"]] {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let output = lifecycle(arguments).stdout(writer).stderr(Stdio::piped()).output().expect("the program runs");
        assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(0), ""), "{arguments:?}");
    }
}

#[test]
fn documents_are_json() {
    for (command, field) in [("openapi", "openapi"), ("asyncapi", "asyncapi")] {
        let document: serde_json::Value =
            serde_json::from_slice(&run(&[command], &[]).stdout).expect("the document is JSON");
        assert!(document[field].as_str().is_some_and(|version| version.starts_with('3')), "{command}");
    }
}

#[test]
fn a_second_process_on_the_same_data_ends_with_69_and_looking_still_works() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().display().to_string();
    let mut first = lifecycle(&["serve", "--data", &data, "--listen", "127.0.0.1:0"])
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program runs");
    let mut log = BufReader::new(first.stderr.take().expect("piped")).lines();
    let line =
        log.find_map(|line| line.ok().filter(|line| line.contains("\"message\":\"ready\""))).expect("it gets ready");
    // Nobody reads the log after this line; the service must not mind.
    drop(log);
    assert!(line.contains("http://127.0.0.1:"), "{line}");

    refused(&["serve", "--data", &data, "--listen", "127.0.0.1:0"], &[], 69, "is in use by another lifecycle process");
    refused(&["replay", "--data", &data], &[], 69, "is in use by another lifecycle process");
    refused(&["dlq", "replay", "--all", "--data", &data], &[], 69, "POST /api/v1/dlq/{id}/replay");
    let verify = run(&["verify", "--data", &data, "--output", "json"], &[]);
    assert!(verify.status.success(), "{}", stderr(&verify));
    let report: serde_json::Value = serde_json::from_slice(&verify.stdout).expect("the report is JSON");
    assert_eq!((&report["ok"], report["invariants"].as_array().map(Vec::len)), (&true.into(), Some(8)));

    first.kill().expect("killed");
    first.wait().expect("ended");
    let verify = run(&["verify", "--data", &data], &[]);
    assert!(verify.status.success() && stdout(&verify).contains("0 violations"), "{}", stderr(&verify));
}
