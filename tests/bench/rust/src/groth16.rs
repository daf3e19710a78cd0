//! Groth16 proofs of one 2 KiB sector that `python -m workers seal` has sealed: made, and checked.
//!
//! The sector is number 1 of f01000, ticket 0202…, seed 0303…, randomness of PoSts 0404….  Parameters are those
//! of FIL_PROOFS_PARAMETER_CACHE.  FOLDER has `sector` (`cache`, `sealed`), and proofs as bare bytes:
//! `ours/KIND.proof` is checked, `theirs/KIND.proof` written.  Of an update there are `updated/sealed` and
//! `updated/cache`, which we have encoded, and its commitments in `ours/update.json`.

use std::collections::BTreeMap;
use std::fs::{create_dir_all, read, write};
use std::path::Path;

use anyhow::{bail, ensure, Result};
use cpu_time::ProcessTime;
use filecoin_proofs::{
    generate_empty_sector_update_proof, generate_window_post, generate_winning_post, seal_commit_phase1,
    seal_commit_phase2, verify_empty_sector_update_proof, verify_seal, verify_window_post, verify_winning_post, Commitment, PieceInfo, PoRepConfig, PoStConfig, PoStType,
    PrivateReplicaInfo, PublicReplicaInfo, SealPreCommitOutput, SectorShape2KiB, SectorSize, UnpaddedBytesAmount,
    SECTOR_SIZE_2_KIB,
    WINDOW_POST_CHALLENGE_COUNT, WINNING_POST_CHALLENGE_COUNT, WINNING_POST_SECTOR_COUNT,
};
use storage_proofs_core::api_version::ApiVersion;
use storage_proofs_core::sector::SectorId;

use crate::say;

const TICKET: [u8; 32] = [2; 32];
const SEED: [u8; 32] = [3; 32];
const RANDOMNESS: [u8; 32] = [4; 32];
const WINDOW_SECTORS: usize = 2;

type Shape = SectorShape2KiB;

fn digest(text: &str) -> Result<Commitment> {
    ensure!(text.len() == 64, "a commitment has 64 digits of hex");
    let mut out = [0u8; 32];
    for (at, byte) in out.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16)?;
    }
    Ok(out)
}

/// Says the CPU seconds of some work; the best of so many passes.
fn measured<T>(name: &str, passes: usize, mut work: impl FnMut() -> Result<T>) -> Result<T> {
    let (mut best, mut last) = (f64::MAX, None);
    for _ in 0..passes {
        let begun = ProcessTime::now();
        last = Some(work()?);
        best = best.min(begun.elapsed().as_secs_f64());
    }
    say(name, best, "s");
    Ok(last.expect("there is a pass"))
}

fn post_config(typ: PoStType) -> PoStConfig {
    let is_window = typ == PoStType::Window;
    PoStConfig {
        sector_size: SectorSize(SECTOR_SIZE_2_KIB),
        challenge_count: if is_window { WINDOW_POST_CHALLENGE_COUNT } else { WINNING_POST_CHALLENGE_COUNT },
        sector_count: if is_window { WINDOW_SECTORS } else { WINNING_POST_SECTOR_COUNT },
        typ,
        priority: false,
        api_version: if is_window { ApiVersion::V1_2_0 } else { ApiVersion::V1_1_0 },
    }
}

pub fn run(folder: &Path, comm_r: &str, comm_d: &str, kinds: &[String]) -> Result<()> {
    let (comm_r, comm_d) = (digest(comm_r)?, digest(comm_d)?);
    let sector: SectorId = 1u64.into();
    let mut prover = [0u8; 32];
    prover[..2].copy_from_slice(&[0xe8, 0x07]);
    let (cache, sealed) = (folder.join("sector/cache"), folder.join("sector/sealed"));
    let (ours, theirs) = (folder.join("ours"), folder.join("theirs"));
    create_dir_all(&theirs)?;
    let public = PublicReplicaInfo::new(comm_r)?;
    let replica = || PrivateReplicaInfo::<Shape>::new(sealed.clone(), comm_r, cache.clone());

    for kind in kinds {
        let (proof, out) = (read(ours.join(format!("{kind}.proof")))?, theirs.join(format!("{kind}.proof")));
        match kind.as_str() {
            "window" => {
                let config = post_config(PoStType::Window);
                let publics = BTreeMap::from([(sector, public.clone())]);
                let holds = |randomness: &[u8; 32]| {
                    verify_window_post::<Shape>(&config, randomness, &publics, prover, &proof)
                };
                ensure!(holds(&RANDOMNESS)?, "our WindowPoSt is refused");
                ensure!(!holds(&[5; 32])?, "our WindowPoSt is taken for other randomness");
                let replicas = BTreeMap::from([(sector, replica()?)]);
                write(out, measured("WindowPoSt proof", 3, || {
                    generate_window_post(&config, &RANDOMNESS, &replicas, prover)
                })?)?;
            }
            "winning" => {
                let config = post_config(PoStType::Winning);
                let publics = [(sector, public.clone())];
                let holds = |randomness: &[u8; 32]| {
                    verify_winning_post::<Shape>(&config, randomness, &publics, prover, &proof)
                };
                ensure!(holds(&RANDOMNESS)?, "our WinningPoSt is refused");
                ensure!(!holds(&[5; 32])?, "our WinningPoSt is taken for other randomness");
                let replicas = [(sector, replica()?)];
                write(out, measured("WinningPoSt proof", 3, || {
                    generate_winning_post(&config, &RANDOMNESS, &replicas, prover)
                })?)?;
            }
            "porep" => write(out, porep(comm_r, comm_d, prover, sector, &proof, &cache, &sealed)?)?,
            "update" => write(out, update(comm_r, &proof, &cache, &sealed, folder)?)?,
            _ => bail!("there is no proof {kind}"),
        }
    }
    Ok(())
}

pub fn porep_config() -> PoRepConfig {
    let mut porep_id = [0u8; 32];
    porep_id[0] = 5; // StackedDrg2KiBV1_1
    PoRepConfig::new_groth16(SECTOR_SIZE_2_KIB, porep_id, ApiVersion::V1_1_0)
}

fn update(comm_r_old: Commitment, proof: &[u8], cache: &Path, sealed: &Path, folder: &Path) -> Result<Vec<u8>> {
    let (config, new) = (porep_config(), folder.join("updated"));
    let told: serde_json::Value = serde_json::from_slice(&read(folder.join("ours/update.json"))?)?;
    let named = |name: &str| digest(told[name].as_str().unwrap_or_default());
    let (comm_r_new, comm_d_new) = (named("comm_r_new")?, named("comm_d_new")?);
    let holds = |comm_d: Commitment| {
        verify_empty_sector_update_proof::<Shape>(&config, proof, comm_r_old, comm_r_new, comm_d)
    };
    ensure!(holds(comm_d_new)?, "our update is refused");
    ensure!(!holds([5; 32])?, "our update is taken for other data");
    let made = measured("update proof", 1, || {
        generate_empty_sector_update_proof::<Shape>(
            &config, comm_r_old, comm_r_new, comm_d_new, sealed, cache, &new.join("sealed"), &new.join("cache"),
        )
    })?;
    Ok(made.0)
}

fn porep(
    comm_r: Commitment, comm_d: Commitment, prover: [u8; 32], sector: SectorId, proof: &[u8], cache: &Path,
    sealed: &Path,
) -> Result<Vec<u8>> {
    let config = porep_config();
    let holds = |seed: [u8; 32]| {
        verify_seal::<Shape>(&config, comm_r, comm_d, prover, sector, TICKET, seed, proof)
    };
    ensure!(holds(SEED)?, "our PoRep is refused");
    ensure!(!holds([5; 32])?, "our PoRep is taken for another seed");
    // one piece of zeros fills the sector: its commitment is the sector's
    let pieces = [PieceInfo::new(comm_d, UnpaddedBytesAmount(SECTOR_SIZE_2_KIB / 128 * 127))?];
    let pre_commit = SealPreCommitOutput { comm_r, comm_d };
    let opened = seal_commit_phase1::<_, Shape>(
        &config, cache, sealed, prover, sector, TICKET, SEED, pre_commit, &pieces,
    )?;
    let mut given = Some(opened);
    let made = measured("PoRep proof", 1, || {
        seal_commit_phase2(&config, given.take().expect("one pass"), prover, sector)
    })?;
    Ok(made.proof)
}
