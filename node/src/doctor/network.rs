//! Ports of this machine, and the node that answers.

use super::check::Check;
use crate::client::NodeClient;
use crate::config::Settings;
use crate::views::ReachedView;
use serde_json::json;
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};

/// Whether the node could listen where its settings say. `running`: one does already, so its ports are taken.
#[must_use]
pub fn ports(settings: &Settings, running: bool) -> Check {
    const NAME: &str = "ports";
    if running {
        return Check::ok(NAME, "held by the node that runs").with(json!({"tried": 0}));
    }
    let mut wrong = Vec::new();
    let mut wanted: Vec<(String, Option<(bool, SocketAddr)>)> = settings
        .listen
        .iter()
        .map(|text| (text.clone(), endpoint(text)))
        .collect();
    wanted.push((format!("API {}", settings.api), Some((true, settings.api))));
    for (text, endpoint) in &wanted {
        let tried = match endpoint {
            Some((true, address)) => TcpListener::bind(address).map(drop),
            Some((false, address)) => UdpSocket::bind(address).map(drop),
            None => Err(std::io::Error::other(
                "not of the form /ip4/…/tcp/… or /ip6/…/udp/…/quic-v1",
            )),
        };
        if let Err(error) = tried {
            wrong.push((text.as_str(), error));
        }
    }
    let figures = json!({"tried": wanted.len(), "failed": wrong.len()});
    // Where the system has no IPv6, the other family still serves.
    let serious = wrong
        .iter()
        .any(|(text, error)| !(text.contains("/ip6/") && no_family(error)));
    let words: Vec<String> = wrong
        .iter()
        .map(|(text, error)| format!("{text}: {error}"))
        .collect();
    let check = match words.as_slice() {
        [] => Check::ok(
            NAME,
            format!("{} addresses can be listened on", wanted.len()),
        ),
        words if serious => Check::fail(
            NAME,
            words.join("; "),
            "stop what uses them, or choose others: listen and api in config.toml",
        ),
        words => Check::warn(
            NAME,
            words.join("; "),
            "this system has no IPv6: take those addresses out of listen",
        ),
    };
    check.with(figures)
}

fn no_family(error: &std::io::Error) -> bool {
    // EAFNOSUPPORT or EADDRNOTAVAIL.
    matches!(error.raw_os_error(), Some(97 | 99))
}

/// The address in a multiaddress of the two forms that nodes listen on; `true` for TCP.
pub(super) fn endpoint(text: &str) -> Option<(bool, SocketAddr)> {
    let mut parts = text.strip_prefix('/')?.split('/');
    let family = parts.next()?;
    let ip: IpAddr = parts.next()?.parse().ok()?;
    if (family == "ip4") != ip.is_ipv4() || !matches!(family, "ip4" | "ip6") {
        return None;
    }
    let tcp = match parts.next()? {
        "tcp" => true,
        "udp" => false,
        _ => return None,
    };
    Some((tcp, SocketAddr::new(ip, parts.next()?.parse().ok()?)))
}

/// Whether others reach the node: those that are connected because they opened the connection show it. Nobody is asked to
/// dial it, so what none of them shows is a warning and no failure.
#[must_use]
pub fn reached(peers: u64, reached: &ReachedView) -> Check {
    const NAME: &str = "reached";
    let ReachedView {
        by_peers,
        from_outside,
    } = *reached;
    let advice = "let its port through the firewall and the router, and name its public address in external; then look again \
        when others have started";
    let figures = json!({"peers": peers, "by_peers": by_peers, "from_outside": from_outside});
    let check = match (peers, by_peers, from_outside) {
        (_, _, 1..) => Check::ok(
            NAME,
            format!("{from_outside} of {peers} peers came to it from outside"),
        ),
        (0, _, _) => Check::warn(
            NAME,
            "no peer is connected, so nothing shows whether others reach it",
            advice,
        ),
        (peers, 0, _) => Check::warn(
            NAME,
            format!(
                "it opened all connections to its {peers} peers itself: nothing shows that others reach it"
            ),
            advice,
        ),
        (peers, near, _) => Check::warn(
            NAME,
            format!(
                "{near} of {peers} peers came to it, all from this machine or a private network"
            ),
            advice,
        ),
    };
    check.with(figures)
}

/// The node that answers at the API: ready or why not, its version, its warnings; whether others reach it. And its time of
/// day.
#[must_use]
pub fn node(client: &NodeClient) -> (Vec<Check>, Option<u64>) {
    const NAME: &str = "node";
    let status = match client.status() {
        Ok(status) => status,
        Err(error) => {
            let advice = error.advice.clone().unwrap_or_default();
            return (vec![Check::warn(NAME, error, advice)], None);
        }
    };
    let time = client.date().ok().flatten();
    let figures = json!({
        "version": status.version, "ready": status.readiness.ready, "peers": status.peers,
        "members": status.members, "members_seen": status.members_seen, "epoch": status.epoch,
    });
    let found = format!(
        "{}, frith {}, sees {} of {} members, epoch {}",
        client.base(),
        status.version,
        status.members_seen,
        status.members,
        status.epoch
    );
    let check = if let Some(reason) = &status.halted {
        Check::fail(
            NAME,
            format!("{found}; it has stopped voting: {reason}"),
            "mend what it names and start it again",
        )
    } else if !status.readiness.ready {
        Check::fail(
            NAME,
            format!(
                "{found}; not ready: {}",
                status.readiness.reasons.join("; ")
            ),
            "docs/operators.md says what each reason means",
        )
    } else if status.version != env!("CARGO_PKG_VERSION") {
        Check::warn(
            NAME,
            format!("{found}; this program is {}", env!("CARGO_PKG_VERSION")),
            "use one version of both",
        )
    } else {
        Check::ok(NAME, found)
    };
    let mut checks = vec![check.with(figures)];
    checks.extend(
        status
            .reached
            .as_ref()
            .map(|who| reached(status.peers, who)),
    );
    (checks, time)
}

#[cfg(test)]
mod tests {
    use super::super::check::State;
    use super::*;
    use crate::config::Partial;

    #[test]
    fn endpoints_of_multiaddresses_are_read() {
        for (text, expected) in [
            ("/ip4/127.0.0.1/tcp/4200", Some((true, "127.0.0.1:4200"))),
            ("/ip6/::1/udp/4200/quic-v1", Some((false, "[::1]:4200"))),
            ("/ip4/::1/tcp/4200", None),
            ("/ip4/127.0.0.1/sctp/4200", None),
            ("/dns4/a.example/tcp/4200", None),
            ("", None),
        ] {
            let expected =
                expected.map(|(tcp, address)| (tcp, address.parse().expect("an address")));
            assert_eq!(endpoint(text), expected, "{text}");
        }
    }

    #[test]
    fn only_a_peer_that_came_from_outside_shows_that_others_reach_the_node() {
        for (peers, by_peers, from_outside, state, said) in [
            (3, 2, 1, State::Ok, "from outside"),
            (3, 2, 0, State::Warn, "private network"),
            (3, 0, 0, State::Warn, "opened all connections"),
            (0, 0, 0, State::Warn, "no peer"),
        ] {
            let who = ReachedView {
                by_peers,
                from_outside,
            };
            let check = reached(peers, &who);
            assert_eq!(check.state, state, "{check:?}");
            assert!(check.found.contains(said), "{check:?}");
        }
    }

    #[test]
    fn a_taken_port_is_named() {
        let taken = TcpListener::bind("127.0.0.1:0").expect("binds");
        let port = taken.local_addr().expect("is bound").port();
        let layer = Partial {
            listen: Some(vec![format!("/ip4/127.0.0.1/tcp/{port}")]),
            api: Some(SocketAddr::from(([127, 0, 0, 1], 0))),
            ..Partial::default()
        };
        let settings =
            Settings::resolve(layer, Partial::default(), Partial::default()).expect("is valid");
        let check = ports(&settings, false);
        assert_eq!(check.state, State::Fail);
        assert!(check.found.contains(&port.to_string()), "{}", check.found);
        drop(taken);
        assert_eq!(ports(&settings, false).state, State::Ok);
    }
}
