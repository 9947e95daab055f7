//! A small network whose proofs and certificates the harnesses damage.

use std::sync::LazyLock;

use frith_ledger::address::{Address, Prefix};
use frith_ledger::block::{
    BlockHeader, ChainKind, Flows, Instance, Payload, RootPayload, RootRecord,
};
use frith_ledger::certificate::{CommitProof, Committee, QuorumCertificate, Vote};
use frith_ledger::codec::BoundedVec;
use frith_ledger::credits::Credits;
use frith_ledger::entity::Terms;
use frith_ledger::genesis::{Genesis, GenesisAccount, GenesisWorker};
use frith_ledger::hash::Hash;
use frith_ledger::key::SecretKey;
use frith_ledger::light::{CertifiedRoot, EntityProof};
use frith_ledger::parameters::Parameters;
use frith_ledger::tree::Version;
use frith_ledger::units::{Epoch, Generation, Height, UnixMillis, View};
use frith_ledger::vrf::{VrfProof, VrfSecret};

/// Made once: keys and certificates cost more than a harness's whole run.
pub(crate) static WORLD: LazyLock<World> = LazyLock::new(World::new);

/// Four workers, twenty accounts, and the record of epoch 0.
pub(crate) struct World {
    pub(crate) genesis: Genesis,
    pub(crate) hash: Hash,
    pub(crate) state: Version,
    pub(crate) committee: Committee,
    pub(crate) instance: Instance,
    pub(crate) keys: Vec<SecretKey>,
    pub(crate) root: CertifiedRoot,
}

impl World {
    fn new() -> Self {
        let secrets: Vec<SecretKey> = (1..=4).map(|i| SecretKey::from_bytes(&[i; 32])).collect();
        let worker = |key: &SecretKey| GenesisWorker {
            key: key.public().0,
            vrf: VrfSecret::from_seed(&key.to_bytes()).public().0,
            account: Address([200; 32]),
            stake: Credits::whole(100),
            collateral: Credits::whole(10),
            terms: Terms {
                engines: 3,
                price: Credits::new(5),
                slots: 2,
            },
        };
        let genesis = Genesis {
            name: "fuzz".to_owned(),
            time_ms: 1,
            beacon: [3; 32],
            parameters: Parameters::test(),
            accounts: (0..20)
                .map(|i| GenesisAccount {
                    address: Address([i * 12; 32]),
                    balance: Credits::whole(9),
                })
                .collect(),
            workers: secrets.iter().map(worker).collect(),
        };
        let (hash, state) = (genesis.hash(), genesis.state().expect("small sums"));
        let committee = genesis.committee().expect("small sums");
        let by_seat = |index: usize| {
            let key = &committee.members()[index].key;
            secrets
                .iter()
                .find(|secret| secret.public() == *key)
                .cloned()
                .expect("a member's")
        };
        let keys: Vec<SecretKey> = (0..4).map(by_seat).collect();
        let instance = Instance {
            kind: ChainKind::Root,
            prefix: Prefix::ROOT,
            generation: Generation::ZERO,
            epoch: Epoch::ZERO,
            committee: committee.hash(),
        };
        let root = certified(&hash, &state, &committee, instance, &keys);
        Self {
            genesis,
            hash,
            state,
            committee,
            instance,
            keys,
            root,
        }
    }

    /// A certificate of all four members for `block` in `view`.
    pub(crate) fn certificate(&self, view: View, block: Hash) -> QuorumCertificate {
        certify(
            &self.hash,
            &self.committee,
            self.instance,
            &self.keys,
            view,
            block,
        )
    }

    /// The proof of what stands at `address`, from the genesis on.
    pub(crate) fn prove(&self, address: &Address) -> EntityProof {
        EntityProof {
            links: BoundedVec::new(),
            root: self.root.clone(),
            path: self.state.prove(address),
            entity: self.state.get(address).map(|leaf| leaf.bytes.to_vec()),
        }
    }
}

fn certify(
    genesis: &Hash,
    committee: &Committee,
    instance: Instance,
    keys: &[SecretKey],
    view: View,
    block: Hash,
) -> QuorumCertificate {
    let vote = |(member, key): (u16, &SecretKey)| {
        let known = vec![Hash([8; 32])]
            .try_into()
            .expect("one is below the bound");
        Vote::sign(instance, view, block, member, known, genesis, key)
    };
    let votes: Vec<Vote> = (0..).zip(keys).map(vote).collect();
    QuorumCertificate::from_votes(committee, &votes).expect("four of four are a quorum")
}

fn certified(
    genesis: &Hash,
    state: &Version,
    committee: &Committee,
    instance: Instance,
    keys: &[SecretKey],
) -> CertifiedRoot {
    let record = RootRecord {
        epoch: Epoch::ZERO,
        previous: *genesis,
        state: state.summary(),
        flows: Flows::default(),
        leaves: BoundedVec::new(),
        time: UnixMillis::new(1),
        view: View::new(1),
        vrf: VrfProof([0; 80]),
        beacon: Hash([4; 32]),
        next_committee: None,
    };
    let payload = Payload::Root(Box::new(RootPayload {
        record,
        proofs: BoundedVec::new(),
    }));
    let header = BlockHeader {
        instance,
        height: Height::new(1),
        view: View::new(1),
        parent: *genesis,
        grounds: Hash::ZERO,
        proposer: 0,
        payload: payload.hash(),
        state: state.summary(),
    };
    let child = BlockHeader {
        height: Height::new(2),
        view: View::new(2),
        parent: header.id(),
        payload: Payload::Empty.hash(),
        ..header.clone()
    };
    let certificate = certify(genesis, committee, instance, keys, View::new(2), child.id());
    CertifiedRoot {
        payload,
        proof: CommitProof {
            header,
            child,
            certificate,
        },
    }
}
