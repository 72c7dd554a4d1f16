//! R1 as a sweep: a small world is played without any fault, and then once for every point at which one of its processes can die, and with a second
//! death soon after the first. Whenever that world rests it must look as it did without faults.
//!
//! What users do is drawn apart, and does not depend on time (`script.rs`): a death shifts every later draw of the world, of delays and durations,
//! and none of what users want. So a difference at rest is never chance. What is compared, and what may differ, says `scene.rs`.
//!
//! Deliberately absent: every other fault. They are at random in the seeds, which ask for promises and not for the same end.

mod scene;
mod script;
mod stage;

use super::Size;
use super::faults::Place;
use super::mutant::Mutant;
use super::trace::Trace;
use super::violation::{Checker, Violation};
use super::world::World;
use scene::{Scene, first_difference};
use script::Step;
use std::collections::{BTreeMap, BTreeSet};

/// How large these worlds are: each is played a thousand times.
const SIZE: Size = Size { names: 8, targets: 2, events: 0, most_ms: 0 };
/// How long a world may take to come to rest: leases, the longest retries, and work.
const REST_WITHIN_MS: u64 = 20 * 60_000;
/// Second deaths that follow each first one, when nothing else is said.
pub(crate) const SECOND_DEATHS: usize = 3;
/// Differences that are told of one world; the rest of them says the same.
const TOLD: usize = 5;

/// What of a world is played.
#[derive(Clone, Debug)]
pub(crate) enum Deaths {
    /// Every point, and each once more with a second death at each of so many points of owners that follow: in the recovery from the first.
    All { second: usize },
    /// One run, with deaths at these points.
    At(Vec<usize>),
}

/// What came of one world.
pub(crate) struct Swept {
    pub(crate) seed: u64,
    /// Points at which something can die, in the run without faults.
    pub(crate) points: BTreeMap<&'static str, u64>,
    /// Runs that were compared with it.
    pub(crate) runs: u64,
    /// Deaths in them.
    pub(crate) deaths: u64,
    /// Events that a core took in, in all of them.
    pub(crate) events: u64,
    /// Times at which they were compared.
    pub(crate) rests: usize,
    pub(crate) failures: Vec<Difference>,
    /// What happened in the last run that was played.
    pub(crate) trace: Vec<String>,
}

/// A run that did not end as the one without faults.
pub(crate) struct Difference {
    /// Where something died: the points, counted from 1.
    pub(crate) at: Vec<usize>,
    /// The same in words.
    pub(crate) deaths: Vec<&'static str>,
    pub(crate) violation: Violation,
}

impl Difference {
    /// What differs, where something died, and how to see it again.
    pub(crate) fn text(&self, seed: u64) -> String {
        let Self { at, deaths, violation } = self;
        let points: Vec<String> = at.iter().map(ToString::to_string).collect();
        let mut at = points.join(",");
        if at.is_empty() {
            at.push('0');
        }
        format!(
            "seed {seed}, deaths at {at} ({}): {violation}\n  repeat it with: homeostat simulate --sweep --seed {seed} --at {at} --trace\n",
            deaths.join("; ")
        )
    }
}

/// One run.
struct Run {
    scenes: Vec<Scene>,
    met: Vec<Place>,
    events: u64,
    violation: Option<Violation>,
    trace: Trace,
}

/// Sweeps the world of one seed.
pub(crate) fn sweep(seed: u64, deaths: &Deaths, mutant: Option<Mutant>) -> Swept {
    let calm = run(seed, &[], mutant);
    let mut swept = Swept {
        seed,
        points: BTreeMap::new(),
        runs: 0,
        deaths: 0,
        events: calm.events,
        rests: 0,
        failures: Vec::new(),
        trace: Vec::new(),
    };
    for place in &calm.met {
        *swept.points.entry(place.word()).or_default() += 1;
    }
    if let Some(violation) = calm.violation.clone().or_else(|| too_small(&calm)) {
        swept.failures.push(Difference { at: Vec::new(), deaths: Vec::new(), violation });
        swept.trace = calm.trace.into_lines();
        return swept;
    }
    match deaths {
        Deaths::At(at) => drop(swept.compare(&calm, at, mutant)),
        Deaths::All { second } => {
            for first in 1..=calm.met.len() {
                if swept.failures.len() >= TOLD {
                    break;
                }
                let met = swept.compare(&calm, &[first], mutant);
                for again in owners_after(&met, first).take(*second) {
                    swept.compare(&calm, &[first, again], mutant);
                }
            }
        }
    }
    swept
}

impl Swept {
    fn compare(&mut self, calm: &Run, at: &[usize], mutant: Option<Mutant>) -> Vec<Place> {
        let run = run(self.seed, at, mutant);
        let deaths: Vec<&'static str> = at.iter().filter_map(|point| Some(run.met.get(point - 1)?.word())).collect();
        self.runs += 1;
        self.deaths += deaths.len() as u64;
        self.events += run.events;
        self.rests += run.scenes.len();
        let differs = || {
            let detail = first_difference(&calm.scenes, &run.scenes)?;
            Some(Violation { checker: Checker::SameAsUndisturbed, detail })
        };
        if let Some(violation) = run.violation.clone().or_else(differs) {
            self.failures.push(Difference { at: at.to_vec(), deaths, violation });
        }
        self.trace = run.trace.into_lines();
        run.met
    }
}

/// The points after this one at which an owner can die.
fn owners_after(met: &[Place], point: usize) -> impl Iterator<Item = usize> {
    let numbered = (1..).zip(met).skip(point);
    numbered.filter(|(_, place)| matches!(place, Place::Owner(_))).map(|(number, _)| number)
}

/// A sweep that has lost its points would find nothing for ever.
fn too_small(calm: &Run) -> Option<Violation> {
    let met: BTreeSet<&str> = calm.met.iter().map(|place| place.word()).collect();
    let missing = Place::WITHOUT_FAULTS.iter().map(|place| place.word()).find(|word| !met.contains(word));
    let detail = match missing {
        Some(word) => format!("nothing could die {word}"),
        None if calm.scenes.len() as u64 <= script::ACTS => format!("it rested {} times", calm.scenes.len()),
        None => return None,
    };
    Some(Violation { checker: Checker::LargeEnough, detail })
}

/// Plays one world, in which something dies at each of these points.
fn run(seed: u64, at: &[usize], mutant: Option<Mutant>) -> Run {
    let mut world = World::new(seed, SIZE, mutant, true);
    world.faults.plan(at);
    world.open_stage();
    let mut scenes = Vec::new();
    for number in 0..script::ACTS {
        for step in script::act(&world, seed, number) {
            let rests = match step {
                Step::Rest { alone } => Some(alone),
                _ => None,
            };
            world.perform(step);
            scenes.extend(rests.map(|alone| Scene::of(&mut world, alone)));
        }
    }
    world.end_of_script();
    scenes.push(Scene::of(&mut world, false));
    Run {
        scenes,
        met: world.faults.met().to_vec(),
        events: world.events,
        violation: world.violation.clone().map(|(_, violation)| violation),
        trace: world.into_trace(),
    }
}
