//! Fuzz harnesses of what nodes say to one another and of what a node keeps on its disk.

use frith_fuzz::{codec, harness, mutate, value};
use frith_ledger::block::{Block, ChainKind, Proposal, SignedBatch};
use frith_ledger::certificate::{AvailabilityCertificate, Committee};
use frith_ledger::codec::decode;
use frith_ledger::hash::Hash;
use frith_ledger::light::CertifiedRoot;
use frith_ledger::store::{MemoryStore, Store, Table, Write};
use frith_ledger::units::{Epoch, Height, View};
use frith_neighbourhood::consensus::{
    ConsensusMessage, Proven, Report, ReportRequest, SafetyRecord,
};
use frith_neighbourhood::history::BlockNotes;
use frith_neighbourhood::log::LogMessage;
use frith_neighbourhood::persist::{self, ChainEntry, Closing, Ended, HeldMark, Tail};
use frith_neighbourhood::wire::{
    Ack, Answer, CertifiedBlocks, Checkpoint, Hello, MESSAGE_BYTES_MAX, PeerMessage, Request,
    Response, Status,
};

const VALUE_BYTES_MAX: usize = 64 * 1024 * 1024;

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
    fuzz_consensus_message: ConsensusMessage, MESSAGE_BYTES_MAX;
    fuzz_proven: Proven, MESSAGE_BYTES_MAX;
    fuzz_report: Report, MESSAGE_BYTES_MAX;
    fuzz_report_request: ReportRequest, MESSAGE_BYTES_MAX;
    fuzz_hello_and_answer: (Hello, Answer), MESSAGE_BYTES_MAX;
    fuzz_status_and_ack: (Status, Ack), MESSAGE_BYTES_MAX;
    fuzz_request: Request, MESSAGE_BYTES_MAX;
    fuzz_response: Response, MESSAGE_BYTES_MAX;
    fuzz_certified_blocks: CertifiedBlocks, MESSAGE_BYTES_MAX;
    fuzz_checkpoint: Checkpoint, MESSAGE_BYTES_MAX;
    fuzz_safety_record: SafetyRecord, VALUE_BYTES_MAX;
    fuzz_chain_entry: ChainEntry, VALUE_BYTES_MAX;
    fuzz_tail: Tail, VALUE_BYTES_MAX;
    fuzz_closing: Closing, VALUE_BYTES_MAX;
    fuzz_held_mark: HeldMark, VALUE_BYTES_MAX;
    fuzz_block_notes: BlockNotes, VALUE_BYTES_MAX;
    fuzz_receipt_of_an_operation: Ended, VALUE_BYTES_MAX;
}

#[test]
fn fuzz_log_message() {
    harness!(|input: &[u8]| {
        codec::<LogMessage, _>(input, MESSAGE_BYTES_MAX, LogMessage::from_bytes);
    });
}

#[test]
fn fuzz_peer_message() {
    harness!(|input: &[u8]| {
        codec::<PeerMessage, _>(input, MESSAGE_BYTES_MAX, PeerMessage::from_bytes);
    });
}

/// Puts `bytes` where `key` stands.
fn put(store: &mut MemoryStore, table: Table, key: &[u8], bytes: &[u8]) {
    let write = Write::Put {
        table,
        key: key.to_vec(),
        value: bytes.to_vec(),
    };
    store.write(vec![write]).expect("memory does not fail");
}

/// Every key that the core's records stand under gets the fuzzer's bytes; reading is an error or a value.
#[test]
fn fuzz_damaged_records_are_errors() {
    let (kind, epoch, height, hash) = (
        ChainKind::Leaf,
        Epoch::new(3),
        Height::new(5),
        Hash([7; 32]),
    );
    harness!(|input: &[u8]| {
        let mut store = MemoryStore::new();
        let numbered = |name: &str, number: u64| [name.as_bytes(), &number.to_be_bytes()].concat();
        put(&mut store, Table::Meta, b"genesis", input);
        for name in ["closing/", "committee/", "roots/"] {
            put(&mut store, Table::Meta, &numbered(name, 3), input);
        }
        put(
            &mut store,
            Table::Meta,
            &[b"held/", &hash.0[..]].concat(),
            input,
        );
        put(&mut store, Table::Chain, &5_u64.to_be_bytes(), input);
        put(&mut store, Table::Roots, &3_u64.to_be_bytes(), input);
        for table in [Table::Blocks, Table::Batches, Table::Receipts] {
            put(&mut store, table, &hash.0, input);
        }
        let _: Result<Option<Hash>, _> = persist::genesis(&store);
        let _: Result<Vec<Closing>, _> = persist::closings(&store, Epoch::ZERO, 9);
        let _: Result<Option<Closing>, _> = persist::closing(&store, epoch);
        let _: Result<Option<Committee>, _> = persist::committee(&store, epoch);
        let _: Result<Option<Committee>, _> = persist::root_committee(&store, 3);
        let _ = persist::held(&store, 9);
        let _: Result<Option<SignedBatch>, _> = persist::batch(&store, &hash);
        let _: Result<Option<AvailabilityCertificate>, _> = persist::certificate(&store, &hash);
        let _: Result<Option<SafetyRecord>, _> = persist::safety(&store, kind, epoch);
        let _: Result<Vec<Proposal>, _> = persist::proposals(&store, kind, epoch, View::ZERO, 9);
        let _: Result<Option<Block>, _> = persist::block(&store, &hash);
        let _: Result<Option<ChainEntry>, _> = persist::entry(&store, height);
        let _ = persist::entries(&store, Height::ZERO, 9);
        let _: Result<Option<CertifiedRoot>, _> = persist::root(&store, epoch);
        let _: Result<Option<Ended>, _> = persist::receipt(&store, &hash);
    });
}

/// What is written under a key is read from there; once damaged it is an error or another value, and nothing worse.
#[test]
fn fuzz_records_are_read_as_they_were_written() {
    harness!(|input: &[u8]| {
        let Some((record, entry)) = value::<(SafetyRecord, ChainEntry)>(input) else {
            return;
        };
        let mut store = MemoryStore::new();
        let (kind, epoch, height) = (ChainKind::Root, Epoch::new(3), Height::new(5));
        let writes = vec![
            persist::put_safety(kind, epoch, &record),
            persist::put_entry(height, &entry),
        ];
        store.write(writes.clone()).expect("memory does not fail");
        assert_eq!(persist::safety(&store, kind, epoch), Ok(Some(record)));
        assert_eq!(persist::entry(&store, height), Ok(Some(entry)));
        for write in writes {
            if let Write::Put {
                table,
                key,
                mut value,
            } = write
            {
                mutate(&mut value, input);
                put(&mut store, table, &key, &value);
            }
        }
        let _: Result<Option<SafetyRecord>, _> = persist::safety(&store, kind, epoch);
        let _ = persist::entries(&store, Height::ZERO, 9);
    });
}

#[test]
fn proposals_are_read_from_a_view_on() {
    let mut store = MemoryStore::new();
    let (kind, epoch) = (ChainKind::Leaf, Epoch::new(3));
    let material: Vec<u8> = (0..200).collect();
    let mut proposal = value::<Proposal>(&material).expect("some bytes lead to one");
    for view in 1..=5 {
        proposal.block.header.view = View::new(view);
        for epoch in [epoch, epoch.next()] {
            let put = persist::put_proposal(kind, epoch, &proposal);
            store.write(vec![put]).expect("in memory");
        }
    }
    let views = |from, max| -> Vec<u64> {
        let read = persist::proposals(&store, kind, epoch, View::new(from), max);
        let read = read.expect("in memory").into_iter();
        read.map(|p| p.block.header.view.get()).collect()
    };
    assert_eq!(views(0, 2), [1, 2]);
    assert_eq!(views(3, 9), [3, 4, 5], "not of the next epoch");
    assert!(views(6, 9).is_empty());
}
