//! A program for C2 that a host can name in `[[processors.c2]]`: sectors of 2 KiB, several in one request.
//!
//! Its lines are those of docs/sealing/own-programs.md.  Sectors of a request are proved one after the other, each
//! on all cores; one that is cancelled before its turn is left out.

use std::collections::HashSet;
use std::io::stdin;
use std::sync::{mpsc, Arc, Mutex};
use std::thread;

use anyhow::{ensure, Context, Result};
use filecoin_proofs::{seal_commit_phase2, SealCommitPhase1Output, SectorShape2KiB};
use serde_json::{from_str, from_value, json, Value};

use crate::groth16::porep_config;

const SECTORS: &str = "POOLSITE_PROCESSOR_SECTORS";
const SEAL_PROOF: &str = "StackedDrg2KiBV1_1";
/// The name under which the proofs are filed.
const V1_PROOF: &str = "StackedDrg2KiBV1";

/// Answers for one stage until stdin ends.
pub fn serve(stage: &str) -> Result<()> {
    ensure!(stage == "c2", "this program proves c2 alone, not {stage}");
    match std::env::var(SECTORS) {
        Ok(text) => println!("c2 processor ready {}", json!({"sectors": text.parse::<u32>()?})),
        Err(_) => println!("c2 processor ready"), // an older host takes no more than this
    }
    let cancelled = Arc::new(Mutex::new(HashSet::new()));
    let (requested, requests) = mpsc::channel::<Value>();
    let left_out = cancelled.clone();
    thread::spawn(move || {
        for request in requests {
            if left_out.lock().expect("is whole").remove(&request["id"].as_u64()) {
                continue;
            }
            let (fault, output) = match proved(&request["task"]) {
                Ok(proof) => (None, Some(json!({"proof": proof}))),
                Err(error) => (Some(format!("{error:#}")), None),
            };
            println!("{}", json!({"id": request["id"], "err_msg": fault, "output": output}));
        }
    });
    for line in stdin().lines() {
        let message: Value = from_str(&line?)?;
        if message["cancel"].is_u64() {
            cancelled.lock().expect("is whole").insert(message["cancel"].as_u64());
        } else if message["id"].is_u64() {
            requested.send(message)?;
        }
    }
    Ok(())
}

fn proved(task: &Value) -> Result<Vec<u8>> {
    let mut c1out = task["c1out"].clone();
    ensure!(c1out["registered_proof"] == SEAL_PROOF, "{} is not {SEAL_PROOF}", c1out["registered_proof"]);
    c1out["vanilla_proofs"] = c1out["vanilla_proofs"][V1_PROOF].take();
    let opened: SealCommitPhase1Output<SectorShape2KiB> = from_value(c1out).context("c1out")?;
    let prover: [u8; 32] = from_value(task["prover_id"].clone()).context("prover_id")?;
    let sector = task["sector_id"].as_u64().context("sector_id is no number")?;
    Ok(seal_commit_phase2(&porep_config(), opened, prover, sector.into())?.proof)
}
