//! The programs in `tests/interop`, run by Node.js. They tell what they do in lines of JSON.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;
use testkit::{PATIENCE, Place};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;

const HOW: &str = "Node.js 20 or newer and its modules are needed: `cargo xtask setup` says how to get the one and runs \
                   `npm ci` in tests/interop for the others";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/interop")
}

fn command(program: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Command {
    let folder = folder();
    for module in ["ioredis", "ws", "@asyncapi/parser", "ajv"] {
        assert!(folder.join("node_modules").join(module).exists(), "the module {module} is not installed. {HOW}");
    }
    let mut command = Command::new("node");
    command.arg(program).args(arguments).current_dir(folder).kill_on_drop(true);
    command.envs(environment.iter().copied()).stdout(Stdio::piped());
    command
}

/// Runs a program to its end; gives the lines that it told.
///
/// # Panics
/// When it fails.
pub(crate) async fn run(program: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Vec<Value> {
    to_the_end(command(program, arguments, environment)).await.lines().map(parse).collect()
}

/// Runs test files of the clients' own.
///
/// # Panics
/// When one fails.
pub(crate) async fn test(files: &[&str]) {
    to_the_end(command("--test", files, &[])).await;
}

async fn to_the_end(mut command: Command) -> String {
    let output = command.stdin(Stdio::null()).stderr(Stdio::piped()).output().await;
    let output = output.unwrap_or_else(|error| panic!("node does not run: {error}. {HOW}"));
    let (told, messages) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{command:?} ended with {}:\n{messages}\n{told}", output.status);
    told.into_owned()
}

/// Where the bus is, as options of a program.
pub(crate) fn bus(place: &Place) -> Vec<String> {
    ["--redis".to_owned(), place.redis_url(), "--prefix".to_owned(), place.prefix()].into()
}

/// The lines of one type.
pub(crate) fn of_type<'a>(lines: &'a [Value], kind: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| line["type"] == kind).collect()
}

/// The last line.
///
/// # Panics
/// When it is no summary.
#[track_caller]
pub(crate) fn summary(lines: &[Value]) -> &Value {
    let last = lines.last().expect("it told something");
    assert_eq!(last["type"], "summary", "{last}");
    last
}

fn parse(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
}

/// A program that is talked with while it runs.
pub(crate) struct Talk {
    child: Child,
    input: Option<ChildStdin>,
    output: Lines<BufReader<ChildStdout>>,
    told: Vec<Value>,
}

impl Talk {
    /// Starts it.
    ///
    /// # Panics
    /// When it does not start.
    pub(crate) fn start(program: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut command = command(program, arguments, environment);
        let child = command.stdin(Stdio::piped()).spawn();
        let mut child = child.unwrap_or_else(|error| panic!("node does not run: {error}. {HOW}"));
        let output = BufReader::new(child.stdout.take().expect("its output")).lines();
        Self { input: child.stdin.take(), output, child, told: Vec::new() }
    }

    /// Waits for a line that is as wanted.
    ///
    /// # Panics
    /// When it never comes.
    pub(crate) async fn until(&mut self, what: &str, mut wanted: impl FnMut(&Value) -> bool) {
        loop {
            let line = timeout(PATIENCE, self.output.next_line()).await;
            let line = line.unwrap_or_else(|_| panic!("waited in vain for: {what}; {:#?}", self.told));
            let line =
                line.expect("lines of text").unwrap_or_else(|| panic!("it ended before: {what}; {:#?}", self.told));
            self.told.push(parse(&line));
            if self.told.last().is_some_and(&mut wanted) {
                return;
            }
        }
    }

    /// Tells it something.
    ///
    /// # Panics
    /// When it has ended.
    pub(crate) async fn say(&mut self, line: &str) {
        let input = self.input.as_mut().expect("it was not told to end");
        input.write_all(format!("{line}\n").as_bytes()).await.expect("it listens");
    }

    /// Tells it to end, by ending its input.
    pub(crate) fn hang_up(&mut self) {
        self.input = None;
    }

    /// Waits for its end; gives all that it told.
    ///
    /// # Panics
    /// When it does not end, or fails.
    pub(crate) async fn end(mut self) -> Vec<Value> {
        self.until("its summary", |line| line["type"] == "summary").await;
        let status = timeout(PATIENCE, self.child.wait()).await.expect("it ends").expect("a status");
        assert!(status.success(), "it ended with {status}: {:#?}", self.told);
        self.told
    }
}
