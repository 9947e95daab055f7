//! Hellos: who says them, how they are judged, what follows.
//!
//! 1. Who dialled opens a stream of each class in turn, the consensus one first, and says hello on
//!    it.
//! 2. The other end judges: version, network, ban; on the first stream also whether the connection
//!    is a *duplicate*: one between the same two processes is in use already, or this node dialled
//!    the peer itself and has the smaller key. So of a simultaneous dial the one by the smaller key
//!    stays, whichever end judges first.
//! 3. After the first hello the connection counts. The peer's first connection makes it
//!    `Connected`.
//! 4. A hello with another *instance* than that of a connection in use comes from a restarted
//!    process or from a twin. The new process takes the old one's place (`Disconnected`,
//!    `Connected`), and the old connection is challenged by a probe: a stream whose hello asks for
//!    the answer alone. An answer proves a twin; without one the old connection is closed.
//! 5. A duplicate has the connection in use challenged too, so that one that is dead does not keep
//!    a living one out.

use std::sync::Arc;

use libp2p::Stream;
use libp2p::swarm::ConnectionId;
use tokio::sync::{mpsc, oneshot};

use super::commands::Report;
use super::connection::Stage;
use super::run::Driver;
use crate::event::NetworkEvent;
use crate::key::PeerKey;
use crate::links::Protocol;
use crate::peer::{GreetError, Peer, StreamEnd, accept, greet, read_frames, write_frames};
use crate::shared::lock;
use crate::wire::{CLASS_PROBE, Hello, PROTOCOL_VERSION, Priority, Refusal};

/// What one breach of the protocol weighs.
const FAULT_WEIGHT: u32 = 50;

impl Driver {
    /// Says hello on a connection that this node dialled, class by class.
    pub(super) fn start_greeting(&mut self, id: ConnectionId) {
        let (first, first_reply) = oneshot::channel();
        let Some(key) = self.connections.get(&id).map(|connection| connection.peer) else {
            return;
        };
        self.swarm
            .behaviour_mut()
            .links
            .open(key.to_peer_id(), id, Protocol::Peer, first);
        self.greet_class(id, Priority::Consensus, first_reply);
    }

    fn open_class(&mut self, id: ConnectionId, class: Priority) {
        let Some(key) = self.connections.get(&id).map(|connection| connection.peer) else {
            return;
        };
        let (reply, stream) = oneshot::channel();
        self.swarm
            .behaviour_mut()
            .links
            .open(key.to_peer_id(), id, Protocol::Peer, reply);
        self.greet_class(id, class, stream);
    }

    fn greet_class(
        &mut self,
        id: ConnectionId,
        class: Priority,
        opened: oneshot::Receiver<OpenResult>,
    ) {
        let reports = self.reports.clone();
        let timeout = self.shared.limits.hello_timeout;
        let hello = Hello::new(self.shared.network_id, self.shared.instance, class as u8);
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        connection.run(async move {
            let report = match open(opened).await {
                Err(error) => Report::NotGreeted {
                    connection: id,
                    error,
                },
                Ok(mut stream) => match greet(&mut stream, hello, timeout).await {
                    Ok(hello) => Report::Greeted {
                        connection: id,
                        hello,
                        class,
                        stream,
                    },
                    Err(error) => Report::NotGreeted {
                        connection: id,
                        error,
                    },
                },
            };
            report_to(&reports, report).await;
        });
    }

    /// Waits for the hello on a stream that the peer opened.
    pub(super) fn accept_greeting(&mut self, id: ConnectionId, mut stream: Stream) {
        let reports = self.reports.clone();
        let timeout = self.shared.limits.hello_timeout;
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        connection.run(async move {
            let judge = |hello| {
                let reports = reports.clone();
                async move {
                    let (answer, verdict) = oneshot::channel();
                    report_to(
                        &reports,
                        Report::Judge {
                            connection: id,
                            hello,
                            answer,
                        },
                    )
                    .await;
                    verdict.await.unwrap_or(Err(Refusal::Duplicate))
                }
            };
            let report = match accept(&mut stream, timeout, judge).await {
                Ok(Some(hello)) => match hello.priority() {
                    Some(class) => Report::Greeted {
                        connection: id,
                        hello,
                        class,
                        stream,
                    },
                    // A probe has its answer.
                    None => return,
                },
                Ok(None) => return,
                Err(error) => Report::NotGreeted {
                    connection: id,
                    error,
                },
            };
            report_to(&reports, report).await;
        });
    }

    pub(super) fn on_report(&mut self, report: Report) {
        match report {
            Report::Judge {
                connection,
                hello,
                answer,
            } => {
                let verdict = self.judge(connection, &hello);
                if let Err(refusal) = &verdict {
                    self.on_refused(connection, refusal.clone(), false);
                }
                let own = Hello::new(self.shared.network_id, self.shared.instance, hello.class);
                // The task is gone only if its connection is.
                let _ = answer.send(verdict.map(|()| own));
            }
            Report::Greeted {
                connection,
                hello,
                class,
                stream,
            } => self.on_greeted(connection, &hello, class, stream),
            Report::NotGreeted { connection, error } => self.on_not_greeted(connection, error),
            Report::Ended { connection, end } => self.on_ended(connection, end),
            Report::Challenged {
                connection,
                instance,
            } => self.on_challenged(connection, instance),
        }
    }

    fn judge(&mut self, id: ConnectionId, hello: &Hello) -> Result<(), Refusal> {
        let connection = self.connections.get(&id).ok_or(Refusal::Duplicate)?;
        let (key, stage) = (connection.peer, connection.stage);
        let now = self.shared.now();
        if hello.version != PROTOCOL_VERSION {
            return Err(Refusal::Version {
                version: PROTOCOL_VERSION,
            });
        }
        if hello.network_id != self.shared.network_id {
            return Err(Refusal::WrongNetwork {
                network_id: self.shared.network_id,
            });
        }
        if lock(&self.shared.standing).is_banned(now, &key) {
            return Err(Refusal::Banned);
        }
        if hello.class == CLASS_PROBE {
            return Ok(());
        }
        let wrong = Refusal::Class { class: hello.class };
        let class = hello.priority().ok_or_else(|| wrong.clone())?;
        match stage {
            // Only who dialled opens streams of the classes, so each comes once and the first is
            // consensus.
            _ if connection.is_outbound() || connection.classes[class.index()] => Err(wrong),
            Stage::Greeting if class != Priority::Consensus => Err(wrong),
            Stage::Greeting if self.is_duplicate(key, hello.instance) => {
                for other in self.greeted.get(&key).cloned().into_iter().flatten() {
                    self.challenge(other);
                }
                Err(Refusal::Duplicate)
            }
            Stage::Greeting => {
                self.take_class(id, class);
                self.on_first_hello(id, key, hello.instance);
                Ok(())
            }
            Stage::Greeted { instance } if instance == hello.instance => {
                self.take_class(id, class);
                Ok(())
            }
            Stage::Greeted { .. } | Stage::Surplus { .. } => Err(wrong),
        }
    }

    fn take_class(&mut self, id: ConnectionId, class: Priority) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.classes[class.index()] = true;
        }
    }

    fn is_duplicate(&self, key: PeerKey, instance: [u8; 16]) -> bool {
        let own_dial_wins = self.shared.key < key;
        self.connections
            .values()
            .filter(|connection| connection.peer == key)
            .any(|connection| match connection.stage {
                Stage::Greeted { instance: other } => other == instance,
                Stage::Greeting => own_dial_wins && connection.is_outbound(),
                Stage::Surplus { .. } => false,
            })
    }

    /// The connection is of this network: it counts from now on.
    fn on_first_hello(&mut self, id: ConnectionId, key: PeerKey, instance: [u8; 16]) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        connection.stage = Stage::Greeted { instance };
        let early = std::mem::take(&mut connection.early);
        let link = connection.link.clone();
        if connection.is_outbound() {
            self.book.proven(key, &link.address);
        }

        self.greeted.entry(key).or_default().insert(id);
        let others = self.others_of(key, instance);
        let replaced = !others.is_empty();
        for other in others {
            self.challenge(other);
        }
        if replaced {
            self.tell(NetworkEvent::Disconnected(key));
        }
        match self.shared.peer(&key).filter(|_| !replaced) {
            Some(peer) => peer.add_link(id, link),
            None => {
                tracing::info!(peer = %key, address = %link.address, direction = ?link.direction, "connected");
                let peer = Arc::new(Peer::new(key, self.members.contains(&key), &self.shared));
                peer.add_link(id, link);
                peer.set_route(id);
                lock(&self.shared.peers).insert(key, peer.clone());
                self.tell_connected(peer);
            }
        }
        self.bootstrap.met(key);
        self.revisits.met(&key);
        self.reach.connected(self.shared.now(), key);
        for reply in self.waiters.remove(&key).into_iter().flatten() {
            self.open_fetch(key, id, reply);
        }
        for stream in early {
            self.serve_fetch(id, stream);
        }
        self.learn_addresses(id);
    }

    /// Greeted connections of this key to a process with another instance.
    fn others_of(&self, key: PeerKey, instance: [u8; 16]) -> Vec<ConnectionId> {
        let is_other =
            |stage| matches!(stage, Stage::Greeted { instance: other } if other != instance);
        let of_key = self
            .connections
            .iter()
            .filter(|(_, connection)| connection.peer == key);
        of_key
            .filter(|(_, connection)| is_other(connection.stage))
            .map(|(id, _)| *id)
            .collect()
    }

    fn on_greeted(&mut self, id: ConnectionId, hello: &Hello, class: Priority, stream: Stream) {
        let Some(connection) = self.connections.get(&id) else {
            return;
        };
        let key = connection.peer;
        if connection.is_outbound() {
            // The peer accepted our hello; its answer is judged as strictly.
            let refusal = if hello.version != PROTOCOL_VERSION {
                Some(Refusal::Version {
                    version: PROTOCOL_VERSION,
                })
            } else if hello.network_id != self.shared.network_id {
                Some(Refusal::WrongNetwork {
                    network_id: self.shared.network_id,
                })
            } else {
                None
            };
            if let Some(refusal) = refusal {
                self.on_refused(id, refusal, false);
                return;
            }
            match (connection.stage, class) {
                (Stage::Greeting, Priority::Consensus) => {
                    self.on_first_hello(id, key, hello.instance);
                    self.open_class(id, Priority::Control);
                    self.open_class(id, Priority::Bulk);
                }
                (Stage::Greeted { instance }, _) if instance == hello.instance => {}
                _ => return,
            }
        }
        self.attach(id, class, stream);
    }

    /// Starts the reader and the writer of a stream.
    fn attach(&mut self, id: ConnectionId, class: Priority, stream: Stream) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        let Some(peer) = self.shared.peer(&connection.peer) else {
            return;
        };
        let (read, write) = futures::AsyncReadExt::split(stream);
        let reader = read_frames(
            self.shared.clone(),
            peer.clone(),
            self.events.clone(),
            class,
            read,
        );
        let writer = write_frames(self.shared.clone(), peer, id, class, write);
        let started = connection.run(report_end(reader, id, self.reports.clone()))
            && connection.run(report_end(writer, id, self.reports.clone()));
        if !started {
            self.swarm.close_connection(id);
        }
    }

    fn on_not_greeted(&mut self, id: ConnectionId, error: GreetError) {
        tracing::debug!(%error, "no greeting");
        match error {
            GreetError::Refused(refusal) => self.on_refused(id, refusal, true),
            GreetError::Wire(error) => self.on_ended(id, StreamEnd::Fault(error.into())),
            GreetError::Io(_) | GreetError::Timeout => {
                self.swarm.close_connection(id);
            }
        }
    }

    fn on_refused(&mut self, id: ConnectionId, reason: Refusal, by_peer: bool) {
        let Some(connection) = self.connections.get(&id) else {
            return;
        };
        let (key, address, stage) = (
            connection.peer,
            connection.link.address.clone(),
            connection.stage,
        );
        if matches!(stage, Stage::Greeting) {
            // Closed at once the peer might not read why; a refusal *by* the peer has been read.
            self.spare(id);
        } else {
            self.swarm.close_connection(id);
        }
        if reason == Refusal::Duplicate {
            return;
        }
        if matches!(reason, Refusal::WrongNetwork { .. }) {
            self.forget_addresses(key);
        }
        self.shared.counters.hellos_refused.add(1);
        tracing::warn!(peer = %key, %address, by_peer, %reason, "hello refused");
        self.tell(NetworkEvent::Refused {
            peer: key,
            address,
            reason,
            by_peer,
        });
    }

    fn on_ended(&mut self, id: ConnectionId, end: StreamEnd) {
        let Some(connection) = self.connections.get(&id) else {
            return;
        };
        let peer = connection.peer;
        if let StreamEnd::Fault(fault) = end {
            tracing::warn!(%peer, %fault, "broke the protocol");
            self.shared.counters.violations.add(1);
            self.shared.penalise(peer, FAULT_WEIGHT);
            self.tell(NetworkEvent::Misbehaved { peer, fault });
        }
        // A connection without one of its streams is of no use.
        self.swarm.close_connection(id);
    }

    /// Asks whether the process at the other end of a connection still lives.
    fn challenge(&mut self, id: ConnectionId) {
        let reports = self.reports.clone();
        let timeout = self.shared.limits.hello_timeout;
        let hello = Hello::new(self.shared.network_id, self.shared.instance, CLASS_PROBE);
        let Some(connection) = self
            .connections
            .get_mut(&id)
            .filter(|connection| !connection.challenged)
        else {
            return;
        };
        connection.challenged = true;
        let (reply, opened) = oneshot::channel();
        self.swarm.behaviour_mut().links.open(
            connection.peer.to_peer_id(),
            id,
            Protocol::Peer,
            reply,
        );
        connection.run(async move {
            let answer = tokio::time::timeout(timeout, async {
                let mut stream = open(opened).await?;
                greet(&mut stream, hello, timeout).await
            });
            let instance = match answer.await {
                Ok(Ok(hello)) => Some(hello.instance),
                _ => None,
            };
            report_to(
                &reports,
                Report::Challenged {
                    connection: id,
                    instance,
                },
            )
            .await;
        });
    }

    fn on_challenged(&mut self, id: ConnectionId, answered: Option<[u8; 16]>) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        connection.challenged = false;
        let (key, stage) = (connection.peer, connection.stage);
        let Stage::Greeted { instance } = stage else {
            return;
        };
        if answered != Some(instance) {
            tracing::debug!(peer = %key, "an old connection does not answer");
            self.swarm.close_connection(id);
        } else if !self.others_of(key, instance).is_empty() {
            tracing::error!(peer = %key, "two living processes hold one key");
            self.tell(NetworkEvent::Twin(key));
        }
    }
}

type OpenResult = Result<Stream, crate::links::OpenError>;

async fn open(opened: oneshot::Receiver<OpenResult>) -> Result<Stream, GreetError> {
    let closed = std::io::ErrorKind::ConnectionReset;
    opened
        .await
        .map_err(|_| std::io::Error::from(closed))?
        .map_err(|error| std::io::Error::other(error).into())
}

async fn report_to(reports: &mpsc::Sender<Report>, report: Report) {
    // The driver is gone only if the network is.
    let _ = reports.send(report).await;
}

async fn report_end(
    stream: impl Future<Output = StreamEnd>,
    connection: ConnectionId,
    reports: mpsc::Sender<Report>,
) {
    let end = stream.await;
    report_to(&reports, Report::Ended { connection, end }).await;
}
