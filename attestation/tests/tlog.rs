//! Trees, proofs, tiles and notes against known answers and against each other.

#![expect(clippy::unwrap_used, reason = "tests stop at the first surprise")]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cloister_attestation::note::{self, Checkpoint, Note, Vkey};
use cloister_attestation::tlog::{self, Frontier, Hash, MemoryTree, TileRef};
use ed25519_dalek::SigningKey;
use proptest::prelude::*;

/// Leaves of the RFC 6962 test vectors (certificate-transparency `merkle_tree_test`).
const RFC_LEAVES: [&str; 8] =
    ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];
const RFC_ROOTS: [&str; 8] = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
];

fn rfc_leaves() -> Vec<Hash> {
    RFC_LEAVES.iter().map(|leaf| tlog::leaf_hash(&hex::decode(leaf).unwrap())).collect()
}

fn leaves(n: u64) -> Vec<Hash> {
    (0..n).map(|i| tlog::leaf_hash(&i.to_be_bytes())).collect()
}

#[test]
fn rfc_6962_roots() {
    assert_eq!(hex::encode(tlog::empty_root()), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    assert_eq!(tlog::root(&[]), tlog::empty_root());
    let leaves = rfc_leaves();
    for (i, root) in RFC_ROOTS.iter().enumerate() {
        assert_eq!(hex::encode(tlog::root(&leaves[..=i])), *root, "{} leaves", i + 1);
    }
}

#[test]
fn rfc_6962_proofs() {
    let tree = MemoryTree::from_leaves(&rfc_leaves());
    let hex = |proof: Vec<Hash>| proof.iter().map(hex::encode).collect::<Vec<_>>();
    assert_eq!(
        hex(tlog::prove_inclusion(&tree, 5, 8).unwrap()),
        [
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ]
    );
    assert_eq!(
        hex(tlog::prove_consistency(&tree, 6, 8).unwrap()),
        [
            "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ]
    );
}

#[test]
fn every_proof_of_small_trees_verifies_and_only_there() {
    let leaves = leaves(33);
    let tree = MemoryTree::from_leaves(&leaves);
    for size in 1..=33 {
        let root = tlog::root_at(&tree, size).unwrap();
        assert_eq!(root, tlog::root(&leaves[..usize::try_from(size).unwrap()]));
        for index in 0..size {
            let proof = tlog::prove_inclusion(&tree, index, size).unwrap();
            let leaf = &leaves[usize::try_from(index).unwrap()];
            tlog::verify_inclusion(&proof, index, size, leaf, &root).unwrap();
            let wrong = tlog::verify_inclusion(&proof, index, size, &[7; 32], &root);
            assert_eq!(wrong, Err(tlog::Error::WrongRoot));
            let long = [proof.clone(), vec![[0; 32]]].concat();
            assert_eq!(tlog::verify_inclusion(&long, index, size, leaf, &root), Err(tlog::Error::ProofLength));
        }
        for old in 0..=size {
            let old_root = tlog::root_at(&tree, old).unwrap();
            let proof = tlog::prove_consistency(&tree, old, size).unwrap();
            tlog::verify_consistency(&proof, (old, &old_root), (size, &root)).unwrap();
            let wrong = tlog::verify_consistency(&proof, (old, &[9; 32]), (size, &root));
            assert_eq!(wrong, Err(tlog::Error::WrongRoot), "{old} in {size}");
        }
    }
    assert_eq!(tlog::prove_inclusion(&tree, 33, 33), Err(tlog::Error::NotInTree { index: 33, size: 33 }));
    assert_eq!(tlog::prove_consistency(&tree, 34, 33), Err(tlog::Error::NotAPrefix { old: 34, new: 33 }));
}

#[test]
fn tile_paths_are_those_of_the_specification() {
    assert_eq!(tlog::index_path(1_234_067), "x001/x234/067");
    assert_eq!(tlog::tile_path(0, 0, 256), "tile/0/000");
    assert_eq!(tlog::tile_path(1, 0, 1), "tile/1/000.p/1");
    assert_eq!(tlog::entries_path(273, 112), "tile/entries/273.p/112");
    let of_256: Vec<String> = TileRef::of_tree(256).map(|tile| tile.path()).collect();
    assert_eq!(of_256, ["tile/0/000", "tile/1/000.p/1"]);
    let of_70000 = TileRef::of_tree(70_000).count();
    assert_eq!(of_70000, 273 + 1 + 1 + 1 + 1, "273 full and one partial, one full and one partial, one of level 2");
    assert_eq!(TileRef::of_tree(0).count(), 0);
}

#[test]
fn worked_example_of_the_signed_note() {
    let mut frontier = Frontier::new();
    for i in 0..70_000u64 {
        let time = 1_790_000_000_000 + i;
        let leaf = format!(r#"{{"outcome":"success","seq":{i},"time":{time},"type":"auth.login","v":1}}"#);
        frontier.push(tlog::leaf_hash(leaf.as_bytes()));
    }
    assert_eq!(STANDARD.encode(frontier.root()), "NzBZoAhvh1XeCemezwJZed2wVexBtQqD6kGjae47nhk=");

    let key = SigningKey::from_bytes(&std::array::from_fn(|i| u8::try_from(i).unwrap()));
    let origin = "appliance.example/audit/tenant-7";
    let vkey = note::vkey(origin, key.verifying_key().as_bytes());
    assert_eq!(vkey, "appliance.example/audit/tenant-7+414d67b2+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4");

    let checkpoint = Checkpoint { origin: origin.to_owned(), size: frontier.size(), root: frontier.root() };
    let signed = checkpoint.sign(&key).unwrap();
    assert_eq!(
        signed,
        "appliance.example/audit/tenant-7\n70000\nNzBZoAhvh1XeCemezwJZed2wVexBtQqD6kGjae47nhk=\n\n\
         \u{2014} appliance.example/audit/tenant-7 QU1nsry7wVrDD8kVlggNTNZUuJwztmruDxXsBgwm87veuabA7rkegFcww+Uo6cjF3\
         kulZhR5o8/1qBZkD8b6OuGiTgs=\n"
    );
    let vkey = Vkey::parse(&vkey).unwrap();
    assert_eq!(Checkpoint::open(signed.as_bytes(), std::slice::from_ref(&vkey)), Ok(checkpoint));

    // A line of an unknown key, a witness say, is no obstacle; a forged line of the known key is.
    let witness = SigningKey::from_bytes(&[9; 32]);
    let text = Note::parse(signed.as_bytes()).unwrap().verify(std::slice::from_ref(&vkey)).unwrap().to_owned();
    let cosigned = note::sign_note(&text, "witness.example", &witness).unwrap();
    let line = cosigned.rsplit_once("\n\n").unwrap().1;
    Checkpoint::open(format!("{signed}{line}").as_bytes(), std::slice::from_ref(&vkey)).unwrap();
    assert_eq!(Checkpoint::open(cosigned.as_bytes(), std::slice::from_ref(&vkey)), Err(note::Error::Unsigned));
    let forged = signed.replace("70000", "70001");
    assert_eq!(Checkpoint::open(forged.as_bytes(), &[vkey]), Err(note::Error::Signature));
}

#[test]
fn what_is_not_a_note_is_refused() {
    let key = SigningKey::from_bytes(&[1; 32]);
    for bad in ["", "\n", "no newline", "bell\u{7}\n"] {
        assert_eq!(note::sign_note(bad, "name", &key), Err(note::Error::Format), "{bad:?}");
    }
    for bad in ["", "two words", "a+b", "line\nbreak"] {
        assert_eq!(note::sign_note("text\n", bad, &key), Err(note::Error::Name), "{bad:?}");
    }
    let good = note::sign_note("text\n", "name", &key).unwrap();
    for bad in [
        good.replace("\n\n", "\n"),
        good.replace('\u{2014}', "-"),
        good.trim_end().to_owned(),
        good.replace("text", "te\rxt"),
    ] {
        assert_eq!(Note::parse(bad.as_bytes()), Err(note::Error::Format), "{bad:?}");
    }
    for bad in ["o\n01\nNzBZoAhvh1XeCemezwJZed2wVexBtQqD6kGjae47nhk=\n", "o\n1\nAAAA\n", "o\n1\n", "o\n-1\nAAAA\n"] {
        assert_eq!(Checkpoint::parse_text(bad), Err(note::Error::Checkpoint), "{bad:?}");
    }
    let vkey = note::vkey("name", key.verifying_key().as_bytes());
    assert_eq!(Vkey::parse(&vkey.replace("name", "game")), Err(note::Error::Vkey), "the id covers the name");
}

proptest! {
    #[test]
    fn proofs_verify(size in 1u64..3000, a in any::<u64>(), b in any::<u64>()) {
        let leaves = leaves(size);
        let tree = MemoryTree::from_leaves(&leaves);
        let (index, old) = (a % size, b % (size + 1));
        let proof = tlog::prove_inclusion(&tree, index, size).unwrap();
        let leaf = &leaves[usize::try_from(index).unwrap()];
        prop_assert!(tlog::verify_inclusion(&proof, index, size, leaf, &tree.root()).is_ok());
        let proof = tlog::prove_consistency(&tree, old, size).unwrap();
        let old_root = tlog::root_at(&tree, old).unwrap();
        prop_assert!(tlog::verify_consistency(&proof, (old, &old_root), (size, &tree.root())).is_ok());
    }

    #[test]
    fn a_frontier_survives_its_parts(size in 0u64..600, more in 0u64..20) {
        let leaves = leaves(size + more);
        let (first, rest) = leaves.split_at(usize::try_from(size).unwrap());
        let mut frontier = Frontier::new();
        first.iter().for_each(|leaf| drop(frontier.push(*leaf)));
        let mut frontier = Frontier::from_parts(frontier.size(), frontier.hashes().to_vec()).unwrap();
        rest.iter().for_each(|leaf| drop(frontier.push(*leaf)));
        prop_assert_eq!(frontier.root(), tlog::root(&leaves));
    }

    #[test]
    fn foreign_proofs_never_panic(proof in prop::collection::vec(any::<[u8; 32]>(), 0..70), a in any::<u64>(), b in any::<u64>()) {
        let _ = tlog::verify_inclusion(&proof, a, b, &[1; 32], &[2; 32]);
        let _ = tlog::verify_consistency(&proof, (a, &[1; 32]), (b, &[2; 32]));
    }

    #[test]
    fn bundles_round_trip(entries in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..20)) {
        let mut bundle = Vec::new();
        entries.iter().for_each(|entry| tlog::encode_entry(&mut bundle, entry).unwrap());
        let read: Result<Vec<Vec<u8>>, _> = tlog::parse_bundle(&bundle).map(|entry| entry.map(<[u8]>::to_vec)).collect();
        prop_assert_eq!(read.unwrap(), entries);
        if !bundle.is_empty() {
            bundle.pop();
            let read: Result<Vec<_>, _> = tlog::parse_bundle(&bundle).collect();
            prop_assert_eq!(read, Err(tlog::Error::TruncatedBundle));
        }
    }

    #[test]
    fn foreign_notes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), text in "\\PC{0,80}") {
        let _ = Note::parse(&bytes);
        let _ = Note::parse(format!("{text}\n\n\u{2014} {text} {text}\n").as_bytes());
        let _ = Vkey::parse(&text);
        let _ = Checkpoint::parse_text(&text);
        let _ = tlog::parse_bundle(&bytes).count();
    }
}
