//! Options of the simulator.

use crate::simulation::Mutant;
use clap::Args;
use std::ops::RangeInclusive;

#[derive(Clone, Debug, Args)]
pub(crate) struct SimulateOptions {
    /// Play one seed
    #[arg(long, value_name = "N", required_unless_present_any = ["seeds", "mutants"], conflicts_with = "seeds")]
    pub(crate) seed: Option<u64>,
    /// Play the seeds from A to B, both included
    #[arg(long, value_name = "A..B", value_parser = seeds)]
    pub(crate) seeds: Option<RangeInclusive<u64>>,
    /// Play with deliberate bugs, each until the checker that is declared for it notices; by default in the seeds 1..100
    #[arg(long, conflicts_with_all = ["seed", "mutant"])]
    pub(crate) mutants: bool,
    /// Play with this deliberate bug
    #[arg(long, value_name = "NAME", value_parser = mutant)]
    pub(crate) mutant: Option<Mutant>,
    /// With `--seed`: print everything that happened
    #[arg(long, conflicts_with = "seeds")]
    pub(crate) trace: bool,
    /// Play a small world without faults, then with a death at every point at which one of its processes can die, and with a second one in the
    /// recovery; whenever it rests it must look as it did without
    #[arg(long, conflicts_with_all = ["mutants", "long", "table"])]
    pub(crate) sweep: bool,
    /// With `--sweep` and `--seed`: only with deaths at these points, counted from 1
    #[arg(long, value_name = "POINT", value_delimiter = ',', requires = "sweep", conflicts_with = "seeds")]
    pub(crate) at: Vec<usize>,
    /// Play longer: 2,000 events on 60 resources and 6 targets, instead of 500 on 20 and 2
    #[arg(long)]
    pub(crate) long: bool,
    /// Print how often each event found a resource in each state, under each fault
    #[arg(long)]
    pub(crate) table: bool,
}

fn mutant(name: &str) -> Result<Mutant, String> {
    let names = || Mutant::ALL.iter().map(|mutant| mutant.name()).collect::<Vec<_>>().join(", ");
    Mutant::named(name).ok_or_else(|| format!("there is none of that name; there are {}", names()))
}

fn seeds(text: &str) -> Result<RangeInclusive<u64>, String> {
    let wrong = || format!("{text:?} is not a range of seeds, such as 1..500");
    let (from, to) = text.split_once("..").ok_or_else(wrong)?;
    let number = |part: &str| part.parse::<u64>().map_err(|_| wrong());
    let (from, to) = (number(from)?, number(to)?);
    if from > to { Err(wrong()) } else { Ok(from..=to) }
}
