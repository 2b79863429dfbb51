//! Hit ratios of tables beside models and `moka`.

use super::models::Model;
use super::traces::{self, Trace};
use crate::Result;
use remora::Database;

/// Rows of a cache.
pub(super) const ROWS_MAX: usize = 5_000;
/// Points that a table may be below what it stands for.
const BELOW_MAX: f64 = 1.0;
const SEED: u64 = 20_261_126;

/// Hit ratios on one trace, in percent.
struct Ratios {
    lru: f64,
    lru_model: f64,
    lfu: f64,
    lfu_model: f64,
    moka: Option<f64>,
}

pub(super) fn run(accesses: usize) -> Result<()> {
    println!("{accesses} accesses, caches of {ROWS_MAX} rows; hits in percent\n");
    println!("| trace | lru | exact LRU | lfu | counted LFU | moka |");
    println!("|---|---|---|---|---|---|");
    let (mut missed, mut behind) = (Vec::new(), Vec::new());
    for trace in traces::all(accesses, SEED) {
        let ratios = measure(&trace)?;
        let shown =
            |ratio: Option<f64>| ratio.map_or("-".to_owned(), |ratio| format!("{ratio:.2}"));
        println!(
            "| {} | {:.2} | {:.2} | {:.2} | {:.2} | {} |",
            trace.name,
            ratios.lru,
            ratios.lru_model,
            ratios.lfu,
            ratios.lfu_model,
            shown(ratios.moka)
        );
        let pairs = [
            ("lru", ratios.lru, ratios.lru_model),
            ("lfu", ratios.lfu, ratios.lfu_model),
        ];
        for (name, found, model) in pairs {
            if found < model - BELOW_MAX {
                missed.push(format!("{name} on {}", trace.name));
            }
        }
        behind.extend(ratios.moka.map(|moka| moka - ratios.lru.max(ratios.lfu)));
    }
    if !behind.is_empty() {
        let average = behind.iter().sum::<f64>() / behind.len() as f64;
        println!("\nthe better of both is {average:.2} points below moka on average");
        if average > BELOW_MAX {
            missed.push("the better of both on average".to_owned());
        }
    }
    match missed.is_empty() {
        true => Ok(()),
        false => Err(format!("more than {BELOW_MAX} points below: {}", missed.join(", ")).into()),
    }
}

fn measure(trace: &Trace) -> Result<Ratios> {
    let percent = |hits: usize| hits as f64 * 100.0 / trace.keys.len() as f64;
    let model = |mut model: Model| {
        let hits = trace.keys.iter().filter(|key| model.access(**key));
        percent(hits.count())
    };
    Ok(Ratios {
        lru: percent(hits_of_table("lru", &trace.keys)?),
        lru_model: model(Model::lru(ROWS_MAX)),
        lfu: percent(hits_of_table("lfu", &trace.keys)?),
        lfu_model: model(Model::lfu(ROWS_MAX)),
        moka: hits_of_moka(&trace.keys).map(percent),
    })
}

fn hits_of_table(policy: &str, keys: &[u64]) -> Result<usize> {
    let db = Database::in_memory()?;
    let conn = db.connect()?;
    conn.execute(
        &format!("CREATE TABLE t (k BIGINT PRIMARY KEY, v BIGINT) WITH (eviction = '{policy}', max_rows = {ROWS_MAX})"),
        [],
    )?;
    let mut get = conn.prepare("SELECT v FROM t WHERE k = $1")?;
    let mut put = conn.prepare("INSERT INTO t VALUES ($1, 1)")?;
    let mut hits = 0;
    for key in keys {
        let key = *key as i64;
        let found = get.query_row([key], |row| row.get::<_, i64>(0));
        match found {
            Ok(_) => hits += 1,
            Err(_) => {
                put.execute([key])?;
            }
        }
    }
    Ok(hits)
}

#[cfg(feature = "peers_all")]
fn hits_of_moka(keys: &[u64]) -> Option<usize> {
    let cache = moka::sync::Cache::new(ROWS_MAX as u64);
    let mut hits = 0;
    for (at, key) in keys.iter().enumerate() {
        match cache.get(key) {
            Some(()) => hits += 1,
            None => cache.insert(*key, ()),
        }
        // It evicts in the background, or when it is told to.
        if at % 64 == 0 {
            cache.run_pending_tasks();
        }
    }
    Some(hits)
}

#[cfg(not(feature = "peers_all"))]
fn hits_of_moka(_: &[u64]) -> Option<usize> {
    None
}
