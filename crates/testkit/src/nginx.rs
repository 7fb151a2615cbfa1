//! nginx before several instances, with the configuration that operators are given.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::time::until;

/// A running nginx; stopped when dropped.
pub struct Nginx {
    folder: TempDir,
    address: SocketAddr,
    child: Child,
}

impl Nginx {
    /// Starts it with `deploy/nginx/lifecycle.conf` before these instances, on a port of its own.
    ///
    /// # Panics
    /// When there is no nginx (`cargo xtask setup` installs it), or it does not start.
    pub async fn start(instances: &[SocketAddr]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = free.local_addr().expect("an address");
        drop(free);
        let path = folder.path().join("nginx.conf");
        std::fs::write(&path, configuration(folder.path(), address, instances)).expect("written");
        let child = Command::new("nginx")
            .arg("-c")
            .arg(&path)
            .arg("-p")
            .arg(folder.path())
            .stdin(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("no nginx on this machine: `cargo xtask setup` installs it");
        let nginx = Self { folder, address, child };
        until("nginx answers", async || tokio::net::TcpStream::connect(address).await.ok()).await;
        nginx
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it noted as errors.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("error.log")).unwrap_or_default()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let pid = i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw);
        if let Some(pid) = pid {
            // With its workers, which a kill of the master would leave behind.
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        let _ = self.child.wait();
    }
}

/// The site's configuration with other addresses, in a main one that needs no rights and no folders of the system.
fn configuration(folder: &Path, address: SocketAddr, instances: &[SocketAddr]) -> String {
    let site = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/nginx/lifecycle.conf");
    let site = std::fs::read_to_string(site).expect("the configuration is there");
    let mut upstream = instances.iter();
    let mut replaced = String::new();
    for line in site.lines() {
        match line.trim() {
            text if text.starts_with("server 127.0.0.1:") => {
                let options = text.split_once(' ').and_then(|(_, rest)| rest.split_once(' ')).map_or(";", |(_, o)| o);
                if let Some(instance) = upstream.next() {
                    let _ = writeln!(replaced, "server {instance} {options}");
                }
            }
            "listen 8080;" => {
                let _ = writeln!(replaced, "listen {address};");
            }
            _ => {
                let _ = writeln!(replaced, "{line}");
            }
        }
    }
    assert!(upstream.next().is_none(), "the configuration has room for fewer instances");
    let at = folder.display();
    let user = if rustix::process::geteuid().is_root() { "user root;\n" } else { "" };
    let mut temporary = String::new();
    for name in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"] {
        let _ = writeln!(temporary, "{name}_temp_path {at}/{name};");
    }
    format!(
        "{user}daemon off;\nworker_processes 1;\npid {at}/pid;\nerror_log {at}/error.log;\n\
         events {{ worker_connections 1024; }}\nhttp {{\naccess_log off;\n{temporary}{replaced}}}\n"
    )
}
