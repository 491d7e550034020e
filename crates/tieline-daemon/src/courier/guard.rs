//! Which addresses a webhook may reach: public ones, and those that the configuration allows.
//!
//! Whoever may define a webhook must not be able to reach into the network of the daemon by it, nor
//! the services that clouds offer to their machines. What is checked is the address that is really
//! connected to, so a name that resolves otherwise a moment later changes nothing.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::config::Network;

/// Whether a webhook may reach an address.
pub(super) fn may_reach(address: IpAddr, allowed: &[Network]) -> bool {
    let plain = unmapped(address);
    is_public(plain) || allowed.iter().any(|network| network.contains(plain) || network.contains(address))
}

/// An address of the old kind that is written as one of the new kind is what it means.
fn unmapped(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or(address, IpAddr::V4),
        IpAddr::V4(_) => address,
    }
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

/// What is not in the registry of special addresses, and is not multicast.
fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    !(a == 0
        || a == 10
        || a == 127
        || (a == 100 && b & 0xc0 == 64)
        || (a == 169 && b == 254)
        || (a == 172 && b & 0xf0 == 16)
        || (a == 192 && b == 168)
        || (a == 192 && b == 0 && (c == 0 || c == 2))
        || (a == 192 && b == 88 && c == 99)
        || (a == 198 && b & 0xfe == 18)
        || (a == 198 && b == 51 && c == 100)
        || (a == 203 && b == 0 && c == 113)
        || a >= 224)
}

/// Only what is given out as global unicast (2000::/3), without the parts that stand for addresses
/// of the old kind or for documents: they are as good as what they stand for.
fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    let [first, second, third, ..] = segments;
    match (first, second) {
        // Translated and tunnelled addresses of the old kind.
        (0x64, 0xff9b) => {
            let [.., high, low] = segments;
            third == 0 && is_public_v4(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)))
        }
        (0x2002, high) => is_public_v4(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(third))),
        (0x2001, 0..=0x1ff | 0xdb8) => false,
        (0x3fff, 0..=0xfff) => false,
        _ => first & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn only_public_addresses_are_reached() {
        for text in [
            "127.0.0.1",
            "127.9.9.9",
            "0.0.0.0",
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.169.254",
            "100.64.0.1",
            "100.127.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "192.88.99.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:169.254.169.254",
            "::127.0.0.1",
            "fe80::1",
            "fc00::1",
            "fd00:ec2::254",
            "ff02::1",
            "fec0::1",
            "64:ff9b::7f00:1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::1",
            "2002:7f00:1::",
            "2002:c0a8:101::",
            "2001::1",
            "2001:db8::1",
            "3fff::1",
            "100::1",
        ] {
            assert!(!may_reach(address(text), &[]), "{text}");
        }
        for text in [
            "1.1.1.1",
            "8.8.8.8",
            "172.15.0.1",
            "172.32.0.1",
            "100.63.0.1",
            "100.128.0.1",
            "192.0.1.1",
            "198.17.0.1",
            "223.255.255.255",
            "2606:4700::1111",
            "2a00:1450::1",
            "::ffff:8.8.8.8",
            "64:ff9b::808:808",
            "2002:808:808::1",
        ] {
            assert!(may_reach(address(text), &[]), "{text}");
        }
    }

    #[test]
    fn what_is_allowed_is_reached_in_either_form() {
        let allowed = ["127.0.0.0/8".parse().unwrap()];
        for text in ["127.0.0.1", "::ffff:127.0.0.1"] {
            assert!(may_reach(address(text), &allowed), "{text}");
        }
        assert!(!may_reach(address("10.0.0.1"), &allowed));
        assert!(!may_reach(address("::1"), &allowed));
    }
}
