//! Local limits: what this node grants its peers. None of them is agreed on, every node may choose
//! its own.

use std::time::Duration;

/// A sustained rate. Twice a second's worth may come at once; what is above waits in the sender's
/// own buffers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Payload bytes per second.
    pub bytes_per_s: u64,
    /// Frames (or fetch requests) per second.
    pub messages_per_s: u64,
}

impl Rate {
    /// A rate of so many bytes and messages a second.
    #[must_use]
    pub const fn new(bytes_per_s: u64, messages_per_s: u64) -> Self {
        Self {
            bytes_per_s,
            messages_per_s,
        }
    }
}

/// What one peer may send, per class. The classes do not share, so that bulk never starves
/// consensus.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerBudget {
    /// Consensus frames.
    pub consensus: Rate,
    /// Control frames.
    pub control: Rate,
    /// Bulk frames.
    pub bulk: Rate,
    /// Fetches it makes from us: messages are requests, bytes are what we answer.
    pub fetch: Rate,
}

/// Every bound of this crate that is a choice. [`Limits::default`] is for a node with 64 MiB to
/// spare; the reasons for the values are given beside them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Longest frame, in bytes, sent or accepted (4 MiB: a block of 1 MiB with its proofs, with
    /// room). A peer that announces a longer one is cut off before anything is allocated.
    pub frame_bytes_max: u32,
    /// Bytes that wait per peer and priority (8 MiB: two of the longest frames).
    pub queue_bytes_max: usize,
    /// Frames that wait per peer and priority (4096), so that empty frames are bounded too.
    pub queue_frames_max: usize,
    /// Events that wait for the node (128). Full means that nothing more is read from sockets. With
    /// frames of the longest kind it bounds what waits to 128 times `frame_bytes_max`.
    pub events_max: usize,
    /// Bytes of frames being received at one time from all members (64 MiB), and again from all
    /// unknown peers a quarter of that.
    pub inbound_bytes_max: u32,
    /// Established connections that others opened (128). Members are not counted.
    pub connections_in_max: u32,
    /// Established connections that we opened (128). Members are not counted.
    pub connections_out_max: u32,
    /// Connections of one peer (4): two of a simultaneous dial, and room for a restarted process
    /// whose old connection has not timed out.
    pub connections_per_peer_max: u32,
    /// Connections whose handshake is under way, each direction (128).
    pub connections_pending_max: u32,
    /// Of those that others opened, most from one address of IPv4 or one /64 of IPv6 (16): who opens connections and
    /// says nothing must not keep everybody else out.
    pub half_open_per_source_max: u32,
    /// Connections to peers that are no members which are kept although nothing is exchanged (8),
    /// so that a node without neighbours stays findable.
    pub connections_idle_kept: usize,
    /// After this long without a frame or a fetch a peer that is no member is disconnected (120 s).
    pub idle_max: Duration,
    /// Resident bytes of this process above which it has connections with members only (448 MiB: a node fits 512).
    pub memory_bytes_max: usize,
    /// Bytes that wait for all unknown peers together (64 MiB). Beyond it the one with the most, the slowest reader, is
    /// disconnected.
    pub unknown_queue_bytes_max: usize,
    /// What each member may send.
    pub member: PeerBudget,
    /// What each unknown peer may send.
    pub unknown: PeerBudget,
    /// What all unknown peers together may send, so that many identities are worth no more than a
    /// few.
    pub unknown_total: Rate,
    /// Longest fetch request, in bytes (64 KiB).
    pub fetch_request_bytes_max: u32,
    /// Longest fetch response, in bytes (20 MiB: content of 16 MiB and its proof).
    pub fetch_response_bytes_max: u32,
    /// Fetches that we make at one time (64); more wait their turn.
    pub fetch_concurrent_max: usize,
    /// Fetches that we serve at one time per peer (8). One more is answered "busy".
    pub fetch_served_per_peer_max: usize,
    /// Fetches that we serve at one time in all (64).
    pub fetch_served_max: usize,
    /// A fetch that has not ended after this long fails (30 s).
    pub fetch_timeout: Duration,
    /// A handshake must have ended after this long, and hellos been exchanged after as long again (10 s).
    pub hello_timeout: Duration,
    /// A frame must have arrived this long after its header (60 s), or its peer is cut off.
    pub frame_timeout: Duration,
    /// First pause before a member is dialled again (500 ms). It doubles, with jitter.
    pub redial_min: Duration,
    /// Longest pause before a member is dialled again (30 s).
    pub redial_max: Duration,
    /// Between two pings of a connection (20 s).
    pub ping_interval: Duration,
    /// Between two refreshes of the routing table (5 min).
    pub bootstrap_interval: Duration,
    /// Weight of penalties at which a peer is banned (100). It falls by one a second.
    pub penalty_max: u32,
    /// How long a ban lasts (10 min).
    pub ban: Duration,
    /// Keys that this node may announce (256).
    pub announced_max: usize,
    /// Members that may be set (1024); more are ignored, highest keys first.
    pub members_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        const MIB: u64 = 1 << 20;
        Self {
            frame_bytes_max: 4 << 20,
            queue_bytes_max: 8 << 20,
            queue_frames_max: 4096,
            events_max: 128,
            inbound_bytes_max: 64 << 20,
            connections_in_max: 128,
            connections_out_max: 128,
            connections_per_peer_max: 4,
            connections_pending_max: 128,
            half_open_per_source_max: 16,
            connections_idle_kept: 8,
            idle_max: Duration::from_secs(120),
            memory_bytes_max: 448 << 20,
            unknown_queue_bytes_max: 64 << 20,
            member: PeerBudget {
                consensus: Rate::new(16 * MIB, 4000),
                control: Rate::new(16 * MIB, 4000),
                bulk: Rate::new(32 * MIB, 4000),
                fetch: Rate::new(32 * MIB, 500),
            },
            unknown: PeerBudget {
                consensus: Rate::new(MIB, 100),
                control: Rate::new(MIB, 100),
                bulk: Rate::new(MIB, 100),
                fetch: Rate::new(2 * MIB, 50),
            },
            unknown_total: Rate::new(8 * MIB, 1000),
            fetch_request_bytes_max: 64 << 10,
            fetch_response_bytes_max: 20 << 20,
            fetch_concurrent_max: 64,
            fetch_served_per_peer_max: 8,
            fetch_served_max: 64,
            fetch_timeout: Duration::from_secs(30),
            hello_timeout: Duration::from_secs(10),
            frame_timeout: Duration::from_secs(60),
            redial_min: Duration::from_millis(500),
            redial_max: Duration::from_secs(30),
            ping_interval: Duration::from_secs(20),
            bootstrap_interval: Duration::from_secs(300),
            penalty_max: 100,
            ban: Duration::from_secs(600),
            announced_max: 256,
            members_max: 1024,
        }
    }
}
