//! Options of the simulator.

use clap::Args;
use std::ops::RangeInclusive;

#[derive(Clone, Debug, Args)]
pub(crate) struct SimulateOptions {
    /// Play one seed
    #[arg(long, value_name = "N", required_unless_present = "seeds", conflicts_with = "seeds")]
    pub(crate) seed: Option<u64>,
    /// Play the seeds from A to B, both included
    #[arg(long, value_name = "A..B", value_parser = seeds)]
    pub(crate) seeds: Option<RangeInclusive<u64>>,
    /// With `--seed`: print everything that happened
    #[arg(long, conflicts_with = "seeds")]
    pub(crate) trace: bool,
    /// Print how often each event found a resource in each state, under each fault
    #[arg(long)]
    pub(crate) table: bool,
}

fn seeds(text: &str) -> Result<RangeInclusive<u64>, String> {
    let wrong = || format!("{text:?} is not a range of seeds, such as 1..500");
    let (from, to) = text.split_once("..").ok_or_else(wrong)?;
    let number = |part: &str| part.parse::<u64>().map_err(|_| wrong());
    let (from, to) = (number(from)?, number(to)?);
    if from > to { Err(wrong()) } else { Ok(from..=to) }
}
