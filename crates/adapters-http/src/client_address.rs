//! Whose request it is: the other end of the connection, or whom a proxy that is trusted names in `X-Forwarded-For`. Used
//! for limits per address and for the log, never to let anybody in.

use std::net::IpAddr;

use http::HeaderMap;
use http::header::HeaderName;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The proxies whose word is taken.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedProxies(Vec<Network>);

/// A text that is no network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotANetwork(pub String);

/// Addresses that begin alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Network {
    begin: IpAddr,
    /// How many bits they have in common.
    bits: u8,
}

impl TrustedProxies {
    /// Reads addresses and networks such as `10.0.0.7`, `10.0.0.0/8` and `fd00::/8`.
    ///
    /// # Errors
    /// The first text that is none.
    pub fn parse<T: AsRef<str>>(texts: &[T]) -> Result<Self, NotANetwork> {
        let networks = texts.iter().map(|text| {
            let text = text.as_ref();
            Network::parse(text).ok_or_else(|| NotANetwork(text.to_owned()))
        });
        networks.collect::<Result<_, _>>().map(Self)
    }

    /// Whether the word of `address` is taken.
    pub(crate) fn has(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.has(address))
    }

    /// Whose a request with these headers is, that came from `peer`. Each proxy adds whom it heard to the end: the last one
    /// that is not trusted itself is the client. What stands before it, anybody may have written.
    pub(crate) fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = peer.to_canonical();
        let lists = headers.get_all(FORWARDED_FOR).iter().collect::<Vec<_>>();
        let named = lists.into_iter().rev().flat_map(|list| list.to_str().unwrap_or_default().rsplit(','));
        for name in named {
            if !self.has(client) {
                break;
            }
            let Some(address) = address_in(name.trim()) else { break };
            client = address;
        }
        client
    }
}

/// An address, with or without a port, as proxies write it.
fn address_in(text: &str) -> Option<IpAddr> {
    let with_port = || text.parse::<std::net::SocketAddr>().ok().map(|address| address.ip());
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    bare.parse().ok().or_else(with_port).map(|address: IpAddr| address.to_canonical())
}

impl Network {
    fn parse(text: &str) -> Option<Self> {
        let (begin, bits) = text.split_once('/').map_or((text, None), |(begin, bits)| (begin, Some(bits)));
        let begin: IpAddr = begin.parse().ok()?;
        let all = if begin.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            None => all,
            Some(bits) if bits.bytes().all(|b| b.is_ascii_digit()) => bits.parse().ok()?,
            Some(_) => return None,
        };
        (bits <= all).then_some(Self { begin, bits })
    }

    fn has(self, address: IpAddr) -> bool {
        let (begin, other, all) = match (self.begin, address.to_canonical()) {
            (IpAddr::V4(begin), IpAddr::V4(other)) => (begin.to_bits().into(), other.to_bits().into(), 32),
            (IpAddr::V6(begin), IpAddr::V6(other)) => (begin.to_bits(), other.to_bits(), 128),
            _ => return false,
        };
        let differing: u128 = begin ^ other;
        differing.checked_shr(all - u32::from(self.bits)).unwrap_or_default() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn client(trusted: &[&str], peer: &str, lists: &[&'static str]) -> String {
        let headers = lists.iter().map(|list| (FORWARDED_FOR, HeaderValue::from_static(list))).collect();
        TrustedProxies::parse(trusted).expect("networks").client(address(peer), &headers).to_string()
    }

    #[test]
    fn only_the_word_of_trusted_proxies_is_taken() {
        assert_eq!(client(&[], "10.0.0.1", &["192.0.2.7"]), "10.0.0.1");
        assert_eq!(client(&["10.0.0.2"], "10.0.0.1", &["192.0.2.7"]), "10.0.0.1");
        assert_eq!(client(&["10.0.0.1"], "10.0.0.1", &["192.0.2.7"]), "192.0.2.7");
        assert_eq!(client(&["10.0.0.1"], "::ffff:10.0.0.1", &["192.0.2.7"]), "192.0.2.7");
        assert_eq!(client(&["10.0.0.1"], "10.0.0.1", &[]), "10.0.0.1");
    }

    #[test]
    fn what_the_client_wrote_itself_moves_nothing() {
        let trusted = ["10.0.0.0/8"];
        assert_eq!(client(&trusted, "10.0.0.1", &["203.0.113.9, 192.0.2.7"]), "192.0.2.7");
        assert_eq!(client(&trusted, "10.0.0.1", &["203.0.113.9", "192.0.2.7, 10.0.0.2"]), "192.0.2.7");
        assert_eq!(client(&trusted, "10.0.0.1", &["10.9.9.9, 192.0.2.7"]), "192.0.2.7");
        assert_eq!(client(&trusted, "10.0.0.1", &["192.0.2.7, nonsense"]), "10.0.0.1");
        assert_eq!(client(&trusted, "10.0.0.1", &["192.0.2.7,"]), "10.0.0.1");
    }

    #[test]
    fn addresses_come_with_and_without_ports() {
        for (name, expected) in [
            ("192.0.2.7:4711", "192.0.2.7"),
            ("[2001:db8::7]:4711", "2001:db8::7"),
            ("[2001:db8::7]", "2001:db8::7"),
            ("2001:db8::7", "2001:db8::7"),
            ("::ffff:192.0.2.7", "192.0.2.7"),
        ] {
            assert_eq!(client(&["10.0.0.1"], "10.0.0.1", &[name]), expected);
        }
    }

    #[test]
    fn networks_are_read_and_hold_what_begins_alike() {
        let has = |network: &str, other: &str| TrustedProxies::parse(&[network]).expect("one").has(address(other));
        assert!(has("10.0.0.0/8", "10.255.0.1") && !has("10.0.0.0/8", "11.0.0.1"));
        assert!(has("10.0.0.7/32", "10.0.0.7") && !has("10.0.0.7", "10.0.0.8"));
        assert!(has("0.0.0.0/0", "192.0.2.1") && !has("0.0.0.0/0", "2001:db8::1"));
        assert!(has("2001:db8::/32", "2001:db8:1::1") && !has("2001:db8::/32", "2001:db9::1") && has("::/0", "::1"));
        for text in
            ["", "10.0.0.0/33", "10.0.0/8", "10.0.0.0/", "10.0.0.0/+8", "::/129", "proxy.example", "10.0.0.0/8/8"]
        {
            assert_eq!(TrustedProxies::parse(&[text]), Err(NotANetwork(text.to_owned())), "{text}");
        }
    }
}
