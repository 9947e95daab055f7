//! Every SCALE format keeps the rules of a decoder.

use frith_fuzz::{codec, harness};
use frith_ledger::address::Prefix;
use frith_ledger::block::{
    Batch, Block, BlockHeader, Claim, Flows, Instance, LeafEntry, LogPayload, Owed, Payload,
    Proposal, RootRecord, SignedBatch,
};
use frith_ledger::certificate::{
    AvailabilityCertificate, CommitProof, Committee, Member, QuorumCertificate, Timeout,
    TimeoutCertificate, Vote,
};
use frith_ledger::codec::decode;
use frith_ledger::entity::{
    Account, ENTITY_VERSION, Entity, Registration, Task, TaskOutcome, TaskSpec, Terms, Worker,
};
use frith_ledger::genesis::Genesis;
use frith_ledger::key::{PublicKey, Signature};
use frith_ledger::light::{CertifiedRoot, ENTITY_PROOF_BYTES_MAX, EntityProof, RootLink};
use frith_ledger::message::{Message, Outcome};
use frith_ledger::operation::{Action, Evidence, Operation, SignedOperation, WorkerOperation};
use frith_ledger::outbox::ListProof;
use frith_ledger::parameters::{
    BATCH_BYTES_MAX, ENTITY_BYTES_MAX, OPERATION_BYTES_MAX, Parameters,
};
use frith_ledger::tree::{
    DrawProof, FrontierItem, MultiProof, NodePrefix, PathProof, RangeProof, Summary,
};
use frith_ledger::vrf::{VrfProof, VrfPublic};

/// More than any value that random bytes make.
const MANY: usize = 1 << 20;

macro_rules! decoders {
    ($($name:ident: $type:ty, $bytes_max:expr;)*) => {$(
        #[test]
        fn $name() {
            harness!(|input: &[u8]| {
                codec::<$type, _>(input, $bytes_max, |bytes| decode(bytes, $bytes_max));
            });
        }
    )*};
}

decoders! {
    fuzz_operation: Operation, OPERATION_BYTES_MAX;
    fuzz_signed_operation: SignedOperation, OPERATION_BYTES_MAX;
    fuzz_worker_operation: WorkerOperation, OPERATION_BYTES_MAX;
    fuzz_action: Action, OPERATION_BYTES_MAX;
    fuzz_evidence: Evidence, OPERATION_BYTES_MAX;
    fuzz_message: Message, MANY;
    fuzz_outcome: Outcome, MANY;
    fuzz_account: Account, ENTITY_BYTES_MAX;
    fuzz_registration: Registration, ENTITY_BYTES_MAX;
    fuzz_worker: Worker, ENTITY_BYTES_MAX;
    fuzz_task: Task, ENTITY_BYTES_MAX;
    fuzz_task_spec: TaskSpec, ENTITY_BYTES_MAX;
    fuzz_task_outcome: TaskOutcome, ENTITY_BYTES_MAX;
    fuzz_terms: Terms, MANY;
    fuzz_instance: Instance, MANY;
    fuzz_block: Block, MANY;
    fuzz_block_header: BlockHeader, MANY;
    fuzz_proposal: Proposal, MANY;
    fuzz_payload: Payload, MANY;
    fuzz_log_payload: LogPayload, MANY;
    fuzz_owed: Owed, MANY;
    fuzz_flows: Flows, MANY;
    fuzz_claim: Claim, MANY;
    fuzz_leaf_entry: LeafEntry, MANY;
    fuzz_root_record: RootRecord, MANY;
    fuzz_batch: Batch, BATCH_BYTES_MAX;
    fuzz_signed_batch: SignedBatch, BATCH_BYTES_MAX;
    fuzz_member: Member, MANY;
    fuzz_committee: Committee, MANY;
    fuzz_vote: Vote, MANY;
    fuzz_timeout: Timeout, MANY;
    fuzz_quorum_certificate: QuorumCertificate, MANY;
    fuzz_timeout_certificate: TimeoutCertificate, MANY;
    fuzz_availability_certificate: AvailabilityCertificate, MANY;
    fuzz_commit_proof: CommitProof, MANY;
    fuzz_certified_root: CertifiedRoot, MANY;
    fuzz_root_link: RootLink, MANY;
    fuzz_entity_proof: EntityProof, ENTITY_PROOF_BYTES_MAX;
    fuzz_list_proof: ListProof, MANY;
    fuzz_path_proof: PathProof, MANY;
    fuzz_multi_proof: MultiProof, MANY;
    fuzz_range_proof: RangeProof, MANY;
    fuzz_draw_proof: DrawProof, MANY;
    fuzz_frontier_item: FrontierItem, MANY;
    fuzz_summary: Summary, MANY;
    fuzz_node_prefix: NodePrefix, MANY;
    fuzz_prefix: Prefix, MANY;
    fuzz_keys_and_signatures: (PublicKey, Signature, VrfPublic, VrfProof), MANY;
    fuzz_genesis: Genesis, MANY;
    fuzz_parameters: Parameters, MANY;
}

#[test]
fn fuzz_entity() {
    harness!(|input: &[u8]| {
        let versioned = |bytes: &[u8]| Entity::from_bytes(&[&[ENTITY_VERSION], bytes].concat());
        for entity in codec::<Entity, _>(input, ENTITY_BYTES_MAX - 1, versioned) {
            assert_eq!(Entity::from_bytes(&entity.to_bytes()).as_ref(), Ok(&entity));
            if let Ok(leaf) = entity.leaf() {
                assert!(
                    leaf.stake <= leaf.credits,
                    "stake is a part of what is held"
                );
            }
        }
        if let Ok(entity) = Entity::from_bytes(input) {
            assert_eq!(entity.to_bytes(), input);
        }
    });
}
