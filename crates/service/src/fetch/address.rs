//! Which addresses a fetch may reach: those of the public internet, and what the operator allows besides.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// A network that the operator lets fetches into.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Network(IpNet);

/// What is no network.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a network is written as 10.0.0.0/8 or fd00::/8")]
pub struct NetworkError;

impl FromStr for Network {
    type Err = NetworkError;

    /// An address and a length; an address alone is just that one.
    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let alone = || text.parse::<IpAddr>().ok().map(IpNet::from);
        text.parse().ok().or_else(alone).map(|network| Network(network.trunc())).ok_or(NetworkError)
    }
}

/// Whether a fetch may be connected to this address.
pub(super) fn may_reach(address: IpAddr, allowed: &[Network]) -> bool {
    // An IPv4-mapped address is not one of its own: what is connected to is the IPv4 address in it.
    let address = address.to_canonical();
    allowed.iter().any(|network| network.0.contains(&address)) || is_public(address)
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    !SPECIAL_V4.iter().any(|network| network.contains(&address))
}

/// The other way round than with IPv4: most of IPv6 is not assigned, so only what is counts.
fn is_public_v6(address: Ipv6Addr) -> bool {
    if NAT64.contains(&address) {
        let [.., a, b, c, d] = address.octets();
        return is_public_v4(Ipv4Addr::new(a, b, c, d));
    }
    GLOBAL_V6.contains(&address) && !SPECIAL_V6.iter().any(|network| network.contains(&address))
}

/// Not of the public internet by IANA's registry of special addresses, or for machines of a cloud alone.
const SPECIAL_V4: [Ipv4Net; 17] = [
    v4(0, 0, 0, 0, 8),          // this network
    v4(10, 0, 0, 0, 8),         // private
    v4(100, 64, 0, 0, 10),      // shared by the customers of a carrier; metadata of Alibaba
    v4(127, 0, 0, 0, 8),        // loopback
    v4(168, 63, 129, 16, 32),   // what Azure shows to its machines
    v4(169, 254, 0, 0, 16),     // link-local; metadata of most clouds
    v4(172, 16, 0, 0, 12),      // private
    v4(192, 0, 0, 0, 24),       // protocols; metadata of Oracle
    v4(192, 0, 2, 0, 24),       // documentation
    v4(192, 88, 99, 0, 24),     // relays of 6to4
    v4(192, 168, 0, 0, 16),     // private
    v4(198, 18, 0, 0, 15),      // benchmarks
    v4(198, 51, 100, 0, 24),    // documentation
    v4(203, 0, 113, 0, 24),     // documentation
    v4(224, 0, 0, 0, 4),        // multicast
    v4(240, 0, 0, 0, 4),        // reserved
    v4(255, 255, 255, 255, 32), // broadcast
];

/// The part of IPv6 that is assigned to the public internet. Loopback, unique local, link-local, site-local, multicast
/// and IPv4-compatible addresses are outside, and so is 64:ff9b:1::/48, whose meaning is each network's own.
const GLOBAL_V6: Ipv6Net = v6([0x2000, 0, 0, 0, 0, 0, 0, 0], 3);

/// Of that, what leads elsewhere or nowhere.
const SPECIAL_V6: [Ipv6Net; 4] = [
    v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 23), // protocols: Teredo, benchmarks, ORCHID
    v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32), // documentation
    v6([0x2002, 0, 0, 0, 0, 0, 0, 0], 16), // 6to4: any IPv4 address may be in it
    v6([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20), // documentation
];

/// Leads to the IPv4 address in its last four bytes.
const NAT64: Ipv6Net = v6([0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 96);

const fn v4(a: u8, b: u8, c: u8, d: u8, length: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), length)
}

const fn v6(segments: [u16; 8], length: u8) -> Ipv6Net {
    let [a, b, c, d, e, f, g, h] = segments;
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, d, e, f, g, h), length)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn may(address: &str) -> bool {
        may_reach(address.parse().unwrap(), &[])
    }

    #[test]
    fn a51_first_and_last_address_of_each_range_are_refused_and_their_neighbours_are_not() {
        // Lower neighbour, first, last, upper neighbour; `-` where the neighbour is special, too.
        for row in [
            "- 0.0.0.0 0.255.255.255 1.0.0.0",
            "9.255.255.255 10.0.0.0 10.255.255.255 11.0.0.0",
            "100.63.255.255 100.64.0.0 100.127.255.255 100.128.0.0",
            "126.255.255.255 127.0.0.0 127.255.255.255 128.0.0.0",
            "168.63.129.15 168.63.129.16 168.63.129.16 168.63.129.17",
            "169.253.255.255 169.254.0.0 169.254.255.255 169.255.0.0",
            "172.15.255.255 172.16.0.0 172.31.255.255 172.32.0.0",
            "191.255.255.255 192.0.0.0 192.0.0.255 192.0.1.0",
            "192.0.1.255 192.0.2.0 192.0.2.255 192.0.3.0",
            "192.88.98.255 192.88.99.0 192.88.99.255 192.88.100.0",
            "192.167.255.255 192.168.0.0 192.168.255.255 192.169.0.0",
            "198.17.255.255 198.18.0.0 198.19.255.255 198.20.0.0",
            "198.51.99.255 198.51.100.0 198.51.100.255 198.51.101.0",
            "203.0.112.255 203.0.113.0 203.0.113.255 203.0.114.0",
            "223.255.255.255 224.0.0.0 239.255.255.255 -",
            "- 240.0.0.0 255.255.255.255 -",
            "- :: 1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 2000::",
            "2000:ffff:ffff:ffff:ffff:ffff:ffff:ffff 2001:: 2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff 2001:200::",
            "2001:db7:ffff:ffff:ffff:ffff:ffff:ffff 2001:db8:: 2001:db8:ffff:ffff:ffff:ffff:ffff:ffff 2001:db9::",
            "2001:ffff:ffff:ffff:ffff:ffff:ffff:ffff 2002:: 2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff 2003::",
            "3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff 3fff:: 3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff 3fff:1000::",
            "3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 4000:: ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff -",
        ] {
            let addresses: Vec<_> = row.split(' ').collect();
            let [below, first, last, above] = addresses[..] else { panic!("{row}") };
            assert!(!may(first) && !may(last), "{row}");
            assert!(below == "-" || may(below), "{row}");
            assert!(above == "-" || may(above), "{row}");
        }
    }

    #[test]
    fn a51_well_known_places_are_refused() {
        for address in [
            "169.254.169.254", // metadata of most clouds
            "fd00:ec2::254",   // and by IPv6
            "fd20:ce::254",
            "100.100.100.200",
            "192.0.0.192",
            "::1",
            "::",
            "fc00::1", // unique local
            "fdff::1",
            "fe80::1", // link-local
            "febf::1",
            "fec0::1", // site-local
            "ff02::1", // multicast
            "ff0e::1",
            "::127.0.0.1", // IPv4-compatible
            "::8.8.8.8",
            "::ffff:127.0.0.1", // IPv4-mapped
            "::ffff:169.254.169.254",
            "::ffff:0:127.0.0.1", // IPv4-translated
            "64:ff9b::127.0.0.1", // NAT64
            "64:ff9b::10.0.0.1",
            "64:ff9b:1::8.8.8.8", // NAT64 of some network's own
            "64:ff9b:1:ffff::1",
            "2002:7f00:1::",    // 6to4
            "2001:0:7f00:1::1", // Teredo
            "100::1",           // discard
            "5f00::1",          // segment routing
        ] {
            assert!(!may(address), "{address}");
        }
    }

    #[test]
    fn the_public_internet_may_be_reached() {
        for address in [
            "1.1.1.1",
            "8.8.8.8",
            "93.184.216.34",
            "192.0.1.1",
            "2606:4700:4700::1111",
            "2a00:1450:4001::1",
            "::ffff:8.8.8.8",
            "64:ff9b::8.8.8.8",
        ] {
            assert!(may(address), "{address}");
        }
    }

    #[test]
    fn what_the_operator_allows_may_be_reached_and_nothing_beside_it() {
        let allowed: Vec<Network> =
            ["10.1.0.0/16", "127.0.0.1", "fd00::/8"].iter().map(|text| text.parse().unwrap()).collect();
        let may = |address: &str| may_reach(address.parse().unwrap(), &allowed);
        for address in ["10.1.2.3", "127.0.0.1", "fd00::1", "::ffff:10.1.2.3", "8.8.8.8"] {
            assert!(may(address), "{address}");
        }
        for address in ["10.2.0.0", "127.0.0.2", "fc00::1", "::1", "::127.0.0.1", "64:ff9b::10.1.2.3"] {
            assert!(!may(address), "{address}");
        }
    }

    #[test]
    fn a_network_is_an_address_and_a_length() {
        let parse = |text: &str| text.parse::<Network>();
        assert_eq!(parse("10.9.9.9/8"), parse("10.0.0.0/8"));
        assert_eq!(parse("::1"), parse("::1/128"));
        for text in ["", "10.0.0.0/33", "10.0.0/8", "localhost", "10.0.0.0/", "::/129", "*"] {
            assert_eq!(parse(text), Err(NetworkError), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a51_no_form_of_a_refused_ipv4_address_may_be_reached(bits: u32, network in 0..SPECIAL_V4.len()) {
            // Any address of one of the ranges.
            let network = SPECIAL_V4[network];
            let inside = u32::from(network.network()) | u32::from(network.hostmask()) & bits;
            prop_assert!(!may_reach(Ipv4Addr::from(inside).into(), &[]));
            let inside = u128::from(inside);
            for prefix in [
                "::ffff:0:0", "::", "64:ff9b::", "64:ff9b:1::", "::ffff:0:0:0",
            ] {
                let prefix: Ipv6Addr = prefix.parse().unwrap();
                let address = Ipv6Addr::from(u128::from(prefix) | inside);
                prop_assert!(!may_reach(address.into(), &[]), "{address}");
            }
            for address in [0x2002 << 112 | inside << 80, 0x2001 << 112 | inside << 64, 0x2001 << 112 | !inside & 0xffff_ffff] {
                let address = Ipv6Addr::from(address);
                prop_assert!(!may_reach(address.into(), &[]), "{address}");
            }
        }

        #[test]
        fn mapped_addresses_are_judged_as_what_they_are(bits: u32) {
            let address = Ipv4Addr::from(bits);
            prop_assert_eq!(
                may_reach(address.into(), &[]),
                may_reach(address.to_ipv6_mapped().into(), &[])
            );
        }

        #[test]
        fn ranges_agree_with_the_standard_library(bits: u32) {
            let address = Ipv4Addr::from(bits);
            let special = address.is_private() || address.is_loopback() || address.is_link_local()
                || address.is_multicast() || address.is_broadcast() || address.is_documentation()
                || address.is_unspecified();
            prop_assert!(!special || !may_reach(address.into(), &[]));
        }
    }
}
