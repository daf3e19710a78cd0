//! Speed of rust-fil-proofs on one core, one JSON object a line: {"name", "value", "unit"}.
//! Names are those of `python -m workers bench`.
//!
//! With arguments `BYTES PIECE FOLDER` it seals one sector of that many bytes in FOLDER, on all cores it
//! may use: wall seconds and CPU seconds of each stage, and comm_r as a name.  With `groth16 FOLDER COMM_R
//! COMM_D KIND…` it proves a sector that we have sealed, and checks our proofs of it (`groth16.rs`); with
//! `snark NAME…` it does what Groth16's kernels do (`snark.rs`); with `processor c2` it is a host's own program
//! for C2 (`processor.rs`).

mod groth16;
mod processor;
mod snark;

use std::fs::{create_dir_all, File};
use std::io::{Read, Write};
use std::path::Path;
use std::time::Instant;

use anyhow::{bail, Result};
use blstrs::Scalar;
use cpu_time::ProcessTime;
use filecoin_hashers::poseidon::PoseidonHasher;
use filecoin_proofs::{
    add_piece, generate_piece_commitment, seal_commit_phase1, seal_pre_commit_phase1,
    seal_pre_commit_phase2, PoRepConfig, SectorShape8MiB, SectorShapeBase, UnpaddedBytesAmount, SECTOR_SIZE_8_MIB,
};
use fr32::{write_unpadded, Fr32Reader};
use neptune::poseidon::{Poseidon, PoseidonConstants};
use sha2::{Digest, Sha256};
use storage_proofs_core::api_version::ApiVersion;
use storage_proofs_core::util::NODE_SIZE;
use storage_proofs_porep::stacked::{create_label::single::create_label_exp, StackedBucketGraph};
use typenum::{U11, U2, U4, U8};

const PASSES: usize = 3;
const NODES: usize = (SECTOR_SIZE_8_MIB as usize) / NODE_SIZE;

fn best<T>(mut work: impl FnMut() -> T) -> f64 {
    (0..PASSES)
        .map(|_| {
            let begun = ProcessTime::now();
            std::hint::black_box(work());
            begun.elapsed().as_secs_f64()
        })
        .fold(f64::MAX, f64::min)
}

fn say(name: &str, value: f64, unit: &str) {
    println!("{}", serde_json::json!({"name": name, "value": value, "unit": unit}));
}

fn stream(count: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(count + 32);
    let mut block = 0u64;
    while out.len() < count {
        out.extend_from_slice(&Sha256::digest(block.to_le_bytes()));
        block += 1;
    }
    out.truncate(count);
    out
}

macro_rules! poseidon {
    ($name:expr, $arity:ty, $width:expr) => {{
        let constants = PoseidonConstants::<Scalar, $arity>::new();
        let inputs: Vec<Scalar> = (1..=$width as u64).map(Scalar::from).collect();
        let count = 4000;
        let seconds = best(|| {
            let mut last = Scalar::from(0u64);
            for _ in 0..count {
                last = Poseidon::new_with_preimage(&inputs, &constants).hash();
            }
            last
        });
        say($name, count as f64 / seconds, "hashes/s");
    }};
}

fn bytes_rates() -> Result<()> {
    let raw = stream(127 * (1 << 19));
    let size = raw.len() as f64;
    let mut padded = Vec::with_capacity(raw.len() / 127 * 128);
    let seconds = best(|| {
        padded.clear();
        Fr32Reader::new(&raw[..]).read_to_end(&mut padded).expect("pads")
    });
    say("fr32 pad", size / seconds / 1e9, "GB/s");
    let mut back = Vec::with_capacity(raw.len());
    let seconds = best(|| {
        back.clear();
        write_unpadded(&padded, &mut back, 0, raw.len()).expect("unpads")
    });
    say("fr32 unpad", size / seconds / 1e9, "GB/s");
    let seconds = best(|| Sha256::digest(&raw));
    say("sha256 of long data", size / seconds / 1e9, "GB/s");
    let unpadded = SECTOR_SIZE_8_MIB as usize / 128 * 127;
    let seconds = best(|| {
        generate_piece_commitment(&raw[..unpadded], UnpaddedBytesAmount(unpadded as u64)).expect("commits")
    });
    say("comm_p 8 MiB", 8.0 / seconds, "MiB/s");
    Ok(())
}

/// The graph of a registered seal proof: 6 is 8 MiB V1_1, 7 is 512 MiB V1_1.
fn porep_id(registered: u8) -> [u8; 32] {
    let mut id = [0u8; 32];
    id[0] = registered;
    id
}

fn labelling() -> Result<()> {
    let graph =
        StackedBucketGraph::<PoseidonHasher>::new_stacked(NODES, 6, 8, porep_id(6), ApiVersion::V1_1_0)?;
    let count = 1 << 14;
    let (mut drg, mut exp) = ([0u32; 6], [0u32; 8]);
    let seconds = best(|| {
        for node in 1000..1000 + count {
            graph.base_parents(node, &mut drg).expect("has parents");
            graph.expanded_parents(node, &mut exp).expect("has parents");
        }
        (drg, exp)
    });
    say("parents", count as f64 / seconds, "nodes/s");
    let mut cache = graph.parent_cache()?;
    let previous = stream(NODES * NODE_SIZE);
    let mut current = vec![0u8; NODES * NODE_SIZE];
    let seconds = best(|| {
        cache.reset().expect("rewinds");
        for node in 0..NODES {
            create_label_exp(&graph, Some(&mut cache), [7u8; 32], &previous, &mut current, 2, node)
                .expect("labels");
        }
    });
    say("labels, one sector", NODES as f64 / seconds / 1e6, "M labels/s");
    Ok(())
}

fn sealing() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let cache = folder.path().join("cache");
    create_dir_all(&cache)?;
    let config = PoRepConfig::new_groth16(SECTOR_SIZE_8_MIB, porep_id(6), ApiVersion::V1_1_0);
    let unpadded = SECTOR_SIZE_8_MIB as usize / 128 * 127;
    let staged = folder.path().join("staged");
    let sealed = folder.path().join("sealed");
    let data = stream(unpadded);
    let (piece, _) = add_piece(&data[..], File::create(&staged)?, UnpaddedBytesAmount(unpadded as u64), &[])?;
    File::create(&sealed)?.flush()?;
    let ids = ([1u8; 32], 1u64.into(), [2u8; 32], [3u8; 32]);
    let phase1 = || {
        seal_pre_commit_phase1::<_, _, _, SectorShape8MiB>(
            &config, &cache, &staged, &sealed, ids.0, ids.1, ids.2, &[piece.clone()],
        )
    };
    phase1()?; // makes the parent cache
    for entry in std::fs::read_dir(&cache)? {
        std::fs::remove_file(entry?.path())?;
    }
    let begun = ProcessTime::now();
    let output = phase1()?;
    let seconds = begun.elapsed().as_secs_f64();
    say("PC1 8 MiB", seconds * 1e3, "ms");
    let begun = ProcessTime::now();
    let pre_commit = seal_pre_commit_phase2::<_, _, SectorShape8MiB>(&config, output, &cache, &sealed)?;
    say("PC2 8 MiB", begun.elapsed().as_secs_f64() * 1e3, "ms");
    let seconds = best(|| {
        seal_commit_phase1::<_, SectorShape8MiB>(
            &config, &cache, &sealed, ids.0, ids.1, ids.2, ids.3, pre_commit.clone(), &[piece.clone()],
        )
        .expect("opens")
    });
    say("C1 8 MiB with self-check", seconds * 1e3, "ms");
    Ok(())
}

fn timed<T>(name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let (wall, cpu) = (Instant::now(), ProcessTime::now());
    let out = work()?;
    say(name, wall.elapsed().as_secs_f64(), "s");
    say(&format!("{name}, CPU"), cpu.elapsed().as_secs_f64(), "s");
    Ok(out)
}

/// Seals a sector of f01000 as `python -m workers seal` does: number 1, ticket 0202…, seed 0303….
fn whole_sector(size: u64, piece: &Path, folder: &Path) -> Result<()> {
    let (cache, staged, sealed) = (folder.join("cache"), folder.join("staged"), folder.join("sealed"));
    create_dir_all(&cache)?;
    let registered = if size == SECTOR_SIZE_8_MIB { 6 } else { 7 };
    let config = PoRepConfig::new_groth16(size, porep_id(registered), ApiVersion::V1_1_0);
    let mut prover = [0u8; 32];
    prover[..2].copy_from_slice(&[0xe8, 0x07]);
    let (ticket, seed) = ([2u8; 32], [3u8; 32]);
    let unpadded = UnpaddedBytesAmount(size / 128 * 127);
    let (info, _) = timed("add_piece", || {
        add_piece(File::open(piece)?, File::create(&staged)?, unpadded, &[])
    })?;
    let pieces = [info];
    File::create(&sealed)?.flush()?;
    let labelled = timed("PC1", || {
        seal_pre_commit_phase1::<_, _, _, SectorShapeBase>(
            &config, &cache, &staged, &sealed, prover, 1u64.into(), ticket, &pieces,
        )
    })?;
    let pre_commit = timed("PC2", || {
        seal_pre_commit_phase2::<_, _, SectorShapeBase>(&config, labelled, &cache, &sealed)
    })?;
    let comm_r: String = pre_commit.comm_r.iter().map(|byte| format!("{byte:02x}")).collect();
    timed("C1", || {
        seal_commit_phase1::<_, SectorShapeBase>(
            &config, &cache, &sealed, prover, 1u64.into(), ticket, seed, pre_commit, &pieces,
        )
    })?;
    say(&comm_r, 1.0, "comm_r");
    Ok(())
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.as_slice() {
        [] => {}
        [word, names @ ..] if word == "snark" => return snark::run(names),
        [word, stage] if word == "processor" => return processor::serve(stage),
        [size, piece, folder] => return whole_sector(size.parse()?, Path::new(piece), Path::new(folder)),
        [word, folder, comm_r, comm_d, kinds @ ..] if word == "groth16" => {
            return groth16::run(Path::new(folder), comm_r, comm_d, kinds)
        }
        _ => bail!("wants no arguments, BYTES PIECE FOLDER, groth16 FOLDER COMM_R COMM_D KIND…, snark NAME…, or processor c2"),
    }
    bytes_rates()?;
    poseidon!("poseidon arity 2", U2, 2);
    poseidon!("poseidon arity 4", U4, 4);
    poseidon!("poseidon arity 8", U8, 8);
    poseidon!("poseidon arity 11", U11, 11);
    labelling()?;
    sealing()
}
