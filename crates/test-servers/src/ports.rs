//! Ports that stay ours while a server is down.

use std::fs::{File, OpenOptions};
use std::net::{Ipv4Addr, TcpListener};

use anyhow::{Context as _, Result, bail};

/// Below what systems give to outgoing connections, one of which would else take the port of a server that restarts.
const RANGE: std::ops::Range<u16> = 20_000..32_000;

/// A port of this machine that no other test uses.
#[derive(Debug)]
pub(crate) struct Port {
    number: u16,
    /// Locked as long as this lives, also against other processes.
    _claim: File,
}

impl Port {
    /// Where different processes begin to look, so that they seldom meet.
    pub(crate) fn any() -> Result<Self> {
        let spread = std::process::id() % u32::from(RANGE.end - RANGE.start);
        Self::from(RANGE.start + u16::try_from(spread)?)
    }

    /// The first free one at or after `first`.
    pub(crate) fn from(first: u16) -> Result<Self> {
        let folder = std::env::temp_dir().join(format!("lifecycle-test-ports-{}", crate::place::own_user()?));
        std::fs::create_dir_all(&folder).with_context(|| format!("{} could not be made", folder.display()))?;
        for number in (first..RANGE.end).chain(RANGE.start..first) {
            let path = folder.join(number.to_string());
            let claim = OpenOptions::new()
                .create(true)
                .truncate(false)
                .write(true)
                .open(&path)
                .with_context(|| format!("{} could not be opened", path.display()))?;
            if claim.try_lock().is_ok() && TcpListener::bind((Ipv4Addr::LOCALHOST, number)).is_ok() {
                return Ok(Self { number, _claim: claim });
            }
        }
        bail!("no port between {} and {} is free", RANGE.start, RANGE.end);
    }

    pub(crate) fn number(&self) -> u16 {
        self.number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_is_given_once() {
        let one = Port::any().expect("a free port");
        let other = Port::from(one.number()).expect("another free port");
        assert_ne!(one.number(), other.number());
        let number = one.number();
        drop(one);
        assert_eq!(Port::from(number).expect("the port again").number(), number);
    }
}
