//! Transforms, the quotient h and sums of multiples by bellperson on one core, as its prover does them.
//!
//! Arguments are names of `tests/bench/snark_kernels.py`: `NTT 2^20`, `h 2^17`, `MSM G1 2^15`.  Inputs are the
//! same there: number i of a list has the words (4 i + 1, …, 4 i + 4) · SPREAD, the last below r >> 192.  Each
//! line has the SHA-256 of what came out, which must be that of ours.

use std::sync::Arc;

use anyhow::{bail, Context, Result};
use bellperson::domain::EvaluationDomain;
use bellperson::gpu::LockedFftKernel;
use blstrs::{G1Affine, G2Affine, Scalar};
use cpu_time::ProcessTime;
use ec_gpu_gen::multiexp_cpu::{multiexp_cpu, FullDensity};
use ec_gpu_gen::threadpool::Worker;
use ff::{Field, PrimeField};
use group::prime::PrimeCurveAffine;
use group::Curve;
use sha2::{Digest, Sha256};

const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;
/// r >> 192.
const TOP: u64 = 0x73ed_a753_299d_7d48;
const PASSES: usize = 3;
const SLOW_S: f64 = 5.0;

fn scalars(count: u64) -> Vec<Scalar> {
    (0..count)
        .map(|place| {
            let word = |at: u64| (4 * place + at).wrapping_mul(SPREAD);
            Scalar::from_u64s_le(&[word(1), word(2), word(3), word(4) % TOP]).expect("is below r")
        })
        .collect()
}

/// Says the best pass's CPU seconds, and the digest of the first result; what is slow has one pass.
fn say<I, O>(name: &str, input: impl Fn() -> I, work: impl Fn(I) -> O, bytes: impl Fn(O) -> Vec<u8>) {
    let (mut best, mut digest) = (f64::MAX, None);
    for _ in 0..PASSES {
        let given = input();
        let begun = ProcessTime::now();
        let out = work(given);
        best = best.min(begun.elapsed().as_secs_f64());
        digest.get_or_insert_with(|| format!("{:x}", Sha256::digest(bytes(out))));
        if best > SLOW_S {
            break;
        }
    }
    println!("{}", serde_json::json!({"name": name, "value": best, "unit": "s", "digest": digest}));
}

fn no_gpu() -> Option<LockedFftKernel<Scalar>> {
    None
}

fn bytes_of(values: Vec<Scalar>) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_bytes_le()).collect()
}

fn transform(name: &str, count: u64) {
    let (worker, values) = (Worker::new(), scalars(count));
    say(
        name,
        || values.clone(),
        |values| {
            let mut domain = EvaluationDomain::from_coeffs(values).expect("is small enough");
            domain.ifft(&worker, &mut no_gpu()).expect("transforms");
            domain.into_coeffs()
        },
        bytes_of,
    );
}

/// What `execute_fft` of bellperson's prover (src/groth16/prover/native.rs) does, to the scalars of h.
fn quotient(name: &str, count: u64) {
    let (worker, montgomery) = (Worker::new(), Scalar::from(2).pow_vartime([256]).invert().expect("is not 0"));
    // ours hold the same words in Montgomery's form
    let rows: Vec<Scalar> = scalars(count).iter().map(|value| value * montgomery).collect();
    say(
        name,
        || [rows.clone(), rows.clone(), rows.clone()],
        |sides| {
            let [mut a, mut b, mut c] =
                sides.map(|side| EvaluationDomain::from_coeffs(side).expect("is small enough"));
            EvaluationDomain::ifft_many(&mut [&mut a, &mut b, &mut c], &worker, &mut no_gpu())
                .expect("transforms");
            EvaluationDomain::coset_fft_many(&mut [&mut a, &mut b, &mut c], &worker, &mut no_gpu())
                .expect("transforms");
            a.mul_assign(&worker, &b);
            a.sub_assign(&worker, &c);
            a.divide_by_z_on_coset(&worker);
            a.icoset_fft(&worker, &mut no_gpu()).expect("transforms");
            a.into_coeffs()
        },
        bytes_of,
    );
}

fn sum<A: PrimeCurveAffine<Scalar = Scalar>>(name: &str, count: u64) {
    let (worker, factors) = (Worker::new(), scalars(count));
    let points: Arc<Vec<A>> =
        Arc::new(factors.iter().rev().map(|factor| (A::generator() * *factor).to_affine()).collect());
    let exponents = Arc::new(factors.iter().map(|factor| factor.to_repr()).collect::<Vec<_>>());
    say(
        name,
        || (),
        |()| multiexp_cpu(&worker, (points.clone(), 0), FullDensity, exponents.clone()).wait().expect("sums"),
        |out| out.to_affine().to_bytes().as_ref().to_vec(),
    );
}

pub fn run(names: &[String]) -> Result<()> {
    for name in names {
        let (what, bits) = name.rsplit_once(" 2^").with_context(|| format!("{name} has no size"))?;
        let count = 1 << bits.parse::<u32>()?;
        match what {
            "NTT" => transform(name, count),
            "h" => quotient(name, count),
            "MSM G1" => sum::<G1Affine>(name, count),
            "MSM G2" => sum::<G2Affine>(name, count),
            _ => bail!("there is no case {name}"),
        }
    }
    Ok(())
}
