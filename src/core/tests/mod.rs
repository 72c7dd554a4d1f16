//! What `core` promises, tried out: each row of the behaviours' checklist is a test that carries its id in its name.
//!
//! Every test drives [`step`](super::step) through a [`world::World`], a scripted environment with a clock set by hand. After *every* step the world
//! checks the promises that hold always (`promises.rs`) and compares the scheduler's counters with a recomputation from scratch
//! (`naive.rs`), so each example is a property test too. Deliberately absent: anything asynchronous, and the edges.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::type_complexity
)]

mod a_life;
mod b_scheduling;
mod c_scope;
mod d_notifications;
mod e_skips;
mod f_undefined;
mod j_dry_runs;
mod j_facts;
mod j_secrets;
mod k_timers;
mod l_restart;
mod m_matrix;
mod o_suspend;
mod p_approval;
mod p_names;
mod p_removal;
mod p_replace;
mod p_return;
mod p_table;
mod q_cancel;
mod q_grants;
mod q_holds;
mod q_plans;
mod q_release;
mod r_report;
mod s_sets;
mod x_generated;
mod x_limits;
mod x_restart;
mod x_results;
mod x_shares;

mod g_batches;
mod h_priorities;
mod history;
mod naive;
mod notation;
mod promises;
mod reference;
mod world;
